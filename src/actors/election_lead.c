/* SPDX-License-Identifier: MPL-2.0 */
/* The election's mastership, and how it is handed over [ELECT-8, ELECT-11]. */

#include "actors/election_private.h"

/* --- mastership ------------------------------------------------------------------------------------------------ */

static answer_t *
s_answer_of (election_t *self, const adr_voter_t *voter)
{
    for (uint32_t i = 0; i < self->answer_count; i++)
        if (adr_id_equal (&self->answer[i].voter.node, &voter->node)
            && (self->answer[i].voter.incarnation == voter->incarnation || ADR_PLANT (ELECT_7_INCARNATION_IGNORED)))
            return &self->answer[i];
    return NULL;
}

/* Up to when a majority of the newest voters has been heard; itself always and now. */
static int64_t
s_heard_until (election_t *self, int64_t now_ns)
{
    int64_t heard[ADR_VOTERS_MAX];
    uint32_t count = 0;
    for (uint32_t i = 0; i < self->voters.count; i++) {
        const answer_t *answer = s_answer_of (self, &self->voters.voter[i]);
        bool me = election_is_me (self, &self->voters.voter[i].node);
        int64_t at_ns = me ? now_ns : answer ? answer->sent_ns : self->led_since_ns;
        if (at_ns < self->led_since_ns)
            at_ns = self->led_since_ns;
        /* Newest first. */
        uint32_t place = count++;
        for (; place > 0 && heard[place - 1] < at_ns; place--)
            heard[place] = heard[place - 1];
        heard[place] = at_ns;
    }
    return count == 0 ? now_ns : heard[adr_majority (count) - 1];
}

/* A master that no majority has answered for a minimum election timeout steps down. */
void
election_check_majority (election_t *self, int64_t now_ns, adr_effects_t *effects)
{
    int64_t until_ns = s_heard_until (self, now_ns) + self->environment.settings.election_min_ns;
    if (now_ns < until_ns) {
        election_wake_limit (self, until_ns, effects);
        return;
    }
    adr_note (effects, ADR_LEVEL_WARNING, "no majority of the voters answers -> steps down term=%llu",
              (unsigned long long) self->term);
    election_become_following (self, self->term, now_ns, effects);
}

void
election_become_master (election_t *self, int64_t now_ns, adr_effects_t *effects)
{
    Adr__Lead lead = ADR__LEAD__INIT;
    adr_assert (self->term > self->led_term);
    adr_assert (self->vote.term == self->term && election_is_me (self, &self->vote.candidate));
    adr_note (effects, ADR_LEVEL_NOTE, "elected by %d of %u -> leads term=%llu", __builtin_popcount (self->votes),
              self->electors.count, (unsigned long long) self->term);
    election_become (self, ROLE_MASTER, self->term, effects);
    self->led_term = self->term;
    self->led_since_ns = now_ns;
    self->answer_count = 0;
    self->released = false;
    lead.term = self->term;
    election_send_own (self, ADR_ACTOR_REPLICATOR, ADR__KIND__LEAD, &lead, effects);
    election_set_leader (self, &self->environment.node, effects);
    election_check_majority (self, now_ns, effects);
}

static void
s_note_answer (election_t *self, const Adr__Answered *answered)
{
    adr_voter_t voter = { adr_id_of (answered->voter), answered->incarnation };
    answer_t *answer = s_answer_of (self, &voter);
    if (answer == NULL && self->answer_count < ADR_GROUP_NODES_MAX)
        answer = &self->answer[self->answer_count++];
    /* Full of incarnations that have gone by: the newest matter, and the map bounds how many there are. */
    if (answer == NULL)
        answer = &self->answer[0];
    if (adr_id_equal (&answer->voter.node, &voter.node) && answer->voter.incarnation == voter.incarnation
        && answered->sent_ns < answer->sent_ns)
        return;
    *answer = (answer_t){ voter, answered->sent_ns, { answered->last_term, answered->last_index },
                            answered->state, answered->space };
}

/* --- hand-over ------------------------------------------------------------------------------------------------- */

/* Near its first mark a voter is degraded, and leads as well as any. */
static bool
s_is_ready (const answer_t *answer)
{
    adr_node_state_facts_t known = { .space = answer->space };
    return adr_node_state_has (answer->state, ADR_EFFECT_SUCCEEDS, &known);
}

/* The ready voter with space that answered within a minimum election timeout and holds most of the log. */
static const answer_t *
s_best_successor (election_t *self, int64_t now_ns)
{
    const answer_t *best = NULL;
    for (uint32_t i = 0; i < self->answer_count; i++) {
        const answer_t *answer = &self->answer[i];
        if (adr_voters_find (&self->voters, &answer->voter.node, answer->voter.incarnation) < 0
            || !s_is_ready (answer)
            || now_ns - answer->sent_ns > self->environment.settings.election_min_ns)
            continue;
        if (best == NULL || adr_position_compare (answer->last, best->last) > 0)
            best = answer;
    }
    return best;
}

/* RELEASE to the other electors first, so that the successor's requests find them free. */
void
election_send_release (election_t *self, adr_effects_t *effects)
{
    Adr__Release release = ADR__RELEASE__INIT;
    Adr__Stand stand = ADR__STAND__INIT;
    release.term = stand.term = self->term;
    release.master = stand.master = adr_id_view (&self->environment.node);
    release.successor = stand.successor = adr_id_view (&self->successor);
    for (uint32_t i = 0; i < self->voters.count; i++) {
        const adr_id_t *node = &self->voters.voter[i].node;
        if (!election_is_me (self, node) && !adr_id_equal (node, &self->successor))
            election_send_peer (node, ADR__KIND__RELEASE, &release, effects);
    }
    election_send_peer (&self->successor, ADR__KIND__STAND, &stand, effects);
}

static void
s_try_hand_over (election_t *self, int64_t now_ns, adr_effects_t *effects)
{
    if (!self->lease_given_up || self->released)
        return;
    const answer_t *best = s_best_successor (self, now_ns);
    if (self->successor_named) {
        int place = adr_voters_find_node (&self->voters, &self->successor);
        best = place < 0 ? NULL : s_answer_of (self, &self->voters.voter[place]);
    }
    if (best == NULL || adr_position_compare (best->last, self->hand_over_last) < 0)
        return;
    self->successor = best->voter.node;
    self->released = true;
    adr_note (effects, ADR_LEVEL_NOTE, "the successor holds the whole log -> it is told to stand term=%llu",
              (unsigned long long) self->term);
    election_send_release (self, effects);
    election_wake_act (self, now_ns + election_repeat (self), effects);
}

void
election_fenced_to_hand_over (election_t *self, adr_position_t last, int64_t now_ns, adr_effects_t *effects)
{
    self->lease_given_up = true;
    self->hand_over_last = last;
    s_try_hand_over (self, now_ns, effects);
}

/* A master that gives up its lease tells its replicator so, and fences it with its own term: the answer proves that
 * the replicator, which may be slow, is past the lease; only then may anybody be told to stand [ELECT-8]. */
static void
s_become_handing_over (election_t *self, const adr_id_t *successor, int64_t quiet_ns, int64_t now_ns,
                       adr_effects_t *effects)
{
    election_become (self, ROLE_HANDING_OVER, self->term, effects);
    self->successor = *successor;
    self->successor_named = !adr_id_is_none (successor);
    self->lease_given_up = false;
    self->released = false;
    self->quiet_after_ns = quiet_ns;
    if (!ADR_PLANT (ELECT_8_LEASE_AFTER_HANDOVER))
        election_say_stood_down (self, true, effects);
    election_wake_limit (self, now_ns + self->environment.settings.election_min_ns, effects);
    if (ADR_PLANT (ELECT_8_LEASE_AFTER_HANDOVER) || ADR_PLANT (ELECT_8_STAND_BEFORE_LEASE_ENDS))
        election_fenced_to_hand_over (self, self->last, now_ns, effects);
    else
        election_ask_fence (self, FENCE_TO_HAND_OVER, effects);
}

/* Nobody took over in time: down, and like anybody else from here on. */
void
election_fail_hand_over (election_t *self, int64_t now_ns, adr_effects_t *effects)
{
    ADR_MARK ("election: a hand-over found no successor");
    self->quiet_until_ns = now_ns + self->quiet_after_ns;
    election_become_following (self, self->term, now_ns, effects);
}

static void
s_resign (election_t *self, const adr_id_t *successor, int64_t quiet_ns, int64_t now_ns, adr_effects_t *effects)
{
    uint32_t others = self->voters.count - (adr_voters_find_node (&self->voters, &self->environment.node) >= 0);
    self->quiet_after_ns = quiet_ns;
    if (self->voters.count == 0 || others == 0)
        election_fail_hand_over (self, now_ns, effects);
    else
        s_become_handing_over (self, successor, quiet_ns, now_ns, effects);
}

void
election_on_resign (election_t *self, const adr_event_t *event, adr_effects_t *effects)
{
    const Adr__Resign *resign = (const Adr__Resign *) event->message.header;
    adr_id_t successor = adr_id_of (resign->successor);
    if (self->role != ROLE_MASTER || resign->term != self->term || election_is_me (self, &successor))
        return;
    uint64_t quiet_ms = resign->silent_ms < PROMISE_MAX_MS ? resign->silent_ms : PROMISE_MAX_MS;
    adr_note (effects, ADR_LEVEL_NOTE, "asked to resign -> hands over term=%llu why=%s",
              (unsigned long long) self->term, resign->why);
    s_resign (self, &successor, (int64_t) quiet_ms * ADR_MS, event->now_ns, effects);
}

void
election_on_stop (election_t *self, int64_t now_ns, adr_effects_t *effects)
{
    static const adr_id_t s_none;
    self->stopping = true;
    if (self->role == ROLE_MASTER)
        s_resign (self, &s_none, 0, now_ns, effects);
    else if (self->role == ROLE_CALLING || self->role == ROLE_STANDING || self->role == ROLE_CANDIDATE)
        election_become_following (self, self->term, now_ns, effects);
}

void
election_on_answered (election_t *self, const adr_event_t *event, adr_effects_t *effects)
{
    const Adr__Answered *answered = (const Adr__Answered *) event->message.header;
    static const adr_id_t s_none;
    if (!election_leads (self) || answered->term != self->term)
        return;
    s_note_answer (self, answered);
    if (self->role == ROLE_HANDING_OVER) {
        s_try_hand_over (self, event->now_ns, effects);
        return;
    }
    election_check_majority (self, event->now_ns, effects);
    const answer_t *best = self->role == ROLE_MASTER && self->on_reserve ? s_best_successor (self, event->now_ns) : NULL;
    if (best != NULL && adr_position_compare (best->last, self->last) >= 0) {
        /* [ELECT-11] */
        adr_note (effects, ADR_LEVEL_WARNING, "this node's disk is on its reserve -> hands over term=%llu",
                  (unsigned long long) self->term);
        s_become_handing_over (self, &s_none, 0, event->now_ns, effects);
    }
}

/* The master's own word, for exactly the promise that was made to it [ELECT-8]. */
static bool
s_lift (election_t *self, const adr_event_t *event, uint64_t term, const adr_id_t *master, const adr_id_t *successor)
{
    promise_t *promise = &self->promise;
    bool exact = promise->term == term && adr_id_equal (&promise->master, master)
                 && adr_id_equal (master, &event->message.from.node);
    if (ADR_PLANT (ELECT_8_RELEASE_ANY))
        exact = true;
    if (exact)
        promise->lifted_for = *successor;
    else
        ADR_MARK ("election: a release of a promise that was not made");
    return exact;
}

void
election_on_release (election_t *self, const adr_event_t *event, adr_effects_t *effects)
{
    const Adr__Release *release = (const Adr__Release *) event->message.header;
    adr_id_t master = adr_id_of (release->master);
    adr_id_t successor = adr_id_of (release->successor);
    bool over = election_is_over (self, &event->message.from.node, release->term, effects);
    if (self->role == ROLE_STARTING || (over && !ADR_PLANT (ELECT_8_RELEASE_ANY)))
        return;
    (void) s_lift (self, event, release->term, &master, &successor);
}

/* Stands without calls: the master itself says that it leads no more. */
void
election_on_stand (election_t *self, const adr_event_t *event, adr_effects_t *effects)
{
    const Adr__Stand *stand = (const Adr__Stand *) event->message.header;
    adr_id_t master = adr_id_of (stand->master);
    adr_id_t successor = adr_id_of (stand->successor);
    if (self->role == ROLE_STARTING || election_is_over (self, &event->message.from.node, stand->term, effects))
        return;
    if (!election_is_me (self, &successor) || !s_lift (self, event, stand->term, &master, &successor))
        return;
    if (stand->term != self->term || (self->role != ROLE_FOLLOWING && self->role != ROLE_CALLING)
        || self->fence_purpose != FENCE_NONE || !election_may_lead (self, event->now_ns))
        return;
    election_become_standing (self, effects);
}
