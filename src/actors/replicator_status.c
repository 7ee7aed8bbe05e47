/* SPDX-License-Identifier: MPL-2.0 */
/* What a replicator tells of itself: voters and the log's end to its election, its state to the health-checker, and, as
 * a master, its group's status to the map-keeper. */

#include "actors/replicator_private.h"

#define S_SLOW_TIMEOUTS 2                  /* maximum election timeouts for which a disk that was slow must be quick */
#define S_STATUS_REPEAT_NS (1000 * ADR_MS) /* a status is repeated this often, so that a lost one is made good */

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
    adr_node_state_facts_t facts = replicator_observe (self);
    if (ADR_PLANT (STORE_5_DAMAGED_STANDS))
        facts.entries_missing = false;
    /* One that only is to be proven may lead: if nobody else can, nobody would make the checkpoint that proves it. */
    facts.syncing = adr_store_sync (self->store) == ADR_SYNC_COPYING && !ADR_PLANT (REPAIR_5_SICK_STANDS);
    /* [PART-4] Behind a copy nobody knows the log time that a mastership goes on from before there is an entry. */
    facts.syncing |= last.index != 0 && last.index == adr_store_log_start (self->store).index;
    bool may_stand = adr_node_state_has (self->state, ADR_EFFECT_STANDS, &facts);
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
    told.doubtful = !replicator_is_exact (self);
    replicator_tell_election (self, ADR__KIND__VOTERS, &told.base);
    self->told.voters_at = voters->at;
    self->told.last_term = last.term;
    self->told.fence = self->fence;
    self->told.at_ns = self->now_ns;
    self->told.may_stand = may_stand;
}

/* However it came here: as an entry, or as a copy that mends this one. */
void
replicator_tell_registry (replicator_t *self)
{
    adr_bytes_t key = adr_bytes (ADR_REGISTRY_KEY, strlen (ADR_REGISTRY_KEY));
    adr_record_t record;
    uint64_t applied = adr_store_applied (self->store);
    if (self->environment->type != ADR_NODE_PKI || applied == self->registry_looked)
        return;
    self->registry_looked = applied;
    if (adr_store_get (self->store, ADR_TABLE_REGISTRY, key, false, &record) != ADR_STATUS_OK || record.deleted
        || adr_version_compare (&record.version, &self->registry_told) == 0
        || adr_store_get (self->store, ADR_TABLE_REGISTRY, key, true, &record) != ADR_STATUS_OK)
        return;
    self->registry_told = record.version;
    Adr__RegistryNoted noted = ADR__REGISTRY_NOTED__INIT;
    adr_address_t to = { self->environment->node, ADR_ACTOR_MAP_KEEPER };
    self->effects->send (self->effects, to, ADR__KIND__REGISTRY_NOTED, &noted.base, record.value);
}

/* --- its state ---------------------------------------------------------------------------------------------------- */

/* How long what was appended waits for this node's disk. */
static void
s_tend_disk (replicator_t *self)
{
    if (adr_store_durable (self->store) >= self->own_waits_index) {
        self->own_waits_index = adr_store_last (self->store).index;
        self->own_waits_ns = self->now_ns;
    }
    if (self->now_ns - self->own_waits_ns > self->settings->election_max_ns)
        self->slow_until_ns = self->now_ns + S_SLOW_TIMEOUTS * self->settings->election_max_ns;
}

static void
s_tend_copy (replicator_t *self)
{
    bool exact = replicator_is_exact (self);
    if (exact && self->repair.doubted)
        self->repair.mended_ns = self->now_ns;
    self->repair.doubted = !exact;
}

/* A newcomer settles before its master makes it a voter [ELECT-7], a copy that was made anew once it is exact. */
adr_node_state_facts_t
replicator_observe (const replicator_t *self)
{
    bool leads = replicator_leads (self);
    const adr_map_node_t *own = adr_map_node (self->map, &self->environment->node);
    return (adr_node_state_facts_t){
        .space = adr_store_space (self->store),
        .voter = s_is_voter (self),
        .caught_up = leads ? adr_store_commit (self->store) >= self->opening
                           : self->confirmed > 0 && adr_store_applied (self->store) >= self->evidence_commit,
        .settled = self->repair.mended_ns == 0 || self->now_ns - self->repair.mended_ns >= self->settings->election_max_ns,
        .evidence_lost = !leads && !replicator_evidence_fresh (self),
        .entries_missing = adr_store_missing_from (self->store) != 0,
        .syncing = !replicator_is_exact (self),
        .slow = self->now_ns < self->slow_until_ns,
        .leaving = self->role == ROLE_LEAVING,
        .evicted = own != NULL && own->evicted,
    };
}

/* [STATE-1] by the table, [STATE-3] said once and told. */
void
replicator_tend_state (replicator_t *self)
{
    adr_node_state_trigger_t trigger;
    s_tend_disk (self);
    s_tend_copy (self);
    adr_node_state_facts_t facts = replicator_observe (self);
    adr_node_state_t next = adr_node_state_next (self->state, &facts, &trigger);
    if (next == self->state)
        return;
    adr_assert (adr_node_state_may_move (self->state, next, trigger));
    adr_note (self->effects, ADR_LEVEL_NOTE, "%s -> %s: %s moves=%llu", adr_node_state_name (self->state),
              adr_node_state_name (next), adr_node_state_reason (trigger), (unsigned long long) ++self->moves[trigger]);
    self->state = next;
    self->status_due = true;
}

/* --- what its health-checker and map-keeper hear ------------------------------------------------------------------ */

void
replicator_on_ping (replicator_t *self, const adr_event_t *event, const Adr__Ping *ping)
{
    ProtobufCBinaryData unlock_set[PEERS_MAX];
    adr_position_t last = adr_store_last (self->store);
    Adr__Pong pong = ADR__PONG__INIT;
    replicator_tend_state (self); /* [STATE-2] what is told is true now, not at the last turn's end */
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
    pong.state = self->state;
    pong.space = adr_store_space (self->store);
    pong.handing_over = self->role == ROLE_LEAVING;
    ADR_PROGRESS_COPY (&pong, &self->repair.progress);
    pong.sync = adr_store_sync (self->store);
    pong.keep_from = replicator_keep_from (self);
    if (self->role != ROLE_MEMBER)
        pong.keep_least = replicator_keep_least (self);
    self->effects->send (self->effects, event->message.from, ADR__KIND__PONG, &pong.base, s_nothing);
}

/* [TRUST-3] Whoever is told to be no voter is none of the committed voters either: an entry that takes it out may be cut yet. */
static bool
s_shown_as_voter (const replicator_t *self, const peer_t *peer)
{
    if (adr_voters_find (adr_store_voters (self->store), &peer->node, peer->incarnation) >= 0)
        return true;
    return self->voters_index
           && (self->voters_shown.count == 0 ? peer->incarnation != 0
                                             : adr_voters_find (&self->voters_shown, &peer->node, peer->incarnation) >= 0);
}

static void
s_fill_member (const replicator_t *self, const peer_t *peer, Adr__NodeStatus *status)
{
    *status = (Adr__NodeStatus) ADR__NODE_STATUS__INIT;
    bool own = peer == &self->peer[0];
    status->node = adr_id_view (&peer->node);
    status->state = own ? self->state : peer->state;
    status->incarnation = peer->incarnation;
    const adr_progress_t *progress = own ? &self->repair.progress : &peer->progress;
    ADR_PROGRESS_COPY (status, progress);
    if (own)
        status->sync = adr_store_sync (self->store);
    status->boot = own ? self->environment->boot : peer->boot;
    status->last_index = own ? adr_store_last (self->store).index : peer->last_index;
    status->applied = own ? adr_store_applied (self->store) : peer->applied;
    status->voter = s_shown_as_voter (self, peer);
}

/* [STATE-3] A changed one is told within a poll, tick and all, and no more than twice in one. */
void
replicator_send_status (replicator_t *self)
{
    int64_t since = self->now_ns - self->status_ns;
    if (self->role == ROLE_MEMBER || since < (self->status_due ? self->settings->poll_ns / 2 : S_STATUS_REPEAT_NS))
        return;
    const adr_voters_t *voters = adr_store_voters (self->store);
    if (self->voters_index == 0)
        self->voters_shown = *voters;
    Adr__NodeStatus member[PEERS_MAX], *pointer[PEERS_MAX];
    Adr__GroupStatus status = ADR__GROUP_STATUS__INIT;
    for (uint32_t i = 0; i < self->peer_count; i++) {
        s_fill_member (self, &self->peer[i], &member[i]);
        pointer[i] = &member[i];
    }
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
    status.map_epoch = self->voters_index == 0 ? voters->map_epoch : self->voters_shown.map_epoch;
    status.leaving = self->role == ROLE_LEAVING;
    adr_address_t to = { self->environment->node, ADR_ACTOR_MAP_KEEPER };
    self->effects->send (self->effects, to, ADR__KIND__GROUP_STATUS, &status.base, s_nothing);
    self->status_ns = self->now_ns;
    self->status_due = false;
}
