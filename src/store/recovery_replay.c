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
    if (before.index < log->start.index || before.term < log->start.term)
        return true; /* before the log's start, or replaced before it moved here */
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
    if (header->last.index < log->start.index || header->last.term < log->start.term)
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

static void
s_note_origin (adr_recovery_t *r, const adr_scanned_frame_t *frame)
{
    size_t at = (size_t) (frame->index - r->self->log.start.index - 1);
    if (at >= r->origin_room) {
        r->origin_room = at < 512 ? 1024 : 2 * at;
        r->origin = adr_realloc (r->origin, r->origin_room * sizeof *r->origin);
    }
    r->origin[at] = frame->origin;
}

static bool
s_replay_entry (adr_recovery_t *r, const adr_scanned_frame_t *frame, uint64_t segment)
{
    adr_log_t *log = &r->self->log;
    adr_entry_t *entry = &r->self->entry;
    if (frame->term > r->term)
        r->term = frame->term;
    if (frame->index <= log->start.index || frame->term < log->start.term)
        return true; /* before the log's start, or replaced before it moved here */
    entry->kind = frame->voters_size ? ADR_ENTRY_VOTERS : ADR_ENTRY_WRITE;
    entry->term = frame->term;
    entry->index = frame->index;
    entry->op_count = 1;
    entry->op[0].value = adr_bytes (r->voters_values.data + frame->voters_at, frame->voters_size);
    adr_item_t *item;
    if (frame->kind == ADR_FRAME_ENTRY) {
        if (frame->index != log->last.index + 1 || frame->term < log->last.term)
            return s_is_empty (log); /* a suffix that was replaced, whose beginning is in an older segment */
        item = adr_log_append (log, entry, frame->size);
    } else {
        item = adr_log_refill (log, entry, frame->size);
        if (!item)
            return true; /* it was not lost, as far as this recovery sees */
        r->refilled = adr_realloc (r->refilled, (r->refilled_count + 1) * sizeof *r->refilled);
        r->refilled[r->refilled_count++] = frame->index;
    }
    item->segment = (uint32_t) segment;
    item->offset = frame->offset;
    s_note_origin (r, frame);
    return true;
}

static bool
s_replay_cut (adr_recovery_t *r, const adr_scanned_frame_t *frame)
{
    adr_log_t *log = &r->self->log;
    if (frame->index > log->last.index)
        return s_is_empty (log);
    adr_log_cut (log, frame->index < log->start.index ? log->start.index : frame->index);
    return true;
}

static bool
s_replay_batch (adr_recovery_t *r, const adr_scanned_t *batch)
{
    const adr_scanned_frame_t *frame = r->frame + batch->frame;
    for (uint32_t i = 0; i < batch->header.frame_count; i++, frame++) {
        bool sound = frame->is_sound;
        switch ((adr_frame_kind_t) frame->kind) {
        case ADR_FRAME_ENTRY:
        case ADR_FRAME_REFILL:
            sound = sound && s_replay_entry (r, frame, batch->header.segment);
            break;
        case ADR_FRAME_CUT:
            sound = sound && s_replay_cut (r, frame);
            break;
        case ADR_FRAME_COPY:
            break; /* never log [STORE-8] */
        }
        if (!sound)
            return false;
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
