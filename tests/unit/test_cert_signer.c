/* SPDX-License-Identifier: MPL-2.0 */
/* cert_signer: no certificate before its commit, and a key belongs to one nodeId for ever [TRUST-4]. */

#include "actor_harness.h"

#include "core/cert.h"
#include "core/entry.h"
#include "wire/map_codec.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static harness_t s_harness;
static adr_map_t *s_map;
static adr_authority_t s_authority;
static const adr_bytes_t s_nothing;

static adr_keys_t
s_keys (uint8_t number)
{
    adr_keys_t keys;
    memset (keys.curve_secret, number, sizeof keys.curve_secret);
    memset (keys.sign_seed, number + 100, sizeof keys.sign_seed);
    return keys;
}

static int
s_start (void **state)
{
    (void) state;
    s_map = harness_map (3);
    adr_keys_t keys = s_keys (1);
    memcpy (s_authority.sign_seed, keys.sign_seed, sizeof keys.sign_seed);
    s_authority.certificate
        = (adr_cert_t){ .kind = ADR_CERT_AUTHORITY, .type = ADR_NODE_PKI, .cluster = s_map->cluster,
                        .zone = harness_id (0xa1), .node = harness_address (1, ADR_NODE_PKI, 0).node,
                        .name = "authority", .serial = 10, .issuer_serial = 1, .not_after_ms = INT64_MAX };
    adr_keys_public (&keys, NULL, s_authority.certificate.sign_key);
    adr_environment_t environment
        = { .cluster = s_map->cluster, .node = harness_address (1, ADR_NODE_PKI, 0).node, .type = ADR_NODE_PKI,
            .group = harness_id (0xb0 + ADR_NODE_PKI), .seed = 7, .map = s_map, .authority = &s_authority };
    harness_start (&s_harness, &adr_cert_signer_class, &environment);
    return 0;
}

/* The map has changed. */
static void
s_tell_map (void)
{
    adr_arena_t arena;
    adr_arena_init (&arena, 4096, 1 << 20);
    Adr__MapChanged changed = ADR__MAP_CHANGED__INIT;
    adr_map_unseal (s_map);
    changed.map = adr_map_message (s_map, &arena);
    harness_message (&s_harness, harness_address (1, ADR_NODE_PKI, ADR_ACTOR_MAP_KEEPER), ADR_NODE_PKI, ADR__KIND__MAP_CHANGED,
                     &changed.base, s_nothing);
    adr_arena_free (&arena);
}

static int
s_stop (void **state)
{
    (void) state;
    harness_stop (&s_harness);
    adr_map_destroy (&s_map);
    return 0;
}

static adr_cert_t
s_request (uint8_t number)
{
    adr_cert_t cert = { .kind = ADR_CERT_REQUEST, .type = ADR_NODE_DATA, .cluster = s_map->cluster,
                        .zone = harness_id (0xa2), .node = harness_id (number),
                        .group = harness_id (0xb0 + ADR_NODE_DATA), .name = "data2@z2" };
    adr_keys_t keys = s_keys (number);
    adr_keys_public (&keys, cert.curve_key, cert.sign_key);
    return cert;
}

static void
s_ask_bytes (adr_bytes_t bytes)
{
    Adr__SignRequest request = ADR__SIGN_REQUEST__INIT;
    request.number = 77;
    request.request = adr_bytes_view (bytes);
    adr_address_t from = { harness_id (0xee), ADR_ACTOR_CLIENT };
    harness_message (&s_harness, from, ADR_NODE_OPERATOR, ADR__KIND__SIGN_REQUEST, &request.base, s_nothing);
}

static void
s_ask (adr_cert_t request, uint8_t signer)
{
    uint8_t bytes[ADR_CERTIFICATE_MAX];
    adr_keys_t keys = s_keys (signer);
    adr_cert_sign (&request, keys.sign_seed);
    s_ask_bytes (adr_bytes (bytes, adr_cert_encode (&request, bytes)));
}

static void
s_reply (uint64_t number, adr_status_t status, adr_bytes_t payload)
{
    Adr__Answer answer = ADR__ANSWER__INIT;
    answer.number = number;
    answer.status = status;
    answer.time_ms = 5000;
    adr_address_t from = harness_address (1, ADR_NODE_PKI, ADR_ACTOR_REPLICATOR);
    harness_message (&s_harness, from, ADR_NODE_PKI, ADR__KIND__ANSWER, &answer.base, payload);
}

static const Adr__Write *
s_write (size_t n)
{
    const harness_sent_t *sent = harness_sent (&s_harness, ADR__KIND__WRITE, n);
    return sent ? (const Adr__Write *) sent->header : NULL;
}

static adr_status_t
s_outcome (adr_cert_t *certificate)
{
    const harness_sent_t *sent = harness_sent (&s_harness, ADR__KIND__SIGN_ANSWER, 0);
    assert_non_null (sent);
    assert_int_equal (harness_count (&s_harness, ADR__KIND__SIGN_ANSWER), 1);
    const Adr__SignAnswer *answer = (const Adr__SignAnswer *) sent->header;
    assert_int_equal (answer->number, 77);
    if (answer->status == ADR_STATUS_OK)
        assert_true (adr_cert_decode (certificate, adr_bytes (answer->certificate.data, answer->certificate.len)));
    else
        assert_int_equal (answer->certificate.len, 0);
    return (adr_status_t) answer->status;
}

static void
s_leaves_after_its_commit_only (void **state)
{
    (void) state;
    adr_cert_t certificate;
    s_ask (s_request (80), 80);
    assert_int_equal (harness_count (&s_harness, ADR__KIND__SIGN_ANSWER), 0);
    const Adr__Write *write = s_write (0);
    assert_int_equal (write->n_op, 4);
    for (size_t i = 0; i < write->n_op; i++) {
        assert_int_equal (write->op[i]->table, ADR_TABLE_CERTIFICATE);
        assert_int_equal (write->op[i]->condition, ADR__CONDITION__ABSENT);
    }
    s_reply (write->number, ADR_STATUS_OK, s_nothing);
    assert_int_equal (s_outcome (&certificate), ADR_STATUS_OK);
    assert_true (adr_cert_signed_by (&certificate, s_authority.certificate.sign_key));
    assert_int_equal (certificate.kind, ADR_CERT_NODE);
    assert_int_equal (certificate.peer_count, 3);
    adr_id_t node = harness_id (80);
    assert_true (adr_id_equal (&certificate.node, &node));
}

/* A refused try is repeated under the same request id, stamped anew; a repeated answer does nothing. */
static void
s_tries_again (void **state)
{
    (void) state;
    adr_cert_t certificate;
    s_ask (s_request (80), 80);
    uint64_t number = s_write (0)->number;
    s_reply (number, ADR_STATUS_NOT_MASTER, s_nothing);
    s_reply (number, ADR_STATUS_OK, s_nothing); /* nobody asked */
    assert_int_equal (harness_count (&s_harness, ADR__KIND__SIGN_ANSWER), 0);
    harness_advance (&s_harness, 300 * ADR_MS);
    assert_non_null (s_write (1));
    assert_memory_equal (s_write (1)->request.data, s_write (0)->request.data, ADR_REQUEST_ID_SIZE);
    assert_int_equal (s_write (1)->seen_ms, 5000);
    s_reply (number, ADR_STATUS_OK, s_nothing);
    assert_int_equal (s_outcome (&certificate), ADR_STATUS_OK);
}

static void
s_ends_in_time (void **state)
{
    (void) state;
    s_ask (s_request (80), 80);
    harness_advance (&s_harness, 10001 * ADR_MS);
    assert_int_equal (s_outcome (NULL), ADR_STATUS_UNKNOWN);
}

static void
s_same_keys_get_the_same_again (void **state)
{
    (void) state;
    adr_cert_t certificate, first = s_request (80);
    first.kind = ADR_CERT_NODE;
    first.serial = 4711;
    first.issuer_serial = 10;
    first.not_after_ms = 1;
    adr_cert_sign (&first, s_authority.sign_seed);
    uint8_t bytes[ADR_CERTIFICATE_MAX];
    size_t size = adr_cert_encode (&first, bytes);
    s_ask (s_request (80), 80);
    uint64_t number = s_write (0)->number;
    s_reply (number, ADR_STATUS_CONFLICT, s_nothing);
    s_reply (number, ADR_STATUS_OK, s_nothing); /* of the write, late: no answer to the read */
    const Adr__Read *read = (const Adr__Read *) harness_sent (&s_harness, ADR__KIND__READ, 0)->header;
    assert_int_equal (read->mode, ADR__READ_MODE__STRONG);
    s_reply (read->number, ADR_STATUS_OK, adr_bytes (bytes, size));
    assert_int_equal (s_outcome (&certificate), ADR_STATUS_OK);
    assert_int_equal (certificate.serial, 4711);
}

/* [TRUST-4] */
static void
s_answers_to_a_former_life_commit_nothing (void **state)
{
    (void) state;
    s_ask (s_request (80), 80);
    uint64_t former = s_write (0)->number;
    adr_environment_t environment = s_harness.environment;
    harness_stop (&s_harness);
    environment.seed = 8;
    harness_start (&s_harness, &adr_cert_signer_class, &environment);
    s_ask (s_request (81), 81);
    s_reply (former, ADR_STATUS_OK, s_nothing);
    assert_int_equal (harness_count (&s_harness, ADR__KIND__SIGN_ANSWER), 0);
}

/* `full` says that this try was not done; of an earlier one it says nothing. */
static void
s_full_after_an_unsure_try_is_no_refusal (void **state)
{
    (void) state;
    s_ask (s_request (80), 80);
    uint64_t number = s_write (0)->number;
    s_reply (number, ADR_STATUS_UNKNOWN, s_nothing);
    harness_advance (&s_harness, 300 * ADR_MS);
    s_reply (number, ADR_STATUS_FULL, s_nothing);
    assert_int_equal (harness_count (&s_harness, ADR__KIND__SIGN_ANSWER), 0);
    harness_advance (&s_harness, 10001 * ADR_MS);
    assert_int_equal (s_outcome (NULL), ADR_STATUS_UNKNOWN);
}

/* What another PKI node's authority signed for these keys is the same certificate again [TRUST-5]. */
static void
s_another_authority_signed_first (void **state)
{
    (void) state;
    adr_keys_t keys = s_keys (2);
    adr_cert_t certificate, other = s_authority.certificate, first = s_request (80);
    other.serial = 11;
    adr_keys_public (&keys, NULL, other.sign_key);
    s_map->authority_size[0] = adr_cert_encode (&other, s_map->authority[0]);
    s_map->authority_count = 1;
    s_tell_map ();
    first.kind = ADR_CERT_NODE;
    first.serial = 4711;
    first.issuer_serial = 11;
    first.not_after_ms = 1;
    adr_cert_sign (&first, keys.sign_seed);
    uint8_t bytes[ADR_CERTIFICATE_MAX];
    size_t size = adr_cert_encode (&first, bytes);
    s_ask (s_request (80), 80);
    s_reply (s_write (0)->number, ADR_STATUS_CONFLICT, s_nothing);
    const Adr__Read *read = (const Adr__Read *) harness_sent (&s_harness, ADR__KIND__READ, 0)->header;
    s_reply (read->number, ADR_STATUS_OK, adr_bytes (bytes, size));
    assert_int_equal (s_outcome (&certificate), ADR_STATUS_OK);
    assert_int_equal (certificate.serial, 4711);
    const harness_sent_t *sent = harness_sent (&s_harness, ADR__KIND__SIGN_ANSWER, 0);
    const Adr__SignAnswer *answer = (const Adr__SignAnswer *) sent->header;
    assert_true (adr_cert_decode (&other, adr_bytes (answer->issuer.data, answer->issuer.len)));
    assert_int_equal (other.serial, 11);
}

static void
s_a_key_belongs_to_one_node (void **state)
{
    (void) state;
    s_ask (s_request (80), 80);
    s_reply (s_write (0)->number, ADR_STATUS_CONFLICT, s_nothing);
    const Adr__Read *read = (const Adr__Read *) harness_sent (&s_harness, ADR__KIND__READ, 0)->header;
    s_reply (read->number, ADR_STATUS_NOT_FOUND, s_nothing); /* its nodeId is new: a key is another's */
    assert_int_equal (s_outcome (NULL), ADR_STATUS_DENIED);
    harness_forget (&s_harness);
    adr_cert_t taken = s_request (81);
    memcpy (s_map->node[2].curve_key, taken.curve_key, ADR_KEY_SIZE);
    s_tell_map ();
    s_ask (taken, 81);
    assert_int_equal (s_outcome (NULL), ADR_STATUS_DENIED);
    assert_int_equal (harness_count (&s_harness, ADR__KIND__WRITE), 0);
}

static void
s_refuse_this (adr_cert_t request, uint8_t signer, adr_status_t status)
{
    harness_forget (&s_harness);
    s_ask (request, signer);
    assert_int_equal (s_outcome (NULL), status);
    assert_int_equal (harness_count (&s_harness, ADR__KIND__WRITE), 0);
}

static void
s_nonsense_is_refused (void **state)
{
    (void) state;
    s_ask_bytes (adr_bytes ("nonsense", 8));
    assert_int_equal (s_outcome (NULL), ADR_STATUS_INVALID);
    s_refuse_this (s_request (80), 81, ADR_STATUS_DENIED);
    adr_cert_t request = s_request (80);
    request.cluster = harness_id (0x77);
    s_refuse_this (request, 80, ADR_STATUS_DENIED);
    request = s_request (80);
    request.zone = harness_id (0x77);
    s_refuse_this (request, 80, ADR_STATUS_INVALID);
    request = s_request (80);
    request.group = harness_id (0xb0 + ADR_NODE_META);
    s_refuse_this (request, 80, ADR_STATUS_INVALID);
}

static void
s_bounded (void **state)
{
    (void) state;
    for (uint8_t i = 0; i < 64; i++)
        s_ask (s_request (100 + i), 100 + i);
    assert_int_equal (harness_count (&s_harness, ADR__KIND__SIGN_ANSWER), 0);
    s_ask (s_request (200), 200);
    assert_int_equal (s_outcome (NULL), ADR_STATUS_REFUSED);
}

int
main (void)
{
#define S_TEST(name) cmocka_unit_test_setup_teardown (name, s_start, s_stop)
    const struct CMUnitTest tests[] = {
        S_TEST (s_leaves_after_its_commit_only), S_TEST (s_tries_again),
        S_TEST (s_ends_in_time),                 S_TEST (s_same_keys_get_the_same_again),
        S_TEST (s_a_key_belongs_to_one_node),    S_TEST (s_nonsense_is_refused),
        S_TEST (s_bounded),                      S_TEST (s_answers_to_a_former_life_commit_nothing),
        S_TEST (s_another_authority_signed_first), S_TEST (s_full_after_an_unsure_try_is_no_refusal),
    };
    return cmocka_run_group_tests (tests, NULL, NULL);
}
