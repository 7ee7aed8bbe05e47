/* SPDX-License-Identifier: MPL-2.0 */
/* The hash tree beside the index, records that come as copies, and how far a copy is exact. */

#include "store_fixture.h"

#include "core/actor.h"
#include "store/internal.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

static void
s_checkpoint (fixture_t *w)
{
    adr_entry_t entry = { .kind = ADR_ENTRY_CHECKPOINT, .term = 1,
                          .index = adr_store_last (w->store).index + 1, .time_ms = 1 };
    uint8_t bytes[128];
    adr_entry_encode (&entry, bytes);
    adr_store_append (w->store, &entry, adr_bytes (bytes, adr_entry_size (&entry)));
    fixture_run (w);
    fixture_apply (w, entry.index);
    fixture_flush (w);
}

/* [REPAIR-4] Each leaf is what its slots' rows hash to, and each row has a slot. */
static size_t
s_verify_leaves (fixture_t *w)
{
    adr_index_t *index = w->store->index;
    adr_index_view_t *view;
    size_t found = 0;
    assert_int_equal (index->view (index, &view), 0);
    for (uint32_t slice = 0; slice < adr_tree_slices (&w->store->tree); slice++) {
        uint8_t sum[ADR_HASH_SIZE] = { 0 }, hash[ADR_HASH_SIZE], order[ADR_ORDER_SIZE], table;
        adr_bytes_t key;
        adr_index_row_t row;
        for (bool after = false; adr_tree_slot (view, index, slice, after, order, &table, &key) == 0; after = true) {
            assert_int_equal (index->view_row (view, table, key, &row), 0);
            adr_tree_record_hash (&w->store->tree, table, key, &row, hash);
            adr_hash_xor (sum, hash);
            found++;
        }
        assert_int_equal (adr_tree_leaf (view, index, slice, hash), 0);
        assert_memory_equal (sum, hash, ADR_HASH_SIZE);
    }
    index->view_close (&view);
    assert_int_equal (found, memory_index_count (w->index));
    return found;
}

static adr_copy_t
s_copy (const char *key, const char *value, uint64_t index)
{
    adr_copy_t copy = { .table = ADR_TABLE_KV, .key = fixture_text (key), .version = { ADR_EPOCH, 1, index }, .time_ms = 5 };
    copy.deleted = value == NULL;
    copy.value = value ? fixture_text (value) : adr_bytes (NULL, 0);
    adr_value_digest (copy.value, copy.digest);
    return copy;
}

static void
s_place (fixture_t *w, const char *key, const char *value, uint64_t index)
{
    adr_copy_t copy = s_copy (key, value, index);
    assert_true (adr_store_place (w->store, &copy));
    fixture_run (w);
    assert_int_equal (adr_store_placed (w->store), adr_store_place_asked (w->store));
}

/* --- the tree ----------------------------------------------------------------------------------------------------- */

static void
test_leaves_follow_rows (void **state)
{
    fixture_t *w = *state;
    char key[16], value[16];
    for (int i = 0; i < 300; i++) {
        snprintf (key, sizeof key, "key %d", i % 70);
        snprintf (value, sizeof value, "%d", i);
        fixture_write (w, key, i % 11 ? value : NULL);
        if (i % 40 == 0)
            fixture_flush (w);
    }
    fixture_flush (w);
    assert_int_equal (s_verify_leaves (w), 70);
    fixture_reopen (w);
    fixture_write (w, "key 1", "newer");
    fixture_flush (w);
    assert_int_equal (s_verify_leaves (w), 70);
}

/* Whatever was flushed when, the roots at a checkpoint are those of the records. */
static void
test_roots_are_of_the_records (void **state)
{
    fixture_t *w = *state;
    uint8_t first[ADR_HASH_SIZE], second[ADR_HASH_SIZE];
    assert_int_equal (adr_store_checkpoint (w->store)->at.index, 0);
    fixture_write (w, "a", "1");
    fixture_write (w, "b", "2");
    s_checkpoint (w);
    assert_int_equal (adr_store_checkpoint (w->store)->at.index, 3);
    memcpy (first, adr_store_checkpoint (w->store)->root, sizeof first);
    s_checkpoint (w);
    assert_int_equal (adr_store_checkpoint (w->store)->at.index, 4);
    assert_memory_equal (adr_store_checkpoint (w->store)->root, first, sizeof first);
    fixture_write (w, "b", "2");
    s_checkpoint (w);
    memcpy (second, adr_store_checkpoint (w->store)->root, sizeof second);
    assert_memory_not_equal (second, first, sizeof first); /* another version */

    fixture_stop (state); /* the same entries, flushed otherwise */
    fixture_start (state);
    w = *state;
    fixture_write (w, "a", "1");
    fixture_flush (w);
    fixture_write (w, "b", "2");
    s_checkpoint (w);
    fixture_reopen (w);
    s_checkpoint (w);
    assert_memory_equal (adr_store_checkpoint (w->store)->root, first, sizeof first);
    fixture_write (w, "b", "2");
    fixture_flush (w);
    s_checkpoint (w);
    assert_memory_equal (adr_store_checkpoint (w->store)->root, second, sizeof second);
}

/* What is written behind a checkpoint, and flushed with it, is not in its roots. */
static void
test_a_checkpoint_is_one_moment (void **state)
{
    fixture_t *w = *state;
    fixture_write (w, "a", "1");
    s_checkpoint (w);
    uint8_t root[ADR_HASH_SIZE];
    memcpy (root, adr_store_checkpoint (w->store)->root, sizeof root);
    adr_entry_t entry = { .kind = ADR_ENTRY_CHECKPOINT, .term = 1, .index = 3, .time_ms = 1 };
    uint8_t bytes[128];
    adr_entry_encode (&entry, bytes);
    adr_store_append (w->store, &entry, adr_bytes (bytes, adr_entry_size (&entry)));
    fixture_append (w, 1, "a", "2");
    fixture_append (w, 1, "c", "3");
    fixture_run (w);
    fixture_apply (w, 5);
    fixture_expect (w, "a", "2");
    fixture_expect (w, "c", "3");
    fixture_flush (w);
    assert_int_equal (adr_store_checkpoint (w->store)->at.index, 3);
    assert_memory_equal (adr_store_checkpoint (w->store)->root, root, sizeof root);
    fixture_expect (w, "a", "2");
    assert_int_equal (s_verify_leaves (w), 2);
}

/* [STORE-10] The index says that there is no such row, and the tree knows better. */
static void
test_not_found_needs_the_tree (void **state)
{
    fixture_t *w = *state;
    fixture_write (w, "a", "1");
    fixture_flush (w);
    adr_index_t *index = w->store->index;
    assert_int_equal (index->begin (index), 0);
    assert_int_equal (index->remove (index, ADR_TABLE_KV, fixture_text ("a")), 0);
    assert_int_equal (index->commit (index), 0);
    adr_record_t record;
    assert_int_equal (adr_store_get (w->store, ADR_TABLE_KV, fixture_text ("a"), true, &record), ADR_STATUS_DAMAGED);
    assert_int_equal (adr_store_get (w->store, ADR_TABLE_KV, fixture_text ("b"), true, &record), ADR_STATUS_NOT_FOUND);
    fixture_reopen (w); /* made anew from the journal: by then it was noted */
    fixture_run (w);
}

/* [PART-5] */
static void
test_buckets_are_bounded (void **state)
{
    (void) state;
    assert_int_equal (adr_tree_buckets (1), 256);
    assert_int_equal (adr_tree_buckets (64), 256);
    assert_int_equal (adr_tree_buckets (256), 256);
    assert_int_equal (adr_tree_buckets (257), 128);
    assert_int_equal (adr_tree_buckets (ADR_PARTITIONS_MAX), 16);
}

/* --- copies ------------------------------------------------------------------------------------------------------- */

static void
test_newer_copies_win (void **state)
{
    fixture_t *w = *state;
    fixture_write (w, "a", "1");
    fixture_write (w, "a", "2");
    fixture_flush (w);
    s_place (w, "a", "old", 1);
    fixture_expect (w, "a", "2");
    s_place (w, "a", "newer", 9);
    fixture_expect (w, "a", "newer");
    s_place (w, "b", NULL, 8);
    s_place (w, "c", "3", 7);
    fixture_expect (w, "c", "3");
    fixture_expect (w, "b", NULL);
    assert_int_equal (s_verify_leaves (w), 3);
    fixture_reopen (w);
    fixture_expect (w, "a", "newer");
    fixture_expect (w, "c", "3");
    assert_int_equal (adr_store_last (w->store).index, 2);
    assert_int_equal (adr_store_regressions (w->store), 0);
}

/* The same version takes the place of what cannot be read; another value of it does not. */
static void
test_the_same_version_is_a_new_place (void **state)
{
    fixture_t *w = *state;
    fixture_write (w, "a", "1");
    fixture_flush (w);
    adr_index_row_t before, after;
    assert_int_equal (w->store->index->get (w->store->index, ADR_TABLE_KV, fixture_text ("a"), &before), 0);
    s_place (w, "a", "1", 1);
    assert_int_equal (w->store->index->get (w->store->index, ADR_TABLE_KV, fixture_text ("a"), &after), 0);
    assert_int_not_equal (before.place.offset, after.place.offset);
    s_place (w, "a", "forged", 1);
    fixture_expect (w, "a", "1");
    assert_int_equal (s_verify_leaves (w), 1);
}

/* [REPAIR-3] */
static void
test_a_copy_fits_its_digest (void **state)
{
    fixture_t *w = *state;
    adr_copy_t copy = s_copy ("a", "1", 1);
    copy.value = fixture_text ("2");
    assert_false (adr_store_place (w->store, &copy));
    fixture_run (w);
    fixture_expect (w, "a", NULL);
}

/* [REPAIR-2] */
static void
test_only_that_version_is_dropped (void **state)
{
    fixture_t *w = *state;
    fixture_write (w, "a", "1");
    fixture_write (w, "b", "1");
    fixture_flush (w);
    adr_store_drop (w->store, ADR_TABLE_KV, fixture_text ("a"), &(adr_version_t){ ADR_EPOCH, 1, 1 });
    adr_store_drop (w->store, ADR_TABLE_KV, fixture_text ("b"), &(adr_version_t){ ADR_EPOCH, 1, 1 });
    adr_store_drop (w->store, ADR_TABLE_KV, fixture_text ("c"), &(adr_version_t){ ADR_EPOCH, 1, 1 });
    fixture_run (w);
    assert_int_equal (adr_store_placed (w->store), 3);
    fixture_expect (w, "a", NULL);
    fixture_expect (w, "b", "1");
    assert_int_equal (s_verify_leaves (w), 1);
}

static void
s_bare (fixture_t *w, const char *key, const char *value, uint64_t index, adr_doubt_t doubt)
{
    adr_copy_t copy = s_copy (key, value, index);
    adr_bare_t bare = { .table = copy.table, .doubt = doubt, .key = copy.key, .version = copy.version,
                        .value_size = (uint32_t) copy.value.size, .time_ms = copy.time_ms };
    memcpy (bare.digest, copy.digest, sizeof bare.digest);
    adr_store_place_bare (w->store, &bare);
    fixture_run (w);
}

static void
s_expect_doubt (fixture_t *w, const char *key, bool expected)
{
    adr_record_t record;
    adr_status_t status = adr_store_get (w->store, ADR_TABLE_KV, fixture_text (key), false, &record);
    assert_int_equal (status == ADR_STATUS_DAMAGED, expected);
    assert_int_equal (adr_store_met_doubt (w->store), expected);
}

static bool
s_count_rows (void *argument, adr_bytes_t key, const adr_record_t *record)
{
    (void) key;
    (void) record;
    ++*(int *) argument;
    return true;
}

/* [REPAIR-1] A second heal while what was applied waits for its flush: the window, up to which rows are newer than the log,
 * does not end in between. */
static void
test_a_window_outlives_heals (void **state)
{
    fixture_t *w = *state;
    adr_store_sync_begin (w->store);
    fixture_run (w);
    s_place (w, "a", "at 3", 3);
    adr_voters_t voters = *adr_store_voters (w->store);
    adr_store_sync_end (w->store, (adr_position_t){ 0, 0 }, &voters, 3);
    fixture_run (w);
    for (int i = 0; i < 2; i++) {
        adr_store_note_index_damaged (w->store);
        adr_store_heal (w->store);
        fixture_run (w);
    }
    for (int i = 0; i < 3; i++)
        fixture_append (w, 1, "a", i == 2 ? "at 3" : "before");
    fixture_run (w);
    fixture_apply (w, 3);
    assert_int_equal (adr_store_sync (w->store), ADR_SYNC_UNPROVEN);
    adr_store_note_index_damaged (w->store);
    adr_store_heal (w->store);
    assert_int_equal (w->store->sync_wanted.window_to, 3);
    fixture_flush (w);
    assert_int_equal (adr_store_regressions (w->store), 0);
    fixture_expect (w, "a", "at 3");
}

/* [REPAIR-2] It is served to nobody, hashes as one in doubt, whoever has its value, and keeps its frame. */
static void
test_a_record_in_doubt (void **state)
{
    fixture_t *w = *state;
    uint8_t plain[ADR_HASH_SIZE], had[ADR_HASH_SIZE];
    int rows = 0;
    s_place (w, "a", "1", 1);
    s_checkpoint (w);
    memcpy (plain, adr_store_checkpoint (w->store)->root, sizeof plain);
    s_bare (w, "a", "1", 2, ADR_DOUBT_HAD); /* another version */
    s_expect_doubt (w, "a", false);
    s_bare (w, "a", "1", 1, ADR_DOUBT_LACKED); /* it is here */
    s_expect_doubt (w, "a", false);
    uint64_t live = adr_journal_segment (w->store, w->store->journal.current)->live;
    s_bare (w, "a", "1", 1, ADR_DOUBT_HAD);
    s_expect_doubt (w, "a", true);
    assert_int_equal (adr_store_doubts (w->store), 1);
    assert_int_equal (adr_journal_segment (w->store, w->store->journal.current)->live, live);
    assert_int_equal (adr_store_scan (w->store, ADR_TABLE_KV, adr_bytes (NULL, 0), adr_bytes (NULL, 0), false, s_count_rows, &rows),
                      ADR_STATUS_DAMAGED);
    assert_int_equal (rows, 0);
    s_checkpoint (w);
    memcpy (had, adr_store_checkpoint (w->store)->root, sizeof had);
    assert_memory_not_equal (plain, had, sizeof had);
    assert_int_equal (s_verify_leaves (w), 1);
    fixture_reopen (w);
    assert_int_equal (adr_store_doubts (w->store), 1);
    s_expect_doubt (w, "a", true);
    s_place (w, "a", "1", 1); /* a third copy has it */
    s_expect_doubt (w, "a", false);
    fixture_expect (w, "a", "1");
    s_checkpoint (w);
    assert_memory_equal (plain, adr_store_checkpoint (w->store)->root, sizeof plain);
    adr_store_drop (w->store, ADR_TABLE_KV, fixture_text ("a"), &(adr_version_t){ ADR_EPOCH, 1, 1 });
    fixture_run (w);
    s_bare (w, "a", "1", 1, ADR_DOUBT_LACKED);
    s_expect_doubt (w, "a", true);
    s_bare (w, "a", "1", 1, ADR_DOUBT_COPIED); /* it keeps its first word */
    s_checkpoint (w);
    assert_memory_equal (had, adr_store_checkpoint (w->store)->root, sizeof had);
    adr_store_drop (w->store, ADR_TABLE_KV, fixture_text ("a"), &(adr_version_t){ ADR_EPOCH, 1, 1 });
    fixture_run (w);
    fixture_expect (w, "a", NULL);
    assert_int_equal (adr_store_doubts (w->store), 0);
    assert_int_equal (s_verify_leaves (w), 0);
}

/* [REPAIR-2] What the log writes ends the doubt, in memory at once. */
static void
test_a_write_ends_a_doubt (void **state)
{
    fixture_t *w = *state;
    fixture_write (w, "a", "1");
    fixture_flush (w);
    s_bare (w, "a", "1", 1, ADR_DOUBT_HAD);
    s_bare (w, "b", "1", 1, ADR_DOUBT_COPIED);
    s_bare (w, "c", "1", 1, ADR_DOUBT_LACKED);
    assert_int_equal (adr_store_doubts (w->store), 3);
    fixture_write (w, "a", "2");
    fixture_write (w, "b", NULL);
    fixture_expect (w, "a", "2");
    s_expect_doubt (w, "b", false);
    fixture_flush (w);
    assert_int_equal (adr_store_doubts (w->store), 1);
    assert_int_equal (adr_store_regressions (w->store), 0);
    fixture_expect (w, "a", "2");
    s_expect_doubt (w, "c", true);
    assert_int_equal (s_verify_leaves (w), 3);
}

/* A record whose value is nowhere hashes as it does elsewhere, and is answered as damaged until a copy of it comes. */
static void
test_a_row_without_a_value (void **state)
{
    fixture_t *w = *state;
    uint8_t root[ADR_HASH_SIZE];
    adr_record_t record;
    adr_buffer_t wounds = { 0 };
    s_bare (w, "a", "1", 1, ADR_DOUBT_NONE);
    assert_int_equal (adr_store_get (w->store, ADR_TABLE_KV, fixture_text ("a"), true, &record), ADR_STATUS_DAMAGED);
    assert_false (adr_store_met_doubt (w->store));
    assert_int_equal (adr_store_doubts (w->store), 0);
    adr_store_take_wounds (w->store, &wounds);
    assert_true (wounds.size > 0); /* it is asked for */
    adr_buffer_free (&wounds);
    s_checkpoint (w);
    memcpy (root, adr_store_checkpoint (w->store)->root, sizeof root);
    s_place (w, "a", "1", 1);
    fixture_expect (w, "a", "1");
    s_checkpoint (w);
    assert_memory_equal (root, adr_store_checkpoint (w->store)->root, sizeof root);
}

/* [STORE-10] A heal counts them anew; an index made anew has none, and is compared. */
static void
test_doubts_are_healed_and_forgotten (void **state)
{
    fixture_t *w = *state;
    fixture_write (w, "a", "1");
    fixture_write (w, "b", "1");
    fixture_flush (w);
    s_bare (w, "a", "1", 1, ADR_DOUBT_HAD);
    s_bare (w, "c", "1", 1, ADR_DOUBT_LACKED);
    adr_store_note_index_damaged (w->store);
    adr_store_heal (w->store);
    fixture_run (w);
    assert_false (adr_store_heals (w->store));
    assert_int_equal (adr_store_doubts (w->store), 2);
    s_expect_doubt (w, "a", true);
    assert_int_equal (s_verify_leaves (w), 3);
    memory_index_destroy (&w->index);
    w->index = memory_index_create ();
    fixture_reopen (w);
    assert_int_equal (adr_store_doubts (w->store), 0);
    fixture_expect (w, "a", "1");
    fixture_expect (w, "c", NULL);
}

/* A row replaces none that is newer; that it would have is counted [REPAIR-4]. */
static void
test_a_regression_is_counted (void **state)
{
    fixture_t *w = *state;
    s_place (w, "a", "from the future", 5);
    fixture_write (w, "a", "1");
    fixture_flush (w);
    assert_int_equal (adr_store_regressions (w->store), 1);
    fixture_expect (w, "a", "from the future");
}

/* --- how far a copy is exact -------------------------------------------------------------------------------------- */

static adr_voters_t
s_voters (fixture_t *w)
{
    adr_voters_t voters = *adr_store_voters (w->store);
    voters.at = (adr_position_t){ 1, 7 };
    return voters;
}

/* [REPAIR-5, REPL-7] A copy of records up to 20 to 25 is made behind a log that ends at 2; then the log starts at 20. */
static void
test_a_copy_moves_the_log (void **state)
{
    fixture_t *w = *state;
    fixture_write (w, "a", "1");
    fixture_write (w, "b", "2");
    adr_store_sync_begin (w->store);
    assert_int_equal (adr_store_sync (w->store), ADR_SYNC_EXACT);
    fixture_run (w);
    assert_int_equal (adr_store_sync (w->store), ADR_SYNC_COPYING);
    s_place (w, "a", "at 19", 19);
    s_place (w, "c", "at 23", 23);
    fixture_reopen (w);
    assert_int_equal (adr_store_sync (w->store), ADR_SYNC_COPYING);
    assert_int_equal (adr_store_last (w->store).index, 2);
    s_place (w, "b", "2", 2);
    adr_voters_t voters = s_voters (w);
    adr_store_sync_end (w->store, (adr_position_t){ 3, 20 }, &voters, 25);
    fixture_run (w);
    for (int i = 0; i < 2; i++) {
        assert_int_equal (adr_store_sync (w->store), ADR_SYNC_REPLAYING);
        assert_int_equal (adr_store_last (w->store).index, 20);
        assert_int_equal (adr_store_last (w->store).term, 3);
        assert_int_equal (adr_store_log_start (w->store).index, 20);
        assert_int_equal (adr_store_applied (w->store), 20);
        assert_int_equal (adr_store_voters (w->store)->at.index, 7);
        fixture_reopen (w);
        assert_int_equal (w->opening, ADR_STORE_OPENED);
    }
    fixture_append (w, 3, "a", "at 21");
    fixture_append (w, 3, "a", "at 22");
    fixture_append (w, 3, "c", "at 23");
    fixture_append (w, 3, "d", "at 24");
    fixture_run (w);
    fixture_apply (w, 24);
    fixture_flush (w);
    fixture_reopen (w);
    assert_int_equal (adr_store_sync (w->store), ADR_SYNC_REPLAYING);
    fixture_append (w, 3, "a", "at 25");
    fixture_run (w);
    fixture_apply (w, 25);
    assert_int_equal (adr_store_sync (w->store), ADR_SYNC_UNPROVEN);
    fixture_flush (w);
    adr_store_sync_proven (w->store, 25);
    fixture_run (w);
    assert_int_equal (adr_store_sync (w->store), ADR_SYNC_EXACT);
    fixture_reopen (w);
    assert_int_equal (adr_store_sync (w->store), ADR_SYNC_EXACT);
    fixture_expect (w, "a", "at 25");
    fixture_expect (w, "b", "2");
    fixture_expect (w, "d", "at 24");
    assert_int_equal (adr_store_regressions (w->store), 0);
    assert_int_equal (s_verify_leaves (w), 4);
}

/* A source that is further behind than where our log begins takes nothing of it: its end was acknowledged. */
static void
test_a_log_never_goes_back (void **state)
{
    fixture_t *w = *state;
    adr_voters_t voters = s_voters (w);
    fixture_write (w, "a", "1");
    for (uint64_t base = 20; base >= 15; base -= 5) {
        adr_store_sync_begin (w->store);
        fixture_run (w);
        adr_store_sync_end (w->store, (adr_position_t){ base == 20 ? 3 : 2, base }, &voters, base);
        fixture_run (w);
        assert_int_equal (adr_store_sync (w->store), ADR_SYNC_UNPROVEN);
        assert_int_equal (adr_store_log_start (w->store).index, 20);
        assert_int_equal (adr_store_last (w->store).index, 20);
        assert_int_equal (adr_store_applied (w->store), 20);
    }
}

/* Where the log holds the entry that the copy reaches back to, it stays as it is. */
static void
test_a_log_that_reaches_stays (void **state)
{
    fixture_t *w = *state;
    fixture_write_some (w, 1, 5);
    fixture_apply (w, 5);
    adr_store_sync_begin (w->store);
    fixture_run (w);
    adr_voters_t voters = s_voters (w);
    adr_store_sync_end (w->store, (adr_position_t){ 1, 3 }, &voters, 4);
    fixture_run (w);
    assert_int_equal (adr_store_sync (w->store), ADR_SYNC_UNPROVEN);
    assert_int_equal (adr_store_last (w->store).index, 5);
    assert_int_equal (adr_store_log_start (w->store).index, 0);
}

/* [REPAIR-1] No roots while rows come from elsewhere, or in the window. */
static void
test_no_roots_before_it_is_exact (void **state)
{
    fixture_t *w = *state;
    fixture_write (w, "a", "1");
    s_checkpoint (w);
    assert_int_equal (adr_store_checkpoint (w->store)->at.index, 2);
    adr_store_sync_begin (w->store);
    fixture_run (w);
    assert_int_equal (adr_store_checkpoint (w->store)->at.index, 0);
    s_checkpoint (w);
    assert_int_equal (adr_store_checkpoint (w->store)->at.index, 0);
    adr_voters_t voters = s_voters (w);
    adr_store_sync_end (w->store, (adr_position_t){ 1, 3 }, &voters, 5);
    fixture_run (w);
    s_checkpoint (w);
    assert_int_equal (adr_store_checkpoint (w->store)->at.index, 0);
    s_checkpoint (w);
    assert_int_equal (adr_store_checkpoint (w->store)->at.index, 5);
}

/* A crash between the two halves of the end: the index is ahead of a log that is still the old one. */
static void
test_the_end_of_a_copying_is_one_step (void **state)
{
    fixture_t *w = *state;
    fixture_write (w, "a", "1");
    adr_store_sync_begin (w->store);
    fixture_run (w);
    s_place (w, "a", "at 19", 19);
    adr_voters_t voters = s_voters (w);
    adr_store_sync_end (w->store, (adr_position_t){ 3, 20 }, &voters, 25);
    adr_store_job_t *job = adr_store_job_next (w->store, ADR_LANE_BACKGROUND, w->now);
    assert_string_equal (job->name, "sync");
    adr_store_job_write (w->store, job);
    assert_int_equal (job->error, 0);
    fixture_reopen (w);
    assert_int_equal (w->opening, ADR_STORE_OPENED);
    assert_int_equal (adr_store_sync (w->store), ADR_SYNC_COPYING);
    assert_int_equal (adr_store_last (w->store).index, 1);
    assert_int_equal (adr_store_applied (w->store), 1);
}

int
main (void)
{
    const struct CMUnitTest tests[] = {
        FIXTURE_TEST (test_leaves_follow_rows),
        FIXTURE_TEST (test_roots_are_of_the_records),
        FIXTURE_TEST (test_a_checkpoint_is_one_moment),
        FIXTURE_TEST (test_not_found_needs_the_tree),
        FIXTURE_TEST (test_buckets_are_bounded),
        FIXTURE_TEST (test_newer_copies_win),
        FIXTURE_TEST (test_the_same_version_is_a_new_place),
        FIXTURE_TEST (test_a_copy_fits_its_digest),
        FIXTURE_TEST (test_only_that_version_is_dropped),
        FIXTURE_TEST (test_a_window_outlives_heals),
        FIXTURE_TEST (test_a_record_in_doubt),
        FIXTURE_TEST (test_a_write_ends_a_doubt),
        FIXTURE_TEST (test_a_row_without_a_value),
        FIXTURE_TEST (test_doubts_are_healed_and_forgotten),
        FIXTURE_TEST (test_a_regression_is_counted),
        FIXTURE_TEST (test_a_copy_moves_the_log),
        FIXTURE_TEST (test_a_log_never_goes_back),
        FIXTURE_TEST (test_a_log_that_reaches_stays),
        FIXTURE_TEST (test_no_roots_before_it_is_exact),
        FIXTURE_TEST (test_the_end_of_a_copying_is_one_step),
    };
    return cmocka_run_group_tests (tests, NULL, NULL);
}
