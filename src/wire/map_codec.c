/* SPDX-License-Identifier: MPL-2.0 */
/* The clusterMap and its message: see map_codec.h. */

#include "wire/map_codec.h"

#include "core/map_trust.h"
#include "wire/bounds.h"

#include <stdlib.h>

/* What the messages of a map, or of its decoded bytes, may take: 4,096 nodes at 400 bytes, 12,288 ranges at 100. */
#define S_ARENA_LIMIT (64 * 1024 * 1024)
#define S_SIGNATURE_MAX 96 /* encoded */
#define S_MARKS_MAX 8      /* what eviction adds to a node */

/* --- from the map to its message ---------------------------------------------------------------------------------- */

/* Room for `count` things, which a map never lacks. */
static void *
s_take (adr_arena_t *arena, size_t count, size_t size)
{
    void *at = adr_arena_take (arena, count * size);
    adr_assert (at != NULL);
    return at;
}

/* An array of pointers to `count` messages that stand one after another; the messages are set to what protobuf-c
 * starts them with. */
static void *
s_messages (adr_arena_t *arena, const ProtobufCMessageDescriptor *type, size_t count)
{
    uint8_t *messages = s_take (arena, count, type->sizeof_message);
    ProtobufCMessage **pointers = s_take (arena, count, sizeof *pointers);
    for (size_t i = 0; i < count; i++) {
        pointers[i] = (ProtobufCMessage *) (void *) (messages + i * type->sizeof_message);
        protobuf_c_message_init (type, pointers[i]);
    }
    return pointers;
}

/* None is the empty field. */
static ProtobufCBinaryData
s_id (const adr_id_t *id)
{
    return adr_id_is_none (id) ? (ProtobufCBinaryData){ 0, NULL } : adr_id_view (id);
}

static ProtobufCBinaryData
s_key (const uint8_t key[32])
{
    return (ProtobufCBinaryData){ 32, (uint8_t *) key };
}

static ProtobufCBinaryData
s_certificate (const uint8_t *certificate, size_t size)
{
    adr_assert (size <= ADR_CERTIFICATE_MAX);
    return (ProtobufCBinaryData){ size, (uint8_t *) certificate };
}

static void
s_fill_zone (Adr__Zone *to, const adr_map_zone_t *zone)
{
    to->id = s_id (&zone->id);
    to->name = (char *) zone->name;
}

static void
s_fill_node (Adr__Node *to, const adr_map_node_t *node)
{
    to->id = s_id (&node->id);
    to->name = (char *) node->name;
    to->type = node->type;
    to->zone = s_id (&node->zone);
    to->group = s_id (&node->group);
    to->curve_key = s_key (node->curve_key);
    to->sign_key = s_key (node->sign_key);
    to->certificate = s_certificate (node->certificate, node->certificate_size);
    to->control = (char *) node->control;
    to->bulk = (char *) node->bulk;
    to->client = (char *) node->client;
    to->http = (char *) node->http;
    to->leaving = node->leaving;
    to->evicted = node->evicted;
    to->pending = node->pending;
}

static void
s_fill_forming (Adr__Group *to, const adr_map_group_t *group, adr_arena_t *arena)
{
    to->n_forming_zone = group->forming_zone_count;
    to->forming_zone = s_take (arena, group->forming_zone_count, sizeof *to->forming_zone);
    for (uint32_t i = 0; i < group->forming_zone_count; i++)
        to->forming_zone[i] = s_id (&group->forming_zone[i]);
    to->n_forming_voter = group->forming_count;
    to->forming_voter = s_messages (arena, &adr__voter__descriptor, group->forming_count);
    for (uint32_t i = 0; i < group->forming_count; i++) {
        to->forming_voter[i]->node = s_id (&group->forming[i].node);
        to->forming_voter[i]->incarnation = group->forming[i].incarnation;
    }
}

static void
s_fill_group (Adr__Group *to, const adr_map_group_t *group, adr_arena_t *arena)
{
    to->id = s_id (&group->id);
    to->type = group->type;
    to->name = (char *) group->name;
    to->founding = adr_voter_set_fill (s_take (arena, 1, sizeof (adr_voter_set_t)), &group->founding);
    s_fill_forming (to, group, arena);
    to->recovery = (ProtobufCBinaryData){ group->recovery_size, (uint8_t *) group->recovery };
}

static void
s_fill_range (Adr__PartitionRange *to, const adr_map_range_t *range)
{
    to->type = range->type;
    to->first = range->first;
    to->last = range->last;
    to->group = s_id (&range->group);
    to->epoch = range->epoch;
}

static void
s_fill_certificates (Adr__Registry *to, const adr_map_t *map, adr_arena_t *arena)
{
    to->root_certificate = s_certificate (map->root_certificate, map->root_certificate_size);
    to->n_authority = map->authority_count;
    to->authority = s_take (arena, map->authority_count, sizeof *to->authority);
    for (uint32_t i = 0; i < map->authority_count; i++)
        to->authority[i] = s_certificate (map->authority[i], map->authority_size[i]);
}

static void
s_fill_settings (Adr__Registry *to, const adr_map_t *map, adr_arena_t *arena)
{
    to->n_setting = map->setting_count;
    to->setting = s_messages (arena, &adr__setting__descriptor, map->setting_count);
    for (uint32_t i = 0; i < map->setting_count; i++) {
        to->setting[i]->name = (char *) map->setting[i].name;
        to->setting[i]->value = map->setting[i].value;
    }
}

static Adr__Registry *
s_registry (const adr_map_t *map, adr_arena_t *arena)
{
    Adr__Registry *registry = s_take (arena, 1, sizeof *registry);
    adr__registry__init (registry);
    registry->cluster = s_id (&map->cluster);
    registry->name = (char *) map->name;
    registry->epoch = map->epoch;
    registry->partitions = map->partition_count;
    registry->quorum = map->quorum;
    registry->n_zone = map->zone_count;
    registry->zone = s_messages (arena, &adr__zone__descriptor, map->zone_count);
    for (uint32_t i = 0; i < map->zone_count; i++)
        s_fill_zone (registry->zone[i], &map->zone[i]);
    registry->n_node = map->node_count;
    registry->node = s_messages (arena, &adr__node__descriptor, map->node_count);
    for (uint32_t i = 0; i < map->node_count; i++)
        s_fill_node (registry->node[i], &map->node[i]);
    registry->n_group = map->group_count;
    registry->group = s_messages (arena, &adr__group__descriptor, map->group_count);
    for (uint32_t i = 0; i < map->group_count; i++)
        s_fill_group (registry->group[i], &map->group[i], arena);
    registry->n_partition = map->range_count;
    registry->partition = s_messages (arena, &adr__partition_range__descriptor, map->range_count);
    for (uint32_t i = 0; i < map->range_count; i++)
        s_fill_range (registry->partition[i], &map->range[i]);
    s_fill_certificates (registry, map, arena);
    s_fill_settings (registry, map, arena);
    return registry;
}

static void
s_fill_member (Adr__NodeStatus *to, const adr_map_member_t *member)
{
    to->node = s_id (&member->node);
    to->state = member->state;
    to->incarnation = member->incarnation;
    to->boot = member->boot;
    ADR_PROGRESS_COPY (to, &member->progress);
    to->last_index = member->last_index;
    to->applied = member->applied;
    to->voter = member->voter;
}

Adr__GroupStatus *
adr_group_status_message (const adr_id_t *group, const adr_group_status_t *status, adr_arena_t *arena)
{
    adr_assert (status->member_count <= ADR_VOTERS_MAX * 2);
    Adr__GroupStatus *to = s_take (arena, 1, sizeof *to);
    adr__group_status__init (to);
    to->group = s_id (group);
    to->term = status->term;
    to->sequence = status->sequence;
    to->master = s_id (&status->master);
    to->commit = status->commit;
    to->unlocked = status->unlocked;
    to->unlocked_known = status->unlocked_known;
    to->leaving = status->leaving;
    to->voters = status->voter_count;
    to->map_epoch = status->map_epoch;
    to->quorum = status->quorum;
    to->age_ms = status->age_ms;
    to->n_member = status->member_count;
    to->member = s_messages (arena, &adr__node_status__descriptor, status->member_count);
    for (uint32_t i = 0; i < status->member_count; i++)
        s_fill_member (to->member[i], &status->member[i]);
    return to;
}

Adr__ClusterMap *
adr_map_statuses_message (const adr_map_t *map, adr_arena_t *arena)
{
    Adr__ClusterMap *message = s_take (arena, 1, sizeof *message);
    adr__cluster_map__init (message);
    message->status = s_take (arena, map->group_count, sizeof *message->status);
    for (uint32_t i = 0; i < map->group_count; i++) {
        const adr_map_group_t *group = &map->group[i];
        if (group->status.term || group->status.sequence)
            message->status[message->n_status++] = adr_group_status_message (&group->id, &group->status, arena);
    }
    return message;
}

/* What was signed is told as it is: fields that only newer versions know survive. */
static Adr__Registry *
s_sealed_registry (const adr_map_t *map, adr_arena_t *arena)
{
    if (map->sealed == NULL)
        return s_registry (map, arena);
    Adr__Registry *registry = adr__registry__unpack (&arena->allocator, map->sealed_size, map->sealed);
    adr_assert (registry); /* it was, when it was sealed */
    return registry;
}

Adr__ClusterMap *
adr_map_message (const adr_map_t *map, adr_arena_t *arena)
{
    Adr__ClusterMap *message = adr_map_statuses_message (map, arena);
    message->registry = s_sealed_registry (map, arena);
    message->n_signature = map->signature_count;
    message->signature = s_messages (arena, &adr__map_signature__descriptor, map->signature_count);
    for (uint32_t i = 0; i < map->signature_count; i++) {
        message->signature[i]->node = s_id (&map->signature[i].node);
        message->signature[i]->signature
            = (ProtobufCBinaryData){ ADR_MAP_SIGNATURE_SIZE, (uint8_t *) map->signature[i].signature };
    }
    return message;
}

/* The bytes that were signed: fields of a message stand in the order of their numbers, those of newer versions behind. */
static void
s_keep_sealed (adr_map_t *map, const Adr__Registry *registry)
{
    map->sealed_size = adr__registry__get_packed_size (registry);
    map->sealed = adr_alloc (map->sealed_size);
    adr__registry__pack (registry, map->sealed);
}

void
adr_map_seal (adr_map_t *map)
{
    if (map->sealed)
        return;
    adr_arena_t arena;
    adr_arena_init (&arena, 16 * 1024, S_ARENA_LIMIT);
    s_keep_sealed (map, s_registry (map, &arena));
    adr_arena_free (&arena);
}

/* --- from the message to the map ---------------------------------------------------------------------------------- */

/* Ids in order, to find doubles and strangers without a walk for each. */
typedef struct {
    adr_id_t *id;
    size_t count;
} s_ids_t;

static int
s_id_order (const void *a, const void *b)
{
    return adr_id_compare (a, b);
}

/* Sorts them; false if one is none, or there twice. */
static bool
s_ids_settle (s_ids_t *ids)
{
    qsort (ids->id, ids->count, sizeof *ids->id, s_id_order);
    for (size_t i = 0; i < ids->count; i++)
        if (adr_id_is_none (&ids->id[i]) || (i > 0 && adr_id_equal (&ids->id[i - 1], &ids->id[i])))
            return false;
    return true;
}

static bool
s_ids_hold (const s_ids_t *ids, const adr_id_t *id)
{
    return bsearch (id, ids->id, ids->count, sizeof *id, s_id_order) != NULL;
}

/* Text that may stand in a log or on a terminal: no control characters. */
static bool
s_read_text (char *to, size_t max, const char *text)
{
    size_t size = strnlen (text, max + 1);
    if (size > max)
        return false;
    for (size_t i = 0; i < size; i++)
        if ((unsigned char) text[i] < ' ' || text[i] == 127)
            return false;
    memcpy (to, text, size);
    to[size] = '\0';
    return true;
}

static bool
s_read_key (uint8_t key[32], ProtobufCBinaryData field)
{
    if (field.len == 32)
        memcpy (key, field.data, 32);
    return field.len == 32 || field.len == 0;
}

static bool
s_read_certificate (uint8_t *to, size_t *size, ProtobufCBinaryData field)
{
    if (field.len > ADR_CERTIFICATE_MAX)
        return false;
    if (field.len)
        memcpy (to, field.data, field.len);
    *size = field.len;
    return true;
}

/* A type that nodes of the map have. */
static bool
s_read_type (adr_node_type_t *to, uint32_t type)
{
    *to = (adr_node_type_t) type;
    return type >= ADR_NODE_EDGE && type <= ADR_NODE_PKI;
}

static bool
s_read_zones (adr_map_t *map, const Adr__Registry *from, s_ids_t *zones)
{
    if (from->n_zone > ADR_ZONES_MAX)
        return false;
    map->zone_count = (uint32_t) from->n_zone;
    for (uint32_t i = 0; i < map->zone_count; i++) {
        zones->id[zones->count++] = map->zone[i].id = adr_id_of (from->zone[i]->id);
        if (!s_read_text (map->zone[i].name, ADR_NAME_MAX, from->zone[i]->name))
            return false;
    }
    return s_ids_settle (zones);
}

/* [RECOVER-4] None, or a statement about that very group; who has signed it is judged with the map. */
static bool
s_read_recovery (adr_map_group_t *to, ProtobufCBinaryData field)
{
    adr_recovery_t recovery;
    if (field.len == 0)
        return true;
    if (!adr_recovery_decode (&recovery, adr_bytes (field.data, field.len)) || !recovery.is_signed
        || !adr_id_equal (&recovery.group, &to->id))
        return false;
    memcpy (to->recovery, field.data, field.len);
    to->recovery_size = field.len;
    return true;
}

static bool
s_read_forming (adr_map_group_t *to, const Adr__Group *group)
{
    if (group->n_forming_zone > ADR_ZONES_MAX || group->n_forming_voter > ADR_VOTERS_MAX)
        return false;
    to->forming_zone_count = (uint32_t) group->n_forming_zone;
    for (uint32_t i = 0; i < to->forming_zone_count; i++)
        to->forming_zone[i] = adr_id_of (group->forming_zone[i]);
    to->forming_count = (uint32_t) group->n_forming_voter;
    for (uint32_t i = 0; i < to->forming_count; i++)
        to->forming[i] = (adr_voter_t){ adr_id_of (group->forming_voter[i]->node), group->forming_voter[i]->incarnation };
    return to->forming_count == 0 || to->forming_count < to->forming_zone_count; /* with the last one it is formed */
}

static bool
s_read_group (adr_map_group_t *to, const Adr__Group *group)
{
    to->id = adr_id_of (group->id);
    return s_read_type (&to->type, group->type) && to->type != ADR_NODE_EDGE
           && s_read_text (to->name, ADR_NAME_MAX, group->name)
           && adr_voter_set_read (&to->founding, group->founding) && s_read_forming (to, group)
           && s_read_recovery (to, group->recovery);
}

static bool
s_read_groups (adr_map_t *map, const Adr__Registry *from, s_ids_t *groups)
{
    if (from->n_group > ADR_GROUPS_MAX)
        return false;
    map->group_count = (uint32_t) from->n_group;
    map->group = adr_alloc (map->group_count * sizeof *map->group);
    for (uint32_t i = 0; i < map->group_count; i++) {
        if (!s_read_group (&map->group[i], from->group[i]))
            return false;
        groups->id[groups->count++] = map->group[i].id;
    }
    return s_ids_settle (groups);
}

static bool
s_read_node (adr_map_node_t *to, const Adr__Node *node)
{
    to->id = adr_id_of (node->id);
    to->zone = adr_id_of (node->zone);
    to->group = adr_id_of (node->group);
    return s_read_type (&to->type, node->type) && s_read_text (to->name, ADR_NAME_MAX, node->name)
           && s_read_key (to->curve_key, node->curve_key) && s_read_key (to->sign_key, node->sign_key)
           && s_read_certificate (to->certificate, &to->certificate_size, node->certificate)
           && s_read_text (to->control, ADR_ENDPOINT_MAX, node->control)
           && s_read_text (to->bulk, ADR_ENDPOINT_MAX, node->bulk)
           && s_read_text (to->client, ADR_ENDPOINT_MAX, node->client)
           && s_read_text (to->http, ADR_ENDPOINT_MAX, node->http) && (to->leaving = node->leaving, true)
           && (to->evicted = node->evicted, true) && (to->pending = node->pending, true);
}

static bool
s_read_nodes (adr_map_t *map, const Adr__Registry *from, const s_ids_t *zones, const s_ids_t *groups, s_ids_t *nodes)
{
    if (from->n_node > ADR_NODES_MAX)
        return false;
    map->node_count = (uint32_t) from->n_node;
    map->node = adr_alloc (map->node_count * sizeof *map->node);
    for (uint32_t i = 0; i < map->node_count; i++) {
        adr_map_node_t *node = &map->node[i];
        if (!s_read_node (node, from->node[i]) || !s_ids_hold (zones, &node->zone))
            return false;
        bool grouped = !adr_id_is_none (&node->group);
        if (grouped != (node->type != ADR_NODE_EDGE) || (grouped && !s_ids_hold (groups, &node->group)))
            return false;
        nodes->id[nodes->count++] = node->id;
    }
    return s_ids_settle (nodes);
}

/* Each partition has one owner at most, a group of the range's type. */
static bool
s_read_ranges (adr_map_t *map, const Adr__Registry *from)
{
    static const uint32_t s_ranges_max = ADR_PARTITIONS_MAX * 3;
    uint8_t owned[ADR_PARTITIONS_MAX] = { 0 }; /* bits 1 << adr_node_type_t */
    if (from->n_partition > s_ranges_max)
        return false;
    map->range_count = (uint32_t) from->n_partition;
    map->range = adr_alloc (map->range_count * sizeof *map->range);
    for (uint32_t i = 0; i < map->range_count; i++) {
        const Adr__PartitionRange *range = from->partition[i];
        adr_map_range_t *to = &map->range[i];
        *to = (adr_map_range_t){ .first = range->first, .last = range->last, .group = adr_id_of (range->group),
                                 .epoch = range->epoch };
        if (!s_read_type (&to->type, range->type) || to->first > to->last || to->last >= map->partition_count)
            return false;
        for (uint32_t partition = to->first; partition <= to->last; partition++) {
            if (owned[partition] >> to->type & 1)
                return false;
            owned[partition] |= (uint8_t) (1u << to->type);
        }
        const adr_map_group_t *group = adr_map_group (map, &to->group);
        if (group == NULL || group->type != to->type)
            return false;
    }
    return true;
}

static bool
s_read_certificates (adr_map_t *map, const Adr__Registry *from)
{
    if (from->n_authority > ADR_ZONES_MAX
        || !s_read_certificate (map->root_certificate, &map->root_certificate_size, from->root_certificate))
        return false;
    map->authority_count = (uint32_t) from->n_authority;
    for (uint32_t i = 0; i < map->authority_count; i++)
        if (!s_read_certificate (map->authority[i], &map->authority_size[i], from->authority[i]))
            return false;
    return true;
}

/* [SET-5] Names of any version, each once, in one order: the same settings have the same bytes. */
static bool
s_read_settings (adr_map_t *map, const Adr__Registry *from)
{
    if (from->n_setting > ADR_SETTINGS_MAX)
        return false;
    map->setting_count = (uint32_t) from->n_setting;
    for (uint32_t i = 0; i < map->setting_count; i++) {
        adr_setting_t *to = &map->setting[i];
        to->value = from->setting[i]->value;
        if (!s_read_text (to->name, ADR_SETTING_NAME_MAX, from->setting[i]->name) || *to->name == 0
            || !adr_map_name_is_plain (to->name) || (i > 0 && strcmp (to[-1].name, to->name) >= 0))
            return false;
    }
    return true;
}

static bool
s_read_registry (adr_map_t *map, const Adr__Registry *from)
{
    s_ids_t zones = { adr_alloc (from->n_zone * sizeof (adr_id_t)), 0 };
    s_ids_t groups = { adr_alloc (from->n_group * sizeof (adr_id_t)), 0 };
    s_ids_t nodes = { adr_alloc (from->n_node * sizeof (adr_id_t)), 0 };
    map->cluster = adr_id_of (from->cluster);
    map->epoch = from->epoch;
    map->partition_count = from->partitions;
    map->quorum = from->quorum;
    bool read = !adr_id_is_none (&map->cluster) && from->partitions > 0 && from->partitions <= ADR_PARTITIONS_MAX
                && s_read_text (map->name, ADR_NAME_MAX, from->name) && s_read_zones (map, from, &zones)
                && s_read_groups (map, from, &groups) && s_read_nodes (map, from, &zones, &groups, &nodes)
                && s_read_ranges (map, from) && s_read_certificates (map, from) && s_read_settings (map, from);
    free (zones.id);
    free (groups.id);
    free (nodes.id);
    return read;
}

static bool
s_read_signatures (adr_map_t *map, const Adr__ClusterMap *message)
{
    if (message->n_signature > ADR_ZONES_MAX)
        return false;
    map->signature_count = (uint32_t) message->n_signature;
    for (uint32_t i = 0; i < map->signature_count; i++) {
        const Adr__MapSignature *from = message->signature[i];
        map->signature[i].node = adr_id_of (from->node);
        if (from->signature.len != ADR_MAP_SIGNATURE_SIZE)
            return false;
        memcpy (map->signature[i].signature, from->signature.data, ADR_MAP_SIGNATURE_SIZE);
    }
    return true;
}

adr_map_t *
adr_map_read (const Adr__ClusterMap *message)
{
    if (message == NULL || message->registry == NULL)
        return NULL;
    adr_map_t *map = adr_map_new ();
    if (s_read_registry (map, message->registry) && s_read_signatures (map, message)) {
        s_keep_sealed (map, message->registry);
        adr_map_merge (map, message);
    } else
        adr_map_destroy (&map);
    return map;
}

adr_map_t *
adr_registry_read (adr_bytes_t bytes)
{
    if (!adr_bounds_hold (&adr__registry__descriptor, bytes))
        return NULL;
    adr_arena_t arena;
    adr_arena_init (&arena, 16 * 1024, S_ARENA_LIMIT);
    Adr__ClusterMap message = ADR__CLUSTER_MAP__INIT;
    message.registry = adr__registry__unpack (&arena.allocator, bytes.size, bytes.data);
    adr_map_t *map = adr_map_read (&message);
    adr_arena_free (&arena);
    if (map && (map->sealed_size != bytes.size || memcmp (map->sealed, bytes.data, bytes.size) != 0))
        adr_map_destroy (&map);
    return map;
}

bool
adr_map_is_all_known (const adr_map_t *map)
{
    adr_map_t *again = adr_map_copy (map);
    adr_map_unseal (again);
    adr_map_seal (again);
    bool same = map->sealed_size == again->sealed_size && memcmp (map->sealed, again->sealed, again->sealed_size) == 0;
    adr_map_destroy (&again);
    return same;
}

bool
adr_group_status_read (adr_id_t *group, adr_group_status_t *status, const Adr__GroupStatus *message)
{
    *group = adr_id_of (message->group);
    *status = (adr_group_status_t){ .term = message->term,
                                    .sequence = message->sequence,
                                    .commit = message->commit,
                                    .unlocked = message->unlocked,
                                    .unlocked_known = message->unlocked_known,
                                    .leaving = message->leaving,
                                    .master = adr_id_of (message->master),
                                    .voter_count = message->voters, .map_epoch = message->map_epoch,
                                    .quorum = message->quorum,
                                    .age_ms = message->age_ms < ADR_AGE_MAX_MS ? message->age_ms : ADR_AGE_MAX_MS };
    if (message->n_member > ADR_VOTERS_MAX * 2)
        return false;
    status->member_count = (uint32_t) message->n_member;
    for (uint32_t i = 0; i < status->member_count; i++) {
        const Adr__NodeStatus *member = message->member[i];
        if (member->state >= ADR_STATE_COUNT)
            return false;
        status->member[i] = (adr_map_member_t){ .node = adr_id_of (member->node),
                                                .state = (adr_node_state_t) member->state,
                                                .incarnation = member->incarnation,
                                                .boot = member->boot,
                                                .last_index = member->last_index,
                                                .applied = member->applied,
                                                .voter = member->voter };
        ADR_PROGRESS_COPY (&status->member[i].progress, member);
    }
    return true;
}

uint32_t
adr_map_merge (adr_map_t *map, const Adr__ClusterMap *message)
{
    uint32_t changed = 0;
    for (size_t i = 0; i < message->n_status; i++) {
        adr_id_t group;
        adr_group_status_t status;
        if (adr_group_status_read (&group, &status, message->status[i]) && adr_map_merge_status (map, &group, &status))
            changed++;
    }
    return changed;
}

/* --- bytes -------------------------------------------------------------------------------------------------------- */

size_t
adr_map_size_max (const adr_map_t *map)
{
    adr_arena_t arena;
    adr_arena_init (&arena, 16 * 1024, S_ARENA_LIMIT);
    Adr__ClusterMap *message = adr_map_message (map, &arena);
    message->n_status = message->n_signature = 0;
    size_t size = adr__cluster_map__get_packed_size (message);
    adr_arena_free (&arena);
    return size + (size_t) map->group_count * ADR_GROUP_STATUS_MAX + ADR_ZONES_MAX * S_SIGNATURE_MAX + map->node_count * S_MARKS_MAX;
}

void
adr_map_encode (const adr_map_t *map, adr_buffer_t *buffer)
{
    adr_arena_t arena;
    adr_arena_init (&arena, 16 * 1024, S_ARENA_LIMIT);
    const Adr__ClusterMap *message = adr_map_message (map, &arena);
    size_t size = adr__cluster_map__get_packed_size (message);
    adr__cluster_map__pack (message, adr_buffer_grow (buffer, size));
    adr_arena_free (&arena);
}

bool
adr_map_decode (adr_map_t **map, adr_bytes_t bytes)
{
    *map = NULL;
    if (!adr_bounds_hold (&adr__cluster_map__descriptor, bytes))
        return false;
    adr_arena_t arena;
    adr_arena_init (&arena, 16 * 1024, S_ARENA_LIMIT);
    *map = adr_map_read (adr__cluster_map__unpack (&arena.allocator, bytes.size, bytes.data));
    adr_arena_free (&arena);
    return *map != NULL;
}
