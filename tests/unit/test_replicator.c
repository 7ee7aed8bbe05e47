/* SPDX-License-Identifier: MPL-2.0 */
/* The replicator over a real store in memory: what a hostile or unlucky peer can send it, restarts, log time. What
 * whole groups do is the simulator's business. */

#include "actor_harness.h"
#include "memory_disk.h"

#include "core/entry.h"
#include "core/limits.h"
#include "store/store.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

static harness_t s_harness;
static adr_map_t *s_map;
static memory_disk_t *s_disk;
static memory_state_t *s_state;
static memory_index_t *s_index;
static memory_entropy_t s_entropy;
static adr_store_t *s_store;
static const adr_bytes_t s_nothing;
static uint64_t s_incarnation[4]; /* of the zones' nodes */

static adr_address_t
s_meta (unsigned zone, adr_actor_kind_t actor)
{
    return harness_address (zone, ADR_NODE_META, actor);
}

static void
s_begin (uint64_t boot)
{
    adr_environment_t environment
        = { .cluster = s_map->cluster, .node = s_meta (1, 0).node, .type = ADR_NODE_META,
            .group = harness_id (0xb0 + ADR_NODE_META), .incarnation = 101, .boot = boot, .seed = 7, .map = s_map,
            .store = s_store };
    adr_settings_default (&environment.settings);
    harness_start (&s_harness, &adr_replicator_class, &environment);
}

/* Of the three zones' nodes the first so many are founding voters. */
static int
s_start_with (uint32_t voters)
{
    char why[256];
    for (unsigned zone = 1; zone <= 3; zone++)
        s_incarnation[zone] = 100 + zone;
    s_map = harness_map (3);
    s_map->group[0].founding.count = voters;
    s_disk = memory_disk_create ();
    s_state = memory_state_create ();
    s_index = memory_index_create ();
    memory_entropy_init (&s_entropy, 7);
    adr_store_options_t options
        = { .cluster = s_map->cluster, .node = s_meta (1, 0).node, .group = harness_id (0xb0 + ADR_NODE_META),
            .segment_bytes = ADR_STORE_SEGMENT_MIN, .flush_bytes = 1024 * 1024, .flush_every_ns = 1000 * ADR_MS,
            .cache_bytes = 0, /* all is read from the disk */ .memory_max_bytes = 16 * 1024 * 1024, .first_incarnation = 101,
            .founding = s_map->group[0].founding };
    assert_int_equal (adr_store_open (&s_store, &options, &s_disk->disk, &s_state->state, memory_index_of (s_index),
                                      &s_entropy.entropy, why, sizeof why),
                      ADR_STORE_NEW);
    s_begin (1);
    return 0;
}

static int
s_start (void **state)
{
    (void) state;
    return s_start_with (3);
}

static int
s_start_alone (void **state)
{
    (void) state;
    return s_start_with (1);
}

static int
s_stop (void **state)
{
    (void) state;
    harness_stop (&s_harness);
    adr_store_destroy (&s_store);
    memory_disk_destroy (&s_disk);
    memory_state_destroy (&s_state);
    memory_index_destroy (&s_index);
    adr_map_destroy (&s_map);
    return 0;
}

/* The disk does all that is due. */
static void
s_sync (void)
{
    adr_store_job_t *job;
    while ((job = adr_store_job_next (s_store, ADR_LANE_SYNC, s_harness.now_ns))
           || (job = adr_store_job_next (s_store, ADR_LANE_BACKGROUND, s_harness.now_ns))) {
        adr_store_job_write (s_store, job);
        adr_store_job_sync (s_store, job);
        assert_int_equal (job->error, 0);
        harness_event (&s_harness, (adr_event_t){ .kind = ADR_EVENT_JOB_DONE, .job = job });
    }
}

static void
s_from_election (uint16_t kind, const ProtobufCMessage *header)
{
    harness_message (&s_harness, s_meta (1, ADR_ACTOR_ELECTION), ADR_NODE_META, kind, header, s_nothing);
}

static void
s_lead (uint64_t term)
{
    Adr__Fence fence = ADR__FENCE__INIT;
    Adr__Lead lead = ADR__LEAD__INIT;
    fence.term = lead.term = term;
    s_from_election (ADR__KIND__FENCE, &fence.base);
    harness_durable (&s_harness);
    s_from_election (ADR__KIND__LEAD, &lead.base);
    s_sync ();
}

/* An append of meta1@z2 or of whoever, with one opening entry or none. */
static void
s_append (adr_address_t from, uint64_t term, adr_position_t previous, uint32_t count)
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
    harness_message (&s_harness, from, ADR_NODE_META, ADR__KIND__APPEND, &append.base,
                     count ? adr_bytes (bytes, adr_entry_size (&entry)) : s_nothing);
}

static void
s_ack_of_boot (unsigned zone, uint64_t boot, uint64_t term, uint64_t confirmed)
{
    Adr__AppendAck ack = ADR__APPEND_ACK__INIT;
    ack.term = term;
    ack.incarnation = s_incarnation[zone];
    ack.confirmed = confirmed;
    ack.boot = boot;
    harness_message (&s_harness, s_meta (zone, ADR_ACTOR_REPLICATOR), ADR_NODE_META, ADR__KIND__APPEND_ACK, &ack.base,
                     s_nothing);
}

static void
s_ack (unsigned zone, uint64_t term, uint64_t confirmed)
{
    s_ack_of_boot (zone, 1, term, confirmed);
}

static adr_space_t s_space; /* what members say of their disks */

static void
s_answered (unsigned zone, uint64_t term, uint64_t boot)
{
    Adr__Answered answered = ADR__ANSWERED__INIT;
    adr_id_t node = s_meta (zone, 0).node;
    answered.voter = adr_id_view (&node);
    answered.incarnation = s_incarnation[zone];
    answered.boot = boot;
    answered.term = term;
    answered.sent_ns = s_harness.now_ns;
    answered.promise_ms = 500;
    answered.space = s_space;
    harness_message (&s_harness, s_meta (1, ADR_ACTOR_HEALTH_CHECKER), ADR_NODE_META, ADR__KIND__ANSWERED,
                     &answered.base, s_nothing);
}

static void
s_write_if (uint64_t number, uint8_t key, Adr__Condition condition)
{
    Adr__Write write = ADR__WRITE__INIT;
    Adr__Op op = ADR__OP__INIT, *ops[] = { &op };
    uint8_t id[ADR_REQUEST_ID_SIZE] = { (uint8_t) number };
    adr_address_t edge = harness_address (1, ADR_NODE_EDGE, ADR_ACTOR_EDGE_ROUTER);
    op.table = ADR_TABLE_KV;
    op.key = (ProtobufCBinaryData){ 1, &key };
    op.value_size = 1;
    op.condition = condition;
    write.number = number;
    write.request = (ProtobufCBinaryData){ sizeof id, id };
    write.origin = adr_id_view (&edge.node);
    write.n_op = 1;
    write.op = ops;
    harness_message (&s_harness, edge, ADR_NODE_EDGE, ADR__KIND__WRITE, &write.base, adr_bytes ("v", 1));
    s_sync ();
}

static void
s_write (uint64_t number)
{
    s_write_if (number, (uint8_t) number, ADR__CONDITION__ALWAYS);
}

/* The newest append to that member, NULL if there is none. */
static const Adr__Append *
s_sent_to (unsigned zone)
{
    adr_id_t node = s_meta (zone, 0).node;
    const Adr__Append *found = NULL;
    const harness_sent_t *sent;
    for (size_t n = 0; (sent = harness_sent (&s_harness, ADR__KIND__APPEND, n)); n++)
        if (adr_id_equal (&sent->to.node, &node))
            found = (const Adr__Append *) sent->header;
    return found;
}

/* --- what no byte may do ---------------------------------------------------------------------------------------- */

static void
test_a_predecessor_that_contradicts_the_log_start_is_dropped (void **state) /* [REPL-1] */
{
    (void) state;
    s_append (s_meta (2, ADR_ACTOR_REPLICATOR), 5, (adr_position_t){ 4, 0 }, 1);
    assert_int_equal (adr_store_last (s_store).index, 0);
    s_append (s_meta (2, ADR_ACTOR_REPLICATOR), 5, (adr_position_t){ 0, 0 }, 1);
    assert_int_equal (adr_store_last (s_store).index, 1);
}

static void
test_a_term_near_its_end_raises_no_fence (void **state) /* [ELECT-5] */
{
    (void) state;
    s_append (s_meta (2, ADR_ACTOR_REPLICATOR), ADR_TERM_MAX + 1, (adr_position_t){ 0, 0 }, 0);
    assert_int_equal (s_harness.token_count, 0);
    s_append (s_meta (2, ADR_ACTOR_REPLICATOR), ADR_TERM_MAX, (adr_position_t){ 0, 0 }, 0);
    assert_int_equal (s_harness.token_count, 1);
}

static void
test_a_node_of_another_group_raises_no_fence (void **state) /* [ELECT-5] */
{
    (void) state;
    s_append (harness_address (2, ADR_NODE_DATA, ADR_ACTOR_REPLICATOR), 5, (adr_position_t){ 0, 0 }, 1);
    assert_int_equal (s_harness.token_count, 0);
    assert_int_equal (adr_store_last (s_store).index, 0);
}

/* --- a member that starts again ----------------------------------------------------------------------------------- */

static void
s_lead_with_ten_entries (void)
{
    s_lead (1);
    for (unsigned zone = 2; zone <= 3; zone++) {
        s_answered (zone, 1, 1);
        s_ack (zone, 1, 1);
    }
    for (uint64_t n = 1; n <= 9; n++)
        s_write (n);
    s_ack (2, 1, 10);
    s_ack (3, 1, 10);
    assert_int_equal (adr_store_commit (s_store), 10);
    harness_forget (&s_harness);
}

static void
test_a_member_that_lost_entries_over_a_restart_gets_them_in_the_same_term (void **state) /* [STORE-5] */
{
    (void) state;
    s_lead_with_ten_entries ();
    /* It comes back in the same term; entries from 5 on are damaged there. */
    s_answered (2, 1, 2);
    assert_non_null (s_sent_to (2));
    assert_int_equal (s_sent_to (2)->prev_index, 10);
    harness_forget (&s_harness);
    s_ack_of_boot (2, 2, 1, 4);
    assert_non_null (s_sent_to (2));
    assert_int_equal (s_sent_to (2)->prev_index, 4);
    assert_int_equal (s_sent_to (2)->count, 6);
}

static void
test_a_member_that_acknowledged_before_its_first_answer_and_restarted_is_probed (void **state) /* [REPL-2] */
{
    (void) state;
    s_lead (1);
    s_ack (2, 1, 1); /* it was stopping, and answered no poll of this term any more */
    s_ack (3, 1, 1);
    assert_int_equal (adr_store_commit (s_store), 1);
    s_answered (3, 1, 1);
    harness_forget (&s_harness);
    s_answered (2, 1, 2);
    assert_non_null (s_sent_to (2));
    assert_int_equal (s_sent_to (2)->prev_index, 1);
}

static void
test_an_acknowledgement_of_the_former_start_counts_for_nothing (void **state) /* [STORE-5] */
{
    (void) state;
    s_lead (1);
    s_answered (2, 1, 2);
    s_ack_of_boot (2, 1, 1, 1);
    assert_int_equal (adr_store_commit (s_store), 0);
    s_ack_of_boot (2, 2, 1, 1);
    assert_int_equal (adr_store_commit (s_store), 1);
}

/* --- entries that rot while the process runs [STORE-5] --------------------------------------------------------------- */

#define S_ROTTEN (UINT64_C (1) << 63)

/* Replaces the position in the entry's frame, wherever it stands. */
static void
s_overwrite (uint64_t term, uint64_t index, uint64_t by_index)
{
    uint8_t position[16];
    adr_put_u64 (position, term);
    adr_put_u64 (position + 8, index);
    bool found = false;
    for (size_t i = 0; i < s_disk->count; i++)
        for (uint64_t at = 0; at + 16 <= s_disk->segment[i].size; at++)
            if (memcmp (s_disk->segment[i].now + at, position, 16) == 0) {
                adr_put_u64 (s_disk->segment[i].now + at + 8, by_index);
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
    harness_message (&s_harness, s_meta (2, ADR_ACTOR_REPLICATOR), ADR_NODE_META, ADR__KIND__APPEND, &append.base,
                     s_nothing);
    s_sync ();
}

static const ProtobufCMessage *
s_newest (uint16_t kind)
{
    size_t count = harness_count (&s_harness, kind);
    assert_int_not_equal (count, 0);
    return harness_sent (&s_harness, kind, count - 1)->header;
}

static void
test_a_member_whose_entry_rots_before_it_is_applied_fetches_it (void **state) /* [STORE-5] */
{
    (void) state;
    for (uint64_t index = 1; index <= 3; index++) {
        s_append (s_meta (2, ADR_ACTOR_REPLICATOR), 5, (adr_position_t){ index > 1 ? 5 : 0, index - 1 }, 1);
        harness_durable (&s_harness);
        s_sync ();
    }
    assert_int_equal (((const Adr__AppendAck *) s_newest (ADR__KIND__APPEND_ACK))->confirmed, 3);
    s_rot (5, 2);
    s_append_commit (5, 3, 3);
    harness_advance (&s_harness, 5000 * ADR_MS);
    const Adr__AppendAck *ack = (const Adr__AppendAck *) s_newest (ADR__KIND__APPEND_ACK);
    assert_int_equal (ack->confirmed, 1);
    assert_int_equal (ack->missing_from, 2);
    assert_int_equal (adr_store_applied (s_store), 1);
    assert_false (((const Adr__Voters *) s_newest (ADR__KIND__VOTERS))->may_stand);
    assert_int_equal (s_harness.notes[ADR_LEVEL_ERROR] + s_harness.notes[ADR_LEVEL_WARNING], 1);
    s_append (s_meta (2, ADR_ACTOR_REPLICATOR), 5, (adr_position_t){ 5, 1 }, 1);
    s_sync ();
    ack = (const Adr__AppendAck *) s_newest (ADR__KIND__APPEND_ACK);
    assert_int_equal (ack->confirmed, 3);
    assert_int_equal (ack->missing_from, 0);
    assert_int_equal (adr_store_applied (s_store), 3);
    assert_int_equal (adr_store_missing_from (s_store), 0);
    assert_int_equal (s_harness.notes[ADR_LEVEL_ERROR] + s_harness.notes[ADR_LEVEL_WARNING], 1);
}

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
    harness_message (&s_harness, s_meta (2, ADR_ACTOR_REPLICATOR), ADR_NODE_META, ADR__KIND__APPEND, &append.base,
                     adr_bytes (s_bytes, adr_entry_size (&entry)));
}

static void
test_what_finds_no_room_is_not_answered_at_once (void **state)
{
    (void) state;
    s_append_large (1, 0);
    harness_durable (&s_harness);
    for (uint64_t index = 1; adr_store_has_room (s_store); index++)
        s_append_large (1, index);
    uint64_t last = adr_store_last (s_store).index;
    harness_forget (&s_harness);
    for (int i = 0; i < 10; i++)
        s_append_large (1, last);
    assert_int_equal (adr_store_last (s_store).index, last);
    assert_int_equal (harness_count (&s_harness, ADR__KIND__APPEND_ACK), 0);
    s_sync ();
    assert_int_equal (((const Adr__AppendAck *) s_newest (ADR__KIND__APPEND_ACK))->confirmed, last);
    s_append_large (1, last);
    assert_int_equal (adr_store_last (s_store).index, last + 1);
}

static void
test_a_member_that_takes_acknowledgements_back_gets_its_entries_again (void **state) /* [STORE-5] */
{
    (void) state;
    s_lead_with_ten_entries ();
    Adr__AppendAck ack = ADR__APPEND_ACK__INIT;
    ack.term = 1;
    ack.incarnation = 102;
    ack.boot = 1;
    ack.confirmed = 4;
    ack.missing_from = 5;
    harness_message (&s_harness, s_meta (2, ADR_ACTOR_REPLICATOR), ADR_NODE_META, ADR__KIND__APPEND_ACK, &ack.base,
                     s_nothing);
    assert_non_null (s_sent_to (2));
    assert_int_equal (s_sent_to (2)->prev_index, 4);
    assert_int_equal (s_sent_to (2)->count, 6);
    harness_forget (&s_harness);
    harness_message (&s_harness, s_meta (2, ADR_ACTOR_REPLICATOR), ADR_NODE_META, ADR__KIND__APPEND_ACK, &ack.base,
                     s_nothing); /* an answer to what was on its way: nothing is sent twice */
    assert_null (s_sent_to (2));
}

/* It lost them before it had acknowledged them, and under load its acknowledgements do not cease. */
static void
test_a_member_that_lost_what_it_had_not_acknowledged_gets_it_again (void **state) /* [STORE-5] */
{
    (void) state;
    s_lead_with_ten_entries ();
    Adr__AppendAck ack = ADR__APPEND_ACK__INIT;
    ack.term = 1;
    ack.incarnation = 102;
    ack.boot = 1;
    ack.confirmed = 10;
    ack.missing_from = 11;
    bool again = false;
    for (uint64_t n = 10; n < 30 && !again; n++) {
        harness_forget (&s_harness);
        s_answered (2, 1, 1);
        s_write (n);
        s_ack (3, 1, n + 1);
        harness_message (&s_harness, s_meta (2, ADR_ACTOR_REPLICATOR), ADR_NODE_META, ADR__KIND__APPEND_ACK, &ack.base,
                         s_nothing);
        harness_advance (&s_harness, 50 * ADR_MS);
        again = n > 10 && s_sent_to (2) && s_sent_to (2)->prev_index == 10;
    }
    assert_true (again);
}

static void
test_a_master_that_cannot_read_its_own_entry_hands_over (void **state) /* [STORE-5] */
{
    (void) state;
    s_lead_with_ten_entries ();
    s_write (10);
    s_write (11);
    s_ack (3, 1, 12); /* what was read ahead is of these now */
    s_rot (1, 6);
    s_answered (2, 1, 2);
    s_ack_of_boot (2, 2, 1, 5);
    assert_int_equal (harness_count (&s_harness, ADR__KIND__RESIGN), 0); /* the disk may only have stuttered */
    harness_advance (&s_harness, 200 * ADR_MS);
    assert_int_equal (harness_count (&s_harness, ADR__KIND__RESIGN), 1);
    assert_int_equal (adr_store_missing_from (s_store), 6);
    assert_false (((const Adr__Voters *) s_newest (ADR__KIND__VOTERS))->may_stand);
}

static void
test_a_disk_that_stuttered_costs_no_mastership (void **state) /* [STORE-5] */
{
    (void) state;
    s_lead_with_ten_entries ();
    s_write (10);
    s_write (11);
    s_ack (3, 1, 12);
    s_rot (1, 6);
    s_answered (2, 1, 2);
    s_ack_of_boot (2, 2, 1, 5);
    s_unrot (1, 6);
    for (int i = 0; i < 20; i++) {
        s_answered (2, 1, 2);
        harness_advance (&s_harness, 100 * ADR_MS);
    }
    assert_int_equal (adr_store_missing_from (s_store), 0);
    assert_int_equal (harness_count (&s_harness, ADR__KIND__RESIGN), 0);
    assert_int_equal (s_sent_to (2)->prev_index + s_sent_to (2)->count, 12);
}

/* --- a member that comes back as somebody new --------------------------------------------------------------------- */

/* Its syncs take three ticks, and writes come all the while: it never has the log's end, and yet it keeps up. */
static void
test_a_new_incarnation_with_a_slow_disk_is_admitted_under_load (void **state) /* [ELECT-7, READ-4] */
{
    (void) state;
    uint64_t held[6] = { 0 };
    s_lead (1);
    s_incarnation[3] = 203;
    for (uint64_t n = 0; n < 300; n++) {
        harness_advance (&s_harness, 10 * ADR_MS);
        if (n % 10 == 0)
            for (unsigned zone = 2; zone <= 3; zone++)
                s_answered (zone, 1, 1);
        s_write (n % 250);
        s_ack (2, 1, adr_store_last (s_store).index);
        s_ack (3, 1, held[n % 6]);
        held[n % 6] = adr_store_last (s_store).index;
    }
    adr_id_t node = s_meta (3, 0).node;
    assert_true (adr_voters_find (adr_store_voters (s_store), &node, 203) >= 0);
}

/* Neither is one admitted that falls behind ever further. */
static void
test_a_new_incarnation_that_does_not_keep_up_is_not_admitted (void **state) /* [ELECT-7] */
{
    (void) state;
    s_lead (1);
    s_incarnation[3] = 203;
    for (uint64_t n = 0; n < 300; n++) {
        harness_advance (&s_harness, 10 * ADR_MS);
        if (n % 10 == 0)
            for (unsigned zone = 2; zone <= 3; zone++)
                s_answered (zone, 1, 1);
        s_write (n % 250);
        s_ack (2, 1, adr_store_last (s_store).index);
        s_ack (3, 1, adr_store_last (s_store).index / 2);
    }
    adr_id_t node = s_meta (3, 0).node;
    assert_int_equal (adr_voters_find (adr_store_voters (s_store), &node, 203), -1);
    assert_int_equal (adr_store_voters (s_store)->count, 2);
}

/* --- questions ------------------------------------------------------------------------------------------------------ */

/* A strong read comes; returns the number of the question that it makes the member ask. */
static uint64_t
s_question (void)
{
    Adr__Read read = ADR__READ__INIT;
    adr_address_t edge = harness_address (1, ADR_NODE_EDGE, ADR_ACTOR_EDGE_ROUTER);
    s_append (s_meta (2, ADR_ACTOR_REPLICATOR), 5, (adr_position_t){ 0, 0 }, 0);
    harness_forget (&s_harness);
    read.number = 1;
    read.table = ADR_TABLE_KV;
    read.limit_ms = 1000;
    read.key = (ProtobufCBinaryData){ 1, (uint8_t *) "k" };
    read.origin = adr_id_view (&edge.node);
    harness_message (&s_harness, edge, ADR_NODE_EDGE, ADR__KIND__READ, &read.base, s_nothing);
    const harness_sent_t *sent = harness_sent (&s_harness, ADR__KIND__READ_INDEX, 0);
    assert_non_null (sent);
    return ((const Adr__ReadIndex *) sent->header)->number;
}

static void
test_a_lost_disk_does_not_ask_its_former_lifes_questions (void **state) /* [READ-2] */
{
    (void) state;
    uint64_t former = s_question ();
    adr_environment_t environment = s_harness.environment;
    harness_stop (&s_harness);
    environment.incarnation = 999; /* the boot counter starts anew with the store */
    harness_start (&s_harness, &adr_replicator_class, &environment);
    Adr__Append append = ADR__APPEND__INIT;
    append.term = 5;
    append.incarnation = 999;
    harness_message (&s_harness, s_meta (2, ADR_ACTOR_REPLICATOR), ADR_NODE_META, ADR__KIND__APPEND, &append.base,
                     s_nothing);
    assert_int_not_equal (s_question (), former);
}

static void
s_answer_question_from (adr_node_type_t type, uint64_t number)
{
    Adr__ReadIndexAnswer answer = ADR__READ_INDEX_ANSWER__INIT;
    answer.number = number;
    answer.ok = true;
    answer.term = 5;
    harness_message (&s_harness, harness_address (2, type, ADR_ACTOR_REPLICATOR), type, ADR__KIND__READ_INDEX_ANSWER,
                     &answer.base, s_nothing);
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
    assert_null (harness_sent (&s_harness, ADR__KIND__ANSWER, 0));
    s_answer_question (number);
    assert_non_null (harness_sent (&s_harness, ADR__KIND__ANSWER, 0));
}

static void
test_a_question_is_answered_by_a_master_that_is_farther_than_the_repeat (void **state) /* [READ-2] */
{
    (void) state;
    uint64_t first = s_question ();
    harness_advance (&s_harness, 150 * ADR_MS); /* asked again meanwhile */
    assert_non_null (harness_sent (&s_harness, ADR__KIND__READ_INDEX, 1));
    s_answer_question (first);
    assert_non_null (harness_sent (&s_harness, ADR__KIND__ANSWER, 0));
}

static void
test_a_read_shares_no_question_that_left_before_it_came (void **state) /* [READ-2] */
{
    (void) state;
    uint64_t first = s_question ();
    harness_advance (&s_harness, 50 * ADR_MS);
    Adr__Read read = ADR__READ__INIT;
    adr_address_t edge = harness_address (1, ADR_NODE_EDGE, ADR_ACTOR_EDGE_ROUTER);
    read.number = 2;
    read.table = ADR_TABLE_KV;
    read.limit_ms = 1000;
    read.key = (ProtobufCBinaryData){ 1, (uint8_t *) "k" };
    read.origin = adr_id_view (&edge.node);
    harness_message (&s_harness, edge, ADR_NODE_EDGE, ADR__KIND__READ, &read.base, s_nothing);
    s_answer_question (first);
    assert_non_null (harness_sent (&s_harness, ADR__KIND__ANSWER, 0));
    assert_null (harness_sent (&s_harness, ADR__KIND__ANSWER, 1));
}

/* --- what an edge, or who says to be one, may ask --------------------------------------------------------------------- */

/* A write from the edge of zone 1, whose answer goes to `origin`. */
static void
s_ask_write (uint64_t number, Adr__Op *op, size_t count, adr_bytes_t payload, adr_id_t origin)
{
    Adr__Write write = ADR__WRITE__INIT;
    Adr__Op *ops[ADR_OPS_MAX];
    uint8_t id[ADR_REQUEST_ID_SIZE] = { (uint8_t) number, 1 };
    for (size_t i = 0; i < count; i++)
        ops[i] = &op[i];
    write.number = number;
    write.request = (ProtobufCBinaryData){ sizeof id, id };
    write.origin = adr_id_view (&origin);
    write.n_op = count;
    write.op = ops;
    harness_forget (&s_harness);
    harness_message (&s_harness, harness_address (1, ADR_NODE_EDGE, ADR_ACTOR_EDGE_ROUTER), ADR_NODE_EDGE,
                     ADR__KIND__WRITE, &write.base, payload);
    s_sync ();
}

static Adr__Op
s_op (uint8_t *key, size_t size, bool release)
{
    Adr__Op op = ADR__OP__INIT;
    op.table = ADR_TABLE_KV;
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
    s_lead (1);
    Adr__Op first = s_op (&key, ADR_VALUE_MAX, false), second = s_op (&key, ADR_VALUE_MAX, true);
    s_ask_write (1, &first, 1, adr_bytes (value, ADR_VALUE_MAX), edge);
    assert_int_equal (adr_store_last (s_store).index, 2);
    s_ask_write (2, &second, 1, adr_bytes (value, ADR_VALUE_MAX), edge);
    const harness_sent_t *sent = harness_sent (&s_harness, ADR__KIND__ANSWER, 0);
    assert_non_null (sent);
    assert_int_equal (((const Adr__Answer *) sent->header)->status, ADR_STATUS_INVALID);
    assert_int_equal (adr_store_last (s_store).index, 2);
    free (value);
}

static void
test_a_write_has_as_many_operations_as_the_edge_lets_through (void **state) /* [EDGE-5] */
{
    (void) state;
    adr_id_t edge = harness_address (1, ADR_NODE_EDGE, 0).node;
    uint8_t key[ADR_OPS_MAX];
    Adr__Op op[ADR_OPS_MAX];
    s_lead (1);
    for (uint8_t i = 0; i < ADR_OPS_MAX; i++) {
        key[i] = i + 1;
        op[i] = s_op (&key[i], 0, false);
    }
    s_ask_write (1, op, ADR_OPS_MAX, s_nothing, edge);
    assert_int_equal (adr_store_last (s_store).index, 2);
    for (uint8_t i = 0; i < ADR_OPS_MAX / 2; i++)
        op[i].release = true;
    s_ask_write (2, op, ADR_OPS_MAX / 2, s_nothing, edge);
    assert_int_equal (adr_store_last (s_store).index, 3);
    s_ask_write (3, op, ADR_OPS_MAX / 2 + 1, s_nothing, edge); /* one more record than an entry holds */
    assert_int_equal (adr_store_last (s_store).index, 3);
}

static void
test_an_edge_sends_nobody_else_an_answer (void **state) /* [TRUST-4] */
{
    (void) state;
    uint8_t key = 'k';
    Adr__Op op = s_op (&key, 0, false);
    s_lead (1);
    s_ask_write (1, &op, 1, s_nothing, harness_address (2, ADR_NODE_META, 0).node);
    assert_int_equal (harness_count (&s_harness, ADR__KIND__ANSWER), 0);
    assert_int_equal (adr_store_last (s_store).index, 1);
}

/* --- damage --------------------------------------------------------------------------------------------------------- */

static void
test_a_master_that_cannot_read_a_record_writes_it_blindly_or_resigns (void **state) /* [STORE-10] */
{
    (void) state;
    s_lead (1);
    s_write (7);
    s_ack (2, 1, 2);
    s_ack (3, 1, 2);
    s_answered (2, 1, 1);
    s_answered (3, 1, 1);
    harness_advance (&s_harness, 3000 * ADR_MS);
    s_sync ();
    harness_advance (&s_harness, 3000 * ADR_MS);
    s_sync ();
    assert_int_not_equal (memory_index_count (s_index), 0);
    memory_index_spoil (s_index);
    uint64_t last = adr_store_last (s_store).index;
    harness_forget (&s_harness);
    s_write_if (8, 7, ADR__CONDITION__EXISTS);
    assert_int_equal (adr_store_last (s_store).index, last);
    assert_non_null (harness_sent (&s_harness, ADR__KIND__RESIGN, 0));
    s_write_if (9, 7, ADR__CONDITION__ALWAYS);
    assert_int_equal (adr_store_last (s_store).index, last + 1);
}

/* --- log time ------------------------------------------------------------------------------------------------------- */

static uint64_t
s_time_of (uint64_t index)
{
    adr_buffer_t buffer = { 0 };
    adr_status_t status;
    adr_entry_t *entry = adr_alloc (sizeof *entry);
    assert_int_equal (adr_store_read_log (s_store, index, 1, &buffer, &status), 1);
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
    s_lead (1);
    for (unsigned minute = 0; minute < 60; minute++) { /* a long mastership earns no leap */
        harness_advance (&s_harness, 60000 * ADR_MS);
        s_write (minute % 200);
    }
    uint64_t last = adr_store_last (s_store).index, before = s_time_of (last);
    s_harness.wall_ms += 1800 * 1000;
    harness_advance (&s_harness, 1000 * ADR_MS);
    s_write (100);
    assert_int_equal (adr_store_last (s_store).index, last + 1);
    uint64_t step = s_time_of (last + 1) - before;
    assert_true (step >= 1000 && step <= 2002);
}

/* An entry of a wall clock that runs ahead, which nobody else ever had, and which is cut. */
static void
test_log_time_goes_on_from_what_the_log_holds (void **state) /* [PART-4] */
{
    (void) state;
    s_harness.wall_ms += 3600 * 1000;
    s_lead (1);
    assert_int_equal (adr_store_last (s_store).index, 1);
    s_append (s_meta (2, ADR_ACTOR_REPLICATOR), 2, (adr_position_t){ 0, 0 }, 1);
    harness_durable (&s_harness);
    s_sync ();
    assert_int_equal (s_time_of (1), 1000);
    s_lead (3);
    assert_int_equal (adr_store_last (s_store).index, 2);
    assert_true (s_time_of (2) <= 2000);
}

static void
test_log_time_goes_on_behind_a_wall_clock_that_was_ahead (void **state) /* [PART-4] */
{
    (void) state;
    s_lead (1);
    s_write (1);
    uint64_t before = s_time_of (adr_store_last (s_store).index);
    s_harness.wall_ms -= 3600 * 1000;
    for (uint64_t n = 2; n <= 201; n++) {
        harness_advance (&s_harness, 51 * ADR_MS + 1);
        s_write (n);
    }
    uint64_t step = s_time_of (adr_store_last (s_store).index) - before;
    assert_in_range (step, 200 * 51 / 2 - 2, 200 * 52 / 2);
}

static void
test_a_mastership_begins_above_the_log_time_that_it_found (void **state) /* [PART-4, REPL-5] */
{
    (void) state;
    s_lead (1);
    s_write (1);
    uint64_t before = s_time_of (adr_store_last (s_store).index);
    s_harness.wall_ms -= 3600 * 1000;
    size_t warnings = s_harness.notes[ADR_LEVEL_WARNING];
    s_lead (2);
    assert_true (s_time_of (adr_store_last (s_store).index) > before);
    assert_int_equal (s_harness.notes[ADR_LEVEL_WARNING], warnings + 1);
}

/* --- who may lead, and how a group grows ----------------------------------------------------------------------------- */

/* For so long the members of zones 2 to `last_zone` answer polls, and appends, too, if `acknowledge`. */
static void
s_live_on (unsigned last_zone, bool acknowledge, int64_t length_ns)
{
    for (int64_t passed = 0; passed < length_ns; passed += 50 * ADR_MS) {
        for (unsigned zone = 2; zone <= last_zone; zone++) {
            s_answered (zone, 1, 1);
            if (acknowledge)
                s_ack (zone, 1, adr_store_last (s_store).index);
        }
        harness_advance (&s_harness, 50 * ADR_MS);
        s_sync ();
    }
}

/* Its polls come through, and it has nothing to append: it asks, and hands over if nobody hears it. */
static void
test_a_master_whose_appends_nobody_answers_hands_over (void **state) /* [ELECT-9] */
{
    (void) state;
    s_lead (1);
    s_live_on (3, true, 4000 * ADR_MS);
    assert_int_equal (harness_count (&s_harness, ADR__KIND__RESIGN), 0);
    harness_forget (&s_harness);
    s_live_on (3, false, 1500 * ADR_MS);
    assert_true (harness_count (&s_harness, ADR__KIND__APPEND) >= 4); /* two to each */
    assert_int_equal (harness_count (&s_harness, ADR__KIND__RESIGN), 0);
    s_live_on (3, false, 700 * ADR_MS);
    assert_int_equal (harness_count (&s_harness, ADR__KIND__RESIGN), 1);
}

/* Two voters do not survive one lost disk: a group that is to have three does not stop there. */
static void
test_a_group_grows_from_one_to_three (void **state) /* [ELECT-10] */
{
    (void) state;
    s_lead (1);
    s_live_on (2, true, 3000 * ADR_MS); /* the third is not there yet */
    assert_int_equal (adr_store_voters (s_store)->count, 1);
    s_live_on (3, true, 900 * ADR_MS); /* it has caught up, and must stay so for a maximum election timeout */
    assert_int_equal (adr_store_voters (s_store)->count, 1);
    s_live_on (3, true, 400 * ADR_MS);
    assert_int_equal (adr_store_voters (s_store)->count, 3);
}

/* --- reads by quorum ------------------------------------------------------------------------------------------------ */

static void
s_answered_poll_of (unsigned zone, int64_t sent_ns)
{
    Adr__Answered answered = ADR__ANSWERED__INIT;
    adr_id_t node = s_meta (zone, 0).node;
    answered.voter = adr_id_view (&node);
    answered.incarnation = s_incarnation[zone];
    answered.boot = 1;
    answered.term = 1;
    answered.sent_ns = sent_ns;
    answered.promise_ms = 500;
    harness_message (&s_harness, s_meta (1, ADR_ACTOR_HEALTH_CHECKER), ADR_NODE_META, ADR__KIND__ANSWERED,
                     &answered.base, s_nothing);
}

/* A guest may have been paused between the answer to a poll and the read: only polls that left after the read came tell
 * that nobody else was elected before it. */
static void
test_a_read_by_quorum_waits_for_polls_sent_after_it_came (void **state) /* [READ-6] */
{
    (void) state;
    s_harness.environment.settings.reads_by_quorum = 1;
    s_lead_with_ten_entries ();
    s_answered (2, 1, 1);
    s_answered (3, 1, 1);
    harness_advance (&s_harness, 10 * ADR_MS);
    int64_t before = s_harness.now_ns;
    harness_advance (&s_harness, 10 * ADR_MS);
    Adr__Read read = ADR__READ__INIT;
    Adr__ReadIndex question = ADR__READ_INDEX__INIT;
    adr_address_t edge = harness_address (1, ADR_NODE_EDGE, ADR_ACTOR_EDGE_ROUTER);
    read.number = 77;
    read.table = ADR_TABLE_KV;
    read.limit_ms = 1000;
    read.key = (ProtobufCBinaryData){ 1, (uint8_t *) "k" };
    read.origin = adr_id_view (&edge.node);
    question.number = 5;
    harness_message (&s_harness, edge, ADR_NODE_EDGE, ADR__KIND__READ, &read.base, s_nothing);
    harness_message (&s_harness, s_meta (2, ADR_ACTOR_REPLICATOR), ADR_NODE_META, ADR__KIND__READ_INDEX,
                     &question.base, s_nothing);
    harness_advance (&s_harness, 10 * ADR_MS);
    s_answered_poll_of (2, before); /* it left before the read came: its answer proves nothing */
    assert_int_equal (harness_count (&s_harness, ADR__KIND__ANSWER), 0);
    assert_int_equal (harness_count (&s_harness, ADR__KIND__READ_INDEX_ANSWER), 0);
    s_answered_poll_of (2, s_harness.now_ns); /* with itself, two of three */
    assert_int_equal (harness_count (&s_harness, ADR__KIND__ANSWER), 1);
    assert_int_equal (harness_count (&s_harness, ADR__KIND__READ_INDEX_ANSWER), 1);
}

static void
s_say_space (unsigned zone, adr_space_t space)
{
    s_space = space;
    s_answered (zone, 1, 1);
    s_space = ADR_SPACE_OK;
}

static void
test_puts_need_space_at_as_many_voters_as_a_commit (void **state) /* [STORE-11] */
{
    (void) state;
    s_lead_with_ten_entries ();
    s_say_space (2, ADR_SPACE_SECOND_MARK);
    s_write (20);
    assert_int_equal (adr_store_last (s_store).index, 11); /* one full zone stops nobody */
    s_say_space (3, ADR_SPACE_FIRST_MARK);
    s_write (21);
    assert_int_equal (adr_store_last (s_store).index, 11);
    assert_int_equal (((const Adr__Answer *) s_newest (ADR__KIND__ANSWER))->status, ADR_STATUS_FULL);
    s_say_space (2, ADR_SPACE_OK);
    s_write (22);
    assert_int_equal (adr_store_last (s_store).index, 12);
}

static void
test_a_full_member_is_asked_seldom_and_gets_all_once_it_has_space (void **state) /* [STORE-11] */
{
    (void) state;
    s_lead_with_ten_entries ();
    for (uint64_t n = 20; n <= 22; n++)
        s_write (n);
    s_say_space (2, ADR_SPACE_SECOND_MARK);
    Adr__AppendAck ack = ADR__APPEND_ACK__INIT;
    ack.term = ack.boot = 1;
    ack.incarnation = s_incarnation[2];
    ack.confirmed = 11;
    ack.full = true;
    harness_forget (&s_harness);
    harness_message (&s_harness, s_meta (2, ADR_ACTOR_REPLICATOR), ADR_NODE_META, ADR__KIND__APPEND_ACK, &ack.base, s_nothing);
    s_say_space (2, ADR_SPACE_SECOND_MARK);
    assert_null (s_sent_to (2));
    s_say_space (2, ADR_SPACE_OK);
    assert_non_null (s_sent_to (2));
    assert_int_equal (s_sent_to (2)->prev_index, 11);
    assert_int_equal (s_sent_to (2)->count, 2);
}

int
main (void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown (test_a_master_whose_appends_nobody_answers_hands_over, s_start, s_stop),
        cmocka_unit_test_setup_teardown (test_a_group_grows_from_one_to_three, s_start_alone, s_stop),
        cmocka_unit_test_setup_teardown (test_a_predecessor_that_contradicts_the_log_start_is_dropped, s_start, s_stop),
        cmocka_unit_test_setup_teardown (test_a_term_near_its_end_raises_no_fence, s_start, s_stop),
        cmocka_unit_test_setup_teardown (test_puts_need_space_at_as_many_voters_as_a_commit, s_start, s_stop),
        cmocka_unit_test_setup_teardown (test_a_full_member_is_asked_seldom_and_gets_all_once_it_has_space, s_start, s_stop),
        cmocka_unit_test_setup_teardown (test_a_node_of_another_group_raises_no_fence, s_start, s_stop),
        cmocka_unit_test_setup_teardown (test_a_member_that_lost_entries_over_a_restart_gets_them_in_the_same_term,
                                         s_start, s_stop),
        cmocka_unit_test_setup_teardown (
            test_a_member_that_acknowledged_before_its_first_answer_and_restarted_is_probed, s_start, s_stop),
        cmocka_unit_test_setup_teardown (test_an_acknowledgement_of_the_former_start_counts_for_nothing, s_start,
                                         s_stop),
        cmocka_unit_test_setup_teardown (test_a_question_is_answered_by_a_master_that_is_farther_than_the_repeat,
                                         s_start, s_stop),
        cmocka_unit_test_setup_teardown (test_a_read_shares_no_question_that_left_before_it_came, s_start, s_stop),
        cmocka_unit_test_setup_teardown (test_a_member_whose_entry_rots_before_it_is_applied_fetches_it, s_start,
                                         s_stop),
        cmocka_unit_test_setup_teardown (test_what_finds_no_room_is_not_answered_at_once, s_start, s_stop),
        cmocka_unit_test_setup_teardown (test_a_member_that_takes_acknowledgements_back_gets_its_entries_again, s_start,
                                         s_stop),
        cmocka_unit_test_setup_teardown (test_a_member_that_lost_what_it_had_not_acknowledged_gets_it_again, s_start,
                                         s_stop),
        cmocka_unit_test_setup_teardown (test_a_master_that_cannot_read_its_own_entry_hands_over, s_start, s_stop),
        cmocka_unit_test_setup_teardown (test_a_disk_that_stuttered_costs_no_mastership, s_start, s_stop),
        cmocka_unit_test_setup_teardown (test_a_new_incarnation_with_a_slow_disk_is_admitted_under_load, s_start,
                                         s_stop),
        cmocka_unit_test_setup_teardown (test_a_new_incarnation_that_does_not_keep_up_is_not_admitted, s_start, s_stop),
        cmocka_unit_test_setup_teardown (test_a_lost_disk_does_not_ask_its_former_lifes_questions, s_start, s_stop),
        cmocka_unit_test_setup_teardown (test_a_node_of_another_group_answers_no_question, s_start, s_stop),
        cmocka_unit_test_setup_teardown (test_values_that_a_write_releases_fit_its_entry_or_it_is_refused, s_start,
                                         s_stop),
        cmocka_unit_test_setup_teardown (test_a_write_has_as_many_operations_as_the_edge_lets_through, s_start, s_stop),
        cmocka_unit_test_setup_teardown (test_an_edge_sends_nobody_else_an_answer, s_start, s_stop),
        cmocka_unit_test_setup_teardown (test_a_master_that_cannot_read_a_record_writes_it_blindly_or_resigns, s_start,
                                         s_stop),
        cmocka_unit_test_setup_teardown (test_log_time_goes_on_from_what_the_log_holds, s_start, s_stop),
        cmocka_unit_test_setup_teardown (test_log_time_makes_no_leap_when_the_wall_clock_is_set, s_start, s_stop),
        cmocka_unit_test_setup_teardown (test_log_time_goes_on_behind_a_wall_clock_that_was_ahead, s_start, s_stop),
        cmocka_unit_test_setup_teardown (test_a_mastership_begins_above_the_log_time_that_it_found, s_start, s_stop),
        cmocka_unit_test_setup_teardown (test_a_read_by_quorum_waits_for_polls_sent_after_it_came, s_start, s_stop),
    };
    return cmocka_run_group_tests (tests, NULL, NULL);
}
