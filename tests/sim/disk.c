/* SPDX-License-Identifier: MPL-2.0 */
/* The journal's files in the simulator: see disk.h. */

#include "disk.h"
#include "disk_parts.h"

#include <errno.h>
#include <stdlib.h>

static sim_disk_t *
s_disk (adr_disk_t *face)
{
    return (sim_disk_t *) ((char *) face - offsetof (sim_disk_t, disk));
}

/* Every call passes here: a power cut may be planned for one of them. */
bool
sim_disk_alive (sim_disk_t *self)
{
    if (self->ops_left && --self->ops_left == 0)
        self->dead = true;
    return !self->dead;
}

static sim_segment_t *
s_find (sim_disk_t *self, uint64_t number)
{
    for (uint32_t i = 0; i < self->segment_count; i++)
        if (self->segment[i]->number == number)
            return self->segment[i];
    return NULL;
}

static void
s_page_free (sim_page_t **page)
{
    if (*page)
        free ((*page)->platter);
    free (*page);
    *page = NULL;
}

static void
s_segment_free (sim_segment_t *segment)
{
    for (uint64_t i = 0; i < segment->size / SIM_PAGE; i++)
        s_page_free (&segment->page[i]);
    free (segment->page);
    free (segment->dirty);
    free (segment);
}

static void
s_drop (sim_disk_t *self, uint32_t place)
{
    self->used -= self->segment[place]->size;
    s_segment_free (self->segment[place]);
    self->segment_count--;
    memmove (&self->segment[place], &self->segment[place + 1],
             (self->segment_count - place) * sizeof self->segment[0]);
}

static void
s_remove_number (sim_disk_t *self, uint64_t number)
{
    for (uint32_t i = 0; i < self->segment_count; i++)
        if (self->segment[i]->number == number) {
            s_drop (self, i);
            return;
        }
}

static int
s_create (adr_disk_t *face, uint64_t number, uint64_t size)
{
    sim_disk_t *self = s_disk (face);
    bool alive = sim_disk_alive (self);
    if (!alive && adr_random_next (&self->random) % 2)
        return EIO; /* the power went before the folder was synced */
    if (self->used + self->taken + size > self->capacity)
        return ENOSPC;
    s_remove_number (self, number); /* set aside: nobody asks for it again */
    adr_assert (self->segment_count < SIM_SEGMENTS_MAX);
    sim_segment_t *segment = adr_alloc (sizeof *segment);
    segment->number = number;
    segment->size = (size + SIM_PAGE - 1) / SIM_PAGE * SIM_PAGE;
    segment->page = adr_alloc (segment->size / SIM_PAGE * sizeof *segment->page);
    uint32_t at = self->segment_count++;
    for (; at > 0 && self->segment[at - 1]->number > number; at--)
        self->segment[at] = self->segment[at - 1];
    self->segment[at] = segment;
    self->used += segment->size;
    return alive ? 0 : EIO;
}

static void
s_note_dirty (sim_segment_t *segment, uint32_t page)
{
    if (segment->dirty_count == segment->dirty_room) {
        segment->dirty_room = segment->dirty_room ? segment->dirty_room * 2 : 64;
        segment->dirty = adr_realloc (segment->dirty, segment->dirty_room * sizeof *segment->dirty);
    }
    segment->dirty[segment->dirty_count++] = page;
}

static const uint8_t s_zeros[SIM_PAGE];

static void
s_write_page (sim_segment_t *segment, uint32_t number, uint32_t from, const uint8_t *data, uint32_t size)
{
    sim_page_t *page = segment->page[number];
    if (!page)
        page = segment->page[number] = adr_alloc (sizeof *page);
    if (page->dirty == 0)
        s_note_dirty (segment, number);
    if (!page->platter)
        page->platter = malloc (SIM_PAGE);
    adr_assert (page->platter != NULL);
    for (uint32_t sector = from / SIM_SECTOR; sector * SIM_SECTOR < from + size; sector++) {
        uint8_t bit = (uint8_t) (1u << sector);
        if (!((page->dirty | page->forgotten) & bit))
            memcpy (page->platter + sector * SIM_SECTOR, page->data + sector * SIM_SECTOR, SIM_SECTOR);
        page->forgotten &= (uint8_t) ~bit;
        page->dirty |= bit;
    }
    memcpy (page->data + from, data, size);
}

static int
s_write (adr_disk_t *face, uint64_t number, uint64_t offset, const void *data, size_t size)
{
    sim_disk_t *self = s_disk (face);
    sim_segment_t *segment = s_find (self, number);
    bool alive = sim_disk_alive (self);
    if (!segment || offset > segment->size || size > segment->size - offset)
        return EINVAL;
    self->writes++;
    bool fails = self->fail_write;
    if (!alive || fails) /* a part of it may have come to the cache */
        size = (size_t) (adr_random_next (&self->random) % (size + 1));
    const uint8_t *at = data;
    while (size) {
        uint32_t from = (uint32_t) (offset % SIM_PAGE);
        uint32_t part = SIM_PAGE - from < size ? SIM_PAGE - from : (uint32_t) size;
        s_write_page (segment, (uint32_t) (offset / SIM_PAGE), from, at, part);
        at += part;
        offset += part;
        size -= part;
    }
    if (fails) {
        self->fail_write = false;
        self->met_write = true;
    }
    return alive && !fails ? 0 : EIO;
}

/* A sync that fails leaves clean pages whose bytes reached the platter, or never will. */
static void
s_clean (sim_disk_t *self, sim_page_t *page, bool fails)
{
    if (fails)
        page->forgotten |= page->dirty & (uint8_t) adr_random_next (&self->random);
    page->dirty = 0;
    if (!page->forgotten) {
        free (page->platter);
        page->platter = NULL;
    }
}

static int
s_sync (adr_disk_t *face, uint64_t number)
{
    sim_disk_t *self = s_disk (face);
    sim_segment_t *segment = s_find (self, number);
    if (!sim_disk_alive (self))
        return EIO;
    if (!segment)
        return EINVAL;
    self->syncs++;
    bool fails = self->fail_sync;
    for (uint32_t i = 0; i < segment->dirty_count; i++)
        s_clean (self, segment->page[segment->dirty[i]], fails);
    segment->dirty_count = 0;
    if (fails) {
        self->fail_sync = false;
        self->met_sync = true;
    }
    return fails ? EIO : 0;
}

static int
s_read (adr_disk_t *face, uint64_t number, uint64_t offset, void *data, size_t size)
{
    sim_disk_t *self = s_disk (face);
    sim_segment_t *segment = s_find (self, number);
    if (self->dead)
        return EIO;
    if (!segment || offset > segment->size || size > segment->size - offset)
        return EIO;
    self->reads++;
    if (self->fail_reads) {
        self->fail_reads--;
        self->met_read = true;
        return EIO;
    }
    uint8_t *at = data;
    while (size) {
        uint32_t from = (uint32_t) (offset % SIM_PAGE);
        size_t part = SIM_PAGE - from < size ? SIM_PAGE - from : size;
        const sim_page_t *page = segment->page[offset / SIM_PAGE];
        memcpy (at, page ? page->data + from : s_zeros, part);
        at += part;
        offset += part;
        size -= part;
    }
    return 0;
}

static int
s_truncate (adr_disk_t *face, uint64_t number, uint64_t size)
{
    sim_disk_t *self = s_disk (face);
    sim_segment_t *segment = s_find (self, number);
    bool alive = sim_disk_alive (self);
    if (!segment || size > segment->size || size % SIM_PAGE)
        return EINVAL;
    if (!alive && adr_random_next (&self->random) % 2)
        return EIO; /* the power went before it was synced */
    uint32_t kept = 0;
    for (uint32_t i = 0; i < segment->dirty_count; i++)
        if (segment->dirty[i] < size / SIM_PAGE)
            segment->dirty[kept++] = segment->dirty[i];
    segment->dirty_count = kept;
    for (uint64_t i = size / SIM_PAGE; i < segment->size / SIM_PAGE; i++)
        s_page_free (&segment->page[i]);
    self->used -= segment->size - size;
    segment->size = size;
    return alive ? 0 : EIO;
}

static int
s_remove (adr_disk_t *face, uint64_t number)
{
    sim_disk_t *self = s_disk (face);
    bool alive = sim_disk_alive (self);
    if (alive || adr_random_next (&self->random) % 2)
        s_remove_number (self, number);
    return alive ? 0 : EIO;
}

/* Nobody asks for such a file again: it need not be kept. */
static int
s_set_aside (adr_disk_t *face, uint64_t number)
{
    return s_remove (face, number);
}

static int
s_list (adr_disk_t *face, uint64_t *numbers, size_t room, size_t *count)
{
    sim_disk_t *self = s_disk (face);
    *count = self->segment_count;
    for (uint32_t i = 0; i < self->segment_count && i < room; i++)
        numbers[i] = self->segment[i]->number;
    return self->dead ? EIO : 0;
}

static int
s_size (adr_disk_t *face, uint64_t number, uint64_t *size)
{
    sim_segment_t *segment = s_find (s_disk (face), number);
    *size = segment ? segment->size : 0;
    return segment ? 0 : ENOENT;
}

static int
s_space (adr_disk_t *face, uint64_t *free_bytes, uint64_t *all_bytes)
{
    sim_disk_t *self = s_disk (face);
    uint64_t used = self->used + self->taken;
    *free_bytes = used < self->capacity ? self->capacity - used : 0;
    *all_bytes = self->capacity;
    return self->dead ? EIO : 0;
}

static void
s_fill (adr_entropy_t *face, void *data, size_t size)
{
    sim_disk_t *self = (sim_disk_t *) ((char *) face - offsetof (sim_disk_t, entropy));
    for (uint8_t *at = data; size > 0;) {
        uint8_t word[8];
        size_t part = size < 8 ? size : 8;
        adr_put_u64 (word, adr_random_next (&self->random));
        memcpy (at, word, part);
        at += part;
        size -= part;
    }
}

void
sim_disk_init (sim_disk_t *self, uint64_t seed, uint64_t capacity)
{
    memset (self, 0, sizeof *self);
    self->random.state = seed;
    self->capacity = capacity;
    self->disk = (adr_disk_t){ .create = s_create, .write = s_write, .sync = s_sync, .read = s_read,
                               .truncate = s_truncate, .remove = s_remove, .set_aside = s_set_aside, .list = s_list, .size = s_size, .space = s_space };
    self->entropy.fill = s_fill;
    sim_state_init (self);
    sim_index_init (self);
}

static void
s_lose_journal (sim_disk_t *self)
{
    while (self->segment_count)
        s_drop (self, self->segment_count - 1);
}

void
sim_disk_lose (sim_disk_t *self)
{
    s_lose_journal (self);
    sim_state_clear (self);
    sim_index_clear (self);
}

void
sim_disk_free (sim_disk_t *self)
{
    sim_disk_lose (self);
    sim_index_free (self);
}

void
sim_disk_process_end (sim_disk_t *self)
{
    self->dead = self->fail_sync = self->fail_write = false;
    self->fail_reads = 0;
    self->ops_left = 0;
    sim_index_forget (self);
}

static void
s_cut_page (sim_disk_t *self, sim_page_t *page)
{
    if (!page->platter)
        return;
    uint8_t lost = (uint8_t) ((page->dirty & (uint8_t) adr_random_next (&self->random)) | page->forgotten);
    for (uint32_t sector = 0; sector < SIM_PAGE / SIM_SECTOR; sector++)
        if (lost & 1u << sector)
            memcpy (page->data + sector * SIM_SECTOR, page->platter + sector * SIM_SECTOR, SIM_SECTOR);
    free (page->platter);
    page->platter = NULL;
    page->dirty = page->forgotten = 0;
}

void
sim_disk_power_cut (sim_disk_t *self)
{
    for (uint32_t i = 0; i < self->segment_count; i++) {
        sim_segment_t *segment = self->segment[i];
        for (uint64_t p = 0; p < segment->size / SIM_PAGE; p++)
            if (segment->page[p])
                s_cut_page (self, segment->page[p]);
        segment->dirty_count = 0;
    }
    sim_disk_process_end (self);
}

bool
sim_disk_rot (sim_disk_t *self)
{
    if (self->segment_count == 0)
        return false;
    sim_segment_t *segment = self->segment[adr_random_next (&self->random) % self->segment_count];
    uint64_t pages = segment->size / SIM_PAGE;
    uint64_t first = adr_random_next (&self->random) % pages;
    for (uint64_t i = 0; i < pages; i++) {
        sim_page_t *page = segment->page[(first + i) % pages];
        if (!page || page->dirty)
            continue;
        uint64_t bit = adr_random_next (&self->random) % (SIM_PAGE * 8);
        page->data[bit / 8] ^= (uint8_t) (1u << bit % 8);
        return true;
    }
    return false;
}
