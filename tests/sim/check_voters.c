/* SPDX-License-Identifier: MPL-2.0 */
/* ELECT-7, ELECT-10 and REPL-4 as facts: voters change by one pair of node and incarnation at a time, the next change
 * waits for the commit of the last, nobody is admitted who does not hold the log, and a group that is to have three
 * voters does not stop at two. */

#include "check_elect.h"

#define S_U(x) ((unsigned long long) (x))

void
sim_changes_init (sim_changes_t *self, sim_verdict_t *verdict, const sim_log_t *log, int group_size)
{
    memset (self, 0, sizeof *self);
    self->verdict = verdict;
    self->log = log;
    self->group_size = group_size;
}

void
sim_changes_leads (sim_changes_t *self, const sim_who_t *who, uint64_t term, uint64_t opening)
{
    sim_led_t *led = &self->node[who->node];
    *led = (sim_led_t){ .incarnation = who->incarnation, .boot = who->boot, .term = term, .opening = opening };
}

/* Those of `a` that are not in `b`; the last of them is told. */
static uint32_t
s_without (const adr_voters_t *a, const adr_voters_t *b, adr_voter_t *last)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < a->count; i++)
        if (adr_voters_find (b, &a->voter[i].node, a->voter[i].incarnation) < 0) {
            *last = a->voter[i];
            count++;
        }
    return count;
}

static bool
s_holds_opening (const sim_changes_t *self, int node, uint64_t incarnation, uint64_t opening)
{
    const sim_held_t *held = &self->log->held[node];
    return held->incarnation == incarnation && held->durable >= opening;
}

static void
s_check_admitted (sim_changes_t *self, const sim_who_t *who, const sim_led_t *led, const adr_voter_t *added)
{
    for (int node = 0; node < self->log->node_count; node++)
        if (adr_id_equal (&self->log->node_ids[node], &added->node)
            && !s_holds_opening (self, node, added->incarnation, led->opening))
            sim_fail (self->verdict, "a voter holds the log when it is admitted [ELECT-7]",
                      "node %d admits node %d, which does not hold index %llu durably under this incarnation", who->node,
                      node, S_U (led->opening));
}

static void
s_check_growth (sim_changes_t *self, const sim_who_t *who, const sim_led_t *led, const adr_voters_t *voters)
{
    int ready = 0;
    for (int node = 0; node < self->log->node_count; node++)
        if (adr_voters_find_node (voters, &self->log->node_ids[node]) < 0
            && s_holds_opening (self, node, self->log->held[node].incarnation, led->opening))
            ready++;
    if (ready == 0)
        sim_fail (self->verdict, "a group of three does not stop at two voters [ELECT-10]",
                  "node %d grows the group to two voters, and nobody else holds the log", who->node);
}

static void
s_check_change (sim_changes_t *self, const sim_who_t *who, const sim_led_t *led, const adr_voters_t *voters,
                uint64_t commit)
{
    adr_voter_t added = { 0 }, removed = { 0 };
    uint32_t more = s_without (voters, &led->voters, &added), fewer = s_without (&led->voters, voters, &removed);
    bool notes = more + fewer == 0 && voters->map_epoch > led->voters.map_epoch; /* that it is known who leaves [TRUST-7] */
    if (more + fewer != 1 && !notes)
        sim_fail (self->verdict, "voters change one at a time [ELECT-7, REPL-4]",
                  "the entry %llu of node %d adds %u and removes %u", S_U (voters->at.index), who->node, more, fewer);
    if (led->voters.at.index > commit)
        sim_fail (self->verdict, "one change of voters at a time is open [REPL-4]",
                  "node %d makes entry %llu while entry %llu waits, commit %llu", who->node, S_U (voters->at.index),
                  S_U (led->voters.at.index), S_U (commit));
    if (more)
        s_check_admitted (self, who, led, &added);
    if (more && voters->count == 2 && self->group_size > 2)
        s_check_growth (self, who, led, voters);
}

void
sim_changes_voters (sim_changes_t *self, const sim_who_t *who, uint64_t term, const adr_voters_t *voters,
                    uint64_t commit)
{
    sim_led_t *led = &self->node[who->node];
    bool same_mastership = term && led->term == term && led->boot == who->boot && led->incarnation == who->incarnation;
    if (same_mastership && led->voters.count && voters->at.index > led->voters.at.index)
        s_check_change (self, who, led, voters, commit);
    led->voters = *voters;
}
