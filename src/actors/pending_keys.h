/* SPDX-License-Identifier: MPL-2.0 */
/* The records that a master's log says something newer about than its applied state: conditions are checked against
 * the log's end [DESIGN 5]. One row a key: the newest entry that names it. */

#ifndef ADR_PENDING_KEYS_H
#define ADR_PENDING_KEYS_H

#include "core/entry.h"

typedef struct adr_pending_keys adr_pending_keys_t;

typedef struct {
    adr_version_t version; /* of the entry that says so */
    bool deleted;
    bool purged;           /* there is not even a tombstone any more */
} adr_pending_t;

adr_pending_keys_t *adr_pending_keys_new (uint64_t salt);
void adr_pending_keys_destroy (adr_pending_keys_t **self);
void adr_pending_keys_clear (adr_pending_keys_t *self);
/* The entry is at the log's end now. */
void adr_pending_keys_add (adr_pending_keys_t *self, const adr_entry_t *entry);
/* The entry is applied: the store says it from now on, unless a newer one waits. */
void adr_pending_keys_applied (adr_pending_keys_t *self, const adr_entry_t *entry);
/* NULL: nothing waits for this key. Lent until the next call. */
const adr_pending_t *adr_pending_keys_find (const adr_pending_keys_t *self, uint8_t table, adr_bytes_t key);
/* The longest chain, for tests. */
uint32_t adr_pending_keys_longest (const adr_pending_keys_t *self);

#endif
