/* SPDX-License-Identifier: MPL-2.0 */
/* The HTTP edge: see edge.h. Carries bytes between libmicrohttpd's callbacks and a call (edge/s3.h).
 *
 * A connection, as the library calls us:
 *
 *     started -> HEADERS --all there--> (wanted? "100 Continue" is withheld) HELD --> BODY --> ENDED --> queued -+
 *                   ^                                                                                            |
 *                   `------------------------------------------ completed <--------------------------------------'
 *
 * Where the call says "wait", the connection is suspended, and resumed by the call's wake. Both decisions are made under
 * the lock of adr_s3_t, so no wake is lost.
 *
 * The library ends who is idle. Who is slow is found by the transport's thread, which looks at all connections now and
 * then, and shuts the socket of one down; the library takes that for a client that has gone. */

#include "edge/edge.h"

#include "edge/s3.h"

#include <gnutls/crypto.h>
#include <gnutls/gnutls.h>
#include <linux/tcp.h>
#include <microhttpd.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>

#define CONNECTIONS_MAX 1024
#define IDLE_TIMEOUT_S 60
/* Headers go in one packet or two: time to send those again a few times. */
#define HEAD_TIMEOUT_S 20
/* Bytes a second of a body or an answer: no line that people use is slower. In the mean over the idle time, so that a
 * pause which that allows makes nobody slow. */
#define RATE_MIN 1024
#define RATE_WINDOW_S IDLE_TIMEOUT_S
/* Of an answer over a longer time: a client's kernel takes steps of megabytes where its buffers are large. */
#define ANSWER_WINDOW_S 600
#define LOOKS 4 /* at each connection in the shorter of these times: a cut is late by two looks at most */
#define THREADS 2
#define REQUESTS_BYTES_MAX (UINT64_C (256) << 20)
#define DEFAULT_REGION "us-east-1"
/* Of a connection: its request line and headers, the read buffer (half of it), the write buffer. */
#define CONNECTION_MEMORY (96 * 1024)
#define CONNECTION_MEMORY_STEP (16 * 1024)
/* A failure that is known before the body came is told at once, and the connection cut, only if the client waits for
 * "100 Continue" or would send more than so much: many clients do not look for an answer before they sent all. */
#define DRAIN_MAX (UINT64_C (16) << 20)
#define READ_BLOCK (64 * 1024)
#define SECOND_NS INT64_C (1000000000)
#define TICK_NS (INT64_C (100) * 1000000) /* of a session that cannot wake its transport */

typedef struct connection connection_t;

struct adr_edge {
    adr_edge_options_t options; /* its strings are ours */
    adr_keyring_t *keyring;
    struct sockaddr_storage address;
    socklen_t address_size;
    struct MHD_Daemon *daemon;
    uint16_t port;
    adr_s3_t *s3;
    adr_session_t *session; /* guarded by s3's lock; NULL once stopped */
    bool wakes;             /* the transport is told when to tick */
    bool stopping;          /* guarded by s3's lock */
    bool draining;          /* for s3, when it comes to be */
    connection_t *first;    /* all connections, guarded by s3's lock */
    int64_t look_ns;        /* between two looks at them */
    int64_t look_at_ns;     /* guarded by s3's lock */
};

typedef enum { HEADERS, HELD, BODY, ENDED } phase_t;

/* A connection, and the request that it carries. */
struct connection {
    adr_edge_t *edge;
    struct MHD_Connection *mhd;
    int socket;
    adr_s3_call_t *call; /* from the request line on */
    phase_t phase;       /* of its thread, which changes it under s3's lock */
    /* Guarded by s3's lock: */
    bool suspended;
    bool slow;       /* was cut for it */
    bool turned;     /* no look yet since the phase changed: it sees from where on to count */
    uint64_t moved;  /* when it was last fast enough, or at the first look of a phase */
    int64_t slow_ns; /* since then, while it was not suspended */
    connection_t *next, *before;
};

/* --- suspend and resume ------------------------------------------------------------------------------------------- */

static void
s_suspend (void *argument)
{
    connection_t *self = argument;
    if (self->edge->stopping)
        return;
    self->suspended = true;
    MHD_suspend_connection (self->mhd);
}

static void
s_resume (void *argument)
{
    connection_t *self = argument;
    if (!self->suspended)
        return;
    self->suspended = false;
    MHD_resume_connection (self->mhd);
}

typedef enum { AGAIN, PARKED, STOPPED } wait_t;

static wait_t
s_wait (connection_t *self)
{
    if (!adr_s3_call_pause (self->call, s_suspend))
        return AGAIN;
    adr_s3_lock (self->edge->s3);
    bool stopped = self->edge->stopping && !self->suspended;
    adr_s3_unlock (self->edge->s3);
    return stopped ? STOPPED : PARKED;
}

/* --- a connection's life ------------------------------------------------------------------------------------------ */

static void
s_enter (connection_t *self, phase_t phase)
{
    adr_s3_lock (self->edge->s3);
    self->turned |= self->phase != phase;
    self->phase = phase;
    adr_s3_unlock (self->edge->s3);
}

static connection_t *
s_start (adr_edge_t *edge, struct MHD_Connection *mhd)
{
    connection_t *self = adr_alloc (sizeof *self);
    self->edge = edge;
    self->mhd = mhd;
    self->socket = MHD_get_connection_info (mhd, MHD_CONNECTION_INFO_CONNECTION_FD)->connect_fd;
    adr_s3_lock (edge->s3);
    self->next = edge->first;
    if (self->next)
        self->next->before = self;
    edge->first = self;
    adr_s3_unlock (edge->s3);
    return self;
}

static void
s_close (connection_t *self)
{
    adr_edge_t *edge = self->edge;
    adr_s3_call_destroy (&self->call); /* the library completes no request that it has refused twice */
    adr_s3_lock (edge->s3);
    if (self->next)
        self->next->before = self->before;
    if (self->before)
        self->before->next = self->next;
    else
        edge->first = self->next;
    adr_s3_unlock (edge->s3);
    free (self);
}

/* The library closes the socket after CLOSED. */
static void
s_on_connection (void *argument, struct MHD_Connection *mhd, void **connection,
                 enum MHD_ConnectionNotificationCode code)
{
    if (code == MHD_CONNECTION_NOTIFY_STARTED)
        *connection = s_start (argument, mhd);
    else
        s_close (*connection);
}

/* The request line was read: the only place where the library shows the target as it came. */
static void *
s_on_target (void *argument, const char *target, struct MHD_Connection *mhd)
{
    adr_edge_t *edge = argument;
    connection_t *self = MHD_get_connection_info (mhd, MHD_CONNECTION_INFO_SOCKET_CONTEXT)->socket_context;
    self->call = adr_s3_call_new (edge->s3, s_resume, self);
    adr_http_request_init (adr_s3_call_request (self->call), "", target, strlen (target));
    return self;
}

/* Under s3's lock, which s_close waits for: the descriptor is nobody else's. */
static void
s_cut (connection_t *self)
{
    self->slow = true;
    if (self->phase == HELD || self->phase == BODY) {
        shutdown (self->socket, SHUT_RD); /* s_on_completed has something to say */
        return;
    }
    /* What the kernel holds for it goes, too. */
    struct linger at_once = { .l_onoff = 1 };
    setsockopt (self->socket, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
    shutdown (self->socket, SHUT_RDWR);
}

/* From one header of the answer to the next; NULL: the first. */
static bool
s_next_header (const adr_s3_answer_t *answer, const char **name, const char **value)
{
    const char *first = (const char *) answer->headers.data, *next = *name ? *value + strlen (*value) + 1 : first;
    if (!first || next == first + answer->headers.size)
        return false;
    *name = next;
    *value = next + strlen (next) + 1;
    return true;
}

/* The library answers nothing before a body's end: the answer goes past it, if the socket has room. Nothing else is on
 * its way to this client. */
static void
s_answer_past (connection_t *self, const adr_s3_answer_t *answer)
{
    char line[256];
    const char *name = NULL, *value;
    adr_buffer_t text = { 0 };
    snprintf (line, sizeof line,
              "HTTP/1.1 %u %s\r\nServer: adrestia\r\nConnection: close\r\nContent-Length: %zu\r\n"
              "x-amz-request-id: %s\r\n",
              answer->status, MHD_get_reason_phrase_for (answer->status), answer->body.size,
              adr_s3_call_id (self->call));
    adr_buffer_append (&text, line, strlen (line));
    while (s_next_header (answer, &name, &value)) {
        adr_buffer_append (&text, name, strlen (name));
        adr_buffer_append (&text, ": ", 2);
        adr_buffer_append (&text, value, strlen (value));
        adr_buffer_append (&text, "\r\n", 2);
    }
    adr_buffer_append (&text, "\r\n", 2);
    adr_buffer_append (&text, answer->body.data, answer->body.size);
    (void) send (self->socket, text.data, text.size, MSG_DONTWAIT | MSG_NOSIGNAL);
    adr_buffer_free (&text);
}

static void
s_on_completed (void *argument, struct MHD_Connection *mhd, void **request, enum MHD_RequestTerminationCode code)
{
    connection_t *self = *request;
    adr_edge_t *edge = argument;
    if (!self)
        return;
    *request = NULL;
    adr_s3_lock (edge->s3);
    if (code == MHD_REQUEST_TERMINATED_TIMEOUT_REACHED)
        s_cut (self);
    bool slow = self->slow;
    adr_s3_unlock (edge->s3);
    if (slow && (self->phase == HELD || self->phase == BODY)) {
        adr_s3_call_time_out (self->call);
        s_answer_past (self, adr_s3_call_answer (self->call));
    }
    adr_s3_call_destroy (&self->call);
    s_enter (self, HEADERS);
    MHD_set_connection_option (mhd, MHD_CONNECTION_OPTION_TIMEOUT, edge->options.idle_timeout_s);
}

/* --- who is slow --------------------------------------------------------------------------------------------------- */

/* Bytes that came or, of an answer, that the client has. The kernel counts what the library does not tell of: headers,
 * lines between chunks, answers on their way. */
static uint64_t
s_moved (const connection_t *self)
{
    struct tcp_info info = { 0 };
    socklen_t size = sizeof info;
    if (getsockopt (self->socket, IPPROTO_TCP, TCP_INFO, &info, &size) != 0)
        return self->moved;
    return self->phase == ENDED ? info.tcpi_bytes_acked : info.tcpi_bytes_received;
}

static void
s_look (connection_t *self)
{
    const adr_edge_options_t *options = &self->edge->options;
    bool headers = self->phase == HEADERS;
    uint32_t limit_s = headers                ? options->head_timeout_s
                       : self->phase == ENDED ? options->answer_window_s
                                              : options->rate_window_s;
    uint64_t moved = s_moved (self), much = (uint64_t) limit_s * RATE_MIN;
    /* Without a byte of a request it is idle. */
    bool fast = headers ? moved == self->moved : moved - self->moved >= much;
    if (self->turned || fast) {
        self->turned = false;
        self->moved = moved;
        self->slow_ns = 0;
        return;
    }
    self->slow_ns += self->edge->look_ns;
    if (self->slow_ns > limit_s * SECOND_NS)
        s_cut (self);
}

static void
s_look_at_all (adr_edge_t *self, int64_t now_ns)
{
    if (now_ns < self->look_at_ns)
        return;
    self->look_at_ns = now_ns + self->look_ns;
    for (connection_t *one = self->first; one; one = one->next)
        if (!one->suspended)
            s_look (one);
}

/* --- answers ------------------------------------------------------------------------------------------------------- */

static ssize_t
s_on_read (void *argument, uint64_t position, char *data, size_t room)
{
    connection_t *self = argument;
    (void) position;
    for (;;) {
        ssize_t got = adr_s3_call_read (self->call, data, room);
        if (got > 0)
            return got;
        if (got < 0)
            return got == -2 ? MHD_CONTENT_READER_END_OF_STREAM : MHD_CONTENT_READER_END_WITH_ERROR;
        wait_t wait = s_wait (self);
        if (wait == PARKED)
            return 0;
        if (wait == STOPPED)
            return MHD_CONTENT_READER_END_WITH_ERROR;
    }
}

static struct MHD_Response *
s_make_response (connection_t *self, const adr_s3_answer_t *answer)
{
    if (answer->streamed && answer->stream_size > 0)
        return MHD_create_response_from_callback (answer->stream_size, READ_BLOCK, s_on_read, self, NULL);
    bool head = strcmp (adr_s3_call_request (self->call)->method, "HEAD") == 0;
    return MHD_create_response_from_buffer (head ? 0 : answer->body.size, answer->body.data, MHD_RESPMEM_PERSISTENT);
}

static enum MHD_Result
s_queue (connection_t *self, const adr_s3_answer_t *answer)
{
    struct MHD_Response *response = s_make_response (self, answer);
    if (!response)
        return MHD_NO;
    const char *name = NULL, *value;
    while (s_next_header (answer, &name, &value))
        MHD_add_response_header (response, name, value);
    MHD_add_response_header (response, "x-amz-request-id", adr_s3_call_id (self->call));
    MHD_add_response_header (response, "Server", "adrestia");
    /* Where the next request begins is not sure; or it shall go elsewhere [EDGE-9]. */
    if (adr_s3_call_request (self->call)->malformed || adr_s3_is_draining (self->edge->s3))
        MHD_add_response_header (response, "Connection", "close");
    enum MHD_Result result = MHD_queue_response (self->mhd, answer->status, response);
    MHD_destroy_response (response);
    /* The library sees an answer move only when much of it has: from here on s_look alone tells. */
    MHD_set_connection_option (self->mhd, MHD_CONNECTION_OPTION_TIMEOUT, 0u);
    s_enter (self, ENDED);
    return result;
}

/* True if there is nothing to do until the call's wake, or, `result` says, ever. */
static bool
s_parked (connection_t *self, enum MHD_Result *result)
{
    wait_t wait = s_wait (self);
    *result = wait == STOPPED ? MHD_NO : MHD_YES;
    return wait != AGAIN;
}

/* Queues the answer, or waits for it; while the client waits for "100 Continue", for that its body is wanted, too. */
static enum MHD_Result
s_answer (connection_t *self)
{
    for (;;) {
        enum MHD_Result result;
        const adr_s3_answer_t *answer = adr_s3_call_answer (self->call);
        if (answer)
            return s_queue (self, answer);
        if (self->phase == HELD && !adr_s3_call_holds (self->call)) {
            s_enter (self, BODY);
            return MHD_YES;
        }
        if (s_parked (self, &result))
            return result;
    }
}

/* --- requests ------------------------------------------------------------------------------------------------------ */

static int64_t
s_wall_ms (void)
{
    struct timespec now;
    clock_gettime (CLOCK_REALTIME, &now);
    return (int64_t) now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static bool
s_expects_continue (const adr_http_request_t *request)
{
    return adr_http_text_equal_case (adr_http_header (request, "expect"), "100-continue");
}

static bool
s_would_send_much (const adr_http_request_t *request)
{
    uint64_t length;
    adr_bytes_t text = adr_http_header (request, "content-length");
    if (!text.data)
        return adr_http_header (request, "transfer-encoding").data != NULL;
    return !adr_http_number (&length, text) || length > DRAIN_MAX;
}

static enum MHD_Result
s_on_header (void *argument, enum MHD_ValueKind kind, const char *name, size_t name_size, const char *value,
             size_t value_size)
{
    (void) kind;
    adr_http_request_add (argument, name, name_size, value, value_size);
    return MHD_YES;
}

static enum MHD_Result
s_on_headers (connection_t *self, const char *method)
{
    adr_http_request_t *request = adr_s3_call_request (self->call);
    request->method = method;
    MHD_get_connection_values_n (self->mhd, MHD_HEADER_KIND, s_on_header, request);
    /* Two words on where the body ends are one too many: somebody before us may believe the other one. */
    if (adr_http_header_times (request, "transfer-encoding") + adr_http_header_times (request, "content-length") > 1)
        request->malformed = true;
    adr_s3_call_begin (self->call, s_wall_ms ());
    bool expects = s_expects_continue (request);
    s_enter (self, expects ? HELD : BODY);
    if (expects)
        return s_answer (self);
    const adr_s3_answer_t *answer = adr_s3_call_answer (self->call);
    return answer && (request->malformed || s_would_send_much (request)) ? s_queue (self, answer) : MHD_YES;
}

static enum MHD_Result
s_on_body (connection_t *self, const char *data, size_t *size)
{
    for (;;) {
        size_t taken = adr_s3_call_body (self->call, data, *size);
        data += taken;
        *size -= taken;
        if (*size == 0)
            return MHD_YES;
        enum MHD_Result result;
        if (taken == 0 && s_parked (self, &result))
            return result;
    }
}

static enum MHD_Result
s_on_request (void *argument, struct MHD_Connection *mhd, const char *url, const char *method, const char *version,
              const char *data, size_t *size, void **request)
{
    connection_t *self = *request;
    (void) argument;
    (void) mhd;
    (void) url;
    (void) version;
    if (!self)
        return MHD_NO;
    if (self->phase == HEADERS)
        return s_on_headers (self, method);
    if (*size > 0)
        return s_on_body (self, data, size);
    if (self->phase == BODY) {
        s_enter (self, ENDED);
        adr_s3_call_end (self->call);
    }
    return s_answer (self);
}

/* --- the edge ------------------------------------------------------------------------------------------------------ */

static bool
s_read_address (adr_edge_t *self, const char *listen)
{
    char host[256];
    const char *colon = strrchr (listen, ':');
    size_t size = colon ? (size_t) (colon - listen) : 0;
    if (!colon || size == 0 || size >= sizeof host)
        return false;
    memcpy (host, listen, size);
    host[size] = '\0';
    char *name = host;
    if (host[0] == '[' && host[size - 1] == ']') {
        host[size - 1] = '\0';
        name++;
    }
    struct addrinfo hints = { .ai_socktype = SOCK_STREAM, .ai_flags = AI_PASSIVE | AI_NUMERICSERV }, *found;
    if (getaddrinfo (name, colon + 1, &hints, &found) != 0)
        return false;
    self->address_size = found->ai_addrlen;
    memcpy (&self->address, found->ai_addr, found->ai_addrlen);
    freeaddrinfo (found);
    return true;
}

static const char *
s_copy (const char *text, const char *otherwise)
{
    text = text && *text ? text : otherwise;
    size_t size = strlen (text) + 1;
    return memcpy (adr_alloc (size), text, size);
}

/* Without a file the cluster's credentials count alone. */
static bool
s_load_credentials (adr_edge_t *self, char *error, size_t error_size)
{
    const char *file = self->options.credentials_file;
    adr_credentials_t *local = *file ? adr_credentials_load (file, error, error_size) : NULL;
    if (*file && !local)
        return false;
    self->keyring = adr_keyring_new (local);
    return true;
}

adr_edge_t *
adr_edge_new (const adr_edge_options_t *options, char *error, size_t error_size)
{
    adr_edge_t *self = adr_alloc (sizeof *self);
    adr_edge_options_t *own = &self->options;
    *own = *options;
    own->listen = s_copy (options->listen, "");
    own->credentials_file = s_copy (options->credentials_file, "");
    own->region = s_copy (options->region, DEFAULT_REGION);
    own->domain = s_copy (options->domain, "");
    own->connections_max = own->connections_max ? own->connections_max : CONNECTIONS_MAX;
    own->idle_timeout_s = own->idle_timeout_s ? own->idle_timeout_s : IDLE_TIMEOUT_S;
    own->head_timeout_s = own->head_timeout_s ? own->head_timeout_s : HEAD_TIMEOUT_S;
    own->rate_window_s = own->rate_window_s ? own->rate_window_s : RATE_WINDOW_S;
    own->answer_window_s = own->answer_window_s ? own->answer_window_s : ANSWER_WINDOW_S;
    own->threads = own->threads ? own->threads : THREADS;
    own->requests_bytes_max = own->requests_bytes_max ? own->requests_bytes_max : REQUESTS_BYTES_MAX;
    if (own->connections_max < own->threads)
        own->threads = own->connections_max;
    uint32_t shorter_s = own->head_timeout_s < own->rate_window_s ? own->head_timeout_s : own->rate_window_s;
    self->look_ns = shorter_s * SECOND_NS / LOOKS;
    if (strlen (own->region) > 63)
        snprintf (error, error_size, "the region's name has more than 63 characters");
    else if (!s_read_address (self, own->listen))
        snprintf (error, error_size, "\"%s\" is no address to listen on; expected HOST:PORT", own->listen);
    else if (s_load_credentials (self, error, error_size))
        return self;
    adr_edge_destroy (&self);
    return NULL;
}

static bool
s_listen (adr_edge_t *self)
{
    /* poll, not epoll: the library's edge-triggered epoll takes no note of an end that came with the last bytes, so that
     * a client killed in the middle of an upload would keep its place, and its transfer, for the idle time. It costs 8 %
     * of a small request, a third beside 800 idle connections. */
    unsigned flags = MHD_USE_POLL_INTERNAL_THREAD | MHD_ALLOW_SUSPEND_RESUME;
    if (self->address.ss_family == AF_INET6)
        flags |= MHD_USE_IPv6;
    self->daemon = MHD_start_daemon (
        flags, 0, NULL, NULL, s_on_request, self, /* */
        MHD_OPTION_SOCK_ADDR, (struct sockaddr *) &self->address,              /* */
        MHD_OPTION_NOTIFY_CONNECTION, s_on_connection, self,                   /* */
        MHD_OPTION_URI_LOG_CALLBACK, s_on_target, self,                        /* */
        MHD_OPTION_NOTIFY_COMPLETED, s_on_completed, self,                     /* */
        MHD_OPTION_CONNECTION_LIMIT, (unsigned) self->options.connections_max, /* */
        MHD_OPTION_CONNECTION_TIMEOUT, (unsigned) self->options.idle_timeout_s,
        MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t) CONNECTION_MEMORY,          /* */
        MHD_OPTION_CONNECTION_MEMORY_INCREMENT, (size_t) CONNECTION_MEMORY_STEP, /* */
        MHD_OPTION_THREAD_POOL_SIZE, self->options.threads > 1 ? (unsigned) self->options.threads : 0u,
        MHD_OPTION_STRICT_FOR_CLIENT, 1, MHD_OPTION_END);
    if (!self->daemon)
        return false;
    const union MHD_DaemonInfo *info = MHD_get_daemon_info (self->daemon, MHD_DAEMON_INFO_BIND_PORT);
    self->port = info ? info->port : 0;
    return true;
}

bool
adr_edge_start (adr_edge_t *self, const adr_id_t *cluster, const adr_id_t *node, adr_session_send_fn *send,
                adr_session_wake_fn *wake, void *transport, char *error, size_t error_size)
{
    uint64_t seed;
    int rc = gnutls_rnd (GNUTLS_RND_RANDOM, &seed, sizeof seed);
    adr_assert (rc == 0 && !self->s3);
    adr_s3_settings_t settings = { .region = self->options.region,
                                   .domain = self->options.domain,
                                   .limit_ms = self->options.limit_ms,
                                   .transfers_max = self->options.transfers_max };
    adr_session_t *session
        = adr_session_new (cluster, node, seed, self->options.requests_bytes_max, send, transport);
    if (wake)
        adr_session_set_wake (session, wake);
    self->wakes = wake != NULL;
    if (self->options.limit_ms)
        adr_session_set_limit (session, self->options.limit_ms);
    adr_s3_t *s3 = adr_s3_new (&settings, self->keyring, session);
    adr_s3_lock (s3);
    self->session = session;
    __atomic_store_n (&self->s3, s3, __ATOMIC_SEQ_CST);
    adr_s3_unlock (s3);
    if (__atomic_load_n (&self->draining, __ATOMIC_SEQ_CST)) /* told before, or just now */
        adr_s3_drain (s3, true);
    if (s_listen (self)) {
        if (wake)
            wake (transport); /* connections are looked at from now on */
        return true;
    }
    snprintf (error, error_size, "cannot listen on %s for HTTP", self->options.listen);
    adr_edge_stop (self);
    return false;
}

void
adr_edge_stop (adr_edge_t *self)
{
    if (!self->s3)
        return;
    adr_s3_lock (self->s3);
    self->stopping = true;
    for (connection_t *one = self->first; one; one = one->next)
        s_resume (one);
    adr_s3_unlock (self->s3);
    if (self->daemon)
        MHD_stop_daemon (self->daemon); /* completes every request */
    self->daemon = NULL;
    adr_s3_lock (self->s3);
    adr_session_destroy (&self->session);
    adr_s3_unlock (self->s3);
}

void
adr_edge_destroy (adr_edge_t **self_p)
{
    adr_edge_t *self = *self_p;
    if (!self)
        return;
    adr_assert (!self->session);
    adr_s3_destroy (&self->s3);
    adr_keyring_destroy (&self->keyring);
    free ((char *) self->options.listen);
    free ((char *) self->options.credentials_file);
    free ((char *) self->options.region);
    free ((char *) self->options.domain);
    free (self);
    *self_p = NULL;
}

void
adr_edge_take_credentials (void *argument, adr_bytes_t rows)
{
    adr_edge_t *self = argument;
    bool taken = adr_keyring_take (self->keyring, rows);
    (void) taken; /* the taker has read them; nonsense would change nothing */
}

void
adr_edge_drain (void *argument, bool draining)
{
    adr_edge_t *self = argument;
    __atomic_store_n (&self->draining, draining, __ATOMIC_SEQ_CST);
    adr_s3_t *s3 = __atomic_load_n (&self->s3, __ATOMIC_SEQ_CST);
    if (s3)
        adr_s3_drain (s3, draining);
}

uint16_t
adr_edge_port (const adr_edge_t *self)
{
    return self->port;
}

/* --- the transport's side ------------------------------------------------------------------------------------------- */

void
adr_edge_receive (void *argument, adr_bytes_t pack)
{
    adr_edge_t *self = argument;
    adr_s3_t *s3 = __atomic_load_n (&self->s3, __ATOMIC_ACQUIRE);
    if (!s3)
        return;
    adr_s3_lock (s3);
    if (self->session)
        adr_session_receive (self->session, pack);
    adr_s3_unlock (s3);
}

int64_t
adr_edge_tick (void *argument, int64_t now_ns)
{
    adr_edge_t *self = argument;
    adr_s3_t *s3 = __atomic_load_n (&self->s3, __ATOMIC_ACQUIRE);
    if (!s3)
        return INT64_MAX;
    int64_t next = INT64_MAX;
    adr_s3_lock (s3);
    if (self->session) {
        adr_session_tick (self->session, now_ns);
        next = adr_session_wake_at (self->session);
        /* Nobody calls when something is asked for that needs the clock. */
        if (!self->wakes && next > now_ns + TICK_NS)
            next = now_ns + TICK_NS;
        s_look_at_all (self, now_ns);
        if (next > self->look_at_ns)
            next = self->look_at_ns;
    }
    adr_s3_unlock (s3);
    return next;
}
