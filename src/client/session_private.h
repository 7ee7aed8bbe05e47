/* SPDX-License-Identifier: MPL-2.0 */
/* What the three files of the session share. session.c: requests wait, are sent, are tried again, end.
 * session_requests.c: what can be asked. session_answers.c: what is answered. */

#ifndef ADR_SESSION_PRIVATE_H
#define ADR_SESSION_PRIVATE_H

#include "client/links.h"
#include "client/session.h"
#include "core/actor.h"

#include <pthread.h>

typedef struct {
    adr_link_t waiting; /* first: s_of_waiting () relies on it */
    adr_link_t queue;
    uint64_t number; /* generation and place */
    bool active, queued, started;
    uint32_t tries;      /* that left */
    uint32_t unanswered; /* tries without a "surely not done" of their own */
    uint64_t open_token; /* the edge's, before the first of them [EDGE-6]; 0: none that helps */
    int64_t open_ns;     /* when that one left, or somewhat before */
    uint32_t unread;     /* answers that its stamp was too old */
    uint32_t limit_ms;
    int64_t start_ns, deadline_ns, due_ns;
    adr_reply_fn *done;
    void *argument;
    uint16_t kind;
    union {
        ProtobufCMessage base;
        Adr__Write write;
        Adr__Read read;
        Adr__List list;
        Adr__MapPull pull;
        Adr__Control control;
    } header;
    uint8_t id[ADR_REQUEST_ID_SIZE];
    adr_buffer_t bytes; /* operations and keys that the header points to, then the payload */
    size_t payload_size;
    bool secret; /* `bytes` are wiped when it ends */
    size_t held; /* what it counts for in bytes_held */
} session_request_t;

struct adr_session {
    pthread_mutex_t lock;
    adr_id_t cluster, node;
    uint64_t request_seed, request_next, sequence, generation;
    uint64_t bytes_max, bytes_held;
    uint32_t limit_ms;
    adr_session_send_fn *send;
    adr_session_wake_fn *wake;
    void *transport;
    int inside;   /* receives and ticks that are running: they send when they end */
    bool woken;   /* the transport's thread was asked to tick, and has not yet */
    bool closing;
    adr_link_t waiting, queue, pool;
    adr_buffer_t refusals;
    session_request_t **slot;
    uint32_t slot_count, slot_room, pending;
    int64_t now_ns;       /* of the last tick */
    int64_t due_ns;       /* nothing has to be looked at before */
    int64_t send_at_ns;   /* a failed send is tried again then */
    adr_buffer_t pack;
    adr_arena_t arena;    /* of adr_session_receive */
    uint64_t dropped;
    uint64_t token;       /* the newest of an edge */
    /* What edges say of a better one: the newest name, and of the answers since the last look how many gave it. */
    char hint[ADR_ENDPOINT_MAX + 1];
    uint32_t hint_count, heard_count;
    bool heard_local; /* a local read was among them */
    bool heard_draining; /* since the last look [EDGE-9] */
};

/* Takes the lock and a request with room for `size` bytes; the caller fills in its header and ends with session_ask.
 * NULL, and no lock: there is no room, and the asker will hear so. */
session_request_t *session_begin (adr_session_t *self, uint16_t kind, size_t size, uint32_t limit_ms,
                                  adr_reply_fn *done, void *argument);
/* Called with the lock; gives it up. */
void session_ask (adr_session_t *self, session_request_t *request);
/* The asker will hear so from the next tick. Called with the lock; gives it up. */
void session_refuse (adr_session_t *self, adr_status_t status, const char *text, adr_reply_fn *done, void *argument);
/* It is sent when the session is left. */
void session_send_soon (adr_session_t *self, session_request_t *request);
/* The request that waits under this number, or NULL. */
session_request_t *session_find (adr_session_t *self, uint64_t number);
/* Ends the request and tells its asker, with the lock given up meanwhile. */
void session_answer (adr_session_t *self, session_request_t *request, const adr_reply_t *reply);
/* Between these two what other threads ask waits, and leaves in one go. */
void session_enter (adr_session_t *self);
void session_leave (adr_session_t *self);

#endif
