/* SPDX-License-Identifier: MPL-2.0 */
/* What the files of the LMDB index share and nobody else sees.
 *
 *     index_lmdb.c        the file, its writing, its life
 *     index_lmdb_read.c   gets, cursors, views
 *     index_lmdb_key.c    keys and rows as bytes
 *     index_check.c       whether a file's structure is sound
 *     index_mark.c        that it is not, so that the next start knows */

#ifndef ADR_INDEX_LMDB_H
#define ADR_INDEX_LMDB_H

#include "store/backend.h"

#include "core/limits.h"

#include <limits.h>
#include <lmdb.h>
#include <pthread.h>
#include <stdatomic.h>

#define ADR_INDEX_PART 500
#define ADR_INDEX_HEADER_MAX 9
#define ADR_INDEX_LMDB_KEY_MAX (ADR_INDEX_HEADER_MAX + ADR_INDEX_PART + 1)
#define ADR_INDEX_ROW_SIZE 76
#define ADR_INDEX_MARKER_SIZE 13
#define ADR_INDEX_KIND_ROW 1
#define ADR_INDEX_KIND_MARKER 2

static_assert (ADR_INDEX_LMDB_KEY_MAX <= 511, "LMDB's longest key");

/* The trees of each file, in the order of their names. */
#define ADR_INDEX_TREES { "meta", "records", "tree" }
#define ADR_INDEX_TREE_COUNT 3

/* --- what is wrong (index_mark.c) -------------------------------------------------------------------------------- */

/* Files beside the index: `.broken`, it is to be made anew; `.check`, it is to be read before it is used. */
typedef struct {
    char broken[PATH_MAX], check[PATH_MAX], folder[PATH_MAX];
    atomic_bool is_broken; /* since its making */
} adr_index_mark_t;

typedef enum { ADR_MARK_NONE, ADR_MARK_CHECK, ADR_MARK_BROKEN } adr_index_mark_kind_t;

/* From its making to its end a fatal signal is noted in it. False: the path is too long. */
ADR_WARN_UNUSED bool adr_index_mark_init (adr_index_mark_t *self, const char *path);
void adr_index_mark_free (adr_index_mark_t *self);
adr_index_mark_kind_t adr_index_mark_read (const adr_index_mark_t *self);
/* Durably; it may be called in a handler of signals. */
void adr_index_mark_broken (adr_index_mark_t *self);
/* The index was made anew, or found sound. 0 or an errno value. */
int adr_index_mark_clear (adr_index_mark_t *self);

/* The index in which this thread is: where a fatal signal finds one, that index is what caused it. */
extern _Thread_local adr_index_mark_t *volatile adr_index_inside;

static inline adr_index_mark_t *
adr_index_enter (adr_index_mark_t *mark)
{
    adr_index_mark_t *before = adr_index_inside;
    adr_index_inside = mark;
    atomic_signal_fence (memory_order_seq_cst);
    return before;
}

static inline void
adr_index_leave (adr_index_mark_t **before)
{
    atomic_signal_fence (memory_order_seq_cst);
    adr_index_inside = *before;
}

/* This thread is in that index until the end of the block. */
#define ADR_INDEX_INSIDE(mark) \
    __attribute__ ((cleanup (adr_index_leave), unused)) adr_index_mark_t *index_before = adr_index_enter (mark)

/* LMDB's error as an errno value. One of the structure marks the index in which this thread is as broken. */
int adr_index_errno (int error);

/* --- the index --------------------------------------------------------------------------------------------------- */

typedef struct {
    adr_index_t index; /* first */
    char *path;
    adr_index_mark_t mark;
    MDB_env *environment;
    MDB_dbi records, meta, tree;
    MDB_txn *reader; /* reset between gets */
    MDB_txn *writer;
    pthread_rwlock_t remap; /* written while the map moves, read while anybody reads from it */
    uint64_t next_node;
    bool grow;
} adr_index_lmdb_t;

/* Fills in the functions that read. */
void adr_index_lmdb_read_init (adr_index_t *index);

/* --- keys and values (index_lmdb_key.c) -------------------------------------------------------------------------- */

uint32_t adr_index_checksum (const MDB_val *key, const uint8_t *value, size_t size);
void adr_index_row_encode (const MDB_val *key, const adr_index_row_t *row, uint8_t at[ADR_INDEX_ROW_SIZE]);
ADR_WARN_UNUSED bool adr_index_row_decode (const MDB_val *key, const MDB_val *value, adr_index_row_t *row);
/* True if the value is sound and of that kind and size. */
bool adr_index_value_is_sound (const MDB_val *key, const MDB_val *value, uint8_t kind, size_t size);
/* Of `meta` and `tree`: u32 checksum over name and value, value. */
ADR_WARN_UNUSED int adr_index_small_of (const MDB_val *name, const MDB_val *found, adr_bytes_t *value);

/* Where a walk down to a key stands. */
typedef struct {
    uint8_t bytes[ADR_INDEX_LMDB_KEY_MAX];
    size_t header_size;
    adr_bytes_t rest; /* of the key, from this node on */
    MDB_val key;      /* the LMDB key of the rest, or of the marker on its way */
} adr_index_walk_t;

size_t adr_index_child_header (uint8_t *header, uint64_t node);
void adr_index_walk_begin (adr_index_walk_t *walk, uint8_t table, adr_bytes_t key);
/* The LMDB key of the rest. */
void adr_index_walk_key (adr_index_walk_t *walk);
void adr_index_walk_down (adr_index_walk_t *walk, uint64_t node);
/* Goes down to the node that holds the key itself. ENOENT, EIO or 0. */
ADR_WARN_UNUSED int adr_index_walk_to_end (const adr_index_lmdb_t *self, MDB_txn *transaction, adr_index_walk_t *walk);

/* --- is it sound? (index_check.c) -------------------------------------------------------------------------------- */

/* False if LMDB must not be let near it. Reads all of it; nobody writes to it meanwhile. */
ADR_WARN_UNUSED bool adr_index_file_is_sound (const char *path);
/* LMDB believes a file's own word about its size, and a page behind its end would be a fatal signal. It never writes pages that
 * it gave up in the transaction that took them: whether a short file lacks others is found by reading it. Of the index and of
 * the state alike. */
ADR_WARN_UNUSED bool adr_lmdb_is_whole (MDB_env *environment, const char *path);

#endif
