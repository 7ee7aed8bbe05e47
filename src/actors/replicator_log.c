/* SPDX-License-Identifier: MPL-2.0 */
/* A node's own log, whatever its role: what it says at the start, what of it is applied, and what of it cannot be read
 * any more. Implements REPL-2 (how far a member may apply), STORE-5 at run time, STORE-7. */

#include "actors/replicator_private.h"

#include <stdio.h>

#define S_EPOCHS_AHEAD 1024 /* of what the registry says: recoveries that this node has not heard of */
#define S_REREAD_FIRST_NS (100 * ADR_MS) /* what the disk refused is tried again */
#define S_STILL_LOST_NS (5000 * ADR_MS)  /* what is missing is spoken of this often */
#define S_REREAD_NS (1000 * ADR_MS)      /* a bad sector may hold the disk up for long */

/* --- at the start ------------------------------------------------------------------------------------------------- */

/* Calls `each` for the entries from `first` on to the log's end. False if some cannot be read, and were passed by. */
bool
replicator_each_entry (replicator_t *self, uint64_t first, replicator_entry_fn *each)
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

/* [PART-1] It never falls from one entry of the log to the next: a master whose registry is older than its predecessor's was would
 * write versions that look older than what they replace. */
void
replicator_learn_epoch (replicator_t *self, uint32_t epoch)
{
    if (self->epoch < epoch)
        self->epoch = epoch;
}

uint32_t
replicator_epoch_max (const replicator_t *self)
{
    return adr_map_epoch (self->map, &self->environment->group) + S_EPOCHS_AHEAD;
}

void
replicator_note_entry (replicator_t *self, const adr_entry_t *entry, size_t size)
{
    (void) size;
    if (entry->kind == ADR_ENTRY_CHECKPOINT)
        self->repair.checkpoint_index = entry->index;
    if (self->repair.ids_unknown)
        adr_request_table_raise_horizon (self->requests, entry->time_ms);
    self->repair.ids_unknown = false;
    s_note_origin (self, entry->index, entry->request, entry->time_ms);
}

static void
s_note_entry_at_start (replicator_t *self, const adr_entry_t *entry, size_t size)
{
    replicator_note_entry (self, entry, size);
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
        return replicator_each_entry (self, start + 1, s_note_entry_at_start);
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
    self->repair.log_start = adr_store_log_start (self->store).index;
    self->repair.ids_unknown = self->repair.log_start != 0 && self->repair.log_start == adr_store_last (self->store).index;
    self->commit_heard = adr_store_commit (self->store);
    self->evidence_commit = self->evidence_commit_next = UINT64_MAX;
}

/* --- entries that cannot be read any more ------------------------------------------------------------------------- */

/* An entry of our log could not be read. The disk may only have stuttered: it is tried again before it is given up. */
void
replicator_note_unreadable (replicator_t *self, uint64_t index)
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
    } else if (missing && self->now_ns - self->damage_noted_ns > S_STILL_LOST_NS)
        replicator_note_damage (self, "entries are still missing here, and nobody has sent them yet");
    if (self->unreadable != 0 && adr_store_lose (self->store, self->unreadable))
        s_lose (self);
    self->unreadable = 0;
}

/* --- applying ----------------------------------------------------------------------------------------------------- */

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
            replicator_note_unreadable (self, adr_store_applied (self->store) + 1);
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
        replicator_commit (self);
        replicator_unlock (self);
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
