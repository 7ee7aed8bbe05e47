/* SPDX-License-Identifier: MPL-2.0 */
/* Keys above the applied state: chained buckets that double when they fill. */

#include "actors/pending_keys.h"

#include <stdlib.h>

typedef struct s_row {
    struct s_row *next;
    adr_pending_t pending;
    uint32_t hash;
    uint16_t key_size;
    uint8_t table;
    uint8_t key[];
} s_row_t;

struct adr_pending_keys {
    s_row_t **bucket;
    uint32_t mask, count;
    uint64_t salt; /* clients choose the keys */
};

#define S_BUCKETS_FIRST 256u

adr_pending_keys_t *
adr_pending_keys_new (uint64_t salt)
{
    adr_pending_keys_t *self = adr_alloc (sizeof *self);
    self->bucket = adr_alloc (S_BUCKETS_FIRST * sizeof *self->bucket);
    self->mask = S_BUCKETS_FIRST - 1;
    self->salt = salt;
    return self;
}

void
adr_pending_keys_clear (adr_pending_keys_t *self)
{
    for (uint32_t i = 0; self->count && i <= self->mask; i++)
        while (self->bucket[i]) {
            s_row_t *row = self->bucket[i];
            self->bucket[i] = row->next;
            free (row);
            self->count--;
        }
}

void
adr_pending_keys_destroy (adr_pending_keys_t **self)
{
    if (*self == NULL)
        return;
    adr_pending_keys_clear (*self);
    free ((*self)->bucket);
    free (*self);
    *self = NULL;
}

static uint32_t
s_hash (const adr_pending_keys_t *self, uint8_t table, adr_bytes_t key)
{
    return (uint32_t) adr_bytes_hash (self->salt ^ table, key);
}

/* The link that points to the key's row, or to NULL at its chain's end. */
static s_row_t **
s_find (const adr_pending_keys_t *self, uint32_t hash, uint8_t table, adr_bytes_t key)
{
    s_row_t **link = &self->bucket[hash & self->mask];
    for (; *link; link = &(*link)->next) {
        const s_row_t *row = *link;
        if (row->hash == hash && row->table == table
            && adr_bytes_equal (adr_bytes (row->key, row->key_size), key))
            break;
    }
    return link;
}

static void
s_double (adr_pending_keys_t *self)
{
    uint32_t old = self->mask + 1;
    s_row_t **bucket = adr_alloc ((size_t) old * 2 * sizeof *bucket);
    for (uint32_t i = 0; i < old; i++)
        while (self->bucket[i]) {
            s_row_t *row = self->bucket[i];
            self->bucket[i] = row->next;
            s_row_t **to = &bucket[row->hash & (old * 2 - 1)];
            row->next = *to;
            *to = row;
        }
    free (self->bucket);
    self->bucket = bucket;
    self->mask = old * 2 - 1;
}

void
adr_pending_keys_add (adr_pending_keys_t *self, const adr_entry_t *entry)
{
    for (uint32_t i = 0; i < entry->op_count; i++) {
        const adr_op_t *op = &entry->op[i];
        uint32_t hash = s_hash (self, op->table, op->key);
        s_row_t **link = s_find (self, hash, op->table, op->key);
        if (*link == NULL) {
            s_row_t *row = adr_alloc (sizeof *row + op->key.size);
            row->hash = hash;
            row->table = op->table;
            row->key_size = (uint16_t) op->key.size;
            memcpy (row->key, op->key.data, op->key.size);
            *link = row;
            self->count++;
        }
        (*link)->pending = (adr_pending_t){ { entry->epoch, entry->term, entry->index },
                                            (op->flags & (ADR_OP_DELETE | ADR_OP_PURGE)) != 0,
                                            (op->flags & ADR_OP_PURGE) != 0 };
    }
    while (self->count > self->mask)
        s_double (self);
}

void
adr_pending_keys_applied (adr_pending_keys_t *self, const adr_entry_t *entry)
{
    for (uint32_t i = 0; self->count && i < entry->op_count; i++) {
        const adr_op_t *op = &entry->op[i];
        s_row_t **link = s_find (self, s_hash (self, op->table, op->key), op->table, op->key);
        s_row_t *row = *link;
        if (row && row->pending.version.index == entry->index) {
            *link = row->next;
            free (row);
            self->count--;
        }
    }
}

const adr_pending_t *
adr_pending_keys_find (const adr_pending_keys_t *self, uint8_t table, adr_bytes_t key)
{
    if (self->count == 0)
        return NULL;
    s_row_t *row = *s_find (self, s_hash (self, table, key), table, key);
    return row ? &row->pending : NULL;
}

uint32_t
adr_pending_keys_longest (const adr_pending_keys_t *self)
{
    uint32_t longest = 0;
    for (uint32_t i = 0; i <= self->mask; i++) {
        uint32_t count = 0;
        for (const s_row_t *row = self->bucket[i]; row; row = row->next)
            count++;
        longest = count > longest ? count : longest;
    }
    return longest;
}
