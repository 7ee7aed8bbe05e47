/* SPDX-License-Identifier: MPL-2.0 */
/* One partition after the other: the peer's leaves against ours, the inventory of each bucket that differs, the records
 * that this copy lacks. Implements REPAIR-2 (an inventory is believed only if it hashes to what it says), REPAIR-3 (the
 * newer version wins; who is merely behind is not wrong), REPAIR-8 (it yields to clients). */

#include "actors/inventory_syncer_private.h"

#include <stdio.h>

static bool
s_mends (const inventory_syncer_t *self)
{
    return self->mode == MODE_MENDING;
}

/* --- window ---------------------------------------------------------------------------------------------------- */

static bool
s_is_out (const lane_t *lane)
{
    return lane->stage != LANE_IDLE && lane->stage != LANE_WAITING;
}

bool
syncer_may_ask (const inventory_syncer_t *self, uint64_t bytes)
{
    uint64_t comes = 0, waits = self->place.size + self->place_bytes - self->admitted_bytes;
    for (size_t i = 0; i < LANES; i++)
        if (s_is_out (&self->lane[i]))
            comes += self->lane[i].expects;
    return self->credit > (int64_t) comes && (comes + waits == 0 || comes + waits + bytes <= self->window);
}

bool
syncer_waits (const inventory_syncer_t *self)
{
    for (size_t i = 0; i < LANES; i++)
        if (self->lane[i].stage == LANE_WAITING)
            return true;
    return false;
}

/* What one answer may bring: no more than the window, so that the least window is one. */
static uint64_t
s_piece (const inventory_syncer_t *self)
{
    return self->window < PIECE_MAX ? self->window : PIECE_MAX;
}

/* [REPAIR-8] Once a round: half the window if anybody was busy in it, else a unit more, or twice as much until anybody was for
 * the first time. */
static void
s_answer_came (inventory_syncer_t *self, const lane_t *lane, uint64_t bytes, bool busy)
{
    int64_t round_ns = self->now_ns - lane->sent_ns > ROUND_NS ? self->now_ns - lane->sent_ns : ROUND_NS;
    self->pulled_bytes += bytes;
    self->credit -= (int64_t) bytes;
    self->round_busy |= (busy || self->busy) && !ADR_PLANT (REPAIR_8_NEVER_YIELDS);
    if (self->now_ns - self->round_ns < round_ns)
        return;
    if (self->round_busy)
        ADR_MARK ("repair yields to clients");
    self->was_busy |= self->round_busy;
    if (self->round_busy)
        self->window /= 2;
    else
        self->window += self->was_busy ? WINDOW_UNIT : self->window;
    if (self->window < WINDOW_MIN)
        self->window = WINDOW_MIN;
    if (self->window > WINDOW_MAX)
        self->window = WINDOW_MAX;
    self->round_ns = self->now_ns;
    self->round_busy = false;
}

static void
s_ask (inventory_syncer_t *self, lane_t *lane, lane_stage_t stage, uint16_t kind, const void *header, adr_bytes_t payload)
{
    lane->stage = stage;
    lane->sent_ns = self->now_ns;
    syncer_send (self, &self->group.node[lane->peer], kind, header, payload);
}

void
syncer_lane_end (lane_t *lane)
{
    adr_buffer_free (&lane->inventory);
    adr_buffer_free (&lane->wanted);
    adr_buffer_free (&lane->doubts);
    *lane = (lane_t){ .stage = LANE_IDLE };
}

void
syncer_lane_begin (inventory_syncer_t *self, lane_t *lane, uint32_t partition, int peer)
{
    Adr__LeavesAsk ask = ADR__LEAVES_ASK__INIT;
    lane->partition = partition;
    lane->peer = peer;
    lane->number = ask.number = ++self->number;
    ask.partition = partition;
    ask.copying = self->mode == MODE_COPYING;
    ask.mend = lane->anybody = syncer_asks_anybody (self);
    lane->expects = adr_reader_buckets (self->reader, partition) * HASH_SIZE;
    s_ask (self, lane, LANE_LEAVES, ADR__KIND__LEAVES_ASK, &ask, adr_bytes (NULL, 0));
}

/* The lane that waits for that answer of that peer, or NULL. */
static lane_t *
s_lane_of (inventory_syncer_t *self, const adr_event_t *event, uint64_t number, lane_stage_t stage)
{
    for (size_t i = 0; i < LANES; i++) {
        lane_t *lane = &self->lane[i];
        if (lane->stage == stage && lane->number == number
            && adr_id_equal (&self->group.node[lane->peer], &event->message.from.node))
            return lane;
    }
    return NULL;
}

static void
s_give_up (inventory_syncer_t *self, lane_t *lane, const char *why)
{
    syncer_blame (self, lane->peer, why);
    syncer_part_done (self, lane, false);
}

/* --- records --------------------------------------------------------------------------------------------------- */

static size_t
s_wanted_row (const lane_t *lane, size_t at, adr_inventory_row_t *row)
{
    size_t size = adr_inventory_row_get (row, adr_bytes (lane->wanted.data + at, lane->wanted.size - at));
    adr_assert (size != 0); /* made here */
    return size;
}

/* As many keys as one answer will hold. */
static uint64_t
s_keys_of_one_answer (inventory_syncer_t *self, lane_t *lane)
{
    uint64_t expected = 0;
    lane->asked = 0;
    adr_buffer_clear (&self->scratch);
    for (size_t at = lane->wanted_at; at < lane->wanted.size && self->scratch.size < PIECE_MAX;) {
        adr_inventory_row_t row;
        at += s_wanted_row (lane, at, &row);
        uint64_t size = ADR_INVENTORY_HEADER_SIZE + row.key.size + row.value_size;
        if (expected > 0 && expected + size > s_piece (self))
            break;
        expected += size;
        lane->asked++;
        adr_wound_put (&self->scratch, row.table, row.key);
    }
    return expected;
}

/* True if the lane may ask now; else it waits. */
static bool
s_may_ask_next (inventory_syncer_t *self, lane_t *lane, lane_stage_t next)
{
    lane->stage = LANE_WAITING; /* what it asked is answered, and does not count any more */
    lane->next = next;
    return syncer_may_ask (self, s_piece (self));
}

static void
s_ask_records (inventory_syncer_t *self, lane_t *lane)
{
    if (!s_may_ask_next (self, lane, LANE_RECORDS))
        return;
    Adr__RecordsAsk ask = ADR__RECORDS_ASK__INIT;
    lane->expects = s_keys_of_one_answer (self, lane);
    lane->number = ask.number = ++self->number;
    ask.mend = lane->anybody;
    s_ask (self, lane, LANE_RECORDS, ADR__KIND__RECORDS_ASK, &ask, adr_bytes (self->scratch.data, self->scratch.size));
}

/* --- inventories ----------------------------------------------------------------------------------------------- */

static void
s_ask_inventory (inventory_syncer_t *self, lane_t *lane, uint32_t offset)
{
    Adr__InventoryAsk ask = ADR__INVENTORY_ASK__INIT;
    lane->offset = offset;
    if (!s_may_ask_next (self, lane, LANE_INVENTORY))
        return;
    lane->expects = PIECE_MAX;
    if (offset == 0) {
        adr_buffer_clear (&lane->inventory);
        lane->number = ++self->number;
    }
    ask.number = lane->number;
    ask.partition = lane->partition;
    ask.offset = offset;
    ask.mend = lane->anybody;
    s_ask (self, lane, LANE_INVENTORY, ADR__KIND__INVENTORY_ASK, &ask, adr_bytes (lane->differ, sizeof lane->differ));
}

void
syncer_lanes_go_on (inventory_syncer_t *self)
{
    for (size_t i = 0; i < LANES; i++) {
        lane_t *lane = &self->lane[i];
        if (lane->stage == LANE_WAITING && lane->next == LANE_RECORDS)
            s_ask_records (self, lane);
        else if (lane->stage == LANE_WAITING)
            s_ask_inventory (self, lane, lane->offset);
    }
}

/* Goes on to the buckets that are not compared yet. */
static void
s_next_buckets (inventory_syncer_t *self, lane_t *lane)
{
    static const uint8_t s_none[ADR_BUCKET_SET_SIZE];
    bool compared = memcmp (lane->differ, s_none, sizeof s_none) == 0;
    if (!compared || syncer_ask_second (self, lane)) {
        s_ask_inventory (self, lane, 0);
        return;
    }
    syncer_leave_doubts (self, lane);
    if (lane->lacking)
        s_give_up (self, lane, "not all of its records can be read");
    else
        syncer_part_done (self, lane, true);
}

void
syncer_on_leaves (inventory_syncer_t *self, const adr_event_t *event)
{
    const Adr__Leaves *leaves = (const Adr__Leaves *) event->message.header;
    adr_bytes_t theirs = event->message.payload;
    adr_position_t applied;
    lane_t *lane = s_lane_of (self, event, leaves->number, LANE_LEAVES);
    if (lane == NULL)
        return;
    s_answer_came (self, lane, theirs.size, leaves->busy);
    if (!leaves->ok || !syncer_may_be_applied (self, leaves->applied)
        || theirs.size != adr_reader_buckets (self->reader, lane->partition) * HASH_SIZE) {
        s_give_up (self, lane, "it is no source now");
        return;
    }
    if (self->mode == MODE_COPYING && leaves->applied < self->log_start) {
        s_give_up (self, lane, "its index ends before the log starts");
        return;
    }
    if (!lane->anybody)
        self->source_ns = self->now_ns;
    syncer_see_applied (self, lane->peer, leaves->applied, true);
    adr_buffer_clear (&self->scratch);
    bool known = adr_reader_leaves (self->reader, lane->partition, &self->scratch, &applied); /* else all are compared */
    memset (lane->differ, 0, sizeof lane->differ);
    for (uint32_t i = 0; i < theirs.size / HASH_SIZE; i++)
        if (!known || memcmp (self->scratch.data + i * HASH_SIZE, theirs.data + i * HASH_SIZE, HASH_SIZE) != 0)
            lane->differ[i / 8] |= (uint8_t) (1u << i % 8);
    if (self->doubts && s_mends (self)) /* another one's word may have changed without its leaf */
        (void) adr_reader_doubts (self->reader, lane->partition, lane->differ);
    s_next_buckets (self, lane);
}

/* [REPAIR-2] Its rows ascend, belong to that bucket, and hash to what it says. */
static bool
s_section_is_true (const inventory_syncer_t *self, const lane_t *lane, const adr_inventory_section_t *section)
{
    uint8_t sum[HASH_SIZE] = { 0 }, order[16], before[16] = { 0 };
    uint32_t slice = adr_reader_slice (self->reader, lane->partition, section->bucket);
    adr_bytes_t rest = section->rows;
    if (section->bucket >= adr_reader_buckets (self->reader, lane->partition)
        || !(lane->differ[section->bucket / 8] >> section->bucket % 8 & 1)) /* not asked for */
        return false;
    for (bool first = true; rest.size; first = false) {
        adr_inventory_row_t row;
        size_t size = adr_inventory_row_get (&row, rest);
        if (size == 0 || !syncer_may_be_version (self, &row.version)
            || adr_reader_order (self->reader, row.table, row.key, order) != slice
            || (!first && memcmp (before, order, sizeof order) >= 0))
            return false;
        memcpy (before, order, sizeof before);
        adr_reader_hash_row (self->reader, &row, sum);
        rest = adr_bytes (rest.data + size, rest.size - size);
    }
    return memcmp (sum, section->hash, HASH_SIZE) == 0 || ADR_PLANT (REPAIR_2_INVENTORY_UNCHECKED);
}

/* [invariant 12] What is mended is named. */
static void
s_note_row (inventory_syncer_t *self, const adr_inventory_row_t *row, const char *what)
{
    char key[65];
    size_t size = row->key.size < sizeof key - 1 ? row->key.size : sizeof key - 1;
    for (size_t i = 0; i < size; i++)
        key[i] = row->key.data[i] > ' ' && row->key.data[i] < 127 ? (char) row->key.data[i] : '.';
    key[size] = '\0';
    adr_note (self->effects, ADR_LEVEL_WARNING, "record %u/%s %s version=%u.%llu.%llu", row->table,
              key, what, row->version.epoch, (unsigned long long) row->version.term,
              (unsigned long long) row->version.index);
}

/* What this copy lacks, or has older. [REPAIR-2] At or below our own horizon it may be what was purged here, and comes back from
 * who slept. A copy in doubt believes one that is exact: that has purged in time. */
static void
s_want (inventory_syncer_t *self, lane_t *lane, const adr_inventory_row_t *row, bool absent)
{
    bool believed = lane->exact && self->sync != ADR_SYNC_EXACT;
    bool perhaps_purged = s_mends (self) && !believed && absent && row->version.index <= self->purged_to;
    if (perhaps_purged && row->deleted)
        return; /* a tombstone that is gone here is gone for good */
    if (perhaps_purged) {
        syncer_doubt_missing (self, lane, row);
        return;
    }
    if (s_mends (self)) {
        self->mended_records++;
        s_note_row (self, row, absent ? "is missing here -> taken from the peer"
                                      : "is older here, or cannot be read -> taken from the peer");
    }
    syncer_take (self, lane, row);
}

/* [REPAIR-3] This copy should have the peer's row if it has less, or cannot read what it has, and has applied past it. */
static void
s_compare_row (inventory_syncer_t *self, lane_t *lane, const adr_inventory_row_t *row, uint64_t own_applied)
{
    adr_inventory_row_t own;
    adr_status_t status = adr_reader_row (self->reader, row->table, row->key, &own);
    int order = status == ADR_STATUS_OK ? adr_version_compare (&own.version, &row->version) : -1;
    bool other = order == 0 && memcmp (own.digest, row->digest, sizeof own.digest) != 0;
    if (other)
        s_note_row (self, row, "has the same version and another value here -> damaged, nothing is overwritten");
    else if (order == 0 && (own.doubt || row->doubt))
        syncer_compare_doubt (self, lane, &own, row);
    if (order >= 0 || (s_mends (self) && row->version.index > own_applied && !ADR_PLANT (REPAIR_3_BEHIND_IS_WRONG)))
        return;
    if (row->doubt)
        syncer_meet_doubt (self, lane, row, status == ADR_STATUS_NOT_FOUND);
    else
        s_want (self, lane, row, status == ADR_STATUS_NOT_FOUND);
}

static void
s_compare_rows (inventory_syncer_t *self, lane_t *lane, adr_bytes_t rest)
{
    adr_position_t own = { 0, 0 };
    if (!adr_reader_applied (self->reader, &own))
        return;
    while (rest.size) {
        adr_inventory_row_t row;
        size_t size = adr_inventory_row_get (&row, rest);
        s_compare_row (self, lane, &row, own.index);
        rest = adr_bytes (rest.data + size, rest.size - size);
        if (self->place.size > PLACE_MAX)
            syncer_flush_places (self);
    }
}

/* These buckets are compared; what they lack is pulled before the next ones. False if one is not what it says. */
static bool
s_inventory_is_here (inventory_syncer_t *self, lane_t *lane, uint64_t applied, uint64_t purged_to)
{
    uint64_t horizon = purged_to < applied ? purged_to : applied;
    adr_bytes_t rest = adr_bytes (lane->inventory.data, lane->inventory.size);
    adr_buffer_clear (&lane->wanted);
    lane->wanted_at = 0;
    while (rest.size) {
        adr_inventory_section_t section;
        size_t size = adr_inventory_section_get (&section, rest);
        if (size == 0 || !(lane->differ[section.bucket / 8] >> section.bucket % 8 & 1) /* not asked for */
            || !s_section_is_true (self, lane, &section))
            return false;
        lane->differ[section.bucket / 8] &= (uint8_t) ~(1u << section.bucket % 8);
        if (lane->doubting)
            syncer_settle_doubts (self, lane, &section, horizon);
        else {
            s_compare_rows (self, lane, section.rows);
            syncer_doubt_rows (self, lane, &section, horizon);
        }
        rest = adr_bytes (rest.data + size, rest.size - size);
    }
    return true;
}

static bool
s_is_piece (const inventory_syncer_t *self, const lane_t *lane, const Adr__Inventory *inventory, size_t size)
{
    size_t have = lane->inventory.size;
    return inventory->ok && syncer_may_be_applied (self, inventory->applied)
           && inventory->size >= ADR_SECTION_HEADER_SIZE
           && inventory->size <= INVENTORY_MAX + INVENTORY_ENOUGH + ADR_SECTION_HEADER_SIZE * ADR_BUCKET_SET_SIZE * 8
           && size > 0 && size <= inventory->size - have;
}

void
syncer_on_inventory (inventory_syncer_t *self, const adr_event_t *event)
{
    const Adr__Inventory *inventory = (const Adr__Inventory *) event->message.header;
    adr_bytes_t piece = event->message.payload;
    lane_t *lane = s_lane_of (self, event, inventory->number, LANE_INVENTORY);
    if (lane == NULL || (inventory->ok && inventory->offset != lane->inventory.size))
        return; /* a piece that came twice */
    s_answer_came (self, lane, piece.size, inventory->busy);
    if (!s_is_piece (self, lane, inventory, piece.size)) {
        s_give_up (self, lane, "it gives no inventory");
        return;
    }
    adr_buffer_append (&lane->inventory, piece.data, piece.size);
    if (lane->inventory.size < inventory->size) {
        s_ask_inventory (self, lane, (uint32_t) lane->inventory.size);
        return;
    }
    syncer_see_applied (self, lane->peer, inventory->applied, false);
    lane->exact = inventory->exact;
    lane->proven = inventory->proven;
    lane->applied = inventory->applied;
    if (!s_inventory_is_here (self, lane, inventory->applied, inventory->purged_to)) {
        ADR_MARK ("an inventory is false");
        adr_note (self->effects, ADR_LEVEL_WARNING, "an inventory of partition %u does not hash to its leaves -> look at that peer false=%llu",
                  lane->partition, (unsigned long long) ++self->false_inventories);
        s_give_up (self, lane, "its inventory does not hash to what it says");
        return;
    }
    syncer_flush_drops (self);
    if (lane->wanted.size)
        s_ask_records (self, lane);
    else
        s_next_buckets (self, lane);
}

/* --- what comes ------------------------------------------------------------------------------------------------ */

static size_t
s_record_size (adr_bytes_t rest)
{
    adr_inventory_row_t row;
    size_t size = adr_inventory_row_get (&row, rest);
    return size == 0 || rest.size - size < row.value_size ? 0 : size + row.value_size;
}

/* A value that cannot be read here is replaced by that of the very version that the row names, and no other [REPAIR-3]. */
static bool
s_is_wound (inventory_syncer_t *self, const adr_inventory_row_t *row)
{
    adr_inventory_row_t own;
    return adr_reader_row (self->reader, row->table, row->key, &own) == ADR_STATUS_OK && own.doubt == ADR_DOUBT_NONE
           && adr_version_compare (&own.version, &row->version) == 0
           && memcmp (own.digest, row->digest, sizeof own.digest) == 0;
}

/* Whole records only go to the replicator, which checks their digests; none that is newer than the source's own index. */
static bool
s_take_records (inventory_syncer_t *self, adr_bytes_t rest, uint64_t applied, bool wounds)
{
    while (rest.size) {
        adr_inventory_row_t row;
        size_t size = s_record_size (rest);
        if (size == 0 || adr_inventory_row_get (&row, rest) == 0 || row.version.index > applied
            || !syncer_may_be_version (self, &row.version))
            return false;
        if (!wounds || s_is_wound (self, &row)) {
            adr_buffer_append (&self->place, rest.data, size);
            self->pulled_records++;
        }
        rest = adr_bytes (rest.data + size, rest.size - size);
    }
    return true;
}

/* --- wounds ---------------------------------------------------------------------------------------------------- */

void
syncer_on_wounds (inventory_syncer_t *self, const adr_event_t *event)
{
    adr_bytes_t keys = event->message.payload;
    if (self->wounds.size + keys.size <= WOUNDS_MAX) /* what is more will be found again */
        adr_buffer_append (&self->wounds, keys.data, keys.size);
    syncer_tend_wounds (self);
}

/* One question at a time, to whichever peer: what it has of these records takes the place of what cannot be read here. */
void
syncer_tend_wounds (inventory_syncer_t *self)
{
    if (self->wounds.size == 0 || (self->wound_number && self->now_ns - self->wound_ns < PATIENCE_NS)
        || self->now_ns < self->wound_wait_ns)
        return;
    int peer = syncer_choose_peer (self);
    if (peer < 0)
        return;
    Adr__RecordsAsk ask = ADR__RECORDS_ASK__INIT;
    self->wound_number = ask.number = ++self->number;
    self->wound_ns = self->now_ns;
    ask.mend = ask.damaged = true;
    size_t size = self->wounds.size < PIECE_MAX ? self->wounds.size : PIECE_MAX; /* a key that is cut off waits */
    syncer_send (self, &self->group.node[peer], ADR__KIND__RECORDS_ASK, &ask, adr_bytes (self->wounds.data, size));
}

/* True, and *given moves on, if the next record that was given is that one: they come in the order of the keys. */
static bool
s_is_given (adr_bytes_t *given, uint8_t table, adr_bytes_t key)
{
    adr_inventory_row_t row;
    size_t size = given->size ? adr_inventory_row_get (&row, *given) : 0;
    if (size == 0 || row.table != table || !adr_bytes_equal (row.key, key))
        return false;
    *given = adr_bytes (given->data + size + row.value_size, given->size - size - row.value_size);
    return true;
}

/* Takes the keys that were answered out of the list; those that this peer could not give, and that are still damaged here, wait
 * at its end for another one. */
static void
s_wounds_dealt_with (inventory_syncer_t *self, uint32_t asked, adr_bytes_t given)
{
    adr_bytes_t rest = adr_bytes (self->wounds.data, self->wounds.size), key;
    adr_buffer_t still = { 0 };
    uint8_t table;
    for (uint32_t i = 0; i < asked && adr_wound_next (&rest, &table, &key); i++) {
        bool mended = s_is_given (&given, table, key);
        self->mended_records += mended;
        adr_buffer_clear (&self->scratch);
        adr_inventory_row_t row;
        if (!mended && adr_reader_row (self->reader, table, key, &row) == ADR_STATUS_OK && !row.doubt
            && adr_reader_record (self->reader, table, key, &self->scratch) == ADR_STATUS_DAMAGED)
            adr_wound_put (&still, table, key);
    }
    if (still.size)
        self->wound_wait_ns = self->now_ns + 1000 * ADR_MS;
    memmove (self->wounds.data, rest.data, rest.size);
    self->wounds.size = rest.size;
    adr_buffer_append (&self->wounds, still.data, still.size);
    adr_buffer_free (&still);
}

static void
s_wounds_answered (inventory_syncer_t *self, const Adr__Records *records, adr_bytes_t payload)
{
    uint64_t before = self->mended_records;
    self->wound_number = 0;
    self->pulled_bytes += payload.size;
    if (!records->ok || records->asked == 0 || !s_take_records (self, payload, records->applied, true)) {
        self->wound_wait_ns = self->now_ns + 1000 * ADR_MS;
        return;
    }
    s_wounds_dealt_with (self, records->asked, payload);
    if (self->mended_records != before) {
        ADR_MARK ("a damaged value is taken from a peer");
        adr_note (self->effects, ADR_LEVEL_NOTE, "%llu damaged values are taken from a peer mended=%llu",
                  (unsigned long long) (self->mended_records - before), (unsigned long long) self->mended_records);
    }
    syncer_flush_places (self);
    syncer_tend_wounds (self);
}

/* --- what nobody can read ----------------------------------------------------------------------------------------- */

/* The bits of the peers that cannot read the row's value; lent until the next one is asked for. */
static uint8_t *
s_lacked (inventory_syncer_t *self, const adr_inventory_row_t *row)
{
    adr_inventory_row_t known;
    for (size_t at = 0; at < self->lacked.size;) {
        adr_bytes_t rest = adr_bytes (self->lacked.data + at + 4, self->lacked.size - at - 4);
        size_t size = adr_inventory_row_get (&known, rest);
        adr_assert (size != 0); /* made here */
        if (known.table == row->table && adr_bytes_equal (known.key, row->key)
            && adr_version_compare (&known.version, &row->version) == 0)
            return self->lacked.data + at;
        at += 4 + size;
    }
    if (self->lacked.size > LACKED_MAX) /* what cannot be read will be found again */
        adr_buffer_clear (&self->lacked);
    size_t at = self->lacked.size;
    adr_put_u32 (adr_buffer_grow (&self->lacked, 4), 0);
    adr_inventory_row_put (&self->lacked, row);
    return self->lacked.data + at;
}

/* [REPAIR-3] That peer has the record and cannot read its value. Once that is so of every one that can be asked, the record
 * stands here without it: named, answered as damaged, asked for as what the scrubber finds. Else no copy were ever made. */
static bool
s_is_lost (inventory_syncer_t *self, int peer, const adr_inventory_row_t *row)
{
    uint8_t *at = s_lacked (self, row);
    uint32_t lack = adr_get_u32 (at) | 1u << peer;
    adr_put_u32 (at, lack);
    for (uint32_t i = 0; i < self->group.count; i++)
        if (!(lack >> i & 1) && self->now_ns >= self->bad_until_ns[i])
            return false;
    ADR_MARK ("a record whose value no copy can read");
    self->lost_records++;
    s_note_row (self, row, "has no copy that can be read -> it is damaged until one comes back");
    adr_inventory_row_put (&self->quarantine, row);
    adr_wound_put (&self->wounds, row->table, row->key);
    return true;
}

/* Of the records that were answered, those that were not given. True if all of them are lost. */
static bool
s_are_lost (inventory_syncer_t *self, const lane_t *lane, uint32_t answered, adr_bytes_t given)
{
    bool all = true;
    size_t at = lane->wanted_at;
    for (uint32_t i = 0; i < answered && at < lane->wanted.size; i++) {
        adr_inventory_row_t row;
        at += s_wanted_row (lane, at, &row);
        if (!s_is_given (&given, row.table, row.key))
            all &= s_is_lost (self, lane->peer, &row);
    }
    syncer_flush_drops (self);
    return all;
}

void
syncer_on_records (inventory_syncer_t *self, const adr_event_t *event)
{
    const Adr__Records *records = (const Adr__Records *) event->message.header;
    lane_t *lane = s_lane_of (self, event, records->number, LANE_RECORDS);
    if (records->number == self->wound_number && records->number != 0)
        s_wounds_answered (self, records, event->message.payload);
    if (lane == NULL)
        return;
    s_answer_came (self, lane, event->message.payload.size, records->busy);
    if (!records->ok || records->asked == 0 || records->asked > lane->asked
        || !s_take_records (self, event->message.payload, records->applied, false)) {
        s_give_up (self, lane, "it gives no records");
        return;
    }
    syncer_see_applied (self, lane->peer, records->applied, false);
    if (records->damaged && !s_are_lost (self, lane, records->asked, event->message.payload))
        lane->lacking = true;
    for (uint32_t i = 0; i < records->asked && lane->wanted_at < lane->wanted.size; i++) {
        adr_inventory_row_t row;
        lane->wanted_at += s_wanted_row (lane, lane->wanted_at, &row);
    }
    syncer_flush_places (self);
    if (lane->wanted_at < lane->wanted.size)
        s_ask_records (self, lane);
    else
        s_next_buckets (self, lane);
}
