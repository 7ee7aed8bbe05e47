/* SPDX-License-Identifier: MPL-2.0 */
/* The replicator and a registry that changes while it runs: voters that are to leave their group, nodes that were evicted, and
 * what a PKI node's copy says of the registry that it holds [TRUST-3]. */

#include "replicator_fixture.h"

#include "core/entry.h"
#include "wire/map_codec.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#define S_TICK_NS (20 * ADR_MS)

/* --- newer maps --------------------------------------------------------------------------------------------------- */

static adr_map_node_t *
s_node (unsigned zone)
{
    adr_id_t id = fixture_meta (zone, 0).node;
    return (adr_map_node_t *) adr_map_node (fixture.map, &id);
}

/* The map_keeper tells what the test has changed in the map; the replicator has a copy of its own. */
static void
s_tell_map (void)
{
    adr_arena_t arena;
    Adr__MapChanged changed = ADR__MAP_CHANGED__INIT;
    adr_arena_init (&arena, 4096, 1 << 20);
    fixture.map->epoch++;
    changed.map = adr_map_message (fixture.map, &arena);
    fixture_tell (1, ADR_ACTOR_MAP_KEEPER, ADR__KIND__MAP_CHANGED, &changed.base);
    adr_arena_free (&arena);
}

static void
s_tell_leaving (unsigned zone)
{
    s_node (zone)->leaving = true;
    s_tell_map ();
}

static void
s_tell_evicted (unsigned zone)
{
    s_node (zone)->leaving = s_node (zone)->evicted = true;
    s_tell_map ();
}

/* The registry does not name it at all any more. */
static void
s_tell_gone (unsigned zone)
{
    *s_node (zone) = fixture.map->node[fixture.map->node_count - 1];
    fixture.map->node_count--;
    s_tell_map ();
}

/* --- the group ---------------------------------------------------------------------------------------------------- */

static uint64_t s_term = 1; /* of the mastership */

static int
s_start_with_two (void **state)
{
    (void) state;
    s_term = 1;
    return fixture_start_with (2);
}

static int
s_start_alone (void **state)
{
    (void) state;
    s_term = 1;
    return fixture_start_with (1);
}

static uint64_t
s_last (void)
{
    return adr_store_last (fixture.store).index;
}

static bool
s_votes (unsigned zone)
{
    adr_id_t node = fixture_meta (zone, 0).node;
    return adr_voters_find_node (adr_store_voters (fixture.store), &node) >= 0;
}

static void
s_assert_voters (bool first, bool second, bool third)
{
    assert_int_equal (s_votes (1), first);
    assert_int_equal (s_votes (2), second);
    assert_int_equal (s_votes (3), third);
    assert_int_equal (adr_store_voters (fixture.store)->count, (uint32_t) first + second + third);
}

/* Long enough for several ticks, and too short for anybody to count as silent. */
static void
s_tick (void)
{
    harness_advance (&fixture.harness, 5 * S_TICK_NS);
    fixture_sync ();
}

/* For so long these two zones' members, 0 for none, answer polls and appends. */
static void
s_live_on (unsigned zone, unsigned other, int64_t length_ns)
{
    for (int64_t passed = 0; passed < length_ns; passed += 50 * ADR_MS) {
        for (unsigned member = 2; member <= 3; member++) {
            if (member != zone && member != other)
                continue;
            fixture_answered (member, s_term, 1);
            fixture_ack (member, s_term, s_last ());
        }
        harness_advance (&fixture.harness, 50 * ADR_MS);
        fixture_sync ();
    }
}

/* Whether the newest status of the group speaks of the zone's node. */
static bool
s_status_lists (unsigned zone)
{
    adr_id_t node = fixture_meta (zone, 0).node;
    const Adr__GroupStatus *status = (const Adr__GroupStatus *) fixture_newest (ADR__KIND__GROUP_STATUS);
    for (size_t i = 0; i < status->n_member; i++) {
        adr_id_t member = adr_id_of (status->member[i]->node);
        if (adr_id_equal (&member, &node))
            return true;
    }
    return false;
}

/* --- a voter that is to leave ------------------------------------------------------------------------------------- */

/* Not before the opening entry is committed [REPL-4], and then by one entry. */
static void
test_a_voter_that_leaves_is_taken_out_once_the_opening_entry_is_committed (void **state) /* [TRUST-3] */
{
    (void) state;
    fixture_lead (1);
    fixture_answered (2, 1, 1);
    fixture_answered (3, 1, 1);
    s_tell_leaving (3);
    s_tick ();
    assert_int_equal (s_last (), 1);
    s_assert_voters (true, true, true);
    fixture_ack (2, 1, 1);
    assert_int_equal (adr_store_commit (fixture.store), 1);
    s_tick ();
    assert_int_equal (s_last (), 2);
    s_assert_voters (true, true, false);
    s_tick (); /* while it is not committed ... */
    assert_int_equal (s_last (), 2);
    s_live_on (2, 3, 400 * ADR_MS); /* ... and when it is */
    assert_int_equal (adr_store_commit (fixture.store), 2);
    assert_int_equal (s_last (), 2);
    assert_int_equal (harness_count (&fixture.harness, ADR__KIND__RESIGN), 0);
}

static void
test_nobody_is_taken_out_while_nobody_leaves (void **state)
{
    (void) state;
    fixture_lead_with_ten_entries ();
    s_node (3)->client[0] = '\0';
    s_tell_map (); /* a newer registry, for another reason */
    s_live_on (2, 3, 400 * ADR_MS);
    assert_int_equal (s_last (), 10);
    assert_int_equal (harness_count (&fixture.harness, ADR__KIND__RESIGN), 0);
    s_assert_voters (true, true, true);
}

/* Most nodes that are evicted are dead: it is not asked. */
static void
test_a_voter_that_leaves_need_not_be_heard (void **state) /* [TRUST-3] */
{
    (void) state;
    fixture_lead (1);
    fixture_answered (2, 1, 1);
    fixture_ack (2, 1, 1);
    s_tell_leaving (3);
    s_tick ();
    s_assert_voters (true, true, false);
}

/* A map that is older than the voters entry knows nothing of a newcomer. */
static void
test_a_voter_that_the_registry_does_not_name_stays (void **state) /* [TRUST-3] */
{
    (void) state;
    fixture_lead_with_ten_entries ();
    s_tell_gone (3);
    s_tick ();
    assert_int_equal (s_last (), 10);
    s_assert_voters (true, true, true);
}

/* By the same rule, and a master that learns of both at once. */
static void
test_voters_that_were_evicted_are_taken_out_one_at_a_time (void **state) /* [TRUST-3, REPL-4] */
{
    (void) state;
    fixture_lead_with_ten_entries ();
    s_node (2)->evicted = true;
    s_tell_evicted (3);
    s_tick ();
    assert_int_equal (s_last (), 11);
    assert_int_equal (adr_store_voters (fixture.store)->count, 2);
    assert_true (s_votes (1));
    s_tick ();
    assert_int_equal (s_last (), 11);
    s_live_on (2, 3, 200 * ADR_MS);
    assert_int_equal (s_last (), 12);
    s_assert_voters (true, false, false);
}

/* Zone 2's member is silent: without zone 3's this master would be alone of two. */
static void
test_a_voter_that_leaves_stays_while_the_others_are_no_quorum (void **state) /* [TRUST-3] */
{
    (void) state;
    fixture_lead (1);
    fixture_answered (3, 1, 1);
    fixture_ack (3, 1, 1);
    assert_int_equal (adr_store_commit (fixture.store), 1);
    s_tell_leaving (3);
    s_live_on (3, 0, 600 * ADR_MS);
    assert_int_equal (s_last (), 1);
    s_assert_voters (true, true, true);
    fixture_answered (2, 1, 1);
    s_tick ();
    assert_int_equal (s_last (), 2);
    s_assert_voters (true, true, false);
}

/* That zone 2's node is heard does not count: as somebody new it is no voter. */
static void
test_a_newcomer_in_a_voter_s_place_is_none_of_the_others (void **state) /* [TRUST-3, ELECT-7] */
{
    (void) state;
    fixture_lead_with_ten_entries ();
    fixture.incarnation[2] = 202;
    fixture_answered (2, 1, 1);
    s_tell_leaving (3);
    s_tick ();
    assert_int_equal (s_last (), 11);
    s_assert_voters (true, false, true); /* what ELECT-7 asks for comes first */
}

/* --- a master that is to leave ------------------------------------------------------------------------------------ */

static void
test_a_master_that_leaves_hands_over (void **state) /* [TRUST-3, ELECT-8] */
{
    (void) state;
    fixture_lead_with_ten_entries ();
    s_tell_leaving (1);
    s_tick ();
    assert_int_equal (harness_count (&fixture.harness, ADR__KIND__RESIGN), 1);
    const harness_sent_t *sent = harness_sent (&fixture.harness, ADR__KIND__RESIGN, 0);
    adr_address_t election = fixture_meta (1, ADR_ACTOR_ELECTION);
    const Adr__Resign *resign = (const Adr__Resign *) sent->header;
    assert_true (adr_id_equal (&sent->to.node, &election.node));
    assert_int_equal (sent->to.actor, election.actor);
    assert_int_equal (resign->term, 1);
    assert_string_equal (resign->why, "this node leaves its group");
    s_live_on (2, 3, 400 * ADR_MS);
    assert_int_equal (harness_count (&fixture.harness, ADR__KIND__RESIGN), 1); /* once a term */
    assert_int_equal (s_last (), 10);
    s_assert_voters (true, true, true);
}

/* Nobody could go on without it. */
static void
test_a_master_that_leaves_stays_while_the_others_are_no_quorum (void **state) /* [TRUST-3] */
{
    (void) state;
    fixture_lead (1);
    fixture_answered (2, 1, 1);
    fixture_ack (2, 1, 1);
    s_tell_leaving (1);
    s_live_on (2, 0, 600 * ADR_MS);
    assert_int_equal (harness_count (&fixture.harness, ADR__KIND__RESIGN), 0);
    fixture_answered (3, 1, 1);
    s_tick ();
    assert_int_equal (harness_count (&fixture.harness, ADR__KIND__RESIGN), 1);
    s_assert_voters (true, true, true);
}

static void
test_the_last_voter_of_a_group_does_not_leave_it (void **state) /* [TRUST-3] */
{
    (void) state;
    fixture_lead (1);
    s_tell_leaving (1);
    s_live_on (0, 0, 600 * ADR_MS);
    assert_int_equal (adr_store_commit (fixture.store), 1);
    assert_int_equal (harness_count (&fixture.harness, ADR__KIND__RESIGN), 0);
    s_assert_voters (true, false, false);
}

/* --- a standby that is to leave ----------------------------------------------------------------------------------- */

/* Zone 3's member has caught up, and stayed so for longer than it takes. */
static void
s_zone_3_catches_up (void)
{
    fixture_lead (1);
    s_live_on (2, 3, 400 * ADR_MS); /* not long enough to be admitted */
    s_assert_voters (true, true, false);
}

static void
test_a_standby_that_has_caught_up_is_admitted (void **state) /* [ELECT-7]; what the next two are measured by */
{
    (void) state;
    s_zone_3_catches_up ();
    s_live_on (2, 3, 1600 * ADR_MS);
    s_assert_voters (true, true, true);
}

static void
test_a_standby_that_leaves_is_not_admitted (void **state) /* [TRUST-3] */
{
    (void) state;
    s_zone_3_catches_up ();
    s_tell_leaving (3);
    s_live_on (2, 3, 3000 * ADR_MS);
    assert_int_equal (s_last (), 2); /* not even for a while: the log says that it is known [TRUST-7] */
    assert_int_equal (adr_store_voters (fixture.store)->map_epoch, fixture.map->epoch);
    assert_int_equal (((const Adr__GroupStatus *) fixture_newest (ADR__KIND__GROUP_STATUS))->map_epoch, fixture.map->epoch);
    s_assert_voters (true, true, false);
    assert_true (s_status_lists (3)); /* it still gets what it lacks, and is spoken of */
    assert_non_null (fixture_sent_to (3));
    s_node (3)->leaving = false; /* nothing else kept it out */
    s_tell_map ();
    s_live_on (2, 3, 200 * ADR_MS);
    s_assert_voters (true, true, true);
}

/* It starts again with the map of yesterday, which has this epoch and in which zone 3's node stays, and leads once more. */
static void
s_start_with_older_map (uint64_t epoch)
{
    s_node (3)->leaving = false;
    adr_map_unseal (fixture.map);
    fixture.map->epoch = epoch;
    fixture_restart ();
    fixture_lead (++s_term);
}

static void
s_log_knows_by (uint64_t epoch)
{
    s_zone_3_catches_up ();
    fixture.map->epoch = epoch - 1;
    s_tell_leaving (3);
    s_live_on (2, 3, 400 * ADR_MS);
    assert_true (adr_store_voters (fixture.store)->map_epoch == epoch);
    s_assert_voters (true, true, false);
}

/* A master that does not know that somebody leaves; its group's log does. */
static void
test_nobody_comes_in_by_an_older_registry (void **state) /* [TRUST-7] */
{
    (void) state;
    s_log_knows_by (1000);
    s_start_with_older_map (6);
    s_live_on (2, 3, 3000 * ADR_MS);
    s_assert_voters (true, true, false);
    fixture.map->epoch = 1000;
    s_tell_map ();
    s_live_on (2, 3, 400 * ADR_MS);
    s_assert_voters (true, true, true);
    assert_int_equal (adr_store_voters (fixture.store)->map_epoch, 1001);
}

/* A member that was taken over has led, and named a registry which there never will be: that keeps nobody out. */
static void
test_an_absurd_registry_is_none (void **state) /* [TRUST-7] */
{
    (void) state;
    s_log_knows_by (UINT64_MAX);
    s_start_with_older_map (6);
    s_live_on (2, 3, 3000 * ADR_MS);
    s_assert_voters (true, true, true);
    assert_int_equal (adr_store_voters (fixture.store)->map_epoch, 6);
}

/* Who leaves goes, also by a registry that is older than that of the voters. */
static void
test_an_older_registry_lets_go (void **state) /* [TRUST-7] */
{
    (void) state;
    s_log_knows_by (1000);
    s_start_with_older_map (6);
    s_tell_leaving (2);
    s_live_on (2, 3, 400 * ADR_MS);
    s_assert_voters (true, false, false);
    assert_int_equal (adr_store_voters (fixture.store)->map_epoch, 1000);
}

/* A status tells of voters that are committed. */
static void
test_a_status_does_not_run_ahead_of_the_commit (void **state) /* [TRUST-7] */
{
    (void) state;
    s_zone_3_catches_up ();
    s_tell_leaving (3);
    for (int i = 0; i < 20; i++) { /* heard, and acknowledging nothing */
        fixture_answered (2, 1, 1);
        fixture_answered (3, 1, 1);
        s_tick ();
    }
    assert_int_equal (adr_store_voters (fixture.store)->map_epoch, fixture.map->epoch);
    assert_int_equal (((const Adr__GroupStatus *) fixture_newest (ADR__KIND__GROUP_STATUS))->map_epoch, 0);
}

/* The last that the master of a group of two and its disk lose is the entry that makes it a group of one: if the other one had that,
 * it could neither lead nor let the first one lead. */
static void
test_voters_are_kept_from_who_is_none_until_they_are_committed (void **state) /* [REPL-4] */
{
    (void) state;
    fixture_lead (1);
    fixture_answered (2, 1, 1);
    fixture_ack (2, 1, 1);
    fixture_sync ();
    fixture.disk_stands = true;
    s_tell_leaving (2);
    harness_forget (&fixture.harness);
    for (int i = 0; i < 6; i++)
        s_tick ();
    assert_int_equal (s_last (), 2);
    s_assert_voters (true, false, false);
    assert_true (fixture_sent_to (2) == NULL || fixture_sent_to (2)->count == 0);
    fixture.disk_stands = false;
    s_tick ();
    fixture_answered (2, 1, 1);
    s_tick ();
    assert_int_equal (adr_store_commit (fixture.store), 2);
    assert_int_equal (fixture_sent_to (2)->commit, 2);
    fixture_ack (2, 1, 1);
    s_tick ();
    assert_int_equal (fixture_sent_to (2)->prev_index + fixture_sent_to (2)->count, 2);
}

/* A group that is to have three voters does not stop at two [ELECT-10]; one of which the third leaves is to have two. */
static void
test_one_voter_does_not_wait_for_who_leaves (void **state) /* [TRUST-3] */
{
    (void) state;
    fixture_lead (1);
    s_tell_leaving (3);
    s_live_on (2, 2, 3000 * ADR_MS);
    s_assert_voters (true, true, false);
}

static void
test_a_standby_that_was_evicted_is_not_admitted (void **state) /* [TRUST-3] */
{
    (void) state;
    s_zone_3_catches_up ();
    s_tell_evicted (3);
    s_live_on (2, 3, 3000 * ADR_MS);
    assert_int_equal (s_last (), 1);
    s_assert_voters (true, true, false);
}

/* --- a peer that was evicted -------------------------------------------------------------------------------------- */

/* It talks on, and so do clients. */
static void
s_assert_forgotten (unsigned zone)
{
    harness_forget (&fixture.harness);
    for (uint64_t n = 30; n < 40; n++) {
        fixture_write (n);
        s_live_on (2, 3, 200 * ADR_MS);
    }
    assert_null (fixture_sent_to (zone));
    assert_non_null (fixture_sent_to (5 - zone)); /* of 2 and 3 the other */
    assert_false (s_status_lists (zone));
    assert_true (s_status_lists (5 - zone));
    assert_int_equal (adr_store_commit (fixture.store), s_last ());
}

static void
test_a_peer_that_was_evicted_and_is_no_voter_is_forgotten (void **state) /* [TRUST-3] */
{
    (void) state;
    s_zone_3_catches_up ();
    assert_non_null (fixture_sent_to (3));
    assert_true (s_status_lists (3));
    s_tell_evicted (3);
    s_assert_forgotten (3);
}

static void
test_a_peer_that_the_registry_does_not_name_is_forgotten (void **state) /* [TRUST-3] */
{
    (void) state;
    s_zone_3_catches_up ();
    s_tell_gone (3);
    s_assert_forgotten (3);
}

/* The opening entry waits for zone 3's acknowledgement, and the voters' entry for that one. */
static void
test_a_peer_that_was_evicted_stays_while_it_votes (void **state) /* [TRUST-3] */
{
    (void) state;
    fixture_lead (1);
    fixture_answered (2, 1, 1);
    fixture_answered (3, 1, 1);
    s_tell_evicted (3);
    harness_forget (&fixture.harness);
    for (uint64_t n = 1; n <= 3; n++) {
        fixture_answered (2, 1, 1);
        fixture_answered (3, 1, 1);
        harness_advance (&fixture.harness, 400 * ADR_MS); /* what nobody acknowledges is sent again */
    }
    assert_true (s_votes (3));
    assert_true (s_status_lists (3));
    assert_non_null (fixture_sent_to (3));
    fixture_ack (3, 1, 1); /* and its acknowledgement counts */
    assert_int_equal (adr_store_commit (fixture.store), 1);
    fixture_answered (2, 1, 1);
    s_tick ();
    s_assert_voters (true, true, false);
    s_assert_forgotten (3);
}

/* The places of the others move up when one is forgotten: what is known of them goes with them. */
static void
test_who_follows_a_peer_that_is_forgotten_is_still_known (void **state) /* [TRUST-3] */
{
    (void) state;
    fixture_lead_with_ten_entries ();
    s_tell_evicted (2);
    s_live_on (2, 3, 200 * ADR_MS);
    s_assert_voters (true, false, true);
    s_assert_forgotten (2);
    fixture_answered (3, 1, 1);
    harness_forget (&fixture.harness);
    fixture_write (50);
    assert_non_null (fixture_sent_to (3));
    assert_int_equal (fixture_sent_to (3)->prev_index, s_last () - 1); /* it is not asked anew what it has */
    assert_int_equal (fixture_sent_to (3)->count, 1);
}

/* A node that was evicted knows it from its own map, and says so of itself. */
static void
test_a_node_that_was_evicted_says_so (void **state) /* [TRUST-3, STATE-1] */
{
    (void) state;
    Adr__Ping ping = ADR__PING__INIT;
    s_tell_evicted (1);
    fixture_tell (1, ADR_ACTOR_HEALTH_CHECKER, ADR__KIND__PING, &ping.base);
    assert_int_equal (((const Adr__Pong *) fixture_newest (ADR__KIND__PONG))->state, ADR_STATE_EVICTED);
}

/* --- a PKI node --------------------------------------------------------------------------------------------------- */

/* The same node over the same store, as one of this type: the map alone does not say what a replicator does. */
static void
s_start_as (adr_node_type_t type)
{
    adr_environment_t environment = fixture.harness.environment;
    environment.type = type;
    harness_stop (&fixture.harness);
    harness_start (&fixture.harness, &adr_replicator_class, &environment);
}

static int
s_start_pki (void **state)
{
    fixture_start (state);
    s_start_as (ADR_NODE_PKI);
    return 0;
}

static int
s_start_pki_alone (void **state)
{
    s_start_alone (state);
    s_start_as (ADR_NODE_PKI);
    return 0;
}

static void
s_ask_as (adr_actor_kind_t actor, uint16_t kind, const ProtobufCMessage *header, adr_bytes_t payload)
{
    harness_message (&fixture.harness, fixture_meta (1, actor), ADR_NODE_PKI, kind, header, payload);
    fixture_sync ();
}

/* By the node's own cert_signer. */
static void
s_write_record (uint64_t number, uint8_t table, const char *key, const char *value)
{
    Adr__Write write = ADR__WRITE__INIT;
    Adr__Op op = ADR__OP__INIT, *ops[] = { &op };
    uint8_t request[ADR_REQUEST_ID_SIZE] = { (uint8_t) number };
    adr_id_t own = fixture_meta (1, 0).node;
    op.table = table;
    op.key = (ProtobufCBinaryData){ strlen (key), (uint8_t *) key };
    op.value_size = value ? (uint32_t) strlen (value) : 0;
    op.delete_ = value == NULL;
    write.number = number;
    write.request = (ProtobufCBinaryData){ sizeof request, request };
    write.origin = adr_id_view (&own);
    write.n_op = 1;
    write.op = ops;
    s_ask_as (ADR_ACTOR_CERT_SIGNER, ADR__KIND__WRITE, &write.base,
              value ? adr_bytes (value, strlen (value)) : (adr_bytes_t){ 0 });
}

static void
s_write_registry (uint64_t number, const char *value)
{
    s_write_record (number, ADR_TABLE_REGISTRY, ADR_REGISTRY_KEY, value);
}

/* So often the map_keeper was told of a registry, the last time of this one. */
static void
s_assert_noted (size_t count, const char *value)
{
    assert_int_equal (harness_count (&fixture.harness, ADR__KIND__REGISTRY_NOTED), count);
    if (count == 0)
        return;
    const harness_sent_t *sent = harness_sent (&fixture.harness, ADR__KIND__REGISTRY_NOTED, count - 1);
    adr_address_t keeper = fixture_meta (1, ADR_ACTOR_MAP_KEEPER);
    assert_true (adr_id_equal (&sent->to.node, &keeper.node));
    assert_int_equal (sent->to.actor, keeper.actor);
    assert_int_equal (sent->payload.size, strlen (value));
    assert_memory_equal (sent->payload.data, value, strlen (value));
}

static void
test_a_pki_node_tells_its_map_keeper_of_each_registry_once (void **state) /* [TRUST-3] */
{
    (void) state;
    fixture_lead (1);
    s_tick ();
    s_assert_noted (0, NULL); /* there is none yet */
    s_write_registry (1, "one");
    s_tick ();
    s_assert_noted (1, "one");
    s_tick ();
    s_write_record (2, ADR_TABLE_SETTING, "registry", "another table");
    s_write_record (3, ADR_TABLE_REGISTRY, "registrar", "another key");
    s_tick ();
    s_assert_noted (1, "one");
    s_write_registry (4, "two, and longer");
    s_tick ();
    s_assert_noted (2, "two, and longer");
    s_write_registry (5, "two, and longer"); /* a version is new whatever it says */
    s_tick ();
    s_assert_noted (3, "two, and longer");
    s_write_registry (6, NULL);
    s_tick ();
    s_assert_noted (3, "two, and longer");
}

/* What it was told its map_keeper may have lost with the process. */
static void
test_a_pki_node_that_starts_tells_its_map_keeper_of_its_registry (void **state) /* [TRUST-3] */
{
    (void) state;
    fixture_lead (1);
    s_write_registry (1, "one");
    s_tick ();
    s_start_as (ADR_NODE_PKI);
    s_tick ();
    s_assert_noted (1, "one");
}

/* What is not committed may never have been. */
static void
test_a_registry_is_not_told_of_before_it_is_applied (void **state) /* [TRUST-3] */
{
    (void) state;
    fixture_lead (1);
    fixture_answered (2, 1, 1);
    fixture_ack (2, 1, 1);
    s_write_registry (1, "one");
    s_tick ();
    assert_int_equal (s_last (), 2);
    s_assert_noted (0, NULL);
    fixture_ack (2, 1, 2);
    s_tick ();
    s_assert_noted (1, "one");
}

/* Not even one that holds such a record, which nothing but a PKI node's store ever should. */
static void
test_a_meta_node_tells_of_no_registry (void **state) /* [TRUST-3] */
{
    (void) state;
    fixture_lead (1);
    s_write_registry (1, "one");
    s_tick ();
    s_assert_noted (1, "one");
    s_start_as (ADR_NODE_META);
    s_tick ();
    s_assert_noted (0, NULL);
    fixture_lead (2);
    fixture_write (7);
    s_tick ();
    s_assert_noted (0, NULL);
}

/* --- who is answered ---------------------------------------------------------------------------------------------- */

/* The one answer with that number, and to whom it went. */
static const Adr__Answer *
s_answer_to (uint64_t number, adr_address_t to)
{
    const Adr__Answer *found = NULL;
    const harness_sent_t *sent;
    for (size_t n = 0; (sent = harness_sent (&fixture.harness, ADR__KIND__ANSWER, n)); n++) {
        const Adr__Answer *answer = (const Adr__Answer *) sent->header;
        if (answer->number != number)
            continue;
        assert_null (found);
        assert_true (adr_id_equal (&sent->to.node, &to.node));
        assert_int_equal (sent->to.actor, to.actor);
        found = answer;
    }
    assert_non_null (found);
    return found;
}

static void
s_read_registry (adr_address_t from, adr_node_type_t type, uint64_t number)
{
    Adr__Read read = ADR__READ__INIT;
    read.number = number;
    read.table = ADR_TABLE_REGISTRY;
    read.key = (ProtobufCBinaryData){ strlen (ADR_REGISTRY_KEY), (uint8_t *) ADR_REGISTRY_KEY };
    read.mode = ADR__READ_MODE__STRONG;
    read.limit_ms = 5000;
    read.origin = adr_id_view (&from.node);
    harness_message (&fixture.harness, from, type, ADR__KIND__READ, &read.base, (adr_bytes_t){ 0 });
    s_tick ();
}

/* It asks as its own node, which is no peer of itself. */
static void
test_a_pki_master_answers_its_own_cert_signer (void **state) /* [TRUST-4] */
{
    (void) state;
    adr_address_t signer = fixture_meta (1, ADR_ACTOR_CERT_SIGNER);
    fixture_lead (1);
    s_write_registry (11, "one");
    assert_int_equal (s_answer_to (11, signer)->status, ADR_STATUS_OK);
    s_read_registry (signer, ADR_NODE_PKI, 12);
    assert_int_equal (s_answer_to (12, signer)->status, ADR_STATUS_OK);
    s_write_record (13, ADR_TABLE_KV, "k", "v"); /* refused, and answered the same way */
    assert_int_equal (s_answer_to (13, signer)->status, ADR_STATUS_INVALID);
}

/* Every other node of its group has a cert_signer, too; an edge has none. */
static void
test_a_pki_master_answers_an_edge_s_router (void **state) /* [TRUST-4] */
{
    (void) state;
    adr_address_t edge = harness_address (1, ADR_NODE_EDGE, ADR_ACTOR_EDGE_ROUTER);
    fixture_lead (1);
    s_write_registry (11, "one");
    s_read_registry (edge, ADR_NODE_EDGE, 12);
    assert_int_equal (s_answer_to (12, edge)->status, ADR_STATUS_OK);
}

/* Whatever an edge asks: only cert_signers write there, and an edge may be anybody's by now. */
static void
test_a_pki_master_takes_no_edge_s_writes (void **state) /* [TRUST-3] */
{
    (void) state;
    adr_address_t edge = harness_address (1, ADR_NODE_EDGE, ADR_ACTOR_EDGE_ROUTER);
    fixture_lead (1);
    s_tick ();
    uint64_t last = s_last ();
    Adr__Op op = ADR__OP__INIT;
    op.table = ADR_TABLE_REGISTRY;
    op.key = (ProtobufCBinaryData){ strlen (ADR_REGISTRY_KEY), (uint8_t *) ADR_REGISTRY_KEY };
    op.value_size = 3;
    fixture_write_ops (12, &op, 1, adr_bytes ("two", 3), edge.node);
    assert_int_equal (s_answer_to (12, edge)->status, ADR_STATUS_DENIED);
    s_tick ();
    assert_int_equal (s_last (), last);
}

static bool
s_status_shows_voter (unsigned zone)
{
    adr_id_t node = fixture_meta (zone, 0).node;
    const Adr__GroupStatus *status = (const Adr__GroupStatus *) fixture_newest (ADR__KIND__GROUP_STATUS);
    for (size_t i = 0; i < status->n_member; i++) {
        adr_id_t member = adr_id_of (status->member[i]->node);
        if (adr_id_equal (&member, &node))
            return status->member[i]->voter;
    }
    return false;
}

/* The entry that takes it out may be cut yet: before it is committed nobody is told that it votes no more. */
static void
test_a_status_shows_committed_voters (void **state) /* [TRUST-3] */
{
    (void) state;
    fixture_lead_with_ten_entries ();
    s_live_on (2, 3, 200 * ADR_MS);
    s_tell_leaving (3);
    s_tick ();
    s_assert_voters (true, true, false);
    harness_forget (&fixture.harness);
    for (int tick = 0; tick < 15; tick++) { /* they answer polls, and acknowledge nothing */
        fixture_answered (2, 1, 1);
        fixture_answered (3, 1, 1);
        s_tick ();
    }
    assert_true (s_status_shows_voter (3));
    harness_forget (&fixture.harness);
    s_live_on (2, 3, 1500 * ADR_MS);
    assert_int_equal (adr_store_commit (fixture.store), s_last ());
    assert_false (s_status_shows_voter (3));
}

int
main (void)
{
#define S_TEST_OF(name, start) cmocka_unit_test_setup_teardown (name, start, fixture_stop)
    const struct CMUnitTest tests[] = {
        FIXTURE_TEST (test_a_voter_that_leaves_is_taken_out_once_the_opening_entry_is_committed),
        FIXTURE_TEST (test_nobody_is_taken_out_while_nobody_leaves),
        FIXTURE_TEST (test_a_voter_that_leaves_need_not_be_heard),
        FIXTURE_TEST (test_a_voter_that_the_registry_does_not_name_stays),
        FIXTURE_TEST (test_voters_that_were_evicted_are_taken_out_one_at_a_time),
        FIXTURE_TEST (test_a_voter_that_leaves_stays_while_the_others_are_no_quorum),
        FIXTURE_TEST (test_a_newcomer_in_a_voter_s_place_is_none_of_the_others),
        FIXTURE_TEST (test_a_master_that_leaves_hands_over),
        FIXTURE_TEST (test_a_master_that_leaves_stays_while_the_others_are_no_quorum),
        S_TEST_OF (test_the_last_voter_of_a_group_does_not_leave_it, s_start_alone),
        S_TEST_OF (test_a_standby_that_has_caught_up_is_admitted, s_start_with_two),
        S_TEST_OF (test_a_standby_that_leaves_is_not_admitted, s_start_with_two),
        S_TEST_OF (test_nobody_comes_in_by_an_older_registry, s_start_with_two),
        S_TEST_OF (test_an_absurd_registry_is_none, s_start_with_two),
        S_TEST_OF (test_an_older_registry_lets_go, s_start_with_two),
        S_TEST_OF (test_a_status_does_not_run_ahead_of_the_commit, s_start_with_two),
        S_TEST_OF (test_voters_are_kept_from_who_is_none_until_they_are_committed, s_start_with_two),
        S_TEST_OF (test_one_voter_does_not_wait_for_who_leaves, s_start_alone),
        S_TEST_OF (test_a_standby_that_was_evicted_is_not_admitted, s_start_with_two),
        S_TEST_OF (test_a_peer_that_was_evicted_and_is_no_voter_is_forgotten, s_start_with_two),
        S_TEST_OF (test_a_peer_that_the_registry_does_not_name_is_forgotten, s_start_with_two),
        FIXTURE_TEST (test_a_peer_that_was_evicted_stays_while_it_votes),
        FIXTURE_TEST (test_who_follows_a_peer_that_is_forgotten_is_still_known),
        FIXTURE_TEST (test_a_node_that_was_evicted_says_so),
        S_TEST_OF (test_a_pki_node_tells_its_map_keeper_of_each_registry_once, s_start_pki_alone),
        S_TEST_OF (test_a_pki_node_that_starts_tells_its_map_keeper_of_its_registry, s_start_pki_alone),
        S_TEST_OF (test_a_registry_is_not_told_of_before_it_is_applied, s_start_pki),
        S_TEST_OF (test_a_meta_node_tells_of_no_registry, s_start_pki_alone),
        S_TEST_OF (test_a_pki_master_answers_its_own_cert_signer, s_start_pki_alone),
        S_TEST_OF (test_a_pki_master_answers_an_edge_s_router, s_start_pki_alone),
        S_TEST_OF (test_a_pki_master_takes_no_edge_s_writes, s_start_pki_alone),
        FIXTURE_TEST (test_a_status_shows_committed_voters),
    };
    return cmocka_run_group_tests (tests, NULL, NULL);
}
