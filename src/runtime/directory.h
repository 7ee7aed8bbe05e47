/* SPDX-License-Identifier: MPL-2.0 */
/* Who is where: from an address to the mailbox that leads there, from a CURVE key to the node that holds it. Actors'
 * shells and post look everything up here.
 *
 * Owns: its tables, copies of nodes among them. Borrows: the mailboxes. Makes durable: nothing. Assumes: built before the threads
 * that read it; after that local clients come and go, and newer maps bring nodes and shut others out (adr_directory_take). A
 * node keeps its place for good. */

#ifndef ADR_DIRECTORY_H
#define ADR_DIRECTORY_H

#include "core/credential.h"
#include "core/map.h"
#include "runtime/mailbox.h"

typedef enum {
    ADR_POST_CONTROL,
    ADR_POST_BULK,
    ADR_POST_CLIENT,   /* edges' */
    ADR_POST_ADOPTION, /* PKI nodes': whoever has a token comes in here [TRUST-5] */
    ADR_POST_COUNT
} adr_post_lane_t;

const char *adr_post_lane_name (adr_post_lane_t lane);

#define ADR_LOCAL_CLIENTS_MAX 16 /* HTTP edges of this process, and tests */

typedef struct adr_directory adr_directory_t;

/* The map's nodes, and `clients`: keys that are no node's but may come in by the client door. All are copied. */
adr_directory_t *adr_directory_new (const adr_map_t *map, const uint8_t (*clients)[32], uint32_t client_count);
/* Keys that are no node's, either, and whose holders may do everything; copied. Before anybody asks. */
void adr_directory_set_operators (adr_directory_t *self, const uint8_t (*operators)[32], uint32_t count);
void adr_directory_destroy (adr_directory_t **self);
/* [TRUST-3] A newer map: from here on who is new in it is heard and spoken to, and who was evicted, or is not named any more with
 * the same keys, is not. Any thread, one at a time. */
void adr_directory_take (adr_directory_t *self, const adr_map_t *map);
/* [USER-3] Who of a list of credentials, of that generation, is a user, in place of those of the list before; the configuration's clients
 * and operators of other keys stay. Any thread. */
void adr_directory_take_users (adr_directory_t *self, uint64_t generation, adr_bytes_t rows);
const adr_id_t *adr_directory_cluster (const adr_directory_t *self);
/* Of the newest map that was taken. Any thread. */
uint64_t adr_directory_epoch (const adr_directory_t *self);

/* Says that this process runs the actor; its packs go into the mailbox. The node must be one of the map. */
void adr_directory_add_actor (adr_directory_t *self, adr_address_t address, adr_mailbox_t *mailbox);
/* Takes a pack for a node elsewhere, or for a client, or returns false and leaves it. Any thread. */
typedef bool (adr_carry_fn) (void *argument, adr_parcel_t *parcel, adr_bells_t *bells);
void adr_directory_set_post (adr_directory_t *self, adr_post_lane_t lane, adr_carry_fn *carry, void *argument);
/* Where packs to the address HOST go; before anybody sends. */
void adr_directory_set_host (adr_directory_t *self, adr_mailbox_t *mailbox);
/* False if there are too many already. Any thread. */
ADR_WARN_UNUSED bool adr_directory_add_client (adr_directory_t *self, const adr_id_t *id, adr_mailbox_t *mailbox);
void adr_directory_remove_client (adr_directory_t *self, const adr_id_t *id);

/* The mailbox of an actor that runs here; NULL if it does not. */
adr_mailbox_t *adr_directory_actor (const adr_directory_t *self, const adr_address_t *address);
bool adr_directory_is_local (const adr_directory_t *self, const adr_id_t *node);
/* The node's place, below ADR_NODES_MAX; -1 if no map has listed it, or it has been shut out. */
int adr_directory_node (const adr_directory_t *self, const adr_id_t *id);
int adr_directory_node_by_key (const adr_directory_t *self, const uint8_t key[32]);
/* Places that are taken, shut out or not: 0 to count - 1. What stands there is the directory's, for as long as it lives. */
uint32_t adr_directory_node_count (const adr_directory_t *self);
const adr_map_node_t *adr_directory_node_at (const adr_directory_t *self, uint32_t at);
/* [USER-3] Who comes in by a client door with this key: the role, the name, and the generation of the list that says so, 0: there is none
 * yet. 0: nobody, or nobody any more. Any thread. */
adr_node_type_t adr_directory_user (const adr_directory_t *self, const uint8_t key[32], char name[ADR_USER_NAME_SIZE], uint64_t *generation);
/* An adr_admits_fn. */
bool adr_directory_admits (void *self, const char *domain, const uint8_t key[32]);

/* The lane that carries packs between these two: bulk if either end is a data node's replicator, or asks one, so that
 * a large object never delays a poll; all packs of a pair of actors take one lane, and so keep their order. */
adr_post_lane_t adr_directory_lane (adr_node_type_t from_type, adr_actor_kind_t from, adr_node_type_t to_type,
                                    adr_actor_kind_t to);

/* Takes the pack, and puts it where it belongs, or drops and counts it; the caller rings. Any thread. */
void adr_directory_route (adr_directory_t *self, adr_parcel_t *parcel, adr_bells_t *bells);

#endif
