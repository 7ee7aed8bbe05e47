/* SPDX-License-Identifier: MPL-2.0 */
/* How the simulated cluster changes who belongs to it [TRUST-3 to TRUST-6], in the seeds that switch it on.
 *
 * trust.c      keys and certificates of the founding, the map that each host holds, and whom it hears
 * pki.c        the PKI group: one ideal store, slow, deaf and forgetful of answers, in the place of its replicators
 * operator.c   who adopts, demotes, promotes and evicts, and the nodes that come in; somebody with a stolen token
 * liar.c       a node with a valid certificate, of another group, that says what the group's nodes say
 *
 * Its cert_signers and map_keepers are the real ones. What the PKI group's own log does is attacked by itself: it is the same replicator. */

#ifndef ADR_SIM_TRUST_H
#define ADR_SIM_TRUST_H

#include "core/cert.h"
#include "core/token.h"
#include "sim.h"
#include "../unit/ideal_group.h"

#define SIM_REQUESTS_KEPT 256
#define SIM_LIES_KEPT 64

typedef struct {
    adr_map_t *held; /* by which it hears and sends */
    adr_map_t *kept; /* in its file */
    adr_map_t *boot; /* with which its actors began */
} sim_held_map_t;

/* Somebody who has a token, and wants to be a node. */
typedef struct {
    int node;              /* place in the world */
    bool asks, came, refused, withdrawn;
    adr_keys_t keys;
    adr_cert_t request;
    adr_token_t token;
    uint64_t number;       /* of its newest question */
    int64_t until_ns;      /* then it gives up */
} sim_joiner_t;

typedef enum { DEED_NONE, DEED_TOKEN, DEED_JOIN, DEED_DEMOTE, DEED_PROMOTE, DEED_EVICT, DEED_WITHDRAW, DEED_COUNT } sim_deed_t;

typedef struct {
    sim_deed_t deed;
    int node;              /* that it is about */
    int newest;            /* has just come, or is to vote again; -1: none */
    uint64_t number;       /* of the newest question */
    uint64_t first_number; /* of the first about this */
    int64_t until_ns;
    uint64_t done[DEED_COUNT], given_up;
} sim_operator_t;

struct sim_trust {
    adr_random_t random;
    adr_id_t pki_group, other_group;
    adr_keys_t root;
    uint64_t root_serial;
    adr_authority_t authority[SIM_NODES_MAX]; /* of PKI nodes */
    sim_held_map_t host[SIM_HOSTS_MAX];
    adr_map_t *registry;     /* the newest that the PKI group has committed; at first the founding one */
    /* the PKI group */
    ideal_group_t group;
    struct {
        uint8_t id[ADR_REQUEST_ID_SIZE];
        adr_status_t status;
        uint64_t version;
    } request[SIM_REQUESTS_KEPT];
    uint64_t request_count, status_term, status_sequence;
    int status_master;
    /* who wants what */
    sim_operator_t operator;
    sim_joiner_t joiner, thief; /* the second has the first one's token */
    int first_newcomer, newcomers, used; /* places of nodes that may come, and how many tokens were made for */
    int liar;                /* a node; -1: none */
    sim_pack_t *overheard[SIM_LIES_KEPT];
    uint64_t overheard_count, lies;
    uint64_t evicted_epoch[SIM_NODES_MAX];
    sim_trust_check_t check;
};

enum { TRUST_OPERATOR, TRUST_JOINER, TRUST_THIEF, TRUST_GROUP, TRUST_NOTED, TRUST_STATUS, TRUST_KEPT, TRUST_LIE, TRUST_OUTAGE };

/* --- trust.c */
void sim_trust_draw_keys (sim_world_t *world, adr_keys_t *keys);
uint64_t sim_trust_hash (const adr_map_t *map);
int sim_trust_any_pki (sim_world_t *world); /* that is up; -1: none is */
sim_pack_t *sim_trust_pack (sim_world_t *world, int from, adr_actor_kind_t from_actor, int to, adr_actor_kind_t to_actor);
void sim_trust_local (sim_world_t *world, int node, sim_pack_t *pack); /* to an actor of the same node, soon */
/* The node's certificate and place in the map that its answer brought: it is one from now on. */
void sim_trust_birth (sim_world_t *world, int node, adr_map_t *map);

/* --- pki.c */
/* In the group that changes, by the log of its newest master. */
bool sim_votes_now (const sim_world_t *world, const adr_id_t *node);
void sim_pki_asked (sim_world_t *world, int node, sim_pack_t *pack); /* takes the pack */
void sim_pki_serves (sim_world_t *world, int node, uint64_t life, sim_pack_t *pack);
void sim_pki_notes (sim_world_t *world, int node);  /* its map_keeper hears of the registry, once it has come so far */
void sim_pki_status (sim_world_t *world);

/* --- operator.c */
void sim_operator_wakes (sim_world_t *world);
void sim_joiner_wakes (sim_world_t *world, sim_joiner_t *joiner);
void sim_operator_hears (sim_world_t *world, const Adr__ControlAnswer *answer);
void sim_joiner_hears (sim_world_t *world, const Adr__JoinAnswer *answer);

/* --- liar.c */
void sim_liar_speaks (sim_world_t *world);
void sim_liar_free (sim_world_t *world);

#endif
