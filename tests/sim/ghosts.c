/* SPDX-License-Identifier: MPL-2.0 */
/* What is on the wire for longer than anybody would think: a second copy of what elections say, seconds late; and what a
 * node that lost its memory had still to say and to hear, when its new life has begun, calls, or stands [ELECT-7]. */

#include "sim.h"

#define S_ANSWERS 3
#define S_SMALL 2048 /* larger packs are entries, and those are the same in every life */

static void
s_keep (sim_world_t *world, sim_pack_t **slot, sim_pack_t *pack)
{
    if (*slot)
        sim_pack_release (world, *slot);
    pack->references++;
    *slot = pack;
}

/* Of elections any that there were, of replicators the newest: who talks more must not crowd out the others. */
static void
s_note (sim_world_t *world, sim_ghosts_t *ghosts, sim_pack_t *pack)
{
    if (pack->to_actor == ADR_ACTOR_REPLICATOR)
        s_keep (world, &ghosts->replicator[ghosts->replicator_count++ % SIM_GHOSTS], pack);
    if (pack->to_actor != ADR_ACTOR_ELECTION)
        return;
    uint64_t at = ghosts->election_count++;
    if (at >= SIM_GHOSTS)
        at = (uint64_t) sim_pick (&world->network_random, 0, (int64_t) at);
    if (at < SIM_GHOSTS)
        s_keep (world, &ghosts->election[at], pack);
}

static void
s_appear (sim_world_t *world, sim_pack_t *pack, int64_t after_ns)
{
    pack->references++;
    sim_event_at (world, world->now_ns + after_ns, EV_ARRIVE, pack->to_node, 0, 0, pack);
}

/* From 10 ms to 10 s, each doubling as likely as the next. */
static int64_t
s_late (sim_world_t *world)
{
    int64_t base = 10 * ADR_MS << sim_pick (&world->network_random, 0, 9);
    return base + sim_pick (&world->network_random, 0, base);
}

void
sim_ghosts_note (sim_world_t *world, sim_pack_t *pack)
{
    const sim_options_t *options = &world->options;
    if (world->phase != PHASE_FAULTS || !world->node[pack->from_node].replicates
        || !world->node[pack->to_node].replicates)
        return;
    if (pack->to_actor == ADR_ACTOR_ELECTION && sim_chance (&world->network_random, options->echo_ppm))
        s_appear (world, pack, s_late (world));
    if (pack->has_release)
        s_keep (world, &world->release[world->release_count++ % SIM_GHOSTS], pack);
    if (!options->ghosts || pack->has_write || pack->bytes.size > S_SMALL) /* a write comes once, as over TCP */
        return;
    s_note (world, &world->ghosts[pack->from_node][0], pack);
    s_note (world, &world->ghosts[pack->to_node][1], pack);
}

static void
s_forget (sim_world_t *world, sim_ghosts_t *ghosts)
{
    for (int i = 0; i < SIM_GHOSTS; i++) {
        if (ghosts->election[i])
            sim_pack_release (world, ghosts->election[i]);
        if (ghosts->replicator[i])
            sim_pack_release (world, ghosts->replicator[i]);
    }
    *ghosts = (sim_ghosts_t){ 0 };
}

void
sim_ghosts_free (sim_world_t *world)
{
    for (int i = 0; i < SIM_GHOSTS; i++)
        if (world->release[i])
            sim_pack_release (world, world->release[i]);
    for (int i = 0; i < SIM_NODES_MAX; i++)
        for (int end = 0; end < 2; end++) {
            s_forget (world, &world->ghosts[i][end]);
            s_forget (world, &world->former[i][end]);
        }
}

void
sim_ghosts_new_life (sim_world_t *world, int node)
{
    for (int end = 0; end < 2; end++) {
        sim_ghosts_t *former = &world->former[node][end];
        s_forget (world, former);
        *former = world->ghosts[node][end];
        former->replicator_count = S_ANSWERS;
        world->ghosts[node][end] = (sim_ghosts_t){ 0 };
        for (int i = 0; i < SIM_GHOSTS; i++) {
            if (former->election[i])
                s_appear (world, former->election[i], s_late (world));
            if (former->replicator[i])
                s_appear (world, former->replicator[i], s_late (world));
        }
    }
}

/* Until about when an answer to what is said now would come. */
static int64_t
s_soon (sim_world_t *world)
{
    return sim_pick (&world->network_random, 0, 2 * (world->options.wire_max_ns + world->options.hop_ns));
}

void
sim_ghosts_join (sim_world_t *world, int node, uint16_t kind)
{
    bool asks = kind == ADR__KIND__CALL || kind == ADR__KIND__VOTE_REQUEST;
    /* Its first answers to polls: what it acknowledges then is not yet what it holds. */
    uint64_t *answers_left = &world->former[node][0].replicator_count;
    bool shows = kind == ADR__KIND__POLL_ANSWER && *answers_left > 0;
    uint32_t ppm = world->options.ghost_ppm;
    if ((!asks && !shows) || world->phase != PHASE_FAULTS || (asks && !sim_chance (&world->network_random, ppm)))
        return;
    *answers_left -= shows;
    for (int i = 0; i < SIM_GHOSTS; i++) {
        sim_pack_t *told = world->former[node][1].election[i], *said = world->former[node][0].replicator[i];
        /* An old hand-over is remembered while somebody calls: it lifts no promise but its own [ELECT-8]. */
        if (kind == ADR__KIND__CALL && world->release[i] && sim_chance (&world->network_random, ppm))
            s_appear (world, world->release[i], s_soon (world));
        if (asks && told)
            s_appear (world, told, s_soon (world));
        if (shows && said)
            s_appear (world, said, s_soon (world));
    }
}
