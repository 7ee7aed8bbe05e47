/* SPDX-License-Identifier: MPL-2.0 */
/* The contract between an actor and the shell that runs it [DESIGN 3].
 *
 * An actor is a struct and a function: receive (self, event, effects). It reads no clock, opens nothing, blocks on
 * nothing, starts no thread and draws no random number: what it needs comes in an event, or through the environment
 * that it was created with. Production (src/runtime/shell.c) and the simulator (tests/sim/) run the same object code.
 *
 * A turn: the shell delivers START once, then again and again a bounded number of events, each with the time read
 * after it was taken from the mailbox [ELECT-12], and then TURN_END once. Handlers note what must happen; what is
 * needed once a turn (cumulative acks, one append a member) is sent at TURN_END. Effects leave after the turn, in the
 * order in which they were asked for. What must not leave before something is durable is kept by the actor itself
 * until the DURABLE event with its token. */

#ifndef ADR_ACTOR_H
#define ADR_ACTOR_H

#include "core/base.h"
#include "core/bytes.h"

#include <protobuf-c/protobuf-c.h>

typedef enum {
    ADR_EVENT_START = 1,  /* once, before anything else */
    ADR_EVENT_MESSAGE = 2,
    ADR_EVENT_TIMER = 3,
    ADR_EVENT_DURABLE = 4,  /* what `persist` was given this token for is durable */
    ADR_EVENT_JOB_DONE = 5, /* a job of the environment's store has ended (replicator only) */
    ADR_EVENT_TURN_END = 6,
    ADR_EVENT_STOP = 7 /* SIGTERM: hand over what you lead; the process ends soon after */
} adr_event_kind_t;

struct adr_store_job; /* store/store.h */

typedef struct {
    adr_event_kind_t kind;
    int64_t now_ns;  /* CLOCK_BOOTTIME; the only time that decides anything */
    int64_t wall_ms; /* milliseconds since 1970, for log time and for people */
    union {
        struct {
            /* Verified by the shell: the node's key signed for the connection, and the table in wire/table.c allows
             * this kind of sender to send this kind of message to this actor. */
            adr_address_t from;
            adr_node_type_t from_type;
            const char *user;               /* of a client's: who that is [USER-5]; else NULL; lent for the call */
            uint64_t users_known;           /* ... by the list of that generation [USER-6] */
            uint16_t kind;                  /* Adr__Kind */
            const ProtobufCMessage *header; /* decoded, of the type that belongs to the kind; lent for the call */
            adr_bytes_t payload;            /* lent for the call */
        } message;
        uint32_t timer;
        uint64_t token;
        struct adr_store_job *job;
    };
} adr_event_t;

typedef enum { ADR_LEVEL_ERROR, ADR_LEVEL_WARNING, ADR_LEVEL_NOTE, ADR_LEVEL_TRACE } adr_level_t;

typedef struct adr_effects adr_effects_t;
struct adr_effects {
    /* Encodes at once: header and payload are the caller's again when it returns. A message to an actor of this very
     * node (or host) arrives in order; one to another node may be lost, repeated, late. */
    void (*send) (adr_effects_t *self, adr_address_t to, uint16_t kind, const ProtobufCMessage *header,
                  adr_bytes_t payload);
    /* One deadline a timer id; a new one replaces the old, ADR_NEVER takes it back. Never fires before `at_ns`. */
    void (*wake) (adr_effects_t *self, uint32_t timer, int64_t at_ns);
    /* Stores `value` under `name` in the node's state environment; DURABLE (token) follows once it is on disk.
     * Puts of one actor become durable in their order. A failure stops the process. */
    void (*persist) (adr_effects_t *self, const char *name, adr_bytes_t value, uint64_t token);
    /* A line for the log: a fact -> its consequence, key=value. */
    void (*note) (adr_effects_t *self, adr_level_t level, const char *text);
    /* Stops the process: going on could break an invariant. Says why. Returns in the simulator only. */
    void (*fatal) (adr_effects_t *self, const char *why);
};

#define ADR_NEVER INT64_MAX
#define ADR_MS INT64_C (1000000) /* nanoseconds in a millisecond */

void adr_note (adr_effects_t *effects, adr_level_t level, const char *format, ...) ADR_PRINTF (3, 4);

/* The settings that actors obey; the configuration fills them, config/adrestia.yaml explains them. */
typedef struct {
    int64_t poll_ns;             /* a master polls this often */
    int64_t election_min_ns;     /* minimum election timeout; also the promise that a poll names */
    int64_t election_max_ns;     /* maximum election timeout */
    int64_t write_timeout_ns;    /* the system's limit for a write */
    int64_t read_timeout_ns;     /* the system's limit for a read that waits for a lock or an index */
    int64_t tombstone_retention_ns; /* log time for which a deleted record's tombstone is kept at least [STORE-9] */
    int64_t sweep_interval_ns;   /* log time that a sweep epoch lasts at least [OBJECT-1] */
    int64_t gc_grace_ns;         /* log time from an object's release to its end at least [OBJECT-4] */
    int64_t request_window_ns;   /* log time for which request ids are kept; at least twice the longest limit */
    uint64_t pipeline_max_bytes; /* entries that wait for their commit in a master; more is refused as busy */
    uint64_t request_max_bytes;  /* requests that an edge holds for its clients; more is refused as busy */
    uint32_t reads_by_quorum;    /* 1: confirm each read index by a poll round [READ-6]; 0: by lease */
    int64_t checkpoint_ns;       /* a master logs a checkpoint this often, if something changed */
    uint64_t scrub_rate;         /* bytes a second that the scrubber reads */
    int64_t scrub_interval_ns;   /* from one pass of it to the next */
    uint64_t repair_rate;        /* bytes a second that repair may take from peers and put on the disk */
    uint32_t quorum;             /* q; needed acks are adr_quorum_needed () */
} adr_settings_t;

void adr_settings_default (adr_settings_t *settings);

struct adr_store;
struct adr_reader;
struct adr_map;
struct adr_authority; /* core/cert.h */

/* What an actor is created with; lent for the actor's whole life, except `map`, which is the first one. */
typedef struct {
    adr_id_t cluster;
    adr_id_t node;
    adr_node_type_t type;
    adr_id_t group;       /* none for an edge */
    uint64_t incarnation; /* of a replicating node [ELECT-7] */
    uint64_t boot;        /* one more at every start of this node's store */
    uint64_t seed;        /* of the actor's own pseudo-random sequence */
    adr_settings_t settings;
    const struct adr_map *map;
    struct adr_store *store; /* the replicator's own; NULL for all others */
    struct adr_reader *reader; /* the inventory_syncer's own, and the scrubber's, on the same store; NULL for all others */
    const struct adr_authority *authority; /* the cert_signer's own; NULL for all others */
    /* Reads what `persist` stored before the start: copies at most `room` bytes to `value`, returns the whole size,
     * or -1 where there is none. */
    int (*state_get) (void *state, const char *name, void *value, size_t room);
    void *state;
} adr_environment_t;

/* What a file in src/actors/ exports. */
typedef struct {
    adr_actor_kind_t kind;
    void *(*create) (const adr_environment_t *environment);
    void (*destroy) (void **self);
    void (*receive) (void *self, const adr_event_t *event, adr_effects_t *effects);
    /* Asserts the actor's own invariants; the simulator calls it after every turn. */
    void (*check) (const void *self);
} adr_actor_class_t;

extern const adr_actor_class_t adr_health_checker_class;
extern const adr_actor_class_t adr_election_class;
extern const adr_actor_class_t adr_replicator_class;
extern const adr_actor_class_t adr_edge_router_class;
extern const adr_actor_class_t adr_map_keeper_class;
extern const adr_actor_class_t adr_cert_signer_class;
extern const adr_actor_class_t adr_merkle_gossiper_class;
extern const adr_actor_class_t adr_inventory_syncer_class;
extern const adr_actor_class_t adr_scrubber_class;
extern const adr_actor_class_t adr_collector_class;
extern const adr_actor_class_t adr_credential_keeper_class;

/* A splitmix64 sequence: the same seed, the same numbers, everywhere. */
typedef struct {
    uint64_t state;
} adr_random_t;

uint64_t adr_random_next (adr_random_t *self);
/* Evenly from low to high, both included. */
int64_t adr_random_between (adr_random_t *self, int64_t low, int64_t high);

/* A coverage mark: a rare branch that the simulator must reach; `sim --marks` names those that no seed did. */
typedef struct {
    const char *name;
    const char *file;
    int line;
    uint64_t count;
} adr_mark_t;

#define ADR_MARK(text)                                                                            \
    do {                                                                                          \
        static adr_mark_t s_mark __attribute__ ((used, section ("adr_marks"), aligned (8)))       \
            = { text, __FILE__, __LINE__, 0 };                                                    \
        __atomic_fetch_add (&s_mark.count, 1, __ATOMIC_RELAXED);                                  \
    } while (0)

/* A planted bug: `if (ADR_PLANT (NAME))` turns a rule round. Constant false except in the second build of these same
 * files that tests/sim/planted makes with -DADR_PLANTS, where adr_planted chooses one by its name. */
#ifdef ADR_PLANTS
extern const char *adr_planted;
bool adr_is_planted (const char *name);
#define ADR_PLANT(name) (adr_planted && adr_is_planted (#name))
#else
#define ADR_PLANT(name) false
#endif

#endif
