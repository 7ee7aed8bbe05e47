/* SPDX-License-Identifier: MPL-2.0 */
/* Recovered groups in registries: see map_recovery.h. Implements RECOVER-3, RECOVER-5, RECOVER-8. */

#include "core/map_recovery.h"

#include "core/map_trust.h"

/* [RECOVER-2] Nor may it be found, years later, by whoever stole one authority: when so many changes have come since, it is over. */
#define S_EPOCHS_VALID 100

static bool
s_recovery_of (const adr_map_group_t *group, adr_recovery_t *recovery)
{
    return group && group->recovery_size && adr_recovery_decode (recovery, adr_bytes (group->recovery, group->recovery_size));
}

bool
adr_map_recovery (const adr_map_t *map, const adr_id_t *group, adr_recovery_t *recovery)
{
    return s_recovery_of (adr_map_group ((adr_map_t *) map, group), recovery);
}

static bool
s_is_same (const adr_map_group_t *a, const adr_map_group_t *b)
{
    size_t a_size = a ? a->recovery_size : 0, b_size = b ? b->recovery_size : 0;
    return a_size == b_size && (a_size == 0 || memcmp (a->recovery, b->recovery, a_size) == 0);
}

/* [RECOVER-4] One that stays could be a voter of a half that goes on, whoever the survivor thinks has voted. */
static bool
s_others_are_evicted (const adr_map_t *held, const adr_map_t *offered, const adr_recovery_t *recovery)
{
    for (uint32_t i = 0; i < held->node_count; i++) {
        const adr_map_node_t *known = &held->node[i], *node = adr_map_node (offered, &known->id);
        if (adr_id_equal (&known->group, &recovery->group) && !adr_id_equal (&known->id, &recovery->survivor)
            && (node == NULL || !node->evicted))
            return false;
    }
    return true;
}

/* [RECOVER-5] A statement that the held map has not for this group. */
static bool
s_may_come (const adr_map_t *held, const adr_map_t *offered, const adr_map_group_t *group)
{
    adr_recovery_t recovery, before = { 0 };
    if (!s_recovery_of (group, &recovery))
        return false;
    if (!s_recovery_of (adr_map_group ((adr_map_t *) held, &group->id), &before))
        before.number = 0;
    bool newer = recovery.number > before.number;
    bool signed_by_root = adr_recovery_verify (&recovery, adr_bytes (held->root_certificate, held->root_certificate_size))
                          && adr_id_equal (&recovery.cluster, &held->cluster);
    bool in_time = held->epoch < recovery.epoch + S_EPOCHS_VALID;
    return newer && in_time && signed_by_root && offered->epoch >= recovery.epoch
           && s_others_are_evicted (held, offered, &recovery);
}

bool
adr_map_recoveries_hold (const adr_map_t *held, const adr_map_t *offered)
{
    for (uint32_t i = 0; i < held->group_count; i++)
        if (held->group[i].recovery_size && adr_map_group ((adr_map_t *) offered, &held->group[i].id) == NULL)
            return false;
    for (uint32_t i = 0; i < offered->group_count; i++) {
        const adr_map_group_t *group = &offered->group[i];
        if (!s_is_same (group, adr_map_group ((adr_map_t *) held, &group->id)) && !s_may_come (held, offered, group))
            return false;
    }
    return true;
}

/* [RECOVER-4] The epochs of the group's partitions rise alike, by one a recovery: by at least one, and by no more than its number does. */
static bool
s_epochs_step (adr_map_t *expected, const adr_map_t *offered, const adr_id_t *group, uint64_t recoveries)
{
    uint64_t rise = 0;
    for (uint32_t i = 0; i < expected->range_count && i < offered->range_count; i++) {
        if (!adr_id_equal (&expected->range[i].group, group))
            continue;
        uint64_t now = offered->range[i].epoch > expected->range[i].epoch ? offered->range[i].epoch - expected->range[i].epoch : 0;
        if (now == 0 || now > recoveries || (rise && now != rise))
            return false;
        rise = now;
        expected->range[i].epoch = offered->range[i].epoch;
    }
    return true;
}

bool
adr_map_recoveries_step (adr_map_t *expected, const adr_map_t *held, const adr_map_t *offered)
{
    if (!adr_map_recoveries_hold (held, offered))
        return false;
    for (uint32_t i = 0; i < held->group_count; i++) {
        const adr_map_group_t *to = adr_map_group ((adr_map_t *) offered, &held->group[i].id);
        adr_recovery_t now, before = { 0 };
        if (s_is_same (&held->group[i], to))
            continue;
        if (!s_recovery_of (to, &now))
            return false;
        if (!s_recovery_of (&held->group[i], &before))
            before.number = 0;
        adr_map_group_t *group = adr_map_group (expected, &to->id);
        memcpy (group->recovery, to->recovery, to->recovery_size);
        group->recovery_size = to->recovery_size;
        if (!s_epochs_step (expected, offered, &to->id, now.number - before.number))
            return false;
    }
    return true;
}

const adr_map_node_t *
adr_map_sole_signer (const adr_map_t *held, const adr_map_t *offered)
{
    for (uint32_t i = 0; i < offered->group_count; i++) {
        const adr_map_group_t *group = &offered->group[i];
        adr_recovery_t recovery;
        if (group->type != ADR_NODE_PKI || s_is_same (group, adr_map_group ((adr_map_t *) held, &group->id))
            || !s_may_come (held, offered, group) || !s_recovery_of (group, &recovery))
            continue;
        const adr_map_node_t *node = adr_map_node (offered, &recovery.survivor);
        if (node && node->type == ADR_NODE_PKI && adr_id_equal (&node->group, &group->id))
            return node;
    }
    return NULL;
}
