/* SPDX-License-Identifier: MPL-2.0 */
/* What repair must never do: a copy that is being made notes no roots, acknowledges nothing, stands for nothing and is no
 * source [REPAIR-1, REPAIR-2, REPAIR-5]; no row replaces a newer one in a copy that is exact [REPAIR-4]; and where nothing
 * was done to any index or journal, and nothing was purged, copies never differ at a checkpoint [invariant 7]. */

#include "sim.h"

#define S_HEARS_NS SIM_SECOND /* by then the other actors of a node know that its copy is being made */

void
sim_watch_repair (sim_world_t *world, int place)
{
    sim_node_t *node = &world->node[place];
    const adr_store_checkpoint_t *noted = adr_store_checkpoint (node->store);
    adr_sync_t sync = adr_store_sync (node->store);
    bool copies = sync == ADR_SYNC_COPYING || sync == ADR_SYNC_REPLAYING;
    if (noted->at.index != 0 && noted->at.index != node->noted && copies)
        sim_fail (&world->verdict, "REPAIR-1: nobody notes roots before its state is exact", "%s at checkpoint %llu",
                  node->name, (unsigned long long) noted->at.index);
    node->noted = noted->at.index;
    if (sync == ADR_SYNC_COPYING)
        node->copied_ns = world->now_ns;
    if (sync != ADR_SYNC_COPYING)
        node->copies_since_ns = ADR_NEVER;
    else if (node->copies_since_ns == ADR_NEVER || node->copies_since_ns == 0)
        node->copies_since_ns = world->now_ns;
    if (adr_store_regressions (node->store) != 0)
        sim_fail (&world->verdict, "REPAIR-4: no row replaces a newer one", "%s, %llu times", node->name,
                  (unsigned long long) adr_store_regressions (node->store));
    if (node->disk.ahead_index && !copies)
        sim_fail (&world->verdict, "REPAIR-3: who is behind takes nothing that is ahead", "%s, version %llu", node->name,
                  (unsigned long long) node->disk.ahead_index);
    node->disk.ahead_index = 0;
    if (node->disk.wrong_row)
        sim_fail (&world->verdict, node->disk.wrong_row, "%s, version %llu", node->name,
                  (unsigned long long) node->disk.wrong_index);
}

/* Nothing was drawn that takes or changes rows or entries behind the store's back, or purges what another copy keeps. */
bool
sim_must_be_alike (const sim_world_t *world)
{
    static const sim_fault_t s_harms[] = { SIM_FAULT_ROT, SIM_FAULT_LOST_INDEX, SIM_FAULT_OLD_INDEX, SIM_FAULT_INDEX_ROT,
                                           SIM_FAULT_READ_ERROR, SIM_FAULT_OLD_STATE };
    for (size_t i = 0; i < sizeof s_harms / sizeof s_harms[0]; i++)
        if (world->options.every_ns[s_harms[i]] || world->options.lies_ppm)
            return false;
    for (int i = 0; i < world->node_count; i++)
        if (world->node[i].store && adr_store_purged_to (world->node[i].store) != 0)
            return false;
    return true;
}

/* Whom a replicator has to do with: bits of nodes. */
static void
s_hear_of_nodes (sim_world_t *world, sim_node_t *node, const Adr__MapChanged *changed)
{
    if (changed->map->registry == NULL)
        return;
    node->knows = 0;
    node->wanted = 0;
    for (size_t i = 0; i < changed->map->registry->n_node; i++) {
        const Adr__Node *known = changed->map->registry->node[i];
        adr_id_t id = adr_id_of (known->id), group = adr_id_of (known->group);
        int place = sim_node_of (world, &id);
        if (place >= 0 && !known->evicted)
            node->knows |= 1u << place;
        node->wanted += adr_id_equal (&group, &world->group) && !known->leaving && !known->evicted;
    }
}

/* [REPAIR-6] What a master has heard of its members' needs, in this mastership. */
void
sim_watch_repair_deliver (sim_world_t *world, int place, const adr_event_t *event)
{
    if (event->kind == ADR_EVENT_MESSAGE && event->message.kind == ADR__KIND__MAP_CHANGED)
        s_hear_of_nodes (world, &world->node[place], (const Adr__MapChanged *) event->message.header);
    if (event->kind != ADR_EVENT_MESSAGE || event->message.kind != ADR__KIND__ANSWERED
        || event->message.from.actor != ADR_ACTOR_HEALTH_CHECKER)
        return;
    const Adr__Answered *answered = (const Adr__Answered *) event->message.header;
    adr_id_t voter = adr_id_of (answered->voter);
    int from = sim_node_of (world, &voter);
    if (from < 0)
        return;
    sim_keep_t *heard = &world->node[place].heard_keep[from];
    if (heard->term == answered->term && heard->incarnation == answered->incarnation && answered->boot < heard->boot)
        return; /* of before its last start: it counts no more */
    *heard = (sim_keep_t){ answered->term, answered->keep_from, answered->incarnation, answered->boot };
}

/* Nobody trims what one of the others still needs; of who was not heard that may be everything. */
static void
s_judge_keep (sim_world_t *world, const sim_node_t *node, const Adr__Pong *pong)
{
    if (pong->keep_least == 0 || node->leads == 0)
        return;
    for (int i = 0; i < world->node_count; i++) {
        const sim_keep_t *heard = &node->heard_keep[i];
        if (&world->node[i] == node || !world->node[i].replicates || (world->trust && (!(node->knows >> i & 1) || sim_is_evicted (world, i))))
            continue;
        if (heard->term != node->leads || pong->keep_least > heard->index)
            sim_fail (&world->verdict, "REPAIR-6: the log is kept for who needs it", "%s tells all to keep it from %llu, %s %s %llu",
                      node->name, (unsigned long long) pong->keep_least, world->node[i].name,
                      heard->term != node->leads ? "was not heard in term" : "needs it from",
                      (unsigned long long) (heard->term != node->leads ? node->leads : heard->index));
    }
}

void
sim_watch_repair_send (sim_world_t *world, int place, uint16_t kind, const ProtobufCMessage *header)
{
    const sim_node_t *node = &world->node[place];
    bool copies = node->store && adr_store_sync (node->store) == ADR_SYNC_COPYING;
    bool known = copies && node->copies_since_ns != ADR_NEVER && world->now_ns - node->copies_since_ns > S_HEARS_NS;
    bool gives = (kind == ADR__KIND__LEAVES && ((const Adr__Leaves *) header)->ok)
                 || (kind == ADR__KIND__INVENTORY && ((const Adr__Inventory *) header)->ok)
                 || (kind == ADR__KIND__RECORDS && ((const Adr__Records *) header)->ok);
    if (kind == ADR__KIND__PONG)
        s_judge_keep (world, node, (const Adr__Pong *) header);
    if (copies && kind == ADR__KIND__APPEND_ACK)
        sim_fail (&world->verdict, "REPAIR-5: a sick copy acknowledges nothing", "%s", node->name);
    if (known && (kind == ADR__KIND__CALL || kind == ADR__KIND__VOTE_REQUEST))
        sim_fail (&world->verdict, "REPAIR-5: a sick copy does not stand", "%s", node->name);
    if (known && gives)
        sim_fail (&world->verdict, "REPAIR-2: a sick copy is no source", "%s", node->name);
    if (kind == ADR__KIND__ROOTS_ASK && sim_must_be_alike (world))
        sim_fail (&world->verdict, "7: copies to which nothing was done are alike", "%s at checkpoint %llu", node->name,
                  (unsigned long long) ((const Adr__RootsAsk *) header)->index);
}
