/* SPDX-License-Identifier: MPL-2.0 */
/* An index in memory: see memory_index.h. Sorted rows that a commit replaces as a whole, so that a cursor keeps its moment. */

#include "memory_index.h"

#include <errno.h>
#include <stdlib.h>

/* Keys live as long as the disk: rows and cursors only point at them. */
struct memory_block {
    memory_block_t *next;
    size_t used, room;
    uint8_t data[];
};

struct adr_index_cursor {
    memory_rows_t *rows;
    uint32_t at;
    uint8_t table;
};

struct adr_index_view {
    memory_index_t *index;
    memory_rows_t *rows;
    memory_meta_t meta[MEMORY_META_MAX];
    uint32_t meta_count;
};

static memory_index_t *
s_self (adr_index_t *face)
{
    return (memory_index_t *) face;
}

/* --- power: in the simulator it may go at each operation ----------------------------------------------------------- */

static bool
s_is_alive (memory_index_t *self)
{
    return !self->power || self->power->begins (self->power);
}

/* What was under way when it went may have come to its end all the same. */
static bool
s_ends (memory_index_t *self)
{
    return self->power->ends (self->power);
}

/* --- rows ------------------------------------------------------------------------------------------------------- */

static uint8_t *
s_keep_key (memory_index_t *self, adr_bytes_t key)
{
    if (!self->keys || self->keys->room - self->keys->used < key.size) {
        size_t room = 64 * 1024;
        memory_block_t *block = adr_alloc (sizeof *block + room);
        *block = (memory_block_t){ .next = self->keys, .room = room };
        self->keys = block;
    }
    uint8_t *at = self->keys->data + self->keys->used;
    if (key.size)
        memcpy (at, key.data, key.size);
    self->keys->used += key.size;
    return at;
}

static int
s_compare (const memory_row_t *row, uint8_t table, adr_bytes_t key)
{
    if (row->table != table)
        return row->table < table ? -1 : 1;
    return adr_bytes_compare (adr_bytes (row->key, row->key_size), key);
}

/* The first row that is not below (table, key). */
static uint32_t
s_lower (const memory_rows_t *rows, uint8_t table, adr_bytes_t key)
{
    uint32_t low = 0, high = rows->count;
    while (low < high) {
        uint32_t middle = (low + high) / 2;
        if (s_compare (&rows->row[middle], table, key) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static void
s_release (memory_rows_t *rows)
{
    if (--rows->references == 0)
        free (rows);
}

static memory_rows_t *
s_new_rows (uint32_t room)
{
    memory_rows_t *rows = adr_alloc (sizeof *rows + room * sizeof rows->row[0]);
    rows->references = 1;
    return rows;
}

static int
s_get (adr_index_t *face, uint8_t table, adr_bytes_t key, adr_index_row_t *row)
{
    memory_index_t *self = s_self (face);
    uint32_t at = s_lower (self->rows, table, key);
    if (at == self->rows->count || s_compare (&self->rows->row[at], table, key) != 0)
        return ENOENT;
    *row = self->rows->row[at].row;
    return self->spoilt || self->rows->row[at].damaged ? EIO : 0;
}

static int
s_seek (adr_index_t *face, uint8_t table, adr_bytes_t from, adr_index_cursor_t **cursor)
{
    memory_index_t *self = s_self (face);
    *cursor = adr_alloc (sizeof **cursor);
    **cursor = (adr_index_cursor_t){ self->rows, s_lower (self->rows, table, from), table };
    self->rows->references++;
    return 0;
}

static int
s_next (adr_index_t *face, adr_index_cursor_t *cursor, adr_bytes_t *key, adr_index_row_t *row)
{
    (void) face;
    if (cursor->at >= cursor->rows->count || cursor->rows->row[cursor->at].table != cursor->table)
        return ENOENT;
    const memory_row_t *here = &cursor->rows->row[cursor->at++];
    *key = adr_bytes (here->key, here->key_size);
    *row = here->row;
    return here->damaged ? EIO : 0;
}

static void
s_close (adr_index_t *face, adr_index_cursor_t **cursor)
{
    (void) face;
    if (!*cursor)
        return;
    s_release ((*cursor)->rows);
    free (*cursor);
    *cursor = NULL;
}

static int
s_begin (adr_index_t *face)
{
    memory_index_t *self = s_self (face);
    if (!s_is_alive (self))
        return EIO;
    adr_assert (!self->in_transaction);
    self->in_transaction = true;
    self->pending_count = self->pending_meta_count = 0;
    return 0;
}

static int
s_add (memory_index_t *self, memory_row_t row)
{
    adr_assert (self->in_transaction);
    if (self->pending_count == self->pending_room) {
        self->pending_room = self->pending_room ? self->pending_room * 2 : 256;
        self->pending = adr_realloc (self->pending, self->pending_room * sizeof *self->pending);
    }
    self->pending[self->pending_count++] = row;
    return self->power && self->power->is_gone (self->power) ? EIO : 0;
}

static int
s_put (adr_index_t *face, uint8_t table, adr_bytes_t key, const adr_index_row_t *row)
{
    memory_index_t *self = s_self (face);
    return s_add (self, (memory_row_t){ .table = table, .key = s_keep_key (self, key),
                                           .key_size = (uint16_t) key.size, .row = *row });
}

static int
s_put_tree (adr_index_t *face, adr_bytes_t name, adr_bytes_t value)
{
    memory_index_t *self = s_self (face);
    uint8_t joined[ADR_TREE_NAME_MAX + ADR_TREE_VALUE_MAX];
    adr_assert (name.size <= ADR_TREE_NAME_MAX && value.size <= ADR_TREE_VALUE_MAX);
    memcpy (joined, name.data, name.size);
    memcpy (joined + name.size, value.data, value.size);
    const uint8_t *kept = s_keep_key (self, adr_bytes (joined, name.size + value.size));
    return s_add (self, (memory_row_t){ .table = MEMORY_TREE, .key = kept, .key_size = (uint16_t) name.size,
                                           .value_size = (uint16_t) value.size });
}

static int
s_remove_tree (adr_index_t *face, adr_bytes_t name)
{
    memory_index_t *self = s_self (face);
    return s_add (self, (memory_row_t){ .table = MEMORY_TREE, .key = s_keep_key (self, name),
                                           .key_size = (uint16_t) name.size, .removed = true });
}

static int
s_remove (adr_index_t *face, uint8_t table, adr_bytes_t key)
{
    memory_index_t *self = s_self (face);
    return s_add (self, (memory_row_t){ .table = table, .key = s_keep_key (self, key),
                                           .key_size = (uint16_t) key.size, .removed = true });
}

static void
s_set_meta (memory_meta_t *rows, uint32_t *count, const char *name, adr_bytes_t value)
{
    uint32_t at = 0;
    while (at < *count && strcmp (rows[at].name, name) != 0)
        at++;
    adr_assert (at < MEMORY_META_MAX && strlen (name) < sizeof rows->name && value.size <= sizeof rows->value);
    if (at == *count)
        (*count)++;
    strcpy (rows[at].name, name);
    memcpy (rows[at].value, value.data, value.size);
    rows[at].size = value.size;
}

static int
s_put_meta (adr_index_t *face, const char *name, adr_bytes_t value)
{
    memory_index_t *self = s_self (face);
    adr_assert (self->in_transaction);
    s_set_meta (self->pending_meta, &self->pending_meta_count, name, value);
    return self->power && self->power->is_gone (self->power) ? EIO : 0;
}

/* By table and key; of equal ones the order of the puts stays, the last is what holds. */
static void
s_sort (memory_row_t *rows, memory_row_t *other, uint32_t count)
{
    for (uint32_t width = 1; width < count; width *= 2) {
        for (uint32_t low = 0; low < count; low += 2 * width) {
            uint32_t middle = low + width < count ? low + width : count;
            uint32_t high = low + 2 * width < count ? low + 2 * width : count;
            for (uint32_t a = low, b = middle, to = low; to < high; to++)
                other[to] = b == high
                                || (a < middle
                                    && s_compare (&rows[a], rows[b].table, adr_bytes (rows[b].key, rows[b].key_size)) <= 0)
                              ? rows[a++]
                              : rows[b++];
        }
        memcpy (rows, other, count * sizeof *rows);
    }
}

static void
s_merge (memory_index_t *self)
{
    const memory_rows_t *old = self->rows;
    memory_rows_t *rows = s_new_rows (old->count + self->pending_count);
    uint32_t a = 0;
    for (uint32_t b = 0; b < self->pending_count; b++) {
        const memory_row_t *row = &self->pending[b];
        adr_bytes_t key = adr_bytes (row->key, row->key_size);
        if (b + 1 < self->pending_count && s_compare (&self->pending[b + 1], row->table, key) == 0)
            continue;
        for (; a < old->count && s_compare (&old->row[a], row->table, key) < 0; a++)
            rows->row[rows->count++] = old->row[a];
        bool known = a < old->count && s_compare (&old->row[a], row->table, key) == 0;
        if (self->judge)
            self->judge (self, known ? &old->row[a] : NULL, row);
        a += known;
        if (!row->removed)
            rows->row[rows->count++] = *row;
    }
    for (; a < old->count; a++)
        rows->row[rows->count++] = old->row[a];
    s_release (self->rows);
    self->rows = rows;
}

static int
s_commit (adr_index_t *face)
{
    memory_index_t *self = s_self (face);
    adr_assert (self->in_transaction);
    bool alive = s_is_alive (self);
    if (!alive && !s_ends (self))
        return EIO;
    if (self->pending_count) {
        memory_row_t *other = adr_alloc (self->pending_count * sizeof *other);
        s_sort (self->pending, other, self->pending_count);
        free (other);
        s_merge (self);
    }
    for (uint32_t i = 0; i < self->pending_meta_count; i++)
        s_set_meta (self->meta, &self->meta_count, self->pending_meta[i].name,
                    adr_bytes (self->pending_meta[i].value, self->pending_meta[i].size));
    memory_index_forget (self);
    return alive ? 0 : EIO;
}

static void
s_abort (adr_index_t *face)
{
    memory_index_forget (s_self (face));
}

static int
s_find_meta (const memory_meta_t *meta, uint32_t count, const char *name, void *value, size_t room, size_t *size)
{
    for (uint32_t i = 0; i < count; i++)
        if (strcmp (meta[i].name, name) == 0) {
            *size = meta[i].size;
            memcpy (value, meta[i].value, *size < room ? *size : room);
            return 0;
        }
    return ENOENT;
}

static int
s_get_meta (adr_index_t *face, const char *name, void *value, size_t room, size_t *size)
{
    const memory_index_t *self = s_self (face);
    return s_find_meta (self->meta, self->meta_count, name, value, room, size);
}

/* --- views -------------------------------------------------------------------------------------------------- */

static int
s_view (adr_index_t *face, adr_index_view_t **view)
{
    memory_index_t *self = s_self (face);
    *view = adr_alloc (sizeof **view);
    **view = (adr_index_view_t){ .index = self, .rows = self->rows, .meta_count = self->meta_count };
    memcpy ((*view)->meta, self->meta, sizeof self->meta);
    self->rows->references++;
    return 0;
}

static int
s_view_row (adr_index_view_t *view, uint8_t table, adr_bytes_t key, adr_index_row_t *row)
{
    uint32_t at = s_lower (view->rows, table, key);
    if (at == view->rows->count || s_compare (&view->rows->row[at], table, key) != 0)
        return ENOENT;
    *row = view->rows->row[at].row;
    return view->index->spoilt || view->rows->row[at].damaged ? EIO : 0;
}

static int
s_view_meta (adr_index_view_t *view, const char *name, void *value, size_t room, size_t *size)
{
    return s_find_meta (view->meta, view->meta_count, name, value, room, size);
}

static int
s_view_at (const adr_index_view_t *view, uint32_t at, adr_bytes_t *name, adr_bytes_t *value)
{
    const memory_row_t *row = &view->rows->row[at];
    *name = adr_bytes (row->key, row->key_size);
    *value = adr_bytes (row->key + row->key_size, row->value_size);
    return row->damaged ? EIO : 0;
}

static int
s_view_tree (adr_index_view_t *view, adr_bytes_t name, adr_bytes_t *value)
{
    uint32_t at = s_lower (view->rows, MEMORY_TREE, name);
    if (at == view->rows->count || s_compare (&view->rows->row[at], MEMORY_TREE, name) != 0)
        return ENOENT;
    return s_view_at (view, at, &name, value);
}

static int
s_view_next (adr_index_view_t *view, adr_bytes_t after, adr_bytes_t *name, adr_bytes_t *value)
{
    uint32_t at = s_lower (view->rows, MEMORY_TREE, after);
    if (at < view->rows->count && s_compare (&view->rows->row[at], MEMORY_TREE, after) == 0)
        at++;
    return at == view->rows->count ? ENOENT : s_view_at (view, at, name, value);
}

static void
s_view_close (adr_index_view_t **view)
{
    s_release ((*view)->rows);
    free (*view);
    *view = NULL;
}

static bool
s_is_broken (adr_index_t *face)
{
    return s_self (face)->broken;
}

static int
s_check (adr_index_t *face)
{
    memory_index_t *self = s_self (face);
    self->broken |= self->unsound;
    return self->broken ? EIO : 0;
}

static int
s_reset (adr_index_t *face)
{
    memory_index_t *self = s_self (face);
    bool alive = s_is_alive (self);
    if (alive || s_ends (self))
        memory_index_clear (self);
    return alive ? 0 : EIO;
}

void
memory_index_init (memory_index_t *self, memory_power_t *power)
{
    *self = (memory_index_t){ .power = power, .rows = s_new_rows (0) };
    self->index = (adr_index_t){ .get = s_get, .seek = s_seek, .next = s_next, .close = s_close, .begin = s_begin,
                                 .put = s_put, .remove = s_remove, .put_meta = s_put_meta, .commit = s_commit,
                                 .abort = s_abort, .get_meta = s_get_meta, .put_tree = s_put_tree,
                                 .remove_tree = s_remove_tree, .view = s_view, .view_row = s_view_row,
                                 .view_meta = s_view_meta, .view_tree = s_view_tree, .view_next = s_view_next,
                                 .view_close = s_view_close, .reset = s_reset, .is_broken = s_is_broken,
                                 .check = s_check };
}

void
memory_index_forget (memory_index_t *self)
{
    self->in_transaction = false;
    self->pending_count = self->pending_meta_count = 0;
}

static void
s_forget_yesterday (memory_index_t *self)
{
    if (self->old_rows)
        s_release (self->old_rows);
    self->old_rows = NULL;
}

void
memory_index_clear (memory_index_t *self)
{
    memory_index_forget (self);
    s_forget_yesterday (self);
    s_release (self->rows);
    self->rows = s_new_rows (0);
    self->meta_count = 0;
    self->spoilt = self->unsound = self->broken = false;
}

void
memory_index_free (memory_index_t *self)
{
    s_forget_yesterday (self);
    s_release (self->rows);
    free (self->pending);
    while (self->keys) {
        memory_block_t *next = self->keys->next;
        free (self->keys);
        self->keys = next;
    }
}

memory_index_t *
memory_index_create (void)
{
    memory_index_t *self = adr_alloc (sizeof *self);
    memory_index_init (self, NULL);
    return self;
}

memory_index_t *
memory_index_copy (const memory_index_t *self)
{
    memory_index_t *copy = memory_index_create ();
    s_release (copy->rows);
    copy->rows = s_new_rows (self->rows->count);
    copy->rows->count = self->rows->count;
    for (uint32_t i = 0; i < self->rows->count; i++) {
        copy->rows->row[i] = self->rows->row[i];
        size_t size = (size_t) self->rows->row[i].key_size + self->rows->row[i].value_size;
        copy->rows->row[i].key = s_keep_key (copy, adr_bytes (self->rows->row[i].key, size));
    }
    memcpy (copy->meta, self->meta, sizeof self->meta);
    copy->meta_count = self->meta_count;
    return copy;
}

void
memory_index_destroy (memory_index_t **self)
{
    if (!*self)
        return;
    memory_index_free (*self);
    free (*self);
    *self = NULL;
}

adr_index_t *
memory_index_of (memory_index_t *self)
{
    return &self->index;
}

size_t
memory_index_count (const memory_index_t *self)
{
    return s_lower (self->rows, MEMORY_TREE, adr_bytes (NULL, 0));
}

/* --- damage ----------------------------------------------------------------------------------------------------- */

bool
memory_index_damage (memory_index_t *self, adr_random_t *random)
{
    memory_rows_t *rows = self->rows;
    if (rows->count == 0)
        return false;
    rows->row[adr_random_next (random) % rows->count].damaged = true;
    return true;
}

void
memory_index_spoil (memory_index_t *self)
{
    self->spoilt = true;
}

void
memory_index_break (memory_index_t *self, bool known)
{
    self->unsound = true;
    self->broken = known;
}

void
memory_index_keep (memory_index_t *self)
{
    s_forget_yesterday (self);
    self->old_rows = self->rows;
    self->rows->references++;
    memcpy (self->old_meta, self->meta, sizeof self->meta);
    self->old_meta_count = self->meta_count;
}

void
memory_index_bring_back (memory_index_t *self)
{
    if (!self->old_rows)
        return;
    s_release (self->rows);
    self->rows = self->old_rows;
    self->old_rows = NULL;
    memcpy (self->meta, self->old_meta, sizeof self->meta);
    self->meta_count = self->old_meta_count;
}
