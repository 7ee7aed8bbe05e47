/* SPDX-License-Identifier: MPL-2.0 */
/* The replicator of a group that has lost its quorum for good: when the root names it as the only voter, and when it had better not
 * [RECOVER-2, RECOVER-3, RECOVER-6, RECOVER-8, RECOVER-11, PART-1]. */

#include "replicator_fixture.h"

#include "core/cert.h"
#include "core/entry.h"
#include "wire/map_codec.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#define S_TERMS (UINT64_C (1) << 20)
#define S_TICK_NS (20 * ADR_MS)

static const uint8_t s_root_seed[32] = { 1 };
static const adr_bytes_t s_nothing;

/* --- the world ---------------------------------------------------------------------------------------------------- */

static adr_map_group_t *
s_group (void)
{
    adr_id_t id = harness_id (0xb0 + ADR_NODE_META);
    return adr_map_group (fixture.map, &id);
}

static adr_position_t
s_last (void)
{
    return adr_store_last (fixture.store);
}

static void
s_tick (void)
{
    harness_advance (&fixture.harness, 2 * S_TICK_NS);
}

/* Everything that was asked of the disk is done. */
static void
s_settle (void)
{
    for (int i = 0; i < 3; i++) {
        harness_durable (&fixture.harness);
        s_tick ();
        fixture_sync ();
    }
}

/* That this node goes on alone from its log's present end on. */
static adr_recovery_t
s_statement (uint64_t number)
{
    adr_recovery_t recovery = { .cluster = fixture.map->cluster, .group = s_group ()->id, .number = number,
                                .survivor = fixture_meta (1, 0).node, .incarnation = 101, .end = s_last (), .epoch = 2 };
    adr_recovery_sign (&recovery, 1, s_root_seed);
    return recovery;
}

static void
s_tell_map (void)
{
    adr_arena_t arena;
    Adr__MapChanged changed = ADR__MAP_CHANGED__INIT;
    adr_arena_init (&arena, 4096, 1 << 20);
    adr_map_unseal (fixture.map);
    fixture.map->epoch++;
    changed.map = adr_map_message (fixture.map, &arena);
    fixture_tell (1, ADR_ACTOR_MAP_KEEPER, ADR__KIND__MAP_CHANGED, &changed.base);
    adr_arena_free (&arena);
}

/* The registry takes it, with all that goes with it. */
static void
s_tell_recovered (const adr_recovery_t *recovery)
{
    s_group ()->recovery_size = adr_recovery_encode (recovery, s_group ()->recovery);
    for (uint32_t i = 0; i < fixture.map->range_count; i++)
        fixture.map->range[i].epoch += adr_id_equal (&fixture.map->range[i].group, &recovery->group);
    for (unsigned zone = 2; zone <= 3; zone++) {
        adr_id_t id = fixture_meta (zone, 0).node;
        adr_map_node_t *node = (adr_map_node_t *) adr_map_node (fixture.map, &id);
        node->leaving = node->evicted = true;
    }
    s_tell_map ();
    s_tick ();
}

/* The log has one entry of term 5, from a master that is gone. */
static int
s_start (void **state)
{
    uint8_t at[ADR_CERTIFICATE_MAX];
    adr_cert_t root = { .kind = ADR_CERT_ROOT, .serial = 1, .issuer_serial = 1, .not_after_ms = 1, .name = "root" };
    adr_keys_t keys = { 0 };
    if (fixture_start (state))
        return 1;
    memcpy (keys.sign_seed, s_root_seed, sizeof s_root_seed);
    adr_keys_public (&keys, NULL, root.sign_key);
    root.cluster = fixture.map->cluster;
    adr_cert_sign (&root, s_root_seed);
    for (uint32_t i = 0; i < fixture.map->range_count; i++)
        fixture.map->range[i].epoch = 1;
    fixture.map->root_certificate_size = adr_cert_encode (&root, at);
    memcpy (fixture.map->root_certificate, at, fixture.map->root_certificate_size);
    s_tell_map ();
    fixture_append (fixture_meta (2, ADR_ACTOR_REPLICATOR), 5, (adr_position_t){ 0, 0 }, 1);
    s_settle ();
    harness_advance (&fixture.harness, 3000 * ADR_MS);
    harness_forget (&fixture.harness);
    return 0;
}

/* The actor starts anew, and finds what was stored. */
static void
s_revive (void)
{
    harness_t *harness = &fixture.harness;
    harness->class->destroy (&harness->actor);
    harness->token_count = 0;
    harness->actor = harness->class->create (&harness->environment);
    harness_event (harness, (adr_event_t){ .kind = ADR_EVENT_START });
}

static bool
s_votes_alone (void)
{
    const adr_voters_t *voters = adr_store_voters (fixture.store);
    adr_id_t own = fixture_meta (1, 0).node;
    return voters->count == 1 && adr_voters_find (voters, &own, 101) == 0;
}

static void
s_assert_untouched (void)
{
    s_settle ();
    assert_true (s_last ().term == 5 && s_last ().index == 1);
    assert_int_equal (adr_store_voters (fixture.store)->count, 3);
}

/* The entry at that index. */
static adr_entry_t
s_entry (uint64_t index)
{
    static adr_entry_t entry;
    adr_buffer_t bytes = { 0 };
    adr_status_t status;
    assert_int_equal (adr_store_read_log (fixture.store, index, 1, &bytes, &status), 1);
    assert_true (adr_entry_decode (&entry, adr_bytes (bytes.data, bytes.size)) > 0);
    adr_buffer_free (&bytes);
    return entry;
}

/* --- what it does ------------------------------------------------------------------------------------------------- */

/* [RECOVER-6] Step by step; and what it had not known as committed is committed by its opening entry. */
static void
the_survivor_goes_on_alone (void **state)
{
    (void) state;
    adr_recovery_t recovery = s_statement (1);
    assert_int_equal (adr_store_commit (fixture.store), 0);
    s_tell_recovered (&recovery);
    fixture_sync ();
    assert_int_equal (s_last ().index, 1); /* nothing before number and term are durable */
    harness_durable (&fixture.harness);
    s_tick ();
    assert_true (s_last ().index == 2 && s_last ().term == 5 + S_TERMS);
    assert_true (s_votes_alone ());
    fixture_sync ();
    s_tick ();
    const Adr__Voters *told = (const Adr__Voters *) fixture_newest (ADR__KIND__VOTERS);
    assert_true (told->term == 5 + S_TERMS && told->may_stand && told->voters->n_voter == 1);
    fixture_lead (6 + S_TERMS);
    assert_int_equal (adr_store_commit (fixture.store), 3);
    fixture_write (1);
    assert_int_equal (((const Adr__Answer *) fixture_newest (ADR__KIND__ANSWER))->status, ADR_STATUS_OK);
}

/* [RECOVER-6] A number that is not stored would be carried out twice, a term that is not stored given twice. */
static void
both_are_durable_before_the_entry (void **state)
{
    (void) state;
    adr_recovery_t recovery = s_statement (1);
    s_tell_recovered (&recovery);
    fixture.harness.token_count = 0;
    harness_event (&fixture.harness, (adr_event_t){ .kind = ADR_EVENT_DURABLE, .token = 5 + S_TERMS });
    s_tick ();
    assert_int_equal (s_last ().index, 1);
    harness_event (&fixture.harness, (adr_event_t){ .kind = ADR_EVENT_DURABLE, .token = UINT64_C (1) << 63 });
    s_tick ();
    assert_int_equal (s_last ().index, 2);
}

/* [RECOVER-6] As high a term again above a fence that is above the log. */
static void
the_term_is_above_the_fence (void **state)
{
    (void) state;
    fixture_append (fixture_meta (3, ADR_ACTOR_REPLICATOR), 70, (adr_position_t){ 5, 1 }, 0);
    s_settle ();
    adr_recovery_t recovery = s_statement (1);
    s_tell_recovered (&recovery);
    s_settle ();
    assert_int_equal (s_last ().term, 70 + S_TERMS);
}

/* [RECOVER-2] */
static void
a_log_whose_end_has_moved_does_nothing (void **state)
{
    (void) state;
    adr_recovery_t recovery = s_statement (1);
    for (int turn = 0; turn < 3; turn++) {
        recovery.end = turn == 0 ? (adr_position_t){ 5, 2 } : turn == 1 ? (adr_position_t){ 4, 1 } : (adr_position_t){ 5, 3 };
        recovery.number++;
        adr_recovery_sign (&recovery, 1, s_root_seed);
        size_t errors = fixture.harness.notes[ADR_LEVEL_ERROR];
        s_tell_recovered (&recovery);
        s_assert_untouched ();
        assert_int_equal (fixture.harness.notes[ADR_LEVEL_ERROR], errors + 1); /* said once */
    }
}

static void
another_life_or_node_does_nothing (void **state)
{
    (void) state;
    adr_recovery_t recovery = s_statement (1);
    recovery.incarnation = 100;
    adr_recovery_sign (&recovery, 1, s_root_seed);
    s_tell_recovered (&recovery);
    s_assert_untouched ();
    assert_int_equal (fixture.harness.notes[ADR_LEVEL_ERROR], 0); /* the registry keeps statements, for those that came after, too */
    recovery = s_statement (2);
    recovery.survivor = fixture_meta (2, 0).node;
    adr_recovery_sign (&recovery, 1, s_root_seed);
    s_tell_recovered (&recovery);
    s_assert_untouched ();
}

/* [RECOVER-3] What was done is not done again, by no statement of that number or a lower one, wherever the log ends. */
static void
numbers_only_rise (void **state)
{
    (void) state;
    adr_recovery_t recovery = s_statement (5);
    s_tell_recovered (&recovery);
    s_settle ();
    adr_position_t done = s_last ();
    assert_int_equal (done.index, 2);
    for (uint64_t number = 4; number <= 6; number++) {
        recovery = s_statement (number);
        s_tell_recovered (&recovery);
        s_settle ();
        assert_int_equal (s_last ().index, number == 6 ? 3 : 2);
        s_revive ();
        s_settle ();
        assert_int_equal (s_last ().index, number == 6 ? 3 : 2);
    }
    assert_int_equal (s_last ().term, done.term + S_TERMS);
}

/* [RECOVER-6] A disk from before the recovery is put back, when the group has grown again: it would be a second master of the same term. */
static void
an_old_disk_does_not_go_on_alone (void **state)
{
    (void) state;
    adr_recovery_t recovery = s_statement (1);
    adr_id_t id = fixture_meta (2, 0).node;
    s_group ()->recovery_size = adr_recovery_encode (&recovery, s_group ()->recovery);
    adr_map_node_t *node = (adr_map_node_t *) adr_map_node (fixture.map, &id);
    node->leaving = node->evicted = true; /* zone 3's node is one that came in since */
    s_tell_map ();
    s_assert_untouched ();
    assert_int_equal (fixture.harness.notes[ADR_LEVEL_ERROR], 1);
    recovery.number = 2; /* the way out: one more that evicts it, too */
    adr_recovery_sign (&recovery, 1, s_root_seed);
    s_tell_recovered (&recovery);
    s_settle ();
    assert_true (s_votes_alone ());
}

/* --- crashes ------------------------------------------------------------------------------------------------------- */

/* Between number and term, and the voters entry. */
static void
a_crash_before_the_entry_is_made_good (void **state)
{
    (void) state;
    adr_recovery_t recovery = s_statement (1);
    s_tell_recovered (&recovery);
    s_revive ();
    s_settle ();
    assert_true (s_last ().index == 2 && s_last ().term == 5 + S_TERMS);
    assert_true (s_votes_alone ());
}

/* The fence was not stored any more: it is raised again, to the same term. */
static void
a_crash_before_the_fence_is_made_good (void **state)
{
    (void) state;
    adr_recovery_t recovery = s_statement (1);
    s_tell_recovered (&recovery);
    for (size_t i = 0; i < fixture.harness.state_count; i++)
        if (strcmp (fixture.harness.state[i].name, "fence") == 0)
            adr_buffer_clear (&fixture.harness.state[i].value);
    s_revive ();
    s_tick ();
    assert_int_equal (s_last ().index, 1);
    s_settle ();
    assert_true (s_last ().index == 2 && s_last ().term == 5 + S_TERMS);
}

/* The entry was lost with the page cache: the same one is made again. */
static void
a_lost_entry_is_made_again (void **state)
{
    (void) state;
    adr_recovery_t recovery = s_statement (1);
    s_tell_recovered (&recovery);
    harness_durable (&fixture.harness);
    s_tick ();
    assert_int_equal (s_last ().index, 2);
    adr_store_cut (fixture.store, 1);
    s_revive ();
    s_settle ();
    assert_true (s_last ().index == 2 && s_last ().term == 5 + S_TERMS);
    assert_true (s_votes_alone ());
}

/* --- the others ----------------------------------------------------------------------------------------------------- */

/* [RECOVER-7] The lost ones' master lives, and this node has not been told yet that it is not to be heard. */
static void
the_lost_ones_change_nothing_any_more (void **state)
{
    (void) state;
    adr_recovery_t recovery = s_statement (1);
    s_tell_recovered (&recovery);
    for (uint64_t term = 5; term < 1000; term += 500) {
        fixture_append (fixture_meta (2, ADR_ACTOR_REPLICATOR), term, (adr_position_t){ 5, 1 }, 1);
        assert_int_equal (s_last ().index, 1);
    }
    s_settle ();
    fixture_append (fixture_meta (2, ADR_ACTOR_REPLICATOR), 6, (adr_position_t){ 5, 1 }, 1);
    assert_int_equal (s_last ().term, 5 + S_TERMS);
}

/* [REPL-2] They had committed more than this log holds: the same indexes hold other entries now, which nobody has committed. */
static void
what_they_had_committed_is_not_this_log_s (void **state)
{
    (void) state;
    Adr__Evidence evidence = ADR__EVIDENCE__INIT;
    adr_id_t master = fixture_meta (2, 0).node;
    evidence.term = 5;
    evidence.master = adr_id_view (&master);
    evidence.since_ns = fixture.harness.now_ns;
    evidence.commit = 50;
    evidence.unlocked_known = true;
    evidence.unlocked = 40;
    fixture_tell (1, ADR_ACTOR_HEALTH_CHECKER, ADR__KIND__EVIDENCE, &evidence.base);
    assert_int_equal (adr_store_commit (fixture.store), 1);
    adr_recovery_t recovery = s_statement (1);
    s_tell_recovered (&recovery);
    s_settle ();
    fixture_append (fixture_meta (2, ADR_ACTOR_REPLICATOR), 6 + S_TERMS, (adr_position_t){ 5 + S_TERMS, 2 }, 1);
    fixture_sync ();
    assert_int_equal (s_last ().index, 3);
    assert_int_equal (adr_store_commit (fixture.store), 1);
    Adr__Ping ping = ADR__PING__INIT;
    fixture_tell (1, ADR_ACTOR_HEALTH_CHECKER, ADR__KIND__PING, &ping.base);
    assert_in_range (((const Adr__Pong *) fixture_newest (ADR__KIND__PONG))->unlocked, 0, 1);
}

/* --- epochs --------------------------------------------------------------------------------------------------------- */

/* [PART-1] Versions that are written afterwards are of the partitions' new epoch, under masters that have not heard of it, too. */
static void
the_epoch_never_falls (void **state)
{
    (void) state;
    assert_int_equal (s_entry (1).epoch, 1);
    adr_recovery_t recovery = s_statement (1);
    s_tell_recovered (&recovery);
    s_settle ();
    assert_int_equal (s_entry (2).epoch, 2);
    for (uint32_t i = 0; i < fixture.map->range_count; i++)
        fixture.map->range[i].epoch = 1;
    s_revive ();
    fixture_lead (6 + S_TERMS);
    fixture_write (1);
    assert_int_equal (s_entry (4).epoch, 2);
    const Adr__Answer *answer = (const Adr__Answer *) fixture_newest (ADR__KIND__ANSWER);
    assert_int_equal (answer->version->epoch, 2);
}

/* --- what it is asked ----------------------------------------------------------------------------------------------- */

static const Adr__ControlAnswer *
s_ask (Adr__ControlAction action, const adr_recovery_t *recovery, bool by_edge)
{
    uint8_t bytes[ADR_RECOVERY_SIZE];
    Adr__Control ask = ADR__CONTROL__INIT;
    adr_node_type_t type = by_edge ? ADR_NODE_EDGE : ADR_NODE_PKI;
    ask.number = 9;
    ask.action = action;
    if (recovery)
        ask.recovery = (ProtobufCBinaryData){ adr_recovery_encode (recovery, bytes), bytes };
    harness_message (&fixture.harness, harness_address (2, type, by_edge ? ADR_ACTOR_EDGE_ROUTER : ADR_ACTOR_CERT_SIGNER), type, ADR__KIND__CONTROL,
                     &ask.base, s_nothing);
    const Adr__ControlAnswer *answer = (const Adr__ControlAnswer *) fixture_newest (ADR__KIND__CONTROL_ANSWER);
    assert_int_equal (answer->number, 9);
    return answer;
}

static void
s_assert_asked (const adr_recovery_t *recovery, adr_status_t status, const char *word)
{
    const Adr__ControlAnswer *answer = s_ask (ADR__CONTROL_ACTION__RECOVER_ASK, recovery, false);
    if (answer->status != status || !strstr (answer->text, word))
        fail_msg ("%u %s, not %u %s", answer->status, answer->text, status, word);
}

static void
s_hear_master (void)
{
    Adr__Evidence evidence = ADR__EVIDENCE__INIT;
    adr_id_t master = fixture_meta (2, 0).node;
    evidence.term = 5;
    evidence.master = adr_id_view (&master);
    evidence.since_ns = fixture.harness.now_ns;
    fixture_tell (1, ADR_ACTOR_HEALTH_CHECKER, ADR__KIND__EVIDENCE, &evidence.base);
}

/* [RECOVER-2, RECOVER-11] Before the registry says anything. */
static void
it_says_whether_it_can_be (void **state)
{
    (void) state;
    adr_recovery_t recovery = s_statement (1), other = recovery;
    s_assert_asked (&recovery, ADR_STATUS_OK, "alone");
    s_assert_untouched (); /* of another group than PKI's the registry has to say it */
    other.end.index++;
    s_assert_asked (&other, ADR_STATUS_DENIED, "root"); /* changed behind the root's back */
    adr_recovery_sign (&other, 1, s_root_seed);
    s_assert_asked (&other, ADR_STATUS_REFUSED, "moved");
    other = recovery;
    other.incarnation++;
    adr_recovery_sign (&other, 1, s_root_seed);
    s_assert_asked (&other, ADR_STATUS_REFUSED, "incarnation");
    other = recovery;
    other.is_signed = false;
    other.signed_ms = 0;
    s_assert_asked (&other, ADR_STATUS_DENIED, "root");
    s_hear_master ();
    s_assert_asked (&recovery, ADR_STATUS_REFUSED, "master");
    harness_advance (&fixture.harness, 3000 * ADR_MS);
    s_assert_asked (&recovery, ADR_STATUS_OK, "alone");
    assert_int_equal (s_ask (ADR__CONTROL_ACTION__RECOVER_ASK, &recovery, true)->status, ADR_STATUS_INVALID); /* an edge's is none */
    s_assert_untouched ();
}

static void
what_is_done_is_answered_as_done (void **state)
{
    (void) state;
    adr_recovery_t recovery = s_statement (2), older = s_statement (1);
    s_tell_recovered (&recovery);
    s_settle ();
    s_assert_asked (&recovery, ADR_STATUS_OK, "alone");
    s_assert_asked (&older, ADR_STATUS_REFUSED, "higher number");
}

/* [RECOVER-8] */
static void
the_pki_group_s_survivor_acts_at_once (void **state)
{
    (void) state;
    adr_recovery_t recovery = s_statement (1);
    fixture.harness.environment.type = ADR_NODE_PKI;
    s_assert_asked (&recovery, ADR_STATUS_OK, "alone");
    s_revive (); /* killed meanwhile, and asked again: nobody else knows of it */
    s_assert_asked (&recovery, ADR_STATUS_OK, "alone");
    s_settle ();
    assert_true (s_last ().index == 2 && s_last ().term == 5 + S_TERMS && s_votes_alone ());
    recovery = s_statement (1); /* the same number for the log as it is now */
    s_assert_asked (&recovery, ADR_STATUS_OK, "alone");
    s_settle ();
    assert_int_equal (s_last ().index, 2);
}

/* It came in by a token, and the group was lost before it had anything. */
static void
a_newcomer_is_no_survivor (void **state)
{
    (void) state;
    const Adr__ControlAnswer *answer = s_ask (ADR__CONTROL_ACTION__RECOVER_SHOW, NULL, true);
    assert_true (!answer->survivor->whole && strstr (answer->text, "newcomer"));
}

static void
it_shows_what_there_is_of_it (void **state)
{
    (void) state;
    const Adr__ControlAnswer *answer = s_ask (ADR__CONTROL_ACTION__RECOVER_SHOW, NULL, true);
    assert_int_equal (answer->status, ADR_STATUS_OK);
    const Adr__Survivor *survivor = answer->survivor;
    assert_non_null (survivor);
    assert_true (survivor->incarnation == 101 && survivor->last_term == 5 && survivor->last_index == 1 && survivor->number == 0);
    assert_true (survivor->whole && survivor->master.len == 0 && survivor->voters->n_voter == 3);
    assert_int_equal (survivor->map_epoch, fixture.map->epoch);
    s_hear_master ();
    assert_int_equal (s_ask (ADR__CONTROL_ACTION__RECOVER_SHOW, NULL, true)->survivor->master.len, ADR_ID_SIZE);
}

int
main (void)
{
#define S_TEST(name) cmocka_unit_test_setup_teardown (name, s_start, fixture_stop)
    const struct CMUnitTest tests[] = {
        S_TEST (the_survivor_goes_on_alone),
        S_TEST (both_are_durable_before_the_entry),
        S_TEST (the_term_is_above_the_fence),
        S_TEST (a_log_whose_end_has_moved_does_nothing),
        S_TEST (another_life_or_node_does_nothing),
        S_TEST (numbers_only_rise),
        S_TEST (an_old_disk_does_not_go_on_alone),
        S_TEST (a_crash_before_the_entry_is_made_good),
        S_TEST (a_crash_before_the_fence_is_made_good),
        S_TEST (a_lost_entry_is_made_again),
        S_TEST (the_lost_ones_change_nothing_any_more),
        S_TEST (what_they_had_committed_is_not_this_log_s),
        S_TEST (the_epoch_never_falls),
        S_TEST (it_says_whether_it_can_be),
        S_TEST (what_is_done_is_answered_as_done),
        S_TEST (the_pki_group_s_survivor_acts_at_once),
        S_TEST (it_shows_what_there_is_of_it),
        FIXTURE_TEST (a_newcomer_is_no_survivor),
    };
    return cmocka_run_group_tests (tests, NULL, NULL);
}
