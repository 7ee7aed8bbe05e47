/* SPDX-License-Identifier: MPL-2.0 */
/* `adrestia object`: whole objects from and to files.
 *
 * A file that is written appears whole or not at all: it has another name until its last byte is there. */

#include "shell/shell.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define S_WORDS_MAX 4
#define S_BAR_WIDTH 30

typedef struct {
    adr_shell_t *shell;
    const char *word[S_WORDS_MAX]; /* what is no option */
    int words;
    const char *id;   /* --id */
    int file;         /* of the transfer */
    int error;        /* errno of a read or write that failed */
    uint64_t done, total; /* bytes; total 0: not known */
    bool bar;
    int64_t start_ms, shown_ms;
    adr_object_t object;
} s_object_t;

/* --- progress ------------------------------------------------------------------------------------------------- */

static int64_t
s_now_ms (void)
{
    struct timespec now;
    clock_gettime (CLOCK_MONOTONIC, &now);
    return now.tv_sec * INT64_C (1000) + now.tv_nsec / 1000000;
}

/* A bar for people who wait: on a terminal only, and only once there was something to wait for. */
static void
s_show_progress (s_object_t *self, bool last)
{
    int64_t now_ms = s_now_ms ();
    if (!self->bar || (!last && (now_ms - self->start_ms < 500 || now_ms - self->shown_ms < 100))
        || (last && self->shown_ms == 0))
        return;
    double seconds = (double) (now_ms - self->start_ms) / 1000;
    double mib = (double) self->done / (1024 * 1024);
    self->shown_ms = now_ms;
    if (self->total) {
        int filled = (int) (self->done * S_BAR_WIDTH / self->total);
        fprintf (stderr, "\r[%.*s%*s] %3d %%  %.1f MiB  %.1f MiB/s ", filled, "==============================",
                 S_BAR_WIDTH - filled, "", (int) (self->done * 100 / self->total), mib, mib / seconds);
    }
    else
        fprintf (stderr, "\r%.1f MiB  %.1f MiB/s ", mib, mib / seconds);
    if (last)
        fputc ('\n', stderr);
}

static void
s_start_progress (s_object_t *self)
{
    self->bar = isatty (STDERR_FILENO) == 1 && !self->shell->json;
    self->start_ms = s_now_ms ();
}

/* --- bytes ---------------------------------------------------------------------------------------------------- */

static ssize_t
s_source (void *argument, void *data, size_t room)
{
    s_object_t *self = argument;
    ssize_t size;
    do
        size = read (self->file, data, room);
    while (size < 0 && errno == EINTR);
    if (size < 0)
        self->error = errno;
    else
        self->done += (uint64_t) size;
    s_show_progress (self, false);
    return size;
}

static bool
s_sink (void *argument, const void *data, size_t size)
{
    s_object_t *self = argument;
    self->total = self->object.size;
    for (size_t at = 0; at < size;) {
        ssize_t part = write (self->file, (const char *) data + at, size - at);
        if (part < 0 && errno != EINTR) {
            self->error = errno;
            return false;
        }
        at += part > 0 ? (size_t) part : 0;
    }
    self->done += size;
    s_show_progress (self, false);
    return true;
}

/* --- the verbs ------------------------------------------------------------------------------------------------ */

static int
s_tell_object (s_object_t *self, bool described)
{
    const adr_object_t *object = &self->object;
    char version[ADR_SHELL_VERSION_SIZE], id[37], hex[33];
    sodium_bin2hex (hex, sizeof hex, object->id, sizeof object->id);
    snprintf (id, sizeof id, "%.8s-%.4s-%.4s-%.4s-%.12s", hex, hex + 8, hex + 12, hex + 16, hex + 20);
    adr_shell_version_format (version, &object->version);
    if (self->shell->json) {
        json_t *json = json_pack ("{s:s, s:i, s:s, s:I, s:s, s:s, s:I, s:s}", "result", "ok", "code", 0, "id", id,
                                  "size", (json_int_t) object->size, "etag", object->etag, "content_type",
                                  object->content_type, "modified_ms", (json_int_t) object->modified_ms, "version",
                                  version);
        if (json)
            adr_shell_print (json);
    }
    else if (described)
        printf ("id            %s\nsize          %" PRIu64 "\netag          %s\ncontent-type  %s\nmodified-ms   %" PRIu64
                "\nversion       %s\n",
                id, object->size, object->etag, object->content_type, object->modified_ms, version);
    return 0;
}

static int
s_put (s_object_t *self)
{
    const char *path = self->words > 3 ? self->word[3] : "-";
    struct stat status;
    self->file = strcmp (path, "-") ? open (path, O_RDONLY | O_CLOEXEC) : STDIN_FILENO;
    if (self->file < 0)
        return adr_shell_fail_file (self->shell, path, strerror (errno));
    if (fstat (self->file, &status) == 0 && S_ISREG (status.st_mode))
        self->total = (uint64_t) status.st_size;
    s_start_progress (self);
    adr_result_t result = adr_object_put (self->shell->client, self->word[1], self->word[2], s_source, self, NULL,
                                          &self->object);
    s_show_progress (self, true);
    if (self->file != STDIN_FILENO)
        close (self->file);
    if (self->error)
        return adr_shell_fail_file (self->shell, path, strerror (self->error));
    return result == ADR_OK ? s_tell_object (self, false) : adr_shell_fail (self->shell, result);
}

static bool
s_parse_id (uint8_t id[16], const char *text)
{
    size_t size;
    return sodium_hex2bin (id, 16, text, strlen (text), "-", &size, NULL) == 0 && size == 16;
}

static adr_result_t
s_fetch (s_object_t *self)
{
    uint8_t id[16];
    if (!self->id)
        return adr_object_get (self->shell->client, self->word[1], self->word[2], s_sink, self, &self->object);
    return s_parse_id (id, self->id)
               ? adr_object_get_by_id (self->shell->client, id, s_sink, self, &self->object)
               : ADR_INVALID;
}

static int
s_get_to (s_object_t *self, const char *path, const char *part)
{
    s_start_progress (self);
    adr_result_t result = s_fetch (self);
    s_show_progress (self, true);
    if (part && close (self->file) != 0 && !self->error)
        self->error = errno;
    if (self->error)
        return adr_shell_fail_file (self->shell, path, strerror (self->error));
    if (result != ADR_OK)
        return adr_shell_fail (self->shell, result);
    if (part && rename (part, path) != 0)
        return adr_shell_fail_file (self->shell, path, strerror (errno));
    return part ? s_tell_object (self, false) : 0;
}

static int
s_get (s_object_t *self)
{
    int named = self->id ? 1 : 3;
    const char *path = self->words > named ? self->word[named] : "-";
    char part[4096];
    uint8_t id[16];
    if (self->id && (self->words > 2 || !s_parse_id (id, self->id)))
        return adr_shell_usage ("usage: object get --id OBJECTID [FILE]; an id has 32 hexadecimal digits");
    self->file = STDOUT_FILENO;
    if (!strcmp (path, "-"))
        return s_get_to (self, "standard output", NULL);
    if ((size_t) snprintf (part, sizeof part, "%s.part-%ld", path, (long) getpid ()) >= sizeof part)
        return adr_shell_fail_file (self->shell, path, strerror (ENAMETOOLONG));
    self->file = open (part, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
    if (self->file < 0)
        return adr_shell_fail_file (self->shell, part, strerror (errno));
    int code = s_get_to (self, path, part);
    if (code)
        unlink (part);
    return code;
}

static int
s_stat (s_object_t *self)
{
    adr_result_t result = adr_object_stat (self->shell->client, self->word[1], self->word[2], &self->object);
    return result == ADR_OK ? s_tell_object (self, true) : adr_shell_fail (self->shell, result);
}

static int
s_tell_done (s_object_t *self, adr_result_t result)
{
    if (result != ADR_OK)
        return adr_shell_fail (self->shell, result);
    if (self->shell->json)
        adr_shell_print (json_pack ("{s:s, s:i}", "result", "ok", "code", 0));
    return 0;
}

static int
s_delete (s_object_t *self)
{
    return s_tell_done (self, adr_object_delete (self->shell->client, self->word[1], self->word[2]));
}

static int
s_make_bucket (s_object_t *self)
{
    return s_tell_done (self, adr_object_make_bucket (self->shell->client, self->word[1]));
}

/* --- the command line ----------------------------------------------------------------------------------------- */

static const struct {
    const char *name;
    int words_min, words_max; /* the verb among them */
    int (*run) (s_object_t *self);
    const char *usage;
} s_verbs[] = {
    { "put", 3, 4, s_put, "object put BUCKET KEY [FILE]" },
    { "get", 3, 4, s_get, "object get BUCKET KEY [FILE]" },
    { "stat", 3, 3, s_stat, "object stat BUCKET KEY" },
    { "delete", 3, 3, s_delete, "object delete BUCKET KEY" },
    { "make-bucket", 2, 2, s_make_bucket, "object make-bucket BUCKET" },
};

static int
s_parse (s_object_t *self, int argc, char **argv)
{
    int index = 1;
    bool plain = false; /* behind "--" nothing is an option */
    while (index < argc) {
        const char *argument = argv[index];
        if (!plain && !strcmp (argument, "--")) {
            plain = true;
            index++;
        }
        else if (!plain && !strcmp (argument, "--id") && index + 1 < argc) {
            self->id = argv[index + 1];
            index += 2;
        }
        else if (!plain && argument[0] == '-' && argument[1] != 0) {
            int taken = adr_shell_global (self->shell, argc, argv, &index);
            if (taken <= 0)
                return taken < 0 ? ADR_SHELL_USAGE : adr_shell_usage ("object: there is no option `%s`", argument);
        }
        else if (self->words == S_WORDS_MAX)
            return adr_shell_usage ("object: too many arguments at `%s`", argument);
        else
            self->word[self->words++] = argv[index++];
    }
    return 0;
}

int
adr_shell_object (adr_shell_t *shell, int argc, char **argv)
{
    s_object_t self = { .shell = shell };
    int code = s_parse (&self, argc, argv);
    if (code)
        return code;
    if (self.words == 0)
        return adr_shell_usage ("object: put, get, stat, delete or make-bucket?");
    for (size_t i = 0; i < sizeof s_verbs / sizeof s_verbs[0]; i++) {
        if (strcmp (self.word[0], s_verbs[i].name) != 0)
            continue;
        bool by_id = self.id && s_verbs[i].run == s_get;
        if ((self.id && !by_id) || (!by_id && self.words < s_verbs[i].words_min) || self.words > s_verbs[i].words_max)
            return adr_shell_usage ("usage: %s", s_verbs[i].usage);
        return adr_shell_open (shell) ? s_verbs[i].run (&self) : ADR_SHELL_FILE;
    }
    return adr_shell_usage ("object: there is no `%s`", self.word[0]);
}
