/* SPDX-License-Identifier: MPL-2.0 */
/* An edge_router and a group in one, in memory, for tests of what stands on a session: records with versions and
 * conditions, request ids, lists, the garbage table. It decides what becomes of each request by a function that the
 * test gives, so that any of them can get lost on its way in or out, or be refused.
 *
 * Thread-safe: sessions send from any thread; one thread delivers the answers. */

#ifndef ADR_FAKE_STORE_H
#define ADR_FAKE_STORE_H

#include "client/session.h"

typedef struct fake_store fake_store_t;

typedef enum {
    FAKE_DO,          /* done and answered */
    FAKE_LOSE,        /* lost on the way in: not done, no answer */
    FAKE_LOSE_ANSWER, /* done, no answer */
    FAKE_REFUSE,      /* answered REFUSED, not done */
    FAKE_UNREAD,      /* the same, because its stamp is too old */
    FAKE_FORBID,      /* answered INVALID, not done */
    FAKE_HOLD         /* lost for now: fake_store_release does and answers it */
} fake_fate_t;

typedef struct {
    uint16_t kind;      /* Adr__Kind */
    uint32_t table;     /* of the first operation */
    bool delete_it;
    uint64_t number;    /* of all requests so far, from 1 */
    uint64_t token;     /* of a write, as its asker gave it */
    uint32_t token_ms;
} fake_request_t;

typedef fake_fate_t (fake_fate_fn) (void *argument, const fake_request_t *request);

fake_store_t *fake_store_new (const adr_id_t *cluster);
void fake_store_destroy (fake_store_t **self);
void fake_store_set_fate (fake_store_t *self, fake_fate_fn *fate, void *argument); /* NULL: all are done */
void fake_store_set_reachable (fake_store_t *self, bool reachable);
/* The encoded Adr__ClusterMap that MAP_PULL is answered with; copied. */
void fake_store_set_map (fake_store_t *self, adr_bytes_t map);

/* Answers say from now on that their edge is being drained, or not any more. */
void fake_store_set_draining (fake_store_t *self, bool draining);
/* The edge that answers to writes name from now on as the one beside their master; lent. */
void fake_store_set_hint (fake_store_t *self, const char *endpoint);

/* What becomes of an operator's wish for a join token: `kept` is what the group would keep, to be changed (a text put in must outlast
 * the call); the status, and `*text` for people. */
typedef adr_status_t (fake_terms_fn) (void *argument, const Adr__Token *asked, Adr__Token *kept, const char **text);
void fake_store_set_terms (fake_store_t *self, fake_terms_fn *terms, void *argument); /* NULL: nobody answers */
/* RECOVER_SHOW and RECOVER; without an incarnation the answer says nothing of a survivor, and TIMEOUT is none at all. */
typedef adr_status_t (fake_survivor_fn) (void *argument, const Adr__Control *asked, Adr__Survivor *survivor, const char **text);
void fake_store_set_survivor (fake_store_t *self, fake_survivor_fn *survivor, void *argument); /* NULL: nobody answers */

/* The token of answers to writes from now on. */
void fake_store_set_token (fake_store_t *self, uint64_t token);

/* What a session is given, with the store as its transport. */
bool fake_store_send (void *self, adr_bytes_t pack);
/* Gives the session the answers that wait, and a tick; returns how many packs. */
size_t fake_store_deliver (fake_store_t *self, adr_session_t *session, int64_t now_ns);
/* Gives `receive` the answers that wait, for who has no session to show; returns how many packs. */
typedef void (fake_receive_fn) (void *argument, adr_bytes_t pack);
size_t fake_store_answer (fake_store_t *self, fake_receive_fn *receive, void *argument);
/* Values of 64 KiB and more go to the file (borrowed), so that the process's own memory can be measured. While the
 * store is empty. */
void fake_store_spill (fake_store_t *self, int file);
/* The next pack of answers into the empty buffer; false if none waits. */
bool fake_store_take (fake_store_t *self, adr_buffer_t *pack);
/* Does what FAKE_HOLD held, in its order; the answers wait for fake_store_deliver. */
void fake_store_release (fake_store_t *self);
/* Waits until an answer is there to be delivered, or for `timeout_ms`; true if one is. */
bool fake_store_wait (fake_store_t *self, int timeout_ms);

/* Its log time goes on by so much; else it is the number of the newest write. */
void fake_store_advance (fake_store_t *self, uint64_t ms);
/* A new sweep epoch begins in all of its FAKE_PARTITIONS partitions [OBJECT-1]. */
#define FAKE_PARTITIONS 64
void fake_store_raise (fake_store_t *self);

/* For looking inside. */
bool fake_store_has (fake_store_t *self, uint8_t table, adr_bytes_t key);
size_t fake_store_count (fake_store_t *self, uint8_t table);
/* The n-th record of the table, in the order of keys; false if there are fewer. Lent until the next change. */
bool fake_store_nth (fake_store_t *self, uint8_t table, size_t n, adr_bytes_t *key, adr_bytes_t *value);
uint64_t fake_store_packs (fake_store_t *self);    /* that came */
uint64_t fake_store_requests (fake_store_t *self); /* that came, repeated ones too */
/* Takes a record out, as damage would. */
void fake_store_lose (fake_store_t *self, uint8_t table, adr_bytes_t key);

#endif
