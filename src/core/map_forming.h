/* SPDX-License-Identifier: MPL-2.0 */
/* Groups that a set of tokens makes: which nodes they wait for, when they are formed, and what they own then. docs/protocol/groups.md
 * (GROUP-1, GROUP-3, GROUP-4).
 *
 * Owns: nothing; plain values. Makes durable: nothing. Assumes: nothing of who asks; what a registry offers is judged here. */

#ifndef ADR_MAP_FORMING_H
#define ADR_MAP_FORMING_H

#include "core/map.h"

/* Its tokens are out, and not all of its nodes have come: nobody founds it yet. */
bool adr_map_is_forming (const adr_map_group_t *group);
/* Whether the group is founded in that zone. */
bool adr_map_forms_in (const adr_map_group_t *group, const adr_id_t *zone);
/* Who has come for that zone; NULL: nobody yet. */
const adr_map_node_t *adr_map_forming_node (const adr_map_t *map, const adr_map_group_t *group, const adr_id_t *zone);
/* As which store the node was named among those who have come, or among the founding voters; NULL: it was not. */
const adr_voter_t *adr_map_founder (const adr_map_t *map, const adr_map_node_t *node);
/* Names of the zones that it waits for, with commas between, as many as there is room for. */
void adr_map_forming_lacks (const adr_map_t *map, const adr_map_group_t *group, char *names, size_t room);
/* In how many zones a group must be founded: one more than the quorum, or in all of a cluster that has fewer [GROUP-1]. */
uint32_t adr_map_zones_needed (const adr_map_t *map);
/* Whether any group owns partitions of that type. */
bool adr_map_has_owner (const adr_map_t *map, adr_node_type_t type);
/* How many partitions it owns. */
uint32_t adr_map_owned (const adr_map_t *map, const adr_map_group_t *group);

/* What a commit says next. The node, which is in the map, has come; true if it was the last one: the group is formed, and owns all
 * partitions of a type that nobody owned. */
bool adr_map_forming_join (adr_map_t *map, adr_map_group_t *group, const adr_voter_t *voter);
/* An evicted node has not come. */
void adr_map_forming_leave (adr_map_t *map, const adr_map_node_t *node);

/* Of adr_map_is_step: takes what `offered` says of groups and partitions into `expected`, which is `held` with the offered nodes and
 * zones, as far as it may say so; false if it may not. */
ADR_WARN_UNUSED bool adr_map_groups_step (adr_map_t *expected, const adr_map_t *held, const adr_map_t *offered);
/* Of adr_map_judge: every group that is held is there, and one that was founded was founded by the same [GROUP-4]. */
ADR_WARN_UNUSED bool adr_map_keeps_groups (const adr_map_t *held, const adr_map_t *offered);

#endif
