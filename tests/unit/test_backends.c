/* SPDX-License-Identifier: MPL-2.0 */
/* The three backends on a real file system: segments, the state environment, the index with keys of every length. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "core/actor.h"
#include "store/backend.h"
#include "store/store.h"
#include "store_jobs.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static char s_folder[256];

static int
s_set_up (void **state)
{
    (void) state;
    const char *base = getenv ("TMPDIR");
    snprintf (s_folder, sizeof s_folder, "%s/adrestia-XXXXXX", base ? base : "/tmp");
    return mkdtemp (s_folder) ? 0 : -1;
}

static int
s_tear_down (void **state)
{
    (void) state;
    char command[300];
    snprintf (command, sizeof command, "rm -rf '%s'", s_folder);
    return system (command);
}

static const char *
s_path (const char *name)
{
    static char path[512];
    snprintf (path, sizeof path, "%s/%s", s_folder, name);
    return path;
}

static bool
s_exists (const char *name)
{
    struct stat status;
    return stat (s_path (name), &status) == 0;
}

/* --- disk -------------------------------------------------------------------------------------------------- */

/* A process that was killed may be in the middle of a sync, and holds its lock until that is over. */
static void
test_a_lock_is_waited_for (void **state)
{
    (void) state;
    char why[256] = "";
    int ready[2];
    assert_int_equal (pipe (ready), 0);
    assert_int_equal (mkdir (s_path ("journal"), 0700), 0);
    pid_t child = fork ();
    assert_true (child >= 0);
    if (child == 0) {
        int file = open (s_path ("journal"), O_RDONLY | O_DIRECTORY);
        bool good = file >= 0 && flock (file, LOCK_EX) == 0 && write (ready[1], "", 1) == 1;
        usleep (200000);
        _exit (good ? 0 : 1);
    }
    char byte;
    int status;
    assert_int_equal (read (ready[0], &byte, 1), 1);
    adr_disk_t *disk = adr_disk_posix_create (s_path ("journal"), why, sizeof why);
    assert_non_null (disk);
    adr_disk_posix_destroy (&disk);
    assert_int_equal (waitpid (child, &status, 0), child);
    assert_int_equal (status, 0);
    close (ready[0]);
    close (ready[1]);
}

static void
test_disk_makes_writes_reads_lists_and_sets_aside (void **state)
{
    (void) state;
    char why[256], data[600];
    adr_disk_t *disk = adr_disk_posix_create (s_path ("journal"), why, sizeof why);
    assert_non_null (disk);
    assert_null (adr_disk_posix_create (s_path ("journal"), why, sizeof why)); /* in use */
    uint64_t numbers[8], size, free_bytes, all_bytes;
    size_t count;
    for (uint64_t number = 20; number > 0; number--)
        assert_int_equal (disk->create (disk, number, 64 * 1024, number % 2), 0);
    assert_int_equal (disk->list (disk, numbers, 8, &count), EOVERFLOW);
    for (uint64_t number = 20; number > 3; number--)
        assert_int_equal (disk->remove (disk, number), 0);
    assert_int_equal (disk->write (disk, 2, 512, "hello", 5), 0);
    assert_int_equal (disk->sync (disk, 2), 0);
    assert_int_equal (disk->read (disk, 2, 500, data, 600), 0);
    assert_memory_equal (data + 12, "hello\0\0", 7);
    assert_int_equal (disk->read (disk, 2, 64 * 1024 - 10, data, 11), EIO);
    assert_int_equal (disk->read (disk, 9, 0, data, 1), ENOENT);
    assert_int_equal (disk->size (disk, 2, &size), 0);
    assert_int_equal (size, 64 * 1024);
    assert_int_equal (disk->truncate (disk, 2, 8192), 0);
    assert_int_equal (disk->size (disk, 2, &size), 0);
    assert_int_equal (size, 8192);
    assert_int_equal (disk->read (disk, 2, 500, data, 600), 0);
    assert_memory_equal (data + 12, "hello\0\0", 7);
    assert_int_equal (disk->read (disk, 2, 8192 - 10, data, 11), EIO);
    assert_int_equal (disk->truncate (disk, 9, 0), ENOENT);
    assert_int_equal (disk->create (disk, 2, 4096, true), 0); /* sets the old one aside */
    assert_int_equal (disk->read (disk, 2, 512, data, 5), 0);
    assert_memory_equal (data, "\0\0\0\0\0", 5);
    assert_true (s_exists ("journal/0000000000000002.seg.aside-1"));
    assert_int_equal (disk->set_aside (disk, 1), 0);
    assert_int_equal (disk->list (disk, numbers, 8, &count), 0);
    assert_int_equal (count, 2);
    assert_true (numbers[0] == 2 && numbers[1] == 3);
    assert_int_equal (disk->space (disk, &free_bytes, &all_bytes), 0);
    assert_true (free_bytes > 0 && free_bytes <= all_bytes);
    adr_disk_posix_destroy (&disk);
}

/* --- state ------------------------------------------------------------------------------------------------- */

static adr_bytes_t
s_text (const char *text)
{
    return adr_bytes (text, strlen (text));
}

static void
test_state_is_made_by_its_first_put (void **unused)
{
    (void) unused;
    char why[256], value[16];
    adr_state_t *state = adr_state_lmdb_create (s_path ("state.mdb"), why, sizeof why);
    assert_non_null (state);
    assert_int_equal (state->get (state, "vote", value, sizeof value), -1);
    assert_false (s_exists ("state.mdb"));
    adr_state_put_t puts[] = { { "vote", s_text ("seven") }, { "promise", s_text ("x") } };
    assert_int_equal (state->put (state, puts, 2), 0);
    assert_true (s_exists ("state.mdb"));
    for (int round = 0; round < 2; round++) {
        assert_int_equal (state->get (state, "vote", value, 3), 5);
        assert_memory_equal (value, "sev", 3);
        assert_int_equal (state->get (state, "fence", value, sizeof value), -1);
        adr_state_lmdb_destroy (&state);
        state = adr_state_lmdb_create (s_path ("state.mdb"), why, sizeof why);
    }
    struct stat status;
    assert_int_equal (stat (s_path ("state.mdb"), &status), 0);
    off_t before = status.st_size;
    for (int i = 0; i < 2000; i++)
        assert_int_equal (state->put (state, puts, 2), 0);
    assert_int_equal (stat (s_path ("state.mdb"), &status), 0);
    assert_int_equal (status.st_size, before); /* votes need no new space */
    adr_state_lmdb_destroy (&state);
}

/* [STORE-4] Whatever is found in its place, an environment is never silently made anew. */
static void
test_state_that_is_unreadable_says_so_until_the_first_put (void **unused)
{
    (void) unused;
    char why[256], value[16];
    for (int kind = 0; kind < 3; kind++) {
        adr_state_put_t put = { "vote", s_text ("seven") };
        adr_state_t *state;
        if (kind == 2) {
            unlink (s_path ("state.mdb"));
            state = adr_state_lmdb_create (s_path ("state.mdb"), why, sizeof why);
            assert_int_equal (state->put (state, &put, 1), 0);
            adr_state_lmdb_destroy (&state);
            assert_int_equal (truncate (s_path ("state.mdb"), 12288), 0);
        } else {
            int file = open (s_path ("state.mdb"), O_WRONLY | O_CREAT | O_TRUNC, 0600);
            assert_int_equal (write (file, "nonsense nonsense nonsense", kind * 26), kind * 26);
            close (file);
        }
        for (int round = 0; round < 2; round++) {
            state = adr_state_lmdb_create (s_path ("state.mdb"), why, sizeof why);
            assert_non_null (state);
            assert_int_equal (state->get (state, "vote", value, sizeof value), -2);
            assert_true (why[0] != '\0');
            if (round == 0)
                adr_state_lmdb_destroy (&state);
        }
        assert_int_equal (state->put (state, &put, 1), 0);
        assert_int_equal (state->get (state, "vote", value, sizeof value), 5);
        adr_state_lmdb_destroy (&state);
    }
    assert_true (s_exists ("state.mdb.aside-1") && s_exists ("state.mdb.aside-2") && s_exists ("state.mdb.aside-3"));
}

static size_t
s_flip (const char *name, const char *pattern, size_t pattern_size)
{
    static uint8_t bytes[1 << 20];
    int file = open (s_path (name), O_RDWR);
    ssize_t size = read (file, bytes, sizeof bytes);
    size_t flipped = 0;
    for (ssize_t at = 0; at + (ssize_t) pattern_size <= size; at++)
        if (memcmp (bytes + at, pattern, pattern_size) == 0) {
            bytes[at] ^= 1;
            assert_int_equal (pwrite (file, bytes + at, 1, at), 1);
            flipped++;
        }
    close (file);
    return flipped;
}

static void
test_state_flipped_bit_is_seen (void **unused)
{
    (void) unused;
    char why[256], value[32];
    adr_state_put_t put = { "vote", s_text ("a value to be found") };
    adr_state_t *state = adr_state_lmdb_create (s_path ("state.mdb"), why, sizeof why);
    assert_int_equal (state->put (state, &put, 1), 0);
    adr_state_lmdb_destroy (&state);
    assert_true (s_flip ("state.mdb", "value to be", 11) > 0);
    state = adr_state_lmdb_create (s_path ("state.mdb"), why, sizeof why);
    assert_int_equal (state->get (state, "vote", value, sizeof value), -2);
    adr_state_lmdb_destroy (&state);
}

/* --- index ------------------------------------------------------------------------------------------------- */

#define S_KEYS 3000

typedef struct {
    uint8_t table;
    size_t size;
    uint8_t key[ADR_KEY_MAX];
    adr_index_row_t row;
} s_record_t;

static int
s_order (const void *a, const void *b)
{
    const s_record_t *x = a, *y = b;
    if (x->table != y->table)
        return x->table < y->table ? -1 : 1;
    return adr_bytes_compare (adr_bytes (x->key, x->size), adr_bytes (y->key, y->size));
}

/* Keys that share long prefixes, with zeros and ones where the splits are: lengths around 500, 501, 1000, 1001. */
static void
s_key (adr_random_t *random, s_record_t *record)
{
    static const size_t around[] = { 0, 1, 7, 8, 490, 500, 501, 505, 990, 1000, 1001, 1005, ADR_KEY_MAX - 1 };
    record->table = (uint8_t) adr_random_between (random, 0, 2);
    record->size = around[adr_random_between (random, 0, 12)] + (size_t) adr_random_between (random, 0, 1);
    memset (record->key, 'k', sizeof record->key);
    for (int i = 0; i < 6 && record->size > 0; i++) {
        size_t at = (size_t) adr_random_between (random, 0, 3) == 0
            ? (size_t) adr_random_between (random, 0, (int64_t) record->size - 1)
            : around[adr_random_between (random, 0, 11)];
        if (at < record->size)
            record->key[at] = (uint8_t) "\0\1k\xff"[adr_random_between (random, 0, 3)];
    }
}

static s_record_t *
s_fill (adr_index_t *index, size_t *count)
{
    s_record_t *records = adr_alloc (S_KEYS * sizeof *records);
    adr_random_t random = { 5 };
    for (size_t i = 0; i < S_KEYS; i++)
        s_key (&random, &records[i]);
    qsort (records, S_KEYS, sizeof *records, s_order);
    size_t kept = 0;
    for (size_t i = 0; i < S_KEYS; i++)
        if (kept == 0 || s_order (&records[kept - 1], &records[i]) != 0)
            records[kept++] = records[i];
    *count = kept;
    for (size_t part = 0; part < 3; part++) {
        assert_int_equal (index->begin (index), 0);
        for (size_t i = 0; i < kept; i++) {
            adr_index_row_t *row = &records[i].row;
            *row = (adr_index_row_t){ .version = { 1, 2, i + 1 }, .deleted = i % 5 == 0,
                                      .place = { 9, i * 100, 77, 3 }, .value_size = (uint32_t) i, .time_ms = i };
            memset (row->digest, (int) i, sizeof row->digest);
            if (i % 3 == part)
                assert_int_equal (index->put (index, records[i].table, adr_bytes (records[i].key, records[i].size), row), 0);
        }
        assert_int_equal (index->commit (index), 0);
    }
    return records;
}

static void
s_same_row (const adr_index_row_t *a, const adr_index_row_t *b)
{
    assert_int_equal (adr_version_compare (&a->version, &b->version), 0);
    assert_int_equal (a->deleted, b->deleted);
    assert_int_equal (a->place.segment, b->place.segment);
    assert_int_equal (a->place.offset, b->place.offset);
    assert_int_equal (a->place.size, b->place.size);
    assert_int_equal (a->place.op, b->place.op);
    assert_int_equal (a->value_size, b->value_size);
    assert_int_equal (a->time_ms, b->time_ms);
    assert_memory_equal (a->digest, b->digest, sizeof a->digest);
}

static void
s_scan_from (adr_index_t *index, const s_record_t *records, size_t count, const s_record_t *from)
{
    size_t at = 0;
    while (at < count && s_order (&records[at], from) < 0)
        at++;
    adr_index_cursor_t *cursor;
    adr_bytes_t key;
    adr_index_row_t row;
    assert_int_equal (index->seek (index, from->table, adr_bytes (from->key, from->size), &cursor), 0);
    for (; at < count && records[at].table == from->table; at++) {
        assert_int_equal (index->next (index, cursor, &key, &row), 0);
        assert_int_equal (key.size, records[at].size);
        assert_memory_equal (key.data, records[at].key, key.size);
        s_same_row (&row, &records[at].row);
    }
    assert_int_equal (index->next (index, cursor, &key, &row), ENOENT);
    index->close (index, &cursor);
}

static void
test_index_keeps_keys_of_every_length_in_order (void **unused)
{
    (void) unused;
    char why[256];
    adr_index_t *index = adr_index_lmdb_create (s_path ("index.mdb"), why, sizeof why);
    assert_non_null (index);
    size_t count;
    s_record_t *records = s_fill (index, &count), probe;
    assert_true (count > 1000);
    adr_index_row_t row;
    for (size_t i = 0; i < count; i++) {
        assert_int_equal (index->get (index, records[i].table, adr_bytes (records[i].key, records[i].size), &row), 0);
        s_same_row (&row, &records[i].row);
    }
    memset (&probe, 0, sizeof probe);
    for (probe.table = 0; probe.table < 4; probe.table++)
        s_scan_from (index, records, count, &probe);
    adr_random_t random = { 99 };
    for (int i = 0; i < 200; i++) {
        s_key (&random, &probe);
        s_scan_from (index, records, count, &probe);
    }
    assert_int_equal (index->begin (index), 0);
    assert_int_equal (index->remove (index, records[10].table, adr_bytes (records[10].key, records[10].size)), 0);
    assert_int_equal (index->get (index, records[10].table, adr_bytes (records[10].key, records[10].size), &row), 0);
    assert_int_equal (index->put_meta (index, "applied", s_text ("x")), 0);
    assert_int_equal (index->commit (index), 0);
    assert_int_equal (index->get (index, records[10].table, adr_bytes (records[10].key, records[10].size), &row), ENOENT);
    adr_index_lmdb_destroy (&index);
    index = adr_index_lmdb_create (s_path ("index.mdb"), why, sizeof why);
    uint8_t value[8];
    size_t size;
    assert_int_equal (index->get_meta (index, "applied", value, sizeof value, &size), 0);
    assert_int_equal (size, 1);
    assert_int_equal (index->get (index, records[11].table, adr_bytes (records[11].key, records[11].size), &row), 0);
    assert_int_equal (index->reset (index), 0);
    assert_int_equal (index->get (index, records[11].table, adr_bytes (records[11].key, records[11].size), &row), ENOENT);
    assert_int_equal (index->get_meta (index, "applied", value, sizeof value, &size), ENOENT);
    assert_true (s_exists ("index.mdb.aside"));
    adr_index_lmdb_destroy (&index);
    free (records);
}

/* [STORE-10] */
static void
test_index_flipped_bit_is_seen (void **unused)
{
    (void) unused;
    char why[256];
    adr_index_t *index = adr_index_lmdb_create (s_path ("index.mdb"), why, sizeof why);
    adr_index_row_t row = { .version = { 1, 1, 1 }, .place = { 1, 8192, 100, 0 } };
    memcpy (row.digest, "digest of a row!", 16);
    assert_int_equal (index->begin (index), 0);
    assert_int_equal (index->put (index, 3, s_text ("first"), &row), 0);
    memcpy (row.digest, "another digest!!", 16);
    assert_int_equal (index->put (index, 3, s_text ("second key"), &row), 0);
    assert_int_equal (index->commit (index), 0);
    adr_index_lmdb_destroy (&index);
    assert_true (s_flip ("index.mdb", "digest of", 9) > 0);
    assert_true (s_flip ("index.mdb", "second key", 10) > 0);
    index = adr_index_lmdb_create (s_path ("index.mdb"), why, sizeof why);
    assert_int_equal (index->get (index, 3, s_text ("first"), &row), EIO);
    assert_int_equal (index->get (index, 3, s_text ("recond key"), &row), EIO); /* the flipped key */
    adr_index_lmdb_destroy (&index);
}

static void
test_index_that_cannot_be_opened_is_made_anew (void **unused)
{
    (void) unused;
    char why[512];
    int file = open (s_path ("index.mdb"), O_WRONLY | O_CREAT, 0600);
    assert_int_equal (write (file, "nonsense", 8), 8);
    close (file);
    adr_index_t *index = adr_index_lmdb_create (s_path ("index.mdb"), why, sizeof why);
    assert_non_null (index);
    assert_true (why[0] != '\0' && s_exists ("index.mdb.aside"));
    adr_index_row_t row;
    assert_int_equal (index->get (index, 1, s_text ("x"), &row), ENOENT);
    adr_index_lmdb_destroy (&index);
}

/* --- a store on all three ---------------------------------------------------------------------------------- */

typedef struct {
    adr_disk_t *disk;
    adr_state_t *state;
    adr_index_t *index;
    adr_store_t *store;
    uint64_t log_keep_max;
    int64_t now;
} s_node_t;

static adr_store_opening_t
s_node_open (s_node_t *node)
{
    char why[512];
    adr_store_options_t options = { .segment_bytes = ADR_STORE_SEGMENT_MIN, .flush_bytes = 256 * 1024,
                                    .flush_every_ns = 1000 * ADR_MS, .cache_bytes = 1024 * 1024,
                                    .memory_max_bytes = 64 * 1024 * 1024, .log_keep_max = node->log_keep_max };
    options.node.bytes[0] = 1;
    node->disk = adr_disk_posix_create (s_path ("journal"), why, sizeof why);
    node->state = adr_state_lmdb_create (s_path ("state.mdb"), why, sizeof why);
    node->index = adr_index_lmdb_create (s_path ("index.mdb"), why, sizeof why);
    assert_true (node->disk && node->state && node->index);
    return adr_store_open (&node->store, &options, node->disk, node->state, node->index, adr_entropy_system (), why,
                           sizeof why);
}

static void
s_node_close (s_node_t *node)
{
    adr_store_destroy (&node->store);
    adr_disk_posix_destroy (&node->disk);
    adr_state_lmdb_destroy (&node->state);
    adr_index_lmdb_destroy (&node->index);
}

static void
s_node_run (s_node_t *node)
{
    store_run_jobs (node->store, node->now);
}

static void
s_node_put (s_node_t *node, unsigned number, size_t value_size)
{
    static uint8_t value[ADR_VALUE_MAX], bytes[ADR_ENTRY_MAX];
    char key[32];
    snprintf (key, sizeof key, "key-%06u", number);
    memset (value, (int) number, value_size);
    adr_entry_t entry = { .kind = ADR_ENTRY_WRITE, .term = 1, .index = adr_store_last (node->store).index + 1,
                          .op_count = 1 };
    entry.op[0].table = ADR_TABLE_KV;
    entry.op[0].key = s_text (key);
    entry.op[0].value = adr_bytes (value, value_size);
    size_t size = adr_entry_size (&entry);
    adr_entry_encode (&entry, bytes);
    adr_store_append (node->store, &entry, adr_bytes (bytes, size));
}

static bool
s_count_row (void *argument, adr_bytes_t key, const adr_record_t *record)
{
    unsigned *count = argument;
    char expected[32];
    snprintf (expected, sizeof expected, "key-%06u", *count);
    assert_int_equal (key.size, strlen (expected));
    assert_memory_equal (key.data, expected, key.size);
    for (size_t i = 0; i < record->value.size; i += 97)
        assert_int_equal (record->value.data[i], (uint8_t) *count);
    ++*count;
    return true;
}

static void
test_store_on_real_files (void **unused)
{
    (void) unused;
    s_node_t node = { 0 };
    assert_int_equal (s_node_open (&node), ADR_STORE_NEW);
    uint64_t incarnation = adr_store_incarnation (node.store);
    unsigned number = 0;
    for (int round = 0; round < 3; round++) {
        for (int i = 0; i < 2000; i++)
            s_node_put (&node, number++, i % 500 == 0 ? ADR_VALUE_MAX : 1024);
        s_node_run (&node);
        uint64_t end = adr_store_durable (node.store);
        assert_int_equal (end, number);
        adr_store_set_commit (node.store, end);
        while (adr_store_applied (node.store) < end) {
            const adr_entry_t *entry;
            assert_int_equal (adr_store_apply (node.store, &entry), ADR_STATUS_OK);
        }
        adr_store_set_unlocked (node.store, end);
        s_node_run (&node);
        s_node_put (&node, number++, 10); /* its batch records the commit index */
        s_node_run (&node);
        for (int pass = 0; pass < 2; pass++) {
            unsigned seen = 0;
            assert_int_equal (adr_store_scan (node.store, ADR_TABLE_KV, s_text (""), (adr_bytes_t){ 0 }, true,
                                              s_count_row, &seen), ADR_STATUS_OK);
            assert_int_equal (seen, number - 1);
            s_node_close (&node);
            if (pass == 0 && round == 2)
                assert_int_equal (unlink (s_path ("index.mdb")), 0); /* rebuilt from the journal */
            assert_int_equal (s_node_open (&node), ADR_STORE_OPENED);
            adr_store_check (node.store);
            assert_int_equal (adr_store_incarnation (node.store), incarnation);
        }
        adr_store_set_commit (node.store, adr_store_last (node.store).index);
        const adr_entry_t *entry;
        assert_int_equal (adr_store_apply (node.store, &entry), ADR_STATUS_OK);
    }
    s_node_close (&node);
}

/* One write in eight is of a record that stays; the others overwrite each other. */
static void
s_node_churn (s_node_t *node, unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        s_node_put (node, i % 8 ? 0 : 1 + i / 8, 8192);
        if (i % 64)
            continue;
        s_node_run (node);
        uint64_t end = adr_store_durable (node->store);
        adr_store_set_commit (node->store, end);
        while (adr_store_applied (node->store) < end) {
            const adr_entry_t *entry;
            assert_int_equal (adr_store_apply (node->store, &entry), ADR_STATUS_OK);
        }
        adr_store_set_unlocked (node->store, end);
        node->now += 500 * ADR_MS;
    }
    for (int i = 0; i < 20; i++, node->now += 500 * ADR_MS)
        s_node_run (node);
}

static void
test_segments_go_on_real_files (void **unused) /* [STORE-8] */
{
    (void) unused;
    s_node_t node = { .log_keep_max = 1024 * 1024 };
    unsigned seen = 0;
    uint64_t numbers[64];
    size_t files;
    assert_int_equal (s_node_open (&node), ADR_STORE_NEW);
    s_node_churn (&node, 8001); /* 64 MiB, of which 8 count */
    assert_true (adr_store_compacted (node.store) > 0);
    assert_int_equal (node.disk->list (node.disk, numbers, 64, &files), 0);
    assert_true (files <= 10 && numbers[0] > 1); /* of more than sixteen that were written; four are prepared */
    for (int pass = 0; pass < 3; pass++) {
        seen = 0;
        assert_int_equal (adr_store_scan (node.store, ADR_TABLE_KV, s_text (""), (adr_bytes_t){ 0 }, true, s_count_row,
                                          &seen), ADR_STATUS_OK);
        assert_int_equal (seen, 1002);
        s_node_close (&node);
        if (pass == 1)
            assert_int_equal (unlink (s_path ("index.mdb")), 0);
        assert_int_equal (s_node_open (&node), ADR_STORE_OPENED);
        assert_int_equal (adr_store_lost_segments (node.store), 0);
        adr_store_check (node.store);
    }
    s_node_close (&node);
}

int
main (void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown (test_a_lock_is_waited_for, s_set_up, s_tear_down),
        cmocka_unit_test_setup_teardown (test_disk_makes_writes_reads_lists_and_sets_aside, s_set_up, s_tear_down),
        cmocka_unit_test_setup_teardown (test_state_is_made_by_its_first_put, s_set_up, s_tear_down),
        cmocka_unit_test_setup_teardown (test_state_that_is_unreadable_says_so_until_the_first_put, s_set_up, s_tear_down),
        cmocka_unit_test_setup_teardown (test_state_flipped_bit_is_seen, s_set_up, s_tear_down),
        cmocka_unit_test_setup_teardown (test_index_keeps_keys_of_every_length_in_order, s_set_up, s_tear_down),
        cmocka_unit_test_setup_teardown (test_index_flipped_bit_is_seen, s_set_up, s_tear_down),
        cmocka_unit_test_setup_teardown (test_index_that_cannot_be_opened_is_made_anew, s_set_up, s_tear_down),
        cmocka_unit_test_setup_teardown (test_store_on_real_files, s_set_up, s_tear_down),
        cmocka_unit_test_setup_teardown (test_segments_go_on_real_files, s_set_up, s_tear_down),
    };
    return cmocka_run_group_tests (tests, NULL, NULL);
}
