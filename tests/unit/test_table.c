/* SPDX-License-Identifier: MPL-2.0 */
/* The table of message kinds, cell by cell: every sender type, sending actor, receiving actor, local or not, for every
 * number that could be a kind, against tests/unit/golden/table.txt, which is read in review. */

#include "golden_messages.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>

#include <cmocka.h>

/* More than there are, so that numbers beyond are tried, too. */
#define TYPES (ADR_NODE_TYPE_COUNT + 1)
#define ACTORS (ADR_ACTOR_COUNT + 1)

/* All that is allowed, a line each: `KIND from-type from to any|local`. */
static void
s_list (adr_buffer_t *text)
{
    char line[160];
    for (unsigned kind = 0; kind <= UINT16_MAX; kind++)
        for (unsigned cell = 0; cell < TYPES * ACTORS * ACTORS; cell++) {
            unsigned type = cell / (ACTORS * ACTORS), from = cell / ACTORS % ACTORS, to = cell % ACTORS;
            bool local = adr_message_allowed ((uint16_t) kind, (adr_node_type_t) type, (adr_actor_kind_t) from,
                                              (adr_actor_kind_t) to, true);
            bool any = adr_message_allowed ((uint16_t) kind, (adr_node_type_t) type, (adr_actor_kind_t) from,
                                            (adr_actor_kind_t) to, false);
            assert_true (local || !any);
            if (!local)
                continue;
            snprintf (line, sizeof line, "%s %s %s %s %s\n", adr_kind_name ((uint16_t) kind),
                      adr_node_type_name ((adr_node_type_t) type), adr_actor_name ((adr_actor_kind_t) from),
                      adr_actor_name ((adr_actor_kind_t) to), any ? "any" : "local");
            adr_buffer_append (text, line, strlen (line));
        }
}

static void
test_every_cell (void **state)
{
    (void) state;
    adr_buffer_t now = { 0 }, golden = { 0 };
    s_list (&now);
    if (golden_making ())
        golden_write ("table.txt", &now);
    assert_true (golden_read ("table.txt", &golden));
    if (!adr_bytes_equal (adr_bytes (now.data, now.size), adr_bytes (golden.data, golden.size)))
        fail_msg ("the table has changed: run this with ADR_GOLDEN_MAKE=1 and read the difference");
    adr_buffer_free (&now);
    adr_buffer_free (&golden);
}

static void
test_every_kind_of_the_schema_has_a_row (void **state)
{
    (void) state;
    const ProtobufCEnumDescriptor *kinds = &adr__kind__descriptor;
    for (unsigned i = 0; i < kinds->n_values; i++) {
        const adr_kind_row_t *row = adr_kind_row ((uint16_t) kinds->values[i].value);
        if (kinds->values[i].value == ADR__KIND__NONE) {
            assert_null (row);
            continue;
        }
        if (row == NULL || row->kind != kinds->values[i].value || row->way[0].types == 0)
            fail_msg ("%s has no row", kinds->values[i].name);
        assert_string_equal (row->name, kinds->values[i].name);
    }
}

/* What the whole table must never allow, whatever its rows say. */
static void
test_strangers_reach_the_doors_only (void **state)
{
    (void) state;
    for (uint16_t kind = 0; kind < GOLDEN_KINDS; kind++)
        for (int from = 0; from < ADR_ACTOR_COUNT; from++)
            for (int to = 0; to < ADR_ACTOR_COUNT; to++) {
                bool door = from == ADR_ACTOR_CLIENT && (to == ADR_ACTOR_EDGE_ROUTER || to == ADR_ACTOR_CERT_SIGNER);
                for (int type = ADR_NODE_CLIENT; type < ADR_NODE_TYPE_COUNT; type++)
                    assert_true (door
                                 || !adr_message_allowed (kind, (adr_node_type_t) type, (adr_actor_kind_t) from,
                                                          (adr_actor_kind_t) to, true));
                bool safety = to == ADR_ACTOR_ELECTION || to == ADR_ACTOR_HEALTH_CHECKER;
                assert_true (!safety
                             || !adr_message_allowed (kind, ADR_NODE_EDGE, (adr_actor_kind_t) from,
                                                      (adr_actor_kind_t) to, false));
            }
}

int
main (void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test (test_every_cell),
        cmocka_unit_test (test_every_kind_of_the_schema_has_a_row),
        cmocka_unit_test (test_strangers_reach_the_doors_only),
    };
    return cmocka_run_group_tests (tests, NULL, NULL);
}
