/* SPDX-License-Identifier: MPL-2.0 */
/* `adrestia init`: the folder is whole or not there, secrets are the owner's alone, and all that it wrote fits
 * together. */

#include "shell/init.h"

#include "core/cert.h"
#include "wire/map_codec.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

static char s_folder[64]; /* of one test */

static int
s_make_folder (void **state)
{
    (void) state;
    strcpy (s_folder, "/tmp/adrestia-test-init-XXXXXX");
    return mkdtemp (s_folder) ? 0 : -1;
}

static int
s_remove_folder (void **state)
{
    (void) state;
    char command[96];
    snprintf (command, sizeof command, "rm -rf '%s'", s_folder);
    return system (command);
}

static const char *
s_in_folder (const char *name)
{
    static char path[4][160];
    static unsigned next;
    char *at = path[next++ % 4];
    snprintf (at, sizeof path[0], "%s/%s", s_folder, name);
    return at;
}

static size_t
s_read (const char *name, uint8_t *at, size_t room)
{
    FILE *file = fopen (s_in_folder (name), "re");
    assert_non_null (file);
    size_t size = fread (at, 1, room, file);
    fclose (file);
    return size;
}

/* Words up to a NULL as a command line. */
static int
s_init (const char *first, ...)
{
    static char name[] = "init";
    char *words[16] = { name };
    int count = 1;
    va_list arguments;
    va_start (arguments, first);
    for (const char *word = first; word; word = va_arg (arguments, const char *))
        words[count++] = (char *) word;
    va_end (arguments);
    words[count] = NULL;
    return adr_shell_init (count, words);
}

static adr_map_t *
s_read_map (const char *name)
{
    static uint8_t bytes[65536];
    adr_map_t *map = NULL;
    assert_true (adr_map_decode (&map, adr_bytes (bytes, s_read (name, bytes, sizeof bytes))));
    return map;
}

static void
s_check_mode (const char *name, mode_t mode)
{
    struct stat status;
    assert_int_equal (stat (s_in_folder (name), &status), 0);
    assert_int_equal (status.st_mode & 0777, mode);
}

static void
s_check_node (const adr_map_t *map, const adr_map_node_t *node)
{
    char folder[80], path[128], number[32] = "";
    uint8_t bytes[ADR_CERTIFICATE_MAX], text[ADR_KEYS_TEXT_MAX];
    const adr_map_zone_t *zone = adr_map_zone (map, &node->zone);
    assert_non_null (zone);
    snprintf (folder, sizeof folder, "c/%s/%.*s", zone->name, (int) strcspn (node->name, "@"), node->name);
    snprintf (path, sizeof path, "%s/node.cert", folder);
    size_t size = s_read (path, bytes, sizeof bytes);
    assert_int_equal (size, node->certificate_size);
    assert_memory_equal (bytes, node->certificate, size);
    adr_cert_chain_t chain = adr_cert_chain_of_map (map);
    adr_cert_t cert;
    adr_keys_t keys;
    int64_t now_ms = (int64_t) time (NULL) * 1000;
    assert_int_equal (adr_cert_verify (&cert, adr_bytes (bytes, size), &chain, now_ms, true), ADR_CERT_SOUND);
    assert_true (adr_id_equal (&cert.node, &node->id) && adr_id_equal (&cert.group, &node->group));
    snprintf (path, sizeof path, "%s/node.key", folder);
    s_check_mode (path, 0600);
    size = s_read (path, text, sizeof text);
    assert_true (adr_keys_parse (&keys, (char *) text, size) && adr_keys_fit (&keys, &cert));
    if (node->type == ADR_NODE_EDGE)
        return;
    snprintf (path, sizeof path, "%s/incarnation", folder);
    s_read (path, (uint8_t *) number, sizeof number - 1);
    const adr_map_group_t *group = adr_map_group ((adr_map_t *) map, &node->group);
    assert_true (adr_voters_find (&group->founding, &node->id, strtoull (number, NULL, 10)) >= 0);
}

static void
s_three_zones (void **state)
{
    (void) state;
    assert_int_equal (s_init ("--dir", s_in_folder ("c"), "--base-port", "7500", NULL), 0);
    adr_map_t *map = s_read_map ("c/z3/cluster.map");
    assert_int_equal (map->zone_count, 3);
    assert_int_equal (map->node_count, 12);
    assert_int_equal (map->group_count, 3);
    assert_int_equal (map->quorum, 2);
    assert_string_equal (map->node[4].http, "127.0.0.1:7519");
    for (uint32_t i = 0; i < map->node_count; i++)
        s_check_node (map, &map->node[i]);
    for (uint32_t i = 0; i < map->group_count; i++)
        assert_int_equal (map->group[i].founding.count, 3);
    static const char *const secrets[] = { "c/client.key", "c/client-sign.key", "c/operator.key", "c/operator-sign.key", "c/s3-credentials", "c/ca/root.key", "c/ca/sealing.key.backup",
                                           "c/z1/pki1/authority.key" };
    for (size_t i = 0; i < sizeof secrets / sizeof *secrets; i++)
        s_check_mode (secrets[i], 0600);
    s_check_mode ("c/ca", 0700);
    adr_map_destroy (&map);
}

/* [KEY-2] All PKI nodes have the same sealing key, and nobody else has it. */
static void
s_pki_nodes_share_a_sealing_key (void **state)
{
    (void) state;
    uint8_t first[80], key[80], hash[80];
    assert_int_equal (s_init ("--dir", s_in_folder ("c"), "--base-port", "7500", NULL), 0);
    assert_int_equal (s_read ("c/z1/pki1/sealing.key", first, sizeof first), 65);
    s_check_mode ("c/z1/pki1/sealing.key", 0600);
    assert_int_equal (s_read ("c/z3/pki1/sealing.key", key, sizeof key), 65);
    assert_memory_equal (first, key, 65);
    assert_int_equal (s_read ("c/z1/pki1/hash.key", hash, sizeof hash), 65);
    assert_memory_not_equal (first, hash, 65);
    assert_int_equal (access (s_in_folder ("c/z1/edge1/sealing.key"), F_OK), -1);
    assert_int_equal (access (s_in_folder ("c/z1/data1/sealing.key"), F_OK), -1);
}

static void
s_existing_folder_stays (void **state)
{
    (void) state;
    assert_int_equal (mkdir (s_in_folder ("c"), 0700), 0);
    assert_int_equal (mkdir (s_in_folder ("c/kept"), 0700), 0);
    assert_int_equal (s_init ("--dir", s_in_folder ("c"), NULL), 7);
    assert_int_equal (access (s_in_folder ("c/ca"), F_OK), -1);
    assert_int_equal (rmdir (s_in_folder ("c/kept")), 0);
    assert_int_equal (s_init ("--dir", s_in_folder ("c"), NULL), 0); /* an empty one is taken */
}

static void
s_split_hosts (void **state)
{
    (void) state;
    assert_int_equal (s_init ("--dir", s_in_folder ("c"), "--zones", "1", "--split", NULL), 0);
    adr_map_t *map = s_read_map ("c/z1/data1/cluster.map");
    assert_int_equal (map->node_count, 4);
    adr_map_destroy (&map);
    assert_int_equal (access (s_in_folder ("c/z1/edge1/adrestia.yaml"), R_OK), 0);
    assert_int_equal (access (s_in_folder ("c/z1/adrestia.yaml"), F_OK), -1);
}

/* [REPL-3] n > q is asked where both are set. */
/* [GROUP-5] Neither their nodes nor owners of their partitions. */
static void
s_types_that_are_left_out (void **state)
{
    (void) state;
    struct stat status;
    uint8_t text[4096];
    assert_int_equal (s_init ("--dir", s_in_folder ("c"), "--types", "pki,edge,meta", NULL), 0);
    adr_map_t *map = s_read_map ("c/z2/cluster.map");
    assert_int_equal (map->node_count, 9);
    assert_int_equal (map->group_count, 2);
    assert_int_equal (map->range_count, 2);
    assert_null (adr_map_owner (map, ADR_NODE_DATA, 0));
    assert_string_equal (adr_map_owner (map, ADR_NODE_PKI, 63)->name, "pki1");
    assert_int_equal (adr_map_owner (map, ADR_NODE_META, 63)->founding.count, 3);
    adr_map_destroy (&map);
    assert_int_not_equal (stat (s_in_folder ("c/z2/data1"), &status), 0);
    assert_int_equal (stat (s_in_folder ("c/z2/pki1/incarnation"), &status), 0);
    text[s_read ("c/z2/adrestia.yaml", text, sizeof text - 1)] = 0;
    assert_non_null (strstr ((const char *) text, "nodes: [edge1, meta1, pki1]\n"));
    assert_int_equal (s_init ("--dir", s_in_folder ("d"), "--types", "edge,pki", "--zones", "1", "--split", NULL), 0);
    map = s_read_map ("d/z1/pki1/cluster.map");
    assert_int_equal (map->node_count, 2);
    adr_map_destroy (&map);
}

static void
s_wrong_command_lines (void **state)
{
    (void) state;
    const char *c = s_in_folder ("c");
    assert_int_equal (s_init ("--dir", c, "--zones", "3", "--quorum", "3", NULL), 64);
    assert_int_equal (s_init ("--dir", c, "--zones", "0", NULL), 64);
    assert_int_equal (s_init ("--dir", c, "--zones", "-1", NULL), 64);
    assert_int_equal (s_init ("--dir", c, "--base-port", "65535", NULL), 64);
    assert_int_equal (s_init ("--dir", c, "--name", "Bad Name", NULL), 64);
    assert_int_equal (s_init ("--dir", c, "more", NULL), 64);
    assert_int_equal (s_init ("--dir", c, "--types", "pki,meta", NULL), 64);
    assert_int_equal (s_init ("--dir", c, "--types", "edge,meta,data", NULL), 64);
    assert_int_equal (s_init ("--dir", c, "--types", "edge,pki,pki", NULL), 64);
    assert_int_equal (s_init ("--dir", c, "--types", "edge,pki,client", NULL), 64);
    assert_int_equal (s_init ("--dir", c, "--types", "", NULL), 64);
    assert_int_equal (s_init (NULL), 64);
    assert_int_equal (s_init ("--dir", s_in_folder ("no/parent"), NULL), 64);
    assert_int_equal (access (c, F_OK), -1);
    assert_int_equal (s_init ("--dir", c, "--zones", "3", "--quorum", "1", NULL), 0);
}

int
main (void)
{
#define S_TEST(name) cmocka_unit_test_setup_teardown (name, s_make_folder, s_remove_folder)
    const struct CMUnitTest tests[] = { S_TEST (s_three_zones), S_TEST (s_pki_nodes_share_a_sealing_key), S_TEST (s_existing_folder_stays),
                                        S_TEST (s_split_hosts), S_TEST (s_types_that_are_left_out), S_TEST (s_wrong_command_lines) };
    return cmocka_run_group_tests (tests, NULL, NULL);
}
