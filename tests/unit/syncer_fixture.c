/* SPDX-License-Identifier: MPL-2.0 */
/* Three nodes whose copies are repaired: see syncer_fixture.h. */

#include "syncer_fixture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#define S_RATE (UINT64_C (256) * 1024 * 1024)
#define S_TURNS_MAX 100000 /* more without time going on is a loop */

trio_node_t trio_node[TRIO_ZONES + 1];
bool trio_holds;
bool trio_base_ok, trio_base_silent, trio_base_leads;
uint64_t trio_base_log_start, trio_base_log_end;
uint64_t trio_commit;
size_t trio_spoilt;
unsigned trio_liar;
uint16_t trio_lie_kind;
void (*trio_lie) (adr_buffer_t *payload, ProtobufCMessage *header);
static adr_map_t *s_map;
static size_t s_turns, s_refused;

const inventory_syncer_t *
trio_self (void)
{
    return trio_node[1].harness.actor;
}

/* --- three nodes ------------------------------------------------------------------------------------------------ */

void
trio_start_node (unsigned zone, uint64_t rate)
{
    trio_node_t *node = &trio_node[zone];
    adr_environment_t environment = { .cluster = s_map->cluster, .node = harness_address (zone, ADR_NODE_META, 0).node,
                                      .type = ADR_NODE_META, .group = harness_id (0xb0 + ADR_NODE_META),
                                      .incarnation = 100 + zone, .boot = 1, .seed = 5, .map = s_map };
    environment.settings.repair_rate = rate;
    environment.reader = node->reader = adr_reader_create (&node->w->options, &node->w->disk->disk,
                                                           memory_index_of (node->w->index));
    harness_start (&node->harness, &adr_inventory_syncer_class, &environment);
    node->sync = ADR_SYNC_EXACT;
    node->proven = true;
    node->voters = TRIO_ZONES;
}

int
trio_setup (void **state)
{
    (void) state;
    memset (trio_node, 0, sizeof trio_node);
    s_map = harness_map (TRIO_ZONES);
    for (unsigned zone = 1; zone <= TRIO_ZONES; zone++) {
        void *fixture;
        fixture_start (&fixture);
        trio_node[zone].w = fixture;
        trio_node[zone].w->options.partitions = TRIO_PARTITIONS;
        fixture_reopen (trio_node[zone].w);
        trio_start_node (zone, S_RATE);
    }
    trio_holds = trio_base_silent = false;
    trio_base_ok = trio_base_leads = true;
    trio_base_log_start = 0;
    trio_base_log_end = UINT64_MAX;
    trio_commit = 1000;
    s_turns = trio_spoilt = s_refused = 0;
    trio_liar = 0;
    return 0;
}

void
trio_stop_node (unsigned zone)
{
    harness_stop (&trio_node[zone].harness);
    adr_reader_destroy (&trio_node[zone].reader);
}

int
trio_teardown (void **state)
{
    (void) state;
    for (unsigned zone = 1; zone <= TRIO_ZONES; zone++) {
        void *fixture = trio_node[zone].w;
        trio_stop_node (zone);
        fixture_stop (&fixture);
    }
    adr_map_destroy (&s_map);
    return 0;
}

static void
s_flush (unsigned zone)
{
    fixture_t *w = trio_node[zone].w;
    adr_store_set_unlocked (w->store, adr_store_applied (w->store));
    for (int i = 0; i < 2; i++) {
        w->now += w->options.flush_every_ns;
        fixture_run (w);
    }
}

void
trio_write (unsigned zone, int count, size_t key_size, size_t value_size)
{
    fixture_t *w = trio_node[zone].w;
    char *key = adr_alloc (key_size + 1), *value = adr_alloc (value_size + 1);
    for (int i = 0; i < count; i++) {
        memset (key, 'k', key_size);
        memset (value, 'a' + i % 26, value_size);
        key[snprintf (key, key_size, "%d", i)] = 'k';
        fixture_append (w, TRIO_TERM, key, i % 7 ? value : NULL);
        if (i % 16 == 15)
            fixture_run (w);
    }
    fixture_run (w);
    fixture_apply (w, (uint64_t) count);
    s_flush (zone);
    free (key);
    free (value);
}

void
trio_write_some (unsigned zone)
{
    trio_write (zone, TRIO_RECORDS, 12, 40);
}

static adr_copy_t
s_copy_of (const adr_inventory_row_t *row, const uint8_t *value)
{
    adr_copy_t copy = { .table = row->table, .key = row->key, .version = row->version, .time_ms = row->time_ms,
                        .deleted = row->deleted, .value = adr_bytes (value, row->value_size) };
    memcpy (copy.digest, row->digest, sizeof copy.digest);
    return copy;
}

void
trio_put (unsigned zone, const char *key, const char *value, uint64_t index)
{
    adr_copy_t copy = { .table = ADR_TABLE_KV, .key = fixture_text (key), .version = { ADR_EPOCH, TRIO_TERM, index }, .time_ms = 5 };
    copy.deleted = value == NULL;
    copy.value = value ? fixture_text (value) : adr_bytes (NULL, 0);
    adr_value_digest (copy.value, copy.digest);
    assert_true (adr_store_place (trio_node[zone].w->store, &copy));
    fixture_run (trio_node[zone].w);
}

bool
trio_has (unsigned zone, const char *key)
{
    adr_inventory_row_t row;
    return adr_reader_row (trio_node[zone].reader, ADR_TABLE_KV, fixture_text (key), &row) == ADR_STATUS_OK;
}

static void
s_leaves (unsigned zone, adr_buffer_t *leaves)
{
    adr_position_t applied;
    for (uint32_t i = 0; i <= TRIO_PARTITIONS; i++)
        assert_true (adr_reader_leaves (trio_node[zone].reader, i, leaves, &applied));
}

bool
trio_are_equal (unsigned a, unsigned b)
{
    adr_buffer_t first = { 0 }, second = { 0 };
    s_leaves (a, &first);
    s_leaves (b, &second);
    bool equal = first.size == second.size && memcmp (first.data, second.data, first.size) == 0;
    adr_buffer_free (&first);
    adr_buffer_free (&second);
    return equal;
}

void
trio_damage (unsigned zone, const char *key)
{
    adr_index_row_t row;
    adr_index_t *index = memory_index_of (trio_node[zone].w->index);
    assert_int_equal (index->get (index, ADR_TABLE_KV, fixture_text (key), &row), 0);
    memory_disk_segment (trio_node[zone].w->disk, row.place.segment)->now[row.place.offset + row.place.size - 1] ^= 1;
}

/* --- what their replicators say and do -------------------------------------------------------------------------- */

static adr_voters_t
s_voters (unsigned count)
{
    adr_voters_t voters = { .at = { TRIO_TERM, 1 }, .quorum = 2, .count = count };
    for (unsigned zone = 1; zone <= count; zone++)
        voters.voter[zone - 1] = (adr_voter_t){ harness_address (zone, ADR_NODE_META, 0).node, 100 + zone };
    return voters;
}

void
trio_say_state (unsigned zone)
{
    trio_node_t *node = &trio_node[zone];
    adr_voters_t voters = s_voters (node->voters);
    if (node->guest)
        voters.voter[zone - 1] = voters.voter[--voters.count];
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
    message.commit = trio_commit;
    message.term = TRIO_TERM;
    message.doubts = adr_store_doubts (node->w->store);
    message.voters = adr_voter_set_fill (&fill, &voters);
    harness_message (&node->harness, harness_address (zone, ADR_NODE_META, ADR_ACTOR_REPLICATOR), ADR_NODE_META,
                     ADR__KIND__REPAIR_STATE, &message.base, adr_bytes (NULL, 0));
}

void
trio_take_place (adr_bytes_t rest)
{
    trio_node_t *node = &trio_node[1];
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
    trio_say_state (1);
}

static void
s_take_drop (adr_bytes_t rest)
{
    while (rest.size) {
        adr_inventory_row_t row;
        size_t size = adr_inventory_row_get (&row, rest);
        assert_int_not_equal (size, 0);
        adr_store_drop (trio_node[1].w->store, row.table, row.key, &row.version);
        rest = adr_bytes (rest.data + size, rest.size - size);
    }
    fixture_run (trio_node[1].w);
    trio_say_state (1);
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
        adr_store_place_bare (trio_node[1].w->store, &bare);
        rest = adr_bytes (rest.data + size, rest.size - size);
    }
    fixture_run (trio_node[1].w);
    trio_say_state (1);
}

static void
s_answer_base (adr_address_t from, const Adr__BaseAsk *ask)
{
    adr_voters_t voters = s_voters (TRIO_ZONES);
    adr_voter_set_t fill;
    Adr__Base base = ADR__BASE__INIT;
    if (trio_base_silent)
        return;
    base.number = ask->number;
    base.ok = trio_base_ok;
    base.term = TRIO_TERM;
    base.index = ask->index;
    base.voters = adr_voter_set_fill (&fill, &voters);
    base.log_start = trio_base_log_start;
    base.log_end = trio_base_log_end;
    base.leads = trio_base_leads;
    trio_base_ok = true;
    harness_message (&trio_node[1].harness, from, ADR_NODE_META, ADR__KIND__BASE, &base.base, adr_bytes (NULL, 0));
}

/* --- what is carried -------------------------------------------------------------------------------------------- */

static void
s_answer (unsigned zone, const harness_sent_t *sent)
{
    adr_buffer_t payload = { 0 };
    adr_buffer_append (&payload, sent->payload.data, sent->payload.size);
    if (zone == trio_liar && sent->kind == trio_lie_kind) {
        trio_spoilt++;
        trio_lie (&payload, (ProtobufCMessage *) (uintptr_t) sent->header);
    }
    harness_message (&trio_node[1].harness, harness_address (zone, ADR_NODE_META, ADR_ACTOR_INVENTORY_SYNCER), ADR_NODE_META,
                     sent->kind, sent->header, adr_bytes (payload.data, payload.size));
    adr_buffer_free (&payload);
}

static void
s_ask_node (unsigned zone, const harness_sent_t *sent)
{
    trio_node_t *node = &trio_node[zone];
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
    if (sent->kind == ADR__KIND__PLACE && !trio_holds)
        trio_take_place (sent->payload);
    else if (sent->kind == ADR__KIND__QUARANTINE)
        s_take_quarantine (adr_bytes (sent->payload.data, sent->payload.size));
    else if (sent->kind == ADR__KIND__DROP)
        s_take_drop (sent->payload);
    else if (sent->kind == ADR__KIND__BASE_ASK) {
        trio_node[zone].asked[sent->kind]++;
        s_answer_base (sent->to, (const Adr__BaseAsk *) sent->header);
    } else if (sent->to.actor == ADR_ACTOR_INVENTORY_SYNCER && zone != 1)
        s_ask_node (zone, sent);
}

void
trio_carry (void)
{
    trio_node_t *node = &trio_node[1];
    for (; node->seen < node->harness.sent_count; node->seen++) {
        assert_true (s_turns++ < S_TURNS_MAX);
        harness_sent_t sent = node->harness.sent[node->seen]; /* the array may move */
        s_carry_one (&sent);
    }
}

void
trio_advance (int64_t ns)
{
    for (int64_t passed = 0; passed < ns; passed += 50 * ADR_MS) {
        harness_advance (&trio_node[1].harness, 50 * ADR_MS);
        trio_carry ();
    }
}

void
trio_copying (void)
{
    for (unsigned zone = 2; zone <= TRIO_ZONES; zone++)
        trio_say_state (zone);
    trio_node[1].sync = ADR_SYNC_COPYING;
    trio_node[1].proven = false;
    trio_say_state (1);
    trio_carry ();
}

void
trio_diverge (unsigned zone, uint32_t first, uint32_t count)
{
    uint8_t partitions[(TRIO_PARTITIONS + 1) * 4];
    Adr__Diverged diverged = ADR__DIVERGED__INIT;
    adr_id_t node = harness_address (zone, ADR_NODE_META, 0).node;
    for (unsigned i = 1; i <= TRIO_ZONES; i++)
        trio_say_state (i);
    for (uint32_t i = 0; i < count; i++)
        adr_put_u32 (partitions + 4 * i, first + i);
    diverged.node = adr_id_view (&node);
    diverged.term = TRIO_TERM;
    diverged.index = TRIO_RECORDS;
    harness_message (&trio_node[1].harness, harness_address (1, ADR_NODE_META, ADR_ACTOR_MERKLE_GOSSIPER), ADR_NODE_META,
                     ADR__KIND__DIVERGED, &diverged.base, adr_bytes (partitions, 4 * count));
    trio_carry ();
}

void
trio_mending (unsigned zone)
{
    trio_diverge (zone, 0, TRIO_PARTITIONS + 1);
}

size_t
trio_sent (uint16_t kind)
{
    return harness_count (&trio_node[1].harness, kind);
}

void
trio_all_write (void)
{
    for (unsigned zone = 1; zone <= TRIO_ZONES; zone++)
        trio_write_some (zone);
}

void
trio_wound (const char *key)
{
    adr_buffer_t keys = { 0 };
    Adr__Wounds wounds = ADR__WOUNDS__INIT;
    adr_wound_put (&keys, ADR_TABLE_KV, fixture_text (key));
    harness_message (&trio_node[1].harness, harness_address (1, ADR_NODE_META, ADR_ACTOR_SCRUBBER), ADR_NODE_META,
                     ADR__KIND__WOUNDS, &wounds.base, adr_bytes (keys.data, keys.size));
    adr_buffer_free (&keys);
    trio_carry ();
}
