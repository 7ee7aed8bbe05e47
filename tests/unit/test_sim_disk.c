/* SPDX-License-Identifier: MPL-2.0 */
/* The simulator's disk damages nothing that no store could know to have been durable [STORE-2], and all that it could. */

#include "../sim/disk.h"

#include "store/layout.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>

#define S_SALT 7
#define S_SIZE (16 * ADR_BLOCK)

static void
s_write (sim_disk_t *disk, uint64_t segment, uint64_t offset, const uint8_t *block)
{
    assert_int_equal (disk->disk.write (&disk->disk, segment, offset, block, ADR_BLOCK), 0);
}

static void
s_sync (sim_disk_t *disk, uint64_t segment)
{
    assert_int_equal (disk->disk.sync (&disk->disk, segment), 0);
}

static void
s_segment (sim_disk_t *disk, uint64_t number)
{
    adr_segment_header_t header = { .number = number, .size = S_SIZE, .salt = S_SALT };
    uint8_t block[ADR_BLOCK] = { 0 };
    adr_segment_header_encode (&header, block);
    assert_int_equal (disk->disk.create (&disk->disk, number, S_SIZE, true), 0);
    for (uint64_t copy = 0; copy < ADR_SEGMENT_HEADER_COPIES; copy++)
        s_write (disk, number, copy * ADR_BLOCK, block);
    s_sync (disk, number);
}

static void
s_batch_encode (uint64_t segment, uint64_t block, uint64_t number, uint8_t *at)
{
    adr_batch_header_t header = { .segment = segment, .offset = block * ADR_BLOCK, .number = number };
    memset (at, 0, ADR_BLOCK);
    adr_batch_header_encode (&header, S_SALT, at);
}

static void
s_batch (sim_disk_t *disk, uint64_t segment, uint64_t block, uint64_t number)
{
    uint8_t bytes[ADR_BLOCK];
    s_batch_encode (segment, block, number, bytes);
    s_write (disk, segment, block * ADR_BLOCK, bytes);
}

static bool
s_is_sound (sim_disk_t *disk, uint64_t segment, uint64_t block, uint64_t number)
{
    uint8_t wanted[ADR_BLOCK], found[ADR_BLOCK];
    s_batch_encode (segment, block, number, wanted);
    assert_int_equal (disk->disk.read (&disk->disk, segment, block * ADR_BLOCK, found, ADR_BLOCK), 0);
    return memcmp (wanted, found, ADR_BLOCK) == 0;
}

typedef enum { S_NOTHING, S_BATCH, S_BATCH_FAILED } s_behind_t;

/* A life ends with batch 2 in the cache; the next one copies it into a segment of its own, and seals the old one, with
 * which the old batch 2 becomes durable, too. */
static sim_disk_t *
s_disk_after_a_start (uint64_t seed, s_behind_t behind)
{
    uint8_t seal[ADR_BLOCK];
    sim_disk_t *disk = calloc (1, sizeof *disk);
    assert_non_null (disk);
    sim_disk_init (disk, seed, 1024 * 1024);
    s_segment (disk, 1);
    s_batch (disk, 1, 2, 1);
    s_sync (disk, 1);
    s_batch (disk, 1, 3, 2);
    s_segment (disk, 2);
    s_batch (disk, 2, 2, 2);
    s_sync (disk, 2);
    adr_seal_encode (S_SALT, 1, 4 * ADR_BLOCK, seal);
    s_write (disk, 1, 4 * ADR_BLOCK, seal);
    s_sync (disk, 1);
    if (behind == S_NOTHING)
        return disk;
    s_batch (disk, 2, 3, 3);
    disk->fail_sync = behind == S_BATCH_FAILED;
    assert_int_equal (disk->disk.sync (&disk->disk, 2) == 0, behind == S_BATCH);
    return disk;
}

/* How many of 200 tries damage the newest copy of batch 2. */
static int
s_count_hits (s_behind_t behind, bool rot)
{
    int hits = 0;
    for (uint64_t seed = 1; seed <= 200; seed++) {
        sim_disk_t *disk = s_disk_after_a_start (seed, behind);
        assert_true (rot ? sim_disk_rot_newest (disk) : sim_disk_damage (disk, (sim_damage_t) (seed % SIM_DAMAGE_KINDS)));
        hits += !s_is_sound (disk, 2, 2, 2);
        sim_disk_free (disk);
        free (disk);
    }
    return hits;
}

static void
test_what_nothing_witnesses_stays (void **state)
{
    (void) state;
    assert_int_equal (s_count_hits (S_NOTHING, false), 0);
    assert_int_equal (s_count_hits (S_NOTHING, true), 0);
}

static void
test_what_a_batch_witnesses_may_go (void **state)
{
    (void) state;
    assert_true (s_count_hits (S_BATCH, false) > 0);
    assert_int_equal (s_count_hits (S_BATCH, true), 200);
}

static void
test_a_failed_sync_witnesses_nothing (void **state)
{
    (void) state;
    assert_int_equal (s_count_hits (S_BATCH_FAILED, false), 0);
    assert_int_equal (s_count_hits (S_BATCH_FAILED, true), 0);
}

/* A transaction of one row, of that version, whose frame is the batch in that block. */
static void
s_put_row (sim_disk_t *disk, uint64_t block, uint64_t version)
{
    adr_index_row_t row = { .version = { 1, 1, version }, .place = { 1, block * ADR_BLOCK, ADR_BLOCK, 0 } };
    assert_int_equal (disk->index.index.begin (&disk->index.index), 0);
    assert_int_equal (disk->index.index.put (&disk->index.index, ADR_TABLE_KV, adr_bytes ("k", 1), &row), 0);
    assert_int_equal (disk->index.index.commit (&disk->index.index), 0);
}

/* [STORE-8, REPAIR-1] what check_rows.c sees */
static void
test_rows_name_what_is_synced_and_do_not_grow_old (void **state)
{
    (void) state;
    for (int wrong = 0; wrong < 4; wrong++) {
        sim_disk_t *disk = adr_alloc (sizeof *disk);
        sim_disk_init (disk, 1, UINT64_C (1) << 30);
        s_segment (disk, 1);
        s_batch (disk, 1, 2, 1);
        if (wrong != 1)
            s_sync (disk, 1);
        s_put_row (disk, wrong == 2 ? 3 : 2, 7); /* nothing is written at block 3 */
        s_put_row (disk, wrong == 2 ? 3 : 2, wrong == 3 ? 6 : 8);
        assert_true ((disk->wrong_row != NULL) == (wrong != 0));
        sim_disk_free (disk);
        free (disk);
    }
}

int
main (void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test (test_what_nothing_witnesses_stays),
        cmocka_unit_test (test_what_a_batch_witnesses_may_go),
        cmocka_unit_test (test_a_failed_sync_witnesses_nothing),
        cmocka_unit_test (test_rows_name_what_is_synced_and_do_not_grow_old),
    };
    return cmocka_run_group_tests (tests, NULL, NULL);
}
