/* SPDX-License-Identifier: MPL-2.0 */
/* The one constructor of every ZeroMQ socket: see socket.h. */

#include "runtime/socket.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <zmq.h>

/* Open sockets, for the test that walks them. */
static pthread_mutex_t s_mutex = PTHREAD_MUTEX_INITIALIZER;
static adr_socket_info_t *s_open;
static size_t s_open_count, s_open_room;

static int
s_type_of (adr_socket_role_t role)
{
    switch (role) {
    case ADR_SOCKET_ROUTER:
        return ZMQ_ROUTER;
    case ADR_SOCKET_DEALER:
        return ZMQ_DEALER;
    case ADR_SOCKET_GATEKEEPER:
        return ZMQ_REP;
    case ADR_SOCKET_PROBE:
        return ZMQ_REQ;
    case ADR_SOCKET_MONITOR:
        return ZMQ_PAIR;
    }
    adr_assert (false);
    return -1;
}

static void
s_set (void *socket, int option, const void *value, size_t size)
{
    int rc = zmq_setsockopt (socket, option, value, size);
    adr_assert (rc == 0); /* an option that the library refuses is a build against the wrong one */
}

static void
s_set_int (void *socket, int option, int value)
{
    s_set (socket, option, &value, sizeof value);
}

static int
s_get_int (void *socket, int option)
{
    int value = -1;
    size_t size = sizeof value;
    int rc = zmq_getsockopt (socket, option, &value, &size);
    adr_assert (rc == 0);
    return value;
}

/* What every socket that leaves the process has. */
static void
s_set_network (void *socket, const adr_socket_options_t *options)
{
    adr_assert (options->high_water > 0);
    uint64_t affinity = UINT64_C (1) << options->io_thread;
    s_set (socket, ZMQ_AFFINITY, &affinity, sizeof affinity);
    s_set_int (socket, ZMQ_SNDHWM, options->high_water);
    /* [POST-10] Where strangers come in, input never stops: what they send is small, and taken faster than it comes. */
    s_set_int (socket, ZMQ_RCVHWM, options->message_max ? 0 : options->high_water);
    s_set_int (socket, ZMQ_HANDSHAKE_IVL, ADR_HANDSHAKE_MS);
    s_set_int (socket, ZMQ_TCP_KEEPALIVE, 1);
    s_set_int (socket, ZMQ_TCP_KEEPALIVE_IDLE, ADR_KEEPALIVE_S);
    s_set_int (socket, ZMQ_TCP_KEEPALIVE_INTVL, ADR_KEEPALIVE_S);
    s_set_int (socket, ZMQ_TCP_KEEPALIVE_CNT, ADR_KEEPALIVE_COUNT);
    s_set_int (socket, ZMQ_TCP_MAXRT, ADR_UNACKNOWLEDGED_MS);
    /* A stranger who never authenticated may otherwise announce, and have us allocate, anything. */
    int64_t message_max = options->message_max ? options->message_max : ADR_FRAME_MAX;
    s_set (socket, ZMQ_MAXMSGSIZE, &message_max, sizeof message_max);
}

static void
s_set_router (void *socket, const adr_socket_options_t *options)
{
    adr_assert (options->domain && *options->domain && strlen (options->domain) < 32 && options->secret_key);
    s_set_network (socket, options);
    s_set_int (socket, ZMQ_CURVE_SERVER, 1);
    s_set (socket, ZMQ_CURVE_SECRETKEY, options->secret_key, 32);
    s_set (socket, ZMQ_ZAP_DOMAIN, options->domain, strlen (options->domain));
    s_set_int (socket, ADR_ZMQ_ZAP_ENFORCE_DOMAIN, 1);
    s_set_int (socket, ZMQ_ROUTER_MANDATORY, 1); /* a send to who has left fails instead of vanishing */
    s_set_int (socket, ZMQ_BACKLOG, ADR_BACKLOG);
}

static void
s_set_dealer (void *socket, const adr_socket_options_t *options)
{
    adr_assert (options->secret_key && options->public_key && options->server_key);
    s_set_network (socket, options);
    s_set (socket, ZMQ_CURVE_SECRETKEY, options->secret_key, 32);
    s_set (socket, ZMQ_CURVE_PUBLICKEY, options->public_key, 32);
    s_set (socket, ZMQ_CURVE_SERVERKEY, options->server_key, 32);
    s_set_int (socket, ZMQ_IMMEDIATE, 1); /* nothing queues for a peer that is not there */
    s_set_int (socket, ZMQ_RECONNECT_IVL, ADR_RECONNECT_MS);
    s_set_int (socket, ZMQ_CONNECT_TIMEOUT, ADR_CONNECT_TIMEOUT_MS);
}

static adr_socket_info_t
s_describe (void *socket, adr_socket_role_t role)
{
    adr_socket_info_t info = { .socket = socket, .role = role };
    info.type = s_get_int (socket, ZMQ_TYPE);
    info.mechanism = s_get_int (socket, ZMQ_MECHANISM);
    info.curve_server = info.mechanism == ZMQ_CURVE && s_get_int (socket, ZMQ_CURVE_SERVER);
    info.enforce_domain = s_get_int (socket, ADR_ZMQ_ZAP_ENFORCE_DOMAIN);
    size_t size = sizeof info.domain;
    int rc = zmq_getsockopt (socket, ZMQ_ZAP_DOMAIN, info.domain, &size);
    adr_assert (rc == 0);
    size = sizeof info.affinity;
    rc = zmq_getsockopt (socket, ZMQ_AFFINITY, &info.affinity, &size);
    adr_assert (rc == 0);
    size = sizeof info.message_max;
    rc = zmq_getsockopt (socket, ZMQ_MAXMSGSIZE, &info.message_max, &size);
    adr_assert (rc == 0);
    info.handshake_ms = s_get_int (socket, ZMQ_HANDSHAKE_IVL);
    info.linger_ms = s_get_int (socket, ZMQ_LINGER);
    info.heartbeat_ms = s_get_int (socket, ZMQ_HEARTBEAT_IVL);
    info.keepalive_s = s_get_int (socket, ZMQ_TCP_KEEPALIVE) == 1 ? s_get_int (socket, ZMQ_TCP_KEEPALIVE_IDLE) : 0;
    info.send_high_water = s_get_int (socket, ZMQ_SNDHWM);
    info.receive_high_water = s_get_int (socket, ZMQ_RCVHWM);
    info.immediate = s_get_int (socket, ZMQ_IMMEDIATE);
    info.backlog = s_get_int (socket, ZMQ_BACKLOG);
    return info;
}

/* What was set must be what the library says: a socket that is not as safe as it should be is never handed out. */
static void
s_check (const adr_socket_info_t *info, const adr_socket_options_t *options)
{
    adr_assert (info->linger_ms == 0 && info->heartbeat_ms == 0); /* [POST-10] */
    if (info->role == ADR_SOCKET_ROUTER)
        adr_assert (info->mechanism == ZMQ_CURVE && info->curve_server == 1 && info->enforce_domain == 1
                    && info->domain[0] && info->message_max == (options->message_max ? options->message_max : ADR_FRAME_MAX));
    if (info->role == ADR_SOCKET_DEALER)
        adr_assert (info->mechanism == ZMQ_CURVE && !info->curve_server && info->immediate == 1
                    && info->message_max == ADR_FRAME_MAX);
}

static void
s_enter (const adr_socket_info_t *info)
{
    pthread_mutex_lock (&s_mutex);
    if (s_open_count == s_open_room) {
        s_open_room = s_open_room ? 2 * s_open_room : 32;
        s_open = adr_realloc (s_open, s_open_room * sizeof *s_open);
    }
    s_open[s_open_count++] = *info;
    pthread_mutex_unlock (&s_mutex);
}

static void
s_leave (const void *socket)
{
    pthread_mutex_lock (&s_mutex);
    size_t at = 0;
    while (at < s_open_count && s_open[at].socket != socket)
        at++;
    adr_assert (at < s_open_count); /* made by somebody else */
    s_open[at] = s_open[--s_open_count];
    if (s_open_count == 0) {
        free (s_open);
        s_open = NULL;
        s_open_room = 0;
    }
    pthread_mutex_unlock (&s_mutex);
}

void *
adr_socket_new (void *context, const adr_socket_options_t *options)
{
    void *socket = zmq_socket (context, s_type_of (options->role));
    if (socket == NULL)
        return NULL;
    s_set_int (socket, ZMQ_LINGER, 0);
    if (options->role == ADR_SOCKET_ROUTER)
        s_set_router (socket, options);
    if (options->role == ADR_SOCKET_DEALER)
        s_set_dealer (socket, options);
    adr_socket_info_t info = s_describe (socket, options->role);
    s_check (&info, options);
    s_enter (&info);
    return socket;
}

void
adr_socket_destroy (void **socket)
{
    if (*socket == NULL)
        return;
    s_leave (*socket);
    int rc = zmq_close (*socket);
    adr_assert (rc == 0);
    *socket = NULL;
}

size_t
adr_socket_list (adr_socket_info_t *infos, size_t room)
{
    pthread_mutex_lock (&s_mutex);
    size_t count = s_open_count;
    if (count)
        memcpy (infos, s_open, (count < room ? count : room) * sizeof *infos);
    pthread_mutex_unlock (&s_mutex);
    return count;
}
