/* SPDX-License-Identifier: MPL-2.0 */
/* Whom a master counts on, looked at each tick: who keeps up, who belongs to the unlock set, who becomes a voter and
 * who no longer is one, in which state it sees each, and whether it should lead at all. Implements READ-4, ELECT-7,
 * ELECT-9, ELECT-10, REPL-4, STATE-4. */

#include "actors/replicator_private.h"

#include "core/map_trust.h"

/* --- the states of the others ------------------------------------------------------------------------------------- */

static const char *
s_name (const replicator_t *self, const peer_t *peer)
{
    const adr_map_node_t *node = adr_map_node (self->map, &peer->node);
    return node ? node->name : "a node that the map does not have";
}

/* [STATE-4] What a node says of itself stands in its own log; that it is silent, or no longer, its master must say. */
static void
s_see (replicator_t *self, peer_t *peer, adr_node_state_t told, bool heard)
{
    adr_node_state_trigger_t trigger;
    adr_node_state_t next = adr_node_state_seen (peer->state, told, heard, &trigger);
    if (next == peer->state)
        return;
    adr_assert (adr_node_state_may_move (peer->state, next, trigger));
    self->moves[trigger]++;
    bool missed = trigger == ADR_TRIGGER_UNHEARD;
    if (missed || peer->missed)
        adr_note (self->effects, ADR_LEVEL_NOTE, "%s: %s -> %s: %s moves=%llu", s_name (self, peer),
                  adr_node_state_name (peer->state), adr_node_state_name (next), adr_node_state_reason (trigger),
                  (unsigned long long) self->moves[trigger]);
    peer->missed = missed;
    peer->state = next;
    self->status_due = true;
}

/* [STATE-4] Whoever was gone before this mastership began makes no move in it, and is spoken of all the same. */
static void
s_note_never_heard (replicator_t *self, peer_t *peer)
{
    if (peer->heard_ns != 0 || peer->missed || self->now_ns - self->lead_ns < 2 * self->settings->election_max_ns)
        return;
    adr_note (self->effects, ADR_LEVEL_NOTE, "%s: %s: has answered no poll of this mastership", s_name (self, peer),
              adr_node_state_name (peer->state));
    peer->missed = true;
}

/* --- what polls tell ---------------------------------------------------------------------------------------------- */

void
replicator_on_answered (replicator_t *self, const adr_event_t *event)
{
    const Adr__Answered *answered = (const Adr__Answered *) event->message.header;
    adr_id_t node = adr_id_of (answered->voter);
    peer_t *peer = replicator_peer (self, &node);
    if (self->role == ROLE_MEMBER || answered->term != self->fence || peer == NULL || answered->incarnation == 0)
        return;
    if (peer->incarnation != answered->incarnation)
        replicator_peer_reset (self, peer, answered->incarnation);
    if (!replicator_note_boot (peer, answered->boot))
        return;
    peer->heard_ns = self->now_ns;
    s_see (self, peer, (adr_node_state_t) answered->state, true);
    peer->space = answered->space <= ADR_SPACE_LAST ? (adr_space_t) answered->space : ADR_SPACE_LAST;
    if (peer->full && peer->space < ADR_SPACE_SECOND_MARK)
        replicator_on_space (self, peer);
    peer->applied = answered->applied;
    peer->sync = answered->sync <= ADR_SYNC_UNPROVEN ? (adr_sync_t) answered->sync : ADR_SYNC_COPYING;
    peer->keep_from = answered->keep_from;
    ADR_PROGRESS_COPY (&peer->progress, answered);
    peer->last_index = answered->last_index;
    if (answered->promise_ms && answered->sent_ns > peer->answered_ns) {
        peer->answered_ns = answered->sent_ns;
        peer->promise_ns = (int64_t) answered->promise_ms * ADR_MS;
    }
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

/* Voters whose copies are whole enough to acknowledge, as far as this master knows: who was not heard yet may be. */
uint32_t
replicator_able_voters (const replicator_t *self)
{
    const adr_voters_t *voters = adr_store_voters (self->store);
    uint32_t able = 0;
    for (uint32_t i = 0; i < self->peer_count; i++) {
        const peer_t *peer = &self->peer[i];
        if (adr_voters_find (voters, &peer->node, peer->incarnation) >= 0)
            able += i == 0 || peer->sync != ADR_SYNC_COPYING;
    }
    return able;
}

/* --- who keeps up ------------------------------------------------------------------------------------------------- */

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
    if (peer->probing || peer->incarnation == 0 || !replicator_heard_lately (self, peer) || peer->match < self->opening)
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
    adr_node_state_facts_t known = { .space = peer->space };
    if (adr_voters_find (adr_store_voters (self->store), &peer->node, peer->incarnation) < 0
        || !adr_node_state_has (peer->state, ADR_EFFECT_COUNTS, &known) || peer->full || peer->heard_ns == 0
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
    s_see (self, peer, peer->state, self->now_ns - peer->heard_ns < 2 * self->settings->election_max_ns);
    s_note_never_heard (self, peer);
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
    replicator_repeat (self, peer);
}

/* --- who votes ---------------------------------------------------------------------------------------------------- */

/* [TRUST-7] By which registry the voters were decided. What is further ahead of ours than registries ever get at once was no honest
 * master's: it must not keep the group as it is for ever. */
uint64_t
replicator_voters_epoch (const replicator_t *self, const adr_voters_t *voters)
{
    bool absurd = voters->map_epoch > self->map->epoch && voters->map_epoch - self->map->epoch > ADR_MAP_EPOCHS_MAX;
    return absurd ? 0 : voters->map_epoch;
}

/* [TRUST-7] By whichever is newer, this master's registry or that of the voters before. */
static void
s_propose_voters (replicator_t *self, adr_voters_t *voters, const char *why)
{
    uint64_t before = replicator_voters_epoch (self, voters);
    voters->map_epoch = self->map->epoch > before ? self->map->epoch : before;
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
        if (place < 0 || !replicator_heard_lately (self, &self->peer[i])
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

/* [TRUST-3] The registry wants it out of its group. */
static bool
s_leaves (const replicator_t *self, const adr_id_t *node)
{
    const adr_map_node_t *known = adr_map_node (self->map, node);
    return known && (known->leaving || known->evicted) && !ADR_PLANT (TRUST_3_LEAVERS_VOTE);
}

/* Those of the voters that would be left, are heard now and can acknowledge are a quorum of them. */
static bool
s_can_do_without (const replicator_t *self, const adr_voters_t *fewer)
{
    uint32_t heard = 0;
    for (uint32_t i = 0; i < self->peer_count; i++)
        heard += adr_voters_find (fewer, &self->peer[i].node, self->peer[i].incarnation) >= 0
                 && (i == 0 ? replicator_is_exact (self)
                            : replicator_heard_lately (self, &self->peer[i]) && self->peer[i].sync != ADR_SYNC_COPYING && !self->peer[i].full);
    return fewer->count > 0 && heard >= adr_quorum_needed (fewer->count, fewer->quorum);
}

/* [TRUST-3] One at a time; a master that is to leave hands over first, so that another takes it out. */
static bool
s_remove_leaving (replicator_t *self, const adr_voters_t *voters)
{
    for (uint32_t i = 0; i < voters->count; i++) {
        adr_voters_t fewer = *voters;
        if (!s_leaves (self, &voters->voter[i].node))
            continue;
        fewer.voter[i] = fewer.voter[--fewer.count];
        if (!s_can_do_without (self, &fewer))
            continue;
        if (adr_id_equal (&voters->voter[i].node, &self->environment->node))
            replicator_resign (self, "this node leaves its group", NULL);
        else
            s_propose_voters (self, &fewer, "a voter leaves");
        return true;
    }
    return false;
}

/* [TRUST-7] The group's log says that it is known who is to go: nobody takes them in again by an older registry, and the registry may
 * count on that. */
static bool
s_note_leaving (replicator_t *self, adr_voters_t *voters)
{
    bool leaves = false;
    for (uint32_t i = 0; i < self->map->node_count; i++) {
        const adr_map_node_t *node = &self->map->node[i];
        leaves |= node->leaving && !node->evicted && adr_id_equal (&node->group, &self->environment->group)
                  && adr_voters_find_node (voters, &node->id) < 0;
    }
    if (!leaves || self->map->epoch <= replicator_voters_epoch (self, voters))
        return false;
    s_propose_voters (self, voters, "who leaves is known");
    return true;
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
    uint32_t settled = 0, wanted = 1;
    const peer_t *newcomer = NULL;
    for (uint32_t i = 1; i < self->peer_count; i++) {
        const peer_t *peer = &self->peer[i];
        if (s_leaves (self, &peer->node))
            continue;
        wanted++;
        if (adr_voters_find_node (voters, &peer->node) >= 0 || !s_settled (self, peer)
            || (peer->sync != ADR_SYNC_EXACT && !ADR_PLANT (REPAIR_1_UNPROVEN_COUNTS)))
            continue;
        settled++;
        newcomer = peer;
    }
    if (newcomer == NULL || voters->count == ADR_VOTERS_MAX
        || (voters->count == 1 && wanted >= 3 && settled < 2 && !ADR_PLANT (ELECT_10_STOPS_AT_TWO)))
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
    if (s_remove_forgetful (self, &voters) || s_remove_leaving (self, &voters) || s_note_leaving (self, &voters))
        return;
    /* [TRUST-7] Whoever is taken in must not be one that a newer registry wants out; [RECOVER-8] nor one that the registry is about to
     * evict. */
    bool knows = self->map->epoch >= replicator_voters_epoch (self, &voters) || ADR_PLANT (TRUST_7_OLD_MAP_ADMITS);
    if (knows && !replicator_recovery_is_ahead (self))
        s_admit (self, &voters);
}

/* --- whether it should lead --------------------------------------------------------------------------------------- */

/* Members leave the unlock set when their disks do not keep up [READ-4]; the master is always in it. With a disk that
 * stands still it commits by the others' and would lock every record for ever [invariant 11]: so it must not lead. */
static void
s_tend_own_disk (replicator_t *self)
{
    if (replicator_leads (self) && self->now_ns - self->own_waits_ns > self->settings->write_timeout_ns / 2) {
        ADR_MARK ("a master's own disk stands still");
        replicator_resign (self, "the own disk does not keep up", NULL);
    }
}

/* No other master would commit more. */
bool
replicator_waits_for_space (const replicator_t *self)
{
    const adr_voters_t *voters = adr_store_voters (self->store);
    uint32_t able = 0, full = 0;
    for (uint32_t i = 0; i < self->peer_count; i++) {
        const peer_t *peer = &self->peer[i];
        if (adr_voters_find (voters, &peer->node, peer->incarnation) < 0)
            continue;
        bool copies = peer->sync == ADR_SYNC_COPYING; /* it waits for its copy, as another one for space */
        able += i == 0 || (replicator_heard_lately (self, peer) && !peer->full && !copies);
        full += peer->full || copies;
    }
    return full > 0 && able < adr_quorum_needed (voters->count, voters->quorum);
}

/* [ELECT-9] Alive in parts only: a quorum answers the polls, and yet nothing is committed, or could be. Appends go another
 * way than polls, and with them what members relay: a master that they do not reach would rule a group that cannot
 * write. */
static void
s_tend_standstill (replicator_t *self)
{
    const adr_settings_t *settings = self->settings;
    int64_t patience_ns = 2 * settings->election_max_ns;
    if (!replicator_leads (self) || !replicator_quorum_answers (self, self->now_ns - settings->election_min_ns))
        return;
    if (self->now_ns - self->commit_moved_ns > settings->election_max_ns && !ADR_PLANT (ELECT_9_STALLED_MASTER_STAYS))
        replicator_resign (self, "commit stands still although a quorum answers", NULL);
    if (self->now_ns - self->lead_ns > patience_ns && !replicator_quorum_confirms (self, self->now_ns - patience_ns)
        && !ADR_PLANT (ELECT_9_SILENT_LANE)) {
        ADR_MARK ("a master's appends do not come through");
        replicator_resign (self, "a quorum answers polls and no appends", NULL);
    }
}

void
replicator_tend_members (replicator_t *self)
{
    replicator_forget_evicted (self);
    for (uint32_t i = 1; i < self->peer_count; i++)
        s_tend_member (self, &self->peer[i]);
    uint32_t at = self->stamp_count++ % STAMPS;
    self->stamp[at].at_ns = self->now_ns;
    self->stamp[at].last_index = adr_store_last (self->store).index;
    s_tend_voters (self);
    if (adr_store_commit (self->store) == adr_store_last (self->store).index || replicator_waits_for_space (self))
        self->commit_moved_ns = self->now_ns;
    s_tend_standstill (self);
    s_tend_own_disk (self);
}
