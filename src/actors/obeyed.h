/* SPDX-License-Identifier: MPL-2.0 */
/* The settings that an actor obeys now: its host's own, and over them those of the newest registry that it was told of
 * [SET-2, SET-3].
 *
 * Owns: nothing; plain values. Makes durable: nothing; the host keeps the registry. */

#ifndef ADR_OBEYED_H
#define ADR_OBEYED_H

#include "core/actor.h"
#include "wire/adrestia.pb-c.h"

typedef struct {
    adr_settings_t own; /* the host's */
    uint64_t epoch;     /* of the registry whose settings are obeyed */
} adr_obeyed_t;

/* `now` gets what is to be obeyed from the start; it may be the environment's own copy. */
void adr_obeyed_init (adr_obeyed_t *self, const adr_environment_t *environment, adr_settings_t *now);
/* The same of a map that the actor is told; true if anything changed. */
bool adr_obeyed_update (adr_obeyed_t *self, adr_settings_t *now, const Adr__ClusterMap *map);

#endif
