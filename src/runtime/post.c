/* SPDX-License-Identifier: MPL-2.0 */
/* Post: see post.h. This file sends and runs the thread; post_receive.c judges what comes in. */

#include "runtime/post_private.h"

#include "runtime/clock.h"
#include "runtime/log.h"
#include "runtime/metrics.h"
#include "wire/pack.h"

#include <errno.h>
#include <poll.h>
#include <sodium.h>
#include <sched.h>
#include <stdlib.h>

#define S_COPY_MAX 4096 /* smaller packs are copied: cheaper than to hand memory from thread to thread */
#define S_ROUNDS_MAX 128 /* packs taken from one ROUTER before the others, and the mailbox, get their turn */
#define S_RETRY_MS 2

static const char *const s_domains[ADR_POST_COUNT]
    = { [ADR_POST_CONTROL] = ADR_DOMAIN_CONTROL, [ADR_POST_BULK] = ADR_DOMAIN_BULK, [ADR_POST_CLIENT] = ADR_DOMAIN_CLIENT,
        [ADR_POST_ADOPTION] = ADR_DOMAIN_ADOPTION };

static const int s_high_water[ADR_POST_COUNT] = { [ADR_POST_CONTROL] = ADR_HIGH_WATER_CONTROL,
                                                  [ADR_POST_BULK] = ADR_HIGH_WATER_BULK,
                                                  [ADR_POST_CLIENT] = ADR_HIGH_WATER_CLIENT,
                                                  [ADR_POST_ADOPTION] = ADR_HIGH_WATER_CLIENT };

/* Control has one of ZeroMQ's threads for itself; left to the library, its connections share with bulk's and clients'. */
static uint32_t
s_io_thread (adr_post_lane_t lane)
{
    return lane == ADR_POST_CONTROL ? 0 : 1;
}

static const char *
s_endpoint (const adr_map_node_t *node, adr_post_lane_t lane)
{
    switch (lane) {
    case ADR_POST_CONTROL:
        return node->control;
    case ADR_POST_BULK:
        return node->bulk;
    case ADR_POST_CLIENT:
        return node->type == ADR_NODE_EDGE ? node->client : "";
    case ADR_POST_ADOPTION:
        return node->type == ADR_NODE_PKI ? node->client : "";
    case ADR_POST_COUNT:
        break;
    }
    return "";
}

/* --- what leaves ------------------------------------------------------------------------------------------------ */

static adr_unsent_t *
s_unsent_new (void)
{
    adr_unsent_t *self = adr_alloc (sizeof *self);
    self->holders = 1;
    return self;
}

static void
s_unsent_release (adr_unsent_t *self)
{
    if (self && __atomic_sub_fetch (&self->holders, 1, __ATOMIC_ACQ_REL) == 0)
        free (self);
}

/* Counts the pack, unless there is no room for it. */
static bool
s_unsent_add (adr_unsent_t *self, adr_parcel_t *parcel)
{
    if (__atomic_load_n (&self->bytes, __ATOMIC_RELAXED) + parcel->pack.size > ADR_POST_UNSENT_BYTES_MAX)
        return false;
    __atomic_add_fetch (&self->bytes, parcel->pack.size, __ATOMIC_RELAXED);
    __atomic_add_fetch (&self->holders, 1, __ATOMIC_RELAXED);
    parcel->unsent = self;
    return true;
}

static void
s_unsent_remove (adr_parcel_t *parcel)
{
    __atomic_sub_fetch (&parcel->unsent->bytes, parcel->pack.size, __ATOMIC_RELAXED);
    s_unsent_release (parcel->unsent);
    parcel->unsent = NULL;
}

/* Runs on one of ZeroMQ's threads when the bytes have left, or here when the message is closed unsent. */
static void
s_free_parcel (void *data, void *hint)
{
    (void) data;
    adr_parcel_t *parcel = hint;
    s_unsent_remove (parcel);
    if (parcel->held)
        return; /* the send failed, and whoever tried still has it */
    adr_parcel_destroy (&parcel);
}

/* The message's bytes are the pack's own, or a copy where that is cheaper. False: no memory. */
static bool
s_message_init (zmq_msg_t *message, adr_parcel_t *parcel, bool copied)
{
    if (!copied)
        return zmq_msg_init_data (message, (void *) parcel->pack.data, parcel->pack.size, s_free_parcel, parcel) == 0;
    if (zmq_msg_init_size (message, parcel->pack.size) != 0)
        return false;
    memcpy (zmq_msg_data (message), parcel->pack.data, parcel->pack.size);
    return true;
}

/* Sends the pack; on success it is gone. Returns 0, or an errno value and the pack is still the caller's. */
static int
s_send (void *socket, adr_parcel_t *parcel, adr_unsent_t *unsent)
{
    zmq_msg_t message;
    bool copied = parcel->pack.size <= S_COPY_MAX;
    if (!copied && !s_unsent_add (unsent, parcel))
        return EAGAIN;
    parcel->held = true;
    if (!s_message_init (&message, parcel, copied)) {
        if (!copied)
            s_unsent_remove (parcel);
        return ENOMEM;
    }
    /* Once sent the bytes may be freed at any moment by another thread: so say who frees them before. */
    parcel->held = copied;
    size_t size = parcel->pack.size;
    if (zmq_msg_send (&message, socket, ZMQ_DONTWAIT) < 0) {
        int error = errno;
        parcel->held = true;
        zmq_msg_close (&message);
        return error;
    }
    if (copied)
        adr_parcel_destroy (&parcel);
    adr_metric_add (ADR_METRIC_PACKS_SENT, 1);
    adr_metric_add (ADR_METRIC_BYTES_SENT, size);
    return 0;
}

static void
s_drop (adr_parcel_t *parcel, adr_metric_t why)
{
    adr_metric_add (why, 1);
    adr_parcel_destroy (&parcel);
}

/* --- peers ------------------------------------------------------------------------------------------------------ */

/* Under the peer's mutex. [POST-6] Empties the queue, and asks for a connection as if for the first time. */
void
adr_post_dial (adr_post_t *self, adr_peer_t *peer)
{
    const char *endpoint = s_endpoint (peer->to, self->lane);
    if (peer->shut)
        return;
    if (peer->dialled_ns)
        zmq_disconnect (peer->socket, endpoint);
    int rc = zmq_connect (peer->socket, endpoint);
    adr_assert (rc == 0 || errno != ETERM);
    peer->dialled_ns = adr_clock_now_ns ();
    peer->taken_since = false;
    adr_metric_add (ADR_METRIC_DIALS, 1);
}

static adr_peer_t *
s_peer_new (adr_post_t *self, const adr_post_local_t *from, uint32_t to)
{
    const adr_map_node_t *node = adr_directory_node_at (self->directory, to);
    adr_socket_options_t options = { .role = ADR_SOCKET_DEALER,
                                     .secret_key = from->secret_key,
                                     .public_key = from->node->curve_key,
                                     .server_key = node->curve_key,
                                     .io_thread = s_io_thread (self->lane),
                                     .high_water = s_high_water[self->lane] };
    void *socket = adr_socket_new (self->context, &options);
    if (socket == NULL)
        return NULL;
    adr_peer_t *peer = adr_alloc (sizeof *peer);
    pthread_mutex_init (&peer->mutex, NULL);
    peer->socket = socket;
    peer->to = node;
    peer->unsent = s_unsent_new ();
    adr_post_dial (self, peer);
    return peer;
}

/* The way from one of our nodes to the pack's destination, made if need be; NULL: there is none. */
static adr_peer_t *
s_peer_for (adr_post_t *self, const adr_parcel_t *parcel)
{
    int to = adr_directory_node (self->directory, &parcel->to.node);
    adr_post_local_t *from = adr_post_local (self, &parcel->from.node);
    if (to < 0 || from == NULL)
        return NULL;
    adr_peer_t *peer = __atomic_load_n (&from->peer[to], __ATOMIC_ACQUIRE);
    if (peer)
        return peer;
    pthread_mutex_lock (&self->making);
    peer = from->peer[to];
    if (peer == NULL) {
        peer = s_peer_new (self, from, (uint32_t) to);
        __atomic_store_n (&from->peer[to], peer, __ATOMIC_RELEASE);
    }
    pthread_mutex_unlock (&self->making);
    return peer;
}

static void
s_peer_destroy (adr_peer_t **self)
{
    if (*self == NULL)
        return;
    adr_socket_destroy (&(*self)->socket);
    adr_parcels_destroy (&(*self)->first);
    s_unsent_release ((*self)->unsent);
    pthread_mutex_destroy (&(*self)->mutex);
    free (*self);
    *self = NULL;
}

/* [POST-2] Numbered at the last moment, in the order in which the socket takes them. */
static int
s_send_to_peer (adr_post_t *self, adr_peer_t *peer, adr_parcel_t *parcel)
{
    adr_pack_number (&parcel->buffer, peer->sequence + 1, adr_directory_epoch (self->directory));
    int error = s_send (peer->socket, parcel, peer->unsent);
    if (error == EAGAIN) {
        /* The library looks at what its threads say only now and then; asked for events it looks at once. */
        int events;
        size_t size = sizeof events;
        zmq_getsockopt (peer->socket, ZMQ_EVENTS, &events, &size);
        if (events & ZMQ_POLLOUT)
            error = s_send (peer->socket, parcel, peer->unsent);
    }
    if (error == 0) {
        peer->sequence++;
        peer->taken_since = true;
        peer->refused_ns = 0;
    }
    return error;
}

/* [POST-5] What comes while a connection is being made waits for it, bounded in bytes and time. */
static void
s_hold (adr_post_t *self, adr_peer_t *peer, adr_parcel_t *parcel, int64_t now_ns)
{
    if (peer->backlog_bytes + parcel->pack.size > ADR_POST_BACKLOG_BYTES_MAX) {
        s_drop (parcel, ADR_METRIC_SEND_UNREACHABLE);
        return;
    }
    parcel->next = NULL;
    parcel->token = (uint64_t) now_ns;
    if (peer->first)
        peer->last->next = parcel;
    else {
        peer->first = parcel;
        self->backlogs++;
    }
    peer->last = parcel;
    peer->backlog_bytes += parcel->pack.size;
}

static adr_parcel_t *
s_unhold (adr_post_t *self, adr_peer_t *peer)
{
    adr_parcel_t *parcel = peer->first;
    peer->first = parcel->next;
    peer->backlog_bytes -= parcel->pack.size;
    if (peer->first == NULL)
        self->backlogs--;
    return parcel;
}

/* Sends what waits for the connection, drops what has waited too long. A pack that was sent is gone, so each is taken
 * off the list before it is tried. */
static void
s_try_backlog (adr_post_t *self, adr_peer_t *peer, int64_t now_ns)
{
    while (peer->first) {
        adr_parcel_t *parcel = s_unhold (self, peer);
        if (now_ns - (int64_t) parcel->token > ADR_POST_BACKLOG_MS * ADR_MS || peer->shut) {
            s_drop (parcel, ADR_METRIC_SEND_UNREACHABLE);
            continue;
        }
        if (s_send_to_peer (self, peer, parcel) == 0)
            continue;
        parcel->next = peer->first; /* back to where it was */
        if (peer->first == NULL) {
            peer->last = parcel;
            self->backlogs++;
        }
        peer->first = parcel;
        peer->backlog_bytes += parcel->pack.size;
        return;
    }
}

/* [POST-6] A connection that takes nothing for long is made anew. */
static void
s_note_refusal (adr_post_t *self, adr_peer_t *peer, int64_t now_ns)
{
    if (peer->refused_ns == 0)
        peer->refused_ns = now_ns;
    int64_t since_ns = peer->refused_ns > peer->dialled_ns ? peer->refused_ns : peer->dialled_ns;
    if (!peer->shut && now_ns - since_ns > ADR_POST_REDIAL_MS * ADR_MS)
        adr_post_dial (self, peer);
}

/* Under the peer's mutex: a pack that the socket would not take from the actor's own thread. */
static void
s_carry_held (adr_post_t *self, adr_peer_t *peer, adr_parcel_t *parcel)
{
    int64_t now_ns = adr_clock_now_ns ();
    if (peer->first)
        s_try_backlog (self, peer, now_ns);
    if (peer->first) {
        s_hold (self, peer, parcel, now_ns);
        return;
    }
    int error = s_send_to_peer (self, peer, parcel);
    if (error == 0)
        return;
    if (error == EAGAIN && !peer->taken_since)
        s_hold (self, peer, parcel, now_ns);
    else
        s_drop (parcel, ADR_METRIC_SEND_REFUSED);
    s_note_refusal (self, peer, now_ns);
}

static void
s_carry_to_node (adr_post_t *self, adr_parcel_t *parcel)
{
    adr_peer_t *peer = s_peer_for (self, parcel);
    if (peer == NULL) { /* it was there when the pack was diverted, and has been evicted since */
        s_drop (parcel, ADR_METRIC_SEND_UNREACHABLE);
        return;
    }
    pthread_mutex_lock (&peer->mutex);
    peer->diverted--;
    s_carry_held (self, peer, parcel);
    pthread_mutex_unlock (&peer->mutex);
}

/* On the thread of the actor that sends. What the socket does not take, and what comes while such a pack waits, goes
 * to post's own thread, which holds it, drops it, or dials. */
static bool
s_carry_from_actor (void *argument, adr_parcel_t *parcel, adr_bells_t *bells)
{
    adr_post_t *self = argument;
    if (parcel->to.actor == ADR_ACTOR_CLIENT)
        return adr_mailbox_put_quietly (self->mailbox, parcel, bells);
    adr_peer_t *peer = s_peer_for (self, parcel);
    if (peer == NULL) {
        s_drop (parcel, ADR_METRIC_SEND_UNREACHABLE);
        return true;
    }
    pthread_mutex_lock (&peer->mutex);
    bool taken = peer->diverted == 0 && peer->first == NULL && s_send_to_peer (self, peer, parcel) == 0;
    if (!taken) {
        peer->diverted++;
        taken = adr_mailbox_put_quietly (self->mailbox, parcel, bells);
        peer->diverted -= !taken;
    }
    pthread_mutex_unlock (&peer->mutex);
    return taken;
}

/* Both frames of an answer; as s_send. A routing id without its pack would take the next client's for it. */
static int
s_send_to_client (adr_post_t *self, const adr_connection_t *connection, adr_parcel_t *parcel)
{
    void *router = self->local[connection->local].router;
    if (zmq_send (router, connection->routing_id, connection->routing_id_size, ZMQ_SNDMORE | ZMQ_DONTWAIT) < 0)
        return errno;
    int error = s_send (router, parcel, self->unsent);
    if (error)
        zmq_send (router, "", 0, ZMQ_DONTWAIT);
    return error;
}

/* [POST-8] Answers leave by the ROUTER that the client came by. */
static void
s_carry_to_client (adr_post_t *self, adr_parcel_t *parcel)
{
    adr_connection_t *connection = adr_post_client (self, &parcel->to.node);
    if (connection == NULL) {
        s_drop (parcel, ADR_METRIC_CLIENT_GONE);
        return;
    }
    self->local[connection->local].router_ready = true;
    adr_pack_number (&parcel->buffer, ++connection->sent, adr_directory_epoch (self->directory));
    int error = s_send_to_client (self, connection, parcel);
    if (error == 0)
        return;
    if (error == EHOSTUNREACH)
        adr_post_forget_client (self, connection);
    s_drop (parcel, error == EAGAIN ? ADR_METRIC_SEND_REFUSED : ADR_METRIC_CLIENT_GONE);
}

static void
s_carry (adr_post_t *self, adr_parcel_t *list)
{
    while (list) {
        adr_parcel_t *parcel = list;
        list = parcel->next;
        if (parcel->kind != ADR_PARCEL_PACK)
            adr_parcel_destroy (&parcel);
        else if (parcel->to.actor == ADR_ACTOR_CLIENT)
            s_carry_to_client (self, parcel);
        else
            s_carry_to_node (self, parcel);
    }
}

static void
s_try_backlogs (adr_post_t *self)
{
    int64_t now_ns = adr_clock_now_ns ();
    uint32_t node_count = adr_directory_node_count (self->directory);
    for (uint32_t i = 0; i < self->local_count && self->backlogs; i++)
        for (uint32_t to = 0; to < node_count && self->backlogs; to++) {
            adr_peer_t *peer = __atomic_load_n (&self->local[i].peer[to], __ATOMIC_ACQUIRE);
            if (peer == NULL)
                continue;
            pthread_mutex_lock (&peer->mutex);
            if (peer->first)
                s_try_backlog (self, peer, now_ns);
            if (peer->first)
                s_note_refusal (self, peer, now_ns);
            pthread_mutex_unlock (&peer->mutex);
        }
}

/* --- the thread ------------------------------------------------------------------------------------------------- */

/* ZeroMQ's descriptors tell of changes, not of states: a socket that was asked until it had nothing is good to wait
 * for, and only one that has news is asked, because asking costs two system calls even where there is nothing. A send
 * may swallow the news of what came in on the same socket, so who was sent on is asked, too. */
static void
s_poll (adr_post_t *self, int wait_ms)
{
    struct pollfd items[2 * ADR_POST_LOCALS_MAX + 1];
    nfds_t count = 0;
    items[count++] = (struct pollfd){ adr_mailbox_descriptor (self->mailbox), POLLIN, 0 };
    for (uint32_t i = 0; i < self->local_count; i++) {
        items[count++] = (struct pollfd){ self->local[i].router ? self->local[i].descriptor : -1, POLLIN, 0 };
        items[count++] = (struct pollfd){ self->local[i].monitor ? self->local[i].monitor_descriptor : -1, POLLIN, 0 };
    }
    int rc = poll (items, count, wait_ms);
    adr_assert (rc >= 0 || errno == EINTR);
    for (uint32_t i = 0; rc > 0 && i < self->local_count; i++) {
        self->local[i].router_ready |= items[2 * i + 1].revents != 0;
        self->local[i].monitor_ready |= items[2 * i + 2].revents != 0;
    }
}

static bool
s_receive_all (adr_post_t *self)
{
    bool any = false;
    for (uint32_t i = 0; i < self->local_count; i++) {
        adr_post_local_t *local = &self->local[i];
        for (int round = 0; local->router_ready && round < S_ROUNDS_MAX; round++) {
            local->router_ready = adr_post_receive (self, local);
            any |= local->router_ready;
        }
        if (local->monitor_ready)
            adr_post_watch (self, local);
        local->monitor_ready = false;
    }
    adr_bells_ring (&self->bells);
    return any;
}

/* Gives those that fill the mailbox and the sockets their turn before it sleeps: at load there is more then, and nobody
 * had to wake anybody. Costs two system calls where there is nothing. */
static void
s_wait (adr_post_t *self, bool *patient)
{
    if (!*patient) {
        *patient = true;
        sched_yield ();
        s_poll (self, 0);
        return;
    }
    *patient = false;
    if (!adr_mailbox_sleep (self->mailbox))
        return;
    s_poll (self, self->backlogs ? S_RETRY_MS : -1);
    adr_mailbox_awake (self->mailbox);
}

static void
s_run (zsock_t *pipe, void *argument)
{
    adr_post_t *self = argument;
    bool patient = false;
    char name[32];
    snprintf (name, sizeof name, "post %s", adr_post_lane_name (self->lane));
    adr_log_name_thread (name);
    zsock_signal (pipe, 0);
    while (!adr_mailbox_is_closed (self->mailbox)) {
        adr_parcel_t *list = adr_mailbox_take (self->mailbox);
        s_carry (self, list);
        if (self->backlogs)
            s_try_backlogs (self);
        if (s_receive_all (self) || list)
            patient = false;
        else
            s_wait (self, &patient);
    }
    s_carry (self, adr_mailbox_take (self->mailbox));
}

/* --- life ------------------------------------------------------------------------------------------------------- */

adr_post_local_t *
adr_post_local (adr_post_t *self, const adr_id_t *node)
{
    for (uint32_t i = 0; i < self->local_count; i++)
        if (adr_id_equal (&self->local[i].node->id, node))
            return &self->local[i];
    return NULL;
}

static bool
s_bind (adr_post_t *self, adr_post_local_t *local, char *error, size_t error_size)
{
    const char *endpoint = s_endpoint (local->node, self->lane);
    if (*endpoint == 0)
        return true; /* only edges have a door for clients, and PKI nodes one for strangers */
    adr_socket_options_t options = { .role = ADR_SOCKET_ROUTER,
                                     .domain = s_domains[self->lane],
                                     .io_thread = s_io_thread (self->lane),
                                     .secret_key = local->secret_key,
                                     .message_max = self->lane == ADR_POST_ADOPTION ? ADR_POST_STRANGER_BYTES_MAX : 0,
                                     .high_water = s_high_water[self->lane] };
    local->router = adr_socket_new (self->context, &options);
    if (local->router && adr_post_start_watch (self, local) && zmq_bind (local->router, endpoint) == 0) {
        size_t size = sizeof local->descriptor;
        int rc = zmq_getsockopt (local->router, ZMQ_FD, &local->descriptor, &size);
        adr_assert (rc == 0);
        size = sizeof local->listening;
        rc = zmq_getsockopt (local->router, ZMQ_LAST_ENDPOINT, local->listening, &size);
        adr_assert (rc == 0);
        local->router_ready = local->monitor_ready = true;
        return true;
    }
    snprintf (error, error_size, "%s: %s cannot be bound: %s", local->node->name, endpoint, zmq_strerror (errno));
    return false;
}

adr_post_t *
adr_post_new (const adr_post_options_t *options, char *error, size_t error_size)
{
    adr_assert (options->node_count <= ADR_POST_LOCALS_MAX);
    adr_post_t *self = adr_alloc (sizeof *self);
    self->context = options->context;
    self->directory = options->directory;
    self->lane = options->lane;
    self->connections_max = options->connections_max;
    pthread_mutex_init (&self->making, NULL);
    self->mailbox = adr_mailbox_new (ADR_POST_BYTES_MAX);
    self->unsent = s_unsent_new ();
    adr_post_prepare_receive (self);
    bool good = true;
    for (uint32_t i = 0; i < options->node_count && good; i++) {
        adr_post_local_t *local = &self->local[self->local_count++];
        const adr_post_node_t *node = &options->node[i];
        *local = (adr_post_local_t){ .node = node->node, .secret_key = node->secret_key };
        local->peer = adr_alloc (ADR_NODES_MAX * sizeof local->peer[0]); /* memory that nobody touches is none */
        local->seen = adr_alloc (ADR_NODES_MAX * sizeof local->seen[0]);
        good = s_bind (self, local, error, error_size);
    }
    if (good)
        adr_directory_set_post (self->directory, self->lane, s_carry_from_actor, self);
    else
        adr_post_destroy (&self);
    return self;
}

void
adr_post_start (adr_post_t *self)
{
    self->thread = zactor_new (s_run, self);
    adr_assert (self->thread);
}

/* [TRUST-3] What came before leaves no trace on the wire: a connection that is gone takes nothing. */
void
adr_post_hang_up (adr_post_t *self)
{
    uint32_t node_count = adr_directory_node_count (self->directory);
    for (uint32_t i = 0; i < self->local_count; i++)
        for (uint32_t to = 0; to < node_count; to++) {
            adr_peer_t *peer = __atomic_load_n (&self->local[i].peer[to], __ATOMIC_ACQUIRE);
            if (peer == NULL || adr_directory_node (self->directory, &peer->to->id) >= 0)
                continue;
            pthread_mutex_lock (&peer->mutex);
            if (!peer->shut)
                zmq_disconnect (peer->socket, s_endpoint (peer->to, self->lane));
            peer->shut = true;
            pthread_mutex_unlock (&peer->mutex);
        }
}

void
adr_post_halt (adr_post_t *self)
{
    adr_mailbox_close (self->mailbox);
    zactor_destroy (&self->thread);
}

void
adr_post_destroy (adr_post_t **self)
{
    adr_post_t *post = *self;
    if (post == NULL)
        return;
    adr_post_halt (post);
    uint32_t node_count = adr_directory_node_count (post->directory);
    for (uint32_t i = 0; i < post->local_count; i++) {
        adr_post_local_t *local = &post->local[i];
        for (uint32_t to = 0; to < node_count; to++)
            s_peer_destroy (&local->peer[to]);
        free (local->peer);
        free (local->seen);
        if (local->monitor)
            adr_socket_destroy (&local->monitor);
        if (local->router)
            adr_socket_destroy (&local->router);
    }
    adr_post_end_receive (post);
    adr_mailbox_destroy (&post->mailbox);
    s_unsent_release (post->unsent);
    pthread_mutex_destroy (&post->making);
    free (post);
    *self = NULL;
}
