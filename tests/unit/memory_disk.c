/* SPDX-License-Identifier: MPL-2.0 */
/* A disk, a state environment and an index in memory: see memory_disk.h. */

#include "memory_disk.h"

#include <errno.h>
#include <stdlib.h>

/* --- disk -------------------------------------------------------------------------------------------------- */

memory_segment_t *
memory_disk_segment (memory_disk_t *self, uint64_t number)
{
    for (size_t i = 0; i < self->count; i++)
        if (self->segment[i].number == number && !self->segment[i].aside)
            return &self->segment[i];
    return NULL;
}

static memory_segment_t *
s_segment_add (memory_disk_t *self, uint64_t number, uint64_t size)
{
    if (self->count == self->room) {
        self->room = self->room ? self->room * 2 : 16;
        self->segment = adr_realloc (self->segment, self->room * sizeof *self->segment);
    }
    memory_segment_t *segment = &self->segment[self->count++];
    *segment = (memory_segment_t){ .number = number, .size = size, .now = adr_alloc (size),
                                   .synced = adr_alloc (size), .dirty = adr_alloc (size / MEMORY_SECTOR) };
    return segment;
}

static int
s_set_aside (adr_disk_t *disk, uint64_t number)
{
    memory_segment_t *segment = memory_disk_segment ((memory_disk_t *) disk, number);
    if (!segment)
        return ENOENT;
    segment->aside = true;
    return 0;
}

static int
s_create (adr_disk_t *disk, uint64_t number, uint64_t size)
{
    memory_disk_t *self = (memory_disk_t *) disk;
    (void) s_set_aside (disk, number);
    if (self->free_bytes < size)
        return ENOSPC;
    self->free_bytes -= size;
    s_segment_add (self, number, size);
    return 0;
}

static int
s_write (adr_disk_t *disk, uint64_t number, uint64_t offset, const void *data, size_t size)
{
    memory_disk_t *self = (memory_disk_t *) disk;
    memory_segment_t *segment = memory_disk_segment (self, number);
    if (!segment || offset > segment->size || segment->size - offset < size)
        return EIO;
    self->writes++;
    memcpy (segment->now + offset, data, size);
    memset (segment->dirty + offset / MEMORY_SECTOR, 1,
            (offset + size + MEMORY_SECTOR - 1) / MEMORY_SECTOR - offset / MEMORY_SECTOR);
    return 0;
}

static int
s_sync (adr_disk_t *disk, uint64_t number)
{
    memory_disk_t *self = (memory_disk_t *) disk;
    memory_segment_t *segment = memory_disk_segment (self, number);
    if (!segment || self->fail_sync)
        return self->fail_sync ? self->fail_sync : EIO;
    self->syncs++;
    for (uint64_t at = 0; at < segment->size / MEMORY_SECTOR; at++)
        if (segment->dirty[at]) {
            memcpy (segment->synced + at * MEMORY_SECTOR, segment->now + at * MEMORY_SECTOR, MEMORY_SECTOR);
            segment->dirty[at] = 0;
        }
    return 0;
}

static int
s_read (adr_disk_t *disk, uint64_t number, uint64_t offset, void *data, size_t size)
{
    memory_segment_t *segment = memory_disk_segment ((memory_disk_t *) disk, number);
    if (!segment || offset > segment->size || segment->size - offset < size)
        return EIO;
    memcpy (data, segment->now + offset, size);
    return 0;
}

static int
s_truncate (adr_disk_t *disk, uint64_t number, uint64_t size)
{
    memory_disk_t *self = (memory_disk_t *) disk;
    memory_segment_t *segment = memory_disk_segment (self, number);
    if (!segment || size > segment->size)
        return EIO;
    self->free_bytes += segment->size - size;
    segment->size = size;
    return 0;
}

static void
s_segment_free (memory_segment_t *segment)
{
    free (segment->now);
    free (segment->synced);
    free (segment->dirty);
}

static int
s_remove (adr_disk_t *disk, uint64_t number)
{
    memory_disk_t *self = (memory_disk_t *) disk;
    memory_segment_t *segment = memory_disk_segment (self, number);
    if (!segment)
        return ENOENT;
    self->free_bytes += segment->size;
    s_segment_free (segment);
    *segment = self->segment[--self->count];
    return 0;
}

static int
s_by_number (const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *) a, y = *(const uint64_t *) b;
    return (x > y) - (x < y);
}

static int
s_list (adr_disk_t *disk, uint64_t *numbers, size_t room, size_t *count)
{
    memory_disk_t *self = (memory_disk_t *) disk;
    *count = 0;
    for (size_t i = 0; i < self->count && *count < room; i++)
        if (!self->segment[i].aside)
            numbers[(*count)++] = self->segment[i].number;
    qsort (numbers, *count, sizeof *numbers, s_by_number);
    return 0;
}

static int
s_size (adr_disk_t *disk, uint64_t number, uint64_t *size)
{
    memory_segment_t *segment = memory_disk_segment ((memory_disk_t *) disk, number);
    if (!segment)
        return ENOENT;
    *size = segment->size;
    return 0;
}

static int
s_space (adr_disk_t *disk, uint64_t *free_bytes, uint64_t *all_bytes)
{
    *free_bytes = ((memory_disk_t *) disk)->free_bytes;
    *all_bytes = UINT64_C (1) << 40;
    return 0;
}

memory_disk_t *
memory_disk_create (void)
{
    memory_disk_t *self = adr_alloc (sizeof *self);
    self->free_bytes = UINT64_C (1) << 40;
    self->disk = (adr_disk_t){ s_create, s_write, s_sync, s_read, s_truncate, s_remove, s_set_aside, s_list, s_size, s_space };
    return self;
}

memory_disk_t *
memory_disk_copy (const memory_disk_t *self)
{
    memory_disk_t *copy = memory_disk_create ();
    copy->free_bytes = self->free_bytes;
    for (size_t i = 0; i < self->count; i++) {
        const memory_segment_t *from = &self->segment[i];
        memory_segment_t *to = s_segment_add (copy, from->number, from->size);
        to->aside = from->aside;
        memcpy (to->now, from->now, from->size);
        memcpy (to->synced, from->synced, from->size);
        memcpy (to->dirty, from->dirty, from->size / MEMORY_SECTOR);
    }
    return copy;
}

memory_disk_t *
memory_disk_crash (const memory_disk_t *self, bool (*keep) (void *argument), void *argument)
{
    memory_disk_t *copy = memory_disk_copy (self);
    for (size_t i = 0; i < copy->count; i++) {
        memory_segment_t *segment = &copy->segment[i];
        for (uint64_t at = 0; at < segment->size / MEMORY_SECTOR; at++) {
            if (!segment->dirty[at])
                continue;
            segment->dirty[at] = 0;
            if (keep (argument))
                memcpy (segment->synced + at * MEMORY_SECTOR, segment->now + at * MEMORY_SECTOR, MEMORY_SECTOR);
            else
                memcpy (segment->now + at * MEMORY_SECTOR, segment->synced + at * MEMORY_SECTOR, MEMORY_SECTOR);
        }
    }
    return copy;
}

void
memory_disk_destroy (memory_disk_t **self_pointer)
{
    memory_disk_t *self = *self_pointer;
    if (!self)
        return;
    for (size_t i = 0; i < self->count; i++)
        s_segment_free (&self->segment[i]);
    free (self->segment);
    free (self);
    *self_pointer = NULL;
}

/* --- state ------------------------------------------------------------------------------------------------- */

static int
s_state_get (adr_state_t *state, const char *name, void *value, size_t room)
{
    memory_state_t *self = (memory_state_t *) state;
    if (self->unreadable || (self->unreadable_name && strcmp (name, self->unreadable_name) == 0))
        return -2;
    for (size_t i = 0; i < self->count; i++)
        if (strcmp (self->put[i].name, name) == 0) {
            size_t size = self->put[i].size;
            memcpy (value, self->put[i].value, size < room ? size : room);
            return (int) size;
        }
    return -1;
}

static int
s_state_put (adr_state_t *state, const adr_state_put_t *puts, size_t count)
{
    memory_state_t *self = (memory_state_t *) state;
    if (self->unreadable)
        self->count = 0;
    self->unreadable = false;
    for (size_t i = 0; i < count; i++) {
        size_t at = 0;
        if (self->unreadable_name && strcmp (puts[i].name, self->unreadable_name) == 0)
            self->unreadable_name = NULL;
        while (at < self->count && strcmp (self->put[at].name, puts[i].name) != 0)
            at++;
        adr_assert (at < sizeof self->put / sizeof self->put[0] && strlen (puts[i].name) < sizeof self->put[0].name);
        if (at == self->count)
            self->count++;
        strcpy (self->put[at].name, puts[i].name);
        self->put[at].value = adr_realloc (self->put[at].value, puts[i].value.size + 1);
        if (puts[i].value.size)
            memcpy (self->put[at].value, puts[i].value.data, puts[i].value.size);
        self->put[at].size = puts[i].value.size;
    }
    return 0;
}

memory_state_t *
memory_state_create (void)
{
    memory_state_t *self = adr_alloc (sizeof *self);
    self->state = (adr_state_t){ s_state_get, s_state_put };
    return self;
}

memory_state_t *
memory_state_copy (const memory_state_t *self)
{
    memory_state_t *copy = adr_alloc (sizeof *copy);
    *copy = *self;
    for (size_t i = 0; i < self->count; i++) {
        copy->put[i].value = adr_alloc (self->put[i].size + 1);
        memcpy (copy->put[i].value, self->put[i].value, self->put[i].size);
    }
    return copy;
}

void
memory_state_destroy (memory_state_t **self_pointer)
{
    memory_state_t *self = *self_pointer;
    for (size_t i = 0; self && i < sizeof self->put / sizeof self->put[0]; i++)
        free (self->put[i].value);
    free (self);
    *self_pointer = NULL;
}

/* --- index: sorted arrays, each commit makes a new one ------------------------------------------------------ */

typedef struct {
    uint8_t table;
    bool removed;
    uint16_t key_size;
    uint8_t *key;
    adr_index_row_t row;
    uint16_t value_size; /* of the second space, whose table is S_TREE; it stands behind the key */
} s_row_t;

#define S_TREE UINT8_MAX

typedef struct {
    size_t users;
    size_t count;
    s_row_t row[];
} s_rows_t;

struct memory_index {
    adr_index_t index; /* first */
    s_rows_t *rows;
    s_row_t *pending; /* of the open transaction, in the order of their keys or not */
    size_t pending_count, pending_room;
    uint8_t meta[64], pending_meta[64];
    size_t meta_size, pending_meta_size;
    char meta_name[32];
    bool open, spoilt;
    bool unsound, broken;
};

struct adr_index_cursor {
    s_rows_t *rows;
    size_t at;
    uint8_t table;
};

static int
s_row_order (const s_row_t *row, uint8_t table, adr_bytes_t key)
{
    if (row->table != table)
        return row->table < table ? -1 : 1;
    return adr_bytes_compare (adr_bytes (row->key, row->key_size), key);
}

static int
s_rows_order (const void *a, const void *b)
{
    const s_row_t *y = b;
    return s_row_order (a, y->table, adr_bytes (y->key, y->key_size));
}

static void
s_rows_release (s_rows_t *rows)
{
    if (!rows || --rows->users > 0)
        return;
    for (size_t i = 0; i < rows->count; i++)
        free (rows->row[i].key);
    free (rows);
}

static size_t
s_rows_find (const s_rows_t *rows, uint8_t table, adr_bytes_t key)
{
    size_t low = 0, high = rows->count;
    while (low < high) {
        size_t middle = (low + high) / 2;
        if (s_row_order (&rows->row[middle], table, key) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static int
s_index_get (adr_index_t *index, uint8_t table, adr_bytes_t key, adr_index_row_t *row)
{
    memory_index_t *self = (memory_index_t *) index;
    size_t at = s_rows_find (self->rows, table, key);
    if (at == self->rows->count || s_row_order (&self->rows->row[at], table, key) != 0)
        return ENOENT;
    *row = self->rows->row[at].row;
    return self->spoilt ? EIO : 0;
}

static int
s_index_seek (adr_index_t *index, uint8_t table, adr_bytes_t from, adr_index_cursor_t **cursor)
{
    memory_index_t *self = (memory_index_t *) index;
    *cursor = adr_alloc (sizeof **cursor);
    **cursor = (adr_index_cursor_t){ self->rows, s_rows_find (self->rows, table, from), table };
    self->rows->users++;
    return 0;
}

static int
s_index_next (adr_index_t *index, adr_index_cursor_t *cursor, adr_bytes_t *key, adr_index_row_t *row)
{
    (void) index;
    if (cursor->at == cursor->rows->count || cursor->rows->row[cursor->at].table != cursor->table)
        return ENOENT;
    const s_row_t *found = &cursor->rows->row[cursor->at++];
    *key = adr_bytes (found->key, found->key_size);
    *row = found->row;
    return 0;
}

static void
s_index_close (adr_index_t *index, adr_index_cursor_t **cursor)
{
    (void) index;
    s_rows_release ((*cursor)->rows);
    free (*cursor);
    *cursor = NULL;
}

static int
s_index_begin (adr_index_t *index)
{
    memory_index_t *self = (memory_index_t *) index;
    adr_assert (!self->open);
    self->open = true;
    self->pending_meta_size = 0;
    return 0;
}

static int
s_index_pend (memory_index_t *self, uint8_t table, adr_bytes_t key, const adr_index_row_t *row)
{
    adr_assert (self->open);
    if (self->pending_count == self->pending_room) {
        self->pending_room = self->pending_room ? self->pending_room * 2 : 64;
        self->pending = adr_realloc (self->pending, self->pending_room * sizeof *self->pending);
    }
    s_row_t *pending = &self->pending[self->pending_count++];
    *pending = (s_row_t){ .table = table, .removed = !row, .key_size = (uint16_t) key.size,
                          .key = adr_alloc (key.size + 1) };
    if (key.size)
        memcpy (pending->key, key.data, key.size);
    if (row)
        pending->row = *row;
    return 0;
}

static int
s_index_put_tree (adr_index_t *index, adr_bytes_t name, adr_bytes_t value)
{
    static const adr_index_row_t s_none;
    memory_index_t *self = (memory_index_t *) index;
    adr_assert (name.size <= ADR_TREE_NAME_MAX && value.size <= ADR_TREE_VALUE_MAX);
    (void) s_index_pend (self, S_TREE, name, &s_none);
    s_row_t *pending = &self->pending[self->pending_count - 1];
    pending->value_size = (uint16_t) value.size;
    pending->key = adr_realloc (pending->key, name.size + value.size + 1);
    memcpy (pending->key + name.size, value.data, value.size);
    return 0;
}

static int
s_index_remove_tree (adr_index_t *index, adr_bytes_t name)
{
    return s_index_pend ((memory_index_t *) index, S_TREE, name, NULL);
}

static int
s_index_put (adr_index_t *index, uint8_t table, adr_bytes_t key, const adr_index_row_t *row)
{
    return s_index_pend ((memory_index_t *) index, table, key, row);
}

static int
s_index_remove (adr_index_t *index, uint8_t table, adr_bytes_t key)
{
    return s_index_pend ((memory_index_t *) index, table, key, NULL);
}

static int
s_index_put_meta (adr_index_t *index, const char *name, adr_bytes_t value)
{
    memory_index_t *self = (memory_index_t *) index;
    adr_assert (self->open && value.size <= sizeof self->pending_meta && strlen (name) < sizeof self->meta_name);
    strcpy (self->meta_name, name);
    memcpy (self->pending_meta, value.data, value.size);
    self->pending_meta_size = value.size;
    return 0;
}

static s_row_t
s_row_copy (const s_row_t *row)
{
    s_row_t copy = *row;
    size_t size = (size_t) row->key_size + row->value_size;
    copy.key = adr_alloc (size + 1);
    memcpy (copy.key, row->key, size);
    return copy;
}

static int
s_index_commit (adr_index_t *index)
{
    memory_index_t *self = (memory_index_t *) index;
    adr_assert (self->open);
    qsort (self->pending, self->pending_count, sizeof *self->pending, s_rows_order);
    const s_rows_t *old = self->rows;
    s_rows_t *rows = adr_alloc (sizeof *rows + (old->count + self->pending_count) * sizeof rows->row[0]);
    rows->users = 1;
    size_t i = 0, j = 0;
    while (i < old->count || j < self->pending_count) {
        int order = i == old->count ? 1 : j == self->pending_count ? -1 : s_rows_order (&old->row[i], &self->pending[j]);
        if (order < 0)
            rows->row[rows->count++] = s_row_copy (&old->row[i++]);
        else {
            i += order == 0;
            if (self->pending[j].removed)
                free (self->pending[j++].key);
            else
                rows->row[rows->count++] = self->pending[j++];
        }
    }
    s_rows_release (self->rows);
    self->rows = rows;
    self->pending_count = 0;
    if (self->pending_meta_size) {
        memcpy (self->meta, self->pending_meta, self->pending_meta_size);
        self->meta_size = self->pending_meta_size;
    }
    self->open = false;
    return 0;
}

static void
s_index_abort (adr_index_t *index)
{
    memory_index_t *self = (memory_index_t *) index;
    for (size_t i = 0; i < self->pending_count; i++)
        free (self->pending[i].key);
    self->pending_count = 0;
    self->open = false;
}

static int
s_index_get_meta (adr_index_t *index, const char *name, void *value, size_t room, size_t *size)
{
    memory_index_t *self = (memory_index_t *) index;
    if (self->meta_size == 0 || strcmp (name, self->meta_name) != 0)
        return ENOENT;
    *size = self->meta_size;
    memcpy (value, self->meta, *size < room ? *size : room);
    return 0;
}

struct adr_index_view {
    memory_index_t *index;
    s_rows_t *rows;
};

static int
s_index_view (adr_index_t *index, adr_index_view_t **view)
{
    memory_index_t *self = (memory_index_t *) index;
    *view = adr_alloc (sizeof **view);
    **view = (adr_index_view_t){ self, self->rows };
    self->rows->users++;
    return 0;
}

static int
s_index_view_row (adr_index_view_t *view, uint8_t table, adr_bytes_t key, adr_index_row_t *row)
{
    size_t at = s_rows_find (view->rows, table, key);
    if (at == view->rows->count || s_row_order (&view->rows->row[at], table, key) != 0)
        return ENOENT;
    *row = view->rows->row[at].row;
    return view->index->spoilt ? EIO : 0;
}

static int
s_index_view_meta (adr_index_view_t *view, const char *name, void *value, size_t room, size_t *size)
{
    return s_index_get_meta (&view->index->index, name, value, room, size);
}

static adr_bytes_t
s_row_value (const s_row_t *row)
{
    return adr_bytes (row->key + row->key_size, row->value_size);
}

static int
s_index_view_tree (adr_index_view_t *view, adr_bytes_t name, adr_bytes_t *value)
{
    size_t at = s_rows_find (view->rows, S_TREE, name);
    if (at == view->rows->count || s_row_order (&view->rows->row[at], S_TREE, name) != 0)
        return ENOENT;
    *value = s_row_value (&view->rows->row[at]);
    return 0;
}

static int
s_index_view_next (adr_index_view_t *view, adr_bytes_t after, adr_bytes_t *name, adr_bytes_t *value)
{
    size_t at = s_rows_find (view->rows, S_TREE, after);
    if (at < view->rows->count && s_row_order (&view->rows->row[at], S_TREE, after) == 0)
        at++;
    if (at == view->rows->count)
        return ENOENT;
    const s_row_t *row = &view->rows->row[at];
    *name = adr_bytes (row->key, row->key_size);
    *value = s_row_value (row);
    return 0;
}

static void
s_index_view_close (adr_index_view_t **view)
{
    s_rows_release ((*view)->rows);
    free (*view);
    *view = NULL;
}

static bool
s_index_is_broken (adr_index_t *index)
{
    return ((memory_index_t *) index)->broken;
}

static int
s_index_check (adr_index_t *index)
{
    memory_index_t *self = (memory_index_t *) index;
    self->broken |= self->unsound;
    return self->broken ? EIO : 0;
}

static int
s_index_reset (adr_index_t *index)
{
    memory_index_t *self = (memory_index_t *) index;
    self->broken = self->unsound = false;
    self->spoilt = false;
    s_rows_release (self->rows);
    self->rows = adr_alloc (sizeof *self->rows);
    self->rows->users = 1;
    self->meta_size = 0;
    return 0;
}

memory_index_t *
memory_index_create (void)
{
    memory_index_t *self = adr_alloc (sizeof *self);
    self->index = (adr_index_t){ s_index_get, s_index_seek, s_index_next, s_index_close, s_index_begin, s_index_put,
                                 s_index_remove, s_index_put_meta, s_index_commit, s_index_abort, s_index_get_meta,
                                 s_index_put_tree, s_index_remove_tree, s_index_view, s_index_view_row,
                                 s_index_view_meta, s_index_view_tree, s_index_view_next, s_index_view_close,
                                 s_index_reset, s_index_is_broken, s_index_check };
    (void) s_index_reset (&self->index);
    return self;
}

memory_index_t *
memory_index_copy (const memory_index_t *self)
{
    memory_index_t *copy = memory_index_create ();
    s_rows_release (copy->rows);
    copy->rows = adr_alloc (sizeof *copy->rows + self->rows->count * sizeof copy->rows->row[0]);
    copy->rows->users = 1;
    copy->rows->count = self->rows->count;
    for (size_t i = 0; i < self->rows->count; i++)
        copy->rows->row[i] = s_row_copy (&self->rows->row[i]);
    memcpy (copy->meta, self->meta, sizeof self->meta);
    memcpy (copy->meta_name, self->meta_name, sizeof self->meta_name);
    copy->meta_size = self->meta_size;
    return copy;
}

void
memory_index_destroy (memory_index_t **self_pointer)
{
    memory_index_t *self = *self_pointer;
    if (!self)
        return;
    s_index_abort (&self->index);
    s_rows_release (self->rows);
    free (self->pending);
    free (self);
    *self_pointer = NULL;
}

adr_index_t *
memory_index_of (memory_index_t *self)
{
    return &self->index;
}

size_t
memory_index_count (const memory_index_t *self)
{
    return s_rows_find (self->rows, S_TREE, adr_bytes (NULL, 0));
}

/* --- entropy ----------------------------------------------------------------------------------------------- */

static void
s_fill (adr_entropy_t *entropy, void *data, size_t size)
{
    memory_entropy_t *self = (memory_entropy_t *) entropy;
    for (size_t at = 0; at < size; at++)
        ((uint8_t *) data)[at] = (uint8_t) adr_random_next (&self->random);
}

void
memory_entropy_init (memory_entropy_t *self, uint64_t seed)
{
    self->entropy.fill = s_fill;
    self->random.state = seed;
}

void
memory_index_break (memory_index_t *self, bool known)
{
    self->unsound = true;
    self->broken = known;
}

void
memory_index_spoil (memory_index_t *self)
{
    self->spoilt = true;
}
