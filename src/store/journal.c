/* SPDX-License-Identifier: MPL-2.0 */
/* The journal's writing side: entries gather as frames in the open batch; one batch at a time goes to the disk.
 *
 * Owns: the open batch, the batch that is out, the segments' table. Makes durable: frames, commit indexes, the highest
 * term, new segments. Assumes: batches are written one after the other, each synced before the next is formed.
 * Implements STORE-2 (witness), STORE-3 (salts), STORE-4 (noted term and segments), STORE-12 (cut frames). */

#include "store/internal.h"

#include "core/actor.h"

#include <errno.h>
#include <stdlib.h>

#define S_WITNESS_NS (10 * ADR_MS)
#define S_WITNESS_RETRY_NS (1000 * ADR_MS) /* where there is no space for it */

/* --- segments ---------------------------------------------------------------------------------------------- */

uint64_t
adr_journal_small (const adr_store_t *self)
{
    uint64_t small = ADR_SEGMENT_FIRST + adr_batch_room (self->batch_max);
    return small < self->options.segment_bytes ? small : self->options.segment_bytes;
}

adr_segment_t *
adr_journal_segment (adr_store_t *self, uint64_t number)
{
    const adr_journal_t *journal = &self->journal;
    if (number < journal->first_segment || number - journal->first_segment >= journal->segment_room)
        return NULL;
    return &journal->segment[number - journal->first_segment];
}

adr_segment_t *
adr_journal_segment_add (adr_store_t *self, uint64_t number)
{
    adr_journal_t *journal = &self->journal;
    adr_assert (number >= journal->first_segment && number < UINT32_MAX);
    uint64_t at = number - journal->first_segment;
    if (at >= journal->segment_room) {
        size_t room = (size_t) at + 16;
        journal->segment = adr_realloc (journal->segment, room * sizeof *journal->segment);
        memset (journal->segment + journal->segment_room, 0,
                (room - journal->segment_room) * sizeof *journal->segment);
        journal->segment_room = room;
    }
    return &journal->segment[at];
}

void
adr_journal_first_move (adr_store_t *self, uint64_t first)
{
    adr_journal_t *journal = &self->journal;
    uint64_t gone = first - journal->first_segment;
    adr_assert (first >= journal->first_segment && gone < journal->segment_room);
    journal->segment_room -= (size_t) gone;
    memmove (journal->segment, journal->segment + gone, journal->segment_room * sizeof *journal->segment);
    journal->first_segment = first;
}

void
adr_journal_segment_header (adr_store_t *self, adr_segment_header_t *header, uint64_t number, uint64_t size,
                            uint64_t first_batch)
{
    *header = (adr_segment_header_t){
        .number = number, .size = size, .journal = self->journal.id, .node = self->options.node,
        .group = self->options.group, .cluster = self->options.cluster, .incarnation = self->incarnation,
        .first_batch = first_batch
    };
    self->entropy->fill (self->entropy, &header->salt, sizeof header->salt);
}

int
adr_journal_segment_write (adr_store_t *self, const adr_segment_header_t *header)
{
    uint8_t block[ADR_BLOCK] = { 0 };
    adr_segment_header_encode (header, block);
    for (uint64_t copy = 0; copy < ADR_SEGMENT_HEADER_COPIES; copy++) {
        int error = self->disk->write (self->disk, header->number, copy * ADR_BLOCK, block, sizeof block);
        if (error)
            return error;
    }
    return 0;
}

void
adr_segment_note (adr_segment_t *segment, adr_frame_kind_t kind, const uint8_t *content, uint64_t applied)
{
    if (kind == ADR_FRAME_CUT)
        return;
    uint64_t *least = kind == ADR_FRAME_COPY ? &segment->copies_least : &segment->low_index;
    uint64_t index = kind == ADR_FRAME_COPY ? applied + 1 : adr_get_u64 (content + 16);
    if (*least == 0 || index < *least)
        *least = index;
}

int
adr_journal_seal_write (adr_store_t *self, uint64_t number, uint64_t salt, uint64_t offset)
{
    uint8_t seal[ADR_BLOCK];
    adr_seal_encode (salt, number, offset, seal);
    return self->disk->write (self->disk, number, offset, seal, sizeof seal);
}

/* --- the open batch ---------------------------------------------------------------------------------------- */

static uint8_t *
s_frame_add (adr_buffer_t *open, adr_frame_kind_t kind, size_t content_size)
{
    if (open->size == 0)
        adr_buffer_grow (open, ADR_BATCH_HEADER_SIZE);
    uint8_t *at = adr_buffer_grow (open, ADR_FRAME_HEADER_SIZE + content_size);
    adr_frame_begin (at, kind, content_size);
    return at + ADR_FRAME_HEADER_SIZE;
}

/* [STORE-12] The suffix is replaced by saying so, in the same batch as the first entry that takes its place. */
static void
s_cut_flush (adr_journal_t *journal)
{
    if (!journal->cut_pending)
        return;
    journal->cut_pending = false;
    if (ADR_PLANT (STORE_12_CUT_UNSAID))
        return;
    uint8_t *at = s_frame_add (&journal->open, ADR_FRAME_CUT, ADR_CUT_SIZE);
    adr_put_u64 (at, journal->cut_to.term);
    adr_put_u64 (at + 8, journal->cut_to.index);
}

uint8_t *
adr_journal_append_copy (adr_store_t *self, size_t size)
{
    return s_frame_add (&self->journal.open, ADR_FRAME_COPY, size);
}

void
adr_journal_append (adr_store_t *self, adr_frame_kind_t kind, adr_bytes_t content, adr_item_t *item)
{
    adr_journal_t *journal = &self->journal;
    adr_assert (content.size + ADR_FRAME_HEADER_SIZE <= self->batch_max);
    s_cut_flush (journal);
    uint8_t *at = s_frame_add (&journal->open, kind, content.size);
    memcpy (at, content.data, content.size);
    item->segment = 0;
    item->offset = (uint32_t) (at - ADR_FRAME_HEADER_SIZE - journal->open.data);
}

/* --- forming a batch --------------------------------------------------------------------------------------- */

/* How many bytes of the open frames fit in `limit`: whole frames, and never a cut without what follows it. */
static size_t
s_fitting (const adr_buffer_t *open, size_t limit)
{
    if (open->size <= limit)
        return open->size;
    size_t at = ADR_BATCH_HEADER_SIZE, taken = at;
    while (at < open->size) {
        size_t next = at + ADR_FRAME_HEADER_SIZE + adr_get_u32 (open->data + at);
        if (next > limit)
            break;
        if (open->data[at + 4] != ADR_FRAME_CUT)
            taken = next;
        at = next;
    }
    return taken;
}

/* How far the index was applied when the rows were looked up of which the open batch has copies. */
static uint64_t
s_copies_applied (const adr_store_t *self)
{
    return self->compaction.walk.segment ? self->compaction.applied : self->index_applied.index;
}

/* The places of the entries that the batch holds become known, and the log's end on the disk moves along. */
static void
s_place_frames (adr_store_t *self, adr_job_t *job, size_t size)
{
    adr_batch_header_t *header = &job->header;
    adr_segment_t *segment = adr_journal_segment (self, header->segment);
    uint64_t term = 0;
    for (size_t at = ADR_BATCH_HEADER_SIZE; at < size;) {
        const uint8_t *frame = job->bytes.data + at, *content = frame + ADR_FRAME_HEADER_SIZE;
        size_t frame_size = ADR_FRAME_HEADER_SIZE + adr_get_u32 (frame);
        header->frame_count++;
        adr_segment_note (segment, (adr_frame_kind_t) frame[4], content, s_copies_applied (self));
        if (frame[4] == ADR_FRAME_CUT)
            header->last = (adr_position_t){ adr_get_u64 (content), adr_get_u64 (content + 8) };
        else if (frame[4] == ADR_FRAME_COPY) { /* [STORE-8] */
            adr_place_t place = { header->segment, header->offset + at, (uint32_t) frame_size, 0 };
            adr_place_formed (self, &place, header->number);
        } else {
            adr_position_t position = { adr_get_u64 (content + 8), adr_get_u64 (content + 16) };
            if (frame[4] == ADR_FRAME_ENTRY) {
                header->last = position;
                if (header->first.index == 0 || position.index <= header->first.index)
                    header->first = position;
            }
            if (position.term > term)
                term = position.term;
            bool live = position.index > self->log.start.index && position.index <= self->log.last.index;
            adr_item_t *item = live ? adr_log_item (&self->log, position.index) : NULL;
            if (item && !item->missing && item->segment == 0 && item->offset == at) {
                item->segment = (uint32_t) header->segment;
                item->offset = (uint32_t) (header->offset + at);
            }
        }
        at += frame_size;
    }
    job->note_term = term > self->journal.noted_term ? term : 0;
}

/* Moves what does not go with this batch to the new open one, and the places of its entries along. */
static void
s_keep_rest (adr_store_t *self, adr_buffer_t *from, size_t taken)
{
    adr_buffer_t *open = &self->journal.open;
    adr_buffer_grow (open, ADR_BATCH_HEADER_SIZE);
    adr_buffer_append (open, from->data + taken, from->size - taken);
    size_t moved = taken - ADR_BATCH_HEADER_SIZE;
    for (size_t at = taken; at < from->size; at += ADR_FRAME_HEADER_SIZE + adr_get_u32 (from->data + at)) {
        if (from->data[at + 4] == ADR_FRAME_CUT || from->data[at + 4] == ADR_FRAME_COPY)
            continue;
        uint64_t index = adr_get_u64 (from->data + at + ADR_FRAME_HEADER_SIZE + 16);
        if (index <= self->log.start.index || index > self->log.last.index)
            continue;
        adr_item_t *item = adr_log_item (&self->log, index);
        if (!item->missing && item->segment == 0 && item->offset == at)
            item->offset = (uint32_t) (at - moved);
    }
    from->size = taken;
}

/* How much of the log at this batch's end still stands: a cut that waits in the rest takes away what lies above it,
 * so that is neither durable nor committed, whatever has been told since. */
static uint64_t
s_standing (const adr_store_t *self, uint64_t index)
{
    const adr_buffer_t *rest = &self->journal.open;
    for (size_t at = ADR_BATCH_HEADER_SIZE; at < rest->size; at += ADR_FRAME_HEADER_SIZE + adr_get_u32 (rest->data + at))
        if (rest->data[at + 4] == ADR_FRAME_CUT) {
            uint64_t cut = adr_get_u64 (rest->data + at + ADR_FRAME_HEADER_SIZE + 8);
            index = cut < index ? cut : index;
        }
    return index;
}

/* [STORE-11] Prepared segments that batches leave alone: the last one is the next start's, which copies the tail there.
 * Always, because a disk may be full before anybody knows it. */
static uint64_t
s_kept_segments (void)
{
    return ADR_PLANT (STORE_11_NOTHING_KEPT) ? 0 : 1;
}

uint64_t
adr_journal_left (const adr_store_t *self)
{
    const adr_journal_t *journal = &self->journal;
    const adr_segment_t *segment = &journal->segment[journal->current - journal->first_segment];
    uint64_t left = segment->size - journal->offset;
    for (uint64_t number = journal->current + 1; number + s_kept_segments () <= journal->newest; number++)
        left += journal->segment[number - journal->first_segment].size - ADR_SEGMENT_FIRST;
    return left;
}

/* Goes on to the next segment, if one is prepared. */
static bool
s_next_segment (adr_store_t *self)
{
    adr_journal_t *journal = &self->journal;
    if (journal->current + s_kept_segments () >= journal->newest)
        return false;
    adr_journal_segment (self, journal->current)->used = journal->offset;
    journal->current++;
    journal->offset = ADR_SEGMENT_FIRST;
    adr_assert (adr_journal_segment (self, journal->current)->readable);
    return true;
}

/* How many bytes of the open batch go now, in the segment where batches go now; 0: not even its first frame. */
static size_t
s_taken (const adr_store_t *self, const adr_segment_t *segment)
{
    const adr_journal_t *journal = &self->journal;
    uint64_t limit = segment->size - journal->offset;
    if (limit > self->batch_max + ADR_BATCH_HEADER_SIZE)
        limit = self->batch_max + ADR_BATCH_HEADER_SIZE;
    if (limit < ADR_BATCH_HEADER_SIZE)
        return 0;
    size_t taken = s_fitting (&journal->open, (size_t) limit);
    return taken > ADR_BATCH_HEADER_SIZE || journal->open.size == ADR_BATCH_HEADER_SIZE ? taken : 0;
}

static void
s_seal_size (adr_job_t *job)
{
    job->header.payload_size = (uint32_t) (job->bytes.size - ADR_BATCH_HEADER_SIZE);
    size_t padded = (size_t) adr_batch_room (job->header.payload_size);
    size_t more = padded - job->bytes.size;
    if (more)
        memset (adr_buffer_grow (&job->bytes, more), 0, more);
    memset (job->bytes.data, 0, ADR_BATCH_HEADER_SIZE);
}

static void
s_form (adr_store_t *self, size_t taken)
{
    adr_journal_t *journal = &self->journal;
    adr_job_t *job = &self->batch;
    adr_segment_t *segment = adr_journal_segment (self, journal->current);
    adr_buffer_t swap = job->bytes;
    job->bytes = journal->open;
    journal->open = swap;
    journal->open.size = 0;
    job->header = (adr_batch_header_t){
        .segment = journal->current, .offset = journal->offset, .number = journal->next_batch++,
        .durable = ADR_PLANT (STORE_2_NO_WITNESS) ? 0 : journal->durable_batch,
        .before = journal->end, .last = journal->end
    };
    memcpy (job->header.previous, journal->digest, sizeof job->header.previous);
    s_place_frames (self, job, taken); /* before the rest moves: an offset names one frame only until then */
    if (taken < job->bytes.size)
        s_keep_rest (self, &job->bytes, taken);
    uint64_t standing = s_standing (self, job->header.last.index);
    job->header.commit = self->commit < standing ? self->commit : standing;
    s_seal_size (job);
    job->salt = segment->salt;
    if (segment->first_batch == 0)
        segment->first_batch = job->header.number;
    journal->end = job->header.last;
    journal->offset += job->bytes.size;
    job->last_index = standing;
    job->refilled_from = journal->refilled_from;
    job->refilled_to = journal->refilled_to;
    if (journal->open.size == 0)
        journal->refilled_from = journal->refilled_to = 0;
}

/* Empty batches have no entries to witness; those with entries do within ten idle milliseconds [STORE-2]. */
static bool
s_witness_is_due (adr_journal_t *journal, int64_t now_ns)
{
    if (!journal->witness_due)
        return false;
    if (journal->witness_at == 0)
        journal->witness_at = now_ns + S_WITNESS_NS;
    return now_ns >= journal->witness_at;
}

bool
adr_journal_batch_next (adr_store_t *self, int64_t now_ns)
{
    adr_journal_t *journal = &self->journal;
    if (self->batch.kind != ADR_JOB_NONE || adr_sync_holds_batches (self))
        return false;
    s_cut_flush (journal);
    if (journal->open.size == 0) {
        if (!s_witness_is_due (journal, now_ns))
            return false;
        adr_buffer_grow (&journal->open, ADR_BATCH_HEADER_SIZE);
    }
    size_t taken = s_taken (self, adr_journal_segment (self, journal->current));
    if (taken == 0) {
        if (!s_next_segment (self)) {
            ADR_MARK ("store: no segment is prepared");
            if (journal->open.size == ADR_BATCH_HEADER_SIZE) {
                journal->open.size = 0;
                journal->witness_at = now_ns + S_WITNESS_RETRY_NS;
            }
            return false;
        }
        taken = s_taken (self, adr_journal_segment (self, journal->current));
        adr_assert (taken > 0);
    }
    s_form (self, taken);
    adr_job_t *job = &self->batch;
    job->kind = ADR_JOB_BATCH;
    job->job = (adr_store_job_t){ .lane = ADR_LANE_SYNC, .name = "batch", .segment = job->header.segment,
                                  .offset = job->header.offset,
                                  .data = adr_bytes (job->bytes.data, job->bytes.size) };
    return true;
}

void
adr_journal_batch_done (adr_store_t *self)
{
    adr_journal_t *journal = &self->journal;
    adr_job_t *job = &self->batch;
    journal->durable_batch = job->header.number;
    memcpy (journal->digest, job->digest, sizeof journal->digest);
    if (job->last_index > journal->durable_index)
        journal->durable_index = job->last_index;
    if (job->note_term > journal->noted_term)
        journal->noted_term = job->note_term;
    journal->witness_due = job->header.payload_size > 0;
    journal->witness_at = 0;
    uint64_t from = job->refilled_from, to = job->refilled_to;
    job->refilled_from = job->refilled_to = 0;
    job->kind = ADR_JOB_NONE;
    for (uint64_t index = from; from && index <= to && index <= self->applied.index; index++)
        adr_store_repoint (self, index);
    if (job->bytes.room > 2 * ADR_BATCH_MAX) /* a burst's memory is not kept for ever */
        adr_buffer_free (&job->bytes);
    job->bytes.size = 0;
}

/* --- reading ----------------------------------------------------------------------------------------------- */

/* Bytes of a segment, through the window if they are to be read ahead. NULL if the disk refuses. */
static const uint8_t *
s_bytes_at (adr_store_t *self, const adr_place_t *place, bool ahead)
{
    adr_window_t *window = &self->window;
    if (ahead && window->segment == place->segment && place->offset >= window->offset
        && place->offset + place->size <= window->offset + window->size)
        return window->data + (place->offset - window->offset);
    const adr_segment_t *segment = adr_journal_segment (self, place->segment);
    if (ahead && place->size <= ADR_WINDOW_SIZE) {
        uint64_t size = segment->size - place->offset;
        if (size > ADR_WINDOW_SIZE)
            size = ADR_WINDOW_SIZE;
        if (!window->data)
            window->data = adr_alloc (ADR_WINDOW_SIZE);
        window->size = 0;
        if (self->disk->read (self->disk, place->segment, place->offset, window->data, (size_t) size) == 0) {
            window->segment = place->segment;
            window->offset = place->offset;
            window->size = (size_t) size;
            return window->data;
        }
        ADR_MARK ("store: a read is tried again");
        self->read_retries++; /* [invariant 12] */
    }
    adr_buffer_clear (&self->scratch);
    uint8_t *at = adr_buffer_grow (&self->scratch, place->size);
    return self->disk->read (self->disk, place->segment, place->offset, at, place->size) == 0 ? at : NULL;
}

bool
adr_journal_read (adr_store_t *self, const adr_place_t *place, bool ahead, adr_frame_t *frame)
{
    const adr_segment_t *segment = adr_journal_segment (self, place->segment);
    if (!segment || !segment->readable || place->size < ADR_FRAME_HEADER_SIZE
        || place->size > ADR_ENTRY_MAX + ADR_FRAME_HEADER_SIZE || place->offset >= segment->size
        || segment->size - place->offset < place->size)
        return false;
    const uint8_t *at = s_bytes_at (self, place, ahead);
    bool sound = at && adr_frame_read (frame, adr_bytes (at, place->size), segment->salt, place->segment, place->offset)
        && frame->size == place->size;
    if (sound || !ahead)
        return sound;
    /* What was read ahead may be older than what was written there since. */
    self->window.size = 0;
    return adr_journal_read (self, place, false, frame);
}

bool
adr_journal_entry (adr_store_t *self, uint64_t index, bool ahead, adr_bytes_t *encoded)
{
    const adr_item_t *item = adr_log_item (&self->log, index);
    if (item->missing)
        return false;
    if (adr_log_cache_get (&self->log, item, encoded))
        return true;
    size_t size = item->size - ADR_FRAME_HEADER_SIZE;
    if (item->segment == 0) {
        *encoded = adr_bytes (self->journal.open.data + item->offset + ADR_FRAME_HEADER_SIZE, size);
        return true;
    }
    const adr_job_t *batch = &self->batch;
    if (batch->kind != ADR_JOB_NONE && item->segment == batch->header.segment
        && item->offset >= batch->header.offset) {
        *encoded = adr_bytes (batch->bytes.data + (item->offset - batch->header.offset) + ADR_FRAME_HEADER_SIZE,
                              size);
        return true;
    }
    adr_place_t place = { item->segment, item->offset, item->size, 0 };
    adr_frame_t frame;
    if (!adr_journal_read (self, &place, ahead, &frame)
        || (frame.kind != ADR_FRAME_ENTRY && frame.kind != ADR_FRAME_REFILL)
        || frame.content.size < ADR_ENTRY_HEADER_SIZE || adr_get_u64 (frame.content.data + 16) != index
        || adr_get_u64 (frame.content.data + 8) != item->term) {
        ADR_MARK ("store: a log entry cannot be read");
        return false;
    }
    *encoded = frame.content;
    return true;
}
