/* SPDX-License-Identifier: MPL-2.0 */
/* The store over memory: log, records, jobs, recovery's outcomes. */

#include "store_fixture.h"

#include "store/internal.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

static void
test_new_store_is_reopened_with_its_identity (void **state)
{
    fixture_t *w = *state;
    assert_int_equal (w->opening, ADR_STORE_NEW);
    assert_int_equal (adr_store_incarnation (w->store), 77);
    assert_int_equal (adr_store_boot (w->store), 1);
    assert_int_equal (adr_store_voters (w->store)->count, 1);
    fixture_run (w);
    fixture_reopen (w);
    assert_int_equal (w->opening, ADR_STORE_OPENED);
    assert_int_equal (adr_store_incarnation (w->store), 77);
    assert_int_equal (adr_store_boot (w->store), 2);
    assert_int_equal (adr_store_voters (w->store)->count, 1);
}

static void
test_written_applied_flushed_reopened (void **state)
{
    fixture_t *w = *state;
    fixture_append (w, 1, NULL, NULL);
    fixture_append (w, 1, "a", "one");
    fixture_append (w, 1, "b", "two");
    assert_int_equal (adr_store_durable (w->store), 0);
    fixture_run (w);
    assert_int_equal (adr_store_durable (w->store), 3);
    fixture_apply (w, 3);
    fixture_expect (w, "a", "one");
    fixture_append (w, 1, "a", "three");
    fixture_append (w, 1, "b", NULL);
    fixture_run (w);
    fixture_apply (w, 5);
    adr_store_set_unlocked (w->store, 5);
    fixture_expect (w, "a", "three");
    fixture_expect (w, "b", NULL);
    w->now += 20 * ADR_MS; /* the witness, which records the commit index */
    fixture_run (w);
    fixture_reopen (w);
    assert_int_equal (w->opening, ADR_STORE_OPENED);
    assert_int_equal (adr_store_commit (w->store), 5);
    assert_int_equal (adr_store_applied (w->store), 5);
    fixture_expect (w, "a", "three");
    adr_store_set_unlocked (w->store, 5);
    fixture_run (w);
    w->now += 1000 * ADR_MS;
    fixture_run (w);
    assert_int_equal (memory_index_count (w->index), 2);
    fixture_expect (w, "a", "three");
    fixture_expect (w, "b", NULL);
    fixture_reopen (w);
    assert_int_equal (w->opening, ADR_STORE_OPENED);
    fixture_expect (w, "a", "three");
    fixture_expect (w, "b", NULL);
}

/* The journal has every row: once one cannot be read, the next start makes the index anew. */
static void
test_an_index_with_unreadable_rows_is_made_anew (void **state)
{
    fixture_t *w = *state;
    adr_record_t record;
    fixture_append (w, 1, "a", "one");
    fixture_run (w);
    fixture_apply (w, 1);
    adr_store_set_unlocked (w->store, 1);
    fixture_run (w);
    w->now += 1000 * ADR_MS;
    fixture_run (w);
    assert_int_equal (memory_index_count (w->index), 1);
    memory_index_spoil (w->index);
    fixture_reopen (w); /* nobody has met it yet */
    assert_int_equal (adr_store_get (w->store, ADR_TABLE_KV, fixture_text ("a"), true, &record), ADR_STATUS_DAMAGED);
    fixture_run (w);
    w->options.founding.count = 0; /* who founded a group is told to the first start alone, and stands in no entry */
    fixture_reopen (w);
    assert_int_equal (w->opening, ADR_STORE_OPENED);
    fixture_expect (w, "a", "one");
    assert_int_equal (memory_index_count (w->index), 0); /* it is in memory, until it is flushed */
    assert_true (adr_voters_find (adr_store_voters (w->store), &w->options.node, 77) >= 0);
}

/* Nothing more is written to an index whose structure is damaged; no job fails of it, and the journal goes on. */
static void
test_nothing_is_written_to_an_index_that_is_lost (void **state) /* [STORE-10] */
{
    fixture_t *w = *state;
    fixture_append (w, 1, "a", "one");
    fixture_run (w);
    fixture_apply (w, 1);
    adr_store_set_unlocked (w->store, 1);
    fixture_run (w);
    w->now += 1000 * ADR_MS;
    assert_false (adr_store_index_is_lost (w->store));
    memory_index_break (w->index, true);
    assert_true (adr_store_index_is_lost (w->store));
    fixture_append (w, 1, "b", "two");
    fixture_run (w);
    assert_int_equal (memory_index_count (w->index), 0);
    assert_int_equal (adr_store_durable (w->store), 2);
}

/* Rows that are hidden are found by whoever heals, and not healed. */
static void
test_an_index_whose_structure_is_damaged_is_not_healed (void **state) /* [STORE-10] */
{
    fixture_t *w = *state;
    fixture_append (w, 1, "a", "one");
    fixture_run (w);
    fixture_apply (w, 1);
    adr_store_set_unlocked (w->store, 1);
    fixture_run (w);
    w->now += 1000 * ADR_MS;
    fixture_run (w);
    assert_int_equal (memory_index_count (w->index), 1);
    memory_index_break (w->index, false);
    adr_store_note_index_damaged (w->store);
    assert_false (adr_store_index_is_lost (w->store));
    adr_store_heal (w->store);
    fixture_run (w);
    assert_true (adr_store_index_is_lost (w->store));
    assert_int_equal (adr_store_lost_rows (w->store), 0);
    fixture_reopen (w);
    assert_false (adr_store_index_is_lost (w->store));
    fixture_expect (w, "a", "one");
}

/* --- what makes a new incarnation [STORE-4] ------------------------------------------------------------------ */

static void
test_lost_state_environment_is_amnesia (void **state)
{
    fixture_t *w = *state;
    fixture_write_some (w, 1, 3);
    memory_state_destroy (&w->state);
    w->state = memory_state_create ();
    fixture_expect_amnesia (w);
}

static void
test_unreadable_state_environment_is_amnesia (void **state)
{
    fixture_t *w = *state;
    fixture_run (w);
    w->state->unreadable = true;
    fixture_expect_amnesia (w);
}

/* What the actors told is theirs, but a store that cannot read it back is nobody's who could go on [ELECT-7]. */
static void
test_unreadable_vote_is_amnesia (void **state)
{
    fixture_t *w = *state;
    uint8_t byte;
    adr_state_put_t put = { "vote", fixture_text ("somebody") };
    assert_int_equal (w->state->state.put (&w->state->state, &put, 1), 0);
    fixture_run (w);
    fixture_reopen (w);
    assert_int_equal (w->opening, ADR_STORE_OPENED);
    w->state->unreadable_name = "vote";
    fixture_expect_amnesia (w);
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
    fixture_t *w = *state;
    fixture_run (w); /* segments 2 and 3 are prepared */
    fixture_append (w, 1, "a", "one");
    adr_store_job_t *job = adr_store_job_next (w->store, ADR_LANE_SYNC, w->now);
    adr_store_job_write (w->store, job);
    memory_disk_segment (w->disk, 1)->now[job->offset + 200] ^= 1;
    fixture_reopen (w);
    assert_int_equal (w->opening, ADR_STORE_OPENED);
    fixture_run (w); /* and now segment 4 */
    memory_disk_t *after = memory_disk_crash (w->disk, s_keep_nothing, NULL);
    adr_store_destroy (&w->store);
    memory_disk_destroy (&w->disk);
    w->disk = after;
    fixture_open (w);
    assert_int_equal (w->opening, ADR_STORE_OPENED);
    assert_int_equal (adr_store_incarnation (w->store), 77);
}

static void
test_foreign_state_environment_is_amnesia (void **state)
{
    fixture_t *w = *state;
    fixture_write_some (w, 1, 3);
    w->options.node.bytes[5] = 1;
    fixture_expect_amnesia (w);
}

static void
test_rolled_back_state_environment_is_amnesia (void **state)
{
    fixture_t *w = *state;
    fixture_write_some (w, 1, 3);
    memory_state_t *old = memory_state_copy (w->state);
    fixture_write_some (w, 2, 1); /* a term that the old one does not know */
    memory_state_destroy (&w->state);
    w->state = old;
    fixture_expect_amnesia (w);
}

static void
test_lost_end_of_the_journal_is_amnesia (void **state)
{
    fixture_t *w = *state;
    fixture_write_some (w, 1, 80); /* segments of 128 KiB, a block a batch */
    uint64_t numbers[16];
    size_t count;
    assert_int_equal (w->disk->disk.list (&w->disk->disk, numbers, 16, &count), 0);
    assert_true (count >= 5);
    for (size_t i = 1; i < count; i++)
        assert_int_equal (w->disk->disk.remove (&w->disk->disk, numbers[i]), 0);
    fixture_expect_amnesia (w);
}

/* --- the rest of the contract ------------------------------------------------------------------------------- */

static void
test_cut_replaces_a_suffix_for_good (void **state)
{
    fixture_t *w = *state;
    fixture_append (w, 1, "a", "1");
    fixture_append (w, 1, "a", "2");
    fixture_append (w, 1, "a", "3");
    fixture_run (w);
    adr_store_cut (w->store, 1);
    assert_int_equal (adr_store_durable (w->store), 1);
    fixture_append (w, 3, "a", "two");
    assert_int_equal (adr_store_first_of_term (w->store, 2), 2);
    fixture_run (w);
    uint64_t term;
    assert_int_equal (adr_store_last (w->store).index, 2);
    fixture_reopen (w);
    assert_int_equal (adr_store_last (w->store).index, 2);
    assert_true (adr_store_term_at (w->store, 2, &term) && term == 3);
    assert_false (adr_store_term_at (w->store, 3, &term));
    fixture_apply (w, 2);
    fixture_expect (w, "a", "two");
}

static void
test_the_largest_entry_goes_with_a_cut (void **state) /* [STORE-12] */
{
    fixture_t *w = *state;
    w->options.segment_bytes = ADR_STORE_SEGMENT_MIN;
    fixture_reopen (w);
    fixture_append (w, 1, "a", "one");
    fixture_run (w);
    adr_entry_t *entry = adr_alloc (sizeof *entry);
    *entry = (adr_entry_t){ .kind = ADR_ENTRY_WRITE, .term = 2, .index = 1, .op_count = 2 };
    uint8_t *value = adr_alloc (ADR_ENTRY_MAX), *bytes = adr_alloc (ADR_ENTRY_MAX);
    for (int i = 0; i < 2; i++) {
        entry->op[i].table = ADR_TABLE_KV;
        entry->op[i].key = fixture_text (i ? "b" : "a");
    }
    entry->op[0].value = adr_bytes (value, ADR_VALUE_MAX);
    entry->op[1].value = adr_bytes (value, ADR_ENTRY_MAX - adr_entry_size (entry));
    assert_int_equal (adr_entry_size (entry), ADR_ENTRY_MAX);
    adr_entry_encode (entry, bytes);
    adr_store_cut (w->store, 0);
    adr_store_append (w->store, entry, adr_bytes (bytes, ADR_ENTRY_MAX));
    fixture_run (w);
    assert_int_equal (adr_store_durable (w->store), 1);
    free (value);
    free (bytes);
    free (entry);
}

/* Two masters' entries of one index gather in one open batch, which the segment's end splits between them: the second
 * then stands, in what is kept, where the first stood in what goes. */
static void
test_a_split_batch_names_the_newest_entrys_place (void **state) /* [STORE-12] */
{
    fixture_t *w = *state;
    char value[3500];
    memset (value, 'x', sizeof value - 1);
    value[sizeof value - 1] = '\0';
    fixture_append (w, 1, NULL, NULL);
    fixture_run (w);
    uint64_t last = adr_store_last (w->store).index;
    uint64_t term = 2;
    char key[16];
    for (int round = 0; round < 40; round++) { /* several segments' ends */
        fixture_append (w, term++, "lost", "0");
        fixture_run (w);
        adr_store_cut (w->store, last);
        fixture_append (w, term++, "lost", value);
        adr_store_cut (w->store, last);
        snprintf (key, sizeof key, "kept %d", round);
        fixture_append (w, term++, key, value);
        fixture_run (w);
        fixture_apply (w, ++last);
    }
    for (int round = 0; round < 40; round++) { /* most are beyond the cache by now */
        snprintf (key, sizeof key, "kept %d", round);
        fixture_expect (w, key, value);
    }
}

static void
test_older_versions_are_kept_until_unlocked (void **state) /* [READ-5] */
{
    fixture_t *w = *state;
    adr_record_t record;
    fixture_append (w, 1, "a", "1");
    fixture_append (w, 1, "a", "2");
    fixture_append (w, 1, "a", "3");
    fixture_run (w);
    fixture_apply (w, 3);
    assert_int_equal (adr_store_get_unlocked (w->store, ADR_TABLE_KV, fixture_text ("a"), 2, &record), ADR_STATUS_OK);
    assert_int_equal (record.version.index, 2);
    assert_memory_equal (record.value.data, "2", 1);
    assert_int_equal (adr_store_get_unlocked (w->store, ADR_TABLE_KV, fixture_text ("a"), 0, &record),
                      ADR_STATUS_NOT_FOUND);
    adr_store_set_unlocked (w->store, 3);
    w->now += 1000 * ADR_MS;
    fixture_run (w);
    w->now += 1000 * ADR_MS;
    fixture_run (w);
    assert_int_equal (memory_index_count (w->index), 1);
    assert_int_equal (adr_store_get_unlocked (w->store, ADR_TABLE_KV, fixture_text ("a"), 2, &record),
                      ADR_STATUS_UNKNOWN);
    assert_int_equal (adr_store_get_unlocked (w->store, ADR_TABLE_KV, fixture_text ("a"), 3, &record), ADR_STATUS_OK);
}

static bool
s_collect (void *argument, adr_bytes_t key, const adr_record_t *record)
{
    adr_buffer_append (argument, key.data, key.size);
    adr_buffer_append (argument, record->value.data, record->value.size);
    return true;
}

static void
s_expect_scan (fixture_t *w, const char *prefix, const char *after, const char *expected)
{
    adr_buffer_t found = { 0 };
    assert_int_equal (adr_store_scan (w->store, ADR_TABLE_KV, fixture_text (prefix),
                                      after ? fixture_text (after) : (adr_bytes_t){ 0 }, true, s_collect, &found), ADR_STATUS_OK);
    adr_buffer_append (&found, "", 1);
    assert_string_equal ((const char *) found.data, expected);
    adr_buffer_free (&found);
}

/* Many tombstones in a row keep nobody waiting: the scan says how far it came. */
static void
test_a_scan_ends_after_so_many_keys (void **state)
{
    fixture_t *w = *state;
    adr_buffer_t found = { 0 }, behind = { 0 };
    for (const char *key = "abcdef"; *key; key++)
        fixture_append (w, 1, (char[]){ *key, 0 }, "1");
    for (const char *key = "bcde"; *key; key++)
        fixture_append (w, 1, (char[]){ *key, 0 }, NULL);
    fixture_run (w);
    fixture_apply (w, 10);
    assert_int_equal (adr_store_scan_some (w->store, ADR_TABLE_KV, fixture_text (""), (adr_bytes_t){ 0 }, true, 4, &behind, s_collect,
                                           &found), ADR_STATUS_OK);
    assert_true (adr_bytes_equal (adr_bytes (found.data, found.size), fixture_text ("a1")));
    assert_true (adr_bytes_equal (adr_bytes (behind.data, behind.size), fixture_text ("d")));
    adr_buffer_clear (&found);
    adr_buffer_clear (&behind);
    assert_int_equal (adr_store_scan_some (w->store, ADR_TABLE_KV, fixture_text (""), fixture_text ("d"), true, 4, &behind, s_collect,
                                           &found), ADR_STATUS_OK);
    assert_true (adr_bytes_equal (adr_bytes (found.data, found.size), fixture_text ("f1")));
    assert_int_equal (behind.size, 0);
    adr_buffer_free (&found);
    adr_buffer_free (&behind);
}

static void
test_scan_merges_index_and_memory (void **state)
{
    fixture_t *w = *state;
    fixture_append (w, 1, "a", "1");
    fixture_append (w, 1, "b", "1");
    fixture_append (w, 1, "ba", "1");
    fixture_append (w, 1, "d", "1");
    fixture_run (w);
    fixture_apply (w, 4);
    adr_store_set_unlocked (w->store, 4);
    fixture_run (w);
    w->now += 1000 * ADR_MS;
    fixture_run (w);
    assert_int_equal (memory_index_count (w->index), 4);
    fixture_append (w, 1, "b", "2");
    fixture_append (w, 1, "c", "2");
    fixture_append (w, 1, "d", NULL);
    fixture_run (w);
    fixture_apply (w, 7);
    s_expect_scan (w, "", NULL, "a1b2ba1c2");
    s_expect_scan (w, "b", NULL, "b2ba1");
    s_expect_scan (w, "", "b", "ba1c2");
    s_expect_scan (w, "b", "b", "ba1");
    s_expect_scan (w, "x", NULL, "");
}

/* Flips a bit in the frame of that entry; positions stand in batch headers, too. */
static void
s_flip (fixture_t *w, uint64_t term, uint64_t index)
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

static void
s_copy_to (fixture_t *w, uint64_t index)
{
    adr_voters_t voters = *adr_store_voters (w->store);
    adr_store_sync_begin (w->store);
    fixture_run (w);
    adr_store_sync_end (w->store, (adr_position_t){ 1, index }, &voters, index);
    fixture_run (w);
}

/* [STORE-5, REPAIR-5] A log that misses entries which nobody sends any more starts anew behind a copy, but not below its own
 * end: what stands there may be committed. */
static void
test_a_log_that_misses_entries_starts_anew_at_its_end (void **state)
{
    fixture_t *w = *state;
    w->options.cache_bytes = 0;
    fixture_reopen (w);
    for (uint64_t index = 1; index <= 5; index++) {
        fixture_append (w, 1, "a", "value");
        fixture_run (w); /* each in a batch of its own */
    }
    fixture_apply (w, 2);
    adr_store_set_commit (w->store, 5);
    s_flip (w, 1, 3);
    assert_true (adr_store_lose (w->store, 3));
    s_copy_to (w, 4);
    assert_int_equal (adr_store_last (w->store).index, 5);
    assert_int_equal (adr_store_missing_from (w->store), 3);
    adr_store_set_commit (w->store, 5);
    s_copy_to (w, 3); /* the missing one itself */
    assert_int_equal (adr_store_last (w->store).index, 5);
    s_copy_to (w, 5);
    assert_int_equal (adr_store_last (w->store).index, 5);
    assert_int_equal (adr_store_log_start (w->store).index, 5);
    assert_int_equal (adr_store_missing_from (w->store), 0);
    adr_store_set_commit (w->store, 5);
    fixture_reopen (w);
    assert_int_equal (adr_store_last (w->store).index, 5);
    assert_int_equal (adr_store_missing_from (w->store), 0);
}

/* [STORE-5] An entry that cannot be read any more is a missing copy until it comes again. */
static void
test_an_entry_lost_at_run_time_is_missing_until_it_is_refilled (void **state)
{
    fixture_t *w = *state;
    adr_status_t status;
    adr_buffer_t bytes = { 0 };
    w->options.cache_bytes = 0;
    fixture_reopen (w);
    for (uint64_t index = 1; index <= 5; index++) {
        fixture_append (w, 1, "a", index == 3 ? "three" : "else");
        fixture_run (w); /* each in a batch of its own */
    }
    fixture_apply (w, 3);
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
    fixture_run (w);
    assert_int_equal (adr_store_durable (w->store), 5);
    fixture_expect (w, "a", "three"); /* the row names the new place */
    fixture_reopen (w);
    assert_int_equal (w->opening, ADR_STORE_OPENED);
    assert_int_equal (adr_store_last (w->store).index, 5);
}

/* A log that has begun keeps an entry that no cut takes: its log time is what the next master goes on from [PART-4]. */
static void
test_a_trimmed_log_is_never_empty (void **state)
{
    fixture_t *w = *state;
    adr_status_t status;
    adr_buffer_t bytes = { 0 };
    w->options.log_keep_max = 1;
    fixture_reopen (w);
    for (uint64_t index = 1; index <= 5; index++)
        fixture_append (w, 1, "a", "value");
    fixture_run (w);
    fixture_apply (w, 4);
    adr_store_set_unlocked (w->store, 4);
    fixture_run (w);
    w->now += 1000 * ADR_MS;
    fixture_run (w);
    assert_int_not_equal (adr_store_log_start (w->store).index, 0);
    adr_store_cut (w->store, 4);
    fixture_run (w);
    fixture_reopen (w);
    assert_int_equal (w->opening, ADR_STORE_OPENED);
    assert_int_equal (adr_store_last (w->store).index, 4);
    assert_int_equal (adr_store_read_log (w->store, 4, 1, &bytes, &status), 1);
    adr_buffer_free (&bytes);
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
    fixture_t *w = *state;
    adr_buffer_t bytes = { 0 };
    adr_status_t status;
    fixture_write_some (w, 1, 3);
    w->options.cache_bytes = 0;
    fixture_reopen (w);
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
    fixture_t *w = *state;
    fixture_write_some (w, 1, 3);
    adr_copy_t copy = { .table = ADR_TABLE_KV, .key = fixture_text ("copied"), .value = fixture_text ("1"),
                        .version = { 1, 1, 4 } }; /* as if it were the next one of the log */
    adr_value_digest (copy.value, copy.digest);
    assert_true (adr_store_place (w->store, &copy));
    fixture_run (w);
    for (int i = 0; i < 2; i++) {
        assert_int_equal (adr_store_last (w->store).index, 3);
        assert_int_equal (adr_store_last (w->store).term, 1);
        fixture_reopen (w);
        assert_int_equal (w->opening, ADR_STORE_OPENED);
    }
    fixture_write_some (w, 1, 1);
    fixture_reopen (w);
    assert_int_equal (adr_store_last (w->store).index, 4);
}

static void
test_failed_sync_is_an_error_of_the_job (void **state)
{
    fixture_t *w = *state;
    fixture_run (w);
    fixture_append (w, 1, "a", "1");
    adr_store_job_t *job = adr_store_job_next (w->store, ADR_LANE_SYNC, w->now);
    adr_store_job_write (w->store, job);
    w->disk->fail_sync = 5;
    adr_store_job_sync (w->store, job);
    assert_int_equal (job->error, 5);
    assert_int_equal (adr_store_durable (w->store), 0);
}

int
main (void)
{
    const struct CMUnitTest tests[] = {
        FIXTURE_TEST (test_new_store_is_reopened_with_its_identity),
        FIXTURE_TEST (test_written_applied_flushed_reopened),
        FIXTURE_TEST (test_an_index_with_unreadable_rows_is_made_anew),
        FIXTURE_TEST (test_nothing_is_written_to_an_index_that_is_lost),
        FIXTURE_TEST (test_an_index_whose_structure_is_damaged_is_not_healed),
        FIXTURE_TEST (test_lost_state_environment_is_amnesia),
        FIXTURE_TEST (test_unreadable_state_environment_is_amnesia),
        FIXTURE_TEST (test_unreadable_vote_is_amnesia),
        FIXTURE_TEST (test_a_torn_batch_that_vanishes_is_no_amnesia),
        FIXTURE_TEST (test_foreign_state_environment_is_amnesia),
        FIXTURE_TEST (test_rolled_back_state_environment_is_amnesia),
        FIXTURE_TEST (test_lost_end_of_the_journal_is_amnesia),
        FIXTURE_TEST (test_cut_replaces_a_suffix_for_good),
        FIXTURE_TEST (test_the_largest_entry_goes_with_a_cut),
        FIXTURE_TEST (test_a_split_batch_names_the_newest_entrys_place),
        FIXTURE_TEST (test_older_versions_are_kept_until_unlocked),
        FIXTURE_TEST (test_scan_merges_index_and_memory),
        FIXTURE_TEST (test_a_scan_ends_after_so_many_keys),
        FIXTURE_TEST (test_a_log_that_misses_entries_starts_anew_at_its_end),
        FIXTURE_TEST (test_an_entry_lost_at_run_time_is_missing_until_it_is_refilled),
        FIXTURE_TEST (test_a_trimmed_log_is_never_empty),
        FIXTURE_TEST (test_a_read_that_succeeds_when_repeated_is_counted),
        FIXTURE_TEST (test_copies_are_never_log),
        FIXTURE_TEST (test_failed_sync_is_an_error_of_the_job),
    };
    return cmocka_run_group_tests (tests, NULL, NULL);
}
