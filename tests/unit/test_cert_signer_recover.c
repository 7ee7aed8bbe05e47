/* SPDX-License-Identifier: MPL-2.0 */
/* How the root's statement becomes a change of the registry [RECOVER-3, RECOVER-4, RECOVER-8, RECOVER-9, RECOVER-11]. */

#include "actor_harness.h"
#include "registry_fixture.h"

#include "core/entry.h"
#include "core/map_recovery.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

static harness_t s_signer;
static adr_founding_t *s_founding;
static adr_map_t *s_map; /* what the signer knows */
static adr_authority_t s_authority;
static adr_arena_t s_arena;
static const adr_bytes_t s_nothing;

static int
s_setup (void **state)
{
    (void) state;
    adr_arena_init (&s_arena, 4096, 1 << 22);
    s_founding = registry_found ();
    s_map = adr_map_copy (s_founding->map);
    memcpy (s_authority.sign_seed, s_founding->authority[0].keys.sign_seed, ADR_KEY_SIZE);
    assert_true (adr_cert_decode (&s_authority.certificate, adr_bytes (s_founding->authority[0].certificate,
                                                                      s_founding->authority[0].certificate_size)));
    const adr_map_node_t *node = adr_founding_node (s_founding, 0, ADR_NODE_PKI);
    adr_environment_t environment = { .cluster = s_map->cluster, .node = node->id, .type = ADR_NODE_PKI, .group = node->group,
                                      .map = s_map, .authority = &s_authority, .seed = 7 };
    harness_start (&s_signer, &adr_cert_signer_class, &environment);
    return 0;
}

static int
s_teardown (void **state)
{
    (void) state;
    harness_stop (&s_signer);
    adr_map_destroy (&s_map);
    adr_founding_destroy (&s_founding);
    adr_arena_free (&s_arena);
    return 0;
}

/* That group's node of the first zone is to go on alone. */
static adr_recovery_t
s_statement (adr_node_type_t type, uint64_t number, uint64_t epoch)
{
    const adr_map_node_t *survivor = registry_node (s_map, 0, type);
    adr_recovery_t recovery = { .cluster = s_map->cluster, .group = survivor->group, .number = number, .survivor = survivor->id,
                                .incarnation = 5, .end = { 3, 40 }, .epoch = epoch };
    adr_recovery_sign (&recovery, FIXTURE_NOW_MS, s_founding->root.keys.sign_seed);
    return recovery;
}

static void
s_tell_map (void)
{
    Adr__MapChanged changed = ADR__MAP_CHANGED__INIT;
    changed.map = adr_map_message (s_map, &s_arena);
    harness_message (&s_signer, (adr_address_t){ s_signer.environment.node, ADR_ACTOR_MAP_KEEPER }, ADR_NODE_PKI,
                     ADR__KIND__MAP_CHANGED, &changed.base, s_nothing);
}

/* Enough have signed this registry: it is the map now. */
static void
s_tell_taken (const adr_map_t *taken)
{
    adr_map_destroy (&s_map);
    s_map = adr_map_copy (taken);
    s_tell_map ();
}

static void
s_reply (uint16_t kind, adr_status_t status, uint64_t version, adr_bytes_t value)
{
    Adr__Answer answer = ADR__ANSWER__INIT;
    Adr__VersionOf of = ADR__VERSION_OF__INIT;
    const ProtobufCMessage *asked = harness_sent (&s_signer, kind, harness_count (&s_signer, kind) - 1)->header;
    answer.number = kind == ADR__KIND__READ ? ((const Adr__Read *) asked)->number : ((const Adr__Write *) asked)->number;
    answer.status = status;
    of.epoch = of.term = 1;
    of.index = version;
    answer.version = version ? &of : NULL;
    harness_message (&s_signer, (adr_address_t){ s_signer.environment.node, ADR_ACTOR_REPLICATOR }, ADR_NODE_PKI,
                     ADR__KIND__ANSWER, &answer.base, value);
}

static void
s_apply_bytes (uint64_t number, adr_bytes_t statement)
{
    Adr__Control control = ADR__CONTROL__INIT;
    control.number = number;
    control.action = ADR__CONTROL_ACTION__RECOVER;
    control.limit_ms = 30000;
    control.recovery = (ProtobufCBinaryData){ statement.size, (uint8_t *) statement.data };
    adr_id_t edge = adr_founding_node (s_founding, 0, ADR_NODE_EDGE)->id;
    harness_message (&s_signer, (adr_address_t){ edge, ADR_ACTOR_EDGE_ROUTER }, ADR_NODE_EDGE, ADR__KIND__CONTROL, &control.base,
                     s_nothing);
}

static void
s_apply (uint64_t number, const adr_recovery_t *recovery)
{
    uint8_t bytes[ADR_RECOVERY_SIZE];
    s_apply_bytes (number, adr_bytes (bytes, adr_recovery_encode (recovery, bytes)));
}

/* What the survivor was asked last; NULL: nothing. */
static const harness_sent_t *
s_asked (void)
{
    size_t count = harness_count (&s_signer, ADR__KIND__CONTROL);
    return count ? harness_sent (&s_signer, ADR__KIND__CONTROL, count - 1) : NULL;
}

static void
s_survivor_says (const adr_recovery_t *recovery, adr_status_t status, const char *text)
{
    Adr__ControlAnswer answer = ADR__CONTROL_ANSWER__INIT;
    const harness_sent_t *asked = s_asked ();
    adr_node_type_t type = adr_map_node (s_map, &recovery->survivor)->type;
    assert_non_null (asked);
    assert_true (adr_id_equal (&asked->to.node, &recovery->survivor) && asked->to.actor == ADR_ACTOR_REPLICATOR);
    assert_int_equal (((const Adr__Control *) asked->header)->action, ADR__CONTROL_ACTION__RECOVER_ASK);
    answer.number = ((const Adr__Control *) asked->header)->number;
    answer.status = status;
    answer.text = (char *) text;
    harness_message (&s_signer, (adr_address_t){ recovery->survivor, ADR_ACTOR_REPLICATOR }, type, ADR__KIND__CONTROL_ANSWER, &answer.base,
                     s_nothing);
}

/* The survivor agrees, there are no users, and the registry's record is absent, or what is given. */
static void
s_read (const adr_recovery_t *recovery, const adr_map_t *record)
{
    s_survivor_says (recovery, ADR_STATUS_OK, "");
    s_reply (ADR__KIND__READ, ADR_STATUS_NOT_FOUND, 0, s_nothing);
    if (record)
        s_reply (ADR__KIND__READ, ADR_STATUS_OK, 9, adr_bytes (record->sealed, record->sealed_size));
    else
        s_reply (ADR__KIND__READ, ADR_STATUS_NOT_FOUND, 0, s_nothing);
}

/* The registry in the newest WRITE; the caller's. */
static adr_map_t *
s_written (void)
{
    size_t count = harness_count (&s_signer, ADR__KIND__WRITE);
    assert_int_not_equal (count, 0);
    const harness_sent_t *sent = harness_sent (&s_signer, ADR__KIND__WRITE, count - 1);
    const Adr__Write *write = (const Adr__Write *) sent->header;
    assert_int_equal (write->op[0]->table, ADR_TABLE_REGISTRY);
    assert_int_equal (write->op[1]->table, ADR_TABLE_AUDIT);
    adr_map_t *map = adr_registry_read (adr_bytes (sent->payload.data, write->op[0]->value_size));
    assert_non_null (map);
    return map;
}

static void
s_assert_answered (adr_status_t status, uint64_t number, const char *word)
{
    size_t count = harness_count (&s_signer, ADR__KIND__CONTROL_ANSWER);
    assert_int_not_equal (count, 0);
    const Adr__ControlAnswer *answer = (const Adr__ControlAnswer *) harness_sent (&s_signer, ADR__KIND__CONTROL_ANSWER, count - 1)->header;
    if (answer->status != status || answer->number != number || !strstr (answer->text, word))
        fail_msg ("%llu: %u %s, not %u %s", (unsigned long long) answer->number, answer->status, answer->text, status, word);
    assert_int_equal (count, 1);
    harness_forget (&s_signer);
}

/* --- what is written ------------------------------------------------------------------------------------------------- */

static void
s_assert_recovered (const adr_map_t *next, adr_node_type_t type, const adr_recovery_t *recovery)
{
    adr_recovery_t held;
    assert_true (adr_map_recovery (next, &recovery->group, &held));
    assert_memory_equal (&held, recovery, sizeof held);
    for (uint32_t zone = 0; zone < 3; zone++)
        for (uint32_t role = ADR_NODE_EDGE; role <= ADR_NODE_PKI; role++) {
            const adr_map_node_t *node = registry_node ((adr_map_t *) next, zone, (adr_node_type_t) role);
            bool goes = role == (uint32_t) type && zone > 0;
            assert_true (node->evicted == goes && node->leaving == goes && (node->certificate_size == 0) == goes);
        }
    for (uint32_t i = 0; i < next->range_count; i++)
        assert_int_equal (next->range[i].epoch, next->range[i].type == type ? 2 : 1);
    assert_true (adr_map_is_step (s_founding->map, next));
}

static void
the_registry_says_it_all_at_once (void **state)
{
    (void) state;
    adr_recovery_t recovery = s_statement (ADR_NODE_DATA, 1, 2);
    registry_node (s_map, 0, ADR_NODE_DATA)->leaving = true; /* it was to leave, and cannot be spared now */
    adr_map_unseal (s_map);
    adr_map_seal (s_map);
    s_tell_map ();
    s_apply (5, &recovery);
    assert_int_equal (harness_count (&s_signer, ADR__KIND__READ), 0); /* the survivor is asked first */
    s_read (&recovery, NULL);
    adr_map_t *next = s_written ();
    assert_int_equal (((const Adr__Write *) harness_sent (&s_signer, ADR__KIND__WRITE, 0)->header)->n_op, 2); /* no credentials are in it */
    s_assert_recovered (next, ADR_NODE_DATA, &recovery);
    const harness_sent_t *sent = harness_sent (&s_signer, ADR__KIND__WRITE, 0);
    const Adr__Write *write = (const Adr__Write *) sent->header;
    char row[1024] = "", id[ADR_ID_TEXT_SIZE];
    memcpy (row, sent->payload.data + write->op[0]->value_size, write->op[1]->value_size);
    adr_id_format (&registry_node (next, 2, ADR_NODE_DATA)->id, id);
    assert_true (strstr (row, "\"recover\"") && strstr (row, id) && strstr (row, "\"number\": 1"));
    assert_int_equal (harness_count (&s_signer, ADR__KIND__CONTROL_ANSWER), 0);
    s_reply (ADR__KIND__WRITE, ADR_STATUS_OK, 9, s_nothing);
    s_reply (ADR__KIND__READ, ADR_STATUS_OK, 9, adr_bytes (next->sealed, next->sealed_size));
    assert_int_equal (harness_count (&s_signer, ADR__KIND__CONTROL_ANSWER), 0); /* nor before enough have signed it */
    s_tell_taken (next);
    s_survivor_says (&recovery, ADR_STATUS_OK, "");
    s_reply (ADR__KIND__READ, ADR_STATUS_OK, 9, adr_bytes (next->sealed, next->sealed_size));
    s_assert_answered (ADR_STATUS_OK, 5, "recovered");
    s_apply (6, &recovery); /* the same again */
    s_read (&recovery, next);
    s_assert_answered (ADR_STATUS_OK, 6, "recovered");
    recovery = s_statement (ADR_NODE_DATA, 1, 3); /* another one of that number */
    s_apply (7, &recovery);
    s_read (&recovery, next);
    s_assert_answered (ADR_STATUS_REFUSED, 7, "number");
    adr_map_destroy (&next);
}

/* --- what is refused ------------------------------------------------------------------------------------------------- */

/* [RECOVER-1] Nobody is asked anything. */
static void
without_the_root_nothing_is_asked (void **state)
{
    (void) state;
    adr_recovery_t recovery = s_statement (ADR_NODE_DATA, 1, 2), request = recovery;
    adr_recovery_sign (&recovery, 1, s_authority.sign_seed);
    s_apply (5, &recovery);
    s_assert_answered (ADR_STATUS_DENIED, 5, "root");
    request.is_signed = false;
    request.signed_ms = 0;
    s_apply (6, &request);
    s_assert_answered (ADR_STATUS_INVALID, 6, "signed");
    s_apply_bytes (7, adr_bytes ("x", 1));
    s_assert_answered (ADR_STATUS_INVALID, 7, "signed");
    s_apply_bytes (8, s_nothing);
    s_assert_answered (ADR_STATUS_INVALID, 8, "signed");
    recovery = s_statement (ADR_NODE_DATA, 1, 2);
    recovery.survivor = harness_id (0x77);
    adr_recovery_sign (&recovery, 1, s_founding->root.keys.sign_seed);
    s_apply (9, &recovery);
    s_assert_answered (ADR_STATUS_REFUSED, 9, "no node");
    assert_int_equal (harness_count (&s_signer, ADR__KIND__CONTROL), 0);
}

/* [RECOVER-2] What the survivor says is the answer, and nothing is changed. */
static void
the_survivor_may_refuse (void **state)
{
    (void) state;
    adr_recovery_t recovery = s_statement (ADR_NODE_DATA, 1, 2);
    s_apply (5, &recovery);
    s_survivor_says (&recovery, ADR_STATUS_REFUSED, "the log's end has moved");
    assert_int_equal (harness_count (&s_signer, ADR__KIND__READ), 0);
    s_assert_answered (ADR_STATUS_REFUSED, 5, "moved");
}

/* One that does not answer is asked again, until the asker's time is over; another node's word is not its. */
static void
a_silent_survivor_is_asked_again (void **state)
{
    (void) state;
    adr_recovery_t recovery = s_statement (ADR_NODE_DATA, 1, 2);
    s_apply (5, &recovery);
    Adr__ControlAnswer answer = ADR__CONTROL_ANSWER__INIT;
    answer.number = ((const Adr__Control *) s_asked ()->header)->number;
    harness_message (&s_signer, (adr_address_t){ registry_node (s_map, 1, ADR_NODE_DATA)->id, ADR_ACTOR_REPLICATOR }, ADR_NODE_DATA,
                     ADR__KIND__CONTROL_ANSWER, &answer.base, s_nothing);
    assert_int_equal (harness_count (&s_signer, ADR__KIND__READ), 0);
    harness_advance (&s_signer, 5000 * ADR_MS);
    assert_in_range (harness_count (&s_signer, ADR__KIND__CONTROL), 3, 4);
    harness_advance (&s_signer, 26000 * ADR_MS);
    s_assert_answered (ADR_STATUS_UNKNOWN, 5, "ask again");
}

static void
s_tell_master (adr_node_type_t type, uint32_t age_ms)
{
    static uint64_t sequence;
    adr_group_status_t status = { .term = 1, .sequence = ++sequence, .member_count = 1, .master = registry_node (s_map, 1, type)->id,
                                  .age_ms = age_ms };
    adr_id_t group = registry_node (s_map, 0, type)->group;
    assert_true (adr_map_merge_status (s_map, &group, &status));
    s_tell_map ();
}

/* [RECOVER-11] */
static void
a_group_with_a_master_is_not_recovered (void **state)
{
    (void) state;
    adr_recovery_t recovery = s_statement (ADR_NODE_DATA, 1, 2);
    s_tell_master (ADR_NODE_DATA, 0);
    s_apply (5, &recovery);
    s_read (&recovery, NULL);
    s_assert_answered (ADR_STATUS_REFUSED, 5, "master");
    s_tell_master (ADR_NODE_DATA, 6000);
    s_apply (6, &recovery);
    s_read (&recovery, NULL);
    adr_map_t *next = s_written ();
    adr_map_destroy (&next);
}

/* [RECOVER-3] And an epoch that nobody could count up from. */
static void
what_cannot_be_is_refused (void **state)
{
    (void) state;
    adr_recovery_t held = s_statement (ADR_NODE_DATA, 7, 2), recovery;
    adr_map_group_t *group = adr_map_group (s_map, &held.group);
    group->recovery_size = adr_recovery_encode (&held, group->recovery);
    adr_map_unseal (s_map);
    adr_map_seal (s_map);
    s_tell_map ();
    recovery = s_statement (ADR_NODE_DATA, 6, 2);
    s_apply (5, &recovery);
    s_read (&recovery, NULL);
    s_assert_answered (ADR_STATUS_REFUSED, 5, "number");
    recovery = s_statement (ADR_NODE_DATA, 8, UINT64_C (1) << 60);
    s_apply (6, &recovery);
    s_read (&recovery, NULL);
    s_assert_answered (ADR_STATUS_REFUSED, 6, "epoch");
    recovery = s_statement (ADR_NODE_DATA, 8, 2);
    recovery.group = registry_node (s_map, 0, ADR_NODE_META)->group;
    adr_recovery_sign (&recovery, 1, s_founding->root.keys.sign_seed);
    s_apply (7, &recovery);
    s_read (&recovery, NULL);
    s_assert_answered (ADR_STATUS_REFUSED, 7, "no node of that group");
    assert_int_equal (harness_count (&s_signer, ADR__KIND__WRITE), 0);
}

/* --- the PKI group itself -------------------------------------------------------------------------------------------- */

/* [RECOVER-8] The epoch leaps; [RECOVER-9] but not before those that know more had time to say so. */
static void
the_pki_group_leaps (void **state)
{
    (void) state;
    adr_recovery_t recovery = s_statement (ADR_NODE_PKI, 1, 1001);
    s_apply (5, &recovery);
    s_read (&recovery, NULL);
    assert_int_equal (harness_count (&s_signer, ADR__KIND__WRITE), 0);
    harness_advance (&s_signer, 15000 * ADR_MS);
    s_survivor_says (&recovery, ADR_STATUS_OK, "");
    s_reply (ADR__KIND__READ, ADR_STATUS_NOT_FOUND, 0, s_nothing);
    assert_int_equal (harness_count (&s_signer, ADR__KIND__WRITE), 0);
    adr_map_t *newer = registry_next (s_founding->map); /* somebody does */
    registry_node (newer, 2, ADR_NODE_EDGE)->evicted = registry_node (newer, 2, ADR_NODE_EDGE)->leaving = true;
    registry_node (newer, 2, ADR_NODE_EDGE)->certificate_size = 0;
    adr_map_seal (newer);
    s_tell_taken (newer);
    harness_advance (&s_signer, 2000 * ADR_MS);
    s_survivor_says (&recovery, ADR_STATUS_OK, "");
    s_reply (ADR__KIND__READ, ADR_STATUS_OK, 3, adr_bytes (s_founding->map->sealed, s_founding->map->sealed_size)); /* its own log does not */
    adr_map_t *next = s_written ();
    assert_int_equal (next->epoch, 1001);
    const harness_sent_t *sent = harness_sent (&s_signer, ADR__KIND__WRITE, 0);
    const Adr__Write *write = (const Adr__Write *) sent->header;
    assert_int_equal (write->n_op, 3);
    assert_true (write->op[2]->table == ADR_TABLE_CREDENTIAL && write->op[2]->condition == ADR__CONDITION__ABSENT);
    const uint8_t *generation = sent->payload.data + write->op[0]->value_size + write->op[1]->value_size;
    assert_int_equal (adr_get_u64 (generation + 1), 1000); /* behind its format */
    assert_true (registry_node (next, 2, ADR_NODE_EDGE)->evicted);
    assert_true (registry_node (next, 1, ADR_NODE_PKI)->evicted && !registry_node (next, 0, ADR_NODE_PKI)->evicted);
    assert_true (adr_map_is_step (newer, next));
    adr_map_destroy (&newer);
    adr_map_destroy (&next);
}

/* [RECOVER-9] Neither another group's recovery of that number, nor this one an hour ago, has heard what others hold now. */
static void
each_recovery_hears_others_anew (void **state)
{
    (void) state;
    adr_recovery_t data = s_statement (ADR_NODE_DATA, 1, 2), recovery = s_statement (ADR_NODE_PKI, 1, 1001);
    s_apply (4, &data);
    s_read (&data, NULL);
    harness_advance (&s_signer, 31000 * ADR_MS);
    harness_forget (&s_signer);
    for (uint64_t number = 5; number <= 6; number++) {
        s_apply (number, &recovery);
        s_read (&recovery, NULL);
        assert_int_equal (harness_count (&s_signer, ADR__KIND__WRITE), 0);
        harness_advance (&s_signer, 1000 * ADR_MS);
        s_survivor_says (&recovery, ADR_STATUS_REFUSED, "no");
        s_assert_answered (ADR_STATUS_REFUSED, number, "no");
        harness_advance (&s_signer, 3600000 * ADR_MS);
        harness_forget (&s_signer);
    }
}

/* [RECOVER-11] What it agreed to a while ago may not be so any more. */
static void
a_survivor_is_asked_again_before_the_write (void **state)
{
    (void) state;
    adr_recovery_t recovery = s_statement (ADR_NODE_PKI, 1, 1001);
    s_apply (5, &recovery);
    s_read (&recovery, NULL);
    harness_advance (&s_signer, 17000 * ADR_MS);
    s_survivor_says (&recovery, ADR_STATUS_REFUSED, "its group has a master");
    s_assert_answered (ADR_STATUS_REFUSED, 5, "master");
    assert_int_equal (harness_count (&s_signer, ADR__KIND__WRITE), 0);
}

int
main (void)
{
#define S_TEST(name) cmocka_unit_test_setup_teardown (name, s_setup, s_teardown)
    const struct CMUnitTest tests[] = {
        S_TEST (the_registry_says_it_all_at_once),
        S_TEST (without_the_root_nothing_is_asked),
        S_TEST (the_survivor_may_refuse),
        S_TEST (a_silent_survivor_is_asked_again),
        S_TEST (a_group_with_a_master_is_not_recovered),
        S_TEST (what_cannot_be_is_refused),
        S_TEST (the_pki_group_leaps),
        S_TEST (each_recovery_hears_others_anew),
        S_TEST (a_survivor_is_asked_again_before_the_write),
    };
    return cmocka_run_group_tests (tests, NULL, NULL);
}
