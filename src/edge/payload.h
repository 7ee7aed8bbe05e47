/* SPDX-License-Identifier: MPL-2.0 */
/* The body of a request in all forms that Signature V4 has, decoded piece by piece in constant memory, each chunk's and
 * trailer's signature verified; and the digests that must hold before what was sent becomes visible: the signed hash,
 * Content-MD5, and the x-amz-checksum of a header or a trailer.
 *
 * Owns: its digests. Makes durable: nothing. Total: any bytes are answered. */

#ifndef ADR_PAYLOAD_H
#define ADR_PAYLOAD_H

#include "edge/auth.h"
#include "edge/digest.h"

typedef enum {
    ADR_PAYLOAD_HASHED,                    /* x-amz-content-sha256 is the body's hash */
    ADR_PAYLOAD_UNSIGNED,                  /* UNSIGNED-PAYLOAD */
    ADR_PAYLOAD_STREAMING_SIGNED,          /* STREAMING-AWS4-HMAC-SHA256-PAYLOAD */
    ADR_PAYLOAD_STREAMING_SIGNED_TRAILER,  /* STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER */
    ADR_PAYLOAD_STREAMING_UNSIGNED_TRAILER /* STREAMING-UNSIGNED-PAYLOAD-TRAILER */
} adr_payload_form_t;

/* "8000000000000000;chunk-signature=" and 64 digits, with room for an extension that we do not know. */
#define ADR_PAYLOAD_CHUNK_LINE_MAX 256
/* A trailer's line: its name and a digest in base64, or a signature. */
#define ADR_PAYLOAD_TRAILER_LINE_MAX 512
/* One checksum, its signature, and an empty line; a few more are read and ignored. */
#define ADR_PAYLOAD_TRAILER_LINES_MAX 8
#define ADR_PAYLOAD_LENGTH_UNKNOWN UINT64_MAX

typedef struct adr_payload adr_payload_t;

/* Reads from the headers what the body will be. NULL, `error` and perhaps `reason` (a constant), if they contradict
 * themselves. `etag`: compute the MD5 for adr_payload_etag, too. Borrows nothing. */
adr_payload_t *adr_payload_new (const adr_http_request_t *request, const adr_auth_result_t *auth, bool etag,
                                adr_s3_error_t *error, const char **reason);
void adr_payload_destroy (adr_payload_t **self);

adr_payload_form_t adr_payload_form (const adr_payload_t *self);
/* The bytes of content that are announced, or ADR_PAYLOAD_LENGTH_UNKNOWN. */
uint64_t adr_payload_length (const adr_payload_t *self);

/* Moves `input` over framing up to the next content, which stands at its start then: `content` is how much of it (0: all
 * of the input is consumed). Content is consumed by adr_payload_take alone, in pieces as small as one likes. */
ADR_WARN_UNUSED adr_s3_error_t adr_payload_step (adr_payload_t *self, adr_bytes_t *input, size_t *content);
/* Consumes `size` bytes of content from the input. */
void adr_payload_take (adr_payload_t *self, adr_bytes_t *input, size_t size);

/* The body has ended. ADR_S3_OK only if it was whole and everything that was promised of it holds. */
ADR_WARN_UNUSED adr_s3_error_t adr_payload_end (adr_payload_t *self);

/* After the end: how many bytes of content there were, their MD5 in hexadecimal, and the checksum that was verified, as
 * the header that says it ("x-amz-checksum-crc32", base64; false if there was none). Lent. */
uint64_t adr_payload_size (const adr_payload_t *self);
const char *adr_payload_etag (const adr_payload_t *self);
bool adr_payload_checksum (const adr_payload_t *self, const char **name, const char **value);

#endif
