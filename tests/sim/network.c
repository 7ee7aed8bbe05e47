/* SPDX-License-Identifier: MPL-2.0 */
/* Packs between nodes, and between clients and edges: delays, losses, repeats, reordering, cuts, and packs that come
 * out of a former life of a connection. A receiver drops what its envelope's (boot, sequence) shows to be older than
 * what it has seen on that lane, as src/runtime/post.c does [DESIGN 3]; a new incarnation starts anew, and what its
 * forerunner still had on the wire may come in between: actors must tell the two apart by themselves [ELECT-7]. */

#include "sim.h"

/* A stopped receiver's buffers hold this many packs, measured; what comes then is lost. */
#define S_HELD_MAX_NS (6 * SIM_SECOND)

bool
sim_network_reaches (const sim_world_t *world, int from_host, int to_host, bool bulk)
{
    uint32_t from = 1u << from_host, to = 1u << to_host;
    for (uint32_t i = 0; i < world->cut_count; i++) {
        const sim_cut_t *cut = &world->cut[i];
        if ((cut->bulk && !bulk) || (cut->control && bulk))
            continue;
        if ((cut->from & from && cut->to & to) || (cut->both && cut->from & to && cut->to & from))
            return false;
    }
    return true;
}

static int64_t
s_delay (sim_world_t *world)
{
    const sim_options_t *options = &world->options;
    adr_random_t *random = &world->network_random;
    int64_t delay = sim_pick (random, options->wire_min_ns, options->wire_max_ns);
    if (world->phase == PHASE_FAULTS && sim_chance (random, options->late_ppm))
        delay += sim_pick (random, 0, options->late_max_ns);
    return delay;
}

/* Order holds within a connection, unless this seed says otherwise. */
static int64_t
s_arrival (sim_world_t *world, const sim_pack_t *pack)
{
    int64_t at = world->now_ns + s_delay (world);
    int64_t *last = &world->link_ns[pack->from_node][pack->to_node][pack->lane];
    if (!(world->options.reorder && world->phase == PHASE_FAULTS) && at < *last)
        at = *last;
    *last = at;
    return at;
}

static void
s_between_nodes (sim_world_t *world, sim_pack_t *pack)
{
    const sim_options_t *options = &world->options;
    sim_node_t *from = &world->node[pack->from_node], *to = &world->node[pack->to_node];
    adr_random_t *random = &world->network_random;
    pack->lane = options->bulk && pack->to_actor == ADR_ACTOR_REPLICATOR && from->replicates;
    pack->incarnation = from->incarnation;
    pack->boot = from->boot;
    pack->sequence = ++from->sent[pack->to_node][pack->lane].sequence;
    pack->sent_ns = world->now_ns;
    adr_pack_number (&pack->bytes, pack->sequence, world->map->epoch);
    bool faults = world->phase == PHASE_FAULTS;
    sim_ghosts_note (world, pack);
    sim_liar_overhears (world, pack);
    if (!sim_network_reaches (world, from->host, to->host, pack->lane == 1)) {
        world->cut_off++;
        sim_pack_release (world, pack);
        return;
    }
    if (faults && sim_chance (random, options->loss_ppm)) {
        world->lost++;
        sim_pack_release (world, pack);
        return;
    }
    uint64_t life = world->host[to->host].life;
    if (faults && !pack->has_write && sim_chance (random, options->repeat_ppm)) {
        world->repeated++;
        pack->references++;
        int64_t again = s_arrival (world, pack);
        again += sim_pick (random, 0, options->late_max_ns);
        sim_event_at (world, again, EV_ARRIVE, pack->to_node, 0, life, pack);
    }
    sim_event_at (world, s_arrival (world, pack), EV_ARRIVE, pack->to_node, 0, life, pack);
}

/* A client's connection to its edge keeps order and loses nothing while both live. */
void
sim_network_send (sim_world_t *world, sim_pack_t *pack)
{
    world->messages++;
    if (pack->from_node >= 0 && pack->to_node >= 0) {
        s_between_nodes (world, pack);
        return;
    }
    pack->sent_ns = world->now_ns;
    int64_t at = world->now_ns + sim_pick (&world->network_random, 10 * SIM_US, 200 * SIM_US);
    if (pack->to_node >= 0)
        sim_event_at (world, at, EV_ARRIVE, pack->to_node, 0, world->host[world->node[pack->to_node].host].life, pack);
    else
        sim_event_at (world, at, EV_ANSWER, pack->client, 0, 0, pack);
}

/* Some packs wait somewhere until their receiver is back, in its next life: nothing there knows that they are old. */
static bool
s_hold (sim_world_t *world, sim_pack_t *pack)
{
    const sim_host_t *host = &world->host[world->node[pack->to_node].host];
    if (pack->from_node < 0 || world->phase != PHASE_FAULTS
        || !sim_chance (&world->network_random, world->options.stale_ppm)
        || world->now_ns - pack->sent_ns > S_HELD_MAX_NS)
        return false;
    world->stale++;
    int64_t at = world->now_ns + sim_pick (&world->network_random, 10 * ADR_MS, SIM_SECOND);
    sim_event_at (world, at, EV_ARRIVE, pack->to_node, 0, host->life, pack);
    return true;
}

/* [ELECT-12] Whatever is about a term carries the term: elections must be safe in any order. */
static bool
s_is_old (sim_world_t *world, const sim_pack_t *pack)
{
    if (world->options.unordered && pack->to_actor == ADR_ACTOR_ELECTION)
        return false;
    sim_sequence_t *seen = &world->node[pack->to_node].seen[pack->from_node][pack->lane];
    if (pack->incarnation == seen->incarnation
        && (pack->boot < seen->boot || (pack->boot == seen->boot && pack->sequence < seen->sequence)))
        return true;
    *seen = (sim_sequence_t){ pack->incarnation, pack->boot, pack->sequence };
    return false;
}

void
sim_network_arrive (sim_world_t *world, sim_pack_t *pack)
{
    sim_node_t *node = &world->node[pack->to_node];
    const sim_host_t *host = &world->host[node->host];
    if (!host->up) {
        if (!s_hold (world, pack))
            sim_pack_release (world, pack);
        return;
    }
    if (pack->from_node < 0 && world->event->life != host->life) { /* what waited for a host that was stopped, and then killed */
        sim_pack_release (world, pack);
        return;
    }
    if (!sim_trust_hears (world, node->host, pack->from_node, pack->to_node)) {
        sim_pack_release (world, pack);
        return;
    }
    if (pack->from_node >= 0 && s_is_old (world, pack)) {
        world->dropped_old++;
        sim_pack_release (world, pack);
        return;
    }
    sim_actor_t *actor = node->actor[pack->to_actor];
    if (!actor) {
        sim_pack_release (world, pack);
        return;
    }
    sim_actor_put (actor, (sim_item_t){ .kind = ITEM_PACK, .pack = pack });
}
