/* SPDX-License-Identifier: MPL-2.0 */
/* The folder of a node that joins: see join.h.
 *
 * Makes durable: node.id, node.key and, of a founder, incarnation before anybody is asked, so that whatever is interrupted is asked for
 * again by the same keys;
 * then each file whole, beside its place, synced, renamed, the folder synced. Assumes: nobody else writes there; other joins are kept
 * out by a lock. */

#include "shell/join.h"

#include "runtime/failure.h"
#include "runtime/file.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#define S_ID "node.id"
#define S_KEY "node.key"
#define S_INCARNATION "incarnation" /* as init writes it: the first start takes it over, and removes it */
#define S_SMALL 1024 /* of files that are read here */

/* --- the folder itself ---------------------------------------------------------------------------------------------- */

/* Its name is durable, too. */
static bool
s_make (const char *path, const adr_failure_t *error)
{
    if (mkdir (path, 0700) != 0)
        return errno == EEXIST ? true : adr_fail (error, "%s: %s", path, strerror (errno));
    char parent[PATH_MAX];
    if (snprintf (parent, sizeof parent, "%s/..", path) >= (int) sizeof parent)
        return adr_fail (error, "%s: the path is too long", path);
    int file = open (parent, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    bool good = file >= 0 && fsync (file) == 0;
    int why = errno;
    if (file >= 0)
        close (file);
    return good ? true : adr_fail (error, "%s: %s", parent, strerror (why));
}

bool
adr_join_folder_open (adr_join_folder_t *self, const char *path, char *error, size_t error_size)
{
    const adr_failure_t place = { error, error_size };
    *self = (adr_join_folder_t){ path, -1 };
    if (!s_make (path, &place))
        return false;
    self->file = open (path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (self->file < 0)
        return adr_fail (&place, "%s: %s", path, strerror (errno));
    if (flock (self->file, LOCK_EX | LOCK_NB) == 0)
        return true;
    adr_fail (&place, "%s: %s", path, errno == EWOULDBLOCK ? "another join is at work there" : strerror (errno));
    adr_join_folder_close (self);
    return false;
}

void
adr_join_folder_close (adr_join_folder_t *self)
{
    if (self->file >= 0)
        close (self->file);
    self->file = -1;
}

bool
adr_join_folder_has (const adr_join_folder_t *self, const char *name)
{
    struct stat status;
    return fstatat (self->file, name, &status, AT_SYMLINK_NOFOLLOW) == 0;
}

/* --- files ---------------------------------------------------------------------------------------------------------- */

/* `making` stands beside the name until it is whole; one that an interrupted run left is replaced. */
static bool
s_put (int folder, const char *making, const char *name, mode_t mode, adr_bytes_t bytes)
{
    if (unlinkat (folder, making, 0) != 0 && errno != ENOENT)
        return false;
    int file = openat (folder, making, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, mode);
    if (file < 0)
        return false;
    bool good = adr_file_write (file, bytes);
    int why = errno;
    if (close (file) != 0 && good) {
        good = false;
        why = errno;
    }
    errno = why;
    return good && renameat (folder, making, folder, name) == 0 && fsync (folder) == 0;
}

bool
adr_join_folder_put (const adr_join_folder_t *self, const char *name, mode_t mode, adr_bytes_t bytes, char *error, size_t error_size)
{
    const adr_failure_t place = { error, error_size };
    char making[64];
    int length = snprintf (making, sizeof making, "%s.new", name);
    adr_assert (length > 0 && length < (int) sizeof making);
    return s_put (self->file, making, name, mode, bytes) || adr_fail (&place, "%s/%s: %s", self->path, name, strerror (errno));
}

/* A small file of ours, with an end; `secret`: refuse what others may read. */
static bool
s_get (const adr_join_folder_t *self, const char *name, bool secret, char text[S_SMALL], const adr_failure_t *error)
{
    int file = openat (self->file, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    if (file < 0)
        return adr_fail (error, "%s/%s: %s", self->path, name, strerror (errno));
    struct stat status;
    bool good = fstat (file, &status) == 0;
    ssize_t size = good ? read (file, text, S_SMALL - 1) : -1;
    int why = errno;
    close (file);
    if (size < 0)
        return adr_fail (error, "%s/%s: %s", self->path, name, strerror (why));
    text[size] = 0;
    if (secret && (status.st_mode & 077))
        return adr_fail (error, "%s/%s: others may read this key -> chmod 600", self->path, name);
    return true;
}

/* --- the identity --------------------------------------------------------------------------------------------------- */

static bool
s_get_id (const adr_join_folder_t *self, adr_id_t *id, const adr_failure_t *error)
{
    char text[S_SMALL];
    if (!s_get (self, S_ID, false, text, error))
        return false;
    text[strcspn (text, "\n")] = 0;
    return (adr_id_parse (id, text) && !adr_id_is_none (id)) || adr_fail (error, "%s/" S_ID ": is no nodeId", self->path);
}

static bool
s_draw_id (const adr_join_folder_t *self, adr_id_t *id, const adr_failure_t *error)
{
    char text[ADR_ID_TEXT_SIZE + 1];
    randombytes_buf (id->bytes, sizeof id->bytes);
    id->bytes[6] = (uint8_t) ((id->bytes[6] & 0x0f) | 0x40); /* UUID version 4, RFC 4122 */
    id->bytes[8] = (uint8_t) ((id->bytes[8] & 0x3f) | 0x80);
    adr_id_format (id, text);
    strcat (text, "\n");
    return adr_join_folder_put (self, S_ID, 0644, adr_bytes (text, strlen (text)), error->text, error->size);
}

static bool
s_get_keys (const adr_join_folder_t *self, adr_keys_t *keys, const adr_failure_t *error)
{
    char text[S_SMALL];
    bool good = s_get (self, S_KEY, true, text, error)
                && ((adr_keys_parse (keys, text, strlen (text)) && !sodium_is_zero (keys->curve_secret, ADR_KEY_SIZE))
                    || adr_fail (error, "%s/" S_KEY ": no key file; expected curve-secret and sign-secret", self->path));
    sodium_memzero (text, sizeof text);
    return good;
}

static bool
s_draw_keys (const adr_join_folder_t *self, adr_keys_t *keys, const adr_failure_t *error)
{
    char text[ADR_KEYS_TEXT_MAX];
    randombytes_buf (keys->curve_secret, ADR_KEY_SIZE);
    randombytes_buf (keys->sign_seed, ADR_KEY_SIZE);
    size_t size = adr_keys_format (keys, text);
    bool good = adr_join_folder_put (self, S_KEY, 0600, adr_bytes (text, size), error->text, error->size);
    sodium_memzero (text, sizeof text);
    return good;
}

static bool
s_get_incarnation (const adr_join_folder_t *self, uint64_t *incarnation, const adr_failure_t *error)
{
    char text[S_SMALL], *end;
    if (!s_get (self, S_INCARNATION, false, text, error))
        return false;
    errno = 0;
    *incarnation = strtoull (text, &end, 10);
    return (errno == 0 && *incarnation && *text >= '0' && *text <= '9' && (*end == 0 || (*end == '\n' && end[1] == 0)))
           || adr_fail (error, "%s/" S_INCARNATION ": expected a decimal number above zero", self->path);
}

/* Never zero, and positive where a reader has signed numbers only. */
static bool
s_draw_incarnation (const adr_join_folder_t *self, uint64_t *incarnation, const adr_failure_t *error)
{
    char text[32];
    randombytes_buf (incarnation, sizeof *incarnation);
    *incarnation = (*incarnation >> 1) | 1;
    int size = snprintf (text, sizeof text, "%llu\n", (unsigned long long) *incarnation);
    return adr_join_folder_put (self, S_INCARNATION, 0600, adr_bytes (text, (size_t) size), error->text, error->size);
}

/* What a join never makes, or not before the id: the folder is some other node's [TRUST-6]. */
static bool
s_is_ours (const adr_join_folder_t *self, const adr_failure_t *error)
{
    static const char *const others[] = { "journal", "state.mdb", "index.mdb" };
    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++)
        if (adr_join_folder_has (self, others[i]))
            return adr_fail (error, "%s: holds %s, so it is a node's already -> choose another folder", self->path, others[i]);
    if ((adr_join_folder_has (self, S_KEY) || adr_join_folder_has (self, "authority.key") || adr_join_folder_has (self, S_INCARNATION))
        && !adr_join_folder_has (self, S_ID))
        return adr_fail (error, "%s: holds a key or an incarnation that no join made -> choose another folder", self->path);
    return true;
}

bool
adr_join_folder_identity (const adr_join_folder_t *self, bool founds, adr_join_identity_t *identity, char *error, size_t error_size)
{
    const adr_failure_t place = { error, error_size };
    *identity = (adr_join_identity_t){ 0 };
    if (!s_is_ours (self, &place))
        return false;
    /* The id first: keys without one are not ours. */
    return (adr_join_folder_has (self, S_ID) ? s_get_id (self, &identity->node, &place) : s_draw_id (self, &identity->node, &place))
           && (adr_join_folder_has (self, S_KEY) ? s_get_keys (self, &identity->keys, &place)
                                                 : s_draw_keys (self, &identity->keys, &place))
           && (!founds || (adr_join_folder_has (self, S_INCARNATION) ? s_get_incarnation (self, &identity->incarnation, &place)
                                                                     : s_draw_incarnation (self, &identity->incarnation, &place)));
}
