/* SPDX-License-Identifier: MPL-2.0 */
/* How long clients of this node wait, whatever its role, and whether repair is to yield to them. Implements REPAIR-8.
 *
 * Of writes one entry at a time is followed, as TCP times one segment a round trip: from when it is appended until it is committed
 * (a master), or durable (a member). Of strong reads each. */

#include "actors/replicator_private.h"

#define S_RUNS_NS (5000 * ADR_MS) /* what repair has put on the disk is still felt so long after it was heard of */

static bool
s_repairs (const replicator_t *self)
{
    if (self->repair.runs_ns != 0 && self->now_ns - self->repair.runs_ns < S_RUNS_NS)
        return true;
    for (uint32_t i = 1; self->role != ROLE_MEMBER && i < self->peer_count; i++)
        if (self->peer[i].sync == ADR_SYNC_COPYING || self->peer[i].progress.parts > 0)
            return true;
    return false;
}

void
replicator_waits_appended (replicator_t *self, const adr_entry_t *entry)
{
    if (entry->kind != ADR_ENTRY_WRITE || self->waits.index != 0)
        return;
    self->waits.index = entry->index;
    self->waits.since_ns = self->now_ns;
}

void
replicator_waits_read (replicator_t *self, int64_t arrived_ns)
{
    adr_wait_meter_add (&self->waits.reads, self->now_ns, self->now_ns - arrived_ns, s_repairs (self));
}

/* Once a turn. */
void
replicator_waits_turn (replicator_t *self)
{
    if (self->waits.index == 0)
        return;
    uint64_t done = self->role == ROLE_MEMBER ? adr_store_durable (self->store) : adr_store_commit (self->store);
    if (self->waits.index > adr_store_last (self->store).index) { /* cut */
        self->waits.index = 0;
        return;
    }
    if (self->waits.index > done)
        return;
    adr_wait_meter_add (&self->waits.writes, self->now_ns, self->now_ns - self->waits.since_ns, s_repairs (self));
    self->waits.index = 0;
}

/* What this node's own clients feel. */
bool
replicator_clients_wait (const replicator_t *self)
{
    int64_t since_ns = self->waits.index ? self->waits.since_ns : ADR_NEVER;
    return adr_wait_meter_is_busy (&self->waits.writes, self->now_ns, since_ns)
           || adr_wait_meter_is_busy (&self->waits.reads, self->now_ns, ADR_NEVER);
}

/* ... or its master's, who said so lately. */
bool
replicator_is_busy (const replicator_t *self)
{
    bool said = self->waits.master_ns != 0 && self->now_ns - self->waits.master_ns < ADR_WAIT_FRESH_NS;
    return said || replicator_clients_wait (self);
}
