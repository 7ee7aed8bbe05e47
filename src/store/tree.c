/* SPDX-License-Identifier: MPL-2.0 */
/* The hash tree beside the index: see tree.h.
 *
 * Owns: the leaves of the transaction that is open, the roots. Makes durable: leaves and slots, in the transaction of the
 * rows that they follow. Implements REPAIR-4 (one transaction), PART-5 (a bound). */

#include "store/tree.h"

#include "core/actor.h"
#include "core/map.h"

#include <errno.h>
#include <sodium.h>
#include <stdlib.h>

struct adr_leaf {
    uint32_t slice;
    uint8_t hash[ADR_HASH_SIZE];
};

/* --- hashes ---------------------------------------------------------------------------------------------------- */

uint32_t
adr_tree_buckets (uint32_t partitions)
{
    uint32_t buckets = ADR_BUCKETS_MAX;
    while (partitions * buckets > ADR_SLICES_MAX)
        buckets /= 2;
    return buckets;
}

void
adr_hash_xor (uint8_t into[ADR_HASH_SIZE], const uint8_t other[ADR_HASH_SIZE])
{
    for (size_t i = 0; i < ADR_HASH_SIZE; i++)
        into[i] ^= other[i];
}

bool
adr_hash_is_zero (const uint8_t hash[ADR_HASH_SIZE])
{
    return sodium_is_zero (hash, ADR_HASH_SIZE) == 1;
}

#define S_IN_DOUBT 2 /* beside the 1 of `deleted` */

/* What both hashes of a record begin with. */
static void
s_hash_key (const adr_tree_t *self, crypto_generichash_state *state, size_t size, uint8_t table, adr_bytes_t key)
{
    uint8_t head[3] = { table };
    adr_put_u16 (head + 1, (uint16_t) key.size);
    crypto_generichash_init (state, self->key, sizeof self->key, size);
    crypto_generichash_update (state, head, sizeof head);
    crypto_generichash_update (state, key.data, key.size);
}

uint32_t
adr_tree_slice (const adr_tree_t *self, uint8_t table, adr_bytes_t key, uint8_t order[ADR_ORDER_SIZE])
{
    crypto_generichash_state state;
    s_hash_key (self, &state, ADR_ORDER_SIZE, table, key);
    crypto_generichash_final (&state, order, ADR_ORDER_SIZE);
    uint32_t partition = adr_partition_of (table, key, self->partitions);
    if (partition == ADR_PARTITION_NONE)
        return self->partitions * self->buckets;
    return partition * self->buckets + order[0] % self->buckets;
}

void
adr_tree_record_hash (const adr_tree_t *self, uint8_t table, adr_bytes_t key, const adr_index_row_t *row,
                      uint8_t hash[ADR_HASH_SIZE])
{
    crypto_generichash_state state;
    uint8_t tail[21 + sizeof row->digest];
    adr_put_u32 (tail, row->version.epoch);
    adr_put_u64 (tail + 4, row->version.term);
    adr_put_u64 (tail + 12, row->version.index);
    tail[20] = (uint8_t) (row->deleted | (row->doubt != ADR_DOUBT_NONE ? S_IN_DOUBT : 0));
    memcpy (tail + 21, row->digest, sizeof row->digest);
    s_hash_key (self, &state, ADR_HASH_SIZE, table, key);
    crypto_generichash_update (&state, tail, sizeof tail);
    crypto_generichash_final (&state, hash, ADR_HASH_SIZE);
}

static void
s_hash_many (const adr_tree_t *self, const uint8_t *hashes, size_t count, uint8_t root[ADR_HASH_SIZE])
{
    if (sodium_is_zero (hashes, count * ADR_HASH_SIZE))
        memset (root, 0, ADR_HASH_SIZE);
    else
        crypto_generichash (root, ADR_HASH_SIZE, hashes, count * ADR_HASH_SIZE, self->key, sizeof self->key);
}

/* --- names ----------------------------------------------------------------------------------------------------- */

#define S_LEAF_NAME 5
#define S_SLOT_NAME (5 + ADR_ORDER_SIZE)

static adr_bytes_t
s_name (uint8_t *at, uint8_t kind, uint32_t slice, const uint8_t *order)
{
    at[0] = kind;
    adr_put_be32 (at + 1, slice);
    if (order)
        memcpy (at + S_LEAF_NAME, order, ADR_ORDER_SIZE);
    return adr_bytes (at, order ? S_SLOT_NAME : S_LEAF_NAME);
}

/* --- life ------------------------------------------------------------------------------------------------------ */

void
adr_tree_init (adr_tree_t *self, const uint8_t key[ADR_TREE_KEY_SIZE], uint32_t partitions)
{
    *self = (adr_tree_t){ .partitions = partitions, .buckets = adr_tree_buckets (partitions) };
    memcpy (self->key, key, sizeof self->key);
    self->root = adr_alloc ((partitions + 1) * ADR_HASH_SIZE);
    self->stale = adr_alloc (partitions + 1);
    memset (self->stale, true, partitions + 1);
}

void
adr_tree_free (adr_tree_t *self)
{
    adr_tree_end (self, false);
    free (self->root);
    free (self->stale);
    sodium_memzero (self->key, sizeof self->key);
}

/* --- in a transaction ------------------------------------------------------------------------------------------ */

void
adr_tree_begin (adr_tree_t *self)
{
    adr_assert (self->leaf_of == NULL);
    self->leaf_of = adr_alloc (adr_tree_slices (self) * sizeof *self->leaf_of);
    self->doubts_now = self->doubts;
}

void
adr_tree_end (adr_tree_t *self, bool committed)
{
    /* Roots were computed of leaves that are not there after all. */
    for (uint32_t i = 0; i < self->leaf_count && !committed; i++)
        self->stale[self->leaf[i].slice / self->buckets] = true;
    if (committed)
        self->doubts = self->doubts_now;
    free (self->leaf);
    free (self->leaf_of);
    self->leaf = NULL;
    self->leaf_of = NULL;
    self->leaf_count = self->leaf_room = 0;
}

static int
s_touch (adr_tree_t *self, const adr_index_t *index, adr_index_view_t *view, uint32_t slice, struct adr_leaf **leaf)
{
    if (self->leaf_of[slice] == 0) {
        if (self->leaf_count == self->leaf_room) {
            self->leaf_room = self->leaf_room ? self->leaf_room * 2 : 64;
            self->leaf = adr_realloc (self->leaf, self->leaf_room * sizeof *self->leaf);
        }
        struct adr_leaf *touched = &self->leaf[self->leaf_count];
        touched->slice = slice;
        int error = adr_tree_leaf (view, index, slice, touched->hash);
        if (error)
            return error;
        self->leaf_of[slice] = ++self->leaf_count;
        self->stale[slice / self->buckets] = true;
    }
    *leaf = &self->leaf[self->leaf_of[slice] - 1];
    return 0;
}

static int
s_slot_put (adr_index_t *index, uint32_t slice, const uint8_t *order, uint8_t table, adr_bytes_t key)
{
    uint8_t name[S_SLOT_NAME], value[ADR_TREE_VALUE_MAX];
    value[0] = table;
    if (key.size)
        memcpy (value + 1, key.data, key.size);
    return index->put_tree (index, s_name (name, 's', slice, order), adr_bytes (value, 1 + key.size));
}

static int
s_doubt_swap (adr_tree_t *self, adr_index_t *index, uint32_t slice, const uint8_t *order, bool was, bool is)
{
    uint8_t name[S_SLOT_NAME];
    self->doubts_now += is;
    self->doubts_now -= was;
    if (was == is)
        return 0;
    return is ? index->put_tree (index, s_name (name, 'd', slice, order), adr_bytes ("", 0))
              : index->remove_tree (index, s_name (name, 'd', slice, order));
}

int
adr_tree_swap (adr_tree_t *self, adr_index_t *index, adr_index_view_t *view, uint8_t table, adr_bytes_t key,
               const adr_index_row_t *old, const adr_index_row_t *new)
{
    uint8_t order[ADR_ORDER_SIZE], hash[ADR_HASH_SIZE], name[S_SLOT_NAME];
    struct adr_leaf *leaf;
    uint32_t slice = adr_tree_slice (self, table, key, order);
    int error = s_touch (self, index, view, slice, &leaf);
    if (error)
        return error;
    if (old && !ADR_PLANT (REPAIR_4_OLD_STAYS)) {
        adr_tree_record_hash (self, table, key, old, hash);
        adr_hash_xor (leaf->hash, hash);
    }
    if (new) {
        adr_tree_record_hash (self, table, key, new, hash);
        adr_hash_xor (leaf->hash, hash);
    }
    error = s_doubt_swap (self, index, slice, order, old && old->doubt, new && new->doubt);
    if (error)
        return error;
    if (new && !old)
        return s_slot_put (index, slice, order, table, key);
    return old && !new ? index->remove_tree (index, s_name (name, 's', slice, order)) : 0;
}

int
adr_tree_put (adr_tree_t *self, adr_index_t *index)
{
    uint8_t name[S_LEAF_NAME];
    int error = 0;
    for (uint32_t i = 0; i < self->leaf_count && !error; i++)
        error = index->put_tree (index, s_name (name, 'l', self->leaf[i].slice, NULL),
                                 adr_bytes (self->leaf[i].hash, ADR_HASH_SIZE));
    return error;
}

static int
s_leaves_of (adr_tree_t *self, const adr_index_t *index, adr_index_view_t *view, uint32_t first, uint32_t count, uint8_t *hashes)
{
    int error = 0;
    for (uint32_t i = 0; i < count && !error; i++) {
        uint32_t touched = self->leaf_of ? self->leaf_of[first + i] : 0;
        if (touched)
            memcpy (hashes + i * ADR_HASH_SIZE, self->leaf[touched - 1].hash, ADR_HASH_SIZE);
        else
            error = adr_tree_leaf (view, index, first + i, hashes + i * ADR_HASH_SIZE);
    }
    return error;
}

int
adr_tree_roots (adr_tree_t *self, const adr_index_t *index, adr_index_view_t *view)
{
    uint8_t hashes[ADR_BUCKETS_MAX * ADR_HASH_SIZE];
    int error = 0;
    for (uint32_t partition = 0; partition <= self->partitions && !error; partition++) {
        uint32_t count = partition < self->partitions ? self->buckets : 1;
        if (!self->stale[partition])
            continue;
        error = s_leaves_of (self, index, view, partition * self->buckets, count, hashes);
        s_hash_many (self, hashes, count, self->root + partition * ADR_HASH_SIZE);
        self->stale[partition] = error != 0;
    }
    return error;
}

void
adr_tree_group_root (const adr_tree_t *self, uint8_t root[ADR_HASH_SIZE])
{
    s_hash_many (self, self->root, self->partitions + 1, root);
}

/* --- reading a view -------------------------------------------------------------------------------------------- */

int
adr_tree_leaf (adr_index_view_t *view, const adr_index_t *index, uint32_t slice, uint8_t hash[ADR_HASH_SIZE])
{
    uint8_t name[S_LEAF_NAME];
    adr_bytes_t value;
    int error = index->view_tree (view, s_name (name, 'l', slice, NULL), &value);
    if (error == 0 && value.size != ADR_HASH_SIZE)
        return EIO;
    if (error == 0)
        memcpy (hash, value.data, ADR_HASH_SIZE);
    else if (error == ENOENT)
        memset (hash, 0, ADR_HASH_SIZE);
    return error == ENOENT ? 0 : error;
}

int
adr_tree_slot (adr_index_view_t *view, const adr_index_t *index, uint32_t slice, bool after,
               uint8_t order[ADR_ORDER_SIZE], uint8_t *table, adr_bytes_t *key)
{
    uint8_t at[S_SLOT_NAME];
    adr_bytes_t name, value, from = s_name (at, 's', slice, after ? order : NULL);
    int error = index->view_next (view, from, &name, &value);
    if (error)
        return error;
    if (name.size != S_SLOT_NAME || memcmp (name.data, at, S_LEAF_NAME) != 0)
        return ENOENT;
    if (value.size < 1)
        return EIO;
    memcpy (order, name.data + S_LEAF_NAME, ADR_ORDER_SIZE);
    *table = value.data[0];
    *key = adr_bytes (value.data + 1, value.size - 1);
    return 0;
}

int
adr_tree_doubt (adr_index_view_t *view, const adr_index_t *index, uint32_t *slice, uint32_t to)
{
    uint8_t at[S_LEAF_NAME];
    adr_bytes_t name, value;
    int error = index->view_next (view, s_name (at, 'd', *slice, NULL), &name, &value);
    if (error)
        return error;
    if (name.size != S_SLOT_NAME || name.data[0] != 'd' || adr_get_be32 (name.data + 1) >= to)
        return ENOENT;
    *slice = adr_get_be32 (name.data + 1);
    return 0;
}

int
adr_tree_count_doubts (adr_index_view_t *view, const adr_index_t *index, uint64_t *count)
{
    uint8_t at[S_SLOT_NAME] = { 'd' };
    adr_bytes_t name = adr_bytes (at, 1), value;
    int error;
    for (*count = 0; (error = index->view_next (view, name, &name, &value)) == 0 && name.data[0] == 'd'; ++*count) {
        if (name.size != sizeof at)
            return EIO;
        memcpy (at, name.data, sizeof at);
        name = adr_bytes (at, sizeof at);
    }
    return error == ENOENT ? 0 : error;
}

int
adr_tree_break (adr_index_t *index)
{
    return index->put_tree (index, adr_bytes ("b", 1), adr_bytes ("", 0));
}

int
adr_tree_mend (adr_index_t *index)
{
    return index->remove_tree (index, adr_bytes ("b", 1));
}

bool
adr_tree_is_broken (const adr_index_t *index, adr_index_view_t *view)
{
    adr_bytes_t value;
    return index->view_tree (view, adr_bytes ("b", 1), &value) != ENOENT;
}

bool
adr_tree_has_slot (const adr_tree_t *self, const adr_index_t *index, adr_index_view_t *view, uint8_t table,
                   adr_bytes_t key)
{
    uint8_t order[ADR_ORDER_SIZE], name[S_SLOT_NAME];
    adr_bytes_t value;
    uint32_t slice = adr_tree_slice (self, table, key, order);
    return index->view_tree (view, s_name (name, 's', slice, order), &value) != ENOENT;
}
