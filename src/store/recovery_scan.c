/* SPDX-License-Identifier: MPL-2.0 */
/* A recovery's scan: finds the batches of all segments, and walks their chain: a bad one is torn, and ends the journal,
 * or damaged, and leaves a hole [STORE-2, STORE-3].
 *
 * Owns: nothing that outlives it. Makes durable: nothing. */

#include "store/recovery.h"

#include "core/actor.h"

#define S_PEEK (256 * 1024)

/* --- scanning ---------------------------------------------------------------------------------------------- */

/* Bytes of a segment, lent until the next call; NULL where the disk refuses. */
const uint8_t *
adr_recovery_peek (adr_recovery_t *r, uint64_t segment, uint64_t size_of_segment, uint64_t offset, uint64_t size)
{
    if (segment != r->peek_segment || offset < r->peek_offset
        || offset + size > r->peek_offset + r->peek.size) {
        uint64_t take = size > S_PEEK ? size : S_PEEK;
        if (take > size_of_segment - offset)
            take = size_of_segment - offset;
        adr_buffer_clear (&r->peek);
        adr_buffer_grow (&r->peek, (size_t) take);
        r->peek_segment = segment;
        r->peek_offset = offset;
        if (r->self->disk->read (r->self->disk, segment, offset, r->peek.data, (size_t) take) != 0) {
            /* One bad sector must not hide its neighbours: only what is asked for. */
            r->peek.size = (size_t) size;
            if (r->self->disk->read (r->self->disk, segment, offset, r->peek.data, (size_t) size) != 0) {
                r->peek.size = 0;
                return NULL;
            }
        }
    }
    return r->peek.data + (offset - r->peek_offset);
}

/* Reads whichever copy of the header is sound, whatever journal it names. `size` becomes the file's where that ends
 * earlier; *cut says so. */
static bool
s_header_read (adr_recovery_t *r, uint64_t number, adr_segment_header_t *header, bool *cut)
{
    uint64_t size;
    if (r->self->disk->size (r->self->disk, number, &size) != 0 || size < ADR_SEGMENT_FIRST)
        return false;
    for (uint64_t copy = 0; copy < ADR_SEGMENT_HEADER_COPIES; copy++) {
        const uint8_t *at = adr_recovery_peek (r, number, size, copy * ADR_BLOCK, ADR_SEGMENT_HEADER_SIZE);
        if (at && adr_segment_header_decode (header, at) && header->number == number) {
            *cut = size < header->size;
            header->size = *cut ? size - size % ADR_BLOCK : header->size;
            return true;
        }
    }
    return false;
}

static bool
s_header_is_ours (const adr_store_t *self, const adr_segment_header_t *header)
{
    return adr_id_equal (&header->journal, &self->journal.id) && adr_id_equal (&header->node, &self->options.node)
        && header->incarnation == self->incarnation;
}

static bool
s_is_seal (adr_recovery_t *r, const adr_segment_header_t *segment, uint64_t offset)
{
    const uint8_t *at = adr_recovery_peek (r, segment->number, segment->size, offset, ADR_BLOCK);
    return at && adr_seal_decode (segment->salt, segment->number, offset, at);
}

/* A block that may hold something: all that cannot be read, too. */
static bool
s_is_used (adr_recovery_t *r, const adr_segment_header_t *segment, uint64_t offset)
{
    static const uint8_t s_zeros[ADR_BLOCK];
    const uint8_t *at = adr_recovery_peek (r, segment->number, segment->size, offset, ADR_BLOCK);
    return !at || (memcmp (at, s_zeros, ADR_BLOCK) != 0 && !s_is_seal (r, segment, offset));
}

static void
s_batch_push (adr_recovery_t *r, const adr_scanned_t *batch)
{
    if (r->count == r->room) {
        r->room = r->room ? r->room * 2 : 256;
        r->batch = adr_realloc (r->batch, r->room * sizeof *r->batch);
    }
    r->batch[r->count++] = *batch;
}

static adr_scanned_frame_t *
s_frame_push (adr_recovery_t *r)
{
    if (r->frame_count == r->frame_room) {
        r->frame_room = r->frame_room ? r->frame_room * 2 : 1024;
        r->frame = adr_realloc (r->frame, r->frame_room * sizeof *r->frame);
    }
    r->frame[r->frame_count] = (adr_scanned_frame_t){ 0 };
    return &r->frame[r->frame_count++];
}

static void
s_note_entry (adr_recovery_t *r, adr_scanned_frame_t *frame, adr_bytes_t content)
{
    adr_entry_t *entry = &r->self->entry;
    frame->is_sound = adr_entry_decode (entry, content) == content.size;
    if (!frame->is_sound)
        return;
    frame->term = entry->term;
    frame->index = entry->index;
    frame->origin.time_ms = entry->time_ms;
    memcpy (frame->origin.request, entry->request, ADR_REQUEST_ID_SIZE);
    if (entry->kind != ADR_ENTRY_VOTERS || entry->op_count < 1 || entry->op[0].value.size > ADR_VOTERS_BYTES_MAX)
        return;
    frame->voters_at = (uint32_t) r->voters_values.size;
    frame->voters_size = (uint16_t) entry->op[0].value.size;
    adr_buffer_append (&r->voters_values, entry->op[0].value.data, entry->op[0].value.size);
}

/* Notes the frames of a batch whose checksums hold. */
static void
s_note_frames (adr_recovery_t *r, adr_scanned_t *batch, const uint8_t *payload)
{
    batch->frame = r->frame_count;
    for (uint32_t at = 0; at < batch->header.payload_size;) {
        adr_scanned_frame_t *frame = s_frame_push (r);
        adr_bytes_t content = adr_bytes (payload + at + ADR_FRAME_HEADER_SIZE, adr_get_u32 (payload + at));
        frame->kind = payload[at + 4];
        frame->offset = (uint32_t) (batch->header.offset + ADR_BATCH_HEADER_SIZE + at);
        frame->size = ADR_FRAME_HEADER_SIZE + (uint32_t) content.size;
        switch ((adr_frame_kind_t) frame->kind) {
        case ADR_FRAME_ENTRY:
        case ADR_FRAME_REFILL:
            s_note_entry (r, frame, content);
            break;
        case ADR_FRAME_CUT:
            frame->is_sound = content.size == ADR_CUT_SIZE;
            frame->index = frame->is_sound ? adr_get_u64 (content.data + 8) : 0;
            break;
        case ADR_FRAME_COPY:
            frame->is_sound = true; /* never log [STORE-8] */
            break;
        }
        at += frame->size;
    }
}

/* Reads the batch that stands there; false if there is no sound header. */
static bool
s_batch_read (adr_recovery_t *r, const adr_segment_header_t *segment, uint64_t offset, adr_scanned_t *batch)
{
    const uint8_t *at = adr_recovery_peek (r, segment->number, segment->size, offset, ADR_BATCH_HEADER_SIZE);
    if (!at || !adr_batch_header_decode (&batch->header, segment->salt, segment->number, offset, at)
        || batch->header.payload_size > segment->size - offset - ADR_BATCH_HEADER_SIZE)
        return false;
    adr_batch_digest (at, batch->digest);
    batch->header_lost = false;
    uint64_t size = ADR_BATCH_HEADER_SIZE + (uint64_t) batch->header.payload_size;
    at = adr_recovery_peek (r, segment->number, segment->size, offset, size);
    batch->good = at && adr_frames_check (&batch->header, at + ADR_BATCH_HEADER_SIZE, segment->salt);
    if (batch->good)
        s_note_frames (r, batch, at + ADR_BATCH_HEADER_SIZE);
    return true;
}

/* Finds the segment's batches, hunting on from block to block where there is none: what follows a bad one tells
 * whether it was torn or damaged [STORE-2]. Returns the end of what is not zeros. */
static uint64_t
s_scan_segment (adr_recovery_t *r, const adr_segment_header_t *segment)
{
    uint64_t offset = ADR_SEGMENT_FIRST, used = offset;
    while (segment->size - offset >= ADR_BLOCK) {
        adr_scanned_t batch;
        if (s_batch_read (r, segment, offset, &batch)) {
            s_batch_push (r, &batch);
            offset += adr_batch_room (batch.header.payload_size);
            if (offset > segment->size)
                offset = segment->size;
            used = offset;
        } else {
            if (s_is_used (r, segment, offset))
                used = offset + ADR_BLOCK;
            offset += ADR_BLOCK;
        }
    }
    return used;
}

/* What earlier segments hold from that batch on was copied, or cut, by the recovery that made this segment. */
static void
s_supersede (adr_recovery_t *r, uint64_t first_batch)
{
    while (first_batch && r->count > 0 && r->batch[r->count - 1].header.number >= first_batch)
        r->count--;
}

bool
adr_recovery_exists (const adr_recovery_t *r, uint64_t number)
{
    for (size_t i = 0; i < r->number_count; i++)
        if (r->number[i] == number)
            return true;
    return false;
}

/* What the accounts do not say of a segment that was written after the index's last commit, its frames do. How far the
 * index was applied when a copy was placed they do not say. */
static void
s_note_bounds (const adr_recovery_t *r, adr_segment_t *segment, size_t before)
{
    for (size_t i = before; i < r->count; i++) {
        const adr_scanned_t *batch = &r->batch[i];
        uint64_t index = batch->header.first.index;
        if (index && (segment->low_index == 0 || index < segment->low_index))
            segment->low_index = index;
        for (uint32_t f = 0; batch->good && f < batch->header.frame_count; f++) {
            const adr_scanned_frame_t *frame = &r->frame[batch->frame + f];
            if (frame->kind == ADR_FRAME_COPY)
                segment->copies_least = 1;
            else if (frame->kind == ADR_FRAME_REFILL && (segment->low_index == 0 || frame->index < segment->low_index))
                segment->low_index = frame->index;
        }
    }
}

/* A segment below the log's start that is neither here nor noted as removed [STORE-8]. */
static void
s_note_lost (adr_recovery_t *r, uint64_t number)
{
    if (number >= r->scan_segment || number == r->note.recovering)
        return;
    ADR_MARK ("store: a segment is lost");
    r->self->lost_segments++;
}

void
adr_recovery_scan (adr_recovery_t *r)
{
    adr_store_t *self = r->self;
    for (uint64_t number = r->note.first; number <= r->note.newest; number++) {
        adr_segment_t *segment = adr_journal_segment_add (self, number);
        adr_segment_header_t header;
        bool cut;
        *segment = (adr_segment_t){ .removed = adr_recovery_is_removed (r, number) };
        if (segment->removed)
            continue;
        if (number == r->note.recovering || !s_header_read (r, number, &header, &cut)
            || !s_header_is_ours (self, &header)) {
            s_note_lost (r, number);
            continue;
        }
        bool sealed = cut && s_is_seal (r, &header, header.size - ADR_BLOCK);
        if (sealed)
            header.size -= ADR_BLOCK;
        *segment = (adr_segment_t){ .salt = header.salt, .size = header.size, .readable = true,
                                    .cut_short = cut && !sealed, .first_batch = header.first_batch };
        if (header.first_batch)
            r->made_segment = number;
        segment->is_scanned = number >= r->scan_segment;
        segment->low_index = segment->copies_least = segment->is_scanned ? 0 : 1;
        if (!segment->is_scanned)
            continue;
        s_supersede (r, header.first_batch);
        size_t before = r->count;
        uint64_t used = s_scan_segment (r, &header);
        s_note_bounds (r, segment, before);
        if (!cut)
            segment->used = used;
        if (r->count > before) {
            r->last_segment = number;
            if (segment->first_batch == 0)
                segment->first_batch = r->batch[before].header.number;
        }
    }
}

/* Segments that the state environment does not know: made, but not yet noted, and empty; or the environment is older
 * than the journal. */
bool
adr_recovery_unnoted_hold_batches (adr_recovery_t *r)
{
    size_t kept = r->count, frames = r->frame_count;
    bool found = false;
    for (size_t i = 0; i < r->number_count; i++) {
        adr_segment_header_t header;
        bool cut;
        if (r->number[i] > r->note.newest && s_header_read (r, r->number[i], &header, &cut)) {
            (void) s_scan_segment (r, &header);
            found = found || r->count > kept;
            r->count = kept;
            r->frame_count = frames;
        }
    }
    return found;
}

/* --- the chain --------------------------------------------------------------------------------------------- */

void
adr_recovery_witness (adr_recovery_t *r)
{
    for (size_t i = 0; i < r->count; i++) {
        const adr_batch_header_t *header = &r->batch[i].header;
        if (header->durable > r->durable)
            r->durable = header->durable;
        if (header->last.term > r->term)
            r->term = header->last.term;
    }
}

/* [STORE-2] Walks the numbers and digests. A bad batch that no other knows to be durable ends the journal there: the
 * tail was torn. One that was durable stays in the list as damage, a hole in the numbers. */
void
adr_recovery_chain (adr_recovery_t *r)
{
    size_t kept = 0;
    uint64_t expected = r->scan_batch;
    for (size_t i = 0; i < r->count; i++) {
        adr_scanned_t *batch = &r->batch[i];
        if (batch->header.number < expected)
            continue; /* stale: the chain has passed it */
        bool gap = batch->header.number > expected;
        if (!gap && kept > 0
            && memcmp (batch->header.previous, r->batch[kept - 1].digest, ADR_DIGEST_BATCH) != 0)
            r->batch[kept - 1].good = false, r->batch[kept - 1].header_lost = true;
        uint64_t first_bad = gap ? expected : batch->good ? UINT64_MAX : batch->header.number;
        if (first_bad != UINT64_MAX && (first_bad > r->durable || ADR_PLANT (STORE_5_DAMAGE_IS_TORN))) {
            ADR_MARK ("store: a torn tail is cut");
            break;
        }
        expected = batch->header.number + 1;
        /* Of those that are kept only: what a torn batch calls committed may be what it was about to write. */
        if (batch->header.commit > r->commit)
            r->commit = batch->header.commit;
        r->batch[kept++] = *batch;
    }
    r->count = kept;
}
