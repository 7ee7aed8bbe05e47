/* SPDX-License-Identifier: MPL-2.0 */
/* A store that is opened without voters, and founded later [GROUP-6]: docs/protocol/groups.md. */

#include "store_fixture.h"

#include "store/internal.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

/* Of a node that joined: the fixture's one is there at the founding. */
static int
s_start (void **state)
{
    fixture_start (state);
    fixture_t *w = *state;
    adr_store_destroy (&w->store);
    memory_disk_destroy (&w->disk);
    memory_state_destroy (&w->state);
    memory_index_destroy (&w->index);
    w->disk = memory_disk_create ();
    w->state = memory_state_create ();
    w->index = memory_index_create ();
    w->options.founding = (adr_voters_t){ 0 };
    fixture_open (w);
    assert_int_equal (w->opening, ADR_STORE_NEW);
    assert_int_equal (adr_store_voters (w->store)->count, 0);
    return 0;
}

static adr_voters_t
s_voters (const fixture_t *w)
{
    return (adr_voters_t){ .quorum = 2, .count = 3, .voter = { { { { 8 } }, 80 }, { w->options.node, 77 }, { { { 9 } }, 90 } } };
}

static void
s_expect_founded (fixture_t *w)
{
    const adr_voters_t *voters = adr_store_voters (w->store);
    assert_int_equal (voters->count, 3);
    assert_int_equal (voters->quorum, 2);
    assert_int_equal (voters->at.index, 0);
    assert_int_equal (adr_voters_find (voters, &w->options.node, 77), 1);
    assert_false (adr_store_lacks_voters (w->store));
}

static void
test_an_empty_store_is_founded_once_for_all_starts (void **state)
{
    fixture_t *w = *state;
    adr_voters_t voters = s_voters (w);
    assert_true (adr_store_lacks_voters (w->store));
    adr_store_found (w->store, &voters);
    assert_false (adr_store_lacks_voters (w->store));
    assert_int_equal (adr_store_voters (w->store)->count, 0); /* not before it is durable */
    fixture_run (w);
    s_expect_founded (w);
    fixture_reopen (w);
    assert_int_equal (w->opening, ADR_STORE_OPENED);
    s_expect_founded (w);
    fixture_write_some (w, 1, 3);
    fixture_reopen (w);
    assert_int_equal (w->opening, ADR_STORE_OPENED);
    assert_int_equal (adr_store_last (w->store).index, 3);
    s_expect_founded (w);
}

/* Killed before the note: the store is as it was, and its incarnation, too. */
static void
test_what_is_interrupted_is_founded_again (void **state)
{
    fixture_t *w = *state;
    adr_voters_t voters = s_voters (w);
    fixture_run (w); /* what a new store does anyway */
    adr_store_found (w->store, &voters);
    adr_store_job_t *job = adr_store_job_next (w->store, ADR_LANE_BACKGROUND, w->now);
    assert_string_equal (job->name, "found");
    adr_store_job_write (w->store, job);
    fixture_reopen (w);
    assert_int_equal (w->opening, ADR_STORE_OPENED);
    assert_int_equal (adr_store_incarnation (w->store), 77);
    assert_int_equal (adr_store_voters (w->store)->count, 0);
    assert_true (adr_store_lacks_voters (w->store));
    adr_store_found (w->store, &voters);
    fixture_run (w);
    s_expect_founded (w);
}

/* The others were quicker: their master's entries came before the registry did. Nothing of the log is lost by it. */
static void
test_a_log_that_has_begun_is_founded (void **state)
{
    fixture_t *w = *state;
    adr_voters_t voters = s_voters (w);
    fixture_write (w, "a", "one");
    fixture_write (w, "b", "two");
    adr_store_found (w->store, &voters);
    fixture_append (w, 1, "c", "three"); /* while it waits for the disk */
    fixture_run (w);
    s_expect_founded (w);
    fixture_reopen (w);
    assert_int_equal (w->opening, ADR_STORE_OPENED);
    assert_int_equal (adr_store_last (w->store).index, 3);
    fixture_apply (w, 3);
    fixture_expect (w, "a", "one");
    fixture_expect (w, "c", "three");
    s_expect_founded (w);
}

/* A copy that is made meanwhile tells who votes: that is newer. */
static void
test_a_copy_s_voters_are_kept (void **state)
{
    fixture_t *w = *state;
    adr_voters_t voters = s_voters (w), newer = voters;
    newer.at = (adr_position_t){ 3, 7 };
    newer.voter[0].incarnation++;
    adr_store_sync_begin (w->store);
    fixture_run (w);
    adr_store_sync_end (w->store, (adr_position_t){ 4, 20 }, &newer, 20);
    fixture_run (w);
    assert_int_equal (adr_store_log_start (w->store).index, 20);
    assert_false (adr_store_lacks_voters (w->store));
    assert_int_equal (adr_store_voters (w->store)->voter[0].incarnation, 81);
}

int
main (void)
{
#define S_TEST(name) cmocka_unit_test_setup_teardown (name, s_start, fixture_stop)
    const struct CMUnitTest tests[] = {
        S_TEST (test_an_empty_store_is_founded_once_for_all_starts),
        S_TEST (test_what_is_interrupted_is_founded_again),
        S_TEST (test_a_log_that_has_begun_is_founded),
        S_TEST (test_a_copy_s_voters_are_kept),
    };
    return cmocka_run_group_tests (tests, NULL, NULL);
}
