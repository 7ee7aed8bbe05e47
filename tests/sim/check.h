/* SPDX-License-Identifier: MPL-2.0 */
/* The checkers of the simulator: what they are told, in plain values, and what they then know to be wrong [DESIGN 13].
 *
 * Each checker stands in a file of its own and knows neither the world nor an actor's private struct: the world tells
 * it what left an actor, what a store says of itself, and what clients asked and heard. So each is tested alone with
 * histories that are right and histories that are not (tests/unit/test_sim_checkers.c).
 *
 * The first violation wins: a verdict that has failed stays as it is. */

#ifndef ADR_SIM_CHECK_H
#define ADR_SIM_CHECK_H

#include "core/entry.h"
#include "core/map.h"

#define SIM_NODES_MAX 24
#define SIM_KEYS_MAX 512
#define SIM_OP_KEYS_MAX 4

typedef struct {
    bool failed;
    char invariant[96];
    char seen[512];
} sim_verdict_t;

void sim_fail (sim_verdict_t *verdict, const char *invariant, const char *format, ...) ADR_PRINTF (3, 4);

/* --- check_terms.c: invariant 1 ---------------------------------------------------------------------------- */

typedef struct {
    int node;      /* -1: nobody acted or was elected yet */
    uint64_t boot; /* of that node: a term does not survive its master's restart */
} sim_term_t;

typedef struct {
    sim_verdict_t *verdict;
    sim_term_t *term;
    uint64_t room;
    uint64_t elected_max; /* the highest term that anybody was elected in */
    int elected_node;
} sim_terms_t;

void sim_terms_init (sim_terms_t *self, sim_verdict_t *verdict);
void sim_terms_free (sim_terms_t *self);
/* The node did something that only the master of the term may do. */
void sim_terms_acted (sim_terms_t *self, uint64_t term, int node, uint64_t boot, const char *what);
/* The node's election told its replicator to lead. */
void sim_terms_elected (sim_terms_t *self, uint64_t term, int node, uint64_t boot);
/* The node answered under its lease of the term: by then nobody may have been elected in a higher one. */
void sim_terms_lease (sim_terms_t *self, uint64_t term, int node);

/* --- check_trust.c: TRUST-3, TRUST-5, invariant 9 ------------------------------------------------------------ */

#define SIM_EPOCHS_MAX 512

typedef struct {
    sim_verdict_t *verdict;
    uint64_t hash[SIM_EPOCHS_MAX]; /* of the registry that was committed under this epoch; 0: none was */
    uint64_t newest;
    uint64_t holds[SIM_NODES_MAX]; /* epoch, by host */
    uint64_t told;                 /* the newest that any map_keeper has taken */
} sim_trust_check_t;

void sim_trust_check_init (sim_trust_check_t *self, sim_verdict_t *verdict, uint64_t epoch, uint64_t hash);
/* The PKI group has committed a registry. `now` and `before` are decoded. */
void sim_trust_committed (sim_trust_check_t *self, const adr_map_t *before, const adr_map_t *now, uint64_t hash);
/* A host starts with a registry that it held before, or an older one. */
void sim_trust_started (sim_trust_check_t *self, int host, uint64_t epoch);
void sim_trust_taken (sim_trust_check_t *self, int host, uint64_t epoch, uint64_t hash);

/* --- history.c: what is committed, and the records that follow from it -------------------------------------- */

typedef struct {
    uint64_t index, term;
    uint64_t value; /* a hash of the value; 0 for a tombstone */
    bool deleted;
    uint64_t time_ms; /* log time */
    uint64_t end_ms;  /* of what has a time to live; 0: none */
    uint64_t purged;  /* of a tombstone: the index of the entry that took it away; 0: none has */
} sim_version_t;

typedef struct {
    sim_version_t *version; /* ascending by index */
    uint32_t count, room;
    uint64_t completed; /* an operation that ended by now took effect at this index, or later [invariant 3] */
} sim_key_t;

/* Request ids of operations whose fate is checked; open addressing by the id's first eight bytes, which the
 * workload draws. */
typedef struct {
    uint64_t id;
    uint64_t index; /* of the committed entry; 0: none yet */
    uint64_t term;
    bool refused;   /* every try was answered as not done */
    bool verdict;   /* its entry has no operations: it keeps the id of a request that was decided against [REPL-5] */
} sim_request_t;

typedef struct {
    uint64_t term;
    uint64_t hash; /* of the entry's bytes */
    uint64_t time_ms;
} sim_committed_t;

typedef struct {
    sim_verdict_t *verdict;
    sim_committed_t *committed; /* by index, from 1 */
    uint64_t commit, committed_room;
    sim_key_t key[SIM_KEYS_MAX];
    uint32_t key_count;
    uint64_t completed_any; /* the highest index of a write that was acknowledged: transactions are ordered by it */
    sim_request_t *request;
    uint32_t request_count, request_room;
    uint64_t retention_ms; /* log time that a tombstone is kept [STORE-9] */
    bool mends;            /* copies are mended or made anew: a tombstone that was purged may come back, and is purged again */
} sim_history_t;

void sim_history_init (sim_history_t *self, sim_verdict_t *verdict);
void sim_history_free (sim_history_t *self);
/* The place of a record's key, or -1 for keys that the workload does not use. */
int sim_history_key (const sim_history_t *self, uint8_t table, adr_bytes_t key);
/* The entry is committed: it is the next one, or the very same that stands at its index already. */
void sim_history_commit (sim_history_t *self, const adr_entry_t *entry, uint64_t hash);
/* The version is what a record is at that index, if nothing newer is: no tombstone that was purged by then. */
bool sim_history_stands (const sim_version_t *version, uint64_t index);
/* A record that should have ended by the log's own time, but for two seconds; -1: there is none [REPAIR-7]. */
int sim_history_overdue (const sim_history_t *self);
/* The newest version at or below the index; NULL if there is none. */
const sim_version_t *sim_history_at (const sim_history_t *self, int key, uint64_t index);
uint64_t sim_hash (const void *data, size_t size);
uint64_t sim_value_hash (adr_bytes_t value);
/* Registers a request before it is sent. */
void sim_history_request (sim_history_t *self, uint64_t id);
sim_request_t *sim_history_find_request (const sim_history_t *self, uint64_t id);

/* --- check_log.c: invariants 4 and 5 ----------------------------------------------------------------------- */

/* What a node's store says of itself, and how to ask it for terms; `argument` is the store in the world, a toy in
 * the tests. */
typedef struct {
    uint64_t incarnation, boot;
    uint64_t start, last, durable, commit, applied;
    adr_voters_t voters;
    bool missing;   /* it lost entries to damage: what is durable ends before the first of them [STORE-5] */
    uint64_t leads; /* the term that it acts in as master; 0: none */
    bool (*term_at) (void *argument, uint64_t index, uint64_t *term);
    /* The bytes of the entry; false if it cannot be read. */
    bool (*entry_at) (void *argument, uint64_t index, adr_bytes_t *bytes);
    void *argument;
} sim_log_view_t;

/* What this node's journal has ever held durably under one incarnation: term by index. */
typedef struct {
    uint64_t incarnation, boot;
    uint64_t durable, commit, applied;
    uint64_t applied_ever; /* in earlier lives, too */
    bool mending; /* lost entries come back from a peer, and are not all durable again */
    uint64_t *term;
    uint64_t room;
} sim_held_t;

typedef struct {
    uint64_t term, index; /* 0: empty */
    uint64_t hash, prev_term;
} sim_seen_entry_t;

typedef struct {
    uint64_t term;     /* of the masters that published */
    uint64_t unlocked; /* newest in that term */
    uint64_t at_commit;
} sim_published_t;

typedef struct {
    sim_verdict_t *verdict;
    sim_history_t *history;
    const adr_id_t *node_ids; /* by place, to find voters */
    int node_count;
    sim_held_t held[SIM_NODES_MAX];
    sim_held_t former[SIM_NODES_MAX]; /* under the incarnation before: a disk that is lost now has acknowledged */
    sim_seen_entry_t *seen;
    uint64_t seen_count, seen_room;
    sim_published_t published;
} sim_log_t;

void sim_log_init (sim_log_t *self, sim_history_t *history, sim_verdict_t *verdict, const adr_id_t *node_ids,
                   int node_count);
void sim_log_free (sim_log_t *self);
/* After each turn of a replicator. */
void sim_log_view (sim_log_t *self, int node, const sim_log_view_t *view);
/* An append left a master: entries of one run behind (prev_term, prev_index). */
void sim_log_append (sim_log_t *self, uint64_t term, uint64_t prev_term, uint64_t prev_index, adr_bytes_t entries);
/* A master published its watermarks. */
void sim_log_published (sim_log_t *self, uint64_t term, uint64_t commit, bool known, uint64_t unlocked);

/* --- check_purge.c: STORE-9, when a master may propose to purge ---------------------------------------------- */

typedef struct {
    sim_verdict_t *verdict;
    int64_t retention_ns;
    int64_t heard_ns[SIM_NODES_MAX][SIM_NODES_MAX]; /* when the first heard of the second, as its master */
    int64_t back_ns[SIM_NODES_MAX][SIM_NODES_MAX];  /* ... when it did again after a long silence */
    uint64_t seen_term, seen_index; /* the newest entry that was looked at */
} sim_purges_t;

/* A voter of the master's newest voters entry. */
typedef struct {
    int node;
    uint64_t applied; /* the most that this incarnation ever has */
} sim_purge_voter_t;

void sim_purges_init (sim_purges_t *self, sim_verdict_t *verdict, int64_t retention_ns);
void sim_purges_heard (sim_purges_t *self, int64_t now_ns, int master, int voter);
/* The entry leaves the master for the first time, or again. */
void sim_purges_proposed (sim_purges_t *self, int64_t now_ns, int master, const adr_entry_t *entry,
                          const sim_purge_voter_t *voter, int voter_count);

/* --- check_linear.c: invariant 3 --------------------------------------------------------------------------- */

/* The floor of an operation that begins now on this key: it must take effect at this index or later. */
uint64_t sim_linear_floor (const sim_history_t *self, int key);
/* An acknowledged write took effect at `index`. */
void sim_linear_write (sim_history_t *self, int key, uint64_t floor, uint64_t index);
/* A read that began with `floor` found this version. */
void sim_linear_found (sim_history_t *self, int key, uint64_t floor, uint64_t term, uint64_t index, uint64_t value);
/* A read that began with `floor` found no record. */
void sim_linear_absent (sim_history_t *self, int key, uint64_t floor);
/* A condition failed against this version ({0, 0}: against no record). */
void sim_linear_conflict (sim_history_t *self, int key, uint64_t floor, uint64_t term, uint64_t index);

/* --- check_reads.c: READ-5, what local reads promise -------------------------------------------------------- */

#define SIM_PUBLISHED_MAX 65536
typedef struct {
    int64_t time_ns;
    uint64_t unlocked;
} sim_unlocked_t;

typedef struct {
    sim_verdict_t *verdict;
    sim_history_t *history;
    sim_unlocked_t *published; /* ascending in both */
    uint32_t count, room;
    uint64_t shown[SIM_NODES_MAX][SIM_KEYS_MAX]; /* newest index that this node showed of this key */
} sim_reads_t;

void sim_reads_init (sim_reads_t *self, sim_history_t *history, sim_verdict_t *verdict);
void sim_reads_free (sim_reads_t *self);
void sim_reads_published (sim_reads_t *self, int64_t now_ns, uint64_t unlocked);
/* A node answered a local read. It may be as old as `oldest_ns`. A master may show what it has not published yet. */
typedef struct {
    int node, key;
    bool found, leads;
    uint64_t term, index, value; /* of what was found */
    int64_t oldest_ns;
} sim_shown_t;
void sim_reads_local (sim_reads_t *self, const sim_shown_t *shown);

/* --- check_acks.c: invariants 2 and 6 ---------------------------------------------------------------------- */

/* The write was acknowledged with this version. */
void sim_acks_done (sim_history_t *self, uint64_t request, uint64_t term, uint64_t index);
/* Every try of the request was answered as not done. */
void sim_acks_refused (sim_history_t *self, uint64_t request);

/* What a node had heard of its master when it answered the local read [READ-4, READ-5]. */
typedef struct {
    bool in_set;        /* by the newest evidence of the present fence, ... */
    uint64_t unlocked;  /* ... and what that said; 0: nothing */
    uint64_t applied;
} sim_evidence_t;
void sim_reads_evidence (sim_reads_t *self, int node, const sim_evidence_t *evidence);

/* --- check_told.c: what an incarnation has told binds it ------------------------------------------------------- */

typedef struct {
    uint64_t incarnation;
    uint64_t fence;       /* the highest term that its replicator answered a fence of */
    adr_position_t acked; /* the highest entry that it acknowledged */
    uint64_t question;    /* the highest number that it asked a read index under */
} sim_told_t;

typedef struct {
    sim_verdict_t *verdict;
    sim_told_t node[SIM_NODES_MAX];
} sim_tolds_t;

typedef struct {
    uint64_t term;
    adr_position_t confirmed; /* with the term that this node's log has there */
    uint64_t durable;
    uint64_t master_term;     /* what the master of that term has at this index; 0: nobody knows */
} sim_ack_t;

typedef struct {
    uint64_t at, before;  /* indexes of the voters entry that a master has made, and of the one before it */
    uint64_t commit, commit_term;
} sim_voters_change_t;

void sim_told_init (sim_tolds_t *self, sim_verdict_t *verdict);
void sim_told_ack (sim_tolds_t *self, int node, uint64_t incarnation, const sim_ack_t *ack);
void sim_told_fenced (sim_tolds_t *self, int node, uint64_t incarnation, uint64_t term, adr_position_t last);
void sim_told_question (sim_tolds_t *self, int node, uint64_t incarnation, uint64_t number);
void sim_told_voters (sim_tolds_t *self, int node, uint64_t term, const sim_voters_change_t *change);

/* --- check_bounds.c: invariant 11 -------------------------------------------------------------------------- */

#define SIM_INSTANT_EVENTS_MAX 20000
typedef struct {
    sim_verdict_t *verdict;
    int64_t instant_ns;
    uint64_t instant_events;
    uint64_t mailbox_max, mailbox_seen;
    /* Entries of the master that acts, by when it first sent them: a ring by index. */
    uint64_t lock_term, lock_first, lock_last;
    int64_t *appended_ns;
    uint64_t room;
    /* What the newest master published as committed and not as unlocked: since when, and how often too late. */
    uint64_t held_term, held_index;
    int64_t held_since_ns, held_late_ns;
    uint32_t held_late;
} sim_bounds_t;

void sim_bounds_init (sim_bounds_t *self, sim_verdict_t *verdict);
void sim_bounds_free (sim_bounds_t *self);
/* An event of the world: many at one instant are a loop that makes no progress. */
void sim_bounds_event (sim_bounds_t *self, int64_t now_ns);
void sim_bounds_mailbox (sim_bounds_t *self, const char *who, uint64_t length);
/* The log of the master of `term` ends at `last` now. */
void sim_bounds_appended (sim_bounds_t *self, int64_t now_ns, uint64_t term, uint64_t last);
/* Everything up to the index is unlocked. */
void sim_bounds_unlocked (sim_bounds_t *self, uint64_t term, uint64_t index);
/* A master published its watermarks: whoever is down, what is committed is unlocked in time while it rules. */
void sim_bounds_published (sim_bounds_t *self, int64_t now_ns, uint64_t term, uint64_t commit, uint64_t unlocked,
                           int64_t limit_ns);
/* While nothing is wrong with the sound core: no record may be locked for longer than this. */
void sim_bounds_locks (sim_bounds_t *self, int64_t now_ns, int64_t sound_since_ns, int64_t limit_ns);
/* Log time has come from `first_ms` to `last_ms` since the world began [PART-4]. */
void sim_bounds_time (sim_bounds_t *self, int64_t now_ns, uint64_t first_ms, uint64_t last_ms);
/* A client's request ended, or has not. */
void sim_bounds_request (sim_bounds_t *self, int64_t waited_ns, int64_t limit_ns, const char *what);

/* --- check_faults.c: invariant 12 -------------------------------------------------------------------------- */

typedef enum {
    SIM_FAULT_CUT,        /* a link, one way or both */
    SIM_FAULT_KILL,       /* a process ends, the page cache stays */
    SIM_FAULT_POWER,      /* a host loses power: any subset of unsynced sectors stays */
    SIM_FAULT_CRASH_OP,   /* power goes in the middle of some disk operation to come */
    SIM_FAULT_PAUSE,      /* SIGSTOP */
    SIM_FAULT_STALL,      /* one actor's thread gets no processor */
    SIM_FAULT_DRAIN,      /* SIGTERM, and a start again */
    SIM_FAULT_SLOW_DISK,
    SIM_FAULT_FULL_DISK,
    SIM_FAULT_IO_ERROR,   /* a write or a sync fails; the pages are clean afterwards */
    SIM_FAULT_READ_ERROR, /* reads of the journal fail for a moment */
    SIM_FAULT_LOST_DISK,  /* an empty disk under an old identity */
    SIM_FAULT_LOST_STATE, /* the state environment is gone or unreadable */
    SIM_FAULT_LOST_INDEX, /* the index is gone: rebuilt from the journal */
    SIM_FAULT_ROT,        /* a bit of the journal flips, a write was lost, or went to a wrong place */
    SIM_FAULT_LOSS, SIM_FAULT_REPEAT, SIM_FAULT_REORDER, SIM_FAULT_LATE, SIM_FAULT_STALE, SIM_FAULT_DRIFT,
    SIM_FAULT_POINT,      /* a crash at a chosen moment of the disk's */
    SIM_FAULT_AGAIN,      /* ... soon after a start */
    SIM_FAULT_RECOVERY,   /* ... within a recovery */
    SIM_FAULT_OLD_STATE,  /* an old copy of the state environment comes back */
    SIM_FAULT_OLD_INDEX,  /* ... of the index */
    SIM_FAULT_INDEX_ROT,  /* a row of the index cannot be read any more */
    SIM_FAULT_WALL,       /* the wall clock leaps */
    SIM_FAULT_MUTE,       /* what a replicator says is lost, though the node's other actors are heard */
    SIM_FAULT_OPERATOR,   /* repair is paused for some seconds, or copies are compared, or scrubbed, now */
    SIM_FAULT_LIE,        /* what a node reads for its peers' copies is not what its disk holds */
    SIM_FAULT_COUNT
} sim_fault_t;

const char *sim_fault_name (sim_fault_t fault);

typedef struct {
    sim_verdict_t *verdict;
    uint64_t injected[SIM_FAULT_COUNT];
    /* A fault of a node's disk that somebody must speak of before `due_ns`: 0 for none. */
    int64_t due_ns[SIM_NODES_MAX][SIM_FAULT_COUNT];
} sim_faults_t;

void sim_faults_init (sim_faults_t *self, sim_verdict_t *verdict);
void sim_faults_injected (sim_faults_t *self, sim_fault_t fault);
/* The node met this fault: something must be said about it within `limit_ns`. */
void sim_faults_met (sim_faults_t *self, int node, sim_fault_t fault, int64_t due_ns);
/* A node's store opened: it remembers everything, or has said why not. */
typedef struct {
    bool harmed;      /* something was done to its disk that it need not survive whole */
    bool old_state;   /* ... namely what makes it somebody new */
    bool forgot, misses; /* it drew a new incarnation; entries are missing */
} sim_opening_t;
void sim_faults_opening (sim_faults_t *self, int node, const sim_opening_t *opening);
/* The node wrote a log line of level note or above, stopped with a reason, or gave one when its store opened. */
void sim_faults_said (sim_faults_t *self, int node);
void sim_faults_check (sim_faults_t *self, int64_t now_ns);

#endif
