/* SPDX-License-Identifier: MPL-2.0 */
/* The index in the simulator: sorted rows that a commit replaces as a whole, so that a cursor keeps its moment. */

#include "disk.h"
#include "disk_parts.h"

#include <errno.h>
#include <stdlib.h>

/* Keys live as long as the disk: rows and cursors only point at them. */
struct sim_block {
    sim_block_t *next;
    size_t used, room;
    uint8_t data[];
};

struct adr_index_cursor {
    sim_index_rows_t *rows;
    uint32_t at;
    uint8_t table;
};

struct adr_index_view {
    sim_disk_t *disk;
    sim_index_rows_t *rows;
    sim_index_meta_t meta[SIM_INDEX_META_MAX];
    uint32_t meta_count;
};

static sim_disk_t *
s_disk (adr_index_t *face)
{
    return (sim_disk_t *) ((char *) face - offsetof (sim_disk_t, index));
}

static uint8_t *
s_keep_key (sim_disk_t *self, adr_bytes_t key)
{
    if (!self->keys || self->keys->room - self->keys->used < key.size) {
        size_t room = 64 * 1024;
        sim_block_t *block = adr_alloc (sizeof *block + room);
        *block = (sim_block_t){ .next = self->keys, .room = room };
        self->keys = block;
    }
    uint8_t *at = self->keys->data + self->keys->used;
    if (key.size)
        memcpy (at, key.data, key.size);
    self->keys->used += key.size;
    return at;
}

static int
s_compare (const sim_index_row_t *row, uint8_t table, adr_bytes_t key)
{
    if (row->table != table)
        return row->table < table ? -1 : 1;
    return adr_bytes_compare (adr_bytes (row->key, row->key_size), key);
}

/* The first row that is not below (table, key). */
static uint32_t
s_lower (const sim_index_rows_t *rows, uint8_t table, adr_bytes_t key)
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
s_release (sim_index_rows_t *rows)
{
    if (--rows->references == 0)
        free (rows);
}

static sim_index_rows_t *
s_new_rows (uint32_t room)
{
    sim_index_rows_t *rows = adr_alloc (sizeof *rows + room * sizeof rows->row[0]);
    rows->references = 1;
    return rows;
}

static int
s_get (adr_index_t *face, uint8_t table, adr_bytes_t key, adr_index_row_t *row)
{
    sim_disk_t *self = s_disk (face);
    uint32_t at = s_lower (self->rows, table, key);
    if (at == self->rows->count || s_compare (&self->rows->row[at], table, key) != 0)
        return ENOENT;
    *row = self->rows->row[at].row;
    return self->rows->row[at].damaged ? EIO : 0;
}

static int
s_seek (adr_index_t *face, uint8_t table, adr_bytes_t from, adr_index_cursor_t **cursor)
{
    sim_disk_t *self = s_disk (face);
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
    const sim_index_row_t *here = &cursor->rows->row[cursor->at++];
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
    sim_disk_t *self = s_disk (face);
    if (!sim_disk_alive (self))
        return EIO;
    adr_assert (!self->in_transaction);
    self->in_transaction = true;
    self->pending_count = self->pending_meta_count = 0;
    return 0;
}

static int
s_add (sim_disk_t *self, sim_index_row_t row)
{
    adr_assert (self->in_transaction);
    if (self->pending_count == self->pending_room) {
        self->pending_room = self->pending_room ? self->pending_room * 2 : 256;
        self->pending = adr_realloc (self->pending, self->pending_room * sizeof *self->pending);
    }
    self->pending[self->pending_count++] = row;
    return self->dead ? EIO : 0;
}

static int
s_put (adr_index_t *face, uint8_t table, adr_bytes_t key, const adr_index_row_t *row)
{
    sim_disk_t *self = s_disk (face);
    return s_add (self, (sim_index_row_t){ .table = table, .key = s_keep_key (self, key),
                                           .key_size = (uint16_t) key.size, .row = *row });
}

static int
s_put_tree (adr_index_t *face, adr_bytes_t name, adr_bytes_t value)
{
    sim_disk_t *self = s_disk (face);
    uint8_t joined[ADR_TREE_NAME_MAX + ADR_TREE_VALUE_MAX];
    adr_assert (name.size <= ADR_TREE_NAME_MAX && value.size <= ADR_TREE_VALUE_MAX);
    memcpy (joined, name.data, name.size);
    memcpy (joined + name.size, value.data, value.size);
    const uint8_t *kept = s_keep_key (self, adr_bytes (joined, name.size + value.size));
    return s_add (self, (sim_index_row_t){ .table = SIM_INDEX_TREE, .key = kept, .key_size = (uint16_t) name.size,
                                           .value_size = (uint16_t) value.size });
}

static int
s_remove_tree (adr_index_t *face, adr_bytes_t name)
{
    sim_disk_t *self = s_disk (face);
    return s_add (self, (sim_index_row_t){ .table = SIM_INDEX_TREE, .key = s_keep_key (self, name),
                                           .key_size = (uint16_t) name.size, .removed = true });
}

static int
s_remove (adr_index_t *face, uint8_t table, adr_bytes_t key)
{
    sim_disk_t *self = s_disk (face);
    return s_add (self, (sim_index_row_t){ .table = table, .key = s_keep_key (self, key),
                                           .key_size = (uint16_t) key.size, .removed = true });
}

static void
s_set_meta (sim_index_meta_t *rows, uint32_t *count, const char *name, adr_bytes_t value)
{
    uint32_t at = 0;
    while (at < *count && strcmp (rows[at].name, name) != 0)
        at++;
    adr_assert (at < SIM_INDEX_META_MAX && strlen (name) < sizeof rows->name && value.size <= sizeof rows->value);
    if (at == *count)
        (*count)++;
    strcpy (rows[at].name, name);
    memcpy (rows[at].value, value.data, value.size);
    rows[at].size = value.size;
}

static int
s_put_meta (adr_index_t *face, const char *name, adr_bytes_t value)
{
    sim_disk_t *self = s_disk (face);
    adr_assert (self->in_transaction);
    s_set_meta (self->pending_meta, &self->pending_meta_count, name, value);
    return self->dead ? EIO : 0;
}

/* By table and key; of equal ones the order of the puts stays, the last is what holds. */
static void
s_sort (sim_index_row_t *rows, sim_index_row_t *other, uint32_t count)
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
s_merge (sim_disk_t *self)
{
    const sim_index_rows_t *old = self->rows;
    sim_index_rows_t *rows = s_new_rows (old->count + self->pending_count);
    uint32_t a = 0;
    for (uint32_t b = 0; b < self->pending_count; b++) {
        const sim_index_row_t *row = &self->pending[b];
        adr_bytes_t key = adr_bytes (row->key, row->key_size);
        if (b + 1 < self->pending_count && s_compare (&self->pending[b + 1], row->table, key) == 0)
            continue;
        for (; a < old->count && s_compare (&old->row[a], row->table, key) < 0; a++)
            rows->row[rows->count++] = old->row[a];
        bool known = a < old->count && s_compare (&old->row[a], row->table, key) == 0;
        sim_rows_judge (self, known ? &old->row[a] : NULL, row);
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
    sim_disk_t *self = s_disk (face);
    adr_assert (self->in_transaction);
    bool alive = sim_disk_alive (self);
    if (!alive && adr_random_next (&self->random) % 2)
        return EIO;
    if (self->pending_count) {
        sim_index_row_t *other = adr_alloc (self->pending_count * sizeof *other);
        s_sort (self->pending, other, self->pending_count);
        free (other);
        s_merge (self);
    }
    for (uint32_t i = 0; i < self->pending_meta_count; i++)
        s_set_meta (self->meta, &self->meta_count, self->pending_meta[i].name,
                    adr_bytes (self->pending_meta[i].value, self->pending_meta[i].size));
    sim_index_forget (self);
    return alive ? 0 : EIO;
}

static void
s_abort (adr_index_t *face)
{
    sim_index_forget (s_disk (face));
}

static int
s_find_meta (const sim_index_meta_t *meta, uint32_t count, const char *name, void *value, size_t room, size_t *size)
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
    const sim_disk_t *self = s_disk (face);
    return s_find_meta (self->meta, self->meta_count, name, value, room, size);
}

/* --- views -------------------------------------------------------------------------------------------------- */

static int
s_view (adr_index_t *face, adr_index_view_t **view)
{
    sim_disk_t *self = s_disk (face);
    *view = adr_alloc (sizeof **view);
    **view = (adr_index_view_t){ .disk = self, .rows = self->rows, .meta_count = self->meta_count };
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
    return view->rows->row[at].damaged ? EIO : 0;
}

static int
s_view_meta (adr_index_view_t *view, const char *name, void *value, size_t room, size_t *size)
{
    return s_find_meta (view->meta, view->meta_count, name, value, room, size);
}

static int
s_view_at (const adr_index_view_t *view, uint32_t at, adr_bytes_t *name, adr_bytes_t *value)
{
    const sim_index_row_t *row = &view->rows->row[at];
    *name = adr_bytes (row->key, row->key_size);
    *value = adr_bytes (row->key + row->key_size, row->value_size);
    return row->damaged ? EIO : 0;
}

static int
s_view_tree (adr_index_view_t *view, adr_bytes_t name, adr_bytes_t *value)
{
    uint32_t at = s_lower (view->rows, SIM_INDEX_TREE, name);
    if (at == view->rows->count || s_compare (&view->rows->row[at], SIM_INDEX_TREE, name) != 0)
        return ENOENT;
    return s_view_at (view, at, &name, value);
}

static int
s_view_next (adr_index_view_t *view, adr_bytes_t after, adr_bytes_t *name, adr_bytes_t *value)
{
    uint32_t at = s_lower (view->rows, SIM_INDEX_TREE, after);
    if (at < view->rows->count && s_compare (&view->rows->row[at], SIM_INDEX_TREE, after) == 0)
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

static int
s_reset (adr_index_t *face)
{
    sim_disk_t *self = s_disk (face);
    bool alive = sim_disk_alive (self);
    if (alive || adr_random_next (&self->random) % 2)
        sim_index_clear (self);
    return alive ? 0 : EIO;
}

void
sim_index_init (sim_disk_t *self)
{
    self->index = (adr_index_t){ .get = s_get, .seek = s_seek, .next = s_next, .close = s_close, .begin = s_begin,
                                 .put = s_put, .remove = s_remove, .put_meta = s_put_meta, .commit = s_commit,
                                 .abort = s_abort, .get_meta = s_get_meta, .put_tree = s_put_tree,
                                 .remove_tree = s_remove_tree, .view = s_view, .view_row = s_view_row,
                                 .view_meta = s_view_meta, .view_tree = s_view_tree, .view_next = s_view_next,
                                 .view_close = s_view_close, .reset = s_reset };
    self->rows = s_new_rows (0);
}

void
sim_index_forget (sim_disk_t *self)
{
    self->in_transaction = false;
    self->pending_count = self->pending_meta_count = 0;
}

static void
s_forget_copy (sim_disk_t *self)
{
    if (self->old_rows)
        s_release (self->old_rows);
    self->old_rows = NULL;
}

void
sim_index_clear (sim_disk_t *self)
{
    sim_index_forget (self);
    s_forget_copy (self);
    s_release (self->rows);
    self->rows = s_new_rows (0);
    self->meta_count = 0;
}

void
sim_index_free (sim_disk_t *self)
{
    s_forget_copy (self);
    s_release (self->rows);
    free (self->pending);
    while (self->keys) {
        sim_block_t *next = self->keys->next;
        free (self->keys);
        self->keys = next;
    }
}

void
sim_disk_lose_index (sim_disk_t *self)
{
    sim_index_clear (self);
}

bool
sim_disk_damage_index (sim_disk_t *self)
{
    sim_index_rows_t *rows = self->rows;
    if (rows->count == 0)
        return false;
    rows->row[adr_random_next (&self->random) % rows->count].damaged = true;
    return true;
}

void
sim_disk_copy_index (sim_disk_t *self)
{
    s_forget_copy (self);
    self->old_rows = self->rows;
    self->rows->references++;
    memcpy (self->old_meta, self->meta, sizeof self->meta);
    self->old_meta_count = self->meta_count;
}

void
sim_disk_restore_index (sim_disk_t *self)
{
    if (!self->old_rows)
        return;
    s_release (self->rows);
    self->rows = self->old_rows;
    self->old_rows = NULL;
    memcpy (self->meta, self->old_meta, sizeof self->meta);
    self->meta_count = self->old_meta_count;
}
