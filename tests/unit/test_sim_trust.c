/* SPDX-License-Identifier: MPL-2.0 */
/* The simulator's checker of registries, with ones that are right and ones that are not (see test_sim_checkers.c). */

#include "../sim/check.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <cmocka.h>

static sim_verdict_t s_verdict;
static sim_trust_check_t s_check;
static adr_map_t *s_before, *s_now;

/* Two data nodes, of one group, in two zones. */
static int
s_set_up (void **state)
{
    (void) state;
    s_verdict = (sim_verdict_t){ 0 };
    s_before = adr_map_new ();
    s_before->epoch = 7;
    s_before->node_count = 2;
    s_before->node = adr_alloc (2 * sizeof *s_before->node);
    for (uint8_t i = 0; i < 2; i++) {
        adr_map_node_t *node = &s_before->node[i];
        *node = (adr_map_node_t){ .type = ADR_NODE_DATA, .id = { { (uint8_t) (1 + i) } }, .zone = { { (uint8_t) (11 + i) } },
                                  .group = { { 9 } }, .curve_key = { (uint8_t) (21 + i) }, .sign_key = { (uint8_t) (31 + i) } };
        snprintf (node->name, sizeof node->name, "data1@z%d", i + 1);
    }
    s_now = adr_map_copy (s_before);
    s_now->epoch = 8;
    sim_trust_check_init (&s_check, &s_verdict, 7, 700);
    return 0;
}

static int
s_tear_down (void **state)
{
    (void) state;
    adr_map_destroy (&s_before);
    adr_map_destroy (&s_now);
    return 0;
}

static void
s_assert_commit_fails (bool fails)
{
    sim_trust_committed (&s_check, s_before, s_now, 800);
    assert_int_equal (s_verdict.failed, fails);
}

static void
test_a_step (void **state)
{
    (void) state;
    s_now->node[0].leaving = s_now->node[0].evicted = true;
    s_assert_commit_fails (false);
    sim_trust_taken (&s_check, 3, 8, 800);
    assert_false (s_verdict.failed);
}

static void
test_an_epoch_that_is_left_out (void **state)
{
    (void) state;
    s_now->epoch = 9;
    s_assert_commit_fails (true);
}

static void
test_who_was_evicted_comes_back (void **state)
{
    (void) state;
    s_before->node[0].evicted = s_before->node[0].leaving = true;
    s_assert_commit_fails (true);
}

static void
test_who_was_there_is_forgotten (void **state)
{
    (void) state;
    s_now->node_count = 1;
    s_assert_commit_fails (true);
}

static void
test_a_key_of_two_nodes (void **state)
{
    (void) state;
    memcpy (s_now->node[1].sign_key, s_now->node[0].sign_key, sizeof s_now->node[0].sign_key);
    s_assert_commit_fails (true);
}

static void
test_two_of_a_group_in_a_zone (void **state)
{
    (void) state;
    s_now->node[1].zone = s_now->node[0].zone;
    s_now->node[1].leaving = true; /* while one is replaced */
    s_assert_commit_fails (false);
    s_before->epoch = 8;
    s_now->epoch = 9;
    s_now->node[1].leaving = false;
    s_assert_commit_fails (true);
}

static void
test_what_nobody_has_committed_is_taken (void **state)
{
    (void) state;
    s_assert_commit_fails (false);
    sim_trust_taken (&s_check, 3, 8, 801);
    assert_true (s_verdict.failed);
}

static void
test_a_host_goes_back (void **state)
{
    (void) state;
    s_assert_commit_fails (false);
    sim_trust_taken (&s_check, 3, 8, 800);
    sim_trust_started (&s_check, 3, 7); /* its file was older */
    sim_trust_taken (&s_check, 3, 8, 800);
    assert_false (s_verdict.failed);
    sim_trust_taken (&s_check, 3, 7, 700);
    assert_true (s_verdict.failed);
}

int
main (void)
{
#define S_TEST(name) cmocka_unit_test_setup_teardown (name, s_set_up, s_tear_down)
    const struct CMUnitTest tests[] = {
        S_TEST (test_a_step),
        S_TEST (test_an_epoch_that_is_left_out),
        S_TEST (test_who_was_evicted_comes_back),
        S_TEST (test_who_was_there_is_forgotten),
        S_TEST (test_a_key_of_two_nodes),
        S_TEST (test_two_of_a_group_in_a_zone),
        S_TEST (test_what_nobody_has_committed_is_taken),
        S_TEST (test_a_host_goes_back),
    };
    return cmocka_run_group_tests (tests, NULL, NULL);
}
