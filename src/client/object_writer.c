/* SPDX-License-Identifier: MPL-2.0 */
/* Writing one object: chunks, then its header, then the meta record that makes it visible [DESIGN 10]: see object.h.
 *
 * Before any of it leaves, the sweep epoch of the partition that shall name it is known [OBJECT-1].
 *
 * Owns: one chunk that fills up; chunks on their way are the session's. Makes durable: by the session. Assumes: the
 * session answers each request once, on its own thread. Implements OBJECT-1, OBJECT-2, OBJECT-3, OBJECT-5.
 *
 *     FILLING --end--> DRAINING --all chunks in--> HEADER --> META --> over
 *        |                 |                          |         |
 *        +---- abort, or an answer other than OK -----+---------+--> (all answers in) CLEANING --> over
 *
 * The struct lives until all its answers have come, also where its owner has gone. */

#include "client/transfer.h"
#include "core/actor.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef enum { S_FILLING, S_DRAINING, S_HEADER, S_META, S_CLEANING, S_OVER } s_state_t;

#define S_BUCKET_MAX 63
#define S_OBJECT_KEY_MAX 1024
#define S_PARTITION_CHUNKS 1024 /* chunks of one object that share a partition [PART-3] */
#define S_NO_HEADER UINT64_MAX

/* A chunk on its way. */
typedef struct {
    adr_object_writer_t *writer;
    uint64_t number;
    bool used;
} s_flight_t;

struct adr_object_writer {
    adr_transfer_t transfer; /* `due`: write took less than it was given */
    s_state_t state;
    char bucket[S_BUCKET_MAX + 1];
    uint8_t key[S_OBJECT_KEY_MAX];
    size_t key_size;
    adr_object_info_t info; /* its attributes are copies in `texts` */
    char *texts;
    adr_buffer_t chunk;
    s_flight_t flight[ADR_OBJECT_WINDOW];
    uint64_t chunk_count;  /* submitted so far */
    bool header_submitted;
    /* Chunks (S_NO_HEADER: the header) that are not ours to delete: the outcome is unknown, or another object's. */
    uint64_t spared[ADR_OBJECT_WINDOW + 1];
    uint32_t spared_count;
    bool spare_all;        /* the meta record may name it */
    uint64_t cleaned;      /* chunks that were deleted, from the last one on */
    bool deferred;         /* a call by the session's thread is on its way */
    adr_writer_done_fn *done; /* from end on */
    void *done_argument;
    Adr__Condition condition;
    adr_version_t version;
};

static void s_step (adr_object_writer_t *self);
static void s_ask_epoch (adr_object_writer_t *self);

/* --- life ----------------------------------------------------------------------------------------------------- */

/* One block for all names and values, so that one free ends them. */
static void
s_attributes_copy (adr_object_writer_t *self, const adr_attribute_t *attributes, uint32_t count)
{
    size_t size = 0;
    for (uint32_t i = 0; i < count; i++)
        size += strlen (attributes[i].name) + strlen (attributes[i].value) + 2;
    char *at = self->texts = adr_alloc (size);
    for (uint32_t i = 0; i < count; i++) {
        self->info.attribute[i].name = at;
        at = stpcpy (at, attributes[i].name) + 1;
        self->info.attribute[i].value = at;
        at = stpcpy (at, attributes[i].value) + 1;
    }
    self->info.attribute_count = count;
}

/* A writer that is given nonsense exists, and has failed. */
static void
s_check_names (adr_object_writer_t *self, const char *bucket, adr_bytes_t key, const adr_attribute_t *attributes,
               uint32_t count)
{
    size_t size = 0;
    if (strlen (bucket) == 0 || strlen (bucket) > S_BUCKET_MAX)
        adr_transfer_fail (&self->transfer, ADR_STATUS_INVALID, "a bucket's name has 1 to 63 bytes");
    else
        strcpy (self->bucket, bucket);
    if (key.size == 0 || key.size > S_OBJECT_KEY_MAX)
        adr_transfer_fail (&self->transfer, ADR_STATUS_INVALID, "an object's key has 1 to 1,024 bytes");
    else {
        memcpy (self->key, key.data, key.size);
        self->key_size = key.size;
    }
    for (uint32_t i = 0; i < count && i < ADR_OBJECT_ATTRIBUTES_MAX; i++)
        size += strlen (attributes[i].name) + strlen (attributes[i].value);
    if (count > ADR_OBJECT_ATTRIBUTES_MAX || size > ADR_USER_METADATA_MAX)
        adr_transfer_fail (&self->transfer, ADR_STATUS_INVALID, "too many attributes, or too large ones");
    else
        s_attributes_copy (self, attributes, count);
}

adr_object_writer_t *
adr_object_writer_new (adr_session_t *session, const char *bucket, adr_bytes_t key, const adr_id_t *id,
                       const adr_attribute_t *attributes, uint32_t count, adr_writer_ready_fn *ready, void *argument)
{
    adr_object_writer_t *self = adr_alloc (sizeof *self);
    adr_transfer_init (&self->transfer, session, ready, argument);
    self->info.object = *id;
    s_check_names (self, bucket, key, attributes, count);
    s_ask_epoch (self);
    return self;
}

/* The owner hears the end, and is gone for us. */
static void
s_call_done (adr_object_writer_t *self)
{
    if (self->transfer.gone || !self->done)
        return;
    adr_writer_done_fn *done = self->done;
    self->done = NULL;
    self->transfer.gone = true;
    adr_object_info_t info = self->info;
    adr_status_t status = self->transfer.status;
    char text[sizeof self->transfer.text];
    memcpy (text, self->transfer.text, sizeof text);
    adr_transfer_begin_call (&self->transfer);
    done (self->done_argument, status, text, &info);
    adr_transfer_end_call (&self->transfer);
}

/* Gives up the lock; frees the struct if nothing is left that could come back to it. */
static void
s_unlock (adr_object_writer_t *self)
{
    if (!adr_transfer_unlock (&self->transfer, self->state == S_OVER))
        return;
    adr_buffer_free (&self->chunk);
    free (self->texts);
    free (self);
}

/* --- deleting what was uploaded ------------------------------------------------------------------------------- */

static void
s_spare (adr_object_writer_t *self, uint64_t number)
{
    adr_assert (self->spared_count < ADR_OBJECT_WINDOW + 1);
    self->spared[self->spared_count++] = number;
}

static bool
s_is_spared (const adr_object_writer_t *self, uint64_t number)
{
    for (uint32_t i = 0; i < self->spared_count; i++)
        if (self->spared[i] == number)
            return true;
    return false;
}

static void
s_cleaned (void *argument, const adr_reply_t *reply)
{
    adr_object_writer_t *self = argument;
    pthread_mutex_lock (&self->transfer.lock);
    self->transfer.in_flight--;
    if (reply->status != ADR_STATUS_OK)
        self->spare_all = true; /* the sweeper's, then */
    s_step (self);
    s_unlock (self);
}

/* Deletes the next records in one entry: the header first, for an object without one is nobody's, then chunks, the last ones
 * first, so that what is left of it begins with the first one, where the collector looks for it. */
static void
s_clean (adr_object_writer_t *self)
{
    adr_session_op_t op[ADR_OPS_MAX];
    uint8_t key[ADR_OPS_MAX][ADR_ID_SIZE + 8];
    uint32_t count = 0;
    if (self->spare_all) {
        self->state = S_OVER;
        return;
    }
    if (self->header_submitted && !s_is_spared (self, S_NO_HEADER))
        op[count++] = (adr_session_op_t){ .table = ADR_TABLE_OBJECT, .delete_it = true,
                                          .key = adr_bytes (self->info.object.bytes, ADR_ID_SIZE) };
    self->header_submitted = false;
    bool header = count > 0; /* alone: chunks may be in another partition */
    while (!header && count < ADR_OPS_MAX && self->cleaned < self->chunk_count) {
        uint64_t number = self->chunk_count - ++self->cleaned;
        if (!s_is_spared (self, number)) {
            uint8_t room[ADR_KEY_MAX];
            memcpy (key[count], room, adr_chunk_key (room, &self->info.object, number));
            op[count] = (adr_session_op_t){ .table = ADR_TABLE_CHUNK, .delete_it = true,
                                            .key = adr_bytes (key[count], ADR_ID_SIZE + 8) };
            count++;
        }
        if (number % S_PARTITION_CHUNKS == 0 && count > 0)
            break; /* one entry stays in one partition */
    }
    if (count == 0) {
        self->state = S_OVER;
        return;
    }
    self->transfer.in_flight++;
    adr_session_write (self->transfer.session, op, count, 0, s_cleaned, self);
}

static bool
s_surely_not_done (adr_status_t status)
{
    return status == ADR_STATUS_REFUSED || status == ADR_STATUS_FULL || status == ADR_STATUS_CONFLICT
           || status == ADR_STATUS_INVALID || status == ADR_STATUS_DENIED;
}

/* --- the steps ------------------------------------------------------------------------------------------------ */

/* An answer other than OK: what is the record's fate, and so the object's? */
static void
s_settle_failure (adr_object_writer_t *self, uint64_t number, const adr_reply_t *reply)
{
    if (reply->status == ADR_STATUS_CONFLICT)
        adr_transfer_fail (&self->transfer, ADR_STATUS_REFUSED, "the objectId is another object's already");
    else
        adr_transfer_fail_by (&self->transfer, reply);
    if (!s_surely_not_done (reply->status) || reply->status == ADR_STATUS_CONFLICT)
        s_spare (self, number); /* [OBJECT-2], and what is another's is not ours to delete */
}

/* A local answer will do: an epoch that is over by now only makes the object older than it is. */
static void
s_epoch_done (void *argument, const adr_reply_t *reply)
{
    adr_object_writer_t *self = argument;
    pthread_mutex_lock (&self->transfer.lock);
    self->transfer.in_flight--;
    if (reply->status == ADR_STATUS_OK && reply->value.size == ADR_SWEEP_EPOCH_SIZE)
        self->info.sweep_epoch = adr_get_u64 (reply->value.data);
    else if (reply->status == ADR_STATUS_NOT_FOUND)
        self->info.sweep_epoch = ADR_SWEEP_FIRST;
    else if (reply->status == ADR_STATUS_TIMEOUT || reply->status == ADR_STATUS_LOCKED)
        adr_transfer_fail (&self->transfer, ADR_STATUS_REFUSED, "no answer of the bucket's group in time");
    else
        adr_transfer_fail_by (&self->transfer, reply);
    s_step (self);
    if (self->state == S_FILLING && (self->transfer.due || self->transfer.status != ADR_STATUS_OK))
        adr_transfer_call_ready (&self->transfer);
    s_unlock (self);
}

static void
s_ask_epoch (adr_object_writer_t *self)
{
    uint8_t key[ADR_KEY_MAX];
    if (self->transfer.status != ADR_STATUS_OK)
        return;
    self->transfer.in_flight++;
    adr_session_read (self->transfer.session, ADR_TABLE_SWEEP,
                      adr_bytes (key, adr_meta_key (key, self->bucket, adr_bytes (self->key, self->key_size))),
                      ADR__READ_MODE__LOCAL, 0, s_epoch_done, self);
}

/* [OBJECT-1] Each record of the object that stands where its row for the sweep does brings that with it. So none is there
 * without it, in whatever order they come; nor if they come after a sweep. */
static void
s_write_record (adr_object_writer_t *self, adr_session_op_t record, bool with_row, adr_reply_fn *done, void *argument)
{
    uint8_t row[ADR_PENDING_KEY_SIZE], named[ADR_KEY_MAX];
    adr_pending_key (row, self->info.sweep_epoch, &self->info.object);
    size_t size = adr_meta_key (named, self->bucket, adr_bytes (self->key, self->key_size));
    adr_session_op_t op[2] = { record, { .table = ADR_TABLE_PENDING, .key = adr_bytes (row, sizeof row),
                                         .value = adr_bytes (named, size) } };
    self->transfer.in_flight++;
    adr_session_write (self->transfer.session, op, with_row ? 2 : 1, 0, done, argument);
}

static void
s_chunk_done (void *argument, const adr_reply_t *reply)
{
    s_flight_t *flight = argument;
    adr_object_writer_t *self = flight->writer;
    pthread_mutex_lock (&self->transfer.lock);
    self->transfer.in_flight--;
    flight->used = false;
    if (reply->status != ADR_STATUS_OK)
        s_settle_failure (self, flight->number, reply);
    s_step (self);
    if (self->state == S_FILLING && (self->transfer.due || self->transfer.status != ADR_STATUS_OK))
        adr_transfer_call_ready (&self->transfer);
    s_unlock (self);
}

/* True if the chunk that filled up could be sent. */
static bool
s_submit_chunk (adr_object_writer_t *self)
{
    s_flight_t *flight = self->flight;
    while (flight < self->flight + ADR_OBJECT_WINDOW && flight->used)
        flight++;
    if (flight == self->flight + ADR_OBJECT_WINDOW || self->info.sweep_epoch == 0)
        return false;
    *flight = (s_flight_t){ self, self->chunk_count++, true };
    uint8_t key[ADR_KEY_MAX];
    /* [OBJECT-5] created, never overwritten */
    adr_session_op_t op = { .table = ADR_TABLE_CHUNK, .condition = ADR__CONDITION__ABSENT,
                            .key = adr_bytes (key, adr_chunk_key (key, &self->info.object, flight->number)),
                            .value = adr_bytes (self->chunk.data, self->chunk.size) };
    s_write_record (self, op, flight->number < (ADR_PLANT (OBJECT_1_ROW_ONCE) ? 1 : S_PARTITION_CHUNKS), s_chunk_done, flight);
    adr_buffer_clear (&self->chunk);
    return true;
}

static void
s_meta_done (void *argument, const adr_reply_t *reply)
{
    adr_object_writer_t *self = argument;
    pthread_mutex_lock (&self->transfer.lock);
    self->transfer.in_flight--;
    if (reply->status == ADR_STATUS_OK) {
        self->info.version = reply->version;
        if (self->info.modified_ms == 0)
            self->info.modified_ms = reply->time_ms;
    }
    else
        adr_transfer_fail_by (&self->transfer, reply);
    if (!s_surely_not_done (reply->status) && !(reply->status == ADR_STATUS_UNKNOWN && ADR_PLANT (OBJECT_2_UNKNOWN_DELETED)))
        self->spare_all = true; /* [OBJECT-2] it is named by its record, or may be */
    self->state = S_CLEANING;
    s_call_done (self);
    s_step (self);
    s_unlock (self);
}

static void
s_submit_meta (adr_object_writer_t *self)
{
    uint8_t key[ADR_KEY_MAX];
    adr_buffer_t value = { 0 };
    adr_meta_record_write (&value, &self->info);
    /* [OBJECT-3] what the record named before goes to the garbage table in the same entry */
    adr_session_op_t op = { .table = ADR_TABLE_META, .release = true, .condition = self->condition,
                            .version = self->version, .sweep_epoch = self->info.sweep_epoch,
                            .key = adr_bytes (key, adr_meta_key (key, self->bucket,
                                                                 adr_bytes (self->key, self->key_size))),
                            .value = adr_bytes (value.data, value.size) };
    self->state = S_META;
    self->transfer.in_flight++;
    adr_session_write (self->transfer.session, &op, 1, 0, s_meta_done, self);
    adr_buffer_free (&value);
}

static void
s_header_done (void *argument, const adr_reply_t *reply)
{
    adr_object_writer_t *self = argument;
    pthread_mutex_lock (&self->transfer.lock);
    self->transfer.in_flight--;
    if (reply->status != ADR_STATUS_OK)
        s_settle_failure (self, S_NO_HEADER, reply);
    else if (!self->transfer.gone)
        s_submit_meta (self);
    s_step (self);
    s_unlock (self);
}

static void
s_submit_header (adr_object_writer_t *self)
{
    adr_buffer_t value = { 0 };
    adr_object_header_write (&value, &self->info, self->bucket, adr_bytes (self->key, self->key_size));
    if (self->info.chunk_size == 0)
        adr_buffer_append (&value, self->chunk.data, self->chunk.size);
    adr_session_op_t op = { .table = ADR_TABLE_OBJECT, .condition = ADR__CONDITION__ABSENT,
                            .key = adr_bytes (self->info.object.bytes, ADR_ID_SIZE),
                            .value = adr_bytes (value.data, value.size) };
    self->state = S_HEADER;
    self->header_submitted = true;
    s_write_record (self, op, true, s_header_done, self);
    adr_buffer_free (&value);
    adr_buffer_clear (&self->chunk);
}

/* The end of the data was named: the rest of it, then the header. */
static void
s_drain (adr_object_writer_t *self)
{
    if (self->info.chunk_size > 0 && self->chunk.size > 0 && !s_submit_chunk (self))
        return;
    if (self->transfer.in_flight == 0)
        s_submit_header (self);
}

/* Whatever can go on, does. Called with the lock after every change. */
static void
s_step (adr_object_writer_t *self)
{
    bool failed = self->transfer.status != ADR_STATUS_OK;
    if ((self->transfer.gone || failed) && self->transfer.in_flight == 0 && self->state < S_META
        && (self->transfer.gone || self->done))
        self->state = S_CLEANING;
    if (self->state == S_CLEANING && !self->transfer.gone)
        s_call_done (self);
    if (self->state == S_CLEANING && self->transfer.in_flight == 0)
        s_clean (self);
    else if (self->state == S_DRAINING && !failed && !self->transfer.gone)
        s_drain (self);
    else if (self->state == S_FILLING && !failed && !self->transfer.gone && self->chunk.size == ADR_CHUNK_SIZE)
        s_submit_chunk (self);
}

static void
s_deferred (void *argument, const adr_reply_t *reply)
{
    adr_object_writer_t *self = argument;
    (void) reply;
    pthread_mutex_lock (&self->transfer.lock);
    self->transfer.in_flight--;
    self->deferred = false;
    s_step (self);
    if (self->state == S_FILLING && self->transfer.status != ADR_STATUS_OK)
        adr_transfer_call_ready (&self->transfer);
    s_unlock (self);
}

/* The owner is told of a failure by the session's thread, also where nothing is in flight that would come back. */
static void
s_defer (adr_object_writer_t *self)
{
    if (self->deferred)
        return;
    self->deferred = true;
    self->transfer.in_flight++;
    adr_session_defer (self->transfer.session, s_deferred, self);
}

/* --- the owner's calls ---------------------------------------------------------------------------------------- */

size_t
adr_object_writer_write (adr_object_writer_t *self, const void *data, size_t size)
{
    size_t taken = 0;
    pthread_mutex_lock (&self->transfer.lock);
    adr_assert (self->state == S_FILLING && !self->transfer.gone);
    if (self->transfer.status == ADR_STATUS_OK && self->info.size + size > (uint64_t) ADR_OBJECT_SIZE_MAX)
        adr_transfer_fail (&self->transfer, ADR_STATUS_INVALID, "an object has at most 5 TiB");
    while (self->transfer.status == ADR_STATUS_OK && taken < size) {
        if (self->chunk.size == ADR_CHUNK_SIZE && !s_submit_chunk (self))
            break;
        size_t room = ADR_CHUNK_SIZE - self->chunk.size;
        size_t part = size - taken < room ? size - taken : room;
        adr_buffer_append (&self->chunk, (const uint8_t *) data + taken, part);
        taken += part;
    }
    if (self->chunk.size == ADR_CHUNK_SIZE && self->transfer.status == ADR_STATUS_OK)
        s_submit_chunk (self);
    self->info.size += taken;
    self->transfer.due = taken < size;
    if (self->transfer.status != ADR_STATUS_OK)
        s_defer (self);
    pthread_mutex_unlock (&self->transfer.lock);
    return taken;
}

void
adr_object_writer_end (adr_object_writer_t *self, const char *etag, int64_t modified_ms, Adr__Condition condition,
                       const adr_version_t *version, adr_writer_done_fn *done, void *argument)
{
    pthread_mutex_lock (&self->transfer.lock);
    adr_assert (self->state == S_FILLING && !self->transfer.gone && !self->done);
    snprintf (self->info.etag, sizeof self->info.etag, "%s", etag);
    self->info.modified_ms = modified_ms > 0 ? (uint64_t) modified_ms : 0;
    self->condition = condition;
    if (version)
        self->version = *version;
    self->done = done;
    self->done_argument = argument;
    if (self->chunk_count > 0 || self->info.size > ADR_OBJECT_INLINE_MAX)
        self->info.chunk_size = ADR_CHUNK_SIZE;
    self->state = S_DRAINING;
    self->transfer.ended = true;
    if (self->transfer.status != ADR_STATUS_OK)
        s_defer (self);
    s_step (self);
    s_unlock (self);
}

void
adr_object_writer_abort (adr_object_writer_t **self_p)
{
    adr_object_writer_t *self = *self_p;
    if (!self)
        return;
    *self_p = NULL;
    adr_transfer_leave (&self->transfer);
    s_step (self);
    s_unlock (self);
}
