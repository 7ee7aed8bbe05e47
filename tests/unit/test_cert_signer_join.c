/* SPDX-License-Identifier: MPL-2.0 */
/* How tokens are noted, and how a node comes in by one [TRUST-4, TRUST-5]. The group is a map from keys to records here. */

#include "actor_harness.h"
#include "registry_fixture.h"

#include "core/entry.h"
#include "core/token.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#define S_RECORDS 64

typedef struct {
    uint8_t table;
    adr_buffer_t key, value;
    uint64_t version;
} s_record_t;

static harness_t s_signer;
static adr_founding_t *s_founding;
static adr_authority_t s_authority;
static adr_arena_t s_arena;
static adr_token_t s_token;
static s_record_t s_record[S_RECORDS];
static size_t s_records;
static uint64_t s_version;
static bool s_held;
static const adr_bytes_t s_nothing;
static const char *const s_endpoints[] = { "tcp://127.0.0.1:9000", "tcp://127.0.0.1:9001", "", "" };

/* --- the group ------------------------------------------------------------------------------------------------------- */

static s_record_t *
s_find (uint32_t table, ProtobufCBinaryData key)
{
    for (size_t i = 0; i < s_records; i++)
        if (s_record[i].table == table && s_record[i].key.size == key.len && memcmp (s_record[i].key.data, key.data, key.len) == 0)
            return &s_record[i];
    return NULL;
}

static bool
s_holds (const Adr__Op *op)
{
    const s_record_t *record = s_find (op->table, op->key);
    if (op->condition == ADR__CONDITION__ABSENT)
        return record == NULL;
    return op->condition == ADR__CONDITION__ALWAYS || (record && op->version && op->version->index == record->version);
}

static adr_status_t
s_apply (const Adr__Write *write, adr_bytes_t values)
{
    size_t at = 0;
    for (size_t i = 0; i < write->n_op; i++)
        if (!s_holds (write->op[i]))
            return ADR_STATUS_CONFLICT;
    s_version++;
    for (size_t i = 0; i < write->n_op; i++) {
        const Adr__Op *op = write->op[i];
        s_record_t *record = s_find (op->table, op->key);
        if (record == NULL) {
            assert_true (s_records < S_RECORDS);
            record = &s_record[s_records++];
            record->table = (uint8_t) op->table;
            adr_buffer_append (&record->key, op->key.data, op->key.len);
        }
        adr_buffer_clear (&record->value);
        adr_buffer_append (&record->value, values.data + at, op->value_size);
        record->version = s_version;
        at += op->value_size;
    }
    assert_int_equal (at, values.size);
    return ADR_STATUS_OK;
}

static void
s_reply (uint64_t number, adr_status_t status, uint64_t version, adr_bytes_t value)
{
    Adr__Answer answer = ADR__ANSWER__INIT;
    Adr__VersionOf of = ADR__VERSION_OF__INIT;
    answer.number = number;
    answer.status = status;
    of.epoch = of.term = 1;
    of.index = version;
    answer.version = version ? &of : NULL;
    harness_message (&s_signer, (adr_address_t){ s_signer.environment.node, ADR_ACTOR_REPLICATOR }, ADR_NODE_PKI,
                     ADR__KIND__ANSWER, &answer.base, value);
}

/* The group answers what it was asked, until nothing is asked any more. */
static void
s_serve (void)
{
    if (s_held)
        return;
    for (size_t at = 0; at < s_signer.sent_count; at++) {
        const harness_sent_t *sent = &s_signer.sent[at];
        if (sent->kind == ADR__KIND__READ) {
            const Adr__Read *read = (const Adr__Read *) sent->header;
            const s_record_t *record = s_find (read->table, read->key);
            s_reply (read->number, record ? ADR_STATUS_OK : ADR_STATUS_NOT_FOUND, record ? record->version : 0,
                     record ? adr_bytes (record->value.data, record->value.size) : s_nothing);
        } else if (sent->kind == ADR__KIND__WRITE) {
            const Adr__Write *write = (const Adr__Write *) sent->header;
            s_reply (write->number, s_apply (write, sent->payload), s_version, s_nothing);
        }
    }
}

static adr_map_t *
s_registry (void)
{
    const s_record_t *record = s_find (ADR_TABLE_REGISTRY, (ProtobufCBinaryData){ strlen (ADR_REGISTRY_KEY), (uint8_t *) ADR_REGISTRY_KEY });
    return record ? adr_registry_read (adr_bytes (record->value.data, record->value.size)) : NULL;
}

/* Enough have signed what the group has. */
static void
s_sign_all (void)
{
    adr_map_t *map = s_registry ();
    Adr__MapChanged changed = ADR__MAP_CHANGED__INIT;
    changed.map = adr_map_message (map, &s_arena);
    harness_message (&s_signer, (adr_address_t){ s_signer.environment.node, ADR_ACTOR_MAP_KEEPER }, ADR_NODE_PKI,
                     ADR__KIND__MAP_CHANGED, &changed.base, s_nothing);
    adr_map_destroy (&map);
}

/* Whether a row of the audit says this. */
static bool
s_audit_has (const char *text)
{
    for (size_t i = 0; i < s_records; i++) {
        if (s_record[i].table != ADR_TABLE_AUDIT)
            continue;
        char row[2048];
        snprintf (row, sizeof row, "%.*s", (int) s_record[i].value.size, (const char *) s_record[i].value.data);
        if (strstr (row, text))
            return true;
    }
    return false;
}

/* --- who asks -------------------------------------------------------------------------------------------------------- */

static const Adr__ControlAnswer *
s_ask (Adr__ControlAction action, adr_node_type_t type, const char *zone, const char *group, const char *name, uint64_t valid_ms)
{
    Adr__Token token = ADR__TOKEN__INIT;
    Adr__Control control = ADR__CONTROL__INIT;
    uint8_t key[ADR_KEY_SIZE];
    adr_token_public (&s_token, key);
    token.token_key = (ProtobufCBinaryData){ sizeof key, key };
    token.type = type;
    token.zone_name = (char *) zone;
    token.group_name = (char *) group;
    token.name = (char *) name;
    token.valid_ms = valid_ms;
    control.number = 5;
    control.action = action;
    control.limit_ms = 10000;
    control.token = &token;
    harness_forget (&s_signer);
    adr_id_t edge = adr_founding_node (s_founding, 0, ADR_NODE_EDGE)->id;
    harness_message (&s_signer, (adr_address_t){ edge, ADR_ACTOR_EDGE_ROUTER }, ADR_NODE_EDGE, ADR__KIND__CONTROL, &control.base,
                     s_nothing);
    s_serve ();
    assert_int_equal (harness_count (&s_signer, ADR__KIND__CONTROL_ANSWER), 1);
    return (const Adr__ControlAnswer *) harness_sent (&s_signer, ADR__KIND__CONTROL_ANSWER, 0)->header;
}

static const Adr__ControlAnswer *
s_ask_token (adr_node_type_t type, const char *zone, const char *group, const char *name, uint64_t valid_ms)
{
    return s_ask (ADR__CONTROL_ACTION__TOKEN, type, zone, group, name, valid_ms);
}

static const Adr__ControlAnswer *
s_withdraw (void)
{
    return s_ask (ADR__CONTROL_ACTION__TOKEN_WITHDRAW, ADR_NODE_EDGE, "", "", "", 0);
}

/* The only one, or NULL: none yet. */
static const Adr__JoinAnswer *
s_join_answer (void)
{
    assert_true (harness_count (&s_signer, ADR__KIND__JOIN_ANSWER) <= 1);
    const harness_sent_t *sent = harness_sent (&s_signer, ADR__KIND__JOIN_ANSWER, 0);
    return sent ? (const Adr__JoinAnswer *) sent->header : NULL;
}

static const Adr__JoinAnswer *
s_join (const adr_cert_t *request)
{
    static const adr_id_t s_stranger = { { 0xee } };
    Adr__Join join = ADR__JOIN__INIT;
    uint8_t key[ADR_KEY_SIZE], bytes[ADR_CERTIFICATE_MAX], signature[ADR_SIGNATURE_SIZE];
    size_t size = adr_cert_encode (request, bytes);
    adr_token_public (&s_token, key);
    adr_token_sign_join (&s_token, adr_bytes (bytes, size), s_endpoints, 0, signature);
    join.number = 9;
    join.token_key = (ProtobufCBinaryData){ sizeof key, key };
    join.request = (ProtobufCBinaryData){ size, bytes };
    join.signature = (ProtobufCBinaryData){ sizeof signature, signature };
    join.control = (char *) s_endpoints[0];
    join.bulk = (char *) s_endpoints[1];
    harness_forget (&s_signer);
    harness_message (&s_signer, (adr_address_t){ s_stranger, ADR_ACTOR_CLIENT }, ADR_NODE_STRANGER, ADR__KIND__JOIN, &join.base,
                     s_nothing);
    s_serve ();
    return s_join_answer ();
}

static void
s_assert_denied (const Adr__JoinAnswer *answer, adr_status_t status, const char *text)
{
    assert_non_null (answer);
    assert_int_equal (answer->status, status);
    assert_non_null (strstr (answer->text, text));
    assert_int_equal (answer->certificate.len, 0);
    assert_int_equal (answer->hash_key.len, 0);
    assert_null (answer->map);
}

static int
s_setup (void **state)
{
    (void) state;
    adr_arena_init (&s_arena, 4096, 1 << 22);
    s_founding = registry_found ();
    memcpy (s_authority.sign_seed, s_founding->authority[0].keys.sign_seed, ADR_KEY_SIZE);
    memset (s_authority.hash_key, 0xaa, sizeof s_authority.hash_key);
    assert_true (adr_cert_decode (&s_authority.certificate, adr_bytes (s_founding->authority[0].certificate,
                                                                      s_founding->authority[0].certificate_size)));
    const adr_map_node_t *node = adr_founding_node (s_founding, 0, ADR_NODE_PKI);
    adr_environment_t environment = { .cluster = s_founding->map->cluster, .node = node->id, .type = ADR_NODE_PKI,
                                      .group = node->group, .map = s_founding->map, .authority = &s_authority, .seed = 7 };
    harness_start (&s_signer, &adr_cert_signer_class, &environment);
    s_signer.wall_ms = FIXTURE_NOW_MS;
    s_token = (adr_token_t){ .cluster = s_founding->map->cluster };
    memset (s_token.secret, 0x33, sizeof s_token.secret);
    return 0;
}

static int
s_teardown (void **state)
{
    (void) state;
    harness_stop (&s_signer);
    for (; s_records; s_records--) {
        adr_buffer_free (&s_record[s_records - 1].key);
        adr_buffer_free (&s_record[s_records - 1].value);
        s_record[s_records - 1] = (s_record_t){ 0 };
    }
    s_version = 0;
    adr_founding_destroy (&s_founding);
    adr_arena_free (&s_arena);
    return 0;
}

/* The zone that a token for that name names. */
static adr_cert_t
s_request (adr_node_type_t type, const char *zone, const char *name, uint8_t seed)
{
    const Adr__ControlAnswer *answer = s_ask_token (type, zone, "", name, 3600000);
    assert_int_equal (answer->status, ADR_STATUS_OK);
    adr_map_t *map = adr_map_copy (s_founding->map);
    map->zone[0].id = adr_id_of (answer->token->zone);
    adr_cert_t request = registry_request (map, 0, type, name, seed);
    adr_map_destroy (&map);
    return request;
}

/* --- tokens ---------------------------------------------------------------------------------------------------------- */

static void
terms_are_filled_in_and_noted (void **state)
{
    (void) state;
    const Adr__ControlAnswer *answer = s_ask_token (ADR_NODE_META, "z4", "", "", 3600000);
    assert_int_equal (answer->status, ADR_STATUS_OK);
    assert_string_equal (answer->token->name, "meta1@z4");
    assert_string_equal (answer->token->group_name, "meta1");
    assert_int_equal (answer->token->zone.len, ADR_ID_SIZE);
    assert_memory_equal (answer->token->group.data, s_founding->map->group[0].id.bytes, ADR_ID_SIZE);
    assert_int_equal (answer->token->valid_ms, (uint64_t) s_signer.wall_ms + 3600000);
    adr_id_t user = adr_id_of (answer->token->node);
    assert_true (adr_id_is_none (&user));
    assert_non_null (s_find (ADR_TABLE_TOKEN, answer->token->token_key));
    assert_true (s_audit_has ("\"action\": \"token\", \"name\": \"meta1@z4\""));
    assert_null (s_registry ()); /* which is not changed by it */
    uint64_t until = answer->token->valid_ms;
    harness_advance (&s_signer, 5000 * ADR_MS);
    answer = s_ask_token (ADR_NODE_META, "z4", "", "", 3600000); /* again */
    assert_int_equal (answer->status, ADR_STATUS_OK);
    assert_int_equal (answer->token->valid_ms, until);
    answer = s_ask_token (ADR_NODE_EDGE, "z4", "", "", 3600000); /* other terms */
    assert_int_equal (answer->status, ADR_STATUS_DENIED);
}

static void
terms_that_cannot_be_are_refused (void **state)
{
    (void) state;
    assert_int_equal (s_ask_token (ADR_NODE_META, "z2", "data1", "", 1000)->status, ADR_STATUS_INVALID);
    assert_int_equal (s_ask_token (ADR_NODE_META, "z2", "meta7", "", 1000)->status, ADR_STATUS_INVALID);
    assert_int_equal (s_ask_token (ADR_NODE_EDGE, "z2", "meta1", "", 1000)->status, ADR_STATUS_INVALID);
    assert_int_equal (s_ask_token (ADR_NODE_META, "", "", "", 1000)->status, ADR_STATUS_INVALID);
    assert_int_equal (s_ask_token (ADR_NODE_META, "z\"2", "", "", 1000)->status, ADR_STATUS_INVALID);
    assert_int_equal (s_ask_token (ADR_NODE_META, "z2", "", "", 0)->status, ADR_STATUS_INVALID);
    assert_int_equal (s_ask_token (ADR_NODE_META, "z2", "", "", ADR_TOKEN_VALID_MAX_MS + 1)->status, ADR_STATUS_INVALID);
    assert_int_equal (s_ask_token (ADR_NODE_CLIENT, "z2", "", "", 1000)->status, ADR_STATUS_INVALID);
    assert_int_equal (s_ask_token (ADR_NODE_META, "z2", "", "", 1000)->status, ADR_STATUS_REFUSED); /* meta1@z2 is there */
    assert_int_equal (s_records, 0);
    assert_string_equal (s_ask_token (ADR_NODE_EDGE, "z2", "", "", 1000)->token->name, "edge2@z2");
}

static void
a_withdrawn_token_lets_nobody_in (void **state)
{
    (void) state;
    assert_int_equal (s_withdraw ()->status, ADR_STATUS_NOT_FOUND);
    assert_int_equal (s_records, 0);
    adr_cert_t request = s_request (ADR_NODE_META, "z4", "meta1@z4", 0x50);
    const Adr__ControlAnswer *answer = s_withdraw ();
    assert_int_equal (answer->status, ADR_STATUS_OK);
    assert_true (answer->token->withdrawn);
    assert_string_equal (answer->token->name, "meta1@z4"); /* its terms are kept */
    assert_true (s_audit_has ("\"action\": \"token-withdraw\", \"name\": \"meta1@z4\""));
    s_assert_denied (s_join (&request), ADR_STATUS_DENIED, "withdrawn");
    assert_null (s_registry ());
    assert_true (s_audit_has ("join-refused"));
    uint64_t version = s_version;
    assert_int_equal (s_withdraw ()->status, ADR_STATUS_OK); /* again: nothing is written */
    assert_int_equal (s_version, version);
    /* The same question as made it finds it as it is, and makes it anew by no means. */
    assert_true (s_ask_token (ADR_NODE_META, "z4", "", "", 3600000)->token->withdrawn);
    s_assert_denied (s_join (&request), ADR_STATUS_DENIED, "withdrawn");
}

static void
a_used_token_is_not_withdrawn (void **state)
{
    (void) state;
    adr_cert_t request = s_request (ADR_NODE_META, "z4", "meta1@z4", 0x50);
    assert_null (s_join (&request));
    s_sign_all ();
    s_serve ();
    assert_int_equal (s_withdraw ()->status, ADR_STATUS_REFUSED);
    assert_false (s_audit_has ("token-withdraw"));
    assert_int_equal (s_join (&request)->status, ADR_STATUS_OK); /* and lets its own node in again */
}

/* --- joins ----------------------------------------------------------------------------------------------------------- */

static void
who_has_a_token_comes_in (void **state)
{
    (void) state;
    adr_cert_t request = s_request (ADR_NODE_META, "z4", "meta1@z4", 0x50), certificate;
    assert_null (s_join (&request)); /* [TRUST-4] committed, and not signed yet */
    adr_map_t *map = s_registry ();
    assert_int_equal (map->epoch, s_founding->map->epoch + 1);
    assert_int_equal (map->zone_count, 4);
    assert_string_equal (map->zone[3].name, "z4");
    assert_int_equal (map->node_count, s_founding->map->node_count + 1);
    assert_true (adr_map_is_step (s_founding->map, map)); /* other PKI nodes sign it */
    assert_true (s_audit_has ("\"action\": \"join\", \"name\": \"meta1@z4\""));
    s_sign_all ();
    s_serve ();
    const Adr__JoinAnswer *answer = s_join_answer ();
    assert_int_equal (answer->status, ADR_STATUS_OK);
    assert_int_equal (answer->number, 9);
    assert_memory_equal (answer->hash_key.data, s_authority.hash_key, 32);
    assert_int_equal (answer->map->registry->epoch, map->epoch);
    adr_cert_chain_t chain = adr_cert_chain_of_map (map);
    assert_int_equal (adr_cert_verify (&certificate, adr_bytes (answer->certificate.data, answer->certificate.len), &chain,
                                       FIXTURE_NOW_MS, true), ADR_CERT_SOUND);
    assert_true (adr_map_node_fits (&certificate, &map->node[map->node_count - 1]));
    assert_string_equal (map->node[map->node_count - 1].control, s_endpoints[0]);
    adr_map_destroy (&map);
}

/* [TRUST-5] The same keys are answered alike, also when the token is over; nothing is written any more. */
static void
who_asks_again_gets_the_same (void **state)
{
    (void) state;
    adr_cert_t request = s_request (ADR_NODE_META, "z4", "meta1@z4", 0x50);
    assert_null (s_join (&request));
    s_sign_all ();
    s_serve ();
    uint8_t first[ADR_CERTIFICATE_MAX];
    size_t size = s_join_answer ()->certificate.len;
    memcpy (first, s_join_answer ()->certificate.data, size);
    size_t records = s_records;
    harness_advance (&s_signer, INT64_C (8) * 24 * 3600 * 1000 * ADR_MS);
    const Adr__JoinAnswer *answer = s_join (&request);
    assert_int_equal (answer->status, ADR_STATUS_OK);
    assert_int_equal (answer->certificate.len, size);
    assert_memory_equal (answer->certificate.data, first, size);
    assert_int_equal (s_records, records);
}

static void
a_token_is_used_once (void **state)
{
    (void) state;
    adr_cert_t request = s_request (ADR_NODE_META, "z4", "meta1@z4", 0x50), thief = request;
    assert_null (s_join (&request));
    s_sign_all ();
    s_serve ();
    adr_map_t *map = adr_map_copy (s_founding->map);
    map->zone[0].id = request.zone;
    thief = registry_request (map, 0, ADR_NODE_META, "meta1@z4", 0x60);
    adr_map_destroy (&map);
    s_assert_denied (s_join (&thief), ADR_STATUS_DENIED, "used by another");
    assert_true (s_audit_has ("\"action\": \"join-refused\""));
    map = s_registry ();
    assert_int_equal (map->node_count, s_founding->map->node_count + 1);
    adr_map_destroy (&map);
}

static void
a_token_ends (void **state)
{
    (void) state;
    adr_cert_t request = s_request (ADR_NODE_META, "z4", "meta1@z4", 0x50);
    harness_advance (&s_signer, INT64_C (3601) * 1000 * ADR_MS);
    s_assert_denied (s_join (&request), ADR_STATUS_DENIED, "expired");
    assert_true (s_audit_has ("the token has expired"));
    assert_null (s_registry ());
}

static void
a_token_is_for_what_it_says (void **state)
{
    (void) state;
    adr_cert_t request = s_request (ADR_NODE_META, "z4", "meta1@z4", 0x50);
    adr_map_t *map = adr_map_copy (s_founding->map);
    adr_cert_t other = registry_request (map, 1, ADR_NODE_META, "meta1@z4", 0x51);
    s_assert_denied (s_join (&other), ADR_STATUS_DENIED, "another zone");
    map->zone[0].id = request.zone;
    other = registry_request (map, 0, ADR_NODE_DATA, "meta1@z4", 0x51);
    s_assert_denied (s_join (&other), ADR_STATUS_DENIED, "another type");
    other = registry_request (map, 0, ADR_NODE_META, "meta9@z4", 0x51);
    s_assert_denied (s_join (&other), ADR_STATUS_DENIED, "another name");
    other = registry_request (map, 0, ADR_NODE_META, "meta1@z4", 0x51);
    other.cluster.bytes[0] ^= 1;
    s_assert_denied (s_join (&other), ADR_STATUS_INVALID, "another cluster");
    other = request;
    other.curve_key[0] ^= 1;
    s_assert_denied (s_join (&other), ADR_STATUS_INVALID, "did not sign it");
    adr_map_destroy (&map);
    memset (s_token.secret, 0x34, sizeof s_token.secret); /* another's */
    s_assert_denied (s_join (&request), ADR_STATUS_DENIED, "no such token");
    assert_null (s_registry ());
}

/* [TRUST-4] Keys of a node that is there, or was. */
static void
keys_belong_to_one_node (void **state)
{
    (void) state;
    const adr_founded_t *old = &s_founding->node[1][ADR_NODE_META - 1];
    adr_cert_t request = s_request (ADR_NODE_META, "z4", "meta1@z4", 0x50);
    adr_keys_public (&old->keys, request.curve_key, request.sign_key);
    adr_cert_sign (&request, old->keys.sign_seed);
    s_assert_denied (s_join (&request), ADR_STATUS_DENIED, "belongs to a node");
}

/* A second node of the group in a zone, by a token under another name. */
static void
a_group_has_one_node_a_zone (void **state)
{
    (void) state;
    adr_cert_t request = s_request (ADR_NODE_META, "z2", "meta9@z2", 0x50);
    s_assert_denied (s_join (&request), ADR_STATUS_DENIED, "has a node in that zone");
}

/* Whoever likes can ask without a token, as often as he likes: operators do not wait for that. */
static void
strangers_hold_up_no_operator (void **state)
{
    (void) state;
    adr_cert_t request = registry_request (s_founding->map, 0, ADR_NODE_META, "meta1@z4", 0x50);
    adr_id_t edge = adr_founding_node (s_founding, 2, ADR_NODE_EDGE)->id;
    for (int turn = 0; turn < 2; turn++) {
        s_held = true; /* the group answers nothing for now */
        (void) s_join (&request);
        assert_int_equal (harness_count (&s_signer, ADR__KIND__READ), 1);
        Adr__Control control = ADR__CONTROL__INIT;
        control.number = 5;
        control.node = adr_id_view (&edge);
        control.action = ADR__CONTROL_ACTION__EVICT;
        control.limit_ms = 10000;
        harness_message (&s_signer, (adr_address_t){ edge, ADR_ACTOR_EDGE_ROUTER }, ADR_NODE_EDGE, ADR__KIND__CONTROL,
                         &control.base, s_nothing);
        s_held = false;
        assert_int_equal (harness_count (&s_signer, ADR__KIND__CONTROL_ANSWER), 0);
        s_assert_denied (s_join_answer (), ADR_STATUS_REFUSED, "busy");
        s_serve ();
        s_sign_all ();
        s_serve ();
        assert_int_equal (harness_count (&s_signer, ADR__KIND__CONTROL_ANSWER), 1);
    }
}

/* Somebody else's change comes in between: it is answered all the same. */
static void
what_is_interrupted_goes_on (void **state)
{
    (void) state;
    adr_cert_t request = s_request (ADR_NODE_META, "z4", "meta1@z4", 0x50);
    assert_null (s_join (&request));
    harness_forget (&s_signer); /* somebody else changes the registry before it is signed */
    adr_map_t *map = s_registry ();
    adr_map_unseal (map);
    map->epoch++;
    registry_node (map, 2, ADR_NODE_EDGE)->evicted = true;
    registry_node (map, 2, ADR_NODE_EDGE)->certificate_size = 0;
    adr_map_seal (map);
    s_record_t *record = s_find (ADR_TABLE_REGISTRY, (ProtobufCBinaryData){ strlen (ADR_REGISTRY_KEY), (uint8_t *) ADR_REGISTRY_KEY });
    adr_buffer_clear (&record->value);
    adr_buffer_append (&record->value, map->sealed, map->sealed_size);
    record->version = ++s_version;
    adr_map_destroy (&map);
    s_sign_all ();
    s_serve ();
    assert_int_equal (s_join_answer ()->status, ADR_STATUS_OK);
}

/* This PKI node leads its group, or another one does. */
static void
s_lead (bool own)
{
    adr_map_t *map = s_registry ();
    if (map == NULL)
        map = adr_map_copy (s_founding->map);
    adr_group_status_t status = { .term = 1, .sequence = 1, .master = adr_founding_node (s_founding, own ? 0 : 1, ADR_NODE_PKI)->id };
    assert_true (adr_map_merge_status (map, &s_signer.environment.group, &status));
    Adr__MapChanged changed = ADR__MAP_CHANGED__INIT;
    changed.map = adr_map_message (map, &s_arena);
    harness_message (&s_signer, (adr_address_t){ s_signer.environment.node, ADR_ACTOR_MAP_KEEPER }, ADR_NODE_PKI,
                     ADR__KIND__MAP_CHANGED, &changed.base, s_nothing);
    adr_map_destroy (&map);
}

static int64_t
s_ends_ms (const adr_map_node_t *node)
{
    adr_cert_t certificate;
    assert_true (adr_cert_decode (&certificate, adr_bytes (node->certificate, node->certificate_size)));
    return certificate.not_after_ms;
}

/* [TRUST-3] A PKI node is pending until its group has it as a voter: whoever leads writes that down, soon and unasked. */
static void
a_pki_node_that_votes_is_pending_no_more (void **state)
{
    (void) state;
    adr_map_t *map = adr_map_copy (s_founding->map);
    adr_map_node_t *joined = registry_node (map, 2, ADR_NODE_PKI);
    joined->pending = true;
    adr_map_unseal (map);
    adr_map_seal (map);
    adr_group_status_t status = { .term = 1, .sequence = 1, .master = s_signer.environment.node, .member_count = 1,
                                  .member = { { .node = joined->id, .voter = false } } };
    for (int turn = 0; turn < 2; turn++) {
        status.member[0].voter = turn == 1;
        status.sequence++;
        assert_true (adr_map_merge_status (map, &s_signer.environment.group, &status));
        Adr__MapChanged changed = ADR__MAP_CHANGED__INIT;
        changed.map = adr_map_message (map, &s_arena);
        harness_message (&s_signer, (adr_address_t){ s_signer.environment.node, ADR_ACTOR_MAP_KEEPER }, ADR_NODE_PKI,
                         ADR__KIND__MAP_CHANGED, &changed.base, s_nothing);
        harness_advance (&s_signer, 1000 * ADR_MS);
        assert_int_equal (harness_count (&s_signer, ADR__KIND__READ), turn);
        s_serve ();
    }
    adr_map_t *next = s_registry ();
    assert_non_null (next);
    assert_false (registry_node (next, 2, ADR_NODE_PKI)->pending);
    assert_int_equal (next->epoch, map->epoch + 1);
    assert_true (adr_map_is_step (map, next));
    adr_map_destroy (&next);
    adr_map_destroy (&map);
}

/* [TRUST-4] Nobody asks for it; the keys stay. Only who leads does it, and not long before. */
static void
certificates_are_renewed_before_they_end (void **state)
{
    (void) state;
    const adr_map_t *old = s_founding->map;
    int64_t life_ms = s_ends_ms (&old->node[0]) - FIXTURE_NOW_MS;
    s_lead (true);
    harness_advance (&s_signer, 3600 * 1000 * ADR_MS);
    assert_int_equal (harness_count (&s_signer, ADR__KIND__READ), 0); /* there is time */
    s_signer.wall_ms = FIXTURE_NOW_MS + life_ms - INT64_C (120) * 24 * 3600 * 1000;
    s_lead (false);
    harness_advance (&s_signer, INT64_C (3600) * 1000 * ADR_MS);
    assert_int_equal (harness_count (&s_signer, ADR__KIND__READ), 0); /* another one's task */
    s_lead (true);
    for (int second = 0; second < 3601; second++) {
        harness_advance (&s_signer, 1000 * ADR_MS);
        s_serve ();
        harness_forget (&s_signer);
    }
    adr_map_t *map = s_registry ();
    assert_non_null (map);
    adr_cert_chain_t chain = adr_cert_chain_of_map (map);
    for (uint32_t i = 0; i < map->node_count; i++) {
        assert_true (s_ends_ms (&map->node[i]) > s_ends_ms (&old->node[i]));
        assert_memory_equal (map->node[i].curve_key, old->node[i].curve_key, ADR_KEY_SIZE);
        assert_int_equal (adr_map_check_node (map, &chain, &map->node[i], s_signer.wall_ms), ADR_CERT_SOUND);
    }
    assert_int_equal (map->epoch, old->epoch + 3); /* twelve nodes, four at once */
    assert_true (adr_map_is_step (old, map));
    assert_true (s_audit_has ("\"action\": \"renew\", \"names\": \"edge1@z1 meta1@z1 data1@z1 pki1@z1\""));
    adr_map_destroy (&map);
}

int
main (void)
{
#define S_TEST(name) cmocka_unit_test_setup_teardown (name, s_setup, s_teardown)
    const struct CMUnitTest tests[] = {
        S_TEST (terms_are_filled_in_and_noted),
        S_TEST (terms_that_cannot_be_are_refused),
        S_TEST (a_withdrawn_token_lets_nobody_in),
        S_TEST (a_used_token_is_not_withdrawn),
        S_TEST (who_has_a_token_comes_in),
        S_TEST (who_asks_again_gets_the_same),
        S_TEST (a_token_is_used_once),
        S_TEST (a_token_ends),
        S_TEST (a_token_is_for_what_it_says),
        S_TEST (keys_belong_to_one_node),
        S_TEST (a_group_has_one_node_a_zone),
        S_TEST (strangers_hold_up_no_operator),
        S_TEST (what_is_interrupted_goes_on),
        S_TEST (certificates_are_renewed_before_they_end),
        S_TEST (a_pki_node_that_votes_is_pending_no_more),
    };
    return cmocka_run_group_tests (tests, NULL, NULL);
}
