/* SPDX-License-Identifier: MPL-2.0 */
/* A store's records: entries become rows, rows are found, values are read from the journal, tables are scanned.
 *
 * Owns: the contents of the memory tables. Makes durable: nothing (jobs.c flushes). Implements STORE-3 and STORE-10 for
 * reads, STORE-7 (nothing unsynced is applied), READ-5's older versions. */

#include "store/internal.h"
#include "store/reader.h"

#include "core/actor.h"

#include <errno.h>

#define S_WOUNDS_MAX (16 * 1024)

/* [STORE-9] The row keeps its version: nobody has to wait for a lock on it. */
void
adr_store_put_purge (adr_store_t *self, const adr_op_t *op)
{
    adr_version_t version = adr_version_decode (op->value.data);
    adr_index_row_t row;
    if (adr_store_row (self, op->table, op->key, &row) != 0 || !row.deleted
        || adr_version_compare (&row.version, &version) != 0)
        return;
    row.purged = true;
    adr_memtable_put (self->active, op->table, op->key, &row, self->unlocked);
}

void
adr_store_put_rows (adr_store_t *self, const adr_entry_t *entry, const adr_item_t *item)
{
    for (uint32_t i = 0; i < entry->op_count; i++) {
        const adr_op_t *op = &entry->op[i];
        if (op->flags & ADR_OP_PURGE) {
            adr_store_put_purge (self, op);
            continue;
        }
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
    if (self->entry.kind == ADR_ENTRY_CHECKPOINT && !adr_store_freeze (self, true))
        ADR_MARK ("store: a checkpoint is passed by");
    *entry = &self->entry;
    return ADR_STATUS_OK;
}

/* [STORE-10] What the index said of a row or of its next one. A row that cannot be read is mended from the journal, where all of
 * them are: at the next start, which makes the index anew. */
static int
s_index_said (adr_store_t *self, int error)
{
    if (error && error != ENOENT) {
        ADR_MARK ("store: a row of the index cannot be read");
        self->index_damaged = true;
        if (ADR_PLANT (STORE_10_ROT_IS_ABSENCE))
            return ENOENT;
    }
    return error;
}

/* [STORE-10] Of the index: that there is none is believed only if the tree agrees. */
static int
s_index_row (adr_store_t *self, uint8_t table, adr_bytes_t key, adr_index_row_t *row)
{
    int error = self->index->get (self->index, table, key, row);
    adr_index_view_t *view;
    if (error == ENOENT && self->index->view (self->index, &view) == 0) {
        if (adr_tree_has_slot (&self->tree, self->index, view, table, key))
            error = self->index->view_row (view, table, key, row) == 0 ? 0 : EIO;
        self->index->view_close (&view);
    }
    return s_index_said (self, error);
}

/* The memory tables, newest first: the active one is 0. */
static const adr_memtable_t *
s_table (const adr_store_t *self, uint32_t i)
{
    return i == 0 ? self->active : self->frozen[self->frozen_count - i].table;
}

int
adr_store_row (adr_store_t *self, uint8_t table, adr_bytes_t key, adr_index_row_t *row)
{
    for (uint32_t i = 0; i <= self->frozen_count; i++) {
        const adr_memnode_t *node = adr_memtable_find (s_table (self, i), table, key);
        if (node) {
            *row = node->newest->row;
            return row->purged ? ENOENT : 0;
        }
    }
    return s_index_row (self, table, key, row);
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
        if (adr_store_row (self, op->table, op->key, &row) != 0 || adr_version_compare (&row.version, &version) != 0)
            continue;
        row.place = (adr_place_t){ item->segment, item->offset, item->size, (uint16_t) i };
        adr_memtable_put (self->active, op->table, op->key, &row, self->unlocked);
    }
}

/* [STORE-3] What stands at the place must be the very operation that the row names. */
bool
adr_value_of (adr_bytes_t encoded, adr_entry_t *entry, const adr_index_row_t *row, uint8_t table, adr_bytes_t key,
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
            return adr_value_of (encoded, &self->entry, row, table, key, value);
    }
    adr_frame_t frame;
    return adr_journal_read (self, &row->place, false, &frame)
        && adr_value_of (frame.content, &self->entry, row, table, key, value);
}

void
adr_store_take_wounds (adr_store_t *self, adr_buffer_t *keys)
{
    adr_buffer_append (keys, self->wounds.data, self->wounds.size);
    adr_buffer_clear (&self->wounds);
}

uint64_t
adr_store_doubts (const adr_store_t *self)
{
    return self->doubts;
}

bool
adr_store_met_doubt (const adr_store_t *self)
{
    return self->met_doubt;
}

static adr_status_t
s_record (adr_store_t *self, const adr_index_row_t *row, uint8_t table, adr_bytes_t key, bool with_value,
          adr_record_t *record)
{
    *record = (adr_record_t){ .version = row->version, .deleted = row->deleted, .time_ms = row->time_ms };
    self->met_doubt = row->doubt != ADR_DOUBT_NONE && !ADR_PLANT (REPAIR_2_DOUBT_SERVED);
    if (self->met_doubt) {
        ADR_MARK ("store: a record in doubt is asked for");
        return ADR_PLANT (REPAIR_2_DOUBT_IS_ABSENCE) ? ADR_STATUS_NOT_FOUND : ADR_STATUS_DAMAGED;
    }
    if (with_value && !row->deleted && !s_value (self, row, table, key, &record->value)) {
        ADR_MARK ("store: a value cannot be read");
        if (self->wounds.size < S_WOUNDS_MAX)
            adr_wound_put (&self->wounds, table, key);
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
    self->met_doubt = false;
    adr_status_t status = s_status (adr_store_row (self, table, key, &row));
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
    uint32_t epoch = 0;
    for (uint32_t i = 0; i <= self->frozen_count; i++) {
        const adr_memnode_t *node = adr_memtable_find (s_table (self, i), table, key);
        if (node && epoch == 0)
            epoch = node->newest->row.version.epoch;
        const adr_memrow_t *version = s_unlocked_of (node, unlocked, epoch);
        if (version && version->row.purged)
            return ADR_STATUS_NOT_FOUND;
        if (version)
            return s_record (self, &version->row, table, key, true, record);
    }
    adr_index_row_t row;
    adr_status_t status = s_status (s_index_row (self, table, key, &row));
    if (status != ADR_STATUS_OK)
        return status;
    if (row.version.index > unlocked && row.version.epoch >= epoch)
        return ADR_STATUS_UNKNOWN;
    return s_record (self, &row, table, key, true, record);
}

/* --- scans: several ordered sources, the newest of which wins ------------------------------------------------- */

typedef struct {
    const adr_memnode_t *node[1 + ADR_FROZEN_MAX]; /* newest first; NULL at the end */
    uint32_t node_count;
    adr_index_cursor_t *cursor;
    adr_bytes_t key; /* of the index's row */
    adr_index_row_t row;
    bool has_row;
    int error;
} s_merge_t;

static void
s_merge_step_index (adr_store_t *self, s_merge_t *merge)
{
    merge->error = s_index_said (self, self->index->next (self->index, merge->cursor, &merge->key, &merge->row));
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
    merge->node_count = 1 + self->frozen_count;
    for (uint32_t i = 0; i < merge->node_count; i++)
        merge->node[i] = s_in_table (adr_memtable_seek (s_table (self, i), table, from), table);
    merge->error = s_index_said (self, self->index->seek (self->index, table, from, &merge->cursor));
    if (merge->error == 0)
        s_merge_step_index (self, merge);
    else if (merge->error == ENOENT)
        merge->error = 0;
}

/* The least key of all, false at the end. */
static bool
s_merge_least (const s_merge_t *merge, adr_bytes_t *key)
{
    bool found = merge->has_row;
    if (found)
        *key = merge->key;
    for (uint32_t i = 0; i < merge->node_count; i++)
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
    for (uint32_t i = 0; i < merge->node_count; i++)
        if (merge->node[i] && adr_bytes_equal (adr_memnode_key (merge->node[i]), key))
            return merge->node[i]->newest->row;
    return merge->row;
}

/* Moves every source behind that key. */
static void
s_merge_pass (adr_store_t *self, s_merge_t *merge, uint8_t table, adr_bytes_t key)
{
    bool pass_index = merge->has_row && adr_bytes_equal (merge->key, key);
    for (uint32_t i = 0; i < merge->node_count; i++)
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
    return adr_store_scan_some (self, table, prefix, after, with_values, UINT32_MAX, NULL, row_fn, argument);
}

adr_status_t
adr_store_scan_some (adr_store_t *self, uint8_t table, adr_bytes_t prefix, adr_bytes_t after, bool with_values,
                     uint32_t steps, adr_buffer_t *behind, adr_row_fn *row_fn, void *argument)
{
    s_merge_t merge;
    self->met_doubt = false;
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
        if (behind && --steps == 0) {
            adr_buffer_append (behind, key.data, key.size);
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
