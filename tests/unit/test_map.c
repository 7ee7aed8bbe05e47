/* SPDX-License-Identifier: MPL-2.0 */
/* The clusterMap: look-ups, statuses, its bytes, what is no map, and what hashes where [PART-3]. */

#include "actor_harness.h"

#include "core/entry.h"
#include "wire/map_codec.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>

#include <cmocka.h>

static void
test_look_ups (void **state)
{
    (void) state;
    adr_map_t *map = harness_map (3);
    adr_id_t id = harness_id (0x22), nobody = harness_id (0x99), group = harness_id (0xb0 + ADR_NODE_META);
    assert_string_equal (adr_map_node (map, &id)->name, "meta1@z2");
    assert_null (adr_map_node (map, &nobody));
    assert_ptr_equal (adr_map_node_by_name (map, "meta1@z2"), adr_map_node (map, &id));
    assert_ptr_equal (adr_map_node_by_key (map, adr_map_node (map, &id)->curve_key), adr_map_node (map, &id));
    const adr_map_node_t *nodes[8];
    assert_int_equal (adr_map_group_nodes (map, &group, nodes, 8), 3);
    assert_int_equal (adr_map_group_nodes (map, &group, nodes, 2), 2);
    assert_string_equal (adr_map_owner (map, ADR_NODE_META, 63)->name, "meta1");
    assert_null (adr_map_owner (map, ADR_NODE_META, 64));
    assert_null (adr_map_owner (map, ADR_NODE_EDGE, 0));
    adr_map_destroy (&map);
    assert_null (map);
    adr_map_destroy (&map);
}

static void
test_a_status_is_merged_if_it_is_newer (void **state)
{
    (void) state;
    adr_map_t *map = harness_map (1);
    adr_id_t group = harness_id (0xb0 + ADR_NODE_META), nobody = harness_id (0x99);
    adr_group_status_t status = { .term = 2, .sequence = 5 };
    assert_true (adr_map_merge_status (map, &group, &status));
    assert_false (adr_map_merge_status (map, &group, &status));
    status.sequence = 4;
    assert_false (adr_map_merge_status (map, &group, &status));
    status.term = 3;
    assert_true (adr_map_merge_status (map, &group, &status));
    assert_false (adr_map_merge_status (map, &nobody, &status));
    adr_map_destroy (&map);
}

static adr_map_t *
s_full_map (void)
{
    adr_map_t *map = harness_map (3);
    map->node[3].certificate_size = 300;
    map->root_certificate_size = 200;
    map->authority_count = 2;
    map->authority_size[0] = map->authority_size[1] = ADR_CERTIFICATE_MAX;
    map->authority[1][1023] = 7;
    map->group[1].status = (adr_group_status_t){ .term = 9, .sequence = 8, .commit = 7, .unlocked = 6,
                                                 .unlocked_known = true, .leaving = true, .voter_count = 3,
                                                 .quorum = 2, .member_count = 1, .master = map->node[2].id };
    map->group[1].status.member[0] = (adr_map_member_t){ .node = map->node[2].id, .state = ADR_STATE_ONLINE_DEGRADED,
                                                         .incarnation = 55, .last_index = 44, .applied = 33,
                                                         .voter = true };
    return map;
}

static void
test_a_map_comes_back_from_its_bytes (void **state)
{
    (void) state;
    adr_map_t *map = s_full_map (), *read, *copy = adr_map_copy (map);
    adr_buffer_t bytes = { 0 };
    adr_map_encode (copy, &bytes);
    adr_map_destroy (&copy);
    assert_true (adr_map_decode (&read, adr_bytes (bytes.data, bytes.size)));
    assert_memory_equal (read->node, map->node, map->node_count * sizeof *map->node);
    assert_memory_equal (read->range, map->range, map->range_count * sizeof *map->range);
    assert_memory_equal (read->authority, map->authority, sizeof map->authority);
    assert_memory_equal (read->zone, map->zone, sizeof map->zone);
    for (int i = 0; i < 3; i++) {
        assert_memory_equal (&read->group[i].founding, &map->group[i].founding, sizeof map->group[i].founding);
        assert_string_equal (read->group[i].name, map->group[i].name);
    }
    const adr_group_status_t *status = &read->group[1].status;
    assert_int_equal (status->member[0].incarnation, 55);
    assert_int_equal (status->member[0].state, ADR_STATE_ONLINE_DEGRADED);
    assert_true (status->unlocked_known && status->leaving && status->unlocked == 6);
    assert_string_equal (read->name, "test");
    for (size_t size = 0; size < bytes.size; size++) {
        adr_map_t *cut;
        if (adr_map_decode (&cut, adr_bytes (bytes.data, size)))
            adr_map_destroy (&cut); /* a cut between two statuses leaves a map */
        assert_null (cut);
    }
    adr_buffer_free (&bytes);
    adr_map_destroy (&map);
    adr_map_destroy (&read);
}

/* Whether the map's own message is taken for one. */
static bool
s_is_map (const adr_map_t *map)
{
    adr_buffer_t bytes = { 0 };
    adr_map_t *read;
    adr_map_encode (map, &bytes);
    bool is = adr_map_decode (&read, adr_bytes (bytes.data, bytes.size));
    adr_map_destroy (&read);
    adr_buffer_free (&bytes);
    return is;
}

static void
test_what_is_no_map_is_refused (void **state)
{
    (void) state;
    adr_map_t *map;
#define S_REFUSES(change)                \
    do {                                 \
        map = s_full_map ();             \
        assert_true (s_is_map (map));    \
        change;                          \
        assert_false (s_is_map (map));   \
        adr_map_destroy (&map);          \
    } while (0)
    S_REFUSES (map->cluster = harness_id (0));
    S_REFUSES (map->partition_count = 0);
    S_REFUSES (map->partition_count = 63);
    S_REFUSES (map->node[1].id = map->node[2].id);
    S_REFUSES (map->node[1].id = harness_id (0));
    S_REFUSES (map->node[1].zone = harness_id (0x99));
    S_REFUSES (map->node[1].group = harness_id (0x99));
    S_REFUSES (map->node[1].group = harness_id (0));
    S_REFUSES (map->node[0].group = map->group[0].id);
    S_REFUSES (map->node[0].type = ADR_NODE_CLIENT);
    S_REFUSES (map->node[0].name[0] = '\n');
    S_REFUSES (map->node[0].client[3] = '\x1b');
    S_REFUSES (map->group[0].id = map->group[1].id);
    S_REFUSES (map->group[0].type = ADR_NODE_EDGE);
    S_REFUSES (map->range[0].last = 64);
    S_REFUSES (map->range[0].first = 64);
    S_REFUSES (map->range[1] = map->range[0]);
    S_REFUSES (map->range[0].group = map->group[1].id);
    S_REFUSES (map->zone[1].id = map->zone[0].id);
}

static uint32_t
s_partition (uint8_t table, const char *key, size_t size)
{
    return adr_partition_of (table, adr_bytes (key, size), ADR_PARTITIONS_MAX);
}

/* [PART-3] */
static void
test_what_hashes_where (void **state)
{
    (void) state;
    uint8_t chunk[24] = "sixteen bytes id";
    uint32_t object = adr_partition_of (ADR_TABLE_OBJECT, adr_bytes (chunk, 16), ADR_PARTITIONS_MAX);
    for (uint64_t n = 0; n < 1024; n += 341) {
        adr_put_be64 (chunk + 16, n);
        assert_int_equal (adr_partition_of (ADR_TABLE_CHUNK, adr_bytes (chunk, 24), ADR_PARTITIONS_MAX), object);
    }
    adr_put_be64 (chunk + 16, 1024);
    uint32_t second = adr_partition_of (ADR_TABLE_CHUNK, adr_bytes (chunk, 24), ADR_PARTITIONS_MAX);
    assert_int_not_equal (second, object);
    adr_put_be64 (chunk + 16, 2047);
    assert_int_equal (adr_partition_of (ADR_TABLE_CHUNK, adr_bytes (chunk, 24), ADR_PARTITIONS_MAX), second);
    /* A meta record and its uploads' rows. */
    assert_int_equal (s_partition (ADR_TABLE_META, "b\0key", 5), s_partition (ADR_TABLE_UPLOAD, "b\0key\0u1\0p", 10));
    assert_int_not_equal (s_partition (ADR_TABLE_META, "b\0key", 5), s_partition (ADR_TABLE_META, "b\0kez", 5));
    /* {tag} */
    assert_int_equal (s_partition (ADR_TABLE_KV, "n\0a{t}b", 7), s_partition (ADR_TABLE_KV, "n\0{t}", 5));
    assert_int_equal (s_partition (ADR_TABLE_KV, "n\0a{t}b", 7), s_partition (ADR_TABLE_KV, "n\0t", 3));
    assert_int_not_equal (s_partition (ADR_TABLE_KV, "m\0a{t}b", 7), s_partition (ADR_TABLE_KV, "n\0{t}", 5));
    assert_int_not_equal (s_partition (ADR_TABLE_KV, "n\0a{}b", 6), s_partition (ADR_TABLE_KV, "n\0c{}d", 6));
    /* When a record ends stands beside it [REPAIR-7]; what is no such row is somewhere. */
    assert_int_equal (s_partition (ADR_TABLE_EXPIRY, "12345678\3n\0a{t}b", 16), s_partition (ADR_TABLE_KV, "n\0a{t}b", 7));
    assert_int_equal (s_partition (ADR_TABLE_EXPIRY, "12345679\3n\0t", 12), s_partition (ADR_TABLE_KV, "n\0t", 3));
    assert_true (s_partition (ADR_TABLE_EXPIRY, "short", 5) < ADR_PARTITIONS_MAX);
    assert_int_equal (s_partition (ADR_TABLE_GROUP, "x", 1), ADR_PARTITION_NONE);
    /* For ever: these places are on disks. */
    assert_int_equal (adr_partition_of (ADR_TABLE_KV, adr_bytes ("ns\0key", 6), 64), 55);
    assert_int_equal (adr_partition_of (ADR_TABLE_META, adr_bytes ("bucket\0key", 10), 4096), 1180);
    assert_int_equal (object, 2451);
}

/* Twice as many partitions halve each, and they are about even. */
static void
test_partitions_are_even_slices (void **state)
{
    (void) state;
    unsigned count[64] = { 0 };
    for (unsigned i = 0; i < 6400; i++) {
        char key[32];
        int size = snprintf (key, sizeof key, "bucket%u", i);
        uint32_t at = adr_partition_of (ADR_TABLE_BUCKET, adr_bytes (key, (size_t) size), 64);
        assert_int_equal (adr_partition_of (ADR_TABLE_BUCKET, adr_bytes (key, (size_t) size), 128) / 2, at);
        count[at]++;
    }
    for (unsigned i = 0; i < 64; i++)
        assert_in_range (count[i], 50, 150);
}

static void
s_add_node (adr_map_t *map, uint32_t certificate_size)
{
    map->node = adr_realloc (map->node, (map->node_count + 1) * sizeof *map->node);
    adr_map_node_t *node = &map->node[map->node_count];
    *node = map->node[0];
    node->certificate_size = certificate_size;
    memset (node->certificate, 0xa5, certificate_size);
    adr_put_u32 (node->id.bytes, ++map->node_count);
    adr_put_u32 (node->curve_key, map->node_count);
}

/* The largest map that is loaded can be told whatever its groups' statuses come to be. */
static void
test_the_largest_map_fits_in_a_message (void **state)
{
    (void) state;
    adr_map_t *map = harness_map (3);
    while (adr_map_size_max (map) + ADR_CERTIFICATE_MAX < ADR_MAP_MAX)
        s_add_node (map, 600);
    size_t missing = ADR_MAP_MAX - adr_map_size_max (map);
    for (uint32_t i = 0; missing > 0; i++) { /* to the last byte */
        size_t more = missing < 400 ? missing : 400;
        map->node[map->node_count - 1 - i].certificate_size += more;
        missing = ADR_MAP_MAX - adr_map_size_max (map);
    }
    assert_int_equal (adr_map_size_max (map), ADR_MAP_MAX);
    for (uint32_t i = 0; i < map->group_count; i++) {
        adr_group_status_t *status = &map->group[i].status;
        *status = (adr_group_status_t){ .term = UINT64_MAX, .sequence = UINT64_MAX, .commit = UINT64_MAX,
                                        .unlocked = UINT64_MAX, .unlocked_known = true, .leaving = true,
                                        .voter_count = ADR_VOTERS_MAX, .quorum = ADR_VOTERS_MAX,
                                        .member_count = ADR_VOTERS_MAX * 2, .master = map->node[0].id };
        for (uint32_t k = 0; k < status->member_count; k++)
            status->member[k] = (adr_map_member_t){ .node = map->node[k % 6].id, .state = ADR_STATE_EVICTED,
                                                    .incarnation = UINT64_MAX, .last_index = UINT64_MAX,
                                                    .applied = UINT64_MAX, .voter = true };
    }
    adr_arena_t arena;
    adr_arena_init (&arena, 16 * 1024, 64 * 1024 * 1024);
    Adr__MapPush push = ADR__MAP_PUSH__INIT;
    push.number = UINT64_MAX;
    push.map = adr_map_message (map, &arena);
    assert_in_range (adr__map_push__get_packed_size (&push), ADR_MAP_MAX / 2, ADR_HEADER_MAX);
    adr_arena_free (&arena);
    adr_map_destroy (&map);
}

int
main (void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test (test_look_ups),
        cmocka_unit_test (test_a_status_is_merged_if_it_is_newer),
        cmocka_unit_test (test_a_map_comes_back_from_its_bytes),
        cmocka_unit_test (test_what_is_no_map_is_refused),
        cmocka_unit_test (test_what_hashes_where),
        cmocka_unit_test (test_partitions_are_even_slices),
        cmocka_unit_test (test_the_largest_map_fits_in_a_message),
    };
    return cmocka_run_group_tests (tests, NULL, NULL);
}
