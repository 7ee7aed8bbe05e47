/* SPDX-License-Identifier: MPL-2.0 */
/* Buffers and byte order: see bytes.h. */

#include "core/bytes.h"

#include <sodium.h>
#include <stdlib.h>

uint8_t *
adr_buffer_grow (adr_buffer_t *self, size_t more)
{
    if (!self->data || self->room - self->size < more) { /* never NULL, of nothing too */
        size_t room = self->room ? self->room * 2 : 256;
        if (room < self->size + more)
            room = self->size + more;
        self->data = adr_realloc (self->data, room);
        self->room = room;
    }
    uint8_t *at = self->data + self->size;
    self->size += more;
    return at;
}

void
adr_buffer_append (adr_buffer_t *self, const void *data, size_t size)
{
    if (size)
        memcpy (adr_buffer_grow (self, size), data, size);
}

void
adr_buffer_clear (adr_buffer_t *self)
{
    self->size = 0;
}

void
adr_buffer_free (adr_buffer_t *self)
{
    free (self->data);
    *self = (adr_buffer_t){ 0 };
}

void
adr_buffer_wipe (adr_buffer_t *self)
{
    if (self->data)
        sodium_memzero (self->data, self->room);
    adr_buffer_free (self);
}

int
adr_bytes_compare (adr_bytes_t a, adr_bytes_t b)
{
    size_t common = a.size < b.size ? a.size : b.size;
    int order = common ? memcmp (a.data, b.data, common) : 0;
    return order ? order : (a.size > b.size) - (a.size < b.size);
}

static uint64_t
s_mix (uint64_t a, uint64_t b)
{
    unsigned __int128 product = (unsigned __int128) a * b;
    return (uint64_t) product ^ (uint64_t) (product >> 64);
}

uint64_t
adr_bytes_hash (uint64_t salt, adr_bytes_t bytes)
{
    uint64_t multiplier = salt * 2 + UINT64_C (0x9e3779b97f4a7c15);
    uint64_t hash = s_mix (salt ^ UINT64_C (0xbf58476d1ce4e5b9), bytes.size + UINT64_C (0x94d049bb133111eb));
    size_t at = 0;
    for (; at + 8 <= bytes.size; at += 8)
        hash = s_mix (hash ^ adr_get_u64 (bytes.data + at), multiplier);
    uint64_t rest = 0;
    for (; at < bytes.size; at++)
        rest = rest << 8 | bytes.data[at];
    return s_mix (hash ^ rest, multiplier);
}

bool
adr_bytes_equal (adr_bytes_t a, adr_bytes_t b)
{
    return a.size == b.size && (a.size == 0 || memcmp (a.data, b.data, a.size) == 0);
}
