/* SPDX-License-Identifier: MPL-2.0 */
/* Whether an answer to JOIN is believed: see join.h. The token vouches for the root by its hash; the root vouches, by the chain of
 * certificates, for the node's own and all others; nothing that they do not cover is relied on. Implements the newcomer's side of
 * TRUST-5. */

#include "shell/join.h"

#include "core/map_forming.h"
#include "core/map_trust.h"
#include "runtime/failure.h"
#include "wire/map_codec.h"

/* The root first: what follows is judged by it. */
static bool
s_check_root (const adr_map_t *map, const adr_token_t *token, const adr_failure_t *error)
{
    uint8_t hash[ADR_TOKEN_HASH_SIZE];
    adr_token_hash_root (adr_bytes (map->root_certificate, map->root_certificate_size), hash);
    if (memcmp (hash, token->root_hash, sizeof hash) != 0)
        return adr_fail (error, "its root certificate is not the token's");
    if (!adr_id_equal (&map->cluster, &token->cluster))
        return adr_fail (error, "its clusterMap is of another cluster");
    return true;
}

/* As adrestiad will, at each start. */
static bool
s_check_map (const adr_map_t *map, const adr_cert_chain_t *chain, int64_t now_ms, const adr_failure_t *error)
{
    if (adr_map_size_max (map) > ADR_MAP_MAX)
        return adr_fail (error, "its clusterMap is too large");
    for (uint32_t i = 0; i < map->node_count; i++) {
        adr_cert_fault_t fault = adr_map_check_node (map, chain, &map->node[i], now_ms);
        if (fault != ADR_CERT_SOUND)
            return adr_fail (error, "the certificate of %s in its clusterMap is not believed: %s", map->node[i].name,
                           adr_cert_fault_name (fault));
    }
    return true;
}

static bool
s_check_certificate (adr_cert_t *cert, const adr_join_answer_t *answer, const adr_cert_chain_t *chain, const adr_token_t *token,
                     const adr_join_identity_t *identity, int64_t now_ms, const adr_failure_t *error)
{
    adr_bytes_t bytes = adr_bytes (answer->certificate, answer->certificate_size);
    adr_cert_fault_t fault = adr_cert_verify (cert, bytes, chain, now_ms, true); /* [TRUST-2] strict at adoption */
    if (fault != ADR_CERT_SOUND)
        return adr_fail (error, "the certificate is not believed: %s%s", adr_cert_fault_name (fault),
                       fault == ADR_CERT_NOT_YET || fault == ADR_CERT_EXPIRED ? " (is this host's clock right?)" : "");
    if (cert->kind != ADR_CERT_NODE || !adr_id_equal (&cert->cluster, &token->cluster) || !adr_id_equal (&cert->node, &identity->node)
        || !adr_keys_fit (&identity->keys, cert))
        return adr_fail (error, "the certificate is not for this node and its keys");
    if (cert->type != token->type || !adr_id_equal (&cert->zone, &token->zone) || !adr_id_equal (&cert->group, &token->group)
        || strcmp (cert->name, token->node_name) != 0)
        return adr_fail (error, "the certificate is not for the place that the token names");
    return true;
}

static bool
s_check_place (const adr_map_t *map, const adr_cert_t *cert, uint64_t incarnation, const adr_failure_t *error)
{
    const adr_map_node_t *node = adr_map_node (map, &cert->node);
    if (node == NULL || !adr_map_node_fits (cert, node) || strcmp (node->name, cert->name) != 0)
        return adr_fail (error, "its clusterMap does not list this node as its certificate does");
    const adr_voter_t *founder = adr_map_founder (map, node);
    if (founder && incarnation && founder->incarnation != incarnation)
        return adr_fail (error, "its clusterMap has this node with another incarnation than this folder");
    if (node->evicted || node->leaving)
        return adr_fail (error, "this node is being evicted, or was: it needs another token and another folder");
    return true;
}

bool
adr_join_answer_check (const adr_join_answer_t *answer, const adr_token_t *token, const adr_join_identity_t *identity, int64_t now_ms,
                       char *error, size_t error_size)
{
    const adr_failure_t place = { error, error_size };
    if (answer->map == NULL)
        return adr_fail (&place, "it holds no clusterMap");
    if (!s_check_root (answer->map, token, &place))
        return false;
    adr_cert_chain_t chain = adr_cert_chain_of_map (answer->map);
    adr_cert_t cert;
    if (!s_check_certificate (&cert, answer, &chain, token, identity, now_ms, &place) || !s_check_place (answer->map, &cert, identity->incarnation, &place)
        || !s_check_map (answer->map, &chain, now_ms, &place))
        return false;
    if (answer->has_sealing_key && token->type != ADR_NODE_PKI)
        return adr_fail (&place, "the key of the credentials' secrets is not for this node");
    return answer->has_hash_key == (token->type != ADR_NODE_EDGE) || adr_fail (&place, "the hash trees' key is missing, or not for an edge");
}
