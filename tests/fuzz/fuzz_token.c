/* SPDX-License-Identifier: MPL-2.0 */
/* Any bytes as a token's text, and as the bytes in one whose check is right, which no fuzzer would find: what parses formats to the
 * same text. */

#include "core/token.h"

#include <sodium.h>

int LLVMFuzzerTestOneInput (const uint8_t *data, size_t size);

static void
s_parse (const char *text, size_t size)
{
    adr_token_t token;
    char again[ADR_TOKEN_TEXT_MAX];
    if (!adr_token_parse (&token, text, size)) {
        adr_assert (sodium_is_zero ((const uint8_t *) &token, sizeof token));
        return;
    }
    while (memchr (" \t\r\n", *text, 4)) {
        text++;
        size--;
    }
    size_t length = adr_token_format (&token, again);
    adr_assert (length <= size && memcmp (again, text, length) == 0);
    for (; length < size; length++)
        adr_assert (memchr (" \t\r\n", text[length], 4));
}

static void
s_parse_bytes (const uint8_t *data, size_t size)
{
    uint8_t bytes[ADR_TOKEN_BYTES_MAX + 8], hash[32];
    char text[2 * sizeof bytes] = "adr1.";
    if (size + 4 > sizeof bytes)
        return;
    memcpy (bytes, data, size);
    crypto_generichash (hash, sizeof hash, bytes, size, NULL, 0);
    memcpy (bytes + size, hash, 4);
    sodium_bin2base64 (text + 5, sizeof text - 5, bytes, size + 4, sodium_base64_VARIANT_URLSAFE_NO_PADDING);
    s_parse (text, strlen (text));
}

int
LLVMFuzzerTestOneInput (const uint8_t *data, size_t size)
{
    static const uint8_t key[ADR_KEY_SIZE] = { 1 }, signature[ADR_SIGNATURE_SIZE] = { 2 };
    static const char *const endpoints[ADR_JOIN_ENDPOINTS] = { "tcp://h:1", "tcp://h:2", "", "" };
    static const adr_id_t cluster = { { 3 } };
    if (size)
        s_parse ((const char *) data, size);
    s_parse_bytes (data, size);
    adr_assert (!adr_token_join_signed (key, &cluster, adr_bytes (data, size), endpoints, 0, signature));
    return 0;
}
