/* SPDX-License-Identifier: MPL-2.0 */
/* An HTTP request as the edge sees it: method, target and headers, all raw bytes as they came. The path is split on
 * raw bytes and decoded once; the same key goes to signature, policy and store [DESIGN 11].
 *
 * Owns: a copy of the target, raw and decoded. Borrows: header names and values, until the request ends. Makes
 * durable: nothing. Total: any bytes are answered, nothing grows beyond the limits below. */

#ifndef ADR_HTTP_H
#define ADR_HTTP_H

#include "core/base.h"
#include "core/bytes.h"

#include <sys/types.h>

/* A key of 1,024 bytes with each one escaped, a bucket, and a generous query. */
#define ADR_HTTP_TARGET_MAX (16 * 1024)
/* S3's largest requests carry some forty; user metadata is 2 KiB. */
#define ADR_HTTP_HEADERS_MAX 128
/* The largest query that a client of S3 makes has about twenty. */
#define ADR_HTTP_PARAMETERS_MAX 64

typedef struct {
    adr_bytes_t name;
    adr_bytes_t value;
} adr_http_field_t;

typedef struct {
    const char *method;          /* lent */
    adr_bytes_t raw_path;        /* starts with '/' */
    adr_bytes_t raw_query;       /* without the '?' */
    adr_bytes_t path;            /* raw_path, decoded once */
    uint32_t header_count;       /* names in any case, values without blanks around them */
    adr_http_field_t header[ADR_HTTP_HEADERS_MAX];
    uint32_t parameter_count;    /* of the query, decoded, in the order in which they came */
    adr_http_field_t parameter[ADR_HTTP_PARAMETERS_MAX];
    uint8_t *memory;
    bool malformed;              /* the target or a header's name is none, or there was too much of something */
} adr_http_request_t;

/* Reads the target of a request line (copied; at most ADR_HTTP_TARGET_MAX bytes). Nonsense sets `malformed`, and
 * leaves path and query empty. `method` is lent until the request is freed. */
void adr_http_request_init (adr_http_request_t *self, const char *method, const void *target, size_t size);
void adr_http_request_free (adr_http_request_t *self);

/* Adds a header, whose bytes are lent; trims the value. Sets `malformed`, and drops it, where there are too
 * many or its name is none. */
void adr_http_request_add (adr_http_request_t *self, const void *name, size_t name_size, const void *value,
                           size_t value_size);

/* The first value of the header, in any case of its name; `data` is NULL where there is none. */
adr_bytes_t adr_http_header (const adr_http_request_t *self, const char *name);
/* How many headers have this name. */
uint32_t adr_http_header_times (const adr_http_request_t *self, const char *name);
/* The first value of the query's parameter (names are case-sensitive); `data` is NULL where there is none. */
adr_bytes_t adr_http_parameter (const adr_http_request_t *self, const char *name);

/* The path from byte `raw_from` on, decoded: [raw_from, end) of raw_path must begin at a '/' or behind one. */
bool adr_http_text_equal (adr_bytes_t value, const char *text);
/* ASCII without regard to case. */
bool adr_http_text_equal_case (adr_bytes_t value, const char *text);
bool adr_http_starts_with (adr_bytes_t value, const char *text);
bool adr_http_starts_with_case (adr_bytes_t value, const char *text);

/* Decodes %XX, and '+' as a blank if `plus`; `to` has room for `from.size` bytes (it may be the same place). Returns
 * the decoded size, or -1 for a bad escape. */
ADR_WARN_UNUSED ssize_t adr_http_decode (uint8_t *to, adr_bytes_t from, bool plus);
/* Appends the bytes with all but A-Z a-z 0-9 - . _ ~ (and '/' unless `slash`) as %XX in capitals. */
void adr_http_encode (adr_buffer_t *to, adr_bytes_t from, bool slash);

/* A decimal number without sign; false for anything else, and beyond 2^63 - 1. */
ADR_WARN_UNUSED bool adr_http_number (uint64_t *number, adr_bytes_t text);
/* True if the bytes are well-formed UTF-8 (no surrogates, no overlong forms). */
ADR_WARN_UNUSED bool adr_http_utf8 (adr_bytes_t text);

/* "Sun, 06 Nov 1994 08:49:37 GMT"; room of 30 bytes. */
void adr_http_date_format (char at[30], int64_t seconds);
/* That form and the two older ones of RFC 9110. */
ADR_WARN_UNUSED bool adr_http_date_parse (int64_t *seconds, adr_bytes_t text);

/* The bytes of a range header that a body of `size` bytes has. */
typedef enum {
    ADR_HTTP_RANGE_WHOLE,        /* no range, several, or nonsense: all of it, status 200 */
    ADR_HTTP_RANGE_PART,         /* [*offset, *offset + *length), status 206 */
    ADR_HTTP_RANGE_UNSATISFIABLE /* status 416 */
} adr_http_range_t;

adr_http_range_t adr_http_range (adr_bytes_t header, uint64_t size, uint64_t *offset, uint64_t *length);

#endif
