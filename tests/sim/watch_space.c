/* SPDX-License-Identifier: MPL-2.0 */
/* [STORE-11] A node on its reserve takes no puts: they would eat the space that votes and openings are to have. It does when
 * its master says that nothing is committed without it, which is said only where members are full, or make their copies. */

#include "sim.h"

#define S_HEARD_NS (5 * SIM_SECOND)

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

/* Members that are full, or make a copy, or did until a moment ago, of which a master hears by polls: it may wait for them [STORE-11,
 * REPAIR-5]. */
bool
sim_waits_for_space (const sim_world_t *world)
{
    for (int i = 0; i < world->node_count; i++) {
        const sim_node_t *node = &world->node[i];
        bool copies = node->store && adr_store_sync (node->store) == ADR_SYNC_COPYING;
        bool copied = node->copied_ns && world->now_ns - node->copied_ns < S_HEARD_NS;
        bool filled = node->full_ns && world->now_ns - node->full_ns < S_HEARD_NS;
        if (node->full_disk || copies || copied || filled)
            return true;
    }
    return false;
}

void
sim_watch_space_send (sim_world_t *world, int place, uint16_t kind, const ProtobufCMessage *header)
{
    if (kind == ADR__KIND__APPEND && ((const Adr__Append *) header)->needed && !sim_waits_for_space (world))
        sim_fail (&world->verdict, "STORE-11: reserves are spent only where too few have space", "%s says that it needs them",
                  world->node[place].name);
}

void
sim_watch_space_deliver (sim_world_t *world, int place, const adr_event_t *event)
{
    sim_node_t *node = &world->node[place];
    if (event->message.kind != ADR__KIND__APPEND)
        return;
    const Adr__Append *append = (const Adr__Append *) event->message.header;
    if (append->needed && node->needed_to < append->prev_index + append->count)
        node->needed_to = append->prev_index + append->count;
}

void
sim_watch_space (sim_world_t *world, int place)
{
    sim_node_t *node = &world->node[place];
    bool on_reserve = adr_store_space (node->store) >= ADR_SPACE_SECOND_MARK;
    uint64_t last = adr_store_last (node->store).index;
    for (uint64_t index = node->reserve_last + 1; on_reserve && node->on_reserve && index <= last; index++)
        if (index > node->needed_to)
            s_check_entry (world, node, index);
    if (adr_store_space (node->store) == ADR_SPACE_LAST)
        sim_point_soon (world, place, POINT_LAST);
    node->on_reserve = on_reserve;
    node->needed_to = 0;
    node->reserve_last = last;
}
