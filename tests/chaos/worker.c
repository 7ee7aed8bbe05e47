/* SPDX-License-Identifier: MPL-2.0 */
/* A writer and reader for tests/chaos/chaos: does random operations against one edge until its standard input ends, and
 * writes one line an operation, which is the history that the checker judges:
 *
 *     KIND KEY START END RESULT VALUE EXPECTED
 *
 * KIND: put, get, local, cas, delete, ledger. START and END: nanoseconds of CLOCK_MONOTONIC, one clock for all
 * processes of the machine. RESULT: adr_result_t's number. VALUE: what was written or read, `-` for none. EXPECTED: of a cas, the value whose version
 * it named. Register keys change every few seconds, so that no key's history grows too long to be checked; ledger keys
 * are written once each.
 *
 *     worker PROFILE NAME SEED THREADS KEYS */

#include "adrestia.h"

#include <inttypes.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define S_TIMEOUT_MS 4000
#define S_KEY_AGE_NS INT64_C (8000000000)
#define S_SPACE "chaos"

static struct {
    adr_client_t *client;
    const char *name;
    unsigned keys;
    atomic_bool stop;
} s_worker;

typedef struct {
    pthread_t thread;
    unsigned number;
    uint64_t random, written;
} s_thread_t;

static int64_t
s_now_ns (void)
{
    struct timespec now;
    clock_gettime (CLOCK_MONOTONIC, &now);
    return (int64_t) now.tv_sec * 1000000000 + now.tv_nsec;
}

static uint64_t
s_random (s_thread_t *self)
{
    self->random ^= self->random << 13;
    self->random ^= self->random >> 7;
    self->random ^= self->random << 17;
    return self->random;
}

static void
s_record (const char *kind, const char *key, int64_t start_ns, adr_result_t result, const char *value,
          const char *expected)
{
    printf ("%s %s %" PRId64 " %" PRId64 " %d %s %s\n", kind, key, start_ns, s_now_ns (), (int) result, value,
            expected);
}

/* A value that nobody else writes. */
static void
s_draw_value (s_thread_t *self, char text[64])
{
    snprintf (text, 64, "%s.%u.%" PRIu64, s_worker.name, self->number, ++self->written);
}

static void
s_put (s_thread_t *self, const char *kind, const char *key)
{
    char value[64];
    s_draw_value (self, value);
    int64_t start_ns = s_now_ns ();
    adr_result_t result = adr_kv_put (s_worker.client, S_SPACE, key, strlen (key), value, strlen (value), ADR_ALWAYS,
                                      NULL);
    s_record (kind, key, start_ns, result, value, "-");
}

static void
s_delete (const char *key)
{
    int64_t start_ns = s_now_ns ();
    adr_result_t result = adr_kv_delete (s_worker.client, S_SPACE, key, strlen (key), ADR_ALWAYS, NULL);
    s_record ("delete", key, start_ns, result, "-", "-");
}

/* Reads, records it, and leaves value and version behind. */
static adr_result_t
s_get (const char *key, adr_read_t mode, char text[64], adr_client_version_t *version)
{
    adr_value_t value = { 0 };
    int64_t start_ns = s_now_ns ();
    adr_result_t result = adr_kv_get (s_worker.client, S_SPACE, key, strlen (key), mode, &value);
    strcpy (text, "-");
    if (result == ADR_OK)
        snprintf (text, 64, "%.*s", (int) (value.size < 63 ? value.size : 63), (const char *) value.value);
    s_record (mode == ADR_READ_LOCAL ? "local" : "get", key, start_ns, result, text, "-");
    *version = value.version;
    if (result == ADR_OK)
        adr_value_free (&value);
    return result;
}

static void
s_cas (s_thread_t *self, const char *key)
{
    char expected[64], value[64];
    adr_client_version_t version;
    adr_result_t result = s_get (key, ADR_READ_STRONG, expected, &version);
    if (result != ADR_OK && result != ADR_NOT_FOUND)
        return;
    s_draw_value (self, value);
    int64_t start_ns = s_now_ns ();
    result = adr_kv_put (s_worker.client, S_SPACE, key, strlen (key), value, strlen (value),
                         result == ADR_OK ? ADR_IF_VERSION : ADR_IF_ABSENT, &version);
    s_record ("cas", key, start_ns, result, value, expected);
}

static void
s_one (s_thread_t *self)
{
    char key[64], text[64];
    adr_client_version_t version;
    unsigned choice = (unsigned) (s_random (self) % 100);
    snprintf (key, sizeof key, "r%" PRId64 ".%u", s_now_ns () / S_KEY_AGE_NS, (unsigned) (s_random (self) % s_worker.keys));
    if (choice < 30)
        s_put (self, "put", key);
    else if (choice < 55)
        s_get (key, ADR_READ_STRONG, text, &version);
    else if (choice < 62)
        s_get (key, ADR_READ_LOCAL, text, &version);
    else if (choice < 75)
        s_cas (self, key);
    else if (choice < 80)
        s_delete (key);
    else {
        snprintf (key, sizeof key, "ledger.%s.%u.%" PRIu64, s_worker.name, self->number, self->written + 1);
        s_put (self, "ledger", key);
    }
}

static void *
s_run (void *argument)
{
    s_thread_t *self = argument;
    while (!s_worker.stop) {
        s_one (self);
        /* Paced, not waiting for anything: a history must stay short enough to be checked. */
        struct timespec pause = { 0, (long) (2000000 + s_random (self) % 10000000) };
        nanosleep (&pause, NULL);
    }
    return NULL;
}

int
main (int argc, char **argv)
{
    if (argc != 6) {
        fputs ("worker PROFILE NAME SEED THREADS KEYS\n", stderr);
        return 64;
    }
    char error[512], line[64];
    unsigned count = (unsigned) atoi (argv[4]);
    s_thread_t *threads = calloc (count ? count : 1, sizeof *threads);
    signal (SIGPIPE, SIG_IGN);
    s_worker.name = argv[2];
    s_worker.keys = (unsigned) atoi (argv[5]) ? (unsigned) atoi (argv[5]) : 1;
    s_worker.client = adr_client_open (argv[1], error, sizeof error);
    if (!s_worker.client || !threads) {
        fprintf (stderr, "worker: %s\n", error);
        return 1;
    }
    adr_client_set_timeout (s_worker.client, S_TIMEOUT_MS);
    for (unsigned i = 0; i < count; i++) {
        threads[i] = (s_thread_t){ .number = i,
                                   .random = (strtoull (argv[3], NULL, 10) + 1) * 0x9e3779b97f4a7c15u + i * 7919 + 1 };
        pthread_create (&threads[i].thread, NULL, s_run, &threads[i]);
    }
    while (fgets (line, sizeof line, stdin))
        ;
    s_worker.stop = true;
    for (unsigned i = 0; i < count; i++)
        pthread_join (threads[i].thread, NULL);
    adr_client_destroy (&s_worker.client);
    free (threads);
    return fflush (stdout) ? 1 : 0;
}
