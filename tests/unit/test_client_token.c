/* SPDX-License-Identifier: MPL-2.0 */
/* An operator makes a join token [TRUST-5], by the library and by the shell: what is asked of the PKI group, what the token then says,
 * and that nothing which an edge answers is believed unseen. */

#include "adrestia.h"

#include "core/token.h"
#include "fake_edge.h"
#include "shell/found.h"
#include "wire/map_codec.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#define S_NOW_MS INT64_C (1700000000000)

typedef struct {
    adr_founding_t *founding;
    adr_map_t *map; /* of the founding */
    fake_store_t *store;
    fake_edge_t *edge;
    char folder[64], profile[128];
    adr_client_t *client;
    /* What the PKI group was asked, and what it says. */
    int asked;
    Adr__Token heard;
    char zone[64], group[64], name[64];
    uint8_t key[32];
    adr_status_t status;
    void (*spoil) (Adr__Token *kept); /* NULL: nothing */
} s_world_t;

static const adr_id_t s_new_zone = { { 0xaa } }, s_no_group;

static const adr_id_t *
s_group_id (const s_world_t *world, const char *name)
{
    for (uint32_t i = 0; i < world->map->group_count; i++)
        if (strcmp (world->map->group[i].name, name) == 0)
            return &world->map->group[i].id;
    return &s_no_group;
}

/* The PKI group, as docs/protocol/trust.md has it. */
static adr_status_t
s_keep (void *argument, const Adr__Token *asked, Adr__Token *kept, const char **text)
{
    static char name[160];
    s_world_t *world = argument;
    world->asked++;
    world->heard = *asked;
    snprintf (world->zone, sizeof world->zone, "%s", asked->zone_name);
    snprintf (world->group, sizeof world->group, "%s", asked->group_name);
    snprintf (world->name, sizeof world->name, "%s", asked->name);
    if (asked->token_key.len == 32)
        memcpy (world->key, asked->token_key.data, 32);
    const adr_id_t *group = s_group_id (world, asked->group_name);
    kept->zone = adr_id_view (&s_new_zone);
    if (asked->group_name[0])
        kept->group = adr_id_view (group);
    snprintf (name, sizeof name, "%s@%s", asked->group_name[0] ? asked->group_name : "edge", asked->zone_name);
    if (!asked->name[0])
        kept->name = name;
    kept->valid_ms = S_NOW_MS + asked->valid_ms;
    *text = "zone z4 has a node of that group";
    if (world->spoil)
        world->spoil (kept);
    return world->status;
}

static void
s_tell_map (s_world_t *world)
{
    adr_buffer_t bytes = { 0 };
    adr_map_unseal (world->map);
    adr_map_encode (world->map, &bytes);
    fake_store_set_map (world->store, adr_bytes (bytes.data, bytes.size));
    adr_buffer_free (&bytes);
}

static adr_map_node_t *
s_pki (s_world_t *world, uint32_t zone)
{
    return (adr_map_node_t *) adr_founding_node (world->founding, zone, ADR_NODE_PKI);
}

static int
s_set_up (void **state)
{
    s_world_t *world = adr_alloc (sizeof *world);
    const adr_founding_options_t options = { .name = "test", .address = "127.0.0.1", .zones = 5, .quorum = 2, .base_port = 7400,
                                             .now_ms = S_NOW_MS };
    char error[256];
    world->founding = adr_founding_new (&options);
    world->map = world->founding->map;
    for (uint32_t zone = 0; zone < 5; zone++)
        snprintf (s_pki (world, zone)->client, ADR_ENDPOINT_MAX, "tcp://10.0.0.%u:7410", zone + 1);
    world->store = fake_store_new (&world->map->cluster);
    world->edge = fake_edge_new (world->store, 0);
    fake_store_set_terms (world->store, s_keep, world);
    s_tell_map (world);
    strcpy (world->folder, "/tmp/adr-test-XXXXXX");
    assert_non_null (mkdtemp (world->folder));
    fake_edge_write_profile (world->folder, &world->map->cluster, &world->edge, 1, world->profile, sizeof world->profile);
    world->client = adr_client_open (world->profile, error, sizeof error);
    if (!world->client)
        fail_msg ("%s", error);
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

static adr_result_t
s_create (s_world_t *world, const char *type, const char *zone, const char *group, const char *name, adr_token_made_t *made)
{
    adr_token_terms_t terms = { type, zone, group, name, 60000 };
    return adr_token_create (world->client, &terms, made);
}

/* --- the library ---------------------------------------------------------------------------------------------------- */

static void
a_token_says_where_to_go (void **state)
{
    s_world_t *world = *state;
    adr_token_made_t made;
    adr_token_t token;
    uint8_t key[32], hash[32];
    assert_int_equal (s_create (world, "data", "z4", NULL, NULL, &made), ADR_OK);
    assert_int_equal (world->asked, 1);
    assert_int_equal (world->heard.type, ADR_NODE_DATA);
    assert_int_equal (world->heard.valid_ms, 60000);
    assert_string_equal (world->zone, "z4");
    assert_string_equal (world->group, "data1"); /* the only one */
    assert_string_equal (world->name, "");
    assert_true (adr_token_parse (&token, made.text, strlen (made.text)));
    adr_token_public (&token, key);
    assert_memory_equal (key, world->key, sizeof key);
    adr_token_hash_root (adr_bytes (world->map->root_certificate, world->map->root_certificate_size), hash);
    assert_memory_equal (token.root_hash, hash, sizeof hash);
    assert_true (adr_id_equal (&token.cluster, &world->map->cluster) && adr_id_equal (&token.zone, &s_new_zone)
                 && adr_id_equal (&token.group, s_group_id (world, "data1")));
    assert_int_equal (token.type, ADR_NODE_DATA);
    assert_int_equal (token.expires_ms, S_NOW_MS + 60000);
    assert_int_equal (made.expires_ms, token.expires_ms);
    assert_string_equal (token.node_name, "data1@z4");
    assert_string_equal (made.name, "data1@z4");
    assert_string_equal (made.zone, "z4");
    assert_string_equal (made.group, "data1");
    assert_int_equal (token.door_count, 3);
    for (uint32_t i = 0; i < 3; i++) {
        assert_string_equal (token.door[i].endpoint, s_pki (world, i)->client);
        assert_memory_equal (token.door[i].curve_key, s_pki (world, i)->curve_key, 32);
    }
}

/* The same client, whose profile names this root. */
static void
s_pin_root (s_world_t *world, const uint8_t hash[32])
{
    char error[256], digits[65];
    FILE *file = fopen (world->profile, "a");
    assert_non_null (file);
    for (int i = 0; i < 32; i++)
        snprintf (digits + 2 * i, 3, "%02x", hash[i]);
    fprintf (file, "root: %s\n", digits);
    fclose (file);
    adr_client_destroy (&world->client);
    world->client = adr_client_open (world->profile, error, sizeof error);
    if (!world->client)
        fail_msg ("%s", error);
}

static void
a_pinned_root_is_the_only_one (void **state)
{
    s_world_t *world = *state;
    adr_token_made_t made;
    uint8_t hash[32] = { 1, 2, 3 };
    s_pin_root (world, hash);
    assert_int_equal (s_create (world, "data", "z4", NULL, NULL, &made), ADR_DAMAGED);
    assert_non_null (strstr (adr_client_error (world->client), "another root"));
    assert_int_equal (world->asked, 0);
    assert_int_equal (made.text[0], 0);
}

static void
under_a_pinned_root_doors_are_signed (void **state)
{
    s_world_t *world = *state;
    adr_token_made_t made;
    uint8_t hash[32];
    adr_token_hash_root (adr_bytes (world->map->root_certificate, world->map->root_certificate_size), hash);
    s_pin_root (world, hash);
    assert_int_equal (s_create (world, "data", "z4", NULL, NULL, &made), ADR_OK);
    s_pki (world, 1)->curve_key[0] ^= 1; /* a door of the edge's own */
    s_tell_map (world);
    world->asked = 0;
    assert_int_equal (s_create (world, "data", "z4", NULL, NULL, &made), ADR_DAMAGED);
    assert_int_equal (world->asked, 0);
    s_pki (world, 1)->curve_key[0] ^= 1;
    s_pki (world, 1)->certificate[60] ^= 1; /* another one signed it */
    s_tell_map (world);
    assert_int_equal (s_create (world, "data", "z4", NULL, NULL, &made), ADR_DAMAGED);
    assert_int_equal (made.text[0], 0);
}

static void
each_token_has_its_own_secret (void **state)
{
    s_world_t *world = *state;
    adr_token_made_t made[2];
    adr_token_t token[2];
    for (int i = 0; i < 2; i++) {
        assert_int_equal (s_create (world, "edge", "z4", NULL, "front", &made[i]), ADR_OK);
        assert_true (adr_token_parse (&token[i], made[i].text, strlen (made[i].text)));
    }
    assert_memory_not_equal (token[0].secret, token[1].secret, 32);
    assert_string_equal (made[0].group, "");
    assert_string_equal (made[0].name, "front");
    assert_string_equal (world->name, "front");
}

/* PKI nodes that leave, are gone, or have no door let nobody in. */
static void
doors_are_open_ones (void **state)
{
    s_world_t *world = *state;
    adr_token_made_t made;
    adr_token_t token;
    s_pki (world, 0)->leaving = true;
    s_pki (world, 1)->evicted = true;
    s_pki (world, 2)->client[0] = 0;
    s_tell_map (world);
    assert_int_equal (s_create (world, "meta", "z4", "meta1", NULL, &made), ADR_OK);
    assert_true (adr_token_parse (&token, made.text, strlen (made.text)));
    assert_int_equal (token.door_count, 2);
    assert_string_equal (token.door[0].endpoint, s_pki (world, 3)->client);
    s_pki (world, 3)->client[0] = s_pki (world, 4)->client[0] = 0;
    s_tell_map (world);
    world->asked = 0;
    assert_int_equal (s_create (world, "meta", "z4", NULL, NULL, &made), ADR_NOT_FOUND);
    assert_non_null (strstr (adr_client_error (world->client), "lets new nodes in"));
    assert_int_equal (world->asked, 0);
    assert_int_equal (made.text[0], 0);
}

/* data2, which owns the second half of data1's partitions. */
static void
s_add_group (adr_map_t *map)
{
    map->group = adr_realloc (map->group, 4 * sizeof *map->group);
    map->range = adr_realloc (map->range, 4 * sizeof *map->range);
    map->group[3] = (adr_map_group_t){ .id = { { 0xbb } }, .type = ADR_NODE_DATA, .name = "data2" };
    map->range[3] = map->range[1];
    map->range[3].first = 32;
    map->range[1].last = 31;
    map->range[3].group = map->group[3].id;
    map->group_count = map->range_count = 4;
}

static void
groups_are_found (void **state)
{
    s_world_t *world = *state;
    adr_token_made_t made;
    assert_int_equal (s_create (world, "data", "z4", "meta1", NULL, &made), ADR_NOT_FOUND); /* of another type */
    assert_int_equal (s_create (world, "data", "z4", "data2", NULL, &made), ADR_NOT_FOUND);
    s_add_group (world->map);
    s_tell_map (world);
    assert_int_equal (s_create (world, "data", "z4", NULL, NULL, &made), ADR_NOT_FOUND);
    assert_non_null (strstr (adr_client_error (world->client), "several groups"));
    assert_int_equal (world->asked, 0);
    assert_int_equal (s_create (world, "data", "z4", "data2", NULL, &made), ADR_OK);
    assert_string_equal (made.group, "data2");
    assert_string_equal (world->group, "data2");
}

/* [GROUP-3] Whoever founds is told so by the token's text. */
static void
a_forming_group_has_founders (void **state)
{
    s_world_t *world = *state;
    adr_token_made_t made;
    adr_token_t token;
    s_add_group (world->map);
    for (int forming = 0; forming < 2; forming++) {
        world->map->group[3].forming_zone[0] = world->map->zone[0].id;
        world->map->group[3].forming_zone_count = (uint32_t) forming;
        s_tell_map (world);
        assert_int_equal (s_create (world, "data", "z1", "data2", NULL, &made), ADR_OK);
        assert_true (adr_token_parse (&token, made.text, strlen (made.text)));
        assert_int_equal (token.founds, forming);
    }
}

/* --- a set of them ---------------------------------------------------------------------------------------------------- */

static const char *const s_three_zones[] = { "z1", "z2", "z3" };

/* The PKI group makes up names, as it would of a new group. */
static adr_status_t
s_keep_set (void *argument, const Adr__Token *asked, Adr__Token *kept, const char **text)
{
    static char name[8][80];
    static const adr_id_t s_id = { { 0xdd } };
    s_world_t *world = argument;
    adr_status_t status = s_keep (argument, asked, kept, text);
    char *own = name[world->asked % 8];
    snprintf (own, sizeof name[0], "data2@%s", asked->zone_name);
    kept->group = adr_id_view (&s_id);
    kept->group_name = (char *) "data2";
    kept->name = own;
    if (world->spoil)
        world->spoil (kept);
    return status;
}

static void
a_set_has_a_token_a_zone (void **state)
{
    s_world_t *world = *state;
    adr_group_terms_t terms = { "data", NULL, s_three_zones, 3, 60000 };
    adr_group_made_t made;
    adr_token_t token[3];
    fake_store_set_terms (world->store, s_keep_set, world);
    assert_int_equal (adr_group_create (world->client, &terms, &made), ADR_OK);
    assert_int_equal (world->asked, 3);
    assert_string_equal (made.name, "data2");
    assert_int_equal (made.token_count, 3);
    for (int i = 0; i < 3; i++) {
        assert_true (adr_token_parse (&token[i], made.token[i].text, strlen (made.token[i].text)));
        assert_true (token[i].founds);
        assert_string_equal (made.token[i].zone, s_three_zones[i]);
        assert_string_equal (token[i].zone_name, s_three_zones[i]);
        assert_int_equal (token[i].expires_ms, S_NOW_MS + 60000);
        assert_int_equal (token[i].door_count, 3);
    }
    assert_memory_not_equal (token[0].secret, token[1].secret, 32);
    assert_memory_not_equal (token[1].secret, token[2].secret, 32);
}

static void
s_third_in_other_zone (Adr__Token *kept)
{
    if (strcmp (kept->zone_name, "z3") == 0)
        kept->zone_name = (char *) "z4";
}

static void
s_third_in_other_group (Adr__Token *kept)
{
    static const adr_id_t s_id = { { 0xde } };
    if (strcmp (kept->zone_name, "z3") == 0)
        kept->group = adr_id_view (&s_id);
}

/* What an edge answers is not believed unseen. */
static void
a_set_is_what_was_asked_for (void **state)
{
    s_world_t *world = *state;
    adr_group_terms_t terms = { "data", NULL, s_three_zones, 3, 60000 };
    adr_group_made_t made;
    void (*const spoils[]) (Adr__Token *kept) = { s_third_in_other_zone, s_third_in_other_group };
    fake_store_set_terms (world->store, s_keep_set, world);
    for (size_t i = 0; i < sizeof spoils / sizeof spoils[0]; i++) {
        world->spoil = spoils[i];
        assert_int_equal (adr_group_create (world->client, &terms, &made), ADR_DAMAGED);
        assert_int_equal (made.token_count, 0);
        assert_int_equal (made.token[0].text[0], 0);
    }
    world->spoil = NULL;
    terms.name = "data7"; /* it is kept under another name */
    assert_int_equal (adr_group_create (world->client, &terms, &made), ADR_DAMAGED);
    terms.name = NULL;
    world->status = ADR_STATUS_DENIED;
    assert_int_equal (adr_group_create (world->client, &terms, &made), ADR_DENIED);
}

static void
sets_that_cannot_be (void **state)
{
    s_world_t *world = *state;
    adr_group_terms_t terms = { "pki", NULL, s_three_zones, 3, 60000 };
    adr_group_made_t made;
    assert_int_equal (adr_group_create (world->client, &terms, &made), ADR_INVALID);
    terms.type = "data";
    terms.zone_count = 0;
    assert_int_equal (adr_group_create (world->client, &terms, &made), ADR_INVALID);
    terms.zone_count = ADR_GROUP_ZONES_MAX + 1;
    assert_int_equal (adr_group_create (world->client, &terms, &made), ADR_INVALID);
    terms.zone_count = 3;
    terms.name = "";
    assert_int_equal (adr_group_create (world->client, &terms, &made), ADR_INVALID);
    terms.name = NULL;
    terms.valid_ms = 0;
    assert_int_equal (adr_group_create (world->client, &terms, &made), ADR_INVALID);
    assert_int_equal (world->asked, 0);
}

static void
terms_that_cannot_be (void **state)
{
    s_world_t *world = *state;
    adr_token_made_t made;
    char text[65];
    memset (text, 'x', 64);
    text[64] = 0;
    assert_int_equal (s_create (world, "client", "z4", NULL, NULL, &made), ADR_INVALID);
    assert_int_equal (s_create (world, NULL, "z4", NULL, NULL, &made), ADR_INVALID);
    assert_int_equal (s_create (world, "data", NULL, NULL, NULL, &made), ADR_INVALID);
    assert_int_equal (s_create (world, "data", "", NULL, NULL, &made), ADR_INVALID);
    assert_int_equal (s_create (world, "data", text, NULL, NULL, &made), ADR_INVALID);
    assert_int_equal (s_create (world, "data", "z\n", NULL, NULL, &made), ADR_INVALID);
    assert_int_equal (s_create (world, "data", "z4", NULL, "\x80", &made), ADR_INVALID);
    assert_int_equal (s_create (world, "edge", "z4", "data1", NULL, &made), ADR_INVALID);
    adr_token_terms_t terms = { "edge", "z4", NULL, NULL, 0 };
    assert_int_equal (adr_token_create (world->client, &terms, &made), ADR_INVALID);
    terms.valid_ms = ADR_TOKEN_VALID_MAX_MS + 1;
    assert_int_equal (adr_token_create (world->client, &terms, &made), ADR_INVALID);
    assert_int_equal (world->asked, 0);
    terms.valid_ms = ADR_TOKEN_VALID_MAX_MS;
    assert_int_equal (adr_token_create (world->client, &terms, &made), ADR_OK);
}

static void
the_group_says_no (void **state)
{
    s_world_t *world = *state;
    adr_token_made_t made;
    world->status = ADR_STATUS_CONFLICT;
    assert_int_equal (s_create (world, "data", "z4", NULL, NULL, &made), ADR_CONFLICT);
    assert_string_equal (adr_client_error (world->client), "zone z4 has a node of that group");
    assert_int_equal (made.text[0], 0);
    fake_store_set_terms (world->store, NULL, NULL);
    adr_client_set_timeout (world->client, 200);
    assert_int_equal (s_create (world, "data", "z4", NULL, NULL, &made), ADR_TIMEOUT);
}

static uint8_t s_other_key[32] = { 1 };
static void s_key (Adr__Token *kept) { kept->token_key.data = s_other_key; }
static void s_no_key (Adr__Token *kept) { kept->token_key.len = 0; }
static void s_type (Adr__Token *kept) { kept->type = ADR_NODE_META; }
static void s_other_zone (Adr__Token *kept) { kept->zone_name = (char *) "z5"; }
static void s_other_group (Adr__Token *kept) { kept->group_name = (char *) "data2"; }
static void s_other_name (Adr__Token *kept) { kept->name = (char *) "other"; }
static void s_no_zone (Adr__Token *kept) { kept->zone.len = 0; }
static void s_group_gone (Adr__Token *kept) { kept->group.len = 0; }
static void s_bad_name (Adr__Token *kept) { kept->name = (char *) "\x1b[2J"; }
static void s_no_time (Adr__Token *kept) { kept->valid_ms = 0; }
static void s_no_end (Adr__Token *kept) { kept->valid_ms = UINT64_MAX; }

static void
answers_are_not_believed_unseen (void **state)
{
    s_world_t *world = *state;
    adr_token_made_t made;
    static void (*const spoils[]) (Adr__Token *)
        = { s_key, s_no_key, s_type, s_other_zone, s_other_group, s_other_name, s_no_zone, s_group_gone, s_no_time, s_no_end };
    for (size_t i = 0; i < sizeof spoils / sizeof spoils[0]; i++) {
        world->spoil = spoils[i];
        if (s_create (world, "data", "z4", NULL, "mine", &made) != ADR_DAMAGED)
            fail_msg ("answer %zu was believed", i);
        assert_int_equal (made.text[0], 0);
    }
    world->spoil = s_bad_name; /* that would go to a terminal */
    assert_int_equal (s_create (world, "data", "z4", NULL, NULL, &made), ADR_DAMAGED);
    world->spoil = NULL;
    assert_int_equal (s_create (world, "data", "z4", NULL, "mine", &made), ADR_OK);
}

/* --- the shell -------------------------------------------------------------------------------------------------------- */

static char s_output[4096];

/* Its exit code; standard output, and nothing else, is in s_output. */
static int
s_shell (const s_world_t *world, const char *arguments)
{
    char command[512];
    const char *build = getenv ("top_builddir");
    snprintf (command, sizeof command, "%s/adrestia --profile %s %s 2>/dev/null", build ? build : ".", world->profile, arguments);
    FILE *pipe = popen (command, "re");
    assert_non_null (pipe);
    s_output[fread (s_output, 1, sizeof s_output - 1, pipe)] = 0;
    int status = pclose (pipe);
    return WIFEXITED (status) ? WEXITSTATUS (status) : -1;
}

static void
the_shell_prints_the_text_alone (void **state)
{
    s_world_t *world = *state;
    adr_token_t token;
    assert_int_equal (s_shell (world, "token create --type data --zone z4 --expires 2d"), 0);
    assert_int_equal (world->heard.valid_ms, 2 * 86400000);
    assert_true (adr_token_parse (&token, s_output, strlen (s_output)));
    assert_ptr_equal (strchr (s_output, '\n'), s_output + strlen (s_output) - 1);
    assert_int_equal (s_shell (world, "token create --zone=z4 --type=edge --name=front --json"), 0);
    assert_int_equal (world->heard.valid_ms, 3600000);
    assert_non_null (strstr (s_output, "\"token\": \"adr1."));
    assert_non_null (strstr (s_output, "\"name\": \"front\""));
    assert_non_null (strstr (s_output, "\"group\": null"));
    assert_non_null (strstr (s_output, "\"expires_ms\": 1700003600000"));
}

static void
the_shell_refuses (void **state)
{
    s_world_t *world = *state;
    static const char *const wrong[] = { "token", "token make", "token create", "token create --type data", "token create --zone z4",
                                         "token create --type client --zone z4", "token create --type operator --zone z4",
                                         "token create --type edge --zone z4 --group data1", "token create --type data --zone z4 --expires 8d",
                                         "token create --type data --zone z4 --expires 0s", "token create --type data --zone z4 --expires 1",
                                         "token create --type data --zone z4 --zone z5", "token create --type data --zone z4 more",
                                         "token create --type data --zone" };
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        if (s_shell (world, wrong[i]) != 64)
            fail_msg ("`%s` was taken", wrong[i]);
        assert_string_equal (s_output, "");
    }
    assert_int_equal (world->asked, 0);
    world->status = ADR_STATUS_CONFLICT;
    assert_int_equal (s_shell (world, "token create --type data --zone z4"), ADR_CONFLICT);
    assert_string_equal (s_output, "");
}

int
main (void)
{
#define S_TEST(name) cmocka_unit_test_setup_teardown (name, s_set_up, s_tear_down)
    const struct CMUnitTest tests[]
        = { S_TEST (a_token_says_where_to_go), S_TEST (a_pinned_root_is_the_only_one),
            S_TEST (under_a_pinned_root_doors_are_signed), S_TEST (each_token_has_its_own_secret), S_TEST (doors_are_open_ones),
            S_TEST (groups_are_found), S_TEST (a_forming_group_has_founders), S_TEST (a_set_has_a_token_a_zone),
            S_TEST (a_set_is_what_was_asked_for), S_TEST (sets_that_cannot_be), S_TEST (terms_that_cannot_be), S_TEST (the_group_says_no),
            S_TEST (answers_are_not_believed_unseen), S_TEST (the_shell_prints_the_text_alone), S_TEST (the_shell_refuses) };
    return cmocka_run_group_tests (tests, NULL, NULL);
}
