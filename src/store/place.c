/* SPDX-License-Identifier: MPL-2.0 */
/* Records that come as copies: from a peer, when this copy is mended or filled, or out of a segment that is to go. A copy is
 * a frame of its own kind in an ordinary batch, never log; once the batch is durable, an index transaction names it.
 *
 * Owns: copies on their way. Makes durable: their frames (with the batch), then their rows. Implements STORE-8 (copy, sync,
 * index, in this order), REPAIR-2 (what goes, goes by its version). */

#include "store/internal.h"

#include "core/actor.h"

#include <stdlib.h>

#define S_OPEN_MAX (256 * 1024)  /* bytes in the open batch beyond which copies wait: clients' entries share its sync */
#define S_WAITING_MAX 16384      /* copies whose rows are not durable yet */
#define S_SEEN 8192              /* twice as many, for a table of them */
#define S_TRANSACTION_MAX 4096   /* rows of one transaction, so that a flush never waits long for one */

static bool
s_has_frame (const adr_placed_t *placed)
{
    return !placed->drop && !placed->bare;
}

static uint64_t
s_waiting (const adr_store_t *self)
{
    return self->placed.asked - self->placed.done;
}

bool
adr_store_place_room (const adr_store_t *self)
{
    return self->journal.open.size < S_OPEN_MAX && s_waiting (self) < S_WAITING_MAX
        && adr_store_space (self) < ADR_SPACE_SECOND_MARK;
}

uint64_t
adr_store_place_asked (const adr_store_t *self)
{
    return self->placed.asked;
}

uint64_t
adr_store_placed (const adr_store_t *self)
{
    return self->placed.done;
}

static adr_placed_t *
s_add (adr_store_t *self, uint8_t table, adr_bytes_t key, const adr_version_t *version)
{
    adr_placed_t *placed = adr_alloc (sizeof *placed + key.size);
    placed->table = table;
    placed->key_size = (uint16_t) key.size;
    if (key.size)
        memcpy (placed->key, key.data, key.size);
    placed->row.version = *version;
    *self->placed.last = placed;
    self->placed.last = &placed->next;
    self->placed.asked++;
    return placed;
}

static adr_placed_t *
s_append (adr_store_t *self, const adr_entry_t *entry)
{
    const adr_op_t *op = &entry->op[0];
    adr_entry_encode (entry, adr_journal_append_copy (self, adr_entry_size (entry)));
    adr_placed_t *placed = s_add (self, op->table, op->key, &(adr_version_t){ entry->epoch, entry->term, entry->index });
    placed->row.deleted = (op->flags & ADR_OP_DELETE) != 0;
    placed->row.value_size = (uint32_t) op->value.size;
    placed->row.time_ms = entry->time_ms;
    memcpy (placed->row.digest, op->digest, sizeof placed->row.digest);
    if (!self->placed.unformed)
        self->placed.unformed = placed;
    return placed;
}

void
adr_place_move (adr_store_t *self, const adr_entry_t *entry, bool ghost)
{
    adr_placed_t *placed = s_append (self, entry);
    placed->moves = !ghost;
    placed->ghost = ghost;
}

bool
adr_store_place (adr_store_t *self, const adr_copy_t *copy)
{
    uint8_t digest[ADR_DIGEST_SIZE];
    adr_value_digest (copy->value, digest);
    if (!adr_store_place_room (self) || copy->key.size > ADR_KEY_MAX || copy->value.size > ADR_VALUE_MAX
        || (memcmp (digest, copy->digest, sizeof digest) != 0 && !ADR_PLANT (REPAIR_3_DIGEST_UNCHECKED)))
        return false;
    adr_entry_t *entry = &self->entry;
    *entry = (adr_entry_t){ .kind = ADR_ENTRY_WRITE, .term = copy->version.term, .index = copy->version.index,
                            .epoch = copy->version.epoch, .time_ms = copy->time_ms, .op_count = 1 };
    entry->op[0] = (adr_op_t){ .table = copy->table, .flags = copy->deleted ? ADR_OP_DELETE : 0, .key = copy->key,
                               .value = copy->value };
    memcpy (entry->op[0].digest, copy->digest, sizeof entry->op[0].digest);
    (void) s_append (self, entry);
    return true;
}

void
adr_store_drop (adr_store_t *self, uint8_t table, adr_bytes_t key, const adr_version_t *version)
{
    adr_placed_t *placed = s_add (self, table, key, version);
    placed->drop = true;
    placed->batch = self->journal.next_batch; /* behind the copies that were asked for before */
}

void
adr_store_place_bare (adr_store_t *self, const adr_bare_t *bare)
{
    adr_placed_t *placed = s_add (self, bare->table, bare->key, &bare->version);
    placed->bare = true;
    placed->row.doubt = bare->doubt;
    placed->row.value_size = bare->value_size;
    placed->row.time_ms = bare->time_ms;
    memcpy (placed->row.digest, bare->digest, sizeof placed->row.digest);
    placed->batch = self->journal.next_batch; /* as a drop */
}

void
adr_place_formed (adr_store_t *self, const adr_place_t *place, uint64_t batch)
{
    adr_placed_t *placed = self->placed.unformed;
    adr_assert (placed && s_has_frame (placed));
    placed->row.place = *place;
    placed->batch = batch;
    do
        placed = placed->next;
    while (placed && !s_has_frame (placed));
    self->placed.unformed = placed;
}

static bool
s_is_ready (const adr_store_t *self, const adr_placed_t *placed)
{
    return !s_has_frame (placed)
        || (placed->batch != 0 && (placed->batch <= self->journal.durable_batch || ADR_PLANT (STORE_8_COPY_UNSYNCED)));
}

/* A transaction sees the moment before it: what it does to a record it does once. True if this one was seen, or perhaps. */
static bool
s_is_seen (uint64_t seen[S_SEEN], const adr_placed_t *placed)
{
    uint64_t hash = UINT64_C (0xcbf29ce484222325) ^ placed->table;
    for (uint16_t i = 0; i < placed->key_size; i++)
        hash = (hash ^ placed->key[i]) * UINT64_C (0x100000001b3);
    hash |= 1; /* 0: a free slot */
    uint64_t at = (hash >> 20) % S_SEEN;
    for (; seen[at]; at = (at + 1) % S_SEEN)
        if (seen[at] == hash)
            return true;
    seen[at] = hash;
    return false;
}

/* The copies whose frames are durable. */
bool
adr_place_next (adr_store_t *self)
{
    adr_placed_t *placed = self->placed.first;
    uint64_t count = 0;
    if (!placed || !s_is_ready (self, placed))
        return false;
    uint64_t seen[S_SEEN] = { 0 };
    while (placed && count < S_TRANSACTION_MAX && s_is_ready (self, placed) && !s_is_seen (seen, placed)) {
        placed = placed->next;
        count++;
    }
    self->background.placed_count = count;
    adr_rows_prepare (self);
    return true;
}

static int
s_write (adr_store_t *self, adr_job_t *job, adr_index_view_t *view, const adr_placed_t *placed)
{
    if (placed->drop)
        return adr_row_drop (self, view, placed);
    if (placed->bare)
        return adr_row_bare (self, job, view, placed);
    if (placed->moves || placed->ghost)
        return adr_row_move (self, job, view, placed);
    return adr_row_put (self, job, view, placed->table, adr_bytes (placed->key, placed->key_size), &placed->row, true);
}

int
adr_place_write (adr_store_t *self, adr_job_t *job)
{
    adr_index_view_t *view;
    job->regressions = 0;
    int error = adr_rows_begin (self, &view);
    const adr_placed_t *placed = self->placed.first;
    for (uint64_t i = 0; i < job->placed_count && !error; i++) {
        placed = i ? placed->next : placed; /* the last one's is the owner's, who may be adding to it */
        error = s_write (self, job, view, placed);
    }
    if (!error)
        error = adr_rows_put_gathered (self);
    if (!error)
        error = adr_put_applied (self, &self->index_applied, job->generation);
    return adr_rows_end (self, &view, error);
}

static void
s_take_first (adr_store_t *self)
{
    adr_placed_t *placed = self->placed.first;
    self->placed.first = placed->next;
    if (!self->placed.first)
        self->placed.last = &self->placed.first;
    if (self->placed.unformed == placed)
        self->placed.unformed = NULL;
    free (placed);
}

void
adr_place_done (adr_store_t *self)
{
    for (uint64_t i = 0; i < self->background.placed_count; i++)
        s_take_first (self);
    self->placed.done += self->background.placed_count;
    adr_rows_done (self);
}

void
adr_place_count_doubts (adr_store_t *self)
{
    adr_index_view_t *view;
    if (self->index->view (self->index, &view) != 0)
        return;
    if (adr_tree_count_doubts (view, self->index, &self->tree.doubts) != 0)
        self->index_damaged = true; /* [STORE-10] a heal counts them anew */
    self->doubts = self->tree.doubts;
    self->index->view_close (&view);
}

void
adr_place_free (adr_store_t *self)
{
    while (self->placed.first)
        s_take_first (self);
}
