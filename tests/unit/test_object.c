/* SPDX-License-Identifier: MPL-2.0 */
/* Objects over a session: what becomes visible when, what is deleted after which outcome, and crash points: the writer
 * is cut off, refused and left in doubt at each of its requests in turn. */

#include "client/object.h"
#include "core/actor.h"

#include "fake_store.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define S_MIB (1024 * 1024)

typedef struct {
    adr_id_t cluster, object;
    fake_store_t *store;
    adr_session_t *session;
    int64_t now_ms;
    int ready, done;
    adr_status_t ready_status, status;
    adr_object_info_t info;
    fake_fate_t fate;       /* of request number fate_at, and of its repetitions if it is lost */
    uint64_t fate_at;
    bool fate_for_ever;
} s_world_t;

static int
s_set_up (void **state)
{
    s_world_t *world = adr_alloc (sizeof *world);
    memset (world->cluster.bytes, 7, ADR_ID_SIZE);
    memset (world->object.bytes, 0xab, ADR_ID_SIZE);
    world->store = fake_store_new (&world->cluster);
    world->session = adr_session_new (&world->cluster, &world->cluster, 42, 64 * S_MIB, fake_store_send,
                                      world->store);
    *state = world;
    return 0;
}

static int
s_tear_down (void **state)
{
    s_world_t *world = *state;
    adr_session_destroy (&world->session);
    fake_store_destroy (&world->store);
    free (world);
    return 0;
}

static void
s_pump_once (s_world_t *world, int64_t step_ms)
{
    world->now_ms += step_ms;
    fake_store_deliver (world->store, world->session, world->now_ms * ADR_MS);
}

/* Until nothing is asked any more; `step_ms` large lets time limits pass. */
static void
s_pump (s_world_t *world, int64_t step_ms)
{
    for (int i = 0; adr_session_pending (world->session) > 0; i++) {
        assert_true (i < 1000);
        s_pump_once (world, step_ms);
    }
}

static fake_fate_t
s_fate (void *argument, const fake_request_t *request)
{
    s_world_t *world = argument;
    if (request->number == world->fate_at || (world->fate_for_ever && request->number > world->fate_at))
        return world->fate;
    return FAKE_DO;
}

static void
s_ready (void *argument, adr_status_t status, const char *text)
{
    s_world_t *world = argument;
    assert_non_null (text);
    world->ready++;
    world->ready_status = status;
}

static void
s_done (void *argument, adr_status_t status, const char *text, const adr_object_info_t *info)
{
    s_world_t *world = argument;
    assert_true (status == ADR_STATUS_OK || strlen (text) > 0);
    world->done++;
    world->status = status;
    if (info)
        world->info = *info;
}

static const uint8_t *
s_data (void)
{
    static uint8_t *s_bytes;
    static uint8_t s_room[6 * S_MIB];
    if (!s_bytes) {
        adr_random_t random = { 5 };
        for (size_t i = 0; i < sizeof s_room; i += 8)
            adr_put_u64 (s_room + i, adr_random_next (&random));
        s_bytes = s_room;
    }
    return s_bytes;
}

static adr_object_writer_t *
s_writer (s_world_t *world)
{
    static const adr_attribute_t s_attributes[]
        = { { "content-type", "text/plain" }, { "x-amz-meta-colour", "blue" } };
    world->ready = world->done = 0;
    world->ready_status = ADR_STATUS_OK;
    return adr_object_writer_new (world->session, "bucket", adr_bytes ("k", 1), &world->object, s_attributes, 2,
                                  s_ready, world);
}

/* Gives the writer all of the bytes, in pieces of an odd size; false if it failed. */
static bool
s_feed (s_world_t *world, adr_object_writer_t *writer, size_t size)
{
    for (size_t at = 0; at < size;) {
        size_t part = size - at < 99991 ? size - at : 99991;
        size_t taken = adr_object_writer_write (writer, s_data () + at, part);
        at += taken;
        int seen = world->ready;
        for (int i = 0; taken < part && world->ready == seen; i++) {
            assert_true (i < 1000);
            s_pump_once (world, 100);
        }
        if (world->ready_status != ADR_STATUS_OK)
            return false;
    }
    return true;
}

/* A whole put; its outcome. */
static adr_status_t
s_put (s_world_t *world, size_t size, Adr__Condition condition)
{
    adr_object_writer_t *writer = s_writer (world);
    if (!s_feed (world, writer, size)) {
        adr_object_writer_abort (&writer);
        s_pump (world, 1000);
        return world->ready_status;
    }
    adr_object_writer_end (writer, "0123456789abcdef", 1440938160000, condition, NULL, s_done, world);
    s_pump (world, 1000);
    assert_int_equal (world->done, 1);
    return world->status;
}

static size_t
s_leftovers (s_world_t *world)
{
    return fake_store_count (world->store, ADR_TABLE_OBJECT) + fake_store_count (world->store, ADR_TABLE_CHUNK);
}

static void
s_read_back (s_world_t *world, uint64_t offset, uint64_t length, size_t expected)
{
    uint8_t piece[70000];
    size_t at = 0;
    world->ready = 0;
    adr_object_reader_t *reader = adr_object_reader_new (world->session, &world->info, offset, length, s_ready, world);
    for (int i = 0; at < expected; i++) {
        assert_true (i < 10000);
        ssize_t size = adr_object_reader_read (reader, piece, sizeof piece);
        assert_true (size >= 0);
        if (size == 0)
            s_pump_once (world, 1);
        assert_memory_equal (piece, s_data () + offset + at, (size_t) size);
        at += (size_t) size;
    }
    s_pump (world, 1);
    assert_int_equal (adr_object_reader_read (reader, piece, sizeof piece), 0);
    assert_true (expected > 0 || world->ready > 0);
    adr_object_reader_destroy (&reader);
}

/* --- the layouts ---------------------------------------------------------------------------------------------- */

static void
a_small_object_stands_in_its_header (void **state)
{
    s_world_t *world = *state;
    assert_int_equal (s_put (world, ADR_OBJECT_INLINE_MAX, ADR__CONDITION__ALWAYS), ADR_STATUS_OK);
    assert_int_equal (fake_store_count (world->store, ADR_TABLE_OBJECT), 1);
    assert_int_equal (fake_store_count (world->store, ADR_TABLE_CHUNK), 0);
    assert_int_equal (world->info.chunk_size, 0);
    s_read_back (world, 0, ADR_OBJECT_INLINE_MAX, ADR_OBJECT_INLINE_MAX);
    s_read_back (world, 1000, 77, 77);
}

static void
a_large_object_is_chunks (void **state)
{
    s_world_t *world = *state;
    size_t size = 5 * S_MIB + 17;
    assert_int_equal (s_put (world, size, ADR__CONDITION__ALWAYS), ADR_STATUS_OK);
    assert_int_equal (fake_store_count (world->store, ADR_TABLE_CHUNK), 6);
    s_read_back (world, 0, size, size);
    s_read_back (world, S_MIB - 1, 2, 2);
    s_read_back (world, 2 * S_MIB, S_MIB, S_MIB);
    s_read_back (world, size - 3, 1000, 3);
    s_read_back (world, size, 10, 0);
    s_read_back (world, 5, 0, 0);
}

static void
a_description_has_everything (void **state)
{
    s_world_t *world = *state;
    assert_int_equal (s_put (world, 2 * S_MIB, ADR__CONDITION__ALWAYS), ADR_STATUS_OK);
    adr_object_info_t put = world->info;
    adr_object_describe (world->session, "bucket", adr_bytes ("k", 1), s_done, world);
    s_pump (world, 1);
    assert_int_equal (world->info.size, 2 * S_MIB);
    assert_string_equal (world->info.etag, "0123456789abcdef");
    assert_int_equal (world->info.attribute_count, 2);
    assert_int_equal (adr_version_compare (&world->info.version, &put.version), 0);
    assert_int_equal (world->info.modified_ms, 1440938160000);
    assert_int_equal (put.modified_ms, 1440938160000);
    assert_true (adr_id_equal (&world->info.object, &world->object));
    adr_object_describe_by_id (world->session, &world->object, s_done, world);
    s_pump (world, 1);
    assert_int_equal (world->info.size, 2 * S_MIB);
    adr_object_describe (world->session, "bucket", adr_bytes ("other", 5), s_done, world);
    s_pump (world, 1);
    assert_int_equal (world->status, ADR_STATUS_NOT_FOUND);
}

/* --- what an outcome leaves behind ---------------------------------------------------------------------------- */

/* [OBJECT-3] the old objectId goes to the garbage table in the entry that replaces or deletes it */
static void
what_is_replaced_is_released (void **state)
{
    s_world_t *world = *state;
    assert_int_equal (s_put (world, 100, ADR__CONDITION__ALWAYS), ADR_STATUS_OK);
    world->object.bytes[0] = 1;
    assert_int_equal (s_put (world, 200, ADR__CONDITION__ALWAYS), ADR_STATUS_OK);
    assert_int_equal (fake_store_count (world->store, ADR_TABLE_META), 1);
    assert_int_equal (fake_store_count (world->store, ADR_TABLE_GARBAGE), 1);
    adr_object_remove (world->session, "bucket", adr_bytes ("k", 1), ADR__CONDITION__ALWAYS, NULL, s_done, world);
    s_pump (world, 1);
    assert_int_equal (world->status, ADR_STATUS_OK);
    assert_int_equal (fake_store_count (world->store, ADR_TABLE_META), 0);
    assert_int_equal (fake_store_count (world->store, ADR_TABLE_GARBAGE), 2);
    adr_object_remove (world->session, "bucket", adr_bytes ("k", 1), ADR__CONDITION__ALWAYS, NULL, s_done, world);
    s_pump (world, 1);
    assert_int_equal (world->status, ADR_STATUS_NOT_FOUND);
}

/* [OBJECT-2] a sure conflict: the upload is deleted again, the older object stays */
static void
a_lost_condition_leaves_nothing (void **state)
{
    s_world_t *world = *state;
    assert_int_equal (s_put (world, 100, ADR__CONDITION__ALWAYS), ADR_STATUS_OK);
    world->object.bytes[0] = 1;
    assert_int_equal (s_put (world, 3 * S_MIB + 5, ADR__CONDITION__ABSENT), ADR_STATUS_CONFLICT);
    assert_int_equal (s_leftovers (world), 1);
    assert_int_equal (fake_store_count (world->store, ADR_TABLE_META), 1);
    assert_int_equal (fake_store_count (world->store, ADR_TABLE_GARBAGE), 0);
}

/* [OBJECT-5] an id that is taken is refused, and what stands there is not touched */
static void
a_taken_id_is_not_overwritten (void **state)
{
    s_world_t *world = *state;
    assert_int_equal (s_put (world, 3 * S_MIB, ADR__CONDITION__ALWAYS), ADR_STATUS_OK);
    size_t before = s_leftovers (world);
    assert_int_equal (s_put (world, 2 * S_MIB + 7, ADR__CONDITION__ALWAYS), ADR_STATUS_REFUSED);
    assert_int_equal (s_put (world, 10, ADR__CONDITION__ALWAYS), ADR_STATUS_REFUSED);
    assert_int_equal (s_leftovers (world), before);
    s_read_back (world, 0, 0, 0);
}

/* The requests of a put of 5 chunks: sweep epoch 1, chunks 2 to 6, header 7, meta record 8. */
#define S_CHUNKED (4 * S_MIB + 99)
#define S_META_AT 8

static void
s_script (s_world_t *world, fake_fate_t fate, uint64_t at, bool for_ever)
{
    world->fate = fate;
    world->fate_at = fake_store_requests (world->store) + at;
    world->fate_for_ever = for_ever;
    fake_store_set_fate (world->store, s_fate, world);
}

static void
a_refusal_at_each_step_leaves_nothing (void **state)
{
    s_world_t *world = *state;
    for (uint64_t at = 1; at <= S_META_AT; at++) {
        s_script (world, FAKE_REFUSE, at, false);
        assert_int_equal (s_put (world, S_CHUNKED, ADR__CONDITION__ALWAYS), ADR_STATUS_REFUSED);
        assert_int_equal (fake_store_count (world->store, ADR_TABLE_META), 0);
        assert_int_equal (s_leftovers (world), 0);
    }
}

/* A lost answer, or a lost request: the retry settles it. */
static void
a_loss_at_each_step_is_retried (void **state)
{
    s_world_t *world = *state;
    for (uint64_t at = 1; at <= 2 * S_META_AT; at++) {
        world->object.bytes[0] = (uint8_t) at;
        s_script (world, at > S_META_AT ? FAKE_LOSE : FAKE_LOSE_ANSWER, (at - 1) % S_META_AT + 1, false);
        assert_int_equal (s_put (world, S_CHUNKED, ADR__CONDITION__ALWAYS), ADR_STATUS_OK);
        assert_int_equal (fake_store_count (world->store, ADR_TABLE_META), 1);
        assert_int_equal (fake_store_count (world->store, ADR_TABLE_CHUNK), 5 * at);
    }
}

/* The cluster falls silent at each step: the put fails; nothing of it is visible unless its meta record was on its way,
 * and what may be named is never deleted [OBJECT-2]. */
static void
silence_at_each_step_is_survived (void **state)
{
    s_world_t *world = *state;
    for (uint64_t at = 1; at <= S_META_AT; at++)
        for (int done = 0; done <= 1; done++) {
            world->object.bytes[0] = (uint8_t) (2 * at + (uint64_t) done);
            s_script (world, done ? FAKE_LOSE_ANSWER : FAKE_LOSE, at, true);
            assert_int_equal (s_put (world, S_CHUNKED, ADR__CONDITION__ALWAYS),
                              at == 1 ? ADR_STATUS_REFUSED : ADR_STATUS_UNKNOWN);
            bool visible = at == S_META_AT && done;
            assert_int_equal (fake_store_count (world->store, ADR_TABLE_META), visible);
            if (at == S_META_AT)
                assert_true (fake_store_has (world->store, ADR_TABLE_OBJECT,
                                             adr_bytes (world->object.bytes, ADR_ID_SIZE)));
        }
}

/* The owner aborts after each step; what it had uploaded goes, and no callback comes. */
static void
an_abort_after_each_step_leaves_nothing (void **state)
{
    s_world_t *world = *state;
    for (int steps = 0; steps < 12; steps++)
        for (int end = 0; end <= 1; end++) {
            adr_object_writer_t *writer = s_writer (world);
            world->object.bytes[0]++;
            s_script (world, FAKE_HOLD, 1, true);
            bool fed = s_feed (world, writer, 3 * S_MIB + 5);
            assert_true (fed);
            if (end)
                adr_object_writer_end (writer, "e", 0, ADR__CONDITION__ALWAYS, NULL, s_done, world);
            for (int i = 0; i < steps && world->done == 0; i++) {
                fake_store_release (world->store);
                s_pump_once (world, 1);
            }
            bool gone = world->done > 0;
            int called = world->ready + world->done;
            if (!gone)
                adr_object_writer_abort (&writer);
            for (int i = 0; adr_session_pending (world->session) > 0; i++) {
                assert_true (i < 100);
                fake_store_release (world->store);
                s_pump_once (world, 1);
            }
            assert_int_equal (world->ready + world->done, called);
            size_t meta = fake_store_count (world->store, ADR_TABLE_META);
            assert_true (gone ? meta == 1 : end && steps > 1 ? meta <= 1 : meta == 0);
            if (meta == 0)
                assert_int_equal (s_leftovers (world), 0);
            fake_store_set_fate (world->store, NULL, NULL);
            adr_object_remove (world->session, "bucket", adr_bytes ("k", 1), ADR__CONDITION__ALWAYS, NULL, s_done,
                               world);
            s_pump (world, 1);
            if (meta)
                for (uint64_t chunk = 0; chunk < 4; chunk++) {
                    uint8_t key[ADR_KEY_MAX];
                    adr_id_t id = world->object;
                    id.bytes[0]--;
                    fake_store_lose (world->store, ADR_TABLE_CHUNK, adr_bytes (key, adr_chunk_key (key, &id, chunk)));
                    if (chunk == 0)
                        fake_store_lose (world->store, ADR_TABLE_OBJECT, adr_bytes (id.bytes, ADR_ID_SIZE));
                }
        }
}

/* --- wrong, and damaged --------------------------------------------------------------------------------------- */

static void
wrong_names_fail_by_callback (void **state)
{
    s_world_t *world = *state;
    static char s_long[1100];
    memset (s_long, 'x', sizeof s_long - 1);
    world->ready_status = ADR_STATUS_OK;
    adr_object_writer_t *writer = adr_object_writer_new (world->session, "", adr_bytes ("k", 1), &world->object, NULL, 0,
                                                         s_ready, world);
    assert_int_equal (adr_object_writer_write (writer, "x", 1), 0);
    assert_int_equal (world->ready, 0);
    s_pump (world, 1);
    assert_int_equal (world->ready_status, ADR_STATUS_INVALID);
    adr_object_writer_abort (&writer);
    writer = adr_object_writer_new (world->session, "b", adr_bytes (s_long, 1025), &world->object, NULL, 0, s_ready,
                                    world);
    adr_object_writer_end (writer, "e", 0, ADR__CONDITION__ALWAYS, NULL, s_done, world);
    assert_int_equal (world->done, 0);
    s_pump (world, 1);
    assert_int_equal (world->status, ADR_STATUS_INVALID);
    assert_int_equal (fake_store_requests (world->store), 0);
}

static void
a_missing_chunk_is_a_failure (void **state)
{
    s_world_t *world = *state;
    uint8_t key[ADR_KEY_MAX], piece[1000];
    assert_int_equal (s_put (world, 3 * S_MIB, ADR__CONDITION__ALWAYS), ADR_STATUS_OK);
    fake_store_lose (world->store, ADR_TABLE_CHUNK, adr_bytes (key, adr_chunk_key (key, &world->object, 2)));
    adr_object_reader_t *reader = adr_object_reader_new (world->session, &world->info, 0, 3 * S_MIB, s_ready, world);
    s_pump (world, 1);
    assert_int_equal (adr_object_reader_read (reader, piece, sizeof piece), -1);
    assert_int_equal (world->ready_status, ADR_STATUS_DAMAGED);
    adr_object_reader_destroy (&reader);
    /* A chunk of another size is no chunk of this object. */
    world->info.size += 5;
    reader = adr_object_reader_new (world->session, &world->info, 2 * S_MIB - 10, 5, s_ready, world);
    s_pump (world, 1);
    assert_int_equal (adr_object_reader_read (reader, piece, sizeof piece), 5);
    adr_object_reader_destroy (&reader);
}

static void
a_reader_may_go_at_any_time (void **state)
{
    s_world_t *world = *state;
    uint8_t piece[1000];
    assert_int_equal (s_put (world, 5 * S_MIB, ADR__CONDITION__ALWAYS), ADR_STATUS_OK);
    for (int steps = 0; steps < 4; steps++) {
        adr_object_reader_t *reader = adr_object_reader_new (world->session, &world->info, 0, 5 * S_MIB, s_ready,
                                                             world);
        for (int i = 0; i < steps; i++) {
            s_pump_once (world, 1);
            assert_true (adr_object_reader_read (reader, piece, sizeof piece) >= 0);
        }
        int called = world->ready;
        adr_object_reader_destroy (&reader);
        s_pump (world, 1);
        assert_int_equal (world->ready, called);
    }
}

/* --- records -------------------------------------------------------------------------------------------------- */

static void
records_are_read_back (void **state)
{
    (void) state;
    adr_object_info_t info = { .size = 12345678901, .chunk_size = ADR_CHUNK_SIZE, .etag = "e-3", .modified_ms = 99,
                               .attribute_count = 1, .attribute = { { "a", "b" } } }, read;
    adr_buffer_t value = { 0 };
    adr_arena_t arena;
    adr_bytes_t data;
    adr_arena_init (&arena, 4096, 64 * 1024);
    memset (info.object.bytes, 9, ADR_ID_SIZE);
    adr_meta_record_write (&value, &info);
    assert_true (adr_meta_record_read (&read, adr_bytes (value.data, value.size), &arena));
    assert_int_equal (read.size, info.size);
    assert_int_equal (read.modified_ms, 99);
    assert_string_equal (read.attribute[0].value, "b");
    adr_buffer_clear (&value);
    info.chunk_size = 1; /* whoever deletes it would look for as many chunks as it has bytes */
    adr_meta_record_write (&value, &info);
    assert_false (adr_meta_record_read (&read, adr_bytes (value.data, value.size), &arena));
    adr_buffer_clear (&value);
    info.size = 5;
    info.chunk_size = 0;
    adr_object_header_write (&value, &info, "bucket", adr_bytes ("k", 1));
    adr_buffer_append (&value, "12345", 5);
    assert_true (adr_object_header_read (&read, &data, adr_bytes (value.data, value.size), &arena));
    assert_int_equal (data.size, 5);
    assert_false (adr_object_header_read (&read, &data, adr_bytes (value.data, value.size - 1), &arena));
    adr_buffer_free (&value);
    adr_arena_free (&arena);
}

/* Every truncation, and many bit flips: answered, whatever they are. */
static void
damaged_records_are_answered (void **state)
{
    (void) state;
    adr_object_info_t info = { .size = 5, .etag = "e", .attribute_count = 2,
                               .attribute = { { "content-type", "b" }, { "c", "d" } } }, read;
    adr_buffer_t value = { 0 };
    adr_arena_t arena;
    adr_bytes_t data;
    adr_random_t random = { 3 };
    adr_arena_init (&arena, 4096, 64 * 1024);
    adr_object_header_write (&value, &info, "bucket", adr_bytes ("k", 1));
    adr_buffer_append (&value, "12345", 5);
    for (size_t size = 0; size < value.size; size++) {
        adr_arena_reset (&arena);
        assert_false (adr_object_header_read (&read, &data, adr_bytes (value.data, size), &arena));
    }
    for (int i = 0; i < 20000; i++) {
        size_t at = (size_t) adr_random_between (&random, 0, (int64_t) value.size - 1);
        uint8_t bit = (uint8_t) (1 << adr_random_between (&random, 0, 7));
        value.data[at] ^= bit;
        adr_arena_reset (&arena);
        if (adr_object_header_read (&read, &data, adr_bytes (value.data, value.size), &arena))
            assert_true (data.size == read.size && read.attribute_count <= ADR_OBJECT_ATTRIBUTES_MAX);
        (void) !adr_meta_record_read (&read, adr_bytes (value.data + 4, value.size - 4), &arena);
        if (i % 3)
            value.data[at] ^= bit;
    }
    adr_buffer_free (&value);
    adr_arena_free (&arena);
}

int
main (void)
{
#define S_TEST(name) cmocka_unit_test_setup_teardown (name, s_set_up, s_tear_down)
    const struct CMUnitTest tests[] = {
        S_TEST (a_small_object_stands_in_its_header),
        S_TEST (a_large_object_is_chunks),
        S_TEST (a_description_has_everything),
        S_TEST (what_is_replaced_is_released),
        S_TEST (a_lost_condition_leaves_nothing),
        S_TEST (a_taken_id_is_not_overwritten),
        S_TEST (a_refusal_at_each_step_leaves_nothing),
        S_TEST (a_loss_at_each_step_is_retried),
        S_TEST (silence_at_each_step_is_survived),
        S_TEST (an_abort_after_each_step_leaves_nothing),
        S_TEST (wrong_names_fail_by_callback),
        S_TEST (a_missing_chunk_is_a_failure),
        S_TEST (a_reader_may_go_at_any_time),
        cmocka_unit_test (records_are_read_back),
        cmocka_unit_test (damaged_records_are_answered),
    };
    return cmocka_run_group_tests_name ("object", tests, NULL, NULL);
}
