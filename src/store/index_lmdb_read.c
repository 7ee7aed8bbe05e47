/* SPDX-License-Identifier: MPL-2.0 */
/* The read side of the LMDB index: gets, views of one moment, cursors over a table.
 *
 * Owns: what is open for reading. Makes durable: nothing. Assumes: gets, seeks and cursors on one thread; views on any.
 * Implements STORE-10. */

#include "store/index_lmdb.h"

#include <errno.h>
#include <stdlib.h>

#define S_DEPTH (ADR_KEY_MAX / ADR_INDEX_PART + 1)

/* A position in one node. */
typedef struct {
    MDB_cursor *cursor;
    uint8_t header[ADR_INDEX_HEADER_MAX];
    size_t header_size;
    MDB_val key, value;
    int error;    /* of the last move */
    bool pending; /* key and value are still to be given */
} s_level_t;

struct adr_index_cursor {
    MDB_txn *transaction;
    int depth;
    s_level_t level[S_DEPTH];
    uint8_t key[S_DEPTH * ADR_INDEX_PART + 1];
};

/* --- reading ----------------------------------------------------------------------------------------------- */

static int
s_row_of (const adr_index_lmdb_t *self, MDB_txn *transaction, uint8_t table, adr_bytes_t key, adr_index_row_t *row)
{
    adr_index_walk_t walk;
    MDB_val value;
    adr_index_walk_begin (&walk, table, key);
    int error = adr_index_walk_to_end (self, transaction, &walk);
    if (!error)
        error = adr_index_errno (mdb_get (transaction, self->records, &walk.key, &value));
    return !error && !adr_index_row_decode (&walk.key, &value, row) ? EIO : error;
}

static int
s_meta_of (const adr_index_lmdb_t *self, MDB_txn *transaction, const char *name, void *value, size_t room, size_t *size)
{
    MDB_val key = { strlen (name), (void *) name }, found;
    adr_bytes_t bytes = { 0 };
    int error = adr_index_errno (mdb_get (transaction, self->meta, &key, &found));
    if (!error)
        error = adr_index_small_of (&key, &found, &bytes);
    if (!error) {
        *size = bytes.size;
        memcpy (value, bytes.data, bytes.size < room ? bytes.size : room);
    }
    return error;
}

static int
s_reader_begin (adr_index_lmdb_t *self)
{
    pthread_rwlock_rdlock (&self->remap);
    int error = adr_index_errno (mdb_txn_renew (self->reader));
    if (error)
        pthread_rwlock_unlock (&self->remap);
    return error;
}

static void
s_reader_end (adr_index_lmdb_t *self)
{
    mdb_txn_reset (self->reader);
    pthread_rwlock_unlock (&self->remap);
}

static int
s_get (adr_index_t *index, uint8_t table, adr_bytes_t key, adr_index_row_t *row)
{
    adr_index_lmdb_t *self = (adr_index_lmdb_t *) index;
    ADR_INDEX_INSIDE (&self->mark);
    int error = key.size > ADR_KEY_MAX ? ENOENT : s_reader_begin (self);
    if (error)
        return error;
    error = s_row_of (self, self->reader, table, key, row);
    s_reader_end (self);
    return error;
}

static int
s_get_meta (adr_index_t *index, const char *name, void *value, size_t room, size_t *size)
{
    adr_index_lmdb_t *self = (adr_index_lmdb_t *) index;
    ADR_INDEX_INSIDE (&self->mark);
    int error = s_reader_begin (self);
    if (error)
        return error;
    error = s_meta_of (self, self->reader, name, value, room, size);
    s_reader_end (self);
    return error;
}

/* --- views ------------------------------------------------------------------------------------------------- */

struct adr_index_view {
    adr_index_lmdb_t *index;
    MDB_txn *transaction;
    MDB_cursor *cursor; /* over the tree; NULL: not opened yet */
};

static int
s_view (adr_index_t *index, adr_index_view_t **view_pointer)
{
    adr_index_lmdb_t *self = (adr_index_lmdb_t *) index;
    ADR_INDEX_INSIDE (&self->mark);
    adr_index_view_t *view = adr_alloc (sizeof *view);
    view->index = self;
    pthread_rwlock_rdlock (&self->remap);
    int error = mdb_txn_begin (self->environment, NULL, MDB_RDONLY, &view->transaction);
    if (error) {
        pthread_rwlock_unlock (&self->remap);
        free (view);
        view = NULL;
    }
    *view_pointer = view;
    return adr_index_errno (error);
}

static void
s_view_close (adr_index_view_t **view_pointer)
{
    adr_index_view_t *view = *view_pointer;
    ADR_INDEX_INSIDE (&view->index->mark);
    if (view->cursor)
        mdb_cursor_close (view->cursor);
    mdb_txn_abort (view->transaction);
    pthread_rwlock_unlock (&view->index->remap);
    free (view);
    *view_pointer = NULL;
}

static int
s_view_row (adr_index_view_t *view, uint8_t table, adr_bytes_t key, adr_index_row_t *row)
{
    ADR_INDEX_INSIDE (&view->index->mark);
    return key.size > ADR_KEY_MAX ? ENOENT : s_row_of (view->index, view->transaction, table, key, row);
}

static int
s_view_meta (adr_index_view_t *view, const char *name, void *value, size_t room, size_t *size)
{
    ADR_INDEX_INSIDE (&view->index->mark);
    return s_meta_of (view->index, view->transaction, name, value, room, size);
}

static int
s_view_tree (adr_index_view_t *view, adr_bytes_t name, adr_bytes_t *value)
{
    ADR_INDEX_INSIDE (&view->index->mark);
    MDB_val key = { name.size, (void *) name.data }, found;
    int error = mdb_get (view->transaction, view->index->tree, &key, &found);
    return error ? adr_index_errno (error) : adr_index_small_of (&key, &found, value);
}

static int
s_view_next (adr_index_view_t *view, adr_bytes_t after, adr_bytes_t *name, adr_bytes_t *value)
{
    ADR_INDEX_INSIDE (&view->index->mark);
    MDB_val key = { after.size, (void *) after.data }, found;
    int error = view->cursor ? 0 : mdb_cursor_open (view->transaction, view->index->tree, &view->cursor);
    if (!error)
        error = mdb_cursor_get (view->cursor, &key, &found, MDB_SET_RANGE);
    if (!error && key.mv_size == after.size && memcmp (key.mv_data, after.data, after.size) == 0)
        error = mdb_cursor_get (view->cursor, &key, &found, MDB_NEXT);
    if (error)
        return adr_index_errno (error);
    *name = adr_bytes (key.mv_data, key.mv_size);
    return adr_index_small_of (&key, &found, value);
}

/* --- cursors ----------------------------------------------------------------------------------------------- */

static void
s_level_move (s_level_t *level, MDB_cursor_op operation)
{
    level->error = mdb_cursor_get (level->cursor, &level->key, &level->value, operation);
    level->pending = true;
}

/* One node deeper, standing at the first key that is not below the walk's. */
static int
s_push (adr_index_lmdb_t *self, adr_index_cursor_t *cursor, const adr_index_walk_t *walk)
{
    if (cursor->depth == S_DEPTH)
        return EIO;
    s_level_t *level = &cursor->level[cursor->depth];
    int error = mdb_cursor_open (cursor->transaction, self->records, &level->cursor);
    if (error)
        return adr_index_errno (error);
    cursor->depth++;
    memcpy (level->header, walk->bytes, walk->header_size);
    level->header_size = walk->header_size;
    level->key = walk->key;
    s_level_move (level, MDB_SET_RANGE);
    return 0;
}

static void
s_pop (adr_index_cursor_t *cursor)
{
    mdb_cursor_close (cursor->level[--cursor->depth].cursor);
}

/* Down the marker at which the level stands, whose 500 bytes become part of every key below. */
static int
s_descend (adr_index_lmdb_t *self, adr_index_cursor_t *cursor, adr_bytes_t rest)
{
    s_level_t *level = &cursor->level[cursor->depth - 1];
    if (!adr_index_value_is_sound (&level->key, &level->value, ADR_INDEX_KIND_MARKER, ADR_INDEX_MARKER_SIZE))
        return EIO;
    memcpy (cursor->key + (size_t) (cursor->depth - 1) * ADR_INDEX_PART,
            (const uint8_t *) level->key.mv_data + level->header_size, ADR_INDEX_PART);
    level->pending = false;
    adr_index_walk_t walk;
    walk.header_size = adr_index_child_header (walk.bytes, adr_get_u64 ((const uint8_t *) level->value.mv_data + 5));
    walk.rest = rest;
    adr_index_walk_key (&walk);
    return s_push (self, cursor, &walk);
}

static int
s_seek_down (adr_index_lmdb_t *self, adr_index_cursor_t *cursor, uint8_t table, adr_bytes_t from)
{
    adr_index_walk_t walk;
    adr_index_walk_begin (&walk, table, from);
    int error = s_push (self, cursor, &walk);
    while (!error && from.size > ADR_INDEX_PART) {
        const s_level_t *level = &cursor->level[cursor->depth - 1];
        if (level->error || level->key.mv_size != walk.key.mv_size
            || memcmp (level->key.mv_data, walk.key.mv_data, walk.key.mv_size) != 0)
            break; /* no marker on the way: it stands at the first key behind `from` */
        from = adr_bytes (from.data + ADR_INDEX_PART, from.size - ADR_INDEX_PART);
        error = s_descend (self, cursor, from);
        adr_index_walk_down (&walk, adr_get_u64 ((const uint8_t *) level->value.mv_data + 5));
    }
    return error;
}

static void
s_cursor_close (adr_index_t *index, adr_index_cursor_t **cursor_pointer)
{
    adr_index_lmdb_t *self = (adr_index_lmdb_t *) index;
    ADR_INDEX_INSIDE (&self->mark);
    adr_index_cursor_t *cursor = *cursor_pointer;
    while (cursor->depth > 0)
        s_pop (cursor);
    mdb_txn_abort (cursor->transaction);
    pthread_rwlock_unlock (&self->remap);
    free (cursor);
    *cursor_pointer = NULL;
}

static int
s_seek (adr_index_t *index, uint8_t table, adr_bytes_t from, adr_index_cursor_t **cursor_pointer)
{
    adr_index_lmdb_t *self = (adr_index_lmdb_t *) index;
    ADR_INDEX_INSIDE (&self->mark);
    *cursor_pointer = NULL;
    if (from.size > ADR_KEY_MAX)
        from.size = ADR_KEY_MAX; /* no key is longer, so those behind it are behind its start too, or equal */
    adr_index_cursor_t *cursor = adr_alloc (sizeof *cursor);
    pthread_rwlock_rdlock (&self->remap);
    int error = mdb_txn_begin (self->environment, NULL, MDB_RDONLY, &cursor->transaction);
    if (error) {
        pthread_rwlock_unlock (&self->remap);
        free (cursor);
        return adr_index_errno (error);
    }
    error = s_seek_down (self, cursor, table, from);
    *cursor_pointer = cursor;
    if (error)
        s_cursor_close (index, cursor_pointer);
    return error;
}

static bool
s_in_node (const s_level_t *level)
{
    return level->key.mv_size >= level->header_size
        && memcmp (level->key.mv_data, level->header, level->header_size) == 0;
}

static int
s_next (adr_index_t *index, adr_index_cursor_t *cursor, adr_bytes_t *key, adr_index_row_t *row)
{
    adr_index_lmdb_t *self = (adr_index_lmdb_t *) index;
    ADR_INDEX_INSIDE (&self->mark);
    while (cursor->depth > 0) {
        s_level_t *level = &cursor->level[cursor->depth - 1];
        if (!level->pending)
            s_level_move (level, MDB_NEXT);
        if (level->error == MDB_NOTFOUND || (level->error == 0 && !s_in_node (level))) {
            s_pop (cursor);
            continue;
        }
        if (level->error)
            return adr_index_errno (level->error);
        size_t part = level->key.mv_size - level->header_size;
        if (part > ADR_INDEX_PART) {
            int error = s_descend (self, cursor, adr_bytes (NULL, 0));
            if (error)
                return error;
            continue;
        }
        level->pending = false;
        size_t before = (size_t) (cursor->depth - 1) * ADR_INDEX_PART;
        memcpy (cursor->key + before, (const uint8_t *) level->key.mv_data + level->header_size, part);
        *key = adr_bytes (cursor->key, before + part);
        return adr_index_row_decode (&level->key, &level->value, row) ? 0 : EIO;
    }
    return ENOENT;
}

void
adr_index_lmdb_read_init (adr_index_t *index)
{
    index->get = s_get;
    index->seek = s_seek;
    index->next = s_next;
    index->close = s_cursor_close;
    index->get_meta = s_get_meta;
    index->view = s_view;
    index->view_row = s_view_row;
    index->view_meta = s_view_meta;
    index->view_tree = s_view_tree;
    index->view_next = s_view_next;
    index->view_close = s_view_close;
}
