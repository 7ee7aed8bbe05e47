/* SPDX-License-Identifier: MPL-2.0 */
/* The clusterMap and its message: adr_map_t <-> Adr__ClusterMap <-> bytes (of a pack, or of the file cluster.map).
 * Reading is total: a message that passed the decoder, but is no map (a node of no zone, a partition with two owners,
 * a name with control characters), is answered with NULL or false. */

#ifndef ADR_MAP_CODEC_H
#define ADR_MAP_CODEC_H

#include "core/map.h"
#include "wire/pack.h"

/* The map's message, built in the arena, which must have no limit that the map could meet (asserted). The map is lent
 * to it. */
Adr__ClusterMap *adr_map_message (const adr_map_t *map, adr_arena_t *arena);
/* Encodes the registry, if that has not been done: what is signed, kept and told from then on. */
void adr_map_seal (adr_map_t *map);
/* Whether its sealed bytes hold no field that this version does not know: what it does not understand it does not sign. */
bool adr_map_is_all_known (const adr_map_t *map);
/* The registry in these bytes, sealed, without statuses or signatures; the caller's to destroy; NULL if it is none, or encoded
 * in another way than we do. */
adr_map_t *adr_registry_read (adr_bytes_t bytes);
/* The same without the registry: the groups' statuses alone, for who holds the registry already. */
Adr__ClusterMap *adr_map_statuses_message (const adr_map_t *map, adr_arena_t *arena);
/* The map in a message, the caller's to destroy; NULL if it is none. */
adr_map_t *adr_map_read (const Adr__ClusterMap *message);
/* Takes over what is newer of the message's statuses; returns how many were. Statuses that are none are left out. */
uint32_t adr_map_merge (adr_map_t *map, const Adr__ClusterMap *message);

/* One group's status; `group` and `status` are lent to the message, which stands in the arena (as above). */
Adr__GroupStatus *adr_group_status_message (const adr_id_t *group, const adr_group_status_t *status,
                                            adr_arena_t *arena);
ADR_WARN_UNUSED bool adr_group_status_read (adr_id_t *group, adr_group_status_t *status,
                                            const Adr__GroupStatus *message);

/* The most bytes that the map may take once every group has told its status; what may be more than ADR_MAP_MAX must
 * never be loaded, for it could not be told. */
size_t adr_map_size_max (const adr_map_t *map);

/* Appends the encoded map. */
void adr_map_encode (const adr_map_t *map, adr_buffer_t *buffer);
/* A new map from its bytes, at most ADR_HEADER_MAX; false if they are none. */
ADR_WARN_UNUSED bool adr_map_decode (adr_map_t **map, adr_bytes_t bytes);

#endif
