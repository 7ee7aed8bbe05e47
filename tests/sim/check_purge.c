/* SPDX-License-Identifier: MPL-2.0 */
/* A tombstone is purged when every voter has applied it, but for those that were away for the whole retention [STORE-9].
 * That it is old enough, and the newest of its record, the history sees (history.c). */

#include "check.h"

#define S_U(x) ((unsigned long long) (x))

void
sim_purges_init (sim_purges_t *self, sim_verdict_t *verdict, int64_t retention_ns)
{
    memset (self, 0, sizeof *self);
    self->verdict = verdict;
    self->retention_ns = retention_ns;
}

void
sim_purges_heard (sim_purges_t *self, int64_t now_ns, int master, int voter)
{
    if (self->heard_ns[master][voter] && now_ns - self->heard_ns[master][voter] >= self->retention_ns / 10 * 9)
        self->back_ns[master][voter] = now_ns;
    self->heard_ns[master][voter] = now_ns;
}

/* The highest index of a version that the entry purges; 0: it purges nothing. */
static uint64_t
s_purges_to (const adr_entry_t *entry)
{
    uint64_t most = 0;
    for (uint32_t i = 0; i < entry->op_count; i++)
        if (entry->op[i].flags & ADR_OP_PURGE) {
            uint64_t index = adr_version_decode (entry->op[i].value.data).index;
            most = index > most ? index : most;
        }
    return most;
}

void
sim_purges_proposed (sim_purges_t *self, int64_t now_ns, int master, const adr_entry_t *entry,
                     const sim_purge_voter_t *voter, int voter_count)
{
    uint64_t most = s_purges_to (entry);
    if (entry->term < self->seen_term || (entry->term == self->seen_term && entry->index <= self->seen_index))
        return;
    self->seen_term = entry->term;
    self->seen_index = entry->index;
    for (int i = 0; i < voter_count && most; i++) {
        int64_t away_ns = now_ns - self->heard_ns[master][voter[i].node];
        /* Their clocks drift; and the entry may have been made some time before it is sent. */
        bool waited_for = away_ns < self->retention_ns / 10 * 9 && now_ns - self->back_ns[master][voter[i].node] > INT64_C (1000000000);
        if (voter[i].node != master && voter[i].applied < most && waited_for)
            sim_fail (self->verdict, "STORE-9: a tombstone waits for every voter",
                      "node %d purges up to %llu by entry %llu/%llu, node %d has applied %llu", master, S_U (most),
                      S_U (entry->term), S_U (entry->index), voter[i].node, S_U (voter[i].applied));
    }
}
