/* SPDX-License-Identifier: MPL-2.0 */
/* cert_signer: nodes that go, and voters that are made and unmade. See cert_signer_change.c; rules: docs/protocol/trust.md (TRUST-3).
 * Who is *leaving* is taken out of its group's voters, and stays so until it is promoted; only who votes nowhere is *evicted*. */

#include "actors/cert_signer_private.h"
#include "core/map_forming.h"
#include "core/map_trust.h"
#include "store/store.h"

#include <stdio.h>

#define S_STATUS_MS 5000 /* a master says every second how its group is */

/* What is known of the node's group; NULL: nothing that may be relied on. */
static const adr_group_status_t *
s_status (const adr_map_t *map, const adr_map_node_t *node)
{
    const adr_map_group_t *group = adr_map_group ((adr_map_t *) map, &node->group);
    bool known = group && group->status.member_count > 0 && !adr_id_is_none (&group->status.master)
                 && group->status.age_ms < S_STATUS_MS;
    return known ? &group->status : NULL;
}

static bool
s_is_voter (const adr_group_status_t *status, const adr_map_node_t *node)
{
    for (uint32_t i = 0; i < status->member_count; i++)
        if (adr_id_equal (&status->member[i].node, &node->id))
            return status->member[i].voter && !ADR_PLANT (TRUST_3_VOTERS_ARE_EVICTED);
    return false;
}

/* A master whose registry does not have it says nothing of it. */
static bool
s_is_listed (const adr_group_status_t *status, const adr_map_node_t *node)
{
    for (uint32_t i = 0; i < status->member_count; i++)
        if (adr_id_equal (&status->member[i].node, &node->id))
            return true;
    return false;
}

/* [TRUST-7] It votes no more, and nobody will take it in again by a registry that does not know yet that it leaves. */
static bool
s_is_out (const adr_group_status_t *status, const adr_map_node_t *node, const adr_map_t *held)
{
    return s_is_listed (status, node) && !s_is_voter (status, node) && (status->map_epoch >= held->epoch || ADR_PLANT (TRUST_7_STATUS_OF_BEFORE));
}

/* [TRUST-3] Without the node the group's voters that are up, and can acknowledge, are no quorum of those that are to stay. What it
 * says of its own group while it leads is no reason: the group's log guards that step as well. */
static bool
s_is_needed (const adr_map_t *map, const adr_group_status_t *status, const adr_map_node_t *node)
{
    uint32_t left = 0, up = 0;
    if (adr_id_equal (&status->master, &node->id))
        return false;
    for (uint32_t i = 0; i < status->member_count; i++) {
        const adr_map_member_t *member = &status->member[i];
        const adr_map_node_t *other = adr_map_node (map, &member->node);
        if (!member->voter || other == NULL || other->leaving || other == node)
            continue;
        left++;
        up += adr_node_state_is_online (member->state) && member->progress.sync != ADR_SYNC_COPYING; /* that acknowledges nothing */
    }
    return s_is_voter (status, node) && (left == 0 || up < adr_quorum_needed (left, map->quorum));
}

static void
s_write_next (cert_signer_t *self, adr_map_t *held, const adr_map_node_t *node, const char *action, const adr_event_t *event,
              adr_effects_t *effects)
{
    change_t *change = cert_signer_change (self);
    char id[ADR_ID_TEXT_SIZE], more[ADR_ID_TEXT_SIZE + 16];
    change_ops_begin (change);
    if (!change_add_registry (self, held, effects))
        return;
    adr_id_format (&node->id, id);
    snprintf (more, sizeof more, "\"node\": \"%s\"", id);
    change_add_audit (change, held->epoch, 0, action, more, event->wall_ms);
    change_write (self, event, effects);
}

static void
s_write_leaving (cert_signer_t *self, adr_map_t *held, adr_map_node_t *node, const adr_event_t *event, adr_effects_t *effects)
{
    node->leaving = true;
    s_write_next (self, held, node, "leave", event, effects);
}

static void
s_write_evicted (cert_signer_t *self, adr_map_t *held, adr_map_node_t *node, const adr_event_t *event, adr_effects_t *effects)
{
    node->leaving = node->evicted = true;
    node->certificate_size = 0;
    adr_map_forming_leave (held, node);
    s_write_next (self, held, node, "evict", event, effects);
}

/* [TRUST-7] Voters that were made by a registry which there never was, by a master that lied: the next one is beyond it, or nobody could
 * be taken in any more. */
static void
s_outrun (adr_map_t *held, const adr_group_status_t *status)
{
    if (status->map_epoch > held->epoch && status->map_epoch - held->epoch < ADR_MAP_EPOCHS_MAX)
        held->epoch = status->map_epoch;
}

/* Nobody else of its group is to stay, or it is the last edge: without it nobody could decide anything there, or ask for anything. */
static bool
s_is_last (const adr_map_t *map, const adr_map_node_t *node)
{
    for (uint32_t i = 0; i < map->node_count; i++) {
        const adr_map_node_t *other = &map->node[i];
        if (other != node && other->type == node->type && adr_id_equal (&other->group, &node->group) && !other->evicted
            && (!other->leaving || other->type == ADR_NODE_EDGE)) /* who is drained can be taken back */
            return false;
    }
    return true;
}

/* [GROUP-4] Nobody votes there yet. */
static bool
s_is_in_forming_group (const adr_map_t *map, const adr_map_node_t *node)
{
    const adr_map_group_t *group = adr_map_group (map, &node->group);
    return group && adr_map_is_forming (group);
}

void
cert_signer_decide_evict (cert_signer_t *self, adr_map_t *held, const adr_event_t *event, adr_effects_t *effects)
{
    change_t *change = cert_signer_change (self);
    const adr_map_t *seen = cert_signer_map (self); /* its statuses, and its epoch: what enough have signed */
    adr_map_node_t *node = change_node (held, &change->node);
    if (node == NULL)
        change_end (self, ADR_STATUS_NOT_FOUND, "the registry has no such node", effects);
    else if (node->evicted && (seen->epoch >= held->epoch || ADR_PLANT (TRUST_3_ANSWERED_UNSIGNED)))
        change_end (self, ADR_STATUS_OK, "evicted", effects);
    else if (node->evicted)
        change_wait (change, "it is committed, and too few PKI nodes have signed it yet: ask again", event->now_ns);
    else if (!node->leaving && s_is_last (held, node) && !s_is_in_forming_group (held, node))
        change_end (self, ADR_STATUS_REFUSED,
                    node->type == ADR_NODE_EDGE ? "it is the last edge: nobody could reach the cluster any more" : "it is the last of its group",
                    effects);
    else if (node->type == ADR_NODE_EDGE || s_is_in_forming_group (held, node))
        s_write_evicted (self, held, node, event, effects);
    else {
        const adr_group_status_t *status = s_status (seen, node);
        if (status == NULL)
            change_wait (change, "nothing is known of its group, or for too long: ask again", event->now_ns);
        else if (!node->leaving && s_is_needed (held, status, node))
            change_end (self, ADR_STATUS_REFUSED, "without it the rest of its group that is up is no quorum", effects);
        else if (!node->leaving && !ADR_PLANT (TRUST_7_NOT_LEAVING_FIRST))
            s_write_leaving (self, held, node, event, effects);
        else if (!s_is_out (status, node, held))
            change_wait (change, "its group has not let it go yet: ask again", event->now_ns);
        else {
            s_outrun (held, status);
            s_write_evicted (self, held, node, event, effects);
        }
    }
}

/* [EDGE-9] An edge has no group: it is told by the registry that it drains, or no more. */
static void
s_decide_edge (cert_signer_t *self, adr_map_t *held, adr_map_node_t *node, bool leaving, const adr_event_t *event, adr_effects_t *effects)
{
    if (node->leaving != leaving) {
        node->leaving = leaving;
        s_write_next (self, held, node, leaving ? "drain" : "undrain", event, effects);
    } else if (cert_signer_map (self)->epoch < held->epoch)
        change_wait (cert_signer_change (self), "it is committed, and too few PKI nodes have signed it yet: ask again", event->now_ns);
    else
        change_end (self, ADR_STATUS_OK, leaving ? "drains: what it has begun ends there, new requests go to others" : "serves", effects);
}

void
cert_signer_decide_demote (cert_signer_t *self, adr_map_t *held, const adr_event_t *event, adr_effects_t *effects)
{
    change_t *change = cert_signer_change (self);
    const adr_map_t *seen = cert_signer_map (self);
    adr_map_node_t *node = change_node (held, &change->node);
    const adr_group_status_t *status = node ? s_status (seen, node) : NULL;
    if (node == NULL || node->evicted)
        change_end (self, ADR_STATUS_REFUSED, "there is no such node, or it was evicted", effects);
    else if (node->type == ADR_NODE_EDGE)
        s_decide_edge (self, held, node, true, event, effects);
    else if (s_is_in_forming_group (held, node))
        change_end (self, ADR_STATUS_REFUSED, "its group is forming: nobody votes there yet", effects);
    else if (!node->leaving && s_is_last (held, node))
        change_end (self, ADR_STATUS_REFUSED, "it is the last of its group", effects);
    else if (status == NULL)
        change_wait (change, "nothing is known of its group, or for too long: ask again", event->now_ns);
    else if (!node->leaving && s_is_needed (held, status, node))
        change_end (self, ADR_STATUS_REFUSED, "without it the rest of its group that is up is no quorum", effects);
    else if (!node->leaving)
        s_write_leaving (self, held, node, event, effects);
    else if (!s_is_out (status, node, held) || seen->epoch < held->epoch)
        change_wait (change, "its group has not let it go yet: ask again", event->now_ns);
    else
        change_end (self, ADR_STATUS_OK, "votes no more", effects);
}

void
cert_signer_decide_promote (cert_signer_t *self, adr_map_t *held, const adr_event_t *event, adr_effects_t *effects)
{
    change_t *change = cert_signer_change (self);
    const adr_map_t *seen = cert_signer_map (self);
    adr_map_node_t *node = change_node (held, &change->node);
    const adr_group_status_t *status = node ? s_status (seen, node) : NULL;
    if (node == NULL || node->evicted)
        change_end (self, ADR_STATUS_REFUSED, "there is no such node, or it was evicted", effects);
    else if (node->type == ADR_NODE_EDGE)
        s_decide_edge (self, held, node, false, event, effects);
    else if (s_is_in_forming_group (held, node))
        change_end (self, ADR_STATUS_REFUSED, "its group is forming: nobody votes there yet", effects);
    else if (node->leaving && adr_map_peer_in_zone (held, &node->group, &node->zone))
        change_end (self, ADR_STATUS_REFUSED, "its group has another node in that zone", effects);
    else if (node->leaving) {
        node->leaving = false;
        s_write_next (self, held, node, "promote", event, effects);
    } else if (status == NULL || !s_is_voter (status, node) || seen->epoch < held->epoch)
        change_wait (change, "its group takes it in once it has caught up and settled: ask again", event->now_ns);
    else
        change_end (self, ADR_STATUS_OK, "votes", effects);
}

void
cert_signer_on_node (cert_signer_t *self, change_kind_t kind, const adr_event_t *event, adr_effects_t *effects)
{
    const Adr__Control *control = (const Adr__Control *) event->message.header;
    adr_id_t node = adr_id_of (control->node);
    change_t asked = cert_signer_asked (kind, event);
    asked.node = node;
    if (adr_map_node (cert_signer_map (self), &node) == NULL)
        cert_signer_answer (asked.asker, control->number, ADR_STATUS_INVALID, "no such node", NULL, effects);
    else if (kind != CHANGE_PROMOTE && adr_id_equal (&node, &cert_signer_environment (self)->node))
        cert_signer_answer (asked.asker, control->number, ADR_STATUS_REFUSED, "another PKI node has to do that", NULL, effects);
    else if (!cert_signer_begin_change (self, &asked, event, effects))
        cert_signer_answer (asked.asker, control->number, ADR_STATUS_REFUSED, "busy: the registry is being changed", NULL, effects);
}
