/* SPDX-License-Identifier: MPL-2.0 */
/* What a writer and a reader of an object share: see transfer.h. */

#include "client/transfer.h"

#include <stdio.h>
#include <string.h>

void
adr_transfer_init (adr_transfer_t *self, adr_session_t *session, adr_writer_ready_fn *ready, void *argument)
{
    pthread_mutex_init (&self->lock, NULL);
    pthread_cond_init (&self->called, NULL);
    self->session = session;
    self->ready = ready;
    self->argument = argument;
}

void
adr_transfer_fail (adr_transfer_t *self, adr_status_t status, const char *text)
{
    if (self->status != ADR_STATUS_OK)
        return;
    self->status = status;
    snprintf (self->text, sizeof self->text, "%s", text);
}

void
adr_transfer_fail_by (adr_transfer_t *self, const adr_reply_t *reply)
{
    adr_transfer_fail (self, reply->status, reply->text[0] ? reply->text : adr_status_name (reply->status));
}

void
adr_transfer_begin_call (adr_transfer_t *self)
{
    self->calling = true;
    self->caller = pthread_self ();
    pthread_mutex_unlock (&self->lock);
}

void
adr_transfer_end_call (adr_transfer_t *self)
{
    pthread_mutex_lock (&self->lock);
    self->calling = false;
    pthread_cond_broadcast (&self->called);
}

void
adr_transfer_call_ready (adr_transfer_t *self)
{
    self->call_again = true;
    if (self->calling)
        return; /* by the session's other thread, which looks again when it comes back */
    while (self->call_again && !self->ended && !self->gone) {
        self->call_again = self->due = false;
        adr_status_t status = self->status;
        char text[sizeof self->text];
        memcpy (text, self->text, sizeof text);
        adr_transfer_begin_call (self);
        self->ready (self->argument, status, text);
        adr_transfer_end_call (self);
    }
}

void
adr_transfer_leave (adr_transfer_t *self)
{
    pthread_mutex_lock (&self->lock);
    self->leaving++;
    while (self->calling && !pthread_equal (self->caller, pthread_self ()))
        pthread_cond_wait (&self->called, &self->lock);
    self->leaving--;
    self->gone = true;
}

bool
adr_transfer_unlock (adr_transfer_t *self, bool done)
{
    bool over = done && self->gone && self->in_flight == 0 && !self->calling && self->leaving == 0;
    pthread_mutex_unlock (&self->lock);
    if (over) {
        pthread_mutex_destroy (&self->lock);
        pthread_cond_destroy (&self->called);
    }
    return over;
}
