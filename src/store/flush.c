/* SPDX-License-Identifier: MPL-2.0 */
/* Memory tables move into the index: all rows of one table, the hash tree's leaves and the applied index in one
 * transaction, on the background lane.
 *
 * Owns: the frozen tables, the tree. Makes durable: rows, leaves, slots, the applied index. Assumes: one transaction at a
 * time. Implements REPAIR-4 (what the index holds goes out of the tree, what it now holds comes in), REPAIR-1 (only rows
 * of the window may meet newer ones; no roots before the copy is exact). */

#include "store/internal.h"

#include "core/actor.h"

#include <errno.h>

/* --- which, and when ------------------------------------------------------------------------------------------- */

size_t
adr_store_memory (const adr_store_t *self)
{
    size_t bytes = adr_memtable_bytes (self->active);
    for (uint32_t i = 0; i < self->frozen_count; i++)
        bytes += adr_memtable_bytes (self->frozen[i].table);
    return bytes;
}

bool
adr_store_freeze (adr_store_t *self, bool checkpoint)
{
    if (self->frozen_count == ADR_FROZEN_MAX)
        return false;
    self->frozen[self->frozen_count++] = (adr_frozen_t){ self->active, self->applied, checkpoint };
    self->active = adr_memtable_create ();
    self->flush_at = 0;
    return true;
}

static uint64_t
s_frozen_to (const adr_store_t *self)
{
    return self->frozen_count ? self->frozen[self->frozen_count - 1].applied.index : self->index_applied.index;
}

/* Freezes the active table once it is large or old enough, and offers the oldest frozen one once all of it is unlocked. */
bool
adr_flush_next (adr_store_t *self, int64_t now_ns)
{
    if (self->frozen_count == 0 && self->applied.index > s_frozen_to (self)) {
        if (self->flush_at == 0)
            self->flush_at = now_ns + self->options.flush_every_ns;
        if (now_ns >= self->flush_at || adr_memtable_bytes (self->active) >= self->options.flush_bytes)
            (void) adr_store_freeze (self, false);
    }
    if (self->frozen_count == 0 || adr_memtable_greatest (self->frozen[0].table) > self->unlocked)
        return false;
    self->background.applied = self->frozen[0].applied;
    adr_rows_prepare (self);
    return true;
}

/* --- one transaction ------------------------------------------------------------------------------------------- */

/* A row or leaf that cannot be read: what it said cannot be taken out of the tree. Rows go on; the tree is believed no
 * more, by nobody, until the index is made anew from the journal [STORE-10]. */
static int
s_tree_breaks (adr_store_t *self)
{
    if (self->tree.broken)
        return 0;
    ADR_MARK ("store: the hash tree is broken");
    self->tree.broken = true;
    return adr_tree_break (self->index);
}

static int
s_tree_swap (adr_store_t *self, adr_index_view_t *view, uint8_t table, adr_bytes_t key, const adr_index_row_t *old,
             const adr_index_row_t *new)
{
    if (self->tree.broken)
        return 0;
    int error = adr_tree_swap (&self->tree, self->index, view, table, key, old, new);
    return error == EIO ? s_tree_breaks (self) : error;
}

void
adr_rows_prepare (adr_store_t *self)
{
    adr_job_t *job = &self->background;
    job->no_space = false;
    job->generation = self->index_generation + 1;
    adr_accounts_begin (self, &job->accounts);
}

void
adr_rows_done (adr_store_t *self)
{
    self->index_generation = self->background.generation;
    self->doubts = self->tree.doubts;
    adr_accounts_done (self, &self->background.accounts);
    adr_compaction_look (self);
}

int
adr_rows_begin (adr_store_t *self, adr_index_view_t **view)
{
    *view = NULL;
    int error = self->index->begin (self->index);
    if (error)
        return error;
    adr_tree_begin (&self->tree);
    adr_accounts_restart (&self->background.accounts);
    error = self->index->view (self->index, view);
    if (!error && !self->tree.broken)
        self->tree.broken = adr_tree_is_broken (self->index, *view);
    return error;
}

int
adr_rows_put_gathered (adr_store_t *self)
{
    int error = self->tree.broken ? 0 : adr_tree_put (&self->tree, self->index);
    return error ? error : adr_accounts_put (self, &self->background.accounts);
}

int
adr_rows_end (adr_store_t *self, adr_index_view_t **view, int error)
{
    if (*view)
        self->index->view_close (view);
    if (error) {
        self->index->abort (self->index);
        adr_tree_end (&self->tree, false);
    }
    return error;
}

/* [REPAIR-1] True if the copy is exactly what the log says up to that index, once it is applied up to there. */
static bool
s_is_exact (const adr_store_t *self, uint64_t applied)
{
    switch (self->sync.sync) {
    case ADR_SYNC_EXACT:
        return true;
    case ADR_SYNC_COPYING:
        return ADR_PLANT (REPAIR_1_ROOT_WHILE_COPYING);
    case ADR_SYNC_REPLAYING:
    case ADR_SYNC_UNPROVEN:
        return applied >= self->sync.window_to;
    }
    return false;
}

/* `old` NULL: there was none. */
static int
s_row_replace (adr_store_t *self, adr_job_t *job, adr_index_view_t *view, uint8_t table, adr_bytes_t key,
               const adr_index_row_t *old, const adr_index_row_t *row)
{
    adr_accounts_row (&job->accounts, key, old, row);
    int error = self->index->put (self->index, table, key, row);
    if (!error)
        error = adr_tombstone_swap (self, table, key, old, row);
    return error ? error : s_tree_swap (self, view, table, key, old, row);
}

int
adr_row_put (adr_store_t *self, adr_job_t *job, adr_index_view_t *view, uint8_t table, adr_bytes_t key,
             const adr_index_row_t *row, bool placed)
{
    adr_index_row_t old;
    int error = self->index->view_row (view, table, key, &old);
    if (error && error != ENOENT && error != EIO)
        return error;
    if (error == EIO && (error = s_tree_breaks (self)) == 0) {
        job->accounts.is_damaged = true;
        adr_accounts_row (&job->accounts, key, NULL, row);
        return self->index->put (self->index, table, key, row);
    }
    bool known = error == 0;
    int order = known ? adr_version_compare (&old.version, &row->version) : -1;
    bool other = order == 0 && memcmp (old.digest, row->digest, sizeof old.digest) != 0;
    if (order > 0 || (other && placed)) {
        job->regressions += !placed && row->version.index > self->replayed_to && s_is_exact (self, row->version.index - 1);
        if (!ADR_PLANT (REPAIR_1_REPLAY_OVERWRITES))
            return 0;
    }
    return s_row_replace (self, job, view, table, key, known ? &old : NULL, row);
}

/* A row without its value takes the place of an older one only. What this copy has itself keeps its value, and comes into
 * doubt, with its word or without one [REPAIR-2]; what is in doubt already keeps what this copy said of it first. */
int
adr_row_bare (adr_store_t *self, adr_job_t *job, adr_index_view_t *view, const adr_placed_t *placed)
{
    adr_index_row_t old, row = placed->row;
    adr_bytes_t key = adr_bytes (placed->key, placed->key_size);
    int error = self->index->view_row (view, placed->table, key, &old);
    if (error && error != ENOENT)
        return error == EIO ? 0 : error;
    bool known = error == 0;
    int order = known ? adr_version_compare (&old.version, &row.version) : -1;
    if (order == 0 && !old.doubt && !old.deleted && (row.doubt == ADR_DOUBT_HAD || row.doubt == ADR_DOUBT_COPIED)) {
        adr_doubt_t word = row.doubt;
        row = old;
        row.doubt = word;
    } else if (order >= 0 || row.doubt == ADR_DOUBT_HAD)
        return 0;
    return s_row_replace (self, job, view, placed->table, key, known ? &old : NULL, &row);
}

/* [STORE-8] The row names the copy if it still is what was copied; the tree knows of no places. A tombstone that was purged
 * has no row, and counts where it stands now [STORE-9]. */
int
adr_row_move (adr_store_t *self, adr_job_t *job, adr_index_view_t *view, const adr_placed_t *placed)
{
    adr_index_row_t old, row;
    adr_bytes_t key = adr_bytes (placed->key, placed->key_size);
    int error = self->index->view_row (view, placed->table, key, &old);
    if (error == ENOENT && placed->ghost) {
        adr_accounts_ghost (&job->accounts, placed->row.place.segment,
                            (int64_t) adr_account_share (key, &placed->row));
        return 0;
    }
    if (error)
        return error == ENOENT || error == EIO ? 0 : error;
    if (placed->ghost || adr_version_compare (&old.version, &placed->row.version) != 0
        || memcmp (old.digest, placed->row.digest, sizeof old.digest) != 0)
        return 0;
    row = old;
    row.place = placed->row.place;
    adr_accounts_row (&job->accounts, key, &old, &row);
    return self->index->put (self->index, placed->table, key, &row);
}

static int
s_row_remove (adr_store_t *self, adr_job_t *job, adr_index_view_t *view, uint8_t table, adr_bytes_t key,
              const adr_index_row_t *old)
{
    adr_accounts_row (&job->accounts, key, old, NULL);
    int error = self->index->remove (self->index, table, key);
    if (!error)
        error = adr_tombstone_swap (self, table, key, old, NULL);
    return error ? error : s_tree_swap (self, view, table, key, old, NULL);
}

int
adr_row_drop (adr_store_t *self, adr_index_view_t *view, const adr_placed_t *placed)
{
    adr_index_row_t old;
    adr_bytes_t key = adr_bytes (placed->key, placed->key_size);
    int error = self->index->view_row (view, placed->table, key, &old);
    if (error)
        return error == ENOENT || error == EIO ? 0 : error;
    if (adr_version_compare (&old.version, &placed->row.version) != 0)
        return 0;
    return s_row_remove (self, &self->background, view, placed->table, key, &old);
}

/* [STORE-9] What stands there may be older than the tombstone, if that never got as far as the index: its frame must stay all
 * the same, while one of an older version may be anywhere. */
static int
s_row_purge (adr_store_t *self, adr_job_t *job, adr_index_view_t *view, uint8_t table, adr_bytes_t key,
             const adr_index_row_t *row)
{
    adr_index_row_t old;
    int error = self->index->view_row (view, table, key, &old);
    int order = error ? -1 : adr_version_compare (&old.version, &row->version);
    if ((error && error != ENOENT) || order > 0)
        return error == EIO ? 0 : error;
    if (order < 0)
        adr_accounts_ghost (&job->accounts, row->place.segment, (int64_t) adr_account_share (key, row));
    if (error || (order < 0 && ADR_PLANT (STORE_9_OLDER_STAYS)))
        return 0;
    return s_row_remove (self, job, view, table, key, &old);
}

static int
s_node_flush (adr_store_t *self, adr_job_t *job, adr_index_view_t *view, const adr_memnode_t *node)
{
    const adr_index_row_t *row = &node->newest->row;
    return row->purged ? s_row_purge (self, job, view, node->table, adr_memnode_key (node), row)
                       : adr_row_put (self, job, view, node->table, adr_memnode_key (node), row, false);
}

/* --- a flush --------------------------------------------------------------------------------------------------- */

int
adr_put_applied (adr_store_t *self, const adr_position_t *at, uint64_t generation)
{
    uint8_t applied[ADR_META_APPLIED_SIZE];
    memcpy (applied, self->journal.id.bytes, ADR_ID_SIZE);
    adr_put_u64 (applied + 16, at->term);
    adr_put_u64 (applied + 24, at->index);
    adr_put_u64 (applied + 32, generation);
    return self->index->put_meta (self->index, ADR_META_APPLIED, adr_bytes (applied, sizeof applied));
}

static int
s_note_roots (adr_store_t *self, adr_job_t *job, adr_index_view_t *view)
{
    if (!self->frozen[0].checkpoint || self->tree.broken || !s_is_exact (self, job->applied.index))
        return 0;
    int error = adr_tree_roots (&self->tree, self->index, view);
    if (error)
        return error == EIO ? s_tree_breaks (self) : error;
    adr_tree_group_root (&self->tree, job->root);
    job->has_root = true;
    return 0;
}

int
adr_flush_write (adr_store_t *self, adr_job_t *job)
{
    const adr_memtable_t *table = self->frozen[0].table;
    adr_index_view_t *view;
    job->has_root = false;
    job->regressions = 0;
    int error = adr_rows_begin (self, &view);
    for (const adr_memnode_t *node = adr_memtable_first (table); node && !error; node = adr_memnode_next (node))
        error = s_node_flush (self, job, view, node);
    if (!error)
        error = adr_rows_put_gathered (self);
    if (!error)
        error = s_note_roots (self, job, view);
    if (!error && !ADR_PLANT (REPAIR_4_APPLIED_LATER))
        error = adr_put_applied (self, &job->applied, job->generation);
    return adr_rows_end (self, &view, error);
}

int
adr_flush_commit (adr_store_t *self, adr_job_t *job)
{
    (void) job;
    int error = self->index->commit (self->index);
    adr_tree_end (&self->tree, error == 0);
    return error;
}

void
adr_flush_done (adr_store_t *self)
{
    const adr_job_t *job = &self->background;
    self->index_applied = job->applied;
    adr_rows_done (self);
    adr_memtable_destroy (&self->frozen[0].table);
    self->frozen_count--;
    memmove (&self->frozen[0], &self->frozen[1], self->frozen_count * sizeof self->frozen[0]);
    if (!job->has_root)
        return;
    self->checkpoint.at = job->applied;
    memcpy (self->checkpoint.root, job->root, ADR_HASH_SIZE);
    self->checkpoint.roots = self->tree.root;
    self->checkpoint.root_count = self->tree.partitions + 1;
}

const adr_store_checkpoint_t *
adr_store_checkpoint (const adr_store_t *self)
{
    return &self->checkpoint;
}

uint64_t
adr_store_regressions (const adr_store_t *self)
{
    return self->regressions;
}

int
adr_store_flush_now (adr_store_t *self)
{
    adr_assert (self->frozen_count == 0 && self->background.kind == ADR_JOB_NONE);
    (void) adr_store_freeze (self, false);
    self->background.applied = self->frozen[0].applied;
    adr_rows_prepare (self);
    int error;
    do {
        error = adr_flush_write (self, &self->background);
        if (!error)
            error = adr_flush_commit (self, &self->background);
    } while (error == EAGAIN);
    self->index_damaged |= self->tree.broken;
    self->regressions += self->background.regressions;
    if (adr_error_is_full (error) && adr_store_memory (self) < self->options.memory_max_bytes)
        return 0; /* [STORE-11] it waits in memory, and is tried again like any other flush */
    adr_memtable_destroy (&self->frozen[0].table);
    self->frozen_count = 0;
    if (!error) {
        self->index_applied = self->applied;
        adr_rows_done (self);
    }
    return error;
}
