/* SPDX-License-Identifier: MPL-2.0 */
/* Reading objects, describing and deleting them: see object.h.
 *
 * Owns: the chunks that were read ahead, at most ADR_OBJECT_WINDOW. Makes durable: nothing. Assumes: records of an
 * object never change once written [OBJECT-5], so that its chunks may be read one by one; the store checks digests,
 * this checks that each piece is there and has its size: a missing one is a failure, never the end. */

#include "client/transfer.h"

#include <stdlib.h>
#include <string.h>

/* One piece that was asked for: a chunk, or the whole of an object that stands in its header. */
typedef struct {
    adr_object_reader_t *reader;
    uint64_t number;
    bool asked, here;
    adr_buffer_t bytes;
} s_piece_t;

struct adr_object_reader {
    adr_transfer_t transfer; /* `due`: read had nothing to give */
    adr_id_t object;
    uint64_t size, at, end; /* of the object; the next byte to give, and the one behind the last */
    uint64_t piece_size;
    bool whole;             /* one piece, in the header record */
    uint64_t next;          /* the piece to ask for next */
    s_piece_t piece[ADR_OBJECT_WINDOW]; /* piece n stands at n modulo the window */
};

#define S_ARENA_ROOM 4096
#define S_ARENA_MAX (64 * 1024) /* the largest header or meta record, decoded */

static void s_piece_done (void *argument, const adr_reply_t *reply);

/* --- the reader's inside -------------------------------------------------------------------------------------- */

static void
s_unlock (adr_object_reader_t *self)
{
    if (!adr_transfer_unlock (&self->transfer, true))
        return;
    for (int i = 0; i < ADR_OBJECT_WINDOW; i++)
        adr_buffer_free (&self->piece[i].bytes);
    free (self);
}

/* The session answers from its own thread only, so nothing comes back in here. */
static void
s_ask (adr_object_reader_t *self, s_piece_t *piece, uint64_t number)
{
    uint8_t key[ADR_KEY_MAX];
    *piece = (s_piece_t){ .reader = self, .number = number, .asked = true, .bytes = piece->bytes };
    adr_buffer_clear (&piece->bytes);
    self->transfer.in_flight++;
    if (self->whole)
        adr_session_read (self->transfer.session, ADR_TABLE_OBJECT, adr_bytes (self->object.bytes, ADR_ID_SIZE),
                          ADR__READ_MODE__STRONG, 0, s_piece_done, piece);
    else
        adr_session_read (self->transfer.session, ADR_TABLE_CHUNK,
                          adr_bytes (key, adr_chunk_key (key, &self->object, number)), ADR__READ_MODE__STRONG, 0,
                          s_piece_done, piece);
}

/* Reads ahead as far as the window allows. */
static void
s_ask_ahead (adr_object_reader_t *self)
{
    if (self->transfer.status != ADR_STATUS_OK || self->transfer.gone || self->at == self->end)
        return;
    uint64_t current = self->at / self->piece_size;
    uint64_t last = (self->end - 1) / self->piece_size;
    for (; self->next <= last && self->next < current + ADR_OBJECT_WINDOW; self->next++) {
        s_piece_t *piece = &self->piece[self->next % ADR_OBJECT_WINDOW];
        adr_assert (!piece->asked && !piece->here);
        s_ask (self, piece, self->next);
    }
}

/* The piece's bytes out of the record; false and the failure noted if they are not what they must be. */
static bool
s_piece_take (adr_object_reader_t *self, s_piece_t *piece, const adr_reply_t *reply)
{
    adr_bytes_t data = reply->value;
    if (reply->status == ADR_STATUS_NOT_FOUND) {
        adr_transfer_fail (&self->transfer, ADR_STATUS_DAMAGED, self->whole ? "the object's header is missing" : "a chunk is missing");
        return false;
    }
    if (reply->status != ADR_STATUS_OK) {
        adr_transfer_fail_by (&self->transfer, reply);
        return false;
    }
    bool fits = true;
    if (self->whole) {
        adr_object_info_t info;
        adr_arena_t arena;
        adr_arena_init (&arena, S_ARENA_ROOM, S_ARENA_MAX);
        fits = adr_object_header_read (&info, &data, reply->value, &arena);
        adr_arena_free (&arena);
    }
    uint64_t left = self->size - piece->number * self->piece_size;
    if (!fits || data.size != (left < self->piece_size ? left : self->piece_size)) {
        adr_transfer_fail (&self->transfer, ADR_STATUS_DAMAGED, "a part of the object has the wrong size");
        return false;
    }
    adr_buffer_append (&piece->bytes, data.data, data.size);
    return true;
}

static void
s_piece_done (void *argument, const adr_reply_t *reply)
{
    s_piece_t *piece = argument;
    adr_object_reader_t *self = piece->reader;
    pthread_mutex_lock (&self->transfer.lock);
    self->transfer.in_flight--;
    piece->asked = false;
    if (!self->transfer.gone && s_piece_take (self, piece, reply))
        piece->here = true;
    /* A failure is told also to who was not waiting: read says no more than -1. */
    bool news = self->transfer.due && piece->here && piece->number == self->at / self->piece_size;
    if (news || self->transfer.status != ADR_STATUS_OK)
        adr_transfer_call_ready (&self->transfer);
    s_unlock (self);
}

static void
s_deferred (void *argument, const adr_reply_t *reply)
{
    adr_object_reader_t *self = argument;
    (void) reply;
    pthread_mutex_lock (&self->transfer.lock);
    self->transfer.in_flight--;
    adr_transfer_call_ready (&self->transfer);
    s_unlock (self);
}

/* --- the owner's calls ---------------------------------------------------------------------------------------- */

adr_object_reader_t *
adr_object_reader_new (adr_session_t *session, const adr_object_info_t *info, uint64_t offset, uint64_t length,
                       adr_writer_ready_fn *ready, void *argument)
{
    adr_object_reader_t *self = adr_alloc (sizeof *self);
    adr_transfer_init (&self->transfer, session, ready, argument);
    self->object = info->object;
    self->size = info->size;
    self->at = offset < info->size ? offset : info->size;
    self->end = length < info->size - self->at ? self->at + length : info->size;
    self->whole = info->chunk_size == 0;
    self->piece_size = self->whole ? (info->size ? info->size : 1) : info->chunk_size;
    self->next = self->at / self->piece_size;
    self->transfer.due = true;
    pthread_mutex_lock (&self->transfer.lock);
    if (self->at == self->end) {
        self->transfer.in_flight++;
        adr_session_defer (session, s_deferred, self);
    }
    s_ask_ahead (self);
    pthread_mutex_unlock (&self->transfer.lock);
    return self;
}

ssize_t
adr_object_reader_read (adr_object_reader_t *self, void *data, size_t room)
{
    size_t given = 0;
    pthread_mutex_lock (&self->transfer.lock);
    while (self->transfer.status == ADR_STATUS_OK && given < room && self->at < self->end) {
        uint64_t number = self->at / self->piece_size;
        s_piece_t *piece = &self->piece[number % ADR_OBJECT_WINDOW];
        if (!piece->here)
            break;
        adr_assert (piece->number == number);
        uint64_t from = self->at - number * self->piece_size, left = self->end - self->at;
        size_t part = piece->bytes.size - from;
        part = part < left ? part : (size_t) left;
        part = part < room - given ? part : room - given;
        memcpy ((uint8_t *) data + given, piece->bytes.data + from, part);
        given += part;
        self->at += part;
        if (self->at == self->end || self->at / self->piece_size != number)
            piece->here = false;
    }
    s_ask_ahead (self);
    bool failed = self->transfer.status != ADR_STATUS_OK;
    self->transfer.due = given == 0 && !failed && self->at < self->end;
    pthread_mutex_unlock (&self->transfer.lock);
    return failed ? -1 : (ssize_t) given;
}

void
adr_object_reader_destroy (adr_object_reader_t **self_p)
{
    adr_object_reader_t *self = *self_p;
    if (!self)
        return;
    *self_p = NULL;
    adr_transfer_leave (&self->transfer);
    s_unlock (self);
}

/* --- describing and deleting ---------------------------------------------------------------------------------- */

/* One question of a caller. */
typedef struct {
    adr_object_info_fn *done;
    void *argument;
    adr_id_t object;   /* by id */
    bool absent_is_ok; /* a conflict says that there was nothing to delete */
} s_question_t;

static s_question_t *
s_question_new (adr_object_info_fn *done, void *argument)
{
    s_question_t *self = adr_alloc (sizeof *self);
    self->done = done;
    self->argument = argument;
    return self;
}

static void
s_question_answer (s_question_t *self, adr_status_t status, const char *text, const adr_object_info_t *info)
{
    if (status != ADR_STATUS_OK && text[0] == 0)
        text = adr_status_name (status);
    self->done (self->argument, status, text, status == ADR_STATUS_OK ? info : NULL);
    free (self);
}

static void
s_info_stamp (adr_object_info_t *info, const adr_reply_t *reply)
{
    info->version = reply->version;
    if (info->modified_ms == 0)
        info->modified_ms = reply->time_ms;
}

static void
s_meta_read (void *argument, const adr_reply_t *reply)
{
    s_question_t *self = argument;
    if (reply->status != ADR_STATUS_OK) {
        s_question_answer (self, reply->status, reply->text, NULL);
        return;
    }
    adr_object_info_t info;
    adr_arena_t arena;
    adr_arena_init (&arena, S_ARENA_ROOM, S_ARENA_MAX);
    if (adr_meta_record_read (&info, reply->value, &arena)) {
        s_info_stamp (&info, reply);
        s_question_answer (self, ADR_STATUS_OK, "", &info);
    }
    else
        s_question_answer (self, ADR_STATUS_DAMAGED, "the meta record cannot be read", NULL);
    adr_arena_free (&arena);
}

void
adr_object_describe (adr_session_t *session, const char *bucket, adr_bytes_t key, adr_object_info_fn *done,
                 void *argument)
{
    uint8_t at[ADR_KEY_MAX];
    adr_session_read (session, ADR_TABLE_META, adr_bytes (at, adr_meta_key (at, bucket, key)),
                      ADR__READ_MODE__STRONG, 0, s_meta_read, s_question_new (done, argument));
}

static void
s_header_read (void *argument, const adr_reply_t *reply)
{
    s_question_t *self = argument;
    if (reply->status != ADR_STATUS_OK) {
        s_question_answer (self, reply->status, reply->text, NULL);
        return;
    }
    adr_object_info_t info;
    adr_bytes_t data;
    adr_arena_t arena;
    adr_arena_init (&arena, S_ARENA_ROOM, S_ARENA_MAX);
    if (adr_object_header_read (&info, &data, reply->value, &arena)) {
        info.object = self->object;
        s_info_stamp (&info, reply);
        s_question_answer (self, info.condemned ? ADR_STATUS_NOT_FOUND : ADR_STATUS_OK, "", &info); /* [OBJECT-4] */
    }
    else
        s_question_answer (self, ADR_STATUS_DAMAGED, "the object's header cannot be read", NULL);
    adr_arena_free (&arena);
}

void
adr_object_describe_by_id (adr_session_t *session, const adr_id_t *id, adr_object_info_fn *done, void *argument)
{
    s_question_t *question = s_question_new (done, argument);
    question->object = *id;
    adr_session_read (session, ADR_TABLE_OBJECT, adr_bytes (id->bytes, ADR_ID_SIZE), ADR__READ_MODE__STRONG, 0,
                      s_header_read, question);
}

static void
s_deleted (void *argument, const adr_reply_t *reply)
{
    s_question_t *self = argument;
    adr_object_info_t info = { .version = reply->version, .modified_ms = reply->time_ms };
    bool absent = reply->status == ADR_STATUS_CONFLICT && self->absent_is_ok;
    s_question_answer (self, absent ? ADR_STATUS_NOT_FOUND : reply->status, reply->text, &info);
}

void
adr_object_remove (adr_session_t *session, const char *bucket, adr_bytes_t key, Adr__Condition condition,
                   const adr_version_t *version, adr_object_info_fn *done, void *argument)
{
    uint8_t at[ADR_KEY_MAX];
    s_question_t *question = s_question_new (done, argument);
    /* [OBJECT-3] the same entry puts the record's objectId on the garbage table */
    adr_session_op_t op = { .table = ADR_TABLE_META, .delete_it = true, .release = true, .condition = condition,
                            .key = adr_bytes (at, adr_meta_key (at, bucket, key)) };
    if (version)
        op.version = *version;
    if (condition == ADR__CONDITION__ALWAYS)
        op.condition = ADR__CONDITION__EXISTS;
    question->absent_is_ok = op.condition == ADR__CONDITION__EXISTS;
    adr_session_write (session, &op, 1, 0, s_deleted, question);
}
