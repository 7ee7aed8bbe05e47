/* SPDX-License-Identifier: MPL-2.0 */
/* A disk, a state environment and an index in memory: see memory_disk.h. */

#include "memory_disk.h"

#include <errno.h>
#include <stdlib.h>

/* --- disk -------------------------------------------------------------------------------------------------- */

memory_segment_t *
memory_disk_segment (memory_disk_t *self, uint64_t number)
{
    for (size_t i = 0; i < self->count; i++)
        if (self->segment[i].number == number && !self->segment[i].aside)
            return &self->segment[i];
    return NULL;
}

static memory_segment_t *
s_segment_add (memory_disk_t *self, uint64_t number, uint64_t size)
{
    if (self->count == self->room) {
        self->room = self->room ? self->room * 2 : 16;
        self->segment = adr_realloc (self->segment, self->room * sizeof *self->segment);
    }
    memory_segment_t *segment = &self->segment[self->count++];
    *segment = (memory_segment_t){ .number = number, .size = size, .now = adr_alloc (size),
                                   .synced = adr_alloc (size), .dirty = adr_alloc (size / MEMORY_SECTOR) };
    return segment;
}

static int
s_set_aside (adr_disk_t *disk, uint64_t number)
{
    memory_segment_t *segment = memory_disk_segment ((memory_disk_t *) disk, number);
    if (!segment)
        return ENOENT;
    segment->aside = true;
    return 0;
}

static int
s_create (adr_disk_t *disk, uint64_t number, uint64_t size, bool written)
{
    (void) written;
    memory_disk_t *self = (memory_disk_t *) disk;
    (void) s_set_aside (disk, number);
    if (self->free_bytes < size)
        return ENOSPC;
    self->free_bytes -= size;
    s_segment_add (self, number, size);
    return 0;
}

static int
s_write (adr_disk_t *disk, uint64_t number, uint64_t offset, const void *data, size_t size)
{
    memory_disk_t *self = (memory_disk_t *) disk;
    memory_segment_t *segment = memory_disk_segment (self, number);
    if (!segment || offset > segment->size || segment->size - offset < size)
        return EIO;
    self->writes++;
    memcpy (segment->now + offset, data, size);
    memset (segment->dirty + offset / MEMORY_SECTOR, 1,
            (offset + size + MEMORY_SECTOR - 1) / MEMORY_SECTOR - offset / MEMORY_SECTOR);
    return 0;
}

static int
s_sync (adr_disk_t *disk, uint64_t number)
{
    memory_disk_t *self = (memory_disk_t *) disk;
    memory_segment_t *segment = memory_disk_segment (self, number);
    if (!segment || self->fail_sync)
        return self->fail_sync ? self->fail_sync : EIO;
    self->syncs++;
    for (uint64_t at = 0; at < segment->size / MEMORY_SECTOR; at++)
        if (segment->dirty[at]) {
            memcpy (segment->synced + at * MEMORY_SECTOR, segment->now + at * MEMORY_SECTOR, MEMORY_SECTOR);
            segment->dirty[at] = 0;
        }
    return 0;
}

static int
s_read (adr_disk_t *disk, uint64_t number, uint64_t offset, void *data, size_t size)
{
    memory_segment_t *segment = memory_disk_segment ((memory_disk_t *) disk, number);
    if (!segment || offset > segment->size || segment->size - offset < size)
        return EIO;
    memcpy (data, segment->now + offset, size);
    return 0;
}

static int
s_truncate (adr_disk_t *disk, uint64_t number, uint64_t size)
{
    memory_disk_t *self = (memory_disk_t *) disk;
    memory_segment_t *segment = memory_disk_segment (self, number);
    if (!segment || size > segment->size)
        return EIO;
    self->free_bytes += segment->size - size;
    segment->size = size;
    return 0;
}

static void
s_segment_free (memory_segment_t *segment)
{
    free (segment->now);
    free (segment->synced);
    free (segment->dirty);
}

static int
s_remove (adr_disk_t *disk, uint64_t number)
{
    memory_disk_t *self = (memory_disk_t *) disk;
    memory_segment_t *segment = memory_disk_segment (self, number);
    if (!segment)
        return ENOENT;
    self->free_bytes += segment->size;
    s_segment_free (segment);
    *segment = self->segment[--self->count];
    return 0;
}

static int
s_by_number (const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *) a, y = *(const uint64_t *) b;
    return (x > y) - (x < y);
}

static int
s_list (adr_disk_t *disk, uint64_t *numbers, size_t room, size_t *count)
{
    memory_disk_t *self = (memory_disk_t *) disk;
    *count = 0;
    for (size_t i = 0; i < self->count && *count < room; i++)
        if (!self->segment[i].aside)
            numbers[(*count)++] = self->segment[i].number;
    qsort (numbers, *count, sizeof *numbers, s_by_number);
    return 0;
}

static int
s_size (adr_disk_t *disk, uint64_t number, uint64_t *size)
{
    memory_segment_t *segment = memory_disk_segment ((memory_disk_t *) disk, number);
    if (!segment)
        return ENOENT;
    *size = segment->size;
    return 0;
}

static int
s_space (adr_disk_t *disk, uint64_t *free_bytes, uint64_t *all_bytes)
{
    *free_bytes = ((memory_disk_t *) disk)->free_bytes;
    *all_bytes = UINT64_C (1) << 40;
    return 0;
}

memory_disk_t *
memory_disk_create (void)
{
    memory_disk_t *self = adr_alloc (sizeof *self);
    self->free_bytes = UINT64_C (1) << 40;
    self->disk = (adr_disk_t){ s_create, s_write, s_sync, s_read, s_truncate, s_remove, s_set_aside, s_list, s_size, s_space };
    return self;
}

memory_disk_t *
memory_disk_copy (const memory_disk_t *self)
{
    memory_disk_t *copy = memory_disk_create ();
    copy->free_bytes = self->free_bytes;
    for (size_t i = 0; i < self->count; i++) {
        const memory_segment_t *from = &self->segment[i];
        memory_segment_t *to = s_segment_add (copy, from->number, from->size);
        to->aside = from->aside;
        memcpy (to->now, from->now, from->size);
        memcpy (to->synced, from->synced, from->size);
        memcpy (to->dirty, from->dirty, from->size / MEMORY_SECTOR);
    }
    return copy;
}

memory_disk_t *
memory_disk_crash (const memory_disk_t *self, bool (*keep) (void *argument), void *argument)
{
    memory_disk_t *copy = memory_disk_copy (self);
    for (size_t i = 0; i < copy->count; i++) {
        memory_segment_t *segment = &copy->segment[i];
        for (uint64_t at = 0; at < segment->size / MEMORY_SECTOR; at++) {
            if (!segment->dirty[at])
                continue;
            segment->dirty[at] = 0;
            if (keep (argument))
                memcpy (segment->synced + at * MEMORY_SECTOR, segment->now + at * MEMORY_SECTOR, MEMORY_SECTOR);
            else
                memcpy (segment->now + at * MEMORY_SECTOR, segment->synced + at * MEMORY_SECTOR, MEMORY_SECTOR);
        }
    }
    return copy;
}

void
memory_disk_destroy (memory_disk_t **self_pointer)
{
    memory_disk_t *self = *self_pointer;
    if (!self)
        return;
    for (size_t i = 0; i < self->count; i++)
        s_segment_free (&self->segment[i]);
    free (self->segment);
    free (self);
    *self_pointer = NULL;
}

/* --- state ------------------------------------------------------------------------------------------------- */

static int
s_state_get (adr_state_t *state, const char *name, void *value, size_t room)
{
    memory_state_t *self = (memory_state_t *) state;
    if (self->unreadable || (self->unreadable_name && strcmp (name, self->unreadable_name) == 0))
        return -2;
    for (size_t i = 0; i < self->count; i++)
        if (strcmp (self->put[i].name, name) == 0) {
            size_t size = self->put[i].size;
            memcpy (value, self->put[i].value, size < room ? size : room);
            return (int) size;
        }
    return -1;
}

static int
s_state_put (adr_state_t *state, const adr_state_put_t *puts, size_t count)
{
    memory_state_t *self = (memory_state_t *) state;
    if (self->unreadable)
        self->count = 0;
    self->unreadable = false;
    for (size_t i = 0; i < count; i++) {
        size_t at = 0;
        if (self->unreadable_name && strcmp (puts[i].name, self->unreadable_name) == 0)
            self->unreadable_name = NULL;
        while (at < self->count && strcmp (self->put[at].name, puts[i].name) != 0)
            at++;
        adr_assert (at < sizeof self->put / sizeof self->put[0] && strlen (puts[i].name) < sizeof self->put[0].name);
        if (at == self->count)
            self->count++;
        strcpy (self->put[at].name, puts[i].name);
        self->put[at].value = adr_realloc (self->put[at].value, puts[i].value.size + 1);
        if (puts[i].value.size)
            memcpy (self->put[at].value, puts[i].value.data, puts[i].value.size);
        self->put[at].size = puts[i].value.size;
    }
    return 0;
}

memory_state_t *
memory_state_create (void)
{
    memory_state_t *self = adr_alloc (sizeof *self);
    self->state = (adr_state_t){ s_state_get, s_state_put };
    return self;
}

memory_state_t *
memory_state_copy (const memory_state_t *self)
{
    memory_state_t *copy = adr_alloc (sizeof *copy);
    *copy = *self;
    for (size_t i = 0; i < self->count; i++) {
        copy->put[i].value = adr_alloc (self->put[i].size + 1);
        memcpy (copy->put[i].value, self->put[i].value, self->put[i].size);
    }
    return copy;
}

void
memory_state_destroy (memory_state_t **self_pointer)
{
    memory_state_t *self = *self_pointer;
    for (size_t i = 0; self && i < sizeof self->put / sizeof self->put[0]; i++)
        free (self->put[i].value);
    free (self);
    *self_pointer = NULL;
}

/* --- entropy ----------------------------------------------------------------------------------------------- */

static void
s_fill (adr_entropy_t *entropy, void *data, size_t size)
{
    memory_entropy_t *self = (memory_entropy_t *) entropy;
    for (size_t at = 0; at < size; at++)
        ((uint8_t *) data)[at] = (uint8_t) adr_random_next (&self->random);
}

void
memory_entropy_init (memory_entropy_t *self, uint64_t seed)
{
    self->entropy.fill = s_fill;
    self->random.state = seed;
}
