/* SPDX-License-Identifier: MPL-2.0 */
/* The LMDB index's keys and values as bytes.
 *
 * Owns: nothing. Makes durable: nothing. Implements STORE-10: each value has a checksum that covers its key, verified at
 * each read.
 *
 * LMDB's keys end at 511 bytes and ours at 1,100, so keys are split over nodes, as in a trie: the root node holds keys
 * of up to 500 bytes whole; for longer ones it holds a marker, the first 500 bytes and a zero, that names a child node,
 * which holds the rest in the same way. Byte order within each node then is key order over all: a marker stands behind
 * the key that equals its 500 bytes and before any other that is greater.
 *
 *     root:   00, table, part          child:  01, u64 node (big-endian), part        a marker's part has 501 bytes
 *     value:  u32 checksum over key and rest, u8 kind: 1 a row, 2 a marker with u64 child
 *
 * Two more databases in the file, `meta` and `tree`, hold small values by name: u32 checksum over name and value, value. */

#include "store/crc32c.h"
#include "store/index_lmdb.h"

#include <errno.h>

uint32_t
adr_index_checksum (const MDB_val *key, const uint8_t *value, size_t size)
{
    return adr_crc32c (adr_crc32c (0, key->mv_data, key->mv_size), value + 4, size - 4);
}

void
adr_index_row_encode (const MDB_val *key, const adr_index_row_t *row, uint8_t at[ADR_INDEX_ROW_SIZE])
{
    at[4] = ADR_INDEX_KIND_ROW;
    at[5] = (uint8_t) (row->deleted | row->doubt << 1);
    adr_put_u32 (at + 6, row->version.epoch);
    adr_put_u64 (at + 10, row->version.term);
    adr_put_u64 (at + 18, row->version.index);
    adr_put_u64 (at + 26, row->place.segment);
    adr_put_u64 (at + 34, row->place.offset);
    adr_put_u32 (at + 42, row->place.size);
    adr_put_u16 (at + 46, row->place.op);
    adr_put_u32 (at + 48, row->value_size);
    memcpy (at + 52, row->digest, sizeof row->digest);
    adr_put_u64 (at + 68, row->time_ms);
    adr_put_u32 (at, adr_index_checksum (key, at, ADR_INDEX_ROW_SIZE));
}

/* [STORE-10] */
bool
adr_index_value_is_sound (const MDB_val *key, const MDB_val *value, uint8_t kind, size_t size)
{
    const uint8_t *at = value->mv_data;
    return value->mv_size == size && at[4] == kind && adr_get_u32 (at) == adr_index_checksum (key, at, size);
}

bool
adr_index_row_decode (const MDB_val *key, const MDB_val *value, adr_index_row_t *row)
{
    if (!adr_index_value_is_sound (key, value, ADR_INDEX_KIND_ROW, ADR_INDEX_ROW_SIZE))
        return false;
    const uint8_t *at = value->mv_data;
    *row = (adr_index_row_t){
        .deleted = (at[5] & 1) != 0,
        .doubt = (adr_doubt_t) (at[5] >> 1 & 3),
        .version = { adr_get_u32 (at + 6), adr_get_u64 (at + 10), adr_get_u64 (at + 18) },
        .place = { adr_get_u64 (at + 26), adr_get_u64 (at + 34), adr_get_u32 (at + 42), adr_get_u16 (at + 46) },
        .value_size = adr_get_u32 (at + 48),
        .time_ms = adr_get_u64 (at + 68)
    };
    memcpy (row->digest, at + 52, sizeof row->digest);
    return true;
}

static size_t
s_root_header (uint8_t *header, uint8_t table)
{
    header[0] = 0;
    header[1] = table;
    return 2;
}

size_t
adr_index_child_header (uint8_t *header, uint64_t node)
{
    header[0] = 1;
    adr_put_be64 (header + 1, node);
    return 9;
}

void
adr_index_walk_key (adr_index_walk_t *walk)
{
    size_t part = walk->rest.size > ADR_INDEX_PART ? ADR_INDEX_PART : walk->rest.size;
    if (part)
        memcpy (walk->bytes + walk->header_size, walk->rest.data, part);
    if (walk->rest.size > ADR_INDEX_PART)
        walk->bytes[walk->header_size + part++] = 0;
    walk->key = (MDB_val){ walk->header_size + part, walk->bytes };
}

void
adr_index_walk_begin (adr_index_walk_t *walk, uint8_t table, adr_bytes_t key)
{
    walk->header_size = s_root_header (walk->bytes, table);
    walk->rest = key;
    adr_index_walk_key (walk);
}

void
adr_index_walk_down (adr_index_walk_t *walk, uint64_t node)
{
    walk->header_size = adr_index_child_header (walk->bytes, node);
    walk->rest = adr_bytes (walk->rest.data + ADR_INDEX_PART, walk->rest.size - ADR_INDEX_PART);
    adr_index_walk_key (walk);
}

int
adr_index_walk_to_end (const adr_index_lmdb_t *self, MDB_txn *transaction, adr_index_walk_t *walk)
{
    while (walk->rest.size > ADR_INDEX_PART) {
        MDB_val value;
        int error = mdb_get (transaction, self->records, &walk->key, &value);
        if (error)
            return adr_index_errno (error);
        if (!adr_index_value_is_sound (&walk->key, &value, ADR_INDEX_KIND_MARKER, ADR_INDEX_MARKER_SIZE))
            return EIO;
        adr_index_walk_down (walk, adr_get_u64 ((const uint8_t *) value.mv_data + 5));
    }
    return 0;
}

int
adr_index_small_of (const MDB_val *name, const MDB_val *found, adr_bytes_t *value)
{
    const uint8_t *at = found->mv_data;
    if (found->mv_size < 4 || adr_get_u32 (at) != adr_index_checksum (name, at, found->mv_size))
        return EIO;
    *value = adr_bytes (at + 4, found->mv_size - 4);
    return 0;
}
