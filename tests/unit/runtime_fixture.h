/* SPDX-License-Identifier: MPL-2.0 */
/* For tests of the runtime: a map of a few meta nodes and edges with keys of their own and free ports, hosts of it in
 * one process (each with a context, a gatekeeper and posts of its own), and a toy actor that a test scripts. */

#ifndef ADR_RUNTIME_FIXTURE_H
#define ADR_RUNTIME_FIXTURE_H

#include "runtime/directory.h"
#include "runtime/gatekeeper.h"
#include "runtime/post.h"
#include "runtime/shell.h"
#include "wire/pack.h"

#include <pthread.h>

#define FIXTURE_NODES 3 /* 0 and 1: meta nodes; 2: an edge, of the second host */
#define FIXTURE_DEADLINE_MS 20000

typedef struct {
    adr_map_t *map;
    uint8_t secret[FIXTURE_NODES][32];
    uint8_t client_secret[32], client_public[32];
    uint8_t stranger_secret[32], stranger_public[32];
} fixture_t;

void fixture_init (fixture_t *self);
void fixture_free (fixture_t *self);

/* The one of a program of tests: made and freed by cmocka's group. */
extern fixture_t fixture_shared;
int fixture_setup (void **state);
int fixture_teardown (void **state);

/* What one toy actor heard and does. All under its mutex; `changed` tells of each turn. */
typedef struct toy toy_t;
struct toy {
    pthread_mutex_t mutex;
    pthread_cond_t changed;
    uint64_t starts, messages, timers, durables, turns, stops, jobs;
    uint64_t payload_bytes, last_token, last_number;
    bool out_of_order;        /* a number below the last one came */
    bool start_was_first;
    int64_t timer_early_ns;   /* the most that a timer fired before its time */
    adr_address_t last_from;
    adr_node_type_t last_from_type;
    uint16_t last_kind;
    /* Called under the mutex, by the actor's thread, after it was counted. */
    void (*script) (toy_t *self, const adr_event_t *event, adr_effects_t *effects);
    void *argument;
};

void toy_init (toy_t *self, void (*script) (toy_t *, const adr_event_t *, adr_effects_t *), void *argument);
void toy_free (toy_t *self);
/* Waits until the counter is at least `at_least`; false after FIXTURE_DEADLINE_MS. */
bool toy_wait (toy_t *self, const uint64_t *counter, uint64_t at_least);

extern const adr_actor_class_t toy_replicator_class, toy_health_checker_class, toy_election_class,
    toy_edge_router_class, toy_cert_signer_class;

typedef struct {
    const fixture_t *fixture;
    void *context;
    adr_directory_t *directory;
    adr_gatekeeper_t *gatekeeper;
    adr_post_t *post[ADR_POST_COUNT];
    adr_shell_t *shell[4];
    uint32_t shell_count;
} fixture_host_t;

/* Gatekeeper, directory; then shells; then posts of the nodes named; then everything starts. */
void fixture_host_init (fixture_host_t *self, const fixture_t *fixture);
void fixture_host_add (fixture_host_t *self, uint32_t node, const adr_actor_class_t *actor_class, toy_t *toy,
                       uint64_t boot);
void fixture_host_start (fixture_host_t *self, const uint32_t *nodes, uint32_t node_count, uint64_t boot);
void fixture_host_stop (fixture_host_t *self);

/* Appends one APPEND item with that number and so many payload bytes. */
void fixture_send_append (adr_effects_t *effects, adr_address_t to, uint64_t number, size_t payload);
adr_address_t fixture_address (const fixture_t *self, uint32_t node, adr_actor_kind_t actor);

/* Waits until the metric is at least that; false after the deadline. */
bool fixture_wait_metric (int metric, uint64_t at_least);

#endif
