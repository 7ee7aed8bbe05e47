/* SPDX-License-Identifier: MPL-2.0 */
/* The states that a replicator goes through: each move happens, is said once with its reason, and is seen by its
 * health-checker and in the map within a poll. docs/protocol/node_states.md */

#include "replicator_fixture.h"

#include "core/entry.h"
#include "core/node_state.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#define S_POLL_NS (100 * ADR_MS)

/* --- what is said and shown --------------------------------------------------------------------------------------- */

/* Moves that were noted since the last look, a line each, without their counts. */
static char s_moves[2048];
static void (*s_note) (adr_effects_t *effects, adr_level_t level, const char *text);

static void
s_note_move (adr_effects_t *effects, adr_level_t level, const char *text)
{
    const char *count = strstr (text, " moves=");
    size_t size = strlen (s_moves);
    s_note (effects, level, text);
    if (count)
        snprintf (s_moves + size, sizeof s_moves - size, "%.*s\n", (int) (count - text), text);
}

static void
s_listen (void)
{
    s_moves[0] = '\0';
    if (fixture.harness.effects.note != s_note_move)
        s_note = fixture.harness.effects.note;
    fixture.harness.effects.note = s_note_move;
}

static void
s_assert_moves (const char *moves)
{
    assert_string_equal (s_moves, moves);
    s_moves[0] = '\0';
}

/* What the replicator says of itself, asked now. */
static adr_node_state_t
s_pong_state (void)
{
    Adr__Ping ping = ADR__PING__INIT;
    fixture_tell (1, ADR_ACTOR_HEALTH_CHECKER, ADR__KIND__PING, &ping.base);
    return (adr_node_state_t) ((const Adr__Pong *) fixture_newest (ADR__KIND__PONG))->state;
}

/* What the map-keeper has heard of the zone's node within a poll. */
static adr_node_state_t
s_map_state (unsigned zone)
{
    harness_advance (&fixture.harness, S_POLL_NS);
    const Adr__GroupStatus *status = (const Adr__GroupStatus *) fixture_newest (ADR__KIND__GROUP_STATUS);
    adr_id_t node = fixture_meta (zone, 0).node;
    for (size_t i = 0; i < status->n_member; i++) {
        adr_id_t member = adr_id_of (status->member[i]->node);
        if (adr_id_equal (&member, &node))
            return (adr_node_state_t) status->member[i]->state;
    }
    fail_msg ("the status does not speak of zone %u", zone);
    return ADR_STATE_COUNT;
}

/* --- a master ----------------------------------------------------------------------------------------------------- */

static void
s_lead (void)
{
    s_listen ();
    fixture_lead_with_ten_entries ();
}

static void
test_a_node_starts_as_a_standby (void **state)
{
    (void) state;
    assert_string_equal (fixture.harness.note,
                         "offline -> online-standby: starts, and has to catch up moves=1");
    assert_int_equal (s_pong_state (), ADR_STATE_ONLINE_STANDBY);
}

static void
test_a_master_is_ready_when_its_opening_entry_is_committed (void **state) /* [STATE-3] */
{
    (void) state;
    s_listen ();
    fixture_lead (1);
    assert_int_equal (s_pong_state (), ADR_STATE_ONLINE_STANDBY);
    s_assert_moves ("");
    fixture_ack (2, 1, 1);
    s_assert_moves ("online-standby -> online-ready: a voter that is caught up and settled\n");
    assert_int_equal (s_pong_state (), ADR_STATE_ONLINE_READY);
    assert_int_equal (s_map_state (1), ADR_STATE_ONLINE_READY);
    s_assert_moves ("");
}

static void
test_a_master_sheds_while_it_hands_over_and_is_a_standby_then (void **state) /* [ELECT-8] */
{
    (void) state;
    Adr__StoodDown down = ADR__STOOD_DOWN__INIT;
    s_lead ();
    s_moves[0] = '\0';
    down.term = 1;
    down.lease_only = true;
    fixture_tell (1, ADR_ACTOR_ELECTION, ADR__KIND__STOOD_DOWN, &down.base);
    s_assert_moves ("online-ready -> online-shedding: hands over what it leads\n");
    assert_int_equal (s_pong_state (), ADR_STATE_ONLINE_SHEDDING);
    assert_int_equal (s_map_state (1), ADR_STATE_ONLINE_SHEDDING);
    down.lease_only = false;
    fixture_tell (1, ADR_ACTOR_ELECTION, ADR__KIND__STOOD_DOWN, &down.base);
    s_assert_moves ("online-shedding -> online-standby: what it led is handed over\n");
    assert_int_equal (s_pong_state (), ADR_STATE_ONLINE_STANDBY);
}

static void
test_a_higher_term_makes_a_master_a_standby (void **state) /* [ELECT-4] */
{
    (void) state;
    Adr__Fence fence = ADR__FENCE__INIT;
    s_lead ();
    s_moves[0] = '\0';
    fence.term = 2;
    fixture_tell (1, ADR_ACTOR_ELECTION, ADR__KIND__FENCE, &fence.base);
    s_assert_moves ("online-ready -> online-standby: evidence of the master lost\n");
}

/* --- the disk [STORE-11] ------------------------------------------------------------------------------------------ */

/* In quarters of the second mark: two segments and two index flushes of this store. The first is twice as much. */
static void
s_free (uint64_t quarters)
{
    fixture.disk->free_bytes = (2 * ADR_STORE_SEGMENT_MIN + 2 * 1024 * 1024) / 4 * quarters;
}

/* The disk is looked at when a segment is made, and each second while it lacks space. */
static void
s_look_at_disk (uint64_t write)
{
    harness_advance (&fixture.harness, 1100 * ADR_MS);
    for (unsigned zone = 2; zone <= 3; zone++)
        fixture_answered (zone, 1, 1);
    fixture_write (write);
    fixture_ack (2, 1, adr_store_last (fixture.store).index);
    fixture_ack (3, 1, adr_store_last (fixture.store).index);
    fixture_sync ();
    harness_advance (&fixture.harness, 20 * ADR_MS);
}

static void
test_a_node_is_degraded_at_its_first_mark_and_ready_with_space (void **state)
{
    (void) state;
    s_lead ();
    s_moves[0] = '\0';
    s_free (6);
    s_look_at_disk (20);
    assert_int_equal (adr_store_space (fixture.store), ADR_SPACE_FIRST_MARK);
    s_assert_moves ("online-ready -> online-degraded: the disk is at its first mark\n");
    assert_int_equal (s_pong_state (), ADR_STATE_ONLINE_DEGRADED);
    assert_int_equal (s_map_state (1), ADR_STATE_ONLINE_DEGRADED);
    s_free (3);
    s_look_at_disk (21);
    assert_int_equal (adr_store_space (fixture.store), ADR_SPACE_SECOND_MARK);
    s_assert_moves ("");
    assert_int_equal (s_pong_state (), ADR_STATE_ONLINE_DEGRADED);
    s_free (400);
    s_look_at_disk (22);
    s_assert_moves ("online-degraded -> online-ready: the disk has space, and is quick\n");
    assert_int_equal (s_map_state (1), ADR_STATE_ONLINE_READY);
    s_free (3);
    s_look_at_disk (23);
    s_assert_moves ("online-ready -> online-degraded: the disk is at its second mark\n");
    fixture_restart (); /* a standby first, and in the same turn what its disk makes of it */
    assert_string_equal (fixture.harness.note,
                         "online-standby -> online-degraded: the disk is at its second mark moves=1");
}

static void
test_a_node_with_a_slow_disk_is_degraded_until_it_is_quick (void **state)
{
    (void) state;
    s_lead ();
    s_moves[0] = '\0';
    fixture.disk_stands = true;
    fixture_write (20);
    for (int i = 0; i < 11; i++) { /* its members keep up, its own disk does not */
        harness_advance (&fixture.harness, 100 * ADR_MS);
        for (unsigned zone = 2; zone <= 3; zone++) {
            fixture_answered (zone, 1, 1);
            fixture_ack (zone, 1, adr_store_last (fixture.store).index);
        }
    }
    s_assert_moves ("online-ready -> online-degraded: the disk is slow\n");
    assert_int_equal (s_pong_state (), ADR_STATE_ONLINE_DEGRADED);
    fixture.disk_stands = false;
    for (int i = 0; i < 22; i++) {
        fixture_sync ();
        harness_advance (&fixture.harness, 100 * ADR_MS);
        for (unsigned zone = 2; zone <= 3; zone++)
            fixture_answered (zone, 1, 1);
        if (i == 15)
            s_assert_moves ("");
    }
    s_assert_moves ("online-degraded -> online-ready: the disk has space, and is quick\n");
}

/* --- a member ----------------------------------------------------------------------------------------------------- */

static void
s_evidence (uint64_t commit)
{
    Adr__Evidence evidence = ADR__EVIDENCE__INIT;
    adr_id_t master = fixture_meta (2, 0).node;
    evidence.master = adr_id_view (&master);
    evidence.term = 5;
    evidence.commit = commit;
    evidence.in_unlock_set = true;
    evidence.since_ns = fixture.harness.now_ns;
    fixture_tell (1, ADR_ACTOR_HEALTH_CHECKER, ADR__KIND__EVIDENCE, &evidence.base);
}

static void
s_append_at (uint64_t previous)
{
    fixture_append (fixture_meta (2, ADR_ACTOR_REPLICATOR), 5, (adr_position_t){ previous ? 5 : 0, previous }, 1);
    harness_durable (&fixture.harness);
    fixture_sync ();
}

/* Of zone 2's master, in term 5: holds three entries, of which all are committed, and is ready. */
static void
s_follow (void)
{
    s_listen ();
    for (uint64_t index = 0; index < 3; index++)
        s_append_at (index);
    s_evidence (3);
    assert_int_equal (s_pong_state (), ADR_STATE_ONLINE_STANDBY); /* what the evidence before the newest said counts */
    s_evidence (3);
    s_assert_moves ("online-standby -> online-ready: a voter that is caught up and settled\n");
    assert_int_equal (s_pong_state (), ADR_STATE_ONLINE_READY);
}

static void
test_a_member_without_evidence_of_its_master_is_a_standby (void **state) /* [READ-5] */
{
    (void) state;
    s_follow ();
    harness_advance (&fixture.harness, 480 * ADR_MS);
    s_assert_moves ("");
    harness_advance (&fixture.harness, 20 * ADR_MS);
    s_assert_moves ("online-ready -> online-standby: evidence of the master lost\n");
    assert_int_equal (s_pong_state (), ADR_STATE_ONLINE_STANDBY);
    harness_advance (&fixture.harness, 1000 * ADR_MS);
    s_assert_moves ("");
    s_evidence (3);
    s_assert_moves ("online-standby -> online-ready: a voter that is caught up and settled\n");
}

/* Asked between two turns of its own, it says what is true then. */
static void
test_a_member_that_is_asked_says_what_is_true_now (void **state) /* [STATE-2] */
{
    (void) state;
    s_follow ();
    fixture.harness.now_ns += 700 * ADR_MS;
    assert_int_equal (s_pong_state (), ADR_STATE_ONLINE_STANDBY);
}

static void
test_a_member_that_is_behind_is_a_standby (void **state)
{
    (void) state;
    s_follow ();
    s_evidence (9);
    s_assert_moves ("");
    s_evidence (9);
    s_assert_moves ("online-ready -> online-standby: behind what its master has committed\n");
    assert_int_equal (s_pong_state (), ADR_STATE_ONLINE_STANDBY);
    for (uint64_t index = 3; index < 9; index++)
        s_append_at (index);
    s_assert_moves ("online-standby -> online-ready: a voter that is caught up and settled\n");
}

static void
test_a_member_that_misses_entries_is_a_standby (void **state) /* [STORE-5] */
{
    (void) state;
    uint8_t position[16];
    s_follow ();
    adr_put_u64 (position, 5);
    adr_put_u64 (position + 8, 2);
    for (size_t i = 0; i < fixture.disk->count; i++)
        for (uint64_t at = 0; at + 16 <= fixture.disk->segment[i].size; at++)
            if (memcmp (fixture.disk->segment[i].now + at, position, 16) == 0)
                fixture.disk->segment[i].now[at + 8] = 0xff;
    assert_true (adr_store_lose (fixture.store, 2));
    harness_advance (&fixture.harness, 20 * ADR_MS);
    s_assert_moves ("online-ready -> online-standby: entries of the log are missing\n");
    assert_int_equal (s_pong_state (), ADR_STATE_ONLINE_STANDBY);
    s_append_at (1);
    s_assert_moves ("online-standby -> online-ready: a voter that is caught up and settled\n");
}

/* An entry of the log that names zones 2 and 3 only. */
static void
test_a_member_that_votes_no_more_is_a_standby (void **state) /* [REPL-4] */
{
    (void) state;
    Adr__Append append = ADR__APPEND__INIT;
    adr_voters_t voters = { .count = 2, .quorum = 2 };
    uint8_t value[ADR_VOTERS_BYTES_MAX], bytes[1024];
    s_follow ();
    for (unsigned i = 0; i < 2; i++)
        voters.voter[i] = (adr_voter_t){ fixture_meta (2 + i, 0).node, fixture.incarnation[2 + i] };
    adr_entry_t *entry = adr_alloc (sizeof *entry);
    *entry = (adr_entry_t){ .kind = ADR_ENTRY_VOTERS, .term = 5, .index = 4, .time_ms = 1000, .epoch = 1,
                            .op_count = 1 };
    entry->op[0].table = ADR_TABLE_GROUP;
    entry->op[0].key = adr_bytes ("voters", 6);
    entry->op[0].value = adr_bytes (value, adr_voters_encode (&voters, value));
    adr_value_digest (entry->op[0].value, entry->op[0].digest);
    adr_entry_encode (entry, bytes);
    append.term = append.prev_term = 5;
    append.prev_index = 3;
    append.count = 1;
    append.incarnation = 101;
    harness_message (&fixture.harness, fixture_meta (2, ADR_ACTOR_REPLICATOR), ADR_NODE_META, ADR__KIND__APPEND,
                     &append.base, adr_bytes (bytes, adr_entry_size (entry)));
    free (entry);
    s_assert_moves ("online-ready -> online-standby: no voter\n");
    assert_int_equal (s_pong_state (), ADR_STATE_ONLINE_STANDBY);
}

/* --- the others, as their master sees them ------------------------------------------------------------------------ */

static void
s_answered (unsigned zone, adr_node_state_t told)
{
    Adr__Answered answered = ADR__ANSWERED__INIT;
    adr_id_t node = fixture_meta (zone, 0).node;
    answered.voter = adr_id_view (&node);
    answered.incarnation = fixture.incarnation[zone];
    answered.term = answered.boot = 1;
    answered.sent_ns = fixture.harness.now_ns;
    answered.promise_ms = 500;
    answered.state = told;
    fixture_tell (1, ADR_ACTOR_HEALTH_CHECKER, ADR__KIND__ANSWERED, &answered.base);
}

static void
s_only_zone_2_answers (int64_t length_ns)
{
    for (int64_t passed = 0; passed < length_ns; passed += S_POLL_NS) {
        s_answered (2, ADR_STATE_ONLINE_READY);
        fixture_ack (2, 1, adr_store_last (fixture.store).index);
        harness_advance (&fixture.harness, S_POLL_NS);
        fixture_sync ();
    }
}

static void
test_a_member_that_is_not_heard_is_offline_until_it_is (void **state) /* [STATE-4] */
{
    (void) state;
    s_lead ();
    s_answered (2, ADR_STATE_ONLINE_READY);
    s_answered (3, ADR_STATE_ONLINE_STANDBY);
    assert_int_equal (s_map_state (3), ADR_STATE_ONLINE_STANDBY);
    s_answered (3, ADR_STATE_ONLINE_READY);
    assert_int_equal (s_map_state (3), ADR_STATE_ONLINE_READY); /* its own log says why */
    s_moves[0] = '\0';
    s_only_zone_2_answers (1800 * ADR_MS);
    s_assert_moves ("");
    assert_int_equal (s_map_state (3), ADR_STATE_OFFLINE);
    s_assert_moves ("meta1@z3: online-ready -> offline: evidence of it lost, it answers no polls\n");
    s_only_zone_2_answers (3000 * ADR_MS);
    s_assert_moves ("");
    s_answered (3, ADR_STATE_ONLINE_STANDBY);
    s_assert_moves ("meta1@z3: offline -> online-standby: answers polls again\n");
    assert_int_equal (s_map_state (3), ADR_STATE_ONLINE_STANDBY);
    assert_int_equal (s_map_state (2), ADR_STATE_ONLINE_READY);
}

static void
test_a_member_that_never_was_heard_is_spoken_of_once (void **state) /* [STATE-4] */
{
    (void) state;
    s_listen ();
    fixture_lead (1);
    s_only_zone_2_answers (1900 * ADR_MS);
    s_assert_moves ("online-standby -> online-ready: a voter that is caught up and settled\n");
    size_t notes = fixture.harness.notes[ADR_LEVEL_NOTE];
    s_only_zone_2_answers (1500 * ADR_MS);
    assert_int_equal (fixture.harness.notes[ADR_LEVEL_NOTE], notes + 1);
    assert_string_equal (fixture.harness.note, "meta1@z3: offline: has answered no poll of this mastership");
    s_answered (3, ADR_STATE_ONLINE_STANDBY);
    s_assert_moves ("meta1@z3: offline -> online-standby: answers polls again\n");
}

/* --- a replicator that says nothing any more ---------------------------------------------------------------------- */

static harness_t s_checker;

static void
s_tell_checker (unsigned zone, adr_actor_kind_t actor, uint16_t kind, const ProtobufCMessage *header)
{
    harness_message (&s_checker, fixture_meta (zone, actor), ADR_NODE_META, kind, header, (adr_bytes_t){ 0 });
}

/* What the health-checker answers to a poll of zone 2's master. */
static adr_node_state_t
s_answered_state (uint64_t round)
{
    Adr__Poll poll = ADR__POLL__INIT;
    Adr__PollNoted noted = ADR__POLL_NOTED__INIT;
    adr_id_t master = fixture_meta (2, 0).node;
    poll.term = noted.term = 1;
    poll.round = noted.round = round;
    poll.promise_ms = noted.promised_ms = 500;
    noted.master = adr_id_view (&master);
    noted.accepted = true;
    s_tell_checker (2, ADR_ACTOR_HEALTH_CHECKER, ADR__KIND__POLL, &poll.base);
    s_tell_checker (1, ADR_ACTOR_ELECTION, ADR__KIND__POLL_NOTED, &noted.base);
    size_t count = harness_count (&s_checker, ADR__KIND__POLL_ANSWER);
    const harness_sent_t *sent = harness_sent (&s_checker, ADR__KIND__POLL_ANSWER, count - 1);
    return (adr_node_state_t) ((const Adr__PollAnswer *) sent->header)->state;
}

static void
test_a_silent_replicator_is_degraded_whatever_it_said (void **state) /* docs/protocol/health_checker.md, rule 3 */
{
    (void) state;
    static const adr_node_state_t s_said[] = { ADR_STATE_ONLINE_READY, ADR_STATE_ONLINE_STANDBY,
                                               ADR_STATE_ONLINE_DEGRADED, ADR_STATE_ONLINE_SHEDDING };
    adr_environment_t environment = fixture.harness.environment;
    environment.store = NULL;
    harness_start (&s_checker, &adr_health_checker_class, &environment);
    for (uint64_t i = 0; i < 4; i++) {
        Adr__Pong pong = ADR__PONG__INIT;
        pong.number = 1;
        pong.state = s_said[i];
        s_tell_checker (1, ADR_ACTOR_REPLICATOR, ADR__KIND__PONG, &pong.base);
        assert_int_equal (s_answered_state (2 * i + 1), s_said[i]);
        harness_advance (&s_checker, 500 * ADR_MS);
        assert_int_equal (s_answered_state (2 * i + 2), ADR_STATE_ONLINE_DEGRADED);
    }
    harness_stop (&s_checker);
}

int
main (void)
{
    const struct CMUnitTest tests[] = {
        FIXTURE_TEST (test_a_node_starts_as_a_standby),
        FIXTURE_TEST (test_a_master_is_ready_when_its_opening_entry_is_committed),
        FIXTURE_TEST (test_a_master_sheds_while_it_hands_over_and_is_a_standby_then),
        FIXTURE_TEST (test_a_higher_term_makes_a_master_a_standby),
        FIXTURE_TEST (test_a_node_is_degraded_at_its_first_mark_and_ready_with_space),
        FIXTURE_TEST (test_a_node_with_a_slow_disk_is_degraded_until_it_is_quick),
        FIXTURE_TEST (test_a_member_without_evidence_of_its_master_is_a_standby),
        FIXTURE_TEST (test_a_member_that_is_asked_says_what_is_true_now),
        FIXTURE_TEST (test_a_member_that_is_behind_is_a_standby),
        FIXTURE_TEST (test_a_member_that_misses_entries_is_a_standby),
        FIXTURE_TEST (test_a_member_that_votes_no_more_is_a_standby),
        FIXTURE_TEST (test_a_member_that_is_not_heard_is_offline_until_it_is),
        FIXTURE_TEST (test_a_member_that_never_was_heard_is_spoken_of_once),
        FIXTURE_TEST (test_a_silent_replicator_is_degraded_whatever_it_said),
    };
    return cmocka_run_group_tests (tests, NULL, NULL);
}
