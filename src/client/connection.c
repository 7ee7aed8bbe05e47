/* SPDX-License-Identifier: MPL-2.0 */
/* One CURVE connection to an edge: see connection.h.
 *
 * The CURVE client's side has no fail-open to guard against: it knows the server's key, and sends nothing to anybody
 * else. ZMQ_IMMEDIATE makes a send fail while there is no connection, so that nothing queues for an edge that is not
 * there. Never linger: the session knows what was not answered. */

#include "client/connection.h"

#include "core/actor.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <zmq.h>

#define S_DIAL_MS 1500         /* a handshake on a link across an ocean takes under a second */
#define S_PAUSE_MS 100         /* between two dials of the round, so that dead edges are not hammered */
#define S_SILENT_MS 3000       /* an edge that answers nothing for so long while requests wait */
#define S_KEEPALIVE_S 1        /* notices a host that lost its power, which closes no connection; never by */
#define S_KEEPALIVE_COUNT 2    /* ZeroMQ's heartbeats, which may abort either side [POST-10] */
#define S_HIGH_WATER 1024

struct adr_connection {
    void *context;
    const adr_profile_t *profile;
    adr_session_t *session;
    uint32_t edge;
    void *socket, *monitor;
    bool up;
    int64_t now_ns;
    int64_t dial_at_ns;   /* without a socket: when to dial; with one that is not up: when to give it up */
    int64_t heard_ns;     /* the last pack, or the last moment in which none was due */
    char problem[200];
};

static void
s_set_int (void *socket, int option, int value)
{
    int rc = zmq_setsockopt (socket, option, &value, sizeof value);
    adr_assert (rc == 0);
}

static void
s_set (void *socket, int option, const void *value, size_t size)
{
    int rc = zmq_setsockopt (socket, option, value, size);
    adr_assert (rc == 0); /* the profile's reader let only whole keys through */
}

static void
s_set_options (adr_connection_t *self)
{
    const adr_profile_t *profile = self->profile;
    int64_t message_max = ADR_FRAME_MAX;
    s_set_int (self->socket, ZMQ_LINGER, 0);
    s_set_int (self->socket, ZMQ_IMMEDIATE, 1);
    s_set_int (self->socket, ZMQ_SNDHWM, S_HIGH_WATER);
    s_set_int (self->socket, ZMQ_RCVHWM, S_HIGH_WATER);
    s_set_int (self->socket, ZMQ_CONNECT_TIMEOUT, S_DIAL_MS);
    s_set_int (self->socket, ZMQ_HANDSHAKE_IVL, S_DIAL_MS);
    s_set_int (self->socket, ZMQ_TCP_KEEPALIVE, 1);
    s_set_int (self->socket, ZMQ_TCP_KEEPALIVE_IDLE, S_KEEPALIVE_S);
    s_set_int (self->socket, ZMQ_TCP_KEEPALIVE_INTVL, S_KEEPALIVE_S);
    s_set_int (self->socket, ZMQ_TCP_KEEPALIVE_CNT, S_KEEPALIVE_COUNT);
    s_set_int (self->socket, ZMQ_RECONNECT_IVL, -1); /* this file dials, and elsewhere */
    s_set (self->socket, ZMQ_MAXMSGSIZE, &message_max, sizeof message_max);
    s_set (self->socket, ZMQ_CURVE_PUBLICKEY, profile->curve_public, 32);
    s_set (self->socket, ZMQ_CURVE_SECRETKEY, profile->curve_secret, 32);
    s_set (self->socket, ZMQ_CURVE_SERVERKEY, profile->edge[self->edge].curve_key, 32);
}

static void
s_close (adr_connection_t *self)
{
    if (self->socket)
        zmq_socket_monitor (self->socket, NULL, 0);
    if (self->monitor)
        zmq_close (self->monitor);
    if (self->socket)
        zmq_close (self->socket);
    self->socket = self->monitor = NULL;
    self->up = false;
}

/* Closes, and dials the next edge after a pause. */
static void
s_give_up (adr_connection_t *self, const char *why)
{
    snprintf (self->problem, sizeof self->problem, "%s: %s", self->profile->edge[self->edge].endpoint, why);
    s_close (self);
    self->edge = (self->edge + 1) % self->profile->edge_count;
    self->dial_at_ns = self->now_ns + S_PAUSE_MS * ADR_MS;
}

static bool
s_open_sockets (adr_connection_t *self)
{
    char endpoint[64];
    self->socket = zmq_socket (self->context, ZMQ_DEALER);
    if (!self->socket)
        return false;
    s_set_options (self);
    snprintf (endpoint, sizeof endpoint, "inproc://monitor-%p", (void *) self);
    int events = ZMQ_EVENT_HANDSHAKE_SUCCEEDED | ZMQ_EVENT_HANDSHAKE_FAILED_NO_DETAIL
                 | ZMQ_EVENT_HANDSHAKE_FAILED_PROTOCOL | ZMQ_EVENT_HANDSHAKE_FAILED_AUTH | ZMQ_EVENT_DISCONNECTED
                 | ZMQ_EVENT_CLOSED;
    if (zmq_socket_monitor (self->socket, endpoint, events) != 0)
        return false;
    self->monitor = zmq_socket (self->context, ZMQ_PAIR);
    if (!self->monitor || zmq_connect (self->monitor, endpoint) != 0)
        return false;
    s_set_int (self->monitor, ZMQ_LINGER, 0);
    return zmq_connect (self->socket, self->profile->edge[self->edge].endpoint) == 0;
}

static void
s_dial (adr_connection_t *self)
{
    self->dial_at_ns = self->now_ns + (S_DIAL_MS + S_PAUSE_MS) * ADR_MS;
    if (!s_open_sockets (self))
        s_give_up (self, zmq_strerror (errno));
}

/* --- what the monitor says ------------------------------------------------------------------------------------ */

static void
s_came_up (adr_connection_t *self)
{
    self->up = true;
    self->heard_ns = self->now_ns;
    if (self->session)
        adr_session_send_again (self->session);
}

static void
s_heed (adr_connection_t *self, int event)
{
    switch (event) {
    case ZMQ_EVENT_HANDSHAKE_SUCCEEDED:
        s_came_up (self);
        break;
    case ZMQ_EVENT_HANDSHAKE_FAILED_AUTH:
        s_give_up (self, "the edge does not admit this client's key");
        break;
    case ZMQ_EVENT_HANDSHAKE_FAILED_NO_DETAIL:
    case ZMQ_EVENT_HANDSHAKE_FAILED_PROTOCOL:
        s_give_up (self, "the handshake failed: is curve-key the edge's, and this client's key known there?");
        break;
    default:
        s_give_up (self, self->up ? "the connection was lost" : "no connection");
    }
}

/* The first frame of a monitor's message begins with the event's number, in the host's order. */
static void
s_read_monitor (adr_connection_t *self)
{
    void *socket = self->socket;
    while (self->socket && self->socket == socket) {
        uint8_t frame[64];
        uint16_t event = 0;
        int more = 0;
        size_t size = sizeof more;
        if (zmq_recv (self->monitor, frame, sizeof frame, ZMQ_DONTWAIT) < (int) sizeof event)
            return;
        memcpy (&event, frame, sizeof event);
        zmq_getsockopt (self->monitor, ZMQ_RCVMORE, &more, &size);
        if (more)
            zmq_recv (self->monitor, frame, sizeof frame, ZMQ_DONTWAIT);
        s_heed (self, event);
    }
}

/* --- packs ---------------------------------------------------------------------------------------------------- */

bool
adr_connection_send (void *argument, adr_bytes_t pack)
{
    adr_connection_t *self = argument;
    return self->up && zmq_send (self->socket, pack.data, pack.size, ZMQ_DONTWAIT) == (int) pack.size;
}

int
adr_connection_receive (adr_connection_t *self, int most)
{
    int count = 0;
    while (self->socket && count < most) {
        zmq_msg_t message;
        zmq_msg_init (&message);
        if (zmq_msg_recv (&message, self->socket, ZMQ_DONTWAIT) < 0) {
            zmq_msg_close (&message);
            break;
        }
        self->heard_ns = self->now_ns;
        adr_session_receive (self->session, adr_bytes (zmq_msg_data (&message), zmq_msg_size (&message)));
        zmq_msg_close (&message);
        count++;
    }
    return count;
}

/* --- life ----------------------------------------------------------------------------------------------------- */

void
adr_connection_tick (adr_connection_t *self, int64_t now_ns)
{
    if (now_ns > self->now_ns)
        self->now_ns = now_ns;
    if (self->socket)
        s_read_monitor (self);
    if (!self->socket && self->now_ns >= self->dial_at_ns)
        s_dial (self);
    if (self->socket && !self->up && self->now_ns >= self->dial_at_ns)
        s_give_up (self, "no connection in time");
    if (self->up && adr_session_pending (self->session) == 0)
        self->heard_ns = self->now_ns;
    else if (self->up && self->now_ns - self->heard_ns >= S_SILENT_MS * ADR_MS)
        s_give_up (self, "the edge answers nothing");
}

int64_t
adr_connection_wake_at (const adr_connection_t *self)
{
    if (!self->up)
        return self->dial_at_ns;
    return adr_session_pending (self->session) ? self->heard_ns + S_SILENT_MS * ADR_MS : ADR_NEVER;
}

adr_connection_t *
adr_connection_new (void *context, const adr_profile_t *profile, uint32_t first)
{
    adr_connection_t *self = adr_alloc (sizeof *self);
    adr_assert (profile->edge_count > 0);
    self->context = context;
    self->profile = profile;
    self->edge = first % profile->edge_count;
    strcpy (self->problem, "not connected yet");
    return self;
}

void
adr_connection_attach (adr_connection_t *self, adr_session_t *session)
{
    self->session = session;
}

void
adr_connection_destroy (adr_connection_t **self_p)
{
    adr_connection_t *self = *self_p;
    if (!self)
        return;
    *self_p = NULL;
    s_close (self);
    free (self);
}

void *
adr_connection_socket (const adr_connection_t *self)
{
    return self->socket;
}

void *
adr_connection_monitor (const adr_connection_t *self)
{
    return self->monitor;
}

bool
adr_connection_is_up (const adr_connection_t *self)
{
    return self->up;
}

const char *
adr_connection_problem (const adr_connection_t *self)
{
    return self->problem;
}
