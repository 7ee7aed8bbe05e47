/* SPDX-License-Identifier: MPL-2.0 */
/* A CURVE ROUTER in front of a fake store: see fake_edge.h. */

#include "fake_edge.h"

#include "core/cert.h"

#include <pthread.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <zmq.h>

struct fake_edge {
    fake_store_t *store;
    void *context, *router;
    pthread_t thread;
    bool stop;
    uint64_t packs;
    uint8_t public[32], secret[32];
    char endpoint[128];
};

/* The store answers at once, so that every answer goes back by the way that its question came. */
static void
s_answer (fake_edge_t *self, const uint8_t *identity, size_t size, adr_bytes_t pack)
{
    adr_buffer_t answer = { 0 };
    fake_store_send (self->store, pack);
    while (fake_store_take (self->store, &answer)) {
        zmq_send (self->router, identity, size, ZMQ_SNDMORE);
        zmq_send (self->router, answer.data, answer.size, 0);
        adr_buffer_free (&answer);
    }
}

static void
s_receive (fake_edge_t *self)
{
    uint8_t identity[256];
    zmq_msg_t message;
    int size = zmq_recv (self->router, identity, sizeof identity, ZMQ_DONTWAIT);
    if (size < 0)
        return;
    zmq_msg_init (&message);
    __atomic_add_fetch (&self->packs, 1, __ATOMIC_RELAXED);
    if (zmq_msg_recv (&message, self->router, 0) >= 0)
        s_answer (self, identity, (size_t) size, adr_bytes (zmq_msg_data (&message), zmq_msg_size (&message)));
    zmq_msg_close (&message);
}

static void *
s_thread (void *argument)
{
    fake_edge_t *self = argument;
    while (!__atomic_load_n (&self->stop, __ATOMIC_ACQUIRE)) {
        zmq_pollitem_t item = { .socket = self->router, .events = ZMQ_POLLIN };
        if (zmq_poll (&item, 1, 5) > 0)
            s_receive (self);
    }
    return NULL;
}

fake_edge_t *
fake_edge_new (fake_store_t *store, int port)
{
    fake_edge_t *self = adr_alloc (sizeof *self);
    char wanted[64];
    size_t size = sizeof self->endpoint;
    int one = 1, zero = 0;
    self->store = store;
    self->context = zmq_ctx_new ();
    self->router = zmq_socket (self->context, ZMQ_ROUTER);
    adr_assert (self->router);
    crypto_box_keypair (self->public, self->secret);
    zmq_setsockopt (self->router, ZMQ_CURVE_SERVER, &one, sizeof one);
    zmq_setsockopt (self->router, ZMQ_CURVE_SECRETKEY, self->secret, 32);
    zmq_setsockopt (self->router, ZMQ_LINGER, &zero, sizeof zero);
    if (port)
        snprintf (wanted, sizeof wanted, "tcp://127.0.0.1:%d", port);
    else
        strcpy (wanted, "tcp://127.0.0.1:*");
    int rc = zmq_bind (self->router, wanted);
    adr_assert (rc == 0);
    zmq_getsockopt (self->router, ZMQ_LAST_ENDPOINT, self->endpoint, &size);
    rc = pthread_create (&self->thread, NULL, s_thread, self);
    adr_assert (rc == 0);
    return self;
}

void
fake_edge_destroy (fake_edge_t **self_p)
{
    fake_edge_t *self = *self_p;
    if (!self)
        return;
    *self_p = NULL;
    __atomic_store_n (&self->stop, true, __ATOMIC_RELEASE);
    pthread_join (self->thread, NULL);
    zmq_close (self->router);
    zmq_ctx_term (self->context);
    free (self);
}

const char *
fake_edge_endpoint (const fake_edge_t *self)
{
    return self->endpoint;
}

uint64_t
fake_edge_packs (const fake_edge_t *self)
{
    return __atomic_load_n (&self->packs, __ATOMIC_RELAXED);
}

const uint8_t *
fake_edge_key (const fake_edge_t *self)
{
    return self->public;
}

void
fake_edge_write_profile (const char *folder, const adr_id_t *cluster, fake_edge_t *const *edges, int count,
                         char *path, size_t size)
{
    uint8_t public[32], secret[32];
    char hex[65], id[ADR_ID_TEXT_SIZE], key_path[512];
    crypto_box_keypair (public, secret);
    snprintf (path, size, "%s/client.yaml", folder);
    snprintf (key_path, sizeof key_path, "%s/client.key", folder);
    FILE *file = fopen (key_path, "w");
    adr_assert (file);
    adr_hex_format (hex, secret, 32);
    fprintf (file, "%s\n", hex);
    fclose (file);
    chmod (key_path, 0600);
    file = fopen (path, "w");
    adr_assert (file);
    adr_id_format (cluster, id);
    adr_hex_format (hex, public, 32);
    fprintf (file, "cluster: %s\nnode: %s\ncurve-public: %s\ncurve-secret-file: client.key\nedges:\n", id, id, hex);
    for (int i = 0; i < count; i++) {
        adr_hex_format (hex, edges[i]->public, 32);
        fprintf (file, "  - endpoint: %s\n    curve-key: %s\n", edges[i]->endpoint, hex);
    }
    fclose (file);
}
