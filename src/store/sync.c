/* SPDX-License-Identifier: MPL-2.0 */
/* How far a copy is a function of its log: exact, being copied from peers, replaying over a fuzzy copy, or not proven yet.
 *
 *     exact <---- proven ---- unproven <---- applied past the window ---- replaying
 *       |                        |                                           ^
 *       +------- begin ----------+---------------> copying ------- end ------+
 *
 * Owns: the note. Makes durable: it, and with its end the log's new start. Implements REPAIR-1, REPAIR-5 (the end is one
 * durable step), REPL-7 (the base is durable before the first append on top of it). */

#include "store/internal.h"

#include "core/actor.h"

#include <errno.h>

#define S_LOSSY UINT64_C (256)

void
adr_sync_note_encode (const adr_sync_note_t *note, uint8_t at[ADR_NOTE_SYNC_SIZE])
{
    adr_put_u64 (at, note->sync | (note->lossy ? S_LOSSY : 0));
    adr_put_u64 (at + 8, note->window_to);
}

bool
adr_sync_note_decode (adr_sync_note_t *note, const uint8_t at[ADR_NOTE_SYNC_SIZE])
{
    uint64_t sync = adr_get_u64 (at) & ~S_LOSSY;
    *note = (adr_sync_note_t){ (adr_sync_t) sync, adr_get_u64 (at + 8), (adr_get_u64 (at) & S_LOSSY) != 0 };
    return sync <= ADR_SYNC_UNPROVEN;
}

adr_sync_t
adr_store_sync (const adr_store_t *self)
{
    if (self->sync.sync == ADR_SYNC_REPLAYING && self->applied.index >= self->sync.window_to)
        return ADR_SYNC_UNPROVEN;
    return self->sync.sync;
}

void
adr_store_sync_begin (adr_store_t *self)
{
    self->sync_wanted = (adr_sync_note_t){ .sync = ADR_SYNC_COPYING };
    self->sync_base = (adr_position_t){ 0, 0 };
}

/* The log holds that very entry, and goes on from there. Where it misses entries up to there, which nobody sends any more, it
 * has to start anew: but not below its own end, which was acknowledged, and may be committed. Then it stays as it is, and
 * another pass comes, which reaches behind its end. */
static bool
s_log_goes_on (const adr_store_t *self, adr_position_t base)
{
    uint64_t term, missing = self->log.missing_from;
    if (base.index < self->log.start.index) /* a source that is further behind: what our log begins with was applied here */
        return true;
    bool known = adr_log_term_at (&self->log, base.index, &term);
    if (known && term != base.term)
        return false;
    return missing != 0 && missing <= base.index ? base.index < adr_store_last (self).index : known;
}

void
adr_store_sync_end (adr_store_t *self, adr_position_t base, const adr_voters_t *voters, uint64_t window_to)
{
    adr_assert (self->sync.sync == ADR_SYNC_COPYING);
    self->sync_wanted = (adr_sync_note_t){ .sync = ADR_SYNC_REPLAYING, .window_to = window_to };
    self->sync_base = base;
    if (base.index == 0 || s_log_goes_on (self, base))
        self->sync_base = (adr_position_t){ 0, 0 };
    else
        self->sync_voters = *voters;
}

bool
adr_store_sync_proven (adr_store_t *self, uint64_t index)
{
    if (adr_store_sync (self) != ADR_SYNC_UNPROVEN || self->heal_wanted || adr_sync_is_due (self)
        || (index <= self->proof_from && !ADR_PLANT (REPAIR_1_OLD_PROOF)))
        return false;
    self->sync_wanted = (adr_sync_note_t){ .sync = ADR_SYNC_EXACT };
    return true;
}

bool
adr_store_base_at (const adr_store_t *self, uint64_t index, adr_position_t *base, adr_voters_t *voters)
{
    uint64_t term;
    if (index > self->applied.index || !adr_log_term_at (&self->log, index, &term))
        return false;
    *base = (adr_position_t){ term, index };
    *voters = *adr_log_voters_at (&self->log, index);
    return true;
}

bool
adr_sync_is_due (const adr_store_t *self)
{
    return self->sync_wanted.sync != self->sync.sync || self->sync_wanted.window_to != self->sync.window_to
           || self->sync_wanted.lossy != self->sync.lossy;
}

/* Copies that are on their way were asked for by the copying that ends. */
static bool
s_may_end (const adr_store_t *self)
{
    return self->placed.first == NULL || self->sync_wanted.sync == ADR_SYNC_COPYING || ADR_PLANT (REPAIR_5_END_BEFORE_DURABLE);
}

bool
adr_sync_holds_batches (const adr_store_t *self)
{
    return self->background.kind == ADR_JOB_SYNC && self->background.moves_base;
}

bool
adr_sync_next (adr_store_t *self)
{
    adr_job_t *job = &self->background;
    bool moves = self->sync_base.index != 0;
    if (!adr_sync_is_due (self) || !s_may_end (self)
        || (moves && (self->batch.kind != ADR_JOB_NONE || self->journal.open.size != 0)))
        return false;
    job->sync = self->sync_wanted;
    job->moves_base = moves;
    job->start = self->sync_base;
    job->note_term = moves && self->sync_base.term > self->journal.noted_term ? self->sync_base.term : 0;
    job->voters = self->sync_voters;
    job->scan_segment = self->journal.current;
    job->scan_batch = self->journal.next_batch;
    job->generation = self->index_generation + 1;
    job->history = self->history;
    adr_history_leap (&job->history, &self->log, self->applied.index, job->start.index);
    return true;
}

/* The applied index goes first: while the note still says that the copy is being made, nobody believes it. */
int
adr_sync_write (adr_store_t *self, adr_job_t *job)
{
    if (!job->moves_base)
        return 0;
    int error;
    do {
        error = self->index->begin (self->index);
        if (!error)
            error = adr_put_applied (self, &job->start, job->generation);
        if (!error)
            error = self->index->commit (self->index);
        else
            self->index->abort (self->index);
    } while (error == EAGAIN);
    return error;
}

int
adr_sync_note (adr_store_t *self, adr_job_t *job)
{
    uint8_t start[ADR_NOTE_START_SIZE], sync[ADR_NOTE_SYNC_SIZE], history[ADR_HISTORY_BYTES_MAX], term[8];
    uint8_t rebuilt[8] = { 0 }, reindex[8];
    adr_sync_note_encode (&job->sync, sync);
    adr_state_put_t put[7] = { { ADR_NOTE_SYNC, adr_bytes (sync, sizeof sync) } };
    size_t count = 1;
    if (job->moves_base) {
        put[count++] = (adr_state_put_t){ ADR_NOTE_START, adr_bytes (start, adr_note_start_encode (job, start)) };
        put[count++] = (adr_state_put_t){ ADR_NOTE_HISTORY,
                                          adr_bytes (history, adr_history_encode (&job->history, history)) };
    }
    if (job->note_term) { /* [STORE-4] the next batch's header names it */
        adr_put_u64 (term, job->note_term);
        put[count++] = (adr_state_put_t){ ADR_NOTE_TERM, adr_bytes (term, sizeof term) };
    }
    if (job->sync.lossy) { /* should the heal not end, the next start makes the index anew */
        adr_put_u64 (reindex, 1);
        put[count++] = (adr_state_put_t){ ADR_NOTE_REINDEX, adr_bytes (reindex, sizeof reindex) };
    }
    if (job->sync.sync == ADR_SYNC_EXACT) { /* [STORE-9] it was compared */
        put[count++] = (adr_state_put_t){ ADR_NOTE_REBUILT, adr_bytes (rebuilt, sizeof rebuilt) };
        put[count++] = (adr_state_put_t){ ADR_NOTE_REINDEX, adr_bytes (rebuilt, sizeof rebuilt) };
    }
    return self->state->put (self->state, put, count);
}

/* The log is empty, behind its base; what stood in memory is in the copy, or older than it. */
static void
s_move_base (adr_store_t *self, const adr_job_t *job)
{
    ADR_MARK ("store: the log starts anew behind a copy");
    adr_log_reset (&self->log, job->start, &job->voters);
    self->history = job->history;
    self->index_generation = job->generation;
    self->journal.scan_segment = job->scan_segment;
    self->journal.scan_batch = job->scan_batch;
    while (self->frozen_count)
        adr_memtable_destroy (&self->frozen[--self->frozen_count].table);
    adr_memtable_destroy (&self->active);
    self->active = adr_memtable_create ();
    self->flush_at = 0;
    self->applied = self->index_applied = job->start;
    self->commit = job->start.index;
    self->journal.end = job->start;
    self->journal.durable_index = job->start.index;
    self->journal.cut_pending = false;
    self->journal.refilled_from = self->journal.refilled_to = 0;
}

void
adr_sync_done (adr_store_t *self)
{
    const adr_job_t *job = &self->background;
    if (job->moves_base)
        s_move_base (self, job);
    if (job->sync.sync != ADR_SYNC_EXACT)
        self->proof_from = self->index_applied.index;
    if (job->note_term)
        self->journal.noted_term = job->note_term;
    self->sync_base = (adr_position_t){ 0, 0 };
    self->sync = job->sync;
    if (job->sync.sync == ADR_SYNC_EXACT)
        self->was_rebuilt = self->reindex_noted = false;
    if (self->sync.sync == ADR_SYNC_COPYING)
        self->checkpoint = (adr_store_checkpoint_t){ 0 };
}

bool
adr_store_is_lossy (const adr_store_t *self)
{
    return self->sync.lossy || self->sync_wanted.lossy;
}

bool
adr_store_heals (const adr_store_t *self)
{
    return self->heal_wanted;
}
