/* SPDX-License-Identifier: MPL-2.0 */
/* What makes a node believe a newer registry: the PKI group's signatures over its bytes [TRUST-3]. docs/protocol/trust.md.
 *
 * Owns: nothing; plain values. Makes durable: nothing. Assumes: the map that is held was believed before. */

#ifndef ADR_MAP_TRUST_H
#define ADR_MAP_TRUST_H

#include "core/cert.h"
#include "core/map.h"

#define ADR_MAP_HASH_SIZE 32 /* BLAKE2b-256 */

void adr_map_hash (adr_bytes_t sealed, uint8_t hash[ADR_MAP_HASH_SIZE]);
/* Signs (cluster, epoch, hash) by an authority's seed. */
void adr_map_sign (const adr_id_t *cluster, uint64_t epoch, const uint8_t hash[ADR_MAP_HASH_SIZE], const uint8_t seed[ADR_KEY_SIZE],
                   uint8_t signature[ADR_MAP_SIGNATURE_SIZE]);

/* Why a registry is not taken. */
typedef enum {
    ADR_MAP_BELIEVED = 0,
    ADR_MAP_NOT_NEWER,
    ADR_MAP_OTHER_CLUSTER, /* or another root, or another number of partitions */
    ADR_MAP_UNSIGNED,      /* fewer signatures of the PKI group than it takes */
    ADR_MAP_BAD_NODE,      /* a node whose certificate is not believed, or fits not what the map says of it */
    ADR_MAP_REVIVED,       /* a node that was evicted is none any more */
    ADR_MAP_TOO_LARGE,     /* it could not be told (of whoever knows how it is told) */
    ADR_MAP_NO_STEP,       /* it says more than PKI nodes change: not signed here */
    ADR_MAP_FORGETFUL,     /* it lacks a node that was there, evicted or not, or gives it other keys */
    ADR_MAP_REFOUNDED,     /* it lacks a group, or has one founded by others than founded it [GROUP-4] */
    ADR_MAP_BAD_RECOVERY,  /* a group goes on alone in it without the root's leave, or an older leave than was used */
    ADR_MAP_FAULT_COUNT
} adr_map_fault_t;

const char *adr_map_fault_name (adr_map_fault_t fault);

/* True if that PKI node's authority has signed what is offered. It must be one of either map's, up to the root that is held,
 * and its node must not be evicted in the one that is held. */
ADR_WARN_UNUSED bool adr_map_signed_by (const adr_map_t *held, const adr_map_t *offered, const adr_id_t *node,
                                        const uint8_t signature[ADR_MAP_SIGNATURE_SIZE]);
/* How many such signatures a newer registry takes: two, or one where the held one has one PKI node that votes and is to stay: two had
 * to sign that another leaves, and one that has joined may never be started; or one, of the only voter that a newer statement of the
 * root names, where the offered one recovers the PKI group [RECOVER-8]. */
uint32_t adr_map_signatures_needed (const adr_map_t *held, const adr_map_t *offered);
/* Whether the offered registry may take the place of the one that is held; it is sealed. */
ADR_WARN_UNUSED adr_map_fault_t adr_map_judge (const adr_map_t *held, const adr_map_t *offered, int64_t wall_ms);

/* Whether the certificate gives the node the very keys and place that the map says. */
ADR_WARN_UNUSED bool adr_map_node_fits (const adr_cert_t *cert, const adr_map_node_t *node);
/* Of letters, digits and -_.@ alone: it stands in other texts as it is. */
bool adr_map_name_is_plain (const char *text);
/* A node of the group in that zone that is to stay; NULL: none. An edge is in no group. */
const adr_map_node_t *adr_map_peer_in_zone (const adr_map_t *map, const adr_id_t *group, const adr_id_t *zone);
/* Whether the offered registry differs from the held one by no more than PKI nodes do: nodes that come, behind the others, with
 * certificates of their authorities, and their zones; groups that come, and are formed; nodes that leave or are evicted, and have no certificate any more then; settings
 * that this version knows (core/settings.h); and an epoch that is not absurdly higher. `offered` and `held` are sealed; both are decoded. */
#define ADR_MAP_EPOCHS_MAX 1000000
ADR_WARN_UNUSED bool adr_map_is_step (const adr_map_t *held, const adr_map_t *offered);
/* Why a node of the map is not to be believed: its certificate; ADR_CERT_WRONG_KIND, too, if that names other keys or another
 * place than the map. Evicted nodes have none that must be. */
ADR_WARN_UNUSED adr_cert_fault_t adr_map_check_node (const adr_map_t *map, const adr_cert_chain_t *chain,
                                                     const adr_map_node_t *node, int64_t wall_ms);

#endif
