/* SPDX-License-Identifier: MPL-2.0 */
/* The log: see log.h. */

#include "runtime/log.h"

#include "runtime/clock.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define S_LINE_MAX 1024 /* longer facts are cut: a line must stay one write */

static int s_file = STDERR_FILENO;
static adr_level_t s_level = ADR_LEVEL_NOTE;

static const char *const s_names[] = {
    [ADR_LEVEL_ERROR] = "error",
    [ADR_LEVEL_WARNING] = "warning",
    [ADR_LEVEL_NOTE] = "note",
    [ADR_LEVEL_TRACE] = "trace",
};

const char *
adr_level_name (adr_level_t level)
{
    return s_names[level];
}

bool
adr_level_parse (adr_level_t *level, const char *text)
{
    for (int i = ADR_LEVEL_ERROR; i <= ADR_LEVEL_TRACE; i++)
        if (strcmp (s_names[i], text) == 0) {
            *level = (adr_level_t) i;
            return true;
        }
    return false;
}

bool
adr_log_open (adr_level_t level, const char *path)
{
    int file = STDERR_FILENO;
    if (path) {
        file = open (path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0640);
        if (file < 0)
            return false;
    }
    if (s_file != STDERR_FILENO)
        close (s_file);
    s_file = file;
    s_level = level;
    return true;
}

bool
adr_log_wants (adr_level_t level)
{
    return level <= s_level;
}

static size_t
s_stamp (char *line, size_t size)
{
    struct timespec now;
    struct tm parts;
    clock_gettime (CLOCK_REALTIME, &now);
    gmtime_r (&now.tv_sec, &parts);
    size_t length = strftime (line, size, "%Y-%m-%dT%H:%M:%S", &parts);
    return length + (size_t) snprintf (line + length, size - length, ".%03ldZ", now.tv_nsec / 1000000);
}

void
adr_log_text (adr_level_t level, const char *who, const char *text)
{
    if (!adr_log_wants (level))
        return;
    char line[S_LINE_MAX];
    size_t length = s_stamp (line, sizeof line);
    int more = snprintf (line + length, sizeof line - length, " %s %s%s%s", s_names[level], who, *who ? ": " : "",
                         text);
    size_t end = length + (size_t) (more < 0 ? 0 : more);
    if (end > sizeof line - 2)
        end = sizeof line - 2;
    for (size_t i = length; i < end; i++)
        if ((unsigned char) line[i] < ' ' || line[i] == 0x7f)
            line[i] = '?';
    line[end] = '\n';
    ssize_t written = write (s_file, line, end + 1);
    (void) written; /* a log that cannot be written must not stop the store */
}

static void
s_log (adr_level_t level, const char *who, const char *format, va_list arguments)
{
    char text[S_LINE_MAX];
    vsnprintf (text, sizeof text, format, arguments);
    adr_log_text (level, who, text);
}

void
adr_log (adr_level_t level, const char *who, const char *format, ...)
{
    if (!adr_log_wants (level))
        return;
    va_list arguments;
    va_start (arguments, format);
    s_log (level, who, format, arguments);
    va_end (arguments);
}

void
adr_log_rarely (int64_t *last_ns, adr_level_t level, const char *who, const char *format, ...)
{
    int64_t now_ns = adr_clock_now_ns ();
    int64_t seen_ns = __atomic_load_n (last_ns, __ATOMIC_RELAXED);
    if ((seen_ns && now_ns - seen_ns < 1000 * ADR_MS)
        || !__atomic_compare_exchange_n (last_ns, &seen_ns, now_ns, false, __ATOMIC_RELAXED, __ATOMIC_RELAXED))
        return;
    va_list arguments;
    va_start (arguments, format);
    s_log (level, who, format, arguments);
    va_end (arguments);
}

void
adr_log_name_thread (const char *who)
{
    char name[16];
    const char *actor = strchr (who, ' ');
    snprintf (name, sizeof name, "%.*s%s", (int) strcspn (who, "@ "), who, actor ? actor : "");
    pthread_setname_np (pthread_self (), name);
}

void
adr_fatal (adr_exit_t code, const char *who, const char *format, ...)
{
    va_list arguments;
    va_start (arguments, format);
    s_log (ADR_LEVEL_ERROR, who, format, arguments);
    va_end (arguments);
    _exit (code);
}
