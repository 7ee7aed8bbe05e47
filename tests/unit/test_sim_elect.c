/* SPDX-License-Identifier: MPL-2.0 */
/* The simulator's checkers of the elections, each with histories that are right and with ones that are not. */

#include "../sim/check_elect.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

#define MS INT64_C (1000000)

typedef struct {
    sim_verdict_t verdict;
    adr_id_t id[3];
    adr_voters_t voters; /* nodes 0, 1, 2, each of incarnation 1 */
    sim_promises_t promises;
    sim_votes_t votes;
    sim_log_t log;
    sim_history_t history;
    sim_changes_t changes;
    sim_polls_t polls;
} world_t;

static int
s_set_up (void **state)
{
    world_t *world = adr_alloc (sizeof *world);
    world->voters = (adr_voters_t){ .at = { 1, 1 }, .quorum = 2, .count = 3 };
    for (int i = 0; i < 3; i++) {
        world->id[i].bytes[15] = (uint8_t) (i + 1);
        world->voters.voter[i] = (adr_voter_t){ world->id[i], 1 };
    }
    sim_promises_init (&world->promises, &world->verdict, world->id, 3);
    sim_votes_init (&world->votes, &world->verdict, world->id, 3);
    sim_history_init (&world->history, &world->verdict);
    sim_log_init (&world->log, &world->history, &world->verdict, world->id, 3);
    sim_changes_init (&world->changes, &world->verdict, &world->log, 3);
    sim_polls_init (&world->polls, &world->verdict);
    *state = world;
    return 0;
}

static int
s_tear_down (void **state)
{
    world_t *world = *state;
    sim_votes_free (&world->votes);
    sim_log_free (&world->log);
    sim_history_free (&world->history);
    free (world);
    return 0;
}

/* The node in the given start of its first incarnation. */
static sim_who_t
s_who (int node, uint64_t boot, int64_t now_ms)
{
    return (sim_who_t){ node, 1, boot, now_ms * MS };
}

static void
s_broken (world_t *world, const char *rule)
{
    if (!world->verdict.failed || strstr (world->verdict.invariant, rule) == NULL)
        fail_msg ("%s is not seen broken, but: %s", rule, world->verdict.failed ? world->verdict.invariant : "nothing");
    world->verdict.failed = false;
}

static void
s_whole (world_t *world)
{
    if (world->verdict.failed)
        fail_msg ("%s: %s", world->verdict.invariant, world->verdict.seen);
}

/* --- promises and leases ------------------------------------------------------------------------------------------- */

/* Node 1 takes a poll of master 0 in term 5 at `now_ms` and promises half a second. */
static void
s_poll (world_t *world, uint64_t round, int64_t now_ms)
{
    sim_who_t who = s_who (1, 1, now_ms);
    sim_round_t poll = { 5, round, 0, 500, (now_ms + 500) * MS };
    sim_promises_seen (&world->promises, &who, &poll);
    sim_promises_noted (&world->promises, &who, &poll, 500);
    sim_promises_answered (&world->promises, &who, &poll);
}

static void
test_promise_first (void **state)
{
    world_t *world = *state;
    sim_who_t who = s_who (1, 1, 100);
    sim_round_t poll = { 5, 1, 0, 500, 600 * MS };
    s_poll (world, 1, 100);
    s_whole (world);
    poll.round = 2;
    sim_promises_answered (&world->promises, &who, &poll);
    s_broken (world, "promise first");
    sim_promises_noted (&world->promises, &who, &poll, 0);
    s_broken (world, "durable");
}

static void
test_a_promise_binds_over_a_restart (void **state)
{
    world_t *world = *state;
    sim_who_t before = s_who (1, 1, 200), after = s_who (1, 2, 590), late = s_who (1, 2, 600);
    s_poll (world, 1, 100);
    sim_promises_favours (&world->promises, &before, 0, "supports");
    sim_promises_favours (&world->promises, &late, 2, "supports");
    s_whole (world);
    sim_promises_favours (&world->promises, &after, 2, "supports");
    s_broken (world, "promise binds");
    sim_promises_lifted (&world->promises, &after, 4, 0, 2); /* of another term */
    sim_promises_favours (&world->promises, &after, 2, "votes for");
    s_broken (world, "promise binds");
    sim_promises_lifted (&world->promises, &after, 5, 0, 2);
    sim_promises_favours (&world->promises, &after, 2, "votes for");
    s_whole (world);
    after.incarnation = 2; /* a new life owes nothing */
    sim_promises_favours (&world->promises, &after, 1, "calls for");
    s_whole (world);
}

static void
test_a_master_is_its_own (void **state)
{
    world_t *world = *state;
    sim_who_t who = s_who (0, 1, 100);
    sim_promises_leads (&world->promises, &who, 5);
    sim_promises_favours (&world->promises, &who, 1, "votes for");
    s_broken (world, "promised to itself");
    sim_promises_lease (&world->promises, &who, 5);
    sim_promises_releases (&world->promises, &who, 1);
    s_broken (world, "told to stand");
    sim_promises_lease (&world->promises, &who, 0);
    sim_promises_releases (&world->promises, &who, 1);
    sim_promises_favours (&world->promises, &who, 1, "votes for");
    s_whole (world);
}

static void
test_leases (void **state)
{
    world_t *world = *state;
    sim_who_t who = s_who (0, 1, 400);
    sim_promises_lease (&world->promises, &who, 5);
    s_poll (world, 1, 100);
    sim_promises_prolongs (&world->promises, &who, 5, 1, 1, 540 * MS);
    sim_promises_lease_used (&world->promises, &who, 5, &world->voters, 400 * MS);
    sim_promises_elected_beside (&world->promises, &who, 4, &world->voters);
    assert_true (sim_promises_quorum_answers (&world->promises, &who, &world->voters));
    s_whole (world);
    sim_promises_elected_beside (&world->promises, &who, 6, &world->voters);
    s_broken (world, "never overlap");
    who.now_ns = 601 * MS;
    sim_promises_elected_beside (&world->promises, &who, 6, &world->voters);
    s_whole (world);
    sim_promises_lease_used (&world->promises, &who, 5, &world->voters, 601 * MS);
    s_broken (world, "rests on");
    assert_false (sim_promises_quorum_answers (&world->promises, &who, &world->voters));
}

/* --- calls, fences, votes ------------------------------------------------------------------------------------------- */

static sim_asked_t
s_asked (const world_t *world, uint64_t term)
{
    return (sim_asked_t){ .number = 7, .term = term, .last = { 4, 9 }, .voters = world->voters, .incarnation = 1 };
}

/* Node 0 calls, node 1 supports it, node 0 stands in term 5, and node 1 votes for it. */
static void
s_election (world_t *world)
{
    sim_who_t zero = s_who (0, 1, 100), one = s_who (1, 1, 100);
    sim_asked_t call = s_asked (world, 4), request = s_asked (world, 5);
    sim_votes_calls (&world->votes, &zero, &call);
    sim_votes_call_came (&world->votes, &one, 0, &call);
    sim_votes_supports (&world->votes, &one, 0, 7, 1);
    sim_votes_asks_fence (&world->votes, &zero, 5);
    sim_votes_fenced (&world->votes, &zero, 5, call.last, &world->voters, 5, 9);
    sim_votes_requests (&world->votes, &zero, &request, 5, 0);
    sim_votes_request_came (&world->votes, &one, 0, &request);
    sim_votes_asks_fence (&world->votes, &one, 5);
    sim_votes_fenced (&world->votes, &one, 5, call.last, &world->voters, 5, 9);
    sim_votes_grants (&world->votes, &one, 0, 1, 5, 5, 0);
}

static void
test_an_election (void **state)
{
    world_t *world = *state;
    sim_who_t zero = s_who (0, 1, 100);
    s_election (world);
    sim_votes_elected (&world->votes, &zero, 5);
    sim_votes_sends_append (&world->votes, &zero, 5);
    s_whole (world);
    sim_votes_sends_append (&world->votes, &zero, 4);
    s_broken (world, "ELECT-4");
    zero.incarnation = 2; /* what was said to the former life counts for that life alone */
    sim_votes_elected (&world->votes, &zero, 5);
    s_broken (world, "majority elects");
}

static void
test_a_call_that_comes_late (void **state)
{
    world_t *world = *state;
    sim_who_t zero = s_who (0, 1, 100), one = s_who (1, 1, 100);
    sim_asked_t call = s_asked (world, 4), before = call;
    before.number = 6;
    sim_votes_calls (&world->votes, &zero, &call);
    sim_votes_call_came (&world->votes, &one, 0, &call);
    sim_votes_supports (&world->votes, &one, 0, 7, 1);
    sim_votes_call_came (&world->votes, &one, 0, &before);
    sim_votes_supports (&world->votes, &one, 0, 6, 1);
    sim_votes_asks_fence (&world->votes, &zero, 5);
    s_whole (world);
}

static void
test_nothing_is_forgotten (void **state)
{
    world_t *world = *state;
    sim_who_t again = s_who (1, 2, 900);
    s_election (world);
    sim_votes_told_fence (&world->votes, &again, 5, 5);
    sim_votes_accepts (&world->votes, &again, 5);
    s_whole (world);
    sim_votes_grants (&world->votes, &again, 2, 1, 5, 5, 2);
    s_broken (world, "one vote a term");
    sim_votes_told_fence (&world->votes, &again, 4, 4);
    s_broken (world, "never forgotten");
    sim_votes_told_fence (&world->votes, &again, 6, 7);
    s_broken (world, "last term");
    sim_votes_accepts (&world->votes, &again, 4);
    s_broken (world, "term that is over");
    sim_votes_asks_fence (&world->votes, &again, 4);
    s_broken (world, "ELECT-5");
    sim_votes_append_came (&world->votes, &again, 4, 1, 9);
    sim_votes_sends_ack (&world->votes, &again, 4, 9);
    s_broken (world, "a fence binds");
    again.incarnation = 2;
    sim_votes_accepts (&world->votes, &again, 4);
    s_whole (world);
}

static void
test_fence_and_disk_before_the_vote (void **state)
{
    world_t *world = *state;
    sim_who_t two = s_who (2, 1, 100);
    s_election (world);
    sim_votes_fenced (&world->votes, &two, 5, (adr_position_t){ 4, 10 }, &world->voters, 4, 10);
    s_broken (world, "only what is durable");
    sim_votes_grants (&world->votes, &two, 0, 1, 5, 4, 0);
    s_broken (world, "durable before it leaves");
    sim_votes_grants (&world->votes, &two, 0, 1, 6, 6, 0);
    s_broken (world, "fence before vote");
    sim_asked_t request = s_asked (world, 7);
    sim_votes_request_came (&world->votes, &two, 0, &request);
    sim_votes_fenced (&world->votes, &two, 7, (adr_position_t){ 4, 10 }, &world->voters, 7, 10);
    sim_votes_grants (&world->votes, &two, 0, 1, 7, 7, 0);
    s_broken (world, "behind its own");
}

static void
test_who_may_be_asked (void **state)
{
    world_t *world = *state;
    sim_who_t two = s_who (2, 1, 100), zero = s_who (0, 1, 100);
    sim_asked_t request = s_asked (world, 5);
    sim_votes_request_came (&world->votes, &two, 0, &request);
    sim_votes_refuses (&world->votes, &two, 0, 5, true);
    s_whole (world);
    sim_votes_refuses (&world->votes, &two, 0, 5, false);
    s_broken (world, "with reason");
    request.voters.count = 2;
    sim_votes_request_came (&world->votes, &two, 0, &request);
    sim_votes_refuses (&world->votes, &two, 0, 5, false);
    s_whole (world);
    sim_votes_call_came (&world->votes, &two, 0, &request);
    sim_votes_supports (&world->votes, &two, 0, 7, 1);
    s_broken (world, "ELECT-6");
    /* Nobody supports this call of node 0, and no master told it to stand. */
    sim_asked_t call = s_asked (world, 4);
    call.number = 8;
    sim_votes_calls (&world->votes, &zero, &call);
    sim_votes_asks_fence (&world->votes, &zero, 5);
    s_broken (world, "quorum of calls");
    /* Its log may name others by now: it was told that it is alone. Told of them, or started anew, it calls. */
    sim_votes_heard_voters (&world->votes, &zero, 4, 1);
    sim_votes_asks_fence (&world->votes, &zero, 6);
    s_whole (world);
    sim_votes_heard_voters (&world->votes, &zero, 4, 3);
    sim_votes_asks_fence (&world->votes, &zero, 7);
    s_broken (world, "quorum of calls");
    sim_votes_heard_voters (&world->votes, &zero, 4, 1);
    zero.boot++;
    sim_votes_asks_fence (&world->votes, &zero, 8);
    s_broken (world, "quorum of calls");
    sim_votes_told_to_stand (&world->votes, &zero, 8);
    sim_votes_asks_fence (&world->votes, &zero, 9);
    s_whole (world);
}

/* A master that sends the wrong appends again and again. */
static void
test_refusals (void **state)
{
    world_t *world = *state;
    for (int i = 0; i < 20; i++) {
        sim_who_t who = s_who (0, 1, 1000 * i);
        if (i == 9)
            sim_votes_ack_came (&world->votes, &who, 1);
        if (i < 17)
            s_whole (world);
        sim_votes_refusal_came (&world->votes, &who, 1, 5);
        if (i == 6)
            sim_votes_ack_came (&world->votes, &who, 1);
    }
    s_broken (world, "sent what it lacks");
    /* Stopped for seconds while refusals were under way: one of them is the first thing that it hears. */
    for (int i = 0; i < 20; i++) {
        sim_who_t who = s_who (1, 1, i < 19 ? 10 * i : 5000);
        sim_votes_refusal_came (&world->votes, &who, 2, 5);
    }
    s_whole (world);
}

static void
test_acks_of_this_very_life (void **state)
{
    world_t *world = *state;
    sim_who_t who = s_who (1, 1, 100);
    sim_votes_append_came (&world->votes, &who, 5, 1, 9);
    sim_votes_sends_ack (&world->votes, &who, 5, 9);
    s_whole (world);
    sim_votes_append_came (&world->votes, &who, 5, 2, 12);
    sim_votes_sends_ack (&world->votes, &who, 5, 12);
    s_broken (world, "this very life");
}

/* --- voters ------------------------------------------------------------------------------------------------------------ */

static void
s_change (world_t *world, uint32_t count, uint64_t incarnation, uint64_t index, uint64_t commit)
{
    sim_who_t who = s_who (0, 1, 100);
    adr_voters_t voters = world->voters;
    voters.at = (adr_position_t){ 5, index };
    voters.count = count;
    voters.voter[2].incarnation = incarnation;
    sim_changes_voters (&world->changes, &who, 5, &voters, commit);
}

static void
test_voters_change_one_at_a_time (void **state)
{
    world_t *world = *state;
    sim_who_t who = s_who (0, 1, 100);
    sim_changes_leads (&world->changes, &who, 5, 10);
    world->log.held[2].incarnation = 2;
    world->log.held[2].durable = 10;
    s_change (world, 3, 1, 1, 10);
    s_change (world, 2, 1, 11, 10);
    s_change (world, 3, 2, 12, 11);
    s_whole (world);
    s_change (world, 2, 2, 13, 11);
    s_broken (world, "at a time is open");
    s_change (world, 3, 3, 14, 13);
    s_broken (world, "holds the log");
    s_change (world, 3, 2, 15, 14);
    s_broken (world, "one at a time");
}

static void
test_growth (void **state)
{
    world_t *world = *state;
    sim_who_t who = s_who (0, 1, 100);
    sim_changes_leads (&world->changes, &who, 5, 10);
    world->log.held[1] = (sim_held_t){ .incarnation = 1, .durable = 10 };
    s_change (world, 1, 1, 1, 10);
    s_change (world, 2, 1, 11, 10);
    s_broken (world, "ELECT-10");
    s_change (world, 1, 1, 12, 11);
    world->log.held[2] = (sim_held_t){ .incarnation = 1, .durable = 10 };
    s_change (world, 2, 1, 13, 12);
    s_whole (world);
}

/* --- polls ------------------------------------------------------------------------------------------------------------- */

static void
test_polls_of_a_living_master (void **state)
{
    world_t *world = *state;
    sim_who_t who = s_who (0, 1, 100);
    sim_polls_pings (&world->polls, &who, 1);
    sim_polls_pong_came (&world->polls, &who, false, 1);
    sim_polls_pong_came (&world->polls, &who, true, 1);
    sim_polls_polls (&world->polls, &who, 5, 1);
    sim_polls_polls (&world->polls, &who, 5, 1); /* to another member */
    sim_polls_pings (&world->polls, &who, 2);
    sim_polls_pong_came (&world->polls, &who, true, 2);
    s_whole (world);
    sim_polls_polls (&world->polls, &who, 5, 2);
    s_broken (world, "living master");
}

/* So many turns, 10 ms apart, of a master whose log ends there and whose commit index is 9. */
static void
s_leads (world_t *world, int64_t from_ms, int turns, uint64_t term, uint64_t last)
{
    sim_leading_t leading = { .term = term, .commit = 9, .last = last, .quorum_answers = true, .limit_ns = 1000 * MS,
                              .silence_ns = 2000 * MS };
    for (int i = 0; i < turns; i++) {
        sim_who_t who = s_who (0, 1, from_ms + i * 10);
        leading.confirmed_ns = who.now_ns + 1;
        sim_polls_leads (&world->polls, &who, &leading);
    }
}

static void
s_stands_still (world_t *world, int64_t from_ms, int turns)
{
    s_leads (world, from_ms, turns, 5, 10);
}

static void
test_a_master_that_commits_nothing (void **state)
{
    world_t *world = *state;
    sim_who_t who = s_who (0, 1, 5000);
    s_stands_still (world, 0, 100);
    s_stands_still (world, 4000, 10); /* it was stopped meanwhile */
    s_whole (world);
    s_stands_still (world, 4100, 100);
    s_broken (world, "hands over");
    sim_polls_resigns (&world->polls, &who, 5);
    s_stands_still (world, 5100, 300);
    s_whole (world);
}

/* An entry that comes when the replicator gets processor again did not wait before that. */
static void
test_what_waits_since_a_stall (void **state)
{
    world_t *world = *state;
    s_leads (world, 0, 1, 5, 9);
    s_leads (world, 4000, 100, 5, 10);
    s_whole (world);
    s_leads (world, 5000, 30, 5, 10);
    s_broken (world, "hands over");
}

/* Nor does a master answer for how long entries had waited when it was elected. */
static void
test_what_waits_since_an_election (void **state)
{
    world_t *world = *state;
    s_leads (world, 0, 1, 0, 10);
    s_leads (world, 4000, 100, 5, 11);
    s_whole (world);
    s_leads (world, 5000, 30, 5, 11);
    s_broken (world, "hands over");
}

/* A master that has nothing to commit, and whose appends nobody answers. */
static void
test_a_master_that_nobody_confirms (void **state)
{
    world_t *world = *state;
    sim_leading_t leading = { .term = 5, .commit = 9, .last = 9, .quorum_answers = true, .limit_ns = 1000 * MS,
                              .silence_ns = 2000 * MS };
    for (int i = 0; i < 300; i++) {
        sim_who_t who = s_who (0, 1, i * 10);
        if (i < 50)
            sim_promises_confirms (&world->promises, &who, 1, 1);
        leading.confirmed_ns = sim_promises_quorum_confirms (&world->promises, &who, &world->voters);
        if (i < 240)
            s_whole (world);
        sim_polls_leads (&world->polls, &who, &leading);
    }
    s_broken (world, "nobody answers");
}

int
main (void)
{
#define IN_WORLD(name) cmocka_unit_test_setup_teardown (name, s_set_up, s_tear_down)
    const struct CMUnitTest tests[] = {
        IN_WORLD (test_promise_first),
        IN_WORLD (test_a_promise_binds_over_a_restart),
        IN_WORLD (test_a_master_is_its_own),
        IN_WORLD (test_leases),
        IN_WORLD (test_an_election),
        IN_WORLD (test_a_call_that_comes_late),
        IN_WORLD (test_nothing_is_forgotten),
        IN_WORLD (test_fence_and_disk_before_the_vote),
        IN_WORLD (test_who_may_be_asked),
        IN_WORLD (test_refusals),
        IN_WORLD (test_acks_of_this_very_life),
        IN_WORLD (test_voters_change_one_at_a_time),
        IN_WORLD (test_growth),
        IN_WORLD (test_polls_of_a_living_master),
        IN_WORLD (test_a_master_that_commits_nothing),
        IN_WORLD (test_what_waits_since_a_stall),
        IN_WORLD (test_what_waits_since_an_election),
        IN_WORLD (test_a_master_that_nobody_confirms),
    };
    return cmocka_run_group_tests (tests, NULL, NULL);
}
