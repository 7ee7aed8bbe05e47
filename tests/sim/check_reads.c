/* SPDX-License-Identifier: MPL-2.0 */
/* Local reads [READ-5]: committed and unlocked data, never older than this node showed before, and not older than
 * what was unlocked one minimum election timeout ago. */

#include "check.h"

#include <stdlib.h>

#define S_RULE "READ-5: what local reads promise"

void
sim_reads_init (sim_reads_t *self, sim_history_t *history, sim_verdict_t *verdict)
{
    memset (self, 0, sizeof *self);
    self->verdict = verdict;
    self->history = history;
}

void
sim_reads_free (sim_reads_t *self)
{
    free (self->published);
    memset (self, 0, sizeof *self);
}

void
sim_reads_published (sim_reads_t *self, int64_t now_ns, uint64_t unlocked)
{
    if (self->count && self->published[self->count - 1].unlocked >= unlocked)
        return;
    if (self->count == self->room) {
        self->room = self->room ? self->room * 2 : 1024;
        self->published = adr_realloc (self->published, self->room * sizeof *self->published);
    }
    self->published[self->count++] = (sim_unlocked_t){ now_ns, unlocked };
}

/* The greatest watermark that a master had published by then. */
static uint64_t
s_unlocked_at (const sim_reads_t *self, int64_t time_ns)
{
    uint32_t low = 0, high = self->count;
    while (low < high) {
        uint32_t middle = (low + high) / 2;
        if (self->published[middle].time_ns <= time_ns)
            low = middle + 1;
        else
            high = middle;
    }
    return low ? self->published[low - 1].unlocked : 0;
}

static void
s_found (sim_reads_t *self, const sim_shown_t *shown, uint64_t floor)
{
    const sim_version_t *version = sim_history_at (self->history, shown->key, shown->index);
    const sim_version_t *oldest = sim_history_at (self->history, shown->key, floor);
    uint64_t unlocked = self->count ? self->published[self->count - 1].unlocked : 0;
    if (!version || version->index != shown->index || version->term != shown->term || version->deleted
        || version->value != shown->value)
        sim_fail (self->verdict, S_RULE, "node %d key %d: it shows (%llu, %llu), which is not what was committed",
                  shown->node, shown->key, (unsigned long long) shown->term, (unsigned long long) shown->index);
    else if (oldest && shown->index < oldest->index)
        sim_fail (self->verdict, S_RULE,
                  "node %d key %d: it shows index %llu, but %llu was unlocked or shown here long enough ago",
                  shown->node, shown->key, (unsigned long long) shown->index, (unsigned long long) oldest->index);
    else if (!shown->leads && shown->index > unlocked)
        sim_fail (self->verdict, S_RULE, "node %d key %d: it shows index %llu, which is still locked (unlocked %llu)",
                  shown->node, shown->key, (unsigned long long) shown->index, (unsigned long long) unlocked);
    if (self->shown[shown->node][shown->key] < shown->index)
        self->shown[shown->node][shown->key] = shown->index;
}

void
sim_reads_local (sim_reads_t *self, const sim_shown_t *shown)
{
    uint64_t floor = s_unlocked_at (self, shown->oldest_ns);
    if (floor < self->shown[shown->node][shown->key])
        floor = self->shown[shown->node][shown->key];
    if (shown->found) {
        s_found (self, shown, floor);
        return;
    }
    const sim_version_t *version = sim_history_at (self->history, shown->key, floor);
    if (!version || version->deleted)
        return;
    const sim_key_t *row = &self->history->key[shown->key];
    for (const sim_version_t *later = version + 1; later < row->version + row->count; later++)
        if (later->deleted) {
            self->shown[shown->node][shown->key] = later->index;
            return;
        }
    sim_fail (self->verdict, S_RULE, "node %d key %d: not found, but it was there at %llu and never deleted since",
              shown->node, shown->key, (unsigned long long) version->index);
}

void
sim_reads_evidence (sim_reads_t *self, int node, const sim_evidence_t *evidence)
{
    if (!evidence->in_set)
        sim_fail (self->verdict, "READ-4: who is not in the unlock set answers no local read",
                  "node %d answers one, its newest evidence of this term names it not", node);
    if (evidence->applied < evidence->unlocked)
        sim_fail (self->verdict, "READ-5: a local read shows all that is unlocked",
                  "node %d answers one, it has applied %llu and heard that %llu is unlocked", node,
                  (unsigned long long) evidence->applied, (unsigned long long) evidence->unlocked);
}
