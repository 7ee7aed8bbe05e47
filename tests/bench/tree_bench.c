/* SPDX-License-Identifier: MPL-2.0 */
/* What comparing copies costs, on two stores alone, on a disk: the roots of many records, the message that says them, and
 * what is said and read to find one record that only one of the two has. Prints a JSON line a figure's row; wall time.
 *
 *     tests/bench/tree_bench FOLDER [RECORDS [VALUE-SIZE]] */

#include "core/actor.h"
#include "core/map.h"
#include "store/backend.h"
#include "store/reader.h"
#include "store/tree.h"
#include "wire/pack.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#define BATCH 64
#define PARTITIONS 64
#define ROUNDS 50

typedef struct {
    adr_disk_t *disk;
    adr_index_t *index;
    adr_store_t *store;
    adr_reader_t *reader;
} s_copy_t;

static uint8_t s_value[ADR_VALUE_MAX];

static const adr_store_options_t s_options
    = { .node = { { 1 } }, .segment_bytes = 16 * 1024 * 1024, .flush_bytes = 8 * 1024 * 1024,
        .flush_every_ns = 1000 * ADR_MS, .cache_bytes = 1024 * 1024, .log_keep_max = 64 * 1024 * 1024,
        .memory_max_bytes = 64 * 1024 * 1024, .tree_key = { 7 }, .partitions = PARTITIONS };

static double
s_now_us (void)
{
    struct timespec now;
    clock_gettime (CLOCK_MONOTONIC, &now);
    return (double) now.tv_sec * 1e6 + (double) now.tv_nsec / 1e3;
}

static void
s_fail (const char *what)
{
    fprintf (stderr, "tree_bench: %s\n", what);
    exit (1);
}

/* --- two copies -------------------------------------------------------------------------------------------------- */

static void
s_run_jobs (adr_store_t *store, int64_t now_ns)
{
    for (int lane = 0; lane < ADR_LANE_COUNT; lane++) {
        adr_store_job_t *job;
        while ((job = adr_store_job_next (store, (adr_lane_t) lane, now_ns)) != NULL) {
            adr_store_job_write (store, job);
            adr_store_job_sync (store, job);
            if (job->error)
                s_fail (job->name);
            adr_store_job_done (store, job);
        }
    }
}

static void
s_append (adr_store_t *store, uint64_t number, size_t value_size)
{
    static uint8_t bytes[ADR_ENTRY_MAX];
    char key[32];
    int key_size = snprintf (key, sizeof key, "bench%ckey-%010llu", 0, (unsigned long long) number);
    adr_entry_t entry = { .kind = ADR_ENTRY_WRITE, .term = 1, .index = adr_store_last (store).index + 1,
                          .time_ms = number, .op_count = 1 };
    memcpy (s_value, &number, sizeof number);
    entry.op[0] = (adr_op_t){ .table = ADR_TABLE_KV, .key = adr_bytes (key, (size_t) key_size),
                              .value = adr_bytes (s_value, value_size) };
    size_t size = adr_entry_size (&entry);
    adr_entry_encode (&entry, bytes);
    adr_store_append (store, &entry, adr_bytes (bytes, size));
}

static void
s_commit (adr_store_t *store, int64_t now_ns)
{
    const adr_entry_t *entry;
    s_run_jobs (store, now_ns);
    adr_store_set_commit (store, adr_store_durable (store));
    while (adr_store_applied (store) < adr_store_commit (store))
        if (adr_store_apply (store, &entry) != ADR_STATUS_OK)
            s_fail ("an entry cannot be applied");
    adr_store_set_unlocked (store, adr_store_applied (store));
}

/* A store with so many records, all of them in its index. */
static s_copy_t
s_fill (const char *folder, const char *name, uint64_t records, size_t value_size)
{
    char path[512], why[512];
    s_copy_t copy;
    snprintf (path, sizeof path, "%s/%s", folder, name);
    if (mkdir (path, 0700) != 0)
        s_fail ("not an empty folder");
    snprintf (path, sizeof path, "%s/%s/journal", folder, name);
    copy.disk = adr_disk_posix_create (path, why, sizeof why);
    snprintf (path, sizeof path, "%s/%s/state.mdb", folder, name);
    adr_state_t *state = adr_state_lmdb_create (path, why, sizeof why);
    snprintf (path, sizeof path, "%s/%s/index.mdb", folder, name);
    copy.index = adr_index_lmdb_create (path, why, sizeof why);
    if (!copy.disk || !state || !copy.index
        || adr_store_open (&copy.store, &s_options, copy.disk, state, copy.index, adr_entropy_system (), why, sizeof why)
               != ADR_STORE_NEW)
        s_fail (why);
    int64_t now_ns = 0;
    for (uint64_t number = 0; number < records; now_ns += ADR_MS) {
        for (unsigned i = 0; i < BATCH && number < records; i++)
            s_append (copy.store, number++, value_size);
        s_commit (copy.store, now_ns);
    }
    copy.reader = adr_reader_create (&s_options, copy.disk, copy.index);
    adr_position_t applied = { 0, 0 };
    for (unsigned i = 0; i < 1000 && applied.index < adr_store_last (copy.store).index; i++) {
        now_ns += s_options.flush_every_ns;
        s_run_jobs (copy.store, now_ns);
        if (!adr_reader_applied (copy.reader, &applied))
            s_fail ("the index cannot be read");
    }
    if (applied.index < adr_store_last (copy.store).index)
        s_fail ("the index does not follow");
    return copy;
}

/* --- roots ------------------------------------------------------------------------------------------------------- */

/* Of so many partitions that have changed since. */
static double
s_time_roots (s_copy_t *copy, adr_tree_t *tree, uint32_t stale, unsigned rounds)
{
    double start = s_now_us ();
    for (unsigned i = 0; i < rounds; i++) {
        adr_index_view_t *view;
        for (uint32_t k = 0; k < stale; k++)
            tree->stale[(i + k) % (PARTITIONS + 1)] = true;
        if (copy->index->view (copy->index, &view) != 0 || adr_tree_roots (tree, copy->index, view) != 0)
            s_fail ("the roots cannot be computed");
        copy->index->view_close (&view);
    }
    return (s_now_us () - start) / rounds;
}

static size_t
s_pack_size (uint16_t kind, const ProtobufCMessage *header, size_t payload_size)
{
    static const adr_envelope_t envelope = { .cluster = { { 1 } }, .sender = { { 2 } }, .to = { { 3 } },
                                             .from_actor = ADR_ACTOR_MERKLE_GOSSIPER, .to_actor = ADR_ACTOR_MERKLE_GOSSIPER,
                                             .incarnation = UINT64_C (0x1234567812345678), .boot = 7 };
    adr_buffer_t pack = { 0 };
    adr_pack_begin (&pack, &envelope);
    adr_pack_add (&pack, kind, header, adr_bytes (s_value, payload_size));
    size_t size = pack.size;
    adr_buffer_free (&pack);
    return size;
}

/* A ROOT, read and compared with the own one. */
static double
s_time_comparison (const uint8_t own[ADR_HASH_SIZE], uint64_t index, size_t *size)
{
    static const adr_envelope_t envelope = { .from_actor = ADR_ACTOR_MERKLE_GOSSIPER, .to_actor = ADR_ACTOR_MERKLE_GOSSIPER };
    adr_buffer_t pack = { 0 };
    adr_arena_t arena;
    Adr__Root root = ADR__ROOT__INIT;
    root.term = 1;
    root.index = index;
    root.root = (ProtobufCBinaryData){ ADR_HASH_SIZE, (uint8_t *) own };
    root.incarnation = UINT64_C (0x1234567812345678);
    *size = s_pack_size (ADR__KIND__ROOT, &root.base, 0);
    adr_arena_init (&arena, 8 * 1024, 64 * 1024);
    adr_pack_begin (&pack, &envelope);
    adr_pack_add (&pack, ADR__KIND__ROOT, &root.base, adr_bytes (NULL, 0));
    unsigned rounds = 100000, equal = 0;
    double start = s_now_us ();
    for (unsigned i = 0; i < rounds; i++) {
        adr_pack_reader_t reader;
        adr_item_t item;
        const Adr__Root *read = NULL;
        adr_arena_reset (&arena);
        if (adr_pack_open (&reader, adr_bytes (pack.data, pack.size)) && adr_pack_next (&reader, &item) == 1)
            read = (const Adr__Root *) adr_header_decode (&item, &arena);
        equal += read != NULL && memcmp (read->root.data, own, ADR_HASH_SIZE) == 0;
    }
    double took = (s_now_us () - start) / rounds;
    if (equal != rounds)
        s_fail ("a root does not come back");
    adr_buffer_free (&pack);
    adr_arena_free (&arena);
    return took;
}

/* --- one record that differs -------------------------------------------------------------------------------------- */

typedef struct {
    size_t roots, leaves, inventory, record, messages;
    uint32_t partition, bucket, rows;
} s_search_t;

/* As merkle_gossiper and inventory_syncer ask: roots, the leaves of the partition, the bucket's inventory, the record. Bytes
 * are of whole messages in packs of their own, both ways. */
static s_search_t
s_search (s_copy_t *ours, s_copy_t *theirs, const adr_tree_t *own, const adr_tree_t *other)
{
    Adr__RootsAsk roots_ask = ADR__ROOTS_ASK__INIT;
    Adr__LeavesAsk leaves_ask = ADR__LEAVES_ASK__INIT;
    Adr__Leaves leaves_header = ADR__LEAVES__INIT;
    Adr__InventoryAsk inventory_ask = ADR__INVENTORY_ASK__INIT;
    Adr__Inventory inventory_header = ADR__INVENTORY__INIT;
    Adr__RecordsAsk records_ask = ADR__RECORDS_ASK__INIT;
    Adr__Records records_header = ADR__RECORDS__INIT;
    Adr__Roots roots_header = ADR__ROOTS__INIT;
    s_search_t found = { .messages = 8 };
    adr_position_t applied;
    adr_buffer_t a = { 0 }, b = { 0 };
    uint8_t set[ADR_BUCKET_SET_SIZE] = { 0 };
    while (memcmp (own->root + found.partition * ADR_HASH_SIZE, other->root + found.partition * ADR_HASH_SIZE, ADR_HASH_SIZE) == 0)
        found.partition++;
    found.roots = s_pack_size (ADR__KIND__ROOTS_ASK, &roots_ask.base, 0)
                  + s_pack_size (ADR__KIND__ROOTS, &roots_header.base, (PARTITIONS + 1) * ADR_HASH_SIZE);
    if (!adr_reader_leaves (theirs->reader, found.partition, &b, &applied)
        || !adr_reader_leaves (ours->reader, found.partition, &a, &applied))
        s_fail ("leaves cannot be read");
    while (memcmp (a.data + found.bucket * ADR_HASH_SIZE, b.data + found.bucket * ADR_HASH_SIZE, ADR_HASH_SIZE) == 0)
        found.bucket++;
    found.leaves = s_pack_size (ADR__KIND__LEAVES_ASK, &leaves_ask.base, 0) + s_pack_size (ADR__KIND__LEAVES, &leaves_header.base, b.size);
    adr_buffer_clear (&b);
    set[found.bucket / 8] = (uint8_t) (1u << found.bucket % 8);
    adr_inventory_section_t section;
    bool damaged;
    if (!adr_reader_inventory (theirs->reader, found.partition, set, 1, 16 * 1024 * 1024, &b, &applied, &damaged)
        || adr_inventory_section_get (&section, adr_bytes (b.data, b.size)) == 0)
        s_fail ("an inventory cannot be read");
    found.inventory = s_pack_size (ADR__KIND__INVENTORY_ASK, &inventory_ask.base, sizeof set)
                      + s_pack_size (ADR__KIND__INVENTORY, &inventory_header.base, b.size);
    for (adr_bytes_t rest = section.rows; rest.size;) {
        adr_inventory_row_t row, mine;
        size_t size = adr_inventory_row_get (&row, rest);
        found.rows++;
        if (adr_reader_row (ours->reader, row.table, row.key, &mine) == ADR_STATUS_NOT_FOUND) {
            adr_buffer_clear (&a);
            if (adr_reader_record (theirs->reader, row.table, row.key, &a) != ADR_STATUS_OK)
                s_fail ("the record cannot be read");
            found.record = s_pack_size (ADR__KIND__RECORDS_ASK, &records_ask.base, 3 + row.key.size)
                           + s_pack_size (ADR__KIND__RECORDS, &records_header.base, a.size);
        }
        rest = adr_bytes (rest.data + size, rest.size - size);
    }
    adr_buffer_free (&a);
    adr_buffer_free (&b);
    return found;
}

/* --- the run ------------------------------------------------------------------------------------------------------ */

int
main (int argc, char **argv)
{
    uint64_t records = argc > 2 ? strtoull (argv[2], NULL, 10) : 100000;
    size_t value_size = argc > 3 ? strtoull (argv[3], NULL, 10) : 256, size = 0;
    adr_tree_t tree[2];
    uint8_t root[ADR_HASH_SIZE];
    if (argc < 2 || records == 0 || value_size < 8 || value_size > ADR_VALUE_MAX) {
        fputs ("tree_bench FOLDER [RECORDS [VALUE-SIZE]]\n", stderr);
        return 64;
    }
    double start = s_now_us ();
    s_copy_t theirs = s_fill (argv[1], "theirs", records, value_size);
    double filled = s_now_us ();
    s_copy_t ours = s_fill (argv[1], "ours", records - 1, value_size);
    for (int i = 0; i < 2; i++)
        adr_tree_init (&tree[i], s_options.tree_key, PARTITIONS);
    double first = s_time_roots (&theirs, &tree[0], PARTITIONS + 1, 1);
    double all = s_time_roots (&theirs, &tree[0], PARTITIONS + 1, ROUNDS);
    double one = s_time_roots (&theirs, &tree[0], 1, ROUNDS * 20);
    s_time_roots (&ours, &tree[1], PARTITIONS + 1, 1);
    adr_tree_group_root (&tree[0], root);
    double compared = s_time_comparison (root, records, &size);
    start = (filled - start) / 1e6;
    printf ("{\"records\": %llu, \"value_size\": %zu, \"filled_s\": %.2f, \"roots_first_us\": %.1f, \"roots_all_us\": %.1f, "
            "\"roots_one_us\": %.1f, \"compare_us\": %.3f, \"root_bytes\": %zu",
            (unsigned long long) records, value_size, start, first, all, one, compared, size);
    start = s_now_us ();
    s_search_t found = s_search (&ours, &theirs, &tree[1], &tree[0]);
    printf (", \"search_us\": %.1f, \"search_bytes\": %zu, \"roots_bytes\": %zu, \"leaves_bytes\": %zu, "
            "\"inventory_bytes\": %zu, \"rows\": %u, \"record_bytes\": %zu, \"messages\": %zu}\n",
            s_now_us () - start, size + found.roots + found.leaves + found.inventory + found.record, found.roots, found.leaves,
            found.inventory, found.rows, found.record, found.messages);
    return 0;
}
