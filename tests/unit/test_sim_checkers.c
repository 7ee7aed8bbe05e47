/* SPDX-License-Identifier: MPL-2.0 */
/* The simulator's checkers, each with histories that are right and with ones that are not: a checker that never
 * fires proves nothing. */

#include "../sim/check.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

/* --- a toy log: what a store would say -------------------------------------------------------------------------- */

#define TOY_MAX 64
typedef struct {
    uint64_t term[TOY_MAX];
    uint8_t salt[TOY_MAX]; /* goes into the entry's bytes */
    uint8_t bytes[256];
} toy_t;

static bool
s_toy_term (void *argument, uint64_t index, uint64_t *term)
{
    *term = ((toy_t *) argument)->term[index];
    return *term != 0;
}

static size_t
s_toy_encode (const toy_t *toy, uint64_t index, uint8_t *at)
{
    static adr_entry_t entry;
    memset (&entry, 0, sizeof entry);
    entry.kind = ADR_ENTRY_OPEN;
    entry.term = toy->term[index];
    entry.index = index;
    entry.epoch = toy->salt[index];
    adr_entry_encode (&entry, at);
    return adr_entry_size (&entry);
}

static bool
s_toy_entry (void *argument, uint64_t index, adr_bytes_t *bytes)
{
    toy_t *toy = argument;
    *bytes = adr_bytes (toy->bytes, s_toy_encode (toy, index, toy->bytes));
    return true;
}

typedef struct {
    sim_verdict_t verdict;
    sim_history_t history;
    sim_log_t log;
    sim_reads_t reads;
    adr_id_t id[3];
    toy_t toy[3];
    adr_voters_t voters;
    uint64_t next; /* index of the next entry that s_write commits */
} world_t;

static int
s_set_up (void **state)
{
    world_t *world = adr_alloc (sizeof *world);
    sim_history_init (&world->history, &world->verdict);
    world->history.key_count = 4;
    for (int i = 0; i < 3; i++) {
        world->id[i].bytes[0] = (uint8_t) (i + 1);
        world->voters.voter[i] = (adr_voter_t){ world->id[i], 7 };
    }
    world->voters.count = 3;
    world->voters.quorum = 2;
    sim_log_init (&world->log, &world->history, &world->verdict, world->id, 3);
    sim_reads_init (&world->reads, &world->history, &world->verdict);
    world->next = 1;
    *state = world;
    return 0;
}

static int
s_tear_down (void **state)
{
    world_t *world = *state;
    sim_log_free (&world->log);
    sim_reads_free (&world->reads);
    sim_history_free (&world->history);
    free (world);
    return 0;
}

static void
s_view (world_t *world, int node, uint64_t durable, uint64_t commit, uint64_t applied)
{
    sim_log_view_t view = { .incarnation = 7, .boot = 1, .last = durable, .durable = durable, .commit = commit,
                            .applied = applied, .voters = world->voters, .term_at = s_toy_term,
                            .entry_at = s_toy_entry, .argument = &world->toy[node] };
    sim_log_view (&world->log, node, &view);
}

static void
s_fill (world_t *world, int node, uint64_t from, uint64_t until, uint64_t term)
{
    for (uint64_t i = from; i <= until; i++)
        world->toy[node].term[i] = term;
}

/* An entry that nobody asked for, at a log time; its operations are to be filled in. */
static adr_entry_t *
s_own (world_t *world, uint64_t time_ms)
{
    static adr_entry_t entry;
    memset (&entry, 0, sizeof entry);
    entry.kind = ADR_ENTRY_WRITE;
    entry.term = 1;
    entry.index = world->next++;
    entry.time_ms = time_ms;
    return &entry;
}

static void
s_add (adr_entry_t *entry, uint8_t table, uint8_t flags, adr_bytes_t key, adr_bytes_t value)
{
    adr_op_t *op = &entry->op[entry->op_count++];
    *op = (adr_op_t){ .table = table, .flags = flags, .key = key, .value = value };
    adr_value_digest (value, op->digest);
}

/* Commits a purge of key 1's version at `of_index`. */
static void
s_purge (world_t *world, uint64_t of_index, uint64_t time_ms)
{
    uint8_t version[ADR_VERSION_SIZE];
    adr_version_encode (&(adr_version_t){ 0, 1, of_index }, version);
    adr_entry_t *entry = s_own (world, time_ms);
    s_add (entry, ADR_TABLE_KV, ADR_OP_PURGE, adr_bytes ("k0001", 5), adr_bytes (version, sizeof version));
    sim_history_commit (&world->history, entry, entry->index);
}

/* Commits a write of key 1 that ends, or, with `flags`, an end of it: of the row, and of the record if `both`. */
static void
s_end (world_t *world, uint64_t end_ms, uint8_t flags, bool both, uint64_t time_ms)
{
    uint8_t row[ADR_KEY_MAX];
    size_t size = adr_expiry_key_encode (row, end_ms, ADR_TABLE_KV, adr_bytes ("k0001", 5));
    adr_entry_t *entry = s_own (world, time_ms);
    if (!flags) {
        adr_put_u64 (entry->request, entry->index);
        sim_history_request (&world->history, entry->index);
    }
    if (both)
        s_add (entry, ADR_TABLE_KV, flags, adr_bytes ("k0001", 5), adr_bytes (NULL, 0));
    s_add (entry, ADR_TABLE_EXPIRY, flags, adr_bytes (row, size), adr_bytes (NULL, 0));
    sim_history_commit (&world->history, entry, entry->index);
}

/* Commits a write of `value` (0: a tombstone) to a key; its index. */
static uint64_t
s_write (world_t *world, int key, uint64_t value, uint64_t request)
{
    static adr_entry_t entry;
    char name[8];
    memset (&entry, 0, sizeof entry);
    entry.kind = ADR_ENTRY_WRITE;
    entry.term = 1;
    entry.index = world->next++;
    adr_put_u64 (entry.request, request);
    if (request)
        sim_history_request (&world->history, request);
    entry.op_count = 1;
    entry.op[0].table = ADR_TABLE_KV;
    entry.op[0].flags = value ? 0 : ADR_OP_DELETE;
    entry.op[0].key = adr_bytes (name, (size_t) snprintf (name, sizeof name, "k%04d", key));
    if (value)
        entry.op[0].value = adr_bytes (&value, sizeof value);
    adr_value_digest (entry.op[0].value, entry.op[0].digest);
    sim_history_commit (&world->history, &entry, entry.index);
    return entry.index;
}

static uint64_t
s_hash (uint64_t value)
{
    return sim_value_hash (adr_bytes (&value, sizeof value));
}

#define GOOD(world) assert_false ((world)->verdict.failed)
#define BAD(world, tag)                                                     \
    do {                                                                    \
        assert_true ((world)->verdict.failed);                              \
        assert_memory_equal ((world)->verdict.invariant, tag, strlen (tag)); \
    } while (0)

/* --- invariant 1 ------------------------------------------------------------------------------------------------- */

static void
test_terms (void **state)
{
    (void) state;
    sim_verdict_t verdict = { 0 };
    sim_terms_t terms;
    sim_terms_init (&terms, &verdict);
    sim_terms_elected (&terms, 1, 0, 1);
    sim_terms_acted (&terms, 1, 0, 1, "an append");
    sim_terms_lease (&terms, 1, 0);
    sim_terms_elected (&terms, 2, 1, 1);
    sim_terms_acted (&terms, 1, 0, 1, "a late append of the old master");
    sim_terms_lease (&terms, 2, 1);
    assert_false (verdict.failed);
    sim_terms_acted (&terms, 2, 0, 1, "an append");
    assert_true (verdict.failed);
    sim_terms_free (&terms);
}

static void
test_terms_restart (void **state)
{
    (void) state;
    sim_verdict_t verdict = { 0 };
    sim_terms_t terms;
    sim_terms_init (&terms, &verdict);
    sim_terms_acted (&terms, 3, 0, 1, "an append");
    sim_terms_acted (&terms, 3, 0, 2, "an append of its next life");
    assert_true (verdict.failed);
    sim_terms_free (&terms);
}

static void
test_leases_overlap (void **state)
{
    (void) state;
    sim_verdict_t verdict = { 0 };
    sim_terms_t terms;
    sim_terms_init (&terms, &verdict);
    sim_terms_elected (&terms, 1, 0, 1);
    sim_terms_elected (&terms, 2, 1, 1);
    sim_terms_lease (&terms, 1, 0);
    assert_true (verdict.failed);
    sim_terms_free (&terms);
}

/* --- invariants 4 and 5 -------------------------------------------------------------------------------------------- */

static void
test_commit_by_a_quorum (void **state)
{
    world_t *world = *state;
    s_fill (world, 0, 1, 5, 1);
    s_fill (world, 1, 1, 5, 1);
    s_view (world, 1, 3, 0, 0);
    s_view (world, 0, 5, 3, 3);
    GOOD (world);
    assert_int_equal (world->history.commit, 3);
}

/* It misses entry 2, and has replaced what followed entry 3. */
static void
test_commit_of_a_holder_that_mends (void **state)
{
    world_t *world = *state;
    s_fill (world, 0, 1, 3, 1);
    s_fill (world, 0, 4, 4, 3);
    s_fill (world, 1, 1, 3, 1);
    s_fill (world, 1, 4, 5, 2);
    s_view (world, 1, 5, 0, 0);
    world->toy[1].term[4] = 3;
    sim_log_view_t view = { .incarnation = 7, .boot = 1, .last = 4, .durable = 1, .missing = true, .voters = world->voters,
                            .term_at = s_toy_term, .entry_at = s_toy_entry, .argument = &world->toy[1] };
    sim_log_view (&world->log, 1, &view);
    s_view (world, 1, 4, 0, 0);
    s_view (world, 0, 4, 4, 3);
    GOOD (world);
}

static void
test_commit_without_a_quorum (void **state)
{
    world_t *world = *state;
    s_fill (world, 0, 1, 5, 1);
    s_fill (world, 1, 1, 5, 1);
    s_view (world, 1, 3, 0, 0);
    s_view (world, 0, 5, 4, 3);
    BAD (world, "5:");
}

static void
test_commit_of_a_holder_with_another_term (void **state)
{
    world_t *world = *state;
    s_fill (world, 0, 1, 3, 2);
    s_fill (world, 1, 1, 3, 1);
    s_view (world, 1, 3, 0, 0);
    s_view (world, 0, 3, 3, 0);
    BAD (world, "5:");
}

static void
test_an_old_incarnation_holds_nothing (void **state)
{
    world_t *world = *state;
    s_fill (world, 0, 1, 3, 1);
    s_fill (world, 1, 1, 3, 1);
    s_view (world, 1, 3, 0, 0);
    world->voters.voter[1].incarnation = 8; /* another one was admitted */
    s_view (world, 0, 3, 3, 0);
    BAD (world, "5:");
}

static void
test_two_entries_at_one_place (void **state)
{
    world_t *world = *state;
    uint8_t bytes[128];
    s_fill (world, 0, 1, 2, 1);
    sim_log_append (&world->log, 1, 0, 0, adr_bytes (bytes, s_toy_encode (&world->toy[0], 1, bytes)));
    sim_log_append (&world->log, 2, 0, 0, adr_bytes (bytes, s_toy_encode (&world->toy[0], 1, bytes)));
    GOOD (world);
    world->toy[0].salt[1] = 1;
    sim_log_append (&world->log, 2, 0, 0, adr_bytes (bytes, s_toy_encode (&world->toy[0], 1, bytes)));
    BAD (world, "4:");
}

static void
test_an_entry_with_two_predecessors (void **state)
{
    world_t *world = *state;
    uint8_t bytes[128];
    world->toy[0].term[5] = 3;
    sim_log_append (&world->log, 3, 1, 4, adr_bytes (bytes, s_toy_encode (&world->toy[0], 5, bytes)));
    GOOD (world);
    sim_log_append (&world->log, 3, 2, 4, adr_bytes (bytes, s_toy_encode (&world->toy[0], 5, bytes)));
    BAD (world, "4:");
}

static void
test_a_committed_entry_is_replaced (void **state)
{
    world_t *world = *state;
    for (int i = 0; i < 3; i++)
        s_fill (world, i, 1, 3, i == 2 ? 2 : 1);
    s_view (world, 1, 3, 0, 0);
    s_view (world, 0, 3, 3, 3);
    GOOD (world);
    s_view (world, 2, 3, 3, 0);
    BAD (world, "4:");
}

static void
test_applied_is_committed_and_durable (void **state)
{
    world_t *world = *state;
    s_fill (world, 0, 1, 5, 1);
    s_fill (world, 1, 1, 5, 1);
    s_view (world, 1, 5, 0, 0);
    s_view (world, 0, 3, 5, 4);
    BAD (world, "5:");
}

static void
test_watermarks (void **state)
{
    world_t *world = *state;
    world->history.commit = 9;
    sim_log_published (&world->log, 1, 5, true, 4);
    sim_log_published (&world->log, 2, 6, false, 0);
    sim_log_published (&world->log, 2, 7, true, 6);
    sim_log_published (&world->log, 1, 5, true, 5); /* late, of the old master */
    GOOD (world);
    sim_log_published (&world->log, 2, 7, true, 5);
    BAD (world, "5:");
    world->history.commit = 0;
}

static void
test_unlocked_above_commit (void **state)
{
    world_t *world = *state;
    world->history.commit = 9;
    sim_log_published (&world->log, 1, 5, true, 6);
    BAD (world, "5:");
    world->history.commit = 0;
}

/* --- invariant 3 ------------------------------------------------------------------------------------------------------ */

static void
test_linear_history (void **state)
{
    world_t *world = *state;
    uint64_t floor = sim_linear_floor (&world->history, 0);
    sim_linear_absent (&world->history, 0, floor); /* before anything */
    uint64_t first = s_write (world, 0, 11, 1);
    uint64_t reader = sim_linear_floor (&world->history, 0); /* begins while the write is under way */
    sim_linear_write (&world->history, 0, floor, first);
    uint64_t second = s_write (world, 0, 12, 2); /* its outcome is unknown: nobody waits for it */
    sim_linear_found (&world->history, 0, reader, 1, first, s_hash (11));
    sim_linear_found (&world->history, 0, sim_linear_floor (&world->history, 0), 1, second, s_hash (12));
    uint64_t gone = s_write (world, 0, 0, 3);
    sim_linear_absent (&world->history, 0, sim_linear_floor (&world->history, 0));
    sim_linear_conflict (&world->history, 0, sim_linear_floor (&world->history, 0), 1, gone);
    GOOD (world);
}

static void
test_linear_stale_read (void **state)
{
    world_t *world = *state;
    uint64_t first = s_write (world, 0, 11, 1);
    uint64_t second = s_write (world, 0, 12, 2);
    sim_linear_write (&world->history, 0, 0, second);
    sim_linear_found (&world->history, 0, sim_linear_floor (&world->history, 0), 1, first, s_hash (11));
    BAD (world, "3:");
}

static void
test_linear_reads_go_back (void **state)
{
    world_t *world = *state;
    uint64_t first = s_write (world, 0, 11, 1);
    uint64_t second = s_write (world, 0, 12, 2);
    sim_linear_found (&world->history, 0, 0, 1, second, s_hash (12)); /* nobody knew that write's outcome */
    sim_linear_found (&world->history, 0, sim_linear_floor (&world->history, 0), 1, first, s_hash (11));
    BAD (world, "3:");
}

static void
test_linear_overlapping_reads_may_differ (void **state)
{
    world_t *world = *state;
    uint64_t first = s_write (world, 0, 11, 1);
    uint64_t second = s_write (world, 0, 12, 2);
    uint64_t floor = sim_linear_floor (&world->history, 0); /* of both, that overlap */
    sim_linear_found (&world->history, 0, floor, 1, second, s_hash (12));
    sim_linear_found (&world->history, 0, floor, 1, first, s_hash (11));
    GOOD (world);
}

static void
test_linear_write_in_the_past (void **state)
{
    world_t *world = *state;
    uint64_t first = s_write (world, 0, 11, 1);
    uint64_t second = s_write (world, 0, 12, 2);
    sim_linear_write (&world->history, 0, 0, second);
    sim_linear_write (&world->history, 0, sim_linear_floor (&world->history, 0), first);
    BAD (world, "3:");
}

static void
test_linear_lost_record (void **state)
{
    world_t *world = *state;
    sim_linear_write (&world->history, 0, 0, s_write (world, 0, 11, 1));
    sim_linear_absent (&world->history, 0, sim_linear_floor (&world->history, 0));
    BAD (world, "3:");
}

static void
test_linear_wrong_value (void **state)
{
    world_t *world = *state;
    uint64_t first = s_write (world, 0, 11, 1);
    sim_linear_found (&world->history, 0, 0, 1, first, s_hash (99));
    BAD (world, "3:");
}

static void
test_linear_conflict_with_the_past (void **state)
{
    world_t *world = *state;
    uint64_t first = s_write (world, 0, 11, 1);
    uint64_t second = s_write (world, 0, 12, 2);
    sim_linear_write (&world->history, 0, 0, second);
    sim_linear_conflict (&world->history, 0, sim_linear_floor (&world->history, 0), 1, first);
    BAD (world, "3:");
}

/* --- READ-5 -------------------------------------------------------------------------------------------------------------- */

static void
s_show (world_t *world, int node, bool found, uint64_t index, uint64_t value, int64_t oldest_ns)
{
    sim_shown_t shown = { .node = node, .key = 0, .found = found, .term = 1, .index = index, .value = s_hash (value),
                          .oldest_ns = oldest_ns };
    sim_reads_local (&world->reads, &shown);
}

static void
test_local_reads (void **state)
{
    world_t *world = *state;
    uint64_t first = s_write (world, 0, 11, 1);
    uint64_t second = s_write (world, 0, 12, 2);
    sim_reads_published (&world->reads, 100, first);
    sim_reads_published (&world->reads, 200, second);
    s_show (world, 0, true, first, 11, 150);
    s_show (world, 0, true, second, 12, 150);
    s_show (world, 1, true, first, 11, 199); /* another node may be behind */
    GOOD (world);
    s_show (world, 1, true, first, 11, 200);
    BAD (world, "READ-5");
}

static void
test_local_read_of_a_locked_record (void **state)
{
    world_t *world = *state;
    uint64_t first = s_write (world, 0, 11, 1);
    uint64_t second = s_write (world, 0, 12, 2);
    sim_reads_published (&world->reads, 100, first);
    s_show (world, 0, true, second, 12, 0);
    BAD (world, "READ-5");
}

static void
test_local_reads_go_back (void **state)
{
    world_t *world = *state;
    uint64_t first = s_write (world, 0, 11, 1);
    uint64_t second = s_write (world, 0, 12, 2);
    sim_reads_published (&world->reads, 100, second);
    s_show (world, 0, true, second, 12, 50);
    s_show (world, 0, true, first, 11, 50);
    BAD (world, "READ-5");
}

static void
test_local_read_of_nothing (void **state)
{
    world_t *world = *state;
    uint64_t first = s_write (world, 0, 11, 1);
    sim_reads_published (&world->reads, 100, first);
    s_show (world, 0, false, 0, 0, 99);
    GOOD (world);
    s_show (world, 0, false, 0, 0, 100);
    BAD (world, "READ-5");
}

/* --- invariants 2 and 6 ---------------------------------------------------------------------------------------------------- */

static void
test_acknowledged (void **state)
{
    world_t *world = *state;
    sim_acks_done (&world->history, 1, 1, s_write (world, 0, 11, 1));
    GOOD (world);
    sim_history_request (&world->history, 2);
    sim_acks_done (&world->history, 2, 1, 5);
    BAD (world, "2:");
}

static void
test_refused_and_applied (void **state)
{
    world_t *world = *state;
    sim_history_request (&world->history, 1);
    sim_acks_refused (&world->history, 1);
    GOOD (world);
    s_write (world, 0, 11, 1);
    BAD (world, "6:");
}

static void
test_applied_and_refused (void **state)
{
    world_t *world = *state;
    s_write (world, 0, 11, 1);
    sim_acks_refused (&world->history, 1);
    BAD (world, "6:");
}

static void
test_applied_twice (void **state)
{
    world_t *world = *state;
    s_write (world, 0, 11, 1);
    s_write (world, 0, 11, 1);
    BAD (world, "6:");
}

/* --- what an incarnation has told ------------------------------------------------------------------------------------------ */

static void
test_acknowledgements_and_fences (void **state)
{
    (void) state;
    sim_verdict_t verdict = { 0 };
    sim_tolds_t told;
    sim_told_init (&told, &verdict);
    sim_ack_t ack = { .term = 2, .confirmed = { 2, 5 }, .durable = 5, .master_term = 2 };
    sim_told_ack (&told, 1, 7, &ack);
    sim_told_fenced (&told, 1, 7, 3, (adr_position_t){ 2, 5 });
    sim_told_fenced (&told, 1, 7, 4, (adr_position_t){ 3, 4 }); /* a later term's log is longer, however short */
    sim_told_fenced (&told, 1, 8, 9, (adr_position_t){ 0, 0 }); /* somebody else */
    sim_told_fenced (&told, 2, 7, 9, (adr_position_t){ 0, 0 });
    assert_false (verdict.failed);
    sim_told_fenced (&told, 2, 7, 9, (adr_position_t){ 1, 1 });
    ack.term = 8;
    sim_told_ack (&told, 2, 7, &ack);
    assert_non_null (strstr (verdict.invariant, "a fence that was told holds"));
    memset (&verdict, 0, sizeof verdict);
    ack.term = 9;
    sim_told_ack (&told, 2, 7, &ack);
    sim_told_fenced (&told, 2, 7, 10, (adr_position_t){ 2, 4 });
    assert_non_null (strstr (verdict.invariant, "covers what was acknowledged"));
    memset (&verdict, 0, sizeof verdict);
    ack.term = 10;
    ack.durable = 4;
    sim_told_ack (&told, 2, 7, &ack);
    assert_non_null (strstr (verdict.invariant, "is durable"));
    memset (&verdict, 0, sizeof verdict);
    ack.durable = 5;
    ack.master_term = 3;
    sim_told_ack (&told, 2, 7, &ack);
    assert_non_null (strstr (verdict.invariant, "the master's entry"));
}

static void
test_questions_and_voters (void **state)
{
    (void) state;
    sim_verdict_t verdict = { 0 };
    sim_tolds_t told;
    sim_told_init (&told, &verdict);
    sim_told_question (&told, 1, 7, 4);
    sim_told_question (&told, 1, 7, 5);
    sim_told_question (&told, 1, 8, 1); /* a new incarnation is told apart by what it is */
    sim_voters_change_t change = { .at = 9, .before = 3, .commit = 8, .commit_term = 2 };
    sim_told_voters (&told, 1, 2, &change);
    assert_false (verdict.failed);
    sim_told_question (&told, 1, 8, 1);
    assert_true (verdict.failed);
    memset (&verdict, 0, sizeof verdict);
    sim_told_voters (&told, 1, 3, &change);
    assert_non_null (strstr (verdict.invariant, "opening"));
    memset (&verdict, 0, sizeof verdict);
    change.commit = 2;
    sim_told_voters (&told, 1, 2, &change);
    assert_non_null (strstr (verdict.invariant, "one change"));
}

static void
test_evidence_of_local_reads (void **state)
{
    world_t *world = *state;
    sim_evidence_t evidence = { .in_set = true, .unlocked = 5, .applied = 5 };
    sim_reads_evidence (&world->reads, 1, &evidence);
    GOOD (world);
    evidence.applied = 4;
    sim_reads_evidence (&world->reads, 1, &evidence);
    BAD (world, "READ-5");
    memset (&world->verdict, 0, sizeof world->verdict);
    evidence = (sim_evidence_t){ .in_set = false, .unlocked = 5, .applied = 5 };
    sim_reads_evidence (&world->reads, 1, &evidence);
    BAD (world, "READ-4");
}

/* --- invariants 11 and 12 ----------------------------------------------------------------------------------------------------- */

static void
test_bounds (void **state)
{
    (void) state;
    sim_verdict_t verdict = { 0 };
    sim_bounds_t bounds;
    sim_bounds_init (&bounds, &verdict);
    sim_bounds_locks (&bounds, 1000, 0, 100);
    sim_bounds_appended (&bounds, 100, 1, 0);
    sim_bounds_appended (&bounds, 200, 1, 3);
    sim_bounds_unlocked (&bounds, 1, 2);
    sim_bounds_locks (&bounds, 300, 0, 100);
    sim_bounds_locks (&bounds, 500, 400, 100); /* something was wrong until 400 */
    assert_false (verdict.failed);
    sim_bounds_locks (&bounds, 301, 0, 100);
    assert_true (verdict.failed);
    memset (&verdict, 0, sizeof verdict);
    for (int i = 0; i <= SIM_INSTANT_EVENTS_MAX; i++)
        sim_bounds_event (&bounds, 7);
    assert_false (verdict.failed);
    sim_bounds_event (&bounds, 7);
    assert_true (verdict.failed);
    memset (&verdict, 0, sizeof verdict);
    sim_bounds_mailbox (&bounds, "nobody", bounds.mailbox_max);
    assert_false (verdict.failed);
    sim_bounds_mailbox (&bounds, "nobody", bounds.mailbox_max + 1);
    assert_true (verdict.failed);
    sim_bounds_free (&bounds);
}

static void
test_what_a_master_publishes (void **state)
{
    (void) state;
    sim_verdict_t verdict = { 0 };
    sim_bounds_t bounds;
    const int64_t ms = 1000000;
    sim_bounds_init (&bounds, &verdict);
    sim_bounds_published (&bounds, 0, 1, 10, 5, 1000 * ms);
    for (int64_t i = 1; i < 40; i++) /* what is committed is unlocked in time, though more is always waiting */
        sim_bounds_published (&bounds, i * 500 * ms, 1, 10 + (uint64_t) i, 9 + (uint64_t) i, 1000 * ms);
    sim_bounds_published (&bounds, 30000 * ms, 1, 60, 50, 1000 * ms);
    for (int64_t i = 0; i < 10; i++) /* it was stopped, and needs a moment */
        sim_bounds_published (&bounds, (40000 + i * 60) * ms, 1, 60, 50, 1000 * ms);
    assert_false (verdict.failed);
    for (int64_t i = 10; i < 14; i++)
        sim_bounds_published (&bounds, (40000 + i * 60) * ms, 1, 60, 50, 1000 * ms);
    assert_true (verdict.failed);
    sim_bounds_free (&bounds);
}

static void
test_log_time (void **state)
{
    (void) state;
    sim_verdict_t verdict = { 0 };
    sim_bounds_t bounds;
    sim_bounds_init (&bounds, &verdict);
    sim_bounds_time (&bounds, INT64_C (10000000000), 1000, 23000);
    sim_bounds_time (&bounds, INT64_C (10000000000), 1000, 900);
    assert_false (verdict.failed);
    sim_bounds_time (&bounds, INT64_C (10000000000), 1000, 25000);
    assert_true (verdict.failed);
}

static void
test_purges (void **state) /* [STORE-9] */
{
    world_t *world = *state;
    world->history.retention_ms = 1000;
    uint64_t deleted = s_write (world, 1, 0, 17);
    assert_true (sim_history_stands (sim_history_at (&world->history, 1, deleted), deleted));
    s_purge (world, deleted, 1000);
    GOOD (world);
    assert_true (sim_history_stands (sim_history_at (&world->history, 1, deleted), deleted));
    assert_false (sim_history_stands (sim_history_at (&world->history, 1, deleted + 1), deleted + 1));
    s_purge (world, deleted, 1000);
    BAD (world, "STORE-9: a purge takes a tombstone, once");
}

static void
test_a_purge_that_comes_too_early (void **state) /* [STORE-9] */
{
    world_t *world = *state;
    world->history.retention_ms = 1000;
    s_purge (world, s_write (world, 1, 0, 17), 999);
    BAD (world, "STORE-9: a tombstone is kept for its time");
}

static void
test_a_purge_of_what_was_written_again (void **state) /* [STORE-9] */
{
    world_t *world = *state;
    uint64_t deleted = s_write (world, 1, 0, 17);
    s_write (world, 1, 5, 18);
    s_purge (world, deleted, 1000);
    BAD (world, "STORE-9: a purge takes a tombstone, once");
}

static void
test_a_purge_waits_for_voters (void **state) /* [STORE-9] */
{
    world_t *world = *state;
    static sim_purges_t s_purges;
    uint8_t version[ADR_VERSION_SIZE];
    sim_purge_voter_t voter[] = { { 0, 9 }, { 1, 9 }, { 2, 6 } };
    const int64_t second = INT64_C (1000000000);
    sim_purges_init (&s_purges, &world->verdict, 10 * second);
    adr_version_encode (&(adr_version_t){ 0, 1, 7 }, version);
    adr_entry_t *entry = s_own (world, 0);
    s_add (entry, ADR_TABLE_KV, ADR_OP_PURGE, adr_bytes ("k0001", 5), adr_bytes (version, sizeof version));
    sim_purges_heard (&s_purges, 50 * second, 0, 1);
    sim_purges_heard (&s_purges, 40 * second, 0, 2);
    sim_purges_proposed (&s_purges, 50 * second, 0, entry, voter, 3); /* the third is away for long */
    GOOD (world);
    entry->index++;
    sim_purges_heard (&s_purges, 50 * second, 0, 2);
    sim_purges_proposed (&s_purges, 50 * second, 0, entry, voter, 3); /* it may have been made before that one was back */
    GOOD (world);
    entry->index++;
    sim_purges_heard (&s_purges, 52 * second, 0, 2);
    sim_purges_proposed (&s_purges, 52 * second, 0, entry, voter, 3);
    BAD (world, "STORE-9: a tombstone waits for every voter");
}

static void
test_ends (void **state) /* [REPAIR-7] */
{
    world_t *world = *state;
    s_end (world, 3000, 0, true, 1000);
    s_end (world, 4000, 0, true, 2000);
    assert_int_equal (sim_history_overdue (&world->history), -1);
    s_end (world, 3000, ADR_OP_DELETE, false, 3000); /* it was written again: the row alone goes */
    s_end (world, 4000, ADR_OP_DELETE, true, 4000);
    GOOD (world);
    s_end (world, 5000, 0, true, 4000);
    sim_history_commit (&world->history, s_own (world, 7001), 77);
    assert_int_equal (sim_history_overdue (&world->history), 1);
}

static void
test_an_end_that_comes_too_early (void **state) /* [REPAIR-7] */
{
    world_t *world = *state;
    s_end (world, 3000, 0, true, 1000);
    s_end (world, 3000, ADR_OP_DELETE, true, 2999);
    BAD (world, "REPAIR-7: nothing ends before its time");
}

static void
test_an_end_of_another_version (void **state) /* [REPAIR-7] */
{
    world_t *world = *state;
    s_end (world, 3000, 0, true, 1000);
    s_end (world, 4000, 0, true, 1000);
    s_end (world, 3000, ADR_OP_DELETE, true, 3000);
    BAD (world, "REPAIR-7: what ends is a version");
}

static void
test_an_end_that_leaves_the_record (void **state) /* [REPAIR-7] */
{
    world_t *world = *state;
    s_end (world, 3000, 0, true, 1000);
    s_end (world, 3000, ADR_OP_DELETE, false, 3000);
    BAD (world, "REPAIR-7: what ends is a version");
}

static void
test_openings (void **state)
{
    (void) state;
    sim_verdict_t verdict = { 0 };
    sim_faults_t faults;
    sim_faults_init (&faults, &verdict);
    sim_faults_opening (&faults, 1, &(sim_opening_t){ .harmed = false });
    sim_faults_opening (&faults, 1, &(sim_opening_t){ .harmed = true, .misses = true });
    sim_faults_opening (&faults, 1, &(sim_opening_t){ .harmed = true, .old_state = true, .forgot = true });
    assert_false (verdict.failed);
    sim_faults_opening (&faults, 1, &(sim_opening_t){ .forgot = true });
    assert_true (verdict.failed);
    memset (&verdict, 0, sizeof verdict);
    sim_faults_opening (&faults, 1, &(sim_opening_t){ .misses = true });
    assert_true (verdict.failed);
    memset (&verdict, 0, sizeof verdict);
    sim_faults_opening (&faults, 1, &(sim_opening_t){ .harmed = true, .old_state = true });
    assert_true (verdict.failed);
}

static void
test_faults (void **state)
{
    (void) state;
    sim_verdict_t verdict = { 0 };
    sim_faults_t faults;
    sim_faults_init (&faults, &verdict);
    sim_faults_met (&faults, 1, SIM_FAULT_IO_ERROR, 100);
    sim_faults_check (&faults, 100);
    sim_faults_said (&faults, 1);
    sim_faults_check (&faults, 200);
    assert_false (verdict.failed);
    sim_faults_met (&faults, 1, SIM_FAULT_ROT, 300);
    sim_faults_said (&faults, 2);
    sim_faults_check (&faults, 301);
    assert_true (verdict.failed);
}

int
main (void)
{
#define IN_WORLD(name) cmocka_unit_test_setup_teardown (name, s_set_up, s_tear_down)
    const struct CMUnitTest tests[] = {
        cmocka_unit_test (test_terms),
        cmocka_unit_test (test_terms_restart),
        cmocka_unit_test (test_leases_overlap),
        IN_WORLD (test_commit_by_a_quorum),
        IN_WORLD (test_commit_of_a_holder_that_mends),
        IN_WORLD (test_commit_without_a_quorum),
        IN_WORLD (test_commit_of_a_holder_with_another_term),
        IN_WORLD (test_an_old_incarnation_holds_nothing),
        IN_WORLD (test_two_entries_at_one_place),
        IN_WORLD (test_an_entry_with_two_predecessors),
        IN_WORLD (test_a_committed_entry_is_replaced),
        IN_WORLD (test_applied_is_committed_and_durable),
        IN_WORLD (test_watermarks),
        IN_WORLD (test_unlocked_above_commit),
        IN_WORLD (test_linear_history),
        IN_WORLD (test_linear_stale_read),
        IN_WORLD (test_linear_reads_go_back),
        IN_WORLD (test_linear_overlapping_reads_may_differ),
        IN_WORLD (test_linear_write_in_the_past),
        IN_WORLD (test_linear_lost_record),
        IN_WORLD (test_linear_wrong_value),
        IN_WORLD (test_linear_conflict_with_the_past),
        IN_WORLD (test_local_reads),
        IN_WORLD (test_local_read_of_a_locked_record),
        IN_WORLD (test_local_reads_go_back),
        IN_WORLD (test_local_read_of_nothing),
        IN_WORLD (test_acknowledged),
        IN_WORLD (test_refused_and_applied),
        IN_WORLD (test_applied_and_refused),
        IN_WORLD (test_applied_twice),
        cmocka_unit_test (test_bounds),
        cmocka_unit_test (test_what_a_master_publishes),
        cmocka_unit_test (test_log_time),
        IN_WORLD (test_purges),
        IN_WORLD (test_a_purge_that_comes_too_early),
        IN_WORLD (test_a_purge_of_what_was_written_again),
        IN_WORLD (test_a_purge_waits_for_voters),
        IN_WORLD (test_ends),
        IN_WORLD (test_an_end_that_comes_too_early),
        IN_WORLD (test_an_end_of_another_version),
        IN_WORLD (test_an_end_that_leaves_the_record),
        cmocka_unit_test (test_openings),
        cmocka_unit_test (test_faults),
        cmocka_unit_test (test_acknowledgements_and_fences),
        cmocka_unit_test (test_questions_and_voters),
        IN_WORLD (test_evidence_of_local_reads),
    };
    return cmocka_run_group_tests (tests, NULL, NULL);
}
