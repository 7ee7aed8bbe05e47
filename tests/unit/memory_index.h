/* SPDX-License-Identifier: MPL-2.0 */
/* disk.h's index in memory, for tests and for the simulator, whose power may go at each operation. */

#ifndef ADR_MEMORY_INDEX_H
#define ADR_MEMORY_INDEX_H

#include "core/actor.h"
#include "store/disk.h"

typedef struct {
    uint8_t table;
    const uint8_t *key; /* owned by the arena of the index, as long as that lives; a value stands behind it */
    uint16_t key_size, value_size;
    bool removed, damaged;
    adr_index_row_t row;
} memory_row_t;

/* A committed state: cursors and views keep one for as long as they are open. */
typedef struct {
    uint32_t references, count;
    memory_row_t row[];
} memory_rows_t;

typedef struct {
    char name[32];
    uint8_t value[256];
    size_t size;
} memory_meta_t;

#define MEMORY_META_MAX 16

typedef struct memory_block memory_block_t;

#define MEMORY_TREE UINT8_MAX /* the table of the second space; a row's value stands behind its key */

/* What an index is driven by. */
typedef struct memory_power memory_power_t;
struct memory_power {
    bool (*begins) (memory_power_t *self);  /* an operation; false: power is gone */
    bool (*ends) (memory_power_t *self);    /* power went: was what was under way done? */
    bool (*is_gone) (memory_power_t *self);
};

typedef struct memory_index memory_index_t;
struct memory_index {
    adr_index_t index; /* first */
    memory_power_t *power; /* NULL: it never goes */
    /* Sees each row that a commit puts where that one stands, or nothing; NULL: nobody does. */
    void (*judge) (memory_index_t *self, const memory_row_t *old, const memory_row_t *row);
    memory_rows_t *rows, *old_rows; /* and yesterday's; NULL: none */
    memory_row_t *pending;
    uint32_t pending_count, pending_room;
    bool in_transaction;
    bool spoilt, unsound, broken;
    memory_meta_t meta[MEMORY_META_MAX], pending_meta[MEMORY_META_MAX], old_meta[MEMORY_META_MAX];
    uint32_t meta_count, pending_meta_count, old_meta_count;
    memory_block_t *keys;
};

/* In its owner's memory, or in its own. */
void memory_index_init (memory_index_t *self, memory_power_t *power);
void memory_index_free (memory_index_t *self);
memory_index_t *memory_index_create (void);
memory_index_t *memory_index_copy (const memory_index_t *self); /* what was committed */
void memory_index_destroy (memory_index_t **self);
adr_index_t *memory_index_of (memory_index_t *self);
size_t memory_index_count (const memory_index_t *self);
void memory_index_forget (memory_index_t *self); /* the transaction that was open */
void memory_index_clear (memory_index_t *self);

/* One of the rows, any, cannot be read any more; false if there is none. */
bool memory_index_damage (memory_index_t *self, adr_random_t *random);
/* From now on, until it is reset, none of the rows that are there can be found without an error. */
void memory_index_spoil (memory_index_t *self);
/* Until it is reset its structure is damaged, as is known already, or as a check finds. */
void memory_index_break (memory_index_t *self, bool known);
/* Keeps a copy of what is committed now; brings it back. */
void memory_index_keep (memory_index_t *self);
void memory_index_bring_back (memory_index_t *self);

#endif
