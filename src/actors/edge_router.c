/* SPDX-License-Identifier: MPL-2.0 */
/* edge_router: takes requests of clients to the group that owns their partition, and stays with them until they are
 * answered: it tries again elsewhere within the request's time, and ends what got no answer [DESIGN 5, 11].
 *
 * Owns: the requests that wait, each with a copy of what was asked. Makes durable: nothing; an edge that dies forgets
 * them, and their askers try again elsewhere with the same request id [REPL-5]. Implements docs/protocol/edge_router.md;
 * of DESIGN 13, invariant 6: `refused` is said of a write only if every try of it was surely refused.
 *
 * Mailbox: WRITE, READ, LIST, MAP_PULL (clients, or the HTTP edge of this host); WRITE, READ, LIST (own collector);
 *   CONTROL (operators); ANSWER, LIST_ANSWER (replicators); CONTROL_ANSWER (inventory-syncers, scrubbers); MAP_CHANGED (own
 *   map-keeper).
 * Sends: WRITE, READ, LIST (replicators); CONTROL (inventory-syncers, scrubbers); ANSWER, LIST_ANSWER, MAP_PUSH,
 *   CONTROL_ANSWER (the asker).
 *
 *              asked: invalid, busy ----------------------------------> answered
 *                |                                                         ^
 *                v   try                sure answer                        |
 *     +------> TRYING ----------------------------------------------------+
 *     |          | not here, or silence                                    |
 *     | pause    v                          the limit                      |
 *     +------- PAUSING ---------------------------------------------------+
 */

#include "actors/edge_router_private.h"
#include "actors/request_check.h"
#include "wire/map_codec.h"

#include <stdlib.h>

#define S_TIMER 1u
#define S_WRITE_QUIET_NS (600 * ADR_MS)      /* a try of a write without an answer for so long is repeated elsewhere */
#define S_READ_QUIET_NS (250 * ADR_MS)       /* the same for reads and lists: they are cheap to repeat */
#define S_PULLS_A_TURN 64u                   /* maps given out; each costs some 100 us, and its asking twenty bytes */


static const adr_bytes_t s_nothing;

uint64_t
edge_router_token (const edge_router_t *self)
{
    return self->life | (uint64_t) (self->now_ns / ADR_MS);
}

/* An answer of our own making, for a request that got none of a group's. */
void
edge_router_answer (edge_router_t *self, uint16_t asked, adr_address_t asker, uint64_t number, adr_status_t status,
                    const char *text)
{
    if (asked == ADR__KIND__LIST) {
        Adr__ListAnswer answer = ADR__LIST_ANSWER__INIT;
        answer.number = number;
        answer.status = status;
        answer.text = (char *) text;
        answer.token = edge_router_token (self);
        answer.draining = self->draining;
        self->effects->send (self->effects, asker, ADR__KIND__LIST_ANSWER, &answer.base, s_nothing);
        return;
    }
    Adr__Answer answer = ADR__ANSWER__INIT;
    answer.number = number;
    answer.status = status;
    answer.text = (char *) text;
    answer.token = edge_router_token (self);
    answer.draining = self->draining;
    self->effects->send (self->effects, asker, ADR__KIND__ANSWER, &answer.base, s_nothing);
}

/* --- requests ------------------------------------------------------------------------------------------------------ */

/* Which group answers a list. Where a type has one group it holds every key; where it has several, this is the place
 * that asks each and merges [DESIGN 10]. */
static void
s_list_partition (const edge_router_t *self, const Adr__List *list, uint32_t *partition)
{
    ProtobufCBinaryData by = list->partition_by.len ? list->partition_by : list->prefix;
    *partition = adr_partition_of ((uint8_t) list->table, adr_bytes (by.data, by.len), self->map->partition_count);
}

/* What a request is, before it has a place. */
typedef struct {
    uint16_t kind;
    uint64_t number;
    uint32_t limit_ms, age_ms;
    uint64_t token;
    uint32_t token_ms;
    adr_node_type_t type;
    uint32_t partition;
    size_t bytes; /* that it would keep, about */
    bool collectors; /* writes rows that are the collector's alone */
    const char *wrong;
} s_asked_t;

/* [EDGE-6] A log time that was over when the request was first sent: what we had seen of its group when we gave the asker its
 * token, and three times as long before as the request is older than that token, for log time gains at most two seconds
 * in one [PART-4], and clocks' rates differ. 0 for the token of another edge, or of another life of this one. */
static uint64_t
s_stamp (const edge_router_t *self, uint32_t group, const s_asked_t *asked)
{
    uint64_t ms = asked->token & ((UINT64_C (1) << ADR_TOKEN_MS_BITS) - 1);
    if (ADR_PLANT (EDGE_6_STAMPED_ON_ARRIVAL))
        return self->routes.group[group].seen_ms;
    if (asked->token - ms != self->life)
        return 0;
    uint64_t seen_ms = adr_route_time_at (&self->routes.group[group], (int64_t) ms * ADR_MS);
    uint64_t back_ms = 3 * (uint64_t) asked->token_ms;
    return seen_ms > back_ms ? seen_ms - back_ms : 0;
}

/* [OBJECT-1, OBJECT-4] */
static bool
s_is_collectors (const Adr__Write *write)
{
    for (size_t i = 0; i < write->n_op; i++) {
        const Adr__Op *op = write->op[i];
        if (op->table == ADR_TABLE_GARBAGE || (op->table == ADR_TABLE_PENDING && (op->delete_ || adr_get_be64 (op->key.data) == 0)))
            return true;
    }
    return false;
}

static s_asked_t
s_asked_write (const edge_router_t *self, const Adr__Write *write, adr_bytes_t payload)
{
    s_asked_t asked = { .kind = ADR__KIND__WRITE, .number = write->number, .limit_ms = write->limit_ms,
                        .age_ms = write->age_ms, .token = write->token, .token_ms = write->token_ms,
                        .bytes = sizeof (edge_kept_t) + edge_router_write_size (write, payload.size) };
    asked.wrong = adr_request_wrong_write (write, payload.size, self->map->partition_count, &asked.type,
                                           &asked.partition);
    asked.collectors = asked.wrong == NULL && s_is_collectors (write);
    return asked;
}

static s_asked_t
s_asked_read (const edge_router_t *self, const Adr__Read *read)
{
    s_asked_t asked = { .kind = ADR__KIND__READ, .number = read->number, .limit_ms = read->limit_ms,
                        .bytes = sizeof (edge_kept_t) + read->key.len };
    asked.wrong = adr_request_wrong_key (read->table, read->key.len, &asked.type);
    if (asked.wrong == NULL)
        asked.partition = adr_partition_of ((uint8_t) read->table, adr_bytes (read->key.data, read->key.len),
                                            self->map->partition_count);
    return asked;
}

static s_asked_t
s_asked_list (const edge_router_t *self, const Adr__List *list)
{
    s_asked_t asked = { .kind = ADR__KIND__LIST, .number = list->number, .limit_ms = list->limit_ms,
                        .bytes = sizeof (edge_kept_t) + 3 * ADR_KEY_MAX };
    if (!adr_table_type (list->table, &asked.type))
        asked.wrong = "there is no such table";
    else if (list->prefix.len > ADR_KEY_MAX || list->after.len > ADR_KEY_MAX || list->partition_by.len > ADR_KEY_MAX)
        asked.wrong = "a key has at most 1100 bytes";
    else
        s_list_partition (self, list, &asked.partition);
    return asked;
}

/* [USER-2] NULL, or why he may not. */
static const char *
s_is_denied (const adr_event_t *event, const s_asked_t *asked)
{
    adr_node_type_t role = event->message.from_type;
    bool write = asked->kind == ADR__KIND__WRITE;
    if (asked->type == ADR_NODE_PKI && write)
        return "these tables are written by PKI nodes";
    if (asked->type == ADR_NODE_PKI && role != ADR_NODE_READER && role != ADR_NODE_OPERATOR && role != ADR_NODE_ADMIN)
        return "these tables are for readers, operators and admins";
    bool may = role == ADR_NODE_CLIENT || role == ADR_NODE_OPERATOR || role == ADR_NODE_ADMIN || role == ADR_NODE_EDGE; /* its collector */
    return write && !may ? "a reader changes nothing" : NULL;
}

/* Why the request is answered at once, and with which status; OK if it is not. */
static adr_status_t
s_turn_away (edge_router_t *self, const adr_event_t *event, const s_asked_t *asked, const char **why)
{
    *why = asked->wrong;
    if (*why == NULL && (asked->limit_ms == 0 || asked->limit_ms > ADR_REQUEST_TIME_MAX_MS))
        *why = "the limit is 1 to 60000 ms";
    if (*why)
        return ADR_STATUS_INVALID;
    *why = s_is_denied (event, asked);
    if (*why) {
        edge_router_note_denied (self, event, *why);
        return ADR_STATUS_DENIED;
    }
    if (asked->collectors && event->message.from.actor != ADR_ACTOR_COLLECTOR) {
        *why = "these rows are the collector's";
        return ADR_STATUS_DENIED;
    }
    if (asked->age_ms > ADR_REQUEST_TIME_MAX_MS) {
        *why = "too old to be tried again";
        return ADR_STATUS_UNKNOWN;
    }
    if (self->stopping || self->pending == PLACES_MAX
        || self->held + asked->bytes > self->settings.request_max_bytes) {
        ADR_MARK ("edge: a request is refused because too many wait");
        *why = self->stopping ? "this edge is stopping" : "busy: this edge holds as many requests as it may";
        return ADR_STATUS_REFUSED;
    }
    *why = "no group of that type owns this partition yet";
    return adr_routes_owner (&self->routes, asked->type, asked->partition) < 0 ? ADR_STATUS_REFUSED : ADR_STATUS_OK;
}

static void
s_on_request (edge_router_t *self, const adr_event_t *event, s_asked_t asked)
{
    const char *why;
    adr_status_t status = s_turn_away (self, event, &asked, &why);
    if (status != ADR_STATUS_OK) {
        edge_router_answer (self, asked.kind, event->message.from, asked.number, status, why);
        return;
    }
    uint32_t place = edge_router_take_place (self);
    edge_request_t *request = edge_router_place (self, place);
    bool write = asked.kind == ADR__KIND__WRITE;
    int64_t limit_ns = asked.limit_ms * ADR_MS;
    if (write && limit_ns > self->settings.write_timeout_ns)
        limit_ns = self->settings.write_timeout_ns;
    request->asker = event->message.from;
    request->asker_number = asked.number;
    request->kind = asked.kind;
    request->kept = edge_router_keep (event);
    request->group = (uint32_t) adr_routes_owner (&self->routes, asked.type, asked.partition);
    request->age_ms = asked.age_ms;
    request->arrived_ns = self->now_ns;
    request->limit_ns = self->now_ns + limit_ns;
    request->quiet_ns = write ? S_WRITE_QUIET_NS : S_READ_QUIET_NS;
    request->seen_ms = s_stamp (self, request->group, &asked);
    self->held += request->kept->size;
    edge_router_try (self, place);
}

static void
s_on_map_pull (edge_router_t *self, const adr_event_t *event)
{
    const Adr__MapPull *pull = (const Adr__MapPull *) event->message.header;
    adr_arena_t arena;
    if (++self->pulls > S_PULLS_A_TURN) { /* who asks in earnest asks again */
        self->dropped++;
        return;
    }
    adr_arena_init (&arena, 16 * 1024, 64 * 1024 * 1024);
    adr_map_grow_older (self->map, &self->map_ns, self->now_ns);
    Adr__MapPush push = ADR__MAP_PUSH__INIT;
    push.number = pull->number;
    push.map = adr_map_message (self->map, &arena);
    push.token = edge_router_token (self);
    self->effects->send (self->effects, event->message.from, ADR__KIND__MAP_PUSH, &push.base, s_nothing);
    adr_arena_free (&arena);
}

/* [EDGE-9] Nothing is refused for it: whoever has begun something in several requests ends it here, or goes on by another edge. */
static void
s_learn_draining (edge_router_t *self)
{
    const adr_map_node_t *own = adr_map_node (self->map, &self->environment->node);
    bool draining = own && own->leaving && !own->evicted;
    if (draining != self->draining && self->effects)
        adr_note (self->effects, ADR_LEVEL_NOTE, draining ? "this edge is drained -> clients are told to ask others" : "this edge is taken back -> clients may stay");
    self->draining = draining;
}

static void
s_on_map_changed (edge_router_t *self, const Adr__MapChanged *changed)
{
    adr_map_t *map = adr_map_read (changed->map);
    if (map == NULL)
        return;
    adr_map_destroy (&self->map);
    self->map = map;
    self->map_ns = self->now_ns;
    s_learn_draining (self);
    (void) adr_obeyed_update (&self->obeyed, &self->settings, changed->map); /* [SET-2] of requests from now on */
    int before[ADR_GROUPS_MAX];
    uint32_t count = self->routes.group_count;
    for (uint32_t i = 0; i < count; i++)
        before[i] = self->routes.group[i].master;
    adr_routes_update (&self->routes, map, &self->environment->node);
    for (uint32_t i = 0; i < count; i++)
        if (self->routes.group[i].master >= 0 && self->routes.group[i].master != before[i])
            self->nudge[i] = self->nudge_due = true;
}

/* --- the actor ----------------------------------------------------------------------------------------------------- */

static void *
s_create (const adr_environment_t *environment)
{
    edge_router_t *self = adr_alloc (sizeof *self);
    self->environment = environment;
    adr_obeyed_init (&self->obeyed, environment, &self->settings);
    self->map = adr_map_copy (environment->map);
    s_learn_draining (self);
    self->random.state = environment->seed;
    /* Numbers of an earlier life of this edge must not fit. */
    self->serial = adr_random_next (&self->random) >> (PLACE_BITS + TRY_BITS + 1);
    self->control_number = self->serial;
    self->life = (adr_random_next (&self->random) | UINT64_C (1) << ADR_TOKEN_MS_BITS) & ~((UINT64_C (1) << ADR_TOKEN_MS_BITS) - 1);
    self->wake_ns = ADR_NEVER;
    adr_routes_update (&self->routes, self->map, &environment->node);
    return self;
}

static void
s_destroy (void **self_p)
{
    edge_router_t *self = *self_p;
    if (self == NULL)
        return;
    for (uint32_t place = 0; place < self->places; place++)
        free (edge_router_place (self, place)->kept);
    for (uint32_t i = 0; i < self->places / CHUNK; i++)
        free (self->chunk[i]);
    adr_deadlines_free (&self->deadlines);
    adr_routes_free (&self->routes);
    adr_map_destroy (&self->map);
    free (self);
    *self_p = NULL;
}

static void
s_on_message (edge_router_t *self, const adr_event_t *event)
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
    case ADR__KIND__CONTROL:
        edge_router_on_control (self, event);
        break;
    case ADR__KIND__CONTROL_ANSWER:
        edge_router_on_control_answer (self, event);
        break;
    case ADR__KIND__ANSWER:
        edge_router_on_answer (self, event);
        break;
    case ADR__KIND__LIST_ANSWER:
        edge_router_on_list_answer (self, event);
        break;
    case ADR__KIND__MAP_CHANGED:
        s_on_map_changed (self, (const Adr__MapChanged *) header);
        break;
    default: /* the table of wire/table.c lets no other kind through */
        self->dropped++;
    }
}

static void
s_arm (edge_router_t *self)
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
    edge_router_t *self = actor;
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
        edge_router_on_timer (self);
        break;
    case ADR_EVENT_TURN_END:
        self->pulls = 0;
        edge_router_nudge (self);
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
    const edge_router_t *self = actor;
    uint64_t held = 0;
    adr_deadlines_check (&self->deadlines);
    adr_assert (self->deadlines.count == self->pending && self->pending <= PLACES_MAX);
    for (uint32_t i = 0; i < self->deadlines.count; i++) {
        const edge_request_t *request = edge_router_place (self, self->deadlines.heap[i].place);
        adr_assert (request->serial != 0 && request->kept != NULL && request->group < self->routes.group_count);
        adr_assert (request->open_count <= OPEN_MAX && request->open_count <= request->tries);
        adr_assert (self->deadlines.heap[i].at_ns <= request->limit_ns);
        held += request->kept->size;
    }
    adr_assert (held == self->held);
}

const adr_actor_class_t adr_edge_router_class
    = { ADR_ACTOR_EDGE_ROUTER, s_create, s_destroy, s_receive, s_check };
