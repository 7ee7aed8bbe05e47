/* SPDX-License-Identifier: MPL-2.0 */
/* The store over memory: log, records, jobs, recovery's outcomes. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "memory_disk.h"
#include "store/internal.h"
#include "store_jobs.h"

#include <stdio.h>
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

/* Runs every job that is due, time standing still. The shell waits after that: it must not be told to wake up at once. */
static void
s_run (s_world_t *w)
{
    store_run_jobs (w->store, w->now);
    adr_store_check (w->store);
    assert_true (adr_store_wake_at (w->store) > w->now);
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

/* The journal has every row: once one cannot be read, the next start makes the index anew. */
static void
test_an_index_with_unreadable_rows_is_made_anew (void **state)
{
    s_world_t *w = *state;
    adr_record_t record;
    s_append_op (w, 1, "a", "one");
    s_run (w);
    s_commit_apply (w, 1);
    adr_store_set_unlocked (w->store, 1);
    s_run (w);
    w->now += 1000 * ADR_MS;
    s_run (w);
    assert_int_equal (memory_index_count (w->index), 1);
    memory_index_spoil (w->index);
    s_reopen (w); /* nobody has met it yet */
    assert_int_equal (adr_store_get (w->store, ADR_TABLE_KV, s_text ("a"), true, &record), ADR_STATUS_DAMAGED);
    s_run (w);
    w->options.founding.count = 0; /* who founded a group is told to the first start alone, and stands in no entry */
    s_reopen (w);
    assert_int_equal (w->opening, ADR_STORE_OPENED);
    s_expect (w, "a", "one");
    assert_int_equal (memory_index_count (w->index), 0); /* it is in memory, until it is flushed */
    assert_true (adr_voters_find (adr_store_voters (w->store), &w->options.node, 77) >= 0);
}

/* --- what makes a new incarnation [STORE-4] ------------------------------------------------------------------ */

static void
s_write_some (s_world_t *w, uint64_t term, int count)
{
    for (int i = 0; i < count; i++) {
        s_append_op (w, term, "key", "value");
        s_run (w);
    }
    w->now += 20 * ADR_MS;
    s_run (w);
}

static void
s_expect_amnesia (s_world_t *w)
{
    s_reopen (w);
    assert_int_equal (w->opening, ADR_STORE_AMNESIA);
    assert_true (w->why[0] != '\0');
    assert_int_not_equal (adr_store_incarnation (w->store), 77);
    assert_int_equal (adr_store_last (w->store).index, 0);
    uint64_t incarnation = adr_store_incarnation (w->store);
    s_write_some (w, 9, 2);
    s_reopen (w);
    assert_int_equal (w->opening, ADR_STORE_OPENED);
    assert_int_equal (adr_store_incarnation (w->store), incarnation);
    assert_int_equal (adr_store_last (w->store).index, 2);
}

static void
test_lost_state_environment_is_amnesia (void **state)
{
    s_world_t *w = *state;
    s_write_some (w, 1, 3);
    memory_state_destroy (&w->state);
    w->state = memory_state_create ();
    s_expect_amnesia (w);
}

static void
test_unreadable_state_environment_is_amnesia (void **state)
{
    s_world_t *w = *state;
    s_run (w);
    w->state->unreadable = true;
    s_expect_amnesia (w);
}

/* What the actors told is theirs, but a store that cannot read it back is nobody's who could go on [ELECT-7]. */
static void
test_unreadable_vote_is_amnesia (void **state)
{
    s_world_t *w = *state;
    uint8_t byte;
    adr_state_put_t put = { "vote", s_text ("somebody") };
    assert_int_equal (w->state->state.put (&w->state->state, &put, 1), 0);
    s_run (w);
    s_reopen (w);
    assert_int_equal (w->opening, ADR_STORE_OPENED);
    w->state->unreadable_name = "vote";
    s_expect_amnesia (w);
    assert_int_equal (w->state->state.get (&w->state->state, "vote", &byte, 1), 0);
}

static bool
s_keep_nothing (void *unused)
{
    (void) unused;
    return false;
}

/* A batch that is torn by a kill makes the next start begin the next segment; a power cut then takes the torn bytes
 * away. What is left looks like a journal that ends early, and is none. */
static void
test_a_torn_batch_that_vanishes_is_no_amnesia (void **state)
{
    s_world_t *w = *state;
    s_run (w); /* segments 2 and 3 are prepared */
    s_append_op (w, 1, "a", "one");
    adr_store_job_t *job = adr_store_job_next (w->store, ADR_LANE_SYNC, w->now);
    adr_store_job_write (w->store, job);
    memory_disk_segment (w->disk, 1)->now[job->offset + 200] ^= 1;
    s_reopen (w);
    assert_int_equal (w->opening, ADR_STORE_OPENED);
    s_run (w); /* and now segment 4 */
    memory_disk_t *after = memory_disk_crash (w->disk, s_keep_nothing, NULL);
    adr_store_destroy (&w->store);
    memory_disk_destroy (&w->disk);
    w->disk = after;
    s_open (w);
    assert_int_equal (w->opening, ADR_STORE_OPENED);
    assert_int_equal (adr_store_incarnation (w->store), 77);
}

static void
test_foreign_state_environment_is_amnesia (void **state)
{
    s_world_t *w = *state;
    s_write_some (w, 1, 3);
    w->options.node.bytes[5] = 1;
    s_expect_amnesia (w);
}

static void
test_rolled_back_state_environment_is_amnesia (void **state)
{
    s_world_t *w = *state;
    s_write_some (w, 1, 3);
    memory_state_t *old = memory_state_copy (w->state);
    s_write_some (w, 2, 1); /* a term that the old one does not know */
    memory_state_destroy (&w->state);
    w->state = old;
    s_expect_amnesia (w);
}

static void
test_lost_end_of_the_journal_is_amnesia (void **state)
{
    s_world_t *w = *state;
    s_write_some (w, 1, 80); /* segments of 128 KiB, a block a batch */
    uint64_t numbers[16];
    size_t count;
    assert_int_equal (w->disk->disk.list (&w->disk->disk, numbers, 16, &count), 0);
    assert_true (count >= 5);
    for (size_t i = 1; i < count; i++)
        assert_int_equal (w->disk->disk.remove (&w->disk->disk, numbers[i]), 0);
    s_expect_amnesia (w);
}

/* --- the rest of the contract ------------------------------------------------------------------------------- */

static void
test_cut_replaces_a_suffix_for_good (void **state)
{
    s_world_t *w = *state;
    s_append_op (w, 1, "a", "1");
    s_append_op (w, 1, "a", "2");
    s_append_op (w, 1, "a", "3");
    s_run (w);
    adr_store_cut (w->store, 1);
    assert_int_equal (adr_store_durable (w->store), 1);
    s_append_op (w, 3, "a", "two");
    assert_int_equal (adr_store_first_of_term (w->store, 2), 2);
    s_run (w);
    uint64_t term;
    assert_int_equal (adr_store_last (w->store).index, 2);
    s_reopen (w);
    assert_int_equal (adr_store_last (w->store).index, 2);
    assert_true (adr_store_term_at (w->store, 2, &term) && term == 3);
    assert_false (adr_store_term_at (w->store, 3, &term));
    s_commit_apply (w, 2);
    s_expect (w, "a", "two");
}

/* [READ-5] */
/* Two masters' entries of one index gather in one open batch, which the segment's end splits between them: the second
 * then stands, in what is kept, where the first stood in what goes. */
static void
test_the_largest_entry_goes_with_a_cut (void **state) /* [STORE-12] */
{
    s_world_t *w = *state;
    w->options.segment_bytes = ADR_STORE_SEGMENT_MIN;
    s_reopen (w);
    s_append_op (w, 1, "a", "one");
    s_run (w);
    adr_entry_t *entry = adr_alloc (sizeof *entry);
    *entry = (adr_entry_t){ .kind = ADR_ENTRY_WRITE, .term = 2, .index = 1, .op_count = 2 };
    uint8_t *value = adr_alloc (ADR_ENTRY_MAX), *bytes = adr_alloc (ADR_ENTRY_MAX);
    for (int i = 0; i < 2; i++) {
        entry->op[i].table = ADR_TABLE_KV;
        entry->op[i].key = s_text (i ? "b" : "a");
    }
    entry->op[0].value = adr_bytes (value, ADR_VALUE_MAX);
    entry->op[1].value = adr_bytes (value, ADR_ENTRY_MAX - adr_entry_size (entry));
    assert_int_equal (adr_entry_size (entry), ADR_ENTRY_MAX);
    adr_entry_encode (entry, bytes);
    adr_store_cut (w->store, 0);
    adr_store_append (w->store, entry, adr_bytes (bytes, ADR_ENTRY_MAX));
    s_run (w);
    assert_int_equal (adr_store_durable (w->store), 1);
    free (value);
    free (bytes);
    free (entry);
}

static void
test_a_split_batch_names_the_newest_entrys_place (void **state) /* [STORE-12] */
{
    s_world_t *w = *state;
    char value[3500];
    memset (value, 'x', sizeof value - 1);
    value[sizeof value - 1] = '\0';
    s_append_op (w, 1, NULL, NULL);
    s_run (w);
    uint64_t last = adr_store_last (w->store).index;
    uint64_t term = 2;
    char key[16];
    for (int round = 0; round < 40; round++) { /* several segments' ends */
        s_append_op (w, term++, "lost", "0");
        s_run (w);
        adr_store_cut (w->store, last);
        s_append_op (w, term++, "lost", value);
        adr_store_cut (w->store, last);
        snprintf (key, sizeof key, "kept %d", round);
        s_append_op (w, term++, key, value);
        s_run (w);
        s_commit_apply (w, ++last);
    }
    for (int round = 0; round < 40; round++) { /* most are beyond the cache by now */
        snprintf (key, sizeof key, "kept %d", round);
        s_expect (w, key, value);
    }
}

static void
test_older_versions_are_kept_until_unlocked (void **state)
{
    s_world_t *w = *state;
    adr_record_t record;
    s_append_op (w, 1, "a", "1");
    s_append_op (w, 1, "a", "2");
    s_append_op (w, 1, "a", "3");
    s_run (w);
    s_commit_apply (w, 3);
    assert_int_equal (adr_store_get_unlocked (w->store, ADR_TABLE_KV, s_text ("a"), 2, &record), ADR_STATUS_OK);
    assert_int_equal (record.version.index, 2);
    assert_memory_equal (record.value.data, "2", 1);
    assert_int_equal (adr_store_get_unlocked (w->store, ADR_TABLE_KV, s_text ("a"), 0, &record), ADR_STATUS_NOT_FOUND);
    adr_store_set_unlocked (w->store, 3);
    w->now += 1000 * ADR_MS;
    s_run (w);
    w->now += 1000 * ADR_MS;
    s_run (w);
    assert_int_equal (memory_index_count (w->index), 1);
    assert_int_equal (adr_store_get_unlocked (w->store, ADR_TABLE_KV, s_text ("a"), 2, &record), ADR_STATUS_UNKNOWN);
    assert_int_equal (adr_store_get_unlocked (w->store, ADR_TABLE_KV, s_text ("a"), 3, &record), ADR_STATUS_OK);
}

static bool
s_collect (void *argument, adr_bytes_t key, const adr_record_t *record)
{
    adr_buffer_append (argument, key.data, key.size);
    adr_buffer_append (argument, record->value.data, record->value.size);
    return true;
}

static void
s_expect_scan (s_world_t *w, const char *prefix, const char *after, const char *expected)
{
    adr_buffer_t found = { 0 };
    assert_int_equal (adr_store_scan (w->store, ADR_TABLE_KV, s_text (prefix), after ? s_text (after) : (adr_bytes_t){ 0 },
                                      true, s_collect, &found), ADR_STATUS_OK);
    adr_buffer_append (&found, "", 1);
    assert_string_equal ((const char *) found.data, expected);
    adr_buffer_free (&found);
}

static void
test_scan_merges_index_and_memory (void **state)
{
    s_world_t *w = *state;
    s_append_op (w, 1, "a", "1");
    s_append_op (w, 1, "b", "1");
    s_append_op (w, 1, "ba", "1");
    s_append_op (w, 1, "d", "1");
    s_run (w);
    s_commit_apply (w, 4);
    adr_store_set_unlocked (w->store, 4);
    s_run (w);
    w->now += 1000 * ADR_MS;
    s_run (w);
    assert_int_equal (memory_index_count (w->index), 4);
    s_append_op (w, 1, "b", "2");
    s_append_op (w, 1, "c", "2");
    s_append_op (w, 1, "d", NULL);
    s_run (w);
    s_commit_apply (w, 7);
    s_expect_scan (w, "", NULL, "a1b2ba1c2");
    s_expect_scan (w, "b", NULL, "b2ba1");
    s_expect_scan (w, "", "b", "ba1c2");
    s_expect_scan (w, "b", "b", "ba1");
    s_expect_scan (w, "x", NULL, "");
}

/* Flips a bit in the frame of that entry; positions stand in batch headers, too. */
static void
s_flip (s_world_t *w, uint64_t term, uint64_t index)
{
    uint8_t position[16];
    adr_put_u64 (position, term);
    adr_put_u64 (position + 8, index);
    for (size_t i = 0; i < w->disk->count; i++)
        for (uint64_t at = 24; at + 24 <= w->disk->segment[i].size; at++)
            if (memcmp (w->disk->segment[i].now + at, position, 16) == 0
                && w->disk->segment[i].now[at - 20] == ADR_FRAME_ENTRY)
                w->disk->segment[i].now[at + 20] ^= 1;
}

/* [STORE-5] An entry that cannot be read any more is a missing copy until it comes again. */
static void
test_an_entry_lost_at_run_time_is_missing_until_it_is_refilled (void **state)
{
    s_world_t *w = *state;
    adr_status_t status;
    adr_buffer_t bytes = { 0 };
    w->options.cache_bytes = 0;
    s_reopen (w);
    for (uint64_t index = 1; index <= 5; index++) {
        s_append_op (w, 1, "a", index == 3 ? "three" : "else");
        s_run (w); /* each in a batch of its own */
    }
    s_commit_apply (w, 3);
    adr_store_set_commit (w->store, 4);
    assert_int_equal (adr_store_read_log (w->store, 3, 1, &bytes, &status), 1);
    assert_false (adr_store_lose (w->store, 5)); /* above the commit index: not for us to say */
    assert_false (adr_store_lose (w->store, 6));
    assert_false (adr_store_lose (w->store, 3)); /* it can be read */
    s_flip (w, 1, 3);
    assert_true (adr_store_lose (w->store, 3));
    assert_false (adr_store_lose (w->store, 3));
    assert_false (adr_store_reread (w->store));
    s_flip (w, 1, 3);
    assert_true (adr_store_reread (w->store));
    assert_int_equal (adr_store_missing_from (w->store), 0);
    s_flip (w, 1, 3);
    assert_true (adr_store_lose (w->store, 3));
    adr_store_check (w->store);
    assert_int_equal (adr_store_missing_from (w->store), 3);
    assert_int_equal (adr_store_durable (w->store), 2);
    assert_int_equal (adr_store_last (w->store).index, 5);
    static adr_entry_t entry;
    assert_int_not_equal (adr_entry_decode (&entry, adr_bytes (bytes.data, bytes.size)), 0);
    assert_true (adr_store_refill (w->store, &entry, adr_bytes (bytes.data, bytes.size)));
    adr_buffer_free (&bytes);
    assert_int_equal (adr_store_missing_from (w->store), 0);
    s_run (w);
    assert_int_equal (adr_store_durable (w->store), 5);
    s_expect (w, "a", "three"); /* the row names the new place */
    s_reopen (w);
    assert_int_equal (w->opening, ADR_STORE_OPENED);
    assert_int_equal (adr_store_last (w->store).index, 5);
}

/* A log that has begun keeps an entry that no cut takes: its log time is what the next master goes on from [PART-4]. */
static void
test_a_trimmed_log_is_never_empty (void **state)
{
    s_world_t *w = *state;
    adr_status_t status;
    adr_buffer_t bytes = { 0 };
    w->options.log_keep_max = 1;
    s_reopen (w);
    for (uint64_t index = 1; index <= 5; index++)
        s_append_op (w, 1, "a", "value");
    s_run (w);
    s_commit_apply (w, 4);
    adr_store_set_unlocked (w->store, 4);
    s_run (w);
    w->now += 1000 * ADR_MS;
    s_run (w);
    assert_int_not_equal (adr_store_log_start (w->store).index, 0);
    adr_store_cut (w->store, 4);
    s_run (w);
    s_reopen (w);
    assert_int_equal (w->opening, ADR_STORE_OPENED);
    assert_int_equal (adr_store_last (w->store).index, 4);
    assert_int_equal (adr_store_read_log (w->store, 4, 1, &bytes, &status), 1);
    adr_buffer_free (&bytes);
}

/* [STORE-11] */
static void
test_full_disk_refuses_but_goes_on (void **state)
{
    s_world_t *w = *state;
    s_run (w);
    assert_int_equal (adr_store_space (w->store), ADR_SPACE_OK);
    w->disk->free_bytes = 1000;
    w->now += 2000 * ADR_MS;
    s_write_some (w, 1, 1);
    assert_int_equal (adr_store_space (w->store), ADR_SPACE_SECOND_MARK);
    s_write_some (w, 2, 40); /* the reserve: two segments that are written already */
    assert_int_equal (adr_store_durable (w->store), 41);
    w->disk->free_bytes = UINT64_C (1) << 40;
    w->now += 3000 * ADR_MS;
    s_run (w);
    w->now += 3000 * ADR_MS;
    s_run (w);
    assert_int_equal (adr_store_space (w->store), ADR_SPACE_OK);
}

/* Whatever waits for space: s_run looks. */
static void
test_a_full_disk_costs_no_processor_time (void **state)
{
    s_world_t *w = *state;
    s_write_some (w, 1, 1);
    s_commit_apply (w, 1);
    adr_store_set_unlocked (w->store, 1);
    s_run (w);
    w->now += 600 * ADR_MS; /* a flush becomes due between two tries to make a segment */
    w->disk->free_bytes = 0;
    s_write_some (w, 2, 40);
    for (int i = 0; i < 20; i++) {
        w->now += 100 * ADR_MS;
        s_run (w);
    }
    for (int i = 0; i < 2000; i++) /* they fill what is prepared; the rest waits */
        s_append_op (w, 3, "key", "value");
    s_run (w);
    assert_true (adr_store_durable (w->store) < adr_store_last (w->store).index);
    w->disk->free_bytes = UINT64_C (1) << 40;
    w->now += 2000 * ADR_MS;
    s_write_some (w, 3, 1);
    assert_int_equal (adr_store_durable (w->store), adr_store_last (w->store).index);
    w->disk->free_bytes = 0;
    w->now += 2000 * ADR_MS;
    s_write_some (w, 3, 1);
    while (adr_journal_left (w->store) > 0) { /* the last batch finds no space for its witness */
        s_append_op (w, 4, "key", "value");
        s_run (w);
    }
    w->now += 20 * ADR_MS;
    s_run (w);
}

static adr_entry_t
s_entry (adr_entry_kind_t kind, uint8_t table, uint16_t flags)
{
    adr_entry_t entry = { .kind = kind, .term = 9, .index = 1, .op_count = kind == ADR_ENTRY_OPEN ? 0 : 1 };
    entry.op[0].table = table;
    entry.op[0].flags = (uint8_t) flags;
    entry.op[0].key = s_text ("key");
    return entry;
}

static void
test_the_reserve_is_for_what_holds_the_group_together (void **state) /* [STORE-11] */
{
    s_world_t *w = *state;
    adr_entry_t put = s_entry (ADR_ENTRY_WRITE, ADR_TABLE_KV, 0), deletes = s_entry (ADR_ENTRY_WRITE, ADR_TABLE_KV, ADR_OP_DELETE),
                garbage = s_entry (ADR_ENTRY_WRITE, ADR_TABLE_GARBAGE, 0), open = s_entry (ADR_ENTRY_OPEN, 0, 0),
                voters = s_entry (ADR_ENTRY_VOTERS, ADR_TABLE_GROUP, 0);
    s_run (w);
    assert_true (adr_store_takes (w->store, &put));
    w->disk->free_bytes = 0;
    w->now += 2000 * ADR_MS;
    s_write_some (w, 1, 1);
    assert_int_equal (adr_store_space (w->store), ADR_SPACE_SECOND_MARK);
    assert_false (adr_store_takes (w->store, &put));
    assert_true (adr_store_takes (w->store, &deletes) && adr_store_takes (w->store, &garbage));
    assert_true (adr_store_takes (w->store, &open) && adr_store_takes (w->store, &voters));
    while (adr_store_space (w->store) == ADR_SPACE_SECOND_MARK)
        s_write_some (w, 2, 1);
    assert_int_equal (adr_store_space (w->store), ADR_SPACE_LAST);
    assert_false (adr_store_takes (w->store, &deletes) || adr_store_takes (w->store, &garbage));
    int more = 0;
    for (; adr_store_takes (w->store, &open); more++)
        s_write_some (w, 3, 1);
    assert_true (more > 3);
    assert_false (adr_store_takes (w->store, &voters));
    assert_int_equal (adr_store_durable (w->store), adr_store_last (w->store).index); /* all that was taken has its place */
    s_reopen (w); /* one segment was left for this */
    assert_int_equal (w->opening, ADR_STORE_OPENED);
    assert_true (adr_store_takes (w->store, &open));
}

/* [STORE-11] A start costs the tail's copy and a seal, not a segment; a full disk stops none. */
static void
test_starts_use_up_no_segments (void **state)
{
    s_world_t *w = *state;
    s_write_some (w, 1, 40);
    s_reopen (w);
    s_run (w);
    uint64_t before = w->disk->free_bytes, last = adr_store_last (w->store).index;
    for (int i = 0; i < 10; i++) {
        s_write_some (w, 1, 1);
        s_reopen (w);
        assert_int_equal (w->opening, ADR_STORE_OPENED);
        s_run (w);
    }
    assert_true (before - w->disk->free_bytes <= 10 * 10 * 4096);
    w->disk->free_bytes = 0;
    for (int i = 0; i < 15; i++) { /* each uses up four blocks of the two prepared segments, of 128 KiB here */
        s_reopen (w);
        assert_int_equal (w->opening, ADR_STORE_OPENED);
        w->now += 2000 * ADR_MS;
        s_run (w);
    }
    assert_int_equal (adr_store_last (w->store).index, last + 10);
    w->disk->free_bytes = UINT64_C (1) << 40; /* and the reserve is made again */
    for (int i = 0; i < 3; i++) {
        w->now += 2000 * ADR_MS;
        s_run (w);
    }
    assert_int_equal (adr_store_space (w->store), ADR_SPACE_OK);
    s_write_some (w, 1, 80);
    s_commit_apply (w, last + 90);
    s_expect (w, "key", "value");
}

/* Nobody knows yet that the disk is full, and batches go on until they find no segment: the last one that was prepared
 * is the next start's all the same. */
static void
test_a_disk_that_fills_up_between_two_looks (void **state) /* [STORE-11] */
{
    s_world_t *w = *state;
    s_write_some (w, 1, 10);
    w->disk->free_bytes = 0;
    while (adr_store_durable (w->store) == adr_store_last (w->store).index) {
        s_append_op (w, 1, "key", "value");
        s_run (w);
    }
    uint64_t durable = adr_store_durable (w->store);
    s_reopen (w);
    assert_int_equal (w->opening, ADR_STORE_OPENED);
    assert_int_equal (adr_store_last (w->store).index, durable);
}

/* A segment that was cut to what it holds ends with a seal; one that lost its end does not. */
static void
test_a_segment_without_its_end_is_no_sealed_one (void **state) /* [STORE-4] */
{
    s_world_t *w = *state;
    s_write_some (w, 1, 40);
    s_reopen (w);
    s_run (w);
    assert_true (memory_disk_segment (w->disk, 2)->size < w->options.segment_bytes);
    s_reopen (w);
    assert_int_equal (w->opening, ADR_STORE_OPENED);
    assert_int_equal (adr_store_last (w->store).index, 40);
    uint64_t numbers[16], newest = 0;
    size_t count;
    assert_int_equal (w->disk->disk.list (&w->disk->disk, numbers, 16, &count), 0);
    for (size_t i = 0; i < count; i++) { /* the last one that has a batch */
        memory_segment_t *segment = memory_disk_segment (w->disk, numbers[i]);
        if (memcmp (segment->now + 2 * 4096, "ABAT", 4) == 0)
            newest = numbers[i];
    }
    assert_int_equal (w->disk->disk.truncate (&w->disk->disk, newest, 3 * 4096), 0);
    s_expect_amnesia (w);
}

static int (*s_real_read) (adr_disk_t *, uint64_t, uint64_t, void *, size_t);
static int s_reads_to_fail;

static int
s_failing_read (adr_disk_t *disk, uint64_t number, uint64_t offset, void *data, size_t size)
{
    return s_reads_to_fail-- > 0 ? 5 : s_real_read (disk, number, offset, data, size);
}

static void
test_a_read_that_succeeds_when_repeated_is_counted (void **state) /* invariant 12 */
{
    s_world_t *w = *state;
    adr_buffer_t bytes = { 0 };
    adr_status_t status;
    s_write_some (w, 1, 3);
    w->options.cache_bytes = 0;
    s_reopen (w);
    s_real_read = w->disk->disk.read;
    w->disk->disk.read = s_failing_read;
    s_reads_to_fail = 1;
    assert_int_equal (adr_store_read_log (w->store, 1, 1, &bytes, &status), 1);
    assert_int_equal (adr_store_read_retries (w->store), 1);
    adr_buffer_free (&bytes);
}

/* [STORE-8] What compaction or repair places in the journal is a copy of a record, never log. */
static void
test_copies_are_never_log (void **state)
{
    s_world_t *w = *state;
    s_write_some (w, 1, 3);
    adr_entry_t entry = s_entry (ADR_ENTRY_WRITE, ADR_TABLE_KV, 0);
    entry.index = 4; /* as if it were the next one of the log */
    uint8_t bytes[512];
    size_t size = adr_entry_size (&entry);
    adr_entry_encode (&entry, bytes);
    adr_item_t nowhere;
    adr_journal_append (w->store, ADR_FRAME_COPY, adr_bytes (bytes, size), &nowhere);
    s_run (w);
    for (int i = 0; i < 2; i++) {
        assert_int_equal (adr_store_last (w->store).index, 3);
        assert_int_equal (adr_store_last (w->store).term, 1);
        s_reopen (w);
        assert_int_equal (w->opening, ADR_STORE_OPENED);
    }
    s_write_some (w, 1, 1);
    s_reopen (w);
    assert_int_equal (adr_store_last (w->store).index, 4);
}

static void
test_failed_sync_is_an_error_of_the_job (void **state)
{
    s_world_t *w = *state;
    s_run (w);
    s_append_op (w, 1, "a", "1");
    adr_store_job_t *job = adr_store_job_next (w->store, ADR_LANE_SYNC, w->now);
    adr_store_job_write (w->store, job);
    w->disk->fail_sync = 5;
    adr_store_job_sync (w->store, job);
    assert_int_equal (job->error, 5);
    assert_int_equal (adr_store_durable (w->store), 0);
}

#define S_TEST(name) cmocka_unit_test_setup_teardown (name, s_set_up, s_tear_down)

int
main (void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown (test_new_store_is_reopened_with_its_identity, s_set_up, s_tear_down),
        cmocka_unit_test_setup_teardown (test_written_applied_flushed_reopened, s_set_up, s_tear_down),
        S_TEST (test_an_index_with_unreadable_rows_is_made_anew),
        S_TEST (test_lost_state_environment_is_amnesia),
        S_TEST (test_unreadable_state_environment_is_amnesia),
        S_TEST (test_unreadable_vote_is_amnesia),
        S_TEST (test_a_torn_batch_that_vanishes_is_no_amnesia),
        S_TEST (test_foreign_state_environment_is_amnesia),
        S_TEST (test_rolled_back_state_environment_is_amnesia),
        S_TEST (test_lost_end_of_the_journal_is_amnesia),
        S_TEST (test_cut_replaces_a_suffix_for_good),
        S_TEST (test_the_largest_entry_goes_with_a_cut),
        S_TEST (test_a_split_batch_names_the_newest_entrys_place),
        S_TEST (test_older_versions_are_kept_until_unlocked),
        S_TEST (test_scan_merges_index_and_memory),
        S_TEST (test_an_entry_lost_at_run_time_is_missing_until_it_is_refilled),
        S_TEST (test_a_trimmed_log_is_never_empty),
        S_TEST (test_full_disk_refuses_but_goes_on),
        S_TEST (test_a_full_disk_costs_no_processor_time),
        S_TEST (test_the_reserve_is_for_what_holds_the_group_together),
        S_TEST (test_starts_use_up_no_segments),
        S_TEST (test_a_disk_that_fills_up_between_two_looks),
        S_TEST (test_a_segment_without_its_end_is_no_sealed_one),
        S_TEST (test_a_read_that_succeeds_when_repeated_is_counted),
        S_TEST (test_copies_are_never_log),
        S_TEST (test_failed_sync_is_an_error_of_the_job),
    };
    return cmocka_run_group_tests (tests, NULL, NULL);
}
