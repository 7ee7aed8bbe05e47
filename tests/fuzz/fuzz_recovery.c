/* SPDX-License-Identifier: MPL-2.0 */
/* Any bytes as a recovery statement, as its text, and as the bytes in a text whose check is right: what is read is written alike, and
 * nobody but the root has signed anything. */

#include "core/cert.h"
#include "core/recovery_statement.h"

#include <sodium.h>

int LLVMFuzzerTestOneInput (const uint8_t *data, size_t size);

static void
s_decode (const uint8_t *data, size_t size)
{
    static const uint8_t seed[ADR_KEY_SIZE] = { 1 };
    adr_cert_t root = { .kind = ADR_CERT_ROOT, .serial = 1, .issuer_serial = 1, .not_after_ms = 1, .name = "root" };
    adr_keys_t keys = { .sign_seed = { 1 } };
    uint8_t again[ADR_RECOVERY_SIZE], certificate[ADR_CERTIFICATE_MAX];
    adr_recovery_t recovery;
    if (!adr_recovery_decode (&recovery, adr_bytes (data, size)))
        return;
    adr_assert (adr_recovery_encode (&recovery, again) == size && memcmp (again, data, size) == 0);
    root.cluster = recovery.cluster;
    adr_keys_public (&keys, NULL, root.sign_key);
    adr_cert_sign (&root, keys.sign_seed);
    adr_bytes_t encoded = adr_bytes (certificate, adr_cert_encode (&root, certificate));
    adr_assert (!adr_recovery_verify (&recovery, encoded));
    adr_recovery_sign (&recovery, 1, seed);
    adr_assert (adr_recovery_verify (&recovery, encoded));
}

static void
s_parse (const char *text, size_t size)
{
    adr_recovery_t recovery;
    char again[ADR_RECOVERY_TEXT_MAX];
    if (!adr_recovery_parse (&recovery, text, size))
        return;
    while (memchr (" \t\r\n", *text, 4)) {
        text++;
        size--;
    }
    size_t length = adr_recovery_format (&recovery, again);
    adr_assert (length <= size && memcmp (again, text, length) == 0);
}

static void
s_parse_bytes (const uint8_t *data, size_t size)
{
    uint8_t bytes[ADR_RECOVERY_SIZE + 8], hash[32];
    char text[2 * sizeof bytes] = "adrr1.";
    if (size + 4 > sizeof bytes)
        return;
    memcpy (bytes, data, size);
    crypto_generichash (hash, sizeof hash, bytes, size, NULL, 0);
    memcpy (bytes + size, hash, 4);
    sodium_bin2base64 (text + 6, sizeof text - 6, bytes, size + 4, sodium_base64_VARIANT_URLSAFE_NO_PADDING);
    s_parse (text, strlen (text));
}

int
LLVMFuzzerTestOneInput (const uint8_t *data, size_t size)
{
    s_decode (data, size);
    if (size)
        s_parse ((const char *) data, size);
    s_parse_bytes (data, size);
    return 0;
}
