/* SPDX-License-Identifier: MPL-2.0 */
/* Registries for tests: see registry_fixture.h. */

#include "registry_fixture.h"

#include "core/actor.h"

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
