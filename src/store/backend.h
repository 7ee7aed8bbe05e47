/* SPDX-License-Identifier: MPL-2.0 */
/* What production puts behind disk.h: a folder of segment files, and two LMDB files. Each is made by a call that tells
 * in one line why it could not be; all are destroyed after the store that borrows them.
 *
 * A node's folder: `journal/` for adr_disk_posix, `state.mdb` for adr_state_lmdb, `index.mdb` for adr_index_lmdb. */

#ifndef ADR_BACKEND_H
#define ADR_BACKEND_H

#include "store/disk.h"

/* Segments are files in `folder`, which is made (and its parent synced) if it is not there. One process at a time:
 * NULL and a `why` if another one holds it. */
adr_disk_t *adr_disk_posix_create (const char *folder, char *why, size_t why_size);
void adr_disk_posix_destroy (adr_disk_t **self);

/* The state environment. A file that is missing is made by the first put, aside, and then renamed: a get answers -1
 * until then. One that cannot be read is set aside by the first put and answers -2 until then [STORE-4]. NULL only if
 * the folder cannot be used at all. */
adr_state_t *adr_state_lmdb_create (const char *path, char *why, size_t why_size);
void adr_state_lmdb_destroy (adr_state_t **self);

/* The index. A file that is missing, cannot be opened or is damaged in its structure is made anew, the old one set aside
 * (`why` then says so and the call succeeds): the store rebuilds it from the journal. */
adr_index_t *adr_index_lmdb_create (const char *path, char *why, size_t why_size);
void adr_index_lmdb_destroy (adr_index_t **self);
/* For a handler of fatal signals, in the thread that got it: notes durably that the index in which this thread is will be
 * made anew by the next start; where it is in none, that the next start reads all of them before it uses them. */
void adr_index_lmdb_on_fault (void);

/* The system's random numbers; one for all, never destroyed. */
adr_entropy_t *adr_entropy_system (void);

#endif
