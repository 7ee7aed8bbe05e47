/* SPDX-License-Identifier: MPL-2.0 */
/* libadrestia: join tokens, an operator's side of TRUST-5 (docs/protocol/trust.md). See include/adrestia.h.
 *
 * The secret is drawn here, and leaves in the token's text only; the PKI group hears of its public half. What an edge answers is
 * checked, and may make a call fail, nothing else. */

#include "client/client_token.h"

#include "core/cert.h"
#include "core/map_forming.h"
#include "wire/bounds.h"
#include "wire/map_codec.h"

#include <sodium.h>
#include <stdio.h>
#include <string.h>

static_assert (ADR_TOKEN_TEXT_SIZE >= ADR_TOKEN_TEXT_MAX, "the longest token fits");
static_assert (sizeof ((adr_token_made_t *) NULL)->name == ADR_NAME_MAX + 1, "the longest name fits");

/* --- what is asked for -------------------------------------------------------------------------------------------- */

/* As certificates hold it. */
bool
adr_client_name_fits (const char *name)
{
    size_t size = strnlen (name, ADR_NAME_MAX + 1);
    for (size_t i = 0; i < size; i++)
        if (name[i] < 0x20 || name[i] > 0x7e)
            return false;
    return size >= 1 && size <= ADR_NAME_MAX;
}

/* NULL, or what is wrong with the terms. */
static const char *
s_terms_wrong (const adr_token_terms_t *terms, adr_node_type_t *type)
{
    if (!terms->type || !adr_node_type_parse (type, terms->type) || *type > ADR_NODE_PKI)
        return "the type of a node that is to come in is edge, meta, data or pki";
    if (!terms->zone || !adr_client_name_fits (terms->zone) || (terms->group && !adr_client_name_fits (terms->group))
        || (terms->name && !adr_client_name_fits (terms->name)))
        return "names of zones, groups and nodes are 1 to 63 printable ASCII characters";
    if (terms->group && *type == ADR_NODE_EDGE)
        return "an edge is in no group";
    if (terms->valid_ms < 1 || terms->valid_ms > ADR_TOKEN_VALID_MAX_MS)
        return "a token is valid for a week at most";
    return NULL;
}

/* The group that is meant; NULL of an edge, or if there is none, or more than one, and `*text` says so. */
static const adr_map_group_t *
s_choose_group (const adr_map_t *map, const adr_token_terms_t *terms, adr_node_type_t type, const char **text)
{
    const adr_map_group_t *chosen = NULL;
    uint32_t count = 0;
    for (uint32_t i = 0; i < map->group_count; i++) {
        const adr_map_group_t *group = &map->group[i];
        if (group->type != type || (terms->group && strcmp (group->name, terms->group) != 0))
            continue;
        chosen = group;
        count++;
    }
    *text = terms->group ? "there is no group of that name and type" : "there is no group of that type";
    if (count > 1)
        *text = "there are several groups of that type: name one";
    return count == 1 && adr_client_name_fits (chosen->name) ? chosen : NULL;
}

/* PKI nodes that let strangers in and are to stay. */
static void
s_choose_doors (adr_token_t *token, const adr_map_t *map)
{
    token->door_count = 0;
    for (uint32_t i = 0; i < map->node_count && token->door_count < ADR_TOKEN_DOORS_MAX; i++) {
        const adr_map_node_t *node = &map->node[i];
        if (node->type != ADR_NODE_PKI || node->evicted || node->leaving || node->client[0] == 0)
            continue;
        adr_token_door_t *door = &token->door[token->door_count++];
        memcpy (door->curve_key, node->curve_key, sizeof door->curve_key);
        snprintf (door->endpoint, sizeof door->endpoint, "%s", node->client);
    }
}

/* [TRUST-5] NULL, or why this map is not the profile's cluster's: with a root that the profile names, no edge can make a token for a
 * cluster of its own, nor name doors whose keys that root's authorities have not signed. */
static const char *
s_map_wrong (const adr_profile_t *profile, const adr_map_t *map)
{
    uint8_t hash[ADR_TOKEN_HASH_SIZE];
    adr_token_hash_root (adr_bytes (map->root_certificate, map->root_certificate_size), hash);
    if (!profile->has_root)
        return NULL;
    if (memcmp (hash, profile->root_hash, sizeof hash) != 0)
        return "the edge tells of another root than this profile: it is not to be trusted";
    adr_cert_chain_t chain = adr_cert_chain_of_map (map);
    for (uint32_t i = 0; i < map->node_count; i++) {
        const adr_map_node_t *node = &map->node[i];
        adr_cert_t certificate;
        if (node->type == ADR_NODE_PKI && !node->evicted
            && (adr_cert_verify (&certificate, adr_bytes (node->certificate, node->certificate_size), &chain, 0, false) != ADR_CERT_SOUND
                || certificate.type != ADR_NODE_PKI || !adr_id_equal (&certificate.node, &node->id)
                || memcmp (certificate.curve_key, node->curve_key, ADR_KEY_SIZE) != 0))
            return "the edge names a PKI node that the root's authorities have not signed: it is not to be trusted";
    }
    return NULL;
}

/* --- asking ------------------------------------------------------------------------------------------------------- */

bool
adr_client_token_take (adr_token_t *token, const Adr__Token *asked, const Adr__Token *kept)
{
    token->zone = adr_id_of (kept->zone);
    token->group = adr_id_of (kept->group);
    token->expires_ms = kept->valid_ms <= INT64_MAX ? (int64_t) kept->valid_ms : 0;
    snprintf (token->zone_name, sizeof token->zone_name, "%s", kept->zone_name);
    snprintf (token->group_name, sizeof token->group_name, "%s", kept->group_name);
    snprintf (token->node_name, sizeof token->node_name, "%s", kept->name);
    return kept->token_key.len == ADR_KEY_SIZE && memcmp (kept->token_key.data, asked->token_key.data, ADR_KEY_SIZE) == 0
           && kept->type == asked->type && strcmp (kept->zone_name, asked->zone_name) == 0
           && (!*asked->group_name || strcmp (kept->group_name, asked->group_name) == 0) && (!*asked->name || strcmp (kept->name, asked->name) == 0)
           && adr_token_is_sound (token);
}

static adr_result_t
s_ask (adr_client_t *self, const Adr__Token *asked, adr_token_t *token)
{
    adr_call_t call;
    adr_call_init (&call, self);
    adr_session_token (self->session, ADR__CONTROL_ACTION__TOKEN, asked, 0, adr_call_done, &call);
    adr_result_t result = adr_call_wait (&call);
    if (result == ADR_OK) {
        Adr__Token *kept = call.value.size ? adr__token__unpack (NULL, call.value.size, call.value.data) : NULL;
        if (!kept || !adr_client_token_take (token, asked, kept))
            result = adr_call_fail (self, ADR_DAMAGED, "the answer is not for the token that was asked for");
        if (kept)
            adr__token__free_unpacked (kept, NULL);
    }
    adr_call_free (&call);
    return result;
}

bool
adr_client_token_draw (adr_token_t *token, const adr_map_t *map)
{
    s_choose_doors (token, map);
    token->cluster = map->cluster;
    adr_token_hash_root (adr_bytes (map->root_certificate, map->root_certificate_size), token->root_hash);
    randombytes_buf (token->secret, sizeof token->secret);
    return token->door_count > 0;
}

static adr_result_t
s_create (adr_client_t *self, const adr_token_terms_t *terms, const adr_map_t *map, adr_token_t *token)
{
    const char *text = NULL;
    const adr_map_group_t *group = s_choose_group (map, terms, token->type, &text);
    uint8_t key[ADR_KEY_SIZE];
    if (!group && token->type != ADR_NODE_EDGE)
        return adr_call_fail (self, ADR_NOT_FOUND, text);
    if (!adr_client_token_draw (token, map))
        return adr_call_fail (self, ADR_NOT_FOUND, "no PKI node of the cluster lets new nodes in");
    token->founds = group && adr_map_is_forming (group); /* [GROUP-3] */
    adr_token_public (token, key);
    Adr__Token asked = ADR__TOKEN__INIT;
    asked.token_key = (ProtobufCBinaryData){ sizeof key, key };
    asked.type = token->type;
    asked.zone_name = (char *) terms->zone;
    asked.group_name = (char *) (group ? group->name : "");
    asked.name = (char *) (terms->name ? terms->name : "");
    asked.valid_ms = terms->valid_ms;
    return s_ask (self, &asked, token);
}

adr_map_t *
adr_client_token_map (adr_client_t *self, adr_result_t *result)
{
    adr_map_t *map = adr_call_map (self, result);
    const char *wrong = map ? s_map_wrong (&self->profile, map) : NULL;
    if (wrong) {
        *result = adr_call_fail (self, ADR_DAMAGED, wrong);
        adr_map_destroy (&map);
    }
    return map;
}

void
adr_client_token_made (adr_token_made_t *made, const adr_token_t *token)
{
    adr_token_format (token, made->text);
    snprintf (made->zone, sizeof made->zone, "%s", token->zone_name);
    snprintf (made->group, sizeof made->group, "%s", token->group_name);
    snprintf (made->name, sizeof made->name, "%s", token->node_name);
    made->expires_ms = (uint64_t) token->expires_ms;
}

adr_result_t
adr_token_create (adr_client_t *self, const adr_token_terms_t *terms, adr_token_made_t *made)
{
    adr_token_t token = { 0 };
    adr_result_t result;
    *made = (adr_token_made_t){ 0 };
    const char *wrong = s_terms_wrong (terms, &token.type);
    if (wrong)
        return adr_call_fail (self, ADR_INVALID, wrong);
    adr_map_t *map = adr_client_token_map (self, &result);
    if (map)
        result = s_create (self, terms, map, &token);
    adr_map_destroy (&map);
    if (result == ADR_OK)
        adr_client_token_made (made, &token);
    adr_token_forget (&token);
    return result;
}

/* --- what there is ------------------------------------------------------------------------------------------------ */

static void
s_give (adr_token_info_t *info, const Adr__Token *token)
{
    *info = (adr_token_info_t){ .expires_ms = token->valid_ms, .withdrawn = token->withdrawn };
    adr_id_t node = adr_id_of (token->node);
    memcpy (info->id, token->token_key.data, sizeof info->id);
    snprintf (info->type, sizeof info->type, "%s", adr_node_type_name ((adr_node_type_t) token->type));
    snprintf (info->zone, sizeof info->zone, "%s", token->zone_name);
    snprintf (info->group, sizeof info->group, "%s", token->group_name);
    snprintf (info->name, sizeof info->name, "%s", token->name);
    if (!adr_id_is_none (&node))
        adr_id_format (&node, info->node);
}

typedef struct {
    adr_token_row_fn *row;
    void *argument;
} s_rows_t;

static bool
s_give_row (void *argument, const adr_table_row_t *row)
{
    const s_rows_t *rows = argument;
    adr_token_info_t info;
    bool wanted = true;
    Adr__Token *token = adr_bounds_hold (&adr__token__descriptor, row->value) ? adr__token__unpack (NULL, row->value.size, row->value.data)
                                                                             : NULL;
    if (token && token->token_key.len == sizeof info.id) {
        s_give (&info, token);
        wanted = rows->row (rows->argument, &info);
    }
    if (token)
        adr__token__free_unpacked (token, NULL);
    return wanted;
}

adr_result_t
adr_token_list (adr_client_t *self, adr_token_row_fn *row, void *argument)
{
    s_rows_t rows = { row, argument };
    return adr_call_list (self, ADR_TABLE_TOKEN, adr_bytes (NULL, 0), adr_bytes (NULL, 0), ADR__READ_MODE__STRONG, s_give_row, &rows);
}

adr_result_t
adr_token_withdraw (adr_client_t *self, const uint8_t id[32])
{
    adr_call_t call;
    Adr__Token asked = ADR__TOKEN__INIT;
    asked.token_key = (ProtobufCBinaryData){ ADR_KEY_SIZE, (uint8_t *) id };
    asked.type = ADR_NODE_EDGE; /* it is looked up by its key alone */
    adr_call_init (&call, self);
    adr_session_token (self->session, ADR__CONTROL_ACTION__TOKEN_WITHDRAW, &asked, 0, adr_call_done, &call);
    adr_result_t result = adr_call_wait (&call);
    adr_call_free (&call);
    return result;
}
