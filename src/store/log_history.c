/* SPDX-License-Identifier: MPL-2.0 */
/* Which terms the committed log had below its start. A segment may hold entries that were replaced before they were
 * committed; once the log's start has passed them, nothing but this tells them from those that counted.
 *
 * Owns: the history. Makes durable: nothing (the job that moves the log's start does, in the same commit). Implements
 * STORE-6: an index that is made anew takes rows of genuine entries only. */

#include "store/internal.h"

void
adr_history_init (adr_history_t *self, uint64_t floor)
{
    self->floor = floor;
    self->count = 0;
}

uint64_t
adr_history_extend (adr_history_t *self, const adr_log_t *log, uint64_t to)
{
    uint64_t index = log->start.index;
    for (; index < to; index++) {
        uint64_t term = adr_log_item (log, index + 1)->term;
        if (self->count == 0 || self->run[self->count - 1].term != term) {
            if (self->count == ADR_HISTORY_MAX)
                break;
            self->run[self->count++].term = term;
        }
        self->run[self->count - 1].index = index + 1;
    }
    return index;
}

void
adr_history_leap (adr_history_t *self, const adr_log_t *log, uint64_t applied, uint64_t to)
{
    uint64_t known = adr_history_extend (self, log, applied);
    if (known >= to)
        return;
    if (self->count == ADR_HISTORY_MAX)
        self->count--;
    self->run[self->count++] = (adr_position_t){ 0, to };
}

void
adr_history_prune (adr_history_t *self, uint64_t lowest)
{
    uint32_t dropped = 0;
    while (dropped < self->count && self->run[dropped].index < lowest)
        dropped++;
    if (dropped == 0)
        return;
    self->floor = self->run[dropped - 1].index;
    self->count -= dropped;
    memmove (self->run, self->run + dropped, self->count * sizeof self->run[0]);
}

bool
adr_history_is_genuine (const adr_history_t *self, adr_position_t entry)
{
    uint32_t low = 0, high = self->count;
    while (low < high) {
        uint32_t middle = (low + high) / 2;
        if (self->run[middle].index < entry.index)
            low = middle + 1;
        else
            high = middle;
    }
    return entry.index > self->floor && low < self->count && self->run[low].term == entry.term;
}

size_t
adr_history_encode (const adr_history_t *self, uint8_t at[ADR_HISTORY_BYTES_MAX])
{
    adr_put_u64 (at, self->floor);
    for (uint32_t i = 0; i < self->count; i++) {
        adr_put_u64 (at + 8 + i * 16, self->run[i].term);
        adr_put_u64 (at + 16 + i * 16, self->run[i].index);
    }
    return 8 + (size_t) self->count * 16;
}

bool
adr_history_decode (adr_history_t *self, adr_bytes_t bytes)
{
    if (bytes.size < 8 || bytes.size % 16 != 8 || bytes.size > ADR_HISTORY_BYTES_MAX)
        return false;
    adr_history_init (self, adr_get_u64 (bytes.data));
    for (size_t at = 8; at < bytes.size; at += 16)
        self->run[self->count++] = (adr_position_t){ adr_get_u64 (bytes.data + at), adr_get_u64 (bytes.data + at + 8) };
    return true;
}
