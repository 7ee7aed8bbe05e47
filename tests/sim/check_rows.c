/* SPDX-License-Identifier: MPL-2.0 */
/* What an index transaction may say of records, seen from below the store: each row that has its value names a frame that is written and
 * synced [STORE-7, STORE-8], and no row gives way to an older one, whether it comes by the log, from a peer or out of a
 * segment that is to go [REPAIR-1, REPAIR-4]; and, but where a whole
 * copy is made, which the disk does not know, nobody takes what is not applied yet [REPAIR-3]. The disk keeps the first word that is wrong; watch_repair.c asks for it. */

#include "disk_parts.h"

#include "store/layout.h"

#define S_APPLIED "applied" /* the store's row: journal id, term, index, generation */
#define S_APPLIED_INDEX (ADR_ID_SIZE + 8)

static const sim_segment_t *
s_segment (const sim_disk_t *disk, uint64_t number)
{
    for (uint32_t i = disk->segment_count; i-- > 0 && disk->segment[i]->number >= number;)
        if (disk->segment[i]->number == number)
            return disk->segment[i];
    return NULL;
}

static bool
s_is_clean (const sim_segment_t *segment, uint64_t from, uint64_t to)
{
    for (uint64_t sector = from / SIM_SECTOR; sector * SIM_SECTOR < to; sector++) {
        const sim_page_t *page = segment->page[sector / (SIM_PAGE / SIM_SECTOR)];
        if (page && page->dirty >> sector % (SIM_PAGE / SIM_SECTOR) & 1)
            return false;
    }
    return true;
}

/* Zeros are what is prepared, and not written yet. A frame lies within one page or begins in one: its head tells. */
static bool
s_is_written (const sim_segment_t *segment, uint64_t offset)
{
    const sim_page_t *page = segment->page[offset / SIM_PAGE];
    for (uint64_t i = 0; page && i < ADR_FRAME_HEADER_SIZE && offset % SIM_PAGE + i < SIM_PAGE; i++)
        if (page->data[offset % SIM_PAGE + i])
            return true;
    return false;
}

static bool
s_stands_on_the_platter (const sim_disk_t *disk, const adr_place_t *place)
{
    const sim_segment_t *segment = s_segment (disk, place->segment);
    return segment && place->offset + place->size <= segment->size && s_is_written (segment, place->offset)
           && s_is_clean (segment, place->offset, place->offset + place->size);
}

/* What the transaction says that the index is applied up to; 0: nothing. */
static uint64_t
s_applied (const sim_disk_t *disk)
{
    for (uint32_t i = 0; i < disk->index.pending_meta_count; i++)
        if (strcmp (disk->index.pending_meta[i].name, S_APPLIED) == 0)
            return adr_get_u64 (disk->index.pending_meta[i].value + S_APPLIED_INDEX);
    return 0;
}

void
sim_rows_judge (memory_index_t *index, const memory_row_t *old, const memory_row_t *row)
{
    sim_disk_t *disk = (sim_disk_t *) ((char *) index - offsetof (sim_disk_t, index));
    if (disk->wrong_row || row->removed || row->table == MEMORY_TREE)
        return;
    uint64_t applied = s_applied (disk);
    bool is_news = !old || adr_version_compare (&old->row.version, &row->row.version) != 0; /* else it moves, or is mended */
    if (applied && row->row.version.index > applied && is_news)
        disk->ahead_index = row->row.version.index;
    if (row->row.place.segment && !s_stands_on_the_platter (disk, &row->row.place))
        disk->wrong_row = "STORE-8: a row names what is synced";
    else if (old && !old->damaged && adr_version_compare (&old->row.version, &row->row.version) > 0)
        disk->wrong_row = "REPAIR-1: no row gives way to an older one";
    disk->wrong_index = disk->wrong_row ? row->row.version.index : 0;
}
