/* SPDX-License-Identifier: MPL-2.0 */
/* Objects over a session [DESIGN 10]: data first, meta record after; overwritten and deleted objectIds go to the garbage
 * table in the same meta commit. The layouts of their records stand in wire/object_records.h. Used by libadrestia and by the
 * HTTP edge alike; everything is asynchronous, memory for one transfer is bounded by ADR_OBJECT_WINDOW chunks.
 *
 * Callbacks run where adr_session's do, at most one at a time for a transfer, and may call the transfer's functions.
 * Any one thread may drive a transfer. Time limits of the single steps are the session's (adr_session_set_limit).
 *
 * Rules: OBJECT-1 (born pending), OBJECT-2 (deletes after `refused`, never after `unknown`), OBJECT-3 (one referrer),
 * OBJECT-5 (created, never overwritten). */

#ifndef ADR_OBJECT_H
#define ADR_OBJECT_H

#include "client/session.h"
#include "wire/object_records.h"

#include <sys/types.h>

#define ADR_OBJECT_INLINE_MAX (64 * 1024) /* objects up to this size stand whole in their header record */
#define ADR_OBJECT_WINDOW 4               /* chunks of one transfer that wait for their commit, or were read ahead */

/* --- writing ------------------------------------------------------------------------------------------------ */

typedef struct adr_object_writer adr_object_writer_t;
/* `ready`: there is room for data again, or (status other than OK) it has failed; may come more than once. */
typedef void (adr_writer_ready_fn) (void *argument, adr_status_t status, const char *text);
typedef void (adr_writer_done_fn) (void *argument, adr_status_t status, const char *text,
                                   const adr_object_info_t *info);

/* Draws the objectId from `id`; bucket and key are copied. The bucket's existence is checked by the meta commit's
 * caller (S3) or by the first ready (library). */
adr_object_writer_t *adr_object_writer_new (adr_session_t *session, const char *bucket, adr_bytes_t key,
                                            const adr_id_t *id, const adr_attribute_t *attributes, uint32_t count,
                                            adr_writer_ready_fn *ready, void *argument);
/* Takes at most `size` bytes; returns how many it took: fewer when the window is full (wait for ready). */
size_t adr_object_writer_write (adr_object_writer_t *self, const void *data, size_t size);
/* No more data. Commits the header, then the meta record under `condition` (ALWAYS, ABSENT, VERSION), then calls
 * `done` once; the writer is gone after it. `etag` is the hexadecimal MD5 that the caller computed, `modified_ms` the
 * caller's wall clock, for clients to look at: log time (0) may lag behind it by as long as a group wrote nothing. */
void adr_object_writer_end (adr_object_writer_t *self, const char *etag, int64_t modified_ms,
                            Adr__Condition condition, const adr_version_t *version, adr_writer_done_fn *done,
                            void *argument);
/* Gives up: nothing becomes visible, unless the meta record was already on its way. What was uploaded is deleted where
 * its outcome is known [OBJECT-2], and is swept otherwise. No callback comes after it returns: it waits for one that
 * another thread is in. Not after `done`. Takes and nulls. */
void adr_object_writer_abort (adr_object_writer_t **self);

/* --- reading ------------------------------------------------------------------------------------------------ */

typedef struct adr_object_reader adr_object_reader_t;
typedef void (adr_object_info_fn) (void *argument, adr_status_t status, const char *text,
                                   const adr_object_info_t *info);

/* The meta record alone (a tombstone is NOT_FOUND). */
void adr_object_describe (adr_session_t *session, const char *bucket, adr_bytes_t key, adr_object_info_fn *done,
                      void *argument);
/* By objectId: the header record alone. */
void adr_object_describe_by_id (adr_session_t *session, const adr_id_t *id, adr_object_info_fn *done, void *argument);
/* Streams bytes [offset, offset + length) of an object that was described. `ready` says that
 * adr_object_reader_read will give something, or that it failed. */
adr_object_reader_t *adr_object_reader_new (adr_session_t *session, const adr_object_info_t *info, uint64_t offset,
                                            uint64_t length, adr_writer_ready_fn *ready, void *argument);
/* Copies what is there, at most `room`: 0 means wait for ready, or the end when all of the length was given. -1: it
 * failed; ready says why, before or after. */
ssize_t adr_object_reader_read (adr_object_reader_t *self, void *data, size_t room);
/* No callback comes after it returns: it waits for one that another thread is in. */
void adr_object_reader_destroy (adr_object_reader_t **self);

/* Deletes the meta record and releases the object. NOT_FOUND if there was none. */
void adr_object_remove (adr_session_t *session, const char *bucket, adr_bytes_t key, Adr__Condition condition,
                        const adr_version_t *version, adr_object_info_fn *done, void *argument);

#endif
