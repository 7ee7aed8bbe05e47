/* SPDX-License-Identifier: MPL-2.0 */
/* When faults happen, and to whom. Data is promised only while a quorum of disks survives, so that a disk is taken
 * away only while all others are whole; everything else may come together. */

#include "sim.h"

static sim_host_t *
s_host_of (sim_world_t *world, int node)
{
    return &world->host[world->node[node].host];
}

static int
s_any_host (sim_world_t *world)
{
    return (int) sim_pick (&world->fault_random, 0, world->host_count - 1);
}

/* A node of the group: whoever leads with one half, for there it hurts. */
static int
s_any_member (sim_world_t *world)
{
    adr_random_t *random = &world->fault_random;
    bool want_master = sim_chance (random, 500000);
    int chosen = -1;
    int64_t skip = sim_pick (random, 0, world->members - 1);
    for (int i = 0; i < world->node_count; i++) {
        if (!world->node[i].replicates)
            continue;
        if (want_master && world->node[i].leads && s_host_of (world, i)->up)
            return i;
        if (skip-- == 0)
            chosen = i;
    }
    return chosen;
}

static int64_t
s_length (sim_world_t *world, int64_t low_ms, int64_t high_ms)
{
    int64_t length = low_ms * ADR_MS;
    while (length * 2 <= high_ms * ADR_MS && !sim_chance (&world->fault_random, 250000))
        length *= 2;
    return length + sim_pick (&world->fault_random, 0, length);
}

/* --- the network ------------------------------------------------------------------------------------------------ */

/* The hosts of the node's zone, or its own alone where each node has one. */
static uint32_t
s_zone_hosts (sim_world_t *world, int node)
{
    uint32_t hosts = 1u << world->node[node].host;
    if (sim_chance (&world->fault_random, 500000))
        for (int i = 0; i < world->node_count; i++)
            if (world->node[i].zone == world->node[node].zone)
                hosts |= 1u << world->node[i].host;
    return hosts;
}

static int
s_other_member (sim_world_t *world, int node)
{
    int64_t skip = sim_pick (&world->fault_random, 0, world->members - 2);
    for (int i = 0; i < world->node_count; i++)
        if (world->node[i].replicates && i != node && skip-- == 0)
            return i;
    return node;
}

static void
s_cut (sim_world_t *world)
{
    if (world->cut_count == SIM_CUTS_MAX || world->members < 2)
        return;
    adr_random_t *random = &world->fault_random;
    uint32_t all = (1u << world->host_count) - 1;
    sim_cut_t *cut = &world->cut[world->cut_count++];
    memset (cut, 0, sizeof *cut);
    int member = s_any_member (world);
    cut->from = s_zone_hosts (world, member);
    switch (sim_pick (random, 0, 4)) {
    case 0: /* one zone from all others */
    case 1:
        cut->to = all & ~cut->from;
        break;
    case 2: /* two members that both still hear the third */
    case 3:
        cut->to = s_zone_hosts (world, s_other_member (world, member));
        break;
    default:
        cut->from = (uint32_t) sim_pick (random, 1, all);
        cut->to = all & ~cut->from;
    }
    cut->both = sim_chance (random, 600000);
    cut->bulk = world->options.bulk && sim_chance (random, 200000);
    cut->control = world->options.bulk && !cut->bulk && sim_chance (random, 500000);
    cut->number = ++world->cut_number;
    int64_t length = s_length (world, 50, 4000);
    SIM_TRACE (world, "cut %llu: hosts %x %s %x for %lld ms", (unsigned long long) cut->number, cut->from,
               cut->both ? "<->" : "->", cut->to, (long long) (length / ADR_MS));
    sim_event_at (world, world->now_ns + length, EV_HEAL, 0, 0, cut->number, NULL);
}

/* Nothing that a master appends comes to anybody for a while, though its polls do. */
static void
s_cut_appends (sim_world_t *world)
{
    uint32_t all = (1u << world->host_count) - 1, from = 0;
    for (int i = 0; i < world->node_count; i++)
        if (world->node[i].leads)
            from = 1u << world->node[i].host;
    if (world->cut_count == SIM_CUTS_MAX || from == 0 || world->now_ns < world->mute_until_ns)
        return;
    world->cut[world->cut_count++] = (sim_cut_t){ .both = true, .bulk = true, .from = from, .to = all & ~from,
                                                  .number = ++world->cut_number };
    int64_t length = sim_pick (&world->fault_random, 1500, 3500) * ADR_MS;
    world->mute_until_ns = world->now_ns + length + SIM_SECOND; /* what waited is done, before the next one */
    SIM_TRACE (world, "cut %llu: appends of host bits %x for %lld ms", (unsigned long long) world->cut_number, from,
               (long long) (length / ADR_MS));
    sim_event_at (world, world->now_ns + length, EV_HEAL, 0, 0, world->cut_number, NULL);
}

/* It goes on acknowledging polls and nothing else [READ-4]. */
static void
s_mute (sim_world_t *world)
{
    if (world->cut_count == SIM_CUTS_MAX || !world->options.bulk)
        return;
    adr_random_t *random = &world->point_random;
    int64_t skip = sim_pick (random, 0, world->members - 1);
    int member = 0;
    for (int i = 0; i < world->node_count; i++)
        if (world->node[i].replicates && skip-- == 0)
            member = i;
    const sim_node_t *node = &world->node[member];
    if (node->leads || !node->heard.in_set || world->now_ns < world->mute_until_ns)
        return; /* a master would hand over; who is not in the set locks nothing; and one at a time */
    uint32_t from = 1u << world->node[member].host, all = (1u << world->host_count) - 1;
    int64_t length = sim_pick (random, 2, 12) * SIM_SECOND;
    world->mute_until_ns = world->now_ns + length;
    world->cut[world->cut_count++]
        = (sim_cut_t){ .bulk = true, .from = from, .to = all & ~from, .number = ++world->cut_number };
    SIM_TRACE (world, "cut %llu: %s's replicator is not heard for %lld ms", (unsigned long long) world->cut_number,
               world->node[member].name, (long long) (length / ADR_MS));
    sim_event_at (world, world->now_ns + length, EV_HEAL, 0, 0, world->cut_number, NULL);
}

void
sim_heal (sim_world_t *world, uint64_t number)
{
    for (uint32_t i = 0; i < world->cut_count; i++)
        if (world->cut[i].number == number) {
            world->cut[i] = world->cut[--world->cut_count];
            SIM_TRACE (world, "cut %llu heals", (unsigned long long) number);
            return;
        }
}

/* --- hosts ------------------------------------------------------------------------------------------------------ */

static void
s_end_host (sim_world_t *world, sim_crash_t how)
{
    int host = sim_chance (&world->fault_random, 700000) ? world->node[s_any_member (world)].host : s_any_host (world);
    if (world->host[host].up)
        sim_crash (world, host, how, s_length (world, 2, 4000), how == CRASH_KILL ? "kill -9" : "power cut");
}

static void
s_pause (sim_world_t *world)
{
    int host = world->node[s_any_member (world)].host;
    int64_t length = s_length (world, world->options.guests ? 500 : 10, 4000);
    sim_pause (world, host, length);
    if (!world->options.guests || world->cut_count == SIM_CUTS_MAX)
        return;
    /* Nor does it hear for a moment after it wakes up who was elected meanwhile. */
    world->cut[world->cut_count++] = (sim_cut_t){ .both = true, .from = 1u << host,
                                                  .to = ((1u << world->host_count) - 1) & ~(1u << host),
                                                  .number = ++world->cut_number };
    length += s_length (world, 10, 400);
    sim_event_at (world, world->now_ns + length, EV_HEAL, 0, 0, world->cut_number, NULL);
}

/* SIGTERM: everybody hears STOP, and has that long. */
void
sim_drain (sim_world_t *world, int host, int64_t time_ns)
{
    SIM_TRACE (world, "host %d hears SIGTERM", host);
    for (int i = 0; i < world->node_count; i++)
        for (int kind = 0; world->node[i].host == host && kind < ADR_ACTOR_COUNT; kind++)
            if (world->node[i].actor[kind])
                sim_actor_put (world->node[i].actor[kind], (sim_item_t){ .kind = ITEM_STOP });
    sim_event_at (world, world->now_ns + time_ns, EV_STOP_NOW, host, CRASH_KILL, world->host[host].life, NULL);
}

static void
s_drain (sim_world_t *world)
{
    int host = world->node[s_any_member (world)].host;
    if (world->host[host].up)
        sim_drain (world, host, s_length (world, 200, 2000));
}

static void
s_stall (sim_world_t *world)
{
    const sim_node_t *node = &world->node[s_any_member (world)];
    static const adr_actor_kind_t s_kinds[] = { ADR_ACTOR_REPLICATOR, ADR_ACTOR_ELECTION, ADR_ACTOR_HEALTH_CHECKER };
    sim_actor_t *actor = node->actor[s_kinds[sim_pick (&world->fault_random, 0, 2)]];
    if (!actor)
        return;
    actor->stalled_ns = world->now_ns + s_length (world, 5, 3000);
    SIM_TRACE (world, "%s %s gets no processor for %lld ms", node->name, adr_actor_name (actor->class->kind),
               (long long) ((actor->stalled_ns - world->now_ns) / ADR_MS));
}

/* --- disks ------------------------------------------------------------------------------------------------------ */

static void
s_slow_disk (sim_world_t *world)
{
    int node = s_any_member (world);
    world->node[node].slow_disk = true;
    SIM_TRACE (world, "%s has a slow disk", world->node[node].name);
    sim_event_at (world, world->now_ns + s_length (world, 200, 8000), EV_MEND, node, 0, 0, NULL);
}

static void
s_plan_power_cut (sim_world_t *world)
{
    sim_disk_t *disk = &world->node[s_any_member (world)].disk;
    disk->ops_left = (uint64_t) sim_pick (&world->fault_random, 1, 40);
}

/* Its process has had space for long enough to prepare its segments: it tries again each second. */
static bool
s_has_reserve (const sim_world_t *world, const sim_node_t *node)
{
    const sim_host_t *host = &world->host[node->host];
    int64_t since_ns = node->full_ns > host->up_ns ? node->full_ns : host->up_ns;
    return host->up && !host->paused && world->now_ns - since_ns > 2 * SIM_SECOND;
}

/* Somebody else fills the disk, to the first mark, the second, or to the last byte. */
static void
s_fill_disk (sim_world_t *world, int place)
{
    sim_node_t *node = &world->node[place];
    if (node->full_disk)
        return;
    sim_disk_t *disk = &node->disk;
    uint64_t free_bytes = disk->capacity - disk->used;
    uint64_t left = (uint64_t) sim_pick (&world->fault_random, 0, 4) * (free_bytes / 40);
    if (world->options.full_to_the_last)
        left = 0;
    disk->taken = free_bytes - left;
    node->full_disk = true;
    if (s_has_reserve (world, node)) {
        node->had_reserve = true;
        node->full_starts = 0;
    }
    node->full_ns = world->now_ns;
    SIM_TRACE (world, "%s has %llu bytes left", node->name, (unsigned long long) left);
    int64_t least_ms = world->options.full_to_the_last ? 4000 : 200;
    sim_event_at (world, world->now_ns + s_length (world, least_ms, 8000), EV_MEND, place, 0, 0, NULL);
}

/* One disk, or all of them, as where they are of one size. */
static void
s_full_disk (sim_world_t *world)
{
    if (!world->options.full_to_the_last && !sim_chance (&world->fault_random, 300000)) {
        s_fill_disk (world, s_any_member (world));
        return;
    }
    for (int i = 0; i < world->node_count; i++)
        if (world->node[i].replicates)
            s_fill_disk (world, i);
}

void
sim_mend (sim_world_t *world, int place)
{
    sim_node_t *node = &world->node[place];
    if (node->full_for_good)
        return;
    if (node->full_disk)
        node->full_ns = world->now_ns;
    node->slow_disk = node->full_disk = false;
    node->disk.taken = 0;
    SIM_TRACE (world, "%s has a good disk again", node->name);
}

bool
sim_may_lose_disk (const sim_world_t *world, int node)
{
    if (world->options.zones < 3 || !sim_trust_may_lose (world))
        return false;
    for (int i = 0; i < world->node_count; i++)
        if (world->node[i].replicates && !sim_is_evicted (world, i) && (world->node[i].amnesic || world->node[i].boot == 0))
            return false;
    /* One that rots may miss copies unseen: no other disk may go. */
    return world->options.every_ns[SIM_FAULT_ROT] == 0 || node == sim_rotting_node (world);
}

int
sim_rotting_node (const sim_world_t *world)
{
    int zone = (int) (world->options.seed % (uint64_t) world->options.zones);
    for (int i = 0; i < world->node_count; i++)
        if (world->node[i].replicates && world->node[i].zone == zone)
            return i;
    return -1;
}

static void
s_damage (sim_world_t *world, sim_disk_t *disk)
{
    int64_t damage = sim_pick (&world->point_random, 0, SIM_DAMAGE_KINDS - 1);
    while (!(world->options.damages >> damage & 1))
        damage = (damage + 1) % SIM_DAMAGE_KINDS;
    sim_disk_damage (disk, (sim_damage_t) damage);
}

/* The host goes down, and comes back with less than it had. */
static void
s_lose (sim_world_t *world, sim_fault_t fault)
{
    int place = fault == SIM_FAULT_ROT ? sim_rotting_node (world) : s_any_member (world);
    sim_node_t *node = &world->node[place];
    if (node->boot == 0 || (fault != SIM_FAULT_LOST_INDEX && !sim_may_lose_disk (world, place)))
        return;
    if (fault == SIM_FAULT_ROT && s_host_of (world, place)->up && sim_chance (&world->fault_random, 600000)) {
        node->rots |= sim_disk_rot_newest (&node->disk); /* under the process that will read it */
        return;
    }
    sim_crash_t how = sim_chance (&world->fault_random, 500000) ? CRASH_KILL : CRASH_POWER;
    if (s_host_of (world, place)->up)
        sim_crash (world, node->host, how, s_length (world, 5, 3000), sim_fault_name (fault));
    if (fault == SIM_FAULT_LOST_DISK) {
        sim_disk_lose (&node->disk);
        node->amnesic = true;
    } else if (fault == SIM_FAULT_LOST_STATE) {
        sim_disk_lose_state (&node->disk, sim_chance (&world->fault_random, 500000));
        node->amnesic = true;
    } else if (fault == SIM_FAULT_LOST_INDEX)
        memory_index_clear (&node->disk.index);
    else
        s_damage (world, &node->disk);
}

static void
s_io_error (sim_world_t *world, sim_fault_t fault)
{
    sim_disk_t *disk = &world->node[s_any_member (world)].disk;
    if (fault == SIM_FAULT_READ_ERROR)
        disk->fail_reads = 3;
    else if (sim_chance (&world->fault_random, 500000))
        disk->fail_write = true;
    else
        disk->fail_sync = true;
}

/* At a moment that a message brought: what its life was told is still on its way. */
static void
s_lose_all (sim_world_t *world, int place)
{
    sim_node_t *node = &world->node[place];
    if (!node->replicates || node->boot == 0 || !sim_may_lose_disk (world, place))
        return;
    sim_faults_injected (&world->faults, SIM_FAULT_LOST_DISK);
    sim_crash (world, node->host, CRASH_KILL, s_length (world, 5, 500), sim_fault_name (SIM_FAULT_LOST_DISK));
    sim_disk_lose (&node->disk);
    node->amnesic = true;
}

/* --- triggers ---------------------------------------------------------------------------------------------------- */

/* Some windows are a few messages wide: a message of the kind that this seed has chosen brings the fault with it. */
void
sim_trigger (sim_world_t *world, int from, int to, uint16_t kind)
{
    sim_options_t *options = &world->options;
    if (kind != options->trigger_kind || world->phase != PHASE_FAULTS || options->triggers_left == 0
        || !sim_chance (&world->fault_random, options->trigger_ppm))
        return;
    options->triggers_left--;
    int64_t at = world->now_ns + sim_pick (&world->fault_random, 50 * SIM_US, s_length (world, 1, 32));
    int node = to >= 0 && sim_chance (&world->fault_random, 500000) ? to : from;
    sim_event_at (world, at, EV_TRIGGER, node, node == from ? to : from, 0, NULL);
}

void
sim_triggered (sim_world_t *world, int node, int other)
{
    int host = world->node[node].host;
    if (world->phase != PHASE_FAULTS || !world->host[host].up)
        return;
    SIM_TRACE (world, "trigger at %s", world->node[node].name);
    switch (world->options.trigger_action) {
    case 0:
    case 1:
        sim_crash (world, host, CRASH_KILL, s_length (world, 1, 500), "kill -9, triggered");
        break;
    case 2:
        sim_crash (world, host, CRASH_POWER, s_length (world, 1, 500), "power cut, triggered");
        break;
    case 3:
        sim_pause (world, host, s_length (world, 50, 2000));
        break;
    case TRIGGER_LOSE_DISK:
        s_lose_all (world, node);
        break;
    default:
        if (other < 0 || world->cut_count == SIM_CUTS_MAX || world->node[other].host == host)
            return;
        world->cut[world->cut_count++] = (sim_cut_t){ .both = true, .from = 1u << host,
                                                      .to = 1u << world->node[other].host,
                                                      .number = ++world->cut_number };
        sim_event_at (world, world->now_ns + s_length (world, 100, 3000), EV_HEAL, 0, 0, world->cut_number, NULL);
    }
}

/* --- operators -------------------------------------------------------------------------------------------------- */

/* As an edge would pass it on; the answer is for nobody, and is dropped there. */
static void
s_send_control (sim_world_t *world, int edge, int member, Adr__Control *control)
{
    bool scrubs = control->action == ADR__CONTROL_ACTION__SCRUB;
    sim_pack_t *pack = sim_pack_new (world);
    pack->from_node = edge;
    pack->to_node = member;
    pack->to_actor = scrubs ? ADR_ACTOR_SCRUBBER : ADR_ACTOR_INVENTORY_SYNCER;
    adr_envelope_t envelope = { .cluster = world->cluster, .sender = world->node[edge].id, .to = world->node[member].id,
                                .from_actor = ADR_ACTOR_EDGE_ROUTER, .to_actor = pack->to_actor,
                                .incarnation = world->node[edge].incarnation, .boot = world->node[edge].boot };
    adr_pack_begin (&pack->bytes, &envelope);
    adr_pack_add (&pack->bytes, ADR__KIND__CONTROL, &control->base, (adr_bytes_t){ 0 });
    sim_network_send (world, pack);
}

static void
s_operator (sim_world_t *world)
{
    adr_random_t *random = &world->point_random;
    int64_t skip = sim_pick (random, 0, world->members - 1);
    int member = -1, edge = -1;
    for (int i = 0; i < world->node_count; i++) {
        if (world->node[i].replicates && skip-- == 0)
            member = i;
        if (world->node[i].type == ADR_NODE_EDGE && world->host[world->node[i].host].up)
            edge = i;
    }
    Adr__Control control = ADR__CONTROL__INIT;
    control.action = (Adr__ControlAction) sim_pick (random, ADR__CONTROL_ACTION__REPAIR_RUN, ADR__CONTROL_ACTION__SCRUB);
    control.for_ms = (uint32_t) sim_pick (random, 100, 4000);
    if (member < 0 || edge < 0)
        return;
    SIM_TRACE (world, "an operator asks %s for action %d, %u ms", world->node[member].name, (int) control.action, control.for_ms);
    s_send_control (world, edge, member, &control);
}

/* --- the calendar ----------------------------------------------------------------------------------------------- */

static void
s_again (sim_world_t *world, sim_fault_t fault)
{
    int64_t mean = world->options.every_ns[fault];
    sim_event_at (world, world->now_ns + sim_pick (&world->fault_random, 1, 2 * mean), EV_FAULT, fault, 0, 0, NULL);
}

void
sim_faults_start (sim_world_t *world)
{
    for (int fault = 0; fault < SIM_FAULT_COUNT; fault++)
        if (world->options.every_ns[fault])
            s_again (world, (sim_fault_t) fault);
}

static void
s_inject (sim_world_t *world, sim_fault_t fault)
{
    switch (fault) {
    case SIM_FAULT_CUT:
        if (world->options.cuts_bulk)
            s_cut_appends (world);
        else
            s_cut (world);
        break;
    case SIM_FAULT_KILL:
        s_end_host (world, CRASH_KILL);
        break;
    case SIM_FAULT_POWER:
        s_end_host (world, CRASH_POWER);
        break;
    case SIM_FAULT_CRASH_OP:
        s_plan_power_cut (world);
        break;
    case SIM_FAULT_PAUSE:
        s_pause (world);
        break;
    case SIM_FAULT_STALL:
        s_stall (world);
        break;
    case SIM_FAULT_DRAIN:
        s_drain (world);
        break;
    case SIM_FAULT_SLOW_DISK:
        s_slow_disk (world);
        break;
    case SIM_FAULT_FULL_DISK:
        s_full_disk (world);
        break;
    case SIM_FAULT_IO_ERROR:
    case SIM_FAULT_READ_ERROR:
        s_io_error (world, fault);
        break;
    case SIM_FAULT_LOST_DISK:
    case SIM_FAULT_LOST_STATE:
    case SIM_FAULT_LOST_INDEX:
    case SIM_FAULT_ROT:
        s_lose (world, fault);
        break;
    case SIM_FAULT_OLD_STATE:
    case SIM_FAULT_OLD_INDEX:
    case SIM_FAULT_INDEX_ROT:
    case SIM_FAULT_WALL:
        sim_disk_fault (world, fault);
        break;
    case SIM_FAULT_MUTE:
        s_mute (world);
        break;
    case SIM_FAULT_OPERATOR:
        s_operator (world);
        break;
    case SIM_FAULT_POINT:
    case SIM_FAULT_AGAIN:
    case SIM_FAULT_RECOVERY:
    case SIM_FAULT_LOSS:
    case SIM_FAULT_REPEAT:
    case SIM_FAULT_REORDER:
    case SIM_FAULT_LATE:
    case SIM_FAULT_STALE:
    case SIM_FAULT_DRIFT:
    case SIM_FAULT_LIE:
    case SIM_FAULT_COUNT:
        break;
    }
}

void
sim_fault_due (sim_world_t *world, sim_fault_t fault)
{
    if (world->phase != PHASE_FAULTS)
        return;
    SIM_TRACE (world, "fault %s is due", sim_fault_name (fault));
    sim_faults_injected (&world->faults, fault);
    s_inject (world, fault);
    s_again (world, fault);
}
