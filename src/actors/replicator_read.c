/* SPDX-License-Identifier: MPL-2.0 */
/* The replicator's reads: strong ones by a read index of the master, local ones by evidence and the watermark
 * [READ-1 to READ-6]. */

#include "actors/replicator_private.h"

#include <stdlib.h>

#define S_ASK_AGAIN_NS (100 * ADR_MS) /* a question that got no answer is asked again under a new number */
#define S_SCAN_STEPS 8192 /* keys that one list looks at in a turn: some milliseconds */
#define S_QUESTION_LIFE_NS (1000 * ADR_MS)

/* --- queues ---------------------------------------------------------------------------------------------------------- */

void
replicator_queue_init (read_queue_t *queue)
{
    queue->first = NULL;
    queue->last = &queue->first;
    queue->count = 0;
}

static void
s_queue_push (read_queue_t *queue, read_waiter_t *waiter)
{
    waiter->next = NULL;
    *queue->last = waiter;
    queue->last = &waiter->next;
    queue->count++;
}

/* Takes the whole queue; who stays is pushed again. */
static read_waiter_t *
s_queue_take (read_queue_t *queue)
{
    read_waiter_t *first = queue->first;
    replicator_queue_init (queue);
    return first;
}

/* --- answers --------------------------------------------------------------------------------------------------------- */

static adr_bytes_t
s_key (const read_waiter_t *waiter)
{
    return adr_bytes (waiter->bytes, waiter->key_size);
}

static void
s_fail (replicator_t *self, const read_waiter_t *waiter, adr_status_t status, const char *text)
{
    if (!waiter->is_list) {
        replicator_answer (self, &waiter->origin, waiter->number, status, NULL, text);
        return;
    }
    Adr__ListAnswer answer = ADR__LIST_ANSWER__INIT;
    answer.number = waiter->number;
    answer.status = status;
    answer.text = (char *) text;
    if (!adr_id_is_none (&self->master))
        answer.hint = adr_id_view (&self->master);
    adr_address_t to = replicator_asker (self, &waiter->origin);
    self->effects->send (self->effects, to, ADR__KIND__LIST_ANSWER, &answer.base, (adr_bytes_t){ 0 });
}

static void
s_answer_record (replicator_t *self, const read_waiter_t *waiter, adr_status_t status, const adr_record_t *record)
{
    Adr__Answer answer = ADR__ANSWER__INIT;
    Adr__VersionOf version = ADR__VERSION_OF__INIT;
    adr_bytes_t value = { 0 };
    answer.number = waiter->number;
    answer.status = status;
    if (status == ADR_STATUS_OK) {
        version.epoch = record->version.epoch;
        version.term = record->version.term;
        version.index = record->version.index;
        answer.version = &version;
        answer.time_ms = record->time_ms;
        answer.deleted = record->deleted;
        if (record->deleted)
            answer.status = ADR_STATUS_NOT_FOUND;
        else if (!waiter->without_value)
            value = record->value;
    } else if (status != ADR_STATUS_NOT_FOUND)
        replicator_note_damage (self, "a record cannot be read -> another copy is asked for it");
    adr_address_t to = replicator_asker (self, &waiter->origin);
    self->effects->send (self->effects, to, ADR__KIND__ANSWER, &answer.base, value);
}

typedef struct {
    adr_buffer_t *rows;
    uint32_t count, count_max;
    bool more, with_values;
} s_page_t;

static bool
s_add_row (void *argument, adr_bytes_t key, const adr_record_t *record)
{
    s_page_t *page = argument;
    size_t room = page->rows->size + key.size + record->value.size + 64;
    if (page->count == page->count_max || (page->count && room > ADR_LIST_BYTES_MAX)) {
        page->more = true;
        return false;
    }
    adr_bytes_t value = page->with_values ? record->value : (adr_bytes_t){ 0 };
    adr_list_row_append (page->rows, key, value, record->version, record->time_ms);
    page->count++;
    return true;
}

static void
s_answer_list (replicator_t *self, const read_waiter_t *waiter)
{
    s_page_t page = { .rows = &self->values, .count_max = waiter->rows_max, .with_values = waiter->with_values };
    adr_bytes_t after = { waiter->after_size ? waiter->bytes + waiter->key_size : NULL, waiter->after_size };
    adr_buffer_clear (&self->values);
    adr_buffer_clear (&self->scratch); /* where the scan stopped, if it met too many tombstones */
    adr_status_t status = adr_store_scan_some (self->store, waiter->table, s_key (waiter), after, waiter->with_values,
                                               S_SCAN_STEPS, &self->scratch, s_add_row, &page);
    if (status != ADR_STATUS_OK) {
        replicator_note_damage (self, "a record cannot be read -> another copy is asked for the page");
        s_fail (self, waiter, status, "a record of this page cannot be read here");
        return;
    }
    Adr__ListAnswer answer = ADR__LIST_ANSWER__INIT;
    answer.number = waiter->number;
    answer.status = ADR_STATUS_OK;
    answer.rows = page.count;
    answer.more = page.more || self->scratch.size;
    if (page.count == 0)
        answer.behind = adr_bytes_view (adr_bytes (self->scratch.data, self->scratch.size));
    answer.time_ms = waiter->time_ms;
    adr_address_t to = replicator_asker (self, &waiter->origin);
    self->effects->send (self->effects, to, ADR__KIND__LIST_ANSWER, &answer.base,
                         adr_bytes (self->values.data, self->values.size));
}

static void
s_answer_newest (replicator_t *self, const read_waiter_t *waiter)
{
    if (!waiter->local)
        replicator_waits_read (self, waiter->arrived_ns);
    if (waiter->is_list) {
        s_answer_list (self, waiter);
        return;
    }
    adr_record_t record;
    adr_status_t status = adr_store_get (self->store, waiter->table, s_key (waiter), !waiter->without_value, &record);
    s_answer_record (self, waiter, status, &record);
}

/* --- local reads ------------------------------------------------------------------------------------------------------ */

/* [READ-3 to READ-5] evidence that is fresh, in the unlock set, and everything up to `unlocked` applied. */
static bool
s_may_read_locally (const replicator_t *self)
{
    if (!replicator_is_exact (self) || !self->unlocked_known || (adr_store_applied (self->store) < self->unlocked && !ADR_PLANT (READ_5_LAGGING_READS)))
        return false;
    if (self->role != ROLE_MEMBER)
        return replicator_lease_valid (self);
    return replicator_evidence_fresh (self) && (self->evidence_in_set || ADR_PLANT (READ_4_READS_OUTSIDE_SET));
}

/* Answers the local read, or keeps it until `unlocked` passes the version that is newest now. */
static void
s_read_locally (replicator_t *self, read_waiter_t *waiter)
{
    adr_record_t record;
    if (waiter->is_list) {
        s_answer_list (self, waiter);
        free (waiter);
        return;
    }
    adr_status_t status = adr_store_get (self->store, waiter->table, s_key (waiter), false, &record);
    if (status != ADR_STATUS_OK || record.version.index <= self->unlocked || ADR_PLANT (READ_5_LOCKED_AT_ONCE)) {
        s_answer_newest (self, waiter);
        free (waiter);
        return;
    }
    ADR_MARK ("a local read waits for a lock");
    waiter->stage = READ_LOCKED;
    waiter->index = record.version.index;
    s_queue_push (&self->locked, waiter);
}

/* [READ-5] then the newest version that is not above `unlocked`: a hot key would never unlock otherwise. */
void
replicator_reads_unlocked (replicator_t *self)
{
    if (self->locked.count == 0 || !s_may_read_locally (self))
        return;
    for (read_waiter_t *waiter = s_queue_take (&self->locked), *next; waiter; waiter = next) {
        next = waiter->next;
        if (waiter->index > self->unlocked) {
            s_queue_push (&self->locked, waiter);
            continue;
        }
        adr_record_t record;
        adr_status_t status
            = adr_store_get_unlocked (self->store, waiter->table, s_key (waiter), self->unlocked, &record);
        if (status == ADR_STATUS_UNKNOWN) /* no longer kept: then the newest is unlocked, or will be */
            s_read_locally (self, waiter);
        else {
            s_answer_record (self, waiter, status, &record);
            free (waiter);
        }
    }
}

/* --- strong reads ------------------------------------------------------------------------------------------------------ */

/* [REPAIR-5] What a copy holds that is not proven is told to nobody. True: the waiter has heard so, and is gone. */
static bool
s_is_sick (replicator_t *self, read_waiter_t *waiter)
{
    if (replicator_is_exact (self))
        return false;
    s_fail (self, waiter, ADR_STATUS_NOT_MASTER, "this copy is being repaired");
    free (waiter);
    return true;
}

static void
s_wait_applied (replicator_t *self, read_waiter_t *waiter, uint64_t index, uint64_t time_ms)
{
    waiter->time_ms = time_ms;
    if (s_is_sick (self, waiter))
        return;
    if (adr_store_applied (self->store) >= index || ADR_PLANT (READ_2_BEFORE_APPLIED)) {
        s_answer_newest (self, waiter);
        free (waiter);
        return;
    }
    waiter->stage = READ_APPLYING;
    waiter->index = index;
    s_queue_push (&self->applying, waiter);
}

void
replicator_reads_applied (replicator_t *self)
{
    if (self->applying.count == 0)
        return;
    uint64_t applied = adr_store_applied (self->store);
    for (read_waiter_t *waiter = s_queue_take (&self->applying), *next; waiter; waiter = next) {
        next = waiter->next;
        if (s_is_sick (self, waiter))
            continue;
        if (waiter->index > applied) {
            s_queue_push (&self->applying, waiter);
            continue;
        }
        s_answer_newest (self, waiter);
        free (waiter);
    }
}

/* A master answers its own node's reads when lease or quorum allow it. */
static void
s_reads_of_master (replicator_t *self)
{
    uint64_t commit = adr_store_commit (self->store);
    for (read_waiter_t *waiter = s_queue_take (&self->asking), *next; waiter; waiter = next) {
        next = waiter->next;
        if (replicator_may_read (self, waiter->arrived_ns))
            s_wait_applied (self, waiter, commit, replicator_log_time (self));
        else
            s_queue_push (&self->asking, waiter);
    }
}

/* [READ-2] one question for all reads that arrived before it is sent. */
void
replicator_reads_ask (replicator_t *self)
{
    if (self->asking.count == 0)
        return;
    if (self->role != ROLE_MEMBER) {
        s_reads_of_master (self);
        return;
    }
    bool open = self->question_answered < self->question_number;
    if (adr_id_is_none (&self->master) || (open && self->now_ns - self->question_ns < S_ASK_AGAIN_NS))
        return;
    self->question_number++;
    self->question_ns = self->now_ns;
    for (read_waiter_t *waiter = self->asking.first; waiter; waiter = waiter->next)
        if (waiter->question == 0) /* the first that was sent after it came: a late answer to it will do */
            waiter->question = self->question_number;
    Adr__ReadIndex question = ADR__READ_INDEX__INIT;
    question.number = self->question_number;
    self->effects->send (self->effects, replicator_address (self->master), ADR__KIND__READ_INDEX, &question.base,
                         (adr_bytes_t){ 0 });
}

void
replicator_on_read_index_answer (replicator_t *self, const adr_event_t *event)
{
    const Adr__ReadIndexAnswer *answer = (const Adr__ReadIndexAnswer *) event->message.header;
    if (answer->number > self->question_number || answer->number <= self->question_answered
        || self->role != ROLE_MEMBER)
        return;
    self->question_answered = answer->number;
    if (answer->ok && answer->term != self->fence) /* [READ-2] bound to its master's term */
        return;
    if (answer->ok && self->commit_heard < answer->index)
        self->commit_heard = answer->index;
    for (read_waiter_t *waiter = s_queue_take (&self->asking), *next; waiter; waiter = next) {
        next = waiter->next;
        bool covered = waiter->question != 0 && waiter->question <= answer->number;
        if (ADR_PLANT (READ_2_SHARES_LATE))
            covered = true;
        if (!covered)
            s_queue_push (&self->asking, waiter);
        else if (answer->ok)
            s_wait_applied (self, waiter, answer->index, answer->time_ms);
        else {
            s_fail (self, waiter, ADR_STATUS_NOT_MASTER, "the master cannot answer reads now");
            free (waiter);
        }
    }
}

static void
s_answer_question (replicator_t *self, const adr_id_t *node, uint64_t number, bool ok)
{
    Adr__ReadIndexAnswer answer = ADR__READ_INDEX_ANSWER__INIT;
    answer.number = number;
    answer.ok = ok;
    answer.term = self->fence;
    answer.index = adr_store_commit (self->store);
    answer.time_ms = ok ? replicator_log_time (self) : 0;
    self->effects->send (self->effects, replicator_address (*node), ADR__KIND__READ_INDEX_ANSWER, &answer.base,
                         (adr_bytes_t){ 0 });
}

void
replicator_on_read_index (replicator_t *self, const adr_event_t *event)
{
    const Adr__ReadIndex *question = (const Adr__ReadIndex *) event->message.header;
    const adr_id_t *from = &event->message.from.node;
    if (!replicator_leads (self) && !ADR_PLANT (ELECT_8_LEASE_AFTER_HANDOVER)) {
        s_answer_question (self, from, question->number, false);
        return;
    }
    if (replicator_may_read (self, self->now_ns))
        s_answer_question (self, from, question->number, true);
    else if (self->question_count < QUESTIONS_MAX)
        self->question[self->question_count++] = (question_t){ *from, question->number, self->now_ns };
    else
        s_answer_question (self, from, question->number, false);
}

void
replicator_reads_questions (replicator_t *self)
{
    uint32_t kept = 0;
    for (uint32_t i = 0; i < self->question_count; i++) {
        question_t now = self->question[i];
        if (replicator_may_read (self, now.arrived_ns))
            s_answer_question (self, &now.node, now.number, true);
        else if (self->now_ns - now.arrived_ns < S_QUESTION_LIFE_NS && replicator_leads (self))
            self->question[kept++] = now;
        else
            s_answer_question (self, &now.node, now.number, false);
    }
    self->question_count = kept;
}

/* --- arrival ----------------------------------------------------------------------------------------------------------- */

static read_waiter_t *
s_waiter_new (replicator_t *self, uint64_t number, ProtobufCBinaryData origin, Adr__ReadMode mode, uint32_t limit_ms,
              adr_bytes_t key, adr_bytes_t after)
{
    read_waiter_t *waiter = adr_alloc (sizeof *waiter + key.size + after.size);
    int64_t limit_ns = (int64_t) limit_ms * ADR_MS;
    if (limit_ns > self->settings->read_timeout_ns) /* the system's own limit */
        limit_ns = self->settings->read_timeout_ns;
    waiter->arrived_ns = self->now_ns;
    waiter->deadline_ns = self->now_ns + limit_ns;
    waiter->number = number;
    waiter->origin = adr_id_of (origin);
    waiter->local = mode == ADR__READ_MODE__LOCAL;
    waiter->key_size = (uint16_t) key.size;
    waiter->after_size = (uint16_t) after.size;
    if (key.size)
        memcpy (waiter->bytes, key.data, key.size);
    if (after.size)
        memcpy (waiter->bytes + key.size, after.data, after.size);
    return waiter;
}

static bool
s_admissible (replicator_t *self, read_waiter_t *waiter, uint32_t table)
{
    adr_node_type_t type;
    if (!adr_table_type (table, &type) || type != self->environment->type) {
        s_fail (self, waiter, ADR_STATUS_INVALID, "the table is not held here");
        return false;
    }
    waiter->table = (uint8_t) table;
    if (self->asking.count + self->applying.count + self->locked.count >= READS_MAX) {
        s_fail (self, waiter, ADR_STATUS_REFUSED, "busy");
        return false;
    }
    return true;
}

static void
s_arrive (replicator_t *self, read_waiter_t *waiter, uint32_t table)
{
    if (!s_admissible (self, waiter, table)) {
        free (waiter);
        return;
    }
    if (waiter->local) {
        if (s_may_read_locally (self)) {
            s_read_locally (self, waiter);
            return;
        }
        s_fail (self, waiter, ADR_STATUS_NOT_MASTER, "this copy cannot answer local reads now");
        free (waiter);
        return;
    }
    if (replicator_may_read (self, self->now_ns) && replicator_leads (self)) {
        s_wait_applied (self, waiter, adr_store_commit (self->store), replicator_log_time (self));
        return;
    }
    if (self->role == ROLE_MEMBER && adr_id_is_none (&self->master)) {
        s_fail (self, waiter, ADR_STATUS_NOT_MASTER, "no master is known here");
        free (waiter);
        return;
    }
    waiter->stage = READ_ASKING;
    s_queue_push (&self->asking, waiter);
}

void
replicator_on_read (replicator_t *self, const adr_event_t *event)
{
    const Adr__Read *read = (const Adr__Read *) event->message.header;
    if (read->key.len > ADR_KEY_MAX)
        return; /* the decoder admits none */
    adr_bytes_t key = adr_bytes (read->key.data, read->key.len);
    uint8_t sweep_key[ADR_SWEEP_KEY_SIZE];
    if (read->table == ADR_TABLE_SWEEP) { /* whoever makes an object knows its meta key, not how many partitions there are */
        adr_sweep_key (sweep_key, adr_partition_of (ADR_TABLE_SWEEP, key, self->map->partition_count));
        key = adr_bytes (sweep_key, sizeof sweep_key);
    }
    read_waiter_t *waiter = s_waiter_new (self, read->number, read->origin, read->mode, read->limit_ms, key, (adr_bytes_t){ 0 });
    waiter->without_value = read->without_value;
    s_arrive (self, waiter, read->table);
}

void
replicator_on_list (replicator_t *self, const adr_event_t *event)
{
    const Adr__List *list = (const Adr__List *) event->message.header;
    if (list->prefix.len > ADR_KEY_MAX || list->after.len > ADR_KEY_MAX)
        return; /* the decoder admits none */
    read_waiter_t *waiter = s_waiter_new (self, list->number, list->origin, list->mode, list->limit_ms,
                                          adr_bytes (list->prefix.data, list->prefix.len),
                                          adr_bytes (list->after.data, list->after.len));
    waiter->is_list = true;
    waiter->with_values = list->with_values;
    waiter->rows_max = list->rows_max == 0 || list->rows_max > ADR_LIST_ROWS_MAX ? ADR_LIST_ROWS_MAX : list->rows_max;
    s_arrive (self, waiter, list->table);
}

/* --- limits ------------------------------------------------------------------------------------------------------------ */

static void
s_expire (replicator_t *self, read_queue_t *queue, adr_status_t status, const char *text)
{
    if (queue->count == 0)
        return;
    for (read_waiter_t *waiter = s_queue_take (queue), *next; waiter; waiter = next) {
        next = waiter->next;
        if (self->now_ns < waiter->deadline_ns) {
            s_queue_push (queue, waiter);
            continue;
        }
        s_fail (self, waiter, status, text);
        free (waiter);
    }
}

void
replicator_reads_expire (replicator_t *self)
{
    s_expire (self, &self->asking, ADR_STATUS_TIMEOUT, "no read index in time");
    s_expire (self, &self->applying, ADR_STATUS_TIMEOUT, "this copy did not catch up in time");
    s_expire (self, &self->locked, ADR_STATUS_LOCKED, "the record stayed locked");
}

static void
s_free_all (read_queue_t *queue)
{
    for (read_waiter_t *waiter = s_queue_take (queue), *next; waiter; waiter = next) {
        next = waiter->next;
        free (waiter);
    }
}

void
replicator_reads_drop (replicator_t *self)
{
    s_free_all (&self->asking);
    s_free_all (&self->applying);
    s_free_all (&self->locked);
}
