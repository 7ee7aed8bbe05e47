/* SPDX-License-Identifier: MPL-2.0 */
/* Records that one of two copies has and the other lacks, at or below that one's purge horizon: purged here, or lost there.
 * Each copy has a word in it: it had the record, or lacked it, or knows of it only from others. Two equal words decide; the
 * third one is a second voter's. Where that is away, both copies put the record in doubt (store/disk.h): nobody is told what
 * it says, and it hashes as one in doubt, so that the two agree about everything else, and about this.
 *
 * Implements REPAIR-2 (docs/decisions/0017). */

#include "actors/inventory_syncer_private.h"

#include <stdlib.h>

/* An entry of lane->doubts: a byte, then the row, whose `doubt` is this copy's own word. */
#define S_WORD 3u  /* the first peer's word, an adr_doubt_t: HAD, LACKED, or COPIED for none */
#define S_MAY 4u   /* undecided, it comes into doubt here; if it is in doubt already, it stays as it is */
#define S_HERE 8u  /* this copy has a row of that version */

static adr_doubt_t
s_word_of (const adr_inventory_row_t *row)
{
    return row->doubt == ADR_DOUBT_NONE ? ADR_DOUBT_HAD : row->doubt;
}

static void
s_add (lane_t *lane, const adr_inventory_row_t *row, adr_doubt_t own, adr_doubt_t first, bool here, bool may)
{
    adr_inventory_row_t entry = *row;
    entry.doubt = own;
    *adr_buffer_grow (&lane->doubts, 1) = (uint8_t) (first | (here ? S_HERE : 0) | (may ? S_MAY : 0));
    adr_inventory_row_put (&lane->doubts, &entry);
}

static size_t
s_entry (const lane_t *lane, size_t at, uint8_t *flags, adr_inventory_row_t *row)
{
    adr_bytes_t rest = adr_bytes (lane->doubts.data + at + 1, lane->doubts.size - at - 1);
    size_t size = adr_inventory_row_get (row, rest);
    adr_assert (size != 0); /* made here */
    *flags = lane->doubts.data[at];
    return 1 + size;
}

/* What an exact copy holds is a function of its log: only one that is not puts anything in doubt, and not against one that is,
 * unless that has it in doubt itself. */
static bool
s_may (const inventory_syncer_t *self, const lane_t *lane, bool peer_doubts)
{
    return self->mode == MODE_MENDING && self->sync != ADR_SYNC_EXACT && (peer_doubts || !lane->exact);
}

static void
s_quarantine (inventory_syncer_t *self, const adr_inventory_row_t *row, adr_doubt_t doubt)
{
    adr_inventory_row_t made = *row;
    made.doubt = doubt;
    adr_inventory_row_put (&self->quarantine, &made);
}

void
syncer_take (inventory_syncer_t *self, lane_t *lane, const adr_inventory_row_t *row)
{
    adr_inventory_row_t made = *row;
    made.doubt = ADR_DOUBT_NONE;
    adr_inventory_row_put (row->deleted ? &self->place : &lane->wanted, &made); /* of a tombstone there is nothing to pull */
}

static void
s_drop (inventory_syncer_t *self, const adr_inventory_row_t *row)
{
    ADR_MARK ("two copies lack a row that was purged");
    self->dropped_records++;
    adr_inventory_row_put (&self->drops, row);
}

/* This copy's word on what it has not. Who knows of a loss is no witness. */
static adr_doubt_t
s_absent_here (const inventory_syncer_t *self)
{
    return self->lossy ? ADR_DOUBT_COPIED : ADR_DOUBT_LACKED;
}

/* [REPAIR-3] The inventory is of a moment in which that copy had heard of every purge that this one knows of. What one that is
 * behind still has says nothing. */
static bool
s_knows_purges (const inventory_syncer_t *self, const lane_t *lane)
{
    return lane->applied >= self->purged_to || self->mode == MODE_COPYING;
}

/* --- two copies -------------------------------------------------------------------------------------------------- */

void
syncer_doubt_missing (inventory_syncer_t *self, lane_t *lane, const adr_inventory_row_t *row)
{
    if (s_knows_purges (self, lane) || ADR_PLANT (REPAIR_3_BEHIND_HAS_A_WORD))
        s_add (lane, row, s_absent_here (self), s_word_of (row), false, s_may (self, lane, row->doubt != ADR_DOUBT_NONE));
}

/* No voter asks one that is none: a copy that waits to be admitted has no word. It takes the doubts of a proven one as they are,
 * or its roots would differ for ever. */
static bool
s_takes_doubts (const inventory_syncer_t *self, const lane_t *lane)
{
    return self->mode == MODE_COPYING
           || (self->sync != ADR_SYNC_EXACT && lane->proven && s_knows_purges (self, lane)
               && adr_voters_find_node (&self->voters, &self->group.self) < 0);
}

void
syncer_meet_doubt (inventory_syncer_t *self, lane_t *lane, const adr_inventory_row_t *row, bool absent)
{
    if (s_takes_doubts (self, lane))
        s_quarantine (self, row, ADR_DOUBT_COPIED);
    else if (absent && row->version.index <= self->purged_to)
        syncer_doubt_missing (self, lane, row);
    else if (self->sync != ADR_SYNC_EXACT)
        s_quarantine (self, row, ADR_DOUBT_COPIED); /* this copy should have it, and cannot know what became of it */
}

void
syncer_compare_doubt (inventory_syncer_t *self, lane_t *lane, const adr_inventory_row_t *own, const adr_inventory_row_t *row)
{
    adr_doubt_t mine = s_word_of (own), theirs = s_word_of (row);
    if (!s_knows_purges (self, lane))
        return;
    bool has = row->doubt == ADR_DOUBT_NONE && (self->mode == MODE_COPYING || lane->exact);
    bool guest = row->doubt && self->mode == MODE_MENDING && s_takes_doubts (self, lane);
    if (has || (mine == ADR_DOUBT_HAD && theirs == ADR_DOUBT_HAD && !guest)) {
        if (own->doubt)
            syncer_take (self, lane, row);
    } else if (self->mode == MODE_COPYING)
        return; /* what is copied is compared again once the log was replayed over it */
    else if (guest && own->doubt == ADR_DOUBT_NONE)
        s_quarantine (self, own, ADR_DOUBT_COPIED);
    else if (mine == ADR_DOUBT_LACKED && theirs == ADR_DOUBT_LACKED)
        s_drop (self, own);
    else
        s_add (lane, row, mine, theirs, true, own->doubt == ADR_DOUBT_NONE && s_may (self, lane, true));
}

/* The row of that key in a section's rows, which ascend; *rows moves on up to there. */
static bool
s_section_has (const inventory_syncer_t *self, adr_bytes_t *rows, const uint8_t order[16], adr_inventory_row_t *found)
{
    while (rows->size) {
        uint8_t theirs[16];
        size_t size = adr_inventory_row_get (found, *rows);
        (void) adr_reader_order (self->reader, found->table, found->key, theirs);
        int way = memcmp (theirs, order, sizeof theirs);
        if (way > 0)
            return false;
        *rows = adr_bytes (rows->data + size, rows->size - size);
        if (way == 0)
            return true;
    }
    return false;
}

/* This copy's rows of a bucket, into self->scratch. [STORE-10] If they are not what its own leaf says, the leaf or rows are
 * hidden: nothing that a peer has makes the copies equal then. */
static bool
s_own_section (inventory_syncer_t *self, const lane_t *lane, uint32_t bucket, adr_inventory_section_t *own)
{
    uint8_t set[ADR_BUCKET_SET_SIZE] = { 0 };
    adr_position_t applied;
    bool damaged;
    set[bucket / 8] = (uint8_t) (1u << bucket % 8);
    adr_buffer_clear (&self->scratch);
    if (!adr_reader_inventory (self->reader, lane->partition, set, 1, INVENTORY_MAX, &self->scratch, &applied, &damaged)
        || adr_inventory_section_get (own, adr_bytes (self->scratch.data, self->scratch.size)) == 0)
        return false;
    if (!adr_reader_leaf_is_true (self->reader, own)) {
        adr_note (self->effects, ADR_LEVEL_WARNING, "bucket %u of partition %u: its rows do not hash to its leaf -> the index is healed",
                  bucket, lane->partition);
        syncer_tell_index (self);
    }
    return true;
}

/* A tombstone may go on one word: gone or not, there is no record. And a proven copy has the roots of another one, so what it
 * lacks that one lacks, too. */
static bool
s_goes_at_once (const inventory_syncer_t *self, const lane_t *lane, const adr_inventory_row_t *row)
{
    return row->deleted || row->doubt == ADR_DOUBT_LACKED
           || (lane->proven && (self->sync != ADR_SYNC_EXACT || row->doubt != ADR_DOUBT_NONE));
}

/* [REPAIR-3] A row that stood here before this copying, and this copy had not heard of all that was purged: it is behind, and has
 * no word. An exact source decides, as if this copy were made from nothing. */
static bool
s_is_stale (const inventory_syncer_t *self, const lane_t *lane, const adr_inventory_row_t *row, uint64_t horizon)
{
    return self->mode == MODE_COPYING && lane->exact && row->version.index <= self->applied && self->applied < horizon;
}

void
syncer_doubt_rows (inventory_syncer_t *self, lane_t *lane, const adr_inventory_section_t *section, uint64_t horizon)
{
    uint8_t order[16];
    adr_inventory_row_t row, theirs;
    adr_inventory_section_t own;
    if ((horizon == 0 && self->mode != MODE_MENDING) || !s_own_section (self, lane, section->bucket, &own) || horizon == 0)
        return;
    adr_bytes_t rest = own.rows, other = section->rows;
    while (rest.size) {
        size_t size = adr_inventory_row_get (&row, rest);
        rest = adr_bytes (rest.data + size, rest.size - size);
        (void) adr_reader_order (self->reader, row.table, row.key, order);
        if (s_section_has (self, &other, order, &theirs) || row.version.index > horizon)
            continue;
        if (s_goes_at_once (self, lane, &row) || s_is_stale (self, lane, &row, horizon))
            adr_inventory_row_put (&self->drops, &row);
        else
            s_add (lane, &row, s_word_of (&row), ADR_DOUBT_LACKED, true,
                   row.doubt == ADR_DOUBT_NONE && s_may (self, lane, false));
    }
}

/* --- a second voter ---------------------------------------------------------------------------------------------- */

typedef struct {
    uint8_t order[16];
    uint32_t slice;
    size_t at, size;
} s_place_t;

static int
s_compare_places (const void *a, const void *b)
{
    const s_place_t *one = a, *other = b;
    if (one->slice != other->slice)
        return one->slice < other->slice ? -1 : 1;
    return memcmp (one->order, other->order, sizeof one->order);
}

/* In the order of inventories, so that one walk through all of them finds each; their buckets are asked for. */
static void
s_sort (inventory_syncer_t *self, lane_t *lane)
{
    adr_buffer_t places = { 0 }, sorted = { 0 };
    for (size_t at = 0; at < lane->doubts.size;) {
        adr_inventory_row_t row;
        uint8_t flags;
        s_place_t place = { .at = at, .size = s_entry (lane, at, &flags, &row) };
        place.slice = adr_reader_order (self->reader, row.table, row.key, place.order);
        uint32_t bucket = place.slice - adr_reader_slice (self->reader, lane->partition, 0);
        lane->differ[bucket / 8] |= (uint8_t) (1u << bucket % 8);
        adr_buffer_append (&places, &place, sizeof place);
        at += place.size;
    }
    size_t count = places.size / sizeof (s_place_t);
    s_place_t *place = (s_place_t *) places.data;
    qsort (place, count, sizeof *place, s_compare_places);
    for (size_t i = 0; i < count; i++)
        adr_buffer_append (&sorted, lane->doubts.data + place[i].at, place[i].size);
    adr_buffer_free (&places);
    adr_buffer_free (&lane->doubts);
    lane->doubts = sorted;
}

bool
syncer_ask_second (inventory_syncer_t *self, lane_t *lane)
{
    int second = lane->doubting || lane->doubts.size == 0 ? -1 : syncer_choose_other (self, lane->peer);
    if (second < 0)
        return false;
    ADR_MARK ("a second copy is asked about rows in doubt");
    s_sort (self, lane);
    lane->doubt_at = 0;
    lane->doubting = true;
    lane->peer = second;
    return true;
}

/* [REPAIR-2] Nobody can say: it waits, served to nobody. */
static void
s_leave (inventory_syncer_t *self, uint8_t flags, const adr_inventory_row_t *row)
{
    if (!(flags & S_MAY))
        return;
    ADR_MARK ("a record comes into doubt");
    s_quarantine (self, row, row->doubt);
}

void
syncer_leave_doubts (inventory_syncer_t *self, lane_t *lane)
{
    for (size_t at = lane->doubt_at; at < lane->doubts.size;) {
        adr_inventory_row_t row;
        uint8_t flags;
        at += s_entry (lane, at, &flags, &row);
        s_leave (self, flags, &row);
    }
    adr_buffer_clear (&lane->doubts);
    lane->doubt_at = 0;
    syncer_flush_drops (self);
}

/* What it has too, or newer, is there. Absence says something at or below its horizon only, and if it is applied up to there. */
static adr_doubt_t
s_second_word (const inventory_syncer_t *self, const lane_t *lane, const adr_inventory_row_t *row,
               const adr_inventory_row_t *theirs, uint64_t horizon)
{
    if (theirs == NULL)
        return row->version.index <= horizon ? ADR_DOUBT_LACKED : ADR_DOUBT_COPIED;
    if (!s_knows_purges (self, lane) && !ADR_PLANT (REPAIR_3_BEHIND_HAS_A_WORD))
        return ADR_DOUBT_COPIED;
    return adr_version_compare (&theirs->version, &row->version) < 0 ? ADR_DOUBT_COPIED : s_word_of (theirs);
}

static void
s_settle (inventory_syncer_t *self, lane_t *lane, uint8_t flags, const adr_inventory_row_t *row,
          const adr_inventory_row_t *own, const adr_inventory_row_t *theirs, uint64_t horizon)
{
    adr_doubt_t word[] = { row->doubt, (adr_doubt_t) (flags & S_WORD), s_second_word (self, lane, row, theirs, horizon) };
    unsigned had = 0, lacked = 0;
    if ((own != NULL) != ((flags & S_HERE) != 0) || (own && adr_version_compare (&own->version, &row->version) != 0))
        return; /* it has changed meanwhile */
    for (size_t i = 0; i < sizeof word / sizeof word[0]; i++) {
        had += word[i] == ADR_DOUBT_HAD;
        lacked += word[i] == ADR_DOUBT_LACKED;
    }
    if (had > 1) {
        if ((own == NULL || own->doubt) && theirs)
            syncer_take (self, lane, theirs);
    } else if (lacked > 1) {
        if (own)
            s_drop (self, own);
    } else
        s_leave (self, flags, row);
}

void
syncer_settle_doubts (inventory_syncer_t *self, lane_t *lane, const adr_inventory_section_t *section, uint64_t horizon)
{
    uint32_t slice = adr_reader_slice (self->reader, lane->partition, section->bucket);
    adr_inventory_section_t own;
    if (!s_own_section (self, lane, section->bucket, &own))
        return;
    adr_bytes_t mine = own.rows, theirs = section->rows;
    while (lane->doubt_at < lane->doubts.size) {
        adr_inventory_row_t row, own_row, their_row;
        uint8_t flags, order[16];
        size_t size = s_entry (lane, lane->doubt_at, &flags, &row);
        uint32_t at = adr_reader_order (self->reader, row.table, row.key, order);
        if (at > slice)
            return;
        lane->doubt_at += size;
        if (at < slice) /* of a bucket that was passed by */
            continue;
        bool here = s_section_has (self, &mine, order, &own_row), there = s_section_has (self, &theirs, order, &their_row);
        s_settle (self, lane, flags, &row, here ? &own_row : NULL, there ? &their_row : NULL, horizon);
    }
}
