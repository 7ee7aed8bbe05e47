/* SPDX-License-Identifier: MPL-2.0 */
/* cert_signer: nodes that come in by a token. See cert_signer_change.c; rules: docs/protocol/trust.md (TRUST-4, TRUST-5). */

#include "actors/cert_signer_private.h"

#include "core/map_forming.h"
#include "core/map_trust.h"
#include "core/token.h"

#include <stdio.h>

#define S_LIMIT_MS 15000 /* of one question; it is asked again */

static const adr_bytes_t s_nothing;

void
cert_signer_answer_join (cert_signer_t *self, adr_address_t asker, uint64_t number, adr_status_t status, const char *text,
                         const adr_cert_t *certificate, const adr_map_t *map, adr_effects_t *effects)
{
    Adr__JoinAnswer answer = ADR__JOIN_ANSWER__INIT;
    uint8_t bytes[ADR_CERTIFICATE_MAX];
    adr_arena_t arena;
    adr_arena_init (&arena, 16 * 1024, 64 * 1024 * 1024);
    answer.number = number;
    answer.status = status;
    answer.text = (char *) text;
    if (certificate) {
        const adr_authority_t *authority = cert_signer_environment (self)->authority;
        answer.certificate = adr_bytes_view (adr_bytes (bytes, adr_cert_encode (certificate, bytes)));
        if (certificate->type != ADR_NODE_EDGE)
            answer.hash_key = adr_bytes_view (adr_bytes (authority->hash_key, sizeof authority->hash_key));
        if (certificate->type == ADR_NODE_PKI && authority->has_sealing_key)
            answer.sealing_key = adr_bytes_view (adr_bytes (authority->sealing_key, sizeof authority->sealing_key));
        answer.map = adr_map_message (map, &arena);
    }
    effects->send (effects, asker, ADR__KIND__JOIN_ANSWER, &answer.base, s_nothing);
    adr_arena_free (&arena);
}

/* --- what is decided ------------------------------------------------------------------------------------------------ */

/* [TRUST-5] A token that is known was misused: that is a row of the audit, and then an answer. */
static void
s_deny (cert_signer_t *self, const adr_map_t *held, adr_status_t status, const char *text, const adr_event_t *event,
        adr_effects_t *effects)
{
    change_t *change = cert_signer_change (self);
    char id[ADR_ID_TEXT_SIZE], more[ADR_NAME_MAX + ADR_ID_TEXT_SIZE + 128];
    adr_id_format (&change->node, id);
    snprintf (more, sizeof more, "\"name\": \"%s\", \"node\": \"%s\", \"why\": \"%s\"", change->token.name, id, text);
    change_ops_begin (change);
    change->denied = status;
    change->why = text;
    change_add_audit (change, held->epoch, cert_signer_draw (self) | 1, "join-refused", more, event->wall_ms);
    change_write (self, event, effects);
}

/* The certificate that the registry has for it is answered, once enough have signed that. */
static void
s_answer_member (cert_signer_t *self, const adr_map_node_t *node, uint64_t epoch, const adr_event_t *event, adr_effects_t *effects)
{
    change_t *change = cert_signer_change (self);
    const adr_voter_t *founder = adr_map_founder (cert_signer_map (self), node);
    if (founder && change->incarnation && founder->incarnation != change->incarnation)
        change_end (self, ADR_STATUS_DENIED, "the registry has it with another incarnation, which this folder has lost: evict the node",
                    effects);
    else if (node->evicted)
        change_end (self, ADR_STATUS_DENIED, "the node was evicted: it needs another token and other keys", effects);
    else if (cert_signer_map (self)->epoch < epoch)
        change_wait (change, "it is committed, and too few PKI nodes have signed it yet: ask again", event->now_ns);
    else if (!adr_cert_decode (&change->certificate, adr_bytes (node->certificate, node->certificate_size)))
        change_end (self, ADR_STATUS_DAMAGED, "the registry has no certificate of it", effects);
    else
        change_end (self, ADR_STATUS_OK, "", effects);
}

/* [TRUST-4] A nodeId or a key that the registry has belongs to that node for ever; a name, too. */
static bool
s_is_taken (const adr_map_t *map, const adr_cert_t *asked)
{
    for (uint32_t i = 0; i < map->node_count; i++) {
        const adr_map_node_t *node = &map->node[i];
        if (adr_id_equal (&node->id, &asked->node) || memcmp (node->curve_key, asked->curve_key, ADR_KEY_SIZE) == 0
            || memcmp (node->sign_key, asked->sign_key, ADR_KEY_SIZE) == 0 || strcmp (node->name, asked->name) == 0)
            return true;
    }
    return false;
}

/* Nobody else is reached there: who dials one node shall not be sent to another. */
static bool
s_is_endpoint_taken (const adr_map_t *map, const change_t *change)
{
    for (uint32_t i = 0; i < map->node_count; i++) {
        const adr_map_node_t *node = &map->node[i];
        const char *const theirs[] = { node->control, node->bulk, node->client };
        for (size_t k = 0; !node->evicted && k < sizeof theirs / sizeof theirs[0]; k++)
            if (*theirs[k] && (strcmp (theirs[k], change->control) == 0 || strcmp (theirs[k], change->bulk) == 0
                               || strcmp (theirs[k], change->client) == 0))
                return true;
    }
    return strcmp (change->control, change->bulk) == 0;
}

/* Those that are not evicted: there are only so many peers. */
static uint32_t
s_group_size (const adr_map_t *map, const adr_id_t *group)
{
    const adr_map_node_t *nodes[2 * ADR_VOTERS_MAX];
    return adr_id_is_none (group) ? 0 : adr_map_group_nodes (map, group, nodes, 2 * ADR_VOTERS_MAX);
}

/* [GROUP-3] Whoever is to found it says as which store, and comes for a zone that it is founded in. */
static const char *
s_why_no_founder (const adr_map_t *held, const change_t *change)
{
    const adr_map_group_t *group = adr_map_group (held, &change->token.group);
    if (group == NULL || !adr_map_is_forming (group))
        return NULL;
    if (change->incarnation == 0)
        return "the group is forming, and this node does not tell its incarnation: it needs a token that says so";
    return adr_map_forms_in (group, &change->token.zone) ? NULL : "the group is founded in other zones";
}

/* NULL, or why the registry takes no such node. */
static const char *
s_why_not (const adr_map_t *held, const change_t *change, int64_t wall_ms)
{
    const change_token_t *token = &change->token;
    const adr_cert_t *asked = &change->certificate;
    if (token->withdrawn)
        return "the token was withdrawn";
    if (wall_ms > (int64_t) token->valid_ms)
        return "the token has expired";
    if (asked->type != token->type || !adr_id_equal (&asked->group, &token->group))
        return "the token is for a node of another type or group";
    if (!adr_id_equal (&asked->zone, &token->zone))
        return "the token is for a node of another zone";
    if (strcmp (asked->name, token->name) != 0)
        return "the token is for a node of another name";
    if (s_is_taken (held, asked))
        return "the nodeId, a key or the name belongs to a node already";
    if (adr_map_peer_in_zone (held, &token->group, &token->zone))
        return "the group has a node in that zone already";
    if (s_group_size (held, &token->group) == 2 * ADR_VOTERS_MAX)
        return "the group has too many nodes";
    const char *no_founder = s_why_no_founder (held, change);
    if (no_founder)
        return no_founder;
    if (s_is_endpoint_taken (held, change))
        return "another node listens at one of these addresses";
    if (!change_zone (held, token->zone_name) && held->zone_count == ADR_ZONES_MAX)
        return "there can be no more zones";
    if (token->type == ADR_NODE_PKI && held->authority_count == ADR_ZONES_MAX)
        return "there can be no more authorities";
    return held->node_count == ADR_NODES_MAX ? "there can be no more nodes" : NULL;
}

static void
s_add_node (cert_signer_t *self, adr_map_t *map, int64_t wall_ms)
{
    change_t *change = cert_signer_change (self);
    if (change_zone (map, change->token.zone_name) == NULL) {
        adr_map_zone_t *zone = &map->zone[map->zone_count++];
        *zone = (adr_map_zone_t){ .id = change->token.zone };
        snprintf (zone->name, sizeof zone->name, "%s", change->token.zone_name);
    }
    adr_cert_t certificate = change->certificate; /* of that zone: its id follows from its name */
    map->node = adr_realloc (map->node, (map->node_count + 1) * sizeof *map->node);
    adr_map_node_t *node = &map->node[map->node_count];
    *node = (adr_map_node_t){ .id = certificate.node, .zone = certificate.zone, .group = certificate.group, .type = certificate.type };
    cert_signer_sign (self, &certificate, map, wall_ms);
    map->node_count++;
    memcpy (node->curve_key, certificate.curve_key, ADR_KEY_SIZE);
    memcpy (node->sign_key, certificate.sign_key, ADR_KEY_SIZE);
    node->certificate_size = adr_cert_encode (&certificate, node->certificate);
    snprintf (node->name, sizeof node->name, "%s", certificate.name);
    if (node->type == ADR_NODE_PKI) {
        node->pending = true;
        memcpy (map->authority[map->authority_count], change->authority, change->authority_size);
        map->authority_size[map->authority_count++] = change->authority_size;
    }
    snprintf (node->control, sizeof node->control, "%s", change->control);
    snprintf (node->bulk, sizeof node->bulk, "%s", change->bulk);
    snprintf (node->client, sizeof node->client, "%s", change->client);
    snprintf (node->http, sizeof node->http, "%s", change->http);
}

/* [GROUP-4] Into a forming group; the last one of its nodes forms it. `more` gets what the audit says of it. */
static void
s_add_founder (cert_signer_t *self, adr_map_t *map, const adr_map_node_t *node, char *more, size_t room)
{
    adr_map_group_t *group = adr_map_group (map, &node->group);
    if (group && adr_map_is_forming (group)
        && adr_map_forming_join (map, group, &(adr_voter_t){ node->id, cert_signer_change (self)->incarnation }))
        snprintf (more, room, ", \"formed\": \"%s\"", group->name);
}

/* The token bound, the registry with the node, its bindings and the audit's row: together or not at all. */
static void
s_adopt (cert_signer_t *self, adr_map_t *held, const adr_event_t *event, adr_effects_t *effects)
{
    change_t *change = cert_signer_change (self);
    char id[ADR_ID_TEXT_SIZE], more[2 * ADR_NAME_MAX + ADR_ID_TEXT_SIZE + 64], formed[ADR_NAME_MAX + 32] = "";
    s_add_node (self, held, event->wall_ms);
    const adr_map_node_t *node = &held->node[held->node_count - 1];
    s_add_founder (self, held, node, formed, sizeof formed);
    adr_cert_t certificate;
    bool good = adr_cert_decode (&certificate, adr_bytes (node->certificate, node->certificate_size));
    adr_assert (good); /* made here */
    change_ops_begin (change);
    if (!change_add_registry (self, held, effects))
        return;
    change_token_t used = change->token;
    used.node = node->id;
    memcpy (used.curve_key, node->curve_key, ADR_KEY_SIZE);
    memcpy (used.sign_key, node->sign_key, ADR_KEY_SIZE);
    adr_buffer_t record = { 0 };
    change_token_encode (&used, &record);
    change_add_op (change, ADR_TABLE_TOKEN, adr_bytes (used.key, ADR_KEY_SIZE), adr_bytes (record.data, record.size), false,
                   ADR_PLANT (TRUST_5_TOKEN_NOT_BOUND) ? NULL : &change->token_held);
    adr_buffer_free (&record);
    adr_id_format (&node->id, id);
    snprintf (more, sizeof more, "\"name\": \"%s\", \"node\": \"%s\"%s", node->name, id, formed);
    change_add_audit (change, held->epoch, 0, "join", more, event->wall_ms);
    for (unsigned i = 0; i < CERT_SIGNER_BINDINGS; i++) {
        uint8_t key[CERT_SIGNER_KEY_MAX];
        size_t size = cert_signer_binding_key (&certificate, i, key);
        change_add_op (change, ADR_TABLE_CERTIFICATE, adr_bytes (key, size), adr_bytes (node->certificate, node->certificate_size),
                       !ADR_PLANT (TRUST_4_UNCONDITIONAL), NULL);
    }
    change_write (self, event, effects);
}

void
cert_signer_decide_join (cert_signer_t *self, adr_map_t *held, const adr_event_t *event, adr_effects_t *effects)
{
    change_t *change = cert_signer_change (self);
    const change_token_t *token = &change->token;
    const adr_cert_t *asked = &change->certificate;
    if (token->type == 0) { /* whoever likes can ask this: it is no row of the audit */
        change_end (self, ADR_STATUS_DENIED, "no such token", effects);
        return;
    }
    bool used = !adr_id_is_none (&token->node);
    bool same = adr_id_equal (&token->node, &asked->node) && memcmp (token->curve_key, asked->curve_key, ADR_KEY_SIZE) == 0
                && memcmp (token->sign_key, asked->sign_key, ADR_KEY_SIZE) == 0;
    const adr_map_node_t *node = same ? adr_map_node (held, &asked->node) : NULL;
    const char *why = used ? NULL : s_why_not (held, change, event->wall_ms);
    if (node)
        s_answer_member (self, node, held->epoch, event, effects);
    else if (used)
        s_deny (self, held, ADR_STATUS_DENIED, "the token was used by another node", event, effects);
    else if (why)
        s_deny (self, held, ADR_STATUS_DENIED, why, event, effects);
    else
        s_adopt (self, held, event, effects);
}

/* --- what is asked ------------------------------------------------------------------------------------------------- */

static bool
s_take_endpoint (char to[ADR_ENDPOINT_MAX + 1], const char *from, bool scheme, bool wanted)
{
    if (wanted ? !adr_endpoint_is_numeric (from, scheme) : *from != 0)
        return false;
    snprintf (to, ADR_ENDPOINT_MAX + 1, "%s", from);
    return true;
}

/* [TRUST-5] A PKI node signs, too: what it signs with the offline root has signed, for this very node. */
static bool
s_take_authority (const cert_signer_t *self, change_t *asked, const Adr__Join *join, int64_t wall_ms)
{
    const adr_map_t *map = cert_signer_map ((cert_signer_t *) self);
    adr_cert_chain_t chain = { .root = adr_bytes (map->root_certificate, map->root_certificate_size) };
    adr_bytes_t bytes = adr_bytes (join->authority.data, join->authority.len);
    adr_cert_t authority;
    if (asked->certificate.type != ADR_NODE_PKI)
        return bytes.size == 0;
    if (bytes.size > sizeof asked->authority || adr_cert_verify (&authority, bytes, &chain, wall_ms, true) != ADR_CERT_SOUND
        || authority.kind != ADR_CERT_AUTHORITY || !adr_id_equal (&authority.cluster, &map->cluster)
        || !adr_id_equal (&authority.node, &asked->certificate.node) || !adr_id_equal (&authority.zone, &asked->certificate.zone))
        return false;
    memcpy (asked->authority, bytes.data, bytes.size);
    asked->authority_size = bytes.size;
    return true;
}

static const char *
s_read_join (const cert_signer_t *self, change_t *asked, const Adr__Join *join, int64_t wall_ms)
{
    const adr_environment_t *environment = cert_signer_environment (self);
    adr_cert_t *request = &asked->certificate;
    adr_bytes_t bytes = adr_bytes (join->request.data, join->request.len);
    if (join->token_key.len != ADR_KEY_SIZE || join->signature.len != ADR_SIGNATURE_SIZE || !adr_cert_decode (request, bytes)
        || request->kind != ADR_CERT_REQUEST)
        return "no signing request";
    if (!adr_id_equal (&request->cluster, &environment->cluster))
        return "the request is for another cluster";
    bool edge = request->type == ADR_NODE_EDGE, pki = request->type == ADR_NODE_PKI;
    if (!s_take_endpoint (asked->control, join->control, true, true) || !s_take_endpoint (asked->bulk, join->bulk, true, true)
        || !s_take_endpoint (asked->client, join->client, true, edge || pki) || !s_take_endpoint (asked->http, join->http, false, edge))
        return "a node names where it listens, by IPv4 addresses: control and bulk, an edge client and http, a PKI node client as well";
    const char *const endpoints[] = { join->control, join->bulk, join->client, join->http };
    if (!adr_token_join_signed (join->token_key.data, &environment->cluster, bytes, endpoints, join->incarnation, join->signature.data))
        return "the token's secret did not sign the request";
    if (!adr_cert_signed_by (request, request->sign_key))
        return "the request's own key did not sign it";
    if (!s_take_authority (self, asked, join, wall_ms))
        return "a PKI node brings an authority's certificate, for itself and of the root; others bring none";
    memcpy (asked->asked.key, join->token_key.data, ADR_KEY_SIZE);
    asked->node = request->node;
    asked->incarnation = join->incarnation;
    return adr_id_is_none (&request->node) ? "no nodeId" : NULL;
}

void
cert_signer_on_join (cert_signer_t *self, const adr_event_t *event, adr_effects_t *effects)
{
    const Adr__Join *join = (const Adr__Join *) event->message.header;
    change_t asked = { .kind = CHANGE_JOIN, .asker = event->message.from, .asked_number = join->number, .by = event->message.from.node,
                       .limit_ns = event->now_ns + S_LIMIT_MS * ADR_MS };
    const char *why = s_read_join (self, &asked, join, event->wall_ms);
    adr_status_t status = ADR_STATUS_INVALID;
    if (why == NULL && cert_signer_environment (self)->authority == NULL) {
        status = ADR_STATUS_REFUSED;
        why = "this node has no authority to sign with: ask another one";
    }
    if (why == NULL && !cert_signer_begin_change (self, &asked, event, effects)) {
        status = ADR_STATUS_REFUSED;
        why = "busy: the registry is being changed: ask again";
    }
    if (why)
        cert_signer_answer_join (self, asked.asker, join->number, status, why, NULL, NULL, effects);
}
