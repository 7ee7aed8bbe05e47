/* SPDX-License-Identifier: MPL-2.0 */
/* ELECT-2 to 7 as facts: who stands was called for, one vote a term, a fence before the vote, nothing of that is ever
 * forgotten under one incarnation, and what counts was given by and to these very lives of voter and candidate. */

#include "check_elect.h"

#include <stdlib.h>

#define S_U(x) ((unsigned long long) (x))
#define S_REFUSALS 8
#define S_REFUSALS_NS INT64_C (3000000000)
#define S_REFUSALS_APART_NS INT64_C (1000000000)
#define S_TERMS_MAX 1000000 /* as check_terms.c: a higher one is a bug of its own */

void
sim_votes_init (sim_votes_t *self, sim_verdict_t *verdict, const adr_id_t *node_ids, int node_count)
{
    memset (self, 0, sizeof *self);
    self->verdict = verdict;
    self->node_ids = node_ids;
    self->node_count = node_count;
}

void
sim_votes_free (sim_votes_t *self)
{
    for (int i = 0; i < SIM_NODES_MAX; i++)
        free (self->node[i].vote);
    memset (self, 0, sizeof *self);
}

/* A new incarnation has neither voted nor fenced; a new start has heard nothing yet. */
static sim_voter_t *
s_of (sim_votes_t *self, const sim_who_t *who)
{
    sim_voter_t *voter = &self->node[who->node];
    if (voter->incarnation == who->incarnation && voter->boot == who->boot)
        return voter;
    if (voter->incarnation != who->incarnation) {
        free (voter->vote);
        memset (voter, 0, sizeof *voter);
    }
    voter->incarnation = who->incarnation;
    voter->boot = who->boot;
    voter->fence_asked = voter->fence_heard = voter->append_last = voter->append_term = voter->stand_term = 0;
    voter->append_any = false;
    voter->voters_heard = 0;
    memset (voter->refused, 0, sizeof voter->refused);
    for (int i = 0; i < SIM_NODES_MAX; i++)
        voter->call_of[i].term = voter->call_of[i].number = voter->request_of[i].term = 0;
    return voter;
}

static bool
s_names (const sim_votes_t *self, const adr_voters_t *voters, int node, uint64_t incarnation)
{
    return adr_voters_find (voters, &self->node_ids[node], incarnation) >= 0;
}

/* --- fences and terms -------------------------------------------------------------------------------------------- */

void
sim_votes_told_fence (sim_votes_t *self, const sim_who_t *who, uint64_t fence, uint64_t last_term)
{
    const sim_voter_t *voter = s_of (self, who);
    if (fence < voter->fenced)
        sim_fail (self->verdict, "a fence is never forgotten [ELECT-3]", "node %d: the fence is %llu, and was %llu",
                  who->node, S_U (fence), S_U (voter->fenced));
    if (fence < last_term)
        sim_fail (self->verdict, "the fence is never below the log's last term [ELECT-5]",
                  "node %d: the fence is %llu, the last entry has term %llu", who->node, S_U (fence), S_U (last_term));
}

void
sim_votes_heard_voters (sim_votes_t *self, const sim_who_t *who, uint64_t fence, uint32_t count)
{
    sim_voter_t *voter = s_of (self, who);
    voter->voters_heard = count;
    if (fence > voter->fence_heard)
        voter->fence_heard = fence;
}

void
sim_votes_fenced (sim_votes_t *self, const sim_who_t *who, uint64_t term, adr_position_t last,
                  const adr_voters_t *voters, uint64_t stored, uint64_t synced)
{
    sim_voter_t *voter = s_of (self, who);
    if (stored < term || synced < last.index)
        sim_fail (self->verdict, "a fence's answer covers only what is durable [ELECT-4]",
                  "node %d answers fence %llu with log end %llu; on disk are fence %llu and the log up to %llu", who->node,
                  S_U (term), S_U (last.index), S_U (stored), S_U (synced));
    if (term < voter->fenced)
        return;
    voter->fenced = term;
    voter->fenced_last = last;
    voter->fenced_voters = *voters;
}

void
sim_votes_accepts (sim_votes_t *self, const sim_who_t *who, uint64_t term)
{
    const sim_voter_t *voter = s_of (self, who);
    if (term < voter->fence_asked || term < voter->fence_heard || term < voter->vote_max)
        sim_fail (self->verdict, "nothing is promised to a term that is over [ELECT-3, ELECT-5]",
                  "node %d accepts a poll of term %llu; it asked for fence %llu, heard of fence %llu, voted in term %llu",
                  who->node, S_U (term), S_U (voter->fence_asked), S_U (voter->fence_heard), S_U (voter->vote_max));
}

/* --- calls ------------------------------------------------------------------------------------------------------- */

void
sim_votes_calls (sim_votes_t *self, const sim_who_t *who, const sim_asked_t *call)
{
    s_of (self, who)->call = *call;
}

void
sim_votes_call_came (sim_votes_t *self, const sim_who_t *who, int from, const sim_asked_t *call)
{
    s_of (self, who)->call_of[from] = *call;
}

/* [ELECT-6] Whoever is asked judges by the set of who asks: it must name both, and their very incarnations. */
static void
s_check_named (sim_votes_t *self, const sim_who_t *who, int from, const sim_asked_t *asked, uint64_t to_incarnation)
{
    if (asked->incarnation == to_incarnation && s_names (self, &asked->voters, from, to_incarnation)
        && s_names (self, &asked->voters, who->node, who->incarnation))
        return;
    sim_fail (self->verdict, "the asker's set says who may vote [ELECT-6]",
              "node %d answers node %d, whose set does not name these lives of both", who->node, from);
}

void
sim_votes_supports (sim_votes_t *self, const sim_who_t *who, int caller, uint64_t number, uint64_t to_incarnation)
{
    const sim_voter_t *voter = s_of (self, who);
    if (voter->call_of[caller].number == number)
        s_check_named (self, who, caller, &voter->call_of[caller], to_incarnation);
    sim_support_t *given = &self->node[caller].support[who->node];
    if (given->incarnation == who->incarnation && given->to_incarnation == to_incarnation && given->number > number)
        return; /* a call of before came late, and was supported, too */
    *given = (sim_support_t){ number, who->incarnation, to_incarnation };
}

void
sim_votes_told_to_stand (sim_votes_t *self, const sim_who_t *who, uint64_t term)
{
    sim_voter_t *voter = s_of (self, who);
    if (term >= voter->stand_term)
        voter->stand_term = term + 1;
}

/* [ELECT-2] Only a quorum of supports that were given to this very call, or a master's word, raises a term. */
static void
s_check_called_for (sim_votes_t *self, const sim_who_t *who, const sim_voter_t *voter, uint64_t term)
{
    uint32_t count = 0;
    for (int node = 0; node < self->node_count; node++) {
        bool supports = voter->support[node].number == voter->call.number
                        && voter->support[node].to_incarnation == who->incarnation;
        uint64_t incarnation = node == who->node ? who->incarnation : voter->support[node].incarnation;
        if ((supports || node == who->node) && s_names (self, &voter->call.voters, node, incarnation))
            count++;
    }
    if (voter->stand_term != term && count < adr_majority (voter->call.voters.count))
        sim_fail (self->verdict, "only a quorum of calls raises a term [ELECT-2, ELECT-7]",
                  "node %d stands in term %llu; %u of %u support its call %llu", who->node, S_U (term), count,
                  voter->call.voters.count, S_U (voter->call.number));
}

void
sim_votes_asks_fence (sim_votes_t *self, const sim_who_t *who, uint64_t term)
{
    sim_voter_t *voter = s_of (self, who);
    if (term < voter->fence_heard || term < voter->vote_max)
        sim_fail (self->verdict, "terms start from vote and fence [ELECT-5]",
                  "node %d fences term %llu, has heard of fence %llu, and voted in term %llu", who->node, S_U (term),
                  S_U (voter->fence_heard), S_U (voter->vote_max));
    /* For nobody else, and not to hand over: to stand itself. The only voter calls nobody; it is that by what it was
     * told, not by its log, whose news may still be under way to it (its votes are counted by FENCED's set). */
    bool stands = voter->voters_heard != 1 && term > voter->fence_asked && term > voter->vote_max;
    for (int i = 0; i < self->node_count; i++)
        stands = stands && voter->request_of[i].term != term;
    if (stands)
        s_check_called_for (self, who, voter, term);
    if (term > voter->fence_asked)
        voter->fence_asked = term;
}

/* --- votes ------------------------------------------------------------------------------------------------------- */

static sim_candidate_t *
s_vote (sim_voter_t *voter, uint64_t term)
{
    if (term >= S_TERMS_MAX)
        return NULL;
    while (term >= voter->vote_room) {
        uint64_t room = voter->vote_room ? voter->vote_room * 2 : 64;
        voter->vote = adr_realloc (voter->vote, room * sizeof *voter->vote);
        for (uint64_t i = voter->vote_room; i < room; i++)
            voter->vote[i] = (sim_candidate_t){ .node = -1 };
        voter->vote_room = room;
    }
    return &voter->vote[term];
}

static void
s_votes (sim_votes_t *self, const sim_who_t *who, sim_candidate_t candidate, uint64_t term, uint64_t stored_term,
         int stored_for)
{
    sim_voter_t *voter = s_of (self, who);
    sim_candidate_t *vote = s_vote (voter, term);
    if (!vote)
        return;
    if (vote->node >= 0 && (vote->node != candidate.node || vote->incarnation != candidate.incarnation))
        sim_fail (self->verdict, "one vote a term [ELECT-3]", "node %d votes for node %d in term %llu, and did for node %d",
                  who->node, candidate.node, S_U (term), vote->node);
    *vote = candidate;
    if (term > voter->vote_max)
        voter->vote_max = term;
    if (stored_term != term || stored_for != candidate.node)
        sim_fail (self->verdict, "a vote is durable before it leaves [ELECT-3]",
                  "node %d votes for node %d in term %llu; on disk is a vote in term %llu", who->node, candidate.node,
                  S_U (term), S_U (stored_term));
    if (voter->fenced < term)
        sim_fail (self->verdict, "fence before vote [ELECT-3]",
                  "node %d votes for node %d in term %llu; its replicator has fenced term %llu", who->node, candidate.node,
                  S_U (term), S_U (voter->fenced));
}

void
sim_votes_requests (sim_votes_t *self, const sim_who_t *who, const sim_asked_t *request, uint64_t stored_term,
                    int stored_for)
{
    s_votes (self, who, (sim_candidate_t){ who->node, who->incarnation }, request->term, stored_term, stored_for);
}

void
sim_votes_request_came (sim_votes_t *self, const sim_who_t *who, int from, const sim_asked_t *request)
{
    s_of (self, who)->request_of[from] = *request;
}

void
sim_votes_grants (sim_votes_t *self, const sim_who_t *who, int candidate, uint64_t to_incarnation, uint64_t term,
                  uint64_t stored_term, int stored_for)
{
    s_votes (self, who, (sim_candidate_t){ candidate, to_incarnation }, term, stored_term, stored_for);
    const sim_voter_t *voter = s_of (self, who);
    const sim_asked_t *request = &voter->request_of[candidate];
    self->node[candidate].grant[who->node].term = term;
    self->node[candidate].grant[who->node].incarnation = who->incarnation;
    self->node[candidate].grant[who->node].to_incarnation = to_incarnation;
    if (request->term != term)
        return; /* a newer one, or the same of an earlier life, came since */
    s_check_named (self, who, candidate, request, to_incarnation);
    if (voter->fenced == term && adr_position_compare (request->last, voter->fenced_last) < 0)
        sim_fail (self->verdict, "nobody votes for a log behind its own [ELECT-3]",
                  "node %d, fenced at %llu/%llu, votes for node %d, which ends at %llu/%llu", who->node,
                  S_U (voter->fenced_last.term), S_U (voter->fenced_last.index), candidate, S_U (request->last.term),
                  S_U (request->last.index));
}

void
sim_votes_refuses (sim_votes_t *self, const sim_who_t *who, int candidate, uint64_t term, bool excused)
{
    const sim_voter_t *voter = s_of (self, who);
    const sim_asked_t *request = &voter->request_of[candidate];
    if (excused || request->term != term || voter->fence_asked >= term || voter->vote_max >= term
        || !s_names (self, &request->voters, candidate, request->incarnation)
        || !s_names (self, &request->voters, who->node, who->incarnation))
        return;
    sim_fail (self->verdict, "a vote is refused with reason [ELECT-6]",
              "node %d refuses node %d in term %llu: it is bound to nobody, and the request's set names both", who->node,
              candidate, S_U (term));
}

/* [ELECT-7] A majority of the set that came with its fence voted in this term for this very life. */
void
sim_votes_elected (sim_votes_t *self, const sim_who_t *who, uint64_t term)
{
    const sim_voter_t *winner = s_of (self, who);
    uint32_t count = 0;
    for (int node = 0; node < self->node_count; node++) {
        bool granted = winner->grant[node].term == term && winner->grant[node].to_incarnation == who->incarnation;
        uint64_t incarnation = node == who->node ? who->incarnation : winner->grant[node].incarnation;
        if ((granted || node == who->node) && s_names (self, &winner->fenced_voters, node, incarnation))
            count++;
    }
    if (winner->fenced != term || count < adr_majority (winner->fenced_voters.count))
        sim_fail (self->verdict, "a majority elects [ELECT-3, ELECT-7]", "node %d leads in term %llu by %u votes of %u",
                  who->node, S_U (term), count, winner->fenced_voters.count);
}

/* --- appends ----------------------------------------------------------------------------------------------------- */

void
sim_votes_sends_append (sim_votes_t *self, const sim_who_t *who, uint64_t term)
{
    if (term < s_of (self, who)->fenced)
        sim_fail (self->verdict, "a fence ends what is below it [ELECT-4]", "node %d appends in term %llu, fenced is %llu",
                  who->node, S_U (term), S_U (s_of (self, who)->fenced));
}

void
sim_votes_append_came (sim_votes_t *self, const sim_who_t *who, uint64_t term, uint64_t incarnation, uint64_t last)
{
    sim_voter_t *voter = s_of (self, who);
    if (incarnation != who->incarnation || term < voter->append_term)
        return;
    if (term > voter->append_term || !voter->append_any)
        voter->append_last = 0;
    voter->append_term = term;
    voter->append_any = true;
    if (last > voter->append_last)
        voter->append_last = last;
}

void
sim_votes_sends_ack (sim_votes_t *self, const sim_who_t *who, uint64_t term, uint64_t confirmed)
{
    const sim_voter_t *voter = s_of (self, who);
    if (term < voter->fenced)
        sim_fail (self->verdict, "a fence binds [ELECT-3]", "node %d acknowledges in term %llu, fenced is %llu", who->node,
                  S_U (term), S_U (voter->fenced));
    if (!voter->append_any || voter->append_term != term || confirmed > voter->append_last)
        sim_fail (self->verdict, "an ack says what appends for this very life confirmed [ELECT-7, REPL-1]",
                  "node %d acknowledges %llu in term %llu; appends of term %llu for it end at %llu", who->node,
                  S_U (confirmed), S_U (term), S_U (voter->append_term), S_U (voter->append_last));
}

void
sim_votes_ack_came (sim_votes_t *self, const sim_who_t *who, int from)
{
    s_of (self, who)->refused[from].count = 0;
}

/* [REPL-1] A refusal says what is lacking: the next append must fit, unless messages cross. */
void
sim_votes_refusal_came (sim_votes_t *self, const sim_who_t *who, int from, uint64_t term)
{
    sim_voter_t *master = s_of (self, who);
    if (master->refused[from].count == 0 || master->refused[from].term != term) {
        master->refused[from].term = term;
        master->refused[from].count = 0;
        master->refused[from].since_ns = master->refused[from].last_ns = who->now_ns;
    }
    /* A master that was stopped meanwhile finds refusals from before, and has sent nothing since: a gap counts little. */
    int64_t gap_ns = who->now_ns - master->refused[from].last_ns;
    if (gap_ns > S_REFUSALS_APART_NS)
        master->refused[from].since_ns += gap_ns - S_REFUSALS_APART_NS;
    master->refused[from].last_ns = who->now_ns;
    if (++master->refused[from].count >= S_REFUSALS && who->now_ns - master->refused[from].since_ns > S_REFUSALS_NS)
        sim_fail (self->verdict, "a member that refuses is sent what it lacks [REPL-1, ELECT-7]",
                  "node %d has refused %llu appends of node %d in term %llu, and confirms nothing", from,
                  S_U (master->refused[from].count), who->node, S_U (term));
}
