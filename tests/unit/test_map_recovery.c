/* SPDX-License-Identifier: MPL-2.0 */
/* Which registry may recover a group [RECOVER-3, RECOVER-4, RECOVER-5, RECOVER-8]: docs/protocol/recover.md. */

#include "registry_fixture.h"

#include "core/map_recovery.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

static adr_founding_t *s_founding;
static adr_map_t *s_offered;

static adr_map_group_t *
s_group (adr_map_t *map, adr_node_type_t type)
{
    for (uint32_t i = 0; i < map->group_count; i++)
        if (map->group[i].type == type)
            return &map->group[i];
    fail ();
    return NULL;
}

/* That group's node of the first zone is to go on alone. */
static adr_recovery_t
s_statement (adr_node_type_t type, uint64_t number)
{
    adr_map_t *map = s_founding->map;
    adr_recovery_t recovery = { .cluster = map->cluster, .group = s_group (map, type)->id, .number = number,
                                .survivor = registry_node (map, 0, type)->id, .incarnation = 5, .end = { 3, 40 }, .epoch = 2 };
    adr_recovery_sign (&recovery, FIXTURE_NOW_MS, s_founding->root.keys.sign_seed);
    return recovery;
}

static void
s_put (adr_map_t *map, const adr_recovery_t *recovery)
{
    adr_map_group_t *group = adr_map_group (map, &recovery->group);
    group->recovery_size = adr_recovery_encode (recovery, group->recovery);
}

/* What a cert_signer changes beside it. */
static void
s_recover (adr_map_t *map, const adr_recovery_t *recovery)
{
    s_put (map, recovery);
    for (uint32_t i = 0; i < map->range_count; i++)
        map->range[i].epoch += adr_id_equal (&map->range[i].group, &recovery->group);
    for (uint32_t i = 0; i < map->node_count; i++)
        if (adr_id_equal (&map->node[i].group, &recovery->group) && !adr_id_equal (&map->node[i].id, &recovery->survivor)) {
            map->node[i].evicted = map->node[i].leaving = true;
            map->node[i].certificate_size = 0;
        }
}

static int
s_setup (void **state)
{
    (void) state;
    s_founding = registry_found ();
    s_offered = registry_next (s_founding->map);
    adr_recovery_t recovery = s_statement (ADR_NODE_DATA, 1);
    s_recover (s_offered, &recovery);
    return 0;
}

static int
s_teardown (void **state)
{
    (void) state;
    adr_map_destroy (&s_offered);
    adr_founding_destroy (&s_founding);
    return 0;
}

static adr_map_fault_t
s_judge (void)
{
    adr_map_unseal (s_offered);
    registry_sign (s_offered, s_founding, 0);
    registry_sign (s_offered, s_founding, 1);
    return adr_map_judge (s_founding->map, s_offered, FIXTURE_NOW_MS);
}

static bool
s_is_step (void)
{
    adr_map_unseal (s_offered);
    adr_map_seal (s_offered);
    return adr_map_is_step (s_founding->map, s_offered);
}

/* Neither taken nor signed. */
static void
s_assert_refused (void)
{
    assert_int_equal (s_judge (), ADR_MAP_BAD_RECOVERY);
    assert_false (s_is_step ());
}

static void
what_the_root_has_signed_is_believed (void **state)
{
    (void) state;
    assert_int_equal (s_judge (), ADR_MAP_BELIEVED);
    assert_true (s_is_step ());
    assert_true (adr_map_is_all_known (s_offered));
    adr_map_t *read = adr_registry_read (adr_bytes (s_offered->sealed, s_offered->sealed_size));
    adr_recovery_t recovery, expected = s_statement (ADR_NODE_DATA, 1);
    assert_non_null (read);
    assert_true (adr_map_same_registry (read, s_offered));
    assert_true (adr_map_recovery (read, &expected.group, &recovery));
    assert_memory_equal (&recovery, &expected, sizeof recovery);
    assert_false (adr_map_recovery (read, &s_group (read, ADR_NODE_META)->id, &recovery));
    adr_map_destroy (&read);
}

/* [RECOVER-2] It was signed long ago, and not used: whoever finds it can do nothing with it. */
static void
an_old_statement_is_worth_nothing (void **state)
{
    (void) state;
    s_founding->map->epoch = 101; /* it names 2 */
    s_offered->epoch = 102;
    assert_int_equal (s_judge (), ADR_MAP_BELIEVED);
    assert_true (s_is_step ());
    s_founding->map->epoch = 102;
    s_offered->epoch = 103;
    s_assert_refused ();
}

/* Two stolen authorities, and one group to take. */
static void
an_authority_is_no_root (void **state)
{
    (void) state;
    adr_recovery_t recovery = s_statement (ADR_NODE_DATA, 1);
    adr_recovery_sign (&recovery, FIXTURE_NOW_MS, s_founding->authority[0].keys.sign_seed);
    s_put (s_offered, &recovery);
    s_assert_refused ();
}

static void
a_changed_statement_is_none (void **state)
{
    (void) state;
    adr_recovery_t recovery = s_statement (ADR_NODE_DATA, 1);
    recovery.end.index--;
    s_put (s_offered, &recovery);
    s_assert_refused ();
}

static void
another_cluster_s_statement_is_none (void **state)
{
    (void) state;
    adr_recovery_t recovery = s_statement (ADR_NODE_DATA, 1);
    memset (recovery.cluster.bytes, 9, ADR_ID_SIZE);
    adr_recovery_sign (&recovery, FIXTURE_NOW_MS, s_founding->root.keys.sign_seed);
    s_put (s_offered, &recovery);
    s_assert_refused ();
}

static void
numbers_only_rise (void **state)
{
    (void) state;
    adr_recovery_t held = s_statement (ADR_NODE_DATA, 5), next = s_statement (ADR_NODE_DATA, 5);
    s_put (s_founding->map, &held);
    for (uint64_t number = 4; number <= 6; number++) {
        next.number = number;
        adr_recovery_sign (&next, FIXTURE_NOW_MS + 1, s_founding->root.keys.sign_seed);
        s_put (s_offered, &next);
        if (number <= 5)
            s_assert_refused ();
    }
    assert_int_equal (s_judge (), ADR_MAP_BELIEVED);
    assert_true (s_is_step ());
}

static void
a_recovery_is_not_forgotten (void **state)
{
    (void) state;
    adr_recovery_t held = s_statement (ADR_NODE_META, 1);
    s_put (s_founding->map, &held);
    s_assert_refused ();
    adr_id_t id = held.group;
    adr_map_group_t *group = adr_map_group (s_offered, &id);
    group->id.bytes[0] ^= 1; /* not even with its group */
    assert_int_equal (s_judge (), ADR_MAP_BAD_RECOVERY);
    group->id = id;
    s_put (s_offered, &held); /* the same as before says nothing new: its voters may be others by now */
    assert_int_equal (s_judge (), ADR_MAP_BELIEVED);
    assert_true (s_is_step ());
}

static void
nobody_else_of_the_group_stays (void **state)
{
    (void) state;
    for (uint32_t zone = 1; zone < 3; zone++) {
        adr_map_node_t *node = registry_node (s_offered, zone, ADR_NODE_DATA);
        adr_map_node_t evicted = *node;
        *node = *registry_node (s_founding->map, zone, ADR_NODE_DATA);
        s_assert_refused ();
        *node = evicted;
    }
    assert_int_equal (s_judge (), ADR_MAP_BELIEVED);
}

static void
the_epoch_is_not_below_what_is_signed (void **state)
{
    (void) state;
    adr_recovery_t recovery = s_statement (ADR_NODE_DATA, 1);
    recovery.epoch = s_offered->epoch + 1;
    adr_recovery_sign (&recovery, FIXTURE_NOW_MS, s_founding->root.keys.sign_seed);
    s_put (s_offered, &recovery);
    s_assert_refused ();
    s_offered->epoch++;
    assert_int_equal (s_judge (), ADR_MAP_BELIEVED);
    assert_true (s_is_step ());
}

static adr_map_range_t *
s_range (adr_node_type_t type)
{
    for (uint32_t i = 0; i < s_offered->range_count; i++)
        if (s_offered->range[i].type == type)
            return &s_offered->range[i];
    fail ();
    return NULL;
}

/* PKI nodes sign exactly that. */
static void
epochs_rise_by_one_and_only_there (void **state)
{
    (void) state;
    s_range (ADR_NODE_DATA)->epoch--;
    assert_false (s_is_step ());
    s_range (ADR_NODE_DATA)->epoch += 2;
    assert_false (s_is_step ());
    s_range (ADR_NODE_DATA)->epoch--;
    assert_true (s_is_step ());
    s_range (ADR_NODE_META)->epoch++;
    assert_false (s_is_step ());
}

/* --- the PKI group itself -------------------------------------------------------------------------------------------- */

static void
s_recover_pki (adr_map_t *map)
{
    adr_recovery_t recovery = s_statement (ADR_NODE_PKI, 1);
    s_recover (map, &recovery);
    adr_map_unseal (map);
}

static void
the_only_voter_signs_alone (void **state)
{
    (void) state;
    s_recover_pki (s_offered);
    registry_sign (s_offered, s_founding, 0);
    assert_int_equal (adr_map_judge (s_founding->map, s_offered, FIXTURE_NOW_MS), ADR_MAP_BELIEVED);
    assert_true (adr_map_is_step (s_founding->map, s_offered));
    assert_int_equal (adr_map_signatures_needed (s_founding->map, s_offered), 1);
}

static void
another_one_does_not (void **state)
{
    (void) state;
    s_recover_pki (s_offered);
    registry_sign (s_offered, s_founding, 1);
    assert_int_equal (adr_map_judge (s_founding->map, s_offered, FIXTURE_NOW_MS), ADR_MAP_UNSIGNED);
}

/* A stolen authority alone: the statement is of another root, is held already, or is another group's. */
static void
nobody_signs_alone_without_the_root (void **state)
{
    (void) state;
    adr_recovery_t recovery = s_statement (ADR_NODE_PKI, 1);
    adr_map_unseal (s_offered);
    registry_sign (s_offered, s_founding, 0);
    assert_int_equal (adr_map_judge (s_founding->map, s_offered, FIXTURE_NOW_MS), ADR_MAP_UNSIGNED);
    s_recover_pki (s_offered);
    adr_recovery_sign (&recovery, FIXTURE_NOW_MS, s_founding->authority[0].keys.sign_seed);
    s_put (s_offered, &recovery);
    registry_sign (s_offered, s_founding, 0);
    assert_int_equal (adr_map_judge (s_founding->map, s_offered, FIXTURE_NOW_MS), ADR_MAP_UNSIGNED);
    recovery = s_statement (ADR_NODE_PKI, 1);
    s_put (s_offered, &recovery);
    s_put (s_founding->map, &recovery);
    adr_map_unseal (s_offered);
    registry_sign (s_offered, s_founding, 0);
    assert_int_equal (adr_map_judge (s_founding->map, s_offered, FIXTURE_NOW_MS), ADR_MAP_UNSIGNED);
}

/* --- bytes -------------------------------------------------------------------------------------------------------------- */

static void
nothing_but_a_statement_about_that_group_is_read (void **state)
{
    (void) state;
    adr_recovery_t other = s_statement (ADR_NODE_META, 1);
    adr_map_group_t *group = s_group (s_offered, ADR_NODE_DATA);
    uint8_t sound[ADR_RECOVERY_SIZE];
    memcpy (sound, group->recovery, sizeof sound);
    for (int turn = 0; turn < 3; turn++) {
        memcpy (group->recovery, sound, sizeof sound);
        group->recovery_size = turn == 0 ? ADR_RECOVERY_REQUEST_SIZE : sizeof sound;
        if (turn == 1)
            group->recovery[0] ^= 1;
        if (turn == 2)
            (void) adr_recovery_encode (&other, group->recovery);
        adr_map_unseal (s_offered);
        adr_map_seal (s_offered);
        assert_null (adr_registry_read (adr_bytes (s_offered->sealed, s_offered->sealed_size)));
    }
}

int
main (void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown (what_the_root_has_signed_is_believed, s_setup, s_teardown),
        cmocka_unit_test_setup_teardown (an_old_statement_is_worth_nothing, s_setup, s_teardown),
        cmocka_unit_test_setup_teardown (an_authority_is_no_root, s_setup, s_teardown),
        cmocka_unit_test_setup_teardown (a_changed_statement_is_none, s_setup, s_teardown),
        cmocka_unit_test_setup_teardown (another_cluster_s_statement_is_none, s_setup, s_teardown),
        cmocka_unit_test_setup_teardown (numbers_only_rise, s_setup, s_teardown),
        cmocka_unit_test_setup_teardown (a_recovery_is_not_forgotten, s_setup, s_teardown),
        cmocka_unit_test_setup_teardown (nobody_else_of_the_group_stays, s_setup, s_teardown),
        cmocka_unit_test_setup_teardown (the_epoch_is_not_below_what_is_signed, s_setup, s_teardown),
        cmocka_unit_test_setup_teardown (epochs_rise_by_one_and_only_there, s_setup, s_teardown),
        cmocka_unit_test_setup_teardown (the_only_voter_signs_alone, s_setup, s_teardown),
        cmocka_unit_test_setup_teardown (another_one_does_not, s_setup, s_teardown),
        cmocka_unit_test_setup_teardown (nobody_signs_alone_without_the_root, s_setup, s_teardown),
        cmocka_unit_test_setup_teardown (nothing_but_a_statement_about_that_group_is_read, s_setup, s_teardown),
    };
    return cmocka_run_group_tests (tests, NULL, NULL);
}
