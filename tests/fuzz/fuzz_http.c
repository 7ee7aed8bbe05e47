/* SPDX-License-Identifier: MPL-2.0 */
/* Any bytes as a request: the first line is the target, the others are headers. Taken apart, authenticated and made
 * canonical, against a second, naive canonicaliser of the query and path. */

#include "edge/auth.h"

#include <stdio.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput (const uint8_t *data, size_t size);

/* One byte after the other, nothing clever. */
static void
s_naive_encode (adr_buffer_t *to, adr_bytes_t text, bool slash)
{
    for (size_t i = 0; i < text.size; i++) {
        char code[4];
        uint8_t c = text.data[i];
        if ((c && strchr ("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~", c)) || (c == '/' && !slash))
            adr_buffer_append (to, &c, 1);
        else {
            snprintf (code, sizeof code, "%%%02X", c);
            adr_buffer_append (to, code, 3);
        }
    }
}

static int
s_compare (const void *a_, const void *b_)
{
    const adr_http_field_t *a = a_, *b = b_;
    adr_buffer_t left = { 0 }, right = { 0 };
    s_naive_encode (&left, a->name, true);
    s_naive_encode (&right, b->name, true);
    int order = adr_bytes_compare (adr_bytes (left.data, left.size), adr_bytes (right.data, right.size));
    if (order == 0) {
        adr_buffer_clear (&left);
        adr_buffer_clear (&right);
        s_naive_encode (&left, a->value, true);
        s_naive_encode (&right, b->value, true);
        order = adr_bytes_compare (adr_bytes (left.data, left.size), adr_bytes (right.data, right.size));
    }
    adr_buffer_free (&left);
    adr_buffer_free (&right);
    return order;
}

static void
s_naive_canonical (adr_buffer_t *to, const adr_http_request_t *request)
{
    adr_http_field_t sorted[ADR_HTTP_PARAMETERS_MAX];
    uint32_t count = 0;
    adr_buffer_append (to, "GET\n", 4);
    s_naive_encode (to, request->path, false);
    adr_buffer_append (to, "\n", 1);
    for (uint32_t i = 0; i < request->parameter_count; i++)
        if (!adr_http_text_equal (request->parameter[i].name, "X-Amz-Signature"))
            sorted[count++] = request->parameter[i];
    qsort (sorted, count, sizeof *sorted, s_compare);
    for (uint32_t i = 0; i < count; i++) {
        if (i)
            adr_buffer_append (to, "&", 1);
        s_naive_encode (to, sorted[i].name, true);
        adr_buffer_append (to, "=", 1);
        s_naive_encode (to, sorted[i].value, true);
    }
    adr_buffer_append (to, "\n", 1);
}

static void
s_compare_canonical (const adr_http_request_t *request)
{
    adr_buffer_t ours = { 0 }, naive = { 0 };
    adr_auth_canonical (&ours, request, adr_bytes ("host", 4), adr_bytes ("", 0));
    s_naive_canonical (&naive, request);
    adr_assert (ours.size >= naive.size && memcmp (ours.data, naive.data, naive.size) == 0);
    adr_buffer_free (&ours);
    adr_buffer_free (&naive);
}

static adr_bytes_t
s_line (adr_bytes_t *rest)
{
    const uint8_t *end = rest->size ? memchr (rest->data, '\n', rest->size) : NULL;
    adr_bytes_t line = adr_bytes (rest->data, end ? (size_t) (end - rest->data) : rest->size);
    size_t step = end ? line.size + 1 : line.size;
    *rest = adr_bytes (rest->data + step, rest->size - step);
    return line;
}

int
LLVMFuzzerTestOneInput (const uint8_t *data, size_t size)
{
    static adr_credentials_t *s_credentials;
    if (!s_credentials) {
        s_credentials = adr_credentials_new ();
        adr_assert (adr_credentials_add (s_credentials, "A", "secret", NULL));
    }
    adr_bytes_t rest = adr_bytes (data, size), line = s_line (&rest);
    adr_http_request_t request;
    adr_http_request_init (&request, "GET", line.data, line.size);
    while (rest.size > 0) {
        line = s_line (&rest);
        const uint8_t *colon = memchr (line.data, ':', line.size);
        size_t name = colon ? (size_t) (colon - line.data) : line.size;
        adr_http_request_add (&request, line.data, name, colon ? colon + 1 : line.data + line.size,
                              colon ? line.size - name - 1 : 0);
    }
    if (!request.malformed)
        s_compare_canonical (&request);
    adr_auth_result_t result;
    const adr_principal_t *who = adr_authenticate (s_credentials, "us-east-1", &request, INT64_C (1440938160000), &result);
    adr_assert ((who != NULL) == (result.error == ADR_S3_OK));
    uint64_t offset, length;
    (void) !adr_http_range (adr_http_header (&request, "range"), size, &offset, &length);
    adr_assert (offset <= size && length <= size - offset);
    int64_t seconds;
    (void) !adr_http_date_parse (&seconds, adr_http_header (&request, "date"));
    adr_http_request_free (&request);
    return 0;
}
