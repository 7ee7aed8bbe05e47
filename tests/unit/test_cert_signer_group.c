/* SPDX-License-Identifier: MPL-2.0 */
/* How a group is made by a set of tokens, and formed by who comes in by them [GROUP-1 to GROUP-5]: docs/protocol/groups.md. */

#include "fake_group.h"
#include "registry_fixture.h"

#include "core/map_forming.h"
#include "core/token.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

#define S_HOUR_MS 3600000

static harness_t s_signer;
static fake_group_t s_group;
static adr_founding_t *s_founding;
static adr_authority_t s_authority;
static adr_arena_t s_arena;
static const adr_bytes_t s_nothing;

static int
s_setup (void **state)
{
    (void) state;
    adr_arena_init (&s_arena, 4096, 1 << 22);
    s_founding = registry_found ();
    for (uint32_t i = 0; i < s_founding->map->range_count; i++) /* nobody owns partitions of data nodes */
        if (s_founding->map->range[i].type == ADR_NODE_DATA)
            s_founding->map->range[i] = s_founding->map->range[--s_founding->map->range_count];
    adr_map_unseal (s_founding->map);
    adr_map_seal (s_founding->map);
    memcpy (s_authority.sign_seed, s_founding->authority[0].keys.sign_seed, ADR_KEY_SIZE);
    assert_true (adr_cert_decode (&s_authority.certificate, adr_bytes (s_founding->authority[0].certificate,
                                                                      s_founding->authority[0].certificate_size)));
    const adr_map_node_t *node = adr_founding_node (s_founding, 0, ADR_NODE_PKI);
    adr_environment_t environment = { .cluster = s_founding->map->cluster, .node = node->id, .type = ADR_NODE_PKI,
                                      .group = node->group, .map = s_founding->map, .authority = &s_authority, .seed = 7 };
    harness_start (&s_signer, &adr_cert_signer_class, &environment);
    s_signer.wall_ms = FIXTURE_NOW_MS;
    s_group.signer = &s_signer;
    return 0;
}

static int
s_teardown (void **state)
{
    (void) state;
    harness_stop (&s_signer);
    fake_group_free (&s_group);
    adr_founding_destroy (&s_founding);
    adr_arena_free (&s_arena);
    return 0;
}

/* --- the group and the PKI nodes ------------------------------------------------------------------------------------- */

/* As the group has it; NULL: nothing was changed yet. The caller's to destroy. */
static adr_map_t *
s_registry (void)
{
    const ideal_record_t *record = fake_group_find (&s_group, ADR_TABLE_REGISTRY, ADR_REGISTRY_KEY);
    return record ? adr_registry_read (adr_bytes (record->value.data, record->value.size)) : NULL;
}

static uint32_t
s_tokens (void)
{
    uint32_t count = 0;
    for (size_t i = 0; i < s_group.ideal.count; i++)
        count += s_group.ideal.record[i].table == ADR_TABLE_TOKEN;
    return count;
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
    fake_group_serve (&s_group);
}

static void
s_send_control (Adr__Control *control)
{
    adr_id_t edge = adr_founding_node (s_founding, 0, ADR_NODE_EDGE)->id;
    control->number = 5;
    control->limit_ms = 10000;
    control->users_known = UINT64_MAX;
    harness_forget (&s_signer);
    harness_message (&s_signer, (adr_address_t){ edge, ADR_ACTOR_EDGE_ROUTER }, ADR_NODE_EDGE, ADR__KIND__CONTROL, &control->base,
                     s_nothing);
    fake_group_serve (&s_group);
}

static const Adr__ControlAnswer *
s_answer (void)
{
    assert_int_equal (harness_count (&s_signer, ADR__KIND__CONTROL_ANSWER), 1);
    return (const Adr__ControlAnswer *) harness_sent (&s_signer, ADR__KIND__CONTROL_ANSWER, 0)->header;
}

/* --- who asks -------------------------------------------------------------------------------------------------------- */

/* The token of the n-th zone, by a secret that follows from it. */
static adr_token_t
s_secret (uint32_t at)
{
    adr_token_t token = { .cluster = s_founding->map->cluster };
    memset (token.secret, (int) (0x30 + at), sizeof token.secret);
    return token;
}

typedef struct {
    const char *zone[4];
    adr_node_type_t type; /* 0: data */
    const char *name;     /* NULL: left open */
    uint64_t valid_ms;    /* 0: an hour */
    uint32_t first_key;   /* that is drawn */
    bool same_key;        /* for all of them */
    bool mixed;           /* the last one is of another type */
} ask_t;

static void
s_send_group (ask_t ask)
{
    Adr__Control control = ADR__CONTROL__INIT;
    Adr__Token token[4], *pointer[4];
    uint8_t key[4][ADR_KEY_SIZE];
    control.action = ADR__CONTROL_ACTION__GROUP_CREATE;
    control.token_set = pointer;
    for (uint32_t i = 0; i < 4 && ask.zone[i]; i++) {
        adr_token_t secret = s_secret (ask.first_key + (ask.same_key ? 0 : i));
        adr_token_public (&secret, key[i]);
        adr__token__init (&token[i]);
        token[i].token_key = (ProtobufCBinaryData){ ADR_KEY_SIZE, key[i] };
        token[i].type = ask.type ? ask.type : ADR_NODE_DATA;
        if (ask.mixed && i > 0)
            token[i].type = ADR_NODE_META;
        token[i].zone_name = (char *) ask.zone[i];
        token[i].group_name = (char *) (ask.name ? ask.name : "");
        token[i].valid_ms = ask.valid_ms ? ask.valid_ms : S_HOUR_MS;
        pointer[control.n_token_set++] = &token[i];
    }
    s_send_control (&control);
}

static adr_status_t
s_ask (ask_t ask)
{
    s_send_group (ask);
    return (adr_status_t) s_answer ()->status;
}

/* data2 of all three zones, signed by enough. */
static void
s_make_group (void)
{
    s_send_group ((ask_t){ .zone = { "z1", "z2", "z3" } });
    s_sign_all ();
    assert_int_equal (s_answer ()->status, ADR_STATUS_OK);
}

static const Adr__JoinAnswer *
s_join_by (uint32_t zone, uint32_t token, uint64_t incarnation, uint8_t seed)
{
    static const adr_id_t s_stranger = { { 0xee } };
    char control[64], bulk[64], name[] = "data2@z1";
    name[7] = (char) ('1' + token);
    snprintf (control, sizeof control, "tcp://127.0.0.1:%u", 9000 + 2 * seed);
    snprintf (bulk, sizeof bulk, "tcp://127.0.0.1:%u", 9001 + 2 * seed);
    const char *const endpoints[] = { control, bulk, "", "" };
    adr_map_t *map = s_registry ();
    adr_cert_t request = registry_request (map, zone, ADR_NODE_DATA, name, seed);
    adr_map_destroy (&map);
    Adr__Join join = ADR__JOIN__INIT;
    uint8_t key[ADR_KEY_SIZE], bytes[ADR_CERTIFICATE_MAX], signature[ADR_SIGNATURE_SIZE];
    size_t size = adr_cert_encode (&request, bytes);
    adr_token_t secret = s_secret (token);
    adr_token_public (&secret, key);
    adr_token_sign_join (&secret, adr_bytes (bytes, size), endpoints, incarnation, signature);
    join.number = 9;
    join.token_key = (ProtobufCBinaryData){ sizeof key, key };
    join.request = (ProtobufCBinaryData){ size, bytes };
    join.signature = (ProtobufCBinaryData){ sizeof signature, signature };
    join.control = control;
    join.bulk = bulk;
    join.incarnation = incarnation;
    harness_forget (&s_signer);
    harness_message (&s_signer, (adr_address_t){ s_stranger, ADR_ACTOR_CLIENT }, ADR_NODE_STRANGER, ADR__KIND__JOIN, &join.base,
                     s_nothing);
    fake_group_serve (&s_group);
    if (harness_count (&s_signer, ADR__KIND__JOIN_ANSWER) == 0)
        s_sign_all ();
    assert_int_equal (harness_count (&s_signer, ADR__KIND__JOIN_ANSWER), 1);
    return (const Adr__JoinAnswer *) harness_sent (&s_signer, ADR__KIND__JOIN_ANSWER, 0)->header;
}

static const Adr__JoinAnswer *
s_join (uint32_t zone, uint64_t incarnation)
{
    return s_join_by (zone, zone, incarnation, (uint8_t) (0x50 + 2 * zone));
}

static void
s_assert_refused (const Adr__JoinAnswer *answer, const char *text)
{
    assert_int_equal (answer->status, ADR_STATUS_DENIED);
    if (!strstr (answer->text, text))
        fail_msg ("`%s` says nothing of `%s`", answer->text, text);
    assert_null (answer->map);
}

/* --- making one ------------------------------------------------------------------------------------------------------ */

static void
a_set_is_committed_whole (void **state)
{
    (void) state;
    s_send_group ((ask_t){ .zone = { "z1", "z2", "z3" } });
    assert_int_equal (harness_count (&s_signer, ADR__KIND__CONTROL_ANSWER), 0); /* too few have signed it yet */
    adr_map_t *map = s_registry ();
    const adr_map_group_t *group = &map->group[map->group_count - 1];
    assert_int_equal (map->group_count, s_founding->map->group_count + 1);
    assert_string_equal (group->name, "data2");
    assert_true (adr_map_is_forming (group));
    assert_int_equal (group->forming_zone_count, 3);
    assert_int_equal (group->founding.quorum, 2);
    assert_true (adr_map_is_step (s_founding->map, map)); /* other PKI nodes sign it */
    assert_int_equal (s_tokens (), 3);
    assert_true (fake_group_has (&s_group, ADR_TABLE_AUDIT, "\"action\": \"group-create\", \"group\": \"data2\", \"zones\": \"z1 z2 z3\""));
    s_sign_all ();
    const Adr__ControlAnswer *answer = s_answer ();
    assert_int_equal (answer->status, ADR_STATUS_OK);
    assert_int_equal (answer->n_token_set, 3);
    for (uint32_t i = 0; i < 3; i++) {
        char name[] = "data2@z1";
        name[7] = (char) ('1' + i);
        assert_string_equal (answer->token_set[i]->name, name);
        assert_string_equal (answer->token_set[i]->group_name, "data2");
        assert_memory_equal (answer->token_set[i]->group.data, group->id.bytes, ADR_ID_SIZE);
        assert_memory_equal (answer->token_set[i]->zone.data, map->zone[i].id.bytes, ADR_ID_SIZE);
        assert_int_equal (answer->token_set[i]->valid_ms, FIXTURE_NOW_MS + S_HOUR_MS);
    }
    adr_map_destroy (&map);
}

/* [GROUP-2] Whatever was interrupted is asked for again. */
static void
the_same_question_is_answered_as_before (void **state)
{
    (void) state;
    s_make_group ();
    uint64_t version = s_group.ideal.version;
    harness_advance (&s_signer, 5000 * ADR_MS);
    s_send_group ((ask_t){ .zone = { "z1", "z2", "z3" } });
    const Adr__ControlAnswer *answer = s_answer ();
    assert_int_equal (answer->status, ADR_STATUS_OK);
    assert_int_equal (answer->n_token_set, 3);
    assert_int_equal (answer->token_set[2]->valid_ms, FIXTURE_NOW_MS + S_HOUR_MS);
    assert_int_equal (s_ask ((ask_t){ .zone = { "z1", "z2", "z3" }, .name = "data2" }), ADR_STATUS_OK);
    assert_int_equal (s_ask ((ask_t){ .zone = { "z1", "z3", "z2" } }), ADR_STATUS_DENIED); /* other terms */
    assert_int_equal (s_ask ((ask_t){ .zone = { "z1", "z2", "z3" }, .type = ADR_NODE_META }), ADR_STATUS_DENIED);
    assert_int_equal (s_ask ((ask_t){ .zone = { "z1", "z2", "z3" }, .name = "data7" }), ADR_STATUS_DENIED);
    assert_int_equal (s_ask ((ask_t){ .zone = { "z1", "z2", "z3" }, .first_key = 2 }), ADR_STATUS_DENIED); /* some of them are known */
    assert_int_equal (s_group.ideal.version, version);
}

/* Somebody else's change comes in between: nothing of the first try is there, and it is tried again. */
static void
s_change_registry (fake_group_t *group)
{
    adr_map_t *map = registry_next (s_founding->map);
    registry_node (map, 2, ADR_NODE_EDGE)->leaving = registry_node (map, 2, ADR_NODE_EDGE)->evicted = true;
    registry_node (map, 2, ADR_NODE_EDGE)->certificate_size = 0;
    adr_map_seal (map);
    assert_int_equal (s_tokens (), 0);
    fake_group_put (group, ADR_TABLE_REGISTRY, ADR_REGISTRY_KEY, adr_bytes (map->sealed, map->sealed_size));
    adr_map_destroy (&map);
}

static void
a_conflict_leaves_nothing_half_done (void **state)
{
    (void) state;
    s_group.meanwhile = s_change_registry;
    s_send_group ((ask_t){ .zone = { "z1", "z2", "z3" } });
    assert_int_equal (s_tokens (), 0);
    harness_advance (&s_signer, 1000 * ADR_MS);
    fake_group_serve (&s_group);
    assert_int_equal (s_tokens (), 3);
    s_sign_all ();
    assert_int_equal (s_answer ()->status, ADR_STATUS_OK);
    adr_map_t *map = s_registry ();
    assert_true (registry_node (map, 2, ADR_NODE_EDGE)->evicted); /* nor is that lost */
    assert_int_equal (map->group_count, s_founding->map->group_count + 1);
    adr_map_destroy (&map);
}

static void
what_cannot_be_is_refused (void **state)
{
    (void) state;
    assert_int_equal (s_ask ((ask_t){ .zone = { NULL } }), ADR_STATUS_INVALID);
    assert_int_equal (s_ask ((ask_t){ .zone = { "z1", "z2", "z9" } }), ADR_STATUS_INVALID);
    assert_int_equal (s_ask ((ask_t){ .zone = { "z1", "z2", "z2" } }), ADR_STATUS_INVALID);
    assert_int_equal (s_ask ((ask_t){ .zone = { "z1", "z2", "z3" }, .type = ADR_NODE_PKI }), ADR_STATUS_INVALID);
    assert_int_equal (s_ask ((ask_t){ .zone = { "z1", "z2", "z3" }, .type = ADR_NODE_EDGE }), ADR_STATUS_INVALID);
    assert_int_equal (s_ask ((ask_t){ .zone = { "z1", "z2", "z3" }, .mixed = true }), ADR_STATUS_INVALID);
    assert_int_equal (s_ask ((ask_t){ .zone = { "z1", "z2", "z3" }, .same_key = true }), ADR_STATUS_INVALID);
    assert_int_equal (s_ask ((ask_t){ .zone = { "z1", "z2", "z3" }, .name = "da\"ta" }), ADR_STATUS_INVALID);
    assert_int_equal (s_ask ((ask_t){ .zone = { "z1", "z2", "z3" }, .valid_ms = ADR_TOKEN_VALID_MAX_MS + 1 }), ADR_STATUS_INVALID);
    assert_int_equal (s_ask ((ask_t){ .zone = { "z1", "z2" } }), ADR_STATUS_REFUSED); /* [GROUP-1] two disks must hold a write, and one may be lost */
    assert_int_equal (s_ask ((ask_t){ .zone = { "z1", "z2", "z3" }, .name = "meta1" }), ADR_STATUS_REFUSED);
    assert_int_equal (s_group.ideal.count, 0);
}

static void
names_are_found (void **state)
{
    (void) state;
    s_make_group ();
    s_send_group ((ask_t){ .zone = { "z1", "z2", "z3" }, .first_key = 8 });
    s_sign_all ();
    assert_string_equal (s_answer ()->token_set[0]->group_name, "data3");
    s_send_group ((ask_t){ .zone = { "z1", "z2", "z3" }, .type = ADR_NODE_META, .first_key = 16 });
    s_sign_all ();
    assert_string_equal (s_answer ()->token_set[0]->group_name, "meta2");
}

/* --- its nodes come -------------------------------------------------------------------------------------------------- */

static void
with_the_last_one_it_is_formed (void **state)
{
    (void) state;
    s_make_group ();
    for (uint32_t zone = 0; zone < 3; zone++) {
        adr_map_t *before = s_registry ();
        assert_int_equal (s_join (zone, 1000 + zone)->status, ADR_STATUS_OK);
        adr_map_t *map = s_registry ();
        const adr_map_group_t *group = &map->group[map->group_count - 1];
        assert_true (adr_map_is_step (before, map));
        assert_int_equal (group->founding.count, zone == 2 ? 3 : 0);
        assert_int_equal (adr_map_owned (map, group), zone == 2 ? map->partition_count : 0);
        assert_true (fake_group_has (&s_group, ADR_TABLE_AUDIT, "\"formed\": \"data2\"") == (zone == 2));
        adr_map_destroy (&before);
        adr_map_destroy (&map);
    }
    adr_map_t *map = s_registry ();
    const adr_map_group_t *group = &map->group[map->group_count - 1];
    for (uint32_t zone = 0; zone < 3; zone++) {
        assert_int_equal (group->founding.voter[zone].incarnation, 1000 + zone);
        assert_true (adr_id_equal (&adr_map_node (map, &group->founding.voter[zone].node)->zone, &map->zone[zone].id));
    }
    adr_map_destroy (&map);
    uint64_t version = s_group.ideal.version;
    assert_int_equal (s_join (1, 1001)->status, ADR_STATUS_OK); /* the same again: nothing is written */
    assert_int_equal (s_group.ideal.version, version);
}

static void
who_may_not_come (void **state)
{
    (void) state;
    s_make_group ();
    s_assert_refused (s_join (0, 0), "does not tell its incarnation");
    s_assert_refused (s_join_by (1, 0, 1000, 0x50), "another zone");
    assert_int_equal (s_join (0, 1000)->status, ADR_STATUS_OK);
    s_assert_refused (s_join_by (0, 0, 1000, 0x60), "used by another");
    s_assert_refused (s_join (0, 1001), "another incarnation"); /* its folder was emptied, but for its keys */
    harness_advance (&s_signer, INT64_C (3601) * 1000 * ADR_MS);
    s_assert_refused (s_join (1, 1001), "expired");
    adr_map_t *map = s_registry ();
    assert_int_equal (map->group[map->group_count - 1].forming_count, 1);
    adr_map_destroy (&map);
}

/* The incarnation is signed, too. */
static void
nobody_changes_what_is_told (void **state)
{
    (void) state;
    uint8_t signature[ADR_SIGNATURE_SIZE], key[ADR_KEY_SIZE];
    const char *const endpoints[] = { "tcp://127.0.0.1:1", "tcp://127.0.0.1:2", "", "" };
    adr_token_t token = s_secret (0);
    adr_bytes_t request = adr_bytes ("request", 7);
    adr_token_public (&token, key);
    adr_token_sign_join (&token, request, endpoints, 1000, signature);
    assert_true (adr_token_join_signed (key, &token.cluster, request, endpoints, 1000, signature));
    assert_false (adr_token_join_signed (key, &token.cluster, request, endpoints, 1001, signature));
    assert_false (adr_token_join_signed (key, &token.cluster, request, endpoints, 0, signature));
}

/* --- and do not ------------------------------------------------------------------------------------------------------ */

static const Adr__ControlAnswer *
s_ask_token (Adr__ControlAction action, uint32_t key_of, const char *zone, const char *group, const char *name)
{
    Adr__Control control = ADR__CONTROL__INIT;
    Adr__Token token = ADR__TOKEN__INIT;
    uint8_t key[ADR_KEY_SIZE];
    adr_token_t secret = s_secret (key_of);
    adr_token_public (&secret, key);
    token.token_key = (ProtobufCBinaryData){ sizeof key, key };
    token.type = ADR_NODE_DATA;
    token.zone_name = (char *) zone;
    token.group_name = (char *) group;
    token.name = (char *) name;
    token.valid_ms = S_HOUR_MS;
    control.action = action;
    control.token = &token;
    s_send_control (&control);
    return s_answer ();
}

static void
a_token_of_a_set_is_replaced (void **state)
{
    (void) state;
    s_make_group ();
    assert_int_equal (s_ask_token (ADR__CONTROL_ACTION__TOKEN_WITHDRAW, 1, "", "", "")->status, ADR_STATUS_OK);
    s_assert_refused (s_join (1, 1001), "withdrawn");
    assert_int_equal (s_ask_token (ADR__CONTROL_ACTION__TOKEN, 20, "z9", "data2", "")->status, ADR_STATUS_REFUSED); /* it is not founded there */
    const Adr__ControlAnswer *answer = s_ask_token (ADR__CONTROL_ACTION__TOKEN, 20, "z2", "data2", "");
    assert_int_equal (answer->status, ADR_STATUS_OK);
    assert_string_equal (answer->token->name, "data2@z2");
    assert_int_equal (s_join (0, 1000)->status, ADR_STATUS_OK);
    assert_int_equal (s_join (2, 1002)->status, ADR_STATUS_OK);
    adr_map_t *map = s_registry ();
    assert_int_equal (map->group[map->group_count - 1].founding.count, 0);
    adr_map_destroy (&map);
}

/* [GROUP-4] Nobody votes there yet, so nobody is waited for; and it has not come. */
static void
who_is_evicted_has_not_come (void **state)
{
    (void) state;
    s_make_group ();
    assert_int_equal (s_join (0, 1000)->status, ADR_STATUS_OK);
    adr_id_t node;
    memset (node.bytes, 0x50, ADR_ID_SIZE);
    Adr__Control control = ADR__CONTROL__INIT;
    control.node = adr_id_view (&node);
    control.action = ADR__CONTROL_ACTION__DEMOTE;
    s_send_control (&control);
    assert_int_equal (s_answer ()->status, ADR_STATUS_REFUSED);
    control.action = ADR__CONTROL_ACTION__EVICT;
    adr_map_t *before = s_registry ();
    s_send_control (&control);
    s_sign_all ();
    assert_int_equal (s_answer ()->status, ADR_STATUS_OK);
    adr_map_t *map = s_registry ();
    assert_true (adr_map_node (map, &node)->evicted);
    assert_int_equal (map->group[map->group_count - 1].forming_count, 0);
    assert_true (adr_map_is_step (before, map));
    adr_map_destroy (&before);
    adr_map_destroy (&map);
    assert_int_equal (s_join (1, 1001)->status, ADR_STATUS_OK);
    assert_int_equal (s_join (2, 1002)->status, ADR_STATUS_OK);
    map = s_registry ();
    assert_int_equal (map->group[map->group_count - 1].founding.count, 0); /* z1 is missing again */
    adr_map_destroy (&map);
}

int
main (void)
{
#define S_TEST(name) cmocka_unit_test_setup_teardown (name, s_setup, s_teardown)
    const struct CMUnitTest tests[] = {
        S_TEST (a_set_is_committed_whole),
        S_TEST (the_same_question_is_answered_as_before),
        S_TEST (a_conflict_leaves_nothing_half_done),
        S_TEST (what_cannot_be_is_refused),
        S_TEST (names_are_found),
        S_TEST (with_the_last_one_it_is_formed),
        S_TEST (who_may_not_come),
        S_TEST (nobody_changes_what_is_told),
        S_TEST (a_token_of_a_set_is_replaced),
        S_TEST (who_is_evicted_has_not_come),
    };
    return cmocka_run_group_tests (tests, NULL, NULL);
}
