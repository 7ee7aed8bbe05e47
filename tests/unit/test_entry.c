/* SPDX-License-Identifier: MPL-2.0 */
/* Log entries and their bytes, plain values and their texts, quorums: what core/entry.h and core/base.h promise. */

#include "core/entry.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

static adr_entry_t s_entry, s_read;

static size_t
s_encode (uint8_t *at)
{
    s_entry = (adr_entry_t){ .kind = ADR_ENTRY_WRITE, .term = 3, .index = 1ull << 40, .time_ms = 5, .epoch = 6,
                             .op_count = 2 };
    memset (s_entry.request, 7, sizeof s_entry.request);
    s_entry.op[0] = (adr_op_t){ .table = ADR_TABLE_KV, .key = adr_bytes ("ns\0key", 6), .value = adr_bytes ("v", 1) };
    s_entry.op[1] = (adr_op_t){ .table = ADR_TABLE_META, .flags = ADR_OP_DELETE, .key = adr_bytes ("b\0k", 3) };
    for (int i = 0; i < 2; i++)
        adr_value_digest (s_entry.op[i].value, s_entry.op[i].digest);
    adr_entry_encode (&s_entry, at);
    return adr_entry_size (&s_entry);
}

static void
test_an_entry_comes_back (void **state)
{
    (void) state;
    uint8_t bytes[512];
    size_t size = s_encode (bytes);
    assert_int_equal (size, 52 + 24 + 6 + 1 + 24 + 3);
    assert_int_equal (adr_entry_decode (&s_read, adr_bytes (bytes, sizeof bytes)), size); /* more may follow */
    assert_int_equal (s_read.index, 1ull << 40);
    assert_int_equal (s_read.epoch, 6);
    assert_memory_equal (s_read.request, s_entry.request, ADR_REQUEST_ID_SIZE);
    assert_true (adr_bytes_equal (s_read.op[1].key, s_entry.op[1].key));
    assert_int_equal (s_read.op[1].flags, ADR_OP_DELETE);
    assert_true (adr_entry_verify (&s_read));
    bytes[52 + 24 + 6] ^= 1;
    assert_int_equal (adr_entry_decode (&s_read, adr_bytes (bytes, size)), size);
    assert_false (adr_entry_verify (&s_read));
}

static void
test_cut_and_flipped_entries_are_answered (void **state)
{
    (void) state;
    uint8_t bytes[512];
    size_t size = s_encode (bytes);
    for (size_t cut = 0; cut < size; cut++) {
        uint8_t *exact = malloc (cut ? cut : 1); /* so that the sanitizer sees the first byte too many */
        memcpy (exact, bytes, cut);
        assert_int_equal (adr_entry_decode (&s_read, adr_bytes (exact, cut)), 0);
        free (exact);
    }
    for (size_t bit = 0; bit < size * 8; bit++) {
        bytes[bit / 8] ^= (uint8_t) (1 << bit % 8);
        size_t used = adr_entry_decode (&s_read, adr_bytes (bytes, size));
        assert_true (used <= size);
        bytes[bit / 8] ^= (uint8_t) (1 << bit % 8);
    }
}

/* [STORE-9] A purge names a version and nothing else. */
static void
test_a_purge_comes_back_and_has_one_shape (void **state)
{
    (void) state;
    uint8_t bytes[512], named[ADR_VERSION_SIZE];
    adr_version_t version = { 2, 7, 1ull << 40 };
    adr_version_encode (&version, named);
    s_entry = (adr_entry_t){ .kind = ADR_ENTRY_WRITE, .op_count = 1 };
    s_entry.op[0] = (adr_op_t){ .table = ADR_TABLE_KV, .flags = ADR_OP_PURGE, .key = adr_bytes ("k", 1),
                                .value = adr_bytes (named, sizeof named) };
    adr_entry_encode (&s_entry, bytes);
    size_t size = adr_entry_size (&s_entry);
    assert_int_equal (adr_entry_decode (&s_read, adr_bytes (bytes, size)), size);
    adr_version_t again = adr_version_decode (s_read.op[0].value.data);
    assert_int_equal (adr_version_compare (&again, &version), 0);
    bytes[52 + 1] = ADR_OP_PURGE | ADR_OP_DELETE;
    assert_int_equal (adr_entry_decode (&s_read, adr_bytes (bytes, size)), 0);
    bytes[52 + 1] = 4;
    assert_int_equal (adr_entry_decode (&s_read, adr_bytes (bytes, size)), 0);
    bytes[52 + 1] = ADR_OP_PURGE;
    adr_put_u32 (bytes, (uint32_t) size - 1); /* one byte less of the version */
    adr_put_u32 (bytes + 52 + 4, ADR_VERSION_SIZE - 1);
    assert_int_equal (adr_entry_decode (&s_read, adr_bytes (bytes, size)), 0);
}

/* [REPAIR-7] Rows of what ends stand in the order of their ends. */
static void
test_expiry_keys_come_back_in_order (void **state)
{
    (void) state;
    uint8_t early[ADR_KEY_MAX], late[ADR_KEY_MAX], table;
    static uint8_t s_longest[ADR_EXPIRING_KEY_MAX];
    adr_bytes_t key;
    uint64_t end_ms;
    size_t early_size = adr_expiry_key_encode (early, 255, ADR_TABLE_KV, adr_bytes ("zz", 2));
    size_t late_size = adr_expiry_key_encode (late, 256, ADR_TABLE_KV, adr_bytes ("a", 1));
    assert_true (adr_bytes_compare (adr_bytes (early, early_size), adr_bytes (late, late_size)) < 0);
    assert_true (adr_expiry_key_decode (adr_bytes (early, early_size), &end_ms, &table, &key));
    assert_int_equal (end_ms, 255);
    assert_int_equal (table, ADR_TABLE_KV);
    assert_true (adr_bytes_equal (key, adr_bytes ("zz", 2)));
    for (size_t size = 0; size <= ADR_EXPIRY_KEY_HEAD; size++)
        assert_false (adr_expiry_key_decode (adr_bytes (early, size), &end_ms, &table, &key));
    early[8] = ADR_TABLE_COUNT;
    assert_false (adr_expiry_key_decode (adr_bytes (early, early_size), &end_ms, &table, &key));
    assert_int_equal (adr_expiry_key_encode (late, 1, ADR_TABLE_KV, adr_bytes (s_longest, sizeof s_longest)), ADR_KEY_MAX);
}

static void
test_entries_at_the_edge_of_their_limits (void **state)
{
    (void) state;
    static uint8_t s_key[ADR_KEY_MAX + 1], s_value[ADR_VALUE_MAX + 1];
    uint8_t *bytes = adr_alloc (ADR_ENTRY_MAX + 4096);
    s_entry = (adr_entry_t){ .kind = ADR_ENTRY_WRITE, .op_count = 1 };
    s_entry.op[0] = (adr_op_t){ .table = ADR_TABLE_COUNT - 1, .key = adr_bytes (s_key, ADR_KEY_MAX),
                                .value = adr_bytes (s_value, ADR_VALUE_MAX) };
    adr_entry_encode (&s_entry, bytes);
    size_t size = adr_entry_size (&s_entry);
    assert_int_equal (adr_entry_decode (&s_read, adr_bytes (bytes, size)), size);
    adr_put_u16 (bytes + 52 + 2, ADR_KEY_MAX + 1); /* the bytes are there, the key is too long */
    adr_put_u32 (bytes + 52 + 4, ADR_VALUE_MAX - 1);
    assert_int_equal (adr_entry_decode (&s_read, adr_bytes (bytes, size)), 0);
    adr_put_u16 (bytes + 52 + 2, ADR_KEY_MAX - 1);
    adr_put_u32 (bytes + 52 + 4, ADR_VALUE_MAX + 1);
    assert_int_equal (adr_entry_decode (&s_read, adr_bytes (bytes, size)), 0);
    free (bytes);
}

static void
test_voters_come_back (void **state)
{
    (void) state;
    adr_voters_t voters = { .quorum = 2, .count = 2, .voter = { { { { 1 } }, 11 }, { { { 2 } }, 22 } } }, read = { 0 };
    uint8_t bytes[ADR_VOTERS_BYTES_MAX];
    size_t size = adr_voters_encode (&voters, bytes);
    assert_true (adr_voters_decode (&read, adr_bytes (bytes, size)));
    assert_memory_equal (&read, &voters, sizeof read);
    assert_false (adr_voters_decode (&read, adr_bytes (bytes, size - 1)));
    uint8_t longer[ADR_VOTERS_BYTES_MAX];
    memcpy (longer, bytes, size);
    memset (longer + size, 0, 8);
    assert_false (adr_voters_decode (&read, adr_bytes (longer, size + 8))); /* one set, one encoding */
    voters.map_epoch = 7;
    assert_int_equal (adr_voters_encode (&voters, longer), size + 8);
    assert_true (adr_voters_decode (&read, adr_bytes (longer, size + 8)));
    assert_int_equal (read.map_epoch, 7);
    assert_false (adr_voters_decode (&read, adr_bytes (longer, size + 7)));
    adr_put_u32 (bytes + 4, ADR_VOTERS_MAX + 1);
    assert_false (adr_voters_decode (&read, adr_bytes (bytes, sizeof bytes)));
    assert_int_equal (adr_voters_find (&voters, &voters.voter[1].node, 22), 1);
    assert_int_equal (adr_voters_find (&voters, &voters.voter[1].node, 23), -1);
    assert_int_equal (adr_voters_find_node (&voters, &voters.voter[1].node), 1);
}

/* [REPL-3] */
static void
test_needed_acknowledgements (void **state)
{
    (void) state;
    static const uint8_t s_needed[8][8] = { /* by voters, by q */
        { 1, 1 }, { 1, 1, 1, 1 }, { 2, 2, 2, 2 }, { 2, 2, 2, 2 }, { 3, 3, 3, 3, 3 }, { 3, 3, 3, 3, 4, 4 },
    };
    for (uint32_t n = 1; n <= 5; n++)
        for (uint32_t q = 1; q <= 5; q++)
            if (s_needed[n][q])
                assert_int_equal (adr_quorum_needed (n, q), s_needed[n][q]);
    assert_int_equal (adr_majority (7), 4);
}

static void
test_ids_and_orders (void **state)
{
    (void) state;
    adr_id_t id, again;
    char text[ADR_ID_TEXT_SIZE];
    for (int i = 0; i < ADR_ID_SIZE; i++)
        id.bytes[i] = (uint8_t) (i * 17);
    adr_id_format (&id, text);
    assert_string_equal (text, "00112233-4455-6677-8899-aabbccddeeff");
    assert_true (adr_id_parse (&again, text) && adr_id_equal (&id, &again));
    assert_true (adr_id_parse (&again, "00112233-4455-6677-8899-AABBCCDDEEFF") && adr_id_equal (&id, &again));
    assert_false (adr_id_parse (&again, "00112233-4455-6677-8899-aabbccddeef"));
    assert_false (adr_id_parse (&again, "00112233-4455-6677-8899-aabbccddeefg"));
    assert_false (adr_id_parse (&again, "00112233+4455-6677-8899-aabbccddeeff"));
    assert_false (adr_id_from_bytes (&again, id.bytes, 15));
    assert_true (adr_id_is_none (&again));
    adr_version_t a = { 1, 9, 9 }, b = { 2, 1, 1 }; /* [PART-1] the epoch first */
    assert_true (adr_version_compare (&a, &b) < 0);
    adr_position_t p = { 2, 9 }, q = { 3, 1 };
    assert_true (adr_position_compare (p, q) < 0 && adr_position_compare (q, q) == 0);
    assert_true (adr_bytes_compare (adr_bytes ("ab", 2), adr_bytes ("abc", 3)) < 0);
    uint8_t bytes[8];
    adr_put_be64 (bytes, 0x0102030405060708);
    assert_int_equal (bytes[0], 1);
    assert_int_equal (adr_get_be64 (bytes), 0x0102030405060708);
    assert_int_equal (adr_get_u64 (bytes), 0x0807060504030201);
}

int
main (void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test (test_an_entry_comes_back),
        cmocka_unit_test (test_cut_and_flipped_entries_are_answered),
        cmocka_unit_test (test_a_purge_comes_back_and_has_one_shape),
        cmocka_unit_test (test_expiry_keys_come_back_in_order),
        cmocka_unit_test (test_entries_at_the_edge_of_their_limits),
        cmocka_unit_test (test_voters_come_back),
        cmocka_unit_test (test_needed_acknowledgements),
        cmocka_unit_test (test_ids_and_orders),
    };
    return cmocka_run_group_tests (tests, NULL, NULL);
}
