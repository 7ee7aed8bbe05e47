/* SPDX-License-Identifier: MPL-2.0 */
/* A small world for the elections of one group: real election and health_checker actors, a replicator that is only a
 * position, a fence and a lease, a virtual clock, and a network that does what it is told.
 *
 * The simulator (tests/sim) runs whole clusters; this one runs what a person can read line by line. */

#ifndef ADR_WORLD_H
#define ADR_WORLD_H

#include "core/actor.h"
#include "core/map.h"

#define WORLD_NODES_MAX 8
#define WORLD_RULES_MAX 64

/* What happens to messages of a kind (0: any) between two nodes (-1: any) of the world. */
typedef struct {
    int from, to;
    uint16_t kind;
    bool hold; /* keep for world_free; else drop */
} world_rule_t;

/* Stands for a node's replicator, and outlives a crash where the real one would. */
typedef struct {
    adr_voters_t voters; /* durable */
    adr_position_t last; /* durable */
    uint64_t fence;      /* durable */
    uint64_t leading;    /* the term that it was told to lead and still leads; 0: none */
    bool lease_given_up;
    struct {
        adr_voter_t voter;
        int64_t until_ns; /* on the node's own clock: the poll was sent + 0.9 x promise */
    } answer[WORLD_NODES_MAX];
    bool may_stand;
    uint32_t state, space;
} world_replicator_t;

typedef struct {
    char name[16];
    adr_id_t id;
    uint64_t incarnation, boot;
    bool up;
    void *election, *health_checker;
    world_replicator_t replicator;
    int64_t timer_ns[ADR_ACTOR_COUNT][4]; /* on the node's own clock */
    int64_t offset_ns, rate_permille;     /* own clock = offset + time x rate / 1000 */
    int64_t disk_ns;                      /* how long it takes until something is durable */
    bool disk_held, paused;
    /* The state environment: what is durable. */
    uint8_t state[4][64];
    int state_size[4];
} world_node_t;

typedef struct world_message world_message_t;

typedef struct world {
    int64_t time_ns;
    int node_count;
    world_node_t node[WORLD_NODES_MAX];
    adr_map_t *map;
    adr_settings_t settings;
    uint64_t seed;
    world_message_t *queue; /* by due time, then by sequence */
    world_message_t *held;  /* by sequence */
    uint64_t sequence;
    int rule_count;
    world_rule_t rule[WORLD_RULES_MAX];
    uint64_t shown[2]; /* bits of kinds that are traced */
    void (*trace) (struct world *self, const char *line);
    void *argument;

    /* Random worlds: messages are lost (per mille), late and repeated. */
    bool wild;
    adr_random_t random;
    int64_t loss_permille, delay_max_ns, local_delay_max_ns;

    /* What is always watched. */
    uint64_t led[4096]; /* who led which term: place + 1; terms beyond are not watched */
    char broken[128];    /* the first broken invariant; empty */
} world_t;

world_t *world_new (uint64_t seed);
void world_destroy (world_t **self);
int world_add (world_t *self, const char *name);
int world_find (const world_t *self, const char *name);
/* After all nodes were added. The first `voter_count` nodes are the founding voters. */
void world_found (world_t *self, uint32_t voter_count);
void world_start (world_t *self, int node);
void world_crash (world_t *self, int node);
void world_stop (world_t *self, int node);
/* Runs everything that is due up to the time; the clock then stands there. */
void world_run (world_t *self, int64_t until_ns);
/* One step: false if nothing is due before `until_ns`. */
bool world_step (world_t *self, int64_t until_ns);
/* Lets held messages go; kind 0: all. */
void world_free (world_t *self, uint16_t kind);
void world_free_disk (world_t *self, int node);
/* Everybody gets a new map with the first `node_count` nodes in it. */
void world_tell_map (world_t *self, uint32_t node_count);
/* The node's replicator says what it has (VOTERS). */
void world_say_voters (world_t *self, int node);
/* Sends the message as if it came from that actor; takes nothing. */
void world_send (world_t *self, int from, adr_actor_kind_t from_actor, int to, adr_actor_kind_t to_actor,
                 uint16_t kind, const ProtobufCMessage *header);
int64_t world_clock (const world_t *self, int node);
/* The node that acts as master of the highest term, or -1. */
int world_master (const world_t *self);
bool world_has_lease (const world_t *self, int node);
/* Prints a header in one line. */
void world_print (const world_t *self, const ProtobufCMessage *header, char *text, size_t room);

#endif
