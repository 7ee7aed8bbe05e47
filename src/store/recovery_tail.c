/* SPDX-License-Identifier: MPL-2.0 */
/* A recovery's tail: what may stand in the page cache alone is copied into a new segment and synced [STORE-1].
 *
 * Owns: nothing that outlives it. Makes durable: the copy, and the notes that it is being made and that it counts. */

#include "store/recovery.h"

#include "core/actor.h"

#include <errno.h>

int
adr_recovery_segment_begin (adr_recovery_t *r, uint64_t number, uint64_t size, uint64_t first_batch, bool exists)
{
    adr_store_t *self = r->self;
    adr_segment_header_t header;
    adr_journal_segment_header (self, &header, number, size, first_batch);
    int error = exists ? 0 : self->disk->create (self->disk, number, size, true);
    if (!error)
        error = adr_journal_segment_write (self, &header);
    *adr_journal_segment_add (self, number) = (adr_segment_t){ .salt = header.salt, .size = size, .readable = true,
                                                               .first_batch = first_batch };
    return error;
}

/* Writes one batch of the tail again, sealed for its new place. */
static int
s_copy_batch (adr_recovery_t *r, adr_scanned_t *batch, const uint8_t *previous)
{
    adr_store_t *self = r->self;
    adr_journal_t *journal = &self->journal;
    adr_batch_header_t old = batch->header;
    const adr_segment_t *from = adr_journal_segment (self, old.segment);
    adr_segment_t *to = adr_journal_segment (self, journal->current);
    uint64_t size = adr_batch_room (old.payload_size);
    const uint8_t *at = adr_recovery_peek (r, old.segment, from->size, old.offset, ADR_BATCH_HEADER_SIZE + old.payload_size);
    if (!at || !adr_frames_check (&old, at + ADR_BATCH_HEADER_SIZE, from->salt))
        return EIO; /* the scan has read it otherwise: it must not get checksums that call it sound */
    adr_buffer_t copy = { 0 };
    memset (adr_buffer_grow (&copy, (size_t) size), 0, (size_t) size);
    memcpy (copy.data, at, ADR_BATCH_HEADER_SIZE + old.payload_size);
    batch->header.segment = journal->current;
    batch->header.offset = journal->offset;
    memcpy (batch->header.previous, previous, ADR_DIGEST_BATCH);
    batch->header.payload_crc = adr_frames_seal (copy.data + ADR_BATCH_HEADER_SIZE, old.payload_size, to->salt,
                                                 journal->current, journal->offset + ADR_BATCH_HEADER_SIZE);
    adr_batch_header_encode (&batch->header, to->salt, copy.data);
    adr_batch_digest (copy.data, batch->digest);
    int error = self->disk->write (self->disk, journal->current, journal->offset, copy.data, (size_t) size);
    for (size_t frame = ADR_BATCH_HEADER_SIZE; frame < ADR_BATCH_HEADER_SIZE + old.payload_size;
         frame += ADR_FRAME_HEADER_SIZE + adr_get_u32 (copy.data + frame)) {
        const uint8_t *content = copy.data + frame + ADR_FRAME_HEADER_SIZE;
        uint64_t index = adr_get_u64 (content + 16);
        adr_segment_note (to, (adr_frame_kind_t) copy.data[frame + 4], content, 0);
        if (copy.data[frame + 4] == ADR_FRAME_CUT || copy.data[frame + 4] == ADR_FRAME_COPY || index <= self->log.start.index || index > self->log.last.index)
            continue;
        adr_item_t *item = adr_log_item (&self->log, index);
        if (item->segment == old.segment && item->offset == old.offset + frame) {
            item->segment = (uint32_t) journal->current;
            item->offset = (uint32_t) (journal->offset + frame);
        }
    }
    adr_buffer_free (&copy);
    journal->offset += size;
    return error;
}

/* The first batch that is not known to be durable. Empty ones are copied too: one may be the only witness that a
 * damaged batch before it was durable. */
static size_t
s_tail_begin (const adr_recovery_t *r)
{
    size_t tail = r->count;
    while (tail > 0 && r->batch[tail - 1].header.number > r->durable)
        tail--;
    return tail;
}

static int
s_copy_tail (adr_recovery_t *r, size_t tail, bool exists, uint64_t size)
{
    adr_store_t *self = r->self;
    adr_journal_t *journal = &self->journal;
    int error = adr_recovery_segment_begin (r, journal->current, size, journal->next_batch, exists);
    for (size_t i = tail; i < r->count && !error; i++) {
        error = s_copy_batch (r, &r->batch[i], journal->digest);
        memcpy (journal->digest, r->batch[i].digest, sizeof journal->digest);
        journal->next_batch = r->batch[i].header.number + 1;
        journal->witness_due = r->batch[i].header.payload_size > 0;
    }
    return error ? error : self->disk->sync (self->disk, journal->current);
}

/* The segment that a former life prepared, if it is large enough: that one is written already, however full the disk is
 * [STORE-11]. Else one is made, as large as can be. */
static int
s_target (adr_recovery_t *r, uint64_t needed, bool *exists, uint64_t *size)
{
    adr_store_t *self = r->self;
    uint64_t number = self->journal.current, whole = self->options.segment_bytes, small = adr_journal_small (self);
    *exists = false;
    if (adr_recovery_exists (r, number)) {
        *exists = self->disk->size (self->disk, number, size) == 0 && *size >= needed && *size >= small;
        if (*exists)
            return 0;
        int error = self->disk->remove (self->disk, number); /* nothing in it counts */
        if (error)
            return error;
    }
    uint64_t free_bytes, all_bytes;
    int error = self->disk->space (self->disk, &free_bytes, &all_bytes);
    *size = !error && free_bytes < whole + whole / 2 ? small : whole;
    if (*size < needed)
        *size = needed;
    return error;
}

/* What former lives left uncut, at once: nothing is lost by it, whatever becomes of this recovery. */
static int
s_seal_all (adr_recovery_t *r)
{
    adr_store_t *self = r->self;
    adr_journal_t *journal = &self->journal;
    int error = 0;
    for (; journal->seal_next < journal->current && !error; journal->seal_next++) {
        adr_segment_t *segment = adr_journal_segment (self, journal->seal_next);
        if (!segment || !adr_segment_is_loose (segment))
            continue;
        segment->size = segment->used;
        error = adr_journal_seal_write (self, journal->seal_next, segment->salt, segment->used);
        if (!error)
            error = self->disk->sync (self->disk, journal->seal_next);
        if (!error)
            error = self->disk->truncate (self->disk, journal->seal_next, segment->used + ADR_BLOCK);
    }
    return adr_error_is_full (error) ? 0 : error;
}

/* [STORE-11] The next start finds a prepared segment, should the disk be full by then and this life be too short to make
 * one: a small one does. */
static int
s_prepare (adr_recovery_t *r)
{
    adr_store_t *self = r->self;
    uint64_t number = self->journal.newest + 1, small = adr_journal_small (self);
    if (self->journal.newest > self->journal.current)
        return 0;
    int error = adr_recovery_segment_begin (r, number, small, 0, false);
    if (adr_error_is_full (error)) {
        ADR_MARK ("store: a start on a full disk makes space for the next one");
        error = s_seal_all (r);
        if (!error)
            error = adr_recovery_segment_begin (r, number, small, 0, false);
    }
    if (!error)
        error = self->disk->sync (self->disk, number);
    if (!error)
        self->journal.newest = number;
    else
        *adr_journal_segment_add (self, number) = (adr_segment_t){ 0 };
    return adr_error_is_full (error) ? 0 : error;
}

/* [STORE-1] Nobody is answered before what may stand in the page cache alone is in a new segment and synced. The
 * note that a recovery is at work there goes first, the note that it counts goes last. */
int
adr_recovery_secure_tail (adr_recovery_t *r)
{
    adr_store_t *self = r->self;
    adr_journal_t *journal = &self->journal;
    size_t tail = s_tail_begin (r);
    uint64_t needed = ADR_SEGMENT_FIRST, size = 0;
    bool exists = false;
    if (ADR_PLANT (STORE_1_NO_TAIL_COPY))
        tail = r->count;
    for (size_t i = tail; i < r->count; i++)
        needed += adr_batch_room (r->batch[i].header.payload_size);
    journal->seal_next = journal->scan_segment = r->scan_segment > r->note.first ? r->scan_segment : r->note.first;
    journal->scan_batch = r->scan_batch;
    journal->save_next = r->rebuild ? r->note.first : journal->scan_segment;
    journal->current = r->last_segment + 1;
    if (journal->current < r->made_segment)
        journal->current = r->made_segment;
    if (r->note.recovering) /* what an interrupted recovery left there must not come back to life */
        journal->current = r->note.recovering;
    journal->newest = r->note.newest > journal->current ? r->note.newest : journal->current;
    journal->offset = ADR_SEGMENT_FIRST;
    journal->next_batch = tail > 0 ? r->batch[tail - 1].header.number + 1 : r->scan_batch;
    if (tail > 0)
        memcpy (journal->digest, r->batch[tail - 1].digest, sizeof journal->digest);
    int error = adr_recovery_note (r, journal->newest, journal->current);
    if (!error)
        error = s_target (r, needed, &exists, &size);
    if (!error)
        error = s_copy_tail (r, tail, exists, size - size % ADR_BLOCK);
    if (!error)
        error = s_prepare (r);
    if (!error)
        error = adr_recovery_note (r, journal->newest, 0);
    journal->durable_batch = journal->next_batch - 1;
    journal->durable_index = self->log.last.index;
    journal->end = self->log.last;
    return error;
}
