/* SPDX-License-Identifier: MPL-2.0 */
/* What takes several coincidences at once is drawn together in some seeds. */

#include "sim.h"

void
sim_calm (sim_options_t *self)
{
    for (int fault = 0; fault < SIM_FAULT_COUNT; fault++)
        self->every_ns[fault] = 0;
    self->trigger_kind = 0;
    self->point = POINT_NONE;
    self->again_ppm = self->recovery_ppm = 0;
    self->guests = false;
    self->fault_time_ns = 16 * SIM_SECOND;
}

/* Who has just asked for something, or been asked, forgets it, and its next life asks again, while what its former life
 * was told is still on its way [ELECT-7]. */
static void
s_focus_on_second_lives (sim_options_t *self, adr_random_t *random)
{
    static const uint16_t s_kinds[] = { ADR__KIND__SUPPORT, ADR__KIND__VOTE, ADR__KIND__APPEND_ACK };
    sim_calm (self);
    self->founding = self->zones;
    self->unordered = true;
    self->ghosts = true;
    self->ghost_ppm = 800000;
    self->trigger_kind = s_kinds[sim_pick (random, 0, 2)];
    self->trigger_ppm = self->trigger_kind == ADR__KIND__APPEND_ACK ? 20000 : 400000;
    self->triggers_left = 20;
    self->trigger_action = TRIGGER_LOSE_DISK;
    self->every_ns[SIM_FAULT_PAUSE] = sim_draw (random, 500, 2000) * ADR_MS; /* kills would count starts, and calls with them */
}

/* Masters hand over again and again, members restart and hear each other one way, and old releases come back [ELECT-8]. */
static void
s_focus_on_hand_overs (sim_options_t *self, adr_random_t *random)
{
    sim_calm (self);
    self->founding = self->zones;
    self->unordered = true;
    self->ghost_ppm = 800000;
    self->every_ns[SIM_FAULT_DRAIN] = sim_draw (random, 300, 800) * ADR_MS;
    self->every_ns[SIM_FAULT_CUT] = sim_draw (random, 200, 800) * ADR_MS;
}

/* All disks are full to the last byte for long, and hosts end and start near their reserve's end, with segments of a few
 * batches [STORE-11]. */
static void
s_focus_on_full_disks (sim_options_t *self, adr_random_t *random)
{
    sim_calm (self);
    self->value_max = 256;
    self->segment_bytes = 64 * 1024;
    self->flush_bytes = 16 * 1024;
    self->keys = SIM_KEYS_MAX;
    self->hot_keys = SIM_KEYS_MAX;
    self->conditional_percent = 0;
    self->lulls = false;
    self->clients = 3; /* a delete a batch, and a batch a block */
    self->pipeline = 1;
    self->think_max_us = 10000;
    self->full_to_the_last = true;
    self->point = POINT_LAST;
    self->point_ppm = (uint32_t) sim_draw (random, 2000, 50000);
    self->points_left = 20;
    self->every_ns[SIM_FAULT_FULL_DISK] = sim_draw (random, 2000, 4000) * ADR_MS;
}

/* A master's threads stand still in the middle of their turns for longer than its lease [ELECT-12]. */
static void
s_focus_on_stolen_time (sim_options_t *self, adr_random_t *random)
{
    sim_calm (self);
    self->founding = self->zones;
    self->settings.reads_by_quorum = false;
    self->weight[OP_GET] = self->weight[OP_PUT] = 64;
    self->keys = self->hot_keys;
    self->clients = self->zones; /* few: what came late must not stand far back in a mailbox */
    self->pipeline = 1;
    self->think_max_us = 100000;
    self->turn_gap_ppm = 200000;
    self->hop_late_ppm = (uint32_t) sim_draw (random, 500, 4000);
    self->hop_late_max_ns = 4 * SIM_SECOND;
}

/* A member acknowledges polls and nothing else, and nobody disturbs its master [READ-4]. */
static void
s_focus_on_a_silent_lane (sim_options_t *self, adr_random_t *random)
{
    sim_calm (self);
    self->bulk = true;
    self->settings.write_timeout_ns = sim_draw (random, 1000, 2000) * ADR_MS;
    self->every_ns[SIM_FAULT_MUTE] = sim_draw (random, 400, 4000) * ADR_MS;
    self->clients = 2; /* seldom a poll comes between an entry and its commit: whom it finds behind leaves the set by that */
    self->pipeline = 1;
    self->think_max_us = 1000000;
}

bool
sim_focus_draw (sim_options_t *self, adr_random_t *random)
{
    if (!sim_chance (random, 300000) || self->zones < 3)
        return false;
    switch (sim_pick (random, 0, 5)) {
    case 0:
        s_focus_on_second_lives (self, random);
        break;
    case 1:
    case 2:
        s_focus_on_hand_overs (self, random);
        break;
    case 3:
        s_focus_on_stolen_time (self, random);
        break;
    case 4:
        s_focus_on_a_silent_lane (self, random);
        break;
    default:
        s_focus_on_full_disks (self, random);
    }
    return true;
}
