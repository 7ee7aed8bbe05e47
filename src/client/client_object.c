/* SPDX-License-Identifier: MPL-2.0 */
/* libadrestia: objects, by blocking calls over object.h: see include/adrestia.h.
 *
 * Owns: nothing beyond a call. Assumes: sources and sinks may be slow; they run on the caller's thread, so that the
 * client's own never waits for them. */

#include "client/client.h"

#include "wire/records.pb-c.h"

#include <gnutls/crypto.h>
#include <gnutls/gnutls.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define S_PIECE (256 * 1024) /* what sources and sinks are asked for at a time */
#define S_MD5_SIZE 16

/* --- callbacks, on the client's thread ------------------------------------------------------------------------ */

static void
s_ready (void *argument, adr_status_t status, const char *text)
{
    adr_call_t *call = argument;
    pthread_mutex_lock (&call->lock);
    call->ready = true;
    if (status != ADR_STATUS_OK && call->status == ADR_STATUS_OK) {
        call->status = status;
        snprintf (call->text, sizeof call->text, "%s", text);
    }
    pthread_cond_signal (&call->changed);
    pthread_mutex_unlock (&call->lock);
}

/* Waits for s_ready; false if it brought a failure. */
static bool
s_wait_ready (adr_call_t *call)
{
    pthread_mutex_lock (&call->lock);
    while (!call->ready)
        pthread_cond_wait (&call->changed, &call->lock);
    call->ready = false;
    bool good = call->status == ADR_STATUS_OK;
    pthread_mutex_unlock (&call->lock);
    return good;
}

/* A call together with the description that it is to bring. */
typedef struct {
    adr_call_t call;
    adr_object_info_t info; /* without attributes, whose texts are lent */
    char content_type[128];
} s_object_call_t;

static void
s_info_keep (s_object_call_t *self, const adr_object_info_t *info)
{
    if (!info)
        return;
    self->info = *info;
    self->info.attribute_count = 0;
    for (uint32_t i = 0; i < info->attribute_count; i++)
        if (strcmp (info->attribute[i].name, "content-type") == 0)
            snprintf (self->content_type, sizeof self->content_type, "%s", info->attribute[i].value);
}

static void
s_info_done (void *argument, adr_status_t status, const char *text, const adr_object_info_t *info)
{
    s_object_call_t *self = argument;
    s_info_keep (self, info);
    adr_call_end (&self->call, status, text);
}

static void
s_object_fill (adr_object_t *object, const s_object_call_t *self)
{
    if (!object)
        return;
    *object = (adr_object_t){ .size = self->info.size, .modified_ms = self->info.modified_ms };
    memcpy (object->id, self->info.object.bytes, ADR_ID_SIZE);
    snprintf (object->etag, sizeof object->etag, "%.64s", self->info.etag);
    memcpy (object->content_type, self->content_type, sizeof object->content_type);
    object->version = (adr_client_version_t){ self->info.version.epoch, self->info.version.term,
                                              self->info.version.index };
}

/* --- buckets -------------------------------------------------------------------------------------------------- */

static bool
s_bucket_name_holds (const char *bucket)
{
    size_t size = strlen (bucket);
    if (size < 3 || size > 63 || strspn (bucket, "abcdefghijklmnopqrstuvwxyz0123456789-.") != size)
        return false;
    return strchr ("-.", bucket[0]) == NULL && strchr ("-.", bucket[size - 1]) == NULL && !strstr (bucket, "..");
}

adr_result_t
adr_object_make_bucket (adr_client_t *self, const char *bucket)
{
    uint8_t value[64];
    adr_call_t call;
    Adr__BucketRecord record = ADR__BUCKET_RECORD__INIT;
    if (!s_bucket_name_holds (bucket))
        return adr_call_fail (self, ADR_INVALID, "a bucket's name has 3 to 63 of a-z, 0-9, '-' and '.'");
    record.layout = ADR__RECORD_LAYOUT__LAYOUT_1;
    adr_assert (adr__bucket_record__get_packed_size (&record) <= sizeof value);
    adr_session_op_t op = { .table = ADR_TABLE_BUCKET, .condition = ADR__CONDITION__ABSENT,
                            .key = adr_bytes (bucket, strlen (bucket)),
                            .value = adr_bytes (value, adr__bucket_record__pack (&record, value)) };
    adr_call_init (&call, self);
    adr_session_write (self->session, &op, 1, 0, adr_call_done, &call);
    adr_result_t result = adr_call_wait (&call);
    adr_call_free (&call);
    return result;
}

static adr_result_t
s_check_bucket (adr_client_t *self, const char *bucket)
{
    adr_call_t call;
    adr_call_init (&call, self);
    adr_session_read (self->session, ADR_TABLE_BUCKET, adr_bytes (bucket, strlen (bucket)), ADR__READ_MODE__STRONG, 0,
                      adr_call_done, &call);
    adr_result_t result = adr_call_wait (&call);
    adr_call_free (&call);
    return result == ADR_NOT_FOUND ? adr_call_fail (self, result, "there is no such bucket") : result;
}

/* --- putting -------------------------------------------------------------------------------------------------- */

/* Gives the writer all of `data`; false if the transfer has failed. */
static bool
s_feed (adr_call_t *call, adr_object_writer_t *writer, const uint8_t *data, size_t size)
{
    while (size > 0) {
        size_t taken = adr_object_writer_write (writer, data, size);
        data += taken;
        size -= taken;
        if (size > 0 && !s_wait_ready (call))
            return false;
    }
    return true;
}

/* From the source to the writer, to its end; false, and the call's status says why. */
static bool
s_pump (adr_call_t *call, adr_object_writer_t *writer, adr_source_fn *source, void *argument, gnutls_hash_hd_t md5)
{
    uint8_t *piece = adr_alloc (S_PIECE);
    bool good = true;
    ssize_t size;
    while (good && (size = source (argument, piece, S_PIECE)) != 0) {
        if (size < 0 || size > S_PIECE) {
            call->status = ADR_STATUS_INVALID;
            snprintf (call->text, sizeof call->text, "the source gave up");
            good = false;
        }
        else {
            gnutls_hash (md5, piece, (size_t) size);
            good = s_feed (call, writer, piece, (size_t) size);
        }
    }
    free (piece);
    return good;
}

/* ADR_OK once the writer has said `done`; it is gone in any case. */
static adr_result_t
s_put (s_object_call_t *self, adr_object_writer_t *writer, adr_source_fn *source, void *argument)
{
    gnutls_hash_hd_t md5;
    uint8_t digest[S_MD5_SIZE];
    char etag[2 * S_MD5_SIZE + 1];
    if (gnutls_hash_init (&md5, GNUTLS_DIG_MD5) != 0) {
        adr_object_writer_abort (&writer);
        return adr_call_fail (self->call.client, ADR_INVALID, "MD5 is not to be had on this host");
    }
    bool good = s_pump (&self->call, writer, source, argument, md5);
    gnutls_hash_deinit (md5, digest);
    if (!good) {
        adr_object_writer_abort (&writer); /* no callback after this: the status is ours alone */
        return adr_call_fail (self->call.client, adr_result_of (self->call.status, false), self->call.text);
    }
    sodium_bin2hex (etag, sizeof etag, digest, sizeof digest);
    struct timespec now;
    clock_gettime (CLOCK_REALTIME, &now);
    adr_object_writer_end (writer, etag, now.tv_sec * INT64_C (1000) + now.tv_nsec / 1000000, ADR__CONDITION__ALWAYS, NULL, s_info_done, self);
    return adr_call_wait (&self->call);
}

/* The bucket went while the object came: the object goes, too. src/edge/s3_bucket.c says why both sides look twice. */
static adr_result_t
s_check_bucket_still (adr_client_t *self, const char *bucket, const char *key, const adr_version_t *version)
{
    adr_result_t result = s_check_bucket (self, bucket);
    if (result == ADR_OK)
        return result;
    if (result != ADR_NOT_FOUND)
        return adr_call_fail (self, ADR_UNKNOWN, "the object is there, but is its bucket? nobody could be asked");
    s_object_call_t call = { 0 };
    adr_call_init (&call.call, self);
    adr_object_remove (self->session, bucket, adr_bytes (key, strlen (key)), ADR__CONDITION__VERSION, version,
                       s_info_done, &call);
    result = adr_call_wait (&call.call);
    adr_call_free (&call.call);
    if (result != ADR_OK && result != ADR_NOT_FOUND && result != ADR_CONFLICT)
        return adr_call_fail (self, ADR_UNKNOWN, "the bucket is gone; the object may still be there");
    return adr_call_fail (self, ADR_NOT_FOUND, "the bucket was deleted meanwhile");
}

adr_result_t
adr_object_put (adr_client_t *self, const char *bucket, const char *key, adr_source_fn *source, void *argument,
                const char *content_type, adr_object_t *object)
{
    adr_id_t id;
    adr_attribute_t type = { "content-type", content_type ? content_type : "application/octet-stream" };
    adr_result_t result = s_check_bucket (self, bucket);
    if (result != ADR_OK)
        return result;
    s_object_call_t call = { 0 };
    adr_call_init (&call.call, self);
    randombytes_buf (id.bytes, sizeof id.bytes);
    adr_object_writer_t *writer = adr_object_writer_new (self->session, bucket, adr_bytes (key, strlen (key)), &id,
                                                         &type, 1, s_ready, &call.call);
    result = s_put (&call, writer, source, argument);
    if (result == ADR_OK)
        result = s_check_bucket_still (self, bucket, key, &call.info.version);
    if (result == ADR_OK) {
        snprintf (call.content_type, sizeof call.content_type, "%s", type.value);
        s_object_fill (object, &call);
    }
    adr_call_free (&call.call);
    return result;
}

/* --- getting -------------------------------------------------------------------------------------------------- */

static adr_result_t
s_stat (s_object_call_t *call, const char *bucket, const char *key)
{
    adr_object_describe (call->call.client->session, bucket, adr_bytes (key, strlen (key)), s_info_done, call);
    return adr_call_wait (&call->call);
}

static adr_result_t
s_stat_by_id (s_object_call_t *call, const uint8_t id[16])
{
    adr_id_t object;
    memcpy (object.bytes, id, sizeof object.bytes);
    adr_object_describe_by_id (call->call.client->session, &object, s_info_done, call);
    return adr_call_wait (&call->call);
}

/* All of the object into the sink. */
static adr_result_t
s_stream (s_object_call_t *self, adr_sink_fn *sink, void *argument)
{
    adr_client_t *client = self->call.client;
    uint8_t *piece = adr_alloc (S_PIECE);
    adr_result_t result = ADR_OK;
    uint64_t left = self->info.size;
    adr_object_reader_t *reader = adr_object_reader_new (client->session, &self->info, 0, self->info.size, s_ready,
                                                         &self->call);
    while (result == ADR_OK && left > 0) {
        ssize_t size = adr_object_reader_read (reader, piece, S_PIECE);
        if (size > 0 && !sink (argument, piece, (size_t) size))
            result = adr_call_fail (client, ADR_INVALID, "the sink gave up");
        else if (size > 0)
            left -= (uint64_t) size;
        else if (!s_wait_ready (&self->call))
            result = adr_call_fail (client, adr_result_of (self->call.status, false), self->call.text);
    }
    adr_object_reader_destroy (&reader);
    free (piece);
    return result;
}

static adr_result_t
s_get (s_object_call_t *call, adr_result_t found, adr_sink_fn *sink, void *argument, adr_object_t *object)
{
    if (found == ADR_OK) {
        s_object_fill (object, call);
        if (sink)
            found = s_stream (call, sink, argument);
    }
    adr_call_free (&call->call);
    return found;
}

adr_result_t
adr_object_stat (adr_client_t *self, const char *bucket, const char *key, adr_object_t *object)
{
    s_object_call_t call = { 0 };
    adr_call_init (&call.call, self);
    return s_get (&call, s_stat (&call, bucket, key), NULL, NULL, object);
}

adr_result_t
adr_object_get (adr_client_t *self, const char *bucket, const char *key, adr_sink_fn *sink, void *argument,
                adr_object_t *object)
{
    s_object_call_t call = { 0 };
    adr_call_init (&call.call, self);
    return s_get (&call, s_stat (&call, bucket, key), sink, argument, object);
}

adr_result_t
adr_object_get_by_id (adr_client_t *self, const uint8_t id[16], adr_sink_fn *sink, void *argument,
                      adr_object_t *object)
{
    s_object_call_t call = { 0 };
    adr_call_init (&call.call, self);
    return s_get (&call, s_stat_by_id (&call, id), sink, argument, object);
}

adr_result_t
adr_object_delete (adr_client_t *self, const char *bucket, const char *key)
{
    s_object_call_t call = { 0 };
    adr_call_init (&call.call, self);
    adr_object_remove (self->session, bucket, adr_bytes (key, strlen (key)), ADR__CONDITION__ALWAYS, NULL, s_info_done,
                       &call);
    adr_result_t result = adr_call_wait (&call.call);
    adr_call_free (&call.call);
    return result;
}
