/* SPDX-License-Identifier: MPL-2.0 */
/* The journal's files in the simulator: see disk.h. */

#include "disk.h"
#include "disk_parts.h"

#include "store/layout.h"

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
    if (!segment)
        return;
    for (uint64_t i = 0; i < segment->size / SIM_PAGE; i++)
        s_page_free (&segment->page[i]);
    free (segment->page);
    free (segment->dirty);
    free (segment);
}

/* A file whose name is gone: where files are recycled its bytes stay. */
static void
s_spare (sim_disk_t *self, sim_segment_t *segment)
{
    uint32_t at = self->spare_count;
    if (!self->recycles)
        s_segment_free (segment);
    else if (at < SIM_SPARE_MAX)
        self->spare[self->spare_count++] = segment;
    else {
        at = (uint32_t) (adr_random_next (&self->random) % SIM_SPARE_MAX);
        s_segment_free (self->spare[at]);
        self->spare[at] = segment;
    }
}

static void
s_drop (sim_disk_t *self, uint32_t place)
{
    self->used -= self->segment[place]->size;
    s_spare (self, self->segment[place]);
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

/* What an old file left in a new one, behind the header, which whoever recycles wipes first: best one of the same
 * number, for of all others the checksums tell. */
static void
s_recycle (sim_disk_t *self, sim_segment_t *segment)
{
    if (self->spare_count == 0 || adr_random_next (&self->random) % 2)
        return;
    uint32_t at = (uint32_t) (adr_random_next (&self->random) % self->spare_count);
    for (uint32_t i = 0; i < self->spare_count; i++)
        if (self->spare[i]->number == segment->number)
            at = i;
    sim_segment_t *old = self->spare[at];
    for (uint64_t i = 2; i < segment->size / SIM_PAGE && i < old->size / SIM_PAGE; i++) {
        sim_page_t *page = segment->page[i] = old->page[i];
        old->page[i] = NULL;
        if (!page)
            continue;
        free (page->platter);
        page->platter = NULL;
        page->dirty = page->forgotten = 0;
        page->synced = UINT64_MAX;
    }
    s_segment_free (old);
    self->spare[at] = self->spare[--self->spare_count];
}

static int
s_create (adr_disk_t *face, uint64_t number, uint64_t size, bool written)
{
    (void) written;
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
    s_recycle (self, segment);
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
    page->synced = fails ? UINT64_MAX : self->durable_batch;
    page->dirty = 0;
    if (!page->forgotten) {
        free (page->platter);
        page->platter = NULL;
    }
}

/* A sync makes the batches durable whose headers are in its pages. Nothing else counts: a seal is synced behind a batch
 * and witnesses nothing, and so does what a killed life left in a segment whose batches were copied since. */
static void
s_note_batches (sim_disk_t *self, const sim_segment_t *segment)
{
    adr_segment_header_t header;
    bool sound = false;
    for (uint32_t i = 0; i < SIM_HEADER_PAGES && !sound; i++)
        sound = segment->page[i] && adr_segment_header_decode (&header, segment->page[i]->data);
    for (uint32_t i = 0; i < segment->dirty_count && sound; i++) {
        uint64_t offset = (uint64_t) segment->dirty[i] * SIM_PAGE;
        const uint8_t *at = segment->page[segment->dirty[i]]->data;
        adr_batch_header_t batch;
        if (adr_batch_header_decode (&batch, header.salt, segment->number, offset, at)
            && batch.number > self->durable_batch)
            self->durable_batch = batch.number;
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
    if (!fails)
        s_note_batches (self, segment);
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

/* Nobody asks for such a file again: it need not be kept. Who comes next counts its batches from one. */
static int
s_set_aside (adr_disk_t *face, uint64_t number)
{
    s_disk (face)->durable_batch = 0;
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

/* --- power, as the index sees it -------------------------------------------------------------------------------- */

static sim_disk_t *
s_powered (memory_power_t *power)
{
    return (sim_disk_t *) ((char *) power - offsetof (sim_disk_t, power));
}

static bool
s_begins (memory_power_t *power)
{
    return sim_disk_alive (s_powered (power));
}

static bool
s_ends (memory_power_t *power)
{
    return adr_random_next (&s_powered (power)->random) % 2 == 0;
}

static bool
s_is_gone (memory_power_t *power)
{
    return s_powered (power)->dead;
}

/* --- life ---------------------------------------------------------------------------------------------------- */

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
    self->power = (memory_power_t){ s_begins, s_ends, s_is_gone };
    memory_index_init (&self->index, &self->power);
    self->index.judge = sim_rows_judge;
}

static void
s_lose_journal (sim_disk_t *self)
{
    while (self->segment_count)
        s_drop (self, self->segment_count - 1);
    self->durable_batch = 0;
}

void
sim_disk_lose (sim_disk_t *self)
{
    s_lose_journal (self);
    while (self->spare_count)
        s_segment_free (self->spare[--self->spare_count]);
    sim_state_clear (self);
    memory_index_clear (&self->index);
    self->harm = SIM_HARM_LOST;
}

void
sim_disk_free (sim_disk_t *self)
{
    self->recycles = false;
    sim_disk_lose (self);
    memory_index_free (&self->index);
}

void
sim_disk_process_end (sim_disk_t *self)
{
    self->dead = self->fail_sync = self->fail_write = false;
    self->fail_reads = 0;
    self->ops_left = 0;
    self->ops_kill = false;
    memory_index_forget (&self->index);
}

/* Which of the unsynced sectors stay: all writes of one batch may have come to the platter, or none, or the first of
 * them, or whatever the disk liked to write first. */
typedef enum { S_CUT_LOSES_ALL, S_CUT_KEEPS_FIRST, S_CUT_LOSES_ONE, S_CUT_KEEPS_ONE, S_CUT_ANY, S_CUT_KINDS } s_cut_kind_t;

typedef struct {
    s_cut_kind_t kind;
    uint32_t seen, at; /* sectors so far, and the one that decides */
} s_cut_t;

static bool
s_cut_keeps (sim_disk_t *self, s_cut_t *cut)
{
    uint32_t place = cut->seen++;
    switch (cut->kind) {
    case S_CUT_KEEPS_FIRST:
        return place < cut->at;
    case S_CUT_LOSES_ONE:
        return place != cut->at;
    case S_CUT_KEEPS_ONE:
        return place == cut->at;
    case S_CUT_ANY:
        return adr_random_next (&self->random) % 2;
    case S_CUT_LOSES_ALL:
    case S_CUT_KINDS:
        break;
    }
    return false;
}

static void
s_cut_page (sim_disk_t *self, sim_page_t *page, s_cut_t *cut)
{
    if (!page->platter)
        return;
    uint8_t lost = page->forgotten;
    for (uint32_t sector = 0; sector < SIM_PAGE / SIM_SECTOR; sector++)
        if (page->dirty & 1u << sector && !s_cut_keeps (self, cut))
            lost |= (uint8_t) (1u << sector);
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
    uint32_t unsynced = 0;
    for (uint32_t i = 0; i < self->segment_count; i++)
        for (uint32_t p = 0; p < self->segment[i]->dirty_count; p++)
            unsynced += (uint32_t) __builtin_popcount (self->segment[i]->page[self->segment[i]->dirty[p]]->dirty);
    s_cut_t cut = { .kind = (s_cut_kind_t) (adr_random_next (&self->random) % S_CUT_KINDS) };
    cut.at = (uint32_t) (adr_random_next (&self->random) % (unsynced + 1));
    for (uint32_t i = 0; i < self->segment_count; i++) {
        sim_segment_t *segment = self->segment[i];
        for (uint64_t p = 0; p < segment->size / SIM_PAGE; p++)
            if (segment->page[p])
                s_cut_page (self, segment->page[p], &cut);
        segment->dirty_count = 0;
    }
    sim_disk_process_end (self);
}

/* --- damage ----------------------------------------------------------------------------------------------------- */

/* While nothing behind a batch tells that it was durable, its damage would be taken for a torn tail, and nobody could
 * tell otherwise [STORE-2]. */
static bool
s_may_damage (const sim_disk_t *self, const sim_page_t *page)
{
    return page && page->dirty == 0 && page->synced < self->durable_batch;
}

/* The page that may be damaged and has `skip` newer ones before it. */
static sim_page_t *
s_damageable (sim_disk_t *self, uint64_t skip)
{
    for (uint32_t i = self->segment_count; i-- > 0;) {
        sim_segment_t *segment = self->segment[i];
        for (uint64_t p = segment->size / SIM_PAGE; p-- > 0;)
            if (s_may_damage (self, segment->page[p]) && skip-- == 0)
                return segment->page[p];
    }
    return NULL;
}

static uint64_t
s_damageable_count (const sim_disk_t *self)
{
    uint64_t count = 0;
    for (uint32_t i = 0; i < self->segment_count; i++)
        for (uint64_t p = 0; p < self->segment[i]->size / SIM_PAGE; p++)
            count += s_may_damage (self, self->segment[i]->page[p]);
    return count;
}

bool
sim_disk_damage (sim_disk_t *self, sim_damage_t damage)
{
    uint64_t count = s_damageable_count (self), reach = 1;
    if (count == 0)
        return false;
    while (reach < count && adr_random_next (&self->random) % 4)
        reach *= 2;
    sim_page_t *page = s_damageable (self, adr_random_next (&self->random) % (reach < count ? reach : count));
    const sim_page_t *other = s_damageable (self, adr_random_next (&self->random) % count);
    uint64_t bit = adr_random_next (&self->random) % (SIM_PAGE * 8);
    switch (damage) {
    case SIM_DAMAGE_FLIP:
        if (adr_random_next (&self->random) % 2)
            bit %= SIM_SECTOR * 8; /* the head of a batch, rather than the zeros behind it */
        page->data[bit / 8] ^= (uint8_t) (1u << bit % 8);
        break;
    case SIM_DAMAGE_LOST_WRITE:
        memset (page->data, 0, SIM_PAGE);
        break;
    case SIM_DAMAGE_MISDIRECTED:
        memmove (page->data, other->data, SIM_PAGE);
        break;
    case SIM_DAMAGE_KINDS:
        break;
    }
    self->harm |= SIM_HARM_JOURNAL;
    return true;
}

/* --- rot under a running process ---------------------------------------------------------------------------------- */

static bool
s_rot_page (sim_disk_t *self, sim_segment_t *segment, uint64_t number)
{
    sim_page_t *page = segment->page[number];
    if (!s_may_damage (self, page) || memcmp (page->data, s_zeros, SIM_PAGE) == 0)
        return false; /* pages that are only prepared hold zeros */
    uint64_t bit = adr_random_next (&self->random) % (SIM_PAGE * 8);
    page->data[bit / 8] ^= (uint8_t) (1u << bit % 8);
    self->harm |= SIM_HARM_JOURNAL;
    uint32_t at = self->rot_count++ % SIM_ROT_MAX;
    self->rot[at].segment = segment->number;
    self->rot[at].page = number;
    self->rot[at].bit = bit;
    return true;
}

bool
sim_disk_rot_newest (sim_disk_t *self)
{
    for (uint32_t i = self->segment_count; i-- > 0;)
        for (uint64_t p = self->segment[i]->size / SIM_PAGE; p-- > SIM_HEADER_PAGES;)
            if (s_rot_page (self, self->segment[i], p))
                return true;
    return false;
}

void
sim_disk_unrot (sim_disk_t *self)
{
    for (uint32_t at = 0; at < SIM_ROT_MAX && at < self->rot_count; at++)
        for (uint32_t i = 0; i < self->segment_count; i++) {
            sim_segment_t *segment = self->segment[i];
            if (segment->number == self->rot[at].segment && self->rot[at].page < segment->size / SIM_PAGE
                && segment->page[self->rot[at].page])
                segment->page[self->rot[at].page]->data[self->rot[at].bit / 8] ^= (uint8_t) (1u << self->rot[at].bit % 8);
        }
}
