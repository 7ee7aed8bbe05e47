/* SPDX-License-Identifier: MPL-2.0 */
/* Who a node is: its folder's node.cert and node.key, checked against the map; and the map's own file.
 *
 * Owns: nothing; plain values. Assumes: libsodium is set up. Every failure comes with one line that an operator can
 * act on, and that holds no secret. */

#ifndef ADR_IDENTITY_H
#define ADR_IDENTITY_H

#include "core/cert.h"
#include "core/map.h"

typedef struct {
    const adr_map_node_t *node; /* of the map that it was checked against */
    adr_keys_t keys;
    bool has_authority;         /* of a PKI node */
    adr_authority_t authority;
} adr_identity_t;

/* Reads a whole file of at most `max` bytes. */
ADR_WARN_UNUSED bool adr_file_read (const char *path, size_t max, adr_buffer_t *buffer, char *error,
                                    size_t error_size);
/* Reads the map, and checks each node's certificate up to the root, and that it names the keys and the place that the
 * map gives it. NULL: `error` says why. */
adr_map_t *adr_map_load (const char *path, char *error, size_t error_size);
/* Reads certificate and keys (and a PKI node's authority) from the folder. The key files must be for their owner's
 * eyes only. */
ADR_WARN_UNUSED bool adr_identity_load (adr_identity_t *self, const adr_map_t *map, const char *folder, char *error,
                                        size_t error_size);
void adr_identity_forget (adr_identity_t *self); /* wipes the secrets */

#endif
