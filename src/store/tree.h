/* SPDX-License-Identifier: MPL-2.0 */
/* The hash tree beside the index [DESIGN 7, REPAIR-4]: which keys each bucket holds, and a hash of what they say.
 *
 *     record   keyed BLAKE2b-256 of (table, key, version, deleted, in doubt, digest of the value)
 *     leaf     a bucket: XOR of its records' hashes; all zeros while it has none
 *     root     a partition: keyed BLAKE2b-256 of its leaves, or zeros while all are; the group: the same of all roots
 *
 * The key is the cluster's own, so that nobody outside can forge a collision. In the index's second space stand, by name:
 *
 *     'l', be32 slice                    a leaf, 32 bytes
 *     's', be32 slice, 16 bytes of order a slot: u8 table, key. The order is a keyed hash of (table, key), too
 *     'd', be32 slice, 16 bytes of order a slot of a record in doubt has this name, too
 *     'b'                                a leaf could not be kept up to date: none is to be believed
 *
 * A slice is a bucket's number in the whole group: partition * buckets + bucket; behind the last one stands the slice of
 * the group's own records, which belong to no partition [PART-3]. */

#ifndef ADR_TREE_H
#define ADR_TREE_H

#include "store/disk.h"

#define ADR_HASH_SIZE 32
#define ADR_TREE_KEY_SIZE 32
#define ADR_ORDER_SIZE 16
#define ADR_BUCKETS_MAX 256
/* [PART-5] Leaves of one group at most: 2 MiB of hashes. More partitions have fewer buckets each. */
#define ADR_SLICES_MAX 65536

typedef struct {
    uint8_t key[ADR_TREE_KEY_SIZE];
    uint32_t partitions; /* of the cluster's key space of this type */
    uint32_t buckets;    /* of each partition */
    uint8_t *root;       /* of each partition, then of the group's own records: as of the newest adr_tree_roots */
    bool *stale;         /* ... and which of them are to be computed anew */
    uint64_t doubts;     /* records in doubt */
    bool broken;         /* a row could not be read: leaves can no longer be kept up to date until the index is made anew */
    /* The transaction that is open. */
    struct adr_leaf *leaf;
    uint32_t leaf_count, leaf_room;
    uint32_t *leaf_of; /* by slice: place in `leaf` plus one; 0: not touched */
    uint64_t doubts_now;
} adr_tree_t;

uint32_t adr_tree_buckets (uint32_t partitions);
void adr_tree_init (adr_tree_t *self, const uint8_t key[ADR_TREE_KEY_SIZE], uint32_t partitions);
void adr_tree_free (adr_tree_t *self);

static inline uint32_t
adr_tree_slices (const adr_tree_t *self)
{
    return self->partitions * self->buckets + 1;
}

/* The record's slice, and its place there. */
uint32_t adr_tree_slice (const adr_tree_t *self, uint8_t table, adr_bytes_t key, uint8_t order[ADR_ORDER_SIZE]);
void adr_tree_record_hash (const adr_tree_t *self, uint8_t table, adr_bytes_t key, const adr_index_row_t *row,
                           uint8_t hash[ADR_HASH_SIZE]);
void adr_hash_xor (uint8_t into[ADR_HASH_SIZE], const uint8_t other[ADR_HASH_SIZE]);
bool adr_hash_is_zero (const uint8_t hash[ADR_HASH_SIZE]);

/* --- in a transaction of the index; `view` is of the moment before it ------------------------------------------- */

void adr_tree_begin (adr_tree_t *self);
/* The record changes from `old` to `new`; NULL: there is none. An error of the index, or 0. */
int adr_tree_swap (adr_tree_t *self, adr_index_t *index, adr_index_view_t *view, uint8_t table, adr_bytes_t key,
                   const adr_index_row_t *old, const adr_index_row_t *new);
/* Writes the leaves that have changed. */
int adr_tree_put (adr_tree_t *self, adr_index_t *index);
/* Computes what is stale of `root`, leaves that have changed included. */
int adr_tree_roots (adr_tree_t *self, const adr_index_t *index, adr_index_view_t *view);
/* The transaction has ended, one way or the other. */
void adr_tree_end (adr_tree_t *self, bool committed);

/* The group's root, of `root`. */
void adr_tree_group_root (const adr_tree_t *self, uint8_t root[ADR_HASH_SIZE]);

/* --- reading a view --------------------------------------------------------------------------------------------- */

int adr_tree_leaf (adr_index_view_t *view, const adr_index_t *index, uint32_t slice, uint8_t hash[ADR_HASH_SIZE]);
/* The slice's first slot whose order is behind `order`, or from the first on where `after` is false; *order becomes its
 * own. The key is lent until the view is closed. ENOENT at the end. */
int adr_tree_slot (adr_index_view_t *view, const adr_index_t *index, uint32_t slice, bool after,
                   uint8_t order[ADR_ORDER_SIZE], uint8_t *table, adr_bytes_t *key);
/* The first slice from that one on, and before `to`, that has a record in doubt. ENOENT: none. */
int adr_tree_doubt (adr_index_view_t *view, const adr_index_t *index, uint32_t *slice, uint32_t to);
/* How many records are in doubt, as the view says. */
int adr_tree_count_doubts (adr_index_view_t *view, const adr_index_t *index, uint64_t *count);
/* The leaves are not to be believed, until the index is made anew: notes it, in the open transaction; asks. */
int adr_tree_break (adr_index_t *index);
int adr_tree_mend (adr_index_t *index);
bool adr_tree_is_broken (const adr_index_t *index, adr_index_view_t *view);
/* [STORE-10] False only if the tree knows of no such record either. */
bool adr_tree_has_slot (const adr_tree_t *self, const adr_index_t *index, adr_index_view_t *view, uint8_t table,
                        adr_bytes_t key);

#endif
