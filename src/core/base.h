/* SPDX-License-Identifier: MPL-2.0 */
/* The plainest values of Adrestia: identities, versions, byte views, addresses, outcomes and the assertion.
 *
 * Owns: nothing. Makes durable: nothing. Assumes: C11, little- or big-endian (encodings go through bytes.h). */

#ifndef ADR_BASE_H
#define ADR_BASE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Our bug, never the world's: always on, prints the expression and the place, and stops the process.
 * No byte that came from outside may reach one. */
#define adr_assert(expression) \
    ((expression) ? (void) 0 : adr_assert_failed (#expression, __FILE__, __LINE__, __func__))

_Noreturn void
adr_assert_failed (const char *expression, const char *file, int line, const char *function);

/* What every failed assertion calls before it stops the process; the shells set it to print the actor and its
 * last notes. NULL for none. */
extern void (*adr_assert_hook) (void);

/* Memory that is not there is answered by stopping: zeroed, never NULL. */
void *adr_alloc (size_t size);
void *adr_realloc (void *pointer, size_t size);

#define ADR_WARN_UNUSED __attribute__ ((warn_unused_result))
#define ADR_PRINTF(format_at, first_at) __attribute__ ((format (printf, format_at, first_at)))

/* A view of bytes that somebody else owns. */
typedef struct {
    const uint8_t *data;
    size_t size;
} adr_bytes_t;

/* An identity of 128 bits: cluster, zone, node, group, object, journal. All zeros means none. */
#define ADR_ID_SIZE 16
typedef struct {
    uint8_t bytes[ADR_ID_SIZE];
} adr_id_t;

#define ADR_ID_TEXT_SIZE 37 /* "xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx" and the end */

bool adr_id_equal (const adr_id_t *a, const adr_id_t *b);
int adr_id_compare (const adr_id_t *a, const adr_id_t *b);
bool adr_id_is_none (const adr_id_t *id);
/* Writes the canonical lower-case text form, ADR_ID_TEXT_SIZE bytes with the end. */
void adr_id_format (const adr_id_t *id, char *text);
/* Reads the text form, either case; false if it is anything else. */
ADR_WARN_UNUSED bool adr_id_parse (adr_id_t *id, const char *text);
/* Takes exactly ADR_ID_SIZE bytes; false (and none) for any other size. */
ADR_WARN_UNUSED bool adr_id_from_bytes (adr_id_t *id, const void *data, size_t size);

/* A version is (partition epoch, term, index), compared in this order [PART-1]. */
typedef struct {
    uint32_t epoch;
    uint64_t term;
    uint64_t index;
} adr_version_t;

int adr_version_compare (const adr_version_t *a, const adr_version_t *b);

/* The end of a log, or a place in it. */
typedef struct {
    uint64_t term;
    uint64_t index;
} adr_position_t;

/* Negative, zero, positive: by term, then by index. */
int adr_position_compare (adr_position_t a, adr_position_t b);

/* A voter is a nodeId together with its incarnation [ELECT-7]. */
typedef struct {
    adr_id_t node;
    uint64_t incarnation;
} adr_voter_t;

#define ADR_VOTERS_MAX 7 /* one a zone; 7 voters tolerate 3 losses, and more only slow commits down */

typedef struct {
    adr_position_t at; /* the voters entry that says so; {0, 0} before the first */
    uint32_t quorum;   /* the configured q; needed acknowledgements are adr_quorum_needed (count, quorum) */
    uint64_t map_epoch; /* of the registry by which it was decided who is to go: no master changes them by an older one [TRUST-7] */
    uint32_t count;
    adr_voter_t voter[ADR_VOTERS_MAX];
} adr_voters_t;

/* The place of this very (node, incarnation) in the set, or -1. */
int adr_voters_find (const adr_voters_t *voters, const adr_id_t *node, uint64_t incarnation);
/* The place of the node under any incarnation, or -1. */
int adr_voters_find_node (const adr_voters_t *voters, const adr_id_t *node);

/* Who can be addressed. An address is actor@node; a message to an actor that its node does not run is dropped
 * and counted. Add a name in base.c and a row in wire/table.c for each new one. */
typedef enum {
    ADR_ACTOR_NONE = 0,
    ADR_ACTOR_HEALTH_CHECKER = 1,
    ADR_ACTOR_ELECTION = 2,
    ADR_ACTOR_REPLICATOR = 3,
    ADR_ACTOR_EDGE_ROUTER = 4,
    ADR_ACTOR_MAP_KEEPER = 5,
    ADR_ACTOR_CERT_SIGNER = 6,
    ADR_ACTOR_CLIENT = 7, /* whoever asked: a CURVE client's connection, or the HTTP edge of the same host */
    ADR_ACTOR_MERKLE_GOSSIPER = 8,
    ADR_ACTOR_INVENTORY_SYNCER = 9,
    ADR_ACTOR_SCRUBBER = 10,
    ADR_ACTOR_COLLECTOR = 11,
    ADR_ACTOR_HOST = 12, /* no actor: the runtime, which lets nobody in whom a newer map does not have */
    ADR_ACTOR_CREDENTIAL_KEEPER = 13,
    ADR_ACTOR_CREDENTIAL_TAKER = 14, /* no actor: the runtime, which has an edge's S3 verify by what it is told */
    ADR_ACTOR_COUNT
} adr_actor_kind_t;

const char *adr_actor_name (adr_actor_kind_t kind);

typedef struct {
    adr_id_t node; /* for ADR_ACTOR_CLIENT: the connection's id, drawn by the runtime */
    adr_actor_kind_t actor;
} adr_address_t;

typedef enum {
    ADR_NODE_EDGE = 1,
    ADR_NODE_META = 2,
    ADR_NODE_DATA = 3,
    ADR_NODE_PKI = 4,
    ADR_NODE_CLIENT = 5,   /* a user's role, as are the next but the strangers' [USER-2]; none is a node of the map */
    ADR_NODE_OPERATOR = 6,
    ADR_NODE_STRANGER = 7, /* holds any key; heard by the adoption doors of PKI nodes only */
    ADR_NODE_READER = 8,
    ADR_NODE_ADMIN = 9,
    ADR_NODE_TYPE_COUNT
} adr_node_type_t;

const char *adr_node_type_name (adr_node_type_t type);
ADR_WARN_UNUSED bool adr_node_type_parse (adr_node_type_t *type, const char *text);
bool adr_node_type_is_role (adr_node_type_t type); /* of a user */

typedef enum {
    ADR_STATE_OFFLINE = 0,
    ADR_STATE_ONLINE_READY = 1,
    ADR_STATE_ONLINE_STANDBY = 2,
    ADR_STATE_ONLINE_DEGRADED = 3,
    ADR_STATE_ONLINE_SHEDDING = 4,
    ADR_STATE_EVICTED = 5,
    ADR_STATE_COUNT
} adr_node_state_t;

const char *adr_node_state_name (adr_node_state_t state); /* moves and effects: node_state.h */

/* [STORE-11] How much space a node's disk has, and for what. */
typedef enum {
    ADR_SPACE_OK,
    ADR_SPACE_FIRST_MARK,  /* the group should take no puts for the sake of this node */
    ADR_SPACE_SECOND_MARK, /* on its reserve: this node's log takes no entry with puts */
    ADR_SPACE_LAST         /* half of the reserve is used: nothing but what holds the group together */
} adr_space_t;

/* What became of a request. REFUSED promises that nothing was done; UNKNOWN promises nothing. */
typedef enum {
    ADR_STATUS_OK = 0,
    ADR_STATUS_NOT_FOUND = 1,
    ADR_STATUS_CONFLICT = 2,   /* the condition did not hold; the answer names the version that it lost against */
    ADR_STATUS_REFUSED = 3,    /* not done: no master in time, busy, full, or not yet caught up */
    ADR_STATUS_UNKNOWN = 4,    /* timeout, outcome unknown: the write may or may not be done, or be done later */
    ADR_STATUS_LOCKED = 5,     /* local read: the record stayed locked for the whole time */
    ADR_STATUS_TIMEOUT = 6,    /* a read that got no answer in time */
    ADR_STATUS_INVALID = 7,    /* the request itself is wrong */
    ADR_STATUS_DENIED = 8,     /* the asker may not do this */
    ADR_STATUS_DAMAGED = 9,    /* this copy is quarantined or missing; another may answer */
    ADR_STATUS_NOT_MASTER = 10,/* between nodes only: ask again, maybe where `hint` says */
    ADR_STATUS_FULL = 11,      /* not done: no disk space */
    ADR_STATUS_COUNT
} adr_status_t;

const char *adr_status_name (adr_status_t status);

#endif
