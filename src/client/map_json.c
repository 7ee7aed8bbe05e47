/* SPDX-License-Identifier: MPL-2.0 */
/* The clusterMap as JSON: what adr_cluster_map and `adrestia map --json` give (docs/shell.md names them).
 * Names stand where people look, ids beside them where programs need one that never changes. */

#include "client/client.h"

#include "core/map_forming.h"
#include "core/map_recovery.h"
#include "wire/map_codec.h"

#include <jansson.h>
#include <stdio.h>

static json_t *
s_id (const adr_id_t *id)
{
    char text[ADR_ID_TEXT_SIZE];
    if (adr_id_is_none (id))
        return json_null ();
    adr_id_format (id, text);
    return json_string (text);
}

static json_t *
s_number (uint64_t number)
{
    return json_integer ((json_int_t) number);
}

static const char *
s_zone_name (const adr_map_t *map, const adr_map_node_t *node)
{
    const adr_map_zone_t *zone = node ? adr_map_zone (map, &node->zone) : NULL;
    return zone ? zone->name : "";
}

static json_t *
s_zones (const adr_map_t *map)
{
    json_t *zones = json_array ();
    for (uint32_t i = 0; i < map->zone_count; i++)
        json_array_append_new (zones, json_pack ("{s:o, s:s}", "id", s_id (&map->zone[i].id), "name",
                                                 map->zone[i].name));
    return zones;
}

/* A node's state as its group's master knows it; NULL where nobody polls it. */
static const adr_map_member_t *
s_member (const adr_map_t *map, const adr_map_node_t *node)
{
    for (uint32_t i = 0; i < map->group_count; i++)
        for (uint32_t j = 0; j < map->group[i].status.member_count; j++)
            if (adr_id_equal (&map->group[i].status.member[j].node, &node->id))
                return &map->group[i].status.member[j];
    return NULL;
}

static json_t *
s_node (adr_map_t *map, const adr_map_node_t *node)
{
    const adr_map_group_t *group = adr_map_group (map, &node->group);
    const adr_map_member_t *member = s_member (map, node);
    json_t *json = json_pack ("{s:o, s:s, s:s, s:s}", "id", s_id (&node->id), "name", node->name, "type",
                              adr_node_type_name (node->type), "zone", s_zone_name (map, node));
    json_object_set_new (json, "group", group ? json_string (group->name) : json_null ());
    const char *state = node->evicted ? adr_node_state_name (ADR_STATE_EVICTED) : member ? adr_node_state_name (member->state) : NULL;
    json_object_set_new (json, "state", state ? json_string (state) : json_null ());
    json_object_set_new (json, "leaving", json_boolean (node->leaving));
    json_object_set_new (json, "control", json_string (node->control));
    json_object_set_new (json, "bulk", json_string (node->bulk));
    if (node->client[0])
        json_object_set_new (json, node->type == ADR_NODE_PKI ? "adoption" : "client", json_string (node->client));
    if (node->http[0])
        json_object_set_new (json, "http", json_string (node->http));
    return json;
}

static json_t *
s_nodes (adr_map_t *map)
{
    json_t *nodes = json_array ();
    for (uint32_t i = 0; i < map->node_count; i++)
        json_array_append_new (nodes, s_node (map, &map->node[i]));
    return nodes;
}

/* `copy` in the words of docs/protocol/inventory_syncer.md. */
static json_t *
s_progress (const adr_map_t *map, const adr_progress_t *progress)
{
    static const char *const s_copies[] = { "exact", "copying", "replaying", "unproven" };
    uint32_t last = sizeof s_copies / sizeof s_copies[0] - 1;
    json_t *json = json_pack ("{s:s}", "copy", s_copies[progress->sync < last ? progress->sync : last]);
    json_object_set_new (json, "partitions", s_number (progress->parts));
    json_object_set_new (json, "done", s_number (progress->parts_done));
    json_object_set_new (json, "pulled", s_number (progress->pulled));
    json_object_set_new (json, "rate", s_number ((uint64_t) progress->rate_kib * 1024));
    json_object_set_new (json, "left_s", s_number (progress->left_s));
    json_object_set_new (json, "paused_s", s_number (progress->paused_s));
    json_object_set_new (json, "scrub_partitions", s_number (map->partition_count + 1)); /* and the group's own records */
    json_object_set_new (json, "scrub_done", s_number (progress->scrub_done));
    json_object_set_new (json, "damaged", s_number (progress->damaged));
    return json;
}

static json_t *
s_members (const adr_map_t *map, const adr_group_status_t *status)
{
    json_t *members = json_array ();
    for (uint32_t i = 0; i < status->member_count; i++) {
        const adr_map_member_t *member = &status->member[i];
        const adr_map_node_t *node = adr_map_node (map, &member->node);
        uint64_t lag = status->commit > member->applied ? status->commit - member->applied : 0;
        json_t *json = json_pack ("{s:o, s:s, s:s, s:s, s:b}", "id", s_id (&member->node), "name",
                                  node ? node->name : "", "zone", s_zone_name (map, node), "state",
                                  adr_node_state_name (member->state), "voter", member->voter);
        json_object_set_new (json, "incarnation", s_number (member->incarnation));
        json_object_set_new (json, "start", s_number (member->boot));
        json_object_set_new (json, "repair", s_progress (map, &member->progress));
        json_object_set_new (json, "last_index", s_number (member->last_index));
        json_object_set_new (json, "applied", s_number (member->applied));
        json_object_set_new (json, "lag", s_number (lag));
        json_array_append_new (members, json);
    }
    return members;
}

/* Zones that hold the group's data: one alone keeps no second copy of anything. */
static uint32_t
s_zone_count (const adr_map_t *map, const adr_map_group_t *group)
{
    const adr_map_node_t *node[ADR_VOTERS_MAX * 2];
    return adr_map_group_nodes (map, &group->id, node, ADR_VOTERS_MAX * 2);
}

/* Names of the zones from which nobody has come into a forming group. */
static json_t *
s_waits_for (const adr_map_t *map, const adr_map_group_t *group)
{
    json_t *zones = json_array ();
    for (uint32_t i = 0; adr_map_is_forming (group) && i < group->forming_zone_count; i++) {
        const adr_map_zone_t *zone = adr_map_zone (map, &group->forming_zone[i]);
        if (adr_map_forming_node (map, group, &group->forming_zone[i]) == NULL)
            json_array_append_new (zones, json_string (zone ? zone->name : ""));
    }
    return zones;
}

/* null: it never lost its quorum for good. */
static json_t *
s_recovery (const adr_map_t *map, const adr_map_group_t *group)
{
    adr_recovery_t recovery;
    if (!adr_map_recovery (map, &group->id, &recovery))
        return json_null ();
    const adr_map_node_t *survivor = adr_map_node (map, &recovery.survivor);
    return json_pack ("{s:o, s:s, s:o}", "number", s_number (recovery.number), "survivor", survivor ? survivor->name : "", "signed_ms",
                      s_number ((uint64_t) recovery.signed_ms));
}

static json_t *
s_group (const adr_map_t *map, const adr_map_group_t *group)
{
    const adr_group_status_t *status = &group->status;
    const adr_map_node_t *master = adr_map_node (map, &status->master);
    json_t *json = json_pack ("{s:o, s:s, s:s}", "id", s_id (&group->id), "name", group->name, "type",
                              adr_node_type_name (group->type));
    json_object_set_new (json, "master", master ? json_string (master->name) : json_null ());
    json_object_set_new (json, "term", s_number (status->term));
    json_object_set_new (json, "commit", s_number (status->commit));
    json_object_set_new (json, "unlocked", status->unlocked_known ? s_number (status->unlocked) : json_null ());
    json_object_set_new (json, "voters", s_number (status->voter_count));
    json_object_set_new (json, "quorum", s_number (status->quorum));
    json_object_set_new (json, "zones", s_number (s_zone_count (map, group)));
    bool forming = adr_map_is_forming (group);
    json_object_set_new (json, "redundant", json_boolean ((forming ? group->forming_zone_count : s_zone_count (map, group)) >= 2));
    json_object_set_new (json, "state", json_string (forming ? "forming" : "formed"));
    json_object_set_new (json, "waits_for", s_waits_for (map, group));
    json_object_set_new (json, "partitions", s_number (adr_map_owned (map, group)));
    json_object_set_new (json, "recovery", s_recovery (map, group));
    json_object_set_new (json, "age_ms", s_number (status->age_ms));
    json_object_set_new (json, "members", s_members (map, status));
    return json;
}

static json_t *
s_groups (const adr_map_t *map)
{
    json_t *groups = json_array ();
    for (uint32_t i = 0; i < map->group_count; i++)
        json_array_append_new (groups, s_group (map, &map->group[i]));
    return groups;
}

static json_t *
s_ranges (adr_map_t *map)
{
    json_t *ranges = json_array ();
    for (uint32_t i = 0; i < map->range_count; i++) {
        const adr_map_range_t *range = &map->range[i];
        const adr_map_group_t *group = adr_map_group (map, &range->group);
        json_array_append_new (ranges, json_pack ("{s:s, s:i, s:i, s:s, s:i}", "type",
                                                  adr_node_type_name (range->type), "first", (int) range->first,
                                                  "last", (int) range->last, "group", group ? group->name : "",
                                                  "epoch", (int) range->epoch));
    }
    return ranges;
}

/* What the cluster decides for all; the rest is each host's own. */
static json_t *
s_settings (const adr_map_t *map)
{
    json_t *settings = json_array ();
    for (uint32_t i = 0; i < map->setting_count; i++)
        json_array_append_new (settings, json_pack ("{s:s, s:o}", "name", map->setting[i].name, "value", s_number (map->setting[i].value)));
    return settings;
}

char *
adr_map_json (adr_bytes_t encoded)
{
    adr_map_t *map;
    if (!adr_map_decode (&map, encoded))
        return NULL;
    json_t *json = json_pack ("{s:o, s:s}", "cluster", s_id (&map->cluster), "name", map->name);
    json_object_set_new (json, "epoch", s_number (map->epoch));
    json_object_set_new (json, "partitions", s_number (map->partition_count));
    json_object_set_new (json, "quorum", s_number (map->quorum));
    json_object_set_new (json, "settings", s_settings (map));
    json_object_set_new (json, "zones", s_zones (map));
    json_object_set_new (json, "nodes", s_nodes (map));
    json_object_set_new (json, "groups", s_groups (map));
    json_object_set_new (json, "owners", s_ranges (map));
    adr_map_destroy (&map);
    char *text = json_dumps (json, JSON_INDENT (2));
    json_decref (json);
    return text;
}
