/* SPDX-License-Identifier: MPL-2.0 */
/* The crash test: seeded runs of writes, cuts, terms, flushes and segment switches over a disk that keeps unsynced
 * sectors apart. Each batch is cut off at every boundary that matters and at random subsets of its sectors; each
 * recovery must hold what was acknowledged, invent nothing, keep the incarnation, and go on. Then bits are flipped:
 * damage at or below the commit index must be seen as what it is, a missing copy. Meanwhile segments are compacted and go,
 * tombstones are purged, and indexes are lost and made anew.
 *
 * The model is a list of operations in the order of their frames. What a disk may hold after a cut is the log after
 * all synced batches, or that and the one that was being written: nothing else. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "memory_disk.h"
#include "store/layout.h"
#include "store/store.h"
#include "store_jobs.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#define S_KEYS 24
#define S_SEGMENT (96 * 1024)

typedef struct {
    uint64_t index, term; /* of the entry, or where the cut leaves the log */
    uint8_t *bytes;       /* NULL: a cut */
    size_t size;
} s_op_t;

typedef struct {
    s_op_t **entry; /* by index - 1 */
    size_t count;
} s_log_t;

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
    uint64_t incarnation;
} s_node_t;

typedef struct {
    s_node_t node;
    adr_random_t random;
    uint64_t seed;
    s_op_t *op;
    size_t op_count, op_room;
    size_t formed; /* operations in batches until now */
    s_log_t durable;
    uint64_t term, told;
    unsigned cuts;
    bool compacts; /* most writes go to few keys, tombstones are purged, indexes get lost */
} s_run_t;

static unsigned s_cuts, s_recoveries, s_flips, s_damaged, s_rebuilt, s_walks, s_removed, s_purged, s_doubted, s_in_doubt;

/* --- the model --------------------------------------------------------------------------------------------- */

static void
s_log_apply (s_log_t *log, s_op_t *op)
{
    if (!op->bytes) {
        log->count = op->index;
        return;
    }
    assert_int_equal (op->index, log->count + 1);
    log->entry = adr_realloc (log->entry, (log->count + 1) * sizeof (s_op_t *));
    log->entry[log->count++] = op;
}

static s_log_t
s_log_copy (const s_log_t *log)
{
    s_log_t copy = { adr_alloc ((log->count + 1) * sizeof (s_op_t *)), log->count };
    if (log->count)
        memcpy (copy.entry, log->entry, log->count * sizeof (s_op_t *));
    return copy;
}

static s_op_t *
s_op_add (s_run_t *run, uint64_t index, uint64_t term)
{
    adr_assert (run->op_count < run->op_room); /* entries point into it */
    s_op_t *op = &run->op[run->op_count++];
    *op = (s_op_t){ .index = index, .term = term };
    return op;
}

/* --- driving a store --------------------------------------------------------------------------------------- */

static adr_store_opening_t
s_open (s_node_t *node)
{
    s_recoveries++;
    node->opening = adr_store_open (&node->store, &node->options, &node->disk->disk, &node->state->state,
                                    memory_index_of (node->index), &node->entropy.entropy, node->why,
                                    sizeof node->why);
    if (node->store)
        adr_store_check (node->store);
    return node->opening;
}

static void
s_close (s_node_t *node)
{
    adr_store_destroy (&node->store);
    memory_disk_destroy (&node->disk);
    memory_state_destroy (&node->state);
    memory_index_destroy (&node->index);
}

static adr_bytes_t
s_entry_make (s_run_t *run, uint64_t term, uint64_t index, uint8_t *bytes, adr_entry_t *entry)
{
    static uint8_t value[30000];
    char key[16];
    *entry = (adr_entry_t){ .kind = ADR_ENTRY_WRITE, .term = term, .index = index, .op_count = 1, .time_ms = index };
    size_t size = (size_t) adr_random_between (&run->random, 0, 600);
    if (adr_random_between (&run->random, 0, 15) == 0)
        size = (size_t) adr_random_between (&run->random, 2000, 20000);
    uint64_t word = adr_random_next (&run->random);
    for (size_t at = 0; at < size; at++)
        value[at] = (uint8_t) (word >> (at % 8 * 8)) ^ (uint8_t) (at >> 3);
    int number = (int) adr_random_between (&run->random, 0, S_KEYS - 1);
    if (run->compacts && adr_random_between (&run->random, 0, 7))
        number %= 3;
    snprintf (key, sizeof key, "key-%02d", number);
    entry->op[0].table = ADR_TABLE_KV;
    entry->op[0].key = adr_bytes (key, strlen (key));
    if (adr_random_between (&run->random, 0, 9) == 0)
        entry->op[0].flags = ADR_OP_DELETE, size = 0;
    entry->op[0].value = adr_bytes (value, size);
    size_t all = adr_entry_size (entry);
    adr_entry_encode (entry, bytes);
    assert_int_equal (adr_entry_decode (entry, adr_bytes (bytes, all)), all);
    return adr_bytes (bytes, all);
}

static void
s_append (s_run_t *run)
{
    static uint8_t bytes[64 * 1024];
    static adr_entry_t entry;
    uint64_t index = adr_store_last (run->node.store).index + 1;
    adr_bytes_t encoded = s_entry_make (run, run->term, index, bytes, &entry);
    s_op_t *op = s_op_add (run, index, run->term);
    op->bytes = adr_alloc (encoded.size);
    op->size = encoded.size;
    memcpy (op->bytes, encoded.data, encoded.size);
    adr_store_append (run->node.store, &entry, encoded);
}

/* Another master's suffix takes the place of what is not committed. */
static void
s_cut (s_run_t *run)
{
    adr_store_t *store = run->node.store;
    uint64_t last = adr_store_last (store).index, low = adr_store_commit (store);
    if (last == low)
        return;
    uint64_t to = (uint64_t) adr_random_between (&run->random, (int64_t) low, (int64_t) last - 1), term;
    assert_true (adr_store_term_at (store, to, &term));
    adr_store_cut (store, to);
    s_op_add (run, to, term);
    run->term++;
    s_append (run);
}

static void
s_commit (s_run_t *run)
{
    adr_store_t *store = run->node.store;
    uint64_t commit = adr_store_commit (store), last = adr_store_last (store).index;
    if (last > commit)
        adr_store_set_commit (store, (uint64_t) adr_random_between (&run->random, (int64_t) commit, (int64_t) last));
    if (adr_store_commit (store) > run->told)
        run->told = adr_store_commit (store);
    while (adr_store_applied (store) < adr_store_commit (store) && adr_store_applied (store) < adr_store_durable (store)) {
        const adr_entry_t *entry;
        assert_int_equal (adr_store_apply (store, &entry), ADR_STATUS_OK);
    }
    if (adr_random_between (&run->random, 0, 1))
        adr_store_set_unlocked (store, adr_store_applied (store));
}

/* --- checking a recovery ----------------------------------------------------------------------------------- */

static bool
s_same_log (adr_store_t *store, const s_log_t *log)
{
    adr_buffer_t bytes = { 0 };
    bool same = adr_store_last (store).index == log->count;
    for (uint64_t index = adr_store_log_start (store).index + 1; same && index <= log->count; index++) {
        adr_status_t status;
        adr_buffer_clear (&bytes);
        const s_op_t *op = log->entry[index - 1];
        same = adr_store_read_log (store, index, 1, &bytes, &status) == 1 && bytes.size == op->size
            && memcmp (bytes.data, op->bytes, op->size) == 0;
    }
    adr_buffer_free (&bytes);
    return same;
}

/* The records are those that the log's first `applied` entries make, no more and no less. A value below the log's
 * start may be named damaged where `rotten`: only another copy can mend that. */
static void
s_check_records_of (adr_store_t *store, const s_log_t *log, bool rotten)
{
    static adr_entry_t entry, newest[S_KEYS];
    bool known[S_KEYS] = { false };
    uint64_t applied = adr_store_applied (store);
    for (uint64_t index = 1; index <= applied; index++) {
        assert_true (adr_entry_decode (&entry, adr_bytes (log->entry[index - 1]->bytes, log->entry[index - 1]->size)));
        const uint8_t *digits = entry.op[0].key.data + 4;
        int key = (digits[0] - '0') * 10 + digits[1] - '0';
        newest[key] = entry;
        known[key] = true;
    }
    for (int key = 0; key < S_KEYS; key++) {
        char name[16];
        adr_record_t record;
        snprintf (name, sizeof name, "key-%02d", key);
        adr_status_t status = adr_store_get (store, ADR_TABLE_KV, adr_bytes (name, 6), true, &record);
        bool deleted = known[key] && (newest[key].op[0].flags & ADR_OP_DELETE) != 0;
        if (s_doubted && status == ADR_STATUS_DAMAGED && adr_store_met_doubt (store)) {
            s_in_doubt++;
            continue;
        }
        if (s_purged && deleted && status == ADR_STATUS_NOT_FOUND)
            continue;
        if (rotten && known[key] && status == ADR_STATUS_DAMAGED
            && newest[key].index <= adr_store_log_start (store).index)
            continue;
        assert_int_equal (status, known[key] ? ADR_STATUS_OK : ADR_STATUS_NOT_FOUND);
        if (!known[key])
            continue;
        assert_int_equal (record.version.index, newest[key].index);
        assert_int_equal (record.version.term, newest[key].term);
        assert_int_equal (record.deleted, deleted);
        assert_true (adr_bytes_equal (record.value, newest[key].op[0].value));
    }
}

static void
s_check_records (adr_store_t *store, const s_log_t *log)
{
    s_check_records_of (store, log, false);
}

static void
s_fail_run (const s_run_t *run, const s_node_t *node, const char *what)
{
    fail_msg ("seed %llu, operation %zu: %s (opening %d, why: %s)", (unsigned long long) run->seed, run->op_count, what,
              node->opening, node->why);
}

static bool
s_keep_none (void *argument)
{
    (void) argument;
    return false;
}

static bool
s_keep_some (void *argument)
{
    return adr_random_between (argument, 0, 1) == 1;
}

static void
s_run_jobs (s_node_t *node)
{
    store_run_jobs (node->store, node->now);
}

/* Takes the image over, after a power cut that leaves what is synced. */
static void
s_power_cut (s_node_t *node)
{
    adr_store_destroy (&node->store);
    memory_disk_t *disk = memory_disk_crash (node->disk, s_keep_none, NULL);
    memory_disk_destroy (&node->disk);
    node->disk = disk;
}

/* The index is lost with the power: what the journal still holds makes the same records [STORE-6, STORE-8, STORE-9]. */
static void
s_check_rebuilt (s_run_t *run, s_node_t *node, const s_log_t *log)
{
    s_power_cut (node);
    memory_index_destroy (&node->index);
    node->index = memory_index_create ();
    if (s_open (node) != ADR_STORE_OPENED || !s_same_log (node->store, log))
        s_fail_run (run, node, "a log without its index differs");
    s_rebuilt += adr_store_was_rebuilt (node->store);
    s_check_records (node->store, log);
}

/* Opens the image: its log must be `before`, or `after` where that is given. Then a few entries more, and again. */
static void
s_check_image (s_run_t *run, s_node_t *node, const s_log_t *before, const s_log_t *after)
{
    s_cuts++;
    if (s_open (node) != ADR_STORE_OPENED)
        s_fail_run (run, node, "not opened");
    if (adr_store_incarnation (node->store) != run->node.incarnation)
        s_fail_run (run, node, "another incarnation");
    const s_log_t *found = s_same_log (node->store, before) ? before : after;
    if (!found || !s_same_log (node->store, found))
        s_fail_run (run, node, "the log is neither what was acknowledged nor that and what was being written");
    if (adr_store_applied (node->store) > run->told)
        s_fail_run (run, node, "more is applied than was committed");
    s_check_records (node->store, found);
    if (adr_store_lost_segments (node->store))
        s_fail_run (run, node, "a segment that was removed is missed");
    if (run->compacts && adr_random_between (&run->random, 0, 2) == 0)
        s_check_rebuilt (run, node, found);
    /* What this recovery saw it may have told: a power cut right now must not take it back [STORE-1]. */
    s_power_cut (node);
    if (s_open (node) != ADR_STORE_OPENED || !s_same_log (node->store, found))
        s_fail_run (run, node, "what a recovery saw is gone after the next");
    if (run->cuts++ % 4 == 0) {
        s_run_t next = { .node = *node, .random = run->random, .seed = run->seed, .op_room = 8, .term = run->term + 1,
                         .told = run->told };
        s_log_t log = s_log_copy (found);
        next.op = adr_alloc (8 * sizeof *next.op);
        for (int i = 0; i < 3; i++) {
            s_append (&next);
            s_log_apply (&log, &next.op[i]);
        }
        s_run_jobs (&next.node);
        s_power_cut (&next.node);
        if (s_open (&next.node) != ADR_STORE_OPENED || !s_same_log (next.node.store, &log))
            s_fail_run (run, &next.node, "cannot go on after a recovery");
        s_check_records (next.node.store, &log);
        *node = next.node;
        for (int i = 0; i < 3; i++)
            free (next.op[i].bytes);
        free (next.op);
        free (log.entry);
    }
    s_close (node);
}

static s_node_t
s_image (const s_run_t *run, memory_disk_t *disk)
{
    s_node_t node = run->node;
    node.disk = disk;
    node.state = memory_state_copy (run->node.state);
    node.index = memory_index_copy (run->node.index);
    node.store = NULL;
    memory_entropy_init (&node.entropy, run->op_count + 1000);
    return node;
}

/* --- cutting a batch --------------------------------------------------------------------------------------- */

/* As if the write had stopped after so many bytes. */
static memory_disk_t *
s_torn (const memory_disk_t *before, const adr_store_job_t *job, size_t size)
{
    memory_disk_t *disk = memory_disk_copy (before);
    assert_int_equal (disk->disk.write (&disk->disk, job->segment, job->offset, job->data.data, size), 0);
    assert_int_equal (disk->disk.sync (&disk->disk, job->segment), 0);
    return disk;
}

static void
s_cut_at (s_run_t *run, const memory_disk_t *before, const adr_store_job_t *job, const s_log_t *after, size_t size)
{
    if (size > job->data.size)
        return;
    s_node_t node = s_image (run, s_torn (before, job, size));
    s_check_image (run, &node, &run->durable, after);
}

static void
s_cut_batch (s_run_t *run, const memory_disk_t *before, const adr_store_job_t *job, const s_log_t *after)
{
    size_t payload = adr_get_u32 (job->data.data + 96), at = ADR_BATCH_HEADER_SIZE;
    static const size_t header_cuts[] = { 0, 1, 4, 8, 40, 96, 108, 159, 160 };
    for (size_t i = 0; i < sizeof header_cuts / sizeof header_cuts[0]; i++)
        if (adr_random_between (&run->random, 0, 3) == 0)
            s_cut_at (run, before, job, after, header_cuts[i]);
    while (at < ADR_BATCH_HEADER_SIZE + payload) {
        size_t end = at + ADR_FRAME_HEADER_SIZE + adr_get_u32 (job->data.data + at);
        size_t cuts[] = { at + 1, at + 8, at + ADR_FRAME_HEADER_SIZE, end - 1, end };
        for (size_t i = 0; i < sizeof cuts / sizeof cuts[0]; i++)
            if (adr_random_between (&run->random, 0, 5) == 0)
                s_cut_at (run, before, job, after, cuts[i]);
        at = end;
    }
    for (int i = 0; i < 3; i++) { /* any subset of the sectors */
        s_node_t node = s_image (run, memory_disk_crash (run->node.disk, s_keep_some, &run->random));
        s_check_image (run, &node, &run->durable, after);
    }
    s_node_t killed = s_image (run, memory_disk_copy (run->node.disk)); /* killed, page cache and all */
    s_check_image (run, &killed, &run->durable, after);
}

static size_t
s_frames (const adr_store_job_t *job)
{
    size_t count = 0, at = ADR_BATCH_HEADER_SIZE, end = at + adr_get_u32 (job->data.data + 96);
    for (; at < end; at += ADR_FRAME_HEADER_SIZE + adr_get_u32 (job->data.data + at))
        count += job->data.data[at + 4] != ADR_FRAME_COPY; /* which is no operation on the log [STORE-8] */
    return count;
}

/* While a batch is on its way the background goes on: what it makes durable may not lean on the batch [STORE-7, STORE-8]. */
static void
s_beside_the_batch (s_run_t *run, const s_log_t *after)
{
    adr_store_job_t *job;
    while ((job = adr_store_job_next (run->node.store, ADR_LANE_BACKGROUND, run->node.now)) != NULL) {
        adr_store_job_write (run->node.store, job);
        adr_store_job_sync (run->node.store, job);
        assert_int_equal (job->error, 0);
        adr_store_job_done (run->node.store, job);
    }
    if (adr_random_between (&run->random, 0, 7) == 0) {
        s_node_t node = s_image (run, memory_disk_crash (run->node.disk, s_keep_none, NULL));
        s_check_image (run, &node, &run->durable, after);
    }
}

static void
s_batch (s_run_t *run, adr_store_job_t *job, bool cut)
{
    memory_disk_t *before = cut ? memory_disk_copy (run->node.disk) : NULL;
    adr_store_job_write (run->node.store, job);
    assert_int_equal (job->error, 0);
    size_t frames = s_frames (job);
    s_log_t after = s_log_copy (&run->durable);
    for (size_t i = 0; i < frames; i++)
        s_log_apply (&after, &run->op[run->formed + i]);
    run->formed += frames;
    if (run->compacts && !cut)
        s_beside_the_batch (run, &after);
    if (cut)
        s_cut_batch (run, before, job, &after);
    adr_store_job_sync (run->node.store, job);
    assert_int_equal (job->error, 0);
    free (run->durable.entry);
    run->durable = after;
    if (cut && adr_random_between (&run->random, 0, 3) == 0) { /* synced, not yet told */
        s_node_t node = s_image (run, memory_disk_crash (run->node.disk, s_keep_none, NULL));
        s_check_image (run, &node, &run->durable, NULL);
    }
    adr_store_job_done (run->node.store, job);
    memory_disk_destroy (&before);
}

static void
s_background (s_run_t *run, adr_store_job_t *job)
{
    bool removes = strcmp (job->name, "remove") == 0;
    bool cut = adr_random_between (&run->random, 0, run->compacts ? 15 : 3) == 0 || removes;
    s_removed += removes;
    s_walks += strcmp (job->name, "compact") == 0;
    adr_store_job_write (run->node.store, job);
    if (cut) {
        s_node_t node = s_image (run, memory_disk_crash (run->node.disk, s_keep_some, &run->random));
        s_check_image (run, &node, &run->durable, NULL);
    }
    adr_store_job_sync (run->node.store, job);
    assert_int_equal (job->error, 0);
    if (cut) {
        s_node_t node = s_image (run, memory_disk_crash (run->node.disk, s_keep_none, NULL));
        s_check_image (run, &node, &run->durable, NULL);
    }
    adr_store_job_done (run->node.store, job);
}

static void
s_jobs (s_run_t *run, bool may_cut)
{
    adr_store_job_t *job;
    while ((job = adr_store_job_next (run->node.store, ADR_LANE_BACKGROUND, run->node.now)) != NULL)
        s_background (run, job);
    while ((job = adr_store_job_next (run->node.store, ADR_LANE_SYNC, run->node.now)) != NULL) {
        s_batch (run, job, may_cut && adr_random_between (&run->random, 0, 2) == 0);
        if (adr_random_between (&run->random, 0, 1))
            s_commit (run);
        while ((job = adr_store_job_next (run->node.store, ADR_LANE_BACKGROUND, run->node.now)) != NULL)
            s_background (run, job);
    }
}

/* [STORE-9] A tombstone is purged once the index has it: its row goes, its frame stays. */
static void
s_purge (s_run_t *run)
{
    char key[16];
    adr_record_t record;
    snprintf (key, sizeof key, "key-%02d", (int) adr_random_between (&run->random, 0, S_KEYS - 1));
    if (adr_store_get (run->node.store, ADR_TABLE_KV, adr_bytes (key, 6), false, &record) != ADR_STATUS_OK
        || !record.deleted)
        return;
    adr_store_drop (run->node.store, ADR_TABLE_KV, adr_bytes (key, 6), &record.version);
    s_purged++;
}

/* [REPAIR-2] Whatever is written next ends the doubt, and so does an index made anew. */
static void
s_doubt (s_run_t *run)
{
    char key[16];
    adr_record_t record;
    snprintf (key, sizeof key, "key-%02d", (int) adr_random_between (&run->random, 0, S_KEYS - 1));
    adr_bare_t bare = { .table = ADR_TABLE_KV, .doubt = ADR_DOUBT_HAD, .key = adr_bytes (key, 6) };
    if (adr_store_get (run->node.store, bare.table, bare.key, false, &record) != ADR_STATUS_OK || record.deleted)
        return;
    bare.version = record.version;
    adr_store_place_bare (run->node.store, &bare);
    s_doubted++;
}

static void
s_step (s_run_t *run)
{
    int count = (int) adr_random_between (&run->random, 1, 8);
    for (int i = 0; i < count; i++)
        s_append (run);
    int dice = (int) adr_random_between (&run->random, 0, 9);
    if (dice == 0)
        run->term++;
    if (dice <= 2)
        s_cut (run);
    s_commit (run);
    for (int i = 0; run->compacts && i < 6; i++)
        s_purge (run);
    if (run->compacts && adr_random_between (&run->random, 0, 3) == 0)
        s_doubt (run);
    s_jobs (run, !run->compacts || adr_random_between (&run->random, 0, 5) == 0);
    run->node.now += adr_random_between (&run->random, 0, 1) * 20 * ADR_MS;
}

/* --- runs -------------------------------------------------------------------------------------------------- */

static void
s_begin_with (s_run_t *run, uint64_t seed, size_t steps, uint64_t log_keep_max)
{
    *run = (s_run_t){ .seed = seed, .random = { seed }, .term = 1 };
    run->op_room = steps * 16 + 64;
    run->op = adr_alloc (run->op_room * sizeof *run->op);
    s_node_t *node = &run->node;
    node->disk = memory_disk_create ();
    node->state = memory_state_create ();
    node->index = memory_index_create ();
    memory_entropy_init (&node->entropy, seed);
    node->options = (adr_store_options_t){ .segment_bytes = S_SEGMENT, .flush_bytes = 24 * 1024,
                                           .flush_every_ns = 200 * ADR_MS, .cache_bytes = seed % 3 * 20000,
                                           .log_keep_max = log_keep_max, .memory_max_bytes = 1024 * 1024 };
    node->options.node.bytes[0] = 1;
    assert_int_equal (s_open (node), ADR_STORE_NEW);
    node->incarnation = adr_store_incarnation (node->store);
    run->durable.entry = adr_alloc (sizeof (s_op_t *));
}

static void
s_begin (s_run_t *run, uint64_t seed, size_t steps)
{
    s_begin_with (run, seed, steps, seed % 2 * 40000);
}

static void
s_end (s_run_t *run)
{
    s_close (&run->node);
    for (size_t i = 0; i < run->op_count; i++)
        free (run->op[i].bytes);
    free (run->op);
    free (run->durable.entry);
}

static unsigned
s_seeds (unsigned normal)
{
    const char *more = getenv ("CRASH_SEEDS");
    return more ? (unsigned) atoi (more) : normal;
}

static void
test_cuts (void **state)
{
    (void) state;
    for (uint64_t seed = 1; seed <= s_seeds (16); seed++) {
        s_run_t run;
        s_begin (&run, seed, 40);
        for (int step = 0; step < 40; step++)
            s_step (&run);
        s_node_t node = s_image (&run, memory_disk_crash (run.node.disk, s_keep_none, NULL));
        s_check_image (&run, &node, &run.durable, NULL);
        s_end (&run);
    }
    print_message ("%u cuts, %u recoveries\n", s_cuts, s_recoveries);
    assert_true (s_cuts >= 2000);
}

/* The same where the log is short, and little of what segments hold counts. */
static void
test_cuts_while_segments_go (void **state) /* [STORE-8, STORE-9] */
{
    (void) state;
    for (uint64_t seed = 301; seed <= 300 + s_seeds (10); seed++) {
        s_run_t run;
        s_begin_with (&run, seed, 300, 12000);
        run.compacts = true;
        for (int step = 0; step < 300; step++)
            s_step (&run);
        s_node_t node = s_image (&run, memory_disk_crash (run.node.disk, s_keep_none, NULL));
        s_check_image (&run, &node, &run.durable, NULL);
        s_end (&run);
    }
    print_message ("%u walks, %u segments removed, %u tombstones purged, %u indexes rebuilt\n", s_walks, s_removed,
                   s_purged, s_rebuilt);
    print_message ("%u records came into doubt, %u were in doubt at a start\n", s_doubted, s_in_doubt);
    assert_true (s_in_doubt > 100);
    assert_true (s_walks > 100 && s_removed > 150 && s_purged > 150 && s_rebuilt > 300);
    s_purged = s_doubted = 0;
}

/* Everything written, committed and witnessed by a last empty batch. */
static void
s_settle (s_run_t *run)
{
    s_jobs (run, false);
    adr_store_set_commit (run->node.store, adr_store_last (run->node.store).index);
    run->told = adr_store_commit (run->node.store);
    s_append (run);
    s_jobs (run, false);
    adr_store_set_commit (run->node.store, adr_store_last (run->node.store).index);
    run->told = adr_store_commit (run->node.store);
    for (int i = 0; i < 2; i++) {
        s_jobs (run, false);
        run->node.now += 20 * ADR_MS;
    }
}

/* A peer gives what is missing, and it stays. */
static void
s_refill (s_run_t *run, s_node_t *node)
{
    static adr_entry_t entry;
    while (adr_store_missing_from (node->store)) {
        const s_op_t *op = run->durable.entry[adr_store_missing_from (node->store) - 1];
        assert_true (adr_store_durable (node->store) < op->index);
        assert_true (adr_entry_decode (&entry, adr_bytes (op->bytes, op->size)));
        entry.term++; /* what cannot have stood there is refused */
        if (op->index == adr_store_last (node->store).index)
            assert_false (adr_store_refill (node->store, &entry, adr_bytes (op->bytes, op->size)));
        entry.term--;
        assert_true (adr_store_refill (node->store, &entry, adr_bytes (op->bytes, op->size)));
    }
    s_run_jobs (node);
    node->now += 20 * ADR_MS;
    s_run_jobs (node);
    assert_int_equal (adr_store_durable (node->store), run->durable.count);
    while (adr_store_applied (node->store) < run->durable.count) {
        const adr_entry_t *applied;
        adr_store_set_commit (node->store, run->durable.count);
        assert_int_equal (adr_store_apply (node->store, &applied), ADR_STATUS_OK);
    }
    if (!s_same_log (node->store, &run->durable))
        s_fail_run (run, node, "a refilled log differs");
    s_check_records_of (node->store, &run->durable, true);
    s_power_cut (node);
    if (s_open (node) != ADR_STORE_OPENED || !s_same_log (node->store, &run->durable))
        s_fail_run (run, node, "a refilled log is not kept");
    s_check_records_of (node->store, &run->durable, true);
}

/* Flips one bit somewhere in what the journal has written: nothing may be lost but what is named as missing. */
static void
s_flip (s_run_t *run)
{
    s_flips++;
    s_node_t node = s_image (run, memory_disk_crash (run->node.disk, s_keep_none, NULL));
    memory_segment_t *segment = &node.disk->segment[adr_random_between (&run->random, 0, (int64_t) node.disk->count - 1)];
    uint64_t at = (uint64_t) adr_random_between (&run->random, 0, (int64_t) segment->size - 1);
    segment->now[at] ^= (uint8_t) (1 << adr_random_between (&run->random, 0, 7));
    segment->synced[at] = segment->now[at];
    s_open (&node);
    if (node.opening == ADR_STORE_DAMAGED)
        s_damaged++;
    if ((node.opening != ADR_STORE_OPENED && node.opening != ADR_STORE_DAMAGED)
        || adr_store_incarnation (node.store) != run->node.incarnation)
        s_fail_run (run, &node, "one bad bit costs the incarnation");
    if (adr_store_last (node.store).index != run->durable.count)
        s_fail_run (run, &node, "one bad bit hides the log's end");
    if (node.opening == ADR_STORE_OPENED && !s_same_log (node.store, &run->durable))
        s_fail_run (run, &node, "one bad bit goes unseen");
    if (node.opening == ADR_STORE_DAMAGED)
        s_refill (run, &node);
    s_close (&node);
}

static void
test_bit_flips (void **state)
{
    (void) state;
    for (uint64_t seed = 101; seed <= 100 + s_seeds (10); seed++) {
        s_run_t run;
        s_begin (&run, seed, 30);
        run.node.options.flush_bytes = seed % 3 == 0 ? 24 * 1024 : 1024 * 1024 * 1024;
        s_close (&run.node);
        s_end (&run);
        s_begin (&run, seed, 30);
        for (int step = 0; step < 30; step++) {
            int count = (int) adr_random_between (&run.random, 1, 8);
            for (int i = 0; i < count; i++)
                s_append (&run);
            if (adr_random_between (&run.random, 0, 4) == 0)
                s_cut (&run);
            s_commit (&run);
            s_jobs (&run, false);
            run.node.now += 20 * ADR_MS;
        }
        s_settle (&run);
        for (int i = 0; i < 100; i++)
            s_flip (&run);
        s_end (&run);
    }
    print_message ("%u flips, %u of them damage\n", s_flips, s_damaged);
    assert_true (s_damaged > s_flips / 20);
}

/* --- crashes within a recovery ------------------------------------------------------------------------------ */

static int s_budget;
static int (*s_real_write) (adr_disk_t *, uint64_t, uint64_t, const void *, size_t);
static int (*s_real_sync) (adr_disk_t *, uint64_t);
static int (*s_real_create) (adr_disk_t *, uint64_t, uint64_t, bool);
static int (*s_real_put) (adr_state_t *, const adr_state_put_t *, size_t);

static bool
s_spend (void)
{
    return s_budget-- > 0;
}

static int
s_counted_write (adr_disk_t *disk, uint64_t number, uint64_t offset, const void *data, size_t size)
{
    return s_spend () ? s_real_write (disk, number, offset, data, size) : EIO;
}

static int
s_counted_sync (adr_disk_t *disk, uint64_t number)
{
    return s_spend () ? s_real_sync (disk, number) : EIO;
}

static int
s_counted_create (adr_disk_t *disk, uint64_t number, uint64_t size, bool written)
{
    return s_spend () ? s_real_create (disk, number, size, written) : EIO;
}

static int
s_counted_put (adr_state_t *state, const adr_state_put_t *puts, size_t count)
{
    return s_spend () ? s_real_put (state, puts, count) : EIO;
}

/* Opens the image with a disk that dies after so many operations; true if it lived on. */
static bool
s_recover_dying (s_node_t *node, int budget)
{
    s_budget = budget;
    s_real_write = node->disk->disk.write;
    s_real_sync = node->disk->disk.sync;
    s_real_create = node->disk->disk.create;
    s_real_put = node->state->state.put;
    node->disk->disk.write = s_counted_write;
    node->disk->disk.sync = s_counted_sync;
    node->disk->disk.create = s_counted_create;
    node->state->state.put = s_counted_put;
    s_open (node);
    node->disk->disk.write = s_real_write;
    node->disk->disk.sync = s_real_sync;
    node->disk->disk.create = s_real_create;
    node->state->state.put = s_real_put;
    bool lived = node->opening != ADR_STORE_FAILED;
    assert_true (lived == (s_budget >= 0));
    adr_store_destroy (&node->store);
    return lived;
}

static void
s_die_in_recovery (s_run_t *run, memory_disk_t *disk, const s_log_t *after)
{
    bool lived = false;
    for (int budget = 0; !lived; budget++) {
        s_node_t node = s_image (run, memory_disk_copy (disk));
        lived = s_recover_dying (&node, budget);
        memory_disk_t *cut = memory_disk_crash (node.disk, s_keep_some, &run->random);
        memory_disk_destroy (&node.disk);
        node.disk = cut;
        s_check_image (run, &node, &run->durable, after);
    }
    memory_disk_destroy (&disk);
}

static void
test_crashes_within_recovery (void **state)
{
    (void) state;
    for (uint64_t seed = 201; seed <= 200 + s_seeds (12); seed++) {
        s_run_t run;
        s_begin (&run, seed, 30);
        for (int step = 0; step < 12; step++) {
            s_append (&run);
            s_append (&run);
            if (step % 4 == 3)
                s_cut (&run);
            s_commit (&run);
            adr_store_job_t *job;
            while ((job = adr_store_job_next (run.node.store, ADR_LANE_BACKGROUND, run.node.now)) != NULL)
                s_background (&run, job);
            job = adr_store_job_next (run.node.store, ADR_LANE_SYNC, run.node.now);
            adr_store_job_write (run.node.store, job);
            s_log_t after = s_log_copy (&run.durable);
            size_t frames = s_frames (job);
            for (size_t i = 0; i < frames; i++)
                s_log_apply (&after, &run.op[run.formed + i]);
            run.formed += frames;
            s_die_in_recovery (&run, memory_disk_copy (run.node.disk), &after);
            adr_store_job_sync (run.node.store, job);
            adr_store_job_done (run.node.store, job);
            free (run.durable.entry);
            run.durable = after;
        }
        s_end (&run);
    }
}

/* The very first start, cut at each operation: it is a new store until its notes are there, and the same one after. */
static void
test_crashes_within_founding (void **state)
{
    (void) state;
    bool lived = false;
    for (int budget = 0; !lived; budget++) {
        s_run_t run;
        s_begin (&run, 7, 4);
        s_close (&run.node);
        run.node.disk = memory_disk_create ();
        run.node.state = memory_state_create ();
        run.node.index = memory_index_create ();
        run.node.options.first_incarnation = 77;
        lived = s_recover_dying (&run.node, budget);
        s_power_cut (&run.node);
        assert_int_equal (s_open (&run.node), lived ? ADR_STORE_OPENED : ADR_STORE_NEW);
        assert_int_equal (adr_store_incarnation (run.node.store), 77);
        s_end (&run);
    }
}

int
main (void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test (test_cuts),
        cmocka_unit_test (test_cuts_while_segments_go),
        cmocka_unit_test (test_bit_flips),
        cmocka_unit_test (test_crashes_within_recovery),
        cmocka_unit_test (test_crashes_within_founding),
    };
    return cmocka_run_group_tests (tests, NULL, NULL);
}
