/* SPDX-License-Identifier: MPL-2.0 */
/* How space comes back: segments that hold nothing that counts go.
 *
 * Owns: nothing yet but its job's notes. Makes durable: which segments are gone, and then that they are. Assumes: the
 * accounts (account.c), and that it is asked while no background job is out. Implements STORE-8: what a segment held is
 * durable elsewhere, or counts no more, before it goes; and the log's start has passed it before.
 *
 *     the log's start, durable -> the index's rows, durable -> a note that the segment goes -> unlink, sync the folder */

#include "store/internal.h"

#include "core/actor.h"

#include <errno.h>

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
        if (!placed->drop && placed->batch)
            least = s_least (least, placed->row.place.segment);
    return least;
}

static bool
s_may_go (const adr_segment_t *segment)
{
    return !segment->removed && segment->live == 0 && segment->ghost == 0;
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

/* The note that this segment is gone too, and what an index must know that comes back from a copy. */
static void
s_note_make (adr_store_t *self, uint64_t gone)
{
    const adr_journal_t *journal = &self->journal;
    adr_job_t *job = &self->background;
    uint64_t first = job->first = s_first_without (journal, gone);
    adr_buffer_clear (&job->note);
    uint8_t *head = adr_buffer_grow (&job->note, 16);
    adr_put_u64 (head, self->index_generation);
    adr_put_u64 (head + 8, first);
    for (uint64_t number = first; number < journal->scan_segment; number++) {
        uint64_t at = number - first;
        if (number != gone && !journal->segment[number - journal->first_segment].removed)
            continue;
        while (job->note.size < 16 + at / 8 + 1)
            *adr_buffer_grow (&job->note, 1) = 0;
        job->note.data[16 + at / 8] |= (uint8_t) (1u << at % 8);
    }
}

bool
adr_compaction_remove_next (adr_store_t *self)
{
    uint64_t number = s_removable (self);
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
    return error == ENOENT ? 0 : error; /* it was lost before */
}

void
adr_compaction_remove_done (adr_store_t *self)
{
    const adr_job_t *job = &self->background;
    ADR_MARK ("store: a segment is removed");
    *adr_journal_segment (self, job->segment.number) = (adr_segment_t){ .removed = true };
    adr_account_gone (self, job->segment.number);
    adr_journal_first_move (self, job->first);
}
