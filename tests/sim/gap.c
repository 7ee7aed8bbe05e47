/* SPDX-License-Identifier: MPL-2.0 */
/* How long nobody's write is acknowledged when the master's host is killed, or stopped as planned: the budgets of
 * DESIGN 14 in virtual time, where neither the machine's load nor another fault has a part in them. */

#include "sim.h"

#define S_WINDOW_NS (2 * SIM_SECOND) /* after the fault: a gap that is open then is as long as that */

/* A quiet cluster of three zones with the default settings, disks and network as on one machine, busy clients. */
void
sim_gap_options (sim_options_t *self, uint64_t seed, sim_fault_t fault)
{
    *self = (sim_options_t){ .seed = seed,
                             .gap = fault,
                             .zones = 3,
                             .founding = 3,
                             .pki = true,
                             .bulk = true,
                             .hop_ns = 50 * SIM_US,
                             .wire_min_ns = 50 * SIM_US,
                             .wire_max_ns = 300 * SIM_US,
                             .late_max_ns = 10 * ADR_MS,
                             .disk_write_ns = 50 * SIM_US,
                             .disk_sync_ns = 600 * SIM_US,
                             .drift_node = { -1, -1 },
                             .fault_time_ns = 60 * SIM_SECOND, /* it ends earlier, by itself */
                             .segment_bytes = 4 * 1024 * 1024,
                             .flush_bytes = 1024 * 1024,
                             .flush_every_ns = SIM_SECOND,
                             .clients = SIM_CLIENTS_MAX,
                             .keys = 64,
                             .hot_keys = 1,
                             .think_max_us = 40000,
                             .value_max = 1024,
                             .weight = { [OP_PUT] = 1 },
                             .pipeline = 1 };
    adr_settings_default (&self->settings);
    self->settings.quorum = 2;
}

static int
s_master_host (const sim_world_t *world)
{
    for (int i = 0; i < world->node_count; i++)
        if (world->node[i].leads && world->host[world->node[i].host].up)
            return world->node[i].host;
    return -1;
}

/* An acknowledged write, or the end, closes what has been open since the one before. */
void
sim_gap_close (sim_world_t *world)
{
    int64_t length_ns = world->now_ns - world->acknowledged_ns;
    if (world->gap_at_ns && world->now_ns > world->gap_at_ns && length_ns > world->gap_ns)
        world->gap_ns = length_ns;
    world->acknowledged_ns = world->now_ns;
}

void
sim_gap_tick (sim_world_t *world)
{
    if (world->gap_at_ns == 0) {
        int host = s_master_host (world);
        if (host < 0 || world->now_ns < 2 * SIM_SECOND)
            return;
        world->gap_at_ns = world->now_ns + sim_pick (&world->fault_random, 100, 300) * ADR_MS;
        world->gap_host = host;
        if (world->options.gap == SIM_FAULT_DRAIN)
            sim_event_at (world, world->gap_at_ns, EV_DRAIN, host, 0, world->host[host].life, NULL);
        else
            sim_event_at (world, world->gap_at_ns, EV_STOP_NOW, host, CRASH_KILL, world->host[host].life, NULL);
    } else if (world->now_ns > world->gap_at_ns + S_WINDOW_NS) {
        sim_gap_close (world);
        world->phase = PHASE_DONE;
    }
}
