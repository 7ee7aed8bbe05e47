/* SPDX-License-Identifier: MPL-2.0 */
/* What post.c and post_receive.c share: a post's insides. Nobody else includes this. */

#ifndef ADR_POST_PRIVATE_H
#define ADR_POST_PRIVATE_H

#include "runtime/chains.h"
#include "runtime/gatekeeper.h"
#include "runtime/post.h"
#include "runtime/socket.h"

#include <czmq.h>
#include <pthread.h>
#include <zmq.h>

#define ADR_POST_LOCALS_MAX 16  /* nodes of one process */
#define ADR_POST_RETIRED_MAX 4  /* former incarnations of a peer that are still told apart */
#define ADR_ROUTING_ID_MAX 8    /* the library draws five bytes */

/* The bytes of large packs that the library holds for one way: its high-water marks count messages, of which each may
 * have a mebibyte. It outlives the way, because ZeroMQ's threads give those bytes back when they like. */
typedef struct adr_unsent {
    uint64_t bytes, holders; /* atomic */
} adr_unsent_t;

/* The way to one node from one of ours. Actors' threads send by it themselves, so all of it stands under its mutex:
 * the hand-over to post's thread would cost a hop more than the send. */
typedef struct {
    pthread_mutex_t mutex;
    uint32_t diverted; /* packs that are in the post's mailbox: later ones must not overtake them */
    void *socket;
    const adr_map_node_t *to;
    adr_unsent_t *unsent;
    uint64_t sequence;    /* of the last pack that the socket took */
    int64_t dialled_ns;   /* when the connection was asked for last; 0: never */
    int64_t refused_ns;   /* since when the socket takes nothing; 0: it does */
    bool shut;            /* evicted: it was hung up on, for good */
    bool taken_since;     /* it has taken a pack since it was dialled */
    adr_parcel_t *first, *last; /* what waits for the connection; `token` is the time at which it came */
    size_t backlog_bytes;
} adr_peer_t;

/* What came last from one node [POST-4]. */
typedef struct {
    bool any;
    uint64_t incarnation, boot, sequence;
    uint64_t retired[ADR_POST_RETIRED_MAX];
    uint32_t retired_count;
} adr_seen_t;

typedef struct {
    const adr_map_node_t *node;
    const uint8_t *secret_key;
    void *router;  /* NULL: this node has no door on this lane */
    void *monitor;
    int descriptor, monitor_descriptor;
    bool router_ready, monitor_ready; /* may have something: asked until it has nothing */
    char listening[ADR_ENDPOINT_MAX + 1];
    uint32_t connections;
    adr_peer_t **peer; /* by the node's place in the map; made at the first send, under `making` */
    adr_seen_t *seen;  /* the same */
} adr_post_local_t;

/* A client's connection. */
typedef struct {
    adr_id_t id; /* drawn at its first pack: its address */
    uint8_t routing_id[ADR_ROUTING_ID_MAX];
    uint8_t routing_id_size;
    uint32_t local; /* by which of our nodes it came */
    int descriptor; /* of its connection, which says when it is gone */
    uint8_t key[32];
    int64_t last_ns;
    uint64_t sent;
    uint32_t newer, older; /* list by last use */
    bool used;
} adr_connection_t;

struct adr_post {
    void *context;
    adr_directory_t *directory;
    adr_post_lane_t lane;
    adr_mailbox_t *mailbox;
    zactor_t *thread;
    adr_post_local_t local[ADR_POST_LOCALS_MAX];
    uint32_t local_count;
    adr_unsent_t *unsent; /* of answers to clients */
    pthread_mutex_t making;
    uint32_t backlogs; /* peers for whom something waits; of post's thread alone */
    adr_bells_t bells; /* readers of what came in this round */
    uint32_t connections_max;
    adr_connection_t *connection; /* connections_max of them, on the lanes of clients and strangers */
    uint32_t connection_count;    /* that were ever used */
    uint32_t newest, oldest;
    int64_t strangers_ns; /* of the adoption lane: when its share of packs was reckoned last */
    int64_t strangers_share; /* nanoseconds of it that are saved up */
    uint32_t free_first; /* chained by `older` */
    adr_chains_t by_id, by_routing_id, by_descriptor;
};

/* Whoever comes in is no node, and gets an address. */
static inline bool
adr_post_has_clients (const adr_post_t *self)
{
    return self->lane == ADR_POST_CLIENT || self->lane == ADR_POST_ADOPTION;
}

/* post.c */
adr_post_local_t *adr_post_local (adr_post_t *self, const adr_id_t *node);
/* Under the peer's mutex. */
void adr_post_dial (adr_post_t *self, adr_peer_t *peer);

/* post_receive.c */
void adr_post_prepare_receive (adr_post_t *self);
void adr_post_end_receive (adr_post_t *self);
/* Takes one pack off the ROUTER and judges it; false if there is none. */
bool adr_post_receive (adr_post_t *self, adr_post_local_t *local);
/* Before the ROUTER is bound; false: out of sockets. */
ADR_WARN_UNUSED bool adr_post_start_watch (adr_post_t *self, adr_post_local_t *local);
/* Hears what became of connections, and closes those beyond the bound. */
void adr_post_watch (adr_post_t *self, adr_post_local_t *local);
adr_connection_t *adr_post_client (adr_post_t *self, const adr_id_t *id);
void adr_post_forget_client (adr_post_t *self, adr_connection_t *connection);

/* What the rules say about a pack, apart from any socket: the metric under which it is dropped, or
 * ADR_METRIC_COUNT for a good one, which then counts as seen [POST-4]. *renewed: the sender was started anew. */
int adr_seen_judge (adr_seen_t *seen, uint64_t incarnation, uint64_t boot, uint64_t sequence, bool *renewed);

#endif
