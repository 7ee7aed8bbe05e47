/* SPDX-License-Identifier: MPL-2.0 */
/* The rules of docs/protocol/map_keeper.md, one test each. */

#include "actor_harness.h"

#include "wire/map_codec.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#define S_TOLD 5 /* actors of a node that holds copies, which hear of a changed map */

static harness_t s_keeper;
static adr_map_t *s_map;
static adr_arena_t s_arena;
static const adr_bytes_t s_nothing;

/* A map_keeper of the node of this type in zone 1, of three. */
static void
s_start (adr_node_type_t type)
{
    adr_environment_t environment = { .cluster = s_map->cluster,
                                      .node = harness_id ((uint8_t) (0x10 + type)),
                                      .type = type,
                                      .map = s_map };
    if (type != ADR_NODE_EDGE)
        environment.group = harness_id ((uint8_t) (0xb0 + type));
    harness_start (&s_keeper, &adr_map_keeper_class, &environment);
    adr_arena_init (&s_arena, 4096, 1 << 20);
}

static int
s_setup (void **state)
{
    (void) state;
    s_map = harness_map (3);
    return 0;
}

static int
s_teardown (void **state)
{
    (void) state;
    harness_stop (&s_keeper);
    adr_map_destroy (&s_map);
    adr_arena_free (&s_arena);
    return 0;
}

static adr_group_status_t
s_status (unsigned zone, uint64_t term, uint64_t sequence)
{
    adr_group_status_t status = { .term = term, .sequence = sequence, .commit = 10 * sequence, .member_count = 1,
                                  .master = harness_id ((uint8_t) (0x10 * zone + ADR_NODE_META)) };
    status.member[0].node = status.master;
    status.member[0].state = ADR_STATE_ONLINE_READY;
    return status;
}

/* The meta group's status comes from this actor of the meta node of zone `from`. */
static void
s_say (unsigned from, adr_actor_kind_t actor, adr_group_status_t status)
{
    adr_id_t group = harness_id (0xb0 + ADR_NODE_META);
    const Adr__GroupStatus *message = adr_group_status_message (&group, &status, &s_arena);
    harness_message (&s_keeper, harness_address (from, ADR_NODE_META, actor), ADR_NODE_META,
                     ADR__KIND__GROUP_STATUS, &message->base, s_nothing);
}

/* A push of that status from the PKI node of a zone. */
static void
s_push (unsigned zone, adr_group_status_t status)
{
    adr_id_t group = harness_id (0xb0 + ADR_NODE_META);
    assert_true (adr_map_merge_status (s_map, &group, &status));
    Adr__MapPush push = ADR__MAP_PUSH__INIT;
    push.map = adr_map_statuses_message (s_map, &s_arena);
    harness_message (&s_keeper, harness_address (zone, ADR_NODE_PKI, ADR_ACTOR_MAP_KEEPER), ADR_NODE_PKI,
                     ADR__KIND__MAP_PUSH, &push.base, s_nothing);
}

/* Is there a recorded message of this kind for the map_keeper of that node? */
static bool
s_sent_to (uint16_t kind, unsigned zone, adr_node_type_t type)
{
    adr_id_t node = harness_id ((uint8_t) (0x10 * zone + type));
    const harness_sent_t *sent;
    for (size_t i = 0; (sent = harness_sent (&s_keeper, kind, i)); i++)
        if (adr_id_equal (&sent->to.node, &node))
            return true;
    return false;
}

/* The master of the meta group, as the actors of the node heard it last. */
static void
s_assert_told (unsigned zone, uint64_t term)
{
    size_t count = harness_count (&s_keeper, ADR__KIND__MAP_CHANGED);
    assert_true (count > 0);
    const harness_sent_t *sent = harness_sent (&s_keeper, ADR__KIND__MAP_CHANGED, count - 1);
    adr_map_t *map = adr_map_read (((const Adr__MapChanged *) sent->header)->map);
    assert_non_null (map);
    adr_id_t master = harness_id ((uint8_t) (0x10 * zone + ADR_NODE_META));
    assert_int_equal (map->group[0].status.term, term);
    assert_memory_equal (map->group[0].status.master.bytes, master.bytes, ADR_ID_SIZE);
    adr_map_destroy (&map);
}

/* [MAP-2] */
static void
test_a_master_s_status_goes_to_all_pki_nodes_and_to_its_own_actors (void **state)
{
    (void) state;
    s_start (ADR_NODE_META);
    harness_forget (&s_keeper);
    s_say (1, ADR_ACTOR_REPLICATOR, s_status (1, 3, 1));
    assert_int_equal (harness_count (&s_keeper, ADR__KIND__GROUP_STATUS), 3);
    for (unsigned zone = 1; zone <= 3; zone++)
        assert_true (s_sent_to (ADR__KIND__GROUP_STATUS, zone, ADR_NODE_PKI));
    assert_int_equal (harness_count (&s_keeper, ADR__KIND__MAP_CHANGED), S_TOLD);
    s_assert_told (1, 3);
}

/* [MAP-2] */
static void
test_only_a_master_speaks_for_its_group (void **state)
{
    (void) state;
    s_start (ADR_NODE_PKI);
    harness_forget (&s_keeper);
    s_say (2, ADR_ACTOR_MAP_KEEPER, s_status (3, 3, 1)); /* of somebody else */
    adr_id_t group = harness_id (0xb0 + ADR_NODE_META);
    adr_group_status_t status = s_status (2, 3, 1);
    status.master = harness_id (0x23);
    const Adr__GroupStatus *message = adr_group_status_message (&group, &status, &s_arena);
    harness_message (&s_keeper, harness_address (2, ADR_NODE_DATA, ADR_ACTOR_MAP_KEEPER), ADR_NODE_DATA,
                     ADR__KIND__GROUP_STATUS, &message->base, s_nothing); /* of another group */
    harness_advance (&s_keeper, 500 * ADR_MS);
    assert_int_equal (s_keeper.sent_count, 0);
}

/* [MAP-3] no loops: what came from another node is pushed to the zone, never sent on as a status. */
static void
test_a_pki_node_pushes_to_its_zone_at_most_every_100_ms (void **state)
{
    (void) state;
    s_start (ADR_NODE_PKI);
    harness_advance (&s_keeper, 150 * ADR_MS);
    harness_forget (&s_keeper);
    s_say (2, ADR_ACTOR_MAP_KEEPER, s_status (2, 3, 1));
    assert_int_equal (harness_count (&s_keeper, ADR__KIND__GROUP_STATUS), 0);
    assert_int_equal (harness_count (&s_keeper, ADR__KIND__MAP_PUSH), 3);
    assert_true (s_sent_to (ADR__KIND__MAP_PUSH, 1, ADR_NODE_EDGE));
    assert_true (s_sent_to (ADR__KIND__MAP_PUSH, 1, ADR_NODE_META));
    assert_true (s_sent_to (ADR__KIND__MAP_PUSH, 1, ADR_NODE_DATA));
    s_assert_told (2, 3);
    s_say (3, ADR_ACTOR_MAP_KEEPER, s_status (3, 4, 1));
    s_say (1, ADR_ACTOR_MAP_KEEPER, s_status (1, 5, 1));
    assert_int_equal (harness_count (&s_keeper, ADR__KIND__MAP_PUSH), 3);
    harness_advance (&s_keeper, 99 * ADR_MS);
    assert_int_equal (harness_count (&s_keeper, ADR__KIND__MAP_PUSH), 3);
    harness_advance (&s_keeper, 2 * ADR_MS);
    assert_int_equal (harness_count (&s_keeper, ADR__KIND__MAP_PUSH), 6);
    s_assert_told (1, 5);
}

/* [MAP-3] */
static void
test_a_pki_node_shows_its_zone_every_second_that_it_lives (void **state)
{
    (void) state;
    s_start (ADR_NODE_PKI);
    harness_forget (&s_keeper);
    harness_advance (&s_keeper, 10500 * ADR_MS);
    assert_int_equal (harness_count (&s_keeper, ADR__KIND__MAP_PUSH), 30);
    assert_int_equal (harness_count (&s_keeper, ADR__KIND__MAP_CHANGED), 0);
}

/* [MAP-1] */
static void
test_the_higher_term_and_sequence_wins (void **state)
{
    (void) state;
    s_start (ADR_NODE_EDGE);
    harness_forget (&s_keeper);
    s_push (1, s_status (2, 3, 7));
    s_assert_told (2, 3);
    assert_int_equal (harness_count (&s_keeper, ADR__KIND__MAP_CHANGED), 3); /* edge_router, collector and credential_keeper */
    adr_map_destroy (&s_map);
    s_map = harness_map (3);
    s_push (2, s_status (1, 2, 9));
    assert_int_equal (harness_count (&s_keeper, ADR__KIND__MAP_CHANGED), 3);
    s_push (3, s_status (3, 4, 1));
    s_assert_told (3, 4);
    assert_int_equal (harness_count (&s_keeper, ADR__KIND__MAP_PUSH), 0);
}

/* Indexes that move are no news: the actors hear of them once a second. */
static void
test_progress_is_told_once_a_second (void **state)
{
    (void) state;
    s_start (ADR_NODE_EDGE);
    harness_forget (&s_keeper);
    for (unsigned i = 1; i <= 50; i++) {
        s_push (1, s_status (2, 3, i));
        harness_advance (&s_keeper, 100 * ADR_MS);
    }
    size_t told = harness_count (&s_keeper, ADR__KIND__MAP_CHANGED) / 3;
    assert_true (told >= 5 && told <= 6);
}

/* [MAP-4] */
static void
test_a_node_pulls_at_its_start_and_from_others_when_its_zone_s_pki_node_is_silent (void **state)
{
    (void) state;
    s_start (ADR_NODE_EDGE);
    assert_int_equal (harness_count (&s_keeper, ADR__KIND__MAP_PULL), 1);
    assert_true (s_sent_to (ADR__KIND__MAP_PULL, 1, ADR_NODE_PKI));
    for (unsigned i = 1; i <= 50; i++) {
        s_push (1, s_status (2, 3, i));
        harness_advance (&s_keeper, 100 * ADR_MS);
    }
    assert_int_equal (harness_count (&s_keeper, ADR__KIND__MAP_PULL), 1);
    harness_advance (&s_keeper, 8500 * ADR_MS);
    assert_int_equal (harness_count (&s_keeper, ADR__KIND__MAP_PULL), 4);
    assert_true (s_sent_to (ADR__KIND__MAP_PULL, 2, ADR_NODE_PKI));
    assert_true (s_sent_to (ADR__KIND__MAP_PULL, 3, ADR_NODE_PKI));
}

/* [MAP-4] */
static void
test_a_pull_is_answered_with_the_statuses_or_with_all (void **state)
{
    (void) state;
    s_start (ADR_NODE_PKI);
    s_say (2, ADR_ACTOR_MAP_KEEPER, s_status (2, 3, 1));
    harness_advance (&s_keeper, 200 * ADR_MS);
    harness_forget (&s_keeper);
    Adr__MapPull pull = ADR__MAP_PULL__INIT;
    pull.number = 5;
    for (pull.epoch = 0; pull.epoch <= 1; pull.epoch++)
        harness_message (&s_keeper, harness_address (2, ADR_NODE_EDGE, ADR_ACTOR_MAP_KEEPER), ADR_NODE_EDGE,
                         ADR__KIND__MAP_PULL, &pull.base, s_nothing);
    assert_int_equal (harness_count (&s_keeper, ADR__KIND__MAP_PUSH), 2);
    const Adr__MapPush *all = (const Adr__MapPush *) harness_sent (&s_keeper, ADR__KIND__MAP_PUSH, 0)->header;
    const Adr__MapPush *some = (const Adr__MapPush *) harness_sent (&s_keeper, ADR__KIND__MAP_PUSH, 1)->header;
    assert_int_equal (all->number, 5);
    assert_non_null (all->map->registry);
    assert_null (some->map->registry);
    assert_int_equal (some->map->n_status, 1);
}

/* [MAP-6] A dead master says nothing any more, and what it said last is no news for ever. */
static void
test_statuses_grow_old (void **state)
{
    (void) state;
    s_start (ADR_NODE_PKI);
    adr_group_status_t status = s_status (2, 3, 1);
    status.age_ms = 500;
    s_say (2, ADR_ACTOR_MAP_KEEPER, status);
    harness_advance (&s_keeper, 7000 * ADR_MS);
    Adr__MapPull pull = ADR__MAP_PULL__INIT;
    pull.epoch = 1;
    harness_forget (&s_keeper);
    harness_message (&s_keeper, harness_address (2, ADR_NODE_EDGE, ADR_ACTOR_MAP_KEEPER), ADR_NODE_EDGE,
                     ADR__KIND__MAP_PULL, &pull.base, s_nothing);
    const Adr__MapPush *push = (const Adr__MapPush *) harness_sent (&s_keeper, ADR__KIND__MAP_PUSH, 0)->header;
    assert_int_equal (push->map->status[0]->age_ms, 7500);
}

/* [MAP-5] */
static void
test_an_unsigned_registry_is_not_taken (void **state)
{
    (void) state;
    s_start (ADR_NODE_EDGE);
    harness_forget (&s_keeper);
    s_map->epoch = 9;
    s_map->node[0].curve_key[0] ^= 1;
    Adr__MapPush push = ADR__MAP_PUSH__INIT;
    push.map = adr_map_message (s_map, &s_arena);
    for (int i = 0; i < 2; i++)
        harness_message (&s_keeper, harness_address (1, ADR_NODE_PKI, ADR_ACTOR_MAP_KEEPER), ADR_NODE_PKI,
                         ADR__KIND__MAP_PUSH, &push.base, s_nothing);
    assert_int_equal (s_keeper.sent_count, 0);
    assert_int_equal (s_keeper.notes[ADR_LEVEL_WARNING], 1);
}

static void
test_the_own_election_s_word_is_news (void **state)
{
    (void) state;
    s_start (ADR_NODE_META);
    adr_id_t master = harness_id (0x32);
    Adr__Master message = ADR__MASTER__INIT;
    message.term = 8;
    message.master = adr_id_view (&master);
    for (int i = 0; i < 2; i++)
        harness_message (&s_keeper, harness_address (1, ADR_NODE_META, ADR_ACTOR_ELECTION), ADR_NODE_META,
                         ADR__KIND__MASTER, &message.base, s_nothing);
    assert_int_equal (harness_count (&s_keeper, ADR__KIND__MAP_CHANGED), S_TOLD);
    s_assert_told (3, 8);
}

int
main (void)
{
#define S_TEST(name) cmocka_unit_test_setup_teardown (name, s_setup, s_teardown)
    const struct CMUnitTest tests[] = {
        S_TEST (test_a_master_s_status_goes_to_all_pki_nodes_and_to_its_own_actors),
        S_TEST (test_only_a_master_speaks_for_its_group),
        S_TEST (test_a_pki_node_pushes_to_its_zone_at_most_every_100_ms),
        S_TEST (test_a_pki_node_shows_its_zone_every_second_that_it_lives),
        S_TEST (test_the_higher_term_and_sequence_wins),
        S_TEST (test_progress_is_told_once_a_second),
        S_TEST (test_a_node_pulls_at_its_start_and_from_others_when_its_zone_s_pki_node_is_silent),
        S_TEST (test_a_pull_is_answered_with_the_statuses_or_with_all),
        S_TEST (test_statuses_grow_old),
        S_TEST (test_an_unsigned_registry_is_not_taken),
        S_TEST (test_the_own_election_s_word_is_news),
    };
    return cmocka_run_group_tests (tests, NULL, NULL);
}
