/* SPDX-License-Identifier: MPL-2.0 */
/* Signature V4: the examples of S3's own documentation, requests that botocore signed (golden/make_sigv4.py), and what
 * must be refused. */

#include "edge/auth.h"

#include "edge/digest.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#define EMPTY "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
#define DOC_NOW INT64_C (1369353600000)    /* 20130524T000000Z */
#define GOLDEN_NOW INT64_C (1440938160000) /* 20150830T123600Z */

typedef struct {
    adr_http_request_t request;
    char text[64][512];
    unsigned count;
} made_t;

static void
s_start (made_t *made, const char *method, const char *target)
{
    made->count = 0;
    adr_http_request_init (&made->request, method, target, strlen (target));
}

static void
s_header (made_t *made, const char *name, const char *value)
{
    char *at_name = made->text[made->count++], *at_value = made->text[made->count++];
    snprintf (at_name, 512, "%s", name);
    snprintf (at_value, 512, "%s", value);
    adr_http_request_add (&made->request, at_name, strlen (at_name), at_value, strlen (at_value));
}

static adr_credentials_t *
s_credentials (const char *access, const char *secret)
{
    adr_credentials_t *self = adr_credentials_new ();
    assert_true (adr_credentials_add (self, access, secret, NULL));
    assert_true (adr_credentials_add (self, "OTHER", "other secret", "bob"));
    return self;
}

static adr_s3_error_t
s_verify (made_t *made, const char *access, const char *secret, int64_t now)
{
    adr_credentials_t *credentials = s_credentials (access, secret);
    adr_auth_result_t result;
    const adr_principal_t *who = adr_authenticate (credentials, "us-east-1", &made->request, now, &result);
    assert_true ((who != NULL) == (result.error == ADR_S3_OK));
    if (who)
        assert_string_equal (adr_principal_access_key (who), access);
    adr_credentials_destroy (&credentials);
    return result.error;
}

/* --- S3's documentation ------------------------------------------------------------------------------------------- */

#define DOC_KEY "AKIAIOSFODNN7EXAMPLE"
#define DOC_SECRET "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"

static void
s_doc (const char *method, const char *target, const char *hash, const char *extra_name, const char *extra_value,
       const char *signed_headers, const char *signature)
{
    made_t made;
    char authorization[512];
    snprintf (authorization, sizeof authorization,
              "AWS4-HMAC-SHA256 Credential=" DOC_KEY "/20130524/us-east-1/s3/aws4_request,SignedHeaders=%s,Signature=%s",
              signed_headers, signature);
    s_start (&made, method, target);
    s_header (&made, "Host", "examplebucket.s3.amazonaws.com");
    s_header (&made, "Authorization", authorization);
    if (extra_name)
        s_header (&made, extra_name, extra_value);
    if (strcmp (method, "PUT") == 0)
        s_header (&made, "x-amz-storage-class", "REDUCED_REDUNDANCY");
    s_header (&made, "x-amz-date", "20130524T000000Z");
    s_header (&made, "x-amz-content-sha256", hash);
    assert_int_equal (s_verify (&made, DOC_KEY, DOC_SECRET, DOC_NOW), ADR_S3_OK);
    assert_int_equal (s_verify (&made, DOC_KEY, "another", DOC_NOW), ADR_S3_SignatureDoesNotMatch);
    adr_http_request_free (&made.request);
}

static void
test_documented (void **state)
{
    (void) state;
    s_doc ("GET", "/test.txt", EMPTY, "Range", "bytes=0-9", "host;range;x-amz-content-sha256;x-amz-date",
           "f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41");
    s_doc ("PUT", "/test%24file.text", "44ce7dd67c959e0d3524ffac1771dfbba87d2b6b4b4e99e42034a8b803f8b072", "Date",
           "Fri, 24 May 2013 00:00:00 GMT", "date;host;x-amz-content-sha256;x-amz-date;x-amz-storage-class",
           "98ad721746da40c64f1a55b78f14c238d841ea1380cd77a1b5971af0ece108bd");
    s_doc ("GET", "/?lifecycle", EMPTY, NULL, NULL, "host;x-amz-content-sha256;x-amz-date",
           "fea454ca298b7da1c68078a5d1bdbfbbe0d65c699e0f91ac7a200a0136783543");
    s_doc ("GET", "/?max-keys=2&prefix=J", EMPTY, NULL, NULL, "host;x-amz-content-sha256;x-amz-date",
           "34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7");
}

static void
test_presigned (void **state)
{
    (void) state;
    made_t made;
    s_start (&made, "GET",
             "/test.txt?X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=AKIAIOSFODNN7EXAMPLE%2F20130524%2Fus-east-1%2F"
             "s3%2Faws4_request&X-Amz-Date=20130524T000000Z&X-Amz-Expires=86400&X-Amz-SignedHeaders=host&"
             "X-Amz-Signature=aeeed9bbccd4d02ee5c0109b86d86835f995330da4c265957d157751f604d404");
    s_header (&made, "Host", "examplebucket.s3.amazonaws.com");
    assert_int_equal (s_verify (&made, DOC_KEY, DOC_SECRET, DOC_NOW), ADR_S3_OK);
    assert_int_equal (s_verify (&made, DOC_KEY, DOC_SECRET, DOC_NOW + 86400000), ADR_S3_OK);
    assert_int_equal (s_verify (&made, DOC_KEY, DOC_SECRET, DOC_NOW + 86401000), ADR_S3_AccessDenied);
    assert_int_equal (s_verify (&made, DOC_KEY, DOC_SECRET, DOC_NOW - 901000), ADR_S3_AccessDenied);
    s_header (&made, "x-amz-meta-added", "1");
    assert_int_equal (s_verify (&made, DOC_KEY, DOC_SECRET, DOC_NOW), ADR_S3_HeadersNotSigned);
    adr_http_request_free (&made.request);
}

/* --- botocore ------------------------------------------------------------------------------------------------------- */

static const char *
s_golden (void)
{
    static char path[512];
    const char *top = getenv ("top_srcdir");
    snprintf (path, sizeof path, "%s/tests/unit/golden/sigv4.txt", top ? top : ".");
    return path;
}

static void
test_botocore (void **state)
{
    (void) state;
    FILE *file = fopen (s_golden (), "r");
    assert_non_null (file);
    char line[8192], method[16] = "";
    made_t made = { 0 };
    unsigned cases = 0;
    while (fgets (line, sizeof line, file)) {
        line[strcspn (line, "\n")] = '\0';
        if (strncmp (line, "method ", 7) == 0)
            snprintf (method, sizeof method, "%.15s", line + 7);
        else if (strncmp (line, "target ", 7) == 0)
            s_start (&made, method, line + 7);
        else if (strncmp (line, "header ", 7) == 0) {
            char *value = strchr (line + 7, ' ');
            *value++ = '\0';
            s_header (&made, line + 7, value);
        } else if (strcmp (line, "end") == 0) {
            adr_s3_error_t error
                = s_verify (&made, "AKIDEXAMPLE", "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY", GOLDEN_NOW);
            if (error != ADR_S3_OK)
                fail_msg ("case %u, %s %.*s: %s", cases, method, (int) made.request.raw_path.size,
                          (const char *) made.request.raw_path.data, adr_s3_error_code (error));
            adr_http_request_free (&made.request);
            cases++;
        }
    }
    fclose (file);
    assert_true (cases >= 38);
}

/* --- refusals --------------------------------------------------------------------------------------------------------- */

typedef struct {
    const char *target, *authorization, *date, *hash, *extra;
} question_t;

#define SCOPE "Credential=AKIDEXAMPLE/20150830/us-east-1/s3/aws4_request"
#define ZEROS "0000000000000000000000000000000000000000000000000000000000000000"
#define NAMES "SignedHeaders=host;x-amz-content-sha256;x-amz-date"

static adr_s3_error_t
s_ask (question_t question)
{
    made_t made;
    s_start (&made, "GET", question.target ? question.target : "/bucket/key");
    s_header (&made, "Host", "bucket.example.com");
    if (question.authorization)
        s_header (&made, "Authorization", question.authorization);
    if (question.date)
        s_header (&made, "X-Amz-Date", question.date);
    if (question.hash)
        s_header (&made, "X-Amz-Content-SHA256", question.hash);
    if (question.extra)
        s_header (&made, question.extra, "value");
    adr_s3_error_t error = s_verify (&made, "AKIDEXAMPLE", "secret", GOLDEN_NOW);
    adr_http_request_free (&made.request);
    return error;
}

#define NOW "20150830T123600Z"
#define SIGNED "AWS4-HMAC-SHA256 " SCOPE "," NAMES ",Signature=" ZEROS
#define WITH(authorization) { NULL, authorization, NOW, EMPTY, NULL }

static const struct {
    question_t question;
    adr_s3_error_t error;
} s_refused[] = {
    { { NULL, NULL, NULL, NULL, NULL }, ADR_S3_AccessDenied },
    { WITH ("AWS AKIDEXAMPLE:sig"), ADR_S3_InvalidRequest },
    { WITH ("AWS4-HMAC-SHA256"), ADR_S3_InvalidRequest },
    { WITH ("AWS4-HMAC-SHA256  x"), ADR_S3_AuthorizationHeaderMalformed },
    { WITH ("AWS4-HMAC-SHA256 ,,,"), ADR_S3_AuthorizationHeaderMalformed },
    { WITH (SIGNED), ADR_S3_SignatureDoesNotMatch },
    { WITH ("AWS4-HMAC-SHA256 " SCOPE "," NAMES ",Signature=0"), ADR_S3_SignatureDoesNotMatch },
    { WITH ("AWS4-HMAC-SHA256 " SCOPE ", " SCOPE ", " NAMES ", Signature=" ZEROS),
      ADR_S3_AuthorizationHeaderMalformed },
    { { NULL, SIGNED, NOW, EMPTY, "x-amz-acl" }, ADR_S3_HeadersNotSigned },
    { WITH ("AWS4-HMAC-SHA256 " SCOPE ",SignedHeaders=x-amz-content-sha256;x-amz-date,Signature=" ZEROS),
      ADR_S3_HeadersNotSigned },
    { WITH ("AWS4-HMAC-SHA256 " SCOPE ",SignedHeaders=x-amz-date;host;x-amz-content-sha256,Signature=" ZEROS),
      ADR_S3_AuthorizationHeaderMalformed },
    { WITH ("AWS4-HMAC-SHA256 " SCOPE ",SignedHeaders=host;host;x-amz-content-sha256;x-amz-date,Signature=" ZEROS),
      ADR_S3_AuthorizationHeaderMalformed },
    { WITH ("AWS4-HMAC-SHA256 " SCOPE ",SignedHeaders=;;;,Signature=" ZEROS), ADR_S3_AuthorizationHeaderMalformed },
    { WITH ("AWS4-HMAC-SHA256 Credential=NOBODY/20150830/us-east-1/s3/aws4_request," NAMES ",Signature=" ZEROS),
      ADR_S3_InvalidAccessKeyId },
    { WITH ("AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/mars/s3/aws4_request," NAMES ",Signature=" ZEROS),
      ADR_S3_AuthorizationHeaderMalformed },
    { WITH ("AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150831/us-east-1/s3/aws4_request," NAMES ",Signature=" ZEROS),
      ADR_S3_AuthorizationHeaderMalformed },
    { WITH ("AWS4-HMAC-SHA256 Credential=////," NAMES ",Signature=" ZEROS), ADR_S3_AuthorizationHeaderMalformed },
    { { NULL, SIGNED, "20150830T125101Z", EMPTY, NULL }, ADR_S3_RequestTimeTooSkewed },
    { { NULL, SIGNED, "20150830T122059Z", EMPTY, NULL }, ADR_S3_RequestTimeTooSkewed },
    { { NULL, SIGNED, "20150830T122100Z", EMPTY, NULL }, ADR_S3_SignatureDoesNotMatch },
    { { NULL, SIGNED, "yesterday", EMPTY, NULL }, ADR_S3_AccessDenied },
    { { NULL, SIGNED, NULL, EMPTY, NULL }, ADR_S3_AccessDenied },
    { { "/b?X-Amz-Algorithm=AWS4-HMAC-SHA256", SIGNED, NOW, EMPTY, NULL }, ADR_S3_InvalidArgument },
    { { "/b?a=1&a=2", SIGNED, NOW, EMPTY, NULL }, ADR_S3_InvalidArgument },
    { { NULL, SIGNED, NOW, EMPTY, "host" }, ADR_S3_InvalidArgument },
    { { NULL, SIGNED, NOW, EMPTY, "X-AMZ-DATE" }, ADR_S3_InvalidArgument },
    { { NULL, SIGNED, NOW, NULL, "transfer-encoding" }, ADR_S3_InvalidRequest },
    { { "/b?X-Amz-Algorithm=AWS4-HMAC-SHA256", NULL, NULL, NULL, NULL }, ADR_S3_AuthorizationQueryParametersError },
};

static void
test_refused (void **state)
{
    (void) state;
    for (size_t i = 0; i < sizeof s_refused / sizeof *s_refused; i++) {
        adr_s3_error_t error = s_ask (s_refused[i].question);
        if (error != s_refused[i].error)
            fail_msg ("case %zu: %s instead of %s", i, adr_s3_error_code (error),
                      adr_s3_error_code (s_refused[i].error));
    }
}

static void
test_credentials (void **state)
{
    (void) state;
    static const struct {
        const char *text;
        size_t count; /* 0: refused */
    } s_cases[] = {
        { "- access-key: A\n  secret-key: S\n- access-key: B\n  secret-key: T\n  owner: bob\n", 2 },
        { "- {access-key: A, secret-key: S}\n", 1 },
        { "access-key: A\n", 0 },
        { "- access-key: A\n", 0 },
        { "- access-key: A\n  secret-key: S\n  colour: blue\n", 0 },
        { "- access-key: A\n  access-key: B\n  secret-key: S\n", 0 },
        { "- access-key: A\n  secret-key: S\n- access-key: A\n  secret-key: S\n", 0 },
        { "- access-key: A\n  secret-key: ''\n", 0 },
        { "- access-key: [A]\n  secret-key: S\n", 0 },
        { "- - -\n", 0 },
        { "\"", 0 },
        { "", 0 },
    };
    char path[] = "/tmp/adr-credentials-XXXXXX", error[256];
    int file = mkstemp (path);
    assert_true (file >= 0);
    for (size_t i = 0; i < sizeof s_cases / sizeof *s_cases; i++) {
        FILE *out = fopen (path, "w");
        fputs (s_cases[i].text, out);
        fclose (out);
        error[0] = '\0';
        adr_credentials_t *self = adr_credentials_load (path, error, sizeof error);
        assert_int_equal (self ? adr_credentials_count (self) : 0, s_cases[i].count);
        assert_true (self || strstr (error, path));
        adr_credentials_destroy (&self);
    }
    FILE *out = fopen (path, "w");
    fputs ("- access-key: A\n  secret-key: S\n", out);
    fclose (out);
    assert_int_equal (chmod (path, 0640), 0);
    assert_null (adr_credentials_load (path, error, sizeof error));
    assert_non_null (strstr (error, "chmod 600"));
    remove (path);
    assert_null (adr_credentials_load (path, error, sizeof error));
}

int
main (void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test (test_documented), cmocka_unit_test (test_presigned), cmocka_unit_test (test_botocore),
        cmocka_unit_test (test_refused),    cmocka_unit_test (test_credentials),
    };
    return cmocka_run_group_tests (tests, NULL, NULL);
}
