/* SPDX-License-Identifier: MPL-2.0 */
/* Runs a store's jobs: see job_thread.h. */

#include "runtime/job_thread.h"

#include "core/limits.h"

#include <czmq.h>
#include <stdlib.h>

struct adr_job_thread {
    adr_store_t *store;
    adr_mailbox_t *mailbox;
    zactor_t *actor;
};

static void
s_run_job (adr_job_thread_t *self, adr_parcel_t *parcel)
{
    adr_assert (parcel->kind == ADR_PARCEL_JOB);
    adr_store_job_write (self->store, parcel->job);
    if (parcel->job->error == 0)
        adr_store_job_sync (self->store, parcel->job);
    if (!adr_mailbox_put (parcel->reply, parcel))
        adr_parcel_destroy (&parcel); /* its actor has halted */
}

static void
s_run (zsock_t *pipe, void *argument)
{
    adr_job_thread_t *self = argument;
    zsock_signal (pipe, 0);
    while (!adr_mailbox_is_closed (self->mailbox)) {
        adr_parcel_t *list = adr_mailbox_wait (self->mailbox, ADR_NEVER);
        while (list) {
            adr_parcel_t *parcel = list;
            list = parcel->next;
            s_run_job (self, parcel);
        }
    }
}

adr_job_thread_t *
adr_job_thread_new (adr_store_t *store)
{
    adr_job_thread_t *self = adr_alloc (sizeof *self);
    self->store = store;
    self->mailbox = adr_mailbox_new (ADR_PACK_MAX);
    self->actor = zactor_new (s_run, self);
    adr_assert (self->actor);
    return self;
}

adr_mailbox_t *
adr_job_thread_mailbox (adr_job_thread_t *self)
{
    return self->mailbox;
}

void
adr_job_thread_destroy (adr_job_thread_t **self)
{
    if (*self == NULL)
        return;
    adr_mailbox_close ((*self)->mailbox);
    zactor_destroy (&(*self)->actor);
    adr_mailbox_destroy (&(*self)->mailbox);
    free (*self);
    *self = NULL;
}
