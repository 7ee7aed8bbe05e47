/* SPDX-License-Identifier: MPL-2.0 */
/* How space comes back: what counts of a segment is copied, and segments that hold nothing that counts go.
 *
 * Owns: the walk through the segment that is to go. Makes durable: which segments are gone, and then that they are; the
 * copies are place.c's. Assumes: the accounts (account.c), and that it is asked while no background job is out.
 * Implements STORE-8: what a segment held is durable elsewhere, or counts no more, before it goes; and the log's start
 * has passed it before. STORE-9: a purged tombstone stays while an older frame of its key may be anywhere.
 *
 *     the log's start, durable
 *          -> a walk finds what counts -> copies, durable -> rows that name them, durable
 *          -> a note that the segment goes -> unlink, sync the folder
 *
 * Copies go with ordinary batches, little by little, and walks are paced: clients' entries never wait for more than the
 * part of a batch that S_COPY_MAX is. */

#include "store/internal.h"

#include "core/actor.h"

#include <errno.h>

#define S_COPY_MAX (256 * 1024)      /* bytes of copies in a batch: a few ms of any disk */
#define S_READ_MAX (4 * 1024 * 1024) /* bytes of a walk that one job reads: a flush waits for no more */
#define S_WINDOW (256 * 1024)        /* bytes read at a time */
#define S_WAITING_MAX 4096           /* copies whose rows are not durable yet */
#define S_RATE (UINT64_C (32) << 20) /* bytes a second that walks read, unless told otherwise */
#define S_SEGMENTS 2                 /* prepared for copies alone: they fill less, and free two [STORE-11] */

/* Half as much again as what counts: then the emptiest segment is a third empty, and a byte that is written is copied
 * twice in its life. It goes on until less is won by a copy. Where space is short every bit is welcome. */
#define S_BEGIN_PERCENT 150
#define S_END_PERCENT 140
#define S_SCARCE_PERCENT 110
#define S_WORTH_PERCENT 94 /* of a segment: if more of it counts it stays */
#define S_GHOST_SHARE 10   /* purged tombstones may be a tenth of everything */

uint64_t
adr_compaction_lowest (const adr_store_t *self)
{
    const adr_journal_t *journal = &self->journal;
    uint64_t lowest = UINT64_MAX;
    for (uint64_t number = journal->first_segment; number <= journal->current; number++) {
        const adr_segment_t *segment = &journal->segment[number - journal->first_segment];
        if (segment->low_index && segment->low_index < lowest)
            lowest = segment->low_index;
    }
    return lowest;
}

/* --- which may go ------------------------------------------------------------------------------------------ */

static uint64_t
s_least (uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

/* No row in memory stands in an older segment: a reader may follow it. */
static uint64_t
s_least_in_memory (const adr_store_t *self)
{
    uint64_t least = adr_memtable_least_segment (self->active);
    for (uint32_t i = 0; i < self->frozen_count; i++)
        least = s_least (least, adr_memtable_least_segment (self->frozen[i].table));
    for (const adr_placed_t *placed = self->placed.first; placed; placed = placed->next)
        if (placed->row.place.segment && placed->batch)
            least = s_least (least, placed->row.place.segment);
    return least;
}

/* [STORE-8] No row stands there any more, durably; purged tombstones do elsewhere, or nowhere needs them. */
static bool
s_may_go (const adr_segment_t *segment)
{
    if (ADR_PLANT (STORE_8_UNLINK_BEFORE_INDEX) && segment->is_walked)
        return !segment->removed;
    return !segment->removed && segment->live == 0 && (segment->ghost == 0 || segment->is_walked);
}

/* The segments that may go end here: from it on is the log [STORE-8], or something in memory. */
static uint64_t
s_end (const adr_store_t *self)
{
    uint64_t end = s_least (self->journal.scan_segment, s_least_in_memory (self));
    return s_least (end, self->journal.first_segment + ADR_NOTE_REMOVED_SEGMENTS);
}

/* 0: none. */
static uint64_t
s_removable (const adr_store_t *self)
{
    const adr_journal_t *journal = &self->journal;
    for (uint64_t number = journal->first_segment, end = s_end (self); number < end; number++)
        if (s_may_go (&journal->segment[number - journal->first_segment]))
            return number;
    return 0;
}

/* --- going ------------------------------------------------------------------------------------------------- */

/* The oldest segment that stays when that one goes. */
static uint64_t
s_first_without (const adr_journal_t *journal, uint64_t gone)
{
    uint64_t first = journal->first_segment;
    while (first == gone || journal->segment[first - journal->first_segment].removed)
        first++;
    return first;
}

/* The note that this segment is gone too; what an index must know that comes back from a copy; and what was committed
 * by then, because what an earlier state of the records had is gone with the segment. */
static void
s_note_make (adr_store_t *self, uint64_t gone)
{
    const adr_journal_t *journal = &self->journal;
    adr_job_t *job = &self->background;
    uint64_t first = job->first = s_first_without (journal, gone);
    adr_buffer_clear (&job->note);
    uint8_t *head = adr_buffer_grow (&job->note, ADR_NOTE_REMOVED_HEAD);
    adr_put_u64 (head, self->index_generation);
    adr_put_u64 (head + 8, self->index_applied.index);
    adr_put_u64 (head + 16, first);
    for (uint64_t number = first; number < journal->scan_segment; number++) {
        uint64_t at = number - first;
        if (number != gone && !journal->segment[number - journal->first_segment].removed)
            continue;
        while (job->note.size < ADR_NOTE_REMOVED_HEAD + at / 8 + 1)
            *adr_buffer_grow (&job->note, 1) = 0;
        job->note.data[ADR_NOTE_REMOVED_HEAD + at / 8] |= (uint8_t) (1u << at % 8);
    }
}

/* The copies of a segment are all in place: it can go, unless some of it could not be read. */
static void
s_settle (adr_store_t *self)
{
    uint64_t number = self->compaction.walk.segment;
    if (number == 0 || !self->compaction.is_walked
        || (self->placed.done < self->compaction.asked && !ADR_PLANT (STORE_8_UNLINK_BEFORE_INDEX)))
        return;
    adr_segment_t *segment = adr_journal_segment (self, number);
    segment->stuck_live = segment->live;
    segment->is_walked = true;
    if (segment->live)
        ADR_MARK ("store: a segment cannot be compacted");
    self->compaction.walk.segment = 0;
    adr_compaction_look (self);
}

bool
adr_compaction_remove_next (adr_store_t *self)
{
    uint64_t number = 0;
    if (adr_store_is_lossy (self)) /* what the index has lost may be there alone */
        return false;
    s_settle (self);
    if (self->compaction.look_removable)
        number = s_removable (self);
    self->compaction.look_removable = number != 0;
    if (number == 0)
        return false;
    s_note_make (self, number);
    self->background.segment = (adr_segment_header_t){ .number = number };
    return true;
}

/* [STORE-8] Noted before it goes: so that a segment which is missing, and not noted, is one that was lost. */
int
adr_compaction_remove_note (adr_store_t *self, adr_job_t *job)
{
    uint8_t segment[ADR_NOTE_SEGMENT_SIZE];
    adr_note_segment_encode (&(adr_note_segment_t){ job->first, self->journal.newest, 0 }, segment);
    adr_state_put_t put[] = { { ADR_NOTE_SEGMENT, adr_bytes (segment, sizeof segment) },
                              { ADR_NOTE_REMOVED, adr_bytes (job->note.data, job->note.size) } };
    return self->state->put (self->state, put, 2);
}

int
adr_compaction_remove (adr_store_t *self, const adr_job_t *job)
{
    int error = self->disk->remove (self->disk, job->segment.number);
    if (ADR_PLANT (STORE_8_START_AFTER_UNLINK) && self->log.start.index)
        return adr_store_note_start (self, job);
    return error == ENOENT ? 0 : error; /* it was lost before */
}

void
adr_compaction_remove_done (adr_store_t *self)
{
    const adr_job_t *job = &self->background;
    ADR_MARK ("store: a segment is removed");
    *adr_journal_segment (self, job->segment.number) = (adr_segment_t){ .removed = true };
    if (self->compaction.walk.segment == job->segment.number) /* what was left of it was overwritten meanwhile */
        self->compaction.walk.segment = 0;
    adr_account_gone (self, job->segment.number);
    adr_journal_first_move (self, job->first);
    adr_compaction_look (self);
}

/* --- the reserve ------------------------------------------------------------------------------------------- */

uint64_t
adr_compaction_segments (const adr_store_t *self)
{
    return self->journal.scan_segment > self->journal.first_segment ? S_SEGMENTS : 0;
}

void
adr_compaction_reserve (adr_store_t *self)
{
    const adr_journal_t *journal = &self->journal;
    self->compaction.reserve = 0;
    for (uint64_t number = journal->current + 1 + S_SEGMENTS; number <= journal->newest; number++)
        self->compaction.reserve += journal->segment[number - journal->first_segment].size;
}

/* Small segments take small batches. */
static uint64_t
s_copy_max (const adr_store_t *self)
{
    return s_least (S_COPY_MAX, self->options.segment_bytes / 8);
}

/* [STORE-11] On the reserve copies use what is prepared for them, and more: they are what gives space back. */
static bool
s_has_space (const adr_store_t *self)
{
    return !adr_store_on_reserve (self)
        || adr_journal_left (self) >= self->options.segment_bytes / 2 + self->batch_max;
}

/* --- which segment is to go -------------------------------------------------------------------------------- */

typedef struct {
    uint64_t bytes, counts, ghosts;
    uint64_t oldest, emptiest; /* of those that can be compacted; 0: none */
} s_survey_t;

static uint64_t
s_counts (const adr_segment_t *segment)
{
    return segment->live + segment->ghost;
}

static bool
s_can_compact (const adr_segment_t *segment)
{
    return segment->readable && !segment->removed && s_counts (segment)
        && !(segment->is_walked && segment->stuck_live == segment->live);
}

static bool
s_is_emptier (const adr_segment_t *a, const adr_segment_t *b)
{
    return s_counts (a) * b->size < s_counts (b) * a->size;
}

static s_survey_t
s_survey (const adr_store_t *self)
{
    const adr_segment_t *best = NULL;
    s_survey_t survey = { 0 };
    for (uint64_t number = self->journal.first_segment, end = s_end (self); number < end; number++) {
        const adr_segment_t *segment = &self->journal.segment[number - self->journal.first_segment];
        survey.bytes += segment->size;
        survey.counts += s_counts (segment);
        survey.ghosts += segment->ghost;
        if (!s_can_compact (segment))
            continue;
        if (survey.oldest == 0)
            survey.oldest = number;
        if (!best || s_is_emptier (segment, best)) {
            survey.emptiest = number;
            best = segment;
        }
    }
    return survey;
}

/* [STORE-9] Purged tombstones are dropped from the oldest segment alone. What is known of old segments is bounded. */
static bool
s_oldest_must_go (const adr_store_t *self, const s_survey_t *survey)
{
    const adr_journal_t *journal = &self->journal;
    return (survey->ghosts > survey->bytes / S_GHOST_SHARE && survey->oldest == journal->first_segment)
        || journal->newest - journal->first_segment > ADR_NOTE_REMOVED_SEGMENTS / 4 * 3
        || self->history.count > ADR_HISTORY_MAX / 4 * 3;
}

static bool
s_is_worth_it (adr_store_t *self, const s_survey_t *survey)
{
    bool scarce = adr_store_space (self) != ADR_SPACE_OK;
    uint64_t percent = scarce ? S_SCARCE_PERCENT : self->compaction.is_running ? S_END_PERCENT : S_BEGIN_PERCENT;
    uint64_t slack = scarce ? 0 : self->options.segment_bytes; /* a store of a few segments is left alone */
    return self->compaction.is_running = survey->bytes > survey->counts / 100 * percent + slack;
}

static uint64_t
s_victim (adr_store_t *self)
{
    s_survey_t survey = s_survey (self);
    if (survey.oldest && s_oldest_must_go (self, &survey))
        return survey.oldest;
    if (survey.emptiest == 0 || !s_is_worth_it (self, &survey))
        return 0;
    const adr_segment_t *segment = adr_journal_segment (self, survey.emptiest);
    return s_counts (segment) <= segment->size / 100 * S_WORTH_PERCENT ? survey.emptiest : 0;
}

static void
s_pick (adr_store_t *self)
{
    if (self->compaction.walk.segment || !self->compaction.look)
        return;
    uint64_t number = s_victim (self);
    self->compaction.look = false;
    self->compaction.walk = (adr_walk_t){ number, ADR_SEGMENT_FIRST, ADR_SEGMENT_FIRST };
    self->compaction.is_walked = false;
    self->compaction.applied = self->index_applied.index;
    if (number)
        ADR_MARK ("store: a segment is compacted");
}

/* --- a part of the walk ------------------------------------------------------------------------------------ */

static bool
s_may_walk (const adr_store_t *self)
{
    if (adr_store_is_lossy (self))
        return false;
    return self->compaction.walk.segment && !self->compaction.is_walked && !adr_sync_is_due (self)
        && self->journal.open.size < s_copy_max (self) && self->placed.asked - self->placed.done < S_WAITING_MAX
        && s_has_space (self);
}

int64_t
adr_compaction_wake_at (const adr_store_t *self)
{
    return s_may_walk (self) ? self->compaction.next_at : ADR_NEVER;
}

/* Of a tombstone that was purged after this index no other segment has a copy of what it deleted: one was made from the
 * row that stood there before. */
static uint64_t
s_copies_least (const adr_store_t *self)
{
    const adr_journal_t *journal = &self->journal;
    uint64_t least = self->placed.unformed ? self->compaction.applied + 1 : UINT64_MAX;
    for (uint64_t number = journal->first_segment; number <= journal->current; number++) {
        const adr_segment_t *segment = &journal->segment[number - journal->first_segment];
        if (segment->copies_least && number != self->compaction.walk.segment)
            least = s_least (least, segment->copies_least);
    }
    return least;
}

bool
adr_compaction_next (adr_store_t *self, int64_t now_ns)
{
    s_pick (self);
    if (!s_may_walk (self) || now_ns < self->compaction.next_at)
        return false;
    adr_job_t *job = &self->background;
    job->walk = self->compaction.walk;
    job->drops_ghosts = job->walk.segment == self->journal.first_segment;
    job->copies_least = job->drops_ghosts ? s_copies_least (self) : 0;
    if (!job->entry)
        job->entry = adr_alloc (sizeof *job->entry);
    if (!job->single)
        job->single = adr_alloc (sizeof *job->single);
    self->compaction.next_at = now_ns;
    return true;
}

/* What one job reads with: the view of one moment, and the bytes around where it stands. */
typedef struct {
    adr_store_t *self;
    adr_job_t *job;
    adr_index_view_t *view;
    const adr_segment_t *segment;
    uint64_t window;
} s_reader_t;

/* NULL: they cannot be read. */
static const uint8_t *
s_bytes (s_reader_t *r, uint64_t offset, uint64_t size)
{
    adr_buffer_t *bytes = &r->job->bytes;
    if (offset >= r->window && offset + size <= r->window + bytes->size)
        return bytes->data + (offset - r->window);
    if (size > r->segment->size - offset)
        return NULL;
    uint64_t take = s_least (size > S_WINDOW ? size : S_WINDOW, r->segment->size - offset);
    for (int tries = 0; tries < 2; tries++, take = size) { /* one bad sector must not hide its neighbours */
        adr_buffer_clear (bytes);
        adr_buffer_grow (bytes, (size_t) take);
        r->window = offset;
        r->job->read_size += take;
        if (r->self->disk->read (r->self->disk, r->job->walk.segment, offset, bytes->data, (size_t) take) == 0)
            return bytes->data;
        r->job->read_retries++; /* [invariant 12] */
    }
    adr_buffer_clear (bytes);
    return NULL;
}

static void
s_found (s_reader_t *r, const adr_entry_t *entry, uint32_t at, bool ghost)
{
    adr_entry_t *single = r->job->single;
    *single = (adr_entry_t){ .kind = ADR_ENTRY_WRITE, .term = entry->term, .index = entry->index,
                             .time_ms = entry->time_ms, .epoch = entry->epoch, .op_count = 1 };
    single->op[0] = entry->op[at];
    size_t size = adr_entry_size (single);
    uint8_t *to = adr_buffer_grow (&r->job->found, 1 + size);
    to[0] = ghost;
    adr_entry_encode (single, to + 1);
}

/* [STORE-9] Only what was committed was ever purged. */
static bool
s_is_ghost (const s_reader_t *r, const adr_frame_t *frame, const adr_entry_t *entry, const adr_op_t *op)
{
    if (!(op->flags & ADR_OP_DELETE) || ADR_PLANT (STORE_9_TOMBSTONE_DROPPED))
        return false;
    if (frame->kind != ADR_FRAME_COPY
        && (entry->index > r->self->log.start.index
            || !adr_history_is_genuine (&r->self->history, (adr_position_t){ entry->term, entry->index })))
        return false;
    return !(r->job->drops_ghosts && entry->index < r->job->copies_least);
}

/* What counts of an entry: operations that rows name, and tombstones that have no row. */
static void
s_look_up (s_reader_t *r, const adr_frame_t *frame, uint64_t offset)
{
    adr_entry_t *entry = r->job->entry;
    if (frame->kind == ADR_FRAME_CUT || adr_entry_decode (entry, frame->content) != frame->content.size)
        return;
    for (uint32_t i = 0; i < entry->op_count; i++) {
        const adr_op_t *op = &entry->op[i];
        adr_index_row_t row;
        int error = r->self->index->view_row (r->view, op->table, op->key, &row);
        if (error == 0 && row.place.segment == r->job->walk.segment && row.place.offset == offset && row.place.op == i)
            s_found (r, entry, i, false);
        else if (error == ENOENT && s_is_ghost (r, frame, entry, op))
            s_found (r, entry, i, true);
        else if (error && error != ENOENT)
            r->job->meets_damage = true;
    }
}

static void
s_step_frame (s_reader_t *r)
{
    adr_walk_t *walk = &r->job->walk;
    uint64_t left = walk->end - walk->offset;
    const uint8_t *at = left < ADR_FRAME_HEADER_SIZE ? NULL : s_bytes (r, walk->offset, ADR_FRAME_HEADER_SIZE);
    uint64_t size = at ? ADR_FRAME_HEADER_SIZE + (uint64_t) adr_get_u32 (at) : left + 1;
    adr_frame_t frame;
    if (size > left) { /* nobody knows where the next one begins */
        walk->offset = walk->end;
        return;
    }
    at = s_bytes (r, walk->offset, size);
    if (at && adr_frame_read (&frame, adr_bytes (at, (size_t) size), r->segment->salt, walk->segment, walk->offset))
        s_look_up (r, &frame, walk->offset);
    walk->offset += size;
}

/* The batch at this block or behind it. */
static void
s_step_batch (s_reader_t *r)
{
    adr_walk_t *walk = &r->job->walk;
    walk->offset = walk->end = (walk->end + ADR_BLOCK - 1) / ADR_BLOCK * ADR_BLOCK;
    adr_batch_header_t header;
    const uint8_t *at = walk->offset < r->segment->size ? s_bytes (r, walk->offset, ADR_BATCH_HEADER_SIZE) : NULL;
    bool sound = at && adr_batch_header_decode (&header, r->segment->salt, walk->segment, walk->offset, at)
        && header.payload_size <= r->segment->size - walk->offset - ADR_BATCH_HEADER_SIZE;
    walk->end += sound ? ADR_BATCH_HEADER_SIZE + (uint64_t) header.payload_size : ADR_BLOCK;
    walk->offset = sound ? walk->offset + ADR_BATCH_HEADER_SIZE : walk->end;
}

int
adr_compaction_walk (adr_store_t *self, adr_job_t *job)
{
    s_reader_t r = { self, job, NULL, adr_journal_segment (self, job->walk.segment), 0 };
    adr_buffer_clear (&job->bytes);
    adr_buffer_clear (&job->found);
    job->read_size = job->read_retries = 0;
    job->meets_damage = false;
    int error = self->index->view (self->index, &r.view);
    if (error)
        return error;
    while (job->walk.offset < r.segment->size && job->found.size < s_copy_max (self) && job->read_size < S_READ_MAX)
        if (job->walk.offset < job->walk.end)
            s_step_frame (&r);
        else
            s_step_batch (&r);
    self->index->view_close (&r.view);
    return 0;
}

void
adr_compaction_done (adr_store_t *self)
{
    adr_job_t *job = &self->background;
    uint64_t rate = self->options.compact_bytes_per_s ? self->options.compact_bytes_per_s : S_RATE;
    for (size_t at = 0; at < job->found.size;) {
        bool ghost = job->found.data[at] != 0;
        size_t size = adr_entry_decode (&self->entry, adr_bytes (job->found.data + at + 1, job->found.size - at - 1));
        adr_assert (size > 0);
        adr_place_move (self, &self->entry, ghost);
        at += 1 + size;
    }
    self->index_damaged |= job->meets_damage;
    self->read_retries += job->read_retries;
    self->compaction.walk = job->walk;
    self->compaction.is_walked = job->walk.offset >= adr_journal_segment (self, job->walk.segment)->size;
    self->compaction.asked = self->placed.asked;
    self->compaction.copied += job->found.size;
    self->compaction.reserve -= s_least (self->compaction.reserve, job->found.size);
    self->compaction.next_at += (int64_t) (job->read_size * 1000 / rate) * ADR_MS;
    adr_buffer_clear (&job->found);
}

