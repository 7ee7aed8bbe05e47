/* SPDX-License-Identifier: MPL-2.0 */
/* Records in memory behind the session's face: see fake_store.h. */

#include "fake_store.h"

#include "core/actor.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

typedef struct {
    uint8_t table;
    uint8_t *key;
    size_t key_size;
    uint8_t *value;
    size_t size;
    adr_version_t version;
    uint64_t time_ms;
} s_record_t;

typedef struct s_pack s_pack_t;
struct s_pack {
    s_pack_t *next;
    adr_buffer_t bytes;
};

typedef struct {
    s_pack_t *first, **last;
} s_packs_t;

typedef struct {
    uint8_t id[ADR_REQUEST_ID_SIZE];
    adr_version_t version;
} s_done_t;

#define S_SPILL_MIN 65536
#define S_DONE_MAX 65536 /* request ids that are remembered */

struct fake_store {
    const char *hint;
    bool draining;
    fake_terms_fn *terms;
    void *terms_argument;
    fake_survivor_fn *survivor;
    void *survivor_argument;
    uint64_t token;
    bool released; /* held requests came late: every id is looked up from then on */
    pthread_mutex_t lock;
    pthread_cond_t ready;
    adr_id_t cluster;
    s_record_t *record; /* sorted by table, then key */
    size_t count, room;
    s_done_t *done;
    size_t done_count;
    uint64_t index, requests, packs;
    uint64_t epoch;      /* of the sweep, in all partitions */
    uint64_t passed_ms;  /* beside the writes */
    s_packs_t answers, held;
    fake_fate_fn *fate;
    void *argument;
    int spill; /* -1: none */
    off_t spilled;
    bool unreachable;
    adr_buffer_t map;
    adr_arena_t arena;
};

/* --- records -------------------------------------------------------------------------------------------------- */

static int
s_compare (const s_record_t *record, uint8_t table, adr_bytes_t key)
{
    if (record->table != table)
        return record->table < table ? -1 : 1;
    return adr_bytes_compare (adr_bytes (record->key, record->key_size), key);
}

/* The place of the first record that is not before (table, key). */
static size_t
s_place (const fake_store_t *self, uint8_t table, adr_bytes_t key)
{
    size_t low = 0, high = self->count;
    while (low < high) {
        size_t middle = (low + high) / 2;
        if (s_compare (&self->record[middle], table, key) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static s_record_t *
s_find (const fake_store_t *self, uint8_t table, adr_bytes_t key)
{
    size_t place = s_place (self, table, key);
    if (place < self->count && s_compare (&self->record[place], table, key) == 0)
        return &self->record[place];
    return NULL;
}

static uint8_t *
s_copy (adr_bytes_t bytes)
{
    uint8_t *copy = adr_alloc (bytes.size);
    if (bytes.size)
        memcpy (copy, bytes.data, bytes.size);
    return copy;
}

/* With a spill file, a large value is a mapping of a part of its own there, and not resident. */
static uint8_t *
s_copy_value (fake_store_t *self, adr_bytes_t bytes)
{
    if (self->spill < 0 || bytes.size < S_SPILL_MIN)
        return s_copy (bytes);
    off_t at = self->spilled;
    self->spilled += (off_t) ((bytes.size + 4095) & ~(size_t) 4095);
    adr_assert (pwrite (self->spill, bytes.data, bytes.size, at) == (ssize_t) bytes.size);
    uint8_t *value = mmap (NULL, bytes.size, PROT_READ, MAP_SHARED, self->spill, at);
    adr_assert (value != MAP_FAILED);
    return value;
}

static void
s_free_value (fake_store_t *self, uint8_t *value, size_t size)
{
    if (self->spill < 0 || size < S_SPILL_MIN)
        free (value);
    else
        munmap (value, size);
}

static void
s_remove (fake_store_t *self, s_record_t *record)
{
    free (record->key);
    s_free_value (self, record->value, record->size);
    size_t behind = self->count - (size_t) (record - self->record) - 1;
    memmove (record, record + 1, behind * sizeof *record);
    self->count--;
}

static uint64_t
s_time_ms (const fake_store_t *self, uint64_t index)
{
    return UINT64_C (1700000000000) + index + self->passed_ms;
}

static void
s_put (fake_store_t *self, uint8_t table, adr_bytes_t key, adr_bytes_t value, adr_version_t version)
{
    s_record_t *record = s_find (self, table, key);
    if (!record) {
        if (self->count == self->room) {
            self->room = self->room ? self->room * 2 : 64;
            self->record = adr_realloc (self->record, self->room * sizeof *self->record);
        }
        size_t place = s_place (self, table, key);
        record = &self->record[place];
        memmove (record + 1, record, (self->count - place) * sizeof *record);
        self->count++;
        *record = (s_record_t){ .table = table, .key = s_copy (key), .key_size = key.size };
    }
    uint8_t *copy = s_copy_value (self, value);
    s_free_value (self, record->value, record->size);
    record->value = copy;
    record->size = value.size;
    record->version = version;
    record->time_ms = s_time_ms (self, version.index);
}

/* --- requests ------------------------------------------------------------------------------------------------- */

static bool
s_condition_holds (const s_record_t *record, const Adr__Op *op)
{
    switch (op->condition) {
    case ADR__CONDITION__ALWAYS:
        return true;
    case ADR__CONDITION__ABSENT:
        return record == NULL;
    case ADR__CONDITION__EXISTS:
        return record != NULL;
    case ADR__CONDITION__VERSION:
        return record && op->version && record->version.epoch == op->version->epoch
               && record->version.term == op->version->term && record->version.index == op->version->index;
    case _ADR__CONDITION_IS_INT_SIZE:
        break;
    }
    return false;
}

static void
s_op_do (fake_store_t *self, const Adr__Op *op, adr_bytes_t value, adr_version_t version, uint32_t place)
{
    adr_bytes_t key = adr_bytes (op->key.data, op->key.len);
    s_record_t *record = s_find (self, (uint8_t) op->table, key);
    if (op->release && record) {
        uint8_t at[ADR_GARBAGE_KEY_SIZE];
        adr_entry_t entry = { .term = version.term, .index = version.index };
        adr_garbage_key (at, &entry, (uint16_t) place, adr_partition_of ((uint8_t) op->table, key, FAKE_PARTITIONS));
        uint8_t *old = s_copy (adr_bytes (record->value, record->size));
        s_put (self, ADR_TABLE_GARBAGE, adr_bytes (at, sizeof at), adr_bytes (old, record->size), version);
        free (old);
        record = s_find (self, (uint8_t) op->table, key);
    }
    if (op->ttl_ms) { /* as a group's log says it, were its time 0 */
        uint8_t at[ADR_KEY_MAX];
        size_t size = adr_expiry_key_encode (at, op->ttl_ms, (uint8_t) op->table, key);
        s_put (self, ADR_TABLE_EXPIRY, adr_bytes (at, size), adr_bytes ("", 0), version);
    }
    if (!op->delete_)
        s_put (self, (uint8_t) op->table, key, value, version);
    else if (record)
        s_remove (self, record);
}

/* [REPL-5] the id first, the condition second */
static bool
s_known (const fake_store_t *self, const Adr__Write *write, adr_version_t *version)
{
    size_t first = self->done_count > S_DONE_MAX ? self->done_count - S_DONE_MAX : 0;
    for (size_t i = self->done_count; i > first; i--)
        if (memcmp (self->done[(i - 1) % S_DONE_MAX].id, write->request.data, ADR_REQUEST_ID_SIZE) == 0) {
            *version = self->done[(i - 1) % S_DONE_MAX].version;
            return true;
        }
    return false;
}

static void
s_write (fake_store_t *self, const Adr__Write *write, adr_bytes_t payload, Adr__Answer *answer,
         Adr__VersionOf *version_of, bool repeated)
{
    adr_version_t version = { 0, 1, self->index + 1 };
    bool known = (repeated || self->released) && s_known (self, write, &version);
    for (size_t i = 0; !known && i < write->n_op; i++)
        if (write->op[i]->sweep_epoch && write->op[i]->sweep_epoch + 1 < self->epoch && !ADR_PLANT (OBJECT_1_LATE_COMMIT)) {
            answer->status = ADR_STATUS_REFUSED;
            return;
        }
    for (size_t i = 0; !known && i < write->n_op; i++) {
        const Adr__Op *op = write->op[i];
        s_record_t *record = s_find (self, (uint8_t) op->table, adr_bytes (op->key.data, op->key.len));
        if (s_condition_holds (record, op))
            continue;
        answer->status = ADR_STATUS_CONFLICT;
        if (record) {
            *version_of = (Adr__VersionOf) ADR__VERSION_OF__INIT;
            version_of->epoch = record->version.epoch;
            version_of->term = record->version.term;
            version_of->index = record->version.index;
            answer->version = version_of;
        }
        return;
    }
    /* As a master does: nothing to be done makes an entry only if the request was sent before [REPL-5]. */
    bool deletes_nothing = !known && !repeated;
    for (size_t i = 0; i < write->n_op; i++) {
        const Adr__Op *op = write->op[i];
        deletes_nothing &= op->delete_ && op->condition == ADR__CONDITION__ALWAYS
                           && s_find (self, (uint8_t) op->table, adr_bytes (op->key.data, op->key.len)) == NULL;
    }
    if (deletes_nothing) {
        answer->no_entry = true;
        return;
    }
    for (size_t i = 0; !known && i < write->n_op; i++) {
        size_t size = write->op[i]->value_size;
        adr_assert (size <= payload.size);
        s_op_do (self, write->op[i], adr_bytes (payload.data, size), version, (uint32_t) i);
        payload = adr_bytes (payload.data + size, payload.size - size);
    }
    if (!known) {
        self->index++;
        memcpy (self->done[self->done_count % S_DONE_MAX].id, write->request.data, ADR_REQUEST_ID_SIZE);
        self->done[self->done_count++ % S_DONE_MAX].version = version;
    }
    *version_of = (Adr__VersionOf) ADR__VERSION_OF__INIT;
    version_of->term = version.term;
    version_of->index = version.index;
    answer->version = version_of;
    answer->time_ms = s_time_ms (self, version.index);
}

static void
s_answer_add (fake_store_t *self, adr_buffer_t *pack, uint16_t kind, const ProtobufCMessage *header,
              adr_bytes_t payload)
{
    if (pack->size == 0) {
        adr_envelope_t envelope = { .cluster = self->cluster, .from_actor = ADR_ACTOR_EDGE_ROUTER,
                                    .to_actor = ADR_ACTOR_CLIENT };
        adr_pack_begin (pack, &envelope);
    }
    adr_pack_add (pack, kind, header, payload);
}

static void
s_read_answer (fake_store_t *self, const Adr__Read *read, adr_buffer_t *pack)
{
    Adr__Answer answer = ADR__ANSWER__INIT;
    Adr__VersionOf version = ADR__VERSION_OF__INIT;
    adr_bytes_t value = { 0 };
    answer.number = read->number;
    adr_bytes_t key = adr_bytes (read->key.data, read->key.len);
    uint8_t sweep_key[ADR_SWEEP_KEY_SIZE];
    if (read->table == ADR_TABLE_SWEEP) {
        adr_sweep_key (sweep_key, adr_partition_of (ADR_TABLE_SWEEP, key, FAKE_PARTITIONS));
        key = adr_bytes (sweep_key, sizeof sweep_key);
    }
    s_record_t *record = s_find (self, (uint8_t) read->table, key);
    if (record) {
        version.epoch = record->version.epoch;
        version.term = record->version.term;
        version.index = record->version.index;
        answer.version = &version;
        answer.time_ms = record->time_ms;
        value = adr_bytes (record->value, record->size);
    }
    else
        answer.status = ADR_STATUS_NOT_FOUND;
    s_answer_add (self, pack, ADR__KIND__ANSWER, &answer.base, value);
}

static void
s_list_answer (fake_store_t *self, const Adr__List *list, adr_buffer_t *pack)
{
    Adr__ListAnswer answer = ADR__LIST_ANSWER__INIT;
    adr_buffer_t rows = { 0 };
    adr_bytes_t prefix = adr_bytes (list->prefix.data, list->prefix.len);
    adr_bytes_t after = adr_bytes (list->after.data, list->after.len);
    answer.number = list->number;
    answer.time_ms = s_time_ms (self, self->index);
    adr_bytes_t from = adr_bytes_compare (after, prefix) > 0 ? after : prefix;
    for (size_t i = s_place (self, (uint8_t) list->table, from); i < self->count; i++) {
        const s_record_t *record = &self->record[i];
        adr_bytes_t key = adr_bytes (record->key, record->key_size);
        if (record->table != list->table || key.size < prefix.size
            || (prefix.size && memcmp (key.data, prefix.data, prefix.size) != 0))
            break;
        if (after.size && adr_bytes_compare (key, after) <= 0)
            continue;
        size_t value_size = list->with_values ? record->size : 0;
        if (answer.rows == list->rows_max
            || (answer.rows > 0 && rows.size + key.size + value_size + 64 > ADR_LIST_BYTES_MAX)) {
            answer.more = true;
            break;
        }
        adr_list_row_append (&rows, key, adr_bytes (record->value, value_size), record->version, record->time_ms);
        answer.rows++;
    }
    s_answer_add (self, pack, ADR__KIND__LIST_ANSWER, &answer.base, adr_bytes (rows.data, rows.size));
    adr_buffer_free (&rows);
}

static void
s_map_answer (fake_store_t *self, uint64_t number, adr_buffer_t *pack)
{
    Adr__MapPush push = ADR__MAP_PUSH__INIT;
    push.number = number;
    push.map = adr__cluster_map__unpack (NULL, self->map.size, self->map.data);
    adr_assert (push.map);
    s_answer_add (self, pack, ADR__KIND__MAP_PUSH, &push.base, (adr_bytes_t){ 0 });
    adr__cluster_map__free_unpacked (push.map, NULL);
}

static void
s_token_answer (fake_store_t *self, const Adr__Control *control, adr_buffer_t *pack)
{
    Adr__ControlAnswer answer = ADR__CONTROL_ANSWER__INIT;
    if (!self->terms || control->limit_ms == 0)
        return;
    Adr__Token kept = *control->token;
    const char *text = "";
    answer.number = control->number;
    answer.status = self->terms (self->terms_argument, control->token, &kept, &text);
    answer.text = (char *) text;
    answer.token = answer.status == ADR_STATUS_OK ? &kept : NULL;
    s_answer_add (self, pack, ADR__KIND__CONTROL_ANSWER, &answer.base, (adr_bytes_t){ 0 });
}

/* A set of tokens: each as it would be alone, until the first that is refused. */
static void
s_group_answer (fake_store_t *self, const Adr__Control *control, adr_buffer_t *pack)
{
    Adr__ControlAnswer answer = ADR__CONTROL_ANSWER__INIT;
    Adr__Token kept[8], *pointer[8];
    const char *text = "";
    if (!self->terms || control->limit_ms == 0)
        return;
    adr_assert (control->n_token_set <= 8);
    answer.number = control->number;
    answer.token_set = pointer;
    for (size_t i = 0; i < control->n_token_set && answer.status == ADR_STATUS_OK; i++) {
        kept[i] = *control->token_set[i];
        answer.status = self->terms (self->terms_argument, control->token_set[i], &kept[i], &text);
        pointer[answer.n_token_set++] = &kept[i];
    }
    answer.text = (char *) text;
    if (answer.status != ADR_STATUS_OK)
        answer.n_token_set = 0;
    s_answer_add (self, pack, ADR__KIND__CONTROL_ANSWER, &answer.base, (adr_bytes_t){ 0 });
}

/* RECOVER_SHOW and RECOVER. */
static void
s_recovery_answer (fake_store_t *self, const Adr__Control *control, adr_buffer_t *pack)
{
    Adr__ControlAnswer answer = ADR__CONTROL_ANSWER__INIT;
    Adr__Survivor survivor = ADR__SURVIVOR__INIT;
    const char *text = "";
    answer.number = control->number;
    if (!self->survivor)
        return;
    answer.status = self->survivor (self->survivor_argument, control, &survivor, &text);
    if (answer.status == ADR_STATUS_TIMEOUT)
        return;
    answer.text = (char *) text;
    if (survivor.incarnation)
        answer.survivor = &survivor;
    s_answer_add (self, pack, ADR__KIND__CONTROL_ANSWER, &answer.base, (adr_bytes_t){ 0 });
}

/* A node whose id begins with a zero is silent. */
static void
s_control_answer (fake_store_t *self, const Adr__Control *control, adr_buffer_t *pack)
{
    if (control->token) {
        s_token_answer (self, control, pack);
        return;
    }
    if (control->n_token_set) {
        s_group_answer (self, control, pack);
        return;
    }
    if (control->action >= ADR__CONTROL_ACTION__RECOVER_SHOW && control->action <= ADR__CONTROL_ACTION__RECOVER) {
        s_recovery_answer (self, control, pack);
        return;
    }
    Adr__ControlAnswer answer = ADR__CONTROL_ANSWER__INIT;
    answer.number = control->number;
    answer.text = (char *) "begun";
    if (control->node.len == ADR_ID_SIZE && control->node.data[0] != 0 && control->limit_ms > 0)
        s_answer_add (self, pack, ADR__KIND__CONTROL_ANSWER, &answer.base, (adr_bytes_t){ 0 });
}

/* Does a request and adds its answer. */
static void
s_do (fake_store_t *self, uint16_t kind, const ProtobufCMessage *header, adr_bytes_t payload,
      adr_status_t refuse, bool unread, adr_buffer_t *pack)
{
    Adr__Answer answer = ADR__ANSWER__INIT;
    Adr__VersionOf version;
    if (kind == ADR__KIND__WRITE) {
        const Adr__Write *write = (const Adr__Write *) header;
        answer.number = write->number;
        answer.token = self->token;
        answer.draining = self->draining;
        answer.unread = unread;
        if (refuse)
            answer.status = refuse;
        else
            s_write (self, write, payload, &answer, &version, write->age_ms > 0);
        if (self->hint)
            answer.endpoint = (char *) self->hint;
        s_answer_add (self, pack, ADR__KIND__ANSWER, &answer.base, (adr_bytes_t){ 0 });
    }
    else if (kind == ADR__KIND__CONTROL)
        s_control_answer (self, (const Adr__Control *) header, pack);
    else if (refuse) {
        answer.status = refuse;
        answer.number = kind == ADR__KIND__READ ? ((const Adr__Read *) header)->number
                                                : ((const Adr__List *) header)->number;
        s_answer_add (self, pack, ADR__KIND__ANSWER, &answer.base, (adr_bytes_t){ 0 });
    }
    else if (kind == ADR__KIND__READ)
        s_read_answer (self, (const Adr__Read *) header, pack);
    else if (kind == ADR__KIND__LIST)
        s_list_answer (self, (const Adr__List *) header, pack);
    else if (kind == ADR__KIND__MAP_PULL)
        s_map_answer (self, ((const Adr__MapPull *) header)->number, pack);
}

/* --- packs ---------------------------------------------------------------------------------------------------- */

static void
s_packs_append (s_packs_t *packs, adr_buffer_t *bytes)
{
    s_pack_t *pack = adr_alloc (sizeof *pack);
    pack->bytes = *bytes;
    *bytes = (adr_buffer_t){ 0 };
    *packs->last = pack;
    packs->last = &pack->next;
}

static s_pack_t *
s_packs_take (s_packs_t *packs)
{
    s_pack_t *first = packs->first;
    packs->first = NULL;
    packs->last = &packs->first;
    return first;
}

static void
s_packs_free (s_pack_t *pack)
{
    while (pack) {
        s_pack_t *next = pack->next;
        adr_buffer_free (&pack->bytes);
        free (pack);
        pack = next;
    }
}

static fake_fate_t
s_fate (fake_store_t *self, uint16_t kind, const ProtobufCMessage *header)
{
    fake_request_t request = { .kind = kind, .number = ++self->requests };
    if (kind == ADR__KIND__WRITE) {
        request.table = ((const Adr__Write *) header)->op[0]->table;
        request.delete_it = ((const Adr__Write *) header)->op[0]->delete_;
        request.token = ((const Adr__Write *) header)->token;
        request.token_ms = ((const Adr__Write *) header)->token_ms;
    }
    else if (kind == ADR__KIND__READ)
        request.table = ((const Adr__Read *) header)->table;
    else if (kind == ADR__KIND__LIST)
        request.table = ((const Adr__List *) header)->table;
    return self->fate ? self->fate (self->argument, &request) : FAKE_DO;
}

/* One answer a pack where one is wanted late; otherwise answers are packed as the requests were, up to the target. */
static void
s_answers_flush (fake_store_t *self, adr_buffer_t *pack, size_t above)
{
    if (pack->size <= above)
        return;
    s_packs_append (&self->answers, pack);
    pthread_cond_broadcast (&self->ready);
}

static void
s_item (fake_store_t *self, const adr_item_t *item, adr_bytes_t whole, adr_buffer_t *pack, bool again)
{
    adr_arena_reset (&self->arena);
    const ProtobufCMessage *header = adr_header_decode (item, &self->arena);
    adr_assert (header);
    fake_fate_t fate = again ? FAKE_DO : s_fate (self, item->kind, header);
    adr_buffer_t lost = { 0 };
    switch (fate) {
    case FAKE_DO:
        s_do (self, item->kind, header, item->payload, ADR_STATUS_OK, false, pack);
        break;
    case FAKE_REFUSE:
        s_do (self, item->kind, header, item->payload, ADR_STATUS_REFUSED, false, pack);
        break;
    case FAKE_UNREAD:
        s_do (self, item->kind, header, item->payload, ADR_STATUS_REFUSED, true, pack);
        break;
    case FAKE_FORBID:
        s_do (self, item->kind, header, item->payload, ADR_STATUS_INVALID, false, pack);
        break;
    case FAKE_LOSE_ANSWER:
        s_do (self, item->kind, header, item->payload, ADR_STATUS_OK, false, &lost);
        adr_buffer_free (&lost);
        break;
    case FAKE_HOLD: /* keeps the envelope and this one item */
        adr_buffer_append (&lost, whole.data, 4 + adr_get_u32 (whole.data));
        adr_buffer_append (&lost, item->header.data - ADR_ITEM_PREFIX_SIZE,
                           ADR_ITEM_PREFIX_SIZE + item->header.size + item->payload.size);
        s_packs_append (&self->held, &lost);
        break;
    case FAKE_LOSE:
        break;
    }
    s_answers_flush (self, pack, ADR_PACK_TARGET / 2);
}

static void
s_pack (fake_store_t *self, adr_bytes_t pack, bool again)
{
    adr_pack_reader_t reader;
    adr_item_t item;
    adr_buffer_t answers = { 0 };
    int found = -1;
    if (adr_pack_open (&reader, pack)) {
        adr_assert (reader.envelope.to_actor == ADR_ACTOR_EDGE_ROUTER);
        adr_assert (reader.envelope.from_actor == ADR_ACTOR_CLIENT);
        while ((found = adr_pack_next (&reader, &item)) == 1)
            s_item (self, &item, pack, &answers, again);
    }
    adr_assert (found == 0);
    s_answers_flush (self, &answers, 0);
}

bool
fake_store_send (void *argument, adr_bytes_t pack)
{
    fake_store_t *self = argument;
    pthread_mutex_lock (&self->lock);
    bool reachable = !self->unreachable;
    if (reachable) {
        self->packs++;
        s_pack (self, pack, false);
    }
    pthread_mutex_unlock (&self->lock);
    return reachable;
}

size_t
fake_store_answer (fake_store_t *self, fake_receive_fn *receive, void *argument)
{
    size_t count = 0;
    pthread_mutex_lock (&self->lock);
    s_pack_t *packs = s_packs_take (&self->answers);
    pthread_mutex_unlock (&self->lock);
    for (s_pack_t *pack = packs; pack; pack = pack->next, count++)
        receive (argument, adr_bytes (pack->bytes.data, pack->bytes.size));
    s_packs_free (packs);
    return count;
}

static void
s_receive (void *session, adr_bytes_t pack)
{
    adr_session_receive (session, pack);
}

size_t
fake_store_deliver (fake_store_t *self, adr_session_t *session, int64_t now_ns)
{
    size_t count = fake_store_answer (self, s_receive, session);
    adr_session_tick (session, now_ns);
    return count;
}

bool
fake_store_take (fake_store_t *self, adr_buffer_t *bytes)
{
    pthread_mutex_lock (&self->lock);
    s_pack_t *pack = self->answers.first;
    if (pack) {
        self->answers.first = pack->next;
        if (!pack->next)
            self->answers.last = &self->answers.first;
        *bytes = pack->bytes;
        free (pack);
    }
    pthread_mutex_unlock (&self->lock);
    return pack != NULL;
}

void
fake_store_release (fake_store_t *self)
{
    pthread_mutex_lock (&self->lock);
    self->released = true;
    s_pack_t *packs = s_packs_take (&self->held);
    for (s_pack_t *pack = packs; pack; pack = pack->next)
        s_pack (self, adr_bytes (pack->bytes.data, pack->bytes.size), true);
    pthread_mutex_unlock (&self->lock);
    s_packs_free (packs);
}

bool
fake_store_wait (fake_store_t *self, int timeout_ms)
{
    struct timespec until;
    clock_gettime (CLOCK_REALTIME, &until);
    until.tv_sec += timeout_ms / 1000;
    until.tv_nsec += timeout_ms % 1000 * 1000000L;
    if (until.tv_nsec >= 1000000000L) {
        until.tv_sec++;
        until.tv_nsec -= 1000000000L;
    }
    pthread_mutex_lock (&self->lock);
    while (!self->answers.first && pthread_cond_timedwait (&self->ready, &self->lock, &until) == 0)
        ;
    bool there = self->answers.first != NULL;
    pthread_mutex_unlock (&self->lock);
    return there;
}

/* --- life, and looking inside --------------------------------------------------------------------------------- */

fake_store_t *
fake_store_new (const adr_id_t *cluster)
{
    fake_store_t *self = adr_alloc (sizeof *self);
    pthread_mutex_init (&self->lock, NULL);
    pthread_cond_init (&self->ready, NULL);
    self->cluster = *cluster;
    self->spill = -1;
    self->done = adr_alloc (S_DONE_MAX * sizeof *self->done);
    s_packs_take (&self->answers);
    s_packs_take (&self->held);
    adr_arena_init (&self->arena, 64 * 1024, 1024 * 1024);
    return self;
}

void
fake_store_destroy (fake_store_t **self_p)
{
    fake_store_t *self = *self_p;
    if (!self)
        return;
    *self_p = NULL;
    s_packs_free (s_packs_take (&self->answers));
    s_packs_free (s_packs_take (&self->held));
    while (self->count)
        s_remove (self, &self->record[self->count - 1]);
    free (self->record);
    free (self->done);
    adr_buffer_free (&self->map);
    adr_arena_free (&self->arena);
    pthread_mutex_destroy (&self->lock);
    pthread_cond_destroy (&self->ready);
    free (self);
}

void
fake_store_set_fate (fake_store_t *self, fake_fate_fn *fate, void *argument)
{
    pthread_mutex_lock (&self->lock);
    self->fate = fate;
    self->argument = argument;
    pthread_mutex_unlock (&self->lock);
}

void
fake_store_spill (fake_store_t *self, int file)
{
    pthread_mutex_lock (&self->lock);
    adr_assert (self->count == 0);
    self->spill = file;
    pthread_mutex_unlock (&self->lock);
}

void
fake_store_set_survivor (fake_store_t *self, fake_survivor_fn *survivor, void *argument)
{
    pthread_mutex_lock (&self->lock);
    self->survivor = survivor;
    self->survivor_argument = argument;
    pthread_mutex_unlock (&self->lock);
}

void
fake_store_set_terms (fake_store_t *self, fake_terms_fn *terms, void *argument)
{
    pthread_mutex_lock (&self->lock);
    self->terms = terms;
    self->terms_argument = argument;
    pthread_mutex_unlock (&self->lock);
}

void
fake_store_set_draining (fake_store_t *self, bool draining)
{
    pthread_mutex_lock (&self->lock);
    self->draining = draining;
    pthread_mutex_unlock (&self->lock);
}

void
fake_store_set_hint (fake_store_t *self, const char *endpoint)
{
    pthread_mutex_lock (&self->lock);
    self->hint = endpoint;
    pthread_mutex_unlock (&self->lock);
}

void
fake_store_set_reachable (fake_store_t *self, bool reachable)
{
    pthread_mutex_lock (&self->lock);
    self->unreachable = !reachable;
    pthread_mutex_unlock (&self->lock);
}

void
fake_store_set_map (fake_store_t *self, adr_bytes_t map)
{
    pthread_mutex_lock (&self->lock);
    adr_buffer_clear (&self->map);
    adr_buffer_append (&self->map, map.data, map.size);
    pthread_mutex_unlock (&self->lock);
}

bool
fake_store_has (fake_store_t *self, uint8_t table, adr_bytes_t key)
{
    pthread_mutex_lock (&self->lock);
    bool has = s_find (self, table, key) != NULL;
    pthread_mutex_unlock (&self->lock);
    return has;
}

size_t
fake_store_count (fake_store_t *self, uint8_t table)
{
    size_t count = 0;
    pthread_mutex_lock (&self->lock);
    for (size_t i = 0; i < self->count; i++)
        count += self->record[i].table == table;
    pthread_mutex_unlock (&self->lock);
    return count;
}

uint64_t
fake_store_packs (fake_store_t *self)
{
    pthread_mutex_lock (&self->lock);
    uint64_t packs = self->packs;
    pthread_mutex_unlock (&self->lock);
    return packs;
}

uint64_t
fake_store_requests (fake_store_t *self)
{
    pthread_mutex_lock (&self->lock);
    uint64_t requests = self->requests;
    pthread_mutex_unlock (&self->lock);
    return requests;
}

void
fake_store_lose (fake_store_t *self, uint8_t table, adr_bytes_t key)
{
    pthread_mutex_lock (&self->lock);
    s_record_t *record = s_find (self, table, key);
    adr_assert (record);
    s_remove (self, record);
    pthread_mutex_unlock (&self->lock);
}

void
fake_store_advance (fake_store_t *self, uint64_t ms)
{
    pthread_mutex_lock (&self->lock);
    self->passed_ms += ms;
    pthread_mutex_unlock (&self->lock);
}

void
fake_store_raise (fake_store_t *self)
{
    uint8_t key[ADR_SWEEP_KEY_SIZE], value[ADR_SWEEP_EPOCH_SIZE];
    pthread_mutex_lock (&self->lock);
    self->epoch = self->epoch ? self->epoch + 1 : ADR_SWEEP_FIRST + 1;
    adr_put_u64 (value, self->epoch);
    adr_version_t version = { 0, 1, ++self->index };
    for (uint32_t partition = 0; partition < FAKE_PARTITIONS; partition++) {
        adr_sweep_key (key, partition);
        s_put (self, ADR_TABLE_SWEEP, adr_bytes (key, sizeof key), adr_bytes (value, sizeof value), version);
    }
    pthread_mutex_unlock (&self->lock);
}

bool
fake_store_nth (fake_store_t *self, uint8_t table, size_t n, adr_bytes_t *key, adr_bytes_t *value)
{
    pthread_mutex_lock (&self->lock);
    size_t place = s_place (self, table, adr_bytes (NULL, 0)) + n;
    bool found = place < self->count && self->record[place].table == table;
    if (found) {
        *key = adr_bytes (self->record[place].key, self->record[place].key_size);
        *value = adr_bytes (self->record[place].value, self->record[place].size);
    }
    pthread_mutex_unlock (&self->lock);
    return found;
}

void
fake_store_set_token (fake_store_t *self, uint64_t token)
{
    self->token = token;
}
