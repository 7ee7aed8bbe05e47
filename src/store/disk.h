/* SPDX-License-Identifier: MPL-2.0 */
/* The three narrow interfaces below a store, each a table of functions: segments of a journal, the state environment,
 * the index. Production has disk_posix.c, state_lmdb.c and index_lmdb.c; the simulator has its own (tests/sim/), which
 * tear, lie, fill up and forget what was not synced. All calls may block and are made by jobs (store.h), except reads
 * and what recovery does before the actors run. Calls return 0 or an errno value. */

#ifndef ADR_DISK_H
#define ADR_DISK_H

#include "core/base.h"
#include "core/bytes.h"
#include "core/limits.h"

typedef struct adr_disk adr_disk_t;
struct adr_disk {
    /* Makes segment `number` with `size` bytes of zeros, and syncs it and the folder. They are really written, or only
     * reserved: then each later sync costs more, and the zeros nothing. An old file of that number is set aside first,
     * never overwritten. */
    int (*create) (adr_disk_t *self, uint64_t number, uint64_t size, bool written);
    int (*write) (adr_disk_t *self, uint64_t number, uint64_t offset, const void *data, size_t size);
    int (*sync) (adr_disk_t *self, uint64_t number);
    /* All `size` bytes or an error; EIO for a short file. */
    int (*read) (adr_disk_t *self, uint64_t number, uint64_t offset, void *data, size_t size);
    /* Cuts the segment to its first `size` bytes, durably; what stood behind them is free space then. */
    int (*truncate) (adr_disk_t *self, uint64_t number, uint64_t size);
    int (*remove) (adr_disk_t *self, uint64_t number); /* and syncs the folder */
    /* Renames the segment so that `list` shows it no more, and syncs the folder: for what is left of a forgotten
     * journal [STORE-4]. Nothing of it is destroyed. */
    int (*set_aside) (adr_disk_t *self, uint64_t number);
    /* The numbers that exist, ascending, at most `room`; their count is *count. */
    int (*list) (adr_disk_t *self, uint64_t *numbers, size_t room, size_t *count);
    int (*size) (adr_disk_t *self, uint64_t number, uint64_t *size);
    int (*space) (adr_disk_t *self, uint64_t *free_bytes, uint64_t *all_bytes);
};

typedef struct {
    const char *name;
    adr_bytes_t value;
} adr_state_put_t;

typedef struct adr_state adr_state_t;
struct adr_state {
    /* Copies at most `room` bytes, returns the whole size; -1 where there is none; -2 where it is unreadable (its
     * checksum is wrong, or the environment is). */
    int (*get) (adr_state_t *self, const char *name, void *value, size_t room);
    /* All puts in one durable commit. Callable from any thread. */
    int (*put) (adr_state_t *self, const adr_state_put_t *puts, size_t count);
};

/* Where a record's operation stands in the journal. */
typedef struct {
    uint64_t segment; /* 0: nowhere, the value is not here */
    uint64_t offset; /* of the frame that holds the entry */
    uint32_t size;   /* of the whole frame */
    uint16_t op;     /* which operation of the entry */
} adr_place_t;

/* [REPAIR-2] A record that one copy has and another one lacks, which may be what was purged: nobody is told what it says until
 * a third one decides. What this copy says of it itself: */
typedef enum {
    ADR_DOUBT_NONE,
    ADR_DOUBT_HAD,    /* it had the record */
    ADR_DOUBT_LACKED, /* it did not */
    ADR_DOUBT_COPIED  /* nothing: it knows of the doubt from others only */
} adr_doubt_t;

typedef struct {
    adr_version_t version;
    adr_doubt_t doubt;
    bool deleted;
    bool purged; /* in memory tables only: the tombstone of this version is to go, and what is older */
    adr_place_t place;
    uint32_t value_size;
    uint8_t digest[16];
    uint64_t time_ms;
} adr_index_row_t;

#define ADR_TREE_NAME_MAX 32
#define ADR_TREE_VALUE_MAX (1 + ADR_KEY_MAX)

typedef struct adr_index adr_index_t;
typedef struct adr_index_cursor adr_index_cursor_t;
typedef struct adr_index_view adr_index_view_t;
struct adr_index {
    /* ENOENT: no such record. EIO: damaged. */
    int (*get) (adr_index_t *self, uint8_t table, adr_bytes_t key, adr_index_row_t *row);
    /* Rows of one table in key order, from the first key >= `from`. The cursor sees one moment of the index. The key
     * is lent until the next call. ENOENT at the end. */
    int (*seek) (adr_index_t *self, uint8_t table, adr_bytes_t from, adr_index_cursor_t **cursor);
    int (*next) (adr_index_t *self, adr_index_cursor_t *cursor, adr_bytes_t *key, adr_index_row_t *row);
    void (*close) (adr_index_t *self, adr_index_cursor_t **cursor);
    /* One transaction at a time: begin, puts, meta values, commit (durable) or abort. Made by jobs, on a thread of
     * their own, while gets and cursors go on and see the state before. EAGAIN, from any of them: nothing was done,
     * begin again. */
    int (*begin) (adr_index_t *self);
    int (*put) (adr_index_t *self, uint8_t table, adr_bytes_t key, const adr_index_row_t *row);
    int (*remove) (adr_index_t *self, uint8_t table, adr_bytes_t key);
    int (*put_meta) (adr_index_t *self, const char *name, adr_bytes_t value);
    int (*commit) (adr_index_t *self);
    void (*abort) (adr_index_t *self);
    int (*get_meta) (adr_index_t *self, const char *name, void *value, size_t room, size_t *size);
    /* Beside the records stands a second ordered space of small values: names of at most ADR_TREE_NAME_MAX bytes, values
     * of at most ADR_TREE_VALUE_MAX. A name is put or removed at most once a transaction. Removing what is not there
     * is no error. */
    int (*put_tree) (adr_index_t *self, adr_bytes_t name, adr_bytes_t value);
    int (*remove_tree) (adr_index_t *self, adr_bytes_t name);
    /* One committed moment of everything, for reads that belong together: by one thread, any, and not for long, because a
     * transaction that must make the file larger waits for it; begin is not called by a thread that has one open.
     * ENOENT: not there. EIO: damaged. What is lent is lent until the view is closed. */
    int (*view) (adr_index_t *self, adr_index_view_t **view);
    int (*view_row) (adr_index_view_t *view, uint8_t table, adr_bytes_t key, adr_index_row_t *row);
    int (*view_meta) (adr_index_view_t *view, const char *name, void *value, size_t room, size_t *size);
    int (*view_tree) (adr_index_view_t *view, adr_bytes_t name, adr_bytes_t *value);
    /* The first name behind `after`. */
    int (*view_next) (adr_index_view_t *view, adr_bytes_t after, adr_bytes_t *name, adr_bytes_t *value);
    void (*view_close) (adr_index_view_t **view);
    /* Sets everything in it aside; it is empty, durably, when this returns. Made while no transaction and no cursor
     * is open: an index that is damaged, or of another journal, is rebuilt from the journal. */
    int (*reset) (adr_index_t *self);
    /* True if the file's structure is damaged, as somebody has met it since the index was made: nothing that it says is to
     * be believed, nothing is to be written to it, and the next start finds it empty [STORE-10]. Any thread. */
    bool (*is_broken) (adr_index_t *self);
    /* Reads all of the structure; while no transaction is open. 0, or EIO: it is broken. */
    int (*check) (adr_index_t *self);
};

/* Fills with unpredictable bytes: salts, journal ids, incarnations. */
typedef struct adr_entropy adr_entropy_t;
struct adr_entropy {
    void (*fill) (adr_entropy_t *self, void *data, size_t size);
};

#endif
