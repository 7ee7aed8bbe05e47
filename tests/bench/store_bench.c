/* SPDX-License-Identifier: MPL-2.0 */
/* What the store itself costs on the hot path, one core: append and apply of 1 KiB records with the jobs' own work
 * (sealing, memory disk) shown apart, all in processor time, then gets of what is cached and of what is read from the disk; and
 * what compaction makes writers wait, on the clock: records are overwritten until some segments have gone, and the time that
 * each batch takes, and that the thread which writes stands still beside it, is told apart by whether copies were made then.
 *
 *     tests/bench/store_bench [FOLDER]     with FOLDER: on its file system, with the real backends */

#include "../unit/memory_disk.h"
#include "store/backend.h"
#include "store/crc32c.h"
#include "store/store.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#define RECORDS 200000
#define BATCH 64
#define VALUE 1024

static double
s_now_us (void)
{
    struct timespec now;
    clock_gettime (CLOCK_THREAD_CPUTIME_ID, &now);
    return (double) now.tv_sec * 1e6 + (double) now.tv_nsec / 1e3;
}

static int64_t
s_wall_ns (void)
{
    struct timespec now;
    clock_gettime (CLOCK_MONOTONIC, &now);
    return (int64_t) now.tv_sec * 1000000000 + now.tv_nsec;
}

static double s_jobs_us[ADR_LANE_COUNT], s_background_ms;
static unsigned s_jobs[ADR_LANE_COUNT];

static void
s_run_jobs (adr_store_t *store)
{
    for (int lane = 0; lane < ADR_LANE_COUNT; lane++) {
        adr_store_job_t *job;
        while ((job = adr_store_job_next (store, (adr_lane_t) lane, s_wall_ns ())) != NULL) {
            double start = s_now_us ();
            adr_store_job_write (store, job);
            adr_store_job_sync (store, job);
            s_jobs_us[lane] += s_now_us () - start;
            s_jobs[lane]++;
            if (job->error) {
                fprintf (stderr, "%s failed: %d\n", job->name, job->error);
                exit (1);
            }
            adr_store_job_done (store, job);
        }
    }
}

static void
s_write (adr_store_t *store, unsigned number, uint8_t *bytes)
{
    static uint8_t value[VALUE];
    char key[32];
    int key_size = snprintf (key, sizeof key, "bucket/key-%08u", number * 2654435761u % RECORDS);
    adr_entry_t entry;
    entry.kind = ADR_ENTRY_WRITE;
    entry.term = 1;
    entry.index = adr_store_last (store).index + 1;
    entry.time_ms = number;
    entry.epoch = 0;
    memset (entry.request, 0, sizeof entry.request);
    entry.op_count = 1;
    entry.op[0] = (adr_op_t){ .table = ADR_TABLE_KV, .key = adr_bytes (key, (size_t) key_size),
                              .value = adr_bytes (value, sizeof value) };
    size_t size = adr_entry_size (&entry);
    adr_entry_encode (&entry, bytes);
    adr_store_append (store, &entry, adr_bytes (bytes, size));
}

static void
s_gets (adr_store_t *store, unsigned from, unsigned count, const char *what)
{
    double start = s_now_us ();
    for (unsigned i = 0; i < count; i++) {
        char key[32];
        int key_size = snprintf (key, sizeof key, "bucket/key-%08u", (from + i) * 2654435761u % RECORDS);
        adr_record_t record;
        if (adr_store_get (store, ADR_TABLE_KV, adr_bytes (key, (size_t) key_size), true, &record) != ADR_STATUS_OK) {
            fprintf (stderr, "%s is not there\n", key);
            exit (1);
        }
    }
    printf ("get, %-28s %6.2f us\n", what, (s_now_us () - start) / count);
}

static void
s_apply_all (adr_store_t *store)
{
    adr_store_set_commit (store, adr_store_durable (store));
    while (adr_store_applied (store) < adr_store_commit (store)) {
        const adr_entry_t *entry;
        if (adr_store_apply (store, &entry) != ADR_STATUS_OK) {
            fprintf (stderr, "an entry cannot be applied\n");
            exit (1);
        }
    }
    adr_store_set_unlocked (store, adr_store_applied (store));
    adr_store_keep_from (store, adr_store_applied (store));
}

/* One of two threads: what its jobs take is not the writer's time, but a batch waits for the jobs of the first lane. */
typedef struct {
    double *turn_ms, *batch_ms; /* each batch: of the thread that writes; and with the jobs that its writers wait for */
    unsigned count;
} s_waits_t;

static int
s_order (const void *a, const void *b)
{
    double left = *(const double *) a, right = *(const double *) b;
    return left < right ? -1 : left > right;
}

static void
s_show_waits (const char *what, s_waits_t *waits)
{
    if (waits->count == 0)
        return;
    unsigned last = waits->count - 1;
    qsort (waits->turn_ms, waits->count, sizeof (double), s_order);
    qsort (waits->batch_ms, waits->count, sizeof (double), s_order);
    printf ("%-28s %7u batches; the thread ms: p50 %.3f p99 %.3f worst %.3f; a batch ms: p50 %.3f p99 %.3f worst %.3f\n", what,
            waits->count, waits->turn_ms[last / 2], waits->turn_ms[last - last / 100], waits->turn_ms[last],
            waits->batch_ms[last / 2], waits->batch_ms[last - last / 100], waits->batch_ms[last]);
}

/* Runs what there is to do; returns the ms of the jobs that a batch waits for. */
static double
s_run_timed (adr_store_t *store)
{
    double waited_ms = 0;
    for (int lane = 0; lane < ADR_LANE_COUNT; lane++) {
        adr_store_job_t *job;
        while ((job = adr_store_job_next (store, (adr_lane_t) lane, s_wall_ns ())) != NULL) {
            int64_t start = s_wall_ns ();
            adr_store_job_write (store, job);
            adr_store_job_sync (store, job);
            if (lane == ADR_LANE_SYNC)
                waited_ms += (double) (s_wall_ns () - start) / 1e6;
            else
                s_background_ms += (double) (s_wall_ns () - start) / 1e6;
            if (job->error)
                exit (1);
            adr_store_job_done (store, job);
        }
    }
    return waited_ms;
}

static void
s_overwrite (adr_store_t *store, unsigned from)
{
    static uint8_t bytes[4096];
    s_waits_t calm = { 0 }, compacting = { 0 };
    unsigned batches = 4 * RECORDS / BATCH;
    s_waits_t *all[] = { &calm, &compacting };
    for (int i = 0; i < 2; i++) {
        all[i]->turn_ms = malloc (batches * sizeof (double));
        all[i]->batch_ms = malloc (batches * sizeof (double));
    }
    uint64_t copied = adr_store_place_asked (store), before = adr_store_compacted (store);
    for (unsigned batch = 0; batch < batches; batch++) {
        int64_t start = s_wall_ns ();
        s_background_ms = 0;
        for (unsigned i = 0; i < BATCH; i++)
            s_write (store, from++, bytes);
        double waited_ms = s_run_timed (store);
        s_apply_all (store);
        double all_ms = (double) (s_wall_ns () - start) / 1e6 - s_background_ms;
        s_waits_t *waits = adr_store_place_asked (store) == copied ? &calm : &compacting;
        copied = adr_store_place_asked (store);
        waits->turn_ms[waits->count] = all_ms - waited_ms;
        waits->batch_ms[waits->count++] = all_ms;
    }
    printf ("overwriting %u records: compaction copied %.1f MB\n", batches * BATCH, (double) (adr_store_compacted (store) - before) / 1e6);
    s_show_waits ("no copies asked for", &calm);
    s_show_waits ("copies asked for", &compacting);
}

int
main (int argc, char **argv)
{
    static uint8_t bytes[4096];
    char why[512], path[512];
    adr_store_options_t options = { .segment_bytes = 16 * 1024 * 1024, .flush_bytes = 8 * 1024 * 1024,
                                    .flush_every_ns = 1000 * ADR_MS, .cache_bytes = 8 * 1024 * 1024,
                                    .log_keep_max = 64 * 1024 * 1024, .memory_max_bytes = 64 * 1024 * 1024 };
    options.node.bytes[0] = 1;
    adr_disk_t *disk = &memory_disk_create ()->disk;
    adr_state_t *state = &memory_state_create ()->state;
    adr_index_t *index = memory_index_of (memory_index_create ());
    if (argc > 1) {
        snprintf (path, sizeof path, "%s/journal", argv[1]);
        disk = adr_disk_posix_create (path, why, sizeof why);
        snprintf (path, sizeof path, "%s/state.mdb", argv[1]);
        state = adr_state_lmdb_create (path, why, sizeof why);
        snprintf (path, sizeof path, "%s/index.mdb", argv[1]);
        index = adr_index_lmdb_create (path, why, sizeof why);
        if (!disk || !state || !index) {
            fprintf (stderr, "%s\n", why);
            return 1;
        }
    }
    adr_store_t *store;
    if (adr_store_open (&store, &options, disk, state, index, adr_entropy_system (), why, sizeof why)
        != ADR_STORE_NEW) {
        fprintf (stderr, "not an empty folder: %s\n", why);
        return 1;
    }
    double crc = s_now_us ();
    uint32_t sum = 0;
    for (int i = 0; i < 200000; i++)
        sum = adr_crc32c (sum, bytes, sizeof bytes);
    crc = s_now_us () - crc;
    printf ("crc32c %30.2f GB/s (%08x)\n", 200000.0 * sizeof bytes / crc / 1e3, sum);
    double append_us = 0, apply_us = 0, owner_us = 0;
    for (unsigned number = 0; number < RECORDS;) {
        double start = s_now_us ();
        for (unsigned i = 0; i < BATCH && number < RECORDS; i++)
            s_write (store, number++, bytes);
        double appended = s_now_us (), jobs = s_jobs_us[0] + s_jobs_us[1];
        s_run_jobs (store);
        double ran = s_now_us ();
        adr_store_set_commit (store, adr_store_durable (store));
        while (adr_store_applied (store) < adr_store_commit (store)) {
            const adr_entry_t *entry;
            if (adr_store_apply (store, &entry) != ADR_STATUS_OK)
                return 1;
        }
        adr_store_set_unlocked (store, adr_store_applied (store));
        append_us += appended - start;
        owner_us += ran - appended - (s_jobs_us[0] + s_jobs_us[1] - jobs);
        apply_us += s_now_us () - ran;
    }
    printf ("append, with encoding %18.2f us\napply %34.2f us\nforming and ending jobs %16.2f us\n",
            append_us / RECORDS, apply_us / RECORDS, owner_us / RECORDS);
    printf ("batch jobs, %7u, a record %11.2f us\nbackground jobs, %4u, a record %8.2f us\n", s_jobs[0],
            s_jobs_us[0] / RECORDS, s_jobs[1], s_jobs_us[1] / RECORDS);
    s_gets (store, RECORDS - 5000, 5000, "newest, cached");
    s_gets (store, RECORDS / 4, 20000, "older, index and disk");
    s_overwrite (store, RECORDS);
    adr_store_destroy (&store);
    return 0;
}
