/* SPDX-License-Identifier: MPL-2.0 */
/* Invariants 4 and 5: logs agree; unlocked <= commit <= what a quorum holds durably; both only grow. */

#include "check.h"

#include <stdlib.h>

#define S_U(x) ((unsigned long long) (x))

void
sim_log_init (sim_log_t *self, sim_history_t *history, sim_verdict_t *verdict, const adr_id_t *node_ids, int node_count)
{
    memset (self, 0, sizeof *self);
    self->verdict = verdict;
    self->history = history;
    self->node_ids = node_ids;
    self->node_count = node_count;
}

void
sim_log_free (sim_log_t *self)
{
    for (int i = 0; i < SIM_NODES_MAX; i++) {
        free (self->held[i].term);
        free (self->former[i].term);
    }
    free (self->seen);
    memset (self, 0, sizeof *self);
}

/* --- the same (term, index) is the same entry, with the same one before it ---------------------------------- */

static sim_seen_entry_t *
s_seen_slot (sim_seen_entry_t *table, uint64_t room, uint64_t term, uint64_t index)
{
    uint64_t at = ((term * UINT64_C (0x9e3779b97f4a7c15)) ^ (index * UINT64_C (0xbf58476d1ce4e5b9))) >> 20;
    for (at &= room - 1; table[at].index != 0; at = (at + 1) & (room - 1))
        if (table[at].index == index && table[at].term == term)
            break;
    return &table[at];
}

static sim_seen_entry_t *
s_seen (sim_log_t *self, uint64_t term, uint64_t index)
{
    if (self->seen_count * 2 >= self->seen_room) {
        uint64_t room = self->seen_room ? self->seen_room * 2 : 4096;
        sim_seen_entry_t *table = adr_alloc (room * sizeof *table);
        for (uint64_t i = 0; i < self->seen_room; i++)
            if (self->seen[i].index)
                *s_seen_slot (table, room, self->seen[i].term, self->seen[i].index) = self->seen[i];
        free (self->seen);
        self->seen = table;
        self->seen_room = room;
    }
    return s_seen_slot (self->seen, self->seen_room, term, index);
}

static void
s_same_entry (sim_log_t *self, uint64_t term, uint64_t index, uint64_t prev_term, uint64_t hash)
{
    sim_seen_entry_t *known = s_seen (self, term, index);
    if (known->index == 0) {
        *known = (sim_seen_entry_t){ term, index, hash, prev_term };
        self->seen_count++;
    } else if (known->hash != hash)
        sim_fail (self->verdict, "4: logs agree", "two entries have term %llu and index %llu", S_U (term), S_U (index));
    else if (known->prev_term != prev_term)
        sim_fail (self->verdict, "4: logs agree", "entry %llu/%llu stands behind terms %llu and %llu", S_U (term),
                  S_U (index), S_U (known->prev_term), S_U (prev_term));
}

void
sim_log_append (sim_log_t *self, uint64_t term, uint64_t prev_term, uint64_t prev_index, adr_bytes_t entries)
{
    while (entries.size) {
        static adr_entry_t entry; /* large, and of no interest beyond the loop */
        size_t size = adr_entry_decode (&entry, entries);
        if (size == 0 || entry.index != prev_index + 1 || entry.term < prev_term || entry.term > term) {
            sim_fail (self->verdict, "4: logs agree", "an append of term %llu is no run behind (%llu, %llu)", S_U (term),
                      S_U (prev_term), S_U (prev_index));
            return;
        }
        s_same_entry (self, entry.term, entry.index, prev_term, sim_hash (entries.data, size));
        prev_term = entry.term;
        prev_index = entry.index;
        entries = adr_bytes (entries.data + size, entries.size - size);
    }
}

/* --- durable, commit, applied ------------------------------------------------------------------------------- */

/* Invariant 2, where it begins: what was durable is there after a start under the same incarnation, or the store has
 * said that it is missing. */
static void
s_kept (sim_log_t *self, int node, const sim_held_t *held, const sim_log_view_t *view)
{
    uint64_t term = 0, index = held->durable;
    if (index == 0 || held->term[index] == 0 || index <= view->start) /* below a log's start all is records [REPL-7] */
        return;
    if (view->last < index || !view->term_at (view->argument, index, &term) || term != held->term[index])
        sim_fail (self->verdict, "2: what was durable stays, or is named missing",
                  "node %d held %llu/%llu durably; after its start the log ends at %llu, with term %llu there", node,
                  S_U (held->term[index]), S_U (index), S_U (view->last), S_U (term));
}

/* What the log has replaced is not held any more, though what it misses further down still counts. */
static void
s_give_up_cut (sim_held_t *held, const sim_log_view_t *view)
{
    uint64_t term;
    while (held->durable > 0
           && (held->durable > view->last
               || (view->term_at (view->argument, held->durable, &term) && term != held->term[held->durable])))
        held->durable--;
}

/* Follows what the node's journal holds durably, so that it can be asked about when the node is down. */
static void
s_follow_durable (sim_log_t *self, int node, const sim_log_view_t *view)
{
    sim_held_t *held = &self->held[node];
    if (held->incarnation != view->incarnation || held->boot != view->boot) {
        /* The log may have been cut unseen before the crash: what it holds now is read anew. What was durable and is
         * damaged now still counts as acknowledged: that is what is to be mended. */
        if (held->incarnation != view->incarnation) {
            free (self->former[node].term);
            self->former[node] = *held;
            *held = (sim_held_t){ .incarnation = view->incarnation };
        } else if (!view->missing) {
            s_kept (self, node, held, view);
            held->durable = 0;
        }
        held->boot = view->boot;
        held->commit = held->applied = 0;
        held->mending = false;
    }
    held->mending = view->missing || (held->mending && view->durable < view->applied);
    if (view->durable < held->durable && !held->mending)
        held->durable = view->durable;
    s_give_up_cut (held, view);
    if (view->durable >= held->room) {
        held->room = view->durable < 2048 ? 4096 : view->durable * 2;
        held->term = adr_realloc (held->term, held->room * sizeof *held->term);
    }
    for (; held->durable < view->durable; held->durable++)
        if (!view->term_at (view->argument, held->durable + 1, &held->term[held->durable + 1]))
            held->term[held->durable + 1] = 0; /* before the log's start */
}

static bool
s_holds (const sim_log_view_t *view, const adr_id_t *node, const sim_held_t *held, uint64_t term, uint64_t index)
{
    return adr_voters_find (&view->voters, node, held->incarnation) >= 0 && held->durable >= index
           && held->term[index] == term;
}

/* How many voters of the view's set hold the entry durably, this node's view included. */
static uint32_t
s_holders (const sim_log_t *self, const sim_log_view_t *view, uint64_t term, uint64_t index)
{
    uint32_t count = 0;
    for (int i = 0; i < self->node_count; i++)
        if (s_holds (view, &self->node_ids[i], &self->held[i], term, index)
            || s_holds (view, &self->node_ids[i], &self->former[i], term, index))
            count++;
    return count;
}

/* Nobody has committed this far before. */
static void
s_first_commit (sim_log_t *self, int node, const sim_log_view_t *view)
{
    uint64_t term = 0;
    if (!view->term_at (view->argument, view->commit, &term))
        return;
    uint32_t holders = s_holders (self, view, term, view->commit);
    uint32_t needed = adr_quorum_needed (view->voters.count, view->voters.quorum);
    if (holders < needed)
        sim_fail (self->verdict, "5: commit <= what a quorum holds durably",
                  "node %d commits %llu/%llu, %u voters of %u hold it, %u are needed", node, S_U (term),
                  S_U (view->commit), holders, view->voters.count, needed);
    if (view->leads && view->leads != term)
        sim_fail (self->verdict, "5: commit counts entries of the master's own term",
                  "node %d, master of term %llu, commits %llu/%llu", node, S_U (view->leads), S_U (term),
                  S_U (view->commit));
}

static void
s_learn_commits (sim_log_t *self, int node, const sim_log_view_t *view)
{
    sim_history_t *history = self->history;
    sim_held_t *held = &self->held[node];
    for (uint64_t i = held->commit + 1; i <= view->commit && !self->verdict->failed; i++) {
        uint64_t term = 0;
        if (!view->term_at (view->argument, i, &term))
            continue; /* before the log's start */
        if (i <= history->commit) {
            if (history->committed[i].term != term)
                sim_fail (self->verdict, "4: logs agree",
                          "node %d takes %llu/%llu for committed, committed there is term %llu", node, S_U (term),
                          S_U (i), S_U (history->committed[i].term));
            continue;
        }
        static adr_entry_t entry;
        adr_bytes_t bytes;
        if (!view->entry_at (view->argument, i, &bytes) || adr_entry_decode (&entry, bytes) == 0 || entry.index != i
            || entry.term != term) {
            sim_fail (self->verdict, "2: a committed entry stays", "node %d commits %llu/%llu and cannot read it", node,
                      S_U (term), S_U (i));
            return;
        }
        uint64_t hash = sim_hash (bytes.data, bytes.size);
        s_same_entry (self, term, i, i > 1 ? history->committed[i - 1].term : 0, hash);
        sim_history_commit (history, &entry, hash);
    }
}

void
sim_log_view (sim_log_t *self, int node, const sim_log_view_t *view)
{
    sim_held_t *held = &self->held[node];
    s_follow_durable (self, node, view);
    if (view->applied > view->commit || (view->applied > view->durable && !held->mending))
        sim_fail (self->verdict, "5: applied <= commit and durable here [STORE-7]",
                  "node %d applied %llu, commit %llu, durable %llu", node, S_U (view->applied), S_U (view->commit),
                  S_U (view->durable));
    if (view->commit < held->commit || view->applied < held->applied)
        sim_fail (self->verdict, "5: commit and applied only grow", "node %d: commit %llu -> %llu, applied %llu -> %llu",
                  node, S_U (held->commit), S_U (view->commit), S_U (held->applied), S_U (view->applied));
    if (view->commit > self->history->commit)
        s_first_commit (self, node, view);
    s_learn_commits (self, node, view);
    held->commit = view->commit;
    held->applied = view->applied;
    if (held->applied_ever < view->applied)
        held->applied_ever = view->applied;
}

void
sim_log_published (sim_log_t *self, uint64_t term, uint64_t commit, bool known, uint64_t unlocked)
{
    sim_published_t *published = &self->published;
    if (commit > self->history->commit)
        sim_fail (self->verdict, "5: commit <= what a quorum holds durably",
                  "the master of term %llu publishes commit %llu, committed is %llu", S_U (term), S_U (commit),
                  S_U (self->history->commit));
    if (!known)
        return;
    if (unlocked > commit)
        sim_fail (self->verdict, "5: unlocked <= commit", "the master of term %llu publishes unlocked %llu, commit %llu",
                  S_U (term), S_U (unlocked), S_U (commit));
    if (term >= published->term && unlocked < published->unlocked)
        sim_fail (self->verdict, "5: unlocked only grows", "term %llu publishes %llu, term %llu had published %llu",
                  S_U (term), S_U (unlocked), S_U (published->term), S_U (published->unlocked));
    if (term > published->term || (term == published->term && unlocked > published->unlocked))
        *published = (sim_published_t){ term, unlocked, commit };
}
