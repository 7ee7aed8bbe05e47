/* SPDX-License-Identifier: MPL-2.0 */
/* Hosts in one process, and a toy actor: see runtime_fixture.h. */

#include "runtime_fixture.h"

#include "runtime/clock.h"
#include "runtime/metrics.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>
#include <zmq.h>

/* A port that nobody listens on; all of a call are held until all are known, so that they differ. */
static void
s_free_ports (uint16_t *ports, int count)
{
    int sockets[16];
    for (int i = 0; i < count; i++) {
        struct sockaddr_in address = { .sin_family = AF_INET, .sin_addr.s_addr = htonl (INADDR_LOOPBACK) };
        socklen_t size = sizeof address;
        sockets[i] = socket (AF_INET, SOCK_STREAM, 0);
        adr_assert (bind (sockets[i], (struct sockaddr *) &address, size) == 0);
        adr_assert (getsockname (sockets[i], (struct sockaddr *) &address, &size) == 0);
        ports[i] = ntohs (address.sin_port);
    }
    for (int i = 0; i < count; i++)
        close (sockets[i]);
}

static void
s_keys (uint8_t secret[32], uint8_t public[32])
{
    randombytes_buf (secret, 32);
    crypto_scalarmult_base (public, secret);
}

void
fixture_init (fixture_t *self)
{
    adr_assert (sodium_init () >= 0);
    *self = (fixture_t){ .map = adr_map_new () };
    adr_map_t *map = self->map;
    randombytes_buf (map->cluster.bytes, ADR_ID_SIZE);
    map->epoch = 7;
    map->partition_count = 64;
    map->quorum = 2;
    map->node = adr_alloc (FIXTURE_NODES * sizeof *map->node);
    map->node_count = FIXTURE_NODES;
    uint16_t ports[3 * FIXTURE_NODES];
    s_free_ports (ports, 3 * FIXTURE_NODES);
    for (uint32_t i = 0; i < FIXTURE_NODES; i++) {
        adr_map_node_t *node = &map->node[i];
        randombytes_buf (node->id.bytes, ADR_ID_SIZE);
        node->type = i == 2 ? ADR_NODE_EDGE : ADR_NODE_META;
        snprintf (node->name, sizeof node->name, "node%u@z%u", i, i);
        s_keys (self->secret[i], node->curve_key);
        snprintf (node->control, sizeof node->control, "tcp://127.0.0.1:%u", ports[3 * i]);
        snprintf (node->bulk, sizeof node->bulk, "tcp://127.0.0.1:%u", ports[3 * i + 1]);
        if (i == 2)
            snprintf (node->client, sizeof node->client, "tcp://127.0.0.1:%u", ports[3 * i + 2]);
    }
    s_keys (self->client_secret, self->client_public);
    s_keys (self->stranger_secret, self->stranger_public);
}

void
fixture_free (fixture_t *self)
{
    adr_map_destroy (&self->map);
}

fixture_t fixture_shared;

int
fixture_setup (void **state)
{
    (void) state;
    fixture_init (&fixture_shared);
    return 0;
}

int
fixture_teardown (void **state)
{
    (void) state;
    fixture_free (&fixture_shared);
    return 0;
}

adr_address_t
fixture_address (const fixture_t *self, uint32_t node, adr_actor_kind_t actor)
{
    return (adr_address_t){ self->map->node[node].id, actor };
}

/* --- the toy ---------------------------------------------------------------------------------------------------- */

void
toy_init (toy_t *self, void (*script) (toy_t *, const adr_event_t *, adr_effects_t *), void *argument)
{
    *self = (toy_t){ .script = script, .argument = argument };
    pthread_mutex_init (&self->mutex, NULL);
    pthread_cond_init (&self->changed, NULL);
}

void
toy_free (toy_t *self)
{
    pthread_cond_destroy (&self->changed);
    pthread_mutex_destroy (&self->mutex);
}

bool
toy_wait (toy_t *self, const uint64_t *counter, uint64_t at_least)
{
    struct timespec until;
    clock_gettime (CLOCK_REALTIME, &until);
    until.tv_sec += FIXTURE_DEADLINE_MS / 1000;
    pthread_mutex_lock (&self->mutex);
    int rc = 0;
    while (*counter < at_least && rc == 0)
        rc = pthread_cond_timedwait (&self->changed, &self->mutex, &until);
    bool reached = *counter >= at_least;
    pthread_mutex_unlock (&self->mutex);
    return reached;
}

/* The script's argument travels as the environment's `state`. */
static void *
s_create (const adr_environment_t *environment)
{
    return environment->state;
}

static void
s_destroy (void **self)
{
    *self = NULL;
}

static void
s_hear_message (toy_t *self, const adr_event_t *event)
{
    self->messages++;
    self->payload_bytes += event->message.payload.size;
    self->last_from = event->message.from;
    self->last_from_type = event->message.from_type;
    self->last_kind = event->message.kind;
    if (event->message.kind == ADR__KIND__APPEND) {
        uint64_t number = ((const Adr__Append *) event->message.header)->term;
        self->out_of_order |= number < self->last_number;
        self->last_number = number;
    }
}

static void
s_receive (void *argument, const adr_event_t *event, adr_effects_t *effects)
{
    toy_t *self = argument;
    pthread_mutex_lock (&self->mutex);
    switch (event->kind) {
    case ADR_EVENT_START:
        self->start_was_first = self->messages + self->timers + self->turns == 0;
        self->starts++;
        break;
    case ADR_EVENT_MESSAGE:
        s_hear_message (self, event);
        break;
    case ADR_EVENT_TIMER:
        self->timers++;
        break;
    case ADR_EVENT_DURABLE:
        self->out_of_order |= event->token < self->last_token;
        self->last_token = event->token;
        self->durables++;
        break;
    case ADR_EVENT_JOB_DONE:
        self->jobs++;
        break;
    case ADR_EVENT_TURN_END:
        self->turns++;
        break;
    case ADR_EVENT_STOP:
        self->stops++;
        break;
    }
    if (self->script)
        self->script (self, event, effects);
    pthread_cond_broadcast (&self->changed);
    pthread_mutex_unlock (&self->mutex);
}

const adr_actor_class_t toy_replicator_class = { ADR_ACTOR_REPLICATOR, s_create, s_destroy, s_receive, NULL };
const adr_actor_class_t toy_health_checker_class = { ADR_ACTOR_HEALTH_CHECKER, s_create, s_destroy, s_receive, NULL };
const adr_actor_class_t toy_election_class = { ADR_ACTOR_ELECTION, s_create, s_destroy, s_receive, NULL };
const adr_actor_class_t toy_edge_router_class = { ADR_ACTOR_EDGE_ROUTER, s_create, s_destroy, s_receive, NULL };
const adr_actor_class_t toy_cert_signer_class = { ADR_ACTOR_CERT_SIGNER, s_create, s_destroy, s_receive, NULL };

void
fixture_send_append (adr_effects_t *effects, adr_address_t to, uint64_t number, size_t payload)
{
    static const uint8_t zeros[ADR_ENTRY_MAX];
    Adr__Append header = ADR__APPEND__INIT;
    header.term = number;
    effects->send (effects, to, ADR__KIND__APPEND, &header.base, adr_bytes (zeros, payload));
}

/* --- hosts ------------------------------------------------------------------------------------------------------ */

void
fixture_host_init (fixture_host_t *self, const fixture_t *fixture)
{
    *self = (fixture_host_t){ .fixture = fixture, .context = zmq_ctx_new () };
    zmq_ctx_set (self->context, ZMQ_IO_THREADS, 2);
    zmq_ctx_set (self->context, ZMQ_BLOCKY, 0);
    self->directory = adr_directory_new (fixture->map, (const uint8_t (*)[32]) &fixture->client_public, 1);
    self->gatekeeper = adr_gatekeeper_new (self->context, adr_directory_admits, self->directory);
    adr_assert (self->gatekeeper);
    adr_assert (adr_gatekeeper_probe (self->context, FIXTURE_DEADLINE_MS));
}

void
fixture_host_add (fixture_host_t *self, uint32_t node, const adr_actor_class_t *actor_class, toy_t *toy, uint64_t boot)
{
    const adr_map_node_t *at = &self->fixture->map->node[node];
    adr_shell_options_t options = { .actor_class = actor_class,
                                    .environment = { .cluster = self->fixture->map->cluster,
                                                     .node = at->id,
                                                     .type = at->type,
                                                     .incarnation = 1,
                                                     .boot = boot,
                                                     .map = self->fixture->map,
                                                     .state = toy },
                                    .directory = self->directory,
                                    .node_name = at->name };
    self->shell[self->shell_count++] = adr_shell_new (&options);
}

void
fixture_host_start (fixture_host_t *self, const uint32_t *nodes, uint32_t node_count, uint64_t boot)
{
    adr_post_node_t post_nodes[FIXTURE_NODES];
    bool has_client_door = false;
    for (uint32_t i = 0; i < node_count; i++) {
        post_nodes[i] = (adr_post_node_t){ &self->fixture->map->node[nodes[i]], self->fixture->secret[nodes[i]], 1,
                                           boot };
        has_client_door |= post_nodes[i].node->client[0] != 0;
    }
    for (int lane = 0; lane < ADR_POST_COUNT; lane++) {
        if (lane == ADR_POST_CLIENT && !has_client_door)
            continue;
        adr_post_options_t options = { self->context, self->directory, (adr_post_lane_t) lane, post_nodes, node_count,
                                       16 };
        char error[256];
        self->post[lane] = adr_post_new (&options, error, sizeof error);
        if (self->post[lane] == NULL)
            fprintf (stderr, "%s\n", error);
        adr_assert (self->post[lane]);
        adr_post_start (self->post[lane]);
    }
    for (uint32_t i = 0; i < self->shell_count; i++)
        adr_shell_start (self->shell[i]);
}

void
fixture_host_stop (fixture_host_t *self)
{
    for (int lane = 0; lane < ADR_POST_COUNT; lane++)
        if (self->post[lane])
            adr_post_halt (self->post[lane]);
    for (uint32_t i = 0; i < self->shell_count; i++)
        adr_shell_halt (self->shell[i]);
    for (int lane = 0; lane < ADR_POST_COUNT; lane++)
        adr_post_destroy (&self->post[lane]);
    for (uint32_t i = 0; i < self->shell_count; i++)
        adr_shell_destroy (&self->shell[i]);
    adr_gatekeeper_destroy (&self->gatekeeper);
    adr_directory_destroy (&self->directory);
    zmq_ctx_term (self->context);
}

bool
fixture_wait_metric (int metric, uint64_t at_least)
{
    int64_t until_ns = adr_clock_now_ns () + FIXTURE_DEADLINE_MS * ADR_MS;
    const struct timespec step = { 0, 1000000 };
    while (adr_metric_get ((adr_metric_t) metric) < at_least && adr_clock_now_ns () < until_ns)
        nanosleep (&step, NULL);
    return adr_metric_get ((adr_metric_t) metric) >= at_least;
}
