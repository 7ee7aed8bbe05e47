/* SPDX-License-Identifier: MPL-2.0 */
/* A replicating node's store: its public face, its records, its background jobs.
 *
 * Owns: the memory tables, the index's contents; through log.c and journal.c the entries. Makes durable: the index's
 * rows and applied index, the log start. Assumes: one owner for all calls but adr_store_job_write and _sync.
 * Implements STORE-7 (nothing unsynced is applied or indexed), STORE-11 (marks and reserve), READ-5's older versions.
 *
 * Segments are never removed in this version: compaction is what will do it. */

#include "store/internal.h"

#include "core/actor.h"

#include <errno.h>
#include <stdlib.h>

#define S_PENDING_MAX (16 * 1024 * 1024) /* bytes that wait for the disk before the store says that it has no room */
#define S_RESERVE_SEGMENTS 2             /* prepared, really written, for votes' entries, cuts, openings [STORE-11] */
#define S_SPACE_EVERY_NS (1000 * ADR_MS)
#define S_RETRY_NS (1000 * ADR_MS)
#define S_TRIM_SHARE 8 /* the log start moves when an eighth more than what is kept has gathered */

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
    if (self->batch_max < ADR_ENTRY_MAX + ADR_FRAME_HEADER_SIZE && options->segment_bytes >= ADR_STORE_SEGMENT_MIN)
        self->batch_max = ADR_ENTRY_MAX + ADR_FRAME_HEADER_SIZE;
    adr_log_init (&self->log, options->cache_bytes);
    why[0] = '\0';
    adr_store_opening_t opening = adr_store_recover (self, why, why_size);
    if (opening == ADR_STORE_FAILED)
        adr_store_destroy (&self);
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
    adr_memtable_destroy (&self->frozen);
    free (self->journal.segment);
    adr_buffer_free (&self->journal.open);
    adr_buffer_free (&self->batch.bytes);
    adr_buffer_free (&self->scratch);
    free (self->window.data);
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

static size_t
s_memory (const adr_store_t *self)
{
    return adr_memtable_bytes (self->active) + (self->frozen ? adr_memtable_bytes (self->frozen) : 0);
}

bool
adr_store_has_room (const adr_store_t *self)
{
    return self->journal.open.size + self->batch.bytes.size < S_PENDING_MAX
        && s_memory (self) < self->options.memory_max_bytes;
}

/* [STORE-11] The first mark leaves room for what must go on when puts do not: the segments that deletes and
 * membership will fill, and the pages that index commits need before they free any. */
adr_space_t
adr_store_space (const adr_store_t *self)
{
    uint64_t mark = 2 * self->options.segment_bytes + 2 * self->options.flush_bytes;
    if (self->starved || self->free_bytes < mark)
        return ADR_SPACE_SECOND_MARK;
    return self->free_bytes < 2 * mark ? ADR_SPACE_FIRST_MARK : ADR_SPACE_OK;
}

/* --- the records ------------------------------------------------------------------------------------------- */

void
adr_store_put_rows (adr_store_t *self, const adr_entry_t *entry, const adr_item_t *item)
{
    for (uint32_t i = 0; i < entry->op_count; i++) {
        const adr_op_t *op = &entry->op[i];
        adr_index_row_t row = {
            .version = { entry->epoch, entry->term, entry->index },
            .deleted = (op->flags & ADR_OP_DELETE) != 0,
            .place = { item->segment, item->offset, item->size, (uint16_t) i },
            .value_size = (uint32_t) op->value.size, .time_ms = entry->time_ms
        };
        memcpy (row.digest, op->digest, sizeof row.digest);
        adr_memtable_put (self->active, op->table, op->key, &row, self->unlocked);
    }
}

adr_status_t
adr_store_apply (adr_store_t *self, const adr_entry_t **entry)
{
    uint64_t index = self->applied.index + 1;
    adr_assert (index <= self->commit || ADR_PLANT (STORE_6_INDEX_TO_LOG_END));
    adr_assert (self->log.missing_from == index || index <= adr_store_durable (self));
    adr_bytes_t encoded;
    if (!adr_journal_entry (self, index, true, &encoded) || adr_entry_decode (&self->entry, encoded) == 0)
        return ADR_STATUS_DAMAGED;
    const adr_item_t *item = adr_log_item (&self->log, index);
    adr_assert (item->segment != 0);
    adr_store_put_rows (self, &self->entry, item);
    self->applied = (adr_position_t){ item->term, index };
    *entry = &self->entry;
    return ADR_STATUS_OK;
}

/* The newest row of a record: memory tables first, they are newer. ENOENT, EIO or 0. */
static int
s_row (adr_store_t *self, uint8_t table, adr_bytes_t key, adr_index_row_t *row)
{
    const adr_memnode_t *node = adr_memtable_find (self->active, table, key);
    if (!node && self->frozen)
        node = adr_memtable_find (self->frozen, table, key);
    if (!node)
        return self->index->get (self->index, table, key, row);
    *row = node->newest->row;
    return 0;
}

void
adr_store_repoint (adr_store_t *self, uint64_t index)
{
    adr_bytes_t encoded;
    if (index <= self->log.start.index || index > self->log.last.index)
        return;
    const adr_item_t *item = adr_log_item (&self->log, index);
    if (item->segment == 0 || !adr_journal_entry (self, index, false, &encoded)
        || adr_entry_decode (&self->entry, encoded) == 0)
        return;
    adr_version_t version = { self->entry.epoch, self->entry.term, self->entry.index };
    for (uint32_t i = 0; i < self->entry.op_count; i++) {
        const adr_op_t *op = &self->entry.op[i];
        adr_index_row_t row;
        if (s_row (self, op->table, op->key, &row) != 0 || adr_version_compare (&row.version, &version) != 0)
            continue;
        row.place = (adr_place_t){ item->segment, item->offset, item->size, (uint16_t) i };
        adr_memtable_put (self->active, op->table, op->key, &row, self->unlocked);
    }
}

/* [STORE-3] What stands at the place must be the very operation that the row names. */
static bool
s_value_of (adr_bytes_t encoded, adr_entry_t *entry, const adr_index_row_t *row, uint8_t table, adr_bytes_t key,
            adr_bytes_t *value)
{
    if (adr_entry_decode (entry, encoded) == 0 || row->place.op >= entry->op_count)
        return false;
    const adr_op_t *op = &entry->op[row->place.op];
    adr_version_t version = { entry->epoch, entry->term, entry->index };
    if (op->table != table || !adr_bytes_equal (op->key, key) || adr_version_compare (&version, &row->version) != 0)
        return false;
    *value = op->value;
    return true;
}

static bool
s_value (adr_store_t *self, const adr_index_row_t *row, uint8_t table, adr_bytes_t key, adr_bytes_t *value)
{
    uint64_t index = row->version.index;
    adr_bytes_t encoded;
    if (index > self->log.start.index && index <= self->log.last.index) {
        const adr_item_t *item = adr_log_item (&self->log, index);
        if (!item->missing && item->segment == row->place.segment && item->offset == row->place.offset
            && adr_log_cache_get (&self->log, item, &encoded))
            return s_value_of (encoded, &self->entry, row, table, key, value);
    }
    adr_frame_t frame;
    return adr_journal_read (self, &row->place, false, &frame)
        && s_value_of (frame.content, &self->entry, row, table, key, value);
}

static adr_status_t
s_record (adr_store_t *self, const adr_index_row_t *row, uint8_t table, adr_bytes_t key, bool with_value,
          adr_record_t *record)
{
    *record = (adr_record_t){ .version = row->version, .deleted = row->deleted, .time_ms = row->time_ms };
    if (with_value && !row->deleted && !s_value (self, row, table, key, &record->value)) {
        ADR_MARK ("store: a value cannot be read");
        return ADR_STATUS_DAMAGED;
    }
    return ADR_STATUS_OK;
}

static adr_status_t
s_status (int error)
{
    return error == 0 ? ADR_STATUS_OK : error == ENOENT ? ADR_STATUS_NOT_FOUND : ADR_STATUS_DAMAGED;
}

adr_status_t
adr_store_get (adr_store_t *self, uint8_t table, adr_bytes_t key, bool with_value, adr_record_t *record)
{
    adr_index_row_t row;
    adr_status_t status = s_status (s_row (self, table, key, &row));
    return status == ADR_STATUS_OK ? s_record (self, &row, table, key, with_value, record) : status;
}

/* [READ-5] The newest version that is not above `unlocked`; one of an earlier epoch than the newest is unlocked. */
static const adr_memrow_t *
s_unlocked_of (const adr_memnode_t *node, uint64_t unlocked, uint32_t epoch)
{
    const adr_memrow_t *version = node ? node->newest : NULL;
    while (version && version->row.version.index > unlocked && version->row.version.epoch >= epoch)
        version = version->older;
    return version;
}

adr_status_t
adr_store_get_unlocked (adr_store_t *self, uint8_t table, adr_bytes_t key, uint64_t unlocked, adr_record_t *record)
{
    const adr_memnode_t *active = adr_memtable_find (self->active, table, key);
    const adr_memnode_t *frozen = self->frozen ? adr_memtable_find (self->frozen, table, key) : NULL;
    const adr_memnode_t *newest = active ? active : frozen;
    uint32_t epoch = newest ? newest->newest->row.version.epoch : 0;
    const adr_memrow_t *version = s_unlocked_of (active, unlocked, epoch);
    if (!version)
        version = s_unlocked_of (frozen, unlocked, epoch);
    if (version)
        return s_record (self, &version->row, table, key, true, record);
    adr_index_row_t row;
    adr_status_t status = s_status (self->index->get (self->index, table, key, &row));
    if (status != ADR_STATUS_OK)
        return status;
    if (row.version.index > unlocked && row.version.epoch >= epoch)
        return ADR_STATUS_UNKNOWN;
    return s_record (self, &row, table, key, true, record);
}

/* --- scans: three ordered sources, the newest of which wins ------------------------------------------------- */

typedef struct {
    const adr_memnode_t *node[2]; /* active, frozen; NULL at the end */
    adr_index_cursor_t *cursor;
    adr_bytes_t key; /* of the index's row */
    adr_index_row_t row;
    bool has_row;
    int error;
} s_merge_t;

static void
s_merge_step_index (adr_store_t *self, s_merge_t *merge)
{
    merge->error = self->index->next (self->index, merge->cursor, &merge->key, &merge->row);
    merge->has_row = merge->error == 0;
    if (merge->error == ENOENT)
        merge->error = 0;
}

static const adr_memnode_t *
s_in_table (const adr_memnode_t *node, uint8_t table)
{
    return node && node->table == table ? node : NULL;
}

static void
s_merge_begin (adr_store_t *self, s_merge_t *merge, uint8_t table, adr_bytes_t from)
{
    *merge = (s_merge_t){ 0 };
    merge->node[0] = s_in_table (adr_memtable_seek (self->active, table, from), table);
    if (self->frozen)
        merge->node[1] = s_in_table (adr_memtable_seek (self->frozen, table, from), table);
    merge->error = self->index->seek (self->index, table, from, &merge->cursor);
    if (merge->error == 0)
        s_merge_step_index (self, merge);
    else if (merge->error == ENOENT)
        merge->error = 0;
}

/* The least key of the three, false at the end. */
static bool
s_merge_least (const s_merge_t *merge, adr_bytes_t *key)
{
    bool found = merge->has_row;
    if (found)
        *key = merge->key;
    for (int i = 0; i < 2; i++)
        if (merge->node[i] && (!found || adr_bytes_compare (adr_memnode_key (merge->node[i]), *key) < 0)) {
            *key = adr_memnode_key (merge->node[i]);
            found = true;
        }
    return found;
}

/* The newest row of that key. */
static adr_index_row_t
s_merge_row (const s_merge_t *merge, adr_bytes_t key)
{
    for (int i = 0; i < 2; i++)
        if (merge->node[i] && adr_bytes_equal (adr_memnode_key (merge->node[i]), key))
            return merge->node[i]->newest->row;
    return merge->row;
}

/* Moves every source behind that key. */
static void
s_merge_pass (adr_store_t *self, s_merge_t *merge, uint8_t table, adr_bytes_t key)
{
    bool pass_index = merge->has_row && adr_bytes_equal (merge->key, key);
    for (int i = 0; i < 2; i++)
        if (merge->node[i] && adr_bytes_equal (adr_memnode_key (merge->node[i]), key))
            merge->node[i] = s_in_table (adr_memnode_next (merge->node[i]), table);
    if (pass_index)
        s_merge_step_index (self, merge); /* the key may have been the cursor's: it goes last */
}

static bool
s_has_prefix (adr_bytes_t key, adr_bytes_t prefix)
{
    return key.size >= prefix.size && (prefix.size == 0 || memcmp (key.data, prefix.data, prefix.size) == 0);
}

adr_status_t
adr_store_scan (adr_store_t *self, uint8_t table, adr_bytes_t prefix, adr_bytes_t after, bool with_values,
                adr_row_fn *row_fn, void *argument)
{
    s_merge_t merge;
    adr_bytes_t from = after.data && adr_bytes_compare (after, prefix) > 0 ? after : prefix;
    s_merge_begin (self, &merge, table, from);
    adr_status_t status = ADR_STATUS_OK;
    adr_bytes_t key;
    while (merge.error == 0 && s_merge_least (&merge, &key) && s_has_prefix (key, prefix)) {
        adr_index_row_t row = s_merge_row (&merge, key);
        if (!row.deleted && !(after.data && adr_bytes_compare (key, after) <= 0)) {
            adr_record_t record;
            status = s_record (self, &row, table, key, with_values, &record);
            if (status != ADR_STATUS_OK || !row_fn (argument, key, &record))
                break;
        }
        s_merge_pass (self, &merge, table, key);
    }
    if (merge.error)
        status = ADR_STATUS_DAMAGED;
    if (merge.cursor)
        self->index->close (self->index, &merge.cursor);
    return status;
}

/* --- background jobs --------------------------------------------------------------------------------------- */

static void
s_background (adr_store_t *self, adr_job_kind_t kind, const char *name)
{
    self->background.kind = kind;
    self->background.job = (adr_store_job_t){ .lane = ADR_LANE_BACKGROUND, .name = name };
}

static bool
s_segment_next (adr_store_t *self, uint64_t wanted)
{
    adr_journal_t *journal = &self->journal;
    if (journal->newest - journal->current >= wanted)
        return false;
    adr_job_t *job = &self->background;
    adr_journal_segment_header (self, &job->segment, journal->newest + 1, self->options.segment_bytes, 0);
    job->no_space = false;
    s_background (self, ADR_JOB_SEGMENT, "segment");
    job->job.segment = job->segment.number;
    return true;
}

/* Freezes the active table once it is large or old enough, and offers the frozen one once all of it is unlocked. */
static bool
s_flush_next (adr_store_t *self, int64_t now_ns)
{
    if (!self->frozen && self->applied.index > self->index_applied.index) {
        if (self->flush_at == 0)
            self->flush_at = now_ns + self->options.flush_every_ns;
        if (now_ns >= self->flush_at || adr_memtable_bytes (self->active) >= self->options.flush_bytes) {
            self->frozen = self->active;
            self->frozen_applied = self->applied;
            self->active = adr_memtable_create ();
            self->flush_at = 0;
        }
    }
    if (!self->frozen || adr_memtable_greatest (self->frozen) > self->unlocked)
        return false;
    self->background.applied = self->frozen_applied;
    self->background.no_space = false;
    s_background (self, ADR_JOB_FLUSH, "flush");
    return true;
}

/* How far the log start may move: at most log_keep_max bytes stay, and all that the index does not hold durably. */
static uint64_t
s_trim_to (const adr_store_t *self)
{
    const adr_log_t *log = &self->log;
    uint64_t keep = self->options.log_keep_max, bytes = log->bytes, index = log->start.index;
    if (keep == 0 || bytes < keep + keep / S_TRIM_SHARE || log->missing_count)
        return index;
    while (bytes > keep && index < self->index_applied.index && index + 1 < log->last.index)
        bytes -= adr_log_item (log, ++index)->size;
    /* A recovery scans from the segment of the first entry on: no later one may stand in an older segment. */
    return index < log->refilled_to ? log->start.index : index;
}

static bool
s_start_next (adr_store_t *self)
{
    uint64_t index = s_trim_to (self);
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
s_background_next (adr_store_t *self, int64_t now_ns)
{
    if (self->background.kind != ADR_JOB_NONE)
        return false;
    bool may_grow = !self->starved || now_ns >= self->retry_at;
    if (self->starved && may_grow)
        self->retry_at = now_ns + S_RETRY_NS;
    return (may_grow && s_segment_next (self, 1)) || (may_grow && s_flush_next (self, now_ns))
        || (may_grow && s_segment_next (self, S_RESERVE_SEGMENTS)) || s_start_next (self)
        || s_space_next (self, now_ns);
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
    if (self->batch.kind == ADR_JOB_NONE && self->journal.witness_due && self->journal.witness_at < at)
        at = self->journal.witness_at;
    if (self->background.kind != ADR_JOB_NONE)
        return at;
    if (self->flush_at && self->flush_at < at)
        at = self->flush_at;
    if (self->starved && self->retry_at < at)
        at = self->retry_at;
    if (adr_store_space (self) != ADR_SPACE_OK && self->space_at < at)
        at = self->space_at;
    return at;
}

/* --- running a job: the shell's thread, nothing of the owner's is touched ----------------------------------- */

static bool
s_is_full (int error)
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
    int error = self->disk->create (self->disk, job->segment.number, job->segment.size);
    if (s_is_full (error)) {
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

static int
s_flush_rows (adr_store_t *self, adr_job_t *job)
{
    const adr_memtable_t *table = self->frozen;
    int error = self->index->begin (self->index);
    for (const adr_memnode_t *node = adr_memtable_first (table); node && !error; node = adr_memnode_next (node))
        error = self->index->put (self->index, node->table, adr_memnode_key (node), &node->newest->row);
    uint8_t applied[ADR_META_APPLIED_SIZE];
    memcpy (applied, self->journal.id.bytes, ADR_ID_SIZE);
    adr_put_u64 (applied + 16, job->applied.term);
    adr_put_u64 (applied + 24, job->applied.index);
    if (!error)
        error = self->index->put_meta (self->index, ADR_META_APPLIED, adr_bytes (applied, sizeof applied));
    if (error)
        self->index->abort (self->index);
    return error;
}

static int
s_start_note (adr_store_t *self, const adr_job_t *job)
{
    uint8_t bytes[ADR_NOTE_START_SIZE];
    size_t size = adr_note_start_encode (job, bytes);
    adr_state_put_t put = { ADR_NOTE_START, adr_bytes (bytes, size) };
    return self->state->put (self->state, &put, 1);
}

/* A full disk is no failure of an index flush: the rows stay in memory for another try. EAGAIN asks for one now. */
static int
s_flush_error (adr_job_t *job, int error)
{
    job->no_space = s_is_full (error);
    job->again = error == EAGAIN;
    return job->no_space || job->again ? 0 : error;
}

void
adr_store_job_write (adr_store_t *self, adr_store_job_t *public_job)
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
        public_job->error = s_flush_error (job, s_flush_rows (self, job));
        break;
    case ADR_JOB_START:
    case ADR_JOB_SPACE:
    case ADR_JOB_NONE:
        break;
    }
}

void
adr_store_job_sync (adr_store_t *self, adr_store_job_t *public_job)
{
    adr_job_t *job = (adr_job_t *) public_job;
    if (public_job->error)
        return;
    switch (job->kind) {
    case ADR_JOB_BATCH:
        public_job->error = self->disk->sync (self->disk, job->header.segment);
        break;
    case ADR_JOB_SEGMENT:
        public_job->error = s_segment_note (self, job);
        break;
    case ADR_JOB_FLUSH:
        if (!job->no_space && !job->again)
            public_job->error = s_flush_error (job, self->index->commit (self->index));
        break;
    case ADR_JOB_START:
        public_job->error = s_start_note (self, job);
        break;
    case ADR_JOB_SPACE:
        public_job->error = self->disk->space (self->disk, &job->free_bytes, &job->all_bytes);
        break;
    case ADR_JOB_NONE:
        break;
    }
}

/* --- back on the owner's thread ---------------------------------------------------------------------------- */

static void
s_segment_done (adr_store_t *self)
{
    adr_job_t *job = &self->background;
    self->starved = job->no_space;
    self->space_stale = true;
    if (job->no_space) {
        ADR_MARK ("store: no space for a segment");
        self->free_bytes = 0;
        return;
    }
    adr_segment_t *segment = adr_journal_segment_add (self, job->segment.number);
    *segment = (adr_segment_t){ .salt = job->segment.salt, .size = job->segment.size, .readable = true };
    self->journal.newest = job->segment.number;
}

static void
s_flush_done (adr_store_t *self)
{
    self->starved = self->background.no_space;
    if (self->background.no_space || self->background.again) {
        ADR_MARK ("store: a flush is tried again");
        return;
    }
    self->index_applied = self->background.applied;
    self->space_stale = true;
    adr_memtable_destroy (&self->frozen);
}

static void
s_background_done (adr_store_t *self)
{
    adr_job_t *job = &self->background;
    switch (job->kind) {
    case ADR_JOB_SEGMENT:
        s_segment_done (self);
        break;
    case ADR_JOB_FLUSH:
        s_flush_done (self);
        break;
    case ADR_JOB_START:
        adr_log_trim (&self->log, job->start.index);
        break;
    case ADR_JOB_SPACE:
        self->free_bytes = job->free_bytes;
        self->all_bytes = job->all_bytes;
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

int
adr_store_flush_now (adr_store_t *self)
{
    adr_assert (!self->frozen && self->background.kind == ADR_JOB_NONE);
    self->frozen = self->active;
    self->frozen_applied = self->applied;
    self->active = adr_memtable_create ();
    self->background.applied = self->applied;
    int error;
    do {
        error = s_flush_rows (self, &self->background);
        if (!error)
            error = self->index->commit (self->index);
    } while (error == EAGAIN);
    if (!error)
        self->index_applied = self->applied;
    adr_memtable_destroy (&self->frozen);
    return error;
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
    adr_assert (self->journal.durable_index <= self->log.last.index);
    adr_assert (self->journal.current <= self->journal.newest);
    adr_assert (self->journal.durable_batch < self->journal.next_batch);
}
