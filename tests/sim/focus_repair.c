/* SPDX-License-Identifier: MPL-2.0 */
/* Seeds in which copies are made, mended and doubted all the time, and little else goes wrong: what focus.c is to
 * elections. */

#include "sim.h"

static bool
s_coin (adr_random_t *random)
{
    return sim_chance (random, 500000);
}

/* Logs of a few entries and segments of a few batches; many small records, all of which change. */
static void
s_draw_small_logs (sim_options_t *self, adr_random_t *random)
{
    sim_calm (self);
    self->founding = self->zones;
    self->segment_bytes = 64 * 1024;
    self->log_keep_max = (uint64_t) sim_draw (random, 256, 8 * 1024);
    self->flush_bytes = (uint64_t) sim_draw (random, 2 * 1024, 64 * 1024);
    self->flush_every_ns = sim_draw (random, 20, 300) * ADR_MS;
    self->settings.checkpoint_ns = sim_draw (random, 100, 1000) * ADR_MS;
    self->keys = (int) sim_draw (random, 32, SIM_KEYS_MAX);
    self->value_max = (uint32_t) sim_draw (random, 64, 2048);
    self->weight[OP_PUT] = 32;
    self->weight[OP_DELETE] = (uint32_t) sim_draw (random, 1, 32);
    self->conditional_percent = 0;
    self->lulls = false;
    self->clients = (int) sim_pick (random, 2, 4);
    self->pipeline = 1;
    self->think_max_us = (uint32_t) sim_draw (random, 8000, 64000);
}

/* Disks are lost, and hosts end while copies are made, which takes long; often one node gives what is wrong, or its log rots. */
static void
s_focus_on_copies (sim_options_t *self, adr_random_t *random)
{
    s_draw_small_logs (self, random);
    self->settings.repair_rate = (uint64_t) sim_draw (random, 8 * 1024, 1024 * 1024);
    self->every_ns[SIM_FAULT_LOST_DISK] = sim_draw (random, 1000, 3000) * ADR_MS;
    self->every_ns[SIM_FAULT_KILL] = sim_draw (random, 500, 4000) * ADR_MS;
    self->every_ns[SIM_FAULT_POWER] = sim_draw (random, 500, 4000) * ADR_MS;
    self->settings.tombstone_retention_ns = 3600 * SIM_SECOND;
    int64_t what = sim_pick (random, 0, 3);
    if (what <= 1) { /* tombstones come with inventories: nothing else tells that they are wrong */
        self->lies_ppm = (uint32_t) sim_draw (random, 200000, 800000);
        self->weight[OP_DELETE] = 32;
        self->every_ns[SIM_FAULT_KILL] = 0;
    } else if (what == 2) { /* logs that miss what nobody can send any more, while masters come and go */
        self->every_ns[SIM_FAULT_LOST_DISK] = 0;
        self->every_ns[SIM_FAULT_ROT] = sim_draw (random, 400, 2000) * ADR_MS;
        self->every_ns[SIM_FAULT_DRAIN] = sim_draw (random, 400, 2000) * ADR_MS;
    }
}

/* Rows are lost here and there, and tombstones purged soon: what one copy has and the other lacks may have been purged. */
static void
s_focus_on_doubts (sim_options_t *self, adr_random_t *random)
{
    s_draw_small_logs (self, random);
    if (s_coin (random))
        self->log_keep_max = (uint64_t) sim_draw (random, 16 * 1024, 64 * 1024);
    self->settings.checkpoint_ns = sim_draw (random, 100, 400) * ADR_MS;
    self->settings.tombstone_retention_ns = sim_draw (random, 200, 2000) * ADR_MS;
    self->settings.scrub_rate = 1024 * 1024;
    self->settings.scrub_interval_ns = sim_draw (random, 200, 2000) * ADR_MS;
    self->every_ns[SIM_FAULT_INDEX_ROT] = sim_draw (random, 100, 800) * ADR_MS;
    self->every_ns[SIM_FAULT_LOST_INDEX] = sim_draw (random, 400, 1600) * 3 / self->zones * ADR_MS;
    self->every_ns[SIM_FAULT_OLD_INDEX] = sim_draw (random, 1000, 8000) * ADR_MS;
    /* Of three voters one may be missing as well: the two others, both in doubt, have nobody who decides. */
    self->every_ns[SIM_FAULT_LOST_DISK] = sim_draw (random, 200, 800) * 3 / self->zones * (self->zones > 3 ? 1 : 4) * ADR_MS;
    self->every_ns[SIM_FAULT_SLOW_DISK] = sim_draw (random, 1000, 4000) * ADR_MS;
    self->all_in_core = true;
}

/* Few records end, and masters' appends stand still meanwhile, for longer than the shortest time to live [REPAIR-7]. */
static void
s_focus_on_ends (sim_options_t *self, adr_random_t *random)
{
    sim_calm (self);
    self->founding = self->zones;
    self->bulk = true;
    self->settings.election_min_ns = sim_draw (random, 3000, 4000) * ADR_MS;
    self->settings.election_max_ns = 2 * self->settings.election_min_ns;
    self->every_ns[SIM_FAULT_CUT] = sim_draw (random, 1500, 3000) * ADR_MS;
    self->fault_time_ns = 32 * SIM_SECOND; /* elections take long, too */
    self->cuts_bulk = true;
    self->ttl_percent = (uint32_t) sim_pick (random, 5, 10);
    for (int kind = 0; kind < OP_KIND_COUNT; kind++)
        self->weight[kind] = 0;
    self->weight[OP_PUT] = 64;
    self->conditional_percent = 0;
    self->keys = SIM_KEYS_MAX;
    self->value_max = 64;
    self->lulls = false;
    self->clients = 3;
    self->pipeline = 4;
    self->think_max_us = (uint32_t) sim_pick (random, 1000000, 2000000); /* who waits for an answer writes nothing more */
}

/* A single copy has nobody to ask: what its journal says, when its index is lost, must be the truth [STORE-9]. */
static void
s_focus_on_one_copy (sim_options_t *self, adr_random_t *random)
{
    s_draw_small_logs (self, random);
    self->settings.tombstone_retention_ns = sim_draw (random, 200, 1000) * ADR_MS;
    self->every_ns[SIM_FAULT_LOST_INDEX] = sim_draw (random, 1000, 3000) * ADR_MS;
    self->every_ns[SIM_FAULT_KILL] = sim_draw (random, 1000, 8000) * ADR_MS;
}

void
sim_focus_on_repair (sim_options_t *self, adr_random_t *random)
{
    if (self->zones < 3) {
        if (s_coin (random))
            s_focus_on_one_copy (self, random);
        return;
    }
    if (!sim_chance (random, 300000))
        return;
    switch (sim_pick (random, 0, 5)) {
    case 0:
    case 1:
        s_focus_on_copies (self, random);
        break;
    case 2:
    case 3:
        s_focus_on_doubts (self, random);
        break;
    default:
        s_focus_on_ends (self, random);
    }
}
