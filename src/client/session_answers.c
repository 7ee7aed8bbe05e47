/* SPDX-License-Identifier: MPL-2.0 */
/* session: what edges answer, and whether a write's asker may rely on it. See session.h. Implements the asker's side of
 * REPL-5. */

#include "client/session_private.h"

#include <string.h>

#define S_UNREAD_MAX 3 /* tries at once after one whose stamp was too old */

/* A status that says "this try was not done". */
static bool
s_says_not_done (adr_status_t status)
{
    return status == ADR_STATUS_REFUSED || status == ADR_STATUS_FULL || status == ADR_STATUS_CONFLICT
           || status == ADR_STATUS_NOT_MASTER || status == ADR_STATUS_INVALID || status == ADR_STATUS_DENIED;
}

/* [REPL-5] One try says that it was not done. If another is out, it still may be: whoever hears "refused" may rely on
 * it, so that word is not passed on. A conflict ends the request, because time will not make it surer. True if the
 * reply is final now. */
static bool
s_settle_write (session_request_t *request, adr_reply_t *reply, bool no_entry)
{
    if (!s_says_not_done (reply->status) && !no_entry)
        return true;
    if (request->unanswered > 0)
        request->unanswered--;
    if (request->unanswered > 0 && no_entry && reply->status == ADR_STATUS_OK) {
        /* Nothing was there to be deleted, and the id was not kept: an earlier try could still delete what comes to be
         * after this word. The next try says that it is one, and its verdict is kept. */
        ADR_MARK ("session: an OK without an entry while an earlier try is unanswered");
        return false;
    }
    if (request->unanswered > 0 && reply->status == ADR_STATUS_CONFLICT) {
        ADR_MARK ("session: a conflict while an earlier try is unanswered");
        reply->status = ADR_STATUS_UNKNOWN;
        reply->text = "an earlier try may still be done; the last one lost against another version";
        return true;
    }
    if (request->unanswered > 0) {
        ADR_MARK ("session: a refusal while an earlier try is unanswered");
        return false;
    }
    return reply->status != ADR_STATUS_NOT_MASTER;
}

static void
s_note_hint (adr_session_t *self, const session_request_t *request, const char *endpoint)
{
    self->heard_count++;
    if (request->kind == ADR__KIND__READ && request->header.read.mode == ADR__READ_MODE__LOCAL)
        self->heard_local = true;
    if (request->kind != ADR__KIND__WRITE || endpoint[0] == 0 || strlen (endpoint) > ADR_ENDPOINT_MAX)
        return;
    if (strcmp (self->hint, endpoint) != 0) {
        strcpy (self->hint, endpoint);
        self->hint_count = 0;
        self->heard_count = 1;
    }
    self->hint_count++;
}

bool
adr_session_take_hint (adr_session_t *self, char endpoint[ADR_ENDPOINT_MAX + 1])
{
    pthread_mutex_lock (&self->lock);
    bool full = self->heard_count >= ADR_SESSION_HINT_WINDOW;
    bool given = full && !self->heard_local && self->hint_count >= self->heard_count / 4;
    if (given)
        strcpy (endpoint, self->hint);
    if (full) {
        self->hint_count = self->heard_count = 0;
        self->heard_local = false;
    }
    pthread_mutex_unlock (&self->lock);
    return given;
}

bool
adr_session_take_draining (adr_session_t *self)
{
    pthread_mutex_lock (&self->lock);
    bool draining = self->heard_draining;
    self->heard_draining = false;
    pthread_mutex_unlock (&self->lock);
    return draining;
}

/* [EDGE-6] The edge's stamp for this try was too old to be read: the same again with the token that came with its answer. */
static void
s_ask_again (adr_session_t *self, session_request_t *request, adr_status_t status)
{
    ADR_MARK ("session: a write's stamp was too old");
    if (status == ADR_STATUS_REFUSED && request->unanswered > 0)
        request->unanswered--;
    request->open_token = 0;
    if (request->unread++ < S_UNREAD_MAX) /* else in its turn */
        session_send_soon (self, request);
}

static void
s_note_token (adr_session_t *self, uint64_t token)
{
    if (token)
        self->token = token;
}

static void
s_receive_answer (adr_session_t *self, const Adr__Answer *answer, adr_bytes_t payload)
{
    session_request_t *request = session_find (self, answer->number);
    s_note_token (self, answer->token);
    self->heard_draining |= answer->draining;
    bool fits = request && (request->kind == ADR__KIND__WRITE || request->kind == ADR__KIND__READ);
    /* A list may be refused by an Answer, too, but never answered OK by one. */
    if (request && request->kind == ADR__KIND__LIST && answer->status != ADR_STATUS_OK)
        fits = true;
    if (!fits || answer->status >= ADR_STATUS_COUNT) {
        self->dropped++;
        return;
    }
    s_note_hint (self, request, answer->endpoint);
    adr_reply_t reply = { .status = (adr_status_t) answer->status, .time_ms = answer->time_ms,
                          .deleted = answer->deleted, .value = payload, .text = answer->text };
    if (answer->version)
        reply.version = (adr_version_t){ answer->version->epoch, answer->version->term, answer->version->index };
    if (request->kind == ADR__KIND__WRITE && answer->unread) {
        s_ask_again (self, request, reply.status);
        return;
    }
    if (request->kind == ADR__KIND__WRITE && !s_settle_write (request, &reply, answer->no_entry))
        return;
    if (reply.status == ADR_STATUS_NOT_MASTER)
        return; /* the next try asks again */
    session_answer (self, request, &reply);
}

static void
s_receive_list_answer (adr_session_t *self, const Adr__ListAnswer *answer, adr_bytes_t payload)
{
    session_request_t *request = session_find (self, answer->number);
    s_note_token (self, answer->token);
    self->heard_draining |= answer->draining;
    if (!request || request->kind != ADR__KIND__LIST || answer->status >= ADR_STATUS_COUNT) {
        self->dropped++;
        return;
    }
    adr_reply_t reply = { .status = (adr_status_t) answer->status, .more = answer->more, .value = payload,
                          .text = answer->text };
    if (reply.status != ADR_STATUS_NOT_MASTER)
        session_answer (self, request, &reply);
}

static void
s_receive_map (adr_session_t *self, const Adr__MapPush *push)
{
    session_request_t *request = session_find (self, push->number);
    s_note_token (self, push->token);
    if (!request || request->kind != ADR__KIND__MAP_PULL || !push->map) {
        self->dropped++;
        return;
    }
    adr_buffer_t map = { 0 };
    size_t size = adr__cluster_map__get_packed_size (push->map);
    adr__cluster_map__pack (push->map, adr_buffer_grow (&map, size));
    adr_reply_t reply = { .status = ADR_STATUS_OK, .value = adr_bytes (map.data, map.size), .text = "" };
    session_answer (self, request, &reply);
    adr_buffer_free (&map);
}

static void
s_receive_control_answer (adr_session_t *self, const Adr__ControlAnswer *answer)
{
    session_request_t *request = session_find (self, answer->number);
    if (!request || request->kind != ADR__KIND__CONTROL || answer->status >= ADR_STATUS_COUNT) {
        self->dropped++;
        return;
    }
    adr_reply_t reply = { .status = (adr_status_t) answer->status, .text = answer->text };
    adr_buffer_t value = { 0 };
    if (answer->token && request->header.control.action == ADR__CONTROL_ACTION__TOKEN) {
        size_t size = adr__token__get_packed_size (answer->token);
        adr__token__pack (answer->token, adr_buffer_grow (&value, size));
        reply.value = adr_bytes (value.data, value.size);
    } else if (answer->n_token_set) {
        size_t size = adr__control_answer__get_packed_size (answer);
        adr__control_answer__pack (answer, adr_buffer_grow (&value, size));
        reply.value = adr_bytes (value.data, value.size);
    } else if (answer->survivor) {
        size_t size = adr__survivor__get_packed_size (answer->survivor);
        adr__survivor__pack (answer->survivor, adr_buffer_grow (&value, size));
        reply.value = adr_bytes (value.data, value.size);
    } else if (answer->credential) {
        size_t size = adr__credential__get_packed_size (answer->credential);
        adr__credential__pack (answer->credential, adr_buffer_grow (&value, size));
        reply.value = adr_bytes (value.data, value.size);
    }
    session_answer (self, request, &reply);
    adr_buffer_free (&value);
}

static void
s_receive_item (adr_session_t *self, const adr_item_t *item)
{
    adr_arena_reset (&self->arena);
    const ProtobufCMessage *header = adr_header_decode (item, &self->arena);
    if (!header || (item->kind != ADR__KIND__ANSWER && item->kind != ADR__KIND__LIST_ANSWER
                    && item->kind != ADR__KIND__MAP_PUSH && item->kind != ADR__KIND__CONTROL_ANSWER)) {
        pthread_mutex_lock (&self->lock);
        self->dropped++;
        pthread_mutex_unlock (&self->lock);
        return;
    }
    pthread_mutex_lock (&self->lock);
    if (item->kind == ADR__KIND__ANSWER)
        s_receive_answer (self, (const Adr__Answer *) header, item->payload);
    else if (item->kind == ADR__KIND__LIST_ANSWER)
        s_receive_list_answer (self, (const Adr__ListAnswer *) header, item->payload);
    else if (item->kind == ADR__KIND__CONTROL_ANSWER)
        s_receive_control_answer (self, (const Adr__ControlAnswer *) header);
    else
        s_receive_map (self, (const Adr__MapPush *) header);
    pthread_mutex_unlock (&self->lock);
}

void
adr_session_receive (adr_session_t *self, adr_bytes_t pack)
{
    adr_pack_reader_t reader;
    adr_item_t item;
    int found = -1;
    session_enter (self);
    if (adr_pack_open (&reader, pack) && adr_id_equal (&reader.envelope.cluster, &self->cluster))
        while ((found = adr_pack_next (&reader, &item)) == 1)
            s_receive_item (self, &item);
    if (found == -1) {
        pthread_mutex_lock (&self->lock);
        self->dropped++;
        pthread_mutex_unlock (&self->lock);
    }
    session_leave (self);
}
