/* SPDX-License-Identifier: MPL-2.0 */
/* The collector's rows: what is asked for one of them, step by step, and what each answer means [OBJECT-1, OBJECT-4]. */

#include "actors/collector_private.h"

#define S_RUN 1024                 /* chunks of one partition [PART-3] */

static const adr_bytes_t s_nothing;

/* --- asking ---------------------------------------------------------------------------------------------------- */

static uint64_t
s_send (collector_t *self, uint16_t kind, const ProtobufCMessage *header, adr_bytes_t payload)
{
    self->asked_ns = self->now_ns;
    self->effects->send (self->effects, (adr_address_t){ self->environment.node, ADR_ACTOR_EDGE_ROUTER }, kind, header, payload);
    return self->number;
}

static void
s_read (collector_t *self, collector_row_t *row, uint8_t table, adr_bytes_t key)
{
    Adr__Read read = ADR__READ__INIT;
    read.number = ++self->number;
    read.table = table;
    read.key = adr_bytes_view (key);
    read.mode = ADR__READ_MODE__STRONG;
    read.limit_ms = LIMIT_MS;
    row->number = s_send (self, ADR__KIND__READ, &read.base, s_nothing);
}

uint64_t
collector_list (collector_t *self, uint8_t table, adr_bytes_t prefix, adr_bytes_t after, adr_bytes_t by, bool with_values)
{
    Adr__List list = ADR__LIST__INIT;
    list.number = ++self->number;
    list.table = table;
    list.prefix = adr_bytes_view (prefix);
    list.after = adr_bytes_view (after);
    list.partition_by = adr_bytes_view (by);
    list.rows_max = with_values && table != ADR_TABLE_SWEEP ? ROWS : ADR_LIST_ROWS_MAX; /* epochs take no row */
    list.mode = ADR__READ_MODE__STRONG;
    list.limit_ms = LIMIT_MS;
    list.with_values = with_values;
    return s_send (self, ADR__KIND__LIST, &list.base, s_nothing);
}

/* Operations of one write; keys and values are lent until it is sent. */
typedef struct {
    Adr__Op op[ADR_OPS_MAX];
    Adr__Op *pointer[ADR_OPS_MAX];
    uint32_t count;
    adr_bytes_t value; /* of at most one of them */
} s_ops_t;

static Adr__Op *
s_add (s_ops_t *ops, uint8_t table, adr_bytes_t key)
{
    Adr__Op *op = ops->pointer[ops->count] = &ops->op[ops->count];
    ops->count++;
    adr__op__init (op);
    op->table = table;
    op->key = adr_bytes_view (key);
    op->delete_ = true;
    return op;
}

static void
s_put (s_ops_t *ops, uint8_t table, adr_bytes_t key, adr_bytes_t value, Adr__Condition condition)
{
    Adr__Op *op = s_add (ops, table, key);
    op->delete_ = false;
    op->condition = condition;
    op->value_size = (uint32_t) value.size;
    ops->value = value;
}

static void
s_write (collector_t *self, collector_row_t *row, s_ops_t *ops)
{
    uint8_t request[ADR_REQUEST_ID_SIZE];
    Adr__Write write = ADR__WRITE__INIT;
    write.number = ++self->number;
    adr_put_u64 (request, adr_random_next (&self->random));
    adr_put_u64 (request + 8, write.number);
    write.request = adr_bytes_view (adr_bytes (request, sizeof request));
    write.n_op = ops->count;
    write.op = ops->pointer;
    write.limit_ms = LIMIT_MS;
    write.token = self->token;
    row->number = s_send (self, ADR__KIND__WRITE, &write.base, ops->value);
}

/* --- one row --------------------------------------------------------------------------------------------------- */

static adr_bytes_t
s_key (const collector_row_t *row)
{
    return adr_bytes (row->key, row->key_size);
}

static adr_bytes_t
s_object (const collector_row_t *row)
{
    return adr_bytes (row->object.bytes, ADR_ID_SIZE);
}

uint8_t
collector_table (const collector_t *self)
{
    return self->range == RANGE_GARBAGE ? ADR_TABLE_GARBAGE : ADR_TABLE_PENDING;
}

static void
s_delete (collector_t *self, collector_row_t *row, uint8_t table, adr_bytes_t key)
{
    s_ops_t ops = { .count = 0 };
    s_add (&ops, table, key);
    s_write (self, row, &ops);
}

/* [OBJECT-1] One entry: it waits for its end, by the log time of the new row. */
static void
s_doom (collector_t *self, collector_row_t *row)
{
    uint8_t doomed[ADR_PENDING_KEY_SIZE];
    s_ops_t ops = { .count = 0 };
    adr_pending_key (doomed, 0, &row->object);
    s_add (&ops, ADR_TABLE_PENDING, s_key (row));
    s_put (&ops, ADR_TABLE_PENDING, adr_bytes (doomed, sizeof doomed), adr_bytes (row->record, row->record_size),
           ADR__CONDITION__ALWAYS);
    s_write (self, row, &ops);
}

/* [OBJECT-4] Only one that is there: an earlier try may have come further. */
static void
s_condemn (collector_t *self, collector_row_t *row)
{
    adr_object_info_t info = { .chunk_size = ADR_CHUNK_SIZE, .size = row->chunks * ADR_CHUNK_SIZE, .condemned = true };
    adr_buffer_t header = { 0 };
    s_ops_t ops = { .count = 0 };
    adr_object_header_write (&header, &info, "", s_nothing);
    s_put (&ops, ADR_TABLE_OBJECT, s_object (row), adr_bytes (header.data, header.size), ADR__CONDITION__EXISTS);
    s_write (self, row, &ops);
    adr_buffer_free (&header);
}

/* Chunks of one entry: the last of those that are left, in one partition. */
static uint64_t
s_batch (const collector_row_t *row)
{
    uint64_t in_run = (row->chunks - 1) % S_RUN + 1;
    return in_run < ADR_OPS_MAX ? in_run : ADR_OPS_MAX;
}

static void
s_delete_chunks (collector_t *self, collector_row_t *row)
{
    uint8_t key[ADR_OPS_MAX][ADR_KEY_MAX];
    s_ops_t ops = { .count = 0 };
    uint64_t count = s_batch (row);
    for (uint64_t i = 0; i < count; i++)
        s_add (&ops, ADR_TABLE_CHUNK, adr_bytes (key[i], adr_chunk_key (key[i], &row->object, row->chunks - 1 - i)));
    s_write (self, row, &ops);
}

static void
s_count (collector_t *self, collector_row_t *row)
{
    uint8_t by[ADR_KEY_MAX], after[ADR_KEY_MAX];
    size_t by_size = adr_chunk_key (by, &row->object, row->looked), after_size = 0;
    if (row->looked)
        after_size = adr_chunk_key (after, &row->object, row->looked - 1);
    row->number = collector_list (self, ADR_TABLE_CHUNK, s_object (row), adr_bytes (after, after_size), adr_bytes (by, by_size), false);
}

void
collector_ask (collector_t *self, collector_row_t *row)
{
    switch (row->step) {
    case STEP_RECORD:
        s_read (self, row, ADR_TABLE_META, adr_bytes (row->record, row->record_size));
        break;
    case STEP_OWNER:
    case STEP_HEADER:
        s_read (self, row, ADR_TABLE_OBJECT, s_object (row));
        break;
    case STEP_DOOM:
        s_doom (self, row);
        break;
    case STEP_COUNT:
        s_count (self, row);
        break;
    case STEP_CONDEMN:
        s_condemn (self, row);
        break;
    case STEP_CHUNKS:
        s_delete_chunks (self, row);
        break;
    case STEP_REMOVE:
        s_delete (self, row, ADR_TABLE_OBJECT, s_object (row));
        break;
    case STEP_ROW:
        s_delete (self, row, collector_table (self), s_key (row));
        break;
    case STEP_OVER:
    case STEP_FAILED:
        break;
    }
}

/* --- what is answered ------------------------------------------------------------------------------------------- */

collector_step_t
collector_wrong (collector_t *self, const char *what)
{
    adr_note (self->effects, ADR_LEVEL_WARNING, "%s -> the object stays, its row goes", what);
    return STEP_ROW;
}

static collector_step_t
s_unnamed (const collector_t *self)
{
    return self->range == RANGE_DOOMED ? STEP_HEADER : STEP_OWNER;
}

static collector_step_t
s_on_record (collector_t *self, collector_row_t *row, adr_status_t status, adr_bytes_t value)
{
    adr_object_info_t info;
    adr_arena_t arena;
    if (status == ADR_STATUS_NOT_FOUND)
        return s_unnamed (self);
    adr_arena_init (&arena, ARENA_ROOM, ARENA_MAX);
    bool read = status == ADR_STATUS_OK && adr_meta_record_read (&info, value, &arena);
    adr_arena_free (&arena);
    if (!read)
        return STEP_FAILED;
    if (!adr_id_equal (&info.object, &row->object) || ADR_PLANT (OBJECT_1_RECORD_IGNORED))
        return s_unnamed (self);
    self->kept++;
    return STEP_ROW;
}

/* False if the header cannot be read. `*owned`: it is condemned, or the record's that the row names. */
static bool
s_read_header (const collector_row_t *row, adr_bytes_t value, adr_object_info_t *info, bool *owned)
{
    uint8_t owner[ADR_KEY_MAX];
    adr_bytes_t data;
    adr_arena_t arena;
    adr_arena_init (&arena, ARENA_ROOM, ARENA_MAX);
    bool read = adr_object_header_read (info, &data, value, &arena);
    size_t size = read ? adr_object_header_owner (owner, value, &arena) : 0;
    adr_arena_free (&arena);
    *owned = info->condemned || adr_bytes_equal (adr_bytes (owner, size), adr_bytes (row->record, row->record_size));
    return read;
}

/* Anybody who may write can write a row; what an object says of itself was written with it. */
static collector_step_t
s_on_owner (collector_t *self, collector_row_t *row, adr_status_t status, adr_bytes_t value)
{
    adr_object_info_t info;
    bool owned;
    if (status == ADR_STATUS_NOT_FOUND) /* chunks at most */
        return STEP_DOOM;
    if (status != ADR_STATUS_OK)
        return STEP_FAILED;
    if (s_read_header (row, value, &info, &owned) && owned)
        return STEP_DOOM;
    return collector_wrong (self, "an object is not that of the record that its pending row names");
}

collector_step_t
collector_first_step (const collector_row_t *row)
{
    if (ADR_PLANT (OBJECT_4_ROW_FIRST))
        return STEP_ROW;
    return row->chunks ? STEP_CONDEMN : STEP_REMOVE;
}

static collector_step_t
s_on_header (collector_t *self, collector_row_t *row, adr_status_t status, adr_bytes_t value)
{
    adr_object_info_t info;
    bool owned;
    row->chunks = row->looked = 0;
    if (status == ADR_STATUS_NOT_FOUND)
        return STEP_COUNT;
    if (status != ADR_STATUS_OK || !s_read_header (row, value, &info, &owned))
        return STEP_FAILED;
    if (!owned) /* its header came after the sweep that found none */
        return collector_wrong (self, "an object is not that of the record that its row names");
    row->chunks = adr_object_chunks (info.size, info.chunk_size);
    return collector_first_step (row);
}

/* A run without a chunk is the end: they are written, and deleted, so that what is left begins with the first one. */
collector_step_t
collector_counted (collector_row_t *row, const Adr__ListAnswer *answer, adr_bytes_t rows)
{
    uint64_t before = row->chunks, run = row->looked / S_RUN, time_ms;
    adr_bytes_t key, value;
    adr_version_t version;
    if (answer->status != ADR_STATUS_OK)
        return STEP_FAILED;
    while (adr_list_row_next (&rows, &key, &value, &version, &time_ms)) {
        uint64_t number = key.size == ADR_ID_SIZE + 8 ? adr_get_be64 (key.data + ADR_ID_SIZE) : UINT64_MAX;
        if (number / S_RUN == run && number >= row->chunks)
            row->chunks = number + 1;
    }
    bool some = row->chunks > before;
    if (!some && row->looked % S_RUN == 0)
        return row->chunks ? STEP_CHUNKS : STEP_ROW;
    row->looked = some && answer->more ? row->chunks : (run + 1) * S_RUN;
    return STEP_COUNT;
}

static collector_step_t
s_on_chunks (collector_t *self, collector_row_t *row, adr_status_t status)
{
    if (status != ADR_STATUS_OK)
        return STEP_FAILED;
    self->chunks += s_batch (row);
    row->chunks -= s_batch (row);
    return row->chunks ? STEP_CHUNKS : STEP_REMOVE;
}

collector_step_t
collector_step (collector_t *self, collector_row_t *row, adr_status_t status, adr_bytes_t value)
{
    bool ok = status == ADR_STATUS_OK;
    switch (row->step) {
    case STEP_RECORD:
        return s_on_record (self, row, status, value);
    case STEP_OWNER:
        return s_on_owner (self, row, status, value);
    case STEP_DOOM:
        self->swept += ok;
        return ok ? STEP_OVER : STEP_FAILED;
    case STEP_HEADER:
        return s_on_header (self, row, status, value);
    case STEP_CONDEMN: /* [OBJECT-4] without a header there are no chunks: it goes last */
        return ok ? STEP_CHUNKS : status == ADR_STATUS_CONFLICT ? STEP_ROW : STEP_FAILED;
    case STEP_CHUNKS:
        return s_on_chunks (self, row, status);
    case STEP_REMOVE:
        self->collected += ok;
        return !ok ? STEP_FAILED : ADR_PLANT (OBJECT_4_ROW_FIRST) ? STEP_OVER : STEP_ROW;
    case STEP_ROW:
        if (ok && ADR_PLANT (OBJECT_4_ROW_FIRST))
            return row->chunks ? STEP_CONDEMN : STEP_REMOVE;
        return ok ? STEP_OVER : STEP_FAILED;
    case STEP_COUNT: /* answered by a list */
    case STEP_OVER:
    case STEP_FAILED:
        break;
    }
    return STEP_FAILED;
}
