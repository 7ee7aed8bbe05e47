/* SPDX-License-Identifier: MPL-2.0 */
/* A group that is a list of records: see fake_group.h. */

#include "fake_group.h"

#include <stdlib.h>

static const adr_bytes_t s_nothing;

void
fake_group_free (fake_group_t *self)
{
    ideal_group_free (&self->ideal);
    *self = (fake_group_t){ 0 };
}

ideal_record_t *
fake_group_find (fake_group_t *self, uint8_t table, const char *key)
{
    return ideal_group_find (&self->ideal, table, adr_bytes (key, strlen (key)));
}

void
fake_group_put (fake_group_t *self, uint8_t table, const char *key, adr_bytes_t value)
{
    ideal_group_put (&self->ideal, table, adr_bytes (key, strlen (key)), value);
}

static adr_bytes_t
s_bytes (ProtobufCBinaryData data)
{
    return adr_bytes (data.data, data.len);
}

/* --- answers ------------------------------------------------------------------------------------------------------ */

static void
s_send (fake_group_t *self, uint16_t kind, const ProtobufCMessage *header, adr_bytes_t payload)
{
    adr_address_t from = { self->signer->environment.node, ADR_ACTOR_REPLICATOR };
    harness_message (self->signer, from, ADR_NODE_PKI, kind, header, payload);
}

static void
s_answer (fake_group_t *self, uint64_t number, adr_status_t status, uint64_t version, adr_bytes_t value)
{
    Adr__Answer answer = ADR__ANSWER__INIT;
    Adr__VersionOf of = ADR__VERSION_OF__INIT;
    answer.number = number;
    answer.status = status;
    of.epoch = of.term = 1;
    of.index = version;
    answer.version = version ? &of : NULL;
    s_send (self, ADR__KIND__ANSWER, &answer.base, value);
}

static int
s_compare (const void *a, const void *b)
{
    const ideal_record_t *x = *(ideal_record_t *const *) a, *y = *(ideal_record_t *const *) b;
    return adr_bytes_compare (adr_bytes (x->key.data, x->key.size), adr_bytes (y->key.data, y->key.size));
}

static void
s_list (fake_group_t *self, const Adr__List *list)
{
    ideal_record_t **found = adr_alloc ((self->ideal.count + 1) * sizeof *found);
    size_t count = 0;
    adr_bytes_t prefix = s_bytes (list->prefix), after = s_bytes (list->after);
    for (size_t i = 0; i < self->ideal.count; i++) {
        ideal_record_t *record = &self->ideal.record[i];
        adr_bytes_t key = adr_bytes (record->key.data, record->key.size);
        if (record->table == list->table && record->version && key.size >= prefix.size && memcmp (key.data, prefix.data, prefix.size) == 0
            && (after.size == 0 || adr_bytes_compare (key, after) > 0))
            found[count++] = record;
    }
    qsort (found, count, sizeof *found, s_compare);
    adr_buffer_t rows = { 0 };
    Adr__ListAnswer answer = ADR__LIST_ANSWER__INIT;
    size_t most = self->page && self->page < list->rows_max ? self->page : list->rows_max;
    for (size_t i = 0; i < count && i < most; i++)
        adr_list_row_append (&rows, adr_bytes (found[i]->key.data, found[i]->key.size),
                             adr_bytes (found[i]->value.data, found[i]->value.size), (adr_version_t){ 1, 1, found[i]->version }, 1);
    answer.number = list->number;
    answer.more = count > most;
    s_send (self, ADR__KIND__LIST_ANSWER, &answer.base, adr_bytes (rows.data, rows.size));
    adr_buffer_free (&rows);
    free (found);
}

void
fake_group_serve (fake_group_t *self)
{
    for (size_t at = 0; at < self->signer->sent_count && !self->silent; at++) {
        const harness_sent_t *sent = &self->signer->sent[at];
        if (sent->kind == ADR__KIND__READ) {
            const Adr__Read *read = (const Adr__Read *) sent->header;
            adr_assert (read->mode == ADR__READ_MODE__STRONG);
            const ideal_record_t *record = ideal_group_find (&self->ideal, read->table, s_bytes (read->key));
            s_answer (self, read->number, record ? ADR_STATUS_OK : ADR_STATUS_NOT_FOUND, record ? record->version : 0,
                      record ? adr_bytes (record->value.data, record->value.size) : s_nothing);
        } else if (sent->kind == ADR__KIND__WRITE) {
            const Adr__Write *write = (const Adr__Write *) sent->header;
            if (self->meanwhile)
                self->meanwhile (self);
            self->meanwhile = NULL;
            adr_status_t status = ideal_group_write (&self->ideal, write, sent->payload);
            bool loses = self->loses_write;
            self->loses_write = false;
            if (!loses)
                s_answer (self, write->number, status, self->ideal.version, s_nothing);
        } else if (sent->kind == ADR__KIND__LIST)
            s_list (self, (const Adr__List *) sent->header);
    }
}

bool
fake_group_has (const fake_group_t *self, uint8_t table, const char *text)
{
    size_t size = strlen (text);
    for (size_t i = 0; i < self->ideal.count; i++) {
        const ideal_record_t *record = &self->ideal.record[i];
        for (size_t at = 0; record->table == table && at + size <= record->value.size; at++)
            if (memcmp (record->value.data + at, text, size) == 0)
                return true;
    }
    return false;
}
