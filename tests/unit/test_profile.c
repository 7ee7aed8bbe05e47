/* SPDX-License-Identifier: MPL-2.0 */
/* Client profiles: what is read, and that each mistake is refused with its line and what was expected. */

#include "client/profile.h"

#include <setjmp.h>
#include <sodium.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#define S_ID "6ba7b810-9dad-11d1-80b4-00c04fd430c8"
#define S_KEY "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff"

typedef struct {
    char folder[64], path[128], key_path[128], public[65];
} s_world_t;

static void
s_write (const char *path, const char *text, mode_t mode)
{
    FILE *file = fopen (path, "w");
    assert_non_null (file);
    fputs (text, file);
    fclose (file);
    assert_int_equal (chmod (path, mode), 0);
}

static int
s_set_up (void **state)
{
    s_world_t *world = adr_alloc (sizeof *world);
    uint8_t public[32], secret[32];
    char hex[65];
    strcpy (world->folder, "/tmp/adr-test-XXXXXX");
    assert_non_null (mkdtemp (world->folder));
    snprintf (world->path, sizeof world->path, "%s/client.yaml", world->folder);
    snprintf (world->key_path, sizeof world->key_path, "%s/client.key", world->folder);
    crypto_box_keypair (public, secret);
    sodium_bin2hex (world->public, sizeof world->public, public, 32);
    s_write (world->key_path, sodium_bin2hex (hex, sizeof hex, secret, 32), 0600);
    *state = world;
    return 0;
}

static int
s_tear_down (void **state)
{
    s_world_t *world = *state;
    unlink (world->path);
    unlink (world->key_path);
    rmdir (world->folder);
    free (world);
    return 0;
}

/* A profile whose `edges` part is given, and one more line before it. */
static bool
s_try (s_world_t *world, const char *line, const char *edges, char error[256])
{
    char text[4096];
    adr_profile_t profile;
    snprintf (text, sizeof text, "cluster: " S_ID "\nnode: " S_ID "\ncurve-public: %s\n"
                                 "curve-secret-file: client.key\n%s%s",
              world->public, line, edges);
    s_write (world->path, text, 0644);
    error[0] = 0;
    return adr_profile_read (&profile, world->path, error, 256);
}

#define S_EDGES "edges:\n  - endpoint: tcp://127.0.0.1:7\n    curve-key: " S_KEY "\n"

static void
a_profile_is_read (void **state)
{
    s_world_t *world = *state;
    adr_profile_t profile;
    char error[256], id[ADR_ID_TEXT_SIZE];
    if (!s_try (world, "", S_EDGES "  - endpoint: tcp://h:8\n    curve-key: " S_KEY "\n", error))
        fail_msg ("%s", error);
    assert_true (adr_profile_read (&profile, world->path, error, sizeof error));
    adr_id_format (&profile.cluster, id);
    assert_string_equal (id, S_ID);
    assert_int_equal (profile.edge_count, 2);
    assert_string_equal (profile.edge[1].endpoint, "tcp://h:8");
    assert_int_equal (profile.edge[0].curve_key[1], 0x11);
    adr_profile_wipe (&profile);
    assert_true (sodium_is_zero (profile.curve_secret, 32));
}

static void
mistakes_are_named (void **state)
{
    s_world_t *world = *state;
    static const struct {
        const char *line, *edges, *said;
    } s_mistakes[] = {
        { "colour: blue\n", S_EDGES, ":5: `colour` is unknown" },
        { "cluster: " S_ID "\n", S_EDGES, ":5: `cluster` stands there twice" },
        { "", "", "`edges` is missing" },
        { "", "edges: []\n", "expected a list" },
        { "", "edges:\n  - endpoint: tcp://h:8\n", ":6: edges: expected `endpoint` and `curve-key`" },
        { "", "edges:\n  - endpoint: udp://h:8\n    curve-key: " S_KEY "\n", "tcp://host:port" },
        { "", "edges:\n  - endpoint: tcp://h:8\n    curve-key: abc\n", ":7: curve-key: expected 64" },
        { "", "edges:\n  - endpoint: tcp://h:8\n    weight: 1\n", "`weight` is unknown" },
        { "", "edges: {\n", "" },
        { "? [a]\n: b\n", S_EDGES, "expected a text" },
    };
    char error[256];
    for (size_t i = 0; i < sizeof s_mistakes / sizeof s_mistakes[0]; i++) {
        if (s_try (world, s_mistakes[i].line, s_mistakes[i].edges, error))
            fail_msg ("mistake %zu was not seen", i);
        if (!strstr (error, s_mistakes[i].said) || !strstr (error, "client.yaml"))
            fail_msg ("mistake %zu: %s", i, error);
    }
}

static void
the_secret_is_guarded (void **state)
{
    s_world_t *world = *state;
    char error[256];
    chmod (world->key_path, 0644);
    assert_false (s_try (world, "", S_EDGES, error));
    assert_non_null (strstr (error, "chmod 600"));
    s_write (world->key_path, S_KEY "\n", 0600);
    assert_false (s_try (world, "", S_EDGES, error));
    assert_non_null (strstr (error, "not the public key"));
    assert_null (strstr (error, S_KEY));
    s_write (world->key_path, "short\n", 0600);
    assert_false (s_try (world, "", S_EDGES, error));
    unlink (world->key_path);
    assert_false (s_try (world, "", S_EDGES, error));
    assert_non_null (strstr (error, "No such file"));
}

static void
any_bytes_are_answered (void **state)
{
    s_world_t *world = *state;
    adr_profile_t profile;
    uint8_t noise[400];
    for (int i = 0; i < 300; i++) {
        randombytes_buf_deterministic (noise, sizeof noise, (const uint8_t[32]){ (uint8_t) i, (uint8_t) (i >> 8) });
        FILE *file = fopen (world->path, "w");
        fwrite (noise, 1, sizeof noise, file);
        fclose (file);
        assert_false (adr_profile_read (&profile, world->path, NULL, 0));
    }
    assert_false (adr_profile_read (&profile, "/nonexistent/profile", NULL, 0));
    assert_false (adr_profile_read (&profile, world->folder, NULL, 0));
}

int
main (void)
{
#define S_TEST(name) cmocka_unit_test_setup_teardown (name, s_set_up, s_tear_down)
    const struct CMUnitTest tests[] = {
        S_TEST (a_profile_is_read),
        S_TEST (mistakes_are_named),
        S_TEST (the_secret_is_guarded),
        S_TEST (any_bytes_are_answered),
    };
    return cmocka_run_group_tests_name ("profile", tests, NULL, NULL);
}
