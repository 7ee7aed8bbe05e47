/* SPDX-License-Identifier: MPL-2.0 */
/* How admins' settings become a record of the PKI group, all or none: docs/protocol/settings.md, SET-1 and SET-4. */

#include "actor_harness.h"
#include "registry_fixture.h"

#include "core/entry.h"
#include "core/settings.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#define S_SET ADR__CONTROL_ACTION__SETTINGS_SET
#define S_RESET ADR__CONTROL_ACTION__SETTINGS_RESET

static harness_t s_signer;
static adr_founding_t *s_founding;
static adr_map_t *s_map;  /* what enough have signed */
static adr_map_t *s_held; /* what the group's record has; NULL: there is none yet */
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
    const adr_founded_t *founded = &s_founding->authority[0];
    memcpy (s_authority.sign_seed, founded->keys.sign_seed, ADR_KEY_SIZE);
    assert_true (adr_cert_decode (&s_authority.certificate, adr_bytes (founded->certificate, founded->certificate_size)));
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
    adr_map_destroy (&s_held);
    adr_founding_destroy (&s_founding);
    adr_arena_free (&s_arena);
    return 0;
}

/* --- what the signer's world says --------------------------------------------------------------------------------- */

typedef struct {
    const char *name;
    uint64_t value;
} s_pair_t;

static void
s_ask (Adr__ControlAction action, uint64_t number, uint64_t if_epoch, const s_pair_t *pairs, size_t count)
{
    Adr__Control control = ADR__CONTROL__INIT;
    Adr__Setting setting[ADR_SETTINGS_MAX], *pointer[ADR_SETTINGS_MAX];
    for (size_t i = 0; i < count; i++) {
        adr__setting__init (&setting[i]);
        setting[i].name = (char *) pairs[i].name;
        setting[i].value = pairs[i].value;
        pointer[i] = &setting[i];
    }
    control.number = number;
    control.action = action;
    control.limit_ms = 10000;
    control.asker_name = (char *) "olga";
    control.n_setting = count;
    control.setting = pointer;
    control.if_epoch = if_epoch;
    adr_id_t edge = adr_founding_node (s_founding, 0, ADR_NODE_EDGE)->id;
    harness_message (&s_signer, (adr_address_t){ edge, ADR_ACTOR_EDGE_ROUTER }, ADR_NODE_EDGE, ADR__KIND__CONTROL, &control.base,
                     s_nothing);
}

#define S_ASK(action, number, if_epoch, ...)                                                                             \
    s_ask (action, number, if_epoch, (const s_pair_t[]){ __VA_ARGS__ },                                                  \
           sizeof ((const s_pair_t[]){ __VA_ARGS__ }) / sizeof (s_pair_t))

static void
s_answer (uint64_t number, adr_status_t status, const adr_map_t *map)
{
    Adr__Answer answer = ADR__ANSWER__INIT;
    Adr__VersionOf of = ADR__VERSION_OF__INIT;
    answer.number = number;
    answer.status = status;
    of.epoch = of.term = 1;
    of.index = map ? map->epoch : 0;
    answer.version = map ? &of : NULL;
    harness_message (&s_signer, (adr_address_t){ s_signer.environment.node, ADR_ACTOR_REPLICATOR }, ADR_NODE_PKI, ADR__KIND__ANSWER,
                     &answer.base, map ? adr_bytes (map->sealed, map->sealed_size) : s_nothing);
}

/* The group answers the reads that follow a question: there are no users [USER-6], and the registry is what it holds. */
static void
s_read (void)
{
    for (;;) {
        size_t count = harness_count (&s_signer, ADR__KIND__READ);
        if (count == 0)
            return;
        const Adr__Read read = *(const Adr__Read *) harness_sent (&s_signer, ADR__KIND__READ, count - 1)->header;
        harness_forget (&s_signer);
        bool registry = read.table == ADR_TABLE_REGISTRY && s_held;
        s_answer (read.number, registry ? ADR_STATUS_OK : ADR_STATUS_NOT_FOUND, registry ? s_held : NULL);
        if (harness_count (&s_signer, ADR__KIND__CONTROL_ANSWER) || harness_count (&s_signer, ADR__KIND__WRITE))
            return;
    }
}

/* What the newest WRITE says becomes the group's record, and the write's answer leaves. The audit's row is lent. */
static adr_bytes_t
s_commit (void)
{
    const harness_sent_t *sent = harness_sent (&s_signer, ADR__KIND__WRITE, 0);
    assert_non_null (sent);
    const Adr__Write *write = (const Adr__Write *) sent->header;
    assert_int_equal (write->n_op, 2);
    assert_int_equal (write->op[0]->table, ADR_TABLE_REGISTRY);
    assert_int_equal (write->op[0]->condition, s_held ? ADR__CONDITION__VERSION : ADR__CONDITION__ABSENT);
    assert_int_equal (write->op[1]->table, ADR_TABLE_AUDIT);
    adr_map_destroy (&s_held);
    s_held = adr_registry_read (adr_bytes (sent->payload.data, write->op[0]->value_size));
    assert_non_null (s_held);
    assert_true (adr_map_is_step (s_map, s_held)); /* PKI nodes sign it */
    static uint8_t s_row[4096];
    size_t size = write->op[1]->value_size;
    assert_true (size < sizeof s_row);
    memcpy (s_row, sent->payload.data + write->op[0]->value_size, size);
    s_row[size] = 0;
    s_answer (write->number, ADR_STATUS_OK, NULL);
    return adr_bytes (s_row, size);
}

/* Enough have signed what the group holds. */
static void
s_sign (void)
{
    adr_map_destroy (&s_map);
    s_map = adr_map_copy (s_held);
    Adr__MapChanged changed = ADR__MAP_CHANGED__INIT;
    changed.map = adr_map_message (s_map, &s_arena);
    harness_message (&s_signer, (adr_address_t){ s_signer.environment.node, ADR_ACTOR_MAP_KEEPER }, ADR_NODE_PKI, ADR__KIND__MAP_CHANGED,
                     &changed.base, s_nothing);
}

/* All of it, up to the answer. */
static void
s_go_through (void)
{
    s_read ();
    (void) s_commit ();
    s_sign ();
    s_read ();
}

static void
s_assert_answered (adr_status_t status, uint64_t number, const char *says)
{
    assert_int_equal (harness_count (&s_signer, ADR__KIND__CONTROL_ANSWER), 1);
    const Adr__ControlAnswer *answer = (const Adr__ControlAnswer *) harness_sent (&s_signer, ADR__KIND__CONTROL_ANSWER, 0)->header;
    if (answer->status != status || !strstr (answer->text, says))
        fail_msg ("%s: %s: expected %s: %s", adr_status_name (answer->status), answer->text, adr_status_name (status), says);
    assert_int_equal (answer->number, number);
    harness_forget (&s_signer);
}

static uint64_t
s_value (const char *name)
{
    const adr_setting_t *setting = adr_setting_in (s_held->setting, s_held->setting_count, name);
    return setting ? setting->value : 0;
}

/* --- all or none [SET-1] ------------------------------------------------------------------------------------------- */

static void
several_are_one_change (void **state)
{
    (void) state;
    S_ASK (S_SET, 5, 0, { "timing.poll", 200 }, { "gc.grace", 7200000 }, { "timing.election-min", 1000 }, { "timing.election-max", 2500 });
    s_read ();
    adr_bytes_t row = s_commit ();
    assert_int_equal (s_held->epoch, 2);
    assert_int_equal (s_held->setting_count, 4);
    assert_int_equal (s_value ("gc.grace"), 7200000);
    assert_int_equal (s_value ("timing.election-max"), 2500);
    assert_non_null (strstr ((const char *) row.data, "\"action\": \"settings-set\", \"settings\": {\"timing.poll\": [null, \"200ms\"], "
                                                      "\"gc.grace\": [null, \"2h\"], "));
    assert_non_null (strstr ((const char *) row.data, "\"by_user\": \"olga\""));
    s_read ();
    assert_int_equal (harness_count (&s_signer, ADR__KIND__CONTROL_ANSWER), 0); /* too few have signed it yet */
    s_sign ();
    s_read ();
    s_assert_answered (ADR_STATUS_OK, 5, "done");
}

static void
the_audit_names_what_was_before (void **state)
{
    (void) state;
    S_ASK (S_SET, 5, 0, { "store.scrub-rate", 1 << 20 }, { "gc.grace", 5000 });
    s_go_through ();
    s_assert_answered (ADR_STATUS_OK, 5, "");
    S_ASK (S_SET, 6, 0, { "store.scrub-rate", 4096 });
    s_read ();
    assert_non_null (strstr ((const char *) s_commit ().data, "{\"store.scrub-rate\": [\"1MiB\", \"4KiB\"]}"));
    s_sign ();
    s_read ();
    s_assert_answered (ADR_STATUS_OK, 6, "");
    S_ASK (S_RESET, 7, 0, { "gc.grace", 0 }, { "store.scrub-rate", 0 });
    s_read ();
    assert_non_null (strstr ((const char *) s_commit ().data,
                             "\"settings-reset\", \"settings\": {\"gc.grace\": [\"5s\", null], \"store.scrub-rate\": [\"4KiB\", null]}"));
    assert_int_equal (s_held->setting_count, 0);
    s_sign ();
    s_read ();
    s_assert_answered (ADR_STATUS_OK, 7, "done");
}

/* All that there are, with the longest values and names of users: the audit's row has room for it. */
static void
all_at_once_fit (void **state)
{
    (void) state;
    s_pair_t pairs[ADR_SETTINGS_KNOWN];
    for (uint32_t i = 0; i < ADR_SETTINGS_KNOWN; i++)
        pairs[i] = (s_pair_t){ adr_setting_row (i)->name, adr_setting_row (i)->high };
    pairs[ADR_SETTINGS_KNOWN - 1].value--; /* an odd number of ms */
    for (uint32_t i = 0; i < ADR_SETTINGS_KNOWN; i++) {
        if (strcmp (pairs[i].name, "timing.election-max") == 0)
            pairs[i].value = 59999;
        if (strcmp (pairs[i].name, "timing.election-min") == 0)
            pairs[i].value = 30001;
    }
    s_ask (S_SET, 5, 0, pairs, ADR_SETTINGS_KNOWN);
    s_go_through ();
    s_assert_answered (ADR_STATUS_OK, 5, "done");
    assert_int_equal (s_held->setting_count, ADR_SETTINGS_KNOWN);
}

static void
one_bad_one_refuses_all (void **state)
{
    (void) state;
    static const s_pair_t s_good = { "gc.grace", 5000 };
    static const struct {
        Adr__ControlAction action;
        s_pair_t bad;
        const char *says;
    } s_bad[] = {
        { S_SET, { "gc.gracee", 5000 }, "gc.gracee: there is no such setting" },
        { S_SET, { "", 5000 }, "there is no such setting" },
        { S_SET, { "gc.grace", 6000 }, "named twice" },
        { S_SET, { "store.scrub-rate", 4095 }, "store.scrub-rate: 4095B is not within 4KiB to 64GiB" },
        { S_SET, { "timing.checkpoint", UINT64_MAX }, "is not within 100ms to 1h" },
        { S_RESET, { "quorum", 0 }, "quorum: there is no such setting" },
        { S_RESET, { "gc.grace", 0 }, "named twice" },
    };
    for (size_t i = 0; i < sizeof s_bad / sizeof s_bad[0]; i++) {
        S_ASK (s_bad[i].action, i + 1, 0, s_good, s_bad[i].bad);
        assert_int_equal (harness_count (&s_signer, ADR__KIND__READ), 0);
        s_assert_answered (ADR_STATUS_INVALID, i + 1, s_bad[i].says);
    }
    s_ask (S_SET, 9, 0, NULL, 0);
    s_assert_answered (ADR_STATUS_INVALID, 9, "no setting is named");
}

/* [SET-4] What goes together is judged with what is set already. */
static void
what_does_not_go_together_refuses_all (void **state)
{
    (void) state;
    S_ASK (S_SET, 1, 0, { "gc.grace", 5000 }, { "timing.poll", 200 });
    s_read ();
    s_assert_answered (ADR_STATUS_INVALID, 1, "set together");
    S_ASK (S_SET, 2, 0, { "timing.poll", 200 }, { "timing.election-min", 1000 }, { "timing.election-max", 2000 });
    s_go_through ();
    s_assert_answered (ADR_STATUS_OK, 2, "done");
    S_ASK (S_SET, 3, 0, { "timing.poll", 400 }, { "gc.grace", 5000 });
    s_read ();
    s_assert_answered (ADR_STATUS_INVALID, 3, "three times timing.poll");
    S_ASK (S_SET, 4, 0, { "timing.write-timeout", 1999 });
    s_read ();
    s_assert_answered (ADR_STATUS_INVALID, 4, "at least timing.election-max");
    S_ASK (S_RESET, 5, 0, { "timing.election-min", 0 });
    s_read ();
    s_assert_answered (ADR_STATUS_INVALID, 5, "reset together");
    S_ASK (S_SET, 6, 0, { "timing.poll", 300 });
    s_go_through ();
    s_assert_answered (ADR_STATUS_OK, 6, "done");
    assert_int_equal (s_held->epoch, 3);
    assert_int_equal (s_value ("timing.election-min"), 1000);
}

/* --- asked again, and on a condition ------------------------------------------------------------------------------ */

static void
what_is_so_already_changes_nothing (void **state)
{
    (void) state;
    S_ASK (S_RESET, 1, 0, { "gc.grace", 0 });
    s_read ();
    s_assert_answered (ADR_STATUS_OK, 1, "so already");
    S_ASK (S_SET, 2, 1, { "gc.grace", 5000 });
    s_go_through ();
    s_assert_answered (ADR_STATUS_OK, 2, "done");
    S_ASK (S_SET, 2, 1, { "gc.grace", 5000 }); /* the answer was lost, and the epoch is another one since */
    s_read ();
    s_assert_answered (ADR_STATUS_OK, 2, "so already");
    assert_int_equal (s_held->epoch, 2);
}

static void
another_epoch_is_a_conflict (void **state)
{
    (void) state;
    S_ASK (S_SET, 1, 2, { "gc.grace", 5000 });
    s_read ();
    s_assert_answered (ADR_STATUS_CONFLICT, 1, "the registry has epoch 1");
    S_ASK (S_SET, 2, 1, { "gc.grace", 5000 });
    s_go_through ();
    s_assert_answered (ADR_STATUS_OK, 2, "done");
}

/* The same question while it is under way has one answer, under its newest number; another one has to wait. */
static void
one_change_at_a_time (void **state)
{
    (void) state;
    S_ASK (S_SET, 1, 0, { "gc.grace", 5000 });
    S_ASK (S_SET, 2, 0, { "gc.grace", 6000 });
    s_assert_answered (ADR_STATUS_REFUSED, 2, "busy");
    S_ASK (S_RESET, 3, 0, { "gc.grace", 0 });
    s_assert_answered (ADR_STATUS_REFUSED, 3, "busy");
    S_ASK (S_SET, 4, 0, { "gc.grace", 5000 });
    assert_int_equal (harness_count (&s_signer, ADR__KIND__CONTROL_ANSWER), 0);
}

/* Committed, and changed by another PKI node before it could be answered: nobody is told that it holds, nor that it was refused. */
static void
what_was_overtaken_is_unknown (void **state)
{
    (void) state;
    S_ASK (S_SET, 1, 0, { "gc.grace", 5000 });
    s_read ();
    (void) s_commit ();
    adr_map_t *next = registry_next (s_held);
    assert_true (adr_setting_enter (next, "gc.grace", 6000));
    adr_map_seal (next);
    adr_map_destroy (&s_held);
    s_held = next;
    s_read ();
    s_assert_answered (ADR_STATUS_UNKNOWN, 1, "something else by now");
}

#define S_TEST(name) cmocka_unit_test_setup_teardown (name, s_setup, s_teardown)

int
main (void)
{
    const struct CMUnitTest tests[] = {
        S_TEST (several_are_one_change),
        S_TEST (the_audit_names_what_was_before),
        S_TEST (all_at_once_fit),
        S_TEST (one_bad_one_refuses_all),
        S_TEST (what_does_not_go_together_refuses_all),
        S_TEST (what_is_so_already_changes_nothing),
        S_TEST (another_epoch_is_a_conflict),
        S_TEST (one_change_at_a_time),
        S_TEST (what_was_overtaken_is_unknown),
    };
    return cmocka_run_group_tests (tests, NULL, NULL);
}
