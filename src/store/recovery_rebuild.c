/* SPDX-License-Identifier: MPL-2.0 */
/* A recovery's making of an index anew: the rows of all entries below the log's start, and of copies wherever they stand;
 * the log's own come by its replay. Of each record the newest version counts, of equal ones the later place.
 *
 * Owns: nothing that outlives it. Makes durable: rows of the index, and at the end that it need not be made again.
 * Assumes: the tail is copied, so that every place is synced [STORE-7]. Implements STORE-6, STORE-8 (copies are not log,
 * but rows), STORE-9. What cannot be read here is lost to this copy: rows, never entries of the log. */

#include "store/recovery.h"

#include "core/actor.h"

#include <errno.h>

static int
s_flush_if_due (adr_store_t *self)
{
    if (adr_memtable_bytes (self->active) < self->options.flush_bytes)
        return 0;
    if (self->frozen_count == 0)
        return adr_store_flush_now (self);
    return adr_memtable_bytes (self->active) >= self->options.memory_max_bytes ? ENOSPC : 0;
}

static int
s_put_op (adr_store_t *self, const adr_entry_t *entry, uint16_t at, adr_place_t place)
{
    const adr_op_t *op = &entry->op[at];
    adr_index_row_t old, row = { .version = { entry->epoch, entry->term, entry->index },
                                 .deleted = (op->flags & ADR_OP_DELETE) != 0, .place = place,
                                 .value_size = (uint32_t) op->value.size, .time_ms = entry->time_ms };
    if (op->flags & ADR_OP_PURGE) { /* [STORE-9] a copy of the tombstone behind it brings that back: such an index is compared */
        adr_store_put_purge (self, op);
        return 0;
    }
    memcpy (row.digest, op->digest, sizeof row.digest);
    row.place.op = at;
    int error = adr_store_row (self, op->table, op->key, &old);
    if (error && error != ENOENT)
        return error;
    if (error == ENOENT || adr_version_compare (&old.version, &row.version) <= 0)
        adr_memtable_put (self->active, op->table, op->key, &row, UINT64_MAX);
    return 0;
}

/* [STORE-6] An entry counts if the log had it when its start passed it; a copy was a row when it was made. */
static bool
s_counts (const adr_recovery_t *r, const adr_frame_t *frame, const adr_entry_t *entry)
{
    if (frame->kind == ADR_FRAME_COPY)
        return true;
    return entry->index <= r->start.index
        && adr_history_is_genuine (&r->self->history, (adr_position_t){ entry->term, entry->index });
}

static int
s_frame (adr_recovery_t *r, const adr_frame_t *frame, adr_place_t place)
{
    adr_store_t *self = r->self;
    adr_entry_t *entry = &self->entry;
    if (frame->kind == ADR_FRAME_CUT || adr_entry_decode (entry, frame->content) != frame->content.size
        || !s_counts (r, frame, entry))
        return 0;
    int error = 0;
    for (uint32_t i = 0; i < entry->op_count && !error; i++)
        error = s_put_op (self, entry, (uint16_t) i, place);
    return error ? error : s_flush_if_due (self);
}

/* All sound frames of a batch up to the first that is not. */
static int
s_batch (adr_recovery_t *r, const adr_batch_header_t *header)
{
    adr_store_t *self = r->self;
    adr_segment_t *segment = adr_journal_segment (self, header->segment);
    uint64_t size = ADR_BATCH_HEADER_SIZE + (uint64_t) header->payload_size;
    const uint8_t *at = adr_recovery_peek (r, header->segment, segment->size, header->offset, size);
    int error = 0;
    adr_frame_t frame;
    for (uint64_t done = ADR_BATCH_HEADER_SIZE; at && done < size && !error; done += frame.size) {
        uint64_t offset = header->offset + done;
        if (!adr_frame_read (&frame, adr_bytes (at + done, (size_t) (size - done)), segment->salt, header->segment,
                             offset))
            break;
        adr_segment_note (segment, frame.kind, frame.content.data, 0);
        error = s_frame (r, &frame, (adr_place_t){ header->segment, offset, frame.size, 0 });
    }
    return error;
}

/* What a killed process left unsynced at the end of a segment was copied then, and the copy is met later; until that the row may
 * name this place, in a transaction of its own if many come between [STORE-8]. */
static int
s_segment (adr_recovery_t *r, uint64_t number)
{
    adr_segment_t *segment = adr_journal_segment (r->self, number);
    int error = r->self->disk->sync (r->self->disk, number);
    segment->low_index = segment->copies_least = 0;
    for (uint64_t offset = ADR_SEGMENT_FIRST; offset + ADR_BLOCK <= segment->size && !error;) {
        adr_batch_header_t header;
        const uint8_t *at = adr_recovery_peek (r, number, segment->size, offset, ADR_BATCH_HEADER_SIZE);
        bool sound = at && adr_batch_header_decode (&header, segment->salt, number, offset, at)
            && header.payload_size <= segment->size - offset - ADR_BATCH_HEADER_SIZE;
        if (sound)
            error = s_batch (r, &header);
        offset += sound ? adr_batch_room (header.payload_size) : ADR_BLOCK;
    }
    return error;
}

/* Of the batches that the scan has found: those with copies, or with entries that the replay of the log passes by. */
static bool
s_is_of_interest (const adr_recovery_t *r, const adr_scanned_t *batch)
{
    for (uint32_t i = 0; batch->good && i < batch->header.frame_count; i++) {
        const adr_scanned_frame_t *frame = &r->frame[batch->frame + i];
        if (frame->kind == ADR_FRAME_COPY || (frame->kind != ADR_FRAME_CUT && frame->index <= r->start.index))
            return true;
    }
    return !batch->good && !batch->header_lost;
}

/* On a full disk the rows stay in memory, and the next start does it again. */
static int
s_end (adr_recovery_t *r)
{
    adr_store_t *self = r->self;
    int error = self->frozen_count ? 0 : adr_store_flush_now (self);
    if (error || self->frozen_count || !r->rebuild_noted)
        return error;
    /* Nothing is missing any more that the journal has. */
    uint8_t sync[ADR_NOTE_SYNC_SIZE];
    self->sync.lossy = self->sync_wanted.lossy = false;
    adr_sync_note_encode (&self->sync, sync);
    adr_state_put_t put = { ADR_NOTE_SYNC, adr_bytes (sync, sizeof sync) };
    if ((error = self->state->put (self->state, &put, 1)) != 0)
        return error;
    return adr_store_note_reindex (self, false);
}

int
adr_recovery_rebuild (adr_recovery_t *r)
{
    adr_store_t *self = r->self;
    int error = 0;
    self->applied = self->index_applied = r->start;
    for (uint64_t number = r->note.first; number < r->scan_segment && !error; number++)
        if (adr_journal_segment (self, number)->readable)
            error = s_segment (r, number);
    for (size_t i = 0; i < r->count && !error; i++)
        if (s_is_of_interest (r, &r->batch[i]))
            error = s_batch (r, &r->batch[i].header);
    bool is_new = r->start.index == 0 && !r->rebuild_noted && adr_memtable_count (self->active) == 0;
    return error || is_new ? error : s_end (r);
}
