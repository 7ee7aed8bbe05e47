/* SPDX-License-Identifier: MPL-2.0 */
/* Packs, and the arena that decoded headers live in: see pack.h. */

#include "wire/pack.h"

#include "wire/bounds.h"
#include "wire/field.h"
#include "wire/table.h"

#include <stdlib.h>

/* --- the arena ---------------------------------------------------------------------------------------------------- */

#define S_ALIGN 16
#define S_MORE_SIZE (16 * 1024)

struct adr_arena_more {
    struct adr_arena_more *next;
    size_t used, room;
    _Alignas (S_ALIGN) uint8_t data[];
};

static void *
s_arena_more (adr_arena_t *self, size_t size)
{
    struct adr_arena_more *more = self->more;
    if (more == NULL || more->room - more->used < size) {
        size_t left = self->limit > self->room + self->more_size ? self->limit - self->room - self->more_size : 0;
        size_t room = size > S_MORE_SIZE ? size : S_MORE_SIZE;
        if (room > left)
            room = left;
        if (size > room)
            return NULL;
        more = malloc (sizeof *more + room);
        adr_assert (more != NULL);
        *more = (struct adr_arena_more){ .next = self->more, .room = room };
        self->more = more;
        self->more_size += room;
    }
    void *at = more->data + more->used;
    more->used += size;
    return at;
}

void *
adr_arena_take (adr_arena_t *self, size_t size)
{
    if (size > self->limit)
        return NULL;
    size = (size + S_ALIGN - 1) & ~(size_t) (S_ALIGN - 1);
    if (self->room - self->used < size)
        return s_arena_more (self, size);
    void *at = self->data + self->used;
    self->used += size;
    return at;
}

static void *
s_arena_alloc (void *self, size_t size)
{
    return adr_arena_take (self, size);
}

static void
s_arena_keep (void *self, void *pointer)
{
    (void) self;
    (void) pointer;
}

void
adr_arena_init (adr_arena_t *self, size_t room, size_t limit)
{
    adr_assert (room <= limit);
    *self = (adr_arena_t){ .allocator = { s_arena_alloc, s_arena_keep, self },
                           .data = adr_alloc (room),
                           .room = room,
                           .limit = limit };
}

void
adr_arena_reset (adr_arena_t *self)
{
    while (self->more) {
        struct adr_arena_more *next = self->more->next;
        free (self->more);
        self->more = next;
    }
    self->more_size = 0;
    self->used = 0;
}

void
adr_arena_free (adr_arena_t *self)
{
    adr_arena_reset (self);
    free (self->data);
    *self = (adr_arena_t){ 0 };
}

/* --- making a pack ------------------------------------------------------------------------------------------------ */

/* The envelope's last two fields, written by hand: protobuf leaves zeros out, and post must find their place. */
#define S_TAG_SEQUENCE 0x49  /* field 9, fixed64 */
#define S_TAG_MAP_EPOCH 0x51 /* field 10, fixed64 */
#define S_NUMBERS_SIZE 18
#define S_ENVELOPE_FIELDS 10
#define S_ENVELOPE_MAX 1024 /* ours is under 120 bytes; the rest is for fields of later versions */

static void
s_put_numbers (uint8_t *at, uint64_t sequence, uint64_t map_epoch)
{
    at[0] = S_TAG_SEQUENCE;
    adr_put_u64 (at + 1, sequence);
    at[9] = S_TAG_MAP_EPOCH;
    adr_put_u64 (at + 10, map_epoch);
}

void
adr_pack_begin (adr_buffer_t *pack, const adr_envelope_t *envelope)
{
    adr_assert (pack->size == 0);
    Adr__Envelope header = ADR__ENVELOPE__INIT;
    header.protocol = ADR_PROTOCOL;
    header.cluster = adr_id_view (&envelope->cluster);
    header.sender = adr_id_view (&envelope->sender);
    if (!adr_id_is_none (&envelope->to))
        header.to = adr_id_view (&envelope->to);
    header.from_actor = envelope->from_actor;
    header.to_actor = envelope->to_actor;
    header.incarnation = envelope->incarnation;
    header.boot = envelope->boot;
    size_t size = adr__envelope__get_packed_size (&header);
    uint8_t *at = adr_buffer_grow (pack, 4 + size + S_NUMBERS_SIZE);
    adr_put_u32 (at, (uint32_t) (size + S_NUMBERS_SIZE));
    adr__envelope__pack (&header, at + 4);
    s_put_numbers (at + 4 + size, envelope->sequence, envelope->map_epoch);
}

void
adr_pack_number (adr_buffer_t *pack, uint64_t sequence, uint64_t map_epoch)
{
    adr_assert (pack->size >= 4);
    size_t end = 4 + (size_t) adr_get_u32 (pack->data);
    adr_assert (end >= 4 + S_NUMBERS_SIZE && end <= pack->size);
    uint8_t *at = pack->data + end - S_NUMBERS_SIZE;
    adr_assert (at[0] == S_TAG_SEQUENCE && at[9] == S_TAG_MAP_EPOCH);
    s_put_numbers (at, sequence, map_epoch);
}

void
adr_pack_add (adr_buffer_t *pack, uint16_t kind, const ProtobufCMessage *header, adr_bytes_t payload)
{
    const adr_kind_row_t *row = adr_kind_row (kind);
    adr_assert (row != NULL && row->descriptor == header->descriptor);
    size_t size = protobuf_c_message_get_packed_size (header);
    adr_assert (size <= ADR_HEADER_MAX && payload.size <= ADR_ENTRY_MAX);
    uint8_t *at = adr_buffer_grow (pack, ADR_ITEM_PREFIX_SIZE + size + payload.size);
    adr_assert (pack->size <= ADR_PACK_MAX);
    adr_put_u16 (at, kind);
    adr_put_u16 (at + 2, 0);
    adr_put_u32 (at + 4, (uint32_t) size);
    adr_put_u32 (at + 8, (uint32_t) payload.size);
    protobuf_c_message_pack (header, at + ADR_ITEM_PREFIX_SIZE);
    if (payload.size)
        memcpy (at + ADR_ITEM_PREFIX_SIZE + size, payload.data, payload.size);
}

/* --- reading a pack ----------------------------------------------------------------------------------------------- */

static bool
s_read_id (adr_id_t *id, const adr_field_t *field)
{
    return field->wire == PROTOBUF_C_WIRE_TYPE_LENGTH_PREFIXED
           && adr_id_from_bytes (id, field->bytes.data, field->bytes.size);
}

static bool
s_read_number (uint64_t *value, const adr_field_t *field, uint32_t wire, uint64_t max)
{
    *value = field->value;
    return field->wire == wire && field->value <= max;
}

static bool
s_read_actor (adr_actor_kind_t *actor, const adr_field_t *field)
{
    uint64_t value;
    bool good = s_read_number (&value, field, PROTOBUF_C_WIRE_TYPE_VARINT, ADR_ACTOR_COUNT - 1);
    *actor = (adr_actor_kind_t) value;
    return good;
}

static bool
s_envelope_field (adr_envelope_t *self, uint64_t *protocol, const adr_field_t *field)
{
    switch (field->number) {
    case 1:
        return s_read_number (protocol, field, PROTOBUF_C_WIRE_TYPE_VARINT, UINT32_MAX);
    case 2:
        return s_read_id (&self->cluster, field);
    case 3:
        return s_read_id (&self->sender, field);
    case 4:
        return (field->wire == PROTOBUF_C_WIRE_TYPE_LENGTH_PREFIXED && field->value == 0)
               || s_read_id (&self->to, field);
    case 5:
        return s_read_actor (&self->from_actor, field);
    case 6:
        return s_read_actor (&self->to_actor, field);
    case 7:
        return s_read_number (&self->incarnation, field, PROTOBUF_C_WIRE_TYPE_VARINT, UINT64_MAX);
    case 8:
        return s_read_number (&self->boot, field, PROTOBUF_C_WIRE_TYPE_VARINT, UINT64_MAX);
    case 9:
        return s_read_number (&self->sequence, field, PROTOBUF_C_WIRE_TYPE_64BIT, UINT64_MAX);
    case 10:
        return s_read_number (&self->map_epoch, field, PROTOBUF_C_WIRE_TYPE_64BIT, UINT64_MAX);
    default:
        return true; /* a newer version's */
    }
}

/* Read here and not by protobuf-c, because every pack has one: a third of what a small pack costs. A test compares the
 * two. */
static bool
s_envelope_read (adr_envelope_t *envelope, adr_bytes_t rest)
{
    uint64_t protocol = 0;
    uint32_t seen = 0, unknown = 0;
    *envelope = (adr_envelope_t){ 0 };
    while (rest.size) {
        adr_field_t field;
        if (!adr_field_next (&rest, &field))
            return false;
        uint32_t bit = field.number <= S_ENVELOPE_FIELDS ? 1u << field.number : 0;
        unknown += bit == 0;
        if ((seen & bit) || unknown > ADR_FIELDS_UNKNOWN_MAX || !s_envelope_field (envelope, &protocol, &field))
            return false;
        seen |= bit;
    }
    const uint32_t needed = 1u << 2 | 1u << 3; /* cluster and sender */
    return protocol == ADR_PROTOCOL && (seen & needed) == needed;
}

bool
adr_pack_open (adr_pack_reader_t *self, adr_bytes_t pack)
{
    if (pack.size < 4 || pack.size > ADR_PACK_MAX)
        return false;
    size_t size = adr_get_u32 (pack.data);
    if (size > S_ENVELOPE_MAX || size > pack.size - 4)
        return false;
    self->rest = adr_bytes (pack.data + 4 + size, pack.size - 4 - size);
    return s_envelope_read (&self->envelope, adr_bytes (pack.data + 4, size));
}

int
adr_pack_next (adr_pack_reader_t *self, adr_item_t *item)
{
    if (self->rest.size == 0)
        return 0;
    if (self->rest.size < ADR_ITEM_PREFIX_SIZE)
        return -1;
    const uint8_t *at = self->rest.data;
    size_t header_size = adr_get_u32 (at + 4);
    size_t payload_size = adr_get_u32 (at + 8);
    size_t room = self->rest.size - ADR_ITEM_PREFIX_SIZE;
    if (adr_get_u16 (at + 2) != 0 || header_size > ADR_HEADER_MAX || payload_size > ADR_ENTRY_MAX
        || header_size + payload_size > room)
        return -1;
    item->kind = adr_get_u16 (at);
    item->header = adr_bytes (at + ADR_ITEM_PREFIX_SIZE, header_size);
    item->payload = adr_bytes (item->header.data + header_size, payload_size);
    self->rest = adr_bytes (item->payload.data + payload_size, room - header_size - payload_size);
    return 1;
}

const ProtobufCMessage *
adr_header_decode (const adr_item_t *item, adr_arena_t *arena)
{
    const adr_kind_row_t *row = adr_kind_row (item->kind);
    if (row == NULL || !adr_bounds_hold (row->descriptor, item->header))
        return NULL;
    return protobuf_c_message_unpack (row->descriptor, &arena->allocator, item->header.size, item->header.data);
}

/* --- parts of headers --------------------------------------------------------------------------------------------- */

adr_id_t
adr_id_of (ProtobufCBinaryData field)
{
    adr_id_t id;
    if (!adr_id_from_bytes (&id, field.data, field.len))
        memset (&id, 0, sizeof id);
    return id;
}

Adr__VoterSet *
adr_voter_set_fill (adr_voter_set_t *self, const adr_voters_t *voters)
{
    adr_assert (voters->count <= ADR_VOTERS_MAX);
    adr__voter_set__init (&self->set);
    self->set.term = voters->at.term;
    self->set.index = voters->at.index;
    self->set.quorum = voters->quorum;
    self->set.map_epoch = voters->map_epoch;
    self->set.n_voter = voters->count;
    self->set.voter = self->pointer;
    for (uint32_t i = 0; i < voters->count; i++) {
        adr__voter__init (&self->voter[i]);
        self->voter[i].node = adr_id_view (&voters->voter[i].node);
        self->voter[i].incarnation = voters->voter[i].incarnation;
        self->pointer[i] = &self->voter[i];
    }
    return &self->set;
}

bool
adr_voter_set_read (adr_voters_t *voters, const Adr__VoterSet *set)
{
    memset (voters, 0, sizeof *voters);
    if (set == NULL)
        return true;
    if (set->n_voter > ADR_VOTERS_MAX)
        return false;
    voters->at = (adr_position_t){ set->term, set->index };
    voters->quorum = set->quorum;
    voters->map_epoch = set->map_epoch;
    voters->count = (uint32_t) set->n_voter;
    for (uint32_t i = 0; i < voters->count; i++)
        voters->voter[i] = (adr_voter_t){ adr_id_of (set->voter[i]->node), set->voter[i]->incarnation };
    return true;
}

/* --- the rows of a list answer ------------------------------------------------------------------------------------ */

#define S_ROW_PREFIX_SIZE 34

void
adr_list_row_append (adr_buffer_t *rows, adr_bytes_t key, adr_bytes_t value, adr_version_t version, uint64_t time_ms)
{
    adr_assert (key.size <= ADR_KEY_MAX && value.size <= ADR_VALUE_MAX);
    uint8_t *at = adr_buffer_grow (rows, S_ROW_PREFIX_SIZE + key.size + value.size);
    adr_put_u16 (at, (uint16_t) key.size);
    adr_put_u32 (at + 2, (uint32_t) value.size);
    adr_put_u32 (at + 6, version.epoch);
    adr_put_u64 (at + 10, version.term);
    adr_put_u64 (at + 18, version.index);
    adr_put_u64 (at + 26, time_ms);
    if (key.size)
        memcpy (at + S_ROW_PREFIX_SIZE, key.data, key.size);
    if (value.size)
        memcpy (at + S_ROW_PREFIX_SIZE + key.size, value.data, value.size);
}

bool
adr_list_row_next (adr_bytes_t *rows, adr_bytes_t *key, adr_bytes_t *value, adr_version_t *version, uint64_t *time_ms)
{
    const uint8_t *at = rows->data;
    if (rows->size < S_ROW_PREFIX_SIZE)
        return false;
    size_t key_size = adr_get_u16 (at);
    size_t value_size = adr_get_u32 (at + 2);
    if (key_size > ADR_KEY_MAX || value_size > ADR_VALUE_MAX
        || key_size + value_size > rows->size - S_ROW_PREFIX_SIZE)
        return false;
    *version = (adr_version_t){ adr_get_u32 (at + 6), adr_get_u64 (at + 10), adr_get_u64 (at + 18) };
    *time_ms = adr_get_u64 (at + 26);
    *key = adr_bytes (at + S_ROW_PREFIX_SIZE, key_size);
    *value = adr_bytes (key->data + key_size, value_size);
    *rows = adr_bytes (value->data + value_size, rows->size - S_ROW_PREFIX_SIZE - key_size - value_size);
    return true;
}
