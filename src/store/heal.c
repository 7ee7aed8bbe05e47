/* SPDX-License-Identifier: MPL-2.0 */
/* An index with rows that cannot be read is made sound again while the store runs: what is unreadable goes, and tree and
 * accounts are made anew from what is left. What went is missing here from then on, so the copy is no longer exact: it is
 * compared with the others' and mended [STORE-9, REPAIR-1]. Where there are no others, the next start makes the index anew
 * from the journal instead.
 *
 * Makes durable: first a tree that is noted as broken and empty, then the new one. Implements STORE-10. */

#include "store/internal.h"

#include "core/actor.h"

#include <errno.h>

bool
adr_store_index_is_damaged (const adr_store_t *self)
{
    return self->index_damaged;
}

bool
adr_store_index_is_lost (const adr_store_t *self)
{
    return self->heal_failed || self->index->is_broken (self->index);
}

bool
adr_store_sync_begins (const adr_store_t *self)
{
    return self->sync_wanted.sync == ADR_SYNC_COPYING && self->sync.sync != ADR_SYNC_COPYING;
}

void
adr_store_note_index_damaged (adr_store_t *self)
{
    self->index_damaged = true;
}

void
adr_store_heal (adr_store_t *self)
{
    if (!self->index_damaged || self->heal_wanted || adr_store_index_is_lost (self))
        return;
    self->heal_wanted = true;
    if (adr_store_sync (self) == ADR_SYNC_COPYING || adr_store_sync_begins (self))
        self->sync_wanted.lossy = true;
    else
        self->sync_wanted = (adr_sync_note_t){ ADR_SYNC_UNPROVEN, self->sync.window_to, true }; /* flushes may be far behind */
}

/* Not before it is noted that this copy is not exact. */
bool
adr_heal_next (adr_store_t *self)
{
    if (!self->heal_wanted || self->sync.sync == ADR_SYNC_EXACT || self->placed.first)
        return false;
    adr_rows_prepare (self);
    return true;
}

/* All names but the accounts, which are put anew; noted as broken, so that what follows may fail. */
static int
s_clear_tree (adr_store_t *self)
{
    adr_index_view_t *view;
    uint8_t after[ADR_TREE_NAME_MAX];
    adr_bytes_t name = adr_bytes ("c", 1), value;
    const uint8_t *before = name.data;
    int error = self->index->begin (self->index);
    if (error)
        return error;
    error = self->index->view (self->index, &view);
    if (!error) {
        /* A value that cannot be read has a name all the same. */
        while (((error = self->index->view_next (view, name, &name, &value)) == 0 || error == EIO) && name.data[0] <= 't') {
            /* An error that gives no name is one of the file's structure: the next start makes all anew. */
            if (name.size > sizeof after || name.data == before) {
                error = EILSEQ;
                break;
            }
            memcpy (after, name.data, name.size);
            name = adr_bytes (after, name.size);
            before = after;
            if (after[0] == 'd' || after[0] == 'l' || after[0] == 's' || after[0] == 't')
                error = self->index->remove_tree (self->index, name);
            if (error && error != EIO)
                break;
        }
        self->index->view_close (&view);
        error = error == ENOENT || error == EIO ? 0 : error == EILSEQ ? EIO : error;
    }
    if (!error)
        error = adr_tree_break (self->index);
    if (!error)
        return self->index->commit (self->index);
    self->index->abort (self->index);
    return error;
}

static int
s_give_up (adr_store_t *self, adr_index_cursor_t **cursor)
{
    self->index->close (self->index, cursor);
    return EIO;
}

static int
s_take_table (adr_store_t *self, adr_job_t *job, adr_index_view_t *view, uint8_t table)
{
    adr_index_cursor_t *cursor;
    adr_bytes_t key = { 0 };
    adr_index_row_t row;
    int error = self->index->seek (self->index, table, adr_bytes (NULL, 0), &cursor);
    while (!error) {
        error = self->index->next (self->index, cursor, &key, &row);
        if (error == EIO && key.data) {
            ADR_MARK ("store: a row that cannot be read goes");
            job->lost_rows++;
            error = self->index->remove (self->index, table, key);
            if (error == ENOENT) /* a row that is there and cannot be found: not even the keys are sound */
                return s_give_up (self, &cursor);
        } else if (!error) {
            adr_accounts_row (&job->accounts, key, NULL, &row);
            error = adr_tree_swap (&self->tree, self->index, view, table, key, NULL, &row);
            if (!error)
                error = adr_tombstone_swap (self, table, key, NULL, &row);
        }
        key.data = NULL;
    }
    if (cursor)
        self->index->close (self->index, &cursor);
    return error == ENOENT ? 0 : error;
}

int
adr_heal_write (adr_store_t *self, adr_job_t *job)
{
    adr_index_view_t *view;
    job->lost_rows = 0;
    job->regressions = 0;
    /* [STORE-10] Rows that are hidden cannot be healed, and nothing is written to pages that are damaged. */
    int error = self->index->check (self->index);
    if (!error)
        error = s_clear_tree (self);
    if (error)
        return error;
    self->tree.broken = false;
    memset (self->tree.stale, true, self->tree.partitions + 1);
    self->tree.doubts = 0;
    if ((error = adr_rows_begin (self, &view)) != 0)
        return adr_rows_end (self, &view, error);
    for (uint8_t table = 0; table < ADR_TABLE_COUNT && !error; table++)
        error = s_take_table (self, job, view, table);
    self->tree.broken = false;
    adr_accounts_replace (self, &job->accounts);
    if (!error)
        error = adr_rows_put_gathered (self);
    if (!error)
        error = adr_tree_mend (self->index);
    if (!error)
        error = adr_put_applied (self, &self->index_applied, job->generation);
    return adr_rows_end (self, &view, error);
}

int
adr_heal_commit (adr_store_t *self, adr_job_t *job)
{
    int error = adr_flush_commit (self, job);
    return error ? error : adr_store_note_reindex (self, true); /* taken back when this copy is proven */
}

void
adr_heal_done (adr_store_t *self)
{
    ADR_MARK ("store: an index is healed");
    self->heal_wanted = false;
    self->proof_from = self->index_applied.index;
    self->index_damaged = false;
    self->reindex_noted = true;
    self->lost_rows += self->background.lost_rows;
    adr_rows_done (self);
}

uint64_t
adr_store_lost_rows (const adr_store_t *self)
{
    return self->lost_rows;
}
