/* SPDX-License-Identifier: MPL-2.0 */
/* Payload forms: see payload.h.
 *
 * A streaming body is chunks, each "size in hexadecimal;chunk-signature=S" CR LF, content, CR LF; the last has size 0;
 * behind it, trailers, one a line, and an empty line.
 *
 *     LINE --size > 0--> CONTENT --all of it--> CR --> LF --> LINE
 *       `--size = 0, no trailer--> CR_LAST --> LF_LAST --> DONE
 *       `--size = 0, trailer--> TRAILER --empty line--> DONE
 *     (PLAIN for the two forms without chunks) */

#include "edge/payload.h"

#include <stdio.h>
#include <stdlib.h>
#include <strings.h>

#define EMPTY_SHA256 "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"

typedef enum { PLAIN, LINE, CONTENT, CR, LF, CR_LAST, LF_LAST, TRAILER, DONE } state_t;

struct adr_payload {
    adr_payload_form_t form;
    state_t state;
    uint64_t expected; /* bytes of content, or ADR_PAYLOAD_LENGTH_UNKNOWN */
    uint64_t size;     /* bytes of content that were taken */
    uint64_t left;     /* CONTENT: of this chunk */

    adr_digest_t sha256; /* of the body, or of this chunk */
    bool with_sha256;
    uint8_t sha256_expected[32];
    adr_digest_t md5;
    bool with_md5;
    bool check_md5;
    uint8_t md5_expected[16];
    char etag[33];

    adr_digest_t checksum;
    bool with_checksum;
    bool has_checksum_expected; /* it came, in the header or in the trailer */
    bool checksum_in_trailer;
    uint8_t checksum_expected[ADR_DIGEST_BYTES_MAX];
    char checksum_text[48];

    adr_signing_t signing; /* `signature` is the one before */
    char chunk_signature[ADR_SIGNATURE_TEXT];
    bool trailer_signed;     /* its signature came, and is right */
    adr_buffer_t trailer;    /* the canonical trailer, as it is signed */
    unsigned trailer_lines;

    char line[ADR_PAYLOAD_TRAILER_LINE_MAX];
    size_t line_size;
};

static const struct {
    const char *name;
    const char *algorithm;
    adr_digest_kind_t kind;
} s_checksums[] = {
    { "x-amz-checksum-crc32", "CRC32", ADR_DIGEST_CRC32 },
    { "x-amz-checksum-crc32c", "CRC32C", ADR_DIGEST_CRC32C },
    { "x-amz-checksum-crc64nvme", "CRC64NVME", ADR_DIGEST_CRC64NVME },
    { "x-amz-checksum-sha1", "SHA1", ADR_DIGEST_SHA1 },
    { "x-amz-checksum-sha256", "SHA256", ADR_DIGEST_SHA256 },
};
#define CHECKSUMS (sizeof s_checksums / sizeof *s_checksums)

static bool
s_is_streaming (const adr_payload_t *self)
{
    return self->form >= ADR_PAYLOAD_STREAMING_SIGNED;
}

static bool
s_is_signed_chunks (const adr_payload_t *self)
{
    return self->form == ADR_PAYLOAD_STREAMING_SIGNED || self->form == ADR_PAYLOAD_STREAMING_SIGNED_TRAILER;
}

static bool
s_has_trailer (const adr_payload_t *self)
{
    return self->form >= ADR_PAYLOAD_STREAMING_SIGNED_TRAILER;
}

/* --- what the headers promise ---------------------------------------------------------------------------------- */

static bool
s_read_form (adr_payload_t *self, adr_bytes_t text)
{
    static const struct {
        const char *text;
        adr_payload_form_t form;
    } s_forms[] = {
        { "UNSIGNED-PAYLOAD", ADR_PAYLOAD_UNSIGNED },
        { "STREAMING-AWS4-HMAC-SHA256-PAYLOAD", ADR_PAYLOAD_STREAMING_SIGNED },
        { "STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER", ADR_PAYLOAD_STREAMING_SIGNED_TRAILER },
        { "STREAMING-UNSIGNED-PAYLOAD-TRAILER", ADR_PAYLOAD_STREAMING_UNSIGNED_TRAILER },
    };
    for (size_t i = 0; i < sizeof s_forms / sizeof *s_forms; i++)
        if (adr_http_text_equal (text, s_forms[i].text)) {
            self->form = s_forms[i].form;
            return true;
        }
    self->form = ADR_PAYLOAD_HASHED;
    return adr_hex_decode (self->sha256_expected, 32, text);
}

static bool
s_read_length (adr_payload_t *self, const adr_http_request_t *request)
{
    adr_bytes_t length = adr_http_header (request, "content-length");
    adr_bytes_t decoded = adr_http_header (request, "x-amz-decoded-content-length");
    bool chunked = adr_http_header (request, "transfer-encoding").data != NULL;
    self->expected = ADR_PAYLOAD_LENGTH_UNKNOWN;
    if (s_is_streaming (self))
        return !decoded.data || adr_http_number (&self->expected, decoded);
    if (length.data)
        return adr_http_number (&self->expected, length);
    if (!chunked)
        self->expected = 0;
    return true;
}

/* The index of the checksum that the header's name means, or -1. */
static int
s_find_checksum (adr_bytes_t name)
{
    for (size_t i = 0; i < CHECKSUMS; i++)
        if (adr_http_text_equal_case (name, s_checksums[i].name))
            return (int) i;
    return -1;
}

static void
s_want_checksum (adr_payload_t *self, adr_digest_kind_t kind)
{
    adr_digest_init (&self->checksum, kind);
    self->with_checksum = true;
}

static bool
s_set_checksum (adr_payload_t *self, adr_bytes_t value)
{
    size_t size = adr_digest_size (self->checksum.kind);
    if (!adr_base64_decode (self->checksum_expected, size, value) || value.size >= sizeof self->checksum_text)
        return false;
    memcpy (self->checksum_text, value.data, value.size);
    self->checksum_text[value.size] = '\0';
    self->has_checksum_expected = true;
    return true;
}

/* At most one checksum, in a header or in the trailer that x-amz-trailer announces. NULL, or what is wrong. */
static const char *
s_read_checksum (adr_payload_t *self, const adr_http_request_t *request)
{
    for (uint32_t i = 0; i < request->header_count; i++) {
        int found = s_find_checksum (request->header[i].name);
        if (found < 0)
            continue;
        if (self->with_checksum)
            return "Expecting a single x-amz-checksum- header. Multiple checksum types are not allowed.";
        s_want_checksum (self, s_checksums[found].kind);
        if (!s_set_checksum (self, request->header[i].value))
            return "Value for an x-amz-checksum- header is invalid.";
    }
    adr_bytes_t trailer = adr_http_header (request, "x-amz-trailer");
    if (trailer.data) {
        int found = s_find_checksum (trailer);
        if (found < 0 || !s_has_trailer (self))
            return "The value specified in the x-amz-trailer header is not supported.";
        if (self->with_checksum)
            return "Expecting a single x-amz-checksum- header.";
        s_want_checksum (self, s_checksums[found].kind);
        self->checksum_in_trailer = true;
    }
    adr_bytes_t algorithm = adr_http_header (request, "x-amz-sdk-checksum-algorithm");
    if (algorithm.data && self->with_checksum) {
        for (size_t i = 0; i < CHECKSUMS; i++)
            if (adr_http_text_equal_case (algorithm, s_checksums[i].algorithm))
                return s_checksums[i].kind == self->checksum.kind
                           ? NULL
                           : "Value for x-amz-sdk-checksum-algorithm header is not the checksum that was sent.";
        return "Value for x-amz-sdk-checksum-algorithm header is invalid.";
    }
    return NULL;
}

static adr_s3_error_t
s_read_headers (adr_payload_t *self, const adr_http_request_t *request, const adr_auth_result_t *auth, bool etag,
                const char **reason)
{
    if (!s_read_form (self, auth->payload)) {
        *reason = "x-amz-content-sha256 must be UNSIGNED-PAYLOAD, a STREAMING- form or a valid sha256 value.";
        return ADR_S3_InvalidArgument;
    }
    if (s_is_signed_chunks (self) && auth->presigned) {
        *reason = "A presigned request has no signature for its chunks to go on from.";
        return ADR_S3_InvalidRequest;
    }
    if (!s_read_length (self, request)) {
        *reason = "A length is not a number.";
        return ADR_S3_InvalidArgument;
    }
    *reason = s_read_checksum (self, request);
    if (*reason)
        return ADR_S3_InvalidRequest;
    adr_bytes_t md5 = adr_http_header (request, "content-md5");
    if (md5.data && !adr_base64_decode (self->md5_expected, 16, md5))
        return ADR_S3_InvalidDigest;
    self->check_md5 = md5.data != NULL;
    self->with_md5 = etag || self->check_md5;
    self->with_sha256 = self->form == ADR_PAYLOAD_HASHED || s_is_signed_chunks (self);
    return ADR_S3_OK;
}

adr_payload_t *
adr_payload_new (const adr_http_request_t *request, const adr_auth_result_t *auth, bool etag, adr_s3_error_t *error,
                 const char **reason)
{
    adr_payload_t *self = adr_alloc (sizeof *self);
    *reason = NULL;
    *error = s_read_headers (self, request, auth, etag, reason);
    if (*error != ADR_S3_OK) {
        adr_payload_destroy (&self);
        return NULL;
    }
    self->state = s_is_streaming (self) ? LINE : PLAIN;
    self->signing = auth->signing;
    if (self->with_sha256)
        adr_digest_init (&self->sha256, ADR_DIGEST_SHA256);
    if (self->with_md5)
        adr_digest_init (&self->md5, ADR_DIGEST_MD5);
    return self;
}

void
adr_payload_destroy (adr_payload_t **self_p)
{
    adr_payload_t *self = *self_p;
    if (!self)
        return;
    adr_digest_free (&self->sha256);
    adr_digest_free (&self->md5);
    adr_digest_free (&self->checksum);
    adr_buffer_free (&self->trailer);
    free (self);
    *self_p = NULL;
}

adr_payload_form_t
adr_payload_form (const adr_payload_t *self)
{
    return self->form;
}

uint64_t
adr_payload_length (const adr_payload_t *self)
{
    return self->expected;
}

/* --- chunks ----------------------------------------------------------------------------------------------------- */

/* Verifies "prefix, date, scope, signature before, (empty hash,) hash" against `signature`, which then is the one
 * before. */
static bool
s_verify (adr_payload_t *self, const char *prefix, bool chunk, const uint8_t hash[32], const char *signature)
{
    char text[512], hash_text[65], expected[ADR_SIGNATURE_TEXT];
    adr_hex_encode (hash_text, hash, 32);
    int size = snprintf (text, sizeof text, "%s\n%s\n%s\n%s\n%s%s", prefix, self->signing.date, self->signing.scope,
                         self->signing.signature, chunk ? EMPTY_SHA256 "\n" : "", hash_text);
    adr_assert (size > 0 && (size_t) size < sizeof text);
    adr_auth_sign (self->signing.key, adr_bytes (text, (size_t) size), expected);
    memcpy (self->signing.signature, expected, sizeof expected);
    return adr_equal_secret (expected, signature, 64);
}

static adr_s3_error_t
s_end_chunk (adr_payload_t *self)
{
    if (!s_is_signed_chunks (self))
        return ADR_S3_OK;
    uint8_t hash[32];
    adr_digest_take (&self->sha256, hash);
    return s_verify (self, "AWS4-HMAC-SHA256-PAYLOAD", true, hash, self->chunk_signature)
               ? ADR_S3_OK
               : ADR_S3_SignatureDoesNotMatch;
}

/* Hexadecimal digits, 1 to 15 of them; the rest of the line stands behind. */
static bool
s_read_size (adr_bytes_t *line, uint64_t *size)
{
    size_t digits = 0;
    *size = 0;
    for (; digits < line->size; digits++) {
        uint8_t c = line->data[digits];
        int digit = c >= '0' && c <= '9'                     ? c - '0'
                    : (c | 0x20) >= 'a' && (c | 0x20) <= 'f' ? (c | 0x20) - 'a' + 10
                                                             : -1;
        if (digit < 0)
            break;
        *size = *size << 4 | (unsigned) digit;
        if (digits == 15)
            return false;
    }
    *line = adr_bytes (line->data + digits, line->size - digits);
    return digits > 0;
}

static adr_s3_error_t
s_read_chunk_line (adr_payload_t *self, adr_bytes_t line)
{
    static const char s_name[] = ";chunk-signature=";
    if (!s_read_size (&line, &self->left))
        return ADR_S3_IncompleteBody;
    if (s_is_signed_chunks (self)) {
        if (!adr_http_starts_with (line, s_name) || line.size != strlen (s_name) + 64)
            return ADR_S3_SignatureDoesNotMatch;
        memcpy (self->chunk_signature, line.data + strlen (s_name), 64);
    } else if (line.size > 0 && line.data[0] != ';')
        return ADR_S3_IncompleteBody;
    if (self->expected != ADR_PAYLOAD_LENGTH_UNKNOWN && self->left > self->expected - self->size)
        return ADR_S3_IncompleteBody;
    if (self->left > 0) {
        self->state = CONTENT;
        return ADR_S3_OK;
    }
    self->state = s_has_trailer (self) ? TRAILER : CR_LAST;
    return s_end_chunk (self);
}

/* --- trailers --------------------------------------------------------------------------------------------------- */

static adr_s3_error_t
s_read_trailer_signature (adr_payload_t *self, adr_bytes_t value)
{
    if (self->form != ADR_PAYLOAD_STREAMING_SIGNED_TRAILER || self->trailer_signed || value.size != 64)
        return ADR_S3_MalformedTrailerError;
    uint8_t hash[32];
    adr_sha256 (self->trailer.data, self->trailer.size, hash);
    if (!s_verify (self, "AWS4-HMAC-SHA256-TRAILER", false, hash, (const char *) value.data))
        return ADR_S3_SignatureDoesNotMatch;
    self->trailer_signed = true;
    return ADR_S3_OK;
}

static adr_bytes_t
s_trim (adr_bytes_t text)
{
    while (text.size > 0 && (text.data[0] == ' ' || text.data[0] == '\t'))
        text = adr_bytes (text.data + 1, text.size - 1);
    while (text.size > 0 && (text.data[text.size - 1] == ' ' || text.data[text.size - 1] == '\t'))
        text.size--;
    return text;
}

/* Some clients end a trailer's line with LF CR LF, as if its LF belonged to what is signed; so an empty line ends the
 * trailers only where no signature is still to come. */
static adr_s3_error_t
s_read_trailer_line (adr_payload_t *self, adr_bytes_t line)
{
    if (++self->trailer_lines > ADR_PAYLOAD_TRAILER_LINES_MAX)
        return ADR_S3_MalformedTrailerError;
    if (line.size == 0) {
        if (self->form != ADR_PAYLOAD_STREAMING_SIGNED_TRAILER || self->trailer_signed)
            self->state = DONE;
        return ADR_S3_OK;
    }
    const uint8_t *colon = memchr (line.data, ':', line.size);
    if (!colon || self->trailer_signed)
        return ADR_S3_MalformedTrailerError;
    adr_bytes_t name = adr_bytes (line.data, (size_t) (colon - line.data));
    adr_bytes_t value = s_trim (adr_bytes (colon + 1, line.size - name.size - 1));
    if (adr_http_text_equal_case (name, "x-amz-trailer-signature"))
        return s_read_trailer_signature (self, value);
    int found = s_find_checksum (name);
    if (found < 0 || !self->checksum_in_trailer || s_checksums[found].kind != self->checksum.kind
        || self->has_checksum_expected)
        return ADR_S3_MalformedTrailerError;
    if (!s_set_checksum (self, value))
        return ADR_S3_MalformedTrailerError;
    adr_buffer_append (&self->trailer, s_checksums[found].name, strlen (s_checksums[found].name));
    adr_buffer_append (&self->trailer, ":", 1);
    adr_buffer_append (&self->trailer, value.data, value.size);
    adr_buffer_append (&self->trailer, "\n", 1);
    return ADR_S3_OK;
}

/* --- bytes come ------------------------------------------------------------------------------------------------- */

static void
s_skip (adr_bytes_t *input, size_t size)
{
    *input = adr_bytes (input->data + size, input->size - size);
}

/* Gathers a line up to LF; 1: it stands in self->line, without CR and LF. 0: more must come. -1: too long. */
static int
s_gather_line (adr_payload_t *self, adr_bytes_t *input)
{
    size_t max = self->state == LINE ? ADR_PAYLOAD_CHUNK_LINE_MAX : ADR_PAYLOAD_TRAILER_LINE_MAX;
    const uint8_t *end = memchr (input->data, '\n', input->size);
    size_t size = end ? (size_t) (end - input->data) : input->size;
    if (size > max - self->line_size)
        return -1;
    memcpy (self->line + self->line_size, input->data, size);
    self->line_size += size;
    s_skip (input, end ? size + 1 : size);
    if (!end)
        return 0;
    if (self->line_size > 0 && self->line[self->line_size - 1] == '\r')
        self->line_size--;
    else if (self->state == LINE)
        return -1;
    return 1;
}

static adr_s3_error_t
s_step_line (adr_payload_t *self, adr_bytes_t *input)
{
    state_t state = self->state;
    int got = s_gather_line (self, input);
    if (got < 0)
        return state == LINE ? ADR_S3_IncompleteBody : ADR_S3_MalformedTrailerError;
    if (got == 0)
        return ADR_S3_OK;
    adr_bytes_t line = adr_bytes (self->line, self->line_size);
    self->line_size = 0;
    return state == LINE ? s_read_chunk_line (self, line) : s_read_trailer_line (self, line);
}

static adr_s3_error_t
s_step_byte (adr_payload_t *self, adr_bytes_t *input, uint8_t wanted, state_t next)
{
    if (input->data[0] != wanted)
        return ADR_S3_IncompleteBody;
    s_skip (input, 1);
    self->state = next;
    return ADR_S3_OK;
}

static adr_s3_error_t
s_step_once (adr_payload_t *self, adr_bytes_t *input, size_t *content)
{
    adr_s3_error_t error;
    switch (self->state) {
    case PLAIN:
        if (self->expected != ADR_PAYLOAD_LENGTH_UNKNOWN && input->size > self->expected - self->size)
            return ADR_S3_IncompleteBody;
        *content = input->size;
        return ADR_S3_OK;
    case CONTENT:
        *content = input->size < self->left ? input->size : (size_t) self->left;
        return ADR_S3_OK;
    case LINE:
    case TRAILER:
        return s_step_line (self, input);
    case CR: /* all of the chunk is here */
        error = s_end_chunk (self);
        return error == ADR_S3_OK ? s_step_byte (self, input, '\r', LF) : error;
    case LF:
        return s_step_byte (self, input, '\n', LINE);
    case CR_LAST:
        return s_step_byte (self, input, '\r', LF_LAST);
    case LF_LAST:
        return s_step_byte (self, input, '\n', DONE);
    case DONE: /* bytes behind the end; an empty line is what some clients send there */
        if (input->data[0] != '\r' && input->data[0] != '\n')
            return ADR_S3_IncompleteBody;
        s_skip (input, 1);
        return ADR_S3_OK;
    }
    return ADR_S3_InternalError;
}

adr_s3_error_t
adr_payload_step (adr_payload_t *self, adr_bytes_t *input, size_t *content)
{
    *content = 0;
    while (input->size > 0 && *content == 0) {
        adr_s3_error_t error = s_step_once (self, input, content);
        if (error != ADR_S3_OK)
            return error;
    }
    return ADR_S3_OK;
}

void
adr_payload_take (adr_payload_t *self, adr_bytes_t *input, size_t size)
{
    if (self->with_sha256)
        adr_digest_update (&self->sha256, input->data, size);
    if (self->with_md5)
        adr_digest_update (&self->md5, input->data, size);
    if (self->with_checksum)
        adr_digest_update (&self->checksum, input->data, size);
    self->size += size;
    s_skip (input, size);
    if (self->state == CONTENT) {
        self->left -= size;
        if (self->left == 0)
            self->state = CR;
    }
}

/* --- the end ---------------------------------------------------------------------------------------------------- */

static adr_s3_error_t
s_check_whole (const adr_payload_t *self)
{
    if (self->expected != ADR_PAYLOAD_LENGTH_UNKNOWN && self->size != self->expected)
        return ADR_S3_IncompleteBody;
    switch (self->state) {
    case PLAIN:
    case DONE:
        break;
    case CR_LAST: /* the CR LF behind the last chunk is missing in some clients */
        break;
    case TRAILER: /* so is the empty line behind the trailers */
        if (self->line_size > 0)
            return ADR_S3_MalformedTrailerError;
        break;
    case LINE:
    case CONTENT:
    case CR:
    case LF:
    case LF_LAST:
        return ADR_S3_IncompleteBody;
    }
    if (self->form == ADR_PAYLOAD_STREAMING_SIGNED_TRAILER && !self->trailer_signed)
        return ADR_S3_SignatureDoesNotMatch;
    if (self->checksum_in_trailer && !self->has_checksum_expected)
        return ADR_S3_MalformedTrailerError;
    return ADR_S3_OK;
}

adr_s3_error_t
adr_payload_end (adr_payload_t *self)
{
    uint8_t digest[ADR_DIGEST_BYTES_MAX];
    adr_s3_error_t error = s_check_whole (self);
    if (error != ADR_S3_OK)
        return error;
    if (self->form == ADR_PAYLOAD_HASHED) {
        adr_digest_take (&self->sha256, digest);
        if (memcmp (digest, self->sha256_expected, 32) != 0)
            return ADR_S3_XAmzContentSHA256Mismatch;
    }
    if (self->with_md5) {
        adr_digest_take (&self->md5, digest);
        adr_hex_encode (self->etag, digest, 16);
        if (self->check_md5 && memcmp (digest, self->md5_expected, 16) != 0)
            return ADR_S3_BadDigest;
    }
    if (self->with_checksum) {
        size_t size = adr_digest_take (&self->checksum, digest);
        if (memcmp (digest, self->checksum_expected, size) != 0)
            return ADR_S3_BadDigest;
    }
    return ADR_S3_OK;
}

uint64_t
adr_payload_size (const adr_payload_t *self)
{
    return self->size;
}

const char *
adr_payload_etag (const adr_payload_t *self)
{
    return self->etag;
}

bool
adr_payload_checksum (const adr_payload_t *self, const char **name, const char **value)
{
    if (!self->with_checksum || !self->has_checksum_expected)
        return false;
    for (size_t i = 0; i < CHECKSUMS; i++)
        if (s_checksums[i].kind == self->checksum.kind)
            *name = s_checksums[i].name;
    *value = self->checksum_text;
    return true;
}
