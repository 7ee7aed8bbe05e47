/* SPDX-License-Identifier: MPL-2.0 */
/* One node of a host: its identity, its store, its actors in their shells.
 *
 * Owns: all of that, and the threads that write for it. Makes durable: the incarnation and boot number of a node
 * without a store (an edge); through its store and state writer, what the actors ask for. */

#ifndef ADR_NODE_H
#define ADR_NODE_H

#include "runtime/config.h"
#include "runtime/directory.h"
#include "runtime/identity.h"
#include "runtime/log.h"

typedef struct adr_node adr_node_t;

/* Which actor runs on which types of node: bit 1 << ADR_NODE_... for each. */
typedef struct {
    uint32_t types;
    const adr_actor_class_t *actor_class;
} adr_role_t;

/* Takes the identity over. Opens store and state in the folder. NULL: *code and `error` say why. */
adr_node_t *adr_node_open (const adr_identity_t *identity, const adr_map_t *map, const adr_config_t *config,
                           const char *folder, adr_exit_t *code, char *error, size_t error_size);
/* Creates the actors of its roles, and enters them in the directory. `map` is lent for the node's life. */
void adr_node_populate (adr_node_t *self, const adr_map_t *map, const adr_config_t *config,
                        adr_directory_t *directory, const adr_role_t *roles, uint32_t role_count);
void adr_node_start (adr_node_t *self);
/* Tells its actors to hand over. */
void adr_node_tell_stop (adr_node_t *self);
bool adr_node_leads (const adr_node_t *self);
/* Ends the actors' threads; their mailboxes stay. */
void adr_node_halt (adr_node_t *self);
void adr_node_destroy (adr_node_t **self);

const adr_identity_t *adr_node_identity (const adr_node_t *self);
const char *adr_node_folder (const adr_node_t *self);
uint64_t adr_node_incarnation (const adr_node_t *self);
uint64_t adr_node_boot (const adr_node_t *self);

#endif
