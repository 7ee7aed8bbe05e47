/* SPDX-License-Identifier: MPL-2.0 */
/* A store's jobs: what blocks, and runs on the shell's threads. Which is due is decided on the owner's thread (next), it
 * runs on another (write, sync), and the owner hears of it (done).
 *
 * Owns: the background job. Makes durable: batches, new segments, the index's rows and applied index, the log start
 * with the terms below it, what was removed.
 * Implements STORE-4 (a term and a segment are noted first), STORE-11 (a full disk is no failure of a background job). */

#include "store/internal.h"

#include "core/actor.h"

#include <errno.h>

#define S_RESERVE_SEGMENTS 2 /* prepared, really written: one for batches, one for the next start [STORE-11]; and copies' */
#define S_BULK_BATCH (256 * 1024)
#define S_SPACE_EVERY_NS (1000 * ADR_MS)
#define S_RETRY_NS (1000 * ADR_MS)
#define S_TRIM_SHARE 8 /* the log start moves when an eighth more than what is kept has gathered */
#define S_KEEP_SHARE 4 /* or a quarter of it that no member needs any more */
#define S_STEP_SHARE 32 /* ... in steps of this part of it at least, for each one is a commit */

/* --- background jobs --------------------------------------------------------------------------------------- */

static void
s_background (adr_store_t *self, adr_job_kind_t kind, const char *name)
{
    self->background.kind = kind;
    self->background.job = (adr_store_job_t){ .lane = ADR_LANE_BACKGROUND, .name = name };
}

/* Where batches are large, zeros would be half of what the disk does, and each sync the cheaper half. A copy is written so; of
 * other work the present segment tells. While there is space enough: what is kept for the second mark is really written. */
static bool
s_is_bulk (const adr_store_t *self)
{
    const adr_journal_t *journal = &self->journal;
    uint64_t first = journal->segment[journal->current - journal->first_segment].first_batch;
    uint64_t batches = first ? journal->next_batch - first : 0;
    bool large = batches > 0 && journal->offset / batches >= S_BULK_BATCH;
    return (large || adr_store_sync (self) == ADR_SYNC_COPYING) && adr_store_space (self) == ADR_SPACE_OK;
}

static bool
s_segment_next (adr_store_t *self)
{
    adr_journal_t *journal = &self->journal;
    if (journal->newest - journal->current >= S_RESERVE_SEGMENTS + adr_compaction_segments (self)) {
        self->starved = false;
        return false;
    }
    adr_job_t *job = &self->background;
    adr_journal_segment_header (self, &job->segment, journal->newest + 1, self->options.segment_bytes, 0);
    job->segment_small = adr_journal_small (self);
    job->segment_for_bulk = s_is_bulk (self);
    job->no_space = false;
    s_background (self, ADR_JOB_SEGMENT, "segment");
    job->job.segment = job->segment.number;
    return true;
}

/* [STORE-11] A segment that is never written again is cut to what it holds, once a batch behind it is durable: until
 * then it may be where the journal ends, and must be whole. */
static bool
s_seal_next (adr_store_t *self)
{
    adr_journal_t *journal = &self->journal;
    const adr_segment_t *current = adr_journal_segment (self, journal->current);
    bool follows = current->first_batch != 0 && current->first_batch <= journal->durable_batch;
    for (; journal->seal_next + (follows ? 0 : 1) < journal->current; journal->seal_next++) {
        adr_segment_t *segment = adr_journal_segment (self, journal->seal_next);
        if (!segment || !adr_segment_is_loose (segment))
            continue;
        self->background.segment = (adr_segment_header_t){ .number = journal->seal_next, .size = segment->used,
                                                           .salt = segment->salt };
        self->background.no_space = false;
        segment->size = segment->used; /* from now on nobody reads beyond */
        journal->seal_next++;
        s_background (self, ADR_JOB_SEAL, "seal");
        self->background.job.segment = self->background.segment.number;
        return true;
    }
    return false;
}

static bool
s_flush_next (adr_store_t *self, int64_t now_ns)
{
    if (!adr_flush_next (self, now_ns))
        return false;
    s_background (self, ADR_JOB_FLUSH, "flush");
    return true;
}

static bool
s_place_next (adr_store_t *self)
{
    if (!adr_place_next (self))
        return false;
    s_background (self, ADR_JOB_PLACE, "place");
    return true;
}

static bool
s_heal_next (adr_store_t *self)
{
    if (!adr_heal_next (self))
        return false;
    s_background (self, ADR_JOB_HEAL, "heal");
    return true;
}

static bool
s_sync_next (adr_store_t *self)
{
    if (!adr_sync_next (self))
        return false;
    s_background (self, ADR_JOB_SYNC, "sync");
    return true;
}

/* How far the log start may move: at most log_keep_max bytes stay, less where no member needs them [REPAIR-6], and all
 * that the index does not hold durably. The newest entry that it does hold stays too: no cut can take it, so that a log
 * which has begun is never empty, and whoever leads next knows the log time that it goes on from [PART-4]. */
static uint64_t
s_trim_to (const adr_store_t *self)
{
    const adr_log_t *log = &self->log;
    uint64_t keep = self->options.log_keep_max, bytes = log->bytes, index = log->start.index;
    bool too_large = bytes >= keep + keep / S_TRIM_SHARE, unneeded = self->keep_from && bytes >= keep / S_KEEP_SHARE;
    if (keep == 0 || log->missing_count || !(too_large || unneeded))
        return index;
    while (index + 1 < self->index_applied.index
           && ((too_large && bytes > keep) || (unneeded && index < self->keep_from)))
        bytes -= adr_log_item (log, ++index)->size;
    if (!too_large && log->bytes - bytes < keep / S_STEP_SHARE)
        return log->start.index;
    /* A recovery scans from the segment of the first entry on: no later one may stand in an older segment. */
    return index < log->refilled_to ? log->start.index : index;
}

/* The terms of what is to leave the log are noted with its new start: as many as there is room for. */
static uint64_t
s_extend_history (adr_store_t *self, uint64_t index)
{
    adr_history_t *history = &self->background.history;
    *history = self->history;
    adr_history_prune (history, adr_compaction_lowest (self));
    index = adr_history_extend (history, &self->log, index);
    return index < self->log.refilled_to ? self->log.start.index : index;
}

static bool
s_start_next (adr_store_t *self)
{
    uint64_t index = s_trim_to (self);
    if (index == self->log.start.index)
        return false;
    index = s_extend_history (self, index);
    if (index == self->log.start.index)
        return false;
    const adr_item_t *next = adr_log_item (&self->log, index + 1);
    if (next->segment == 0)
        return false;
    adr_job_t *job = &self->background;
    job->start = (adr_position_t){ adr_log_item (&self->log, index)->term, index };
    job->voters = *adr_log_voters_at (&self->log, index);
    job->scan_segment = next->segment;
    job->scan_batch = adr_journal_segment (self, next->segment)->first_batch;
    s_background (self, ADR_JOB_START, "start");
    return true;
}

static void
s_start_done (adr_store_t *self)
{
    const adr_job_t *job = &self->background;
    adr_log_trim (&self->log, job->start.index);
    self->history = job->history;
    self->journal.scan_segment = job->scan_segment;
    self->journal.scan_batch = job->scan_batch;
    adr_compaction_look (self);
}

static bool
s_found_next (adr_store_t *self)
{
    if (!adr_found_next (self))
        return false;
    s_background (self, ADR_JOB_FOUND, "found");
    return true;
}

static bool
s_space_next (adr_store_t *self, int64_t now_ns)
{
    if ((!self->space_stale && adr_store_space (self) == ADR_SPACE_OK) || now_ns < self->space_at)
        return false;
    self->space_at = now_ns + S_SPACE_EVERY_NS;
    self->space_stale = false;
    s_background (self, ADR_JOB_SPACE, "space");
    return true;
}

static bool
s_reindex_next (adr_store_t *self)
{
    if (!self->index_damaged || self->reindex_noted)
        return false;
    s_background (self, ADR_JOB_REINDEX, "reindex");
    return true;
}

static bool
s_remove_next (adr_store_t *self)
{
    if (!adr_compaction_remove_next (self))
        return false;
    s_background (self, ADR_JOB_REMOVE, "remove");
    return true;
}

static bool
s_compact_next (adr_store_t *self, int64_t now_ns)
{
    if (!adr_compaction_next (self, now_ns))
        return false;
    s_background (self, ADR_JOB_COMPACT, "compact");
    return true;
}

/* What found no space is tried again each second. */
static bool
s_may_try (bool starved, int64_t *retry_at, int64_t now_ns)
{
    if (!starved)
        return true;
    if (now_ns < *retry_at)
        return false;
    *retry_at = now_ns + S_RETRY_NS;
    return true;
}

static bool
s_background_next (adr_store_t *self, int64_t now_ns)
{
    if (self->background.kind != ADR_JOB_NONE)
        return false;
    bool may_grow = s_may_try (self->starved, &self->retry_at, now_ns);
    bool may_flush = s_may_try (self->rows_starved, &self->rows_retry_at, now_ns);
    if (adr_store_index_is_lost (self)) /* [STORE-10] the process is about to stop; until then the journal goes on */
        return may_grow && s_segment_next (self);
    return (may_grow && s_segment_next (self)) || s_seal_next (self) || s_found_next (self) || s_sync_next (self)
        || (may_flush && (s_heal_next (self) || s_flush_next (self, now_ns) || s_place_next (self))) || s_start_next (self)
        || s_remove_next (self) || s_reindex_next (self) || s_space_next (self, now_ns) || s_compact_next (self, now_ns);
}

adr_store_job_t *
adr_store_job_next (adr_store_t *self, adr_lane_t lane, int64_t now_ns)
{
    if (lane == ADR_LANE_SYNC)
        return adr_journal_batch_next (self, now_ns) ? &self->batch.job : NULL;
    return s_background_next (self, now_ns) ? &self->background.job : NULL;
}

int64_t
adr_store_wake_at (const adr_store_t *self)
{
    int64_t at = ADR_NEVER;
    /* Entries that wait for a segment go before their witness: what wakes them is the segment. */
    if (self->batch.kind == ADR_JOB_NONE && self->journal.witness_due && self->journal.open.size == 0)
        at = self->journal.witness_at;
    if (self->background.kind != ADR_JOB_NONE)
        return at;
    if (self->starved && self->retry_at < at)
        at = self->retry_at;
    if (adr_store_index_is_lost (self))
        return at;
    if (self->flush_at && !self->rows_starved && self->flush_at < at)
        at = self->flush_at;
    if (self->rows_starved && self->rows_retry_at < at)
        at = self->rows_retry_at;
    if (adr_store_space (self) != ADR_SPACE_OK && self->space_at < at)
        at = self->space_at;
    int64_t compacts_at = adr_compaction_wake_at (self);
    return compacts_at < at ? compacts_at : at;
}

/* --- running a job: the shell's thread, nothing of the owner's is touched ----------------------------------- */

bool
adr_error_is_full (int error)
{
    return error == ENOSPC || error == EDQUOT;
}

/* [STORE-4] The state environment knows of a higher term before the journal does. */
static int
s_batch_write (adr_store_t *self, adr_job_t *job)
{
    if (job->note_term && !ADR_PLANT (STORE_4_TERM_UNNOTED)) {
        uint8_t term[8];
        adr_put_u64 (term, job->note_term);
        adr_state_put_t put = { ADR_NOTE_TERM, adr_bytes (term, sizeof term) };
        int error = self->state->put (self->state, &put, 1);
        if (error)
            return error;
    }
    uint8_t *bytes = job->bytes.data;
    job->header.payload_crc = adr_frames_seal (bytes + ADR_BATCH_HEADER_SIZE, job->header.payload_size, job->salt,
                                               job->header.segment, job->header.offset + ADR_BATCH_HEADER_SIZE);
    adr_batch_header_encode (&job->header, job->salt, bytes);
    adr_batch_digest (bytes, job->digest);
    return self->disk->write (self->disk, job->header.segment, job->header.offset, bytes, job->bytes.size);
}

static int
s_segment_make (adr_store_t *self, adr_job_t *job)
{
    int error = self->disk->create (self->disk, job->segment.number, job->segment.size, !job->segment_for_bulk);
    if (adr_error_is_full (error) && job->segment_small < job->segment.size) {
        job->segment.size = job->segment_small;
        error = self->disk->create (self->disk, job->segment.number, job->segment.size, true);
    }
    if (adr_error_is_full (error)) {
        job->no_space = true;
        return 0;
    }
    return error ? error : adr_journal_segment_write (self, &job->segment);
}

static int
s_segment_note (adr_store_t *self, adr_job_t *job)
{
    if (job->no_space)
        return 0;
    int error = self->disk->sync (self->disk, job->segment.number);
    if (error)
        return error;
    adr_note_segment_t note = { self->journal.first_segment, job->segment.number, 0 };
    uint8_t bytes[ADR_NOTE_SEGMENT_SIZE];
    adr_note_segment_encode (&note, bytes);
    adr_state_put_t put = { ADR_NOTE_SEGMENT, adr_bytes (bytes, sizeof bytes) };
    return self->state->put (self->state, &put, 1);
}

/* The seal is there before the file is cut: without it such a file has lost its end. On a file system that needs space
 * to overwrite, it stays as it is. */
static int
s_seal_write (adr_store_t *self, adr_job_t *job)
{
    const adr_segment_header_t *segment = &job->segment;
    int error = adr_journal_seal_write (self, segment->number, segment->salt, segment->size);
    job->no_space = adr_error_is_full (error);
    return job->no_space ? 0 : error;
}

static int
s_seal_cut (adr_store_t *self, adr_job_t *job)
{
    if (job->no_space)
        return 0;
    int error = self->disk->sync (self->disk, job->segment.number);
    if (error)
        return error;
    return self->disk->truncate (self->disk, job->segment.number, job->segment.size + ADR_BLOCK);
}

int
adr_store_note_start (adr_store_t *self, const adr_job_t *job)
{
    uint8_t bytes[ADR_NOTE_START_SIZE], history[ADR_HISTORY_BYTES_MAX];
    size_t size = adr_note_start_encode (job, bytes);
    adr_state_put_t put[] = { { ADR_NOTE_START, adr_bytes (bytes, size) },
                              { ADR_NOTE_HISTORY, adr_bytes (history, adr_history_encode (&job->history, history)) } };
    return self->state->put (self->state, put, 2);
}

int
adr_store_note_reindex (adr_store_t *self, bool wanted)
{
    uint8_t note[8];
    adr_put_u64 (note, wanted);
    adr_state_put_t put = { ADR_NOTE_REINDEX, adr_bytes (note, sizeof note) };
    return self->state->put (self->state, &put, 1);
}

/* A full disk is no failure of an index flush: the rows stay in memory for another try. EAGAIN asks for one now. */
static int
s_flush_error (adr_job_t *job, int error)
{
    job->no_space = adr_error_is_full (error);
    job->again = error == EAGAIN;
    return job->no_space || job->again ? 0 : error;
}

/* [STORE-10] An index that is lost while a job is at it is no failure of the job: the owner sees it, and who leads hands over
 * first. */
static void
s_give_up_if_lost (adr_store_t *self, adr_job_t *job)
{
    if (job->job.error && job != &self->batch && self->index->is_broken (self->index)) {
        job->job.error = 0;
        job->given_up = true;
    }
}

static void
s_write (adr_store_t *self, adr_store_job_t *public_job)
{
    adr_job_t *job = (adr_job_t *) public_job;
    switch (job->kind) {
    case ADR_JOB_BATCH:
        public_job->error = s_batch_write (self, job);
        break;
    case ADR_JOB_SEGMENT:
        public_job->error = s_segment_make (self, job);
        break;
    case ADR_JOB_FLUSH:
        public_job->error = s_flush_error (job, adr_flush_write (self, job));
        break;
    case ADR_JOB_PLACE:
        public_job->error = s_flush_error (job, adr_place_write (self, job));
        break;
    case ADR_JOB_HEAL:
        public_job->error = s_flush_error (job, adr_heal_write (self, job));
        job->heal_failed = public_job->error == EIO;
        public_job->error = job->heal_failed ? 0 : public_job->error;
        break;
    case ADR_JOB_SYNC:
        public_job->error = adr_sync_write (self, job);
        break;
    case ADR_JOB_SEAL:
        public_job->error = s_seal_write (self, job);
        break;
    case ADR_JOB_REMOVE:
        public_job->error = adr_compaction_remove_note (self, job);
        break;
    case ADR_JOB_COMPACT:
        public_job->error = adr_compaction_walk (self, job);
        break;
    case ADR_JOB_START:
    case ADR_JOB_FOUND:
    case ADR_JOB_SPACE:
    case ADR_JOB_REINDEX:
    case ADR_JOB_NONE:
        break;
    }
}

void
adr_store_job_write (adr_store_t *self, adr_store_job_t *public_job)
{
    adr_job_t *job = (adr_job_t *) public_job;
    job->given_up = false;
    s_write (self, public_job);
    s_give_up_if_lost (self, job);
}

static void
s_sync (adr_store_t *self, adr_store_job_t *public_job)
{
    adr_job_t *job = (adr_job_t *) public_job;
    switch (job->kind) {
    case ADR_JOB_BATCH:
        public_job->error = self->disk->sync (self->disk, job->header.segment);
        break;
    case ADR_JOB_SEGMENT:
        public_job->error = s_segment_note (self, job);
        break;
    case ADR_JOB_FLUSH:
    case ADR_JOB_PLACE:
        if (!job->no_space && !job->again)
            public_job->error = s_flush_error (job, adr_flush_commit (self, job));
        break;
    case ADR_JOB_HEAL:
        if (!job->no_space && !job->again && !job->heal_failed)
            public_job->error = s_flush_error (job, adr_heal_commit (self, job));
        break;
    case ADR_JOB_SYNC:
        public_job->error = adr_sync_note (self, job);
        break;
    case ADR_JOB_START:
        if (!ADR_PLANT (STORE_8_START_AFTER_UNLINK))
            public_job->error = adr_store_note_start (self, job);
        break;
    case ADR_JOB_FOUND:
        public_job->error = adr_store_note_start (self, job);
        break;
    case ADR_JOB_SEAL:
        public_job->error = s_seal_cut (self, job);
        break;
    case ADR_JOB_REMOVE:
        public_job->error = adr_compaction_remove (self, job);
        break;
    case ADR_JOB_SPACE:
        public_job->error = self->disk->space (self->disk, &job->free_bytes, &job->all_bytes);
        break;
    case ADR_JOB_REINDEX:
        public_job->error = adr_store_note_reindex (self, true);
        break;
    case ADR_JOB_COMPACT:
    case ADR_JOB_NONE:
        break;
    }
}

void
adr_store_job_sync (adr_store_t *self, adr_store_job_t *public_job)
{
    adr_job_t *job = (adr_job_t *) public_job;
    if (public_job->error || job->given_up)
        return;
    s_sync (self, public_job);
    s_give_up_if_lost (self, job);
}

/* --- back on the owner's thread ---------------------------------------------------------------------------- */

/* What takes or frees a whole segment is worth asking at once. */
static void
s_ask_space (adr_store_t *self)
{
    self->space_stale = true;
    self->space_at = 0;
}

static void
s_segment_done (adr_store_t *self)
{
    adr_job_t *job = &self->background;
    self->starved = job->no_space;
    s_ask_space (self);
    if (job->no_space) {
        ADR_MARK ("store: no space for a segment");
        self->free_bytes = 0;
        return;
    }
    adr_segment_t *segment = adr_journal_segment_add (self, job->segment.number);
    *segment = (adr_segment_t){ .salt = job->segment.salt, .size = job->segment.size, .readable = true };
    self->journal.newest = job->segment.number;
    adr_compaction_reserve (self);
}

/* False if it is to be tried again. */
static bool
s_rows_done (adr_store_t *self)
{
    self->rows_starved = self->background.no_space;
    self->regressions += self->background.regressions;
    self->index_damaged |= self->tree.broken;
    if (self->background.no_space || self->background.again) {
        ADR_MARK ("store: a flush is tried again");
        return false;
    }
    self->space_stale = true;
    return true;
}

static void
s_background_done (adr_store_t *self)
{
    adr_job_t *job = &self->background;
    if (job->given_up) {
        ADR_MARK ("store: a job gives up because the index is lost");
        job->kind = ADR_JOB_NONE;
        return;
    }
    switch (job->kind) {
    case ADR_JOB_SEGMENT:
        s_segment_done (self);
        break;
    case ADR_JOB_FLUSH:
        if (s_rows_done (self))
            adr_flush_done (self);
        break;
    case ADR_JOB_PLACE:
        if (s_rows_done (self))
            adr_place_done (self);
        break;
    case ADR_JOB_HEAL:
        if (job->heal_failed) { /* not even its keys can be read: the next start makes it anew */
            self->heal_failed = true;
            self->heal_wanted = false;
        } else if (s_rows_done (self))
            adr_heal_done (self);
        break;
    case ADR_JOB_SYNC:
        adr_sync_done (self);
        break;
    case ADR_JOB_START:
        s_start_done (self);
        break;
    case ADR_JOB_FOUND:
        adr_found_done (self);
        break;
    case ADR_JOB_REMOVE:
        adr_compaction_remove_done (self);
        self->retry_at = self->rows_retry_at = 0;
        s_ask_space (self);
        break;
    case ADR_JOB_COMPACT:
        adr_compaction_done (self);
        break;
    case ADR_JOB_SEAL:
        self->retry_at = self->rows_retry_at = 0; /* where there was no space, there is some now */
        s_ask_space (self);
        break;
    case ADR_JOB_SPACE:
        self->free_bytes = job->free_bytes;
        self->all_bytes = job->all_bytes;
        adr_compaction_look (self);
        break;
    case ADR_JOB_REINDEX:
        self->reindex_noted = true;
        break;
    case ADR_JOB_BATCH:
    case ADR_JOB_NONE:
        adr_assert (false);
    }
    job->kind = ADR_JOB_NONE;
}

void
adr_store_job_done (adr_store_t *self, adr_store_job_t *public_job)
{
    adr_assert (public_job->error == 0);
    if (public_job == &self->batch.job) {
        adr_journal_batch_done (self);
        self->space_stale = true;
    } else {
        adr_assert (public_job == &self->background.job);
        s_background_done (self);
    }
}
