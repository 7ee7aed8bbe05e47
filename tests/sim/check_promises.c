/* SPDX-License-Identifier: MPL-2.0 */
/* ELECT-1 and ELECT-8 as facts: no answer before its promise; a promise that was answered binds, over restarts too; a
 * lease is used only while a majority is bound; and none runs by its owner's own clock when somebody else is elected. */

#include "check_elect.h"

#define S_U(x) ((unsigned long long) (x))

void
sim_promises_init (sim_promises_t *self, sim_verdict_t *verdict, const adr_id_t *node_ids, int node_count)
{
    memset (self, 0, sizeof *self);
    self->verdict = verdict;
    self->node_ids = node_ids;
    self->node_count = node_count;
}

/* A new incarnation owes nothing; a new start has forgotten what is not on disk, but still owes its promises. */
static sim_bound_t *
s_of (sim_promises_t *self, const sim_who_t *who)
{
    sim_bound_t *bound = &self->node[who->node];
    if (bound->incarnation == who->incarnation && bound->boot == who->boot)
        return bound;
    if (bound->incarnation != who->incarnation) {
        sim_bound_t before = *bound;
        memset (bound, 0, sizeof *bound);
        bound->former = before.incarnation;
        memcpy (bound->former_promise, before.promise, sizeof before.promise);
        for (int i = 0; i < SIM_PROMISES_KEPT; i++)
            bound->promise[i].master = bound->promise[i].lifted_for = -1;
    }
    bound->incarnation = who->incarnation;
    bound->boot = who->boot;
    bound->seen_count = bound->noted_count = 0;
    bound->perhaps_until_ns = 0;
    bound->leads = bound->lease_term = 0;
    bound->successor = -1;
    return bound;
}

/* The same poll in a ring into which `count` were put; NULL if it is not there. */
static const sim_round_t *
s_find (const sim_round_t *ring, uint32_t count, const sim_round_t *poll)
{
    for (uint32_t back = 1; back <= count && back <= SIM_ROUNDS_KEPT; back++) {
        const sim_round_t *at = &ring[(count - back) % SIM_ROUNDS_KEPT];
        if (at->term == poll->term && at->round == poll->round && at->master == poll->master)
            return at;
    }
    return NULL;
}

/* --- polls and promises ---------------------------------------------------------------------------------------- */

void
sim_promises_seen (sim_promises_t *self, const sim_who_t *who, const sim_round_t *poll)
{
    sim_bound_t *bound = s_of (self, who);
    bound->seen[bound->seen_count++ % SIM_ROUNDS_KEPT] = *poll;
    if (poll->until_ns > bound->perhaps_until_ns)
        bound->perhaps_until_ns = poll->until_ns;
}

static void
s_promise (sim_bound_t *bound, const sim_round_t *poll)
{
    sim_promise_t *newest = &bound->promise[0];
    if (newest->term != poll->term || newest->master != poll->master) {
        memmove (newest + 1, newest, (SIM_PROMISES_KEPT - 1) * sizeof *newest);
        *newest = (sim_promise_t){ poll->term, poll->master, -1, 0 };
    }
    if (poll->until_ns > newest->until_ns)
        newest->until_ns = poll->until_ns;
}

void
sim_promises_noted (sim_promises_t *self, const sim_who_t *who, const sim_round_t *poll, uint64_t stored_ms)
{
    sim_bound_t *bound = s_of (self, who);
    const sim_round_t *seen = s_find (bound->seen, bound->seen_count, poll);
    bound->noted[bound->noted_count++ % SIM_ROUNDS_KEPT] = *poll;
    if (poll->promise_ms == 0)
        return;
    if (stored_ms < poll->promise_ms)
        sim_fail (self->verdict, "1: a promise is durable before it is answered [ELECT-1]",
                  "node %d promises %u ms, on disk are %llu", who->node, poll->promise_ms, S_U (stored_ms));
    if (seen)
        s_promise (bound, seen);
}

void
sim_promises_answered (sim_promises_t *self, const sim_who_t *who, const sim_round_t *poll)
{
    const sim_bound_t *bound = s_of (self, who);
    const sim_round_t *noted = s_find (bound->noted, bound->noted_count, poll);
    if (!noted || noted->promise_ms < poll->promise_ms)
        sim_fail (self->verdict, "1: promise first, answer second [ELECT-1]",
                  "node %d answers round %llu of term %llu with a promise of %u ms that its election did not note",
                  who->node, S_U (poll->round), S_U (poll->term), poll->promise_ms);
}

void
sim_promises_lifted (sim_promises_t *self, const sim_who_t *who, uint64_t term, int master, int successor)
{
    sim_promise_t *newest = &s_of (self, who)->promise[0];
    if (newest->term == term && newest->master == master)
        newest->lifted_for = successor;
}

/* --- what is forbidden meanwhile --------------------------------------------------------------------------------- */

void
sim_promises_leads (sim_promises_t *self, const sim_who_t *who, uint64_t term)
{
    sim_bound_t *bound = s_of (self, who);
    bound->leads = term;
    bound->successor = -1;
}

void
sim_promises_releases (sim_promises_t *self, const sim_who_t *who, int successor)
{
    sim_bound_t *bound = s_of (self, who);
    bound->successor = successor;
    if (bound->lease_term && bound->lease_term == bound->leads)
        sim_fail (self->verdict, "1: the lease ends before anybody is told to stand [ELECT-8]",
                  "node %d names node %d its successor, and its replicator still holds the lease of term %llu",
                  who->node, successor, S_U (bound->lease_term));
}

void
sim_promises_favours (sim_promises_t *self, const sim_who_t *who, int candidate, const char *what)
{
    const sim_bound_t *bound = s_of (self, who);
    const sim_promise_t *promise = &bound->promise[0];
    if (who->now_ns < promise->until_ns && candidate != promise->master && candidate != promise->lifted_for)
        sim_fail (self->verdict, "1: a promise binds [ELECT-1]",
                  "node %d %s node %d, though for another %lld us it is promised to node %d in term %llu", who->node,
                  what, candidate, (long long) ((promise->until_ns - who->now_ns) / 1000), promise->master,
                  S_U (promise->term));
    if (bound->leads && candidate != who->node && candidate != bound->successor)
        sim_fail (self->verdict, "1: a master is promised to itself [ELECT-3]", "node %d %s node %d, and leads in term %llu",
                  who->node, what, candidate, S_U (bound->leads));
}

bool
sim_promises_perhaps_bound (sim_promises_t *self, const sim_who_t *who, int candidate)
{
    const sim_bound_t *bound = s_of (self, who);
    return who->now_ns < bound->perhaps_until_ns || (bound->leads && candidate != bound->successor);
}

/* --- leases ------------------------------------------------------------------------------------------------------ */

void
sim_promises_lease (sim_promises_t *self, const sim_who_t *who, uint64_t term)
{
    sim_bound_t *bound = s_of (self, who);
    if (term) {
        memset (bound->lease, 0, sizeof bound->lease);
        memset (bound->heard, 0, sizeof bound->heard);
    }
    bound->lease_term = term;
}

void
sim_promises_prolongs (sim_promises_t *self, const sim_who_t *who, uint64_t term, int voter, uint64_t incarnation,
                       int64_t until_ns)
{
    sim_bound_t *bound = s_of (self, who);
    if (bound->lease_term != term)
        return;
    if (bound->lease[voter].incarnation != incarnation)
        bound->lease[voter].until_ns = 0;
    bound->lease[voter].incarnation = incarnation;
    if (until_ns > bound->lease[voter].until_ns)
        bound->lease[voter].until_ns = until_ns;
}

static int64_t
s_bound_until (const sim_promise_t *promise, uint64_t term, int master)
{
    for (int i = 0; i < SIM_PROMISES_KEPT; i++)
        if (promise[i].term == term && promise[i].master == master)
            return promise[i].lifted_for < 0 ? promise[i].until_ns : 0;
    return 0;
}

typedef int64_t (s_until_fn) (const sim_promises_t *self, int voter, uint64_t incarnation, int master, uint64_t term);

/* Until when the voter keeps its word to this master, by what it said. */
static int64_t
s_promised (const sim_promises_t *self, int voter, uint64_t incarnation, int master, uint64_t term)
{
    const sim_bound_t *bound = &self->node[voter];
    if (bound->former == incarnation)
        return s_bound_until (bound->former_promise, term, master);
    return bound->incarnation == incarnation ? s_bound_until (bound->promise, term, master) : 0;
}

/* Until when the voter's answer holds up the lease, by the master's own reckoning. */
static int64_t
s_reckoned (const sim_promises_t *self, int voter, uint64_t incarnation, int master, uint64_t term)
{
    const sim_bound_t *bound = &self->node[master];
    (void) term;
    return bound->lease[voter].incarnation == incarnation ? bound->lease[voter].until_ns : 0;
}

/* The moment that a majority of the voters reaches; the master itself always does. */
static int64_t
s_majority_until (const sim_promises_t *self, const sim_who_t *who, uint64_t term, const adr_voters_t *voters,
                  s_until_fn *until)
{
    int64_t times[ADR_VOTERS_MAX];
    uint32_t count = 0;
    for (int node = 0; node < self->node_count; node++) {
        int place = adr_voters_find_node (voters, &self->node_ids[node]);
        if (place < 0)
            continue;
        uint64_t incarnation = voters->voter[place].incarnation;
        int64_t time = node == who->node ? (incarnation == who->incarnation ? INT64_MAX : 0)
                                         : until (self, node, incarnation, who->node, term);
        uint32_t at = count++;
        for (; at > 0 && times[at - 1] < time; at--)
            times[at] = times[at - 1];
        times[at] = time;
    }
    return count ? times[adr_majority (count) - 1] : 0;
}

void
sim_promises_lease_used (sim_promises_t *self, const sim_who_t *who, uint64_t term, const adr_voters_t *voters,
                         int64_t since_ns)
{
    s_of (self, who);
    int64_t until_ns = s_majority_until (self, who, term, voters, s_promised);
    if (until_ns < since_ns)
        sim_fail (self->verdict, "1: a lease rests on a majority's promises [ELECT-1]",
                  "node %d reads under its lease of term %llu, which nobody backs since %lld us", who->node, S_U (term),
                  (long long) ((since_ns - until_ns) / 1000));
}

bool
sim_promises_quorum_answers (sim_promises_t *self, const sim_who_t *who, const adr_voters_t *voters)
{
    return s_majority_until (self, who, s_of (self, who)->lease_term, voters, s_reckoned) > who->now_ns;
}

void
sim_promises_confirms (sim_promises_t *self, const sim_who_t *who, int voter, uint64_t incarnation)
{
    sim_bound_t *bound = s_of (self, who);
    bound->heard[voter].incarnation = incarnation;
    bound->heard[voter].until_ns = who->now_ns;
}

static int64_t
s_heard (const sim_promises_t *self, int voter, uint64_t incarnation, int master, uint64_t term)
{
    const sim_bound_t *bound = &self->node[master];
    (void) term;
    return bound->heard[voter].incarnation == incarnation ? bound->heard[voter].until_ns : 0;
}

int64_t
sim_promises_quorum_confirms (sim_promises_t *self, const sim_who_t *who, const adr_voters_t *voters)
{
    return s_majority_until (self, who, s_of (self, who)->lease_term, voters, s_heard);
}

void
sim_promises_elected_beside (sim_promises_t *self, const sim_who_t *who, uint64_t term, const adr_voters_t *voters)
{
    const sim_bound_t *bound = s_of (self, who);
    if (bound->lease_term == 0 || bound->lease_term >= term)
        return;
    int64_t until_ns = s_majority_until (self, who, bound->lease_term, voters, s_reckoned);
    if (until_ns > who->now_ns)
        sim_fail (self->verdict, "1: leases never overlap",
                  "somebody is elected in term %llu while the lease of node %d in term %llu runs for another %lld us",
                  S_U (term), who->node, S_U (bound->lease_term), (long long) ((until_ns - who->now_ns) / 1000));
}
