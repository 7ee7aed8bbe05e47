/* SPDX-License-Identifier: MPL-2.0 */
/* Where an edge finds the groups: see routes.h. */

#include "actors/routes.h"
#include "core/node_state.h"

#include <stdlib.h>

void
adr_routes_free (adr_routes_t *self)
{
    for (int type = 0; type < ADR_NODE_TYPE_COUNT; type++)
        free (self->owner[type]);
    free (self->group);
    *self = (adr_routes_t){ 0 };
}

static int
s_place (const adr_routes_t *self, const adr_id_t *group)
{
    for (uint32_t i = 0; i < self->group_count; i++)
        if (adr_id_equal (&self->group[i].id, group))
            return (int) i;
    return -1;
}

static adr_route_group_t *
s_group (adr_routes_t *self, const adr_id_t *id)
{
    int place = s_place (self, id);
    if (place >= 0)
        return &self->group[place];
    self->group = adr_realloc (self->group, (self->group_count + 1) * sizeof *self->group);
    adr_route_group_t *group = &self->group[self->group_count++];
    *group = (adr_route_group_t){ .id = *id, .master = -1 };
    return group;
}

static const char *
s_zone_endpoint (const adr_map_t *map, const adr_id_t *zone)
{
    static const char s_none[ADR_ENDPOINT_MAX + 1];
    for (uint32_t i = 0; i < map->node_count; i++)
        if (map->node[i].type == ADR_NODE_EDGE && !map->node[i].evicted && !map->node[i].leaving && adr_id_equal (&map->node[i].zone, zone))
            return map->node[i].client;
    return s_none;
}

/* A node that no status speaks of may be anything: it is worth a try. */
static bool
s_ready (const adr_group_status_t *status, const adr_id_t *node)
{
    for (uint32_t i = 0; i < status->member_count; i++)
        if (adr_id_equal (&status->member[i].node, node))
            return adr_node_state_has (status->member[i].state, ADR_EFFECT_ROUTED_FIRST, NULL);
    return status->member_count == 0;
}

static void
s_add_node (adr_route_group_t *group, const adr_map_t *map, const adr_map_node_t *node, bool own_zone,
            const adr_group_status_t *status)
{
    adr_route_node_t *to = &group->node[group->node_count++];
    *to = (adr_route_node_t){ .id = node->id, .own_zone = own_zone, .ready = s_ready (status, &node->id) };
    if (!own_zone)
        memcpy (to->endpoint, s_zone_endpoint (map, &node->zone), sizeof to->endpoint);
}

static void
s_update_group (adr_route_group_t *group, const adr_map_t *map, const adr_map_group_t *from, const adr_id_t *own_zone)
{
    const adr_map_node_t *nodes[ADR_ROUTE_NODES_MAX];
    uint32_t count = adr_map_group_nodes (map, &from->id, nodes, ADR_ROUTE_NODES_MAX);
    adr_id_t master = group->master >= 0 ? group->node[group->master].id : (adr_id_t){ { 0 } };
    /* A term may be heard of before who leads in it. Once named, a master is not named again: it may be silent since. */
    bool names = !adr_id_is_none (&from->status.master);
    if (from->status.term > group->term || (from->status.term == group->term && names && !group->named)) {
        master = from->status.master;
        group->term = from->status.term;
        group->named = names;
    }
    group->node_count = 0;
    for (int own = 1; own >= 0; own--)
        for (uint32_t i = 0; i < count; i++)
            if (adr_id_equal (&nodes[i]->zone, own_zone) == (own == 1))
                s_add_node (group, map, nodes[i], own == 1, &from->status);
    group->master = adr_route_find (group, &master);
}

static void
s_update_owners (adr_routes_t *self, const adr_map_t *map)
{
    for (int type = 0; type < ADR_NODE_TYPE_COUNT; type++) {
        free (self->owner[type]);
        self->owner[type] = adr_alloc (map->partition_count * sizeof *self->owner[type]);
    }
    self->partition_count = map->partition_count;
    for (uint32_t i = 0; i < map->range_count; i++) {
        const adr_map_range_t *range = &map->range[i];
        int place = s_place (self, &range->group);
        for (uint32_t p = range->first; p <= range->last && p < map->partition_count; p++)
            self->owner[range->type][p] = (uint16_t) (place + 1);
    }
}

void
adr_routes_update (adr_routes_t *self, const adr_map_t *map, const adr_id_t *own_node)
{
    const adr_map_node_t *own = adr_map_node (map, own_node);
    adr_id_t own_zone = own ? own->zone : (adr_id_t){ { 0 } };
    for (uint32_t i = 0; i < self->group_count; i++)
        if (adr_map_group ((adr_map_t *) map, &self->group[i].id) == NULL) {
            self->group[i].node_count = 0;
            self->group[i].master = -1;
        }
    for (uint32_t i = 0; i < map->group_count; i++)
        s_update_group (s_group (self, &map->group[i].id), map, &map->group[i], &own_zone);
    s_update_owners (self, map);
}

int
adr_routes_owner (const adr_routes_t *self, adr_node_type_t type, uint32_t partition)
{
    return partition < self->partition_count ? self->owner[type][partition] - 1 : -1;
}

int
adr_route_find (const adr_route_group_t *group, const adr_id_t *node)
{
    for (uint32_t i = 0; i < group->node_count; i++)
        if (adr_id_equal (&group->node[i].id, node))
            return (int) i;
    return -1;
}

int
adr_route_next (const adr_route_group_t *group, int last)
{
    int count = (int) group->node_count;
    for (int wanted = 1; wanted >= 0; wanted--)
        for (int step = 1; step <= count; step++) {
            int place = (last + step) % count;
            if (group->node[place].ready == (wanted == 1) && place != last)
                return place;
        }
    return last < count ? last : count - 1;
}

void
adr_route_learn_time (adr_route_group_t *group, int64_t now_ns, uint64_t log_ms, int64_t apart_ns)
{
    if (log_ms <= group->seen_ms)
        return;
    group->seen_ms = log_ms;
    uint32_t newest = (group->seen_next + ADR_ROUTE_TIMES - 1) % ADR_ROUTE_TIMES;
    if (group->seen[newest].log_ms && now_ns - group->seen[newest].at_ns < apart_ns)
        return;
    group->seen[group->seen_next].at_ns = now_ns;
    group->seen[group->seen_next].log_ms = log_ms;
    group->seen_next = (group->seen_next + 1) % ADR_ROUTE_TIMES;
}

uint64_t
adr_route_time_at (const adr_route_group_t *group, int64_t at_ns)
{
    for (uint32_t i = 1; i <= ADR_ROUTE_TIMES; i++) {
        uint32_t place = (group->seen_next + ADR_ROUTE_TIMES - i) % ADR_ROUTE_TIMES;
        if (group->seen[place].at_ns <= at_ns) /* an empty place is of time 0, and says 0 */
            return group->seen[place].log_ms;
    }
    return 0;
}
