/* SPDX-License-Identifier: MPL-2.0 */
/* Which registries may say that a group goes on with one node: those that carry the root's own statement [RECOVER-5].
 *
 * Owns: nothing; plain values. Makes durable: nothing. Assumes: the map that is held was believed before. */

#ifndef ADR_MAP_RECOVERY_H
#define ADR_MAP_RECOVERY_H

#include "core/map.h"

/* The statement that the map holds for the group; false: none. */
ADR_WARN_UNUSED bool adr_map_recovery (const adr_map_t *map, const adr_id_t *group, adr_recovery_t *recovery);
/* Whether each statement of the offered map that the held one has not is signed by the held one's root, of a higher number, for an epoch
 * as high, and has every other node of its group evicted; and none is forgotten or replaced by an older one. */
ADR_WARN_UNUSED bool adr_map_recoveries_hold (const adr_map_t *held, const adr_map_t *offered);
/* The same, and what PKI nodes change with it: new statements and the epochs of their groups' partitions come into `expected`, a copy of
 * what is held. False: they may not. */
ADR_WARN_UNUSED bool adr_map_recoveries_step (adr_map_t *expected, const adr_map_t *held, const adr_map_t *offered);
/* [RECOVER-8] Whom a statement names as the PKI group's only voter that the offered map has, and the held one has not; NULL: nobody. */
const adr_map_node_t *adr_map_sole_signer (const adr_map_t *held, const adr_map_t *offered);

#endif
