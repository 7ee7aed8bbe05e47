/* SPDX-License-Identifier: MPL-2.0 */
/* The store over memory: log, records, jobs, recovery's outcomes. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "memory_disk.h"
#include "store/store.h"

#include <stdlib.h>

typedef struct {
    memory_disk_t *disk;
    memory_state_t *state;
    memory_index_t *index;
    memory_entropy_t entropy;
    adr_store_options_t options;
    adr_store_t *store;
    adr_store_opening_t opening;
    char why[256];
    int64_t now;
} s_world_t;

static void
s_open (s_world_t *w)
{
    w->opening = adr_store_open (&w->store, &w->options, &w->disk->disk, &w->state->state, memory_index_of (w->index),
                                 &w->entropy.entropy, w->why, sizeof w->why);
    if (w->store)
        adr_store_check (w->store);
}

static int
s_set_up (void **state)
{
    s_world_t *w = adr_alloc (sizeof *w);
    w->disk = memory_disk_create ();
    w->state = memory_state_create ();
    w->index = memory_index_create ();
    memory_entropy_init (&w->entropy, 7);
    w->options = (adr_store_options_t){ .segment_bytes = 128 * 1024, .flush_bytes = 1024 * 1024,
                                        .flush_every_ns = 1000 * ADR_MS, .cache_bytes = 64 * 1024,
                                        .memory_max_bytes = 16 * 1024 * 1024, .first_incarnation = 77 };
    w->options.node.bytes[0] = 1;
    w->options.group.bytes[0] = 2;
    w->options.cluster.bytes[0] = 3;
    w->options.founding.count = 1;
    w->options.founding.quorum = 1;
    w->options.founding.voter[0].node = w->options.node;
    w->options.founding.voter[0].incarnation = 77;
    s_open (w);
    *state = w;
    return 0;
}

static int
s_tear_down (void **state)
{
    s_world_t *w = *state;
    adr_store_destroy (&w->store);
    memory_disk_destroy (&w->disk);
    memory_state_destroy (&w->state);
    memory_index_destroy (&w->index);
    free (w);
    return 0;
}

/* Runs every job that is due, time standing still. */
static void
s_run (s_world_t *w)
{
    bool any = true;
    while (any) {
        any = false;
        for (int lane = 0; lane < ADR_LANE_COUNT; lane++) {
            adr_store_job_t *job = adr_store_job_next (w->store, (adr_lane_t) lane, w->now);
            if (!job)
                continue;
            any = true;
            adr_store_job_write (w->store, job);
            adr_store_job_sync (w->store, job);
            assert_int_equal (job->error, 0);
            adr_store_job_done (w->store, job);
        }
    }
    adr_store_check (w->store);
}

static void
s_reopen (s_world_t *w)
{
    adr_store_destroy (&w->store);
    s_open (w);
}

static adr_bytes_t
s_text (const char *text)
{
    return adr_bytes (text, strlen (text));
}

static void
s_append_op (s_world_t *w, uint64_t term, const char *key, const char *value)
{
    adr_entry_t entry = { .kind = value || key ? ADR_ENTRY_WRITE : ADR_ENTRY_OPEN, .term = term,
                          .index = adr_store_last (w->store).index + 1, .time_ms = 1000 };
    if (key) {
        entry.op_count = 1;
        entry.op[0].table = ADR_TABLE_KV;
        entry.op[0].key = s_text (key);
        if (value)
            entry.op[0].value = s_text (value);
        else
            entry.op[0].flags = ADR_OP_DELETE;
        adr_value_digest (entry.op[0].value, entry.op[0].digest);
    }
    uint8_t bytes[4096];
    size_t size = adr_entry_size (&entry);
    adr_entry_encode (&entry, bytes);
    adr_store_append (w->store, &entry, adr_bytes (bytes, size));
}

static void
s_commit_apply (s_world_t *w, uint64_t to)
{
    adr_store_set_commit (w->store, to);
    while (adr_store_applied (w->store) < to) {
        const adr_entry_t *entry;
        assert_int_equal (adr_store_apply (w->store, &entry), ADR_STATUS_OK);
        assert_int_equal (entry->index, adr_store_applied (w->store));
    }
}

static void
s_expect (s_world_t *w, const char *key, const char *value)
{
    adr_record_t record;
    adr_status_t status = adr_store_get (w->store, ADR_TABLE_KV, s_text (key), true, &record);
    if (!value) {
        assert_true (status == ADR_STATUS_NOT_FOUND || (status == ADR_STATUS_OK && record.deleted));
        return;
    }
    assert_int_equal (status, ADR_STATUS_OK);
    assert_int_equal (record.value.size, strlen (value));
    assert_memory_equal (record.value.data, value, record.value.size);
}

static void
test_new_store_is_reopened_with_its_identity (void **state)
{
    s_world_t *w = *state;
    assert_int_equal (w->opening, ADR_STORE_NEW);
    assert_int_equal (adr_store_incarnation (w->store), 77);
    assert_int_equal (adr_store_boot (w->store), 1);
    assert_int_equal (adr_store_voters (w->store)->count, 1);
    s_run (w);
    s_reopen (w);
    assert_int_equal (w->opening, ADR_STORE_OPENED);
    assert_int_equal (adr_store_incarnation (w->store), 77);
    assert_int_equal (adr_store_boot (w->store), 2);
    assert_int_equal (adr_store_voters (w->store)->count, 1);
}

static void
test_written_applied_flushed_reopened (void **state)
{
    s_world_t *w = *state;
    s_append_op (w, 1, NULL, NULL);
    s_append_op (w, 1, "a", "one");
    s_append_op (w, 1, "b", "two");
    assert_int_equal (adr_store_durable (w->store), 0);
    s_run (w);
    assert_int_equal (adr_store_durable (w->store), 3);
    s_commit_apply (w, 3);
    s_expect (w, "a", "one");
    s_append_op (w, 1, "a", "three");
    s_append_op (w, 1, "b", NULL);
    s_run (w);
    s_commit_apply (w, 5);
    adr_store_set_unlocked (w->store, 5);
    s_expect (w, "a", "three");
    s_expect (w, "b", NULL);
    w->now += 20 * ADR_MS; /* the witness, which records the commit index */
    s_run (w);
    s_reopen (w);
    assert_int_equal (w->opening, ADR_STORE_OPENED);
    assert_int_equal (adr_store_commit (w->store), 5);
    assert_int_equal (adr_store_applied (w->store), 5);
    s_expect (w, "a", "three");
    adr_store_set_unlocked (w->store, 5);
    s_run (w);
    w->now += 1000 * ADR_MS;
    s_run (w);
    assert_int_equal (memory_index_count (w->index), 2);
    s_expect (w, "a", "three");
    s_expect (w, "b", NULL);
    s_reopen (w);
    assert_int_equal (w->opening, ADR_STORE_OPENED);
    s_expect (w, "a", "three");
    s_expect (w, "b", NULL);
}

int
main (void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown (test_new_store_is_reopened_with_its_identity, s_set_up, s_tear_down),
        cmocka_unit_test_setup_teardown (test_written_applied_flushed_reopened, s_set_up, s_tear_down),
    };
    return cmocka_run_group_tests (tests, NULL, NULL);
}
