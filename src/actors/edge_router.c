/* SPDX-License-Identifier: MPL-2.0 */
/* edge_router: takes requests of clients to the group that owns their partition, and stays with them until they are
 * answered: it tries again elsewhere within the request's time, and ends what got no answer [DESIGN 5, 11].
 *
 * Owns: the requests that wait, each with a copy of what was asked. Makes durable: nothing; an edge that dies forgets
 * them, and their askers try again elsewhere with the same request id [REPL-5]. Implements docs/protocol/edge_router.md;
 * of DESIGN 13, invariant 6: `refused` is said of a write only if every try of it was surely refused.
 *
 * Mailbox: WRITE, READ, LIST, MAP_PULL (clients, or the HTTP edge of this host); ANSWER, LIST_ANSWER (replicators);
 *   MAP_CHANGED (own map-keeper).
 * Sends: WRITE, READ, LIST (replicators); ANSWER, LIST_ANSWER, MAP_PUSH (the asker).
 *
 *              asked: invalid, busy ----------------------------------> answered
 *                |                                                         ^
 *                v   try                sure answer                        |
 *     +------> TRYING ----------------------------------------------------+
 *     |          | not here, or silence                                    |
 *     | pause    v                          the limit                      |
 *     +------- PAUSING ---------------------------------------------------+
 */

#include "actors/deadlines.h"
#include "actors/request_check.h"
#include "actors/routes.h"
#include "core/entry.h"
#include "wire/map_codec.h"

#include <stdio.h>
#include <stdlib.h>

#define S_TIMER 1u
#define S_PLACES_MAX 65536u                  /* requests at once; 20 MB of places when full */
#define S_CHUNK 1024u                        /* places made at a time; they never move */
#define S_WRITE_QUIET_NS (600 * ADR_MS)      /* a try of a write without an answer for so long is repeated elsewhere */
#define S_READ_QUIET_NS (250 * ADR_MS)       /* the same for reads and lists: they are cheap to repeat */
#define S_QUIET_MAX_NS (2000 * ADR_MS)       /* it grows by half with each silent try up to this: do not feed a jam */
#define S_PAUSE_MIN_MS 10                    /* before a try after `not here`, doubled each time ... */
#define S_PAUSE_MAX_MS 100                   /* ... up to this, so that a new master is found soon */
#define S_HINTS_AT_ONCE 3                    /* hints followed without a pause; more may be two nodes that disagree */
#define S_OPEN_MAX 8                         /* tries without an answer that a write remembers one by one */
#define S_NUDGE_AGE_NS (50 * ADR_MS)         /* on a new master, tries elsewhere older than this are repeated there */

/* A number that we give to a try: which place, which request in that place, which try of it. */
#define S_PLACE_BITS 16
#define S_TRY_BITS 12
#define S_TRIES_MAX ((1u << S_TRY_BITS) - 1)

/* What was asked, in one piece of memory: this, then arrays, keys and payload. */
typedef struct {
    union {
        ProtobufCMessage base;
        Adr__Write write;
        Adr__Read read;
        Adr__List list;
    } header;
    adr_bytes_t payload;
    size_t size; /* of the whole piece */
} s_kept_t;

typedef struct {
    uint64_t serial; /* this request's own, in the upper bits of its tries' numbers; 0: the place is free */
    adr_address_t asker;
    uint64_t asker_number;
    uint16_t kind; /* WRITE, READ, LIST */
    s_kept_t *kept;
    uint32_t group;         /* its place among the routes */
    uint32_t age_ms;        /* when it came */
    int64_t arrived_ns;
    int64_t limit_ns;       /* it ends then, answered or not */
    int64_t tried_ns;       /* the newest try */
    int64_t quiet_ns;       /* how long that may stay without an answer */
    uint64_t seen_ms;       /* a write's stamp [REPL-5] */
    int last;               /* the node of the newest try; -1: none yet */
    int next;               /* the node to try next if one was named; -1: whoever comes next */
    uint32_t tries, hints, pauses;
    bool waiting;           /* the newest try has no answer: the deadline is its silence; else the deadline is a pause */
    uint32_t open_count;    /* tries of a write that may yet be done: sent and not surely refused */
    uint32_t open[S_OPEN_MAX];
    bool lost_count;        /* more of them than that, or one that answered `unknown`: it can never be surely refused */
    char why[80];           /* what the newest refusal said */
    uint32_t next_free;
} s_request_t;

typedef struct {
    const adr_environment_t *environment;
    adr_effects_t *effects; /* of the current event */
    int64_t now_ns;
    adr_map_t *map;
    adr_routes_t routes;
    s_request_t *chunk[S_PLACES_MAX / S_CHUNK];
    uint32_t places;      /* made so far */
    uint32_t free;        /* first free place, and one */
    uint32_t pending;     /* requests that wait */
    uint64_t held;        /* bytes that they keep */
    uint64_t serial;      /* of the newest request */
    adr_deadlines_t deadlines;
    int64_t wake_ns;      /* what the shell was asked for */
    adr_random_t random;
    bool stopping;
    uint64_t dropped;     /* answers that nobody waited for */
} s_router_t;

static const adr_bytes_t s_nothing;

/* --- places ------------------------------------------------------------------------------------------------------- */

static s_request_t *
s_place (const s_router_t *self, uint32_t place)
{
    return &self->chunk[place / S_CHUNK][place % S_CHUNK];
}

static void
s_add_chunk (s_router_t *self)
{
    s_request_t *chunk = adr_alloc (S_CHUNK * sizeof *chunk);
    self->chunk[self->places / S_CHUNK] = chunk;
    for (uint32_t i = S_CHUNK; i-- > 0;) {
        chunk[i].next_free = self->free;
        self->free = self->places + i + 1;
    }
    self->places += S_CHUNK;
}

static uint32_t
s_take_place (s_router_t *self)
{
    adr_assert (self->pending < S_PLACES_MAX);
    if (self->free == 0)
        s_add_chunk (self);
    uint32_t place = self->free - 1;
    s_request_t *request = s_place (self, place);
    adr_assert (request->serial == 0);
    self->free = request->next_free;
    self->pending++;
    self->serial = (self->serial + 1) & ((UINT64_C (1) << (64 - S_PLACE_BITS - S_TRY_BITS)) - 1);
    if (self->serial == 0)
        self->serial = 1;
    *request = (s_request_t){ .serial = self->serial, .last = -1, .next = -1 };
    return place;
}

static void
s_give_place (s_router_t *self, uint32_t place)
{
    s_request_t *request = s_place (self, place);
    adr_assert (request->serial != 0 && self->held >= request->kept->size);
    self->held -= request->kept->size;
    self->pending--;
    free (request->kept);
    adr_deadlines_drop (&self->deadlines, place);
    *request = (s_request_t){ .next_free = self->free };
    self->free = place + 1;
}

/* The request and the try that an answer belongs to; NULL if nobody waits for it any more. */
static s_request_t *
s_request_of (s_router_t *self, uint64_t number, uint32_t *place, uint32_t *attempt)
{
    *place = (uint32_t) number & ((1u << S_PLACE_BITS) - 1);
    *attempt = (uint32_t) (number >> S_PLACE_BITS) & S_TRIES_MAX;
    if (*place >= self->places)
        return NULL;
    s_request_t *request = s_place (self, *place);
    uint64_t serial = number >> (S_PLACE_BITS + S_TRY_BITS);
    return serial != 0 && request->serial == serial && *attempt >= 1 && *attempt <= request->tries ? request : NULL;
}

static adr_route_group_t *
s_group (s_router_t *self, const s_request_t *request)
{
    return &self->routes.group[request->group];
}

/* --- keeping what was asked --------------------------------------------------------------------------------------- */

/* Copies bytes to `*at`, moves it behind them, and tells where the copy stands. */
static ProtobufCBinaryData
s_keep_bytes (uint8_t **at, ProtobufCBinaryData bytes)
{
    ProtobufCBinaryData kept = { bytes.len, *at };
    if (bytes.len)
        memcpy (*at, bytes.data, bytes.len);
    *at += bytes.len;
    return kept;
}

static void
s_keep_payload (s_kept_t *kept, uint8_t **at, adr_bytes_t payload)
{
    ProtobufCBinaryData copy = s_keep_bytes (at, adr_bytes_view (payload));
    kept->payload = adr_bytes (copy.data, copy.len);
}

static s_kept_t *
s_keep_new (size_t size, uint8_t **at)
{
    s_kept_t *kept = adr_realloc (NULL, sizeof *kept + size);
    kept->size = sizeof *kept + size;
    *at = (uint8_t *) (kept + 1);
    return kept;
}

/* An operation and its version, as they stand in a kept write. */
typedef struct {
    Adr__Op op;
    Adr__VersionOf version;
} s_kept_op_t;

static size_t
s_write_size (const Adr__Write *write, size_t payload)
{
    size_t size = write->n_op * (sizeof (s_kept_op_t) + sizeof (Adr__Op *)) + write->request.len + payload;
    for (size_t i = 0; i < write->n_op; i++)
        size += write->op[i]->key.len;
    return size;
}

static s_kept_t *
s_keep_write (const Adr__Write *write, adr_bytes_t payload)
{
    uint8_t *at;
    s_kept_t *kept = s_keep_new (s_write_size (write, payload.size), &at);
    Adr__Write *copy = &kept->header.write;
    s_kept_op_t *op = (s_kept_op_t *) (void *) at;
    Adr__Op **pointer = (Adr__Op **) (void *) (op + write->n_op);
    at = (uint8_t *) (pointer + write->n_op);
    *copy = *write;
    copy->base.n_unknown_fields = 0;
    copy->op = pointer;
    copy->request = s_keep_bytes (&at, write->request);
    for (size_t i = 0; i < write->n_op; i++) {
        op[i].op = *write->op[i];
        op[i].op.base.n_unknown_fields = 0;
        op[i].op.key = s_keep_bytes (&at, write->op[i]->key);
        if (write->op[i]->version) {
            op[i].version = *write->op[i]->version;
            op[i].version.base.n_unknown_fields = 0;
            op[i].op.version = &op[i].version;
        }
        pointer[i] = &op[i].op;
    }
    s_keep_payload (kept, &at, payload);
    return kept;
}

static s_kept_t *
s_keep_read (const Adr__Read *read)
{
    uint8_t *at;
    s_kept_t *kept = s_keep_new (read->key.len, &at);
    kept->header.read = *read;
    kept->header.base.n_unknown_fields = 0;
    kept->header.read.key = s_keep_bytes (&at, read->key);
    kept->payload = s_nothing;
    return kept;
}

static s_kept_t *
s_keep_list (const Adr__List *list)
{
    uint8_t *at;
    s_kept_t *kept = s_keep_new (list->prefix.len + list->after.len + list->partition_by.len, &at);
    Adr__List *copy = &kept->header.list;
    *copy = *list;
    copy->base.n_unknown_fields = 0;
    copy->prefix = s_keep_bytes (&at, list->prefix);
    copy->after = s_keep_bytes (&at, list->after);
    copy->partition_by = s_keep_bytes (&at, list->partition_by);
    if (copy->rows_max == 0 || copy->rows_max > ADR_LIST_ROWS_MAX)
        copy->rows_max = ADR_LIST_ROWS_MAX;
    kept->payload = s_nothing;
    return kept;
}

/* --- answers to the asker ----------------------------------------------------------------------------------------- */

/* An answer of our own making, for a request that got none of a group's. */
static void
s_answer (s_router_t *self, uint16_t asked, adr_address_t asker, uint64_t number, adr_status_t status,
          const char *text)
{
    if (asked == ADR__KIND__LIST) {
        Adr__ListAnswer answer = ADR__LIST_ANSWER__INIT;
        answer.number = number;
        answer.status = status;
        answer.text = (char *) text;
        self->effects->send (self->effects, asker, ADR__KIND__LIST_ANSWER, &answer.base, s_nothing);
        return;
    }
    Adr__Answer answer = ADR__ANSWER__INIT;
    answer.number = number;
    answer.status = status;
    answer.text = (char *) text;
    self->effects->send (self->effects, asker, ADR__KIND__ANSWER, &answer.base, s_nothing);
}

/* True if no try of the write can be done any more, or none was made [DESIGN 13, invariant 6]. */
static bool
s_surely_refused (const s_request_t *request)
{
    return request->open_count == 0 && !request->lost_count;
}

/* The request's time is over. */
static void
s_end (s_router_t *self, uint32_t place)
{
    s_request_t *request = s_place (self, place);
    adr_status_t status = ADR_STATUS_TIMEOUT;
    char text[160];
    if (request->kind == ADR__KIND__WRITE) {
        /* [EDGE-3] */
        status = s_surely_refused (request) || ADR_PLANT (EDGE_3_REFUSED_THOUGH_SENT) ? ADR_STATUS_REFUSED
                                                                                      : ADR_STATUS_UNKNOWN;
        if (status == ADR_STATUS_UNKNOWN)
            ADR_MARK ("edge: a write ends with its outcome unknown");
        else
            ADR_MARK ("edge: a write ends surely refused at its limit");
    }
    snprintf (text, sizeof text, "%s within its time%s%s",
              status == ADR_STATUS_REFUSED ? "no node took it" : "no sure answer", request->why[0] ? ": " : "",
              request->why);
    s_answer (self, request->kind, request->asker, request->asker_number, status, text);
    s_give_place (self, place);
}

/* --- tries -------------------------------------------------------------------------------------------------------- */

static uint32_t
s_ms_left (const s_router_t *self, const s_request_t *request)
{
    int64_t left = (request->limit_ns - self->now_ns + ADR_MS - 1) / ADR_MS;
    return left < 1 ? 1 : (uint32_t) left;
}

/* Since its first try, anywhere; a second try is never the first, however quick. */
static uint32_t
s_age_ms (const s_router_t *self, const s_request_t *request)
{
    uint32_t here = (uint32_t) ((self->now_ns - request->arrived_ns) / ADR_MS);
    return request->age_ms + here + (request->tries > 1);
}

/* Whom to ask [EDGE-1]: writes go to the master, if we know one; all else, and writes when we
 * do not, stay in our own zone. */
static int
s_choose (const s_router_t *self, const s_request_t *request)
{
    const adr_route_group_t *group = &self->routes.group[request->group];
    if (request->next >= 0 && request->next < (int) group->node_count)
        return request->next;
    if (request->kind == ADR__KIND__WRITE && group->master >= 0 && group->master != request->last)
        return group->master;
    return group->node_count ? adr_route_next (group, request->last) : -1;
}

static void
s_open_try (s_request_t *request)
{
    if (request->open_count == S_OPEN_MAX) {
        ADR_MARK ("edge: a write has more silent tries than it remembers");
        request->lost_count = true;
        memmove (request->open, request->open + 1, (S_OPEN_MAX - 1) * sizeof request->open[0]);
        request->open_count--;
    }
    request->open[request->open_count++] = request->tries;
}

/* Takes a try that was surely refused off the open ones, the oldest first; once is enough. */
static void
s_close_try (s_request_t *request, uint32_t attempt)
{
    for (uint32_t i = 0; i < request->open_count; i++)
        if (request->open[i] == attempt) {
            memmove (request->open + i, request->open + i + 1, (request->open_count - i - 1) * sizeof attempt);
            request->open_count--;
            return;
        }
}

static void
s_send_try (s_router_t *self, uint32_t place, const s_request_t *request, adr_id_t node)
{
    s_kept_t *kept = request->kept;
    uint64_t number = request->serial << (S_PLACE_BITS + S_TRY_BITS) | (uint64_t) request->tries << S_PLACE_BITS | place;
    uint32_t limit_ms = s_ms_left (self, request);
    ProtobufCBinaryData origin = adr_id_view (&self->environment->node);
    if (request->kind == ADR__KIND__WRITE) {
        Adr__Write *write = &kept->header.write;
        write->number = number;
        write->limit_ms = limit_ms;
        write->age_ms = s_age_ms (self, request);
        write->origin = origin;
        write->relays = 0;
        write->sequence = 0;
        write->seen_ms = request->seen_ms;
    }
    else if (request->kind == ADR__KIND__READ) {
        kept->header.read.number = number;
        kept->header.read.limit_ms = limit_ms;
        kept->header.read.origin = origin;
    }
    else {
        kept->header.list.number = number;
        kept->header.list.limit_ms = limit_ms;
        kept->header.list.origin = origin;
    }
    adr_address_t to = { node, ADR_ACTOR_REPLICATOR };
    self->effects->send (self->effects, to, request->kind, &kept->header.base, kept->payload);
}

/* Moves the request's deadline to when something is due, or to its limit. */
static void
s_await (s_router_t *self, uint32_t place, int64_t due_ns)
{
    int64_t limit_ns = s_place (self, place)->limit_ns;
    adr_deadlines_set (&self->deadlines, place, due_ns < limit_ns ? due_ns : limit_ns);
}

static void
s_try (s_router_t *self, uint32_t place)
{
    s_request_t *request = s_place (self, place);
    int node = s_choose (self, request);
    if (node < 0 || request->tries == S_TRIES_MAX) {
        s_await (self, place, ADR_NEVER);
        return;
    }
    request->tries++;
    request->last = node;
    request->next = -1;
    request->waiting = true;
    request->tried_ns = self->now_ns;
    if (request->kind == ADR__KIND__WRITE)
        s_open_try (request);
    s_send_try (self, place, request, s_group (self, request)->node[node].id);
    s_await (self, place, self->now_ns + request->quiet_ns);
}

/* The newest try did not help: another follows, at once or after a pause that grows. */
static void
s_try_later (s_router_t *self, uint32_t place, bool at_once)
{
    s_request_t *request = s_place (self, place);
    if (at_once) {
        s_try (self, place);
        return;
    }
    int64_t pause_ms = (int64_t) S_PAUSE_MIN_MS << request->pauses;
    if (pause_ms < S_PAUSE_MAX_MS)
        request->pauses++;
    else
        pause_ms = S_PAUSE_MAX_MS;
    /* Not all at the same moment, when a whole edge waits for a new master. */
    int64_t pause_ns = adr_random_between (&self->random, pause_ms * ADR_MS / 2, pause_ms * ADR_MS);
    request->waiting = false;
    s_await (self, place, self->now_ns + pause_ns);
}

/* Silence: the try may have been lost, or sits in a queue, or its node is gone. */
static void
s_on_silence (s_router_t *self, uint32_t place)
{
    s_request_t *request = s_place (self, place);
    adr_route_group_t *group = s_group (self, request);
    if (request->kind == ADR__KIND__WRITE && group->master == request->last) {
        ADR_MARK ("edge: a silent master is not believed in any more");
        group->master = -1;
    }
    request->quiet_ns = request->quiet_ns * 3 / 2;
    if (request->quiet_ns > S_QUIET_MAX_NS)
        request->quiet_ns = S_QUIET_MAX_NS;
    s_try (self, place);
}

static void
s_on_timer (s_router_t *self)
{
    self->wake_ns = ADR_NEVER;
    while (adr_deadlines_next (&self->deadlines) <= self->now_ns) {
        uint32_t place = adr_deadlines_first (&self->deadlines);
        s_request_t *request = s_place (self, place);
        if (request->limit_ns <= self->now_ns)
            s_end (self, place);
        else if (request->waiting)
            s_on_silence (self, place);
        else
            s_try (self, place);
    }
}

/* A group has a new master: writes that wait elsewhere need not wait for their silence to end. */
static void
s_nudge (s_router_t *self, uint32_t group)
{
    for (uint32_t place = 0; place < self->places; place++) {
        s_request_t *request = s_place (self, place);
        if (request->serial && request->kind == ADR__KIND__WRITE && request->group == group
            && request->last != self->routes.group[group].master
            && self->now_ns - request->tried_ns >= S_NUDGE_AGE_NS)
            s_await (self, place, self->now_ns);
    }
}

static void
s_learn_master (s_router_t *self, uint32_t group, int node)
{
    if (node < 0 || self->routes.group[group].master == node)
        return;
    self->routes.group[group].master = node;
    s_nudge (self, group);
}

/* --- requests ----------------------------------------------------------------------------------------------------- */

/* Which group answers a list. Where a type has one group it holds every key; where it has several, this is the place
 * that asks each and merges [DESIGN 10]. */
static void
s_list_partition (const s_router_t *self, const Adr__List *list, uint32_t *partition)
{
    ProtobufCBinaryData by = list->partition_by.len ? list->partition_by : list->prefix;
    *partition = adr_partition_of ((uint8_t) list->table, adr_bytes (by.data, by.len), self->map->partition_count);
}

/* What a request is, before it has a place. */
typedef struct {
    uint16_t kind;
    uint64_t number;
    uint32_t limit_ms, age_ms;
    adr_node_type_t type;
    uint32_t partition;
    size_t bytes; /* that it would keep, about */
    const char *wrong;
} s_asked_t;

static s_asked_t
s_asked_write (const s_router_t *self, const Adr__Write *write, adr_bytes_t payload)
{
    s_asked_t asked = { .kind = ADR__KIND__WRITE, .number = write->number, .limit_ms = write->limit_ms,
                        .age_ms = write->age_ms, .bytes = sizeof (s_kept_t) + s_write_size (write, payload.size) };
    asked.wrong = adr_request_wrong_write (write, payload.size, self->map->partition_count, &asked.type,
                                           &asked.partition);
    return asked;
}

static s_asked_t
s_asked_read (const s_router_t *self, const Adr__Read *read)
{
    s_asked_t asked = { .kind = ADR__KIND__READ, .number = read->number, .limit_ms = read->limit_ms,
                        .bytes = sizeof (s_kept_t) + read->key.len };
    asked.wrong = adr_request_wrong_key (read->table, read->key.len, &asked.type);
    if (asked.wrong == NULL)
        asked.partition = adr_partition_of ((uint8_t) read->table, adr_bytes (read->key.data, read->key.len),
                                            self->map->partition_count);
    return asked;
}

static s_asked_t
s_asked_list (const s_router_t *self, const Adr__List *list)
{
    s_asked_t asked = { .kind = ADR__KIND__LIST, .number = list->number, .limit_ms = list->limit_ms,
                        .bytes = sizeof (s_kept_t) + 3 * ADR_KEY_MAX };
    if (!adr_table_type (list->table, &asked.type))
        asked.wrong = "there is no such table";
    else if (list->prefix.len > ADR_KEY_MAX || list->after.len > ADR_KEY_MAX || list->partition_by.len > ADR_KEY_MAX)
        asked.wrong = "a key has at most 1100 bytes";
    else
        s_list_partition (self, list, &asked.partition);
    return asked;
}

/* Why the request is answered at once, and with which status; OK if it is not. */
static adr_status_t
s_turn_away (const s_router_t *self, const adr_event_t *event, const s_asked_t *asked, const char **why)
{
    *why = asked->wrong;
    if (*why == NULL && (asked->limit_ms == 0 || asked->limit_ms > ADR_REQUEST_TIME_MAX_MS))
        *why = "the limit is 1 to 60000 ms";
    if (*why)
        return ADR_STATUS_INVALID;
    if (asked->type == ADR_NODE_PKI && event->message.from_type != ADR_NODE_OPERATOR) {
        *why = "these tables are for operators";
        return ADR_STATUS_DENIED;
    }
    if (asked->age_ms > ADR_REQUEST_TIME_MAX_MS) {
        *why = "too old to be tried again";
        return ADR_STATUS_UNKNOWN;
    }
    if (self->stopping || self->pending == S_PLACES_MAX
        || self->held + asked->bytes > self->environment->settings.request_max_bytes) {
        ADR_MARK ("edge: a request is refused because too many wait");
        *why = self->stopping ? "this edge is stopping" : "busy: this edge holds as many requests as it may";
        return ADR_STATUS_REFUSED;
    }
    *why = "no group owns this partition";
    return adr_routes_owner (&self->routes, asked->type, asked->partition) < 0 ? ADR_STATUS_REFUSED : ADR_STATUS_OK;
}

static s_kept_t *
s_keep (const adr_event_t *event)
{
    const ProtobufCMessage *header = event->message.header;
    if (event->message.kind == ADR__KIND__WRITE)
        return s_keep_write ((const Adr__Write *) header, event->message.payload);
    if (event->message.kind == ADR__KIND__READ)
        return s_keep_read ((const Adr__Read *) header);
    return s_keep_list ((const Adr__List *) header);
}

/* A log time that was surely not ahead of the group's when the request was first tried, here or at another edge: log
 * time gains at most two seconds in one [PART-4], and clocks' rates differ; ids are kept much longer than any request
 * lives, so that going back further does not hurt [EDGE-6]. */
static uint64_t
s_stamp (uint64_t log_ms, uint32_t age_ms)
{
    uint64_t back = age_ms ? 3 * (uint64_t) age_ms : 0;
    return log_ms > back ? log_ms - back : 0;
}

static void
s_on_request (s_router_t *self, const adr_event_t *event, s_asked_t asked)
{
    const char *why;
    adr_status_t status = s_turn_away (self, event, &asked, &why);
    if (status != ADR_STATUS_OK) {
        s_answer (self, asked.kind, event->message.from, asked.number, status, why);
        return;
    }
    uint32_t place = s_take_place (self);
    s_request_t *request = s_place (self, place);
    bool write = asked.kind == ADR__KIND__WRITE;
    int64_t limit_ns = asked.limit_ms * ADR_MS;
    if (write && limit_ns > self->environment->settings.write_timeout_ns)
        limit_ns = self->environment->settings.write_timeout_ns;
    request->asker = event->message.from;
    request->asker_number = asked.number;
    request->kind = asked.kind;
    request->kept = s_keep (event);
    request->group = (uint32_t) adr_routes_owner (&self->routes, asked.type, asked.partition);
    request->age_ms = asked.age_ms;
    request->arrived_ns = self->now_ns;
    request->limit_ns = self->now_ns + limit_ns;
    request->quiet_ns = write ? S_WRITE_QUIET_NS : S_READ_QUIET_NS;
    request->seen_ms = s_stamp (self->routes.group[request->group].seen_ms, asked.age_ms);
    self->held += request->kept->size;
    s_try (self, place);
}

static void
s_on_map_pull (s_router_t *self, const adr_event_t *event)
{
    const Adr__MapPull *pull = (const Adr__MapPull *) event->message.header;
    adr_arena_t arena;
    adr_arena_init (&arena, 16 * 1024, 64 * 1024 * 1024);
    Adr__MapPush push = ADR__MAP_PUSH__INIT;
    push.number = pull->number;
    push.map = adr_map_message (self->map, &arena);
    self->effects->send (self->effects, event->message.from, ADR__KIND__MAP_PUSH, &push.base, s_nothing);
    adr_arena_free (&arena);
}

/* --- answers of replicators --------------------------------------------------------------------------------------- */

static void
s_remember_why (s_request_t *request, const char *text)
{
    snprintf (request->why, sizeof request->why, "%s", text);
}

/* The request moves on to another node; `hint` is the master that the answer named. */
static void
s_go_on (s_router_t *self, uint32_t place, int hint, bool at_once)
{
    s_request_t *request = s_place (self, place);
    bool follow = hint >= 0 && hint != request->last && request->hints < S_HINTS_AT_ONCE;
    if (follow) {
        request->hints++;
        request->next = hint;
    }
    s_try_later (self, place, follow || at_once);
}

static void
s_pass_answer (s_router_t *self, uint32_t place, const Adr__Answer *from, adr_bytes_t payload)
{
    s_request_t *request = s_place (self, place);
    const adr_route_group_t *group = s_group (self, request);
    Adr__Answer answer = *from;
    answer.base.n_unknown_fields = 0;
    answer.number = request->asker_number;
    answer.endpoint = (char *) "";
    if (request->kind == ADR__KIND__WRITE && group->master >= 0)
        answer.endpoint = (char *) group->node[group->master].endpoint;
    self->effects->send (self->effects, request->asker, ADR__KIND__ANSWER, &answer.base, payload);
    s_give_place (self, place);
}

/* Was this try refused unread, because its stamp is older than the request ids that the group keeps [REPL-5]? */
static bool
s_is_unread (const Adr__Answer *answer)
{
    return (answer->status == ADR_STATUS_REFUSED || answer->status == ADR_STATUS_UNKNOWN)
           && strncmp (answer->text, "seen_ms", 7) == 0;
}

/* Stamps the request anew by the log time that an answer told; false if that is no later. */
static bool
s_stamp_anew (const s_router_t *self, s_request_t *request, const Adr__Answer *answer)
{
    uint64_t stamp = s_stamp (answer->time_ms, s_age_ms (self, request));
    if (stamp <= request->seen_ms)
        return false;
    ADR_MARK ("edge: a write is stamped anew");
    request->seen_ms = stamp;
    return true;
}

/* A write's answer that is not OK with an entry. True if it is the last word. */
static bool
s_write_is_over (const s_request_t *request, const Adr__Answer *answer)
{
    switch ((adr_status_t) answer->status) {
    case ADR_STATUS_OK:
    case ADR_STATUS_CONFLICT:
        /* [EDGE-4] */
        return !answer->no_entry || s_surely_refused (request) || ADR_PLANT (EDGE_4_VERDICT_WITH_OPEN_TRIES);
    case ADR_STATUS_INVALID:
    case ADR_STATUS_DENIED:
    case ADR_STATUS_FULL:
        return s_surely_refused (request);
    case ADR_STATUS_REFUSED:
        return s_surely_refused (request) && strncmp (answer->text, "busy", 4) == 0;
    case ADR_STATUS_UNKNOWN:
    case ADR_STATUS_NOT_FOUND:
    case ADR_STATUS_LOCKED:
    case ADR_STATUS_TIMEOUT:
    case ADR_STATUS_DAMAGED:
    case ADR_STATUS_NOT_MASTER:
    case ADR_STATUS_COUNT:
        return false;
    }
    return false;
}

/* True if the answer promises that this try has not been done and never will be. */
static bool
s_promises_nothing_done (const Adr__Answer *answer)
{
    switch ((adr_status_t) answer->status) {
    case ADR_STATUS_OK: /* without an entry, else it would be over */
    case ADR_STATUS_CONFLICT:
    case ADR_STATUS_REFUSED:
    case ADR_STATUS_INVALID:
    case ADR_STATUS_DENIED:
    case ADR_STATUS_NOT_MASTER:
    case ADR_STATUS_FULL:
        return true;
    case ADR_STATUS_UNKNOWN:
    case ADR_STATUS_NOT_FOUND:
    case ADR_STATUS_LOCKED:
    case ADR_STATUS_TIMEOUT:
    case ADR_STATUS_DAMAGED:
    case ADR_STATUS_COUNT:
        return false;
    }
    return false;
}

static void
s_on_write_answer (s_router_t *self, uint32_t place, uint32_t attempt, int from, const Adr__Answer *answer,
                   adr_bytes_t payload)
{
    s_request_t *request = s_place (self, place);
    adr_id_t hint_id = adr_id_of (answer->hint);
    int hint = adr_route_find (s_group (self, request), &hint_id);
    bool done = answer->status == ADR_STATUS_OK || answer->status == ADR_STATUS_CONFLICT;
    if (done)
        s_learn_master (self, request->group, from); /* only a master says so */
    bool newest = attempt == request->tries;
    bool unread = s_is_unread (answer);
    if (unread || s_promises_nothing_done (answer))
        s_close_try (request, attempt);
    if (s_write_is_over (request, answer)) {
        s_pass_answer (self, place, answer, payload);
        return;
    }
    s_remember_why (request, answer->text);
    if (done)
        ADR_MARK ("edge: a verdict is not believed while another try is open");
    if (unread && newest && s_stamp_anew (self, request, answer)) {
        request->next = from;
        s_try (self, place);
        return;
    }
    if (answer->status == ADR_STATUS_NOT_MASTER || answer->status == ADR_STATUS_REFUSED) {
        if (hint >= 0 && hint != from)
            s_learn_master (self, request->group, hint);
        else if (s_group (self, request)->master == from)
            s_group (self, request)->master = -1;
    }
    if (newest && request->waiting) /* of an older try: the newest is still under way */
        s_go_on (self, place, hint, false);
}

static void
s_on_read_answer (s_router_t *self, uint32_t place, uint32_t attempt, const Adr__Answer *answer, adr_bytes_t payload)
{
    s_request_t *request = s_place (self, place);
    switch ((adr_status_t) answer->status) {
    case ADR_STATUS_OK:
    case ADR_STATUS_NOT_FOUND:
    case ADR_STATUS_LOCKED:
    case ADR_STATUS_INVALID:
    case ADR_STATUS_DENIED:
        s_pass_answer (self, place, answer, payload);
        return;
    case ADR_STATUS_CONFLICT:
    case ADR_STATUS_REFUSED:
    case ADR_STATUS_UNKNOWN:
    case ADR_STATUS_TIMEOUT:
    case ADR_STATUS_DAMAGED:
    case ADR_STATUS_NOT_MASTER:
    case ADR_STATUS_FULL:
    case ADR_STATUS_COUNT:
        break;
    }
    ADR_MARK ("edge: a read is refused and tried elsewhere");
    s_remember_why (request, answer->text);
    adr_id_t hint = adr_id_of (answer->hint);
    if (attempt == request->tries && request->waiting)
        s_go_on (self, place, adr_route_find (s_group (self, request), &hint), false);
}

/* The request that an answer of this kind from this node belongs to; NULL if there is none. */
static s_request_t *
s_match (s_router_t *self, const adr_event_t *event, uint64_t number, bool list, uint32_t *place, uint32_t *attempt,
         int *from)
{
    s_request_t *request = s_request_of (self, number, place, attempt);
    if (request == NULL || (request->kind == ADR__KIND__LIST) != list) {
        self->dropped++;
        return NULL;
    }
    *from = adr_route_find (s_group (self, request), &event->message.from.node);
    return *from >= 0 ? request : NULL;
}

static void
s_on_answer (s_router_t *self, const adr_event_t *event)
{
    const Adr__Answer *answer = (const Adr__Answer *) event->message.header;
    uint32_t place, attempt;
    int from;
    s_request_t *request = s_match (self, event, answer->number, false, &place, &attempt, &from);
    if (request == NULL)
        return;
    adr_route_group_t *group = s_group (self, request);
    if (request->kind == ADR__KIND__READ) {
        s_on_read_answer (self, place, attempt, answer, event->message.payload);
        return;
    }
    if (answer->time_ms > group->seen_ms)
        group->seen_ms = answer->time_ms;
    s_on_write_answer (self, place, attempt, from, answer, event->message.payload);
}

static void
s_on_list_answer (s_router_t *self, const adr_event_t *event)
{
    const Adr__ListAnswer *from = (const Adr__ListAnswer *) event->message.header;
    uint32_t place, attempt;
    int node;
    s_request_t *request = s_match (self, event, from->number, true, &place, &attempt, &node);
    if (request == NULL)
        return;
    if (from->status == ADR_STATUS_OK || from->status == ADR_STATUS_INVALID || from->status == ADR_STATUS_LOCKED) {
        Adr__ListAnswer answer = *from;
        answer.base.n_unknown_fields = 0;
        answer.number = request->asker_number;
        self->effects->send (self->effects, request->asker, ADR__KIND__LIST_ANSWER, &answer.base,
                             event->message.payload);
        s_give_place (self, place);
        return;
    }
    s_remember_why (request, from->text);
    adr_id_t hint = adr_id_of (from->hint);
    if (attempt == request->tries && request->waiting)
        s_go_on (self, place, adr_route_find (s_group (self, request), &hint), false);
}

static void
s_on_map_changed (s_router_t *self, const Adr__MapChanged *changed)
{
    adr_map_t *map = adr_map_read (changed->map);
    if (map == NULL)
        return;
    adr_map_destroy (&self->map);
    self->map = map;
    int before[ADR_GROUPS_MAX];
    uint32_t count = self->routes.group_count;
    for (uint32_t i = 0; i < count; i++)
        before[i] = self->routes.group[i].master;
    adr_routes_update (&self->routes, map, &self->environment->node);
    for (uint32_t i = 0; i < count; i++)
        if (self->routes.group[i].master >= 0 && self->routes.group[i].master != before[i])
            s_nudge (self, i);
}

/* --- the actor ---------------------------------------------------------------------------------------------------- */

static void *
s_create (const adr_environment_t *environment)
{
    s_router_t *self = adr_alloc (sizeof *self);
    self->environment = environment;
    self->map = adr_map_copy (environment->map);
    self->random.state = environment->seed;
    /* Numbers of an earlier life of this edge must not fit. */
    self->serial = adr_random_next (&self->random) >> (S_PLACE_BITS + S_TRY_BITS + 1);
    self->wake_ns = ADR_NEVER;
    adr_routes_update (&self->routes, self->map, &environment->node);
    return self;
}

static void
s_destroy (void **self_p)
{
    s_router_t *self = *self_p;
    if (self == NULL)
        return;
    for (uint32_t place = 0; place < self->places; place++)
        free (s_place (self, place)->kept);
    for (uint32_t i = 0; i < self->places / S_CHUNK; i++)
        free (self->chunk[i]);
    adr_deadlines_free (&self->deadlines);
    adr_routes_free (&self->routes);
    adr_map_destroy (&self->map);
    free (self);
    *self_p = NULL;
}

static void
s_on_message (s_router_t *self, const adr_event_t *event)
{
    const ProtobufCMessage *header = event->message.header;
    switch (event->message.kind) {
    case ADR__KIND__WRITE:
        s_on_request (self, event, s_asked_write (self, (const Adr__Write *) header, event->message.payload));
        break;
    case ADR__KIND__READ:
        s_on_request (self, event, s_asked_read (self, (const Adr__Read *) header));
        break;
    case ADR__KIND__LIST:
        s_on_request (self, event, s_asked_list (self, (const Adr__List *) header));
        break;
    case ADR__KIND__MAP_PULL:
        s_on_map_pull (self, event);
        break;
    case ADR__KIND__ANSWER:
        s_on_answer (self, event);
        break;
    case ADR__KIND__LIST_ANSWER:
        s_on_list_answer (self, event);
        break;
    case ADR__KIND__MAP_CHANGED:
        s_on_map_changed (self, (const Adr__MapChanged *) header);
        break;
    default: /* the table of wire/table.c lets no other kind through */
        self->dropped++;
    }
}

static void
s_arm (s_router_t *self)
{
    int64_t next_ns = adr_deadlines_next (&self->deadlines);
    if (next_ns < self->wake_ns) { /* a later one is found when this wake comes */
        self->wake_ns = next_ns;
        self->effects->wake (self->effects, S_TIMER, next_ns);
    }
}

static void
s_receive (void *actor, const adr_event_t *event, adr_effects_t *effects)
{
    s_router_t *self = actor;
    self->effects = effects;
    self->now_ns = event->now_ns;
    switch (event->kind) {
    case ADR_EVENT_START:
    case ADR_EVENT_DURABLE:
    case ADR_EVENT_JOB_DONE:
        break;
    case ADR_EVENT_MESSAGE:
        s_on_message (self, event);
        break;
    case ADR_EVENT_TIMER:
        s_on_timer (self);
        break;
    case ADR_EVENT_TURN_END:
        s_arm (self);
        break;
    case ADR_EVENT_STOP:
        self->stopping = true;
        break;
    }
}

static void
s_check (const void *actor)
{
    const s_router_t *self = actor;
    uint64_t held = 0;
    adr_deadlines_check (&self->deadlines);
    adr_assert (self->deadlines.count == self->pending && self->pending <= S_PLACES_MAX);
    for (uint32_t i = 0; i < self->deadlines.count; i++) {
        const s_request_t *request = s_place (self, self->deadlines.heap[i].place);
        adr_assert (request->serial != 0 && request->kept != NULL && request->group < self->routes.group_count);
        adr_assert (request->open_count <= S_OPEN_MAX && request->open_count <= request->tries);
        adr_assert (self->deadlines.heap[i].at_ns <= request->limit_ns);
        held += request->kept->size;
    }
    adr_assert (held == self->held);
}

const adr_actor_class_t adr_edge_router_class
    = { ADR_ACTOR_EDGE_ROUTER, s_create, s_destroy, s_receive, s_check };
