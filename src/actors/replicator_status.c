/* SPDX-License-Identifier: MPL-2.0 */
/* What a replicator tells of itself: voters and the log's end to its election, its state to the health-checker, and, as
 * a master, its group's status to the map-keeper. */

#include "actors/replicator_private.h"

#define S_STATUS_NS (200 * ADR_MS)         /* a changed status is told at most this often */
#define S_STATUS_REPEAT_NS (1000 * ADR_MS) /* and repeated this often, so that a lost one is made good */

static const adr_bytes_t s_nothing;

static bool
s_is_voter (const replicator_t *self)
{
    return adr_voters_find (adr_store_voters (self->store), &self->environment->node,
                            self->environment->incarnation) >= 0;
}

/* Tells election who votes by our log, and where the log ends: at once when a term, the set or our right to stand
 * changed, and its end every 100 ms. */
void
replicator_tell_voters (replicator_t *self)
{
    const adr_voters_t *voters = adr_store_voters (self->store);
    adr_position_t last = adr_store_last (self->store);
    bool misses = adr_store_missing_from (self->store) != 0 && !ADR_PLANT (STORE_5_DAMAGED_STANDS);
    bool copies = adr_store_sync (self->store) == ADR_SYNC_COPYING && !ADR_PLANT (REPAIR_5_SICK_STANDS);
    bool may_stand = s_is_voter (self) && !misses && !copies;
    bool same = self->told.at_ns != 0 && adr_position_compare (voters->at, self->told.voters_at) == 0
                && may_stand == self->told.may_stand && self->told.last_term == last.term
                && self->told.fence == self->fence;
    if (same && self->now_ns - self->told.at_ns < 100 * ADR_MS)
        return;
    adr_voter_set_t set;
    Adr__Voters told = ADR__VOTERS__INIT;
    told.voters = adr_voter_set_fill (&set, voters);
    told.last_term = last.term;
    told.last_index = last.index;
    told.term = self->fence;
    told.may_stand = may_stand;
    told.space = adr_store_space (self->store);
    if (!replicator_is_exact (self)) /* it leaves the call to those who can serve at once, as one on its reserve does */
        told.space = ADR_SPACE_SECOND_MARK;
    replicator_tell_election (self, ADR__KIND__VOTERS, &told.base);
    self->told.voters_at = voters->at;
    self->told.last_term = last.term;
    self->told.fence = self->fence;
    self->told.at_ns = self->now_ns;
    self->told.may_stand = may_stand;
}

adr_node_state_t
replicator_state (const replicator_t *self)
{
    if (self->role == ROLE_LEAVING)
        return ADR_STATE_ONLINE_SHEDDING;
    adr_space_t space = adr_store_space (self->store);
    if (space >= ADR_SPACE_SECOND_MARK)
        return ADR_STATE_ONLINE_DEGRADED;
    bool caught_up = self->role == ROLE_MASTER
                         ? adr_store_commit (self->store) >= self->opening
                         : replicator_evidence_fresh (self) && self->confirmed > 0
                               && adr_store_applied (self->store) >= self->evidence_commit;
    if (!s_is_voter (self) || !caught_up || adr_store_missing_from (self->store) != 0 || !replicator_is_exact (self))
        return ADR_STATE_ONLINE_STANDBY;
    return space == ADR_SPACE_OK ? ADR_STATE_ONLINE_READY : ADR_STATE_ONLINE_DEGRADED;
}

void
replicator_on_ping (replicator_t *self, const adr_event_t *event, const Adr__Ping *ping)
{
    ProtobufCBinaryData unlock_set[PEERS_MAX];
    adr_position_t last = adr_store_last (self->store);
    Adr__Pong pong = ADR__PONG__INIT;
    pong.number = ping->number;
    pong.commit = adr_store_commit (self->store);
    pong.unlocked_known = self->unlocked_known;
    pong.unlocked = self->unlocked;
    pong.unlock_set = unlock_set;
    for (uint32_t i = 0; self->role != ROLE_MEMBER && i < self->peer_count; i++)
        if (self->peer[i].in_unlock_set)
            unlock_set[pong.n_unlock_set++] = adr_id_view (&self->peer[i].node);
    pong.last_term = last.term;
    pong.last_index = last.index;
    pong.applied = adr_store_applied (self->store);
    pong.state = replicator_state (self);
    pong.space = adr_store_space (self->store);
    pong.handing_over = self->role == ROLE_LEAVING;
    pong.sync = adr_store_sync (self->store);
    pong.keep_from = replicator_keep_from (self);
    if (self->role != ROLE_MEMBER)
        pong.keep_least = replicator_keep_least (self);
    self->effects->send (self->effects, event->message.from, ADR__KIND__PONG, &pong.base, s_nothing);
}

static void
s_fill_member (const replicator_t *self, const peer_t *peer, Adr__NodeStatus *status)
{
    *status = (Adr__NodeStatus) ADR__NODE_STATUS__INIT;
    bool own = peer == &self->peer[0];
    bool heard = own || (peer->heard_ns && self->now_ns - peer->heard_ns < 2 * self->settings->election_max_ns);
    status->node = adr_id_view (&peer->node);
    status->state = own ? replicator_state (self) : heard ? peer->state : ADR_STATE_OFFLINE;
    status->incarnation = peer->incarnation;
    status->boot = own ? self->environment->boot : peer->boot;
    status->last_index = own ? adr_store_last (self->store).index : peer->last_index;
    status->applied = own ? adr_store_applied (self->store) : peer->applied;
    status->voter = adr_voters_find (adr_store_voters (self->store), &peer->node, peer->incarnation) >= 0;
}

void
replicator_send_status (replicator_t *self)
{
    int64_t since = self->now_ns - self->status_ns;
    if (self->role == ROLE_MEMBER || since < (self->status_due ? S_STATUS_NS : S_STATUS_REPEAT_NS))
        return;
    Adr__NodeStatus member[PEERS_MAX], *pointer[PEERS_MAX];
    Adr__GroupStatus status = ADR__GROUP_STATUS__INIT;
    for (uint32_t i = 0; i < self->peer_count; i++) {
        s_fill_member (self, &self->peer[i], &member[i]);
        pointer[i] = &member[i];
    }
    const adr_voters_t *voters = adr_store_voters (self->store);
    status.group = adr_id_view (&self->environment->group);
    status.term = self->fence;
    status.sequence = ++self->status_sequence;
    status.master = adr_id_view (&self->environment->node);
    status.commit = adr_store_commit (self->store);
    status.unlocked = self->unlocked;
    status.unlocked_known = self->unlocked_known;
    status.member = pointer;
    status.n_member = self->peer_count;
    status.voters = voters->count;
    status.quorum = voters->quorum;
    status.leaving = self->role == ROLE_LEAVING;
    adr_address_t to = { self->environment->node, ADR_ACTOR_MAP_KEEPER };
    self->effects->send (self->effects, to, ADR__KIND__GROUP_STATUS, &status.base, s_nothing);
    self->status_ns = self->now_ns;
    self->status_due = false;
}
