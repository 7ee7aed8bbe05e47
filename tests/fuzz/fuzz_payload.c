/* SPDX-License-Identifier: MPL-2.0 */
/* Any bytes as a body, in a form that the first byte chooses, whole and in pieces: both ways give the same content and
 * the same verdict. */

#include "edge/payload.h"

int LLVMFuzzerTestOneInput (const uint8_t *data, size_t size);

static adr_s3_error_t
s_decode (uint8_t choice, adr_bytes_t body, size_t piece, adr_buffer_t *content)
{
    static const char *const s_forms[] = { "UNSIGNED-PAYLOAD", "STREAMING-AWS4-HMAC-SHA256-PAYLOAD",
                                           "STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER", "STREAMING-UNSIGNED-PAYLOAD-TRAILER" };
    const char *form = s_forms[choice & 3], *reason;
    adr_http_request_t request;
    adr_auth_result_t auth = { .payload = adr_bytes (form, strlen (form)) };
    adr_s3_error_t error;
    adr_http_request_init (&request, "PUT", "/", 1);
    if (choice & 4)
        adr_http_request_add (&request, "x-amz-decoded-content-length", 28, "5", 1);
    if (choice & 8)
        adr_http_request_add (&request, "x-amz-trailer", 13, "x-amz-checksum-crc32", 20);
    adr_payload_t *self = adr_payload_new (&request, &auth, true, &error, &reason);
    adr_http_request_free (&request);
    while (self && error == ADR_S3_OK && body.size > 0) {
        size_t size = body.size < piece ? body.size : piece, have = 0;
        adr_bytes_t input = adr_bytes (body.data, size);
        body = adr_bytes (body.data + size, body.size - size);
        while (input.size > 0 && (error = adr_payload_step (self, &input, &have)) == ADR_S3_OK && have > 0) {
            adr_assert (have <= input.size);
            adr_buffer_append (content, input.data, have);
            adr_payload_take (self, &input, have);
        }
    }
    if (self && error == ADR_S3_OK)
        error = adr_payload_end (self);
    adr_payload_destroy (&self);
    return error;
}

int
LLVMFuzzerTestOneInput (const uint8_t *data, size_t size)
{
    if (size < 2)
        return 0;
    adr_buffer_t whole = { 0 }, pieces = { 0 };
    adr_bytes_t body = adr_bytes (data + 2, size - 2);
    adr_s3_error_t one = s_decode (data[0], body, size, &whole);
    adr_s3_error_t other = s_decode (data[0], body, (size_t) data[1] + 1, &pieces);
    adr_assert ((one == ADR_S3_OK) == (other == ADR_S3_OK));
    if (one == ADR_S3_OK)
        adr_assert (adr_bytes_equal (adr_bytes (whole.data, whole.size), adr_bytes (pieces.data, pieces.size)));
    adr_buffer_free (&whole);
    adr_buffer_free (&pieces);
    return 0;
}
