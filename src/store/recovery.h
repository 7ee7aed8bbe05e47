/* SPDX-License-Identifier: MPL-2.0 */
/* What the files of a recovery share. A recovery runs once, before the node answers anybody, on one thread.
 *
 *     recovery.c         what was found, what becomes of it: opened, damaged, new, amnesia
 *     recovery_notes.c   what the state environment says
 *     recovery_scan.c    which batches there are, and which of them count: torn or damaged [STORE-2]
 *     recovery_replay.c  the log, from batches [STORE-5, STORE-6]
 *     recovery_tail.c    the tail's copy [STORE-1]
 *     recovery_rebuild.c the index, from what the segments still hold [STORE-9] */

#ifndef ADR_RECOVERY_H
#define ADR_RECOVERY_H

#include "store/internal.h"

#include <stdio.h>

typedef struct {
    adr_batch_header_t header;
    uint8_t digest[ADR_DIGEST_BATCH];
    size_t frame;     /* where its frames begin among the recovery's, if it is good */
    bool good;        /* its frames are sound */
    bool header_lost; /* what its header says is not to be trusted either */
} adr_scanned_t;

/* What a replay needs to know of a frame, so that the journal is read once. */
typedef struct {
    uint8_t kind;  /* adr_frame_kind_t */
    bool is_sound; /* its content is what its kind says */
    uint16_t voters_size; /* of a voters entry: its value, from `voters_at` on among the recovery's */
    uint32_t voters_at;
    uint32_t offset, size;
    uint64_t term, index; /* of the entry, or where the log is cut */
    adr_origin_t origin;
} adr_scanned_frame_t;

typedef struct {
    adr_store_t *self;
    char *why;
    size_t why_size;
    uint64_t *number; /* of the segments that exist */
    size_t number_count;
    adr_note_segment_t note;
    uint64_t generation;      /* of an index that may have been there when the last segment went */
    uint64_t removed_from;
    uint8_t removed[ADR_NOTE_REMOVED_SEGMENTS / 8]; /* a bit for each segment from that one on */
    bool rebuild;             /* the index is to be made anew, ... */
    bool rebuild_noted;       /* ... and the state environment says so */
    adr_position_t start;
    adr_voters_t voters;
    uint64_t scan_segment, scan_batch;
    adr_scanned_t *batch;
    size_t count, room;
    adr_scanned_frame_t *frame;
    size_t frame_count, frame_room;
    adr_buffer_t voters_values;
    adr_origin_t *origin; /* by index, from the one after the log's start on */
    size_t origin_room;
    uint64_t durable; /* highest batch that any batch knows to be durable */
    uint64_t commit;  /* highest commit index that any batch records, or that a segment went by [STORE-8] */
    uint64_t term;    /* highest term that any batch carries */
    uint64_t last_segment; /* the last one with a batch */
    uint64_t made_segment; /* the last one that a recovery made: nothing goes before it any more */
    uint64_t *refilled; /* indexes of entries that took the place of lost ones */
    size_t refilled_count;
    adr_buffer_t peek;
    uint64_t peek_segment, peek_offset;
} adr_recovery_t;

#define ADR_WHY(r, ...) snprintf ((r)->why, (r)->why_size, __VA_ARGS__)

typedef enum { ADR_NOTES_GOOD, ADR_NOTES_NONE, ADR_NOTES_BAD } adr_notes_t;

/* Bytes of a segment, lent until the next call; NULL where the disk refuses. */
const uint8_t *adr_recovery_peek (adr_recovery_t *r, uint64_t segment, uint64_t size_of_segment, uint64_t offset,
                                  uint64_t size);
bool adr_recovery_exists (const adr_recovery_t *r, uint64_t number);
/* It went, and was meant to [STORE-8]. */
bool adr_recovery_is_removed (const adr_recovery_t *r, uint64_t number);

adr_notes_t adr_recovery_notes_read (adr_recovery_t *r);
/* Writes everything that makes a store exist in one commit, the last step of its making [STORE-4]. */
int adr_recovery_notes_write (adr_recovery_t *r);
int adr_recovery_note (adr_recovery_t *r, uint64_t newest, uint64_t recovering);

bool adr_recovery_reindex_is_noted (adr_recovery_t *r);
/* Notes that the index is being made anew: until that is done the next start begins it again, and ever after it is known
 * that it was. */
int adr_recovery_note_rebuild (adr_recovery_t *r);
int adr_recovery_note_replayed (adr_recovery_t *r);
/* Rows of what stands below the log's start, and of copies wherever they stand, into an index that is empty. */
int adr_recovery_rebuild (adr_recovery_t *r);

void adr_recovery_scan (adr_recovery_t *r);
bool adr_recovery_unnoted_hold_batches (adr_recovery_t *r);
void adr_recovery_witness (adr_recovery_t *r);
void adr_recovery_chain (adr_recovery_t *r);

/* Rebuilds the log to its end [STORE-6]. False if what is here contradicts itself. */
bool adr_recovery_replay (adr_recovery_t *r);
uint64_t adr_recovery_last_missing (const adr_log_t *log);

int adr_recovery_segment_begin (adr_recovery_t *r, uint64_t number, uint64_t size, uint64_t first_batch, bool exists);
int adr_recovery_secure_tail (adr_recovery_t *r);

#endif
