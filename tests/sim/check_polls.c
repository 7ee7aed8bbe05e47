/* SPDX-License-Identifier: MPL-2.0 */
/* ELECT-9 as facts: a poll leaves only if both actors of its node that matter have answered since the last one, and a
 * master that commits nothing although a majority answers it gives up. */

#include "check_elect.h"

#define S_U(x) ((unsigned long long) (x))
/* A replicator that gets no processor cannot resign: it has so many turns, and so much time. */
#define S_TURNS 20
#define S_TIME_NS INT64_C (100000000)

void
sim_polls_init (sim_polls_t *self, sim_verdict_t *verdict)
{
    memset (self, 0, sizeof *self);
    self->verdict = verdict;
}

static sim_alive_t *
s_of (sim_polls_t *self, const sim_who_t *who)
{
    sim_alive_t *alive = &self->node[who->node];
    if (alive->boot != who->boot || alive->incarnation != who->incarnation)
        *alive = (sim_alive_t){ .incarnation = who->incarnation, .boot = who->boot };
    return alive;
}

void
sim_polls_pings (sim_polls_t *self, const sim_who_t *who, uint64_t number)
{
    s_of (self, who)->ping = number;
}

void
sim_polls_pong_came (sim_polls_t *self, const sim_who_t *who, bool of_replicator, uint64_t number)
{
    s_of (self, who)->pong[of_replicator] = number;
}

void
sim_polls_polls (sim_polls_t *self, const sim_who_t *who, uint64_t term, uint64_t round)
{
    sim_alive_t *alive = s_of (self, who);
    if (alive->term == term && alive->round == round)
        return; /* the same round, to another member */
    alive->term = term;
    alive->round = round;
    if (alive->pong[0] <= alive->ping_polled || alive->pong[1] <= alive->ping_polled)
        sim_fail (self->verdict, "a poll leaves only from a living master [ELECT-9]",
                  "node %d polls round %llu of term %llu; since the last one its %s has answered nothing", who->node,
                  S_U (round), S_U (term), alive->pong[0] <= alive->ping_polled ? "election" : "replicator");
    alive->ping_polled = alive->ping;
}

void
sim_polls_resigns (sim_polls_t *self, const sim_who_t *who, uint64_t term)
{
    s_of (self, who)->resigned = term;
}

/* True if it goes on for longer than the limit, and this actor had turns and time enough to see it. */
static bool
s_too_long (int64_t *since_ns, int64_t *over_ns, uint32_t *turns, bool goes_on, int64_t now_ns, int64_t limit_ns)
{
    if (!goes_on)
        *since_ns = now_ns;
    *turns = now_ns - *since_ns > limit_ns ? *turns + 1 : 0;
    if (*turns <= 1)
        *over_ns = now_ns;
    return *turns > S_TURNS && now_ns - *over_ns > S_TIME_NS;
}

void
sim_polls_leads (sim_polls_t *self, const sim_who_t *who, const sim_leading_t *now)
{
    sim_alive_t *alive = s_of (self, who);
    int64_t now_ns = who->now_ns;
    /* As the last turn left it. Between two turns it may get no processor for seconds: an entry, or a term, that comes
     * with the first turn after that has not waited all the while, as replicator_append_own says too. */
    bool led = alive->led == now->term, waited = alive->commit < alive->last;
    bool rules = now->term && led && now->quorum_answers && alive->resigned != now->term;
    bool stuck = rules && waited && now->commit < now->last && now->commit == alive->commit;
    bool silent = rules && now->confirmed_ns <= alive->silent.since_ns;
    alive->led = now->term;
    alive->commit = now->commit;
    alive->last = now->last;
    if (s_too_long (&alive->stuck.since_ns, &alive->stuck.must_resign_ns, &alive->stuck.turns, stuck, now_ns, now->limit_ns))
        sim_fail (self->verdict, "a master that commits nothing hands over [ELECT-9]",
                  "node %d, term %llu: commit %llu of %llu for %lld ms, and a majority answers", who->node, S_U (now->term),
                  S_U (now->commit), S_U (now->last), (long long) ((now_ns - alive->stuck.since_ns) / 1000000));
    if (s_too_long (&alive->silent.since_ns, &alive->silent.must_resign_ns, &alive->silent.turns, silent, now_ns,
                    now->silence_ns))
        sim_fail (self->verdict, "a master whose appends nobody answers hands over [ELECT-9]",
                  "node %d, term %llu: no majority answers appends for %lld ms, and one answers polls", who->node,
                  S_U (now->term), (long long) ((now_ns - alive->silent.since_ns) / 1000000));
}
