/* SPDX-License-Identifier: MPL-2.0 */
/* The state environment: a small LMDB file of named values, each commit durable before it returns.
 *
 * Owns: the file. Makes durable: notes, votes, fences, promises. Assumes: one process; a mutex orders its threads.
 * Implements STORE-4: made aside and renamed as the last step, a checksum on each value, never silently made anew. */

#include "store/backend.h"
#include "store/crc32c.h"
#include "store/folder.h"
#include "store/index_lmdb.h"

#include <errno.h>
#include <lmdb.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#define S_MAP (4 * 1024 * 1024) /* some fifteen values, two of some KiB, and what commits leave behind */
#define S_RESERVE (128 * 1024)  /* free pages inside the file: a full disk does not stop votes [STORE-11] */
#define S_VALUE_MAX (20 * 1024) /* the terms below a log's start (store/internal.h), one for each of 1,024 masters */
#define S_FLAGS (MDB_NOSUBDIR | MDB_NOLOCK)

typedef struct {
    adr_state_t state; /* first */
    char *path;
    pthread_mutex_t mutex;
    MDB_env *environment; /* NULL: missing or unreadable */
    MDB_dbi values;
    bool unreadable;
} s_state_t;

static uint32_t
s_checksum (const char *name, const void *value, size_t size)
{
    return adr_crc32c (adr_crc32c (0, name, strlen (name) + 1), value, size);
}

static int
s_errno (int error)
{
    return error == 0 ? 0 : error > 0 ? error : EIO;
}

/* --- opening and making ------------------------------------------------------------------------------------ */

static int
s_open (const char *path, MDB_env **environment, MDB_dbi *values)
{
    MDB_txn *transaction;
    int error = mdb_env_create (environment);
    if (error)
        return error;
    error = mdb_env_set_mapsize (*environment, S_MAP);
    if (!error)
        error = mdb_env_open (*environment, path, S_FLAGS, 0600);
    if (!error && !adr_lmdb_is_whole (*environment, path))
        error = MDB_CORRUPTED;
    if (!error && (error = mdb_txn_begin (*environment, NULL, 0, &transaction)) == 0) {
        error = mdb_dbi_open (transaction, NULL, 0, values);
        if (error)
            mdb_txn_abort (transaction);
        else
            error = mdb_txn_commit (transaction);
    }
    if (error) {
        mdb_env_close (*environment);
        *environment = NULL;
    }
    return error;
}

static int
s_put_all (MDB_env *environment, MDB_dbi values, const adr_state_put_t *puts, size_t count)
{
    MDB_txn *transaction;
    int error = mdb_txn_begin (environment, NULL, 0, &transaction);
    if (error)
        return error;
    for (size_t i = 0; i < count && !error; i++) {
        uint8_t stored[4 + S_VALUE_MAX];
        adr_assert (puts[i].value.size <= S_VALUE_MAX);
        adr_put_u32 (stored, s_checksum (puts[i].name, puts[i].value.data, puts[i].value.size));
        if (puts[i].value.size)
            memcpy (stored + 4, puts[i].value.data, puts[i].value.size);
        MDB_val key = { strlen (puts[i].name), (void *) puts[i].name };
        MDB_val value = { 4 + puts[i].value.size, stored };
        error = mdb_put (transaction, values, &key, &value, 0);
    }
    if (error) {
        mdb_txn_abort (transaction);
        return error;
    }
    return mdb_txn_commit (transaction);
}

/* Writes a large value and takes it away again: its pages stay in the file, free. */
static int
s_make_reserve (MDB_env *environment, MDB_dbi values)
{
    MDB_txn *transaction;
    void *zeros = adr_alloc (S_RESERVE);
    MDB_val key = { 7, (void *) "reserve" }, value = { S_RESERVE, zeros };
    int error = mdb_txn_begin (environment, NULL, 0, &transaction);
    if (!error) {
        error = mdb_put (transaction, values, &key, &value, 0);
        if (error)
            mdb_txn_abort (transaction);
        else
            error = mdb_txn_commit (transaction);
    }
    if (!error && (error = mdb_txn_begin (environment, NULL, 0, &transaction)) == 0) {
        error = mdb_del (transaction, values, &key, NULL);
        if (error)
            mdb_txn_abort (transaction);
        else
            error = mdb_txn_commit (transaction);
    }
    free (zeros);
    return error;
}

/* A new LMDB file that loses power before its first commit may never open again: so it is made under another name,
 * with what it is to hold, and its rename is what makes the store exist [STORE-4]. */
static int
s_make (s_state_t *self, const adr_state_put_t *puts, size_t count)
{
    char made[PATH_MAX];
    if ((size_t) snprintf (made, sizeof made, "%s.new", self->path) >= sizeof made)
        return ENAMETOOLONG;
    if (unlink (made) != 0 && errno != ENOENT)
        return errno;
    MDB_env *environment;
    MDB_dbi values;
    int error = s_open (made, &environment, &values);
    if (error)
        return s_errno (error);
    error = s_make_reserve (environment, values);
    if (!error)
        error = s_put_all (environment, values, puts, count);
    if (!error)
        error = mdb_env_sync (environment, 1);
    mdb_env_close (environment);
    if (error)
        return s_errno (error);
    if (self->unreadable && (error = adr_folder_set_aside (self->path)) != 0)
        return error;
    if (rename (made, self->path) != 0)
        return errno;
    if ((error = adr_folder_sync_of (self->path)) != 0)
        return error;
    error = s_open (self->path, &self->environment, &self->values);
    self->unreadable = error != 0;
    return s_errno (error);
}

/* --- the interface ----------------------------------------------------------------------------------------- */

static int
s_get_locked (s_state_t *self, const char *name, void *value, size_t room)
{
    if (!self->environment)
        return self->unreadable ? -2 : -1;
    MDB_txn *transaction;
    if (mdb_txn_begin (self->environment, NULL, MDB_RDONLY, &transaction) != 0)
        return -2;
    MDB_val key = { strlen (name), (void *) name }, found;
    int error = mdb_get (transaction, self->values, &key, &found);
    int result = error == MDB_NOTFOUND ? -1 : -2;
    if (error == 0 && found.mv_size >= 4) {
        const uint8_t *stored = found.mv_data;
        size_t size = found.mv_size - 4;
        if (adr_get_u32 (stored) == s_checksum (name, stored + 4, size)) {
            memcpy (value, stored + 4, size < room ? size : room);
            result = (int) size;
        }
    }
    mdb_txn_abort (transaction);
    return result;
}

static int
s_get (adr_state_t *state, const char *name, void *value, size_t room)
{
    s_state_t *self = (s_state_t *) state;
    pthread_mutex_lock (&self->mutex);
    int result = s_get_locked (self, name, value, room);
    pthread_mutex_unlock (&self->mutex);
    return result;
}

static int
s_put (adr_state_t *state, const adr_state_put_t *puts, size_t count)
{
    s_state_t *self = (s_state_t *) state;
    pthread_mutex_lock (&self->mutex);
    int error = self->environment ? s_errno (s_put_all (self->environment, self->values, puts, count))
                                  : s_make (self, puts, count);
    pthread_mutex_unlock (&self->mutex);
    return error;
}

adr_state_t *
adr_state_lmdb_create (const char *path, char *why, size_t why_size)
{
    struct stat status;
    why[0] = '\0';
    bool exists = stat (path, &status) == 0;
    if (!exists && errno != ENOENT) {
        snprintf (why, why_size, "%s cannot be read: %s", path, strerror (errno));
        return NULL;
    }
    s_state_t *self = adr_alloc (sizeof *self);
    self->state = (adr_state_t){ s_get, s_put };
    self->path = strdup (path);
    adr_assert (self->path);
    pthread_mutex_init (&self->mutex, NULL);
    if (exists) {
        /* An empty file would be made into an empty environment: it is one that was lost. */
        int error = status.st_size == 0 ? MDB_INVALID : s_open (path, &self->environment, &self->values);
        self->unreadable = error != 0;
        if (error)
            snprintf (why, why_size, "%s cannot be opened: %s", path, mdb_strerror (error));
    }
    return &self->state;
}

void
adr_state_lmdb_destroy (adr_state_t **state)
{
    s_state_t *self = (s_state_t *) *state;
    if (!self)
        return;
    if (self->environment)
        mdb_env_close (self->environment);
    pthread_mutex_destroy (&self->mutex);
    free (self->path);
    free (self);
    *state = NULL;
}
