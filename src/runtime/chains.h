/* SPDX-License-Identifier: MPL-2.0 */
/* Hash chains over the indexes of an array that somebody else owns: who looks something up walks the short chain of
 * its hash and compares by itself. All zeros is empty and without room. One thread may add while others look up: what stands
 * behind an index is seen by whoever finds the index. Nobody may look up while one is removed. */

#ifndef ADR_CHAINS_H
#define ADR_CHAINS_H

#include "core/bytes.h"

#include <stdlib.h>

#define ADR_CHAIN_END UINT32_MAX

typedef struct {
    uint32_t *head, *next;
    uint32_t mask, room;
} adr_chains_t;

static inline void
adr_chains_init (adr_chains_t *self, uint32_t room)
{
    uint32_t heads = 16;
    while (heads < room)
        heads *= 2;
    self->mask = heads - 1;
    self->room = room;
    self->head = adr_alloc (heads * sizeof *self->head);
    self->next = adr_alloc ((room + 1) * sizeof *self->next);
    memset (self->head, 0xff, heads * sizeof *self->head);
}

static inline void
adr_chains_free (adr_chains_t *self)
{
    free (self->head);
    free (self->next);
    *self = (adr_chains_t){ 0 };
}

static inline uint64_t
adr_chains_hash (const void *bytes, size_t size)
{
    uint64_t hash = size;
    const uint8_t *at = bytes;
    for (; size >= 8; at += 8, size -= 8)
        hash = (hash ^ adr_get_u64 (at)) * UINT64_C (0x9e3779b97f4a7c15);
    for (; size; at++, size--)
        hash = (hash ^ *at) * UINT64_C (0x9e3779b97f4a7c15);
    return hash ^ hash >> 32;
}

static inline void
adr_chains_add (adr_chains_t *self, uint64_t hash, uint32_t index)
{
    adr_assert (index < self->room);
    self->next[index] = self->head[hash & self->mask];
    __atomic_store_n (&self->head[hash & self->mask], index, __ATOMIC_RELEASE);
}

static inline uint32_t
adr_chains_first (const adr_chains_t *self, uint64_t hash)
{
    return self->head ? __atomic_load_n (&self->head[hash & self->mask], __ATOMIC_ACQUIRE) : ADR_CHAIN_END;
}

static inline uint32_t
adr_chains_next (const adr_chains_t *self, uint32_t index)
{
    return self->next[index];
}

static inline void
adr_chains_remove (adr_chains_t *self, uint64_t hash, uint32_t index)
{
    uint32_t *at = &self->head[hash & self->mask];
    while (*at != index) {
        adr_assert (*at != ADR_CHAIN_END);
        at = &self->next[*at];
    }
    *at = self->next[index];
}

#endif
