/* SPDX-License-Identifier: MPL-2.0 */
/* cert_signer: a group that has lost its quorum for good goes on with one node, by the root's statement. See cert_signer_change.c; rules:
 * docs/protocol/recover.md (RECOVER-3, RECOVER-4, RECOVER-8, RECOVER-11). */

#include "actors/cert_signer_private.h"
#include "core/map_trust.h"

#include <inttypes.h>
#include <stdio.h>

#define S_STATUS_MS 5000    /* a master says every second how its group is */
/* Within it every node that reaches a PKI node has told it that it is behind: map_keepers pull from one PKI node after the other, every
 * 2 s, where they hear none. */
#define S_GATHER_NS ((ADR_ZONES_MAX + 1) * 2000 * ADR_MS)
#define S_EVICTED_SHOWN (2 * ADR_VOTERS_MAX - 1) /* ids in the audit's row: all that a group may have, but one */

static const adr_bytes_t s_nothing;

/* --- the survivor --------------------------------------------------------------------------------------------------- */

void
cert_signer_ask_survivor (cert_signer_t *self, adr_effects_t *effects)
{
    const change_t *change = cert_signer_change (self);
    adr_address_t to = { change->recovery.survivor, ADR_ACTOR_REPLICATOR };
    uint8_t statement[ADR_RECOVERY_SIZE];
    Adr__Control ask = ADR__CONTROL__INIT;
    ask.number = change->number;
    ask.action = ADR__CONTROL_ACTION__RECOVER_ASK;
    ask.node = adr_id_view (&change->recovery.survivor);
    ask.recovery = (ProtobufCBinaryData){ adr_recovery_encode (&change->recovery, statement), statement };
    effects->send (effects, to, ADR__KIND__CONTROL, &ask.base, s_nothing);
}

void
cert_signer_on_survivor (cert_signer_t *self, const adr_event_t *event, adr_effects_t *effects)
{
    const Adr__ControlAnswer *answer = (const Adr__ControlAnswer *) event->message.header;
    change_t *change = cert_signer_change (self);
    if (change->phase != CHANGE_ASKING_SURVIVOR || answer->number != change->number
        || !adr_id_equal (&event->message.from.node, &change->recovery.survivor))
        return;
    change->awaits = false;
    if (answer->status == ADR_STATUS_OK) {
        change->survivor_agreed = true;
        cert_signer_go_on (self, event->now_ns, effects);
    } else
        change_end (self, (adr_status_t) answer->status, answer->text, effects);
}

/* --- the registry --------------------------------------------------------------------------------------------------- */

/* [RECOVER-11] Of another group than ours, which its own replicator knows best. */
static bool
s_has_master (const cert_signer_t *self, const adr_map_group_t *group)
{
    return group->type != cert_signer_environment (self)->type && group->status.member_count > 0
           && !adr_id_is_none (&group->status.master) && group->status.age_ms < S_STATUS_MS;
}

/* NULL, or why the registry that the group holds cannot take it. */
static const char *
s_refusal (cert_signer_t *self, const adr_map_t *held, const adr_recovery_t *statement)
{
    const adr_map_node_t *survivor = adr_map_node (held, &statement->survivor);
    const adr_map_group_t *group = adr_map_group (cert_signer_map (self), &statement->group);
    adr_recovery_t before;
    if (survivor == NULL || survivor->evicted || !adr_id_equal (&survivor->group, &statement->group))
        return "the survivor is no node of that group, or was evicted";
    if (adr_map_recovery (held, &statement->group, &before) && before.number >= statement->number)
        return "that group was recovered by this number, or a higher one: ask again with `recover show`";
    if (statement->epoch > held->epoch && statement->epoch - held->epoch >= ADR_MAP_EPOCHS_MAX)
        return "the epoch that the statement names is absurdly high";
    return group && s_has_master (self, group) ? "the group has a master, or had one a moment ago: ask again, if it has lost its quorum" : NULL;
}

/* [RECOVER-4] Ids of those that are evicted go into `list`, as JSON. */
static void
s_evict_others (adr_map_t *map, const adr_recovery_t *statement, char *list, size_t size)
{
    uint32_t count = 0;
    *list = '\0';
    for (uint32_t i = 0; i < map->node_count; i++) {
        adr_map_node_t *node = &map->node[i];
        char id[ADR_ID_TEXT_SIZE];
        if (node->evicted || !adr_id_equal (&node->group, &statement->group))
            continue;
        if (adr_id_equal (&node->id, &statement->survivor)) {
            node->leaving = node->pending = false; /* it is needed now */
            continue;
        }
        node->leaving = node->evicted = true;
        node->certificate_size = 0;
        adr_id_format (&node->id, id);
        size_t at = strlen (list);
        if (count++ < S_EVICTED_SHOWN)
            snprintf (list + at, size - at, "%s\"%s\"", at ? ", " : "", id);
    }
}

/* [RECOVER-9] Credentials that were changed on the lost disks alone had generations, too, and an edge that slept since may hold one of them:
 * no later one must have its number. And every edge judges by what is left before it steers again [USER-6]. */
static void
s_leap_generation (change_t *change)
{
    adr_buffer_t bytes = { 0 };
    generation_t *generation = &change->key.generation;
    bool first = change->key.generation_held.index == 0;
    generation->number += ADR_RECOVERY_EPOCHS;
    if (generation->users)
        generation->users = generation->number;
    generation_encode (generation, &bytes);
    change_add_op (change, ADR_TABLE_CREDENTIAL, adr_bytes (GENERATION_KEY, strlen (GENERATION_KEY)), adr_bytes (bytes.data, bytes.size), first,
                   first ? NULL : &change->key.generation_held);
    adr_buffer_free (&bytes);
}

static void
s_write_recovered (cert_signer_t *self, adr_map_t *held, const adr_event_t *event, adr_effects_t *effects)
{
    change_t *change = cert_signer_change (self);
    const adr_recovery_t *statement = &change->recovery;
    char group[ADR_ID_TEXT_SIZE], survivor[ADR_ID_TEXT_SIZE], evicted[S_EVICTED_SHOWN * (ADR_ID_TEXT_SIZE + 3) + 1], more[900];
    adr_map_group_t *recovered = adr_map_group (held, &statement->group);
    recovered->recovery_size = adr_recovery_encode (statement, recovered->recovery);
    for (uint32_t i = 0; i < held->range_count; i++)
        held->range[i].epoch += adr_id_equal (&held->range[i].group, &statement->group);
    s_evict_others (held, statement, evicted, sizeof evicted);
    if (held->epoch + 1 < statement->epoch)
        held->epoch = statement->epoch - 1; /* which is counted up when it is written */
    change_ops_begin (change);
    if (!change_add_registry (self, held, effects))
        return;
    adr_id_format (&statement->group, group);
    adr_id_format (&statement->survivor, survivor);
    snprintf (more, sizeof more, "\"group\": \"%s\", \"number\": %" PRIu64 ", \"survivor\": \"%s\", \"evicted\": [%s]", group,
              statement->number, survivor, evicted);
    change_add_audit (change, held->epoch, 0, "recover", more, event->wall_ms);
    if (recovered->type == cert_signer_environment (self)->type)
        s_leap_generation (change);
    change_write (self, event, effects);
}

void
cert_signer_decide_recover (cert_signer_t *self, adr_map_t *held, const adr_event_t *event, adr_effects_t *effects)
{
    change_t *change = cert_signer_change (self);
    uint8_t statement[ADR_RECOVERY_SIZE];
    size_t size = adr_recovery_encode (&change->recovery, statement);
    const adr_map_group_t *group = adr_map_group (held, &change->recovery.group);
    if (group == NULL) {
        change_end (self, ADR_STATUS_NOT_FOUND, "the registry has no such group", effects);
        return;
    }
    bool same = group->recovery_size == size && memcmp (group->recovery, statement, size) == 0;
    const char *why = same ? NULL : s_refusal (self, held, &change->recovery);
    if (same && cert_signer_map (self)->epoch >= held->epoch)
        change_end (self, ADR_STATUS_OK, "recovered", effects);
    else if (same)
        change_wait (change, "it is committed, and too few PKI nodes have signed it yet: ask again", event->now_ns);
    else if (why)
        change_end (self, ADR_STATUS_REFUSED, why, effects);
    else if (group->type == cert_signer_environment (self)->type && event->now_ns - cert_signer_gathers_since (self, change->recovery.number, event->now_ns) < S_GATHER_NS)
        change_wait (change, "it hears first which registries others hold: ask again", event->now_ns); /* [RECOVER-9] */
    else
        s_write_recovered (self, held, event, effects);
}

/* --- what an operator asks ------------------------------------------------------------------------------------------ */

/* [RECOVER-1] */
void
cert_signer_on_recover (cert_signer_t *self, const adr_event_t *event, adr_effects_t *effects)
{
    const Adr__Control *control = (const Adr__Control *) event->message.header;
    const adr_map_t *map = cert_signer_map (self);
    change_t asked = cert_signer_asked (CHANGE_RECOVER, event);
    bool sound = adr_recovery_decode (&asked.recovery, adr_bytes (control->recovery.data, control->recovery.len));
    if (!sound || !asked.recovery.is_signed)
        cert_signer_answer (asked.asker, control->number, ADR_STATUS_INVALID, "that is no signed statement of recovery", NULL, effects);
    else if (!adr_recovery_verify (&asked.recovery, adr_bytes (map->root_certificate, map->root_certificate_size))
             || !adr_id_equal (&asked.recovery.cluster, &map->cluster))
        cert_signer_answer (asked.asker, control->number, ADR_STATUS_DENIED, "the root of this cluster has not signed that", NULL, effects);
    else if (adr_map_node (map, &asked.recovery.survivor) == NULL)
        cert_signer_answer (asked.asker, control->number, ADR_STATUS_REFUSED, "the survivor is no node of this cluster", NULL, effects);
    else {
        asked.node = asked.recovery.survivor;
        if (!cert_signer_begin_change (self, &asked, event, effects))
            cert_signer_answer (asked.asker, control->number, ADR_STATUS_REFUSED, "busy: the registry is being changed", NULL, effects);
    }
}
