/* SPDX-License-Identifier: MPL-2.0 */
/* A second way into a store: see reader.h.
 *
 * Owns: what it has read of segments' headers. Makes durable: nothing. Implements STORE-3 (a value is what its row names)
 * for reads by others than the owner. */

#include "store/reader.h"

#include "store/internal.h"

#include <errno.h>
#include <stdlib.h>

#define S_SALTS 64 /* segments whose salts are remembered */
#define S_FLAGS_MAX 6   /* of an inventory's row: in doubt (2, 4, 6), or deleted (1) */
#define S_VALUE_TRIES 3 /* a segment may go while its row is read: the row then names another place */

struct adr_reader {
    adr_disk_t *disk;
    adr_index_t *index;
    adr_tree_t tree; /* its key and its shape only */
    struct {
        uint64_t segment, salt;
    } salt[S_SALTS];
    adr_buffer_t frame;
    adr_entry_t entry;
    uint64_t retries;
};

/* --- life ------------------------------------------------------------------------------------------------------ */

adr_reader_t *
adr_reader_create (const adr_store_options_t *options, adr_disk_t *disk, adr_index_t *index)
{
    adr_reader_t *self = adr_alloc (sizeof *self);
    self->disk = disk;
    self->index = index;
    adr_tree_init (&self->tree, options->tree_key, options->partitions ? options->partitions : 1);
    return self;
}

void
adr_reader_destroy (adr_reader_t **self_pointer)
{
    adr_reader_t *self = *self_pointer;
    if (!self)
        return;
    adr_tree_free (&self->tree);
    adr_buffer_free (&self->frame);
    free (self);
    *self_pointer = NULL;
}

uint32_t
adr_reader_partitions (const adr_reader_t *self)
{
    return self->tree.partitions;
}

uint32_t
adr_reader_buckets (const adr_reader_t *self, uint32_t partition)
{
    return partition < self->tree.partitions ? self->tree.buckets : 1;
}

uint32_t
adr_reader_slice (const adr_reader_t *self, uint32_t partition, uint32_t bucket)
{
    return partition * self->tree.buckets + bucket;
}

/* --- one moment ------------------------------------------------------------------------------------------------ */

static bool
s_applied_of (adr_reader_t *self, adr_index_view_t *view, adr_position_t *applied)
{
    uint8_t bytes[ADR_META_APPLIED_SIZE];
    size_t size = 0;
    int error = self->index->view_meta (view, ADR_META_APPLIED, bytes, sizeof bytes, &size);
    *applied = (adr_position_t){ 0, 0 };
    if (error == ENOENT)
        return true; /* nothing was flushed yet */
    if (error || size != sizeof bytes)
        return false;
    *applied = (adr_position_t){ adr_get_u64 (bytes + 16), adr_get_u64 (bytes + 24) };
    return true;
}

/* False, and no view, if its tree is not to be believed. */
static bool
s_view (adr_reader_t *self, adr_index_view_t **view, adr_position_t *applied)
{
    if (self->index->view (self->index, view) != 0)
        return false;
    if (!adr_tree_is_broken (self->index, *view) && s_applied_of (self, *view, applied))
        return true;
    self->index->view_close (view);
    return false;
}

bool
adr_reader_applied (adr_reader_t *self, adr_position_t *applied)
{
    adr_index_view_t *view;
    if (self->index->view (self->index, &view) != 0)
        return false;
    bool read = s_applied_of (self, view, applied);
    self->index->view_close (&view);
    return read;
}

bool
adr_reader_leaves (adr_reader_t *self, uint32_t partition, adr_buffer_t *leaves, adr_position_t *applied)
{
    adr_index_view_t *view;
    if (partition > self->tree.partitions || !s_view (self, &view, applied))
        return false;
    int error = 0;
    for (uint32_t bucket = 0; bucket < adr_reader_buckets (self, partition) && !error; bucket++)
        error = adr_tree_leaf (view, self->index, adr_reader_slice (self, partition, bucket),
                               adr_buffer_grow (leaves, ADR_HASH_SIZE));
    self->index->view_close (&view);
    return error == 0;
}

bool
adr_reader_doubts (adr_reader_t *self, uint32_t partition, uint8_t set[ADR_BUCKET_SET_SIZE])
{
    adr_index_view_t *view;
    uint32_t slice = adr_reader_slice (self, partition, 0), first = slice, to = first + adr_reader_buckets (self, partition);
    bool found = false;
    if (self->index->view (self->index, &view) != 0)
        return false;
    for (; adr_tree_doubt (view, self->index, &slice, to) == 0; slice++, found = true)
        set[(slice - first) / 8] |= (uint8_t) (1u << (slice - first) % 8);
    self->index->view_close (&view);
    return found;
}

/* --- inventories ----------------------------------------------------------------------------------------------- */

void
adr_inventory_row_put (adr_buffer_t *rows, const adr_inventory_row_t *row)
{
    uint8_t *at = adr_buffer_grow (rows, ADR_INVENTORY_HEADER_SIZE + row->key.size);
    at[0] = row->table;
    at[1] = (uint8_t) (row->deleted | row->doubt << 1);
    adr_put_u16 (at + 2, (uint16_t) row->key.size);
    adr_put_u32 (at + 4, row->value_size);
    adr_put_u32 (at + 8, row->version.epoch);
    adr_put_u64 (at + 12, row->version.term);
    adr_put_u64 (at + 20, row->version.index);
    adr_put_u64 (at + 28, row->time_ms);
    memcpy (at + 36, row->digest, ADR_DIGEST_SIZE);
    if (row->key.size)
        memcpy (at + ADR_INVENTORY_HEADER_SIZE, row->key.data, row->key.size);
}

size_t
adr_inventory_row_get (adr_inventory_row_t *row, adr_bytes_t bytes)
{
    const uint8_t *at = bytes.data;
    if (bytes.size < ADR_INVENTORY_HEADER_SIZE)
        return 0;
    size_t key_size = adr_get_u16 (at + 2);
    *row = (adr_inventory_row_t){
        .table = at[0], .deleted = (at[1] & 1) != 0, .doubt = (adr_doubt_t) (at[1] >> 1 & 3), .value_size = adr_get_u32 (at + 4),
        .version = { adr_get_u32 (at + 8), adr_get_u64 (at + 12), adr_get_u64 (at + 20) }, .time_ms = adr_get_u64 (at + 28)
    };
    if (row->table >= ADR_TABLE_COUNT || at[1] > S_FLAGS_MAX || (row->deleted && row->doubt)
        || key_size > ADR_KEY_MAX || row->value_size > ADR_VALUE_MAX
        || (row->deleted && row->value_size) || bytes.size - ADR_INVENTORY_HEADER_SIZE < key_size
        || row->version.index == 0 || row->version.term > ADR_TERM_MAX)
        return 0;
    memcpy (row->digest, at + 36, ADR_DIGEST_SIZE);
    row->key = adr_bytes (at + ADR_INVENTORY_HEADER_SIZE, key_size);
    return ADR_INVENTORY_HEADER_SIZE + key_size;
}

static adr_inventory_row_t
s_inventory_row (uint8_t table, adr_bytes_t key, const adr_index_row_t *row)
{
    adr_inventory_row_t made = { .table = table, .deleted = row->deleted, .doubt = row->doubt, .key = key,
                                 .value_size = row->value_size, .version = row->version, .time_ms = row->time_ms };
    memcpy (made.digest, row->digest, sizeof made.digest);
    return made;
}

void
adr_reader_hash_row (const adr_reader_t *self, const adr_inventory_row_t *row, uint8_t hash[32])
{
    uint8_t own[ADR_HASH_SIZE];
    adr_index_row_t as_row = { .version = row->version, .doubt = row->doubt, .deleted = row->deleted };
    memcpy (as_row.digest, row->digest, sizeof as_row.digest);
    adr_tree_record_hash (&self->tree, row->table, row->key, &as_row, own);
    adr_hash_xor (hash, own);
}

uint32_t
adr_reader_order (const adr_reader_t *self, uint8_t table, adr_bytes_t key, uint8_t order[16])
{
    return adr_tree_slice (&self->tree, table, key, order);
}

static int
s_inventory (adr_reader_t *self, adr_index_view_t *view, uint32_t slice, size_t max, adr_buffer_t *rows)
{
    uint8_t order[ADR_ORDER_SIZE], table;
    adr_bytes_t key;
    size_t before = rows->size;
    int error;
    for (bool after = false; (error = adr_tree_slot (view, self->index, slice, after, order, &table, &key)) == 0;
         after = true) {
        adr_index_row_t row;
        if ((error = self->index->view_row (view, table, key, &row)) != 0)
            return error == ENOENT ? EIO : error; /* a slot without its row */
        adr_inventory_row_t made = s_inventory_row (table, key, &row);
        adr_inventory_row_put (rows, &made);
        if (rows->size - before > max)
            return EFBIG;
    }
    return error == ENOENT ? 0 : error;
}

static int
s_section (adr_reader_t *self, adr_index_view_t *view, uint32_t partition, uint32_t bucket, size_t max,
           adr_buffer_t *sections)
{
    uint32_t slice = adr_reader_slice (self, partition, bucket);
    size_t begin = sections->size;
    uint8_t hash[ADR_HASH_SIZE];
    adr_buffer_grow (sections, ADR_SECTION_HEADER_SIZE);
    int error = adr_tree_leaf (view, self->index, slice, hash);
    if (!error)
        error = s_inventory (self, view, slice, max, sections);
    uint8_t *at = sections->data + begin;
    at[0] = (uint8_t) bucket;
    adr_put_u32 (at + 1, (uint32_t) (sections->size - begin - ADR_SECTION_HEADER_SIZE));
    memcpy (at + 5, hash, sizeof hash);
    return error;
}

bool
adr_reader_inventory (adr_reader_t *self, uint32_t partition, const uint8_t *set, size_t enough, size_t max,
                      adr_buffer_t *sections, adr_position_t *applied, bool *damaged)
{
    adr_index_view_t *view;
    size_t begin = sections->size;
    *damaged = true;
    if (partition > self->tree.partitions || !s_view (self, &view, applied))
        return false;
    int error = 0;
    for (uint32_t bucket = 0; bucket < adr_reader_buckets (self, partition) && !error; bucket++)
        if (set[bucket / 8] >> bucket % 8 & 1 && (sections->size == begin || sections->size - begin < enough))
            error = s_section (self, view, partition, bucket, max, sections);
    self->index->view_close (&view);
    *damaged = error != 0 && error != EFBIG;
    return error == 0;
}

size_t
adr_inventory_section_get (adr_inventory_section_t *section, adr_bytes_t bytes)
{
    if (bytes.size < ADR_SECTION_HEADER_SIZE || bytes.size - ADR_SECTION_HEADER_SIZE < adr_get_u32 (bytes.data + 1))
        return 0;
    section->bucket = bytes.data[0];
    section->rows = adr_bytes (bytes.data + ADR_SECTION_HEADER_SIZE, adr_get_u32 (bytes.data + 1));
    memcpy (section->hash, bytes.data + 5, sizeof section->hash);
    return ADR_SECTION_HEADER_SIZE + section->rows.size;
}

bool
adr_reader_leaf_is_true (const adr_reader_t *self, const adr_inventory_section_t *section)
{
    uint8_t sum[ADR_HASH_SIZE] = { 0 };
    adr_bytes_t rest = section->rows;
    while (rest.size) {
        adr_inventory_row_t row;
        size_t size = adr_inventory_row_get (&row, rest);
        if (size == 0)
            return false;
        adr_reader_hash_row (self, &row, sum);
        rest = adr_bytes (rest.data + size, rest.size - size);
    }
    return memcmp (sum, section->hash, sizeof sum) == 0;
}

/* --- keys ------------------------------------------------------------------------------------------------------ */

void
adr_wound_put (adr_buffer_t *keys, uint8_t table, adr_bytes_t key)
{
    uint8_t *at = adr_buffer_grow (keys, 3 + key.size);
    at[0] = table;
    adr_put_u16 (at + 1, (uint16_t) key.size);
    if (key.size)
        memcpy (at + 3, key.data, key.size);
}

bool
adr_wound_next (adr_bytes_t *keys, uint8_t *table, adr_bytes_t *key)
{
    if (keys->size < 3 || keys->size - 3 < adr_get_u16 (keys->data + 1))
        return false;
    *table = keys->data[0];
    *key = adr_bytes (keys->data + 3, adr_get_u16 (keys->data + 1));
    *keys = adr_bytes (keys->data + 3 + key->size, keys->size - 3 - key->size);
    return true;
}

/* --- records --------------------------------------------------------------------------------------------------- */

static adr_status_t
s_row (adr_reader_t *self, uint8_t table, adr_bytes_t key, adr_index_row_t *row)
{
    adr_index_view_t *view;
    if (self->index->view (self->index, &view) != 0)
        return ADR_STATUS_DAMAGED;
    int error = self->index->view_row (view, table, key, row);
    self->index->view_close (&view);
    return error == 0 ? ADR_STATUS_OK : error == ENOENT ? ADR_STATUS_NOT_FOUND : ADR_STATUS_DAMAGED;
}

adr_status_t
adr_reader_row (adr_reader_t *self, uint8_t table, adr_bytes_t key, adr_inventory_row_t *row)
{
    adr_index_row_t found;
    adr_status_t status = s_row (self, table, key, &found);
    if (status == ADR_STATUS_OK)
        *row = s_inventory_row (table, key, &found);
    return status;
}

/* The salt that a segment's header names; headers are never written again while the segment lives, and a number is never
 * used twice. */
static bool
s_salt_of (adr_reader_t *self, uint64_t segment, uint64_t *salt)
{
    uint8_t bytes[ADR_SEGMENT_HEADER_SIZE];
    adr_segment_header_t header;
    size_t at = (size_t) (segment % S_SALTS);
    for (uint64_t copy = 0; self->salt[at].segment != segment && copy < ADR_SEGMENT_HEADER_COPIES; copy++)
        if (self->disk->read (self->disk, segment, copy * ADR_BLOCK, bytes, sizeof bytes) == 0
            && adr_segment_header_decode (&header, bytes) && header.number == segment) {
            self->salt[at].segment = segment;
            self->salt[at].salt = header.salt;
        }
    *salt = self->salt[at].salt;
    return self->salt[at].segment == segment;
}

static bool
s_read_value (adr_reader_t *self, const adr_index_row_t *row, uint8_t table, adr_bytes_t key, adr_bytes_t *value)
{
    const adr_place_t *place = &row->place;
    uint64_t salt;
    adr_frame_t frame;
    if (!s_salt_of (self, place->segment, &salt) || place->size < ADR_FRAME_HEADER_SIZE
        || place->size > ADR_ENTRY_MAX + ADR_FRAME_HEADER_SIZE)
        return false;
    adr_buffer_clear (&self->frame);
    uint8_t *at = adr_buffer_grow (&self->frame, place->size);
    return self->disk->read (self->disk, place->segment, place->offset, at, place->size) == 0
        && adr_frame_read (&frame, adr_bytes (at, place->size), salt, place->segment, place->offset)
        && adr_value_of (frame.content, &self->entry, row, table, key, value);
}

adr_status_t
adr_reader_record (adr_reader_t *self, uint8_t table, adr_bytes_t key, adr_buffer_t *record)
{
    adr_index_row_t row;
    for (int tries = 0; tries < S_VALUE_TRIES; tries++) {
        adr_status_t status = s_row (self, table, key, &row);
        adr_bytes_t value = { 0 };
        if (status != ADR_STATUS_OK)
            return status;
        if (!row.deleted && row.place.segment == 0)
            return row.doubt ? ADR_STATUS_NOT_FOUND : ADR_STATUS_DAMAGED;
        if (!row.deleted && !s_read_value (self, &row, table, key, &value)) {
            self->retries++;
            continue;
        }
        adr_inventory_row_t made = s_inventory_row (table, key, &row);
        adr_inventory_row_put (record, &made);
        adr_buffer_append (record, value.data, value.size);
        return ADR_STATUS_OK;
    }
    return ADR_STATUS_DAMAGED;
}

uint64_t
adr_reader_retries (const adr_reader_t *self)
{
    return self->retries;
}
