/* SPDX-License-Identifier: MPL-2.0 */
/* Segments as files of one folder, `%016x.seg`.
 *
 * Owns: the folder's lock, a few open files. Makes durable: what it is told to sync, and each folder entry that it
 * makes, renames or removes. Assumes: one process (a lock on the folder), several threads. Implements the parts of
 * STORE-3 (zeros are really written), STORE-4 (set aside, never overwritten) and STORE-11 (a short write is a failed
 * one) that a file system has to give. */

#include "store/backend.h"
#include "store/folder.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <pthread.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <time.h>
#include <unistd.h>

#define S_FILES 16 /* open at once: where batches go, what is being made, and a few that reads want */
#define S_ZEROS (1024 * 1024)
#define S_LOCK_WAIT_MS 5000
#define S_LOCK_PAUSE_MS 20

#define S_GONE UINT64_MAX /* no segment's number */

typedef struct {
    uint64_t number; /* 0: free */
    int file;
    unsigned users;
    uint64_t used_at;
} s_file_t;

typedef struct {
    adr_disk_t disk; /* first */
    char *folder;
    int folder_file;
    pthread_mutex_t mutex; /* of the table of open files */
    s_file_t open[S_FILES];
    uint64_t uses;
} s_disk_t;

/* --- folders ----------------------------------------------------------------------------------------------- */

int
adr_folder_sync_of (const char *path)
{
    char folder[PATH_MAX];
    const char *slash = strrchr (path, '/');
    snprintf (folder, sizeof folder, "%.*s", slash ? (int) (slash - path) + 1 : 1, slash ? path : ".");
    int file = open (folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (file < 0)
        return errno;
    int error = fsync (file) == 0 ? 0 : errno;
    close (file);
    return error;
}

int
adr_folder_set_aside (const char *path)
{
    for (unsigned number = 1;; number++) {
        char aside[PATH_MAX];
        if ((size_t) snprintf (aside, sizeof aside, "%s.aside-%u", path, number) >= sizeof aside)
            return ENAMETOOLONG;
        struct stat status;
        if (lstat (aside, &status) == 0)
            continue;
        if (rename (path, aside) != 0)
            return errno;
        return adr_folder_sync_of (path);
    }
}

/* --- open files -------------------------------------------------------------------------------------------- */

static void
s_path (const s_disk_t *self, uint64_t number, char path[PATH_MAX])
{
    snprintf (path, PATH_MAX, "%s/%016" PRIx64 ".seg", self->folder, number);
}

/* A place for one more open file, under the mutex: a free one, else the one that was used longest ago. */
static s_file_t *
s_place (s_disk_t *self)
{
    s_file_t *place = NULL;
    for (int i = 0; i < S_FILES; i++) {
        s_file_t *file = &self->open[i];
        if (file->number == 0)
            return file;
        if (file->users == 0 && (!place || file->used_at < place->used_at))
            place = file;
    }
    if (place)
        close (place->file);
    return place;
}

/* The open file of that segment, which stays open until s_release; NULL and *error if there is none. */
static s_file_t *
s_acquire (s_disk_t *self, uint64_t number, int *error)
{
    pthread_mutex_lock (&self->mutex);
    s_file_t *found = NULL;
    for (int i = 0; i < S_FILES && !found; i++)
        if (self->open[i].number == number)
            found = &self->open[i];
    if (!found) {
        char path[PATH_MAX];
        s_path (self, number, path);
        int file = open (path, O_RDWR | O_CLOEXEC);
        *error = file < 0 ? errno : 0;
        if (file >= 0) {
            found = s_place (self);
            adr_assert (found); /* fewer threads than places */
            *found = (s_file_t){ .number = number, .file = file };
        }
    }
    if (found) {
        found->users++;
        found->used_at = ++self->uses;
    }
    pthread_mutex_unlock (&self->mutex);
    return found;
}

static void
s_release (s_disk_t *self, s_file_t *file)
{
    pthread_mutex_lock (&self->mutex);
    if (--file->users == 0 && file->number == S_GONE) {
        close (file->file);
        *file = (s_file_t){ 0 };
    }
    pthread_mutex_unlock (&self->mutex);
}

/* Forgets an open file, because its name is about to mean another one, or none. Who reads from it right now reads on. */
static void
s_forget (s_disk_t *self, uint64_t number)
{
    pthread_mutex_lock (&self->mutex);
    for (int i = 0; i < S_FILES; i++)
        if (self->open[i].number == number) {
            self->open[i].number = S_GONE;
            if (self->open[i].users)
                continue;
            close (self->open[i].file);
            self->open[i] = (s_file_t){ 0 };
        }
    pthread_mutex_unlock (&self->mutex);
}

/* --- the interface ----------------------------------------------------------------------------------------- */

static int
s_set_aside (adr_disk_t *disk, uint64_t number)
{
    s_disk_t *self = (s_disk_t *) disk;
    char path[PATH_MAX];
    s_path (self, number, path);
    s_forget (self, number);
    return adr_folder_set_aside (path);
}

/* Zeros that are really written: a file that only has a size costs twice the time at each later sync. */
static int
s_write_zeros (int file, uint64_t size)
{
    void *zeros = adr_alloc (S_ZEROS);
    int error = 0;
    for (uint64_t at = 0; at < size && !error;) {
        size_t part = size - at < S_ZEROS ? (size_t) (size - at) : S_ZEROS;
        ssize_t written = pwrite (file, zeros, part, (off_t) at);
        if (written < 0 && errno != EINTR)
            error = errno;
        else if (written == 0)
            error = EIO;
        else if (written > 0)
            at += (uint64_t) written;
    }
    free (zeros);
    return error ? error : fsync (file) == 0 ? 0 : errno;
}

static int
s_reserve (int file, uint64_t size)
{
    int error = posix_fallocate (file, 0, (off_t) size);
    return error ? error : fsync (file) == 0 ? 0 : errno;
}

static int
s_create (adr_disk_t *disk, uint64_t number, uint64_t size, bool zeros_written)
{
    s_disk_t *self = (s_disk_t *) disk;
    char path[PATH_MAX];
    s_path (self, number, path);
    int file = open (path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (file < 0 && errno == EEXIST) {
        int error = s_set_aside (disk, number);
        if (error)
            return error;
        file = open (path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    }
    if (file < 0)
        return errno;
    int error = zeros_written ? s_write_zeros (file, size) : s_reserve (file, size);
    close (file);
    if (error)
        unlink (path);
    else
        error = fsync (self->folder_file) == 0 ? 0 : errno;
    return error;
}

/* [STORE-11] Half a write is a failed one: nobody knows what the other half would have become. */
static int
s_write (adr_disk_t *disk, uint64_t number, uint64_t offset, const void *data, size_t size)
{
    s_disk_t *self = (s_disk_t *) disk;
    int error;
    s_file_t *file = s_acquire (self, number, &error);
    if (!file)
        return error;
    ssize_t written;
    do
        written = pwrite (file->file, data, size, (off_t) offset);
    while (written < 0 && errno == EINTR);
    error = written < 0 ? errno : (size_t) written == size ? 0 : EIO;
    s_release (self, file);
    return error;
}

static int
s_sync (adr_disk_t *disk, uint64_t number)
{
    s_disk_t *self = (s_disk_t *) disk;
    int error;
    s_file_t *file = s_acquire (self, number, &error);
    if (!file)
        return error;
    error = fdatasync (file->file) == 0 ? 0 : errno; /* never tried again: the pages may be marked clean */
    s_release (self, file);
    return error;
}

static int
s_read (adr_disk_t *disk, uint64_t number, uint64_t offset, void *data, size_t size)
{
    s_disk_t *self = (s_disk_t *) disk;
    int error;
    s_file_t *file = s_acquire (self, number, &error);
    if (!file)
        return error;
    error = 0;
    for (size_t at = 0; at < size && !error;) {
        ssize_t got = pread (file->file, (uint8_t *) data + at, size - at, (off_t) (offset + at));
        if (got > 0)
            at += (size_t) got;
        else if (got == 0 || errno != EINTR)
            error = got == 0 ? EIO : errno;
    }
    s_release (self, file);
    return error;
}

static int
s_truncate (adr_disk_t *disk, uint64_t number, uint64_t size)
{
    s_disk_t *self = (s_disk_t *) disk;
    int error;
    s_file_t *file = s_acquire (self, number, &error);
    if (!file)
        return error;
    error = ftruncate (file->file, (off_t) size) == 0 && fsync (file->file) == 0 ? 0 : errno;
    s_release (self, file);
    return error;
}

static int
s_remove (adr_disk_t *disk, uint64_t number)
{
    s_disk_t *self = (s_disk_t *) disk;
    char path[PATH_MAX];
    s_path (self, number, path);
    s_forget (self, number);
    if (unlink (path) != 0 || fsync (self->folder_file) != 0)
        return errno;
    return 0;
}

static int
s_by_number (const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *) a, y = *(const uint64_t *) b;
    return (x > y) - (x < y);
}

static bool
s_parse (const char *name, uint64_t *number)
{
    char *end;
    errno = 0;
    if (strlen (name) != 20 || strcmp (name + 16, ".seg") != 0)
        return false;
    *number = strtoull (name, &end, 16);
    return end == name + 16 && *number > 0;
}

static int
s_list (adr_disk_t *disk, uint64_t *numbers, size_t room, size_t *count)
{
    s_disk_t *self = (s_disk_t *) disk;
    *count = 0;
    DIR *folder = opendir (self->folder);
    if (!folder)
        return errno;
    const struct dirent *entry;
    while ((entry = readdir (folder)) != NULL) {
        uint64_t number;
        if (!s_parse (entry->d_name, &number))
            continue;
        if (*count == room) {
            closedir (folder);
            return EOVERFLOW;
        }
        numbers[(*count)++] = number;
    }
    closedir (folder);
    qsort (numbers, *count, sizeof *numbers, s_by_number);
    return 0;
}

static int
s_size (adr_disk_t *disk, uint64_t number, uint64_t *size)
{
    s_disk_t *self = (s_disk_t *) disk;
    char path[PATH_MAX];
    struct stat status;
    s_path (self, number, path);
    if (stat (path, &status) != 0)
        return errno;
    *size = (uint64_t) status.st_size;
    return 0;
}

static int
s_space (adr_disk_t *disk, uint64_t *free_bytes, uint64_t *all_bytes)
{
    s_disk_t *self = (s_disk_t *) disk;
    struct statvfs status;
    if (fstatvfs (self->folder_file, &status) != 0)
        return errno;
    *free_bytes = (uint64_t) status.f_bavail * status.f_frsize;
    *all_bytes = (uint64_t) status.f_blocks * status.f_frsize;
    return 0;
}

/* --- life -------------------------------------------------------------------------------------------------- */

/* A process that was killed holds its locks until its last thread is back from the disk. */
static bool
s_folder_lock (int file)
{
    const struct timespec pause = { 0, S_LOCK_PAUSE_MS * 1000000L };
    for (int waited_ms = 0; flock (file, LOCK_EX | LOCK_NB) != 0; waited_ms += S_LOCK_PAUSE_MS) {
        if (errno != EWOULDBLOCK || waited_ms >= S_LOCK_WAIT_MS)
            return false;
        nanosleep (&pause, NULL);
    }
    return true;
}

static int
s_folder_open (const char *folder, char *why, size_t why_size)
{
    if (mkdir (folder, 0700) != 0 && errno != EEXIST)
        snprintf (why, why_size, "%s cannot be made: %s", folder, strerror (errno));
    else {
        int error = adr_folder_sync_of (folder);
        int file = open (folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (file < 0 || error)
            snprintf (why, why_size, "%s cannot be opened: %s", folder, strerror (file < 0 ? errno : error));
        else if (!s_folder_lock (file))
            snprintf (why, why_size, "%s is in use by another process", folder);
        else
            return file;
        if (file >= 0)
            close (file);
    }
    return -1;
}

adr_disk_t *
adr_disk_posix_create (const char *folder, char *why, size_t why_size)
{
    int file = s_folder_open (folder, why, why_size);
    if (file < 0)
        return NULL;
    s_disk_t *self = adr_alloc (sizeof *self);
    self->disk = (adr_disk_t){ s_create, s_write, s_sync, s_read, s_truncate, s_remove, s_set_aside, s_list, s_size, s_space };
    self->folder = strdup (folder);
    adr_assert (self->folder);
    self->folder_file = file;
    pthread_mutex_init (&self->mutex, NULL);
    return &self->disk;
}

void
adr_disk_posix_destroy (adr_disk_t **disk)
{
    s_disk_t *self = (s_disk_t *) *disk;
    if (!self)
        return;
    for (int i = 0; i < S_FILES; i++)
        if (self->open[i].number)
            close (self->open[i].file);
    close (self->folder_file);
    pthread_mutex_destroy (&self->mutex);
    free (self->folder);
    free (self);
    *disk = NULL;
}

static void
s_entropy_fill (adr_entropy_t *self, void *data, size_t size)
{
    (void) self;
    randombytes_buf (data, size);
}

adr_entropy_t *
adr_entropy_system (void)
{
    static adr_entropy_t entropy = { s_entropy_fill };
    return &entropy;
}
