/* SPDX-License-Identifier: MPL-2.0 */
/* A node whose memory is bad: what it reads for its peers' copies is not what its disk holds. One node of a seed at most, the
 * same whose disk rots. Of an inventory any byte may be another one, for all of it is checked [REPAIR-2]; of records one of a
 * value, which its digest tells [REPAIR-3]. */

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

adr_bytes_t
sim_lie (sim_world_t *world, int node, uint16_t kind, adr_bytes_t payload)
{
    if ((kind != ADR__KIND__INVENTORY && kind != ADR__KIND__RECORDS) || payload.size == 0 || world->phase != PHASE_FAULTS
        || node != sim_rotting_node (world) || !sim_chance (&world->point_random, world->options.lies_ppm))
        return payload;
    if (kind == ADR__KIND__INVENTORY)
        s_flip (world, payload, 0, payload.size);
    else if (!s_flip_value (world, payload))
        return payload;
    return adr_bytes (world->lie.data, world->lie.size);
}
