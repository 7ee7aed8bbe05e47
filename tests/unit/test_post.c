/* SPDX-License-Identifier: MPL-2.0 */
/* Post between two hosts of one process, over real sockets: what it carries, and what it refuses. */

#include "runtime/clock.h"
#include "runtime/metrics.h"
#include "runtime/post_private.h"
#include "runtime_fixture.h"
#include "wire/credential_codec.h"

#include <arpa/inet.h>
#include <dirent.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <sodium.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

/* A host with one actor: node 0 alone, or nodes 1 and 2, and the actor at the node named. */
typedef struct {
    fixture_host_t host;
    toy_t toy;
} s_side_t;

typedef void (s_script_fn) (toy_t *self, const adr_event_t *event, adr_effects_t *effects);

static void
s_up (s_side_t *self, uint32_t node, s_script_fn *script, uint64_t boot)
{
    static const uint32_t s_nodes[] = { 0, 1, 2 };
    toy_init (&self->toy, script, NULL);
    fixture_host_init (&self->host, &fixture_shared);
    fixture_host_add (&self->host, node, node == 2 ? &toy_edge_router_class : &toy_replicator_class, &self->toy, boot);
    fixture_host_start (&self->host, node == 0 ? s_nodes : s_nodes + 1, node == 0 ? 1 : 2, boot);
}

static void
s_down (s_side_t *self)
{
    fixture_host_stop (&self->host);
    toy_free (&self->toy);
}

/* --- between nodes ---------------------------------------------------------------------------------------------- */

#define S_MANY 5000

/* Sends S_MANY numbered appends at its first timer, a few a turn; answers each append that it hears with an ack. */
static void
s_sender (toy_t *self, const adr_event_t *event, adr_effects_t *effects)
{
    (void) self;
    static uint64_t next;
    if (event->kind == ADR_EVENT_START) {
        next = 1;
        effects->wake (effects, 1, event->now_ns);
    }
    if (event->kind != ADR_EVENT_TIMER)
        return;
    for (int i = 0; i < 50 && next <= S_MANY; i++, next++)
        fixture_send_append (effects, fixture_address (&fixture_shared, 1, ADR_ACTOR_REPLICATOR), next,
                             next % 97 == 0 ? 100000 : 1000);
    if (next <= S_MANY)
        effects->wake (effects, 1, event->now_ns + 200000);
}

static void
s_acker (toy_t *self, const adr_event_t *event, adr_effects_t *effects)
{
    (void) self;
    if (event->kind != ADR_EVENT_MESSAGE)
        return;
    Adr__AppendAck ack = ADR__APPEND_ACK__INIT;
    effects->send (effects, event->message.from, ADR__KIND__APPEND_ACK, &ack.base, adr_bytes (NULL, 0));
}

static void
test_between_hosts (void **state)
{
    (void) state;
    s_side_t sender, acker;
    s_up (&acker, 1, s_acker, 1);
    s_up (&sender, 0, s_sender, 1);
    assert_true (toy_wait (&acker.toy, &acker.toy.messages, S_MANY));
    assert_true (toy_wait (&sender.toy, &sender.toy.messages, S_MANY));
    assert_false (acker.toy.out_of_order);
    assert_int_equal (acker.toy.messages, S_MANY);
    assert_int_equal (acker.toy.last_number, S_MANY);
    assert_true (adr_id_equal (&acker.toy.last_from.node, &fixture_shared.map->node[0].id));
    assert_int_equal (acker.toy.last_from.actor, ADR_ACTOR_REPLICATOR);
    assert_int_equal (acker.toy.last_from_type, ADR_NODE_META);
    assert_int_equal (sender.toy.last_kind, ADR__KIND__APPEND_ACK);
    s_down (&sender);
    s_down (&acker);
}

/* A value of the largest size goes, as a pack of its own. */
static void
s_send_largest (toy_t *self, const adr_event_t *event, adr_effects_t *effects)
{
    (void) self;
    if (event->kind == ADR_EVENT_START) {
        fixture_send_append (effects, fixture_address (&fixture_shared, 1, ADR_ACTOR_REPLICATOR), 1, 10);
        fixture_send_append (effects, fixture_address (&fixture_shared, 1, ADR_ACTOR_REPLICATOR), 2, ADR_ENTRY_MAX);
        fixture_send_append (effects, fixture_address (&fixture_shared, 1, ADR_ACTOR_REPLICATOR), 3, 10);
    }
}

static void
test_largest_value (void **state)
{
    (void) state;
    s_side_t sender, heard;
    s_up (&heard, 1, NULL, 1);
    s_up (&sender, 0, s_send_largest, 1);
    assert_true (toy_wait (&heard.toy, &heard.toy.messages, 3));
    assert_int_equal (heard.toy.payload_bytes, ADR_ENTRY_MAX + 20);
    assert_false (heard.toy.out_of_order);
    s_down (&sender);
    s_down (&heard);
}

/* Sends one append every few milliseconds, for as long as it runs. */
static void
s_ticker (toy_t *self, const adr_event_t *event, adr_effects_t *effects)
{
    if (event->kind == ADR_EVENT_TIMER)
        fixture_send_append (effects, fixture_address (&fixture_shared, 1, ADR_ACTOR_REPLICATOR),
                             ++self->last_token, 100);
    if (event->kind == ADR_EVENT_TIMER || event->kind == ADR_EVENT_START)
        effects->wake (effects, 1, event->now_ns + 5 * ADR_MS);
}

/* [POST-5, POST-6] A peer that is not there yet, that goes, and that comes back under a new boot number is reached
 * again without anybody's help. */
static void
test_peer_goes_and_returns (void **state)
{
    (void) state;
    s_side_t sender, heard;
    s_up (&sender, 0, s_ticker, 1);
    assert_true (toy_wait (&sender.toy, &sender.toy.timers, 3));
    for (uint64_t boot = 1; boot <= 3; boot++) {
        s_up (&heard, 1, s_acker, boot);
        uint64_t acked = sender.toy.messages;
        assert_true (toy_wait (&heard.toy, &heard.toy.messages, 5));
        assert_true (toy_wait (&sender.toy, &sender.toy.messages, acked + 5));
        s_down (&heard);
    }
    s_down (&sender);
}

/* [POST-4] */
static void
test_order_of_lives (void **state)
{
    (void) state;
    adr_seen_t seen = { 0 };
    bool renewed;
    assert_int_equal (adr_seen_judge (&seen, 100, 5, 10, &renewed), ADR_METRIC_COUNT);
    assert_false (renewed);
    assert_int_equal (adr_seen_judge (&seen, 100, 5, 11, &renewed), ADR_METRIC_COUNT);
    assert_int_equal (adr_seen_judge (&seen, 100, 5, 11, &renewed), ADR_METRIC_DROP_OLD); /* repeated */
    assert_int_equal (adr_seen_judge (&seen, 100, 5, 3, &renewed), ADR_METRIC_DROP_OLD);
    assert_int_equal (adr_seen_judge (&seen, 100, 4, 99, &renewed), ADR_METRIC_DROP_OLD); /* a former boot */
    assert_int_equal (adr_seen_judge (&seen, 100, 6, 1, &renewed), ADR_METRIC_COUNT);
    assert_true (renewed);
    assert_int_equal (adr_seen_judge (&seen, 200, 1, 1, &renewed), ADR_METRIC_COUNT); /* a new incarnation */
    assert_true (renewed);
    assert_int_equal (adr_seen_judge (&seen, 100, 6, 2, &renewed), ADR_METRIC_DROP_OLD); /* its forerunner, late */
    assert_int_equal (adr_seen_judge (&seen, 200, 1, 2, &renewed), ADR_METRIC_COUNT);
    assert_false (renewed);
}

/* --- what is refused -------------------------------------------------------------------------------------------- */

typedef struct {
    void *context, *socket;
} s_peer_t;

static void
s_dial_for (s_peer_t *self, const uint8_t *secret, const uint8_t *public, const uint8_t *server, const char *endpoint,
            int high_water)
{
    self->context = zmq_ctx_new ();
    zmq_ctx_set (self->context, ZMQ_BLOCKY, 0);
    adr_socket_options_t options = { ADR_SOCKET_DEALER, NULL, secret, public, server, high_water, 0, 0 };
    self->socket = adr_socket_new (self->context, &options);
    int wait = FIXTURE_DEADLINE_MS;
    zmq_setsockopt (self->socket, ZMQ_SNDTIMEO, &wait, sizeof wait);
    zmq_setsockopt (self->socket, ZMQ_RCVTIMEO, &wait, sizeof wait);
    zmq_connect (self->socket, endpoint);
}

static void
s_dial (s_peer_t *self, const uint8_t *secret, const uint8_t *public, const uint8_t *server, const char *endpoint)
{
    s_dial_for (self, secret, public, server, endpoint, 1000);
}

/* As node 0, to node 1. */
static void
s_dial_as_node (s_peer_t *self)
{
    const adr_map_node_t *node = fixture_shared.map->node;
    s_dial (self, fixture_shared.secret[0], node[0].curve_key, node[1].curve_key, node[1].control);
}

/* As a client, to node 2. */
static void
s_dial_as_client (s_peer_t *self)
{
    const adr_map_node_t *edge = &fixture_shared.map->node[2];
    s_dial (self, fixture_shared.client_secret, fixture_shared.client_public, edge->curve_key, edge->client);
}

static void
s_hang_up (s_peer_t *self)
{
    adr_socket_destroy (&self->socket);
    zmq_ctx_term (self->context);
}

static adr_envelope_t
s_envelope (uint32_t from, uint32_t to, uint64_t sequence)
{
    return (adr_envelope_t){ .cluster = fixture_shared.map->cluster,
                             .sender = fixture_shared.map->node[from].id,
                             .to = fixture_shared.map->node[to].id,
                             .from_actor = ADR_ACTOR_REPLICATOR,
                             .to_actor = ADR_ACTOR_REPLICATOR,
                             .incarnation = 1,
                             .boot = 1,
                             .sequence = sequence };
}

static void
s_send_pack (s_peer_t *peer, const adr_envelope_t *envelope)
{
    adr_buffer_t pack = { 0 };
    adr_pack_begin (&pack, envelope);
    Adr__Append header = ADR__APPEND__INIT;
    adr_pack_add (&pack, ADR__KIND__APPEND, &header.base, adr_bytes ("x", 1));
    assert_int_equal (zmq_send (peer->socket, pack.data, pack.size, 0), pack.size);
    adr_buffer_free (&pack);
}

/* [POST-3, POST-7] A node with a key of the map, but without our post: what it says wrongly is dropped and counted, pack by pack. */
static void
test_what_a_node_may_not_say (void **state)
{
    (void) state;
    s_side_t heard;
    s_up (&heard, 1, NULL, 1);
    s_peer_t peer;
    s_dial_as_node (&peer);
    adr_envelope_t envelope = s_envelope (0, 1, 1);
    s_send_pack (&peer, &envelope);
    assert_true (toy_wait (&heard.toy, &heard.toy.messages, 1));

    static const adr_metric_t metrics[]
        = { ADR_METRIC_DROP_OLD,      ADR_METRIC_DROP_SENDER,      ADR_METRIC_DROP_DESTINATION,
            ADR_METRIC_DROP_CLUSTER,  ADR_METRIC_DROP_NO_ACTOR,    ADR_METRIC_DROP_MALFORMED,
            ADR_METRIC_DROP_KIND,     ADR_METRIC_DROP_HEADER };
    uint64_t before[ADR_METRIC_COUNT];
    for (int i = 0; i < ADR_METRIC_COUNT; i++)
        before[i] = adr_metric_get ((adr_metric_t) i);
    s_send_pack (&peer, &envelope); /* again */
    envelope = s_envelope (1, 1, 2); /* as if it were another */
    s_send_pack (&peer, &envelope);
    envelope = s_envelope (0, 2, 3); /* for another node */
    s_send_pack (&peer, &envelope);
    envelope = s_envelope (0, 1, 4);
    envelope.cluster.bytes[0] ^= 1;
    s_send_pack (&peer, &envelope);
    envelope = s_envelope (0, 1, 5);
    envelope.to_actor = ADR_ACTOR_CERT_SIGNER; /* does not run here */
    s_send_pack (&peer, &envelope);
    zmq_send (peer.socket, "nonsense", 8, 0);
    zmq_send (peer.socket, "two", 3, ZMQ_SNDMORE);
    zmq_send (peer.socket, "frames", 6, 0);
    envelope = s_envelope (0, 1, 6);
    envelope.from_actor = ADR_ACTOR_ELECTION; /* elections send no appends */
    s_send_pack (&peer, &envelope);
    adr_buffer_t cut = { 0 };
    envelope = s_envelope (0, 1, 7);
    adr_pack_begin (&cut, &envelope);
    adr_buffer_append (&cut, "\x20\0\0\0\xff", 5);
    zmq_send (peer.socket, cut.data, cut.size, 0);
    adr_buffer_free (&cut);
    envelope = s_envelope (0, 1, 8);
    s_send_pack (&peer, &envelope); /* and this one is good again */
    assert_true (toy_wait (&heard.toy, &heard.toy.messages, 2));
    for (size_t i = 0; i < sizeof metrics / sizeof metrics[0]; i++)
        if (adr_metric_get (metrics[i]) <= before[metrics[i]])
            fail_msg ("nothing was counted as %s", adr_metric_name (metrics[i]));
    assert_int_equal (heard.toy.messages, 2);
    s_hang_up (&peer);
    s_down (&heard);
}

/* [POST-1] A key that nobody knows, a client's key at a node's door, and no key at all. */
static void
test_strangers (void **state)
{
    (void) state;
    s_side_t heard;
    s_up (&heard, 1, NULL, 1);
    uint64_t refused = adr_metric_get (ADR_METRIC_ZAP_REFUSED);
    uint64_t failed = adr_metric_get (ADR_METRIC_HANDSHAKES_FAILED);
    s_peer_t stranger, client, plain;
    const adr_map_node_t *node = &fixture_shared.map->node[1];
    s_dial (&stranger, fixture_shared.stranger_secret, fixture_shared.stranger_public, node->curve_key, node->control);
    s_dial (&client, fixture_shared.client_secret, fixture_shared.client_public, node->curve_key, node->bulk);
    assert_true (fixture_wait_metric (ADR_METRIC_ZAP_REFUSED, refused + 2));
    plain.context = zmq_ctx_new ();
    zmq_ctx_set (plain.context, ZMQ_BLOCKY, 0);
    plain.socket = zmq_socket (plain.context, ZMQ_DEALER); /* no key at all */
    int none = 0;
    zmq_setsockopt (plain.socket, ZMQ_LINGER, &none, sizeof none);
    zmq_connect (plain.socket, fixture_shared.map->node[1].control);
    zmq_send (plain.socket, "x", 1, ZMQ_DONTWAIT);
    assert_true (fixture_wait_metric (ADR_METRIC_HANDSHAKES_FAILED, failed + 1));
    adr_envelope_t envelope = s_envelope (0, 1, 1);
    adr_buffer_t pack = { 0 };
    adr_pack_begin (&pack, &envelope);
    assert_true (zmq_send (stranger.socket, pack.data, pack.size, ZMQ_DONTWAIT) < 0); /* there is no connection */
    assert_true (zmq_send (client.socket, pack.data, pack.size, ZMQ_DONTWAIT) < 0);
    adr_buffer_free (&pack);
    assert_int_equal (heard.toy.messages, 0);
    zmq_close (plain.socket);
    zmq_ctx_term (plain.context);
    s_hang_up (&stranger);
    s_hang_up (&client);
    s_down (&heard);
}

static int
s_connect_raw (const char *endpoint)
{
    struct sockaddr_in address = { .sin_family = AF_INET, .sin_addr.s_addr = htonl (INADDR_LOOPBACK) };
    address.sin_port = htons ((uint16_t) atoi (strrchr (endpoint, ':') + 1));
    int descriptor = socket (AF_INET, SOCK_STREAM, 0);
    adr_assert (connect (descriptor, (struct sockaddr *) &address, sizeof address) == 0);
    return descriptor;
}

/* Random bytes, and a frame that announces a gibibyte: the connection ends, the post goes on. */
static void
test_bytes_that_are_no_protocol (void **state)
{
    (void) state;
    s_side_t heard;
    s_up (&heard, 1, NULL, 1);
    const adr_map_node_t *node = fixture_shared.map->node;
    const char *doors[] = { node[1].control, node[1].bulk, node[2].client };
    static const uint8_t greeting[64] = { [0] = 0xff, [9] = 0x7f, [10] = 3, [11] = 0, [12] = 'C', [13] = 'U',
                                          [14] = 'R', [15] = 'V', [16] = 'E' };
    for (int door = 0; door < 3; door++)
        for (int form = 0; form < 20; form++) {
            int descriptor = s_connect_raw (doors[door]);
            uint8_t bytes[4096];
            randombytes_buf (bytes, sizeof bytes);
            size_t size = 1 + randombytes_uniform (sizeof bytes - 1);
            if (form >= 10) {
                memcpy (bytes, greeting, sizeof greeting);
                /* a long frame of 2^30 bytes; of 2^63 */
                static const uint8_t huge[2][9]
                    = { { 2, 0, 0, 0, 0, 0x40, 0, 0, 0 }, { 6, 0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff } };
                memcpy (bytes + sizeof greeting, huge[form % 2], 9);
            }
            ssize_t sent = send (descriptor, bytes, size, MSG_NOSIGNAL);
            (void) sent;
            close (descriptor);
        }
    s_peer_t peer;
    s_dial_as_node (&peer);
    adr_envelope_t envelope = s_envelope (0, 1, 1);
    s_send_pack (&peer, &envelope);
    assert_true (toy_wait (&heard.toy, &heard.toy.messages, 1));
    s_hang_up (&peer);
    s_down (&heard);
}

/* --- clients ---------------------------------------------------------------------------------------------------- */

/* Answers each read with its number. */
static void
s_answerer (toy_t *self, const adr_event_t *event, adr_effects_t *effects)
{
    (void) self;
    if (event->kind != ADR_EVENT_MESSAGE)
        return;
    Adr__Answer answer = ADR__ANSWER__INIT;
    answer.number = ((const Adr__Read *) event->message.header)->number;
    effects->send (effects, event->message.from, ADR__KIND__ANSWER, &answer.base, adr_bytes ("value", 5));
}

static void
s_send_read (s_peer_t *peer, uint64_t number, bool named)
{
    adr_envelope_t envelope = { .cluster = fixture_shared.map->cluster,
                                .sender = fixture_shared.map->cluster, /* whatever its certificate says */
                                .from_actor = ADR_ACTOR_CLIENT,
                                .to_actor = ADR_ACTOR_EDGE_ROUTER };
    if (named)
        envelope.to = fixture_shared.map->node[2].id;
    Adr__Read header = ADR__READ__INIT;
    header.number = number;
    header.table = 3;
    adr_buffer_t pack = { 0 };
    adr_pack_begin (&pack, &envelope);
    adr_pack_add (&pack, ADR__KIND__READ, &header.base, adr_bytes (NULL, 0));
    assert_int_equal (zmq_send (peer->socket, pack.data, pack.size, 0), pack.size);
    adr_buffer_free (&pack);
}

/* The number of the answer that came; 0 for nonsense. */
static uint64_t
s_receive_answer (s_peer_t *peer)
{
    uint8_t bytes[4096];
    int size = zmq_recv (peer->socket, bytes, sizeof bytes, 0);
    adr_pack_reader_t reader;
    adr_item_t item;
    if (size < 0 || !adr_pack_open (&reader, adr_bytes (bytes, (size_t) size)) || adr_pack_next (&reader, &item) != 1
        || item.kind != ADR__KIND__ANSWER)
        return 0;
    adr_arena_t arena;
    adr_arena_init (&arena, 1024, 65536);
    const Adr__Answer *answer = (const Adr__Answer *) adr_header_decode (&item, &arena);
    uint64_t number = answer ? answer->number : 0;
    adr_arena_free (&arena);
    return number;
}

/* [POST-8] Each client gets its own answers, by the connection that it came by. */
static void
test_clients (void **state)
{
    (void) state;
    s_side_t edge;
    s_up (&edge, 2, s_answerer, 1);
    s_peer_t client[2];
    for (int i = 0; i < 2; i++)
        s_dial_as_client (&client[i]);
    for (uint64_t round = 1; round <= 20; round++) {
        s_send_read (&client[0], 2 * round, round % 2);
        s_send_read (&client[1], 2 * round + 1, round % 2);
        assert_int_equal (s_receive_answer (&client[0]), 2 * round);
        assert_int_equal (s_receive_answer (&client[1]), 2 * round + 1);
    }
    assert_int_equal (edge.toy.last_from.actor, ADR_ACTOR_CLIENT);
    assert_int_equal (edge.toy.last_from_type, ADR_NODE_CLIENT);
    /* What only nodes may say is refused from a client. */
    uint64_t dropped = adr_metric_get (ADR_METRIC_DROP_KIND);
    adr_envelope_t envelope = { .cluster = fixture_shared.map->cluster,
                                .sender = fixture_shared.map->node[0].id,
                                .from_actor = ADR_ACTOR_REPLICATOR,
                                .to_actor = ADR_ACTOR_EDGE_ROUTER };
    adr_buffer_t pack = { 0 };
    Adr__Answer answer = ADR__ANSWER__INIT;
    adr_pack_begin (&pack, &envelope);
    adr_pack_add (&pack, ADR__KIND__ANSWER, &answer.base, adr_bytes (NULL, 0));
    zmq_send (client[0].socket, pack.data, pack.size, 0);
    assert_true (fixture_wait_metric (ADR_METRIC_DROP_KIND, dropped + 1));
    adr_buffer_free (&pack);
    for (int i = 0; i < 2; i++)
        s_hang_up (&client[i]);
    s_down (&edge);
}

static void
s_tell_user (adr_directory_t *directory, adr_node_type_t role, bool disabled)
{
    adr_credential_t credential = { .access_key = "olga", .role = role, .has_curve_key = true, .disabled = disabled };
    adr_buffer_t rows = { 0 };
    memcpy (credential.curve_key, fixture_shared.client_public, 32);
    adr_credential_row_append (&rows, &credential);
    adr_directory_take_users (directory, 9, adr_bytes (rows.data, rows.size));
    adr_buffer_free (&rows);
}

/* [USER-3] Each message of a connection that stays open is judged by the newest list. */
static void
test_a_client_door_hears_users_as_the_newest_list_says (void **state)
{
    (void) state;
    s_side_t edge;
    s_up (&edge, 2, s_answerer, 1);
    const adr_map_node_t *node = fixture_shared.map->node;
    s_peer_t client;
    s_dial (&client, fixture_shared.client_secret, fixture_shared.client_public, node[2].curve_key, node[2].client);
    s_send_read (&client, 1, true);
    assert_int_equal (s_receive_answer (&client), 1);
    assert_int_equal (edge.toy.last_from_type, ADR_NODE_CLIENT);
    s_tell_user (edge.host.directory, ADR_NODE_READER, false);
    s_send_read (&client, 2, true);
    assert_int_equal (s_receive_answer (&client), 2);
    assert_int_equal (edge.toy.last_from_type, ADR_NODE_READER);
    s_tell_user (edge.host.directory, ADR_NODE_READER, true);
    uint64_t dropped = adr_metric_get (ADR_METRIC_DROP_UNKNOWN_KEY), messages = edge.toy.messages;
    s_send_read (&client, 3, true);
    assert_true (fixture_wait_metric (ADR_METRIC_DROP_UNKNOWN_KEY, dropped + 1));
    assert_int_equal (edge.toy.messages, messages);
    s_hang_up (&client);
    s_down (&edge);
}

/* --- strangers -------------------------------------------------------------------------------------------------- */

static void
s_send_join (s_peer_t *peer, adr_actor_kind_t to, uint16_t kind, unsigned items, size_t padding)
{
    static const uint8_t s_padding[2 * ADR_POST_STRANGER_BYTES_MAX];
    adr_envelope_t envelope = { .cluster = fixture_shared.map->cluster, .sender = fixture_shared.map->cluster,
                                .from_actor = ADR_ACTOR_CLIENT, .to_actor = to };
    Adr__Join join = ADR__JOIN__INIT;
    Adr__Poll poll = ADR__POLL__INIT;
    adr_buffer_t pack = { 0 };
    adr_pack_begin (&pack, &envelope);
    for (unsigned i = 0; i < items; i++)
        adr_pack_add (&pack, kind, kind == ADR__KIND__JOIN ? &join.base : &poll.base, adr_bytes (s_padding, padding));
    zmq_send (peer->socket, pack.data, pack.size, 0);
    adr_buffer_free (&pack);
}

/* Whoever likes comes in by a PKI node's adoption door. */
static void
s_dial_as_stranger (s_peer_t *self)
{
    uint8_t secret[32], public_key[32];
    const adr_map_node_t *node = &fixture_shared.map->node[2];
    randombytes_buf (secret, sizeof secret);
    crypto_scalarmult_base (public_key, secret);
    s_dial (self, secret, public_key, node->curve_key, node->client);
}

/* [TRUST-5] One JOIN for the cert_signer; no other actor's mailbox is a stranger's to fill, nor its own by the hundred. */
static void
test_strangers_say_join_and_nothing_else (void **state)
{
    (void) state;
    s_side_t side;
    s_peer_t stranger;
    fixture_shared.map->node[2].type = ADR_NODE_PKI;
    toy_init (&side.toy, NULL, NULL);
    fixture_host_init (&side.host, &fixture_shared);
    fixture_host_add (&side.host, 2, &toy_cert_signer_class, &side.toy, 1);
    static const uint32_t s_node = 2;
    fixture_host_start (&side.host, &s_node, 1, 1);
    s_dial_as_stranger (&stranger);
    s_send_join (&stranger, ADR_ACTOR_CERT_SIGNER, ADR__KIND__JOIN, 1, 0);
    assert_true (toy_wait (&side.toy, &side.toy.messages, 1));
    assert_int_equal (side.toy.last_from_type, ADR_NODE_STRANGER);
    uint64_t kinds = adr_metric_get (ADR_METRIC_DROP_KIND), broken = adr_metric_get (ADR_METRIC_DROP_MALFORMED);
    s_send_join (&stranger, ADR_ACTOR_ELECTION, ADR__KIND__POLL, 1, 0);
    s_send_join (&stranger, ADR_ACTOR_ELECTION, ADR__KIND__JOIN, 1, 0);
    s_send_join (&stranger, ADR_ACTOR_CERT_SIGNER, ADR__KIND__POLL, 1, 0);
    s_send_join (&stranger, ADR_ACTOR_CERT_SIGNER, ADR__KIND__JOIN, 2, 0);
    assert_true (fixture_wait_metric (ADR_METRIC_DROP_KIND, kinds + 4));
    s_send_join (&stranger, ADR_ACTOR_CERT_SIGNER, ADR__KIND__JOIN, 0, 0);
    assert_true (fixture_wait_metric (ADR_METRIC_DROP_MALFORMED, broken + 1));
    uint64_t many = adr_metric_get (ADR_METRIC_DROP_CLIENTS);
    for (unsigned i = 0; i < 10 * ADR_POST_STRANGER_PACKS; i++)
        s_send_join (&stranger, ADR_ACTOR_CERT_SIGNER, ADR__KIND__JOIN, 1, 0);
    assert_true (fixture_wait_metric (ADR_METRIC_DROP_CLIENTS, many + 5 * ADR_POST_STRANGER_PACKS));
    assert_true (side.toy.messages < 4 * ADR_POST_STRANGER_PACKS);
    s_send_join (&stranger, ADR_ACTOR_CERT_SIGNER, ADR__KIND__JOIN, 1, ADR_POST_STRANGER_BYTES_MAX + 1); /* the library hangs up */
    s_hang_up (&stranger);
    fixture_host_stop (&side.host);
    toy_free (&side.toy);
    fixture_shared.map->node[2].type = ADR_NODE_EDGE;
}

#define S_UNREAD 250 /* answers of 1 MiB: within the high-water mark of 256 messages */

static void
s_answer_much (toy_t *self, const adr_event_t *event, adr_effects_t *effects)
{
    static const uint8_t s_value[1024 * 1024];
    if (event->kind != ADR_EVENT_MESSAGE)
        return;
    Adr__Answer answer = ADR__ANSWER__INIT;
    for (int i = 0; i < (self->messages == 1 ? S_UNREAD : 1); i++)
        effects->send (effects, event->message.from, ADR__KIND__ANSWER, &answer.base,
                       adr_bytes (s_value, sizeof s_value));
}

/* [POST-8] What clients do not read is bounded by bytes; once it is read, or they have gone, others are answered. */
static void
test_clients_that_do_not_read (void **state)
{
    (void) state;
    s_side_t edge;
    s_up (&edge, 2, s_answer_much, 1);
    uint64_t refused = adr_metric_get (ADR_METRIC_SEND_REFUSED);
    s_peer_t lazy, other;
    const adr_map_node_t *node = &fixture_shared.map->node[2];
    s_dial_for (&lazy, fixture_shared.client_secret, fixture_shared.client_public, node->curve_key, node->client, 1);
    s_send_read (&lazy, 1, false);
    assert_true (fixture_wait_metric (ADR_METRIC_SEND_REFUSED, refused + 20));
    s_hang_up (&lazy);
    s_dial_as_client (&other);
    int size = -1, wait = 100, first;
    zmq_setsockopt (other.socket, ZMQ_RCVTIMEO, &wait, sizeof wait);
    for (int i = 0; i < 200 && size < 0; i++) { /* until what the other left has gone */
        s_send_read (&other, 2, false);
        size = zmq_recv (other.socket, &first, sizeof first, 0);
    }
    assert_true (size > 1024 * 1024);
    s_hang_up (&other);
    s_down (&edge);
}

/* [POST-8] One that has left is forgotten, its answer counted. */
static void
s_answer_late (toy_t *self, const adr_event_t *event, adr_effects_t *effects)
{
    if (event->kind == ADR_EVENT_MESSAGE)
        effects->wake (effects, 1, event->now_ns + 5 * ADR_MS);
    if (event->kind != ADR_EVENT_TIMER)
        return;
    Adr__Answer answer = ADR__ANSWER__INIT;
    effects->send (effects, self->last_from, ADR__KIND__ANSWER, &answer.base, adr_bytes (NULL, 0));
    effects->wake (effects, 1, event->now_ns + 5 * ADR_MS);
}

static void
test_client_that_left (void **state)
{
    (void) state;
    s_side_t edge;
    s_up (&edge, 2, s_answer_late, 1);
    s_peer_t client;
    s_dial_as_client (&client);
    uint64_t gone = adr_metric_get (ADR_METRIC_CLIENT_GONE);
    s_send_read (&client, 1, false);
    assert_true (toy_wait (&edge.toy, &edge.toy.messages, 1));
    s_hang_up (&client);
    assert_true (fixture_wait_metric (ADR_METRIC_CLIENT_GONE, gone + 2));
    s_down (&edge);
}

/* [POST-8] Who has hung up holds no place: the fixture's posts keep 16 clients. */
static void
test_clients_come_and_go (void **state)
{
    (void) state;
    s_side_t edge;
    s_up (&edge, 2, s_answerer, 1);
    uint64_t dropped = adr_metric_get (ADR_METRIC_DROP_CLIENTS);
    for (uint64_t i = 1; i <= 40; i++) {
        s_peer_t client;
        s_dial_as_client (&client);
        s_send_read (&client, i, false);
        assert_int_equal (s_receive_answer (&client), i);
        s_hang_up (&client);
    }
    assert_int_equal (adr_metric_get (ADR_METRIC_DROP_CLIENTS), dropped);
    s_down (&edge);
}

/* [POST-9] The fixture's posts take 16 connections; the ones beyond are closed, and when others leave there is room. */
static void
test_bound_on_connections (void **state)
{
    (void) state;
    s_side_t heard;
    s_up (&heard, 1, NULL, 1);
    uint64_t refused = adr_metric_get (ADR_METRIC_CONNECTIONS_REFUSED);
    int descriptor[40];
    for (int i = 0; i < 40; i++)
        descriptor[i] = s_connect_raw (fixture_shared.map->node[1].control);
    assert_true (fixture_wait_metric (ADR_METRIC_CONNECTIONS_REFUSED, refused + 24));
    for (int i = 0; i < 40; i++)
        close (descriptor[i]);
    s_peer_t peer;
    s_dial_as_node (&peer);
    adr_envelope_t envelope = s_envelope (0, 1, 1);
    s_send_pack (&peer, &envelope); /* waits until it is connected */
    assert_true (toy_wait (&heard.toy, &heard.toy.messages, 1));
    s_hang_up (&peer);
    s_down (&heard);
}

/* --- the sockets ------------------------------------------------------------------------------------------------ */

/* [POST-1, POST-10] Every open socket has what keeps it safe; DESIGN 3 says why. */
static void
test_open_sockets (void **state)
{
    (void) state;
    s_side_t sender, heard;
    s_up (&heard, 1, NULL, 1);
    s_up (&sender, 0, s_send_largest, 1);
    assert_true (toy_wait (&heard.toy, &heard.toy.messages, 3));
    adr_socket_info_t infos[64];
    size_t count = adr_socket_list (infos, 64), routers = 0, dealers = 0, inside = 0;
    assert_true (count <= 64);
    for (size_t i = 0; i < count; i++) {
        const adr_socket_info_t *info = &infos[i];
        assert_int_equal (info->linger_ms, 0);
        assert_int_equal (info->heartbeat_ms, 0);
        if (info->role != ADR_SOCKET_ROUTER && info->role != ADR_SOCKET_DEALER) {
            inside++; /* inproc only */
            continue;
        }
        assert_int_equal (info->mechanism, ZMQ_CURVE);
        assert_int_equal (info->message_max, ADR_FRAME_MAX);
        assert_int_equal (info->handshake_ms, ADR_HANDSHAKE_MS);
        assert_int_equal (info->keepalive_s, ADR_KEEPALIVE_S);
        assert_in_range (info->send_high_water, 1, 1024);
        assert_in_range (info->receive_high_water, 1, 1024);
        if (info->role == ADR_SOCKET_ROUTER) {
            routers++;
            assert_int_equal (info->type, ZMQ_ROUTER);
            assert_int_equal (info->curve_server, 1);
            assert_int_equal (info->enforce_domain, 1);
            assert_true (info->domain[0] != 0);
            assert_int_equal (info->affinity, strcmp (info->domain, ADR_DOMAIN_CONTROL) ? 2 : 1);
            assert_int_equal (info->backlog, ADR_BACKLOG);
        } else {
            dealers++;
            assert_int_equal (info->type, ZMQ_DEALER);
            assert_int_equal (info->curve_server, 0);
            assert_int_equal (info->immediate, 1);
        }
    }
    assert_int_equal (routers, 2 + 2 + 2 + 1); /* two lanes of three nodes, and the edge's door for clients */
    assert_int_equal (dealers, 1);             /* made at the first send */
    assert_int_equal (inside, 2 + 7);          /* gatekeepers, monitors */
    s_down (&sender);
    s_down (&heard);
    assert_int_equal (adr_socket_list (infos, 64), 0);
}

/* And nobody makes one elsewhere: the daemon's sources call the library's constructor in one place. */
static void
test_one_constructor (void **state)
{
    (void) state;
    static const char *const folders[] = { "core", "wire", "store", "actors", "runtime", "edge", "." };
    const char *top = getenv ("top_srcdir");
    int calls = 0;
    for (size_t i = 0; i < sizeof folders / sizeof folders[0]; i++) {
        char path[4096];
        snprintf (path, sizeof path, "%s/src/%s", top ? top : "..", folders[i]);
        DIR *folder = opendir (path);
        assert_non_null (folder);
        for (struct dirent *entry; (entry = readdir (folder)) != NULL;) {
            size_t length = strlen (entry->d_name);
            if (length < 2 || strcmp (entry->d_name + length - 2, ".c") != 0)
                continue;
            char file_path[8192];
            snprintf (file_path, sizeof file_path, "%s/%s", path, entry->d_name);
            FILE *file = fopen (file_path, "r");
            assert_non_null (file);
            char line[1024];
            while (fgets (line, sizeof line, file))
                calls += strstr (line, "zmq_socket (") != NULL || strstr (line, "zsock_new") != NULL;
            fclose (file);
        }
        closedir (folder);
    }
    assert_int_equal (calls, 1);
}

/* --- lanes ------------------------------------------------------------------------------------------------------ */

static void
test_lanes (void **state)
{
    (void) state;
    assert_int_equal (adr_directory_lane (ADR_NODE_DATA, ADR_ACTOR_REPLICATOR, ADR_NODE_DATA, ADR_ACTOR_REPLICATOR),
                      ADR_POST_BULK);
    assert_int_equal (adr_directory_lane (ADR_NODE_EDGE, ADR_ACTOR_EDGE_ROUTER, ADR_NODE_DATA, ADR_ACTOR_REPLICATOR),
                      ADR_POST_BULK);
    assert_int_equal (adr_directory_lane (ADR_NODE_DATA, ADR_ACTOR_REPLICATOR, ADR_NODE_EDGE, ADR_ACTOR_EDGE_ROUTER),
                      ADR_POST_BULK);
    assert_int_equal (adr_directory_lane (ADR_NODE_META, ADR_ACTOR_REPLICATOR, ADR_NODE_META, ADR_ACTOR_REPLICATOR),
                      ADR_POST_CONTROL);
    assert_int_equal (adr_directory_lane (ADR_NODE_DATA, ADR_ACTOR_HEALTH_CHECKER, ADR_NODE_DATA,
                                          ADR_ACTOR_HEALTH_CHECKER),
                      ADR_POST_CONTROL);
    assert_int_equal (adr_directory_lane (ADR_NODE_DATA, ADR_ACTOR_REPLICATOR, ADR_NODE_DATA, ADR_ACTOR_ELECTION),
                      ADR_POST_CONTROL);
    assert_int_equal (adr_directory_lane (ADR_NODE_EDGE, ADR_ACTOR_EDGE_ROUTER, ADR_NODE_CLIENT, ADR_ACTOR_CLIENT),
                      ADR_POST_CLIENT);
}

int
main (void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test (test_lanes),
        cmocka_unit_test (test_order_of_lives),
        cmocka_unit_test (test_between_hosts),
        cmocka_unit_test (test_largest_value),
        cmocka_unit_test (test_peer_goes_and_returns),
        cmocka_unit_test (test_what_a_node_may_not_say),
        cmocka_unit_test (test_strangers),
        cmocka_unit_test (test_bytes_that_are_no_protocol),
        cmocka_unit_test (test_clients),
        cmocka_unit_test (test_a_client_door_hears_users_as_the_newest_list_says),
        cmocka_unit_test (test_strangers_say_join_and_nothing_else),
        cmocka_unit_test (test_clients_that_do_not_read),
        cmocka_unit_test (test_client_that_left),
        cmocka_unit_test (test_clients_come_and_go),
        cmocka_unit_test (test_bound_on_connections),
        cmocka_unit_test (test_open_sockets),
        cmocka_unit_test (test_one_constructor),
    };
    return cmocka_run_group_tests (tests, fixture_setup, fixture_teardown);
}
