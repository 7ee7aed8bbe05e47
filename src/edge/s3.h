/* SPDX-License-Identifier: MPL-2.0 */
/* S3 over a session: what a request means, and its answer. Knows nothing of the HTTP library; edge.c carries bytes.
 *
 * Owns: the calls that are under way. Makes durable: nothing by itself (the session does). Assumes: one lock guards all
 * calls and the session's callbacks; hashing and framing of bodies run outside it, one thread a call at a time.
 *
 * A call's life: new, headers into its request, begin, body (several), end; at any moment after begin there may be an
 * answer; read gives the bytes of a streamed one; destroy. Whatever cannot go on returns "wait": then pause parks the
 * caller, and `wake` is called, with the lock held, when it is worth another try. */

#ifndef ADR_S3_H
#define ADR_S3_H

#include "client/session.h"
#include "edge/credentials.h"
#include "edge/http.h"

typedef struct {
    const char *region;      /* 1 to 63 characters; the LocationConstraint of this cluster */
    const char *domain;      /* for virtual-host style: bucket.DOMAIN; NULL or empty: path style alone */
    uint32_t limit_ms;       /* of each request to the cluster; 0: the session's own */
    uint32_t transfers_max;  /* puts and gets at a time, each with up to 5 MiB; more hear SlowDown. 0: 128 */
} adr_s3_settings_t;

typedef struct adr_s3 adr_s3_t;
typedef struct adr_s3_call adr_s3_call_t;

typedef struct {
    unsigned status;
    adr_buffer_t headers;  /* name, NUL, value, NUL, again and again */
    adr_buffer_t body;     /* all of it, unless it is a streamed one */
    bool streamed;         /* the body comes from adr_s3_call_read */
    uint64_t stream_size;
} adr_s3_answer_t;

typedef void (adr_s3_hook_fn) (void *argument);

/* Borrows the keyring, the session and the strings of the settings. */
adr_s3_t *adr_s3_new (const adr_s3_settings_t *settings, adr_keyring_t *keyring, adr_session_t *session);
/* No call may be left, except those that only wait for the session, which must have been destroyed. */
void adr_s3_destroy (adr_s3_t **self);
/* [EDGE-9] While it drains, calls that begin are answered SlowDown, and it is not ready; those that have begun end. Not to be called
 * with the lock. */
void adr_s3_drain (adr_s3_t *self, bool draining);
bool adr_s3_is_draining (adr_s3_t *self);
/* Around every use of the session: adr_session_receive, adr_session_tick. */
void adr_s3_lock (adr_s3_t *self);
void adr_s3_unlock (adr_s3_t *self);

/* `resume` undoes the `suspend` of adr_s3_call_pause. */
adr_s3_call_t *adr_s3_call_new (adr_s3_t *self, adr_s3_hook_fn *resume, void *argument);
/* The connection is done or gone: an unfinished upload is given up. Takes and nulls. */
void adr_s3_call_destroy (adr_s3_call_t **self);
/* To be filled before begin. */
adr_http_request_t *adr_s3_call_request (adr_s3_call_t *self);
/* 16 hexadecimal digits, for x-amz-request-id. */
const char *adr_s3_call_id (const adr_s3_call_t *self);

/* All headers are there; `now_ms` is wall time. */
void adr_s3_call_begin (adr_s3_call_t *self, int64_t now_ms);
/* True while it is not sure yet that the body is wanted: the moment to withhold "100 Continue". */
bool adr_s3_call_holds (adr_s3_call_t *self);
/* Takes bytes of the body, at most `size`; fewer: wait. After a failure it takes and forgets. */
size_t adr_s3_call_body (adr_s3_call_t *self, const void *data, size_t size);
/* The rest of the body came too slowly: unless there is an answer, it is RequestTimeout. */
void adr_s3_call_time_out (adr_s3_call_t *self);
/* There are no more bytes. Once. */
void adr_s3_call_end (adr_s3_call_t *self);
/* NULL: wait. Lent until destroy. */
const adr_s3_answer_t *adr_s3_call_answer (adr_s3_call_t *self);
/* Bytes of a streamed answer: how many, 0: wait, -1: it failed, the connection must be cut, -2: the end. */
ssize_t adr_s3_call_read (adr_s3_call_t *self, void *data, size_t room);
/* Calls `suspend` and returns true, unless something happened since the last pause: then try again at once. */
bool adr_s3_call_pause (adr_s3_call_t *self, adr_s3_hook_fn *suspend);

/* True for a name that a bucket may have. */
bool adr_s3_bucket_name_valid (adr_bytes_t name);

#endif
