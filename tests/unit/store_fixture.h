/* SPDX-License-Identifier: MPL-2.0 */
/* For tests of the store: one over memory, its clock, and what is written to it and expected of it. */

#ifndef ADR_STORE_FIXTURE_H
#define ADR_STORE_FIXTURE_H

#include "memory_disk.h"

#include "store/store.h"

typedef struct {
    memory_disk_t *disk;
    memory_state_t *state;
    memory_index_t *index;
    memory_entropy_t entropy;
    adr_store_options_t options;
    adr_store_t *store;
    adr_store_opening_t opening;
    char why[256];
    int64_t now;
} fixture_t;

/* Made and freed around each test, which finds it in `*state`: segments of 128 KiB, a single voter, incarnation 77. */
#define FIXTURE_TEST(name) cmocka_unit_test_setup_teardown (name, fixture_start, fixture_stop)
int fixture_start (void **state);
int fixture_stop (void **state);

/* Opens the store over what is there, ... */
void fixture_open (fixture_t *w);
void fixture_reopen (fixture_t *w); /* ... after the one that is open was closed. */
/* Runs every job that is due, time standing still. The shell waits after that: it must not be told to wake up at
 * once. */
void fixture_run (fixture_t *w);

/* --- what is written */
adr_bytes_t fixture_text (const char *text);
/* Of term 9 and index 1; one operation on "key" unless it opens a term. */
adr_entry_t fixture_entry (adr_entry_kind_t kind, uint8_t table, uint16_t flags);
/* The log's next entry: without a value it deletes the key, without a key it opens the term. */
void fixture_append (fixture_t *w, uint64_t term, const char *key, const char *value);
void fixture_apply (fixture_t *w, uint64_t to); /* it is committed, then applied */
/* One entry more, applied; its index. */
uint64_t fixture_write (fixture_t *w, const char *key, const char *value);
void fixture_flush (fixture_t *w); /* all that is applied goes to the index */
/* So many entries, each in a batch of its own, and the witness of the last one. */
void fixture_write_some (fixture_t *w, uint64_t term, int count);

/* --- what is expected */
void fixture_expect (fixture_t *w, const char *key, const char *value); /* NULL: no such record */
/* Bytes of tombstones whose rows were purged [STORE-9], of all segments. */
uint64_t fixture_ghosts (fixture_t *w);
/* The next start makes a new incarnation with an empty log [STORE-4], and the one after it opens what was written. */
void fixture_expect_amnesia (fixture_t *w);

#endif
