/* SPDX-License-Identifier: MPL-2.0 */
/* A host: see host.h. The order of the start is the order of trust: map and keys, stores, gatekeeper (probed), doors,
 * actors; packs come in only when every actor has its mailbox. The stop is the other way round. */

#include "runtime/host.h"

#include "runtime/clock.h"
#include "runtime/fault.h"
#include "runtime/gatekeeper.h"
#include "runtime/host_private.h"
#include "runtime/map_taker.h"
#include "runtime/post.h"

#include <czmq.h>
#include <limits.h>
#include <pthread.h>
#include <signal.h>
#include <sodium.h>
#include <stdlib.h>
#include <time.h>
#include <zmq.h>

#define S_IO_THREADS 2      /* post keeps one for control, so that no other encryption holds it up */
#define S_SOCKETS_MAX 16384 /* DEALERs of 16 nodes to a few hundred peers, on two lanes */
#define S_PROBE_MS 2000
#define S_ADOPTIONS_MAX 64  /* connections of strangers, who send one request each */

struct adr_host {
    const adr_config_t *config;
    adr_map_t *map;
    void *context;
    adr_gatekeeper_t *gatekeeper;
    adr_directory_t *directory;
    adr_node_t *node[ADR_HOST_NODES_MAX];
    uint32_t node_count;
    adr_post_t *post[ADR_POST_COUNT];
    adr_map_taker_t *map_taker;
    adr_credential_taker_t *credential_taker; /* of the first edge; NULL: this host has none */
};

/* --- the process ------------------------------------------------------------------------------------------------ */

void
adr_host_prepare_process (void)
{
    sigset_t signals;
    sigemptyset (&signals);
    sigaddset (&signals, SIGTERM);
    sigaddset (&signals, SIGINT);
    sigaddset (&signals, SIGPIPE);
    pthread_sigmask (SIG_BLOCK, &signals, NULL);
    int rc = sodium_init ();
    adr_assert (rc >= 0);
    setenv ("ZSYS_SIGHANDLER", "false", 1); /* CZMQ would take SIGTERM for itself */
    zsys_handler_set (NULL);
    zsys_init ();
    zsys_set_linger (0);
    adr_assert_hook = adr_shell_last_notes;
    adr_fault_prepare ();
}

/* --- start ------------------------------------------------------------------------------------------------------ */

/* Identities and stores. Each node of the map at most once. */
static bool
s_open_nodes (adr_host_t *self, adr_exit_t *code, char *error, size_t error_size)
{
    for (uint32_t i = 0; i < self->config->node_count; i++) {
        adr_identity_t identity;
        const char *folder = self->config->node[i];
        *code = ADR_EXIT_CONFIG;
        bool good = adr_identity_load (&identity, self->map, folder, error, error_size);
        if (!good && identity.node && identity.node->evicted) { /* the others go on [TRUST-3] */
            adr_log (ADR_LEVEL_ERROR, "host", "%s -> it is not started", error);
            adr_identity_forget (&identity);
            continue;
        }
        for (uint32_t other = 0; good && other < self->node_count; other++)
            if (adr_node_identity (self->node[other])->node == identity.node) {
                snprintf (error, error_size, "%s: %s is named twice", folder, identity.node->name);
                good = false;
            }
        if (good)
            self->node[self->node_count] = adr_node_open (&identity, self->map, self->config, folder, code, error, error_size);
        adr_identity_forget (&identity);
        if (self->node[self->node_count] == NULL)
            return false;
        self->node_count++;
    }
    *code = ADR_EXIT_CONFIG;
    return self->node_count > 0; /* else `error` says who was evicted */
}

/* [POST-1, GATE-1] No door is bound before the gatekeeper answers, and has refused a random key. */
static bool
s_start_gatekeeper (adr_host_t *self, adr_exit_t *code, char *error, size_t error_size)
{
    *code = ADR_EXIT_FATAL;
    self->context = zmq_ctx_new ();
    adr_assert (self->context);
    zmq_ctx_set (self->context, ZMQ_IO_THREADS, S_IO_THREADS);
    zmq_ctx_set (self->context, ZMQ_MAX_SOCKETS, S_SOCKETS_MAX);
    zmq_ctx_set (self->context, ZMQ_BLOCKY, 0);
    self->gatekeeper = adr_gatekeeper_new (self->context, adr_directory_admits, self->directory);
    if (self->gatekeeper && adr_gatekeeper_probe (self->context, S_PROBE_MS))
        return true;
    snprintf (error, error_size, "the gatekeeper does not refuse an unknown key");
    return false;
}

static bool
s_bind_doors (adr_host_t *self, adr_exit_t *code, char *error, size_t error_size)
{
    adr_post_node_t nodes[ADR_HOST_NODES_MAX];
    for (uint32_t i = 0; i < self->node_count; i++) {
        const adr_identity_t *identity = adr_node_identity (self->node[i]);
        nodes[i] = (adr_post_node_t){ identity->node, identity->keys.curve_secret,
                                      adr_node_incarnation (self->node[i]), adr_node_boot (self->node[i]) };
    }
    *code = ADR_EXIT_UNAVAILABLE;
    for (int lane = 0; lane < ADR_POST_COUNT; lane++) {
        if ((lane == ADR_POST_CLIENT && adr_host_node (self, ADR_NODE_EDGE) == NULL)
            || (lane == ADR_POST_ADOPTION && adr_host_node (self, ADR_NODE_PKI) == NULL))
            continue;
        adr_post_options_t options = { .context = self->context,
                                       .directory = self->directory,
                                       .lane = (adr_post_lane_t) lane,
                                       .node = nodes,
                                       .node_count = self->node_count,
                                       .connections_max = lane == ADR_POST_ADOPTION ? S_ADOPTIONS_MAX : self->config->connections_max };
        self->post[lane] = adr_post_new (&options, error, error_size);
        if (self->post[lane] == NULL)
            return false;
    }
    return true;
}

static bool
s_prepare (adr_host_t *self, adr_exit_t *code, char *error, size_t error_size)
{
    *code = ADR_EXIT_CONFIG;
    self->map = adr_map_load (self->config->cluster_map, error, error_size);
    if (self->map == NULL || !s_open_nodes (self, code, error, error_size))
        return false;
    self->directory = adr_directory_new (self->map, (const uint8_t (*)[32]) self->config->clients.key,
                                         self->config->clients.count);
    adr_directory_set_operators (self->directory, (const uint8_t (*)[32]) self->config->operators.key,
                                 self->config->operators.count);
    return s_start_gatekeeper (self, code, error, error_size) && s_bind_doors (self, code, error, error_size);
}

/* Everything of it that exists, in the order in which nobody misses what is gone. */
static void
s_tear_down (adr_host_t **self)
{
    adr_host_t *host = *self;
    for (int lane = 0; lane < ADR_POST_COUNT; lane++)
        if (host->post[lane])
            adr_post_halt (host->post[lane]);
    for (uint32_t i = 0; i < host->node_count; i++)
        adr_node_halt (host->node[i]);
    adr_map_taker_destroy (&host->map_taker);
    adr_credential_taker_destroy (&host->credential_taker);
    for (int lane = 0; lane < ADR_POST_COUNT; lane++)
        adr_post_destroy (&host->post[lane]);
    for (uint32_t i = 0; i < host->node_count; i++)
        adr_node_destroy (&host->node[i]);
    adr_gatekeeper_destroy (&host->gatekeeper);
    if (host->context)
        zmq_ctx_term (host->context);
    adr_directory_destroy (&host->directory);
    adr_map_destroy (&host->map);
    free (host);
    *self = NULL;
}

static void
s_start_credential_taker (adr_host_t *self)
{
    for (uint32_t i = 0; i < self->node_count && self->credential_taker == NULL; i++) {
        const adr_identity_t *identity = adr_node_identity (self->node[i]);
        if (identity->node->type == ADR_NODE_EDGE)
            self->credential_taker = adr_credential_taker_new (self->directory, &self->map->cluster, &identity->node->id,
                                                               identity->keys.curve_secret, adr_node_folder (self->node[i]), identity->node->name);
    }
}

adr_host_t *
adr_host_start (const adr_config_t *config, const adr_role_t *roles, uint32_t role_count, adr_exit_t *code,
                char *error, size_t error_size)
{
    int64_t started_ns = adr_clock_now_ns ();
    adr_host_t *self = adr_alloc (sizeof *self);
    self->config = config;
    if (!s_prepare (self, code, error, error_size)) {
        s_tear_down (&self);
        return NULL;
    }
    self->map_taker = adr_map_taker_new (self->directory, self->post, config, self->map);
    adr_directory_set_host (self->directory, adr_map_taker_mailbox (self->map_taker));
    s_start_credential_taker (self);
    for (uint32_t i = 0; i < self->node_count; i++)
        adr_node_populate (self->node[i], self->map, config, self->directory, roles, role_count);
    for (int lane = 0; lane < ADR_POST_COUNT; lane++)
        if (self->post[lane])
            adr_post_start (self->post[lane]);
    for (uint32_t i = 0; i < self->node_count; i++)
        adr_node_start (self->node[i]);
    *code = ADR_EXIT_OK;
    adr_log (ADR_LEVEL_NOTE, "host", "%u nodes of cluster %s run -> listening after_ms=%lld", self->node_count,
             self->map->name, (long long) ((adr_clock_now_ns () - started_ns) / ADR_MS));
    return self;
}

bool
adr_host_check (const adr_config_t *config, char *error, size_t error_size)
{
    adr_map_t *map = adr_map_load (config->cluster_map, error, error_size);
    bool good = map != NULL;
    for (uint32_t i = 0; i < config->node_count && good; i++) {
        adr_identity_t identity;
        good = adr_identity_load (&identity, map, config->node[i], error, error_size)
               || (identity.node && identity.node->evicted);
        adr_identity_forget (&identity);
    }
    adr_map_destroy (&map);
    return good;
}

/* --- stop ------------------------------------------------------------------------------------------------------- */

static bool
s_leads (const adr_host_t *self)
{
    for (uint32_t i = 0; i < self->node_count; i++)
        if (adr_node_leads (self->node[i]))
            return true;
    return false;
}

void
adr_host_stop (adr_host_t **self, uint32_t wait_ms)
{
    adr_host_t *host = *self;
    if (host == NULL)
        return;
    for (uint32_t i = 0; i < host->node_count; i++)
        adr_node_tell_stop (host->node[i]);
    int64_t until_ns = adr_clock_now_ns () + wait_ms * ADR_MS;
    const struct timespec step = { 0, 5 * ADR_MS };
    while (s_leads (host) && adr_clock_now_ns () < until_ns)
        nanosleep (&step, NULL);
    if (s_leads (host))
        adr_log (ADR_LEVEL_WARNING, "host", "no successor in time -> stopped as master wait_ms=%u", wait_ms);
    s_tear_down (self);
    adr_log (ADR_LEVEL_NOTE, "host", "stopped");
}

/* --- what it says ----------------------------------------------------------------------------------------------- */

const adr_config_t *
adr_host_config (const adr_host_t *self)
{
    return self->config;
}

const adr_map_t *
adr_host_map (const adr_host_t *self)
{
    return self->map;
}

const adr_map_node_t *
adr_host_node (const adr_host_t *self, adr_node_type_t type)
{
    for (uint32_t i = 0; i < self->node_count; i++)
        if (adr_node_identity (self->node[i])->node->type == type)
            return adr_node_identity (self->node[i])->node;
    return NULL;
}

void
adr_host_use_credentials (adr_host_t *self, adr_credentials_use_fn *use, void *argument)
{
    if (self->credential_taker)
        adr_credential_taker_use (self->credential_taker, use, argument);
}

void
adr_host_use_drain (adr_host_t *self, adr_drain_use_fn *use, void *argument)
{
    const adr_map_node_t *edge = adr_host_node (self, ADR_NODE_EDGE);
    if (edge)
        adr_map_taker_use_drain (self->map_taker, &edge->id, use, argument);
}

adr_directory_t *
adr_host_directory (adr_host_t *self)
{
    return self->directory;
}
