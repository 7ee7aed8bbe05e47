/* SPDX-License-Identifier: MPL-2.0 */
/* Bodies in all forms: the examples of S3's documentation, cut at every place; every byte changed; promises broken. */

#include "edge/payload.h"

#include <stdio.h>
#include <stdlib.h>

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#define DOC_SECRET "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"
#define DOC_DATE "20130524T000000Z"
#define DOC_SCOPE "20130524/us-east-1/s3/aws4_request"
#define DOC_SEED "4f232c4386841ef735655705268965c44a0e4690baa4adea153f7db9fa80a0a9"
#define DOC_SEED_TRAILER "106e2a8a18243abcf37539882f36619c00e2dfc72633413f02d3b74544bfeb8e"

typedef struct {
    const char *form;
    const char *header[12]; /* name, value, ... */
    const char *seed;
} plan_t;

static adr_payload_t *
s_new (const plan_t *plan, adr_s3_error_t *error)
{
    adr_http_request_t request;
    adr_auth_result_t auth = { .payload = adr_bytes (plan->form, strlen (plan->form)) };
    const char *reason;
    adr_http_request_init (&request, "PUT", "/b/k", 4);
    for (int i = 0; i < 12 && plan->header[i]; i += 2)
        adr_http_request_add (&request, plan->header[i], strlen (plan->header[i]), plan->header[i + 1],
                              strlen (plan->header[i + 1]));
    adr_auth_signing_key (auth.signing.key, DOC_SECRET, adr_bytes ("20130524", 8), "us-east-1");
    strcpy (auth.signing.date, DOC_DATE);
    strcpy (auth.signing.scope, DOC_SCOPE);
    if (plan->seed)
        strcpy (auth.signing.signature, plan->seed);
    adr_payload_t *self = adr_payload_new (&request, &auth, true, error, &reason);
    adr_http_request_free (&request);
    return self;
}

/* Feeds the body in pieces of `piece` bytes, taken in smaller ones; the content goes to `content`. */
static adr_s3_error_t
s_feed (adr_payload_t *self, adr_bytes_t body, size_t piece, adr_buffer_t *content)
{
    while (body.size > 0) {
        size_t size = body.size < piece ? body.size : piece, have;
        adr_bytes_t input = adr_bytes (body.data, size);
        body = adr_bytes (body.data + size, body.size - size);
        while (input.size > 0) {
            adr_s3_error_t error = adr_payload_step (self, &input, &have);
            if (error != ADR_S3_OK)
                return error;
            size_t take = have > 100 ? have - have / 3 : have;
            if (take == 0)
                continue;
            adr_buffer_append (content, input.data, take);
            adr_payload_take (self, &input, take);
        }
    }
    return adr_payload_end (self);
}

static adr_s3_error_t
s_decode (const plan_t *plan, adr_bytes_t body, size_t piece, adr_buffer_t *content)
{
    adr_s3_error_t error;
    adr_buffer_clear (content);
    adr_payload_t *self = s_new (plan, &error);
    if (!self)
        return error;
    error = s_feed (self, body, piece, content);
    adr_payload_destroy (&self);
    return error;
}

static adr_s3_error_t
s_decode_text (const plan_t *plan, const char *text)
{
    adr_buffer_t content = { 0 };
    adr_s3_error_t error = s_decode (plan, adr_bytes (text, strlen (text)), 7, &content);
    adr_buffer_free (&content);
    return error;
}

/* --- S3's documentation: 65 KiB of 'a' in chunks of 64 KiB --------------------------------------------------------- */

static void
s_chunk (adr_buffer_t *body, size_t size, const char *signature, bool end)
{
    char line[128];
    int length = snprintf (line, sizeof line, "%zx;chunk-signature=%s\r\n", size, signature);
    adr_buffer_append (body, line, (size_t) length);
    memset (adr_buffer_grow (body, size), 'a', size);
    if (end)
        adr_buffer_append (body, "\r\n", 2);
}

static const plan_t s_signed = { "STREAMING-AWS4-HMAC-SHA256-PAYLOAD",
                                 { "x-amz-decoded-content-length", "66560", "content-length", "66824" },
                                 DOC_SEED };
static const plan_t s_signed_trailer
    = { "STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER",
        { "x-amz-decoded-content-length", "66560", "x-amz-trailer", "x-amz-checksum-crc32c" },
        DOC_SEED_TRAILER };

static void
s_signed_body (adr_buffer_t *body)
{
    s_chunk (body, 65536, "ad80c730a21e5b8d04586a2213dd63b9a0e99e0e2307b0ade35a65485a288648", true);
    s_chunk (body, 1024, "0055627c9e194cb4542bae2aa5492e3c1575bbb81b612b7d234b86a503ef5497", true);
    s_chunk (body, 0, "b6c6ea8a5354eaf15b3cb7646744f4275b71ea724fed81ceb9323e279d449df9", true);
}

static void
s_trailer_body (adr_buffer_t *body, const char *between)
{
    char text[256];
    s_chunk (body, 65536, "b474d8862b1487a5145d686f57f013e54db672cee1c953b3010fb58501ef5aa2", true);
    s_chunk (body, 1024, "1c1344b170168f8e65b41376b44b20fe354e373826ccbbe2c1d40a8cae51e5c7", true);
    s_chunk (body, 0, "2ca2aba2005185cf7159c6277faf83795951dd77a3a99e6e65d5c9f85863f992", false);
    int size = snprintf (text, sizeof text,
                         "x-amz-checksum-crc32c:sOO8/Q==%s"
                         "x-amz-trailer-signature:d81f82fc3505edab99d459891051a732e8730629a2e4a59689829ca17fe2e435\r\n\r\n",
                         between);
    adr_buffer_append (body, text, (size_t) size);
}

static void
test_documented (void **state)
{
    (void) state;
    static const size_t s_pieces[] = { 1, 2, 3, 17, 83, 84, 85, 86, 4096, 65535, 65536, 65537, 1 << 20 };
    adr_buffer_t body = { 0 }, content = { 0 };
    s_signed_body (&body);
    assert_int_equal (body.size, 66824);
    for (size_t i = 0; i < sizeof s_pieces / sizeof *s_pieces; i++) {
        assert_int_equal (s_decode (&s_signed, adr_bytes (body.data, body.size), s_pieces[i], &content), ADR_S3_OK);
        assert_int_equal (content.size, 66560);
    }
    static const char *const s_between[] = { "\r\n", "\n", "\n\r\n" };
    for (size_t b = 0; b < 3; b++) {
        adr_buffer_clear (&body);
        s_trailer_body (&body, s_between[b]);
        for (size_t i = 0; i < sizeof s_pieces / sizeof *s_pieces; i++) {
            assert_int_equal (s_decode (&s_signed_trailer, adr_bytes (body.data, body.size), s_pieces[i], &content),
                              ADR_S3_OK);
            assert_int_equal (content.size, 66560);
        }
    }
    adr_buffer_free (&body);
    adr_buffer_free (&content);
}

/* No byte of framing, content or trailer can be changed, and nothing can be cut off. */
static void
s_change_everything (const plan_t *plan, adr_buffer_t *body)
{
    adr_buffer_t content = { 0 };
    for (size_t at = 0; at < body->size; at += at > 100 && at < 65600 ? 971 : 1) {
        uint8_t was = body->data[at];
        body->data[at] ^= 1;
        adr_s3_error_t error = s_decode (plan, adr_bytes (body->data, body->size), 1 << 20, &content);
        if (error == ADR_S3_OK && at < body->size - 4)
            fail_msg ("byte %zu of %zu can be changed", at, body->size);
        body->data[at] = was;
    }
    for (size_t cut = 3; cut < body->size; cut += cut > 300 && cut < 66000 ? 977 : 1)
        if (s_decode (plan, adr_bytes (body->data, body->size - cut), 1 << 20, &content) == ADR_S3_OK)
            fail_msg ("%zu bytes can be cut off", cut);
    adr_buffer_free (&content);
}

static void
test_changed (void **state)
{
    (void) state;
    adr_buffer_t body = { 0 };
    s_signed_body (&body);
    s_change_everything (&s_signed, &body);
    adr_buffer_clear (&body);
    s_trailer_body (&body, "\r\n");
    s_change_everything (&s_signed_trailer, &body);
    adr_buffer_free (&body);
}

/* --- unsigned chunks ------------------------------------------------------------------------------------------------- */

static void
test_unsigned_trailer (void **state)
{
    (void) state;
    static const plan_t s_plan
        = { "STREAMING-UNSIGNED-PAYLOAD-TRAILER",
            { "x-amz-decoded-content-length", "9", "x-amz-trailer", "x-amz-checksum-crc32" }, NULL };
    static const plan_t s_open
        = { "STREAMING-UNSIGNED-PAYLOAD-TRAILER", { "x-amz-trailer", "x-amz-checksum-crc32" }, NULL };
    static const plan_t s_bare = { "STREAMING-UNSIGNED-PAYLOAD-TRAILER", { NULL }, NULL };
    static const struct {
        const plan_t *plan;
        const char *body;
        adr_s3_error_t error;
    } s_cases[] = {
        { &s_plan, "9\r\n123456789\r\n0\r\nx-amz-checksum-crc32:y/Q5Jg==\r\n\r\n", ADR_S3_OK },
        { &s_plan, "4\r\n1234\r\n5\r\n56789\r\n0\r\nx-amz-checksum-crc32: y/Q5Jg== \r\n\r\n", ADR_S3_OK },
        { &s_plan, "9\r\n123456789\r\n0\r\nX-Amz-Checksum-CRC32:y/Q5Jg==\r\n\r\n", ADR_S3_OK },
        { &s_open, "9\r\n123456789\r\n0\r\nx-amz-checksum-crc32:y/Q5Jg==\r\n\r\n", ADR_S3_OK },
        { &s_plan, "9\r\n123456780\r\n0\r\nx-amz-checksum-crc32:y/Q5Jg==\r\n\r\n", ADR_S3_BadDigest },
        { &s_plan, "9\r\n123456789\r\n0\r\n\r\n", ADR_S3_MalformedTrailerError },
        { &s_plan, "9\r\n123456789\r\n0\r\nx-amz-checksum-crc32:nonsense\r\n\r\n", ADR_S3_MalformedTrailerError },
        { &s_plan, "9\r\n123456789\r\n0\r\nx-amz-checksum-sha1:y/Q5Jg==\r\n\r\n", ADR_S3_MalformedTrailerError },
        { &s_plan, "9\r\n123456789\r\n0\r\nx-amz-checksum-crc32:y/Q5Jg==\r\nx-amz-checksum-crc32:y/Q5Jg==\r\n\r\n",
          ADR_S3_MalformedTrailerError },
        { &s_plan, "9\r\n123456789\r\n0\r\nno colon\r\n\r\n", ADR_S3_MalformedTrailerError },
        { &s_plan, "8\r\n12345678\r\n0\r\nx-amz-checksum-crc32:y/Q5Jg==\r\n\r\n", ADR_S3_IncompleteBody },
        { &s_plan, "a\r\n1234567890\r\n0\r\n\r\n", ADR_S3_IncompleteBody },
        { &s_plan, "9\r\n123456789", ADR_S3_IncompleteBody },
        { &s_plan, "9\r\n123456789\r\n", ADR_S3_IncompleteBody },
        { &s_plan, "9\r\n123456789XX0\r\n\r\n", ADR_S3_IncompleteBody },
        { &s_plan, "9\n123456789\r\n0\r\n\r\n", ADR_S3_IncompleteBody },
        { &s_plan, "\r\n", ADR_S3_IncompleteBody },
        { &s_plan, "-9\r\n", ADR_S3_IncompleteBody },
        { &s_plan, "ffffffffffffffff\r\n", ADR_S3_IncompleteBody },
        { &s_plan, "0000000000000009\r\n", ADR_S3_IncompleteBody },
        { &s_plan, "", ADR_S3_IncompleteBody },
        { &s_bare, "3\r\nabc\r\n0\r\n\r\n", ADR_S3_OK },
        { &s_bare, "3;extension=1\r\nabc\r\n0\r\n\r\n", ADR_S3_OK },
        { &s_bare, "3\r\nabc\r\n0\r\n\r\nmore", ADR_S3_IncompleteBody },
        { &s_bare, "3\r\nabc\r\n0\r\nx-amz-checksum-crc32:y/Q5Jg==\r\n\r\n", ADR_S3_MalformedTrailerError },
        { &s_bare, "3\r\nabc\r\n0\r\nx-amz-trailer-signature:" DOC_SEED "\r\n\r\n", ADR_S3_MalformedTrailerError },
    };
    for (size_t i = 0; i < sizeof s_cases / sizeof *s_cases; i++) {
        adr_s3_error_t error = s_decode_text (s_cases[i].plan, s_cases[i].body);
        if (error != s_cases[i].error)
            fail_msg ("case %zu: %s instead of %s", i, adr_s3_error_code (error),
                      adr_s3_error_code (s_cases[i].error));
    }
    char line[1024];
    memset (line, 'x', sizeof line);
    memcpy (line, "3;", 2);
    line[sizeof line - 1] = '\0';
    assert_int_equal (s_decode_text (&s_bare, line), ADR_S3_IncompleteBody);
}

/* --- plain bodies ------------------------------------------------------------------------------------------------------ */

#define HASH_ABC "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"

static void
test_plain (void **state)
{
    (void) state;
    static const struct {
        plan_t plan;
        const char *body;
        adr_s3_error_t error;
    } s_cases[] = {
        { { HASH_ABC, { "content-length", "3" }, NULL }, "abc", ADR_S3_OK },
        { { HASH_ABC, { "content-length", "3" }, NULL }, "abd", ADR_S3_XAmzContentSHA256Mismatch },
        { { HASH_ABC, { "content-length", "4" }, NULL }, "abc", ADR_S3_IncompleteBody },
        { { HASH_ABC, { "content-length", "2" }, NULL }, "abc", ADR_S3_IncompleteBody },
        { { HASH_ABC, { NULL }, NULL }, "abc", ADR_S3_IncompleteBody },
        { { "UNSIGNED-PAYLOAD", { "content-length", "3" }, NULL }, "abd", ADR_S3_OK },
        { { "UNSIGNED-PAYLOAD", { "transfer-encoding", "chunked" }, NULL }, "abd", ADR_S3_OK },
        { { "UNSIGNED-PAYLOAD", { NULL }, NULL }, "", ADR_S3_OK },
        { { "UNSIGNED-PAYLOAD", { "content-length", "x" }, NULL }, "", ADR_S3_InvalidArgument },
        { { "unsigned-payload", { "content-length", "3" }, NULL }, "abc", ADR_S3_InvalidArgument },
        { { "", { "content-length", "3" }, NULL }, "abc", ADR_S3_InvalidArgument },
        { { "UNSIGNED-PAYLOAD", { "content-length", "3", "content-md5", "kAFQmDzST7DWlj99KOF/cg==" }, NULL }, "abc", ADR_S3_OK },
        { { "UNSIGNED-PAYLOAD", { "content-length", "3", "content-md5", "kAFQmDzST7DWlj99KOF/cg==" }, NULL }, "abd",
          ADR_S3_BadDigest },
        { { "UNSIGNED-PAYLOAD", { "content-length", "3", "content-md5", "kAFQ" }, NULL }, "abc", ADR_S3_InvalidDigest },
        { { "UNSIGNED-PAYLOAD", { "content-length", "9", "x-amz-checksum-crc32c", "4waSgw==" }, NULL }, "123456789", ADR_S3_OK },
        { { "UNSIGNED-PAYLOAD", { "content-length", "9", "x-amz-checksum-crc64nvme", "rosUhgp5mIg=" }, NULL }, "123456789",
          ADR_S3_OK },
        { { "UNSIGNED-PAYLOAD", { "content-length", "9", "x-amz-checksum-crc64nvme", "rosUhgp5mIk=" }, NULL }, "123456789",
          ADR_S3_BadDigest },
        { { "UNSIGNED-PAYLOAD", { "content-length", "3", "x-amz-checksum-sha1", "qZk+NkcGgWq6PiVxeFDCbJzQ2J0=" }, NULL }, "abc",
          ADR_S3_OK },
        { { "UNSIGNED-PAYLOAD", { "content-length", "3", "x-amz-checksum-sha1", "4waSgw==" }, NULL }, "abc",
          ADR_S3_InvalidRequest },
        { { "UNSIGNED-PAYLOAD",
            { "content-length", "9", "x-amz-checksum-crc32c", "4waSgw==", "x-amz-checksum-crc32", "y/Q5Jg==" }, NULL },
          "123456789", ADR_S3_InvalidRequest },
        { { "UNSIGNED-PAYLOAD",
            { "content-length", "9", "x-amz-checksum-crc32c", "4waSgw==", "x-amz-sdk-checksum-algorithm", "CRC32C" }, NULL },
          "123456789", ADR_S3_OK },
        { { "UNSIGNED-PAYLOAD",
            { "content-length", "9", "x-amz-checksum-crc32c", "4waSgw==", "x-amz-sdk-checksum-algorithm", "SHA1" }, NULL },
          "123456789", ADR_S3_InvalidRequest },
        { { "UNSIGNED-PAYLOAD", { "content-length", "9", "x-amz-trailer", "x-amz-checksum-crc32c" }, NULL }, "123456789",
          ADR_S3_InvalidRequest },
    };
    for (size_t i = 0; i < sizeof s_cases / sizeof *s_cases; i++) {
        adr_s3_error_t error = s_decode_text (&s_cases[i].plan, s_cases[i].body);
        if (error != s_cases[i].error)
            fail_msg ("case %zu: %s instead of %s", i, adr_s3_error_code (error),
                      adr_s3_error_code (s_cases[i].error));
    }
}

static void
test_results (void **state)
{
    (void) state;
    const plan_t plan = { "UNSIGNED-PAYLOAD", { "content-length", "9", "x-amz-checksum-crc32c", "4waSgw==" }, NULL };
    adr_s3_error_t error;
    const char *name, *value;
    adr_buffer_t content = { 0 };
    adr_payload_t *self = s_new (&plan, &error);
    assert_int_equal (adr_payload_length (self), 9);
    assert_int_equal (s_feed (self, adr_bytes ("123456789", 9), 4, &content), ADR_S3_OK);
    assert_int_equal (adr_payload_size (self), 9);
    assert_string_equal (adr_payload_etag (self), "25f9e794323b453885f5181f1b624d0b");
    assert_true (adr_payload_checksum (self, &name, &value));
    assert_string_equal (name, "x-amz-checksum-crc32c");
    assert_string_equal (value, "4waSgw==");
    adr_payload_destroy (&self);
    adr_buffer_free (&content);
}

int
main (void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test (test_documented), cmocka_unit_test (test_changed), cmocka_unit_test (test_unsigned_trailer),
        cmocka_unit_test (test_plain),      cmocka_unit_test (test_results),
    };
    return cmocka_run_group_tests (tests, NULL, NULL);
}
