/* SPDX-License-Identifier: MPL-2.0 */
/* That an index's file is damaged in its structure, noted beside it, so that the next start makes it anew.
 *
 * Owns: two files beside the index, whose being there is all that they say. Makes durable: them, before anybody goes on.
 * Assumes: what is called in a handler of signals calls nothing but open, fsync and close. Implements STORE-10.
 *
 *     an error of LMDB about a page; a check that fails; a fatal signal of a thread inside that index ----> .broken
 *     a fatal signal anywhere else: what LMDB wrote may have been a damaged page's doing ------------------> .check */

#include "store/index_lmdb.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#define S_OPEN_MAX 64 /* indexes of one process; more go without a `.check` */

_Thread_local adr_index_mark_t *volatile adr_index_inside;

static _Atomic (adr_index_mark_t *) s_open[S_OPEN_MAX];

/* --- life ------------------------------------------------------------------------------------------------------- */

static bool
s_join (char joined[PATH_MAX], const char *path, const char *end)
{
    return (size_t) snprintf (joined, PATH_MAX, "%s%s", path, end) < PATH_MAX;
}

bool
adr_index_mark_init (adr_index_mark_t *self, const char *path)
{
    if (!s_join (self->broken, path, ".broken") || !s_join (self->check, path, ".check")
        || !s_join (self->folder, path, ""))
        return false;
    char *slash = strrchr (self->folder, '/');
    strcpy (slash ? slash + 1 : self->folder, ".");
    for (size_t i = 0; i < S_OPEN_MAX; i++) {
        adr_index_mark_t *none = NULL;
        if (atomic_compare_exchange_strong (&s_open[i], &none, self))
            break;
    }
    return true;
}

void
adr_index_mark_free (adr_index_mark_t *self)
{
    for (size_t i = 0; i < S_OPEN_MAX; i++) {
        adr_index_mark_t *own = self;
        (void) atomic_compare_exchange_strong (&s_open[i], &own, NULL);
    }
}

/* --- the files -------------------------------------------------------------------------------------------------- */

static void
s_sync_folder (const adr_index_mark_t *self)
{
    int folder = open (self->folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (folder < 0)
        return;
    (void) fsync (folder);
    (void) close (folder);
}

/* Whoever cannot write it finds the same damage again. */
static void
s_write (const adr_index_mark_t *self, const char *path)
{
    int error = errno, file = open (path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    if (file >= 0) {
        (void) fsync (file);
        (void) close (file);
        s_sync_folder (self);
    }
    errno = error;
}

adr_index_mark_kind_t
adr_index_mark_read (const adr_index_mark_t *self)
{
    if (access (self->broken, F_OK) == 0)
        return ADR_MARK_BROKEN;
    return access (self->check, F_OK) == 0 ? ADR_MARK_CHECK : ADR_MARK_NONE;
}

void
adr_index_mark_broken (adr_index_mark_t *self)
{
    if (!atomic_exchange (&self->is_broken, true))
        s_write (self, self->broken);
}

int
adr_index_mark_clear (adr_index_mark_t *self)
{
    atomic_store (&self->is_broken, false);
    if (adr_index_mark_read (self) == ADR_MARK_NONE)
        return 0;
    if ((unlink (self->check) != 0 && errno != ENOENT) || (unlink (self->broken) != 0 && errno != ENOENT))
        return errno;
    s_sync_folder (self);
    return 0;
}

/* --- what happens ----------------------------------------------------------------------------------------------- */

void
adr_index_lmdb_on_fault (void)
{
    if (adr_index_inside) { /* written even if another thread is about to: that one may not get so far */
        s_write (adr_index_inside, adr_index_inside->broken);
        return;
    }
    for (size_t i = 0; i < S_OPEN_MAX; i++) {
        const adr_index_mark_t *mark = atomic_load (&s_open[i]);
        if (mark)
            s_write (mark, mark->check);
    }
}

/* What says that there is no room, or that a caller waits for too much, says nothing about the pages. */
static bool
s_is_of_structure (int error)
{
    return error == EIO
        || (error < 0 && error != MDB_MAP_FULL && error != MDB_READERS_FULL && error != MDB_TLS_FULL
            && error != MDB_DBS_FULL && error != MDB_TXN_FULL && error != MDB_MAP_RESIZED && error != MDB_KEYEXIST);
}

int
adr_index_errno (int error)
{
    if (error == 0 || error == MDB_NOTFOUND)
        return error ? ENOENT : 0;
    if (s_is_of_structure (error) && adr_index_inside)
        adr_index_mark_broken (adr_index_inside);
    return error > 0 ? error : EIO;
}
