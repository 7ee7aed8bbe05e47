/* SPDX-License-Identifier: MPL-2.0 */
/* The nodes of this node's group: see group.h. */

#include "actors/group.h"

#include "core/limits.h"
#include "core/map.h"
#include "wire/pack.h"

static void
s_add (adr_group_t *self, const adr_id_t *node)
{
    if (self->count < ADR_GROUP_NODES_MAX && !adr_id_equal (node, &self->self))
        self->node[self->count++] = *node;
}

void
adr_group_init (adr_group_t *self, const adr_environment_t *environment)
{
    const adr_map_node_t *nodes[ADR_GROUP_NODES_MAX];
    *self = (adr_group_t){ .group = environment->group, .self = environment->node };
    if (environment->map == NULL)
        return;
    uint32_t count = adr_map_group_nodes (environment->map, &self->group, nodes, ADR_GROUP_NODES_MAX);
    for (uint32_t i = 0; i < count; i++)
        s_add (self, &nodes[i]->id);
}

void
adr_group_update (adr_group_t *self, const Adr__ClusterMap *map)
{
    if (map == NULL || map->registry == NULL)
        return;
    self->count = 0;
    for (size_t i = 0; i < map->registry->n_node; i++) {
        const Adr__Node *node = map->registry->node[i];
        adr_id_t group = adr_id_of (node->group);
        adr_id_t id = adr_id_of (node->id);
        if (!node->evicted && adr_id_equal (&group, &self->group) && adr_group_find (self, &id) < 0)
            s_add (self, &id);
    }
}

int
adr_group_find (const adr_group_t *self, const adr_id_t *node)
{
    for (uint32_t i = 0; i < self->count; i++)
        if (adr_id_equal (&self->node[i], node))
            return (int) i;
    return -1;
}
