/* SPDX-License-Identifier: MPL-2.0 */
/* The replicator's writes: request ids first, conditions second, then one entry [REPL-5, REPL-6]. */

#include "actors/replicator_private.h"
#include "actors/request_check.h"

#include <stdlib.h>

#define S_WRITES_MAX 65536u /* that wait for their commit */

adr_address_t
replicator_asker (replicator_t *self, const adr_id_t *origin)
{
    bool own = adr_id_equal (origin, &self->environment->node);
    bool signs = self->environment->type == ADR_NODE_PKI && (own || replicator_peer (self, origin));
    return (adr_address_t){ *origin, signs ? ADR_ACTOR_CERT_SIGNER : ADR_ACTOR_EDGE_ROUTER };
}

static void
s_send_answer (replicator_t *self, const adr_id_t *origin, Adr__Answer *answer)
{
    if (!adr_id_is_none (&self->master))
        answer->hint = adr_id_view (&self->master);
    answer->time_ms = self->time_committed_ms;
    self->effects->send (self->effects, replicator_asker (self, origin), ADR__KIND__ANSWER, &answer->base, (adr_bytes_t){ 0 });
}

static void
s_answer (replicator_t *self, const adr_id_t *origin, uint64_t number, adr_status_t status,
          const adr_version_t *version, const char *text, bool no_entry)
{
    Adr__Answer answer = ADR__ANSWER__INIT;
    Adr__VersionOf version_of = ADR__VERSION_OF__INIT;
    answer.number = number;
    answer.status = status;
    answer.text = (char *) (text ? text : "");
    answer.no_entry = no_entry;
    if (version) {
        version_of.epoch = version->epoch;
        version_of.term = version->term;
        version_of.index = version->index;
        answer.version = &version_of;
    }
    s_send_answer (self, origin, &answer);
}

void
replicator_answer (replicator_t *self, const adr_id_t *origin, uint64_t number, adr_status_t status,
                   const adr_version_t *version, const char *text)
{
    s_answer (self, origin, number, status, version, text, false);
}

/* --- conditions ---------------------------------------------------------------------------------------------------- */

current_t
replicator_current (replicator_t *self, uint8_t table, adr_bytes_t key)
{
    static const adr_version_t s_none;
    const adr_pending_t *pending = adr_pending_keys_find (self->pending, table, key);
    if (pending && !ADR_PLANT (REPL_5_CONDITION_ON_APPLIED))
        return (current_t){ pending->purged ? s_none : pending->version, pending->version.index, !pending->deleted, false };
    adr_record_t record;
    adr_status_t status = adr_store_get (self->store, table, key, false, &record);
    if (status == ADR_STATUS_OK)
        return (current_t){ record.version, record.version.index, !record.deleted, false };
    bool damaged = status != ADR_STATUS_NOT_FOUND; /* then it is not known to be absent */
    return (current_t){ .exists = damaged, .damaged = damaged };
}

static bool
s_holds (const Adr__Op *op, const current_t *current)
{
    switch (op->condition) {
    case ADR__CONDITION__ALWAYS:
        return true;
    case ADR__CONDITION__ABSENT:
        return !current->exists;
    case ADR__CONDITION__EXISTS:
        return current->exists;
    case ADR__CONDITION__VERSION: {
        adr_version_t wanted = { 0 };
        if (op->version)
            wanted = (adr_version_t){ op->version->epoch, op->version->term, op->version->index };
        return adr_version_compare (&wanted, &current->version) == 0;
    }
    case _ADR__CONDITION_IS_INT_SIZE:
        break;
    }
    return false;
}

/* Says that nothing was done, and why: `version` is what the condition lost against. A first try's verdict is a read:
 * it waits until it may be said [REPL-6], and its id is not kept. Of a request that was sent before, another try may
 * still be on its way, and must not be done after this answer: so the verdict becomes an entry without operations,
 * which keeps the id. */
static void
s_verdict (replicator_t *self, const Adr__Write *write, adr_status_t status, const current_t *current)
{
    static const adr_version_t s_none;
    verdict_t verdict = { .index = current->index > self->opening ? current->index : self->opening,
                          .arrived_ns = self->now_ns,
                          .number = write->number,
                          .origin = adr_id_of (write->origin),
                          .status = status,
                          .version = status == ADR_STATUS_CONFLICT ? current->version : s_none };
    if (ADR_PLANT (REPL_6_CONFLICT_AT_ONCE))
        s_answer (self, &verdict.origin, verdict.number, status, &verdict.version, NULL, true);
    else if (write->age_ms && !ADR_PLANT (REPL_5_VERDICTS_FORGOTTEN)) {
        ADR_MARK ("a verdict becomes an entry");
        self->entry.kind = ADR_ENTRY_WRITE;
        self->entry.op_count = 0;
        memcpy (self->entry.request, write->request.data, ADR_REQUEST_ID_SIZE);
        replicator_append_own (self);
        write_waiter_t waiter = { self->entry.index, write->number, verdict.origin, status, verdict.version };
        adr_buffer_append (&self->writes, &waiter, sizeof waiter);
    } else if (self->verdicts.size / sizeof verdict >= VERDICTS_MAX)
        replicator_answer (self, &verdict.origin, verdict.number, ADR_STATUS_REFUSED, NULL, "busy");
    else
        adr_buffer_append (&self->verdicts, &verdict, sizeof verdict);
}

void
replicator_writes_verdicts (replicator_t *self)
{
    verdict_t *verdict = (verdict_t *) self->verdicts.data;
    size_t count = self->verdicts.size / sizeof *verdict;
    size_t kept = 0;
    uint64_t commit = adr_store_commit (self->store);
    for (size_t i = 0; i < count; i++) {
        verdict_t now = verdict[i];
        if (now.index <= commit && replicator_may_read (self, now.arrived_ns))
            s_answer (self, &now.origin, now.number, now.status, &now.version, NULL,
                      !ADR_PLANT (REPL_5_VERDICTS_FORGOTTEN));
        else
            verdict[kept++] = now;
    }
    self->verdicts.size = kept * sizeof *verdict;
}

/* --- one write ------------------------------------------------------------------------------------------------------ */

static void
s_refuse (replicator_t *self, const Adr__Write *write, adr_status_t status, const char *text)
{
    adr_id_t origin = adr_id_of (write->origin);
    replicator_answer (self, &origin, write->number, status, NULL, text);
}

/* [REPL-5] An earlier try may be beyond what we remember. */
static void
s_refuse_unread (replicator_t *self, const Adr__Write *write)
{
    adr_id_t origin = adr_id_of (write->origin);
    Adr__Answer answer = ADR__ANSWER__INIT;
    answer.number = write->number;
    answer.status = ADR_STATUS_REFUSED;
    answer.text = (char *) "seen_ms is too old";
    answer.unread = true;
    s_send_answer (self, &origin, &answer);
}

/* A member hands the write to the master, once; the master answers the origin itself. */
static void
s_relay (replicator_t *self, const adr_event_t *event, const Adr__Write *write)
{
    bool known = !adr_id_is_none (&self->master) && !adr_id_equal (&self->master, &self->environment->node);
    if (write->relays > 0 || !known) {
        s_refuse (self, write, ADR_STATUS_NOT_MASTER, "no master is known here");
        return;
    }
    Adr__Write relayed = *write;
    relayed.base.n_unknown_fields = 0;
    relayed.base.unknown_fields = NULL;
    relayed.relays = 1;
    self->effects->send (self->effects, replicator_address (self->master), ADR__KIND__WRITE, &relayed.base,
                         event->message.payload);
}

/* What the entry of an earlier try did: it is in the log, or this node would not know the id. */
static bool
s_outcome (replicator_t *self, const Adr__Write *write, uint64_t index, write_waiter_t *outcome)
{
    adr_status_t status;
    adr_buffer_clear (&self->scratch);
    if (adr_store_read_log (self->store, index, 1, &self->scratch, &status) == 0
        || adr_entry_decode (&self->entry, adr_bytes (self->scratch.data, self->scratch.size)) == 0)
        return false;
    *outcome = (write_waiter_t){ .index = index, .number = write->number, .origin = adr_id_of (write->origin) };
    if (self->entry.op_count)
        outcome->version = (adr_version_t){ self->entry.epoch, self->entry.term, index };
    for (size_t i = 0; i < write->n_op && self->entry.op_count == 0; i++)
        if (write->op[i]->condition != ADR__CONDITION__ALWAYS)
            outcome->status = ADR_STATUS_CONFLICT;
    return true;
}

/* [REPL-5] a request whose id the log knows gets its entry's outcome, once that is committed. */
static bool
s_is_repeated (replicator_t *self, const Adr__Write *write)
{
    uint64_t index = adr_request_table_find (self->requests, write->request.data);
    write_waiter_t outcome;
    if (index == 0 || ADR_PLANT (REPL_5_IDS_FORGOTTEN))
        return false;
    ADR_MARK ("a request is repeated");
    if (!s_outcome (self, write, index, &outcome))
        s_refuse (self, write, ADR_STATUS_UNKNOWN, "the entry of an earlier try can no longer be read");
    else if (index <= adr_store_commit (self->store) || ADR_PLANT (REPL_5_KNOWN_ID_AT_ONCE))
        replicator_answer (self, &outcome.origin, outcome.number, outcome.status, &outcome.version, NULL);
    else if (self->retries.size / sizeof outcome < S_WRITES_MAX)
        adr_buffer_append (&self->retries, &outcome, sizeof outcome);
    return true;
}

/* [STORE-11] Puts need space above the first mark at as many voters as a commit needs, so that one full zone does not
 * stop the others; deletes, and a PKI group's few writes, go on to the second mark. This node's own log takes all of
 * them: on its reserve it takes none of the puts, and hands over [ELECT-11]. */
static bool
s_has_space (replicator_t *self, const Adr__Write *write)
{
    bool puts = false, full;
    for (size_t i = 0; i < write->n_op; i++)
        puts |= !write->op[i]->delete_;
    adr_space_t limit = puts && self->environment->type != ADR_NODE_PKI ? ADR_SPACE_OK : ADR_SPACE_FIRST_MARK;
    adr_space_t own = adr_store_space (self->store);
    const adr_voters_t *voters = adr_store_voters (self->store);
    uint32_t with_space = replicator_voters_with_space (self, limit, &full);
    bool enough = with_space >= adr_quorum_needed (voters->count, voters->quorum);
    if ((full && !enough) || own == ADR_SPACE_LAST || (full && ADR_PLANT (STORE_11_ONE_FULL_STOPS_ALL))) {
        ADR_MARK ("a write is refused as full");
        s_refuse (self, write, ADR_STATUS_FULL, "too few of the group's disks have space");
        return false;
    }
    if (puts && own >= ADR_SPACE_SECOND_MARK) {
        s_refuse (self, write, ADR_STATUS_REFUSED, "this master's disk is full, others' are not");
        return false;
    }
    return true;
}

static bool
s_has_room (replicator_t *self, const Adr__Write *write, size_t size)
{
    const adr_voters_t *voters = adr_store_voters (self->store);
    if (!s_has_space (self, write))
        return false;
    /* [invariant 11] What too few can acknowledge would stay locked until their copies are made. */
    if (replicator_able_voters (self) < adr_quorum_needed (voters->count, voters->quorum)) {
        s_refuse (self, write, ADR_STATUS_REFUSED, "too many copies are being repaired");
        return false;
    }
    if (self->pipeline_bytes + size > self->settings->pipeline_max_bytes || !adr_store_has_room (self->store)
        || (self->writes.size - self->writes_first) / sizeof (write_waiter_t) >= S_WRITES_MAX) {
        s_refuse (self, write, ADR_STATUS_REFUSED, "busy");
        return false;
    }
    return true;
}

/* The value that an operation replaces, into self->values at its end; false if there is none. */
static bool
s_old_value (replicator_t *self, const Adr__Op *op, const current_t *current)
{
    adr_bytes_t key = adr_bytes (op->key.data, op->key.len);
    if (!current->exists)
        return false;
    if (adr_pending_keys_find (self->pending, (uint8_t) op->table, key) == NULL) {
        adr_record_t record;
        if (adr_store_get (self->store, (uint8_t) op->table, key, true, &record) != ADR_STATUS_OK)
            return false;
        adr_buffer_append (&self->values, record.value.data, record.value.size);
        return true;
    }
    adr_status_t status;
    adr_buffer_clear (&self->scratch);
    if (adr_store_read_log (self->store, current->version.index, 1, &self->scratch, &status) == 0)
        return false;
    adr_entry_t *entry = adr_alloc (sizeof *entry); /* self->entry may be in use by the caller */
    bool found = false;
    if (adr_entry_decode (entry, adr_bytes (self->scratch.data, self->scratch.size)))
        for (uint32_t i = 0; i < entry->op_count && !found; i++)
            if (entry->op[i].table == op->table && adr_bytes_equal (entry->op[i].key, key)) {
                adr_buffer_append (&self->values, entry->op[i].value.data, entry->op[i].value.size);
                found = true;
            }
    free (entry);
    return found;
}

/* A released value becomes a record of its own, in the same entry [DESIGN 10]. Its key is unique: where it came to be. */
static void
s_add_garbage (replicator_t *self, uint8_t *key, adr_bytes_t value, const Adr__Op *of, uint16_t of_op)
{
    uint32_t partition = adr_partition_of ((uint8_t) of->table, adr_bytes (of->key.data, of->key.len), self->map->partition_count);
    self->entry.term = self->fence;
    self->entry.index = adr_store_last (self->store).index + 1;
    adr_garbage_key (key, &self->entry, of_op, partition);
    adr_op_t *op = &self->entry.op[self->entry.op_count++];
    op->table = ADR_TABLE_GARBAGE;
    op->flags = 0;
    op->key = adr_bytes (key, ADR_GARBAGE_KEY_SIZE);
    op->value = value;
    adr_value_digest (value, op->digest);
}

static void
s_add_op (replicator_t *self, const Adr__Op *asked, adr_bytes_t value)
{
    adr_op_t *op = &self->entry.op[self->entry.op_count++];
    op->table = (uint8_t) asked->table;
    op->flags = asked->delete_ ? ADR_OP_DELETE : 0;
    op->key = adr_bytes (asked->key.data, asked->key.len);
    op->value = value;
    adr_value_digest (value, op->digest);
}

/* [REPAIR-7] When the record ends is said in the entry that writes it: so both have one version. The keys stand in
 * self->values, from `at` on. */
static void
s_add_expiries (replicator_t *self, const Adr__Write *write, size_t at)
{
    for (size_t i = 0; i < write->n_op; i++) {
        const Adr__Op *asked = write->op[i];
        if (asked->ttl_ms == 0)
            continue;
        uint8_t *key = self->values.data + at;
        size_t size = adr_expiry_key_encode (key, replicator_log_time (self) + asked->ttl_ms, (uint8_t) asked->table,
                                             adr_bytes (asked->key.data, asked->key.len));
        adr_op_t *op = &self->entry.op[self->entry.op_count++];
        *op = (adr_op_t){ .table = ADR_TABLE_EXPIRY, .key = adr_bytes (key, size) };
        adr_value_digest (op->value, op->digest);
        at += size;
    }
}

static size_t
s_expiries_size (const Adr__Write *write)
{
    size_t size = 0;
    for (size_t i = 0; i < write->n_op; i++)
        size += write->op[i]->ttl_ms ? ADR_EXPIRY_KEY_HEAD + write->op[i]->key.len : 0;
    return size;
}

/* [STORE-10] Whether it is done whatever the record was: so even where that cannot be read. */
static bool
s_is_blind (const Adr__Op *op)
{
    return op->condition == ADR__CONDITION__ALWAYS && !op->release;
}

/* Another copy may be whole. [REPAIR-2] But of a record in doubt no copy knows more: whoever leads refuses, and goes on to lead,
 * for the others would hand it back. A write without a condition ends the doubt. */
static void
s_damaged (replicator_t *self, const Adr__Write *write)
{
    if (adr_store_met_doubt (self->store)) {
        s_refuse (self, write, ADR_STATUS_REFUSED, "the record is in doubt until another copy is there");
        return;
    }
    replicator_note_damage (self, "a record cannot be read -> writes that depend on it are refused");
    s_refuse (self, write, ADR_STATUS_REFUSED, "the record's present version cannot be read here");
    replicator_resign (self, "a record cannot be read", NULL);
}

/* Checks every condition, and whether anything is to be done at all; gives the verdict and says false if not. */
static bool
s_conditions_hold (replicator_t *self, const Adr__Write *write, current_t *current)
{
    bool changes = false;
    const current_t *newest = &current[0];
    for (size_t i = 0; i < write->n_op; i++) {
        const Adr__Op *op = write->op[i];
        current[i] = replicator_current (self, (uint8_t) op->table, adr_bytes (op->key.data, op->key.len));
        if (current[i].damaged && !s_is_blind (op)) {
            s_damaged (self, write);
            return false;
        }
        if (!s_holds (op, &current[i])) {
            s_verdict (self, write, ADR_STATUS_CONFLICT, &current[i]);
            return false;
        }
        if (newest->index < current[i].index)
            newest = &current[i];
        /* A condition that held is never told as a verdict: of an entry without operations a retry must be able to
         * say by the request alone whether it was a conflict (s_outcome). */
        changes |= !op->delete_ || current[i].exists || op->condition != ADR__CONDITION__ALWAYS;
    }
    if (!changes) /* deletes of what is absent */
        s_verdict (self, write, ADR_STATUS_OK, newest);
    return changes;
}

/* [OBJECT-1] An object whose upload took more than one sweep epoch may have been swept: no record names it any more. */
static bool
s_is_young (replicator_t *self, const Adr__Write *write)
{
    for (size_t i = 0; i < write->n_op; i++) {
        const Adr__Op *op = write->op[i];
        uint64_t now;
        if (op->sweep_epoch == 0)
            continue;
        if (!replicator_sweep_epoch (self, adr_partition_of ((uint8_t) op->table, adr_bytes (op->key.data, op->key.len),
                                                             self->map->partition_count), &now)) {
            s_damaged (self, write);
            return false;
        }
        if (op->sweep_epoch > now) {
            s_refuse (self, write, ADR_STATUS_INVALID, "this sweep epoch has not begun");
            return false;
        }
        if (op->sweep_epoch + 1 < now) {
            s_refuse (self, write, ADR_STATUS_REFUSED, "the upload took too long");
            return false;
        }
    }
    return true;
}

/* A write that releases more than one entry holds is refused; nobody that keeps to small meta records meets that. */
static void
s_append_write (replicator_t *self, const Adr__Write *write, adr_bytes_t payload, const current_t *current)
{
    uint8_t garbage_key[ADR_OPS_MAX][ADR_GARBAGE_KEY_SIZE];
    size_t old_end[ADR_OPS_MAX];
    bool old[ADR_OPS_MAX];
    adr_buffer_clear (&self->values);
    for (size_t i = 0; i < write->n_op; i++) { /* first all of them: self->values may move while it grows */
        bool room = self->values.size <= ADR_VALUE_MAX;
        old[i] = write->op[i]->release && room && s_old_value (self, write->op[i], &current[i]);
        old_end[i] = self->values.size;
    }
    size_t released = self->values.size, expiries = s_expiries_size (write);
    if (expiries)
        adr_buffer_grow (&self->values, expiries);
    self->entry.kind = ADR_ENTRY_WRITE;
    self->entry.op_count = 0;
    memcpy (self->entry.request, write->request.data, ADR_REQUEST_ID_SIZE);
    const uint8_t *value = payload.data;
    for (size_t i = 0; i < write->n_op; i++) {
        s_add_op (self, write->op[i], adr_bytes (value, write->op[i]->value_size));
        value += write->op[i]->value_size;
    }
    s_add_expiries (self, write, released);
    for (size_t i = 0; i < write->n_op; i++) {
        size_t from = i ? old_end[i - 1] : 0;
        if (old[i])
            s_add_garbage (self, garbage_key[i], adr_bytes (self->values.data + from, old_end[i] - from), write->op[i],
                           (uint16_t) i);
    }
    if (released > ADR_VALUE_MAX || adr_entry_size (&self->entry) > ADR_ENTRY_MAX) {
        s_refuse (self, write, ADR_STATUS_INVALID, "what the write releases does not fit into its entry");
        return;
    }
    replicator_append_own (self);
    adr_version_t version = { self->entry.epoch, self->entry.term, self->entry.index };
    write_waiter_t waiter = { self->entry.index, write->number, adr_id_of (write->origin), ADR_STATUS_OK, version };
    adr_buffer_append (&self->writes, &waiter, sizeof waiter);
}

/* What the edge_router should have refused; a foreign edge is not trusted with it. */
static const char *
s_malformed (const replicator_t *self, const Adr__Write *write, adr_bytes_t payload)
{
    size_t values = 0, bytes = ADR_ENTRY_HEADER_SIZE, records = write->n_op;
    if (write->request.len != ADR_REQUEST_ID_SIZE || write->origin.len != ADR_ID_SIZE)
        return "no request id, or no origin";
    for (size_t i = 0; i < write->n_op; i++) {
        const Adr__Op *op = write->op[i];
        adr_node_type_t type;
        if (!adr_table_type (op->table, &type) || type != self->environment->type)
            return "the table is not held here";
        if (op->key.len == 0 || op->key.len > ADR_KEY_MAX || op->value_size > ADR_VALUE_MAX
            || (op->delete_ && op->value_size))
            return "a key or value has a wrong size";
        const char *wrong = adr_request_wrong_op (op);
        if (wrong)
            return wrong;
        for (size_t k = 0; k < i; k++)
            if (write->op[k]->table == op->table && write->op[k]->key.len == op->key.len
                && memcmp (write->op[k]->key.data, op->key.data, op->key.len) == 0)
                return "a key is named twice"; /* [REPAIR-4] */
        values += op->value_size;
        bytes += ADR_OP_HEADER_SIZE + op->key.len + op->value_size;
        bytes += op->ttl_ms ? ADR_OP_HEADER_SIZE + ADR_EXPIRY_KEY_HEAD + op->key.len : 0;
        records += (op->release ? 1 : 0) + (op->ttl_ms ? 1 : 0);
    }
    if (write->n_op == 0 || records > ADR_OPS_MAX)
        return "no operation, or too many";
    if (values != payload.size || bytes > ADR_ENTRY_MAX - 32 * 1024)
        return "the values do not fit";
    return NULL;
}

void
replicator_on_write (replicator_t *self, const adr_event_t *event)
{
    const Adr__Write *write = (const Adr__Write *) event->message.header;
    /* [TRUST-3] What PKI nodes hold is written by their cert_signers alone, here or through a peer that relays it. */
    if (self->environment->type == ADR_NODE_PKI && event->message.from.actor == ADR_ACTOR_EDGE_ROUTER) {
        s_refuse (self, write, ADR_STATUS_DENIED, "these tables are written by PKI nodes");
        return;
    }
    const char *malformed = s_malformed (self, write, event->message.payload);
    if (malformed) {
        s_refuse (self, write, ADR_STATUS_INVALID, malformed);
        return;
    }
    if (!replicator_leads (self)) { /* [ELECT-8] a master that hands over accepts nothing */
        if (self->role == ROLE_LEAVING)
            s_refuse (self, write, ADR_STATUS_NOT_MASTER, "handing over");
        else
            s_relay (self, event, write);
        return;
    }
    if (self->log_unread) {
        s_refuse (self, write, ADR_STATUS_NOT_MASTER, "this master cannot read its log");
        return;
    }
    if (!replicator_is_exact (self)) { /* conditions are checked against what it holds */
        s_refuse (self, write, ADR_STATUS_NOT_MASTER, "this copy is being repaired");
        return;
    }
    current_t current[ADR_OPS_MAX];
    if (ADR_PLANT (REPL_5_CONDITION_FIRST) && !s_conditions_hold (self, write, current))
        return;
    if (s_is_repeated (self, write))
        return;
    uint64_t horizon = adr_request_table_horizon (self->requests);
    if (horizon && write->seen_ms <= horizon) {
        ADR_MARK ("a request is older than the ids that are kept");
        s_refuse_unread (self, write);
        return;
    }
    if (!s_has_room (self, write, event->message.payload.size) || !s_is_young (self, write)
        || !s_conditions_hold (self, write, current))
        return;
    s_append_write (self, write, event->message.payload, current);
}

/* --- what became of them -------------------------------------------------------------------------------------------- */

void
replicator_writes_committed (replicator_t *self)
{
    uint64_t commit = adr_store_commit (self->store);
    while (self->writes_first < self->writes.size) {
        const write_waiter_t *waiter = (const write_waiter_t *) (self->writes.data + self->writes_first);
        if (waiter->index > commit)
            break;
        replicator_answer (self, &waiter->origin, waiter->number, waiter->status, &waiter->version, NULL);
        self->writes_first += sizeof *waiter;
    }
    if (self->writes_first == self->writes.size)
        self->writes_first = self->writes.size = 0;
    else if (self->writes_first >= 4096 * sizeof (write_waiter_t) && self->writes_first > self->writes.size / 2) {
        memmove (self->writes.data, self->writes.data + self->writes_first, self->writes.size - self->writes_first);
        self->writes.size -= self->writes_first;
        self->writes_first = 0;
    }
    write_waiter_t *retry = (write_waiter_t *) self->retries.data;
    size_t count = self->retries.size / sizeof *retry, kept = 0;
    for (size_t i = 0; i < count; i++) {
        write_waiter_t now = retry[i];
        if (now.index <= commit)
            replicator_answer (self, &now.origin, now.number, now.status, &now.version, NULL);
        else
            retry[kept++] = now;
    }
    self->retries.size = kept * sizeof *retry;
}

/* The mastership ended: whether these will be committed is the next master's to say. Their origins ask again with the
 * same request ids, or answer `timeout, outcome unknown`. */
void
replicator_writes_drop (replicator_t *self)
{
    self->writes.size = self->writes_first = 0;
    self->retries.size = 0;
    self->verdicts.size = 0;
}
