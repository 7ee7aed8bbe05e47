/* SPDX-License-Identifier: MPL-2.0 */
/* The digests of S3: MD5, SHA-1, SHA-256 and HMAC by GnuTLS, CRC-32, CRC-32C and CRC-64/NVME by tables, eight bytes at
 * a time; hexadecimal and base64.
 *
 * Owns: its hash handles. Makes durable: nothing. */

#ifndef ADR_DIGEST_H
#define ADR_DIGEST_H

#include "core/base.h"
#include "core/bytes.h"

#include <sys/types.h>

typedef enum {
    ADR_DIGEST_MD5,
    ADR_DIGEST_SHA1,
    ADR_DIGEST_SHA256,
    ADR_DIGEST_CRC32,
    ADR_DIGEST_CRC32C,
    ADR_DIGEST_CRC64NVME,
    ADR_DIGEST_COUNT
} adr_digest_kind_t;

#define ADR_DIGEST_BYTES_MAX 32
#define ADR_DIGEST_TEXT_MAX 65 /* hexadecimal, with the end */

typedef struct {
    adr_digest_kind_t kind;
    void *handle;  /* of GnuTLS, for the first three */
    uint64_t crc;  /* of the others */
} adr_digest_t;

size_t adr_digest_size (adr_digest_kind_t kind);

void adr_digest_init (adr_digest_t *self, adr_digest_kind_t kind);
void adr_digest_update (adr_digest_t *self, const void *data, size_t size);
/* Writes the digest (a CRC in big-endian order, as S3 does) and returns its size; begins anew. */
size_t adr_digest_take (adr_digest_t *self, uint8_t at[ADR_DIGEST_BYTES_MAX]);
void adr_digest_free (adr_digest_t *self);

/* At once. */
void adr_sha256 (const void *data, size_t size, uint8_t at[32]);
void adr_hmac_sha256 (const void *key, size_t key_size, const void *data, size_t size, uint8_t at[32]);

uint32_t adr_crc32 (uint32_t crc, const void *data, size_t size);
uint32_t adr_crc32c_update (uint32_t crc, const void *data, size_t size);
uint64_t adr_crc64nvme (uint64_t crc, const void *data, size_t size);

/* Lower case, 2 * size digits and the end. */
void adr_hex_encode (char *to, const void *data, size_t size);
/* Exactly 2 * size digits of either case. */
ADR_WARN_UNUSED bool adr_hex_decode (uint8_t *to, size_t size, adr_bytes_t text);

/* 4 * ceil (size / 3) characters and the end. */
void adr_base64_encode (char *to, const void *data, size_t size);
/* Exactly `size` bytes, canonical, with padding; false for anything else. */
ADR_WARN_UNUSED bool adr_base64_decode (uint8_t *to, size_t size, adr_bytes_t text);
/* At most `room` bytes; returns how many, or -1. */
ADR_WARN_UNUSED ssize_t adr_base64_decode_some (uint8_t *to, size_t room, adr_bytes_t text);

/* True if the `size` bytes are equal; takes the same time whatever they are. */
ADR_WARN_UNUSED bool adr_equal_secret (const void *a, const void *b, size_t size);

#endif
