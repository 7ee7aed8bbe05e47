/* SPDX-License-Identifier: MPL-2.0 */
/* Requests taken apart: see http.h. Pure: no library but libc's string and calendar functions. */

#include "edge/http.h"

#include <stdio.h>
#include <stdlib.h>
#include <strings.h>
#include <time.h>

static int
s_hex (uint8_t c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    if (c >= 'A' && c <= 'F')
        return c - 'A' + 10;
    return -1;
}

ssize_t
adr_http_decode (uint8_t *to, adr_bytes_t from, bool plus)
{
    size_t size = 0;
    for (size_t at = 0; at < from.size; at++) {
        uint8_t byte = from.data[at];
        if (byte == '%') {
            if (from.size - at < 3 || s_hex (from.data[at + 1]) < 0 || s_hex (from.data[at + 2]) < 0)
                return -1;
            byte = (uint8_t) (s_hex (from.data[at + 1]) << 4 | s_hex (from.data[at + 2]));
            at += 2;
        } else if (byte == '+' && plus)
            byte = ' ';
        to[size++] = byte;
    }
    return (ssize_t) size;
}

static bool
s_unreserved (uint8_t c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' || c == '.'
           || c == '_' || c == '~';
}

void
adr_http_encode (adr_buffer_t *to, adr_bytes_t from, bool slash)
{
    static const char s_digits[] = "0123456789ABCDEF";
    size_t before = to->size;
    uint8_t *at = adr_buffer_grow (to, from.size * 3);
    for (size_t i = 0; i < from.size; i++) {
        uint8_t c = from.data[i];
        if (s_unreserved (c) || (c == '/' && !slash))
            *at++ = c;
        else {
            *at++ = '%';
            *at++ = (uint8_t) s_digits[c >> 4];
            *at++ = (uint8_t) s_digits[c & 15];
        }
    }
    if (to->data)
        to->size = (size_t) (at - to->data);
    adr_assert (to->size >= before);
}

/* Cuts "http://authority" off a target in absolute form; a target in any other form stays. */
static adr_bytes_t
s_origin_form (adr_bytes_t target)
{
    size_t scheme = adr_http_starts_with_case (target, "http://")    ? 7
                    : adr_http_starts_with_case (target, "https://") ? 8
                                                                     : 0;
    if (scheme == 0)
        return target;
    const uint8_t *path = memchr (target.data + scheme, '/', target.size - scheme);
    if (!path)
        return (adr_bytes_t){ NULL, 0 };
    return adr_bytes (path, target.size - (size_t) (path - target.data));
}

/* Decodes one "name=value" into memory at `to`; returns the bytes that it took, or -1. */
static ssize_t
s_read_parameter (adr_http_field_t *field, adr_bytes_t text, uint8_t *to)
{
    const uint8_t *equals = memchr (text.data, '=', text.size);
    adr_bytes_t name = adr_bytes (text.data, equals ? (size_t) (equals - text.data) : text.size);
    adr_bytes_t value = adr_bytes (equals ? equals + 1 : text.data + text.size,
                                   equals ? text.size - name.size - 1 : 0);
    ssize_t name_size = adr_http_decode (to, name, true);
    if (name_size < 0)
        return -1;
    ssize_t value_size = adr_http_decode (to + name_size, value, true);
    if (value_size < 0)
        return -1;
    field->name = adr_bytes (to, (size_t) name_size);
    field->value = adr_bytes (to + name_size, (size_t) value_size);
    return name_size + value_size;
}

static bool
s_read_query (adr_http_request_t *self, uint8_t *to)
{
    adr_bytes_t rest = self->raw_query;
    while (rest.size > 0) {
        const uint8_t *end = memchr (rest.data, '&', rest.size);
        adr_bytes_t one = adr_bytes (rest.data, end ? (size_t) (end - rest.data) : rest.size);
        size_t step = end ? one.size + 1 : one.size;
        rest = adr_bytes (rest.data + step, rest.size - step);
        if (one.size == 0)
            continue;
        if (self->parameter_count == ADR_HTTP_PARAMETERS_MAX)
            return false;
        ssize_t took = s_read_parameter (&self->parameter[self->parameter_count], one, to);
        if (took < 0)
            return false;
        to += took;
        self->parameter_count++;
    }
    return true;
}

static bool
s_read_target (adr_http_request_t *self, adr_bytes_t target)
{
    if (target.size == 0 || target.data[0] != '/')
        return false;
    const uint8_t *mark = memchr (target.data, '?', target.size);
    self->raw_path = adr_bytes (target.data, mark ? (size_t) (mark - target.data) : target.size);
    if (mark)
        self->raw_query = adr_bytes (mark + 1, target.size - self->raw_path.size - 1);
    uint8_t *to = self->memory + ADR_HTTP_TARGET_MAX;
    ssize_t path_size = adr_http_decode (to, self->raw_path, false);
    if (path_size < 0)
        return false;
    self->path = adr_bytes (to, (size_t) path_size);
    return s_read_query (self, to + path_size);
}

void
adr_http_request_init (adr_http_request_t *self, const char *method, const void *target, size_t size)
{
    memset (self, 0, offsetof (adr_http_request_t, header));
    self->parameter_count = 0;
    self->memory = NULL;
    self->malformed = size > ADR_HTTP_TARGET_MAX;
    self->method = method;
    if (self->malformed)
        return;
    /* The raw target, then all of it decoded, which is never longer. */
    self->memory = adr_alloc (ADR_HTTP_TARGET_MAX + size);
    memcpy (self->memory, target, size);
    if (!s_read_target (self, s_origin_form (adr_bytes (self->memory, size)))) {
        self->raw_path = self->raw_query = self->path = (adr_bytes_t){ NULL, 0 };
        self->parameter_count = 0;
        self->malformed = true;
    }
}

void
adr_http_request_free (adr_http_request_t *self)
{
    free (self->memory);
    self->memory = NULL;
}

static bool
s_blank (uint8_t c)
{
    return c == ' ' || c == '\t';
}

/* RFC 9110's token. The library lets "Content-Length : 5" through, and does not know the length then: who stands before
 * us might, and would take the body for part of this request where we take it for the next. */
static bool
s_is_token (const uint8_t *name, size_t size)
{
    for (size_t i = 0; i < size; i++)
        if (!s_unreserved (name[i]) && (name[i] == 0 || !strchr ("!#$%&'*+^`|", name[i])))
            return false;
    return size > 0;
}

void
adr_http_request_add (adr_http_request_t *self, const void *name, size_t name_size, const void *value,
                      size_t value_size)
{
    if (self->header_count == ADR_HTTP_HEADERS_MAX || !s_is_token (name, name_size)) {
        self->malformed = true;
        return;
    }
    const uint8_t *data = value;
    while (value_size > 0 && s_blank (data[value_size - 1]))
        value_size--;
    while (value_size > 0 && s_blank (*data)) {
        data++;
        value_size--;
    }
    static const uint8_t s_nothing[1];
    self->header[self->header_count++]
        = (adr_http_field_t){ adr_bytes (name, name_size), adr_bytes (data ? data : s_nothing, value_size) };
}

adr_bytes_t
adr_http_header (const adr_http_request_t *self, const char *name)
{
    for (uint32_t i = 0; i < self->header_count; i++)
        if (adr_http_text_equal_case (self->header[i].name, name))
            return self->header[i].value;
    return (adr_bytes_t){ NULL, 0 };
}

uint32_t
adr_http_header_times (const adr_http_request_t *self, const char *name)
{
    uint32_t times = 0;
    for (uint32_t i = 0; i < self->header_count; i++)
        times += adr_http_text_equal_case (self->header[i].name, name);
    return times;
}

adr_bytes_t
adr_http_parameter (const adr_http_request_t *self, const char *name)
{
    for (uint32_t i = 0; i < self->parameter_count; i++)
        if (adr_http_text_equal (self->parameter[i].name, name))
            return self->parameter[i].value;
    return (adr_bytes_t){ NULL, 0 };
}

bool
adr_http_text_equal (adr_bytes_t value, const char *text)
{
    return value.data && value.size == strlen (text) && memcmp (value.data, text, value.size) == 0;
}

bool
adr_http_text_equal_case (adr_bytes_t value, const char *text)
{
    return value.data && value.size == strlen (text) && strncasecmp ((const char *) value.data, text, value.size) == 0;
}

bool
adr_http_starts_with (adr_bytes_t value, const char *text)
{
    size_t size = strlen (text);
    return value.size >= size && memcmp (value.data, text, size) == 0;
}

bool
adr_http_starts_with_case (adr_bytes_t value, const char *text)
{
    size_t size = strlen (text);
    return value.size >= size && strncasecmp ((const char *) value.data, text, size) == 0;
}

bool
adr_http_number (uint64_t *number, adr_bytes_t text)
{
    uint64_t value = 0;
    if (text.size == 0 || text.size > 19)
        return false;
    for (size_t i = 0; i < text.size; i++) {
        if (text.data[i] < '0' || text.data[i] > '9')
            return false;
        value = value * 10 + (uint64_t) (text.data[i] - '0');
    }
    if (value > INT64_MAX)
        return false;
    *number = value;
    return true;
}

/* How many bytes the character has that starts with `first`, and the range that its second byte must be in; 0 for a
 * byte that starts none. */
static size_t
s_utf8_shape (uint8_t first, uint8_t *low, uint8_t *high)
{
    *low = first == 0xe0 ? 0xa0 : first == 0xf0 ? 0x90 : 0x80;
    *high = first == 0xed ? 0x9f : first == 0xf4 ? 0x8f : 0xbf;
    if (first < 0x80)
        return 1;
    if (first >= 0xc2 && first <= 0xdf)
        return 2;
    if (first >= 0xe0 && first <= 0xef)
        return 3;
    return first >= 0xf0 && first <= 0xf4 ? 4 : 0;
}

bool
adr_http_utf8 (adr_bytes_t text)
{
    for (size_t at = 0; at < text.size;) {
        uint8_t low, high;
        size_t size = s_utf8_shape (text.data[at], &low, &high);
        if (size == 0 || text.size - at < size)
            return false;
        if (size > 1 && (text.data[at + 1] < low || text.data[at + 1] > high))
            return false;
        for (size_t i = 2; i < size; i++)
            if ((text.data[at + i] & 0xc0) != 0x80)
                return false;
        at += size;
    }
    return true;
}

static const char *const s_days[] = { "Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat" };
static const char *const s_months[]
    = { "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec" };

void
adr_http_date_format (char at[30], int64_t seconds)
{
    time_t time = (time_t) seconds;
    struct tm tm;
    if (!gmtime_r (&time, &tm) || tm.tm_year < -1900 || tm.tm_year > 8099)
        memset (&tm, 0, sizeof tm);
    char text[96];
    snprintf (text, sizeof text, "%s, %02d %s %04d %02d:%02d:%02d GMT", s_days[tm.tm_wday], tm.tm_mday,
              s_months[tm.tm_mon], tm.tm_year + 1900, tm.tm_hour, tm.tm_min, tm.tm_sec);
    memcpy (at, text, 29);
    at[29] = '\0';
}

static int
s_month (const char *name)
{
    for (int i = 0; i < 12; i++)
        if (strcasecmp (name, s_months[i]) == 0)
            return i;
    return -1;
}

bool
adr_http_date_parse (int64_t *seconds, adr_bytes_t text)
{
    char copy[64], month[4] = "";
    if (text.size == 0 || text.size >= sizeof copy)
        return false;
    memcpy (copy, text.data, text.size);
    copy[text.size] = '\0';
    struct tm tm = { 0 };
    if (sscanf (copy, "%*3[A-Za-z], %2d %3[A-Za-z] %4d %2d:%2d:%2d", &tm.tm_mday, month, &tm.tm_year, &tm.tm_hour,
                &tm.tm_min, &tm.tm_sec)
        == 6)
        tm.tm_year -= 1900;
    else if (sscanf (copy, "%*9[A-Za-z], %2d-%3[A-Za-z]-%2d %2d:%2d:%2d", &tm.tm_mday, month, &tm.tm_year,
                     &tm.tm_hour, &tm.tm_min, &tm.tm_sec)
             == 6)
        tm.tm_year += tm.tm_year < 70 ? 100 : 0;
    else if (sscanf (copy, "%*3[A-Za-z] %3[A-Za-z] %2d %2d:%2d:%2d %4d", month, &tm.tm_mday, &tm.tm_hour, &tm.tm_min,
                     &tm.tm_sec, &tm.tm_year)
             == 6)
        tm.tm_year -= 1900;
    else
        return false;
    tm.tm_mon = s_month (month);
    if (tm.tm_mon < 0 || tm.tm_mday < 1 || tm.tm_mday > 31 || tm.tm_hour < 0 || tm.tm_hour > 23 || tm.tm_min < 0
        || tm.tm_min > 59 || tm.tm_sec < 0 || tm.tm_sec > 60)
        return false;
    *seconds = (int64_t) timegm (&tm);
    return true;
}

adr_http_range_t
adr_http_range (adr_bytes_t header, uint64_t size, uint64_t *offset, uint64_t *length)
{
    *offset = 0;
    *length = size;
    if (!header.data || !adr_http_starts_with_case (header, "bytes="))
        return ADR_HTTP_RANGE_WHOLE;
    adr_bytes_t spec = adr_bytes (header.data + 6, header.size - 6);
    const uint8_t *dash = memchr (spec.data, '-', spec.size);
    if (!dash)
        return ADR_HTTP_RANGE_WHOLE;
    adr_bytes_t first_text = adr_bytes (spec.data, (size_t) (dash - spec.data));
    adr_bytes_t last_text = adr_bytes (dash + 1, spec.size - first_text.size - 1);
    uint64_t first = 0, last = 0;
    bool has_first = adr_http_number (&first, first_text), has_last = adr_http_number (&last, last_text);
    if ((first_text.size && !has_first) || (last_text.size && !has_last) || (!has_first && !has_last))
        return ADR_HTTP_RANGE_WHOLE;
    if (!has_first) { /* the last so many bytes */
        if (last == 0 || size == 0)
            return ADR_HTTP_RANGE_UNSATISFIABLE;
        *length = last < size ? last : size;
        *offset = size - *length;
        return ADR_HTTP_RANGE_PART;
    }
    if (has_last && last < first)
        return ADR_HTTP_RANGE_WHOLE;
    if (first >= size)
        return ADR_HTTP_RANGE_UNSATISFIABLE;
    *offset = first;
    *length = has_last && last < size - 1 ? last - first + 1 : size - first;
    return ADR_HTTP_RANGE_PART;
}
