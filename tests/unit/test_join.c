/* SPDX-License-Identifier: MPL-2.0 */
/* `adrestiad join` [TRUST-5], against doors that are real CURVE sockets: what a folder then holds, that whatever was interrupted goes
 * on, and what a command line may say. test_join_answers has what is answered. */

#include "join_fixture.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sodium.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

/* --- what comes of it ------------------------------------------------------------------------------------------------ */

static void
a_data_node_comes_in (void **state)
{
    (void) state;
    char text[256], hex[65], wanted[128];
    assert_int_equal (join_now (), 0);
    assert_true (fake_door_proved (join_world.door[0]));
    join_check_mode (".", 0700);
    join_check_mode ("node.key", 0600);
    join_check_mode ("hash.key", 0600);
    join_check_mode ("node.cert", 0644);
    assert_false (join_has ("incarnation")); /* [TRUST-6] */
    assert_false (join_has ("s3-credentials"));
    join_read ("hash.key", text, sizeof text);
    sodium_bin2hex (hex, sizeof hex, join_world.founding->hash_key, 32);
    assert_memory_equal (text, hex, 64);
    assert_string_equal (text + 64, "\n");
    adr_config_t *config = join_check ();
    assert_int_equal (config->node_count, 1);
    assert_int_equal (config->clients.count, 0);
    adr_config_destroy (&config);
    adr_map_t *map = join_read_map ();
    const adr_map_node_t *node = adr_map_node_by_name (map, "data1@z3");
    assert_non_null (node);
    snprintf (wanted, sizeof wanted, "tcp://127.0.0.1:%s", join_world.port);
    assert_string_equal (node->control, wanted);
    snprintf (wanted, sizeof wanted, "tcp://127.0.0.1:%d", atoi (join_world.port) + 1);
    assert_string_equal (node->bulk, wanted);
    assert_string_equal (node->client, "");
    assert_string_equal (node->http, "");
    adr_map_destroy (&map);
}

static const char s_keys[] = "# two clients\n- 0000000000000000000000000000000000000000000000000000000000000001\n\n"
                             "  AB00000000000000000000000000000000000000000000000000000000000002 # another\n";

static void
an_edge_comes_in (void **state)
{
    (void) state;
    char keys[96], credentials[96], wanted[64], text[256];
    join_make_token (ADR_NODE_EDGE);
    snprintf (keys, sizeof keys, "%s/keys", join_world.folder);
    snprintf (credentials, sizeof credentials, "%s/credentials", join_world.folder);
    join_write (keys, 0644, s_keys);
    join_write (credentials, 0600, "- access-key: AKEXAMPLE\n  secret-key: 0123456789\n");
    assert_int_equal (join_with (join_world.text, "--clients", keys, "--operators", keys, "--credentials", credentials, NULL), 0);
    assert_false (join_has ("hash.key"));
    join_check_mode ("s3-credentials", 0600);
    assert_int_equal (join_read ("s3-credentials", text, sizeof text), 49);
    adr_config_t *config = join_check ();
    assert_int_equal (config->clients.count, 2);
    assert_int_equal (config->clients.key[1][0], 0xab);
    assert_int_equal (config->operators.count, 2);
    assert_string_equal (config->http.credentials_file, join_in_node ("s3-credentials"));
    adr_config_destroy (&config);
    adr_map_t *map = join_read_map ();
    const adr_map_node_t *node = adr_map_node_by_name (map, "edge@z3");
    assert_non_null (node);
    snprintf (wanted, sizeof wanted, "tcp://127.0.0.1:%d", atoi (join_world.port) + 2);
    assert_string_equal (node->client, wanted);
    snprintf (wanted, sizeof wanted, "127.0.0.1:%d", atoi (join_world.port) + 3);
    assert_string_equal (node->http, wanted);
    adr_map_destroy (&map);
}

static void
an_edge_may_admit_nobody_yet (void **state)
{
    (void) state;
    join_make_token (ADR_NODE_EDGE);
    assert_int_equal (join_now (), 0);
    adr_config_t *config = join_check ();
    assert_null (config->http.credentials_file);
    adr_config_destroy (&config);
}

/* Found before the token is used. */
static void
files_of_an_edge_are_judged_first (void **state)
{
    (void) state;
    char keys[96];
    snprintf (keys, sizeof keys, "%s/keys", join_world.folder);
    join_write (keys, 0644, s_keys);
    assert_int_equal (join_with (join_world.text, "--clients", keys, NULL), 64); /* of a data node */
    join_make_token (ADR_NODE_EDGE);
    assert_int_equal (join_with (join_world.text, "--credentials", keys, NULL), 78);
    join_write (keys, 0644, "0000\n");
    assert_int_equal (join_with (join_world.text, "--clients", keys, NULL), 78);
    join_write (keys, 0644, "0000000000000000000000000000000000000000000000000000000000000001\n0000\n");
    assert_int_equal (join_with (join_world.text, "--clients", keys, NULL), 78);
    join_write (keys, 0644, "# none\n");
    assert_int_equal (join_with (join_world.text, "--operators", keys, NULL), 78);
    join_write (keys, 0644, "0000000000000000000000000000000000000000000000000000000000000001\n"
                         "0000000000000000000000000000000000000000000000000000000000000001\n");
    assert_int_equal (join_with (join_world.text, "--clients", keys, NULL), 78);
    assert_int_equal (join_with (join_world.text, "--clients", join_in_node ("not-there"), NULL), 78);
    assert_int_equal (fake_door_asked (join_world.door[0]), 0);
    join_check_nothing_written ();
}

/* --- again ----------------------------------------------------------------------------------------------------------- */

/* In the order in which they are written; an interrupted run has the first n. */
static const char *const s_files[] = { "node.id", "node.key", "node.cert", "hash.key", "cluster.map", "adrestia.yaml" };
#define S_FILES (sizeof s_files / sizeof s_files[0])

static void
interrupted_between_any_two_files (void **state)
{
    (void) state;
    char before[2][ADR_CERTIFICATE_MAX], after[ADR_CERTIFICATE_MAX];
    assert_int_equal (join_now (), 0);
    size_t key_size = join_read ("node.key", before[0], sizeof before[0]), cert_size = join_read ("node.cert", before[1], sizeof before[1]);
    for (size_t first = S_FILES; first-- > 2;) {
        char making[32];
        for (size_t i = first; i < S_FILES; i++)
            assert_int_equal (unlink (join_in_node (s_files[i])), 0);
        snprintf (making, sizeof making, "%s.new", s_files[first]); /* what was being written */
        join_write (join_in_node (making), 0644, "half of it");
        assert_int_equal (join_now (), 0);
        assert_false (join_has (making));
        assert_int_equal (join_read ("node.key", after, sizeof after), key_size);
        assert_memory_equal (after, before[0], key_size);
        assert_int_equal (join_read ("node.cert", after, sizeof after), cert_size);
        assert_memory_equal (after, before[1], cert_size);
        adr_config_t *config = join_check ();
        adr_config_destroy (&config);
        join_check_mode ("hash.key", 0600);
    }
    assert_int_equal (fake_door_signed (join_world.door[0]), 1);
}

/* Before anybody was asked: the id is kept, keys are drawn. */
static void
interrupted_before_the_keys (void **state)
{
    (void) state;
    char id[64], after[64];
    join_edit (&(fake_door_edits_t){ .status = ADR_STATUS_DENIED, .text = "no" });
    assert_int_equal (join_now (), ADR_JOIN_REFUSED);
    join_read ("node.id", id, sizeof id);
    unlink (join_in_node ("node.key"));
    join_write (join_in_node ("node.key.new"), 0644, "curve-secret: ");
    join_edit (&(fake_door_edits_t){ 0 });
    assert_int_equal (join_now (), 0);
    join_read ("node.id", after, sizeof after);
    assert_string_equal (id, after);
    join_check_mode ("node.key", 0600);
}

static void
who_has_joined_asks_nobody (void **state)
{
    (void) state;
    assert_int_equal (join_now (), 0);
    int asked = fake_door_asked (join_world.door[0]);
    assert_int_equal (join_now (), 0);
    join_write (join_in_node ("state.mdb"), 0600, ""); /* it has run since */
    assert_int_equal (join_now (), 0);
    assert_int_equal (fake_door_asked (join_world.door[0]), asked);
    /* Another token is not for this folder. */
    char text[ADR_TOKEN_TEXT_MAX];
    adr_token_t token = join_world.token;
    strcpy (token.node_name, "data9@z3");
    adr_token_format (&token, text);
    assert_int_equal (join_with (text, NULL), 78);
    token = join_world.token;
    token.cluster.bytes[0] ^= 1;
    adr_token_format (&token, text);
    assert_int_equal (join_with (text, NULL), 78);
    join_write (join_in_node ("node.cert"), 0644, "spoilt");
    assert_int_equal (join_now (), 78);
}

static void
s_no_map (Adr__JoinAnswer *answer)
{
    answer->map = NULL;
}

/* A repeated run with another port: the registry's word stands. */
static void
the_first_address_stays (void **state)
{
    (void) state;
    char wanted[64];
    snprintf (wanted, sizeof wanted, "tcp://127.0.0.1:%s", join_world.port);
    join_edit (&(fake_door_edits_t){ .answer = s_no_map }); /* used, and nothing written */
    assert_int_equal (join_now (), ADR_JOIN_UNBELIEVED);
    join_edit (&(fake_door_edits_t){ 0 });
    join_find_ports (join_world.port);
    assert_int_equal (join_now (), 0);
    adr_config_t *config = join_check ();
    adr_config_destroy (&config);
    adr_map_t *map = join_read_map ();
    const adr_map_node_t *node = adr_map_node_by_name (map, "data1@z3");
    assert_non_null (node);
    assert_string_equal (node->control, wanted);
    adr_map_destroy (&map);
}

static void
folders_of_others_are_left_alone (void **state)
{
    (void) state;
    static const char *const names[] = { "node.key", "incarnation", "journal", "state.mdb", "index.mdb", "authority.key" };
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        assert_int_equal (mkdir (join_world.node, 0700), 0);
        join_write (join_in_node (names[i]), 0600, "x");
        assert_int_equal (join_now (), 78);
        assert_false (join_has ("node.id"));
        assert_int_equal (unlink (join_in_node (names[i])), 0);
        assert_int_equal (rmdir (join_world.node), 0);
    }
    assert_int_equal (fake_door_asked (join_world.door[0]), 0);
}

/* The registry names it as some other store. */
static void
s_name_another_store (adr_map_t *map)
{
    const adr_map_node_t *node = &map->node[map->node_count - 1];
    adr_map_group_t *group = adr_map_group (map, &node->group);
    group->founding.count = 0;
    group->forming_zone[group->forming_zone_count++] = node->zone;
    group->forming[group->forming_count++] = (adr_voter_t){ node->id, 5 };
}

/* [GROUP-3] Drawn once, told each time, and left for the first start. */
static void
a_founder_keeps_its_incarnation (void **state)
{
    (void) state;
    char first[64], again[64];
    adr_token_t token = join_world.token;
    token.founds = true;
    join_use_token (&token);
    join_edit (&(fake_door_edits_t){ .status = ADR_STATUS_DENIED, .text = "no" });
    assert_int_equal (join_now (), ADR_JOIN_REFUSED);
    join_check_mode ("incarnation", 0600);
    join_read ("incarnation", first, sizeof first);
    assert_true (strtoull (first, NULL, 10) > 5);
    join_write (join_in_node ("incarnation"), 0600, "-1\n");
    assert_int_equal (join_now (), 78);
    join_write (join_in_node ("incarnation"), 0600, "0\n");
    assert_int_equal (join_now (), 78);
    join_write (join_in_node ("incarnation"), 0600, first);
    join_edit (&(fake_door_edits_t){ .map = s_name_another_store });
    assert_int_equal (join_now (), ADR_JOIN_UNBELIEVED);
    assert_false (join_has ("adrestia.yaml"));
    join_edit (&(fake_door_edits_t){ .status = ADR_STATUS_OK });
    assert_int_equal (join_now (), 0);
    assert_true (fake_door_proved (join_world.door[0]));
    join_read ("incarnation", again, sizeof again);
    assert_string_equal (again, first);
    adr_config_t *config = join_check ();
    adr_config_destroy (&config);
}

static void
keys_that_others_may_read (void **state)
{
    (void) state;
    join_edit (&(fake_door_edits_t){ .status = ADR_STATUS_DENIED, .text = "no" });
    assert_int_equal (join_now (), ADR_JOIN_REFUSED);
    assert_int_equal (chmod (join_in_node ("node.key"), 0640), 0);
    assert_int_equal (join_now (), 78);
    assert_int_equal (chmod (join_in_node ("node.key"), 0600), 0);
    join_write (join_in_node ("node.id"), 0644, "no id\n");
    assert_int_equal (join_now (), 78);
    join_write (join_in_node ("node.id"), 0644, "00000000-0000-0000-0000-000000000000\n");
    assert_int_equal (join_now (), 78);
    join_write (join_in_node ("node.id"), 0644, "12345678-0000-0000-0000-000000000000\n");
    join_write (join_in_node ("node.key"), 0600, "sign-secret: 0000000000000000000000000000000000000000000000000000000000000001\n");
    assert_int_equal (join_now (), 78); /* an authority's, that opens no connection */
    assert_int_equal (fake_door_asked (join_world.door[0]), 1);
}

static void
one_join_at_a_time (void **state)
{
    (void) state;
    adr_join_folder_t folder;
    char error[256];
    assert_true (adr_join_folder_open (&folder, join_world.node, error, sizeof error));
    assert_int_equal (join_now (), 74);
    adr_join_folder_close (&folder);
    assert_int_equal (join_now (), 0);
}

/* --- the command line ------------------------------------------------------------------------------------------------- */

static void
tokens_from_files (void **state)
{
    (void) state;
    char path[96], text[ADR_TOKEN_TEXT_MAX + 8];
    snprintf (path, sizeof path, "%s/token", join_world.folder);
    snprintf (text, sizeof text, "\n%s\n", join_world.text);
    join_write (path, 0600, text);
    assert_int_equal (join_with (NULL, "--token-file", path, NULL), 0);
    text[100] ^= 1;
    join_write (path, 0600, text);
    assert_int_equal (join_with (NULL, "--token-file", path, NULL), 78);
    assert_int_equal (join_with (NULL, "--token-file", join_in_node ("not-there"), NULL), 78);
    assert_int_equal (join_with (join_world.text, "--token-file", path, NULL), 64);
}

static void
tokens_from_standard_input (void **state)
{
    (void) state;
    char path[96];
    snprintf (path, sizeof path, "%s/token", join_world.folder);
    join_write (path, 0600, join_world.text);
    assert_non_null (freopen (path, "re", stdin));
    assert_int_equal (join_with (NULL, "--token-file", "-", NULL), 0);
}

static void
wrong_command_lines (void **state)
{
    (void) state;
    static const char *const wrong[][2] = { { "--port", "0" },          { "--port", "65533" },      { "--port", "x" },
                                            { "--timeout", "0" },       { "--timeout", "-1" },      { "--address", "0.0.0.0" },
                                            { "--address", "host" },    { "--address", "::1" },     { "--dir", "" },
                                            { "more", "--port=20000" }, { "--unknown", "x" } };
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++)
        if (join_with (join_world.text, wrong[i][0], wrong[i][1], NULL) != 64)
            fail_msg ("%s %s was taken", wrong[i][0], wrong[i][1]);
    assert_int_equal (join_with (NULL, NULL), 64);
    assert_int_equal (join_with ("adr1.nonsense", NULL), 78);
    assert_false (join_has ("."));
    char word[2][8] = { "join", "adr1.x" };
    char *argv[] = { word[0], word[1], NULL };
    assert_int_equal (adr_join (2, argv), 64);
    assert_int_equal (fake_door_asked (join_world.door[0]), 0);
}

/* [TRUST-5] Nobody is asked before the root has signed its authority, whose key is made once; a certificate for somebody else does not
 * do. What follows is tests/chaos/grow's. */
static void
a_pki_node_needs_the_root_first (void **state)
{
    (void) state;
    char first[1024], again[1024];
    adr_cert_t request;
    join_make_token (ADR_NODE_PKI);
    assert_int_equal (join_now (), ADR_JOIN_AGAIN);
    join_check_mode ("authority.key", 0600);
    size_t size = join_read ("authority.request", first, sizeof first);
    assert_true (adr_cert_decode (&request, adr_bytes (first, size)));
    assert_true (request.kind == ADR_CERT_REQUEST && request.type == ADR_NODE_PKI && adr_cert_signed_by (&request, request.sign_key));
    assert_int_equal (join_now (), ADR_JOIN_AGAIN);
    assert_int_equal (join_read ("authority.request", again, sizeof again), size);
    assert_memory_equal (first, again, size);
    join_write (join_in_node ("authority.cert"), 0644, "no certificate");
    assert_int_equal (join_now (), 78);
    assert_int_equal (unlink (join_in_node ("node.id")), 0); /* a folder of somebody else's */
    assert_int_equal (join_now (), 78);
    assert_int_equal (fake_door_asked (join_world.door[0]), 0);
}

static void
addresses_are_this_hosts (void **state)
{
    (void) state;
    adr_token_t token = join_world.token;
    strcpy (token.door[1].endpoint, "tcp://192.0.2.1:7410"); /* not this host: so others must reach it */
    join_use_token (&token);
    assert_int_equal (join_now (), 64);
    assert_int_equal (join_with (join_world.text, "--address", "192.0.2.7", NULL), 69);
    struct sockaddr_in address = { .sin_family = AF_INET, .sin_addr.s_addr = htonl (INADDR_LOOPBACK) };
    int file = socket (AF_INET, SOCK_STREAM, 0);
    address.sin_port = htons ((uint16_t) (atoi (join_world.port) + 1));
    assert_int_equal (bind (file, (struct sockaddr *) &address, sizeof address), 0);
    assert_int_equal (listen (file, 1), 0);
    assert_int_equal (join_with (join_world.text, "--address", "127.0.0.1", NULL), 69);
    close (file);
    assert_int_equal (fake_door_asked (join_world.door[0]), 0);
    assert_int_equal (join_with (join_world.text, "--address", "127.0.0.1", NULL), 0);
}

int
main (void)
{
    const struct CMUnitTest tests[] = {
        JOIN_TEST (a_data_node_comes_in),
        JOIN_TEST (an_edge_comes_in),
        JOIN_TEST (an_edge_may_admit_nobody_yet),
        JOIN_TEST (files_of_an_edge_are_judged_first),
        JOIN_TEST (interrupted_between_any_two_files),
        JOIN_TEST (interrupted_before_the_keys),
        JOIN_TEST (who_has_joined_asks_nobody),
        JOIN_TEST (the_first_address_stays),
        JOIN_TEST (folders_of_others_are_left_alone),
        JOIN_TEST (a_founder_keeps_its_incarnation),
        JOIN_TEST (keys_that_others_may_read),
        JOIN_TEST (one_join_at_a_time),
        JOIN_TEST (tokens_from_files),
        JOIN_TEST (tokens_from_standard_input),
        JOIN_TEST (wrong_command_lines),
        JOIN_TEST (a_pki_node_needs_the_root_first),
        JOIN_TEST (addresses_are_this_hosts),
    };
    return cmocka_run_group_tests (tests, NULL, NULL);
}
