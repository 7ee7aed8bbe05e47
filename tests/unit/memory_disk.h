/* SPDX-License-Identifier: MPL-2.0 */
/* disk.h's interfaces in memory, for tests: a disk that keeps unsynced sectors of 512 bytes apart and loses any subset
 * of them on a crash; a state environment that holds what was committed; the index stands in memory_index.h. */

#ifndef ADR_MEMORY_DISK_H
#define ADR_MEMORY_DISK_H

#include "memory_index.h"

#define MEMORY_SECTOR 512

typedef struct {
    uint64_t number, size;
    uint8_t *now;    /* what a read sees */
    uint8_t *synced; /* what a power cut leaves */
    uint8_t *dirty;  /* one byte a sector */
    bool aside;
} memory_segment_t;

typedef struct {
    adr_disk_t disk; /* first */
    memory_segment_t *segment;
    size_t count, room;
    uint64_t free_bytes;   /* create takes from it */
    int fail_sync;         /* errno value of the next syncs; 0: none */
    uint64_t syncs, writes;
} memory_disk_t;

memory_disk_t *memory_disk_create (void);
/* A disk as it would be found after a power cut right now: each dirty sector survives if `keep` says so. */
memory_disk_t *memory_disk_crash (const memory_disk_t *self, bool (*keep) (void *argument), void *argument);
/* As it is, page cache and all: a killed process. */
memory_disk_t *memory_disk_copy (const memory_disk_t *self);
void memory_disk_destroy (memory_disk_t **self);
memory_segment_t *memory_disk_segment (memory_disk_t *self, uint64_t number); /* NULL: none */

typedef struct {
    adr_state_t state; /* first */
    struct {
        char name[32];
        uint8_t *value;
        size_t size;
    } put[32];
    size_t count;
    bool unreadable;
    const char *unreadable_name; /* this one alone, until it is put; NULL: none */
} memory_state_t;

memory_state_t *memory_state_create (void);
memory_state_t *memory_state_copy (const memory_state_t *self);
void memory_state_destroy (memory_state_t **self);

typedef struct {
    adr_entropy_t entropy; /* first */
    adr_random_t random;
} memory_entropy_t;

void memory_entropy_init (memory_entropy_t *self, uint64_t seed);

#endif
