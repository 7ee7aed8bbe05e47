/* SPDX-License-Identifier: MPL-2.0 */
/* A node that the cluster has adopted, of another group: its key opens every door, and the table of messages lets it say whatever a
 * node of the first group may say. It says what it has overheard, in its own name [TRUST-3]. See trust.h. */

#include "trust.h"

void
sim_liar_overhears (sim_world_t *world, sim_pack_t *pack)
{
    struct sim_trust *self = world->trust;
    if (!self || self->liar < 0 || pack->from_node < 0 || pack->to_node < 0 || !world->node[pack->from_node].replicates || pack->is_lie
        || !sim_chance (&self->random, 50000))
        return;
    sim_pack_t **slot = &self->overheard[self->overheard_count++ % SIM_LIES_KEPT];
    if (*slot)
        sim_pack_release (world, *slot);
    pack->references++;
    *slot = pack;
}

void
sim_liar_free (sim_world_t *world)
{
    for (int i = 0; i < SIM_LIES_KEPT; i++)
        if (world->trust->overheard[i])
            sim_pack_release (world, world->trust->overheard[i]);
}

/* Old or new, to whom it was for or to another. */
static void
s_repeat (sim_world_t *world, const sim_pack_t *said)
{
    struct sim_trust *self = world->trust;
    adr_pack_reader_t reader;
    adr_item_t item;
    int to = said->to_node;
    for (int64_t skip = sim_pick (&self->random, 0, 3); skip-- > 0;)
        for (int i = 0; i < world->node_count; i++)
            if (world->node[i].replicates && world->node[to].replicates && i != to && sim_chance (&self->random, 300000))
                to = i;
    if (!adr_pack_open (&reader, adr_bytes (said->bytes.data, said->bytes.size)))
        return;
    sim_pack_t *lie = sim_trust_pack (world, self->liar, reader.envelope.from_actor, to, reader.envelope.to_actor);
    lie->is_lie = true;
    while (adr_pack_next (&reader, &item) > 0) {
        adr_arena_reset (&world->arena);
        adr_pack_add (&lie->bytes, item.kind, adr_header_decode (&item, &world->arena), item.payload);
    }
    self->lies++;
    sim_network_send (world, lie);
}

void
sim_liar_speaks (sim_world_t *world)
{
    struct sim_trust *self = world->trust;
    uint64_t kept = self->overheard_count < SIM_LIES_KEPT ? self->overheard_count : SIM_LIES_KEPT;
    for (int64_t left = sim_pick (&self->random, 1, 8); kept && left-- > 0;)
        s_repeat (world, self->overheard[sim_pick (&self->random, 0, (int64_t) kept - 1)]);
    if (world->phase == PHASE_FAULTS)
        sim_event_at (world, world->now_ns + sim_pick (&self->random, 5, 200) * ADR_MS, EV_TRUST, TRUST_LIE, 0, 0, NULL);
}
