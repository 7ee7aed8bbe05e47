/* SPDX-License-Identifier: MPL-2.0 */
/* Statements of recovery [RECOVER-1]: one has one encoding and one text, nothing else is one, and nobody signs but the root. The golden
 * texts and the golden signature were made by another implementation, from docs/protocol/recover.md. */

#include "core/cert.h"
#include "core/recovery_statement.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <sodium.h>

#include <cmocka.h>

#define S_TIME_MS INT64_C (1700000000000)

static const char s_golden[]
    = "adrr1.QURSUwEBAAABAQEBAQEBAQEBAQEBAQEBAgICAgICAgICAgICAgICAgcAAAAAAAAAAwMDAwMDAwMDAwMDAwMDA4h3ZlVEMyIRCQAAAAAAAA"
      "DSBAAAAAAAABIEAAAAAAAAAGjlz4sBAABSdBqRbPnAhZM7xNswIN4XnHTqn6p23P-REmZFWi5RnBBSPacYVJR6uBEL0qFpkmBgzlE3KGpyd_3J-J"
      "4kfVwH4f5_ZQ";
static const char s_golden_request[]
    = "adrr1.QURSUwEAAAABAQEBAQEBAQEBAQEBAQEBAgICAgICAgICAgICAgICAgcAAAAAAAAAAwMDAwMDAwMDAwMDAwMDA4h3ZlVEMyIRCQAAAAAAAA"
      "DSBAAAAAAAABIEAAAAAAAAAAAAAAAAAABFeYDS";

static const uint8_t s_seed[32] = { 0,  1,  2,  3,  4,  5,  6,  7,  8,  9,  10, 11, 12, 13, 14, 15,
                                    16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29, 30, 31 };

static adr_recovery_t
s_request (void)
{
    adr_recovery_t recovery = { .number = 7, .incarnation = UINT64_C (0x1122334455667788), .end = { 9, 1234 }, .epoch = 1042 };
    memset (recovery.cluster.bytes, 1, ADR_ID_SIZE);
    memset (recovery.group.bytes, 2, ADR_ID_SIZE);
    memset (recovery.survivor.bytes, 3, ADR_ID_SIZE);
    return recovery;
}

static adr_recovery_t
s_statement (void)
{
    adr_recovery_t recovery = s_request ();
    adr_recovery_sign (&recovery, S_TIME_MS, s_seed);
    return recovery;
}

/* The encoded certificate of the root of that seed and cluster. */
static adr_bytes_t
s_root (uint8_t at[ADR_CERTIFICATE_MAX], const uint8_t seed[32], const adr_id_t *cluster, adr_cert_kind_t kind)
{
    adr_cert_t root = { .kind = kind, .serial = 1, .issuer_serial = 1, .not_after_ms = 1, .name = "root" };
    adr_keys_t keys = { 0 };
    if (kind == ADR_CERT_AUTHORITY) {
        root.type = ADR_NODE_PKI;
        memset (root.zone.bytes, 5, ADR_ID_SIZE);
        memset (root.node.bytes, 6, ADR_ID_SIZE);
        root.serial = 2;
    }
    root.cluster = *cluster;
    memcpy (keys.sign_seed, seed, sizeof keys.sign_seed);
    adr_keys_public (&keys, NULL, root.sign_key);
    adr_cert_sign (&root, seed);
    return adr_bytes (at, adr_cert_encode (&root, at));
}

static bool
s_verifies (const adr_recovery_t *recovery, const uint8_t seed[32], const adr_id_t *cluster, adr_cert_kind_t kind)
{
    uint8_t at[ADR_CERTIFICATE_MAX];
    return adr_recovery_verify (recovery, s_root (at, seed, cluster, kind));
}

static void
another_implementation_makes_the_same_text (void **state)
{
    (void) state;
    adr_recovery_t statement = s_statement (), request = s_request ();
    char text[ADR_RECOVERY_TEXT_MAX];
    assert_int_equal (adr_recovery_format (&statement, text), strlen (s_golden));
    assert_string_equal (text, s_golden);
    assert_int_equal (adr_recovery_format (&request, text), strlen (s_golden_request));
    assert_string_equal (text, s_golden_request);
}

static void
what_was_written_is_read (void **state)
{
    (void) state;
    adr_recovery_t statement = s_statement (), read;
    assert_true (adr_recovery_parse (&read, s_golden, strlen (s_golden)));
    assert_memory_equal (&read, &statement, sizeof read);
    statement = s_request ();
    assert_true (adr_recovery_parse (&read, s_golden_request, strlen (s_golden_request)));
    assert_memory_equal (&read, &statement, sizeof read);
    char spaced[ADR_RECOVERY_TEXT_MAX + 8] = " \n";
    strcat (strcat (spaced, s_golden), "\r\n");
    assert_true (adr_recovery_parse (&read, spaced, strlen (spaced)));
}

static void
only_that_root_has_signed_it (void **state)
{
    (void) state;
    static const uint8_t other[32] = { 9 };
    static const adr_id_t other_cluster = { { 4 } };
    adr_recovery_t statement = s_statement (), request = s_request ();
    assert_true (s_verifies (&statement, s_seed, &statement.cluster, ADR_CERT_ROOT));
    assert_false (s_verifies (&statement, other, &statement.cluster, ADR_CERT_ROOT));
    assert_false (s_verifies (&statement, s_seed, &other_cluster, ADR_CERT_ROOT)); /* another cluster's, by the same key */
    assert_false (s_verifies (&statement, s_seed, &statement.cluster, ADR_CERT_AUTHORITY));
    assert_false (s_verifies (&request, s_seed, &statement.cluster, ADR_CERT_ROOT));
    assert_false (adr_recovery_verify (&statement, adr_bytes (NULL, 0)));
}

/* Each bit of it is under the signature, or makes it no statement. */
static void
no_bit_can_be_changed (void **state)
{
    (void) state;
    uint8_t bytes[ADR_RECOVERY_SIZE];
    adr_recovery_t statement = s_statement (), read;
    assert_int_equal (adr_recovery_encode (&statement, bytes), ADR_RECOVERY_SIZE);
    for (size_t bit = 0; bit < 8 * sizeof bytes; bit++) {
        bytes[bit / 8] ^= (uint8_t) (1u << bit % 8);
        if (adr_recovery_decode (&read, adr_bytes (bytes, sizeof bytes)))
            assert_false (s_verifies (&read, s_seed, &read.cluster, ADR_CERT_ROOT));
        bytes[bit / 8] ^= (uint8_t) (1u << bit % 8);
    }
}

/* What stands at `at` becomes zeros, in a request or a statement. */
static bool
s_decodes_without (const adr_recovery_t *recovery, size_t at, size_t size)
{
    uint8_t bytes[ADR_RECOVERY_SIZE];
    adr_recovery_t read;
    size_t whole = adr_recovery_encode (recovery, bytes);
    memset (bytes + at, 0, size);
    return adr_recovery_decode (&read, adr_bytes (bytes, whole));
}

static void
nothing_is_left_out (void **state)
{
    (void) state;
    adr_recovery_t statement = s_statement ();
    static const struct {
        size_t at, size;
    } fields[] = { { 0, 4 }, { 4, 1 }, { 5, 1 }, { 8, 16 }, { 24, 16 }, { 40, 8 }, { 48, 16 }, { 64, 8 }, { 72, 8 }, { 80, 8 }, { 88, 8 }, { 96, 8 } };
    for (size_t i = 0; i < sizeof fields / sizeof fields[0]; i++)
        assert_false (s_decodes_without (&statement, fields[i].at, fields[i].size));
}

static void
nothing_else_is_one (void **state)
{
    (void) state;
    uint8_t bytes[ADR_RECOVERY_SIZE + 1] = { 0 };
    adr_recovery_t statement = s_statement (), read;
    (void) adr_recovery_encode (&statement, bytes);
    for (size_t size = 0; size <= sizeof bytes; size++)
        assert_int_equal (adr_recovery_decode (&read, adr_bytes (bytes, size)), size == ADR_RECOVERY_SIZE);
    bytes[103] = 0x80; /* a time before 1970 */
    assert_false (adr_recovery_decode (&read, adr_bytes (bytes, ADR_RECOVERY_SIZE)));
    assert_false (adr_recovery_parse (&read, "adr1.AAAA", 9));
    assert_false (adr_recovery_parse (&read, "", 0));
    assert_false (adr_recovery_parse (&read, s_golden, strlen (s_golden) - 1));
    for (size_t at = 0; at < strlen (s_golden); at++) {
        char text[sizeof s_golden];
        memcpy (text, s_golden, sizeof text);
        text[at] = text[at] == 'A' ? 'B' : 'A';
        assert_false (adr_recovery_parse (&read, text, strlen (text)));
    }
}

int
main (void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test (another_implementation_makes_the_same_text),
        cmocka_unit_test (what_was_written_is_read),
        cmocka_unit_test (only_that_root_has_signed_it),
        cmocka_unit_test (no_bit_can_be_changed),
        cmocka_unit_test (nothing_is_left_out),
        cmocka_unit_test (nothing_else_is_one),
    };
    return cmocka_run_group_tests (tests, NULL, NULL);
}
