/* SPDX-License-Identifier: MPL-2.0 */
/* Runs one actor in a unit test: see actor_harness.h. */

#include "actor_harness.h"

#include "core/settings.h"
#include "wire/map_codec.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

static const ProtobufCMessage *
s_record (harness_t *self, harness_sent_t *sent, uint16_t kind, const ProtobufCMessage *header, adr_bytes_t payload)
{
    adr_buffer_t pack = { 0 };
    adr_envelope_t envelope = { .cluster = self->environment.cluster,
                                .sender = self->environment.node,
                                .to = sent->to.node,
                                .from_actor = self->class->kind,
                                .to_actor = sent->to.actor };
    adr_pack_begin (&pack, &envelope);
    adr_pack_add (&pack, kind, header, payload);
    adr_pack_reader_t reader;
    adr_item_t item;
    adr_assert (adr_pack_open (&reader, adr_bytes (pack.data, pack.size)));
    adr_assert (adr_pack_next (&reader, &item) == 1);
    const ProtobufCMessage *decoded = adr_header_decode (&item, &self->arena);
    if (payload.size) {
        uint8_t *copy = adr_arena_take (&self->arena, payload.size);
        adr_assert (copy != NULL);
        memcpy (copy, item.payload.data, payload.size);
        sent->payload = adr_bytes (copy, payload.size);
    }
    adr_buffer_free (&pack);
    return decoded;
}

static void
s_send (adr_effects_t *effects, adr_address_t to, uint16_t kind, const ProtobufCMessage *header, adr_bytes_t payload)
{
    harness_t *self = (harness_t *) effects;
    if (self->sent_count == self->sent_room) {
        self->sent_room = self->sent_room ? self->sent_room * 2 : 64;
        self->sent = adr_realloc (self->sent, self->sent_room * sizeof *self->sent);
    }
    harness_sent_t *sent = &self->sent[self->sent_count++];
    *sent = (harness_sent_t){ .to = to, .kind = kind, .at_ns = self->now_ns };
    sent->header = s_record (self, sent, kind, header, payload);
    if (self->trace)
        fprintf (stderr, "%" PRId64 " ms: %s -> %s@%02x%02x\n", self->now_ns / ADR_MS, adr_kind_name (kind),
                 adr_actor_name (to.actor), to.node.bytes[0], to.node.bytes[1]);
    adr_assert (sent->header != NULL);
    bool local = to.actor != ADR_ACTOR_CLIENT && adr_id_equal (&to.node, &self->environment.node);
    adr_assert (adr_message_allowed (kind, self->environment.type, self->class->kind, to.actor, local));
}

static void
s_wake (adr_effects_t *effects, uint32_t timer, int64_t at_ns)
{
    harness_t *self = (harness_t *) effects;
    adr_assert (timer < HARNESS_TIMERS);
    self->timer[timer] = at_ns;
}

static void
s_persist (adr_effects_t *effects, const char *name, adr_bytes_t value, uint64_t token)
{
    harness_t *self = (harness_t *) effects;
    size_t i = 0;
    while (i < self->state_count && strcmp (self->state[i].name, name) != 0)
        i++;
    adr_assert (i < HARNESS_STATES && self->token_count < sizeof self->token / sizeof self->token[0]);
    if (i == self->state_count) {
        snprintf (self->state[i].name, sizeof self->state[i].name, "%s", name);
        self->state_count++;
    }
    adr_buffer_clear (&self->state[i].value);
    adr_buffer_append (&self->state[i].value, value.data, value.size);
    self->token[self->token_count++] = token;
}

static int
s_state_get (void *state, const char *name, void *value, size_t room)
{
    harness_t *self = state;
    for (size_t i = 0; i < self->state_count; i++)
        if (strcmp (self->state[i].name, name) == 0) {
            size_t size = self->state[i].value.size;
            if (size && room)
                memcpy (value, self->state[i].value.data, size < room ? size : room);
            return (int) size;
        }
    return -1;
}

static void
s_note (adr_effects_t *effects, adr_level_t level, const char *text)
{
    harness_t *self = (harness_t *) effects;
    self->notes[level]++;
    snprintf (self->note, sizeof self->note, "%s", text);
    if (self->trace)
        fprintf (stderr, "%" PRId64 " ms: note: %s\n", self->now_ns / ADR_MS, text);
}

static void
s_fatal (adr_effects_t *effects, const char *why)
{
    harness_t *self = (harness_t *) effects;
    self->fatal = true;
    snprintf (self->note, sizeof self->note, "%s", why);
}

static void
s_receive (harness_t *self, adr_event_t event)
{
    event.now_ns = self->now_ns;
    event.wall_ms = self->wall_ms;
    self->class->receive (self->actor, &event, &self->effects);
}

void
harness_event (harness_t *self, adr_event_t event)
{
    s_receive (self, event);
    s_receive (self, (adr_event_t){ .kind = ADR_EVENT_TURN_END });
    if (self->class->check)
        self->class->check (self->actor);
}

void
harness_start (harness_t *self, const adr_actor_class_t *class, const adr_environment_t *environment)
{
    memset (self, 0, sizeof *self);
    self->effects = (adr_effects_t){ s_send, s_wake, s_persist, s_note, s_fatal };
    self->class = class;
    self->environment = *environment;
    self->environment.state_get = s_state_get;
    self->environment.state = self;
    self->now_ns = 1000000 * ADR_MS;
    self->wall_ms = INT64_C (1700000000000);
    self->trace = getenv ("HARNESS_TRACE") != NULL;
    adr_arena_init (&self->arena, 64 * 1024, 256 * 1024 * 1024);
    for (int i = 0; i < HARNESS_TIMERS; i++)
        self->timer[i] = ADR_NEVER;
    self->actor = class->create (&self->environment);
    harness_event (self, (adr_event_t){ .kind = ADR_EVENT_START });
}

void
harness_stop (harness_t *self)
{
    self->class->destroy (&self->actor);
    adr_assert (self->actor == NULL);
    for (size_t i = 0; i < self->state_count; i++)
        adr_buffer_free (&self->state[i].value);
    adr_arena_free (&self->arena);
    free (self->sent);
    self->sent = NULL;
}

void
harness_message_more (harness_t *self, adr_address_t from, adr_node_type_t from_type, uint16_t kind,
                      const ProtobufCMessage *header, adr_bytes_t payload)
{
    s_receive (self, (adr_event_t){ .kind = ADR_EVENT_MESSAGE,
                                    .message = { from, from_type, self->user, self->users_known, kind, header, payload } });
}

void
harness_message (harness_t *self, adr_address_t from, adr_node_type_t from_type, uint16_t kind,
                 const ProtobufCMessage *header, adr_bytes_t payload)
{
    harness_event (self, (adr_event_t){ .kind = ADR_EVENT_MESSAGE,
                                        .message = { from, from_type, self->user, self->users_known, kind, header, payload } });
}

void
harness_advance (harness_t *self, int64_t ns)
{
    int64_t until = self->now_ns + ns;
    for (;;) {
        uint32_t first = 0;
        for (uint32_t i = 1; i < HARNESS_TIMERS; i++)
            if (self->timer[i] < self->timer[first])
                first = i;
        if (self->timer[first] > until)
            break;
        if (self->timer[first] > self->now_ns) {
            self->wall_ms += (self->timer[first] - self->now_ns) / ADR_MS;
            self->now_ns = self->timer[first];
        }
        self->timer[first] = ADR_NEVER;
        harness_event (self, (adr_event_t){ .kind = ADR_EVENT_TIMER, .timer = first });
    }
    self->wall_ms += (until - self->now_ns) / ADR_MS;
    self->now_ns = until;
}

void
harness_durable (harness_t *self)
{
    size_t count = self->token_count;
    uint64_t token[sizeof self->token / sizeof self->token[0]];
    memcpy (token, self->token, sizeof token);
    self->token_count = 0;
    for (size_t i = 0; i < count; i++)
        harness_event (self, (adr_event_t){ .kind = ADR_EVENT_DURABLE, .token = token[i] });
}

void
harness_tell_map (harness_t *self, adr_map_t *map)
{
    adr_arena_t arena;
    adr_arena_init (&arena, 4096, 1 << 22);
    Adr__MapChanged changed = ADR__MAP_CHANGED__INIT;
    map->epoch++;
    adr_map_unseal (map);
    changed.map = adr_map_message (map, &arena);
    harness_message (self, (adr_address_t){ self->environment.node, ADR_ACTOR_MAP_KEEPER }, self->environment.type,
                     ADR__KIND__MAP_CHANGED, &changed.base, (adr_bytes_t){ 0 });
    adr_arena_free (&arena);
}

void
harness_tell_setting (harness_t *self, adr_map_t *map, const char *name, uint64_t value)
{
    bool room = adr_setting_enter (map, name, value);
    adr_assert (room);
    harness_tell_map (self, map);
}

void
harness_forget (harness_t *self)
{
    self->sent_count = 0;
    adr_arena_reset (&self->arena);
}

const harness_sent_t *
harness_sent (const harness_t *self, uint16_t kind, size_t n)
{
    for (size_t i = 0; i < self->sent_count; i++)
        if (self->sent[i].kind == kind && n-- == 0)
            return &self->sent[i];
    return NULL;
}

size_t
harness_count (const harness_t *self, uint16_t kind)
{
    size_t count = 0;
    for (size_t i = 0; i < self->sent_count; i++)
        count += self->sent[i].kind == kind;
    return count;
}

adr_id_t
harness_id (uint8_t byte)
{
    adr_id_t id;
    memset (id.bytes, byte, sizeof id.bytes);
    return id;
}

static void
s_map_node (adr_map_node_t *node, unsigned zone, adr_node_type_t type)
{
    node->id = harness_id ((uint8_t) (0x10 * zone + type));
    node->zone = harness_id ((uint8_t) (0xa0 + zone));
    if (type != ADR_NODE_EDGE)
        node->group = harness_id ((uint8_t) (0xb0 + type));
    node->type = type;
    memset (node->curve_key, (int) (0x10 * zone + type), sizeof node->curve_key);
    memset (node->sign_key, (int) (0x18 * zone + type), sizeof node->sign_key);
    snprintf (node->name, sizeof node->name, "%s1@z%u", adr_node_type_name (type), zone);
    snprintf (node->control, sizeof node->control, "tcp://127.0.0.%u:%d", zone, 7000 + 10 * type);
    snprintf (node->bulk, sizeof node->bulk, "tcp://127.0.0.%u:%d", zone, 7001 + 10 * type);
    if (type == ADR_NODE_EDGE) {
        snprintf (node->client, sizeof node->client, "tcp://127.0.0.%u:7002", zone);
        snprintf (node->http, sizeof node->http, "127.0.0.%u:7003", zone);
    }
}

static void
s_map_group (adr_map_t *map, adr_node_type_t type, unsigned zones)
{
    adr_map_group_t *group = &map->group[type - ADR_NODE_META];
    group->id = harness_id ((uint8_t) (0xb0 + type));
    group->type = type;
    snprintf (group->name, sizeof group->name, "%s1", adr_node_type_name (type));
    group->founding.quorum = map->quorum;
    group->founding.count = zones;
    for (unsigned zone = 1; zone <= zones; zone++)
        group->founding.voter[zone - 1] = (adr_voter_t){ harness_id ((uint8_t) (0x10 * zone + type)), 100 + zone };
    map->range[type - ADR_NODE_META]
        = (adr_map_range_t){ .type = type, .first = 0, .last = map->partition_count - 1, .group = group->id };
}

adr_map_t *
harness_map (unsigned zones)
{
    adr_map_t *map = adr_map_new ();
    map->cluster = harness_id (0xc1);
    snprintf (map->name, sizeof map->name, "test");
    map->epoch = 1;
    map->partition_count = ADR_PARTITIONS_DEFAULT;
    map->quorum = 2;
    map->zone_count = zones;
    map->node_count = zones * 4;
    map->group_count = map->range_count = 3;
    map->node = adr_alloc (map->node_count * sizeof *map->node);
    map->group = adr_alloc (map->group_count * sizeof *map->group);
    map->range = adr_alloc (map->range_count * sizeof *map->range);
    for (unsigned zone = 1; zone <= zones; zone++) {
        map->zone[zone - 1].id = harness_id ((uint8_t) (0xa0 + zone));
        snprintf (map->zone[zone - 1].name, sizeof map->zone[0].name, "z%u", zone);
        for (int type = ADR_NODE_EDGE; type <= ADR_NODE_PKI; type++)
            s_map_node (&map->node[(zone - 1) * 4 + (unsigned) type - 1], zone, (adr_node_type_t) type);
    }
    for (int type = ADR_NODE_META; type <= ADR_NODE_PKI; type++)
        s_map_group (map, (adr_node_type_t) type, zones);
    return map;
}

adr_address_t
harness_address (unsigned zone, adr_node_type_t type, adr_actor_kind_t actor)
{
    return (adr_address_t){ harness_id ((uint8_t) (0x10 * zone + type)), actor };
}
