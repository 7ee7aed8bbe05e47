/* SPDX-License-Identifier: MPL-2.0 */
/* `adrestia user profile FILE.yaml [--like PROFILE]`: a user makes his keys where he uses them, and a profile that reaches the cluster as
 * another one does. The public key goes to standard output, for `user create`; the secret one into FILE.key, and nowhere else. Nothing
 * that is there already is written over. */

#include "core/cert.h"
#include "shell/shell.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define S_PROFILE_MAX (64 * 1024) /* as src/client/profile.c reads */

/* 0, or errno. */
static int
s_write_new (const char *path, mode_t mode, const char *text)
{
    int file = open (path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, mode), why = 0;
    if (file < 0)
        return errno;
    for (size_t at = 0, size = strlen (text); at < size && why == 0;) {
        ssize_t written = write (file, text + at, size - at);
        if (written > 0)
            at += (size_t) written;
        else if (errno != EINTR)
            why = written < 0 ? errno : EIO;
    }
    if (why == 0 && fsync (file) != 0)
        why = errno;
    close (file);
    if (why)
        unlink (path);
    return why;
}

/* Lines of a profile that say whose it is. */
static bool
s_is_own (const char *line)
{
    static const char *const s_names[] = { "node:", "curve-public:", "curve-secret-file:" };
    for (size_t i = 0; i < sizeof s_names / sizeof s_names[0]; i++)
        if (strncmp (line, s_names[i], strlen (s_names[i])) == 0)
            return true;
    return false;
}

/* What of the other profile is said of the cluster; its size, or 0 and errno. */
static size_t
s_read_like (const char *path, char text[S_PROFILE_MAX])
{
    char line[1024];
    size_t size = 0;
    FILE *file = fopen (path, "r");
    if (file == NULL)
        return 0;
    while (fgets (line, sizeof line, file)) {
        size_t length = strlen (line);
        if (line[0] == '#' || s_is_own (line))
            continue;
        if (length == 0 || size + length >= S_PROFILE_MAX || (line[length - 1] != '\n' && !feof (file))) {
            size = 0;
            errno = EFBIG;
            break;
        }
        memcpy (text + size, line, length + 1);
        size += length;
    }
    bool good = !ferror (file);
    fclose (file);
    if (size == 0 && good && errno == 0)
        errno = EINVAL;
    return good ? size : 0;
}

/* The profile that the shell itself would take. */
static const char *
s_like (const adr_shell_t *self, char path[PATH_MAX])
{
    const char *home = getenv ("HOME"), *named = getenv ("ADRESTIA_PROFILE");
    if (self->profile || (named && *named))
        return self->profile ? self->profile : named;
    snprintf (path, PATH_MAX, "%s/.config/adrestia/client.yaml", home ? home : "");
    return path;
}

/* Draws the keys and writes both files; the exit code. */
static int
s_make (adr_shell_t *self, const char *path, const char *like)
{
    char secret_path[PATH_MAX], node[ADR_ID_TEXT_SIZE], public[2 * ADR_KEY_SIZE + 1], secret[2 * ADR_KEY_SIZE + 2];
    static char cluster[S_PROFILE_MAX], text[S_PROFILE_MAX + 2 * PATH_MAX];
    adr_keys_t keys = { 0 };
    uint8_t key[ADR_KEY_SIZE];
    adr_id_t id;
    int length = (int) strlen (path) - (int) strlen (".yaml");
    errno = 0;
    if (s_read_like (like, cluster) == 0)
        return adr_shell_fail_file (self, like, errno == EINVAL ? "it is no profile" : strerror (errno));
    snprintf (secret_path, sizeof secret_path, "%.*s.key", length, path);
    randombytes_buf (id.bytes, sizeof id.bytes);
    adr_id_format (&id, node);
    randombytes_buf (keys.curve_secret, sizeof keys.curve_secret);
    adr_keys_public (&keys, key, NULL);
    adr_hex_format (public, key, sizeof key);
    adr_hex_format (secret, keys.curve_secret, sizeof keys.curve_secret);
    strcat (secret, "\n");
    sodium_memzero (&keys, sizeof keys);
    const char *file = strrchr (secret_path, '/');
    snprintf (text, sizeof text,
              "# How libadrestia and the shell reach the cluster. Paths are relative to this file's folder.\n"
              "node: %s\ncurve-public: %s\ncurve-secret-file: %s\n%s",
              node, public, file ? file + 1 : secret_path, cluster);
    int why = s_write_new (secret_path, 0600, secret);
    sodium_memzero (secret, sizeof secret);
    if (why)
        return adr_shell_fail_file (self, secret_path, strerror (why));
    why = s_write_new (path, 0644, text);
    if (why) {
        unlink (secret_path);
        return adr_shell_fail_file (self, path, strerror (why));
    }
    self->profile = path; /* it must be one */
    if (!adr_shell_open (self)) {
        unlink (secret_path);
        unlink (path);
        return ADR_SHELL_FILE;
    }
    if (self->json)
        adr_shell_print (json_pack ("{s:s, s:s, s:s}", "result", "ok", "public_key", public, "profile", path));
    else
        puts (public);
    return 0;
}

int
adr_shell_user_profile (adr_shell_t *self, int argc, char **argv)
{
    const char *path = NULL, *like = NULL, *value;
    char place[PATH_MAX];
    for (int index = 2; index < argc;) {
        int taken = adr_shell_global (self, argc, argv, &index);
        if (taken < 0)
            return ADR_SHELL_USAGE;
        if (taken > 0)
            continue;
        if ((value = adr_shell_value ("--like", argc, argv, &index)) != NULL && !like && *value)
            like = value;
        else if (!path && argv[index][0] != '-')
            path = argv[index];
        else
            return adr_shell_usage ("user profile: what is `%s`?", argv[index]);
        index++;
    }
    size_t length = path ? strlen (path) : 0;
    if (length <= 5 || length > PATH_MAX - 8 || strcmp (path + length - 5, ".yaml") != 0 || path[length - 6] == '/')
        return adr_shell_usage ("user profile: expected a file's name that ends in .yaml");
    return s_make (self, path, like ? like : s_like (self, place));
}
