/* SPDX-License-Identifier: MPL-2.0 */
/* The one constructor of every ZeroMQ socket [DESIGN 3]. CURVE fails open when nobody answers for ZAP, so whether a
 * socket is safe must not depend on who makes it: every option is set here, read back, and kept in a list that a test
 * walks.
 *
 * Owns: the list. Assumes: a socket is used by one thread at a time. */

#ifndef ADR_SOCKET_H
#define ADR_SOCKET_H

#include "core/base.h"
#include "core/limits.h"

/* ZMQ_ZAP_ENFORCE_DOMAIN: Debian's header hides it among the drafts, the library obeys it. Without it a frame is let
 * in when no handler answers. */
#define ADR_ZMQ_ZAP_ENFORCE_DOMAIN 93

/* A handshake is four small messages; a stranger who dawdles is cut off after this. */
#define ADR_HANDSHAKE_MS 5000
/* Elections notice a lost peer far sooner; this empties the queue of one that stopped without closing. The kernel asks,
 * never ZeroMQ's heartbeats [POST-10]: libzmq 4.3.4 aborts the process when it is to send one on a connection that was
 * reset while its input waited for us. */
#define ADR_KEEPALIVE_S 2 /* idle for so long, then so far apart */
#define ADR_KEEPALIVE_COUNT 2
#define ADR_UNACKNOWLEDGED_MS 6000
#define ADR_RECONNECT_MS 100
#define ADR_CONNECT_TIMEOUT_MS 2000
#define ADR_BACKLOG 256

/* Packs that one connection holds before a send is refused (and as many in the receiver). Control packs are small, or
 * of one turn; bulk ones may be the largest. */
#define ADR_HIGH_WATER_CONTROL 1024
#define ADR_HIGH_WATER_BULK 128
#define ADR_HIGH_WATER_CLIENT 256

typedef enum {
    ADR_SOCKET_ROUTER = 1, /* a node's, bound: CURVE server, asks the gatekeeper */
    ADR_SOCKET_DEALER,     /* to a peer's ROUTER: CURVE client */
    ADR_SOCKET_GATEKEEPER, /* answers ZAP, inside the process */
    ADR_SOCKET_PROBE,      /* asks the gatekeeper as libzmq does, inside the process */
    ADR_SOCKET_MONITOR     /* hears of a ROUTER's connections, inside the process */
} adr_socket_role_t;

typedef struct {
    adr_socket_role_t role;
    const char *domain;         /* of a ROUTER: its ZAP domain, never empty */
    const uint8_t *secret_key;  /* of ROUTER and DEALER: 32 bytes, copied */
    const uint8_t *public_key;  /* of a DEALER */
    const uint8_t *server_key;  /* of a DEALER: the peer's */
    int high_water;             /* of ROUTER and DEALER, in packs, each way */
    uint32_t io_thread;         /* of ROUTER and DEALER: which of the context's threads has its connections */
    int64_t message_max;        /* of a ROUTER, in bytes: what comes in; 0: ADR_FRAME_MAX. Of strangers', whose queue has no end: [POST-10] */
} adr_socket_options_t;

/* NULL: the process is out of descriptors or sockets. */
void *adr_socket_new (void *context, const adr_socket_options_t *options);
/* Closes; what waits in it is dropped. Takes and nulls. */
void adr_socket_destroy (void **socket);

/* What the library said about an open socket when it was made. */
typedef struct {
    void *socket;
    adr_socket_role_t role;
    int type;            /* ZMQ_ROUTER and so on */
    int mechanism;       /* ZMQ_CURVE or ZMQ_NULL */
    int curve_server;
    int enforce_domain;
    char domain[32];
    int64_t message_max;
    int handshake_ms, linger_ms, heartbeat_ms, keepalive_s, send_high_water, receive_high_water, immediate;
    uint64_t affinity;
    int backlog;
} adr_socket_info_t;

/* Copies at most `room`, returns how many are open in the process. */
size_t adr_socket_list (adr_socket_info_t *infos, size_t room);

#endif
