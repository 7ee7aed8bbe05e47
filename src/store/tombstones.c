/* SPDX-License-Identifier: MPL-2.0 */
/* Which tombstones there are, oldest first: a row for each in the index's second space, so that nobody scans all records for
 * the few that may go. By name:
 *
 *     't', be64 index of its version, 16 bytes of order (tree.h)     u8 table, key
 *
 * Owns: nothing. Makes durable: these rows, in the transaction of the rows that they follow. Implements STORE-9. */

#include "store/internal.h"

#include "core/actor.h"

#include <errno.h>

#define S_NAME (9 + ADR_ORDER_SIZE)

static_assert (S_NAME <= sizeof ((adr_tombstone_place_t *) 0)->name, "a place holds a name");

/* --- writing ---------------------------------------------------------------------------------------------------- */

static adr_bytes_t
s_name (const adr_store_t *self, uint8_t at[S_NAME], uint8_t table, adr_bytes_t key, uint64_t index)
{
    at[0] = 't';
    adr_put_be64 (at + 1, index);
    (void) adr_tree_slice (&self->tree, table, key, at + 9);
    return adr_bytes (at, S_NAME);
}

static int
s_put (adr_store_t *self, uint8_t table, adr_bytes_t key, uint64_t index)
{
    uint8_t name[S_NAME], value[ADR_TREE_VALUE_MAX];
    value[0] = table;
    if (key.size)
        memcpy (value + 1, key.data, key.size);
    return self->index->put_tree (self->index, s_name (self, name, table, key, index), adr_bytes (value, 1 + key.size));
}

int
adr_tombstone_swap (adr_store_t *self, uint8_t table, adr_bytes_t key, const adr_index_row_t *old,
                    const adr_index_row_t *new)
{
    uint8_t name[S_NAME];
    bool goes = old && old->deleted, comes = new && new->deleted;
    if (goes && comes && old->version.index == new->version.index)
        return 0; /* the same one, at another place */
    int error = 0;
    if (goes)
        error = self->index->remove_tree (self->index, s_name (self, name, table, key, old->version.index));
    return error || !comes ? error : s_put (self, table, key, new->version.index);
}

/* --- reading ---------------------------------------------------------------------------------------------------- */

/* The next row behind `place`: table and key are appended to `rows`, the key's size before them. False at the end. */
static bool
s_next (adr_store_t *self, adr_index_view_t *view, adr_tombstone_place_t *place, adr_buffer_t *rows)
{
    adr_bytes_t name, value, after = place->size ? adr_bytes (place->name, place->size) : adr_bytes ("t", 1);
    int error = self->index->view_next (view, after, &name, &value);
    self->index_damaged |= error != 0 && error != ENOENT; /* [STORE-10] */
    if (error || name.size != S_NAME || name.data[0] != 't' || value.size < 1)
        return false;
    memcpy (place->name, name.data, S_NAME);
    place->size = S_NAME;
    uint8_t *at = adr_buffer_grow (rows, 2 + S_NAME + value.size);
    adr_put_u16 (at, (uint16_t) (value.size - 1));
    memcpy (at + 2, name.data, S_NAME);
    memcpy (at + 2 + S_NAME, value.data, value.size);
    return true;
}

/* At most 64 rows; the view is closed before anything else is read. */
static uint32_t
s_gather (adr_store_t *self, const adr_tombstone_place_t *after, adr_buffer_t *rows)
{
    adr_index_view_t *view;
    adr_tombstone_place_t place = *after;
    uint32_t count = 0;
    if (self->index->view (self->index, &view) != 0)
        return 0;
    while (count < ADR_TOMBSTONES_MAX && s_next (self, view, &place, rows))
        count++;
    self->index->view_close (&view);
    return count;
}

/* What has been overwritten or purged since the index was written stands no more. */
static bool
s_stands (adr_store_t *self, uint64_t index, adr_tombstone_t *tombstone)
{
    adr_record_t record;
    if (adr_store_get (self, tombstone->table, tombstone->key, false, &record) != ADR_STATUS_OK || !record.deleted
        || record.version.index != index)
        return false;
    tombstone->version = record.version;
    tombstone->time_ms = record.time_ms;
    return true;
}

void
adr_store_tombstones (adr_store_t *self, adr_tombstone_place_t *after, adr_tombstone_fn *each, void *argument)
{
    adr_buffer_t rows = { 0 };
    uint32_t count = s_gather (self, after, &rows);
    const uint8_t *at = rows.data;
    bool more = true;
    for (uint32_t i = 0; i < count && more; i++) {
        size_t key_size = adr_get_u16 (at);
        const uint8_t *name = at + 2, *value = name + S_NAME;
        adr_tombstone_t tombstone = { .table = value[0], .key = adr_bytes (value + 1, key_size) };
        more = !s_stands (self, adr_get_be64 (name + 1), &tombstone) || each (argument, &tombstone);
        if (more) {
            memcpy (after->name, name, S_NAME);
            after->size = S_NAME;
        }
        at = value + 1 + key_size;
    }
    if (more && count < ADR_TOMBSTONES_MAX)
        *after = (adr_tombstone_place_t){ 0 };
    adr_buffer_free (&rows);
}

/* --- the horizon ------------------------------------------------------------------------------------------------ */

adr_status_t
adr_store_purge_horizon (adr_store_t *self, uint64_t *index)
{
    adr_record_t record;
    adr_bytes_t key = adr_bytes (ADR_PURGED_KEY, strlen (ADR_PURGED_KEY));
    adr_status_t status = adr_store_get (self, ADR_TABLE_GROUP, key, true, &record);
    *index = 0;
    if (status == ADR_STATUS_NOT_FOUND)
        return ADR_STATUS_OK;
    if (status == ADR_STATUS_OK && record.value.size == ADR_PURGED_SIZE)
        *index = adr_get_u64 (record.value.data);
    return *index ? ADR_STATUS_OK : ADR_STATUS_DAMAGED;
}

uint64_t
adr_store_purged_to (adr_store_t *self)
{
    uint64_t index;
    return adr_store_purge_horizon (self, &index) == ADR_STATUS_OK ? index : 0;
}
