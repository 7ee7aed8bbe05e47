/* SPDX-License-Identifier: MPL-2.0 */
/* One replicating node's store: the log and the records, both in the journal; the index is only a way to find them
 * [DESIGN 6, RULES STORE].
 *
 * Owns: the journal, the memory tables, the index's contents. Makes durable: entries, cuts, commit indexes, base.
 * Assumes: one owner (the replicator's shell thread) for every call but adr_store_job_run. Pure: it reaches the world
 * through disk.h's tables only, so that the simulator runs this very code.
 *
 * Life of an entry: append (in the open batch) -> the shell takes a WRITE job at the turn's end and runs it on the
 * sync thread -> job_done: durable -> the replicator decides that it is committed -> apply (its operations enter the
 * memory table) -> a FLUSH job moves an unlocked memory table into the index, lazily. */

#ifndef ADR_STORE_H
#define ADR_STORE_H

#include "core/entry.h"
#include "store/disk.h"

typedef struct adr_store adr_store_t;

/* A segment holds the largest entry a few times over. */
#define ADR_STORE_SEGMENT_MIN (4 * 1024 * 1024)

typedef struct {
    adr_id_t cluster, node, group;
    uint64_t segment_bytes;    /* size of a segment; at least ADR_STORE_SEGMENT_MIN, in tests of small entries less */
    uint64_t flush_bytes;      /* memory-table bytes after which an index flush is due */
    int64_t flush_every_ns;    /* or this long after the first entry applied since the last */
    uint64_t log_keep_max;     /* bytes of log kept for members that are behind; 0 keeps all */
    uint64_t cache_bytes;      /* newest log bytes kept in memory for members and relays */
    uint64_t compact_bytes_per_s; /* at which segments are read to see what of them counts; 0: 32 MiB */
    uint64_t memory_max_bytes; /* memory tables; beyond it adr_store_room says no */
    uint8_t tree_key[32];      /* of the hash tree: the cluster's own */
    uint32_t partitions;       /* of the cluster's key space; 0: 1 */
    adr_voters_t founding;     /* the voters of an empty log; count 0 in a node that was not there at the founding */
    uint64_t first_incarnation; /* of a store that is new; 0 draws one. Never used again once a store was here */
} adr_store_options_t;

typedef enum {
    ADR_STORE_OPENED,   /* everything that was acknowledged is here */
    ADR_STORE_NEW,      /* nothing was here: a fresh store with a first incarnation */
    ADR_STORE_AMNESIA,  /* something that was acknowledged may be forgotten: a new incarnation was drawn [STORE-4] */
    ADR_STORE_DAMAGED,  /* a copy is missing at or below the commit index: incarnation and vote kept [STORE-5] */
    ADR_STORE_FAILED    /* cannot be opened; `why` says what an operator can do */
} adr_store_opening_t;

/* Opens and recovers: copies the tail from the last batch known durable into a new segment and syncs it, replays the
 * log to its end and the index up to the recorded commit index [STORE-1, STORE-6]. The interfaces are borrowed for
 * the store's life. `why` gets one line in every case but OPENED. */
ADR_WARN_UNUSED adr_store_opening_t adr_store_open (adr_store_t **self, const adr_store_options_t *options,
                                                    adr_disk_t *disk, adr_state_t *state, adr_index_t *index,
                                                    adr_entropy_t *entropy, char *why, size_t why_size);
void adr_store_destroy (adr_store_t **self);

uint64_t adr_store_incarnation (const adr_store_t *self);
uint64_t adr_store_boot (const adr_store_t *self);

/* --- the log ----------------------------------------------------------------------------------------------- */

adr_position_t adr_store_last (const adr_store_t *self);    /* the end, unsynced entries too */
/* Last index that this journal has synced; below the first missing one, if any. */
uint64_t adr_store_durable (const adr_store_t *self);
/* The same, whatever is missing before it: how far the journal has synced the log's end. A damaged copy still votes by
 * its log's end [STORE-5], once nothing of it waits for the disk. */
uint64_t adr_store_synced (const adr_store_t *self);
adr_position_t adr_store_log_start (const adr_store_t *self); /* the entry before the first one that is kept */
uint64_t adr_store_commit (const adr_store_t *self);        /* highest commit index told or recovered */
uint64_t adr_store_applied (const adr_store_t *self);
uint64_t adr_store_flushed (const adr_store_t *self); /* applied, and durable in the index */
/* The highest term that anything here carries or was fenced with. */
uint64_t adr_store_term (const adr_store_t *self);
/* The newest voters entry in the log, or the base's, or the founding set. Lent until the next append, cut, apply. */
const adr_voters_t *adr_store_voters (const adr_store_t *self);
/* [GROUP-6] True if it was opened without voters, at the founding or later, no copy has told any since, and adr_store_found was not
 * called. */
ADR_WARN_UNUSED bool adr_store_lacks_voters (const adr_store_t *self);
/* These are the voters at index 0, this node in this incarnation among them (asserted): adr_store_voters says so once that is durable. */
void adr_store_found (adr_store_t *self, const adr_voters_t *voters);

/* The term of the entry at `index` (log start included); false if it is not in the log. */
ADR_WARN_UNUSED bool adr_store_term_at (const adr_store_t *self, uint64_t index, uint64_t *term);
/* The first index of the run of entries around `index` that share its term. */
uint64_t adr_store_first_of_term (const adr_store_t *self, uint64_t index);

/* Who asked for an entry, and when. */
typedef struct {
    uint8_t request[ADR_REQUEST_ID_SIZE];
    uint64_t time_ms;
} adr_origin_t;

/* What recovery read of the log's entries and the log does not keep, from the one after the log's start to the end, so
 * that nobody need read them again; none where entries are missing. Lent until they are forgotten, before the first
 * append. */
const adr_origin_t *adr_store_origins (const adr_store_t *self, uint64_t *count);
void adr_store_forget_origins (adr_store_t *self);

/* Adds the entry at the end: its index is last + 1, its term not below last's (asserted). `encoded` are its bytes as
 * adr_entry_encode made them, or as they came from the master. */
void adr_store_append (adr_store_t *self, const adr_entry_t *entry, adr_bytes_t encoded);
/* Forgets all entries above `index`, in memory now and on disk with the next batch (a cut frame) [STORE-12]. Asserts
 * that `index` is not below the commit index or the applied one. */
void adr_store_cut (adr_store_t *self, uint64_t index);
/* The first index at or below the commit index whose entry this copy has lost [STORE-5], or 0. While it is not 0 the
 * node keeps its vote (by adr_store_last, which is still the true end), does not stand, and acknowledges, applies and
 * serves nothing from there on; the missing entries come from a peer, in ascending order: */
uint64_t adr_store_missing_from (const adr_store_t *self);
/* The entry at `index` could not be read, as apply or read_log have found: if the disk refuses it again, this copy
 * misses it from now on. False, and nothing is done, if it can be read, is missing already, is not in the log, or is
 * above the commit index (then it was acknowledged, and recovery must judge). */
ADR_WARN_UNUSED bool adr_store_lose (adr_store_t *self, uint64_t index);
/* Tries the first missing entry again, if it was lost since the start: true if the disk gives it now. */
ADR_WARN_UNUSED bool adr_store_reread (adr_store_t *self);
/* Puts the entry of index adr_store_missing_from () in its place; written with the next batch. False (and nothing is
 * done) if its term cannot stand there. The next missing index is named at once; `durable` follows the disk. */
ADR_WARN_UNUSED bool adr_store_refill (adr_store_t *self, const adr_entry_t *entry, adr_bytes_t encoded);
/* Appends the bytes of whole entries from `from` on to `buffer`, at least one, then as long as they fit in `max`.
 * Returns how many; 0 if `from` is not in the log (compacted away, or beyond its end), or unreadable: *status says
 * which (ADR_STATUS_NOT_FOUND, ADR_STATUS_DAMAGED). */
uint32_t adr_store_read_log (adr_store_t *self, uint64_t from, size_t max, adr_buffer_t *buffer,
                             adr_status_t *status);
/* Tells the commit index, which the next batch records [STORE-2] and up to which recovery replays [STORE-6]: so never
 * above what this very log is known to share with the master's (asserted: not above its end). A lower one than told
 * before is ignored. */
void adr_store_set_commit (adr_store_t *self, uint64_t commit);
/* Tells the unlocked index: older versions below it are no longer needed, memory tables below it may be flushed. */
void adr_store_set_unlocked (adr_store_t *self, uint64_t unlocked);
/* What lies behind the log's end is not unlocked any more: those entries are lost for good, and their indexes come again [RECOVER-6]. */
void adr_store_forget_unlocked (adr_store_t *self);
/* True if the index was made anew, at this start or an earlier one: it may lack records that other copies have, and have
 * some that they purged [STORE-9]. */
bool adr_store_was_rebuilt (const adr_store_t *self);
/* Bytes that compaction has copied since the start. */
uint64_t adr_store_compacted (const adr_store_t *self);
/* Segments that should be here and cannot be read, below the log's start: some of the values are lost to this copy. */
uint64_t adr_store_lost_segments (const adr_store_t *self);
/* False while so much waits for the disk, or stands in memory, that nothing more should be appended. */
ADR_WARN_UNUSED bool adr_store_has_room (const adr_store_t *self);
/* [REPAIR-6] Members still need the log's entries behind this index; 0: all of them, or nobody has told yet. The log's
 * start moves up to it once a quarter of log_keep_max has gathered, and above log_keep_max whatever they need. */
void adr_store_keep_from (adr_store_t *self, uint64_t index);
/* [STORE-11] */
adr_space_t adr_store_space (const adr_store_t *self);
/* May the entry be appended? By its kind, the space that there is, and whether the group cannot commit without it; not asked
 * for what the log holds already. */
ADR_WARN_UNUSED bool adr_store_takes (const adr_store_t *self, const adr_entry_t *entry, bool needed);
/* Reads that failed and succeeded when they were tried again, ever. */
uint64_t adr_store_read_retries (const adr_store_t *self);

/* --- the records ------------------------------------------------------------------------------------------- */

/* Applies the entry at applied + 1, which must be committed and durable here (asserted) [STORE-7]. The entry is lent
 * until the next call: what it said, for those who answer a request about it. DAMAGED: it cannot be read; nothing
 * was applied. */
ADR_WARN_UNUSED adr_status_t adr_store_apply (adr_store_t *self, const adr_entry_t **entry);

typedef struct {
    adr_version_t version;
    bool deleted;
    uint64_t time_ms;  /* log time of the entry */
    adr_bytes_t value; /* lent until the next call on the store */
} adr_record_t;

/* OK, NOT_FOUND, DAMAGED. A tombstone is OK with `deleted`. `with_value` false leaves the value empty and reads no
 * journal. */
ADR_WARN_UNUSED adr_status_t adr_store_get (adr_store_t *self, uint8_t table, adr_bytes_t key, bool with_value,
                                            adr_record_t *record);
/* The newest version whose index is not above `unlocked` [READ-5]; UNKNOWN if it is no longer kept. Records of an
 * earlier epoch than the partition's count as unlocked. */
ADR_WARN_UNUSED adr_status_t adr_store_get_unlocked (adr_store_t *self, uint8_t table, adr_bytes_t key,
                                                     uint64_t unlocked, adr_record_t *record);

/* Calls `row` for the live records of a table whose key is > `after` (from the first where `after.data` is NULL) and
 * has the prefix, in key order, until it returns false or there are no more. Values are read only if asked for. */
typedef bool (adr_row_fn) (void *argument, adr_bytes_t key, const adr_record_t *record);
ADR_WARN_UNUSED adr_status_t adr_store_scan (adr_store_t *self, uint8_t table, adr_bytes_t prefix, adr_bytes_t after,
                                             bool with_values, adr_row_fn *row, void *argument);
/* The same, but looks at `steps` keys at most, tombstones too: then `behind` (empty before) holds the last of them. */
ADR_WARN_UNUSED adr_status_t adr_store_scan_some (adr_store_t *self, uint8_t table, adr_bytes_t prefix, adr_bytes_t after,
                                                  bool with_values, uint32_t steps, adr_buffer_t *behind,
                                                  adr_row_fn *row, void *argument);

/* --- tombstones ------------------------------------------------------------------------------------------------- */

typedef struct {
    uint8_t table;
    adr_bytes_t key;
    adr_version_t version;
    uint64_t time_ms; /* log time of the delete */
} adr_tombstone_t;

/* Where a look at the tombstones goes on; all zeros: at the oldest. */
typedef struct {
    uint8_t name[32];
    size_t size;
} adr_tombstone_place_t;

#define ADR_TOMBSTONES_MAX 64
/* [STORE-9] Calls `each` for tombstones that the index holds and that still stand as far as this store has applied, in the
 * order of their indexes, from behind `after` on, until it returns false; what is lent, is lent for the call. Looks at 64 at
 * most, and moves `after` behind the last one that was looked at; at the end, or if the index cannot be read, to zero. */
typedef bool (adr_tombstone_fn) (void *argument, const adr_tombstone_t *tombstone);
void adr_store_tombstones (adr_store_t *self, adr_tombstone_place_t *after, adr_tombstone_fn *each, void *argument);
/* [REPAIR-2] The purge horizon, as far as it is applied: the highest index of a version that was ever purged; 0: nothing was.
 * OK or DAMAGED: then it is not known, and *index 0. */
adr_status_t adr_store_purge_horizon (adr_store_t *self, uint64_t *index);
/* The same, 0 if it is not known: absence proves a delete only at or below it. */
uint64_t adr_store_purged_to (adr_store_t *self);

/* --- hashes, copies, repair ----------------------------------------------------------------------------------- */

/* [DESIGN 7] The newest checkpoint entry at which this copy has noted its hashes: once the index held exactly what stood
 * before it, and the copy was exact. `at` all zeros: none yet. Lent until the next job_done. */
typedef struct {
    adr_position_t at;
    uint8_t root[32];     /* of all partitions */
    const uint8_t *roots; /* 32 bytes for each partition, then for the group's own records */
    uint32_t root_count;
} adr_store_checkpoint_t;
const adr_store_checkpoint_t *adr_store_checkpoint (const adr_store_t *self);
/* Rows that would have replaced newer ones, although this copy was exact [REPAIR-4]; ever. */
uint64_t adr_store_regressions (const adr_store_t *self);

/* Puts a record here that another copy holds: as a frame of kind copy, then, when that is durable, as a row of the
 * index, if it has none as new [STORE-8]. `digest` must be the value's (false, and nothing is done, else). A tombstone
 * has no value. Counted by adr_store_placed, in the order of the calls. False, too, while there is no room. */
typedef struct {
    uint8_t table;
    adr_bytes_t key, value;
    adr_version_t version;
    bool deleted;
    uint64_t time_ms;
    uint8_t digest[ADR_DIGEST_SIZE];
} adr_copy_t;
ADR_WARN_UNUSED bool adr_store_place (adr_store_t *self, const adr_copy_t *copy);
/* Takes the record away, if the index has that very version of it [REPAIR-2]; counted like a placed one. */
void adr_store_drop (adr_store_t *self, uint8_t table, adr_bytes_t key, const adr_version_t *version);
/* A row without its value, counted like a placed one: of a record in doubt (HAD: of the one that is here, which keeps its value),
 * or of one whose value no copy can read. It is answered as damaged. */
typedef struct {
    uint8_t table;
    adr_doubt_t doubt;
    adr_bytes_t key;
    adr_version_t version;
    uint32_t value_size;
    uint64_t time_ms;
    uint8_t digest[ADR_DIGEST_SIZE];
} adr_bare_t;
void adr_store_place_bare (adr_store_t *self, const adr_bare_t *bare);
/* [REPAIR-2] Records in doubt that the index holds durably; true if what was read last was answered as damaged for that. */
uint64_t adr_store_doubts (const adr_store_t *self);
bool adr_store_met_doubt (const adr_store_t *self);
/* Copies that were asked for, and those whose rows are durable. */
uint64_t adr_store_place_asked (const adr_store_t *self);
uint64_t adr_store_placed (const adr_store_t *self);
/* False while so many copies wait for the disk that no more should come. */
ADR_WARN_UNUSED bool adr_store_place_room (const adr_store_t *self);

/* [STORE-10] The index has rows that cannot be read. Heal, where another copy has what is lost by it: such rows go, the copy
 * is not exact any more. How many went, ever. */
void adr_store_note_index_damaged (adr_store_t *self); /* as others have found */
bool adr_store_index_is_damaged (const adr_store_t *self);
/* Appends the keys of records whose values could not be read since the last call (reader.h), a bounded number. */
void adr_store_take_wounds (adr_store_t *self, adr_buffer_t *keys);
void adr_store_heal (adr_store_t *self);
uint64_t adr_store_lost_rows (const adr_store_t *self);

/* How far this copy is a function of the log [REPAIR-1, REPAIR-5]; durable. */
typedef enum {
    ADR_SYNC_EXACT,     /* as far as it knows */
    ADR_SYNC_COPYING,   /* rows come from peers: neither serves, nor acknowledges, nor stands */
    ADR_SYNC_REPLAYING, /* the copy is whole, and fuzzy: entries up to a certain one may meet newer rows */
    ADR_SYNC_UNPROVEN   /* exact, if all went well: the next checkpoint must agree with a majority's */
} adr_sync_t;
adr_sync_t adr_store_sync (const adr_store_t *self);
/* Each takes effect when adr_store_sync says so. To COPYING: from any other. */
void adr_store_sync_begin (adr_store_t *self);
/* True while rows are missing that could not be read: no source, and proven by an exact copy alone. If there is none, the next
 * start makes the index anew from the journal, which has them. */
bool adr_store_is_lossy (const adr_store_t *self);
bool adr_store_heals (const adr_store_t *self);      /* ... and they are being taken out */
/* Only the next start helps: the index's structure is damaged, or it could not be healed. Until then nothing becomes durable in
 * it. */
bool adr_store_index_is_lost (const adr_store_t *self);
bool adr_store_sync_begins (const adr_store_t *self); /* to COPYING, as soon as that is durable */
/* From COPYING to REPLAYING, in one durable step: the log starts at `base` with those voters (all entries before go; where
 * base.index is 0, or the log holds that very entry and misses none before its end, it stays as it is), and entries up to `window_to` may meet newer rows. */
void adr_store_sync_end (adr_store_t *self, adr_position_t base, const adr_voters_t *voters, uint64_t window_to);
/* From UNPROVEN to EXACT: a majority agrees at the checkpoint of that index. False, and not believed, if its roots were noted before this
 * copy came into doubt. */
bool adr_store_sync_proven (adr_store_t *self, uint64_t index);
/* The voters at an index of the log, or at its start; false if it is not in it, or missing. */
ADR_WARN_UNUSED bool adr_store_base_at (const adr_store_t *self, uint64_t index, adr_position_t *base,
                                        adr_voters_t *voters);

/* --- jobs: what blocks ------------------------------------------------------------------------------------- */

typedef enum {
    ADR_LANE_SYNC,       /* batches: write, sync */
    ADR_LANE_BACKGROUND, /* new segments, index flushes, removal of old segments */
    ADR_LANE_COUNT
} adr_lane_t;

typedef struct adr_store_job {
    adr_lane_t lane;
    const char *name;       /* "batch", "segment", "flush", "place", "start", "seal", "compact", "remove", ... */
    int error;              /* after the run: 0 or an errno value; any error is fatal for the process */
    uint64_t segment;       /* for a batch: where it goes, so that the simulator may tear it */
    uint64_t offset;
    adr_bytes_t data;
} adr_store_job_t;

/* The next job of that lane, or NULL. At most one a lane is out at a time; the store lends it until job_done. */
adr_store_job_t *adr_store_job_next (adr_store_t *self, adr_lane_t lane, int64_t now_ns);
/* Runs it: blocks, touches nothing that the owner touches; any thread. In two halves for the simulator's sake: a
 * crash between them leaves the batch written but not synced. */
void adr_store_job_write (adr_store_t *self, adr_store_job_t *job);
void adr_store_job_sync (adr_store_t *self, adr_store_job_t *job);
/* Back on the owner's thread. */
void adr_store_job_done (adr_store_t *self, adr_store_job_t *job);
/* When the store wants to be asked again although nothing was appended (the empty batch of an idle journal [STORE-2],
 * a flush that is due), or ADR_NEVER. */
int64_t adr_store_wake_at (const adr_store_t *self);

/* Asserts the store's own invariants, for tests. */
void adr_store_check (const adr_store_t *self);

#endif
