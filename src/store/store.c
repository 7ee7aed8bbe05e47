/* SPDX-License-Identifier: MPL-2.0 */
/* A replicating node's store: its life, and the face of its log.
 *
 * Owns: through log.c and journal.c the entries. Makes durable: nothing by itself. Assumes: one owner for all calls but
 * adr_store_job_write and _sync. Implements STORE-7 (what is durable), STORE-11 (marks). */

#include "store/internal.h"

#include "core/actor.h"

#include <stdlib.h>

#define S_PENDING_MAX (16 * 1024 * 1024) /* bytes that wait for the disk before the store says that it has no room */
#define S_APPEND_SLACK (4 * ADR_BLOCK)   /* around an entry: headers, padding, its batch's witness */

/* --- life -------------------------------------------------------------------------------------------------- */

adr_store_opening_t
adr_store_open (adr_store_t **self_pointer, const adr_store_options_t *options, adr_disk_t *disk, adr_state_t *state,
                adr_index_t *index, adr_entropy_t *entropy, char *why, size_t why_size)
{
    adr_store_t *self = adr_alloc (sizeof *self);
    self->options = *options;
    self->options.segment_bytes -= options->segment_bytes % ADR_BLOCK;
    self->disk = disk;
    self->state = state;
    self->index = index;
    self->entropy = entropy;
    self->active = adr_memtable_create ();
    self->batch_max = self->options.segment_bytes / 4;
    if (self->batch_max > ADR_BATCH_MAX)
        self->batch_max = ADR_BATCH_MAX;
    /* The largest entry, and the cut that goes before it [STORE-12]. */
    uint64_t least = ADR_FRAME_HEADER_SIZE + ADR_CUT_SIZE + ADR_FRAME_HEADER_SIZE + ADR_ENTRY_MAX;
    if (self->batch_max < least && options->segment_bytes >= ADR_STORE_SEGMENT_MIN)
        self->batch_max = least;
    adr_log_init (&self->log, options->cache_bytes);
    adr_tree_init (&self->tree, options->tree_key, options->partitions ? options->partitions : 1);
    self->placed.last = &self->placed.first;
    why[0] = '\0';
    adr_store_opening_t opening = adr_store_recover (self, why, why_size);
    if (opening == ADR_STORE_FAILED)
        adr_store_destroy (&self);
    /* [STORE-9] An index that was made anew may lack what only other copies have: it is compared before it serves. */
    if (self && self->was_rebuilt && self->sync.sync == ADR_SYNC_EXACT && !ADR_PLANT (STORE_9_REBUILT_SERVES))
        self->sync = self->sync_wanted = (adr_sync_note_t){ .sync = ADR_SYNC_UNPROVEN };
    if (self)
        self->proof_from = self->index_applied.index;
    *self_pointer = self;
    return opening;
}

void
adr_store_destroy (adr_store_t **self_pointer)
{
    adr_store_t *self = *self_pointer;
    if (!self)
        return;
    adr_log_free (&self->log);
    adr_memtable_destroy (&self->active);
    while (self->frozen_count)
        adr_memtable_destroy (&self->frozen[--self->frozen_count].table);
    adr_tree_free (&self->tree);
    adr_place_free (self);
    adr_buffer_free (&self->wounds);
    free (self->journal.segment);
    adr_buffer_free (&self->journal.open);
    adr_buffer_free (&self->batch.bytes);
    adr_buffer_free (&self->background.bytes);
    adr_buffer_free (&self->background.note);
    adr_buffer_free (&self->background.found);
    free (self->background.entry);
    free (self->background.single);
    adr_accounts_free (&self->background.accounts);
    free (self->gone);
    adr_buffer_free (&self->scratch);
    free (self->window.data);
    free (self->origin);
    free (self);
    *self_pointer = NULL;
}

uint64_t
adr_store_incarnation (const adr_store_t *self)
{
    return self->incarnation;
}

uint64_t
adr_store_boot (const adr_store_t *self)
{
    return self->boot;
}

/* --- the log ----------------------------------------------------------------------------------------------- */

adr_position_t
adr_store_last (const adr_store_t *self)
{
    return self->log.last;
}

static uint64_t
s_least_set (uint64_t a, uint64_t b)
{
    return a == 0 || (b != 0 && b < a) ? b : a;
}

/* [STORE-7] A node counts itself, and applies, only up to what its own journal has synced. */
uint64_t
adr_store_durable (const adr_store_t *self)
{
    if (ADR_PLANT (STORE_7_COUNT_UNSYNCED))
        return self->journal.end.index < self->log.last.index ? self->journal.end.index : self->log.last.index;
    uint64_t open = s_least_set (self->log.missing_from,
                                 s_least_set (self->journal.refilled_from, self->batch.refilled_from));
    return open != 0 && open <= self->journal.durable_index ? open - 1 : self->journal.durable_index;
}

uint64_t
adr_store_synced (const adr_store_t *self)
{
    return self->journal.durable_index;
}

adr_position_t
adr_store_log_start (const adr_store_t *self)
{
    return self->log.start;
}

uint64_t
adr_store_commit (const adr_store_t *self)
{
    return self->commit;
}

uint64_t
adr_store_applied (const adr_store_t *self)
{
    return self->applied.index;
}

uint64_t
adr_store_flushed (const adr_store_t *self)
{
    return self->index_applied.index;
}

uint64_t
adr_store_term (const adr_store_t *self)
{
    uint64_t term = self->log.last.term;
    if (self->journal.noted_term > term)
        term = self->journal.noted_term;
    return self->fence > term ? self->fence : term;
}

const adr_voters_t *
adr_store_voters (const adr_store_t *self)
{
    return adr_log_voters (&self->log);
}

bool
adr_store_term_at (const adr_store_t *self, uint64_t index, uint64_t *term)
{
    return adr_log_term_at (&self->log, index, term);
}

uint64_t
adr_store_first_of_term (const adr_store_t *self, uint64_t index)
{
    uint64_t term = adr_log_item (&self->log, index)->term;
    uint64_t low = self->log.start.index + 1, high = index;
    while (low < high) {
        uint64_t middle = low + (high - low) / 2;
        if (adr_log_item (&self->log, middle)->term < term)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

const adr_origin_t *
adr_store_origins (const adr_store_t *self, uint64_t *count)
{
    *count = self->origin_count;
    return self->origin;
}

void
adr_store_forget_origins (adr_store_t *self)
{
    free (self->origin);
    self->origin = NULL;
    self->origin_count = 0;
}

void
adr_store_append (adr_store_t *self, const adr_entry_t *entry, adr_bytes_t encoded)
{
    adr_assert (adr_get_u64 (encoded.data + 16) == entry->index && adr_get_u64 (encoded.data + 8) == entry->term);
    adr_item_t *item = adr_log_append (&self->log, entry, ADR_FRAME_HEADER_SIZE + encoded.size);
    adr_journal_append (self, ADR_FRAME_ENTRY, encoded, item);
    adr_log_cache_put (&self->log, item, encoded);
}

uint64_t
adr_store_missing_from (const adr_store_t *self)
{
    return self->log.missing_from;
}

bool
adr_store_lose (adr_store_t *self, uint64_t index)
{
    adr_bytes_t encoded;
    if (index <= self->log.start.index || index > self->commit || adr_log_item (&self->log, index)->missing
        || adr_journal_entry (self, index, false, &encoded))
        return false;
    ADR_MARK ("store: an entry is lost at run time");
    adr_log_lose (&self->log, index);
    return true;
}

bool
adr_store_reread (adr_store_t *self)
{
    uint64_t index = self->log.missing_from;
    if (index == 0 || adr_log_item (&self->log, index)->segment == 0)
        return false;
    adr_bytes_t encoded;
    adr_item_t *item = adr_log_item (&self->log, index);
    item->missing = false;
    bool found = adr_journal_entry (self, index, false, &encoded);
    item->missing = true;
    if (found)
        adr_log_found (&self->log, index);
    return found;
}

bool
adr_store_refill (adr_store_t *self, const adr_entry_t *entry, adr_bytes_t encoded)
{
    if (self->log.missing_from == 0 || entry->index != self->log.missing_from)
        return false;
    adr_item_t *item = adr_log_refill (&self->log, entry, ADR_FRAME_HEADER_SIZE + encoded.size);
    if (!item)
        return false;
    adr_journal_t *journal = &self->journal;
    adr_journal_append (self, ADR_FRAME_REFILL, encoded, item);
    if (journal->refilled_from == 0)
        journal->refilled_from = entry->index;
    journal->refilled_to = entry->index;
    return true;
}

void
adr_store_cut (adr_store_t *self, uint64_t index)
{
    adr_assert (index >= self->commit && index >= self->applied.index);
    adr_journal_t *journal = &self->journal;
    if (index == self->log.last.index)
        return;
    adr_log_cut (&self->log, index);
    journal->cut_pending = true;
    journal->cut_to = self->log.last;
    if (journal->durable_index > index)
        journal->durable_index = index;
    if (self->batch.kind != ADR_JOB_NONE && self->batch.last_index > index)
        self->batch.last_index = index;
}

uint32_t
adr_store_read_log (adr_store_t *self, uint64_t from, size_t max, adr_buffer_t *buffer, adr_status_t *status)
{
    *status = ADR_STATUS_NOT_FOUND;
    if (from <= self->log.start.index || from > self->log.last.index)
        return 0;
    uint32_t count = 0;
    size_t taken = 0;
    for (uint64_t index = from; index <= self->log.last.index; index++) {
        size_t size = adr_log_item (&self->log, index)->size - ADR_FRAME_HEADER_SIZE;
        if (count > 0 && taken + size > max)
            break;
        adr_bytes_t encoded;
        *status = ADR_STATUS_DAMAGED;
        if (!adr_journal_entry (self, index, true, &encoded))
            break;
        adr_buffer_append (buffer, encoded.data, encoded.size);
        taken += encoded.size;
        count++;
    }
    if (count > 0)
        *status = ADR_STATUS_OK;
    return count;
}

void
adr_store_set_commit (adr_store_t *self, uint64_t commit)
{
    adr_assert (commit <= self->log.last.index);
    if (commit > self->commit)
        self->commit = commit;
}

void
adr_store_set_unlocked (adr_store_t *self, uint64_t unlocked)
{
    if (unlocked > self->unlocked)
        self->unlocked = unlocked;
}

void
adr_store_forget_unlocked (adr_store_t *self)
{
    if (self->unlocked > self->log.last.index)
        self->unlocked = self->log.last.index;
}

uint64_t
adr_store_compacted (const adr_store_t *self)
{
    return self->compaction.copied;
}

bool
adr_store_was_rebuilt (const adr_store_t *self)
{
    return self->was_rebuilt;
}

uint64_t
adr_store_lost_segments (const adr_store_t *self)
{
    return self->lost_segments;
}

bool
adr_store_has_room (const adr_store_t *self)
{
    return self->journal.open.size + self->batch.bytes.size < S_PENDING_MAX
        && adr_store_memory (self) < self->options.memory_max_bytes;
}

void
adr_store_keep_from (adr_store_t *self, uint64_t index)
{
    self->keep_from = index;
}

/* [STORE-11] The first mark leaves room for what must go on when puts do not: the segments that deletes and
 * membership will fill, and the pages that index commits need before they free any. */
static uint64_t
s_mark (const adr_store_t *self)
{
    return 2 * self->options.segment_bytes + 2 * self->options.flush_bytes;
}

bool
adr_store_on_reserve (const adr_store_t *self)
{
    return self->starved || self->rows_starved || self->free_bytes < s_mark (self);
}

adr_space_t
adr_store_space (const adr_store_t *self)
{
    if (adr_store_on_reserve (self))
        return adr_journal_left (self) < self->options.segment_bytes / 2 + self->compaction.reserve ? ADR_SPACE_LAST
                                                                                                     : ADR_SPACE_SECOND_MARK;
    return self->free_bytes < 2 * s_mark (self) ? ADR_SPACE_FIRST_MARK : ADR_SPACE_OK;
}

/* [STORE-11] What is appended without space is never durable, and a log whose end is not durable answers no fence [ELECT-4].
 * So puts, which bring what must be kept for ever, leave the reserve alone; deletes and what they release may use a part
 * of it, and openings and voters all of it. What the group cannot go on without may use a part, too, whatever it is. */
bool
adr_store_takes (const adr_store_t *self, const adr_entry_t *entry, bool needed)
{
    adr_space_t space = adr_store_space (self);
    uint64_t left = adr_journal_left (self);
    if (space < ADR_SPACE_SECOND_MARK || ADR_PLANT (STORE_11_RESERVE_EATEN))
        return true;
    if (self->journal.open.size + adr_entry_size (entry) + S_APPEND_SLACK > left)
        return false;
    if (entry->kind != ADR_ENTRY_WRITE || entry->op_count == 0)
        return true;
    if (needed && left >= self->options.segment_bytes / 4 + self->compaction.reserve)
        return true;
    for (uint32_t i = 0; i < entry->op_count; i++)
        if (!(entry->op[i].flags & (ADR_OP_DELETE | ADR_OP_PURGE)) && entry->op[i].table != ADR_TABLE_GARBAGE
            && entry->op[i].table != ADR_TABLE_GROUP)
            return false;
    return space == ADR_SPACE_SECOND_MARK;
}

uint64_t
adr_store_read_retries (const adr_store_t *self)
{
    return self->read_retries;
}

void
adr_store_check (const adr_store_t *self)
{
    adr_log_check (&self->log);
    adr_memtable_check (self->active);
    adr_assert (self->commit <= self->log.last.index);
    adr_assert (self->index_applied.index <= self->applied.index);
    adr_assert (self->applied.index <= self->commit || ADR_PLANT (STORE_6_INDEX_TO_LOG_END));
    adr_assert (self->log.start.index <= self->index_applied.index);
    adr_assert (self->log.start.index == 0 || self->log.start.index < self->log.last.index
                || self->sync.sync != ADR_SYNC_EXACT);
    adr_assert (self->journal.durable_index <= self->log.last.index);
    adr_assert (self->journal.current <= self->journal.newest);
    adr_assert (self->journal.durable_batch < self->journal.next_batch);
}
