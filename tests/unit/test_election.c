/* SPDX-License-Identifier: MPL-2.0 */
/* election and health_checker: random worlds (loss, delay, cuts, crashes, pauses, slow disks, clocks that drift), and
 * what a scenario cannot show. The rules one by one are in tests/scenario/. */

#include "../scenario/world.h"

#include "wire/pack.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static void
s_print (world_t *world, const char *line)
{
    (void) world;
    puts (line);
}

static int
s_any_node (world_t *world)
{
    return (int) adr_random_between (&world->random, 0, world->node_count - 1);
}

static void
s_cut (world_t *world, int from, int to, bool both)
{
    if (from == to || world->rule_count + 2 > WORLD_RULES_MAX)
        return;
    world->rule[world->rule_count++] = (world_rule_t){ from, to, 0, false };
    if (both)
        world->rule[world->rule_count++] = (world_rule_t){ to, from, 0, false };
}

/* From 1 ms to `max_ms`, each order of magnitude as likely as the next. */
static int64_t
s_some_time (world_t *world, int64_t max_ms)
{
    int64_t bits = 1;
    while (INT64_C (1) << bits < max_ms)
        bits++;
    return adr_random_between (&world->random, 1, INT64_C (1) << adr_random_between (&world->random, 0, bits)) * ADR_MS;
}

/* One thing goes wrong, or gets better. */
static void
s_disturb (world_t *world)
{
    int node = s_any_node (world), other = s_any_node (world);
    switch (adr_random_between (&world->random, 0, 9)) {
    case 0:
        if (world->node[node].up)
            world_crash (world, node);
        break;
    case 1: /* back at once: what it promised and voted still matters */
        if (world->node[node].up) {
            world_crash (world, node);
            world_start (world, node);
        }
        break;
    case 2:
    case 3:
    case 4:
        if (!world->node[node].up)
            world_start (world, node);
        break;
    case 5:
        if (world->node[node].up)
            world->node[node].paused = !world->node[node].paused;
        break;
    case 6:
        s_cut (world, node, other, adr_random_between (&world->random, 0, 1));
        break;
    case 7:
        world->rule_count = 0;
        break;
    case 8:
        world->node[node].disk_ns = adr_random_between (&world->random, 0, 1) * 150 * ADR_MS + ADR_MS;
        break;
    case 9:
        node = world_master (world);
        if (node >= 0 && !world->node[node].paused)
            world_stop (world, node);
        break;
    }
}

static void
s_calm (world_t *world)
{
    world->wild = false;
    world->rule_count = 0;
    for (int i = 0; i < world->node_count; i++) {
        world->node[i].paused = false;
        world->node[i].disk_ns = 2 * ADR_MS;
        if (world->node[i].up) /* it may have been told to stop, and then leads no more */
            world_crash (world, i);
        world_start (world, i);
    }
}

/* What is broken, or NULL; lent until the next call. */
static const char *
s_random_world (uint64_t seed, bool trace)
{
    static char s_broken[128];
    static const char *const s_names[] = { "a", "b", "c", "d", "e" };
    world_t *world = world_new (seed);
    int count = seed % 5 == 0 ? 5 : seed % 11 == 0 ? 2 : 3;
    world->trace = trace ? s_print : NULL;
    memset (world->shown, 0xff, sizeof world->shown);
    world->wild = true;
    world->loss_permille = seed % 2 ? adr_random_between (&world->random, 0, 200) : 0;
    world->delay_max_ns = adr_random_between (&world->random, 1, seed % 3 ? 20 : 400) * ADR_MS;
    world->local_delay_max_ns = adr_random_between (&world->random, 0, seed % 4 ? 3 : 600) * ADR_MS;
    for (int i = 0; i < count; i++) {
        world_add (world, s_names[i]);
        world->node[i].rate_permille = adr_random_between (&world->random, 950, 1050);
        world->node[i].offset_ns = adr_random_between (&world->random, 0, 1000) * 1000 * ADR_MS;
    }
    world_found (world, (uint32_t) count);
    for (int i = 0; i < count; i++)
        world_start (world, i);
    int64_t until_ns = 30000 * ADR_MS;
    while (world->time_ns < until_ns && world->broken[0] == '\0') {
        world_run (world, world->time_ns + s_some_time (world, 1500));
        s_disturb (world);
    }
    s_calm (world);
    /* Everybody is silent for the promise, then a few timeouts. */
    until_ns = world->time_ns + 10000 * ADR_MS;
    world_run (world, until_ns);
    int master = world_master (world);
    snprintf (s_broken, sizeof s_broken, "%s", world->broken);
    if (s_broken[0] == '\0' && (master < 0 || !world_has_lease (world, master)))
        snprintf (s_broken, sizeof s_broken, "no master in quiet times");
    world_destroy (&world);
    return s_broken[0] ? s_broken : NULL;
}

static void
test_random_worlds (void **state)
{
    (void) state;
    const char *count = getenv ("ADR_SEEDS");
    const char *first = getenv ("ADR_SEED");
    uint64_t from = first ? strtoull (first, NULL, 10) : 1;
    uint64_t until = first ? from : count ? strtoull (count, NULL, 10) : 200;
    for (uint64_t seed = from; seed <= until; seed++) {
        const char *broken = s_random_world (seed, first != NULL);
        if (broken != NULL)
            fail_msg ("%s: replay with ADR_SEED=%llu", broken, (unsigned long long) seed);
    }
}

int
main (void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test (test_random_worlds),
    };
    return cmocka_run_group_tests (tests, NULL, NULL);
}
