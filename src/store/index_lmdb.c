/* SPDX-License-Identifier: MPL-2.0 */
/* The index as an LMDB file: (table, key) -> where the record stands in the journal. Two more spaces of the file, `meta` and
 * `tree`, hold small values by name.
 *
 * Owns: the file. Makes durable: one transaction a flush. Assumes: one transaction at a time. Implements STORE-10 (damage of
 * the file's structure is never written over: such an index is made anew) and DESIGN 6's making of new files. */

#include "store/folder.h"
#include "store/index_lmdb.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#define S_FLAGS (MDB_NOSUBDIR | MDB_NOTLS | MDB_NORDAHEAD)
#define S_MAP_FIRST (UINT64_C (1) << 30) /* of addresses, not of memory or disk */
#define S_NEXT_NODE "next-node"
/* A start reads a file of up to this size, in about as many seconds as it has GiB; a larger one when there is a reason. */
#define S_CHECKED_MAX (INT64_C (1) << 30)

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

static int
s_open (adr_index_lmdb_t *self, const char *path)
{
    ADR_INDEX_INSIDE (&self->mark);
    MDB_txn *transaction = NULL;
    int dead, error = mdb_env_create (&self->environment);
    if (error)
        return error;
    error = mdb_env_set_maxdbs (self->environment, 3);
    if (!error)
        error = mdb_env_set_mapsize (self->environment, S_MAP_FIRST);
    if (!error)
        error = mdb_env_open (self->environment, path, S_FLAGS, 0600);
    if (!error && !adr_lmdb_is_whole (self->environment, path))
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
s_close (adr_index_lmdb_t *self)
{
    ADR_INDEX_INSIDE (&self->mark);
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
s_make (adr_index_lmdb_t *self)
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
        return adr_index_errno (error);
    error = mdb_env_sync (self->environment, 1);
    s_close (self);
    if (error || (error = s_unlink_lock (made)) != 0 || (error = s_unlink_lock (self->path)) != 0)
        return adr_index_errno (error);
    if (rename (made, self->path) != 0)
        return errno;
    if ((error = adr_folder_sync_of (self->path)) != 0)
        return error;
    return adr_index_errno (s_open (self, self->path));
}

/* One old index is kept for whoever wants to look: it can always be rebuilt from the journal. */
static int
s_set_aside (const adr_index_lmdb_t *self)
{
    char aside[PATH_MAX];
    if ((size_t) snprintf (aside, sizeof aside, "%s.aside", self->path) >= sizeof aside)
        return ENAMETOOLONG;
    if (rename (self->path, aside) != 0)
        return errno;
    return adr_folder_sync_of (self->path);
}

/* --- writing ----------------------------------------------------------------------------------------------- */

/* A transaction copies at most every page that there is, once, and adds what is new. */
static int
s_make_room (adr_index_lmdb_t *self)
{
    MDB_envinfo info;
    MDB_stat pages;
    int error = mdb_env_info (self->environment, &info);
    if (!error)
        error = mdb_env_stat (self->environment, &pages);
    if (error)
        return adr_index_errno (error);
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
    return adr_index_errno (error);
}

/* A full map is grown when the caller tries again: EAGAIN. */
static int
s_write_errno (adr_index_lmdb_t *self, int error)
{
    if (error == MDB_MAP_FULL)
        self->grow = true;
    return error == MDB_MAP_FULL ? EAGAIN : adr_index_errno (error);
}

static int
s_begin (adr_index_t *index)
{
    adr_index_lmdb_t *self = (adr_index_lmdb_t *) index;
    ADR_INDEX_INSIDE (&self->mark);
    adr_assert (!self->writer);
    int error = s_make_room (self);
    if (error)
        return error;
    error = mdb_txn_begin (self->environment, NULL, 0, &self->writer);
    if (error) {
        self->writer = NULL;
        return adr_index_errno (error);
    }
    MDB_val key = { sizeof S_NEXT_NODE - 1, (void *) S_NEXT_NODE }, value;
    error = mdb_get (self->writer, self->meta, &key, &value);
    const uint8_t *at = error ? NULL : value.mv_data;
    if (!error && (value.mv_size != 12 || adr_get_u32 (at) != adr_index_checksum (&key, at, value.mv_size)))
        error = EIO;
    self->next_node = error ? 1 : adr_get_u64 (at + 4);
    return error == MDB_NOTFOUND ? 0 : adr_index_errno (error);
}

static int
s_put_small (adr_index_lmdb_t *self, MDB_dbi space, adr_bytes_t name, adr_bytes_t value)
{
    ADR_INDEX_INSIDE (&self->mark);
    uint8_t stored[4 + ADR_TREE_VALUE_MAX];
    adr_assert (self->writer && value.size <= ADR_TREE_VALUE_MAX);
    MDB_val key = { name.size, (void *) name.data }, data = { 4 + value.size, stored };
    memcpy (stored + 4, value.data, value.size);
    adr_put_u32 (stored, adr_index_checksum (&key, stored, data.mv_size));
    return s_write_errno (self, mdb_put (self->writer, space, &key, &data, 0));
}

static int
s_put_meta (adr_index_t *index, const char *name, adr_bytes_t value)
{
    adr_index_lmdb_t *self = (adr_index_lmdb_t *) index;
    return s_put_small (self, self->meta, adr_bytes (name, strlen (name)), value);
}

static int
s_put_tree (adr_index_t *index, adr_bytes_t name, adr_bytes_t value)
{
    adr_index_lmdb_t *self = (adr_index_lmdb_t *) index;
    adr_assert (name.size <= ADR_TREE_NAME_MAX);
    return s_put_small (self, self->tree, name, value);
}

static int
s_remove_tree (adr_index_t *index, adr_bytes_t name)
{
    adr_index_lmdb_t *self = (adr_index_lmdb_t *) index;
    ADR_INDEX_INSIDE (&self->mark);
    MDB_val key = { name.size, (void *) name.data };
    int error = mdb_del (self->writer, self->tree, &key, NULL);
    return error == MDB_NOTFOUND ? 0 : s_write_errno (self, error);
}

/* The child that the walk's marker names; it is made if it is not there. */
static int
s_child (adr_index_lmdb_t *self, const adr_index_walk_t *walk, uint64_t *child)
{
    MDB_val key = walk->key, value;
    int error = mdb_get (self->writer, self->records, &key, &value);
    if (error == 0) {
        if (!adr_index_value_is_sound (&key, &value, ADR_INDEX_KIND_MARKER, ADR_INDEX_MARKER_SIZE))
            return EIO;
        *child = adr_get_u64 ((const uint8_t *) value.mv_data + 5);
        return 0;
    }
    if (error != MDB_NOTFOUND)
        return adr_index_errno (error);
    uint8_t marker[ADR_INDEX_MARKER_SIZE], next[8];
    *child = self->next_node++;
    marker[4] = ADR_INDEX_KIND_MARKER;
    adr_put_u64 (marker + 5, *child);
    adr_put_u32 (marker, adr_index_checksum (&key, marker, sizeof marker));
    value = (MDB_val){ sizeof marker, marker };
    error = s_write_errno (self, mdb_put (self->writer, self->records, &key, &value, 0));
    adr_put_u64 (next, self->next_node);
    return error ? error : s_put_meta (&self->index, S_NEXT_NODE, adr_bytes (next, sizeof next));
}

static int
s_put (adr_index_t *index, uint8_t table, adr_bytes_t key, const adr_index_row_t *row)
{
    adr_index_lmdb_t *self = (adr_index_lmdb_t *) index;
    ADR_INDEX_INSIDE (&self->mark);
    adr_assert (self->writer && key.size <= ADR_KEY_MAX);
    adr_index_walk_t walk;
    adr_index_walk_begin (&walk, table, key);
    while (walk.rest.size > ADR_INDEX_PART) {
        uint64_t child = 0;
        int error = s_child (self, &walk, &child);
        if (error)
            return error;
        adr_index_walk_down (&walk, child);
    }
    uint8_t bytes[ADR_INDEX_ROW_SIZE];
    adr_index_row_encode (&walk.key, row, bytes);
    MDB_val value = { sizeof bytes, bytes };
    return s_write_errno (self, mdb_put (self->writer, self->records, &walk.key, &value, 0));
}

static int
s_remove (adr_index_t *index, uint8_t table, adr_bytes_t key)
{
    adr_index_lmdb_t *self = (adr_index_lmdb_t *) index;
    ADR_INDEX_INSIDE (&self->mark);
    adr_index_walk_t walk;
    adr_assert (self->writer && key.size <= ADR_KEY_MAX);
    adr_index_walk_begin (&walk, table, key);
    int error = adr_index_walk_to_end (self, self->writer, &walk);
    return error ? error : s_write_errno (self, mdb_del (self->writer, self->records, &walk.key, NULL));
}

static int
s_commit (adr_index_t *index)
{
    adr_index_lmdb_t *self = (adr_index_lmdb_t *) index;
    ADR_INDEX_INSIDE (&self->mark);
    adr_assert (self->writer);
    MDB_txn *writer = self->writer;
    self->writer = NULL;
    return s_write_errno (self, mdb_txn_commit (writer));
}

static void
s_abort (adr_index_t *index)
{
    adr_index_lmdb_t *self = (adr_index_lmdb_t *) index;
    ADR_INDEX_INSIDE (&self->mark);
    if (self->writer)
        mdb_txn_abort (self->writer);
    self->writer = NULL;
}

static int
s_reset (adr_index_t *index)
{
    adr_index_lmdb_t *self = (adr_index_lmdb_t *) index;
    ADR_INDEX_INSIDE (&self->mark);
    adr_assert (!self->writer);
    s_close (self);
    int error = s_set_aside (self);
    if (!error)
        error = s_make (self);
    return error ? error : adr_index_mark_clear (&self->mark);
}

/* --- damage ------------------------------------------------------------------------------------------------ */

static bool
s_is_broken (adr_index_t *index)
{
    return atomic_load (&((adr_index_lmdb_t *) index)->mark.is_broken);
}

static int
s_check (adr_index_t *index)
{
    adr_index_lmdb_t *self = (adr_index_lmdb_t *) index;
    adr_assert (!self->writer);
    if (!s_is_broken (index) && !adr_index_file_is_sound (self->path))
        adr_index_mark_broken (&self->mark);
    return s_is_broken (index) ? EIO : 0;
}

/* --- life -------------------------------------------------------------------------------------------------- */

/* [STORE-10] Why the file that is there is not to be used; NULL: it is, and is open now. LMDB is not let near pages that may
 * be damaged: it would write over others. */
static const char *
s_open_sound (adr_index_lmdb_t *self, off_t size)
{
    adr_index_mark_kind_t mark = adr_index_mark_read (&self->mark);
    if (mark == ADR_MARK_BROKEN)
        return "its pages were found to be damaged";
    if (size == 0)
        return "it is empty";
    if ((mark == ADR_MARK_CHECK || size <= S_CHECKED_MAX) && !adr_index_file_is_sound (self->path))
        return "its pages are damaged";
    int error = s_open (self, self->path);
    return error ? mdb_strerror (error) : NULL;
}

static int
s_open_or_make (adr_index_lmdb_t *self, char *why, size_t why_size)
{
    struct stat status;
    bool exists = stat (self->path, &status) == 0;
    if (!exists && errno != ENOENT)
        return errno;
    const char *wrong = exists ? s_open_sound (self, status.st_size) : NULL;
    int error = 0;
    if (wrong) {
        snprintf (why, why_size, "%s cannot be used (%s) -> set aside, to be rebuilt from the journal", self->path, wrong);
        error = s_set_aside (self);
    }
    if (!error && (wrong || !exists))
        error = s_make (self);
    return error ? error : adr_index_mark_clear (&self->mark);
}

adr_index_t *
adr_index_lmdb_create (const char *path, char *why, size_t why_size)
{
    adr_index_lmdb_t *self = adr_alloc (sizeof *self);
    self->index = (adr_index_t){ .begin = s_begin, .put = s_put, .remove = s_remove, .put_meta = s_put_meta,
                                 .commit = s_commit, .abort = s_abort, .put_tree = s_put_tree,
                                 .remove_tree = s_remove_tree, .reset = s_reset, .is_broken = s_is_broken,
                                 .check = s_check };
    adr_index_lmdb_read_init (&self->index);
    self->path = strdup (path);
    adr_assert (self->path);
    pthread_rwlock_init (&self->remap, NULL);
    why[0] = '\0';
    int error = adr_index_mark_init (&self->mark, path) ? s_open_or_make (self, why, why_size) : ENAMETOOLONG;
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
    adr_index_lmdb_t *self = (adr_index_lmdb_t *) *index;
    if (!self)
        return;
    s_close (self);
    adr_index_mark_free (&self->mark);
    pthread_rwlock_destroy (&self->remap);
    free (self->path);
    free (self);
    *index = NULL;
}
