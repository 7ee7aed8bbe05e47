/* SPDX-License-Identifier: MPL-2.0 */
/* A replicator and its world: see replicator_fixture.h. */

#include "replicator_fixture.h"

#include "actors/replicator_private.h"

#include "core/entry.h"
#include "core/limits.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

fixture_t fixture;
static const adr_bytes_t s_nothing;

static void
s_begin (void)
{
    adr_environment_t environment
        = { .cluster = fixture.map->cluster, .node = fixture_meta (1, 0).node, .type = ADR_NODE_META,
            .group = harness_id (0xb0 + ADR_NODE_META), .incarnation = 101, .boot = 1, .seed = 7, .map = fixture.map,
            .store = fixture.store };
    adr_settings_default (&environment.settings);
    harness_start (&fixture.harness, &adr_replicator_class, &environment);
}

int
fixture_start_with (uint32_t voters)
{
    char why[256];
    for (unsigned zone = 1; zone <= 3; zone++)
        fixture.incarnation[zone] = 100 + zone;
    fixture.map = harness_map (3);
    fixture.map->group[0].founding.count = voters;
    fixture.disk = memory_disk_create ();
    fixture.state = memory_state_create ();
    fixture.index = memory_index_create ();
    memory_entropy_init (&fixture.entropy, 7);
    adr_store_options_t options
        = { .cluster = fixture.map->cluster, .node = fixture_meta (1, 0).node,
            .group = harness_id (0xb0 + ADR_NODE_META), .segment_bytes = ADR_STORE_SEGMENT_MIN, .flush_bytes = 1024 * 1024,
            .flush_every_ns = 1000 * ADR_MS, .cache_bytes = 0, /* all is read from the disk */
            .memory_max_bytes = 16 * 1024 * 1024, .first_incarnation = 101, .founding = fixture.map->group[0].founding };
    assert_int_equal (adr_store_open (&fixture.store, &options, &fixture.disk->disk, &fixture.state->state,
                                      memory_index_of (fixture.index), &fixture.entropy.entropy, why, sizeof why),
                      ADR_STORE_NEW);
    s_begin ();
    return 0;
}

int
fixture_start (void **state)
{
    (void) state;
    return fixture_start_with (3);
}

void
fixture_restart (void)
{
    harness_stop (&fixture.harness);
    s_begin ();
}

adr_settings_t *
fixture_settings (void)
{
    return &((replicator_t *) fixture.harness.actor)->settings_now;
}

int
fixture_stop (void **state)
{
    (void) state;
    harness_stop (&fixture.harness);
    adr_store_destroy (&fixture.store);
    memory_disk_destroy (&fixture.disk);
    memory_state_destroy (&fixture.state);
    memory_index_destroy (&fixture.index);
    adr_map_destroy (&fixture.map);
    return 0;
}

adr_address_t
fixture_meta (unsigned zone, adr_actor_kind_t actor)
{
    return harness_address (zone, ADR_NODE_META, actor);
}

void
fixture_tell (unsigned zone, adr_actor_kind_t actor, uint16_t kind, const ProtobufCMessage *header)
{
    harness_message (&fixture.harness, fixture_meta (zone, actor), ADR_NODE_META, kind, header, s_nothing);
}

void
fixture_sync (void)
{
    adr_store_job_t *job;
    if (fixture.disk_stands)
        return;
    while ((job = adr_store_job_next (fixture.store, ADR_LANE_SYNC, fixture.harness.now_ns))
           || (job = adr_store_job_next (fixture.store, ADR_LANE_BACKGROUND, fixture.harness.now_ns))) {
        adr_store_job_write (fixture.store, job);
        adr_store_job_sync (fixture.store, job);
        assert_int_equal (job->error, 0);
        harness_event (&fixture.harness, (adr_event_t){ .kind = ADR_EVENT_JOB_DONE, .job = job });
    }
}

/* --- election and health_checker ---------------------------------------------------------------------------------- */

void
fixture_lead (uint64_t term)
{
    Adr__Fence fence = ADR__FENCE__INIT;
    Adr__Lead lead = ADR__LEAD__INIT;
    fence.term = lead.term = term;
    fixture_tell (1, ADR_ACTOR_ELECTION, ADR__KIND__FENCE, &fence.base);
    harness_durable (&fixture.harness);
    fixture_tell (1, ADR_ACTOR_ELECTION, ADR__KIND__LEAD, &lead.base);
    fixture_sync ();
}

void
fixture_lead_with_ten_entries (void)
{
    fixture_lead (1);
    for (unsigned zone = 2; zone <= 3; zone++) {
        fixture_answered (zone, 1, 1);
        fixture_ack (zone, 1, 1);
    }
    for (uint64_t n = 1; n <= 9; n++)
        fixture_write (n);
    fixture_ack (2, 1, 10);
    fixture_ack (3, 1, 10);
    assert_int_equal (adr_store_commit (fixture.store), 10);
    harness_forget (&fixture.harness);
}

static void
s_answered (unsigned zone, uint64_t term, uint64_t boot, int64_t sent_ns, adr_space_t space)
{
    Adr__Answered answered = ADR__ANSWERED__INIT;
    adr_id_t node = fixture_meta (zone, 0).node;
    answered.voter = adr_id_view (&node);
    answered.incarnation = fixture.incarnation[zone];
    answered.boot = boot;
    answered.term = term;
    answered.sent_ns = sent_ns;
    answered.promise_ms = 500;
    answered.space = space;
    fixture_tell (1, ADR_ACTOR_HEALTH_CHECKER, ADR__KIND__ANSWERED, &answered.base);
}

void
fixture_answered (unsigned zone, uint64_t term, uint64_t boot)
{
    s_answered (zone, term, boot, fixture.harness.now_ns, ADR_SPACE_OK);
}

void
fixture_answered_poll_of (unsigned zone, int64_t sent_ns)
{
    s_answered (zone, 1, 1, sent_ns, ADR_SPACE_OK);
}

void
fixture_answered_space (unsigned zone, adr_space_t space)
{
    s_answered (zone, 1, 1, fixture.harness.now_ns, space);
}

/* --- the other members -------------------------------------------------------------------------------------------- */

void
fixture_append (adr_address_t from, uint64_t term, adr_position_t previous, uint32_t count)
{
    Adr__Append append = ADR__APPEND__INIT;
    adr_entry_t entry = { .kind = ADR_ENTRY_OPEN, .term = term, .index = previous.index + 1, .time_ms = 1000,
                          .epoch = 1 };
    uint8_t bytes[256];
    adr_entry_encode (&entry, bytes);
    append.term = term;
    append.prev_term = previous.term;
    append.prev_index = previous.index;
    append.count = count;
    append.incarnation = 101;
    harness_message (&fixture.harness, from, ADR_NODE_META, ADR__KIND__APPEND, &append.base,
                     count ? adr_bytes (bytes, adr_entry_size (&entry)) : s_nothing);
}

void
fixture_ack_of_boot (unsigned zone, uint64_t boot, uint64_t term, uint64_t confirmed)
{
    Adr__AppendAck ack = ADR__APPEND_ACK__INIT;
    ack.term = term;
    ack.incarnation = fixture.incarnation[zone];
    ack.confirmed = confirmed;
    ack.boot = boot;
    fixture_tell (zone, ADR_ACTOR_REPLICATOR, ADR__KIND__APPEND_ACK, &ack.base);
}

void
fixture_ack (unsigned zone, uint64_t term, uint64_t confirmed)
{
    fixture_ack_of_boot (zone, 1, term, confirmed);
}

/* --- the edge ----------------------------------------------------------------------------------------------------- */

void
fixture_write_ops (uint64_t number, Adr__Op *op, size_t count, adr_bytes_t payload, adr_id_t origin)
{
    Adr__Write write = ADR__WRITE__INIT;
    Adr__Op *ops[ADR_OPS_MAX];
    uint8_t id[ADR_REQUEST_ID_SIZE] = { (uint8_t) number };
    for (size_t i = 0; i < count; i++)
        ops[i] = &op[i];
    write.number = number;
    write.request = (ProtobufCBinaryData){ sizeof id, id };
    write.origin = adr_id_view (&origin);
    write.n_op = count;
    write.op = ops;
    harness_message (&fixture.harness, harness_address (1, ADR_NODE_EDGE, ADR_ACTOR_EDGE_ROUTER), ADR_NODE_EDGE,
                     ADR__KIND__WRITE, &write.base, payload);
    fixture_sync ();
}

void
fixture_write_if (uint64_t number, uint8_t key, Adr__Condition condition)
{
    Adr__Op op = ADR__OP__INIT;
    op.table = ADR_TABLE_KV;
    op.key = (ProtobufCBinaryData){ 1, &key };
    op.value_size = 1;
    op.condition = condition;
    fixture_write_ops (number, &op, 1, adr_bytes ("v", 1), harness_address (1, ADR_NODE_EDGE, 0).node);
}

void
fixture_write (uint64_t number)
{
    fixture_write_if (number, (uint8_t) number, ADR__CONDITION__ALWAYS);
}

/* --- what the replicator sent ------------------------------------------------------------------------------------- */

const Adr__Append *
fixture_sent_to (unsigned zone)
{
    adr_id_t node = fixture_meta (zone, 0).node;
    const Adr__Append *found = NULL;
    const harness_sent_t *sent;
    for (size_t n = 0; (sent = harness_sent (&fixture.harness, ADR__KIND__APPEND, n)); n++)
        if (adr_id_equal (&sent->to.node, &node))
            found = (const Adr__Append *) sent->header;
    return found;
}

const ProtobufCMessage *
fixture_newest (uint16_t kind)
{
    size_t count = harness_count (&fixture.harness, kind);
    assert_int_not_equal (count, 0);
    return harness_sent (&fixture.harness, kind, count - 1)->header;
}
