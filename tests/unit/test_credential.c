/* SPDX-License-Identifier: MPL-2.0 */
/* Credentials as values: what is sealed and opened, names, rights, bytes [KEY-2, KEY-6]. */

#include "wire/credential_codec.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>

#include <cmocka.h>

static const adr_id_t s_cluster = { { 0xc1 } };
static const uint8_t s_key[32] = { 7 };

static adr_credential_t
s_credential (void)
{
    adr_credential_t credential = { .access_key = "ALICE", .owner = "alice", .secret = "0123456789abcdef", .created_ms = 5, .generation = 9,
                                    .limited = true, .right_count = 2,
                                    .right = { { "papers", ADR_ACCESS_READ }, { "*", ADR_ACCESS_WRITE } } };
    return credential;
}

/* --- sealing --------------------------------------------------------------------------------------------------------- */

static void
what_is_sealed_opens (void **state)
{
    (void) state;
    adr_credential_t credential = s_credential (), again;
    adr_credential_seal (&credential, &s_cluster, s_key, 1);
    assert_int_equal (credential.sealed_size, 16 + ADR_SEAL_MORE);
    for (size_t at = 0; at + 16 <= credential.sealed_size; at++)
        assert_memory_not_equal (credential.sealed + at, credential.secret, 16);
    again = credential;
    memset (again.secret, 0, sizeof again.secret);
    assert_true (adr_credential_unseal (&again, &s_cluster, s_key));
    assert_string_equal (again.secret, "0123456789abcdef");
}

static void
nothing_else_opens (void **state)
{
    (void) state;
    adr_credential_t sealed = s_credential (), other;
    uint8_t wrong[32] = { 8 };
    adr_credential_seal (&sealed, &s_cluster, s_key, 1);
    other = sealed;
    assert_false (adr_credential_unseal (&other, &s_cluster, wrong)); /* another key */
    assert_string_equal (other.secret, "");
    other = sealed;
    snprintf (other.access_key, sizeof other.access_key, "MALLORY"); /* moved to another credential */
    assert_false (adr_credential_unseal (&other, &s_cluster, s_key));
    other = sealed;
    adr_id_t cluster = { { 0xc2 } };
    assert_false (adr_credential_unseal (&other, &cluster, s_key)); /* to another cluster */
    for (size_t size = 0; size < sealed.sealed_size; size++) { /* truncated */
        other = sealed;
        other.sealed_size = size;
        assert_false (adr_credential_unseal (&other, &s_cluster, s_key));
    }
    for (size_t at = 0; at < sealed.sealed_size; at++) { /* any bit of any byte */
        other = sealed;
        other.sealed[at] ^= 1;
        assert_false (adr_credential_unseal (&other, &s_cluster, s_key));
        assert_string_equal (other.secret, "");
    }
}

/* The nonce follows from the secret, too: a draw that repeats itself tells nothing. */
static void
no_two_secrets_share_a_nonce (void **state)
{
    (void) state;
    adr_credential_t a = s_credential (), b = s_credential (), c = s_credential (), d = s_credential ();
    snprintf (b.secret, sizeof b.secret, "0123456789abcdeF");
    snprintf (c.access_key, sizeof c.access_key, "BOB");
    adr_credential_seal (&a, &s_cluster, s_key, 1);
    adr_credential_seal (&b, &s_cluster, s_key, 1);
    adr_credential_seal (&c, &s_cluster, s_key, 1);
    adr_credential_seal (&d, &s_cluster, s_key, 2);
    assert_memory_not_equal (a.sealed + 1, b.sealed + 1, 24);
    assert_memory_not_equal (a.sealed + 1, c.sealed + 1, 24);
    assert_memory_not_equal (a.sealed + 1, d.sealed + 1, 24);
}

static void
each_node_has_its_own_file_key (void **state)
{
    (void) state;
    uint8_t a[32], b[32], secret[32] = { 1 }, other[32] = { 2 };
    adr_id_t node = { { 3 } }, another = { { 4 } };
    adr_credential_file_key (secret, &s_cluster, &node, a);
    adr_credential_file_key (secret, &s_cluster, &another, b);
    assert_memory_not_equal (a, b, 32);
    adr_credential_file_key (other, &s_cluster, &node, b);
    assert_memory_not_equal (a, b, 32);
}

/* --- names and rights -------------------------------------------------------------------------------------------------- */

static void
names_stand_in_json_as_they_are (void **state)
{
    (void) state;
    char longest[70];
    memset (longest, 'a', sizeof longest);
    longest[64] = 0;
    assert_true (adr_credential_is_access_key (longest));
    longest[64] = 'a';
    longest[65] = 0;
    assert_false (adr_credential_is_access_key (longest));
    assert_true (adr_credential_is_access_key ("A-b_9."));
    static const char *const s_wrong[] = { "", "ab", "a/b", "a,b", "a b", "a\"b", "a\\b", "a\nb", "\xc3\xa4\xc3\xb6" };
    for (size_t i = 0; i < sizeof s_wrong / sizeof *s_wrong; i++)
        assert_false (adr_credential_is_access_key (s_wrong[i]));
    assert_true (adr_credential_is_owner ("a"));
    assert_false (adr_credential_is_owner (""));
    assert_false (adr_credential_is_owner ("a\"b"));
    assert_true (adr_credential_is_bucket ("*") && adr_credential_is_bucket ("my.bucket-1"));
    assert_false (adr_credential_is_bucket ("") || adr_credential_is_bucket ("My") || adr_credential_is_bucket ("a*b"));
    assert_false (adr_credential_is_secret ("0123456789abcde") || adr_credential_is_secret ("0123456789 abcdef"));
}

static void
the_highest_right_counts (void **state)
{
    (void) state;
    static const adr_right_t s_rights[] = { { "papers", ADR_ACCESS_OWNER }, { "*", ADR_ACCESS_READ }, { "pics", ADR_ACCESS_WRITE } };
    assert_int_equal (adr_rights_access (s_rights, 3, "papers"), ADR_ACCESS_OWNER);
    assert_int_equal (adr_rights_access (s_rights, 3, "pics"), ADR_ACCESS_WRITE);
    assert_int_equal (adr_rights_access (s_rights, 3, "paper"), ADR_ACCESS_READ);
    assert_int_equal (adr_rights_access (s_rights, 1, "paper"), ADR_ACCESS_NONE);
    assert_int_equal (adr_rights_access (s_rights, 0, "papers"), ADR_ACCESS_NONE);
    assert_int_equal (adr_rights_access (s_rights, 3, NULL), ADR_ACCESS_OWNER);
    adr_access_t access;
    assert_true (adr_access_parse (&access, "write") && access == ADR_ACCESS_WRITE);
    assert_false (adr_access_parse (&access, "none") || adr_access_parse (&access, ""));
}

/* --- bytes --------------------------------------------------------------------------------------------------------------- */

static void
what_is_encoded_decodes (void **state)
{
    (void) state;
    adr_credential_t credential = s_credential (), again;
    adr_buffer_t bytes = { 0 };
    adr_credential_seal (&credential, &s_cluster, s_key, 1);
    adr_credential_encode (&credential, ADR_CREDENTIAL_SEALED, &bytes);
    assert_true (adr_credential_decode (&again, adr_bytes (bytes.data, bytes.size)));
    assert_string_equal (again.secret, "");
    assert_int_equal (again.sealed_size, credential.sealed_size);
    assert_string_equal (again.owner, "alice");
    assert_int_equal (again.right_count, 2);
    assert_int_equal (again.right[1].level, ADR_ACCESS_WRITE);
    assert_true (again.limited && !again.disabled && again.created_ms == 5 && again.generation == 9);
    adr_buffer_clear (&bytes);
    adr_credential_encode (&credential, ADR_CREDENTIAL_BARE, &bytes); /* [KEY-2] */
    assert_true (adr_credential_decode (&again, adr_bytes (bytes.data, bytes.size)));
    assert_string_equal (again.secret, "");
    assert_int_equal (again.sealed_size, 0);
    adr_buffer_free (&bytes);
}

static void
the_longest_fits (void **state)
{
    (void) state;
    adr_credential_t credential = { .created_ms = UINT64_MAX, .generation = UINT64_MAX, .limited = true, .disabled = true,
                                    .right_count = ADR_CREDENTIAL_RIGHTS_MAX }, again;
    memset (credential.access_key, 'a', ADR_CREDENTIAL_ACCESS_MAX);
    memset (credential.owner, 'a', ADR_NAME_MAX);
    memset (credential.secret, 'a', ADR_CREDENTIAL_SECRET_MAX);
    for (unsigned i = 0; i < ADR_CREDENTIAL_RIGHTS_MAX; i++) {
        memset (credential.right[i].bucket, 'a' + (int) (i % 26), ADR_BUCKET_NAME_MAX);
        credential.right[i].bucket[0] = (char) ('a' + i / 26);
        credential.right[i].level = ADR_ACCESS_OWNER;
    }
    adr_buffer_t bytes = { 0 };
    adr_credential_encode (&credential, ADR_CREDENTIAL_CLEAR, &bytes);
    assert_true (adr_credential_decode (&again, adr_bytes (bytes.data, bytes.size)));
    assert_memory_equal (&again, &credential, sizeof again);
    adr_buffer_free (&bytes);
}

static void
nonsense_is_no_credential (void **state)
{
    (void) state;
    adr_credential_t credential = s_credential (), again;
    credential.right[1] = (adr_right_t){ "papers", ADR_ACCESS_OWNER }; /* named twice */
    adr_buffer_t bytes = { 0 };
    adr_credential_encode (&credential, ADR_CREDENTIAL_CLEAR, &bytes);
    assert_false (adr_credential_decode (&again, adr_bytes (bytes.data, bytes.size)));
    adr_buffer_clear (&bytes);
    credential = s_credential ();
    adr_credential_encode (&credential, ADR_CREDENTIAL_CLEAR, &bytes);
    for (size_t size = 0; size < bytes.size; size++) /* what decodes of it has an access key at least */
        if (adr_credential_decode (&again, adr_bytes (bytes.data, size)))
            assert_string_equal (again.access_key, "ALICE");
    for (size_t at = 0; at < bytes.size; at++)
        for (unsigned bit = 0; bit < 8; bit++) {
            bytes.data[at] ^= (uint8_t) (1u << bit);
            if (adr_credential_decode (&again, adr_bytes (bytes.data, bytes.size)))
                assert_true (adr_credential_is_access_key (again.access_key) && again.right_count <= ADR_CREDENTIAL_RIGHTS_MAX);
            bytes.data[at] ^= (uint8_t) (1u << bit);
        }
    adr_buffer_free (&bytes);
}

/* [USER-1] */
static void
users_are_encoded_whole (void **state)
{
    (void) state;
    adr_credential_t user = { .access_key = "olga", .role = ADR_NODE_OPERATOR, .has_curve_key = true, .curve_key = { 1, 2 },
                              .until_ms = 77, .created_ms = 5, .generation = 9 }, again;
    adr_buffer_t bytes = { 0 };
    adr_credential_encode (&user, ADR_CREDENTIAL_SEALED, &bytes);
    assert_true (adr_credential_decode (&again, adr_bytes (bytes.data, bytes.size)));
    assert_memory_equal (&again, &user, sizeof again);
    static const adr_node_type_t s_none[] = { ADR_NODE_EDGE, ADR_NODE_PKI, ADR_NODE_STRANGER, ADR_NODE_TYPE_COUNT };
    for (size_t i = 0; i < sizeof s_none / sizeof *s_none; i++) {
        adr_buffer_clear (&bytes);
        user.role = s_none[i];
        adr_credential_encode (&user, ADR_CREDENTIAL_SEALED, &bytes);
        assert_false (adr_credential_decode (&again, adr_bytes (bytes.data, bytes.size)));
    }
    for (int wrong = 0; wrong < 4; wrong++) { /* each with a secret, a right, a key or an end that is not its own */
        user = s_credential ();
        user.role = wrong < 2 ? ADR_NODE_READER : (adr_node_type_t) 0;
        user.has_curve_key = wrong == 2;
        user.until_ms = wrong == 3;
        if (wrong == 0)
            user.right_count = 0;
        if (wrong == 1)
            *user.secret = 0;
        adr_buffer_clear (&bytes);
        adr_credential_encode (&user, ADR_CREDENTIAL_CLEAR, &bytes);
        assert_false (adr_credential_decode (&again, adr_bytes (bytes.data, bytes.size)));
    }
    adr_buffer_free (&bytes);
}

static void
rows_are_read_one_by_one (void **state)
{
    (void) state;
    adr_credential_t credential = s_credential (), again;
    adr_buffer_t rows = { 0 };
    adr_credential_row_append (&rows, &credential);
    snprintf (credential.access_key, sizeof credential.access_key, "BOB");
    adr_credential_row_append (&rows, &credential);
    adr_bytes_t rest = adr_bytes (rows.data, rows.size);
    assert_true (adr_credential_row_next (&rest, &again));
    assert_string_equal (again.access_key, "ALICE");
    assert_string_equal (again.secret, "0123456789abcdef");
    assert_true (adr_credential_row_next (&rest, &again));
    assert_string_equal (again.access_key, "BOB");
    assert_false (adr_credential_row_next (&rest, &again));
    assert_int_equal (rest.size, 0);
    rest = adr_bytes (rows.data, rows.size - 1); /* truncated: it does not end well */
    assert_true (adr_credential_row_next (&rest, &again));
    assert_false (adr_credential_row_next (&rest, &again));
    assert_int_not_equal (rest.size, 0);
    adr_buffer_free (&rows);
}

int
main (void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test (what_is_sealed_opens),
        cmocka_unit_test (nothing_else_opens),
        cmocka_unit_test (no_two_secrets_share_a_nonce),
        cmocka_unit_test (each_node_has_its_own_file_key),
        cmocka_unit_test (names_stand_in_json_as_they_are),
        cmocka_unit_test (the_highest_right_counts),
        cmocka_unit_test (what_is_encoded_decodes),
        cmocka_unit_test (the_longest_fits),
        cmocka_unit_test (nonsense_is_no_credential),
        cmocka_unit_test (users_are_encoded_whole),
        cmocka_unit_test (rows_are_read_one_by_one),
    };
    return cmocka_run_group_tests (tests, NULL, NULL);
}
