/* SPDX-License-Identifier: MPL-2.0 */
/* adrestiad: one host of Adrestia. It reads its configuration, runs its nodes' actors and, where one of them is an
 * edge, S3, until SIGTERM or SIGINT; then it hands over what it leads and ends. Safe to kill at any moment.
 *
 * Here, and nowhere below, stands which actor runs on which type of node. */

#include "edge/edge.h"
#include "runtime/config.h"
#include "runtime/host.h"
#include "runtime/log.h"
#include "runtime/metrics.h"
#include "shell/join.h"

#include <errno.h>
#include <getopt.h>
#include <malloc.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#define S_STOP_WAIT_MS 2000
#define S_ERROR_MAX 512
#define S_ARENAS_MAX 2 /* glibc would give each of some thirty threads 64 MiB of address space, and keep their waste */
/* What a start allocates from this size on gets pages of its own: LMDB zeroes lists of 3 MiB for each file and hardly
 * touches them, which costs nothing in fresh pages, and 14 MiB in memory that was used before. */
#define S_LARGE_AT_START (512 * 1024)
/* Later a mapping, and its page faults, for each pack or batch would cost more than their memory. */
#define S_LARGE (4 * 1024 * 1024)

#define S_EDGE (1u << ADR_NODE_EDGE)
#define S_PKI (1u << ADR_NODE_PKI)
#define S_REPLICATING (1u << ADR_NODE_META | 1u << ADR_NODE_DATA | S_PKI)

static const adr_role_t s_roles[] = {
    { S_EDGE, &adr_edge_router_class },
    { S_EDGE, &adr_collector_class },
    { S_EDGE, &adr_credential_keeper_class },
    { S_REPLICATING, &adr_health_checker_class },
    { S_REPLICATING, &adr_election_class },
    { S_REPLICATING, &adr_replicator_class },
    { S_REPLICATING, &adr_merkle_gossiper_class },
    { S_REPLICATING, &adr_inventory_syncer_class },
    { S_REPLICATING, &adr_scrubber_class },
    { S_EDGE | S_REPLICATING, &adr_map_keeper_class },
    { S_PKI, &adr_cert_signer_class },
};

static const char s_help[]
    = "adrestiad [--config FILE] [--check] [--version] [--help]\n"
      "adrestiad join TOKEN --dir DIR [options]: a new node comes into a cluster; adrestiad join --help\n"
      "  --config FILE  the configuration (" ADR_CONFIG_DIR "/adrestia.yaml)\n"
      "  --check        checks configuration, map, certificates and keys, and ends\n"
      "  --version      says which version this is\n"
      "SIGTERM and SIGINT: hand over what this host leads, then end.\n"
      "Exit codes: 0 ended as told, 64 command line, 69 address in use, 70 a disk failed or an invariant was in danger,\n"
      "74 a store cannot be opened, 78 configuration, map, certificate or key; killed by SIGABRT: a bug, see the log.\n";

typedef struct {
    const char *config;
    bool check;
} s_options_t;

/* -1 to go on, or the exit code. */
static int
s_parse (int argc, char **argv, s_options_t *options)
{
    static const struct option known[] = { { "config", required_argument, NULL, 'c' },
                                           { "check", no_argument, NULL, 'k' },
                                           { "version", no_argument, NULL, 'v' },
                                           { "help", no_argument, NULL, 'h' },
                                           { NULL, 0, NULL, 0 } };
    *options = (s_options_t){ .config = ADR_CONFIG_DIR "/adrestia.yaml" };
    for (int option; (option = getopt_long (argc, argv, "c:h", known, NULL)) != -1;) {
        if (option == 'c')
            options->config = optarg;
        else if (option == 'k')
            options->check = true;
        else if (option == 'v')
            return puts ("adrestiad " ADR_VERSION), ADR_EXIT_OK;
        else if (option == 'h')
            return fputs (s_help, stdout), ADR_EXIT_OK;
        else
            return fputs (s_help, stderr), ADR_EXIT_USAGE;
    }
    if (optind < argc)
        return fputs (s_help, stderr), ADR_EXIT_USAGE;
    return -1;
}

/* Connections, segments and LMDB all need descriptors: take as many as the system gives. */
static void
s_raise_limits (void)
{
    struct rlimit limit;
    if (getrlimit (RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur < limit.rlim_max) {
        limit.rlim_cur = limit.rlim_max < 65536 ? limit.rlim_max : 65536;
        if (setrlimit (RLIMIT_NOFILE, &limit) != 0)
            adr_log (ADR_LEVEL_WARNING, "host", "few descriptors: %s -> fewer connections", strerror (errno));
    }
}

/* --- S3 --------------------------------------------------------------------------------------------------------- */

typedef struct {
    adr_host_t *host;
    adr_edge_t *edge;
    adr_local_client_t *client;
} s_http_t;

static void
s_stop_http (s_http_t *self)
{
    adr_host_use_credentials (self->host, NULL, NULL);
    adr_host_use_drain (self->host, NULL, NULL);
    if (self->edge && self->client)
        adr_edge_stop (self->edge);
    adr_local_client_destroy (&self->client);
    if (self->edge)
        adr_edge_destroy (&self->edge);
}

/* S3, where this host has an edge that the map gives an address. False: `code` and `error` say why. */
static bool
s_start_http (s_http_t *self, adr_host_t *host, adr_exit_t *code, char *error, size_t error_size)
{
    *self = (s_http_t){ .host = host };
    *code = ADR_EXIT_CONFIG;
    const adr_map_node_t *node = adr_host_node (host, ADR_NODE_EDGE);
    const adr_config_t *config = adr_host_config (host);
    if (node == NULL || *node->http == 0)
        return true;
    adr_edge_options_t options = { .listen = node->http,
                                   .credentials_file = config->http.credentials_file,
                                   .region = config->http.region,
                                   .domain = config->http.domain,
                                   .connections_max = config->connections_max,
                                   .requests_bytes_max = config->settings.request_max_bytes };
    self->edge = adr_edge_new (&options, error, error_size);
    if (self->edge == NULL)
        return false;
    self->client = adr_host_local_client (host, adr_edge_receive, adr_edge_tick, self->edge);
    adr_assert (self->client);
    adr_host_use_credentials (host, adr_edge_take_credentials, self->edge);
    adr_host_use_drain (host, adr_edge_drain, self->edge);
    adr_id_t id = adr_local_client_id (self->client);
    *code = ADR_EXIT_UNAVAILABLE;
    if (adr_edge_start (self->edge, &adr_host_map (host)->cluster, &id, adr_local_client_send,
                        adr_local_client_nudge, self->client, error, error_size)) {
        adr_log (ADR_LEVEL_NOTE, node->name, "S3 -> listening address=%s", node->http);
        return true;
    }
    adr_host_use_credentials (host, NULL, NULL);
    adr_host_use_drain (host, NULL, NULL);
    adr_local_client_destroy (&self->client);
    adr_edge_destroy (&self->edge);
    return false;
}

/* --- life ------------------------------------------------------------------------------------------------------- */

static void
s_prepare_memory (void)
{
    mallopt (M_ARENA_MAX, S_ARENAS_MAX);
    mallopt (M_MMAP_THRESHOLD, S_LARGE_AT_START);
}

/* Gives back what reading certificates and journals took; what follows is the traffic of packs. */
static void
s_settle_memory (void)
{
    malloc_trim (0);
    mallopt (M_MMAP_THRESHOLD, S_LARGE);
    mallopt (M_TRIM_THRESHOLD, 2 * S_LARGE);
}

/* Until somebody wants the process to end. */
static void
s_wait_for_signal (void)
{
    sigset_t signals;
    sigemptyset (&signals);
    sigaddset (&signals, SIGTERM);
    sigaddset (&signals, SIGINT);
    int number;
    while (sigwait (&signals, &number) != 0)
        ;
    adr_log (ADR_LEVEL_NOTE, "host", "%s -> handing over", number == SIGTERM ? "SIGTERM" : "SIGINT");
}

/* What was dropped or refused in this life, so that no fault goes unseen. */
static void
s_log_counters (void)
{
    char text[900] = "";
    for (int i = 0; i < ADR_METRIC_COUNT; i++) {
        size_t length = strlen (text);
        if (adr_metric_get ((adr_metric_t) i))
            snprintf (text + length, sizeof text - length, " %s=%llu", adr_metric_name ((adr_metric_t) i),
                      (unsigned long long) adr_metric_get ((adr_metric_t) i));
    }
    adr_log (ADR_LEVEL_NOTE, "host", "counters%s", text);
}

static adr_exit_t
s_run (const adr_config_t *config, char *error)
{
    adr_exit_t code;
    adr_host_t *host = adr_host_start (config, s_roles, sizeof s_roles / sizeof s_roles[0], &code, error,
                                       S_ERROR_MAX);
    if (host == NULL)
        return code;
    s_http_t http;
    if (s_start_http (&http, host, &code, error, S_ERROR_MAX)) {
        s_settle_memory ();
        s_wait_for_signal ();
        s_stop_http (&http);
        code = ADR_EXIT_OK;
    }
    adr_host_stop (&host, S_STOP_WAIT_MS);
    s_log_counters ();
    return code;
}

static adr_exit_t
s_start (const s_options_t *options, char *error)
{
    adr_config_t *config = adr_config_read (options->config, error, S_ERROR_MAX);
    if (config == NULL)
        return ADR_EXIT_CONFIG;
    adr_exit_t code = ADR_EXIT_CONFIG;
    if (options->check)
        code = adr_host_check (config, error, S_ERROR_MAX) ? ADR_EXIT_OK : ADR_EXIT_CONFIG;
    else if (adr_log_open (config->log_level, config->log_file))
        code = s_run (config, error);
    else
        snprintf (error, S_ERROR_MAX, "%s: %s", config->log_file, strerror (errno));
    adr_config_destroy (&config);
    return code;
}

/* A thread that is woken does not push the one aside that woke it: what is on its way gathers into batches, instead
 * of crossing each thread alone (docs/decisions/0005). All threads inherit it. A kernel that refuses costs speed only. */
static void
s_prefer_batches (void)
{
    struct sched_param none = { 0 };
    if (sched_setscheduler (0, SCHED_BATCH, &none) != 0)
        adr_log (ADR_LEVEL_NOTE, "host", "SCHED_BATCH: %s -> batches stay small at load", strerror (errno));
}

int
main (int argc, char **argv)
{
    s_options_t options;
    if (argc > 1 && strcmp (argv[1], "join") == 0)
        return adr_join (argc - 1, argv + 1);
    int early = s_parse (argc, argv, &options);
    if (early >= 0)
        return early;
    s_prepare_memory ();
    s_raise_limits ();
    s_prefer_batches ();
    adr_host_prepare_process ();
    char error[S_ERROR_MAX] = "";
    adr_exit_t code = s_start (&options, error);
    if (code != ADR_EXIT_OK)
        adr_log (ADR_LEVEL_ERROR, "host", "%s -> not started code=%d", error, code);
    return code;
}
