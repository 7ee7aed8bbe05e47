/* SPDX-License-Identifier: MPL-2.0 */
/* DeleteObjects: up to a thousand keys of one bucket, WINDOW of them on their way at a time. Each key has an outcome of
 * its own; the answer lists them in the order of the question. */

#include "edge/s3_call.h"

#include <stdlib.h>

#define KEYS_MAX 1000
#define WINDOW 64

typedef struct delete delete_t;

/* What a request is answered to: it may outlive the connection, and so all that the call owns. */
typedef struct {
    adr_s3_call_t *call;
    uint32_t place;
} asked_t;

/* One key. */
typedef struct {
    size_t at, size; /* in delete_t.keys */
    adr_s3_error_t error;
} item_t;

struct delete {
    bool quiet;
    adr_buffer_t keys;
    item_t *item;
    uint32_t count, asked, answered;
};

static void
s_free (adr_s3_call_t *call)
{
    delete_t *self = call->state;
    adr_buffer_free (&self->keys);
    free (self->item);
    free (self);
}

static adr_bytes_t
s_key (const delete_t *self, const item_t *item)
{
    return adr_bytes (self->keys.data + item->at, item->size);
}

/* --- the answer ----------------------------------------------------------------------------------------------------- */

static void
s_finish (adr_s3_call_t *call)
{
    delete_t *self = call->state;
    adr_buffer_t *to = &call->answer.body;
    adr_xml_begin (to, "DeleteResult", true);
    for (uint32_t i = 0; i < self->count; i++) {
        const item_t *item = &self->item[i];
        if (item->error == ADR_S3_OK && self->quiet)
            continue;
        const char *element = item->error == ADR_S3_OK ? "Deleted" : "Error";
        adr_xml_open (to, element);
        adr_xml_bytes (to, "Key", s_key (self, item));
        if (item->error != ADR_S3_OK) {
            adr_xml_text (to, "Code", adr_s3_error_code (item->error));
            adr_xml_text (to, "Message", adr_s3_error_message (item->error));
        }
        adr_xml_close (to, element);
    }
    adr_xml_close (to, "DeleteResult");
    adr_s3_done_xml (call);
}

/* --- the requests ------------------------------------------------------------------------------------------------------ */

static void s_ask_more (adr_s3_call_t *call);

static void
s_on_deleted (void *argument, adr_status_t status, const char *text, const adr_object_info_t *info)
{
    asked_t asked = *(asked_t *) argument;
    adr_s3_call_t *call = asked.call;
    (void) text;
    (void) info;
    free (argument);
    if (!adr_s3_back (call))
        return;
    delete_t *self = call->state;
    self->item[asked.place].error = adr_s3_error_of (status, ADR_S3_OK, ADR_S3_OperationAborted);
    self->answered++;
    if (self->answered == self->count)
        s_finish (call);
    else
        s_ask_more (call);
}

static void
s_ask_more (adr_s3_call_t *call)
{
    delete_t *self = call->state;
    while (self->asked < self->count && self->asked - self->answered < WINDOW) {
        uint32_t place = self->asked++;
        item_t *item = &self->item[place];
        adr_bytes_t key = s_key (self, item);
        if (item->error != ADR_S3_OK) {
            self->answered++;
            continue;
        }
        if (key.size == 0 || key.size > ADR_S3_KEY_MAX || !adr_http_utf8 (key)) {
            item->error = key.size > ADR_S3_KEY_MAX ? ADR_S3_KeyTooLongError : ADR_S3_InvalidArgument;
            self->answered++;
            continue;
        }
        asked_t *asked = adr_alloc (sizeof *asked);
        *asked = (asked_t){ call, place };
        adr_s3_ask (call);
        adr_object_remove (call->s3->session, call->bucket, key, ADR__CONDITION__ALWAYS, NULL, s_on_deleted, asked);
    }
    if (self->answered == self->count)
        s_finish (call);
}

static void
s_bucket_known (adr_s3_call_t *call, adr_s3_error_t error)
{
    if (error == ADR_S3_OK)
        s_ask_more (call);
    else
        adr_s3_fail (call, error, NULL);
}

/* --- the question ------------------------------------------------------------------------------------------------------- */

static bool
s_add (void *argument, adr_bytes_t key, bool version)
{
    adr_s3_call_t *call = argument;
    delete_t *self = call->state;
    if (self->count == KEYS_MAX)
        return false;
    item_t *item = &self->item[self->count++];
    *item = (item_t){ self->keys.size, key.size, ADR_S3_OK };
    if (version)
        item->error = ADR_S3_NoSuchVersion; /* there is none but the newest */
    adr_buffer_append (&self->keys, key.data, key.size);
    return true;
}

void
adr_s3_delete_objects (adr_s3_call_t *call, const adr_principal_t *who)
{
    (void) who;
    delete_t *self = adr_alloc (sizeof *self);
    self->item = adr_alloc (KEYS_MAX * sizeof *self->item);
    call->state = self;
    call->state_destroy = s_free;
    if (!adr_xml_read_delete (adr_bytes (call->body.data, call->body.size), &self->quiet, s_add, call)
        || self->count == 0) {
        adr_s3_fail (call, ADR_S3_MalformedXML, NULL);
        return;
    }
    adr_s3_check_bucket (call, s_bucket_known);
}
