/* SPDX-License-Identifier: MPL-2.0 */
/* An edge for tests of clients: a CURVE ROUTER on 127.0.0.1 in front of a fake store, on a thread of its own. It admits
 * every key, because whom to admit is tested with the gatekeeper. Several edges may share a store. */

#ifndef ADR_FAKE_EDGE_H
#define ADR_FAKE_EDGE_H

#include "fake_store.h"

typedef struct fake_edge fake_edge_t;

/* Port 0: any free one. */
fake_edge_t *fake_edge_new (fake_store_t *store, int port);
void fake_edge_destroy (fake_edge_t **self); /* as a killed process would go: at once */
const char *fake_edge_endpoint (const fake_edge_t *self);
uint64_t fake_edge_packs (const fake_edge_t *self); /* that came */
const uint8_t *fake_edge_key (const fake_edge_t *self);

/* Writes profile and key of a new client of these edges into the folder; `path` gets the profile's. */
void fake_edge_write_profile (const char *folder, const adr_id_t *cluster, fake_edge_t *const *edges, int count,
                              char *path, size_t size);

#endif
