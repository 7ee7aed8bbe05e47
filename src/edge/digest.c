/* SPDX-License-Identifier: MPL-2.0 */
/* Digests: see digest.h. The CRC tables are made once, at the first use. */

#include "edge/digest.h"

#include <gnutls/crypto.h>
#include <gnutls/gnutls.h>
#include <pthread.h>

/* Reflected polynomials. */
#define CRC32_POLYNOMIAL UINT32_C (0xedb88320)
#define CRC32C_POLYNOMIAL UINT32_C (0x82f63b78)
#define CRC64NVME_POLYNOMIAL UINT64_C (0x9a6c9329ac4bc9b5)

/* table[0] moves a remainder by one byte, table[n] by n more: eight bytes in one step ("slicing by eight"). One table
 * of 64-bit numbers serves all three, a 32-bit CRC in its low half. */
typedef uint64_t crc_table_t[8][256];

static crc_table_t s_crc32_table, s_crc32c_table, s_crc64nvme_table;
static pthread_once_t s_once = PTHREAD_ONCE_INIT;

static void
s_make_table (crc_table_t table, uint64_t polynomial)
{
    for (unsigned byte = 0; byte < 256; byte++) {
        uint64_t crc = byte;
        for (int bit = 0; bit < 8; bit++)
            crc = crc >> 1 ^ (crc & 1 ? polynomial : 0);
        table[0][byte] = crc;
    }
    for (unsigned byte = 0; byte < 256; byte++)
        for (int slice = 1; slice < 8; slice++)
            table[slice][byte] = table[slice - 1][byte] >> 8 ^ table[0][table[slice - 1][byte] & 255];
}

static void
s_make_tables (void)
{
    s_make_table (s_crc32_table, CRC32_POLYNOMIAL);
    s_make_table (s_crc32c_table, CRC32C_POLYNOMIAL);
    s_make_table (s_crc64nvme_table, CRC64NVME_POLYNOMIAL);
}

static uint64_t
s_crc (const crc_table_t table, uint64_t crc, const uint8_t *at, size_t size)
{
    for (; size >= 8; at += 8, size -= 8) {
        uint64_t word = crc ^ adr_get_u64 (at);
        crc = table[7][word & 255] ^ table[6][word >> 8 & 255] ^ table[5][word >> 16 & 255]
              ^ table[4][word >> 24 & 255] ^ table[3][word >> 32 & 255] ^ table[2][word >> 40 & 255]
              ^ table[1][word >> 48 & 255] ^ table[0][word >> 56];
    }
    for (; size > 0; at++, size--)
        crc = crc >> 8 ^ table[0][(crc ^ *at) & 255];
    return crc;
}

uint32_t
adr_crc32 (uint32_t crc, const void *data, size_t size)
{
    pthread_once (&s_once, s_make_tables);
    return ~(uint32_t) s_crc (s_crc32_table, (uint32_t) ~crc, data, size);
}

uint32_t
adr_crc32c_update (uint32_t crc, const void *data, size_t size)
{
    pthread_once (&s_once, s_make_tables);
    return ~(uint32_t) s_crc (s_crc32c_table, (uint32_t) ~crc, data, size);
}

uint64_t
adr_crc64nvme (uint64_t crc, const void *data, size_t size)
{
    pthread_once (&s_once, s_make_tables);
    return ~s_crc (s_crc64nvme_table, ~crc, data, size);
}

size_t
adr_digest_size (adr_digest_kind_t kind)
{
    static const uint8_t s_size[ADR_DIGEST_COUNT] = { 16, 20, 32, 4, 4, 8 };
    return s_size[kind];
}

static bool
s_is_hash (adr_digest_kind_t kind)
{
    return kind == ADR_DIGEST_MD5 || kind == ADR_DIGEST_SHA1 || kind == ADR_DIGEST_SHA256;
}

void
adr_digest_init (adr_digest_t *self, adr_digest_kind_t kind)
{
    static const gnutls_digest_algorithm_t s_algorithm[]
        = { GNUTLS_DIG_MD5, GNUTLS_DIG_SHA1, GNUTLS_DIG_SHA256 };
    *self = (adr_digest_t){ .kind = kind };
    if (s_is_hash (kind)) {
        gnutls_hash_hd_t handle = NULL;
        int rc = gnutls_hash_init (&handle, s_algorithm[kind]);
        adr_assert (rc == 0);
        self->handle = handle;
    }
}

void
adr_digest_update (adr_digest_t *self, const void *data, size_t size)
{
    if (size == 0)
        return;
    switch (self->kind) {
    case ADR_DIGEST_MD5:
    case ADR_DIGEST_SHA1:
    case ADR_DIGEST_SHA256:
        gnutls_hash (self->handle, data, size);
        break;
    case ADR_DIGEST_CRC32:
        self->crc = adr_crc32 ((uint32_t) self->crc, data, size);
        break;
    case ADR_DIGEST_CRC32C:
        self->crc = adr_crc32c_update ((uint32_t) self->crc, data, size);
        break;
    case ADR_DIGEST_CRC64NVME:
        self->crc = adr_crc64nvme (self->crc, data, size);
        break;
    case ADR_DIGEST_COUNT:
        break;
    }
}

size_t
adr_digest_take (adr_digest_t *self, uint8_t at[ADR_DIGEST_BYTES_MAX])
{
    size_t size = adr_digest_size (self->kind);
    if (s_is_hash (self->kind))
        gnutls_hash_output (self->handle, at);
    else
        for (size_t i = 0; i < size; i++)
            at[i] = (uint8_t) (self->crc >> (8 * (size - 1 - i)));
    self->crc = 0;
    return size;
}

void
adr_digest_free (adr_digest_t *self)
{
    if (self->handle)
        gnutls_hash_deinit (self->handle, NULL);
    self->handle = NULL;
}

void
adr_sha256 (const void *data, size_t size, uint8_t at[32])
{
    int rc = gnutls_hash_fast (GNUTLS_DIG_SHA256, data, size, at);
    adr_assert (rc == 0);
}

void
adr_hmac_sha256 (const void *key, size_t key_size, const void *data, size_t size, uint8_t at[32])
{
    int rc = gnutls_hmac_fast (GNUTLS_MAC_SHA256, key, key_size, data, size, at);
    adr_assert (rc == 0);
}

void
adr_hex_encode (char *to, const void *data, size_t size)
{
    static const char s_digits[] = "0123456789abcdef";
    const uint8_t *from = data;
    for (size_t i = 0; i < size; i++) {
        *to++ = s_digits[from[i] >> 4];
        *to++ = s_digits[from[i] & 15];
    }
    *to = '\0';
}

static int
s_hex (uint8_t c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c |= 0x20;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

bool
adr_hex_decode (uint8_t *to, size_t size, adr_bytes_t text)
{
    if (text.size != 2 * size)
        return false;
    for (size_t i = 0; i < size; i++) {
        int high = s_hex (text.data[2 * i]), low = s_hex (text.data[2 * i + 1]);
        if (high < 0 || low < 0)
            return false;
        to[i] = (uint8_t) (high << 4 | low);
    }
    return true;
}

void
adr_base64_encode (char *to, const void *data, size_t size)
{
    static const char s_digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    const uint8_t *from = data;
    for (size_t i = 0; i < size; i += 3) {
        size_t left = size - i;
        uint32_t word = (uint32_t) from[i] << 16 | (left > 1 ? (uint32_t) from[i + 1] << 8 : 0)
                        | (left > 2 ? from[i + 2] : 0);
        *to++ = s_digits[word >> 18];
        *to++ = s_digits[word >> 12 & 63];
        *to++ = left > 1 ? s_digits[word >> 6 & 63] : '=';
        *to++ = left > 2 ? s_digits[word & 63] : '=';
    }
    *to = '\0';
}

static int
s_base64 (uint8_t c)
{
    if (c >= 'A' && c <= 'Z')
        return c - 'A';
    if (c >= 'a' && c <= 'z')
        return c - 'a' + 26;
    if (c >= '0' && c <= '9')
        return c - '0' + 52;
    return c == '+' ? 62 : c == '/' ? 63 : -1;
}

ssize_t
adr_base64_decode_some (uint8_t *to, size_t room, adr_bytes_t text)
{
    if (text.size % 4 != 0)
        return -1;
    size_t padding = 0;
    while (padding < 2 && padding < text.size && text.data[text.size - 1 - padding] == '=')
        padding++;
    size_t size = text.size / 4 * 3 - padding;
    if (size > room)
        return -1;
    uint32_t word = 0;
    size_t done = 0;
    for (size_t i = 0; i < text.size; i++) {
        int digit = i >= text.size - padding ? 0 : s_base64 (text.data[i]);
        if (digit < 0)
            return -1;
        word = word << 6 | (uint32_t) digit;
        if (i % 4 == 3) {
            for (int shift = 16; shift >= 0; shift -= 8)
                if (done < size)
                    to[done++] = (uint8_t) (word >> shift);
                else if (word >> shift & 255)
                    return -1; /* bits behind the end: not the canonical form */
            word = 0;
        }
    }
    return (ssize_t) size;
}

bool
adr_base64_decode (uint8_t *to, size_t size, adr_bytes_t text)
{
    return text.size == (size + 2) / 3 * 4 && adr_base64_decode_some (to, size, text) == (ssize_t) size;
}

bool
adr_equal_secret (const void *a, const void *b, size_t size)
{
    return gnutls_memcmp (a, b, size) == 0;
}
