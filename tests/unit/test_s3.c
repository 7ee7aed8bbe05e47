/* SPDX-License-Identifier: MPL-2.0 */
/* S3 over a store in memory, without HTTP: each operation with each way to sign it, what becomes of refused and lost
 * requests, puts against the deletion of their bucket at each step, uploads that are given up. */

#include "edge/s3_call.h"

#include "fake_store.h"
#include "wire/credential_codec.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#define NOW_MS INT64_C (1440938160000) /* 20150830T123600Z */
#define DATE "20150830T123600Z"
#define SCOPE "20150830/us-east-1/s3/aws4_request"

typedef struct {
    fake_store_t *store;
    adr_session_t *session;
    adr_keyring_t *keyring;
    adr_s3_t *s3;
} world_t;

static void
s_resume (void *argument)
{
    (void) argument;
}

static int
s_setup (void **state)
{
    world_t *world = adr_alloc (sizeof *world);
    adr_id_t cluster = { { 1 } }, node = { { 2 } };
    adr_credentials_t *credentials = adr_credentials_new ();
    adr_s3_settings_t settings = { .region = "us-east-1", .domain = "s3.test", .transfers_max = 4 };
    assert_true (adr_credentials_add (credentials, "GOOD", "good secret", NULL));
    assert_true (adr_credentials_add (credentials, "BOB", "bob's secret", "bob"));
    world->store = fake_store_new (&cluster);
    world->session = adr_session_new (&cluster, &node, 7, 64 << 20, fake_store_send, world->store);
    world->keyring = adr_keyring_new (credentials);
    world->s3 = adr_s3_new (&settings, world->keyring, world->session);
    *state = world;
    return 0;
}

static int
s_teardown (void **state)
{
    world_t *world = *state;
    adr_s3_lock (world->s3);
    adr_session_destroy (&world->session);
    adr_s3_unlock (world->s3);
    adr_s3_destroy (&world->s3);
    adr_keyring_destroy (&world->keyring);
    fake_store_destroy (&world->store);
    free (world);
    return 0;
}

static int64_t s_skipped; /* time that a test did not wait for */

static int64_t
s_now (void)
{
    struct timespec now;
    clock_gettime (CLOCK_BOOTTIME, &now);
    return now.tv_sec * INT64_C (1000000000) + now.tv_nsec + s_skipped;
}

/* Answers what was asked so far, once. */
static void
s_turn (world_t *world)
{
    adr_s3_lock (world->s3);
    fake_store_deliver (world->store, world->session, s_now ());
    adr_s3_unlock (world->s3);
}

/* --- a request ------------------------------------------------------------------------------------------------------- */

typedef struct {
    const char *method, *target, *body;
    const char *header[8]; /* name, value */
    const char *access, *secret; /* NULL: GOOD's; access "": no signature */
} ask_t;

typedef struct {
    adr_s3_call_t *call;
    char method[16], target[1200], header[24][600];
    unsigned used;
    ask_t ask;
} talk_t;

static void
s_header (talk_t *talk, const char *name, const char *value)
{
    char *at_name = talk->header[talk->used++], *at_value = talk->header[talk->used++];
    snprintf (at_name, 600, "%s", name);
    snprintf (at_value, 600, "%s", value);
    adr_http_request_add (adr_s3_call_request (talk->call), at_name, strlen (at_name), at_value, strlen (at_value));
}

static int
s_compare_names (const void *a, const void *b)
{
    return strcmp (*(const char *const *) a, *(const char *const *) b);
}

/* Signs all headers that the request has. */
static void
s_sign (talk_t *talk, const char *access, const char *secret)
{
    adr_http_request_t *request = adr_s3_call_request (talk->call);
    char list[512] = "", names[ADR_HTTP_HEADERS_MAX][64], text[512], hash[65], signature[65], authorization[1024];
    const char *sorted[ADR_HTTP_HEADERS_MAX];
    for (uint32_t i = 0; i < request->header_count; i++) {
        for (size_t j = 0; j <= request->header[i].name.size; j++)
            names[i][j] = j < request->header[i].name.size ? (char) (request->header[i].name.data[j] | 0x20) : '\0';
        for (char *c = names[i]; *c; c++)
            if (*c == ('-' | 0x20))
                *c = '-';
        sorted[i] = names[i];
    }
    qsort (sorted, request->header_count, sizeof *sorted, s_compare_names);
    for (uint32_t i = 0; i < request->header_count; i++)
        sprintf (list + strlen (list), "%s%s", i ? ";" : "", sorted[i]);
    adr_buffer_t canonical = { 0 };
    adr_auth_canonical (&canonical, request, adr_bytes (list, strlen (list)),
                        adr_http_header (request, "x-amz-content-sha256"));
    uint8_t digest[32], key[32];
    adr_sha256 (canonical.data, canonical.size, digest);
    adr_buffer_free (&canonical);
    adr_hex_encode (hash, digest, 32);
    int size = snprintf (text, sizeof text, "AWS4-HMAC-SHA256\n" DATE "\n" SCOPE "\n%s", hash);
    adr_auth_signing_key (key, secret, adr_bytes ("20150830", 8), "us-east-1");
    adr_auth_sign (key, adr_bytes (text, (size_t) size), signature);
    snprintf (authorization, sizeof authorization,
              "AWS4-HMAC-SHA256 Credential=%s/" SCOPE ", SignedHeaders=%s, Signature=%s", access, list, signature);
    s_header (talk, "Authorization", authorization);
}

/* Headers, signature, begin. */
static talk_t *
s_begin (world_t *world, const ask_t *ask)
{
    talk_t *talk = adr_alloc (sizeof *talk);
    char length[24];
    talk->ask = *ask;
    talk->call = adr_s3_call_new (world->s3, s_resume, talk);
    adr_http_request_init (adr_s3_call_request (talk->call), ask->method, ask->target, strlen (ask->target));
    s_header (talk, "host", "s3.test");
    s_header (talk, "x-amz-date", DATE);
    bool hash = false;
    for (int i = 0; i < 8 && ask->header[i]; i += 2) {
        s_header (talk, ask->header[i], ask->header[i + 1]);
        hash |= strcmp (ask->header[i], "x-amz-content-sha256") == 0;
    }
    if (!hash)
        s_header (talk, "x-amz-content-sha256", "UNSIGNED-PAYLOAD");
    if (ask->body) {
        snprintf (length, sizeof length, "%zu", strlen (ask->body));
        s_header (talk, "content-length", length);
    }
    if (!ask->access || *ask->access)
        s_sign (talk, ask->access ? ask->access : "GOOD", ask->secret ? ask->secret : "good secret");
    adr_s3_call_begin (talk->call, NOW_MS);
    return talk;
}

static void
s_send_body (talk_t *talk)
{
    const char *body = talk->ask.body ? talk->ask.body : "";
    size_t size = strlen (body);
    if (size)
        assert_int_equal (adr_s3_call_body (talk->call, body, size), size);
    adr_s3_call_end (talk->call);
}

static const adr_s3_answer_t *
s_finish (world_t *world, talk_t *talk)
{
    const adr_s3_answer_t *answer = NULL;
    for (int turn = 0; turn < 100 && !(answer = adr_s3_call_answer (talk->call)); turn++)
        s_turn (world);
    assert_non_null (answer);
    return answer;
}

static void
s_end (talk_t **talk)
{
    adr_s3_call_destroy (&(*talk)->call);
    free (*talk);
    *talk = NULL;
}

/* The whole of it: the status; 0 < code: it must stand in the answer. */
static unsigned
s_ask (world_t *world, const ask_t *ask, const char *code)
{
    talk_t *talk = s_begin (world, ask);
    s_send_body (talk);
    const adr_s3_answer_t *answer = s_finish (world, talk);
    unsigned status = answer->status;
    if (code && !memmem (answer->body.data ? (const char *) answer->body.data : "", answer->body.size, code, strlen (code)))
        fail_msg ("%s %s: %u %.*s instead of %s", ask->method, ask->target, status, (int) answer->body.size,
                  (const char *) answer->body.data, code);
    s_end (&talk);
    return status;
}

#define ASK(status, code, ...) assert_int_equal (s_ask (world, &(ask_t){ .method = __VA_ARGS__ }, code), status)

/* --- operations --------------------------------------------------------------------------------------------------------- */

static void
test_operations (void **state)
{
    world_t *world = *state;
    ASK (404, "NoSuchBucket", "PUT", "/bucket/key", "body");
    ASK (200, NULL, "PUT", "/bucket");
    ASK (409, "BucketAlreadyOwnedByYou", "PUT", "/bucket");
    ASK (409, "BucketAlreadyExists", "PUT", "/bucket", .access = "BOB", .secret = "bob's secret");
    ASK (200, NULL, "PUT", "/bucket/key", "body");
    ASK (400, "InvalidStorageClass", "PUT", "/bucket/cold", "body", .header = { "x-amz-storage-class", "GLACIER" });
    ASK (200, NULL, "GET", "/bucket/key");
    ASK (200, "<Key>key</Key>", "GET", "/bucket?list-type=2");
    ASK (409, "BucketNotEmpty", "DELETE", "/bucket");
    ASK (204, NULL, "DELETE", "/bucket/key");
    ASK (404, "NoSuchKey", "GET", "/bucket/key");
    ASK (204, NULL, "DELETE", "/bucket");
    ASK (404, "NoSuchBucket", "GET", "/bucket?list-type=2");
    assert_int_equal (fake_store_count (world->store, ADR_TABLE_META), 0);
    assert_int_equal (fake_store_count (world->store, ADR_TABLE_BUCKET), 0);
}

/* True if the answer has the header. */
static bool
s_has_header (const adr_s3_answer_t *answer, const char *name, const char *value)
{
    const char *at = (const char *) answer->headers.data, *end = at + answer->headers.size;
    while (at < end) {
        const char *its = at + strlen (at) + 1;
        if (strcmp (at, name) == 0 && strcmp (its, value) == 0)
            return true;
        at = its + strlen (its) + 1;
    }
    return false;
}

/* When an object was put is what the edge's clock said, by Head as in lists: log time lags where nobody wrote. */
static void
test_last_modified (void **state)
{
    world_t *world = *state;
    ASK (200, NULL, "PUT", "/bucket");
    ASK (200, NULL, "PUT", "/bucket/key", "body");
    ASK (200, "<LastModified>2015-08-30T12:36:00.000Z</LastModified>", "GET", "/bucket");
    talk_t *talk = s_begin (world, &(ask_t){ .method = "HEAD", .target = "/bucket/key" });
    s_send_body (talk);
    assert_true (s_has_header (s_finish (world, talk), "Last-Modified", "Sun, 30 Aug 2015 12:36:00 GMT"));
    s_end (&talk);
}

static void
test_virtual_host (void **state)
{
    world_t *world = *state;
    ASK (200, NULL, "PUT", "/bucket");
    talk_t *talk = adr_alloc (sizeof *talk);
    talk->ask = (ask_t){ .body = "x" };
    talk->call = adr_s3_call_new (world->s3, s_resume, talk);
    adr_http_request_init (adr_s3_call_request (talk->call), "PUT", "/a/b", 4);
    s_header (talk, "host", "bucket.S3.test:8080");
    s_header (talk, "x-amz-date", DATE);
    s_header (talk, "x-amz-content-sha256", "UNSIGNED-PAYLOAD");
    s_header (talk, "content-length", "1");
    s_sign (talk, "GOOD", "good secret");
    adr_s3_call_begin (talk->call, NOW_MS);
    s_send_body (talk);
    assert_int_equal (s_finish (world, talk)->status, 200);
    s_end (&talk);
    ASK (200, "<Key>a/b</Key>", "GET", "/bucket");
}

/* Each operation, each way to sign, each form of payload: nothing but the right signature gets anywhere. */
static void
test_matrix (void **state)
{
    world_t *world = *state;
    static const char *const s_operations[][2]
        = { { "GET", "/" },           { "PUT", "/bucket2" },        { "HEAD", "/bucket" },   { "DELETE", "/bucket" },
            { "GET", "/bucket" },     { "GET", "/bucket?location" }, { "PUT", "/bucket/new" }, { "GET", "/bucket/key" },
            { "HEAD", "/bucket/key" }, { "DELETE", "/bucket/key" }, { "POST", "/bucket?delete" }, { "GET", "/bucket?acl" },
            { "PATCH", "/bucket/key" } };
    static const char *const s_forms[]
        = { "UNSIGNED-PAYLOAD", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
            "STREAMING-AWS4-HMAC-SHA256-PAYLOAD", "STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER",
            "STREAMING-UNSIGNED-PAYLOAD-TRAILER" };
    static const struct {
        const char *access, *secret, *code;
    } s_signers[] = { { "", "", "AccessDenied" },
                      { "GOOD", "wrong", "SignatureDoesNotMatch" },
                      { "GOOD", "bob's secret", "SignatureDoesNotMatch" },
                      { "NOBODY", "good secret", "InvalidAccessKeyId" } };
    ASK (200, NULL, "PUT", "/bucket");
    ASK (200, NULL, "PUT", "/bucket/key", "body");
    uint64_t requests = fake_store_requests (world->store);
    for (size_t o = 0; o < sizeof s_operations / sizeof *s_operations; o++)
        for (size_t f = 0; f < sizeof s_forms / sizeof *s_forms; f++)
            for (size_t s = 0; s < sizeof s_signers / sizeof *s_signers; s++)
                ASK (403, s_signers[s].code, s_operations[o][0], s_operations[o][1], "",
                     { "x-amz-content-sha256", s_forms[f] }, s_signers[s].access, s_signers[s].secret);
    assert_int_equal (fake_store_requests (world->store), requests); /* nothing was even asked */
}

/* --- the cluster's keys -------------------------------------------------------------------------------------------------- */

static adr_credential_t
s_cluster_key (const char *access_key, adr_access_t level)
{
    adr_credential_t credential = { .owner = "carol", .secret = "carol's open secret", .limited = level != ADR_ACCESS_NONE };
    snprintf (credential.access_key, sizeof credential.access_key, "%s", access_key);
    for (char *c = credential.secret; *c; c++)
        if (*c == ' ' || *c == '\'')
            *c = '-';
    credential.right_count = credential.limited;
    credential.right[0] = (adr_right_t){ "bucket", level };
    return credential;
}

#define CAROL "carol-s-open-secret"

static void
s_tell (world_t *world, const adr_credential_t *credentials, size_t count)
{
    adr_buffer_t rows = { 0 };
    for (size_t i = 0; i < count; i++)
        adr_credential_row_append (&rows, &credentials[i]);
    assert_true (adr_keyring_take (world->keyring, adr_bytes (rows.data, rows.size)));
    adr_buffer_free (&rows);
}

/* What the protocol's page says of a route, in other words than the table's. */
static adr_access_t
s_level_of (const adr_s3_route_t *route)
{
    if (route->target == ADR_S3_SERVICE)
        return ADR_ACCESS_NONE;
    if (strcmp (route->method, "GET") == 0 || strcmp (route->method, "HEAD") == 0)
        return ADR_ACCESS_READ;
    return route->target == ADR_S3_BUCKET && strcmp (route->method, "POST") != 0 ? ADR_ACCESS_OWNER : ADR_ACCESS_WRITE;
}

/* [KEY-6] Each route with each level, on its bucket and on another: what is refused asks nothing of the cluster. */
static void
test_every_route_with_every_level (void **state)
{
    world_t *world = *state;
    size_t count, denied = 0, allowed = 0;
    const adr_s3_route_t *routes = adr_s3_routes (&count);
    ASK (200, NULL, "PUT", "/bucket");
    for (int level = ADR_ACCESS_NONE; level < ADR_ACCESS_COUNT; level++) {
        adr_credential_t carol = s_cluster_key ("CAROL", ADR_ACCESS_READ);
        carol.right[0].level = (adr_access_t) level;
        carol.right_count = level > ADR_ACCESS_NONE;
        s_tell (world, &carol, 1);
        for (size_t i = 0; i < count; i++)
            for (int other = 0; other < 2; other++) {
                const adr_s3_route_t *route = &routes[i];
                char target[64];
                bool service = route->target == ADR_S3_SERVICE;
                assert_int_equal (route->access, s_level_of (route));
                snprintf (target, sizeof target, "%s%s%s%s", service ? "/" : other ? "/bucket-of-others" : "/bucket",
                          route->target == ADR_S3_OBJECT ? "/key" : "", route->subresource ? "?" : "",
                          route->subresource ? route->subresource : "");
                uint64_t requests = fake_store_requests (world->store);
                talk_t *talk = s_begin (world, &(ask_t){ .method = route->method, .target = target, .access = "CAROL", .secret = CAROL });
                bool expected = service || (!other && level >= (int) route->access);
                const adr_s3_answer_t *answer = adr_s3_call_answer (talk->call);
                bool refused = answer && answer->status == 403;
                if (refused == expected)
                    fail_msg ("%s %s with level %d: %s", route->method, target, level, refused ? "refused" : "allowed");
                if (refused) {
                    assert_non_null (memmem (answer->body.data, answer->body.size, "AccessDenied", 12));
                    assert_int_equal (fake_store_requests (world->store), requests);
                }
                denied += refused;
                allowed += !refused;
                s_end (&talk);
            }
    }
    assert_true (denied > 40 && allowed > 20);
    s_turn (world);
}

static void
test_rights_of_limited_keys (void **state)
{
    world_t *world = *state;
    ASK (200, NULL, "PUT", "/bucket");
    ASK (200, NULL, "PUT", "/papers");
    adr_credential_t carol = s_cluster_key ("CAROL", ADR_ACCESS_WRITE);
    s_tell (world, &carol, 1);
    ASK (200, NULL, "PUT", "/bucket/key", "body", .access = "CAROL", .secret = CAROL);
    ASK (200, NULL, "GET", "/bucket/key", .access = "CAROL", .secret = CAROL);
    ASK (403, "AccessDenied", "GET", "/papers", .access = "CAROL", .secret = CAROL);
    ASK (403, "AccessDenied", "GET", "/there-is-none", .access = "CAROL", .secret = CAROL);
    ASK (403, "AccessDenied", "DELETE", "/bucket", .access = "CAROL", .secret = CAROL);
    ASK (200, "<Buckets><Bucket><Name>bucket</Name><CreationDate>2015-08-30T12:36:00.000Z</CreationDate></Bucket></Buckets>", "GET", "/",
         .access = "CAROL", .secret = CAROL); /* and no other */
    carol.right[1] = (adr_right_t){ "*", ADR_ACCESS_READ };
    carol.right_count = 2;
    s_tell (world, &carol, 1);
    ASK (200, "<Name>papers</Name>", "GET", "/", .access = "CAROL", .secret = CAROL);
    ASK (200, NULL, "GET", "/papers", .access = "CAROL", .secret = CAROL);
    ASK (403, "AccessDenied", "PUT", "/papers/key", "body", .access = "CAROL", .secret = CAROL);
    carol.limited = false;
    carol.right_count = 0;
    s_tell (world, &carol, 1);
    ASK (200, NULL, "PUT", "/papers/key", "body", .access = "CAROL", .secret = CAROL);
    ASK (200, NULL, "PUT", "/carol-s-own", .access = "CAROL", .secret = CAROL);
    ASK (200, "<Buckets><Bucket><Name>carol-s-own</Name>", "GET", "/", .access = "CAROL", .secret = CAROL);
}

/* [KEY-5, KEY-7] */
static void
test_the_newest_list_counts (void **state)
{
    world_t *world = *state;
    ASK (403, "InvalidAccessKeyId", "GET", "/", .access = "CAROL", .secret = CAROL);
    adr_credential_t list[2] = { s_cluster_key ("CAROL", ADR_ACCESS_NONE), s_cluster_key ("GOOD", ADR_ACCESS_NONE) };
    list[1].disabled = true;
    s_tell (world, list, 1);
    ASK (200, NULL, "GET", "/", .access = "CAROL", .secret = CAROL);
    ASK (200, NULL, "GET", "/"); /* the file's */
    s_tell (world, list, 2);
    ASK (403, "InvalidAccessKeyId", "GET", "/"); /* the cluster has it, disabled */
    ASK (200, NULL, "GET", "/", .access = "BOB", .secret = "bob's secret");
    list[0].disabled = true;
    s_tell (world, list, 1);
    ASK (403, "InvalidAccessKeyId", "GET", "/", .access = "CAROL", .secret = CAROL);
    ASK (200, NULL, "GET", "/"); /* the cluster has it no more */
    assert_false (adr_keyring_take (world->keyring, adr_bytes ("\5\0\0\0abcde", 9))); /* nonsense changes nothing */
    ASK (200, NULL, "GET", "/");
    s_tell (world, list, 0);
    ASK (200, NULL, "GET", "/");
    adr_credential_t user = { .access_key = "GOOD", .role = ADR_NODE_ADMIN, .has_curve_key = true, .disabled = true };
    s_tell (world, &user, 1); /* a user does not sign, whatever the name [USER-1] */
    ASK (200, NULL, "GET", "/");
}

/* [KEY-5] A request that was let in goes on by the list that let it in, whatever comes meanwhile. */
static void
test_a_request_keeps_its_list (void **state)
{
    world_t *world = *state;
    ASK (200, NULL, "PUT", "/bucket");
    adr_credential_t carol = s_cluster_key ("CAROL", ADR_ACCESS_WRITE);
    s_tell (world, &carol, 1);
    talk_t *talk = s_begin (world, &(ask_t){ .method = "PUT", .target = "/bucket/key", .body = "body", .access = "CAROL", .secret = CAROL });
    s_tell (world, &carol, 0);
    s_tell (world, &carol, 0);
    s_send_body (talk);
    assert_int_equal (s_finish (world, talk)->status, 200);
    s_end (&talk);
    ASK (403, "InvalidAccessKeyId", "GET", "/bucket/key", .access = "CAROL", .secret = CAROL);
}

/* Lists are swapped while other threads hold, read and give up theirs. */
static bool s_over; /* atomic */

static void *
s_read_lists (void *argument)
{
    adr_keyring_t *keyring = argument;
    uintptr_t wrong = 0;
    while (!__atomic_load_n (&s_over, __ATOMIC_ACQUIRE)) {
        const adr_principal_t *who;
        adr_credentials_t *held = adr_keyring_hold (keyring);
        const char *secret = adr_credentials_secret (held, adr_bytes ("CAROL", 5), &who);
        wrong += secret && strcmp (secret, CAROL) != 0;
        wrong += adr_credentials_secret (held, adr_bytes ("GOOD", 4), &who) == NULL;
        adr_credentials_destroy (&held);
    }
    return (void *) wrong;
}

static void
test_lists_are_swapped_under_threads (void **state)
{
    world_t *world = *state;
    pthread_t thread[3];
    void *wrong;
    __atomic_store_n (&s_over, false, __ATOMIC_RELEASE);
    adr_credential_t carol = s_cluster_key ("CAROL", ADR_ACCESS_WRITE);
    for (int i = 0; i < 3; i++)
        assert_int_equal (pthread_create (&thread[i], NULL, s_read_lists, world->keyring), 0);
    for (int i = 0; i < 3000; i++)
        s_tell (world, &carol, (size_t) (i % 2));
    __atomic_store_n (&s_over, true, __ATOMIC_RELEASE);
    for (int i = 0; i < 3; i++) {
        pthread_join (thread[i], &wrong);
        assert_null (wrong);
    }
}

static void
test_health (void **state)
{
    world_t *world = *state;
    ASK (200, "live", "GET", "/_adrestia/health/live", .access = "");
    ASK (200, "ready", "GET", "/_adrestia/health/ready", .access = "");
    ASK (403, NULL, "PUT", "/_adrestia/health/live", .access = "");
    ASK (403, NULL, "GET", "/_adrestia/other", .access = "");
}

/* [EDGE-9] While it drains nothing begins, whoever asks; what has begun ends; and it says so to who looks after it. */
static void
test_draining (void **state)
{
    world_t *world = *state;
    ask_t put = { .method = "PUT", "/bucket/key", "body" };
    ASK (200, NULL, "PUT", "/bucket");
    talk_t *talk = s_begin (world, &put);
    adr_s3_drain (world->s3, true);
    ASK (503, "SlowDown", "PUT", "/bucket/other", "body");
    ASK (503, "drained", "GET", "/bucket/key");
    ASK (503, "SlowDown", "GET", "/bucket/key", .access = "");
    ASK (503, "not ready", "GET", "/_adrestia/health/ready", .access = "");
    ASK (200, "live", "GET", "/_adrestia/health/live", .access = "");
    talk_t *late = s_begin (world, &put);
    s_send_body (late);
    assert_true (s_has_header (s_finish (world, late), "Retry-After", "1"));
    s_end (&late);
    s_send_body (talk);
    assert_int_equal (s_finish (world, talk)->status, 200);
    s_end (&talk);
    adr_s3_drain (world->s3, false);
    ASK (200, NULL, "GET", "/bucket/key");
    ASK (404, "NoSuchKey", "GET", "/bucket/other");
    ASK (200, "ready", "GET", "/_adrestia/health/ready", .access = "");
}

/* --- what the cluster answers ------------------------------------------------------------------------------------------- */

static fake_fate_t
s_refuse_table (void *argument, const fake_request_t *request)
{
    return request->table == *(uint32_t *) argument && request->kind == ADR__KIND__WRITE ? FAKE_REFUSE : FAKE_DO;
}

static void
test_refused (void **state)
{
    world_t *world = *state;
    static uint32_t s_tables[] = { ADR_TABLE_META, ADR_TABLE_OBJECT };
    ASK (200, NULL, "PUT", "/bucket");
    for (int i = 0; i < 2; i++) {
        fake_store_set_fate (world->store, s_refuse_table, &s_tables[i]);
        ASK (503, "SlowDown", "PUT", "/bucket/key", "body");
        s_turn (world);
        fake_store_set_fate (world->store, NULL, NULL);
        ASK (404, "NoSuchKey", "GET", "/bucket/key");
    }
    uint32_t bucket = ADR_TABLE_BUCKET;
    fake_store_set_fate (world->store, s_refuse_table, &bucket);
    ASK (503, "SlowDown", "PUT", "/other");
}

static void
test_broken_bodies (void **state)
{
    world_t *world = *state;
    ASK (200, NULL, "PUT", "/bucket");
    ASK (400, "XAmzContentSHA256Mismatch", "PUT", "/bucket/key", "body",
         { "x-amz-content-sha256", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855" });
    ASK (400, "BadDigest", "PUT", "/bucket/key", "body", { "content-md5", "kAFQmDzST7DWlj99KOF/cg==" });
    ASK (403, "SignatureDoesNotMatch", "PUT", "/bucket/key", "4\r\nbody\r\n0\r\n\r\n",
         { "x-amz-content-sha256", "STREAMING-AWS4-HMAC-SHA256-PAYLOAD", "x-amz-decoded-content-length", "4" });
    ASK (400, "IncompleteBody", "PUT", "/bucket/key", "4\r\nbod",
         { "x-amz-content-sha256", "STREAMING-UNSIGNED-PAYLOAD-TRAILER", "x-amz-decoded-content-length", "4" });
    ASK (411, "MissingContentLength", "PUT", "/bucket/key");
    ASK (501, "NotImplemented", "PUT", "/bucket/key", "", { "x-amz-copy-source", "/bucket/other" });
    ASK (501, "NotImplemented", "PUT", "/bucket/key", "", { "x-amz-server-side-encryption", "AES256" });
    s_turn (world);
    assert_int_equal (fake_store_count (world->store, ADR_TABLE_META), 0);
    assert_int_equal (fake_store_count (world->store, ADR_TABLE_OBJECT), 0);
}

/* A client that goes away in the middle of its upload, or while its request is under way. */
static void
test_given_up (void **state)
{
    world_t *world = *state;
    ASK (200, NULL, "PUT", "/bucket");
    for (int turns = 0; turns < 8; turns++)
        for (int body = 0; body < 2; body++) {
            size_t count = fake_store_count (world->store, ADR_TABLE_META);
            talk_t *talk = s_begin (world, &(ask_t){ .method = "PUT", "/bucket/gone", "body" });
            if (body)
                s_send_body (talk);
            for (int i = 0; i < turns; i++)
                s_turn (world);
            s_end (&talk);
            for (int i = 0; i < 5; i++)
                s_turn (world);
            if (!body)
                assert_int_equal (fake_store_count (world->store, ADR_TABLE_META), count);
        }
    talk_t *four[5];
    for (int i = 0; i < 5; i++)
        four[i] = s_begin (world, &(ask_t){ .method = "PUT", "/bucket/slot", "body" });
    assert_int_equal (s_finish (world, four[4])->status, 503);
    for (int i = 0; i < 5; i++)
        s_end (&four[i]);
    ASK (200, NULL, "PUT", "/bucket/slot", "body");
}

/* A put and the deletion of its bucket, interleaved at each step: in the end the bucket has the object, or neither is
 * there and the put was not told 200. */
static void
test_put_against_delete_bucket (void **state)
{
    world_t *world = *state;
    unsigned kept = 0, gone = 0;
    for (int before = 0; before < 8; before++)
        for (int between = 0; between < 8; between++) {
            ASK (200, NULL, "PUT", "/race");
            talk_t *put = NULL, *del = NULL;
            put = s_begin (world, &(ask_t){ .method = "PUT", "/race/key", "body" });
            for (int i = 0; i < before; i++)
                s_turn (world);
            del = s_begin (world, &(ask_t){ .method = "DELETE", "/race" });
            s_send_body (del);
            for (int i = 0; i < between; i++)
                s_turn (world);
            s_send_body (put);
            unsigned put_status = s_finish (world, put)->status, del_status = s_finish (world, del)->status;
            bool bucket = fake_store_has (world->store, ADR_TABLE_BUCKET, adr_bytes ("race", 4));
            bool object = fake_store_has (world->store, ADR_TABLE_META, adr_bytes ("race\0key", 8));
            assert_true (bucket || !object);
            assert_int_equal (put_status == 200, object);
            assert_true (del_status == 204 ? !bucket : bucket);
            s_end (&put);
            s_end (&del);
            kept += bucket;
            gone += !bucket;
            if (object)
                ASK (204, NULL, "DELETE", "/race/key");
            if (bucket)
                ASK (204, NULL, "DELETE", "/race");
        }
    assert_true (kept > 0 && gone > 0);
}

static void
s_ignore (void *argument, const adr_reply_t *reply)
{
    (void) argument;
    (void) reply;
}

/* The library makes buckets without an owner: they are the common one's. */
static void
test_bucket_of_the_library (void **state)
{
    world_t *world = *state;
    adr_session_op_t op = { .table = ADR_TABLE_BUCKET, .key = adr_s3_text ("made-by-library"),
                            .value = adr_bytes ("\010\001", 2) }; /* layout 1 */
    adr_s3_lock (world->s3);
    adr_session_write (world->session, &op, 1, 0, s_ignore, NULL);
    adr_s3_unlock (world->s3);
    s_turn (world);
    ASK (200, "<Name>made-by-library</Name>", "GET", "/");
    ASK (409, "BucketAlreadyOwnedByYou", "PUT", "/made-by-library");
    ASK (409, "BucketAlreadyExists", "PUT", "/made-by-library", .access = "BOB", .secret = "bob's secret");
}

static fake_fate_t
s_lose_answers_of_bucket_deletes (void *argument, const fake_request_t *request)
{
    (void) argument;
    bool lose = request->table == ADR_TABLE_BUCKET && request->kind == ADR__KIND__WRITE && request->delete_it;
    return lose ? FAKE_LOSE_ANSWER : FAKE_DO;
}

/* The same where nobody hears that the bucket's record was deleted. */
static void
test_put_against_a_delete_in_doubt (void **state)
{
    world_t *world = *state;
    unsigned kept = 0;
    for (int before = 0; before < 8; before++) {
        fake_store_set_fate (world->store, NULL, NULL);
        ASK (200, NULL, "PUT", "/race");
        fake_store_set_fate (world->store, s_lose_answers_of_bucket_deletes, NULL);
        talk_t *put = s_begin (world, &(ask_t){ .method = "PUT", "/race/key", "body" });
        s_send_body (put);
        talk_t *del = NULL;
        for (int i = 0; i < 20; i++) {
            if (i == before) {
                del = s_begin (world, &(ask_t){ .method = "DELETE", "/race" });
                s_send_body (del);
            }
            s_turn (world);
        }
        for (; !adr_s3_call_answer (del->call); s_skipped += INT64_C (1000000000))
            s_turn (world);
        bool bucket = fake_store_has (world->store, ADR_TABLE_BUCKET, adr_bytes ("race", 4));
        bool object = fake_store_has (world->store, ADR_TABLE_META, adr_bytes ("race\0key", 8));
        assert_true (bucket || !object);
        assert_int_equal (s_finish (world, put)->status == 200, object);
        assert_int_equal (s_finish (world, del)->status == 204, 0); /* nobody may say so */
        kept += object;
        s_end (&put);
        s_end (&del);
        fake_store_set_fate (world->store, NULL, NULL);
        if (object)
            ASK (204, NULL, "DELETE", "/race/key");
        if (bucket)
            ASK (204, NULL, "DELETE", "/race");
    }
    assert_true (kept > 0);
}

int
main (void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown (test_operations, s_setup, s_teardown),
        cmocka_unit_test_setup_teardown (test_last_modified, s_setup, s_teardown),
        cmocka_unit_test_setup_teardown (test_virtual_host, s_setup, s_teardown),
        cmocka_unit_test_setup_teardown (test_matrix, s_setup, s_teardown),
        cmocka_unit_test_setup_teardown (test_every_route_with_every_level, s_setup, s_teardown),
        cmocka_unit_test_setup_teardown (test_rights_of_limited_keys, s_setup, s_teardown),
        cmocka_unit_test_setup_teardown (test_the_newest_list_counts, s_setup, s_teardown),
        cmocka_unit_test_setup_teardown (test_a_request_keeps_its_list, s_setup, s_teardown),
        cmocka_unit_test_setup_teardown (test_lists_are_swapped_under_threads, s_setup, s_teardown),
        cmocka_unit_test_setup_teardown (test_health, s_setup, s_teardown),
        cmocka_unit_test_setup_teardown (test_draining, s_setup, s_teardown),
        cmocka_unit_test_setup_teardown (test_refused, s_setup, s_teardown),
        cmocka_unit_test_setup_teardown (test_broken_bodies, s_setup, s_teardown),
        cmocka_unit_test_setup_teardown (test_given_up, s_setup, s_teardown),
        cmocka_unit_test_setup_teardown (test_put_against_delete_bucket, s_setup, s_teardown),
        cmocka_unit_test_setup_teardown (test_put_against_a_delete_in_doubt, s_setup, s_teardown),
        cmocka_unit_test_setup_teardown (test_bucket_of_the_library, s_setup, s_teardown),
    };
    return cmocka_run_group_tests (tests, NULL, NULL);
}
