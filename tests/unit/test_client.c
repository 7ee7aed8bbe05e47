/* SPDX-License-Identifier: MPL-2.0 */
/* libadrestia over real sockets, with an in-memory store behind them: all of the public API, fail-over, threads. */

#include "adrestia.h"

#include "fake_edge.h"

#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#define S_LARGE (9 * 1024 * 1024 + 12345)

typedef struct {
    adr_id_t cluster;
    fake_store_t *store;
    fake_edge_t *edge[2];
    char folder[64], profile[128];
    adr_client_t *client;
} s_world_t;

static int
s_set_up (void **state)
{
    s_world_t *world = adr_alloc (sizeof *world);
    char error[256];
    memset (world->cluster.bytes, 3, ADR_ID_SIZE);
    world->store = fake_store_new (&world->cluster);
    world->edge[0] = fake_edge_new (world->store, 0);
    world->edge[1] = fake_edge_new (world->store, 0);
    strcpy (world->folder, "/tmp/adr-test-XXXXXX");
    assert_non_null (mkdtemp (world->folder));
    fake_edge_write_profile (world->folder, &world->cluster, world->edge, 2, world->profile, sizeof world->profile);
    world->client = adr_client_open (world->profile, error, sizeof error);
    if (!world->client)
        fail_msg ("%s", error);
    *state = world;
    return 0;
}

static int
s_tear_down (void **state)
{
    s_world_t *world = *state;
    char path[128];
    adr_client_destroy (&world->client);
    fake_store_set_hint (world->store, NULL); /* it is an edge's */
    fake_edge_destroy (&world->edge[0]);
    fake_edge_destroy (&world->edge[1]);
    fake_store_destroy (&world->store);
    unlink (world->profile);
    snprintf (path, sizeof path, "%s/client.key", world->folder);
    unlink (path);
    rmdir (world->folder);
    free (world);
    return 0;
}

static double
s_seconds (void)
{
    struct timespec now;
    clock_gettime (CLOCK_MONOTONIC, &now);
    return (double) now.tv_sec + (double) now.tv_nsec / 1e9;
}

static void
values_come_and_go (void **state)
{
    s_world_t *world = *state;
    adr_client_version_t version = { 0 }, stale;
    adr_value_t value;
    assert_int_equal (adr_kv_put (world->client, "s", "k", 1, "one", 3, ADR_IF_ABSENT, &version), ADR_OK);
    assert_int_equal (version.index, 1);
    stale = version;
    assert_int_equal (adr_kv_put (world->client, "s", "k", 1, "two", 3, ADR_IF_ABSENT, &stale), ADR_CONFLICT);
    assert_int_equal (stale.index, 1);
    assert_string_equal (adr_client_error (world->client), "conflict");
    assert_int_equal (adr_kv_put (world->client, "s", "k", 1, "two", 3, ADR_IF_VERSION, &version), ADR_OK);
    assert_int_equal (adr_kv_get (world->client, "s", "k", 1, ADR_READ_STRONG, &value), ADR_OK);
    assert_int_equal (value.size, 3);
    assert_memory_equal (value.value, "two", 3);
    assert_int_equal (value.version.index, version.index);
    adr_value_free (&value);
    assert_int_equal (adr_kv_delete (world->client, "s", "k", 1, ADR_IF_VERSION, &stale), ADR_CONFLICT);
    assert_int_equal (adr_kv_delete (world->client, "s", "k", 1, ADR_ALWAYS, NULL), ADR_OK);
    assert_int_equal (adr_kv_get (world->client, "s", "k", 1, ADR_READ_LOCAL, &value), ADR_NOT_FOUND);
    adr_value_free (&value);
}

static void
a_put_says_how_long_it_lives (void **state) /* [REPAIR-7] */
{
    s_world_t *world = *state;
    uint8_t at[ADR_KEY_MAX];
    adr_bytes_t row = adr_bytes (at, adr_expiry_key_encode (at, 10000, ADR_TABLE_KV, adr_bytes ("s\0k", 3)));
    assert_int_equal (adr_kv_put (world->client, "s", "k", 1, "v", 1, ADR_ALWAYS, NULL), ADR_OK);
    assert_false (fake_store_has (world->store, ADR_TABLE_EXPIRY, row));
    assert_int_equal (adr_kv_put_ttl (world->client, "s", "k", 1, "v", 1, 10000, ADR_IF_EXISTS, NULL), ADR_OK);
    assert_true (fake_store_has (world->store, ADR_TABLE_EXPIRY, row));
}

static void
wrong_calls_are_invalid (void **state)
{
    s_world_t *world = *state;
    adr_value_t value;
    static char s_long[1100];
    assert_int_equal (adr_kv_put (world->client, "", "k", 1, "", 0, ADR_ALWAYS, NULL), ADR_INVALID);
    assert_int_equal (adr_kv_put (world->client, "s", "", 0, "", 0, ADR_ALWAYS, NULL), ADR_INVALID);
    assert_int_equal (adr_kv_put (world->client, "s", s_long, 1025, "", 0, ADR_ALWAYS, NULL), ADR_INVALID);
    assert_int_equal (adr_kv_put (world->client, "s", "k", 1, "", 0, ADR_IF_VERSION, NULL), ADR_INVALID);
    assert_int_equal (adr_kv_get (world->client, "s", s_long, 1025, ADR_READ_STRONG, &value), ADR_INVALID);
    assert_true (strlen (adr_client_error (world->client)) > 0);
    assert_int_equal (adr_kv_put (world->client, "s", s_long, 1024, "", 0, ADR_ALWAYS, NULL), ADR_OK);
    assert_int_equal (adr_kv_get (world->client, "s", s_long, 1024, ADR_READ_STRONG, &value), ADR_OK);
    assert_int_equal (value.size, 0);
    adr_value_free (&value);
}

typedef struct {
    int rows, most;
    char last[16];
} s_listing_t;

static bool
s_row (void *argument, const void *key, size_t key_size, const adr_value_t *value)
{
    s_listing_t *listing = argument;
    assert_true (key_size < sizeof listing->last);
    char text[16] = { 0 };
    memcpy (text, key, key_size);
    assert_true (strcmp (listing->last, text) < 0);
    strcpy (listing->last, text);
    assert_int_equal (value->size, 300);
    listing->rows++;
    return listing->rows < listing->most;
}

/* 3,000 rows of 300 bytes are several pages, by rows and by bytes. */
static void
lists_cross_pages (void **state)
{
    s_world_t *world = *state;
    char key[16];
    uint8_t value[300] = { 0 };
    for (int i = 0; i < 3000; i++) {
        snprintf (key, sizeof key, "k%05d", i);
        assert_int_equal (adr_kv_put (world->client, "s", key, strlen (key), value, sizeof value, ADR_ALWAYS, NULL),
                          ADR_OK);
    }
    assert_int_equal (adr_kv_put (world->client, "t", "other", 5, value, 1, ADR_ALWAYS, NULL), ADR_OK);
    s_listing_t all = { .most = 100000 }, some = { .most = 5 }, rest = { .most = 100000 };
    assert_int_equal (adr_kv_list (world->client, "s", NULL, 0, NULL, 0, ADR_READ_STRONG, s_row, &all), ADR_OK);
    assert_int_equal (all.rows, 3000);
    assert_int_equal (adr_kv_list (world->client, "s", "k01", 3, NULL, 0, ADR_READ_STRONG, s_row, &some), ADR_OK);
    assert_int_equal (some.rows, 5);
    assert_string_equal (some.last, "k01004");
    assert_int_equal (adr_kv_list (world->client, "s", "k", 1, "k02989", 6, ADR_READ_STRONG, s_row, &rest), ADR_OK);
    assert_int_equal (rest.rows, 10);
}

/* --- objects -------------------------------------------------------------------------------------------------- */

typedef struct {
    size_t at, size, fail_at;
    uint8_t *bytes;
} s_stream_t;

static uint8_t
s_byte (size_t at)
{
    return (uint8_t) (at * 2654435761u >> 13);
}

static ssize_t
s_source (void *argument, void *data, size_t room)
{
    s_stream_t *stream = argument;
    size_t part = stream->size - stream->at < room ? stream->size - stream->at : room;
    if (stream->fail_at && stream->at >= stream->fail_at)
        return -1;
    if (part > 70001)
        part = 70001;
    for (size_t i = 0; i < part; i++)
        ((uint8_t *) data)[i] = s_byte (stream->at + i);
    stream->at += part;
    return (ssize_t) part;
}

static bool
s_sink (void *argument, const void *data, size_t size)
{
    s_stream_t *stream = argument;
    for (size_t i = 0; i < size; i++)
        if (((const uint8_t *) data)[i] != s_byte (stream->at + i))
            fail_msg ("byte %zu is wrong", stream->at + i);
    stream->at += size;
    return !stream->fail_at || stream->at < stream->fail_at;
}

static void
s_round (s_world_t *world, const char *key, size_t size)
{
    adr_object_t put, got, stat;
    s_stream_t in = { .size = size }, out = { 0 }, by_id = { 0 };
    assert_int_equal (adr_object_put (world->client, "bucket", key, s_source, &in, "text/plain", &put), ADR_OK);
    assert_int_equal (put.size, size);
    assert_int_equal (adr_object_get (world->client, "bucket", key, s_sink, &out, &got), ADR_OK);
    assert_int_equal (out.at, size);
    assert_string_equal (got.etag, put.etag);
    assert_int_equal (strlen (got.etag), 32);
    assert_int_equal (adr_object_stat (world->client, "bucket", key, &stat), ADR_OK);
    assert_string_equal (stat.content_type, "text/plain");
    assert_int_equal (stat.version.index, put.version.index);
    assert_int_equal (stat.modified_ms, put.modified_ms);
    assert_int_equal (adr_object_get_by_id (world->client, put.id, s_sink, &by_id, &got), ADR_OK);
    assert_int_equal (by_id.at, size);
    assert_string_equal (got.etag, put.etag);
}

static void
objects_of_all_sizes_come_back (void **state)
{
    s_world_t *world = *state;
    static const size_t s_sizes[] = { 0, 1, 65536, 65537, 1048575, 1048576, 1048577, 3 * 1048576, S_LARGE };
    assert_int_equal (adr_object_make_bucket (world->client, "bucket"), ADR_OK);
    assert_int_equal (adr_object_make_bucket (world->client, "bucket"), ADR_CONFLICT);
    for (size_t i = 0; i < sizeof s_sizes / sizeof s_sizes[0]; i++)
        s_round (world, "an/object", s_sizes[i]);
    assert_int_equal (fake_store_count (world->store, ADR_TABLE_META), 1);
    assert_int_equal (fake_store_count (world->store, ADR_TABLE_GARBAGE), 8);
    assert_int_equal (adr_object_delete (world->client, "bucket", "an/object"), ADR_OK);
    assert_int_equal (fake_store_count (world->store, ADR_TABLE_GARBAGE), 9);
    assert_int_equal (adr_object_delete (world->client, "bucket", "an/object"), ADR_NOT_FOUND);
    assert_int_equal (adr_object_stat (world->client, "bucket", "an/object", NULL), ADR_NOT_FOUND);
}

static void
a_put_needs_a_bucket_and_a_whole_source (void **state)
{
    s_world_t *world = *state;
    s_stream_t in = { .size = S_LARGE, .fail_at = 5000000 };
    adr_object_t object;
    assert_int_equal (adr_object_put (world->client, "bucket", "k", s_source, &in, NULL, &object), ADR_NOT_FOUND);
    assert_int_equal (adr_object_make_bucket (world->client, "Bad"), ADR_INVALID);
    assert_int_equal (adr_object_make_bucket (world->client, "bucket"), ADR_OK);
    assert_int_equal (adr_object_put (world->client, "bucket", "k", s_source, &in, NULL, &object), ADR_INVALID);
    assert_int_equal (adr_object_stat (world->client, "bucket", "k", &object), ADR_NOT_FOUND);
    s_stream_t good = { .size = S_LARGE }, short_sink = { .fail_at = 1 };
    assert_int_equal (adr_object_put (world->client, "bucket", "k", s_source, &good, NULL, &object), ADR_OK);
    assert_int_equal (adr_object_get (world->client, "bucket", "k", s_sink, &short_sink, NULL), ADR_INVALID);
    /* A chunk that is missing is a failure, never the end. */
    uint8_t key[ADR_ID_SIZE + 8] = { 0 };
    memcpy (key, object.id, ADR_ID_SIZE);
    key[ADR_ID_SIZE + 7] = 6;
    fake_store_lose (world->store, ADR_TABLE_CHUNK, adr_bytes (key, sizeof key));
    s_stream_t out = { 0 };
    assert_int_equal (adr_object_get (world->client, "bucket", "k", s_sink, &out, NULL), ADR_DAMAGED);
}

/* Gives its bytes, and when the last is asked for, the bucket goes. */
typedef struct {
    s_world_t *world;
    s_stream_t stream;
} s_late_t;

static ssize_t
s_source_of_a_doomed_bucket (void *argument, void *data, size_t room)
{
    s_late_t *late = argument;
    ssize_t size = s_source (&late->stream, data, room);
    if (size == 0)
        fake_store_lose (late->world->store, ADR_TABLE_BUCKET, adr_bytes ("bucket", 6));
    return size;
}

static void
an_object_goes_with_the_bucket_that_went_meanwhile (void **state)
{
    s_world_t *world = *state;
    s_late_t late = { world, { .size = 100000 } };
    assert_int_equal (adr_object_make_bucket (world->client, "bucket"), ADR_OK);
    assert_int_equal (adr_object_put (world->client, "bucket", "k", s_source_of_a_doomed_bucket, &late, NULL, NULL),
                      ADR_NOT_FOUND);
    assert_int_equal (adr_object_stat (world->client, "bucket", "k", NULL), ADR_NOT_FOUND);
}

/* --- edges that go away --------------------------------------------------------------------------------------- */

static void
another_edge_takes_over (void **state)
{
    s_world_t *world = *state;
    adr_value_t value;
    assert_int_equal (adr_kv_put (world->client, "s", "k", 1, "v", 1, ADR_ALWAYS, NULL), ADR_OK);
    fake_edge_destroy (&world->edge[0]);
    double start = s_seconds ();
    assert_int_equal (adr_kv_get (world->client, "s", "k", 1, ADR_READ_STRONG, &value), ADR_OK);
    adr_value_free (&value);
    assert_true (s_seconds () - start < 1.4); /* by the lost connection, not by the retry's time */
}

static void
without_an_edge_nothing_is_done (void **state)
{
    s_world_t *world = *state;
    adr_value_t value;
    fake_edge_destroy (&world->edge[0]);
    fake_edge_destroy (&world->edge[1]);
    adr_client_set_timeout (world->client, 300);
    double start = s_seconds ();
    assert_int_equal (adr_kv_put (world->client, "s", "k", 1, "v", 1, ADR_ALWAYS, NULL), ADR_UNREACHABLE);
    assert_int_equal (adr_kv_get (world->client, "s", "k", 1, ADR_READ_STRONG, &value), ADR_UNREACHABLE);
    assert_true (s_seconds () - start > 0.5 && s_seconds () - start < 3);
    assert_int_equal (fake_store_requests (world->store), 0);
}

static fake_fate_t
s_lose_all (void *argument, const fake_request_t *request)
{
    (void) argument;
    (void) request;
    return FAKE_LOSE;
}

static void
silence_is_unknown (void **state)
{
    s_world_t *world = *state;
    adr_value_t value;
    fake_store_set_fate (world->store, s_lose_all, NULL);
    adr_client_set_timeout (world->client, 200);
    assert_int_equal (adr_kv_put (world->client, "s", "k", 1, "v", 1, ADR_ALWAYS, NULL), ADR_UNKNOWN);
    assert_int_equal (adr_kv_get (world->client, "s", "k", 1, ADR_READ_STRONG, &value), ADR_TIMEOUT);
}

/* --- threads and callbacks ------------------------------------------------------------------------------------ */

static void *
s_worker (void *argument)
{
    adr_client_t *client = argument;
    char key[32], value[32];
    snprintf (key, sizeof key, "%lx", (unsigned long) pthread_self ());
    for (int i = 0; i < 300; i++) {
        adr_value_t got;
        snprintf (value, sizeof value, "%d", i);
        if (adr_kv_put (client, "s", key, strlen (key), value, strlen (value), ADR_ALWAYS, NULL) != ADR_OK
            || adr_kv_get (client, "s", key, strlen (key), ADR_READ_STRONG, &got) != ADR_OK)
            return (void *) "a call failed";
        bool same = got.size == strlen (value) && memcmp (got.value, value, got.size) == 0;
        adr_value_free (&got);
        if (!same)
            return (void *) "another value";
    }
    return NULL;
}

static void
threads_share_a_client (void **state)
{
    s_world_t *world = *state;
    pthread_t thread[8];
    for (int i = 0; i < 8; i++)
        assert_int_equal (pthread_create (&thread[i], NULL, s_worker, world->client), 0);
    for (int i = 0; i < 8; i++) {
        void *problem;
        pthread_join (thread[i], &problem);
        assert_null (problem);
    }
}

typedef struct {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    int done, failed;
} s_counter_t;

static void
s_counted (void *argument, adr_result_t result, const adr_client_version_t *version, const adr_value_t *value)
{
    s_counter_t *counter = argument;
    pthread_mutex_lock (&counter->lock);
    counter->done++;
    counter->failed += result != ADR_OK || version->index == 0 || (value && value->size != 5);
    pthread_cond_signal (&counter->changed);
    pthread_mutex_unlock (&counter->lock);
}

static void
started_calls_call_back (void **state)
{
    s_world_t *world = *state;
    s_counter_t counter = { .lock = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER };
    char key[32];
    for (int i = 0; i < 2000; i++) {
        snprintf (key, sizeof key, "k%d", i);
        adr_kv_start_put (world->client, "s", key, strlen (key), "value", 5, ADR_ALWAYS, NULL, s_counted, &counter);
        adr_kv_start_get (world->client, "s", key, strlen (key), ADR_READ_STRONG, s_counted, &counter);
    }
    pthread_mutex_lock (&counter.lock);
    while (counter.done < 4000)
        pthread_cond_wait (&counter.changed, &counter.lock);
    pthread_mutex_unlock (&counter.lock);
    assert_int_equal (counter.failed, 0);
    assert_true (fake_store_packs (world->store) < 2000); /* they were packed */
}

static void
a_client_that_goes_answers_first (void **state)
{
    s_world_t *world = *state;
    s_counter_t counter = { .lock = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER };
    fake_store_set_fate (world->store, s_lose_all, NULL);
    for (int i = 0; i < 100; i++)
        adr_kv_start_put (world->client, "s", "k", 1, "value", 5, ADR_ALWAYS, NULL, s_counted, &counter);
    adr_client_destroy (&world->client);
    assert_int_equal (counter.done, 100);
    assert_int_equal (counter.failed, 100);
}

static void
s_keep_result (void *argument, adr_result_t result, const adr_client_version_t *version, const adr_value_t *value)
{
    (void) version;
    (void) value;
    *(adr_result_t *) argument = result;
}

static void
a_started_condition_on_no_version_is_invalid (void **state)
{
    s_world_t *world = *state;
    adr_result_t result = ADR_OK;
    adr_kv_start_put (world->client, "s", "k", 1, "value", 5, ADR_IF_VERSION, NULL, s_keep_result, &result);
    adr_client_destroy (&world->client);
    assert_int_equal (result, ADR_INVALID);
}

static void
the_map_is_json (void **state)
{
    s_world_t *world = *state;
    char *json;
    Adr__ClusterMap map = ADR__CLUSTER_MAP__INIT;
    Adr__Registry registry = ADR__REGISTRY__INIT;
    Adr__Zone zone = ADR__ZONE__INIT, *zones[] = { &zone };
    uint8_t bytes[256];
    registry.cluster = adr_id_view (&world->cluster);
    registry.name = (char *) "lab";
    registry.epoch = 7;
    registry.partitions = 64;
    zone.id = adr_id_view (&world->cluster);
    zone.name = (char *) "z1";
    registry.n_zone = 1;
    registry.zone = zones;
    map.registry = &registry;
    fake_store_set_map (world->store, adr_bytes (bytes, adr__cluster_map__pack (&map, bytes)));
    assert_int_equal (adr_cluster_map (world->client, &json), ADR_OK);
    assert_non_null (strstr (json, "\"name\": \"z1\""));
    assert_non_null (strstr (json, "\"epoch\": 7"));
    free (json);
}

/* Each node has a line of its own; those that are silent cost the limit once, not one after the other. */
static void
nodes_are_steered (void **state)
{
    s_world_t *world = *state;
    adr_node_answer_t nodes[4] = { { .node = "11111111-1111-1111-1111-111111111111" },
                                   { .node = "22222222-2222-2222-2222-222222222222" } };
    assert_int_equal (adr_nodes_control (world->client, ADR_ACTION_SCRUB, 0, nodes, 2), ADR_OK);
    assert_string_equal (nodes[1].text, "begun");
    nodes[1].node = nodes[2].node = "00000000-0000-0000-0000-000000000001";
    nodes[3].node = "nobody";
    adr_client_set_timeout (world->client, 300);
    double began = s_seconds ();
    assert_int_equal (adr_nodes_control (world->client, ADR_ACTION_REPAIR_PAUSE, 1000, nodes, 4), ADR_TIMEOUT);
    assert_true (s_seconds () - began < 0.59);
    assert_int_equal (nodes[0].result, ADR_OK);
    assert_int_equal (nodes[1].result, ADR_TIMEOUT);
    assert_string_equal (nodes[2].text, "no answer");
    assert_int_equal (nodes[3].result, ADR_INVALID);
}

/* --- the master's edge ---------------------------------------------------------------------------------------- */

/* Asks again from its callback, so that something is always in flight. */
typedef struct {
    adr_client_t *client;
    bool get;
    uint32_t left, failed, done;
} s_flow_t;

static void
s_flow_on (void *argument, adr_result_t result, const adr_client_version_t *version, const adr_value_t *value)
{
    s_flow_t *self = argument;
    (void) version;
    (void) value;
    self->failed += result != ADR_OK;
    bool more = self->left > 0;
    self->left -= more;
    __atomic_add_fetch (&self->done, 1, __ATOMIC_RELEASE); /* after the last one, there is no flow any more */
    if (!more)
        return;
    if (self->get)
        adr_kv_start_get (self->client, "s", "k", 1, ADR_READ_STRONG, s_flow_on, self);
    else
        adr_kv_start_put (self->client, "s", "k", 1, "v", 1, ADR_ALWAYS, NULL, s_flow_on, self);
}

/* 8 in flight, `count` in all; 0 if all ended well in time. */
static uint32_t
s_flow (adr_client_t *client, bool get, uint32_t count)
{
    s_flow_t flow = { .client = client, .get = get, .left = count - 8 };
    for (int i = 0; i < 8; i++)
        if (get)
            adr_kv_start_get (client, "s", "k", 1, ADR_READ_STRONG, s_flow_on, &flow);
        else
            adr_kv_start_put (client, "s", "k", 1, "v", 1, ADR_ALWAYS, NULL, s_flow_on, &flow);
    double until = s_seconds () + 20;
    while (__atomic_load_n (&flow.done, __ATOMIC_ACQUIRE) < count && s_seconds () < until)
        sched_yield ();
    return flow.failed + (count - flow.done);
}

static void
writers_move_to_the_masters_edge (void **state)
{
    s_world_t *world = *state;
    fake_store_set_hint (world->store, fake_edge_endpoint (world->edge[1]));
    double until = s_seconds () + 20;
    uint32_t asked = 0;
    for (; fake_edge_packs (world->edge[1]) == 0 && s_seconds () < until; asked += 400)
        assert_int_equal (s_flow (world->client, false, 400), 0);
    assert_true (fake_edge_packs (world->edge[1]) > 0);
    /* Nothing was lost in the move, and so nothing asked twice. */
    assert_int_equal (fake_store_requests (world->store), asked);
    /* And it stays, whatever it is told: no flapping. */
    uint64_t before = fake_edge_packs (world->edge[0]);
    fake_store_set_hint (world->store, fake_edge_endpoint (world->edge[0]));
    assert_int_equal (s_flow (world->client, false, 2000), 0);
    assert_int_equal (fake_edge_packs (world->edge[0]), before);
}

/* [EDGE-9] Whoever hears that his edge is drained goes on by the next one, at once, and nothing is asked twice; where all are drained he stays. */
static void
clients_leave_an_edge_that_is_drained (void **state)
{
    s_world_t *world = *state;
    double until = s_seconds () + 20;
    uint32_t asked = 0;
    assert_int_equal (s_flow (world->client, false, 8), 0);
    assert_int_equal (fake_edge_packs (world->edge[1]), 0);
    fake_store_set_draining (world->store, true);
    for (; fake_edge_packs (world->edge[1]) == 0 && s_seconds () < until; asked += 8)
        assert_int_equal (s_flow (world->client, false, 8), 0);
    assert_true (fake_edge_packs (world->edge[1]) > 0);
    assert_int_equal (fake_store_requests (world->store), asked + 8);
    uint64_t before = fake_edge_packs (world->edge[0]);
    until = s_seconds () + 1.5; /* longer than the pause between two such moves */
    while (s_seconds () < until)
        assert_int_equal (s_flow (world->client, false, 50), 0);
    assert_int_equal (fake_edge_packs (world->edge[0]), before);
}

/* Who follows no master, too. */
static void
who_is_pinned_leaves_it_too (void **state)
{
    s_world_t *world = *state;
    char error[256];
    double until = s_seconds () + 20;
    adr_client_destroy (&world->client);
    FILE *profile = fopen (world->profile, "a");
    fputs ("follow-master: no\n", profile);
    fclose (profile);
    world->client = adr_client_open (world->profile, error, sizeof error);
    assert_non_null (world->client);
    fake_store_set_draining (world->store, true);
    while (fake_edge_packs (world->edge[1]) == 0 && s_seconds () < until)
        assert_int_equal (s_flow (world->client, false, 8), 0);
    assert_true (fake_edge_packs (world->edge[1]) > 0);
}

static void
readers_and_those_who_are_pinned_stay (void **state)
{
    s_world_t *world = *state;
    char error[256];
    fake_store_set_hint (world->store, fake_edge_endpoint (world->edge[1]));
    assert_int_equal (s_flow (world->client, false, 8), 0);
    assert_int_equal (s_flow (world->client, true, 2000), 0);
    adr_client_destroy (&world->client);
    FILE *profile = fopen (world->profile, "a");
    fputs ("follow-master: no\n", profile);
    fclose (profile);
    world->client = adr_client_open (world->profile, error, sizeof error);
    assert_non_null (world->client);
    assert_int_equal (s_flow (world->client, false, 2000), 0);
    /* So does who is told of an edge that the profile does not list. */
    fake_store_set_hint (world->store, "tcp://127.0.0.1:1");
    assert_int_equal (s_flow (world->client, false, 2000), 0);
    assert_int_equal (fake_edge_packs (world->edge[1]), 0);
}

int
main (void)
{
#define S_TEST(name) cmocka_unit_test_setup_teardown (name, s_set_up, s_tear_down)
    const struct CMUnitTest tests[] = {
        S_TEST (values_come_and_go),
        S_TEST (clients_leave_an_edge_that_is_drained),
        S_TEST (who_is_pinned_leaves_it_too),
        S_TEST (a_put_says_how_long_it_lives),
        S_TEST (wrong_calls_are_invalid),
        S_TEST (lists_cross_pages),
        S_TEST (objects_of_all_sizes_come_back),
        S_TEST (a_put_needs_a_bucket_and_a_whole_source),
        S_TEST (an_object_goes_with_the_bucket_that_went_meanwhile),
        S_TEST (another_edge_takes_over),
        S_TEST (without_an_edge_nothing_is_done),
        S_TEST (silence_is_unknown),
        S_TEST (threads_share_a_client),
        S_TEST (started_calls_call_back),
        S_TEST (a_client_that_goes_answers_first),
        S_TEST (a_started_condition_on_no_version_is_invalid),
        S_TEST (the_map_is_json),
        S_TEST (nodes_are_steered),
        S_TEST (writers_move_to_the_masters_edge),
        S_TEST (readers_and_those_who_are_pinned_stay),
    };
    return cmocka_run_group_tests_name ("client", tests, NULL, NULL);
}
