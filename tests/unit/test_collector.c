/* SPDX-License-Identifier: MPL-2.0 */
/* The collector beside writers that put, overwrite, delete, give up and die, while requests and answers get lost, are refused
 * or come late: what a record names is whole at every moment, and in the end nothing else is left [OBJECT-1 to OBJECT-4]. */

#include "actor_harness.h"
#include "client/object.h"
#include "fake_store.h"
#include "wire/map_codec.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define S_COLLECTORS 2
#define S_SESSIONS 2
#define S_INBOX 1024
#define S_WRITERS 4
#define S_KEYS 3
#define S_STEPS 400
#define S_GRACE_MS 1000
#define S_INTERVAL_MS 8000
#define S_PUMP_MS 50
#define S_CHUNKS 3
#define S_EPOCH_PUMPS 40
#define S_UNHEARD_MS 15000 /* longer than a request's limit */

typedef struct {
    adr_object_writer_t *writer;
    uint32_t session;
    size_t left; /* bytes that it still has to write */
    bool full;   /* waits for ready */
    bool ended, over;
    adr_status_t status;
} s_writer_t;

/* A process that asks: its session, or its collector, and what it was answered. */
typedef struct {
    bool dead; /* nothing leaves it any more */
    size_t count;
    adr_buffer_t answer[S_INBOX];
} s_asker_t;

static struct {
    adr_random_t random;
    adr_map_t *map;
    fake_store_t *store;
    harness_t collector[S_COLLECTORS];
    adr_session_t *session[S_SESSIONS]; /* either dies now and then, and another takes its place */
    s_asker_t asker[S_SESSIONS + S_COLLECTORS];
    s_writer_t writer[S_WRITERS];
    adr_buffer_t read;    /* a meta record that somebody has read, ... */
    int64_t read_until_ns; /* and until when its object must be there [OBJECT-4] */
    int64_t now_ns;
    uint64_t objects;
    bool faults;
    int64_t unheard_ns; /* until then nobody hears what became of his meta record */
} s_world;

static uint64_t
s_draw (uint64_t count)
{
    return adr_random_next (&s_world.random) % count;
}

/* --- the wires -------------------------------------------------------------------------------------------------- */

static fake_fate_t
s_fate (void *argument, const fake_request_t *request)
{
    (void) argument;
    uint64_t draw = s_draw (100);
    if (!s_world.faults)
        return FAKE_DO;
    if (request->kind == ADR__KIND__WRITE && request->table == ADR_TABLE_META && s_world.now_ns < s_world.unheard_ns)
        return FAKE_LOSE_ANSWER;
    return draw < 4 ? FAKE_LOSE : draw < 8 ? FAKE_LOSE_ANSWER : draw < 11 ? FAKE_REFUSE : draw < 14 ? FAKE_HOLD : FAKE_DO;
}

/* The store answers at once, or, what it held, nobody. */
static bool
s_send (void *argument, adr_bytes_t pack)
{
    s_asker_t *asker = argument;
    if (asker->dead)
        return false;
    bool sent = fake_store_send (s_world.store, pack);
    while (asker->count < S_INBOX && fake_store_take (s_world.store, &asker->answer[asker->count]))
        asker->count++;
    return sent;
}

static void
s_forget_answers (s_asker_t *asker)
{
    while (asker->count)
        adr_buffer_free (&asker->answer[--asker->count]);
}

static adr_session_t *
s_session_new (s_asker_t *asker)
{
    adr_id_t cluster = harness_id (0xc1), node = harness_id (0x77);
    s_forget_answers (asker);
    asker->dead = false;
    return adr_session_new (&cluster, &node, adr_random_next (&s_world.random), UINT64_C (1) << 30, s_send, asker);
}

static void
s_pack_one (adr_buffer_t *pack, adr_actor_kind_t from, adr_actor_kind_t to, uint16_t kind, const ProtobufCMessage *header,
            adr_bytes_t payload)
{
    adr_envelope_t envelope = { .cluster = harness_id (0xc1), .from_actor = from, .to_actor = to };
    adr_pack_begin (pack, &envelope);
    adr_pack_add (pack, kind, header, payload);
}

/* A router answers in the end, whatever became of the request. */
static void
s_give_up (s_asker_t *asker, const harness_sent_t *sent)
{
    Adr__Answer answer = ADR__ANSWER__INIT;
    Adr__ListAnswer list_answer = ADR__LIST_ANSWER__INIT;
    adr_buffer_t *pack = &asker->answer[asker->count++];
    bool write = sent->kind == ADR__KIND__WRITE;
    answer.status = write ? ADR_STATUS_UNKNOWN : ADR_STATUS_TIMEOUT;
    answer.number = write ? ((const Adr__Write *) sent->header)->number : ((const Adr__Read *) sent->header)->number;
    list_answer.status = ADR_STATUS_TIMEOUT;
    list_answer.number = ((const Adr__List *) sent->header)->number;
    if (sent->kind == ADR__KIND__LIST)
        s_pack_one (pack, ADR_ACTOR_EDGE_ROUTER, ADR_ACTOR_CLIENT, ADR__KIND__LIST_ANSWER, &list_answer.base, adr_bytes (NULL, 0));
    else
        s_pack_one (pack, ADR_ACTOR_EDGE_ROUTER, ADR_ACTOR_CLIENT, ADR__KIND__ANSWER, &answer.base, adr_bytes (NULL, 0));
}

/* What the collector asked goes to the store. */
static void
s_carry (harness_t *collector, s_asker_t *asker)
{
    for (size_t i = 0; i < collector->sent_count; i++) {
        const harness_sent_t *sent = &collector->sent[i];
        adr_buffer_t pack = { 0 };
        size_t before = asker->count;
        s_pack_one (&pack, ADR_ACTOR_CLIENT, ADR_ACTOR_EDGE_ROUTER, sent->kind, sent->header, sent->payload);
        assert_true (s_send (asker, adr_bytes (pack.data, pack.size)));
        if (asker->count == before)
            s_give_up (asker, sent);
        adr_buffer_free (&pack);
    }
    harness_forget (collector);
}

static void
s_tell_collector (harness_t *collector, adr_bytes_t pack)
{
    adr_pack_reader_t reader;
    adr_item_t item;
    adr_arena_t arena;
    adr_arena_init (&arena, 4096, 1 << 20);
    assert_true (adr_pack_open (&reader, pack));
    while (adr_pack_next (&reader, &item) == 1) {
        const ProtobufCMessage *header = adr_header_decode (&item, &arena);
        adr_address_t from = { collector->environment.node, ADR_ACTOR_EDGE_ROUTER };
        if (item.kind == ADR__KIND__ANSWER || item.kind == ADR__KIND__LIST_ANSWER)
            harness_message (collector, from, ADR_NODE_EDGE, item.kind, header, item.payload);
    }
    adr_arena_free (&arena);
}

/* What an answer makes them ask is asked at once, and answered in the next one. */
static void
s_pump (void)
{
    s_world.now_ns += S_PUMP_MS * ADR_MS;
    fake_store_advance (s_world.store, S_PUMP_MS);
    for (int i = 0; i < S_COLLECTORS; i++) {
        s_asker_t *asker = &s_world.asker[S_SESSIONS + i];
        harness_advance (&s_world.collector[i], S_PUMP_MS * ADR_MS);
        for (size_t n = asker->count; n > 0; n--)
            s_tell_collector (&s_world.collector[i], adr_bytes (asker->answer[n - 1].data, asker->answer[n - 1].size));
        s_forget_answers (asker);
        s_carry (&s_world.collector[i], asker);
    }
    for (int i = 0; i < S_SESSIONS; i++) {
        s_asker_t *asker = &s_world.asker[i];
        for (size_t n = 0; n < asker->count; n++)
            adr_session_receive (s_world.session[i], adr_bytes (asker->answer[n].data, asker->answer[n].size));
        s_forget_answers (asker);
        adr_session_tick (s_world.session[i], s_world.now_ns);
    }
}

/* --- writers ---------------------------------------------------------------------------------------------------- */

static void
s_ready (void *argument, adr_status_t status, const char *text)
{
    s_writer_t *writer = argument;
    (void) text;
    writer->full = false;
    if (status != ADR_STATUS_OK)
        writer->status = status;
}

static void
s_done (void *argument, adr_status_t status, const char *text, const adr_object_info_t *info)
{
    s_writer_t *writer = argument;
    (void) text;
    (void) info;
    writer->over = true;
    writer->status = status;
}

static size_t
s_key (char key[8])
{
    return (size_t) snprintf (key, 8, "k%u", (unsigned) s_draw (S_KEYS));
}

static void
s_begin (s_writer_t *writer)
{
    adr_id_t object = { .bytes = { 0 } };
    char key[8];
    size_t size = s_key (key);
    *writer = (s_writer_t){ .session = (uint32_t) s_draw (S_SESSIONS) };
    adr_put_u64 (object.bytes, ++s_world.objects);
    adr_put_u64 (object.bytes + 8, adr_random_next (&s_world.random));
    writer->left = s_draw (3) ? s_draw (200) : ADR_CHUNK_SIZE * s_draw (S_CHUNKS) + s_draw (ADR_CHUNK_SIZE);
    writer->writer = adr_object_writer_new (s_world.session[writer->session], "bucket", adr_bytes (key, size), &object, NULL, 0,
                                            s_ready, writer);
}

/* A part of what it has to write, or the end, or it gives up. */
static void
s_go_on (s_writer_t *writer)
{
    static uint8_t s_bytes[ADR_CHUNK_SIZE];
    if (writer->over) {
        writer->writer = NULL;
        return;
    }
    if (writer->ended)
        return;
    if (writer->status != ADR_STATUS_OK || s_draw (25) == 0) {
        adr_object_writer_abort (&writer->writer);
        return;
    }
    if (writer->full)
        return;
    if (writer->left) {
        size_t part = writer->left < sizeof s_bytes ? writer->left : sizeof s_bytes;
        size_t taken = adr_object_writer_write (writer->writer, s_bytes, part);
        writer->left -= taken;
        writer->full = taken < part;
    } else {
        writer->ended = true;
        adr_object_writer_end (writer->writer, "e", 1, ADR__CONDITION__ALWAYS, NULL, s_done, writer);
    }
}

static void
s_removed (void *argument, adr_status_t status, const char *text, const adr_object_info_t *info)
{
    (void) argument;
    (void) status;
    (void) text;
    (void) info;
}

static void
s_remove (void)
{
    char key[8];
    size_t size = s_key (key);
    adr_object_remove (s_world.session[s_draw (S_SESSIONS)], "bucket", adr_bytes (key, size), ADR__CONDITION__ALWAYS, NULL, s_removed,
                       NULL);
}

/* A process ends: what it sent is on its way, nothing else leaves it any more. */
static void
s_kill (uint32_t session)
{
    s_world.asker[session].dead = true;
    for (int i = 0; i < S_WRITERS; i++)
        if (s_world.writer[i].writer && s_world.writer[i].session == session && !s_world.writer[i].over) {
            if (s_world.writer[i].ended)
                s_world.writer[i].over = true;
            else
                adr_object_writer_abort (&s_world.writer[i].writer);
            s_world.writer[i].writer = NULL;
        }
    adr_session_destroy (&s_world.session[session]);
    s_world.session[session] = s_session_new (&s_world.asker[session]);
}

/* What came late is done, and its answers reach nobody any more. */
static void
s_release (void)
{
    adr_buffer_t answer = { 0 };
    fake_store_release (s_world.store);
    while (fake_store_take (s_world.store, &answer))
        adr_buffer_free (&answer);
}

/* --- what must hold ----------------------------------------------------------------------------------------------- */

static bool
s_find (uint8_t table, adr_bytes_t wanted, adr_bytes_t *value)
{
    adr_bytes_t key;
    for (size_t n = 0; fake_store_nth (s_world.store, table, n, &key, value); n++)
        if (adr_bytes_equal (key, wanted))
            return true;
    return false;
}

/* What the record names is there, all of it; returns its chunks. */
static uint64_t
s_assert_whole (adr_bytes_t value)
{
    adr_object_info_t meta, header;
    adr_bytes_t found, data;
    adr_arena_t arena;
    uint8_t key[ADR_KEY_MAX];
    adr_arena_init (&arena, 4096, 1 << 20);
    assert_true (adr_meta_record_read (&meta, value, &arena));
    if (!s_find (ADR_TABLE_OBJECT, adr_bytes (meta.object.bytes, ADR_ID_SIZE), &found))
        fail_msg ("a record names an object that is gone");
    assert_true (adr_object_header_read (&header, &data, found, &arena));
    if (header.condemned)
        fail_msg ("a record names an object that is being deleted");
    uint64_t chunks = adr_object_chunks (meta.size, meta.chunk_size);
    for (uint64_t i = 0; i < chunks; i++)
        if (!s_find (ADR_TABLE_CHUNK, adr_bytes (key, adr_chunk_key (key, &meta.object, i)), &found))
            fail_msg ("a record names an object that has lost a chunk");
    adr_arena_free (&arena);
    return chunks;
}

static uint64_t
s_assert_all_whole (void)
{
    adr_bytes_t key, value;
    uint64_t chunks = 0;
    for (size_t n = 0; fake_store_nth (s_world.store, ADR_TABLE_META, n, &key, &value); n++)
        chunks += s_assert_whole (value);
    return chunks;
}

/* Somebody reads a record, and then its object for as long as the grace time lasts. */
static void
s_read (void)
{
    adr_bytes_t key, value;
    if (s_world.now_ns < s_world.read_until_ns)
        s_assert_whole (adr_bytes (s_world.read.data, s_world.read.size));
    else if (fake_store_nth (s_world.store, ADR_TABLE_META, s_draw (S_KEYS), &key, &value)) {
        adr_buffer_clear (&s_world.read);
        adr_buffer_append (&s_world.read, value.data, value.size);
        s_world.read_until_ns = s_world.now_ns + S_GRACE_MS * ADR_MS;
    }
}

/* --- worlds ------------------------------------------------------------------------------------------------------- */

static void
s_collectors_start (void)
{
    for (unsigned i = 0; i < S_COLLECTORS; i++) {
        adr_environment_t environment = { .cluster = harness_id (0xc1), .map = s_world.map, .type = ADR_NODE_EDGE,
                                          .seed = adr_random_next (&s_world.random) };
        adr_settings_default (&environment.settings);
        environment.settings.gc_grace_ns = S_GRACE_MS * ADR_MS;
        environment.settings.sweep_interval_ns = S_INTERVAL_MS * ADR_MS;
        environment.node = harness_address (i + 1, ADR_NODE_EDGE, ADR_ACTOR_COLLECTOR).node;
        harness_start (&s_world.collector[i], &adr_collector_class, &environment);
    }
}

static void
s_start (uint64_t seed)
{
    memset (&s_world, 0, sizeof s_world);
    s_world.random.state = seed;
    s_world.map = harness_map (3);
    for (uint32_t i = 0; i < s_world.map->group_count; i++) /* zone 1 leads */
        s_world.map->group[i].status.master = harness_address (1, s_world.map->group[i].type, ADR_ACTOR_REPLICATOR).node;
    adr_id_t cluster = harness_id (0xc1);
    s_world.store = fake_store_new (&cluster);
    fake_store_set_fate (s_world.store, s_fate, NULL);
    for (int i = 0; i < S_SESSIONS; i++)
        s_world.session[i] = s_session_new (&s_world.asker[i]);
    s_collectors_start ();
    s_world.now_ns = s_world.collector[0].now_ns;
    s_world.faults = true;
}

static void
s_stop (void)
{
    for (int i = 0; i < S_SESSIONS; i++)
        adr_session_destroy (&s_world.session[i]);
    for (int i = 0; i < S_SESSIONS + S_COLLECTORS; i++)
        s_forget_answers (&s_world.asker[i]);
    for (int i = 0; i < S_COLLECTORS; i++)
        harness_stop (&s_world.collector[i]);
    adr_buffer_free (&s_world.read);
    fake_store_destroy (&s_world.store);
    adr_map_destroy (&s_world.map);
}

/* No request lives for half a day. */
static void
s_pass_epochs (int count)
{
    s_release ();
    for (int i = 0; i < count; i++) {
        fake_store_raise (s_world.store);
        for (int k = 0; k < S_EPOCH_PUMPS; k++)
            s_pump ();
    }
}

static void
s_step (void)
{
    uint64_t draw = s_draw (100);
    s_writer_t *writer = &s_world.writer[s_draw (S_WRITERS)];
    if (draw < 70 && writer->writer == NULL)
        s_begin (writer);
    else if (draw < 70)
        s_go_on (writer);
    else if (draw < 75)
        s_remove ();
    else if (draw < 76)
        s_kill ((uint32_t) s_draw (S_SESSIONS));
    else if (draw < 79)
        s_release ();
    else if (draw < 82)
        s_pass_epochs (1);
    else if (draw < 83)
        s_pass_epochs (5);
    else if (draw < 84)
        s_world.unheard_ns = s_world.now_ns + S_UNHEARD_MS * ADR_MS;
    s_pump ();
    s_assert_all_whole ();
    s_read ();
}

/* Epochs pass, and what is due is done: looks in which something failed are over after half a minute. */
static void
s_settle (void)
{
    s_world.faults = false;
    s_release ();
    for (uint32_t i = 0; i < S_SESSIONS; i++)
        s_kill (i);
    for (int i = 0; i < 8; i++) {
        fake_store_raise (s_world.store);
        for (int k = 0; k < 1000; k++)
            s_pump ();
    }
}

static void
test_nothing_is_lost_and_nothing_stays (void **state)
{
    (void) state;
    const char *seeds = getenv ("ADR_SEEDS"); /* as many from 1 on; the check takes a few */
    uint64_t last = seeds ? strtoull (seeds, NULL, 10) : 20;
    for (uint64_t seed = 1; seed <= last; seed++) {
        s_start (seed);
        for (int i = 0; i < S_STEPS; i++)
            s_step ();
        s_settle ();
        uint64_t chunks = s_assert_all_whole ();
        print_message ("seed %llu: records=%zu objects=%zu chunks=%zu garbage=%zu pending=%zu %s\n", (unsigned long long) seed,
                       fake_store_count (s_world.store, ADR_TABLE_META), fake_store_count (s_world.store, ADR_TABLE_OBJECT),
                       fake_store_count (s_world.store, ADR_TABLE_CHUNK), fake_store_count (s_world.store, ADR_TABLE_GARBAGE),
                       fake_store_count (s_world.store, ADR_TABLE_PENDING), s_world.collector[0].note);
        assert_int_equal (fake_store_count (s_world.store, ADR_TABLE_OBJECT), fake_store_count (s_world.store, ADR_TABLE_META));
        assert_int_equal (fake_store_count (s_world.store, ADR_TABLE_CHUNK), chunks);
        assert_int_equal (fake_store_count (s_world.store, ADR_TABLE_GARBAGE), 0);
        assert_int_equal (fake_store_count (s_world.store, ADR_TABLE_PENDING), 0);
        s_stop ();
    }
}

static void
s_written (void *argument, const adr_reply_t *reply)
{
    (void) argument;
    assert_int_equal (reply->status, ADR_STATUS_OK);
}

/* [OBJECT-4] An upload was swept before it had a header, and its id was used again: the row of the first one is not the end of
 * the second. */
static void
test_a_row_that_waits_for_the_end_of_a_named_object (void **state)
{
    (void) state;
    adr_id_t object = { .bytes = { 7 } };
    s_writer_t writer = { .left = 0 };
    uint8_t row[ADR_PENDING_KEY_SIZE], named[ADR_KEY_MAX];
    s_start (1);
    s_world.faults = false;
    writer.writer = adr_object_writer_new (s_world.session[0], "bucket", adr_bytes ("k0", 2), &object, NULL, 0, s_ready, &writer);
    adr_object_writer_end (writer.writer, "e", 1, ADR__CONDITION__ALWAYS, NULL, s_done, &writer);
    for (int i = 0; i < 10; i++)
        s_pump ();
    assert_true (writer.over && writer.status == ADR_STATUS_OK);
    adr_pending_key (row, 0, &object);
    adr_session_op_t op = { .table = ADR_TABLE_PENDING, .key = adr_bytes (row, sizeof row),
                            .value = adr_bytes (named, adr_meta_key (named, "bucket", adr_bytes ("k0", 2))) };
    adr_session_write (s_world.session[0], &op, 1, 0, s_written, NULL);
    for (int i = 0; i < 200; i++)
        s_pump ();
    assert_int_equal (fake_store_count (s_world.store, ADR_TABLE_META), 1);
    s_assert_all_whole ();
    assert_false (fake_store_has (s_world.store, ADR_TABLE_PENDING, adr_bytes (row, sizeof row)));
    s_stop ();
}

/* The collectors hear that a group of that type goes on alone. */
static void
s_recover (adr_node_type_t type)
{
    adr_arena_t arena;
    Adr__MapChanged changed = ADR__MAP_CHANGED__INIT;
    for (uint32_t i = 0; i < s_world.map->group_count; i++) {
        adr_map_group_t *group = &s_world.map->group[i];
        adr_recovery_t recovery = { .cluster = s_world.map->cluster, .group = group->id, .number = 1, .survivor = harness_id (0x12),
                                    .incarnation = 1, .end = { 1, 1 }, .epoch = 2, .is_signed = true, .signed_ms = 1 };
        if (group->type == type)
            group->recovery_size = adr_recovery_encode (&recovery, group->recovery);
    }
    adr_arena_init (&arena, 4096, 1 << 20);
    adr_map_unseal (s_world.map);
    s_world.map->epoch++;
    changed.map = adr_map_message (s_world.map, &arena);
    for (int i = 0; i < S_COLLECTORS; i++)
        harness_message (&s_world.collector[i], (adr_address_t){ s_world.collector[i].environment.node, ADR_ACTOR_MAP_KEEPER }, ADR_NODE_EDGE,
                         ADR__KIND__MAP_CHANGED, &changed.base, adr_bytes (NULL, 0));
    adr_arena_free (&arena);
}

/* How many objects and released values stay, of writers some of whom gave up, when groups of that type were recovered, or none. */
static void
s_leave_lying (adr_node_type_t recovered, size_t *unnamed, size_t *garbage)
{
    s_start (3);
    for (int i = 0; i < S_STEPS; i++)
        s_step ();
    s_world.faults = false;
    if (recovered)
        s_recover (recovered);
    s_settle ();
    s_assert_all_whole ();
    *unnamed = fake_store_count (s_world.store, ADR_TABLE_OBJECT) - fake_store_count (s_world.store, ADR_TABLE_META);
    *garbage = fake_store_count (s_world.store, ADR_TABLE_GARBAGE);
    s_stop ();
}

/* [RECOVER-10] A meta group that was recovered may have lost the records that named them; a data group, which of its objects it had. */
static void
test_a_recovered_group_is_left_alone (void **state)
{
    (void) state;
    size_t unnamed, garbage;
    s_leave_lying ((adr_node_type_t) 0, &unnamed, &garbage);
    assert_int_equal (unnamed + garbage, 0);
    s_leave_lying (ADR_NODE_META, &unnamed, &garbage);
    assert_true (unnamed > 0 && garbage > 0);
    s_leave_lying (ADR_NODE_DATA, &unnamed, &garbage);
    assert_true (unnamed > 0 && garbage == 0);
}

int
main (void)
{
#ifdef ADR_PLANTS /* planted_objects.sh */
    adr_planted = getenv ("ADR_PLANTED");
#endif
    const struct CMUnitTest tests[] = { cmocka_unit_test (test_a_row_that_waits_for_the_end_of_a_named_object),
                                        cmocka_unit_test (test_a_recovered_group_is_left_alone),
                                        cmocka_unit_test (test_nothing_is_lost_and_nothing_stays) };
    return cmocka_run_group_tests (tests, NULL, NULL);
}
