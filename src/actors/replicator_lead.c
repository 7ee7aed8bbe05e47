/* SPDX-License-Identifier: MPL-2.0 */
/* A master's log: how a mastership begins, what it appends, what is committed and unlocked. Implements REPL-3, REPL-4
 * (which voters count), READ-3, READ-4 (what is unlocked), PART-4 (stamps). */

#include "actors/replicator_private.h"

#define S_LOG_TIME_NOTED_MS 60000 /* log time may be so far from the wall clock before it is spoken of */

/* --- the pipeline: sizes of what is not committed ----------------------------------------------------------------- */

static void
s_pipeline_push (replicator_t *self, size_t size)
{
    uint8_t *at = adr_buffer_grow (&self->pipeline, 4);
    adr_put_u32 (at, (uint32_t) size);
    self->pipeline_bytes += size;
}

static void
s_pipeline_pop (replicator_t *self, uint64_t count)
{
    while (count-- && self->pipeline_first < self->pipeline.size) {
        self->pipeline_bytes -= adr_get_u32 (self->pipeline.data + self->pipeline_first);
        self->pipeline_first += 4;
    }
    if (self->pipeline_first == self->pipeline.size)
        self->pipeline_first = self->pipeline.size = 0;
    else if (self->pipeline_first > 65536 && self->pipeline_first > self->pipeline.size / 2) {
        memmove (self->pipeline.data, self->pipeline.data + self->pipeline_first,
                 self->pipeline.size - self->pipeline_first);
        self->pipeline.size -= self->pipeline_first;
        self->pipeline_first = 0;
    }
}

/* --- a mastership begins ------------------------------------------------------------------------------------------ */

static void
s_take_over_entry (replicator_t *self, const adr_entry_t *entry, size_t size)
{
    if (entry->index > adr_store_commit (self->store))
        s_pipeline_push (self, size);
    if (entry->index > adr_store_applied (self->store))
        adr_pending_keys_add (self->pending, entry);
}

/* [PART-4] Log time goes on from the log's last entry: one that was cut since may have carried a wall clock's whim. So does the
 * epoch [PART-1], whatever this node's registry says. */
static void
s_go_on_from_last (replicator_t *self)
{
    adr_status_t status;
    adr_buffer_clear (&self->scratch);
    if (adr_store_read_log (self->store, adr_store_last (self->store).index, 1, &self->scratch, &status) == 1
        && adr_entry_decode (&self->entry, adr_bytes (self->scratch.data, self->scratch.size))) {
        self->time_last_ms = self->entry.time_ms;
        if (self->entry.epoch <= replicator_epoch_max (self))
            replicator_learn_epoch (self, self->entry.epoch);
    }
}

/* Expiry and grace times are late by so much, and dates of new records: an operator should know. */
static void
s_note_log_time (replicator_t *self)
{
    int64_t behind_ms = self->wall_ms - (int64_t) self->time_base_ms;
    if (behind_ms > S_LOG_TIME_NOTED_MS || behind_ms < -S_LOG_TIME_NOTED_MS)
        adr_note (self->effects, ADR_LEVEL_WARNING, "log time is not the wall clock's -> %s behind_ms=%lld",
                  behind_ms > 0 ? "runs at double speed until it is; or is this host's clock ahead?"
                                : "runs at half speed until it is; or is this host's clock behind?",
                  (long long) behind_ms);
}

void
replicator_become_streaming (replicator_t *self)
{
    const adr_voters_t *voters = adr_store_voters (self->store);
    uint64_t applied = adr_store_applied (self->store);
    self->pipeline_bytes = self->pipeline_first = self->pipeline.size = 0;
    adr_pending_keys_clear (self->pending);
    self->log_unread = !replicator_each_entry (self, applied + 1, s_take_over_entry); /* applied <= commit */
    if (self->log_unread) { /* conditions cannot be checked against the log's end: it takes no writes */
        ADR_MARK ("a master cannot read its own log");
        replicator_resign (self, "the log's end cannot be read", NULL);
    }

    adr_position_t last = adr_store_last (self->store);
    self->lead_ns = self->commit_moved_ns = self->now_ns;
    self->own_waits_index = 0;
    self->stamp_count = 0;
    memset (&self->tidy, 0, sizeof self->tidy);
    s_go_on_from_last (self);
    self->time_base_ns = self->now_ns;
    /* One more than the last, and than the horizon, which entries that were cut since may have raised: what is as old as
     * that is refused unread, and somebody must begin [REPL-5]. */
    uint64_t horizon = adr_request_table_horizon (self->requests);
    uint64_t before = self->time_last_ms > horizon ? self->time_last_ms : horizon;
    self->time_base_ms = last.index == 0 ? (uint64_t) self->wall_ms : before + 1;
    s_note_log_time (self);
    self->opening = last.index + 1;
    self->repair.checkpoint_ns = self->now_ns;
    self->voters_shown = (adr_voters_t){ 0 };
    self->voters_index = voters->at.index > adr_store_commit (self->store) ? voters->at.index : 0;
    for (uint32_t i = 1; i < self->peer_count; i++) {
        int place = adr_voters_find_node (voters, &self->peer[i].node);
        replicator_peer_reset (self, &self->peer[i], place < 0 ? 0 : voters->voter[place].incarnation);
    }
    if (!replicator_may_append (self)) { /* an end of the log that is never durable would answer no fence [ELECT-4] */
        replicator_resign (self, "no space for an opening entry", NULL);
        return;
    }
    self->entry.kind = ADR_ENTRY_OPEN;
    self->entry.op_count = 0;
    memset (self->entry.request, 0, sizeof self->entry.request);
    replicator_append_own (self);
}

/* --- what it appends ---------------------------------------------------------------------------------------------- */

/* [PART-4] log time never falls, and from one entry to the next never runs more than twice as fast as the boot clock,
 * so that a wall clock that is set cannot expire what is kept by it; edges count on that, too [EDGE-6]. Nor does it run
 * less than half as fast: standing still behind a wall clock that was ahead, it would not pass the horizon. */
uint64_t
replicator_log_time (replicator_t *self)
{
    int64_t elapsed_ms = (self->now_ns - self->time_base_ns) / ADR_MS;
    elapsed_ms -= elapsed_ms % 2; /* what is left counts for the next */
    uint64_t least = self->time_base_ms + (uint64_t) elapsed_ms / 2;
    uint64_t most = self->time_base_ms + 2 * (uint64_t) elapsed_ms;
    uint64_t stamp = (uint64_t) self->wall_ms;
    stamp = stamp < least ? least : stamp > most ? most : stamp;
    self->time_base_ms = stamp;
    self->time_base_ns += elapsed_ms * ADR_MS;
    return stamp;
}

void
replicator_append_own (replicator_t *self)
{
    adr_entry_t *entry = &self->entry;
    entry->term = replicator_lead_term (self);
    entry->index = adr_store_last (self->store).index + 1;
    entry->time_ms = self->time_last_ms = replicator_log_time (self);
    entry->epoch = self->epoch;
    size_t size = adr_entry_size (entry);
    adr_buffer_clear (&self->scratch);
    adr_entry_encode (entry, adr_buffer_grow (&self->scratch, size));
    if (adr_store_commit (self->store) == entry->index - 1)
        self->commit_moved_ns = self->now_ns; /* the first that waits */
    adr_store_append (self->store, entry, adr_bytes (self->scratch.data, size));
    adr_request_table_add (self->requests, entry->request, entry->index, entry->time_ms);
    adr_pending_keys_add (self->pending, entry);
    s_pipeline_push (self, size);
    replicator_waits_appended (self, entry);
}

bool
replicator_may_append (replicator_t *self)
{
    self->entry.kind = ADR_ENTRY_OPEN;
    self->entry.op_count = 0;
    return adr_store_takes (self->store, &self->entry, false);
}

/* --- commit and unlocked ------------------------------------------------------------------------------------------ */

/* What this voter holds durably, as far as this mastership knows. */
static uint64_t
s_match_of (const replicator_t *self, const adr_voter_t *voter)
{
    for (uint32_t i = 0; i < self->peer_count; i++) {
        const peer_t *peer = &self->peer[i];
        if (!adr_id_equal (&peer->node, &voter->node) || peer->incarnation != voter->incarnation)
            continue;
        if (i > 0)
            return peer->match;
        return ADR_PLANT (STORE_7_COUNTS_ITSELF_UNSYNCED) ? adr_store_last (self->store).index
                                                          : adr_store_durable (self->store);
    }
    return 0;
}

/* The highest index that enough voters of the newest voters entry hold [REPL-3, REPL-4]. */
static uint64_t
s_held_by_quorum (const replicator_t *self)
{
    const adr_voters_t *voters = adr_store_voters (self->store);
    uint64_t match[ADR_VOTERS_MAX];
    uint32_t needed = adr_quorum_needed (voters->count, voters->quorum);
    if (voters->count == 0)
        return 0;
    if (ADR_PLANT (REPL_3_MINORITY_COMMITS))
        needed = voters->count / 2 > 0 ? voters->count / 2 : 1;
    for (uint32_t i = 0; i < voters->count; i++) {
        uint64_t held = s_match_of (self, &voters->voter[i]);
        uint32_t at = i;
        for (; at > 0 && match[at - 1] < held; at--)
            match[at] = match[at - 1];
        match[at] = held;
    }
    return match[needed - 1];
}

void
replicator_commit (replicator_t *self)
{
    uint64_t before = adr_store_commit (self->store);
    uint64_t held = s_held_by_quorum (self);
    if (held <= before || (held < self->opening && !ADR_PLANT (REPL_3_COMMITS_OLD_TERMS)))
        return;
    adr_store_set_commit (self->store, held);
    self->commit_heard = held;
    self->commit_moved_ns = self->now_ns;
    s_pipeline_pop (self, held - before);
    if (before < self->opening) {
        self->status_due = true;
        adr_note (self->effects, ADR_LEVEL_NOTE, "opening entry %llu is committed -> serves, term=%llu",
                  (unsigned long long) self->opening, (unsigned long long) self->fence);
    }
    if (self->voters_index && self->voters_index <= held) {
        self->voters_index = 0;
        self->status_due = true;
        if (adr_voters_find (adr_store_voters (self->store), &self->environment->node,
                             self->environment->incarnation) < 0)
            replicator_resign (self, "no voter any more", NULL); /* [REPL-4] */
    }
    replicator_writes_committed (self);
}

/* [READ-3, READ-4] what every member of the unlock set holds; nothing before each holds the opening entry. */
void
replicator_unlock (replicator_t *self)
{
    uint64_t least = adr_store_commit (self->store);
    uint64_t durable = adr_store_durable (self->store);
    if (least > durable)
        least = durable;
    const adr_voters_t *voters = adr_store_voters (self->store);
    for (uint32_t i = 1; i < self->peer_count; i++) {
        const peer_t *peer = &self->peer[i];
        if (peer->in_unlock_set && peer->match < least)
            least = peer->match;
        bool unheard = peer->heard_ns == 0 && adr_voters_find_node (voters, &peer->node) >= 0;
        if (unheard && self->now_ns - self->lead_ns < self->settings->election_min_ns
            && !ADR_PLANT (READ_3_UNLOCKS_AT_ONCE))
            return; /* it may be ready, and only has not been asked yet */
    }
    if (least < self->opening && !ADR_PLANT (READ_3_UNLOCKS_BELOW_OPENING))
        return;
    self->unlocked_known = true;
    if (self->unlocked < least)
        self->unlocked = least;
}
