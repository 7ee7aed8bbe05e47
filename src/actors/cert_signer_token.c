/* SPDX-License-Identifier: MPL-2.0 */
/* cert_signer: tokens, by which nodes come in. See cert_signer_change.c; rules: docs/protocol/trust.md (TRUST-5). */

#include "actors/cert_signer_private.h"

#include "core/map_forming.h"
#include "core/map_trust.h"
#include "core/token.h"
#include "wire/bounds.h"

#include <sodium.h>
#include <stdio.h>

#define S_MESSAGE_MAX 4096

/* --- the record --------------------------------------------------------------------------------------------------- */

void
change_token_message (const change_token_t *token, Adr__Token *message)
{
    bool used = !adr_id_is_none (&token->node);
    adr__token__init (message);
    message->token_key = adr_bytes_view (adr_bytes (token->key, sizeof token->key));
    message->type = token->type;
    message->zone = adr_id_view (&token->zone);
    message->zone_name = (char *) token->zone_name;
    message->group = adr_id_view (&token->group);
    message->group_name = (char *) token->group_name;
    message->name = (char *) token->name;
    message->valid_ms = token->valid_ms;
    message->node = adr_id_view (&token->node);
    message->curve_key = adr_bytes_view (adr_bytes (token->curve_key, used ? sizeof token->curve_key : 0));
    message->sign_key = adr_bytes_view (adr_bytes (token->sign_key, used ? sizeof token->sign_key : 0));
    message->withdrawn = token->withdrawn;
}

static bool
s_read_key (uint8_t to[ADR_KEY_SIZE], ProtobufCBinaryData from, bool there)
{
    if (from.len != (there ? ADR_KEY_SIZE : 0))
        return false;
    if (there)
        memcpy (to, from.data, ADR_KEY_SIZE);
    return true;
}

static bool
s_read_name (char to[ADR_NAME_MAX + 1], const char *from)
{
    if (strlen (from) > ADR_NAME_MAX || !adr_map_name_is_plain (from))
        return false;
    snprintf (to, ADR_NAME_MAX + 1, "%s", from);
    return true;
}

bool
change_token_read (change_token_t *token, const Adr__Token *message)
{
    *token = (change_token_t){ .type = (adr_node_type_t) message->type, .zone = adr_id_of (message->zone),
                               .group = adr_id_of (message->group), .valid_ms = message->valid_ms, .node = adr_id_of (message->node),
                               .withdrawn = message->withdrawn };
    bool used = !adr_id_is_none (&token->node);
    return message->type >= ADR_NODE_EDGE && message->type <= ADR_NODE_PKI && s_read_key (token->key, message->token_key, true)
           && s_read_name (token->zone_name, message->zone_name) && s_read_name (token->group_name, message->group_name)
           && s_read_name (token->name, message->name) && s_read_key (token->curve_key, message->curve_key, used)
           && s_read_key (token->sign_key, message->sign_key, used);
}

void
change_token_encode (const change_token_t *token, adr_buffer_t *bytes)
{
    Adr__Token message;
    change_token_message (token, &message);
    adr__token__pack (&message, adr_buffer_grow (bytes, adr__token__get_packed_size (&message)));
}

bool
change_token_decode (change_token_t *token, adr_bytes_t bytes)
{
    if (bytes.size > S_MESSAGE_MAX || !adr_bounds_hold (&adr__token__descriptor, bytes))
        return false;
    adr_arena_t arena;
    adr_arena_init (&arena, S_MESSAGE_MAX, 8 * S_MESSAGE_MAX);
    const Adr__Token *message = adr__token__unpack (&arena.allocator, bytes.size, bytes.data);
    bool good = message && change_token_read (token, message);
    adr_arena_free (&arena);
    return good;
}

/* --- terms -------------------------------------------------------------------------------------------------------- */

const adr_map_zone_t *
change_zone (const adr_map_t *map, const char *name)
{
    for (uint32_t i = 0; i < map->zone_count; i++)
        if (strcmp (map->zone[i].name, name) == 0)
            return &map->zone[i];
    return NULL;
}

/* The group of that name; without one the only one of the type. NULL: there is none, or more than one. */
static const adr_map_group_t *
s_group (const adr_map_t *map, adr_node_type_t type, const char *name)
{
    const adr_map_group_t *found = NULL;
    for (uint32_t i = 0; i < map->group_count; i++) {
        const adr_map_group_t *group = &map->group[i];
        if (group->type != type || (*name && strcmp (group->name, name)))
            continue;
        if (found)
            return NULL;
        found = group;
    }
    return found;
}

void
change_token_name (change_token_t *token, const adr_map_t *map)
{
    if (*token->name)
        return;
    snprintf (token->name, sizeof token->name, "%.30s@%.32s", *token->group_name ? token->group_name : "edge1", token->zone_name);
    for (uint32_t number = 2; token->type == ADR_NODE_EDGE && adr_map_node_by_name (map, token->name); number++)
        snprintf (token->name, sizeof token->name, "edge%u@%.32s", number, token->zone_name);
}

/* From its name, so that several tokens for one new zone agree. */
static adr_id_t
s_new_zone (const adr_id_t *cluster, const char *name)
{
    adr_id_t id;
    crypto_generichash (id.bytes, ADR_ID_SIZE, (const uint8_t *) name, strlen (name), cluster->bytes, ADR_ID_SIZE);
    return id;
}

/* The terms with ids and names filled in. OK, or why there can be no such node. */
static adr_status_t
s_settle_terms (change_token_t *token, const adr_map_t *held, const char **text)
{
    const adr_map_zone_t *zone = change_zone (held, token->zone_name);
    const adr_map_group_t *group = token->type == ADR_NODE_EDGE ? NULL : s_group (held, token->type, token->group_name);
    *text = "there can be no more zones";
    if (!zone && held->zone_count == ADR_ZONES_MAX)
        return ADR_STATUS_REFUSED;
    *text = token->type == ADR_NODE_EDGE ? "an edge belongs to no group" : "no such group of this type, or several: name one";
    if (token->type == ADR_NODE_EDGE ? *token->group_name != 0 : group == NULL)
        return ADR_STATUS_INVALID;
    if (zone)
        token->zone = zone->id;
    else
        token->zone = s_new_zone (&held->cluster, token->zone_name);
    *text = "the group is founded in other zones";
    if (group && adr_map_is_forming (group) && !adr_map_forms_in (group, &token->zone))
        return ADR_STATUS_REFUSED;
    if (group) {
        token->group = group->id;
        snprintf (token->group_name, sizeof token->group_name, "%s", group->name);
    }
    change_token_name (token, held);
    *text = "a node of that name is in the registry";
    return adr_map_node_by_name (held, token->name) ? ADR_STATUS_REFUSED : ADR_STATUS_OK;
}

bool
change_token_is_as_asked (const change_token_t *asked, const change_token_t *kept)
{
    return asked->type == kept->type && strcmp (asked->zone_name, kept->zone_name) == 0
           && (*asked->group_name == 0 || strcmp (asked->group_name, kept->group_name) == 0)
           && (*asked->name == 0 || strcmp (asked->name, kept->name) == 0);
}

/* The record and the audit's row, together or not at all. */
static void
s_write (cert_signer_t *self, const adr_map_t *held, const char *action, const adr_event_t *event, adr_effects_t *effects)
{
    change_t *change = cert_signer_change (self);
    adr_buffer_t record = { 0 };
    char more[ADR_NAME_MAX + 64];
    bool first = change->token_held.index == 0;
    change_token_encode (&change->token, &record);
    change_ops_begin (change);
    change_add_op (change, ADR_TABLE_TOKEN, adr_bytes (change->token.key, ADR_KEY_SIZE), adr_bytes (record.data, record.size), first,
                   first ? NULL : &change->token_held);
    adr_buffer_free (&record);
    snprintf (more, sizeof more, "\"name\": \"%s\", \"until_ms\": %llu", change->token.name, (unsigned long long) change->token.valid_ms);
    change_add_audit (change, held->epoch, cert_signer_draw (self) | 1, action, more, event->wall_ms);
    change_write (self, event, effects);
}

/* [TRUST-5] Nobody has used it, and nobody will. */
static void
s_withdraw (cert_signer_t *self, const adr_map_t *held, const adr_event_t *event, adr_effects_t *effects)
{
    change_t *change = cert_signer_change (self);
    if (change->token.type == 0)
        change_end (self, ADR_STATUS_NOT_FOUND, "there is no such token", effects);
    else if (!adr_id_is_none (&change->token.node))
        change_end (self, ADR_STATUS_REFUSED, "a node has come in by it: evict that node if it should not have", effects);
    else if (change->token.withdrawn)
        change_end (self, ADR_STATUS_OK, "it is withdrawn already", effects);
    else {
        change->token.withdrawn = true;
        s_write (self, held, "token-withdraw", event, effects);
    }
}

void
cert_signer_decide_token (cert_signer_t *self, adr_map_t *held, const adr_event_t *event, adr_effects_t *effects)
{
    change_t *change = cert_signer_change (self);
    const char *text;
    if (change->asked.withdrawn) {
        s_withdraw (self, held, event, effects);
        return;
    }
    if (change->token.type) { /* this very question, asked again, or somebody who draws keys badly */
        bool same = change_token_is_as_asked (&change->asked, &change->token);
        change_end (self, same ? ADR_STATUS_OK : ADR_STATUS_DENIED, same ? "" : "another token has that key", effects);
        return;
    }
    change->token = change->asked;
    adr_status_t status = s_settle_terms (&change->token, held, &text);
    if (status != ADR_STATUS_OK) {
        change_end (self, status, text, effects);
        return;
    }
    change->token.valid_ms += (uint64_t) event->wall_ms;
    s_write (self, held, "token", event, effects);
}

/* NULL, or what is wrong with the question. */
static const char *
s_read_question (change_token_t *asked, const Adr__Control *control)
{
    bool withdraw = control->action == ADR__CONTROL_ACTION__TOKEN_WITHDRAW;
    if (control->token == NULL || !change_token_read (asked, control->token) || !adr_id_is_none (&asked->node))
        return "a token has a key, a type, and names of letters, digits and -_.@";
    asked->withdrawn = withdraw;
    if (!withdraw && (*asked->zone_name == 0 || asked->valid_ms == 0 || asked->valid_ms > ADR_TOKEN_VALID_MAX_MS))
        return "a token needs a zone, and is valid for a week at most";
    return NULL;
}

void
cert_signer_on_token (cert_signer_t *self, const adr_event_t *event, adr_effects_t *effects)
{
    const Adr__Control *control = (const Adr__Control *) event->message.header;
    change_t asked = cert_signer_asked (CHANGE_TOKEN, event);
    const char *why = s_read_question (&asked.asked, control);
    if (why)
        cert_signer_answer (asked.asker, control->number, ADR_STATUS_INVALID, why, NULL, effects);
    else if (!cert_signer_begin_change (self, &asked, event, effects))
        cert_signer_answer (asked.asker, control->number, ADR_STATUS_REFUSED, "busy: the registry is being changed", NULL, effects);
}
