/* SPDX-License-Identifier: MPL-2.0 */
/* The replicator of a node whose group a set of tokens makes [GROUP-6]: docs/protocol/groups.md. */

#include "replicator_fixture.h"

#include "wire/map_codec.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static adr_arena_t s_arena;

/* A node that has joined: its store knows no voters, and the map that it was given says that the group is forming. */
static int
s_start (void **state)
{
    (void) state;
    adr_arena_init (&s_arena, 4096, 1 << 22);
    fixture_start_with (0);
    return 0;
}

static int
s_stop (void **state)
{
    adr_arena_free (&s_arena);
    return fixture_stop (state);
}

/* The next registry: nodes of so many zones, from the first one, have come. */
static void
s_hear (uint32_t come, uint64_t own_incarnation)
{
    adr_map_group_t *group = &fixture.map->group[0];
    adr_voter_t voter[3];
    for (uint32_t i = 0; i < 3; i++)
        voter[i] = (adr_voter_t){ fixture_meta (i + 1, 0).node, i == 0 ? own_incarnation : fixture.incarnation[i + 1] };
    group->founding = (adr_voters_t){ .at = { 5, 5 }, .quorum = 2, .count = come == 3 ? 3 : 0 }; /* an entry that is none */
    group->forming_zone_count = 3;
    group->forming_count = come == 3 ? 0 : come;
    for (uint32_t i = 0; i < 3; i++) {
        group->forming_zone[i] = fixture.map->zone[i].id;
        group->forming[i] = group->founding.voter[i] = voter[i];
    }
    fixture.map->epoch++;
    adr_map_unseal (fixture.map);
    Adr__MapChanged changed = ADR__MAP_CHANGED__INIT;
    changed.map = adr_map_message (fixture.map, &s_arena);
    fixture_tell (1, ADR_ACTOR_MAP_KEEPER, ADR__KIND__MAP_CHANGED, &changed.base);
}

static void
test_it_founds_when_all_have_come (void **state)
{
    (void) state;
    s_hear (1, 101);
    fixture_sync ();
    assert_int_equal (adr_store_voters (fixture.store)->count, 0);
    assert_non_null (strstr (fixture.harness.note, "until one has joined in z2, z3"));
    s_hear (2, 101);
    fixture_sync ();
    assert_int_equal (adr_store_voters (fixture.store)->count, 0);
    assert_non_null (strstr (fixture.harness.note, "until one has joined in z3"));
    harness_forget (&fixture.harness);
    s_hear (3, 101);
    assert_int_equal (adr_store_voters (fixture.store)->count, 0);
    fixture_sync ();
    assert_int_equal (adr_store_voters (fixture.store)->count, 3);
    harness_advance (&fixture.harness, 200 * ADR_MS);
    const Adr__Voters *told = (const Adr__Voters *) fixture_newest (ADR__KIND__VOTERS); /* election may stand from now on */
    assert_int_equal (told->voters->n_voter, 3);
    assert_true (told->may_stand);
    fixture_lead (1);
    assert_int_equal (adr_store_last (fixture.store).index, 1);
}

/* Whoever was away meanwhile, or was killed before it was durable, finds it in the map of its start. */
static void
test_it_founds_at_its_start (void **state)
{
    (void) state;
    s_hear (3, 101); /* and is killed at once: the actor is made anew */
    fixture_restart ();
    fixture_sync ();
    assert_int_equal (adr_store_voters (fixture.store)->count, 3);
    fixture_restart (); /* and once is enough */
    fixture_sync ();
    assert_false (adr_store_lacks_voters (fixture.store));
}

/* It has lost its store since: as somebody new it founds nothing, and waits to be admitted. */
static void
test_another_incarnation_founds_nothing (void **state)
{
    (void) state;
    s_hear (3, 999);
    fixture_sync ();
    assert_int_equal (adr_store_voters (fixture.store)->count, 0);
    assert_true (adr_store_lacks_voters (fixture.store));
    fixture_restart ();
    fixture_sync ();
    assert_int_equal (adr_store_voters (fixture.store)->count, 0);
}

int
main (void)
{
#define S_TEST(name) cmocka_unit_test_setup_teardown (name, s_start, s_stop)
    const struct CMUnitTest tests[] = {
        S_TEST (test_it_founds_when_all_have_come),
        S_TEST (test_it_founds_at_its_start),
        S_TEST (test_another_incarnation_founds_nothing),
    };
    return cmocka_run_group_tests (tests, NULL, NULL);
}
