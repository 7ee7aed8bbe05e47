/* SPDX-License-Identifier: MPL-2.0 */
/* What the files of the inventory_syncer share.
 *
 *     inventory_syncer.c        the actor: what is to be repaired, passes, their end, its mailbox
 *     inventory_syncer_pull.c   one partition after the other: leaves, inventories, records
 *     inventory_syncer_doubts.c  what may have been purged: whose word decides
 *     inventory_syncer_serve.c  the source's side
 *     inventory_syncer_control.c  what operators ask for */

#ifndef ADR_INVENTORY_SYNCER_PRIVATE_H
#define ADR_INVENTORY_SYNCER_PRIVATE_H

#include "actors/group.h"
#include "actors/obeyed.h"
#include "core/actor.h"
#include "core/map.h"
#include "store/reader.h"
#include "wire/pack.h"

#define HASH_SIZE 32
#define LANES 8                         /* partitions that are pulled at once */
#define INVENTORY_MAX (16 * 1024 * 1024) /* of one bucket: 200,000 records of it */
#define INVENTORY_ENOUGH (1024 * 1024)  /* of one answer, in pieces: buckets behind that are asked for again */
#define PIECE_MAX (160 * 1024)          /* of one answer: a pack with room for its headers [DESIGN 3] */
#define SERVED_MAX 16                   /* inventories that are kept for askers who page through them */
#define PLACE_MAX (192 * 1024)          /* of one PLACE, about */
#define WINDOW_MAX (3 * 1024 * 1024)    /* bytes that are asked for, or wait for the own disk: eight full answers, and 2 MiB */
#define WINDOW_MIN (64 * 1024)          /* however busy clients are: repair ends */
#define WINDOW_UNIT (64 * 1024)         /* more each round in which nobody was busy */
#define WINDOW_START (512 * 1024)
#define ROUND_NS (100 * ADR_MS)         /* at least: the time over which whoever says busy has measured */
#define TRIP_MS 20                      /* a window is asked for no more often: on a fast network it would hold nothing back */
#define RUNS_NS (2000 * ADR_MS)         /* a peer that asked for something so lately is being repaired from here */
#define WOUNDS_MAX (1024 * 1024)        /* bytes of keys whose values cannot be read */
#define AHEAD_MAX (1024 * 1024)         /* entries: what is committed between two pieces of news from the master is much less */
#define LACKED_MAX (64 * 1024)          /* bytes of rows whose values some peers cannot read, a thousand */
#define PATIENCE_NS (2000 * ADR_MS)     /* a peer that does not answer for so long is replaced by another */

typedef enum {
    MODE_IDLE,
    MODE_COPYING, /* this copy is sick: every partition from whichever peer, pass after pass [REPAIR-1] */
    MODE_MENDING, /* two copies differ at a checkpoint: those partitions, from that peer [REPAIR-3] */
    MODE_COUNT
} repair_mode_t;

typedef enum {
    LANE_IDLE,
    LANE_LEAVES,    /* the peer was asked for its leaves */
    LANE_INVENTORY, /* ... for the inventory of a bucket that differs */
    LANE_RECORDS,   /* ... for records that this copy lacks */
    LANE_WAITING    /* has something to ask for, `next`, once rate and window allow it */
} lane_stage_t;

/* One partition that is being pulled. */
typedef struct {
    lane_stage_t stage, next;
    uint64_t expects;    /* bytes, about: of the answer that is on its way */
    uint32_t offset;     /* of the piece of an inventory that it waits for */
    uint32_t partition;
    int peer;            /* place in the group */
    uint64_t number;     /* of what it was asked last */
    int64_t sent_ns;
    uint8_t differ[ADR_BUCKET_SET_SIZE]; /* buckets whose leaves differ, and that are not compared yet */
    adr_buffer_t inventory;
    uint32_t inventory_size;
    adr_buffer_t wanted; /* rows of records to pull; keys are asked for from wanted_at on */
    size_t wanted_at;
    adr_buffer_t doubts; /* rows that only one of the two copies has, and that may have been purged: a second peer decides */
    size_t doubt_at;     /* ... up to here it has */
    bool doubting;       /* ... and is being asked */
    bool exact, proven;  /* the peer's copy, as the inventory said that is here */
    uint64_t applied;    /* the moment of that inventory */
    uint32_t asked;      /* keys of the question that is open */
    bool anybody;        /* the peer need not be proven */
    bool lacking;        /* the peer could not give something: the partition is asked of another one */
} lane_t;

typedef enum { PART_TODO, PART_BUSY, PART_DONE, PART_LEFT } part_t; /* LEFT: not to be looked at */

/* An inventory that an asker pages through. */
typedef struct {
    adr_id_t node;
    uint64_t number, used; /* `used`: when, in requests */
    uint64_t applied;
    adr_buffer_t rows;
} served_t;

typedef struct inventory_syncer {
    adr_environment_t environment; /* its settings are those that are obeyed now */
    adr_obeyed_t obeyed;
    adr_reader_t *reader;
    adr_group_t group;
    uint32_t epoch;            /* the highest that a version of this group may have [PART-1] */
    int64_t bad_until_ns[ADR_GROUP_NODES_MAX]; /* in the order of group.node: it gave nothing, lately */
    adr_random_t random;
    adr_effects_t *effects; /* of the current event */
    int64_t now_ns;

    /* What the own replicator said last. */
    adr_sync_t sync;
    bool proven, lossy;
    bool busy;           /* its clients wait longer than they are used to */
    adr_id_t master;
    uint64_t applied, purged_to;
    uint64_t commit, term; /* the greatest that were heard of */
    adr_voters_t voters;
    uint64_t asked, placed, admitted_bytes;

    repair_mode_t mode;
    int mend_peer;
    bool ordered;             /* mending: all partitions, because an operator asked for it; else what differed at mend_at */
    uint32_t compare_left;    /* a bit for each peer that an operator's comparison has yet to look at */
    int64_t paused_until_ns;  /* by an operator [REPAIR-9]; 0: not */
    int64_t pause_noted_ns;
    adr_position_t mend_at;
    part_t *part;       /* of each partition, and of the group's own records */
    uint32_t part_count, done_count, todo_count, all_count;
    int64_t began_ns, told_ns; /* when this mode began, when progress was told last */
    uint64_t began_bytes;
    uint32_t progress;   /* of this pass, as it was told last */
    int64_t progress_ns; /* ... and when */
    lane_t lane[LANES];
    uint64_t number;    /* of the last question asked; answers to older ones find no lane */
    uint64_t pass, floor, ceiling; /* of this pass: least and greatest applied index that any answer showed */
    bool floor_known;
    int ceiling_peer;    /* who showed the greatest one */
    uint64_t log_start;   /* of whoever was asked for a base in vain: a source that is not applied up to there is no use */
    uint64_t base_number; /* of the question for a base; 0: none is open */
    int64_t base_ns;
    int base_peer;
    adr_buffer_t wounds;  /* keys of records whose values cannot be read here */
    uint64_t wound_number; /* of the question for some of them; 0: none is open */
    int64_t wound_ns, wound_wait_ns;
    int64_t source_ns;    /* when a proven source gave something last */
    adr_buffer_t place;   /* copies that go to the replicator with the next PLACE */
    uint64_t place_bytes; /* ever sent there */
    adr_buffer_t drops;   /* rows that were purged, as two other copies say */
    adr_buffer_t lacked;  /* u32, a bit for each peer that cannot read the value, then the row */
    adr_buffer_t quarantine; /* rows that are to stand here without being served */
    uint64_t doubts;      /* records in doubt */
    int64_t doubt_ns;     /* when they are asked about next */
    bool compare_doubts;  /* the comparison is not an operator's: only where records are in doubt */
    uint64_t window;      /* bytes that may be asked for, or wait for the own disk, at a time [REPAIR-8] */
    int64_t round_ns;     /* when it was decided on last */
    bool round_busy;      /* somebody has said so since */
    bool was_busy;        /* ... or in an earlier round, since this mode began */
    int64_t served_ns;    /* when a peer was given something last; 0: never */
    int64_t credit;       /* bytes that may still come now [repair_rate]; below 0: that came too early */
    int64_t credit_ns;
    int64_t tick_ns;

    /* Counters, since the start. */
    uint64_t pulled_bytes, pulled_records, mended_records, dropped_records, lost_records, failed_peers, false_inventories;

    served_t served[SERVED_MAX];
    uint64_t served_clock, retries_noted;
    adr_buffer_t scratch;
} inventory_syncer_t;

/* --- inventory_syncer.c */
void syncer_send (inventory_syncer_t *self, const adr_id_t *node, uint16_t kind, const void *header, adr_bytes_t payload);
void syncer_flush_drops (inventory_syncer_t *self); /* and what is to be in quarantine */
void syncer_flush_places (inventory_syncer_t *self); /* what has gathered goes to the replicator */
void syncer_see_applied (inventory_syncer_t *self, int peer, uint64_t applied, bool leaves);
/* False if no log that is known of reaches that far. */
bool syncer_may_be_applied (const inventory_syncer_t *self, uint64_t applied);
/* False if the log cannot have had an entry of that version. */
bool syncer_may_be_version (const inventory_syncer_t *self, const adr_version_t *version);
/* The partition is as good as that peer's; or is to be asked of another one. */
void syncer_part_done (inventory_syncer_t *self, lane_t *lane, bool whole);
/* True if the source need not be proven: between two that mend each other, and where none is for long. If it is their
 * checkpoints that wait for this copy's acknowledgements, nobody would ever be proven, nor this copy made. */
bool syncer_asks_anybody (const inventory_syncer_t *self);
/* A healthy peer at random, not the master if there is a choice; -1: none. */
int syncer_choose_peer (inventory_syncer_t *self);
void syncer_tell_index (inventory_syncer_t *self); /* to the replicator: rows of the index cannot be read */
int syncer_choose_other (inventory_syncer_t *self, int peer); /* a healthy voter other than that one */
/* That peer is left alone for a while. */
void syncer_blame (inventory_syncer_t *self, int peer, const char *why);

void syncer_tell_progress (inventory_syncer_t *self); /* to the replicator, now */
void syncer_put_down (inventory_syncer_t *self);      /* questions that are out, and a mending: for a pause */
void syncer_go_on (inventory_syncer_t *self);         /* whatever may be done now */

/* --- inventory_syncer_control.c */
bool syncer_is_paused (const inventory_syncer_t *self);
uint32_t syncer_pause_left_s (const inventory_syncer_t *self);
uint32_t syncer_comparable (const inventory_syncer_t *self, uint32_t *count); /* a bit for each peer that votes */
void syncer_tend_pause (inventory_syncer_t *self); /* each tick */
void syncer_on_control (inventory_syncer_t *self, const adr_event_t *event);

/* --- inventory_syncer_pull.c */
void syncer_lane_begin (inventory_syncer_t *self, lane_t *lane, uint32_t partition, int peer);
void syncer_lane_end (lane_t *lane);
void syncer_lanes_go_on (inventory_syncer_t *self); /* those that wait for rate or window */
/* True if an answer of so many bytes fits into window and rate [REPAIR-8]. */
bool syncer_may_ask (const inventory_syncer_t *self, uint64_t bytes);
bool syncer_waits (const inventory_syncer_t *self); /* a lane, for either */
bool syncer_runs (const inventory_syncer_t *self); /* copies are made, here or by a peer from here */
void syncer_on_leaves (inventory_syncer_t *self, const adr_event_t *event);
void syncer_on_inventory (inventory_syncer_t *self, const adr_event_t *event);
void syncer_on_records (inventory_syncer_t *self, const adr_event_t *event);
void syncer_on_wounds (inventory_syncer_t *self, const adr_event_t *event);
void syncer_tend_wounds (inventory_syncer_t *self);

/* --- inventory_syncer_doubts.c */
/* The peer's row is wanted, its value too. */
void syncer_take (inventory_syncer_t *self, lane_t *lane, const adr_inventory_row_t *row);
/* The peer has it, this copy does not, and may have purged it. */
void syncer_doubt_missing (inventory_syncer_t *self, lane_t *lane, const adr_inventory_row_t *row);
/* The peer has it in doubt, this copy has none of that version, or of any (`absent`). */
void syncer_meet_doubt (inventory_syncer_t *self, lane_t *lane, const adr_inventory_row_t *row, bool absent);
/* Both have it, one of them in doubt. */
void syncer_compare_doubt (inventory_syncer_t *self, lane_t *lane, const adr_inventory_row_t *own,
                           const adr_inventory_row_t *row);
/* This copy has it, and the peer, whose purges reach up to `horizon`, does not. */
void syncer_doubt_rows (inventory_syncer_t *self, lane_t *lane, const adr_inventory_section_t *section, uint64_t horizon);
/* Chooses the second voter that is to decide; false if there is none, or nothing to decide. */
bool syncer_ask_second (inventory_syncer_t *self, lane_t *lane);
/* Its word. */
void syncer_settle_doubts (inventory_syncer_t *self, lane_t *lane, const adr_inventory_section_t *section, uint64_t horizon);
/* What nobody could decide. */
void syncer_leave_doubts (inventory_syncer_t *self, lane_t *lane);

/* --- inventory_syncer_serve.c */
void syncer_on_leaves_ask (inventory_syncer_t *self, const adr_event_t *event);
void syncer_on_inventory_ask (inventory_syncer_t *self, const adr_event_t *event);
void syncer_on_records_ask (inventory_syncer_t *self, const adr_event_t *event);

#endif
