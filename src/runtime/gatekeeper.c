/* SPDX-License-Identifier: MPL-2.0 */
/* The gatekeeper: see gatekeeper.h.
 *
 * A request has seven frames: version "1.0", request id, domain, address, routing id, mechanism, key. The answer has
 * six: version, request id, status code, status text, user id, metadata. A request that is anything else is answered
 * 400 where it can be: libzmq waits for an answer to each, and REP allows no other request before. */

#include "runtime/gatekeeper.h"

#include "core/cert.h"
#include "runtime/log.h"
#include "runtime/metrics.h"
#include "runtime/socket.h"

#include <czmq.h>
#include <sodium.h>
#include <zmq.h>

#define S_ENDPOINT "inproc://zeromq.zap.01"
#define S_FRAMES 7
#define S_FRAME_MAX 255 /* of what is kept of one; the longest that libzmq sends is a domain or an address */

struct adr_gatekeeper {
    zactor_t *actor;
};

typedef struct {
    void *socket;
    adr_admits_fn *admits;
    void *argument;
} s_args_t;

typedef struct {
    uint8_t bytes[S_FRAME_MAX + 1]; /* with an end, for those that are text */
    size_t size;
    bool cut;
} s_frame_t;

/* Reads one whole request; returns how many frames it had. */
static int
s_receive (void *socket, s_frame_t frames[S_FRAMES])
{
    int count = 0, more = 1;
    while (more) {
        s_frame_t spare, *frame = count < S_FRAMES ? &frames[count] : &spare;
        int size = zmq_recv (socket, frame->bytes, S_FRAME_MAX, 0);
        if (size < 0)
            return -1;
        frame->cut = size > S_FRAME_MAX;
        frame->size = frame->cut ? S_FRAME_MAX : (size_t) size;
        frame->bytes[frame->size] = 0;
        count++;
        size_t room = sizeof more;
        int rc = zmq_getsockopt (socket, ZMQ_RCVMORE, &more, &room);
        adr_assert (rc == 0);
    }
    return count;
}

static bool
s_frame_is (const s_frame_t *frame, const char *text)
{
    return !frame->cut && frame->size == strlen (text) && memcmp (frame->bytes, text, frame->size) == 0;
}

static bool
s_is_request (const s_frame_t frames[S_FRAMES], int count)
{
    return count == S_FRAMES && s_frame_is (&frames[0], "1.0") && !frames[1].cut && !frames[2].cut
           && strlen ((const char *) frames[2].bytes) == frames[2].size;
}

/* [GATE-1, GATE-2] Only CURVE, only by a door that exists, only a key that the map or the host's list of clients knows. */
static bool
s_is_admitted (const s_args_t *self, const s_frame_t frames[S_FRAMES])
{
    return s_frame_is (&frames[5], "CURVE") && frames[6].size == 32 && !frames[6].cut
           && self->admits (self->argument, (const char *) frames[2].bytes, frames[6].bytes);
}

static void
s_send (void *socket, const void *bytes, size_t size, int flags)
{
    int rc = zmq_send (socket, bytes, size, flags | ZMQ_DONTWAIT);
    (void) rc; /* the asker may be gone with its connection */
}

static void
s_answer (void *socket, const s_frame_t *id, bool admitted, const char *user)
{
    const char *code = admitted ? "200" : "400", *text = admitted ? "OK" : "unknown key";
    s_send (socket, "1.0", 3, ZMQ_SNDMORE);
    s_send (socket, id->bytes, id->size, ZMQ_SNDMORE);
    s_send (socket, code, 3, ZMQ_SNDMORE);
    s_send (socket, text, strlen (text), ZMQ_SNDMORE);
    s_send (socket, user, strlen (user), ZMQ_SNDMORE);
    s_send (socket, "", 0, 0);
}

static void
s_handle (const s_args_t *self)
{
    s_frame_t frames[S_FRAMES];
    memset (frames, 0, sizeof frames);
    int count = s_receive (self->socket, frames);
    if (count < 0)
        return;
    char user[ADR_USER_SIZE + 1] = "";
    bool sound = s_is_request (frames, count);
    bool admitted = sound && s_is_admitted (self, frames);
    if (admitted)
        adr_hex_format (user, frames[6].bytes, 32);
    adr_metric_add (!sound     ? ADR_METRIC_ZAP_MALFORMED
                    : admitted ? ADR_METRIC_ZAP_ADMITTED
                               : ADR_METRIC_ZAP_REFUSED,
                    1);
    if (sound && !admitted && !s_frame_is (&frames[3], "probe")) {
        static int64_t last_ns;
        adr_log_rarely (&last_ns, ADR_LEVEL_WARNING, "gatekeeper", "a key that nobody knows -> refused domain=%s from=%s",
                        frames[2].bytes, frames[3].bytes);
    }
    s_answer (self->socket, &frames[1], admitted, user);
}

static void
s_run (zsock_t *pipe, void *argument)
{
    s_args_t *self = argument;
    zsock_signal (pipe, 0);
    bool stopped = false;
    while (!stopped) {
        zmq_pollitem_t items[2] = { { zsock_resolve (pipe), 0, ZMQ_POLLIN, 0 }, { self->socket, 0, ZMQ_POLLIN, 0 } };
        if (zmq_poll (items, 2, -1) < 0)
            continue; /* interrupted by a signal */
        if (items[1].revents & ZMQ_POLLIN)
            s_handle (self);
        if (items[0].revents & ZMQ_POLLIN) {
            char *command = zstr_recv (pipe);
            stopped = command == NULL || streq (command, "$TERM");
            freen (command);
        }
    }
    adr_socket_destroy (&self->socket);
    free (self);
}

adr_gatekeeper_t *
adr_gatekeeper_new (void *context, adr_admits_fn *admits, void *argument)
{
    adr_socket_options_t options = { .role = ADR_SOCKET_GATEKEEPER };
    void *socket = adr_socket_new (context, &options);
    if (socket == NULL)
        return NULL;
    /* Bound before the thread starts, and handed over whole: who comes later finds it. */
    if (zmq_bind (socket, S_ENDPOINT) != 0) {
        adr_socket_destroy (&socket);
        return NULL;
    }
    s_args_t *args = adr_alloc (sizeof *args);
    *args = (s_args_t){ socket, admits, argument };
    adr_gatekeeper_t *self = adr_alloc (sizeof *self);
    self->actor = zactor_new (s_run, args);
    adr_assert (self->actor);
    return self;
}

void
adr_gatekeeper_destroy (adr_gatekeeper_t **self)
{
    if (*self == NULL)
        return;
    zactor_destroy (&(*self)->actor);
    free (*self);
    *self = NULL;
}

/* One question; the status code, or 0 if no sound answer came in time. */
static int
s_ask (void *socket, const char *domain, const uint8_t key[32])
{
    const char *const texts[] = { "1.0", "1", domain, "probe", "", "CURVE" };
    for (int i = 0; i < 6; i++)
        if (zmq_send (socket, texts[i], strlen (texts[i]), ZMQ_SNDMORE) < 0)
            return 0;
    if (zmq_send (socket, key, 32, 0) < 0)
        return 0;
    s_frame_t frames[S_FRAMES];
    memset (frames, 0, sizeof frames);
    int count = s_receive (socket, frames);
    return count == 6 && s_frame_is (&frames[0], "1.0") ? atoi ((const char *) frames[2].bytes) : 0;
}

bool
adr_gatekeeper_probe (void *context, uint32_t wait_ms)
{
    adr_socket_options_t options = { .role = ADR_SOCKET_PROBE };
    void *socket = adr_socket_new (context, &options);
    if (socket == NULL)
        return false;
    int wait = (int) wait_ms;
    zmq_setsockopt (socket, ZMQ_RCVTIMEO, &wait, sizeof wait);
    zmq_setsockopt (socket, ZMQ_SNDTIMEO, &wait, sizeof wait);
    bool refused = zmq_connect (socket, S_ENDPOINT) == 0;
    const char *const domains[] = { ADR_DOMAIN_CONTROL, ADR_DOMAIN_BULK, ADR_DOMAIN_CLIENT };
    for (int i = 0; i < 3 && refused; i++) {
        uint8_t key[32];
        randombytes_buf (key, sizeof key);
        refused = s_ask (socket, domains[i], key) == 400;
    }
    adr_socket_destroy (&socket);
    return refused;
}

bool
adr_user_key (uint8_t key[32], const char *user)
{
    return user && adr_hex_parse (key, 32, user, strlen (user));
}
