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

#include "store/recovery.h"

#include "core/actor.h"

#include <errno.h>
#include <stdlib.h>

#define S_SEGMENTS_MAX 65536 /* that are listed: a terabyte of segments of 16 MiB */
#define S_RESERVE_LAG 5 /* segments that the noted one may be ahead of the last one written: four prepared, one begun */

/* --- the index --------------------------------------------------------------------------------------------- */

typedef enum { S_INDEX_GOOD, S_INDEX_NONE, S_INDEX_BAD } s_index_t;

static s_index_t
s_index_read (adr_recovery_t *r)
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
    self->index_generation = adr_get_u64 (bytes + 32);
    /* [STORE-8] An older copy of the index came back: segments that it names are gone. */
    return self->index_generation < r->generation || !adr_accounts_are_sound (self) ? S_INDEX_BAD : S_INDEX_GOOD;
}

/* --- ways out ---------------------------------------------------------------------------------------------- */

static adr_store_opening_t
s_failed (adr_recovery_t *r, const char *what, int error)
{
    ADR_WHY (r, "%s failed (error %d) -> the store cannot be opened", what, error);
    return ADR_STORE_FAILED;
}

/* A store without a past: one segment, an empty index, then the notes. */
static adr_store_opening_t
s_make (adr_recovery_t *r, uint64_t incarnation, adr_store_opening_t opening)
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
    journal->first_segment = journal->newest = journal->current = journal->seal_next = 1;
    journal->scan_segment = journal->scan_batch = journal->save_next = 1;
    adr_history_init (&self->history, 0);
    self->index_generation = self->gone_count = self->lost_segments = 0;
    self->was_rebuilt = false;
    journal->offset = ADR_SEGMENT_FIRST;
    journal->next_batch = 1;
    int error = adr_recovery_segment_begin (r, 1, self->options.segment_bytes, 1, false);
    if (!error)
        error = self->disk->sync (self->disk, 1);
    if (error)
        return s_failed (r, "making the first segment", error);
    if ((error = adr_recovery_notes_write (r)) != 0)
        return s_failed (r, "making the state environment", error);
    return opening;
}

static adr_store_opening_t
s_new (adr_recovery_t *r)
{
    adr_store_t *self = r->self;
    for (size_t i = 0; i < r->number_count; i++) {
        int error = self->disk->remove (self->disk, r->number[i]); /* nothing was ever written to it */
        if (error)
            return s_failed (r, "removing an empty segment", error);
    }
    ADR_WHY (r, "nothing was here -> a new store");
    return s_make (r, self->options.first_incarnation, ADR_STORE_NEW);
}

/* [STORE-4] What was acknowledged or voted may be forgotten: what is left is set aside, and who comes back is
 * somebody new. `why` says already what was found. */
static adr_store_opening_t
s_amnesia (adr_recovery_t *r)
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

/* --- the index, from the log ------------------------------------------------------------------------------- */

/* [STORE-6] Up to the recorded commit index only: what lies above may still be taken back. */
static int
s_replay_index (adr_recovery_t *r)
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
        bool due = adr_memtable_bytes (self->active) >= self->options.flush_bytes && self->frozen_count == 0;
        int error = due ? adr_store_flush_now (self) : 0;
        if (error)
            return error;
        if (self->frozen_count && adr_memtable_bytes (self->active) >= self->options.memory_max_bytes)
            return ENOSPC;
    }
    /* Rows that the index holds of entries that were lost since still name the damaged place. */
    for (size_t i = 0; i < r->refilled_count; i++)
        if (r->refilled[i] <= self->index_applied.index)
            adr_store_repoint (self, r->refilled[i]);
    return 0;
}

/* --- all of it --------------------------------------------------------------------------------------------- */

/* Made and not yet noted, or noted as removed and not yet gone [STORE-8]. */
static int
s_remove_unnoted (adr_recovery_t *r)
{
    for (size_t i = 0; i < r->number_count; i++)
        if (r->number[i] > r->note.newest || adr_recovery_is_removed (r, r->number[i])) {
            int error = r->self->disk->remove (r->self->disk, r->number[i]);
            if (error)
                return error;
        }
    return 0;
}

/* Reads the index's applied index; where it cannot be trusted, has rows that could not be read, or lies before the log's
 * start, it is made anew [STORE-6]: that is noted first, for it may take more than one start. */
static int
s_open_index (adr_recovery_t *r)
{
    adr_store_t *self = r->self;
    s_index_t found = adr_recovery_reindex_is_noted (r) ? S_INDEX_BAD : s_index_read (r);
    if (found == S_INDEX_GOOD && self->index_applied.index >= r->start.index)
        return 0;
    self->index_applied = r->start;
    self->index_generation = r->generation;
    r->rebuild = true;
    if (found == S_INDEX_NONE && r->start.index == 0)
        return 0; /* all that it ever held is in the log */
    ADR_MARK ("store: the index is rebuilt");
    int error = adr_recovery_note_rebuild (r);
    return error ? error : self->index->reset (self->index);
}

/* A noted segment where the journal ends, or behind that, which cannot be read to its end: nobody knows what it held.
 * 0: there is none. */
static uint64_t
s_unreadable_end (const adr_recovery_t *r)
{
    uint64_t number = r->last_segment < r->note.first ? r->note.first : r->last_segment;
    for (; number <= r->note.newest; number++) {
        const adr_segment_t *segment = adr_journal_segment (r->self, number);
        if (number != r->note.recovering && (!segment->readable || segment->cut_short))
            return number;
    }
    return 0;
}

/* [STORE-4] The state environment notes more segments than can have been prepared behind the last one that was begun:
 * by a batch, or by a recovery, which leaves it empty if there was nothing to copy. */
static bool
s_ends_too_early (const adr_recovery_t *r)
{
    uint64_t begun = r->last_segment > r->made_segment ? r->last_segment : r->made_segment;
    return r->note.newest >= r->note.first + S_RESERVE_LAG && begun + S_RESERVE_LAG < r->note.newest;
}

/* Something acknowledged may be gone, and cannot be bounded by the commit index [STORE-4, STORE-5]. */
static bool
s_is_forgotten (adr_recovery_t *r)
{
    const adr_store_t *self = r->self;
    const adr_log_t *log = &self->log;
    uint64_t lost = adr_recovery_last_missing (log), unreadable;
    if (r->term > self->journal.noted_term && !ADR_PLANT (STORE_4_TERM_UNNOTED))
        ADR_WHY (r, "the journal carries term %llu, the state environment knows of %llu only",
               (unsigned long long) r->term, (unsigned long long) self->journal.noted_term);
    else if (s_ends_too_early (r))
        ADR_WHY (r, "the journal ends in segment %llu, the state environment notes %llu",
               (unsigned long long) r->last_segment, (unsigned long long) r->note.newest);
    else if ((unreadable = s_unreadable_end (r)) != 0)
        ADR_WHY (r, "segment %llu, where the journal may have ended, is unreadable", (unsigned long long) unreadable);
    else if (log->last.index < self->index_applied.index
             || (r->start.index && log->last.index == r->start.index && self->sync.sync == ADR_SYNC_EXACT))
        ADR_WHY (r, "the journal ends at index %llu, below what was applied", (unsigned long long) log->last.index);
    else if (lost > r->commit)
        ADR_WHY (r, "entries up to index %llu are lost, above the commit index %llu", (unsigned long long) lost,
               (unsigned long long) r->commit);
    else
        return false;
    return true;
}

/* [REPAIR-5] While a copy is being made its index says nothing about the log, and may be ahead of it: the end of the
 * copying, which would have moved the log behind it, did not come. */
static void
s_distrust_index (adr_recovery_t *r)
{
    adr_store_t *self = r->self;
    uint64_t index = r->commit < self->log.last.index ? r->commit : self->log.last.index, term;
    if (index < self->index_applied.index && adr_log_term_at (&self->log, index, &term)) {
        ADR_MARK ("store: the end of a copying did not come");
        self->index_applied = (adr_position_t){ term, index };
    }
}

static adr_store_opening_t
s_recover_noted (adr_recovery_t *r)
{
    adr_store_t *self = r->self;
    int error = s_open_index (r);
    if (error)
        return s_failed (r, "opening the index", error);
    r->last_segment = r->note.first > 0 ? r->note.first - 1 : 0;
    if (adr_recovery_unnoted_hold_batches (r)) {
        ADR_WHY (r, "the journal has batches in segments that the state environment does not know");
        return s_amnesia (r);
    }
    adr_recovery_scan (r);
    if (!r->rebuild && (error = adr_accounts_load (self)) != 0)
        return s_failed (r, "reading the index", error);
    if (!r->rebuild)
        adr_place_count_doubts (self);
    adr_recovery_witness (r);
    adr_recovery_chain (r);
    if ((r->note.recovering && r->note.recovering <= r->last_segment) || !adr_recovery_replay (r)) {
        ADR_WHY (r, "the journal contradicts itself");
        return s_amnesia (r);
    }
    if (self->sync.sync == ADR_SYNC_COPYING)
        s_distrust_index (r);
    if (s_is_forgotten (r))
        return s_amnesia (r);
    uint64_t term;
    if (adr_log_term_at (&self->log, self->index_applied.index, &term) && term != self->index_applied.term) {
        ADR_WHY (r, "the index was applied from another log");
        return s_amnesia (r);
    }
    if ((error = s_remove_unnoted (r)) != 0)
        return s_failed (r, "removing an empty segment", error);
    self->boot++;
    if ((error = adr_recovery_secure_tail (r)) != 0)
        return s_failed (r, "copying the journal's tail", error);
    self->commit = r->commit > self->index_applied.index ? r->commit : self->index_applied.index;
    if (self->commit > self->log.last.index)
        self->commit = self->log.last.index;
    if ((r->rebuild || self->was_rebuilt) && (error = adr_recovery_note_replayed (r)) != 0)
        return s_failed (r, "noting what is replayed", error);
    if (r->rebuild && (error = adr_recovery_rebuild (r)) != 0)
        return s_failed (r, "making the index anew", error);
    if ((error = s_replay_index (r)) != 0)
        return s_failed (r, "replaying the journal into the index", error);
    if (self->log.missing_from == 0) {
        self->origin = r->origin;
        self->origin_count = self->log.last.index - self->log.start.index;
        r->origin = NULL;
        return ADR_STORE_OPENED;
    }
    ADR_WHY (r, "%llu entries from index %llu on are damaged -> they are missing until a peer gives them",
           (unsigned long long) self->log.missing_count, (unsigned long long) self->log.missing_from);
    return ADR_STORE_DAMAGED;
}

static adr_store_opening_t
s_recover (adr_recovery_t *r)
{
    adr_store_t *self = r->self;
    if (self->options.segment_bytes < 16 * ADR_BLOCK) {
        ADR_WHY (r, "segments of %llu bytes are too small", (unsigned long long) self->options.segment_bytes);
        return ADR_STORE_FAILED;
    }
    int error = self->disk->list (self->disk, r->number, S_SEGMENTS_MAX, &r->number_count);
    if (error)
        return s_failed (r, "listing the journal's segments", error);
    switch (adr_recovery_notes_read (r)) {
    case ADR_NOTES_GOOD:
        return s_recover_noted (r);
    case ADR_NOTES_BAD:
        return s_amnesia (r);
    case ADR_NOTES_NONE:
        break;
    }
    /* The notes are written after the first segment and before the second. */
    if (r->number_count > 1 || adr_recovery_unnoted_hold_batches (r) || s_index_read (r) != S_INDEX_NONE) {
        ADR_WHY (r, "the state environment is missing");
        return s_amnesia (r);
    }
    return s_new (r);
}

adr_store_opening_t
adr_store_recover (adr_store_t *self, char *why, size_t why_size)
{
    adr_recovery_t r = { .self = self, .why = why, .why_size = why_size };
    r.number = adr_alloc (S_SEGMENTS_MAX * sizeof *r.number);
    adr_store_opening_t opening = s_recover (&r);
    if (opening != ADR_STORE_FAILED) {
        (void) self->disk->space (self->disk, &self->free_bytes, &self->all_bytes);
        adr_compaction_reserve (self);
        adr_compaction_look (self);
    }
    free (r.number);
    free (r.batch);
    free (r.refilled);
    free (r.frame);
    free (r.origin);
    adr_buffer_free (&r.voters_values);
    adr_buffer_free (&r.peek);
    return opening;
}
