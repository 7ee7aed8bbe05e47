/* SPDX-License-Identifier: MPL-2.0 */
/* Which registry a node believes [TRUST-2, TRUST-3]: docs/protocol/trust.md. */

#include "registry_fixture.h"

#include "core/actor.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

static adr_founding_t *s_founding;
static adr_map_t *s_offered;

static int
s_setup (void **state)
{
    (void) state;
    s_founding = registry_found ();
    s_offered = registry_next (s_founding->map);
    registry_node (s_offered, 2, ADR_NODE_META)->evicted = true;
    return 0;
}

static int
s_teardown (void **state)
{
    (void) state;
    adr_map_destroy (&s_offered);
    adr_founding_destroy (&s_founding);
    return 0;
}

static adr_map_fault_t
s_judge (void)
{
    adr_map_seal (s_offered);
    return adr_map_judge (s_founding->map, s_offered, FIXTURE_NOW_MS);
}

static void
two_pki_nodes_are_believed (void **state)
{
    (void) state;
    registry_sign (s_offered, s_founding, 0);
    assert_int_equal (s_judge (), ADR_MAP_UNSIGNED);
    registry_sign (s_offered, s_founding, 2);
    assert_int_equal (s_judge (), ADR_MAP_BELIEVED);
}

static void
one_pki_node_is_not_two (void **state)
{
    (void) state;
    registry_sign (s_offered, s_founding, 0);
    registry_sign (s_offered, s_founding, 0);
    assert_int_equal (s_judge (), ADR_MAP_UNSIGNED);
}

/* What was signed is the whole of it. */
static void
a_changed_byte_is_unsigned (void **state)
{
    (void) state;
    registry_sign (s_offered, s_founding, 0);
    registry_sign (s_offered, s_founding, 1);
    s_offered->sealed[s_offered->sealed_size / 2] ^= 1;
    assert_int_equal (s_judge (), ADR_MAP_UNSIGNED);
}

/* An authority's signature under something else is none of a registry. */
static void
an_epoch_is_part_of_what_is_signed (void **state)
{
    (void) state;
    registry_sign (s_offered, s_founding, 0);
    registry_sign (s_offered, s_founding, 1);
    s_offered->epoch++;
    assert_int_equal (s_judge (), ADR_MAP_UNSIGNED);
}

static void
a_node_s_own_key_signs_nothing (void **state)
{
    (void) state;
    registry_sign (s_offered, s_founding, 0);
    registry_sign_as (s_offered, s_founding, 1, s_founding->node[1][ADR_NODE_PKI - 1].keys.sign_seed);
    assert_int_equal (s_judge (), ADR_MAP_UNSIGNED);
}

static void
who_was_evicted_signs_nothing (void **state)
{
    (void) state;
    registry_sign (s_offered, s_founding, 0);
    registry_sign (s_offered, s_founding, 1);
    registry_node (s_founding->map, 1, ADR_NODE_PKI)->evicted = true;
    registry_node (s_offered, 1, ADR_NODE_PKI)->evicted = true;
    adr_map_unseal (s_offered);
    registry_sign (s_offered, s_founding, 0);
    registry_sign (s_offered, s_founding, 1);
    assert_int_equal (s_judge (), ADR_MAP_UNSIGNED);
    registry_sign (s_offered, s_founding, 2);
    assert_int_equal (s_judge (), ADR_MAP_BELIEVED);
}

/* A cluster with one PKI node has nobody else to ask. */
static void
one_of_one_is_enough (void **state)
{
    (void) state;
    for (uint32_t zone = 1; zone < 3; zone++) {
        registry_node (s_founding->map, zone, ADR_NODE_PKI)->evicted = true;
        registry_node (s_offered, zone, ADR_NODE_PKI)->evicted = true;
    }
    registry_sign (s_offered, s_founding, 0);
    assert_int_equal (s_judge (), ADR_MAP_BELIEVED);
}

static void
only_newer_ones_are_taken (void **state)
{
    (void) state;
    s_offered->epoch = s_founding->map->epoch;
    registry_sign (s_offered, s_founding, 0);
    registry_sign (s_offered, s_founding, 1);
    assert_int_equal (s_judge (), ADR_MAP_NOT_NEWER);
}

static void
another_cluster_s_is_none (void **state)
{
    (void) state;
    adr_founding_t *other = registry_found ();
    adr_map_t *map = registry_next (other->map);
    registry_sign (map, other, 0);
    registry_sign (map, other, 1);
    assert_int_equal (adr_map_judge (s_founding->map, map, FIXTURE_NOW_MS), ADR_MAP_OTHER_CLUSTER);
    /* Nor one that says that it is ours, under its own root. */
    adr_map_destroy (&map);
    map = registry_next (other->map);
    map->cluster = s_founding->map->cluster;
    registry_sign (map, other, 0);
    registry_sign (map, other, 1);
    assert_int_equal (adr_map_judge (s_founding->map, map, FIXTURE_NOW_MS), ADR_MAP_OTHER_CLUSTER);
    /* Nor under ours, with authorities that its own has made. */
    memcpy (map->root_certificate, s_founding->map->root_certificate, sizeof map->root_certificate);
    map->root_certificate_size = s_founding->map->root_certificate_size;
    adr_map_unseal (map);
    registry_sign (map, other, 0);
    registry_sign (map, other, 1);
    assert_int_equal (adr_map_judge (s_founding->map, map, FIXTURE_NOW_MS), ADR_MAP_UNSIGNED);
    adr_map_destroy (&map);
    adr_founding_destroy (&other);
}

/* [TRUST-3] Neither under its id nor with one of its keys. */
static void
nobody_comes_back (void **state)
{
    (void) state;
    registry_node (s_founding->map, 2, ADR_NODE_META)->evicted = true;
    registry_node (s_offered, 2, ADR_NODE_META)->evicted = false;
    registry_sign (s_offered, s_founding, 0);
    registry_sign (s_offered, s_founding, 1);
    assert_int_equal (s_judge (), ADR_MAP_REVIVED);
    registry_node (s_offered, 2, ADR_NODE_META)->evicted = true;
    s_offered->node = adr_realloc (s_offered->node, (s_offered->node_count + 1) * sizeof *s_offered->node);
    adr_map_node_t *newcomer = &s_offered->node[s_offered->node_count++];
    *newcomer = *registry_node (s_offered, 0, ADR_NODE_META);
    memset (newcomer->id.bytes, 0x77, ADR_ID_SIZE);
    memcpy (newcomer->curve_key, registry_node (s_founding->map, 2, ADR_NODE_META)->curve_key, ADR_KEY_SIZE);
    adr_map_unseal (s_offered);
    registry_sign (s_offered, s_founding, 0);
    registry_sign (s_offered, s_founding, 1);
    assert_int_equal (s_judge (), ADR_MAP_REVIVED);
}

/* Who is left out once could come back later as if it were new. */
static void
nobody_is_forgotten (void **state)
{
    (void) state;
    registry_node (s_founding->map, 2, ADR_NODE_META)->evicted = true;
    s_offered->node_count--; /* another one, at the end */
    registry_sign (s_offered, s_founding, 0);
    registry_sign (s_offered, s_founding, 1);
    assert_int_equal (s_judge (), ADR_MAP_FORGETFUL);
    s_offered->node_count++;
    registry_node (s_offered, 2, ADR_NODE_META)->curve_key[0] ^= 1; /* evicted, and with a key that was never its own */
    adr_map_unseal (s_offered);
    registry_sign (s_offered, s_founding, 0);
    registry_sign (s_offered, s_founding, 1);
    assert_int_equal (s_judge (), ADR_MAP_FORGETFUL);
}

/* [TRUST-2] Of a node the map says what its certificate says; an expired one alone is no reason. */
static void
nodes_have_certificates (void **state)
{
    (void) state;
    registry_node (s_offered, 0, ADR_NODE_DATA)->certificate[60] ^= 1;
    registry_sign (s_offered, s_founding, 0);
    registry_sign (s_offered, s_founding, 1);
    assert_int_equal (s_judge (), ADR_MAP_BAD_NODE);
    registry_node (s_offered, 0, ADR_NODE_DATA)->certificate[60] ^= 1;
    adr_map_unseal (s_offered);
    registry_sign (s_offered, s_founding, 0);
    registry_sign (s_offered, s_founding, 1);
    assert_int_equal (s_judge (), ADR_MAP_BELIEVED);
    assert_int_equal (adr_map_judge (s_founding->map, s_offered, INT64_C (9000000000000)), ADR_MAP_BELIEVED);
}

/* What PKI nodes sign by themselves: marks that rise, and nothing else. */
static void
only_steps_are_signed (void **state)
{
    (void) state;
    adr_map_t *held = s_founding->map;
    assert_true (adr_map_is_step (held, s_offered));
    registry_node (s_offered, 2, ADR_NODE_META)->certificate_size = 0;
    registry_node (s_offered, 0, ADR_NODE_DATA)->leaving = true;
    assert_true (adr_map_is_step (held, s_offered));
    s_offered->epoch = held->epoch + ADR_MAP_EPOCHS_MAX + 1;
    assert_false (adr_map_is_step (held, s_offered));
    s_offered->epoch = held->epoch;
    assert_false (adr_map_is_step (held, s_offered));
    s_offered->epoch = held->epoch + 7;
    registry_node (held, 1, ADR_NODE_META)->leaving = true;
    assert_true (adr_map_is_step (held, s_offered)); /* it stays after all */
    registry_node (held, 1, ADR_NODE_META)->evicted = true;
    assert_false (adr_map_is_step (held, s_offered)); /* nobody comes back */
    registry_node (s_offered, 1, ADR_NODE_META)->evicted = true;
    assert_false (adr_map_is_step (held, s_offered));
    registry_node (held, 1, ADR_NODE_META)->leaving = registry_node (held, 1, ADR_NODE_META)->evicted = false;
    registry_node (s_offered, 1, ADR_NODE_META)->evicted = false;
    s_offered->quorum++;
    assert_false (adr_map_is_step (held, s_offered));
    s_offered->quorum--;
    strcpy (registry_node (s_offered, 1, ADR_NODE_EDGE)->http, "192.0.2.1:80");
    assert_false (adr_map_is_step (held, s_offered));
    memcpy (registry_node (s_offered, 1, ADR_NODE_EDGE)->http, registry_node (held, 1, ADR_NODE_EDGE)->http, ADR_ENDPOINT_MAX);
    s_offered->range[0].epoch++;
    assert_false (adr_map_is_step (held, s_offered));
    s_offered->range[0].epoch--;
    registry_node (s_offered, 1, ADR_NODE_META)->certificate_size = 0;
    assert_false (adr_map_is_step (held, s_offered));
}

/* The next registry, with another zone. */
static adr_map_t *
s_next_with_zone (void)
{
    adr_map_t *next = registry_next (s_founding->map);
    next->zone[next->zone_count++] = (adr_map_zone_t){ .id = { { 9 } }, .name = "z9" };
    return next;
}

static bool
s_may_come (void (*change) (adr_map_node_t *node, const adr_map_t *held))
{
    adr_map_t *next = s_next_with_zone ();
    adr_cert_t request = registry_request (next, 3, ADR_NODE_META, "meta1@z9", 0x77);
    registry_adopt (next, &request, s_founding, 1);
    if (change)
        change (&next->node[next->node_count - 1], s_founding->map);
    bool may = adr_map_is_step (s_founding->map, next);
    adr_map_destroy (&next);
    return may;
}

static void
s_take_key (adr_map_node_t *node, const adr_map_t *held)
{
    memcpy (node->curve_key, held->node[0].curve_key, ADR_KEY_SIZE);
}

static void
s_take_name (adr_map_node_t *node, const adr_map_t *held)
{
    memcpy (node->name, held->node[0].name, sizeof node->name);
}

static void
s_take_id (adr_map_node_t *node, const adr_map_t *held)
{
    node->id = held->node[0].id;
}

static void
s_other_zone (adr_map_node_t *node, const adr_map_t *held)
{
    node->zone = held->zone[0].id; /* not what its certificate says */
}

static void
s_bad_signature (adr_map_node_t *node, const adr_map_t *held)
{
    (void) held;
    node->certificate[node->certificate_size - 1] ^= 1;
}

static void
s_name_to_look_up (adr_map_node_t *node, const adr_map_t *held)
{
    (void) held;
    strcpy (node->bulk, "tcp://example.org:7400");
}

static void
s_name_with_quotes (adr_map_node_t *node, const adr_map_t *held)
{
    (void) held;
    strcpy (node->name, "meta\"1");
}

static void
s_evict (adr_map_node_t *node, const adr_map_t *held)
{
    (void) held;
    node->evicted = node->leaving = true;
}

static void
s_evict_whole (adr_map_node_t *node, const adr_map_t *held)
{
    s_evict (node, held);
    node->certificate_size = 0;
}

/* [TRUST-4] Behind the others, with keys and a name of its own, and a certificate of one of the authorities. */
static void
a_node_that_comes_is_a_step (void **state)
{
    (void) state;
    assert_true (s_may_come (NULL));
    assert_true (s_may_come (s_evict_whole)); /* it came, and went */
    assert_false (s_may_come (s_evict));
    assert_false (s_may_come (s_take_key));
    assert_false (s_may_come (s_take_name));
    assert_false (s_may_come (s_take_id));
    assert_false (s_may_come (s_other_zone));
    assert_false (s_may_come (s_bad_signature));
    assert_false (s_may_come (s_name_to_look_up));
    assert_false (s_may_come (s_name_with_quotes));
    adr_map_t *next = registry_next (s_founding->map); /* a zone in which the group has a node that is to stay */
    adr_cert_t request = registry_request (next, 1, ADR_NODE_META, "meta2@z2", 0x77);
    registry_adopt (next, &request, s_founding, 1);
    assert_false (adr_map_is_step (s_founding->map, next));
    registry_node (next, 1, ADR_NODE_META)->leaving = true;
    assert_true (adr_map_is_step (s_founding->map, next));
    request = registry_request (next, 1, ADR_NODE_EDGE, "edge2@z2", 0x79); /* two in one step */
    registry_adopt (next, &request, s_founding, 1);
    assert_false (adr_map_is_step (s_founding->map, next));
    next->epoch++;
    assert_true (adr_map_is_step (s_founding->map, next));
    adr_map_destroy (&next);
    next = s_next_with_zone (); /* an authority that nobody knows */
    request = registry_request (next, 3, ADR_NODE_META, "meta1@z9", 0x77);
    adr_founding_t *other = registry_found ();
    registry_adopt (next, &request, other, 1);
    adr_founding_destroy (&other);
    assert_false (adr_map_is_step (s_founding->map, next));
    next->node_count--;
    assert_true (adr_map_is_step (s_founding->map, next));
    next->node_count--; /* nobody goes */
    assert_false (adr_map_is_step (s_founding->map, next));
    next->node_count++;
    strcpy (next->zone[next->zone_count - 1].name, "z2");
    assert_false (adr_map_is_step (s_founding->map, next));
    adr_map_destroy (&next);
}

/* What the root, or somebody else, has signed for that node. */
static void
s_add_authority (adr_map_t *map, const adr_cert_t *request, const adr_keys_t *root)
{
    adr_cert_t certificate = *request, issuer;
    adr_keys_t keys;
    assert_true (adr_cert_decode (&issuer, adr_bytes (map->root_certificate, map->root_certificate_size)));
    memset (keys.sign_seed, 0x44, sizeof keys.sign_seed);
    certificate.kind = ADR_CERT_AUTHORITY;
    certificate.group = (adr_id_t){ { 0 } };
    memset (certificate.curve_key, 0, sizeof certificate.curve_key);
    adr_keys_public (&keys, NULL, certificate.sign_key);
    certificate.serial = 77;
    certificate.issuer_serial = issuer.serial;
    certificate.not_after_ms = INT64_C (4000000000000);
    adr_cert_sign (&certificate, root->sign_seed);
    map->authority_size[map->authority_count] = adr_cert_encode (&certificate, map->authority[map->authority_count]);
    map->authority_count++;
}

static void
addresses_are_numbers (void **state)
{
    (void) state;
    static const char *const good[] = { "tcp://10.0.0.1:7400", "tcp://255.255.255.255:65535", "tcp://0.0.0.1:1" };
    static const char *const bad[] = { "", "tcp://", "10.0.0.1:7400", "tcp://example.org:1", "tcp://10.0.0.1", "tcp://10.0.0.1:", "tcp://10.0.0.1:0",
                                       "tcp://10.0.0.1:65536", "tcp://10.0.0.256:1", "tcp://010.0.0.1:1", "tcp://0.0.0.0:1", "tcp://10.0.0.1:7400 ",
                                       "tcp://a;10.0.0.1:1", "tcp://10.0.0.1:1;2", "tcp://10.0.0:1", "ipc://10.0.0.1:1", "tcp://*:1",
                                       "tcp://10.0.0.1:99999999999999999999" };
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++)
        assert_true (adr_endpoint_is_numeric (good[i], true));
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        if (adr_endpoint_is_numeric (bad[i], true))
            fail_msg ("`%s` was taken", bad[i]);
    assert_true (adr_endpoint_is_numeric ("10.0.0.1:80", false));
    assert_false (adr_endpoint_is_numeric ("tcp://10.0.0.1:80", false));
}

/* [TRUST-5] A PKI node brings its authority along, which the root has signed; nothing else brings one. */
static void
an_authority_comes_with_its_node (void **state)
{
    (void) state;
    adr_map_t *next = s_next_with_zone ();
    adr_cert_t request = registry_request (next, 3, ADR_NODE_PKI, "pki1@z9", 0x77);
    adr_cert_t other = registry_request (next, 3, ADR_NODE_PKI, "pki2@z9", 0x79);
    registry_adopt (next, &request, s_founding, 1);
    assert_false (adr_map_is_step (s_founding->map, next)); /* it could sign nothing */
    s_add_authority (next, &request, &s_founding->root.keys);
    assert_true (adr_map_is_step (s_founding->map, next));
    next->authority_count--;
    s_add_authority (next, &request, &s_founding->authority[0].keys);
    assert_false (adr_map_is_step (s_founding->map, next));
    next->authority_count--;
    s_add_authority (next, &other, &s_founding->root.keys); /* of a node that does not come */
    assert_false (adr_map_is_step (s_founding->map, next));
    next->authority_count--;
    other.node = adr_founding_node (s_founding, 0, ADR_NODE_PKI)->id; /* a second one of a node that is there */
    s_add_authority (next, &other, &s_founding->root.keys);
    assert_false (adr_map_is_step (s_founding->map, next));
    next->authority_count = s_founding->map->authority_count - 1;
    assert_false (adr_map_is_step (s_founding->map, next));
    adr_map_destroy (&next);
}

/* A whole registry with it is believed by any node. */
static void
a_node_that_came_is_believed (void **state)
{
    (void) state;
    adr_cert_t request = registry_request (s_offered, 1, ADR_NODE_META, "meta2@z2", 0x77);
    registry_adopt (s_offered, &request, s_founding, 1);
    registry_sign (s_offered, s_founding, 0);
    registry_sign (s_offered, s_founding, 1);
    assert_int_equal (s_judge (), ADR_MAP_BELIEVED);
}

/* [TRUST-3] Who has joined and does not vote yet may never be started: it is not waited for; but what it signs counts. */
static void
who_is_pending_is_not_waited_for (void **state)
{
    (void) state;
    adr_map_t *held = s_founding->map;
    assert_int_equal (adr_map_signatures_needed (held, s_offered), 2);
    registry_node (held, 1, ADR_NODE_PKI)->pending = registry_node (held, 2, ADR_NODE_PKI)->pending = true;
    assert_int_equal (adr_map_signatures_needed (held, s_offered), 1);
    registry_sign (s_offered, s_founding, 1);
    assert_int_equal (s_judge (), ADR_MAP_BELIEVED);
    assert_true (adr_map_is_step (held, s_offered)); /* it is pending no more */
    registry_node (held, 1, ADR_NODE_PKI)->pending = false;
    registry_node (s_offered, 1, ADR_NODE_PKI)->pending = true;
    assert_false (adr_map_is_step (held, s_offered));
    registry_node (held, 2, ADR_NODE_PKI)->pending = false;
}

/* Of two of whom one leaves the other is enough: two had to sign that. */
static void
one_that_stays_is_enough (void **state)
{
    (void) state;
    registry_node (s_founding->map, 1, ADR_NODE_PKI)->leaving = registry_node (s_founding->map, 2, ADR_NODE_PKI)->evicted = true;
    registry_node (s_offered, 1, ADR_NODE_PKI)->evicted = registry_node (s_offered, 2, ADR_NODE_PKI)->evicted = true;
    registry_sign (s_offered, s_founding, 0);
    assert_int_equal (s_judge (), ADR_MAP_BELIEVED);
}

/* What was sealed survives encoding, also with a field that this version does not know. */
static void
what_is_sealed_stays_as_it_is (void **state)
{
    (void) state;
    adr_map_seal (s_offered);
    adr_buffer_t bytes = { 0 };
    adr_buffer_append (&bytes, s_offered->sealed, s_offered->sealed_size);
    adr_buffer_append (&bytes, "\xa0\x01\x07", 3); /* field 20: 7 */
    adr_map_t *newer = adr_registry_read (adr_bytes (bytes.data, bytes.size)), *again;
    assert_non_null (newer);
    assert_int_equal (newer->sealed_size, bytes.size);
    registry_sign (newer, s_founding, 0);
    registry_sign (newer, s_founding, 1);
    adr_buffer_clear (&bytes);
    adr_map_encode (newer, &bytes);
    assert_true (adr_map_decode (&again, adr_bytes (bytes.data, bytes.size)));
    assert_int_equal (adr_map_judge (s_founding->map, again, FIXTURE_NOW_MS), ADR_MAP_BELIEVED);
    assert_true (registry_node (again, 2, ADR_NODE_META)->evicted);
    adr_map_destroy (&again);
    adr_map_destroy (&newer);
    adr_buffer_clear (&bytes);
    adr_buffer_append (&bytes, "\x18\x05", 2); /* the epoch, behind which what stands before it follows */
    adr_buffer_append (&bytes, s_offered->sealed, s_offered->sealed_size);
    assert_null (adr_registry_read (adr_bytes (bytes.data, bytes.size)));
    adr_buffer_free (&bytes);
}

int
main (void)
{
#define S_TEST(name) cmocka_unit_test_setup_teardown (name, s_setup, s_teardown)
    const struct CMUnitTest tests[] = {
        S_TEST (two_pki_nodes_are_believed),
        S_TEST (one_pki_node_is_not_two),
        S_TEST (a_changed_byte_is_unsigned),
        S_TEST (an_epoch_is_part_of_what_is_signed),
        S_TEST (a_node_s_own_key_signs_nothing),
        S_TEST (who_was_evicted_signs_nothing),
        S_TEST (one_of_one_is_enough),
        S_TEST (only_newer_ones_are_taken),
        S_TEST (another_cluster_s_is_none),
        S_TEST (nobody_comes_back),
        S_TEST (nobody_is_forgotten),
        S_TEST (nodes_have_certificates),
        S_TEST (only_steps_are_signed),
        S_TEST (a_node_that_comes_is_a_step),
        S_TEST (a_node_that_came_is_believed),
        S_TEST (who_is_pending_is_not_waited_for),
        S_TEST (addresses_are_numbers),
        S_TEST (an_authority_comes_with_its_node),
        S_TEST (one_that_stays_is_enough),
        S_TEST (what_is_sealed_stays_as_it_is),
    };
    return cmocka_run_group_tests (tests, NULL, NULL);
}
