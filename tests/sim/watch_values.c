/* SPDX-License-Identifier: MPL-2.0 */
/* [STORE-7, STORE-8] A store that opens on a disk to which nothing was done has the value of each of its records: no row
 * names what is not there, because it was not synced yet, or went with its segment. */

#include "sim.h"

static bool
s_take_row (void *argument, adr_bytes_t key, const adr_record_t *record)
{
    (void) key, (void) record;
    ++*(uint64_t *) argument;
    return true;
}

/* [REPAIR-2] What is in doubt, or has no value in any copy, is answered like that. */
static bool
s_has_rot (const sim_disk_t *disk)
{
    for (uint32_t i = 0; i < disk->index.rows->count; i++) {
        const memory_row_t *row = &disk->index.rows->row[i];
        if (row->damaged || (row->table != MEMORY_TREE && (row->row.doubt || row->row.place.segment == 0)))
            return true;
    }
    return disk->fail_reads != 0;
}

void
sim_watch_values (sim_world_t *world, int place)
{
    sim_node_t *node = &world->node[place];
    adr_bytes_t none = { 0 };
    uint64_t count = 0;
    for (uint8_t table = 0; table < ADR_TABLE_COUNT && !s_has_rot (&node->disk); table++)
        if (adr_store_scan (node->store, table, none, none, true, s_take_row, &count) != ADR_STATUS_OK) {
            sim_fail (&world->verdict, "STORE-8: rows name what is there", "%s: a value of table %u, behind %llu others",
                      node->name, table, (unsigned long long) count);
            return;
        }
}
