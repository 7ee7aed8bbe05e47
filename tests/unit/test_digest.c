/* SPDX-License-Identifier: MPL-2.0 */
/* Digests against their published check values, whole and in pieces; hexadecimal and base64. */

#include "edge/digest.h"

#include <stdlib.h>

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static void
test_check_values (void **state)
{
    (void) state;
    static const struct {
        adr_digest_kind_t kind;
        const char *text, *digest;
    } s_cases[] = {
        { ADR_DIGEST_MD5, "", "d41d8cd98f00b204e9800998ecf8427e" },
        { ADR_DIGEST_MD5, "123456789", "25f9e794323b453885f5181f1b624d0b" },
        { ADR_DIGEST_SHA1, "abc", "a9993e364706816aba3e25717850c26c9cd0d89d" },
        { ADR_DIGEST_SHA256, "abc", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad" },
        { ADR_DIGEST_CRC32, "123456789", "cbf43926" },
        { ADR_DIGEST_CRC32C, "123456789", "e3069283" },
        { ADR_DIGEST_CRC64NVME, "123456789", "ae8b14860a799888" },
        { ADR_DIGEST_CRC32, "", "00000000" },
    };
    for (size_t i = 0; i < sizeof s_cases / sizeof *s_cases; i++)
        for (size_t cut = 0; cut <= strlen (s_cases[i].text); cut++) {
            adr_digest_t digest;
            uint8_t bytes[ADR_DIGEST_BYTES_MAX];
            char text[ADR_DIGEST_TEXT_MAX];
            adr_digest_init (&digest, s_cases[i].kind);
            for (int again = 0; again < 2; again++) {
                adr_digest_update (&digest, s_cases[i].text, cut);
                adr_digest_update (&digest, s_cases[i].text + cut, strlen (s_cases[i].text) - cut);
                size_t size = adr_digest_take (&digest, bytes);
                assert_int_equal (size, adr_digest_size (s_cases[i].kind));
                adr_hex_encode (text, bytes, size);
                assert_string_equal (text, s_cases[i].digest);
            }
            adr_digest_free (&digest);
        }
}

/* The tables of eight against one bit after the other, on lengths around the steps. */
static uint64_t
s_slow (uint64_t polynomial, uint64_t crc, const uint8_t *at, size_t size)
{
    while (size--) {
        crc ^= *at++;
        for (int bit = 0; bit < 8; bit++)
            crc = crc >> 1 ^ (crc & 1 ? polynomial : 0);
    }
    return crc;
}

static void
test_slices (void **state)
{
    (void) state;
    uint8_t data[100];
    for (size_t i = 0; i < sizeof data; i++)
        data[i] = (uint8_t) (i * 151 + 7);
    for (size_t from = 0; from < 9; from++)
        for (size_t size = 0; size < 90; size++) {
            assert_int_equal (adr_crc32 (0, data + from, size),
                              (uint32_t) ~s_slow (0xedb88320, 0xffffffff, data + from, size));
            assert_int_equal (adr_crc32c_update (0, data + from, size),
                              (uint32_t) ~s_slow (0x82f63b78, 0xffffffff, data + from, size));
            assert_true (adr_crc64nvme (0, data + from, size)
                         == ~s_slow (UINT64_C (0x9a6c9329ac4bc9b5), UINT64_MAX, data + from, size));
        }
}

static void
test_hmac (void **state)
{
    (void) state;
    uint8_t mac[32];
    char text[65];
    adr_hmac_sha256 ("Jefe", 4, "what do ya want for nothing?", 28, mac);
    adr_hex_encode (text, mac, 32);
    assert_string_equal (text, "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
    adr_sha256 ("", 0, mac);
    adr_hex_encode (text, mac, 32);
    assert_string_equal (text, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
}

static void
test_texts (void **state)
{
    (void) state;
    static const char *const s_base64[][2] = { { "", "" },           { "f", "Zg==" },       { "fo", "Zm8=" },
                                               { "foo", "Zm9v" },    { "foob", "Zm9vYg==" }, { "\xff\xfe\xfd", "//79" } };
    uint8_t bytes[16];
    char text[32];
    for (size_t i = 0; i < 6; i++) {
        size_t size = strlen (s_base64[i][0]);
        adr_base64_encode (text, s_base64[i][0], size);
        assert_string_equal (text, s_base64[i][1]);
        assert_true (adr_base64_decode (bytes, size, adr_bytes (text, strlen (text))));
        assert_memory_equal (bytes, s_base64[i][0], size);
        assert_false (adr_base64_decode (bytes, size + 1, adr_bytes (text, strlen (text))));
    }
    static const char *const s_bad[] = { "Zg=", "Zg", "Z===", "Zh==", "Zm9=", "Zg==Zg==", "====", "Zm 9", "Zm-_" };
    for (size_t i = 0; i < sizeof s_bad / sizeof *s_bad; i++)
        assert_int_equal (adr_base64_decode_some (bytes, sizeof bytes, adr_bytes (s_bad[i], strlen (s_bad[i]))), -1);
    assert_int_equal (adr_base64_decode_some (bytes, 2, adr_bytes ("Zm9v", 4)), -1);
    assert_true (adr_hex_decode (bytes, 2, adr_bytes ("aF09", 4)) && bytes[0] == 0xaf && bytes[1] == 9);
    assert_false (adr_hex_decode (bytes, 2, adr_bytes ("aF0", 3)));
    assert_false (adr_hex_decode (bytes, 2, adr_bytes ("aG09", 4)));
    assert_false (adr_hex_decode (bytes, 1, adr_bytes ("@0", 2)));
    assert_true (adr_equal_secret ("abc", "abc", 3));
    assert_false (adr_equal_secret ("abc", "abd", 3));
}

int
main (void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test (test_check_values), cmocka_unit_test (test_slices),
                                        cmocka_unit_test (test_hmac), cmocka_unit_test (test_texts) };
    return cmocka_run_group_tests (tests, NULL, NULL);
}
