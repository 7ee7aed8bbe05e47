/* SPDX-License-Identifier: MPL-2.0 */
/* The newest unapplied entry of each key is known, and nothing else. */

#include "actors/pending_keys.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

static adr_entry_t *
s_entry (uint64_t index, const char *key, bool deleted)
{
    static adr_entry_t s_one;
    s_one = (adr_entry_t){ .kind = ADR_ENTRY_WRITE, .term = 3, .index = index, .epoch = 1, .op_count = 1 };
    s_one.op[0].table = ADR_TABLE_KV;
    s_one.op[0].flags = deleted ? ADR_OP_DELETE : 0;
    s_one.op[0].key = adr_bytes (key, strlen (key));
    return &s_one;
}

static const adr_pending_t *
s_find (const adr_pending_keys_t *keys, const char *key)
{
    return adr_pending_keys_find (keys, ADR_TABLE_KV, adr_bytes (key, strlen (key)));
}

static void
newest_entry_wins_until_it_is_applied (void **state)
{
    (void) state;
    adr_pending_keys_t *keys = adr_pending_keys_new (7);
    assert_null (s_find (keys, "a"));
    adr_pending_keys_add (keys, s_entry (7, "a", false));
    adr_pending_keys_add (keys, s_entry (8, "b", false));
    adr_pending_keys_add (keys, s_entry (9, "a", true));
    assert_int_equal (s_find (keys, "a")->version.index, 9);
    assert_true (s_find (keys, "a")->deleted);
    adr_pending_keys_applied (keys, s_entry (7, "a", false));
    assert_int_equal (s_find (keys, "a")->version.index, 9);
    adr_pending_keys_applied (keys, s_entry (8, "b", false));
    assert_null (s_find (keys, "b"));
    adr_pending_keys_applied (keys, s_entry (9, "a", true));
    assert_null (s_find (keys, "a"));
    adr_pending_keys_destroy (&keys);
}

/* [STORE-9] A purge leaves nothing, and its entry is what says so. */
static void
a_purge_waits_like_a_write (void **state)
{
    (void) state;
    adr_pending_keys_t *keys = adr_pending_keys_new (7);
    adr_entry_t *entry = s_entry (7, "a", false);
    entry->op[0].flags = ADR_OP_PURGE;
    adr_pending_keys_add (keys, entry);
    assert_true (s_find (keys, "a")->deleted && s_find (keys, "a")->purged);
    assert_int_equal (s_find (keys, "a")->version.index, 7);
    adr_pending_keys_add (keys, s_entry (8, "a", false));
    assert_false (s_find (keys, "a")->deleted || s_find (keys, "a")->purged);
    adr_pending_keys_destroy (&keys);
}

static void
tables_are_apart (void **state)
{
    (void) state;
    adr_pending_keys_t *keys = adr_pending_keys_new (7);
    adr_pending_keys_add (keys, s_entry (7, "a", false));
    assert_null (adr_pending_keys_find (keys, ADR_TABLE_META, adr_bytes ("a", 1)));
    adr_pending_keys_destroy (&keys);
}

static void
holds_many_keys (void **state)
{
    (void) state;
    char key[32];
    adr_pending_keys_t *keys = adr_pending_keys_new (7);
    for (int i = 0; i < 20000; i++) {
        snprintf (key, sizeof key, "some-key-%d", i);
        adr_pending_keys_add (keys, s_entry ((uint64_t) i + 1, key, false));
    }
    for (int i = 0; i < 20000; i++) {
        snprintf (key, sizeof key, "some-key-%d", i);
        assert_int_equal (s_find (keys, key)->version.index, i + 1);
    }
    adr_pending_keys_clear (keys);
    assert_null (s_find (keys, "some-key-1"));
    adr_pending_keys_destroy (&keys);
}

/* Keys of whole eight bytes that count in their last ones. */
static void
keys_that_count_make_no_long_chain (void **state)
{
    (void) state;
    char key[32];
    adr_pending_keys_t *keys = adr_pending_keys_new (7);
    for (int i = 0; i < 9000; i++) {
        snprintf (key, sizeof key, "user-of-one%05d", i);
        adr_pending_keys_add (keys, s_entry ((uint64_t) i + 1, key, false));
    }
    assert_in_range (adr_pending_keys_longest (keys), 1, 20);
    adr_pending_keys_destroy (&keys);
}

int
main (void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test (newest_entry_wins_until_it_is_applied),
        cmocka_unit_test (a_purge_waits_like_a_write),
        cmocka_unit_test (tables_are_apart),
        cmocka_unit_test (holds_many_keys),
        cmocka_unit_test (keys_that_count_make_no_long_chain),
    };
    return cmocka_run_group_tests (tests, NULL, NULL);
}
