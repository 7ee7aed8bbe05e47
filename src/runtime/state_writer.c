/* SPDX-License-Identifier: MPL-2.0 */
/* The state writer: see state_writer.h. */

#include "runtime/state_writer.h"

#include "core/limits.h"
#include "runtime/log.h"
#include "runtime/metrics.h"

#include <czmq.h>

struct adr_state_writer {
    adr_state_t *state;
    adr_mailbox_t *mailbox;
    zactor_t *actor;
    char who[96];
};

static adr_state_put_t
s_put_of (const adr_parcel_t *parcel)
{
    const char *name = (const char *) parcel->buffer.data;
    size_t name_size = strlen (name) + 1;
    return (adr_state_put_t){ name, adr_bytes (parcel->buffer.data + name_size, parcel->buffer.size - name_size) };
}

/* Of several values for one name in a batch only the last need be written, but all are: they are few, and the order
 * of one commit does not matter to the disk. */
static void
s_commit (adr_state_writer_t *self, adr_parcel_t *first, size_t count)
{
    adr_state_put_t puts[ADR_STATE_PUTS_MAX];
    adr_parcel_t *parcel = first;
    for (size_t i = 0; i < count; i++, parcel = parcel->next)
        puts[i] = s_put_of (parcel);
    int error = self->state->put (self->state, puts, count);
    if (error)
        adr_fatal (ADR_EXIT_FATAL, self->who, "the state environment cannot be written: %s -> the process stops",
                   strerror (error));
    adr_metric_add (ADR_METRIC_STATE_COMMITS, 1);
    adr_metric_add (ADR_METRIC_STATE_PUTS, count);
}

/* A PERSIST parcel goes back as the DURABLE one that answers it. */
static adr_parcel_t *
s_answer (adr_parcel_t *parcel)
{
    adr_parcel_t *next = parcel->next;
    adr_mailbox_t *reply = parcel->reply;
    parcel->kind = ADR_PARCEL_DURABLE;
    adr_buffer_free (&parcel->buffer);
    if (!adr_mailbox_put (reply, parcel))
        adr_parcel_destroy (&parcel); /* its actor has halted */
    return next;
}

static void
s_write (adr_state_writer_t *self, adr_parcel_t *list)
{
    while (list) {
        size_t count = 0;
        for (adr_parcel_t *parcel = list; parcel && count < ADR_STATE_PUTS_MAX; parcel = parcel->next)
            count++;
        s_commit (self, list, count);
        while (count--)
            list = s_answer (list);
    }
}

static void
s_run (zsock_t *pipe, void *argument)
{
    adr_state_writer_t *self = argument;
    zsock_signal (pipe, 0);
    bool closed = false;
    while (!closed) {
        /* Asked before taking, so that what was put before the end is still written. */
        closed = adr_mailbox_is_closed (self->mailbox);
        s_write (self, adr_mailbox_wait (self->mailbox, ADR_NEVER));
    }
}

adr_state_writer_t *
adr_state_writer_new (adr_state_t *state, const char *who)
{
    adr_state_writer_t *self = adr_alloc (sizeof *self);
    self->state = state;
    snprintf (self->who, sizeof self->who, "%s", who);
    self->mailbox = adr_mailbox_new (ADR_PACK_MAX);
    self->actor = zactor_new (s_run, self);
    adr_assert (self->actor);
    return self;
}

void
adr_state_writer_destroy (adr_state_writer_t **self)
{
    if (*self == NULL)
        return;
    adr_mailbox_close ((*self)->mailbox);
    zactor_destroy (&(*self)->actor);
    adr_mailbox_destroy (&(*self)->mailbox);
    free (*self);
    *self = NULL;
}

void
adr_state_writer_put (adr_state_writer_t *self, adr_parcel_t *parcel)
{
    adr_assert (parcel->kind == ADR_PARCEL_PERSIST && parcel->reply);
    if (!adr_mailbox_put (self->mailbox, parcel))
        adr_parcel_destroy (&parcel); /* the process is stopping */
}
