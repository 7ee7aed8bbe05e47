/* SPDX-License-Identifier: MPL-2.0 */
/* The store over memory: full disks, the reserve, and segments that are cut to what they hold [STORE-11]. */

#include "store_fixture.h"

#include "store/internal.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

/* [STORE-11] */
static void
test_full_disk_refuses_but_goes_on (void **state)
{
    fixture_t *w = *state;
    fixture_run (w);
    assert_int_equal (adr_store_space (w->store), ADR_SPACE_OK);
    w->disk->free_bytes = 1000;
    w->now += 2000 * ADR_MS;
    fixture_write_some (w, 1, 1);
    assert_int_equal (adr_store_space (w->store), ADR_SPACE_SECOND_MARK);
    fixture_write_some (w, 2, 40); /* the reserve: two segments that are written already */
    assert_int_equal (adr_store_durable (w->store), 41);
    w->disk->free_bytes = UINT64_C (1) << 40;
    w->now += 3000 * ADR_MS;
    fixture_run (w);
    w->now += 3000 * ADR_MS;
    fixture_run (w);
    assert_int_equal (adr_store_space (w->store), ADR_SPACE_OK);
}

/* Whatever waits for space: fixture_run looks. */
static void
test_a_full_disk_costs_no_processor_time (void **state)
{
    fixture_t *w = *state;
    fixture_write_some (w, 1, 1);
    fixture_apply (w, 1);
    adr_store_set_unlocked (w->store, 1);
    fixture_run (w);
    w->now += 600 * ADR_MS; /* a flush becomes due between two tries to make a segment */
    w->disk->free_bytes = 0;
    fixture_write_some (w, 2, 40);
    for (int i = 0; i < 20; i++) {
        w->now += 100 * ADR_MS;
        fixture_run (w);
    }
    for (int i = 0; i < 2000; i++) /* they fill what is prepared; the rest waits */
        fixture_append (w, 3, "key", "value");
    fixture_run (w);
    assert_true (adr_store_durable (w->store) < adr_store_last (w->store).index);
    w->disk->free_bytes = UINT64_C (1) << 40;
    w->now += 2000 * ADR_MS;
    fixture_write_some (w, 3, 1);
    assert_int_equal (adr_store_durable (w->store), adr_store_last (w->store).index);
    w->disk->free_bytes = 0;
    w->now += 2000 * ADR_MS;
    fixture_write_some (w, 3, 1);
    while (adr_journal_left (w->store) > 0) { /* the last batch finds no space for its witness */
        fixture_append (w, 4, "key", "value");
        fixture_run (w);
    }
    w->now += 20 * ADR_MS;
    fixture_run (w);
}

static void
test_the_reserve_is_for_what_holds_the_group_together (void **state) /* [STORE-11] */
{
    fixture_t *w = *state;
    adr_entry_t put = fixture_entry (ADR_ENTRY_WRITE, ADR_TABLE_KV, 0),
                deletes = fixture_entry (ADR_ENTRY_WRITE, ADR_TABLE_KV, ADR_OP_DELETE),
                garbage = fixture_entry (ADR_ENTRY_WRITE, ADR_TABLE_GARBAGE, 0),
                open = fixture_entry (ADR_ENTRY_OPEN, 0, 0),
                voters = fixture_entry (ADR_ENTRY_VOTERS, ADR_TABLE_GROUP, 0);
    fixture_run (w);
    assert_true (adr_store_takes (w->store, &put, false));
    w->disk->free_bytes = 0;
    w->now += 2000 * ADR_MS;
    fixture_write_some (w, 1, 1);
    assert_int_equal (adr_store_space (w->store), ADR_SPACE_SECOND_MARK);
    assert_false (adr_store_takes (w->store, &put, false));
    assert_true (adr_store_takes (w->store, &put, true));
    assert_true (adr_store_takes (w->store, &deletes, false) && adr_store_takes (w->store, &garbage, false));
    assert_true (adr_store_takes (w->store, &open, false) && adr_store_takes (w->store, &voters, false));
    while (adr_store_space (w->store) == ADR_SPACE_SECOND_MARK)
        fixture_write_some (w, 2, 1);
    assert_int_equal (adr_store_space (w->store), ADR_SPACE_LAST);
    assert_false (adr_store_takes (w->store, &deletes, false) || adr_store_takes (w->store, &garbage, false));
    int more = 0;
    for (; adr_store_takes (w->store, &put, true); more++)
        fixture_write_some (w, 3, 1);
    assert_true (more > 3);
    assert_false (adr_store_takes (w->store, &deletes, true));
    more = 0;
    for (; adr_store_takes (w->store, &open, false); more++)
        fixture_write_some (w, 3, 1);
    assert_true (more > 0);
    assert_false (adr_store_takes (w->store, &voters, false));
    assert_int_equal (adr_store_durable (w->store), adr_store_last (w->store).index); /* all that was taken has its place */
    fixture_reopen (w); /* one segment was left for this */
    assert_int_equal (w->opening, ADR_STORE_OPENED);
    assert_true (adr_store_takes (w->store, &open, false));
}

/* [STORE-11] A start costs the tail's copy and a seal, not a segment; a full disk stops none. */
static void
test_starts_use_up_no_segments (void **state)
{
    fixture_t *w = *state;
    fixture_write_some (w, 1, 40);
    fixture_reopen (w);
    fixture_run (w);
    uint64_t before = w->disk->free_bytes, last = adr_store_last (w->store).index;
    for (int i = 0; i < 10; i++) {
        fixture_write_some (w, 1, 1);
        fixture_reopen (w);
        assert_int_equal (w->opening, ADR_STORE_OPENED);
        fixture_run (w);
    }
    assert_true (before - w->disk->free_bytes <= 10 * 10 * 4096);
    w->disk->free_bytes = 0;
    for (int i = 0; i < 15; i++) { /* each uses up four blocks of the two prepared segments, of 128 KiB here */
        fixture_reopen (w);
        assert_int_equal (w->opening, ADR_STORE_OPENED);
        w->now += 2000 * ADR_MS;
        fixture_run (w);
    }
    assert_int_equal (adr_store_last (w->store).index, last + 10);
    w->disk->free_bytes = UINT64_C (1) << 40; /* and the reserve is made again */
    for (int i = 0; i < 3; i++) {
        w->now += 2000 * ADR_MS;
        fixture_run (w);
    }
    assert_int_equal (adr_store_space (w->store), ADR_SPACE_OK);
    fixture_write_some (w, 1, 80);
    fixture_apply (w, last + 90);
    fixture_expect (w, "key", "value");
}

/* Nobody knows yet that the disk is full, and batches go on until they find no segment: the last one that was prepared
 * is the next start's all the same. */
static void
test_a_disk_that_fills_up_between_two_looks (void **state) /* [STORE-11] */
{
    fixture_t *w = *state;
    fixture_write_some (w, 1, 10);
    w->disk->free_bytes = 0;
    while (adr_store_durable (w->store) == adr_store_last (w->store).index) {
        fixture_append (w, 1, "key", "value");
        fixture_run (w);
    }
    uint64_t durable = adr_store_durable (w->store);
    fixture_reopen (w);
    assert_int_equal (w->opening, ADR_STORE_OPENED);
    assert_int_equal (adr_store_last (w->store).index, durable);
}

/* A segment that was cut to what it holds ends with a seal; one that lost its end does not. */
static void
test_a_segment_without_its_end_is_no_sealed_one (void **state) /* [STORE-4] */
{
    fixture_t *w = *state;
    fixture_write_some (w, 1, 40);
    fixture_reopen (w);
    fixture_run (w);
    assert_true (memory_disk_segment (w->disk, 2)->size < w->options.segment_bytes);
    fixture_reopen (w);
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
    fixture_expect_amnesia (w);
}

int
main (void)
{
    const struct CMUnitTest tests[] = {
        FIXTURE_TEST (test_full_disk_refuses_but_goes_on),
        FIXTURE_TEST (test_a_full_disk_costs_no_processor_time),
        FIXTURE_TEST (test_the_reserve_is_for_what_holds_the_group_together),
        FIXTURE_TEST (test_starts_use_up_no_segments),
        FIXTURE_TEST (test_a_disk_that_fills_up_between_two_looks),
        FIXTURE_TEST (test_a_segment_without_its_end_is_no_sealed_one),
    };
    return cmocka_run_group_tests (tests, NULL, NULL);
}
