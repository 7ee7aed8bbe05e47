/* SPDX-License-Identifier: MPL-2.0 */
/* Which settings an actor obeys while they change, and what does not wait for what was planned by the old ones: docs/protocol/settings.md,
 * SET-2, SET-3. What single actors do with theirs stands in their own tests. */

#include "actor_harness.h"

#include "actors/obeyed.h"
#include "core/settings.h"
#include "wire/map_codec.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#define S_SECOND (1000 * ADR_MS)

static adr_map_t *s_map;
static adr_environment_t s_environment;

static int
s_setup (void **state)
{
    (void) state;
    s_map = harness_map (3);
    s_environment = (adr_environment_t){ .cluster = s_map->cluster, .node = harness_id (0x10 + ADR_NODE_META), .type = ADR_NODE_META,
                                         .group = harness_id (0xb0 + ADR_NODE_META), .seed = 3, .incarnation = 1, .boot = 1, .map = s_map };
    adr_settings_default (&s_environment.settings);
    return 0;
}

static int
s_teardown (void **state)
{
    (void) state;
    adr_map_destroy (&s_map);
    return 0;
}

static bool
s_update (adr_obeyed_t *obeyed, adr_settings_t *now)
{
    adr_arena_t arena;
    adr_arena_init (&arena, 4096, 1 << 20);
    adr_map_unseal (s_map);
    bool changed = adr_obeyed_update (obeyed, now, adr_map_message (s_map, &arena));
    adr_arena_free (&arena);
    return changed;
}

/* --- the values --------------------------------------------------------------------------------------------------- */

static void
the_first_map_is_obeyed_at_once (void **state)
{
    (void) state;
    adr_obeyed_t obeyed;
    adr_settings_t now;
    assert_true (adr_setting_enter (s_map, "gc.grace", 7000));
    s_environment.settings.gc_grace_ns = 5 * S_SECOND; /* the host's own */
    adr_obeyed_init (&obeyed, &s_environment, &now);
    assert_int_equal (now.gc_grace_ns, 7 * S_SECOND);
    s_environment.map = NULL;
    adr_obeyed_init (&obeyed, &s_environment, &now);
    assert_int_equal (now.gc_grace_ns, 5 * S_SECOND);
}

static void
a_newer_registry_is_obeyed_whole (void **state)
{
    (void) state;
    adr_obeyed_t obeyed;
    adr_settings_t now;
    s_environment.settings.gc_grace_ns = 5 * S_SECOND;
    adr_obeyed_init (&obeyed, &s_environment, &now);
    assert_true (adr_setting_enter (s_map, "gc.grace", 7000));
    assert_false (s_update (&obeyed, &now)); /* of the same epoch: statuses alone */
    assert_int_equal (now.gc_grace_ns, 5 * S_SECOND);
    s_map->epoch++;
    assert_true (adr_setting_enter (s_map, "store.scrub-rate", 4096));
    assert_true (s_update (&obeyed, &now));
    assert_int_equal (now.gc_grace_ns, 7 * S_SECOND);
    assert_int_equal (now.scrub_rate, 4096);
    s_map->epoch++;
    adr_setting_remove (s_map, "gc.grace");
    assert_true (s_update (&obeyed, &now)); /* [SET-3] the host's own again */
    assert_int_equal (now.gc_grace_ns, 5 * S_SECOND);
    assert_int_equal (now.scrub_rate, 4096);
    s_map->epoch++;
    assert_false (s_update (&obeyed, &now)); /* something else has changed */
    assert_false (adr_obeyed_update (&obeyed, &now, NULL));
}

/* --- what does not wait ------------------------------------------------------------------------------------------- */

/* Polls were rare: a master must not be silent for longer than the new promises last. */
static void
a_health_checker_polls_at_its_new_pace (void **state)
{
    (void) state;
    harness_t checker;
    s_environment.settings.poll_ns = 10 * S_SECOND;
    s_environment.settings.election_min_ns = 30 * S_SECOND;
    s_environment.settings.election_max_ns = 50 * S_SECOND;
    harness_start (&checker, &adr_health_checker_class, &s_environment);
    harness_advance (&checker, S_SECOND);
    size_t pings = harness_count (&checker, ADR__KIND__PING);
    harness_advance (&checker, 2 * S_SECOND);
    assert_int_equal (harness_count (&checker, ADR__KIND__PING), pings);
    assert_true (adr_setting_enter (s_map, "timing.poll", 100) && adr_setting_enter (s_map, "timing.election-max", 1000));
    harness_tell_setting (&checker, s_map, "timing.election-min", 500);
    harness_advance (&checker, 2 * S_SECOND);
    assert_true (harness_count (&checker, ADR__KIND__PING) >= pings + 2 * 3);
    harness_stop (&checker);
}

static void
a_collector_looks_as_soon_as_it_would (void **state)
{
    (void) state;
    harness_t collector;
    s_environment.node = harness_id (0x10 + ADR_NODE_EDGE);
    s_environment.type = ADR_NODE_EDGE;
    s_environment.group = (adr_id_t){ { 0 } };
    harness_start (&collector, &adr_collector_class, &s_environment);
    harness_tell_setting (&collector, s_map, "gc.grace", 8000);
    harness_forget (&collector);
    harness_advance (&collector, 2 * S_SECOND); /* an eighth of it, and some more */
    assert_true (harness_count (&collector, ADR__KIND__LIST) > 0);
    harness_stop (&collector);
}

#define S_TEST(name) cmocka_unit_test_setup_teardown (name, s_setup, s_teardown)

int
main (void)
{
    const struct CMUnitTest tests[] = {
        S_TEST (the_first_map_is_obeyed_at_once),
        S_TEST (a_newer_registry_is_obeyed_whole),
        S_TEST (a_health_checker_polls_at_its_new_pace),
        S_TEST (a_collector_looks_as_soon_as_it_would),
    };
    return cmocka_run_group_tests (tests, NULL, NULL);
}
