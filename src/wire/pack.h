/* SPDX-License-Identifier: MPL-2.0 */
/* A pack: what one turn of an actor has for one address, as one run of bytes [DESIGN 3]. The same bytes go into a
 * mailbox of this host, through a ZeroMQ socket, and through the simulator's network.
 *
 *     u32 envelope size, Envelope, then items: u16 kind, u16 zero, u32 header size, u32 payload size, header, payload
 *
 * All decoders here are total: any bytes are answered, nothing is allocated beyond limits.h, no assert is reached. */

#ifndef ADR_PACK_H
#define ADR_PACK_H

#include "core/base.h"
#include "core/bytes.h"
#include "core/limits.h"
#include "wire/adrestia.pb-c.h"

#define ADR_PROTOCOL 1
#define ADR_ITEM_PREFIX_SIZE 12

/* Decoded headers live in an arena that is emptied at once; it never frees piecewise and refuses to grow beyond
 * `limit` (the decoder then fails). */
typedef struct {
    ProtobufCAllocator allocator; /* hand &arena->allocator to protobuf-c */
    uint8_t *data;
    size_t used, room;
    struct adr_arena_more *more; /* what did not fit the first block */
    size_t more_size, limit;
} adr_arena_t;

void adr_arena_init (adr_arena_t *self, size_t room, size_t limit);
/* Memory from the arena, aligned for anything, not zeroed; NULL beyond the limit. */
void *adr_arena_take (adr_arena_t *self, size_t size);
void adr_arena_reset (adr_arena_t *self);
void adr_arena_free (adr_arena_t *self);

typedef struct {
    adr_id_t cluster, sender, to;
    adr_actor_kind_t from_actor, to_actor;
    uint64_t incarnation, boot, sequence, map_epoch;
} adr_envelope_t;

/* Starts a pack: writes the envelope into the empty buffer. */
void adr_pack_begin (adr_buffer_t *pack, const adr_envelope_t *envelope);
/* Adds an item. Asserts the limits: an actor of ours made it. */
void adr_pack_add (adr_buffer_t *pack, uint16_t kind, const ProtobufCMessage *header, adr_bytes_t payload);
/* Puts the sequence (and map epoch) into a pack that was begun with zeros for them: they are the last two fields, as
 * fixed-width numbers at a known place, because the sender's post numbers packs when it sends them. */
void adr_pack_number (adr_buffer_t *pack, uint64_t sequence, uint64_t map_epoch);

typedef struct {
    adr_envelope_t envelope;
    adr_bytes_t rest; /* the items that are still to come */
} adr_pack_reader_t;

typedef struct {
    uint16_t kind;
    adr_bytes_t header; /* still encoded */
    adr_bytes_t payload;
} adr_item_t;

/* Reads the envelope; false if these are not the bytes of a pack of this protocol version. */
ADR_WARN_UNUSED bool adr_pack_open (adr_pack_reader_t *self, adr_bytes_t pack);
/* 1: here is the next item. 0: the end. -1: nonsense, drop the rest. */
ADR_WARN_UNUSED int adr_pack_next (adr_pack_reader_t *self, adr_item_t *item);
/* Decodes the header for its kind into the arena; NULL if it is nonsense, or the kind unknown. Bounds: strings and
 * byte fields within the header; repeated fields at most ADR_OPS_MAX ops, ADR_VOTERS_MAX voters; enums within their
 * range; ids of 16 bytes or empty; keys within ADR_KEY_MAX. */
const ProtobufCMessage *adr_header_decode (const adr_item_t *item, adr_arena_t *arena);

/* The table [DESIGN 8]: may a sender of this type send this kind of message to that actor? One row a kind, in
 * table.c; a test walks every cell. `local` messages come from actors of the same host. */
ADR_WARN_UNUSED bool adr_message_allowed (uint16_t kind, adr_node_type_t from_type, adr_actor_kind_t from,
                                          adr_actor_kind_t to, bool local);
const char *adr_kind_name (uint16_t kind);

/* Borrowed views, for filling headers: the header must be sent before the id goes. */
static inline ProtobufCBinaryData
adr_id_view (const adr_id_t *id)
{
    return (ProtobufCBinaryData){ ADR_ID_SIZE, (uint8_t *) id->bytes };
}

static inline ProtobufCBinaryData
adr_bytes_view (adr_bytes_t bytes)
{
    return (ProtobufCBinaryData){ bytes.size, (uint8_t *) bytes.data };
}

/* The id in a decoded field; none where it is empty (the decoder admitted nothing else). */
adr_id_t adr_id_of (ProtobufCBinaryData field);
/* A VoterSet header with room for its parts, and back. False for more than ADR_VOTERS_MAX. */
typedef struct {
    Adr__VoterSet set;
    Adr__Voter voter[ADR_VOTERS_MAX];
    Adr__Voter *pointer[ADR_VOTERS_MAX];
} adr_voter_set_t;
Adr__VoterSet *adr_voter_set_fill (adr_voter_set_t *self, const adr_voters_t *voters); /* lends `voters` */
ADR_WARN_UNUSED bool adr_voter_set_read (adr_voters_t *voters, const Adr__VoterSet *set);

/* The rows of a list answer's payload. */
void adr_list_row_append (adr_buffer_t *rows, adr_bytes_t key, adr_bytes_t value, adr_version_t version,
                          uint64_t time_ms);
/* Reads one row and moves `rows` behind it; false at the end or at nonsense. */
ADR_WARN_UNUSED bool adr_list_row_next (adr_bytes_t *rows, adr_bytes_t *key, adr_bytes_t *value,
                                        adr_version_t *version, uint64_t *time_ms);

#endif
