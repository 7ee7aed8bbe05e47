/* SPDX-License-Identifier: MPL-2.0 */
/* ListObjects, version 1 and 2: rows of table META under "bucket, 0, prefix", page by page. Behind a common prefix the
 * next page starts where the prefix ends, so that a folder of a million keys costs one step.
 *
 * Both a key and a common prefix are listed only if they stand behind the marker in byte order; so a marker that is, or
 * lies in, a common prefix skips all of it. */

#include "edge/s3_call.h"

#include <stdlib.h>

#define MAX_KEYS 1000
/* Decoded meta records of one page; a record's attributes are bounded, so this is never short for one row. */
#define ARENA_ROOM (16 * 1024)
#define ARENA_LIMIT (1024 * 1024)

typedef struct {
    bool version_2, url, fetch_owner;
    uint64_t max_keys;
    adr_bytes_t prefix, delimiter; /* lent by the request */
    adr_bytes_t marker;            /* as the client gave it; lent, or in `token` */
    uint8_t token[ADR_S3_KEY_MAX + 4];
    adr_bytes_t token_text;        /* the continuation token as it came */
    uint64_t count;
    bool truncated;
    bool asked;                    /* a page came; where none of them had a row, the bucket may be missing */
    adr_buffer_t last;             /* what was listed last: a key or a common prefix */
    bool last_is_prefix;
    adr_buffer_t scanned;          /* how far the rows were read: the last row's key */
    adr_buffer_t contents, prefixes;
    adr_arena_t arena;
} list_t;

static void
s_free (adr_s3_call_t *call)
{
    list_t *self = call->state;
    adr_buffer_free (&self->last);
    adr_buffer_free (&self->scanned);
    adr_buffer_free (&self->contents);
    adr_buffer_free (&self->prefixes);
    adr_arena_free (&self->arena);
    free (self);
}

/* --- the answer --------------------------------------------------------------------------------------------------- */

static void
s_add_key (list_t *self, adr_buffer_t *to, const char *name, adr_bytes_t key)
{
    if (!self->url) {
        adr_xml_bytes (to, name, key);
        return;
    }
    adr_xml_open (to, name);
    adr_http_encode (to, key, false);
    adr_xml_close (to, name);
}

static void
s_add_owner (adr_s3_call_t *call, adr_buffer_t *to)
{
    const char *owner = adr_principal_owner (call->who);
    adr_xml_open (to, "Owner");
    adr_xml_text (to, "ID", owner);
    adr_xml_text (to, "DisplayName", owner);
    adr_xml_close (to, "Owner");
}

static void
s_add_token (list_t *self, adr_buffer_t *to)
{
    adr_buffer_t text = { 0 };
    char *at = (char *) adr_buffer_grow (&text, (self->last.size + 2) / 3 * 4 + 1);
    adr_base64_encode (at, self->last.data, self->last.size);
    adr_xml_text (to, "NextContinuationToken", at);
    adr_buffer_free (&text);
}

static void
s_add_paging (list_t *self, adr_buffer_t *to)
{
    if (self->version_2) {
        adr_xml_number (to, "KeyCount", self->count);
        if (self->token_text.data)
            adr_xml_bytes (to, "ContinuationToken", self->token_text);
        else if (self->marker.size)
            s_add_key (self, to, "StartAfter", self->marker);
        if (self->truncated)
            s_add_token (self, to);
        return;
    }
    s_add_key (self, to, "Marker", self->marker);
    if (self->truncated && self->delimiter.size)
        s_add_key (self, to, "NextMarker", adr_bytes (self->last.data, self->last.size));
}

static void
s_finish (adr_s3_call_t *call)
{
    list_t *self = call->state;
    adr_buffer_t *to = &call->answer.body;
    adr_xml_begin (to, "ListBucketResult", true);
    adr_xml_text (to, "Name", call->bucket);
    s_add_key (self, to, "Prefix", self->prefix);
    adr_xml_number (to, "MaxKeys", self->max_keys);
    if (self->delimiter.size)
        s_add_key (self, to, "Delimiter", self->delimiter);
    if (self->url)
        adr_xml_text (to, "EncodingType", "url");
    adr_xml_bool (to, "IsTruncated", self->truncated);
    s_add_paging (self, to);
    if (self->contents.size)
        adr_buffer_append (to, self->contents.data, self->contents.size);
    if (self->prefixes.size)
        adr_buffer_append (to, self->prefixes.data, self->prefixes.size);
    adr_xml_close (to, "ListBucketResult");
    adr_s3_done_xml (call);
}

static void
s_finish_empty (adr_s3_call_t *call, adr_s3_error_t error)
{
    if (error == ADR_S3_OK)
        s_finish (call);
    else
        adr_s3_fail (call, error, NULL);
}

/* --- rows --------------------------------------------------------------------------------------------------------- */

/* The size of the common prefix that the key falls under; 0: none. */
static size_t
s_common (const list_t *self, adr_bytes_t key)
{
    if (self->delimiter.size == 0 || key.size < self->prefix.size)
        return 0;
    const uint8_t *from = key.data + self->prefix.size;
    const uint8_t *found = memmem (from, key.size - self->prefix.size, self->delimiter.data, self->delimiter.size);
    return found ? (size_t) (found - key.data) + self->delimiter.size : 0;
}

static void
s_set (adr_buffer_t *to, adr_bytes_t value)
{
    adr_buffer_clear (to);
    if (value.size)
        adr_buffer_append (to, value.data, value.size);
}

/* False if the page is full: there is more. */
static bool
s_count (list_t *self, adr_bytes_t what, bool is_prefix)
{
    if (self->count == self->max_keys) {
        self->truncated = true;
        return false;
    }
    self->count++;
    s_set (&self->last, what);
    self->last_is_prefix = is_prefix;
    return true;
}

static void
s_add_object (adr_s3_call_t *call, adr_bytes_t key, const adr_object_info_t *info, uint64_t time_ms)
{
    list_t *self = call->state;
    adr_buffer_t *to = &self->contents;
    char etag[sizeof info->etag + 2];
    size_t size = strnlen (info->etag, sizeof info->etag - 1);
    etag[0] = '"';
    memcpy (etag + 1, info->etag, size);
    memcpy (etag + 1 + size, "\"", 2);
    adr_xml_open (to, "Contents");
    s_add_key (self, to, "Key", key);
    adr_xml_time (to, "LastModified", info->modified_ms ? info->modified_ms : time_ms);
    adr_xml_text (to, "ETag", etag);
    adr_xml_number (to, "Size", info->size);
    if (!self->version_2 || self->fetch_owner)
        s_add_owner (call, to);
    adr_xml_text (to, "StorageClass", "STANDARD");
    adr_xml_close (to, "Contents");
}

/* False if the list is full. */
static bool
s_take_row (adr_s3_call_t *call, adr_bytes_t key, adr_bytes_t value, uint64_t time_ms)
{
    list_t *self = call->state;
    size_t common = s_common (self, key);
    if (common > 0) {
        adr_bytes_t prefix = adr_bytes (key.data, common);
        bool again = self->last_is_prefix && adr_bytes_equal (prefix, adr_bytes (self->last.data, self->last.size));
        if (again || adr_bytes_compare (prefix, self->marker) <= 0)
            return true;
        if (!s_count (self, prefix, true))
            return false;
        adr_xml_open (&self->prefixes, "CommonPrefixes");
        s_add_key (self, &self->prefixes, "Prefix", prefix);
        adr_xml_close (&self->prefixes, "CommonPrefixes");
        return true;
    }
    adr_object_info_t info;
    adr_arena_reset (&self->arena);
    if (!adr_meta_record_read (&info, value, &self->arena))
        return true; /* a layout of a later version: not ours to show */
    if (!s_count (self, key, false))
        return false;
    s_add_object (call, key, &info, time_ms);
    return true;
}

static void s_ask_page (adr_s3_call_t *call);

static void
s_on_page (void *argument, const adr_reply_t *reply)
{
    adr_s3_call_t *call = argument;
    if (!adr_s3_came (call, reply->status, ADR_S3_InternalError, ADR_S3_InternalError))
        return;
    list_t *self = call->state;
    adr_bytes_t rows = reply->value, key, value;
    adr_version_t version;
    uint64_t time_ms;
    size_t skip = strlen (call->bucket) + 1;
    bool full = false, some = false;
    while (!full && adr_list_row_next (&rows, &key, &value, &version, &time_ms)) {
        if (key.size < skip)
            continue;
        key = adr_bytes (key.data + skip, key.size - skip);
        full = !s_take_row (call, key, value, time_ms);
        s_set (&self->scanned, key);
        some = self->asked = true;
    }
    if (!full && reply->more && some)
        s_ask_page (call);
    else if (self->asked)
        s_finish (call);
    else
        adr_s3_check_bucket (call, s_finish_empty);
}

/* Where the next page starts: behind everything under the last common prefix, behind the last row, or behind the
 * marker. No key has a byte 0xff: keys are UTF-8. */
static size_t
s_after (adr_s3_call_t *call, uint8_t at[ADR_KEY_MAX])
{
    list_t *self = call->state;
    adr_bytes_t from = self->scanned.size ? adr_bytes (self->scanned.data, self->scanned.size) : self->marker;
    if (from.size > ADR_S3_KEY_MAX)
        from.size = ADR_S3_KEY_MAX; /* no key lies between the two */
    if (adr_bytes_compare (from, self->prefix) < 0)
        return 0;
    size_t common = from.size >= self->prefix.size && memcmp (from.data, self->prefix.data, self->prefix.size) == 0
                        ? s_common (self, from)
                        : 0;
    if (from.size == 0)
        return 0;
    size_t size = adr_meta_key (at, call->bucket, common ? adr_bytes (from.data, common) : from);
    if (common)
        at[size++] = 0xff;
    return size;
}

static void
s_ask_page (adr_s3_call_t *call)
{
    list_t *self = call->state;
    uint8_t prefix[ADR_KEY_MAX], after[ADR_KEY_MAX];
    size_t prefix_size = adr_meta_key (prefix, call->bucket, self->prefix), after_size = s_after (call, after);
    uint64_t rows = self->delimiter.size ? ADR_LIST_ROWS_MAX : self->max_keys - self->count + 1;
    adr_s3_ask (call);
    adr_session_list (call->s3->session, ADR_TABLE_META, adr_bytes (prefix, prefix_size),
                      adr_bytes (after, after_size), (uint32_t) (rows < ADR_LIST_ROWS_MAX ? rows : ADR_LIST_ROWS_MAX),
                      true, ADR__READ_MODE__STRONG, call->s3->settings.limit_ms, s_on_page, call);
}

/* --- the question --------------------------------------------------------------------------------------------------- */

static bool
s_refuse (adr_s3_call_t *call, const char *reason)
{
    adr_s3_fail (call, ADR_S3_InvalidArgument, reason);
    return false;
}

static adr_bytes_t
s_or_empty (adr_bytes_t value)
{
    return value.data ? value : adr_bytes ("", 0);
}

static bool
s_read_marker (adr_s3_call_t *call, list_t *self)
{
    const adr_http_request_t *request = &call->request;
    if (!self->version_2) {
        self->marker = s_or_empty (adr_http_parameter (request, "marker"));
        return true;
    }
    self->marker = s_or_empty (adr_http_parameter (request, "start-after"));
    self->token_text = adr_http_parameter (request, "continuation-token");
    if (!self->token_text.data)
        return true;
    ssize_t size = adr_base64_decode_some (self->token, sizeof self->token, self->token_text);
    if (size <= 0)
        return s_refuse (call, "The continuation token provided is incorrect");
    self->marker = adr_bytes (self->token, (size_t) size);
    return true;
}

static bool
s_read_question (adr_s3_call_t *call, list_t *self)
{
    const adr_http_request_t *request = &call->request;
    adr_bytes_t type = adr_http_parameter (request, "list-type"), max = adr_http_parameter (request, "max-keys");
    adr_bytes_t encoding = adr_http_parameter (request, "encoding-type");
    if (type.data && !adr_http_text_equal (type, "2"))
        return s_refuse (call, "Invalid list-type.");
    self->version_2 = type.data != NULL;
    self->prefix = s_or_empty (adr_http_parameter (request, "prefix"));
    self->delimiter = s_or_empty (adr_http_parameter (request, "delimiter"));
    self->max_keys = MAX_KEYS;
    if (max.data && max.size > 0 && (!adr_http_number (&self->max_keys, max) || self->max_keys > INT32_MAX))
        return s_refuse (call, "Provided max-keys not an integer or within integer range");
    if (self->max_keys > MAX_KEYS)
        self->max_keys = MAX_KEYS;
    self->url = adr_http_text_equal (encoding, "url");
    if (encoding.size > 0 && !self->url)
        return s_refuse (call, "Invalid Encoding Method specified in Request");
    self->fetch_owner = adr_http_text_equal (adr_http_parameter (request, "fetch-owner"), "true");
    return s_read_marker (call, self);
}

void
adr_s3_list_objects (adr_s3_call_t *call, const adr_principal_t *who)
{
    (void) who;
    list_t *self = adr_alloc (sizeof *self);
    adr_arena_init (&self->arena, ARENA_ROOM, ARENA_LIMIT);
    call->state = self;
    call->state_destroy = s_free;
    if (!s_read_question (call, self))
        return;
    /* No key is that long, or none is wanted, or the marker stands behind all that have the prefix. */
    bool behind = adr_bytes_compare (self->marker, self->prefix) > 0
                  && (self->marker.size < self->prefix.size
                      || memcmp (self->marker.data, self->prefix.data, self->prefix.size) != 0);
    if (self->prefix.size > ADR_S3_KEY_MAX || self->max_keys == 0 || behind)
        adr_s3_check_bucket (call, s_finish_empty);
    else
        s_ask_page (call);
}
