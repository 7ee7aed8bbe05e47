/* SPDX-License-Identifier: MPL-2.0 */
/* [REPAIR-8] How long clients wait: the meter alone, and what a replicator tells of it, as a master and as a member. */

#include "replicator_fixture.h"

#include "actors/wait_meter.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#define S_STEP_NS (10 * ADR_MS)

/* --- the meter ---------------------------------------------------------------------------------------------------- */

static int64_t s_now_ns;

/* Requests that each waited so long, one each ten milliseconds, for so long. */
static void
s_measure (adr_wait_meter_t *meter, int64_t waited_ns, int64_t for_ns, bool repairs)
{
    for (int64_t passed = 0; passed < for_ns; passed += S_STEP_NS) {
        s_now_ns += S_STEP_NS;
        adr_wait_meter_add (meter, s_now_ns, waited_ns, repairs);
    }
}

static bool
s_is_busy (const adr_wait_meter_t *meter)
{
    return adr_wait_meter_is_busy (meter, s_now_ns, ADR_NEVER);
}

static void
test_busy_is_twice_the_usual_and_some (void **state)
{
    (void) state;
    adr_wait_meter_t meter = { 0 };
    assert_false (s_is_busy (&meter));
    s_measure (&meter, 10 * ADR_MS, 2000 * ADR_MS, false);
    assert_false (s_is_busy (&meter));
    s_measure (&meter, 22 * ADR_MS, 500 * ADR_MS, true);
    assert_false (s_is_busy (&meter));
    s_measure (&meter, 23 * ADR_MS, 500 * ADR_MS, true);
    assert_true (s_is_busy (&meter));
    s_measure (&meter, 10 * ADR_MS, 500 * ADR_MS, true);
    assert_false (s_is_busy (&meter));
}

/* What repair does to clients never becomes the usual, however long it goes on. */
static void
test_the_usual_is_learnt_while_nothing_is_repaired (void **state)
{
    (void) state;
    adr_wait_meter_t meter = { 0 };
    s_measure (&meter, 10 * ADR_MS, 2000 * ADR_MS, false);
    s_measure (&meter, 100 * ADR_MS, 600000 * ADR_MS, true);
    assert_true (s_is_busy (&meter));
    s_measure (&meter, 100 * ADR_MS, 60000 * ADR_MS, false); /* more clients */
    assert_false (s_is_busy (&meter));
}

/* A node that started while a copy was made takes the best that it has seen. */
static void
test_without_a_quiet_time_the_least_counts (void **state)
{
    (void) state;
    adr_wait_meter_t meter = { 0 };
    s_measure (&meter, 30 * ADR_MS, 1000 * ADR_MS, true);
    assert_false (s_is_busy (&meter));
    s_measure (&meter, 5 * ADR_MS, 1000 * ADR_MS, true);
    s_measure (&meter, 30 * ADR_MS, 1000 * ADR_MS, true);
    assert_true (s_is_busy (&meter));
    s_measure (&meter, 20 * ADR_MS, 1000 * ADR_MS, false); /* now it is known */
    s_measure (&meter, 30 * ADR_MS, 1000 * ADR_MS, true);
    assert_false (s_is_busy (&meter));
}

static void
test_one_slow_request_is_no_trend (void **state)
{
    (void) state;
    adr_wait_meter_t meter = { 0 };
    s_measure (&meter, 10 * ADR_MS, 2000 * ADR_MS, false);
    for (int i = 0; i < 20; i++) {
        s_measure (&meter, 80 * ADR_MS, S_STEP_NS, true);
        s_measure (&meter, 10 * ADR_MS, ADR_WAIT_SPAN_NS, true);
        assert_false (s_is_busy (&meter));
    }
}

/* Without requests nobody waits; one that is not answered does, but an outage is nothing that repair should wait for. */
static void
test_what_is_not_done_yet (void **state)
{
    (void) state;
    adr_wait_meter_t meter = { 0 };
    s_measure (&meter, 10 * ADR_MS, 2000 * ADR_MS, false);
    s_measure (&meter, 50 * ADR_MS, 500 * ADR_MS, true);
    assert_true (s_is_busy (&meter));
    s_now_ns += ADR_WAIT_FRESH_NS;
    assert_false (s_is_busy (&meter));
    assert_false (adr_wait_meter_is_busy (&meter, s_now_ns, s_now_ns - 22 * ADR_MS));
    assert_true (adr_wait_meter_is_busy (&meter, s_now_ns, s_now_ns - 23 * ADR_MS));
    assert_false (adr_wait_meter_is_busy (&meter, s_now_ns, s_now_ns - ADR_WAIT_OUTAGE_NS - 1));
    s_measure (&meter, ADR_WAIT_OUTAGE_NS + 1, 500 * ADR_MS, true);
    assert_false (s_is_busy (&meter));
}

/* --- the replicator ----------------------------------------------------------------------------------------------- */

static bool
s_told_busy (void)
{
    return ((const Adr__RepairState *) fixture_newest (ADR__KIND__REPAIR_STATE))->busy;
}

/* Its inventory_syncer says that a peer copies from here. */
static void
s_repairs (void)
{
    Adr__Place place = ADR__PLACE__INIT;
    place.runs = true;
    fixture_tell (1, ADR_ACTOR_INVENTORY_SYNCER, ADR__KIND__PLACE, &place.base);
}

/* A client's write that is committed after so long. */
static void
s_write_waits (uint64_t number, int64_t wait_ns)
{
    fixture_write (number);
    fixture_sync ();
    harness_advance (&fixture.harness, wait_ns);
    for (unsigned zone = 2; zone <= 3; zone++)
        fixture_ack (zone, 1, adr_store_last (fixture.store).index);
}

static void
s_writes_wait (int64_t wait_ns)
{
    static uint64_t s_number = 1000;
    for (int i = 0; i < 120; i++) { /* long enough for the state to be repeated */
        s_write_waits (++s_number, wait_ns);
        for (unsigned zone = 2; zone <= 3; zone++)
            fixture_answered (zone, 1, 1);
        s_repairs ();
    }
}

/* Its inventory_syncer and its members hear of it, and hear when it is over. */
static void
test_a_master_s_clients_wait (void **state)
{
    (void) state;
    fixture_lead_with_ten_entries ();
    s_repairs ();
    s_writes_wait (5 * ADR_MS);
    assert_false (s_told_busy ());
    s_writes_wait (30 * ADR_MS);
    assert_true (s_told_busy ());
    assert_true (fixture_sent_to (2)->busy);
    s_writes_wait (5 * ADR_MS);
    assert_false (s_told_busy ());
    assert_false (fixture_sent_to (2)->busy);
}

static void
s_append_busy (bool busy)
{
    Adr__Append append = ADR__APPEND__INIT;
    append.term = 3;
    append.incarnation = fixture.incarnation[1];
    append.busy = busy;
    fixture_tell (2, ADR_ACTOR_REPLICATOR, ADR__KIND__APPEND, &append.base);
}

/* A member passes its master's word on, while it is fresh. */
static void
test_a_member_hears_of_its_master_s_clients (void **state)
{
    (void) state;
    s_append_busy (false);
    harness_advance (&fixture.harness, 20 * ADR_MS);
    assert_false (s_told_busy ());
    s_append_busy (true);
    assert_true (s_told_busy ());
    harness_advance (&fixture.harness, ADR_WAIT_FRESH_NS + 20 * ADR_MS);
    assert_false (s_told_busy ());
}

int
main (void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test (test_busy_is_twice_the_usual_and_some),
        cmocka_unit_test (test_the_usual_is_learnt_while_nothing_is_repaired),
        cmocka_unit_test (test_without_a_quiet_time_the_least_counts),
        cmocka_unit_test (test_one_slow_request_is_no_trend),
        cmocka_unit_test (test_what_is_not_done_yet),
        FIXTURE_TEST (test_a_master_s_clients_wait),
        FIXTURE_TEST (test_a_member_hears_of_its_master_s_clients),
    };
    return cmocka_run_group_tests (tests, NULL, NULL);
}
