/* SPDX-License-Identifier: MPL-2.0 */
/* A node whose memory is bad: what it reads for its peers' copies is not what its disk holds. One node of a seed at most, the
 * same whose disk rots. Of an inventory any byte may be another one, for all of it is checked [REPAIR-2]; often it is a tombstone's
 * version, for nothing but the hash tells. Of records it is a byte of a value, which its digest tells [REPAIR-3]. */

#include "sim.h"

static void
s_flip (sim_world_t *world, adr_bytes_t payload, size_t from, size_t to)
{
    adr_random_t *random = &world->point_random;
    adr_buffer_clear (&world->lie);
    adr_buffer_append (&world->lie, payload.data, payload.size);
    size_t at = (size_t) sim_pick (random, (int64_t) from, (int64_t) to - 1);
    world->lie.data[at] ^= (uint8_t) (1u << sim_pick (random, 0, 7));
    sim_faults_injected (&world->faults, SIM_FAULT_LIE);
}

/* False if no record has a value. */
static bool
s_flip_value (sim_world_t *world, adr_bytes_t payload)
{
    adr_bytes_t rest = payload;
    adr_inventory_row_t row;
    size_t size;
    while (rest.size && (size = adr_inventory_row_get (&row, rest)) != 0 && size + row.value_size <= rest.size) {
        if (row.value_size) {
            size_t from = payload.size - rest.size + size;
            s_flip (world, payload, from, from + row.value_size);
            return true;
        }
        rest = adr_bytes (rest.data + size, rest.size - size);
    }
    return false;
}

/* One tombstone of these sections, each as likely as the others, has another version. False if there is none, or this is a
 * later piece of an inventory, which begins anywhere. */
static bool
s_change_tombstone (sim_world_t *world, adr_bytes_t payload)
{
    adr_inventory_section_t section;
    adr_inventory_row_t row, chosen = { 0 };
    size_t at = 0, size, row_size;
    int64_t seen = 0;
    for (adr_bytes_t rest = payload; rest.size && (size = adr_inventory_section_get (&section, rest)) != 0;
         rest = adr_bytes (rest.data + size, rest.size - size))
        for (adr_bytes_t rows = section.rows; rows.size && (row_size = adr_inventory_row_get (&row, rows)) != 0;
             rows = adr_bytes (rows.data + row_size, rows.size - row_size))
            if (row.deleted && sim_pick (&world->point_random, 0, seen++) == 0) {
                chosen = row;
                at = (size_t) (rows.data - payload.data);
            }
    if (seen == 0)
        return false;
    chosen.version.index ^= UINT64_C (1) << sim_pick (&world->point_random, 0, 5);
    adr_buffer_clear (&world->lie);
    adr_buffer_append (&world->lie, payload.data, payload.size);
    adr_inventory_row_put (&world->lie, &chosen);
    memmove (world->lie.data + at, world->lie.data + payload.size, world->lie.size - payload.size);
    world->lie.size = payload.size;
    sim_faults_injected (&world->faults, SIM_FAULT_LIE);
    return true;
}

adr_bytes_t
sim_lie (sim_world_t *world, int node, uint16_t kind, adr_bytes_t payload)
{
    if ((kind != ADR__KIND__INVENTORY && kind != ADR__KIND__RECORDS) || payload.size == 0 || world->phase != PHASE_FAULTS
        || node != sim_rotting_node (world) || !sim_chance (&world->point_random, world->options.lies_ppm))
        return payload;
    if (kind == ADR__KIND__INVENTORY) {
        if (!sim_chance (&world->point_random, 700000) || !s_change_tombstone (world, payload))
            s_flip (world, payload, 0, payload.size);
    } else if (!s_flip_value (world, payload))
        return payload;
    return adr_bytes (world->lie.data, world->lie.size);
}
