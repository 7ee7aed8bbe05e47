/* SPDX-License-Identifier: MPL-2.0 */
/* Requests that wait for their answers: see session.h.
 *
 * Owns: a slab of requests (the low 16 bits of a request's number are its place, so that an answer finds it at once and
 * a late one finds nobody), each with its own bytes, because a retry sends them again. Makes durable: nothing.
 * Assumes: time comes in by adr_session_tick only. Implements the asker's side of REPL-5.
 *
 * A request is in the list `waiting` (oldest first; those whose clock the next tick starts stand last) until it is
 * answered, and at the same time in `queue` while it is to be sent. One that is answered without being sent (wrong, or
 * no room) never becomes a request: its answer stands in `refusals` until the next tick. */

#include "client/session.h"

#include "core/actor.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

typedef struct s_link s_link_t;
struct s_link {
    s_link_t *previous, *next;
};

typedef struct {
    s_link_t waiting; /* first: s_of_waiting () relies on it */
    s_link_t queue;
    uint64_t number; /* generation and place */
    bool active, queued, started;
    uint32_t tries;      /* that left */
    uint32_t unanswered; /* tries without a "surely not done" of their own */
    uint32_t limit_ms;
    int64_t start_ns, deadline_ns, due_ns;
    adr_reply_fn *done;
    void *argument;
    uint16_t kind;
    union {
        ProtobufCMessage base;
        Adr__Write write;
        Adr__Read read;
        Adr__List list;
        Adr__MapPull pull;
    } header;
    uint8_t id[ADR_REQUEST_ID_SIZE];
    adr_buffer_t bytes; /* operations and keys that the header points to, then the payload */
    size_t payload_size;
    size_t held; /* what it counts for in bytes_held */
} s_request_t;

/* An answer without a request. There are never more than the askers ask between two ticks. */
typedef struct {
    adr_reply_fn *done;
    void *argument;
    adr_status_t status;
    const char *text;
} s_refusal_t;

struct adr_session {
    pthread_mutex_t lock;
    adr_id_t cluster, node;
    uint64_t request_seed, request_next, sequence, generation;
    uint64_t bytes_max, bytes_held;
    uint32_t limit_ms;
    adr_session_send_fn *send;
    adr_session_wake_fn *wake;
    void *transport;
    int inside;   /* receives and ticks that are running: they send when they end */
    bool woken;   /* the transport's thread was asked to tick, and has not yet */
    bool closing;
    s_link_t waiting, queue, pool;
    adr_buffer_t refusals;
    s_request_t **slot;
    uint32_t slot_count, slot_room, pending;
    int64_t now_ns;       /* of the last tick */
    int64_t due_ns;       /* nothing has to be looked at before */
    int64_t send_at_ns;   /* a failed send is tried again then */
    adr_buffer_t pack;
    adr_arena_t arena;    /* of adr_session_receive */
    uint64_t dropped;
};

#define S_SEND_PAUSE (10 * ADR_MS) /* after a send that failed: a connection takes about so long */
#define S_SCAN_PAUSE (5 * ADR_MS)  /* between two looks at all requests: bounds their cost */
#define S_SMALL 4096               /* larger request buffers are given back when the request ends */
#define S_RETRY (ADR_SESSION_RETRY_MS * ADR_MS)

/* --- intrusive lists ------------------------------------------------------------------------------------------ */

static void
s_list_init (s_link_t *head)
{
    head->previous = head->next = head;
}

static bool
s_list_empty (const s_link_t *head)
{
    return head->next == head;
}

static void
s_list_append (s_link_t *head, s_link_t *link)
{
    link->previous = head->previous;
    link->next = head;
    head->previous->next = link;
    head->previous = link;
}

static void
s_list_remove (s_link_t *link)
{
    link->previous->next = link->next;
    link->next->previous = link->previous;
    s_list_init (link);
}

/* Puts all of `from` before the first of `head`, in order. */
static void
s_list_splice_front (s_link_t *head, s_link_t *from)
{
    if (s_list_empty (from))
        return;
    from->previous->next = head->next;
    head->next->previous = from->previous;
    head->next = from->next;
    from->next->previous = head;
    s_list_init (from);
}

static s_request_t *
s_of_waiting (s_link_t *link)
{
    return (s_request_t *) (void *) link;
}

static s_request_t *
s_of_queue (s_link_t *link)
{
    return (s_request_t *) (void *) ((uint8_t *) link - offsetof (s_request_t, queue));
}

/* --- the slab ------------------------------------------------------------------------------------------------- */

static s_request_t *
s_slab_grow (adr_session_t *self)
{
    adr_assert (self->slot_count < ADR_SESSION_REQUESTS_MAX);
    if (self->slot_count == self->slot_room) {
        self->slot_room = self->slot_room ? self->slot_room * 2 : 64;
        self->slot = adr_realloc (self->slot, self->slot_room * sizeof *self->slot);
    }
    s_request_t *request = adr_alloc (sizeof *request);
    request->number = self->slot_count;
    s_list_init (&request->waiting);
    s_list_init (&request->queue);
    return self->slot[self->slot_count++] = request;
}

static s_request_t *
s_request_new (adr_session_t *self)
{
    s_request_t *request;
    if (s_list_empty (&self->pool))
        request = s_slab_grow (self);
    else {
        request = s_of_queue (self->pool.next);
        s_list_remove (&request->queue);
    }
    uint64_t place = request->number % ADR_SESSION_REQUESTS_MAX;
    request->number = ++self->generation * ADR_SESSION_REQUESTS_MAX + place;
    request->active = true;
    request->queued = request->started = false;
    request->tries = request->unanswered = 0;
    request->deadline_ns = request->due_ns = ADR_NEVER;
    adr_buffer_clear (&request->bytes);
    request->payload_size = 0;
    self->pending++;
    return request;
}

static s_request_t *
s_request_find (adr_session_t *self, uint64_t number)
{
    uint64_t place = number % ADR_SESSION_REQUESTS_MAX;
    if (place >= self->slot_count)
        return NULL;
    s_request_t *request = self->slot[place];
    return request->active && request->number == number ? request : NULL;
}

/* Takes the request out of everything; its callback is the caller's to call. */
static void
s_request_end (adr_session_t *self, s_request_t *request)
{
    adr_assert (request->active && self->pending > 0 && self->bytes_held >= request->held);
    s_list_remove (&request->waiting);
    s_list_remove (&request->queue);
    request->active = false;
    self->bytes_held -= request->held;
    self->pending--;
    if (request->bytes.room > S_SMALL)
        adr_buffer_free (&request->bytes);
    s_list_append (&self->pool, &request->queue);
}

/* Ends the request and tells its asker, with the lock given up meanwhile. */
static void
s_request_answer (adr_session_t *self, s_request_t *request, const adr_reply_t *reply)
{
    adr_reply_fn *done = request->done;
    void *argument = request->argument;
    s_request_end (self, request);
    pthread_mutex_unlock (&self->lock);
    done (argument, reply);
    pthread_mutex_lock (&self->lock);
}

/* Its time is over, or the session's. A write that was ever sent may be done: UNKNOWN; REFUSED promises that it was
 * not. */
static void
s_request_give_up (adr_session_t *self, s_request_t *request)
{
    adr_reply_t reply = { .unsent = request->tries == 0 };
    if (request->tries == 0)
        reply.text = self->closing ? "the client was closed" : "no edge could be reached in time";
    else
        reply.text = "no answer in time";
    if (request->kind != ADR__KIND__WRITE)
        reply.status = ADR_STATUS_TIMEOUT;
    else if (request->unanswered == 0)
        reply.status = ADR_STATUS_REFUSED;
    else
        reply.status = ADR_STATUS_UNKNOWN;
    s_request_answer (self, request, &reply);
}

/* --- sending -------------------------------------------------------------------------------------------------- */

/* Sends the pack that holds the requests in `packed`; if it cannot leave they stand first in the queue again. */
static bool
s_send_pack (adr_session_t *self, s_link_t *packed)
{
    if (s_list_empty (packed))
        return true;
    adr_pack_number (&self->pack, ++self->sequence, 0);
    bool sent = self->send (self->transport, adr_bytes (self->pack.data, self->pack.size));
    adr_buffer_clear (&self->pack);
    if (!sent) {
        s_list_splice_front (&self->queue, packed);
        self->send_at_ns = self->now_ns + S_SEND_PAUSE;
        return false;
    }
    while (!s_list_empty (packed)) {
        s_request_t *request = s_of_queue (packed->next);
        s_list_remove (&request->queue);
        request->queued = false;
        request->tries++;
        request->unanswered++;
        if (request->started)
            request->due_ns = self->now_ns + S_RETRY;
    }
    return true;
}

/* Puts what time is left, and what has passed since the first try, into the header. */
static void
s_set_time (adr_session_t *self, s_request_t *request)
{
    uint32_t age_ms = 0, left_ms = request->limit_ms;
    if (request->started) {
        age_ms = (uint32_t) ((self->now_ns - request->start_ns) / ADR_MS);
        left_ms = age_ms < request->limit_ms ? request->limit_ms - age_ms : 1;
    }
    if (request->tries > 0 && age_ms == 0)
        age_ms = 1; /* a second try is never the first, however quick [REPL-5] */
    if (request->kind == ADR__KIND__WRITE) {
        request->header.write.limit_ms = left_ms;
        request->header.write.age_ms = age_ms;
    }
    else if (request->kind == ADR__KIND__READ)
        request->header.read.limit_ms = left_ms;
    else if (request->kind == ADR__KIND__LIST)
        request->header.list.limit_ms = left_ms;
}

static void
s_flush (adr_session_t *self)
{
    if (self->send_at_ns != ADR_NEVER && self->now_ns < self->send_at_ns)
        return;
    s_link_t packed;
    s_list_init (&packed);
    while (!s_list_empty (&self->queue)) {
        s_request_t *request = s_of_queue (self->queue.next);
        if (!s_list_empty (&packed) && self->pack.size + request->held > ADR_PACK_TARGET
            && !s_send_pack (self, &packed))
            return;
        if (s_list_empty (&packed)) {
            adr_envelope_t envelope = { .cluster = self->cluster, .sender = self->node,
                                        .from_actor = ADR_ACTOR_CLIENT, .to_actor = ADR_ACTOR_EDGE_ROUTER,
                                        .boot = self->request_seed };
            adr_buffer_clear (&self->pack);
            adr_pack_begin (&self->pack, &envelope);
        }
        s_set_time (self, request);
        adr_bytes_t payload = { NULL, request->payload_size };
        if (payload.size)
            payload.data = request->bytes.data + request->bytes.size - payload.size;
        adr_pack_add (&self->pack, request->kind, &request->header.base, payload);
        s_list_remove (&request->queue);
        s_list_append (&packed, &request->queue);
    }
    if (s_send_pack (self, &packed))
        self->send_at_ns = ADR_NEVER;
    if (self->pack.room > 2 * ADR_PACK_TARGET)
        adr_buffer_free (&self->pack);
}

static void
s_enqueue (adr_session_t *self, s_request_t *request)
{
    if (request->queued)
        return;
    request->queued = true;
    s_list_append (&self->queue, &request->queue);
}

/* --- asking --------------------------------------------------------------------------------------------------- */

/* Called with the lock; gives it up. Sends, or sees to it that somebody will. */
static void
s_asked (adr_session_t *self)
{
    adr_session_wake_fn *wake = NULL;
    if (self->inside == 0) {
        if (!self->wake)
            s_flush (self);
        else if (!self->woken) {
            self->woken = true;
            wake = self->wake;
        }
    }
    pthread_mutex_unlock (&self->lock);
    if (wake)
        wake (self->transport);
}

/* The asker will hear so from the next tick. Called with the lock; gives it up. */
static void
s_refuse (adr_session_t *self, adr_status_t status, const char *text, adr_reply_fn *done, void *argument)
{
    s_refusal_t refusal = { done, argument, status, text };
    adr_buffer_append (&self->refusals, &refusal, sizeof refusal);
    s_asked (self);
}

/* Takes the lock and a request with room for `size` bytes; the caller fills in its header and ends with s_ask. NULL,
 * and no lock: there is no room, and the asker will hear so. */
static s_request_t *
s_begin (adr_session_t *self, uint16_t kind, size_t size, uint32_t limit_ms, adr_reply_fn *done, void *argument)
{
    pthread_mutex_lock (&self->lock);
    size_t held = sizeof (s_request_t) + size;
    if (self->closing) {
        s_refuse (self, ADR_STATUS_REFUSED, "the client was closed", done, argument);
        return NULL;
    }
    if (self->bytes_held + held > self->bytes_max || self->pending == ADR_SESSION_REQUESTS_MAX) {
        s_refuse (self, ADR_STATUS_REFUSED, "busy: too many requests wait for their answers", done, argument);
        return NULL;
    }
    s_request_t *request = s_request_new (self);
    request->kind = kind;
    if (limit_ms == 0)
        limit_ms = self->limit_ms;
    request->limit_ms = limit_ms < ADR_REQUEST_TIME_MAX_MS ? limit_ms : ADR_REQUEST_TIME_MAX_MS;
    request->done = done;
    request->argument = argument;
    request->held = held;
    self->bytes_held += held;
    return request;
}

/* The request itself is wrong. */
static void
s_invalid (adr_session_t *self, const char *text, adr_reply_fn *done, void *argument)
{
    pthread_mutex_lock (&self->lock);
    s_refuse (self, ADR_STATUS_INVALID, text, done, argument);
}

static void
s_ask (adr_session_t *self, s_request_t *request)
{
    s_list_append (&self->waiting, &request->waiting);
    s_enqueue (self, request);
    s_asked (self);
}

static const char *
s_write_wrong (const adr_session_op_t *ops, uint32_t count)
{
    if (count == 0 || count > ADR_OPS_MAX)
        return "a write has 1 to 64 operations";
    size_t size = ADR_ENTRY_HEADER_SIZE;
    for (uint32_t i = 0; i < count; i++) {
        if (ops[i].key.size == 0 || ops[i].key.size > ADR_KEY_MAX)
            return "a key has the wrong size";
        if (ops[i].value.size > ADR_VALUE_MAX)
            return "a value is larger than 1 MiB";
        if (ops[i].delete_it && ops[i].value.size > 0)
            return "a delete has no value";
        size += ADR_OP_HEADER_SIZE + ops[i].key.size + ops[i].value.size;
    }
    return size <= ADR_ENTRY_MAX ? NULL : "the operations of a write are too large together";
}

static uint8_t *
s_copy (uint8_t *at, adr_bytes_t bytes)
{
    if (bytes.size)
        memcpy (at, bytes.data, bytes.size);
    return at + bytes.size;
}

/* Lays operations, their pointers, keys and values into the request's one buffer. */
static void
s_write_fill (adr_session_t *self, s_request_t *request, const adr_session_op_t *ops, uint32_t count,
              size_t key_size, size_t value_size)
{
    size_t front = count * (sizeof (Adr__Op) + sizeof (Adr__Op *));
    uint8_t *start = adr_buffer_grow (&request->bytes, front + key_size + value_size);
    Adr__Op *op = (Adr__Op *) (void *) start;
    Adr__Op **pointer = (Adr__Op **) (void *) (start + count * sizeof *op);
    uint8_t *key = start + front, *value = key + key_size;
    for (uint32_t i = 0; i < count; i++) {
        adr__op__init (&op[i]);
        pointer[i] = &op[i];
        op[i].table = ops[i].table;
        op[i].key = (ProtobufCBinaryData){ ops[i].key.size, key };
        op[i].value_size = (uint32_t) ops[i].value.size;
        op[i].delete_ = ops[i].delete_it;
        op[i].release = ops[i].release;
        op[i].condition = ops[i].condition;
        key = s_copy (key, ops[i].key);
        value = s_copy (value, ops[i].value);
    }
    adr_put_u64 (request->id, self->request_seed);
    adr_put_u64 (request->id + 8, ++self->request_next);
    Adr__Write *write = &request->header.write;
    adr__write__init (write);
    write->number = request->number;
    write->request = (ProtobufCBinaryData){ ADR_REQUEST_ID_SIZE, request->id };
    write->n_op = count;
    write->op = pointer;
    request->payload_size = value_size;
}

/* Versions of conditions stand behind everything else, because few writes have one. */
static void
s_write_versions (s_request_t *request, Adr__VersionOf *version, const adr_session_op_t *ops, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        if (ops[i].condition != ADR__CONDITION__VERSION)
            continue;
        adr__version_of__init (version);
        version->epoch = ops[i].version.epoch;
        version->term = ops[i].version.term;
        version->index = ops[i].version.index;
        request->header.write.op[i]->version = version++;
    }
}

void
adr_session_write (adr_session_t *self, const adr_session_op_t *ops, uint32_t count, uint32_t limit_ms,
                   adr_reply_fn *done, void *argument)
{
    const char *wrong = s_write_wrong (ops, count);
    if (wrong) {
        s_invalid (self, wrong, done, argument);
        return;
    }
    size_t key_size = 0, value_size = 0, version_count = 0;
    for (uint32_t i = 0; i < count; i++) {
        key_size += ops[i].key.size;
        value_size += ops[i].value.size;
        version_count += ops[i].condition == ADR__CONDITION__VERSION;
    }
    size_t version_size = version_count * sizeof (Adr__VersionOf);
    size_t front = version_size + count * (sizeof (Adr__Op) + sizeof (Adr__Op *));
    size_t size = front + key_size + value_size;
    s_request_t *request = s_begin (self, ADR__KIND__WRITE, size, limit_ms, done, argument);
    if (!request)
        return;
    /* All room at once, because the parts point to one another; versions first, for their alignment. */
    adr_buffer_grow (&request->bytes, size);
    request->bytes.size = version_size;
    s_write_fill (self, request, ops, count, key_size, value_size);
    s_write_versions (request, (Adr__VersionOf *) (void *) request->bytes.data, ops, count);
    s_ask (self, request);
}

void
adr_session_read (adr_session_t *self, uint8_t table, adr_bytes_t key, Adr__ReadMode mode, uint32_t limit_ms,
                  adr_reply_fn *done, void *argument)
{
    if (key.size == 0 || key.size > ADR_KEY_MAX) {
        s_invalid (self, "a key has the wrong size", done, argument);
        return;
    }
    s_request_t *request = s_begin (self, ADR__KIND__READ, key.size, limit_ms, done, argument);
    if (!request)
        return;
    adr_buffer_append (&request->bytes, key.data, key.size);
    Adr__Read *read = &request->header.read;
    adr__read__init (read);
    read->number = request->number;
    read->table = table;
    read->key = (ProtobufCBinaryData){ key.size, request->bytes.data };
    read->mode = mode;
    s_ask (self, request);
}

void
adr_session_list (adr_session_t *self, uint8_t table, adr_bytes_t prefix, adr_bytes_t after, uint32_t rows_max,
                  bool with_values, Adr__ReadMode mode, uint32_t limit_ms, adr_reply_fn *done, void *argument)
{
    if (prefix.size > ADR_KEY_MAX || after.size > ADR_KEY_MAX) {
        s_invalid (self, "a key has the wrong size", done, argument);
        return;
    }
    s_request_t *request = s_begin (self, ADR__KIND__LIST, prefix.size + after.size, limit_ms, done, argument);
    if (!request)
        return;
    adr_buffer_append (&request->bytes, prefix.data, prefix.size);
    adr_buffer_append (&request->bytes, after.data, after.size);
    Adr__List *list = &request->header.list;
    adr__list__init (list);
    list->number = request->number;
    list->table = table;
    if (request->bytes.size > 0) {
        list->prefix = (ProtobufCBinaryData){ prefix.size, request->bytes.data };
        list->after = (ProtobufCBinaryData){ after.size, request->bytes.data + prefix.size };
    }
    list->rows_max = rows_max && rows_max < ADR_LIST_ROWS_MAX ? rows_max : ADR_LIST_ROWS_MAX;
    list->mode = mode;
    list->with_values = with_values;
    s_ask (self, request);
}

void
adr_session_map (adr_session_t *self, uint32_t limit_ms, adr_reply_fn *done, void *argument)
{
    s_request_t *request = s_begin (self, ADR__KIND__MAP_PULL, 0, limit_ms, done, argument);
    if (!request)
        return;
    adr__map_pull__init (&request->header.pull);
    request->header.pull.number = request->number;
    s_ask (self, request);
}

void
adr_session_defer (adr_session_t *self, adr_reply_fn *done, void *argument)
{
    pthread_mutex_lock (&self->lock);
    s_refuse (self, ADR_STATUS_OK, "", done, argument);
}

/* --- answers -------------------------------------------------------------------------------------------------- */

/* A status that says "this try was not done". */
static bool
s_says_not_done (adr_status_t status)
{
    return status == ADR_STATUS_REFUSED || status == ADR_STATUS_FULL || status == ADR_STATUS_CONFLICT
           || status == ADR_STATUS_NOT_MASTER;
}

/* [REPL-5] One try says that it was not done. If another is out, it still may be: whoever hears "refused" may rely on
 * it, so that word is not passed on. A conflict ends the request, because time will not make it surer. True if the
 * reply is final now. */
static bool
s_settle_write (s_request_t *request, adr_reply_t *reply, bool no_entry)
{
    if (!s_says_not_done (reply->status) && !no_entry)
        return true;
    if (request->unanswered > 0)
        request->unanswered--;
    if (request->unanswered > 0 && no_entry && reply->status == ADR_STATUS_OK) {
        /* Nothing was there to be deleted, and the id was not kept: an earlier try could still delete what comes to be
         * after this word. The next try says that it is one, and its verdict is kept. */
        ADR_MARK ("session: an OK without an entry while an earlier try is unanswered");
        return false;
    }
    if (request->unanswered > 0 && reply->status == ADR_STATUS_CONFLICT) {
        ADR_MARK ("session: a conflict while an earlier try is unanswered");
        reply->status = ADR_STATUS_UNKNOWN;
        reply->text = "an earlier try may still be done; the last one lost against another version";
        return true;
    }
    if (request->unanswered > 0) {
        ADR_MARK ("session: a refusal while an earlier try is unanswered");
        return false;
    }
    return reply->status != ADR_STATUS_NOT_MASTER;
}

static void
s_receive_answer (adr_session_t *self, const Adr__Answer *answer, adr_bytes_t payload)
{
    s_request_t *request = s_request_find (self, answer->number);
    bool fits = request && (request->kind == ADR__KIND__WRITE || request->kind == ADR__KIND__READ);
    /* A list may be refused by an Answer, too, but never answered OK by one. */
    if (request && request->kind == ADR__KIND__LIST && answer->status != ADR_STATUS_OK)
        fits = true;
    if (!fits || answer->status >= ADR_STATUS_COUNT) {
        self->dropped++;
        return;
    }
    adr_reply_t reply = { .status = (adr_status_t) answer->status, .time_ms = answer->time_ms,
                          .deleted = answer->deleted, .value = payload, .text = answer->text };
    if (answer->version)
        reply.version = (adr_version_t){ answer->version->epoch, answer->version->term, answer->version->index };
    if (request->kind == ADR__KIND__WRITE && !s_settle_write (request, &reply, answer->no_entry))
        return;
    if (reply.status == ADR_STATUS_NOT_MASTER)
        return; /* the next try asks again */
    s_request_answer (self, request, &reply);
}

static void
s_receive_list_answer (adr_session_t *self, const Adr__ListAnswer *answer, adr_bytes_t payload)
{
    s_request_t *request = s_request_find (self, answer->number);
    if (!request || request->kind != ADR__KIND__LIST || answer->status >= ADR_STATUS_COUNT) {
        self->dropped++;
        return;
    }
    adr_reply_t reply = { .status = (adr_status_t) answer->status, .more = answer->more, .value = payload,
                          .text = answer->text };
    if (reply.status != ADR_STATUS_NOT_MASTER)
        s_request_answer (self, request, &reply);
}

static void
s_receive_map (adr_session_t *self, const Adr__MapPush *push)
{
    s_request_t *request = s_request_find (self, push->number);
    if (!request || request->kind != ADR__KIND__MAP_PULL || !push->map) {
        self->dropped++;
        return;
    }
    adr_buffer_t map = { 0 };
    size_t size = adr__cluster_map__get_packed_size (push->map);
    adr__cluster_map__pack (push->map, adr_buffer_grow (&map, size));
    adr_reply_t reply = { .status = ADR_STATUS_OK, .value = adr_bytes (map.data, map.size), .text = "" };
    s_request_answer (self, request, &reply);
    adr_buffer_free (&map);
}

static void
s_receive_item (adr_session_t *self, const adr_item_t *item)
{
    adr_arena_reset (&self->arena);
    const ProtobufCMessage *header = adr_header_decode (item, &self->arena);
    if (!header || (item->kind != ADR__KIND__ANSWER && item->kind != ADR__KIND__LIST_ANSWER
                    && item->kind != ADR__KIND__MAP_PUSH)) {
        pthread_mutex_lock (&self->lock);
        self->dropped++;
        pthread_mutex_unlock (&self->lock);
        return;
    }
    pthread_mutex_lock (&self->lock);
    if (item->kind == ADR__KIND__ANSWER)
        s_receive_answer (self, (const Adr__Answer *) header, item->payload);
    else if (item->kind == ADR__KIND__LIST_ANSWER)
        s_receive_list_answer (self, (const Adr__ListAnswer *) header, item->payload);
    else
        s_receive_map (self, (const Adr__MapPush *) header);
    pthread_mutex_unlock (&self->lock);
}

/* What other threads ask from here on waits for s_leave, which sends it in one go. */
static void
s_enter (adr_session_t *self)
{
    pthread_mutex_lock (&self->lock);
    self->inside++;
    pthread_mutex_unlock (&self->lock);
}

static void
s_leave (adr_session_t *self)
{
    pthread_mutex_lock (&self->lock);
    adr_assert (self->inside > 0);
    self->inside--;
    s_flush (self);
    pthread_mutex_unlock (&self->lock);
}

void
adr_session_receive (adr_session_t *self, adr_bytes_t pack)
{
    adr_pack_reader_t reader;
    adr_item_t item;
    int found = -1;
    s_enter (self);
    if (adr_pack_open (&reader, pack) && adr_id_equal (&reader.envelope.cluster, &self->cluster))
        while ((found = adr_pack_next (&reader, &item)) == 1)
            s_receive_item (self, &item);
    if (found == -1) {
        pthread_mutex_lock (&self->lock);
        self->dropped++;
        pthread_mutex_unlock (&self->lock);
    }
    s_leave (self);
}

/* --- time ----------------------------------------------------------------------------------------------------- */

/* Requests without a start stand last in `waiting`. */
static void
s_start_clocks (adr_session_t *self)
{
    for (s_link_t *link = self->waiting.previous; link != &self->waiting; link = link->previous) {
        s_request_t *request = s_of_waiting (link);
        if (request->started)
            break;
        request->started = true;
        request->start_ns = self->now_ns;
        request->deadline_ns = self->now_ns + request->limit_ms * ADR_MS;
        request->due_ns = self->now_ns + S_RETRY;
        int64_t due = request->due_ns < request->deadline_ns ? request->due_ns : request->deadline_ns;
        if (due < self->due_ns)
            self->due_ns = due;
    }
}

/* What callbacks are refused meanwhile waits for the next tick: one that asks again at once cannot hold this one up. */
static void
s_answer_refused (adr_session_t *self)
{
    if (self->refusals.size > 0) {
        adr_buffer_t refusals = self->refusals;
        self->refusals = (adr_buffer_t){ 0 };
        pthread_mutex_unlock (&self->lock);
        for (size_t at = 0; at < refusals.size; at += sizeof (s_refusal_t)) {
            s_refusal_t refusal;
            memcpy (&refusal, refusals.data + at, sizeof refusal);
            adr_reply_t reply = { .status = refusal.status, .text = refusal.text };
            refusal.done (refusal.argument, &reply);
        }
        adr_buffer_free (&refusals);
        pthread_mutex_lock (&self->lock);
    }
}

/* Looks at every request: its time may be over, or it is due for another try. */
static void
s_scan (adr_session_t *self)
{
    s_link_t over;
    s_list_init (&over);
    self->due_ns = ADR_NEVER;
    for (s_link_t *link = self->waiting.next, *next; link != &self->waiting; link = next) {
        next = link->next;
        s_request_t *request = s_of_waiting (link);
        if (!request->started)
            continue;
        if (self->now_ns >= request->deadline_ns) {
            s_list_remove (&request->waiting);
            s_list_append (&over, &request->waiting);
            continue;
        }
        if (self->now_ns >= request->due_ns) {
            s_enqueue (self, request);
            request->due_ns = self->now_ns + S_RETRY;
        }
        int64_t due = request->due_ns < request->deadline_ns ? request->due_ns : request->deadline_ns;
        if (due < self->due_ns)
            self->due_ns = due;
    }
    if (self->due_ns < self->now_ns + S_SCAN_PAUSE)
        self->due_ns = self->now_ns + S_SCAN_PAUSE;
    /* An answer that comes while a callback runs may take a request out of `over`. */
    while (!s_list_empty (&over))
        s_request_give_up (self, s_of_waiting (over.next));
}

void
adr_session_tick (adr_session_t *self, int64_t now_ns)
{
    s_enter (self);
    pthread_mutex_lock (&self->lock);
    self->woken = false;
    if (now_ns > self->now_ns)
        self->now_ns = now_ns;
    s_start_clocks (self);
    s_answer_refused (self);
    if (self->now_ns >= self->due_ns)
        s_scan (self);
    pthread_mutex_unlock (&self->lock);
    s_leave (self);
}

int64_t
adr_session_wake_at (adr_session_t *self)
{
    pthread_mutex_lock (&self->lock);
    int64_t at = self->due_ns;
    if (!s_list_empty (&self->queue) && self->send_at_ns < at)
        at = self->send_at_ns;
    bool fresh = !s_list_empty (&self->waiting) && !s_of_waiting (self->waiting.previous)->started;
    if (self->pending == 0)
        at = ADR_NEVER;
    if (fresh || self->refusals.size > 0)
        at = self->now_ns;
    pthread_mutex_unlock (&self->lock);
    return at;
}

void
adr_session_send_again (adr_session_t *self)
{
    pthread_mutex_lock (&self->lock);
    for (s_link_t *link = self->waiting.next; link != &self->waiting; link = link->next)
        s_enqueue (self, s_of_waiting (link));
    self->send_at_ns = self->now_ns;
    pthread_mutex_unlock (&self->lock);
}

/* --- life ----------------------------------------------------------------------------------------------------- */

adr_session_t *
adr_session_new (const adr_id_t *cluster, const adr_id_t *node, uint64_t request_seed, uint64_t bytes_max,
                 adr_session_send_fn *send, void *transport)
{
    adr_session_t *self = adr_alloc (sizeof *self);
    pthread_mutex_init (&self->lock, NULL);
    self->cluster = *cluster;
    self->node = *node;
    self->request_seed = request_seed;
    self->bytes_max = bytes_max;
    self->limit_ms = ADR_SESSION_LIMIT_MS;
    self->send = send;
    self->transport = transport;
    self->due_ns = self->send_at_ns = ADR_NEVER;
    s_list_init (&self->waiting);
    s_list_init (&self->queue);
    s_list_init (&self->pool);
    adr_arena_init (&self->arena, 16 * 1024, 4 * ADR_HEADER_MAX);
    return self;
}

void
adr_session_destroy (adr_session_t **self_p)
{
    adr_session_t *self = *self_p;
    if (!self)
        return;
    *self_p = NULL;
    pthread_mutex_lock (&self->lock);
    self->closing = true;
    self->inside++;
    while (!s_list_empty (&self->waiting) || self->refusals.size > 0) {
        s_answer_refused (self);
        if (!s_list_empty (&self->waiting))
            s_request_give_up (self, s_of_waiting (self->waiting.next));
    }
    adr_assert (self->pending == 0 && self->bytes_held == 0);
    pthread_mutex_unlock (&self->lock);
    for (uint32_t i = 0; i < self->slot_count; i++) {
        adr_buffer_free (&self->slot[i]->bytes);
        free (self->slot[i]);
    }
    free (self->slot);
    adr_buffer_free (&self->pack);
    adr_buffer_free (&self->refusals);
    adr_arena_free (&self->arena);
    pthread_mutex_destroy (&self->lock);
    free (self);
}

void
adr_session_set_wake (adr_session_t *self, adr_session_wake_fn *wake)
{
    self->wake = wake;
}

void
adr_session_set_limit (adr_session_t *self, uint32_t limit_ms)
{
    pthread_mutex_lock (&self->lock);
    self->limit_ms = limit_ms < 1 ? 1 : limit_ms < ADR_REQUEST_TIME_MAX_MS ? limit_ms : ADR_REQUEST_TIME_MAX_MS;
    pthread_mutex_unlock (&self->lock);
}

uint32_t
adr_session_pending (adr_session_t *self)
{
    pthread_mutex_lock (&self->lock);
    uint32_t pending = self->pending + (uint32_t) (self->refusals.size / sizeof (s_refusal_t));
    pthread_mutex_unlock (&self->lock);
    return pending;
}

uint64_t
adr_session_dropped (adr_session_t *self)
{
    pthread_mutex_lock (&self->lock);
    uint64_t dropped = self->dropped;
    pthread_mutex_unlock (&self->lock);
    return dropped;
}
