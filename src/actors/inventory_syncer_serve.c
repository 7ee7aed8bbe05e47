/* SPDX-License-Identifier: MPL-2.0 */
/* The source's side of repair: leaves, inventories and records of one committed moment each, for peers of the group.
 * Implements REPAIR-2 (who may be a source; an inventory is whole, with its applied index and hash). */

#include "actors/inventory_syncer_private.h"

/* [REPAIR-2] A copy that is proven; between two that differ at a checkpoint each is one for the other. [REPAIR-5] Never one
 * that is being made. */
static bool
s_is_source (const inventory_syncer_t *self, bool mend)
{
    bool comparable = self->sync == ADR_SYNC_EXACT || self->sync == ADR_SYNC_UNPROVEN;
    return (self->proven || (mend && comparable) || ADR_PLANT (REPAIR_2_ANY_SOURCE));
}

/* [REPAIR-9] In a pause only what a peer cannot read any more. */
static bool
s_may_serve (const inventory_syncer_t *self, bool mend)
{
    return s_is_source (self, mend) && !syncer_is_paused (self);
}

/* The own replicator learns at once that what its clients feel from now on may be repair's doing [REPAIR-8]. */
static void
s_note_served (inventory_syncer_t *self)
{
    bool ran = syncer_runs (self);
    self->served_ns = self->now_ns;
    if (!ran)
        syncer_tell_progress (self);
}

void
syncer_on_leaves_ask (inventory_syncer_t *self, const adr_event_t *event)
{
    const Adr__LeavesAsk *ask = (const Adr__LeavesAsk *) event->message.header;
    adr_position_t applied = { 0, 0 };
    Adr__Leaves leaves = ADR__LEAVES__INIT;
    adr_buffer_clear (&self->scratch);
    leaves.number = ask->number;
    leaves.ok = s_may_serve (self, ask->mend) && !(ask->copying && self->lossy) && adr_reader_leaves (self->reader, ask->partition, &self->scratch, &applied);
    leaves.applied = applied.index;
    leaves.busy = self->busy;
    if (leaves.ok)
        s_note_served (self);
    syncer_send (self, &event->message.from.node, ADR__KIND__LEAVES, &leaves,
                 adr_bytes (self->scratch.data, leaves.ok ? self->scratch.size : 0));
}

/* --- inventories ----------------------------------------------------------------------------------------------- */

/* The place of that asker's inventory, or of the one that was used longest ago. */
static served_t *
s_served (inventory_syncer_t *self, const adr_id_t *node, uint64_t number)
{
    served_t *oldest = &self->served[0];
    for (size_t i = 0; i < SERVED_MAX; i++) {
        served_t *served = &self->served[i];
        if (served->number == number && adr_id_equal (&served->node, node))
            return served;
        if (served->used < oldest->used)
            oldest = served;
    }
    return oldest;
}

static bool
s_make_inventory (inventory_syncer_t *self, served_t *served, const adr_event_t *event, const Adr__InventoryAsk *ask)
{
    adr_position_t applied;
    bool damaged;
    const adr_id_t *node = &event->message.from.node;
    if (event->message.payload.size != ADR_BUCKET_SET_SIZE || ask->partition > adr_reader_partitions (self->reader))
        return false;
    adr_buffer_clear (&served->rows);
    served->node = *node;
    served->number = ask->number;
    bool made = adr_reader_inventory (self->reader, ask->partition, event->message.payload.data, INVENTORY_ENOUGH,
                                      INVENTORY_MAX, &served->rows, &applied, &damaged);
    served->applied = made ? applied.index : 0;
    if (!made) {
        served->number = 0;
        if (damaged)
            syncer_tell_index (self);
    }
    return made;
}

void
syncer_on_inventory_ask (inventory_syncer_t *self, const adr_event_t *event)
{
    const Adr__InventoryAsk *ask = (const Adr__InventoryAsk *) event->message.header;
    const adr_id_t *node = &event->message.from.node;
    served_t *served = s_served (self, node, ask->number);
    bool known = served->number == ask->number && adr_id_equal (&served->node, node);
    Adr__Inventory inventory = ADR__INVENTORY__INIT;
    inventory.number = ask->number;
    inventory.ok = ask->number != 0 && s_may_serve (self, ask->mend)
                   && (ask->offset == 0 ? s_make_inventory (self, served, event, ask)
                                        : known && ask->offset <= served->rows.size);
    adr_bytes_t piece = { 0 };
    if (inventory.ok) {
        size_t size = served->rows.size - ask->offset;
        piece = adr_bytes (served->rows.data + ask->offset, size > PIECE_MAX ? PIECE_MAX : size);
        inventory.applied = served->applied;
        inventory.size = (uint32_t) served->rows.size;
        inventory.offset = ask->offset;
        inventory.purged_to = self->lossy ? 0 : self->purged_to; /* who knows of a loss is no witness */
        inventory.exact = self->sync == ADR_SYNC_EXACT;
        inventory.proven = self->proven;
        s_note_served (self);
        served->used = ++self->served_clock;
    }
    inventory.busy = self->busy;
    syncer_send (self, node, ADR__KIND__INVENTORY, &inventory, piece);
    if (inventory.ok && ask->offset + piece.size == served->rows.size) {
        adr_buffer_free (&served->rows);
        served->number = 0;
    }
}

/* --- records --------------------------------------------------------------------------------------------------- */

static void
s_collect_records (inventory_syncer_t *self, adr_bytes_t keys, Adr__Records *records)
{
    uint8_t table;
    adr_bytes_t key;
    while (self->scratch.size < PIECE_MAX && adr_wound_next (&keys, &table, &key)) {
        size_t before = self->scratch.size;
        adr_status_t status = adr_reader_record (self->reader, table, key, &self->scratch);
        if (before > 0 && self->scratch.size > PIECE_MAX + PIECE_MAX / 4) {
            self->scratch.size = before; /* a large value goes alone */
            return;
        }
        records->damaged += status == ADR_STATUS_DAMAGED;
        records->asked++;
    }
}

void
syncer_on_records_ask (inventory_syncer_t *self, const adr_event_t *event)
{
    const Adr__RecordsAsk *ask = (const Adr__RecordsAsk *) event->message.header;
    adr_position_t applied = { 0, 0 };
    Adr__Records records = ADR__RECORDS__INIT;
    adr_buffer_clear (&self->scratch);
    records.number = ask->number;
    if (ask->damaged ? s_is_source (self, ask->mend) : s_may_serve (self, ask->mend))
        s_collect_records (self, event->message.payload, &records);
    records.ok = records.asked > 0 && adr_reader_applied (self->reader, &applied);
    records.busy = self->busy;
    records.applied = applied.index; /* read after the records: none of them is newer */
    uint64_t retries = adr_reader_retries (self->reader);
    if (retries != self->retries_noted) /* [invariant 12] */
        adr_note (self->effects, ADR_LEVEL_WARNING, "a value was read again for a peer, or in vain -> look at the disk retries=%llu",
                  (unsigned long long) retries);
    self->retries_noted = retries;
    if (records.damaged)
        adr_note (self->effects, ADR_LEVEL_WARNING, "a value that a peer needs cannot be read here -> it asks another one");
    if (records.ok)
        s_note_served (self);
    syncer_send (self, &event->message.from.node, ADR__KIND__RECORDS, &records,
                 adr_bytes (self->scratch.data, self->scratch.size));
}
