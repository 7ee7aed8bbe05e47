/* SPDX-License-Identifier: MPL-2.0 */
/* A memory table: the newest applied records, ordered by (table, key), until a flush moves them into the index. A
 * skip list over an arena: nothing is freed piecewise but versions that nobody needs any more, which are used again. */

#ifndef ADR_MEMTABLE_H
#define ADR_MEMTABLE_H

#include "store/disk.h"

typedef struct adr_memtable adr_memtable_t;

/* One version of a record; older ones are kept only while they may be asked for [READ-5]. */
typedef struct adr_memrow {
    adr_index_row_t row;
    struct adr_memrow *older;
} adr_memrow_t;

typedef struct adr_memnode {
    adr_memrow_t *newest;
    uint64_t prefix; /* table and the first seven bytes of the key, big-endian: most comparisons end here */
    const uint8_t *key;
    uint16_t key_size;
    uint8_t table;
    uint8_t height;
    struct adr_memnode *next[];
} adr_memnode_t;

adr_memtable_t *adr_memtable_create (void);
void adr_memtable_destroy (adr_memtable_t **self);

/* Adds a version, newer than those that are there. Versions older than the newest one at or below `unlocked` are
 * dropped. */
void adr_memtable_put (adr_memtable_t *self, uint8_t table, adr_bytes_t key, const adr_index_row_t *row,
                       uint64_t unlocked);
/* The record's node, or NULL. Lent until the next put. */
const adr_memnode_t *adr_memtable_find (const adr_memtable_t *self, uint8_t table, adr_bytes_t key);
/* The first node whose (table, key) is not below; may belong to a later table. NULL at the end. */
const adr_memnode_t *adr_memtable_seek (const adr_memtable_t *self, uint8_t table, adr_bytes_t key);

static inline const adr_memnode_t *
adr_memnode_next (const adr_memnode_t *node)
{
    return node->next[0];
}

static inline adr_bytes_t
adr_memnode_key (const adr_memnode_t *node)
{
    return adr_bytes (node->key, node->key_size);
}

const adr_memnode_t *adr_memtable_first (const adr_memtable_t *self);
size_t adr_memtable_bytes (const adr_memtable_t *self); /* of memory */
size_t adr_memtable_count (const adr_memtable_t *self); /* records */
uint64_t adr_memtable_greatest (const adr_memtable_t *self); /* index of its newest version; 0 when empty */
/* No row in it stands in an older segment; UINT64_MAX when empty. */
uint64_t adr_memtable_least_segment (const adr_memtable_t *self);
void adr_memtable_check (const adr_memtable_t *self);

#endif
