/* SPDX-License-Identifier: MPL-2.0 */
/* What the files of the replicator share.
 *
 *     replicator.c          the actor: roles, the fence, its mailbox, its turns
 *     replicator_status.c   what it tells of itself
 *     replicator_lease.c    until when a master may be sure that it is one
 *     replicator_log.c      a node's own log, whatever its role: at the start, applied, lost
 *     replicator_lead.c     a master's log: what it appends, commits and unlocks
 *     replicator_stream.c   what it sends to its members, and what they say
 *     replicator_members.c  whom it counts on: the unlock set, voters
 *     replicator_follow.c   a member's side
 *     replicator_write.c    writes
 *     replicator_repair.c   checkpoints, copies from peers, whether this copy is sick
 *     replicator_expire.c   what a master deletes when its time has come, and which tombstones go; sweep epochs
 *     replicator_read.c     reads
 *     replicator_recover.c  what it does when its group has lost its quorum for good
 *     replicator_waits.c    how long clients wait, and whether repair is to yield */

#ifndef ADR_REPLICATOR_PRIVATE_H
#define ADR_REPLICATOR_PRIVATE_H

#include "actors/obeyed.h"
#include "actors/pending_keys.h"
#include "actors/request_table.h"
#include "actors/wait_meter.h"
#include "core/actor.h"
#include "core/map.h"
#include "core/map_recovery.h"
#include "core/node_state.h"
#include "store/reader.h"
#include "store/store.h"
#include "wire/pack.h"

typedef enum {
    ROLE_MEMBER,  /* follows whoever leads in the fence's term, or nobody */
    ROLE_MASTER,  /* elected in the fence's term: orders writes */
    ROLE_LEAVING, /* still streams its log to the successor, but gave up lease, polls' promises and writes for this
                     term [ELECT-8] */
    ROLE_COUNT
} replicator_role_t;

#define PEERS_MAX (ADR_VOTERS_MAX * 2)

/* A node of the group, as the master of this term knows it. Our own stands at place 0. */
typedef struct {
    adr_id_t node;
    uint64_t incarnation;  /* 0: not heard of yet in this term; nothing is streamed to it */
    uint64_t boot;         /* which start of it was heard last, by an answer or an ack; 0: none in this term */
    bool probing;          /* until one append of this term is confirmed, one at a time [REPL-1] */
    uint64_t match;        /* confirmed in this term and durable there */
    uint64_t next;         /* first index not yet sent */
    uint64_t inflight;     /* bytes sent and not yet confirmed, about */
    int64_t sent_ns;       /* when something was sent, or confirmed, while an ack is awaited; ADR_NEVER: none is */
    int64_t patience_ns;   /* how long that may take before it is sent again */
    int64_t told_ns;       /* when it was told commit and unlocked last, and what they were */
    uint64_t told_commit, told_unlocked;
    int64_t answered_ns;   /* when the newest poll that it answered was sent (our clock); 0: none in this term */
    int64_t promise_ns;    /* what that answer promised */
    int64_t heard_ns;      /* when that answer came */
    int64_t confirmed_ns;  /* when it acknowledged or refused something last; 0: not in this term */
    int64_t keeps_up_ns;   /* since when it keeps up with the log's end; ADR_NEVER: it does not */
    adr_node_state_t state; /* as this mastership sees it: OFFLINE while it is not heard */
    bool missed;           /* it was said that it is not heard, and that it is heard again must be, too */
    adr_space_t space;
    bool full;             /* it took no more for lack of space, and has told of none since [STORE-11] */
    uint64_t applied, last_index;
    adr_sync_t sync;       /* how far its copy is exact, ... */
    adr_progress_t progress;
    uint64_t keep_from;    /* ... and what of the log it needs; 0: all, or not heard yet in this term */
    bool in_unlock_set;
} peer_t;

/* A write of this mastership whose entry waits for its commit: the answer goes to `origin`. */
typedef struct {
    uint64_t index;
    uint64_t number;
    adr_id_t origin;
    adr_status_t status;   /* CONFLICT, or OK without a version: the entry says that nothing was done */
    adr_version_t version;
} write_waiter_t;

/* An answer that is only a read of what an entry says: a condition that failed, a delete of what is absent. It may go
 * once that entry is committed in this mastership and the lease is valid [REPL-6]. */
typedef struct {
    uint64_t index;
    int64_t arrived_ns;
    uint64_t number;
    adr_id_t origin;
    adr_status_t status;
    adr_version_t version;
} verdict_t;

typedef enum {
    READ_ASKING,   /* no read index yet */
    READ_APPLYING, /* waits until `index` is applied */
    READ_LOCKED    /* local: waits until unlocked passes `index` */
} read_stage_t;

typedef struct read_waiter {
    struct read_waiter *next;
    read_stage_t stage;
    int64_t arrived_ns, deadline_ns;
    uint64_t question; /* the read index question that covers it */
    uint64_t index;
    uint64_t number;
    adr_id_t origin;
    bool is_list, local, without_value, with_values;
    uint8_t table;
    uint64_t time_ms; /* a strong one's: the master's log time when it was asked */
    uint32_t rows_max;
    uint16_t key_size, after_size; /* key or prefix, then `after` */
    uint8_t bytes[];
} read_waiter_t;

typedef struct {
    read_waiter_t *first, **last;
    uint32_t count;
} read_queue_t;

/* A member's read index question that this master cannot answer yet. */
typedef struct {
    adr_id_t node;
    uint64_t number;
    int64_t arrived_ns;
} question_t;

/* What the log's end says about a record. */
typedef struct {
    adr_version_t version; /* {0} where nothing was ever written, or nothing is left */
    uint64_t index;        /* of the entry that says so; 0 where none does */
    bool exists;
    bool damaged;
} current_t;

#define VERDICTS_MAX 8192       /* failed conditions that wait; more are refused as busy */
#define READS_MAX 65536         /* reads that wait; more are refused as busy */
#define QUESTIONS_MAX 64        /* members' questions that wait: a few for each member */
#define REQUEST_IDS_MAX 1000000 /* 40 MB when full; see request_table.h */
#define STAMPS 512              /* of 20 ms each: 10 s, more than half of any write limit but the longest */
#define INFLIGHT_MAX (4 * 1024 * 1024) /* bytes streamed to one member ahead of its acks */

typedef struct replicator {
    const adr_environment_t *environment;
    const adr_settings_t *settings; /* those that are obeyed now */
    adr_settings_t settings_now;
    adr_obeyed_t obeyed;
    adr_store_t *store;
    adr_map_t *map;        /* newest */
    adr_effects_t *effects; /* of the current event */
    int64_t now_ns, wall_ms;

    uint32_t forming_lacks; /* of a forming group: in how many zones nobody has joined, as it was said last */

    /* The fence: appends and leads of a lower term are refused [ELECT-4]. */
    uint64_t fence;         /* in memory; never falls */
    uint64_t fence_durable; /* what the state environment holds */
    uint64_t fence_asked;   /* election waits for the answer to this term; 0: for none */

    replicator_role_t role;
    adr_id_t master;           /* of the fence's term; none: unknown */
    uint64_t confirmed;        /* member: last index that an append of the fence's term confirmed [REPL-2] */
    uint64_t commit_heard;     /* highest commit index heard of */
    bool full;                 /* the newest append had entries that this node has no space for [STORE-11] */
    bool ack_due;              /* an append of this turn, or a sync since, must be acknowledged */
    uint64_t acked;            /* what the last ack of this term said */
    struct {                   /* what election has heard of our log last */
        adr_position_t voters_at;
        uint64_t last_term, fence;
        int64_t at_ns; /* 0: nothing yet */
        bool may_stand;
    } told;

    /* A member's evidence of its master [READ-5]. */
    uint64_t evidence_term;
    int64_t evidence_for_ns;   /* how long that counts [READ-4] */
    int64_t evidence_ns;       /* own clock: what the master said is no older than this; 0: none */
    bool evidence_in_set;      /* the master counts us in the unlock set [READ-4] */
    uint64_t evidence_commit;  /* of the evidence before the newest: what a node that is ready has applied */
    uint64_t evidence_commit_next;
    bool unlocked_known;       /* in the fence's term */
    uint64_t unlocked;         /* the highest ever known, by a member or a master; never falls */

    /* A master's. */
    uint64_t opening;          /* index of the entry that opened its term */
    int64_t lead_ns;           /* since when it leads */
    uint64_t voters_index;     /* of the newest voters entry of its own that is not committed yet; 0: none */
    uint32_t peer_count;
    peer_t peer[PEERS_MAX];
    uint64_t pipeline_bytes;   /* of entries above the commit index */
    adr_buffer_t pipeline;     /* their sizes, u32 each, oldest first */
    size_t pipeline_first;
    int64_t commit_moved_ns;   /* when the commit index moved last, or nothing waited */
    struct {
        int64_t at_ns;
        uint64_t last_index;
    } stamp[STAMPS];           /* the log's end at each tick: how old an entry is [READ-4] */
    uint32_t stamp_count;      /* ever made */
    uint64_t time_base_ms;     /* log time of the newest entry, and when it was stamped, to a millisecond [PART-4] */
    int64_t time_base_ns;
    uint64_t time_last_ms;     /* log time of the newest entry */
    uint64_t time_committed_ms; /* of the newest applied entry: what askers may have seen [REPL-5] */
    adr_pending_keys_t *pending;
    adr_buffer_t writes;       /* write_waiter_t, in index order, from writes_first on */
    size_t writes_first;
    adr_buffer_t retries;      /* write_waiter_t of repeated requests, any order */
    adr_buffer_t verdicts;     /* verdict_t */
    question_t question[QUESTIONS_MAX];
    uint32_t question_count;
    uint64_t status_sequence;
    adr_voters_t voters_shown; /* in statuses: of the newest voters entry that is committed; none: not known in this mastership */
    uint64_t registry_looked;  /* a PKI node's: applied when it was looked for */
    adr_version_t registry_told;
    int64_t status_ns;
    bool status_due;
    bool log_unread;           /* its log's end could not be read when it was elected: takes no writes, and resigns */
    uint64_t own_waits_index;  /* an entry that its own disk has not synced yet, ... */
    int64_t own_waits_ns;      /* and since when it waits for it */
    int64_t slow_until_ns;     /* its disk was slow, and counts as slow until then */
    struct {                   /* deletes and purges that nobody asked for; one entry of each kind at a time */
        int64_t purge_ns, expire_ns, sweep_ns; /* when it looks again */
        uint64_t index;        /* of the newest such entry */
        adr_tombstone_place_t after; /* tombstones up to there have been looked at */
        bool mark_known;
        uint64_t mark_ms;      /* rows that end before it are done with [REPAIR-7] */
    } tidy;
    bool resigned;             /* election has been asked to end this mastership */

    /* Every node's. */
    adr_node_state_t state;    /* decided once a turn, and before it is told */
    uint64_t moves[ADR_TRIGGER_COUNT]; /* of this node and, as a master saw them, of its peers; since the start */
    adr_request_table_t *requests;
    read_queue_t asking, applying, locked;
    uint64_t question_number;  /* of the last question asked */
    uint64_t question_answered;
    int64_t question_ns;       /* when it was sent */
    adr_buffer_t scratch, values;
    adr_entry_t entry;         /* the one that is being decoded or built: too large for a stack */
    int64_t tick_ns;
    int64_t damage_noted_ns;
    adr_space_t space_noted;
    uint64_t read_retries_noted;
    uint64_t entries_lost;     /* since the start: they could be read once, and cannot any more */
    uint64_t unreadable;       /* an entry that could not be read, and is tried once more; 0: none */
    int64_t reread_ns;         /* when that, or the first missing one, is tried again */
    struct {
        adr_buffer_t queue;       /* records from peers that wait for room in the store, from queue_at on */
        size_t queue_at;
        uint64_t admitted;        /* bytes of them that the store has taken, ever */
        adr_progress_t progress;  /* of what the inventory_syncer does */
        uint64_t keep_from;       /* while a copy is made: the log is needed from there on */
        bool begun;               /* a copy is to be made, and that is not durable yet */
        uint64_t log_start;       /* as seen last */
        uint64_t lost_noted;
        uint64_t doubts_noted;
        int64_t lost_ns;          /* since when the index is lost; 0: it is not */
        int64_t lossy_ns;         /* since when rows are missing */
        bool doubted;             /* this copy was not exact when its state was looked at last */
        int64_t mended_ns;        /* when it became exact again; 0: it always was */
        bool ids_unknown;         /* request ids below the log's first entry are not known */
        uint64_t checkpoint_index; /* of the newest checkpoint in the log; a master's, when it appended its last one */
        int64_t checkpoint_ns;
        adr_position_t noted, agreed; /* checkpoints: at which this copy noted its roots, at which a majority has the same */
        int64_t noted_ns;
        adr_sync_t told_sync;     /* to inventory_syncer */
        bool told_proven;
        uint64_t told_placed, told_admitted, told_purged_to;
        bool told_busy;
        int64_t runs_ns;          /* when the inventory_syncer said last that copies are made, here or from here; 0: never */
        int64_t told_ns;
    } repair;
    struct {
        adr_wait_meter_t writes, reads;
        uint64_t index;           /* of the entry that is followed; 0: none is */
        int64_t since_ns;         /* ... since when it waits */
        int64_t master_ns;        /* when the master said last that its clients wait; 0: never */
    } waits;
    bool ids_unread;           /* request ids of entries that could not be read at the start are unknown */
    uint32_t epoch;            /* of what it writes: the highest that the registry or the log has told [PART-1] */
    struct {                   /* [RECOVER-6] */
        bool wanted;           /* `statement` names this very life of this node, and is to be carried out, or was just now */
        bool by_registry;      /* ... as the registry says; else as a PKI node has asked, and the registry will */
        adr_recovery_t statement;
        uint64_t number, term; /* of the newest that it has begun: its voters entry has that term; 0: none */
        bool durable;          /* ... as the state environment says, too */
        uint64_t refused;      /* number of the one that it has said to be impossible */
    } recovery;
} replicator_t;

/* --- replicator.c */
bool replicator_leads (const replicator_t *self); /* master, not leaving */
uint64_t replicator_lead_term (const replicator_t *self); /* of a master, leaving or not */
void replicator_raise_fence (replicator_t *self, uint64_t term);
void replicator_tell_election (replicator_t *self, uint16_t kind, const ProtobufCMessage *header);
/* Asks election to hand over or step down, once a term. */
void replicator_resign (replicator_t *self, const char *why, const adr_id_t *successor);
void replicator_note_damage (replicator_t *self, const char *what);
adr_address_t replicator_address (adr_id_t node);

/* --- replicator_recover.c */
#define REPLICATOR_RECOVERY_TOKEN (UINT64_C (1) << 63) /* of what it persists; the fence's tokens are terms */
void replicator_recovery_open (replicator_t *self);  /* what a former life has begun */
void replicator_recovery_learn (replicator_t *self); /* from its map */
void replicator_tend_recovery (replicator_t *self);  /* each tick */
/* [PART-1] Epochs rise by one a recovery: what is much further ahead than the registry says is nonsense, and would outlive its writer in
 * every version that comes after it. */
uint32_t replicator_epoch_max (const replicator_t *self);
/* It has begun, and the registry does not say so yet. */
bool replicator_recovery_is_ahead (const replicator_t *self);
/* By which registry the voters were decided; 0: by none, or by one that there cannot be. */
uint64_t replicator_voters_epoch (const replicator_t *self, const adr_voters_t *voters);
void replicator_on_control (replicator_t *self, const adr_event_t *event);

/* --- replicator_status.c */
adr_node_state_facts_t replicator_observe (const replicator_t *self);
void replicator_tend_state (replicator_t *self); /* decides by what is observed, and says a move */
void replicator_on_ping (replicator_t *self, const adr_event_t *event, const Adr__Ping *ping);
void replicator_tell_voters (replicator_t *self); /* to election: who votes by our log, and where it ends */
void replicator_send_status (replicator_t *self); /* a master's, to its map-keeper */

/* --- replicator_lease.c */
/* True while no other node can have been elected: reads and verdicts may be answered [ELECT-1]. */
bool replicator_lease_valid (const replicator_t *self);
/* The same for a read that arrived then: by lease, or by a quorum of polls sent after it [READ-6]. */
bool replicator_may_read (const replicator_t *self, int64_t arrived_ns);
/* The newest of: when a majority of the voters had answered the polls sent then. */
bool replicator_quorum_answers (const replicator_t *self, int64_t since_ns);
/* Since then a majority of the voters has acknowledged or refused appends. */
bool replicator_quorum_confirms (const replicator_t *self, int64_t since_ns);

/* --- replicator_log.c */
void replicator_log_open (replicator_t *self); /* rebuilds what the log tells: request ids */
typedef void (replicator_entry_fn) (replicator_t *self, const adr_entry_t *entry, size_t size);
/* Calls `each` for the entries from `first` on to the log's end. False if some cannot be read, and were passed by. */
bool replicator_each_entry (replicator_t *self, uint64_t first, replicator_entry_fn *each);
/* The entry is in the log now: its request id and log time. */
void replicator_note_entry (replicator_t *self, const adr_entry_t *entry, size_t size);
void replicator_learn_epoch (replicator_t *self, uint32_t epoch); /* of an entry of the log, or of the registry */
void replicator_note_unreadable (replicator_t *self, uint64_t index); /* an entry, when it was to be applied or sent */
void replicator_tend_lost (replicator_t *self);                       /* each tick */
/* A PKI node tells its map_keeper which registry its copy holds [TRUST-3]. */
void replicator_tell_registry (replicator_t *self);
void replicator_advance (replicator_t *self);                         /* commit, watermark, apply */

/* --- replicator_lead.c */
void replicator_become_streaming (replicator_t *self); /* a mastership begins */
/* Appends self->entry (kind, ops, request, epoch set; term, index and time are set here). */
void replicator_append_own (replicator_t *self);
/* The stamp of an entry that is appended in this very event [PART-4]. */
uint64_t replicator_log_time (replicator_t *self);
/* True if there is space for an entry that is nobody's write. */
bool replicator_may_append (replicator_t *self);
void replicator_commit (replicator_t *self); /* what a quorum holds */
void replicator_unlock (replicator_t *self); /* what the unlock set holds */

/* --- replicator_stream.c */
peer_t *replicator_peer (replicator_t *self, const adr_id_t *node);
void replicator_forget_evicted (replicator_t *self);
void replicator_learn_peers (replicator_t *self);
/* From now on the peer is another incarnation, or its place in our log is unknown. */
void replicator_peer_reset (replicator_t *self, peer_t *peer, uint64_t incarnation);
/* Acknowledgements and poll answers name the start of the peer that they come from. False: of one that is over. */
bool replicator_note_boot (peer_t *peer, uint64_t boot);
bool replicator_heard_lately (const replicator_t *self, const peer_t *peer);
void replicator_on_space (replicator_t *self, peer_t *peer); /* a full member says that it has some again */
void replicator_on_ack (replicator_t *self, const adr_event_t *event);
void replicator_on_append_refused (replicator_t *self, const adr_event_t *event);
void replicator_stream (replicator_t *self);               /* once a turn: appends to members */
void replicator_repeat (replicator_t *self, peer_t *peer); /* each tick: what was not acknowledged in time */

/* --- replicator_members.c */
void replicator_on_answered (replicator_t *self, const adr_event_t *event);
/* Voters that have at least so much space, as far as this master knows; *full: one of the others says that it has less
 * [STORE-11]. */
uint32_t replicator_voters_with_space (const replicator_t *self, adr_space_t limit, bool *full);
uint32_t replicator_able_voters (const replicator_t *self);
/* [STORE-11, REPAIR-5] Without members that are full, or sick, nothing is committed. */
bool replicator_waits_for_space (const replicator_t *self);
void replicator_tend_members (replicator_t *self); /* each tick: repeats, unlock set, admission */

/* --- replicator_follow.c */
void replicator_on_append (replicator_t *self, const adr_event_t *event);
void replicator_on_evidence (replicator_t *self, const adr_event_t *event);
/* A member's: the newest poll says what is at most one minimum election timeout old, on this node's clock [READ-5]. */
bool replicator_evidence_fresh (const replicator_t *self);
void replicator_send_acks (replicator_t *self);

/* --- replicator_repair.c */
bool replicator_is_exact (const replicator_t *self); /* may serve what it holds */
void replicator_tend_checkpoint (replicator_t *self); /* each tick of a master */
void replicator_on_agreed (replicator_t *self, const Adr__Agreed *agreed);
void replicator_on_place (replicator_t *self, const adr_event_t *event);
void replicator_on_scrub_state (replicator_t *self, const Adr__ScrubState *state);
void replicator_on_quarantine (replicator_t *self, const adr_event_t *event);
void replicator_on_drop (replicator_t *self, const adr_event_t *event);
void replicator_on_sync_end (replicator_t *self, const Adr__SyncEnd *end);
void replicator_on_base_ask (replicator_t *self, const adr_event_t *event);
/* True if our log ends before the master's starts: then this copy is sick from now on. */
bool replicator_is_behind (replicator_t *self, adr_position_t log_start);
uint64_t replicator_keep_from (const replicator_t *self);
uint64_t replicator_keep_least (const replicator_t *self);
void replicator_repair_turn (replicator_t *self);

/* --- replicator_waits.c */
void replicator_waits_appended (replicator_t *self, const adr_entry_t *entry);
void replicator_waits_read (replicator_t *self, int64_t arrived_ns); /* a strong read is answered */
void replicator_waits_turn (replicator_t *self);
bool replicator_clients_wait (const replicator_t *self);
bool replicator_is_busy (const replicator_t *self);

/* --- replicator_write.c */
void replicator_on_write (replicator_t *self, const adr_event_t *event);
void replicator_writes_committed (replicator_t *self); /* answers what the commit index has passed */
void replicator_writes_verdicts (replicator_t *self);  /* answers what lease and commit allow */
void replicator_writes_drop (replicator_t *self);      /* the mastership ended */
current_t replicator_current (replicator_t *self, uint8_t table, adr_bytes_t key);
/* Who asks from that node: a cert_signer of this group, or an edge_router. */
adr_address_t replicator_asker (replicator_t *self, const adr_id_t *origin);
void replicator_answer (replicator_t *self, const adr_id_t *origin, uint64_t number, adr_status_t status,
                        const adr_version_t *version, const char *text);

/* --- replicator_found.c */
void replicator_tend_founding (replicator_t *self); /* at its start, and with each newer registry */

/* --- replicator_expire.c */
void replicator_tidy (replicator_t *self); /* a master's, each tick */
/* The partition's sweep epoch by the log's end [OBJECT-1]; false if it cannot be read. */
ADR_WARN_UNUSED bool replicator_sweep_epoch (replicator_t *self, uint32_t partition, uint64_t *epoch);

/* --- replicator_read.c */
void replicator_on_read (replicator_t *self, const adr_event_t *event);
void replicator_on_list (replicator_t *self, const adr_event_t *event);
void replicator_on_read_index (replicator_t *self, const adr_event_t *event);
void replicator_on_read_index_answer (replicator_t *self, const adr_event_t *event);
void replicator_reads_applied (replicator_t *self);
void replicator_reads_unlocked (replicator_t *self);
void replicator_reads_ask (replicator_t *self);     /* once a turn: one question for all that came */
void replicator_reads_questions (replicator_t *self); /* answers members' questions that may be answered now */
void replicator_reads_expire (replicator_t *self);
void replicator_reads_drop (replicator_t *self); /* at the end of its life */
void replicator_queue_init (read_queue_t *queue);

#endif
