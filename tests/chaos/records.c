/* SPDX-License-Identifier: MPL-2.0 */
/* Many records at once for tests/chaos/repair and tests/bench/repair: puts, deletes or reads each that standard input names,
 * a line a record, and says which of them went wrong.
 *
 *     records PROFILE THREADS put|delete|strong|local|absent < lines of "KEY SIZE SEED"
 *
 * A value is made of its line, so a read knows every byte that it must give. `absent` wants a strong read to find nothing.
 * What may be better at another time (no master, busy, locked) is tried again for a minute: puts and deletes say the same
 * each time. Prints `KEY RESULT` for each failure, RESULT being adr_result_t's name or `wrong value`; exit code 1 if there
 * was one. */

#include "adrestia.h"

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define S_SPACE "repair"
#define S_VALUE_MAX (1024 * 1024)
#define S_LINE_MAX 256
#define S_PATIENCE_S 60
#define S_TIMEOUT_MS 5000

typedef enum { S_PUT, S_DELETE, S_STRONG, S_LOCAL, S_ABSENT, S_OPERATIONS } s_operation_t;

static struct {
    adr_client_t *client;
    s_operation_t operation;
    pthread_mutex_t input, output;
    bool failed;
} s_records = { .input = PTHREAD_MUTEX_INITIALIZER, .output = PTHREAD_MUTEX_INITIALIZER };

typedef struct {
    char key[128];
    size_t size;
    uint64_t seed;
} s_record_t;

/* Bytes that no compression shortens, another sequence for each key and seed. */
static void
s_make_value (const s_record_t *record, uint8_t *value)
{
    uint64_t state = record->seed * 0x9e3779b97f4a7c15u + 1;
    for (const char *at = record->key; *at; at++)
        state = (state ^ (uint8_t) *at) * 0x100000001b3u;
    for (size_t i = 0; i < record->size; i++) {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        value[i] = (uint8_t) (state >> 32);
    }
}

static bool
s_next (s_record_t *record)
{
    char line[S_LINE_MAX];
    pthread_mutex_lock (&s_records.input);
    bool good = fgets (line, sizeof line, stdin) != NULL;
    pthread_mutex_unlock (&s_records.input);
    unsigned long size;
    unsigned long long seed;
    if (!good || sscanf (line, "%127s %lu %llu", record->key, &size, &seed) != 3 || size > S_VALUE_MAX)
        return false;
    record->size = size;
    record->seed = seed;
    return true;
}

static void
s_fail (const s_record_t *record, const char *what)
{
    pthread_mutex_lock (&s_records.output);
    printf ("%s %s\n", record->key, what);
    s_records.failed = true;
    pthread_mutex_unlock (&s_records.output);
}

/* --- one record ------------------------------------------------------------------------------------------------ */

static adr_result_t
s_read (const s_record_t *record, const uint8_t *expected, bool *wrong)
{
    adr_value_t value = { 0 };
    adr_read_t mode = s_records.operation == S_LOCAL ? ADR_READ_LOCAL : ADR_READ_STRONG;
    adr_result_t result = adr_kv_get (s_records.client, S_SPACE, record->key, strlen (record->key), mode, &value);
    if (result != ADR_OK)
        return result;
    *wrong = value.size != record->size || memcmp (value.value, expected, record->size) != 0;
    adr_value_free (&value);
    return ADR_OK;
}

static adr_result_t
s_once (const s_record_t *record, const uint8_t *value, bool *wrong)
{
    size_t key_size = strlen (record->key);
    switch (s_records.operation) {
    case S_PUT:
        return adr_kv_put (s_records.client, S_SPACE, record->key, key_size, value, record->size, ADR_ALWAYS, NULL);
    case S_DELETE:
        return adr_kv_delete (s_records.client, S_SPACE, record->key, key_size, ADR_ALWAYS, NULL);
    case S_STRONG:
    case S_LOCAL:
    case S_ABSENT:
        return s_read (record, value, wrong);
    case S_OPERATIONS:
        break;
    }
    return ADR_INVALID;
}

static bool
s_may_be_better_later (adr_result_t result)
{
    return result == ADR_REFUSED || result == ADR_UNKNOWN || result == ADR_LOCKED || result == ADR_TIMEOUT
        || result == ADR_UNREACHABLE;
}

static void
s_do (const s_record_t *record, uint8_t *value)
{
    time_t until = time (NULL) + S_PATIENCE_S;
    adr_result_t result;
    bool wrong = false;
    s_make_value (record, value);
    do {
        result = s_once (record, value, &wrong);
        struct timespec pause = { 0, 20000000 };
        if (s_may_be_better_later (result))
            nanosleep (&pause, NULL); /* a refusal comes at once, and would only be asked for again */
    } while (s_may_be_better_later (result) && time (NULL) < until);
    adr_result_t good = s_records.operation == S_ABSENT ? ADR_NOT_FOUND : ADR_OK;
    if (result != good)
        s_fail (record, adr_result_name (result));
    else if (wrong)
        s_fail (record, "wrong value");
}

static void *
s_run (void *unused)
{
    s_record_t record;
    uint8_t *value = malloc (S_VALUE_MAX);
    while (value && s_next (&record))
        s_do (&record, value);
    free (value);
    return unused;
}

/* --- the program ------------------------------------------------------------------------------------------------ */

static bool
s_operation_of (const char *text)
{
    static const char *const name[S_OPERATIONS] = { "put", "delete", "strong", "local", "absent" };
    for (int i = 0; i < S_OPERATIONS; i++)
        if (strcmp (text, name[i]) == 0) {
            s_records.operation = (s_operation_t) i;
            return true;
        }
    return false;
}

int
main (int argc, char **argv)
{
    char error[512];
    unsigned count = argc == 4 ? (unsigned) atoi (argv[2]) : 0;
    pthread_t *thread = calloc (count ? count : 1, sizeof *thread);
    if (count == 0 || thread == NULL || !s_operation_of (argv[3])) {
        fputs ("records PROFILE THREADS put|delete|strong|local|absent\n", stderr);
        return 64;
    }
    s_records.client = adr_client_open (argv[1], error, sizeof error);
    if (!s_records.client) {
        fprintf (stderr, "records: %s\n", error);
        return 66;
    }
    adr_client_set_timeout (s_records.client, S_TIMEOUT_MS);
    for (unsigned i = 0; i < count; i++)
        if (pthread_create (&thread[i], NULL, s_run, NULL) != 0)
            return 70;
    for (unsigned i = 0; i < count; i++)
        pthread_join (thread[i], NULL);
    adr_client_destroy (&s_records.client);
    free (thread);
    return fflush (stdout) || s_records.failed ? 1 : 0;
}
