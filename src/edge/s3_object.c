/* SPDX-License-Identifier: MPL-2.0 */
/* Objects: put, get, head, delete, over client/object.h.
 *
 * PutObject streams into a writer in constant memory. Nothing of it is visible before its body is whole and every digest
 * and signature of it holds; what fails earlier is given up.
 *
 *     begin: headers, bucket there? (, If-Match: which version?) --> body --> end --> (both questions answered) commit
 *     --> bucket still there? --> 200        (s3_bucket.c says why it is asked twice)
 *
 * GetObject: the meta record, the conditions, the range, then a reader. */

#include "edge/s3_call.h"

#include <gnutls/crypto.h>
#include <gnutls/gnutls.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>

/* Headers of a put that are kept, and given back by a get. */
static const char *const s_kept[]
    = { "cache-control", "content-disposition", "content-encoding", "content-language", "content-type", "expires" };
#define KEPT (sizeof s_kept / sizeof *s_kept)
#define DEFAULT_TYPE "binary/octet-stream"

/* Headers that ask for what there is not yet: refused, rather than ignored. */
static const char *const s_unsupported[] = { "x-amz-copy-source",
                                             "x-amz-grant-",
                                             "x-amz-object-lock-",
                                             "x-amz-server-side-encryption",
                                             "x-amz-tagging",
                                             "x-amz-website-redirect-location",
                                             "x-amz-write-offset-bytes" };
#define UNSUPPORTED (sizeof s_unsupported / sizeof *s_unsupported)

static bool
s_take_transfer (adr_s3_call_t *call)
{
    adr_s3_t *s3 = call->s3;
    if (s3->transfers >= s3->settings.transfers_max) {
        adr_s3_fail (call, ADR_S3_SlowDown, NULL);
        return false;
    }
    s3->transfers++;
    return true;
}

static bool
s_check_supported (adr_s3_call_t *call)
{
    const adr_http_request_t *request = &call->request;
    for (uint32_t i = 0; i < request->header_count; i++)
        for (size_t j = 0; j < UNSUPPORTED; j++)
            if (adr_http_starts_with_case (request->header[i].name, s_unsupported[j])) {
                adr_s3_fail (call, ADR_S3_NotImplemented, NULL);
                return false;
            }
    adr_bytes_t class = adr_http_header (request, "x-amz-storage-class");
    if (class.data && !adr_http_text_equal (class, "STANDARD")) {
        adr_s3_fail (call, ADR_S3_InvalidStorageClass, NULL);
        return false;
    }
    adr_bytes_t acl = adr_http_header (request, "x-amz-acl");
    if (acl.data && !adr_http_text_equal (acl, "private") && !adr_http_text_equal (acl, "bucket-owner-full-control")) {
        adr_s3_fail (call, ADR_S3_NotImplemented, NULL);
        return false;
    }
    return true;
}

/* --- entity tags ---------------------------------------------------------------------------------------------------- */

/* True if the list of entity tags in an If-Match or If-None-Match header names this one, or is "*". */
static bool
s_etag_listed (adr_bytes_t list, const char *etag)
{
    while (list.size > 0) {
        const uint8_t *comma = memchr (list.data, ',', list.size);
        adr_bytes_t one = adr_bytes (list.data, comma ? (size_t) (comma - list.data) : list.size);
        size_t step = one.size + (comma ? 1 : 0);
        list = adr_bytes (list.data + step, list.size - step);
        while (one.size > 0 && (one.data[0] == ' ' || one.data[0] == '\t'))
            one = adr_bytes (one.data + 1, one.size - 1);
        while (one.size > 0 && (one.data[one.size - 1] == ' ' || one.data[one.size - 1] == '\t'))
            one.size--;
        if (adr_http_starts_with (one, "W/"))
            one = adr_bytes (one.data + 2, one.size - 2);
        if (one.size >= 2 && one.data[0] == '"' && one.data[one.size - 1] == '"')
            one = adr_bytes (one.data + 1, one.size - 2);
        if (adr_http_text_equal (one, "*") || adr_http_text_equal (one, etag))
            return true;
    }
    return false;
}

static void
s_quote (const char *etag, char at[96])
{
    snprintf (at, 96, "\"%.80s\"", etag);
}

/* --- PutObject ------------------------------------------------------------------------------------------------------ */

typedef struct {
    adr_object_writer_t *writer;
    bool transfer;           /* counted in s3->transfers */
    bool ended;              /* the body is whole and verified */
    unsigned questions;      /* bucket, If-Match: answers that the commit waits for */
    Adr__Condition condition;
    adr_version_t version;   /* of what If-Match names; after the commit, of what was put */
    char etag[33];
    /* Attributes while they are gathered. */
    adr_attribute_t attribute[ADR_OBJECT_ATTRIBUTES_MAX];
    uint32_t attribute_count;
    adr_buffer_t texts;
    size_t user_size;
} put_t;

static void
s_put_free (adr_s3_call_t *call)
{
    put_t *self = call->state;
    adr_object_writer_abort (&self->writer);
    call->s3->transfers -= self->transfer;
    adr_buffer_free (&self->texts);
    free (self);
}

/* Attributes are gathered as offsets first: the buffer moves while it grows. */
typedef struct {
    size_t name, value;
} place_t;

static bool
s_add_attribute (put_t *self, place_t *place, adr_bytes_t name, adr_bytes_t value)
{
    if (self->attribute_count == ADR_OBJECT_ATTRIBUTES_MAX || memchr (name.data, 0, name.size)
        || (value.size && memchr (value.data, 0, value.size)))
        return false;
    place[self->attribute_count].name = self->texts.size;
    uint8_t *at = adr_buffer_grow (&self->texts, name.size + 1);
    for (size_t i = 0; i < name.size; i++)
        at[i] = name.data[i] >= 'A' && name.data[i] <= 'Z' ? (uint8_t) (name.data[i] | 0x20) : name.data[i];
    at[name.size] = 0;
    place[self->attribute_count].value = self->texts.size;
    adr_buffer_append (&self->texts, value.data, value.size);
    adr_buffer_append (&self->texts, "", 1);
    self->attribute_count++;
    return true;
}

/* "aws-chunked" says how the body came, and is no property of the object. */
static adr_bytes_t
s_without_chunked (adr_bytes_t value)
{
    static const char s_token[] = "aws-chunked";
    size_t size = strlen (s_token);
    if (adr_http_starts_with_case (value, s_token) && (value.size == size || value.data[size] == ',')) {
        size_t skip = value.size == size ? size : size + 1;
        value = adr_bytes (value.data + skip, value.size - skip);
        while (value.size > 0 && value.data[0] == ' ')
            value = adr_bytes (value.data + 1, value.size - 1);
    } else if (value.size > size + 1
               && adr_http_text_equal_case (adr_bytes (value.data + value.size - size, size), s_token)) {
        value.size -= size;
        while (value.size > 0 && (value.data[value.size - 1] == ' ' || value.data[value.size - 1] == ','))
            value.size--;
    }
    return value;
}

static bool
s_is_kept (adr_bytes_t name)
{
    for (size_t i = 0; i < KEPT; i++)
        if (adr_http_text_equal_case (name, s_kept[i]))
            return true;
    return adr_http_starts_with_case (name, "x-amz-checksum-");
}

static bool
s_gather (adr_s3_call_t *call, put_t *self, place_t *place)
{
    for (uint32_t i = 0; i < call->request.header_count; i++) {
        adr_bytes_t name = call->request.header[i].name, value = call->request.header[i].value;
        bool user = adr_http_starts_with_case (name, "x-amz-meta-");
        if (!user && !s_is_kept (name))
            continue;
        if (adr_http_text_equal_case (name, "content-encoding"))
            value = s_without_chunked (value);
        if (!user && value.size == 0)
            continue;
        if (user)
            self->user_size += name.size - strlen ("x-amz-meta-") + value.size;
        if (!s_add_attribute (self, place, name, value))
            return false;
    }
    return self->user_size <= ADR_S3_USER_METADATA_MAX && self->texts.size <= ADR_USER_METADATA_MAX;
}

static bool
s_gather_attributes (adr_s3_call_t *call, put_t *self)
{
    place_t place[ADR_OBJECT_ATTRIBUTES_MAX];
    if (!s_gather (call, self, place)) {
        adr_s3_fail (call, ADR_S3_MetadataTooLarge, NULL);
        return false;
    }
    for (uint32_t i = 0; i < self->attribute_count; i++)
        self->attribute[i] = (adr_attribute_t){ (const char *) self->texts.data + place[i].name,
                                                (const char *) self->texts.data + place[i].value };
    return true;
}

static bool
s_check_length (adr_s3_call_t *call)
{
    uint64_t length = adr_payload_length (call->payload);
    if (length == ADR_PAYLOAD_LENGTH_UNKNOWN && adr_payload_form (call->payload) < ADR_PAYLOAD_STREAMING_SIGNED) {
        adr_s3_fail (call, ADR_S3_MissingContentLength, NULL);
        return false;
    }
    bool said = adr_http_header (&call->request, "content-length").data
                || adr_http_header (&call->request, "transfer-encoding").data;
    if (!said) {
        adr_s3_fail (call, ADR_S3_MissingContentLength, NULL);
        return false;
    }
    if (length != ADR_PAYLOAD_LENGTH_UNKNOWN && length > (uint64_t) ADR_S3_PUT_MAX) {
        adr_s3_fail (call, ADR_S3_EntityTooLarge, NULL);
        return false;
    }
    return true;
}

static bool
s_read_put_condition (adr_s3_call_t *call, put_t *self)
{
    adr_bytes_t none = adr_http_header (&call->request, "if-none-match");
    adr_bytes_t match = adr_http_header (&call->request, "if-match");
    self->condition = ADR__CONDITION__ALWAYS;
    if (none.data && (!adr_http_text_equal (none, "*") || match.data)) {
        adr_s3_fail (call, ADR_S3_NotImplemented, NULL);
        return false;
    }
    if (none.data)
        self->condition = ADR__CONDITION__ABSENT;
    return true;
}

static void s_commit (adr_s3_call_t *call);

static void
s_on_writer (void *argument, adr_status_t status, const char *text)
{
    adr_s3_call_t *call = argument;
    (void) text;
    if (status != ADR_STATUS_OK)
        adr_s3_fail (call, adr_s3_error_of (status, ADR_S3_InternalError, ADR_S3_InternalError), NULL);
    adr_s3_wake (call);
}

static void
s_put_bucket_known (adr_s3_call_t *call, adr_s3_error_t error)
{
    put_t *self = call->state;
    self->questions--;
    call->holds = false;
    if (error != ADR_S3_OK)
        adr_s3_fail (call, error, NULL);
    else
        s_commit (call);
    adr_s3_wake (call);
}

/* What If-Match names must be what is there; the commit then holds for this very version. */
static void
s_on_matched (void *argument, adr_status_t status, const char *text, const adr_object_info_t *info)
{
    adr_s3_call_t *call = argument;
    (void) text;
    if (!adr_s3_came (call, status, ADR_S3_NoSuchKey, ADR_S3_InternalError))
        return;
    put_t *self = call->state;
    self->questions--;
    if (!s_etag_listed (adr_http_header (&call->request, "if-match"), info->etag)) {
        adr_s3_fail (call, ADR_S3_PreconditionFailed, NULL);
        return;
    }
    self->condition = ADR__CONDITION__VERSION;
    self->version = info->version;
    s_commit (call);
}

void
adr_s3_put_object_begin (adr_s3_call_t *call, const adr_principal_t *who)
{
    (void) who;
    put_t *self = adr_alloc (sizeof *self);
    call->state = self;
    call->state_destroy = s_put_free;
    if (!s_check_supported (call) || !s_check_length (call) || !s_gather_attributes (call, self)
        || !s_read_put_condition (call, self) || !(self->transfer = s_take_transfer (call)))
        return;
    adr_id_t id;
    int rc = gnutls_rnd (GNUTLS_RND_RANDOM, id.bytes, sizeof id.bytes);
    adr_assert (rc == 0);
    self->writer = adr_object_writer_new (call->s3->session, call->bucket, call->key, &id, self->attribute,
                                          self->attribute_count, s_on_writer, call);
    self->questions = 1;
    call->holds = true;
    if (adr_http_header (&call->request, "if-match").data) {
        self->questions++;
        adr_s3_ask (call);
        adr_object_describe (call->s3->session, call->bucket, call->key, s_on_matched, call);
    }
    adr_s3_check_bucket (call, s_put_bucket_known);
}

size_t
adr_s3_put_object_take (adr_s3_call_t *call, adr_bytes_t content)
{
    put_t *self = call->state;
    return adr_object_writer_write (self->writer, content.data, content.size);
}

/* --- its commit ------------------------------------------------------------------------------------------------------- */

static void
s_put_answer (adr_s3_call_t *call)
{
    put_t *self = call->state;
    char etag[96];
    const char *name, *value;
    s_quote (self->etag, etag);
    adr_s3_header (call, "ETag", etag);
    if (adr_payload_checksum (call->payload, &name, &value))
        adr_s3_header (call, name, value);
    adr_s3_done (call, 200);
}

/* The bucket went while the object came: the object goes, too. */
static void
s_on_taken_back (void *argument, adr_status_t status, const char *text, const adr_object_info_t *info)
{
    adr_s3_call_t *call = argument;
    (void) text;
    (void) info;
    if (!adr_s3_back (call))
        return;
    bool gone = status == ADR_STATUS_OK || status == ADR_STATUS_NOT_FOUND || status == ADR_STATUS_CONFLICT;
    adr_s3_fail (call, gone ? ADR_S3_NoSuchBucket : ADR_S3_OutcomeUnknown, NULL);
}

static void
s_put_bucket_still (adr_s3_call_t *call, adr_s3_error_t error)
{
    put_t *self = call->state;
    if (error == ADR_S3_OK)
        s_put_answer (call);
    else if (error == ADR_S3_NoSuchBucket) {
        adr_s3_ask (call);
        adr_object_remove (call->s3->session, call->bucket, call->key, ADR__CONDITION__VERSION, &self->version,
                           s_on_taken_back, call);
    } else
        adr_s3_fail (call, ADR_S3_OutcomeUnknown, NULL);
}

static void
s_on_put (void *argument, adr_status_t status, const char *text, const adr_object_info_t *info)
{
    adr_s3_call_t *call = argument;
    (void) text;
    if (!adr_s3_came (call, status, ADR_S3_InternalError, ADR_S3_PreconditionFailed))
        return;
    put_t *self = call->state;
    self->version = info->version;
    adr_s3_check_bucket (call, s_put_bucket_still);
}

/* Once the body is whole, the bucket is known to be there, and so is what If-Match names. */
static void
s_commit (adr_s3_call_t *call)
{
    put_t *self = call->state;
    if (!self->ended || self->questions > 0 || call->answered || !self->writer)
        return;
    adr_object_writer_t *writer = self->writer;
    self->writer = NULL; /* it ends by itself from here on */
    adr_s3_ask (call);
    adr_object_writer_end (writer, self->etag, call->now_ms, self->condition,
                           self->condition == ADR__CONDITION__VERSION ? &self->version : NULL, s_on_put, call);
}

void
adr_s3_put_object_end (adr_s3_call_t *call, const adr_principal_t *who)
{
    (void) who;
    put_t *self = call->state;
    snprintf (self->etag, sizeof self->etag, "%s", adr_payload_etag (call->payload));
    self->ended = true;
    s_commit (call);
}

/* --- GetObject, HeadObject --------------------------------------------------------------------------------------------- */

typedef struct {
    adr_object_reader_t *reader;
    uint64_t left;
    bool transfer;
} get_t;

static void
s_get_free (adr_s3_call_t *call)
{
    get_t *self = call->state;
    adr_object_reader_destroy (&self->reader);
    call->s3->transfers -= self->transfer;
    free (self);
}

static ssize_t
s_get_read (adr_s3_call_t *call, void *data, size_t room)
{
    get_t *self = call->state;
    if (self->left == 0)
        return -2;
    if (room > self->left)
        room = (size_t) self->left;
    ssize_t got = adr_object_reader_read (self->reader, data, room);
    if (got > 0)
        self->left -= (uint64_t) got;
    return got;
}

static void
s_on_reader (void *argument, adr_status_t status, const char *text)
{
    (void) status; /* adr_object_reader_read says it, too */
    (void) text;
    adr_s3_wake (argument);
}

/* RFC 9110's order. NotModified and PreconditionFailed, or OK. */
static adr_s3_error_t
s_check_conditions (const adr_s3_call_t *call, const adr_object_info_t *info)
{
    adr_bytes_t match = adr_http_header (&call->request, "if-match");
    adr_bytes_t none = adr_http_header (&call->request, "if-none-match");
    adr_bytes_t since = adr_http_header (&call->request, "if-modified-since");
    adr_bytes_t until = adr_http_header (&call->request, "if-unmodified-since");
    int64_t modified = (int64_t) (info->modified_ms / 1000), seconds;
    if (match.data) {
        if (!s_etag_listed (match, info->etag))
            return ADR_S3_PreconditionFailed;
    } else if (until.data && adr_http_date_parse (&seconds, until) && modified > seconds)
        return ADR_S3_PreconditionFailed;
    if (none.data) {
        if (s_etag_listed (none, info->etag))
            return ADR_S3_NotModified;
    } else if (since.data && adr_http_date_parse (&seconds, since) && modified <= seconds)
        return ADR_S3_NotModified;
    return ADR_S3_OK;
}

/* A query's response-... parameter stands for a header that was stored. */
static bool
s_override (adr_s3_call_t *call, const char *name)
{
    char parameter[48], value[1024];
    snprintf (parameter, sizeof parameter, "response-%s", name);
    adr_bytes_t given = adr_http_parameter (&call->request, parameter);
    if (!given.data || given.size >= sizeof value)
        return false;
    for (size_t i = 0; i < given.size; i++)
        if (given.data[i] < 0x20 || given.data[i] == 0x7f)
            return false; /* no client writes a header of its own into an answer */
    memcpy (value, given.data, given.size);
    value[given.size] = '\0';
    adr_s3_header (call, name, value);
    return true;
}

static void
s_add_attributes (adr_s3_call_t *call, const adr_object_info_t *info, bool whole)
{
    bool type = false;
    bool checksums = whole && adr_http_text_equal_case (adr_http_header (&call->request, "x-amz-checksum-mode"),
                                                        "ENABLED");
    for (size_t i = 0; i < KEPT; i++)
        if (s_override (call, s_kept[i]))
            type |= strcmp (s_kept[i], "content-type") == 0;
    for (uint32_t i = 0; i < info->attribute_count; i++) {
        const char *name = info->attribute[i].name, *value = info->attribute[i].value;
        char parameter[48];
        snprintf (parameter, sizeof parameter, "response-%.32s", name);
        if (adr_http_parameter (&call->request, parameter).data)
            continue;
        if (strncmp (name, "x-amz-checksum-", 15) == 0 && !checksums)
            continue;
        type |= strcmp (name, "content-type") == 0;
        adr_s3_header (call, name, value);
    }
    if (!type)
        adr_s3_header (call, "content-type", DEFAULT_TYPE);
}

static void
s_add_validators (adr_s3_call_t *call, const adr_object_info_t *info)
{
    char etag[96], date[30];
    s_quote (info->etag, etag);
    adr_http_date_format (date, (int64_t) (info->modified_ms / 1000));
    adr_s3_header (call, "ETag", etag);
    adr_s3_header (call, "Last-Modified", date);
}

/* The range of the request, or the whole; false if it was answered with an error. */
static bool
s_find_range (adr_s3_call_t *call, const adr_object_info_t *info, uint64_t *offset, uint64_t *length, bool *part)
{
    char text[96];
    adr_bytes_t header = adr_http_header (&call->request, "range"), only = adr_http_header (&call->request, "if-range");
    int64_t seconds;
    bool stale = only.data
                 && (only.size && only.data[0] == '"'
                         ? !s_etag_listed (only, info->etag)
                         : !adr_http_date_parse (&seconds, only) || (int64_t) (info->modified_ms / 1000) > seconds);
    if (stale)
        header.data = NULL;
    adr_http_range_t range = adr_http_range (header, info->size, offset, length);
    *part = range == ADR_HTTP_RANGE_PART;
    if (range == ADR_HTTP_RANGE_UNSATISFIABLE) {
        snprintf (text, sizeof text, "bytes */%llu", (unsigned long long) info->size);
        adr_s3_header (call, "Content-Range", text);
        adr_s3_fail (call, ADR_S3_InvalidRange, NULL);
        return false;
    }
    if (*part) {
        snprintf (text, sizeof text, "bytes %llu-%llu/%llu", (unsigned long long) *offset,
                  (unsigned long long) (*offset + *length - 1), (unsigned long long) info->size);
        adr_s3_header (call, "Content-Range", text);
    }
    return true;
}

static void
s_give (adr_s3_call_t *call, const adr_object_info_t *info)
{
    get_t *self = call->state;
    adr_s3_error_t error = s_check_conditions (call, info);
    uint64_t offset, length;
    bool part;
    if (error != ADR_S3_OK) {
        if (error == ADR_S3_NotModified)
            s_add_validators (call, info);
        adr_s3_fail (call, error, NULL);
        return;
    }
    if (!s_find_range (call, info, &offset, &length, &part))
        return;
    s_add_validators (call, info);
    s_add_attributes (call, info, !part);
    adr_s3_header (call, "Accept-Ranges", "bytes");
    if (strcmp (call->request.method, "HEAD") != 0 && length > 0) {
        self->left = length;
        self->reader = adr_object_reader_new (call->s3->session, info, offset, length, s_on_reader, call);
    }
    adr_s3_done_stream (call, part ? 206 : 200, length);
}

static void
s_missing (adr_s3_call_t *call, adr_s3_error_t error)
{
    adr_s3_fail (call, error == ADR_S3_OK ? ADR_S3_NoSuchKey : error, NULL);
}

static void
s_on_stat (void *argument, adr_status_t status, const char *text, const adr_object_info_t *info)
{
    adr_s3_call_t *call = argument;
    (void) text;
    if (!adr_s3_back (call))
        return;
    if (status == ADR_STATUS_OK)
        s_give (call, info);
    else if (status == ADR_STATUS_NOT_FOUND)
        adr_s3_check_bucket (call, s_missing);
    else
        adr_s3_fail (call, adr_s3_error_of (status, ADR_S3_NoSuchKey, ADR_S3_InternalError), NULL);
}

void
adr_s3_get_object (adr_s3_call_t *call, const adr_principal_t *who)
{
    (void) who;
    get_t *self = adr_alloc (sizeof *self);
    call->state = self;
    call->state_destroy = s_get_free;
    call->read = s_get_read;
    if (!(self->transfer = s_take_transfer (call)))
        return;
    adr_s3_ask (call);
    adr_object_describe (call->s3->session, call->bucket, call->key, s_on_stat, call);
}

/* --- DeleteObject ---------------------------------------------------------------------------------------------------- */

static void
s_nothing_deleted (adr_s3_call_t *call, adr_s3_error_t error)
{
    if (error == ADR_S3_OK)
        adr_s3_done (call, 204);
    else
        adr_s3_fail (call, error, NULL);
}

static void
s_on_deleted (void *argument, adr_status_t status, const char *text, const adr_object_info_t *info)
{
    adr_s3_call_t *call = argument;
    (void) text;
    (void) info;
    if (!adr_s3_back (call))
        return;
    if (status == ADR_STATUS_OK)
        adr_s3_done (call, 204);
    else if (status == ADR_STATUS_NOT_FOUND)
        adr_s3_check_bucket (call, s_nothing_deleted);
    else
        adr_s3_fail (call, adr_s3_error_of (status, ADR_S3_NoSuchKey, ADR_S3_OperationAborted), NULL);
}

void
adr_s3_delete_object (adr_s3_call_t *call, const adr_principal_t *who)
{
    (void) who;
    if (adr_http_header (&call->request, "if-match").data) {
        adr_s3_fail (call, ADR_S3_NotImplemented, NULL); /* an ignored condition would delete the wrong thing */
        return;
    }
    adr_s3_ask (call);
    adr_object_remove (call->s3->session, call->bucket, call->key, ADR__CONDITION__ALWAYS, NULL, s_on_deleted, call);
}
