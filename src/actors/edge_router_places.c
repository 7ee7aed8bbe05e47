/* SPDX-License-Identifier: MPL-2.0 */
/* edge_router: the requests that wait, each in its place with a copy of what was asked. See edge_router.c. */

#include "actors/edge_router_private.h"

#include <stdlib.h>

/* --- places -------------------------------------------------------------------------------------------------------- */

edge_request_t *
edge_router_place (const edge_router_t *self, uint32_t place)
{
    return &self->chunk[place / CHUNK][place % CHUNK];
}

static void
s_add_chunk (edge_router_t *self)
{
    edge_request_t *chunk = adr_alloc (CHUNK * sizeof *chunk);
    self->chunk[self->places / CHUNK] = chunk;
    for (uint32_t i = CHUNK; i-- > 0;) {
        chunk[i].next_free = self->free;
        self->free = self->places + i + 1;
    }
    self->places += CHUNK;
}

uint32_t
edge_router_take_place (edge_router_t *self)
{
    adr_assert (self->pending < PLACES_MAX);
    if (self->free == 0)
        s_add_chunk (self);
    uint32_t place = self->free - 1;
    edge_request_t *request = edge_router_place (self, place);
    adr_assert (request->serial == 0);
    self->free = request->next_free;
    self->pending++;
    self->serial = (self->serial + 1) & ((UINT64_C (1) << (64 - PLACE_BITS - TRY_BITS)) - 1);
    if (self->serial == 0)
        self->serial = 1;
    *request = (edge_request_t){ .serial = self->serial, .last = -1, .next = -1 };
    return place;
}

void
edge_router_give_place (edge_router_t *self, uint32_t place)
{
    edge_request_t *request = edge_router_place (self, place);
    adr_assert (request->serial != 0 && self->held >= request->kept->size);
    self->held -= request->kept->size;
    self->pending--;
    free (request->kept);
    adr_deadlines_drop (&self->deadlines, place);
    *request = (edge_request_t){ .next_free = self->free };
    self->free = place + 1;
}

/* The request and the try that an answer belongs to; NULL if nobody waits for it any more. */
edge_request_t *
edge_router_request_of (edge_router_t *self, uint64_t number, uint32_t *place, uint32_t *attempt)
{
    *place = (uint32_t) number & ((1u << PLACE_BITS) - 1);
    *attempt = (uint32_t) (number >> PLACE_BITS) & TRIES_MAX;
    if (*place >= self->places)
        return NULL;
    edge_request_t *request = edge_router_place (self, *place);
    uint64_t serial = number >> (PLACE_BITS + TRY_BITS);
    return serial != 0 && request->serial == serial && *attempt >= 1 && *attempt <= request->tries ? request : NULL;
}

adr_route_group_t *
edge_router_group (edge_router_t *self, const edge_request_t *request)
{
    return &self->routes.group[request->group];
}

/* --- keeping what was asked ---------------------------------------------------------------------------------------- */

/* Copies bytes to `*at`, moves it behind them, and tells where the copy stands. */
static ProtobufCBinaryData
s_keep_bytes (uint8_t **at, ProtobufCBinaryData bytes)
{
    ProtobufCBinaryData kept = { bytes.len, *at };
    if (bytes.len)
        memcpy (*at, bytes.data, bytes.len);
    *at += bytes.len;
    return kept;
}

static void
s_keep_payload (edge_kept_t *kept, uint8_t **at, adr_bytes_t payload)
{
    ProtobufCBinaryData copy = s_keep_bytes (at, adr_bytes_view (payload));
    kept->payload = adr_bytes (copy.data, copy.len);
}

static edge_kept_t *
s_keep_new (size_t size, uint8_t **at)
{
    edge_kept_t *kept = adr_realloc (NULL, sizeof *kept + size);
    kept->size = sizeof *kept + size;
    *at = (uint8_t *) (kept + 1);
    return kept;
}

/* An operation and its version, as they stand in a kept write. */
typedef struct {
    Adr__Op op;
    Adr__VersionOf version;
} s_kept_op_t;

size_t
edge_router_write_size (const Adr__Write *write, size_t payload)
{
    size_t size = write->n_op * (sizeof (s_kept_op_t) + sizeof (Adr__Op *)) + write->request.len + payload;
    for (size_t i = 0; i < write->n_op; i++)
        size += write->op[i]->key.len;
    return size;
}

static edge_kept_t *
s_keep_write (const Adr__Write *write, adr_bytes_t payload)
{
    uint8_t *at;
    edge_kept_t *kept = s_keep_new (edge_router_write_size (write, payload.size), &at);
    Adr__Write *copy = &kept->header.write;
    s_kept_op_t *op = (s_kept_op_t *) (void *) at;
    Adr__Op **pointer = (Adr__Op **) (void *) (op + write->n_op);
    at = (uint8_t *) (pointer + write->n_op);
    *copy = *write;
    copy->base.n_unknown_fields = 0;
    copy->op = pointer;
    copy->request = s_keep_bytes (&at, write->request);
    for (size_t i = 0; i < write->n_op; i++) {
        op[i].op = *write->op[i];
        op[i].op.base.n_unknown_fields = 0;
        op[i].op.key = s_keep_bytes (&at, write->op[i]->key);
        if (write->op[i]->version) {
            op[i].version = *write->op[i]->version;
            op[i].version.base.n_unknown_fields = 0;
            op[i].op.version = &op[i].version;
        }
        pointer[i] = &op[i].op;
    }
    s_keep_payload (kept, &at, payload);
    return kept;
}

static edge_kept_t *
s_keep_read (const Adr__Read *read)
{
    uint8_t *at;
    edge_kept_t *kept = s_keep_new (read->key.len, &at);
    kept->header.read = *read;
    kept->header.base.n_unknown_fields = 0;
    kept->header.read.key = s_keep_bytes (&at, read->key);
    kept->payload = adr_bytes (NULL, 0);
    return kept;
}

static edge_kept_t *
s_keep_list (const Adr__List *list)
{
    uint8_t *at;
    edge_kept_t *kept = s_keep_new (list->prefix.len + ADR_KEY_MAX + list->partition_by.len, &at); /* `after` moves on */
    Adr__List *copy = &kept->header.list;
    *copy = *list;
    copy->base.n_unknown_fields = 0;
    copy->prefix = s_keep_bytes (&at, list->prefix);
    copy->partition_by = s_keep_bytes (&at, list->partition_by);
    copy->after = s_keep_bytes (&at, list->after);
    if (copy->rows_max == 0 || copy->rows_max > ADR_LIST_ROWS_MAX)
        copy->rows_max = ADR_LIST_ROWS_MAX;
    kept->payload = adr_bytes (NULL, 0);
    return kept;
}

edge_kept_t *
edge_router_keep (const adr_event_t *event)
{
    const ProtobufCMessage *header = event->message.header;
    if (event->message.kind == ADR__KIND__WRITE)
        return s_keep_write ((const Adr__Write *) header, event->message.payload);
    if (event->message.kind == ADR__KIND__READ)
        return s_keep_read ((const Adr__Read *) header);
    return s_keep_list ((const Adr__List *) header);
}
