/* SPDX-License-Identifier: MPL-2.0 */
/* `adrestiad join`: see join.h. A folder, the node's identity in it, the question through the token's doors in turn, the answer's
 * check, then the files, the configuration last: a folder with a configuration is whole. Whatever is interrupted is run again, asks
 * by the same keys, and is answered with the same certificate. */

#include "shell/join.h"

#include "runtime/clock.h"
#include "runtime/config.h"
#include "runtime/host.h"
#include "runtime/identity.h"
#include "wire/map_codec.h"

#include <arpa/inet.h>
#include <errno.h>
#include <limits.h>
#include <netinet/in.h>
#include <signal.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#define S_PAUSE_NS (500 * ADR_MS) /* after all doors were asked */
#define S_TIMEOUT_S 60

typedef struct {
    adr_join_options_t options;
    adr_token_t token;
    adr_join_folder_t folder;
    adr_join_identity_t identity;
    char endpoint[ADR_JOIN_ENDPOINTS][ADR_ENDPOINT_MAX + 1];
    char config_path[PATH_MAX];
    adr_buffer_t config, credentials, authority;
    adr_join_answer_t answer;
    char error[512];
} s_join_t;

/* --- a folder that is whole already ---------------------------------------------------------------------------------- */

/* [TRUST-5] Another token's folder is not taken for this one's. */
static bool
s_is_the_tokens (s_join_t *self, const adr_config_t *config)
{
    adr_map_t *map = adr_map_load (config->cluster_map, self->error, sizeof self->error);
    adr_identity_t identity = { 0 };
    if (config->node_count != 1)
        snprintf (self->error, sizeof self->error, "its configuration runs %u nodes, not the token's alone", config->node_count);
    bool good = map && config->node_count == 1
                && adr_identity_load (&identity, map, config->node[0], self->error, sizeof self->error);
    const adr_token_t *token = &self->token;
    if (good
        && (!adr_id_equal (&map->cluster, &token->cluster) || identity.node->type != token->type
            || !adr_id_equal (&identity.node->zone, &token->zone) || !adr_id_equal (&identity.node->group, &token->group)
            || strcmp (identity.node->name, token->node_name) != 0)) {
        snprintf (self->error, sizeof self->error, "%s is a node already, and not the token's -> choose another folder",
                  identity.node->name);
        good = false;
    }
    adr_identity_forget (&identity);
    adr_map_destroy (&map);
    return good;
}

/* As adrestiad --check does. */
static bool
s_check_whole (s_join_t *self)
{
    adr_config_t *config = adr_config_read (self->config_path, self->error, sizeof self->error);
    bool good = config && adr_host_check (config, self->error, sizeof self->error) && s_is_the_tokens (self, config);
    adr_config_destroy (&config);
    return good;
}

static int
s_find_whole (s_join_t *self)
{
    if (!s_check_whole (self))
        return adr_join_say (ADR_EXIT_CONFIG, "%s is there already, but: %s", self->config_path, self->error);
    printf ("%s has joined already: adrestiad --config %s\n", self->token.node_name, self->config_path);
    return 0;
}

/* --- where it will listen ------------------------------------------------------------------------------------------- */

static int
s_choose_address (adr_join_options_t *options, const adr_token_t *token)
{
    if (options->address)
        return 0;
    options->address = "127.0.0.1";
    for (uint32_t i = 0; i < token->door_count; i++)
        if (strncmp (token->door[i].endpoint, "tcp://127.", 10) != 0)
            return adr_join_say (ADR_EXIT_USAGE, "--address A is missing: the cluster is on other hosts, which have to reach this one");
    return 0;
}

static void
s_make_endpoints (s_join_t *self)
{
    const char *host = self->options.address;
    uint32_t port = self->options.port;
    snprintf (self->endpoint[0], sizeof self->endpoint[0], "tcp://%s:%u", host, port);
    snprintf (self->endpoint[1], sizeof self->endpoint[1], "tcp://%s:%u", host, port + 1);
    if (self->token.type == ADR_NODE_EDGE || self->token.type == ADR_NODE_PKI)
        snprintf (self->endpoint[2], sizeof self->endpoint[2], "tcp://%s:%u", host, port + 2);
    if (self->token.type == ADR_NODE_EDGE)
        snprintf (self->endpoint[3], sizeof self->endpoint[3], "%s:%u", host, port + 3);
}

/* What the registry says of a node stays: an address that is not this host's would be found out too late. */
static int
s_check_port (const char *host, uint32_t port)
{
    struct sockaddr_in address = { .sin_family = AF_INET, .sin_port = htons ((uint16_t) port) };
    int one = 1, file = socket (AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    inet_pton (AF_INET, host, &address.sin_addr);
    bool good = file >= 0 && setsockopt (file, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one) == 0
                && bind (file, (struct sockaddr *) &address, sizeof address) == 0 && listen (file, 1) == 0;
    int why = errno;
    if (file >= 0)
        close (file);
    return good ? 0 : adr_join_say (ADR_EXIT_UNAVAILABLE, "%s:%u: %s -> another --port or --address", host, port, strerror (why));
}

static int
s_check_ports (const s_join_t *self)
{
    int code = 0;
    for (uint32_t i = 0; i < ADR_JOIN_ENDPOINTS && code == 0; i++)
        if (self->endpoint[i][0])
            code = s_check_port (self->options.address, self->options.port + i);
    return code;
}

/* --- asking ----------------------------------------------------------------------------------------------------------- */

/* Whether another PKI node, or the same one later, may say something else. */
static bool
s_is_passing (adr_status_t status)
{
    switch (status) {
    case ADR_STATUS_REFUSED: /* busy, no master */
    case ADR_STATUS_UNKNOWN: /* maybe committed: the same question finds out */
    case ADR_STATUS_LOCKED:
    case ADR_STATUS_TIMEOUT:
    case ADR_STATUS_NOT_MASTER:
        return true;
    case ADR_STATUS_OK:
    case ADR_STATUS_NOT_FOUND:
    case ADR_STATUS_CONFLICT:
    case ADR_STATUS_INVALID:
    case ADR_STATUS_DENIED:
    case ADR_STATUS_DAMAGED:
    case ADR_STATUS_FULL:
    case ADR_STATUS_COUNT:
        break;
    }
    return false;
}

static void
s_pause (int64_t until_ns)
{
    int64_t left_ns = until_ns - adr_clock_now_ns ();
    int64_t pause_ns = left_ns < S_PAUSE_NS ? left_ns : S_PAUSE_NS;
    if (pause_ns > 0)
        nanosleep (&(struct timespec){ 0, pause_ns }, NULL);
}

/* The doors in turn, until one gives an answer that is one. */
static int
s_ask (s_join_t *self)
{
    const adr_token_t *token = &self->token;
    const adr_join_ask_t ask = { token, &self->identity, { self->endpoint[0], self->endpoint[1], self->endpoint[2], self->endpoint[3] },
                                  adr_bytes (self->authority.data, self->authority.size) };
    int64_t until_ns = adr_clock_now_ns () + self->options.timeout_s * 1000 * ADR_MS;
    for (uint32_t tries = 0;; tries++) {
        const adr_token_door_t *door = &token->door[tries % token->door_count];
        adr_join_answer_free (&self->answer);
        bool answered = adr_join_ask (&ask, door, until_ns, &self->answer);
        if (answered && self->answer.status == ADR_STATUS_OK)
            return 0;
        if (answered && !s_is_passing (self->answer.status))
            return adr_join_say (ADR_JOIN_REFUSED, "refused: %s (%s)", self->answer.text, door->endpoint);
        if (adr_clock_now_ns () >= until_ns)
            return adr_join_say (ADR_JOIN_AGAIN, "no PKI node took this node in within %u s; %s: %s -> the same command again goes on",
                               self->options.timeout_s, door->endpoint, self->answer.text);
        if ((tries + 1) % token->door_count == 0)
            s_pause (until_ns);
    }
}

/* --- what was answered ------------------------------------------------------------------------------------------------ */

static bool
s_put (s_join_t *self, const char *name, mode_t mode, adr_bytes_t bytes)
{
    return adr_join_folder_put (&self->folder, name, mode, bytes, self->error, sizeof self->error);
}

static bool
s_put_key (s_join_t *self, const char *name, const uint8_t key[32])
{
    char text[2 * 32 + 2];
    sodium_bin2hex (text, sizeof text, key, 32);
    strcat (text, "\n");
    bool good = s_put (self, name, 0600, adr_bytes (text, strlen (text)));
    sodium_memzero (text, sizeof text);
    return good;
}

/* The registry and its signatures; statuses are told anew. */
static bool
s_put_map (s_join_t *self)
{
    adr_map_t *map = self->answer.map;
    adr_buffer_t bytes = { 0 };
    for (uint32_t i = 0; i < map->group_count; i++)
        map->group[i].status = (adr_group_status_t){ 0 };
    adr_map_encode (map, &bytes);
    bool good = s_put (self, "cluster.map", 0644, adr_bytes (bytes.data, bytes.size));
    adr_buffer_free (&bytes);
    return good;
}

/* The configuration last: it says that the rest is there. */
static bool
s_put_all (s_join_t *self)
{
    const adr_join_answer_t *answer = &self->answer;
    return s_put (self, "node.cert", 0644, adr_bytes (answer->certificate, answer->certificate_size))
           && (!answer->has_hash_key || s_put_key (self, "hash.key", answer->hash_key))
           && (!answer->has_sealing_key || s_put_key (self, "sealing.key", answer->sealing_key)) && s_put_map (self)
           && (self->credentials.size == 0 || s_put (self, "s3-credentials", 0600, adr_bytes (self->credentials.data, self->credentials.size)))
           && s_put (self, ADR_JOIN_CONFIG, 0644, adr_bytes (self->config.data, self->config.size));
}

static void
s_tell (const s_join_t *self)
{
    const adr_map_node_t *node = adr_map_node (self->answer.map, &self->identity.node);
    if (strcmp (node->control, self->endpoint[0]) != 0)
        adr_join_say (0, "it joined as %s before, and that is where it listens", node->control);
    printf ("%s has joined: adrestiad --config %s\n", node->name, self->config_path);
}

static int
s_take_answer (s_join_t *self)
{
    if (!adr_join_answer_check (&self->answer, &self->token, &self->identity, adr_clock_wall_ms (), self->error, sizeof self->error))
        return adr_join_say (ADR_JOIN_UNBELIEVED, "the answer is not believed, and nothing was written: %s", self->error);
    if (!s_put_all (self))
        return adr_join_say (ADR_EXIT_STORE, "%s", self->error);
    if (!s_check_whole (self))
        return adr_join_say (ADR_EXIT_CONFIG, "what was written is not as it must be: %s", self->error);
    s_tell (self);
    return 0;
}

/* --- the whole -------------------------------------------------------------------------------------------------------- */

/* All that can be wrong here is found before the token is used. */
static int
s_prepare (s_join_t *self)
{
    int code = s_choose_address (&self->options, &self->token);
    if (code)
        return code;
    if (!adr_join_config_make (&self->token, &self->options.edge, self->config_path, &self->config, &self->credentials, self->error,
                               sizeof self->error)
        || !adr_join_folder_identity (&self->folder, self->token.founds, &self->identity, self->error, sizeof self->error))
        return adr_join_say (ADR_EXIT_CONFIG, "%s", self->error);
    s_make_endpoints (self);
    code = s_check_ports (self);
    if (code == 0 && self->token.type == ADR_NODE_PKI)
        code = adr_join_authority (&self->folder, &self->token, &self->identity, &self->authority, self->error, sizeof self->error);
    return code;
}

static int
s_join_in_folder (s_join_t *self)
{
    if (adr_join_folder_has (&self->folder, ADR_JOIN_CONFIG))
        return s_find_whole (self);
    int code = s_prepare (self);
    if (code == 0)
        code = s_ask (self);
    return code ? code : s_take_answer (self);
}

static int
s_join (s_join_t *self)
{
    int code = adr_join_token_read (&self->options, &self->token);
    if (code)
        return code;
    const char *directory = self->options.directory;
    if (snprintf (self->config_path, sizeof self->config_path, "%s/" ADR_JOIN_CONFIG, directory) >= (int) sizeof self->config_path)
        return adr_join_say (ADR_EXIT_USAGE, "--dir: the path is too long");
    if (!adr_join_folder_open (&self->folder, directory, self->error, sizeof self->error))
        return adr_join_say (ADR_EXIT_STORE, "%s", self->error);
    return s_join_in_folder (self);
}

int
adr_join (int argc, char **argv)
{
    s_join_t *self = adr_alloc (sizeof *self);
    int rc = sodium_init ();
    adr_assert (rc >= 0);
    signal (SIGPIPE, SIG_IGN); /* whoever reads what is told here may have left */
    self->folder.file = -1;
    self->options = (adr_join_options_t){ .port = 7400, .timeout_s = S_TIMEOUT_S };
    int code = adr_join_options_parse (argc, argv, &self->options);
    if (code < 0) {
        fputs (adr_join_help, stdout);
        code = 0;
    } else if (code == 0)
        code = s_join (self);
    adr_join_folder_close (&self->folder);
    adr_join_answer_free (&self->answer);
    adr_buffer_wipe (&self->credentials);
    adr_buffer_free (&self->config);
    adr_buffer_free (&self->authority);
    sodium_memzero (self, sizeof *self);
    free (self);
    return code;
}
