/* SPDX-License-Identifier: MPL-2.0 */
/* The rules of docs/protocol/edge_router.md, one test each, and what clients may get wrong. */

#include "actor_harness.h"

#include "core/entry.h"
#include "core/settings.h"
#include "wire/map_codec.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>

#include <cmocka.h>

#define CLIENT_NUMBER 77

static harness_t s_router;
static adr_map_t *s_map;
static const adr_bytes_t s_nothing;

static int
s_setup (void **state)
{
    (void) state;
    s_map = harness_map (3);
    adr_environment_t environment = { .cluster = s_map->cluster, .node = harness_id (0x11), .type = ADR_NODE_EDGE,
                                      .seed = 42, .map = s_map };
    adr_settings_default (&environment.settings);
    environment.settings.request_max_bytes = 64 * 1024;
    harness_start (&s_router, &adr_edge_router_class, &environment);
    return 0;
}

static int
s_teardown (void **state)
{
    (void) state;
    harness_stop (&s_router);
    adr_map_destroy (&s_map);
    return 0;
}

static const adr_address_t s_client = { { { 0xee } }, ADR_ACTOR_CLIENT };

static adr_address_t
s_meta (unsigned zone)
{
    return harness_address (zone, ADR_NODE_META, ADR_ACTOR_REPLICATOR);
}

/* A write that tests change before they ask it. */
typedef struct {
    Adr__Write write;
    Adr__Op op[2];
    Adr__Op *pointer[2];
    uint8_t request[16];
    char key[2][32];
    uint8_t value[64];
} s_write_t;

static s_write_t *
s_write (void)
{
    static s_write_t w;
    adr__write__init (&w.write);
    for (int i = 0; i < 2; i++) {
        adr__op__init (&w.op[i]);
        w.pointer[i] = &w.op[i];
        size_t size = (size_t) snprintf (w.key[i], sizeof w.key[i], "ns%c{t}key%d", 0, i);
        w.op[i].table = ADR_TABLE_KV;
        w.op[i].key = (ProtobufCBinaryData){ size, (uint8_t *) w.key[i] };
    }
    memset (w.request, 9, sizeof w.request);
    memset (w.value, 'v', sizeof w.value);
    w.op[0].value_size = 10;
    w.write.op = w.pointer;
    w.write.n_op = 1;
    w.write.number = CLIENT_NUMBER;
    w.write.request = (ProtobufCBinaryData){ 16, w.request };
    w.write.limit_ms = 5000;
    return &w;
}

static void
s_ask (const s_write_t *w, size_t payload)
{
    harness_message (&s_router, s_client, ADR_NODE_CLIENT, ADR__KIND__WRITE, &w->write.base,
                     adr_bytes (w->value, payload));
}

static void
s_ask_read (Adr__ReadMode mode)
{
    Adr__Read read = ADR__READ__INIT;
    read.number = CLIENT_NUMBER;
    read.table = ADR_TABLE_KV;
    read.key = (ProtobufCBinaryData){ 4, (uint8_t *) "ns\0k" };
    read.mode = mode;
    read.limit_ms = 2000;
    harness_message (&s_router, s_client, ADR_NODE_CLIENT, ADR__KIND__READ, &read.base, s_nothing);
}

/* The newest message of this kind. */
static const harness_sent_t *
s_last (uint16_t kind)
{
    size_t count = harness_count (&s_router, kind);
    assert_true (count > 0);
    return harness_sent (&s_router, kind, count - 1);
}

static void
s_assert_asked (uint16_t kind, unsigned zone)
{
    adr_id_t node = harness_id ((uint8_t) (0x10 * zone + ADR_NODE_META));
    assert_memory_equal (s_last (kind)->to.node.bytes, node.bytes, ADR_ID_SIZE);
    assert_int_equal (s_last (kind)->to.actor, ADR_ACTOR_REPLICATOR);
}

static const Adr__Write *
s_tried (void)
{
    return (const Adr__Write *) s_last (ADR__KIND__WRITE)->header;
}

typedef struct {
    adr_status_t status;
    unsigned hint; /* a zone; 0: none */
    const char *text;
    uint64_t time_ms;
    bool no_entry, unread;
} s_say_t;

/* The meta node of the zone answers the try of this number. */
static void
s_reply (unsigned zone, uint64_t number, s_say_t say)
{
    Adr__Answer answer = ADR__ANSWER__INIT;
    adr_id_t hint = harness_id ((uint8_t) (0x10 * say.hint + ADR_NODE_META));
    answer.number = number;
    answer.status = say.status;
    answer.text = (char *) (say.text ? say.text : "");
    answer.time_ms = say.time_ms;
    answer.no_entry = say.no_entry;
    answer.unread = say.unread;
    if (say.hint)
        answer.hint = adr_id_view (&hint);
    harness_message (&s_router, s_meta (zone), ADR_NODE_META, ADR__KIND__ANSWER, &answer.base, s_nothing);
}

static void
s_assert_ended (adr_status_t status)
{
    assert_int_equal (harness_count (&s_router, ADR__KIND__ANSWER), 1);
    const harness_sent_t *sent = s_last (ADR__KIND__ANSWER);
    assert_memory_equal (&sent->to, &s_client, sizeof s_client);
    const Adr__Answer *answer = (const Adr__Answer *) sent->header;
    assert_int_equal (answer->number, CLIENT_NUMBER);
    assert_int_equal (answer->status, status);
}

static void
s_assert_open (void)
{
    assert_int_equal (harness_count (&s_router, ADR__KIND__ANSWER), 0);
}

/* The map says that the meta node of this zone leads in this term; zone 0: nobody that it knows. */
static void
s_lead (unsigned zone, uint64_t term)
{
    adr_id_t group = harness_id (0xb0 + ADR_NODE_META);
    static uint64_t sequence;
    adr_group_status_t status = { .term = term, .sequence = ++sequence };
    if (zone)
        status.master = harness_id ((uint8_t) (0x10 * zone + ADR_NODE_META));
    assert_true (adr_map_merge_status (s_map, &group, &status));
    adr_arena_t arena;
    adr_arena_init (&arena, 1024, 1 << 20);
    Adr__MapChanged changed = ADR__MAP_CHANGED__INIT;
    changed.map = adr_map_message (s_map, &arena);
    harness_message (&s_router, harness_address (1, ADR_NODE_EDGE, ADR_ACTOR_MAP_KEEPER), ADR_NODE_EDGE,
                     ADR__KIND__MAP_CHANGED, &changed.base, s_nothing);
    adr_arena_free (&arena);
}

/* [EDGE-1] */
static void
test_a_write_goes_to_the_master_if_it_is_known_else_to_the_own_zone (void **state)
{
    (void) state;
    s_ask (s_write (), 10);
    s_assert_asked (ADR__KIND__WRITE, 1);
    const Adr__Write *tried = s_tried ();
    adr_id_t own = harness_id (0x11);
    assert_int_equal (tried->limit_ms, 5000);
    assert_int_equal (tried->age_ms, 0);
    assert_int_equal (tried->relays, 0);
    assert_memory_equal (tried->origin.data, own.bytes, ADR_ID_SIZE);
    assert_int_equal (s_last (ADR__KIND__WRITE)->payload.size, 10);
    s_lead (3, 5);
    s_ask (s_write (), 10);
    s_assert_asked (ADR__KIND__WRITE, 3);
}

/* [EDGE-1] */
static void
test_reads_and_lists_stay_in_the_own_zone (void **state)
{
    (void) state;
    s_lead (3, 5);
    s_ask_read (ADR__READ_MODE__STRONG);
    s_assert_asked (ADR__KIND__READ, 1);
    Adr__List list = ADR__LIST__INIT;
    list.table = ADR_TABLE_META;
    list.limit_ms = 100;
    list.prefix = (ProtobufCBinaryData){ 3, (uint8_t *) "b\0x" };
    harness_message (&s_router, s_client, ADR_NODE_CLIENT, ADR__KIND__LIST, &list.base, s_nothing);
    s_assert_asked (ADR__KIND__LIST, 1);
    assert_int_equal (((const Adr__List *) s_last (ADR__KIND__LIST)->header)->rows_max, ADR_LIST_ROWS_MAX);
}

static void
test_the_answer_goes_to_the_asker_with_its_number_and_the_request_is_forgotten (void **state)
{
    (void) state;
    s_ask (s_write (), 10);
    uint64_t number = s_tried ()->number;
    assert_int_not_equal (number, CLIENT_NUMBER);
    s_reply (2, number, (s_say_t){ .status = ADR_STATUS_OK });
    s_assert_ended (ADR_STATUS_OK);
    const Adr__Answer *answer = (const Adr__Answer *) s_last (ADR__KIND__ANSWER)->header;
    assert_string_equal (answer->endpoint, "tcp://127.0.0.2:7002"); /* its master is in zone 2 */
    s_reply (2, number, (s_say_t){ .status = ADR_STATUS_OK });
    harness_advance (&s_router, 20000 * ADR_MS);
    s_assert_ended (ADR_STATUS_OK);
    assert_int_equal (harness_count (&s_router, ADR__KIND__WRITE), 1);
}

/* [EDGE-2] */
static void
test_a_hint_is_followed_at_once_and_learned (void **state)
{
    (void) state;
    s_ask (s_write (), 10);
    s_reply (1, s_tried ()->number, (s_say_t){ .status = ADR_STATUS_NOT_MASTER, .hint = 2 });
    s_assert_asked (ADR__KIND__WRITE, 2);
    assert_int_equal (harness_count (&s_router, ADR__KIND__WRITE), 2);
    assert_true (s_tried ()->age_ms > 0);
    s_ask (s_write (), 10);
    s_assert_asked (ADR__KIND__WRITE, 2);
}

/* [EDGE-2] */
static void
test_without_a_hint_another_node_is_tried_after_a_pause_that_grows (void **state)
{
    (void) state;
    s_ask (s_write (), 10);
    int64_t before = s_router.now_ns;
    for (int i = 0; i < 30; i++) {
        size_t count = harness_count (&s_router, ADR__KIND__WRITE);
        adr_id_t node = s_last (ADR__KIND__WRITE)->to.node;
        s_reply (node.bytes[0] >> 4, s_tried ()->number, (s_say_t){ .status = ADR_STATUS_NOT_MASTER });
        assert_int_equal (harness_count (&s_router, ADR__KIND__WRITE), count);
        while (harness_count (&s_router, ADR__KIND__WRITE) == count)
            harness_advance (&s_router, ADR_MS);
        assert_memory_not_equal (s_last (ADR__KIND__WRITE)->to.node.bytes, node.bytes, ADR_ID_SIZE);
    }
    int64_t took = s_router.now_ns - before;
    assert_true (took > 1000 * ADR_MS && took < 3100 * ADR_MS);
    assert_true (s_tried ()->age_ms >= took / ADR_MS && s_tried ()->limit_ms <= 5000 - took / ADR_MS + 1);
}

/* [EDGE-2] */
static void
test_silence_is_tried_elsewhere_with_the_same_request_id (void **state)
{
    (void) state;
    s_lead (2, 5);
    s_ask (s_write (), 10);
    uint64_t first = s_tried ()->number;
    harness_advance (&s_router, 599 * ADR_MS);
    assert_int_equal (harness_count (&s_router, ADR__KIND__WRITE), 1);
    harness_advance (&s_router, 2 * ADR_MS);
    assert_int_equal (harness_count (&s_router, ADR__KIND__WRITE), 2);
    adr_id_t silent = s_meta (2).node;
    assert_memory_not_equal (s_last (ADR__KIND__WRITE)->to.node.bytes, silent.bytes, ADR_ID_SIZE);
    assert_memory_equal (s_tried ()->request.data, s_write ()->request, 16);
    assert_int_equal (s_last (ADR__KIND__WRITE)->payload.size, 10);
    assert_true (s_tried ()->age_ms >= 600);
    s_reply (2, first, (s_say_t){ .status = ADR_STATUS_OK }); /* late, and welcome */
    s_assert_ended (ADR_STATUS_OK);
}

/* [EDGE-2] */
static void
test_a_read_is_repeated_sooner_and_the_first_answer_counts (void **state)
{
    (void) state;
    s_ask_read (ADR__READ_MODE__LOCAL);
    uint64_t first = ((const Adr__Read *) s_last (ADR__KIND__READ)->header)->number;
    harness_advance (&s_router, 251 * ADR_MS);
    assert_int_equal (harness_count (&s_router, ADR__KIND__READ), 2);
    s_reply (1, first, (s_say_t){ .status = ADR_STATUS_NOT_FOUND });
    s_assert_ended (ADR_STATUS_NOT_FOUND);
}

/* [EDGE-2] */
static void
test_a_new_master_gets_what_waits_elsewhere (void **state)
{
    (void) state;
    s_ask (s_write (), 10);
    harness_advance (&s_router, 100 * ADR_MS);
    s_lead (3, 9);
    harness_advance (&s_router, ADR_MS);
    assert_int_equal (harness_count (&s_router, ADR__KIND__WRITE), 2);
    s_assert_asked (ADR__KIND__WRITE, 3);
}

/* [EDGE-1] A silent one is not named again in its term. */
static void
test_a_term_may_be_heard_of_before_its_master (void **state)
{
    (void) state;
    s_ask (s_write (), 10);
    harness_advance (&s_router, 100 * ADR_MS);
    s_lead (0, 9);
    harness_advance (&s_router, ADR_MS);
    assert_int_equal (harness_count (&s_router, ADR__KIND__WRITE), 1);
    s_lead (3, 9);
    harness_advance (&s_router, ADR_MS);
    assert_int_equal (harness_count (&s_router, ADR__KIND__WRITE), 2);
    s_assert_asked (ADR__KIND__WRITE, 3);
    harness_advance (&s_router, 1000 * ADR_MS);
    size_t asked = harness_count (&s_router, ADR__KIND__WRITE);
    s_lead (3, 9);
    harness_advance (&s_router, ADR_MS);
    assert_int_equal (harness_count (&s_router, ADR__KIND__WRITE), asked);
}

/* [EDGE-3] DESIGN 13, invariant 6. */
static void
test_a_silent_write_ends_unknown (void **state)
{
    (void) state;
    s_ask (s_write (), 10);
    harness_advance (&s_router, 4999 * ADR_MS);
    s_assert_open ();
    harness_advance (&s_router, 2 * ADR_MS);
    s_assert_ended (ADR_STATUS_UNKNOWN);
}

/* [EDGE-3] */
static void
test_a_write_that_every_node_refused_ends_refused (void **state)
{
    (void) state;
    s_ask (s_write (), 10);
    for (size_t told = 0; harness_count (&s_router, ADR__KIND__ANSWER) == 0;) {
        if (harness_count (&s_router, ADR__KIND__WRITE) > told) {
            const harness_sent_t *sent = harness_sent (&s_router, ADR__KIND__WRITE, told++);
            s_reply (sent->to.node.bytes[0] >> 4, ((const Adr__Write *) sent->header)->number,
                     (s_say_t){ .status = ADR_STATUS_NOT_MASTER, .text = "no master is known here" });
        }
        harness_advance (&s_router, ADR_MS);
    }
    s_assert_ended (ADR_STATUS_REFUSED);
    assert_true (s_router.now_ns >= (1000000 + 5000) * ADR_MS);
}

/* [EDGE-3] one silent try among refused ones, and refusals that come twice, never make `refused`. */
static void
test_one_silent_try_among_refusals_ends_unknown (void **state)
{
    (void) state;
    s_ask (s_write (), 10);
    harness_advance (&s_router, 601 * ADR_MS); /* the first stays silent */
    for (size_t told = 1; harness_count (&s_router, ADR__KIND__ANSWER) == 0;) {
        if (harness_count (&s_router, ADR__KIND__WRITE) > told) {
            const harness_sent_t *sent = harness_sent (&s_router, ADR__KIND__WRITE, told++);
            for (int twice = 0; twice < 2; twice++)
                s_reply (sent->to.node.bytes[0] >> 4, ((const Adr__Write *) sent->header)->number,
                         (s_say_t){ .status = ADR_STATUS_REFUSED, .text = "busy" });
        }
        harness_advance (&s_router, ADR_MS);
    }
    s_assert_ended (ADR_STATUS_UNKNOWN);
}

/* [EDGE-3] */
static void
test_a_master_that_says_unknown_leaves_the_try_open (void **state)
{
    (void) state;
    s_ask (s_write (), 10);
    s_reply (1, s_tried ()->number, (s_say_t){ .status = ADR_STATUS_UNKNOWN });
    s_assert_open ();
    for (size_t told = 1; harness_count (&s_router, ADR__KIND__ANSWER) == 0;) {
        if (harness_count (&s_router, ADR__KIND__WRITE) > told) {
            const harness_sent_t *sent = harness_sent (&s_router, ADR__KIND__WRITE, told++);
            s_reply (sent->to.node.bytes[0] >> 4, ((const Adr__Write *) sent->header)->number,
                     (s_say_t){ .status = ADR_STATUS_NOT_MASTER });
        }
        harness_advance (&s_router, ADR_MS);
    }
    s_assert_ended (ADR_STATUS_UNKNOWN);
}

/* [EDGE-3] */
static void
test_busy_is_passed_on_if_it_is_sure (void **state)
{
    (void) state;
    s_ask (s_write (), 10);
    s_reply (1, s_tried ()->number, (s_say_t){ .status = ADR_STATUS_REFUSED, .text = "busy" });
    s_assert_ended (ADR_STATUS_REFUSED);
}

/* [EDGE-4] */
static void
test_a_conflict_without_an_entry_is_believed_only_with_all_tries_answered (void **state)
{
    (void) state;
    s_ask (s_write (), 10);
    uint64_t first = s_tried ()->number;
    harness_advance (&s_router, 601 * ADR_MS);
    s_reply (2, s_tried ()->number, (s_say_t){ .status = ADR_STATUS_CONFLICT, .no_entry = true });
    s_assert_open ();
    harness_advance (&s_router, 100 * ADR_MS);
    s_reply (1, first, (s_say_t){ .status = ADR_STATUS_NOT_MASTER });
    s_assert_open ();
    s_reply (2, s_tried ()->number, (s_say_t){ .status = ADR_STATUS_CONFLICT, .no_entry = true });
    s_assert_ended (ADR_STATUS_CONFLICT);
}

/* [EDGE-4] */
static void
test_a_conflict_with_an_entry_is_sure (void **state)
{
    (void) state;
    s_ask (s_write (), 10);
    harness_advance (&s_router, 601 * ADR_MS);
    s_reply (2, s_tried ()->number, (s_say_t){ .status = ADR_STATUS_CONFLICT });
    s_assert_ended (ADR_STATUS_CONFLICT);
}

/* What the client's newest answer brought. */
static const Adr__Answer *
s_newest_answer (void)
{
    return (const Adr__Answer *) s_last (ADR__KIND__ANSWER)->header;
}

/* A write is done, at that log time; returns the edge's token. */
static uint64_t
s_learn_time (uint64_t time_ms)
{
    s_ask (s_write (), 10);
    s_reply (1, s_tried ()->number, (s_say_t){ .status = ADR_STATUS_OK, .time_ms = time_ms });
    return s_newest_answer ()->token;
}

static uint64_t
s_stamp_of (uint64_t token, uint32_t token_ms)
{
    s_write_t *write = s_write ();
    write->write.token = token;
    write->write.token_ms = token_ms;
    s_ask (write, 10);
    return s_tried ()->seen_ms;
}

/* [EDGE-6] Whatever this edge has learnt since it gave the asker its token: the write may have been tried before that. */
static void
test_a_stamp_is_what_was_known_when_the_token_was_given (void **state)
{
    (void) state;
    harness_advance (&s_router, 1000 * ADR_MS);
    uint64_t first = s_learn_time (900000);
    harness_advance (&s_router, 10000 * ADR_MS);
    uint64_t second = s_learn_time (950000);
    assert_int_equal (s_stamp_of (first, 0), 900000);
    assert_int_equal (s_stamp_of (second, 0), 950000);
    assert_int_equal (s_stamp_of (second, 2000), 950000 - 3 * 2000);
    assert_int_equal (s_stamp_of (0, 0), 0);
    assert_int_equal (s_stamp_of (second ^ UINT64_C (1) << 60, 0), 0); /* of another edge */
    assert_int_equal (s_stamp_of (first - 500, 0), 0);                 /* before it had seen anything */
    harness_advance (&s_router, 10 * ADR_MS);
    assert_int_equal (s_stamp_of (s_learn_time (950010), 0), 950000); /* times this near to each other are not told apart */
}

/* [EDGE-6] The asker alone knows where else it has tried. */
static void
test_a_write_that_is_refused_unread_goes_back (void **state)
{
    (void) state;
    s_ask (s_write (), 10);
    assert_int_equal (s_tried ()->seen_ms, 0);
    s_reply (1, s_tried ()->number, (s_say_t){ .status = ADR_STATUS_REFUSED, .unread = true, .time_ms = 900000 });
    s_assert_ended (ADR_STATUS_REFUSED);
    assert_true (s_newest_answer ()->unread);
    assert_int_equal (harness_count (&s_router, ADR__KIND__WRITE), 1);
    assert_int_equal (s_stamp_of (s_newest_answer ()->token, 0), 900000);
}

/* [EDGE-3, EDGE-6] */
static void
test_a_write_that_is_refused_unread_beside_an_open_try_is_unknown (void **state)
{
    (void) state;
    s_ask (s_write (), 10);
    harness_advance (&s_router, 601 * ADR_MS);
    assert_int_equal (harness_count (&s_router, ADR__KIND__WRITE), 2);
    s_reply (2, s_tried ()->number, (s_say_t){ .status = ADR_STATUS_REFUSED, .unread = true, .time_ms = 900000 });
    s_assert_ended (ADR_STATUS_UNKNOWN); /* the first try may yet be done */
    assert_true (s_newest_answer ()->unread);
}

static void
test_reads_end_in_a_timeout (void **state)
{
    (void) state;
    s_ask_read (ADR__READ_MODE__STRONG);
    harness_advance (&s_router, 2001 * ADR_MS);
    s_assert_ended (ADR_STATUS_TIMEOUT);
    assert_int_equal (harness_count (&s_router, ADR__KIND__READ), 4); /* after 250, 625 and 1,187 ms again */
}

/* [EDGE-8] */
static void
test_a_list_goes_on_behind_tombstones (void **state)
{
    (void) state;
    Adr__List list = ADR__LIST__INIT;
    list.number = CLIENT_NUMBER;
    list.table = ADR_TABLE_KV;
    list.limit_ms = 1000;
    harness_message (&s_router, s_client, ADR_NODE_CLIENT, ADR__KIND__LIST, &list.base, s_nothing);
    Adr__ListAnswer answer = ADR__LIST_ANSWER__INIT;
    answer.number = ((const Adr__List *) s_last (ADR__KIND__LIST)->header)->number;
    answer.more = true;
    answer.behind = (ProtobufCBinaryData){ 1, (uint8_t *) "k" };
    harness_forget (&s_router);
    harness_message (&s_router, s_meta (1), ADR_NODE_META, ADR__KIND__LIST_ANSWER, &answer.base, s_nothing);
    assert_int_equal (harness_count (&s_router, ADR__KIND__LIST_ANSWER), 0);
    const Adr__List *asked = (const Adr__List *) s_last (ADR__KIND__LIST)->header;
    assert_int_equal (asked->after.len, 1);
    assert_memory_equal (asked->after.data, "k", 1);
    harness_message (&s_router, s_meta (1), ADR_NODE_META, ADR__KIND__LIST_ANSWER, &answer.base, s_nothing); /* an older try's */
    assert_int_equal (harness_count (&s_router, ADR__KIND__LIST_ANSWER), 0);
    answer.number = asked->number; /* it got nowhere: the asker is told what there is */
    harness_message (&s_router, s_meta (1), ADR_NODE_META, ADR__KIND__LIST_ANSWER, &answer.base, s_nothing);
    assert_int_equal (harness_count (&s_router, ADR__KIND__LIST_ANSWER), 1);
}

static void
test_a_list_answer_is_passed_on (void **state)
{
    (void) state;
    Adr__List list = ADR__LIST__INIT;
    list.number = CLIENT_NUMBER;
    list.table = ADR_TABLE_KV;
    list.limit_ms = 1000;
    list.rows_max = 5;
    harness_message (&s_router, s_client, ADR_NODE_CLIENT, ADR__KIND__LIST, &list.base, s_nothing);
    Adr__ListAnswer answer = ADR__LIST_ANSWER__INIT;
    answer.number = ((const Adr__List *) s_last (ADR__KIND__LIST)->header)->number;
    answer.rows = 1;
    answer.more = true;
    harness_message (&s_router, s_meta (1), ADR_NODE_META, ADR__KIND__LIST_ANSWER, &answer.base,
                     adr_bytes ("rows", 4));
    const harness_sent_t *sent = s_last (ADR__KIND__LIST_ANSWER);
    assert_int_equal (((const Adr__ListAnswer *) sent->header)->number, CLIENT_NUMBER);
    assert_true (((const Adr__ListAnswer *) sent->header)->more);
    assert_int_equal (sent->payload.size, 4);
}

static adr_map_node_t *
s_edge_node (unsigned zone)
{
    adr_id_t id = harness_id ((uint8_t) (0x10 * zone + ADR_NODE_EDGE));
    return (adr_map_node_t *) adr_map_node (s_map, &id);
}

/* The newest answers to a write and to a list say this of their edge; and that to the write names this edge as the master's. */
static void
s_assert_draining (bool draining, const char *endpoint)
{
    s_write_t *w = s_write ();
    w->write.number = 900 + s_map->epoch;
    w->request[0] = (uint8_t) s_map->epoch;
    s_ask (w, 10);
    s_reply (2, s_tried ()->number, (s_say_t){ .status = ADR_STATUS_OK });
    const Adr__Answer *answer = (const Adr__Answer *) s_last (ADR__KIND__ANSWER)->header;
    assert_int_equal (answer->status, ADR_STATUS_OK); /* nothing is refused for it */
    assert_int_equal (answer->draining, draining);
    assert_string_equal (answer->endpoint, endpoint);
    Adr__List list = ADR__LIST__INIT;
    list.table = ADR_TABLE_KV;
    list.limit_ms = 1;
    harness_message (&s_router, s_client, ADR_NODE_CLIENT, ADR__KIND__LIST, &list.base, s_nothing);
    Adr__ListAnswer rows = ADR__LIST_ANSWER__INIT;
    rows.number = ((const Adr__List *) s_last (ADR__KIND__LIST)->header)->number;
    harness_message (&s_router, s_meta (1), ADR_NODE_META, ADR__KIND__LIST_ANSWER, &rows.base, s_nothing);
    assert_int_equal (((const Adr__ListAnswer *) s_last (ADR__KIND__LIST_ANSWER)->header)->draining, draining);
    Adr__Read wrong = ADR__READ__INIT; /* of no table: what it answers by itself says it, too */
    wrong.table = ADR_TABLE_COUNT - 1;
    harness_message (&s_router, s_client, ADR_NODE_CLIENT, ADR__KIND__READ, &wrong.base, s_nothing);
    assert_int_equal (((const Adr__Answer *) s_last (ADR__KIND__ANSWER)->header)->draining, draining);
}

/* [EDGE-9] */
static void
test_a_drained_edge_says_so_and_serves_on (void **state)
{
    (void) state;
    s_lead (2, 5);
    s_assert_draining (false, "tcp://127.0.0.2:7002");
    s_edge_node (1)->leaving = true;
    harness_tell_map (&s_router, s_map);
    s_assert_draining (true, "tcp://127.0.0.2:7002");
    s_edge_node (2)->leaving = true; /* nobody is sent to an edge that is drained */
    harness_tell_map (&s_router, s_map);
    s_assert_draining (true, "");
    s_edge_node (1)->leaving = s_edge_node (2)->leaving = false;
    harness_tell_map (&s_router, s_map);
    s_assert_draining (false, "tcp://127.0.0.2:7002");
}

/* An answer counts only from a node of the group that was asked, with a number that we gave. */
static void
test_answers_of_strangers_are_dropped (void **state)
{
    (void) state;
    s_ask (s_write (), 10);
    uint64_t number = s_tried ()->number;
    Adr__Answer answer = ADR__ANSWER__INIT;
    answer.number = number;
    harness_message (&s_router, harness_address (1, ADR_NODE_DATA, ADR_ACTOR_REPLICATOR), ADR_NODE_DATA,
                     ADR__KIND__ANSWER, &answer.base, s_nothing);
    for (unsigned bit = 0; bit < 64; bit++)
        s_reply (1, number ^ UINT64_C (1) << bit, (s_say_t){ .status = ADR_STATUS_OK });
    s_reply (1, 0, (s_say_t){ .status = ADR_STATUS_OK });
    s_reply (1, UINT64_MAX, (s_say_t){ .status = ADR_STATUS_OK });
    s_assert_open ();
}

/* [EDGE-5] */
static void
test_what_is_wrong_is_said (void **state)
{
    (void) state;
    s_write_t *w;
#define S_REFUSES(change, size, expected)                      \
    do {                                                       \
        w = s_write ();                                        \
        change;                                                \
        harness_forget (&s_router);                            \
        s_ask (w, size);                                       \
        assert_int_equal (harness_count (&s_router, ADR__KIND__WRITE), 0); \
        s_assert_ended (expected);                             \
    } while (0)
    S_REFUSES (w->op[0].table = ADR_TABLE_GROUP, 10, ADR_STATUS_INVALID);
    S_REFUSES (w->op[0].table = 63, 10, ADR_STATUS_INVALID);
    S_REFUSES (w->op[0].table = ADR_TABLE_OBJECT, 10, ADR_STATUS_INVALID);
    S_REFUSES (w->op[0].table = ADR_TABLE_REGISTRY, 10, ADR_STATUS_DENIED);
    S_REFUSES (w->op[0].key.len = 0, 10, ADR_STATUS_INVALID);
    S_REFUSES (w->op[0].key.len = 0, 10, ADR_STATUS_INVALID);
    S_REFUSES (w->write.request.len = 0, 10, ADR_STATUS_INVALID);
    S_REFUSES (w->write.limit_ms = 0, 10, ADR_STATUS_INVALID);
    S_REFUSES (w->write.limit_ms = ADR_REQUEST_TIME_MAX_MS + 1, 10, ADR_STATUS_INVALID);
    S_REFUSES (w->write.age_ms = ADR_REQUEST_TIME_MAX_MS + 1, 10, ADR_STATUS_UNKNOWN);
    S_REFUSES (w->write.n_op = 0, 0, ADR_STATUS_INVALID);
    S_REFUSES ((void) 0, 11, ADR_STATUS_INVALID);
    S_REFUSES ((void) 0, 9, ADR_STATUS_INVALID);
    S_REFUSES (w->op[0].delete_ = true, 10, ADR_STATUS_INVALID);
    S_REFUSES (w->op[0].ttl_ms = ADR_TTL_MIN_MS - 1, 10, ADR_STATUS_INVALID);
    S_REFUSES (w->op[0].ttl_ms = (uint64_t) ADR_TTL_MAX_MS + 1, 10, ADR_STATUS_INVALID);
    S_REFUSES ((w->op[0].ttl_ms = 5000, w->op[0].table = ADR_TABLE_META), 10, ADR_STATUS_INVALID);
    S_REFUSES (w->op[0].table = ADR_TABLE_EXPIRY, 10, ADR_STATUS_INVALID);
    S_REFUSES (w->op[0].table = ADR_TABLE_SWEEP, 10, ADR_STATUS_INVALID);
    S_REFUSES (w->op[0].table = ADR_TABLE_GARBAGE, 10, ADR_STATUS_INVALID);
    S_REFUSES ((w->op[0].table = ADR_TABLE_GARBAGE, w->op[0].delete_ = true, w->op[0].value_size = 0), 0, ADR_STATUS_DENIED);
    S_REFUSES (w->op[0].table = ADR_TABLE_PENDING, 10, ADR_STATUS_INVALID);
    S_REFUSES (w->op[0].release = true, 10, ADR_STATUS_INVALID);
    S_REFUSES (w->op[0].sweep_epoch = 1, 10, ADR_STATUS_INVALID);
    S_REFUSES (w->op[0].table = ADR_TABLE_META, 10, ADR_STATUS_INVALID);
    S_REFUSES (w->op[0].condition = ADR__CONDITION__VERSION, 10, ADR_STATUS_INVALID);
    S_REFUSES ((w->write.n_op = 2, w->op[1].table = ADR_TABLE_META), 10, ADR_STATUS_INVALID);
    S_REFUSES ((w->write.n_op = 2, w->op[1].key = w->op[0].key), 10, ADR_STATUS_INVALID);
    S_REFUSES ((w->write.n_op = 2, w->key[1][4] = 'u'), 10, ADR_STATUS_INVALID);
    w = s_write ();
    w->write.n_op = 2;
    s_ask (w, 10); /* one tag: one partition */
    assert_int_equal (harness_count (&s_router, ADR__KIND__WRITE), 1);
}

/* [EDGE-5] DESIGN 13, invariant 11. */
static void
test_more_than_it_may_hold_is_refused_as_busy (void **state)
{
    (void) state;
    size_t asked = 0;
    while (harness_count (&s_router, ADR__KIND__ANSWER) == 0 && asked++ < 1000)
        s_ask (s_write (), 10);
    assert_true (asked > 100 && asked < 1000);
    const Adr__Answer *answer = (const Adr__Answer *) s_last (ADR__KIND__ANSWER)->header;
    assert_int_equal (answer->status, ADR_STATUS_REFUSED);
    assert_memory_equal (answer->text, "busy", 4);
    s_reply (1, ((const Adr__Write *) harness_sent (&s_router, ADR__KIND__WRITE, 0)->header)->number,
             (s_say_t){ .status = ADR_STATUS_OK });
    size_t count = harness_count (&s_router, ADR__KIND__WRITE);
    s_ask (s_write (), 10);
    assert_int_equal (harness_count (&s_router, ADR__KIND__WRITE), count + 1);
    harness_advance (&s_router, 20000 * ADR_MS);
}

static void
test_maps_given_out_in_a_turn_are_bounded (void **state) /* [EDGE-5] */
{
    (void) state;
    Adr__MapPull pull = ADR__MAP_PULL__INIT;
    for (int i = 0; i < 1000; i++)
        harness_message_more (&s_router, s_client, ADR_NODE_CLIENT, ADR__KIND__MAP_PULL, &pull.base, s_nothing);
    assert_in_range (harness_count (&s_router, ADR__KIND__MAP_PUSH), 1, 64);
    harness_message (&s_router, s_client, ADR_NODE_CLIENT, ADR__KIND__MAP_PULL, &pull.base, s_nothing);
    size_t count = harness_count (&s_router, ADR__KIND__MAP_PUSH);
    harness_message (&s_router, s_client, ADR_NODE_CLIENT, ADR__KIND__MAP_PULL, &pull.base, s_nothing);
    assert_int_equal (harness_count (&s_router, ADR__KIND__MAP_PUSH), count + 1);
}

static void
test_a_client_pulls_the_newest_map (void **state)
{
    (void) state;
    s_lead (2, 7);
    Adr__MapPull pull = ADR__MAP_PULL__INIT;
    pull.number = CLIENT_NUMBER;
    harness_message (&s_router, s_client, ADR_NODE_CLIENT, ADR__KIND__MAP_PULL, &pull.base, s_nothing);
    const Adr__MapPush *push = (const Adr__MapPush *) s_last (ADR__KIND__MAP_PUSH)->header;
    assert_int_equal (push->number, CLIENT_NUMBER);
    adr_map_t *map = adr_map_read (push->map);
    assert_non_null (map);
    assert_int_equal (map->node_count, 12);
    assert_int_equal (map->group[0].status.term, 7);
    assert_int_equal (map->group[0].status.age_ms, 0);
    adr_map_destroy (&map);
    harness_advance (&s_router, 6000 * ADR_MS); /* [MAP-6] */
    harness_message (&s_router, s_client, ADR_NODE_CLIENT, ADR__KIND__MAP_PULL, &pull.base, s_nothing);
    push = (const Adr__MapPush *) s_last (ADR__KIND__MAP_PUSH)->header;
    assert_int_equal (push->map->status[0]->age_ms, 6000);
}

static void
test_thousands_of_requests_end_each_at_its_own_time (void **state)
{
    (void) state;
    s_router.class->destroy (&s_router.actor);
    s_router.environment.settings.request_max_bytes = 64 << 20;
    s_router.actor = s_router.class->create (&s_router.environment);
    for (unsigned i = 0; i < 5000; i++) {
        s_write_t *w = s_write ();
        w->write.number = i;
        w->write.limit_ms = 1 + (i * 7919) % 500;
        s_ask (w, 10);
    }
    harness_advance (&s_router, 501 * ADR_MS);
    assert_int_equal (harness_count (&s_router, ADR__KIND__ANSWER), 5000);
    for (size_t i = 0; i < 5000; i++) {
        const harness_sent_t *sent = harness_sent (&s_router, ADR__KIND__ANSWER, i);
        const Adr__Answer *answer = (const Adr__Answer *) sent->header;
        assert_int_equal ((sent->at_ns / ADR_MS) - 1000000, 1 + (answer->number * 7919) % 500);
        if (i % 50 == 0) /* harness_sent walks: keep the test quick */
            i += 49;
    }
}

/* --- operators --------------------------------------------------------------------------------------------------- */

static const adr_address_t s_operator = { { { 0xef } }, ADR_ACTOR_CLIENT };

static void
s_ask_control_as (adr_node_type_t role, uint64_t number, adr_id_t node, Adr__ControlAction action, uint32_t limit_ms)
{
    Adr__Control control = ADR__CONTROL__INIT;
    adr_id_t liar = harness_id (0x77);
    control.number = number;
    control.node = adr_id_view (&node);
    control.action = action;
    control.for_ms = 5000;
    control.limit_ms = limit_ms;
    control.asker = adr_id_view (&liar); /* nobody else says who asks */
    control.asker_name = (char *) "liar";
    harness_message (&s_router, s_operator, role, ADR__KIND__CONTROL, &control.base, s_nothing);
}

static void
s_ask_control (uint64_t number, adr_id_t node, Adr__ControlAction action, uint32_t limit_ms)
{
    s_ask_control_as (ADR_NODE_ADMIN, number, node, action, limit_ms);
}

static const Adr__Control *
s_passed_on (adr_actor_kind_t actor)
{
    const harness_sent_t *sent = s_last (ADR__KIND__CONTROL);
    assert_int_equal (sent->to.actor, actor);
    return (const Adr__Control *) sent->header;
}

static void
s_node_answers (unsigned zone, uint64_t number)
{
    Adr__ControlAnswer answer = ADR__CONTROL_ANSWER__INIT;
    answer.number = number;
    answer.text = (char *) "begun";
    harness_message (&s_router, harness_address (zone, ADR_NODE_META, ADR_ACTOR_INVENTORY_SYNCER), ADR_NODE_META,
                     ADR__KIND__CONTROL_ANSWER, &answer.base, s_nothing);
}

static size_t
s_told (void)
{
    return harness_count (&s_router, ADR__KIND__CONTROL_ANSWER);
}

static adr_status_t
s_told_status (void)
{
    return (adr_status_t) ((const Adr__ControlAnswer *) s_last (ADR__KIND__CONTROL_ANSWER)->header)->status;
}

/* [USER-2] Whether that role's request is answered at once, as denied. */
static bool
s_is_denied (adr_node_type_t role, uint32_t table, bool write)
{
    Adr__Read read = ADR__READ__INIT;
    s_write_t *w = s_write ();
    adr_id_t origin = harness_id (0x77);
    harness_forget (&s_router);
    read.number = 3;
    read.table = table;
    read.key = adr_bytes_view (adr_bytes ("k", 1));
    read.limit_ms = 1000;
    read.origin = adr_id_view (&origin);
    w->op[0].table = table;
    harness_message (&s_router, s_client, role, write ? ADR__KIND__WRITE : ADR__KIND__READ, write ? &w->write.base : &read.base,
                     write ? adr_bytes ("0123456789", 10) : s_nothing);
    return harness_count (&s_router, ADR__KIND__ANSWER) == 1
           && ((const Adr__Answer *) s_last (ADR__KIND__ANSWER)->header)->status == ADR_STATUS_DENIED;
}

static void
test_a_role_reads_and_writes_what_it_may (void **state)
{
    (void) state;
    static const struct {
        adr_node_type_t role;
        bool pki, write;
    } s_rows[] = { { ADR_NODE_CLIENT, false, true }, { ADR_NODE_READER, true, false }, { ADR_NODE_OPERATOR, true, true },
                   { ADR_NODE_ADMIN, true, true } };
    for (size_t i = 0; i < sizeof s_rows / sizeof *s_rows; i++) {
        assert_int_equal (s_is_denied (s_rows[i].role, ADR_TABLE_AUDIT, false), !s_rows[i].pki);
        assert_int_equal (s_is_denied (s_rows[i].role, ADR_TABLE_CREDENTIAL, false), !s_rows[i].pki);
        assert_true (s_is_denied (s_rows[i].role, ADR_TABLE_CREDENTIAL, true));
        assert_false (s_is_denied (s_rows[i].role, ADR_TABLE_KV, false));
        assert_int_equal (s_is_denied (s_rows[i].role, ADR_TABLE_KV, true), !s_rows[i].write);
    }
}

/* [EDGE-7] To the node's actor and back, with who asked, once. */
static void
test_an_operator_s_question_goes_to_the_node_and_back (void **state)
{
    (void) state;
    s_router.user = "alice";
    s_router.users_known = 12;
    s_ask_control (5, s_meta (2).node, ADR__CONTROL_ACTION__REPAIR_PAUSE, 5000);
    const Adr__Control *passed = s_passed_on (ADR_ACTOR_INVENTORY_SYNCER);
    assert_int_equal (passed->for_ms, 5000);
    assert_memory_equal (passed->asker.data, s_operator.node.bytes, ADR_ID_SIZE);
    assert_string_equal (passed->asker_name, "alice"); /* [USER-5] */
    assert_int_equal (passed->users_known, 12);        /* [USER-6] */
    s_node_answers (3, passed->number); /* another node */
    s_node_answers (2, passed->number + 1);
    assert_int_equal (s_told (), 0);
    s_node_answers (2, passed->number);
    s_node_answers (2, passed->number);
    assert_int_equal (s_told (), 1);
    const Adr__ControlAnswer *answer = (const Adr__ControlAnswer *) s_last (ADR__KIND__CONTROL_ANSWER)->header;
    assert_int_equal (answer->number, 5);
    assert_string_equal (answer->text, "begun");
    s_ask_control (6, s_meta (2).node, ADR__CONTROL_ACTION__SCRUB, 5000);
    s_passed_on (ADR_ACTOR_SCRUBBER);
}

/* [EDGE-7] */
static void
test_what_an_operator_cannot_ask (void **state)
{
    (void) state;
    s_ask_control (1, harness_id (0x99), ADR__CONTROL_ACTION__REPAIR_RUN, 5000);
    assert_int_equal (s_told_status (), ADR_STATUS_INVALID);
    s_ask_control (2, harness_address (2, ADR_NODE_EDGE, 0).node, ADR__CONTROL_ACTION__REPAIR_RUN, 5000);
    assert_int_equal (s_told_status (), ADR_STATUS_INVALID);
    s_ask_control (3, s_meta (2).node, ADR__CONTROL_ACTION__REPAIR_RUN, 60001);
    s_ask_control (4, s_meta (2).node, ADR__CONTROL_ACTION__REPAIR_RUN, 0);
    assert_int_equal (s_told (), 4);
    assert_int_equal (s_told_status (), ADR_STATUS_INVALID);
    assert_int_equal (harness_count (&s_router, ADR__KIND__CONTROL), 0);
}

/* --- evictions ---------------------------------------------------------------------------------------------------- */

static adr_id_t
s_pki (unsigned zone)
{
    return harness_address (zone, ADR_NODE_PKI, 0).node;
}

/* The same map, as the edge of that zone sees it. */
static void
s_restart_in (unsigned zone)
{
    adr_environment_t environment = s_router.environment;
    environment.node = harness_address (zone, ADR_NODE_EDGE, 0).node;
    environment.map = s_map;
    harness_stop (&s_router);
    harness_start (&s_router, &adr_edge_router_class, &environment);
}

/* Asks, and says to which zone's PKI node that went. */
static unsigned
s_ask_to_evict (uint64_t number, adr_id_t node)
{
    size_t before = harness_count (&s_router, ADR__KIND__CONTROL);
    s_ask_control (number, node, ADR__CONTROL_ACTION__EVICT, 5000);
    assert_int_equal (harness_count (&s_router, ADR__KIND__CONTROL), before + 1);
    const Adr__Control *passed = s_passed_on (ADR_ACTOR_CERT_SIGNER);
    assert_int_equal (passed->action, ADR__CONTROL_ACTION__EVICT);
    assert_memory_equal (passed->node.data, node.bytes, ADR_ID_SIZE); /* whom it is about, not whom it goes to */
    assert_memory_equal (passed->asker.data, s_operator.node.bytes, ADR_ID_SIZE);
    for (unsigned zone = 1; zone <= 3; zone++) {
        adr_id_t pki = s_pki (zone);
        if (adr_id_equal (&s_last (ADR__KIND__CONTROL)->to.node, &pki))
            return zone;
    }
    fail_msg ("it did not go to a PKI node");
    return 0;
}

/* [EDGE-7, TRUST-3] */
static void
test_an_eviction_goes_to_the_own_zone_s_pki_node (void **state)
{
    (void) state;
    for (unsigned zone = 3; zone >= 1; zone--) { /* wherever that stands in the map */
        s_restart_in (zone);
        assert_int_equal (s_ask_to_evict (1, s_meta (2).node), zone);
        assert_int_equal (s_ask_to_evict (2, harness_address (1, ADR_NODE_DATA, 0).node), zone); /* a question of its own */
    }
}

/* [EDGE-7, TRUST-3] The first one may be down: each gets its turn, then the first again. */
static void
test_an_eviction_that_is_asked_again_goes_to_another_pki_node (void **state)
{
    (void) state;
    s_restart_in (2);
    bool asked[4] = { false };
    uint64_t number = 0;
    for (int i = 0; i < 3; i++) {
        unsigned zone = s_ask_to_evict (7, s_meta (1).node);
        assert_true (i > 0 || zone == 2);
        assert_false (asked[zone]);
        asked[zone] = true;
        assert_true (s_passed_on (ADR_ACTOR_CERT_SIGNER)->number > number);
        number = s_passed_on (ADR_ACTOR_CERT_SIGNER)->number;
    }
    assert_int_equal (s_ask_to_evict (7, s_meta (1).node), 2);
    assert_int_equal (s_ask_to_evict (8, s_meta (1).node), 2); /* another number is another question, ... */
    harness_advance (&s_router, 5001 * ADR_MS);
    assert_int_equal (s_ask_to_evict (7, s_meta (1).node), 2); /* ... and so is one whose limit has passed */
}

/* [EDGE-7] What is asked of a node stays with that node. */
static void
test_a_repeated_question_to_a_node_goes_to_no_other (void **state)
{
    (void) state;
    adr_id_t node = s_meta (2).node;
    for (int i = 0; i < 3; i++) {
        s_ask_control (7, node, ADR__CONTROL_ACTION__SCRUB, 5000);
        s_passed_on (ADR_ACTOR_SCRUBBER);
        assert_memory_equal (s_last (ADR__KIND__CONTROL)->to.node.bytes, node.bytes, ADR_ID_SIZE);
    }
}

/* [TRUST-3] Nor to one that has been evicted. */
static void
test_an_eviction_never_goes_to_whom_it_is_about (void **state)
{
    (void) state;
    bool asked[4] = { false };
    for (int i = 0; i < 6; i++)
        asked[s_ask_to_evict (7, s_pki (1))] = true; /* our own zone's */
    assert_false (asked[1]);
    assert_true (asked[2] && asked[3]);
    adr_id_t third = s_pki (3);
    ((adr_map_node_t *) adr_map_node (s_map, &third))->evicted = true;
    s_restart_in (1);
    for (int i = 0; i < 3; i++)
        assert_int_equal (s_ask_to_evict (7, s_pki (1)), 2);
    assert_int_equal (s_told (), 0);
    s_ask_control (8, s_pki (1), ADR__CONTROL_ACTION__REPAIR_RUN, 5000); /* that one is for the node itself */
    s_passed_on (ADR_ACTOR_INVENTORY_SYNCER);
    assert_memory_equal (s_last (ADR__KIND__CONTROL)->to.node.bytes, s_pki (1).bytes, ADR_ID_SIZE);
}

/* [TRUST-3] Nobody is there to sign that. */
static void
test_the_only_pki_node_cannot_be_evicted (void **state)
{
    (void) state;
    adr_map_destroy (&s_map);
    s_map = harness_map (1);
    s_restart_in (1);
    s_ask_control (1, s_pki (1), ADR__CONTROL_ACTION__EVICT, 5000);
    assert_int_equal (s_told_status (), ADR_STATUS_INVALID);
    assert_int_equal (harness_count (&s_router, ADR__KIND__CONTROL), 0);
    assert_int_equal (s_ask_to_evict (2, s_meta (1).node), 1);
}

/* [EDGE-7, TRUST-3] An edge holds no copies to be repaired, and can be evicted all the same; even this one. */
static void
test_an_edge_may_be_evicted_and_asked_nothing_else (void **state)
{
    (void) state;
    static const Adr__ControlAction others[]
        = { ADR__CONTROL_ACTION__REPAIR_RUN, ADR__CONTROL_ACTION__REPAIR_PAUSE, ADR__CONTROL_ACTION__SCRUB };
    assert_int_equal (s_ask_to_evict (1, harness_address (2, ADR_NODE_EDGE, 0).node), 1);
    assert_int_equal (s_ask_to_evict (2, harness_address (1, ADR_NODE_EDGE, 0).node), 1);
    harness_forget (&s_router);
    for (uint64_t i = 0; i < 3; i++) {
        s_ask_control (10 + i, harness_address (2, ADR_NODE_EDGE, 0).node, others[i], 5000);
        assert_int_equal (s_told (), i + 1);
        assert_int_equal (s_told_status (), ADR_STATUS_INVALID);
    }
    s_ask_control (20, harness_id (0x99), ADR__CONTROL_ACTION__EVICT, 5000); /* nobody's id */
    s_ask_control (21, s_meta (2).node, ADR__CONTROL_ACTION__EVICT, 0);
    s_ask_control (22, s_meta (2).node, ADR__CONTROL_ACTION__EVICT, 60001);
    assert_int_equal (s_told (), 6);
    assert_int_equal (s_told_status (), ADR_STATUS_INVALID);
    assert_int_equal (harness_count (&s_router, ADR__KIND__CONTROL), 0);
}

/* --- recovery ----------------------------------------------------------------------------------------------------- */

static void
s_ask_to_recover (adr_node_type_t role, uint64_t number, adr_bytes_t statement)
{
    Adr__Control control = ADR__CONTROL__INIT;
    control.number = number;
    control.action = ADR__CONTROL_ACTION__RECOVER;
    control.limit_ms = 5000;
    control.recovery = (ProtobufCBinaryData){ statement.size, (uint8_t *) statement.data };
    harness_message (&s_router, s_operator, role, ADR__KIND__CONTROL, &control.base, s_nothing);
}

/* [RECOVER-8] The PKI group's goes to its survivor, every time; others to any PKI node, in turn, and so does what is none. */
static void
test_a_statement_goes_to_whoever_can_act_on_it (void **state)
{
    (void) state;
    uint8_t bytes[ADR_RECOVERY_SIZE];
    adr_recovery_t recovery = { .cluster = harness_id (0xc1), .group = harness_id (0xb0 + ADR_NODE_PKI), .number = 1, .survivor = s_pki (3),
                                .incarnation = 1, .end = { 1, 1 }, .epoch = 1, .is_signed = true, .signed_ms = 1 };
    bool asked[4] = { false };
    for (int turn = 0; turn < 2; turn++) {
        adr_bytes_t statement = adr_bytes (bytes, adr_recovery_encode (&recovery, bytes));
        for (int i = 0; i < 4; i++) {
            s_ask_to_recover (ADR_NODE_ADMIN, 5 + (uint64_t) turn, statement);
            const Adr__Control *passed = s_passed_on (ADR_ACTOR_CERT_SIGNER);
            assert_true (passed->recovery.len == statement.size && memcmp (passed->recovery.data, bytes, statement.size) == 0);
            for (unsigned zone = 1; zone <= 3; zone++) {
                adr_id_t pki = s_pki (zone);
                asked[zone] |= adr_id_equal (&s_last (ADR__KIND__CONTROL)->to.node, &pki);
            }
        }
        assert_int_equal (asked[1] + asked[2] + asked[3], turn == 0 ? 1 : 3);
        assert_true (asked[3]);
        recovery.survivor = s_meta (1).node;
    }
    s_ask_to_recover (ADR_NODE_ADMIN, 9, s_nothing);
    s_passed_on (ADR_ACTOR_CERT_SIGNER); /* which says what is wrong with it */
}

/* [RECOVER-11] And what there is of a node is told by its replicator. */
static void
test_recovery_is_for_admins (void **state)
{
    (void) state;
    static const adr_node_type_t others[] = { ADR_NODE_OPERATOR, ADR_NODE_READER, ADR_NODE_CLIENT };
    for (uint64_t i = 0; i < 3; i++) {
        s_ask_to_recover (others[i], 5 + i, s_nothing);
        assert_int_equal (s_told_status (), ADR_STATUS_DENIED);
        s_ask_control_as (others[i], 15 + i, s_meta (2).node, ADR__CONTROL_ACTION__RECOVER_SHOW, 5000);
        assert_int_equal (s_told_status (), ADR_STATUS_DENIED);
    }
    assert_int_equal (s_told (), 6);
    assert_int_equal (harness_count (&s_router, ADR__KIND__CONTROL), 0);
    s_ask_control (8, s_meta (2).node, ADR__CONTROL_ACTION__RECOVER_SHOW, 5000);
    const Adr__Control *passed = s_passed_on (ADR_ACTOR_REPLICATOR);
    Adr__ControlAnswer answer = ADR__CONTROL_ANSWER__INIT;
    Adr__Survivor survivor = ADR__SURVIVOR__INIT;
    answer.number = passed->number;
    answer.survivor = &survivor;
    survivor.last_index = 77;
    harness_message (&s_router, s_meta (2), ADR_NODE_META, ADR__KIND__CONTROL_ANSWER, &answer.base, s_nothing);
    const Adr__ControlAnswer *told = (const Adr__ControlAnswer *) s_last (ADR__KIND__CONTROL_ANSWER)->header;
    assert_true (told->number == 8 && told->survivor && told->survivor->last_index == 77);
}

static void
s_pki_answers (unsigned zone, uint64_t number, adr_status_t status, const char *text)
{
    Adr__ControlAnswer answer = ADR__CONTROL_ANSWER__INIT;
    answer.number = number;
    answer.status = status;
    answer.text = (char *) text;
    harness_message (&s_router, harness_address (zone, ADR_NODE_PKI, ADR_ACTOR_CERT_SIGNER), ADR_NODE_PKI,
                     ADR__KIND__CONTROL_ANSWER, &answer.base, s_nothing);
}

/* [EDGE-7, TRUST-3] Of whom was asked last, once; the node that is evicted has no say in it. */
static void
test_what_the_pki_node_says_of_an_eviction_goes_to_the_operator (void **state)
{
    (void) state;
    assert_int_equal (s_ask_to_evict (7, s_meta (2).node), 1);
    uint64_t first = s_passed_on (ADR_ACTOR_CERT_SIGNER)->number;
    unsigned other = s_ask_to_evict (7, s_meta (2).node);
    uint64_t second = s_passed_on (ADR_ACTOR_CERT_SIGNER)->number;
    s_node_answers (2, second);
    s_pki_answers (1, first, ADR_STATUS_OK, "evicted"); /* too late: the operator asks on, and hears it from the other */
    s_pki_answers (1, second, ADR_STATUS_OK, "evicted");
    assert_int_equal (s_told (), 0);
    s_pki_answers (other, second, ADR_STATUS_REFUSED, "it is needed");
    s_pki_answers (other, second, ADR_STATUS_OK, "evicted");
    assert_int_equal (s_told (), 1);
    const harness_sent_t *sent = s_last (ADR__KIND__CONTROL_ANSWER);
    const Adr__ControlAnswer *answer = (const Adr__ControlAnswer *) sent->header;
    assert_memory_equal (sent->to.node.bytes, s_operator.node.bytes, ADR_ID_SIZE);
    assert_int_equal (sent->to.actor, ADR_ACTOR_CLIENT);
    assert_int_equal (answer->number, 7);
    assert_int_equal (answer->status, ADR_STATUS_REFUSED);
    assert_string_equal (answer->text, "it is needed");
    assert_int_equal (s_ask_to_evict (7, s_meta (2).node), 1); /* answered: the next one is a new question */
}

/* [USER-2] */
static void
test_a_role_does_what_it_may_and_nothing_else (void **state)
{
    (void) state;
    static const struct {
        Adr__ControlAction action;
        bool operators;
    } s_rows[] = { { ADR__CONTROL_ACTION__REPAIR_RUN, true },  { ADR__CONTROL_ACTION__REPAIR_PAUSE, true },
                   { ADR__CONTROL_ACTION__SCRUB, true },       { ADR__CONTROL_ACTION__DEMOTE, true },
                   { ADR__CONTROL_ACTION__PROMOTE, true },     { ADR__CONTROL_ACTION__EVICT, false },
                   { ADR__CONTROL_ACTION__TOKEN, false },      { ADR__CONTROL_ACTION__KEY_CREATE, false },
                   { ADR__CONTROL_ACTION__KEY_DISABLE, false }, { ADR__CONTROL_ACTION__KEY_ENABLE, false },
                   { ADR__CONTROL_ACTION__KEY_DELETE, false }, { ADR__CONTROL_ACTION__KEY_ROTATE, false },
                   { ADR__CONTROL_ACTION__KEY_GRANT, false },  { ADR__CONTROL_ACTION__KEY_REVOKE, false },
                   { ADR__CONTROL_ACTION__TOKEN_WITHDRAW, false }, { ADR__CONTROL_ACTION__GROUP_CREATE, false },
                   { ADR__CONTROL_ACTION__SETTINGS_SET, false },
                   { ADR__CONTROL_ACTION__SETTINGS_RESET, false } };
    static const adr_node_type_t s_roles[] = { ADR_NODE_CLIENT, ADR_NODE_READER, ADR_NODE_OPERATOR, ADR_NODE_ADMIN };
    uint64_t number = 0;
    s_restart_in (2);
    for (size_t i = 0; i < sizeof s_rows / sizeof *s_rows; i++)
        for (size_t role = 0; role < 4; role++) {
            harness_forget (&s_router);
            s_ask_control_as (s_roles[role], ++number, s_meta (2).node, s_rows[i].action, 5000);
            bool may = s_roles[role] == ADR_NODE_ADMIN || (s_roles[role] == ADR_NODE_OPERATOR && s_rows[i].operators);
            if (may)
                assert_int_equal (harness_count (&s_router, ADR__KIND__CONTROL), 1);
            else
                assert_int_equal (s_told_status (), ADR_STATUS_DENIED);
            assert_int_equal (harness_count (&s_router, ADR__KIND__CONTROL) + s_told (), 1);
        }
}

/* [EDGE-7, GROUP-2] About no node: all of its tokens to a PKI node, and back. */
static void
test_a_set_of_tokens_goes_to_a_pki_node_and_back (void **state)
{
    (void) state;
    Adr__Control control = ADR__CONTROL__INIT;
    Adr__ControlAnswer kept = ADR__CONTROL_ANSWER__INIT;
    Adr__Token token[2] = { ADR__TOKEN__INIT, ADR__TOKEN__INIT }, *pointer[2] = { &token[0], &token[1] };
    token[0].zone_name = (char *) "z1";
    token[1].zone_name = (char *) "z2";
    control.number = 9;
    control.action = ADR__CONTROL_ACTION__GROUP_CREATE;
    control.limit_ms = 5000;
    control.n_token_set = kept.n_token_set = 2;
    control.token_set = kept.token_set = pointer;
    s_restart_in (2);
    harness_message (&s_router, s_operator, ADR_NODE_ADMIN, ADR__KIND__CONTROL, &control.base, s_nothing);
    const Adr__Control *passed = s_passed_on (ADR_ACTOR_CERT_SIGNER);
    assert_int_equal (passed->n_token_set, 2);
    assert_string_equal (passed->token_set[1]->zone_name, "z2");
    kept.number = passed->number;
    token[1].name = (char *) "data2@z2";
    harness_message (&s_router, harness_address (2, ADR_NODE_PKI, ADR_ACTOR_CERT_SIGNER), ADR_NODE_PKI, ADR__KIND__CONTROL_ANSWER,
                     &kept.base, s_nothing);
    const Adr__ControlAnswer *answer = (const Adr__ControlAnswer *) s_last (ADR__KIND__CONTROL_ANSWER)->header;
    assert_int_equal (answer->number, 9);
    assert_int_equal (answer->n_token_set, 2);
    assert_string_equal (answer->token_set[1]->name, "data2@z2");
}

/* [EDGE-7, KEY-3] About no node: to our zone's PKI node, to another one when it is asked again, the question as it was; and back. */
static void
test_a_key_s_change_goes_to_a_pki_node_and_back (void **state)
{
    (void) state;
    s_restart_in (2);
    for (int action = ADR__CONTROL_ACTION__KEY_CREATE; action <= ADR__CONTROL_ACTION__KEY_REVOKE; action++) {
        Adr__Control control = ADR__CONTROL__INIT;
        Adr__Credential credential = ADR__CREDENTIAL__INIT;
        adr_id_t question = harness_id (0x51);
        credential.access_key = (char *) "ALICE";
        credential.secret = (char *) "0123456789abcdef";
        credential.question = adr_id_view (&question);
        control.number = 100 + (uint64_t) action;
        control.action = (Adr__ControlAction) action;
        control.limit_ms = 5000;
        control.credential = &credential;
        for (int again = 0; again < 2; again++) {
            harness_message (&s_router, s_operator, ADR_NODE_ADMIN, ADR__KIND__CONTROL, &control.base, s_nothing);
            const Adr__Control *passed = s_passed_on (ADR_ACTOR_CERT_SIGNER);
            adr_id_t to = s_last (ADR__KIND__CONTROL)->to.node, home = s_pki (2);
            assert_int_equal (adr_id_equal (&to, &home), again == 0);
            assert_int_equal (passed->action, action);
            assert_string_equal (passed->credential->secret, "0123456789abcdef");
            assert_memory_equal (passed->credential->question.data, question.bytes, ADR_ID_SIZE);
            assert_memory_equal (passed->asker.data, s_operator.node.bytes, ADR_ID_SIZE);
        }
        Adr__ControlAnswer answer = ADR__CONTROL_ANSWER__INIT;
        answer.number = s_passed_on (ADR_ACTOR_CERT_SIGNER)->number;
        answer.credential = &credential;
        harness_message (&s_router, (adr_address_t){ s_last (ADR__KIND__CONTROL)->to.node, ADR_ACTOR_CERT_SIGNER }, ADR_NODE_PKI,
                         ADR__KIND__CONTROL_ANSWER, &answer.base, s_nothing);
        const Adr__ControlAnswer *told = (const Adr__ControlAnswer *) s_last (ADR__KIND__CONTROL_ANSWER)->header;
        assert_int_equal (told->number, control.number);
        assert_string_equal (told->credential->access_key, "ALICE");
    }
}

/* [EDGE-7, SET-1] The same of settings. */
static void
test_settings_go_to_a_pki_node_as_they_were_asked (void **state)
{
    (void) state;
    Adr__Control control = ADR__CONTROL__INIT;
    Adr__Setting setting[2] = { ADR__SETTING__INIT, ADR__SETTING__INIT }, *pointer[2] = { &setting[0], &setting[1] };
    setting[0].name = (char *) "gc.grace";
    setting[1].name = (char *) "timing.of-tomorrow"; /* PKI nodes judge names, not edges */
    setting[1].value = 7;
    control.number = 9;
    control.action = ADR__CONTROL_ACTION__SETTINGS_SET;
    control.limit_ms = 5000;
    control.n_setting = 2;
    control.setting = pointer;
    control.if_epoch = 4;
    s_restart_in (2);
    for (int again = 0; again < 2; again++) {
        harness_message (&s_router, s_operator, ADR_NODE_ADMIN, ADR__KIND__CONTROL, &control.base, s_nothing);
        const Adr__Control *passed = s_passed_on (ADR_ACTOR_CERT_SIGNER);
        adr_id_t to = s_last (ADR__KIND__CONTROL)->to.node, home = s_pki (2);
        assert_int_equal (adr_id_equal (&to, &home), again == 0);
        assert_int_equal (passed->n_setting, 2);
        assert_string_equal (passed->setting[1]->name, "timing.of-tomorrow");
        assert_int_equal (passed->setting[1]->value, 7);
        assert_int_equal (passed->if_epoch, 4);
        assert_memory_equal (passed->asker.data, s_operator.node.bytes, ADR_ID_SIZE);
    }
}

/* [EDGE-7] A question that is repeated keeps its place; places are given up at the limit. */
static void
test_operators_questions_are_bounded (void **state)
{
    (void) state;
    for (uint64_t i = 1; i <= 512; i++)
        s_ask_control (i, s_meta (2).node, ADR__CONTROL_ACTION__REPAIR_RUN, 5000);
    assert_int_equal (s_told (), 0);
    s_ask_control (512, s_meta (2).node, ADR__CONTROL_ACTION__REPAIR_RUN, 5000);
    assert_int_equal (s_told (), 0);
    assert_int_equal (harness_count (&s_router, ADR__KIND__CONTROL), 513);
    s_ask_control (513, s_meta (2).node, ADR__CONTROL_ACTION__REPAIR_RUN, 5000);
    assert_int_equal (s_told_status (), ADR_STATUS_REFUSED);
    uint64_t number = s_passed_on (ADR_ACTOR_INVENTORY_SYNCER)->number;
    harness_advance (&s_router, 5001 * ADR_MS);
    s_node_answers (2, number); /* nobody waits for it any more */
    assert_int_equal (s_told (), 1);
    s_ask_control (513, s_meta (2).node, ADR__CONTROL_ACTION__REPAIR_RUN, 5000);
    assert_int_equal (s_told (), 1);
    assert_int_equal (harness_count (&s_router, ADR__KIND__CONTROL), 514);
}

static void
s_assert_limit (uint32_t limit_ms)
{
    s_write_t *w = s_write ();
    w->write.number++;
    w->request[0]++;
    w->write.limit_ms = 5000;
    s_ask (w, 10);
    assert_int_equal (((const Adr__Write *) s_last (ADR__KIND__WRITE)->header)->limit_ms, limit_ms);
}

/* [SET-2, SET-3] The cluster's limit of a write, from the next one on; set no more, this host's own. */
static void
test_a_write_has_the_cluster_s_limit (void **state)
{
    (void) state;
    s_assert_limit (5000);
    harness_tell_setting (&s_router, s_map, "timing.write-timeout", 2000);
    s_assert_limit (2000);
    harness_tell_setting (&s_router, s_map, "timing.write-timeout", 50); /* out of range: passed over */
    s_assert_limit (5000);
    harness_tell_setting (&s_router, s_map, "timing.write-timeout", 3000);
    s_map->epoch -= 2; /* an old map, late */
    adr_setting_remove (s_map, "timing.write-timeout");
    harness_tell_map (&s_router, s_map);
    s_assert_limit (3000);
    s_map->epoch += 2;
    harness_tell_map (&s_router, s_map);
    s_assert_limit (5000);
}

int
main (void)
{
#define S_TEST(name) cmocka_unit_test_setup_teardown (name, s_setup, s_teardown)
    const struct CMUnitTest tests[] = {
        S_TEST (test_a_write_has_the_cluster_s_limit),
        S_TEST (test_a_role_reads_and_writes_what_it_may),
        S_TEST (test_a_role_does_what_it_may_and_nothing_else),
        S_TEST (test_an_operator_s_question_goes_to_the_node_and_back),
        S_TEST (test_what_an_operator_cannot_ask),
        S_TEST (test_a_key_s_change_goes_to_a_pki_node_and_back),
        S_TEST (test_settings_go_to_a_pki_node_as_they_were_asked),
        S_TEST (test_operators_questions_are_bounded),
        S_TEST (test_an_eviction_goes_to_the_own_zone_s_pki_node),
        S_TEST (test_an_eviction_that_is_asked_again_goes_to_another_pki_node),
        S_TEST (test_a_repeated_question_to_a_node_goes_to_no_other),
        S_TEST (test_an_eviction_never_goes_to_whom_it_is_about),
        S_TEST (test_the_only_pki_node_cannot_be_evicted),
        S_TEST (test_an_edge_may_be_evicted_and_asked_nothing_else),
        S_TEST (test_what_the_pki_node_says_of_an_eviction_goes_to_the_operator),
        S_TEST (test_a_write_goes_to_the_master_if_it_is_known_else_to_the_own_zone),
        S_TEST (test_reads_and_lists_stay_in_the_own_zone),
        S_TEST (test_the_answer_goes_to_the_asker_with_its_number_and_the_request_is_forgotten),
        S_TEST (test_a_hint_is_followed_at_once_and_learned),
        S_TEST (test_without_a_hint_another_node_is_tried_after_a_pause_that_grows),
        S_TEST (test_silence_is_tried_elsewhere_with_the_same_request_id),
        S_TEST (test_a_read_is_repeated_sooner_and_the_first_answer_counts),
        S_TEST (test_a_new_master_gets_what_waits_elsewhere),
        S_TEST (test_a_term_may_be_heard_of_before_its_master),
        S_TEST (test_a_silent_write_ends_unknown),
        S_TEST (test_a_write_that_every_node_refused_ends_refused),
        S_TEST (test_one_silent_try_among_refusals_ends_unknown),
        S_TEST (test_a_master_that_says_unknown_leaves_the_try_open),
        S_TEST (test_busy_is_passed_on_if_it_is_sure),
        S_TEST (test_a_conflict_without_an_entry_is_believed_only_with_all_tries_answered),
        S_TEST (test_a_conflict_with_an_entry_is_sure),
        S_TEST (test_a_stamp_is_what_was_known_when_the_token_was_given),
        S_TEST (test_a_write_that_is_refused_unread_goes_back),
        S_TEST (test_a_write_that_is_refused_unread_beside_an_open_try_is_unknown),
        S_TEST (test_a_set_of_tokens_goes_to_a_pki_node_and_back),
        S_TEST (test_reads_end_in_a_timeout),
        S_TEST (test_a_list_answer_is_passed_on),
        S_TEST (test_a_drained_edge_says_so_and_serves_on),
        S_TEST (test_a_list_goes_on_behind_tombstones),
        S_TEST (test_answers_of_strangers_are_dropped),
        S_TEST (test_what_is_wrong_is_said),
        S_TEST (test_a_statement_goes_to_whoever_can_act_on_it),
        S_TEST (test_recovery_is_for_admins),
        S_TEST (test_more_than_it_may_hold_is_refused_as_busy),
        S_TEST (test_a_client_pulls_the_newest_map),
        S_TEST (test_maps_given_out_in_a_turn_are_bounded),
        S_TEST (test_thousands_of_requests_end_each_at_its_own_time),
    };
    return cmocka_run_group_tests (tests, NULL, NULL);
}
