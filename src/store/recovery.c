/* SPDX-License-Identifier: MPL-2.0 */
/* What happens to a store before its node answers anybody: finds out what is here, and whether it is all.
 *
 * Owns: nothing that outlives it. Makes durable: the tail's copy, new segments, notes, a new incarnation.
 * Implements STORE-1 (the tail is copied and synced first), STORE-2 (torn or damaged), STORE-4 (amnesia), STORE-5
 * (damage is a missing copy), STORE-6 (the index only up to a recorded commit index).
 *
 *     notes missing, unreadable, foreign ------------------------------> amnesia
 *     no notes and nothing ever written -------------------------------> new
 *     scan -> chain (torn tail cut, damage marked) -> replay the log
 *          -> lost above the commit index, end below what is noted ----> amnesia
 *          -> copy the tail, sync, note -> replay the index ------------> opened; damaged if entries are missing */

#include "store/internal.h"

#include "core/actor.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#define S_SEGMENTS_MAX 65536 /* that are listed: a terabyte of segments of 16 MiB */
#define S_PEEK (1024 * 1024)
#define S_NOTE_JOURNAL_SIZE 80
#define S_RESERVE_LAG 3 /* segments that the noted one may be ahead of the last one written: two prepared, one begun */

typedef struct {
    adr_batch_header_t header;
    uint8_t digest[ADR_DIGEST_BATCH];
    bool good;        /* its frames are sound */
    bool header_lost; /* what its header says is not to be trusted either */
} s_batch_t;

typedef struct {
    adr_store_t *self;
    char *why;
    size_t why_size;
    uint64_t *number; /* of the segments that exist */
    size_t number_count;
    adr_note_segment_t note;
    adr_position_t start;
    adr_voters_t voters;
    uint64_t scan_segment, scan_batch;
    s_batch_t *batch;
    size_t count, room;
    uint64_t durable; /* highest batch that any batch knows to be durable */
    uint64_t commit;  /* highest commit index that any batch records */
    uint64_t term;    /* highest term that any batch carries */
    uint64_t last_segment; /* the last one with a batch */
    uint64_t made_segment; /* the last one that a recovery made: nothing goes before it any more */
    uint64_t *refilled; /* indexes of entries that took the place of lost ones */
    size_t refilled_count;
    adr_buffer_t peek;
    uint64_t peek_segment, peek_offset;
} s_recovery_t;

#define S_WHY(r, ...) snprintf ((r)->why, (r)->why_size, __VA_ARGS__)

/* --- notes ------------------------------------------------------------------------------------------------- */

void
adr_note_segment_encode (const adr_note_segment_t *note, uint8_t at[ADR_NOTE_SEGMENT_SIZE])
{
    adr_put_u64 (at, note->first);
    adr_put_u64 (at + 8, note->newest);
    adr_put_u64 (at + 16, note->recovering);
}

size_t
adr_note_start_encode (const adr_job_t *start, uint8_t at[ADR_NOTE_START_SIZE])
{
    adr_put_u64 (at, start->start.term);
    adr_put_u64 (at + 8, start->start.index);
    adr_put_u64 (at + 16, start->scan_segment);
    adr_put_u64 (at + 24, start->scan_batch);
    adr_put_u64 (at + 32, start->voters.at.term);
    adr_put_u64 (at + 40, start->voters.at.index);
    return 48 + adr_voters_encode (&start->voters, at + 48);
}

typedef enum { S_NOTES_GOOD, S_NOTES_NONE, S_NOTES_BAD } s_notes_t;

static bool
s_note_u64 (adr_store_t *self, const char *name, uint64_t *value)
{
    uint8_t bytes[8];
    if (self->state->get (self->state, name, bytes, sizeof bytes) != (int) sizeof bytes)
        return false;
    *value = adr_get_u64 (bytes);
    return true;
}

static bool
s_note_start (s_recovery_t *r)
{
    uint8_t bytes[ADR_NOTE_START_SIZE];
    int size = r->self->state->get (r->self->state, ADR_NOTE_START, bytes, sizeof bytes);
    if (size < 48 || size > (int) sizeof bytes)
        return false;
    r->start = (adr_position_t){ adr_get_u64 (bytes), adr_get_u64 (bytes + 8) };
    r->scan_segment = adr_get_u64 (bytes + 16);
    r->scan_batch = adr_get_u64 (bytes + 24);
    r->voters.at = (adr_position_t){ adr_get_u64 (bytes + 32), adr_get_u64 (bytes + 40) };
    return adr_voters_decode (&r->voters, adr_bytes (bytes + 48, (size_t) size - 48));
}

static bool
s_note_segment (s_recovery_t *r)
{
    uint8_t bytes[ADR_NOTE_SEGMENT_SIZE];
    if (r->self->state->get (r->self->state, ADR_NOTE_SEGMENT, bytes, sizeof bytes) != (int) sizeof bytes)
        return false;
    r->note = (adr_note_segment_t){ adr_get_u64 (bytes), adr_get_u64 (bytes + 8), adr_get_u64 (bytes + 16) };
    return r->note.first > 0 && r->note.newest >= r->note.first && r->note.newest < UINT32_MAX - 8;
}

/* The fence is the replicator's note; absent in a node that was never fenced. */
static void
s_note_fence (adr_store_t *self)
{
    uint8_t bytes[64];
    if (self->state->get (self->state, ADR_NOTE_FENCE, bytes, sizeof bytes) >= 8)
        self->fence = adr_get_u64 (bytes);
}

static s_notes_t
s_notes_read (s_recovery_t *r)
{
    adr_store_t *self = r->self;
    uint8_t bytes[S_NOTE_JOURNAL_SIZE];
    int size = self->state->get (self->state, ADR_NOTE_JOURNAL, bytes, sizeof bytes);
    s_note_fence (self);
    (void) s_note_u64 (self, ADR_NOTE_BOOT, &self->boot);
    (void) s_note_u64 (self, ADR_NOTE_TERM, &self->journal.noted_term);
    if (size == -1)
        return S_NOTES_NONE;
    if (size != (int) sizeof bytes || self->boot == 0 || !s_note_segment (r) || !s_note_start (r)
        || !s_note_u64 (self, ADR_NOTE_TERM, &self->journal.noted_term)) {
        S_WHY (r, "the state environment is unreadable");
        return S_NOTES_BAD;
    }
    if (memcmp (bytes, self->options.cluster.bytes, ADR_ID_SIZE) != 0
        || memcmp (bytes + 16, self->options.group.bytes, ADR_ID_SIZE) != 0
        || memcmp (bytes + 32, self->options.node.bytes, ADR_ID_SIZE) != 0) {
        S_WHY (r, "the state environment belongs to another node");
        return S_NOTES_BAD;
    }
    memcpy (self->journal.id.bytes, bytes + 48, ADR_ID_SIZE);
    self->incarnation = adr_get_u64 (bytes + 64);
    self->journal.first_segment = r->note.first;
    return S_NOTES_GOOD;
}

/* --- scanning ---------------------------------------------------------------------------------------------- */

/* Bytes of a segment, lent until the next call; NULL where the disk refuses. */
static const uint8_t *
s_peek (s_recovery_t *r, uint64_t segment, uint64_t size_of_segment, uint64_t offset, uint64_t size)
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

/* Reads whichever copy of the header is sound, whatever journal it names. */
static bool
s_header_read (s_recovery_t *r, uint64_t number, adr_segment_header_t *header)
{
    uint64_t size;
    if (r->self->disk->size (r->self->disk, number, &size) != 0 || size < ADR_SEGMENT_FIRST)
        return false;
    for (uint64_t copy = 0; copy < ADR_SEGMENT_HEADER_COPIES; copy++) {
        const uint8_t *at = s_peek (r, number, size, copy * ADR_BLOCK, ADR_SEGMENT_HEADER_SIZE);
        if (at && adr_segment_header_decode (header, at) && header->number == number && header->size <= size)
            return true;
    }
    return false;
}

static bool
s_header_is_ours (const adr_store_t *self, const adr_segment_header_t *header)
{
    return adr_id_equal (&header->journal, &self->journal.id) && adr_id_equal (&header->node, &self->options.node)
        && header->incarnation == self->incarnation;
}

static void
s_batch_push (s_recovery_t *r, const s_batch_t *batch)
{
    if (r->count == r->room) {
        r->room = r->room ? r->room * 2 : 256;
        r->batch = adr_realloc (r->batch, r->room * sizeof *r->batch);
    }
    r->batch[r->count++] = *batch;
}

/* Reads the batch that stands there; false if there is no sound header. */
static bool
s_batch_read (s_recovery_t *r, const adr_segment_header_t *segment, uint64_t offset, s_batch_t *batch)
{
    const uint8_t *at = s_peek (r, segment->number, segment->size, offset, ADR_BATCH_HEADER_SIZE);
    if (!at || !adr_batch_header_decode (&batch->header, segment->salt, segment->number, offset, at)
        || batch->header.payload_size > segment->size - offset - ADR_BATCH_HEADER_SIZE)
        return false;
    adr_batch_digest (at, batch->digest);
    batch->header_lost = false;
    uint64_t size = ADR_BATCH_HEADER_SIZE + (uint64_t) batch->header.payload_size;
    at = s_peek (r, segment->number, segment->size, offset, size);
    batch->good = at && adr_frames_check (&batch->header, at + ADR_BATCH_HEADER_SIZE, segment->salt);
    return true;
}

/* Finds the segment's batches, hunting on from block to block where there is none: what follows a bad one tells
 * whether it was torn or damaged [STORE-2]. */
static void
s_scan_segment (s_recovery_t *r, const adr_segment_header_t *segment)
{
    uint64_t offset = ADR_SEGMENT_FIRST;
    while (segment->size - offset >= ADR_BLOCK) {
        s_batch_t batch;
        if (s_batch_read (r, segment, offset, &batch)) {
            s_batch_push (r, &batch);
            offset += adr_batch_room (batch.header.payload_size);
            if (offset > segment->size)
                offset = segment->size;
        } else
            offset += ADR_BLOCK;
    }
}

/* What earlier segments hold from that batch on was copied, or cut, by the recovery that made this segment. */
static void
s_supersede (s_recovery_t *r, uint64_t first_batch)
{
    while (first_batch && r->count > 0 && r->batch[r->count - 1].header.number >= first_batch)
        r->count--;
}

static bool
s_exists (const s_recovery_t *r, uint64_t number)
{
    for (size_t i = 0; i < r->number_count; i++)
        if (r->number[i] == number)
            return true;
    return false;
}

static void
s_scan (s_recovery_t *r)
{
    adr_store_t *self = r->self;
    for (uint64_t number = r->note.first; number <= r->note.newest; number++) {
        adr_segment_t *segment = adr_journal_segment_add (self, number);
        adr_segment_header_t header;
        *segment = (adr_segment_t){ 0 };
        if (number == r->note.recovering || !s_header_read (r, number, &header)
            || !s_header_is_ours (self, &header))
            continue;
        *segment = (adr_segment_t){ .salt = header.salt, .size = header.size, .readable = true,
                                    .first_batch = header.first_batch };
        if (header.first_batch)
            r->made_segment = number;
        if (number < r->scan_segment)
            continue;
        s_supersede (r, header.first_batch);
        size_t before = r->count;
        s_scan_segment (r, &header);
        if (r->count > before) {
            r->last_segment = number;
            if (segment->first_batch == 0)
                segment->first_batch = r->batch[before].header.number;
        }
    }
}

/* Segments that the state environment does not know: made, but not yet noted, and empty; or the environment is older
 * than the journal. */
static bool
s_unnoted_hold_batches (s_recovery_t *r)
{
    size_t kept = r->count;
    bool found = false;
    for (size_t i = 0; i < r->number_count; i++) {
        adr_segment_header_t header;
        bool unnoted = r->number[i] > r->note.newest || r->number[i] < r->note.first;
        if (unnoted && s_header_read (r, r->number[i], &header)) {
            s_scan_segment (r, &header);
            found = found || r->count > kept;
            r->count = kept;
        }
    }
    return found;
}

/* --- the chain --------------------------------------------------------------------------------------------- */

static void
s_witness (s_recovery_t *r)
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
static void
s_chain (s_recovery_t *r)
{
    size_t kept = 0;
    uint64_t expected = r->scan_batch;
    for (size_t i = 0; i < r->count; i++) {
        s_batch_t *batch = &r->batch[i];
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

/* --- replaying the log ------------------------------------------------------------------------------------- */

/* Batches before this one are lost altogether. Where its `before` is an entry that is here, nothing of the log is
 * missing; else everything above the last commit index recorded until then may have been replaced. */
static bool
s_bridge (s_recovery_t *r, adr_position_t before, uint64_t commit)
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
s_replay_lost (s_recovery_t *r, const adr_batch_header_t *header)
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
s_replay_entry (s_recovery_t *r, const adr_frame_t *frame, uint64_t segment, uint64_t offset)
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
s_replay_cut (s_recovery_t *r, const adr_frame_t *frame)
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
s_replay_batch (s_recovery_t *r, const s_batch_t *batch)
{
    const adr_batch_header_t *header = &batch->header;
    const adr_segment_t *segment = adr_journal_segment (r->self, header->segment);
    const uint8_t *payload = s_peek (r, header->segment, segment->size, header->offset + ADR_BATCH_HEADER_SIZE,
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
static bool
s_replay (s_recovery_t *r)
{
    uint64_t expected = r->scan_batch, commit = r->start.index;
    adr_log_reset (&r->self->log, r->start, &r->voters);
    for (size_t i = 0; i < r->count; i++) {
        const s_batch_t *batch = &r->batch[i];
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

static uint64_t
s_last_missing (const adr_log_t *log)
{
    for (uint64_t index = log->last.index; log->missing_count && index > log->start.index; index--)
        if (adr_log_item (log, index)->missing)
            return index;
    return 0;
}

/* --- the index --------------------------------------------------------------------------------------------- */

typedef enum { S_INDEX_GOOD, S_INDEX_NONE, S_INDEX_BAD } s_index_t;

static s_index_t
s_index_read (s_recovery_t *r)
{
    adr_store_t *self = r->self;
    uint8_t bytes[ADR_META_APPLIED_SIZE];
    size_t size = 0;
    int error = self->index->get_meta (self->index, ADR_META_APPLIED, bytes, sizeof bytes, &size);
    if (error == ENOENT)
        return S_INDEX_NONE;
    if (error || size != sizeof bytes || memcmp (bytes, self->journal.id.bytes, ADR_ID_SIZE) != 0)
        return S_INDEX_BAD;
    self->index_applied = (adr_position_t){ adr_get_u64 (bytes + 16), adr_get_u64 (bytes + 24) };
    return S_INDEX_GOOD;
}

/* --- ways out ---------------------------------------------------------------------------------------------- */

static adr_store_opening_t
s_failed (s_recovery_t *r, const char *what, int error)
{
    S_WHY (r, "%s failed (error %d) -> the store cannot be opened", what, error);
    return ADR_STORE_FAILED;
}

/* Writes everything that makes a store exist in one commit, the last step of its making [STORE-4]. */
static int
s_notes_write_all (s_recovery_t *r)
{
    adr_store_t *self = r->self;
    uint8_t journal[S_NOTE_JOURNAL_SIZE] = { 0 }, segment[ADR_NOTE_SEGMENT_SIZE], term[8], boot[8];
    uint8_t start[ADR_NOTE_START_SIZE];
    memcpy (journal, self->options.cluster.bytes, ADR_ID_SIZE);
    memcpy (journal + 16, self->options.group.bytes, ADR_ID_SIZE);
    memcpy (journal + 32, self->options.node.bytes, ADR_ID_SIZE);
    memcpy (journal + 48, self->journal.id.bytes, ADR_ID_SIZE);
    adr_put_u64 (journal + 64, self->incarnation);
    self->entropy->fill (self->entropy, journal + 72, 8); /* the stamp of ELECT-7 */
    adr_note_segment_encode (&(adr_note_segment_t){ self->journal.first_segment, self->journal.newest, 0 }, segment);
    adr_put_u64 (term, self->journal.noted_term);
    adr_put_u64 (boot, self->boot);
    adr_job_t fresh = { .voters = self->options.founding, .scan_segment = self->journal.first_segment,
                        .scan_batch = 1 };
    size_t start_size = adr_note_start_encode (&fresh, start);
    adr_state_put_t put[] = { { ADR_NOTE_JOURNAL, adr_bytes (journal, sizeof journal) },
                              { ADR_NOTE_SEGMENT, adr_bytes (segment, sizeof segment) },
                              { ADR_NOTE_TERM, adr_bytes (term, sizeof term) },
                              { ADR_NOTE_START, adr_bytes (start, start_size) },
                              { ADR_NOTE_BOOT, adr_bytes (boot, sizeof boot) } };
    return self->state->put (self->state, put, sizeof put / sizeof put[0]);
}

static int
s_segment_begin (s_recovery_t *r, uint64_t number, uint64_t size, uint64_t first_batch, bool exists)
{
    adr_store_t *self = r->self;
    adr_segment_header_t header;
    adr_journal_segment_header (self, &header, number, size, first_batch);
    int error = exists ? 0 : self->disk->create (self->disk, number, size);
    if (!error)
        error = adr_journal_segment_write (self, &header);
    *adr_journal_segment_add (self, number) = (adr_segment_t){ .salt = header.salt, .size = size, .readable = true,
                                                               .first_batch = first_batch };
    return error;
}

/* A store without a past: one segment, an empty index, then the notes. */
static adr_store_opening_t
s_make (s_recovery_t *r, uint64_t incarnation, adr_store_opening_t opening)
{
    adr_store_t *self = r->self;
    self->incarnation = incarnation;
    while (self->incarnation == 0)
        self->entropy->fill (self->entropy, &self->incarnation, sizeof self->incarnation);
    self->entropy->fill (self->entropy, &self->journal.id, sizeof self->journal.id);
    self->boot++;
    adr_log_reset (&self->log, (adr_position_t){ 0, 0 }, &self->options.founding);
    self->commit = 0;
    self->applied = self->index_applied = (adr_position_t){ 0, 0 };
    adr_journal_t *journal = &self->journal;
    free (journal->segment);
    journal->segment = NULL;
    journal->segment_room = 0;
    journal->durable_index = 0;
    journal->first_segment = journal->newest = journal->current = 1;
    journal->offset = ADR_SEGMENT_FIRST;
    journal->next_batch = 1;
    int error = s_segment_begin (r, 1, self->options.segment_bytes, 1, false);
    if (!error)
        error = self->disk->sync (self->disk, 1);
    if (error)
        return s_failed (r, "making the first segment", error);
    if ((error = s_notes_write_all (r)) != 0)
        return s_failed (r, "making the state environment", error);
    return opening;
}

static adr_store_opening_t
s_new (s_recovery_t *r)
{
    adr_store_t *self = r->self;
    for (size_t i = 0; i < r->number_count; i++) {
        int error = self->disk->remove (self->disk, r->number[i]); /* nothing was ever written to it */
        if (error)
            return s_failed (r, "removing an empty segment", error);
    }
    S_WHY (r, "nothing was here -> a new store");
    return s_make (r, self->options.first_incarnation, ADR_STORE_NEW);
}

/* [STORE-4] What was acknowledged or voted may be forgotten: what is left is set aside, and who comes back is
 * somebody new. `why` says already what was found. */
static adr_store_opening_t
s_amnesia (s_recovery_t *r)
{
    adr_store_t *self = r->self;
    ADR_MARK ("store: amnesia");
    for (size_t i = 0; i < r->number_count; i++) {
        int error = self->disk->set_aside (self->disk, r->number[i]);
        if (error)
            return s_failed (r, "setting a segment aside", error);
    }
    int error = self->index->reset (self->index);
    if (error)
        return s_failed (r, "setting the index aside", error);
    size_t used = strlen (r->why);
    snprintf (r->why + used, r->why_size - used, " -> a new incarnation; the old journal is set aside");
    uint64_t old = self->incarnation;
    adr_store_opening_t opening = s_make (r, 0, ADR_STORE_AMNESIA);
    adr_assert (opening == ADR_STORE_FAILED || self->incarnation != old);
    return opening;
}

/* --- the tail ---------------------------------------------------------------------------------------------- */

/* Writes one batch of the tail again, sealed for its new place. */
static int
s_copy_batch (s_recovery_t *r, s_batch_t *batch, const uint8_t *previous)
{
    adr_store_t *self = r->self;
    adr_journal_t *journal = &self->journal;
    adr_batch_header_t old = batch->header;
    const adr_segment_t *from = adr_journal_segment (self, old.segment);
    const adr_segment_t *to = adr_journal_segment (self, journal->current);
    uint64_t size = adr_batch_room (old.payload_size);
    const uint8_t *at = s_peek (r, old.segment, from->size, old.offset, ADR_BATCH_HEADER_SIZE + old.payload_size);
    if (!at)
        return EIO;
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
        uint64_t index = adr_get_u64 (copy.data + frame + ADR_FRAME_HEADER_SIZE + 16);
        if (copy.data[frame + 4] == ADR_FRAME_CUT || index <= self->log.start.index || index > self->log.last.index)
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
s_tail_begin (const s_recovery_t *r)
{
    size_t tail = r->count;
    while (tail > 0 && r->batch[tail - 1].header.number > r->durable)
        tail--;
    return tail;
}

static int
s_note_recovery (s_recovery_t *r, uint64_t newest, uint64_t recovering)
{
    adr_store_t *self = r->self;
    uint8_t segment[ADR_NOTE_SEGMENT_SIZE], boot[8];
    adr_note_segment_encode (&(adr_note_segment_t){ r->note.first, newest, recovering }, segment);
    adr_put_u64 (boot, self->boot);
    adr_state_put_t put[] = { { ADR_NOTE_SEGMENT, adr_bytes (segment, sizeof segment) },
                              { ADR_NOTE_BOOT, adr_bytes (boot, sizeof boot) } };
    return self->state->put (self->state, put, 2);
}

static int
s_copy_tail (s_recovery_t *r, size_t tail, bool exists, uint64_t size)
{
    adr_store_t *self = r->self;
    adr_journal_t *journal = &self->journal;
    int error = s_segment_begin (r, journal->current, size, journal->next_batch, exists);
    for (size_t i = tail; i < r->count && !error; i++) {
        error = s_copy_batch (r, &r->batch[i], journal->digest);
        memcpy (journal->digest, r->batch[i].digest, sizeof journal->digest);
        journal->next_batch = r->batch[i].header.number + 1;
        journal->witness_due = r->batch[i].header.payload_size > 0;
    }
    return error ? error : self->disk->sync (self->disk, journal->current);
}

/* [STORE-1] Nobody is answered before what may stand in the page cache alone is in a new segment and synced. The
 * note that a recovery is at work there goes first, the note that it counts goes last. */
static int
s_secure_tail (s_recovery_t *r)
{
    adr_store_t *self = r->self;
    adr_journal_t *journal = &self->journal;
    size_t tail = s_tail_begin (r);
    uint64_t needed = ADR_SEGMENT_FIRST, size = 0;
    if (ADR_PLANT (STORE_1_NO_TAIL_COPY))
        tail = r->count;
    for (size_t i = tail; i < r->count; i++)
        needed += adr_batch_room (r->batch[i].header.payload_size);
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
    bool exists = s_exists (r, journal->current) && self->disk->size (self->disk, journal->current, &size) == 0
        && size >= needed && size >= self->options.segment_bytes;
    if (!exists)
        size = needed > self->options.segment_bytes ? needed : self->options.segment_bytes;
    int error = s_note_recovery (r, journal->newest, journal->current);
    if (!error)
        error = s_copy_tail (r, tail, exists, size - size % ADR_BLOCK);
    if (!error)
        error = s_note_recovery (r, journal->newest, 0);
    journal->durable_batch = journal->next_batch - 1;
    journal->durable_index = self->log.last.index;
    journal->end = self->log.last;
    return error;
}

/* --- the index, from the log ------------------------------------------------------------------------------- */

/* [STORE-6] Up to the recorded commit index only: what lies above may still be taken back. */
static int
s_replay_index (s_recovery_t *r)
{
    adr_store_t *self = r->self;
    uint64_t end = ADR_PLANT (STORE_6_INDEX_TO_LOG_END) ? self->log.last.index : self->commit;
    if (self->log.missing_from && self->log.missing_from <= end)
        end = self->log.missing_from - 1;
    self->applied = self->index_applied;
    while (self->applied.index < end) {
        const adr_entry_t *entry;
        if (adr_store_apply (self, &entry) != ADR_STATUS_OK)
            return EIO;
        if (adr_memtable_bytes (self->active) >= self->options.flush_bytes) {
            int error = adr_store_flush_now (self);
            if (error)
                return error;
        }
    }
    /* Rows that the index holds of entries that were lost since still name the damaged place. */
    for (size_t i = 0; i < r->refilled_count; i++)
        if (r->refilled[i] <= self->index_applied.index)
            adr_store_repoint (self, r->refilled[i]);
    return 0;
}

/* --- all of it --------------------------------------------------------------------------------------------- */

static int
s_remove_unnoted (s_recovery_t *r)
{
    for (size_t i = 0; i < r->number_count; i++)
        if (r->number[i] > r->note.newest) {
            int error = r->self->disk->remove (r->self->disk, r->number[i]);
            if (error)
                return error;
        }
    return 0;
}

/* Reads the index's applied index; where it cannot be trusted, or lies before the log's start, everything is read
 * again from the first segment on. */
static int
s_open_index (s_recovery_t *r)
{
    adr_store_t *self = r->self;
    s_index_t found = s_index_read (r);
    if (found == S_INDEX_GOOD && self->index_applied.index >= r->start.index)
        return 0;
    if (found == S_INDEX_NONE && r->start.index == 0)
        return 0;
    ADR_MARK ("store: the index is rebuilt");
    self->index_applied = (adr_position_t){ 0, 0 };
    r->start = (adr_position_t){ 0, 0 };
    r->voters = self->options.founding;
    r->scan_segment = r->note.first;
    r->scan_batch = 1;
    return found == S_INDEX_NONE ? 0 : self->index->reset (self->index);
}

/* A noted segment behind the last batch that cannot be read: nobody knows what it held. 0: there is none. */
static uint64_t
s_unreadable_end (const s_recovery_t *r)
{
    for (uint64_t number = r->last_segment + 1; number <= r->note.newest; number++)
        if (number != r->note.recovering && !adr_journal_segment (r->self, number)->readable)
            return number;
    return 0;
}

/* Something acknowledged may be gone, and cannot be bounded by the commit index [STORE-4, STORE-5]. */
static bool
s_is_forgotten (s_recovery_t *r)
{
    const adr_store_t *self = r->self;
    const adr_log_t *log = &self->log;
    uint64_t lost = s_last_missing (log), unreadable;
    if (r->term > self->journal.noted_term && !ADR_PLANT (STORE_4_TERM_UNNOTED))
        S_WHY (r, "the journal carries term %llu, the state environment knows of %llu only",
               (unsigned long long) r->term, (unsigned long long) self->journal.noted_term);
    else if (r->note.newest >= r->note.first + S_RESERVE_LAG && r->last_segment + S_RESERVE_LAG < r->note.newest)
        S_WHY (r, "the journal ends in segment %llu, the state environment notes %llu",
               (unsigned long long) r->last_segment, (unsigned long long) r->note.newest);
    else if ((unreadable = s_unreadable_end (r)) != 0)
        S_WHY (r, "segment %llu, where the journal may have ended, is unreadable", (unsigned long long) unreadable);
    else if (log->last.index < self->index_applied.index || (r->start.index && log->last.index == r->start.index))
        S_WHY (r, "the journal ends at index %llu, below what was applied", (unsigned long long) log->last.index);
    else if (lost > r->commit)
        S_WHY (r, "entries up to index %llu are lost, above the commit index %llu", (unsigned long long) lost,
               (unsigned long long) r->commit);
    else
        return false;
    return true;
}

static adr_store_opening_t
s_recover_noted (s_recovery_t *r)
{
    adr_store_t *self = r->self;
    int error = s_open_index (r);
    if (error)
        return s_failed (r, "setting the index aside", error);
    r->last_segment = r->note.first > 0 ? r->note.first - 1 : 0;
    if (s_unnoted_hold_batches (r)) {
        S_WHY (r, "the journal has batches in segments that the state environment does not know");
        return s_amnesia (r);
    }
    s_scan (r);
    s_witness (r);
    s_chain (r);
    if ((r->note.recovering && r->note.recovering <= r->last_segment) || !s_replay (r)) {
        S_WHY (r, "the journal contradicts itself");
        return s_amnesia (r);
    }
    if (s_is_forgotten (r))
        return s_amnesia (r);
    uint64_t term;
    if (adr_log_term_at (&self->log, self->index_applied.index, &term) && term != self->index_applied.term) {
        S_WHY (r, "the index was applied from another log");
        return s_amnesia (r);
    }
    if ((error = s_remove_unnoted (r)) != 0)
        return s_failed (r, "removing an empty segment", error);
    self->boot++;
    if ((error = s_secure_tail (r)) != 0)
        return s_failed (r, "copying the journal's tail", error);
    self->commit = r->commit > self->index_applied.index ? r->commit : self->index_applied.index;
    if (self->commit > self->log.last.index)
        self->commit = self->log.last.index;
    if ((error = s_replay_index (r)) != 0)
        return s_failed (r, "replaying the journal into the index", error);
    if (self->log.missing_from == 0)
        return ADR_STORE_OPENED;
    S_WHY (r, "%llu entries from index %llu on are damaged -> they are missing until a peer gives them",
           (unsigned long long) self->log.missing_count, (unsigned long long) self->log.missing_from);
    return ADR_STORE_DAMAGED;
}

static adr_store_opening_t
s_recover (s_recovery_t *r)
{
    adr_store_t *self = r->self;
    if (self->options.segment_bytes < 16 * ADR_BLOCK) {
        S_WHY (r, "segments of %llu bytes are too small", (unsigned long long) self->options.segment_bytes);
        return ADR_STORE_FAILED;
    }
    int error = self->disk->list (self->disk, r->number, S_SEGMENTS_MAX, &r->number_count);
    if (error)
        return s_failed (r, "listing the journal's segments", error);
    switch (s_notes_read (r)) {
    case S_NOTES_GOOD:
        return s_recover_noted (r);
    case S_NOTES_BAD:
        return s_amnesia (r);
    case S_NOTES_NONE:
        break;
    }
    /* The notes are written after the first segment and before the second. */
    if (r->number_count > 1 || s_unnoted_hold_batches (r) || s_index_read (r) != S_INDEX_NONE) {
        S_WHY (r, "the state environment is missing");
        return s_amnesia (r);
    }
    return s_new (r);
}

adr_store_opening_t
adr_store_recover (adr_store_t *self, char *why, size_t why_size)
{
    s_recovery_t r = { .self = self, .why = why, .why_size = why_size };
    r.number = adr_alloc (S_SEGMENTS_MAX * sizeof *r.number);
    adr_store_opening_t opening = s_recover (&r);
    if (opening != ADR_STORE_FAILED)
        (void) self->disk->space (self->disk, &self->free_bytes, &self->all_bytes);
    free (r.number);
    free (r.batch);
    free (r.refilled);
    adr_buffer_free (&r.peek);
    return opening;
}
