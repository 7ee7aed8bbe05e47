/* SPDX-License-Identifier: MPL-2.0 */
/* Registries for tests: see registry_fixture.h. */

#include "registry_fixture.h"

#include "core/actor.h"

#include <stdio.h>

adr_founding_t *
registry_found (void)
{
    adr_founding_options_t options = { .name = "test", .address = "127.0.0.1", .zones = 3, .quorum = 2, .base_port = 7400,
                                       .now_ms = FIXTURE_NOW_MS };
    adr_founding_t *founding = adr_founding_new (&options);
    adr_map_seal (founding->map);
    return founding;
}

adr_map_t *
registry_next (const adr_map_t *map)
{
    adr_map_t *next = adr_map_copy (map);
    adr_map_unseal (next);
    next->epoch++;
    return next;
}

adr_map_node_t *
registry_node (adr_map_t *map, uint32_t zone, adr_node_type_t type)
{
    return &map->node[zone * ADR_ROLES + (uint32_t) type - 1];
}

void
registry_sign_as (adr_map_t *map, const adr_founding_t *founding, uint32_t zone, const uint8_t seed[ADR_KEY_SIZE])
{
    uint8_t hash[ADR_MAP_HASH_SIZE];
    adr_map_seal (map);
    adr_map_hash (adr_bytes (map->sealed, map->sealed_size), hash);
    adr_map_signature_t *signature = &map->signature[map->signature_count++];
    signature->node = adr_founding_node (founding, zone, ADR_NODE_PKI)->id;
    adr_map_sign (&map->cluster, map->epoch, hash, seed, signature->signature);
}

void
registry_sign (adr_map_t *map, const adr_founding_t *founding, uint32_t zone)
{
    registry_sign_as (map, founding, zone, founding->authority[zone].keys.sign_seed);
}

adr_cert_t
registry_request (const adr_map_t *map, uint32_t zone, adr_node_type_t type, const char *name, uint8_t seed)
{
    adr_keys_t keys;
    adr_cert_t request = { .kind = ADR_CERT_REQUEST, .type = type, .cluster = map->cluster, .zone = map->zone[zone].id };
    for (uint32_t i = 0; type != ADR_NODE_EDGE && i < map->group_count; i++)
        if (map->group[i].type == type)
            request.group = map->group[i].id;
    memset (request.node.bytes, seed, ADR_ID_SIZE);
    memset (keys.curve_secret, seed, ADR_KEY_SIZE);
    memset (keys.sign_seed, seed + 1, ADR_KEY_SIZE);
    snprintf (request.name, sizeof request.name, "%s", name);
    adr_keys_public (&keys, request.curve_key, request.sign_key);
    adr_cert_sign (&request, keys.sign_seed);
    return request;
}

void
registry_adopt (adr_map_t *map, const adr_cert_t *request, const adr_founding_t *founding, uint32_t authority)
{
    adr_cert_t issuer, certificate = *request;
    const adr_founded_t *founded = &founding->authority[authority];
    bool good = adr_cert_decode (&issuer, adr_bytes (founded->certificate, founded->certificate_size));
    adr_assert (good);
    certificate.kind = ADR_CERT_NODE;
    certificate.serial = request->node.bytes[0];
    certificate.issuer_serial = issuer.serial;
    certificate.not_after_ms = INT64_C (4000000000000);
    adr_cert_sign (&certificate, founded->keys.sign_seed);
    map->node = adr_realloc (map->node, (map->node_count + 1) * sizeof *map->node);
    adr_map_node_t *node = &map->node[map->node_count++];
    *node = (adr_map_node_t){ .id = request->node, .zone = request->zone, .group = request->group, .type = request->type,
                              .control = "tcp://127.0.0.1:1", .bulk = "tcp://127.0.0.1:2", .pending = request->type == ADR_NODE_PKI };
    if (request->type == ADR_NODE_EDGE || request->type == ADR_NODE_PKI)
        snprintf (node->client, sizeof node->client, "tcp://127.0.0.1:3");
    if (request->type == ADR_NODE_EDGE)
        snprintf (node->http, sizeof node->http, "127.0.0.1:4");
    memcpy (node->curve_key, request->curve_key, ADR_KEY_SIZE);
    memcpy (node->sign_key, request->sign_key, ADR_KEY_SIZE);
    snprintf (node->name, sizeof node->name, "%s", request->name);
    node->certificate_size = adr_cert_encode (&certificate, node->certificate);
}
