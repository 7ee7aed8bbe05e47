/* SPDX-License-Identifier: MPL-2.0 */
/* The log in memory: for each entry its term, its frame's place, and the newest entries' bytes in a ring.
 *
 * Owns: items, cache, the voters entries of the log. Makes durable: nothing (journal.c does). Implements the memory
 * side of STORE-5 (missing entries keep their index) and REPL-4 (the newest voters entry in the log counts). */

#include "store/internal.h"

#include <stdlib.h>

#define S_ITEMS_FIRST 1024

void
adr_log_init (adr_log_t *self, uint64_t cache_bytes)
{
    *self = (adr_log_t){ .mask = S_ITEMS_FIRST - 1 };
    self->item = adr_alloc (S_ITEMS_FIRST * sizeof *self->item);
    self->cache_size = cache_bytes;
    if (cache_bytes)
        self->cache = adr_alloc (cache_bytes);
}

void
adr_log_free (adr_log_t *self)
{
    free (self->item);
    free (self->voters);
    free (self->cache);
    *self = (adr_log_t){ 0 };
}

void
adr_log_reset (adr_log_t *self, adr_position_t start, const adr_voters_t *base)
{
    self->start = self->last = start;
    self->base = *base;
    self->voters_count = 0;
    self->bytes = 0;
    self->missing_from = self->missing_count = self->refilled_to = 0;
}

static void
s_grow (adr_log_t *self)
{
    uint64_t mask = self->mask * 2 + 1;
    adr_item_t *item = adr_alloc ((size_t) (mask + 1) * sizeof *item);
    for (uint64_t index = self->start.index + 1; index <= self->last.index; index++)
        item[index & mask] = self->item[index & self->mask];
    free (self->item);
    self->item = item;
    self->mask = mask;
}

static adr_item_t *
s_push (adr_log_t *self, uint64_t term, size_t frame_size)
{
    if (self->last.index - self->start.index > self->mask)
        s_grow (self);
    self->last.index++;
    self->last.term = term;
    adr_item_t *item = &self->item[self->last.index & self->mask];
    *item = (adr_item_t){ .term = term, .cache_at = ADR_UNCACHED, .size = (uint32_t) frame_size };
    self->bytes += frame_size;
    return item;
}

/* A voters entry counts from the moment it is in the log [REPL-4]. One that says nothing readable changes nothing. */
static void
s_note_voters (adr_log_t *self, const adr_entry_t *entry)
{
    adr_voters_t voters = { .at = { entry->term, entry->index } };
    if (entry->kind != ADR_ENTRY_VOTERS || entry->op_count < 1 || !adr_voters_decode (&voters, entry->op[0].value))
        return;
    for (size_t i = 0; i < self->voters_count; i++)
        if (self->voters[i].at.index == entry->index)
            return; /* it was lost at run time, and is refilled: what it says was never forgotten */
    if (self->voters_count == self->voters_room) {
        self->voters_room = self->voters_room ? self->voters_room * 2 : 4;
        self->voters = adr_realloc (self->voters, self->voters_room * sizeof *self->voters);
    }
    size_t at = self->voters_count++;
    while (at > 0 && self->voters[at - 1].at.index > entry->index) {
        self->voters[at] = self->voters[at - 1];
        at--;
    }
    self->voters[at] = voters;
}

adr_item_t *
adr_log_append (adr_log_t *self, const adr_entry_t *entry, size_t frame_size)
{
    adr_assert (entry->index == self->last.index + 1 && entry->term >= self->last.term);
    adr_item_t *item = s_push (self, entry->term, frame_size);
    s_note_voters (self, entry);
    return item;
}

void
adr_log_append_missing (adr_log_t *self, adr_position_t last)
{
    adr_assert (last.index > self->last.index && last.term >= self->last.term);
    if (self->missing_count == 0)
        self->missing_from = self->last.index + 1;
    while (self->last.index < last.index) {
        s_push (self, self->last.index + 1 == last.index ? last.term : self->last.term, 0)->missing = true;
        self->missing_count++;
    }
}

static void
s_find_missing (adr_log_t *self, uint64_t from)
{
    self->missing_from = 0;
    for (uint64_t index = from; self->missing_count > 0 && index <= self->last.index; index++)
        if (adr_log_item (self, index)->missing) {
            self->missing_from = index;
            return;
        }
}

void
adr_log_lose (adr_log_t *self, uint64_t index)
{
    adr_item_t *item = adr_log_item (self, index);
    adr_assert (!item->missing);
    item->missing = true;
    self->missing_count++;
    if (self->missing_from == 0 || index < self->missing_from)
        self->missing_from = index;
}

void
adr_log_found (adr_log_t *self, uint64_t index)
{
    adr_assert (adr_log_item (self, index)->missing && index == self->missing_from);
    adr_log_item (self, index)->missing = false;
    self->missing_count--;
    s_find_missing (self, index + 1);
}

/* Terms never fall along the log: the entry's lies between what is known before and behind it. That of one that was
 * lost at run time is known. */
static bool
s_fits (const adr_log_t *self, const adr_entry_t *entry, const adr_item_t *item)
{
    if (item->segment != 0)
        return entry->term == item->term;
    uint64_t behind = entry->index;
    while (behind < self->last.index && adr_log_item (self, behind)->missing)
        behind++;
    return entry->term >= item->term && entry->term <= adr_log_item (self, behind)->term;
}

adr_item_t *
adr_log_refill (adr_log_t *self, const adr_entry_t *entry, size_t frame_size)
{
    if (entry->index <= self->start.index || entry->index > self->last.index)
        return NULL;
    adr_item_t *item = adr_log_item (self, entry->index);
    if (!item->missing || !s_fits (self, entry, item))
        return NULL;
    self->bytes += frame_size - item->size;
    *item = (adr_item_t){ .term = entry->term, .cache_at = ADR_UNCACHED, .size = (uint32_t) frame_size };
    self->missing_count--;
    if (entry->index > self->refilled_to)
        self->refilled_to = entry->index;
    s_note_voters (self, entry);
    /* The terms of what is still missing are not below this one. */
    for (uint64_t i = entry->index + 1; i <= self->last.index && adr_log_item (self, i)->missing; i++)
        if (adr_log_item (self, i)->term < entry->term)
            adr_log_item (self, i)->term = entry->term;
        else
            break;
    if (entry->index == self->missing_from)
        s_find_missing (self, entry->index + 1);
    return item;
}

void
adr_log_cut (adr_log_t *self, uint64_t index)
{
    adr_assert (index >= self->start.index && index <= self->last.index);
    uint64_t term = 0;
    bool known = adr_log_term_at (self, index, &term);
    adr_assert (known || adr_log_item (self, index)->missing);
    for (uint64_t i = index + 1; i <= self->last.index; i++) {
        adr_item_t *item = &self->item[i & self->mask];
        self->bytes -= item->size;
        self->missing_count -= item->missing;
    }
    self->last = (adr_position_t){ known ? term : adr_log_item (self, index)->term, index };
    while (self->voters_count > 0 && self->voters[self->voters_count - 1].at.index > index)
        self->voters_count--;
    if (self->missing_count == 0)
        self->missing_from = 0;
}

void
adr_log_trim (adr_log_t *self, uint64_t index)
{
    if (index <= self->start.index)
        return;
    adr_assert (index <= self->last.index);
    self->base = *adr_log_voters_at (self, index);
    for (uint64_t i = self->start.index + 1; i <= index; i++) {
        adr_item_t *item = &self->item[i & self->mask];
        self->bytes -= item->size;
        self->missing_count -= item->missing;
    }
    self->start = (adr_position_t){ adr_log_item (self, index)->term, index };
    size_t dropped = 0;
    while (dropped < self->voters_count && self->voters[dropped].at.index <= index)
        dropped++;
    if (dropped)
        memmove (self->voters, self->voters + dropped, (self->voters_count - dropped) * sizeof *self->voters);
    self->voters_count -= dropped;
    if (self->missing_from && self->missing_from <= index)
        s_find_missing (self, index + 1);
}

bool
adr_log_term_at (const adr_log_t *self, uint64_t index, uint64_t *term)
{
    if (index == self->start.index) {
        *term = self->start.term;
        return true;
    }
    if (index < self->start.index || index > self->last.index)
        return false;
    const adr_item_t *item = adr_log_item (self, index);
    *term = item->term;
    return !item->missing || item->segment != 0 || index == self->last.index;
}

const adr_voters_t *
adr_log_voters (const adr_log_t *self)
{
    return self->voters_count ? &self->voters[self->voters_count - 1] : &self->base;
}

const adr_voters_t *
adr_log_voters_at (const adr_log_t *self, uint64_t index)
{
    const adr_voters_t *voters = &self->base;
    for (size_t i = 0; i < self->voters_count && self->voters[i].at.index <= index; i++)
        voters = &self->voters[i];
    return voters;
}

void
adr_log_cache_put (adr_log_t *self, adr_item_t *item, adr_bytes_t encoded)
{
    if (encoded.size > self->cache_size / 2)
        return;
    uint64_t at = self->cache_head % self->cache_size;
    if (at + encoded.size > self->cache_size) {
        self->cache_head += self->cache_size - at;
        at = 0;
    }
    memcpy (self->cache + at, encoded.data, encoded.size);
    item->cache_at = self->cache_head;
    self->cache_head += encoded.size;
}

bool
adr_log_cache_get (const adr_log_t *self, const adr_item_t *item, adr_bytes_t *encoded)
{
    if (item->cache_at == ADR_UNCACHED || self->cache_head - item->cache_at > self->cache_size)
        return false;
    *encoded = adr_bytes (self->cache + item->cache_at % self->cache_size, item->size - ADR_FRAME_HEADER_SIZE);
    return true;
}

void
adr_log_check (const adr_log_t *self)
{
    uint64_t term = self->start.term, bytes = 0, missing = 0, first_missing = 0;
    for (uint64_t index = self->start.index + 1; index <= self->last.index; index++) {
        const adr_item_t *item = adr_log_item (self, index);
        adr_assert (item->term >= term);
        term = item->term;
        bytes += item->size;
        missing += item->missing;
        if (item->missing && first_missing == 0)
            first_missing = index;
    }
    adr_assert (term == self->last.term && bytes == self->bytes);
    adr_assert (missing == self->missing_count && first_missing == self->missing_from);
}
