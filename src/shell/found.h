/* SPDX-License-Identifier: MPL-2.0 */
/* What a new cluster consists of: identities, keys, certificates and the first clusterMap, drawn and signed in memory.
 * src/shell/init.c writes it down.
 *
 * Owns: everything that it made, secrets among it, wiped when it goes. Makes durable: nothing. */

#ifndef ADR_FOUND_H
#define ADR_FOUND_H

#include "core/cert.h"

#define ADR_PORTS_A_ZONE 16
#define ADR_ROLES 4 /* edge, meta, data, pki: one node of each a zone */
#define ADR_ROLE_BIT(type) (1u << (type))
#define ADR_ROLES_ALL (ADR_ROLE_BIT (ADR_NODE_EDGE) | ADR_ROLE_BIT (ADR_NODE_META) | ADR_ROLE_BIT (ADR_NODE_DATA) | ADR_ROLE_BIT (ADR_NODE_PKI))
/* Without these nobody can reach it, or come in. */
#define ADR_ROLES_NEEDED (ADR_ROLE_BIT (ADR_NODE_EDGE) | ADR_ROLE_BIT (ADR_NODE_PKI))

typedef struct {
    const char *name;    /* the cluster's */
    const char *address; /* where every host listens: an IPv4 address */
    uint32_t zones;      /* 1 to ADR_ZONES_MAX */
    uint32_t quorum;
    uint32_t types;      /* of nodes, a bit each: ADR_ROLE_BIT; 0: all. Others come in groups of their own [GROUP-5] */
    uint32_t base_port;  /* zone i listens on base_port + 16 i and the ports behind it */
    int64_t now_ms;
} adr_founding_options_t;

typedef struct {
    adr_keys_t keys;
    uint8_t certificate[ADR_CERTIFICATE_MAX];
    size_t certificate_size;
    uint64_t incarnation; /* the first one; of a replicating node */
} adr_founded_t;

typedef struct {
    adr_map_t *map;
    uint32_t types;                       /* that it has: ADR_ROLE_BIT */
    adr_founded_t root, client, operator; /* the first of each */
    adr_id_t client_node, operator_node;
    uint8_t hash_key[32]; /* of the hash trees: every replicating node has it, nobody else */
    uint8_t sealing_key[32]; /* of the credentials' secrets: every PKI node has it, nobody else [KEY-2] */
    adr_founded_t authority[ADR_ZONES_MAX];
    adr_founded_t node[ADR_ZONES_MAX][ADR_ROLES]; /* by zone and type - 1; their nodes stand in the map in this order */
    char access_key[21], secret_key[41];          /* of the first S3 credential */
} adr_founding_t;

/* Draws and signs everything. The caller destroys it. */
adr_founding_t *adr_founding_new (const adr_founding_options_t *options);
void adr_founding_destroy (adr_founding_t **self);
bool adr_founding_has (const adr_founding_t *self, adr_node_type_t type);
/* The node of this zone and type, which it has, in the map. */
const adr_map_node_t *adr_founding_node (const adr_founding_t *self, uint32_t zone, adr_node_type_t type);

#endif
