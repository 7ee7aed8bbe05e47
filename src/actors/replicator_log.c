/* SPDX-License-Identifier: MPL-2.0 */
/* The replicator's log: what a master streams to its members and they acknowledge, commit and unlocked, voters. */

#include "actors/replicator_private.h"

#include <stdio.h>

#define S_APPEND_BYTES (192 * 1024) /* entries of one append: a pack with room for its headers [DESIGN 3] */
#define S_PROBE_BYTES (64 * 1024)
#define S_PATIENCE_FIRST_NS (200 * ADR_MS)
#define S_PATIENCE_MAX_NS (1000 * ADR_MS)
#define S_NOTICE_NS (2 * ADR_MS) /* commit and unlocked alone are told at most this often */
#define S_TIMER_NOTICE 2u
#define S_LOG_TIME_NOTED_MS 60000        /* log time may be so far from the wall clock before it is spoken of */
#define S_REREAD_FIRST_NS (100 * ADR_MS) /* what the disk refused is tried again */
#define S_REREAD_NS (1000 * ADR_MS)      /* a bad sector may hold the disk up for long */

/* --- the log at start -------------------------------------------------------------------------------------------- */

typedef void (s_entry_fn) (replicator_t *self, const adr_entry_t *entry, size_t size);

/* Calls `each` for the entries from `first` on to the log's end. False if some cannot be read, and were passed by. */
static bool
s_each_entry (replicator_t *self, uint64_t first, s_entry_fn *each)
{
    uint64_t last = adr_store_last (self->store).index;
    bool whole = true;
    while (first <= last) {
        adr_status_t status;
        adr_buffer_clear (&self->scratch);
        if (adr_store_read_log (self->store, first, ADR_PACK_TARGET, &self->scratch, &status) == 0) {
            whole = false;
            first++;
            continue;
        }
        adr_bytes_t rest = adr_bytes (self->scratch.data, self->scratch.size);
        while (rest.size) {
            size_t size = adr_entry_decode (&self->entry, rest);
            adr_assert (size != 0); /* the store has verified it */
            each (self, &self->entry, size);
            first = self->entry.index + 1;
            rest = adr_bytes (rest.data + size, rest.size - size);
        }
    }
    return whole;
}

static void
s_note_origin (replicator_t *self, uint64_t index, const uint8_t *request, uint64_t time_ms)
{
    adr_request_table_add (self->requests, request, index, time_ms);
    if (self->time_last_ms < time_ms)
        self->time_last_ms = time_ms;
    if (index <= adr_store_applied (self->store))
        self->time_committed_ms = time_ms;
}

static void
s_note_entry (replicator_t *self, const adr_entry_t *entry, size_t size)
{
    (void) size;
    s_note_origin (self, entry->index, entry->request, entry->time_ms);
}

static void
s_note_entry_at_start (replicator_t *self, const adr_entry_t *entry, size_t size)
{
    s_note_entry (self, entry, size);
    adr_position_t start = adr_store_log_start (self->store);
    if (start.index != 0 && entry->index == start.index + 1)
        adr_request_table_raise_horizon (self->requests, entry->time_ms);
}

/* Request ids and log time: as recovery noted them, or, where entries are missing, out of those that can be read. False
 * if not all of them can. */
static bool
s_note_origins (replicator_t *self)
{
    uint64_t count, start = adr_store_log_start (self->store).index;
    const adr_origin_t *origin = adr_store_origins (self->store, &count);
    if (count != adr_store_last (self->store).index - start)
        return s_each_entry (self, start + 1, s_note_entry_at_start);
    for (uint64_t i = 0; i < count; i++)
        s_note_origin (self, start + 1 + i, origin[i].request, origin[i].time_ms);
    if (start != 0 && count != 0)
        adr_request_table_raise_horizon (self->requests, origin[0].time_ms);
    adr_store_forget_origins (self->store);
    return true;
}

void
replicator_log_open (replicator_t *self)
{
    if (!s_note_origins (self)) {
        /* [REPL-5] ids that cannot be read are not known: whatever is as old as they may be is not executed. */
        ADR_MARK ("request ids of damaged entries are unknown");
        self->ids_unread = true; /* said once there is somebody to say it to */
        adr_request_table_raise_horizon (self->requests, self->time_last_ms);
    }
    self->commit_heard = adr_store_commit (self->store);
    self->evidence_commit = self->evidence_commit_next = UINT64_MAX;
}

/* --- peers ------------------------------------------------------------------------------------------------------- */

peer_t *
replicator_peer (replicator_t *self, const adr_id_t *node)
{
    for (uint32_t i = 1; i < self->peer_count; i++)
        if (adr_id_equal (&self->peer[i].node, node))
            return &self->peer[i];
    return NULL;
}

void
replicator_learn_peers (replicator_t *self)
{
    const adr_map_node_t *nodes[PEERS_MAX];
    uint32_t count = adr_map_group_nodes (self->map, &self->environment->group, nodes, PEERS_MAX);
    if (self->peer_count == 0) {
        self->peer[0].node = self->environment->node;
        self->peer[0].incarnation = self->environment->incarnation;
        self->peer_count = 1;
    }
    for (uint32_t i = 0; i < count; i++) {
        if (adr_id_equal (&nodes[i]->id, &self->environment->node) || replicator_peer (self, &nodes[i]->id)
            || self->peer_count == PEERS_MAX)
            continue;
        self->peer[self->peer_count++] = (peer_t){ .node = nodes[i]->id, .sent_ns = ADR_NEVER };
    }
}

/* From now on the peer is another incarnation, or its place in our log is unknown. */
static void
s_peer_reset (replicator_t *self, peer_t *peer, uint64_t incarnation)
{
    adr_id_t node = peer->node;
    *peer = (peer_t){ .node = node,
                      .incarnation = incarnation,
                      .probing = true,
                      .next = adr_store_last (self->store).index + 1,
                      .sent_ns = ADR_NEVER,
                      .keeps_up_ns = ADR_NEVER,
                      .patience_ns = S_PATIENCE_FIRST_NS };
}

/* --- a mastership begins ------------------------------------------------------------------------------------------ */

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

static void
s_take_over_entry (replicator_t *self, const adr_entry_t *entry, size_t size)
{
    if (entry->index > adr_store_commit (self->store))
        s_pipeline_push (self, size);
    if (entry->index > adr_store_applied (self->store))
        adr_pending_keys_add (self->pending, entry);
}

/* [PART-4] Log time goes on from the log's last entry: one that was cut since may have carried a wall clock's whim. */
static void
s_time_of_last (replicator_t *self)
{
    adr_status_t status;
    adr_buffer_clear (&self->scratch);
    if (adr_store_read_log (self->store, adr_store_last (self->store).index, 1, &self->scratch, &status) == 1
        && adr_entry_decode (&self->entry, adr_bytes (self->scratch.data, self->scratch.size)))
        self->time_last_ms = self->entry.time_ms;
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
    self->log_unread = !s_each_entry (self, applied + 1, s_take_over_entry); /* applied <= commit */
    if (self->log_unread) { /* conditions cannot be checked against the log's end: it takes no writes */
        ADR_MARK ("a master cannot read its own log");
        replicator_resign (self, "the log's end cannot be read", NULL);
    }

    adr_position_t last = adr_store_last (self->store);
    self->lead_ns = self->commit_moved_ns = self->now_ns;
    self->own_waits_index = 0;
    self->stamp_count = 0;
    s_time_of_last (self);
    self->time_base_ns = self->now_ns;
    /* One more than the last: what is as old as the last may be refused unread, and somebody must begin [REPL-5]. */
    self->time_base_ms = last.index == 0 ? (uint64_t) self->wall_ms : self->time_last_ms + 1;
    s_note_log_time (self);
    self->opening = last.index + 1;
    self->voters_index = voters->at.index > adr_store_commit (self->store) ? voters->at.index : 0;
    for (uint32_t i = 1; i < self->peer_count; i++) {
        int place = adr_voters_find_node (voters, &self->peer[i].node);
        s_peer_reset (self, &self->peer[i], place < 0 ? 0 : voters->voter[place].incarnation);
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

/* [PART-4] log time never falls, and from one entry to the next never runs more than twice as fast as the boot clock,
 * so that a wall clock that is set cannot expire what is kept by it; edges count on that, too [EDGE-6]. Nor does it run
 * less than half as fast: standing still behind a wall clock that was ahead, it would not pass the horizon. */
static uint64_t
s_stamp (replicator_t *self)
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
    entry->time_ms = self->time_last_ms = s_stamp (self);
    entry->epoch = 1; /* partitions have moved nowhere yet */
    size_t size = adr_entry_size (entry);
    adr_buffer_clear (&self->scratch);
    adr_entry_encode (entry, adr_buffer_grow (&self->scratch, size));
    if (adr_store_commit (self->store) == entry->index - 1)
        self->commit_moved_ns = self->now_ns; /* the first that waits */
    adr_store_append (self->store, entry, adr_bytes (self->scratch.data, size));
    adr_request_table_add (self->requests, entry->request, entry->index, entry->time_ms);
    adr_pending_keys_add (self->pending, entry);
    s_pipeline_push (self, size);
}

/* --- member: appends ---------------------------------------------------------------------------------------------- */

static void
s_tell_higher_term (replicator_t *self, uint64_t term)
{
    Adr__HigherTerm higher = ADR__HIGHER_TERM__INIT;
    higher.term = term;
    replicator_tell_election (self, ADR__KIND__HIGHER_TERM, &higher.base);
}

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
    return true;
}

/* [STORE-11] What is not taken is not acknowledged: this member lags, as far as its master sees, until it has space. */
static bool
s_has_space_for (replicator_t *self, const adr_entry_t *entry)
{
    self->full = !adr_store_takes (self->store, entry);
    if (self->full)
        ADR_MARK ("a member has no space for an entry");
    return !self->full;
}

/* Takes one entry of an append: keeps ours if it is the same, else replaces what follows. False: nonsense. */
static bool
s_take_entry (replicator_t *self, const adr_entry_t *entry, adr_bytes_t encoded)
{
    uint64_t term;
    adr_voters_t voters;
    adr_position_t last = adr_store_last (self->store);
    if (entry->kind == ADR_ENTRY_VOTERS
        && (entry->op_count != 1 || !adr_voters_decode (&voters, entry->op[0].value)))
        return false;
    if (entry->index <= adr_store_log_start (self->store).index)
        return true;
    if (entry->index == adr_store_missing_from (self->store)) { /* [STORE-5] our copy was damaged: here it is again */
        if (!s_has_space_for (self, entry))
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
        if (!s_has_space_for (self, entry) || !s_make_way (self, entry))
            return false;
        last = adr_store_last (self->store);
    } else if (!s_has_space_for (self, entry))
        return false;
    if (entry->index != last.index + 1 || entry->term < last.term || entry->term > self->fence)
        return false;
    adr_store_append (self->store, entry, encoded);
    s_note_entry (self, entry, encoded.size);
    return true;
}

static void
s_take_entries (replicator_t *self, const Adr__Append *append, adr_bytes_t rest)
{
    uint64_t confirmed = append->prev_index;
    self->full = false;
    for (uint32_t i = 0; i < append->count; i++) {
        size_t size = adr_entry_decode (&self->entry, rest);
        if (size == 0 || self->entry.index != confirmed + 1 || !adr_store_has_room (self->store))
            break;
        if (!s_take_entry (self, &self->entry, adr_bytes (rest.data, size)))
            break;
        confirmed = self->entry.index;
        rest = adr_bytes (rest.data + size, rest.size - size);
    }
    if (confirmed > self->confirmed)
        self->confirmed = confirmed;
    if (confirmed == append->prev_index && append->count == 0 && ADR_PLANT (REPL_1_CUT_AT_END)
        && confirmed >= adr_store_commit (self->store) && confirmed < adr_store_last (self->store).index)
        adr_store_cut (self->store, confirmed);
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
    if (!s_holds_predecessor (self, event, append))
        return;
    s_take_entries (self, append, event->message.payload);
    s_hear_watermarks (self, append->commit, append->unlocked_known, append->unlocked);
    self->ack_due = true;
}

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
    self->evidence_in_set = evidence->in_unlock_set;
    self->evidence_commit = self->evidence_commit_next;
    self->evidence_commit_next = evidence->commit;
    s_hear_watermarks (self, evidence->commit, evidence->unlocked_known, evidence->unlocked);
}

bool
replicator_evidence_fresh (const replicator_t *self)
{
    return self->evidence_term == self->fence && self->evidence_ns != 0
           && self->now_ns - self->evidence_ns < self->settings->election_min_ns;
}

/* [REPL-1] an ack says what this term's appends confirmed and is durable; [ELECT-5] after the term itself is. One a
 * turn, cumulative. */
void
replicator_send_acks (replicator_t *self)
{
    if (!self->ack_due || self->role != ROLE_MEMBER || self->fence_durable < self->fence)
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

/* An entry of our log could not be read. The disk may only have stuttered: it is tried again before it is given up. */
static void
s_note_unreadable (replicator_t *self, uint64_t index)
{
    if (self->unreadable != 0)
        return;
    self->unreadable = index;
    self->reread_ns = self->now_ns + S_REREAD_FIRST_NS;
}

/* [STORE-5] It was sound once, and is a missing copy now: we tell our master so and do not stand. A master has nobody
 * who could send it: it hands over. */
static void
s_lose (replicator_t *self)
{
    char text[96];
    ADR_MARK ("an entry is lost at run time");
    snprintf (text, sizeof text, "entry %llu cannot be read any more -> this copy misses it lost=%llu",
              (unsigned long long) self->unreadable, (unsigned long long) ++self->entries_lost);
    replicator_note_damage (self, text);
    self->ack_due = self->confirmed > 0;
    if (replicator_leads (self))
        replicator_resign (self, "this copy of the log is damaged", NULL);
}

void
replicator_tend_lost (replicator_t *self)
{
    bool missing = adr_store_missing_from (self->store) != 0;
    if ((self->unreadable == 0 && !missing) || self->now_ns < self->reread_ns)
        return;
    self->reread_ns = self->now_ns + S_REREAD_NS;
    if (missing && adr_store_reread (self->store)) {
        ADR_MARK ("a lost entry can be read again");
        self->ack_due = self->confirmed > 0;
    }
    if (self->unreadable != 0 && adr_store_lose (self->store, self->unreadable))
        s_lose (self);
    self->unreadable = 0;
}

/* --- master: the stream ------------------------------------------------------------------------------------------- */

/* No more than `match` is known to be there any more: what lies above counts again when it is acknowledged again. */
static void
s_step_back (peer_t *peer, uint64_t match)
{
    peer->probing = true;
    peer->next = peer->match + 1;
    peer->match = match;
    peer->inflight = 0;
    peer->sent_ns = ADR_NEVER;
    peer->patience_ns = S_PATIENCE_FIRST_NS;
}

/* Acknowledgements and poll answers name the start of the peer that they come from. False: of one that is over. */
static bool
s_note_boot (peer_t *peer, uint64_t boot)
{
    if (boot < peer->boot)
        return false;
    /* It has forgotten that an append of this term confirmed what it holds, and serves nothing until one does
     * [REPL-2]: without news of its own the master would never send it one. What it held may be damaged [STORE-5]. */
    if (peer->boot != 0 && boot != peer->boot)
        s_step_back (peer, 0);
    peer->boot = boot;
    return true;
}

/* [STORE-11] A member on its reserve took what it could. It is asked again each second, and at once when a poll's
 * answer says that it has space. */
static void
s_on_full (replicator_t *self, peer_t *peer)
{
    if (!peer->full) {
        ADR_MARK ("a member is full");
        adr_note (self->effects, ADR_LEVEL_WARNING,
                  "a member has no space for index %llu -> it takes no more until it has, and does not count",
                  (unsigned long long) peer->match + 1);
    }
    peer->full = true;
    peer->probing = true;
    peer->next = peer->match + 1;
    peer->inflight = 0;
    peer->patience_ns = S_PATIENCE_MAX_NS;
    peer->sent_ns = self->now_ns;
}

static void
s_on_space (replicator_t *self, peer_t *peer)
{
    adr_note (self->effects, ADR_LEVEL_NOTE, "a member has space again -> it catches up from index %llu",
              (unsigned long long) peer->match + 1);
    peer->full = false;
    peer->patience_ns = S_PATIENCE_FIRST_NS;
    peer->sent_ns = ADR_NEVER;
}

uint32_t
replicator_voters_with_space (const replicator_t *self, adr_space_t limit, bool *full)
{
    const adr_voters_t *voters = adr_store_voters (self->store);
    uint32_t count = 0;
    *full = false;
    for (uint32_t i = 0; i < self->peer_count; i++) {
        const peer_t *peer = &self->peer[i];
        if (adr_voters_find (voters, &peer->node, peer->incarnation) < 0)
            continue;
        bool own = i == 0;
        int64_t since = peer->heard_ns ? peer->heard_ns : self->lead_ns; /* who has not been asked yet may have some */
        bool here = own || self->now_ns - since <= self->settings->election_min_ns;
        bool lacks = (own ? adr_store_space (self->store) : peer->space) > limit;
        count += here && !lacks;
        *full |= here && lacks;
    }
    return count;
}

bool
replicator_may_append (replicator_t *self)
{
    self->entry.kind = ADR_ENTRY_OPEN;
    self->entry.op_count = 0;
    return adr_store_takes (self->store, &self->entry);
}

void
replicator_on_ack (replicator_t *self, const adr_event_t *event)
{
    const Adr__AppendAck *ack = (const Adr__AppendAck *) event->message.header;
    peer_t *peer = replicator_peer (self, &event->message.from.node);
    if (self->role == ROLE_MEMBER || peer == NULL
        || (ack->term != self->fence && !ADR_PLANT (REPL_1_ACK_OF_ANY_TERM))
        || (ack->incarnation != peer->incarnation && !ADR_PLANT (ELECT_7_ACK_OF_ANY_INCARNATION))
        || ack->confirmed > adr_store_last (self->store).index || !s_note_boot (peer, ack->boot))
        return;
    if (ack->missing_from && ack->missing_from <= peer->match) /* [STORE-5] it had them, and must be sent them again */
        s_step_back (peer, ack->missing_from - 1);
    if (peer->probing)
        peer->next = ack->confirmed + 1;
    peer->probing = false;
    peer->patience_ns = S_PATIENCE_FIRST_NS;
    if (ack->confirmed > peer->match) {
        uint64_t open_before = peer->next - 1 - peer->match;
        peer->match = ack->confirmed;
        uint64_t open_now = peer->next > peer->match ? peer->next - 1 - peer->match : 0;
        peer->inflight = open_before ? peer->inflight * open_now / open_before : 0;
    }
    if (peer->next <= peer->match)
        peer->next = peer->match + 1;
    peer->sent_ns = peer->next - 1 > peer->match ? self->now_ns : ADR_NEVER;
    if (ack->full)
        s_on_full (self, peer);
}

void
replicator_on_append_refused (replicator_t *self, const adr_event_t *event)
{
    const Adr__AppendRefused *refused = (const Adr__AppendRefused *) event->message.header;
    peer_t *peer = replicator_peer (self, &event->message.from.node);
    if (self->role == ROLE_MEMBER || peer == NULL)
        return;
    if (refused->term > self->fence) {
        s_tell_higher_term (self, refused->term);
        return;
    }
    if (refused->term != self->fence || refused->incarnation != peer->incarnation
        || refused->prev_index <= peer->match)
        return; /* late: it has been confirmed since */
    uint64_t next = refused->conflict_term ? refused->conflict_first : refused->last_index + 1;
    if (next > refused->prev_index)
        next = refused->prev_index;
    peer->next = next > peer->match ? next : peer->match + 1;
    peer->probing = true;
    peer->sent_ns = ADR_NEVER;
    peer->inflight = 0;
}

static void
s_send_append (replicator_t *self, peer_t *peer, size_t max)
{
    Adr__Append append = ADR__APPEND__INIT;
    uint64_t last = adr_store_last (self->store).index;
    adr_status_t status = ADR_STATUS_OK;
    adr_buffer_clear (&self->scratch);
    if (max && peer->next <= last)
        append.count = adr_store_read_log (self->store, peer->next, max, &self->scratch, &status);
    if (status == ADR_STATUS_DAMAGED)
        s_note_unreadable (self, peer->next);
    if (status != ADR_STATUS_OK || !adr_store_term_at (self->store, peer->next - 1, &append.prev_term)) {
        if (peer->patience_ns < S_PATIENCE_MAX_NS)
            adr_note (self->effects, ADR_LEVEL_WARNING,
                      "a member needs index %llu and the log starts at %llu -> it cannot catch up from the log",
                      (unsigned long long) peer->next, (unsigned long long) adr_store_log_start (self->store).index);
        peer->patience_ns = S_PATIENCE_MAX_NS;
        peer->sent_ns = self->now_ns;
        return;
    }
    append.term = self->fence;
    append.prev_index = peer->next - 1;
    append.commit = adr_store_commit (self->store);
    append.unlocked_known = self->unlocked_known;
    append.unlocked = self->unlocked;
    append.in_unlock_set = peer->in_unlock_set;
    append.incarnation = peer->incarnation;
    self->effects->send (self->effects, replicator_address (peer->node), ADR__KIND__APPEND, &append.base,
                         adr_bytes (self->scratch.data, self->scratch.size));
    if (peer->sent_ns == ADR_NEVER && (append.count || peer->probing))
        peer->sent_ns = self->now_ns;
    if (!peer->probing) { /* a probe stays where it is until it is answered */
        peer->inflight += self->scratch.size;
        peer->next += append.count;
    }
    peer->told_ns = self->now_ns;
    peer->told_commit = append.commit;
    peer->told_unlocked = append.unlocked;
}

static bool
s_heard_lately (const replicator_t *self, const peer_t *peer)
{
    return peer->heard_ns && self->now_ns - peer->heard_ns < self->settings->election_max_ns;
}

static void
s_stream_to (replicator_t *self, peer_t *peer)
{
    uint64_t last = adr_store_last (self->store).index;
    if (peer->probing) {
        if (peer->sent_ns == ADR_NEVER) {
            bool fresh = s_heard_lately (self, peer) || self->now_ns - self->lead_ns < self->settings->election_max_ns;
            s_send_append (self, peer, fresh ? S_PROBE_BYTES : 0);
        }
        return;
    }
    while (peer->next <= last && peer->inflight < INFLIGHT_MAX && peer->patience_ns < S_PATIENCE_MAX_NS)
        s_send_append (self, peer, S_APPEND_BYTES);
    if (peer->told_commit == adr_store_commit (self->store) && peer->told_unlocked == self->unlocked)
        return;
    if (self->now_ns - peer->told_ns >= S_NOTICE_NS)
        s_send_append (self, peer, 0);
    else
        self->effects->wake (self->effects, S_TIMER_NOTICE, peer->told_ns + S_NOTICE_NS);
}

void
replicator_stream (replicator_t *self)
{
    if (self->role == ROLE_MEMBER)
        return;
    for (uint32_t i = 1; i < self->peer_count; i++)
        if (self->peer[i].incarnation != 0)
            s_stream_to (self, &self->peer[i]);
}

/* --- commit, unlocked, apply --------------------------------------------------------------------------------------- */

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

static void
s_commit (replicator_t *self)
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
static void
s_unlock (replicator_t *self)
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

static void
s_apply (replicator_t *self)
{
    uint64_t until = adr_store_commit (self->store);
    uint64_t durable = adr_store_durable (self->store);
    if (until > durable && !ADR_PLANT (STORE_7_APPLIES_UNSYNCED)) /* [STORE-7] */
        until = durable;
    while (adr_store_applied (self->store) < until) {
        const adr_entry_t *entry;
        if (adr_store_apply (self->store, &entry) != ADR_STATUS_OK) {
            s_note_unreadable (self, adr_store_applied (self->store) + 1);
            return;
        }
        self->time_committed_ms = entry->time_ms;
        if (self->role != ROLE_MEMBER)
            adr_pending_keys_applied (self->pending, entry);
    }
}

void
replicator_advance (replicator_t *self)
{
    if (self->role != ROLE_MEMBER) {
        s_commit (self);
        s_unlock (self);
    } else {
        /* [REPL-2] only what an append of this very term has confirmed here is known to be the committed entry. */
        uint64_t known = self->confirmed;
        if (ADR_PLANT (REPL_2_COMMIT_FROM_POLL))
            known = adr_store_last (self->store).index;
        if (known > self->commit_heard)
            known = self->commit_heard;
        if (known > adr_store_commit (self->store))
            adr_store_set_commit (self->store, known);
    }
    s_apply (self);
    if (self->unlocked_known)
        adr_store_set_unlocked (self->store, self->unlocked);
    replicator_reads_applied (self);
    replicator_reads_unlocked (self);
}

/* --- master: each tick ---------------------------------------------------------------------------------------------- */

/* When the entry was appended, as far back as the stamps tell; 0: before that. */
static int64_t
s_appended_ns (const replicator_t *self, uint64_t index)
{
    uint32_t kept = self->stamp_count < STAMPS ? self->stamp_count : STAMPS;
    int64_t found = self->now_ns;
    for (uint32_t back = 1; back <= kept; back++) {
        uint32_t at = (self->stamp_count - back) % STAMPS;
        if (self->stamp[at].last_index < index)
            return found;
        found = self->stamp[at].at_ns;
    }
    return kept < STAMPS ? self->lead_ns : 0;
}

/* The oldest entry that the member has not acknowledged is of this mastership, and younger than the minimum election
 * timeout and half of what the unlock set bears. Not "it has the log's end": under steady writes nobody whose syncs
 * take longer than a write ever has. */
static bool
s_keeps_up (const replicator_t *self, const peer_t *peer)
{
    if (peer->probing || peer->incarnation == 0 || !s_heard_lately (self, peer) || peer->match < self->opening)
        return false;
    int64_t limit = self->settings->write_timeout_ns / 4;
    if (limit > self->settings->election_min_ns)
        limit = self->settings->election_min_ns;
    return peer->match >= adr_store_last (self->store).index
           || self->now_ns - s_appended_ns (self, peer->match + 1) < limit;
}

/* [READ-4] */
static bool
s_belongs_to_unlock_set (const replicator_t *self, const peer_t *peer)
{
    /* Near its first mark a member is degraded, and keeps up all the same [STORE-11]. */
    bool ready = peer->state == ADR_STATE_ONLINE_READY
                 || (peer->state == ADR_STATE_ONLINE_DEGRADED && peer->space == ADR_SPACE_FIRST_MARK);
    if (adr_voters_find (adr_store_voters (self->store), &peer->node, peer->incarnation) < 0 || !ready || peer->full
        || peer->heard_ns == 0
        || self->now_ns - peer->heard_ns > self->settings->election_min_ns)
        return false;
    if (peer->match >= adr_store_last (self->store).index)
        return true;
    if (!peer->in_unlock_set)
        return peer->keeps_up_ns != ADR_NEVER;
    return self->now_ns - s_appended_ns (self, peer->match + 1) < self->settings->write_timeout_ns / 2
           || ADR_PLANT (READ_4_SLOW_MEMBER_LOCKS);
}

static void
s_tend_member (replicator_t *self, peer_t *peer)
{
    if (!s_keeps_up (self, peer))
        peer->keeps_up_ns = ADR_NEVER;
    else if (peer->keeps_up_ns == ADR_NEVER)
        peer->keeps_up_ns = self->now_ns;
    bool belongs = s_belongs_to_unlock_set (self, peer);
    if (belongs != peer->in_unlock_set) {
        peer->in_unlock_set = belongs;
        peer->told_unlocked = UINT64_MAX; /* it is told at once */
        self->status_due = true;
    }
    if (peer->sent_ns != ADR_NEVER && self->now_ns - peer->sent_ns >= peer->patience_ns) {
        if (!peer->probing)
            peer->next = peer->match + 1;
        peer->probing = true;
        peer->inflight = 0;
        peer->sent_ns = ADR_NEVER;
        peer->patience_ns = peer->patience_ns * 2 > S_PATIENCE_MAX_NS ? S_PATIENCE_MAX_NS : peer->patience_ns * 2;
    }
}

static void
s_propose_voters (replicator_t *self, const adr_voters_t *voters, const char *why)
{
    uint8_t value[ADR_VOTERS_BYTES_MAX];
    adr_entry_t *entry = &self->entry;
    adr_op_t *op = &entry->op[0];
    entry->kind = ADR_ENTRY_VOTERS;
    memset (entry->request, 0, sizeof entry->request);
    entry->op_count = 1;
    op->table = ADR_TABLE_GROUP;
    op->flags = 0;
    op->key = adr_bytes ("voters", 6);
    op->value = adr_bytes (value, adr_voters_encode (voters, value));
    adr_value_digest (op->value, op->digest);
    replicator_append_own (self);
    self->voters_index = adr_store_last (self->store).index;
    adr_note (self->effects, ADR_LEVEL_NOTE, "%s -> voters entry %llu names %u voters", why,
              (unsigned long long) self->voters_index, voters->count);
}

/* [ELECT-7] a voter that comes back as another incarnation is removed first; a second entry adds it again. */
static bool
s_remove_forgetful (replicator_t *self, const adr_voters_t *voters)
{
    for (uint32_t i = 1; i < self->peer_count; i++) {
        int place = adr_voters_find_node (voters, &self->peer[i].node);
        if (place < 0 || !s_heard_lately (self, &self->peer[i])
            || voters->voter[place].incarnation == self->peer[i].incarnation)
            continue;
        adr_voters_t fewer = *voters;
        fewer.voter[place] = fewer.voter[--fewer.count];
        if (ADR_PLANT (ELECT_7_ONE_ENTRY))
            fewer.voter[fewer.count++] = (adr_voter_t){ self->peer[i].node, self->peer[i].incarnation };
        s_propose_voters (self, &fewer, "a voter came back without its memory");
        return true;
    }
    return false;
}

static bool
s_settled (const replicator_t *self, const peer_t *peer)
{
    return peer->keeps_up_ns != ADR_NEVER && self->now_ns - peer->keeps_up_ns >= self->settings->election_max_ns;
}

/* [ELECT-10] a group that is to have three voters does not stop at two. */
static void
s_admit (replicator_t *self, const adr_voters_t *voters)
{
    uint32_t settled = 0;
    const peer_t *newcomer = NULL;
    for (uint32_t i = 1; i < self->peer_count; i++) {
        const peer_t *peer = &self->peer[i];
        if (adr_voters_find_node (voters, &peer->node) >= 0 || !s_settled (self, peer))
            continue;
        settled++;
        newcomer = peer;
    }
    if (newcomer == NULL || voters->count == ADR_VOTERS_MAX
        || (voters->count == 1 && self->peer_count >= 3 && settled < 2))
        return;
    adr_voters_t more = *voters;
    more.voter[more.count++] = (adr_voter_t){ newcomer->node, newcomer->incarnation };
    s_propose_voters (self, &more, "a member has caught up");
}

static void
s_tend_voters (replicator_t *self)
{
    bool may_propose = self->voters_index == 0 && adr_store_commit (self->store) >= self->opening;
    if (ADR_PLANT (REPL_4_TWO_CHANGES_AT_ONCE))
        may_propose = true;
    if (!replicator_leads (self) || !may_propose || !replicator_may_append (self)) /* [REPL-4] */
        return;
    adr_voters_t voters = *adr_store_voters (self->store);
    if (!s_remove_forgetful (self, &voters))
        s_admit (self, &voters);
}

/* Members leave the unlock set when their disks do not keep up [READ-4]; the master is always in it. With a disk that
 * stands still it commits by the others' and would lock every record for ever [invariant 11]: so it must not lead. */
static void
s_tend_own_disk (replicator_t *self)
{
    if (adr_store_durable (self->store) >= self->own_waits_index) {
        self->own_waits_index = adr_store_last (self->store).index;
        self->own_waits_ns = self->now_ns;
    }
    if (replicator_leads (self) && self->now_ns - self->own_waits_ns > self->settings->write_timeout_ns / 2) {
        ADR_MARK ("a master's own disk stands still");
        replicator_resign (self, "the own disk does not keep up", NULL);
    }
}

/* [STORE-11] Where those that are full would be needed, no other master commits more. */
static bool
s_waits_for_space (const replicator_t *self)
{
    const adr_voters_t *voters = adr_store_voters (self->store);
    uint32_t able = 0, full = 0;
    for (uint32_t i = 0; i < self->peer_count; i++) {
        const peer_t *peer = &self->peer[i];
        if (adr_voters_find (voters, &peer->node, peer->incarnation) < 0)
            continue;
        able += i == 0 || (s_heard_lately (self, peer) && !peer->full);
        full += peer->full;
    }
    return full > 0 && able < adr_quorum_needed (voters->count, voters->quorum);
}

void
replicator_tend_members (replicator_t *self)
{
    for (uint32_t i = 1; i < self->peer_count; i++)
        s_tend_member (self, &self->peer[i]);
    uint32_t at = self->stamp_count++ % STAMPS;
    self->stamp[at].at_ns = self->now_ns;
    self->stamp[at].last_index = adr_store_last (self->store).index;
    s_tend_voters (self);
    if (adr_store_commit (self->store) == adr_store_last (self->store).index || s_waits_for_space (self))
        self->commit_moved_ns = self->now_ns;
    /* [ELECT-9] alive in one actor only: a quorum answers the polls, and yet nothing is committed. */
    if (replicator_leads (self) && self->now_ns - self->commit_moved_ns > self->settings->election_max_ns
        && replicator_quorum_answers (self, self->now_ns - self->settings->election_min_ns)
        && !ADR_PLANT (ELECT_9_STALLED_MASTER_STAYS))
        replicator_resign (self, "commit stands still although a quorum answers", NULL);
    s_tend_own_disk (self);
}

void
replicator_on_answered (replicator_t *self, const adr_event_t *event)
{
    const Adr__Answered *answered = (const Adr__Answered *) event->message.header;
    adr_id_t node = adr_id_of (answered->voter);
    peer_t *peer = replicator_peer (self, &node);
    if (self->role == ROLE_MEMBER || answered->term != self->fence || peer == NULL || answered->incarnation == 0)
        return;
    if (peer->incarnation != answered->incarnation)
        s_peer_reset (self, peer, answered->incarnation);
    if (!s_note_boot (peer, answered->boot))
        return;
    peer->heard_ns = self->now_ns;
    peer->state = answered->state < ADR_STATE_COUNT ? (adr_node_state_t) answered->state : ADR_STATE_OFFLINE;
    peer->space = answered->space <= ADR_SPACE_LAST ? (adr_space_t) answered->space : ADR_SPACE_LAST;
    if (peer->full && peer->space < ADR_SPACE_SECOND_MARK)
        s_on_space (self, peer);
    peer->applied = answered->applied;
    peer->last_index = answered->last_index;
    if (answered->promise_ms && answered->sent_ns > peer->answered_ns) {
        peer->answered_ns = answered->sent_ns;
        peer->promise_ns = (int64_t) answered->promise_ms * ADR_MS;
    }
}
