/* SPDX-License-Identifier: MPL-2.0 */
/* The HTTP edge and clients that are slow: with headers, with a body, at reading an answer. Real sockets, limits of a
 * second, a store in memory. What a client waits between two of its bytes is the attack itself. */

#include "edge/auth.h"
#include "edge/digest.h"
#include "edge/edge.h"

#include "fake_store.h"

#include <arpa/inet.h>
#include <errno.h>
#include <malloc.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#define SECOND INT64_C (1000000000)
#define DEADLINE (20 * SECOND)
#define PACE_MS 50        /* between two pieces */
#define LARGE (16 << 20)  /* more than the kernel holds for a socket */

typedef struct {
    adr_edge_t *edge;
    fake_store_t *store;
    pthread_t thread;
    bool stop, woken, holds; /* atomic */
    unsigned chunks;         /* that were ever written; atomic */
} world_t;

static world_t *s_world; /* for the one callback that gets no other */

static int64_t
s_now (void)
{
    struct timespec now;
    clock_gettime (CLOCK_BOOTTIME, &now);
    return now.tv_sec * SECOND + now.tv_nsec;
}

static void
s_wake (void *transport)
{
    (void) transport;
    __atomic_store_n (&s_world->woken, true, __ATOMIC_RELEASE);
}

static fake_fate_t
s_fate (void *argument, const fake_request_t *request)
{
    world_t *world = argument;
    if (request->kind == ADR__KIND__WRITE && request->table == ADR_TABLE_CHUNK && !request->delete_it)
        __atomic_fetch_add (&world->chunks, 1, __ATOMIC_RELAXED);
    return __atomic_load_n (&world->holds, __ATOMIC_ACQUIRE) ? FAKE_HOLD : FAKE_DO;
}

/* Ticks when it must, and no more. */
static void *
s_serve (void *argument)
{
    world_t *world = argument;
    int64_t tick_ns = INT64_MAX;
    while (!__atomic_load_n (&world->stop, __ATOMIC_ACQUIRE)) {
        fake_store_wait (world->store, 5);
        bool due = fake_store_answer (world->store, adr_edge_receive, world->edge) > 0;
        if (__atomic_exchange_n (&world->woken, false, __ATOMIC_ACQ_REL) || due || s_now () >= tick_ns)
            tick_ns = adr_edge_tick (world->edge, s_now ());
    }
    return NULL;
}

static int
s_setup (void **state, uint32_t idle_timeout_s, uint32_t rate_window_s)
{
    world_t *world = adr_alloc (sizeof *world);
    char path[] = "/tmp/test_edge-XXXXXX", error[256] = "";
    static const char s_keys[] = "- access-key: GOOD\n  secret-key: good secret\n";
    int file = mkstemp (path);
    assert_true (file >= 0);
    assert_int_equal (write (file, s_keys, strlen (s_keys)), strlen (s_keys));
    close (file);
    adr_edge_options_t options = { .listen = "127.0.0.1:0",
                                   .credentials_file = path,
                                   .idle_timeout_s = idle_timeout_s,
                                   .head_timeout_s = 1,
                                   .rate_window_s = rate_window_s,
                                   .answer_window_s = 1,
                                   .transfers_max = 2 };
    adr_id_t cluster = { { 1 } }, node = { { 2 } };
    s_world = world;
    world->store = fake_store_new (&cluster);
    fake_store_set_fate (world->store, s_fate, world);
    world->edge = adr_edge_new (&options, error, sizeof error);
    unlink (path);
    assert_non_null (world->edge);
    assert_int_equal (pthread_create (&world->thread, NULL, s_serve, world), 0);
    assert_true (adr_edge_start (world->edge, &cluster, &node, fake_store_send, s_wake, world->store, error, sizeof error));
    *state = world;
    return 0;
}

/* Slow for a second is too slow. */
static int
s_setup_rate (void **state)
{
    return s_setup (state, 60, 1);
}

/* Silent for a second is too long. */
static int
s_setup_idle (void **state)
{
    return s_setup (state, 1, 60);
}

static int
s_teardown (void **state)
{
    world_t *world = *state;
    adr_edge_stop (world->edge);
    __atomic_store_n (&world->stop, true, __ATOMIC_RELEASE);
    pthread_join (world->thread, NULL);
    adr_edge_destroy (&world->edge);
    fake_store_destroy (&world->store);
    free (world);
    return 0;
}

/* --- requests --------------------------------------------------------------------------------------------------------- */

/* Appends line and headers, signed; `more` are further headers, each with its CRLF. */
static void
s_head (adr_buffer_t *to, const char *method, const char *target, const char *more)
{
    static const char s_list[] = "host;x-amz-content-sha256;x-amz-date", s_payload[] = "UNSIGNED-PAYLOAD";
    char date[17], scope[64], hash[65], text[256], signature[ADR_SIGNATURE_TEXT], head[1024];
    time_t now = time (NULL);
    struct tm tm;
    strftime (date, sizeof date, "%Y%m%dT%H%M%SZ", gmtime_r (&now, &tm));
    snprintf (scope, sizeof scope, "%.8s/us-east-1/s3/aws4_request", date);
    adr_http_request_t request;
    adr_http_request_init (&request, method, target, strlen (target));
    adr_http_request_add (&request, "host", 4, "x", 1);
    adr_http_request_add (&request, "x-amz-content-sha256", 20, s_payload, strlen (s_payload));
    adr_http_request_add (&request, "x-amz-date", 10, date, 16);
    adr_buffer_t canonical = { 0 };
    adr_auth_canonical (&canonical, &request, adr_bytes (s_list, strlen (s_list)),
                        adr_bytes (s_payload, strlen (s_payload)));
    uint8_t digest[32], key[32];
    adr_sha256 (canonical.data, canonical.size, digest);
    adr_buffer_free (&canonical);
    adr_http_request_free (&request);
    adr_hex_encode (hash, digest, 32);
    int size = snprintf (text, sizeof text, "AWS4-HMAC-SHA256\n%s\n%s\n%s", date, scope, hash);
    adr_auth_signing_key (key, "good secret", adr_bytes (date, 8), "us-east-1");
    adr_auth_sign (key, adr_bytes (text, (size_t) size), signature);
    size = snprintf (head, sizeof head,
                     "%s %s HTTP/1.1\r\nHost: x\r\nx-amz-date: %s\r\nx-amz-content-sha256: %s\r\nAuthorization: "
                     "AWS4-HMAC-SHA256 Credential=GOOD/%s, SignedHeaders=%s, Signature=%s\r\n%s\r\n",
                     method, target, date, s_payload, scope, s_list, signature, more);
    assert_true (size > 0 && (size_t) size < sizeof head);
    adr_buffer_append (to, head, (size_t) size);
}

/* A client. */
typedef struct {
    const char *name;
    int socket;
    adr_buffer_t request;  /* what it has to say */
    size_t at;             /* so much of it is said */
    size_t whole;          /* so much of it at once, at the start */
    size_t piece;          /* then so much a pace; 0: nothing any more */
    size_t gulp;           /* it reads so much a pace; 0: whatever there is */
    int64_t slow_until_ns; /* then it is as fast as it can; 0: slow for ever */
    adr_buffer_t answer;
    bool ended;
    int64_t ended_ns;
} peer_t;

static void
s_connect (world_t *world, peer_t *peer)
{
    struct sockaddr_in to = { .sin_family = AF_INET, .sin_port = htons (adr_edge_port (world->edge)),
                              .sin_addr.s_addr = htonl (INADDR_LOOPBACK) };
    int room = 4096;
    peer->socket = socket (AF_INET, SOCK_STREAM, 0);
    assert_true (peer->socket >= 0);
    if (peer->gulp)
        setsockopt (peer->socket, SOL_SOCKET, SO_RCVBUF, &room, sizeof room);
    assert_int_equal (connect (peer->socket, (struct sockaddr *) &to, sizeof to), 0);
}

static void
s_end (peer_t *peer)
{
    if (!peer->ended)
        peer->ended_ns = s_now ();
    peer->ended = true;
}

static void
s_read (peer_t *peer, size_t size)
{
    while (!peer->ended) {
        static char s_room[256 * 1024];
        ssize_t got = recv (peer->socket, s_room, size && size < sizeof s_room ? size : sizeof s_room, MSG_DONTWAIT);
        if (got < 0 && errno == EAGAIN)
            return;
        if (got <= 0)
            s_end (peer);
        else
            adr_buffer_append (&peer->answer, s_room, (size_t) got);
        if (size)
            return;
    }
}

static void
s_say (peer_t *peer, size_t size)
{
    size_t left = peer->request.size - peer->at;
    ssize_t sent = send (peer->socket, peer->request.data + peer->at, size < left ? size : left,
                         MSG_NOSIGNAL | MSG_DONTWAIT);
    if (sent >= 0)
        peer->at += (size_t) sent;
    else if (errno != EAGAIN)
        s_end (peer);
}

/* What it has to say at once. */
static void
s_begin (world_t *world, peer_t *peer)
{
    s_connect (world, peer);
    int64_t deadline_ns = s_now () + DEADLINE;
    while (peer->at < peer->whole && !peer->ended) {
        struct pollfd writable = { peer->socket, POLLOUT, 0 };
        assert_true (s_now () < deadline_ns);
        poll (&writable, 1, 1000);
        s_say (peer, peer->whole - peer->at);
    }
}

/* It need not read all that it has to know that the other end is gone. */
static bool
s_is_gone (const peer_t *peer)
{
    struct pollfd gone = { peer->socket, POLLRDHUP, 0 };
    return poll (&gone, 1, 0) > 0;
}

/* A pace of each: they read first, so that none says anything into a closed socket before it has read why. */
static void
s_pace (peer_t *peers, size_t count)
{
    poll (NULL, 0, PACE_MS);
    for (size_t i = 0; i < count; i++) {
        peer_t *one = &peers[i];
        bool slow = one->slow_until_ns == 0 || s_now () < one->slow_until_ns;
        s_read (one, slow && !s_is_gone (one) ? one->gulp : 0);
        if (one->piece && one->at < one->request.size && !one->ended)
            s_say (one, slow ? one->piece : SIZE_MAX);
    }
}

static void
s_free (peer_t *peer)
{
    close (peer->socket);
    adr_buffer_free (&peer->request);
    adr_buffer_free (&peer->answer);
}

/* The answer, behind a "100 Continue". */
static adr_bytes_t
s_answer (const peer_t *peer)
{
    static const char s_interim[] = "HTTP/1.1 100 Continue\r\n\r\n";
    adr_bytes_t answer = adr_bytes (peer->answer.size ? peer->answer.data : (const uint8_t *) "", peer->answer.size);
    size_t skip = adr_http_starts_with (answer, s_interim) ? strlen (s_interim) : 0;
    return adr_bytes (answer.data + skip, answer.size - skip);
}

static bool
s_answer_has (const peer_t *peer, const char *text)
{
    return memmem (s_answer (peer).data, s_answer (peer).size, text, strlen (text)) != NULL;
}

/* Bytes of the answer's body that came. */
static size_t
s_body_size (const peer_t *peer)
{
    adr_bytes_t answer = s_answer (peer);
    const uint8_t *end = memmem (answer.data, answer.size, "\r\n\r\n", 4);
    return end ? (size_t) (answer.data + answer.size - end - 4) : 0;
}

/* A quick request with a body of `size` bytes; its status. */
static unsigned
s_ask (world_t *world, const char *method, const char *target, size_t size)
{
    char more[80];
    uint64_t status = 0;
    peer_t peer = { .name = target };
    snprintf (more, sizeof more, "Connection: close\r\nContent-Length: %zu\r\n", size);
    s_head (&peer.request, method, target, more);
    memset (adr_buffer_grow (&peer.request, size), 'x', size);
    peer.whole = peer.request.size;
    s_begin (world, &peer);
    for (int64_t deadline_ns = s_now () + DEADLINE; !peer.ended && s_now () < deadline_ns;) {
        struct pollfd readable = { peer.socket, POLLIN, 0 };
        poll (&readable, 1, 1000);
        s_read (&peer, 0);
    }
    assert_true (peer.ended && adr_http_starts_with (s_answer (&peer), "HTTP/1.1 "));
    assert_true (adr_http_number (&status, adr_bytes (s_answer (&peer).data + 9, 3)));
    s_free (&peer);
    return (unsigned) status;
}

static void
s_add_text (peer_t *peer, const char *text)
{
    adr_buffer_append (&peer->request, text, strlen (text));
}

/* Until all of them have ended. */
static void
s_run (peer_t *peers, size_t count)
{
    for (int64_t deadline_ns = s_now () + DEADLINE;;) {
        bool all = true;
        s_pace (peers, count);
        for (size_t i = 0; i < count; i++)
            all = all && peers[i].ended;
        if (all)
            return;
        for (size_t i = 0; i < count && s_now () >= deadline_ns; i++)
            if (!peers[i].ended)
                fail_msg ("%s: still there", peers[i].name);
    }
}

/* --- headers ---------------------------------------------------------------------------------------------------------- */

#define LIVE "GET /_adrestia/health/live HTTP/1.1\r\nHost: x\r\n"

/* A head has a second from its first byte; whoever has sent nothing of one is idle, for as long as that may last. */
static void
test_slow_headers (void **state)
{
    world_t *world = *state;
    peer_t peers[] = { { .name = "a slow line" }, { .name = "slow headers" }, { .name = "empty lines" },
                       { .name = "a slow second request" }, { .name = "idle" } };
    enum { SLOW = 4, LAST = 4, ALL = 5 };
    char filler[2001];
    memset (filler, 'a', 2000);
    filler[2000] = '\0';
    s_add_text (&peers[0], "GET /");
    s_add_text (&peers[0], filler);
    s_add_text (&peers[1], LIVE "X-Slow: ");
    peers[1].whole = peers[1].request.size;
    s_add_text (&peers[1], filler);
    for (int i = 0; i < 1000; i++)
        s_add_text (&peers[2], "\r\n");
    s_add_text (&peers[3], LIVE "\r\n");
    peers[3].whole = peers[3].request.size;
    s_add_text (&peers[3], LIVE "X-Slow: ");
    s_add_text (&peers[3], filler);
    int64_t started_ns = s_now ();
    for (int i = 0; i < ALL; i++) {
        peers[i].piece = i == LAST ? 0 : 1;
        s_begin (world, &peers[i]);
    }
    s_run (peers, SLOW);
    for (int i = 0; i < SLOW; i++)
        assert_true (peers[i].ended_ns - started_ns > SECOND);
    assert_true (s_answer_has (&peers[3], "live\n"));
    s_pace (&peers[LAST], 1);
    assert_false (peers[LAST].ended);
    s_add_text (&peers[LAST], LIVE "Connection: close\r\n\r\n");
    peers[LAST].piece = SIZE_MAX;
    s_run (&peers[LAST], 1);
    assert_true (s_answer_has (&peers[LAST], "live\n"));
    for (int i = 0; i < ALL; i++)
        s_free (&peers[i]);
}

/* --- bodies ----------------------------------------------------------------------------------------------------------- */

static void
s_put (peer_t *peer, const char *target, const char *more, size_t size, size_t whole)
{
    s_head (&peer->request, "PUT", target, more);
    peer->whole = peer->request.size + whole;
    memset (adr_buffer_grow (&peer->request, size), 'x', size);
}

static void
s_check_timed_out (const peer_t *peer)
{
    char length[64];
    snprintf (length, sizeof length, "\r\nContent-Length: %zu\r\n", s_body_size (peer));
    if (!adr_http_starts_with (s_answer (peer), "HTTP/1.1 400 Bad Request\r\n")
        || !s_answer_has (peer, "<Code>RequestTimeout</Code>") || !s_answer_has (peer, length))
        fail_msg ("%s: %.*s", peer->name, (int) peer->answer.size, (const char *) peer->answer.data);
}

/* Waits until all that was uploaded is gone. */
static void
s_wait_for_no_chunks (world_t *world)
{
    for (int64_t deadline_ns = s_now () + DEADLINE; fake_store_count (world->store, ADR_TABLE_CHUNK) > 0;) {
        assert_true (s_now () < deadline_ns);
        poll (NULL, 0, PACE_MS);
    }
}

/* Two uploads that say so much a pace hear RequestTimeout; what came of them goes, and so do their two places. */
static void
s_check_uploads (world_t *world, size_t piece)
{
    size_t size = 3 << 20;
    assert_int_equal (s_ask (world, "PUT", "/bucket", 0), 200);
    peer_t peers[] = { { .name = "with a length", .piece = piece }, { .name = "that expected 100", .piece = piece } };
    s_put (&peers[0], "/bucket/slow", "Content-Length: 3145728\r\n", size, size / 2);
    s_put (&peers[1], "/bucket/slow", "Content-Length: 3145728\r\nExpect: 100-continue\r\n", size, size / 2);
    s_begin (world, &peers[0]);
    s_begin (world, &peers[1]);
    s_run (peers, 2);
    for (int i = 0; i < 2; i++) {
        s_check_timed_out (&peers[i]);
        s_free (&peers[i]);
    }
    assert_true (__atomic_load_n (&world->chunks, __ATOMIC_RELAXED) >= 2);
    s_wait_for_no_chunks (world);
    assert_int_equal (s_ask (world, "GET", "/bucket/slow", 0), 404);
    assert_int_equal (s_ask (world, "PUT", "/bucket/third", 1), 200);
}

static void
test_slow_body (void **state)
{
    s_check_uploads (*state, 1);
}

static void
test_silent_body (void **state)
{
    s_check_uploads (*state, 0);
}

/* The same with what is no content, and which the library does not show: lines between chunks, and behind them. */
static void
test_slow_chunks (void **state)
{
    world_t *world = *state;
    peer_t peers[] = { { .name = "slow chunk", .piece = 1 }, { .name = "slow trailer", .piece = 1 } };
    for (int i = 0; i < 2; i++) {
        s_head (&peers[i].request, "POST", "/bucket?delete", "Transfer-Encoding: chunked\r\n");
        s_add_text (&peers[i], i == 0 ? "3\r\nabc\r\n3;" : "3\r\nabc\r\n0\r\nX: ");
        peers[i].whole = peers[i].request.size;
        memset (adr_buffer_grow (&peers[i].request, 2000), 'a', 2000);
        s_begin (world, &peers[i]);
    }
    s_run (peers, 2);
    for (int i = 0; i < 2; i++) {
        s_check_timed_out (&peers[i]);
        s_free (&peers[i]);
    }
}

/* Nobody is slow who waits for us: an upload that finds no room, and one that is whole. */
static void
test_slow_store (void **state)
{
    world_t *world = *state;
    assert_int_equal (s_ask (world, "PUT", "/bucket", 0), 200);
    char more[64];
    snprintf (more, sizeof more, "Connection: close\r\nContent-Length: %d\r\n", LARGE);
    peer_t peers[] = { { .name = "large", .piece = SIZE_MAX }, { .name = "small", .piece = SIZE_MAX } };
    s_put (&peers[0], "/bucket/large", more, LARGE, 0);
    s_put (&peers[1], "/bucket/small", "Connection: close\r\nContent-Length: 1\r\n", 1, 0);
    s_begin (world, &peers[0]);
    s_begin (world, &peers[1]);
    __atomic_store_n (&world->holds, true, __ATOMIC_RELEASE);
    for (int64_t until_ns = s_now () + 3 * SECOND; s_now () < until_ns;)
        s_pace (peers, 2);
    assert_false (peers[0].ended || peers[1].ended);
    __atomic_store_n (&world->holds, false, __ATOMIC_RELEASE);
    fake_store_release (world->store);
    s_run (peers, 2);
    for (int i = 0; i < 2; i++) {
        assert_true (s_answer_has (&peers[i], "HTTP/1.1 200"));
        s_free (&peers[i]);
    }
}

/* Slow, but fast enough, for three times as long as is looked at. */
static void
test_steady (void **state)
{
    world_t *world = *state;
    assert_int_equal (s_ask (world, "PUT", "/bucket", 0), 200);
    assert_int_equal (s_ask (world, "PUT", "/bucket/large", LARGE), 200);
    peer_t peers[] = { { .name = "upload", .piece = 512 }, { .name = "download", .piece = SIZE_MAX, .gulp = 8192 } };
    s_put (&peers[0], "/bucket/steady", "Connection: close\r\nContent-Length: 100000\r\n", 100000, 0);
    s_head (&peers[1].request, "GET", "/bucket/large", "Connection: close\r\n");
    for (int i = 0; i < 2; i++) {
        peers[i].slow_until_ns = s_now () + 3 * SECOND;
        s_begin (world, &peers[i]);
    }
    s_run (peers, 2);
    assert_true (s_answer_has (&peers[0], "HTTP/1.1 200"));
    assert_true (s_answer_has (&peers[1], "HTTP/1.1 200"));
    assert_int_equal (s_body_size (&peers[1]), LARGE);
    assert_int_equal (s_ask (world, "GET", "/bucket/steady", 0), 200);
    s_free (&peers[0]);
    s_free (&peers[1]);
}

/* --- answers ---------------------------------------------------------------------------------------------------------- */

/* Two who read a few bytes now and then are cut, and know that it is not the whole; their two places are free. */
static void
s_check_readers (world_t *world)
{
    assert_int_equal (s_ask (world, "PUT", "/bucket", 0), 200);
    assert_int_equal (s_ask (world, "PUT", "/bucket/large", LARGE), 200);
    peer_t peers[] = { { .name = "one", .piece = SIZE_MAX, .gulp = 1 }, { .name = "other", .piece = SIZE_MAX, .gulp = 9 } };
    for (int i = 0; i < 2; i++) {
        s_head (&peers[i].request, "GET", "/bucket/large", "");
        s_begin (world, &peers[i]);
    }
    s_run (peers, 2);
    for (int i = 0; i < 2; i++) {
        assert_true (s_body_size (&peers[i]) > 0 && s_body_size (&peers[i]) < LARGE);
        s_free (&peers[i]);
    }
    assert_int_equal (s_ask (world, "GET", "/bucket/large", 0), 200);
}

static void
test_slow_reader (void **state)
{
    s_check_readers (*state);
}

/* The kernel's room for the answer is full. */
static void
test_silent_reader (void **state)
{
    s_check_readers (*state);
}

/* A target with more parameters than the library has room for: it refuses that twice, and completes it never. */
static void
test_what_is_refused_leaves_nothing (void **state)
{
    char request[4096] = "GET /?";
    for (int i = 0; i < 1500; i++)
        strcat (request, "a&");
    strcat (request, "a HTTP/1.1\r\nHost: x\r\n\r\n");
    size_t before = 0;
    for (int i = 0; i < 400; i++) {
        peer_t peer = { .name = "many parameters" };
        char answer[1024];
        s_connect (*state, &peer);
        assert_int_equal (send (peer.socket, request, strlen (request), MSG_NOSIGNAL), strlen (request));
        while (recv (peer.socket, answer, sizeof answer, 0) > 0)
            ;
        s_free (&peer);
        if (i == 199)
            before = mallinfo2 ().uordblks;
    }
    assert_true (mallinfo2 ().uordblks < before + 500 * 1024); /* of a MiB and more if each left its request */
}

/* [EDGE-9] A connection that is kept alive asks once more, is told to go elsewhere, and closed; an upload that has begun ends, and then its
 * connection, too. */
static void
test_draining (void **state)
{
    world_t *world = *state;
    peer_t peers[] = { { .name = "an upload" }, { .name = "kept alive" } };
    char more[64];
    assert_int_equal (s_ask (world, "PUT", "/bucket", 0), 200);
    snprintf (more, sizeof more, "Content-Length: %d\r\n", LARGE);
    s_put (&peers[0], "/bucket/large", more, LARGE, LARGE / 2);
    s_add_text (&peers[1], LIVE "\r\n");
    peers[1].whole = peers[1].request.size;
    for (int i = 0; i < 2; i++)
        s_begin (world, &peers[i]);
    int64_t deadline_ns = s_now () + DEADLINE;
    while (s_now () < deadline_ns && (__atomic_load_n (&world->chunks, __ATOMIC_RELAXED) == 0 || !s_answer_has (&peers[1], "live\n")))
        s_pace (peers, 2);
    assert_false (peers[0].ended || peers[1].ended);
    adr_edge_drain (world->edge, true);
    s_head (&peers[1].request, "GET", "/bucket/large", "");
    for (int i = 0; i < 2; i++)
        peers[i].piece = SIZE_MAX;
    s_run (peers, 2);
    assert_true (s_answer_has (&peers[0], "HTTP/1.1 200 ") && s_answer_has (&peers[0], "Connection: close"));
    assert_true (s_answer_has (&peers[1], "HTTP/1.1 503 ") && s_answer_has (&peers[1], "Connection: close"));
    for (int i = 0; i < 2; i++)
        s_free (&peers[i]);
    adr_edge_drain (world->edge, false);
    assert_int_equal (s_ask (world, "GET", "/bucket/large", 0), 200);
}

#define RATE(test) cmocka_unit_test_setup_teardown (test, s_setup_rate, s_teardown)
#define IDLE(test) cmocka_unit_test_setup_teardown (test, s_setup_idle, s_teardown)

int
main (void)
{
    const struct CMUnitTest tests[] = {
        IDLE (test_draining), RATE (test_slow_headers), RATE (test_slow_body), IDLE (test_silent_body),   RATE (test_slow_chunks),
        RATE (test_what_is_refused_leaves_nothing), RATE (test_slow_store),   RATE (test_steady),    RATE (test_slow_reader), IDLE (test_silent_reader),
    };
    return cmocka_run_group_tests (tests, NULL, NULL);
}
