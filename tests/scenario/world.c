/* SPDX-License-Identifier: MPL-2.0 */
/* The small world of elections: see world.h. */

#include "world.h"

#include "store/store.h"
#include "wire/pack.h"
#include "wire/table.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define S_LINK_NS (1 * ADR_MS)

typedef enum { S_MESSAGE, S_DURABLE, S_FENCE_DURABLE } s_what_t;

struct world_message {
    world_message_t *next;
    int64_t due_ns;
    uint64_t sequence;
    s_what_t what;
    int from, to;
    adr_actor_kind_t from_actor, to_actor;
    uint64_t life;  /* the receiver's boot that it is for; 0: any */
    uint64_t token; /* of a persist, or the fence's term */
    int state_at;
    uint16_t kind;
    size_t size;
    uint8_t bytes[];
};

/* Effects of one actor's turn. */
typedef struct {
    adr_effects_t base;
    world_t *world;
    int node;
    adr_actor_kind_t actor;
} s_effects_t;

static const char *const s_state_name[] = { "vote", "promise" };

static void ADR_PRINTF (2, 3)
s_trace (world_t *self, const char *format, ...)
{
    char line[1024];
    if (self->trace == NULL)
        return;
    int size = snprintf (line, sizeof line, "%6" PRId64 " ", self->time_ns / ADR_MS);
    va_list arguments;
    va_start (arguments, format);
    vsnprintf (line + size, sizeof line - (size_t) size, format, arguments);
    va_end (arguments);
    self->trace (self, line);
}

static void
s_break (world_t *self, const char *what)
{
    if (self->broken[0] == '\0')
        snprintf (self->broken, sizeof self->broken, "%s", what);
    s_trace (self, "BROKEN: %s", what);
}

int64_t
world_clock (const world_t *self, int node)
{
    const world_node_t *at = &self->node[node];
    return at->offset_ns + self->time_ns / 1000 * at->rate_permille;
}

/* The world's time at which the node's clock shows `clock_ns`. */
static int64_t
s_time_of (const world_node_t *at, int64_t clock_ns)
{
    if (clock_ns == ADR_NEVER)
        return ADR_NEVER;
    return ((clock_ns - at->offset_ns) / at->rate_permille + 1) * 1000;
}

/* --- printing -------------------------------------------------------------------------------------------------- */

static const char *
s_node_name (const world_t *self, ProtobufCBinaryData id)
{
    for (int i = 0; i < self->node_count; i++)
        if (id.len == ADR_ID_SIZE && memcmp (id.data, self->node[i].id.bytes, ADR_ID_SIZE) == 0)
            return self->node[i].name;
    return id.len == 0 ? "nobody" : "stranger";
}

static size_t
s_print_set (const world_t *self, const Adr__VoterSet *set, char *text, size_t room)
{
    size_t size = 0;
    for (size_t i = 0; i < set->n_voter; i++) {
        size += (size_t) snprintf (text + size, room - size, "%s%s", i ? "," : "",
                                   s_node_name (self, set->voter[i]->node));
        if (set->voter[i]->incarnation != 1)
            size += (size_t) snprintf (text + size, room - size, "~%" PRIu64, set->voter[i]->incarnation);
    }
    return size;
}

static uint64_t
s_number (const ProtobufCFieldDescriptor *field, const void *at)
{
    switch (field->type) {
    case PROTOBUF_C_TYPE_UINT32:
    case PROTOBUF_C_TYPE_FIXED32:
    case PROTOBUF_C_TYPE_ENUM:
        return *(const uint32_t *) at;
    case PROTOBUF_C_TYPE_BOOL:
        return *(const protobuf_c_boolean *) at != 0;
    default:
        return *(const uint64_t *) at;
    }
}

/* Zeros are left out, as on the wire. */
static size_t
s_print_field (const world_t *self, const ProtobufCFieldDescriptor *field, const void *at, char *text, size_t room)
{
    if (field->label == PROTOBUF_C_LABEL_REPEATED)
        return 0;
    if (field->type == PROTOBUF_C_TYPE_BYTES)
        return (size_t) snprintf (text, room, " %s=%s", field->name, s_node_name (self, *(const ProtobufCBinaryData *) at));
    if (field->type == PROTOBUF_C_TYPE_STRING)
        return (size_t) snprintf (text, room, " %s='%s'", field->name, *(const char *const *) at);
    if (field->type == PROTOBUF_C_TYPE_MESSAGE) {
        const Adr__VoterSet *set = *(const Adr__VoterSet *const *) at;
        if (set == NULL || field->descriptor != &adr__voter_set__descriptor)
            return 0;
        size_t size = (size_t) snprintf (text, room, " %s=", field->name);
        return size + s_print_set (self, set, text + size, room - size);
    }
    uint64_t value = s_number (field, at);
    if (value == 0)
        return 0;
    if (field->type == PROTOBUF_C_TYPE_BOOL)
        return (size_t) snprintf (text, room, " %s", field->name);
    size_t name = strlen (field->name);
    if (name > 3 && strcmp (field->name + name - 3, "_ns") == 0)
        return (size_t) snprintf (text, room, " %.*s_ms=%" PRId64, (int) name - 3, field->name, (int64_t) value / ADR_MS);
    if (value >> 32)
        return (size_t) snprintf (text, room, " %s=%" PRIu64 ":%u", field->name, value >> 32, (uint32_t) value);
    return (size_t) snprintf (text, room, " %s=%" PRIu64, field->name, value);
}

void
world_print (const world_t *self, const ProtobufCMessage *header, char *text, size_t room)
{
    size_t size = 0;
    text[0] = '\0';
    for (unsigned i = 0; i < header->descriptor->n_fields; i++) {
        const ProtobufCFieldDescriptor *field = &header->descriptor->fields[i];
        size += s_print_field (self, field, (const char *) header + field->offset, text + size, room - size);
    }
}

/* MASTER goes to three actors of the node; the one to the replicator stands for all. */
static bool
s_is_shown (const world_t *self, uint16_t kind, adr_actor_kind_t to)
{
    if (kind == ADR__KIND__MASTER && to != ADR_ACTOR_REPLICATOR)
        return false;
    return self->trace != NULL && (self->shown[kind / 64] >> kind % 64 & 1);
}

static void
s_trace_message (world_t *self, const world_message_t *message, const ProtobufCMessage *header, const char *fate)
{
    char text[768];
    if (!s_is_shown (self, message->kind, message->to_actor))
        return;
    world_print (self, header, text, sizeof text);
    s_trace (self, "%s.%s -> %s.%s %s%s%s", self->node[message->from].name, adr_actor_name (message->from_actor),
             self->node[message->to].name, adr_actor_name (message->to_actor), adr_kind_name (message->kind), text,
             fate);
}

/* --- queues ---------------------------------------------------------------------------------------------------- */

static void
s_insert (world_message_t **list, world_message_t *message)
{
    while (*list != NULL && ((*list)->due_ns < message->due_ns
                             || ((*list)->due_ns == message->due_ns && (*list)->sequence < message->sequence)))
        list = &(*list)->next;
    message->next = *list;
    *list = message;
}

static world_message_t *
s_new_message (world_t *self, s_what_t what, int node, size_t size)
{
    world_message_t *message = adr_alloc (sizeof *message + size);
    message->what = what;
    message->from = message->to = node;
    message->sequence = ++self->sequence;
    message->size = size;
    return message;
}

static const world_rule_t *
s_rule_for (const world_t *self, const world_message_t *message)
{
    for (int i = self->rule_count - 1; i >= 0; i--) {
        const world_rule_t *rule = &self->rule[i];
        if ((rule->from < 0 || rule->from == message->from) && (rule->to < 0 || rule->to == message->to)
            && (rule->kind == 0 || rule->kind == message->kind)
            && (message->from != message->to || (rule->from >= 0 && rule->from == rule->to)))
            return rule;
    }
    return NULL;
}

/* Two actors of one node keep their order, however late each message is. */
static int64_t
s_due (world_t *self, const world_message_t *message)
{
    bool local = message->from == message->to;
    int64_t due_ns = self->time_ns + (local ? 0 : S_LINK_NS);
    /* A mailbox is read at once, but for the rare actor that was not scheduled. */
    bool slow = self->wild && local && adr_random_between (&self->random, 0, 99) < 3;
    if (self->wild)
        due_ns += adr_random_between (&self->random, 0,
                                      !local ? self->delay_max_ns : slow ? self->local_delay_max_ns : ADR_MS / 10);
    if (local)
        for (const world_message_t *at = self->queue; at != NULL; at = at->next)
            if (at->what == S_MESSAGE && at->from == message->from && at->to == message->to
                && at->from_actor == message->from_actor && at->to_actor == message->to_actor && at->due_ns > due_ns)
                due_ns = at->due_ns;
    return due_ns;
}

void
world_send (world_t *self, int from, adr_actor_kind_t from_actor, int to, adr_actor_kind_t to_actor, uint16_t kind,
            const ProtobufCMessage *header)
{
    size_t size = protobuf_c_message_get_packed_size (header);
    world_message_t *message = s_new_message (self, S_MESSAGE, from, size);
    message->to = to;
    message->from_actor = from_actor;
    message->to_actor = to_actor;
    message->kind = kind;
    protobuf_c_message_pack (header, message->bytes);
    message->life = from == to ? self->node[to].boot : 0;
    message->due_ns = s_due (self, message);
    const world_rule_t *rule = s_rule_for (self, message);
    bool lost = self->wild && from != to && adr_random_between (&self->random, 0, 999) < self->loss_permille;
    s_trace_message (self, message, header, rule == NULL ? lost ? " (lost)" : "" : rule->hold ? " (held)" : " (lost)");
    if (rule != NULL && rule->hold)
        s_insert (&self->held, message);
    else if (rule != NULL || lost)
        free (message);
    else
        s_insert (&self->queue, message);
}

void
world_free (world_t *self, uint16_t kind)
{
    world_message_t *held = self->held;
    self->held = NULL;
    while (held != NULL) {
        world_message_t *message = held;
        held = held->next;
        if (kind != 0 && message->kind != kind) {
            s_insert (&self->held, message);
            continue;
        }
        message->due_ns = s_due (self, message);
        s_insert (&self->queue, message);
    }
}

/* What was under way within a node that crashes. */
static void
s_drop_own (world_message_t **list, int node)
{
    while (*list != NULL) {
        world_message_t *message = *list;
        if (message->to != node || message->from != node) {
            list = &message->next;
            continue;
        }
        *list = message->next;
        free (message);
    }
}

/* --- effects --------------------------------------------------------------------------------------------------- */

static int
s_place_of (const world_t *self, const adr_id_t *id)
{
    for (int i = 0; i < self->node_count; i++)
        if (adr_id_equal (&self->node[i].id, id))
            return i;
    return -1;
}

static void
s_effect_send (adr_effects_t *base, adr_address_t to, uint16_t kind, const ProtobufCMessage *header,
               adr_bytes_t payload)
{
    s_effects_t *self = (s_effects_t *) base;
    int place = s_place_of (self->world, &to.node);
    adr_assert (place >= 0 && payload.size == 0);
    adr_assert (adr_message_allowed (kind, ADR_NODE_META, self->actor, to.actor, place == self->node));
    world_send (self->world, self->node, self->actor, place, to.actor, kind, header);
}

static void
s_effect_wake (adr_effects_t *base, uint32_t timer, int64_t at_ns)
{
    s_effects_t *self = (s_effects_t *) base;
    adr_assert (timer < 4);
    self->world->node[self->node].timer_ns[self->actor][timer] = at_ns;
}

static void
s_effect_persist (adr_effects_t *base, const char *name, adr_bytes_t value, uint64_t token)
{
    s_effects_t *self = (s_effects_t *) base;
    world_t *world = self->world;
    world_node_t *node = &world->node[self->node];
    world_message_t *message = s_new_message (world, S_DURABLE, self->node, value.size);
    message->state_at = strcmp (name, "vote") == 0 ? 0 : 1;
    adr_assert (strcmp (name, s_state_name[message->state_at]) == 0 && value.size <= 64);
    memcpy (message->bytes, value.data, value.size);
    message->token = token;
    message->to_actor = self->actor;
    message->life = node->boot;
    int64_t wait_ns = world->wild ? adr_random_between (&world->random, 0, node->disk_ns) : node->disk_ns;
    message->due_ns = world->time_ns + wait_ns;
    for (const world_message_t *at = world->queue; at != NULL; at = at->next)
        if (at->what == S_DURABLE && at->to == self->node && at->due_ns > message->due_ns)
            message->due_ns = at->due_ns;
    if (message->state_at == 0)
        s_trace (world, "%s.%s persists vote term=%" PRIu64 " candidate=%s%s", node->name, adr_actor_name (self->actor),
                 adr_get_u64 (value.data),
                 s_node_name (world, (ProtobufCBinaryData){ ADR_ID_SIZE, (uint8_t *) value.data + 8 }),
                 node->disk_held ? " (held)" : "");
    else
        s_trace (world, "%s.%s persists promise ms=%" PRIu64 "%s", node->name, adr_actor_name (self->actor),
                 adr_get_u64 (value.data), node->disk_held ? " (held)" : "");
    s_insert (node->disk_held ? &world->held : &world->queue, message);
}

static void
s_effect_note (adr_effects_t *base, adr_level_t level, const char *text)
{
    static const char *const s_level[] = { "error", "warning", "note" };
    s_effects_t *self = (s_effects_t *) base;
    if (level == ADR_LEVEL_TRACE)
        return;
    if (level == ADR_LEVEL_ERROR)
        s_break (self->world, text);
    s_trace (self->world, "%s.%s %s: %s", self->world->node[self->node].name, adr_actor_name (self->actor),
             s_level[level], text);
}

static void
s_effect_fatal (adr_effects_t *base, const char *why)
{
    s_break (((s_effects_t *) base)->world, why);
}

static s_effects_t
s_effects (world_t *self, int node, adr_actor_kind_t actor)
{
    return (s_effects_t){ { s_effect_send, s_effect_wake, s_effect_persist, s_effect_note, s_effect_fatal },
                          self, node, actor };
}

static void
s_deliver (world_t *self, int node, adr_actor_kind_t actor, adr_event_t *event)
{
    world_node_t *at = &self->node[node];
    s_effects_t effects = s_effects (self, node, actor);
    const adr_actor_class_t *class
        = actor == ADR_ACTOR_ELECTION ? &adr_election_class : &adr_health_checker_class;
    void *object = actor == ADR_ACTOR_ELECTION ? at->election : at->health_checker;
    event->now_ns = world_clock (self, node);
    class->receive (object, event, &effects.base);
    class->receive (object, &(adr_event_t){ .kind = ADR_EVENT_TURN_END, .now_ns = event->now_ns }, &effects.base);
    class->check (object);
}

/* --- the replicator that is not one ---------------------------------------------------------------------------- */

void
world_say_voters (world_t *self, int node)
{
    world_replicator_t *at = &self->node[node].replicator;
    Adr__Voters voters = ADR__VOTERS__INIT;
    adr_voter_set_t set;
    voters.voters = adr_voter_set_fill (&set, &at->voters);
    voters.last_term = at->last.term;
    voters.last_index = at->last.index;
    voters.term = at->fence;
    voters.may_stand = at->may_stand;
    voters.space = at->space;
    world_send (self, node, ADR_ACTOR_REPLICATOR, node, ADR_ACTOR_ELECTION, ADR__KIND__VOTERS, &voters.base);
}

bool
world_has_lease (const world_t *self, int node)
{
    const world_replicator_t *at = &self->node[node].replicator;
    uint32_t live = 0;
    if (!self->node[node].up || at->leading == 0 || at->lease_given_up)
        return false;
    for (uint32_t i = 0; i < at->voters.count; i++) {
        const adr_voter_t *voter = &at->voters.voter[i];
        int place = s_place_of (self, &voter->node);
        if (place == node)
            live++;
        else if (place >= 0 && at->answer[place].voter.incarnation == voter->incarnation
                 && at->answer[place].until_ns > world_clock (self, node))
            live++;
    }
    return live >= adr_majority (at->voters.count);
}

static void
s_on_fence (world_t *self, int node, const Adr__Fence *fence)
{
    world_replicator_t *at = &self->node[node].replicator;
    if (fence->term < at->fence) {
        Adr__Fenced fenced = ADR__FENCED__INIT;
        fenced.term = at->fence;
        fenced.refused = true;
        world_send (self, node, ADR_ACTOR_REPLICATOR, node, ADR_ACTOR_ELECTION, ADR__KIND__FENCED, &fenced.base);
        return;
    }
    at->fence = fence->term;
    if (at->leading < fence->term)
        at->leading = 0;
    world_message_t *message = s_new_message (self, S_FENCE_DURABLE, node, 0);
    message->life = self->node[node].boot;
    message->token = fence->term;
    message->due_ns = self->time_ns + self->node[node].disk_ns;
    s_insert (self->node[node].disk_held ? &self->held : &self->queue, message);
}

static void
s_on_fence_durable (world_t *self, int node, uint64_t term)
{
    world_replicator_t *at = &self->node[node].replicator;
    Adr__Fenced fenced = ADR__FENCED__INIT;
    adr_voter_set_t set;
    fenced.term = term;
    fenced.refused = at->fence > term;
    if (fenced.refused)
        fenced.term = at->fence;
    fenced.last_term = at->last.term;
    fenced.last_index = at->last.index;
    fenced.voters = adr_voter_set_fill (&set, &at->voters);
    world_send (self, node, ADR_ACTOR_REPLICATOR, node, ADR_ACTOR_ELECTION, ADR__KIND__FENCED, &fenced.base);
}

static void
s_on_lead (world_t *self, int node, const Adr__Lead *lead)
{
    world_replicator_t *at = &self->node[node].replicator;
    if (lead->term != at->fence)
        return;
    if (lead->term < 4096 && self->led[lead->term] != 0 && self->led[lead->term] != (uint64_t) node + 1)
        s_break (self, "two masters in one term");
    if (lead->term < 4096)
        self->led[lead->term] = (uint64_t) node + 1;
    at->leading = lead->term;
    at->lease_given_up = false;
    memset (at->answer, 0, sizeof at->answer);
    at->last = (adr_position_t){ lead->term, at->last.index + 1 };
    world_say_voters (self, node);
}

static void
s_on_answered (world_t *self, int node, const Adr__Answered *answered)
{
    world_replicator_t *at = &self->node[node].replicator;
    adr_id_t voter = adr_id_of (answered->voter);
    int place = s_place_of (self, &voter);
    int64_t until_ns = answered->sent_ns + (int64_t) answered->promise_ms * ADR_MS / 10 * 9;
    if (answered->term != at->leading || place < 0)
        return;
    at->answer[place].voter = (adr_voter_t){ voter, answered->incarnation };
    if (until_ns > at->answer[place].until_ns)
        at->answer[place].until_ns = until_ns;
}

/* Replication by evidence: whoever hears its master has its log. */
static void
s_on_evidence (world_t *self, int node, const Adr__Evidence *evidence)
{
    world_replicator_t *at = &self->node[node].replicator;
    adr_id_t master = adr_id_of (evidence->master);
    int place = s_place_of (self, &master);
    if (place < 0 || !self->node[place].up)
        return;
    const world_replicator_t *its = &self->node[place].replicator;
    if (evidence->term < at->fence || its->leading != evidence->term
        || adr_position_compare (its->last, at->last) <= 0)
        return;
    at->last = its->last;
    at->voters = its->voters;
    at->fence = evidence->term;
    world_say_voters (self, node);
}

static void
s_on_replicator_ping (world_t *self, int node, const Adr__Ping *ping)
{
    world_replicator_t *at = &self->node[node].replicator;
    Adr__Pong pong = ADR__PONG__INIT;
    pong.number = ping->number;
    pong.last_term = at->last.term;
    pong.last_index = at->last.index;
    pong.state = at->state;
    pong.space = at->space;
    pong.handing_over = at->lease_given_up;
    world_send (self, node, ADR_ACTOR_REPLICATOR, node, ADR_ACTOR_HEALTH_CHECKER, ADR__KIND__PONG, &pong.base);
}

static void
s_to_replicator (world_t *self, int node, uint16_t kind, const ProtobufCMessage *header)
{
    world_replicator_t *at = &self->node[node].replicator;
    switch (kind) {
    case ADR__KIND__FENCE:
        s_on_fence (self, node, (const Adr__Fence *) header);
        break;
    case ADR__KIND__LEAD:
        s_on_lead (self, node, (const Adr__Lead *) header);
        break;
    case ADR__KIND__STOOD_DOWN:
        if (((const Adr__StoodDown *) header)->term != at->leading)
            break;
        at->lease_given_up = true;
        if (!((const Adr__StoodDown *) header)->lease_only)
            at->leading = 0;
        break;
    case ADR__KIND__ANSWERED:
        s_on_answered (self, node, (const Adr__Answered *) header);
        break;
    case ADR__KIND__EVIDENCE:
        s_on_evidence (self, node, (const Adr__Evidence *) header);
        break;
    case ADR__KIND__PING:
        s_on_replicator_ping (self, node, (const Adr__Ping *) header);
        break;
    default:
        break;
    }
}

/* --- the course of time ---------------------------------------------------------------------------------------- */

/* A lease means that nobody leads in a higher term. */
static void
s_watch (world_t *self)
{
    for (int i = 0; i < self->node_count; i++) {
        if (!world_has_lease (self, i))
            continue;
        for (int k = 0; k < self->node_count; k++)
            if (self->node[k].up && self->node[k].replicator.leading > self->node[i].replicator.leading)
                s_break (self, "a lease overlaps a newer mastership");
    }
}

int
world_master (const world_t *self)
{
    int master = -1;
    for (int i = 0; i < self->node_count; i++)
        if (self->node[i].up && self->node[i].replicator.leading != 0
            && (master < 0 || self->node[i].replicator.leading > self->node[master].replicator.leading))
            master = i;
    return master;
}

static void
s_deliver_message (world_t *self, const world_message_t *message)
{
    const adr_kind_row_t *row = adr_kind_row (message->kind);
    ProtobufCMessage *header = protobuf_c_message_unpack (row->descriptor, NULL, message->size, message->bytes);
    adr_assert (header != NULL);
    if (message->to_actor == ADR_ACTOR_REPLICATOR) {
        s_to_replicator (self, message->to, message->kind, header);
    } else if (message->to_actor == ADR_ACTOR_ELECTION || message->to_actor == ADR_ACTOR_HEALTH_CHECKER) {
        adr_event_t event = { .kind = ADR_EVENT_MESSAGE,
                              .message = { { self->node[message->from].id, message->from_actor }, ADR_NODE_META, NULL, 0,
                                           message->kind, header, { NULL, 0 } } };
        s_deliver (self, message->to, message->to_actor, &event);
    }
    protobuf_c_message_free_unpacked (header, NULL);
}

static void
s_happen (world_t *self, const world_message_t *message)
{
    world_node_t *node = &self->node[message->to];
    if (!node->up || (message->life != 0 && message->life != node->boot))
        return;
    switch (message->what) {
    case S_MESSAGE:
        s_deliver_message (self, message);
        break;
    case S_DURABLE:
        memcpy (node->state[message->state_at], message->bytes, message->size);
        node->state_size[message->state_at] = (int) message->size;
        s_deliver (self, message->to, message->to_actor,
                   &(adr_event_t){ .kind = ADR_EVENT_DURABLE, .token = message->token });
        break;
    case S_FENCE_DURABLE:
        s_on_fence_durable (self, message->to, message->token);
        break;
    }
}

/* The next timer of any node; its time, or ADR_NEVER. */
static int64_t
s_next_timer (const world_t *self, int *node, int *actor, int *timer)
{
    int64_t next_ns = ADR_NEVER;
    for (int i = 0; i < self->node_count; i++)
        for (int k = 0; self->node[i].up && !self->node[i].paused && k < ADR_ACTOR_COUNT; k++)
            for (int t = 0; t < 4; t++) {
                int64_t at_ns = s_time_of (&self->node[i], self->node[i].timer_ns[k][t]);
                if (at_ns < next_ns) {
                    next_ns = at_ns;
                    *node = i;
                    *actor = k;
                    *timer = t;
                }
            }
    return next_ns;
}

/* The first message whose receiver is not paused. */
static world_message_t **
s_next_message (world_t *self)
{
    world_message_t **at = &self->queue;
    while (*at != NULL && self->node[(*at)->to].paused)
        at = &(*at)->next;
    return at;
}

bool
world_step (world_t *self, int64_t until_ns)
{
    int node = 0, actor = 0, timer = 0;
    int64_t timer_ns = s_next_timer (self, &node, &actor, &timer);
    world_message_t **at = s_next_message (self);
    if (*at != NULL && (*at)->due_ns <= until_ns && (*at)->due_ns <= timer_ns) {
        world_message_t *message = *at;
        *at = message->next;
        if (message->due_ns > self->time_ns)
            self->time_ns = message->due_ns;
        s_happen (self, message);
        free (message);
    } else if (timer_ns <= until_ns) {
        if (timer_ns > self->time_ns)
            self->time_ns = timer_ns;
        self->node[node].timer_ns[actor][timer] = ADR_NEVER;
        s_deliver (self, node, (adr_actor_kind_t) actor,
                   &(adr_event_t){ .kind = ADR_EVENT_TIMER, .timer = (uint32_t) timer });
    } else {
        return false;
    }
    s_watch (self);
    return true;
}

void
world_run (world_t *self, int64_t until_ns)
{
    while (world_step (self, until_ns)) {
    }
    if (self->time_ns < until_ns)
        self->time_ns = until_ns;
}

/* --- nodes ----------------------------------------------------------------------------------------------------- */

world_t *
world_new (uint64_t seed)
{
    world_t *self = adr_alloc (sizeof *self);
    self->seed = seed;
    self->random.state = seed;
    adr_settings_default (&self->settings);
    self->map = adr_map_new ();
    return self;
}

static void
s_free_list (world_message_t *list)
{
    while (list != NULL) {
        world_message_t *next = list->next;
        free (list);
        list = next;
    }
}

void
world_destroy (world_t **self)
{
    for (int i = 0; i < (*self)->node_count; i++)
        if ((*self)->node[i].up)
            world_crash (*self, i);
    s_free_list ((*self)->queue);
    s_free_list ((*self)->held);
    adr_map_destroy (&(*self)->map);
    free (*self);
    *self = NULL;
}

int
world_add (world_t *self, const char *name)
{
    adr_assert (self->node_count < WORLD_NODES_MAX);
    world_node_t *node = &self->node[self->node_count];
    snprintf (node->name, sizeof node->name, "%s", name);
    memset (node->id.bytes, self->node_count + 1, ADR_ID_SIZE);
    node->incarnation = 1;
    node->rate_permille = 1000;
    node->disk_ns = 2 * ADR_MS;
    node->replicator.may_stand = true;
    node->replicator.state = ADR_STATE_ONLINE_READY;
    memset (node->state_size, -1, sizeof node->state_size);
    return self->node_count++;
}

int
world_find (const world_t *self, const char *name)
{
    for (int i = 0; i < self->node_count; i++)
        if (strcmp (self->node[i].name, name) == 0)
            return i;
    return -1;
}

void
world_found (world_t *self, uint32_t voter_count)
{
    adr_id_t group;
    memset (group.bytes, 0xee, ADR_ID_SIZE);
    self->map->node = adr_alloc (sizeof *self->map->node * (size_t) self->node_count);
    self->map->node_count = (uint32_t) self->node_count;
    for (int i = 0; i < self->node_count; i++) {
        self->map->node[i].id = self->node[i].id;
        self->map->node[i].group = group;
        self->map->node[i].type = ADR_NODE_META;
        adr_voters_t *voters = &self->node[i].replicator.voters;
        voters->quorum = 2;
        voters->count = voter_count;
        for (uint32_t k = 0; k < voter_count; k++)
            voters->voter[k] = (adr_voter_t){ self->node[k].id, self->node[k].incarnation };
    }
}

void
world_tell_map (world_t *self, uint32_t node_count)
{
    Adr__ClusterMap map = ADR__CLUSTER_MAP__INIT;
    Adr__Registry registry = ADR__REGISTRY__INIT;
    Adr__MapChanged changed = ADR__MAP_CHANGED__INIT;
    Adr__Node node[WORLD_NODES_MAX], *pointer[WORLD_NODES_MAX];
    self->map->node_count = node_count;
    for (uint32_t i = 0; i < node_count; i++) {
        adr__node__init (&node[i]);
        node[i].id = adr_id_view (&self->map->node[i].id);
        node[i].group = adr_id_view (&self->map->node[i].group);
        pointer[i] = &node[i];
    }
    registry.n_node = node_count;
    registry.node = pointer;
    map.registry = &registry;
    changed.map = &map;
    for (int i = 0; i < self->node_count; i++) {
        if (!self->node[i].up)
            continue;
        world_send (self, i, ADR_ACTOR_MAP_KEEPER, i, ADR_ACTOR_ELECTION, ADR__KIND__MAP_CHANGED, &changed.base);
        world_send (self, i, ADR_ACTOR_MAP_KEEPER, i, ADR_ACTOR_HEALTH_CHECKER, ADR__KIND__MAP_CHANGED, &changed.base);
    }
}

static int
s_state_get (void *state, const char *name, void *value, size_t room)
{
    const world_node_t *node = state;
    int at = strcmp (name, "vote") == 0 ? 0 : strcmp (name, "promise") == 0 ? 1 : 2;
    if (node->state_size[at] >= 0)
        memcpy (value, node->state[at], (size_t) node->state_size[at] < room ? (size_t) node->state_size[at] : room);
    return node->state_size[at];
}

void
world_start (world_t *self, int node)
{
    world_node_t *at = &self->node[node];
    adr_environment_t environment = { .node = at->id,
                                      .type = ADR_NODE_META,
                                      .group = self->map->node[node].group,
                                      .incarnation = at->incarnation,
                                      .boot = ++at->boot,
                                      .seed = self->seed * 1000 + (uint64_t) node * 16 + at->boot,
                                      .settings = self->settings,
                                      .map = self->map,
                                      .state_get = s_state_get,
                                      .state = at };
    at->up = true;
    at->election = adr_election_class.create (&environment);
    at->health_checker = adr_health_checker_class.create (&environment);
    for (int k = 0; k < ADR_ACTOR_COUNT; k++)
        for (int t = 0; t < 4; t++)
            at->timer_ns[k][t] = ADR_NEVER;
    at->replicator.leading = 0;
    /* [ELECT-5] After a restart the fence is at least the last entry's term. */
    if (at->replicator.fence < at->replicator.last.term)
        at->replicator.fence = at->replicator.last.term;
    s_deliver (self, node, ADR_ACTOR_ELECTION, &(adr_event_t){ .kind = ADR_EVENT_START });
    s_deliver (self, node, ADR_ACTOR_HEALTH_CHECKER, &(adr_event_t){ .kind = ADR_EVENT_START });
    world_say_voters (self, node);
}

void
world_crash (world_t *self, int node)
{
    world_node_t *at = &self->node[node];
    s_drop_own (&self->queue, node);
    s_drop_own (&self->held, node);
    at->up = at->paused = false;
    at->replicator.leading = 0;
    adr_election_class.destroy (&at->election);
    adr_health_checker_class.destroy (&at->health_checker);
}

void
world_stop (world_t *self, int node)
{
    s_deliver (self, node, ADR_ACTOR_ELECTION, &(adr_event_t){ .kind = ADR_EVENT_STOP });
    s_deliver (self, node, ADR_ACTOR_HEALTH_CHECKER, &(adr_event_t){ .kind = ADR_EVENT_STOP });
}

void
world_free_disk (world_t *self, int node)
{
    world_message_t *held = self->held;
    self->held = NULL;
    self->node[node].disk_held = false;
    while (held != NULL) {
        world_message_t *message = held;
        held = held->next;
        bool disk = message->to == node && (message->what == S_DURABLE || message->what == S_FENCE_DURABLE);
        if (disk)
            message->due_ns = self->time_ns;
        s_insert (disk ? &self->queue : &self->held, message);
    }
}
