/* SPDX-License-Identifier: MPL-2.0 */
/* The configuration: the manual's defaults are the code's, and what is wrong is refused where it stands. */

#include "core/limits.h"
#include "runtime/config.h"
#include "runtime/identity.h"
#include "wire/map_codec.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

static adr_config_t *
s_parse (const char *text, char error[256])
{
    *error = 0;
    return adr_config_parse ("/etc/x/adrestia.yaml", text, strlen (text), error, 256);
}

#define S_LEAST "cluster-map: cluster.map\nnodes: [edge1]\n"

/* config/adrestia.yaml is the manual: every default that it shows is what the code does without it. */
static void
test_manual_shows_the_defaults (void **state)
{
    (void) state;
    const char *top = getenv ("top_srcdir");
    char path[4096], error[256];
    snprintf (path, sizeof path, "%s/config/adrestia.yaml", top ? top : "..");
    adr_config_t *manual = adr_config_read (path, error, sizeof error);
    if (manual == NULL)
        fail_msg ("%s", error);
    adr_config_t *code = s_parse (S_LEAST, error);
    assert_non_null (code);
    assert_memory_equal (&manual->settings, &code->settings, sizeof code->settings);
    assert_memory_equal (&manual->store, &code->store, sizeof code->store);
    assert_int_equal (manual->connections_max, code->connections_max);
    assert_int_equal (manual->log_level, code->log_level);
    assert_null (manual->log_file);
    assert_null (manual->http.credentials_file);
    assert_string_equal (manual->http.region, code->http.region);
    assert_string_equal (manual->http.domain, code->http.domain);
    assert_int_equal (manual->clients.count + manual->operators.count, 0);
    assert_int_equal (manual->node_count, 4);
    adr_config_destroy (&manual);
    adr_config_destroy (&code);
}

/* And it names every key: each one that the code knows is refused when it stands there twice. */
static void
test_manual_names_every_key (void **state)
{
    (void) state;
    static const char *const keys[]
        = { "cluster-map:",    "nodes:",        "reads:",         "clients:", "operators:", "level:",     "file:",
            "poll:",           "election-min:", "election-max:",  "write-timeout:", "read-timeout:",
            "request-window:", "segment-size:", "flush-size:",    "flush-interval:", "log-keep-max:",
            "checkpoint:",     "repair-rate:",  "scrub-rate:",    "scrub-interval:",
            "cache-size:",     "memory-max:",   "tombstone-retention:", "grace:", "sweep-interval:", "pipeline:",      "requests:", "connections:",
            "credentials-file:", "region:",     "domain:" };
    char path[4096], error[256];
    const char *top = getenv ("top_srcdir");
    snprintf (path, sizeof path, "%s/config/adrestia.yaml", top ? top : "..");
    FILE *file = fopen (path, "r");
    assert_non_null (file);
    static char text[65536];
    text[fread (text, 1, sizeof text - 1, file)] = 0;
    fclose (file);
    for (size_t i = 0; i < sizeof keys / sizeof keys[0]; i++)
        if (strstr (text, keys[i]) == NULL)
            fail_msg ("the manual does not name %s", keys[i]);
    /* The list above is all that there is: the error for an unknown key names the sections' keys. */
    assert_null (s_parse (S_LEAST "store:\n  x: 1\n", error));
    assert_non_null (strstr (error, "segment-size, flush-size, flush-interval, log-keep-max, repair-rate, scrub-rate, "
                                    "scrub-interval, cache-size, memory-max"));
}

static void
test_values (void **state)
{
    (void) state;
    char error[256];
    adr_config_t *config = s_parse ("cluster-map: /abs/cluster.map\n"
                                    "nodes: [edge1, ../meta1]\n"
                                    "reads: quorum\n"
                                    "timing: { poll: 50ms, election-min: 200ms, election-max: 2s }\n"
                                    "store:\n  segment-size: 8MiB\n"
                                    "log: { level: trace, file: a.log }\n"
                                    "clients:\n"
                                    "  - 00112233445566778899aabbccddeeff00112233445566778899AABBCCDDEEFF\n"
                                    "operators: [ 00112233445566778899aabbccddeeff00112233445566778899AABBCCDDEE11 ]\n"
                                    "http: { domain: s3.example.org }\n",
                                    error);
    if (config == NULL)
        fail_msg ("%s", error);
    assert_string_equal (config->cluster_map, "/abs/cluster.map");
    assert_string_equal (config->node[0], "/etc/x/edge1");
    assert_string_equal (config->node[1], "/etc/x/../meta1");
    assert_string_equal (config->log_file, "/etc/x/a.log");
    assert_int_equal (config->settings.reads_by_quorum, 1);
    assert_int_equal (config->settings.poll_ns, 50 * ADR_MS);
    assert_int_equal (config->settings.election_max_ns, 2000 * ADR_MS);
    assert_int_equal (config->store.segment_bytes, 8 << 20);
    assert_int_equal (config->log_level, ADR_LEVEL_TRACE);
    assert_int_equal (config->clients.count, 1);
    assert_int_equal (config->clients.key[0][31], 0xff);
    assert_int_equal (config->operators.count, 1);
    assert_int_equal (config->operators.key[0][31], 0x11);
    assert_string_equal (config->http.domain, "s3.example.org");
    adr_config_destroy (&config);
}

/* What is wrong, and where the error must point. */
static const struct {
    const char *text, *place, *says;
} s_wrong[] = {
    { "", ":1:1:", "empty" },
    { "nodes: [a]\n", ":1:1:", "cluster-map is missing" },
    { "cluster-map: a\n", ":1:1:", "nodes is missing" },
    { S_LEAST "colour: red\n", ":3:1:", "unknown key colour; expected one of cluster-map" },
    { S_LEAST "timing:\n  pol: 1s\n", ":4:3:", "unknown key timing.pol" },
    { S_LEAST "nodes: [b]\n", ":3:1:", "repeated key nodes" },
    { S_LEAST "timing: { poll: 1s }\ntiming: { poll: 1s }\n", ":4:11:", "repeated key poll" },
    { S_LEAST "timing:\n  poll: fast\n", ":4:9:", "expected a duration" },
    { S_LEAST "timing:\n  poll: 100\n", ":4:9:", "from 10ms to 10s" },
    { S_LEAST "timing:\n  poll: 1ms\n", ":4:9:", "from 10ms to 10s" },
    { S_LEAST "timing:\n  poll: -5ms\n", ":4:9:", "expected a duration" },
    { S_LEAST "timing:\n  poll: 99999999999999999999s\n", ":4:9:", "expected a duration" },
    { S_LEAST "timing:\n  poll: [1s]\n", ":4:9:", "expected a duration" },
    { S_LEAST "timing:\n  poll: 400ms\n", ":1:1:", "three times timing.poll" },
    { S_LEAST "timing:\n  election-max: 510ms\n", ":4:17:", "1.25 times" },
    { S_LEAST "timing: 5\n", ":3:9:", "expected keys and values" },
    { S_LEAST "store:\n  flush-size: 64MiB\n", ":1:1:", "twice store.flush-size" },
    { S_LEAST "store: { segment-size: 1MiB }\n", ":3:24:", "from 4MiB to 1GiB" },
    { S_LEAST "limits: { connections: 5x }\n", ":3:24:", "a whole number from 16 to 65536" },
    { S_LEAST "reads: maybe\n", ":3:8:", "lease or quorum" },
    { S_LEAST "log: { level: loud }\n", ":3:15:", "error, warning, note or trace" },
    { S_LEAST "clients: [abc]\n", ":3:11:", "64 hexadecimal digits" },
    { S_LEAST "clients: 7\n", ":3:10:", "expected a list" },
    { S_LEAST "operators: [abc]\n", ":3:13:", "bad entry in operators" },
    { "cluster-map: ''\nnodes: [a]\n", ":1:14:", "expected a path" },
    { "cluster-map: x\nnodes: []\n", ":2:8:", "a list of 1 to 16" },
    { "cluster-map: x\nnodes: [a, a]\n", ":2:12:", "repeated entry in nodes" },
    { "cluster-map: x\nnodes: [{a: b}]\n", ":2:9:", "path of a node's folder" },
    { S_LEAST "http: { region: '' }\n", ":3:17:", "1 to 63 bytes" },
    { S_LEAST "http: { region: \"a\\0b\" }\n", ":3:17:", "1 to 63 bytes" },
    { S_LEAST "a: b: c\n", ":3:5:", "no YAML" },
    { S_LEAST "? [a]\n: b\n", ":3:3:", "bad key" },
    { S_LEAST "---\nx: y\n", ":4:1:", "second document" },
    { "- a\n", ":1:1:", "expected keys and values" },
    { "\x01", "", "no YAML" },
};

static void
test_what_is_wrong_is_refused (void **state)
{
    (void) state;
    for (size_t i = 0; i < sizeof s_wrong / sizeof s_wrong[0]; i++) {
        char error[256];
        adr_config_t *config = s_parse (s_wrong[i].text, error);
        if (config || !strstr (error, s_wrong[i].place) || !strstr (error, s_wrong[i].says)
            || strncmp (error, "/etc/x/adrestia.yaml:", 21))
            fail_msg ("case %zu: \"%s\" is no error at %s that says %s", i, error, s_wrong[i].place, s_wrong[i].says);
    }
}

static void
test_files (void **state)
{
    (void) state;
    char error[256];
    assert_null (adr_config_read ("/nonexistent/adrestia.yaml", error, sizeof error));
    assert_non_null (strstr (error, "No such file"));
    assert_null (adr_config_read ("/dev/zero", error, sizeof error));
    assert_non_null (strstr (error, "too large"));
}

static void
test_units (void **state)
{
    (void) state;
    int64_t ns;
    uint64_t size;
    assert_true (adr_duration_parse (&ns, "5m") && ns == 300000 * ADR_MS);
    assert_true (adr_duration_parse (&ns, "1h") && ns == 3600000 * ADR_MS);
    assert_true (adr_size_parse (&size, "512B") && size == 512);
    assert_true (adr_size_parse (&size, "3GiB") && size == UINT64_C (3) << 30);
    static const char *const wrong[] = { "", "5", "ms", "5 ms", "5MS", "1.5s", "+1s", " 1s", "9999999999999h" };
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++)
        assert_false (adr_duration_parse (&ns, wrong[i]));
    assert_false (adr_size_parse (&size, "5MB"));
    assert_false (adr_size_parse (&size, "99999999999GiB"));
}

/* The value of one key; the error where it is refused. */
static bool
s_takes (const adr_setting_row_t *row, uint64_t value, char error[256])
{
    char text[256];
    const char *dot = strchr (row->name, '.');
    snprintf (text, sizeof text, S_LEAST "%.*s:\n  %s: %llu%s\n", (int) (dot - row->name), row->name, dot + 1, (unsigned long long) value,
              row->kind == ADR_SETTING_SIZE ? "B" : "ms");
    adr_config_t *config = s_parse (text, error);
    for (uint32_t i = 0; config && adr_setting_row (i); i++)
        assert_int_equal (config->named[i], adr_setting_row (i) == row);
    adr_config_destroy (&config);
    return strstr (error, "bad value") == NULL; /* else it may want another one beside it */
}

/* [SET-3] What the cluster may decide has the same range in a host's configuration, which notes that it was named. */
static void
test_the_cluster_s_settings_have_the_same_ranges (void **state)
{
    (void) state;
    char error[256], range[80], low[ADR_UNITS_TEXT_SIZE], high[ADR_UNITS_TEXT_SIZE];
    for (uint32_t i = 0; adr_setting_row (i); i++) {
        const adr_setting_row_t *row = adr_setting_row (i);
        adr_setting_format (row, low, row->low);
        adr_setting_format (row, high, row->high);
        snprintf (range, sizeof range, "from %s to %s", low, high);
        assert_true (s_takes (row, row->low, error));
        assert_true (s_takes (row, row->high, error));
        assert_false (s_takes (row, row->low - 1, error));
        assert_false (s_takes (row, row->high + 1, error));
        if (strstr (error, range) == NULL)
            fail_msg ("%s: \"%s\" does not say %s", row->name, error, range);
    }
}

/* A clusterMap that could not be told once its groups have statuses is refused by name, before its certificates are
 * looked at. */
static void
test_a_map_that_is_too_large_is_refused (void **state)
{
    (void) state;
    char path[] = "/tmp/adrestia-test-map-XXXXXX", error[512];
    adr_map_t *map = adr_map_new ();
    adr_buffer_t bytes = { 0 };
    map->cluster.bytes[0] = 1;
    snprintf (map->name, sizeof map->name, "c");
    map->partition_count = 64;
    map->quorum = 1;
    map->zone_count = 1;
    map->zone[0].id.bytes[0] = 2;
    snprintf (map->zone[0].name, sizeof map->zone[0].name, "z1");
    map->group_count = ADR_MAP_MAX / ADR_GROUP_STATUS_MAX + 1;
    map->group = adr_realloc (map->group, map->group_count * sizeof *map->group);
    memset (map->group, 0, map->group_count * sizeof *map->group);
    for (uint32_t i = 0; i < map->group_count; i++) {
        adr_put_u32 (map->group[i].id.bytes, i + 1);
        map->group[i].type = ADR_NODE_META;
        snprintf (map->group[i].name, sizeof map->group[i].name, "meta%u", i + 1);
        map->group[i].founding = (adr_voters_t){ .count = 1, .quorum = 1 };
        map->group[i].founding.voter[0].node.bytes[0] = 3;
        map->group[i].founding.voter[0].incarnation = 7;
    }
    adr_map_encode (map, &bytes);
    assert_true (bytes.size < ADR_HEADER_MAX);
    int file = mkstemp (path);
    assert_true (file >= 0);
    assert_int_equal (write (file, bytes.data, bytes.size), bytes.size);
    close (file);
    assert_null (adr_map_load (path, error, sizeof error));
    if (strstr (error, "too large") == NULL)
        fail_msg ("%s", error);
    unlink (path);
    adr_buffer_free (&bytes);
    adr_map_destroy (&map);
}

int
main (void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test (test_manual_shows_the_defaults), cmocka_unit_test (test_manual_names_every_key),
        cmocka_unit_test (test_values),                    cmocka_unit_test (test_what_is_wrong_is_refused),
        cmocka_unit_test (test_files),                     cmocka_unit_test (test_units),
        cmocka_unit_test (test_the_cluster_s_settings_have_the_same_ranges),
        cmocka_unit_test (test_a_map_that_is_too_large_is_refused),
    };
    return cmocka_run_group_tests (tests, NULL, NULL);
}
