/* SPDX-License-Identifier: MPL-2.0 */
/* A second way into a store, for those who compare and repair [DESIGN 7]: reads of the index as it was committed, and of the
 * values that it names, by another thread than the store's owner. Every call sees one moment, whose applied index it tells;
 * what stands in memory tables is not seen. Pure, as the store.
 *
 * One reader a thread. Assumes that the store was opened before it is made, and outlives it. */

#ifndef ADR_READER_H
#define ADR_READER_H

#include "store/store.h"

typedef struct adr_reader adr_reader_t;

/* Everything is borrowed for the reader's life. */
adr_reader_t *adr_reader_create (const adr_store_options_t *options, adr_disk_t *disk, adr_index_t *index);
void adr_reader_destroy (adr_reader_t **self);

uint32_t adr_reader_partitions (const adr_reader_t *self); /* the group's own records stand behind the last one */
uint32_t adr_reader_buckets (const adr_reader_t *self, uint32_t partition);
/* The slice of a partition's bucket. */
uint32_t adr_reader_slice (const adr_reader_t *self, uint32_t partition, uint32_t bucket);

/* Appends the partition's leaves, 32 bytes each. False if the index cannot be read, or its tree is broken. */
ADR_WARN_UNUSED bool adr_reader_leaves (adr_reader_t *self, uint32_t partition, adr_buffer_t *leaves,
                                        adr_position_t *applied);

/* One row of an inventory: what a copy has of a record. Bytes, little-endian: u8 table, u8 deleted (1) or twice the doubt, u16 key size, u32 value
 * size, u32 epoch, u64 term, u64 index, u64 time, digest of the value (16), key. */
typedef struct {
    uint8_t table;
    bool deleted;
    adr_doubt_t doubt;
    adr_bytes_t key;
    uint32_t value_size;
    adr_version_t version;
    uint64_t time_ms;
    uint8_t digest[ADR_DIGEST_SIZE];
} adr_inventory_row_t;
#define ADR_INVENTORY_HEADER_SIZE 52

void adr_inventory_row_put (adr_buffer_t *rows, const adr_inventory_row_t *row);
/* Reads the row at the start of `bytes` and returns its size, 0 if there is no whole one within the limits. */
ADR_WARN_UNUSED size_t adr_inventory_row_get (adr_inventory_row_t *row, adr_bytes_t bytes);

/* An inventory is a section for each bucket: u8 bucket, u32 size of its rows, hash (32) that the rows' hashes add up to, rows
 * in an order that all copies share. */
#define ADR_SECTION_HEADER_SIZE 37
typedef struct {
    uint32_t bucket;
    adr_bytes_t rows;
    uint8_t hash[32];
} adr_inventory_section_t;
/* Reads the section at the start of `bytes` and returns its size, 0 if there is no whole one. */
ADR_WARN_UNUSED size_t adr_inventory_section_get (adr_inventory_section_t *section, adr_bytes_t bytes);
/* [STORE-10] True if the bucket's rows hash to its leaf. */
bool adr_reader_leaf_is_true (const adr_reader_t *self, const adr_inventory_section_t *section);

#define ADR_BUCKET_SET_SIZE 32 /* bytes: a bit for each bucket of a partition */
/* Appends sections for the buckets in the set, ascending, until they take `enough` bytes; at least one. False as above, or if
 * a single one would take more than `max` bytes: *damaged tells which. */
ADR_WARN_UNUSED bool adr_reader_inventory (adr_reader_t *self, uint32_t partition, const uint8_t *set, size_t enough,
                                           size_t max, adr_buffer_t *sections, adr_position_t *applied, bool *damaged);
/* Adds the buckets that hold records in doubt to the set; false if none does. */
bool adr_reader_doubts (adr_reader_t *self, uint32_t partition, uint8_t set[ADR_BUCKET_SET_SIZE]);
/* XORs what that row hashes to into `hash`. */
void adr_reader_hash_row (const adr_reader_t *self, const adr_inventory_row_t *row, uint8_t hash[32]);
/* The place of the key in its slice: rows of an inventory ascend by it. */
uint32_t adr_reader_order (const adr_reader_t *self, uint8_t table, adr_bytes_t key, uint8_t order[16]);

/* A record that is named to be pulled: u8 table, u16 size, key. False at the end, or where the bytes are not whole. */
void adr_wound_put (adr_buffer_t *keys, uint8_t table, adr_bytes_t key);
bool adr_wound_next (adr_bytes_t *keys, uint8_t *table, adr_bytes_t *key);

/* What this copy's index has of the record. OK, NOT_FOUND, DAMAGED. */
ADR_WARN_UNUSED adr_status_t adr_reader_row (adr_reader_t *self, uint8_t table, adr_bytes_t key,
                                             adr_inventory_row_t *row);
/* Appends the whole record: its row, then its value. DAMAGED if the value cannot be read; NOT_FOUND also if it is in doubt,
 * and not here. */
ADR_WARN_UNUSED adr_status_t adr_reader_record (adr_reader_t *self, uint8_t table, adr_bytes_t key,
                                                adr_buffer_t *record);
/* Values that could not be read at the first try, ever. */
uint64_t adr_reader_retries (const adr_reader_t *self);
/* How far the index that is committed now is applied. */
ADR_WARN_UNUSED bool adr_reader_applied (adr_reader_t *self, adr_position_t *applied);

#endif
