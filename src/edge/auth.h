/* SPDX-License-Identifier: MPL-2.0 */
/* The one authenticator of the HTTP edge: AWS Signature Version 4, in the Authorization header or in the query. A
 * verified principal comes from here and from nowhere else [DESIGN 11].
 *
 * Owns: nothing. Makes durable: nothing. Pure: the time comes in. */

#ifndef ADR_AUTH_H
#define ADR_AUTH_H

#include "edge/credentials.h"
#include "edge/http.h"
#include "edge/s3_error.h"

#define ADR_SIGNATURE_TEXT 65   /* 64 hexadecimal digits and the end */
#define ADR_AUTH_SCOPE_MAX 128  /* date/region/s3/aws4_request; a region has at most 63 characters */
#define ADR_AUTH_SKEW_MS INT64_C (900000)
#define ADR_AUTH_EXPIRES_MAX 604800 /* a presigned request lives at most seven days */
#define ADR_AUTH_REGION_MAX 63

/* What the signatures of a body's chunks go on from. The key signs nothing but requests of one day, region and key. */
typedef struct {
    uint8_t key[32];
    char date[17]; /* 20130524T000000Z */
    char scope[ADR_AUTH_SCOPE_MAX];
    char signature[ADR_SIGNATURE_TEXT];
} adr_signing_t;

/* What the request says of its payload: a hash in hexadecimal, or one of the forms of edge/payload.h. Lent by the
 * request, or a constant. */
typedef struct {
    adr_s3_error_t error;   /* ADR_S3_OK if the principal is verified */
    const char *reason;     /* for people, NULL for the error's own message; never a secret */
    adr_bytes_t payload;
    bool presigned;
    adr_signing_t signing;
} adr_auth_result_t;

/* Verifies the request's signature at wall time `now_ms`. NULL, and result->error, if there is none or it is wrong. */
const adr_principal_t *adr_authenticate (const adr_credentials_t *credentials, const char *region,
                                         const adr_http_request_t *request, int64_t now_ms,
                                         adr_auth_result_t *result);

/* Appends the canonical request. `signed_headers` is the list as the client gave it. */
void adr_auth_canonical (adr_buffer_t *to, const adr_http_request_t *request, adr_bytes_t signed_headers,
                         adr_bytes_t payload);
/* The signing key of a day ("20130524"), region and the service s3. */
void adr_auth_signing_key (uint8_t key[32], const char *secret, adr_bytes_t day, const char *region);
/* HMAC-SHA256 of the text in hexadecimal. */
void adr_auth_sign (const uint8_t key[32], adr_bytes_t text, char signature[ADR_SIGNATURE_TEXT]);

#endif
