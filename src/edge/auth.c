/* SPDX-License-Identifier: MPL-2.0 */
/* Signature Version 4: see auth.h.
 *
 * The canonical request is made from what the decoded target says, encoded anew, as S3 does it: a client that escapes
 * more or less than it must signs the same thing. */

#include "edge/auth.h"

#include "edge/digest.h"

#include <gnutls/gnutls.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>

#define ALGORITHM "AWS4-HMAC-SHA256"
#define EMPTY_SHA256 "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"

/* What a request claims. All views are lent by it. */
typedef struct {
    adr_bytes_t access_key;
    adr_bytes_t day, region, service, terminator; /* of the credential's scope */
    adr_bytes_t signed_headers;
    adr_bytes_t signature;
    char date[17];
    int64_t seconds; /* `date` since 1970 */
    uint64_t expires_s;
    bool presigned;
} claim_t;

static void
s_add (adr_buffer_t *to, const char *text)
{
    adr_buffer_append (to, text, strlen (text));
}

static void
s_add_bytes (adr_buffer_t *to, adr_bytes_t bytes)
{
    if (bytes.size)
        adr_buffer_append (to, bytes.data, bytes.size);
}

/* Cuts the text before the next `separator` off `rest`; at the last piece `rest` is empty without data. */
static adr_bytes_t
s_cut (adr_bytes_t *rest, char separator)
{
    const uint8_t *end = rest->data ? memchr (rest->data, separator, rest->size) : NULL;
    adr_bytes_t piece = adr_bytes (rest->data, end ? (size_t) (end - rest->data) : rest->size);
    *rest = end ? adr_bytes (end + 1, rest->size - piece.size - 1) : (adr_bytes_t){ NULL, 0 };
    return piece;
}

/* --- the canonical request ------------------------------------------------------------------------------------ */

typedef struct {
    size_t at, name_size, size; /* in the buffer: the encoded "name=value" */
    const uint8_t *base;
} encoded_t;

static int
s_compare_encoded (const void *a_, const void *b_)
{
    const encoded_t *a = a_, *b = b_;
    const uint8_t *at_a = a->base + a->at, *at_b = b->base + b->at;
    int order = adr_bytes_compare (adr_bytes (at_a, a->name_size), adr_bytes (at_b, b->name_size));
    if (order != 0)
        return order;
    return adr_bytes_compare (adr_bytes (at_a + a->name_size, a->size - a->name_size),
                              adr_bytes (at_b + b->name_size, b->size - b->name_size));
}

/* The query's parameters encoded anew, sorted by name and value; the signature itself is not part of what it signs. */
static void
s_add_query (adr_buffer_t *to, const adr_http_request_t *request)
{
    encoded_t part[ADR_HTTP_PARAMETERS_MAX];
    uint32_t count = 0;
    adr_buffer_t text = { 0 };
    for (uint32_t i = 0; i < request->parameter_count; i++) {
        const adr_http_field_t *field = &request->parameter[i];
        if (adr_http_text_equal (field->name, "X-Amz-Signature"))
            continue;
        encoded_t *one = &part[count++];
        one->at = text.size;
        adr_http_encode (&text, field->name, true);
        one->name_size = text.size - one->at;
        s_add (&text, "=");
        adr_http_encode (&text, field->value, true);
        one->size = text.size - one->at;
    }
    for (uint32_t i = 0; i < count; i++)
        part[i].base = text.data;
    qsort (part, count, sizeof *part, s_compare_encoded);
    for (uint32_t i = 0; i < count; i++) {
        if (i > 0)
            s_add (to, "&");
        adr_buffer_append (to, text.data + part[i].at, part[i].size);
    }
    adr_buffer_free (&text);
}

/* Blanks in a row count as one. */
static void
s_add_squeezed (adr_buffer_t *to, adr_bytes_t value)
{
    uint8_t *at = adr_buffer_grow (to, value.size), *start = at;
    bool blank = false;
    for (size_t i = 0; i < value.size; i++) {
        bool is_blank = value.data[i] == ' ' || value.data[i] == '\t';
        if (!is_blank || !blank)
            *at++ = is_blank ? ' ' : value.data[i];
        blank = is_blank;
    }
    to->size -= value.size - (size_t) (at - start);
}

static bool
s_same_name (adr_bytes_t a, adr_bytes_t b)
{
    return a.size == b.size && strncasecmp ((const char *) a.data, (const char *) b.data, a.size) == 0;
}

static void
s_add_headers (adr_buffer_t *to, const adr_http_request_t *request, adr_bytes_t signed_headers)
{
    while (signed_headers.data) {
        adr_bytes_t name = s_cut (&signed_headers, ';');
        s_add_bytes (to, name);
        s_add (to, ":");
        bool more = false;
        for (uint32_t i = 0; i < request->header_count; i++) {
            if (!s_same_name (request->header[i].name, name))
                continue;
            if (more)
                s_add (to, ",");
            s_add_squeezed (to, request->header[i].value);
            more = true;
        }
        s_add (to, "\n");
    }
}

void
adr_auth_canonical (adr_buffer_t *to, const adr_http_request_t *request, adr_bytes_t signed_headers,
                    adr_bytes_t payload)
{
    s_add (to, request->method);
    s_add (to, "\n");
    adr_http_encode (to, request->path, false);
    s_add (to, "\n");
    s_add_query (to, request);
    s_add (to, "\n");
    s_add_headers (to, request, signed_headers);
    s_add (to, "\n");
    s_add_bytes (to, signed_headers);
    s_add (to, "\n");
    s_add_bytes (to, payload);
}

/* --- signing -------------------------------------------------------------------------------------------------- */

void
adr_auth_signing_key (uint8_t key[32], const char *secret, adr_bytes_t day, const char *region)
{
    char first[4 + ADR_SECRET_KEY_MAX + 1];
    size_t size = (size_t) snprintf (first, sizeof first, "AWS4%s", secret);
    adr_assert (size < sizeof first);
    adr_hmac_sha256 (first, size, day.data, day.size, key);
    adr_hmac_sha256 (key, 32, region, strlen (region), key);
    adr_hmac_sha256 (key, 32, "s3", 2, key);
    adr_hmac_sha256 (key, 32, "aws4_request", 12, key);
    gnutls_memset (first, 0, sizeof first);
}

void
adr_auth_sign (const uint8_t key[32], adr_bytes_t text, char signature[ADR_SIGNATURE_TEXT])
{
    uint8_t mac[32];
    adr_hmac_sha256 (key, 32, text.data, text.size, mac);
    adr_hex_encode (signature, mac, sizeof mac);
}

static void
s_sign_request (const adr_http_request_t *request, const claim_t *claim, const char *secret, const char *region,
                adr_auth_result_t *result)
{
    adr_signing_t *signing = &result->signing;
    memcpy (signing->date, claim->date, sizeof signing->date);
    int size = snprintf (signing->scope, sizeof signing->scope, "%.8s/%s/s3/aws4_request", claim->date, region);
    adr_assert (size > 0 && (size_t) size < sizeof signing->scope);
    adr_auth_signing_key (signing->key, secret, claim->day, region);

    adr_buffer_t canonical = { 0 };
    adr_auth_canonical (&canonical, request, claim->signed_headers, result->payload);
    uint8_t hash[32];
    adr_sha256 (canonical.data, canonical.size, hash);
    adr_buffer_free (&canonical);

    char hash_text[65], text[512];
    adr_hex_encode (hash_text, hash, sizeof hash);
    size = snprintf (text, sizeof text, ALGORITHM "\n%s\n%s\n%s", signing->date, signing->scope, hash_text);
    adr_assert (size > 0 && (size_t) size < sizeof text);
    adr_auth_sign (signing->key, adr_bytes (text, (size_t) size), signing->signature);
}

/* --- the claim ------------------------------------------------------------------------------------------------ */

static bool
s_fail (adr_auth_result_t *result, adr_s3_error_t error, const char *reason)
{
    result->error = error;
    result->reason = reason;
    return false;
}

/* "20130524T000000Z" */
static bool
s_read_date (claim_t *claim, adr_bytes_t text)
{
    static const char s_shape[] = "ddddddddTddddddZ";
    if (text.size != 16)
        return false;
    for (size_t i = 0; i < 16; i++)
        if (s_shape[i] == 'd' ? text.data[i] < '0' || text.data[i] > '9' : text.data[i] != s_shape[i])
            return false;
    memcpy (claim->date, text.data, 16);
    claim->date[16] = '\0';
    struct tm tm = { 0 };
    if (sscanf (claim->date, "%4d%2d%2dT%2d%2d%2d", &tm.tm_year, &tm.tm_mon, &tm.tm_mday, &tm.tm_hour, &tm.tm_min,
                &tm.tm_sec)
        != 6)
        return false;
    if (tm.tm_mon < 1 || tm.tm_mon > 12 || tm.tm_mday < 1 || tm.tm_mday > 31 || tm.tm_hour > 23 || tm.tm_min > 59
        || tm.tm_sec > 60)
        return false;
    tm.tm_year -= 1900;
    tm.tm_mon -= 1;
    claim->seconds = (int64_t) timegm (&tm);
    return true;
}

/* A request without x-amz-date is dated by its Date header. */
static bool
s_read_http_date (claim_t *claim, adr_bytes_t text)
{
    if (!text.data || !adr_http_date_parse (&claim->seconds, text))
        return false;
    time_t time = (time_t) claim->seconds;
    struct tm tm;
    return gmtime_r (&time, &tm) && strftime (claim->date, sizeof claim->date, "%Y%m%dT%H%M%SZ", &tm) == 16;
}

/* ACCESSKEY/day/region/service/aws4_request; an access key may hold slashes, so the four are cut off from the end. */
static bool
s_read_credential (claim_t *claim, adr_bytes_t text)
{
    adr_bytes_t *const part[4] = { &claim->terminator, &claim->service, &claim->region, &claim->day };
    for (int i = 0; i < 4; i++) {
        const uint8_t *slash = text.data ? memrchr (text.data, '/', text.size) : NULL;
        if (!slash)
            return false;
        size_t before = (size_t) (slash - text.data);
        *part[i] = adr_bytes (slash + 1, text.size - before - 1);
        text.size = before;
    }
    claim->access_key = text;
    return text.size > 0;
}

static adr_bytes_t
s_trim (adr_bytes_t text)
{
    while (text.size > 0 && (*text.data == ' ' || *text.data == '\t')) {
        text.data++;
        text.size--;
    }
    while (text.size > 0 && (text.data[text.size - 1] == ' ' || text.data[text.size - 1] == '\t'))
        text.size--;
    return text;
}

static bool
s_claim_in_header (const adr_http_request_t *request, adr_bytes_t text, claim_t *claim, adr_auth_result_t *result)
{
    if (!adr_http_starts_with (text, ALGORITHM " ") && !adr_http_starts_with (text, ALGORITHM "\t"))
        return s_fail (result, ADR_S3_InvalidRequest,
                       "The authorization mechanism that you have provided is not supported. Please use "
                       ALGORITHM ".");
    adr_bytes_t rest = adr_bytes (text.data + strlen (ALGORITHM), text.size - strlen (ALGORITHM));
    bool credential = false;
    while (rest.data) {
        adr_bytes_t field = s_trim (s_cut (&rest, ',')), value = field;
        adr_bytes_t name = s_cut (&value, '=');
        if (adr_http_text_equal (name, "Credential") && !credential)
            credential = s_read_credential (claim, value);
        else if (adr_http_text_equal (name, "SignedHeaders") && !claim->signed_headers.data)
            claim->signed_headers = value;
        else if (adr_http_text_equal (name, "Signature") && !claim->signature.data)
            claim->signature = value;
        else
            return s_fail (result, ADR_S3_AuthorizationHeaderMalformed, NULL);
    }
    if (!credential || !claim->signed_headers.size || !claim->signature.size)
        return s_fail (result, ADR_S3_AuthorizationHeaderMalformed, NULL);
    adr_bytes_t date = adr_http_header (request, "x-amz-date");
    if (date.data ? !s_read_date (claim, date) : !s_read_http_date (claim, adr_http_header (request, "date")))
        return s_fail (result, ADR_S3_AccessDenied, "AWS authentication requires a valid Date or x-amz-date header.");
    result->payload = adr_http_header (request, "x-amz-content-sha256");
    if (!result->payload.data) {
        /* A request without a body needs no header to say that it has none. */
        adr_bytes_t length = adr_http_header (request, "content-length");
        if (adr_http_header (request, "transfer-encoding").data || (length.data && !adr_http_text_equal (length, "0")))
            return s_fail (result, ADR_S3_InvalidRequest,
                           "Missing required header for this request: x-amz-content-sha256");
        result->payload = adr_bytes (EMPTY_SHA256, 64);
    }
    return true;
}

static bool
s_claim_in_query (const adr_http_request_t *request, claim_t *claim, adr_auth_result_t *result)
{
    claim->presigned = result->presigned = true;
    claim->signed_headers = adr_http_parameter (request, "X-Amz-SignedHeaders");
    claim->signature = adr_http_parameter (request, "X-Amz-Signature");
    adr_bytes_t expires = adr_http_parameter (request, "X-Amz-Expires");
    if (!adr_http_text_equal (adr_http_parameter (request, "X-Amz-Algorithm"), ALGORITHM)
        || !s_read_credential (claim, adr_http_parameter (request, "X-Amz-Credential"))
        || !s_read_date (claim, adr_http_parameter (request, "X-Amz-Date")) || !claim->signed_headers.size
        || !claim->signature.size || !expires.data || !adr_http_number (&claim->expires_s, expires)
        || claim->expires_s < 1 || claim->expires_s > ADR_AUTH_EXPIRES_MAX)
        return s_fail (result, ADR_S3_AuthorizationQueryParametersError, NULL);
    result->payload = adr_http_header (request, "x-amz-content-sha256");
    if (!result->payload.data)
        result->payload = adr_bytes ("UNSIGNED-PAYLOAD", 16);
    return true;
}

/* Each name once: what is signed and what is used must be the same header or parameter. */
static bool
s_once (const adr_http_request_t *request, adr_auth_result_t *result)
{
    static const char *const s_headers[]
        = { "authorization", "host", "x-amz-date", "x-amz-content-sha256", "content-length", "x-amz-decoded-content-length" };
    for (size_t i = 0; i < sizeof s_headers / sizeof *s_headers; i++)
        if (adr_http_header_times (request, s_headers[i]) > 1)
            return s_fail (result, ADR_S3_InvalidArgument, "A header is repeated that may stand only once.");
    for (uint32_t i = 0; i < request->parameter_count; i++)
        for (uint32_t j = 0; j < i; j++)
            if (adr_bytes_equal (request->parameter[i].name, request->parameter[j].name))
                return s_fail (result, ADR_S3_InvalidArgument, "A query parameter is repeated.");
    return true;
}

static bool
s_read_claim (const adr_http_request_t *request, claim_t *claim, adr_auth_result_t *result)
{
    adr_bytes_t header = adr_http_header (request, "authorization");
    bool in_query = adr_http_parameter (request, "X-Amz-Algorithm").data
                    || adr_http_parameter (request, "X-Amz-Signature").data
                    || adr_http_parameter (request, "X-Amz-Credential").data;
    if (!header.data && !in_query)
        return s_fail (result, ADR_S3_AccessDenied, NULL);
    if (header.data && in_query)
        return s_fail (result, ADR_S3_InvalidArgument, "Only one authorization mechanism is allowed in a request.");
    if (!s_once (request, result))
        return false;
    return in_query ? s_claim_in_query (request, claim, result) : s_claim_in_header (request, header, claim, result);
}

/* --- verification --------------------------------------------------------------------------------------------- */

static bool
s_is_signed (adr_bytes_t list, adr_bytes_t name)
{
    while (list.data)
        if (s_same_name (s_cut (&list, ';'), name))
            return true;
    return false;
}

/* The list rises strictly (so no name stands twice), is lower case, and names the host and each x-amz- header that is
 * there: what is not signed could have been added by anybody. */
static bool
s_check_signed_headers (const adr_http_request_t *request, const claim_t *claim, adr_auth_result_t *result)
{
    adr_s3_error_t malformed = claim->presigned ? ADR_S3_AuthorizationQueryParametersError
                                                : ADR_S3_AuthorizationHeaderMalformed;
    adr_bytes_t list = claim->signed_headers, before = { NULL, 0 };
    while (list.data) {
        adr_bytes_t name = s_cut (&list, ';');
        for (size_t i = 0; i < name.size; i++)
            if (name.data[i] >= 'A' && name.data[i] <= 'Z')
                return s_fail (result, malformed, "The signed headers are not in lower case.");
        if (name.size == 0 || (before.data && adr_bytes_compare (before, name) >= 0))
            return s_fail (result, malformed, "The signed headers are not sorted.");
        before = name;
    }
    if (!s_is_signed (claim->signed_headers, adr_bytes ("host", 4)))
        return s_fail (result, ADR_S3_HeadersNotSigned, NULL);
    for (uint32_t i = 0; i < request->header_count; i++)
        if (adr_http_starts_with_case (request->header[i].name, "x-amz-")
            && !s_is_signed (claim->signed_headers, request->header[i].name))
            return s_fail (result, ADR_S3_HeadersNotSigned, NULL);
    return true;
}

static bool
s_check_scope (const claim_t *claim, const char *region, adr_auth_result_t *result)
{
    adr_s3_error_t malformed = claim->presigned ? ADR_S3_AuthorizationQueryParametersError
                                                : ADR_S3_AuthorizationHeaderMalformed;
    if (!adr_http_text_equal (claim->terminator, "aws4_request") || !adr_http_text_equal (claim->service, "s3"))
        return s_fail (result, malformed, "The credential's scope must end with s3/aws4_request.");
    if (!adr_http_text_equal (claim->region, region))
        return s_fail (result, malformed, "The credential's region is not the one of this cluster.");
    if (claim->day.size != 8 || memcmp (claim->day.data, claim->date, 8) != 0)
        return s_fail (result, malformed, "The credential's date is not the one of the request.");
    return true;
}

static bool
s_check_time (const claim_t *claim, int64_t now_ms, adr_auth_result_t *result)
{
    int64_t age_ms = now_ms - claim->seconds * 1000;
    if (claim->presigned) {
        if (age_ms < -ADR_AUTH_SKEW_MS)
            return s_fail (result, ADR_S3_AccessDenied, "The request is not yet valid.");
        if (age_ms > (int64_t) claim->expires_s * 1000)
            return s_fail (result, ADR_S3_AccessDenied, "Request has expired");
        return true;
    }
    if (age_ms > ADR_AUTH_SKEW_MS || age_ms < -ADR_AUTH_SKEW_MS)
        return s_fail (result, ADR_S3_RequestTimeTooSkewed, NULL);
    return true;
}

const adr_principal_t *
adr_authenticate (const adr_credentials_t *credentials, const char *region, const adr_http_request_t *request,
                  int64_t now_ms, adr_auth_result_t *result)
{
    memset (result, 0, sizeof *result);
    claim_t claim = { 0 };
    const adr_principal_t *principal;
    if (!s_read_claim (request, &claim, result) || !s_check_scope (&claim, region, result)
        || !s_check_time (&claim, now_ms, result) || !s_check_signed_headers (request, &claim, result))
        return NULL;
    const char *secret = adr_credentials_secret (credentials, claim.access_key, &principal);
    if (!secret) {
        result->error = ADR_S3_InvalidAccessKeyId;
        return NULL;
    }
    s_sign_request (request, &claim, secret, region, result);
    if (claim.signature.size != 64
        || !adr_equal_secret (claim.signature.data, result->signing.signature, 64)) {
        result->error = ADR_S3_SignatureDoesNotMatch;
        memset (&result->signing, 0, sizeof result->signing);
        return NULL;
    }
    return principal;
}
