/* SPDX-License-Identifier: MPL-2.0 */
/* A stranger for the chaos tests: knocks at doors with a CURVE key of its own, or with somebody's, and with no mechanism at all, says
 * something, and writes a line a door about what it heard:
 *
 *     stranger [--secret HEX] ENDPOINT SERVER-KEY [ENDPOINT SERVER-KEY ...]
 *     -> ENDPOINT curve|null refused|admitted|silent
 *
 * The server's key is public: 64 hexadecimal digits, as certificates show it; somebody's secret is as key files have it. */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <zmq.h>

#define S_WAIT_MS 1500
#define S_DOORS 64

typedef struct {
    const char *endpoint, *how;
    void *socket, *monitor;
    int admitted, refused;
} s_door_t;

static int
s_parse_key (unsigned char key[32], const char *text)
{
    for (int i = 0; i < 32; i++)
        if (sscanf (text + 2 * i, "%2hhx", &key[i]) != 1)
            return 0;
    return 1;
}

static void
s_knock (void *context, s_door_t *self, const unsigned char *server_key, const unsigned char *secret, int number)
{
    char name[32], public_key[41], secret_key[41];
    int linger = 0;
    self->socket = zmq_socket (context, ZMQ_DEALER);
    zmq_setsockopt (self->socket, ZMQ_LINGER, &linger, sizeof linger);
    if (server_key) {
        if (secret && zmq_z85_encode (secret_key, secret, 32))
            zmq_curve_public (public_key, secret_key);
        else
            zmq_curve_keypair (public_key, secret_key);
        zmq_setsockopt (self->socket, ZMQ_CURVE_SERVERKEY, server_key, 32);
        zmq_setsockopt (self->socket, ZMQ_CURVE_PUBLICKEY, public_key, 41);
        zmq_setsockopt (self->socket, ZMQ_CURVE_SECRETKEY, secret_key, 41);
    }
    snprintf (name, sizeof name, "inproc://door-%d", number);
    zmq_socket_monitor (self->socket, name, ZMQ_EVENT_ALL);
    self->monitor = zmq_socket (context, ZMQ_PAIR);
    zmq_setsockopt (self->monitor, ZMQ_LINGER, &linger, sizeof linger);
    zmq_connect (self->monitor, name);
    zmq_connect (self->socket, self->endpoint);
    zmq_send (self->socket, "let me in", 9, ZMQ_DONTWAIT);
}

/* Takes what the monitor has to say. */
static void
s_hear (s_door_t *self)
{
    for (;;) {
        unsigned char event[6];
        if (zmq_recv (self->monitor, event, sizeof event, ZMQ_DONTWAIT) < 0)
            return;
        zmq_recv (self->monitor, NULL, 0, 0); /* the address */
        int what = event[0] | event[1] << 8;
        self->admitted |= what == ZMQ_EVENT_HANDSHAKE_SUCCEEDED;
        self->refused |= what
                         & (ZMQ_EVENT_HANDSHAKE_FAILED_AUTH | ZMQ_EVENT_HANDSHAKE_FAILED_PROTOCOL
                            | ZMQ_EVENT_HANDSHAKE_FAILED_NO_DETAIL | ZMQ_EVENT_DISCONNECTED);
    }
}

int
main (int argc, char **argv)
{
    static s_door_t door[S_DOORS];
    int count = 0, first = 1;
    unsigned char secret[32];
    const unsigned char *own = NULL;
    if (argc > 2 && strcmp (argv[1], "--secret") == 0) {
        if (!s_parse_key (secret, argv[2]))
            return 64;
        own = secret;
        first = 3;
    }
    void *context = zmq_ctx_new ();
    for (int i = first; i + 1 < argc && count + 2 <= S_DOORS; i += 2) {
        unsigned char key[32];
        if (!s_parse_key (key, argv[i + 1]))
            return 64;
        door[count] = (s_door_t){ .endpoint = argv[i], .how = "curve" };
        s_knock (context, &door[count], key, own, count);
        count++;
        door[count] = (s_door_t){ .endpoint = argv[i], .how = "null" };
        s_knock (context, &door[count], NULL, NULL, count);
        count++;
    }
    struct timespec start, now;
    clock_gettime (CLOCK_MONOTONIC, &start);
    int open = count;
    do {
        zmq_pollitem_t items[S_DOORS];
        for (int i = 0; i < count; i++)
            items[i] = (zmq_pollitem_t){ door[i].monitor, 0, ZMQ_POLLIN, 0 };
        zmq_poll (items, count, 100);
        open = 0;
        for (int i = 0; i < count; i++) {
            s_hear (&door[i]);
            open += !door[i].refused;
        }
        clock_gettime (CLOCK_MONOTONIC, &now);
    } while (open > 0 && (now.tv_sec - start.tv_sec) * 1000 + (now.tv_nsec - start.tv_nsec) / 1000000 < S_WAIT_MS);
    for (int i = 0; i < count; i++) {
        printf ("%s %s %s\n", door[i].endpoint, door[i].how,
                door[i].admitted ? "admitted" : door[i].refused ? "refused" : "silent");
        zmq_close (door[i].socket);
        zmq_close (door[i].monitor);
    }
    zmq_ctx_term (context);
    return fflush (stdout) ? 1 : 0;
}
