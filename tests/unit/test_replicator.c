/* SPDX-License-Identifier: MPL-2.0 */
/* The replicator over a real store in memory, its own log: what a hostile or unlucky peer can send it, entries that
 * cannot be read any more, log time. The members of its group have test_replicator_members.c, an edge's requests
 * test_replicator_requests.c; what whole groups do is the simulator's business. */

#include "replicator_fixture.h"

#include "core/entry.h"
#include "core/limits.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

/* --- what no byte may do ------------------------------------------------------------------------------------------ */

static void
test_a_predecessor_that_contradicts_the_log_start_is_dropped (void **state) /* [REPL-1] */
{
    (void) state;
    fixture_append (fixture_meta (2, ADR_ACTOR_REPLICATOR), 5, (adr_position_t){ 4, 0 }, 1);
    assert_int_equal (adr_store_last (fixture.store).index, 0);
    fixture_append (fixture_meta (2, ADR_ACTOR_REPLICATOR), 5, (adr_position_t){ 0, 0 }, 1);
    assert_int_equal (adr_store_last (fixture.store).index, 1);
}

static void
test_a_term_near_its_end_raises_no_fence (void **state) /* [ELECT-5] */
{
    (void) state;
    fixture_append (fixture_meta (2, ADR_ACTOR_REPLICATOR), ADR_TERM_MAX + 1, (adr_position_t){ 0, 0 }, 0);
    assert_int_equal (fixture.harness.token_count, 0);
    fixture_append (fixture_meta (2, ADR_ACTOR_REPLICATOR), ADR_TERM_MAX, (adr_position_t){ 0, 0 }, 0);
    assert_int_equal (fixture.harness.token_count, 1);
}

static void
test_a_node_of_another_group_raises_no_fence (void **state) /* [ELECT-5] */
{
    (void) state;
    fixture_append (harness_address (2, ADR_NODE_DATA, ADR_ACTOR_REPLICATOR), 5, (adr_position_t){ 0, 0 }, 1);
    assert_int_equal (fixture.harness.token_count, 0);
    assert_int_equal (adr_store_last (fixture.store).index, 0);
}

/* --- more than the disk keeps up with ----------------------------------------------------------------------------- */

/* An append of the master in zone 2 with an entry of 1 MiB. */
static void
s_append_large (uint64_t term, uint64_t previous)
{
    static uint8_t s_value[ADR_VALUE_MAX], s_bytes[ADR_ENTRY_MAX];
    Adr__Append append = ADR__APPEND__INIT;
    adr_entry_t entry = { .kind = ADR_ENTRY_WRITE, .term = term, .index = previous + 1, .epoch = 1, .op_count = 1 };
    entry.op[0].table = ADR_TABLE_KV;
    entry.op[0].key = adr_bytes ("k", 1);
    entry.op[0].value = adr_bytes (s_value, sizeof s_value);
    adr_entry_encode (&entry, s_bytes);
    append.term = term;
    append.prev_term = previous ? term : 0;
    append.prev_index = previous;
    append.count = 1;
    append.incarnation = 101;
    harness_message (&fixture.harness, fixture_meta (2, ADR_ACTOR_REPLICATOR), ADR_NODE_META, ADR__KIND__APPEND,
                     &append.base, adr_bytes (s_bytes, adr_entry_size (&entry)));
}

static void
test_what_finds_no_room_is_not_answered_at_once (void **state)
{
    (void) state;
    s_append_large (1, 0);
    harness_durable (&fixture.harness);
    for (uint64_t index = 1; adr_store_has_room (fixture.store); index++)
        s_append_large (1, index);
    uint64_t last = adr_store_last (fixture.store).index;
    harness_forget (&fixture.harness);
    for (int i = 0; i < 10; i++)
        s_append_large (1, last);
    assert_int_equal (adr_store_last (fixture.store).index, last);
    assert_int_equal (harness_count (&fixture.harness, ADR__KIND__APPEND_ACK), 0);
    fixture_sync ();
    assert_int_equal (((const Adr__AppendAck *) fixture_newest (ADR__KIND__APPEND_ACK))->confirmed, last);
    s_append_large (1, last);
    assert_int_equal (adr_store_last (fixture.store).index, last + 1);
}

/* --- entries that rot while the process runs [STORE-5] ------------------------------------------------------------ */

#define S_ROTTEN (UINT64_C (1) << 63)

/* Replaces the position in the entry's frame, wherever it stands. */
static void
s_overwrite (uint64_t term, uint64_t index, uint64_t by_index)
{
    uint8_t position[16];
    adr_put_u64 (position, term);
    adr_put_u64 (position + 8, index);
    bool found = false;
    for (size_t i = 0; i < fixture.disk->count; i++)
        for (uint64_t at = 0; at + 16 <= fixture.disk->segment[i].size; at++)
            if (memcmp (fixture.disk->segment[i].now + at, position, 16) == 0) {
                adr_put_u64 (fixture.disk->segment[i].now + at + 8, by_index);
                found = true;
            }
    assert_true (found);
}

static void
s_rot (uint64_t term, uint64_t index)
{
    s_overwrite (term, index, index | S_ROTTEN);
}

static void
s_unrot (uint64_t term, uint64_t index)
{
    s_overwrite (term, index | S_ROTTEN, index);
}

static void
s_append_commit (uint64_t term, uint64_t previous, uint64_t commit)
{
    Adr__Append append = ADR__APPEND__INIT;
    append.term = append.prev_term = term;
    append.prev_index = previous;
    append.commit = commit;
    append.incarnation = 101;
    fixture_tell (2, ADR_ACTOR_REPLICATOR, ADR__KIND__APPEND, &append.base);
    fixture_sync ();
}

static void
test_a_member_whose_entry_rots_before_it_is_applied_fetches_it (void **state) /* [STORE-5] */
{
    (void) state;
    for (uint64_t index = 1; index <= 3; index++) {
        fixture_append (fixture_meta (2, ADR_ACTOR_REPLICATOR), 5, (adr_position_t){ index > 1 ? 5 : 0, index - 1 }, 1);
        harness_durable (&fixture.harness);
        fixture_sync ();
    }
    assert_int_equal (((const Adr__AppendAck *) fixture_newest (ADR__KIND__APPEND_ACK))->confirmed, 3);
    s_rot (5, 2);
    s_append_commit (5, 3, 3);
    harness_advance (&fixture.harness, 5000 * ADR_MS);
    const Adr__AppendAck *ack = (const Adr__AppendAck *) fixture_newest (ADR__KIND__APPEND_ACK);
    assert_int_equal (ack->confirmed, 1);
    assert_int_equal (ack->missing_from, 2);
    assert_int_equal (adr_store_applied (fixture.store), 1);
    assert_false (((const Adr__Voters *) fixture_newest (ADR__KIND__VOTERS))->may_stand);
    assert_int_equal (fixture.harness.notes[ADR_LEVEL_ERROR] + fixture.harness.notes[ADR_LEVEL_WARNING], 1);
    fixture_append (fixture_meta (2, ADR_ACTOR_REPLICATOR), 5, (adr_position_t){ 5, 1 }, 1);
    fixture_sync ();
    ack = (const Adr__AppendAck *) fixture_newest (ADR__KIND__APPEND_ACK);
    assert_int_equal (ack->confirmed, 3);
    assert_int_equal (ack->missing_from, 0);
    assert_int_equal (adr_store_applied (fixture.store), 3);
    assert_int_equal (adr_store_missing_from (fixture.store), 0);
    assert_int_equal (fixture.harness.notes[ADR_LEVEL_ERROR] + fixture.harness.notes[ADR_LEVEL_WARNING], 1);
}

static void
test_a_master_that_cannot_read_its_own_entry_hands_over (void **state) /* [STORE-5] */
{
    (void) state;
    fixture_lead_with_ten_entries ();
    fixture_write (10);
    fixture_write (11);
    fixture_ack (3, 1, 12); /* what was read ahead is of these now */
    s_rot (1, 6);
    fixture_answered (2, 1, 2);
    fixture_ack_of_boot (2, 2, 1, 5);
    assert_int_equal (harness_count (&fixture.harness, ADR__KIND__RESIGN), 0); /* the disk may only have stuttered */
    harness_advance (&fixture.harness, 200 * ADR_MS);
    assert_int_equal (harness_count (&fixture.harness, ADR__KIND__RESIGN), 1);
    assert_int_equal (adr_store_missing_from (fixture.store), 6);
    assert_false (((const Adr__Voters *) fixture_newest (ADR__KIND__VOTERS))->may_stand);
}

static void
test_a_disk_that_stuttered_costs_no_mastership (void **state) /* [STORE-5] */
{
    (void) state;
    fixture_lead_with_ten_entries ();
    fixture_write (10);
    fixture_write (11);
    fixture_ack (3, 1, 12);
    s_rot (1, 6);
    fixture_answered (2, 1, 2);
    fixture_ack_of_boot (2, 2, 1, 5);
    s_unrot (1, 6);
    for (int i = 0; i < 20; i++) {
        fixture_answered (2, 1, 2);
        harness_advance (&fixture.harness, 100 * ADR_MS);
    }
    assert_int_equal (adr_store_missing_from (fixture.store), 0);
    assert_int_equal (harness_count (&fixture.harness, ADR__KIND__RESIGN), 0);
    assert_int_equal (fixture_sent_to (2)->prev_index + fixture_sent_to (2)->count, 12);
}

/* --- log time ----------------------------------------------------------------------------------------------------- */

static uint64_t
s_time_of (uint64_t index)
{
    adr_buffer_t buffer = { 0 };
    adr_status_t status;
    adr_entry_t *entry = adr_alloc (sizeof *entry);
    assert_int_equal (adr_store_read_log (fixture.store, index, 1, &buffer, &status), 1);
    assert_int_not_equal (adr_entry_decode (entry, adr_bytes (buffer.data, buffer.size)), 0);
    uint64_t time_ms = entry->time_ms;
    adr_buffer_free (&buffer);
    free (entry);
    return time_ms;
}

static void
test_log_time_makes_no_leap_when_the_wall_clock_is_set (void **state) /* [PART-4] */
{
    (void) state;
    fixture_lead (1);
    for (unsigned minute = 0; minute < 60; minute++) { /* a long mastership earns no leap */
        harness_advance (&fixture.harness, 60000 * ADR_MS);
        fixture_write (minute % 200);
    }
    uint64_t last = adr_store_last (fixture.store).index, before = s_time_of (last);
    fixture.harness.wall_ms += 1800 * 1000;
    harness_advance (&fixture.harness, 1000 * ADR_MS);
    fixture_write (100);
    assert_int_equal (adr_store_last (fixture.store).index, last + 1);
    uint64_t step = s_time_of (last + 1) - before;
    assert_true (step >= 1000 && step <= 2002);
}

/* An entry of a wall clock that runs ahead, which nobody else ever had, and which is cut. */
static void
test_log_time_goes_on_from_what_the_log_holds (void **state) /* [PART-4] */
{
    (void) state;
    fixture.harness.wall_ms += 3600 * 1000;
    fixture_lead (1);
    assert_int_equal (adr_store_last (fixture.store).index, 1);
    fixture_append (fixture_meta (2, ADR_ACTOR_REPLICATOR), 2, (adr_position_t){ 0, 0 }, 1);
    harness_durable (&fixture.harness);
    fixture_sync ();
    assert_int_equal (s_time_of (1), 1000);
    fixture_lead (3);
    assert_int_equal (adr_store_last (fixture.store).index, 2);
    assert_true (s_time_of (2) <= 2000);
}

static void
test_log_time_goes_on_behind_a_wall_clock_that_was_ahead (void **state) /* [PART-4] */
{
    (void) state;
    fixture_lead (1);
    fixture_write (1);
    uint64_t before = s_time_of (adr_store_last (fixture.store).index);
    fixture.harness.wall_ms -= 3600 * 1000;
    for (uint64_t n = 2; n <= 201; n++) {
        harness_advance (&fixture.harness, 51 * ADR_MS + 1);
        fixture_write (n);
    }
    uint64_t step = s_time_of (adr_store_last (fixture.store).index) - before;
    assert_in_range (step, 200 * 51 / 2 - 2, 200 * 52 / 2);
}

static void
test_a_mastership_begins_above_the_log_time_that_it_found (void **state) /* [PART-4, REPL-5] */
{
    (void) state;
    fixture_lead (1);
    fixture_write (1);
    uint64_t before = s_time_of (adr_store_last (fixture.store).index);
    fixture.harness.wall_ms -= 3600 * 1000;
    size_t warnings = fixture.harness.notes[ADR_LEVEL_WARNING];
    fixture_lead (2);
    assert_true (s_time_of (adr_store_last (fixture.store).index) > before);
    assert_int_equal (fixture.harness.notes[ADR_LEVEL_WARNING], warnings + 1);
}

/* Ids that it could not read at its start raised its horizon up to its log's end, which another master then cut: its own
 * log goes on above the horizon all the same, or it would refuse every write, and so log nothing, for ever. */
static void
test_a_mastership_begins_above_the_horizon (void **state) /* [PART-4, REPL-5] */
{
    (void) state;
    fixture_lead (1);
    fixture_write (1);
    harness_advance (&fixture.harness, 1000 * ADR_MS);
    fixture_write (2);
    fixture_sync ();
    uint64_t horizon = s_time_of (3);
    s_rot (1, 2);
    fixture_restart ();
    s_unrot (1, 2);
    fixture_append (fixture_meta (2, ADR_ACTOR_REPLICATOR), 2, (adr_position_t){ 1, 1 }, 1);
    harness_durable (&fixture.harness);
    fixture_sync ();
    assert_int_equal (adr_store_last (fixture.store).index, 2);
    fixture_lead (3);
    assert_int_equal (adr_store_last (fixture.store).index, 3);
    assert_true (s_time_of (3) > horizon);
}

int
main (void)
{
    const struct CMUnitTest tests[] = {
        FIXTURE_TEST (test_a_predecessor_that_contradicts_the_log_start_is_dropped),
        FIXTURE_TEST (test_a_term_near_its_end_raises_no_fence),
        FIXTURE_TEST (test_a_node_of_another_group_raises_no_fence),
        FIXTURE_TEST (test_what_finds_no_room_is_not_answered_at_once),
        FIXTURE_TEST (test_a_member_whose_entry_rots_before_it_is_applied_fetches_it),
        FIXTURE_TEST (test_a_master_that_cannot_read_its_own_entry_hands_over),
        FIXTURE_TEST (test_a_disk_that_stuttered_costs_no_mastership),
        FIXTURE_TEST (test_log_time_makes_no_leap_when_the_wall_clock_is_set),
        FIXTURE_TEST (test_log_time_goes_on_from_what_the_log_holds),
        FIXTURE_TEST (test_log_time_goes_on_behind_a_wall_clock_that_was_ahead),
        FIXTURE_TEST (test_a_mastership_begins_above_the_log_time_that_it_found),
        FIXTURE_TEST (test_a_mastership_begins_above_the_horizon),
    };
    return cmocka_run_group_tests (tests, NULL, NULL);
}
