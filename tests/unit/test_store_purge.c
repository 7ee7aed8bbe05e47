/* SPDX-License-Identifier: MPL-2.0 */
/* Tombstones in a store: which there are, and how they go [STORE-9]. */

#include "store_fixture.h"

#include "core/actor.h"
#include "store/internal.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

/* The log's next entry purges the tombstone of that index, and says so in the horizon; it is not applied yet. */
static void
s_append_purge (fixture_t *w, const char *key, uint64_t of_index)
{
    uint8_t version[ADR_VERSION_SIZE], horizon[ADR_PURGED_SIZE], bytes[512];
    adr_entry_t *entry = adr_alloc (sizeof *entry);
    *entry = (adr_entry_t){ .kind = ADR_ENTRY_WRITE, .term = 1, .epoch = ADR_EPOCH, .index = adr_store_last (w->store).index + 1, .op_count = 2 };
    adr_version_encode (&(adr_version_t){ ADR_EPOCH, 1, of_index }, version);
    adr_put_u64 (horizon, of_index);
    entry->op[0] = (adr_op_t){ .table = ADR_TABLE_KV, .flags = ADR_OP_PURGE, .key = fixture_text (key),
                               .value = adr_bytes (version, sizeof version) };
    entry->op[1] = (adr_op_t){ .table = ADR_TABLE_GROUP, .key = fixture_text (ADR_PURGED_KEY),
                               .value = adr_bytes (horizon, sizeof horizon) };
    for (int i = 0; i < 2; i++)
        adr_value_digest (entry->op[i].value, entry->op[i].digest);
    adr_entry_encode (entry, bytes);
    adr_store_append (w->store, entry, adr_bytes (bytes, adr_entry_size (entry)));
    free (entry);
    fixture_run (w);
}

static void
s_purge (fixture_t *w, const char *key, uint64_t of_index)
{
    s_append_purge (w, key, of_index);
    fixture_apply (w, adr_store_last (w->store).index);
}

static adr_status_t
s_get (fixture_t *w, const char *key)
{
    adr_record_t record;
    return adr_store_get (w->store, ADR_TABLE_KV, fixture_text (key), false, &record);
}

/* The store is found to hold just these tombstones, as "key=index key=index ", oldest first. */
typedef struct {
    char text[8192];
    int count, most;
} s_listed_t;

static bool
s_list (void *argument, const adr_tombstone_t *tombstone)
{
    s_listed_t *listed = argument;
    size_t size = strlen (listed->text);
    assert_int_equal (tombstone->table, ADR_TABLE_KV);
    assert_int_equal (tombstone->time_ms, 1000);
    snprintf (listed->text + size, sizeof listed->text - size, "%.*s=%llu ", (int) tombstone->key.size,
              (const char *) tombstone->key.data, (unsigned long long) tombstone->version.index);
    return ++listed->count < listed->most;
}

static const char *
s_tombstones (fixture_t *w)
{
    static s_listed_t listed;
    adr_tombstone_place_t place = { 0 };
    listed = (s_listed_t){ .most = 1000 };
    do
        adr_store_tombstones (w->store, &place, s_list, &listed);
    while (place.size);
    return listed.text;
}

/* Rows that name a tombstone in the index. */
static size_t
s_rows (fixture_t *w)
{
    adr_index_t *index = w->store->index;
    adr_index_view_t *view;
    adr_bytes_t name = adr_bytes ("t", 1), value;
    size_t count = 0;
    assert_int_equal (index->view (index, &view), 0);
    while (index->view_next (view, name, &name, &value) == 0 && name.data[0] == 't')
        count++;
    index->view_close (&view);
    return count;
}

/* --- which there are ---------------------------------------------------------------------------------------------- */

static void
test_tombstones_are_found_in_the_order_of_the_log (void **state) /* [STORE-9] */
{
    fixture_t *w = *state;
    fixture_write (w, "b", "1");
    fixture_write (w, "b", NULL);
    fixture_write (w, "a", NULL);
    fixture_write (w, "c", "3");
    assert_string_equal (s_tombstones (w), ""); /* of what is in memory only nobody is in a hurry to forget */
    fixture_flush (w);
    assert_string_equal (s_tombstones (w), "b=2 a=3 ");
    fixture_write (w, "b", "again");
    assert_string_equal (s_tombstones (w), "a=3 ");
    fixture_flush (w);
    fixture_write (w, "c", NULL);
    fixture_write (w, "a", NULL);
    assert_string_equal (s_tombstones (w), ""); /* a's first one stands no more */
    fixture_flush (w);
    assert_string_equal (s_tombstones (w), "c=6 a=7 ");
    assert_int_equal (s_rows (w), 2); /* nothing is left of those that were overwritten */
    fixture_reopen (w);
    assert_string_equal (s_tombstones (w), "c=6 a=7 ");
}

static void
test_a_look_at_tombstones_goes_on_where_it_ended (void **state) /* [STORE-9] */
{
    fixture_t *w = *state;
    char key[16];
    for (int i = 0; i < 100; i++) {
        snprintf (key, sizeof key, "k%d", i);
        fixture_write (w, key, NULL);
    }
    fixture_flush (w);
    adr_tombstone_place_t place = { 0 };
    s_listed_t listed = { .most = 1000 };
    adr_store_tombstones (w->store, &place, s_list, &listed);
    assert_int_equal (listed.count, ADR_TOMBSTONES_MAX);
    assert_int_not_equal (place.size, 0);
    adr_store_tombstones (w->store, &place, s_list, &listed);
    assert_int_equal (listed.count, 100);
    assert_int_equal (place.size, 0);
    listed = (s_listed_t){ .most = 3 };
    adr_store_tombstones (w->store, &place, s_list, &listed);
    assert_string_equal (listed.text, "k0=1 k1=2 k2=3 ");
    adr_store_tombstones (w->store, &place, s_list, &listed); /* who says no to one is asked about it again */
    assert_string_equal (listed.text, "k0=1 k1=2 k2=3 k2=3 ");
}

static void
test_a_look_that_was_ended_is_no_end (void **state) /* [STORE-9] */
{
    fixture_t *w = *state;
    fixture_write (w, "a", NULL);
    fixture_write (w, "b", NULL);
    fixture_write (w, "c", NULL);
    fixture_flush (w);
    adr_tombstone_place_t place = { 0 };
    s_listed_t listed = { .most = 2 };
    adr_store_tombstones (w->store, &place, s_list, &listed);
    listed.most = 1000;
    adr_store_tombstones (w->store, &place, s_list, &listed);
    assert_string_equal (listed.text, "a=1 b=2 b=2 c=3 ");
}

/* --- how they go -------------------------------------------------------------------------------------------------- */

static void
test_a_purge_takes_the_tombstone_everywhere (void **state) /* [STORE-9] */
{
    fixture_t *w = *state;
    fixture_write (w, "keeps", "1");
    uint64_t deleted = fixture_write (w, "goes", NULL);
    fixture_flush (w);
    size_t rows = memory_index_count (w->index);
    assert_int_equal (s_get (w, "goes"), ADR_STATUS_OK);
    s_purge (w, "goes", deleted);
    assert_int_equal (s_get (w, "goes"), ADR_STATUS_NOT_FOUND); /* in memory */
    assert_string_equal (s_tombstones (w), "");
    fixture_flush (w);
    assert_int_equal (s_get (w, "goes"), ADR_STATUS_NOT_FOUND); /* in the index: the row went, the horizon came */
    assert_int_equal (memory_index_count (w->index), rows);
    assert_int_equal (s_rows (w), 0);
    fixture_expect (w, "keeps", "1");
    fixture_write (w, "goes", "back");
    fixture_flush (w);
    fixture_expect (w, "goes", "back");
}

/* Put, delete and purge meet in one memory table, over a row of the index that is older than all of them. */
static void
test_a_purge_leaves_nothing_older_behind (void **state) /* [STORE-9] */
{
    fixture_t *w = *state;
    fixture_write (w, "k", "old");
    fixture_flush (w);
    uint64_t deleted = fixture_write (w, "k", NULL);
    s_purge (w, "k", deleted);
    assert_int_equal (s_get (w, "k"), ADR_STATUS_NOT_FOUND);
    fixture_flush (w);
    assert_int_equal (s_get (w, "k"), ADR_STATUS_NOT_FOUND);
    assert_int_equal (memory_index_count (w->index), 1); /* the horizon */
    fixture_reopen (w);
    assert_int_equal (s_get (w, "k"), ADR_STATUS_NOT_FOUND);
}

static void
test_a_purge_takes_no_other_version (void **state) /* [STORE-9] */
{
    fixture_t *w = *state;
    uint64_t first = fixture_write (w, "k", NULL), put = fixture_write (w, "k", "newer");
    s_purge (w, "k", first);
    fixture_expect (w, "k", "newer");
    s_purge (w, "k", put); /* of that version, and no tombstone */
    fixture_expect (w, "k", "newer");
    fixture_flush (w);
    s_purge (w, "k", first);
    fixture_expect (w, "k", "newer");
    fixture_flush (w);
    fixture_expect (w, "k", "newer");
    fixture_write (w, "k", NULL);
    s_purge (w, "k", first);
    fixture_flush (w);
    assert_int_equal (s_get (w, "k"), ADR_STATUS_OK); /* the second tombstone */
}

static void
test_an_older_read_does_not_wait_for_a_purge (void **state) /* [READ-5] */
{
    fixture_t *w = *state;
    adr_record_t record;
    uint64_t deleted = fixture_write (w, "k", NULL);
    s_purge (w, "k", deleted);
    assert_int_equal (adr_store_get_unlocked (w->store, ADR_TABLE_KV, fixture_text ("k"), deleted, &record),
                      ADR_STATUS_NOT_FOUND);
}

/* A restart over an index that knows the tombstone and not the purge, and one without any index, come to the same. */
static void
test_replay_purges_again (void **state) /* [STORE-9] */
{
    fixture_t *w = *state;
    fixture_write (w, "k", "value");
    uint64_t deleted = fixture_write (w, "k", NULL);
    fixture_flush (w);
    s_purge (w, "k", deleted);
    fixture_write (w, "other", "value");
    w->now += 20 * ADR_MS;
    fixture_run (w);
    fixture_reopen (w);
    assert_int_equal (w->opening, ADR_STORE_OPENED);
    fixture_apply (w, adr_store_last (w->store).index);
    assert_int_equal (s_get (w, "k"), ADR_STATUS_NOT_FOUND);
    fixture_flush (w);
    size_t rows = memory_index_count (w->index);
    assert_string_equal (s_tombstones (w), "");
    adr_store_destroy (&w->store);
    memory_index_destroy (&w->index);
    w->index = memory_index_create ();
    fixture_open (w);
    fixture_apply (w, adr_store_last (w->store).index);
    fixture_flush (w);
    assert_int_equal (s_get (w, "k"), ADR_STATUS_NOT_FOUND);
    assert_int_equal (memory_index_count (w->index), rows);
}

/* Bytes of purged tombstones that compaction keeps. */
/* The frame of a tombstone that was purged before the index heard of it counts, too: an older frame of its key, the put's, may
 * be anywhere. */
static void
test_every_purged_tombstone_is_accounted_for (void **state) /* [STORE-9] */
{
    fixture_t *w = *state;
    uint64_t deleted = fixture_write (w, "flushed", NULL);
    fixture_flush (w);
    s_purge (w, "flushed", deleted);
    fixture_flush (w);
    uint64_t one = fixture_ghosts (w);
    assert_int_not_equal (one, 0);
    fixture_write (w, "in-turn", "old");
    fixture_flush (w);
    deleted = fixture_write (w, "in-turn", NULL);
    s_purge (w, "in-turn", deleted);
    fixture_flush (w);
    assert_int_equal (fixture_ghosts (w), 2 * one);
    fixture_write (w, "at-once", "old");
    deleted = fixture_write (w, "at-once", NULL);
    s_purge (w, "at-once", deleted);
    fixture_flush (w);
    assert_int_equal (fixture_ghosts (w), 3 * one);
    assert_int_equal (memory_index_count (w->index), 1);
}

/* The same where the log has moved on, and only the journal below its start tells of delete and purge. */
static void
test_an_index_that_is_made_anew_knows_of_purges_below_the_log (void **state) /* [STORE-6, STORE-9] */
{
    fixture_t *w = *state;
    w->options.log_keep_max = 1;
    fixture_reopen (w);
    fixture_write (w, "k", "value");
    uint64_t deleted = fixture_write (w, "k", NULL);
    s_purge (w, "k", deleted);
    for (int i = 0; i < 10; i++)
        fixture_write (w, "other", "value");
    fixture_flush (w);
    fixture_flush (w);
    assert_true (adr_store_log_start (w->store).index > deleted + 1);
    adr_store_destroy (&w->store);
    memory_index_destroy (&w->index);
    w->index = memory_index_create ();
    fixture_open (w);
    fixture_apply (w, adr_store_last (w->store).index);
    fixture_flush (w);
    assert_int_equal (s_get (w, "k"), ADR_STATUS_NOT_FOUND);
    assert_string_equal (s_tombstones (w), "");
    assert_int_equal (adr_store_purged_to (w->store), deleted);
}

/* An index that is healed while the store runs has a row for each tombstone again, and for no other. */
static void
test_an_index_that_is_healed_knows_its_tombstones (void **state) /* [STORE-9, STORE-10] */
{
    fixture_t *w = *state;
    fixture_write (w, "a", NULL);
    fixture_write (w, "b", NULL);
    fixture_flush (w);
    adr_index_t *index = w->store->index;
    uint8_t stale[25] = { 't' };
    assert_int_equal (index->begin (index), 0);
    assert_int_equal (index->put_tree (index, adr_bytes (stale, sizeof stale), adr_bytes ("\3x", 2)), 0);
    assert_int_equal (index->commit (index), 0);
    assert_int_equal (s_rows (w), 3);
    w->store->index_damaged = true;
    adr_store_heal (w->store);
    for (int i = 0; i < 4; i++)
        fixture_flush (w);
    assert_false (adr_store_index_is_damaged (w->store));
    assert_int_equal (s_rows (w), 2);
    assert_string_equal (s_tombstones (w), "a=1 b=2 ");
}

/* [REPAIR-4] Slot and hash go with the row: two stores that hold the same have the same roots, whatever they held before. */
static void
s_root (fixture_t *w, uint8_t root[ADR_HASH_SIZE])
{
    adr_index_view_t *view;
    adr_tree_t *tree = &w->store->tree;
    assert_int_equal (w->store->index->view (w->store->index, &view), 0);
    memset (tree->stale, true, tree->partitions + 1);
    assert_int_equal (adr_tree_roots (tree, w->store->index, view), 0);
    w->store->index->view_close (&view);
    memcpy (root, tree->root, ADR_HASH_SIZE); /* of the one partition; the horizon is of the group's own */
}

static void
test_a_purged_record_is_in_no_hash (void **state) /* [REPAIR-4, STORE-9] */
{
    fixture_t *w = *state;
    uint8_t with[ADR_HASH_SIZE], without[ADR_HASH_SIZE];
    fixture_write (w, "keeps", "1");
    fixture_flush (w);
    s_root (w, without);
    uint64_t deleted = fixture_write (w, "goes", NULL);
    fixture_flush (w);
    s_root (w, with);
    assert_memory_not_equal (with, without, ADR_HASH_SIZE);
    s_purge (w, "goes", deleted);
    fixture_flush (w);
    s_root (w, with);
    assert_memory_equal (with, without, ADR_HASH_SIZE);
}

/* --- the horizon -------------------------------------------------------------------------------------------------- */

static void
test_the_horizon_is_applied_with_the_purge (void **state) /* [REPAIR-2] */
{
    fixture_t *w = *state;
    uint64_t index;
    assert_int_equal (adr_store_purge_horizon (w->store, &index), ADR_STATUS_OK);
    assert_int_equal (index, 0);
    fixture_write (w, "a", "1");
    uint64_t deleted = fixture_write (w, "k", NULL);
    s_append_purge (w, "k", deleted);
    assert_int_equal (adr_store_purged_to (w->store), 0);
    fixture_apply (w, adr_store_last (w->store).index);
    assert_int_equal (adr_store_purged_to (w->store), deleted);
    fixture_flush (w);
    fixture_reopen (w);
    assert_int_equal (adr_store_purged_to (w->store), deleted);
}

/* --- copies ------------------------------------------------------------------------------------------------------- */

static void
test_tombstones_that_come_as_copies_are_found (void **state) /* [STORE-9] */
{
    fixture_t *w = *state;
    adr_copy_t copy = { .table = ADR_TABLE_KV, .key = fixture_text ("k"), .version = { ADR_EPOCH, 1, 7 }, .deleted = true,
                        .time_ms = 1000 };
    adr_value_digest (copy.value, copy.digest);
    assert_true (adr_store_place (w->store, &copy));
    for (int i = 0; i < 3; i++)
        fixture_flush (w);
    assert_string_equal (s_tombstones (w), "k=7 ");
    adr_store_drop (w->store, ADR_TABLE_KV, copy.key, &copy.version);
    for (int i = 0; i < 3; i++)
        fixture_flush (w);
    assert_string_equal (s_tombstones (w), "");
}

int
main (void)
{
    const struct CMUnitTest tests[] = {
        FIXTURE_TEST (test_tombstones_are_found_in_the_order_of_the_log),
        FIXTURE_TEST (test_a_look_at_tombstones_goes_on_where_it_ended),
        FIXTURE_TEST (test_a_look_that_was_ended_is_no_end),
        FIXTURE_TEST (test_a_purge_takes_the_tombstone_everywhere),
        FIXTURE_TEST (test_a_purge_leaves_nothing_older_behind),
        FIXTURE_TEST (test_a_purge_takes_no_other_version),
        FIXTURE_TEST (test_an_older_read_does_not_wait_for_a_purge),
        FIXTURE_TEST (test_replay_purges_again),
        FIXTURE_TEST (test_every_purged_tombstone_is_accounted_for),
        FIXTURE_TEST (test_an_index_that_is_made_anew_knows_of_purges_below_the_log),
        FIXTURE_TEST (test_an_index_that_is_healed_knows_its_tombstones),
        FIXTURE_TEST (test_a_purged_record_is_in_no_hash),
        FIXTURE_TEST (test_the_horizon_is_applied_with_the_purge),
        FIXTURE_TEST (test_tombstones_that_come_as_copies_are_found),
    };
    return cmocka_run_group_tests (tests, NULL, NULL);
}
