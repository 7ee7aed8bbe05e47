/* SPDX-License-Identifier: MPL-2.0 */
/* Buffers and byte order: see bytes.h. */

#include "core/bytes.h"

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

int
adr_bytes_compare (adr_bytes_t a, adr_bytes_t b)
{
    size_t common = a.size < b.size ? a.size : b.size;
    int order = common ? memcmp (a.data, b.data, common) : 0;
    return order ? order : (a.size > b.size) - (a.size < b.size);
}

bool
adr_bytes_equal (adr_bytes_t a, adr_bytes_t b)
{
    return a.size == b.size && (a.size == 0 || memcmp (a.data, b.data, a.size) == 0);
}
