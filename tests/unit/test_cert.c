/* SPDX-License-Identifier: MPL-2.0 */
/* Certificates: their bytes are canonical and total, their chain believes nothing that the root did not sign. */

#include "core/cert.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#define S_START INT64_C (1700000000000)
#define S_END INT64_C (1800000000000)

/* A root, two authorities and a data node under the second, all with keys that follow from a number. */
typedef struct {
    adr_cert_t root, authority[2], node;
    uint8_t root_bytes[ADR_CERTIFICATE_MAX], authority_bytes[2][ADR_CERTIFICATE_MAX], node_bytes[ADR_CERTIFICATE_MAX];
    size_t node_size;
    adr_cert_chain_t chain;
} s_world_t;

static adr_id_t
s_id (uint8_t number)
{
    adr_id_t id;
    memset (id.bytes, number, sizeof id.bytes);
    return id;
}

static adr_keys_t
s_keys (uint8_t number)
{
    adr_keys_t keys;
    memset (keys.curve_secret, number, sizeof keys.curve_secret);
    memset (keys.sign_seed, number + 100, sizeof keys.sign_seed);
    return keys;
}

static adr_cert_t
s_cert (adr_cert_kind_t kind, adr_node_type_t type, uint8_t number, uint64_t serial, uint64_t issuer)
{
    adr_cert_t cert = { .kind = kind, .type = type, .cluster = s_id (1), .serial = serial, .issuer_serial = issuer,
                        .not_before_ms = S_START, .not_after_ms = S_END };
    bool connects = kind != ADR_CERT_ROOT && kind != ADR_CERT_AUTHORITY;
    adr_keys_t keys = s_keys (number);
    adr_keys_public (&keys, connects ? cert.curve_key : NULL, cert.sign_key);
    strcpy (cert.name, adr_cert_kind_name (kind));
    if (kind != ADR_CERT_ROOT)
        cert.node = s_id (number);
    if (kind == ADR_CERT_NODE || kind == ADR_CERT_AUTHORITY || kind == ADR_CERT_REQUEST)
        cert.zone = s_id (2);
    return cert;
}

static adr_cert_t
s_node_cert (void)
{
    adr_cert_t cert = s_cert (ADR_CERT_NODE, ADR_NODE_DATA, 20, 200, 11);
    cert.group = s_id (30);
    cert.peer[0] = s_id (21);
    cert.peer[1] = s_id (22);
    cert.peer_count = 2;
    strcpy (cert.name, "data1@z2");
    return cert;
}

static adr_bytes_t
s_seal (adr_cert_t *cert, uint8_t issuer, uint8_t at[ADR_CERTIFICATE_MAX])
{
    adr_keys_t keys = s_keys (issuer);
    adr_cert_sign (cert, keys.sign_seed);
    return adr_bytes (at, adr_cert_encode (cert, at));
}

static void
s_world_make (s_world_t *self)
{
    *self = (s_world_t){ 0 };
    self->root = s_cert (ADR_CERT_ROOT, 0, 3, 1, 1);
    self->chain.root = s_seal (&self->root, 3, self->root_bytes);
    for (uint8_t i = 0; i < 2; i++) {
        self->authority[i] = s_cert (ADR_CERT_AUTHORITY, ADR_NODE_PKI, 10 + i, 10u + i, 1);
        self->chain.authority[i] = s_seal (&self->authority[i], 3, self->authority_bytes[i]);
    }
    self->chain.authority_count = 2;
    self->node = s_node_cert ();
    self->node_size = s_seal (&self->node, 11, self->node_bytes).size;
}

static adr_cert_fault_t
s_verify_at (const s_world_t *world, int64_t now_ms, bool strict)
{
    adr_cert_t cert;
    return adr_cert_verify (&cert, adr_bytes (world->node_bytes, world->node_size), &world->chain, now_ms, strict);
}

static void
s_sound_chain (void **state)
{
    (void) state;
    s_world_t world;
    s_world_make (&world);
    assert_int_equal (s_verify_at (&world, S_START, true), ADR_CERT_SOUND);
    adr_cert_t cert;
    assert_int_equal (adr_cert_verify (&cert, world.chain.root, &world.chain, S_END, true), ADR_CERT_SOUND);
    assert_int_equal (adr_cert_verify (&cert, world.chain.authority[0], &world.chain, S_END, true), ADR_CERT_SOUND);
}

static void
s_encoding_is_canonical (void **state)
{
    (void) state;
    s_world_t world;
    s_world_make (&world);
    adr_cert_t cert;
    assert_true (adr_cert_decode (&cert, adr_bytes (world.node_bytes, world.node_size)));
    assert_string_equal (cert.name, "data1@z2");
    assert_int_equal (cert.peer_count, 2);
    assert_true (adr_id_equal (&cert.peer[1], &world.node.peer[1]));
    uint8_t again[ADR_CERTIFICATE_MAX];
    assert_int_equal (adr_cert_encode (&cert, again), world.node_size);
    assert_memory_equal (again, world.node_bytes, world.node_size);
}

/* [TRUST-2] Expiry refuses where it is asked for, and only there. */
static void
s_validity (void **state)
{
    (void) state;
    s_world_t world;
    s_world_make (&world);
    assert_int_equal (s_verify_at (&world, S_START - 1, true), ADR_CERT_NOT_YET);
    assert_int_equal (s_verify_at (&world, S_END, true), ADR_CERT_SOUND);
    assert_int_equal (s_verify_at (&world, S_END + 1, true), ADR_CERT_EXPIRED);
    assert_int_equal (s_verify_at (&world, S_END + 1, false), ADR_CERT_SOUND);
    assert_int_equal (s_verify_at (&world, S_START - 1, false), ADR_CERT_SOUND);
}

static void
s_wrong_issuers (void **state)
{
    (void) state;
    s_world_t world;
    s_world_make (&world);
    world.chain.authority_count = 1;
    assert_int_equal (s_verify_at (&world, S_START, true), ADR_CERT_NO_ISSUER);
    world.chain.authority_count = 2;
    world.node_size = s_seal (&world.node, 10, world.node_bytes).size;
    assert_int_equal (s_verify_at (&world, S_START, true), ADR_CERT_BAD_SIGNATURE);

    s_world_make (&world); /* an authority that another root signed */
    world.chain.authority[1] = s_seal (&world.authority[1], 4, world.authority_bytes[1]);
    assert_int_equal (s_verify_at (&world, S_START, true), ADR_CERT_BAD_SIGNATURE);

    s_world_make (&world); /* a node that signs as if it were an authority */
    adr_cert_t rogue = s_cert (ADR_CERT_NODE, ADR_NODE_EDGE, 40, 400, 200);
    uint8_t bytes[ADR_CERTIFICATE_MAX];
    adr_bytes_t view = s_seal (&rogue, 20, bytes);
    world.chain.authority[1] = adr_bytes (world.node_bytes, world.node_size);
    adr_cert_t cert;
    assert_int_equal (adr_cert_verify (&cert, view, &world.chain, S_START, true), ADR_CERT_WRONG_KIND);
}

static void
s_wrong_cluster_and_kind (void **state)
{
    (void) state;
    s_world_t world;
    s_world_make (&world);
    world.node.cluster = s_id (9);
    world.node_size = s_seal (&world.node, 11, world.node_bytes).size;
    assert_int_equal (s_verify_at (&world, S_START, true), ADR_CERT_WRONG_CLUSTER);

    adr_cert_t request = s_cert (ADR_CERT_REQUEST, ADR_NODE_EDGE, 20, 0, 0), cert;
    request.not_before_ms = request.not_after_ms = 0;
    uint8_t bytes[ADR_CERTIFICATE_MAX];
    adr_bytes_t view = s_seal (&request, 20, bytes);
    assert_true (adr_cert_decode (&cert, view) && adr_cert_signed_by (&cert, cert.sign_key));
    assert_int_equal (adr_cert_verify (&cert, view, &world.chain, S_START, true), ADR_CERT_WRONG_KIND);

    adr_cert_t other_root = s_cert (ADR_CERT_ROOT, 0, 4, 1, 1);
    view = s_seal (&other_root, 4, bytes);
    assert_int_equal (adr_cert_verify (&cert, view, &world.chain, S_START, true), ADR_CERT_NO_ISSUER);
}

/* Any bytes are answered; what is cut or longer never decodes, and a flipped bit is never believed. */
static void
s_truncations_and_flips (void **state)
{
    (void) state;
    s_world_t world;
    s_world_make (&world);
    adr_cert_t cert;
    for (size_t size = 0; size < world.node_size; size++) {
        uint8_t *exact = malloc (size + 1); /* so that a sanitizer sees a read behind the end */
        memcpy (exact, world.node_bytes, size);
        assert_false (adr_cert_decode (&cert, adr_bytes (exact, size)));
        free (exact);
    }
    world.node_bytes[world.node_size] = 0;
    assert_false (adr_cert_decode (&cert, adr_bytes (world.node_bytes, world.node_size + 1)));
    for (size_t bit = 0; bit < world.node_size * 8; bit++) {
        world.node_bytes[bit / 8] ^= (uint8_t) (1u << bit % 8);
        assert_int_not_equal (s_verify_at (&world, S_START, false), ADR_CERT_SOUND);
        world.node_bytes[bit / 8] ^= (uint8_t) (1u << bit % 8);
    }
    assert_int_equal (s_verify_at (&world, S_START, false), ADR_CERT_SOUND);
}

/* Values that have a second form, or do not belong together, do not decode. */
static void
s_nonsense_is_refused (void **state)
{
    (void) state;
    s_world_t world;
    s_world_make (&world);
    adr_cert_t cert;
    static const struct {
        size_t at;
        uint8_t value;
    } changes[] = { { 0, 'X' }, { 4, 2 }, { 5, ADR_CERT_KIND_COUNT }, { 6, 0 }, { 6, ADR_NODE_CLIENT }, { 7, 1 } };
    for (size_t i = 0; i < sizeof changes / sizeof *changes; i++) {
        uint8_t kept = world.node_bytes[changes[i].at];
        world.node_bytes[changes[i].at] = changes[i].value;
        assert_false (adr_cert_decode (&cert, adr_bytes (world.node_bytes, world.node_size)));
        world.node_bytes[changes[i].at] = kept;
    }
    uint8_t *peer = memmem (world.node_bytes, world.node_size, world.node.peer[0].bytes, ADR_ID_SIZE);
    assert_non_null (peer);
    memset (peer, 0xff, ADR_ID_SIZE); /* no longer in ascending order */
    assert_false (adr_cert_decode (&cert, adr_bytes (world.node_bytes, world.node_size)));
    static const uint8_t zeros[ADR_CERTIFICATE_MAX + 1];
    assert_false (adr_cert_decode (&cert, adr_bytes (zeros, sizeof zeros)));
}

static void
s_key_file (void **state)
{
    (void) state;
    adr_keys_t keys = s_keys (7), read = { 0 };
    char text[ADR_KEYS_TEXT_MAX];
    size_t size = adr_keys_format (&keys, text);
    assert_true (adr_keys_parse (&read, text, size));
    assert_memory_equal (&keys, &read, sizeof keys);
    char commented[2 * ADR_KEYS_TEXT_MAX];
    int length = snprintf (commented, sizeof commented, "# keys\r\n\n %s# end", text);
    assert_true (adr_keys_parse (&read, commented, (size_t) length));
    length = snprintf (commented, sizeof commented, "%s%s", text, text);
    assert_false (adr_keys_parse (&read, commented, (size_t) length));
    for (size_t cut = 0; cut < size - 1; cut++)
        assert_false (adr_keys_parse (&read, text, cut));
    adr_cert_t cert = s_cert (ADR_CERT_NODE, ADR_NODE_EDGE, 7, 5, 4);
    assert_true (adr_keys_fit (&keys, &cert));
    cert.sign_key[31] ^= 1;
    assert_false (adr_keys_fit (&keys, &cert));
    adr_keys_t authority = s_keys (8);
    memset (authority.curve_secret, 0, sizeof authority.curve_secret);
    char short_text[ADR_KEYS_TEXT_MAX];
    assert_true (adr_keys_parse (&read, short_text, adr_keys_format (&authority, short_text)));
    assert_memory_equal (&authority, &read, sizeof read);
    text[20] = 'g';
    assert_false (adr_keys_parse (&read, text, size));
}

int
main (void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test (s_sound_chain),        cmocka_unit_test (s_encoding_is_canonical),
        cmocka_unit_test (s_validity),           cmocka_unit_test (s_wrong_issuers),
        cmocka_unit_test (s_wrong_cluster_and_kind), cmocka_unit_test (s_truncations_and_flips),
        cmocka_unit_test (s_nonsense_is_refused), cmocka_unit_test (s_key_file),
    };
    return cmocka_run_group_tests (tests, NULL, NULL);
}
