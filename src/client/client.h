/* SPDX-License-Identifier: MPL-2.0 */
/* What the files of libadrestia share: the client's struct, and how a blocking call waits for its callbacks. */

#ifndef ADR_CLIENT_H
#define ADR_CLIENT_H

#include "adrestia.h"
#include "client/connection.h"
#include "client/object.h"

#include <pthread.h>

struct adr_client {
    adr_profile_t profile;
    void *context; /* ZeroMQ's */
    adr_connection_t *connection; /* the thread's own */
    adr_session_t *session;
    pthread_t thread;
    int wake_file; /* an eventfd */
    bool stop;     /* atomic */
};

/* A blocking call stands on its caller's stack; callbacks change it on the client's thread. */
typedef struct {
    adr_client_t *client;
    pthread_mutex_t lock;
    pthread_cond_t changed;
    bool ready, done;
    adr_status_t status;
    bool unsent;
    adr_version_t version;
    uint64_t time_ms;
    bool more;
    adr_buffer_t value;
    char text[240];
} adr_call_t;

void adr_call_init (adr_call_t *call, adr_client_t *client);
void adr_call_free (adr_call_t *call);
/* An adr_reply_fn whose argument is the call: keeps everything, and ends it. */
void adr_call_done (void *call, const adr_reply_t *reply);
/* Sets the outcome, and ends the call. From a callback. */
void adr_call_end (adr_call_t *call, adr_status_t status, const char *text);
/* Waits until the call is done; leaves the error text for adr_client_error, and returns the result. */
adr_result_t adr_call_wait (adr_call_t *call);
/* Fails a call before anything is asked. */
adr_result_t adr_call_fail (adr_client_t *client, adr_result_t result, const char *text);
/* The edge's map, the caller's to destroy; NULL and the result. */
adr_map_t *adr_call_map (adr_client_t *client, adr_result_t *result);

/* One row of a table; lent for the call. False: no more are wanted. */
typedef struct {
    adr_bytes_t key, value;
    adr_version_t version;
    uint64_t time_ms;
} adr_table_row_t;
typedef bool (adr_table_row_fn) (void *argument, const adr_table_row_t *row);
/* A table's rows under the prefix and behind `after` (which may be empty), page by page; a page is a read of that mode of its own. */
adr_result_t adr_call_list (adr_client_t *client, uint8_t table, adr_bytes_t prefix, adr_bytes_t after, Adr__ReadMode mode,
                            adr_table_row_fn *row, void *argument);

adr_result_t adr_result_of (adr_status_t status, bool unsent);

/* The map as JSON text, the caller's to free (). NULL: the bytes are no map. */
char *adr_map_json (adr_bytes_t encoded);

#endif
