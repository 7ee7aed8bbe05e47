/* SPDX-License-Identifier: MPL-2.0 */
/* The store over memory: what of a segment counts, segments that go, an index that is made anew from what is left
 * [STORE-6, STORE-8, STORE-9]. */

#include "store_fixture.h"

#include "store/internal.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

/* --- what is looked at ------------------------------------------------------------------------------------- */

static uint64_t
s_live_of_rows (fixture_t *w, uint64_t number)
{
    adr_index_t *index = memory_index_of (w->index);
    uint64_t live = 0;
    for (int table = 0; table < ADR_TABLE_COUNT; table++) {
        adr_index_cursor_t *cursor;
        adr_bytes_t key;
        adr_index_row_t row;
        assert_int_equal (index->seek (index, (uint8_t) table, adr_bytes (NULL, 0), &cursor), 0);
        while (index->next (index, cursor, &key, &row) == 0)
            if (row.place.segment == number)
                live += adr_account_share (key, &row);
        index->close (index, &cursor);
    }
    return live;
}

/* The accounts are what a count of the index's rows gives, and no row stands in a segment that is gone. */
static void
s_check_accounts (fixture_t *w)
{
    for (uint64_t number = 1; number <= w->store->journal.newest; number++) {
        const adr_segment_t *segment = adr_journal_segment (w->store, number);
        bool is_here = memory_disk_segment (w->disk, number) != NULL;
        uint64_t live = s_live_of_rows (w, number);
        assert_int_equal (live, segment ? segment->live : 0);
        assert_true (is_here || live == 0);
        assert_true (is_here || !segment || segment->removed);
    }
}

static size_t
s_segments (fixture_t *w)
{
    uint64_t numbers[256];
    size_t count;
    assert_int_equal (w->disk->disk.list (&w->disk->disk, numbers, 256, &count), 0);
    return count;
}

/* --- what is done ------------------------------------------------------------------------------------------ */

static void
s_keep (fixture_t *w, uint64_t log_keep_max)
{
    w->options.log_keep_max = log_keep_max;
    fixture_reopen (w);
}

/* All that is applied goes to the index, and what that sets free. */
static void
s_flush (fixture_t *w)
{
    adr_store_set_unlocked (w->store, adr_store_applied (w->store));
    for (int i = 0; i < 4; i++) {
        w->now += 2000 * ADR_MS;
        fixture_run (w);
    }
}

/* A batch, which takes a block: some thirty fill a segment. */
static void
s_put (fixture_t *w, uint64_t term, const char *key, const char *value)
{
    fixture_append (w, term, key, value);
    fixture_run (w);
    fixture_apply (w, adr_store_last (w->store).index);
}

static void
s_fill (fixture_t *w, uint64_t term, int count)
{
    for (int i = 0; i < count; i++)
        s_put (w, term, "filler", "of no interest, but long enough that it takes a little space in the log");
    s_flush (w);
}

static void
s_lose_index (fixture_t *w)
{
    adr_store_destroy (&w->store);
    memory_index_destroy (&w->index);
    w->index = memory_index_create ();
    fixture_open (w);
}

/* --- accounts ---------------------------------------------------------------------------------------------- */

static void
test_accounts_are_exact (void **state) /* [STORE-8] */
{
    fixture_t *w = *state;
    adr_random_t random = { 5 };
    s_keep (w, 3000);
    for (int i = 0; i < 400; i++) {
        char key[16], value[256] = { 0 };
        snprintf (key, sizeof key, "key-%d", (int) adr_random_between (&random, 0, 30));
        memset (value, 'x', (size_t) adr_random_between (&random, 0, 200));
        s_put (w, 1, key, adr_random_between (&random, 0, 9) ? value : NULL);
        if (i % 20 == 0) {
            s_flush (w);
            s_check_accounts (w);
        }
        if (i % 50 == 0) {
            fixture_reopen (w);
            s_check_accounts (w);
        }
    }
    s_lose_index (w);
    s_flush (w);
    s_check_accounts (w);
}

static void
test_the_share_of_an_operation (void **state)
{
    (void) state;
    adr_index_row_t row = { .value_size = 100, .place = { .size = 16 + 52 + 24 + 3 + 100 } };
    assert_int_equal (adr_account_share (adr_bytes ("key", 3), &row), row.place.size); /* it alone keeps the frame */
    row.place.size += 500;
    assert_int_equal (adr_account_share (adr_bytes ("key", 3), &row), 24 + 3 + 100);
}

/* --- segments that go -------------------------------------------------------------------------------------- */

static void
test_segments_without_a_live_row_go (void **state) /* [STORE-8] */
{
    fixture_t *w = *state;
    s_keep (w, 3000);
    s_fill (w, 1, 400);
    assert_true (s_segments (w) < 8);
    assert_true (w->store->journal.first_segment > 5);
    s_check_accounts (w);
    fixture_reopen (w);
    assert_int_equal (w->opening, ADR_STORE_OPENED);
    assert_int_equal (adr_store_lost_segments (w->store), 0);
    s_put (w, 1, "filler", "new");
    fixture_expect (w, "filler", "new");
}

static void
test_a_log_that_is_kept_keeps_its_segments (void **state)
{
    fixture_t *w = *state;
    s_keep (w, 1024 * 1024);
    s_fill (w, 1, 200);
    assert_int_equal (w->store->journal.first_segment, 1);
    adr_buffer_t bytes = { 0 };
    adr_status_t status;
    assert_int_equal (adr_store_read_log (w->store, 1, 1, &bytes, &status), 1);
    adr_buffer_free (&bytes);
}

/* A row that stays keeps its segment; those around it go. */
static void
s_make_a_gap (fixture_t *w)
{
    s_keep (w, 3000);
    s_put (w, 1, "stays", "here");
    s_fill (w, 1, 40);
    s_fill (w, 2, 200);
    assert_non_null (memory_disk_segment (w->disk, 1 + (w->store->journal.first_segment > 1)));
    assert_true (adr_journal_segment (w->store, w->store->journal.first_segment)->live > 0);
    assert_true (adr_journal_segment (w->store, w->store->journal.first_segment + 1)->removed);
}

static void
test_segments_go_from_the_middle (void **state) /* [STORE-8] */
{
    fixture_t *w = *state;
    s_make_a_gap (w);
    for (int i = 0; i < 3; i++) {
        fixture_reopen (w);
        assert_int_equal (w->opening, ADR_STORE_OPENED);
        assert_int_equal (adr_store_lost_segments (w->store), 0);
        fixture_expect (w, "stays", "here");
        s_fill (w, 2, 10);
        s_check_accounts (w);
    }
}

static void
test_a_lost_segment_is_no_removed_one (void **state) /* [STORE-8] */
{
    fixture_t *w = *state;
    s_make_a_gap (w);
    uint64_t first = w->store->journal.first_segment;
    adr_store_destroy (&w->store);
    assert_int_equal (w->disk->disk.remove (&w->disk->disk, first), 0);
    fixture_open (w);
    assert_int_equal (w->opening, ADR_STORE_OPENED);
    assert_int_equal (adr_store_lost_segments (w->store), 1);
    adr_record_t record;
    assert_int_equal (adr_store_get (w->store, ADR_TABLE_KV, fixture_text ("stays"), true, &record), ADR_STATUS_DAMAGED);
    s_put (w, 2, "stays", "again"); /* what holds nothing that counts goes, lost or not */
    s_fill (w, 2, 1);
    fixture_reopen (w);
    assert_int_equal (adr_store_lost_segments (w->store), 0);
    fixture_expect (w, "stays", "again");
}

/* Runs the jobs of that lane; the one of that name only until it is written, and returns it. */
static adr_store_job_t *
s_run_lane (fixture_t *w, adr_lane_t lane, const char *name)
{
    adr_store_job_t *job;
    while ((job = adr_store_job_next (w->store, lane, w->now)) != NULL) {
        adr_store_job_write (w->store, job);
        if (name && strcmp (job->name, name) == 0)
            return job;
        adr_store_job_sync (w->store, job);
        assert_int_equal (job->error, 0);
        adr_store_job_done (w->store, job);
    }
    return NULL;
}

/* The power goes between the note and the unlink, or before the folder was synced: it is noted, and still there. */
static void
test_a_noted_segment_goes_at_the_next_start (void **state) /* [STORE-8] */
{
    fixture_t *w = *state;
    s_keep (w, 3000);
    s_fill (w, 1, 60);
    adr_store_job_t *job = NULL;
    for (int i = 0; i < 200 && !job; i++) {
        fixture_append (w, 1, "filler", "value");
        s_run_lane (w, ADR_LANE_SYNC, NULL);
        fixture_apply (w, adr_store_last (w->store).index);
        adr_store_set_unlocked (w->store, adr_store_applied (w->store));
        w->now += 2000 * ADR_MS;
        job = s_run_lane (w, ADR_LANE_BACKGROUND, "remove");
    }
    assert_non_null (job);
    uint64_t number = w->store->background.segment.number;
    assert_non_null (memory_disk_segment (w->disk, number));
    fixture_reopen (w);
    assert_int_equal (w->opening, ADR_STORE_OPENED);
    assert_null (memory_disk_segment (w->disk, number));
    assert_int_equal (adr_store_lost_segments (w->store), 0);
    s_fill (w, 1, 60);
    fixture_expect (w, "filler", "of no interest, but long enough that it takes a little space in the log");
}

/* What a reader may find in memory keeps its segment. */
static void
test_a_row_in_memory_keeps_its_segment (void **state) /* [STORE-8] */
{
    fixture_t *w = *state;
    s_make_a_gap (w);
    uint64_t first = w->store->journal.first_segment;
    adr_index_row_t row;
    assert_int_equal (adr_store_row (w->store, ADR_TABLE_KV, fixture_text ("stays"), &row), 0);
    adr_memtable_put (w->store->active, ADR_TABLE_KV, fixture_text ("another"), &row, 0);
    s_put (w, 2, "stays", "elsewhere");
    adr_store_set_unlocked (w->store, 1); /* nothing is flushed */
    assert_true (adr_memtable_least_segment (w->store->active) == first);
    adr_journal_segment (w->store, first)->live = 0;
    assert_false (adr_compaction_remove_next (w->store));
}

/* --- the log's start --------------------------------------------------------------------------------------- */

static void
test_members_need_less_than_the_log_may_hold (void **state) /* [REPAIR-6] */
{
    fixture_t *w = *state;
    s_keep (w, 40000);
    s_fill (w, 1, 100);
    uint64_t last = adr_store_last (w->store).index;
    assert_int_equal (adr_store_log_start (w->store).index, 0);
    adr_store_keep_from (w->store, 60);
    fixture_run (w);
    assert_int_equal (adr_store_log_start (w->store).index, 60);
    s_fill (w, 1, 200);
    assert_int_equal (adr_store_log_start (w->store).index, 60); /* somebody needs the next one */
    s_fill (w, 1, 400);
    assert_true (adr_store_log_start (w->store).index > last); /* but not at that price */
}

static adr_log_t
s_log_of_terms (uint64_t from, uint64_t to)
{
    adr_log_t log;
    static const adr_voters_t s_none;
    adr_log_init (&log, 0);
    adr_log_reset (&log, (adr_position_t){ 0, 0 }, &s_none);
    for (uint64_t term = from; term <= to; term++)
        for (int i = 0; i < 2; i++)
            adr_log_append (&log, &(adr_entry_t){ .kind = ADR_ENTRY_WRITE, .term = term, .index = log.last.index + 1 }, 100);
    return log;
}

static void
test_history_tells_what_the_log_had (void **state) /* [STORE-6] */
{
    (void) state;
    static adr_history_t history, again;
    static uint8_t bytes[ADR_HISTORY_BYTES_MAX];
    adr_log_t log = s_log_of_terms (1, ADR_HISTORY_MAX + 10);
    adr_history_init (&history, 0);
    assert_int_equal (adr_history_extend (&history, &log, 5), 5);
    assert_true (adr_history_is_genuine (&history, (adr_position_t){ 3, 5 }));
    assert_false (adr_history_is_genuine (&history, (adr_position_t){ 3, 6 }));
    assert_false (adr_history_is_genuine (&history, (adr_position_t){ 2, 5 }));
    adr_log_trim (&log, 5);
    assert_int_equal (adr_history_extend (&history, &log, 6), 6);
    assert_int_equal (history.count, 3); /* the same run goes on */
    adr_log_trim (&log, 6);
    assert_int_equal (adr_history_extend (&history, &log, log.last.index), 2 * ADR_HISTORY_MAX); /* it is full */
    assert_int_equal (history.count, ADR_HISTORY_MAX);
    assert_true (adr_history_decode (&again, adr_bytes (bytes, adr_history_encode (&history, bytes))));
    assert_memory_equal (&again, &history, sizeof history);
    adr_history_prune (&history, 5);
    assert_int_equal (history.count, ADR_HISTORY_MAX - 2);
    assert_false (adr_history_is_genuine (&history, (adr_position_t){ 2, 4 }));
    assert_true (adr_history_is_genuine (&history, (adr_position_t){ 3, 5 }));
    assert_false (adr_history_decode (&again, adr_bytes (bytes, 9)));
    adr_log_free (&log);
}

/* --- an index that is made anew ---------------------------------------------------------------------------- */

static void
test_an_index_is_made_anew_below_the_log (void **state) /* [STORE-6, STORE-9] */
{
    fixture_t *w = *state;
    s_keep (w, 3000);
    s_put (w, 1, "first", "one");
    s_put (w, 1, "second", "one");
    s_put (w, 1, "third", "one");
    s_put (w, 1, "second", "two");
    s_put (w, 1, "third", NULL);
    s_fill (w, 1, 100);
    s_put (w, 1, "last", "one");
    assert_true (adr_store_log_start (w->store).index > 50);
    assert_false (adr_store_was_rebuilt (w->store));
    for (int i = 0; i < 2; i++) {
        s_lose_index (w);
        assert_int_equal (w->opening, ADR_STORE_OPENED);
        assert_true (adr_store_was_rebuilt (w->store));
        fixture_apply (w, adr_store_last (w->store).index);
        fixture_expect (w, "first", "one");
        fixture_expect (w, "second", "two");
        fixture_expect (w, "third", NULL);
        fixture_expect (w, "last", "one");
        s_flush (w);
        s_check_accounts (w);
    }
    fixture_reopen (w);
    assert_true (adr_store_was_rebuilt (w->store)); /* until who compares says otherwise */
    fixture_expect (w, "second", "two");
}

/* An entry that was cut before it was committed is still in the journal, and not in the history. */
static void
test_what_was_cut_makes_no_row (void **state) /* [STORE-6] */
{
    fixture_t *w = *state;
    s_keep (w, 3000);
    s_put (w, 1, "key", "committed");
    fixture_append (w, 1, "key", "cut");
    fixture_append (w, 1, "other", "cut");
    fixture_run (w);
    adr_store_cut (w->store, 1);
    s_put (w, 2, "another", "committed");
    s_fill (w, 2, 100);
    assert_true (adr_store_log_start (w->store).index > 50);
    s_lose_index (w);
    fixture_expect (w, "key", "committed");
    fixture_expect (w, "other", NULL);
    fixture_expect (w, "another", "committed");
}

/* A batch below the log's start that is damaged loses its rows, and nothing of the log. */
static void
test_damage_below_the_log_loses_rows_only (void **state) /* [STORE-6] */
{
    fixture_t *w = *state;
    s_keep (w, 3000);
    s_put (w, 1, "first", "one");
    s_put (w, 1, "second", "one");
    s_fill (w, 1, 100);
    adr_index_row_t row;
    assert_int_equal (adr_store_row (w->store, ADR_TABLE_KV, fixture_text ("first"), &row), 0);
    uint64_t last = adr_store_last (w->store).index;
    memory_disk_segment (w->disk, row.place.segment)->now[row.place.offset + 70] ^= 1;
    s_lose_index (w);
    assert_int_equal (w->opening, ADR_STORE_OPENED);
    assert_int_equal (adr_store_last (w->store).index, last);
    fixture_expect (w, "first", NULL);
    fixture_expect (w, "second", "one");
    s_flush (w);
    s_check_accounts (w);
}

/* A copy of the index from before a segment went names that segment: it is not believed. */
static void
test_an_older_copy_of_the_index_is_made_anew (void **state) /* [STORE-8] */
{
    fixture_t *w = *state;
    s_make_a_gap (w);
    memory_index_t *copy = memory_index_copy (w->index);
    s_put (w, 2, "stays", "elsewhere");
    s_flush (w);
    s_put (w, 2, "new", "one");
    s_flush (w);
    uint64_t start = adr_store_log_start (w->store).index;
    adr_store_destroy (&w->store);
    memory_index_destroy (&w->index);
    w->index = copy;
    fixture_open (w);
    assert_int_equal (adr_store_log_start (w->store).index, start);
    assert_true (adr_store_was_rebuilt (w->store));
    fixture_apply (w, adr_store_last (w->store).index);
    fixture_expect (w, "stays", "elsewhere");
    fixture_expect (w, "new", "one");
    s_flush (w);
    s_check_accounts (w);
}

/* --- compaction -------------------------------------------------------------------------------------------- */

#define S_COLD 40

/* Cold records among hot ones, so that each segment keeps a little that counts. */
static void
s_write_hot_and_cold (fixture_t *w, int rounds)
{
    char key[16];
    for (int i = 0; i < rounds * S_COLD; i++) {
        snprintf (key, sizeof key, "cold-%02d", i % S_COLD);
        if (i < S_COLD)
            s_put (w, 1, key, key);
        for (int j = 0; j < 8; j++)
            s_put (w, 1, "hot", "a value that is overwritten at once");
        if (i % 8 == 0)
            s_flush (w);
    }
    s_flush (w);
}

static void
s_expect_cold (fixture_t *w)
{
    char key[16];
    for (int i = 0; i < S_COLD; i++) {
        snprintf (key, sizeof key, "cold-%02d", i);
        fixture_expect (w, key, key);
    }
}

static void
test_compaction_gives_space_back (void **state) /* [STORE-8] */
{
    fixture_t *w = *state;
    s_keep (w, 3000);
    s_write_hot_and_cold (w, 3);
    assert_true (adr_store_compacted (w->store) > 0);
    assert_true (s_segments (w) < 10); /* of some thirty that were written */
    s_expect_cold (w);
    s_check_accounts (w);
    fixture_reopen (w);
    assert_int_equal (w->opening, ADR_STORE_OPENED);
    s_expect_cold (w);
    s_check_accounts (w);
    s_lose_index (w);
    s_expect_cold (w);
    s_flush (w);
    s_check_accounts (w);
}

static void
test_little_waste_is_left_alone (void **state)
{
    fixture_t *w = *state;
    s_keep (w, 3000);
    char key[16], value[3001];
    memset (value, 'v', sizeof value - 1);
    value[sizeof value - 1] = '\0';
    for (int i = 0; i < 200; i++) { /* nearly a block each, and all of them count */
        snprintf (key, sizeof key, "key-%d", i);
        s_put (w, 1, key, value);
    }
    s_flush (w);
    assert_int_equal (adr_store_compacted (w->store), 0);
    assert_int_equal (w->store->journal.first_segment, 1);
}

/* A second of walking is a second's worth of bytes. */
static void
test_compaction_keeps_its_pace (void **state)
{
    fixture_t *w = *state;
    w->options.compact_bytes_per_s = 64 * 1024;
    s_keep (w, 3000);
    for (int i = 0; i < 400 && w->store->compaction.walk.segment == 0; i++) {
        char key[16];
        snprintf (key, sizeof key, "cold-%02d", i);
        s_put (w, 1, key, key);
        for (int j = 0; j < 8; j++)
            s_put (w, 1, "hot", "value");
        adr_store_set_unlocked (w->store, adr_store_applied (w->store));
        w->now += 200 * ADR_MS;
        fixture_run (w);
    }
    assert_true (w->store->compaction.walk.segment != 0);
    uint64_t copied = adr_store_compacted (w->store);
    int64_t at = adr_compaction_wake_at (w->store);
    assert_true (at > w->now && at != ADR_NEVER);
    w->now = at - 1;
    fixture_run (w);
    assert_int_equal (adr_store_compacted (w->store), copied);
    w->now = at;
    fixture_run (w);
    assert_true (w->store->compaction.walk.segment == 0 || adr_compaction_wake_at (w->store) > at);
}

/* What cannot be read is not copied, and its segment does not go. */
static void
test_a_damaged_row_keeps_its_segment (void **state) /* [STORE-8] */
{
    fixture_t *w = *state;
    s_keep (w, 3000);
    s_put (w, 1, "rotten", "value");
    adr_index_row_t row;
    assert_int_equal (adr_store_row (w->store, ADR_TABLE_KV, fixture_text ("rotten"), &row), 0);
    memory_disk_segment (w->disk, row.place.segment)->now[row.place.offset + 70] ^= 1;
    s_write_hot_and_cold (w, 3);
    assert_non_null (memory_disk_segment (w->disk, row.place.segment));
    adr_record_t record;
    assert_int_equal (adr_store_get (w->store, ADR_TABLE_KV, fixture_text ("rotten"), true, &record), ADR_STATUS_DAMAGED);
    s_expect_cold (w);
    s_put (w, 1, "rotten", "mended");
    s_write_hot_and_cold (w, 1);
    assert_null (memory_disk_segment (w->disk, row.place.segment));
    fixture_expect (w, "rotten", "mended");
}

/* Space that is full of what does not count comes back, although puts are refused. */
static void
test_a_full_disk_is_compacted (void **state) /* [STORE-11] */
{
    fixture_t *w = *state;
    s_keep (w, 3000);
    w->options.compact_bytes_per_s = 1; /* none until the disk is full */
    fixture_reopen (w);
    s_write_hot_and_cold (w, 1);
    size_t before = s_segments (w);
    w->disk->free_bytes = 0;
    for (int i = 0; i < 30; i++)
        s_put (w, 1, "hot", "value");
    s_flush (w);
    assert_true (adr_store_space (w->store) >= ADR_SPACE_SECOND_MARK);
    w->options.compact_bytes_per_s = 0;
    fixture_reopen (w);
    for (int i = 0; i < 20; i++)
        s_flush (w);
    assert_true (s_segments (w) < before);
    assert_true (w->disk->free_bytes > 0);
    s_expect_cold (w);
}

/* --- purged tombstones ------------------------------------------------------------------------------------- */

static void
s_purge (fixture_t *w, const char *key)
{
    adr_record_t record;
    assert_int_equal (adr_store_get (w->store, ADR_TABLE_KV, fixture_text (key), false, &record), ADR_STATUS_OK);
    assert_true (record.deleted);
    adr_store_drop (w->store, ADR_TABLE_KV, fixture_text (key), &record.version);
    s_flush (w);
    assert_int_equal (adr_store_get (w->store, ADR_TABLE_KV, fixture_text (key), false, &record), ADR_STATUS_NOT_FOUND);
}

/* The record's frame stays in the oldest segment, because of a neighbour; the tombstone's comes behind it. */
static void
test_a_purged_tombstone_outlives_what_it_deleted (void **state) /* [STORE-9] */
{
    fixture_t *w = *state;
    s_keep (w, 3000);
    s_put (w, 1, "deleted", "value");
    for (int i = 0; i < 20; i++) { /* enough that counts to keep the segment */
        char key[16], value[3001];
        snprintf (key, sizeof key, "stays-%d", i);
        memset (value, 'v', sizeof value - 1);
        value[sizeof value - 1] = '\0';
        s_put (w, 1, key, value);
    }
    s_fill (w, 1, 40);
    s_put (w, 1, "deleted", NULL);
    s_fill (w, 1, 40);
    s_purge (w, "deleted");
    assert_true (fixture_ghosts (w) > 0);
    s_fill (w, 1, 300); /* its segment goes; it does not */
    assert_true (fixture_ghosts (w) > 0);
    assert_non_null (memory_disk_segment (w->disk, w->store->journal.first_segment));
    s_check_accounts (w);
    s_lose_index (w);
    fixture_expect (w, "deleted", NULL);
}

/* Once it is in the oldest segment nothing can come back: it goes with it. */
static void
test_a_purged_tombstone_goes_in_the_end (void **state) /* [STORE-9] */
{
    fixture_t *w = *state;
    s_keep (w, 3000);
    s_put (w, 1, "deleted", "value");
    s_put (w, 1, "deleted", NULL);
    s_fill (w, 1, 10);
    s_purge (w, "deleted");
    assert_true (fixture_ghosts (w) > 0);
    s_write_hot_and_cold (w, 3);
    assert_int_equal (fixture_ghosts (w), 0);
    s_lose_index (w);
    fixture_expect (w, "deleted", NULL);
    s_expect_cold (w);
}

int
main (void)
{
    const struct CMUnitTest tests[] = {
        FIXTURE_TEST (test_accounts_are_exact),
        cmocka_unit_test (test_the_share_of_an_operation),
        FIXTURE_TEST (test_segments_without_a_live_row_go),
        FIXTURE_TEST (test_a_log_that_is_kept_keeps_its_segments),
        FIXTURE_TEST (test_segments_go_from_the_middle),
        FIXTURE_TEST (test_a_lost_segment_is_no_removed_one),
        FIXTURE_TEST (test_a_noted_segment_goes_at_the_next_start),
        FIXTURE_TEST (test_a_row_in_memory_keeps_its_segment),
        FIXTURE_TEST (test_members_need_less_than_the_log_may_hold),
        cmocka_unit_test (test_history_tells_what_the_log_had),
        FIXTURE_TEST (test_an_index_is_made_anew_below_the_log),
        FIXTURE_TEST (test_what_was_cut_makes_no_row),
        FIXTURE_TEST (test_damage_below_the_log_loses_rows_only),
        FIXTURE_TEST (test_an_older_copy_of_the_index_is_made_anew),
        FIXTURE_TEST (test_compaction_gives_space_back),
        FIXTURE_TEST (test_little_waste_is_left_alone),
        FIXTURE_TEST (test_compaction_keeps_its_pace),
        FIXTURE_TEST (test_a_damaged_row_keeps_its_segment),
        FIXTURE_TEST (test_a_full_disk_is_compacted),
        FIXTURE_TEST (test_a_purged_tombstone_outlives_what_it_deleted),
        FIXTURE_TEST (test_a_purged_tombstone_goes_in_the_end),
    };
    return cmocka_run_group_tests (tests, NULL, NULL);
}
