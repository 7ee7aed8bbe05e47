/* SPDX-License-Identifier: MPL-2.0 */
/* libadrestia: a group that has lost its quorum for good, an admin's side of docs/protocol/recover.md. See include/adrestia.h. Nothing is
 * signed here: the root's key is offline. */

#include "client/client.h"

#include "core/map_recovery.h"
#include "wire/bounds.h"
#include "wire/map_codec.h"

#include <stdio.h>
#include <string.h>

static_assert (ADR_RECOVERY_TEXT_SIZE >= ADR_RECOVERY_TEXT_MAX, "the longest statement fits");
static_assert (ADR_SURVIVORS_MAX == ADR_VOTERS_MAX * 2, "all nodes of a group fit");

/* --- what there is ------------------------------------------------------------------------------------------------ */

/* What `show` gathers. */
typedef struct {
    adr_client_t *client;
    adr_map_t *map;
    const adr_map_group_t *group;
    const adr_map_node_t *node[ADR_SURVIVORS_MAX];
    adr_survivor_t *row;
    uint32_t count;
    uint64_t epoch; /* the highest that anybody told */
} s_show_t;

static bool
s_find_group (s_show_t *show, const char *name)
{
    for (uint32_t i = 0; i < show->map->group_count; i++) {
        char id[ADR_ID_TEXT_SIZE];
        adr_id_format (&show->map->group[i].id, id);
        if (strcmp (show->map->group[i].name, name) == 0 || strcmp (id, name) == 0)
            show->group = &show->map->group[i];
    }
    if (show->group)
        show->count = adr_map_group_nodes (show->map, &show->group->id, show->node, ADR_SURVIVORS_MAX);
    return show->group != NULL;
}

static void
s_take (s_show_t *show, adr_survivor_t *row, const Adr__Survivor *told)
{
    row->whole = told->whole;
    row->led = told->master.len != 0;
    row->incarnation = told->incarnation;
    row->last_term = told->last_term;
    row->last_index = told->last_index;
    row->number = told->number;
    snprintf (row->state, sizeof row->state, "%s", adr_node_state_name ((adr_node_state_t) told->state));
    if (told->map_epoch > show->epoch)
        show->epoch = told->map_epoch;
}

static void
s_end_row (s_show_t *show, uint32_t at, adr_call_t *call)
{
    adr_survivor_t *row = &show->row[at];
    *row = (adr_survivor_t){ .result = adr_call_wait (call) };
    adr_bytes_t value = adr_bytes (call->value.data, call->value.size);
    Adr__Survivor *told = NULL;
    snprintf (row->name, sizeof row->name, "%s", show->node[at]->name);
    adr_id_format (&show->node[at]->id, row->id);
    snprintf (row->text, sizeof row->text, "%s", row->result == ADR_TIMEOUT ? "no answer" : call->text);
    if (row->result == ADR_OK && value.size && adr_bounds_hold (&adr__survivor__descriptor, value))
        told = adr__survivor__unpack (NULL, value.size, value.data);
    if (told)
        s_take (show, row, told);
    else if (row->result == ADR_OK)
        row->result = ADR_DAMAGED;
    if (told)
        adr__survivor__free_unpacked (told, NULL);
    adr_call_free (call);
}

static void
s_ask_all (s_show_t *show)
{
    adr_call_t call[ADR_SURVIVORS_MAX];
    for (uint32_t i = 0; i < show->count; i++) {
        adr_call_init (&call[i], show->client);
        adr_session_control (show->client->session, &show->node[i]->id, ADR__CONTROL_ACTION__RECOVER_SHOW, 0, 0, adr_call_done, &call[i]);
    }
    for (uint32_t i = 0; i < show->count; i++)
        s_end_row (show, i, &call[i]);
}

/* Of those that could go on alone the one whose log goes farthest; NULL: there is none. */
static adr_survivor_t *
s_choose (const s_show_t *show, uint32_t *at)
{
    adr_survivor_t *best = NULL;
    for (uint32_t i = 0; i < show->count; i++) {
        adr_survivor_t *row = &show->row[i];
        if (row->result != ADR_OK || !row->whole)
            continue;
        if (best && adr_position_compare ((adr_position_t){ row->last_term, row->last_index },
                                          (adr_position_t){ best->last_term, best->last_index }) <= 0)
            continue;
        best = row;
        *at = i;
    }
    return best;
}

/* [RECOVER-3, RECOVER-8] A number that nobody has used, an epoch that is above all that is known. */
static void
s_fill_request (const s_show_t *show, const adr_survivor_t *best, uint32_t at, adr_recovery_t *request)
{
    adr_recovery_t before;
    uint64_t number = adr_map_recovery (show->map, &show->group->id, &before) ? before.number : 0;
    for (uint32_t i = 0; i < show->count; i++)
        if (show->row[i].number > number)
            number = show->row[i].number;
    bool pki = show->group->type == ADR_NODE_PKI;
    *request = (adr_recovery_t){ .cluster = show->map->cluster, .group = show->group->id, .number = number + 1,
                                 .survivor = show->node[at]->id, .incarnation = best->incarnation,
                                 .end = { best->last_term, best->last_index }, .epoch = show->epoch + (pki ? ADR_RECOVERY_EPOCHS : 1) };
}

static adr_result_t
s_make_request (s_show_t *show, char text[ADR_RECOVERY_TEXT_SIZE])
{
    uint32_t at = 0;
    adr_recovery_t request;
    for (uint32_t i = 0; i < show->count; i++)
        if (show->row[i].result == ADR_DENIED)
            return adr_call_fail (show->client, ADR_DENIED, show->row[i].text);
    for (uint32_t i = 0; i < show->count; i++)
        if (show->row[i].led)
            return adr_call_fail (show->client, ADR_REFUSED, "the group has a master: it has not lost its quorum");
    adr_survivor_t *best = s_choose (show, &at);
    if (!best)
        return adr_call_fail (show->client, ADR_NOT_FOUND, "no node of the group whose copy is whole has answered");
    s_fill_request (show, best, at, &request);
    if (!adr_recovery_is_sound (&request)) /* of what a node has told */
        return adr_call_fail (show->client, ADR_DAMAGED, "what the node says of its log makes no sense");
    best->best = true;
    adr_recovery_format (&request, text);
    return ADR_OK;
}

adr_result_t
adr_recovery_show (adr_client_t *self, const char *group, adr_survivor_t rows[ADR_SURVIVORS_MAX], size_t *count,
                   char request[ADR_RECOVERY_TEXT_SIZE])
{
    adr_result_t result;
    s_show_t show = { .client = self, .row = rows };
    *count = 0;
    *request = '\0';
    show.map = adr_call_map (self, &result);
    if (!show.map)
        return result;
    show.epoch = show.map->epoch;
    if (!s_find_group (&show, group))
        result = adr_call_fail (self, ADR_NOT_FOUND, "there is no such group");
    else {
        s_ask_all (&show);
        *count = show.count;
        result = s_make_request (&show, request);
    }
    adr_map_destroy (&show.map);
    return result;
}

/* --- that it be so ------------------------------------------------------------------------------------------------ */

adr_result_t
adr_recovery_apply (adr_client_t *self, const char *statement)
{
    adr_recovery_t recovery;
    uint8_t bytes[ADR_RECOVERY_SIZE];
    adr_call_t call;
    if (!adr_recovery_parse (&recovery, statement, strlen (statement)))
        return adr_call_fail (self, ADR_INVALID, "that is no statement of recovery: was a letter mistyped?");
    if (!recovery.is_signed)
        return adr_call_fail (self, ADR_INVALID, "that is a request: the root's key has to sign it first (recover sign)");
    adr_call_init (&call, self);
    adr_session_recover (self->session, adr_bytes (bytes, adr_recovery_encode (&recovery, bytes)), 0, adr_call_done, &call);
    adr_result_t result = adr_call_wait (&call);
    adr_call_free (&call);
    return result;
}
