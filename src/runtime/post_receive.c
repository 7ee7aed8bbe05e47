/* SPDX-License-Identifier: MPL-2.0 */
/* What comes in by post: each pack is judged before any actor hears of it [DESIGN 8], and clients get an address.
 * Total: any frames are answered, by a counter and nothing else. */

#include "runtime/post_private.h"

#include "runtime/clock.h"
#include "runtime/log.h"
#include "runtime/metrics.h"
#include "wire/pack.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <sodium.h>
#include <stdlib.h>
#include <sys/socket.h>

#define S_NONE UINT32_MAX
#define S_GOOD ADR_METRIC_COUNT

/* A pack that came in a message of ZeroMQ's stays in it. */
typedef struct {
    adr_parcel_t parcel; /* first */
    zmq_msg_t message;
} s_foreign_t;

static void
s_foreign_release (adr_parcel_t *parcel)
{
    s_foreign_t *self = (s_foreign_t *) parcel;
    zmq_msg_close (&self->message);
    free (self);
}

static s_foreign_t *
s_foreign_new (void)
{
    s_foreign_t *self = adr_alloc (sizeof *self);
    self->parcel.kind = ADR_PARCEL_PACK;
    self->parcel.release = s_foreign_release;
    zmq_msg_init (&self->message);
    return self;
}

/* --- clients ---------------------------------------------------------------------------------------------------- */

static uint64_t
s_hash_routing_id (uint32_t local, const void *bytes, size_t size)
{
    return adr_chains_hash (bytes, size) + local;
}

/* A descriptor is the process's, so it says which of our nodes' doors, too. */
static uint64_t
s_hash_descriptor (int descriptor)
{
    return adr_chains_hash (&descriptor, sizeof descriptor);
}

static uint32_t
s_index (const adr_post_t *self, const adr_connection_t *connection)
{
    return (uint32_t) (connection - self->connection);
}

static void
s_unlink (adr_post_t *self, adr_connection_t *connection)
{
    if (connection->newer == S_NONE)
        self->newest = connection->older;
    else
        self->connection[connection->newer].older = connection->older;
    if (connection->older == S_NONE)
        self->oldest = connection->newer;
    else
        self->connection[connection->older].newer = connection->newer;
}

static void
s_link_newest (adr_post_t *self, adr_connection_t *connection)
{
    connection->newer = S_NONE;
    connection->older = self->newest;
    if (self->newest == S_NONE)
        self->oldest = s_index (self, connection);
    else
        self->connection[self->newest].newer = s_index (self, connection);
    self->newest = s_index (self, connection);
}

adr_connection_t *
adr_post_client (adr_post_t *self, const adr_id_t *id)
{
    uint32_t at = adr_chains_first (&self->by_id, adr_chains_hash (id->bytes, ADR_ID_SIZE));
    for (; at != ADR_CHAIN_END; at = adr_chains_next (&self->by_id, at))
        if (adr_id_equal (&self->connection[at].id, id))
            return &self->connection[at];
    return NULL;
}

void
adr_post_forget_client (adr_post_t *self, adr_connection_t *connection)
{
    adr_assert (connection->used);
    uint32_t at = s_index (self, connection);
    adr_chains_remove (&self->by_id, adr_chains_hash (connection->id.bytes, ADR_ID_SIZE), at);
    adr_chains_remove (&self->by_routing_id,
                       s_hash_routing_id (connection->local, connection->routing_id, connection->routing_id_size),
                       at);
    adr_chains_remove (&self->by_descriptor, s_hash_descriptor (connection->descriptor), at);
    s_unlink (self, connection);
    connection->used = false;
    connection->older = self->free_first;
    self->free_first = at;
}

/* [POST-8] The connection is gone, and its client's address with it. */
static void
s_forget_descriptor (adr_post_t *self, int descriptor)
{
    uint32_t at = adr_chains_first (&self->by_descriptor, s_hash_descriptor (descriptor)), next;
    for (; at != ADR_CHAIN_END; at = next) {
        next = adr_chains_next (&self->by_descriptor, at);
        if (self->connection[at].descriptor == descriptor)
            adr_post_forget_client (self, &self->connection[at]);
    }
}

/* A free place; the one that was idle longest gives its own up [POST-8]. */
static adr_connection_t *
s_place (adr_post_t *self, int64_t now_ns)
{
    if (self->free_first == S_NONE && self->connection_count == self->connections_max) {
        adr_connection_t *oldest = &self->connection[self->oldest];
        int64_t idle_ms = self->lane == ADR_POST_ADOPTION ? ADR_POST_STRANGER_IDLE_MS : ADR_POST_CLIENT_IDLE_MS;
        if (now_ns - oldest->last_ns < idle_ms * ADR_MS)
            return NULL;
        adr_post_forget_client (self, oldest);
    }
    if (self->free_first == S_NONE)
        return &self->connection[self->connection_count++];
    adr_connection_t *place = &self->connection[self->free_first];
    self->free_first = place->older;
    return place;
}

static adr_connection_t *
s_find_routing_id (adr_post_t *self, uint32_t local, const uint8_t *routing_id, size_t size)
{
    uint32_t at = adr_chains_first (&self->by_routing_id, s_hash_routing_id (local, routing_id, size));
    for (; at != ADR_CHAIN_END; at = adr_chains_next (&self->by_routing_id, at)) {
        adr_connection_t *found = &self->connection[at];
        if (found->local == local && found->routing_id_size == size
            && memcmp (found->routing_id, routing_id, size) == 0)
            return found;
    }
    return NULL;
}

static adr_connection_t *
s_new_client (adr_post_t *self, uint32_t local, const uint8_t *routing_id, size_t size, const uint8_t key[32],
              int descriptor, int64_t now_ns)
{
    /* What the monitor says of a descriptor's earlier life came before this one's first pack: so hear it first. */
    adr_post_watch (self, &self->local[local]);
    adr_connection_t *connection = s_place (self, now_ns);
    if (connection == NULL)
        return NULL;
    *connection = (adr_connection_t){ .local = local, .descriptor = descriptor,
                                      .routing_id_size = (uint8_t) size, .used = true };
    memcpy (connection->routing_id, routing_id, size);
    memcpy (connection->key, key, 32);
    /* Drawn, so that no client can name another's. */
    randombytes_buf (connection->id.bytes, ADR_ID_SIZE);
    uint32_t at = s_index (self, connection);
    adr_chains_add (&self->by_id, adr_chains_hash (connection->id.bytes, ADR_ID_SIZE), at);
    adr_chains_add (&self->by_routing_id, s_hash_routing_id (local, routing_id, size), at);
    adr_chains_add (&self->by_descriptor, s_hash_descriptor (descriptor), at);
    s_link_newest (self, connection);
    return connection;
}

/* The client behind this routing id, a new one if need be; NULL: there are too many. */
static adr_connection_t *
s_client_of (adr_post_t *self, uint32_t local, const zmq_msg_t *routing_id, const zmq_msg_t *pack,
             const uint8_t key[32])
{
    const uint8_t *bytes = zmq_msg_data ((zmq_msg_t *) routing_id);
    size_t size = zmq_msg_size (routing_id);
    int64_t now_ns = adr_clock_now_ns ();
    adr_connection_t *connection = s_find_routing_id (self, local, bytes, size);
    if (connection && memcmp (connection->key, key, 32) != 0) {
        adr_post_forget_client (self, connection); /* the library gave the routing id to somebody else */
        connection = NULL;
    }
    if (connection == NULL)
        connection = s_new_client (self, local, bytes, size, key, zmq_msg_get (pack, ZMQ_SRCFD), now_ns);
    if (connection == NULL)
        return NULL;
    connection->last_ns = now_ns;
    s_unlink (self, connection);
    s_link_newest (self, connection);
    return connection;
}

/* --- judgement -------------------------------------------------------------------------------------------------- */

static bool
s_is_retired (const adr_seen_t *seen, uint64_t incarnation)
{
    uint32_t count = seen->retired_count < ADR_POST_RETIRED_MAX ? seen->retired_count : ADR_POST_RETIRED_MAX;
    for (uint32_t i = 0; i < count; i++)
        if (seen->retired[i] == incarnation)
            return true;
    return false;
}

/* [POST-4] Within an incarnation (boot, sequence) only rises. A new incarnation starts anew, and what its forerunner
 * still had on the wire is never taken for its own. */
int
adr_seen_judge (adr_seen_t *seen, uint64_t incarnation, uint64_t boot, uint64_t sequence, bool *renewed)
{
    *renewed = false;
    if (seen->any && incarnation != seen->incarnation) {
        if (s_is_retired (seen, incarnation))
            return ADR_METRIC_DROP_OLD;
        seen->retired[seen->retired_count++ % ADR_POST_RETIRED_MAX] = seen->incarnation;
        *renewed = true;
    } else if (seen->any) {
        if (boot < seen->boot || (boot == seen->boot && sequence <= seen->sequence))
            return ADR_METRIC_DROP_OLD;
        *renewed = boot > seen->boot;
    }
    seen->any = true;
    seen->incarnation = incarnation;
    seen->boot = boot;
    seen->sequence = sequence;
    return S_GOOD;
}

static bool
s_is_for (const adr_post_local_t *local, const adr_envelope_t *envelope, bool may_be_open)
{
    return adr_id_equal (&envelope->to, &local->node->id) || (may_be_open && adr_id_is_none (&envelope->to));
}

/* [POST-3] The sender is the node whose key signed for the connection, and no other. */
static int
s_judge_node (adr_post_t *self, adr_post_local_t *local, const adr_envelope_t *envelope, const uint8_t key[32],
              adr_parcel_t *parcel)
{
    int at = adr_directory_node_by_key (self->directory, key);
    if (at < 0)
        return ADR_METRIC_DROP_UNKNOWN_KEY;
    const adr_map_node_t *node = adr_directory_node_at (self->directory, (uint32_t) at);
    if (!adr_id_equal (&envelope->sender, &node->id))
        return ADR_METRIC_DROP_SENDER;
    if (!s_is_for (local, envelope, false))
        return ADR_METRIC_DROP_DESTINATION;
    bool renewed;
    int verdict
        = adr_seen_judge (&local->seen[at], envelope->incarnation, envelope->boot, envelope->sequence, &renewed);
    /* [POST-6] Whatever still queues for its former life is not for this one. */
    adr_peer_t *peer = renewed ? __atomic_load_n (&local->peer[at], __ATOMIC_ACQUIRE) : NULL;
    if (peer) {
        pthread_mutex_lock (&peer->mutex);
        adr_post_dial (self, peer);
        pthread_mutex_unlock (&peer->mutex);
    }
    parcel->from = (adr_address_t){ node->id, envelope->from_actor };
    parcel->from_type = node->type;
    return verdict;
}

/* So many a second for all of them: what a pack costs is more than what sending it costs. */
static bool
s_strangers_may (adr_post_t *self)
{
    int64_t now_ns = adr_clock_now_ns (), second_ns = 1000 * ADR_MS;
    self->strangers_share += self->strangers_ns ? now_ns - self->strangers_ns : second_ns;
    self->strangers_ns = now_ns;
    if (self->strangers_share > second_ns)
        self->strangers_share = second_ns;
    if (self->strangers_share < second_ns / ADR_POST_STRANGER_PACKS)
        return false;
    self->strangers_share -= second_ns / ADR_POST_STRANGER_PACKS;
    return true;
}

/* [TRUST-5] One JOIN for the cert_signer, and nothing else: no other actor's mailbox is a stranger's to fill. */
static int
s_judge_stranger (adr_post_t *self, const adr_envelope_t *envelope, adr_bytes_t pack)
{
    adr_pack_reader_t reader;
    adr_item_t item;
    if (envelope->to_actor != ADR_ACTOR_CERT_SIGNER || envelope->from_actor != ADR_ACTOR_CLIENT)
        return ADR_METRIC_DROP_KIND;
    if (pack.size > ADR_POST_STRANGER_BYTES_MAX || !adr_pack_open (&reader, pack) || adr_pack_next (&reader, &item) != 1)
        return ADR_METRIC_DROP_MALFORMED;
    if (item.kind != ADR__KIND__JOIN || adr_pack_next (&reader, &item) != 0)
        return ADR_METRIC_DROP_KIND;
    return s_strangers_may (self) ? S_GOOD : ADR_METRIC_DROP_CLIENTS;
}

static int
s_judge_client (adr_post_t *self, adr_post_local_t *local, const adr_envelope_t *envelope, const uint8_t key[32],
                const zmq_msg_t *routing_id, s_foreign_t *foreign)
{
    adr_parcel_t *parcel = &foreign->parcel;
    if (!s_is_for (local, envelope, true))
        return ADR_METRIC_DROP_DESTINATION;
    bool strange = self->lane == ADR_POST_ADOPTION;
    parcel->from_type = strange ? ADR_NODE_STRANGER : adr_directory_user (self->directory, key, parcel->user, &parcel->users_known); /* [USER-3] */
    if (parcel->from_type == 0 || (strange && !adr_directory_admits (self->directory, ADR_DOMAIN_ADOPTION, key))) /* not any more [TRUST-3] */
        return ADR_METRIC_DROP_UNKNOWN_KEY;
    int verdict = strange ? s_judge_stranger (self, envelope, parcel->pack) : S_GOOD;
    if (verdict != S_GOOD)
        return verdict;
    adr_connection_t *connection
        = s_client_of (self, (uint32_t) (local - self->local), routing_id, &foreign->message, key);
    if (connection == NULL)
        return ADR_METRIC_DROP_CLIENTS;
    parcel->from = (adr_address_t){ connection->id, ADR_ACTOR_CLIENT };
    return S_GOOD;
}

/* Fills in the parcel's addresses; returns why it is dropped, or S_GOOD. */
static int
s_judge (adr_post_t *self, adr_post_local_t *local, const zmq_msg_t *routing_id, s_foreign_t *foreign)
{
    adr_parcel_t *parcel = &foreign->parcel;
    uint8_t key[32];
    if (!adr_user_key (key, zmq_msg_gets (&foreign->message, "User-Id")))
        return ADR_METRIC_DROP_NO_USER;
    /* Those that the library draws start with a zero; a client that chose its own might take over another's. */
    const uint8_t *name = zmq_msg_data ((zmq_msg_t *) routing_id);
    if (zmq_msg_size (routing_id) == 0 || zmq_msg_size (routing_id) > ADR_ROUTING_ID_MAX || name[0] != 0)
        return ADR_METRIC_DROP_MALFORMED;
    parcel->pack = adr_bytes (zmq_msg_data (&foreign->message), zmq_msg_size (&foreign->message));
    adr_pack_reader_t reader;
    if (!adr_pack_open (&reader, parcel->pack))
        return ADR_METRIC_DROP_MALFORMED;
    if (!adr_id_equal (&reader.envelope.cluster, adr_directory_cluster (self->directory)))
        return ADR_METRIC_DROP_CLUSTER;
    parcel->items = reader.rest;
    parcel->to = (adr_address_t){ local->node->id, reader.envelope.to_actor };
    return adr_post_has_clients (self)
               ? s_judge_client (self, local, &reader.envelope, key, routing_id, foreign)
               : s_judge_node (self, local, &reader.envelope, key, parcel);
}

static void s_shut (const adr_post_local_t *local, int descriptor);

/* [TRUST-3] Whose key was known when it connected, and is no more, is hung up on: it may come again and be refused. */
static void
s_refuse (const adr_post_t *self, const adr_post_local_t *local, const s_foreign_t *foreign, int why)
{
    static int64_t last_ns;
    adr_metric_add ((adr_metric_t) why, 1);
    adr_log_rarely (&last_ns, why == ADR_METRIC_DROP_OLD ? ADR_LEVEL_TRACE : ADR_LEVEL_WARNING, local->node->name,
                    "%s on the %s lane -> dropped bytes=%zu", adr_metric_name ((adr_metric_t) why),
                    adr_post_lane_name (self->lane), zmq_msg_size (&foreign->message));
    if (why == ADR_METRIC_DROP_UNKNOWN_KEY)
        s_shut (local, zmq_msg_get (&foreign->message, ZMQ_SRCFD));
}

static void
s_pass_on (adr_post_t *self, adr_post_local_t *local, s_foreign_t *foreign)
{
    adr_parcel_t *parcel = &foreign->parcel;
    adr_mailbox_t *mailbox = adr_directory_actor (self->directory, &parcel->to);
    int why = mailbox == NULL                      ? ADR_METRIC_DROP_NO_ACTOR
              : !adr_mailbox_put_quietly (mailbox, parcel, &self->bells) ? ADR_METRIC_MAILBOX_FULL
                                                   : S_GOOD;
    if (why != S_GOOD) {
        s_refuse (self, local, foreign, why);
        adr_parcel_destroy (&parcel);
    }
}

/* A sound message is a routing id and one pack. What stands behind them is taken and forgotten. */
static bool
s_receive_frames (void *router, zmq_msg_t *routing_id, zmq_msg_t *pack)
{
    if (!zmq_msg_more (routing_id) || zmq_msg_recv (pack, router, ZMQ_DONTWAIT) < 0)
        return false;
    if (!zmq_msg_more (pack))
        return true;
    zmq_msg_t rest;
    zmq_msg_init (&rest);
    while (zmq_msg_recv (&rest, router, ZMQ_DONTWAIT) >= 0 && zmq_msg_more (&rest))
        ;
    zmq_msg_close (&rest);
    return false;
}

bool
adr_post_receive (adr_post_t *self, adr_post_local_t *local)
{
    zmq_msg_t routing_id;
    zmq_msg_init (&routing_id);
    if (zmq_msg_recv (&routing_id, local->router, ZMQ_DONTWAIT) < 0)
        return false;
    s_foreign_t *foreign = s_foreign_new ();
    int why = s_receive_frames (local->router, &routing_id, &foreign->message)
                  ? s_judge (self, local, &routing_id, foreign)
                  : ADR_METRIC_DROP_MALFORMED;
    zmq_msg_close (&routing_id);
    if (why == S_GOOD) {
        adr_metric_add (ADR_METRIC_PACKS_RECEIVED, 1);
        adr_metric_add (ADR_METRIC_BYTES_RECEIVED, foreign->parcel.pack.size);
        s_pass_on (self, local, foreign);
    } else {
        s_refuse (self, local, foreign, why);
        s_foreign_release (&foreign->parcel);
    }
    return true;
}

/* --- connections ------------------------------------------------------------------------------------------------ */

#define S_FAILURES \
    (ZMQ_EVENT_HANDSHAKE_FAILED_NO_DETAIL | ZMQ_EVENT_HANDSHAKE_FAILED_PROTOCOL | ZMQ_EVENT_HANDSHAKE_FAILED_AUTH)

bool
adr_post_start_watch (adr_post_t *self, adr_post_local_t *local)
{
    char endpoint[64];
    snprintf (endpoint, sizeof endpoint, "inproc://adr.watch.%s.%p", adr_post_lane_name (self->lane),
              local->router);
    if (zmq_socket_monitor (local->router, endpoint, ZMQ_EVENT_ACCEPTED | ZMQ_EVENT_DISCONNECTED | S_FAILURES) < 0)
        return false;
    adr_socket_options_t options = { .role = ADR_SOCKET_MONITOR };
    local->monitor = adr_socket_new (self->context, &options);
    if (local->monitor == NULL || zmq_connect (local->monitor, endpoint) < 0)
        return false;
    size_t size = sizeof local->monitor_descriptor;
    return zmq_getsockopt (local->monitor, ZMQ_FD, &local->monitor_descriptor, &size) == 0;
}

/* The descriptor belongs to the library, and may be closed, or be another connection's, by now: so only one that is
 * still a connection to this very door is shut. At worst that is another one than was meant, and dials again. */
static void
s_shut (const adr_post_local_t *local, int descriptor)
{
    struct sockaddr_storage address;
    socklen_t size = sizeof address;
    if (getsockname (descriptor, (struct sockaddr *) &address, &size) < 0)
        return;
    uint16_t port = address.ss_family == AF_INET    ? ntohs (((struct sockaddr_in *) &address)->sin_port)
                    : address.ss_family == AF_INET6 ? ntohs (((struct sockaddr_in6 *) &address)->sin6_port)
                                                    : 0;
    const char *colon = strrchr (local->listening, ':');
    if (colon && port && atoi (colon + 1) == port)
        shutdown (descriptor, SHUT_RDWR);
}

static void
s_hear (adr_post_t *self, adr_post_local_t *local, uint16_t event, uint32_t value)
{
    if (event == ZMQ_EVENT_DISCONNECTED && local->connections)
        local->connections--;
    if (event == ZMQ_EVENT_DISCONNECTED)
        s_forget_descriptor (self, (int) value);
    if (event & S_FAILURES)
        adr_metric_add (ADR_METRIC_HANDSHAKES_FAILED, 1);
    if (event != ZMQ_EVENT_ACCEPTED)
        return;
    local->connections++;
    if (local->connections <= self->connections_max)
        return;
    /* [POST-9] */
    static int64_t last_ns;
    adr_metric_add (ADR_METRIC_CONNECTIONS_REFUSED, 1);
    adr_log_rarely (&last_ns, ADR_LEVEL_WARNING, local->node->name,
                    "more connections than limits.connections on the %s lane -> closed limit=%u",
                    adr_post_lane_name (self->lane), self->connections_max);
    s_shut (local, (int) value);
}

void
adr_post_watch (adr_post_t *self, adr_post_local_t *local)
{
    uint8_t bytes[6], address[256];
    while (zmq_recv (local->monitor, bytes, sizeof bytes, ZMQ_DONTWAIT) == sizeof bytes) {
        uint16_t event;
        uint32_t value;
        memcpy (&event, bytes, sizeof event); /* in this machine's own order */
        memcpy (&value, bytes + 2, sizeof value);
        zmq_recv (local->monitor, address, sizeof address, ZMQ_DONTWAIT);
        s_hear (self, local, event, value);
    }
}

/* --- life ------------------------------------------------------------------------------------------------------- */

void
adr_post_prepare_receive (adr_post_t *self)
{
    self->newest = self->oldest = self->free_first = S_NONE;
    if (!adr_post_has_clients (self))
        return;
    self->connection = adr_alloc (self->connections_max * sizeof *self->connection);
    adr_chains_init (&self->by_id, self->connections_max);
    adr_chains_init (&self->by_routing_id, self->connections_max);
    adr_chains_init (&self->by_descriptor, self->connections_max);
}

void
adr_post_end_receive (adr_post_t *self)
{
    free (self->connection);
    adr_chains_free (&self->by_id);
    adr_chains_free (&self->by_routing_id);
    adr_chains_free (&self->by_descriptor);
}
