/* SPDX-License-Identifier: MPL-2.0 */
/* What the makers of tokens share: client_token.c, of one; client_group.c, of a set. */

#ifndef ADR_CLIENT_TOKEN_H
#define ADR_CLIENT_TOKEN_H

#include "client/client.h"

#include "core/map.h"
#include "core/token.h"

/* A zone's, group's or node's: 1 to 63 characters of printable ASCII. */
bool adr_client_name_fits (const char *name);
/* The edge's map, the caller's to destroy, believed as far as the profile names its root; NULL and the result, and the client's error. */
adr_map_t *adr_client_token_map (adr_client_t *self, adr_result_t *result);
/* Draws its secret, and fills in what the map says of whoever uses it: cluster, root, doors. False: no PKI node lets anybody in. */
ADR_WARN_UNUSED bool adr_client_token_draw (adr_token_t *token, const adr_map_t *map);
/* Takes over what the PKI group keeps; false if that is not what was asked for. What was left open there may be anything. */
ADR_WARN_UNUSED bool adr_client_token_take (adr_token_t *token, const Adr__Token *asked, const Adr__Token *kept);
void adr_client_token_made (adr_token_made_t *made, const adr_token_t *token);

#endif
