/* SPDX-License-Identifier: MPL-2.0 */
/* What the files of src/store/ share and nobody else sees: the store's parts.
 *
 *     log.c       the entries from log start to the end: terms, places, newest bytes, voters
 *     log_history.c  the terms of what was in the log before its start
 *     journal.c   the open batch, the batch that is out, segments and their jobs
 *     account.c   what of each segment still counts
 *     compaction.c  segments that go
 *     recovery.c  everything that happens before the actors run (with its own recovery.h)
 *     records.c   rows, values, scans
 *     flush.c     applied and placed rows become rows of the index, in one transaction with the hash tree
 *     place.c     records that come as copies: from a peer, or from a segment that is to go
 *     sync.c      how far this copy is exact
 *     jobs.c      what blocks: which job is due, running it, what becomes of it
 *     store.c     life, and the face of the log */

#ifndef ADR_STORE_INTERNAL_H
#define ADR_STORE_INTERNAL_H

#include "store/layout.h"
#include "store/memtable.h"
#include "store/store.h"
#include "store/tree.h"

/* --- the log (log.c) --------------------------------------------------------------------------------------- */

/* One entry. `segment` 0: not yet formed into a batch, then `offset` is its frame's in the open batch. */
typedef struct {
    uint64_t term;
    uint64_t cache_at; /* where its bytes went in the cache's endless count; ADR_UNCACHED: nowhere */
    uint32_t segment, offset;
    uint32_t size; /* of the frame */
    bool missing;  /* lost by this copy [STORE-5]; `term` is a lower bound, exact at the end of the hole. `segment` 0:
                      lost before the start; else where it stood when it could not be read any more */
} adr_item_t;

#define ADR_UNCACHED UINT64_MAX

typedef struct {
    adr_item_t *item; /* a ring: index & mask */
    uint64_t mask;
    adr_position_t start, last;
    adr_voters_t base; /* at `start` */
    adr_voters_t *voters;
    size_t voters_count, voters_room;
    uint8_t *cache;
    uint64_t cache_size, cache_head;
    uint64_t bytes; /* of all frames of the log */
    uint64_t missing_from, missing_count;
    uint64_t refilled_to; /* up to here places may be out of order */
} adr_log_t;

void adr_log_init (adr_log_t *self, uint64_t cache_bytes);
void adr_log_free (adr_log_t *self);
/* Empties the log: it starts after `start` with these voters. */
void adr_log_reset (adr_log_t *self, adr_position_t start, const adr_voters_t *base);
static inline adr_item_t *
adr_log_item (const adr_log_t *self, uint64_t index)
{
    adr_assert (index > self->start.index && index <= self->last.index);
    return &self->item[index & self->mask];
}
/* Adds an entry at the end and returns its item, whose place the caller fills in. */
adr_item_t *adr_log_append (adr_log_t *self, const adr_entry_t *entry, size_t frame_size);
/* Adds entries that are lost, up to `last`. */
void adr_log_append_missing (adr_log_t *self, adr_position_t last);
/* The entry is lost from now on; its place stays known. */
void adr_log_lose (adr_log_t *self, uint64_t index);
/* The first missing entry is there after all. */
void adr_log_found (adr_log_t *self, uint64_t index);
/* Fills the hole at the entry's index; NULL if it is none, or the term cannot stand there. */
adr_item_t *adr_log_refill (adr_log_t *self, const adr_entry_t *entry, size_t frame_size);
void adr_log_cut (adr_log_t *self, uint64_t index);
/* Moves the start up to `index`, which is in the log. */
void adr_log_trim (adr_log_t *self, uint64_t index);
ADR_WARN_UNUSED bool adr_log_term_at (const adr_log_t *self, uint64_t index, uint64_t *term);
const adr_voters_t *adr_log_voters (const adr_log_t *self);
const adr_voters_t *adr_log_voters_at (const adr_log_t *self, uint64_t index);
void adr_log_cache_put (adr_log_t *self, adr_item_t *item, adr_bytes_t encoded);
/* The entry's bytes if they are still cached. */
ADR_WARN_UNUSED bool adr_log_cache_get (const adr_log_t *self, const adr_item_t *item, adr_bytes_t *encoded);
void adr_log_check (const adr_log_t *self);

/* How far this copy is exact (sync.c), as the state environment notes it. */
typedef struct {
    adr_sync_t sync;
    uint64_t window_to; /* while replaying: up to here an entry may meet newer rows */
    bool lossy;         /* rows that could not be read were taken out: what they said is missing */
} adr_sync_note_t;

#define ADR_NOTE_SYNC "sync"
#define ADR_NOTE_SYNC_SIZE 16

void adr_sync_note_encode (const adr_sync_note_t *note, uint8_t at[ADR_NOTE_SYNC_SIZE]);
bool adr_sync_note_decode (adr_sync_note_t *note, const uint8_t at[ADR_NOTE_SYNC_SIZE]);

/* --- the journal (journal.c) ------------------------------------------------------------------------------- */

typedef struct {
    uint64_t salt, size;
    uint64_t first_batch; /* number of its first batch; 0 while it has none */
    uint64_t used;        /* end of what it holds; 0: not known, or of no interest any more */
    bool readable;        /* its header could be read */
    bool cut_short;       /* its file ends too early, and no seal says that this is right */
    bool removed;         /* it is gone, and that is right [STORE-8] */
    bool is_scanned;      /* this start has read its batches */
    bool is_walked;       /* compaction has copied what counts of it, or all of that which it could read */
    uint64_t live;        /* bytes of rows of the index that stand here (account.c) */
    uint64_t ghost;       /* and of tombstones whose rows were purged [STORE-9] */
    uint64_t low_index;   /* the lowest index of an entry that it holds; 0: none */
    uint64_t stuck_live;   /* bytes that a walk could not copy: they are damaged; 0: none */
    uint64_t copies_least; /* one more than the least applied index at which a copy was placed here; 0: no copies */
} adr_segment_t;

/* Bytes that were read ahead, for streams of older entries. */
typedef struct {
    uint64_t segment, offset;
    size_t size;
    uint8_t *data;
} adr_window_t;

#define ADR_WINDOW_SIZE (256 * 1024)

typedef enum {
    ADR_JOB_NONE,
    ADR_JOB_BATCH,
    ADR_JOB_SEGMENT,
    ADR_JOB_FLUSH,
    ADR_JOB_START,
    ADR_JOB_FOUND,
    ADR_JOB_SEAL,
    ADR_JOB_SPACE,
    ADR_JOB_REINDEX,
    ADR_JOB_PLACE,
    ADR_JOB_HEAL,
    ADR_JOB_SYNC,
    ADR_JOB_COMPACT,
    ADR_JOB_REMOVE
} adr_job_kind_t;

/* --- accounts (account.c) ---------------------------------------------------------------------------------- */

/* What a transaction of the index changes in the account of one segment. */
typedef struct {
    uint64_t segment;
    int64_t live, ghost;
    uint64_t low_index, copies_least;
    bool is_saved; /* those two are to be stored */
    bool gone;     /* the segment was removed: so is its record */
} adr_account_t;

typedef struct {
    adr_account_t *account; /* ascending by segment */
    size_t count, room;
    size_t gone_count; /* how many of the store's `gone` are among them */
    uint64_t saved_to;
    bool is_damaged; /* a row that was replaced could not be read */
} adr_accounts_t;

/* How many bytes of its segment a row keeps: the whole frame if its operation is the only one there. */
uint64_t adr_account_share (adr_bytes_t key, const adr_index_row_t *row);
/* On the owner's thread, before a job is out. */
void adr_accounts_begin (adr_store_t *self, adr_accounts_t *accounts);
/* Takes back what was counted: the transaction begins again. */
void adr_accounts_restart (adr_accounts_t *accounts);
/* A row is replaced, `old` or `row` NULL: there was none, there is none any more. */
void adr_accounts_row (adr_accounts_t *accounts, adr_bytes_t key, const adr_index_row_t *old,
                       const adr_index_row_t *row);
/* What was counted is all that there is: the accounts become that. */
void adr_accounts_replace (adr_store_t *self, adr_accounts_t *accounts);
void adr_accounts_ghost (adr_accounts_t *accounts, uint64_t segment, int64_t bytes);
/* Into the open transaction. */
int adr_accounts_put (adr_store_t *self, adr_accounts_t *accounts);
/* On the owner's thread, once it is durable. */
void adr_accounts_done (adr_store_t *self, adr_accounts_t *accounts);
void adr_accounts_free (adr_accounts_t *accounts);
void adr_account_gone (adr_store_t *self, uint64_t number);
/* True if the index's accounts can be read; reads them. */
bool adr_accounts_are_sound (adr_store_t *self);
int adr_accounts_load (adr_store_t *self);

/* --- terms below the log's start (log_history.c) --------------------------------------------------------------- */

/* Each change of masters that entries survive makes a run; where so many stand beside segments that are never removed,
 * compaction takes the oldest. */
#define ADR_HISTORY_MAX 1024
#define ADR_HISTORY_BYTES_MAX (8 + ADR_HISTORY_MAX * 16)

typedef struct {
    uint64_t floor; /* of entries up to here nothing is known, and no segment has any */
    uint32_t count;
    adr_position_t run[ADR_HISTORY_MAX]; /* the term, and the last index that has it */
} adr_history_t;

void adr_history_init (adr_history_t *self, uint64_t floor);
/* Adds the terms of the log's entries up to `to`; returns up to which there was room. */
uint64_t adr_history_extend (adr_history_t *self, const adr_log_t *log, uint64_t to);
/* The log is about to start anew at `to`: of its entries those count that were applied, of those behind them none. */
void adr_history_leap (adr_history_t *self, const adr_log_t *log, uint64_t applied, uint64_t to);
/* Forgets what lies before `lowest`. */
void adr_history_prune (adr_history_t *self, uint64_t lowest);
/* True if the committed log had an entry of that term and index. */
bool adr_history_is_genuine (const adr_history_t *self, adr_position_t entry);
size_t adr_history_encode (const adr_history_t *self, uint8_t at[ADR_HISTORY_BYTES_MAX]);
ADR_WARN_UNUSED bool adr_history_decode (adr_history_t *self, adr_bytes_t bytes);

/* Where a walk through a segment's frames stands. */
typedef struct {
    uint64_t segment;
    uint64_t offset, end; /* of the next frame, and of the batch that it is in; no batch where they are equal */
} adr_walk_t;

typedef struct {
    adr_store_job_t job; /* first: what the shell sees */
    adr_job_kind_t kind; /* NONE: not out */
    /* batch */
    adr_batch_header_t header;
    uint64_t salt;
    adr_buffer_t bytes; /* header, frames, zeros to the end of the block */
    uint64_t note_term; /* to be noted before the batch is written [STORE-4]; 0: none */
    uint64_t last_index; /* durable up to there when it is done; lowered by cuts meanwhile */
    uint64_t refilled_from, refilled_to;
    uint8_t digest[ADR_DIGEST_BATCH];
    /* segment, seal */
    adr_segment_header_t segment;
    uint64_t segment_small; /* its size where there is no space for a whole one */
    bool segment_for_bulk;  /* its space is reserved, its zeros are not written */
    bool no_space;
    /* flush, place */
    adr_position_t applied;
    uint64_t generation;
    adr_accounts_t accounts;
    bool again;
    bool given_up;         /* the index is lost: nothing was done */
    bool has_root;         /* the tree's roots are those of `applied`, a checkpoint */
    uint8_t root[ADR_HASH_SIZE];
    uint64_t regressions;  /* rows that would have replaced newer ones [REPAIR-4] */
    uint64_t placed_count; /* of the oldest copies */
    /* heal */
    uint64_t lost_rows;
    bool heal_failed;
    /* sync */
    adr_sync_note_t sync;
    bool moves_base;
    /* start */
    adr_position_t start;
    adr_voters_t voters;
    uint64_t scan_segment, scan_batch;
    adr_history_t history;
    /* remove */
    uint64_t first;
    adr_buffer_t note;
    /* compact */
    adr_walk_t walk;
    uint64_t read_size, read_retries; /* what the walk has cost */
    uint64_t copies_least; /* of the other segments: purged tombstones from there on must stay */
    bool drops_ghosts;
    bool meets_damage;   /* a row could not be read */
    adr_buffer_t found;  /* for each copy to be made: u8 kind, an entry of one operation */
    adr_entry_t *entry, *single;
    /* space */
    uint64_t free_bytes, all_bytes;
} adr_job_t;

typedef struct {
    adr_id_t id;
    uint64_t first_segment; /* the oldest that exists */
    uint64_t newest;        /* the newest that the state environment notes; those above `current` are prepared */
    uint64_t current;       /* where batches go */
    uint64_t offset;        /* where the next one goes */
    uint64_t scan_segment;  /* no entry of the log stands before it; noted */
    uint64_t scan_batch;    /* ... nor before that batch */
    uint64_t seal_next;     /* segments below it are as small as they get [STORE-11] */
    uint64_t save_next;     /* accounts of segments below it are whole in the index */
    uint64_t next_batch;
    uint64_t durable_batch;
    uint64_t durable_index;
    uint64_t noted_term;
    adr_position_t end; /* the log's end after the last batch that was formed */
    uint8_t digest[ADR_DIGEST_BATCH];
    adr_segment_t *segment; /* by number - first_segment */
    size_t segment_room;
    adr_buffer_t open; /* the batch that gathers: room for its header, then frames */
    bool cut_pending;  /* the cut frame goes before the next entry [STORE-12] */
    adr_position_t cut_to;
    uint64_t refilled_from, refilled_to; /* in the open batch */
    bool witness_due;  /* the last batch with entries has no witness yet [STORE-2] */
    int64_t witness_at; /* 0: not yet known */
} adr_journal_t;

/* --- memory tables that wait for their flush ---------------------------------------------------------------- */

#define ADR_FROZEN_MAX 4 /* one is flushed, the others were frozen by checkpoints meanwhile */

typedef struct {
    adr_memtable_t *table;
    adr_position_t applied; /* the last entry whose rows are in it, or in an older one */
    bool checkpoint;        /* ... is a checkpoint: the tree's roots are noted there */
} adr_frozen_t;

/* A record that came as a copy, from its frame in the open batch to its row in the index. Oldest first. */
typedef struct adr_placed {
    struct adr_placed *next;
    uint64_t batch; /* that has its frame; 0: it is in the open one */
    adr_index_row_t row;
    bool drop;      /* no copy: the record goes, if it has that very version */
    bool bare;      /* no copy either: a row without its value */
    bool moves;     /* a copy of what is here: the row only names another place, if it has that very version */
    bool ghost;     /* a purged tombstone: there is no row [STORE-9] */
    uint8_t table;
    uint16_t key_size;
    uint8_t key[];
} adr_placed_t;

struct adr_store {
    adr_store_options_t options;
    adr_disk_t *disk;
    adr_state_t *state;
    adr_index_t *index;
    adr_entropy_t *entropy;
    uint64_t incarnation, boot, fence;
    uint64_t batch_max;
    adr_log_t log;
    adr_journal_t journal;
    uint64_t commit, unlocked;
    uint64_t keep_from; /* the least index that members need; 0: not told */
    adr_position_t applied;       /* in the memory tables */
    adr_position_t index_applied; /* durable in the index */
    uint64_t index_generation;    /* of the index: how many transactions it had */
    adr_memtable_t *active;
    adr_frozen_t frozen[ADR_FROZEN_MAX]; /* oldest first; the first one may be being flushed */
    uint32_t frozen_count;
    adr_tree_t tree;              /* of the background lane, but for `root` between its jobs */
    adr_store_checkpoint_t checkpoint;
    uint64_t regressions;
    struct {
        adr_placed_t *first, **last;
        adr_placed_t *unformed;   /* the first one whose frame is in the open batch */
        uint64_t asked, done;     /* ever */
    } placed;
    struct {
        adr_walk_t walk;      /* through the segment that is to go; segment 0: none */
        bool is_walked;       /* all that counts there is asked for elsewhere */
        uint64_t asked;       /* how many copies had been asked for by then */
        uint64_t applied;     /* how far the index was applied when rows were looked up */
        bool is_running;      /* too much of what segments hold does not count */
        bool look, look_removable; /* something changed since there was nothing to do */
        int64_t next_at;      /* not before [COMPACTION's rate] */
        uint64_t reserve;     /* bytes of the prepared segments that are compaction's own [STORE-11] */
        uint64_t copied;      /* bytes, ever */
    } compaction;
    adr_sync_note_t sync, sync_wanted; /* as noted durably; as it is to be */
    uint64_t replayed_to;         /* an index that was made anew began with copies, newer than what was replayed up to here */
    uint64_t proof_from;          /* roots noted up to here prove nothing: since then this copy was in doubt */
    adr_position_t sync_base;     /* where the log is to start; index 0: where it does */
    adr_voters_t sync_voters;
    adr_voters_t founding_wanted; /* count 0: nothing is to be founded */
    adr_job_t batch, background;
    int64_t flush_at;   /* 0: nothing to flush */
    int64_t retry_at, rows_retry_at; /* after a full disk; 0: none */
    int64_t space_at;   /* when the space was asked for */
    bool space_stale;   /* something was written since */
    bool starved;       /* a segment could not be made */
    bool rows_starved;  /* nor a transaction of the index, which is tried apart: it may be what gives space back */
    uint64_t free_bytes, all_bytes;
    uint64_t read_retries;
    uint64_t doubts;    /* records in doubt, durably */
    bool met_doubt;     /* what was read last is one */
    bool index_damaged; /* a row could not be read, ... */
    bool heal_wanted, heal_failed;
    adr_buffer_t wounds; /* keys of records whose values could not be read */
    uint64_t lost_rows; /* that could not be read, and went; ever */
    bool reindex_noted; /* ... and the next start will know */
    bool was_rebuilt;   /* the index was made anew, and may lack what other copies have [STORE-9] */
    uint64_t lost_segments;
    adr_history_t history;
    uint64_t *gone; /* segments that were removed, and whose accounts the index still has */
    size_t gone_count;
    adr_window_t window;
    adr_buffer_t scratch;
    adr_entry_t entry;
    adr_origin_t *origin; /* of the log's entries, from recovery until they are taken */
    uint64_t origin_count;
};

/* [STORE-11] The size of a segment where a whole one finds no space: it takes any batch. */
uint64_t adr_journal_small (const adr_store_t *self);
adr_segment_t *adr_journal_segment (adr_store_t *self, uint64_t number);
/* Knows a segment of that number from now on; those between are unreadable until they are known too. */
adr_segment_t *adr_journal_segment_add (adr_store_t *self, uint64_t number);
void adr_journal_segment_header (adr_store_t *self, adr_segment_header_t *header, uint64_t number, uint64_t size,
                                 uint64_t first_batch);
/* Writes the header's copies. */
int adr_journal_segment_write (adr_store_t *self, const adr_segment_header_t *header);
void adr_journal_append (adr_store_t *self, adr_frame_kind_t kind, adr_bytes_t content, adr_item_t *item);
/* Adds a copy's frame to the open batch and returns where its content goes. It may stand between a cut and what follows
 * that, and says nothing about the log [STORE-8, STORE-12]. */
uint8_t *adr_journal_append_copy (adr_store_t *self, size_t size);
/* True if cutting it to what it holds gives anything back. */
static inline bool
adr_segment_is_loose (const adr_segment_t *segment)
{
    return segment->used > ADR_SEGMENT_FIRST && segment->size - segment->used >= 2 * ADR_BLOCK;
}
/* A frame stands in the segment; of a copy `applied` is how far the index was applied when its row was found there. */
void adr_segment_note (adr_segment_t *segment, adr_frame_kind_t kind, const uint8_t *content, uint64_t applied);
int adr_journal_seal_write (adr_store_t *self, uint64_t number, uint64_t salt, uint64_t offset);
/* Bytes that batches may still fill without a new segment. */
uint64_t adr_journal_left (const adr_store_t *self);
bool adr_journal_batch_next (adr_store_t *self, int64_t now_ns);
void adr_journal_batch_done (adr_store_t *self);
/* The frame at that place, checked; lent until the next read. `ahead` reads more than asked for. */
ADR_WARN_UNUSED bool adr_journal_read (adr_store_t *self, const adr_place_t *place, bool ahead, adr_frame_t *frame);
/* The bytes of the entry at `index`, from wherever they are. */
ADR_WARN_UNUSED bool adr_journal_entry (adr_store_t *self, uint64_t index, bool ahead, adr_bytes_t *encoded);

/* --- what is noted in the state environment ---------------------------------------------------------------- */

#define ADR_NOTE_JOURNAL "journal"
#define ADR_NOTE_SEGMENT "segment"
#define ADR_NOTE_TERM "noted-term"
#define ADR_NOTE_START "log-start"
#define ADR_NOTE_BOOT "boot"
#define ADR_NOTE_REINDEX "reindex" /* not 0: the index has rows that cannot be read, and is to be made anew */
#define ADR_NOTE_REBUILT "rebuilt" /* not 0: the index was made anew [STORE-9] */
#define ADR_NOTE_REPLAYED "replayed" /* up to where the log was replayed over it then: see replayed_to */
#define ADR_NOTE_HISTORY "history" /* in one commit with the log's start */
#define ADR_NOTE_REMOVED "removed" /* which segments are gone, and what generation of the index knows of it [STORE-8] */
#define ADR_NOTE_FENCE "fence" /* the replicator's; its first eight bytes are the term */
#define ADR_NOTE_VOTE "vote"   /* election's, as the next one: the store asks only whether they can be read */
#define ADR_NOTE_PROMISE "promise"

#define ADR_NOTE_SEGMENT_SIZE 24
#define ADR_NOTE_START_SIZE (48 + ADR_VOTERS_BYTES_MAX)

typedef struct {
    uint64_t first, newest;
    uint64_t recovering; /* what this segment holds does not count: a recovery was making it */
} adr_note_segment_t;

/* u64 generation and u64 applied index of the index by which they went, u64 first segment, then a bit for each segment from there on; bounds how far the oldest segment may lie
 * behind the newest. */
#define ADR_NOTE_REMOVED_SEGMENTS 32768
#define ADR_NOTE_REMOVED_HEAD 24
#define ADR_NOTE_REMOVED_SIZE (ADR_NOTE_REMOVED_HEAD + ADR_NOTE_REMOVED_SEGMENTS / 8)

void adr_note_segment_encode (const adr_note_segment_t *note, uint8_t at[ADR_NOTE_SEGMENT_SIZE]);
size_t adr_note_start_encode (const adr_job_t *start, uint8_t at[ADR_NOTE_START_SIZE]);

/* --- records and jobs ------------------------------------------------------------------------------------- */

#define ADR_META_APPLIED "applied" /* journal id, term, index, generation */
#define ADR_META_APPLIED_SIZE 40

/* [STORE-11] True if this errno value says that there is no space: something to wait for, no failure. */
bool adr_error_is_full (int error);
/* [STORE-11] True while there is space for little more than what is written already. */
bool adr_store_on_reserve (const adr_store_t *self);
/* The newest row of a record: memory tables first, they are newer. ENOENT, EIO or 0. */
int adr_store_row (adr_store_t *self, uint8_t table, adr_bytes_t key, adr_index_row_t *row);
/* Notes the log's start and the terms below it. */
int adr_store_note_start (adr_store_t *self, const adr_job_t *job);
/* Notes whether the next start is to make the index anew. */
int adr_store_note_reindex (adr_store_t *self, bool wanted);
/* --- flush.c */
/* Freezes the active table; false if too many wait already. */
bool adr_store_freeze (adr_store_t *self, bool checkpoint);
size_t adr_store_memory (const adr_store_t *self); /* bytes of all memory tables */
bool adr_flush_next (adr_store_t *self, int64_t now_ns);
/* Into the open transaction: how far the index is applied, and its generation. */
int adr_put_applied (adr_store_t *self, const adr_position_t *at, uint64_t generation);
int adr_flush_write (adr_store_t *self, adr_job_t *job);
int adr_flush_commit (adr_store_t *self, adr_job_t *job);
void adr_flush_done (adr_store_t *self);
/* Runs one flush of everything that is applied, on the caller's thread: recovery only. On a full disk it is left to the
 * background. */
int adr_store_flush_now (adr_store_t *self);
/* --- place.c */
bool adr_place_next (adr_store_t *self);
int adr_place_write (adr_store_t *self, adr_job_t *job);
void adr_place_done (adr_store_t *self);
/* A copy of what stands here already, for compaction; `entry` has one operation. */
void adr_place_move (adr_store_t *self, const adr_entry_t *entry, bool ghost);
/* The next copy's frame has got its place. */
void adr_place_formed (adr_store_t *self, const adr_place_t *place, uint64_t batch);
void adr_place_free (adr_store_t *self);
void adr_place_count_doubts (adr_store_t *self); /* of an index that was just opened */
/* One row of a transaction, from whichever source. */
int adr_row_put (adr_store_t *self, adr_job_t *job, adr_index_view_t *view, uint8_t table, adr_bytes_t key,
                 const adr_index_row_t *row, bool placed);
int adr_row_move (adr_store_t *self, adr_job_t *job, adr_index_view_t *view, const adr_placed_t *placed);
int adr_row_bare (adr_store_t *self, adr_job_t *job, adr_index_view_t *view, const adr_placed_t *placed);
int adr_row_drop (adr_store_t *self, adr_index_view_t *view, const adr_placed_t *placed);
/* On the owner's thread: before the job of a transaction is out, and when it is durable. */
void adr_rows_prepare (adr_store_t *self);
void adr_rows_done (adr_store_t *self);
/* Opens a transaction and the view of the moment before it; what the tree and the
 * accounts have gathered is put before the commit. */
int adr_rows_begin (adr_store_t *self, adr_index_view_t **view);
int adr_rows_put_gathered (adr_store_t *self);
/* Gives up what was begun, if `error`. */
int adr_rows_end (adr_store_t *self, adr_index_view_t **view, int error);
/* --- tombstones.c: in the open transaction, the record changes from `old` to `new`; NULL: there is none. */
int adr_tombstone_swap (adr_store_t *self, uint8_t table, adr_bytes_t key, const adr_index_row_t *old,
                        const adr_index_row_t *new);
/* --- heal.c */
bool adr_heal_next (adr_store_t *self);
int adr_heal_write (adr_store_t *self, adr_job_t *job);
int adr_heal_commit (adr_store_t *self, adr_job_t *job);
void adr_heal_done (adr_store_t *self);
/* --- found.c */
bool adr_found_next (adr_store_t *self);
void adr_found_done (adr_store_t *self);
/* --- sync.c */
bool adr_sync_next (adr_store_t *self);
int adr_sync_write (adr_store_t *self, adr_job_t *job);
int adr_sync_note (adr_store_t *self, adr_job_t *job);
void adr_sync_done (adr_store_t *self);
bool adr_sync_is_due (const adr_store_t *self);
/* True while no batch may be formed: the log is about to start elsewhere. */
bool adr_sync_holds_batches (const adr_store_t *self);
/* [STORE-3] The value that the row names, out of the frame's content that stands at its place; false if that is not the very
 * operation. `entry` is room to decode it. */
ADR_WARN_UNUSED bool adr_value_of (adr_bytes_t encoded, adr_entry_t *entry, const adr_index_row_t *row, uint8_t table,
                                   adr_bytes_t key, adr_bytes_t *value);
/* [STORE-9] A purge takes the tombstone of the version that it names, and nothing that came after it. */
void adr_store_put_purge (adr_store_t *self, const adr_op_t *op);
/* Where `entry` stands in the journal and what it says, put into the active memory table. */
void adr_store_put_rows (adr_store_t *self, const adr_entry_t *entry, const adr_item_t *item);
/* Rows of an entry that was refilled below `applied` name its new place. */
void adr_store_repoint (adr_store_t *self, uint64_t index);
/* --- segments that go (compaction.c) ----------------------------------------------------------------------- */

/* Something changed that may let a segment go. */
static inline void
adr_compaction_look (adr_store_t *self)
{
    self->compaction.look = self->compaction.look_removable = true;
}

/* How many bytes of the prepared segments are for copies alone, now that so many are prepared [STORE-11]. */
void adr_compaction_reserve (adr_store_t *self);
/* How many segments are to be prepared for copies. */
uint64_t adr_compaction_segments (const adr_store_t *self);
/* The next part of the segment that is to go. */
bool adr_compaction_next (adr_store_t *self, int64_t now_ns);
int adr_compaction_walk (adr_store_t *self, adr_job_t *job);
void adr_compaction_done (adr_store_t *self);
int64_t adr_compaction_wake_at (const adr_store_t *self);

/* The least index that an entry in any segment may have. */
uint64_t adr_compaction_lowest (const adr_store_t *self);
/* True if the job is to be done: a segment that holds nothing that counts goes. */
bool adr_compaction_remove_next (adr_store_t *self);
int adr_compaction_remove_note (adr_store_t *self, adr_job_t *job);
int adr_compaction_remove (adr_store_t *self, const adr_job_t *job);
void adr_compaction_remove_done (adr_store_t *self);
/* Forgets the segments before the oldest one that exists. */
void adr_journal_first_move (adr_store_t *self, uint64_t first);

adr_store_opening_t adr_store_recover (adr_store_t *self, char *why, size_t why_size);

#endif
