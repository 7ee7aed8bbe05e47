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

#include "client/session_private.h"

#include <sodium.h>
#include <stdlib.h>
#include <string.h>

#define S_SEND_PAUSE (10 * ADR_MS) /* after a send that failed: a connection takes about so long */
#define S_SCAN_PAUSE (5 * ADR_MS)  /* between two looks at all requests: bounds their cost */
#define S_SMALL 4096               /* larger request buffers are given back when the request ends */
#define S_RETRY (ADR_SESSION_RETRY_MS * ADR_MS)

/* An answer without a request. There are never more than the askers ask between two ticks. */
typedef struct {
    adr_reply_fn *done;
    void *argument;
    adr_status_t status;
    const char *text;
} s_refusal_t;

/* --- the slab ------------------------------------------------------------------------------------------------------ */

static session_request_t *
s_of_waiting (adr_link_t *link)
{
    return (session_request_t *) (void *) link;
}

static session_request_t *
s_of_queue (adr_link_t *link)
{
    return (session_request_t *) (void *) ((uint8_t *) link - offsetof (session_request_t, queue));
}

static session_request_t *
s_slab_grow (adr_session_t *self)
{
    adr_assert (self->slot_count < ADR_SESSION_REQUESTS_MAX);
    if (self->slot_count == self->slot_room) {
        self->slot_room = self->slot_room ? self->slot_room * 2 : 64;
        self->slot = adr_realloc (self->slot, self->slot_room * sizeof *self->slot);
    }
    session_request_t *request = adr_alloc (sizeof *request);
    request->number = self->slot_count;
    adr_links_init (&request->waiting);
    adr_links_init (&request->queue);
    return self->slot[self->slot_count++] = request;
}

static session_request_t *
s_request_new (adr_session_t *self)
{
    session_request_t *request;
    if (adr_links_empty (&self->pool))
        request = s_slab_grow (self);
    else {
        request = s_of_queue (self->pool.next);
        adr_links_remove (&request->queue);
    }
    uint64_t place = request->number % ADR_SESSION_REQUESTS_MAX;
    request->number = ++self->generation * ADR_SESSION_REQUESTS_MAX + place;
    request->active = true;
    request->queued = request->started = false;
    request->tries = request->unanswered = request->unread = 0;
    request->deadline_ns = request->due_ns = ADR_NEVER;
    adr_buffer_clear (&request->bytes);
    request->payload_size = 0;
    self->pending++;
    return request;
}

session_request_t *
session_find (adr_session_t *self, uint64_t number)
{
    uint64_t place = number % ADR_SESSION_REQUESTS_MAX;
    if (place >= self->slot_count)
        return NULL;
    session_request_t *request = self->slot[place];
    return request->active && request->number == number ? request : NULL;
}

/* Takes the request out of everything; its callback is the caller's to call. */
static void
s_request_end (adr_session_t *self, session_request_t *request)
{
    adr_assert (request->active && self->pending > 0 && self->bytes_held >= request->held);
    adr_links_remove (&request->waiting);
    adr_links_remove (&request->queue);
    request->active = false;
    if (request->secret)
        sodium_memzero (request->bytes.data, request->bytes.size);
    request->secret = false;
    self->bytes_held -= request->held;
    self->pending--;
    if (request->bytes.room > S_SMALL)
        adr_buffer_free (&request->bytes);
    adr_links_append (&self->pool, &request->queue);
}

/* Ends the request and tells its asker, with the lock given up meanwhile. */
void
session_answer (adr_session_t *self, session_request_t *request, const adr_reply_t *reply)
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
s_request_give_up (adr_session_t *self, session_request_t *request)
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
    session_answer (self, request, &reply);
}

/* --- sending ------------------------------------------------------------------------------------------------------- */

/* Sends the pack that holds the requests in `packed`; if it cannot leave they stand first in the queue again. */
static bool
s_send_pack (adr_session_t *self, adr_link_t *packed)
{
    if (adr_links_empty (packed))
        return true;
    adr_pack_number (&self->pack, ++self->sequence, 0);
    bool sent = self->send (self->transport, adr_bytes (self->pack.data, self->pack.size));
    adr_buffer_clear (&self->pack);
    if (!sent) {
        adr_links_splice_front (&self->queue, packed);
        self->send_at_ns = self->now_ns + S_SEND_PAUSE;
        return false;
    }
    while (!adr_links_empty (packed)) {
        session_request_t *request = s_of_queue (packed->next);
        adr_links_remove (&request->queue);
        request->queued = false;
        request->tries++;
        request->unanswered++;
        if (request->started)
            request->due_ns = self->now_ns + S_RETRY;
    }
    return true;
}

/* [EDGE-6] An edge's token from before the first try that may be done proves when that was; another edge has to take our word. */
static void
s_set_token (adr_session_t *self, session_request_t *request)
{
    if (request->unanswered == 0) {
        request->open_token = self->token;
        request->open_ns = self->now_ns;
    }
    bool proves = request->open_token && request->open_token >> ADR_TOKEN_MS_BITS == self->token >> ADR_TOKEN_MS_BITS;
    request->header.write.token = proves ? request->open_token : self->token;
    request->header.write.token_ms = proves ? 0 : (uint32_t) ((self->now_ns - request->open_ns) / ADR_MS) + 1;
}

/* Puts what time is left, and what has passed since the first try, into the header. */
static void
s_set_time (adr_session_t *self, session_request_t *request)
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
        s_set_token (self, request);
    }
    else if (request->kind == ADR__KIND__READ)
        request->header.read.limit_ms = left_ms;
    else if (request->kind == ADR__KIND__LIST)
        request->header.list.limit_ms = left_ms;
    else if (request->kind == ADR__KIND__CONTROL)
        request->header.control.limit_ms = left_ms;
}

static void
s_flush (adr_session_t *self)
{
    if (self->send_at_ns != ADR_NEVER && self->now_ns < self->send_at_ns)
        return;
    adr_link_t packed;
    adr_links_init (&packed);
    while (!adr_links_empty (&self->queue)) {
        session_request_t *request = s_of_queue (self->queue.next);
        if (!adr_links_empty (&packed) && self->pack.size + request->held > ADR_PACK_TARGET
            && !s_send_pack (self, &packed))
            return;
        if (adr_links_empty (&packed)) {
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
        adr_links_remove (&request->queue);
        adr_links_append (&packed, &request->queue);
    }
    if (s_send_pack (self, &packed))
        self->send_at_ns = ADR_NEVER;
    if (self->pack.room > 2 * ADR_PACK_TARGET)
        adr_buffer_free (&self->pack);
}

void
session_send_soon (adr_session_t *self, session_request_t *request)
{
    if (request->queued)
        return;
    request->queued = true;
    adr_links_append (&self->queue, &request->queue);
}

/* --- asking -------------------------------------------------------------------------------------------------------- */

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
void
session_refuse (adr_session_t *self, adr_status_t status, const char *text, adr_reply_fn *done, void *argument)
{
    s_refusal_t refusal = { done, argument, status, text };
    adr_buffer_append (&self->refusals, &refusal, sizeof refusal);
    s_asked (self);
}

/* Takes the lock and a request with room for `size` bytes; the caller fills in its header and ends with session_ask. NULL,
 * and no lock: there is no room, and the asker will hear so. */
session_request_t *
session_begin (adr_session_t *self, uint16_t kind, size_t size, uint32_t limit_ms, adr_reply_fn *done, void *argument)
{
    pthread_mutex_lock (&self->lock);
    size_t held = sizeof (session_request_t) + size;
    if (self->closing) {
        session_refuse (self, ADR_STATUS_REFUSED, "the client was closed", done, argument);
        return NULL;
    }
    if (self->bytes_held + held > self->bytes_max || self->pending == ADR_SESSION_REQUESTS_MAX) {
        session_refuse (self, ADR_STATUS_REFUSED, "busy: too many requests wait for their answers", done, argument);
        return NULL;
    }
    session_request_t *request = s_request_new (self);
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

void
session_ask (adr_session_t *self, session_request_t *request)
{
    adr_links_append (&self->waiting, &request->waiting);
    session_send_soon (self, request);
    s_asked (self);
}

/* --- time ---------------------------------------------------------------------------------------------------------- */

/* What other threads ask from here on waits for session_leave, which sends it in one go. */
void
session_enter (adr_session_t *self)
{
    pthread_mutex_lock (&self->lock);
    self->inside++;
    pthread_mutex_unlock (&self->lock);
}

void
session_leave (adr_session_t *self)
{
    pthread_mutex_lock (&self->lock);
    adr_assert (self->inside > 0);
    self->inside--;
    s_flush (self);
    pthread_mutex_unlock (&self->lock);
}

/* Requests without a start stand last in `waiting`. */
static void
s_start_clocks (adr_session_t *self)
{
    for (adr_link_t *link = self->waiting.previous; link != &self->waiting; link = link->previous) {
        session_request_t *request = s_of_waiting (link);
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
    adr_link_t over;
    adr_links_init (&over);
    self->due_ns = ADR_NEVER;
    for (adr_link_t *link = self->waiting.next, *next; link != &self->waiting; link = next) {
        next = link->next;
        session_request_t *request = s_of_waiting (link);
        if (!request->started)
            continue;
        if (self->now_ns >= request->deadline_ns) {
            adr_links_remove (&request->waiting);
            adr_links_append (&over, &request->waiting);
            continue;
        }
        if (self->now_ns >= request->due_ns) {
            session_send_soon (self, request);
            request->due_ns = self->now_ns + S_RETRY;
        }
        int64_t due = request->due_ns < request->deadline_ns ? request->due_ns : request->deadline_ns;
        if (due < self->due_ns)
            self->due_ns = due;
    }
    if (self->due_ns < self->now_ns + S_SCAN_PAUSE)
        self->due_ns = self->now_ns + S_SCAN_PAUSE;
    /* An answer that comes while a callback runs may take a request out of `over`. */
    while (!adr_links_empty (&over))
        s_request_give_up (self, s_of_waiting (over.next));
}

void
adr_session_tick (adr_session_t *self, int64_t now_ns)
{
    session_enter (self);
    pthread_mutex_lock (&self->lock);
    self->woken = false;
    if (now_ns > self->now_ns)
        self->now_ns = now_ns;
    s_start_clocks (self);
    s_answer_refused (self);
    if (self->now_ns >= self->due_ns)
        s_scan (self);
    pthread_mutex_unlock (&self->lock);
    session_leave (self);
}

int64_t
adr_session_wake_at (adr_session_t *self)
{
    pthread_mutex_lock (&self->lock);
    int64_t at = self->due_ns;
    if (!adr_links_empty (&self->queue) && self->send_at_ns < at)
        at = self->send_at_ns;
    bool fresh = !adr_links_empty (&self->waiting) && !s_of_waiting (self->waiting.previous)->started;
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
    for (adr_link_t *link = self->waiting.next; link != &self->waiting; link = link->next)
        session_send_soon (self, s_of_waiting (link));
    self->send_at_ns = self->now_ns;
    pthread_mutex_unlock (&self->lock);
}

/* --- life ---------------------------------------------------------------------------------------------------------- */

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
    adr_links_init (&self->waiting);
    adr_links_init (&self->queue);
    adr_links_init (&self->pool);
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
    while (!adr_links_empty (&self->waiting) || self->refusals.size > 0) {
        s_answer_refused (self);
        if (!adr_links_empty (&self->waiting))
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

bool
adr_session_awaits (adr_session_t *self)
{
    pthread_mutex_lock (&self->lock);
    adr_link_t *link = self->waiting.next;
    while (link != &self->waiting && s_of_waiting (link)->tries == 0)
        link = link->next;
    bool awaits = link != &self->waiting;
    pthread_mutex_unlock (&self->lock);
    return awaits;
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
