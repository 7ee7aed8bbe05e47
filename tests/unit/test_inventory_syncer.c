/* SPDX-License-Identifier: MPL-2.0 */
/* The rules of docs/protocol/inventory_syncer.md: three nodes, each with a store in memory and an inventory_syncer over a
 * reader of it. Node 1 is repaired; what it asks for is carried to the others, and what they answer may be spoilt on its
 * way. The test is everybody's replicator. */

#include "actor_harness.h"
#include "store_fixture.h"

#include "actors/inventory_syncer_private.h"
#include "store/store.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#define S_ZONES 3
#define S_PARTITIONS 4
#define S_RECORDS 60
#define S_TERM 1
#define S_SECOND (1000 * ADR_MS)
#define S_RATE (UINT64_C (256) * 1024 * 1024)
#define S_TURNS_MAX 100000 /* more without time going on is a loop */

typedef struct {
    fixture_t *w;
    adr_reader_t *reader;
    harness_t harness;
    size_t seen; /* messages of the harness that were carried */
    /* What its replicator says. */
    adr_sync_t sync;
    bool proven, lossy, busy;
    uint64_t purged_to;
    unsigned master, voters; /* a zone; how many zones vote */
    uint64_t admitted;       /* bytes of PLACE */
    /* What becomes of questions to it. */
    bool silent;
    size_t asked[ADR__KIND__INDEX_DAMAGED + 1]; /* by kind */
} s_node_t;

static adr_map_t *s_map;
static s_node_t s_node[S_ZONES + 1]; /* by zone, from 1 */
static bool s_holds;                 /* the replicator takes no PLACE */
static bool s_base_ok, s_base_silent, s_base_leads;
static uint64_t s_base_log_start, s_base_log_end;
static uint64_t s_commit; /* that every replicator has heard of */
static size_t s_turns, s_spoilt, s_refused;
static unsigned s_liar; /* the zone whose answers of that kind are spoilt; 0: none */
static uint16_t s_lie_kind;
static void (*s_lie) (adr_buffer_t *payload, ProtobufCMessage *header);

static const inventory_syncer_t *
s_self (void)
{
    return s_node[1].harness.actor;
}

/* --- three nodes ------------------------------------------------------------------------------------------------ */

static void
s_start_node (unsigned zone, uint64_t rate)
{
    s_node_t *node = &s_node[zone];
    adr_environment_t environment = { .cluster = s_map->cluster, .node = harness_address (zone, ADR_NODE_META, 0).node,
                                      .type = ADR_NODE_META, .group = harness_id (0xb0 + ADR_NODE_META),
                                      .incarnation = 100 + zone, .boot = 1, .seed = 5, .map = s_map };
    environment.settings.repair_rate = rate;
    environment.reader = node->reader = adr_reader_create (&node->w->options, &node->w->disk->disk,
                                                           memory_index_of (node->w->index));
    harness_start (&node->harness, &adr_inventory_syncer_class, &environment);
    node->sync = ADR_SYNC_EXACT;
    node->proven = true;
    node->voters = S_ZONES;
}

static int
s_setup (void **state)
{
    (void) state;
    memset (s_node, 0, sizeof s_node);
    s_map = harness_map (S_ZONES);
    for (unsigned zone = 1; zone <= S_ZONES; zone++) {
        void *fixture;
        fixture_start (&fixture);
        s_node[zone].w = fixture;
        s_node[zone].w->options.partitions = S_PARTITIONS;
        fixture_reopen (s_node[zone].w);
        s_start_node (zone, S_RATE);
    }
    s_holds = s_base_silent = false;
    s_base_ok = s_base_leads = true;
    s_base_log_start = 0;
    s_base_log_end = UINT64_MAX;
    s_commit = 1000;
    s_turns = s_spoilt = s_refused = 0;
    s_liar = 0;
    return 0;
}

static void
s_stop_node (unsigned zone)
{
    harness_stop (&s_node[zone].harness);
    adr_reader_destroy (&s_node[zone].reader);
}

static int
s_teardown (void **state)
{
    (void) state;
    for (unsigned zone = 1; zone <= S_ZONES; zone++) {
        void *fixture = s_node[zone].w;
        s_stop_node (zone);
        fixture_stop (&fixture);
    }
    adr_map_destroy (&s_map);
    return 0;
}

static void
s_flush (unsigned zone)
{
    fixture_t *w = s_node[zone].w;
    adr_store_set_unlocked (w->store, adr_store_applied (w->store));
    for (int i = 0; i < 2; i++) {
        w->now += w->options.flush_every_ns;
        fixture_run (w);
    }
}

/* So many entries are logged, applied, and in the index: keys and values of these sizes. */
static void
s_write (unsigned zone, int count, size_t key_size, size_t value_size)
{
    fixture_t *w = s_node[zone].w;
    char *key = adr_alloc (key_size + 1), *value = adr_alloc (value_size + 1);
    for (int i = 0; i < count; i++) {
        memset (key, 'k', key_size);
        memset (value, 'a' + i % 26, value_size);
        key[snprintf (key, key_size, "%d", i)] = 'k';
        fixture_append (w, S_TERM, key, i % 7 ? value : NULL);
        if (i % 16 == 15)
            fixture_run (w);
    }
    fixture_run (w);
    fixture_apply (w, (uint64_t) count);
    s_flush (zone);
    free (key);
    free (value);
}

static void
s_write_some (unsigned zone)
{
    s_write (zone, S_RECORDS, 12, 40);
}

static adr_copy_t
s_copy_of (const adr_inventory_row_t *row, const uint8_t *value)
{
    adr_copy_t copy = { .table = row->table, .key = row->key, .version = row->version, .time_ms = row->time_ms,
                        .deleted = row->deleted, .value = adr_bytes (value, row->value_size) };
    memcpy (copy.digest, row->digest, sizeof copy.digest);
    return copy;
}

/* A record that this copy has, wherever it came from. NULL: a tombstone. */
static void
s_put (unsigned zone, const char *key, const char *value, uint64_t index)
{
    adr_copy_t copy = { .table = ADR_TABLE_KV, .key = fixture_text (key), .version = { ADR_EPOCH, S_TERM, index }, .time_ms = 5 };
    copy.deleted = value == NULL;
    copy.value = value ? fixture_text (value) : adr_bytes (NULL, 0);
    adr_value_digest (copy.value, copy.digest);
    assert_true (adr_store_place (s_node[zone].w->store, &copy));
    fixture_run (s_node[zone].w);
}

static bool
s_has (unsigned zone, const char *key)
{
    adr_inventory_row_t row;
    return adr_reader_row (s_node[zone].reader, ADR_TABLE_KV, fixture_text (key), &row) == ADR_STATUS_OK;
}

static void
s_leaves (unsigned zone, adr_buffer_t *leaves)
{
    adr_position_t applied;
    for (uint32_t i = 0; i <= S_PARTITIONS; i++)
        assert_true (adr_reader_leaves (s_node[zone].reader, i, leaves, &applied));
}

static bool
s_are_equal (unsigned a, unsigned b)
{
    adr_buffer_t first = { 0 }, second = { 0 };
    s_leaves (a, &first);
    s_leaves (b, &second);
    bool equal = first.size == second.size && memcmp (first.data, second.data, first.size) == 0;
    adr_buffer_free (&first);
    adr_buffer_free (&second);
    return equal;
}

/* One bit of what the disk holds of the value is another one. */
static void
s_damage (unsigned zone, const char *key)
{
    adr_index_row_t row;
    adr_index_t *index = memory_index_of (s_node[zone].w->index);
    assert_int_equal (index->get (index, ADR_TABLE_KV, fixture_text (key), &row), 0);
    memory_disk_segment (s_node[zone].w->disk, row.place.segment)->now[row.place.offset + row.place.size - 1] ^= 1;
}

/* --- what their replicators say and do -------------------------------------------------------------------------- */

static adr_voters_t
s_voters (unsigned count)
{
    adr_voters_t voters = { .at = { S_TERM, 1 }, .quorum = 2, .count = count };
    for (unsigned zone = 1; zone <= count; zone++)
        voters.voter[zone - 1] = (adr_voter_t){ harness_address (zone, ADR_NODE_META, 0).node, 100 + zone };
    return voters;
}

static void
s_say_state (unsigned zone)
{
    s_node_t *node = &s_node[zone];
    adr_voters_t voters = s_voters (node->voters);
    adr_voter_set_t fill;
    adr_id_t master = node->master ? harness_address (node->master, ADR_NODE_META, 0).node : (adr_id_t){ 0 };
    Adr__RepairState message = ADR__REPAIR_STATE__INIT;
    message.sync = node->sync;
    message.proven = node->proven;
    message.lossy = node->lossy;
    message.busy = node->busy;
    message.master = adr_id_view (&master);
    message.applied = adr_store_applied (node->w->store);
    message.asked = adr_store_place_asked (node->w->store);
    message.placed = adr_store_placed (node->w->store);
    message.place_bytes = node->admitted;
    message.purged_to = node->purged_to;
    message.commit = s_commit;
    message.term = S_TERM;
    message.doubts = adr_store_doubts (node->w->store);
    message.voters = adr_voter_set_fill (&fill, &voters);
    harness_message (&node->harness, harness_address (zone, ADR_NODE_META, ADR_ACTOR_REPLICATOR), ADR_NODE_META,
                     ADR__KIND__REPAIR_STATE, &message.base, adr_bytes (NULL, 0));
}

static void
s_take_place (adr_bytes_t rest)
{
    s_node_t *node = &s_node[1];
    node->admitted += rest.size;
    while (rest.size) {
        adr_inventory_row_t row;
        size_t size = adr_inventory_row_get (&row, rest);
        assert_int_not_equal (size, 0); /* whole records only */
        assert_true (rest.size - size >= row.value_size);
        adr_copy_t copy = s_copy_of (&row, rest.data + size);
        s_refused += !adr_store_place (node->w->store, &copy); /* by its digest */
        rest = adr_bytes (rest.data + size + row.value_size, rest.size - size - row.value_size);
    }
    fixture_run (node->w);
    s_say_state (1);
}

static void
s_take_drop (adr_bytes_t rest)
{
    while (rest.size) {
        adr_inventory_row_t row;
        size_t size = adr_inventory_row_get (&row, rest);
        assert_int_not_equal (size, 0);
        adr_store_drop (s_node[1].w->store, row.table, row.key, &row.version);
        rest = adr_bytes (rest.data + size, rest.size - size);
    }
    fixture_run (s_node[1].w);
    s_say_state (1);
}

static void
s_take_quarantine (adr_bytes_t rest)
{
    while (rest.size) {
        adr_inventory_row_t row;
        size_t size = adr_inventory_row_get (&row, rest);
        assert_int_not_equal (size, 0);
        adr_bare_t bare = { .table = row.table, .doubt = row.doubt, .key = row.key, .version = row.version,
                            .value_size = row.value_size, .time_ms = row.time_ms };
        memcpy (bare.digest, row.digest, sizeof bare.digest);
        adr_store_place_bare (s_node[1].w->store, &bare);
        rest = adr_bytes (rest.data + size, rest.size - size);
    }
    fixture_run (s_node[1].w);
    s_say_state (1);
}

static void
s_answer_base (adr_address_t from, const Adr__BaseAsk *ask)
{
    adr_voters_t voters = s_voters (S_ZONES);
    adr_voter_set_t fill;
    Adr__Base base = ADR__BASE__INIT;
    if (s_base_silent)
        return;
    base.number = ask->number;
    base.ok = s_base_ok;
    base.term = S_TERM;
    base.index = ask->index;
    base.voters = adr_voter_set_fill (&fill, &voters);
    base.log_start = s_base_log_start;
    base.log_end = s_base_log_end;
    base.leads = s_base_leads;
    s_base_ok = true;
    harness_message (&s_node[1].harness, from, ADR_NODE_META, ADR__KIND__BASE, &base.base, adr_bytes (NULL, 0));
}

/* --- what is carried -------------------------------------------------------------------------------------------- */

static void
s_answer (unsigned zone, const harness_sent_t *sent)
{
    adr_buffer_t payload = { 0 };
    adr_buffer_append (&payload, sent->payload.data, sent->payload.size);
    if (zone == s_liar && sent->kind == s_lie_kind) {
        s_spoilt++;
        s_lie (&payload, (ProtobufCMessage *) (uintptr_t) sent->header);
    }
    harness_message (&s_node[1].harness, harness_address (zone, ADR_NODE_META, ADR_ACTOR_INVENTORY_SYNCER), ADR_NODE_META,
                     sent->kind, sent->header, adr_bytes (payload.data, payload.size));
    adr_buffer_free (&payload);
}

static void
s_ask_node (unsigned zone, const harness_sent_t *sent)
{
    s_node_t *node = &s_node[zone];
    node->asked[sent->kind]++;
    if (node->silent)
        return;
    harness_message (&node->harness, harness_address (1, ADR_NODE_META, ADR_ACTOR_INVENTORY_SYNCER), ADR_NODE_META, sent->kind,
                     sent->header, sent->payload);
    for (; node->seen < node->harness.sent_count; node->seen++)
        if (node->harness.sent[node->seen].to.actor == ADR_ACTOR_INVENTORY_SYNCER)
            s_answer (zone, &node->harness.sent[node->seen]);
}

static void
s_carry_one (const harness_sent_t *sent)
{
    unsigned zone = sent->to.node.bytes[0] / 16;
    if (sent->kind == ADR__KIND__PLACE && !s_holds)
        s_take_place (sent->payload);
    else if (sent->kind == ADR__KIND__QUARANTINE)
        s_take_quarantine (adr_bytes (sent->payload.data, sent->payload.size));
    else if (sent->kind == ADR__KIND__DROP)
        s_take_drop (sent->payload);
    else if (sent->kind == ADR__KIND__BASE_ASK) {
        s_node[zone].asked[sent->kind]++;
        s_answer_base (sent->to, (const Adr__BaseAsk *) sent->header);
    } else if (sent->to.actor == ADR_ACTOR_INVENTORY_SYNCER && zone != 1)
        s_ask_node (zone, sent);
}

/* Everything that is under way arrives, at once. */
static void
s_carry (void)
{
    s_node_t *node = &s_node[1];
    for (; node->seen < node->harness.sent_count; node->seen++) {
        assert_true (s_turns++ < S_TURNS_MAX);
        harness_sent_t sent = node->harness.sent[node->seen]; /* the array may move */
        s_carry_one (&sent);
    }
}

static void
s_advance (int64_t ns)
{
    for (int64_t passed = 0; passed < ns; passed += 50 * ADR_MS) {
        harness_advance (&s_node[1].harness, 50 * ADR_MS);
        s_carry ();
    }
}

/* Node 1's copy is sick. */
static void
s_copying (void)
{
    for (unsigned zone = 2; zone <= S_ZONES; zone++)
        s_say_state (zone);
    s_node[1].sync = ADR_SYNC_COPYING;
    s_node[1].proven = false;
    s_say_state (1);
    s_carry ();
}

/* Node 1's copy differs from that of the zone in so many partitions, from that one on. */
static void
s_diverge (unsigned zone, uint32_t first, uint32_t count)
{
    uint8_t partitions[(S_PARTITIONS + 1) * 4];
    Adr__Diverged diverged = ADR__DIVERGED__INIT;
    adr_id_t node = harness_address (zone, ADR_NODE_META, 0).node;
    for (unsigned i = 1; i <= S_ZONES; i++)
        s_say_state (i);
    for (uint32_t i = 0; i < count; i++)
        adr_put_u32 (partitions + 4 * i, first + i);
    diverged.node = adr_id_view (&node);
    diverged.term = S_TERM;
    diverged.index = S_RECORDS;
    harness_message (&s_node[1].harness, harness_address (1, ADR_NODE_META, ADR_ACTOR_MERKLE_GOSSIPER), ADR_NODE_META,
                     ADR__KIND__DIVERGED, &diverged.base, adr_bytes (partitions, 4 * count));
    s_carry ();
}

static void
s_mending (unsigned zone)
{
    s_diverge (zone, 0, S_PARTITIONS + 1);
}

static size_t
s_sent (uint16_t kind)
{
    return harness_count (&s_node[1].harness, kind);
}

/* --- copying ---------------------------------------------------------------------------------------------------- */

/* [REPAIR-1] */
static void
test_a_wiped_copy_is_made_whole (void **state)
{
    (void) state;
    s_write_some (2);
    s_write_some (3);
    s_node[1].master = 2;
    s_copying ();
    assert_true (s_are_equal (1, 2));
    for (uint16_t kind = ADR__KIND__LEAVES_ASK; kind <= ADR__KIND__RECORDS_ASK; kind++)
        if (kind == ADR__KIND__LEAVES_ASK || kind == ADR__KIND__INVENTORY_ASK || kind == ADR__KIND__RECORDS_ASK)
            assert_true (s_sent (kind) >= S_PARTITIONS);
    const harness_sent_t *ask = harness_sent (&s_node[1].harness, ADR__KIND__BASE_ASK, 0);
    assert_non_null (ask);
    assert_int_equal (ask->to.actor, ADR_ACTOR_REPLICATOR);
    assert_int_equal (ask->to.node.bytes[0], 0x20 + ADR_NODE_META); /* the master: it is its log that follows */
    assert_int_equal (((const Adr__BaseAsk *) ask->header)->index, S_RECORDS);
    const harness_sent_t *sent = harness_sent (&s_node[1].harness, ADR__KIND__SYNC_END, 0);
    const Adr__SyncEnd *end = (const Adr__SyncEnd *) sent->header;
    assert_int_equal (end->term, S_TERM);
    assert_int_equal (end->index, S_RECORDS);
    assert_int_equal (end->window_to, S_RECORDS);
    assert_int_equal (end->voters->n_voter, S_ZONES);
    assert_int_equal (s_sent (ADR__KIND__SYNC_END), 1);
    s_advance (3 * S_SECOND); /* nothing came of it */
    assert_int_equal (s_sent (ADR__KIND__SYNC_END), 2);
    s_node[1].sync = ADR_SYNC_REPLAYING;
    s_say_state (1);
    s_advance (10 * S_SECOND);
    assert_int_equal (s_sent (ADR__KIND__SYNC_END), 2);
}

/* Sources are applied to different places: the log must reach back to the least, and is exact behind the greatest. */
static void
s_assert_base (unsigned behind, unsigned ahead)
{
    s_write (behind, S_RECORDS, 12, 40);
    s_write (ahead, S_RECORDS + 20, 12, 40);
    s_copying ();
    assert_true (s_node[2].asked[ADR__KIND__LEAVES_ASK] > 0 && s_node[3].asked[ADR__KIND__LEAVES_ASK] > 0);
    const harness_sent_t *sent = harness_sent (&s_node[1].harness, ADR__KIND__SYNC_END, 0);
    assert_non_null (sent);
    assert_int_equal (((const Adr__SyncEnd *) sent->header)->index, S_RECORDS);
    assert_int_equal (((const Adr__SyncEnd *) sent->header)->window_to, S_RECORDS + 20);
}

static void
test_the_base_is_the_least_applied_index (void **state)
{
    s_assert_base (2, 3);
    s_teardown (state);
    s_setup (state);
    s_assert_base (3, 2);
}

/* What an earlier pass brought may be newer than all that the sources of a later one have: the window covers it. */
static void
test_the_window_covers_earlier_passes (void **state)
{
    (void) state;
    s_write (2, S_RECORDS, 12, 40);
    s_write (3, S_RECORDS + 20, 12, 40);
    s_base_silent = true;
    s_copying ();
    assert_true (s_node[3].asked[ADR__KIND__LEAVES_ASK] > 0);
    s_node[3].proven = false;
    s_say_state (3);
    s_base_silent = s_base_ok = false;
    s_advance (4 * S_SECOND);
    const harness_sent_t *sent = harness_sent (&s_node[1].harness, ADR__KIND__SYNC_END, 0);
    assert_non_null (sent);
    assert_int_equal (s_self ()->pass, 2);
    assert_int_equal (((const Adr__SyncEnd *) sent->header)->window_to, S_RECORDS + 20);
}

/* [REPAIR-6] */
static void
test_it_says_from_where_the_log_is_needed (void **state)
{
    (void) state;
    s_write_some (2);
    s_write_some (3);
    s_base_silent = true;
    s_copying ();
    size_t count = s_sent (ADR__KIND__PLACE);
    const harness_sent_t *sent = harness_sent (&s_node[1].harness, ADR__KIND__PLACE, count - 1);
    assert_int_equal (((const Adr__Place *) sent->header)->keep_from, S_RECORDS);
    assert_int_equal (((const Adr__Place *) sent->header)->parts, S_PARTITIONS + 1);
}

/* Rule 2: what is whole already costs its leaves only. */
static void
test_a_whole_copy_costs_its_leaves_only (void **state)
{
    (void) state;
    for (unsigned zone = 1; zone <= S_ZONES; zone++)
        s_write_some (zone);
    s_copying ();
    assert_int_equal (s_sent (ADR__KIND__LEAVES_ASK), S_PARTITIONS + 1);
    assert_int_equal (s_sent (ADR__KIND__INVENTORY_ASK), 0);
    assert_int_equal (s_sent (ADR__KIND__SYNC_END), 1);
}

/* [REPAIR-5] The end waits until what was pulled is in the index. */
static void
test_the_end_waits_for_the_index (void **state)
{
    (void) state;
    s_write_some (2);
    s_write_some (3);
    s_holds = true;
    s_copying ();
    s_advance (S_SECOND);
    assert_int_equal (s_sent (ADR__KIND__BASE_ASK), 0);
    for (unsigned zone = 2; zone <= S_ZONES; zone++)
        assert_true (s_node[zone].asked[ADR__KIND__LEAVES_ASK] <= S_PARTITIONS + 1);
}

/* [REPAIR-1] The log begins behind the copy: everything is looked at again. */
static void
test_a_base_that_does_not_reach_back_begins_another_pass (void **state)
{
    (void) state;
    s_write_some (2);
    s_write_some (3);
    s_base_ok = false;
    s_copying ();
    s_advance (100 * ADR_MS);
    assert_int_equal (s_self ()->pass, 2);
    assert_int_equal (s_sent (ADR__KIND__LEAVES_ASK), 2 * (S_PARTITIONS + 1));
    assert_int_equal (s_sent (ADR__KIND__BASE_ASK), 2);
    assert_int_equal (s_sent (ADR__KIND__SYNC_END), 1);
}

/* ... and a source whose index ends before the start of the master's log is no use any more. */
static void
test_a_source_before_the_log_s_start_is_no_use (void **state)
{
    (void) state;
    s_write (2, S_RECORDS, 12, 40);
    s_write (3, S_RECORDS + 20, 12, 40);
    s_base_ok = false;
    s_base_log_start = S_RECORDS + 10;
    s_node[1].master = 3;
    s_copying ();
    s_advance (2 * S_SECOND);
    const harness_sent_t *sent = harness_sent (&s_node[1].harness, ADR__KIND__SYNC_END, 0);
    assert_non_null (sent);
    assert_int_equal (((const Adr__SyncEnd *) sent->header)->index, S_RECORDS + 20);
}

static void
test_a_silent_master_is_replaced_for_the_base (void **state)
{
    (void) state;
    s_write_some (2);
    s_write_some (3);
    s_node[1].master = 2;
    s_base_silent = true;
    s_copying ();
    assert_int_equal (s_node[2].asked[ADR__KIND__BASE_ASK], 1);
    s_advance (600 * ADR_MS);
    assert_int_equal (s_node[3].asked[ADR__KIND__BASE_ASK], 1);
    s_base_silent = false;
    s_advance (1200 * ADR_MS);
    assert_int_equal (s_sent (ADR__KIND__SYNC_END), 1);
}

/* --- sources ---------------------------------------------------------------------------------------------------- */

/* [REPAIR-2] */
static void
test_the_master_is_asked_last (void **state)
{
    (void) state;
    s_write_some (2);
    s_write_some (3);
    s_node[1].master = 2;
    s_copying ();
    assert_int_equal (s_node[2].asked[ADR__KIND__LEAVES_ASK], 0);
    assert_int_equal (s_node[3].asked[ADR__KIND__LEAVES_ASK], S_PARTITIONS + 1);
}

static void
test_the_master_is_asked_where_nobody_else_answers (void **state)
{
    (void) state;
    s_write_some (2);
    s_write_some (3);
    s_node[1].master = 2;
    s_node[3].silent = true;
    s_copying ();
    s_advance (PATIENCE_NS - 100 * ADR_MS);
    assert_int_equal (s_node[2].asked[ADR__KIND__LEAVES_ASK], 0);
    s_advance (300 * ADR_MS);
    assert_int_equal (s_node[2].asked[ADR__KIND__LEAVES_ASK], S_PARTITIONS + 1);
    assert_true (s_are_equal (1, 2));
}

/* One that refuses is replaced at once. */
static void
test_a_source_must_be_proven (void **state)
{
    (void) state;
    s_write_some (2);
    s_write_some (3);
    s_node[3].proven = false;
    s_copying ();
    assert_true (s_node[3].asked[ADR__KIND__LEAVES_ASK] > 0);
    assert_int_equal (s_node[3].asked[ADR__KIND__INVENTORY_ASK], 0);
    assert_int_equal (s_sent (ADR__KIND__SYNC_END), 1);
    assert_int_equal (s_self ()->failed_peers, 1);
}

/* ... where there is one: without any for five seconds, one in doubt will do; never one that knows of a loss. */
static void
test_without_a_proven_source_one_in_doubt_will_do (void **state)
{
    (void) state;
    s_write_some (2);
    s_write_some (3);
    for (unsigned zone = 2; zone <= S_ZONES; zone++) {
        s_node[zone].proven = false;
        s_node[zone].sync = ADR_SYNC_UNPROVEN;
    }
    s_node[3].lossy = true;
    s_copying ();
    s_advance (4900 * ADR_MS);
    assert_int_equal (s_sent (ADR__KIND__INVENTORY_ASK), 0);
    s_advance (3 * S_SECOND);
    assert_int_equal (s_sent (ADR__KIND__SYNC_END), 1);
    assert_int_equal (s_node[3].asked[ADR__KIND__INVENTORY_ASK], 0);
}

/* The answers of this kind by zone 3 are spoilt, and node 1 becomes whole by what zone 2 has; time does not go on. */
static void
s_assert_replaced (uint16_t kind, void (*lie) (adr_buffer_t *, ProtobufCMessage *))
{
    s_write_some (2);
    s_write_some (3);
    s_liar = 3;
    s_lie_kind = kind;
    s_lie = lie;
    s_copying ();
    assert_true (s_spoilt > 0 && s_spoilt <= LANES);
    assert_true (s_node[2].asked[ADR__KIND__LEAVES_ASK] > 0);
    assert_true (s_are_equal (1, 2));
    assert_int_equal (s_sent (ADR__KIND__SYNC_END), 1);
    assert_int_equal (s_self ()->failed_peers, 1);
    if (kind == ADR__KIND__INVENTORY)
        assert_int_equal (s_self ()->pulled_records, S_RECORDS - (S_RECORDS + 6) / 7); /* none of a false one */
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
    ((Adr__Leaves *) header)->applied = s_commit + AHEAD_MAX + 1;
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
        s_teardown (state);
        s_setup (state);
    }
}

static void
s_lie_ahead (adr_buffer_t *payload, ProtobufCMessage *header)
{
    (void) payload;
    ((Adr__Leaves *) header)->applied = S_RECORDS + 1;
}

/* [REPAIR-1] A window's end that no log has is no end. */
static void
test_a_window_ends_where_the_master_s_log_does (void **state)
{
    (void) state;
    s_write_some (2);
    s_write_some (3);
    s_base_log_end = S_RECORDS;
    s_liar = 3;
    s_lie_kind = ADR__KIND__LEAVES;
    s_lie = s_lie_ahead;
    s_copying ();
    assert_true (s_spoilt > 0);
    assert_int_equal (s_sent (ADR__KIND__SYNC_END), 1);
    const Adr__SyncEnd *end = (const Adr__SyncEnd *) harness_sent (&s_node[1].harness, ADR__KIND__SYNC_END, 0)->header;
    assert_int_equal (end->window_to, S_RECORDS);
    assert_int_equal (s_self ()->failed_peers, 1);
}

/* One that is no master may be behind: another one is asked. */
static void
test_a_base_of_one_that_is_behind_ends_nothing (void **state)
{
    (void) state;
    s_write_some (2);
    s_write_some (3);
    s_base_log_end = S_RECORDS - 1;
    s_base_leads = false;
    s_copying ();
    assert_int_equal (s_sent (ADR__KIND__SYNC_END), 0);
    assert_int_equal (s_self ()->pass, 1);
    s_base_log_end = S_RECORDS;
    s_advance (1100 * ADR_MS);
    assert_int_equal (s_sent (ADR__KIND__SYNC_END), 1);
}

/* What one source cannot read another one can. */
static void
test_a_record_that_a_source_cannot_read_comes_from_another (void **state)
{
    (void) state;
    s_write_some (2);
    s_write_some (3);
    for (unsigned zone = 2; zone <= S_ZONES; zone++)
        s_put (zone, "wounded", "value", 5);
    s_damage (3, "wounded");
    s_node[1].master = 2;
    s_copying ();
    assert_true (s_node[3].asked[ADR__KIND__RECORDS_ASK] > 0);
    assert_true (s_are_equal (1, 2));
    fixture_expect (s_node[1].w, "wounded", "value");
}

/* Of records that are cut off the whole ones are used. */
/* [REPAIR-3] What no copy can read does not keep a copy from being made: it is damaged, hashes as it does elsewhere, and is
 * mended once somebody can. */
static void
test_a_record_that_no_source_can_read (void **state)
{
    adr_buffer_t record = { 0 };
    (void) state;
    for (unsigned zone = 2; zone <= S_ZONES; zone++) {
        s_write_some (zone);
        s_put (zone, "lost", "value", 5);
        s_damage (zone, "lost");
    }
    s_copying ();
    assert_true (s_node[2].asked[ADR__KIND__RECORDS_ASK] > 0 && s_node[3].asked[ADR__KIND__RECORDS_ASK] > 0);
    assert_int_equal (s_sent (ADR__KIND__SYNC_END), 1);
    assert_int_equal (s_self ()->lost_records, 1);
    assert_true (s_are_equal (1, 2));
    assert_int_equal (adr_reader_record (s_node[1].reader, ADR_TABLE_KV, fixture_text ("lost"), &record),
                      ADR_STATUS_DAMAGED);
    s_put (3, "lost", "value", 5);
    s_advance (10 * S_SECOND);
    assert_int_equal (adr_reader_record (s_node[1].reader, ADR_TABLE_KV, fixture_text ("lost"), &record), ADR_STATUS_OK);
    assert_int_equal (s_self ()->wounds.size, 0);
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
        s_write_some (2);
        s_write_some (3);
        s_node[2].silent = true;
        s_liar = 3;
        s_lie = s_lie_random;
        s_lie_kind = kinds[i % 3];
        s_copying ();
        s_advance (6 * S_SECOND);
        assert_true (s_spoilt > 0);
        s_liar = 0;
        s_advance (6 * S_SECOND); /* what is whole now is what zone 3 has */
        assert_true (kinds[i % 3] == ADR__KIND__RECORDS || s_are_equal (1, 3));
        s_teardown (state);
        s_setup (state);
    }
}

/* --- bounds ----------------------------------------------------------------------------------------------------- */

/* [REPAIR-8] The window holds what is asked for and what waits for the disk. */
static void
test_the_place_window_is_obeyed (void **state)
{
    (void) state;
    s_write (2, 1300, 12, 3900);
    s_node[3].silent = true;
    s_holds = true;
    s_node[1].master = 3;
    s_copying ();
    s_advance (S_SECOND);
    assert_true (s_self ()->place_bytes <= s_self ()->window);
    assert_true (s_self ()->place_bytes > s_self ()->window - 2 * PIECE_MAX);
    assert_int_equal (s_sent (ADR__KIND__BASE_ASK), 0);
    s_holds = false; /* the disk goes on */
    for (size_t i = 0; harness_sent (&s_node[1].harness, ADR__KIND__PLACE, i); i++)
        s_take_place (harness_sent (&s_node[1].harness, ADR__KIND__PLACE, i)->payload);
    s_carry ();
    s_advance (S_SECOND);
    assert_true (s_are_equal (1, 2));
}

/* Rule 8: what is asked for costs credit, which gathers for a second at most. */
static void
test_the_rate_is_obeyed (void **state)
{
    const uint64_t rate = 200000;
    (void) state;
    s_stop_node (1);
    s_start_node (1, rate);
    s_write (2, 400, 12, 3900);
    s_write (3, 400, 12, 3900);
    s_advance (10 * S_SECOND); /* nothing gathers but a second's */
    s_copying ();
    for (uint64_t passed = 1; passed <= 4; passed++) {
        s_advance (S_SECOND);
        uint64_t leaves = s_sent (ADR__KIND__LEAVES_ASK) * 256 * HASH_SIZE, rows = 400 * 80 + 4 * 256 * 37;
        assert_true (s_self ()->pulled_bytes <= rate * (1 + passed) + PIECE_MAX + leaves + rows);
        assert_true (s_self ()->place_bytes + 2 * PIECE_MAX >= rate * passed);
        assert_int_equal (s_sent (ADR__KIND__BASE_ASK), 0);
    }
    s_advance (6 * S_SECOND);
    assert_true (s_sent (ADR__KIND__SYNC_END) > 0);
    assert_true (s_are_equal (1, 2));
}

/* Rule 8: a round that a source, or the own clients, call busy halves the window, down to the least; others widen it. */
static void
test_the_window_follows_the_clients (void **state)
{
    (void) state;
    s_write (2, 1300, 12, 3900);
    s_write (3, 1300, 12, 3900);
    s_stop_node (1);
    s_start_node (1, 1000000); /* slow enough for some rounds */
    uint64_t before = s_self ()->window;
    s_copying ();
    s_advance (ROUND_NS);
    uint64_t wider = s_self ()->window;
    assert_true (wider >= 2 * before && wider <= 4 * before); /* nobody was busy yet */
    s_node[2].busy = s_node[3].busy = true;
    s_say_state (2);
    s_say_state (3);
    s_advance (2 * ROUND_NS); /* once a round, however many answers came */
    assert_true (s_self ()->window <= wider / 2 && s_self ()->window >= wider / 8);
    s_advance (S_SECOND);
    assert_int_equal (s_self ()->window, WINDOW_MIN);
    s_node[2].busy = s_node[3].busy = false;
    s_say_state (2);
    s_say_state (3);
    s_advance (S_SECOND / 2);
    assert_true (s_self ()->window > WINDOW_MIN && s_self ()->window <= WINDOW_MIN + 6 * WINDOW_UNIT);
    s_node[1].busy = true;
    s_say_state (1);
    s_advance (S_SECOND);
    assert_int_equal (s_self ()->window, WINDOW_MIN);
    s_advance (10 * S_SECOND); /* and still it ends */
    assert_true (s_sent (ADR__KIND__SYNC_END) > 0);
    assert_true (s_are_equal (1, 2));
}

/* Rule 8: the least window is one question at a time, and a small one: nothing more goes out before it is answered. */
static void
test_the_least_window_is_one_question (void **state)
{
    (void) state;
    s_write (2, 600, 12, 3900);
    s_write (3, 600, 12, 3900);
    s_node[1].busy = true;
    ((inventory_syncer_t *) (uintptr_t) s_self ())->window = WINDOW_MIN;
    s_node[2].silent = s_node[3].silent = true;
    s_copying ();
    s_advance (200 * ADR_MS);
    assert_int_equal (s_sent (ADR__KIND__LEAVES_ASK), WINDOW_MIN / (256 * HASH_SIZE) < S_PARTITIONS + 1
                                                          ? WINDOW_MIN / (256 * HASH_SIZE) : S_PARTITIONS + 1);
    s_node[2].silent = s_node[3].silent = false;
    s_advance (PATIENCE_NS + 15 * S_SECOND);
    assert_true (s_sent (ADR__KIND__SYNC_END) > 0);
    for (size_t i = 0; i < s_sent (ADR__KIND__PLACE); i++)
        assert_true (harness_sent (&s_node[1].harness, ADR__KIND__PLACE, i)->payload.size <= WINDOW_MIN + 2 * 4096);
}

/* Rule 8: where answers come at once, as here, the window still holds the rate, because it is asked for so often only. */
static void
test_a_window_is_asked_for_once_a_trip (void **state)
{
    const uint64_t a_second = (uint64_t) WINDOW_MIN * 1000 / TRIP_MS;
    (void) state;
    s_write (2, 2500, 12, 3900);
    s_write (3, 2500, 12, 3900);
    s_node[1].busy = true;
    ((inventory_syncer_t *) (uintptr_t) s_self ())->window = WINDOW_MIN;
    s_copying ();
    s_advance (S_SECOND);
    assert_true (s_self ()->pulled_bytes <= a_second + WINDOW_MIN + PIECE_MAX);
    assert_true (s_self ()->pulled_bytes >= 4 * WINDOW_MIN); /* and it goes on */
}

/* Rule 8: inventories are paid for, too: a slow rate holds them back. */
static void
test_inventories_cost_credit (void **state)
{
    const uint64_t rate = 20000;
    (void) state;
    s_stop_node (1);
    s_start_node (1, rate);
    s_write (2, 2000, 100, 1);
    s_write (3, 2000, 100, 1);
    s_copying ();
    for (uint64_t passed = 1; passed <= 5; passed++) {
        s_advance (S_SECOND);
        assert_true (s_self ()->pulled_bytes <= rate * (1 + passed) + PIECE_MAX);
    }
}

/* What a source says of its clients goes with each answer. */
static void
test_a_source_says_that_it_is_busy (void **state)
{
    Adr__LeavesAsk ask = ADR__LEAVES_ASK__INIT;
    adr_address_t asker = harness_address (1, ADR_NODE_META, ADR_ACTOR_INVENTORY_SYNCER);
    (void) state;
    s_write_some (2);
    s_node[2].busy = true;
    s_say_state (2);
    ask.number = 1;
    harness_message (&s_node[2].harness, asker, ADR_NODE_META, ADR__KIND__LEAVES_ASK, &ask.base, adr_bytes (NULL, 0));
    const harness_sent_t *sent = harness_sent (&s_node[2].harness, ADR__KIND__LEAVES, 0);
    assert_true (((const Adr__Leaves *) sent->header)->ok && ((const Adr__Leaves *) sent->header)->busy);
    sent = harness_sent (&s_node[2].harness, ADR__KIND__PLACE, 0); /* and its replicator that it is a source */
    assert_true (((const Adr__Place *) sent->header)->runs);
}

/* --- mending ---------------------------------------------------------------------------------------------------- */

static void
s_all_write (void)
{
    for (unsigned zone = 1; zone <= S_ZONES; zone++)
        s_write_some (zone);
}

/* [REPAIR-3] What it lacks or has older is taken, of that peer, if this copy has applied past it. */
static void
test_mending_takes_only_what_it_has_applied_past (void **state)
{
    (void) state;
    s_all_write ();
    s_put (2, "lost", "1", 5);
    s_put (2, "older", "2", S_RECORDS);
    s_put (1, "older", "1", 7);
    s_put (2, "gone", NULL, 8);
    s_put (1, "gone", "1", 6);
    s_put (2, "ahead", "1", S_RECORDS + 1);
    s_put (1, "newer here", "2", 9);
    s_put (2, "newer here", "1", 8);
    s_put (1, "here", "1", 9);
    s_mending (2);
    assert_true (s_has (1, "lost"));
    assert_false (s_has (1, "ahead"));
    assert_true (s_has (1, "here"));
    fixture_expect (s_node[1].w, "older", "2");
    fixture_expect (s_node[1].w, "gone", NULL);
    fixture_expect (s_node[1].w, "newer here", "2");
    assert_int_equal (s_self ()->mended_records, 3);
    assert_int_equal (s_self ()->mode, MODE_IDLE);
    assert_int_equal (s_node[3].asked[ADR__KIND__LEAVES_ASK], 0);
    assert_int_equal (s_sent (ADR__KIND__BASE_ASK), 0);
    assert_int_equal (s_sent (ADR__KIND__DROP), 0);
}

static void
test_mending_asks_for_the_partitions_that_differ (void **state)
{
    (void) state;
    s_all_write ();
    s_node[2].silent = true;
    s_diverge (2, 3, 1);
    assert_int_equal (s_sent (ADR__KIND__LEAVES_ASK), 1);
    const harness_sent_t *sent = harness_sent (&s_node[1].harness, ADR__KIND__LEAVES_ASK, 0);
    assert_int_equal (((const Adr__LeavesAsk *) sent->header)->partition, 3);
    assert_true (((const Adr__LeavesAsk *) sent->header)->mend);
    s_advance (1100 * ADR_MS);
    sent = harness_sent (&s_node[1].harness, ADR__KIND__PLACE, s_sent (ADR__KIND__PLACE) - 1);
    assert_int_equal (((const Adr__Place *) sent->header)->parts, 1);
    assert_int_equal (((const Adr__Place *) sent->header)->parts_done, 0);
    assert_int_equal (((const Adr__Place *) sent->header)->keep_from, 0);
}

/* [REPAIR-3] Two values of one version are damage. */
static void
test_two_values_of_one_version_are_named_only (void **state)
{
    (void) state;
    s_all_write ();
    s_put (1, "two", "mine", 5);
    s_put (2, "two", "theirs", 5);
    s_mending (2);
    fixture_expect (s_node[1].w, "two", "mine");
    assert_int_equal (s_self ()->mended_records, 0);
    assert_int_equal (s_node[1].harness.notes[ADR_LEVEL_WARNING], 1);
}

/* [STORE-10] Nothing that a peer has makes a bucket equal whose own leaf is not what its rows hash to. */
static void
test_an_own_leaf_that_is_false_is_told (void **state)
{
    (void) state;
    s_all_write ();
    s_put (1, "here", "1", 5);
    s_put (2, "here", "1", 5);
    s_put (2, "lost", "1", 5);
    s_mending (2);
    assert_int_equal (s_sent (ADR__KIND__INDEX_DAMAGED), 0);
    uint8_t name[5] = { 'l' }, order[16], zeros[32] = { 0 };
    adr_put_be32 (name + 1, adr_reader_order (s_node[1].reader, ADR_TABLE_KV, fixture_text ("here"), order));
    adr_index_t *index = memory_index_of (s_node[1].w->index);
    assert_int_equal (index->begin (index), 0);
    assert_int_equal (index->put_tree (index, adr_bytes (name, sizeof name), adr_bytes (zeros, sizeof zeros)), 0);
    assert_int_equal (index->commit (index), 0);
    s_mending (2);
    assert_int_equal (s_sent (ADR__KIND__INDEX_DAMAGED), 1);
}

/* A copy that is being made mends nothing, nor does one that replays. */
static void
test_only_a_comparable_copy_mends (void **state)
{
    (void) state;
    s_all_write ();
    s_put (2, "lost", "1", 5);
    s_node[1].sync = ADR_SYNC_REPLAYING;
    s_mending (2);
    assert_int_equal (s_sent (ADR__KIND__LEAVES_ASK), 0);
    s_node[1].sync = ADR_SYNC_UNPROVEN;
    s_mending (2);
    assert_true (s_has (1, "lost"));
}

static void
test_a_peer_that_gives_nothing_mends_nobody (void **state)
{
    (void) state;
    s_all_write ();
    s_put (2, "lost", "1", 5);
    s_node[2].silent = true;
    s_mending (2);
    assert_int_equal (s_self ()->mode, MODE_MENDING);
    s_advance (PATIENCE_NS + 200 * ADR_MS);
    assert_int_equal (s_self ()->mode, MODE_IDLE);
    assert_int_equal (s_node[3].asked[ADR__KIND__LEAVES_ASK], 0);
}

/* --- what may have been purged ---------------------------------------------------------------------------------- */

/* [REPAIR-2] Below our own horizon we lack it: a second voter says whether it is there. */
static void
test_what_we_may_have_purged_needs_a_second_word (void **state)
{
    (void) state;
    s_all_write ();
    s_node[1].purged_to = 20;
    s_put (2, "slept", "1", 5);
    s_put (2, "there", "1", 6);
    s_put (3, "there", "1", 6);
    s_put (2, "above", "1", 21);
    s_put (2, "tombstone", NULL, 7); /* gone here, and gone for good */
    s_put (3, "tombstone", NULL, 7);
    s_mending (2);
    assert_true (s_node[3].asked[ADR__KIND__INVENTORY_ASK] > 0);
    assert_false (s_has (1, "slept"));
    assert_false (s_has (1, "tombstone"));
    assert_true (s_has (1, "there"));
    assert_true (s_has (1, "above"));
}

/* [REPAIR-2] Below its horizon the peer lacks what we have: it goes if a second voter, applied past it, lacks it too. */
static void
test_what_the_peer_may_have_purged_goes_by_two_words (void **state)
{
    (void) state;
    s_all_write ();
    s_node[2].purged_to = s_node[3].purged_to = 20;
    s_put (1, "purged", "1", 5);
    s_put (1, "there", "1", 6);
    s_put (3, "there", "1", 6);
    s_put (1, "above", "1", 21);
    s_mending (2);
    assert_false (s_has (1, "purged"));
    assert_true (s_has (1, "there"));
    assert_true (s_has (1, "above"));
    assert_int_equal (s_self ()->dropped_records, 1);
}

/* A second copy that is behind does not know. */
static void
test_a_second_copy_that_is_behind_decides_nothing (void **state)
{
    (void) state;
    s_write_some (1);
    s_write_some (2);
    s_write (3, 10, 12, 40);
    s_node[2].purged_to = 30;
    s_put (1, "kept", "1", 25);
    s_mending (2);
    assert_true (s_node[3].asked[ADR__KIND__INVENTORY_ASK] > 0);
    assert_true (s_has (1, "kept"));
    assert_int_equal (s_sent (ADR__KIND__DROP), 0);
}

/* [REPAIR-2] Nor does one that knows of a loss: what it lacks it may have lost. */
static void
test_a_second_copy_that_knows_of_a_loss_decides_nothing (void **state)
{
    (void) state;
    s_all_write ();
    s_node[2].purged_to = s_node[3].purged_to = 20;
    s_node[3].lossy = true;
    s_put (1, "kept", "1", 5);
    s_mending (2);
    assert_true (s_node[3].asked[ADR__KIND__INVENTORY_ASK] > 0);
    assert_true (s_has (1, "kept"));
    assert_int_equal (s_sent (ADR__KIND__DROP), 0);
}

/* [REPAIR-3] Two copies that are behind still have what was purged here: two words that say nothing. */
static void
test_who_has_not_heard_of_a_purge_has_no_word (void **state)
{
    (void) state;
    s_all_write ();
    s_node[1].purged_to = S_RECORDS + 100; /* the others' inventories are of before */
    s_put (2, "purged", "1", 5);
    s_put (3, "purged", "1", 5);
    s_mending (2);
    assert_false (s_has (1, "purged"));
    s_node[1].purged_to = 20;
    s_mending (2);
    assert_true (s_has (1, "purged"));
}

/* Where no second voter can be asked, it stays as it is. */
static void
test_without_a_second_voter_it_stays (void **state)
{
    (void) state;
    s_all_write ();
    s_node[1].voters = 2;
    s_node[1].purged_to = s_node[2].purged_to = 20;
    s_put (1, "mine", "1", 5);
    s_put (2, "theirs", "1", 6);
    s_mending (2);
    assert_true (s_has (1, "mine"));
    assert_false (s_has (1, "theirs"));
    assert_int_equal (s_node[3].asked[ADR__KIND__INVENTORY_ASK], 0);
    s_advance (100 * ADR_MS);
    assert_int_equal (s_self ()->mode, MODE_IDLE);
}

static adr_doubt_t
s_doubt (const char *key)
{
    adr_inventory_row_t row;
    assert_int_equal (adr_reader_row (s_node[1].reader, ADR_TABLE_KV, fixture_text (key), &row), ADR_STATUS_OK);
    return row.doubt;
}

/* The zone's copy holds it in doubt, with that word of its own. */
static void
s_put_doubt (unsigned zone, const char *key, const char *value, uint64_t index, adr_doubt_t doubt)
{
    adr_bare_t bare = { .table = ADR_TABLE_KV, .doubt = doubt, .key = fixture_text (key),
                        .version = { ADR_EPOCH, S_TERM, index }, .value_size = (uint32_t) strlen (value), .time_ms = 5 };
    adr_value_digest (fixture_text (value), bare.digest);
    if (doubt == ADR_DOUBT_HAD)
        s_put (zone, key, value, index);
    adr_store_place_bare (s_node[zone].w->store, &bare);
    fixture_run (s_node[zone].w);
    s_say_state (zone);
}

/* Nodes 1 and 2 are in doubt, and node 3, the third voter or none, has purged up to there. */
static void
s_all_doubt (unsigned voters)
{
    s_all_write ();
    for (unsigned zone = 1; zone <= S_ZONES; zone++) {
        s_node[zone].purged_to = 20;
        s_node[zone].voters = voters;
        if (zone < 3) {
            s_node[zone].sync = ADR_SYNC_UNPROVEN;
            s_node[zone].proven = false;
        }
    }
}

/* [REPAIR-2] Two copies in doubt whose third one is away have what only one of them has in doubt, and are equal then. */
static void
test_two_copies_in_doubt_agree (void **state)
{
    (void) state;
    s_all_doubt (2);
    s_put (1, "mine", "1", 5);
    s_put (2, "theirs", "2", 6);
    s_mending (2);
    assert_int_equal (s_doubt ("mine"), ADR_DOUBT_HAD);
    assert_int_equal (s_doubt ("theirs"), ADR_DOUBT_LACKED);
    assert_int_equal (s_sent (ADR__KIND__RECORDS_ASK), 0);
    s_put_doubt (2, "mine", "1", 5, ADR_DOUBT_LACKED);
    s_put_doubt (2, "theirs", "2", 6, ADR_DOUBT_HAD);
    assert_true (s_are_equal (1, 2));
    size_t sent = s_sent (ADR__KIND__QUARANTINE);
    s_mending (2); /* and stays like that */
    assert_int_equal (s_sent (ADR__KIND__QUARANTINE), sent);
    assert_int_equal (adr_store_doubts (s_node[1].w->store), 2);
}

/* Whichever of the two saw the other one first. */
static void
test_a_doubt_of_the_peer_is_taken_over (void **state)
{
    (void) state;
    s_all_doubt (2);
    s_put (1, "mine", "1", 5);
    s_put_doubt (2, "mine", "1", 5, ADR_DOUBT_LACKED);
    s_put_doubt (2, "theirs", "2", 6, ADR_DOUBT_HAD);
    s_mending (2);
    assert_int_equal (s_doubt ("mine"), ADR_DOUBT_HAD);
    assert_int_equal (s_doubt ("theirs"), ADR_DOUBT_LACKED);
    assert_true (s_are_equal (1, 2));
}

/* [REPAIR-2] The third copy decides: what it has, too, is there; what it lacks, too, goes. */
static void
test_a_third_copy_ends_a_doubt (void **state)
{
    (void) state;
    s_all_doubt (3);
    for (unsigned zone = 1; zone < 3; zone++) {
        s_put_doubt (zone, "there", "1", 5, zone == 1 ? ADR_DOUBT_HAD : ADR_DOUBT_LACKED);
        s_put_doubt (zone, "there, too", "2", 6, zone == 1 ? ADR_DOUBT_LACKED : ADR_DOUBT_HAD);
        s_put_doubt (zone, "purged", "3", 7, zone == 1 ? ADR_DOUBT_HAD : ADR_DOUBT_LACKED);
        s_put_doubt (zone, "purged, too", "4", 8, zone == 1 ? ADR_DOUBT_LACKED : ADR_DOUBT_HAD);
    }
    s_node[3].sync = ADR_SYNC_UNPROVEN; /* a word is a word */
    s_node[3].proven = false;
    s_put (3, "there", "1", 5);
    s_put (3, "there, too", "2", 6);
    s_mending (3);
    assert_int_equal (adr_store_doubts (s_node[1].w->store), 0);
    assert_int_equal (s_doubt ("there"), ADR_DOUBT_NONE);
    assert_int_equal (s_doubt ("there, too"), ADR_DOUBT_NONE);
    assert_false (s_has (1, "purged"));
    assert_false (s_has (1, "purged, too"));
    assert_true (s_are_equal (1, 3));
    adr_buffer_t record = { 0 };
    assert_int_equal (adr_reader_record (s_node[1].reader, ADR_TABLE_KV, fixture_text ("there, too"), &record), ADR_STATUS_OK);
    adr_buffer_free (&record);
}

/* One word and its echo are one: who heard of a doubt from others decides nothing. */
static void
test_a_copied_doubt_is_no_word (void **state)
{
    (void) state;
    s_all_doubt (3);
    s_put_doubt (1, "a", "1", 5, ADR_DOUBT_HAD);
    s_put_doubt (2, "a", "1", 5, ADR_DOUBT_LACKED);
    s_put_doubt (3, "a", "1", 5, ADR_DOUBT_COPIED);
    s_put_doubt (1, "b", "1", 6, ADR_DOUBT_LACKED);
    s_put_doubt (2, "b", "1", 6, ADR_DOUBT_COPIED);
    s_put_doubt (3, "b", "1", 6, ADR_DOUBT_HAD);
    s_mending (2);
    s_mending (3);
    assert_int_equal (s_doubt ("a"), ADR_DOUBT_HAD);
    assert_int_equal (s_doubt ("b"), ADR_DOUBT_LACKED);
}

/* An exact copy is what its log says: what it has is no doubt, and is believed by who is in doubt. */
static void
test_an_exact_copy_has_no_doubts (void **state)
{
    (void) state;
    s_all_doubt (2);
    s_node[2].sync = ADR_SYNC_EXACT;
    s_put (1, "mine", "1", 5);
    s_put (2, "theirs", "2", 6);
    s_put_doubt (1, "in doubt", "3", 7, ADR_DOUBT_LACKED);
    s_put (2, "in doubt", "3", 7);
    s_mending (2);
    assert_int_equal (s_doubt ("mine"), ADR_DOUBT_NONE);
    assert_int_equal (s_doubt ("theirs"), ADR_DOUBT_NONE);
    assert_int_equal (s_doubt ("in doubt"), ADR_DOUBT_NONE);
}

/* A copy that is made of one with doubts has them, too, without a word in it. */
static void
test_a_copy_is_made_with_its_doubts (void **state)
{
    (void) state;
    s_write_some (2);
    s_write_some (3);
    s_put_doubt (2, "a", "1", 5, ADR_DOUBT_HAD);
    s_put_doubt (3, "a", "1", 5, ADR_DOUBT_LACKED);
    s_copying ();
    assert_int_equal (s_doubt ("a"), ADR_DOUBT_COPIED);
    assert_true (s_are_equal (1, 2));
    assert_int_equal (s_sent (ADR__KIND__SYNC_END), 1);
}

/* Equal roots do not say that a doubt could be decided: it is asked about now and then, and only where it is. */
static void
test_doubts_are_compared_again (void **state)
{
    (void) state;
    s_all_doubt (3);
    s_put_doubt (1, "a", "1", 5, ADR_DOUBT_HAD);
    s_put_doubt (2, "a", "1", 5, ADR_DOUBT_LACKED);
    s_put_doubt (3, "a", "1", 5, ADR_DOUBT_HAD);
    s_node[1].sync = ADR_SYNC_EXACT;
    s_say_state (1);
    s_advance (12 * S_SECOND);
    assert_int_equal (adr_store_doubts (s_node[1].w->store), 0);
    assert_int_equal (s_doubt ("a"), ADR_DOUBT_NONE);
    assert_true (s_sent (ADR__KIND__LEAVES_ASK) <= 3);
    size_t asked = s_sent (ADR__KIND__LEAVES_ASK);
    s_advance (12 * S_SECOND);
    assert_int_equal (s_sent (ADR__KIND__LEAVES_ASK), asked);
}

/* Rows in doubt by the thousand are settled in one walk. */
static void
test_many_doubts_are_settled (void **state)
{
    (void) state;
    s_all_doubt (3);
    for (int i = 0; i < 1000; i++) {
        char key[16];
        snprintf (key, sizeof key, "slept %d", i);
        s_put (1, key, "1", 5);
        if (i % 2)
            s_put (3, key, "1", 5);
    }
    s_mending (2);
    assert_int_equal (s_self ()->dropped_records, 500);
    assert_int_equal (s_node[3].asked[ADR__KIND__INVENTORY_ASK], S_PARTITIONS);
}

static void
test_a_tombstone_goes_on_one_word (void **state)
{
    (void) state;
    s_all_write ();
    s_node[2].purged_to = 20;
    s_put (1, "tombstone", NULL, 5);
    s_put (1, "young", NULL, 21);
    s_mending (2);
    assert_false (s_has (1, "tombstone"));
    assert_true (s_has (1, "young"));
    assert_int_equal (s_node[3].asked[ADR__KIND__INVENTORY_ASK], 0);
}

/* A copy in doubt believes an exact one about what is there, and a proven one about what is not. */
static void
test_a_copy_in_doubt_believes_one_word (void **state)
{
    (void) state;
    s_all_write ();
    s_node[1].sync = ADR_SYNC_UNPROVEN;
    s_node[1].proven = false;
    s_node[1].purged_to = s_node[2].purged_to = 20;
    s_put (1, "mine", "1", 5);
    s_put (2, "theirs", "1", 6);
    s_mending (2);
    assert_false (s_has (1, "mine"));
    assert_true (s_has (1, "theirs"));
    assert_int_equal (s_node[3].asked[ADR__KIND__INVENTORY_ASK], 0);
}

/* --- damaged values --------------------------------------------------------------------------------------------- */

static void
s_wound (const char *key)
{
    adr_buffer_t keys = { 0 };
    Adr__Wounds wounds = ADR__WOUNDS__INIT;
    adr_wound_put (&keys, ADR_TABLE_KV, fixture_text (key));
    harness_message (&s_node[1].harness, harness_address (1, ADR_NODE_META, ADR_ACTOR_SCRUBBER), ADR_NODE_META,
                     ADR__KIND__WOUNDS, &wounds.base, adr_bytes (keys.data, keys.size));
    adr_buffer_free (&keys);
    s_carry ();
}

/* Rule 7 */
static void
test_a_damaged_value_is_pulled (void **state)
{
    adr_buffer_t record = { 0 };
    (void) state;
    s_all_write ();
    for (unsigned zone = 1; zone <= S_ZONES; zone++) {
        s_put (zone, "wounded", "value", 5);
        s_say_state (zone);
    }
    s_damage (1, "wounded");
    assert_int_equal (adr_reader_record (s_node[1].reader, ADR_TABLE_KV, fixture_text ("wounded"), &record),
                      ADR_STATUS_DAMAGED);
    s_wound ("wounded");
    assert_int_equal (s_sent (ADR__KIND__RECORDS_ASK), 1);
    assert_int_equal (adr_reader_record (s_node[1].reader, ADR_TABLE_KV, fixture_text ("wounded"), &record), ADR_STATUS_OK);
    assert_int_equal (s_self ()->wounds.size, 0);
    adr_buffer_free (&record);
}

static void
s_lie_nothing (adr_buffer_t *payload, ProtobufCMessage *header)
{
    payload->size = 0;
    ((Adr__Records *) header)->asked = 0;
}

/* A peer that says that it answered nothing is not asked again at once, for ever. */
static void
test_a_peer_that_answers_nothing_is_not_asked_at_once (void **state)
{
    (void) state;
    s_all_write ();
    for (unsigned zone = 1; zone <= S_ZONES; zone++)
        s_say_state (zone);
    s_node[1].master = 3;
    s_say_state (1);
    s_liar = 2;
    s_lie_kind = ADR__KIND__RECORDS;
    s_lie = s_lie_nothing;
    s_wound ("1kkkkkkkkkk");
    assert_int_equal (s_sent (ADR__KIND__RECORDS_ASK), 1);
    s_liar = 0;
    s_advance (1100 * ADR_MS);
    assert_int_equal (s_sent (ADR__KIND__RECORDS_ASK), 2);
    assert_int_equal (s_self ()->wounds.size, 0);
}

/* --- operators -------------------------------------------------------------------------------------------------- */

#define S_HOUR (3600 * S_SECOND)

static const Adr__ControlAnswer *
s_control (unsigned zone, Adr__ControlAction action, uint32_t for_ms)
{
    harness_t *harness = &s_node[zone].harness;
    Adr__Control control = ADR__CONTROL__INIT;
    adr_id_t asker = harness_id (0xee);
    control.number = 9;
    control.action = action;
    control.for_ms = for_ms;
    control.asker = adr_id_view (&asker);
    harness_message (harness, harness_address (3, ADR_NODE_EDGE, ADR_ACTOR_EDGE_ROUTER), ADR_NODE_EDGE, ADR__KIND__CONTROL,
                     &control.base, adr_bytes (NULL, 0));
    s_carry ();
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
    return (const Adr__Place *) harness_sent (&s_node[1].harness, ADR__KIND__PLACE, s_sent (ADR__KIND__PLACE) - 1)->header;
}

/* [REPAIR-9] Nothing is asked for, the time that is left is told, and it goes on where it was. */
static void
test_a_pause_ends_by_itself (void **state)
{
    (void) state;
    s_write (2, 400, 12, 3900);
    s_write (3, 400, 12, 3900);
    s_stop_node (1);
    s_start_node (1, 200000);
    s_copying ();
    s_advance (S_SECOND);
    assert_int_equal (s_pause (1, 3000), ADR_STATUS_OK);
    uint64_t pulled = s_self ()->pulled_bytes;
    size_t asked = s_sent (ADR__KIND__LEAVES_ASK) + s_sent (ADR__KIND__RECORDS_ASK);
    assert_int_equal (s_last_place ()->paused_s, 3);
    s_advance (2900 * ADR_MS);
    assert_int_equal (s_last_place ()->paused_s, 1);
    assert_int_equal (s_self ()->pulled_bytes, pulled);
    assert_int_equal (s_sent (ADR__KIND__LEAVES_ASK) + s_sent (ADR__KIND__RECORDS_ASK), asked);
    assert_int_equal (s_sent (ADR__KIND__SYNC_END), 0);
    s_advance (12 * S_SECOND);
    assert_int_equal (s_last_place ()->paused_s, 0);
    assert_true (s_sent (ADR__KIND__SYNC_END) > 0);
    assert_true (s_are_equal (1, 2));
}

/* [REPAIR-9] */
static void
test_a_pause_has_an_end (void **state)
{
    (void) state;
    s_say_state (1);
    assert_int_equal (s_pause (1, 24 * 3600 * 1000 + 1), ADR_STATUS_INVALID);
    assert_false (syncer_is_paused (s_self ()));
    assert_int_equal (s_pause (1, 0), ADR_STATUS_OK);
    assert_int_equal (syncer_pause_left_s (s_self ()), 3600);
    size_t warned = s_node[1].harness.notes[ADR_LEVEL_WARNING];
    harness_advance (&s_node[1].harness, S_HOUR - 50 * ADR_MS);
    assert_true (syncer_is_paused (s_self ()));
    assert_int_equal (s_node[1].harness.notes[ADR_LEVEL_WARNING], warned + 5); /* a reminder each ten minutes */
    harness_advance (&s_node[1].harness, 100 * ADR_MS);
    assert_false (syncer_is_paused (s_self ()));
}

static void
test_run_ends_a_pause (void **state)
{
    (void) state;
    s_write_some (2);
    s_write_some (3);
    assert_int_equal (s_pause (1, 0), ADR_STATUS_OK);
    s_copying ();
    s_advance (2 * S_SECOND);
    assert_int_equal (s_sent (ADR__KIND__LEAVES_ASK), 0);
    assert_int_equal (s_run (1), ADR_STATUS_OK);
    assert_true (s_sent (ADR__KIND__SYNC_END) > 0);
}

/* [REPAIR-9] What a read found damaged is mended, by a paused one and from a paused one; nothing else is. */
static void
test_damaged_values_do_not_wait (void **state)
{
    adr_buffer_t record = { 0 };
    (void) state;
    s_all_write ();
    for (unsigned zone = 1; zone <= S_ZONES; zone++) {
        s_put (zone, "wounded", "value", 5);
        s_say_state (zone);
        assert_int_equal (s_pause (zone, 0), ADR_STATUS_OK);
    }
    s_put (2, "lost", "1", 5);
    s_mending (2);
    assert_int_equal (s_sent (ADR__KIND__LEAVES_ASK), 0);
    s_damage (1, "wounded");
    s_wound ("wounded");
    assert_int_equal (adr_reader_record (s_node[1].reader, ADR_TABLE_KV, fixture_text ("wounded"), &record), ADR_STATUS_OK);
    assert_int_equal (s_self ()->wounds.size, 0);
    adr_buffer_free (&record);
}

/* [REPAIR-9] A copy that knows of lost rows would be made anew from its journal if it had to wait. */
static void
test_a_copy_that_has_lost_rows_does_not_wait (void **state)
{
    (void) state;
    s_all_write ();
    s_put (2, "lost", "1", 5);
    assert_int_equal (s_pause (1, 0), ADR_STATUS_OK);
    s_node[1].lossy = true;
    s_node[1].sync = ADR_SYNC_UNPROVEN;
    s_mending (2);
    assert_true (s_has (1, "lost"));
}

/* [REPAIR-9] Compared now, without a checkpoint: with each peer that votes, one after the other. */
static void
test_an_operator_s_comparison (void **state)
{
    (void) state;
    s_all_write ();
    for (unsigned zone = 1; zone <= S_ZONES; zone++)
        s_say_state (zone);
    s_put (2, "lost", "1", 5);
    s_put (3, "lost, too", "1", 5);
    assert_int_equal (s_run (1), ADR_STATUS_OK);
    assert_true (s_has (1, "lost"));
    s_advance (S_SECOND);
    assert_true (s_has (1, "lost, too"));
    assert_int_equal (s_node[2].asked[ADR__KIND__LEAVES_ASK], S_PARTITIONS + 1);
    assert_int_equal (s_node[3].asked[ADR__KIND__LEAVES_ASK], S_PARTITIONS + 1);
    assert_int_equal (s_self ()->mode, MODE_IDLE);
    assert_non_null (strstr (s_node[1].harness.note, "mended=2"));
}

/* A peer that is silent is passed by; one that does not vote is not asked; nor does one that replays ask. */
static void
test_a_comparison_asks_who_can_be_compared (void **state)
{
    (void) state;
    s_all_write ();
    s_node[1].voters = 2; /* zones 1 and 2 */
    s_node[2].silent = true;
    for (unsigned zone = 1; zone <= S_ZONES; zone++)
        s_say_state (zone);
    assert_int_equal (s_run (1), ADR_STATUS_OK);
    s_advance (5 * S_SECOND);
    assert_int_equal (s_self ()->mode, MODE_IDLE);
    assert_int_equal (s_node[3].asked[ADR__KIND__LEAVES_ASK], 0);
    s_node[1].sync = ADR_SYNC_REPLAYING;
    s_say_state (1);
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
    harness_t *harness = &s_node[2].harness;
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
    s_write_some (2);
    s_say_state (2);
    assert_int_equal (s_pause (2, 1000), ADR_STATUS_OK);
    assert_false (s_gives_leaves (false, true));
    assert_false (s_gives_leaves (true, false));
    assert_false (s_gives_inventory (1, 1, 0, 0, ADR_BUCKET_SET_SIZE));
    assert_false (((const Adr__Records *) s_ask_records (true, adr_bytes (key, sizeof key))->header)->ok);
    harness_advance (&s_node[2].harness, 1100 * ADR_MS);
    assert_true (s_gives_leaves (false, true));
}

/* [REPAIR-2, REPAIR-5] */
static void
test_who_may_be_a_source (void **state)
{
    uint8_t key[] = { ADR_TABLE_KV, 1, 0, 'x' };
    (void) state;
    s_write_some (2);
    assert_false (s_gives_leaves (true, true)); /* before its replicator said anything */
    for (int sync = ADR_SYNC_EXACT; sync <= ADR_SYNC_UNPROVEN; sync++)
        for (int bits = 0; bits < 4; bits++) {
            s_node_t *node = &s_node[2];
            node->sync = (adr_sync_t) sync;
            node->proven = bits & 1;
            node->lossy = bits & 2;
            bool comparable = sync == ADR_SYNC_EXACT || sync == ADR_SYNC_UNPROVEN;
            if (node->proven && !comparable)
                continue; /* no replicator says so */
            s_say_state (2);
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
    s_write_some (2);
    s_say_state (2);
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
    s_write (2, 900, 1000, 20);
    s_say_state (2);
    memset (set, 0xff, sizeof set);
    memset (key, 'k', sizeof key - 1);
    key[sizeof key - 1] = '\0';
    partition = adr_reader_order (s_node[2].reader, ADR_TABLE_KV, fixture_text (key), order) / 256;
    assert_true (adr_reader_inventory (s_node[2].reader, partition, set, INVENTORY_ENOUGH, INVENTORY_MAX, &expected, &applied,
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
        s_put (2, key, "meanwhile", 1000 + pieces.size);
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
    s_write (2, 900, 1000, 20);
    s_say_state (2);
    assert_false (s_gives_inventory (1, 7, 0, 1, ADR_BUCKET_SET_SIZE)); /* it asked for nothing yet */
    uint32_t partition = 0;
    for (; partition < S_PARTITIONS; partition++) {
        const harness_sent_t *sent = s_ask_inventory (1, 7, partition, 0, ADR_BUCKET_SET_SIZE);
        if (sent->payload.size < ((const Adr__Inventory *) sent->header)->size)
            break; /* more is kept for it */
    }
    assert_true (partition < S_PARTITIONS);
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
    s_write_some (2);
    s_say_state (2);
    assert_true (s_gives_inventory (1, 1, S_PARTITIONS, 0, ADR_BUCKET_SET_SIZE)); /* the group's own records */
    assert_false (s_gives_inventory (1, 2, S_PARTITIONS + 1, 0, ADR_BUCKET_SET_SIZE));
    assert_false (s_gives_inventory (1, 3, UINT32_MAX, 0, ADR_BUCKET_SET_SIZE));
    assert_false (s_gives_inventory (1, 4, 0, 0, 0));
    assert_false (s_gives_inventory (1, 5, 0, 0, ADR_BUCKET_SET_SIZE - 1));
    assert_false (s_gives_inventory (1, 6, 0, 0, ADR_BUCKET_SET_SIZE + 1));
    ask.partition = S_PARTITIONS + 1;
    const harness_sent_t *sent = s_ask (s_asker (1), ADR__KIND__LEAVES_ASK, &ask.base, adr_bytes (NULL, 0));
    assert_false (((const Adr__Leaves *) sent->header)->ok);
    assert_int_equal (harness_count (&s_node[2].harness, ADR__KIND__INDEX_DAMAGED), 0);
}

/* Rows that cannot be read are told to the replicator. */
static void
test_an_index_that_cannot_be_read_is_told (void **state)
{
    (void) state;
    s_write_some (2);
    s_say_state (2);
    memory_index_spoil (s_node[2].w->index);
    for (uint32_t partition = 0; partition < S_PARTITIONS; partition++)
        (void) s_gives_inventory (1, 1 + partition, partition, 0, ADR_BUCKET_SET_SIZE);
    assert_true (harness_count (&s_node[2].harness, ADR__KIND__INDEX_DAMAGED) > 0);
}

/* What is gone is left out, what cannot be read is counted; both were asked for. */
static void
test_records_that_are_gone_or_damaged (void **state)
{
    adr_buffer_t keys = { 0 };
    (void) state;
    s_put (2, "a", "1", 5);
    s_put (2, "b", "2", 6);
    s_say_state (2);
    s_damage (2, "b");
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
    assert_int_equal (s_node[2].harness.notes[ADR_LEVEL_WARNING], 2);
    adr_buffer_free (&keys);
}

/* As many records as there is room for, and one at least: the rest is asked for again. */
static void
test_an_answer_has_room_for_so_many_records (void **state)
{
    adr_buffer_t keys = { 0 };
    char key[2] = "a", *value = adr_alloc (53 * 1024 + 1);
    (void) state;
    s_node[2].w->options.segment_bytes = ADR_STORE_SEGMENT_MIN; /* for values of this size */
    fixture_reopen (s_node[2].w);
    memset (value, 'v', 53 * 1024);
    for (; key[0] <= 'd'; key[0]++) {
        s_put (2, key, value, 5);
        adr_wound_put (&keys, ADR_TABLE_KV, fixture_text (key));
    }
    s_say_state (2);
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
    s_write_some (2);
    s_say_state (2);
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
            harness_forget (&s_node[2].harness);
    }
    assert_int_equal (harness_count (&s_node[2].harness, ADR__KIND__INDEX_DAMAGED), 0);
    assert_true (s_gives_leaves (false, true));
}

#define S_TEST(name) cmocka_unit_test_setup_teardown (name, s_setup, s_teardown)

int
main (void)
{
    const struct CMUnitTest tests[] = {
        S_TEST (test_a_wiped_copy_is_made_whole),
        S_TEST (test_the_base_is_the_least_applied_index),
        S_TEST (test_the_window_covers_earlier_passes),
        S_TEST (test_it_says_from_where_the_log_is_needed),
        S_TEST (test_a_whole_copy_costs_its_leaves_only),
        S_TEST (test_the_end_waits_for_the_index),
        S_TEST (test_a_base_that_does_not_reach_back_begins_another_pass),
        S_TEST (test_a_source_before_the_log_s_start_is_no_use),
        S_TEST (test_a_silent_master_is_replaced_for_the_base),
        S_TEST (test_the_master_is_asked_last),
        S_TEST (test_the_master_is_asked_where_nobody_else_answers),
        S_TEST (test_a_source_must_be_proven),
        S_TEST (test_without_a_proven_source_one_in_doubt_will_do),
        S_TEST (test_an_inventory_with_another_hash),
        S_TEST (test_an_inventory_with_another_row),
        S_TEST (test_an_inventory_of_a_foreign_bucket),
        S_TEST (test_an_inventory_out_of_order),
        S_TEST (test_an_inventory_with_a_cut_row),
        S_TEST (test_an_inventory_with_a_cut_section),
        S_TEST (test_an_inventory_with_a_bucket_twice),
        S_TEST (test_an_inventory_of_what_was_not_asked_for),
        S_TEST (test_an_inventory_too_large),
        S_TEST (test_an_inventory_that_is_empty),
        S_TEST (test_leaves_of_a_wrong_size),
        S_TEST (test_leaves_of_what_was_never_committed),
        S_TEST (test_records_of_a_foreign_version),
        S_TEST (test_a_window_ends_where_the_master_s_log_does),
        S_TEST (test_a_base_of_one_that_is_behind_ends_nothing),
        S_TEST (test_a_record_that_a_source_cannot_read_comes_from_another),
        S_TEST (test_a_record_that_no_source_can_read),
        S_TEST (test_records_that_are_cut_off),
        S_TEST (test_random_answers_are_survived),
        S_TEST (test_the_place_window_is_obeyed),
        S_TEST (test_the_rate_is_obeyed),
        S_TEST (test_the_window_follows_the_clients),
        S_TEST (test_the_least_window_is_one_question),
        S_TEST (test_a_window_is_asked_for_once_a_trip),
        S_TEST (test_inventories_cost_credit),
        S_TEST (test_a_source_says_that_it_is_busy),
        S_TEST (test_mending_takes_only_what_it_has_applied_past),
        S_TEST (test_mending_asks_for_the_partitions_that_differ),
        S_TEST (test_two_values_of_one_version_are_named_only),
        S_TEST (test_an_own_leaf_that_is_false_is_told),
        S_TEST (test_only_a_comparable_copy_mends),
        S_TEST (test_a_peer_that_gives_nothing_mends_nobody),
        S_TEST (test_what_we_may_have_purged_needs_a_second_word),
        S_TEST (test_what_the_peer_may_have_purged_goes_by_two_words),
        S_TEST (test_a_second_copy_that_is_behind_decides_nothing),
        S_TEST (test_a_second_copy_that_knows_of_a_loss_decides_nothing),
        S_TEST (test_without_a_second_voter_it_stays),
        S_TEST (test_who_has_not_heard_of_a_purge_has_no_word),
        S_TEST (test_two_copies_in_doubt_agree),
        S_TEST (test_a_doubt_of_the_peer_is_taken_over),
        S_TEST (test_a_third_copy_ends_a_doubt),
        S_TEST (test_a_copied_doubt_is_no_word),
        S_TEST (test_an_exact_copy_has_no_doubts),
        S_TEST (test_a_copy_is_made_with_its_doubts),
        S_TEST (test_doubts_are_compared_again),
        S_TEST (test_many_doubts_are_settled),
        S_TEST (test_a_tombstone_goes_on_one_word),
        S_TEST (test_a_copy_in_doubt_believes_one_word),
        S_TEST (test_a_damaged_value_is_pulled),
        S_TEST (test_a_peer_that_answers_nothing_is_not_asked_at_once),
        S_TEST (test_a_pause_ends_by_itself),
        S_TEST (test_a_pause_has_an_end),
        S_TEST (test_run_ends_a_pause),
        S_TEST (test_damaged_values_do_not_wait),
        S_TEST (test_a_copy_that_has_lost_rows_does_not_wait),
        S_TEST (test_an_operator_s_comparison),
        S_TEST (test_a_comparison_asks_who_can_be_compared),
        S_TEST (test_a_paused_source_gives_nothing),
        S_TEST (test_who_may_be_a_source),
        S_TEST (test_strangers_are_not_answered),
        S_TEST (test_pieces_are_of_one_moment),
        S_TEST (test_unknown_offsets_are_refused),
        S_TEST (test_senseless_questions_damage_nothing),
        S_TEST (test_an_index_that_cannot_be_read_is_told),
        S_TEST (test_records_that_are_gone_or_damaged),
        S_TEST (test_an_answer_has_room_for_so_many_records),
        S_TEST (test_random_questions_are_survived),
    };
    return cmocka_run_group_tests (tests, NULL, NULL);
}
