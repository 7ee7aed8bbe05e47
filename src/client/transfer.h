/* SPDX-License-Identifier: MPL-2.0 */
/* What a writer and a reader of an object share: requests on their way, the first failure, and callbacks to an owner who
 * may leave at any moment, from another thread or from within a callback.
 *
 * Owns: its lock. Makes durable: nothing. Assumes: what it is part of lives until adr_transfer_unlock says so. All
 * functions but init and leave are called with the lock. */

#ifndef ADR_TRANSFER_H
#define ADR_TRANSFER_H

#include "client/object.h"

#include <pthread.h>

typedef struct {
    pthread_mutex_t lock;
    pthread_cond_t called; /* a callback has ended */
    adr_session_t *session;
    uint32_t in_flight;  /* all requests without an answer */
    adr_status_t status; /* of the first failure */
    char text[160];
    bool due;            /* the owner waits for `ready` */
    bool ended;          /* `ready` comes no more */
    bool gone;           /* the owner has left: no callback any more */
    bool calling, call_again;
    pthread_t caller;
    uint32_t leaving;    /* owners that wait for a callback's end */
    adr_writer_ready_fn *ready;
    void *argument;
} adr_transfer_t;

void adr_transfer_init (adr_transfer_t *self, adr_session_t *session, adr_writer_ready_fn *ready, void *argument);
/* The first failure counts. */
void adr_transfer_fail (adr_transfer_t *self, adr_status_t status, const char *text);
void adr_transfer_fail_by (adr_transfer_t *self, const adr_reply_t *reply);
/* Calls `ready`, with the lock given up meanwhile; again if somebody asked for it in that time. */
void adr_transfer_call_ready (adr_transfer_t *self);
/* Around any other callback: gives up the lock, and takes it again. */
void adr_transfer_begin_call (adr_transfer_t *self);
void adr_transfer_end_call (adr_transfer_t *self);
/* Takes the lock: no callback runs any more when it returns (but one that this thread is in), and none comes. */
void adr_transfer_leave (adr_transfer_t *self);
/* Gives up the lock. True: the owner has left, and nothing can come back; the lock is gone, and the rest is the
 * caller's to free. `done`: it has nothing more to do by itself. */
ADR_WARN_UNUSED bool adr_transfer_unlock (adr_transfer_t *self, bool done);

#endif
