/* SPDX-License-Identifier: MPL-2.0 */
/* What a master sends to its members, and what they say to it: positions, probes, acknowledgements [REPL-1]; members
 * without space [STORE-11] and with damaged copies [STORE-5]. */

#include "actors/replicator_private.h"

#define S_APPEND_BYTES (192 * 1024) /* entries of one append: a pack with room for its headers [DESIGN 3] */
#define S_PROBE_BYTES (64 * 1024)
#define S_PATIENCE_FIRST_NS (200 * ADR_MS)
#define S_PATIENCE_MAX_NS (1000 * ADR_MS)
#define S_NOTICE_NS (2 * ADR_MS) /* commit and unlocked alone are told at most this often */
#define S_TIMER_NOTICE 2u

/* --- peers -------------------------------------------------------------------------------------------------------- */

peer_t *
replicator_peer (replicator_t *self, const adr_id_t *node)
{
    for (uint32_t i = 1; i < self->peer_count; i++)
        if (adr_id_equal (&self->peer[i].node, node))
            return &self->peer[i];
    return NULL;
}

/* Whoever was evicted is a peer until the log names it no longer [TRUST-3]. */
void
replicator_forget_evicted (replicator_t *self)
{
    for (uint32_t i = self->peer_count; i-- > 1;) {
        const adr_map_node_t *node = adr_map_node (self->map, &self->peer[i].node);
        if ((node == NULL || node->evicted)
            && adr_voters_find_node (adr_store_voters (self->store), &self->peer[i].node) < 0) {
            ADR_MARK ("replicator: an evicted peer is forgotten");
            self->peer[i] = self->peer[--self->peer_count];
        }
    }
}

void
replicator_learn_peers (replicator_t *self)
{
    replicator_forget_evicted (self);
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
void
replicator_peer_reset (replicator_t *self, peer_t *peer, uint64_t incarnation)
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
bool
replicator_note_boot (peer_t *peer, uint64_t boot)
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

bool
replicator_heard_lately (const replicator_t *self, const peer_t *peer)
{
    return peer->heard_ns && self->now_ns - peer->heard_ns < self->settings->election_max_ns;
}

/* --- what members say --------------------------------------------------------------------------------------------- */

/* [STORE-11] It is full, answers, and nothing is committed without it: it takes from its reserve what the log holds. */
static bool
s_is_needed (const replicator_t *self, const peer_t *peer)
{
    return (peer->full && replicator_heard_lately (self, peer) && replicator_waits_for_space (self))
           || ADR_PLANT (STORE_11_ALL_ARE_NEEDED);
}

/* [STORE-11] A member on its reserve took what it could. It is asked again each second, and at once when a poll's
 * answer says that it has space; earlier once, if it does not know yet that nothing is committed without it. */
static void
s_on_full (replicator_t *self, peer_t *peer)
{
    bool knew = peer->full;
    if (!knew) {
        ADR_MARK ("a member is full");
        adr_note (self->effects, ADR_LEVEL_WARNING,
                  "a member has no space for index %llu -> it takes no more until it has, and does not count",
                  (unsigned long long) peer->match + 1);
    }
    peer->full = true;
    peer->probing = true;
    peer->next = peer->match + 1;
    peer->inflight = 0;
    peer->patience_ns = !knew && s_is_needed (self, peer) ? S_PATIENCE_FIRST_NS : S_PATIENCE_MAX_NS;
    peer->sent_ns = self->now_ns;
}

void
replicator_on_space (replicator_t *self, peer_t *peer)
{
    adr_note (self->effects, ADR_LEVEL_NOTE, "a member has space again -> it catches up from index %llu",
              (unsigned long long) peer->match + 1);
    peer->full = false;
    peer->patience_ns = S_PATIENCE_FIRST_NS;
    peer->sent_ns = ADR_NEVER;
}

void
replicator_on_ack (replicator_t *self, const adr_event_t *event)
{
    const Adr__AppendAck *ack = (const Adr__AppendAck *) event->message.header;
    peer_t *peer = replicator_peer (self, &event->message.from.node);
    if (self->role == ROLE_MEMBER || peer == NULL
        || (ack->term != self->fence && !ADR_PLANT (REPL_1_ACK_OF_ANY_TERM))
        || (ack->incarnation != peer->incarnation && !ADR_PLANT (ELECT_7_ACK_OF_ANY_INCARNATION))
        || ack->confirmed > adr_store_last (self->store).index
        || (!ADR_PLANT (ELECT_7_ACK_OF_ANY_INCARNATION) && !replicator_note_boot (peer, ack->boot)))
        return;
    peer->confirmed_ns = self->now_ns;
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
    /* What it misses was sent before, and an ack that only says so once more is no reason to wait longer [STORE-5]. */
    bool again = ack->missing_from > peer->match && peer->sent_ns != ADR_NEVER;
    if (peer->next - 1 <= peer->match)
        peer->sent_ns = ADR_NEVER;
    else if (!again)
        peer->sent_ns = self->now_ns;
    if (ack->full)
        s_on_full (self, peer);
}

static void
s_tell_higher_term (replicator_t *self, uint64_t term)
{
    Adr__HigherTerm higher = ADR__HIGHER_TERM__INIT;
    higher.term = term;
    replicator_tell_election (self, ADR__KIND__HIGHER_TERM, &higher.base);
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
    if (refused->term != self->fence || refused->incarnation != peer->incarnation)
        return;
    peer->confirmed_ns = self->now_ns;
    if (refused->prev_index <= peer->match)
        return; /* late: it has been confirmed since */
    uint64_t next = refused->conflict_term ? refused->conflict_first : refused->last_index + 1;
    if (next > refused->prev_index)
        next = refused->prev_index;
    peer->next = next > peer->match ? next : peer->match + 1;
    peer->probing = true;
    peer->sent_ns = ADR_NEVER;
    peer->inflight = 0;
}

/* --- what they are sent ------------------------------------------------------------------------------------------- */

/* [DESIGN 5] What this member lacks is no longer in the log: it hears where that starts, and mends itself from any peer. */
static bool
s_begins_at_start (replicator_t *self, peer_t *peer, Adr__Append *append)
{
    adr_position_t start = adr_store_log_start (self->store);
    if (start.index == 0 || peer->next > start.index)
        return false;
    peer->probing = true;
    append->count = 0;
    append->log_start = append->prev_index = start.index;
    append->prev_term = start.term;
    adr_buffer_clear (&self->scratch);
    return true;
}

/* How far the peer may have the log. [REPL-4] Voters that are not committed yet are kept from who is none of them: it would have the
 * longest log, if those that are lost it, and could neither lead nor let them lead. */
static uint64_t
s_streamed_to (const replicator_t *self, const peer_t *peer)
{
    bool waits = self->voters_index && adr_voters_find (adr_store_voters (self->store), &peer->node, peer->incarnation) < 0
                 && !ADR_PLANT (REPL_4_TOLD_TO_WHO_GOES);
    return waits ? peer->next - 1 : adr_store_last (self->store).index;
}

static void
s_send_append (replicator_t *self, peer_t *peer, size_t max)
{
    Adr__Append append = ADR__APPEND__INIT;
    uint64_t last = s_streamed_to (self, peer);
    adr_status_t status = ADR_STATUS_OK;
    adr_buffer_clear (&self->scratch);
    if (max && peer->next <= last)
        append.count = adr_store_read_log (self->store, peer->next, max, &self->scratch, &status);
    if (status == ADR_STATUS_DAMAGED)
        replicator_note_unreadable (self, peer->next);
    if (status != ADR_STATUS_OK || !adr_store_term_at (self->store, peer->next - 1, &append.prev_term)) {
        if (peer->patience_ns < S_PATIENCE_MAX_NS)
            adr_note (self->effects, ADR_LEVEL_WARNING,
                      "a member needs index %llu and the log starts at %llu -> it cannot catch up from the log",
                      (unsigned long long) peer->next, (unsigned long long) adr_store_log_start (self->store).index);
        peer->patience_ns = S_PATIENCE_MAX_NS;
        peer->sent_ns = self->now_ns;
        if (status == ADR_STATUS_DAMAGED || !s_begins_at_start (self, peer, &append))
            return;
    } else
        append.prev_index = peer->next - 1;
    append.term = self->fence;
    append.commit = adr_store_commit (self->store);
    append.unlocked_known = self->unlocked_known;
    append.unlocked = self->unlocked;
    append.in_unlock_set = peer->in_unlock_set;
    append.incarnation = peer->incarnation;
    append.busy = replicator_clients_wait (self);
    append.needed = s_is_needed (self, peer);
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

/* [ELECT-9] With nothing to append the master asks whether an append would come through. */
static bool
s_is_silent (const replicator_t *self, const peer_t *peer)
{
    int64_t newest_ns = peer->told_ns > peer->confirmed_ns ? peer->told_ns : peer->confirmed_ns;
    return self->now_ns - newest_ns >= self->settings->election_min_ns && !ADR_PLANT (ELECT_9_SILENT_LANE);
}

static void
s_stream_to (replicator_t *self, peer_t *peer)
{
    uint64_t last = s_streamed_to (self, peer);
    if (peer->probing) {
        if (peer->sent_ns == ADR_NEVER) {
            bool fresh = replicator_heard_lately (self, peer)
                         || self->now_ns - self->lead_ns < self->settings->election_max_ns;
            s_send_append (self, peer, fresh ? S_PROBE_BYTES : 0);
        }
        return;
    }
    while (peer->next <= last && peer->inflight < INFLIGHT_MAX && peer->patience_ns < S_PATIENCE_MAX_NS)
        s_send_append (self, peer, S_APPEND_BYTES);
    if (peer->told_commit == adr_store_commit (self->store) && peer->told_unlocked == self->unlocked
        && !s_is_silent (self, peer))
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

/* What was not acknowledged in time is sent again, as a probe. */
void
replicator_repeat (replicator_t *self, peer_t *peer)
{
    if (peer->sent_ns == ADR_NEVER || self->now_ns - peer->sent_ns < peer->patience_ns)
        return;
    if (!peer->probing)
        peer->next = peer->match + 1;
    peer->probing = true;
    peer->inflight = 0;
    peer->sent_ns = ADR_NEVER;
    peer->patience_ns = peer->patience_ns * 2 > S_PATIENCE_MAX_NS ? S_PATIENCE_MAX_NS : peer->patience_ns * 2;
}
