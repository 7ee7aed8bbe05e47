/* SPDX-License-Identifier: MPL-2.0 */
/* The rules of docs/protocol/inventory_syncer.md: what operators ask, and the source's side. */

#include "syncer_fixture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

/* --- operators -------------------------------------------------------------------------------------------------- */

#define S_HOUR (3600 * TRIO_SECOND)

static const Adr__ControlAnswer *
s_control (unsigned zone, Adr__ControlAction action, uint32_t for_ms)
{
    harness_t *harness = &trio_node[zone].harness;
    Adr__Control control = ADR__CONTROL__INIT;
    adr_id_t asker = harness_id (0xee);
    control.number = 9;
    control.action = action;
    control.for_ms = for_ms;
    control.asker = adr_id_view (&asker);
    harness_message (harness, harness_address (3, ADR_NODE_EDGE, ADR_ACTOR_EDGE_ROUTER), ADR_NODE_EDGE, ADR__KIND__CONTROL,
                     &control.base, adr_bytes (NULL, 0));
    trio_carry ();
    size_t count = harness_count (harness, ADR__KIND__CONTROL_ANSWER);
    assert_true (count > 0);
    const harness_sent_t *sent = harness_sent (harness, ADR__KIND__CONTROL_ANSWER, count - 1);
    assert_int_equal (sent->to.actor, ADR_ACTOR_EDGE_ROUTER);
    assert_int_equal (((const Adr__ControlAnswer *) sent->header)->number, 9);
    return (const Adr__ControlAnswer *) sent->header;
}

static adr_status_t
s_pause (unsigned zone, uint32_t for_ms)
{
    return (adr_status_t) s_control (zone, ADR__CONTROL_ACTION__REPAIR_PAUSE, for_ms)->status;
}

static adr_status_t
s_run (unsigned zone)
{
    return (adr_status_t) s_control (zone, ADR__CONTROL_ACTION__REPAIR_RUN, 0)->status;
}

static const Adr__Place *
s_last_place (void)
{
    return (const Adr__Place *) harness_sent (&trio_node[1].harness, ADR__KIND__PLACE, trio_sent (ADR__KIND__PLACE) - 1)->header;
}

/* [REPAIR-9] Nothing is asked for, the time that is left is told, and it goes on where it was. */
static void
test_a_pause_ends_by_itself (void **state)
{
    (void) state;
    trio_write (2, 400, 12, 3900);
    trio_write (3, 400, 12, 3900);
    trio_stop_node (1);
    trio_start_node (1, 200000);
    trio_copying ();
    trio_advance (TRIO_SECOND);
    assert_int_equal (s_pause (1, 3000), ADR_STATUS_OK);
    uint64_t pulled = trio_self ()->pulled_bytes;
    size_t asked = trio_sent (ADR__KIND__LEAVES_ASK) + trio_sent (ADR__KIND__RECORDS_ASK);
    assert_int_equal (s_last_place ()->paused_s, 3);
    trio_advance (2900 * ADR_MS);
    assert_int_equal (s_last_place ()->paused_s, 1);
    assert_int_equal (trio_self ()->pulled_bytes, pulled);
    assert_int_equal (trio_sent (ADR__KIND__LEAVES_ASK) + trio_sent (ADR__KIND__RECORDS_ASK), asked);
    assert_int_equal (trio_sent (ADR__KIND__SYNC_END), 0);
    trio_advance (12 * TRIO_SECOND);
    assert_int_equal (s_last_place ()->paused_s, 0);
    assert_true (trio_sent (ADR__KIND__SYNC_END) > 0);
    assert_true (trio_are_equal (1, 2));
}

/* [REPAIR-9] */
static void
test_a_pause_has_an_end (void **state)
{
    (void) state;
    trio_say_state (1);
    assert_int_equal (s_pause (1, 24 * 3600 * 1000 + 1), ADR_STATUS_INVALID);
    assert_false (syncer_is_paused (trio_self ()));
    assert_int_equal (s_pause (1, 0), ADR_STATUS_OK);
    assert_int_equal (syncer_pause_left_s (trio_self ()), 3600);
    size_t warned = trio_node[1].harness.notes[ADR_LEVEL_WARNING];
    harness_advance (&trio_node[1].harness, S_HOUR - 50 * ADR_MS);
    assert_true (syncer_is_paused (trio_self ()));
    assert_int_equal (trio_node[1].harness.notes[ADR_LEVEL_WARNING], warned + 5); /* a reminder each ten minutes */
    harness_advance (&trio_node[1].harness, 100 * ADR_MS);
    assert_false (syncer_is_paused (trio_self ()));
}

static void
test_run_ends_a_pause (void **state)
{
    (void) state;
    trio_write_some (2);
    trio_write_some (3);
    assert_int_equal (s_pause (1, 0), ADR_STATUS_OK);
    trio_copying ();
    trio_advance (2 * TRIO_SECOND);
    assert_int_equal (trio_sent (ADR__KIND__LEAVES_ASK), 0);
    assert_int_equal (s_run (1), ADR_STATUS_OK);
    assert_true (trio_sent (ADR__KIND__SYNC_END) > 0);
}

/* [REPAIR-9] What a read found damaged is mended, by a paused one and from a paused one; nothing else is. */
static void
test_damaged_values_do_not_wait (void **state)
{
    adr_buffer_t record = { 0 };
    (void) state;
    trio_all_write ();
    for (unsigned zone = 1; zone <= TRIO_ZONES; zone++) {
        trio_put (zone, "wounded", "value", 5);
        trio_say_state (zone);
        assert_int_equal (s_pause (zone, 0), ADR_STATUS_OK);
    }
    trio_put (2, "lost", "1", 5);
    trio_mending (2);
    assert_int_equal (trio_sent (ADR__KIND__LEAVES_ASK), 0);
    trio_damage (1, "wounded");
    trio_wound ("wounded");
    assert_int_equal (adr_reader_record (trio_node[1].reader, ADR_TABLE_KV, fixture_text ("wounded"), &record), ADR_STATUS_OK);
    assert_int_equal (trio_self ()->wounds.size, 0);
    adr_buffer_free (&record);
}

/* [REPAIR-9] A copy that knows of lost rows would be made anew from its journal if it had to wait. */
static void
test_a_copy_that_has_lost_rows_does_not_wait (void **state)
{
    (void) state;
    trio_all_write ();
    trio_put (2, "lost", "1", 5);
    assert_int_equal (s_pause (1, 0), ADR_STATUS_OK);
    trio_node[1].lossy = true;
    trio_node[1].sync = ADR_SYNC_UNPROVEN;
    trio_mending (2);
    assert_true (trio_has (1, "lost"));
}

/* [REPAIR-9] Compared now, without a checkpoint: with each peer that votes, one after the other. */
static void
test_an_operator_s_comparison (void **state)
{
    (void) state;
    trio_all_write ();
    for (unsigned zone = 1; zone <= TRIO_ZONES; zone++)
        trio_say_state (zone);
    trio_put (2, "lost", "1", 5);
    trio_put (3, "lost, too", "1", 5);
    assert_int_equal (s_run (1), ADR_STATUS_OK);
    assert_true (trio_has (1, "lost"));
    trio_advance (TRIO_SECOND);
    assert_true (trio_has (1, "lost, too"));
    assert_int_equal (trio_node[2].asked[ADR__KIND__LEAVES_ASK], TRIO_PARTITIONS + 1);
    assert_int_equal (trio_node[3].asked[ADR__KIND__LEAVES_ASK], TRIO_PARTITIONS + 1);
    assert_int_equal (trio_self ()->mode, MODE_IDLE);
    assert_non_null (strstr (trio_node[1].harness.note, "mended=2"));
}

/* A peer that is silent is passed by; one that does not vote is not asked; nor does one that replays ask. */
static void
test_a_comparison_asks_who_can_be_compared (void **state)
{
    (void) state;
    trio_all_write ();
    trio_node[1].voters = 2; /* zones 1 and 2 */
    trio_node[2].silent = true;
    for (unsigned zone = 1; zone <= TRIO_ZONES; zone++)
        trio_say_state (zone);
    assert_int_equal (s_run (1), ADR_STATUS_OK);
    trio_advance (5 * TRIO_SECOND);
    assert_int_equal (trio_self ()->mode, MODE_IDLE);
    assert_int_equal (trio_node[3].asked[ADR__KIND__LEAVES_ASK], 0);
    trio_node[1].sync = ADR_SYNC_REPLAYING;
    trio_say_state (1);
    assert_int_equal (s_run (1), ADR_STATUS_REFUSED);
}

/* --- serving: node 2 is asked ----------------------------------------------------------------------------------- */

static adr_address_t
s_asker (unsigned zone)
{
    return harness_address (zone, ADR_NODE_META, ADR_ACTOR_INVENTORY_SYNCER);
}

static const harness_sent_t *
s_ask (adr_address_t from, uint16_t kind, const ProtobufCMessage *header, adr_bytes_t payload)
{
    harness_t *harness = &trio_node[2].harness;
    size_t before = harness->sent_count;
    harness_message (harness, from, ADR_NODE_META, kind, header, payload);
    for (size_t i = before; i < harness->sent_count; i++)
        if (harness->sent[i].to.actor == ADR_ACTOR_INVENTORY_SYNCER)
            return &harness->sent[i];
    return NULL;
}

static bool
s_gives_leaves (bool mend, bool copying)
{
    Adr__LeavesAsk ask = ADR__LEAVES_ASK__INIT;
    ask.number = 1;
    ask.mend = mend;
    ask.copying = copying;
    const harness_sent_t *sent = s_ask (s_asker (1), ADR__KIND__LEAVES_ASK, &ask.base, adr_bytes (NULL, 0));
    bool ok = ((const Adr__Leaves *) sent->header)->ok;
    assert_int_equal (sent->payload.size, ok ? 256 * HASH_SIZE : 0);
    return ok;
}

static const harness_sent_t *
s_ask_inventory (unsigned zone, uint64_t number, uint32_t partition, uint32_t offset, size_t set_size)
{
    uint8_t set[2 * ADR_BUCKET_SET_SIZE];
    Adr__InventoryAsk ask = ADR__INVENTORY_ASK__INIT;
    memset (set, 0xff, sizeof set);
    ask.number = number;
    ask.partition = partition;
    ask.offset = offset;
    return s_ask (s_asker (zone), ADR__KIND__INVENTORY_ASK, &ask.base, adr_bytes (set, set_size));
}

static bool
s_gives_inventory (unsigned zone, uint64_t number, uint32_t partition, uint32_t offset, size_t set_size)
{
    const harness_sent_t *sent = s_ask_inventory (zone, number, partition, offset, set_size);
    assert_true (((const Adr__Inventory *) sent->header)->ok || sent->payload.size == 0);
    return ((const Adr__Inventory *) sent->header)->ok;
}

static const harness_sent_t *
s_ask_records (bool mend, adr_bytes_t keys)
{
    Adr__RecordsAsk ask = ADR__RECORDS_ASK__INIT;
    ask.number = 1;
    ask.mend = mend;
    return s_ask (s_asker (1), ADR__KIND__RECORDS_ASK, &ask.base, keys);
}

/* [REPAIR-9] */
static void
test_a_paused_source_gives_nothing (void **state)
{
    uint8_t key[] = { ADR_TABLE_KV, 1, 0, 'x' };
    (void) state;
    trio_write_some (2);
    trio_say_state (2);
    assert_int_equal (s_pause (2, 1000), ADR_STATUS_OK);
    assert_false (s_gives_leaves (false, true));
    assert_false (s_gives_leaves (true, false));
    assert_false (s_gives_inventory (1, 1, 0, 0, ADR_BUCKET_SET_SIZE));
    assert_false (((const Adr__Records *) s_ask_records (true, adr_bytes (key, sizeof key))->header)->ok);
    harness_advance (&trio_node[2].harness, 1100 * ADR_MS);
    assert_true (s_gives_leaves (false, true));
}

/* [REPAIR-2, REPAIR-5] */
static void
test_who_may_be_a_source (void **state)
{
    uint8_t key[] = { ADR_TABLE_KV, 1, 0, 'x' };
    (void) state;
    trio_write_some (2);
    assert_false (s_gives_leaves (true, true)); /* before its replicator said anything */
    for (int sync = ADR_SYNC_EXACT; sync <= ADR_SYNC_UNPROVEN; sync++)
        for (int bits = 0; bits < 4; bits++) {
            trio_node_t *node = &trio_node[2];
            node->sync = (adr_sync_t) sync;
            node->proven = bits & 1;
            node->lossy = bits & 2;
            bool comparable = sync == ADR_SYNC_EXACT || sync == ADR_SYNC_UNPROVEN;
            if (node->proven && !comparable)
                continue; /* no replicator says so */
            trio_say_state (2);
            assert_int_equal (s_gives_leaves (false, false), node->proven);
            assert_int_equal (s_gives_leaves (true, false), node->proven || comparable);
            assert_int_equal (s_gives_leaves (true, true), (node->proven || comparable) && !node->lossy);
            assert_int_equal (s_gives_inventory (1, 1, 0, 0, ADR_BUCKET_SET_SIZE), node->proven);
            const harness_sent_t *sent = s_ask_records (false, adr_bytes (key, sizeof key));
            assert_int_equal (((const Adr__Records *) sent->header)->ok, node->proven);
        }
}

static void
test_strangers_are_not_answered (void **state)
{
    Adr__LeavesAsk ask = ADR__LEAVES_ASK__INIT;
    (void) state;
    trio_write_some (2);
    trio_say_state (2);
    assert_true (s_gives_leaves (false, false));
    assert_null (s_ask (harness_address (1, ADR_NODE_DATA, ADR_ACTOR_INVENTORY_SYNCER), ADR__KIND__LEAVES_ASK, &ask.base,
                        adr_bytes (NULL, 0)));
    assert_null (s_ask (s_asker (9), ADR__KIND__LEAVES_ASK, &ask.base, adr_bytes (NULL, 0)));
}

/* [REPAIR-2] What is written between two pieces is in none of them, and each asker has an inventory of its own. */
static void
test_pieces_are_of_one_moment (void **state)
{
    adr_buffer_t expected = { 0 }, pieces = { 0 };
    adr_position_t applied;
    bool damaged;
    uint8_t set[ADR_BUCKET_SET_SIZE];
    uint32_t partition = 0, size = 0;
    uint8_t order[16];
    char key[1001];
    (void) state;
    trio_write (2, 900, 1000, 20);
    trio_say_state (2);
    memset (set, 0xff, sizeof set);
    memset (key, 'k', sizeof key - 1);
    key[sizeof key - 1] = '\0';
    partition = adr_reader_order (trio_node[2].reader, ADR_TABLE_KV, fixture_text (key), order) / 256;
    assert_true (adr_reader_inventory (trio_node[2].reader, partition, set, INVENTORY_ENOUGH, INVENTORY_MAX, &expected, &applied,
                                       &damaged));
    do {
        const harness_sent_t *sent = s_ask_inventory (1, 7, partition, (uint32_t) pieces.size, sizeof set);
        const Adr__Inventory *inventory = (const Adr__Inventory *) sent->header;
        assert_true (inventory->ok);
        assert_int_equal (inventory->offset, pieces.size);
        assert_int_equal (inventory->applied, applied.index);
        assert_true (sent->payload.size > 0 && sent->payload.size <= PIECE_MAX);
        size = inventory->size;
        adr_buffer_append (&pieces, sent->payload.data, sent->payload.size);
        trio_put (2, key, "meanwhile", 1000 + pieces.size);
        assert_true (s_gives_inventory (3, 7, partition, 0, sizeof set));
    } while (pieces.size < size);
    assert_true (expected.size > PIECE_MAX);
    assert_int_equal (pieces.size, expected.size);
    assert_memory_equal (pieces.data, expected.data, expected.size);
    adr_buffer_free (&expected);
    adr_buffer_free (&pieces);
}

static void
test_unknown_offsets_are_refused (void **state)
{
    (void) state;
    trio_write (2, 900, 1000, 20);
    trio_say_state (2);
    assert_false (s_gives_inventory (1, 7, 0, 1, ADR_BUCKET_SET_SIZE)); /* it asked for nothing yet */
    uint32_t partition = 0;
    for (; partition < TRIO_PARTITIONS; partition++) {
        const harness_sent_t *sent = s_ask_inventory (1, 7, partition, 0, ADR_BUCKET_SET_SIZE);
        if (sent->payload.size < ((const Adr__Inventory *) sent->header)->size)
            break; /* more is kept for it */
    }
    assert_true (partition < TRIO_PARTITIONS);
    assert_false (s_gives_inventory (3, 7, partition, PIECE_MAX, ADR_BUCKET_SET_SIZE)); /* another one's */
    assert_false (s_gives_inventory (1, 8, partition, PIECE_MAX, ADR_BUCKET_SET_SIZE));
    assert_false (s_gives_inventory (1, 7, partition, 16 * 1024 * 1024, ADR_BUCKET_SET_SIZE));
    assert_false (s_gives_inventory (1, 7, partition, UINT32_MAX, ADR_BUCKET_SET_SIZE));
    assert_true (s_gives_inventory (1, 7, partition, PIECE_MAX, ADR_BUCKET_SET_SIZE));
    assert_false (s_gives_inventory (1, 0, partition, 0, ADR_BUCKET_SET_SIZE));
    for (uint64_t number = 100; number < 100 + SERVED_MAX; number++) /* every place is taken, by zone 3 */
        assert_true (s_gives_inventory (3, number, partition, 0, ADR_BUCKET_SET_SIZE));
    assert_false (s_gives_inventory (1, 99, partition, PIECE_MAX, ADR_BUCKET_SET_SIZE));
    assert_true (s_gives_inventory (3, 100, partition, PIECE_MAX, ADR_BUCKET_SET_SIZE));
}

/* A question that makes no sense says nothing about the index of who is asked: it is not healed for it. */
static void
test_senseless_questions_damage_nothing (void **state)
{
    Adr__LeavesAsk ask = ADR__LEAVES_ASK__INIT;
    (void) state;
    trio_write_some (2);
    trio_say_state (2);
    assert_true (s_gives_inventory (1, 1, TRIO_PARTITIONS, 0, ADR_BUCKET_SET_SIZE)); /* the group's own records */
    assert_false (s_gives_inventory (1, 2, TRIO_PARTITIONS + 1, 0, ADR_BUCKET_SET_SIZE));
    assert_false (s_gives_inventory (1, 3, UINT32_MAX, 0, ADR_BUCKET_SET_SIZE));
    assert_false (s_gives_inventory (1, 4, 0, 0, 0));
    assert_false (s_gives_inventory (1, 5, 0, 0, ADR_BUCKET_SET_SIZE - 1));
    assert_false (s_gives_inventory (1, 6, 0, 0, ADR_BUCKET_SET_SIZE + 1));
    ask.partition = TRIO_PARTITIONS + 1;
    const harness_sent_t *sent = s_ask (s_asker (1), ADR__KIND__LEAVES_ASK, &ask.base, adr_bytes (NULL, 0));
    assert_false (((const Adr__Leaves *) sent->header)->ok);
    assert_int_equal (harness_count (&trio_node[2].harness, ADR__KIND__INDEX_DAMAGED), 0);
}

/* Rows that cannot be read are told to the replicator. */
static void
test_an_index_that_cannot_be_read_is_told (void **state)
{
    (void) state;
    trio_write_some (2);
    trio_say_state (2);
    memory_index_spoil (trio_node[2].w->index);
    for (uint32_t partition = 0; partition < TRIO_PARTITIONS; partition++)
        (void) s_gives_inventory (1, 1 + partition, partition, 0, ADR_BUCKET_SET_SIZE);
    assert_true (harness_count (&trio_node[2].harness, ADR__KIND__INDEX_DAMAGED) > 0);
}

/* What is gone is left out, what cannot be read is counted; both were asked for. */
static void
test_records_that_are_gone_or_damaged (void **state)
{
    adr_buffer_t keys = { 0 };
    (void) state;
    trio_put (2, "a", "1", 5);
    trio_put (2, "b", "2", 6);
    trio_say_state (2);
    trio_damage (2, "b");
    adr_wound_put (&keys, ADR_TABLE_KV, fixture_text ("b"));
    adr_wound_put (&keys, ADR_TABLE_KV, fixture_text ("gone"));
    adr_wound_put (&keys, ADR_TABLE_KV, fixture_text ("a"));
    const harness_sent_t *sent = s_ask_records (false, adr_bytes (keys.data, keys.size));
    const Adr__Records *records = (const Adr__Records *) sent->header;
    assert_true (records->ok);
    assert_int_equal (records->asked, 3);
    assert_int_equal (records->damaged, 1);
    assert_int_equal (sent->payload.size, ADR_INVENTORY_HEADER_SIZE + 1 + 1);
    assert_int_equal (sent->payload.data[sent->payload.size - 1], '1');
    assert_int_equal (trio_node[2].harness.notes[ADR_LEVEL_WARNING], 2);
    adr_buffer_free (&keys);
}

/* As many records as there is room for, and one at least: the rest is asked for again. */
static void
test_an_answer_has_room_for_so_many_records (void **state)
{
    adr_buffer_t keys = { 0 };
    char key[2] = "a", *value = adr_alloc (53 * 1024 + 1);
    (void) state;
    trio_node[2].w->options.segment_bytes = ADR_STORE_SEGMENT_MIN; /* for values of this size */
    fixture_reopen (trio_node[2].w);
    memset (value, 'v', 53 * 1024);
    for (; key[0] <= 'd'; key[0]++) {
        trio_put (2, key, value, 5);
        adr_wound_put (&keys, ADR_TABLE_KV, fixture_text (key));
    }
    trio_say_state (2);
    const harness_sent_t *sent = s_ask_records (false, adr_bytes (keys.data, keys.size));
    assert_true (((const Adr__Records *) sent->header)->ok);
    assert_int_equal (((const Adr__Records *) sent->header)->asked, 3);
    assert_int_equal (sent->payload.size, 3 * (ADR_INVENTORY_HEADER_SIZE + 1 + 53 * 1024));
    adr_buffer_free (&keys);
    free (value);
}

/* Random bytes for each question: answered or refused, whatever they say. */
static void
test_random_questions_are_survived (void **state)
{
    adr_random_t random = { 4711 };
    uint8_t bytes[300];
    (void) state;
    trio_write_some (2);
    trio_say_state (2);
    for (int i = 0; i < 3000; i++) {
        size_t size = (size_t) adr_random_between (&random, 0, sizeof bytes);
        for (size_t k = 0; k < sizeof bytes; k++)
            bytes[k] = (uint8_t) (adr_random_next (&random) >> (i % 3 ? 0 : 62)); /* small ones often: short keys */
        Adr__InventoryAsk ask = ADR__INVENTORY_ASK__INIT;
        ask.number = adr_random_next (&random) % 8;
        ask.partition = (uint32_t) (adr_random_next (&random) >> (i % 2 ? 62 : 32));
        ask.offset = (uint32_t) (adr_random_next (&random) >> (i % 5 ? 52 : 32)) * (i % 4 != 0);
        ask.mend = i & 1;
        adr_bytes_t set = adr_bytes (bytes, i % 3 ? ADR_BUCKET_SET_SIZE : size);
        assert_non_null (s_ask (s_asker (1 + 2 * (i & 1)), ADR__KIND__INVENTORY_ASK, &ask.base, set));
        assert_non_null (s_ask_records (i & 1, adr_bytes (bytes, size)));
        if (i % 100 == 0)
            harness_forget (&trio_node[2].harness);
    }
    assert_int_equal (harness_count (&trio_node[2].harness, ADR__KIND__INDEX_DAMAGED), 0);
    assert_true (s_gives_leaves (false, true));
}

int
main (void)
{
    const struct CMUnitTest tests[] = {
        TRIO_TEST (test_a_pause_ends_by_itself),
        TRIO_TEST (test_a_pause_has_an_end),
        TRIO_TEST (test_run_ends_a_pause),
        TRIO_TEST (test_damaged_values_do_not_wait),
        TRIO_TEST (test_a_copy_that_has_lost_rows_does_not_wait),
        TRIO_TEST (test_an_operator_s_comparison),
        TRIO_TEST (test_a_comparison_asks_who_can_be_compared),
        TRIO_TEST (test_a_paused_source_gives_nothing),
        TRIO_TEST (test_who_may_be_a_source),
        TRIO_TEST (test_strangers_are_not_answered),
        TRIO_TEST (test_pieces_are_of_one_moment),
        TRIO_TEST (test_unknown_offsets_are_refused),
        TRIO_TEST (test_senseless_questions_damage_nothing),
        TRIO_TEST (test_an_index_that_cannot_be_read_is_told),
        TRIO_TEST (test_records_that_are_gone_or_damaged),
        TRIO_TEST (test_an_answer_has_room_for_so_many_records),
        TRIO_TEST (test_random_questions_are_survived),
    };
    return cmocka_run_group_tests (tests, NULL, NULL);
}
