/* SPDX-License-Identifier: MPL-2.0 */
/* [STORE-11] A node on its reserve takes no puts: they would eat the space that votes and openings are to have. */

#include "sim.h"

static bool
s_is_put (const adr_entry_t *entry)
{
    for (uint32_t i = 0; i < entry->op_count; i++)
        if (!(entry->op[i].flags & (ADR_OP_DELETE | ADR_OP_PURGE)) && entry->op[i].table != ADR_TABLE_GARBAGE
            && entry->op[i].table != ADR_TABLE_GROUP)
            return entry->kind == ADR_ENTRY_WRITE;
    return false;
}

static void
s_check_entry (sim_world_t *world, const sim_node_t *node, uint64_t index)
{
    static adr_entry_t entry;
    adr_status_t status;
    adr_buffer_clear (&world->scratch);
    if (adr_store_read_log (node->store, index, 1, &world->scratch, &status) == 0
        || adr_entry_decode (&entry, adr_bytes (world->scratch.data, world->scratch.size)) == 0)
        return; /* damage is others' business */
    if (s_is_put (&entry))
        sim_fail (&world->verdict, "STORE-11: a node on its reserve takes no puts", "%s takes entry %llu", node->name,
                  (unsigned long long) index);
}

void
sim_watch_space (sim_world_t *world, int place)
{
    sim_node_t *node = &world->node[place];
    bool on_reserve = adr_store_space (node->store) >= ADR_SPACE_SECOND_MARK;
    uint64_t last = adr_store_last (node->store).index;
    for (uint64_t index = node->reserve_last + 1; on_reserve && node->on_reserve && index <= last; index++)
        s_check_entry (world, node, index);
    if (adr_store_space (node->store) == ADR_SPACE_LAST)
        sim_point_soon (world, place, POINT_LAST);
    node->on_reserve = on_reserve;
    node->reserve_last = last;
}
