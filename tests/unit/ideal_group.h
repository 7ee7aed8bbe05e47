/* SPDX-License-Identifier: MPL-2.0 */
/* What a group is to whoever asks it: records by table and key, and writes that happen at one moment, each wholly or not at all. No
 * log, no members: those are attacked elsewhere. For tests of what is built on a group, and for the simulator's PKI group. */

#ifndef ADR_IDEAL_GROUP_H
#define ADR_IDEAL_GROUP_H

#include "core/entry.h"
#include "wire/adrestia.pb-c.h"

typedef struct {
    uint8_t table;
    adr_buffer_t key, value;
    uint64_t version; /* 0: it was deleted */
} ideal_record_t;

typedef struct {
    ideal_record_t *record;
    size_t count, room;
    uint64_t version; /* of the newest write */
} ideal_group_t;

void ideal_group_free (ideal_group_t *self);
/* NULL: there is none, or it was deleted. */
ideal_record_t *ideal_group_find (ideal_group_t *self, uint32_t table, adr_bytes_t key);
/* A write of one record, on no condition. */
void ideal_group_put (ideal_group_t *self, uint32_t table, adr_bytes_t key, adr_bytes_t value);
/* OK or CONFLICT; `values` are the operations', one behind the other. */
adr_status_t ideal_group_write (ideal_group_t *self, const Adr__Write *write, adr_bytes_t values);

#endif
