/* SPDX-License-Identifier: MPL-2.0 */
/* The states of a node, cell by cell: which may follow which and why, what facts lead where, what each state means to
 * others. docs/protocol/node_states.md */

#include "core/node_state.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#define OFFLINE ADR_STATE_OFFLINE
#define READY ADR_STATE_ONLINE_READY
#define STANDBY ADR_STATE_ONLINE_STANDBY
#define DEGRADED ADR_STATE_ONLINE_DEGRADED
#define SHEDDING ADR_STATE_ONLINE_SHEDDING
#define EVICTED ADR_STATE_EVICTED

#define T(trigger) (1u << ADR_TRIGGER_##trigger)

/* Of a node that has nothing to be ashamed of. */
#define S_SOUND .voter = true, .caught_up = true, .settled = true
static const adr_node_state_facts_t s_sound = { S_SOUND };

/* --- the table of moves ------------------------------------------------------------------------------------------- */

#define S_WHY_NOT                                                                                                      \
    (T (ENTRIES_MISSING) | T (SYNCING) | T (NO_VOTER) | T (EVIDENCE_LOST) | T (BEHIND) | T (NOT_SETTLED) | T (TOLD))
#define S_DISK (T (DISK_NEARLY_FULL) | T (DISK_FULL) | T (DISK_SLOW) | T (SILENT) | T (TOLD))

/* From a row's state to a column's: by these triggers. */
static const unsigned s_cell[ADR_STATE_COUNT][ADR_STATE_COUNT] = {
    [OFFLINE] = { [STANDBY] = T (STARTED) | T (HEARD), [READY] = T (HEARD), [DEGRADED] = T (HEARD),
                  [SHEDDING] = T (HEARD), [EVICTED] = T (EVICTED) },
    [READY] = { [OFFLINE] = T (UNHEARD), [STANDBY] = S_WHY_NOT, [DEGRADED] = S_DISK,
                [SHEDDING] = T (LEAVING) | T (TOLD), [EVICTED] = T (EVICTED) },
    [STANDBY] = { [OFFLINE] = T (UNHEARD), [READY] = T (CAUGHT_UP) | T (TOLD), [DEGRADED] = S_DISK,
                  [SHEDDING] = T (LEAVING) | T (TOLD), [EVICTED] = T (EVICTED) },
    [DEGRADED] = { [OFFLINE] = T (UNHEARD), [READY] = T (DISK_IS_WELL) | T (TOLD), [STANDBY] = S_WHY_NOT,
                   [SHEDDING] = T (LEAVING) | T (TOLD), [EVICTED] = T (EVICTED) },
    [SHEDDING] = { [OFFLINE] = T (UNHEARD), [READY] = T (HANDED_OVER) | T (TOLD),
                   [STANDBY] = T (HANDED_OVER) | T (TOLD), [DEGRADED] = T (HANDED_OVER) | T (SILENT) | T (TOLD),
                   [EVICTED] = T (EVICTED) },
    [EVICTED] = { 0 },
};

static void
test_every_cell_has_its_triggers (void **state) /* [STATE-1] */
{
    (void) state;
    for (unsigned from = 0; from < ADR_STATE_COUNT; from++)
        for (unsigned to = 0; to < ADR_STATE_COUNT; to++) {
            unsigned found = 0;
            for (unsigned trigger = 0; trigger < ADR_TRIGGER_COUNT; trigger++)
                if (adr_node_state_may_move (from, to, trigger))
                    found |= 1u << trigger;
            if (found != s_cell[from][to])
                fail_msg ("%s -> %s: triggers %x, not %x", adr_node_state_name (from), adr_node_state_name (to), found,
                          s_cell[from][to]);
        }
}

static void
test_every_trigger_has_a_sentence_of_its_own (void **state)
{
    (void) state;
    for (unsigned i = 0; i < ADR_TRIGGER_COUNT; i++)
        for (unsigned k = 0; k < i; k++)
            assert_string_not_equal (adr_node_state_reason (i), adr_node_state_reason (k));
    assert_string_equal (adr_node_state_reason (ADR_TRIGGER_EVIDENCE_LOST), "evidence of the master lost");
}

/* --- from facts to moves ------------------------------------------------------------------------------------------ */

typedef struct {
    adr_node_state_t from;
    adr_node_state_facts_t facts;
    adr_node_state_t to;
    adr_node_state_trigger_t trigger;
} move_t;

static const move_t s_move[] = {
    { OFFLINE, { S_SOUND }, STANDBY, ADR_TRIGGER_STARTED },
    { OFFLINE, { S_SOUND, .space = ADR_SPACE_LAST }, STANDBY, ADR_TRIGGER_STARTED },
    { OFFLINE, { S_SOUND, .evicted = true }, EVICTED, ADR_TRIGGER_EVICTED },
    { STANDBY, { S_SOUND }, READY, ADR_TRIGGER_CAUGHT_UP },
    { STANDBY, { S_SOUND, .space = ADR_SPACE_FIRST_MARK }, DEGRADED, ADR_TRIGGER_DISK_NEARLY_FULL },
    { STANDBY, { .space = ADR_SPACE_SECOND_MARK }, DEGRADED, ADR_TRIGGER_DISK_FULL },
    { STANDBY, { .leaving = true }, SHEDDING, ADR_TRIGGER_LEAVING },
    { STANDBY, { .silent = true }, DEGRADED, ADR_TRIGGER_SILENT },
    { READY, { S_SOUND, .entries_missing = true }, STANDBY, ADR_TRIGGER_ENTRIES_MISSING },
    { READY, { S_SOUND, .syncing = true }, STANDBY, ADR_TRIGGER_SYNCING },
    { READY, { .caught_up = true, .settled = true }, STANDBY, ADR_TRIGGER_NO_VOTER },
    { READY, { S_SOUND, .evidence_lost = true }, STANDBY, ADR_TRIGGER_EVIDENCE_LOST },
    { READY, { .voter = true, .settled = true }, STANDBY, ADR_TRIGGER_BEHIND },
    { READY, { .voter = true, .caught_up = true }, STANDBY, ADR_TRIGGER_NOT_SETTLED },
    { READY, { S_SOUND, .space = ADR_SPACE_FIRST_MARK }, DEGRADED, ADR_TRIGGER_DISK_NEARLY_FULL },
    { READY, { S_SOUND, .space = ADR_SPACE_LAST }, DEGRADED, ADR_TRIGGER_DISK_FULL },
    { READY, { S_SOUND, .leaving = true }, SHEDDING, ADR_TRIGGER_LEAVING },
    { READY, { S_SOUND, .silent = true }, DEGRADED, ADR_TRIGGER_SILENT },
    { READY, { S_SOUND, .evicted = true }, EVICTED, ADR_TRIGGER_EVICTED },
    { READY, { S_SOUND, .slow = true }, DEGRADED, ADR_TRIGGER_DISK_SLOW },
    { DEGRADED, { S_SOUND }, READY, ADR_TRIGGER_DISK_IS_WELL },
    { DEGRADED, { S_SOUND, .evidence_lost = true }, STANDBY, ADR_TRIGGER_EVIDENCE_LOST },
    { DEGRADED, { S_SOUND, .space = ADR_SPACE_FIRST_MARK, .entries_missing = true }, STANDBY,
      ADR_TRIGGER_ENTRIES_MISSING },
    { DEGRADED, { S_SOUND, .space = ADR_SPACE_FIRST_MARK, .leaving = true }, SHEDDING, ADR_TRIGGER_LEAVING },
    { SHEDDING, { S_SOUND }, READY, ADR_TRIGGER_HANDED_OVER },
    { SHEDDING, { S_SOUND, .evidence_lost = true }, STANDBY, ADR_TRIGGER_HANDED_OVER },
    { SHEDDING, { S_SOUND, .space = ADR_SPACE_FIRST_MARK }, DEGRADED, ADR_TRIGGER_HANDED_OVER },
    { SHEDDING, { .leaving = true, .silent = true }, DEGRADED, ADR_TRIGGER_SILENT },
    { SHEDDING, { .leaving = true, .evicted = true }, EVICTED, ADR_TRIGGER_EVICTED },
    /* No move: a worse mark, a second reason, the disk of whoever hands over, an end that is final. */
    { DEGRADED, { S_SOUND, .space = ADR_SPACE_LAST }, DEGRADED, ADR_TRIGGER_NONE },
    { DEGRADED, { .space = ADR_SPACE_SECOND_MARK, .entries_missing = true }, DEGRADED, ADR_TRIGGER_NONE },
    { STANDBY, { .entries_missing = true, .space = ADR_SPACE_FIRST_MARK }, STANDBY, ADR_TRIGGER_NONE },
    { SHEDDING, { .leaving = true, .space = ADR_SPACE_LAST }, SHEDDING, ADR_TRIGGER_NONE },
    { EVICTED, { S_SOUND }, EVICTED, ADR_TRIGGER_NONE },
};

static void
test_facts_lead_to_their_move (void **state)
{
    (void) state;
    for (size_t i = 0; i < sizeof s_move / sizeof s_move[0]; i++) {
        adr_node_state_trigger_t trigger;
        adr_node_state_t to = adr_node_state_next (s_move[i].from, &s_move[i].facts, &trigger);
        if (to != s_move[i].to || trigger != s_move[i].trigger)
            fail_msg ("move %zu: %s -> %s (%s), not %s (%s)", i, adr_node_state_name (s_move[i].from),
                      adr_node_state_name (to), adr_node_state_reason (trigger), adr_node_state_name (s_move[i].to),
                      adr_node_state_reason (s_move[i].trigger));
    }
}

/* All facts, by number: ten that are true or false, and four of the disk. */
static adr_node_state_facts_t
s_facts (unsigned number)
{
    bool is[10];
    for (unsigned i = 0; i < 10; i++)
        is[i] = number >> i & 1;
    return (adr_node_state_facts_t){ (adr_space_t) (number >> 10), is[0], is[1], is[2], is[3],
                                     is[4], is[5], is[6], is[7], is[8], is[9] };
}

static void
test_whatever_is_observed_the_table_allows_the_move_and_one_is_enough (void **state) /* [STATE-1] */
{
    (void) state;
    for (unsigned number = 0; number < 4096; number++)
        for (unsigned from = READY; from < ADR_STATE_COUNT; from++) {
            adr_node_state_trigger_t trigger, again;
            adr_node_state_facts_t facts = s_facts (number);
            adr_node_state_t to = adr_node_state_next (from, &facts, &trigger);
            assert_true (to == from ? trigger == ADR_TRIGGER_NONE : s_cell[from][to] >> trigger & 1);
            assert_int_equal (adr_node_state_next (to, &facts, &again), to);
            assert_int_equal (again, ADR_TRIGGER_NONE);
            if (from != EVICTED) /* where it comes from is no fact of its own */
                assert_int_equal (to, adr_node_state_next (STANDBY, &facts, &again));
        }
}

static void
test_each_trigger_can_be_reached (void **state)
{
    (void) state;
    unsigned reached = T (NONE);
    adr_node_state_trigger_t trigger;
    for (size_t i = 0; i < sizeof s_move / sizeof s_move[0]; i++)
        reached |= 1u << s_move[i].trigger;
    (void) adr_node_state_seen (READY, READY, false, &trigger);
    reached |= 1u << trigger;
    (void) adr_node_state_seen (OFFLINE, READY, true, &trigger);
    reached |= 1u << trigger;
    (void) adr_node_state_seen (STANDBY, READY, true, &trigger);
    reached |= 1u << trigger;
    assert_int_equal (reached, (1u << ADR_TRIGGER_COUNT) - 1);
}

/* --- another node, as its master sees it -------------------------------------------------------------------------- */

static void
test_a_master_believes_what_it_hears_and_no_nonsense (void **state) /* [STATE-1] */
{
    (void) state;
    adr_node_state_trigger_t trigger;
    for (unsigned from = OFFLINE; from < EVICTED; from++)
        for (unsigned told = 0; told <= ADR_STATE_COUNT; told++)
            for (int heard = 0; heard <= 1; heard++) {
                bool online = heard && told >= READY && told <= SHEDDING;
                adr_node_state_t to = adr_node_state_seen (from, (adr_node_state_t) told, heard == 1, &trigger);
                assert_int_equal (to, online ? told : OFFLINE);
                assert_int_equal (trigger, to == from       ? ADR_TRIGGER_NONE
                                           : to == OFFLINE   ? ADR_TRIGGER_UNHEARD
                                           : from == OFFLINE ? ADR_TRIGGER_HEARD
                                                             : ADR_TRIGGER_TOLD);
            }
    assert_int_equal (adr_node_state_seen (EVICTED, READY, true, &trigger), EVICTED);
    assert_int_equal (trigger, ADR_TRIGGER_NONE);
}

/* --- effects ------------------------------------------------------------------------------------------------------ */

/* For each effect: of a sound node, at the first mark, at the second, no voter, with entries missing, syncing, with a
 * slow disk at the first mark, and with nothing known but the state. */
static const adr_node_state_facts_t s_known[] = {
    { S_SOUND },
    { S_SOUND, .space = ADR_SPACE_FIRST_MARK },
    { S_SOUND, .space = ADR_SPACE_SECOND_MARK },
    { .caught_up = true, .settled = true },
    { S_SOUND, .entries_missing = true },
    { S_SOUND, .syncing = true },
    { S_SOUND, .slow = true, .space = ADR_SPACE_FIRST_MARK },
};

static const char *const s_effect[ADR_STATE_COUNT][ADR_EFFECT_COUNT] = {
    /*            local      strong     counts     stands     succeeds   mends      first */
    [OFFLINE] = { "--------", "--------", "--------", "--------", "--------", "--------", "--------" },
    [READY] = { "yyyyyyyy", "yyyyyyyy", "yyyyyyyy", "yyy---y-", "yy-yyyy-", "yyyyyyyy", "yyyyyyyy" },
    [STANDBY] = { "--------", "yyyy--y-", "--------", "yyy---y-", "--------", "--------", "--------" },
    [DEGRADED] = { "-y------", "yyyy--y-", "-y------", "yyy---y-", "-y------", "--------", "--------" },
    [SHEDDING] = { "--------", "--------", "--------", "yyy---y-", "--------", "--------", "--------" },
    [EVICTED] = { "--------", "--------", "--------", "--------", "--------", "--------", "--------" },
};

static void
test_each_state_has_its_effects (void **state)
{
    (void) state;
    for (unsigned of = 0; of < ADR_STATE_COUNT; of++)
        for (unsigned effect = 0; effect < ADR_EFFECT_COUNT; effect++) {
            char found[9] = "--------";
            for (unsigned i = 0; i < 8; i++)
                if (adr_node_state_has (of, effect, i < 7 ? &s_known[i] : NULL))
                    found[i] = 'y';
            if (strcmp (found, s_effect[of][effect]) != 0)
                fail_msg ("%s, effect %u: %s, not %s", adr_node_state_name (of), effect, found, s_effect[of][effect]);
        }
}

static void
test_what_is_no_state_has_no_effect (void **state) /* a peer's bytes may say anything */
{
    (void) state;
    for (unsigned effect = 0; effect < ADR_EFFECT_COUNT; effect++)
        assert_false (adr_node_state_has ((adr_node_state_t) ADR_STATE_COUNT, effect, &s_sound));
    assert_false (adr_node_state_is_online ((adr_node_state_t) 4711));
}

static void
test_four_states_are_online (void **state)
{
    (void) state;
    for (unsigned of = 0; of < ADR_STATE_COUNT; of++)
        assert_int_equal (adr_node_state_is_online (of), strncmp (adr_node_state_name (of), "online-", 7) == 0);
}

int
main (void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test (test_every_cell_has_its_triggers),
        cmocka_unit_test (test_every_trigger_has_a_sentence_of_its_own),
        cmocka_unit_test (test_facts_lead_to_their_move),
        cmocka_unit_test (test_whatever_is_observed_the_table_allows_the_move_and_one_is_enough),
        cmocka_unit_test (test_each_trigger_can_be_reached),
        cmocka_unit_test (test_a_master_believes_what_it_hears_and_no_nonsense),
        cmocka_unit_test (test_each_state_has_its_effects),
        cmocka_unit_test (test_what_is_no_state_has_no_effect),
        cmocka_unit_test (test_four_states_are_online),
    };
    return cmocka_run_group_tests (tests, NULL, NULL);
}
