/* SPDX-License-Identifier: MPL-2.0 */
/* A whole cluster in one process, all of it from one seed [DESIGN 3, 13].
 *
 * world.c      virtual time, the event queue, hosts and nodes: boot, crash, pause
 * shell.c      one actor's mailbox and turns: the simulator's twin of src/runtime/shell.c
 * network.c    packs between nodes and clients: loss, delay, repeats, cuts; ghosts.c what comes seconds late; lies.c what is wrong
 * disk.c state.c index.c   below the store
 * options.c focus.c focus_repair.c   what a seed switches on, and how often
 * faults.c disk_faults.c   when it happens
 * gap.c        one fault alone, and how long writes wait
 * workload.c   clients and what they ask; liveness.c the end
 * trust.h      who adopts, demotes and evicts nodes meanwhile; trust.c pki.c operator.c liar.c
 * watch*.c     tell the checkers what leaves actors; watch_copies.c, watch_repair.c, watch_values.c look at copies themselves
 * check_*.c history.c      what must hold, in plain values
 *
 * Nothing here may depend on addresses, on the order of a hash table, on floating point or on the real clock, nor draw
 * two numbers of one sequence in the arguments of one call (C leaves their order open): the same seed gives the same
 * trace on every compiler. */

#ifndef ADR_SIM_H
#define ADR_SIM_H

#include "check.h"
#include "check_elect.h"
#include "core/actor.h"
#include "core/map.h"
#include "disk.h"
#include "store/reader.h"
#include "store/store.h"
#include "wire/pack.h"

#include <stdio.h>

#define SIM_FULL_STARTS 1 /* that a full disk takes for sure */
#define SIM_HOSTS_MAX SIM_NODES_MAX
#define SIM_CLIENTS_MAX 16
#define SIM_LANES 2
#define SIM_PARTITIONS 4 /* few, so that each has records */
#define SIM_SECOND (1000 * ADR_MS)
#define SIM_US INT64_C (1000)

/* Moments of a disk's life at which a seed may have a host end. */
typedef enum {
    POINT_NONE,
    POINT_WRITTEN,     /* a batch is written and not synced */
    POINT_SYNCED,      /* ... is synced, and its replicator does not know */
    POINT_CUT,         /* ... takes back entries */
    POINT_NEW_SEGMENT, /* ... is the first of its segment, or a segment is being made */
    POINT_FLUSH,       /* an index transaction is not yet committed */
    POINT_LAST,        /* the end of a full disk's reserve is near */
    POINT_PERSISTED,   /* the state environment holds it, and its actor does not know */
    POINT_COUNT
} sim_point_t;

/* --- options.c */
#define TRIGGER_LOSE_DISK 6
typedef struct {
    uint64_t seed;
    int zones;
    bool split;                /* one process a node, not one a zone */
    bool pki;                  /* each zone has a node that publishes the map */
    bool bulk;                 /* replicators talk on a lane of their own */
    adr_settings_t settings;
    int64_t hop_ns;            /* longest normal delay between two actors of a host */
    int64_t wire_min_ns, wire_max_ns;
    int64_t late_max_ns;
    uint32_t turn_gap_ppm;     /* a turn goes on after a while */
    uint32_t hop_late_ppm;     /* a thread loses its processor between two things that it sends */
    int64_t hop_late_max_ns;
    uint32_t loss_ppm, repeat_ppm, late_ppm, stale_ppm;
    bool reorder;
    bool unordered;            /* elections hear what is older than what they have heard, too */
    bool full_to_the_last;     /* disks that fill up have nothing left, for long */
    bool cuts_bulk;            /* cuts are of what masters append, and of nothing else */
    bool all_in_core;          /* between two copies in doubt a third one decides: in the end it is there [REPAIR-2] */
    uint32_t lies_ppm;         /* of what one node gives to others' copies */
    bool ghosts;               /* what a former life of a node said, and was told, comes late */
    uint32_t ghost_ppm;        /* ... and just when the next life asks */
    uint32_t echo_ppm;         /* what elections say comes a second time, seconds late */
    int64_t disk_write_ns, disk_sync_ns; /* longest normal */
    int drift_node[2];         /* hosts; -1: none */
    int32_t drift_ppm[2];
    uint16_t trigger_kind;     /* messages of this kind bring a fault with them; 0: none */
    uint32_t trigger_ppm, triggers_left;
    int trigger_action;        /* as sim_triggered has them */
    int64_t every_ns[SIM_FAULT_COUNT]; /* mean time between two; 0: never */
    int64_t fault_time_ns;     /* how long faults go on */
    uint64_t log_keep_max; /* 0: all */
    uint64_t segment_bytes, flush_bytes;
    int64_t flush_every_ns;
    sim_point_t point;
    uint32_t point_ppm, points_left;
    uint32_t again_ppm, recovery_ppm;
    uint32_t damages;          /* bits of sim_damage_t */
    bool recycles;
    int clients, keys, hot_keys;
    bool guests;               /* hosts are virtual machines, whose clocks stand still while they are paused [READ-6] */
    bool lulls;                /* seconds in which nobody writes, so that who hears no polls is not behind */
    uint32_t think_max_us;     /* a client's pause between operations */
    uint32_t value_max;
    uint32_t weight[8];        /* by sim_op_kind_t */
    uint32_t conditional_percent, pipeline;
    uint32_t ttl_percent;      /* of the puts: what they write ends */
    bool trust;                /* nodes come and go, by the PKI [TRUST-3 to TRUST-6] */
    bool liar;                 /* ... and one of another group speaks, too */
    int newcomers;             /* at most */
    int founding;              /* voters that the group is founded with */
    sim_fault_t gap;           /* KILL or DRAIN: that once, to the master's host, and nothing else; 0: the usual */
} sim_options_t;

void sim_options_draw (sim_options_t *self, uint64_t seed);
/* Nodes come and go in this seed. */
void sim_options_trust (sim_options_t *self);
/* Between low and high, each doubling as likely as the next. */
int64_t sim_draw (adr_random_t *random, int64_t low, int64_t high);

/* --- focus.c */
void sim_calm (sim_options_t *self); /* nothing goes wrong */
/* False if this seed has no focus. */
bool sim_focus_draw (sim_options_t *self, adr_random_t *random);

/* --- focus_repair.c */
void sim_focus_on_repair (sim_options_t *self, adr_random_t *random);

/* --- packs */
typedef struct sim_pack {
    adr_buffer_t bytes;
    uint32_t references;
    int from_node, to_node; /* -1: a client */
    int client;             /* place of the client, if one end is one */
    adr_actor_kind_t to_actor;
    uint8_t lane;
    bool has_release; /* a master lifts promises for its successor */
    bool is_strangers; /* who has no key that anybody knows */
    bool is_lie;       /* of a node that has no right to say it: what the table refuses is dropped */
    bool has_write; /* of a client: what is sent once must come once, as over one TCP connection */
    uint64_t incarnation, boot, sequence; /* as in the envelope */
    int64_t sent_ns;
} sim_pack_t;

/* Packs that were from, or to, one node. */
#define SIM_GHOSTS 12
typedef struct {
    sim_pack_t *election[SIM_GHOSTS], *replicator[SIM_GHOSTS]; /* by whom they were for */
    uint64_t election_count, replicator_count;
} sim_ghosts_t;

/* --- events */
typedef enum {
    EV_NONE,
    EV_ARRIVE,      /* a pack at a node, from another host or a client */
    EV_LOCAL,       /* a pack in the mailbox of an actor of the same host */
    EV_TURN,        /* an actor runs */
    EV_JOB,         /* a store job's next half */
    EV_PERSIST,     /* the state writer commits */
    EV_PERSISTED,   /* ... and tells */
    EV_BOOT, EV_RESUME, EV_STOP_NOW,
    EV_FAULT,       /* a fault class is due */
    EV_HEAL,        /* a cut ends */
    EV_MEND,        /* a disk is fast, or has room, again */
    EV_TRIGGER,     /* a fault that a message brought */
    EV_CLIENT,      /* a client looks at the clock */
    EV_ANSWER,      /* a pack at a client */
    EV_DRAIN,       /* a host hears SIGTERM */
    EV_TRUST,       /* somebody changes who belongs to the cluster, or hears of it: trust.h */
    EV_TICK         /* the checkers look around */
} sim_event_kind_t;

typedef struct {
    int64_t time_ns;
    uint64_t order; /* of events at one instant: as they were made */
    uint32_t kind;
    int32_t a, b;
    uint64_t life;  /* of the host when it was made, or a number of its own */
    void *pointer;
} sim_event_t;

/* --- actors, nodes, hosts */
typedef enum { ITEM_PACK, ITEM_DURABLE, ITEM_JOB_DONE, ITEM_STOP, ITEM_START } sim_item_kind_t;

typedef struct {
    sim_item_kind_t kind;
    union {
        sim_pack_t *pack;
        uint64_t token;
        adr_store_job_t *job;
    };
} sim_item_t;

#define SIM_TIMERS_MAX 16
#define SIM_STORE_TIMER 0xffffffffu
typedef struct {
    uint32_t id;
    int64_t at_ns; /* on the host's clock */
} sim_timer_t;

typedef struct {
    adr_address_t to;
    sim_pack_t *pack;
} sim_out_t;

struct sim_world;
typedef struct {
    adr_effects_t effects; /* first: effects are cast back to their actor */
    struct sim_world *world;
    const adr_actor_class_t *class;
    void *self;
    adr_environment_t environment;
    int node;
    sim_item_t *item; /* a ring */
    uint32_t first, count, room;
    adr_pack_reader_t reader; /* of the pack at the front, while it is open */
    bool reading;
    sim_timer_t timer[SIM_TIMERS_MAX];
    uint32_t timer_count;
    bool in_turn;
    uint32_t turn_left;
    int64_t turn_ns;  /* when its next turn is due, by the world's clock; ADR_NEVER: none is */
    int64_t stalled_ns;
    sim_out_t *out;
    uint32_t out_count, out_room;
    int64_t hop_ns[ADR_ACTOR_COUNT * 4]; /* when the last pack to that actor of the host arrives: order is kept */
} sim_actor_t;

typedef struct {
    adr_actor_kind_t actor;
    uint64_t token;
    char name[24];
    uint8_t value[96];
    uint32_t size;
} sim_put_t;

typedef struct {
    uint64_t incarnation, boot, sequence;
} sim_sequence_t;

/* What the checker of copies has seen of a node [watch_copies.c]. */
typedef struct {
    adr_sync_t sync;
    bool due;                /* it is whole or proven now, and not compared yet */
    uint64_t asked;          /* copies that its store had been asked for when its copying was to end */
    adr_voters_t voters;     /* of its log */
    adr_voters_t repair_voters, gossip_voters; /* of which its inventory_syncer, its merkle_gossiper has heard */
    int first[SIM_PARTITIONS + 1]; /* place, plus one, of whom it asked for the leaves of each partition */
    struct {
        uint64_t incarnation, boot;
        uint32_t sync;
    } told[SIM_NODES_MAX];   /* by others, to a master */
    uint64_t doubts;         /* records in doubt, when they were looked at last */
} sim_copy_t;

/* From where on a member needs its master's log, as it said in that term [REPAIR-6]. */
typedef struct {
    uint64_t term, index, incarnation, boot;
} sim_keep_t;

typedef struct {
    adr_id_t id;
    char name[16];
    adr_node_type_t type;
    int zone, host;
    bool replicates;
    bool hollow;             /* it has no actors */
    sim_actor_t *actor[ADR_ACTOR_COUNT];
    sim_disk_t disk;
    adr_store_t *store;
    adr_reader_t *reader;
    uint64_t noted;          /* the newest checkpoint at which it noted roots */
    sim_copy_t copy;
    int64_t copies_since_ns; /* its copy is being made; ADR_NEVER: it is not */
    sim_keep_t heard_keep[SIM_NODES_MAX]; /* as a master, of the others */
    uint32_t knows;          /* whom its replicator's map has: bits of nodes; where nobody comes or goes it says nothing */
    int wanted;              /* ... and how many voters the group is to have by it */
    uint64_t incarnation, boot;
    adr_store_job_t *job[ADR_LANE_COUNT];
    sim_put_t *put;          /* waiting for the state writer, oldest first */
    uint32_t put_count, put_room, put_committing;
    bool slow_disk, full_disk, hung_disk;
    bool rots;               /* its journal has rotted under a running process: single values may be unreadable */
    bool full_for_good;      /* nobody ever makes space */
    bool had_reserve;        /* its store had, when its disk became full: a new one needs a while to make it */
    uint32_t full_starts;    /* since its disk became full: each uses up a part of the reserve [STORE-11] */
    bool on_reserve;         /* it was at the end of its replicator's last turn, ... */
    uint64_t reserve_last;   /* ... and where its log ended then */
    int64_t copied_ns;       /* when its store was last seen making a copy; 0: never */
    uint64_t needed_to;      /* its replicator heard in this turn that these entries are not committed without it */
    int64_t full_ns;         /* when its disk was full last; 0: never */
    uint64_t leads;          /* term in which its replicator was told to lead, until it is told or does otherwise */
    uint64_t lease_term;     /* the same, until it is told that its lease is given up */
    adr_position_t voters_at; /* of a master: the newest voters entry of its log */
    struct {                 /* what its replicator has heard [READ-4, READ-5] */
        uint64_t fence, evidence_term, unlocked;
        bool in_set;
    } heard;
    uint64_t batch_segment;  /* where its newest batch went */
    uint16_t doom_kind;      /* the host ends once this node has sent such a message; 0: it does not */
    uint64_t copied_incarnation, copied_term; /* of the copy of its state environment */
    bool amnesic;            /* its incarnation is not yet admitted again */
    int64_t said_ns;         /* when it last wrote a log line */
    sim_sequence_t sent[SIM_NODES_MAX][SIM_LANES], seen[SIM_NODES_MAX][SIM_LANES];
} sim_node_t;

typedef struct {
    bool up, paused, sound; /* sound: in the core of the liveness phase */
    uint64_t life;
    int64_t up_ns; /* when its life began, or it went on last */
    int64_t resume_ns, paused_clock_ns, offset_ns, wall_ms; /* wall_ms: how far its wall clock was set */
    int32_t drift_ppm;
    bool power_lost;  /* how it went down */
    bool unborn;      /* of a node that nobody has adopted yet: it does not start */
} sim_host_t;

/* --- clients */
typedef enum { OP_PUT, OP_DELETE, OP_GET, OP_GET_LOCAL, OP_TRANSACTION, OP_LIST, OP_KIND_COUNT } sim_op_kind_t;

#define SIM_TRIES_MAX 8
typedef enum { TRY_OPEN, TRY_NOT_DONE, TRY_ENDED } sim_try_state_t;
typedef struct {
    uint64_t number;
    int edge;               /* node */
    uint64_t life;          /* of its host */
    int64_t sent_ns;
    sim_try_state_t state;
} sim_try_t;

typedef struct {
    sim_op_kind_t kind;
    uint64_t request;       /* its first eight bytes; the rest are zeros */
    uint32_t key_count;
    int key[SIM_OP_KEYS_MAX];
    bool deletes[SIM_OP_KEYS_MAX];
    uint64_t floor[SIM_OP_KEYS_MAX], floor_any;
    uint64_t *floors;       /* of every key, for a list; owned */
    uint64_t value[SIM_OP_KEYS_MAX]; /* seed of the value's bytes */
    uint32_t value_size[SIM_OP_KEYS_MAX];
    uint64_t ttl_ms[SIM_OP_KEYS_MAX]; /* 0: for ever */
    Adr__Condition condition; /* of the first key */
    adr_version_t expected;
    int64_t begun_ns, limit_ns;
    sim_try_t tries[SIM_TRIES_MAX];
    uint32_t try_count;
    bool ended, judged;
    adr_status_t status, judgement; /* judged: what a try heard that made no entry */
} sim_op_t;

#define SIM_FLIGHT_MAX 8
typedef struct {
    adr_id_t id;
    uint64_t number;
    sim_op_t flight[SIM_FLIGHT_MAX];
    uint64_t wake[SIM_FLIGHT_MAX];
    adr_version_t known[SIM_KEYS_MAX]; /* the newest version that it heard of */
    struct {
        uint64_t token; /* the newest of that edge [EDGE-6], and when it came */
        int64_t at_ns;
    } heard[SIM_NODES_MAX];
    uint64_t ended_ok, ended_read, asked_read, ended_unknown, ended_refused;
} sim_client_t;

typedef struct {
    bool both;
    bool bulk, control;     /* one lane alone: what goes to replicators, or all else */
    uint32_t from, to; /* bits of hosts */
    uint64_t number;
} sim_cut_t;

/* A read that a replicator has taken and not answered. */
typedef struct {
    int node;
    adr_id_t origin;
    uint64_t number; /* 0: none */
    int key;
    bool local;
    uint64_t lease_term;  /* a strong one: in which term the node held the lease when the read came, ... */
    uint64_t elected_max; /* ... and which was the highest term that had a master by then */
    int64_t came_ns;
} sim_read_t;

#define SIM_CUTS_MAX 16

typedef enum { PHASE_FAULTS, PHASE_LIVENESS, PHASE_DONE } sim_phase_t;

typedef struct sim_world {
    sim_options_t options;
    sim_verdict_t verdict;
    int64_t now_ns;
    sim_phase_t phase;
    int64_t phase_ns; /* since when */
    int64_t core_runs_ns; /* since when every sound host is up, and none is stopped */
    adr_random_t random, network_random, fault_random, client_random, shell_random, point_random;
    sim_event_t *heap;
    uint32_t heap_count, heap_room;
    uint64_t order, events, digest;
    adr_id_t cluster, group;
    adr_map_t *map;
    sim_node_t node[SIM_NODES_MAX];
    int node_count, members; /* members: those of the group that changes */
    sim_host_t host[SIM_HOSTS_MAX];
    int host_count;
    sim_client_t client[SIM_CLIENTS_MAX];
    sim_cut_t cut[SIM_CUTS_MAX];
    uint32_t cut_count;
    uint64_t cut_number;
    int64_t mute_until_ns;
    int64_t link_ns[SIM_NODES_MAX][SIM_NODES_MAX][SIM_LANES]; /* when the last pack of the link arrives */
    sim_ghosts_t ghosts[SIM_NODES_MAX][2], former[SIM_NODES_MAX][2]; /* from and to its present life, and the one before */
    sim_pack_t *release[SIM_GHOSTS]; /* some that masters have lifted promises with */
    uint64_t release_count;
    sim_pack_t **spare;
    uint32_t spare_count, spare_room;
    adr_arena_t arena;
    adr_buffer_t scratch, values, lie;
    bool quiet; /* clients begin nothing new */
    sim_event_t *event; /* the present one */
    struct sim_trust *trust; /* NULL: who belongs does not change */
    /* checkers */
    sim_terms_t terms;
    sim_history_t history;
    sim_log_t log;
    sim_purges_t purges;
    sim_reads_t reads;
    sim_bounds_t bounds;
    sim_faults_t faults;
    sim_promises_t promises;
    sim_votes_t votes;
    sim_changes_t changes;
    sim_polls_t polls;
    sim_tolds_t told;
    sim_read_t read[4096];
    adr_id_t node_ids[SIM_NODES_MAX];
    /* counters */
    uint64_t lost, cut_off, repeated, dropped_old, stale, messages, notes, elections, boots;
    int64_t gap_at_ns, gap_ns, acknowledged_ns; /* when the fault comes, the longest time without an acknowledged write */
    int gap_host; /* to which clients turn no more, then */
    FILE *trace;
} sim_world_t;

/* --- world.c */
sim_world_t *sim_world_new (const sim_options_t *options, FILE *trace);
void sim_world_destroy (sim_world_t **self);
/* Runs to the end of the liveness phase or to the first violation. */
void sim_world_run (sim_world_t *self);
void sim_event_at (sim_world_t *self, int64_t time_ns, sim_event_kind_t kind, int a, int b, uint64_t life,
                   void *pointer);
void sim_mix (sim_world_t *self, uint64_t value);
int64_t sim_clock (const sim_world_t *self, int host);                  /* the host's CLOCK_BOOTTIME */
int64_t sim_true_time (const sim_world_t *self, int host, int64_t local_ns);
int64_t sim_pick (adr_random_t *random, int64_t low, int64_t high);
bool sim_chance (adr_random_t *random, uint32_t ppm);
int sim_node_of (const sim_world_t *self, const adr_id_t *id);
int sim_client_of (const sim_world_t *self, const adr_id_t *id);
void sim_boot (sim_world_t *self, int host);
typedef enum { CRASH_KILL, CRASH_POWER } sim_crash_t;
sim_crash_t sim_disk_crash (const sim_disk_t *disk);
void sim_crash (sim_world_t *self, int host, sim_crash_t how, int64_t down_ns, const char *why);
void sim_pause (sim_world_t *self, int host, int64_t length_ns);
void sim_trace (sim_world_t *self, const char *format, ...) ADR_PRINTF (2, 3);
#define SIM_TRACE(world, ...)             \
    do {                                  \
        if ((world)->trace)               \
            sim_trace (world, __VA_ARGS__); \
    } while (0)

/* --- shell.c */
sim_actor_t *sim_actor_new (sim_world_t *world, int node, const adr_actor_class_t *class);
void sim_actor_destroy (sim_actor_t **self);
void sim_actor_put (sim_actor_t *self, sim_item_t item);
void sim_actor_turn (sim_actor_t *self);
void sim_job_step (sim_world_t *world, int node, int lane, int stage, adr_store_job_t *job);
void sim_persist_commit (sim_world_t *world, int node);
void sim_persist_told (sim_world_t *world, int node);
sim_pack_t *sim_pack_new (sim_world_t *world);
void sim_pack_release (sim_world_t *world, sim_pack_t *pack);

/* --- network.c */
void sim_network_send (sim_world_t *world, sim_pack_t *pack);   /* takes the pack */
void sim_network_arrive (sim_world_t *world, sim_pack_t *pack); /* takes the pack */
bool sim_network_reaches (const sim_world_t *world, int from_host, int to_host, bool bulk);

/* --- lies.c */
/* What leaves the node instead of this payload: the same, or lent until the next call. */
adr_bytes_t sim_lie (sim_world_t *world, int node, uint16_t kind, adr_bytes_t payload);

/* --- ghosts.c */
void sim_ghosts_note (sim_world_t *world, sim_pack_t *pack);
void sim_ghosts_free (sim_world_t *world);
/* The node has a new incarnation: what its former life said and was told comes in between. */
void sim_ghosts_new_life (sim_world_t *world, int node);
/* It says this: what its former life said comes with it, or what that was told comes as an answer. */
void sim_ghosts_join (sim_world_t *world, int node, uint16_t kind);

/* --- faults.c */
void sim_faults_start (sim_world_t *world);
void sim_fault_due (sim_world_t *world, sim_fault_t fault);
void sim_heal (sim_world_t *world, uint64_t number);
/* A message leaves a node: it may bring a fault. */
void sim_trigger (sim_world_t *world, int from, int to, uint16_t kind);
void sim_triggered (sim_world_t *world, int node, int other);
void sim_mend (sim_world_t *world, int node);
/* True if the group keeps all that it acknowledged although this node's disk goes. */
bool sim_may_lose_disk (const sim_world_t *world, int node);
/* The one node of a seed whose journal rots, where that is switched on. */
int sim_rotting_node (const sim_world_t *world);

void sim_drain (sim_world_t *world, int host, int64_t time_ns);

/* --- disk_faults.c */
/* The disk is at this moment: true if the host has ended there. */
bool sim_point (sim_world_t *world, int node, sim_point_t point);
void sim_point_soon (sim_world_t *world, int node, sim_point_t point);
bool sim_point_written (sim_world_t *world, int node, const adr_store_job_t *job);
void sim_before_boot (sim_world_t *world, int host);
void sim_after_boot (sim_world_t *world, int host);
void sim_restart (sim_world_t *world, int node); /* its host ends, and starts again */
void sim_doom (sim_world_t *world, int node); /* it has said the word that it was to end after */
void sim_disk_fault (sim_world_t *world, sim_fault_t fault);

/* --- gap.c */
void sim_gap_options (sim_options_t *self, uint64_t seed, sim_fault_t fault);
void sim_gap_tick (sim_world_t *world);
void sim_gap_close (sim_world_t *world);

/* --- workload.c */
#define SIM_WORK_EACH 2 /* writes that each client must get through at the end before it may be quiet */
void sim_clients_start (sim_world_t *world);
void sim_client_wake (sim_world_t *world, int client, int slot, uint64_t number);
void sim_client_answer (sim_world_t *world, int client, sim_pack_t *pack);

/* --- watch.c */
void sim_watch_send (sim_world_t *world, sim_actor_t *from, adr_address_t to, uint16_t kind,
                     const ProtobufCMessage *header, adr_bytes_t payload);
void sim_watch_deliver (sim_world_t *world, sim_actor_t *to, const adr_event_t *event);
void sim_watch_store (sim_world_t *world, const sim_actor_t *actor);
sim_read_t *sim_read_slot (sim_world_t *world, int node, const adr_id_t *origin, uint64_t number);
void sim_trace_header (FILE *file, const ProtobufCMessage *header);

/* --- watch_elect.c: the same for the election's checkers */
void sim_watch_elect_send (sim_world_t *world, const sim_actor_t *from, const adr_address_t *to, uint16_t kind,
                           const ProtobufCMessage *header);
void sim_watch_elect_deliver (sim_world_t *world, const sim_actor_t *to, const adr_event_t *event);
void sim_watch_elect_turn (sim_world_t *world, int node);
void sim_watch_lease (sim_world_t *world, int node, uint64_t term, int64_t since_ns);

/* --- watch_space.c */
/* After each turn of a replicator. */
void sim_watch_space (sim_world_t *world, int node);
void sim_watch_space_send (sim_world_t *world, int node, uint16_t kind, const ProtobufCMessage *header);
void sim_watch_space_deliver (sim_world_t *world, int node, const adr_event_t *event);
bool sim_waits_for_space (const sim_world_t *world);
/* A store has opened on a disk to which nothing was done: every value can be read. */
void sim_watch_values (sim_world_t *world, int node);
void sim_watch_repair (sim_world_t *world, int node); /* after each turn of a replicator */
void sim_watch_repair_send (sim_world_t *world, int node, uint16_t kind, const ProtobufCMessage *header);
void sim_watch_repair_deliver (sim_world_t *world, int node, const adr_event_t *event);

bool sim_must_be_alike (const sim_world_t *world); /* nothing was done to any copy */

/* --- watch_copies.c */
void sim_watch_copy_boot (sim_node_t *node);
void sim_watch_copy_turn (sim_world_t *world, int node); /* after each turn of a replicator */
void sim_watch_copy_send (sim_world_t *world, int node, const adr_address_t *to, uint16_t kind,
                          const ProtobufCMessage *header);
void sim_watch_copy_deliver (sim_world_t *world, int node, const adr_event_t *event);
adr_status_t sim_stored (sim_node_t *node, int key, bool with_value, adr_record_t *record);
/* The copy's word on a key's record that is in doubt in its index. */
adr_doubt_t sim_doubt (sim_node_t *node, int key);

/* --- trust.c: for the rest of the world; see trust.h */
struct sim_trust *sim_trust_new (uint64_t seed);
void sim_trust_destroy (sim_world_t *world);
void sim_trust_found (sim_world_t *world);
void sim_trust_start (sim_world_t *world);
void sim_trust_happen (sim_world_t *world, const sim_event_t *event);
void sim_trust_host_starts (sim_world_t *world, int host);
const adr_map_t *sim_trust_boot_map (const sim_world_t *world, int host);
const struct adr_authority *sim_trust_authority (const sim_world_t *world, int node);
/* Takes the pack, if it goes to none of the node's actors. */
bool sim_trust_takes (sim_world_t *world, int node, int actor, sim_pack_t *pack);
/* Whether the host lets one node's packs to another, on it, through. */
bool sim_trust_hears (const sim_world_t *world, int host, int from, int to);
/* What actors answer to those who are no actors: taken, and sent nowhere. */
bool sim_trust_answers (sim_world_t *world, uint16_t kind, const ProtobufCMessage *header);
bool sim_trust_may_lose (const sim_world_t *world);
bool sim_is_evicted (const sim_world_t *world, int node); /* by what the PKI group has committed */
bool sim_is_leaving (const sim_world_t *world, int node);
bool sim_is_known (const sim_world_t *world, const adr_id_t *node);
/* What leaves actors: a registry that a map_keeper has taken, and anything for the node of another group. */
void sim_trust_watch (sim_world_t *world, const adr_address_t *to, uint16_t kind, const ProtobufCMessage *header);
/* [ELECT-10] One votes, and waits for a third that was adopted and never came. */
bool sim_waits_for_third (const sim_world_t *world);
/* A master has made a voters entry. */
void sim_trust_voters_made (sim_world_t *world, int node);
bool sim_has_strange_voter (const sim_world_t *world); /* one that is to go */
void sim_liar_overhears (sim_world_t *world, sim_pack_t *pack);

/* --- liveness.c */
void sim_liveness_start (sim_world_t *world);
/* Each tick of the last phase: ends the run once all that must happen has happened. */
void sim_liveness_tick (sim_world_t *world);

#endif
