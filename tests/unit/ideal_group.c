/* SPDX-License-Identifier: MPL-2.0 */
/* A group that is a list of records: see ideal_group.h. */

#include "ideal_group.h"

#include <stdlib.h>

void
ideal_group_free (ideal_group_t *self)
{
    for (size_t i = 0; i < self->count; i++) {
        adr_buffer_free (&self->record[i].key);
        adr_buffer_free (&self->record[i].value);
    }
    free (self->record);
    *self = (ideal_group_t){ 0 };
}

ideal_record_t *
ideal_group_find (ideal_group_t *self, uint32_t table, adr_bytes_t key)
{
    for (size_t i = 0; i < self->count; i++) {
        ideal_record_t *record = &self->record[i];
        if (record->table == table && record->version && adr_bytes_equal (adr_bytes (record->key.data, record->key.size), key))
            return record;
    }
    return NULL;
}

static adr_bytes_t
s_bytes (ProtobufCBinaryData data)
{
    return adr_bytes (data.data, data.len);
}

static ideal_record_t *
s_add (ideal_group_t *self, uint32_t table, adr_bytes_t key)
{
    if (self->count == self->room) {
        self->room = self->room ? 2 * self->room : 64;
        self->record = adr_realloc (self->record, self->room * sizeof *self->record);
    }
    ideal_record_t *record = &self->record[self->count++];
    *record = (ideal_record_t){ .table = (uint8_t) table };
    adr_buffer_append (&record->key, key.data, key.size);
    return record;
}

static void
s_put (ideal_group_t *self, uint32_t table, adr_bytes_t key, adr_bytes_t value, bool delete_it)
{
    ideal_record_t *record = ideal_group_find (self, table, key);
    if (delete_it) {
        if (record)
            record->version = 0;
        return;
    }
    if (record == NULL)
        record = s_add (self, table, key);
    adr_buffer_clear (&record->value);
    if (value.size)
        adr_buffer_append (&record->value, value.data, value.size);
    record->version = self->version;
}

void
ideal_group_put (ideal_group_t *self, uint32_t table, adr_bytes_t key, adr_bytes_t value)
{
    self->version++;
    s_put (self, table, key, value, false);
}

static bool
s_holds (ideal_group_t *self, const Adr__Op *op)
{
    const ideal_record_t *record = ideal_group_find (self, op->table, s_bytes (op->key));
    if (op->condition == ADR__CONDITION__ABSENT)
        return record == NULL;
    return op->condition == ADR__CONDITION__ALWAYS || (record && op->version && op->version->index == record->version);
}

adr_status_t
ideal_group_write (ideal_group_t *self, const Adr__Write *write, adr_bytes_t values)
{
    size_t at = 0;
    for (size_t i = 0; i < write->n_op; i++)
        if (!s_holds (self, write->op[i]))
            return ADR_STATUS_CONFLICT;
    self->version++;
    for (size_t i = 0; i < write->n_op; i++) {
        const Adr__Op *op = write->op[i];
        s_put (self, op->table, s_bytes (op->key), adr_bytes (values.data + at, op->value_size), op->delete_);
        at += op->value_size;
    }
    adr_assert (at == values.size);
    return ADR_STATUS_OK;
}
