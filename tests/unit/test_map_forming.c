/* SPDX-License-Identifier: MPL-2.0 */
/* What a registry may say of groups that come [GROUP-1, GROUP-4, GROUP-5]: docs/protocol/groups.md. */

#include "registry_fixture.h"

#include "core/actor.h"
#include "core/map_forming.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

static adr_founding_t *s_founding;
static adr_map_t *s_held, *s_next;

/* The founding one, without data nodes' partitions: nobody owns any of that type. */
static void
s_take_data_range (adr_map_t *map)
{
    for (uint32_t i = 0; i < map->range_count; i++)
        if (map->range[i].type == ADR_NODE_DATA) {
            map->range[i] = map->range[--map->range_count];
            return;
        }
}

static adr_map_group_t *
s_add_group (adr_map_t *map, const char *name, adr_node_type_t type, uint32_t zones)
{
    map->group = adr_realloc (map->group, (map->group_count + 1) * sizeof *map->group);
    adr_map_group_t *group = &map->group[map->group_count++];
    *group = (adr_map_group_t){ .id = { { 0xd0, (uint8_t) map->group_count } }, .type = type, .founding.quorum = map->quorum };
    strcpy (group->name, name);
    for (uint32_t i = 0; i < zones; i++)
        group->forming_zone[group->forming_zone_count++] = map->zone[i].id;
    return group;
}

/* The node of that zone, from 0, comes into the last group; true: it is formed. */
static bool
s_come (adr_map_t *map, uint32_t zone)
{
    adr_map_group_t *group = &map->group[map->group_count - 1];
    char name[] = "data2@z1";
    name[7] = (char) ('1' + zone);
    adr_cert_t request = registry_request (map, zone, group->type, name, (uint8_t) (0x50 + 2 * zone)); /* of the last group */
    registry_adopt (map, &request, s_founding, 1);
    return adr_map_forming_join (map, group, &(adr_voter_t){ request.node, 1000 + zone });
}

/* The next registry of what is held from now on. */
static void
s_go_on (void)
{
    adr_map_destroy (&s_held);
    adr_map_seal (s_next);
    s_held = s_next;
    s_next = registry_next (s_held);
}

static bool
s_is_step (void)
{
    return adr_map_is_step (s_held, s_next);
}

static int
s_setup (void **state)
{
    (void) state;
    s_founding = registry_found ();
    s_held = adr_map_copy (s_founding->map);
    adr_map_unseal (s_held);
    s_take_data_range (s_held);
    adr_map_seal (s_held);
    s_next = registry_next (s_held);
    return 0;
}

static int
s_teardown (void **state)
{
    (void) state;
    adr_map_destroy (&s_next);
    adr_map_destroy (&s_held);
    adr_founding_destroy (&s_founding);
    return 0;
}

static void
a_forming_group_is_a_step (void **state)
{
    (void) state;
    adr_map_group_t *group = s_add_group (s_next, "data2", ADR_NODE_DATA, 3);
    assert_true (adr_map_is_forming (group));
    assert_true (s_is_step ());
    s_add_group (s_next, "data3", ADR_NODE_DATA, 3); /* two in one epoch */
    assert_false (s_is_step ());
    s_next->epoch++;
    assert_true (s_is_step ());
    s_next->group_count--;
    s_next->epoch--;
    s_go_on ();
    s_next->group_count--; /* none goes */
    assert_false (s_is_step ());
}

/* [GROUP-1] One assertion a reason. */
static void
what_a_group_must_be (void **state)
{
    (void) state;
    adr_map_group_t *group = s_add_group (s_next, "data2", ADR_NODE_DATA, 2);
    assert_false (s_is_step ()); /* two of three zones, where two disks must hold a write */
    group->forming_zone[group->forming_zone_count++] = s_next->zone[1].id; /* a zone twice */
    assert_false (s_is_step ());
    group->forming_zone[2] = (adr_id_t){ { 9 } };
    assert_false (s_is_step ());
    group->forming_zone[2] = s_next->zone[2].id;
    assert_true (s_is_step ());
    group->type = ADR_NODE_PKI;
    assert_false (s_is_step ());
    group->type = ADR_NODE_DATA;
    strcpy (group->name, "data1");
    assert_false (s_is_step ());
    strcpy (group->name, "da\"ta");
    assert_false (s_is_step ());
    group->name[0] = 0;
    assert_false (s_is_step ());
    strcpy (group->name, "data2");
    group->founding.quorum++;
    assert_false (s_is_step ());
    group->founding.quorum--;
    group->id = s_next->group[0].id;
    assert_false (s_is_step ());
    group->id = (adr_id_t){ { 0xd0 } };
    group->founding.voter[group->founding.count++] = (adr_voter_t){ s_next->node[0].id, 1 }; /* founded by whoever is there */
    assert_false (s_is_step ());
}

/* A cluster of fewer zones has no more. */
static void
a_small_cluster_has_small_groups (void **state)
{
    (void) state;
    assert_int_equal (adr_map_zones_needed (s_next), 3);
    s_next->zone_count = 1;
    assert_int_equal (adr_map_zones_needed (s_next), 1);
    s_next->zone_count = 3;
    s_next->quorum = 1;
    assert_int_equal (adr_map_zones_needed (s_next), 2);
}

static void
with_the_last_of_its_nodes_it_is_formed (void **state)
{
    (void) state;
    char lacks[64];
    s_add_group (s_next, "data2", ADR_NODE_DATA, 3);
    s_go_on ();
    for (uint32_t zone = 0; zone < 3; zone++) {
        assert_int_equal (s_come (s_next, zone), zone == 2);
        assert_true (s_is_step ());
        adr_map_group_t *group = &s_next->group[s_next->group_count - 1];
        adr_map_forming_lacks (s_next, group, lacks, sizeof lacks);
        if (zone < 2)
            assert_string_equal (lacks, zone == 0 ? "z2, z3" : "z3");
        s_go_on ();
    }
    const adr_map_group_t *group = &s_held->group[s_held->group_count - 1];
    assert_false (adr_map_is_forming (group));
    assert_int_equal (group->founding.count, 3);
    assert_int_equal (group->founding.quorum, 2);
    assert_int_equal (group->founding.voter[1].incarnation, 1001);
    assert_int_equal (group->forming_count, 0);
    assert_ptr_equal (adr_map_owner (s_held, ADR_NODE_DATA, 0), group); /* [GROUP-5] nobody owned any */
    assert_int_equal (adr_map_owned (s_held, group), s_held->partition_count);
}

/* Whoever was away hears of all of it at once. */
static void
several_changes_are_one_step (void **state)
{
    (void) state;
    s_add_group (s_next, "data2", ADR_NODE_DATA, 3);
    for (uint32_t zone = 0; zone < 3; zone++)
        s_come (s_next, zone);
    assert_false (s_is_step ()); /* in one epoch */
    s_next->epoch += 2;
    assert_false (s_is_step ()); /* a group and three nodes take four */
    s_next->epoch++;
    assert_true (s_is_step ());
    adr_map_node_t *last = &s_next->node[s_next->node_count - 1]; /* ... and one is gone again */
    last->leaving = last->evicted = true;
    last->certificate_size = 0;
    assert_true (s_is_step ());
}

/* [GROUP-4] One assertion a reason; what was made by the commit, changed. */
static void
no_other_founding_is_a_step (void **state)
{
    (void) state;
    s_add_group (s_next, "data2", ADR_NODE_DATA, 3);
    s_go_on ();
    s_come (s_next, 0);
    s_go_on ();
    s_come (s_next, 1);
    s_go_on ();
    assert_true (s_come (s_next, 2));
    adr_map_group_t *group = &s_next->group[s_next->group_count - 1];
    assert_true (s_is_step ());
    group->founding.count = 2; /* without one of them */
    assert_false (s_is_step ());
    group->founding.count = 3;
    group->founding.voter[0].incarnation++; /* not as it came */
    assert_false (s_is_step ());
    group->founding.voter[0].incarnation--;
    group->founding.voter[2].incarnation = 0;
    assert_false (s_is_step ());
    group->founding.voter[2].incarnation = 1002;
    adr_id_t last = group->founding.voter[2].node;
    group->founding.voter[2].node = registry_node (s_next, 2, ADR_NODE_DATA)->id; /* another group's */
    assert_false (s_is_step ());
    group->founding.voter[2].node = group->founding.voter[1].node; /* one zone twice */
    assert_false (s_is_step ());
    group->founding.voter[2].node = last;
    group->founding.quorum = 1;
    assert_false (s_is_step ());
    group->founding.quorum = 2;
    s_next->node[s_next->node_count - 1].evicted = s_next->node[s_next->node_count - 1].leaving = true; /* one that is gone already */
    s_next->node[s_next->node_count - 1].certificate_size = 0;
    assert_false (s_is_step ());
}

/* A group that has been founded has been founded. */
static void
nobody_founds_again (void **state)
{
    (void) state;
    s_next->group[0].founding.voter[0].incarnation++;
    assert_false (s_is_step ());
    registry_sign (s_next, s_founding, 0);
    registry_sign (s_next, s_founding, 1);
    assert_int_equal (adr_map_judge (s_held, s_next, FIXTURE_NOW_MS), ADR_MAP_REFOUNDED);
    s_next->group[0].founding.voter[0].incarnation--;
    adr_map_unseal (s_next);
    s_add_group (s_next, "data2", ADR_NODE_DATA, 3);
    registry_sign (s_next, s_founding, 0);
    registry_sign (s_next, s_founding, 1);
    assert_int_equal (adr_map_judge (s_held, s_next, FIXTURE_NOW_MS), ADR_MAP_BELIEVED);
    s_go_on ();
    s_next->group_count--;
    registry_sign (s_next, s_founding, 0);
    registry_sign (s_next, s_founding, 1);
    assert_int_equal (adr_map_judge (s_held, s_next, FIXTURE_NOW_MS), ADR_MAP_REFOUNDED);
}

/* Who has come stays, as the same, until it is evicted. */
static void
who_has_come_stays (void **state)
{
    (void) state;
    s_add_group (s_next, "data2", ADR_NODE_DATA, 3);
    s_go_on ();
    s_come (s_next, 0);
    s_go_on ();
    adr_map_group_t *group = &s_next->group[s_next->group_count - 1];
    group->forming_count = 0;
    assert_false (s_is_step ());
    group->forming_count = 1;
    group->forming[0].incarnation++;
    assert_false (s_is_step ());
    group->forming[0].incarnation--;
    adr_map_node_t *node = &s_next->node[s_next->node_count - 1];
    node->leaving = node->evicted = true;
    node->certificate_size = 0;
    assert_false (s_is_step ()); /* evicted, and there */
    adr_map_forming_leave (s_next, node);
    assert_int_equal (group->forming_count, 0);
    assert_true (s_is_step ());
    s_go_on ();
    group = &s_next->group[s_next->group_count - 1];
    group->forming_zone[0] = group->forming_zone[1]; /* nor does what it shall be */
    assert_false (s_is_step ());
}

/* [GROUP-5] Partitions of a type that nobody owned, all, to who is formed by this. */
static void
partitions_are_not_taken (void **state)
{
    (void) state;
    s_add_group (s_next, "data2", ADR_NODE_DATA, 3);
    s_go_on ();
    s_come (s_next, 0);
    s_go_on ();
    s_come (s_next, 1);
    s_go_on ();
    assert_true (s_come (s_next, 2));
    adr_map_range_t *range = &s_next->range[s_next->range_count - 1];
    assert_true (s_is_step ());
    range->epoch = 2;
    assert_false (s_is_step ());
    range->epoch = 1;
    range->last--;
    assert_false (s_is_step ());
    range->last++;
    range->group = s_next->group[1].id; /* data1's, which is there for long */
    assert_false (s_is_step ());
    s_next->range_count--;
    assert_true (s_is_step ()); /* it need not own any */
    s_go_on ();
    s_next->range_count++; /* and takes none later */
    s_next->range = adr_realloc (s_next->range, s_next->range_count * sizeof *s_next->range);
    s_next->range[s_next->range_count - 1] = (adr_map_range_t){ .type = ADR_NODE_DATA, .last = s_next->partition_count - 1, .epoch = 1,
                                                                .group = s_next->group[s_next->group_count - 1].id };
    assert_false (s_is_step ());
}

/* A second group of a type owns nothing. */
static void
a_second_group_owns_nothing (void **state)
{
    (void) state;
    s_add_group (s_next, "meta2", ADR_NODE_META, 3);
    uint32_t ranges = s_next->range_count;
    s_come (s_next, 0);
    s_come (s_next, 1);
    assert_true (s_come (s_next, 2));
    assert_int_equal (s_next->range_count, ranges);
    assert_int_equal (adr_map_owned (s_next, &s_next->group[s_next->group_count - 1]), 0);
    s_next->epoch += 3;
    assert_true (s_is_step ());
}

/* What the codec keeps: all of it, in the bytes that are signed. */
static void
it_is_encoded_whole (void **state)
{
    (void) state;
    s_add_group (s_next, "data2", ADR_NODE_DATA, 3);
    s_come (s_next, 1);
    adr_map_seal (s_next);
    adr_map_t *read = adr_registry_read (adr_bytes (s_next->sealed, s_next->sealed_size));
    assert_non_null (read);
    assert_true (adr_map_same_registry (s_next, read));
    assert_true (adr_map_is_all_known (read));
    read->group[read->group_count - 1].forming[0].incarnation++;
    assert_false (adr_map_same_registry (s_next, read));
    read->group[read->group_count - 1].forming[0].incarnation--;
    read->group[read->group_count - 1].forming_zone[0].bytes[0] ^= 1;
    assert_false (adr_map_same_registry (s_next, read));
    adr_map_destroy (&read);
}

/* No bytes make one in which more have come than can. */
static void
nobody_comes_too_much (void **state)
{
    (void) state;
    adr_map_group_t *group = s_add_group (s_next, "data2", ADR_NODE_DATA, 3);
    group->forming_count = 2;
    for (int more = 0; more < 2; more++) {
        adr_map_unseal (s_next);
        adr_map_seal (s_next);
        adr_map_t *read = adr_registry_read (adr_bytes (s_next->sealed, s_next->sealed_size));
        assert_int_equal (read != NULL, more == 0);
        adr_map_destroy (&read);
        group->forming_count++;
    }
}

int
main (void)
{
#define S_TEST(name) cmocka_unit_test_setup_teardown (name, s_setup, s_teardown)
    const struct CMUnitTest tests[] = {
        S_TEST (a_forming_group_is_a_step),
        S_TEST (what_a_group_must_be),
        S_TEST (a_small_cluster_has_small_groups),
        S_TEST (with_the_last_of_its_nodes_it_is_formed),
        S_TEST (several_changes_are_one_step),
        S_TEST (no_other_founding_is_a_step),
        S_TEST (nobody_founds_again),
        S_TEST (who_has_come_stays),
        S_TEST (partitions_are_not_taken),
        S_TEST (a_second_group_owns_nothing),
        S_TEST (it_is_encoded_whole),
        S_TEST (nobody_comes_too_much),
    };
    return cmocka_run_group_tests (tests, NULL, NULL);
}
