/* SPDX-License-Identifier: MPL-2.0 */
/* The memory table: see memtable.h. Owns its arena. Makes nothing durable. */

#include "store/memtable.h"

#include "core/actor.h"

#include <stdlib.h>

#define S_HEIGHT_MAX 12 /* with one in four going up: good for 16 million records */
#define S_BLOCK_FIRST (16 * 1024)
#define S_BLOCK (256 * 1024)

typedef struct s_block {
    struct s_block *before;
    uint8_t bytes[];
} s_block_t;

struct adr_memtable {
    s_block_t *block;
    size_t block_used, block_room;
    size_t bytes;
    adr_memrow_t *unused; /* versions that were dropped */
    size_t count;
    uint64_t greatest;
    uint64_t least_segment;
    int height;
    adr_random_t random;
    adr_memnode_t *head;
};

static void *
s_take (adr_memtable_t *self, size_t size)
{
    size = (size + 7) / 8 * 8;
    if (self->block_room - self->block_used < size) {
        size_t room = self->block ? S_BLOCK : S_BLOCK_FIRST;
        s_block_t *block = malloc (sizeof *block + room);
        adr_assert (block && size <= room);
        block->before = self->block;
        self->block = block;
        self->block_used = 0;
        self->block_room = room;
        self->bytes += room;
    }
    void *taken = self->block->bytes + self->block_used;
    self->block_used += size;
    return taken;
}

adr_memtable_t *
adr_memtable_create (void)
{
    adr_memtable_t *self = adr_alloc (sizeof *self);
    self->random.state = 1;
    self->least_segment = UINT64_MAX;
    self->height = 1;
    self->head = s_take (self, sizeof (adr_memnode_t) + S_HEIGHT_MAX * sizeof (adr_memnode_t *));
    memset (self->head, 0, sizeof (adr_memnode_t) + S_HEIGHT_MAX * sizeof (adr_memnode_t *));
    return self;
}

void
adr_memtable_destroy (adr_memtable_t **self_pointer)
{
    adr_memtable_t *self = *self_pointer;
    if (!self)
        return;
    while (self->block) {
        s_block_t *before = self->block->before;
        free (self->block);
        self->block = before;
    }
    free (self);
    *self_pointer = NULL;
}

static uint64_t
s_prefix (uint8_t table, adr_bytes_t key)
{
    uint8_t bytes[8] = { table };
    if (key.size)
        memcpy (bytes + 1, key.data, key.size < 7 ? key.size : 7);
    return adr_get_be64 (bytes);
}

/* Negative if the node stands before (table, key), whose prefix is given. */
static inline int
s_order (const adr_memnode_t *node, uint64_t prefix, uint8_t table, adr_bytes_t key)
{
    if (node->prefix != prefix)
        return node->prefix < prefix ? -1 : 1;
    (void) table; /* the prefix's first byte */
    return adr_bytes_compare (adr_memnode_key (node), key);
}

/* The first node that is not below; in `before` (if given) the last node before it at each height. */
static adr_memnode_t *
s_seek (const adr_memtable_t *self, uint8_t table, adr_bytes_t key, adr_memnode_t **before)
{
    uint64_t prefix = s_prefix (table, key);
    adr_memnode_t *at = self->head;
    for (int level = self->height - 1; level >= 0; level--) {
        while (at->next[level] && s_order (at->next[level], prefix, table, key) < 0)
            at = at->next[level];
        if (before)
            before[level] = at;
    }
    return at->next[0];
}

static bool
s_is (const adr_memnode_t *node, uint8_t table, adr_bytes_t key)
{
    return node && node->table == table && adr_bytes_equal (adr_memnode_key (node), key);
}

const adr_memnode_t *
adr_memtable_seek (const adr_memtable_t *self, uint8_t table, adr_bytes_t key)
{
    return s_seek (self, table, key, NULL);
}

const adr_memnode_t *
adr_memtable_find (const adr_memtable_t *self, uint8_t table, adr_bytes_t key)
{
    const adr_memnode_t *node = s_seek (self, table, key, NULL);
    return s_is (node, table, key) ? node : NULL;
}

static int
s_height (adr_memtable_t *self)
{
    int height = 1;
    for (uint64_t bits = adr_random_next (&self->random); height < S_HEIGHT_MAX && (bits & 3) == 0; bits >>= 2)
        height++;
    return height;
}

static adr_memnode_t *
s_insert (adr_memtable_t *self, uint8_t table, adr_bytes_t key, adr_memnode_t **before)
{
    int height = s_height (self);
    while (self->height < height)
        before[self->height++] = self->head;
    adr_memnode_t *node = s_take (self, sizeof *node + (size_t) height * sizeof (adr_memnode_t *) + key.size);
    uint8_t *copy = (uint8_t *) &node->next[height];
    if (key.size)
        memcpy (copy, key.data, key.size);
    *node = (adr_memnode_t){ .prefix = s_prefix (table, key), .key = copy, .key_size = (uint16_t) key.size,
                             .table = table, .height = (uint8_t) height };
    for (int level = 0; level < height; level++) {
        node->next[level] = before[level]->next[level];
        before[level]->next[level] = node;
    }
    self->count++;
    return node;
}

/* Keeps the versions above `unlocked` and the newest one that is not; the others can no longer be asked for. */
static void
s_drop_older (adr_memtable_t *self, adr_memnode_t *node, uint64_t unlocked)
{
    adr_memrow_t *kept = node->newest;
    while (kept && kept->row.version.index > unlocked)
        kept = kept->older;
    if (!kept)
        return;
    while (kept->older) {
        adr_memrow_t *dropped = kept->older;
        kept->older = dropped->older;
        dropped->older = self->unused;
        self->unused = dropped;
    }
}

void
adr_memtable_put (adr_memtable_t *self, uint8_t table, adr_bytes_t key, const adr_index_row_t *row,
                  uint64_t unlocked)
{
    adr_memnode_t *before[S_HEIGHT_MAX];
    adr_memnode_t *node = s_seek (self, table, key, before);
    if (row->place.segment < self->least_segment)
        self->least_segment = row->place.segment;
    if (!s_is (node, table, key))
        node = s_insert (self, table, key, before);
    else if (adr_version_compare (&node->newest->row.version, &row->version) == 0) {
        node->newest->row = *row; /* the same version at another place */
        return;
    }
    adr_memrow_t *version = self->unused;
    if (version)
        self->unused = version->older;
    else
        version = s_take (self, sizeof *version);
    version->row = *row;
    version->older = node->newest;
    node->newest = version;
    if (row->version.index > self->greatest)
        self->greatest = row->version.index;
    s_drop_older (self, node, unlocked);
}

const adr_memnode_t *
adr_memtable_first (const adr_memtable_t *self)
{
    return self->head->next[0];
}

size_t
adr_memtable_bytes (const adr_memtable_t *self)
{
    return self->bytes - (self->block_room - self->block_used);
}

size_t
adr_memtable_count (const adr_memtable_t *self)
{
    return self->count;
}

uint64_t
adr_memtable_greatest (const adr_memtable_t *self)
{
    return self->greatest;
}

uint64_t
adr_memtable_least_segment (const adr_memtable_t *self)
{
    return self->least_segment;
}

void
adr_memtable_check (const adr_memtable_t *self)
{
    size_t count = 0;
    for (const adr_memnode_t *node = self->head->next[0]; node; node = node->next[0]) {
        const adr_memnode_t *next = node->next[0];
        adr_assert (node->newest);
        adr_assert (!next || s_order (node, next->prefix, next->table, adr_memnode_key (next)) < 0);
        count++;
    }
    adr_assert (count == self->count);
}
