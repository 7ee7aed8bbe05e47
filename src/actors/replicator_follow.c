/* SPDX-License-Identifier: MPL-2.0 */
/* A member's side of replication: appends, what of them it takes and acknowledges, its evidence of the master.
 * Implements REPL-1, REPL-2 (what is confirmed), STORE-5 (what was lost is taken again), READ-5 (evidence). */

#include "actors/replicator_private.h"

/* --- appends ------------------------------------------------------------------------------------------------------ */

static void
s_refuse_append (replicator_t *self, const adr_event_t *event, uint64_t prev_index, uint64_t conflict_term)
{
    Adr__AppendRefused refused = ADR__APPEND_REFUSED__INIT;
    refused.term = self->fence;
    refused.incarnation = self->environment->incarnation;
    refused.prev_index = prev_index;
    /* Of a damaged copy: where it must begin to be filled [STORE-5]. */
    uint64_t missing = adr_store_missing_from (self->store);
    refused.last_index = missing ? missing - 1 : adr_store_last (self->store).index;
    refused.conflict_term = conflict_term;
    if (conflict_term) {
        uint64_t first = adr_store_first_of_term (self->store, prev_index);
        uint64_t committed = adr_store_commit (self->store);
        refused.conflict_first = first > committed ? first : committed + 1;
    }
    self->effects->send (self->effects, event->message.from, ADR__KIND__APPEND_REFUSED, &refused.base,
                         (adr_bytes_t){ 0 });
}

/* [REPL-1] true if our log holds exactly the entry before the append's first. What lies below our log's start is
 * committed and so the same everywhere. */
static bool
s_holds_predecessor (replicator_t *self, const adr_event_t *event, const Adr__Append *append)
{
    uint64_t term;
    adr_position_t start = adr_store_log_start (self->store);
    if (append->prev_index < start.index)
        return true;
    if (append->prev_index == start.index && append->prev_term != start.term)
        return false; /* contradicts what is committed: nonsense */
    if (!adr_store_term_at (self->store, append->prev_index, &term)) {
        s_refuse_append (self, event, append->prev_index, 0);
        return false;
    }
    if (term != append->prev_term && !ADR_PLANT (REPL_1_NO_PREDECESSOR)) {
        ADR_MARK ("an append meets a conflicting predecessor");
        s_refuse_append (self, event, append->prev_index, term);
        return false;
    }
    return true;
}

/* [REPL-1] cut only from the first entry whose term differs, never at or below the commit index. */
static bool
s_make_way (replicator_t *self, const adr_entry_t *entry)
{
    if (entry->index <= adr_store_commit (self->store)) {
        self->effects->fatal (self->effects, "an append contradicts a committed entry [REPL-1]");
        return false;
    }
    ADR_MARK ("a log is cut");
    adr_store_cut (self->store, entry->index - 1);
    adr_request_table_cut (self->requests, entry->index - 1);
    if (ADR_PLANT (REPL_1_ACK_OF_ANY_TERM) && self->confirmed >= entry->index)
        self->confirmed = entry->index - 1;
    return true;
}

/* [STORE-11] What is not taken is not acknowledged: this member lags, as far as its master sees, until it has space. */
static bool
s_has_space_for (replicator_t *self, const adr_entry_t *entry, bool needed)
{
    self->full = !adr_store_takes (self->store, entry, needed);
    if (self->full)
        ADR_MARK ("a member has no space for an entry");
    return !self->full;
}

/* Takes one entry of an append: keeps ours if it is the same, else replaces what follows. False: nonsense. */
static bool
s_take_entry (replicator_t *self, const adr_entry_t *entry, adr_bytes_t encoded, bool needed)
{
    uint64_t term;
    adr_voters_t voters;
    adr_position_t last = adr_store_last (self->store);
    if (entry->epoch > replicator_epoch_max (self))
        return false;
    if (entry->kind == ADR_ENTRY_VOTERS
        && (entry->op_count != 1 || !adr_voters_decode (&voters, entry->op[0].value)))
        return false;
    if (entry->index <= adr_store_log_start (self->store).index)
        return true;
    if (entry->index == adr_store_missing_from (self->store)) { /* [STORE-5] our copy was damaged: here it is again */
        if (!s_has_space_for (self, entry, needed))
            return false;
        ADR_MARK ("a damaged entry comes back");
        adr_request_table_raise_horizon (self->requests, entry->time_ms);
        if (self->time_last_ms < entry->time_ms) /* [PART-4] the hole may have been the log's end */
            self->time_last_ms = entry->time_ms;
        return adr_store_refill (self->store, entry, encoded);
    }
    if (entry->index <= last.index) {
        if (!adr_store_term_at (self->store, entry->index, &term))
            return false;
        if (term == entry->term && !ADR_PLANT (REPL_1_CUT_ALWAYS))
            return true;
        if (!s_has_space_for (self, entry, needed) || !s_make_way (self, entry))
            return false;
        last = adr_store_last (self->store);
    } else if (!s_has_space_for (self, entry, needed))
        return false;
    if (entry->index != last.index + 1 || entry->term < last.term || entry->term > self->fence)
        return false;
    adr_store_append (self->store, entry, encoded);
    replicator_note_entry (self, entry, encoded.size);
    replicator_waits_appended (self, entry);
    return true;
}

/* False if there is no room for all of it now. */
static bool
s_take_entries (replicator_t *self, const Adr__Append *append, adr_bytes_t rest)
{
    uint64_t confirmed = append->prev_index;
    bool room = true;
    self->full = false;
    for (uint32_t i = 0; i < append->count; i++) {
        size_t size = adr_entry_decode (&self->entry, rest);
        room = adr_store_has_room (self->store);
        if (size == 0 || self->entry.index != confirmed + 1 || !room)
            break;
        if (!s_take_entry (self, &self->entry, adr_bytes (rest.data, size), append->needed))
            break;
        confirmed = self->entry.index;
        rest = adr_bytes (rest.data + size, rest.size - size);
    }
    if (confirmed > self->confirmed)
        self->confirmed = confirmed;
    if (confirmed == append->prev_index && append->count == 0 && ADR_PLANT (REPL_1_CUT_AT_END)
        && confirmed >= adr_store_commit (self->store) && confirmed < adr_store_last (self->store).index)
        adr_store_cut (self->store, confirmed);
    return room;
}

static void
s_hear_watermarks (replicator_t *self, uint64_t commit, bool unlocked_known, uint64_t unlocked)
{
    if (self->commit_heard < commit)
        self->commit_heard = commit;
    self->unlocked_known |= unlocked_known;
    if (unlocked_known && self->unlocked < unlocked)
        self->unlocked = unlocked;
}

void
replicator_on_append (replicator_t *self, const adr_event_t *event)
{
    const Adr__Append *append = (const Adr__Append *) event->message.header;
    if (append->incarnation != self->environment->incarnation && !ADR_PLANT (ELECT_7_APPEND_TO_ANYBODY))
        return;
    if (append->term > ADR_TERM_MAX || replicator_peer (self, &event->message.from.node) == NULL)
        return; /* nonsense, or of no node of this group: neither may raise the fence */
    if (append->term < self->fence) { /* [ELECT-8 of the design] a lower term hears the higher one */
        s_refuse_append (self, event, append->prev_index, 0);
        return;
    }
    if (append->term > self->fence) /* [ELECT-5] */
        replicator_raise_fence (self, append->term);
    if (self->role != ROLE_MEMBER)
        return; /* a second master of one term: the checkers' business, never to be obeyed */
    self->master = event->message.from.node;
    if (append->busy)
        self->waits.master_ns = self->now_ns;
    adr_position_t log_start = { append->prev_term, append->log_start };
    if ((append->log_start && replicator_is_behind (self, log_start))
        || (adr_store_sync (self->store) == ADR_SYNC_COPYING && !ADR_PLANT (REPAIR_5_SICK_ACKNOWLEDGES)))
        return; /* [REPAIR-5] what it takes now it would have to lose again: it says nothing */
    if (!s_holds_predecessor (self, event, append))
        return;
    /* What there is no room for is not answered: the answer would bring it again at once. The master's patience does. */
    self->ack_due |= s_take_entries (self, append, event->message.payload);
    s_hear_watermarks (self, append->commit, append->unlocked_known, append->unlocked);
}

/* --- evidence ----------------------------------------------------------------------------------------------------- */

void
replicator_on_evidence (replicator_t *self, const adr_event_t *event)
{
    const Adr__Evidence *evidence = (const Adr__Evidence *) event->message.header;
    if (evidence->term != self->fence || self->role != ROLE_MEMBER)
        return;
    self->master = adr_id_of (evidence->master);
    self->evidence_term = evidence->term;
    if (evidence->since_ns > self->evidence_ns)
        self->evidence_ns = evidence->since_ns;
    self->evidence_for_ns = self->settings->election_min_ns; /* [SET-2] a longer time that is set later makes old evidence no newer */
    self->evidence_in_set = evidence->in_unlock_set;
    self->evidence_commit = self->evidence_commit_next;
    self->evidence_commit_next = evidence->commit;
    adr_store_keep_from (self->store, evidence->keep_from);
    s_hear_watermarks (self, evidence->commit, evidence->unlocked_known, evidence->unlocked);
}

bool
replicator_evidence_fresh (const replicator_t *self)
{
    return self->evidence_term == self->fence && self->evidence_ns != 0
           && self->now_ns - self->evidence_ns < (self->evidence_for_ns < self->settings->election_min_ns ? self->evidence_for_ns
                                                                                                            : self->settings->election_min_ns);
}

/* --- acknowledgements --------------------------------------------------------------------------------------------- */

/* [REPL-1] an ack says what this term's appends confirmed and is durable; [ELECT-5] after the term itself is. One a
 * turn, cumulative. */
void
replicator_send_acks (replicator_t *self)
{
    if (!self->ack_due || self->role != ROLE_MEMBER || self->fence_durable < self->fence)
        return;
    if (adr_store_sync (self->store) == ADR_SYNC_COPYING && !ADR_PLANT (REPAIR_5_SICK_ACKNOWLEDGES))
        return;
    uint64_t durable = adr_store_durable (self->store);
    uint64_t confirmed = self->confirmed < durable || ADR_PLANT (REPL_1_ACK_BEFORE_DURABLE) ? self->confirmed : durable;
    self->ack_due = false;
    self->acked = confirmed;
    Adr__AppendAck ack = ADR__APPEND_ACK__INIT;
    ack.term = self->fence;
    ack.incarnation = self->environment->incarnation;
    ack.confirmed = confirmed;
    ack.full = self->full;
    ack.boot = self->environment->boot;
    ack.missing_from = adr_store_missing_from (self->store);
    self->effects->send (self->effects, replicator_address (self->master), ADR__KIND__APPEND_ACK, &ack.base,
                         (adr_bytes_t){ 0 });
}
