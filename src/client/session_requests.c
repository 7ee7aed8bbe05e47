/* SPDX-License-Identifier: MPL-2.0 */
/* session: what can be asked, and how each request is laid out. See session.h. */

#include "client/session_private.h"

#include "wire/credential_codec.h"

#include <string.h>

/* The request itself is wrong. */
static void
s_invalid (adr_session_t *self, const char *text, adr_reply_fn *done, void *argument)
{
    pthread_mutex_lock (&self->lock);
    session_refuse (self, ADR_STATUS_INVALID, text, done, argument);
}

static const char *
s_write_wrong (const adr_session_op_t *ops, uint32_t count)
{
    if (count == 0 || count > ADR_OPS_MAX)
        return "a write has 1 to 64 operations";
    size_t size = ADR_ENTRY_HEADER_SIZE;
    for (uint32_t i = 0; i < count; i++) {
        if (ops[i].key.size == 0 || ops[i].key.size > ADR_KEY_MAX)
            return "a key has the wrong size";
        if (ops[i].value.size > ADR_VALUE_MAX)
            return "a value is larger than 1 MiB";
        if (ops[i].delete_it && ops[i].value.size > 0)
            return "a delete has no value";
        size += ADR_OP_HEADER_SIZE + ops[i].key.size + ops[i].value.size;
    }
    return size <= ADR_ENTRY_MAX ? NULL : "the operations of a write are too large together";
}

static uint8_t *
s_copy (uint8_t *at, adr_bytes_t bytes)
{
    if (bytes.size)
        memcpy (at, bytes.data, bytes.size);
    return at + bytes.size;
}

/* Lays operations, their pointers, keys and values into the request's one buffer. */
static void
s_write_fill (adr_session_t *self, session_request_t *request, const adr_session_op_t *ops, uint32_t count,
              size_t key_size, size_t value_size)
{
    size_t front = count * (sizeof (Adr__Op) + sizeof (Adr__Op *));
    uint8_t *start = adr_buffer_grow (&request->bytes, front + key_size + value_size);
    Adr__Op *op = (Adr__Op *) (void *) start;
    Adr__Op **pointer = (Adr__Op **) (void *) (start + count * sizeof *op);
    uint8_t *key = start + front, *value = key + key_size;
    for (uint32_t i = 0; i < count; i++) {
        adr__op__init (&op[i]);
        pointer[i] = &op[i];
        op[i].table = ops[i].table;
        op[i].key = (ProtobufCBinaryData){ ops[i].key.size, key };
        op[i].value_size = (uint32_t) ops[i].value.size;
        op[i].delete_ = ops[i].delete_it;
        op[i].release = ops[i].release;
        op[i].ttl_ms = ops[i].ttl_ms;
        op[i].sweep_epoch = ops[i].sweep_epoch;
        op[i].condition = ops[i].condition;
        key = s_copy (key, ops[i].key);
        value = s_copy (value, ops[i].value);
    }
    adr_put_u64 (request->id, self->request_seed);
    adr_put_u64 (request->id + 8, ++self->request_next);
    Adr__Write *write = &request->header.write;
    adr__write__init (write);
    write->number = request->number;
    write->request = (ProtobufCBinaryData){ ADR_REQUEST_ID_SIZE, request->id };
    write->n_op = count;
    write->op = pointer;
    request->payload_size = value_size;
}

/* Versions of conditions stand behind everything else, because few writes have one. */
static void
s_write_versions (session_request_t *request, Adr__VersionOf *version, const adr_session_op_t *ops, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        if (ops[i].condition != ADR__CONDITION__VERSION)
            continue;
        adr__version_of__init (version);
        version->epoch = ops[i].version.epoch;
        version->term = ops[i].version.term;
        version->index = ops[i].version.index;
        request->header.write.op[i]->version = version++;
    }
}

void
adr_session_write (adr_session_t *self, const adr_session_op_t *ops, uint32_t count, uint32_t limit_ms,
                   adr_reply_fn *done, void *argument)
{
    const char *wrong = s_write_wrong (ops, count);
    if (wrong) {
        s_invalid (self, wrong, done, argument);
        return;
    }
    size_t key_size = 0, value_size = 0, version_count = 0;
    for (uint32_t i = 0; i < count; i++) {
        key_size += ops[i].key.size;
        value_size += ops[i].value.size;
        version_count += ops[i].condition == ADR__CONDITION__VERSION;
    }
    size_t version_size = version_count * sizeof (Adr__VersionOf);
    size_t front = version_size + count * (sizeof (Adr__Op) + sizeof (Adr__Op *));
    size_t size = front + key_size + value_size;
    session_request_t *request = session_begin (self, ADR__KIND__WRITE, size, limit_ms, done, argument);
    if (!request)
        return;
    /* All room at once, because the parts point to one another; versions first, for their alignment. */
    adr_buffer_grow (&request->bytes, size);
    request->bytes.size = version_size;
    s_write_fill (self, request, ops, count, key_size, value_size);
    s_write_versions (request, (Adr__VersionOf *) (void *) request->bytes.data, ops, count);
    session_ask (self, request);
}

void
adr_session_read (adr_session_t *self, uint8_t table, adr_bytes_t key, Adr__ReadMode mode, uint32_t limit_ms,
                  adr_reply_fn *done, void *argument)
{
    if (key.size == 0 || key.size > ADR_KEY_MAX) {
        s_invalid (self, "a key has the wrong size", done, argument);
        return;
    }
    session_request_t *request = session_begin (self, ADR__KIND__READ, key.size, limit_ms, done, argument);
    if (!request)
        return;
    adr_buffer_append (&request->bytes, key.data, key.size);
    Adr__Read *read = &request->header.read;
    adr__read__init (read);
    read->number = request->number;
    read->table = table;
    read->key = (ProtobufCBinaryData){ key.size, request->bytes.data };
    read->mode = mode;
    session_ask (self, request);
}

void
adr_session_list (adr_session_t *self, uint8_t table, adr_bytes_t prefix, adr_bytes_t after, uint32_t rows_max,
                  bool with_values, Adr__ReadMode mode, uint32_t limit_ms, adr_reply_fn *done, void *argument)
{
    if (prefix.size > ADR_KEY_MAX || after.size > ADR_KEY_MAX) {
        s_invalid (self, "a key has the wrong size", done, argument);
        return;
    }
    session_request_t *request = session_begin (self, ADR__KIND__LIST, prefix.size + after.size, limit_ms, done, argument);
    if (!request)
        return;
    adr_buffer_append (&request->bytes, prefix.data, prefix.size);
    adr_buffer_append (&request->bytes, after.data, after.size);
    Adr__List *list = &request->header.list;
    adr__list__init (list);
    list->number = request->number;
    list->table = table;
    if (request->bytes.size > 0) {
        list->prefix = (ProtobufCBinaryData){ prefix.size, request->bytes.data };
        list->after = (ProtobufCBinaryData){ after.size, request->bytes.data + prefix.size };
    }
    list->rows_max = rows_max && rows_max < ADR_LIST_ROWS_MAX ? rows_max : ADR_LIST_ROWS_MAX;
    list->mode = mode;
    list->with_values = with_values;
    session_ask (self, request);
}

void
adr_session_map (adr_session_t *self, uint32_t limit_ms, adr_reply_fn *done, void *argument)
{
    session_request_t *request = session_begin (self, ADR__KIND__MAP_PULL, 0, limit_ms, done, argument);
    if (!request)
        return;
    adr__map_pull__init (&request->header.pull);
    request->header.pull.number = request->number;
    session_ask (self, request);
}

void
adr_session_control (adr_session_t *self, const adr_id_t *node, Adr__ControlAction action, uint32_t for_ms,
                     uint32_t limit_ms, adr_reply_fn *done, void *argument)
{
    session_request_t *request = session_begin (self, ADR__KIND__CONTROL, sizeof node->bytes, limit_ms, done, argument);
    if (!request)
        return;
    adr_buffer_append (&request->bytes, node->bytes, sizeof node->bytes);
    Adr__Control *control = &request->header.control;
    adr__control__init (control);
    control->number = request->number;
    control->node = (ProtobufCBinaryData){ sizeof node->bytes, request->bytes.data };
    control->action = action;
    control->for_ms = for_ms;
    session_ask (self, request);
}

void
adr_session_recover (adr_session_t *self, adr_bytes_t statement, uint32_t limit_ms, adr_reply_fn *done, void *argument)
{
    session_request_t *request = session_begin (self, ADR__KIND__CONTROL, statement.size, limit_ms, done, argument);
    if (!request)
        return;
    adr_buffer_append (&request->bytes, statement.data, statement.size);
    Adr__Control *control = &request->header.control;
    adr__control__init (control);
    control->number = request->number;
    control->action = ADR__CONTROL_ACTION__RECOVER;
    control->recovery = (ProtobufCBinaryData){ statement.size, request->bytes.data };
    session_ask (self, request);
}

/* A text of the request's own, at the end of its buffer, which has room for it. */
static char *
s_own_text (session_request_t *request, const char *text)
{
    char *at = (char *) request->bytes.data + request->bytes.size;
    adr_buffer_append (&request->bytes, text, strlen (text) + 1);
    return at;
}

/* What a token's terms take there. */
static size_t
s_token_size (const Adr__Token *terms)
{
    return terms->token_key.len + strlen (terms->zone_name) + strlen (terms->group_name) + strlen (terms->name) + 3;
}

static void
s_own_token (session_request_t *request, Adr__Token *token, const Adr__Token *terms)
{
    adr__token__init (token);
    token->token_key = (ProtobufCBinaryData){ terms->token_key.len, request->bytes.data + request->bytes.size };
    adr_buffer_append (&request->bytes, terms->token_key.data, terms->token_key.len);
    token->type = terms->type;
    token->valid_ms = terms->valid_ms;
    token->zone_name = s_own_text (request, terms->zone_name);
    token->group_name = s_own_text (request, terms->group_name);
    token->name = s_own_text (request, terms->name);
}

void
adr_session_token (adr_session_t *self, Adr__ControlAction action, const Adr__Token *terms, uint32_t limit_ms, adr_reply_fn *done,
                   void *argument)
{
    size_t size = sizeof *terms + s_token_size (terms);
    session_request_t *request = session_begin (self, ADR__KIND__CONTROL, size, limit_ms, done, argument);
    if (!request)
        return;
    (void) adr_buffer_grow (&request->bytes, size); /* now, so that what points into it stays true */
    adr_buffer_clear (&request->bytes);
    Adr__Token *token = (Adr__Token *) (void *) adr_buffer_grow (&request->bytes, sizeof *token);
    s_own_token (request, token, terms);
    Adr__Control *control = &request->header.control;
    adr__control__init (control);
    control->number = request->number;
    control->action = action;
    control->token = token;
    session_ask (self, request);
}

void
adr_session_group (adr_session_t *self, const Adr__Token *terms, size_t count, uint32_t limit_ms, adr_reply_fn *done, void *argument)
{
    size_t size = count * (sizeof *terms + sizeof (Adr__Token *));
    for (size_t i = 0; i < count; i++)
        size += s_token_size (&terms[i]);
    session_request_t *request = session_begin (self, ADR__KIND__CONTROL, size, limit_ms, done, argument);
    if (!request)
        return;
    (void) adr_buffer_grow (&request->bytes, size); /* now, so that what points into it stays true */
    adr_buffer_clear (&request->bytes);
    Adr__Token *token = (Adr__Token *) (void *) adr_buffer_grow (&request->bytes, count * sizeof *token);
    Adr__Token **pointer = (Adr__Token **) (void *) adr_buffer_grow (&request->bytes, count * sizeof *pointer);
    for (size_t i = 0; i < count; i++) {
        pointer[i] = &token[i];
        s_own_token (request, &token[i], &terms[i]);
    }
    Adr__Control *control = &request->header.control;
    adr__control__init (control);
    control->number = request->number;
    control->action = ADR__CONTROL_ACTION__GROUP_CREATE;
    control->n_token_set = count;
    control->token_set = pointer;
    session_ask (self, request);
}

/* The message, the credential that lends it its texts, and the question's id. */
typedef struct {
    adr_credential_t credential;
    adr_credential_message_t message;
    adr_id_t question;
} s_key_t;

void
adr_session_key (adr_session_t *self, Adr__ControlAction action, const adr_credential_t *credential, const adr_id_t *question,
                 uint32_t limit_ms, adr_reply_fn *done, void *argument)
{
    session_request_t *request = session_begin (self, ADR__KIND__CONTROL, sizeof (s_key_t), limit_ms, done, argument);
    if (!request)
        return;
    s_key_t *key = (s_key_t *) (void *) adr_buffer_grow (&request->bytes, sizeof *key);
    key->credential = *credential;
    key->question = *question;
    Adr__Control *control = &request->header.control;
    adr__control__init (control);
    control->number = request->number;
    control->action = action;
    control->credential = adr_credential_fill (&key->message, &key->credential, ADR_CREDENTIAL_CLEAR);
    control->credential->question = adr_id_view (&key->question);
    request->secret = true;
    session_ask (self, request);
}

/* Messages, the array that points to them, and the settings that lend them their names. */
typedef struct {
    Adr__Setting message[ADR_SETTINGS_MAX], *pointer[ADR_SETTINGS_MAX];
    adr_setting_t setting[ADR_SETTINGS_MAX];
} s_settings_t;

void
adr_session_settings (adr_session_t *self, Adr__ControlAction action, const adr_setting_t *settings, uint32_t count, uint64_t if_epoch,
                      uint32_t limit_ms, adr_reply_fn *done, void *argument)
{
    adr_assert (count <= ADR_SETTINGS_MAX);
    session_request_t *request = session_begin (self, ADR__KIND__CONTROL, sizeof (s_settings_t), limit_ms, done, argument);
    if (!request)
        return;
    s_settings_t *own = (s_settings_t *) (void *) adr_buffer_grow (&request->bytes, sizeof *own);
    for (uint32_t i = 0; i < count; i++) {
        own->setting[i] = settings[i];
        own->pointer[i] = &own->message[i];
        adr__setting__init (&own->message[i]);
        own->message[i].name = own->setting[i].name;
        own->message[i].value = settings[i].value;
    }
    Adr__Control *control = &request->header.control;
    adr__control__init (control);
    control->number = request->number;
    control->action = action;
    control->n_setting = count;
    control->setting = own->pointer;
    control->if_epoch = if_epoch;
    session_ask (self, request);
}

void
adr_session_defer (adr_session_t *self, adr_reply_fn *done, void *argument)
{
    pthread_mutex_lock (&self->lock);
    session_refuse (self, ADR_STATUS_OK, "", done, argument);
}
