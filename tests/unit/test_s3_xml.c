/* SPDX-License-Identifier: MPL-2.0 */
/* S3's documents: what is written is well-formed whatever it holds; what is read is exactly what is expected. */

#include "edge/xml.h"

#include "edge/s3.h"
#include "edge/s3_error.h"

#include <libxml/parser.h>
#include <stdlib.h>

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static void
s_equal (adr_buffer_t *buffer, const char *text)
{
    adr_buffer_append (buffer, "", 1);
    assert_string_equal ((const char *) buffer->data, text);
    adr_buffer_clear (buffer);
}

static void
test_write (void **state)
{
    (void) state;
    adr_buffer_t to = { 0 };
    adr_xml_text (&to, "A", "a<b>&\"c\"' ü");
    s_equal (&to, "<A>a&lt;b&gt;&amp;&quot;c&quot;' ü</A>");
    adr_xml_bytes (&to, "A", adr_bytes ("\0\t\r\n\x1f", 5));
    s_equal (&to, "<A>&#x0;&#x9;&#xD;&#xA;&#x1F;</A>");
    adr_xml_bytes (&to, "A", adr_bytes (NULL, 0));
    s_equal (&to, "<A></A>");
    adr_xml_number (&to, "N", UINT64_MAX);
    s_equal (&to, "<N>18446744073709551615</N>");
    adr_xml_time (&to, "T", UINT64_C (1255369830123));
    s_equal (&to, "<T>2009-10-12T17:50:30.123Z</T>");
    adr_xml_time (&to, "T", UINT64_MAX);
    adr_buffer_clear (&to);
    adr_xml_bool (&to, "B", true);
    s_equal (&to, "<B>true</B>");
    adr_buffer_free (&to);
}

static void
test_round_trip (void **state)
{
    (void) state;
    adr_buffer_t to = { 0 };
    uint8_t text[0x80];
    size_t size = 0;
    for (unsigned c = 1; c < 0x80; c++)
        if (c >= 0x20 || c == 9 || c == 10 || c == 13)
            text[size++] = (uint8_t) c;
    adr_xml_begin (&to, "Root", true);
    adr_xml_bytes (&to, "Text", adr_bytes (text, size));
    adr_xml_close (&to, "Root");
    xmlDoc *document = xmlReadMemory ((const char *) to.data, (int) to.size, "x", NULL, 0);
    assert_non_null (document);
    xmlChar *back = xmlNodeGetContent (xmlDocGetRootElement (document));
    assert_int_equal (strlen ((char *) back), size);
    assert_memory_equal (back, text, size);
    xmlFree (back);
    xmlFreeDoc (document);
    adr_buffer_free (&to);
}

#define NS " xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\""

static void
test_location (void **state)
{
    (void) state;
    static const struct {
        const char *body, *location; /* NULL: refused */
    } s_cases[] = {
        { "<CreateBucketConfiguration" NS "><LocationConstraint>eu</LocationConstraint></CreateBucketConfiguration>", "eu" },
        { "<CreateBucketConfiguration/>", "" },
        { "<CreateBucketConfiguration><LocationConstraint/></CreateBucketConfiguration>", "" },
        { "<CreateBucketConfiguration><LocationConstraint>0123456789</LocationConstraint></CreateBucketConfiguration>", NULL },
        { "<Other/>", NULL },
        { "<CreateBucketConfiguration>", NULL },
        { "text", NULL },
        { "", NULL },
        { "<!DOCTYPE a [<!ENTITY b \"c\">]><CreateBucketConfiguration/>", NULL },
        { "<!DOCTYPE CreateBucketConfiguration SYSTEM \"file:///etc/passwd\"><CreateBucketConfiguration/>", NULL },
    };
    char location[10];
    for (size_t i = 0; i < sizeof s_cases / sizeof *s_cases; i++) {
        bool good = adr_xml_read_location (adr_bytes (s_cases[i].body, strlen (s_cases[i].body)), location,
                                           sizeof location);
        assert_int_equal (good, s_cases[i].location != NULL);
        if (good)
            assert_string_equal (location, s_cases[i].location);
    }
}

static bool
s_collect (void *argument, adr_bytes_t key, bool version)
{
    adr_buffer_t *to = argument;
    adr_buffer_append (to, key.data, key.size);
    adr_buffer_append (to, version ? "!" : ".", 1);
    return to->size < 20;
}

static void
test_delete (void **state)
{
    (void) state;
    static const struct {
        const char *body, *keys; /* NULL: refused */
        bool quiet;
    } s_cases[] = {
        { "<Delete" NS "><Object><Key>a&amp;b</Key></Object><Object><Key>c</Key></Object></Delete>", "a&b.c.", false },
        { "<Delete><Quiet>true</Quiet><Object><Key>a</Key><VersionId>v</VersionId></Object></Delete>", "a!", true },
        { "<Delete><Object><Key>a</Key><VersionId>null</VersionId></Object></Delete>", "a.", false },
        { "<Delete/>", "", false },
        { "<Delete><Object/></Delete>", NULL, false },
        { "<Delete><Object><Key>too many bytes for it</Key></Object></Delete>", NULL, false },
        { "<Deletes/>", NULL, false },
        { "<Delete><Object><Key>a</Object></Delete>", NULL, false },
    };
    adr_buffer_t keys = { 0 };
    for (size_t i = 0; i < sizeof s_cases / sizeof *s_cases; i++) {
        bool quiet, good = adr_xml_read_delete (adr_bytes (s_cases[i].body, strlen (s_cases[i].body)), &quiet,
                                                s_collect, &keys);
        assert_int_equal (good, s_cases[i].keys != NULL);
        if (good) {
            assert_int_equal (quiet, s_cases[i].quiet);
            s_equal (&keys, s_cases[i].keys);
        }
        adr_buffer_clear (&keys);
    }
    adr_buffer_free (&keys);
}

static void
test_bucket_names (void **state)
{
    (void) state;
    static const char *const s_good[] = { "abc", "a-b", "a.b.c", "123", "1.2.3", "0ab",
                                          "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa" };
    static const char *const s_bad[] = { "", "ab", "Abc", "a_b", "-ab", "ab-", ".ab", "ab.", "a..b", "1.2.3.4", "xn--abc",
                                         "abc-s3alias", "ab c", "ab/c", "_adrestia",
                                         "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa" };
    for (size_t i = 0; i < sizeof s_good / sizeof *s_good; i++)
        assert_true (adr_s3_bucket_name_valid (adr_bytes (s_good[i], strlen (s_good[i]))));
    for (size_t i = 0; i < sizeof s_bad / sizeof *s_bad; i++)
        assert_false (adr_s3_bucket_name_valid (adr_bytes (s_bad[i], strlen (s_bad[i]))));
}

static void
test_errors (void **state)
{
    (void) state;
    for (int error = ADR_S3_OK + 1; error < ADR_S3_ERROR_COUNT; error++) {
        assert_true (adr_s3_error_status (error) >= 304 && adr_s3_error_status (error) < 600);
        assert_true (strlen (adr_s3_error_code (error)) > 0 && strlen (adr_s3_error_message (error)) > 0);
    }
    for (int status = 0; status < ADR_STATUS_COUNT; status++)
        assert_true ((adr_s3_error_of (status, ADR_S3_NoSuchKey, ADR_S3_PreconditionFailed) == ADR_S3_OK)
                     == (status == ADR_STATUS_OK));
    assert_string_equal (adr_s3_error_code (adr_s3_error_of (ADR_STATUS_UNKNOWN, ADR_S3_OK, ADR_S3_OK)),
                         "InternalError");
    assert_int_equal (adr_s3_error_of (ADR_STATUS_REFUSED, ADR_S3_OK, ADR_S3_OK), ADR_S3_SlowDown);
    assert_int_equal (adr_s3_error_of (ADR_STATUS_FULL, ADR_S3_OK, ADR_S3_OK), ADR_S3_InsufficientStorage);
    assert_int_equal (adr_s3_error_of (ADR_STATUS_CONFLICT, ADR_S3_OK, ADR_S3_PreconditionFailed),
                      ADR_S3_PreconditionFailed);
}

int
main (void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test (test_write),  cmocka_unit_test (test_round_trip),   cmocka_unit_test (test_location),
        cmocka_unit_test (test_delete), cmocka_unit_test (test_bucket_names), cmocka_unit_test (test_errors),
    };
    return cmocka_run_group_tests (tests, NULL, NULL);
}
