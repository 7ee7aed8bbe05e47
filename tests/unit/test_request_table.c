/* SPDX-License-Identifier: MPL-2.0 */
/* Request ids are found until they are cut or too old; what is forgotten raises the horizon [REPL-5]. */

#include "actors/request_table.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static const uint8_t *
s_id (uint64_t session, uint64_t number)
{
    static uint8_t s_bytes[ADR_REQUEST_ID_SIZE];
    adr_put_u64 (s_bytes, session);
    adr_put_u64 (s_bytes + 8, number);
    return s_bytes;
}

static void
finds_what_was_added (void **state)
{
    (void) state;
    adr_request_table_t *table = adr_request_table_new (100000, 7);
    for (uint64_t i = 1; i <= 50000; i++)
        adr_request_table_add (table, s_id (i % 7, i), i, i * 10);
    for (uint64_t i = 1; i <= 50000; i++)
        assert_int_equal (adr_request_table_find (table, s_id (i % 7, i)), i);
    assert_int_equal (adr_request_table_find (table, s_id (9, 1)), 0);
    assert_int_equal (adr_request_table_horizon (table), 0);
    adr_request_table_destroy (&table);
    assert_null (table);
}

static void
ignores_no_id (void **state)
{
    (void) state;
    adr_request_table_t *table = adr_request_table_new (8, 7);
    adr_request_table_add (table, s_id (0, 0), 1, 1);
    assert_int_equal (adr_request_table_find (table, s_id (0, 0)), 0);
    adr_request_table_destroy (&table);
}

static void
cut_forgets_what_stood_above (void **state)
{
    (void) state;
    adr_request_table_t *table = adr_request_table_new (4096, 7);
    for (uint64_t i = 1; i <= 3000; i++)
        adr_request_table_add (table, s_id (1, i), i, i);
    adr_request_table_cut (table, 1000);
    for (uint64_t i = 1; i <= 3000; i++)
        assert_int_equal (adr_request_table_find (table, s_id (1, i)), i <= 1000 ? i : 0);
    adr_request_table_add (table, s_id (1, 2000), 1001, 5000);
    assert_int_equal (adr_request_table_find (table, s_id (1, 2000)), 1001);
    assert_int_equal (adr_request_table_horizon (table), 0);
    adr_request_table_destroy (&table);
}

/* At the bound the oldest goes, and the horizon is its log time. */
static void
full_table_raises_the_horizon (void **state)
{
    (void) state;
    adr_request_table_t *table = adr_request_table_new (2000, 7);
    for (uint64_t i = 1; i <= 7003; i++)
        adr_request_table_add (table, s_id (1, i), i, i * 10);
    assert_int_equal (adr_request_table_horizon (table), 50030);
    for (uint64_t i = 1; i <= 7003; i++)
        assert_int_equal (adr_request_table_find (table, s_id (1, i)), i > 5003 ? i : 0);
    adr_request_table_raise_horizon (table, 7);
    assert_int_equal (adr_request_table_horizon (table), 50030);
    adr_request_table_destroy (&table);
}

/* Ids that all fell on one slot while the hash had no salt, and ids that count in one byte or another. */
static void
chosen_ids_make_no_long_chain (void **state)
{
    (void) state;
    for (unsigned shift = 0; shift <= 64; shift += 8) {
        adr_request_table_t *table = adr_request_table_new (100000, 7);
        for (uint64_t i = 1; i <= 20000; i++)
            if (shift == 64)
                adr_request_table_add (table, s_id (i * UINT64_C (0x9e3779b97f4a7c15), i), i, i);
            else
                adr_request_table_add (table, s_id (i << shift, i >> (63 - shift) >> 1), i, i);
        assert_in_range (adr_request_table_longest (table), 1, 100);
        adr_request_table_destroy (&table);
    }
}

int
main (void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test (finds_what_was_added),
        cmocka_unit_test (ignores_no_id),
        cmocka_unit_test (cut_forgets_what_stood_above),
        cmocka_unit_test (full_table_raises_the_horizon),
        cmocka_unit_test (chosen_ids_make_no_long_chain),
    };
    return cmocka_run_group_tests (tests, NULL, NULL);
}
