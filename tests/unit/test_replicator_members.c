/* SPDX-License-Identifier: MPL-2.0 */
/* The replicator as a master, and the members of its group: those that start again, lose entries, come back as somebody
 * new, have no space, or do not answer; and how a group grows. */

#include "replicator_fixture.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

/* --- a member that starts again ----------------------------------------------------------------------------------- */

static void
test_a_member_that_lost_entries_over_a_restart_gets_them_in_the_same_term (void **state) /* [STORE-5] */
{
    (void) state;
    fixture_lead_with_ten_entries ();
    /* It comes back in the same term; entries from 5 on are damaged there. */
    fixture_answered (2, 1, 2);
    assert_non_null (fixture_sent_to (2));
    assert_int_equal (fixture_sent_to (2)->prev_index, 10);
    harness_forget (&fixture.harness);
    fixture_ack_of_boot (2, 2, 1, 4);
    assert_non_null (fixture_sent_to (2));
    assert_int_equal (fixture_sent_to (2)->prev_index, 4);
    assert_int_equal (fixture_sent_to (2)->count, 6);
}

static void
test_a_member_that_acknowledged_before_its_first_answer_and_restarted_is_probed (void **state) /* [REPL-2] */
{
    (void) state;
    fixture_lead (1);
    fixture_ack (2, 1, 1); /* it was stopping, and answered no poll of this term any more */
    fixture_ack (3, 1, 1);
    assert_int_equal (adr_store_commit (fixture.store), 1);
    fixture_answered (3, 1, 1);
    harness_forget (&fixture.harness);
    fixture_answered (2, 1, 2);
    assert_non_null (fixture_sent_to (2));
    assert_int_equal (fixture_sent_to (2)->prev_index, 1);
}

static void
test_an_acknowledgement_of_the_former_start_counts_for_nothing (void **state) /* [STORE-5] */
{
    (void) state;
    fixture_lead (1);
    fixture_answered (2, 1, 2);
    fixture_ack_of_boot (2, 1, 1, 1);
    assert_int_equal (adr_store_commit (fixture.store), 0);
    fixture_ack_of_boot (2, 2, 1, 1);
    assert_int_equal (adr_store_commit (fixture.store), 1);
}

/* --- a member that loses entries while it runs -------------------------------------------------------------------- */

/* The member in zone 2 no longer has what follows. */
static void
s_ack_lost (uint64_t confirmed)
{
    Adr__AppendAck ack = ADR__APPEND_ACK__INIT;
    ack.term = ack.boot = 1;
    ack.incarnation = fixture.incarnation[2];
    ack.confirmed = confirmed;
    ack.missing_from = confirmed + 1;
    fixture_tell (2, ADR_ACTOR_REPLICATOR, ADR__KIND__APPEND_ACK, &ack.base);
}

static void
test_a_member_that_takes_acknowledgements_back_gets_its_entries_again (void **state) /* [STORE-5] */
{
    (void) state;
    fixture_lead_with_ten_entries ();
    s_ack_lost (4);
    assert_non_null (fixture_sent_to (2));
    assert_int_equal (fixture_sent_to (2)->prev_index, 4);
    assert_int_equal (fixture_sent_to (2)->count, 6);
    harness_forget (&fixture.harness);
    s_ack_lost (4); /* an answer to what was on its way: nothing is sent twice */
    assert_null (fixture_sent_to (2));
}

/* It lost them before it had acknowledged them, and under load its acknowledgements do not cease. */
static void
test_a_member_that_lost_what_it_had_not_acknowledged_gets_it_again (void **state) /* [STORE-5] */
{
    (void) state;
    fixture_lead_with_ten_entries ();
    bool again = false;
    for (uint64_t n = 10; n < 30 && !again; n++) {
        harness_forget (&fixture.harness);
        fixture_answered (2, 1, 1);
        fixture_write (n);
        fixture_ack (3, 1, n + 1);
        s_ack_lost (10);
        harness_advance (&fixture.harness, 50 * ADR_MS);
        again = n > 10 && fixture_sent_to (2) && fixture_sent_to (2)->prev_index == 10;
    }
    assert_true (again);
}

/* --- a member without space --------------------------------------------------------------------------------------- */

/* Zone 2 holds so much, and has no space for more. */
static void
s_ack_full (uint64_t confirmed)
{
    Adr__AppendAck ack = ADR__APPEND_ACK__INIT;
    ack.term = ack.boot = 1;
    ack.incarnation = fixture.incarnation[2];
    ack.confirmed = confirmed;
    ack.full = true;
    harness_forget (&fixture.harness);
    fixture_tell (2, ADR_ACTOR_REPLICATOR, ADR__KIND__APPEND_ACK, &ack.base);
}

static void
test_a_full_member_is_asked_seldom_and_gets_all_once_it_has_space (void **state) /* [STORE-11] */
{
    (void) state;
    fixture_lead_with_ten_entries ();
    for (uint64_t n = 20; n <= 22; n++)
        fixture_write (n);
    fixture_answered_space (2, ADR_SPACE_SECOND_MARK);
    s_ack_full (11);
    fixture_answered_space (2, ADR_SPACE_SECOND_MARK);
    assert_null (fixture_sent_to (2));
    fixture_answered_space (2, ADR_SPACE_OK);
    assert_non_null (fixture_sent_to (2));
    assert_int_equal (fixture_sent_to (2)->prev_index, 11);
    assert_int_equal (fixture_sent_to (2)->count, 2);
}

/* Zone 3 is not there, and zone 2 refused a put for lack of space: it is told that nothing goes on without it. */
static void
test_a_full_member_hears_that_it_is_needed (void **state) /* [STORE-11] */
{
    (void) state;
    fixture_lead_with_ten_entries ();
    fixture_write (20);
    assert_false (fixture_sent_to (2)->needed);
    for (int i = 0; i < 20; i++) {
        harness_advance (&fixture.harness, 100 * ADR_MS);
        fixture_answered_space (2, ADR_SPACE_SECOND_MARK);
    }
    s_ack_full (10);
    for (int i = 0; i < 3; i++) {
        fixture_answered_space (2, ADR_SPACE_SECOND_MARK);
        harness_advance (&fixture.harness, 100 * ADR_MS);
    }
    assert_non_null (fixture_sent_to (2));
    assert_true (fixture_sent_to (2)->needed);
    assert_int_equal (fixture_sent_to (2)->count, 1);
    assert_int_equal (harness_count (&fixture.harness, ADR__KIND__RESIGN), 0);
    fixture_answered_space (3, ADR_SPACE_OK); /* the other one is back */
    s_ack_full (10);
    for (int i = 0; i < 12; i++) {
        fixture_answered_space (2, ADR_SPACE_SECOND_MARK);
        fixture_answered_space (3, ADR_SPACE_OK);
        harness_advance (&fixture.harness, 100 * ADR_MS);
    }
    assert_non_null (fixture_sent_to (2));
    assert_false (fixture_sent_to (2)->needed);
}

static const Adr__AppendAck *
s_append_put (bool needed)
{
    Adr__Append append = ADR__APPEND__INIT;
    uint8_t key = 1, bytes[256];
    adr_entry_t entry = { .kind = ADR_ENTRY_WRITE, .term = 5, .index = 2, .time_ms = 1000, .epoch = ADR_EPOCH, .op_count = 1,
                          .op = { { .table = ADR_TABLE_KV, .key = adr_bytes (&key, 1), .value = adr_bytes (&key, 1) } } };
    adr_entry_encode (&entry, bytes);
    append.term = append.prev_term = 5;
    append.prev_index = append.count = 1;
    append.incarnation = 101;
    append.needed = needed;
    harness_message (&fixture.harness, fixture_meta (2, ADR_ACTOR_REPLICATOR), ADR_NODE_META, ADR__KIND__APPEND,
                     &append.base, adr_bytes (bytes, adr_entry_size (&entry)));
    fixture_sync ();
    return (const Adr__AppendAck *) fixture_newest (ADR__KIND__APPEND_ACK);
}

static void
test_who_is_needed_takes_puts_from_its_reserve (void **state) /* [STORE-11] */
{
    (void) state;
    fixture_append (fixture_meta (2, ADR_ACTOR_REPLICATOR), 5, (adr_position_t){ 0 }, 1);
    harness_durable (&fixture.harness);
    fixture_sync ();
    fixture.disk->free_bytes = 0;
    for (int i = 0; i < 3; i++) {
        harness_advance (&fixture.harness, 1000 * ADR_MS);
        fixture_sync ();
    }
    assert_int_equal (adr_store_space (fixture.store), ADR_SPACE_SECOND_MARK);
    const Adr__AppendAck *ack = s_append_put (false);
    assert_true (ack->full && ack->confirmed == 1);
    ack = s_append_put (true);
    assert_true (!ack->full && ack->confirmed == 2);
}

/* --- a member that comes back as somebody new --------------------------------------------------------------------- */

/* Its syncs take three ticks, and writes come all the while: it never has the log's end, and yet it keeps up. */
static void
test_a_new_incarnation_with_a_slow_disk_is_admitted_under_load (void **state) /* [ELECT-7, READ-4] */
{
    (void) state;
    uint64_t held[6] = { 0 };
    fixture_lead (1);
    fixture.incarnation[3] = 203;
    for (uint64_t n = 0; n < 300; n++) {
        harness_advance (&fixture.harness, 10 * ADR_MS);
        if (n % 10 == 0)
            for (unsigned zone = 2; zone <= 3; zone++)
                fixture_answered (zone, 1, 1);
        fixture_write (n % 250);
        fixture_ack (2, 1, adr_store_last (fixture.store).index);
        fixture_ack (3, 1, held[n % 6]);
        held[n % 6] = adr_store_last (fixture.store).index;
    }
    adr_id_t node = fixture_meta (3, 0).node;
    assert_true (adr_voters_find (adr_store_voters (fixture.store), &node, 203) >= 0);
}

/* Neither is one admitted that falls behind ever further. */
static void
test_a_new_incarnation_that_does_not_keep_up_is_not_admitted (void **state) /* [ELECT-7] */
{
    (void) state;
    fixture_lead (1);
    fixture.incarnation[3] = 203;
    for (uint64_t n = 0; n < 300; n++) {
        harness_advance (&fixture.harness, 10 * ADR_MS);
        if (n % 10 == 0)
            for (unsigned zone = 2; zone <= 3; zone++)
                fixture_answered (zone, 1, 1);
        fixture_write (n % 250);
        fixture_ack (2, 1, adr_store_last (fixture.store).index);
        fixture_ack (3, 1, adr_store_last (fixture.store).index / 2);
    }
    adr_id_t node = fixture_meta (3, 0).node;
    assert_int_equal (adr_voters_find (adr_store_voters (fixture.store), &node, 203), -1);
    assert_int_equal (adr_store_voters (fixture.store)->count, 2);
}

/* --- who may lead, and how a group grows -------------------------------------------------------------------------- */

/* For so long the members of zones 2 to `last_zone` answer polls, and appends, too, if `acknowledge`. */
static void
s_live_on (unsigned last_zone, bool acknowledge, int64_t length_ns)
{
    for (int64_t passed = 0; passed < length_ns; passed += 50 * ADR_MS) {
        for (unsigned zone = 2; zone <= last_zone; zone++) {
            fixture_answered (zone, 1, 1);
            if (acknowledge)
                fixture_ack (zone, 1, adr_store_last (fixture.store).index);
        }
        harness_advance (&fixture.harness, 50 * ADR_MS);
        fixture_sync ();
    }
}

/* Its polls come through, and it has nothing to append: it asks, and hands over if nobody hears it. */
static void
test_a_master_whose_appends_nobody_answers_hands_over (void **state) /* [ELECT-9] */
{
    (void) state;
    fixture_lead (1);
    s_live_on (3, true, 4000 * ADR_MS);
    assert_int_equal (harness_count (&fixture.harness, ADR__KIND__RESIGN), 0);
    harness_forget (&fixture.harness);
    s_live_on (3, false, 1500 * ADR_MS);
    assert_true (harness_count (&fixture.harness, ADR__KIND__APPEND) >= 4); /* two to each */
    assert_int_equal (harness_count (&fixture.harness, ADR__KIND__RESIGN), 0);
    s_live_on (3, false, 700 * ADR_MS);
    assert_int_equal (harness_count (&fixture.harness, ADR__KIND__RESIGN), 1);
}

static int
s_start_alone (void **state)
{
    (void) state;
    return fixture_start_with (1);
}

/* Two voters do not survive one lost disk: a group that is to have three does not stop there. */
static void
test_a_group_grows_from_one_to_three (void **state) /* [ELECT-10] */
{
    (void) state;
    fixture_lead (1);
    s_live_on (2, true, 3000 * ADR_MS); /* the third is not there yet */
    assert_int_equal (adr_store_voters (fixture.store)->count, 1);
    s_live_on (3, true, 900 * ADR_MS); /* it has caught up, and must stay so for a maximum election timeout */
    assert_int_equal (adr_store_voters (fixture.store)->count, 1);
    s_live_on (3, true, 400 * ADR_MS);
    assert_int_equal (adr_store_voters (fixture.store)->count, 3);
}

int
main (void)
{
    const struct CMUnitTest tests[] = {
        FIXTURE_TEST (test_a_member_that_lost_entries_over_a_restart_gets_them_in_the_same_term),
        FIXTURE_TEST (test_a_member_that_acknowledged_before_its_first_answer_and_restarted_is_probed),
        FIXTURE_TEST (test_an_acknowledgement_of_the_former_start_counts_for_nothing),
        FIXTURE_TEST (test_a_member_that_takes_acknowledgements_back_gets_its_entries_again),
        FIXTURE_TEST (test_a_member_that_lost_what_it_had_not_acknowledged_gets_it_again),
        FIXTURE_TEST (test_a_full_member_is_asked_seldom_and_gets_all_once_it_has_space),
        FIXTURE_TEST (test_a_full_member_hears_that_it_is_needed),
        FIXTURE_TEST (test_who_is_needed_takes_puts_from_its_reserve),
        FIXTURE_TEST (test_a_new_incarnation_with_a_slow_disk_is_admitted_under_load),
        FIXTURE_TEST (test_a_new_incarnation_that_does_not_keep_up_is_not_admitted),
        FIXTURE_TEST (test_a_master_whose_appends_nobody_answers_hands_over),
        cmocka_unit_test_setup_teardown (test_a_group_grows_from_one_to_three, s_start_alone, fixture_stop),
    };
    return cmocka_run_group_tests (tests, NULL, NULL);
}
