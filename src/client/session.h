/* SPDX-License-Identifier: MPL-2.0 */
/* What asks: requests with ids, limits and retries, over whatever carries packs to an edge_router. libadrestia puts a
 * CURVE socket below it, the HTTP edge the mailbox of its own host [DESIGN 11].
 *
 * Owns: the requests that wait. Makes durable: nothing. Assumes: any thread may ask; `done` runs on the thread that
 * calls adr_session_receive or adr_session_tick, may ask again, and must not block. Each request is answered exactly
 * once. A retry repeats the request id, so that it is done at most once [REPL-5]. */

#ifndef ADR_SESSION_H
#define ADR_SESSION_H

#include "core/entry.h"
#include "wire/pack.h"

typedef struct adr_session adr_session_t;

/* Sends the pack (lent) to an edge_router; false if it cannot now (the request is tried again until its limit). */
typedef bool (adr_session_send_fn) (void *transport, adr_bytes_t pack);

/* `request_seed`: 8 unpredictable bytes, the first half of every request id. */
adr_session_t *adr_session_new (const adr_id_t *cluster, const adr_id_t *node, uint64_t request_seed,
                                uint64_t bytes_max, adr_session_send_fn *send, void *transport);
void adr_session_destroy (adr_session_t **self); /* answers everything that waits first */

typedef struct {
    adr_status_t status;
    adr_version_t version;
    uint64_t time_ms;
    bool deleted;
    bool more;          /* list: there are rows behind these */
    adr_bytes_t value;  /* read: the value; list: rows for adr_list_row_next; lent for the call */
    const char *text;   /* for people, on failure; never NULL */
} adr_reply_t;

typedef void (adr_reply_fn) (void *argument, const adr_reply_t *reply);

typedef struct {
    uint8_t table;
    adr_bytes_t key;
    adr_bytes_t value;
    bool delete_it;
    bool release; /* what it replaces goes to the garbage table */
    Adr__Condition condition;
    adr_version_t version; /* for ADR__CONDITION__VERSION */
} adr_session_op_t;

/* One entry: all operations or none; all must belong to one partition. Copies what it needs. */
void adr_session_write (adr_session_t *self, const adr_session_op_t *ops, uint32_t count, uint32_t limit_ms,
                        adr_reply_fn *done, void *argument);
void adr_session_read (adr_session_t *self, uint8_t table, adr_bytes_t key, Adr__ReadMode mode, uint32_t limit_ms,
                       adr_reply_fn *done, void *argument);
void adr_session_list (adr_session_t *self, uint8_t table, adr_bytes_t prefix, adr_bytes_t after, uint32_t rows_max,
                       bool with_values, Adr__ReadMode mode, uint32_t limit_ms, adr_reply_fn *done, void *argument);
/* The edge's clusterMap: `value` holds an encoded Adr__ClusterMap. */
void adr_session_map (adr_session_t *self, uint32_t limit_ms, adr_reply_fn *done, void *argument);

/* A pack came. Total: nonsense is counted and dropped. */
void adr_session_receive (adr_session_t *self, adr_bytes_t pack);
/* Retries and limits; call it when adr_session_wake_at says, on CLOCK_BOOTTIME. */
void adr_session_tick (adr_session_t *self, int64_t now_ns);
int64_t adr_session_wake_at (adr_session_t *self);

#endif
