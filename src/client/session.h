/* SPDX-License-Identifier: MPL-2.0 */
/* What asks: requests with ids, limits and retries, over whatever carries packs to an edge_router. libadrestia puts a
 * CURVE socket below it, the HTTP edge the mailbox of its own host [DESIGN 11].
 *
 * Owns: the requests that wait. Makes durable: nothing. Assumes: any thread may ask; `done` runs on the thread that
 * calls adr_session_receive or adr_session_tick (one thread each, maybe two at once), may ask again, and must not
 * block. Each request is answered exactly once, never before the call that asked for it has returned to its own
 * thread's next receive or tick. A retry repeats the request id, so that it is done at most once [REPL-5].
 *
 * What leaves when: without a wake function (the HTTP edge) each asking thread sends at once. With one, asking only
 * queues and wakes the transport's thread, whose next tick sends all that gathered. What callbacks ask for leaves when
 * the receive or tick that called them ends. So one request in flight waits for nobody, and many are packed. */

#ifndef ADR_SESSION_H
#define ADR_SESSION_H

#include "core/credential.h"
#include "core/entry.h"
#include "core/map.h"
#include "wire/pack.h"

typedef struct adr_session adr_session_t;

/* Sends the pack (lent) to an edge_router; false if it cannot now and nothing left (the request is tried again until
 * its limit). It is called with the session's lock held, so that packs keep their order: it must not call back. */
typedef bool (adr_session_send_fn) (void *transport, adr_bytes_t pack);
/* Makes the transport's thread call adr_session_tick soon; from any thread. */
typedef void (adr_session_wake_fn) (void *transport);

/* Without an answer for so long, a request is sent again; the edge_router's own retries are quicker, so this is for
 * an edge that died with it. */
#define ADR_SESSION_RETRY_MS 1500
/* The limit of a request that names none. */
#define ADR_SESSION_LIMIT_MS 10000
/* Requests that wait at a time: their number has 16 bits for the place. */
#define ADR_SESSION_REQUESTS_MAX 65536

/* `request_seed`: 8 unpredictable bytes, the first half of every request id. */
adr_session_t *adr_session_new (const adr_id_t *cluster, const adr_id_t *node, uint64_t request_seed,
                                uint64_t bytes_max, adr_session_send_fn *send, void *transport);
/* Answers everything that waits first: sent writes UNKNOWN, unsent ones REFUSED, the rest TIMEOUT. What a callback asks
 * meanwhile is answered too, so one that asks again whatever happens would never end. No thread may be inside. */
void adr_session_destroy (adr_session_t **self);
/* Before the first request. */
void adr_session_set_wake (adr_session_t *self, adr_session_wake_fn *wake);
/* The limit of following requests that name 0; 1 to ADR_REQUEST_TIME_MAX_MS. */
void adr_session_set_limit (adr_session_t *self, uint32_t limit_ms);

typedef struct {
    adr_status_t status;
    adr_version_t version;
    uint64_t time_ms;
    bool deleted;
    bool more;          /* list: there are rows behind these */
    adr_bytes_t value;  /* read: the value; list: rows for adr_list_row_next; token: an encoded Adr__Token; lent for the call */
    bool unsent;        /* in all its time no try could leave: no edge can be reached */
    const char *text;   /* for people, on failure; never NULL */
} adr_reply_t;

typedef void (adr_reply_fn) (void *argument, const adr_reply_t *reply);

typedef struct {
    uint8_t table;
    adr_bytes_t key;
    adr_bytes_t value;
    bool delete_it;
    uint64_t ttl_ms; /* of a key-value put; 0: none */
    uint64_t sweep_epoch; /* of a meta put: in which its object was born [OBJECT-1] */
    bool release; /* what it replaces goes to the garbage table */
    Adr__Condition condition;
    adr_version_t version; /* for ADR__CONDITION__VERSION */
} adr_session_op_t;

/* One entry: all operations or none; all must belong to one partition. Copies what it needs. REFUSED, FULL, INVALID,
 * DENIED and CONFLICT are told only if they are sure: while an earlier try is still unanswered, it may yet be done, and so the request goes
 * on, or ends UNKNOWN. */
void adr_session_write (adr_session_t *self, const adr_session_op_t *ops, uint32_t count, uint32_t limit_ms,
                        adr_reply_fn *done, void *argument);
void adr_session_read (adr_session_t *self, uint8_t table, adr_bytes_t key, Adr__ReadMode mode, uint32_t limit_ms,
                       adr_reply_fn *done, void *argument);
void adr_session_list (adr_session_t *self, uint8_t table, adr_bytes_t prefix, adr_bytes_t after, uint32_t rows_max,
                       bool with_values, Adr__ReadMode mode, uint32_t limit_ms, adr_reply_fn *done, void *argument);
/* The edge's clusterMap: `value` holds an encoded Adr__ClusterMap. */
void adr_session_map (adr_session_t *self, uint32_t limit_ms, adr_reply_fn *done, void *argument);

/* Asks a node to do that; `text` is what it said, whatever its status. */
void adr_session_control (adr_session_t *self, const adr_id_t *node, Adr__ControlAction action, uint32_t for_ms,
                          uint32_t limit_ms, adr_reply_fn *done, void *argument);
/* Asks the PKI group to recover a group by this encoded statement (lent for the call); asked again it is answered as done. */
void adr_session_recover (adr_session_t *self, adr_bytes_t statement, uint32_t limit_ms, adr_reply_fn *done, void *argument);
/* Asks the PKI group to keep these terms of a token (lent for the call); on OK `value` holds what it keeps now. The same key and
 * terms again are answered as before, so that a retry is harmless. */
void adr_session_token (adr_session_t *self, Adr__ControlAction action, const Adr__Token *terms, uint32_t limit_ms, adr_reply_fn *done, void *argument);

/* The same for a set of tokens, which makes a group: all or none (lent for the call); on OK `value` is an encoded Adr__ControlAnswer,
 * whose token_set says what is kept of each. */
void adr_session_group (adr_session_t *self, const Adr__Token *terms, size_t count, uint32_t limit_ms, adr_reply_fn *done, void *argument);

/* Asks the PKI group to change a credential (lent for the call; its secret is wiped with the request); `value` is the encoded
 * Adr__Credential that it keeps now, if it has one. `question` tells this question from others, so that a retry is harmless [KEY-3]. */
void adr_session_key (adr_session_t *self, Adr__ControlAction action, const adr_credential_t *credential, const adr_id_t *question,
                      uint32_t limit_ms, adr_reply_fn *done, void *argument);

/* Asks the PKI group to set, or reset, these settings of the whole cluster (lent for the call), all or none. What is so already is
 * answered with OK, so that a retry is harmless [SET-1]. */
void adr_session_settings (adr_session_t *self, Adr__ControlAction action, const adr_setting_t *settings, uint32_t count, uint64_t if_epoch,
                           uint32_t limit_ms, adr_reply_fn *done, void *argument);

/* Calls back with OK, by the next tick: for who must answer from there and has nothing to ask. */
void adr_session_defer (adr_session_t *self, adr_reply_fn *done, void *argument);

/* A pack came. Total: nonsense is counted and dropped. */
void adr_session_receive (adr_session_t *self, adr_bytes_t pack);
/* Starts the clock of new requests, sends what waits to be sent, retries and limits. Call it after each receive or
 * group of them, when adr_session_wake_at says (on CLOCK_BOOTTIME; ADR_NEVER if nothing waits), and when woken; without
 * a wake function at least every 100 ms. */
void adr_session_tick (adr_session_t *self, int64_t now_ns);
int64_t adr_session_wake_at (adr_session_t *self);
/* The transport reaches another edge now: the next tick sends everything again that was sent and has no answer. */
void adr_session_send_again (adr_session_t *self);
/* True, and its endpoint, if of the last ADR_SESSION_HINT_WINDOW answers a quarter or more were to writes that the edge
 * passed on to the zone of another edge, this one, and none was to a local read, which means the zone that it is asked
 * in. Strong reads cost as many trips between zones by either edge. Each window is told once. */
#define ADR_SESSION_HINT_WINDOW 256
bool adr_session_take_hint (adr_session_t *self, char endpoint[ADR_ENDPOINT_MAX + 1]);
/* [EDGE-9] True if an answer since the last such question said that its edge is being drained. */
bool adr_session_take_draining (adr_session_t *self);
/* True if something that was sent has no answer yet. */
bool adr_session_awaits (adr_session_t *self);
/* Requests that wait for their answer. */
uint32_t adr_session_pending (adr_session_t *self);
/* Packs and items that were dropped as nonsense, or answered nobody. */
uint64_t adr_session_dropped (adr_session_t *self);

#endif
