/* SPDX-License-Identifier: MPL-2.0 */
/* Takes lists of S3 credentials over for an edge of this host: its credential_keeper tells it pages; a whole list goes to whoever
 * verifies requests, and into a sealed file for the next start [KEY-5].
 *
 * Owns: its mailbox and thread, the newest list, its file's key; both wiped when it goes. Makes durable: the file `credentials` of the
 * node's folder, as a whole or not at all. Borrows: the directory, which outlives it. What cannot be written or read is a warning: the
 * list is used all the same, or told again. */

#ifndef ADR_CREDENTIAL_TAKER_H
#define ADR_CREDENTIAL_TAKER_H

#include "runtime/directory.h"

typedef struct adr_credential_taker adr_credential_taker_t;

/* Rows for adr_credential_row_next, all of them sound, secrets in clear; lent for the call. */
typedef void (adr_credentials_use_fn) (void *argument, adr_bytes_t rows);

/* Enters itself into the directory as that node's taker, before anybody sends, and reads the file. `who`: for the log; lent. */
adr_credential_taker_t *adr_credential_taker_new (adr_directory_t *directory, const adr_id_t *cluster, const adr_id_t *node,
                                                  const uint8_t curve_secret[32], const char *folder, const char *who);
/* Calls `use` with the list that is there, if there is one, and from then on with each new one, on a thread of its own, one call at a
 * time. NULL: not any more, from its return on. */
void adr_credential_taker_use (adr_credential_taker_t *self, adr_credentials_use_fn *use, void *argument);
/* Takes what waits, then ends. Takes and nulls. */
void adr_credential_taker_destroy (adr_credential_taker_t **self);

#endif
