/* SPDX-License-Identifier: MPL-2.0 */
/* The router of S3: see s3.h. From the request's path and query to an operation of the table below; authentication,
 * payload and answer in between are the same for all of them.
 *
 *     NEW --begin--> (health) answered
 *                    BODY --end--> ENDED --> answered --> read ... destroy
 *                      `-- a failure --> answered; the rest of the body is forgotten */

#include "edge/s3_call.h"

#include <gnutls/crypto.h>
#include <gnutls/gnutls.h>
#include <stdio.h>
#include <stdlib.h>

/* No bucket can be called so: its names begin with a letter or a digit. */
#define HEALTH_LIVE "/_adrestia/health/live"
#define HEALTH_READY "/_adrestia/health/ready"
/* One question to the cluster answers all who ask for readiness meanwhile: it needs no key, and shall cost little. */
#define READY_INTERVAL_MS 500
#define READY_LIMIT_MS 1000
#define TRANSFERS_MAX 128

static const adr_s3_route_t s_routes[] = {
    /* method, target, sub-resource, what it needs of its bucket [KEY-6], begin, end, take, etag, body_max */
    { "GET", ADR_S3_SERVICE, NULL, ADR_ACCESS_NONE, NULL, adr_s3_list_buckets, NULL, false, 0 },
    { "PUT", ADR_S3_BUCKET, NULL, ADR_ACCESS_OWNER, NULL, adr_s3_create_bucket, NULL, false, 0 },
    { "HEAD", ADR_S3_BUCKET, NULL, ADR_ACCESS_READ, NULL, adr_s3_head_bucket, NULL, false, 0 },
    { "DELETE", ADR_S3_BUCKET, NULL, ADR_ACCESS_OWNER, NULL, adr_s3_delete_bucket, NULL, false, 0 },
    { "GET", ADR_S3_BUCKET, NULL, ADR_ACCESS_READ, NULL, adr_s3_list_objects, NULL, false, 0 },
    { "GET", ADR_S3_BUCKET, "location", ADR_ACCESS_READ, NULL, adr_s3_bucket_location, NULL, false, 0 },
    { "POST", ADR_S3_BUCKET, "delete", ADR_ACCESS_WRITE, NULL, adr_s3_delete_objects, NULL, false, ADR_XML_DELETE_MAX },
    { "PUT", ADR_S3_OBJECT, NULL, ADR_ACCESS_WRITE, adr_s3_put_object_begin, adr_s3_put_object_end, adr_s3_put_object_take, true, 0 },
    { "GET", ADR_S3_OBJECT, NULL, ADR_ACCESS_READ, NULL, adr_s3_get_object, NULL, false, 0 },
    { "HEAD", ADR_S3_OBJECT, NULL, ADR_ACCESS_READ, NULL, adr_s3_get_object, NULL, false, 0 },
    { "DELETE", ADR_S3_OBJECT, NULL, ADR_ACCESS_WRITE, NULL, adr_s3_delete_object, NULL, false, 0 },
};
#define ROUTES (sizeof s_routes / sizeof *s_routes)

/* Parameters that make a request another operation. What has no row above is not implemented. */
static const char *const s_subresources[]
    = { "abac",           "accelerate",   "acl",        "analytics",      "append",
        "attributes",     "cors",         "delete",     "encryption",     "intelligent-tiering",
        "inventory",      "legal-hold",   "lifecycle",  "location",       "logging",
        "metadataConfiguration", "metadataTable", "metrics", "notification", "object-lock",
        "ownershipControls", "partNumber", "policy",    "policyStatus",   "publicAccessBlock",
        "renameObject",   "replication",  "requestPayment", "restore",    "retention",
        "select",         "session",      "tagging",    "torrent",        "uploadId",
        "uploads",        "versioning",   "versions",   "website" };
#define SUBRESOURCES (sizeof s_subresources / sizeof *s_subresources)

const adr_s3_route_t *
adr_s3_routes (size_t *count)
{
    *count = ROUTES;
    return s_routes;
}

/* --- the service -------------------------------------------------------------------------------------------------- */

adr_s3_t *
adr_s3_new (const adr_s3_settings_t *settings, adr_keyring_t *keyring, adr_session_t *session)
{
    adr_s3_t *self = adr_alloc (sizeof *self);
    pthread_mutex_init (&self->lock, NULL);
    self->settings = *settings;
    if (self->settings.transfers_max == 0)
        self->settings.transfers_max = TRANSFERS_MAX;
    adr_assert (settings->region && strlen (settings->region) >= 1 && strlen (settings->region) <= ADR_AUTH_REGION_MAX);
    self->keyring = keyring;
    self->session = session;
    self->ready_asked_ms = INT64_MIN / 2;
    int rc = gnutls_rnd (GNUTLS_RND_NONCE, &self->next_id, sizeof self->next_id);
    adr_assert (rc == 0);
    return self;
}

void
adr_s3_destroy (adr_s3_t **self_p)
{
    adr_s3_t *self = *self_p;
    if (!self)
        return;
    pthread_mutex_destroy (&self->lock);
    free (self);
    *self_p = NULL;
}

void
adr_s3_lock (adr_s3_t *self)
{
    pthread_mutex_lock (&self->lock);
}

void
adr_s3_unlock (adr_s3_t *self)
{
    pthread_mutex_unlock (&self->lock);
}

void
adr_s3_drain (adr_s3_t *self, bool draining)
{
    adr_s3_lock (self);
    self->draining = draining;
    adr_s3_unlock (self);
}

bool
adr_s3_is_draining (adr_s3_t *self)
{
    adr_s3_lock (self);
    bool draining = self->draining;
    adr_s3_unlock (self);
    return draining;
}

/* --- a call's life ------------------------------------------------------------------------------------------------ */

adr_s3_call_t *
adr_s3_call_new (adr_s3_t *s3, adr_s3_hook_fn *resume, void *argument)
{
    adr_s3_call_t *self = adr_alloc (sizeof *self);
    self->s3 = s3;
    self->resume = resume;
    self->argument = argument;
    uint64_t id = __atomic_fetch_add (&s3->next_id, UINT64_C (0x9e3779b97f4a7c15), __ATOMIC_RELAXED);
    snprintf (self->id, sizeof self->id, "%016llX", (unsigned long long) id);
    return self;
}

static void
s_free (adr_s3_call_t *self)
{
    adr_http_request_free (&self->request);
    adr_buffer_free (&self->body);
    adr_buffer_free (&self->answer.headers);
    adr_buffer_free (&self->answer.body);
    gnutls_memset (&self->auth, 0, sizeof self->auth);
    adr_credentials_destroy (&self->credentials);
    free (self);
}

void
adr_s3_call_destroy (adr_s3_call_t **self_p)
{
    adr_s3_call_t *self = *self_p;
    if (!self)
        return;
    *self_p = NULL;
    adr_s3_t *s3 = self->s3;
    adr_s3_lock (s3);
    if (self->state)
        self->state_destroy (self);
    self->state = NULL;
    adr_payload_destroy (&self->payload);
    self->gone = true;
    if (self->pending == 0)
        s_free (self);
    adr_s3_unlock (s3);
}

adr_http_request_t *
adr_s3_call_request (adr_s3_call_t *self)
{
    return &self->request;
}

const char *
adr_s3_call_id (const adr_s3_call_t *self)
{
    return self->id;
}

void
adr_s3_wake (adr_s3_call_t *self)
{
    self->woken = true;
    if (!self->paused)
        return;
    self->paused = false;
    self->woken = false;
    self->resume (self->argument);
}

bool
adr_s3_call_pause (adr_s3_call_t *self, adr_s3_hook_fn *suspend)
{
    adr_s3_lock (self->s3);
    bool pause = !self->woken;
    self->woken = false;
    self->paused = pause;
    if (pause)
        suspend (self->argument);
    adr_s3_unlock (self->s3);
    return pause;
}

void
adr_s3_ask (adr_s3_call_t *call)
{
    call->pending++;
}

bool
adr_s3_back (adr_s3_call_t *call)
{
    adr_assert (call->pending > 0);
    call->pending--;
    if (!call->gone)
        return true;
    if (call->pending == 0)
        s_free (call);
    return false;
}

bool
adr_s3_came (adr_s3_call_t *call, adr_status_t status, adr_s3_error_t missing, adr_s3_error_t conflict)
{
    if (!adr_s3_back (call))
        return false;
    if (status != ADR_STATUS_OK)
        adr_s3_fail (call, adr_s3_error_of (status, missing, conflict), NULL);
    return status == ADR_STATUS_OK;
}

/* --- answers ------------------------------------------------------------------------------------------------------ */

void
adr_s3_header (adr_s3_call_t *call, const char *name, const char *value)
{
    if (call->answered)
        return;
    adr_buffer_append (&call->answer.headers, name, strlen (name) + 1);
    adr_buffer_append (&call->answer.headers, value, strlen (value) + 1);
}

static void
s_answer (adr_s3_call_t *call, unsigned status)
{
    call->answer.status = status;
    call->answered = true;
    call->holds = false;
    adr_s3_wake (call);
}

void
adr_s3_done (adr_s3_call_t *call, unsigned status)
{
    if (!call->answered)
        s_answer (call, status);
}

void
adr_s3_done_xml (adr_s3_call_t *call)
{
    adr_s3_header (call, "Content-Type", "application/xml");
    adr_s3_done (call, 200);
}

void
adr_s3_done_stream (adr_s3_call_t *call, unsigned status, uint64_t size)
{
    if (call->answered)
        return;
    call->answer.streamed = true;
    call->answer.stream_size = size;
    s_answer (call, status);
}

static void
s_write_error (adr_s3_call_t *call, adr_s3_error_t error, const char *reason)
{
    adr_buffer_t *to = &call->answer.body;
    adr_xml_begin (to, "Error", false);
    adr_xml_text (to, "Code", adr_s3_error_code (error));
    adr_xml_text (to, "Message", reason ? reason : adr_s3_error_message (error));
    if (call->bucket[0])
        adr_xml_text (to, "BucketName", call->bucket);
    if (call->key.size)
        adr_xml_bytes (to, "Key", call->key);
    if (error == ADR_S3_AuthorizationHeaderMalformed)
        adr_xml_text (to, "Region", call->s3->settings.region);
    adr_xml_bytes (to, "Resource", call->request.raw_path);
    adr_xml_text (to, "RequestId", call->id);
    adr_xml_text (to, "HostId", "adrestia");
    adr_xml_close (to, "Error");
}

void
adr_s3_fail (adr_s3_call_t *call, adr_s3_error_t error, const char *reason)
{
    if (call->answered)
        return;
    unsigned status = adr_s3_error_status (error);
    adr_buffer_clear (&call->answer.body);
    if (status == 503)
        adr_s3_header (call, "Retry-After", "1");
    if (status != 304) {
        adr_s3_header (call, "Content-Type", "application/xml");
        s_write_error (call, error, reason);
    }
    s_answer (call, status);
}

const adr_s3_answer_t *
adr_s3_call_answer (adr_s3_call_t *self)
{
    adr_s3_lock (self->s3);
    bool answered = self->answered;
    adr_s3_unlock (self->s3);
    return answered ? &self->answer : NULL;
}

ssize_t
adr_s3_call_read (adr_s3_call_t *self, void *data, size_t room)
{
    adr_s3_lock (self->s3);
    ssize_t got = self->read ? self->read (self, data, room) : -2;
    adr_s3_unlock (self->s3);
    return got;
}

adr_bytes_t
adr_s3_text (const char *text)
{
    return adr_bytes (text, strlen (text));
}

bool
adr_s3_header_text (const adr_s3_call_t *call, const char *name, char *text, size_t room)
{
    adr_bytes_t value = adr_http_header (&call->request, name);
    if (!value.data || value.size >= room || memchr (value.data, 0, value.size))
        return false;
    memcpy (text, value.data, value.size);
    text[value.size] = '\0';
    return true;
}

/* --- health: no key is needed ------------------------------------------------------------------------------------- */

static void
s_answer_ready (adr_s3_call_t *call, bool ready)
{
    adr_s3_header (call, "Content-Type", "text/plain");
    adr_buffer_append (&call->answer.body, ready ? "ready\n" : "not ready\n", ready ? 6 : 10);
    adr_s3_done (call, ready ? 200 : 503);
}

static void
s_on_ready (void *argument, const adr_reply_t *reply)
{
    adr_s3_call_t *call = argument;
    call->s3->ready = reply->status == ADR_STATUS_OK || reply->status == ADR_STATUS_NOT_FOUND;
    bool ready = call->s3->ready;
    if (adr_s3_back (call))
        s_answer_ready (call, ready);
}

/* Ready is who can read strongly: a record that no bucket can have is asked for. */
static void
s_health_ready (adr_s3_call_t *call)
{
    adr_s3_t *s3 = call->s3;
    if (s3->draining) { /* [EDGE-9] a load balancer sends nothing here then */
        s_answer_ready (call, false);
        return;
    }
    if (call->now_ms - s3->ready_asked_ms < READY_INTERVAL_MS && call->now_ms >= s3->ready_asked_ms) {
        s_answer_ready (call, s3->ready);
        return;
    }
    s3->ready_asked_ms = call->now_ms;
    adr_s3_ask (call);
    adr_session_read (s3->session, ADR_TABLE_BUCKET, adr_s3_text ("-"), ADR__READ_MODE__STRONG, READY_LIMIT_MS,
                      s_on_ready, call);
}

static bool
s_health (adr_s3_call_t *call)
{
    if (!adr_http_starts_with (call->request.path, "/_adrestia/"))
        return false;
    bool reads = strcmp (call->request.method, "GET") == 0 || strcmp (call->request.method, "HEAD") == 0;
    if (adr_http_text_equal (call->request.path, HEALTH_LIVE) && reads) {
        adr_s3_header (call, "Content-Type", "text/plain");
        adr_buffer_append (&call->answer.body, "live\n", 5);
        adr_s3_done (call, 200);
    } else if (adr_http_text_equal (call->request.path, HEALTH_READY) && reads)
        s_health_ready (call);
    else
        adr_s3_fail (call, ADR_S3_AccessDenied, NULL);
    return true;
}

/* --- what is meant ------------------------------------------------------------------------------------------------ */

static bool
s_is_alnum (uint8_t c)
{
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
}

/* Four groups of digits: an address, not a name. */
static bool
s_looks_like_address (adr_bytes_t name)
{
    unsigned dots = 0;
    for (size_t i = 0; i < name.size; i++)
        if (name.data[i] == '.')
            dots++;
        else if (name.data[i] < '0' || name.data[i] > '9')
            return false;
    return dots == 3;
}

bool
adr_s3_bucket_name_valid (adr_bytes_t name)
{
    if (name.size < 3 || name.size > ADR_S3_BUCKET_MAX || !s_is_alnum (name.data[0])
        || !s_is_alnum (name.data[name.size - 1]))
        return false;
    for (size_t i = 0; i < name.size; i++) {
        uint8_t c = name.data[i];
        if (!s_is_alnum (c) && c != '-' && c != '.')
            return false;
        if (c == '.' && name.data[i + 1] == '.')
            return false;
    }
    return !s_looks_like_address (name) && !adr_http_starts_with (name, "xn--")
           && !(name.size > 8 && memcmp (name.data + name.size - 8, "-s3alias", 8) == 0);
}

/* bucket.DOMAIN[:port], if a domain is configured. */
static adr_bytes_t
s_bucket_of_host (const adr_s3_call_t *call)
{
    const char *domain = call->s3->settings.domain;
    adr_bytes_t host = adr_http_header (&call->request, "host"), none = { NULL, 0 };
    if (!domain || !*domain || !host.data)
        return none;
    const uint8_t *colon = memchr (host.data, ':', host.size);
    if (colon)
        host.size = (size_t) (colon - host.data);
    size_t size = strlen (domain);
    if (host.size < size + 2 || host.data[host.size - size - 1] != '.')
        return none;
    if (!adr_http_text_equal_case (adr_bytes (host.data + host.size - size, size), domain))
        return none;
    return adr_bytes (host.data, host.size - size - 1);
}

/* The raw path's first segment is the bucket; what stands behind the next '/' is the key. An escaped slash is part of
 * the name that it stands in. */
static bool
s_find_target (adr_s3_call_t *call, adr_s3_target_t *target)
{
    adr_bytes_t bucket = s_bucket_of_host (call), path = call->request.path;
    path = adr_bytes (path.data + 1, path.size - 1);
    *target = ADR_S3_SERVICE;
    if (!bucket.data) {
        if (path.size == 0)
            return true;
        adr_bytes_t raw = adr_bytes (call->request.raw_path.data + 1, call->request.raw_path.size - 1);
        const uint8_t *slash = memchr (raw.data, '/', raw.size);
        adr_bytes_t raw_bucket = adr_bytes (raw.data, slash ? (size_t) (slash - raw.data) : raw.size);
        uint8_t decoded[3 * ADR_S3_BUCKET_MAX];
        ssize_t size = raw_bucket.size <= sizeof decoded ? adr_http_decode (decoded, raw_bucket, false) : -1;
        if (size < 0 || (size_t) size > path.size) {
            adr_s3_fail (call, ADR_S3_InvalidBucketName, NULL);
            return false;
        }
        bucket = adr_bytes (path.data, (size_t) size);
        size_t skip = (size_t) size + (slash ? 1 : 0);
        path = adr_bytes (path.data + skip, path.size - skip);
    }
    if (!adr_s3_bucket_name_valid (bucket)) {
        adr_s3_fail (call, ADR_S3_InvalidBucketName, NULL);
        return false;
    }
    memcpy (call->bucket, bucket.data, bucket.size);
    call->key = path;
    *target = path.size ? ADR_S3_OBJECT : ADR_S3_BUCKET;
    if (path.size > ADR_S3_KEY_MAX) {
        call->key.size = 0;
        adr_s3_fail (call, ADR_S3_KeyTooLongError, NULL);
        return false;
    }
    if (!adr_http_utf8 (path)) {
        call->key.size = 0;
        adr_s3_fail (call, ADR_S3_InvalidURI, "The key is not UTF-8.");
        return false;
    }
    return true;
}

static const char *
s_find_subresource (const adr_http_request_t *request)
{
    for (uint32_t i = 0; i < request->parameter_count; i++)
        for (size_t j = 0; j < SUBRESOURCES; j++)
            if (adr_http_text_equal (request->parameter[i].name, s_subresources[j]))
                return s_subresources[j];
    return NULL;
}

static bool
s_same (const char *a, const char *b)
{
    return a && b ? strcmp (a, b) == 0 : a == b;
}

static const adr_s3_route_t *
s_find_route (adr_s3_call_t *call, adr_s3_target_t target)
{
    const char *subresource = s_find_subresource (&call->request);
    for (size_t i = 0; i < ROUTES; i++)
        if (s_routes[i].target == target && s_same (s_routes[i].subresource, subresource)
            && strcmp (s_routes[i].method, call->request.method) == 0)
            return &s_routes[i];
    bool post = strcmp (call->request.method, "POST") == 0;
    if (subresource || (post && target != ADR_S3_SERVICE))
        adr_s3_fail (call, ADR_S3_NotImplemented, NULL);
    else {
        adr_s3_header (call, "Allow", target == ADR_S3_SERVICE ? "GET" : "GET, HEAD, PUT, DELETE");
        adr_s3_fail (call, ADR_S3_MethodNotAllowed, NULL);
    }
    return NULL;
}

/* [KEY-6] */
static bool
s_check_rights (adr_s3_call_t *call)
{
    const adr_s3_route_t *route = call->route;
    if (route->target == ADR_S3_SERVICE || adr_principal_access (call->who, call->bucket) >= route->access)
        return true;
    adr_s3_fail (call, ADR_S3_AccessDenied, NULL);
    return false;
}

/* Objects have one version, "null". */
static bool
s_check_version (adr_s3_call_t *call)
{
    adr_bytes_t version = adr_http_parameter (&call->request, "versionId");
    if (!version.data || version.size == 0 || adr_http_text_equal (version, "null"))
        return true;
    adr_s3_fail (call, ADR_S3_NoSuchVersion, NULL);
    return false;
}

/* --- the request comes -------------------------------------------------------------------------------------------- */

static void
s_begin (adr_s3_call_t *call)
{
    adr_s3_target_t target;
    adr_s3_error_t error;
    const char *reason;
    if (call->request.malformed) {
        adr_s3_fail (call, ADR_S3_InvalidURI, NULL);
        return;
    }
    if (s_health (call))
        return;
    if (call->s3->draining) {
        adr_s3_fail (call, ADR_S3_SlowDown, "This edge is being drained. Ask another one.");
        return;
    }
    call->credentials = adr_keyring_hold (call->s3->keyring);
    call->who = adr_authenticate (call->credentials, call->s3->settings.region, &call->request, call->now_ms,
                                  &call->auth);
    if (!call->who) {
        adr_s3_fail (call, call->auth.error, call->auth.reason);
        return;
    }
    if (!s_find_target (call, &target) || !(call->route = s_find_route (call, target)) || !s_check_rights (call)
        || !s_check_version (call))
        return;
    call->payload = adr_payload_new (&call->request, &call->auth, call->route->etag, &error, &reason);
    if (!call->payload) {
        adr_s3_fail (call, error, reason);
        return;
    }
    if (call->route->begin)
        call->route->begin (call, call->who);
}

void
adr_s3_call_begin (adr_s3_call_t *self, int64_t now_ms)
{
    adr_s3_lock (self->s3);
    self->now_ms = now_ms;
    s_begin (self);
    adr_s3_unlock (self->s3);
}

bool
adr_s3_call_holds (adr_s3_call_t *self)
{
    adr_s3_lock (self->s3);
    bool holds = self->holds;
    adr_s3_unlock (self->s3);
    return holds;
}

static size_t
s_take_small (adr_s3_call_t *call, adr_bytes_t content)
{
    size_t max = call->route->body_max ? call->route->body_max : ADR_XML_BODY_MAX;
    if (call->body.size + content.size > max) {
        adr_s3_fail (call, ADR_S3_MaxMessageLengthExceeded, NULL);
        return 0;
    }
    adr_buffer_append (&call->body, content.data, content.size);
    return content.size;
}

static size_t
s_take (adr_s3_call_t *call, adr_bytes_t content)
{
    return call->route->take ? call->route->take (call, content) : s_take_small (call, content);
}

size_t
adr_s3_call_body (adr_s3_call_t *self, const void *data, size_t size)
{
    adr_bytes_t input = adr_bytes (data, size);
    while (input.size > 0) {
        size_t content = 0, taken = 0;
        bool reads = self->payload != NULL;
        adr_s3_error_t error = reads ? adr_payload_step (self->payload, &input, &content) : ADR_S3_OK;
        adr_s3_lock (self->s3);
        if (error != ADR_S3_OK)
            adr_s3_fail (self, error, NULL);
        if (!self->answered && content > 0)
            taken = s_take (self, adr_bytes (input.data, content));
        bool forget = self->answered || !reads;
        adr_s3_unlock (self->s3);
        if (forget)
            return size;
        if (taken > 0)
            adr_payload_take (self->payload, &input, taken);
        else if (content > 0)
            break;
    }
    return size - input.size;
}

void
adr_s3_call_time_out (adr_s3_call_t *self)
{
    adr_s3_lock (self->s3);
    adr_s3_fail (self, ADR_S3_RequestTimeout, NULL);
    adr_s3_unlock (self->s3);
}

void
adr_s3_call_end (adr_s3_call_t *self)
{
    adr_s3_lock (self->s3);
    bool answered = self->answered || !self->payload;
    adr_s3_unlock (self->s3);
    if (answered)
        return;
    adr_s3_error_t error = adr_payload_end (self->payload);
    adr_s3_lock (self->s3);
    if (error != ADR_S3_OK)
        adr_s3_fail (self, error, NULL);
    else if (!self->answered)
        self->route->end (self, self->who);
    adr_s3_unlock (self->s3);
}
