/* SPDX-License-Identifier: MPL-2.0 */
/* The gatekeeper, asked directly and through real CURVE sockets: known keys come in by their doors, nobody else does. */

#include "runtime/gatekeeper.h"
#include "runtime/clock.h"
#include "runtime/metrics.h"
#include "runtime/socket.h"
#include "runtime_fixture.h"
#include "wire/credential_codec.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <zmq.h>

#include <cmocka.h>

static bool
s_admits_all (void *argument, const char *domain, const uint8_t key[32])
{
    (void) argument, (void) domain, (void) key;
    return true;
}

static void
test_probe (void **state)
{
    (void) state;
    void *context = zmq_ctx_new ();
    zmq_ctx_set (context, ZMQ_BLOCKY, 0);
    assert_false (adr_gatekeeper_probe (context, 50)); /* nobody there */
    adr_gatekeeper_t *open_door = adr_gatekeeper_new (context, s_admits_all, NULL);
    assert_non_null (open_door);
    assert_false (adr_gatekeeper_probe (context, FIXTURE_DEADLINE_MS)); /* lets a random key in */
    assert_null (adr_gatekeeper_new (context, s_admits_all, NULL));     /* one a context */
    adr_gatekeeper_destroy (&open_door);
    zmq_ctx_term (context);

    fixture_host_t host;
    fixture_host_init (&host, &fixture_shared); /* probes its own */
    fixture_host_stop (&host);
}

static void
test_doors (void **state)
{
    (void) state;
    adr_directory_t *directory
        = adr_directory_new (fixture_shared.map, (const uint8_t (*)[32]) &fixture_shared.client_public, 1);
    const uint8_t *node = fixture_shared.map->node[1].curve_key, *client = fixture_shared.client_public;
    const uint8_t *stranger = fixture_shared.stranger_public;
    assert_true (adr_directory_admits (directory, ADR_DOMAIN_CONTROL, node));
    assert_true (adr_directory_admits (directory, ADR_DOMAIN_BULK, node));
    assert_false (adr_directory_admits (directory, ADR_DOMAIN_CLIENT, node)); /* a node is no user [USER-3] */
    assert_true (adr_directory_admits (directory, ADR_DOMAIN_CLIENT, client));
    assert_false (adr_directory_admits (directory, ADR_DOMAIN_CONTROL, client));
    assert_false (adr_directory_admits (directory, ADR_DOMAIN_BULK, client));
    assert_false (adr_directory_admits (directory, ADR_DOMAIN_CLIENT, stranger));
    assert_false (adr_directory_admits (directory, ADR_DOMAIN_CONTROL, stranger));
    char name[ADR_USER_NAME_SIZE];
    uint64_t generation = 99;
    assert_int_equal (adr_directory_user (directory, client, name, &generation), ADR_NODE_CLIENT);
    assert_int_equal (generation, 0); /* nobody has told a list */
    assert_int_equal (adr_directory_user (directory, stranger, name, &generation), 0);
    assert_int_equal (adr_directory_user (directory, node, name, &generation), 0);
    adr_directory_set_operators (directory, (const uint8_t (*)[32]) &fixture_shared.stranger_public, 1);
    assert_true (adr_directory_admits (directory, ADR_DOMAIN_CLIENT, stranger)); /* an operator now */
    assert_false (adr_directory_admits (directory, ADR_DOMAIN_CONTROL, stranger));
    assert_int_equal (adr_directory_user (directory, stranger, name, &generation), ADR_NODE_ADMIN);
    assert_int_equal (strncmp (name, "configured-", 11), 0);
    assert_true (adr_credential_is_access_key (name));
    assert_int_equal (adr_directory_user (directory, client, name, &generation), ADR_NODE_CLIENT);
    assert_false (adr_directory_admits (directory, "", node));
    assert_false (adr_directory_admits (directory, "global", node));
    adr_directory_destroy (&directory);
}

/* --- users -------------------------------------------------------------------------------------------------------- */

typedef struct {
    const char *name;
    uint8_t key; /* the first byte of the CURVE key; 0: the fixture's client's */
    adr_node_type_t role;
    bool disabled;
    int64_t until_ms; /* from now on; 0: for good */
} s_user_t;

/* The first byte alone is theirs, and a key of 0 is this one. */
static void
s_tell_users_of (adr_directory_t *directory, const s_user_t *user, size_t count, const uint8_t *key)
{
    adr_buffer_t rows = { 0 };
    for (size_t i = 0; i < count; i++) {
        adr_credential_t credential = { .role = user[i].role, .has_curve_key = user[i].role != 0, .disabled = user[i].disabled };
        snprintf (credential.access_key, sizeof credential.access_key, "%s", user[i].name);
        if (user[i].role)
            credential.curve_key[0] = user[i].key;
        if (user[i].role && user[i].key == 0)
            memcpy (credential.curve_key, key, 32);
        if (user[i].until_ms)
            credential.until_ms = (uint64_t) (adr_clock_wall_ms () + user[i].until_ms);
        adr_credential_row_append (&rows, &credential);
    }
    adr_directory_take_users (directory, 7, adr_bytes (rows.data, rows.size));
    adr_buffer_free (&rows);
}

static void
s_tell_users (adr_directory_t *directory, const s_user_t *user, size_t count)
{
    s_tell_users_of (directory, user, count, fixture_shared.client_public);
}

static adr_node_type_t
s_role_of (const adr_directory_t *directory, uint8_t first, const char *wanted_name)
{
    uint8_t key[32] = { first };
    char name[ADR_USER_NAME_SIZE];
    uint64_t generation = 0;
    adr_node_type_t role = adr_directory_user (directory, key, name, &generation);
    assert_int_equal (generation, 7); /* [USER-6] */
    assert_int_equal (adr_directory_admits ((void *) directory, ADR_DOMAIN_CLIENT, key), role != 0);
    assert_false (adr_directory_admits ((void *) directory, ADR_DOMAIN_CONTROL, key));
    if (role)
        assert_string_equal (name, wanted_name);
    return role;
}

static void
test_users_are_heard_as_the_newest_list_says (void **state) /* [USER-3] */
{
    (void) state;
    static const s_user_t s_first[] = { { "amy", 9, ADR_NODE_ADMIN, false, 0 },     { "bob", 2, ADR_NODE_READER, false, 60000 },
                                        { "cid", 3, ADR_NODE_OPERATOR, true, 0 },   { "dan", 4, ADR_NODE_CLIENT, false, -1 },
                                        { "eve", 5, ADR_NODE_ADMIN, false, 0 },     { "fay", 5, ADR_NODE_CLIENT, false, 0 },
                                        { "s3key", 6, (adr_node_type_t) 0, false, 0 } };
    static const s_user_t s_second[] = { { "bob", 2, ADR_NODE_CLIENT, false, 0 } };
    adr_directory_t *directory
        = adr_directory_new (fixture_shared.map, (const uint8_t (*)[32]) &fixture_shared.client_public, 1);
    s_tell_users (directory, s_first, sizeof s_first / sizeof *s_first);
    assert_int_equal (s_role_of (directory, 9, "amy"), ADR_NODE_ADMIN);
    assert_int_equal (s_role_of (directory, 2, "bob"), ADR_NODE_READER);
    assert_int_equal (s_role_of (directory, 3, ""), 0); /* disabled */
    assert_int_equal (s_role_of (directory, 4, ""), 0); /* over */
    assert_int_equal (s_role_of (directory, 5, ""), 0); /* a key that two have is nobody's */
    assert_int_equal (s_role_of (directory, 6, ""), 0);
    s_tell_users (directory, s_second, 1);
    assert_int_equal (s_role_of (directory, 9, ""), 0);
    assert_int_equal (s_role_of (directory, 2, "bob"), ADR_NODE_CLIENT);
    adr_directory_destroy (&directory);
}

static void
test_the_cluster_s_word_counts_more_than_the_configuration_s (void **state) /* [USER-4] */
{
    (void) state;
    static const s_user_t s_disabled[] = { { "own", 0, ADR_NODE_ADMIN, true, 0 } }, s_reader[] = { { "own", 0, ADR_NODE_READER, false, 0 } };
    const uint8_t *client = fixture_shared.client_public;
    char name[ADR_USER_NAME_SIZE];
    uint64_t generation;
    adr_directory_t *directory
        = adr_directory_new (fixture_shared.map, (const uint8_t (*)[32]) &fixture_shared.client_public, 1);
    s_tell_users (directory, s_disabled, 1);
    assert_int_equal (adr_directory_user (directory, client, name, &generation), 0);
    assert_false (adr_directory_admits (directory, ADR_DOMAIN_CLIENT, client));
    s_tell_users (directory, s_reader, 1);
    assert_int_equal (adr_directory_user (directory, client, name, &generation), ADR_NODE_READER);
    const s_user_t node = { "node", 0, ADR_NODE_ADMIN, false, 0 };
    s_tell_users_of (directory, &node, 1, fixture_shared.map->node[1].curve_key);
    assert_int_equal (adr_directory_user (directory, fixture_shared.map->node[1].curve_key, name, &generation), 0);
    s_tell_users (directory, NULL, 0);
    assert_int_equal (adr_directory_user (directory, client, name, &generation), ADR_NODE_CLIENT);
    adr_directory_destroy (&directory);
}

typedef struct {
    adr_directory_t *directory;
    bool stop; /* atomic */
    uint64_t wrong;
} s_reader_t;

/* Each list has both, under one role: no reader sees one of a list and the other of another. */
static void *
s_read_users (void *argument)
{
    s_reader_t *self = argument;
    uint8_t key[32] = { 9 };
    char name[ADR_USER_NAME_SIZE];
    uint64_t generation, last = 0;
    while (!__atomic_load_n (&self->stop, __ATOMIC_ACQUIRE)) {
        adr_node_type_t role = adr_directory_user (self->directory, key, name, &generation);
        bool even = generation % 2 == 0;
        self->wrong += generation < last || (generation && role != (even ? ADR_NODE_ADMIN : ADR_NODE_READER))
                       || (generation && strcmp (name, even ? "amy" : "ben") != 0);
        last = generation;
    }
    return NULL;
}

static void
test_lists_change_whole_while_they_are_read (void **state) /* [USER-3, USER-6] */
{
    (void) state;
    adr_directory_t *directory
        = adr_directory_new (fixture_shared.map, (const uint8_t (*)[32]) &fixture_shared.client_public, 1);
    s_reader_t reader = { directory, false, 0 };
    pthread_t thread;
    assert_int_equal (pthread_create (&thread, NULL, s_read_users, &reader), 0);
    for (uint64_t generation = 1; generation <= 2000; generation++) {
        adr_credential_t credential = { .role = generation % 2 ? ADR_NODE_READER : ADR_NODE_ADMIN, .has_curve_key = true, .curve_key = { 9 } };
        adr_buffer_t rows = { 0 };
        snprintf (credential.access_key, sizeof credential.access_key, "%s", generation % 2 ? "ben" : "amy");
        adr_credential_row_append (&rows, &credential);
        adr_directory_take_users (directory, generation, adr_bytes (rows.data, rows.size));
        adr_buffer_free (&rows);
    }
    __atomic_store_n (&reader.stop, true, __ATOMIC_RELEASE);
    pthread_join (thread, NULL);
    assert_int_equal (reader.wrong, 0);
    adr_directory_destroy (&directory);
}

/* --- newer maps --------------------------------------------------------------------------------------------------- */

typedef enum { S_EVICTED, S_OTHER_KEY, S_GONE, S_REASONS } s_reason_t;

/* As the one that the host started with, but that node is no longer what it was. */
static adr_map_t *
s_newer_map (s_reason_t reason, uint32_t node)
{
    adr_map_t *map = adr_map_copy (fixture_shared.map);
    map->epoch = fixture_shared.map->epoch + 3;
    if (reason == S_EVICTED)
        map->node[node].evicted = true;
    else if (reason == S_OTHER_KEY)
        map->node[node].curve_key[31] ^= 1;
    else
        map->node[node] = map->node[--map->node_count];
    return map;
}

/* A host that runs the nodes 0 and 1. */
typedef struct {
    adr_directory_t *directory;
    adr_mailbox_t *mailbox[2], *host;
} s_world_t;

static void
s_world_init (s_world_t *self, const adr_map_t *map)
{
    self->directory = adr_directory_new (map, (const uint8_t (*)[32]) &fixture_shared.client_public, 1);
    for (uint32_t i = 0; i < 2; i++) {
        self->mailbox[i] = adr_mailbox_new (1 << 20);
        adr_directory_add_actor (self->directory, fixture_address (&fixture_shared, i, ADR_ACTOR_MAP_KEEPER), self->mailbox[i]);
    }
    self->host = adr_mailbox_new (1 << 20);
}

static void
s_world_free (s_world_t *self)
{
    adr_directory_destroy (&self->directory);
    for (uint32_t i = 0; i < 2; i++)
        adr_mailbox_destroy (&self->mailbox[i]);
    adr_mailbox_destroy (&self->host);
}

static void
s_assert_known (const s_world_t *self, uint32_t node, bool known)
{
    const adr_map_node_t *of = &fixture_shared.map->node[node];
    adr_address_t keeper = fixture_address (&fixture_shared, node, ADR_ACTOR_MAP_KEEPER);
    bool here = known && node < 2;
    assert_int_equal (adr_directory_node (self->directory, &of->id), known ? (int) node : -1);
    assert_int_equal (adr_directory_node_by_key (self->directory, of->curve_key), known ? (int) node : -1);
    assert_ptr_equal (adr_directory_actor (self->directory, &keeper), here ? self->mailbox[node] : NULL);
    assert_int_equal (adr_directory_is_local (self->directory, &of->id), here);
    assert_int_equal (adr_directory_admits (self->directory, ADR_DOMAIN_CONTROL, of->curve_key), known);
    assert_int_equal (adr_directory_admits (self->directory, ADR_DOMAIN_BULK, of->curve_key), known);
    assert_false (adr_directory_admits (self->directory, ADR_DOMAIN_CLIENT, of->curve_key));
    assert_int_equal (adr_directory_admits (self->directory, ADR_DOMAIN_ADOPTION, of->curve_key), known);
}

/* [TRUST-5] Who was adopted is heard from the moment on in which the map is taken, and no door but the strangers' knew it before. */
static void
test_who_is_new_in_a_newer_map_is_known (void **state)
{
    (void) state;
    s_world_t world;
    s_world_init (&world, fixture_shared.map);
    adr_map_t *map = adr_map_copy (fixture_shared.map);
    adr_map_unseal (map);
    map->epoch++;
    map->node = adr_realloc (map->node, (map->node_count + 2) * sizeof *map->node);
    for (uint8_t i = 0; i < 2; i++) {
        adr_map_node_t *node = &map->node[map->node_count++];
        *node = map->node[0];
        node->id.bytes[0] ^= (uint8_t) (i + 1);
        node->curve_key[0] ^= (uint8_t) (i + 1);
        node->evicted = i == 1; /* it came and went while this host was away */
    }
    const adr_map_node_t *came = &map->node[FIXTURE_NODES], *gone = &map->node[FIXTURE_NODES + 1];
    assert_false (adr_directory_admits (world.directory, ADR_DOMAIN_CONTROL, came->curve_key));
    assert_false (adr_directory_admits (world.directory, ADR_DOMAIN_CLIENT, came->curve_key));
    assert_true (adr_directory_admits (world.directory, ADR_DOMAIN_ADOPTION, came->curve_key));
    adr_directory_take (world.directory, map);
    adr_directory_take (world.directory, map); /* again: nothing is added twice */
    assert_int_equal (adr_directory_node_count (world.directory), FIXTURE_NODES + 2);
    assert_int_equal (adr_directory_node (world.directory, &came->id), FIXTURE_NODES);
    assert_int_equal (adr_directory_node_by_key (world.directory, came->curve_key), FIXTURE_NODES);
    assert_string_equal (adr_directory_node_at (world.directory, FIXTURE_NODES)->control, came->control);
    assert_true (adr_directory_admits (world.directory, ADR_DOMAIN_CONTROL, came->curve_key));
    assert_int_equal (adr_directory_node (world.directory, &gone->id), -1);
    assert_false (adr_directory_admits (world.directory, ADR_DOMAIN_ADOPTION, gone->curve_key));
    for (uint32_t i = 0; i < FIXTURE_NODES; i++)
        s_assert_known (&world, i, true);
    adr_map_destroy (&map);
    s_world_free (&world);
}

/* [TRUST-3] One that is evicted, has another key or is gone; one of this host, and one elsewhere. */
static void
test_whom_a_newer_map_does_not_have_is_shut_out (void **state)
{
    (void) state;
    for (s_reason_t reason = S_EVICTED; reason < S_REASONS; reason++)
        for (uint32_t shut = 0; shut < FIXTURE_NODES; shut++) {
            s_world_t world;
            s_world_init (&world, fixture_shared.map);
            assert_int_equal (adr_directory_epoch (world.directory), fixture_shared.map->epoch);
            for (uint32_t i = 0; i < FIXTURE_NODES; i++)
                s_assert_known (&world, i, true);
            adr_map_t *map = s_newer_map (reason, shut);
            adr_directory_take (world.directory, map);
            assert_int_equal (adr_directory_epoch (world.directory), fixture_shared.map->epoch + 3);
            if (reason == S_OTHER_KEY) /* whoever holds the new one is known after the next start */
                assert_false (adr_directory_admits (world.directory, ADR_DOMAIN_CONTROL, map->node[shut].curve_key));
            adr_map_destroy (&map); /* only lent */
            for (uint32_t i = 0; i < FIXTURE_NODES; i++)
                s_assert_known (&world, i, i != shut);
            assert_true (adr_directory_admits (world.directory, ADR_DOMAIN_CLIENT, fixture_shared.client_public));
            assert_int_equal (adr_directory_node_count (world.directory), FIXTURE_NODES);
            s_world_free (&world);
        }
}

/* [TRUST-3] A map that brings it back is believed by nobody; if it comes this far all the same, it opens no door. */
static void
test_who_was_shut_out_stays_so (void **state)
{
    (void) state;
    for (s_reason_t reason = S_EVICTED; reason < S_REASONS; reason++) {
        s_world_t world;
        s_world_init (&world, fixture_shared.map);
        adr_map_t *map = s_newer_map (reason, 1);
        adr_directory_take (world.directory, map);
        adr_map_destroy (&map);
        map = adr_map_copy (fixture_shared.map);
        map->epoch += 4;
        adr_directory_take (world.directory, map);
        adr_map_destroy (&map);
        assert_int_equal (adr_directory_epoch (world.directory), fixture_shared.map->epoch + 4);
        for (uint32_t i = 0; i < FIXTURE_NODES; i++)
            s_assert_known (&world, i, i != 1);
        map = s_newer_map (S_EVICTED, 2); /* and others follow it */
        map->epoch += 2;
        adr_directory_take (world.directory, map);
        adr_map_destroy (&map);
        for (uint32_t i = 0; i < FIXTURE_NODES; i++)
            s_assert_known (&world, i, i == 0);
        s_world_free (&world);
    }
}

/* [TRUST-3] A host that starts with a map which has evicted a node knows it from the first moment. */
static void
test_who_is_evicted_at_the_start_is_shut_out (void **state)
{
    (void) state;
    adr_map_t *map = s_newer_map (S_EVICTED, 1);
    s_world_t world;
    s_world_init (&world, map); /* although an actor of it is added */
    assert_int_equal (adr_directory_epoch (world.directory), map->epoch);
    for (uint32_t i = 0; i < FIXTURE_NODES; i++)
        s_assert_known (&world, i, i != 1);
    s_world_free (&world);
    adr_map_destroy (&map);
}

/* --- routes ------------------------------------------------------------------------------------------------------- */

static void
s_route (const s_world_t *self, adr_address_t from, adr_address_t to, bool local)
{
    adr_bells_t bells = { 0 };
    adr_parcel_t *parcel = adr_parcel_new (ADR_PARCEL_PACK);
    parcel->local = local;
    parcel->from_type = ADR_NODE_META;
    parcel->from = from;
    parcel->to = to;
    adr_directory_route (self->directory, parcel, &bells);
    adr_bells_ring (&bells);
}

/* How many parcels wait there; they are taken. */
static int
s_waiting (adr_mailbox_t *mailbox)
{
    int count = 0;
    adr_parcel_t *list = adr_mailbox_take (mailbox);
    for (const adr_parcel_t *parcel = list; parcel; parcel = parcel->next)
        count++;
    adr_parcels_destroy (&list);
    return count;
}

static void
s_assert_dropped (const s_world_t *self, adr_address_t from, adr_address_t to, bool local)
{
    uint64_t dropped = adr_metric_get (ADR_METRIC_DROP_NO_ACTOR);
    s_route (self, from, to, local);
    assert_int_equal (adr_metric_get (ADR_METRIC_DROP_NO_ACTOR), dropped + 1);
    assert_int_equal (s_waiting (self->host), 0);
    assert_int_equal (s_waiting (self->mailbox[0]), 0);
    assert_int_equal (s_waiting (self->mailbox[1]), 0);
}

/* [TRUST-3] What says whom this host lets in comes from its own map_keepers alone. */
static void
test_the_host_hears_its_own_nodes_only (void **state)
{
    (void) state;
    s_world_t world;
    s_world_init (&world, fixture_shared.map);
    adr_address_t keeper[FIXTURE_NODES], host[FIXTURE_NODES];
    for (uint32_t i = 0; i < FIXTURE_NODES; i++) {
        keeper[i] = fixture_address (&fixture_shared, i, ADR_ACTOR_MAP_KEEPER);
        host[i] = fixture_address (&fixture_shared, i, ADR_ACTOR_HOST);
    }
    s_assert_dropped (&world, keeper[0], host[0], true); /* it has no mailbox yet */
    adr_directory_set_host (world.directory, world.host);
    s_route (&world, keeper[0], host[0], true);
    s_route (&world, keeper[1], host[1], true);
    assert_int_equal (s_waiting (world.host), 2);
    s_assert_dropped (&world, keeper[0], host[0], false);
    s_assert_dropped (&world, keeper[2], host[0], false);
    s_assert_dropped (&world, keeper[1], host[0], true); /* another node, though of this host, too */
    s_assert_dropped (&world, keeper[2], host[0], true);
    s_assert_dropped (&world, keeper[0], host[2], true); /* there is no way to other hosts */
    s_route (&world, keeper[1], keeper[0], true); /* other addresses lead where they led */
    s_route (&world, fixture_address (&fixture_shared, 0, ADR_ACTOR_REPLICATOR), keeper[0], true);
    assert_int_equal (s_waiting (world.mailbox[0]), 2);
    assert_int_equal (s_waiting (world.host), 0);
    s_world_free (&world);
}

/* [TRUST-3] Not even within the process. */
static void
test_nothing_goes_to_whom_is_shut_out_nor_comes_from_him (void **state)
{
    (void) state;
    s_world_t world;
    s_world_init (&world, fixture_shared.map);
    adr_directory_set_host (world.directory, world.host);
    adr_address_t first = fixture_address (&fixture_shared, 0, ADR_ACTOR_MAP_KEEPER);
    adr_address_t second = fixture_address (&fixture_shared, 1, ADR_ACTOR_MAP_KEEPER);
    s_route (&world, first, second, true);
    assert_int_equal (s_waiting (world.mailbox[1]), 1);
    adr_map_t *map = s_newer_map (S_EVICTED, 1);
    adr_directory_take (world.directory, map);
    adr_map_destroy (&map);
    s_assert_dropped (&world, first, second, true);
    s_assert_dropped (&world, second, first, true);
    s_assert_dropped (&world, second, fixture_address (&fixture_shared, 1, ADR_ACTOR_HOST), true);
    s_world_free (&world);
}

/* --- requests ----------------------------------------------------------------------------------------------------- */

/* [GATE-4] Asks as libzmq does, but with frames of the test's choosing; the status code, or 0. */
static int
s_ask (void *context, int count, const char *const *frames, const uint8_t *key)
{
    adr_socket_options_t options = { .role = ADR_SOCKET_PROBE };
    void *socket = adr_socket_new (context, &options);
    int wait = FIXTURE_DEADLINE_MS, code = 0;
    zmq_setsockopt (socket, ZMQ_RCVTIMEO, &wait, sizeof wait);
    zmq_connect (socket, "inproc://zeromq.zap.01");
    for (int i = 0; i < count; i++)
        zmq_send (socket, frames[i], strlen (frames[i]), i + 1 < count || key ? ZMQ_SNDMORE : 0);
    if (key)
        zmq_send (socket, key, 32, 0);
    char frame[256];
    for (int i = 0, more = 1; more; i++) {
        int size = zmq_recv (socket, frame, sizeof frame - 1, 0);
        if (size < 0)
            break;
        frame[size] = 0;
        if (i == 2)
            code = atoi (frame);
        size_t room = sizeof more;
        zmq_getsockopt (socket, ZMQ_RCVMORE, &more, &room);
    }
    adr_socket_destroy (&socket);
    return code;
}

static void
test_requests_that_are_none (void **state)
{
    (void) state;
    fixture_host_t host;
    fixture_host_init (&host, &fixture_shared);
    const uint8_t *key = fixture_shared.map->node[0].curve_key;
    const char *good[] = { "1.0", "1", ADR_DOMAIN_CONTROL, "127.0.0.1", "", "CURVE" };
    assert_int_equal (s_ask (host.context, 6, good, key), 200);
    uint64_t malformed = adr_metric_get (ADR_METRIC_ZAP_MALFORMED);
    assert_int_equal (s_ask (host.context, 1, good, NULL), 400);
    assert_int_equal (s_ask (host.context, 5, good, NULL), 400);
    assert_int_equal (s_ask (host.context, 5, good, key), 400);
    const char *long_one[] = { "1.0", "1", ADR_DOMAIN_CONTROL, "a", "", "CURVE", "a", "b", "c" };
    assert_int_equal (s_ask (host.context, 9, long_one, key), 400);
    const char *version[] = { "2.0", "1", ADR_DOMAIN_CONTROL, "a", "", "CURVE" };
    assert_int_equal (s_ask (host.context, 6, version, key), 400);
    char huge[70000];
    memset (huge, 'x', sizeof huge - 1);
    huge[sizeof huge - 1] = 0;
    const char *domain[] = { "1.0", "1", huge, "a", "", "CURVE" };
    assert_int_equal (s_ask (host.context, 6, domain, key), 400);
    assert_true (adr_metric_get (ADR_METRIC_ZAP_MALFORMED) >= malformed + 6);
    const char *mechanism[] = { "1.0", "1", ADR_DOMAIN_CONTROL, "a", "", "NULL" };
    assert_int_equal (s_ask (host.context, 6, mechanism, key), 400);
    const char *short_key[] = { "1.0", "1", ADR_DOMAIN_CONTROL, "a", "", "CURVE", "short" };
    assert_int_equal (s_ask (host.context, 7, short_key, NULL), 400);
    assert_int_equal (s_ask (host.context, 6, good, fixture_shared.stranger_public), 400);
    assert_int_equal (s_ask (host.context, 6, good, key), 200); /* still there */
    fixture_host_stop (&host);
}

static void
test_user_id (void **state)
{
    (void) state;
    uint8_t key[32];
    assert_false (adr_user_key (key, NULL));
    assert_false (adr_user_key (key, ""));
    assert_false (adr_user_key (key, "anonymous"));
    char text[ADR_USER_SIZE + 2];
    memset (text, 'a', sizeof text);
    text[ADR_USER_SIZE + 1] = 0;
    assert_false (adr_user_key (key, text));
    text[ADR_USER_SIZE] = 0;
    assert_true (adr_user_key (key, text));
    assert_int_equal (key[31], 0xaa);
}

int
main (void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test (test_probe),
        cmocka_unit_test (test_doors),
        cmocka_unit_test (test_users_are_heard_as_the_newest_list_says),
        cmocka_unit_test (test_the_cluster_s_word_counts_more_than_the_configuration_s),
        cmocka_unit_test (test_lists_change_whole_while_they_are_read),
        cmocka_unit_test (test_who_is_new_in_a_newer_map_is_known),
        cmocka_unit_test (test_whom_a_newer_map_does_not_have_is_shut_out),
        cmocka_unit_test (test_who_was_shut_out_stays_so),
        cmocka_unit_test (test_who_is_evicted_at_the_start_is_shut_out),
        cmocka_unit_test (test_the_host_hears_its_own_nodes_only),
        cmocka_unit_test (test_nothing_goes_to_whom_is_shut_out_nor_comes_from_him),
        cmocka_unit_test (test_requests_that_are_none),
        cmocka_unit_test (test_user_id),
    };
    return cmocka_run_group_tests (tests, fixture_setup, fixture_teardown);
}
