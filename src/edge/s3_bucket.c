/* SPDX-License-Identifier: MPL-2.0 */
/* Buckets: their records in table BUCKET, one a name; made under the condition ABSENT, so that of two creators at once
 * one wins.
 *
 * A bucket's record and its objects' records stand in different partitions, and no entry writes both. So a put reads the
 * bucket's record once more after its commit and takes the object back where the bucket is gone (s3_object.c), and a
 * delete looks again after it deleted the record: where an object came in between, it puts the record back and says
 * BucketNotEmpty. Either order of the two ends with a bucket that has the object, or neither:
 *
 *     DeleteBucket: list (empty?) -> read record -> delete that version (done, or in doubt) -> list again -> (not empty)
 *                   put it back
 *     PutObject:    commit the object -> read the record -> (gone) delete that version of the object
 *
 * The window that is left: an edge process that dies between its delete and its second list while a put of that moment
 * has just been acknowledged leaves the object without its bucket's record; creating the bucket again shows it. */

#include "edge/s3_call.h"

#include "wire/records.pb-c.h"

#include <stdlib.h>

/* --- the record --------------------------------------------------------------------------------------------------- */

static void
s_encode (adr_buffer_t *to, const char *owner, uint64_t created_ms)
{
    Adr__BucketRecord record = ADR__BUCKET_RECORD__INIT;
    record.layout = ADR__RECORD_LAYOUT__LAYOUT_1;
    record.owner = (char *) owner;
    record.created_ms = created_ms;
    adr__bucket_record__pack (&record, adr_buffer_grow (to, adr__bucket_record__get_packed_size (&record)));
}

/* The caller frees it; NULL for nonsense, and for a layout that this version does not know. */
static Adr__BucketRecord *
s_decode (adr_bytes_t value)
{
    Adr__BucketRecord *record = adr__bucket_record__unpack (NULL, value.size, value.data);
    if (record && record->layout == ADR__RECORD_LAYOUT__LAYOUT_1)
        return record;
    if (record)
        adr__bucket_record__free_unpacked (record, NULL);
    return NULL;
}

static bool
s_is_owner (const adr_s3_call_t *call, const Adr__BucketRecord *record)
{
    return strcmp (*record->owner ? record->owner : ADR_OWNER_COMMON, adr_principal_owner (call->who)) == 0;
}

static void
s_on_checked (void *argument, const adr_reply_t *reply)
{
    adr_s3_call_t *call = argument;
    if (!adr_s3_back (call))
        return;
    adr_s3_error_t error = adr_s3_error_of (reply->status, ADR_S3_NoSuchBucket, ADR_S3_InternalError);
    call->then (call, error == ADR_S3_OK && reply->deleted ? ADR_S3_NoSuchBucket : error);
}

void
adr_s3_read_bucket (adr_s3_call_t *call, adr_reply_fn *done)
{
    adr_s3_ask (call);
    adr_session_read (call->s3->session, ADR_TABLE_BUCKET, adr_s3_text (call->bucket), ADR__READ_MODE__STRONG,
                      call->s3->settings.limit_ms, done, call);
}

void
adr_s3_check_bucket (adr_s3_call_t *call, void (*then) (adr_s3_call_t *call, adr_s3_error_t error))
{
    call->then = then;
    adr_s3_read_bucket (call, s_on_checked);
}

static void
s_write (adr_s3_call_t *call, const adr_session_op_t *op, adr_reply_fn *done)
{
    adr_s3_ask (call);
    adr_session_write (call->s3->session, op, 1, call->s3->settings.limit_ms, done, call);
}

static void
s_write_if_absent (adr_s3_call_t *call, const adr_buffer_t *record, adr_reply_fn *done)
{
    adr_session_op_t op = { .table = ADR_TABLE_BUCKET,
                            .key = adr_s3_text (call->bucket),
                            .value = adr_bytes (record->data, record->size),
                            .condition = ADR__CONDITION__ABSENT };
    s_write (call, &op, done);
}

/* --- ListBuckets ---------------------------------------------------------------------------------------------------- */

static void s_ask_buckets (adr_s3_call_t *call, adr_bytes_t after);

/* [KEY-6] */
static bool
s_is_shown (const adr_s3_call_t *call, adr_bytes_t name, const Adr__BucketRecord *record)
{
    char bucket[ADR_S3_BUCKET_MAX + 1];
    if (!adr_principal_is_limited (call->who))
        return s_is_owner (call, record);
    if (name.size > ADR_S3_BUCKET_MAX)
        return false;
    memcpy (bucket, name.data, name.size);
    bucket[name.size] = 0;
    return adr_principal_access (call->who, bucket) >= ADR_ACCESS_READ;
}

static void
s_add_bucket (adr_s3_call_t *call, adr_bytes_t name, adr_bytes_t value, uint64_t time_ms)
{
    Adr__BucketRecord *record = s_decode (value);
    if (!record)
        return;
    if (s_is_shown (call, name, record)) {
        adr_buffer_t *to = &call->answer.body;
        adr_xml_open (to, "Bucket");
        adr_xml_bytes (to, "Name", name);
        adr_xml_time (to, "CreationDate", record->created_ms ? record->created_ms : time_ms);
        adr_xml_close (to, "Bucket");
    }
    adr__bucket_record__free_unpacked (record, NULL);
}

static void
s_on_buckets (void *argument, const adr_reply_t *reply)
{
    adr_s3_call_t *call = argument;
    if (!adr_s3_came (call, reply->status, ADR_S3_InternalError, ADR_S3_InternalError))
        return;
    adr_bytes_t rows = reply->value, name = { NULL, 0 }, value, last = { NULL, 0 };
    adr_version_t version;
    uint64_t time_ms;
    while (adr_list_row_next (&rows, &name, &value, &version, &time_ms)) {
        s_add_bucket (call, name, value, time_ms);
        last = name;
    }
    if (reply->more && last.size > 0) {
        s_ask_buckets (call, last);
        return;
    }
    adr_xml_close (&call->answer.body, "Buckets");
    adr_xml_close (&call->answer.body, "ListAllMyBucketsResult");
    adr_s3_done_xml (call);
}

static void
s_ask_buckets (adr_s3_call_t *call, adr_bytes_t after)
{
    adr_s3_ask (call);
    adr_session_list (call->s3->session, ADR_TABLE_BUCKET, adr_bytes ("", 0), after, ADR_LIST_ROWS_MAX, true,
                      ADR__READ_MODE__STRONG, call->s3->settings.limit_ms, s_on_buckets, call);
}

void
adr_s3_list_buckets (adr_s3_call_t *call, const adr_principal_t *who)
{
    adr_buffer_t *to = &call->answer.body;
    adr_xml_begin (to, "ListAllMyBucketsResult", true);
    adr_xml_open (to, "Owner");
    adr_xml_text (to, "ID", adr_principal_owner (who));
    adr_xml_text (to, "DisplayName", adr_principal_owner (who));
    adr_xml_close (to, "Owner");
    adr_xml_open (to, "Buckets");
    s_ask_buckets (call, adr_bytes ("", 0));
}

/* --- CreateBucket --------------------------------------------------------------------------------------------------- */

/* The name is taken: by whom? */
static void
s_on_taken (void *argument, const adr_reply_t *reply)
{
    adr_s3_call_t *call = argument;
    if (!adr_s3_came (call, reply->status, ADR_S3_OperationAborted, ADR_S3_OperationAborted))
        return;
    Adr__BucketRecord *record = s_decode (reply->value);
    bool ours = record && s_is_owner (call, record);
    if (record)
        adr__bucket_record__free_unpacked (record, NULL);
    adr_s3_fail (call, ours ? ADR_S3_BucketAlreadyOwnedByYou : ADR_S3_BucketAlreadyExists, NULL);
}

static void
s_on_created (void *argument, const adr_reply_t *reply)
{
    adr_s3_call_t *call = argument;
    bool taken = reply->status == ADR_STATUS_CONFLICT;
    if (!adr_s3_came (call, taken ? ADR_STATUS_OK : reply->status, ADR_S3_InternalError, ADR_S3_OperationAborted))
        return;
    if (taken) {
        adr_s3_read_bucket (call, s_on_taken);
        return;
    }
    char location[ADR_S3_BUCKET_MAX + 2] = "/";
    strcat (location, call->bucket);
    adr_s3_header (call, "Location", location);
    adr_s3_done (call, 200);
}

/* What the request asks for that there is not yet: rights other than the owner's, object lock. */
static bool
s_check_create_headers (adr_s3_call_t *call)
{
    const adr_http_request_t *request = &call->request;
    adr_bytes_t acl = adr_http_header (request, "x-amz-acl");
    adr_bytes_t lock = adr_http_header (request, "x-amz-bucket-object-lock-enabled");
    bool grants = false;
    for (uint32_t i = 0; i < request->header_count; i++)
        grants |= adr_http_starts_with_case (request->header[i].name, "x-amz-grant-");
    if ((acl.data && !adr_http_text_equal (acl, "private")) || (lock.data && !adr_http_text_equal_case (lock, "false"))
        || grants) {
        adr_s3_fail (call, ADR_S3_NotImplemented, NULL);
        return false;
    }
    return true;
}

static bool
s_check_location (adr_s3_call_t *call)
{
    char location[ADR_AUTH_REGION_MAX + 1];
    if (call->body.size == 0)
        return true;
    if (!adr_xml_read_location (adr_bytes (call->body.data, call->body.size), location, sizeof location)) {
        adr_s3_fail (call, ADR_S3_MalformedXML, NULL);
        return false;
    }
    if (location[0] && strcmp (location, call->s3->settings.region) != 0) {
        adr_s3_fail (call, ADR_S3_IllegalLocationConstraintException, NULL);
        return false;
    }
    return true;
}

void
adr_s3_create_bucket (adr_s3_call_t *call, const adr_principal_t *who)
{
    if (!s_check_create_headers (call) || !s_check_location (call))
        return;
    adr_buffer_t value = { 0 };
    s_encode (&value, adr_principal_owner (who), (uint64_t) call->now_ms);
    s_write_if_absent (call, &value, s_on_created);
    adr_buffer_free (&value);
}

/* --- HeadBucket, GetBucketLocation ---------------------------------------------------------------------------------- */

static void
s_head (adr_s3_call_t *call, adr_s3_error_t error)
{
    if (error != ADR_S3_OK) {
        adr_s3_fail (call, error, NULL);
        return;
    }
    adr_s3_header (call, "x-amz-bucket-region", call->s3->settings.region);
    adr_s3_done (call, 200);
}

void
adr_s3_head_bucket (adr_s3_call_t *call, const adr_principal_t *who)
{
    (void) who;
    adr_s3_check_bucket (call, s_head);
}

/* us-east-1 is the region that S3 writes as an empty constraint. */
static void
s_location (adr_s3_call_t *call, adr_s3_error_t error)
{
    if (error != ADR_S3_OK) {
        adr_s3_fail (call, error, NULL);
        return;
    }
    const char *region = call->s3->settings.region;
    adr_xml_begin (&call->answer.body, "LocationConstraint", true);
    if (strcmp (region, "us-east-1") != 0)
        adr_xml_escape (&call->answer.body, adr_s3_text (region));
    adr_xml_close (&call->answer.body, "LocationConstraint");
    adr_s3_done_xml (call);
}

void
adr_s3_bucket_location (adr_s3_call_t *call, const adr_principal_t *who)
{
    (void) who;
    adr_s3_check_bucket (call, s_location);
}

/* --- DeleteBucket --------------------------------------------------------------------------------------------------- */

typedef struct {
    adr_buffer_t record; /* to be put back, if an object came meanwhile */
    bool in_doubt;       /* nobody said whether it is deleted */
} delete_t;

static void
s_delete_free (adr_s3_call_t *call)
{
    delete_t *self = call->state;
    adr_buffer_free (&self->record);
    free (self);
}

/* Is there any object? */
static void
s_ask_first (adr_s3_call_t *call, adr_reply_fn *done)
{
    uint8_t prefix[ADR_KEY_MAX];
    size_t size = adr_meta_key (prefix, call->bucket, adr_bytes ("", 0));
    adr_s3_ask (call);
    adr_session_list (call->s3->session, ADR_TABLE_META, adr_bytes (prefix, size), adr_bytes ("", 0), 1, false,
                      ADR__READ_MODE__STRONG, call->s3->settings.limit_ms, done, call);
}

static bool
s_has_row (const adr_reply_t *reply)
{
    adr_bytes_t rows = reply->value, key, value;
    adr_version_t version;
    uint64_t time_ms;
    return adr_list_row_next (&rows, &key, &value, &version, &time_ms);
}

static void
s_on_put_back (void *argument, const adr_reply_t *reply)
{
    adr_s3_call_t *call = argument;
    if (!adr_s3_back (call))
        return;
    /* A conflict: somebody made the bucket anew, or it never went. */
    const delete_t *self = call->state;
    bool there = reply->status == ADR_STATUS_OK || (reply->status == ADR_STATUS_CONFLICT && !self->in_doubt);
    adr_s3_fail (call, there ? ADR_S3_BucketNotEmpty : ADR_S3_OutcomeUnknown, NULL);
}

static void
s_on_second_look (void *argument, const adr_reply_t *reply)
{
    adr_s3_call_t *call = argument;
    if (!adr_s3_back (call))
        return;
    delete_t *self = call->state;
    if (reply->status == ADR_STATUS_OK && !s_has_row (reply)) {
        if (self->in_doubt)
            adr_s3_fail (call, ADR_S3_OutcomeUnknown, NULL);
        else
            adr_s3_done (call, 204);
        return;
    }
    /* Not empty, or nobody knows: the record must not stay away. */
    s_write_if_absent (call, &self->record, s_on_put_back);
}

static void
s_on_deleted (void *argument, const adr_reply_t *reply)
{
    adr_s3_call_t *call = argument;
    if (!adr_s3_back (call))
        return;
    delete_t *self = call->state;
    self->in_doubt = reply->status == ADR_STATUS_UNKNOWN;
    if (reply->status == ADR_STATUS_OK || self->in_doubt)
        s_ask_first (call, s_on_second_look);
    else
        adr_s3_fail (call, adr_s3_error_of (reply->status, ADR_S3_NoSuchBucket, ADR_S3_OperationAborted), NULL);
}

static void
s_on_record (void *argument, const adr_reply_t *reply)
{
    adr_s3_call_t *call = argument;
    adr_status_t status = reply->deleted ? ADR_STATUS_NOT_FOUND : reply->status;
    if (!adr_s3_came (call, status, ADR_S3_NoSuchBucket, ADR_S3_InternalError))
        return;
    delete_t *self = call->state;
    adr_buffer_append (&self->record, reply->value.data, reply->value.size);
    adr_session_op_t op = { .table = ADR_TABLE_BUCKET,
                            .key = adr_s3_text (call->bucket),
                            .delete_it = true,
                            .condition = ADR__CONDITION__VERSION,
                            .version = reply->version };
    s_write (call, &op, s_on_deleted);
}

static void
s_on_first_look (void *argument, const adr_reply_t *reply)
{
    adr_s3_call_t *call = argument;
    if (!adr_s3_came (call, reply->status, ADR_S3_InternalError, ADR_S3_InternalError))
        return;
    if (s_has_row (reply)) {
        adr_s3_fail (call, ADR_S3_BucketNotEmpty, NULL);
        return;
    }
    adr_s3_read_bucket (call, s_on_record);
}

void
adr_s3_delete_bucket (adr_s3_call_t *call, const adr_principal_t *who)
{
    (void) who;
    call->state = adr_alloc (sizeof (delete_t));
    call->state_destroy = s_delete_free;
    s_ask_first (call, s_on_first_look);
}
