/* SPDX-License-Identifier: MPL-2.0 */
/* Request ids: a ring in index order, found through an open-addressing table of ring places. */

#include "actors/request_table.h"

#include <stdlib.h>

typedef struct {
    uint8_t id[ADR_REQUEST_ID_SIZE];
    uint64_t index;
    uint64_t time_ms;
} s_row_t;

struct adr_request_table {
    s_row_t *ring;
    uint32_t *slot; /* place in the ring + 1; 0: free */
    uint32_t ring_room, slot_mask, count_max;
    uint32_t first, count;
    uint64_t horizon_ms;
    uint64_t salt; /* clients choose the ids: without it one of them could make every id probe the same slots */
};

#define S_ROOM_FIRST 1024u

static uint32_t
s_hash (const adr_request_table_t *self, const uint8_t *id)
{
    return (uint32_t) adr_bytes_hash (self->salt, adr_bytes (id, ADR_REQUEST_ID_SIZE)) & self->slot_mask;
}

/* The slot that holds the id, or the free one where it would go. */
static uint32_t
s_find_slot (const adr_request_table_t *self, const uint8_t *id)
{
    uint32_t at = s_hash (self, id);
    while (self->slot[at] && memcmp (self->ring[self->slot[at] - 1].id, id, ADR_REQUEST_ID_SIZE) != 0)
        at = (at + 1) & self->slot_mask;
    return at;
}

/* Knuth, TAOCP 3, 6.4, algorithm R: closes the gap by moving back whoever probed over it. */
static void
s_free_slot (adr_request_table_t *self, uint32_t gap)
{
    uint32_t at = gap;
    for (;;) {
        at = (at + 1) & self->slot_mask;
        if (!self->slot[at])
            break;
        uint32_t home = s_hash (self, self->ring[self->slot[at] - 1].id);
        if (((at - home) & self->slot_mask) >= ((at - gap) & self->slot_mask)) {
            self->slot[gap] = self->slot[at];
            gap = at;
        }
    }
    self->slot[gap] = 0;
}

static void
s_forget (adr_request_table_t *self, uint32_t place)
{
    uint32_t at = s_find_slot (self, self->ring[place].id);
    if (self->slot[at] == place + 1)
        s_free_slot (self, at);
}

static void
s_make_room (adr_request_table_t *self, uint32_t room)
{
    s_row_t *ring = adr_alloc ((size_t) room * sizeof *ring);
    for (uint32_t i = 0; i < self->count; i++)
        ring[i] = self->ring[(self->first + i) % self->ring_room];
    free (self->ring);
    free (self->slot);
    uint32_t slots = 1;
    while (slots < room * 2)
        slots *= 2;
    self->ring = ring;
    self->ring_room = room;
    self->first = 0;
    self->slot = adr_alloc ((size_t) slots * sizeof *self->slot);
    self->slot_mask = slots - 1;
    for (uint32_t i = 0; i < self->count; i++)
        self->slot[s_find_slot (self, ring[i].id)] = i + 1;
}

adr_request_table_t *
adr_request_table_new (uint32_t count_max, uint64_t salt)
{
    adr_assert (count_max > 0);
    adr_request_table_t *self = adr_alloc (sizeof *self);
    self->count_max = count_max;
    self->salt = salt;
    s_make_room (self, count_max < S_ROOM_FIRST ? count_max : S_ROOM_FIRST);
    return self;
}

void
adr_request_table_destroy (adr_request_table_t **self)
{
    if (*self == NULL)
        return;
    free ((*self)->ring);
    free ((*self)->slot);
    free (*self);
    *self = NULL;
}

static void
s_drop_first (adr_request_table_t *self)
{
    adr_request_table_raise_horizon (self, self->ring[self->first].time_ms);
    s_forget (self, self->first);
    self->first = (self->first + 1) % self->ring_room;
    self->count--;
}

void
adr_request_table_add (adr_request_table_t *self, const uint8_t id[ADR_REQUEST_ID_SIZE], uint64_t index,
                       uint64_t time_ms)
{
    static const uint8_t s_none[ADR_REQUEST_ID_SIZE];
    if (memcmp (id, s_none, sizeof s_none) == 0)
        return;
    if (self->count == self->ring_room) {
        if (self->ring_room < self->count_max)
            s_make_room (self, self->ring_room > self->count_max / 2 ? self->count_max : self->ring_room * 2);
        else
            s_drop_first (self);
    }
    uint32_t place = (self->first + self->count) % self->ring_room;
    s_row_t *row = &self->ring[place];
    memcpy (row->id, id, ADR_REQUEST_ID_SIZE);
    row->index = index;
    row->time_ms = time_ms;
    self->count++;
    self->slot[s_find_slot (self, id)] = place + 1;
}

void
adr_request_table_cut (adr_request_table_t *self, uint64_t index)
{
    while (self->count) {
        uint32_t place = (self->first + self->count - 1) % self->ring_room;
        if (self->ring[place].index <= index)
            break;
        s_forget (self, place);
        self->count--;
    }
}

uint64_t
adr_request_table_find (const adr_request_table_t *self, const uint8_t id[ADR_REQUEST_ID_SIZE])
{
    uint32_t at = s_find_slot (self, id);
    return self->slot[at] ? self->ring[self->slot[at] - 1].index : 0;
}

void
adr_request_table_raise_horizon (adr_request_table_t *self, uint64_t time_ms)
{
    if (self->horizon_ms < time_ms)
        self->horizon_ms = time_ms;
}

uint64_t
adr_request_table_horizon (const adr_request_table_t *self)
{
    return self->horizon_ms;
}

uint32_t
adr_request_table_longest (const adr_request_table_t *self)
{
    uint32_t longest = 0;
    for (uint32_t place = 0; place < self->count; place++) {
        const uint8_t *id = self->ring[(self->first + place) % self->ring_room].id;
        uint32_t probes = ((s_find_slot (self, id) - s_hash (self, id)) & self->slot_mask) + 1;
        longest = probes > longest ? probes : longest;
    }
    return longest;
}
