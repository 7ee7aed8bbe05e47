/* SPDX-License-Identifier: MPL-2.0 */
/* The election's calls [ELECT-2], fence and votes [ELECT-3, ELECT-6, ELECT-7]. */

#include "actors/election_private.h"

#include <string.h>

/* [ELECT-2] Who supported a call gives the caller this long before it stands itself. */
#define S_SUPPORTED_PAUSE_NS (150 * ADR_MS)

/* --- calls ----------------------------------------------------------------------------------------------------- */

/* Only a voter of its own log may lead [ELECT-6], and only if its replicator says that it may. */
bool
election_may_lead (const election_t *self, int64_t now_ns)
{
    return election_my_place (self, &self->voters) >= 0 && self->may_stand && !self->stopping && !election_is_silent (self, now_ns)
           && !election_is_bound (self, &self->environment.node, now_ns);
}

static void
s_send_calls (const election_t *self, adr_effects_t *effects)
{
    Adr__Call call = ADR__CALL__INIT;
    adr_voter_set_t set;
    call.number = self->call;
    call.term = self->term;
    call.last_term = self->last.term;
    call.last_index = self->last.index;
    call.voters = adr_voter_set_fill (&set, &self->voters);
    call.incarnation = self->environment.incarnation;
    for (uint32_t i = 0; i < self->voters.count; i++)
        if (!election_is_me (self, &self->voters.voter[i].node))
            election_send_peer (&self->voters.voter[i].node, ADR__KIND__CALL, &call, effects);
}

/* How many of the voters must support a call, or grant their vote. */
static uint32_t
s_needed (const adr_voters_t *voters)
{
    uint32_t needed = adr_majority (voters->count);
    return ADR_PLANT (ELECT_3_MINORITY_ELECTS) && needed > 1 ? needed - 1 : needed;
}

/* Stands if a majority supports the call and nothing forbids it; else the next repeat tries again. */
static void
s_try_stand (election_t *self, int64_t now_ns, adr_effects_t *effects)
{
    if ((uint32_t) __builtin_popcount (self->supports) < s_needed (&self->voters))
        return;
    if (now_ns < self->stand_after_ns || self->fence_purpose != FENCE_NONE) {
        ADR_MARK ("election: supported, but not yet free to stand");
        return;
    }
    if (election_may_lead (self, now_ns))
        election_become_standing (self, effects);
    else
        election_become_following (self, self->term, now_ns, effects);
}

void
election_call_again (election_t *self, bool new_number, int64_t now_ns, adr_effects_t *effects)
{
    int place = election_my_place (self, &self->voters);
    if (place < 0) {
        election_become_following (self, self->term, now_ns, effects);
        return;
    }
    if (new_number) {
        self->call++;
        self->supports = 1u << place;
        election_wake_limit (self, now_ns + self->environment.settings.election_max_ns, effects);
    }
    s_send_calls (self, effects);
    election_wake_act (self, now_ns + election_repeat (self), effects);
    if (ADR_PLANT (ELECT_2_CALLS_ONCE)) {
        election_wake_act (self, ADR_NEVER, effects);
        election_wake_limit (self, ADR_NEVER, effects);
    }
    s_try_stand (self, now_ns, effects);
}

static void
s_become_calling (election_t *self, int64_t now_ns, adr_effects_t *effects)
{
    adr_note (effects, ADR_LEVEL_NOTE, "no evidence of a master -> calls for an election term=%llu",
              (unsigned long long) self->term);
    election_become (self, ROLE_CALLING, self->term, effects);
    election_no_leader (self, effects);
    election_call_again (self, true, now_ns, effects);
}

/* [ELECT-2] A follower's time is up: no poll came for a random election timeout. Unless its promise still runs, its
 * master, and with it that zone, counts as lost. A fence that did not end meanwhile says that it could not stand. */
void
election_try_call (election_t *self, int64_t now_ns, adr_effects_t *effects)
{
    bool hangs = self->fence_purpose != FENCE_NONE;
    if (election_may_lead (self, now_ns) && now_ns >= self->quiet_until_ns && !hangs)
        s_become_calling (self, now_ns, effects);
    else
        election_wait_for_evidence (self, now_ns, effects);
}

/* [ELECT-6] Does the set of a request name its sender and this very life of this node? [ELECT-7] */
static bool
s_set_names_both (const election_t *self, const adr_voters_t *set, const adr_id_t *sender, uint64_t incarnation)
{
    if (ADR_PLANT (ELECT_6_OWN_VOTER_SET))
        set = &self->voters;
    if (ADR_PLANT (ELECT_7_INCARNATION_IGNORED))
        return adr_voters_find_node (set, sender) >= 0 && adr_voters_find_node (set, &self->environment.node) >= 0;
    return adr_voters_find (set, sender, incarnation) >= 0 && election_my_place (self, set) >= 0;
}

/* Of two callers one must give way, and both must see it alike. */
static bool
s_outranks (const election_t *self, const adr_id_t *caller, adr_position_t caller_last)
{
    int order = adr_position_compare (caller_last, self->last);
    return order > 0 || (order == 0 && adr_id_compare (caller, &self->environment.node) > 0);
}

/* May this node support the call? Its own last position may lag a little; the vote compares exactly. */
static bool
s_may_support (const election_t *self, const Adr__Call *call, const adr_id_t *caller, int64_t now_ns)
{
    adr_voters_t set;
    adr_position_t last = { call->last_term, call->last_index };
    if (self->role != ROLE_FOLLOWING && self->role != ROLE_CALLING)
        return false;
    if (election_is_silent (self, now_ns) || election_is_bound (self, caller, now_ns) || call->term > TERM_MAX)
        return false;
    if (!adr_voter_set_read (&set, call->voters) || !s_set_names_both (self, &set, caller, call->incarnation))
        return false;
    if (adr_position_compare (last, self->last) < 0)
        return false;
    return self->role == ROLE_FOLLOWING || s_outranks (self, caller, last);
}

void
election_on_call (election_t *self, const adr_event_t *event, adr_effects_t *effects)
{
    const Adr__Call *call = (const Adr__Call *) event->message.header;
    const adr_id_t *caller = &event->message.from.node;
    /* While an election goes on, a call is too late, whatever its term; to tell the caller the new term would only
     * make it stand against the candidate. */
    if (self->role == ROLE_STARTING || self->role == ROLE_VOTING || self->role == ROLE_STANDING || self->role == ROLE_CANDIDATE
        || election_is_over (self, caller, call->term, effects))
        return;
    if (call->voters == NULL || !s_may_support (self, call, caller, event->now_ns))
        return;
    if (self->role == ROLE_CALLING)
        election_become_following (self, self->term, event->now_ns, effects);
    self->stand_after_ns = event->now_ns + S_SUPPORTED_PAUSE_NS;
    Adr__Support support = ADR__SUPPORT__INIT;
    support.number = call->number;
    support.term = call->term;
    support.incarnation = self->environment.incarnation;
    support.to_incarnation = call->incarnation;
    election_send_peer (caller, ADR__KIND__SUPPORT, &support, effects);
}

/* [ELECT-7] The place of who supports or votes, or -1: this very life of it is no voter, or it is not for this very life
 * of ours. Numbers of calls and terms of candidatures come again after a lost disk, and what was said to the former
 * life may still be on the wire. */
static int
s_place_of_sender (const election_t *self, const adr_voters_t *voters, const adr_id_t *sender, uint64_t incarnation,
                   uint64_t to_incarnation)
{
    if (to_incarnation != self->environment.incarnation && !ADR_PLANT (ELECT_7_VOTE_FOR_FORMER_LIFE))
        return -1;
    if (ADR_PLANT (ELECT_7_INCARNATION_IGNORED))
        return adr_voters_find_node (voters, sender);
    return adr_voters_find (voters, sender, incarnation);
}

void
election_on_support (election_t *self, const adr_event_t *event, adr_effects_t *effects)
{
    const Adr__Support *support = (const Adr__Support *) event->message.header;
    int place = s_place_of_sender (self, &self->voters, &event->message.from.node, support->incarnation,
                                   support->to_incarnation);
    if (self->role != ROLE_CALLING || support->number != self->call || place < 0)
        return;
    self->supports |= 1u << place;
    s_try_stand (self, event->now_ns, effects);
}

/* --- fence and vote -------------------------------------------------------------------------------------------- */

void
election_ask_fence (election_t *self, fence_purpose_t purpose, adr_effects_t *effects)
{
    Adr__Fence fence = ADR__FENCE__INIT;
    adr_assert (self->fence_purpose == FENCE_NONE);
    self->fence_purpose = purpose;
    self->fence_term = self->term;
    fence.term = self->term;
    election_send_own (self, ADR_ACTOR_REPLICATOR, ADR__KIND__FENCE, &fence, effects);
}

static void
s_answer_request (const election_t *self, const adr_voter_t *candidate, uint64_t term, bool granted,
                  adr_effects_t *effects)
{
    Adr__Vote vote = ADR__VOTE__INIT;
    vote.term = term;
    vote.granted = granted;
    vote.incarnation = self->environment.incarnation;
    vote.to_incarnation = candidate->incarnation;
    election_send_peer (&candidate->node, ADR__KIND__VOTE, &vote, effects);
}

/* One vote a term: it counts as given from here on, and leaves when it is durable. */
static void
s_cast_vote (election_t *self, int64_t now_ns, adr_effects_t *effects)
{
    uint8_t value[VOTE_SIZE];
    self->vote.term = self->term;
    self->vote.candidate = self->candidate.node;
    self->vote.incarnation = self->candidate.incarnation;
    self->vote.durable = false;
    self->vote.token = ++self->token;
    adr_put_u64 (value, self->vote.term);
    memcpy (value + 8, self->vote.candidate.bytes, ADR_ID_SIZE);
    adr_put_u64 (value + 8 + ADR_ID_SIZE, self->vote.incarnation);
    adr_put_u64 (value + 16 + ADR_ID_SIZE, self->environment.incarnation);
    if (ADR_PLANT (ELECT_3_VOTE_NOT_DURABLE))
        election_on_vote_durable (self, now_ns, effects);
    else
        effects->persist (effects, "vote", adr_bytes (value, sizeof value), self->vote.token);
}

static void
s_become_voting (election_t *self, const Adr__VoteRequest *request, const adr_id_t *candidate, int64_t now_ns,
                 adr_effects_t *effects)
{
    self->own_call_ns = self->role == ROLE_FOLLOWING ? self->act_at_ns : self->role == ROLE_CALLING ? now_ns : ADR_NEVER;
    election_become (self, ROLE_VOTING, request->term, effects);
    self->candidate = (adr_voter_t){ *candidate, request->incarnation };
    self->candidate_last = (adr_position_t){ request->last_term, request->last_index };
    if (ADR_PLANT (ELECT_3_VOTE_WITHOUT_FENCE)) {
        if (adr_position_compare (self->candidate_last, self->last) >= 0)
            s_cast_vote (self, now_ns, effects);
        else
            election_become_following (self, self->term, now_ns, effects);
        return;
    }
    election_ask_fence (self, FENCE_TO_VOTE, effects);
}

/* True if this term's vote is given away, and the request answered by it. */
static bool
s_has_voted (const election_t *self, uint64_t term, const adr_voter_t *candidate, adr_effects_t *effects)
{
    if (self->vote.term != term || ADR_PLANT (ELECT_3_TWO_VOTES_A_TERM))
        return false;
    bool same = adr_id_equal (&self->vote.candidate, &candidate->node)
                && self->vote.incarnation == candidate->incarnation;
    if (!same)
        s_answer_request (self, candidate, term, false, effects);
    else if (self->vote.durable)
        s_answer_request (self, candidate, term, true, effects);
    return true;
}

void
election_on_vote_request (election_t *self, const adr_event_t *event, adr_effects_t *effects)
{
    const Adr__VoteRequest *request = (const Adr__VoteRequest *) event->message.header;
    adr_voter_t candidate = { event->message.from.node, request->incarnation };
    adr_voters_t set;
    if (self->role == ROLE_STARTING || election_is_over (self, &candidate.node, request->term, effects))
        return;
    if (election_is_silent (self, event->now_ns) || request->term > TERM_MAX || request->voters == NULL)
        return;
    if (!adr_voter_set_read (&set, request->voters)
        || !s_set_names_both (self, &set, &candidate.node, candidate.incarnation)) {
        s_answer_request (self, &candidate, request->term, false, effects);
        return;
    }
    /* Refused before the fence: the term stays what it is [ELECT-2]. */
    if (election_is_bound (self, &candidate.node, event->now_ns)) {
        ADR_MARK ("election: asked for a vote while promised to another");
        s_answer_request (self, &candidate, request->term, false, effects);
        return;
    }
    if (s_has_voted (self, request->term, &candidate, effects))
        return;
    if (self->fence_purpose != FENCE_NONE) {
        ADR_MARK ("election: another candidate while a fence is in flight");
        return;
    }
    s_become_voting (self, request, &candidate.node, event->now_ns, effects);
}

/* The replicator is fenced and told its exact end: only that is compared with the candidate's [ELECT-3]. */
static void
s_fenced_to_vote (election_t *self, adr_position_t last, int64_t now_ns, adr_effects_t *effects)
{
    bool behind = adr_position_compare (self->candidate_last, last) < 0;
    if (ADR_PLANT (ELECT_3_POSITION_NOT_COMPARED))
        behind = false;
    if (behind || election_is_bound (self, &self->candidate.node, now_ns)) {
        ADR_MARK ("election: fenced, then refused");
        s_answer_request (self, &self->candidate, self->term, false, effects);
        election_become_following (self, self->term, now_ns, effects);
        /* [ELECT-2] Who refuses whoever is behind has voted for nobody: candidates that ask again and again must not keep the one
         * with the longest log from calling. */
        if (behind && self->own_call_ns < self->act_at_ns && !ADR_PLANT (ELECT_2_REFUSING_DEFERS_CALLS))
            election_wake_act (self, self->own_call_ns, effects);
        return;
    }
    s_cast_vote (self, now_ns, effects);
}

static void
s_fenced_to_stand (election_t *self, const Adr__Fenced *fenced, int64_t now_ns, adr_effects_t *effects)
{
    bool read = fenced->voters != NULL && adr_voter_set_read (&self->electors, fenced->voters);
    self->candidate_last = (adr_position_t){ fenced->last_term, fenced->last_index };
    if (!read || election_my_place (self, &self->electors) < 0 || !election_may_lead (self, now_ns)) {
        ADR_MARK ("election: fenced to stand, and may not any more");
        election_become_following (self, self->term, now_ns, effects);
        return;
    }
    s_cast_vote (self, now_ns, effects);
}

void
election_on_fenced (election_t *self, const adr_event_t *event, adr_effects_t *effects)
{
    const Adr__Fenced *fenced = (const Adr__Fenced *) event->message.header;
    adr_position_t last = { fenced->last_term, fenced->last_index };
    fence_purpose_t purpose = self->fence_purpose;
    if (!fenced->refused && fenced->term != self->fence_term)
        return;
    self->fence_purpose = FENCE_NONE;
    if (fenced->refused && purpose != FENCE_TO_HAND_OVER) {
        /* An append of a newer master raised the fence meanwhile [ELECT-5]. */
        ADR_MARK ("election: the fence was refused");
        election_hear_term (self, fenced->term, event->now_ns, effects);
        if (self->role == ROLE_VOTING || self->role == ROLE_STANDING)
            election_become_following (self, self->term, event->now_ns, effects);
        return;
    }
    if (self->fence_term != self->term) {
        ADR_MARK ("election: fenced for a term that is over");
        return;
    }
    if (purpose == FENCE_TO_VOTE && self->role == ROLE_VOTING)
        s_fenced_to_vote (self, last, event->now_ns, effects);
    else if (purpose == FENCE_TO_STAND && self->role == ROLE_STANDING)
        s_fenced_to_stand (self, fenced, event->now_ns, effects);
    else if (purpose == FENCE_TO_HAND_OVER && self->role == ROLE_HANDING_OVER)
        election_fenced_to_hand_over (self, last, event->now_ns, effects);
}

static void s_become_candidate (election_t *self, int64_t now_ns, adr_effects_t *effects);

/* [ELECT-3] The promise is checked once more: a poll may have come while the disk worked. */
void
election_on_vote_durable (election_t *self, int64_t now_ns, adr_effects_t *effects)
{
    self->vote.durable = true;
    if ((self->role != ROLE_VOTING && self->role != ROLE_STANDING) || self->vote.term != self->term)
        return;
    if (election_is_bound (self, &self->candidate.node, now_ns)) {
        ADR_MARK ("election: promised to another while the vote became durable");
        election_become_following (self, self->term, now_ns, effects);
    } else if (self->role == ROLE_STANDING) {
        s_become_candidate (self, now_ns, effects);
    } else {
        s_answer_request (self, &self->candidate, self->term, true, effects);
        election_become_following (self, self->term, now_ns, effects);
    }
}

/* --- standing -------------------------------------------------------------------------------------------------- */

void
election_become_standing (election_t *self, adr_effects_t *effects)
{
    election_become (self, ROLE_STANDING, self->term + 1, effects);
    self->candidate = (adr_voter_t){ self->environment.node, self->environment.incarnation };
    election_ask_fence (self, FENCE_TO_STAND, effects);
}

/* Asks those that have not granted yet. */
void
election_send_requests (const election_t *self, adr_effects_t *effects)
{
    Adr__VoteRequest request = ADR__VOTE_REQUEST__INIT;
    adr_voter_set_t set;
    request.term = self->term;
    request.last_term = self->candidate_last.term;
    request.last_index = self->candidate_last.index;
    request.voters = adr_voter_set_fill (&set, &self->electors);
    request.incarnation = self->environment.incarnation;
    for (uint32_t i = 0; i < self->electors.count; i++)
        if (!(self->votes & 1u << i) && !election_is_me (self, &self->electors.voter[i].node))
            election_send_peer (&self->electors.voter[i].node, ADR__KIND__VOTE_REQUEST, &request, effects);
}

static void
s_count_votes (election_t *self, int64_t now_ns, adr_effects_t *effects)
{
    if ((uint32_t) __builtin_popcount (self->votes) >= s_needed (&self->electors))
        election_become_master (self, now_ns, effects);
}

static void
s_become_candidate (election_t *self, int64_t now_ns, adr_effects_t *effects)
{
    const adr_settings_t *settings = &self->environment.settings;
    election_become (self, ROLE_CANDIDATE, self->term, effects);
    self->votes = 1u << election_my_place (self, &self->electors);
    /* Fence and vote are four syncs in a row: a candidate that hurries elects nobody on slow disks [ELECT-2]. */
    int64_t patience_ns = settings->election_max_ns
                          + adr_random_between (&self->random, 0, settings->election_max_ns - settings->election_min_ns);
    if (ADR_PLANT (ELECT_2_CANDIDATE_GIVES_UP_EARLY))
        patience_ns = ADR_MS / 2;
    election_wake_act (self, now_ns + election_repeat (self), effects);
    election_wake_limit (self, now_ns + patience_ns, effects);
    election_send_requests (self, effects);
    s_count_votes (self, now_ns, effects);
}

void
election_on_vote (election_t *self, const adr_event_t *event, adr_effects_t *effects)
{
    const Adr__Vote *vote = (const Adr__Vote *) event->message.header;
    int place = s_place_of_sender (self, &self->electors, &event->message.from.node, vote->incarnation,
                                   vote->to_incarnation);
    if (self->role != ROLE_CANDIDATE || vote->term != self->term || !vote->granted || place < 0)
        return;
    self->votes |= 1u << place;
    s_count_votes (self, event->now_ns, effects);
}
