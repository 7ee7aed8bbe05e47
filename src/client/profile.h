/* SPDX-License-Identifier: MPL-2.0 */
/* A client's profile: which cluster, by which edges, with which key. `adrestia init` writes one; programs find it at
 * $ADRESTIA_PROFILE, else ~/.config/adrestia/client.yaml.
 *
 *     cluster: 6ba7b810-9dad-11d1-80b4-00c04fd430c8
 *     node: 6ba7b811-9dad-11d1-80b4-00c04fd430c8      # the client's own id
 *     curve-public: (64 hexadecimal digits)
 *     curve-secret-file: client.key                   # 64 hexadecimal digits, for nobody else to read
 *     follow-master: yes                              # or no: stay with the first edge that can be reached
 *     root: (64 hexadecimal digits)                   # BLAKE2b-256 of the root's certificate: tokens name no other [TRUST-5]
 *     edges:                                          # asked in this order
 *       - endpoint: tcp://10.0.1.5:7003
 *         curve-key: (64 hexadecimal digits)
 *
 * Paths are relative to the profile's folder. Unknown keys are refused: a misspelt one must not pass unseen. */

#ifndef ADR_PROFILE_H
#define ADR_PROFILE_H

#include "core/map.h"

#define ADR_PROFILE_EDGES_MAX 64

typedef struct {
    char endpoint[ADR_ENDPOINT_MAX + 1];
    uint8_t curve_key[32];
} adr_profile_edge_t;

typedef struct {
    adr_id_t cluster, node;
    uint8_t curve_public[32], curve_secret[32];
    bool has_root;
    uint8_t root_hash[32];
    bool follow_master; /* who writes goes to the listed edge beside the master (adr_session_take_hint) */
    uint32_t edge_count;
    adr_profile_edge_t edge[ADR_PROFILE_EDGES_MAX];
} adr_profile_t;

/* False, and one line in `error` that names file, line and what was expected. */
ADR_WARN_UNUSED bool adr_profile_read (adr_profile_t *profile, const char *path, char *error, size_t error_size);
/* The place where a program without an own opinion looks; false if there is none to name ($HOME is not set). */
ADR_WARN_UNUSED bool adr_profile_default (char *path, size_t size);
/* Takes the secret key out of memory. */
void adr_profile_wipe (adr_profile_t *profile);

#endif
