/* SPDX-License-Identifier: MPL-2.0 */
/* An admin asks what is left of a group, and brings the root's statement [RECOVER-2, RECOVER-3, RECOVER-8, RECOVER-11]: whom the request
 * names, and that nothing which an edge answers is believed unseen. */

#include "adrestia.h"

#include "core/recovery_statement.h"
#include "fake_edge.h"
#include "shell/found.h"
#include "wire/map_codec.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#define S_NOW_MS INT64_C (1700000000000)

typedef struct {
    adr_founding_t *founding;
    fake_store_t *store;
    fake_edge_t *edge;
    char folder[64];
    adr_client_t *client;
    /* What the nodes of the three zones say; status of an apply. */
    adr_status_t status[3], applied;
    uint64_t term[3], index[3], number[3], incarnation[3], epoch;
    bool torn[3], led[3];
    uint8_t heard[ADR_RECOVERY_SIZE];
    size_t heard_size;
} s_world_t;

static adr_node_type_t s_type; /* of the group that is asked for */

static adr_status_t
s_say (void *argument, const Adr__Control *asked, Adr__Survivor *survivor, const char **text)
{
    s_world_t *world = argument;
    if (asked->action == ADR__CONTROL_ACTION__RECOVER) {
        world->heard_size = asked->recovery.len;
        memcpy (world->heard, asked->recovery.data, asked->recovery.len);
        *text = "what the PKI group says";
        return world->applied;
    }
    for (uint32_t zone = 0; zone < 3; zone++) {
        const adr_map_node_t *node = adr_founding_node (world->founding, zone, s_type);
        adr_id_t id = adr_id_of (asked->node);
        if (!adr_id_equal (&id, &node->id))
            continue;
        survivor->incarnation = world->incarnation[zone];
        survivor->last_term = world->term[zone];
        survivor->last_index = world->index[zone];
        survivor->number = world->number[zone];
        survivor->map_epoch = world->epoch;
        survivor->whole = !world->torn[zone];
        if (world->led[zone])
            survivor->master = adr_id_view (&node->id);
        return world->status[zone];
    }
    return ADR_STATUS_INVALID;
}

static void
s_tell_map (s_world_t *world)
{
    adr_buffer_t bytes = { 0 };
    adr_map_unseal (world->founding->map);
    adr_map_encode (world->founding->map, &bytes);
    fake_store_set_map (world->store, adr_bytes (bytes.data, bytes.size));
    adr_buffer_free (&bytes);
}

static int
s_set_up (void **state)
{
    s_world_t *world = adr_alloc (sizeof *world);
    const adr_founding_options_t options = { .name = "test", .address = "127.0.0.1", .zones = 3, .quorum = 2, .base_port = 7400,
                                             .now_ms = S_NOW_MS };
    char error[256], profile[128];
    s_type = ADR_NODE_DATA;
    world->founding = adr_founding_new (&options);
    world->store = fake_store_new (&world->founding->map->cluster);
    world->edge = fake_edge_new (world->store, 0);
    for (uint32_t zone = 0; zone < 3; zone++) {
        world->incarnation[zone] = 10 + zone;
        world->term[zone] = 3;
        world->index[zone] = 100;
    }
    fake_store_set_survivor (world->store, s_say, world);
    s_tell_map (world);
    strcpy (world->folder, "/tmp/adr-test-XXXXXX");
    assert_non_null (mkdtemp (world->folder));
    fake_edge_write_profile (world->folder, &world->founding->map->cluster, &world->edge, 1, profile, sizeof profile);
    world->client = adr_client_open (profile, error, sizeof error);
    if (!world->client)
        fail_msg ("%s", error);
    adr_client_set_timeout (world->client, 1000);
    *state = world;
    return 0;
}

static int
s_tear_down (void **state)
{
    s_world_t *world = *state;
    char command[128];
    adr_client_destroy (&world->client);
    fake_edge_destroy (&world->edge);
    fake_store_destroy (&world->store);
    adr_founding_destroy (&world->founding);
    snprintf (command, sizeof command, "rm -rf '%s'", world->folder);
    free (world);
    return system (command);
}

static adr_survivor_t s_rows[ADR_SURVIVORS_MAX];
static size_t s_count;
static char s_request[ADR_RECOVERY_TEXT_SIZE];

static adr_result_t
s_show (s_world_t *world, const char *group)
{
    return adr_recovery_show (world->client, group, s_rows, &s_count, s_request);
}

/* The zone whose node the request names. */
static uint32_t
s_named (s_world_t *world, adr_recovery_t *request)
{
    assert_true (adr_recovery_parse (request, s_request, strlen (s_request)));
    assert_false (request->is_signed);
    assert_true (adr_id_equal (&request->cluster, &world->founding->map->cluster));
    for (uint32_t zone = 0; zone < 3; zone++)
        if (adr_id_equal (&adr_founding_node (world->founding, zone, s_type)->id, &request->survivor))
            return zone;
    fail ();
    return 3;
}

/* --- show ------------------------------------------------------------------------------------------------------------- */

/* By term first, then by index; whoever is not whole is none, whatever its log. */
static void
the_longest_whole_log_is_named (void **state)
{
    s_world_t *world = *state;
    adr_recovery_t request;
    world->index[1] = 900;
    world->term[2] = 4;
    assert_int_equal (s_show (world, "data1"), ADR_OK);
    assert_int_equal (s_named (world, &request), 2);
    assert_true (request.incarnation == 12 && request.end.term == 4 && request.end.index == 100 && request.number == 1);
    assert_int_equal (request.epoch, 2);
    assert_true (s_count == 3 && s_rows[2].best && !s_rows[0].best && !s_rows[1].best);
    world->torn[2] = true;
    assert_int_equal (s_show (world, "data1"), ADR_OK);
    assert_int_equal (s_named (world, &request), 1);
    world->status[1] = ADR_STATUS_TIMEOUT;
    assert_int_equal (s_show (world, "data1"), ADR_OK);
    assert_int_equal (s_named (world, &request), 0);
    assert_int_equal (s_rows[1].result, ADR_TIMEOUT);
    world->torn[0] = true;
    assert_int_equal (s_show (world, "data1"), ADR_NOT_FOUND);
    assert_string_equal (s_request, "");
}

/* [RECOVER-3] Above the map's, and above what any node has carried out. */
static void
the_number_is_a_new_one (void **state)
{
    s_world_t *world = *state;
    adr_recovery_t request, held;
    world->number[1] = 6;
    assert_int_equal (s_show (world, "data1"), ADR_OK);
    s_named (world, &request);
    assert_int_equal (request.number, 7);
    held = request;
    held.number = 8;
    adr_recovery_sign (&held, 1, world->founding->root.keys.sign_seed);
    adr_map_group_t *group = adr_map_group (world->founding->map, &held.group);
    group->recovery_size = adr_recovery_encode (&held, group->recovery);
    s_tell_map (world);
    assert_int_equal (s_show (world, "data1"), ADR_OK);
    s_named (world, &request);
    assert_int_equal (request.number, 9);
}

/* [RECOVER-8] */
static void
the_pki_group_s_epoch_leaps (void **state)
{
    s_world_t *world = *state;
    adr_recovery_t request;
    s_type = ADR_NODE_PKI;
    world->epoch = 40; /* they know more than the edge */
    assert_int_equal (s_show (world, "pki1"), ADR_OK);
    s_named (world, &request);
    assert_int_equal (request.epoch, 1040);
}

/* [RECOVER-11] */
static void
a_group_that_is_led_needs_none (void **state)
{
    s_world_t *world = *state;
    world->led[1] = true;
    assert_int_equal (s_show (world, "data1"), ADR_REFUSED);
    assert_non_null (strstr (adr_client_error (world->client), "master"));
    assert_int_equal (s_show (world, "data9"), ADR_NOT_FOUND);
    for (uint32_t zone = 0; zone < 3; zone++)
        world->status[zone] = ADR_STATUS_DENIED;
    assert_int_equal (s_show (world, "data1"), ADR_DENIED);
}

/* No statement can be made of what a node has told, or it has told nothing. */
static void
nonsense_is_no_request (void **state)
{
    s_world_t *world = *state;
    world->index[0] = world->index[1] = world->index[2] = 0;
    assert_int_equal (s_show (world, "data1"), ADR_DAMAGED);
    world->term[0] = UINT64_MAX;
    world->index[0] = 5;
    assert_int_equal (s_show (world, "data1"), ADR_DAMAGED);
    world->term[0] = 3;
    world->number[1] = UINT64_MAX;
    assert_int_equal (s_show (world, "data1"), ADR_DAMAGED);
    assert_string_equal (s_request, "");
    world->incarnation[0] = world->incarnation[1] = world->incarnation[2] = 0;
    assert_int_equal (s_show (world, "data1"), ADR_NOT_FOUND);
    assert_int_equal (s_rows[0].result, ADR_DAMAGED);
}

/* --- apply ------------------------------------------------------------------------------------------------------------ */

static void
only_a_statement_is_brought (void **state)
{
    s_world_t *world = *state;
    adr_recovery_t recovery;
    char text[ADR_RECOVERY_TEXT_SIZE];
    uint8_t bytes[ADR_RECOVERY_SIZE];
    assert_int_equal (s_show (world, "data1"), ADR_OK);
    assert_int_equal (adr_recovery_apply (world->client, s_request), ADR_INVALID);
    assert_int_equal (adr_recovery_apply (world->client, ""), ADR_INVALID);
    assert_int_equal (world->heard_size, 0); /* nobody was asked */
    s_named (world, &recovery);
    adr_recovery_sign (&recovery, S_NOW_MS, world->founding->root.keys.sign_seed);
    adr_recovery_format (&recovery, text);
    assert_int_equal (adr_recovery_apply (world->client, text), ADR_OK);
    assert_int_equal (world->heard_size, adr_recovery_encode (&recovery, bytes));
    assert_memory_equal (world->heard, bytes, sizeof bytes);
    world->applied = ADR_STATUS_REFUSED;
    assert_int_equal (adr_recovery_apply (world->client, text), ADR_REFUSED);
    assert_string_equal (adr_client_error (world->client), "what the PKI group says");
    text[20] = text[20] == 'A' ? 'B' : 'A';
    assert_int_equal (adr_recovery_apply (world->client, text), ADR_INVALID);
}

int
main (void)
{
#define S_TEST(name) cmocka_unit_test_setup_teardown (name, s_set_up, s_tear_down)
    const struct CMUnitTest tests[] = { S_TEST (the_longest_whole_log_is_named), S_TEST (the_number_is_a_new_one),
                                        S_TEST (the_pki_group_s_epoch_leaps), S_TEST (a_group_that_is_led_needs_none),
                                        S_TEST (nonsense_is_no_request), S_TEST (only_a_statement_is_brought) };
    return cmocka_run_group_tests (tests, NULL, NULL);
}
