/* SPDX-License-Identifier: MPL-2.0 */
/* The inside of a call, shared by the router (s3.c) and the operations (s3_bucket.c, s3_list.c, s3_object.c,
 * s3_delete.c). All of it is guarded by the lock of adr_s3_t, except payload, which belongs to the thread that brings
 * the body. */

#ifndef ADR_S3_CALL_H
#define ADR_S3_CALL_H

#include "client/object.h"
#include "edge/auth.h"
#include "edge/payload.h"
#include "edge/s3.h"
#include "edge/s3_error.h"
#include "edge/xml.h"

#include <pthread.h>

#define ADR_S3_BUCKET_MAX 63
#define ADR_S3_KEY_MAX 1024
#define ADR_S3_PUT_MAX (INT64_C (5) << 30) /* a single put; S3's own bound */
#define ADR_S3_USER_METADATA_MAX 2048      /* names and values together; S3's own bound */

struct adr_s3 {
    pthread_mutex_t lock;
    adr_s3_settings_t settings;
    adr_keyring_t *keyring;
    adr_session_t *session;
    uint64_t next_id;
    uint32_t transfers;
    int64_t ready_asked_ms; /* the last health/ready that went to the cluster, and what came of it */
    bool ready;
    bool draining; /* [EDGE-9] */
};

typedef enum { ADR_S3_SERVICE, ADR_S3_BUCKET, ADR_S3_OBJECT } adr_s3_target_t;

/* An operation. `begin` runs when the headers are there, `end` when the body is, whole and verified; either may answer
 * at once or later. Both get who asks: there is no principal but a verified one. */
typedef struct {
    const char *method;
    adr_s3_target_t target;
    const char *subresource; /* the query's parameter that chooses it, or NULL */
    adr_access_t access;     /* what who asks needs of the bucket [KEY-6]; NONE of the service */
    void (*begin) (adr_s3_call_t *call, const adr_principal_t *who);
    void (*end) (adr_s3_call_t *call, const adr_principal_t *who);
    /* Takes content, as much as it has room for; NULL: a small body is gathered in call->body. */
    size_t (*take) (adr_s3_call_t *call, adr_bytes_t content);
    bool etag; /* the MD5 of the content is wanted */
    size_t body_max; /* of a gathered body; 0: ADR_XML_BODY_MAX */
} adr_s3_route_t;

/* All of them. */
const adr_s3_route_t *adr_s3_routes (size_t *count);

struct adr_s3_call {
    adr_s3_t *s3;
    adr_s3_hook_fn *resume;
    void *argument;
    bool paused, woken;
    bool gone;          /* destroyed by its connection while `pending` requests are under way */
    unsigned pending;
    char id[17];
    int64_t now_ms;

    adr_http_request_t request;
    char bucket[ADR_S3_BUCKET_MAX + 1];
    adr_bytes_t key;    /* lent by the request */
    const adr_s3_route_t *route;
    adr_credentials_t *credentials; /* held: this request is judged by them to its end [KEY-5] */
    const adr_principal_t *who;     /* of these */
    adr_auth_result_t auth;
    adr_payload_t *payload;
    adr_buffer_t body;
    bool holds;

    bool answered;
    adr_s3_answer_t answer;

    void *state;        /* the operation's own */
    void (*state_destroy) (adr_s3_call_t *call);
    ssize_t (*read) (adr_s3_call_t *call, void *data, size_t room);
    void (*then) (adr_s3_call_t *call, adr_s3_error_t error); /* after adr_s3_check_bucket */
};

/* --- answers: the first one counts ------------------------------------------------------------------------------- */

void adr_s3_header (adr_s3_call_t *call, const char *name, const char *value);
void adr_s3_fail (adr_s3_call_t *call, adr_s3_error_t error, const char *reason);
/* The document that stands in call->answer.body, or an empty body. */
void adr_s3_done (adr_s3_call_t *call, unsigned status);
void adr_s3_done_xml (adr_s3_call_t *call);
void adr_s3_done_stream (adr_s3_call_t *call, unsigned status, uint64_t size);
void adr_s3_wake (adr_s3_call_t *call);

/* --- requests to the cluster --------------------------------------------------------------------------------------- */

/* Before each request with this call as its argument. */
void adr_s3_ask (adr_s3_call_t *call);
/* First thing in its callback; false: the connection is gone, and so may be the call: return. */
ADR_WARN_UNUSED bool adr_s3_back (adr_s3_call_t *call);
/* The same for an answer that must be OK to go on: any other is told to the client, as `missing` where nothing was found
 * and as `conflict` where the condition did not hold. */
ADR_WARN_UNUSED bool adr_s3_came (adr_s3_call_t *call, adr_status_t status, adr_s3_error_t missing,
                                  adr_s3_error_t conflict);
/* Reads the record of the call's bucket, strongly. */
void adr_s3_read_bucket (adr_s3_call_t *call, adr_reply_fn *done);
/* Reads the bucket's record, then calls `then` with OK, NoSuchBucket, or what went wrong. */
void adr_s3_check_bucket (adr_s3_call_t *call, void (*then) (adr_s3_call_t *call, adr_s3_error_t error));

adr_bytes_t adr_s3_text (const char *text);
/* A header's value as a text, at most room - 1 bytes; false where it is not there, too long, or has a NUL. */
ADR_WARN_UNUSED bool adr_s3_header_text (const adr_s3_call_t *call, const char *name, char *text, size_t room);

/* --- operations ------------------------------------------------------------------------------------------------------ */

void adr_s3_list_buckets (adr_s3_call_t *call, const adr_principal_t *who);
void adr_s3_create_bucket (adr_s3_call_t *call, const adr_principal_t *who);
void adr_s3_head_bucket (adr_s3_call_t *call, const adr_principal_t *who);
void adr_s3_delete_bucket (adr_s3_call_t *call, const adr_principal_t *who);
void adr_s3_bucket_location (adr_s3_call_t *call, const adr_principal_t *who);
void adr_s3_list_objects (adr_s3_call_t *call, const adr_principal_t *who);
void adr_s3_put_object_begin (adr_s3_call_t *call, const adr_principal_t *who);
size_t adr_s3_put_object_take (adr_s3_call_t *call, adr_bytes_t content);
void adr_s3_put_object_end (adr_s3_call_t *call, const adr_principal_t *who);
void adr_s3_get_object (adr_s3_call_t *call, const adr_principal_t *who);
void adr_s3_delete_objects (adr_s3_call_t *call, const adr_principal_t *who);
void adr_s3_delete_object (adr_s3_call_t *call, const adr_principal_t *who);

#endif
