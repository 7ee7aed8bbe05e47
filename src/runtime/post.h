/* SPDX-License-Identifier: MPL-2.0 */
/* Post carries packs between hosts [DESIGN 3]; docs/protocol/post.md has its rules. One post a lane: control, bulk,
 * client. A node binds a ROUTER for what comes, and has a one-way DEALER to each node that it sends to; only clients
 * are answered through the ROUTER that they came by.
 *
 * Actors' threads hand their packs to the socket themselves; post's own thread takes what comes in, answers clients,
 * and carries what a socket would not take at once.
 *
 * Owns: one thread, the lane's sockets, the numbers of packs sent and seen, the list of connected clients. Makes
 * durable: nothing. Assumes: the gatekeeper of the context has been probed. Implements POST-1 to POST-9. */

#ifndef ADR_POST_H
#define ADR_POST_H

#include "runtime/directory.h"

/* What waits to be sent on one lane, and what waits for one connection to come up. */
#define ADR_POST_BYTES_MAX (64 * 1024 * 1024)
#define ADR_POST_BACKLOG_BYTES_MAX (4 * 1024 * 1024)
#define ADR_POST_BACKLOG_MS 500
/* A connection that takes nothing for so long is dialled anew: one that the peer's gatekeeper refused never tries
 * again by itself. */
#define ADR_POST_REDIAL_MS 1000
/* Of packs that are not copied, what the library holds unsent for one peer, and for all clients of a post together. */
#define ADR_POST_UNSENT_BYTES_MAX (128 * 1024 * 1024)
/* A client that asked nothing for so long loses its place when another needs it. */
#define ADR_POST_CLIENT_IDLE_MS 60000
#define ADR_POST_STRANGER_IDLE_MS 5000 /* on the adoption lane, where one question is asked */
#define ADR_POST_STRANGER_BYTES_MAX 8192 /* a pack of theirs */
#define ADR_POST_STRANGER_PACKS 20 /* a second, of all of them together; as many at once */

/* A node of this host, as post needs it. */
typedef struct {
    const adr_map_node_t *node; /* of the directory's map */
    const uint8_t *secret_key;  /* lent for the post's life */
    uint64_t incarnation, boot;
} adr_post_node_t;

typedef struct {
    void *context; /* of ZeroMQ */
    adr_directory_t *directory;
    adr_post_lane_t lane;
    const adr_post_node_t *node; /* lent for the call */
    uint32_t node_count;
    uint32_t connections_max;
} adr_post_options_t;

typedef struct adr_post adr_post_t;

/* Binds, enters itself in the directory, and starts. NULL: `error` says which endpoint could not be bound, and why. */
adr_post_t *adr_post_new (const adr_post_options_t *options, char *error, size_t error_size);
/* Starts its thread: from here on packs come in, so all actors must be in the directory. */
void adr_post_start (adr_post_t *self);
/* Sends what waits, as far as that needs no waiting, and ends its thread. Mailbox and sockets stay until destroy. */
void adr_post_halt (adr_post_t *self);
/* [TRUST-3] Ends the connections to nodes that the directory has shut out, for good. Any thread. */
void adr_post_hang_up (adr_post_t *self);
void adr_post_destroy (adr_post_t **self);

#endif
