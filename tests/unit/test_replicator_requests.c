/* SPDX-License-Identifier: MPL-2.0 */
/* The replicator and what edges ask of it: reads that wait for the master's word, writes that a hostile or unlucky edge
 * sends, records that cannot be read, disks without space. */

#include "replicator_fixture.h"

#include "core/settings.h"

#include "core/entry.h"
#include "core/limits.h"
#include "store/reader.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

/* --- questions ---------------------------------------------------------------------------------------------------- */

/* A strong read comes from the edge of zone 1. */
static void
s_read (uint64_t number)
{
    Adr__Read read = ADR__READ__INIT;
    adr_address_t edge = harness_address (1, ADR_NODE_EDGE, ADR_ACTOR_EDGE_ROUTER);
    read.number = number;
    read.table = ADR_TABLE_KV;
    read.limit_ms = 1000;
    read.key = (ProtobufCBinaryData){ 1, (uint8_t *) "k" };
    read.origin = adr_id_view (&edge.node);
    harness_message (&fixture.harness, edge, ADR_NODE_EDGE, ADR__KIND__READ, &read.base, (adr_bytes_t){ 0 });
}

/* The same, of a member; returns the number of the question that it makes it ask. */
static uint64_t
s_question (void)
{
    fixture_append (fixture_meta (2, ADR_ACTOR_REPLICATOR), 5, (adr_position_t){ 0, 0 }, 0);
    harness_forget (&fixture.harness);
    s_read (1);
    const harness_sent_t *sent = harness_sent (&fixture.harness, ADR__KIND__READ_INDEX, 0);
    assert_non_null (sent);
    return ((const Adr__ReadIndex *) sent->header)->number;
}

static void
test_a_lost_disk_does_not_ask_its_former_lifes_questions (void **state) /* [READ-2] */
{
    (void) state;
    uint64_t former = s_question ();
    adr_environment_t environment = fixture.harness.environment;
    harness_stop (&fixture.harness);
    environment.incarnation = 999; /* the boot counter starts anew with the store */
    harness_start (&fixture.harness, &adr_replicator_class, &environment);
    Adr__Append append = ADR__APPEND__INIT;
    append.term = 5;
    append.incarnation = 999;
    fixture_tell (2, ADR_ACTOR_REPLICATOR, ADR__KIND__APPEND, &append.base);
    assert_int_not_equal (s_question (), former);
}

static void
s_answer_question_from (adr_node_type_t type, uint64_t number)
{
    Adr__ReadIndexAnswer answer = ADR__READ_INDEX_ANSWER__INIT;
    answer.number = number;
    answer.ok = true;
    answer.term = 5;
    harness_message (&fixture.harness, harness_address (2, type, ADR_ACTOR_REPLICATOR), type,
                     ADR__KIND__READ_INDEX_ANSWER, &answer.base, (adr_bytes_t){ 0 });
}

static void
s_answer_question (uint64_t number)
{
    s_answer_question_from (ADR_NODE_META, number);
}

static void
test_a_node_of_another_group_answers_no_question (void **state) /* [READ-2] */
{
    (void) state;
    uint64_t number = s_question ();
    s_answer_question_from (ADR_NODE_DATA, number);
    assert_null (harness_sent (&fixture.harness, ADR__KIND__ANSWER, 0));
    s_answer_question (number);
    assert_non_null (harness_sent (&fixture.harness, ADR__KIND__ANSWER, 0));
}

static void
test_a_question_is_answered_by_a_master_that_is_farther_than_the_repeat (void **state) /* [READ-2] */
{
    (void) state;
    uint64_t first = s_question ();
    harness_advance (&fixture.harness, 150 * ADR_MS); /* asked again meanwhile */
    assert_non_null (harness_sent (&fixture.harness, ADR__KIND__READ_INDEX, 1));
    s_answer_question (first);
    assert_non_null (harness_sent (&fixture.harness, ADR__KIND__ANSWER, 0));
}

static void
test_a_read_shares_no_question_that_left_before_it_came (void **state) /* [READ-2] */
{
    (void) state;
    uint64_t first = s_question ();
    harness_advance (&fixture.harness, 50 * ADR_MS);
    s_read (2);
    s_answer_question (first);
    assert_non_null (harness_sent (&fixture.harness, ADR__KIND__ANSWER, 0));
    assert_null (harness_sent (&fixture.harness, ADR__KIND__ANSWER, 1));
}

/* --- reads by quorum ---------------------------------------------------------------------------------------------- */

/* A guest may have been paused between the answer to a poll and the read: only polls that left after the read came tell
 * that nobody else was elected before it. */
static void
test_a_read_by_quorum_waits_for_polls_sent_after_it_came (void **state) /* [READ-6] */
{
    (void) state;
    fixture_settings ()->reads_by_quorum = 1;
    fixture_lead_with_ten_entries ();
    fixture_answered (2, 1, 1);
    fixture_answered (3, 1, 1);
    harness_advance (&fixture.harness, 10 * ADR_MS);
    int64_t before = fixture.harness.now_ns;
    harness_advance (&fixture.harness, 10 * ADR_MS);
    Adr__ReadIndex question = ADR__READ_INDEX__INIT;
    question.number = 5;
    s_read (77);
    fixture_tell (2, ADR_ACTOR_REPLICATOR, ADR__KIND__READ_INDEX, &question.base);
    harness_advance (&fixture.harness, 10 * ADR_MS);
    fixture_answered_poll_of (2, before); /* it left before the read came: its answer proves nothing */
    assert_int_equal (harness_count (&fixture.harness, ADR__KIND__ANSWER), 0);
    assert_int_equal (harness_count (&fixture.harness, ADR__KIND__READ_INDEX_ANSWER), 0);
    fixture_answered_poll_of (2, fixture.harness.now_ns); /* with itself, two of three */
    assert_int_equal (harness_count (&fixture.harness, ADR__KIND__ANSWER), 1);
    assert_int_equal (harness_count (&fixture.harness, ADR__KIND__READ_INDEX_ANSWER), 1);
}

/* --- what an edge, or who says to be one, may ask ----------------------------------------------------------------- */

static Adr__Op
s_op (uint8_t *key, size_t size, bool release)
{
    Adr__Op op = ADR__OP__INIT;
    op.table = ADR_TABLE_META;
    op.sweep_epoch = ADR_SWEEP_FIRST;
    op.key = (ProtobufCBinaryData){ 1, key };
    op.value_size = (uint32_t) size;
    op.release = release;
    return op;
}

static void
test_values_that_a_write_releases_fit_its_entry_or_it_is_refused (void **state) /* [EDGE-5] */
{
    (void) state;
    adr_id_t edge = harness_address (1, ADR_NODE_EDGE, 0).node;
    uint8_t *value = adr_alloc (ADR_VALUE_MAX), key = 'k';
    fixture_lead (1);
    Adr__Op first = s_op (&key, ADR_VALUE_MAX, false), second = s_op (&key, ADR_VALUE_MAX, true);
    fixture_write_ops (1, &first, 1, adr_bytes (value, ADR_VALUE_MAX), edge);
    assert_int_equal (adr_store_last (fixture.store).index, 2);
    harness_forget (&fixture.harness);
    fixture_write_ops (2, &second, 1, adr_bytes (value, ADR_VALUE_MAX), edge);
    const harness_sent_t *sent = harness_sent (&fixture.harness, ADR__KIND__ANSWER, 0);
    assert_non_null (sent);
    assert_int_equal (((const Adr__Answer *) sent->header)->status, ADR_STATUS_INVALID);
    assert_int_equal (adr_store_last (fixture.store).index, 2);
    free (value);
}

static void
test_a_write_has_as_many_operations_as_the_edge_lets_through (void **state) /* [EDGE-5] */
{
    (void) state;
    adr_id_t edge = harness_address (1, ADR_NODE_EDGE, 0).node;
    uint8_t key[ADR_OPS_MAX];
    Adr__Op op[ADR_OPS_MAX];
    fixture_lead (1);
    for (uint8_t i = 0; i < ADR_OPS_MAX; i++) {
        key[i] = i + 1;
        op[i] = s_op (&key[i], 0, false);
    }
    fixture_write_ops (1, op, ADR_OPS_MAX, (adr_bytes_t){ 0 }, edge);
    assert_int_equal (adr_store_last (fixture.store).index, 2);
    for (uint8_t i = 0; i < ADR_OPS_MAX / 2; i++)
        op[i].release = true;
    fixture_write_ops (2, op, ADR_OPS_MAX / 2, (adr_bytes_t){ 0 }, edge);
    assert_int_equal (adr_store_last (fixture.store).index, 3);
    fixture_write_ops (3, op, ADR_OPS_MAX / 2 + 1, (adr_bytes_t){ 0 }, edge); /* one more record than an entry holds */
    assert_int_equal (adr_store_last (fixture.store).index, 3);
}

static void
test_an_edge_sends_nobody_else_an_answer (void **state) /* [TRUST-4] */
{
    (void) state;
    uint8_t key = 'k';
    Adr__Op op = s_op (&key, 0, false);
    fixture_lead (1);
    fixture_write_ops (1, &op, 1, (adr_bytes_t){ 0 }, harness_address (2, ADR_NODE_META, 0).node);
    assert_int_equal (harness_count (&fixture.harness, ADR__KIND__ANSWER), 0);
    assert_int_equal (adr_store_last (fixture.store).index, 1);
}

/* --- damage and full disks ---------------------------------------------------------------------------------------- */

/* Master in term 1, record 7 is written by entry 2, and is in the index. */
static void
s_lead_with_a_record (void)
{
    fixture_lead (1);
    fixture_write (7);
    fixture_ack (2, 1, 2);
    fixture_ack (3, 1, 2);
    fixture_answered (2, 1, 1);
    fixture_answered (3, 1, 1);
    for (int i = 0; i < 2; i++) {
        harness_advance (&fixture.harness, 3000 * ADR_MS);
        fixture_sync ();
    }
    assert_int_not_equal (memory_index_count (fixture.index), 0);
}

/* No other copy knows more: who leads refuses what depends on it, and goes on to lead; any write ends the doubt. */
static void
test_a_record_in_doubt_decides_no_condition (void **state) /* [REPAIR-2] */
{
    (void) state;
    uint8_t key = 7;
    adr_buffer_t rows = { 0 };
    Adr__Quarantine quarantine = ADR__QUARANTINE__INIT;
    adr_inventory_row_t row = { .table = ADR_TABLE_KV, .doubt = ADR_DOUBT_HAD, .key = adr_bytes (&key, 1), .value_size = 1,
                                .version = { ADR_EPOCH, 1, 2 } };
    s_lead_with_a_record ();
    adr_inventory_row_put (&rows, &row);
    harness_message (&fixture.harness, fixture_meta (1, ADR_ACTOR_INVENTORY_SYNCER), ADR_NODE_META, ADR__KIND__QUARANTINE,
                     &quarantine.base, adr_bytes (rows.data, rows.size));
    adr_buffer_free (&rows);
    fixture_sync ();
    assert_int_equal (adr_store_doubts (fixture.store), 1);
    harness_forget (&fixture.harness);
    static const Adr__Condition s_condition[] = { ADR__CONDITION__EXISTS, ADR__CONDITION__ABSENT, ADR__CONDITION__VERSION };
    uint64_t last = adr_store_last (fixture.store).index;
    for (uint64_t i = 0; i < 3; i++) {
        fixture_write_if (8 + i, key, s_condition[i]);
        assert_int_equal (((const Adr__Answer *) fixture_newest (ADR__KIND__ANSWER))->status, ADR_STATUS_REFUSED);
    }
    assert_int_equal (harness_count (&fixture.harness, ADR__KIND__RESIGN), 0);
    assert_int_equal (adr_store_last (fixture.store).index, last);
    fixture_write_if (11, key, ADR__CONDITION__ALWAYS);
    fixture_write_if (12, key, ADR__CONDITION__EXISTS);
    assert_int_equal (adr_store_last (fixture.store).index, last + 2);
}

static void
test_a_master_that_cannot_read_a_record_resigns_and_is_healed (void **state) /* [STORE-10] */
{
    (void) state;
    s_lead_with_a_record ();
    memory_index_spoil (fixture.index);
    uint64_t last = adr_store_last (fixture.store).index;
    harness_forget (&fixture.harness);
    fixture_write_if (8, 7, ADR__CONDITION__EXISTS);
    assert_int_equal (adr_store_last (fixture.store).index, last);
    assert_non_null (harness_sent (&fixture.harness, ADR__KIND__RESIGN, 0));
    fixture_sync (); /* it is not exact any more, and what cannot be read goes [REPAIR-1] */
    assert_int_equal (adr_store_sync (fixture.store), ADR_SYNC_UNPROVEN);
    fixture_write_if (9, 7, ADR__CONDITION__ALWAYS);
    assert_int_equal (adr_store_last (fixture.store).index, last);
}

/* Only its next start helps: it hands over, and ends when somebody else leads, or nobody comes. */
static void
test_a_master_whose_index_is_lost_hands_over_and_ends (void **state) /* [STORE-10] */
{
    (void) state;
    fixture_lead (1);
    memory_index_break (fixture.index, true);
    harness_forget (&fixture.harness);
    harness_advance (&fixture.harness, 100 * ADR_MS);
    assert_non_null (harness_sent (&fixture.harness, ADR__KIND__RESIGN, 0));
    assert_false (fixture.harness.fatal);
    harness_advance (&fixture.harness, 3000 * ADR_MS);
    assert_true (fixture.harness.fatal);
}

static void
test_puts_need_space_at_as_many_voters_as_a_commit (void **state) /* [STORE-11] */
{
    (void) state;
    fixture_lead_with_ten_entries ();
    fixture_answered_space (2, ADR_SPACE_SECOND_MARK);
    fixture_write (20);
    assert_int_equal (adr_store_last (fixture.store).index, 11); /* one full zone stops nobody */
    fixture_answered_space (3, ADR_SPACE_FIRST_MARK);
    fixture_write (21);
    assert_int_equal (adr_store_last (fixture.store).index, 11);
    assert_int_equal (((const Adr__Answer *) fixture_newest (ADR__KIND__ANSWER))->status, ADR_STATUS_FULL);
    fixture_answered_space (2, ADR_SPACE_OK);
    fixture_write (22);
    assert_int_equal (adr_store_last (fixture.store).index, 12);
}

/* How many of the read indexes that were asked for at once the master has told. */
static size_t
s_ask_index (uint64_t number)
{
    Adr__ReadIndex question = ADR__READ_INDEX__INIT;
    question.number = number;
    harness_forget (&fixture.harness);
    fixture_tell (2, ADR_ACTOR_REPLICATOR, ADR__KIND__READ_INDEX, &question.base);
    return harness_count (&fixture.harness, ADR__KIND__READ_INDEX_ANSWER);
}

/* [SET-2, ELECT-1] The lease is nine tenths of what the poll named and the voter promised, whatever the setting is by now. */
static void
test_a_lease_does_not_grow_with_a_longer_setting (void **state)
{
    (void) state;
    fixture_lead_with_ten_entries ();
    fixture_answered_poll_of (2, fixture.harness.now_ns); /* 500 ms */
    assert_true (adr_setting_enter (fixture.map, "timing.poll", 1000) && adr_setting_enter (fixture.map, "timing.election-max", 59000));
    harness_tell_setting (&fixture.harness, fixture.map, "timing.election-min", 30000);
    fixture.harness.now_ns += 440 * ADR_MS;
    assert_int_equal (s_ask_index (1), 1);
    fixture.harness.now_ns += 20 * ADR_MS;
    assert_int_equal (s_ask_index (2), 0);
}

int
main (void)
{
    const struct CMUnitTest tests[] = {
        FIXTURE_TEST (test_a_lost_disk_does_not_ask_its_former_lifes_questions),
        FIXTURE_TEST (test_a_node_of_another_group_answers_no_question),
        FIXTURE_TEST (test_a_question_is_answered_by_a_master_that_is_farther_than_the_repeat),
        FIXTURE_TEST (test_a_read_shares_no_question_that_left_before_it_came),
        FIXTURE_TEST (test_a_read_by_quorum_waits_for_polls_sent_after_it_came),
        FIXTURE_TEST (test_a_lease_does_not_grow_with_a_longer_setting),
        FIXTURE_TEST (test_values_that_a_write_releases_fit_its_entry_or_it_is_refused),
        FIXTURE_TEST (test_a_write_has_as_many_operations_as_the_edge_lets_through),
        FIXTURE_TEST (test_an_edge_sends_nobody_else_an_answer),
        FIXTURE_TEST (test_a_record_in_doubt_decides_no_condition),
        FIXTURE_TEST (test_a_master_that_cannot_read_a_record_resigns_and_is_healed),
        FIXTURE_TEST (test_a_master_whose_index_is_lost_hands_over_and_ends),
        FIXTURE_TEST (test_puts_need_space_at_as_many_voters_as_a_commit),
    };
    return cmocka_run_group_tests (tests, NULL, NULL);
}
