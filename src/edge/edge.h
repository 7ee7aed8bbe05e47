/* SPDX-License-Identifier: MPL-2.0 */
/* The HTTP edge of a host: libmicrohttpd below, S3 (edge/s3.h) above, a session to the host's edge_router beside.
 *
 *     adr_edge_new --> transport made, with adr_edge_receive and adr_edge_tick --> adr_edge_start
 *     adr_edge_stop --> transport gone --> adr_edge_destroy
 *
 * Owns: the listening socket, its connections, the session. Makes durable: nothing by itself. Assumes: few threads that
 * wait in epoll, never one a connection; a request that waits for the cluster is suspended and holds no thread. */

#ifndef ADR_EDGE_H
#define ADR_EDGE_H

#include "client/session.h"

typedef struct {
    const char *listen;           /* "127.0.0.1:9000", "[::1]:9000"; port 0: any, adr_edge_port says which */
    const char *credentials_file; /* edge/credentials.h; NULL or empty: none */
    const char *region;           /* NULL or empty: us-east-1 */
    const char *domain;           /* NULL or empty: path style alone */
    uint32_t connections_max;     /* 0: 1,024 */
    uint32_t idle_timeout_s;      /* 0: 60 */
    uint32_t head_timeout_s;      /* of a request's line and headers, from their first byte; 0: 20 */
    uint32_t rate_window_s;       /* over which a body moves 1 KiB/s in the mean; 0: 60 */
    uint32_t answer_window_s;     /* the same of an answer; 0: 600 */
    uint32_t threads;             /* that read, hash and write; 0: 2 */
    uint32_t transfers_max;       /* 0: 128 */
    uint32_t limit_ms;            /* of each request to the cluster; 0: ADR_SESSION_LIMIT_MS */
    uint64_t requests_bytes_max;  /* that wait for the cluster; 0: 256 MiB */
} adr_edge_options_t;

typedef struct adr_edge adr_edge_t;

/* Reads the credentials; copies the options. NULL, and one line in `error`, if something of it is wrong. */
adr_edge_t *adr_edge_new (const adr_edge_options_t *options, char *error, size_t error_size);
/* Listens. `node` is the address that the transport has; `send` and `transport` as for adr_session_new, and `wake` (NULL:
 * none) as for adr_session_set_wake. False, and one line in `error`, if it cannot. */
ADR_WARN_UNUSED bool adr_edge_start (adr_edge_t *self, const adr_id_t *cluster, const adr_id_t *node,
                                     adr_session_send_fn *send, adr_session_wake_fn *wake, void *transport,
                                     char *error, size_t error_size);
/* Ends all connections, answers all that waits, uses the transport no more. Receive and tick do nothing after it. */
void adr_edge_stop (adr_edge_t *self);
void adr_edge_destroy (adr_edge_t **self); /* after adr_edge_stop, or without a start; takes and nulls */

/* The cluster's credentials, rows of wire/credential_codec.h that have been read before: these count from now on. Any thread, from
 * adr_edge_new to adr_edge_destroy. */
void adr_edge_take_credentials (void *self, adr_bytes_t rows);

/* [EDGE-9] From now on new requests are answered 503 and their connections closed, or not any more; those that have begun end. Any thread, from
 * adr_edge_new to adr_edge_destroy. */
void adr_edge_drain (void *self, bool draining);

/* The port that it listens on. */
uint16_t adr_edge_port (const adr_edge_t *self);

/* For the transport; `self` is the adr_edge_t. A pack came; and: when to be called again on CLOCK_BOOTTIME. */
void adr_edge_receive (void *self, adr_bytes_t pack);
int64_t adr_edge_tick (void *self, int64_t now_ns);

#endif
