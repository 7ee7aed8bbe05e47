/* SPDX-License-Identifier: MPL-2.0 */
/* Groups that a set of tokens makes: see map_forming.h. Implements GROUP-1, GROUP-3, GROUP-4. */

#include "core/map_forming.h"

#include "core/map_trust.h"

#include <stdio.h>

bool
adr_map_is_forming (const adr_map_group_t *group)
{
    return group->forming_zone_count > 0 && group->founding.count == 0;
}

bool
adr_map_forms_in (const adr_map_group_t *group, const adr_id_t *zone)
{
    for (uint32_t i = 0; i < group->forming_zone_count; i++)
        if (adr_id_equal (&group->forming_zone[i], zone))
            return true;
    return false;
}

const adr_map_node_t *
adr_map_forming_node (const adr_map_t *map, const adr_map_group_t *group, const adr_id_t *zone)
{
    for (uint32_t i = 0; i < group->forming_count; i++) {
        const adr_map_node_t *node = adr_map_node (map, &group->forming[i].node);
        if (node && !node->evicted && adr_id_equal (&node->zone, zone))
            return node;
    }
    return NULL;
}

const adr_voter_t *
adr_map_founder (const adr_map_t *map, const adr_map_node_t *node)
{
    const adr_map_group_t *group = adr_map_group (map, &node->group);
    int place = group ? adr_voters_find_node (&group->founding, &node->id) : -1;
    if (place >= 0)
        return &group->founding.voter[place];
    for (uint32_t i = 0; group && i < group->forming_count; i++)
        if (adr_id_equal (&group->forming[i].node, &node->id))
            return &group->forming[i];
    return NULL;
}

void
adr_map_forming_lacks (const adr_map_t *map, const adr_map_group_t *group, char *names, size_t room)
{
    size_t used = 0;
    adr_assert (room > 0);
    names[0] = '\0';
    for (uint32_t i = 0; i < group->forming_zone_count && used < room; i++) {
        const adr_map_zone_t *zone = adr_map_zone (map, &group->forming_zone[i]);
        if (adr_map_forming_node (map, group, &group->forming_zone[i]) == NULL)
            used += (size_t) snprintf (names + used, room - used, "%s%s", used ? ", " : "", zone ? zone->name : "?");
    }
}

uint32_t
adr_map_zones_needed (const adr_map_t *map)
{
    return map->quorum < map->zone_count ? map->quorum + 1 : map->zone_count;
}

bool
adr_map_has_owner (const adr_map_t *map, adr_node_type_t type)
{
    for (uint32_t i = 0; i < map->range_count; i++)
        if (map->range[i].type == type)
            return true;
    return false;
}

uint32_t
adr_map_owned (const adr_map_t *map, const adr_map_group_t *group)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < map->range_count; i++)
        if (adr_id_equal (&map->range[i].group, &group->id))
            count += map->range[i].last - map->range[i].first + 1;
    return count;
}

/* --- what a commit says next ---------------------------------------------------------------------------------------- */

static void
s_give_all_partitions (adr_map_t *map, const adr_map_group_t *group)
{
    map->range = adr_realloc (map->range, (map->range_count + 1) * sizeof *map->range);
    map->range[map->range_count++] = (adr_map_range_t){ .type = group->type, .last = map->partition_count - 1, .group = group->id,
                                                        .epoch = 1 };
}

bool
adr_map_forming_join (adr_map_t *map, adr_map_group_t *group, const adr_voter_t *voter)
{
    adr_assert (adr_map_is_forming (group) && group->forming_count < ADR_VOTERS_MAX);
    group->forming[group->forming_count++] = *voter;
    for (uint32_t i = 0; i < group->forming_zone_count; i++)
        if (adr_map_forming_node (map, group, &group->forming_zone[i]) == NULL)
            return false;
    group->founding.count = group->forming_count;
    for (uint32_t i = 0; i < group->forming_count; i++)
        group->founding.voter[i] = group->forming[i];
    group->forming_count = 0;
    if (!adr_map_has_owner (map, group->type))
        s_give_all_partitions (map, group);
    return true;
}

void
adr_map_forming_leave (adr_map_t *map, const adr_map_node_t *node)
{
    adr_map_group_t *group = adr_map_group (map, &node->group);
    for (uint32_t i = 0; group && i < group->forming_count; i++)
        if (adr_id_equal (&group->forming[i].node, &node->id)) {
            memmove (&group->forming[i], &group->forming[i + 1], (group->forming_count - i - 1) * sizeof group->forming[0]);
            group->forming_count--;
            return;
        }
}

/* --- what others may say -------------------------------------------------------------------------------------------- */

/* Each is a node of the group, in a zone of its own among those that the group is founded in, and has an incarnation. `evicted` counts
 * those that have been evicted since. */
static bool
s_are_its_nodes (const adr_map_t *map, const adr_map_group_t *group, const adr_voter_t *voter, uint32_t count, uint64_t *evicted)
{
    const adr_map_node_t *node[ADR_VOTERS_MAX];
    *evicted = 0;
    for (uint32_t i = 0; i < count; i++) {
        node[i] = adr_map_node (map, &voter[i].node);
        if (node[i] == NULL || voter[i].incarnation == 0 || !adr_id_equal (&node[i]->group, &group->id)
            || !adr_map_forms_in (group, &node[i]->zone))
            return false;
        *evicted += node[i]->evicted;
        for (uint32_t before = 0; before < i; before++)
            if (adr_id_equal (&node[before]->zone, &node[i]->zone))
                return false;
    }
    return true;
}

/* Who had come is there still, as the same, unless it was evicted. */
static bool
s_keeps_who_came (const adr_map_t *map, const adr_map_group_t *held, const adr_voter_t *voter, uint32_t count)
{
    for (uint32_t i = 0; i < held->forming_count; i++) {
        const adr_map_node_t *node = adr_map_node (map, &held->forming[i].node);
        bool found = node && node->evicted;
        for (uint32_t k = 0; k < count; k++)
            if (adr_id_equal (&voter[k].node, &held->forming[i].node))
                found = voter[k].incarnation == held->forming[i].incarnation;
        if (!found)
            return false;
    }
    return true;
}

/* [GROUP-4] Of a forming group: who has come, or by whom it is founded, once, by all of its nodes. Where several changes are seen at
 * once, a founder may have been evicted since. */
static bool
s_forming_steps (adr_map_t *map, adr_map_group_t *to, const adr_map_group_t *offered, uint64_t epochs)
{
    const adr_voters_t *founding = &offered->founding;
    bool formed = founding->count > 0;
    const adr_voter_t *voter = formed ? founding->voter : offered->forming;
    uint32_t count = formed ? founding->count : offered->forming_count;
    uint64_t evicted;
    if (!s_are_its_nodes (map, to, voter, count, &evicted) || !s_keeps_who_came (map, to, voter, count)
        || evicted >= (formed ? epochs : 1) || (formed ? count != to->forming_zone_count : count >= to->forming_zone_count))
        return false;
    to->forming_count = 0;
    for (uint32_t i = 0; i < count && !formed; i++)
        to->forming[to->forming_count++] = voter[i];
    for (uint32_t i = 0; i < count && formed; i++)
        to->founding.voter[i] = voter[i];
    to->founding.count = formed ? count : 0;
    return true;
}

/* [GROUP-1] As it is before anybody has come. */
static bool
s_group_may_come (const adr_map_t *map, const adr_map_group_t *group, uint32_t zones_needed)
{
    for (uint32_t i = 0; i < map->group_count; i++)
        if (adr_id_equal (&map->group[i].id, &group->id) || strcmp (map->group[i].name, group->name) == 0)
            return false;
    for (uint32_t i = 0; i < group->forming_zone_count; i++) {
        if (adr_map_zone (map, &group->forming_zone[i]) == NULL)
            return false;
        for (uint32_t before = 0; before < i; before++)
            if (adr_id_equal (&group->forming_zone[before], &group->forming_zone[i]))
                return false;
    }
    return (group->type == ADR_NODE_META || group->type == ADR_NODE_DATA) && group->name[0] && adr_map_name_is_plain (group->name)
           && group->forming_zone_count > 0 && group->forming_zone_count >= zones_needed && group->founding.quorum == map->quorum;
}

/* The offered one, with nobody in it yet. */
static adr_map_group_t
s_bare (const adr_map_group_t *offered)
{
    adr_map_group_t group = *offered;
    group.founding = (adr_voters_t){ .quorum = offered->founding.quorum };
    group.forming_count = 0;
    group.recovery_size = 0; /* who was never founded has lost nothing */
    group.status = (adr_group_status_t){ 0 };
    return group;
}

/* [GROUP-5] All partitions of a type that nobody owned, to a group that is formed by this. */
static bool
s_range_may_come (const adr_map_t *map, const bool formed[ADR_GROUPS_MAX], const adr_map_range_t *range)
{
    for (uint32_t i = 0; i < map->group_count; i++)
        if (adr_id_equal (&map->group[i].id, &range->group))
            return formed[i] && map->group[i].type == range->type && !adr_map_has_owner (map, range->type) && range->first == 0
                   && range->last == map->partition_count - 1 && range->epoch == 1;
    return false;
}

static bool
s_ranges_step (adr_map_t *expected, const adr_map_t *offered, const bool formed[ADR_GROUPS_MAX])
{
    for (uint32_t i = expected->range_count; i < offered->range_count; i++) {
        if (!s_range_may_come (expected, formed, &offered->range[i]))
            return false;
        expected->range = adr_realloc (expected->range, (i + 1) * sizeof *expected->range);
        expected->range[expected->range_count++] = offered->range[i];
    }
    return true;
}

bool
adr_map_groups_step (adr_map_t *expected, const adr_map_t *held, const adr_map_t *offered)
{
    bool formed[ADR_GROUPS_MAX] = { false }; /* by this */
    uint64_t epochs = offered->epoch - held->epoch; /* each change brings one newcomer at most */
    uint64_t newcomers = (uint64_t) offered->node_count - held->node_count + offered->group_count - held->group_count;
    if (offered->group_count < held->group_count || newcomers > epochs)
        return false;
    expected->group = adr_realloc (expected->group, (offered->group_count + 1) * sizeof *expected->group);
    for (uint32_t i = 0; i < offered->group_count; i++) {
        if (i >= held->group_count) {
            adr_map_group_t group = s_bare (&offered->group[i]);
            if (!s_group_may_come (expected, &group, adr_map_zones_needed (held)))
                return false;
            expected->group[expected->group_count++] = group;
        }
        bool forms = adr_map_is_forming (&expected->group[i]);
        if (forms && !s_forming_steps (expected, &expected->group[i], &offered->group[i], epochs))
            return false;
        formed[i] = forms && expected->group[i].founding.count > 0;
    }
    return s_ranges_step (expected, offered, formed);
}

bool
adr_map_keeps_groups (const adr_map_t *held, const adr_map_t *offered)
{
    for (uint32_t i = 0; i < held->group_count; i++) {
        const adr_map_group_t *group = &held->group[i], *other = adr_map_group ((adr_map_t *) offered, &group->id);
        if (other == NULL || other->type != group->type)
            return false;
        bool same = group->founding.count == other->founding.count;
        for (uint32_t k = 0; same && k < group->founding.count; k++)
            same = adr_id_equal (&group->founding.voter[k].node, &other->founding.voter[k].node)
                   && group->founding.voter[k].incarnation == other->founding.voter[k].incarnation;
        if (group->founding.count > 0 && !same)
            return false;
    }
    return true;
}
