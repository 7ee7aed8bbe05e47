/* SPDX-License-Identifier: MPL-2.0 */
/* A host: one process's nodes, built from the configuration and the map, started and stopped together. It is also the
 * supervisor: an actor's thread that dies takes the process with it (an assert aborts, a failed disk exits with 70),
 * and the service manager starts it again.
 *
 * Owns: everything below it: gatekeeper, posts, stores, state writers, job threads, the actors' shells. Makes durable:
 * what the actors ask for; the boot number of nodes without a store. Assumes: adr_host_prepare_process was called
 * before any thread was started. */

#ifndef ADR_HOST_H
#define ADR_HOST_H

#include "core/map.h"
#include "runtime/config.h"
#include "runtime/credential_taker.h"
#include "runtime/log.h"
#include "runtime/map_taker.h"
#include "runtime/node.h"

typedef struct adr_host adr_host_t;

/* Once a process, first: blocks SIGTERM, SIGINT and SIGPIPE in this thread and all that it starts, and sets up CZMQ
 * without its signal handlers. */
void adr_host_prepare_process (void);

/* Reads map, keys and certificates, opens the stores, binds the sockets, starts the actors. NULL: *code and `error`
 * (one line) say why. The configuration is borrowed for the host's life; `roles` says which actors run where. */
adr_host_t *adr_host_start (const adr_config_t *config, const adr_role_t *roles, uint32_t role_count,
                            adr_exit_t *code, char *error, size_t error_size);
/* Reads and checks the same, and starts nothing. */
ADR_WARN_UNUSED bool adr_host_check (const adr_config_t *config, char *error, size_t error_size);
/* Tells the actors to hand over what they lead, waits until they have, at most `wait_ms`, then stops everything. Local
 * clients must be gone. Takes and nulls. */
void adr_host_stop (adr_host_t **self, uint32_t wait_ms);

const adr_config_t *adr_host_config (const adr_host_t *self);
const adr_map_t *adr_host_map (const adr_host_t *self); /* as it was at the start */
/* The first node of that type that this host runs; NULL if it runs none. Lent for the host's life. */
const adr_map_node_t *adr_host_node (const adr_host_t *self, adr_node_type_t type);

/* Has S3 credentials of the cluster used by whoever verifies requests, as adr_credential_taker_use does; nothing if this host runs no
 * edge. */
void adr_host_use_credentials (adr_host_t *self, adr_credentials_use_fn *use, void *argument);

/* [EDGE-9] Has it used whether this host's edge drains, as adr_map_taker_use_drain does; nothing if this host runs no edge. */
void adr_host_use_drain (adr_host_t *self, adr_drain_use_fn *use, void *argument);

/* --- a client inside the process: the HTTP edge -------------------------------------------------------------------- */

typedef struct adr_local_client adr_local_client_t;
/* A pack came back; lent for the call. */
typedef void (adr_local_receive_fn) (void *argument, adr_bytes_t pack);
/* Returns when to be called again, on CLOCK_BOOTTIME (ADR_NEVER: when something else happens). Called after each
 * batch of packs, when that time has come, and after a nudge. NULL for none. */
typedef int64_t (adr_local_tick_fn) (void *argument, int64_t now_ns);

/* Both functions are called on one thread of the host's. NULL if this host runs no edge. */
adr_local_client_t *adr_host_local_client (adr_host_t *host, adr_local_receive_fn *receive, adr_local_tick_fn *tick,
                                           void *argument);
/* No callback comes after it returns; not to be called from one. Takes and nulls. */
void adr_local_client_destroy (adr_local_client_t **self);
/* Its address, as the edge_router sees it. */
adr_id_t adr_local_client_id (const adr_local_client_t *self);
/* Copies the pack into the edge_router's mailbox; false if it is full, or this is no pack. Any thread. An
 * adr_session_send_fn: `self` is the adr_local_client_t. */
ADR_WARN_UNUSED bool adr_local_client_send (void *self, adr_bytes_t pack);
/* Has `tick` called soon. Any thread. An adr_session_wake_fn: `self` is the adr_local_client_t. */
void adr_local_client_nudge (void *self);

#endif
