/* SPDX-License-Identifier: MPL-2.0 */
/* A recovery's replay: the log to its end, out of the batches that count, with holes where this copy has lost entries
 * [STORE-5, STORE-6].
 *
 * Owns: nothing that outlives it. Makes durable: nothing. */

#include "store/recovery.h"

#include "core/actor.h"

/* Batches before this one are lost altogether. Where its `before` is an entry that is here, nothing of the log is
 * missing; else everything above the last commit index recorded until then may have been replaced. */
static bool
s_bridge (adr_recovery_t *r, adr_position_t before, uint64_t commit)
{
    adr_log_t *log = &r->self->log;
    uint64_t term;
    if (before.index < log->start.index)
        return true;
    if (adr_log_term_at (log, before.index, &term) && term == before.term) {
        adr_log_cut (log, before.index);
        return true;
    }
    ADR_MARK ("store: entries are lost");
    uint64_t keep = commit < log->last.index ? commit : log->last.index;
    if (keep < log->start.index)
        keep = log->start.index;
    if (keep >= before.index)
        return false;
    adr_log_cut (log, keep);
    if (before.term < log->last.term)
        return false;
    adr_log_append_missing (log, before);
    return true;
}

/* Its frames are lost, but its header says what they were. */
static bool
s_replay_lost (adr_recovery_t *r, const adr_batch_header_t *header)
{
    adr_log_t *log = &r->self->log;
    if (header->last.index < log->start.index)
        return true;
    uint64_t keep = header->first.index ? header->first.index - 1 : header->last.index;
    if (keep < log->start.index)
        keep = log->start.index;
    if (keep < log->last.index)
        adr_log_cut (log, keep);
    if (header->last.index <= log->last.index)
        return true;
    ADR_MARK ("store: a batch's frames are lost");
    if (header->last.term < log->last.term)
        return false;
    adr_log_append_missing (log, header->last);
    return true;
}

static bool
s_is_empty (const adr_log_t *log)
{
    return log->last.index == log->start.index;
}

static bool
s_replay_entry (adr_recovery_t *r, const adr_frame_t *frame, uint64_t segment, uint64_t offset)
{
    adr_log_t *log = &r->self->log;
    adr_entry_t *entry = &r->self->entry;
    if (adr_entry_decode (entry, frame->content) != frame->content.size)
        return false;
    if (entry->term > r->term)
        r->term = entry->term;
    if (entry->index <= log->start.index || entry->term < log->start.term)
        return true; /* before the log's start, or replaced before it moved here */
    adr_item_t *item;
    if (frame->kind == ADR_FRAME_ENTRY) {
        if (entry->index != log->last.index + 1 || entry->term < log->last.term)
            return s_is_empty (log); /* a suffix that was replaced, whose beginning is in an older segment */
        item = adr_log_append (log, entry, frame->size);
    } else {
        item = adr_log_refill (log, entry, frame->size);
        if (!item)
            return true; /* it was not lost, as far as this recovery sees */
        r->refilled = adr_realloc (r->refilled, (r->refilled_count + 1) * sizeof *r->refilled);
        r->refilled[r->refilled_count++] = entry->index;
    }
    item->segment = (uint32_t) segment;
    item->offset = (uint32_t) offset;
    adr_log_cache_put (log, item, frame->content);
    return true;
}

static bool
s_replay_cut (adr_recovery_t *r, const adr_frame_t *frame)
{
    adr_log_t *log = &r->self->log;
    if (frame->content.size != ADR_CUT_SIZE)
        return false;
    uint64_t index = adr_get_u64 (frame->content.data + 8);
    if (index > log->last.index)
        return s_is_empty (log);
    adr_log_cut (log, index < log->start.index ? log->start.index : index);
    return true;
}

static bool
s_replay_batch (adr_recovery_t *r, const adr_scanned_t *batch)
{
    const adr_batch_header_t *header = &batch->header;
    const adr_segment_t *segment = adr_journal_segment (r->self, header->segment);
    const uint8_t *payload = adr_recovery_peek (r, header->segment, segment->size, header->offset + ADR_BATCH_HEADER_SIZE,
                                     header->payload_size);
    if (!payload)
        return false;
    for (uint32_t at = 0; at < header->payload_size;) {
        adr_frame_t frame;
        uint64_t offset = header->offset + ADR_BATCH_HEADER_SIZE + at;
        if (!adr_frame_read (&frame, adr_bytes (payload + at, header->payload_size - at), segment->salt,
                             header->segment, offset))
            return false;
        bool sound = true;
        switch (frame.kind) {
        case ADR_FRAME_ENTRY:
        case ADR_FRAME_REFILL:
            sound = s_replay_entry (r, &frame, header->segment, offset);
            break;
        case ADR_FRAME_CUT:
            sound = s_replay_cut (r, &frame);
            break;
        case ADR_FRAME_COPY:
            break; /* never log [STORE-8] */
        }
        if (!sound)
            return false;
        at += frame.size;
    }
    return true;
}

/* Rebuilds the log to its end [STORE-6]. False if what is here contradicts itself. */
bool
adr_recovery_replay (adr_recovery_t *r)
{
    uint64_t expected = r->scan_batch, commit = r->start.index;
    adr_log_reset (&r->self->log, r->start, &r->voters);
    for (size_t i = 0; i < r->count; i++) {
        const adr_scanned_t *batch = &r->batch[i];
        if (batch->header_lost)
            continue; /* a gap for the next one */
        if (batch->header.number > expected && !s_bridge (r, batch->header.before, commit))
            return false;
        if (batch->good ? !s_replay_batch (r, batch) : !s_replay_lost (r, &batch->header))
            return false;
        expected = batch->header.number + 1;
        if (batch->header.commit > commit)
            commit = batch->header.commit;
    }
    return true;
}

uint64_t
adr_recovery_last_missing (const adr_log_t *log)
{
    for (uint64_t index = log->last.index; log->missing_count && index > log->start.index; index--)
        if (adr_log_item (log, index)->missing)
            return index;
    return 0;
}
