/* SPDX-License-Identifier: MPL-2.0 */
/* cert_signer: changes of the registry that operators ask for. See cert_signer.c; rules: docs/protocol/trust.md (TRUST-3).
 *
 * A change is one write to the PKI group: the whole registry with the next epoch, on the condition that the record is still the one
 * that was read, and the audit's row. Whatever is interrupted is asked for again, and goes on from what is committed.
 *
 *                     it is evicted, and enough have signed that
 *     CONTROL ──▶ READING ──────────────────────────────────────▶ CONTROL_ANSWER
 *                    │  ▲
 *                    │  │ committed, or a conflict
 *                    ├──┴──▶ WRITING: leaving, if its group has it as a voter; else evicted
 *                    │  │ now and then, and with each newer map
 *                    └──┴──▶ WAITING: for its group to let it go, or for signatures
 */

#include "actors/cert_signer_private.h"
#include "store/store.h"

#include <inttypes.h>
#include <stdio.h>

#define S_LIMIT_MS 10000 /* of one try */
#define S_STATUS_MS 5000 /* a master says every second how its group is */
#define S_SILENT_NS (2000 * ADR_MS) /* whoever it was relayed to may be gone */

static const adr_bytes_t s_nothing;

/* --- what is answered --------------------------------------------------------------------------------------------- */

static void
s_answer (adr_address_t asker, uint64_t number, adr_status_t status, const char *text, adr_effects_t *effects)
{
    Adr__ControlAnswer answer = ADR__CONTROL_ANSWER__INIT;
    answer.number = number;
    answer.status = status;
    answer.text = (char *) text;
    effects->send (effects, asker, ADR__KIND__CONTROL_ANSWER, &answer.base, s_nothing);
}

static void
s_end (change_t *change, adr_status_t status, const char *text, adr_effects_t *effects)
{
    char id[ADR_ID_TEXT_SIZE];
    adr_id_format (&change->node, id);
    s_answer (change->asker, change->asked_number, status, text, effects);
    adr_note (effects, ADR_LEVEL_NOTE, "eviction of %s -> %s: %s", id, adr_status_name (status), text);
    adr_buffer_free (&change->next);
    *change = (change_t){ .phase = CHANGE_NONE };
}

/* --- tries --------------------------------------------------------------------------------------------------------- */

static ProtobufCBinaryData
s_registry_key (void)
{
    return (ProtobufCBinaryData){ strlen (ADR_REGISTRY_KEY), (uint8_t *) ADR_REGISTRY_KEY };
}

static adr_address_t
s_replicator (const cert_signer_t *self)
{
    return (adr_address_t){ cert_signer_environment (self)->node, ADR_ACTOR_REPLICATOR };
}

static void
s_read (cert_signer_t *self, int64_t now_ns, adr_effects_t *effects)
{
    change_t *change = cert_signer_change (self);
    Adr__Read read = ADR__READ__INIT;
    change->phase = CHANGE_READING;
    change->awaits = true;
    change->try_ns = now_ns + S_SILENT_NS;
    read.number = change->number = cert_signer_number (self);
    read.table = ADR_TABLE_REGISTRY;
    read.key = s_registry_key ();
    read.mode = ADR__READ_MODE__STRONG;
    read.limit_ms = S_LIMIT_MS;
    read.origin = adr_id_view (&cert_signer_environment (self)->node);
    effects->send (effects, s_replicator (self), ADR__KIND__READ, &read.base, s_nothing);
}

/* One line of JSON: who changed what, by which epoch. */
static size_t
s_audit_row (const change_t *change, int64_t wall_ms, char *row, size_t room)
{
    char by[ADR_ID_TEXT_SIZE], node[ADR_ID_TEXT_SIZE];
    adr_id_format (&change->by, by);
    adr_id_format (&change->node, node);
    int size = snprintf (row, room, "{\"epoch\": %" PRIu64 ", \"time_ms\": %" PRId64 ", \"action\": \"%s\", \"node\": \"%s\", \"by\": \"%s\"}",
                         change->epoch, wall_ms, change->evicts ? "evict" : "leave", node, by);
    adr_assert (size > 0 && (size_t) size < room);
    return (size_t) size;
}

/* The registry if it is still the one that was read, and the row of the audit, together or not at all. */
static void
s_write (cert_signer_t *self, const adr_event_t *event, adr_effects_t *effects)
{
    change_t *change = cert_signer_change (self);
    char row[512];
    uint8_t row_key[8];
    Adr__Op op[2] = { ADR__OP__INIT, ADR__OP__INIT }, *ops[2] = { &op[0], &op[1] };
    Adr__VersionOf version = ADR__VERSION_OF__INIT;
    version.epoch = change->held.epoch;
    version.term = change->held.term;
    version.index = change->held.index;
    op[0].table = ADR_TABLE_REGISTRY;
    op[0].key = s_registry_key ();
    op[0].value_size = (uint32_t) change->next.size;
    op[0].condition = change->held.index ? ADR__CONDITION__VERSION : ADR__CONDITION__ABSENT;
    op[0].version = change->held.index ? &version : NULL;
    adr_put_be64 (row_key, change->epoch);
    op[1].table = ADR_TABLE_AUDIT;
    op[1].key = adr_bytes_view (adr_bytes (row_key, sizeof row_key));
    op[1].value_size = (uint32_t) s_audit_row (change, event->wall_ms, row, sizeof row);
    Adr__Write write = ADR__WRITE__INIT;
    write.number = change->number;
    write.request = adr_bytes_view (adr_bytes (change->request, sizeof change->request));
    write.n_op = 2;
    write.op = ops;
    write.limit_ms = S_LIMIT_MS;
    write.age_ms = (uint32_t) ((event->now_ns - change->started_ns) / ADR_MS);
    write.origin = adr_id_view (&cert_signer_environment (self)->node);
    write.seen_ms = change->seen_ms;
    change->awaits = true;
    change->try_ns = event->now_ns + S_SILENT_NS;
    adr_buffer_t payload = { 0 };
    adr_buffer_append (&payload, change->next.data, change->next.size);
    adr_buffer_append (&payload, row, op[1].value_size);
    effects->send (effects, s_replicator (self), ADR__KIND__WRITE, &write.base, adr_bytes (payload.data, payload.size));
    adr_buffer_free (&payload);
}

/* --- what is changed ------------------------------------------------------------------------------------------------- */

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
            return status->member[i].voter;
    return false;
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
s_wait (change_t *change, const char *why, int64_t now_ns)
{
    change->phase = CHANGE_WAITING;
    change->why = why;
    change->try_ns = now_ns + CERT_SIGNER_PAUSE_NS;
}

static void
s_write_next (cert_signer_t *self, adr_map_t *held, adr_map_node_t *node, bool evicts, const adr_event_t *event,
              adr_effects_t *effects)
{
    change_t *change = cert_signer_change (self);
    change->evicts = evicts;
    node->leaving = true;
    node->evicted = evicts;
    if (evicts)
        node->certificate_size = 0;
    held->epoch++;
    adr_map_unseal (held);
    adr_map_seal (held);
    if (adr_map_size_max (held) > ADR_MAP_MAX) {
        s_end (change, ADR_STATUS_FULL, "the registry would be too large to be told", effects);
        return;
    }
    change->epoch = held->epoch;
    adr_buffer_clear (&change->next);
    adr_buffer_append (&change->next, held->sealed, held->sealed_size);
    change->phase = CHANGE_WRITING;
    change->number = cert_signer_number (self);
    cert_signer_draw_request (self, change->request, change->number);
    s_write (self, event, effects);
}

static adr_map_node_t *
s_node (adr_map_t *map, const adr_id_t *id)
{
    for (uint32_t i = 0; i < map->node_count; i++)
        if (adr_id_equal (&map->node[i].id, id))
            return &map->node[i];
    return NULL;
}

/* What the registry says next, from what the group has. */
static void
s_decide (cert_signer_t *self, adr_map_t *held, const adr_event_t *event, adr_effects_t *effects)
{
    change_t *change = cert_signer_change (self);
    const adr_map_t *seen = cert_signer_map (self); /* its statuses, and its epoch: what enough have signed */
    adr_map_node_t *node = s_node (held, &change->node);
    if (node == NULL)
        s_end (change, ADR_STATUS_NOT_FOUND, "the registry has no such node", effects);
    else if (node->evicted && seen->epoch >= held->epoch)
        s_end (change, ADR_STATUS_OK, "evicted", effects);
    else if (node->evicted)
        s_wait (change, "it is committed, and too few PKI nodes have signed it yet: ask again", event->now_ns);
    else if (node->type == ADR_NODE_EDGE)
        s_write_next (self, held, node, true, event, effects);
    else {
        const adr_group_status_t *status = s_status (seen, node);
        if (status == NULL)
            s_wait (change, "nothing is known of its group, or for too long: ask again", event->now_ns);
        else if (!node->leaving && s_is_needed (held, status, node))
            s_end (change, ADR_STATUS_REFUSED, "without it the rest of its group that is up is no quorum", effects);
        else if (node->leaving && s_is_voter (status, node))
            s_wait (change, "its group has not let it go yet: ask again", event->now_ns);
        else
            s_write_next (self, held, node, !s_is_voter (status, node), event, effects);
    }
}

static void
s_on_read (cert_signer_t *self, const adr_event_t *event, adr_effects_t *effects)
{
    const Adr__Answer *answer = (const Adr__Answer *) event->message.header;
    change_t *change = cert_signer_change (self);
    adr_map_t *held = NULL;
    change->held = (adr_version_t){ 0 };
    if (answer->status == ADR_STATUS_OK && answer->version) {
        held = adr_registry_read (event->message.payload);
        change->held = (adr_version_t){ answer->version->epoch, answer->version->term, answer->version->index };
    } else if (answer->status == ADR_STATUS_NOT_FOUND) /* nothing was changed yet: the founding one */
        held = adr_map_copy (cert_signer_map (self));
    if (held)
        s_decide (self, held, event, effects);
    else
        change->try_ns = event->now_ns + CERT_SIGNER_PAUSE_NS;
    adr_map_destroy (&held);
}

static void
s_on_written (cert_signer_t *self, const adr_event_t *event, adr_effects_t *effects)
{
    const Adr__Answer *answer = (const Adr__Answer *) event->message.header;
    change_t *change = cert_signer_change (self);
    if (answer->status == ADR_STATUS_OK || answer->status == ADR_STATUS_CONFLICT)
        s_read (self, event->now_ns, effects);
    else {
        if (answer->time_ms > change->seen_ms)
            change->seen_ms = answer->time_ms;
        change->try_ns = event->now_ns + CERT_SIGNER_PAUSE_NS;
    }
}

bool
cert_signer_on_change_answer (cert_signer_t *self, const adr_event_t *event, adr_effects_t *effects)
{
    const Adr__Answer *answer = (const Adr__Answer *) event->message.header;
    change_t *change = cert_signer_change (self);
    if (change->phase == CHANGE_NONE || answer->number != change->number || !change->awaits)
        return false;
    change->awaits = false;
    if (change->phase == CHANGE_READING)
        s_on_read (self, event, effects);
    else if (change->phase == CHANGE_WRITING)
        s_on_written (self, event, effects);
    return true;
}

/* --- requests ------------------------------------------------------------------------------------------------------- */

void
cert_signer_on_control (cert_signer_t *self, const adr_event_t *event, adr_effects_t *effects)
{
    const Adr__Control *control = (const Adr__Control *) event->message.header;
    change_t *change = cert_signer_change (self);
    adr_id_t node = adr_id_of (control->node);
    int64_t limit_ms = control->limit_ms < ADR_REQUEST_TIME_MAX_MS ? control->limit_ms : ADR_REQUEST_TIME_MAX_MS;
    bool same = change->phase != CHANGE_NONE && adr_id_equal (&change->node, &node);
    if (same) { /* asked again: it is answered once, under its newest number */
        change->asker = event->message.from;
        change->asked_number = control->number;
        change->limit_ns = event->now_ns + limit_ms * ADR_MS;
    } else if (change->phase != CHANGE_NONE)
        s_answer (event->message.from, control->number, ADR_STATUS_REFUSED, "busy: the registry is being changed", effects);
    else if (control->action != ADR__CONTROL_ACTION__EVICT || adr_map_node (cert_signer_map (self), &node) == NULL)
        s_answer (event->message.from, control->number, ADR_STATUS_INVALID, "no such node", effects);
    else if (adr_id_equal (&node, &cert_signer_environment (self)->node))
        s_answer (event->message.from, control->number, ADR_STATUS_REFUSED, "another PKI node has to do that", effects);
    else {
        *change = (change_t){ .asker = event->message.from, .asked_number = control->number, .by = adr_id_of (control->asker),
                              .node = node, .started_ns = event->now_ns,
                              .limit_ns = event->now_ns + limit_ms * ADR_MS };
        s_read (self, event->now_ns, effects);
    }
}

int64_t
cert_signer_change_due (const change_t *change)
{
    if (change->phase == CHANGE_NONE)
        return ADR_NEVER;
    return change->try_ns < change->limit_ns ? change->try_ns : change->limit_ns;
}

void
cert_signer_tend_change (cert_signer_t *self, const adr_event_t *event, adr_effects_t *effects)
{
    change_t *change = cert_signer_change (self);
    if (change->phase == CHANGE_NONE)
        return;
    if (event->now_ns >= change->limit_ns)
        s_end (change, change->phase == CHANGE_WAITING ? ADR_STATUS_TIMEOUT : ADR_STATUS_UNKNOWN,
               change->phase == CHANGE_WAITING ? change->why : "not committed in time: ask again", effects);
    else if (event->kind == ADR_EVENT_MESSAGE && change->phase == CHANGE_WAITING) /* a newer map: it may be no voter any more */
        s_read (self, event->now_ns, effects);
    else if (change->try_ns <= event->now_ns && change->phase == CHANGE_WRITING)
        s_write (self, event, effects);
    else if (change->try_ns <= event->now_ns)
        s_read (self, event->now_ns, effects);
}
