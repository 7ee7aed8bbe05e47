/* SPDX-License-Identifier: MPL-2.0 */
/* What an incarnation has told others binds it, over all its starts [ELECT-4, ELECT-5, REPL-1, READ-2, REPL-4]:
 * facts of the protocol, each of which breaks long before an outcome does. */

#include "check.h"

#define S_U(x) ((unsigned long long) (x))

void
sim_told_init (sim_tolds_t *self, sim_verdict_t *verdict)
{
    memset (self, 0, sizeof *self);
    self->verdict = verdict;
}

static sim_told_t *
s_told (sim_tolds_t *self, int node, uint64_t incarnation)
{
    sim_told_t *told = &self->node[node];
    if (told->incarnation != incarnation)
        *told = (sim_told_t){ .incarnation = incarnation };
    return told;
}

void
sim_told_ack (sim_tolds_t *self, int node, uint64_t incarnation, const sim_ack_t *ack)
{
    sim_told_t *told = s_told (self, node, incarnation);
    if (ack->term < told->fence)
        sim_fail (self->verdict, "ELECT-4: a fence that was told holds",
                  "node %d acknowledges in term %llu, it has answered fence %llu", node, S_U (ack->term),
                  S_U (told->fence));
    if (ack->confirmed.index > ack->durable)
        sim_fail (self->verdict, "REPL-1: what is acknowledged is durable",
                  "node %d acknowledges index %llu, durable is %llu", node, S_U (ack->confirmed.index),
                  S_U (ack->durable));
    if (ack->master_term && ack->master_term != ack->confirmed.term)
        sim_fail (self->verdict, "REPL-1: what is acknowledged is the master's entry",
                  "node %d acknowledges index %llu, which is of term %llu there and %llu at the master of term %llu", node,
                  S_U (ack->confirmed.index), S_U (ack->confirmed.term), S_U (ack->master_term), S_U (ack->term));
    if (adr_position_compare (ack->confirmed, told->acked) > 0)
        told->acked = ack->confirmed;
}

void
sim_told_fenced (sim_tolds_t *self, int node, uint64_t incarnation, uint64_t term, adr_position_t last)
{
    sim_told_t *told = s_told (self, node, incarnation);
    if (adr_position_compare (last, told->acked) < 0)
        sim_fail (self->verdict, "ELECT-4: a fence's answer covers what was acknowledged",
                  "node %d answers fence %llu with (%llu, %llu), it has acknowledged (%llu, %llu)", node, S_U (term),
                  S_U (last.term), S_U (last.index), S_U (told->acked.term), S_U (told->acked.index));
    if (told->fence < term)
        told->fence = term;
}

void
sim_told_question (sim_tolds_t *self, int node, uint64_t incarnation, uint64_t number)
{
    sim_told_t *told = s_told (self, node, incarnation);
    if (number <= told->question)
        sim_fail (self->verdict, "READ-2: an answer belongs to one question", "node %d asks question %llu after %llu",
                  node, S_U (number), S_U (told->question));
    told->question = number;
}

void
sim_told_voters (sim_tolds_t *self, int node, uint64_t term, const sim_voters_change_t *change)
{
    if (change->before > change->commit)
        sim_fail (self->verdict, "REPL-4: one change of voters at a time",
                  "node %d, master of term %llu, proposes voters at %llu while those at %llu are open (commit %llu)", node,
                  S_U (term), S_U (change->at), S_U (change->before), S_U (change->commit));
    if (change->commit_term != term)
        sim_fail (self->verdict, "REPL-4: no voters before the opening entry is committed",
                  "node %d, master of term %llu, proposes voters at %llu, committed is term %llu", node, S_U (term),
                  S_U (change->at), S_U (change->commit_term));
}
