/* SPDX-License-Identifier: MPL-2.0 */
/* Requests to S3 over a store in memory, several to one store, each rightly signed: what an authenticated client can
 * say. The input is lines: "METHOD TARGET", headers, an empty line, then the body up to a line of "--" and the next
 * request. A method in lower case gives its request up after the first half of the body; a fate for each request to the
 * store comes from the sizes. Each answer must be one that HTTP can carry. */

#include "edge/s3_call.h"

#include "../unit/fake_store.h"

#include <stdio.h>
#include <stdlib.h>

#define NOW_MS INT64_C (1440938160000) /* 20150830T123600Z */
#define DATE "20150830T123600Z"
#define SCOPE "20150830/us-east-1/s3/aws4_request"
#define REQUESTS_MAX 8
#define NAME_MAX_SIGNED 60
#define AUTHORIZATION_MAX 9000 /* as many names as there can be */

int LLVMFuzzerTestOneInput (const uint8_t *data, size_t size);

typedef struct {
    fake_store_t *store;
    adr_session_t *session;
    adr_s3_t *s3;
    uint32_t dice;
} world_t;

static void
s_resume (void *argument)
{
    (void) argument;
}

static adr_bytes_t
s_line (adr_bytes_t *rest)
{
    const uint8_t *end = rest->size ? memchr (rest->data, '\n', rest->size) : NULL;
    adr_bytes_t line = adr_bytes (rest->data, end ? (size_t) (end - rest->data) : rest->size);
    size_t step = end ? line.size + 1 : line.size;
    *rest = adr_bytes (rest->data + step, rest->size - step);
    return line;
}

/* --- the signature ------------------------------------------------------------------------------------------------ */

static int
s_compare (const void *a, const void *b)
{
    return strcmp (a, b);
}

/* The names that must be signed, in order, each once. */
static void
s_list_names (const adr_http_request_t *request, adr_buffer_t *list)
{
    static char names[ADR_HTTP_HEADERS_MAX][NAME_MAX_SIGNED + 1];
    size_t count = 0;
    for (uint32_t i = 0; i < request->header_count; i++) {
        adr_bytes_t name = request->header[i].name;
        bool must = adr_http_starts_with_case (name, "x-amz-") || adr_http_text_equal_case (name, "host");
        if (!must || name.size > NAME_MAX_SIGNED || memchr (name.data, 0, name.size))
            continue;
        for (size_t j = 0; j <= name.size; j++)
            names[count][j] = j < name.size ? (char) (name.data[j] >= 'A' && name.data[j] <= 'Z' ? name.data[j] | 0x20
                                                                                                 : name.data[j])
                                            : '\0';
        count++;
    }
    qsort (names, count, sizeof names[0], s_compare);
    for (size_t i = 0; i < count; i++) {
        if (i && strcmp (names[i], names[i - 1]) == 0)
            continue;
        adr_buffer_append (list, ";", i ? 1 : 0);
        adr_buffer_append (list, names[i], strlen (names[i]));
    }
}

static void
s_sign (adr_http_request_t *request, char authorization[AUTHORIZATION_MAX])
{
    char text[256], hash[65], signature[65];
    adr_buffer_t canonical = { 0 }, list = { 0 };
    s_list_names (request, &list);
    adr_auth_canonical (&canonical, request, adr_bytes (list.data, list.size),
                        adr_http_header (request, "x-amz-content-sha256"));
    uint8_t digest[32], key[32];
    adr_sha256 (canonical.data, canonical.size, digest);
    adr_buffer_free (&canonical);
    adr_hex_encode (hash, digest, 32);
    int size = snprintf (text, sizeof text, "AWS4-HMAC-SHA256\n" DATE "\n" SCOPE "\n%s", hash);
    adr_auth_signing_key (key, "secret", adr_bytes ("20150830", 8), "us-east-1");
    adr_auth_sign (key, adr_bytes (text, (size_t) size), signature);
    snprintf (authorization, AUTHORIZATION_MAX, "AWS4-HMAC-SHA256 Credential=A/" SCOPE ", SignedHeaders=%.*s, Signature=%s",
              (int) list.size, (const char *) list.data, signature);
    adr_buffer_free (&list);
    adr_http_request_add (request, "Authorization", 13, authorization, strlen (authorization));
}

/* --- a request -------------------------------------------------------------------------------------------------------- */

/* One in eight requests to the store meets with trouble. */
static fake_fate_t
s_fate (void *argument, const fake_request_t *request)
{
    world_t *world = argument;
    world->dice = world->dice * 1664525u + 1013904223u + (uint32_t) request->number;
    switch (world->dice >> 27) {
    case 0:
    case 1:
        return FAKE_REFUSE;
    case 2:
    case 3:
        return FAKE_FORBID;
    default:
        return FAKE_DO;
    }
}

static void
s_turn (world_t *world)
{
    adr_s3_lock (world->s3);
    fake_store_deliver (world->store, world->session, 1);
    adr_s3_unlock (world->s3);
}

/* Nothing in it ends the header early, or makes two of it. */
static void
s_check_headers (const adr_s3_answer_t *answer)
{
    const char *at = (const char *) answer->headers.data, *end = answer->headers.size ? at + answer->headers.size : at;
    bool value = false;
    for (; at < end; at += strlen (at) + 1, value = !value) {
        adr_assert (strpbrk (at, "\r\n") == NULL);
        adr_assert (value || (*at && strpbrk (at, " :\t") == NULL));
    }
}

static void
s_check_answer (adr_s3_call_t *call, const adr_s3_answer_t *answer)
{
    adr_assert (answer->status >= 200 && answer->status < 600);
    s_check_headers (answer);
    static const char s_xml[] = "<?xml version=\"1.0\"";
    if (answer->status >= 400 && answer->body.size && !answer->streamed && answer->body.data[0] == '<')
        adr_assert (memcmp (answer->body.data, s_xml, strlen (s_xml)) == 0);
    if (!answer->streamed)
        return;
    char room[5000];
    uint64_t took = 0;
    ssize_t got = 0;
    for (int turn = 0; turn < 4 && took < answer->stream_size; turn++)
        if ((got = adr_s3_call_read (call, room, sizeof room)) > 0)
            took += (uint64_t) got;
    adr_assert (took <= answer->stream_size);
}

static void
s_talk (world_t *world, adr_s3_call_t *call, adr_bytes_t body, bool give_up)
{
    const adr_s3_answer_t *answer = NULL;
    size_t half = body.size / 2;
    adr_s3_call_begin (call, NOW_MS);
    for (int turn = 0; turn < 20 && body.size > 0; turn++) {
        size_t piece = body.size > half && half > 0 ? body.size - half : body.size;
        size_t took = adr_s3_call_body (call, body.data, piece);
        adr_assert (took <= piece);
        body = adr_bytes (body.data + took, body.size - took);
        if (give_up)
            return;
        s_turn (world);
    }
    if (body.size > 0)
        return;
    adr_s3_call_end (call);
    for (int turn = 0; turn < 100 && !(answer = adr_s3_call_answer (call)); turn++)
        s_turn (world);
    if (answer)
        s_check_answer (call, answer);
}

/* Headers up to the empty line; true if the request says itself what its content's digest is. */
static bool
s_add_headers (adr_http_request_t *request, adr_bytes_t *rest)
{
    bool digest = false;
    adr_bytes_t line;
    while (rest->size > 0 && (line = s_line (rest)).size > 0) {
        const uint8_t *colon = memchr (line.data, ':', line.size);
        size_t name = colon ? (size_t) (colon - line.data) : line.size;
        adr_http_request_add (request, line.data, name, colon ? colon + 1 : line.data + line.size,
                              colon ? line.size - name - 1 : 0);
        digest |= adr_http_text_equal_case (adr_bytes (line.data, name), "x-amz-content-sha256");
    }
    return digest;
}

static adr_bytes_t
s_take_body (adr_bytes_t *rest)
{
    const uint8_t *end = rest->size ? memmem (rest->data, rest->size, "\n--\n", 4) : NULL;
    adr_bytes_t body = adr_bytes (rest->data, end ? (size_t) (end - rest->data) : rest->size);
    size_t step = end ? body.size + 4 : body.size;
    *rest = adr_bytes (rest->data + step, rest->size - step);
    return body;
}

static void
s_request (world_t *world, adr_bytes_t *rest)
{
    static char authorization[AUTHORIZATION_MAX];
    adr_bytes_t line = s_line (rest);
    const uint8_t *space = line.size ? memchr (line.data, ' ', line.size) : NULL;
    char method[16] = "GET", length[24];
    bool give_up = false;
    if (space && space - line.data < 16) {
        size_t size = (size_t) (space - line.data);
        for (size_t i = 0; i <= size; i++)
            method[i] = i < size ? (char) (line.data[i] & ~0x20) : '\0';
        give_up = size && line.data[0] >= 'a';
        line = adr_bytes (space + 1, line.size - size - 1);
    }
    adr_s3_call_t *call = adr_s3_call_new (world->s3, s_resume, NULL);
    adr_http_request_t *request = adr_s3_call_request (call);
    adr_http_request_init (request, method, line.data, line.size);
    adr_http_request_add (request, "Host", 4, "s3.test", 7);
    adr_http_request_add (request, "x-amz-date", 10, DATE, strlen (DATE));
    if (!s_add_headers (request, rest))
        adr_http_request_add (request, "x-amz-content-sha256", 20, "UNSIGNED-PAYLOAD", 16);
    adr_bytes_t body = s_take_body (rest);
    if (!adr_http_header (request, "content-length").data && body.size) {
        snprintf (length, sizeof length, "%zu", body.size);
        adr_http_request_add (request, "content-length", 14, length, strlen (length));
    }
    if (!request->malformed)
        s_sign (request, authorization);
    s_talk (world, call, body, give_up);
    adr_s3_call_destroy (&call);
}

int
LLVMFuzzerTestOneInput (const uint8_t *data, size_t size)
{
    adr_id_t cluster = { { 1 } }, node = { { 2 } };
    adr_credentials_t *credentials = adr_credentials_new ();
    adr_s3_settings_t settings = { .region = "us-east-1", .domain = "s3.test", .transfers_max = 4 };
    adr_assert (adr_credentials_add (credentials, "A", "secret", NULL));
    world_t world = { .store = fake_store_new (&cluster), .dice = (uint32_t) size };
    world.session = adr_session_new (&cluster, &node, 7, 64 << 20, fake_store_send, world.store);
    adr_keyring_t *keyring = adr_keyring_new (credentials);
    world.s3 = adr_s3_new (&settings, keyring, world.session);
    if (size % 4 == 3)
        fake_store_set_fate (world.store, s_fate, &world);
    adr_bytes_t rest = adr_bytes (data, size);
    for (int count = 0; count < REQUESTS_MAX && rest.size > 0; count++)
        s_request (&world, &rest);
    adr_s3_lock (world.s3);
    adr_session_destroy (&world.session);
    adr_s3_unlock (world.s3);
    adr_s3_destroy (&world.s3);
    adr_keyring_destroy (&keyring);
    fake_store_destroy (&world.store);
    return 0;
}
