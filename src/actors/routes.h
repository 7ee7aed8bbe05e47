/* SPDX-License-Identifier: MPL-2.0 */
/* Where an edge finds the groups: the clusterMap, turned into what a request needs in two look-ups. */

#ifndef ADR_ROUTES_H
#define ADR_ROUTES_H

#include "core/map.h"

#define ADR_ROUTE_NODES_MAX (ADR_VOTERS_MAX * 2)
#define ADR_ROUTE_TIMES 64 /* log times of a group that an edge remembers */

typedef struct {
    adr_id_t id;
    bool own_zone;
    bool ready;                          /* online-ready by the newest status, or none is known */
    char endpoint[ADR_ENDPOINT_MAX + 1]; /* for clients, of the edge in this node's zone; "" for our own zone's */
} adr_route_node_t;

/* Groups keep their place from one map to the next, so that a request may hold it. */
typedef struct {
    adr_id_t id;
    uint32_t node_count;
    adr_route_node_t node[ADR_ROUTE_NODES_MAX]; /* our zone's first */
    int master;       /* the place of whom we take for the master; -1: nobody */
    uint64_t term;    /* of the newest status */
    bool named;       /* ... which named its master */
    uint64_t seen_ms; /* newest log time that an answer told */
    /* A ring: at which time of this edge it had seen which log time. */
    struct {
        int64_t at_ns;
        uint64_t log_ms;
    } seen[ADR_ROUTE_TIMES];
    uint32_t seen_next;
} adr_route_group_t;

typedef struct {
    uint32_t group_count, partition_count;
    adr_route_group_t *group;                  /* owned */
    uint16_t *owner[ADR_NODE_TYPE_COUNT];      /* owned: by node type and partition, place of the group, and one */
} adr_routes_t;

void adr_routes_free (adr_routes_t *self);
/* Takes over what a map says. What answers taught about masters stays, unless a status of a higher term says more. */
void adr_routes_update (adr_routes_t *self, const adr_map_t *map, const adr_id_t *own_node);
/* The place of the group that owns the partition; -1: nobody. */
int adr_routes_owner (const adr_routes_t *self, adr_node_type_t type, uint32_t partition);
/* The place of the node in its group; -1: it is none of it. */
int adr_route_find (const adr_route_group_t *group, const adr_id_t *node);
/* The node to ask when `last` (-1: nobody yet) did not help: in a ring from our own zone's on, those that are ready
 * first. -1 only for a group without nodes. */
int adr_route_next (const adr_route_group_t *group, int last);
/* An answer told this log time. Times nearer to each other than `apart_ns` are not told apart later. */
void adr_route_learn_time (adr_route_group_t *group, int64_t now_ns, uint64_t log_ms, int64_t apart_ns);
/* A log time that this edge had seen by then; 0: it remembers none. */
uint64_t adr_route_time_at (const adr_route_group_t *group, int64_t at_ns);

#endif
