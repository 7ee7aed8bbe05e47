/* SPDX-License-Identifier: MPL-2.0 */
/* How a registry comes from the PKI group's log to every node [MAP-5, TRUST-3]. */

#include "actor_harness.h"
#include "registry_fixture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

static harness_t s_keeper;
static adr_founding_t *s_founding;
static adr_map_t *s_next;
static adr_authority_t s_authority;
static adr_arena_t s_arena;
static const adr_bytes_t s_nothing;

static adr_address_t
s_at (uint32_t zone, adr_node_type_t type, adr_actor_kind_t actor)
{
    return (adr_address_t){ adr_founding_node (s_founding, zone, type)->id, actor };
}

/* The map_keeper of the node of this type in the first zone. */
static void
s_start (adr_node_type_t type)
{
    const adr_map_node_t *node = adr_founding_node (s_founding, 0, type);
    adr_environment_t environment = { .cluster = s_founding->map->cluster, .node = node->id, .type = type, .group = node->group,
                                      .map = s_founding->map, .authority = type == ADR_NODE_PKI ? &s_authority : NULL };
    harness_start (&s_keeper, &adr_map_keeper_class, &environment);
    s_keeper.wall_ms = FIXTURE_NOW_MS;
    harness_advance (&s_keeper, 100 * ADR_MS);
    harness_forget (&s_keeper);
}

static int
s_setup (void **state)
{
    (void) state;
    adr_arena_init (&s_arena, 4096, 1 << 22);
    s_founding = registry_found ();
    memcpy (s_authority.sign_seed, s_founding->authority[0].keys.sign_seed, ADR_KEY_SIZE);
    assert_true (adr_cert_decode (&s_authority.certificate, adr_bytes (s_founding->authority[0].certificate,
                                                                      s_founding->authority[0].certificate_size)));
    s_next = registry_next (s_founding->map);
    registry_node (s_next, 2, ADR_NODE_META)->evicted = true;
    adr_map_seal (s_next);
    return 0;
}

static int
s_teardown (void **state)
{
    (void) state;
    harness_stop (&s_keeper);
    adr_map_destroy (&s_next);
    adr_founding_destroy (&s_founding);
    adr_arena_free (&s_arena);
    return 0;
}

/* The own replicator has it. */
static void
s_note (const adr_map_t *map)
{
    Adr__RegistryNoted noted = ADR__REGISTRY_NOTED__INIT;
    harness_message (&s_keeper, s_at (0, ADR_NODE_PKI, ADR_ACTOR_REPLICATOR), ADR_NODE_PKI, ADR__KIND__REGISTRY_NOTED,
                     &noted.base, adr_bytes (map->sealed, map->sealed_size));
}

/* The PKI node of a zone has signed this registry; `of`: whose authority did it. */
static void
s_say_signed (uint32_t zone, uint32_t of, const adr_map_t *map)
{
    Adr__RegistrySigned sign = ADR__REGISTRY_SIGNED__INIT;
    uint8_t hash[ADR_MAP_HASH_SIZE], signature[ADR_MAP_SIGNATURE_SIZE];
    adr_map_hash (adr_bytes (map->sealed, map->sealed_size), hash);
    adr_map_sign (&map->cluster, map->epoch, hash, s_founding->authority[of].keys.sign_seed, signature);
    sign.epoch = map->epoch;
    sign.hash = (ProtobufCBinaryData){ sizeof hash, hash };
    sign.signature = (ProtobufCBinaryData){ sizeof signature, signature };
    harness_message (&s_keeper, s_at (zone, ADR_NODE_PKI, ADR_ACTOR_MAP_KEEPER), ADR_NODE_PKI, ADR__KIND__REGISTRY_SIGNED,
                     &sign.base, s_nothing);
}

/* A push of this map by the PKI node of a zone; without: of the epoch alone. */
static void
s_push (uint32_t zone, const adr_map_t *map, bool whole)
{
    Adr__MapPush push = ADR__MAP_PUSH__INIT;
    push.map = whole ? adr_map_message (map, &s_arena) : adr_map_statuses_message (map, &s_arena);
    push.epoch = map->epoch;
    harness_message (&s_keeper, s_at (zone, ADR_NODE_PKI, ADR_ACTOR_MAP_KEEPER), ADR_NODE_PKI, ADR__KIND__MAP_PUSH, &push.base,
                     s_nothing);
}

/* The epoch that the host was told of last; 0: of none. */
static uint64_t
s_told_host (void)
{
    uint64_t epoch = 0;
    const harness_sent_t *sent;
    for (size_t i = 0; (sent = harness_sent (&s_keeper, ADR__KIND__MAP_CHANGED, i)); i++)
        if (sent->to.actor == ADR_ACTOR_HOST)
            epoch = ((const Adr__MapChanged *) sent->header)->map->registry->epoch;
    return epoch;
}

/* Of that group, as this node's actors were told last. */
static uint64_t
s_told_term (const adr_id_t *group)
{
    uint64_t term = 0;
    const harness_sent_t *sent;
    for (size_t i = 0; (sent = harness_sent (&s_keeper, ADR__KIND__MAP_CHANGED, i)); i++) {
        adr_map_t *map = adr_map_read (((const Adr__MapChanged *) sent->header)->map);
        term = adr_map_group (map, group)->status.term;
        adr_map_destroy (&map);
    }
    return term;
}

static size_t
s_pushes_to (uint32_t zone, adr_node_type_t type)
{
    adr_id_t node = adr_founding_node (s_founding, zone, type)->id;
    size_t count = 0;
    const harness_sent_t *sent;
    for (size_t i = 0; (sent = harness_sent (&s_keeper, ADR__KIND__MAP_PUSH, i)); i++)
        count += adr_id_equal (&sent->to.node, &node);
    return count;
}

static void
what_is_committed_is_signed_and_told (void **state)
{
    (void) state;
    s_start (ADR_NODE_PKI);
    s_note (s_next);
    assert_int_equal (harness_count (&s_keeper, ADR__KIND__REGISTRY_SIGNED), 2);
    const Adr__RegistrySigned *sign = (const Adr__RegistrySigned *) harness_sent (&s_keeper, ADR__KIND__REGISTRY_SIGNED, 0)->header;
    assert_int_equal (sign->epoch, 2);
    assert_true (adr_map_signed_by (s_founding->map, s_next, &s_keeper.environment.node, sign->signature.data));
    assert_int_equal (s_told_host (), 0); /* one has signed it */
    harness_forget (&s_keeper);
    harness_advance (&s_keeper, 600 * ADR_MS); /* it may have been lost */
    assert_int_equal (harness_count (&s_keeper, ADR__KIND__REGISTRY_SIGNED), 2);
}

static void
two_that_signed_make_it_the_map (void **state)
{
    (void) state;
    s_start (ADR_NODE_PKI);
    s_note (s_next);
    s_say_signed (1, 2, s_next); /* not by its own authority */
    assert_int_equal (s_told_host (), 0);
    s_say_signed (1, 1, s_next);
    assert_int_equal (s_told_host (), 2);
    harness_advance (&s_keeper, 200 * ADR_MS);
    /* All ten others that are left hear it whole, with both signatures: other zones' PKI nodes may be down. */
    assert_int_equal (harness_count (&s_keeper, ADR__KIND__MAP_PUSH), 10);
    const Adr__MapPush *push = (const Adr__MapPush *) harness_sent (&s_keeper, ADR__KIND__MAP_PUSH, 0)->header;
    assert_int_equal (push->map->registry->epoch, 2);
    assert_int_equal (push->map->n_signature, 2);
    harness_forget (&s_keeper);
    harness_advance (&s_keeper, 5000 * ADR_MS);
    assert_int_equal (harness_count (&s_keeper, ADR__KIND__REGISTRY_SIGNED), 0);
    size_t own = s_pushes_to (0, ADR_NODE_EDGE); /* statuses are for the own zone */
    assert_true (own >= 4);
    assert_int_equal (harness_count (&s_keeper, ADR__KIND__MAP_PUSH), 3 * own);
}

/* [MAP-3] Its zone is served by all the other PKI nodes. */
static void
a_zone_without_a_pki_node_is_served_all_the_same (void **state)
{
    (void) state;
    s_start (ADR_NODE_PKI);
    registry_node (s_next, 2, ADR_NODE_META)->evicted = false;
    registry_node (s_next, 1, ADR_NODE_PKI)->evicted = true;
    adr_map_unseal (s_next);
    adr_map_seal (s_next);
    s_note (s_next);
    s_say_signed (2, 2, s_next);
    assert_int_equal (s_told_host (), 2);
    harness_advance (&s_keeper, 200 * ADR_MS);
    harness_forget (&s_keeper);
    harness_advance (&s_keeper, 5000 * ADR_MS);
    size_t orphans = s_pushes_to (1, ADR_NODE_EDGE);
    assert_true (orphans >= 4);
    assert_int_equal (s_pushes_to (0, ADR_NODE_EDGE), orphans);
    assert_int_equal (harness_count (&s_keeper, ADR__KIND__MAP_PUSH), 6 * orphans);
}

/* What others said before the own log had it counts as well. */
static void
signatures_may_come_first (void **state)
{
    (void) state;
    s_start (ADR_NODE_PKI);
    s_say_signed (2, 2, s_next);
    assert_int_equal (s_told_host (), 0);
    s_note (s_next);
    assert_int_equal (s_told_host (), 2);
    harness_forget (&s_keeper);
    s_say_signed (1, 1, s_next); /* it has not taken it yet: it gets the whole */
    const Adr__MapPush *push = (const Adr__MapPush *) harness_sent (&s_keeper, ADR__KIND__MAP_PUSH, 0)->header;
    assert_int_equal (push->map->registry->epoch, 2);
}

static void
a_signed_map_is_taken_from_a_push (void **state)
{
    (void) state;
    s_start (ADR_NODE_EDGE);
    registry_sign (s_next, s_founding, 1);
    s_push (0, s_next, true);
    s_push (0, s_next, true);
    assert_int_equal (s_told_host (), 0);
    assert_int_equal (s_keeper.notes[ADR_LEVEL_WARNING], 1);
    registry_sign (s_next, s_founding, 2);
    s_push (0, s_next, true);
    assert_int_equal (s_told_host (), 2);
}

static void
who_is_behind_pulls (void **state)
{
    (void) state;
    s_start (ADR_NODE_EDGE);
    s_push (0, s_next, false);
    assert_int_equal (harness_count (&s_keeper, ADR__KIND__MAP_PULL), 1);
    assert_int_equal (((const Adr__MapPull *) harness_sent (&s_keeper, ADR__KIND__MAP_PULL, 0)->header)->epoch, 1);
}

/* Whatever stands in the record: PKI nodes sign marks that rise, and no more. */
static void
only_a_step_is_signed (void **state)
{
    (void) state;
    s_start (ADR_NODE_PKI);
    adr_map_unseal (s_next);
    s_next->quorum++;
    adr_map_seal (s_next);
    s_note (s_next);
    s_say_signed (1, 1, s_next);
    s_say_signed (2, 2, s_next);
    assert_int_equal (harness_count (&s_keeper, ADR__KIND__REGISTRY_SIGNED), 0);
    assert_int_equal (s_told_host (), 0);
    assert_int_equal (s_keeper.notes[ADR_LEVEL_ERROR], 1);
}

/* A PKI node that is not silent may be cut off from the others, or hide something: another one is asked now and then. */
static void
another_pki_node_is_asked_now_and_then (void **state)
{
    (void) state;
    s_start (ADR_NODE_EDGE);
    for (int second = 0; second < 12; second++) {
        s_push (0, s_founding->map, false);
        harness_advance (&s_keeper, 1000 * ADR_MS);
    }
    assert_int_equal (harness_count (&s_keeper, ADR__KIND__MAP_PULL), 1);
    adr_id_t own = adr_founding_node (s_founding, 0, ADR_NODE_PKI)->id;
    assert_false (adr_id_equal (&harness_sent (&s_keeper, ADR__KIND__MAP_PULL, 0)->to.node, &own));
}

/* [TRUST-3] Nothing is sent any more to whom the map has evicted. */
static void
the_evicted_hear_nothing (void **state)
{
    (void) state;
    s_start (ADR_NODE_PKI);
    adr_id_t gone = registry_node (s_next, 1, ADR_NODE_PKI)->id, neighbour = registry_node (s_next, 0, ADR_NODE_DATA)->id;
    registry_node (s_next, 1, ADR_NODE_PKI)->evicted = registry_node (s_next, 0, ADR_NODE_DATA)->evicted = true;
    adr_map_unseal (s_next);
    adr_map_seal (s_next);
    s_note (s_next);
    s_say_signed (2, 2, s_next);
    assert_int_equal (s_told_host (), 2);
    harness_forget (&s_keeper);
    harness_advance (&s_keeper, 5000 * ADR_MS);
    assert_true (s_keeper.sent_count > 0);
    for (size_t i = 0; i < s_keeper.sent_count; i++)
        assert_false (adr_id_equal (&s_keeper.sent[i].to.node, &gone) || adr_id_equal (&s_keeper.sent[i].to.node, &neighbour));
    s_say_signed (1, 1, s_next);
    s_next->epoch = 3;
    adr_map_unseal (s_next);
    adr_map_seal (s_next);
    s_note (s_next);
    s_say_signed (1, 1, s_next); /* its word counts no more */
    assert_int_equal (s_told_host (), 0);
}

/* A term that only a node which is to go has told: nobody believes it any more, and the same node tells no other. */
static void
what_a_leaver_has_said_counts_no_more (void **state)
{
    (void) state;
    s_start (ADR_NODE_EDGE);
    const adr_map_node_t *liar = adr_founding_node (s_founding, 2, ADR_NODE_META), *next = adr_founding_node (s_founding, 1, ADR_NODE_META);
    adr_group_status_t *status = &adr_map_group (s_founding->map, &liar->group)->status;
    *status = (adr_group_status_t){ .term = 1000, .sequence = 1, .master = liar->id };
    s_push (0, s_founding->map, false);
    assert_int_equal (s_told_term (&liar->group), 1000);
    registry_sign (s_next, s_founding, 1);
    registry_sign (s_next, s_founding, 2);
    s_push (0, s_next, true);
    assert_int_equal (s_told_term (&liar->group), 0);
    s_push (0, s_founding->map, false); /* somebody still says so */
    assert_int_equal (s_told_term (&liar->group), 0);
    *status = (adr_group_status_t){ .term = 7, .sequence = 1, .master = next->id };
    s_push (0, s_founding->map, false);
    assert_int_equal (s_told_term (&liar->group), 7);
    *status = (adr_group_status_t){ 0 };
}

/* [MAP-2] The master itself says it; not once it is leaving. */
static void
a_leaver_speaks_for_no_group (void **state)
{
    (void) state;
    s_start (ADR_NODE_PKI);
    registry_node (s_next, 2, ADR_NODE_META)->evicted = false;
    registry_node (s_next, 2, ADR_NODE_META)->leaving = true;
    adr_map_unseal (s_next);
    adr_map_seal (s_next);
    const adr_map_node_t *leaver = adr_founding_node (s_founding, 2, ADR_NODE_META);
    adr_group_status_t status = { .term = 3, .sequence = 1, .master = leaver->id };
    for (int turn = 0; turn < 2; turn++) {
        Adr__GroupStatus *said = adr_group_status_message (&leaver->group, &status, &s_arena);
        harness_message (&s_keeper, s_at (2, ADR_NODE_META, ADR_ACTOR_MAP_KEEPER), ADR_NODE_META, ADR__KIND__GROUP_STATUS,
                         &said->base, s_nothing);
        harness_advance (&s_keeper, 1500 * ADR_MS);
        assert_int_equal (s_told_term (&leaver->group), turn == 0 ? 3 : 0);
        s_note (s_next);
        s_say_signed (1, 1, s_next);
        status.sequence++;
    }
}

/* --- what PKI nodes have missed [RECOVER-9] ----------------------------------------------------------------------------- */

/* Signed by two, and taken by the node under test. */
static void
s_take_next (void)
{
    registry_sign (s_next, s_founding, 1);
    registry_sign (s_next, s_founding, 2);
    s_push (1, s_next, true);
    assert_int_equal (s_told_host (), s_next->epoch);
    harness_forget (&s_keeper);
}

static void
a_pki_node_that_is_behind_is_told (void **state)
{
    (void) state;
    s_start (ADR_NODE_META);
    s_take_next ();
    s_push (0, s_founding->map, false);
    assert_int_equal (s_pushes_to (0, ADR_NODE_PKI), 1);
    const Adr__MapPush *push = (const Adr__MapPush *) harness_sent (&s_keeper, ADR__KIND__MAP_PUSH, 0)->header;
    assert_int_equal (push->map->registry->epoch, s_next->epoch);
    assert_int_equal (push->map->n_signature, 2);
    s_push (0, s_founding->map, false); /* at once again: not every second push is answered */
    assert_int_equal (s_pushes_to (0, ADR_NODE_PKI), 1);
    s_push (1, s_next, false);
    assert_int_equal (s_pushes_to (1, ADR_NODE_PKI), 0);
}

static void
s_pull_by (uint32_t zone, adr_node_type_t type, uint64_t epoch)
{
    Adr__MapPull pull = ADR__MAP_PULL__INIT;
    pull.epoch = epoch;
    harness_message (&s_keeper, s_at (zone, type, ADR_ACTOR_MAP_KEEPER), type, ADR__KIND__MAP_PULL, &pull.base, s_nothing);
}

static void
a_pki_node_is_answered_by_any_node (void **state)
{
    (void) state;
    s_start (ADR_NODE_DATA);
    s_take_next ();
    s_pull_by (0, ADR_NODE_PKI, s_founding->map->epoch);
    assert_int_equal (s_pushes_to (0, ADR_NODE_PKI), 1);
    s_pull_by (0, ADR_NODE_PKI, s_next->epoch);
    s_pull_by (1, ADR_NODE_EDGE, s_founding->map->epoch); /* that has PKI nodes to ask */
    assert_int_equal (harness_count (&s_keeper, ADR__KIND__MAP_PUSH), 1);
}

/* It takes what it has missed from whoever holds it, and nothing else of it: a master alone speaks for its group. */
static void
a_pki_node_asks_whoever_holds_a_newer_one (void **state)
{
    (void) state;
    s_start (ADR_NODE_PKI);
    s_pull_by (1, ADR_NODE_EDGE, s_next->epoch);
    assert_int_equal (harness_count (&s_keeper, ADR__KIND__MAP_PULL), 1);
    adr_id_t edge = s_at (1, ADR_NODE_EDGE, ADR_ACTOR_MAP_KEEPER).node;
    assert_true (adr_id_equal (&harness_sent (&s_keeper, ADR__KIND__MAP_PULL, 0)->to.node, &edge));
    adr_map_group_t *group = &s_next->group[0];
    group->status = (adr_group_status_t){ .term = 9, .sequence = 1, .master = adr_founding_node (s_founding, 1, group->type)->id };
    for (uint32_t signers = 1; signers <= 2; signers++) {
        registry_sign (s_next, s_founding, signers);
        Adr__MapPush push = ADR__MAP_PUSH__INIT;
        push.map = adr_map_message (s_next, &s_arena);
        push.epoch = s_next->epoch;
        harness_message (&s_keeper, s_at (1, ADR_NODE_EDGE, ADR_ACTOR_MAP_KEEPER), ADR_NODE_EDGE, ADR__KIND__MAP_PUSH, &push.base, s_nothing);
        assert_int_equal (s_told_host (), signers == 2 ? s_next->epoch : 0);
    }
    harness_advance (&s_keeper, 1500 * ADR_MS);
    assert_int_equal (s_told_term (&group->id), 0);
}

/* [RECOVER-8] The only voter signs, and takes it by its own signature; without the root's it waits for another one. */
static void
the_only_voter_of_a_recovered_group_signs_alone (void **state)
{
    (void) state;
    const adr_map_node_t *survivor = adr_founding_node (s_founding, 0, ADR_NODE_PKI);
    adr_recovery_t recovery = { .cluster = s_next->cluster, .group = survivor->group, .number = 1, .survivor = survivor->id,
                                .incarnation = 1, .end = { 1, 1 }, .epoch = 1002 };
    adr_map_group_t *group = adr_map_group (s_next, &survivor->group);
    s_start (ADR_NODE_PKI);
    s_next->epoch = 1002;
    for (uint32_t i = 0; i < s_next->range_count; i++)
        s_next->range[i].epoch += adr_id_equal (&s_next->range[i].group, &group->id);
    for (uint32_t zone = 1; zone < 3; zone++)
        registry_node (s_next, zone, ADR_NODE_PKI)->evicted = registry_node (s_next, zone, ADR_NODE_PKI)->leaving = true;
    for (int turn = 0; turn < 2; turn++) {
        adr_recovery_sign (&recovery, 1, turn == 0 ? s_founding->authority[0].keys.sign_seed : s_founding->root.keys.sign_seed);
        group->recovery_size = adr_recovery_encode (&recovery, group->recovery);
        s_next->epoch += (uint64_t) turn; /* one that was refused is not looked at again */
        adr_map_unseal (s_next);
        adr_map_seal (s_next);
        s_note (s_next);
        assert_int_equal (s_told_host (), turn == 0 ? 0 : s_next->epoch);
    }
}

int
main (void)
{
#define S_TEST(name) cmocka_unit_test_setup_teardown (name, s_setup, s_teardown)
    const struct CMUnitTest tests[] = {
        S_TEST (what_is_committed_is_signed_and_told),
        S_TEST (two_that_signed_make_it_the_map),
        S_TEST (a_zone_without_a_pki_node_is_served_all_the_same),
        S_TEST (signatures_may_come_first),
        S_TEST (a_signed_map_is_taken_from_a_push),
        S_TEST (who_is_behind_pulls),
        S_TEST (only_a_step_is_signed),
        S_TEST (another_pki_node_is_asked_now_and_then),
        S_TEST (what_a_leaver_has_said_counts_no_more),
        S_TEST (a_leaver_speaks_for_no_group),
        S_TEST (the_evicted_hear_nothing),
        S_TEST (a_pki_node_that_is_behind_is_told),
        S_TEST (a_pki_node_is_answered_by_any_node),
        S_TEST (a_pki_node_asks_whoever_holds_a_newer_one),
        S_TEST (the_only_voter_of_a_recovered_group_signs_alone),
    };
    return cmocka_run_group_tests (tests, NULL, NULL);
}
