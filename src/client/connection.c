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
#define S_MOVE_PAUSE_MS 10000  /* between two moves to a master's edge: masters that come and go are not run after */
#define S_LEAVE_PAUSE_MS 1000  /* between two tries to leave an edge that is being drained */
#define S_AVOID_MS 60000       /* who drains, or could not be reached then, is not moved to */
#define S_MOVE_WAIT_MS 500     /* for the answers that the old edge still owes, with nothing new sent meanwhile */
#define S_MOVE_STEP_MS 2       /* how often a move is looked at */

/* A socket to one edge. */
typedef struct {
    uint32_t edge;
    void *socket, *monitor;
    bool up;
} s_line_t;

struct adr_connection {
    void *context;
    const adr_profile_t *profile;
    adr_session_t *session;
    s_line_t line;        /* the one that is used */
    s_line_t next;        /* to the edge beside the master, while we move there */
    int64_t move_end_ns;  /* when that is given up */
    int64_t move_at_ns;   /* no move to a master's edge before */
    int64_t leave_at_ns;  /* no move away from an edge that is being drained before */
    int64_t avoid_ns[ADR_PROFILE_EDGES_MAX]; /* until then no move to it */
    uint32_t dials;
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
s_set_options (const adr_connection_t *self, const s_line_t *line)
{
    const adr_profile_t *profile = self->profile;
    int64_t message_max = ADR_FRAME_MAX;
    s_set_int (line->socket, ZMQ_LINGER, 0);
    s_set_int (line->socket, ZMQ_IMMEDIATE, 1);
    s_set_int (line->socket, ZMQ_SNDHWM, S_HIGH_WATER);
    s_set_int (line->socket, ZMQ_RCVHWM, S_HIGH_WATER);
    s_set_int (line->socket, ZMQ_CONNECT_TIMEOUT, S_DIAL_MS);
    s_set_int (line->socket, ZMQ_HANDSHAKE_IVL, S_DIAL_MS);
    s_set_int (line->socket, ZMQ_TCP_KEEPALIVE, 1);
    s_set_int (line->socket, ZMQ_TCP_KEEPALIVE_IDLE, S_KEEPALIVE_S);
    s_set_int (line->socket, ZMQ_TCP_KEEPALIVE_INTVL, S_KEEPALIVE_S);
    s_set_int (line->socket, ZMQ_TCP_KEEPALIVE_CNT, S_KEEPALIVE_COUNT);
    s_set_int (line->socket, ZMQ_RECONNECT_IVL, -1); /* this file dials, and elsewhere */
    s_set (line->socket, ZMQ_MAXMSGSIZE, &message_max, sizeof message_max);
    s_set (line->socket, ZMQ_CURVE_PUBLICKEY, profile->curve_public, 32);
    s_set (line->socket, ZMQ_CURVE_SECRETKEY, profile->curve_secret, 32);
    s_set (line->socket, ZMQ_CURVE_SERVERKEY, profile->edge[line->edge].curve_key, 32);
}

/* --- lines ---------------------------------------------------------------------------------------------------- */

static void
s_close (s_line_t *line)
{
    if (line->socket)
        zmq_socket_monitor (line->socket, NULL, 0);
    if (line->monitor)
        zmq_close (line->monitor);
    if (line->socket)
        zmq_close (line->socket);
    line->socket = line->monitor = NULL;
    line->up = false;
}

static bool
s_open (adr_connection_t *self, s_line_t *line)
{
    char endpoint[64];
    line->socket = zmq_socket (self->context, ZMQ_DEALER);
    if (!line->socket)
        return false;
    s_set_options (self, line);
    snprintf (endpoint, sizeof endpoint, "inproc://monitor-%p-%u", (void *) self, ++self->dials);
    int events = ZMQ_EVENT_HANDSHAKE_SUCCEEDED | ZMQ_EVENT_HANDSHAKE_FAILED_NO_DETAIL
                 | ZMQ_EVENT_HANDSHAKE_FAILED_PROTOCOL | ZMQ_EVENT_HANDSHAKE_FAILED_AUTH | ZMQ_EVENT_DISCONNECTED
                 | ZMQ_EVENT_CLOSED;
    if (zmq_socket_monitor (line->socket, endpoint, events) != 0)
        return false;
    line->monitor = zmq_socket (self->context, ZMQ_PAIR);
    if (!line->monitor || zmq_connect (line->monitor, endpoint) != 0)
        return false;
    s_set_int (line->monitor, ZMQ_LINGER, 0);
    return zmq_connect (line->socket, self->profile->edge[line->edge].endpoint) == 0;
}

/* The next event of the line's monitor; 0 if there is none. The first frame of a message begins with the event's
 * number, in the host's order. */
static int
s_hear (const s_line_t *line)
{
    uint8_t frame[64];
    uint16_t event = 0;
    int more = 0;
    size_t size = sizeof more;
    if (!line->monitor || zmq_recv (line->monitor, frame, sizeof frame, ZMQ_DONTWAIT) < (int) sizeof event)
        return 0;
    memcpy (&event, frame, sizeof event);
    zmq_getsockopt (line->monitor, ZMQ_RCVMORE, &more, &size);
    if (more)
        zmq_recv (line->monitor, frame, sizeof frame, ZMQ_DONTWAIT);
    return event;
}

/* --- the line that is used ------------------------------------------------------------------------------------ */

/* Closes, and dials the next edge after a pause. */
static void
s_give_up (adr_connection_t *self, const char *why)
{
    s_line_t *line = &self->line;
    snprintf (self->problem, sizeof self->problem, "%s: %s", self->profile->edge[line->edge].endpoint, why);
    s_close (&self->next);
    s_close (line);
    line->edge = (line->edge + 1) % self->profile->edge_count;
    self->dial_at_ns = self->now_ns + S_PAUSE_MS * ADR_MS;
}

static void
s_dial (adr_connection_t *self)
{
    self->dial_at_ns = self->now_ns + (S_DIAL_MS + S_PAUSE_MS) * ADR_MS;
    if (!s_open (self, &self->line))
        s_give_up (self, zmq_strerror (errno));
}

static void
s_came_up (adr_connection_t *self)
{
    self->line.up = true;
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
        s_give_up (self, self->line.up ? "the connection was lost" : "no connection");
    }
}

static void
s_read_monitor (adr_connection_t *self)
{
    int event;
    while ((event = s_hear (&self->line)) != 0)
        s_heed (self, event);
}

/* --- moving to the master's edge, and away from one that is drained ----------------------------------------------- */

/* The user's list is all that there is to choose from: only its edges' keys are known. */
static bool
s_find_edge (const adr_profile_t *profile, const char *endpoint, uint32_t *edge)
{
    for (uint32_t i = 0; i < profile->edge_count; i++)
        if (strcmp (profile->edge[i].endpoint, endpoint) == 0) {
            *edge = i;
            return true;
        }
    return false;
}

static void
s_move_to (adr_connection_t *self, uint32_t edge)
{
    self->move_end_ns = self->now_ns + S_DIAL_MS * ADR_MS;
    self->next.edge = edge;
    if (!s_open (self, &self->next))
        s_close (&self->next);
}

static void
s_consider_move (adr_connection_t *self)
{
    char endpoint[ADR_ENDPOINT_MAX + 1];
    uint32_t edge;
    if (!adr_session_take_hint (self->session, endpoint) || self->now_ns < self->move_at_ns
        || !s_find_edge (self->profile, endpoint, &edge) || edge == self->line.edge)
        return;
    self->move_at_ns = self->now_ns + S_MOVE_PAUSE_MS * ADR_MS;
    s_move_to (self, edge);
}

/* [EDGE-9] The profile's next edge that is not known to be drained, or gone. False: there is none, and this one serves on. */
static bool
s_find_other (const adr_connection_t *self, uint32_t *edge)
{
    for (uint32_t i = 1; i < self->profile->edge_count; i++) {
        *edge = (self->line.edge + i) % self->profile->edge_count;
        if (self->now_ns >= self->avoid_ns[*edge])
            return true;
    }
    return false;
}

static void
s_leave_drained (adr_connection_t *self)
{
    uint32_t edge;
    if (self->now_ns < self->leave_at_ns || !adr_session_take_draining (self->session))
        return;
    self->leave_at_ns = self->now_ns + S_LEAVE_PAUSE_MS * ADR_MS;
    self->avoid_ns[self->line.edge] = self->now_ns + S_AVOID_MS * ADR_MS;
    if (s_find_other (self, &edge))
        s_move_to (self, edge);
}

/* It is no fault of the new edge if the old one owed answers for too long. */
static void
s_give_up_move (adr_connection_t *self)
{
    if (!self->next.up)
        self->avoid_ns[self->next.edge] = self->now_ns + S_AVOID_MS * ADR_MS;
    s_close (&self->next);
}

/* The new line is used when it is up and the old one owes nothing: a request that went by both would be safe, but a
 * conflict that it meets could no longer be told for sure [REPL-5]. */
static void
s_go_on_moving (adr_connection_t *self)
{
    int event;
    while ((event = s_hear (&self->next)) != 0) {
        if (event == ZMQ_EVENT_HANDSHAKE_SUCCEEDED) {
            self->next.up = true;
            self->move_end_ns = self->now_ns + S_MOVE_WAIT_MS * ADR_MS;
        }
        else
            s_give_up_move (self);
    }
    if (self->next.up && !adr_session_awaits (self->session)) {
        s_close (&self->line);
        self->line = self->next;
        self->next = (s_line_t){ 0 };
        s_came_up (self);
    }
    else if (self->next.socket && self->now_ns >= self->move_end_ns)
        s_give_up_move (self);
}

static void
s_look_around (adr_connection_t *self)
{
    s_leave_drained (self);
    if (!self->next.socket && self->profile->follow_master)
        s_consider_move (self);
}

/* --- packs ---------------------------------------------------------------------------------------------------- */

bool
adr_connection_send (void *argument, adr_bytes_t pack)
{
    adr_connection_t *self = argument;
    return self->line.up && !self->next.up && zmq_send (self->line.socket, pack.data, pack.size, ZMQ_DONTWAIT) == (int) pack.size;
}

int
adr_connection_receive (adr_connection_t *self, int most)
{
    int count = 0;
    while (self->line.socket && count < most) {
        zmq_msg_t message;
        zmq_msg_init (&message);
        if (zmq_msg_recv (&message, self->line.socket, ZMQ_DONTWAIT) < 0) {
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
    s_read_monitor (self);
    if (!self->line.socket && self->now_ns >= self->dial_at_ns)
        s_dial (self);
    if (self->line.socket && !self->line.up && self->now_ns >= self->dial_at_ns)
        s_give_up (self, "no connection in time");
    if (self->line.up && adr_session_pending (self->session) == 0)
        self->heard_ns = self->now_ns;
    else if (self->line.up && self->now_ns - self->heard_ns >= S_SILENT_MS * ADR_MS)
        s_give_up (self, "the edge answers nothing");
    if (self->next.socket)
        s_go_on_moving (self);
    else if (self->line.up)
        s_look_around (self);
}

int64_t
adr_connection_wake_at (const adr_connection_t *self)
{
    if (!self->line.up)
        return self->dial_at_ns;
    if (self->next.socket)
        return self->now_ns + S_MOVE_STEP_MS * ADR_MS;
    return adr_session_pending (self->session) ? self->heard_ns + S_SILENT_MS * ADR_MS : ADR_NEVER;
}

adr_connection_t *
adr_connection_new (void *context, const adr_profile_t *profile, uint32_t first)
{
    adr_connection_t *self = adr_alloc (sizeof *self);
    adr_assert (profile->edge_count > 0);
    self->context = context;
    self->profile = profile;
    self->line.edge = first % profile->edge_count;
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
    s_close (&self->next);
    s_close (&self->line);
    free (self);
}

void *
adr_connection_socket (const adr_connection_t *self)
{
    return self->line.socket;
}

void *
adr_connection_monitor (const adr_connection_t *self)
{
    return self->line.monitor;
}

bool
adr_connection_is_up (const adr_connection_t *self)
{
    return self->line.up;
}

const char *
adr_connection_problem (const adr_connection_t *self)
{
    return self->problem;
}
