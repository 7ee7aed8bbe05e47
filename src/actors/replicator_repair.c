/* SPDX-License-Identifier: MPL-2.0 */
/* The replicator's side of repair, whatever its role: checkpoints and what they say, copies that come from peers, whether
 * this copy is sick. The comparing itself is merkle_gossiper's, the pulling inventory_syncer's.
 *
 * Implements REPAIR-1 (who is exact, and when it is believed), REPAIR-5 (a sick copy takes no part), REPAIR-6 (what the log
 * is kept for), REPL-7 (bases). */

#include "actors/replicator_private.h"

#define S_STATE_NS (500 * ADR_MS)     /* the repair state is repeated this often */
#define S_URGENT_NS (1000 * ADR_MS)   /* checkpoints while some copy is not proven */
#define S_COPYING_NS (5000 * ADR_MS)  /* ... while one is being made, which needs proven sources */
#define S_HAND_OVER_NS (2000 * ADR_MS) /* so long a master with a lost index waits for another one */
#define S_LOSSY_NS (15000 * ADR_MS)   /* so long an exact copy has to mend what was lost, before the journal does */
#define QUEUE_DONE_MAX (512 * 1024)   /* bytes of the queue that are done, and moved away */
#define S_BELIEVED_NS (5000 * ADR_MS) /* an agreement stands so long after the next roots were noted */

static const adr_bytes_t s_nothing;

bool
replicator_is_exact (const replicator_t *self)
{
    return adr_store_sync (self->store) == ADR_SYNC_EXACT || ADR_PLANT (REPAIR_5_SICK_SERVES);
}

/* --- checkpoints ----------------------------------------------------------------------------------------------- */

static bool
s_voters_are (const replicator_t *self, adr_sync_t sync)
{
    if (adr_store_sync (self->store) == sync)
        return true;
    for (uint32_t i = 1; i < self->peer_count; i++)
        if (replicator_heard_lately (self, &self->peer[i]) && self->peer[i].sync == sync)
            return true;
    return false;
}

/* A master's: when something has changed for long enough, or somebody waits for one. */
void
replicator_tend_checkpoint (replicator_t *self)
{
    int64_t since = self->now_ns - self->repair.checkpoint_ns;
    bool changed = adr_store_last (self->store).index > self->repair.checkpoint_index;
    bool due = (changed && since >= self->settings->checkpoint_ns)
               || (since >= S_URGENT_NS && s_voters_are (self, ADR_SYNC_UNPROVEN))
               || (since >= S_COPYING_NS && s_voters_are (self, ADR_SYNC_COPYING));
    if (!due || !replicator_leads (self) || adr_store_commit (self->store) < self->opening || !replicator_may_append (self))
        return;
    self->entry.kind = ADR_ENTRY_CHECKPOINT;
    self->entry.op_count = 0;
    memset (self->entry.request, 0, sizeof self->entry.request);
    replicator_append_own (self);
    self->repair.checkpoint_index = adr_store_last (self->store).index;
    self->repair.checkpoint_ns = self->now_ns;
}

static void
s_tell_checkpoint (replicator_t *self)
{
    const adr_store_checkpoint_t *newest = adr_store_checkpoint (self->store);
    if (adr_position_compare (newest->at, self->repair.noted) == 0)
        return;
    self->repair.noted = newest->at;
    self->repair.noted_ns = self->now_ns;
    if (newest->at.index == 0)
        return;
    adr_voter_set_t set;
    Adr__CheckpointNoted noted = ADR__CHECKPOINT_NOTED__INIT;
    noted.term = newest->at.term;
    noted.index = newest->at.index;
    noted.root = (ProtobufCBinaryData){ sizeof newest->root, (uint8_t *) newest->root };
    noted.voters = adr_voter_set_fill (&set, adr_store_voters (self->store));
    noted.doubt = adr_store_is_lossy (self->store) ? 2 : adr_store_sync (self->store) != ADR_SYNC_EXACT;
    adr_address_t to = { self->environment->node, ADR_ACTOR_MERKLE_GOSSIPER };
    self->effects->send (self->effects, to, ADR__KIND__CHECKPOINT_NOTED, &noted.base,
                         adr_bytes (newest->roots, newest->root_count * 32));
}

void
replicator_on_agreed (replicator_t *self, const Adr__Agreed *agreed)
{
    adr_position_t at = { agreed->term, agreed->index };
    if (adr_position_compare (at, self->repair.agreed) <= 0)
        return;
    self->repair.agreed = at;
    if (!adr_store_sync_proven (self->store, at.index))
        return;
    ADR_MARK ("a copy is proven");
    adr_note (self->effects, ADR_LEVEL_NOTE, "%u voters agree at checkpoint %llu -> this copy is exact", agreed->same,
              (unsigned long long) at.index);
}

/* [REPAIR-2] May be a source: its last roots are those of another voter, too. */
static bool
s_is_proven (const replicator_t *self)
{
    if (!replicator_is_exact (self) || self->repair.agreed.index == 0)
        return false;
    return adr_position_compare (self->repair.agreed, self->repair.noted) >= 0
           || self->now_ns - self->repair.noted_ns < S_BELIEVED_NS;
}

/* --- copies ---------------------------------------------------------------------------------------------------- */

/* One record of a PLACE; 0 if the bytes are none. */
static size_t
s_copy_of (adr_bytes_t bytes, adr_copy_t *copy)
{
    adr_inventory_row_t row;
    size_t size = adr_inventory_row_get (&row, bytes);
    if (size == 0 || bytes.size - size < row.value_size)
        return 0;
    *copy = (adr_copy_t){ .table = row.table, .key = row.key, .value = adr_bytes (bytes.data + size, row.value_size),
                          .version = row.version, .deleted = row.deleted, .time_ms = row.time_ms };
    memcpy (copy->digest, row.digest, sizeof copy->digest);
    return size + row.value_size;
}

/* As many as the store has room for now. What does not fit its digest is left out: the source is wrong [REPAIR-3]. What is
 * ahead of the index comes by the log, unless the whole copy is being made [REPAIR-4]. */
static bool
s_is_ahead (const replicator_t *self, const adr_version_t *version)
{
    return adr_store_sync (self->store) != ADR_SYNC_COPYING && version->index > adr_store_flushed (self->store)
           && !ADR_PLANT (REPAIR_3_BEHIND_IS_WRONG);
}

static void
s_place (replicator_t *self)
{
    adr_buffer_t *queue = &self->repair.queue;
    adr_copy_t copy;
    while (self->repair.queue_at < queue->size && adr_store_place_room (self->store)) {
        size_t size = s_copy_of (adr_bytes (queue->data + self->repair.queue_at, queue->size - self->repair.queue_at), &copy);
        adr_assert (size != 0); /* the inventory_syncer sends whole ones */
        if (!s_is_ahead (self, &copy.version) && !adr_store_place (self->store, &copy)) {
            ADR_MARK ("a copy does not fit its digest");
            replicator_note_damage (self, "a record of a peer does not fit its digest -> it is not taken");
        }
        self->repair.queue_at += size;
        self->repair.admitted += size;
    }
    if (self->repair.queue_at > QUEUE_DONE_MAX || (self->repair.queue_at && self->repair.queue_at == queue->size)) {
        memmove (queue->data, queue->data + self->repair.queue_at, queue->size - self->repair.queue_at);
        queue->size -= self->repair.queue_at;
        self->repair.queue_at = 0;
    }
}

void
replicator_on_place (replicator_t *self, const adr_event_t *event)
{
    const Adr__Place *place = (const Adr__Place *) event->message.header;
    self->repair.keep_from = place->keep_from;
    if (place->runs)
        self->repair.runs_ns = self->now_ns;
    adr_progress_t *progress = &self->repair.progress;
    *progress = (adr_progress_t){ .parts_done = place->parts_done, .parts = place->parts, .rate_kib = place->rate_kib,
                                  .left_s = place->left_s, .pulled = place->pulled, .paused_s = place->paused_s,
                                  .scrub_done = progress->scrub_done, .damaged = progress->damaged };
    adr_buffer_append (&self->repair.queue, event->message.payload.data, event->message.payload.size);
}

void
replicator_on_scrub_state (replicator_t *self, const Adr__ScrubState *state)
{
    self->repair.progress.scrub_done = state->scrub_done;
    self->repair.progress.damaged = state->damaged;
}

void
replicator_on_drop (replicator_t *self, const adr_event_t *event)
{
    adr_bytes_t rest = event->message.payload;
    adr_inventory_row_t row;
    size_t size;
    while (rest.size && (size = adr_inventory_row_get (&row, rest)) != 0) {
        adr_store_drop (self->store, row.table, row.key, &row.version);
        rest = adr_bytes (rest.data + size, rest.size - size);
    }
}

void
replicator_on_quarantine (replicator_t *self, const adr_event_t *event)
{
    adr_bytes_t rest = event->message.payload;
    adr_inventory_row_t row;
    size_t size;
    while (rest.size && (size = adr_inventory_row_get (&row, rest)) != 0) {
        adr_bare_t bare = { .table = row.table, .doubt = row.doubt, .key = row.key, .version = row.version,
                            .value_size = row.value_size, .time_ms = row.time_ms };
        memcpy (bare.digest, row.digest, sizeof bare.digest);
        if (!s_is_ahead (self, &row.version))
            adr_store_place_bare (self->store, &bare);
        rest = adr_bytes (rest.data + size, rest.size - size);
    }
}

void
replicator_on_sync_end (replicator_t *self, const Adr__SyncEnd *end)
{
    adr_voters_t voters;
    if (adr_store_sync (self->store) != ADR_SYNC_COPYING || !adr_voter_set_read (&voters, end->voters)
        || end->term > ADR_TERM_MAX || voters.count == 0)
        return;
    ADR_MARK ("a copy is whole");
    if (end->term > self->fence) /* [ELECT-5] the log will carry it */
        replicator_raise_fence (self, end->term);
    adr_store_sync_end (self->store, (adr_position_t){ end->term, end->index }, &voters, end->window_to);
}

void
replicator_on_base_ask (replicator_t *self, const adr_event_t *event)
{
    const Adr__BaseAsk *ask = (const Adr__BaseAsk *) event->message.header;
    adr_position_t at = { 0, 0 };
    adr_voters_t voters;
    adr_voter_set_t set;
    Adr__Base base = ADR__BASE__INIT;
    base.number = ask->number;
    base.index = ask->index;
    base.log_start = adr_store_log_start (self->store).index;
    base.log_end = adr_store_last (self->store).index;
    base.leads = replicator_leads (self) && replicator_lease_valid (self);
    base.ok = adr_store_sync (self->store) != ADR_SYNC_COPYING
              && adr_store_base_at (self->store, ask->index, &at, &voters);
    base.term = at.term;
    if (base.ok)
        base.voters = adr_voter_set_fill (&set, &voters);
    adr_address_t to = { event->message.from.node, ADR_ACTOR_INVENTORY_SYNCER };
    self->effects->send (self->effects, to, ADR__KIND__BASE, &base.base, s_nothing);
}

/* --- sick ------------------------------------------------------------------------------------------------------ */

/* [DESIGN 5] The log of its master starts behind what this copy holds: it ends before, has another entry there, or misses
 * entries that nobody can send it any more. */
bool
replicator_is_behind (replicator_t *self, adr_position_t log_start)
{
    uint64_t term = 0, missing = adr_store_missing_from (self->store);
    bool same = adr_store_log_start (self->store).index >= log_start.index
                || (adr_store_term_at (self->store, log_start.index, &term) && term == log_start.term);
    if (same && (missing == 0 || missing > log_start.index))
        return false;
    if (adr_store_sync (self->store) == ADR_SYNC_COPYING || self->repair.begun)
        return true;
    ADR_MARK ("a copy is sick: the log starts behind it");
    adr_note (self->effects, ADR_LEVEL_WARNING, "the log of the master starts at %llu, ours ends at %llu -> this copy is sick and is made anew from its peers",
              (unsigned long long) log_start.index, (unsigned long long) adr_store_last (self->store).index);
    self->repair.begun = true;
    adr_store_sync_begin (self->store);
    return true;
}

/* [REPAIR-6] What of the log this node still needs itself: entries behind that index; 0: all. */
uint64_t
replicator_keep_from (const replicator_t *self)
{
    return adr_store_sync (self->store) == ADR_SYNC_COPYING ? self->repair.keep_from : adr_store_applied (self->store);
}

/* A master's: the least of all nodes of the group. One that was not heard in this mastership may need everything. */
uint64_t
replicator_keep_least (const replicator_t *self)
{
    uint64_t least = replicator_keep_from (self);
    for (uint32_t i = 1; i < self->peer_count; i++)
        if (self->peer[i].keep_from < least && !(ADR_PLANT (REPAIR_6_UNHEARD_NEEDS_NOTHING) && self->peer[i].keep_from == 0)
            && !(ADR_PLANT (REPAIR_6_SICK_NEED_NOTHING) && self->peer[i].sync == ADR_SYNC_COPYING))
            least = self->peer[i].keep_from;
    return least;
}

/* --- turns ----------------------------------------------------------------------------------------------------- */

static void
s_tell_state (replicator_t *self)
{
    adr_voter_set_t set;
    Adr__RepairState state = ADR__REPAIR_STATE__INIT;
    state.sync = adr_store_sync (self->store);
    state.proven = s_is_proven (self);
    state.master = adr_id_view (&self->master);
    state.applied = adr_store_applied (self->store);
    state.asked = adr_store_place_asked (self->store);
    state.placed = adr_store_placed (self->store);
    state.place_bytes = self->repair.admitted;
    state.purged_to = adr_store_purged_to (self->store);
    state.lossy = adr_store_is_lossy (self->store);
    state.busy = replicator_is_busy (self);
    state.commit = self->commit_heard;
    state.term = self->fence;
    state.doubts = adr_store_doubts (self->store);
    state.voters = adr_voter_set_fill (&set, adr_store_voters (self->store));
    bool news = state.sync != self->repair.told_sync || state.proven != self->repair.told_proven
                || state.busy != self->repair.told_busy || state.placed != self->repair.told_placed || state.purged_to != self->repair.told_purged_to || state.place_bytes != self->repair.told_admitted;
    if (!news && self->now_ns - self->repair.told_ns < S_STATE_NS && self->repair.told_ns != 0)
        return;
    self->repair.told_sync = (adr_sync_t) state.sync;
    self->repair.told_proven = state.proven;
    self->repair.told_busy = state.busy;
    self->repair.told_placed = state.placed;
    self->repair.told_purged_to = state.purged_to;
    self->repair.told_admitted = state.place_bytes;
    self->repair.told_ns = self->now_ns;
    adr_address_t to = { self->environment->node, ADR_ACTOR_INVENTORY_SYNCER };
    self->effects->send (self->effects, to, ADR__KIND__REPAIR_STATE, &state.base, s_nothing);
}

/* [REPL-5, PART-4] The log has started anew behind a copy. What requests stand below it, and which of ours are still true, is
 * unknown: whatever is as old as its first entry is not executed. */
static void
s_see_new_start (replicator_t *self)
{
    adr_position_t start = adr_store_log_start (self->store);
    bool moved = adr_store_sync (self->store) != ADR_SYNC_EXACT && start.index > self->repair.log_start
                 && adr_store_last (self->store).index == start.index;
    self->repair.log_start = start.index;
    if (!moved)
        return;
    adr_request_table_cut (self->requests, 0);
    self->repair.ids_unknown = true;
    self->confirmed = self->acked = 0;
    self->ack_due = false;
}

/* [STORE-10] Only the next start helps, which makes it anew; whoever leads hands over first, if anybody is there. */
static void
s_end_for_index (replicator_t *self)
{
    if (self->repair.lost_ns == 0)
        self->repair.lost_ns = self->now_ns;
    if (replicator_leads (self) && adr_store_voters (self->store)->count > 1
        && self->now_ns - self->repair.lost_ns < S_HAND_OVER_NS) {
        replicator_resign (self, "the index is lost", NULL);
        return;
    }
    ADR_MARK ("an index is lost");
    self->effects->fatal (self->effects, "the index is damaged, and cannot be healed: the next start makes it anew from the journal");
}

/* [STORE-10] Rows that cannot be read: another copy has them. One without others waits for the next start. */
static void
s_tend_index (replicator_t *self)
{
    if (adr_store_index_is_damaged (self->store) && adr_store_voters (self->store)->count > 1) {
        adr_store_heal (self->store);
        if (replicator_leads (self)) /* until it is compared it serves nobody */
            replicator_resign (self, "rows of the index cannot be read", NULL);
    }
    adr_buffer_clear (&self->scratch);
    adr_store_take_wounds (self->store, &self->scratch);
    if (self->scratch.size) {
        Adr__Wounds wounds = ADR__WOUNDS__INIT;
        adr_address_t to = { self->environment->node, ADR_ACTOR_INVENTORY_SYNCER };
        self->effects->send (self->effects, to, ADR__KIND__WOUNDS, &wounds.base,
                             adr_bytes (self->scratch.data, self->scratch.size));
    }
    bool mends = adr_store_is_lossy (self->store) && !adr_store_heals (self->store);
    if (adr_store_index_is_lost (self->store))
        s_end_for_index (self);
    if (!mends || self->repair.lossy_ns == 0)
        self->repair.lossy_ns = self->now_ns;
    else if (self->now_ns - self->repair.lossy_ns > S_LOSSY_NS && !ADR_PLANT (REPAIR_1_PROVEN_ALONE)) {
        ADR_MARK ("an index is made anew because no copy is exact");
        self->effects->fatal (self->effects, "no exact copy has what this index has lost: it is made anew from the journal");
    }
    uint64_t lost = adr_store_lost_rows (self->store);
    if (lost != self->repair.lost_noted)
        adr_note (self->effects, ADR_LEVEL_WARNING, "rows of the index cannot be read -> they are taken from the peers lost=%llu",
                  (unsigned long long) lost);
    self->repair.lost_noted = lost;
}

/* [invariant 12] */
static void
s_note_doubts (replicator_t *self)
{
    uint64_t doubts = adr_store_doubts (self->store);
    if (doubts > self->repair.doubts_noted)
        adr_note (self->effects, ADR_LEVEL_WARNING,
                  "records may have been purged or lost -> they are served to nobody until a third copy decides doubts=%llu",
                  (unsigned long long) doubts);
    else if (doubts < self->repair.doubts_noted)
        adr_note (self->effects, ADR_LEVEL_NOTE, "records are in doubt no more doubts=%llu", (unsigned long long) doubts);
    self->repair.doubts_noted = doubts;
}

void
replicator_repair_turn (replicator_t *self)
{
    s_tend_index (self);
    s_see_new_start (self);
    if (!adr_store_sync_begins (self->store))
        self->repair.begun = false;
    s_place (self);
    s_note_doubts (self);
    s_tell_checkpoint (self);
    s_tell_state (self);
}
