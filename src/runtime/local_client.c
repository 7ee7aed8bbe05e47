/* SPDX-License-Identifier: MPL-2.0 */
/* A client inside the process: an address, a mailbox, and a thread that calls back; see host.h. To the edge_router it
 * looks like any other client. */

#include "runtime/host_private.h"

#include "runtime/clock.h"
#include "runtime/metrics.h"
#include "wire/pack.h"

#include <czmq.h>
#include <sodium.h>
#include <stdlib.h>

struct adr_local_client {
    adr_id_t id;
    adr_id_t edge; /* the node whose actors it asks */
    adr_directory_t *directory;
    adr_mailbox_t *mailbox;
    adr_local_receive_fn *receive;
    adr_local_tick_fn *tick;
    void *argument;
    zactor_t *thread;
};

static void
s_receive (adr_local_client_t *self, adr_parcel_t *list)
{
    while (list) {
        adr_parcel_t *parcel = list;
        list = parcel->next;
        if (parcel->kind == ADR_PARCEL_PACK)
            self->receive (self->argument, parcel->pack);
        adr_parcel_destroy (&parcel); /* a STOP parcel is only a nudge */
    }
}

static void
s_run (zsock_t *pipe, void *argument)
{
    adr_local_client_t *self = argument;
    zsock_signal (pipe, 0);
    int64_t tick_ns = ADR_NEVER;
    while (!adr_mailbox_is_closed (self->mailbox)) {
        s_receive (self, adr_mailbox_wait (self->mailbox, tick_ns));
        if (self->tick)
            tick_ns = self->tick (self->argument, adr_clock_now_ns ());
    }
}

adr_local_client_t *
adr_host_local_client (adr_host_t *host, adr_local_receive_fn *receive, adr_local_tick_fn *tick, void *argument)
{
    const adr_map_node_t *edge = adr_host_node (host, ADR_NODE_EDGE);
    if (edge == NULL)
        return NULL;
    adr_local_client_t *self = adr_alloc (sizeof *self);
    *self = (adr_local_client_t){ .edge = edge->id,
                                  .directory = adr_host_directory (host),
                                  .mailbox = adr_mailbox_new (ADR_MAILBOX_BYTES_MAX),
                                  .receive = receive,
                                  .tick = tick,
                                  .argument = argument };
    randombytes_buf (self->id.bytes, ADR_ID_SIZE);
    if (!adr_directory_add_client (self->directory, &self->id, self->mailbox)) {
        adr_mailbox_destroy (&self->mailbox);
        free (self);
        return NULL;
    }
    self->thread = zactor_new (s_run, self);
    adr_assert (self->thread);
    return self;
}

void
adr_local_client_destroy (adr_local_client_t **self)
{
    adr_local_client_t *client = *self;
    if (client == NULL)
        return;
    adr_directory_remove_client (client->directory, &client->id);
    adr_mailbox_close (client->mailbox);
    zactor_destroy (&client->thread);
    adr_mailbox_destroy (&client->mailbox);
    free (client);
    *self = NULL;
}

adr_id_t
adr_local_client_id (const adr_local_client_t *self)
{
    return self->id;
}

bool
adr_local_client_send (void *argument, adr_bytes_t pack)
{
    adr_local_client_t *self = argument;
    adr_pack_reader_t reader;
    if (!adr_pack_open (&reader, pack))
        return false;
    adr_address_t to = { self->edge, reader.envelope.to_actor };
    adr_mailbox_t *mailbox = adr_directory_actor (self->directory, &to);
    if (mailbox == NULL)
        return false;
    adr_parcel_t *parcel = adr_parcel_new (ADR_PARCEL_PACK);
    parcel->from = (adr_address_t){ self->id, ADR_ACTOR_CLIENT };
    parcel->from_type = ADR_NODE_CLIENT;
    parcel->to = to;
    adr_buffer_append (&parcel->buffer, pack.data, pack.size);
    parcel->pack = adr_bytes (parcel->buffer.data, parcel->buffer.size);
    parcel->items = adr_bytes (parcel->buffer.data + (reader.rest.data - pack.data), reader.rest.size);
    if (adr_mailbox_put (mailbox, parcel))
        return true;
    adr_metric_add (ADR_METRIC_MAILBOX_FULL, 1);
    adr_parcel_destroy (&parcel);
    return false;
}

void
adr_local_client_nudge (void *argument)
{
    adr_local_client_t *self = argument;
    adr_parcel_t *parcel = adr_parcel_new (ADR_PARCEL_STOP);
    if (!adr_mailbox_put (self->mailbox, parcel))
        adr_parcel_destroy (&parcel);
}
