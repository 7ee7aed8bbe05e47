/* SPDX-License-Identifier: MPL-2.0 */
/* Who belongs to this node's group, as the newest clusterMap says: what an actor asks before it believes a peer.
 *
 * Owns: the list of nodes. Makes durable: nothing. */

#ifndef ADR_GROUP_H
#define ADR_GROUP_H

#include "core/actor.h"
#include "wire/adrestia.pb-c.h"

/* Voters, their standbys and replacements; one node a zone is the rule, two while one replaces another. */
#define ADR_GROUP_NODES_MAX 16
static_assert (ADR_GROUP_NODES_MAX >= 2 * ADR_VOTERS_MAX, "each voter may have a replacement");

typedef struct {
    adr_id_t group, self;
    uint32_t count;                      /* the other nodes; this one is not among them */
    adr_id_t node[ADR_GROUP_NODES_MAX];  /* in the order of the map */
} adr_group_t;

void adr_group_init (adr_group_t *self, const adr_environment_t *environment);
/* Takes a new map over. A map without a registry changes nothing. */
void adr_group_update (adr_group_t *self, const Adr__ClusterMap *map);
/* The place of a node of the group other than this one, or -1. */
int adr_group_find (const adr_group_t *self, const adr_id_t *node);

#endif
