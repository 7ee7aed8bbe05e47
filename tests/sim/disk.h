/* SPDX-License-Identifier: MPL-2.0 */
/* The simulator's disk: the three interfaces of store/disk.h, in memory, with everything that a disk may do wrong.
 *
 * Journal files keep, for each sector of 512 bytes that was written and not synced, what the platter holds: a power
 * cut then keeps any subset of them. A process that is killed keeps all of the cache. The state environment and the
 * index are transactional: a commit is there or is not. All three are lost together with the disk. */

#ifndef ADR_SIM_DISK_H
#define ADR_SIM_DISK_H

#include "../unit/memory_index.h"

#include "core/actor.h"
#include "store/disk.h"

#define SIM_SECTOR 512
#define SIM_PAGE 4096
#define SIM_ROT_MAX 16
#define SIM_HEADER_PAGES 2 /* of a segment, before its batches */
#define SIM_SEGMENTS_MAX 8192
#define SIM_SPARE_MAX 8

typedef struct {
    uint8_t data[SIM_PAGE];  /* what a process reads: the cache */
    uint8_t *platter;        /* what a power cut would leave of the sectors below; NULL: all the same */
    uint8_t dirty;           /* a bit a sector: written, not synced */
    uint8_t forgotten;       /* a bit a sector: a sync failed, the page is clean, the platter has the old bytes */
    uint64_t synced;         /* the newest durable batch when it became durable itself */
} sim_page_t;

typedef struct {
    uint64_t number, size;
    sim_page_t **page; /* NULL: zeros */
    uint32_t *dirty;   /* pages with dirty sectors */
    uint32_t dirty_count, dirty_room;
} sim_segment_t;

#define SIM_STATE_NAMES_MAX 64
typedef struct {
    char name[32];
    uint8_t *value;
    size_t size;
    bool unreadable;
} sim_state_row_t;

/* What was done to a disk that no store need survive whole: until then it forgets nothing and misses nothing. */
typedef enum {
    SIM_HARM_JOURNAL = 1,   /* bytes of the journal are not what was written */
    SIM_HARM_STATE = 2,     /* the state environment is gone, unreadable or of yesterday */
    SIM_HARM_LOST = 4,      /* all is gone */
    SIM_HARM_OLD_STATE = 8  /* the state environment is of yesterday, and the journal can tell */
} sim_harm_t;

typedef enum { SIM_DAMAGE_FLIP, SIM_DAMAGE_LOST_WRITE, SIM_DAMAGE_MISDIRECTED, SIM_DAMAGE_KINDS } sim_damage_t;

typedef struct {
    adr_disk_t disk;
    adr_state_t state;
    memory_index_t index;
    memory_power_t power; /* the index's */
    adr_entropy_t entropy;
    adr_random_t random;
    /* journal */
    sim_segment_t *segment[SIM_SEGMENTS_MAX]; /* ascending by number */
    uint32_t segment_count;
    uint64_t capacity, used, taken; /* `taken`: by others than Adrestia */
    sim_segment_t *spare[SIM_SPARE_MAX]; /* files whose names are gone and whose bytes are not */
    uint32_t spare_count;
    uint64_t durable_batch; /* number of the newest one */
    /* state */
    sim_state_row_t state_row[SIM_STATE_NAMES_MAX];
    uint32_t state_count;
    sim_state_row_t *old_state_row; /* yesterday's copy; NULL: none */
    uint32_t old_state_count;
    /* index */
    const char *wrong_row; /* what the first row that must not be breaks; NULL: there was none [check_rows.c] */
    uint64_t wrong_index, ahead_index; /* of that row; of the last one that is ahead of the applied index */
    /* faults */
    uint64_t ops_left;      /* power goes at this many operations from now; 0: never */
    bool ops_kill;          /* ... or only the process is killed there */
    bool dead;              /* ... it went: every call fails until the disk is powered again */
    bool fail_write, fail_sync; /* the next one fails */
    uint32_t fail_reads;        /* as many reads to come fail: a bad sector is tried more than once */
    bool met_write, met_sync, met_read;    /* ... it has failed; the world takes the flag back */
    bool recycles;          /* a new segment begins with bytes of an old file */
    uint32_t harm;          /* bits of sim_harm_t */
    uint64_t writes, syncs, reads; /* counters, for the report */
    struct {
        uint64_t segment, page, bit;
    } rot[SIM_ROT_MAX];
    uint32_t rot_count; /* ever; the newest are kept */
} sim_disk_t;

void sim_disk_init (sim_disk_t *self, uint64_t seed, uint64_t capacity);
void sim_disk_free (sim_disk_t *self);
/* Power is cut: of what was not synced all, nothing, the first part or any subset of sectors stays. */
void sim_disk_power_cut (sim_disk_t *self);
/* The process is gone, the machine runs on: the cache stays. */
void sim_disk_process_end (sim_disk_t *self);
/* All gone: an empty disk of the same size. */
void sim_disk_lose (sim_disk_t *self);
void sim_disk_lose_state (sim_disk_t *self, bool unreadable);
/* Damages something that is written of the journal, new bytes rather than old ones, but never the newest batch, which
 * no other witnesses [STORE-2]; false if there is nothing such. */
bool sim_disk_damage (sim_disk_t *self, sim_damage_t damage);
/* Keeps a copy of the state environment as it is now; brings it back. */
void sim_disk_copy_state (sim_disk_t *self);
void sim_disk_restore_state (sim_disk_t *self);
/* Flips a bit in the newest of what is safely in the journal; false if nothing is. */
bool sim_disk_rot_newest (sim_disk_t *self);
/* Takes that rot back, and, called again, brings it back: for a checker that must read what was written. */
void sim_disk_unrot (sim_disk_t *self);
int sim_state_get (void *state, const char *name, void *value, size_t room);

#endif
