/* SPDX-License-Identifier: MPL-2.0 */
/* What a master logs of itself: purges of tombstones that nobody needs any more, deletes of records whose time to live is
 * over, sweep epochs. */

#include "replicator_fixture.h"

#include "core/entry.h"
#include "core/limits.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#define S_RETENTION_MS 10000

static adr_entry_t s_entry;
static uint8_t s_bytes[256 * 1024];

/* --- what happens ------------------------------------------------------------------------------------------------- */

static void
s_answered_space (unsigned zone, uint64_t term, uint64_t applied, adr_space_t space)
{
    Adr__Answered answered = ADR__ANSWERED__INIT;
    adr_id_t node = fixture_meta (zone, 0).node;
    answered.voter = adr_id_view (&node);
    answered.incarnation = fixture.incarnation[zone];
    answered.boot = 1;
    answered.term = term;
    answered.sent_ns = fixture.harness.now_ns;
    answered.promise_ms = 500;
    answered.state = ADR_STATE_ONLINE_READY;
    answered.applied = applied;
    answered.space = space;
    fixture_tell (1, ADR_ACTOR_HEALTH_CHECKER, ADR__KIND__ANSWERED, &answered.base);
}

static void
s_answered (unsigned zone, uint64_t term, uint64_t applied)
{
    s_answered_space (zone, term, applied, ADR_SPACE_OK);
}

static uint64_t
s_last (void)
{
    return adr_store_last (fixture.store).index;
}

/* Both members hold what the log holds; so it is committed, and applied. */
static void
s_ack_all (uint64_t term)
{
    fixture_sync ();
    for (unsigned zone = 2; zone <= 3; zone++) {
        fixture_ack (zone, term, s_last ());
        s_answered (zone, term, s_last ());
    }
    fixture_sync ();
    assert_int_equal (adr_store_applied (fixture.store), s_last ());
}

/* Time passes in small steps, in which disks do their work, and nobody answers. */
static void
s_pass_alone (int64_t ms)
{
    for (; ms > 0; ms -= 20) {
        harness_advance (&fixture.harness, 20 * ADR_MS);
        fixture_sync ();
    }
}

/* ... and all members keep up. */
static void
s_pass (int64_t ms)
{
    for (; ms > 0; ms -= 100) {
        s_pass_alone (100);
        s_ack_all (1);
    }
}

static void
s_lead (void)
{
    fixture_settings ()->tombstone_retention_ns = S_RETENTION_MS * ADR_MS;
    fixture_lead (1);
    s_ack_all (1);
}

static Adr__Op
s_op (const char *key, const char *value, uint64_t ttl_ms)
{
    Adr__Op op = ADR__OP__INIT;
    op.table = ADR_TABLE_KV;
    op.key = (ProtobufCBinaryData){ strlen (key), (uint8_t *) key };
    op.value_size = value ? (uint32_t) strlen (value) : 0;
    op.delete_ = value == NULL;
    op.ttl_ms = ttl_ms;
    return op;
}

/* Of a request id that the test has not used. */
static uint64_t
s_next_number (void)
{
    static uint64_t s_number;
    return ++s_number % 200 + 1;
}

static uint64_t
s_write_op (Adr__Op op, const char *value)
{
    fixture_write_ops (s_next_number (), &op, 1, adr_bytes (value, op.value_size),
                       harness_address (1, ADR_NODE_EDGE, 0).node);
    return s_last ();
}

/* Returns the index of its entry. */
static uint64_t
s_put (const char *key, const char *value, uint64_t ttl_ms)
{
    return s_write_op (s_op (key, value, ttl_ms), value);
}

/* Keys k0 and on, put (with one byte each) or deleted by one entry. */
static void
s_write_many (int first, int count, bool puts)
{
    char key[ADR_OPS_MAX][16], values[ADR_OPS_MAX] = { 0 };
    Adr__Op op[ADR_OPS_MAX];
    for (int i = 0; i < count; i++) {
        snprintf (key[i], sizeof key[i], "k%d", first + i);
        op[i] = s_op (key[i], puts ? "v" : NULL, 0);
    }
    fixture_write_ops (s_next_number (), op, (size_t) count, adr_bytes (values, puts ? (size_t) count : 0),
                       harness_address (1, ADR_NODE_EDGE, 0).node);
}

static uint64_t
s_delete (const char *key)
{
    return s_write_op (s_op (key, NULL, 0), "");
}

/* --- what is expected --------------------------------------------------------------------------------------------- */

static const adr_entry_t *
s_entry_at (uint64_t index)
{
    adr_buffer_t buffer = { 0 };
    adr_status_t status;
    assert_int_equal (adr_store_read_log (fixture.store, index, 1, &buffer, &status), 1);
    assert_true (buffer.size <= sizeof s_bytes);
    memcpy (s_bytes, buffer.data, buffer.size);
    assert_int_equal (adr_entry_decode (&s_entry, adr_bytes (s_bytes, buffer.size)), buffer.size);
    assert_true (adr_entry_verify (&s_entry));
    adr_buffer_free (&buffer);
    return &s_entry;
}

/* How many entries with operations stand behind that one; *first is the index of the first. Checkpoints are of no interest
 * here. */
static unsigned
s_writes_after (uint64_t after, uint64_t *first)
{
    unsigned count = 0;
    *first = 0;
    for (uint64_t index = after + 1; index <= s_last (); index++)
        if (s_entry_at (index)->kind == ADR_ENTRY_WRITE && ++count == 1)
            *first = index;
    return count;
}

static unsigned
s_count_after (uint64_t after)
{
    uint64_t first;
    return s_writes_after (after, &first);
}

static bool
s_is (const adr_op_t *op, unsigned table, unsigned flags, const char *key)
{
    return op->table == table && op->flags == flags && adr_bytes_equal (op->key, adr_bytes (key, strlen (key)));
}

/* The operation on that key in the entries behind `after`; 0: there is none, else the entry's index. */
static uint64_t
s_find (uint64_t after, unsigned table, unsigned flags, const char *key)
{
    for (uint64_t index = after + 1; index <= s_last (); index++) {
        const adr_entry_t *entry = s_entry_at (index);
        for (uint32_t i = 0; i < entry->op_count; i++)
            if (s_is (&entry->op[i], table, flags, key))
                return index;
    }
    return 0;
}

static adr_status_t
s_get (const char *key, bool *deleted)
{
    adr_record_t record = { 0 };
    adr_status_t status = adr_store_get (fixture.store, ADR_TABLE_KV, adr_bytes (key, strlen (key)), false, &record);
    *deleted = record.deleted;
    return status;
}

static void
s_expect (const char *key, bool there)
{
    bool deleted;
    assert_int_equal (s_get (key, &deleted), ADR_STATUS_OK);
    assert_int_equal (deleted, !there);
}

/* --- tombstones --------------------------------------------------------------------------------------------------- */

static void
test_a_tombstone_is_purged_when_its_time_is_over (void **state) /* [STORE-9] */
{
    (void) state;
    s_lead ();
    s_put ("stays", "v", 0);
    s_put ("k", "v", 0);
    uint64_t deleted = s_delete ("k");
    s_pass (S_RETENTION_MS - 1000);
    assert_int_equal (s_count_after (deleted), 0);
    s_pass (3000);
    bool gone;
    uint64_t purged;
    assert_int_equal (s_writes_after (deleted, &purged), 1);
    assert_int_equal (s_find (deleted, ADR_TABLE_KV, ADR_OP_PURGE, "k"), purged);
    const adr_entry_t *entry = s_entry_at (purged);
    assert_int_equal (entry->op_count, 2);
    adr_version_t version = adr_version_decode (entry->op[0].value.data);
    assert_int_equal (version.index, deleted);
    assert_int_equal (version.term, 1);
    assert_true (s_is (&entry->op[1], ADR_TABLE_GROUP, 0, ADR_PURGED_KEY));
    assert_int_equal (s_get ("k", &gone), ADR_STATUS_NOT_FOUND);
    assert_int_equal (adr_store_purged_to (fixture.store), deleted);
    s_expect ("stays", true);
    s_pass (5000);
    assert_int_equal (s_count_after (purged), 0); /* once is enough */
}

static void
test_a_tombstone_waits_for_every_voter (void **state) /* [STORE-9] */
{
    (void) state;
    s_lead ();
    s_put ("k", "v", 0);
    uint64_t deleted = s_delete ("k");
    s_ack_all (1);
    for (int64_t ms = 0; ms < S_RETENTION_MS + 3000; ms += 100) { /* zone 3 answers, and has not applied it */
        s_pass_alone (100);
        s_answered (2, 1, deleted);
        s_answered (3, 1, deleted - 1);
    }
    assert_int_equal (s_find (deleted, ADR_TABLE_KV, ADR_OP_PURGE, "k"), 0);
    s_answered (3, 1, deleted);
    s_pass_alone (1100);
    assert_int_not_equal (s_find (deleted, ADR_TABLE_KV, ADR_OP_PURGE, "k"), 0);
}

static void
test_a_voter_that_is_away_for_long_is_not_waited_for (void **state) /* [STORE-9, REPAIR-2] */
{
    (void) state;
    fixture_settings ()->tombstone_retention_ns = S_RETENTION_MS * ADR_MS;
    fixture_lead (1);
    fixture_ack (2, 1, 1);
    s_answered (2, 1, 1);
    s_put ("k", "v", 0);
    uint64_t deleted = s_delete ("k"); /* zone 3 was never heard of */
    fixture_ack (2, 1, deleted);
    for (int64_t ms = 0; ms < S_RETENTION_MS - 1000; ms += 100) {
        s_pass_alone (100);
        s_answered (2, 1, deleted);
    }
    /* The tombstone is old enough, and zone 3 away for longer. */
    fixture_settings ()->tombstone_retention_ns = 5000 * ADR_MS;
    s_pass_alone (1100);
    assert_int_not_equal (s_find (deleted, ADR_TABLE_KV, ADR_OP_PURGE, "k"), 0);
}

static void
test_a_voter_that_was_not_heard_yet_is_waited_for (void **state) /* [STORE-9] */
{
    (void) state;
    s_lead ();
    s_put ("k", "v", 0);
    uint64_t deleted = s_delete ("k");
    s_pass (S_RETENTION_MS - 1000);
    fixture_lead (2); /* a new mastership: it has heard of nobody's applied index */
    fixture_ack (2, 2, s_last ());
    s_answered (2, 2, s_last ());
    for (int i = 0; i < 80; i++) { /* log time has stood still since the last entry, and runs twice as fast */
        s_pass_alone (100);
        s_answered (2, 2, s_last ());
    }
    assert_int_equal (s_find (deleted, ADR_TABLE_KV, ADR_OP_PURGE, "k"), 0);
    s_answered (3, 2, s_last ());
    s_pass_alone (1100);
    assert_int_not_equal (s_find (deleted, ADR_TABLE_KV, ADR_OP_PURGE, "k"), 0);
}

static void
test_what_waits_in_the_log_is_not_purged (void **state) /* [STORE-9] */
{
    (void) state;
    s_lead ();
    s_put ("a", "v", 0);
    s_put ("b", "v", 0);
    s_delete ("a");
    uint64_t deleted = s_delete ("b");
    s_pass (S_RETENTION_MS - 500);
    uint64_t put = s_put ("a", "again", 0); /* nobody acknowledges it */
    assert_int_equal (put, deleted + 1);
    s_pass_alone (2000);
    assert_int_not_equal (s_find (put, ADR_TABLE_KV, ADR_OP_PURGE, "b"), 0);
    assert_int_equal (s_find (put, ADR_TABLE_KV, ADR_OP_PURGE, "a"), 0);
    s_ack_all (1);
    s_expect ("a", true);
}

static void
test_many_tombstones_go_in_entries_of_63 (void **state) /* [STORE-9] */
{
    (void) state;
    char key[16];
    s_lead ();
    for (int first = 0; first < 150; first += 50) {
        s_write_many (first, 50, true);
        s_write_many (first, 50, false);
    }
    s_pass (100);
    uint64_t deleted = s_last ();
    uint64_t purged;
    while (s_count_after (deleted) == 0)
        s_pass (100);
    s_pass (300);
    assert_int_equal (s_writes_after (deleted, &purged), 3); /* 63, 63, 24, at once one behind the other */
    assert_int_equal (s_entry_at (purged)->op_count, ADR_OPS_MAX);
    assert_int_equal (adr_store_purged_to (fixture.store), deleted);
    for (int i = 0; i < 150; i++) {
        bool gone;
        snprintf (key, sizeof key, "k%d", i);
        assert_int_equal (s_get (key, &gone), ADR_STATUS_NOT_FOUND);
    }
}

static void
test_nothing_is_purged_while_a_voter_is_on_its_reserve (void **state) /* [STORE-11] */
{
    (void) state;
    s_lead ();
    s_put ("k", "v", 0);
    uint64_t deleted = s_delete ("k");
    s_ack_all (1);
    for (int64_t ms = 0; ms < S_RETENTION_MS + 3000; ms += 100) {
        s_pass_alone (100);
        s_answered_space (3, 1, deleted, ADR_SPACE_SECOND_MARK);
        s_answered (2, 1, deleted);
    }
    assert_int_equal (s_count_after (deleted), 0);
    s_pass (1100);
    assert_int_equal (s_count_after (deleted), 1);
}

/* A purge that waits in the log leaves nothing: neither a tombstone that a condition could name, nor a record. */
static void
test_a_condition_sees_the_purge_at_the_logs_end (void **state) /* [REPL-5] */
{
    (void) state;
    s_lead ();
    s_put ("k", "v", 0);
    uint64_t deleted = s_delete ("k");
    s_pass (S_RETENTION_MS - 500);
    s_pass_alone (2000);
    uint64_t purged = s_find (deleted, ADR_TABLE_KV, ADR_OP_PURGE, "k");
    assert_true (purged > adr_store_commit (fixture.store));
    harness_forget (&fixture.harness);
    Adr__Op op = s_op ("k", "w", 0);
    Adr__VersionOf version = ADR__VERSION_OF__INIT;
    version.epoch = 1;
    version.term = 1;
    version.index = deleted;
    op.condition = ADR__CONDITION__VERSION;
    op.version = &version;
    assert_int_equal (s_write_op (op, "w"), purged);
    s_answered (2, 1, deleted); /* the lease holds, and the purge is not committed: no verdict yet [REPL-6] */
    s_answered (3, 1, deleted);
    assert_int_equal (harness_count (&fixture.harness, ADR__KIND__ANSWER), 0);
    s_ack_all (1);
    const Adr__Answer *answer = (const Adr__Answer *) fixture_newest (ADR__KIND__ANSWER);
    assert_int_equal (answer->status, ADR_STATUS_CONFLICT);
    assert_int_equal (answer->version->index, 0); /* it lost against nothing */
    op.condition = ADR__CONDITION__ABSENT;
    assert_int_equal (s_write_op (op, "w"), purged + 1);
}

/* --- time to live ------------------------------------------------------------------------------------------------- */

static void
test_a_record_ends_when_its_time_has_come (void **state) /* [REPAIR-7] */
{
    (void) state;
    s_lead ();
    uint64_t put = s_put ("k", "v", 2000);
    const adr_entry_t *entry = s_entry_at (put);
    assert_int_equal (entry->op_count, 2);
    assert_int_equal (entry->op[1].table, ADR_TABLE_EXPIRY);
    assert_int_equal (adr_get_be64 (entry->op[1].key.data), entry->time_ms + 2000);
    s_pass (1900);
    assert_int_equal (s_last (), put);
    s_expect ("k", true);
    s_pass (400);
    assert_int_equal (s_last (), put + 1);
    entry = s_entry_at (put + 1);
    assert_int_equal (entry->op_count, 3); /* the record, its row, the mark */
    assert_true (s_is (&entry->op[0], ADR_TABLE_KV, ADR_OP_DELETE, "k"));
    assert_true (s_is (&entry->op[2], ADR_TABLE_GROUP, 0, ADR_EXPIRED_KEY));
    s_expect ("k", false);
    s_pass (5000);
    assert_int_equal (s_count_after (put + 1), 0);
    uint64_t purged;
    s_pass (S_RETENTION_MS); /* two ordinary tombstones */
    assert_int_equal (s_writes_after (put + 1, &purged), 1);
    assert_int_equal (s_entry_at (purged)->op_count, 3);
}

static void
test_a_record_ends_though_one_zone_is_full (void **state) /* [REPAIR-7, STORE-11] */
{
    (void) state;
    s_lead ();
    uint64_t put = s_put ("k", "v", 1000);
    s_ack_all (1);
    for (int64_t ms = 0; ms < 1500; ms += 100) {
        s_pass_alone (100);
        s_answered_space (3, 1, put, ADR_SPACE_SECOND_MARK);
        s_answered (2, 1, put);
    }
    assert_int_equal (s_count_after (put), 1);
}

static void
test_a_record_that_was_written_again_stays (void **state) /* [REPAIR-7] */
{
    (void) state;
    s_lead ();
    s_put ("k", "v", 2000);
    s_pass (1000);
    uint64_t put = s_put ("k", "w", 4000);
    s_pass (2000);
    assert_int_equal (s_last (), put + 1);
    assert_int_equal (s_entry_at (put + 1)->op_count, 2); /* the row, and the mark */
    s_expect ("k", true);
    s_pass (2500);
    assert_int_equal (s_find (put + 1, ADR_TABLE_KV, ADR_OP_DELETE, "k"), put + 2);
    s_expect ("k", false);
}

static void
test_a_newer_version_that_waits_in_the_log_stays (void **state) /* [REPAIR-7] */
{
    (void) state;
    s_lead ();
    s_put ("k", "v", 2000);
    s_pass (1900);
    uint64_t put = s_put ("k", "w", 0); /* not committed when the first one's time has come */
    s_pass_alone (1000);
    s_ack_all (1);
    s_pass (1000);
    assert_int_equal (s_find (put, ADR_TABLE_KV, ADR_OP_DELETE, "k"), 0);
    s_expect ("k", true);
}

/* The mark must not pass a row that is on its way. */
static void
test_a_row_that_is_not_applied_yet_is_not_passed_by (void **state) /* [REPAIR-7] */
{
    (void) state;
    s_lead ();
    s_put ("slow", "v", 2000);
    s_ack_all (1);
    uint64_t put = s_put ("fast", "v", 1000); /* ends first, and is committed after the other has ended */
    s_pass_alone (3000);
    s_ack_all (1);
    s_pass (1000);
    assert_int_not_equal (s_find (put, ADR_TABLE_KV, ADR_OP_DELETE, "slow"), 0);
    assert_int_not_equal (s_find (put, ADR_TABLE_KV, ADR_OP_DELETE, "fast"), 0);
}

static void
test_one_entry_of_a_master_s_own_waits_at_a_time (void **state) /* [REPAIR-7] */
{
    (void) state;
    s_lead ();
    s_put ("a", "v", 2000);
    s_put ("b", "v", 2500);
    s_pass (1900);
    uint64_t put = s_last ();
    s_pass_alone (2000);
    assert_int_equal (s_last (), put + 1);
    s_ack_all (1);
    s_pass (100);
    assert_int_equal (s_last (), put + 2);
}

static void
test_the_next_master_goes_on (void **state) /* [REPAIR-7] */
{
    (void) state;
    s_lead ();
    s_put ("first", "v", 1000);
    s_put ("second", "v", 4000);
    s_pass (2000);
    uint64_t ended = s_last ();
    s_expect ("first", false);
    fixture_lead (2);
    s_ack_all (2);
    for (int i = 0; i < 30; i++) {
        s_pass_alone (100);
        s_ack_all (2);
    }
    assert_int_equal (s_find (ended, ADR_TABLE_KV, ADR_OP_DELETE, "first"), 0);
    assert_int_not_equal (s_find (ended, ADR_TABLE_KV, ADR_OP_DELETE, "second"), 0);
    s_expect ("second", false);
}

static void
test_many_records_end_in_entries_of_31 (void **state) /* [REPAIR-7] */
{
    (void) state;
    char key[16];
    s_lead ();
    for (int i = 0; i < 70; i++) {
        snprintf (key, sizeof key, "k%d", i);
        s_put (key, "v", 1000); /* all in one millisecond: the mark stands still among them */
    }
    uint64_t put = s_last ();
    s_pass (2000);
    assert_int_equal (s_entry_at (put + 1)->op_count, ADR_OPS_MAX - 1);
    assert_int_equal (s_last (), put + 3);
    for (int i = 0; i < 70; i++) {
        snprintf (key, sizeof key, "k%d", i);
        s_expect (key, false);
    }
}

static void
s_expect_refused (Adr__Op op, const char *value)
{
    uint64_t last = s_last ();
    harness_forget (&fixture.harness);
    assert_int_equal (s_write_op (op, value), last);
    assert_int_equal (((const Adr__Answer *) fixture_newest (ADR__KIND__ANSWER))->status, ADR_STATUS_INVALID);
}

static void
test_a_time_to_live_has_limits (void **state) /* [REPAIR-7, EDGE-5] */
{
    (void) state;
    s_lead ();
    uint64_t last = s_last ();
    s_expect_refused (s_op ("k", "v", ADR_TTL_MIN_MS - 1), "v");
    s_expect_refused (s_op ("k", "v", ADR_TTL_MAX_MS + 1), "v");
    s_expect_refused (s_op ("k", NULL, 2000), "");
    Adr__Op op = s_op ("k", "v", 2000);
    op.table = ADR_TABLE_META;
    s_expect_refused (op, "v");
    op = s_op ("12345678xk", "", 0);
    op.table = ADR_TABLE_EXPIRY;
    s_expect_refused (op, "");
    static char s_long[ADR_KEY_MAX + 1];
    memset (s_long, 'k', ADR_EXPIRING_KEY_MAX + 1);
    s_expect_refused (s_op (s_long, "v", 2000), "v");
    s_long[ADR_EXPIRING_KEY_MAX] = 0;
    assert_int_equal (s_put (s_long, "v", ADR_TTL_MIN_MS), last + 1);
    assert_int_equal (s_put ("k", "v", ADR_TTL_MAX_MS), last + 2);
}

/* --- sweep epochs ------------------------------------------------------------------------------------------------- */

#define S_SWEEP_MS 4000
#define S_META_KEY "bucket\0key"

static adr_bytes_t
s_sweep_key (uint32_t partition)
{
    static uint8_t s_key[ADR_SWEEP_KEY_SIZE];
    adr_sweep_key (s_key, partition);
    return adr_bytes (s_key, sizeof s_key);
}

/* 0: no record. */
static uint64_t
s_epoch (uint32_t partition)
{
    adr_record_t record;
    if (adr_store_get (fixture.store, ADR_TABLE_SWEEP, s_sweep_key (partition), true, &record) != ADR_STATUS_OK)
        return 0;
    assert_int_equal (record.value.size, ADR_SWEEP_EPOCH_SIZE);
    return adr_get_u64 (record.value.data);
}

/* The answer to the put of a meta record whose object was born in that epoch. */
static const Adr__Answer *
s_put_meta (uint64_t born)
{
    Adr__Op op = s_op ("", "object", 0);
    op.table = ADR_TABLE_META;
    op.key = (ProtobufCBinaryData){ sizeof S_META_KEY - 1, (uint8_t *) S_META_KEY };
    op.sweep_epoch = born;
    harness_forget (&fixture.harness);
    s_write_op (op, "object");
    if (harness_count (&fixture.harness, ADR__KIND__ANSWER) == 0)
        s_ack_all (1);
    return (const Adr__Answer *) fixture_newest (ADR__KIND__ANSWER);
}

static void
s_lead_sweeping (void)
{
    fixture_settings ()->sweep_interval_ns = S_SWEEP_MS * ADR_MS;
    s_lead ();
}

static void
test_sweep_epochs_follow_each_other (void **state) /* [OBJECT-1] */
{
    (void) state;
    s_lead_sweeping ();
    assert_int_equal (s_epoch (0), 0);
    s_pass (S_SWEEP_MS / 8 + 200);
    for (uint32_t partition = 0; partition < 64; partition++)
        assert_int_equal (s_epoch (partition), ADR_SWEEP_FIRST);
    uint64_t last = s_last ();
    s_pass (S_SWEEP_MS / 2);
    assert_int_equal (s_last (), last); /* an epoch lasts */
    s_pass (S_SWEEP_MS);
    assert_int_equal (s_epoch (63), ADR_SWEEP_FIRST + 1);
}

static void
test_a_meta_record_is_not_put_when_its_object_is_old (void **state) /* [OBJECT-1] */
{
    (void) state;
    s_lead_sweeping ();
    assert_int_equal (s_put_meta (ADR_SWEEP_FIRST)->status, ADR_STATUS_OK); /* no record says so: the first one */
    assert_int_equal (s_put_meta (ADR_SWEEP_FIRST + 1)->status, ADR_STATUS_INVALID);
    s_pass (4 * S_SWEEP_MS);
    uint64_t epoch = s_epoch (0);
    assert_true (epoch > ADR_SWEEP_FIRST + 1);
    assert_int_equal (s_put_meta (epoch)->status, ADR_STATUS_OK);
    assert_int_equal (s_put_meta (epoch - 1)->status, ADR_STATUS_OK);
    assert_int_equal (s_put_meta (epoch - 2)->status, ADR_STATUS_REFUSED);
    assert_int_equal (s_put_meta (0)->status, ADR_STATUS_INVALID);
}

/* The log's end decides, applied or not. */
static void
test_an_epoch_begins_with_its_entry (void **state) /* [OBJECT-1] */
{
    (void) state;
    s_lead_sweeping ();
    s_pass (4 * S_SWEEP_MS);
    uint64_t epoch = s_epoch (0), last = s_last ();
    while (s_last () == last)
        s_pass_alone (20);
    assert_int_equal (s_epoch (0), epoch);
    assert_int_equal (s_put_meta (epoch - 1)->status, ADR_STATUS_REFUSED);
}

static void
test_an_epoch_is_read_by_the_meta_key (void **state) /* [OBJECT-1] */
{
    (void) state;
    s_lead_sweeping ();
    s_pass (S_SWEEP_MS / 8 + 200);
    Adr__Read read = ADR__READ__INIT;
    adr_id_t origin = harness_address (1, ADR_NODE_EDGE, 0).node;
    read.number = 7;
    read.table = ADR_TABLE_SWEEP;
    read.key = (ProtobufCBinaryData){ sizeof S_META_KEY - 1, (uint8_t *) S_META_KEY };
    read.limit_ms = 1000;
    read.origin = adr_id_view (&origin);
    harness_forget (&fixture.harness);
    harness_message (&fixture.harness, harness_address (1, ADR_NODE_EDGE, ADR_ACTOR_EDGE_ROUTER), ADR_NODE_EDGE,
                     ADR__KIND__READ, &read.base, adr_bytes (NULL, 0));
    const harness_sent_t *sent = harness_sent (&fixture.harness, ADR__KIND__ANSWER, 0);
    assert_non_null (sent);
    assert_int_equal (((const Adr__Answer *) sent->header)->status, ADR_STATUS_OK);
    assert_int_equal (adr_get_u64 (sent->payload.data), ADR_SWEEP_FIRST);
}

int
main (void)
{
    const struct CMUnitTest tests[] = {
        FIXTURE_TEST (test_a_tombstone_is_purged_when_its_time_is_over),
        FIXTURE_TEST (test_a_tombstone_waits_for_every_voter),
        FIXTURE_TEST (test_a_voter_that_is_away_for_long_is_not_waited_for),
        FIXTURE_TEST (test_a_voter_that_was_not_heard_yet_is_waited_for),
        FIXTURE_TEST (test_what_waits_in_the_log_is_not_purged),
        FIXTURE_TEST (test_many_tombstones_go_in_entries_of_63),
        FIXTURE_TEST (test_nothing_is_purged_while_a_voter_is_on_its_reserve),
        FIXTURE_TEST (test_a_condition_sees_the_purge_at_the_logs_end),
        FIXTURE_TEST (test_a_record_ends_when_its_time_has_come),
        FIXTURE_TEST (test_a_record_ends_though_one_zone_is_full),
        FIXTURE_TEST (test_a_record_that_was_written_again_stays),
        FIXTURE_TEST (test_a_newer_version_that_waits_in_the_log_stays),
        FIXTURE_TEST (test_a_row_that_is_not_applied_yet_is_not_passed_by),
        FIXTURE_TEST (test_one_entry_of_a_master_s_own_waits_at_a_time),
        FIXTURE_TEST (test_the_next_master_goes_on),
        FIXTURE_TEST (test_many_records_end_in_entries_of_31),
        FIXTURE_TEST (test_a_time_to_live_has_limits),
        FIXTURE_TEST (test_sweep_epochs_follow_each_other),
        FIXTURE_TEST (test_a_meta_record_is_not_put_when_its_object_is_old),
        FIXTURE_TEST (test_an_epoch_begins_with_its_entry),
        FIXTURE_TEST (test_an_epoch_is_read_by_the_meta_key),
    };
    return cmocka_run_group_tests (tests, NULL, NULL);
}
