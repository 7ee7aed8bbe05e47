/* SPDX-License-Identifier: MPL-2.0 */
/* What tests of `adrestiad join` share: see join_fixture.h. */

#include "join_fixture.h"

#include "runtime/host.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sodium.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

struct join_world join_world;

/* --- the world ------------------------------------------------------------------------------------------------------- */

static bool
s_is_free (uint16_t port)
{
    struct sockaddr_in address = { .sin_family = AF_INET, .sin_addr.s_addr = htonl (INADDR_LOOPBACK), .sin_port = htons (port) };
    int file = socket (AF_INET, SOCK_STREAM, 0);
    bool good = bind (file, (struct sockaddr *) &address, sizeof address) == 0;
    close (file);
    return good;
}

/* Four in a row, below those that the kernel gives out by itself. */
void
join_find_ports (char text[8])
{
    uint16_t port;
    do
        port = (uint16_t) (20000 + randombytes_uniform (10000));
    while (!s_is_free (port) || !s_is_free (port + 1) || !s_is_free (port + 2) || !s_is_free (port + 3));
    snprintf (text, 8, "%u", port);
}

void
join_use_token (const adr_token_t *token)
{
    join_world.token = *token;
    adr_token_format (token, join_world.text);
}

/* A token for a node of that type in a zone that is new, with the doors of two PKI nodes. */
void
join_make_token (adr_node_type_t type)
{
    adr_token_t token = { .type = type, .cluster = join_world.founding->map->cluster, .expires_ms = ((int64_t) time (NULL) + 60) * 1000,
                          .zone = { { 0xaa } }, .zone_name = "z3", .door_count = 2 };
    const adr_map_t *map = join_world.founding->map;
    randombytes_buf (token.secret, sizeof token.secret);
    adr_token_hash_root (adr_bytes (map->root_certificate, map->root_certificate_size), token.root_hash);
    if (type != ADR_NODE_EDGE) {
        token.group = map->group[type - ADR_NODE_META].id;
        strcpy (token.group_name, map->group[type - ADR_NODE_META].name);
    }
    snprintf (token.node_name, sizeof token.node_name, "%s@z3", type == ADR_NODE_EDGE ? "edge" : token.group_name);
    for (uint32_t i = 0; i < 2; i++) {
        fake_door_destroy (&join_world.door[i]);
        memcpy (token.door[i].curve_key, adr_founding_node (join_world.founding, i, ADR_NODE_PKI)->curve_key, ADR_KEY_SIZE);
        join_world.door[i] = fake_door_new (join_world.founding, i, &token);
        snprintf (token.door[i].endpoint, sizeof token.door[i].endpoint, "%s", fake_door_endpoint (join_world.door[i]));
    }
    join_use_token (&token);
}

int
join_set_up (void **state)
{
    (void) state;
    const adr_founding_options_t options = { .name = "test", .address = "127.0.0.1", .zones = 2, .quorum = 2, .base_port = 7400,
                                             .now_ms = (int64_t) time (NULL) * 1000 };
    if (sodium_init () < 0)
        return -1;
    memset (&join_world, 0, sizeof join_world);
    join_world.founding = adr_founding_new (&options);
    strcpy (join_world.folder, "/tmp/adrestia-test-join-XXXXXX");
    assert_non_null (mkdtemp (join_world.folder));
    snprintf (join_world.node, sizeof join_world.node, "%s/node", join_world.folder);
    join_find_ports (join_world.port);
    join_make_token (ADR_NODE_DATA);
    return 0;
}

int
join_tear_down (void **state)
{
    (void) state;
    char command[96];
    for (int i = 0; i < 2; i++)
        fake_door_destroy (&join_world.door[i]);
    adr_founding_destroy (&join_world.founding);
    snprintf (command, sizeof command, "rm -rf '%s'", join_world.folder);
    return system (command);
}

/* The words behind `join TOKEN --dir DIR --port P --timeout 2`, up to a NULL; NULL as the token: none. */
int
join_with (const char *token, const char *first, ...)
{
    char words[24][ADR_TOKEN_TEXT_MAX];
    char *argv[25];
    int argc = 0;
    va_list arguments;
    const char *const fixed[] = { "join", "--dir", join_world.node, "--port", join_world.port, "--timeout", "2" };
    for (size_t i = 0; i < sizeof fixed / sizeof fixed[0]; i++)
        strcpy (words[argc++], fixed[i]);
    if (token)
        strcpy (words[argc++], token);
    va_start (arguments, first);
    for (const char *word = first; word; word = va_arg (arguments, const char *))
        strcpy (words[argc++], word);
    va_end (arguments);
    for (int i = 0; i < argc; i++)
        argv[i] = words[i];
    argv[argc] = NULL;
    int code = adr_join (argc, argv);
    for (int i = 0; token && code != ADR_EXIT_USAGE && i < argc; i++)
        assert_string_not_equal (words[i], join_world.text); /* out of `ps` */
    return code;
}

int
join_now (void)
{
    return join_with (join_world.text, NULL);
}

void
join_edit (const fake_door_edits_t *edits)
{
    for (int i = 0; i < 2; i++)
        fake_door_edit (join_world.door[i], edits);
}

/* --- looking at files ------------------------------------------------------------------------------------------------ */

const char *
join_in_node (const char *name)
{
    static char path[4][160];
    static unsigned next;
    char *at = path[next++ % 4];
    snprintf (at, sizeof path[0], "%s/%s", join_world.node, name);
    return at;
}

bool
join_has (const char *name)
{
    return access (join_in_node (name), F_OK) == 0;
}

size_t
join_read (const char *name, char *at, size_t room)
{
    FILE *file = fopen (join_in_node (name), "re");
    assert_non_null (file);
    size_t size = fread (at, 1, room - 1, file);
    at[size] = 0;
    fclose (file);
    return size;
}

void
join_write (const char *path, mode_t mode, const char *text)
{
    FILE *file = fopen (path, "we");
    assert_non_null (file);
    fputs (text, file);
    fclose (file);
    assert_int_equal (chmod (path, mode), 0);
}

void
join_check_mode (const char *name, mode_t mode)
{
    struct stat status;
    assert_int_equal (stat (join_in_node (name), &status), 0);
    assert_int_equal (status.st_mode & 0777, mode);
}

/* Nothing stands there but the identity. */
void
join_check_nothing_written (void)
{
    static const char *const names[] = { "node.cert", "hash.key", "cluster.map", "adrestia.yaml", "s3-credentials", "incarnation" };
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        assert_false (join_has (names[i]));
}

/* As adrestiad --check does. */
adr_config_t *
join_check (void)
{
    char error[512];
    adr_config_t *config = adr_config_read (join_in_node ("adrestia.yaml"), error, sizeof error);
    if (!config || !adr_host_check (config, error, sizeof error))
        fail_msg ("%s", error);
    return config;
}

adr_map_t *
join_read_map (void)
{
    static char bytes[65536];
    adr_map_t *map = NULL;
    assert_true (adr_map_decode (&map, adr_bytes (bytes, join_read ("cluster.map", bytes, sizeof bytes))));
    return map;
}
