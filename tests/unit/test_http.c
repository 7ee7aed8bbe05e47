/* SPDX-License-Identifier: MPL-2.0 */
/* Requests taken apart: targets, queries, escapes, numbers, UTF-8, dates, ranges. */

#include "edge/http.h"

#include <stdlib.h>

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static void
s_init (adr_http_request_t *request, const char *target)
{
    adr_http_request_init (request, "GET", target, strlen (target));
}

static void
test_target (void **state)
{
    (void) state;
    static const struct {
        const char *target, *path; /* NULL: malformed */
    } s_cases[] = {
        { "/", "/" },           { "/a/b", "/a/b" },          { "/a%2Fb", "/a/b" },      { "/a+b%20c", "/a+b c" },
        { "/%C3%bc", "/ü" },    { "/..//./", "/..//./" },    { "http://h/p", "/p" },    { "HTTPS://h:1/p?q", "/p" },
        { "", NULL },           { "*", NULL },               { "a", NULL },             { "http://h", NULL },
        { "/%", NULL },         { "/%4", NULL },             { "/%zz", NULL },          { "/?a=%", NULL },
        { "?", NULL },
    };
    for (size_t i = 0; i < sizeof s_cases / sizeof *s_cases; i++) {
        adr_http_request_t request;
        s_init (&request, s_cases[i].target);
        assert_int_equal (request.malformed, s_cases[i].path == NULL);
        if (s_cases[i].path)
            assert_true (adr_http_text_equal (request.path, s_cases[i].path));
        else
            assert_int_equal (request.path.size, 0);
        adr_http_request_free (&request);
    }
}

static void
test_query (void **state)
{
    (void) state;
    adr_http_request_t request;
    s_init (&request, "/?a=1&b&&c=x=y&%64=%20+&=empty&a=2");
    assert_false (request.malformed);
    assert_int_equal (request.parameter_count, 6);
    assert_true (adr_http_text_equal (adr_http_parameter (&request, "a"), "1"));
    assert_true (adr_http_text_equal (adr_http_parameter (&request, "b"), ""));
    assert_true (adr_http_text_equal (adr_http_parameter (&request, "c"), "x=y"));
    assert_true (adr_http_text_equal (adr_http_parameter (&request, "d"), "  "));
    assert_true (adr_http_text_equal (adr_http_parameter (&request, ""), "empty"));
    assert_null (adr_http_parameter (&request, "A").data);
    adr_http_request_free (&request);
}

static void
test_limits (void **state)
{
    (void) state;
    static char text[ADR_HTTP_TARGET_MAX + 2];
    adr_http_request_t request;
    memset (text, 'x', sizeof text);
    text[0] = '/';
    adr_http_request_init (&request, "GET", text, ADR_HTTP_TARGET_MAX);
    assert_false (request.malformed);
    assert_int_equal (request.path.size, ADR_HTTP_TARGET_MAX);
    adr_http_request_free (&request);
    adr_http_request_init (&request, "GET", text, ADR_HTTP_TARGET_MAX + 1);
    assert_true (request.malformed);
    adr_http_request_free (&request);
    char query[2 + 2 * (ADR_HTTP_PARAMETERS_MAX + 1) + 1] = "/?";
    for (int i = 0; i < ADR_HTTP_PARAMETERS_MAX; i++)
        strcat (query, "a&");
    s_init (&request, query);
    assert_false (request.malformed);
    adr_http_request_free (&request);
    strcat (query, "a&");
    s_init (&request, query);
    assert_true (request.malformed);
    adr_http_request_free (&request);
    s_init (&request, "/");
    for (int i = 0; i < ADR_HTTP_HEADERS_MAX; i++)
        adr_http_request_add (&request, "n", 1, " v\t", 3);
    assert_false (request.malformed);
    assert_true (adr_http_text_equal (adr_http_header (&request, "N"), "v"));
    assert_int_equal (adr_http_header_times (&request, "n"), ADR_HTTP_HEADERS_MAX);
    adr_http_request_add (&request, "n", 1, "v", 1);
    assert_true (request.malformed);
    adr_http_request_free (&request);
}

/* A name that is no token may be a header for somebody before us. */
static void
test_header_names (void **state)
{
    (void) state;
    static const struct {
        const char *name;
        size_t size;
        bool good;
    } s_cases[] = { { "x-amz-meta-a.b_c~1", 18, true }, { "A!#$%&'*+-.^_`|~9", 17, true },
                    { "Content-Length ", 15, false },   { "Content Length", 14, false },
                    { "a\tb", 3, false },               { "a\0b", 3, false },
                    { "caf\xc3\xa9", 5, false },        { "", 0, false },
                    { "a:b", 3, false } };
    for (size_t i = 0; i < sizeof s_cases / sizeof *s_cases; i++) {
        adr_http_request_t request;
        s_init (&request, "/");
        adr_http_request_add (&request, s_cases[i].name, s_cases[i].size, "v", 1);
        assert_int_equal (request.malformed, !s_cases[i].good);
        assert_int_equal (request.header_count, s_cases[i].good);
        adr_http_request_free (&request);
    }
}

static void
test_encode (void **state)
{
    (void) state;
    adr_buffer_t to = { 0 };
    adr_http_encode (&to, adr_bytes ("a/b c~-._é+\0", 13), false);
    assert_true (adr_http_text_equal (adr_bytes (to.data, to.size), "a/b%20c~-._%C3%A9%2B%00"));
    adr_buffer_clear (&to);
    adr_http_encode (&to, adr_bytes ("/", 1), true);
    assert_true (adr_http_text_equal (adr_bytes (to.data, to.size), "%2F"));
    adr_buffer_clear (&to);
    adr_http_encode (&to, adr_bytes ("", 0), true);
    assert_int_equal (to.size, 0);
    adr_buffer_free (&to);
}

static void
test_number (void **state)
{
    (void) state;
    uint64_t number;
    assert_true (adr_http_number (&number, adr_bytes ("0", 1)) && number == 0);
    assert_true (adr_http_number (&number, adr_bytes ("9223372036854775807", 19)) && number == INT64_MAX);
    assert_false (adr_http_number (&number, adr_bytes ("9223372036854775808", 19)));
    assert_false (adr_http_number (&number, adr_bytes ("", 0)));
    assert_false (adr_http_number (&number, adr_bytes ("-1", 2)));
    assert_false (adr_http_number (&number, adr_bytes ("1 ", 2)));
    assert_false (adr_http_number (&number, adr_bytes ("00000000000000000001", 20)));
}

static void
test_utf8 (void **state)
{
    (void) state;
    static const char *const s_good[] = { "", "ascii", "ü", "日本", "🚀", "\x7f", "\xf4\x8f\xbf\xbf", "\xed\x9f\xbf" };
    static const char *const s_bad[] = { "\x80", "\xc0\xaf", "\xc3", "\xc3(", "\xe0\x80\xaf", "\xed\xa0\x80", "\xf0\x80\x80\x80",
                                         "\xf4\x90\x80\x80", "\xf5\x80\x80\x80", "\xff", "a\xe2\x82" };
    for (size_t i = 0; i < sizeof s_good / sizeof *s_good; i++)
        assert_true (adr_http_utf8 (adr_bytes (s_good[i], strlen (s_good[i]))));
    for (size_t i = 0; i < sizeof s_bad / sizeof *s_bad; i++)
        assert_false (adr_http_utf8 (adr_bytes (s_bad[i], strlen (s_bad[i]))));
}

static void
test_date (void **state)
{
    (void) state;
    static const char *const s_same[]
        = { "Sun, 06 Nov 1994 08:49:37 GMT", "Sunday, 06-Nov-94 08:49:37 GMT", "Sun Nov  6 08:49:37 1994" };
    int64_t seconds;
    for (size_t i = 0; i < 3; i++)
        assert_true (adr_http_date_parse (&seconds, adr_bytes (s_same[i], strlen (s_same[i]))) && seconds == 784111777);
    static const char *const s_bad[] = { "", "Sun", "Sun, 06 Xyz 1994 08:49:37 GMT", "Sun, 99 Nov 1994 08:49:37 GMT", "1994" };
    for (size_t i = 0; i < sizeof s_bad / sizeof *s_bad; i++)
        assert_false (adr_http_date_parse (&seconds, adr_bytes (s_bad[i], strlen (s_bad[i]))));
    char text[30];
    adr_http_date_format (text, 784111777);
    assert_string_equal (text, s_same[0]);
    adr_http_date_format (text, INT64_MAX);
}

static void
test_range (void **state)
{
    (void) state;
    static const struct {
        const char *header;
        uint64_t size;
        adr_http_range_t range;
        uint64_t offset, length;
    } s_cases[] = {
        { "bytes=0-0", 10, ADR_HTTP_RANGE_PART, 0, 1 },     { "bytes=3-", 10, ADR_HTTP_RANGE_PART, 3, 7 },
        { "bytes=-3", 10, ADR_HTTP_RANGE_PART, 7, 3 },      { "bytes=-30", 10, ADR_HTTP_RANGE_PART, 0, 10 },
        { "bytes=5-99", 10, ADR_HTTP_RANGE_PART, 5, 5 },    { "bytes=9-9", 10, ADR_HTTP_RANGE_PART, 9, 1 },
        { "bytes=10-", 10, ADR_HTTP_RANGE_UNSATISFIABLE, 0, 0 }, { "bytes=-0", 10, ADR_HTTP_RANGE_UNSATISFIABLE, 0, 0 },
        { "bytes=0-", 0, ADR_HTTP_RANGE_UNSATISFIABLE, 0, 0 },   { "bytes=-1", 0, ADR_HTTP_RANGE_UNSATISFIABLE, 0, 0 },
        { "bytes=5-3", 10, ADR_HTTP_RANGE_WHOLE, 0, 10 },   { "bytes=0-1,3-4", 10, ADR_HTTP_RANGE_WHOLE, 0, 10 },
        { "bytes=-", 10, ADR_HTTP_RANGE_WHOLE, 0, 10 },     { "bytes=a-b", 10, ADR_HTTP_RANGE_WHOLE, 0, 10 },
        { "lines=1-2", 10, ADR_HTTP_RANGE_WHOLE, 0, 10 },   { "bytes=", 10, ADR_HTTP_RANGE_WHOLE, 0, 10 },
        { "bytes=99999999999999999999-", 10, ADR_HTTP_RANGE_WHOLE, 0, 10 },
    };
    uint64_t offset, length;
    for (size_t i = 0; i < sizeof s_cases / sizeof *s_cases; i++) {
        adr_http_range_t range = adr_http_range (adr_bytes (s_cases[i].header, strlen (s_cases[i].header)),
                                                 s_cases[i].size, &offset, &length);
        assert_int_equal (range, s_cases[i].range);
        if (range == ADR_HTTP_RANGE_UNSATISFIABLE)
            continue;
        assert_int_equal (offset, s_cases[i].offset);
        assert_int_equal (length, s_cases[i].length);
    }
    assert_int_equal (adr_http_range ((adr_bytes_t){ NULL, 0 }, 5, &offset, &length), ADR_HTTP_RANGE_WHOLE);
}

int
main (void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test (test_target), cmocka_unit_test (test_query), cmocka_unit_test (test_limits),
        cmocka_unit_test (test_header_names),
        cmocka_unit_test (test_encode), cmocka_unit_test (test_number), cmocka_unit_test (test_utf8),
        cmocka_unit_test (test_date),   cmocka_unit_test (test_range),
    };
    return cmocka_run_group_tests (tests, NULL, NULL);
}
