/* SPDX-License-Identifier: MPL-2.0 */
/* election and health_checker: random worlds (loss, delay, cuts, crashes, pauses, slow disks, clocks that drift), and
 * what a scenario cannot show. The rules one by one are in tests/scenario/. */

#include "../scenario/world.h"

#include "core/settings.h"
#include "wire/map_codec.h"
#include "wire/pack.h"
#include "wire/table.h"

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

/* A registry with another timing, of which one node hears now, its two actors one after the other, and others later or never. */
static void
s_change_timing (world_t *world)
{
    adr_arena_t arena;
    adr_arena_init (&arena, 4096, 1 << 20);
    Adr__MapChanged changed = ADR__MAP_CHANGED__INIT;
    int64_t poll = s_some_time (world, 200) / ADR_MS + 19;
    int64_t least = adr_random_between (&world->random, 3 * poll, 6 * poll), most = least + least / 4 + 1 + s_some_time (world, 1000) / ADR_MS;
    int node = s_any_node (world);
    bool room = adr_setting_enter (world->map, "timing.poll", (uint64_t) poll)
                && adr_setting_enter (world->map, "timing.election-min", (uint64_t) least)
                && adr_setting_enter (world->map, "timing.election-max", (uint64_t) most);
    assert_true (room);
    assert_null (adr_settings_wrong (world->map->setting, world->map->setting_count));
    world->map->epoch++;
    changed.map = adr_map_message (world->map, &arena);
    if (world->node[node].up) {
        world_send (world, node, ADR_ACTOR_MAP_KEEPER, node, ADR_ACTOR_ELECTION, ADR__KIND__MAP_CHANGED, &changed.base);
        world_send (world, node, ADR_ACTOR_MAP_KEEPER, node, ADR_ACTOR_HEALTH_CHECKER, ADR__KIND__MAP_CHANGED, &changed.base);
    }
    adr_arena_free (&arena);
}

/* What is broken, or NULL; lent until the next call. */
static const char *
s_random_world (uint64_t seed, bool trace, bool timing)
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
        if (timing)
            s_change_timing (world);
    }
    s_calm (world);
    /* Everybody is silent for the promise, then a few timeouts. */
    until_ns = world->time_ns + (timing ? 30000 : 10000) * ADR_MS;
    world_run (world, until_ns);
    int master = world_master (world);
    snprintf (s_broken, sizeof s_broken, "%s", world->broken);
    if (s_broken[0] == '\0' && (master < 0 || !world_has_lease (world, master)))
        snprintf (s_broken, sizeof s_broken, "no master in quiet times");
    world_destroy (&world);
    return s_broken[0] ? s_broken : NULL;
}

static void
s_random_worlds (bool timing)
{
    const char *count = getenv ("ADR_SEEDS");
    const char *first = getenv ("ADR_SEED");
    uint64_t from = first ? strtoull (first, NULL, 10) : 1;
    uint64_t until = first ? from : count ? strtoull (count, NULL, 10) : 200;
    for (uint64_t seed = from; seed <= until; seed++) {
        const char *broken = s_random_world (seed, first != NULL, timing);
        if (broken != NULL)
            fail_msg ("%s: replay with ADR_SEED=%llu", broken, (unsigned long long) seed);
    }
}

static void
test_random_worlds (void **state)
{
    (void) state;
    s_random_worlds (false);
}

/* [SET-2] Whatever timing each node obeys, and whenever it changes: no lease overlaps a newer mastership. */
static void
test_random_worlds_whose_timing_changes (void **state)
{
    (void) state;
    s_random_worlds (true);
}

/* --- whatever a peer says -------------------------------------------------------------------------------------- */

static uint64_t
s_any_number (world_t *world)
{
    static const uint64_t s_numbers[] = { 0, 1, 2, 3, 500, 60000, 60001, UINT32_MAX, INT64_MAX, UINT64_MAX };
    if (adr_random_between (&world->random, 0, 3) == 0)
        return s_numbers[adr_random_between (&world->random, 0, 9)];
    return adr_random_next (&world->random) % 16;
}

static void
s_any_field (world_t *world, const ProtobufCFieldDescriptor *field, void *at, adr_voters_t *voters,
             adr_voter_set_t *set)
{
    switch (field->type) {
    case PROTOBUF_C_TYPE_BYTES:
        if (adr_random_between (&world->random, 0, 3))
            *(ProtobufCBinaryData *) at = adr_id_view (&world->node[s_any_node (world)].id);
        break;
    case PROTOBUF_C_TYPE_STRING:
        break;
    case PROTOBUF_C_TYPE_MESSAGE:
        voters->count = (uint32_t) adr_random_between (&world->random, 0, ADR_VOTERS_MAX);
        for (uint32_t i = 0; i < voters->count; i++)
            voters->voter[i] = (adr_voter_t){ world->node[s_any_node (world)].id, s_any_number (world) % 3 };
        if (adr_random_between (&world->random, 0, 3))
            *(Adr__VoterSet **) at = adr_voter_set_fill (set, voters);
        break;
    case PROTOBUF_C_TYPE_BOOL:
        *(protobuf_c_boolean *) at = s_any_number (world) & 1;
        break;
    case PROTOBUF_C_TYPE_UINT32:
        *(uint32_t *) at = (uint32_t) s_any_number (world);
        break;
    default:
        *(uint64_t *) at = s_any_number (world);
        break;
    }
}

static void
s_say_anything (world_t *world)
{
    static const uint16_t s_kinds[]
        = { ADR__KIND__POLL,         ADR__KIND__POLL_ANSWER, ADR__KIND__CALL,    ADR__KIND__SUPPORT,
            ADR__KIND__VOTE_REQUEST, ADR__KIND__VOTE,        ADR__KIND__STAND,   ADR__KIND__RELEASE,
            ADR__KIND__HIGHER_TERM };
    uint64_t header[64];
    adr_voters_t voters = { .quorum = 2 };
    adr_voter_set_t set;
    const adr_kind_row_t *row = adr_kind_row (s_kinds[adr_random_between (&world->random, 0, 8)]);
    bool health = row->kind == ADR__KIND__POLL || row->kind == ADR__KIND__POLL_ANSWER;
    adr_actor_kind_t actor = health ? ADR_ACTOR_HEALTH_CHECKER : ADR_ACTOR_ELECTION;
    int from = s_any_node (world), to = s_any_node (world);
    assert_true (row->descriptor->sizeof_message <= sizeof header);
    protobuf_c_message_init (row->descriptor, header);
    for (unsigned i = 0; i < row->descriptor->n_fields; i++) {
        const ProtobufCFieldDescriptor *field = &row->descriptor->fields[i];
        s_any_field (world, field, (char *) header + field->offset, &voters, &set);
    }
    if (from != to)
        world_send (world, from, actor, to, actor, row->kind, (ProtobufCMessage *) header);
}

/* No message of a peer, however mad, reaches an assert: both actors' checks run after every turn. */
static void
test_peers_that_say_anything (void **state)
{
    (void) state;
    for (uint64_t seed = 1; seed <= 40; seed++) {
        world_t *world = world_new (seed);
        for (int i = 0; i < 4; i++)
            world_add (world, (const char *[]){ "a", "b", "c", "d" }[i]);
        world_found (world, 3);
        for (int i = 0; i < 4; i++)
            world_start (world, i);
        for (int i = 0; i < 2000; i++) {
            s_say_anything (world);
            world_run (world, world->time_ns + adr_random_between (&world->random, 0, 8) * ADR_MS);
        }
        world_destroy (&world);
    }
}

/* --- the map ----------------------------------------------------------------------------------------------------- */

static int s_polled; /* how often the node that joins was polled */

static void
s_count_polls (world_t *world, const char *line)
{
    (void) world;
    s_polled += strstr (line, "-> d.health-checker POLL ") != NULL;
}

/* A node that the map brings is polled; one that it takes away is polled no more. */
static void
test_the_map_names_whom_to_poll (void **state)
{
    (void) state;
    world_t *world = world_new (1);
    for (int i = 0; i < 4; i++)
        world_add (world, (const char *[]){ "a", "b", "c", "d" }[i]);
    world_found (world, 3);
    world->trace = s_count_polls;
    world->shown[0] = UINT64_MAX;
    world->map->node_count = 3; /* d comes later */
    for (int i = 0; i < 3; i++)
        world_start (world, i);
    world_run (world, 3000 * ADR_MS);
    assert_true (world_master (world) >= 0);
    assert_int_equal (s_polled, 0);

    world_tell_map (world, 4);
    world_run (world, 4000 * ADR_MS);
    assert_true (s_polled >= 9);

    world_tell_map (world, 3);
    world_run (world, 4100 * ADR_MS);
    s_polled = 0;
    world_run (world, 5000 * ADR_MS);
    assert_int_equal (s_polled, 0);
    assert_true (world_master (world) >= 0);
    world_destroy (&world);
}

/* --- what was stored ------------------------------------------------------------------------------------------- */

/* A vote that is not one of ours must not be guessed at: the process stops. */
static void
test_a_stored_vote_of_another_size (void **state)
{
    (void) state;
    world_t *world = world_new (1);
    world_add (world, "a");
    world_found (world, 1);
    world->node[0].state_size[0] = 7;
    world_start (world, 0);
    assert_non_null (strstr (world->broken, "not one of ours"));
    world_destroy (&world);
}

int
main (void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test (test_random_worlds),
        cmocka_unit_test (test_random_worlds_whose_timing_changes),
        cmocka_unit_test (test_peers_that_say_anything),
        cmocka_unit_test (test_the_map_names_whom_to_poll),
        cmocka_unit_test (test_a_stored_vote_of_another_size),
    };
    return cmocka_run_group_tests (tests, NULL, NULL);
}
