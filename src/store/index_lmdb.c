/* SPDX-License-Identifier: MPL-2.0 */
/* The index as an LMDB file: (table, key) -> where the record stands in the journal.
 *
 * Owns: the file. Makes durable: one transaction a flush. Assumes: gets, seeks and cursors on one thread, one
 * transaction at a time on another. Implements STORE-10 (each value has a checksum that covers its key, verified at
 * each read) and DESIGN 6's making of new files.
 *
 * LMDB's keys end at 511 bytes and ours at 1,100, so keys are split over nodes, as in a trie: the root node holds keys
 * of up to 500 bytes whole; for longer ones it holds a marker, the first 500 bytes and a zero, that names a child node,
 * which holds the rest in the same way. Byte order within each node then is key order over all: a marker stands behind
 * the key that equals its 500 bytes and before any other that is greater.
 *
 *     root:   00, table, part          child:  01, u64 node (big-endian), part        a marker's part has 501 bytes
 *     value:  u32 checksum over key and rest, u8 kind: 1 a row, 2 a marker with u64 child
 *
 * Two more databases in the file, `meta` and `tree`, hold small values by name: u32 checksum over name and value, value. */

#include "store/backend.h"
#include "store/crc32c.h"
#include "store/folder.h"

#include "core/limits.h"

#include <errno.h>
#include <lmdb.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#define S_PART 500
#define S_DEPTH (ADR_KEY_MAX / S_PART + 1)
#define S_HEADER_MAX 9
#define S_LMDB_KEY_MAX (S_HEADER_MAX + S_PART + 1)
#define S_ROW_SIZE 76
#define S_MARKER_SIZE 13
#define S_KIND_ROW 1
#define S_KIND_MARKER 2
#define S_FLAGS (MDB_NOSUBDIR | MDB_NOTLS | MDB_NORDAHEAD)
#define S_MAP_FIRST (UINT64_C (1) << 30) /* of addresses, not of memory or disk */
#define S_NEXT_NODE "next-node"

static_assert (S_LMDB_KEY_MAX <= 511, "LMDB's longest key");

typedef struct {
    adr_index_t index; /* first */
    char *path;
    MDB_env *environment;
    MDB_dbi records, meta, tree;
    MDB_txn *reader; /* reset between gets */
    MDB_txn *writer;
    pthread_rwlock_t remap; /* written while the map moves, read while anybody reads from it */
    uint64_t next_node;
    bool grow;
} s_index_t;

/* A position in one node. */
typedef struct {
    MDB_cursor *cursor;
    uint8_t header[S_HEADER_MAX];
    size_t header_size;
    MDB_val key, value;
    int error;    /* of the last move */
    bool pending; /* key and value are still to be given */
} s_level_t;

struct adr_index_cursor {
    MDB_txn *transaction;
    int depth;
    s_level_t level[S_DEPTH];
    uint8_t key[S_DEPTH * S_PART + 1];
};

static int
s_errno (int error)
{
    return error == 0 ? 0 : error == MDB_NOTFOUND ? ENOENT : error > 0 ? error : EIO;
}

/* --- rows and keys as bytes -------------------------------------------------------------------------------- */

static uint32_t
s_checksum (const MDB_val *key, const uint8_t *value, size_t size)
{
    return adr_crc32c (adr_crc32c (0, key->mv_data, key->mv_size), value + 4, size - 4);
}

static void
s_row_encode (const MDB_val *key, const adr_index_row_t *row, uint8_t at[S_ROW_SIZE])
{
    at[4] = S_KIND_ROW;
    at[5] = row->deleted;
    adr_put_u32 (at + 6, row->version.epoch);
    adr_put_u64 (at + 10, row->version.term);
    adr_put_u64 (at + 18, row->version.index);
    adr_put_u64 (at + 26, row->place.segment);
    adr_put_u64 (at + 34, row->place.offset);
    adr_put_u32 (at + 42, row->place.size);
    adr_put_u16 (at + 46, row->place.op);
    adr_put_u32 (at + 48, row->value_size);
    memcpy (at + 52, row->digest, sizeof row->digest);
    adr_put_u64 (at + 68, row->time_ms);
    adr_put_u32 (at, s_checksum (key, at, S_ROW_SIZE));
}

/* True if the value is sound and of that kind and size [STORE-10]. */
static bool
s_is_sound (const MDB_val *key, const MDB_val *value, uint8_t kind, size_t size)
{
    const uint8_t *at = value->mv_data;
    return value->mv_size == size && at[4] == kind && adr_get_u32 (at) == s_checksum (key, at, size);
}

static bool
s_row_decode (const MDB_val *key, const MDB_val *value, adr_index_row_t *row)
{
    if (!s_is_sound (key, value, S_KIND_ROW, S_ROW_SIZE))
        return false;
    const uint8_t *at = value->mv_data;
    *row = (adr_index_row_t){
        .deleted = at[5] != 0,
        .version = { adr_get_u32 (at + 6), adr_get_u64 (at + 10), adr_get_u64 (at + 18) },
        .place = { adr_get_u64 (at + 26), adr_get_u64 (at + 34), adr_get_u32 (at + 42), adr_get_u16 (at + 46) },
        .value_size = adr_get_u32 (at + 48),
        .time_ms = adr_get_u64 (at + 68)
    };
    memcpy (row->digest, at + 52, sizeof row->digest);
    return true;
}

static size_t
s_root_header (uint8_t *header, uint8_t table)
{
    header[0] = 0;
    header[1] = table;
    return 2;
}

static size_t
s_child_header (uint8_t *header, uint64_t node)
{
    header[0] = 1;
    adr_put_be64 (header + 1, node);
    return 9;
}

/* Where a walk down to a key stands. */
typedef struct {
    uint8_t bytes[S_LMDB_KEY_MAX];
    size_t header_size;
    adr_bytes_t rest; /* of the key, from this node on */
    MDB_val key;      /* the LMDB key of the rest, or of the marker on its way */
} s_walk_t;

static void
s_walk_key (s_walk_t *walk)
{
    size_t part = walk->rest.size > S_PART ? S_PART : walk->rest.size;
    if (part)
        memcpy (walk->bytes + walk->header_size, walk->rest.data, part);
    if (walk->rest.size > S_PART)
        walk->bytes[walk->header_size + part++] = 0;
    walk->key = (MDB_val){ walk->header_size + part, walk->bytes };
}

static void
s_walk_begin (s_walk_t *walk, uint8_t table, adr_bytes_t key)
{
    walk->header_size = s_root_header (walk->bytes, table);
    walk->rest = key;
    s_walk_key (walk);
}

static void
s_walk_down (s_walk_t *walk, uint64_t node)
{
    walk->header_size = s_child_header (walk->bytes, node);
    walk->rest = adr_bytes (walk->rest.data + S_PART, walk->rest.size - S_PART);
    s_walk_key (walk);
}

/* Goes down to the node that holds the key itself. ENOENT, EIO or 0. */
static int
s_walk_to_end (const s_index_t *self, MDB_txn *transaction, s_walk_t *walk)
{
    while (walk->rest.size > S_PART) {
        MDB_val value;
        int error = mdb_get (transaction, self->records, &walk->key, &value);
        if (error)
            return s_errno (error);
        if (!s_is_sound (&walk->key, &value, S_KIND_MARKER, S_MARKER_SIZE))
            return EIO;
        s_walk_down (walk, adr_get_u64 ((const uint8_t *) value.mv_data + 5));
    }
    return 0;
}

/* --- the file ---------------------------------------------------------------------------------------------- */

/* Removes LMDB's table of readers, which says nothing once the process that wrote it is gone. */
static int
s_unlink_lock (const char *path)
{
    char lock[PATH_MAX];
    if ((size_t) snprintf (lock, sizeof lock, "%s-lock", path) >= sizeof lock)
        return ENAMETOOLONG;
    return unlink (lock) == 0 || errno == ENOENT ? 0 : errno;
}

/* LMDB believes a file's own word about its size, and a page behind its end would be a fatal signal. */
static bool
s_is_whole (MDB_env *environment, const char *path)
{
    MDB_envinfo info;
    MDB_stat pages;
    struct stat status;
    return mdb_env_info (environment, &info) == 0 && mdb_env_stat (environment, &pages) == 0
        && stat (path, &status) == 0 && (uint64_t) status.st_size / pages.ms_psize > info.me_last_pgno;
}

static int
s_open (s_index_t *self, const char *path)
{
    MDB_txn *transaction = NULL;
    int dead, error = mdb_env_create (&self->environment);
    if (error)
        return error;
    error = mdb_env_set_maxdbs (self->environment, 3);
    if (!error)
        error = mdb_env_set_mapsize (self->environment, S_MAP_FIRST);
    if (!error)
        error = mdb_env_open (self->environment, path, S_FLAGS, 0600);
    if (!error && !s_is_whole (self->environment, path))
        error = MDB_CORRUPTED;
    if (!error)
        error = mdb_reader_check (self->environment, &dead);
    if (!error)
        error = mdb_txn_begin (self->environment, NULL, 0, &transaction);
    if (!error)
        error = mdb_dbi_open (transaction, "records", MDB_CREATE, &self->records);
    if (!error)
        error = mdb_dbi_open (transaction, "meta", MDB_CREATE, &self->meta);
    if (!error)
        error = mdb_dbi_open (transaction, "tree", MDB_CREATE, &self->tree);
    if (!error) {
        error = mdb_txn_commit (transaction);
        transaction = NULL;
    }
    if (!error)
        error = mdb_txn_begin (self->environment, NULL, MDB_RDONLY, &self->reader);
    if (!error) {
        mdb_txn_reset (self->reader);
        return 0;
    }
    if (transaction)
        mdb_txn_abort (transaction);
    mdb_env_close (self->environment);
    self->environment = NULL;
    return error;
}

static void
s_close (s_index_t *self)
{
    if (!self->environment)
        return;
    if (self->writer)
        mdb_txn_abort (self->writer);
    mdb_txn_abort (self->reader);
    mdb_env_close (self->environment);
    self->writer = self->reader = NULL;
    self->environment = NULL;
}

/* Makes a fresh file aside, with its first commit, and renames it: cut off earlier, it might never open again. */
static int
s_make (s_index_t *self)
{
    char made[PATH_MAX];
    if ((size_t) snprintf (made, sizeof made, "%s.new", self->path) >= sizeof made)
        return ENAMETOOLONG;
    if (unlink (made) != 0 && errno != ENOENT)
        return errno;
    int error = s_unlink_lock (made);
    if (!error)
        error = s_open (self, made);
    if (error)
        return s_errno (error);
    error = mdb_env_sync (self->environment, 1);
    s_close (self);
    if (error || (error = s_unlink_lock (made)) != 0 || (error = s_unlink_lock (self->path)) != 0)
        return s_errno (error);
    if (rename (made, self->path) != 0)
        return errno;
    if ((error = adr_folder_sync_of (self->path)) != 0)
        return error;
    return s_errno (s_open (self, self->path));
}

/* One old index is kept for whoever wants to look: it can always be rebuilt from the journal. */
static int
s_set_aside (const s_index_t *self)
{
    char aside[PATH_MAX];
    if ((size_t) snprintf (aside, sizeof aside, "%s.aside", self->path) >= sizeof aside)
        return ENAMETOOLONG;
    if (rename (self->path, aside) != 0)
        return errno;
    return adr_folder_sync_of (self->path);
}

/* --- reading ----------------------------------------------------------------------------------------------- */

static int
s_row_of (const s_index_t *self, MDB_txn *transaction, uint8_t table, adr_bytes_t key, adr_index_row_t *row)
{
    s_walk_t walk;
    MDB_val value;
    s_walk_begin (&walk, table, key);
    int error = s_walk_to_end (self, transaction, &walk);
    if (!error)
        error = s_errno (mdb_get (transaction, self->records, &walk.key, &value));
    return !error && !s_row_decode (&walk.key, &value, row) ? EIO : error;
}

/* Of `meta` and `tree`: u32 checksum over name and value, value. */
static int
s_small_of (const MDB_val *name, const MDB_val *found, adr_bytes_t *value)
{
    const uint8_t *at = found->mv_data;
    if (found->mv_size < 4 || adr_get_u32 (at) != s_checksum (name, at, found->mv_size))
        return EIO;
    *value = adr_bytes (at + 4, found->mv_size - 4);
    return 0;
}

static int
s_meta_of (const s_index_t *self, MDB_txn *transaction, const char *name, void *value, size_t room, size_t *size)
{
    MDB_val key = { strlen (name), (void *) name }, found;
    adr_bytes_t bytes = { 0 };
    int error = s_errno (mdb_get (transaction, self->meta, &key, &found));
    if (!error)
        error = s_small_of (&key, &found, &bytes);
    if (!error) {
        *size = bytes.size;
        memcpy (value, bytes.data, bytes.size < room ? bytes.size : room);
    }
    return error;
}

static int
s_reader_begin (s_index_t *self)
{
    pthread_rwlock_rdlock (&self->remap);
    int error = s_errno (mdb_txn_renew (self->reader));
    if (error)
        pthread_rwlock_unlock (&self->remap);
    return error;
}

static void
s_reader_end (s_index_t *self)
{
    mdb_txn_reset (self->reader);
    pthread_rwlock_unlock (&self->remap);
}

static int
s_get (adr_index_t *index, uint8_t table, adr_bytes_t key, adr_index_row_t *row)
{
    s_index_t *self = (s_index_t *) index;
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
    s_index_t *self = (s_index_t *) index;
    int error = s_reader_begin (self);
    if (error)
        return error;
    error = s_meta_of (self, self->reader, name, value, room, size);
    s_reader_end (self);
    return error;
}

/* --- views ------------------------------------------------------------------------------------------------- */

struct adr_index_view {
    s_index_t *index;
    MDB_txn *transaction;
    MDB_cursor *cursor; /* over the tree; NULL: not opened yet */
};

static int
s_view (adr_index_t *index, adr_index_view_t **view_pointer)
{
    s_index_t *self = (s_index_t *) index;
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
    return s_errno (error);
}

static void
s_view_close (adr_index_view_t **view_pointer)
{
    adr_index_view_t *view = *view_pointer;
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
    return key.size > ADR_KEY_MAX ? ENOENT : s_row_of (view->index, view->transaction, table, key, row);
}

static int
s_view_meta (adr_index_view_t *view, const char *name, void *value, size_t room, size_t *size)
{
    return s_meta_of (view->index, view->transaction, name, value, room, size);
}

static int
s_view_tree (adr_index_view_t *view, adr_bytes_t name, adr_bytes_t *value)
{
    MDB_val key = { name.size, (void *) name.data }, found;
    int error = mdb_get (view->transaction, view->index->tree, &key, &found);
    return error ? s_errno (error) : s_small_of (&key, &found, value);
}

static int
s_view_next (adr_index_view_t *view, adr_bytes_t after, adr_bytes_t *name, adr_bytes_t *value)
{
    MDB_val key = { after.size, (void *) after.data }, found;
    int error = view->cursor ? 0 : mdb_cursor_open (view->transaction, view->index->tree, &view->cursor);
    if (!error)
        error = mdb_cursor_get (view->cursor, &key, &found, MDB_SET_RANGE);
    if (!error && key.mv_size == after.size && memcmp (key.mv_data, after.data, after.size) == 0)
        error = mdb_cursor_get (view->cursor, &key, &found, MDB_NEXT);
    if (error)
        return s_errno (error);
    *name = adr_bytes (key.mv_data, key.mv_size);
    return s_small_of (&key, &found, value);
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
s_push (s_index_t *self, adr_index_cursor_t *cursor, const s_walk_t *walk)
{
    if (cursor->depth == S_DEPTH)
        return EIO;
    s_level_t *level = &cursor->level[cursor->depth];
    int error = mdb_cursor_open (cursor->transaction, self->records, &level->cursor);
    if (error)
        return s_errno (error);
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
s_descend (s_index_t *self, adr_index_cursor_t *cursor, adr_bytes_t rest)
{
    s_level_t *level = &cursor->level[cursor->depth - 1];
    if (!s_is_sound (&level->key, &level->value, S_KIND_MARKER, S_MARKER_SIZE))
        return EIO;
    memcpy (cursor->key + (size_t) (cursor->depth - 1) * S_PART,
            (const uint8_t *) level->key.mv_data + level->header_size, S_PART);
    level->pending = false;
    s_walk_t walk;
    walk.header_size = s_child_header (walk.bytes, adr_get_u64 ((const uint8_t *) level->value.mv_data + 5));
    walk.rest = rest;
    s_walk_key (&walk);
    return s_push (self, cursor, &walk);
}

static int
s_seek_down (s_index_t *self, adr_index_cursor_t *cursor, uint8_t table, adr_bytes_t from)
{
    s_walk_t walk;
    s_walk_begin (&walk, table, from);
    int error = s_push (self, cursor, &walk);
    while (!error && from.size > S_PART) {
        const s_level_t *level = &cursor->level[cursor->depth - 1];
        if (level->error || level->key.mv_size != walk.key.mv_size
            || memcmp (level->key.mv_data, walk.key.mv_data, walk.key.mv_size) != 0)
            break; /* no marker on the way: it stands at the first key behind `from` */
        from = adr_bytes (from.data + S_PART, from.size - S_PART);
        error = s_descend (self, cursor, from);
        s_walk_down (&walk, adr_get_u64 ((const uint8_t *) level->value.mv_data + 5));
    }
    return error;
}

static void
s_cursor_close (adr_index_t *index, adr_index_cursor_t **cursor_pointer)
{
    s_index_t *self = (s_index_t *) index;
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
    s_index_t *self = (s_index_t *) index;
    *cursor_pointer = NULL;
    if (from.size > ADR_KEY_MAX)
        from.size = ADR_KEY_MAX; /* no key is longer, so those behind it are behind its start too, or equal */
    adr_index_cursor_t *cursor = adr_alloc (sizeof *cursor);
    pthread_rwlock_rdlock (&self->remap);
    int error = mdb_txn_begin (self->environment, NULL, MDB_RDONLY, &cursor->transaction);
    if (error) {
        pthread_rwlock_unlock (&self->remap);
        free (cursor);
        return s_errno (error);
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
    s_index_t *self = (s_index_t *) index;
    while (cursor->depth > 0) {
        s_level_t *level = &cursor->level[cursor->depth - 1];
        if (!level->pending)
            s_level_move (level, MDB_NEXT);
        if (level->error == MDB_NOTFOUND || (level->error == 0 && !s_in_node (level))) {
            s_pop (cursor);
            continue;
        }
        if (level->error)
            return s_errno (level->error);
        size_t part = level->key.mv_size - level->header_size;
        if (part > S_PART) {
            int error = s_descend (self, cursor, adr_bytes (NULL, 0));
            if (error)
                return error;
            continue;
        }
        level->pending = false;
        size_t before = (size_t) (cursor->depth - 1) * S_PART;
        memcpy (cursor->key + before, (const uint8_t *) level->key.mv_data + level->header_size, part);
        *key = adr_bytes (cursor->key, before + part);
        return s_row_decode (&level->key, &level->value, row) ? 0 : EIO;
    }
    return ENOENT;
}

/* --- writing ----------------------------------------------------------------------------------------------- */

/* A transaction copies at most every page that there is, once, and adds what is new. */
static int
s_make_room (s_index_t *self)
{
    MDB_envinfo info;
    MDB_stat pages;
    int error = mdb_env_info (self->environment, &info);
    if (!error)
        error = mdb_env_stat (self->environment, &pages);
    if (error)
        return s_errno (error);
    uint64_t used = (uint64_t) info.me_last_pgno * pages.ms_psize;
    if (!self->grow && info.me_mapsize >= 2 * used + S_MAP_FIRST / 2)
        return 0;
    uint64_t size = 4 * used + S_MAP_FIRST;
    if (size < 2 * info.me_mapsize)
        size = 2 * info.me_mapsize;
    pthread_rwlock_wrlock (&self->remap);
    error = mdb_env_set_mapsize (self->environment, (size_t) size);
    pthread_rwlock_unlock (&self->remap);
    self->grow = error != 0;
    return s_errno (error);
}

/* A full map is grown when the caller tries again: EAGAIN. */
static int
s_write_errno (s_index_t *self, int error)
{
    if (error == MDB_MAP_FULL)
        self->grow = true;
    return error == MDB_MAP_FULL ? EAGAIN : s_errno (error);
}

static int
s_begin (adr_index_t *index)
{
    s_index_t *self = (s_index_t *) index;
    adr_assert (!self->writer);
    int error = s_make_room (self);
    if (error)
        return error;
    error = mdb_txn_begin (self->environment, NULL, 0, &self->writer);
    if (error) {
        self->writer = NULL;
        return s_errno (error);
    }
    MDB_val key = { sizeof S_NEXT_NODE - 1, (void *) S_NEXT_NODE }, value;
    error = mdb_get (self->writer, self->meta, &key, &value);
    const uint8_t *at = error ? NULL : value.mv_data;
    if (!error && (value.mv_size != 12 || adr_get_u32 (at) != s_checksum (&key, at, value.mv_size)))
        error = EIO;
    self->next_node = error ? 1 : adr_get_u64 (at + 4);
    return error == MDB_NOTFOUND ? 0 : s_errno (error);
}

static int
s_put_small (s_index_t *self, MDB_dbi space, adr_bytes_t name, adr_bytes_t value)
{
    uint8_t stored[4 + ADR_TREE_VALUE_MAX];
    adr_assert (self->writer && value.size <= ADR_TREE_VALUE_MAX);
    MDB_val key = { name.size, (void *) name.data }, data = { 4 + value.size, stored };
    memcpy (stored + 4, value.data, value.size);
    adr_put_u32 (stored, s_checksum (&key, stored, data.mv_size));
    return s_write_errno (self, mdb_put (self->writer, space, &key, &data, 0));
}

static int
s_put_meta (adr_index_t *index, const char *name, adr_bytes_t value)
{
    s_index_t *self = (s_index_t *) index;
    return s_put_small (self, self->meta, adr_bytes (name, strlen (name)), value);
}

static int
s_put_tree (adr_index_t *index, adr_bytes_t name, adr_bytes_t value)
{
    s_index_t *self = (s_index_t *) index;
    adr_assert (name.size <= ADR_TREE_NAME_MAX);
    return s_put_small (self, self->tree, name, value);
}

static int
s_remove_tree (adr_index_t *index, adr_bytes_t name)
{
    s_index_t *self = (s_index_t *) index;
    MDB_val key = { name.size, (void *) name.data };
    int error = mdb_del (self->writer, self->tree, &key, NULL);
    return error == MDB_NOTFOUND ? 0 : s_write_errno (self, error);
}

/* The child that the walk's marker names; it is made if it is not there. */
static int
s_child (s_index_t *self, const s_walk_t *walk, uint64_t *child)
{
    MDB_val key = walk->key, value;
    int error = mdb_get (self->writer, self->records, &key, &value);
    if (error == 0) {
        if (!s_is_sound (&key, &value, S_KIND_MARKER, S_MARKER_SIZE))
            return EIO;
        *child = adr_get_u64 ((const uint8_t *) value.mv_data + 5);
        return 0;
    }
    if (error != MDB_NOTFOUND)
        return s_errno (error);
    uint8_t marker[S_MARKER_SIZE], next[8];
    *child = self->next_node++;
    marker[4] = S_KIND_MARKER;
    adr_put_u64 (marker + 5, *child);
    adr_put_u32 (marker, s_checksum (&key, marker, sizeof marker));
    value = (MDB_val){ sizeof marker, marker };
    error = s_write_errno (self, mdb_put (self->writer, self->records, &key, &value, 0));
    adr_put_u64 (next, self->next_node);
    return error ? error : s_put_meta (&self->index, S_NEXT_NODE, adr_bytes (next, sizeof next));
}

static int
s_put (adr_index_t *index, uint8_t table, adr_bytes_t key, const adr_index_row_t *row)
{
    s_index_t *self = (s_index_t *) index;
    adr_assert (self->writer && key.size <= ADR_KEY_MAX);
    s_walk_t walk;
    s_walk_begin (&walk, table, key);
    while (walk.rest.size > S_PART) {
        uint64_t child = 0;
        int error = s_child (self, &walk, &child);
        if (error)
            return error;
        s_walk_down (&walk, child);
    }
    uint8_t bytes[S_ROW_SIZE];
    s_row_encode (&walk.key, row, bytes);
    MDB_val value = { sizeof bytes, bytes };
    return s_write_errno (self, mdb_put (self->writer, self->records, &walk.key, &value, 0));
}

static int
s_remove (adr_index_t *index, uint8_t table, adr_bytes_t key)
{
    s_index_t *self = (s_index_t *) index;
    s_walk_t walk;
    adr_assert (self->writer && key.size <= ADR_KEY_MAX);
    s_walk_begin (&walk, table, key);
    int error = s_walk_to_end (self, self->writer, &walk);
    return error ? error : s_write_errno (self, mdb_del (self->writer, self->records, &walk.key, NULL));
}

static int
s_commit (adr_index_t *index)
{
    s_index_t *self = (s_index_t *) index;
    adr_assert (self->writer);
    MDB_txn *writer = self->writer;
    self->writer = NULL;
    return s_write_errno (self, mdb_txn_commit (writer));
}

static void
s_abort (adr_index_t *index)
{
    s_index_t *self = (s_index_t *) index;
    if (self->writer)
        mdb_txn_abort (self->writer);
    self->writer = NULL;
}

static int
s_reset (adr_index_t *index)
{
    s_index_t *self = (s_index_t *) index;
    adr_assert (!self->writer);
    s_close (self);
    int error = s_set_aside (self);
    return error ? error : s_make (self);
}

/* --- life -------------------------------------------------------------------------------------------------- */

static int
s_open_or_make (s_index_t *self, char *why, size_t why_size)
{
    struct stat status;
    if (stat (self->path, &status) != 0)
        return errno == ENOENT ? s_make (self) : errno;
    int error = status.st_size == 0 ? MDB_INVALID : s_open (self, self->path);
    if (!error)
        return 0;
    snprintf (why, why_size, "%s cannot be opened (%s) -> set aside, to be rebuilt from the journal", self->path,
              mdb_strerror (error));
    error = s_set_aside (self);
    return error ? error : s_make (self);
}

adr_index_t *
adr_index_lmdb_create (const char *path, char *why, size_t why_size)
{
    s_index_t *self = adr_alloc (sizeof *self);
    self->index = (adr_index_t){ s_get, s_seek, s_next, s_cursor_close, s_begin, s_put, s_remove, s_put_meta,
                                 s_commit, s_abort, s_get_meta, s_put_tree, s_remove_tree, s_view, s_view_row,
                                 s_view_meta, s_view_tree, s_view_next, s_view_close, s_reset };
    self->path = strdup (path);
    adr_assert (self->path);
    pthread_rwlock_init (&self->remap, NULL);
    why[0] = '\0';
    int error = s_open_or_make (self, why, why_size);
    adr_index_t *index = &self->index;
    if (error) {
        snprintf (why, why_size, "%s cannot be made: %s", path, strerror (error));
        adr_index_lmdb_destroy (&index);
    }
    return index;
}

void
adr_index_lmdb_destroy (adr_index_t **index)
{
    s_index_t *self = (s_index_t *) *index;
    if (!self)
        return;
    s_close (self);
    pthread_rwlock_destroy (&self->remap);
    free (self->path);
    free (self);
    *index = NULL;
}
