/* SPDX-License-Identifier: MPL-2.0 */
/* Texts that people paste: see pasted.h. */

#include "core/pasted.h"

#include <sodium.h>
#include <string.h>

#define S_BASE64 sodium_base64_VARIANT_URLSAFE_NO_PADDING

static void
s_check_of (const uint8_t *bytes, size_t size, uint8_t check[ADR_PASTED_CHECK_SIZE])
{
    uint8_t hash[32];
    crypto_generichash (hash, sizeof hash, bytes, size, NULL, 0);
    memcpy (check, hash, ADR_PASTED_CHECK_SIZE);
}

size_t
adr_pasted_format (const char *prefix, uint8_t *bytes, size_t size, char *text, size_t room)
{
    size_t start = strlen (prefix);
    s_check_of (bytes, size, bytes + size);
    memcpy (text, prefix, start);
    sodium_bin2base64 (text + start, room - start, bytes, size + ADR_PASTED_CHECK_SIZE, S_BASE64);
    return strlen (text);
}

static bool
s_is_space (char c)
{
    return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

/* libsodium 1.0.18 takes some bytes above 127 for letters. */
static bool
s_is_ascii (const char *text, size_t size)
{
    for (size_t i = 0; i < size; i++)
        if ((unsigned char) text[i] > 0x7e)
            return false;
    return true;
}

bool
adr_pasted_parse (const char *prefix, const char *text, size_t text_size, uint8_t *bytes, size_t room, size_t *size)
{
    uint8_t check[ADR_PASTED_CHECK_SIZE];
    size_t start = strlen (prefix), found = 0;
    for (; text_size && s_is_space (*text); text++)
        text_size--;
    while (text_size && s_is_space (text[text_size - 1]))
        text_size--;
    /* The library refuses padding, other letters of ASCII, and last bits that are not zero: one text only. */
    if (text_size <= start || memcmp (text, prefix, start) != 0 || !s_is_ascii (text, text_size)
        || sodium_base642bin (bytes, room, text + start, text_size - start, NULL, &found, NULL, S_BASE64) != 0
        || found < ADR_PASTED_CHECK_SIZE)
        return false;
    *size = found - ADR_PASTED_CHECK_SIZE;
    s_check_of (bytes, *size, check);
    return memcmp (check, bytes + *size, sizeof check) == 0;
}
