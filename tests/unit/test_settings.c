/* SPDX-License-Identifier: MPL-2.0 */
/* The settings that the whole cluster obeys, as values: docs/protocol/settings.md, SET-2 to SET-5. */

#include "registry_fixture.h"

#include "core/settings.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#define S_MS(ms) (INT64_C (ms) * ADR_MS)

static adr_founding_t *s_founding;
static adr_map_t *s_held, *s_offered;

static int
s_setup (void **state)
{
    (void) state;
    s_founding = registry_found ();
    s_held = registry_next (s_founding->map);
    s_offered = registry_next (s_held);
    return 0;
}

static int
s_teardown (void **state)
{
    (void) state;
    adr_map_destroy (&s_held);
    adr_map_destroy (&s_offered);
    adr_founding_destroy (&s_founding);
    return 0;
}

static void
s_set (adr_map_t *map, const char *name, uint64_t value)
{
    assert_true (adr_setting_enter (map, name, value));
}

static void
s_set_timing (adr_map_t *map, uint64_t poll, uint64_t least, uint64_t most)
{
    s_set (map, "timing.poll", poll);
    s_set (map, "timing.election-min", least);
    s_set (map, "timing.election-max", most);
}

static adr_settings_t
s_obeyed (const adr_map_t *map)
{
    adr_settings_t settings;
    adr_settings_default (&settings);
    adr_settings_obey (&settings, map->setting, map->setting_count);
    return settings;
}

/* --- the table ---------------------------------------------------------------------------------------------------- */

static void
the_table_is_sound (void **state)
{
    (void) state;
    adr_settings_t defaults;
    adr_settings_default (&defaults);
    for (uint32_t i = 0; i < ADR_SETTINGS_KNOWN; i++) {
        const adr_setting_row_t *row = adr_setting_row (i);
        char text[ADR_UNITS_TEXT_SIZE];
        uint64_t value = 0;
        assert_ptr_equal (adr_setting_find (row->name), row);
        assert_true (strlen (row->name) <= ADR_SETTING_NAME_MAX && adr_map_name_is_plain (row->name));
        assert_true (i == 0 || strcmp (adr_setting_row (i - 1)->name, row->name) < 0);
        assert_true (adr_setting_fits (row, adr_setting_get (row, &defaults)));
        assert_true (adr_setting_fits (row, row->low) && adr_setting_fits (row, row->high));
        assert_false (adr_setting_fits (row, row->low - 1) || adr_setting_fits (row, row->high + 1));
        adr_setting_format (row, text, row->high);
        assert_true (adr_setting_parse (row, &value, text));
        assert_int_equal (value, row->high);
    }
    assert_null (adr_setting_row (ADR_SETTINGS_KNOWN));
    assert_null (adr_setting_find ("timing.pol"));
}

/* Each is obeyed by itself (those that are bound, together), and moves no other. */
static void
each_is_obeyed_and_moves_no_other (void **state)
{
    (void) state;
    adr_settings_t defaults;
    adr_settings_default (&defaults);
    for (uint32_t i = 0; i < ADR_SETTINGS_KNOWN; i++) {
        const adr_setting_row_t *row = adr_setting_row (i);
        adr_map_t *map = registry_next (s_founding->map);
        if (row->bound)
            s_set_timing (map, 200, 900, 2000);
        else
            s_set (map, row->name, row->high);
        adr_settings_t obeyed = s_obeyed (map);
        for (uint32_t k = 0; k < ADR_SETTINGS_KNOWN; k++) {
            const adr_setting_t *set = adr_setting_in (map->setting, map->setting_count, adr_setting_row (k)->name);
            assert_int_equal (adr_setting_get (adr_setting_row (k), &obeyed), set ? set->value : adr_setting_get (adr_setting_row (k), &defaults));
        }
        adr_map_destroy (&map);
    }
}

static void
units_read_back (void **state)
{
    (void) state;
    static const struct {
        int64_t ns;
        const char *text;
    } s_durations[] = { { S_MS (0), "0ms" }, { S_MS (1500), "1500ms" }, { S_MS (2000), "2s" }, { S_MS (90000), "90s" }, { S_MS (7200000), "2h" } };
    for (size_t i = 0; i < sizeof s_durations / sizeof s_durations[0]; i++) {
        char text[ADR_UNITS_TEXT_SIZE];
        int64_t back = -1;
        adr_duration_format (text, s_durations[i].ns);
        assert_string_equal (text, s_durations[i].text);
        assert_true (adr_duration_parse (&back, text));
        assert_int_equal (back, s_durations[i].ns);
    }
    static const char *const s_wrong[] = { "", "5", "ms", "-5ms", "5 ms", "5ms ", "1d", "9999999999999999999ms", "999999999999999999h" };
    for (size_t i = 0; i < sizeof s_wrong / sizeof s_wrong[0]; i++) {
        int64_t ns;
        uint64_t size;
        assert_false (adr_duration_parse (&ns, s_wrong[i]));
        assert_false (adr_size_parse (&size, s_wrong[i]));
    }
}

/* --- together [SET-4] --------------------------------------------------------------------------------------------- */

static const char *
s_wrong (const adr_map_t *map)
{
    return adr_settings_wrong (map->setting, map->setting_count);
}

static void
what_is_bound_stands_together (void **state)
{
    (void) state;
    assert_null (s_wrong (s_offered));
    s_set (s_offered, "timing.poll", 100);
    assert_non_null (s_wrong (s_offered));
    s_set (s_offered, "timing.election-min", 500);
    assert_non_null (s_wrong (s_offered));
    s_set (s_offered, "timing.election-max", 1000);
    assert_null (s_wrong (s_offered));
    adr_setting_remove (s_offered, "timing.poll");
    assert_non_null (s_wrong (s_offered));
    assert_int_equal (s_obeyed (s_offered).election_min_ns, S_MS (500)); /* the default: two of three are not obeyed */
}

static void
what_does_not_go_together_is_wrong (void **state)
{
    (void) state;
    s_set_timing (s_offered, 100, 299, 1000);
    assert_non_null (s_wrong (s_offered));
    s_set_timing (s_offered, 100, 300, 374);
    assert_non_null (s_wrong (s_offered));
    s_set_timing (s_offered, 100, 300, 375);
    assert_null (s_wrong (s_offered));
    s_set (s_offered, "timing.write-timeout", 374);
    assert_non_null (s_wrong (s_offered));
    s_set (s_offered, "timing.write-timeout", 375);
    assert_null (s_wrong (s_offered));
}

/* Where one of the two is the host's own. */
static void
a_write_may_take_as_long_as_an_election (void **state)
{
    (void) state;
    s_set_timing (s_offered, 5000, 30000, 59000);
    assert_null (s_wrong (s_offered));
    assert_int_equal (s_obeyed (s_offered).write_timeout_ns, S_MS (59000));
    s_set (s_held, "timing.write-timeout", 100);
    assert_null (s_wrong (s_held));
    assert_int_equal (s_obeyed (s_held).write_timeout_ns, S_MS (1000)); /* the default of election-max */
}

/* --- other versions [SET-5] --------------------------------------------------------------------------------------- */

static void
what_is_unknown_is_passed_over (void **state)
{
    (void) state;
    adr_settings_t defaults, obeyed;
    adr_settings_default (&defaults);
    s_set (s_offered, "gc.grace", 1);           /* out of range */
    s_set (s_offered, "timing.of-tomorrow", 7); /* unknown */
    obeyed = s_obeyed (s_offered);
    assert_true (adr_settings_same (&obeyed, &defaults));
    s_set_timing (s_offered, 1, 4000, 8000); /* one of the bound is out of range: none of them is obeyed */
    obeyed = s_obeyed (s_offered);
    assert_true (adr_settings_same (&obeyed, &defaults));
}

/* Through its bytes, sealed as it was signed, whatever stands there. */
static void
settings_survive_their_bytes (void **state)
{
    (void) state;
    s_set (s_offered, "timing.of-tomorrow", UINT64_MAX);
    s_set (s_offered, "gc.grace", 5000);
    s_set (s_offered, "a", 0);
    adr_map_seal (s_offered);
    adr_map_t *read = adr_registry_read (adr_bytes (s_offered->sealed, s_offered->sealed_size));
    assert_non_null (read);
    assert_true (adr_map_same_registry (read, s_offered));
    assert_int_equal (read->setting_count, 3);
    assert_string_equal (read->setting[0].name, "a");
    assert_string_equal (read->setting[1].name, "gc.grace");
    assert_int_equal (read->setting[2].value, UINT64_MAX);
    assert_true (adr_map_is_all_known (read));
    read->setting[2].value--;
    assert_false (adr_map_same_registry (read, s_offered));
    adr_map_destroy (&read);
}

/* What can be no registry's: false if it was read. */
static bool
s_is_refused (void)
{
    adr_map_unseal (s_offered);
    adr_map_seal (s_offered);
    adr_map_t *read = adr_registry_read (adr_bytes (s_offered->sealed, s_offered->sealed_size));
    bool refused = read == NULL;
    adr_map_destroy (&read);
    return refused;
}

static void
settings_out_of_order_are_no_registry (void **state)
{
    (void) state;
    static const char *const s_names[][2] = { { "b", "a" }, { "a", "a" }, { "", "a" }, { "a b", "c" }, { "a", "b\"" } };
    s_offered->setting_count = 2;
    for (size_t i = 0; i < sizeof s_names / sizeof s_names[0]; i++) {
        for (int k = 0; k < 2; k++)
            snprintf (s_offered->setting[k].name, sizeof s_offered->setting[k].name, "%s", s_names[i][k]);
        assert_true (s_is_refused ());
    }
    strcpy (s_offered->setting[0].name, "a");
    strcpy (s_offered->setting[1].name, "b");
    assert_false (s_is_refused ());
}

static void
there_is_room_for_so_many (void **state)
{
    (void) state;
    char name[ADR_SETTING_NAME_MAX + 2];
    for (int i = 0; i < ADR_SETTINGS_MAX; i++) {
        snprintf (name, sizeof name, "x%d", i);
        assert_true (adr_setting_enter (s_offered, name, 1));
    }
    assert_false (s_is_refused ());
    assert_false (adr_setting_enter (s_offered, "y", 1));
    assert_true (adr_setting_enter (s_offered, "x7", 2));
    adr_setting_remove (s_offered, "x7");
    adr_setting_remove (s_offered, "x7");
    assert_int_equal (s_offered->setting_count, ADR_SETTINGS_MAX - 1);
    memset (name, 'z', sizeof name - 1);
    name[sizeof name - 1] = 0;
    assert_false (adr_setting_enter (s_offered, name, 1));
}

/* --- what a PKI node signs [SET-5] -------------------------------------------------------------------------------- */

static bool
s_is_step (void)
{
    adr_map_unseal (s_held);
    adr_map_seal (s_held);
    adr_map_unseal (s_offered);
    adr_map_seal (s_offered);
    return adr_map_is_step (s_held, s_offered);
}

static void
well_formed_settings_are_a_step (void **state)
{
    (void) state;
    s_set (s_offered, "gc.grace", 5000);
    assert_true (s_is_step ());
    s_set_timing (s_offered, 200, 1000, 2000);
    assert_true (s_is_step ());
    s_set (s_held, "store.scrub-rate", 4096); /* ... and one is taken out */
    assert_true (s_is_step ());
}

static void
others_are_none (void **state)
{
    (void) state;
    s_set (s_offered, "gc.grace", 999);
    assert_false (s_is_step ());
    s_set (s_offered, "gc.grace", 5000);
    s_set (s_offered, "timing.of-tomorrow", 1);
    assert_false (s_is_step ());
    adr_setting_remove (s_offered, "timing.of-tomorrow");
    s_set (s_offered, "timing.poll", 200); /* alone */
    assert_false (s_is_step ());
    s_set_timing (s_offered, 200, 500, 2000);
    assert_false (s_is_step ());
    s_set_timing (s_offered, 200, 1000, 2000);
    assert_true (s_is_step ());
}

/* A setting of a newer version that stands there already holds up no other change, and is changed by nobody who does not know it. */
static void
what_a_newer_version_has_set_stays (void **state)
{
    (void) state;
    s_set (s_held, "timing.of-tomorrow", 1);
    s_set (s_held, "gc.grace", 1); /* a range of tomorrow */
    assert_false (s_is_step ());
    s_set (s_offered, "timing.of-tomorrow", 1);
    s_set (s_offered, "gc.grace", 1);
    assert_true (s_is_step ());
    registry_node (s_offered, 1, ADR_NODE_DATA)->leaving = true;
    s_set (s_offered, "store.scrub-rate", 4096);
    assert_true (s_is_step ());
    s_set (s_offered, "timing.of-tomorrow", 2);
    assert_false (s_is_step ());
}

/* And taken by every node, if enough have signed it. */
static void
signed_settings_are_believed (void **state)
{
    (void) state;
    s_set (s_offered, "timing.of-tomorrow", 1);
    adr_map_seal (s_held);
    registry_sign (s_offered, s_founding, 0);
    assert_int_equal (adr_map_judge (s_held, s_offered, FIXTURE_NOW_MS), ADR_MAP_UNSIGNED);
    registry_sign (s_offered, s_founding, 1);
    assert_int_equal (adr_map_judge (s_held, s_offered, FIXTURE_NOW_MS), ADR_MAP_BELIEVED);
}

#define S_TEST(name) cmocka_unit_test_setup_teardown (name, s_setup, s_teardown)

int
main (void)
{
    const struct CMUnitTest tests[] = {
        S_TEST (the_table_is_sound),
        S_TEST (each_is_obeyed_and_moves_no_other),
        S_TEST (units_read_back),
        S_TEST (what_is_bound_stands_together),
        S_TEST (what_does_not_go_together_is_wrong),
        S_TEST (a_write_may_take_as_long_as_an_election),
        S_TEST (what_is_unknown_is_passed_over),
        S_TEST (settings_survive_their_bytes),
        S_TEST (settings_out_of_order_are_no_registry),
        S_TEST (there_is_room_for_so_many),
        S_TEST (well_formed_settings_are_a_step),
        S_TEST (others_are_none),
        S_TEST (what_a_newer_version_has_set_stays),
        S_TEST (signed_settings_are_believed),
    };
    return cmocka_run_group_tests (tests, NULL, NULL);
}
