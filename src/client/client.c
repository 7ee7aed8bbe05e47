/* SPDX-License-Identifier: MPL-2.0 */
/* libadrestia: the client's thread, blocking calls, key-value: see include/adrestia.h.
 *
 * Owns: one thread that owns the connection, and a session that any thread may ask. Makes durable: nothing. Assumes: the
 * caller destroys a client when no thread is in a call of it any more.
 *
 * The thread sleeps in zmq_poll. Who asks puts the request into the session and writes the eventfd once; what gathers
 * until the thread wakes leaves in one pack. */

#include "client/client.h"

#include "core/actor.h"
#include "wire/map_codec.h"

#include <errno.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>
#include <zmq.h>

#define S_BYTES_MAX (256 * 1024 * 1024) /* requests of one client that wait; more is refused as busy */
#define S_RECEIVE_MAX 256               /* packs before requests get their turn */
#define S_SPACE_MAX 63
#define S_KEY_MAX 1024
#define S_NODES_MAX 512                 /* asked at once; an edge holds no more [EDGE-7] */

/* The last failure of this thread's blocking calls, and whose it was. */
static _Thread_local char s_error[240];
static _Thread_local const adr_client_t *s_error_of;

/* --- results -------------------------------------------------------------------------------------------------- */

const char *
adr_result_name (adr_result_t result)
{
    switch (result) {
    case ADR_OK:
        return "ok";
    case ADR_NOT_FOUND:
        return "not found";
    case ADR_CONFLICT:
        return "conflict";
    case ADR_REFUSED:
        return "refused, not done";
    case ADR_UNKNOWN:
        return "timeout, outcome unknown";
    case ADR_LOCKED:
        return "locked";
    case ADR_TIMEOUT:
        return "timeout";
    case ADR_INVALID:
        return "invalid";
    case ADR_DENIED:
        return "denied";
    case ADR_DAMAGED:
        return "damaged";
    case ADR_FULL:
        return "full, not done";
    case ADR_UNREACHABLE:
        return "no edge can be reached";
    }
    return "unknown result";
}

adr_result_t
adr_result_of (adr_status_t status, bool unsent)
{
    if (unsent && (status == ADR_STATUS_REFUSED || status == ADR_STATUS_TIMEOUT))
        return ADR_UNREACHABLE;
    switch (status) {
    case ADR_STATUS_OK:
        return ADR_OK;
    case ADR_STATUS_NOT_FOUND:
        return ADR_NOT_FOUND;
    case ADR_STATUS_CONFLICT:
        return ADR_CONFLICT;
    case ADR_STATUS_REFUSED:
    case ADR_STATUS_NOT_MASTER:
        return ADR_REFUSED;
    case ADR_STATUS_UNKNOWN:
    case ADR_STATUS_COUNT:
        return ADR_UNKNOWN;
    case ADR_STATUS_LOCKED:
        return ADR_LOCKED;
    case ADR_STATUS_TIMEOUT:
        return ADR_TIMEOUT;
    case ADR_STATUS_INVALID:
        return ADR_INVALID;
    case ADR_STATUS_DENIED:
        return ADR_DENIED;
    case ADR_STATUS_DAMAGED:
        return ADR_DAMAGED;
    case ADR_STATUS_FULL:
        return ADR_FULL;
    }
    return ADR_UNKNOWN;
}

static adr_client_version_t
s_version_of (adr_version_t version)
{
    return (adr_client_version_t){ version.epoch, version.term, version.index };
}

/* --- the thread ----------------------------------------------------------------------------------------------- */

static int64_t
s_now (void)
{
    struct timespec now;
    clock_gettime (CLOCK_BOOTTIME, &now);
    return now.tv_sec * INT64_C (1000000000) + now.tv_nsec;
}

static void
s_wake (void *transport)
{
    adr_client_t *self = transport;
    uint64_t one = 1;
    ssize_t written = write (self->wake_file, &one, sizeof one);
    (void) written; /* full means that a wake is on its way already */
}

/* The session knows the client as its transport, because it must also be woken through it. */
static bool
s_send (void *transport, adr_bytes_t pack)
{
    adr_client_t *self = transport;
    return adr_connection_send (self->connection, pack);
}

static long
s_poll_ms (adr_client_t *self, int64_t now_ns)
{
    int64_t at = adr_session_wake_at (self->session), other = adr_connection_wake_at (self->connection);
    if (other < at)
        at = other;
    if (at == ADR_NEVER)
        return -1;
    return at <= now_ns ? 0 : (long) ((at - now_ns + ADR_MS - 1) / ADR_MS);
}

static void
s_poll (adr_client_t *self)
{
    zmq_pollitem_t items[3] = { { .fd = self->wake_file, .events = ZMQ_POLLIN } };
    int count = 1;
    if (adr_connection_socket (self->connection)) {
        items[count++] = (zmq_pollitem_t){ .socket = adr_connection_socket (self->connection),
                                           .events = ZMQ_POLLIN };
        items[count++] = (zmq_pollitem_t){ .socket = adr_connection_monitor (self->connection),
                                           .events = ZMQ_POLLIN };
    }
    zmq_poll (items, count, s_poll_ms (self, s_now ()));
    if (items[0].revents) {
        uint64_t woken;
        ssize_t got = read (self->wake_file, &woken, sizeof woken);
        (void) got;
    }
}

static void *
s_thread (void *argument)
{
    adr_client_t *self = argument;
    while (!__atomic_load_n (&self->stop, __ATOMIC_ACQUIRE)) {
        adr_connection_tick (self->connection, s_now ());
        adr_connection_receive (self->connection, S_RECEIVE_MAX);
        adr_session_tick (self->session, s_now ());
        s_poll (self);
    }
    return NULL;
}

/* --- life ----------------------------------------------------------------------------------------------------- */

static adr_client_t *
s_start (adr_client_t *self, char *error, size_t error_size)
{
    uint64_t seed;
    randombytes_buf (&seed, sizeof seed);
    self->wake_file = eventfd (0, EFD_NONBLOCK | EFD_CLOEXEC);
    self->context = zmq_ctx_new ();
    if (self->wake_file < 0 || !self->context) {
        snprintf (error, error_size, "%s", strerror (errno));
        adr_client_destroy (&self);
        return NULL;
    }
    self->connection = adr_connection_new (self->context, &self->profile, 0);
    self->session = adr_session_new (&self->profile.cluster, &self->profile.node, seed, S_BYTES_MAX, s_send, self);
    adr_session_set_wake (self->session, s_wake);
    adr_connection_attach (self->connection, self->session);
    if (pthread_create (&self->thread, NULL, s_thread, self) != 0) {
        snprintf (error, error_size, "no thread can be started");
        self->thread = 0;
        adr_client_destroy (&self);
        return NULL;
    }
    return self;
}

adr_client_t *
adr_client_open (const char *profile_path, char *error, size_t error_size)
{
    char text[512] = "", path[512];
    adr_client_t *self = adr_alloc (sizeof *self);
    self->wake_file = -1;
    bool good = sodium_init () >= 0;
    if (good && !profile_path) {
        good = adr_profile_default (path, sizeof path);
        profile_path = path;
        if (!good)
            snprintf (text, sizeof text, "no profile: neither ADRESTIA_PROFILE nor HOME is set");
    }
    good = good && adr_profile_read (&self->profile, profile_path, text, sizeof text);
    if (good)
        self = s_start (self, text, sizeof text);
    else
        adr_client_destroy (&self);
    if (!self && error && error_size)
        snprintf (error, error_size, "%s", text);
    return self;
}

void
adr_client_destroy (adr_client_t **self_p)
{
    adr_client_t *self = *self_p;
    if (!self)
        return;
    *self_p = NULL;
    __atomic_store_n (&self->stop, true, __ATOMIC_RELEASE);
    if (self->thread) {
        s_wake (self);
        pthread_join (self->thread, NULL);
    }
    adr_session_destroy (&self->session);
    adr_connection_destroy (&self->connection);
    if (self->context)
        zmq_ctx_term (self->context);
    if (self->wake_file >= 0)
        close (self->wake_file);
    adr_profile_wipe (&self->profile);
    free (self);
}

void
adr_client_set_timeout (adr_client_t *self, uint32_t timeout_ms)
{
    adr_session_set_limit (self->session, timeout_ms);
}

const char *
adr_client_error (const adr_client_t *self)
{
    return s_error_of == self ? s_error : "";
}

/* --- blocking calls ------------------------------------------------------------------------------------------- */

void
adr_call_init (adr_call_t *call, adr_client_t *client)
{
    *call = (adr_call_t){ .client = client };
    pthread_mutex_init (&call->lock, NULL);
    pthread_cond_init (&call->changed, NULL);
}

void
adr_call_free (adr_call_t *call)
{
    pthread_mutex_destroy (&call->lock);
    pthread_cond_destroy (&call->changed);
    adr_buffer_free (&call->value);
}

/* The caller may leave, and its stack be gone, as soon as the lock is given up. */
static void
s_call_end (adr_call_t *call, adr_status_t status, const char *text, bool unsent)
{
    pthread_mutex_lock (&call->lock);
    call->status = status;
    call->unsent = unsent;
    if (unsent)
        snprintf (call->text, sizeof call->text, "%.60s (%.170s)", text,
                  adr_connection_problem (call->client->connection));
    else
        snprintf (call->text, sizeof call->text, "%s", text[0] ? text : adr_result_name (adr_result_of (status, false)));
    call->done = true;
    pthread_cond_signal (&call->changed);
    pthread_mutex_unlock (&call->lock);
}

void
adr_call_end (adr_call_t *call, adr_status_t status, const char *text)
{
    s_call_end (call, status, text, false);
}

void
adr_call_done (void *argument, const adr_reply_t *reply)
{
    adr_call_t *call = argument;
    call->version = reply->version;
    call->time_ms = reply->time_ms;
    call->more = reply->more;
    adr_buffer_clear (&call->value);
    adr_buffer_append (&call->value, reply->value.data, reply->value.size);
    s_call_end (call, reply->status, reply->text, reply->unsent);
}

adr_result_t
adr_call_wait (adr_call_t *call)
{
    pthread_mutex_lock (&call->lock);
    while (!call->done)
        pthread_cond_wait (&call->changed, &call->lock);
    call->done = false;
    pthread_mutex_unlock (&call->lock);
    adr_result_t result = adr_result_of (call->status, call->unsent);
    if (result != ADR_OK)
        adr_call_fail (call->client, result, call->text);
    return result;
}

adr_result_t
adr_call_fail (adr_client_t *client, adr_result_t result, const char *text)
{
    s_error_of = client;
    snprintf (s_error, sizeof s_error, "%s", text);
    return result;
}

adr_map_t *
adr_call_map (adr_client_t *self, adr_result_t *result)
{
    adr_map_t *map = NULL;
    adr_call_t call;
    adr_call_init (&call, self);
    adr_session_map (self->session, 0, adr_call_done, &call);
    *result = adr_call_wait (&call);
    if (*result == ADR_OK && !adr_map_decode (&map, adr_bytes (call.value.data, call.value.size)))
        *result = adr_call_fail (self, ADR_DAMAGED, "the edge's map cannot be read");
    adr_call_free (&call);
    return map;
}

/* --- key-value ------------------------------------------------------------------------------------------------ */

/* space, 0, key; 0 if they are not as they must be. A key may be empty where a prefix is meant. */
static size_t
s_kv_key (uint8_t at[ADR_KEY_MAX], const char *space, const void *key, size_t size, size_t size_min)
{
    size_t space_size = strlen (space);
    if (space_size == 0 || space_size > S_SPACE_MAX || size < size_min || size > S_KEY_MAX)
        return 0;
    memcpy (at, space, space_size + 1);
    if (size)
        memcpy (at + space_size + 1, key, size);
    return space_size + 1 + size;
}

static const char s_bad_key[] = "a space has 1 to 63 bytes, a key 1 to 1,024";

static adr_result_t
s_kv_write (adr_client_t *self, const char *space, const void *key, size_t key_size, adr_session_op_t *op,
            adr_client_version_t *version)
{
    uint8_t at[ADR_KEY_MAX];
    adr_call_t call;
    op->table = ADR_TABLE_KV;
    op->key = adr_bytes (at, s_kv_key (at, space, key, key_size, 1));
    if (op->key.size == 0)
        return adr_call_fail (self, ADR_INVALID, s_bad_key);
    if (op->condition == ADR__CONDITION__VERSION && !version)
        return adr_call_fail (self, ADR_INVALID, "the condition on the version needs one");
    if (op->condition == ADR__CONDITION__VERSION)
        op->version = (adr_version_t){ version->epoch, version->term, version->index };
    adr_call_init (&call, self);
    adr_session_write (self->session, op, 1, 0, adr_call_done, &call);
    adr_result_t result = adr_call_wait (&call);
    if (version && (result == ADR_OK || result == ADR_CONFLICT))
        *version = s_version_of (call.version);
    adr_call_free (&call);
    return result;
}

/* The public numbers are the protocol's. */
static Adr__Condition
s_condition (adr_condition_t condition)
{
    return (Adr__Condition) condition;
}

static Adr__ReadMode
s_mode (adr_read_t mode)
{
    return mode == ADR_READ_LOCAL ? ADR__READ_MODE__LOCAL : ADR__READ_MODE__STRONG;
}

adr_result_t
adr_kv_put (adr_client_t *self, const char *space, const void *key, size_t key_size, const void *value, size_t size,
            adr_condition_t condition, adr_client_version_t *version)
{
    return adr_kv_put_ttl (self, space, key, key_size, value, size, 0, condition, version);
}

adr_result_t
adr_kv_put_ttl (adr_client_t *self, const char *space, const void *key, size_t key_size, const void *value, size_t size,
                uint64_t ttl_ms, adr_condition_t condition, adr_client_version_t *version)
{
    adr_session_op_t op = { .value = adr_bytes (value, size), .ttl_ms = ttl_ms, .condition = s_condition (condition) };
    return s_kv_write (self, space, key, key_size, &op, version);
}

adr_result_t
adr_kv_delete (adr_client_t *self, const char *space, const void *key, size_t key_size, adr_condition_t condition,
               adr_client_version_t *version)
{
    adr_session_op_t op = { .delete_it = true, .condition = s_condition (condition) };
    return s_kv_write (self, space, key, key_size, &op, version);
}

adr_result_t
adr_kv_get (adr_client_t *self, const char *space, const void *key, size_t key_size, adr_read_t mode,
            adr_value_t *value)
{
    uint8_t at[ADR_KEY_MAX];
    adr_call_t call;
    *value = (adr_value_t){ 0 };
    size_t size = s_kv_key (at, space, key, key_size, 1);
    if (size == 0)
        return adr_call_fail (self, ADR_INVALID, s_bad_key);
    adr_call_init (&call, self);
    adr_session_read (self->session, ADR_TABLE_KV, adr_bytes (at, size), s_mode (mode), 0, adr_call_done, &call);
    adr_result_t result = adr_call_wait (&call);
    value->version = s_version_of (call.version);
    if (result == ADR_OK) {
        value->time_ms = call.time_ms;
        value->value = call.value.data ? call.value.data : adr_alloc (1);
        value->size = call.value.size;
        call.value = (adr_buffer_t){ 0 };
    }
    adr_call_free (&call);
    return result;
}

void
adr_value_free (adr_value_t *value)
{
    free (value->value);
    value->value = NULL;
    value->size = 0;
}

/* Hands out the rows of a page and leaves the last key in `after`; false when the caller wants no more. */
static bool
s_give_page (adr_bytes_t page, adr_buffer_t *after, adr_table_row_fn *give, void *argument)
{
    adr_table_row_t row;
    while (adr_list_row_next (&page, &row.key, &row.value, &row.version, &row.time_ms)) {
        adr_buffer_clear (after);
        adr_buffer_append (after, row.key.data, row.key.size);
        if (!give (argument, &row))
            return false;
    }
    return true;
}

adr_result_t
adr_call_list (adr_client_t *self, uint8_t table, adr_bytes_t prefix, adr_bytes_t after, Adr__ReadMode mode, adr_table_row_fn *row,
               void *argument)
{
    adr_buffer_t last = { 0 };
    adr_call_t call;
    adr_result_t result;
    bool more;
    adr_buffer_append (&last, after.data, after.size);
    adr_call_init (&call, self);
    do {
        adr_session_list (self->session, table, prefix, adr_bytes (last.data, last.size), 0, true, mode, 0, adr_call_done, &call);
        result = adr_call_wait (&call);
        more = result == ADR_OK && s_give_page (adr_bytes (call.value.data, call.value.size), &last, row, argument) && call.more
               && call.value.size > 0;
    } while (more);
    adr_call_free (&call);
    adr_buffer_free (&last);
    return result;
}

typedef struct {
    size_t space_size;
    adr_kv_row_fn *row;
    void *argument;
} s_kv_rows_t;

static bool
s_give_kv (void *argument, const adr_table_row_t *row)
{
    const s_kv_rows_t *rows = argument;
    if (row->key.size <= rows->space_size + 1)
        return true;
    adr_value_t value = { s_version_of (row->version), row->time_ms, (void *) row->value.data, row->value.size };
    return rows->row (rows->argument, row->key.data + rows->space_size + 1, row->key.size - rows->space_size - 1, &value);
}

adr_result_t
adr_kv_list (adr_client_t *self, const char *space, const void *prefix, size_t prefix_size, const void *after,
             size_t after_size, adr_read_t mode, adr_kv_row_fn *row, void *argument)
{
    uint8_t prefix_key[ADR_KEY_MAX], after_key[ADR_KEY_MAX];
    size_t size = s_kv_key (prefix_key, space, prefix, prefix_size, 0), before = 0;
    if (size > 0 && after)
        before = s_kv_key (after_key, space, after, after_size, 0);
    if (size == 0 || (after && before == 0))
        return adr_call_fail (self, ADR_INVALID, s_bad_key);
    s_kv_rows_t rows = { strlen (space), row, argument };
    return adr_call_list (self, ADR_TABLE_KV, adr_bytes (prefix_key, size), adr_bytes (after_key, before), s_mode (mode), s_give_kv, &rows);
}

typedef struct {
    adr_audit_row_fn *row;
    void *argument;
} s_audit_rows_t;

static bool
s_give_audit (void *argument, const adr_table_row_t *row)
{
    const s_audit_rows_t *rows = argument;
    return rows->row (rows->argument, (const char *) row->value.data, row->value.size, row->time_ms);
}

adr_result_t
adr_audit_list (adr_client_t *self, adr_audit_row_fn *row, void *argument)
{
    s_audit_rows_t rows = { row, argument };
    return adr_call_list (self, ADR_TABLE_AUDIT, adr_bytes (NULL, 0), adr_bytes (NULL, 0), ADR__READ_MODE__STRONG, s_give_audit, &rows);
}

/* --- asynchronous --------------------------------------------------------------------------------------------- */

typedef struct {
    adr_done_fn *done;
    void *argument;
    bool is_get;
} s_start_t;

static void
s_started_done (void *argument, const adr_reply_t *reply)
{
    s_start_t *start = argument;
    adr_client_version_t version = s_version_of (reply->version);
    adr_value_t value = { version, reply->time_ms, (void *) reply->value.data, reply->value.size };
    adr_result_t result = adr_result_of (reply->status, reply->unsent);
    start->done (start->argument, result, &version, start->is_get && result == ADR_OK ? &value : NULL);
    free (start);
}

static s_start_t *
s_start_new (adr_done_fn *done, void *argument, bool is_get)
{
    s_start_t *start = adr_alloc (sizeof *start);
    *start = (s_start_t){ done, argument, is_get };
    return start;
}

/* What is wrong is passed on as an empty key, which the session answers as INVALID on the client's thread. */
void
adr_kv_start_put (adr_client_t *self, const char *space, const void *key, size_t key_size, const void *value,
                  size_t size, adr_condition_t condition, const adr_client_version_t *version, adr_done_fn *done,
                  void *argument)
{
    uint8_t at[ADR_KEY_MAX];
    adr_session_op_t op = { .table = ADR_TABLE_KV, .value = adr_bytes (value, size),
                            .key = adr_bytes (at, s_kv_key (at, space, key, key_size, 1)),
                            .condition = s_condition (condition) };
    if (version)
        op.version = (adr_version_t){ version->epoch, version->term, version->index };
    else if (condition == ADR_IF_VERSION)
        op.key.size = 0;
    adr_session_write (self->session, &op, 1, 0, s_started_done, s_start_new (done, argument, false));
}

void
adr_kv_start_get (adr_client_t *self, const char *space, const void *key, size_t key_size, adr_read_t mode,
                  adr_done_fn *done, void *argument)
{
    uint8_t at[ADR_KEY_MAX];
    size_t at_size = s_kv_key (at, space, key, key_size, 1);
    adr_session_read (self->session, ADR_TABLE_KV, adr_bytes (at, at_size), s_mode (mode), 0, s_started_done,
                      s_start_new (done, argument, true));
}

/* --- the cluster ---------------------------------------------------------------------------------------------- */

adr_result_t
adr_cluster_map (adr_client_t *self, char **json)
{
    adr_call_t call;
    *json = NULL;
    adr_call_init (&call, self);
    adr_session_map (self->session, 0, adr_call_done, &call);
    adr_result_t result = adr_call_wait (&call);
    if (result == ADR_OK) {
        *json = adr_map_json (adr_bytes (call.value.data, call.value.size));
        if (!*json)
            result = adr_call_fail (self, ADR_DAMAGED, "the edge's map cannot be read");
    }
    adr_call_free (&call);
    return result;
}

/* The same numbers [wire/adrestia.proto]. */
static_assert ((int) ADR_ACTION_REPAIR_RUN == (int) ADR__CONTROL_ACTION__REPAIR_RUN
                   && (int) ADR_ACTION_REPAIR_PAUSE == (int) ADR__CONTROL_ACTION__REPAIR_PAUSE
                   && (int) ADR_ACTION_SCRUB == (int) ADR__CONTROL_ACTION__SCRUB
                   && (int) ADR_ACTION_EVICT == (int) ADR__CONTROL_ACTION__EVICT
                   && (int) ADR_ACTION_DEMOTE == (int) ADR__CONTROL_ACTION__DEMOTE
                   && (int) ADR_ACTION_PROMOTE == (int) ADR__CONTROL_ACTION__PROMOTE,
               "the public numbers are the protocol's");

static void
s_control_begin (adr_client_t *self, adr_call_t *call, adr_action_t action, uint32_t for_ms, const adr_node_answer_t *node)
{
    adr_id_t id;
    adr_call_init (call, self);
    if (adr_id_parse (&id, node->node))
        adr_session_control (self->session, &id, (Adr__ControlAction) action, for_ms, 0, adr_call_done, call);
    else
        adr_call_end (call, ADR_STATUS_INVALID, "that is no node's id");
}

static adr_result_t
s_control_end (adr_call_t *call, adr_node_answer_t *node)
{
    node->result = adr_call_wait (call);
    snprintf (node->text, sizeof node->text, "%s", node->result == ADR_TIMEOUT ? "no answer" : call->text);
    adr_call_free (call);
    return node->result;
}

adr_result_t
adr_nodes_control (adr_client_t *self, adr_action_t action, uint32_t for_ms, adr_node_answer_t *nodes, size_t count)
{
    adr_result_t result = ADR_OK;
    if (count > S_NODES_MAX)
        return adr_call_fail (self, ADR_INVALID, "512 nodes at most");
    adr_call_t *calls = adr_alloc ((count + 1) * sizeof *calls);
    for (size_t i = 0; i < count; i++)
        s_control_begin (self, &calls[i], action, for_ms, &nodes[i]);
    for (size_t i = 0; i < count; i++) {
        adr_result_t one = s_control_end (&calls[i], &nodes[i]);
        if (result == ADR_OK)
            result = one;
    }
    free (calls);
    return result;
}
