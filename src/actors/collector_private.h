/* SPDX-License-Identifier: MPL-2.0 */
/* What the two files of the collector share. collector.c: the actor, and which rows it takes. collector_row.c: what is asked
 * for one of them, and what its answer means. */

#ifndef ADR_COLLECTOR_PRIVATE_H
#define ADR_COLLECTOR_PRIVATE_H

#include "actors/obeyed.h"
#include "core/actor.h"
#include "core/entry.h"
#include "core/map.h"
#include "wire/object_records.h"

#define ROWS 64     /* of a page */
#define ROW_KEY_MAX ADR_PENDING_KEY_SIZE
#define LIMIT_MS 10000
#define UNREAD_MAX 3 /* a write whose stamp was too old is asked for again so often */
#define ARENA_ROOM 1024
#define ARENA_MAX (256 * 1024)

static_assert (ADR_PENDING_KEY_SIZE >= ADR_GARBAGE_KEY_SIZE, "the larger of the two");

typedef enum {
    STEP_RECORD,  /* does the record that shall name the object do so? */
    STEP_OWNER,   /* it does not: does the object say that it is that record? */
    STEP_DOOM,    /* the row waits for the object's end */
    STEP_HEADER,  /* how many chunks has it? */
    STEP_COUNT,   /* it has no header: they are looked for */
    STEP_CONDEMN, /* the header says that chunks go */
    STEP_CHUNKS,  /* the last ones first */
    STEP_REMOVE,  /* the header goes */
    STEP_ROW,     /* the row goes */
    STEP_OVER,
    STEP_FAILED   /* the next look tries again */
} collector_step_t;

/* What a look goes through, in this order. */
typedef enum { RANGE_EPOCHS, RANGE_DOOMED, RANGE_BORN, RANGE_GARBAGE } collector_range_t;

typedef struct {
    collector_step_t step;
    uint64_t number; /* of its request; 0: none is under way */
    uint32_t unread; /* writes that were too old to be read, one after the other */
    uint8_t key[ROW_KEY_MAX];
    size_t key_size;
    adr_id_t object;
    uint64_t chunks; /* that are left, or are known so far */
    uint64_t looked; /* the next chunk that is looked for */
    uint8_t record[ADR_KEY_MAX]; /* the meta key */
    size_t record_size;
} collector_row_t;

/* A group whose rows are looked at. */
typedef struct {
    adr_id_t group;
    adr_node_type_t type;
    uint32_t partition; /* one of its own, by which lists find it */
    bool nearest;       /* its master is in our zone */
    int64_t look_ns;    /* when it is looked at next */
    uint8_t done[ROW_KEY_MAX]; /* rows up to there are over */
    size_t done_size;
    uint64_t done_epoch; /* the newest epoch when `done` was begun */
} collector_place_t;

typedef struct {
    adr_environment_t environment; /* its settings are those that are obeyed now */
    adr_obeyed_t obeyed;
    adr_effects_t *effects; /* of the current event */
    int64_t now_ns;
    adr_map_t *map;
    adr_random_t random;
    uint32_t place_count;
    collector_place_t *place; /* owned */
    uint64_t *epoch;  /* owned: of each meta partition, as the newest look found it */
    uint64_t number;  /* of the newest request */
    uint64_t token;   /* the newest of our edge [EDGE-6] */
    /* The look that is under way. */
    int look; /* its place; -1: none */
    collector_range_t range;
    uint32_t epochs_of; /* the place whose epochs are listed */
    uint64_t listing;   /* number of the list; 0: none is under way */
    int64_t asked_ns;   /* when anything was asked last */
    int64_t wake_ns;    /* what the shell was asked for */
    uint8_t after[ROW_KEY_MAX];
    size_t after_size;
    bool more;
    bool unbroken; /* every row of this range was over so far: `done` follows */
    uint64_t newest_epoch;
    uint32_t row_count;
    collector_row_t row[ROWS];
    uint64_t collected, chunks, kept, swept; /* in this look */
    bool failed; /* something in this look */
} collector_t;

/* collector_row.c */
/* Sends the request of the row's step. */
void collector_ask (collector_t *self, collector_row_t *row);
/* [OBJECT-4] The first one that deletes something, of an object whose chunks are known. */
collector_step_t collector_first_step (const collector_row_t *row);
/* Its next step, by the answer. */
collector_step_t collector_step (collector_t *self, collector_row_t *row, adr_status_t status, adr_bytes_t value);
collector_step_t collector_counted (collector_row_t *row, const Adr__ListAnswer *answer, adr_bytes_t rows);
/* A row that nobody should have written: said once, and it goes. */
collector_step_t collector_wrong (collector_t *self, const char *what);
uint8_t collector_table (const collector_t *self); /* of the rows that are looked at */
/* Returns the number of the request. */
uint64_t collector_list (collector_t *self, uint8_t table, adr_bytes_t prefix, adr_bytes_t after, adr_bytes_t by,
                         bool with_values);

#endif
