/* SPDX-License-Identifier: MPL-2.0 */
/* A key under a passphrase. Each opening costs what it costs: few are made. */

#include "shell/backup_key.h"
#include "shell/sealed_key.h"

#include <setjmp.h>
#include <sodium.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

static char s_text[ADR_SEALED_TEXT_MAX];
static size_t s_size;
static adr_keys_t s_keys;

static int
s_setup (void **state)
{
    (void) state;
    memset (s_keys.sign_seed, 0x5a, sizeof s_keys.sign_seed);
    s_size = adr_sealed_key_format (&s_keys, "correct horse", s_text);
    return s_size == 0;
}

static void
the_passphrase_opens_it (void **state)
{
    (void) state;
    adr_keys_t keys;
    assert_true (adr_sealed_key_is (s_text, s_size));
    assert_true (adr_sealed_key_open (&keys, s_text, s_size, "correct horse"));
    assert_memory_equal (&keys, &s_keys, sizeof keys);
    assert_false (adr_sealed_key_open (&keys, s_text, s_size, "correct horsf"));
    assert_true (sodium_is_zero (keys.sign_seed, sizeof keys.sign_seed));
    assert_null (strstr (s_text, "5a5a5a5a"));
}

static void
changed_bytes_do_not (void **state)
{
    (void) state;
    adr_keys_t keys;
    char text[ADR_SEALED_TEXT_MAX];
    memcpy (text, s_text, sizeof text);
    text[s_size - 2] = text[s_size - 2] == '0' ? '1' : '0';
    assert_false (adr_sealed_key_open (&keys, text, s_size, "correct horse"));
}

/* [TRUST-1] By the root's key, and by no other. */
static void
the_root_opens_the_backup (void **state)
{
    (void) state;
    char text[ADR_BACKUP_TEXT_MAX], other_text[ADR_BACKUP_TEXT_MAX];
    uint8_t key[32], opened[32], sign_key[ADR_KEY_SIZE];
    adr_keys_t other = s_keys;
    memset (key, 0xc3, sizeof key);
    adr_keys_public (&s_keys, NULL, sign_key);
    size_t size = adr_backup_format (sign_key, key, text);
    assert_int_equal (size, ADR_BACKUP_TEXT_MAX - 1);
    assert_null (strstr (text, "c3c3c3c3"));
    assert_true (adr_backup_open (&s_keys, text, size, opened));
    assert_memory_equal (opened, key, sizeof key);
    assert_int_equal (adr_backup_format (sign_key, key, other_text), size);
    assert_memory_not_equal (text, other_text, size); /* each time another */
    other.sign_seed[0] ^= 1;
    assert_false (adr_backup_open (&other, text, size, opened));
    text[20] = text[20] == '0' ? '1' : '0';
    assert_false (adr_backup_open (&s_keys, text, size, opened));
    for (size_t less = 0; less + 1 < size; less++)
        assert_false (adr_backup_open (&s_keys, other_text, less, opened));
    memset (sign_key, 0xff, sizeof sign_key);
    assert_int_equal (adr_backup_format (sign_key, key, text), 0); /* no point of the curve */
}

/* What is no such text, and what would cost more than a host bears, costs nothing. */
static void
other_texts_are_none (void **state)
{
    (void) state;
    adr_keys_t keys;
    char text[ADR_SEALED_TEXT_MAX];
    for (size_t size = 0; size < s_size; size++)
        assert_false (adr_sealed_key_open (&keys, s_text, size, "correct horse"));
    snprintf (text, sizeof text, "%s", s_text);
    text[s_size] = ' ';
    assert_false (adr_sealed_key_open (&keys, text, s_size + 1, "correct horse"));
    unsigned long long work, memory;
    int end;
    assert_int_equal (sscanf (s_text, "sealed-sign-secret: argon2id %llu %llu%n", &work, &memory, &end), 2);
    int length = snprintf (text, sizeof text, "sealed-sign-secret: argon2id %llu %llu%s", work, 1ULL << 40, s_text + end);
    assert_false (adr_sealed_key_open (&keys, text, (size_t) length, "correct horse"));
    length = snprintf (text, sizeof text, "sealed-sign-secret: argon2id %llu %llu%s", 1ULL << 30, memory, s_text + end);
    assert_false (adr_sealed_key_open (&keys, text, (size_t) length, "correct horse"));
    assert_false (adr_sealed_key_is ("sign-secret: 00", 15));
}

static bool
s_read (const char *content, size_t size, char passphrase[ADR_PASSPHRASE_MAX + 1])
{
    char path[] = "/tmp/passphrase-XXXXXX";
    int file = mkstemp (path);
    assert_true (file >= 0);
    assert_int_equal (write (file, content, size), (ssize_t) size);
    close (file);
    bool read = adr_passphrase_read (path, passphrase);
    unlink (path);
    return read;
}

static void
a_passphrase_is_one_line (void **state)
{
    (void) state;
    char passphrase[ADR_PASSPHRASE_MAX + 1], longest[ADR_PASSPHRASE_MAX + 2];
    assert_true (s_read ("a b\nc\n", 6, passphrase));
    assert_string_equal (passphrase, "a b");
    assert_true (s_read ("a b", 3, passphrase));
    assert_string_equal (passphrase, "a b");
    assert_false (s_read ("", 0, passphrase));
    assert_false (s_read ("\nx", 2, passphrase));
    memset (longest, 'x', sizeof longest);
    assert_false (s_read (longest, sizeof longest, passphrase));
    assert_false (adr_passphrase_read ("/nowhere/at/all", passphrase));
}

int
main (void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test (the_passphrase_opens_it),
        cmocka_unit_test (changed_bytes_do_not),
        cmocka_unit_test (the_root_opens_the_backup),
        cmocka_unit_test (other_texts_are_none),
        cmocka_unit_test (a_passphrase_is_one_line),
    };
    return sodium_init () < 0 || cmocka_run_group_tests (tests, s_setup, NULL);
}
