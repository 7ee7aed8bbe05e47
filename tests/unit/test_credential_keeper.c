/* SPDX-License-Identifier: MPL-2.0 */
/* How an edge learns credentials: whom it asks, when, and what it passes on [KEY-4, KEY-5]. */

#include "actor_harness.h"

#include "wire/map_codec.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

static harness_t s_keeper;
static adr_map_t *s_map;
static const adr_bytes_t s_nothing;

static int
s_setup (void **state)
{
    (void) state;
    s_map = harness_map (3);
    adr_address_t self = harness_address (2, ADR_NODE_EDGE, ADR_ACTOR_CREDENTIAL_KEEPER);
    adr_environment_t environment = { .cluster = s_map->cluster, .node = self.node, .type = ADR_NODE_EDGE, .map = s_map, .seed = 3 };
    harness_start (&s_keeper, &adr_credential_keeper_class, &environment);
    return 0;
}

static int
s_teardown (void **state)
{
    (void) state;
    harness_stop (&s_keeper);
    adr_map_destroy (&s_map);
    return 0;
}

/* The newest question. */
static const Adr__CredentialsAsk *
s_asked (unsigned *zone)
{
    size_t count = harness_count (&s_keeper, ADR__KIND__CREDENTIALS_ASK);
    assert_true (count > 0);
    const harness_sent_t *sent = harness_sent (&s_keeper, ADR__KIND__CREDENTIALS_ASK, count - 1);
    assert_int_equal (sent->to.actor, ADR_ACTOR_CERT_SIGNER);
    *zone = sent->to.node.bytes[0] >> 4;
    return (const Adr__CredentialsAsk *) sent->header;
}

typedef struct {
    uint64_t generation, number; /* number 0: of the newest question */
    bool same, more;
    const char *last;
    unsigned zone; /* 0: who was asked */
} tell_t;

static void
s_tell (tell_t tell)
{
    unsigned zone;
    const Adr__CredentialsAsk *ask = s_asked (&zone);
    Adr__Credentials told = ADR__CREDENTIALS__INIT;
    told.number = tell.number ? tell.number : ask->number;
    told.generation = tell.generation;
    told.same = tell.same;
    told.more = tell.more;
    told.last = (char *) (tell.last ? tell.last : "");
    harness_message (&s_keeper, harness_address (tell.zone ? tell.zone : zone, ADR_NODE_PKI, ADR_ACTOR_CERT_SIGNER), ADR_NODE_PKI,
                     ADR__KIND__CREDENTIALS, &told.base, tell.same ? s_nothing : adr_bytes ("rows", 4));
}

static void
s_taken (uint64_t generation)
{
    Adr__CredentialsTaken taken = ADR__CREDENTIALS_TAKEN__INIT;
    taken.generation = generation;
    harness_message (&s_keeper, (adr_address_t){ s_keeper.environment.node, ADR_ACTOR_CREDENTIAL_TAKER }, ADR_NODE_EDGE,
                     ADR__KIND__CREDENTIALS_TAKEN, &taken.base, s_nothing);
}

static void
s_assert_told (size_t n, uint32_t page, uint64_t generation, bool last)
{
    const harness_sent_t *sent = harness_sent (&s_keeper, ADR__KIND__CREDENTIALS_TOLD, n);
    assert_non_null (sent);
    const Adr__CredentialsTold *told = (const Adr__CredentialsTold *) sent->header;
    assert_int_equal (told->page, page);
    assert_int_equal (told->generation, generation);
    assert_int_equal (told->last, last);
    assert_int_equal (sent->payload.size, 4);
}

static void
its_zone_is_asked_every_second (void **state)
{
    (void) state;
    unsigned zone;
    assert_false (s_asked (&zone)->held);
    assert_int_equal (zone, 2);
    s_tell ((tell_t){ .generation = 5 });
    s_assert_told (0, 0, 5, true);
    s_taken (5);
    assert_int_equal (harness_count (&s_keeper, ADR__KIND__CREDENTIALS_ASK), 1);
    for (int i = 0; i < 20; i++) {
        harness_forget (&s_keeper);
        harness_advance (&s_keeper, 1000 * ADR_MS);
        assert_int_equal (harness_count (&s_keeper, ADR__KIND__CREDENTIALS_ASK), 1);
        const Adr__CredentialsAsk *ask = s_asked (&zone);
        assert_int_equal (zone, 2);
        assert_true (ask->held && ask->generation == 5);
        s_tell ((tell_t){ .generation = 5, .same = true });
        assert_int_equal (harness_count (&s_keeper, ADR__KIND__CREDENTIALS_TOLD), 0);
    }
}

/* [KEY-5] What the taker has not taken is pulled again. */
static void
what_is_not_taken_is_told_again (void **state)
{
    (void) state;
    unsigned zone;
    s_tell ((tell_t){ .generation = 5 });
    harness_advance (&s_keeper, 1000 * ADR_MS);
    assert_false (s_asked (&zone)->held);
    s_tell ((tell_t){ .generation = 5 });
    s_assert_told (1, 0, 5, true);
    s_taken (5);
    harness_advance (&s_keeper, 1000 * ADR_MS);
    assert_true (s_asked (&zone)->held);
}

static void
who_is_silent_is_left_and_tried_again (void **state)
{
    (void) state;
    unsigned zone;
    harness_advance (&s_keeper, 399 * ADR_MS);
    assert_int_equal (harness_count (&s_keeper, ADR__KIND__CREDENTIALS_ASK), 1);
    harness_advance (&s_keeper, 2 * ADR_MS);
    (void) s_asked (&zone);
    assert_int_equal (zone, 3);
    s_tell ((tell_t){ .generation = 5 });
    s_taken (5);
    size_t elsewhere = 0, home = 0;
    for (int i = 0; i < 25; i++) { /* zone 2 stays silent, and is tried every ten seconds */
        harness_forget (&s_keeper);
        harness_advance (&s_keeper, 1000 * ADR_MS);
        (void) s_asked (&zone);
        if (zone == 2) {
            home++;
            harness_advance (&s_keeper, 401 * ADR_MS);
            (void) s_asked (&zone);
            assert_int_not_equal (zone, 2);
        } else
            elsewhere++;
        s_tell ((tell_t){ .generation = 5, .same = true });
    }
    assert_true (home >= 2 && home <= 3 && elsewhere >= 22);
    for (int i = 0; i < 12; i++) { /* and stayed with when it is back */
        harness_forget (&s_keeper);
        harness_advance (&s_keeper, 1000 * ADR_MS);
        s_tell ((tell_t){ .generation = 5, .same = true });
    }
    (void) s_asked (&zone);
    assert_int_equal (zone, 2);
}

/* All are silent: it goes round, and is there when one is back. */
static void
it_never_gives_up (void **state)
{
    (void) state;
    unsigned zone;
    harness_advance (&s_keeper, 60000 * ADR_MS);
    size_t count = harness_count (&s_keeper, ADR__KIND__CREDENTIALS_ASK);
    assert_true (count > 100 && count < 160);
    s_tell ((tell_t){ .generation = 1 });
    s_assert_told (0, 0, 1, true);
    (void) s_asked (&zone);
}

static void
pages_go_on_in_their_order (void **state)
{
    (void) state;
    unsigned zone;
    s_tell ((tell_t){ .generation = 5, .more = true, .last = "BOB" });
    assert_string_equal (s_asked (&zone)->after, "BOB");
    s_tell ((tell_t){ .generation = 5, .more = true, .last = "EVE" });
    assert_string_equal (s_asked (&zone)->after, "EVE");
    s_tell ((tell_t){ .generation = 5 });
    s_assert_told (0, 0, 5, false);
    s_assert_told (1, 1, 5, false);
    s_assert_told (2, 2, 5, true);
    assert_int_equal (harness_count (&s_keeper, ADR__KIND__CREDENTIALS_ASK), 3);
}

/* [KEY-4] */
static void
what_changes_meanwhile_begins_anew (void **state)
{
    (void) state;
    unsigned zone;
    s_tell ((tell_t){ .generation = 5, .more = true, .last = "BOB" });
    s_tell ((tell_t){ .generation = 6, .more = true, .last = "EVE" });
    assert_int_equal (harness_count (&s_keeper, ADR__KIND__CREDENTIALS_TOLD), 1);
    assert_string_equal (s_asked (&zone)->after, "");
    s_tell ((tell_t){ .generation = 6 });
    s_assert_told (1, 0, 6, true);
}

/* A page that does not come is asked for elsewhere, from the first on. */
static void
a_pull_that_stops_begins_anew (void **state)
{
    (void) state;
    unsigned zone;
    s_tell ((tell_t){ .generation = 5, .more = true, .last = "BOB" });
    harness_advance (&s_keeper, 401 * ADR_MS);
    assert_string_equal (s_asked (&zone)->after, "");
    assert_int_equal (zone, 3);
    s_tell ((tell_t){ .generation = 5 });
    s_assert_told (1, 0, 5, true);
}

static void
a_lower_generation_is_another_one (void **state)
{
    (void) state;
    s_tell ((tell_t){ .generation = 5 });
    s_taken (5);
    harness_advance (&s_keeper, 1000 * ADR_MS);
    s_tell ((tell_t){ .generation = 3 });
    s_assert_told (1, 0, 3, true);
}

static void
what_nobody_asked_is_dropped (void **state)
{
    (void) state;
    unsigned zone;
    uint64_t number = s_asked (&zone)->number;
    s_tell ((tell_t){ .generation = 5, .number = number - 1 });           /* of another question */
    s_tell ((tell_t){ .generation = 5, .zone = 3 });                      /* by another node */
    s_tell ((tell_t){ .generation = 5, .same = true });                   /* there is nothing that it could be the same as */
    s_tell ((tell_t){ .generation = 5, .more = true, .last = "a/b" });    /* no access key */
    assert_int_equal (harness_count (&s_keeper, ADR__KIND__CREDENTIALS_TOLD), 0);
    s_tell ((tell_t){ .generation = 5 });
    s_tell ((tell_t){ .generation = 5 }); /* twice */
    assert_int_equal (harness_count (&s_keeper, ADR__KIND__CREDENTIALS_TOLD), 1);
}

static void
who_was_evicted_is_not_asked (void **state)
{
    (void) state;
    unsigned zone;
    adr_arena_t arena;
    adr_arena_init (&arena, 4096, 1 << 22);
    for (uint32_t i = 0; i < s_map->node_count; i++)
        if (s_map->node[i].type == ADR_NODE_PKI && s_map->node[i].id.bytes[0] >> 4 == 2)
            s_map->node[i].evicted = true;
    adr_map_unseal (s_map);
    Adr__MapChanged changed = ADR__MAP_CHANGED__INIT;
    changed.map = adr_map_message (s_map, &arena);
    harness_message (&s_keeper, (adr_address_t){ s_keeper.environment.node, ADR_ACTOR_MAP_KEEPER }, ADR_NODE_EDGE, ADR__KIND__MAP_CHANGED,
                     &changed.base, s_nothing);
    adr_arena_free (&arena);
    for (int i = 0; i < 30; i++) {
        harness_forget (&s_keeper);
        harness_advance (&s_keeper, 1000 * ADR_MS);
        (void) s_asked (&zone);
        assert_int_not_equal (zone, 2);
    }
}

int
main (void)
{
#define S_TEST(name) cmocka_unit_test_setup_teardown (name, s_setup, s_teardown)
    const struct CMUnitTest tests[] = {
        S_TEST (its_zone_is_asked_every_second),
        S_TEST (what_is_not_taken_is_told_again),
        S_TEST (who_is_silent_is_left_and_tried_again),
        S_TEST (it_never_gives_up),
        S_TEST (pages_go_on_in_their_order),
        S_TEST (what_changes_meanwhile_begins_anew),
        S_TEST (a_pull_that_stops_begins_anew),
        S_TEST (a_lower_generation_is_another_one),
        S_TEST (what_nobody_asked_is_dropped),
        S_TEST (who_was_evicted_is_not_asked),
    };
    return cmocka_run_group_tests (tests, NULL, NULL);
}
