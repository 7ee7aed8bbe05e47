/* SPDX-License-Identifier: MPL-2.0 */
/* Whom a registry is believed: see map_trust.h. Implements TRUST-2, TRUST-3. */

#include "core/map_trust.h"

#include "core/map_forming.h"
#include "core/map_recovery.h"
#include "core/settings.h"

#include <sodium.h>

#define S_PURPOSE "adrestia registry" /* so that no other signature of an authority is one of these */
#define S_SIGNED_SIZE (sizeof S_PURPOSE + ADR_ID_SIZE + 8 + ADR_MAP_HASH_SIZE)

const char *
adr_map_fault_name (adr_map_fault_t fault)
{
    static const char *const names[ADR_MAP_FAULT_COUNT] = {
        [ADR_MAP_BELIEVED] = "believed",
        [ADR_MAP_NOT_NEWER] = "it is not newer",
        [ADR_MAP_OTHER_CLUSTER] = "it is another cluster's",
        [ADR_MAP_UNSIGNED] = "too few PKI nodes have signed it",
        [ADR_MAP_BAD_NODE] = "a node's certificate is not believed",
        [ADR_MAP_REVIVED] = "it brings an evicted node back",
        [ADR_MAP_TOO_LARGE] = "it is too large to be told",
        [ADR_MAP_NO_STEP] = "it changes what is not to be changed",
        [ADR_MAP_FORGETFUL] = "it lacks a node, or gives it other keys",
        [ADR_MAP_REFOUNDED] = "it lacks a group, or has it founded by others",
        [ADR_MAP_BAD_RECOVERY] = "it recovers a group, or forgets a recovery, without the root's leave",
    };
    return (unsigned) fault < ADR_MAP_FAULT_COUNT ? names[fault] : "unknown";
}

/* --- signatures ------------------------------------------------------------------------------------------------- */

void
adr_map_hash (adr_bytes_t sealed, uint8_t hash[ADR_MAP_HASH_SIZE])
{
    crypto_generichash (hash, ADR_MAP_HASH_SIZE, sealed.data, sealed.size, NULL, 0);
}

static void
s_signed_bytes (uint8_t bytes[S_SIGNED_SIZE], const adr_id_t *cluster, uint64_t epoch, const uint8_t hash[ADR_MAP_HASH_SIZE])
{
    memcpy (bytes, S_PURPOSE, sizeof S_PURPOSE);
    bytes += sizeof S_PURPOSE;
    memcpy (bytes, cluster->bytes, ADR_ID_SIZE);
    adr_put_u64 (bytes + ADR_ID_SIZE, epoch);
    memcpy (bytes + ADR_ID_SIZE + 8, hash, ADR_MAP_HASH_SIZE);
}

void
adr_map_sign (const adr_id_t *cluster, uint64_t epoch, const uint8_t hash[ADR_MAP_HASH_SIZE], const uint8_t seed[ADR_KEY_SIZE],
              uint8_t signature[ADR_MAP_SIGNATURE_SIZE])
{
    uint8_t bytes[S_SIGNED_SIZE], public_key[crypto_sign_PUBLICKEYBYTES], secret[crypto_sign_SECRETKEYBYTES];
    s_signed_bytes (bytes, cluster, epoch, hash);
    crypto_sign_seed_keypair (public_key, secret, seed);
    crypto_sign_detached (signature, NULL, bytes, sizeof bytes, secret);
    sodium_memzero (secret, sizeof secret);
}

/* The authority of that PKI node among the map's, believed up to the root of the one that is held. */
static bool
s_find_authority (adr_cert_t *authority, const adr_map_t *held, const adr_map_t *map, const adr_id_t *node)
{
    adr_cert_chain_t chain = { .root = adr_bytes (held->root_certificate, held->root_certificate_size) };
    for (uint32_t i = 0; i < map->authority_count; i++)
        if (adr_cert_verify (authority, adr_bytes (map->authority[i], map->authority_size[i]), &chain, 0, false) == ADR_CERT_SOUND
            && authority->kind == ADR_CERT_AUTHORITY && adr_id_equal (&authority->node, node)
            && adr_id_equal (&authority->cluster, &held->cluster))
            return true;
    return false;
}

bool
adr_map_signed_by (const adr_map_t *held, const adr_map_t *offered, const adr_id_t *node,
                   const uint8_t signature[ADR_MAP_SIGNATURE_SIZE])
{
    const adr_map_node_t *known = adr_map_node (held, node), *signer = known ? known : adr_map_node (offered, node);
    adr_cert_t authority; /* which may have been signed for a node that never came */
    if (signer == NULL || signer->type != ADR_NODE_PKI || signer->evicted
        || (!s_find_authority (&authority, held, held, node) && !s_find_authority (&authority, held, offered, node)))
        return false;
    uint8_t bytes[S_SIGNED_SIZE], hash[ADR_MAP_HASH_SIZE];
    adr_map_hash (adr_bytes (offered->sealed, offered->sealed_size), hash);
    s_signed_bytes (bytes, &held->cluster, offered->epoch, hash);
    return crypto_sign_verify_detached (signature, bytes, sizeof bytes, authority.sign_key) == 0;
}

/* [RECOVER-8] The root says that this PKI node is the only voter, and its authority has signed. */
static bool
s_sole_signer_has_signed (const adr_map_t *held, const adr_map_t *offered)
{
    const adr_map_node_t *sole = adr_map_sole_signer (held, offered);
    for (uint32_t i = 0; sole && i < offered->signature_count; i++)
        if (adr_id_equal (&offered->signature[i].node, &sole->id)
            && adr_map_signed_by (held, offered, &sole->id, offered->signature[i].signature))
            return true;
    return false;
}

uint32_t
adr_map_signatures_needed (const adr_map_t *held, const adr_map_t *offered)
{
    uint32_t pki = 0;
    if (s_sole_signer_has_signed (held, offered))
        return 1;
    for (uint32_t i = 0; i < held->node_count; i++)
        pki += held->node[i].type == ADR_NODE_PKI && !held->node[i].evicted && !held->node[i].leaving && !held->node[i].pending;
    return pki > 1 ? 2 : 1;
}

/* Of as many different PKI nodes as it takes. */
static bool
s_is_signed (const adr_map_t *held, const adr_map_t *offered)
{
    uint32_t good = 0;
    for (uint32_t i = 0; i < offered->signature_count; i++) {
        bool again = false;
        for (uint32_t before = 0; before < i; before++)
            again |= adr_id_equal (&offered->signature[before].node, &offered->signature[i].node);
        good += !again && adr_map_signed_by (held, offered, &offered->signature[i].node, offered->signature[i].signature);
    }
    return good >= adr_map_signatures_needed (held, offered);
}

/* --- nodes -------------------------------------------------------------------------------------------------------- */

bool
adr_map_node_fits (const adr_cert_t *cert, const adr_map_node_t *node)
{
    return cert->kind == ADR_CERT_NODE && adr_id_equal (&cert->node, &node->id) && cert->type == node->type
           && adr_id_equal (&cert->zone, &node->zone) && adr_id_equal (&cert->group, &node->group)
           && memcmp (cert->curve_key, node->curve_key, ADR_KEY_SIZE) == 0
           && memcmp (cert->sign_key, node->sign_key, ADR_KEY_SIZE) == 0;
}

adr_cert_fault_t
adr_map_check_node (const adr_map_t *map, const adr_cert_chain_t *chain, const adr_map_node_t *node, int64_t wall_ms)
{
    adr_cert_t cert;
    if (node->evicted)
        return ADR_CERT_SOUND;
    /* [TRUST-2] Between nodes of the registry expiry alone refuses nothing. */
    adr_cert_fault_t fault = adr_cert_verify (&cert, adr_bytes (node->certificate, node->certificate_size), chain, wall_ms, false);
    if (fault == ADR_CERT_SOUND && !adr_id_equal (&cert.cluster, &map->cluster))
        return ADR_CERT_WRONG_CLUSTER;
    return fault == ADR_CERT_SOUND && !adr_map_node_fits (&cert, node) ? ADR_CERT_WRONG_KIND : fault;
}

static bool
s_has_certificate_of (const adr_map_node_t *node, const adr_map_node_t *other)
{
    return node->certificate_size == other->certificate_size
           && memcmp (node->certificate, other->certificate, node->certificate_size) == 0;
}

/* All of the held map's authorities are the offered one's, at the same places. */
static bool
s_keeps_authorities (const adr_map_t *held, const adr_map_t *offered)
{
    bool same = held->authority_count <= offered->authority_count;
    for (uint32_t i = 0; i < held->authority_count && same; i++)
        same = held->authority_size[i] == offered->authority_size[i]
               && memcmp (held->authority[i], offered->authority[i], held->authority_size[i]) == 0;
    return same;
}

/* What was believed of it still holds: nothing that its certificate says, or is believed by, is another thing now. A signature costs
 * 60 us, and a map has hundreds. */
static bool
s_is_believed (const adr_map_node_t *node, const adr_map_t *held)
{
    const adr_map_node_t *known = adr_map_node (held, &node->id);
    return known && !known->evicted && s_has_certificate_of (node, known) && node->type == known->type
           && adr_id_equal (&node->zone, &known->zone) && adr_id_equal (&node->group, &known->group)
           && memcmp (node->curve_key, known->curve_key, ADR_KEY_SIZE) == 0 && memcmp (node->sign_key, known->sign_key, ADR_KEY_SIZE) == 0;
}

static bool
s_nodes_are_sound (const adr_map_t *held, const adr_map_t *map, int64_t wall_ms)
{
    adr_cert_chain_t chain = adr_cert_chain_of_map (map);
    bool keeps = s_keeps_authorities (held, map);
    for (uint32_t i = 0; i < map->node_count; i++)
        if (!(keeps && s_is_believed (&map->node[i], held))
            && adr_map_check_node (map, &chain, &map->node[i], wall_ms) != ADR_CERT_SOUND)
            return false;
    return true;
}

/* [TRUST-3] Neither its id nor one of its keys may be a node's again. */
static bool
s_revives (const adr_map_node_t *evicted, const adr_map_t *offered)
{
    for (uint32_t i = 0; i < offered->node_count; i++) {
        const adr_map_node_t *node = &offered->node[i];
        if (!node->evicted
            && (adr_id_equal (&node->id, &evicted->id) || memcmp (node->curve_key, evicted->curve_key, ADR_KEY_SIZE) == 0
                || memcmp (node->sign_key, evicted->sign_key, ADR_KEY_SIZE) == 0))
            return true;
    }
    return false;
}

/* [TRUST-3, TRUST-4] Who was ever there stays, with its keys: what is left out now could come back later as if it were new. */
static bool
s_forgets (const adr_map_node_t *held, const adr_map_t *offered)
{
    const adr_map_node_t *node = adr_map_node (offered, &held->id);
    return node == NULL || memcmp (node->curve_key, held->curve_key, ADR_KEY_SIZE) != 0
           || memcmp (node->sign_key, held->sign_key, ADR_KEY_SIZE) != 0;
}

/* Of what a PKI node changes in one node: whether it leaves; that it is evicted, for good, and then its certificate; that it is pending
 * no more; and that it has another certificate, for the same keys and place. */
static bool
s_node_steps (adr_map_node_t *to, const adr_map_node_t *offered, const adr_map_t *map, const adr_cert_chain_t *chain)
{
    if (!adr_id_equal (&to->id, &offered->id) || (to->evicted && (!offered->evicted || !offered->leaving)) || (!to->pending && offered->pending))
        return false;
    if (offered->evicted && !to->evicted && offered->certificate_size == 0)
        to->certificate_size = 0;
    else if (!offered->evicted && !s_has_certificate_of (to, offered) && adr_map_check_node (map, chain, offered, 0) == ADR_CERT_SOUND) {
        memcpy (to->certificate, offered->certificate, offered->certificate_size);
        to->certificate_size = offered->certificate_size;
    }
    to->leaving = offered->leaving;
    to->pending = offered->pending;
    to->evicted = offered->evicted;
    return true;
}

bool
adr_map_name_is_plain (const char *text)
{
    for (const char *at = text; *at; at++)
        if (!((*at >= 'a' && *at <= 'z') || (*at >= 'A' && *at <= 'Z') || (*at >= '0' && *at <= '9') || strchr ("-_.@", *at)))
            return false;
    return true;
}

const adr_map_node_t *
adr_map_peer_in_zone (const adr_map_t *map, const adr_id_t *group, const adr_id_t *zone)
{
    for (uint32_t i = 0; i < map->node_count; i++) {
        const adr_map_node_t *node = &map->node[i];
        if (!adr_id_is_none (group) && !node->evicted && !node->leaving && adr_id_equal (&node->group, group)
            && adr_id_equal (&node->zone, zone))
            return node;
    }
    return NULL;
}

static bool
s_has_authority (const adr_map_t *map, const adr_id_t *node)
{
    adr_cert_t authority;
    return s_find_authority (&authority, map, map, node);
}

/* Nobody has to look a name up to reach it. */
static bool
s_is_reachable (const adr_map_node_t *node)
{
    bool edge = node->type == ADR_NODE_EDGE, pki = node->type == ADR_NODE_PKI;
    return adr_endpoint_is_numeric (node->control, true) && adr_endpoint_is_numeric (node->bulk, true)
           && (edge || pki ? adr_endpoint_is_numeric (node->client, true) : node->client[0] == 0)
           && (edge ? adr_endpoint_is_numeric (node->http, false) : node->http[0] == 0);
}

/* [TRUST-4] Whoever comes in has an id, keys and a name that nobody has had, a certificate that one of the map's authorities has
 * signed, an authority of its own if it is to sign, and is alone of its group in its zone; one that came and was evicted since has no
 * certificate. */
static bool
s_node_may_come (const adr_map_t *map, const adr_cert_chain_t *chain, const adr_map_node_t *node)
{
    for (uint32_t i = 0; i < map->node_count; i++) {
        const adr_map_node_t *other = &map->node[i];
        if (adr_id_equal (&other->id, &node->id) || memcmp (other->curve_key, node->curve_key, ADR_KEY_SIZE) == 0
            || memcmp (other->sign_key, node->sign_key, ADR_KEY_SIZE) == 0 || strcmp (other->name, node->name) == 0)
            return false;
    }
    if (!adr_map_name_is_plain (node->name) || !s_is_reachable (node))
        return false;
    if (node->evicted)
        return node->certificate_size == 0;
    return (node->leaving || adr_map_peer_in_zone (map, &node->group, &node->zone) == NULL)
           && (node->type != ADR_NODE_PKI || s_has_authority (map, &node->id)) && adr_map_check_node (map, chain, node, 0) == ADR_CERT_SOUND;
}

/* [TRUST-5] The root has signed it, for a PKI node that comes, too. */
static bool
s_authority_may_come (const adr_map_t *held, const adr_map_t *offered, uint32_t at)
{
    adr_cert_chain_t chain = { .root = adr_bytes (held->root_certificate, held->root_certificate_size) };
    adr_cert_t authority;
    adr_bytes_t bytes = adr_bytes (offered->authority[at], offered->authority_size[at]);
    if (adr_cert_verify (&authority, bytes, &chain, 0, false) != ADR_CERT_SOUND || authority.kind != ADR_CERT_AUTHORITY
        || !adr_id_equal (&authority.cluster, &held->cluster))
        return false;
    const adr_map_node_t *node = adr_map_node (offered, &authority.node);
    return node && node->type == ADR_NODE_PKI && adr_map_node (held, &authority.node) == NULL;
}

static bool
s_authorities_step (adr_map_t *expected, const adr_map_t *held, const adr_map_t *offered)
{
    for (uint32_t i = held->authority_count; i < offered->authority_count; i++) {
        if (!s_authority_may_come (held, offered, i))
            return false;
        memcpy (expected->authority[i], offered->authority[i], offered->authority_size[i]);
        expected->authority_size[i] = offered->authority_size[i];
        expected->authority_count = i + 1;
    }
    return true;
}

/* Zones and nodes behind those that are held come into `expected`; false if one may not. */
static bool
s_newcomers_step (adr_map_t *expected, const adr_cert_chain_t *chain, const adr_map_t *offered)
{
    expected->node = adr_realloc (expected->node, (offered->node_count + 1) * sizeof *expected->node);
    for (uint32_t i = expected->zone_count; i < offered->zone_count; i++) {
        for (uint32_t other = 0; other < i; other++)
            if (strcmp (expected->zone[other].name, offered->zone[i].name) == 0 || !adr_map_name_is_plain (offered->zone[i].name))
                return false;
        expected->zone[expected->zone_count++] = offered->zone[i];
    }
    for (uint32_t i = expected->node_count; i < offered->node_count; i++) {
        if (!s_node_may_come (expected, chain, &offered->node[i]))
            return false;
        expected->node[expected->node_count++] = offered->node[i];
    }
    return true;
}

/* [SET-5] */
static bool
s_settings_step (adr_map_t *expected, const adr_map_t *held, const adr_map_t *offered)
{
    memcpy (expected->setting, offered->setting, sizeof expected->setting);
    expected->setting_count = offered->setting_count;
    return adr_settings_are_step (held, offered);
}

bool
adr_map_is_step (const adr_map_t *held, const adr_map_t *offered)
{
    if (held->node_count > offered->node_count || held->zone_count > offered->zone_count
        || held->authority_count > offered->authority_count || offered->epoch <= held->epoch
        || offered->epoch - held->epoch > ADR_MAP_EPOCHS_MAX || offered->node_count - held->node_count > offered->epoch - held->epoch)
        return false;
    adr_map_t *expected = adr_map_copy (held);
    bool same;
    expected->epoch = offered->epoch;
    same = s_authorities_step (expected, held, offered) && adr_map_recoveries_step (expected, held, offered);
    adr_cert_chain_t chain = adr_cert_chain_of_map (expected);
    for (uint32_t i = 0; i < held->node_count && same; i++)
        same = s_node_steps (&expected->node[i], &offered->node[i], expected, &chain);
    same = same && s_settings_step (expected, held, offered) && s_newcomers_step (expected, &chain, offered) && adr_map_groups_step (expected, held, offered)
           && adr_map_same_registry (expected, offered);
    adr_map_destroy (&expected);
    return same;
}

adr_map_fault_t
adr_map_judge (const adr_map_t *held, const adr_map_t *offered, int64_t wall_ms)
{
    adr_assert (offered->sealed);
    if (!adr_id_equal (&held->cluster, &offered->cluster) || held->partition_count != offered->partition_count
        || held->root_certificate_size != offered->root_certificate_size
        || memcmp (held->root_certificate, offered->root_certificate, held->root_certificate_size) != 0)
        return ADR_MAP_OTHER_CLUSTER;
    if (offered->epoch <= held->epoch)
        return ADR_MAP_NOT_NEWER;
    if (!s_is_signed (held, offered))
        return ADR_MAP_UNSIGNED;
    if (!adr_map_recoveries_hold (held, offered))
        return ADR_MAP_BAD_RECOVERY;
    for (uint32_t i = 0; i < held->node_count; i++) {
        if (held->node[i].evicted && s_revives (&held->node[i], offered))
            return ADR_MAP_REVIVED;
        if (s_forgets (&held->node[i], offered))
            return ADR_MAP_FORGETFUL;
    }
    if (!adr_map_keeps_groups (held, offered))
        return ADR_MAP_REFOUNDED;
    return s_nodes_are_sound (held, offered, wall_ms) ? ADR_MAP_BELIEVED : ADR_MAP_BAD_NODE;
}
