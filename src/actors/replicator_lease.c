/* SPDX-License-Identifier: MPL-2.0 */
/* Until when a master may be sure that nobody else was elected: leases, or polls that a quorum answered [ELECT-1,
 * READ-1, READ-6]. */

#include "actors/replicator_private.h"

/* The instant that a majority of the newest voters reaches with what `value` gives for each; our own node, if it is a
 * voter, always reaches it. */
static int64_t
s_majority_instant (const replicator_t *self, int64_t (*value) (const replicator_t *, const peer_t *))
{
    const adr_voters_t *voters = adr_store_voters (self->store);
    int64_t instant[ADR_VOTERS_MAX];
    uint32_t count = 0;
    for (uint32_t i = 0; i < voters->count; i++) {
        int64_t reached = 0;
        for (uint32_t k = 0; k < self->peer_count; k++) {
            const peer_t *peer = &self->peer[k];
            if (adr_id_equal (&peer->node, &voters->voter[i].node)
                && peer->incarnation == voters->voter[i].incarnation)
                reached = k == 0 ? ADR_NEVER : value (self, peer);
        }
        uint32_t at = count++;
        for (; at > 0 && instant[at - 1] < reached; at--)
            instant[at] = instant[at - 1];
        instant[at] = reached;
    }
    return count == 0 ? 0 : instant[adr_majority (count) - 1];
}

/* [ELECT-1] from when the poll was sent, not from when its answer came; nine tenths, because two clocks may each be
 * 5 % off. */
static int64_t
s_lease_of (const replicator_t *self, const peer_t *peer)
{
    (void) self;
    if (peer->answered_ns == 0)
        return 0;
    if (ADR_PLANT (ELECT_1_LEASE_FROM_RECEIPT))
        return peer->heard_ns + peer->promise_ns;
    return peer->answered_ns + peer->promise_ns / 10 * 9;
}

static int64_t
s_answered (const replicator_t *self, const peer_t *peer)
{
    (void) self;
    return peer->answered_ns;
}

bool
replicator_quorum_answers (const replicator_t *self, int64_t since_ns)
{
    return s_majority_instant (self, s_answered) > since_ns;
}

static int64_t
s_confirmed (const replicator_t *self, const peer_t *peer)
{
    (void) self;
    return peer->confirmed_ns;
}

bool
replicator_quorum_confirms (const replicator_t *self, int64_t since_ns)
{
    return s_majority_instant (self, s_confirmed) > since_ns;
}

bool
replicator_lease_valid (const replicator_t *self)
{
    if (!replicator_leads (self) && !(ADR_PLANT (ELECT_8_LEASE_AFTER_HANDOVER) && self->role == ROLE_LEAVING))
        return false;
    return s_majority_instant (self, s_lease_of) > self->now_ns;
}

/* [READ-1] nothing before the opening entry is committed; [READ-6] `quorum` trusts no lease. */
bool
replicator_may_read (const replicator_t *self, int64_t arrived_ns)
{
    if (self->role == ROLE_MEMBER)
        return false;
    if (!ADR_PLANT (READ_1_BEFORE_OPENING) && adr_store_commit (self->store) < self->opening)
        return false;
    if (self->settings->reads_by_quorum && !ADR_PLANT (READ_6_READS_BY_LEASE))
        return replicator_leads (self) && replicator_quorum_answers (self, arrived_ns);
    return replicator_lease_valid (self);
}
