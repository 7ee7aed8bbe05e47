/* SPDX-License-Identifier: MPL-2.0 */
/* The request ids of a log's newest entries, so that a request is applied at most once [REPL-5, invariant 6].
 *
 * Bounded by a count, not by a time: when it is full the oldest id goes, and the *horizon* rises to that entry's log
 * time. A request tells the newest log time that its asker had seen when it first asked; if that lies above the
 * horizon, the id of an earlier try can only be in the table. So a request at or below the horizon is never executed,
 * and no clock is compared with another. */

#ifndef ADR_REQUEST_TABLE_H
#define ADR_REQUEST_TABLE_H

#include "core/entry.h"

typedef struct adr_request_table adr_request_table_t;

adr_request_table_t *adr_request_table_new (uint32_t count_max, uint64_t salt);
void adr_request_table_destroy (adr_request_table_t **self);
/* Indexes rise from call to call. An id of zeros is ignored. */
void adr_request_table_add (adr_request_table_t *self, const uint8_t id[ADR_REQUEST_ID_SIZE], uint64_t index,
                            uint64_t time_ms);
/* Forgets what entries above `index` said. */
void adr_request_table_cut (adr_request_table_t *self, uint64_t index);
/* The index of the entry that has the id, or 0. */
uint64_t adr_request_table_find (const adr_request_table_t *self, const uint8_t id[ADR_REQUEST_ID_SIZE]);
/* Entries up to this log time are not all known (the log before the table's first entry was not read). */
void adr_request_table_raise_horizon (adr_request_table_t *self, uint64_t time_ms);
uint64_t adr_request_table_horizon (const adr_request_table_t *self);
/* The most slots that the search for an id looks at, for tests: walks the whole table. */
uint32_t adr_request_table_longest (const adr_request_table_t *self);

#endif
