/* SPDX-License-Identifier: MPL-2.0 */
/* Registries as a real cluster has them: founded by src/shell/found.c, with certificates that are believed, changed and signed by
 * whose authority the test says. */

#ifndef ADR_REGISTRY_FIXTURE_H
#define ADR_REGISTRY_FIXTURE_H

#include "core/map_trust.h"
#include "shell/found.h"
#include "wire/map_codec.h"

#define FIXTURE_NOW_MS INT64_C (1800000000000)

/* Of three zones. */
adr_founding_t *registry_found (void);
/* A copy with the next epoch, to be edited, and sealed and signed afterwards. */
adr_map_t *registry_next (const adr_map_t *map);
adr_map_node_t *registry_node (adr_map_t *map, uint32_t zone, adr_node_type_t type);
/* Seals it, if that has not been done, and has the authority of the PKI node of that zone, from 0, sign it. */
void registry_sign (adr_map_t *map, const adr_founding_t *founding, uint32_t zone);
/* The same by another seed, in that PKI node's name. */
void registry_sign_as (adr_map_t *map, const adr_founding_t *founding, uint32_t zone, const uint8_t seed[ADR_KEY_SIZE]);

/* A node that would like to come in: its keys follow from the seed, and it has signed the request itself. */
adr_cert_t registry_request (const adr_map_t *map, uint32_t zone, adr_node_type_t type, const char *name, uint8_t seed);
/* Puts it behind the others, with a certificate that the authority of the PKI node of that zone, from 0, has signed. */
void registry_adopt (adr_map_t *map, const adr_cert_t *request, const adr_founding_t *founding, uint32_t authority);

#endif
