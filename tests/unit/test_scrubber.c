/* SPDX-License-Identifier: MPL-2.0 */
/* The rules of docs/protocol/scrubber.md, over a store in memory that the test damages. */

#include "actor_harness.h"
#include "store_fixture.h"

#include "core/settings.h"
#include "store/reader.h"
#include "store/tree.h"

#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#define S_RECORDS 40
#define S_RATE 20000
#define S_SECOND (1000 * ADR_MS)
#define S_INTERVAL_NS (3600 * S_SECOND)
#define S_HEALS_NS (5 * S_SECOND)

static harness_t s_scrubber;
static fixture_t *s_store;
static adr_reader_t *s_reader;

static void
s_begin (uint64_t seed, uint64_t rate)
{
    adr_environment_t environment = { .cluster = harness_id (0xc1), .node = harness_id (0x10 + ADR_NODE_META),
                                      .type = ADR_NODE_META, .group = harness_id (0xb0 + ADR_NODE_META), .seed = seed };
    s_reader = adr_reader_create (&s_store->options, &s_store->disk->disk, memory_index_of (s_store->index));
    environment.reader = s_reader;
    environment.settings.scrub_rate = rate;
    environment.settings.scrub_interval_ns = S_INTERVAL_NS;
    harness_start (&s_scrubber, &adr_scrubber_class, &environment);
}

static void
s_end (void)
{
    harness_stop (&s_scrubber);
    adr_reader_destroy (&s_reader);
}

/* Messages but those that say how far it is. */
static size_t
s_said (void)
{
    return s_scrubber.sent_count - harness_count (&s_scrubber, ADR__KIND__SCRUB_STATE);
}

/* What was written is applied, and in the index. */
static void
s_flush (void)
{
    fixture_run (s_store);
    fixture_apply (s_store, adr_store_last (s_store->store).index);
    adr_store_set_unlocked (s_store->store, adr_store_applied (s_store->store));
    for (int i = 0; i < 2; i++) {
        s_store->now += s_store->options.flush_every_ns;
        fixture_run (s_store);
    }
}

/* So many records, in the index. */
static int
s_setup (void **state)
{
    char key[16], value[200];
    fixture_start (state);
    s_store = *state;
    for (int i = 0; i < S_RECORDS; i++) {
        snprintf (key, sizeof key, "key %d", i);
        memset (value, 'a' + i % 26, sizeof value - 1);
        value[sizeof value - 1] = '\0';
        fixture_append (s_store, 1, key, i % 8 ? value : NULL);
    }
    s_flush ();
    assert_int_equal (memory_index_count (s_store->index), S_RECORDS);
    return 0;
}

static int
s_teardown (void **state)
{
    s_end ();
    return fixture_stop (state);
}

/* Bytes of all buckets' rows and of all records. */
static uint64_t
s_everything (void)
{
    uint8_t set[ADR_BUCKET_SET_SIZE];
    adr_buffer_t sections = { 0 }, record = { 0 };
    adr_position_t applied;
    bool damaged;
    memset (set, 0xff, sizeof set);
    for (uint32_t i = 0; i <= adr_reader_partitions (s_reader); i++)
        assert_true (adr_reader_inventory (s_reader, i, set, SIZE_MAX, SIZE_MAX, &sections, &applied, &damaged));
    for (int i = 0; i < S_RECORDS; i++) {
        char key[16];
        snprintf (key, sizeof key, "key %d", i);
        assert_int_equal (adr_reader_record (s_reader, ADR_TABLE_KV, fixture_text (key), &record), ADR_STATUS_OK);
    }
    uint64_t bytes = sections.size + record.size;
    adr_buffer_free (&sections);
    adr_buffer_free (&record);
    return bytes;
}

/* The pass has ended, and this is what it says. */
static bool
s_ended (uint64_t read, unsigned damaged)
{
    char expected[80];
    snprintf (expected, sizeof expected, "read=%" PRIu64 " damaged=%u", read, damaged);
    return strstr (s_scrubber.note, "everything is read") && strstr (s_scrubber.note, expected);
}

static adr_index_row_t
s_row (const char *key)
{
    adr_index_row_t row;
    adr_index_t *index = memory_index_of (s_store->index);
    assert_int_equal (index->get (index, ADR_TABLE_KV, fixture_text (key), &row), 0);
    return row;
}

/* One bit of what the disk holds of the value is another one. */
static void
s_flip_value (const char *key)
{
    adr_index_row_t row = s_row (key);
    memory_segment_t *segment = memory_disk_segment (s_store->disk, row.place.segment);
    segment->now[row.place.offset + row.place.size - 1] ^= 1;
}

static void
s_spoil_leaf (uint32_t partition, uint32_t bucket)
{
    uint8_t name[5] = { 'l' }, leaf[ADR_HASH_SIZE];
    adr_index_t *index = memory_index_of (s_store->index);
    memset (leaf, 0x5a, sizeof leaf);
    adr_put_be32 (name + 1, adr_reader_slice (s_reader, partition, bucket));
    assert_int_equal (index->begin (index), 0);
    assert_int_equal (index->put_tree (index, adr_bytes (name, sizeof name), adr_bytes (leaf, sizeof leaf)), 0);
    assert_int_equal (index->commit (index), 0);
}

/* The n-th message about damaged values names exactly this key. */
static void
s_assert_wound (size_t n, const char *key)
{
    const harness_sent_t *sent = harness_sent (&s_scrubber, ADR__KIND__WOUNDS, n);
    adr_buffer_t expected = { 0 };
    assert_non_null (sent);
    assert_int_equal (sent->to.actor, ADR_ACTOR_INVENTORY_SYNCER);
    assert_true (adr_id_equal (&sent->to.node, &s_scrubber.environment.node));
    adr_wound_put (&expected, ADR_TABLE_KV, fixture_text (key));
    assert_int_equal (sent->payload.size, expected.size);
    assert_memory_equal (sent->payload.data, expected.data, expected.size);
    adr_buffer_free (&expected);
}

static void
s_assert_index_is_told (void)
{
    const harness_sent_t *sent = harness_sent (&s_scrubber, ADR__KIND__INDEX_DAMAGED, 0);
    assert_non_null (sent);
    assert_int_equal (sent->to.actor, ADR_ACTOR_REPLICATOR);
    assert_true (adr_id_equal (&sent->to.node, &s_scrubber.environment.node));
}

/* Until it has found something, or has read everything. */
static void
s_until_found (void)
{
    for (int i = 0; i < 600 && s_scrubber.notes[ADR_LEVEL_WARNING] == 0; i++)
        harness_advance (&s_scrubber, S_SECOND / 10);
    assert_int_equal (s_scrubber.notes[ADR_LEVEL_WARNING], 1);
}

/* --- reading ---------------------------------------------------------------------------------------------------- */

/* Everything once, wherever it began, and nothing of it is found damaged. */
static void
test_a_pass_reads_everything (void **state)
{
    (void) state;
    for (uint64_t seed = 0; seed < 8; seed++) {
        s_begin (seed, 1 << 20);
        harness_advance (&s_scrubber, 60 * S_SECOND);
        assert_true (s_ended (s_everything (), 0));
        assert_int_equal (s_said (), 0);
        assert_int_equal (s_scrubber.notes[ADR_LEVEL_NOTE], 1);
        if (seed < 7)
            s_end ();
    }
}

/* Each bucket costs 32 bytes more than what was read of it. The pass must not end early, nor much late. */
static void
test_it_obeys_its_rate (void **state)
{
    (void) state;
    s_begin (1, S_RATE);
    uint64_t cost = s_everything () + 32 * 257;
    int64_t needs_ns = (int64_t) cost * S_SECOND / S_RATE;
    harness_advance (&s_scrubber, needs_ns - S_SECOND / 4);
    assert_int_equal (s_scrubber.notes[ADR_LEVEL_NOTE], 0);
    harness_advance (&s_scrubber, S_SECOND / 2);
    assert_int_equal (s_scrubber.notes[ADR_LEVEL_NOTE], 1);
}

/* A process that was paused does not catch up at once: no turn is longer than a tenth of a second's rate. */
static void
test_no_turn_is_long (void **state)
{
    (void) state;
    s_begin (1, S_RATE);
    s_scrubber.now_ns += 100 * S_SECOND;
    harness_advance (&s_scrubber, 0);
    assert_int_equal (s_scrubber.notes[ADR_LEVEL_NOTE], 0);
    uint64_t cost = s_everything () + 32 * 257;
    harness_advance (&s_scrubber, (int64_t) cost * S_SECOND / S_RATE - S_SECOND / 2);
    assert_int_equal (s_scrubber.notes[ADR_LEVEL_NOTE], 0);
}

/* [SET-2] The cluster says how long it rests; a rest that has begun, too; and what is set no more is the host's own again. */
static void
test_it_rests_as_long_as_the_cluster_says (void **state)
{
    (void) state;
    adr_map_t *map = harness_map (1);
    s_begin (1, 1 << 20);
    harness_advance (&s_scrubber, 60 * S_SECOND);
    assert_int_equal (s_scrubber.notes[ADR_LEVEL_NOTE], 1);
    harness_tell_setting (&s_scrubber, map, "store.scrub-interval", 100000);
    harness_advance (&s_scrubber, 30 * S_SECOND);
    assert_int_equal (s_scrubber.notes[ADR_LEVEL_NOTE], 1);
    harness_advance (&s_scrubber, 30 * S_SECOND);
    assert_int_equal (s_scrubber.notes[ADR_LEVEL_NOTE], 2);
    adr_setting_remove (map, "store.scrub-interval");
    harness_tell_map (&s_scrubber, map);
    harness_advance (&s_scrubber, S_INTERVAL_NS / 2);
    assert_int_equal (s_scrubber.notes[ADR_LEVEL_NOTE], 2);
    adr_map_destroy (&map);
}

static void
test_it_reads_as_fast_as_the_cluster_says (void **state)
{
    (void) state;
    adr_map_t *map = harness_map (1);
    s_begin (1, 1 << 20);
    harness_tell_setting (&s_scrubber, map, "store.scrub-rate", S_RATE);
    uint64_t cost = s_everything () + 32 * 257;
    harness_advance (&s_scrubber, (int64_t) cost * S_SECOND / S_RATE - S_SECOND / 2);
    assert_int_equal (s_scrubber.notes[ADR_LEVEL_NOTE], 0);
    harness_advance (&s_scrubber, S_SECOND);
    assert_int_equal (s_scrubber.notes[ADR_LEVEL_NOTE], 1);
    adr_map_destroy (&map);
}

/* What decays while it rests is found by the next pass. */
static void
test_it_rests_between_passes (void **state)
{
    (void) state;
    s_begin (1, 1 << 20);
    uint64_t all = s_everything ();
    harness_advance (&s_scrubber, 60 * S_SECOND);
    assert_true (s_ended (all, 0));
    s_flip_value ("key 3");
    harness_advance (&s_scrubber, S_INTERVAL_NS - 61 * S_SECOND);
    assert_int_equal (s_said (), 0);
    harness_advance (&s_scrubber, 60 * S_SECOND);
    s_assert_wound (0, "key 3");
    assert_int_equal (s_scrubber.notes[ADR_LEVEL_NOTE], 2);
}

/* A node that restarts often reads everything in the end: passes begin at any partition. */
static void
test_it_begins_anywhere (void **state)
{
    bool first[2] = { false, false };
    (void) state;
    s_begin (0, 1 << 20);
    s_spoil_leaf (0, 0);
    s_spoil_leaf (1, 0);
    for (uint64_t seed = 1; seed < 20; seed++) {
        s_end ();
        s_begin (seed, 1 << 20);
        s_until_found ();
        first[strstr (s_scrubber.note, "of partition 1") != NULL] = true;
    }
    assert_true (first[0] && first[1]);
}

/* --- what it finds ---------------------------------------------------------------------------------------------- */

/* [STORE-3] Named once a pass, it alone, and counted; the next pass says it again. */
static void
test_a_damaged_value_is_named (void **state)
{
    (void) state;
    s_begin (1, S_RATE);
    s_flip_value ("key 5");
    s_until_found ();
    assert_int_equal (s_said (), 1); /* in the same turn */
    harness_advance (&s_scrubber, 60 * S_SECOND);
    assert_int_equal (s_said (), 1);
    s_assert_wound (0, "key 5");
    assert_non_null (strstr (s_scrubber.note, "damaged=1"));
    assert_int_equal (s_scrubber.notes[ADR_LEVEL_WARNING], 1);
    harness_advance (&s_scrubber, S_INTERVAL_NS);
    assert_int_equal (s_said (), 2);
    s_assert_wound (1, "key 5");
    assert_non_null (strstr (s_scrubber.note, "damaged=2"));
}

/* How many keys are named, in messages of a bounded size. */
static size_t
s_named (void)
{
    size_t named = 0;
    for (size_t i = 0; i < harness_count (&s_scrubber, ADR__KIND__WOUNDS); i++) {
        adr_bytes_t keys = harness_sent (&s_scrubber, ADR__KIND__WOUNDS, i)->payload, key;
        assert_true (keys.size <= 64 * 1024 + 3 + ADR_KEY_MAX);
        for (uint8_t table; adr_wound_next (&keys, &table, &key); named++)
            assert_int_equal (table, ADR_TABLE_KV);
        assert_int_equal (keys.size, 0);
    }
    return named;
}

/* A segment that is gone: every value is named, a tombstone has none. */
static void
test_all_values_of_a_segment_are_named (void **state)
{
    (void) state;
    s_begin (1, 1 << 20);
    adr_index_row_t row = s_row ("key 1");
    assert_int_equal (s_store->disk->disk.remove (&s_store->disk->disk, row.place.segment), 0);
    harness_advance (&s_scrubber, 60 * S_SECOND);
    assert_int_equal (s_named (), S_RECORDS - S_RECORDS / 8);
    assert_int_equal (harness_count (&s_scrubber, ADR__KIND__INDEX_DAMAGED), 0);
}

/* More than one message has room for, in one turn. */
static void
test_many_values_are_named_in_pieces (void **state)
{
    char key[1001];
    (void) state;
    for (int i = 0; i < 100; i++) {
        memset (key, 'k', sizeof key - 1);
        key[sizeof key - 1] = '\0';
        key[snprintf (key, sizeof key, "%d", i)] = 'k';
        fixture_append (s_store, 1, key, "value");
        fixture_run (s_store);
    }
    s_flush ();
    s_begin (1, 64 << 20);
    for (uint64_t segment = 1; segment < 10; segment++)
        if (memory_disk_segment (s_store->disk, segment))
            assert_int_equal (s_store->disk->disk.remove (&s_store->disk->disk, segment), 0);
    harness_advance (&s_scrubber, S_SECOND);
    assert_int_equal (s_named (), 100 + S_RECORDS - S_RECORDS / 8);
    assert_true (harness_count (&s_scrubber, ADR__KIND__WOUNDS) > 1);
}

/* [STORE-10] A row is gone that its bucket names. */
static void
test_a_row_that_cannot_be_read_is_told (void **state)
{
    (void) state;
    s_begin (1, 1 << 20);
    adr_index_t *index = memory_index_of (s_store->index);
    assert_int_equal (index->begin (index), 0);
    assert_int_equal (index->remove (index, ADR_TABLE_KV, fixture_text ("key 7")), 0);
    assert_int_equal (index->commit (index), 0);
    harness_advance (&s_scrubber, 60 * S_SECOND);
    assert_int_equal (s_said (), 1);
    s_assert_index_is_told ();
    assert_non_null (strstr (s_scrubber.note, "everything is read"));
    assert_non_null (strstr (s_scrubber.note, "damaged=1"));
}

/* [STORE-10] No row can be read: an index that is being healed is left alone for a while. */
static void
test_an_index_that_is_healed_is_left_alone (void **state)
{
    (void) state;
    s_begin (1, 1 << 20);
    memory_index_spoil (s_store->index);
    s_until_found ();
    s_assert_index_is_told ();
    assert_non_null (strstr (s_scrubber.note, "its rows cannot be read"));
    harness_advance (&s_scrubber, S_HEALS_NS - S_SECOND / 5);
    assert_int_equal (s_said (), 1);
    harness_advance (&s_scrubber, S_SECOND);
    assert_int_equal (s_said (), 2);
}

/* [STORE-10] The leaf is computed anew, of a bucket with rows and of an empty one. */
static void
test_a_false_leaf_is_told (void **state)
{
    uint8_t order[16];
    (void) state;
    s_begin (1, 1 << 20);
    uint32_t full = adr_reader_order (s_reader, ADR_TABLE_KV, fixture_text ("key 9"), order);
    s_spoil_leaf (0, full);
    s_spoil_leaf (1, 0);
    s_until_found ();
    s_assert_index_is_told ();
    assert_non_null (strstr (s_scrubber.note, "do not hash to its leaf"));
    harness_advance (&s_scrubber, 60 * S_SECOND);
    assert_int_equal (s_said (), 2);
    assert_int_equal (harness_count (&s_scrubber, ADR__KIND__INDEX_DAMAGED), 2);
    assert_true (s_ended (s_everything (), 2));
}

/* --- operators -------------------------------------------------------------------------------------------------- */

static const Adr__ControlAnswer *
s_control (void)
{
    Adr__Control control = ADR__CONTROL__INIT;
    adr_id_t asker = harness_id (0xee);
    control.number = 9;
    control.action = ADR__CONTROL_ACTION__SCRUB;
    control.asker = adr_id_view (&asker);
    harness_message (&s_scrubber, harness_address (1, ADR_NODE_EDGE, ADR_ACTOR_EDGE_ROUTER), ADR_NODE_EDGE,
                     ADR__KIND__CONTROL, &control.base, adr_bytes (NULL, 0));
    size_t count = harness_count (&s_scrubber, ADR__KIND__CONTROL_ANSWER);
    assert_true (count > 0);
    const harness_sent_t *sent = harness_sent (&s_scrubber, ADR__KIND__CONTROL_ANSWER, count - 1);
    assert_int_equal (sent->to.actor, ADR_ACTOR_EDGE_ROUTER);
    return (const Adr__ControlAnswer *) sent->header;
}

static const Adr__ScrubState *
s_state (void)
{
    size_t count = harness_count (&s_scrubber, ADR__KIND__SCRUB_STATE);
    assert_true (count > 0);
    return (const Adr__ScrubState *) harness_sent (&s_scrubber, ADR__KIND__SCRUB_STATE, count - 1)->header;
}

/* [SCRUB-1] However long the rest would have been; how far it is comes with it, and the log says who asked. */
static void
test_an_operator_s_pass_begins_now (void **state)
{
    (void) state;
    s_begin (1, 1 << 20);
    harness_advance (&s_scrubber, 60 * S_SECOND);
    assert_int_equal (s_state ()->scrub_done, adr_reader_partitions (s_reader) + 1);
    assert_int_equal (s_state ()->damaged, 0);
    s_flip_value ("key 3");
    const Adr__ControlAnswer *answer = s_control ();
    assert_int_equal (answer->number, 9);
    assert_int_equal (answer->status, ADR_STATUS_OK);
    assert_true (s_scrubber.notes[ADR_LEVEL_NOTE] > 1);
    harness_advance (&s_scrubber, 60 * S_SECOND);
    s_assert_wound (0, "key 3");
    assert_int_equal (s_state ()->scrub_done, adr_reader_partitions (s_reader) + 1);
    assert_int_equal (s_state ()->damaged, 1);
}

/* [SCRUB-1] One that is under way reads everything from here on. */
static void
test_a_pass_that_is_under_way_begins_anew (void **state)
{
    (void) state;
    s_begin (1, S_RATE);
    uint64_t cost = s_everything () + 32 * 257;
    int64_t needs_ns = (int64_t) cost * S_SECOND / S_RATE;
    harness_advance (&s_scrubber, needs_ns / 2);
    assert_int_equal (s_control ()->status, ADR_STATUS_OK);
    harness_advance (&s_scrubber, needs_ns - S_SECOND / 4);
    assert_null (strstr (s_scrubber.note, "everything is read"));
    harness_advance (&s_scrubber, S_SECOND);
    assert_non_null (strstr (s_scrubber.note, "everything is read"));
}

/* An index that is being healed is left alone, whoever asks. */
static void
test_healing_goes_before_operators (void **state)
{
    (void) state;
    s_begin (1, 1 << 20);
    memory_index_spoil (s_store->index);
    s_until_found ();
    assert_int_equal (s_control ()->status, ADR_STATUS_REFUSED);
    harness_advance (&s_scrubber, S_HEALS_NS / 2);
    assert_int_equal (harness_count (&s_scrubber, ADR__KIND__INDEX_DAMAGED), 1);
}

#define S_TEST(name) cmocka_unit_test_setup_teardown (name, s_setup, s_teardown)

int
main (void)
{
    const struct CMUnitTest tests[] = {
        S_TEST (test_a_pass_reads_everything),
        S_TEST (test_it_obeys_its_rate),
        S_TEST (test_no_turn_is_long),
        S_TEST (test_it_rests_between_passes),
        S_TEST (test_it_rests_as_long_as_the_cluster_says),
        S_TEST (test_it_reads_as_fast_as_the_cluster_says),
        S_TEST (test_it_begins_anywhere),
        S_TEST (test_a_damaged_value_is_named),
        S_TEST (test_all_values_of_a_segment_are_named),
        S_TEST (test_many_values_are_named_in_pieces),
        S_TEST (test_a_row_that_cannot_be_read_is_told),
        S_TEST (test_an_index_that_is_healed_is_left_alone),
        S_TEST (test_a_false_leaf_is_told),
        S_TEST (test_an_operator_s_pass_begins_now),
        S_TEST (test_a_pass_that_is_under_way_begins_anew),
        S_TEST (test_healing_goes_before_operators),
    };
    return cmocka_run_group_tests (tests, NULL, NULL);
}
