/* SPDX-License-Identifier: MPL-2.0 */
/* Takes newer maps over for the whole host: its map_keepers send each registry that they have taken to the address HOST. From then
 * on the directory shuts out whom it has evicted, the doors hang up, and the file cluster.map has it for the next start.
 *
 * Owns: its mailbox and thread. Makes durable: the file, as a whole or not at all. Borrows: the directory and the doors, which
 * outlive it. What cannot be written is a warning: the host goes on with the map that it has, and hears it again after a start. */

#ifndef ADR_MAP_TAKER_H
#define ADR_MAP_TAKER_H

#include "runtime/config.h"
#include "runtime/post.h"

typedef struct adr_map_taker adr_map_taker_t;

/* `config`: where the file is, and what the host's own settings are; `map`: the first one; both lent. `post`: ADR_POST_COUNT doors, NULL
 * where there is none; lent. */
adr_map_taker_t *adr_map_taker_new (adr_directory_t *directory, adr_post_t *const *post, const adr_config_t *config, const adr_map_t *map);
/* Takes what waits, then ends. Takes and nulls. */
void adr_map_taker_destroy (adr_map_taker_t **self);
adr_mailbox_t *adr_map_taker_mailbox (adr_map_taker_t *self);

#endif
