/* SPDX-License-Identifier: MPL-2.0 */
/* The rules of docs/protocol/inventory_syncer.md: copies that are made anew, their sources, and what bounds them. */

#include "syncer_fixture.h"

#include "core/settings.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

/* --- copying ---------------------------------------------------------------------------------------------------- */

/* [REPAIR-1] */
static void
test_a_wiped_copy_is_made_whole (void **state)
{
    (void) state;
    trio_write_some (2);
    trio_write_some (3);
    trio_node[1].master = 2;
    trio_copying ();
    assert_true (trio_are_equal (1, 2));
    for (uint16_t kind = ADR__KIND__LEAVES_ASK; kind <= ADR__KIND__RECORDS_ASK; kind++)
        if (kind == ADR__KIND__LEAVES_ASK || kind == ADR__KIND__INVENTORY_ASK || kind == ADR__KIND__RECORDS_ASK)
            assert_true (trio_sent (kind) >= TRIO_PARTITIONS);
    const harness_sent_t *ask = harness_sent (&trio_node[1].harness, ADR__KIND__BASE_ASK, 0);
    assert_non_null (ask);
    assert_int_equal (ask->to.actor, ADR_ACTOR_REPLICATOR);
    assert_int_equal (ask->to.node.bytes[0], 0x20 + ADR_NODE_META); /* the master: it is its log that follows */
    assert_int_equal (((const Adr__BaseAsk *) ask->header)->index, TRIO_RECORDS);
    const harness_sent_t *sent = harness_sent (&trio_node[1].harness, ADR__KIND__SYNC_END, 0);
    const Adr__SyncEnd *end = (const Adr__SyncEnd *) sent->header;
    assert_int_equal (end->term, TRIO_TERM);
    assert_int_equal (end->index, TRIO_RECORDS);
    assert_int_equal (end->window_to, TRIO_RECORDS);
    assert_int_equal (end->voters->n_voter, TRIO_ZONES);
    assert_int_equal (trio_sent (ADR__KIND__SYNC_END), 1);
    trio_advance (3 * TRIO_SECOND); /* nothing came of it */
    assert_int_equal (trio_sent (ADR__KIND__SYNC_END), 2);
    trio_node[1].sync = ADR_SYNC_REPLAYING;
    trio_say_state (1);
    trio_advance (10 * TRIO_SECOND);
    assert_int_equal (trio_sent (ADR__KIND__SYNC_END), 2);
}

/* Sources are applied to different places: the log must reach back to the least, and is exact behind the greatest. */
static void
s_assert_base (unsigned behind, unsigned ahead)
{
    trio_write (behind, TRIO_RECORDS, 12, 40);
    trio_write (ahead, TRIO_RECORDS + 20, 12, 40);
    trio_copying ();
    assert_true (trio_node[2].asked[ADR__KIND__LEAVES_ASK] > 0 && trio_node[3].asked[ADR__KIND__LEAVES_ASK] > 0);
    const harness_sent_t *sent = harness_sent (&trio_node[1].harness, ADR__KIND__SYNC_END, 0);
    assert_non_null (sent);
    assert_int_equal (((const Adr__SyncEnd *) sent->header)->index, TRIO_RECORDS);
    assert_int_equal (((const Adr__SyncEnd *) sent->header)->window_to, TRIO_RECORDS + 20);
}

static void
test_the_base_is_the_least_applied_index (void **state)
{
    s_assert_base (2, 3);
    trio_teardown (state);
    trio_setup (state);
    s_assert_base (3, 2);
}

/* What an earlier pass brought may be newer than all that the sources of a later one have: the window covers it. */
static void
test_the_window_covers_earlier_passes (void **state)
{
    (void) state;
    trio_write (2, TRIO_RECORDS, 12, 40);
    trio_write (3, TRIO_RECORDS + 20, 12, 40);
    trio_base_silent = true;
    trio_copying ();
    assert_true (trio_node[3].asked[ADR__KIND__LEAVES_ASK] > 0);
    trio_node[3].proven = false;
    trio_say_state (3);
    trio_base_silent = trio_base_ok = false;
    trio_advance (4 * TRIO_SECOND);
    const harness_sent_t *sent = harness_sent (&trio_node[1].harness, ADR__KIND__SYNC_END, 0);
    assert_non_null (sent);
    assert_int_equal (trio_self ()->pass, 2);
    assert_int_equal (((const Adr__SyncEnd *) sent->header)->window_to, TRIO_RECORDS + 20);
}

/* [REPAIR-6] */
static void
test_it_says_from_where_the_log_is_needed (void **state)
{
    (void) state;
    trio_write_some (2);
    trio_write_some (3);
    trio_base_silent = true;
    trio_copying ();
    size_t count = trio_sent (ADR__KIND__PLACE);
    const harness_sent_t *sent = harness_sent (&trio_node[1].harness, ADR__KIND__PLACE, count - 1);
    assert_int_equal (((const Adr__Place *) sent->header)->keep_from, TRIO_RECORDS);
    assert_int_equal (((const Adr__Place *) sent->header)->parts, TRIO_PARTITIONS + 1);
}

/* Rule 2: what is whole already costs its leaves only. */
static void
test_a_whole_copy_costs_its_leaves_only (void **state)
{
    (void) state;
    for (unsigned zone = 1; zone <= TRIO_ZONES; zone++)
        trio_write_some (zone);
    trio_copying ();
    assert_int_equal (trio_sent (ADR__KIND__LEAVES_ASK), TRIO_PARTITIONS + 1);
    assert_int_equal (trio_sent (ADR__KIND__INVENTORY_ASK), 0);
    assert_int_equal (trio_sent (ADR__KIND__SYNC_END), 1);
}

/* [REPAIR-5] The end waits until what was pulled is in the index. */
static void
test_the_end_waits_for_the_index (void **state)
{
    (void) state;
    trio_write_some (2);
    trio_write_some (3);
    trio_holds = true;
    trio_copying ();
    trio_advance (TRIO_SECOND);
    assert_int_equal (trio_sent (ADR__KIND__BASE_ASK), 0);
    for (unsigned zone = 2; zone <= TRIO_ZONES; zone++)
        assert_true (trio_node[zone].asked[ADR__KIND__LEAVES_ASK] <= TRIO_PARTITIONS + 1);
}

/* [REPAIR-1] The log begins behind the copy: everything is looked at again. */
static void
test_a_base_that_does_not_reach_back_begins_another_pass (void **state)
{
    (void) state;
    trio_write_some (2);
    trio_write_some (3);
    trio_base_ok = false;
    trio_copying ();
    trio_advance (100 * ADR_MS);
    assert_int_equal (trio_self ()->pass, 2);
    assert_int_equal (trio_sent (ADR__KIND__LEAVES_ASK), 2 * (TRIO_PARTITIONS + 1));
    assert_int_equal (trio_sent (ADR__KIND__BASE_ASK), 2);
    assert_int_equal (trio_sent (ADR__KIND__SYNC_END), 1);
}

/* ... and a source whose index ends before the start of the master's log is no use any more. */
static void
test_a_source_before_the_log_s_start_is_no_use (void **state)
{
    (void) state;
    trio_write (2, TRIO_RECORDS, 12, 40);
    trio_write (3, TRIO_RECORDS + 20, 12, 40);
    trio_base_ok = false;
    trio_base_log_start = TRIO_RECORDS + 10;
    trio_node[1].master = 3;
    trio_copying ();
    trio_advance (2 * TRIO_SECOND);
    const harness_sent_t *sent = harness_sent (&trio_node[1].harness, ADR__KIND__SYNC_END, 0);
    assert_non_null (sent);
    assert_int_equal (((const Adr__SyncEnd *) sent->header)->index, TRIO_RECORDS + 20);
}

static void
test_a_silent_master_is_replaced_for_the_base (void **state)
{
    (void) state;
    trio_write_some (2);
    trio_write_some (3);
    trio_node[1].master = 2;
    trio_base_silent = true;
    trio_copying ();
    assert_int_equal (trio_node[2].asked[ADR__KIND__BASE_ASK], 1);
    trio_advance (600 * ADR_MS);
    assert_int_equal (trio_node[3].asked[ADR__KIND__BASE_ASK], 1);
    trio_base_silent = false;
    trio_advance (1200 * ADR_MS);
    assert_int_equal (trio_sent (ADR__KIND__SYNC_END), 1);
}

/* --- sources ---------------------------------------------------------------------------------------------------- */

/* [REPAIR-2] */
static void
test_the_master_is_asked_last (void **state)
{
    (void) state;
    trio_write_some (2);
    trio_write_some (3);
    trio_node[1].master = 2;
    trio_copying ();
    assert_int_equal (trio_node[2].asked[ADR__KIND__LEAVES_ASK], 0);
    assert_int_equal (trio_node[3].asked[ADR__KIND__LEAVES_ASK], TRIO_PARTITIONS + 1);
}

static void
test_the_master_is_asked_where_nobody_else_answers (void **state)
{
    (void) state;
    trio_write_some (2);
    trio_write_some (3);
    trio_node[1].master = 2;
    trio_node[3].silent = true;
    trio_copying ();
    trio_advance (PATIENCE_NS - 100 * ADR_MS);
    assert_int_equal (trio_node[2].asked[ADR__KIND__LEAVES_ASK], 0);
    trio_advance (300 * ADR_MS);
    assert_int_equal (trio_node[2].asked[ADR__KIND__LEAVES_ASK], TRIO_PARTITIONS + 1);
    assert_true (trio_are_equal (1, 2));
}

/* One that refuses is replaced at once. */
static void
test_a_source_must_be_proven (void **state)
{
    (void) state;
    trio_write_some (2);
    trio_write_some (3);
    trio_node[3].proven = false;
    trio_copying ();
    assert_true (trio_node[3].asked[ADR__KIND__LEAVES_ASK] > 0);
    assert_int_equal (trio_node[3].asked[ADR__KIND__INVENTORY_ASK], 0);
    assert_int_equal (trio_sent (ADR__KIND__SYNC_END), 1);
    assert_int_equal (trio_self ()->failed_peers, 1);
}

/* ... where there is one: without any for five seconds, one in doubt will do; never one that knows of a loss. */
static void
test_without_a_proven_source_one_in_doubt_will_do (void **state)
{
    (void) state;
    trio_write_some (2);
    trio_write_some (3);
    for (unsigned zone = 2; zone <= TRIO_ZONES; zone++) {
        trio_node[zone].proven = false;
        trio_node[zone].sync = ADR_SYNC_UNPROVEN;
    }
    trio_node[3].lossy = true;
    trio_copying ();
    trio_advance (4900 * ADR_MS);
    assert_int_equal (trio_sent (ADR__KIND__INVENTORY_ASK), 0);
    trio_advance (3 * TRIO_SECOND);
    assert_int_equal (trio_sent (ADR__KIND__SYNC_END), 1);
    assert_int_equal (trio_node[3].asked[ADR__KIND__INVENTORY_ASK], 0);
}

/* The answers of this kind by zone 3 are spoilt, and node 1 becomes whole by what zone 2 has; time does not go on. */
static void
s_assert_replaced (uint16_t kind, void (*lie) (adr_buffer_t *, ProtobufCMessage *))
{
    trio_write_some (2);
    trio_write_some (3);
    trio_liar = 3;
    trio_lie_kind = kind;
    trio_lie = lie;
    trio_copying ();
    assert_true (trio_spoilt > 0 && trio_spoilt <= LANES);
    assert_true (trio_node[2].asked[ADR__KIND__LEAVES_ASK] > 0);
    assert_true (trio_are_equal (1, 2));
    assert_int_equal (trio_sent (ADR__KIND__SYNC_END), 1);
    assert_int_equal (trio_self ()->failed_peers, 1);
    if (kind == ADR__KIND__INVENTORY)
        assert_int_equal (trio_self ()->pulled_records, TRIO_RECORDS - (TRIO_RECORDS + 6) / 7); /* none of a false one */
}

static void
s_lie_hash (adr_buffer_t *payload, ProtobufCMessage *header)
{
    (void) header;
    payload->data[5] ^= 1;
}

/* The version of a row: what it hashes to is not the leaf. */
static void
s_lie_row (adr_buffer_t *payload, ProtobufCMessage *header)
{
    (void) header;
    payload->data[ADR_SECTION_HEADER_SIZE + 20] ^= 0x40;
}

static void
s_lie_foreign (adr_buffer_t *payload, ProtobufCMessage *header)
{
    (void) header;
    payload->data[0] ^= 1;
}

/* A row whose key is longer than the section. */
static void
s_lie_cut_row (adr_buffer_t *payload, ProtobufCMessage *header)
{
    (void) header;
    adr_put_u16 (payload->data + ADR_SECTION_HEADER_SIZE + 2, 1000);
}

/* The last section is longer than the inventory. */
static void
s_lie_cut_section (adr_buffer_t *payload, ProtobufCMessage *header)
{
    payload->size--;
    ((Adr__Inventory *) header)->size--;
}

static void
s_lie_twice (adr_buffer_t *payload, ProtobufCMessage *header)
{
    adr_buffer_t twice = { 0 };
    adr_buffer_append (&twice, payload->data, payload->size);
    adr_buffer_append (payload, twice.data, twice.size);
    ((Adr__Inventory *) header)->size *= 2;
    adr_buffer_free (&twice);
}

/* The rows of the first section twice: they do not ascend, and hash to nothing. */
static void
s_lie_order (adr_buffer_t *payload, ProtobufCMessage *header)
{
    adr_inventory_section_t section;
    adr_buffer_t made = { 0 };
    size_t size = adr_inventory_section_get (&section, adr_bytes (payload->data, payload->size));
    assert_int_not_equal (size, 0);
    adr_buffer_append (&made, payload->data, ADR_SECTION_HEADER_SIZE);
    for (int i = 0; i < 3; i++) /* an odd number of times: the hash is the leaf's */
        adr_buffer_append (&made, section.rows.data, section.rows.size);
    adr_put_u32 (made.data + 1, (uint32_t) (3 * section.rows.size));
    adr_buffer_append (&made, payload->data + size, payload->size - size);
    ((Adr__Inventory *) header)->size = (uint32_t) made.size;
    adr_buffer_free (payload);
    *payload = made;
}

/* A true section of a bucket that nobody asked for, empty as it is: it answers nothing. */
static void
s_lie_other (adr_buffer_t *payload, ProtobufCMessage *header)
{
    memset (payload->data, 0, ADR_SECTION_HEADER_SIZE);
    payload->data[0] = 255;
    payload->size = ADR_SECTION_HEADER_SIZE;
    ((Adr__Inventory *) header)->size = ADR_SECTION_HEADER_SIZE;
}

static void
s_lie_size (adr_buffer_t *payload, ProtobufCMessage *header)
{
    (void) payload;
    ((Adr__Inventory *) header)->size = UINT32_MAX;
}

static void
s_lie_empty (adr_buffer_t *payload, ProtobufCMessage *header)
{
    (void) header;
    payload->size = 0;
}

static void
s_lie_short (adr_buffer_t *payload, ProtobufCMessage *header)
{
    (void) header;
    payload->size -= payload->size > 0;
}

static void
s_lie_far_ahead (adr_buffer_t *payload, ProtobufCMessage *header)
{
    (void) payload;
    ((Adr__Leaves *) header)->applied = trio_commit + AHEAD_MAX + 1;
}

static void
s_lie_epoch (adr_buffer_t *payload, ProtobufCMessage *header)
{
    (void) header;
    payload->data[8]++;
}

static void
s_lie_term (adr_buffer_t *payload, ProtobufCMessage *header)
{
    (void) header;
    payload->data[12]++;
}

/* [REPAIR-2] */
#define S_REPLACED(test, kind, lie)         \
    static void test (void **state)         \
    {                                       \
        (void) state;                       \
        s_assert_replaced (kind, lie);      \
    }
S_REPLACED (test_an_inventory_with_another_hash, ADR__KIND__INVENTORY, s_lie_hash)
S_REPLACED (test_an_inventory_with_another_row, ADR__KIND__INVENTORY, s_lie_row)
S_REPLACED (test_an_inventory_of_a_foreign_bucket, ADR__KIND__INVENTORY, s_lie_foreign)
S_REPLACED (test_an_inventory_out_of_order, ADR__KIND__INVENTORY, s_lie_order)
S_REPLACED (test_an_inventory_with_a_cut_row, ADR__KIND__INVENTORY, s_lie_cut_row)
S_REPLACED (test_an_inventory_with_a_cut_section, ADR__KIND__INVENTORY, s_lie_cut_section)
S_REPLACED (test_an_inventory_with_a_bucket_twice, ADR__KIND__INVENTORY, s_lie_twice)
S_REPLACED (test_an_inventory_of_what_was_not_asked_for, ADR__KIND__INVENTORY, s_lie_other)
S_REPLACED (test_an_inventory_too_large, ADR__KIND__INVENTORY, s_lie_size)
S_REPLACED (test_an_inventory_that_is_empty, ADR__KIND__INVENTORY, s_lie_empty)
S_REPLACED (test_leaves_of_a_wrong_size, ADR__KIND__LEAVES, s_lie_short)
S_REPLACED (test_leaves_of_what_was_never_committed, ADR__KIND__LEAVES, s_lie_far_ahead)

/* [REPAIR-3] A version that nobody wrote would be the newest for good. */
static void
test_records_of_a_foreign_version (void **state)
{
    void (*const lie[]) (adr_buffer_t *, ProtobufCMessage *) = { s_lie_epoch, s_lie_term };
    for (size_t i = 0; i < sizeof lie / sizeof lie[0]; i++) {
        s_assert_replaced (ADR__KIND__RECORDS, lie[i]);
        trio_teardown (state);
        trio_setup (state);
    }
}

static void
s_lie_ahead (adr_buffer_t *payload, ProtobufCMessage *header)
{
    (void) payload;
    ((Adr__Leaves *) header)->applied = TRIO_RECORDS + 1;
}

/* [REPAIR-1] A window's end that no log has is no end. */
static void
test_a_window_ends_where_the_master_s_log_does (void **state)
{
    (void) state;
    trio_write_some (2);
    trio_write_some (3);
    trio_base_log_end = TRIO_RECORDS;
    trio_liar = 3;
    trio_lie_kind = ADR__KIND__LEAVES;
    trio_lie = s_lie_ahead;
    trio_copying ();
    assert_true (trio_spoilt > 0);
    assert_int_equal (trio_sent (ADR__KIND__SYNC_END), 1);
    const Adr__SyncEnd *end = (const Adr__SyncEnd *) harness_sent (&trio_node[1].harness, ADR__KIND__SYNC_END, 0)->header;
    assert_int_equal (end->window_to, TRIO_RECORDS);
    assert_int_equal (trio_self ()->failed_peers, 1);
}

/* One that is no master may be behind: another one is asked. */
static void
test_a_base_of_one_that_is_behind_ends_nothing (void **state)
{
    (void) state;
    trio_write_some (2);
    trio_write_some (3);
    trio_base_log_end = TRIO_RECORDS - 1;
    trio_base_leads = false;
    trio_copying ();
    assert_int_equal (trio_sent (ADR__KIND__SYNC_END), 0);
    assert_int_equal (trio_self ()->pass, 1);
    trio_base_log_end = TRIO_RECORDS;
    trio_advance (1100 * ADR_MS);
    assert_int_equal (trio_sent (ADR__KIND__SYNC_END), 1);
}

/* What one source cannot read another one can. */
static void
test_a_record_that_a_source_cannot_read_comes_from_another (void **state)
{
    (void) state;
    trio_write_some (2);
    trio_write_some (3);
    for (unsigned zone = 2; zone <= TRIO_ZONES; zone++)
        trio_put (zone, "wounded", "value", 5);
    trio_damage (3, "wounded");
    trio_node[1].master = 2;
    trio_copying ();
    assert_true (trio_node[3].asked[ADR__KIND__RECORDS_ASK] > 0);
    assert_true (trio_are_equal (1, 2));
    fixture_expect (trio_node[1].w, "wounded", "value");
}

/* Of records that are cut off the whole ones are used. */
/* [REPAIR-3] What no copy can read does not keep a copy from being made: it is damaged, hashes as it does elsewhere, and is
 * mended once somebody can. */
static void
test_a_record_that_no_source_can_read (void **state)
{
    adr_buffer_t record = { 0 };
    (void) state;
    for (unsigned zone = 2; zone <= TRIO_ZONES; zone++) {
        trio_write_some (zone);
        trio_put (zone, "lost", "value", 5);
        trio_damage (zone, "lost");
    }
    trio_copying ();
    assert_true (trio_node[2].asked[ADR__KIND__RECORDS_ASK] > 0 && trio_node[3].asked[ADR__KIND__RECORDS_ASK] > 0);
    assert_int_equal (trio_sent (ADR__KIND__SYNC_END), 1);
    assert_int_equal (trio_self ()->lost_records, 1);
    assert_true (trio_are_equal (1, 2));
    assert_int_equal (adr_reader_record (trio_node[1].reader, ADR_TABLE_KV, fixture_text ("lost"), &record),
                      ADR_STATUS_DAMAGED);
    trio_put (3, "lost", "value", 5);
    trio_advance (10 * TRIO_SECOND);
    assert_int_equal (adr_reader_record (trio_node[1].reader, ADR_TABLE_KV, fixture_text ("lost"), &record), ADR_STATUS_OK);
    assert_int_equal (trio_self ()->wounds.size, 0);
    adr_buffer_free (&record);
}

static void
test_records_that_are_cut_off (void **state)
{
    (void) state;
    s_assert_replaced (ADR__KIND__RECORDS, s_lie_short);
}

static void
s_lie_random (adr_buffer_t *payload, ProtobufCMessage *header)
{
    static adr_random_t s_random = { 99 };
    (void) header;
    for (size_t i = 0; i < payload->size; i++)
        if (adr_random_next (&s_random) % 16 == 0)
            payload->data[i] = (uint8_t) adr_random_next (&s_random);
}

/* Nothing that a peer answers trips anything, and what it garbles is not taken. */
static void
test_random_answers_are_survived (void **state)
{
    const uint16_t kinds[] = { ADR__KIND__LEAVES, ADR__KIND__INVENTORY, ADR__KIND__RECORDS };
    (void) state;
    for (int i = 0; i < 15; i++) {
        trio_write_some (2);
        trio_write_some (3);
        trio_node[2].silent = true;
        trio_liar = 3;
        trio_lie = s_lie_random;
        trio_lie_kind = kinds[i % 3];
        trio_copying ();
        trio_advance (6 * TRIO_SECOND);
        assert_true (trio_spoilt > 0);
        trio_liar = 0;
        trio_advance (6 * TRIO_SECOND); /* what is whole now is what zone 3 has */
        assert_true (kinds[i % 3] == ADR__KIND__RECORDS || trio_are_equal (1, 3));
        trio_teardown (state);
        trio_setup (state);
    }
}

/* --- bounds ----------------------------------------------------------------------------------------------------- */

/* [REPAIR-8] The window holds what is asked for and what waits for the disk. */
static void
test_the_place_window_is_obeyed (void **state)
{
    (void) state;
    trio_write (2, 1300, 12, 3900);
    trio_node[3].silent = true;
    trio_holds = true;
    trio_node[1].master = 3;
    trio_copying ();
    trio_advance (TRIO_SECOND);
    assert_true (trio_self ()->place_bytes <= trio_self ()->window);
    assert_true (trio_self ()->place_bytes > trio_self ()->window - 2 * PIECE_MAX);
    assert_int_equal (trio_sent (ADR__KIND__BASE_ASK), 0);
    trio_holds = false; /* the disk goes on */
    for (size_t i = 0; harness_sent (&trio_node[1].harness, ADR__KIND__PLACE, i); i++)
        trio_take_place (harness_sent (&trio_node[1].harness, ADR__KIND__PLACE, i)->payload);
    trio_carry ();
    trio_advance (TRIO_SECOND);
    assert_true (trio_are_equal (1, 2));
}

/* Rule 8: what is asked for costs credit, which gathers for a second at most. */
static void
test_the_rate_is_obeyed (void **state)
{
    const uint64_t rate = 200000;
    (void) state;
    trio_stop_node (1);
    trio_start_node (1, rate);
    trio_write (2, 400, 12, 3900);
    trio_write (3, 400, 12, 3900);
    trio_advance (10 * TRIO_SECOND); /* nothing gathers but a second's */
    trio_copying ();
    for (uint64_t passed = 1; passed <= 4; passed++) {
        trio_advance (TRIO_SECOND);
        uint64_t leaves = trio_sent (ADR__KIND__LEAVES_ASK) * 256 * HASH_SIZE, rows = 400 * 80 + 4 * 256 * 37;
        assert_true (trio_self ()->pulled_bytes <= rate * (1 + passed) + PIECE_MAX + leaves + rows);
        assert_true (trio_self ()->place_bytes + 2 * PIECE_MAX >= rate * passed);
        assert_int_equal (trio_sent (ADR__KIND__BASE_ASK), 0);
    }
    trio_advance (6 * TRIO_SECOND);
    assert_true (trio_sent (ADR__KIND__SYNC_END) > 0);
    assert_true (trio_are_equal (1, 2));
}

/* Rule 8: a round that a source, or the own clients, call busy halves the window, down to the least; others widen it. */
static void
test_the_window_follows_the_clients (void **state)
{
    (void) state;
    trio_write (2, 1300, 12, 3900);
    trio_write (3, 1300, 12, 3900);
    trio_stop_node (1);
    trio_start_node (1, 1000000); /* slow enough for some rounds */
    uint64_t before = trio_self ()->window;
    trio_copying ();
    trio_advance (ROUND_NS);
    uint64_t wider = trio_self ()->window;
    assert_true (wider >= 2 * before && wider <= 4 * before); /* nobody was busy yet */
    trio_node[2].busy = trio_node[3].busy = true;
    trio_say_state (2);
    trio_say_state (3);
    trio_advance (2 * ROUND_NS); /* once a round, however many answers came */
    assert_true (trio_self ()->window <= wider / 2 && trio_self ()->window >= wider / 8);
    trio_advance (TRIO_SECOND);
    assert_int_equal (trio_self ()->window, WINDOW_MIN);
    trio_node[2].busy = trio_node[3].busy = false;
    trio_say_state (2);
    trio_say_state (3);
    trio_advance (TRIO_SECOND / 2);
    assert_true (trio_self ()->window > WINDOW_MIN && trio_self ()->window <= WINDOW_MIN + 6 * WINDOW_UNIT);
    trio_node[1].busy = true;
    trio_say_state (1);
    trio_advance (TRIO_SECOND);
    assert_int_equal (trio_self ()->window, WINDOW_MIN);
    trio_advance (10 * TRIO_SECOND); /* and still it ends */
    assert_true (trio_sent (ADR__KIND__SYNC_END) > 0);
    assert_true (trio_are_equal (1, 2));
}

/* Rule 8: the least window is one question at a time, and a small one: nothing more goes out before it is answered. */
static void
test_the_least_window_is_one_question (void **state)
{
    (void) state;
    trio_write (2, 600, 12, 3900);
    trio_write (3, 600, 12, 3900);
    trio_node[1].busy = true;
    ((inventory_syncer_t *) (uintptr_t) trio_self ())->window = WINDOW_MIN;
    trio_node[2].silent = trio_node[3].silent = true;
    trio_copying ();
    trio_advance (200 * ADR_MS);
    assert_int_equal (trio_sent (ADR__KIND__LEAVES_ASK), WINDOW_MIN / (256 * HASH_SIZE) < TRIO_PARTITIONS + 1
                                                          ? WINDOW_MIN / (256 * HASH_SIZE) : TRIO_PARTITIONS + 1);
    trio_node[2].silent = trio_node[3].silent = false;
    trio_advance (PATIENCE_NS + 15 * TRIO_SECOND);
    assert_true (trio_sent (ADR__KIND__SYNC_END) > 0);
    for (size_t i = 0; i < trio_sent (ADR__KIND__PLACE); i++)
        assert_true (harness_sent (&trio_node[1].harness, ADR__KIND__PLACE, i)->payload.size <= WINDOW_MIN + 2 * 4096);
}

/* Rule 8: where answers come at once, as here, the window still holds the rate, because it is asked for so often only. */
static void
test_a_window_is_asked_for_once_a_trip (void **state)
{
    const uint64_t a_second = (uint64_t) WINDOW_MIN * 1000 / TRIP_MS;
    (void) state;
    trio_write (2, 2500, 12, 3900);
    trio_write (3, 2500, 12, 3900);
    trio_node[1].busy = true;
    ((inventory_syncer_t *) (uintptr_t) trio_self ())->window = WINDOW_MIN;
    trio_copying ();
    trio_advance (TRIO_SECOND);
    assert_true (trio_self ()->pulled_bytes <= a_second + WINDOW_MIN + PIECE_MAX);
    assert_true (trio_self ()->pulled_bytes >= 4 * WINDOW_MIN); /* and it goes on */
}

/* Rule 8: inventories are paid for, too: a slow rate holds them back. */
static void
test_inventories_cost_credit (void **state)
{
    const uint64_t rate = 20000;
    (void) state;
    trio_stop_node (1);
    trio_start_node (1, rate);
    trio_write (2, 2000, 100, 1);
    trio_write (3, 2000, 100, 1);
    trio_copying ();
    for (uint64_t passed = 1; passed <= 5; passed++) {
        trio_advance (TRIO_SECOND);
        assert_true (trio_self ()->pulled_bytes <= rate * (1 + passed) + PIECE_MAX);
    }
}

/* What a source says of its clients goes with each answer. */
static void
test_a_source_says_that_it_is_busy (void **state)
{
    Adr__LeavesAsk ask = ADR__LEAVES_ASK__INIT;
    adr_address_t asker = harness_address (1, ADR_NODE_META, ADR_ACTOR_INVENTORY_SYNCER);
    (void) state;
    trio_write_some (2);
    trio_node[2].busy = true;
    trio_say_state (2);
    ask.number = 1;
    harness_message (&trio_node[2].harness, asker, ADR_NODE_META, ADR__KIND__LEAVES_ASK, &ask.base, adr_bytes (NULL, 0));
    const harness_sent_t *sent = harness_sent (&trio_node[2].harness, ADR__KIND__LEAVES, 0);
    assert_true (((const Adr__Leaves *) sent->header)->ok && ((const Adr__Leaves *) sent->header)->busy);
    sent = harness_sent (&trio_node[2].harness, ADR__KIND__PLACE, 0); /* and its replicator that it is a source */
    assert_true (((const Adr__Place *) sent->header)->runs);
}

/* [SET-2] */
static void
test_it_repairs_as_fast_as_the_cluster_says (void **state)
{
    (void) state;
    adr_map_t *map = harness_map (TRIO_ZONES);
    uint64_t own = trio_self ()->environment.settings.repair_rate;
    harness_tell_setting (&trio_node[1].harness, map, "store.repair-rate", 64 * 1024);
    assert_int_equal (trio_self ()->environment.settings.repair_rate, 64 * 1024);
    adr_setting_remove (map, "store.repair-rate");
    harness_tell_map (&trio_node[1].harness, map);
    assert_int_equal (trio_self ()->environment.settings.repair_rate, own);
    adr_map_destroy (&map);
}

int
main (void)
{
    const struct CMUnitTest tests[] = {
        TRIO_TEST (test_it_repairs_as_fast_as_the_cluster_says),
        TRIO_TEST (test_a_wiped_copy_is_made_whole),
        TRIO_TEST (test_the_base_is_the_least_applied_index),
        TRIO_TEST (test_the_window_covers_earlier_passes),
        TRIO_TEST (test_it_says_from_where_the_log_is_needed),
        TRIO_TEST (test_a_whole_copy_costs_its_leaves_only),
        TRIO_TEST (test_the_end_waits_for_the_index),
        TRIO_TEST (test_a_base_that_does_not_reach_back_begins_another_pass),
        TRIO_TEST (test_a_source_before_the_log_s_start_is_no_use),
        TRIO_TEST (test_a_silent_master_is_replaced_for_the_base),
        TRIO_TEST (test_the_master_is_asked_last),
        TRIO_TEST (test_the_master_is_asked_where_nobody_else_answers),
        TRIO_TEST (test_a_source_must_be_proven),
        TRIO_TEST (test_without_a_proven_source_one_in_doubt_will_do),
        TRIO_TEST (test_an_inventory_with_another_hash),
        TRIO_TEST (test_an_inventory_with_another_row),
        TRIO_TEST (test_an_inventory_of_a_foreign_bucket),
        TRIO_TEST (test_an_inventory_out_of_order),
        TRIO_TEST (test_an_inventory_with_a_cut_row),
        TRIO_TEST (test_an_inventory_with_a_cut_section),
        TRIO_TEST (test_an_inventory_with_a_bucket_twice),
        TRIO_TEST (test_an_inventory_of_what_was_not_asked_for),
        TRIO_TEST (test_an_inventory_too_large),
        TRIO_TEST (test_an_inventory_that_is_empty),
        TRIO_TEST (test_leaves_of_a_wrong_size),
        TRIO_TEST (test_leaves_of_what_was_never_committed),
        TRIO_TEST (test_records_of_a_foreign_version),
        TRIO_TEST (test_a_window_ends_where_the_master_s_log_does),
        TRIO_TEST (test_a_base_of_one_that_is_behind_ends_nothing),
        TRIO_TEST (test_a_record_that_a_source_cannot_read_comes_from_another),
        TRIO_TEST (test_a_record_that_no_source_can_read),
        TRIO_TEST (test_records_that_are_cut_off),
        TRIO_TEST (test_random_answers_are_survived),
        TRIO_TEST (test_the_place_window_is_obeyed),
        TRIO_TEST (test_the_rate_is_obeyed),
        TRIO_TEST (test_the_window_follows_the_clients),
        TRIO_TEST (test_the_least_window_is_one_question),
        TRIO_TEST (test_a_window_is_asked_for_once_a_trip),
        TRIO_TEST (test_inventories_cost_credit),
        TRIO_TEST (test_a_source_says_that_it_is_busy),
    };
    return cmocka_run_group_tests (tests, NULL, NULL);
}
