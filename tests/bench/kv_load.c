/* SPDX-License-Identifier: MPL-2.0 */
/* The load generator of tests/bench/kv: many connections with requests in flight on each, driven by one thread a
 * process, measured where the answer arrives. Prints one line of JSON.
 *
 *     kv_load --profile F [--connections N] [--in-flight M] [--seconds S] [--warm S] [--op put|get|get-local]
 *             [--size BYTES] [--keys K] [--processes P] [--limit MS] [--edges E] [--prepared]
 *
 * N connections a process, M requests in flight on each; P processes share nothing. They go to the profile's first
 * edge, or in turn to its first E. Requests are libadrestia's own sessions, one a connection; but one ROUTER carries
 * them all, because a socket a connection costs more than the servers do: N connections stand for N programs, which
 * would run elsewhere, and the peer's generator is one loop over bare sockets, too. Gets read keys that a first child
 * wrote, or that an earlier run did (--prepared). */

#include "client/profile.h"
#include "client/session.h"
#include "core/actor.h"

#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <math.h>
#include <poll.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include <zmq.h>

/* Latencies in classes of 1/32 of a power of two: under 4 % wide, from 1 ns to 18 s. */
#define S_FINE 32
#define S_CLASSES (34 * S_FINE)
#define S_SPACE "bench"
#define S_NAME UINT32_C (0x01010101) /* the first connection's: names that begin with a zero are the library's own */

typedef struct {
    const char *profile;
    uint32_t connections, in_flight, keys, processes, limit_ms, edges;
    double seconds, warm;
    size_t size;
    bool get, prepared;
    Adr__ReadMode mode;
} s_options_t;

/* What a process hands to its parent. */
typedef struct {
    uint64_t ops, errors, unknown, refused, not_found, conflict, timeout;
    int64_t first_ns, last_ns;
    uint64_t max_ns;
    uint64_t count[S_CLASSES];
} s_result_t;

typedef struct s_load s_load_t;

typedef struct {
    s_load_t *load;
    adr_session_t *session;
    uint32_t name; /* what the ROUTER calls its connection */
} s_client_t;

typedef struct {
    s_client_t *client;
    int64_t start_ns;
} s_flight_t;

struct s_load {
    const s_options_t *options;
    adr_profile_t profile;
    void *context, *router, *monitor;
    int descriptor; /* the ROUTER's */
    s_client_t *client;
    s_flight_t *flight;
    adr_random_t random;
    uint8_t *value;
    uint64_t left;      /* of a preload: keys to write */
    bool preload, stop;
    uint32_t idle;      /* flights that have ended for good */
    int64_t count_from_ns, until_ns;
    s_result_t result;
};

static int64_t
s_now (void)
{
    struct timespec now;
    clock_gettime (CLOCK_BOOTTIME, &now);
    return now.tv_sec * INT64_C (1000000000) + now.tv_nsec;
}

/* --- measuring ------------------------------------------------------------------------------------------------ */

static uint32_t
s_class_of (uint64_t ns)
{
    if (ns < S_FINE)
        return (uint32_t) ns;
    uint32_t power = 63 - (uint32_t) __builtin_clzll (ns);
    uint32_t class = (power - 4) * S_FINE + (uint32_t) (ns >> (power - 5)) - S_FINE;
    return class < S_CLASSES ? class : S_CLASSES - 1;
}

static uint64_t
s_class_top (uint32_t class)
{
    if (class < S_FINE)
        return class;
    uint32_t power = class / S_FINE + 4;
    return ((uint64_t) (class % S_FINE + S_FINE + 1) << (power - 5)) - 1;
}

static void
s_count (s_load_t *self, adr_status_t status, int64_t start_ns, int64_t now_ns)
{
    s_result_t *result = &self->result;
    if (now_ns < self->count_from_ns || now_ns > self->until_ns)
        return;
    if (status != ADR_STATUS_OK) {
        result->errors++;
        result->unknown += status == ADR_STATUS_UNKNOWN;
        result->refused += status == ADR_STATUS_REFUSED;
        result->not_found += status == ADR_STATUS_NOT_FOUND;
        result->conflict += status == ADR_STATUS_CONFLICT;
        result->timeout += status == ADR_STATUS_TIMEOUT;
        return;
    }
    uint64_t took_ns = (uint64_t) (now_ns - start_ns);
    result->ops++;
    result->count[s_class_of (took_ns)]++;
    if (took_ns > result->max_ns)
        result->max_ns = took_ns;
    if (result->first_ns == 0)
        result->first_ns = now_ns;
    result->last_ns = now_ns;
}

/* --- requests ------------------------------------------------------------------------------------------------- */

static void s_done (void *argument, const adr_reply_t *reply);

static void
s_ask (s_load_t *self, s_flight_t *flight)
{
    const s_options_t *options = self->options;
    char key[sizeof S_SPACE + 16];
    uint64_t number = self->preload ? --self->left : adr_random_next (&self->random) % options->keys;
    int size = snprintf (key, sizeof key, "%s%c%012" PRIu64, S_SPACE, 0, number);
    flight->start_ns = s_now ();
    if (options->get && !self->preload) {
        adr_session_read (flight->client->session, ADR_TABLE_KV, adr_bytes (key, (size_t) size), options->mode,
                          options->limit_ms, s_done, flight);
        return;
    }
    adr_put_u64 (self->value, adr_random_next (&self->random));
    adr_session_op_t op = { .table = ADR_TABLE_KV, .key = adr_bytes (key, (size_t) size),
                            .value = adr_bytes (self->value, options->size) };
    adr_session_write (flight->client->session, &op, 1, options->limit_ms, s_done, flight);
}

static void
s_done (void *argument, const adr_reply_t *reply)
{
    s_flight_t *flight = argument;
    s_load_t *self = flight->client->load;
    int64_t now_ns = s_now ();
    s_count (self, reply->status, flight->start_ns, now_ns);
    if (self->stop || now_ns >= self->until_ns || (self->preload && self->left == 0))
        self->idle++;
    else
        s_ask (self, flight);
}

/* --- connections ---------------------------------------------------------------------------------------------- */

/* An adr_session_send_fn. */
static bool
s_send (void *transport, adr_bytes_t pack)
{
    s_client_t *client = transport;
    void *router = client->load->router;
    return zmq_send (router, &client->name, sizeof client->name, ZMQ_SNDMORE | ZMQ_DONTWAIT) >= 0
           && zmq_send (router, pack.data, pack.size, ZMQ_DONTWAIT) >= 0;
}

/* Gives one answer to its session; false if there is none. */
static bool
s_receive (s_load_t *self)
{
    uint32_t name;
    zmq_msg_t pack;
    if (zmq_recv (self->router, &name, sizeof name, ZMQ_DONTWAIT) != sizeof name)
        return false;
    zmq_msg_init (&pack);
    int size = zmq_msg_recv (&pack, self->router, ZMQ_DONTWAIT);
    if (size >= 0 && name - S_NAME < self->options->connections)
        adr_session_receive (self->client[name - S_NAME].session, adr_bytes (zmq_msg_data (&pack), (size_t) size));
    zmq_msg_close (&pack);
    return true;
}

/* ZeroMQ's descriptor tells of changes only: everything is read until nothing is left before the next wait. */
static void
s_turn (s_load_t *self, int wait_ms)
{
    struct pollfd item = { self->descriptor, POLLIN, 0 };
    poll (&item, 1, wait_ms);
    while (s_receive (self))
        ;
}

static void
s_tick_all (s_load_t *self)
{
    for (uint32_t i = 0; i < self->options->connections; i++)
        adr_session_tick (self->client[i].session, s_now ());
}

static void
s_set (void *socket, int option, const void *value, size_t size)
{
    if (zmq_setsockopt (socket, option, value, size) != 0)
        abort ();
}

static bool
s_open_router (s_load_t *self)
{
    const int zero = 0, one = 1, high_water = 16384;
    size_t size = sizeof self->descriptor;
    self->context = zmq_ctx_new ();
    self->router = zmq_socket (self->context, ZMQ_ROUTER);
    self->monitor = zmq_socket (self->context, ZMQ_PAIR);
    s_set (self->router, ZMQ_LINGER, &zero, sizeof zero);
    s_set (self->monitor, ZMQ_LINGER, &zero, sizeof zero);
    s_set (self->router, ZMQ_ROUTER_MANDATORY, &one, sizeof one);
    s_set (self->router, ZMQ_SNDHWM, &high_water, sizeof high_water);
    s_set (self->router, ZMQ_RCVHWM, &high_water, sizeof high_water);
    s_set (self->router, ZMQ_CURVE_PUBLICKEY, self->profile.curve_public, 32);
    s_set (self->router, ZMQ_CURVE_SECRETKEY, self->profile.curve_secret, 32);
    return zmq_socket_monitor (self->router, "inproc://monitor", ZMQ_EVENT_HANDSHAKE_SUCCEEDED) == 0
           && zmq_connect (self->monitor, "inproc://monitor") == 0
           && zmq_getsockopt (self->router, ZMQ_FD, &self->descriptor, &size) == 0;
}

static bool
s_dial (s_load_t *self, s_client_t *client, uint32_t number)
{
    const adr_profile_edge_t *edge = &self->profile.edge[number % self->options->edges % self->profile.edge_count];
    uint64_t seed;
    randombytes_buf (&seed, sizeof seed);
    client->load = self;
    client->name = S_NAME + number;
    client->session = adr_session_new (&self->profile.cluster, &self->profile.node, seed, UINT64_C (1) << 30, s_send,
                                       client);
    s_set (self->router, ZMQ_CURVE_SERVERKEY, edge->curve_key, 32);
    s_set (self->router, ZMQ_CONNECT_ROUTING_ID, &client->name, sizeof client->name);
    return zmq_connect (self->router, edge->endpoint) == 0;
}

/* Waits for all handshakes, 10 s. */
static bool
s_all_up (s_load_t *self)
{
    int64_t until_ns = s_now () + 10000 * ADR_MS;
    uint32_t up = 0;
    while (up < self->options->connections && s_now () < until_ns) {
        uint8_t frame[256];
        zmq_pollitem_t item = { .socket = self->monitor, .events = ZMQ_POLLIN };
        if (zmq_poll (&item, 1, 100) <= 0)
            continue;
        zmq_recv (self->monitor, frame, sizeof frame, 0); /* the event, then the endpoint */
        zmq_recv (self->monitor, frame, sizeof frame, 0);
        up++;
    }
    return up == self->options->connections;
}

static bool
s_connect (s_load_t *self)
{
    const s_options_t *options = self->options;
    self->client = adr_alloc (options->connections * sizeof *self->client);
    self->flight = adr_alloc ((size_t) options->connections * options->in_flight * sizeof *self->flight);
    bool good = s_open_router (self);
    for (uint32_t i = 0; good && i < options->connections; i++)
        good = s_dial (self, &self->client[i], i);
    good = good && s_all_up (self);
    if (!good)
        fprintf (stderr, "kv_load: not all of %u connections could be made\n", options->connections);
    return good;
}

static void
s_run (s_load_t *self)
{
    const s_options_t *options = self->options;
    uint32_t flights = options->connections * options->in_flight;
    int64_t now_ns = s_now (), tick_ns = now_ns;
    self->count_from_ns = self->preload ? INT64_MAX : now_ns + (int64_t) (options->warm * 1e9);
    self->until_ns = self->preload ? now_ns + INT64_C (120000) * ADR_MS
                                   : self->count_from_ns + (int64_t) (options->seconds * 1e9);
    for (uint32_t i = 0; i < flights; i++) {
        self->flight[i].client = &self->client[i % options->connections];
        if (self->preload && self->left == 0)
            self->idle++;
        else
            s_ask (self, &self->flight[i]);
    }
    s_turn (self, 0);
    while (self->idle < flights && now_ns < self->until_ns) {
        s_turn (self, 20);
        now_ns = s_now ();
        if (now_ns - tick_ns >= 20 * ADR_MS) {
            s_tick_all (self);
            tick_ns = now_ns;
        }
    }
}

static void
s_close (s_load_t *self)
{
    self->stop = true;
    for (uint32_t i = 0; i < self->options->connections; i++)
        adr_session_destroy (&self->client[i].session);
    zmq_socket_monitor (self->router, NULL, 0);
    zmq_close (self->monitor);
    zmq_close (self->router);
    zmq_ctx_term (self->context);
    free (self->client);
    free (self->flight);
    free (self->value);
}

/* One process's part, the result into the pipe. */
static int
s_child (const s_options_t *options, uint32_t process, bool preload, int out)
{
    s_load_t self = { .options = options, .preload = preload, .left = preload ? options->keys : 0 };
    char error[512];
    if (!adr_profile_read (&self.profile, options->profile, error, sizeof error)) {
        fprintf (stderr, "kv_load: %s\n", error);
        return 1;
    }
    self.random.state = process * 7919 + 1;
    self.value = adr_alloc (options->size > 8 ? options->size : 8);
    randombytes_buf (self.value, options->size);
    bool good = s_connect (&self);
    if (good)
        s_run (&self);
    if (good && preload && self.left > 0) {
        fprintf (stderr, "kv_load: the keys could not be written in time\n");
        good = false;
    }
    s_close (&self);
    return good && write (out, &self.result, sizeof self.result) == sizeof self.result ? 0 : 1;
}

/* --- the parent ----------------------------------------------------------------------------------------------- */

static void
s_merge (s_result_t *all, const s_result_t *one)
{
    all->ops += one->ops;
    all->errors += one->errors;
    all->unknown += one->unknown;
    all->refused += one->refused;
    all->not_found += one->not_found;
    all->conflict += one->conflict;
    all->timeout += one->timeout;
    if (one->max_ns > all->max_ns)
        all->max_ns = one->max_ns;
    for (uint32_t i = 0; i < S_CLASSES; i++)
        all->count[i] += one->count[i];
}

static double
s_percentile_us (const s_result_t *result, double part)
{
    uint64_t wanted = (uint64_t) ceil ((double) result->ops * part), seen = 0;
    for (uint32_t i = 0; i < S_CLASSES; i++) {
        seen += result->count[i];
        if (seen >= wanted && seen > 0)
            return (double) s_class_top (i) / 1000;
    }
    return 0;
}

static bool
s_read_result (int in, s_result_t *result)
{
    size_t at = 0;
    while (at < sizeof *result) {
        ssize_t part = read (in, (char *) result + at, sizeof *result - at);
        if (part <= 0)
            return false;
        at += (size_t) part;
    }
    return true;
}

static bool
s_fork_all (const s_options_t *options, uint32_t processes, bool preload, s_result_t *all)
{
    int *in = adr_alloc (processes * sizeof *in);
    bool good = true;
    for (uint32_t i = 0; i < processes; i++) {
        int ends[2];
        if (pipe (ends) != 0)
            abort ();
        pid_t child = fork ();
        if (child == 0)
            _exit (s_child (options, i, preload, ends[1]));
        close (ends[1]);
        in[i] = ends[0];
        good = good && child > 0;
    }
    s_result_t *one = adr_alloc (sizeof *one);
    for (uint32_t i = 0; i < processes; i++) {
        bool came = s_read_result (in[i], one);
        if (came)
            s_merge (all, one);
        good = good && came;
        close (in[i]);
        wait (NULL);
    }
    free (one);
    free (in);
    return good;
}

static void
s_print (const s_options_t *options, const s_result_t *result)
{
    printf ("{\"op\": \"%s\", \"connections\": %u, \"in_flight\": %u, \"processes\": %u, \"size\": %zu, \"seconds\": %g, "
            "\"ops\": %" PRIu64 ", \"ops_per_second\": %.1f, \"p50_us\": %.1f, \"p90_us\": %.1f, \"p99_us\": %.1f, "
            "\"p999_us\": %.1f, \"max_us\": %.1f, \"errors\": %" PRIu64 ", \"refused\": %" PRIu64
            ", \"unknown\": %" PRIu64 ", \"timeout\": %" PRIu64 ", \"not_found\": %" PRIu64 "}\n",
            !options->get ? "put" : options->mode == ADR__READ_MODE__LOCAL ? "get-local" : "get",
            options->connections, options->in_flight, options->processes, options->size, options->seconds,
            result->ops, (double) result->ops / options->seconds, s_percentile_us (result, 0.5),
            s_percentile_us (result, 0.9), s_percentile_us (result, 0.99), s_percentile_us (result, 0.999),
            (double) result->max_ns / 1000, result->errors, result->refused, result->unknown, result->timeout,
            result->not_found);
}

static uint32_t
s_number (const char *text, uint32_t low, uint32_t high)
{
    char *end;
    unsigned long number = strtoul (text, &end, 10);
    if (*end || number < low || number > high) {
        fprintf (stderr, "kv_load: `%s`: expected %u to %u\n", text, low, high);
        exit (64);
    }
    return (uint32_t) number;
}

static bool
s_set_op (s_options_t *options, const char *op)
{
    options->get = strcmp (op, "put") != 0;
    options->mode = strcmp (op, "get-local") == 0 ? ADR__READ_MODE__LOCAL : ADR__READ_MODE__STRONG;
    return !options->get || !strcmp (op, "get") || !strcmp (op, "get-local");
}

static void
s_parse (s_options_t *options, int argc, char **argv)
{
    static const struct option s_long[]
        = { { "profile", 1, 0, 'p' }, { "connections", 1, 0, 'c' }, { "in-flight", 1, 0, 'i' },
            { "seconds", 1, 0, 's' }, { "warm", 1, 0, 'w' },        { "op", 1, 0, 'o' },
            { "size", 1, 0, 'z' },    { "keys", 1, 0, 'k' },        { "processes", 1, 0, 'P' },
            { "limit", 1, 0, 'l' },   { "edges", 1, 0, 'e' },
            { "prepared", 0, 0, 'r' }, { 0 } };
    int option;
    bool good = true;
    while (good && (option = getopt_long (argc, argv, "", s_long, NULL)) != -1) {
        switch (option) {
        case 'p': options->profile = optarg; break;
        case 'c': options->connections = s_number (optarg, 1, 1024); break;
        case 'i': options->in_flight = s_number (optarg, 1, 10000); break;
        case 's': options->seconds = atof (optarg); break;
        case 'w': options->warm = atof (optarg); break;
        case 'o': good = s_set_op (options, optarg); break;
        case 'z': options->size = s_number (optarg, 8, ADR_VALUE_MAX); break;
        case 'k': options->keys = s_number (optarg, 1, 100000000); break;
        case 'P': options->processes = s_number (optarg, 1, 256); break;
        case 'l': options->limit_ms = s_number (optarg, 1, ADR_REQUEST_TIME_MAX_MS); break;
        case 'e': options->edges = s_number (optarg, 1, ADR_PROFILE_EDGES_MAX); break;
        case 'r': options->prepared = true; break;
        default: good = false;
        }
    }
    if (!good || optind != argc || options->seconds <= 0) {
        fprintf (stderr, "usage: kv_load --profile F [--connections N] [--in-flight M] [--seconds S] [--warm S]\n"
                         "  [--op put|get|get-local] [--size BYTES] [--keys K] [--processes P] [--limit MS]\n"
                         "  [--edges E] [--prepared]\n");
        exit (64);
    }
}

int
main (int argc, char **argv)
{
    s_options_t options = { .connections = 1, .in_flight = 1, .keys = 10000, .processes = 1, .limit_ms = 10000, .edges = 1,
                            .seconds = 5, .warm = 1, .size = 1024 };
    char path[512];
    s_parse (&options, argc, argv);
    if (sodium_init () < 0)
        return 1;
    if (!options.profile && adr_profile_default (path, sizeof path))
        options.profile = path;
    s_result_t *all = adr_alloc (2 * sizeof *all);
    if (options.get && !options.prepared) {
        s_options_t preload = options;
        preload.connections = 1;
        preload.in_flight = 64;
        if (!s_fork_all (&preload, 1, true, &all[1]))
            return 1;
    }
    if (!s_fork_all (&options, options.processes, false, all))
        return 1;
    s_print (&options, all);
    free (all);
    return 0;
}
