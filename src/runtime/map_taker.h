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
/* Calls `use` at once with whether that edge drains by the newest map, and from then on when that has changed, one call at a time
 * [EDGE-9]. NULL: not any more, from its return on. */
typedef void (adr_drain_use_fn) (void *argument, bool draining);
void adr_map_taker_use_drain (adr_map_taker_t *self, const adr_id_t *edge, adr_drain_use_fn *use, void *argument);
/* Takes what waits, then ends. Takes and nulls. */
void adr_map_taker_destroy (adr_map_taker_t **self);
adr_mailbox_t *adr_map_taker_mailbox (adr_map_taker_t *self);

#endif
