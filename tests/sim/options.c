/* SPDX-License-Identifier: MPL-2.0 */
/* What a seed switches on, and how often: each class of faults is off with one half, rates are drawn so that each
 * magnitude is as likely as another. Uniform rates would make every run the same stormy day. */

#include "sim.h"

/* Between low and high, each doubling as likely as the next: in whole steps, for no floating point decides here. */
int64_t
sim_draw (adr_random_t *random, int64_t low, int64_t high)
{
    int doublings = 0;
    while (low << (doublings + 1) <= high)
        doublings++;
    int64_t base = low << sim_pick (random, 0, doublings);
    int64_t value = base + sim_pick (random, 0, base);
    return value < high ? value : high;
}

static bool
s_coin (adr_random_t *random)
{
    return sim_chance (random, 500000);
}

static void
s_draw_cluster (sim_options_t *self, adr_random_t *random)
{
    int64_t size = sim_pick (random, 0, 9);
    self->zones = size == 0 ? 1 : size >= 7 ? 5 : 3;
    self->founding = self->zones > 1 && sim_chance (random, 150000) ? 1 : self->zones; /* the others join [ELECT-10] */
    self->split = s_coin (random);
    self->pki = s_coin (random);
    self->bulk = s_coin (random);
    adr_settings_default (&self->settings);
    self->settings.quorum = self->zones == 5 && s_coin (random) ? 3 : self->zones == 1 ? 1 : 2;
    self->settings.write_timeout_ns = sim_draw (random, 1000, 10000) * ADR_MS;
    self->settings.read_timeout_ns = sim_draw (random, 500, 5000) * ADR_MS;
    if (sim_chance (random, 250000)) {
        self->settings.poll_ns = 50 * ADR_MS;
        self->settings.election_min_ns = 300 * ADR_MS;
        self->settings.election_max_ns = 600 * ADR_MS;
    }
    if (sim_chance (random, 150000)) { /* long leases: two clocks drift apart by more than any delay */
        self->settings.election_min_ns = sim_draw (random, 1000, 4000) * ADR_MS;
        self->settings.election_max_ns = 2 * self->settings.election_min_ns;
    }
    if (sim_chance (random, 200000))
        self->settings.pipeline_max_bytes = 16 * 1024;
    if (sim_chance (random, 200000))
        self->settings.request_max_bytes = 64 * 1024;
    self->segment_bytes = 4 * 1024 * 1024;
    self->flush_bytes = (uint64_t) sim_draw (random, 2 * 1024, 1024 * 1024);
}

static void
s_draw_network (sim_options_t *self, adr_random_t *random)
{
    self->hop_ns = sim_draw (random, 10, 2000) * SIM_US;
    self->wire_min_ns = sim_draw (random, 20, 4000) * SIM_US;
    self->wire_max_ns = self->wire_min_ns + sim_draw (random, 20, 8000) * SIM_US;
    if (sim_chance (random, 250000)) { /* zones far apart: what races elsewhere by chance races here by rule */
        self->wire_min_ns = sim_draw (random, 5, 60) * ADR_MS;
        self->wire_max_ns = self->wire_min_ns + sim_draw (random, 1, 120) * ADR_MS;
        /* As an operator must: a promise that hardly outlives its own way there and back makes no lease. */
        int64_t least = 4 * self->wire_max_ns + self->settings.poll_ns;
        if (self->settings.election_min_ns < least) {
            self->settings.election_min_ns = (least / ADR_MS + 1) * ADR_MS;
            self->settings.election_max_ns = 2 * self->settings.election_min_ns;
        }
    }
    self->turn_gap_ppm = 30000;
    self->late_max_ns = sim_draw (random, 10, 4000) * ADR_MS;
    if (s_coin (random)) {
        self->hop_late_ppm = (uint32_t) sim_draw (random, 100, 20000);
        self->hop_late_max_ns = sim_draw (random, 5, 2000) * ADR_MS;
    }
    if (s_coin (random))
        self->loss_ppm = (uint32_t) sim_draw (random, 100, 100000);
    if (s_coin (random))
        self->repeat_ppm = (uint32_t) sim_draw (random, 100, 100000);
    if (s_coin (random))
        self->late_ppm = (uint32_t) sim_draw (random, 100, 30000);
    if (s_coin (random))
        self->stale_ppm = (uint32_t) sim_draw (random, 10000, 500000);
    self->reorder = s_coin (random);
    self->ghosts = s_coin (random);
    self->ghost_ppm = 200000;
    if (s_coin (random))
        self->echo_ppm = (uint32_t) sim_draw (random, 3000, 500000);
    self->disk_write_ns = sim_draw (random, 10, 500) * SIM_US;
    self->disk_sync_ns = sim_draw (random, 50, 10000) * SIM_US;
    self->drift_node[0] = self->drift_node[1] = -1;
    if (s_coin (random))
        for (int i = 0; i < 2; i++) {
            self->drift_node[i] = (int) sim_pick (random, 0, self->zones - 1);
            self->drift_ppm[i] = (int32_t) sim_pick (random, -50000, 50000);
            if (s_coin (random))
                self->drift_ppm[i] = i ? 50000 : -50000;
        }
}

static void
s_draw_faults (sim_options_t *self, adr_random_t *random)
{
    for (int fault = 0; fault <= SIM_FAULT_ROT; fault++)
        if (s_coin (random))
            self->every_ns[fault] = sim_draw (random, 400, 20000) * ADR_MS;
    /* A start costs a whole recovery and, with it, every promise: too often, and nothing ever happens. */
    static const sim_fault_t s_rare[] = { SIM_FAULT_LOST_DISK, SIM_FAULT_LOST_STATE, SIM_FAULT_LOST_INDEX, SIM_FAULT_ROT,
                                          SIM_FAULT_IO_ERROR, SIM_FAULT_READ_ERROR, SIM_FAULT_FULL_DISK };
    for (size_t i = 0; i < sizeof s_rare / sizeof s_rare[0]; i++)
        self->every_ns[s_rare[i]] *= 3;
    static const uint16_t s_triggers[]
        = { ADR__KIND__POLL_ANSWER, ADR__KIND__POLL_ANSWER, ADR__KIND__VOTE, ADR__KIND__SUPPORT, ADR__KIND__CALL,
            ADR__KIND__SUPPORT, ADR__KIND__VOTE_REQUEST, ADR__KIND__VOTE,
            ADR__KIND__STAND, ADR__KIND__RELEASE, ADR__KIND__FENCE, ADR__KIND__FENCED, ADR__KIND__LEAD,
            ADR__KIND__APPEND, ADR__KIND__APPEND_ACK, ADR__KIND__READ_INDEX, ADR__KIND__STOOD_DOWN };
    if (sim_chance (random, 650000)) {
        self->trigger_kind = s_triggers[sim_pick (random, 0, sizeof s_triggers / sizeof s_triggers[0] - 1)];
        bool rare = self->trigger_kind != ADR__KIND__POLL_ANSWER && self->trigger_kind != ADR__KIND__APPEND
                    && self->trigger_kind != ADR__KIND__APPEND_ACK && self->trigger_kind != ADR__KIND__READ_INDEX;
        self->trigger_ppm = (uint32_t) (rare ? sim_draw (random, 30000, 500000) : sim_draw (random, 1000, 20000));
        self->triggers_left = (uint32_t) sim_pick (random, 1, 20);
        self->trigger_action = (int) sim_pick (random, 0, 5);
    }
    /* Leases are worth nothing to a guest that may be paused unawares [READ-6]. */
    self->settings.reads_by_quorum = s_coin (random);
    self->guests = self->settings.reads_by_quorum && self->every_ns[SIM_FAULT_PAUSE] && sim_chance (random, 800000);
    if (self->guests)
        self->every_ns[SIM_FAULT_PAUSE] = sim_draw (random, 1000, 4000) * ADR_MS;
    self->fault_time_ns = sim_draw (random, 4, 16) * SIM_SECOND;
}

static void
s_draw_work (sim_options_t *self, adr_random_t *random)
{
    self->clients = (int) sim_pick (random, 1, 8);
    self->keys = (int) sim_draw (random, 1, 256);
    self->hot_keys = (int) sim_pick (random, 1, self->keys < 3 ? self->keys : 3);
    self->think_max_us = (uint32_t) sim_draw (random, 2000, 200000);
    self->value_max = (uint32_t) sim_draw (random, 16, 64 * 1024);
    if (s_coin (random))
        self->value_max = 64;
    for (int kind = 0; kind < OP_KIND_COUNT; kind++)
        self->weight[kind] = s_coin (random) ? (uint32_t) sim_draw (random, 1, 64) : 0;
    if (self->weight[OP_PUT] == 0)
        self->weight[OP_PUT] = 16;
    if (self->weight[OP_GET] == 0 && s_coin (random))
        self->weight[OP_GET] = 16;
    if (self->guests)
        self->weight[OP_GET] += 32;
    self->conditional_percent = s_coin (random) ? (uint32_t) sim_pick (random, 5, 80) : 0;
    self->pipeline = s_coin (random) ? (uint32_t) sim_pick (random, 2, SIM_FLIGHT_MAX) : 1;
    self->lulls = s_coin (random);
    /* A few hundred operations a second in all: faults find bugs, and more work between two of them finds no more. */
    self->think_max_us *= (uint32_t) (self->clients * (int) self->pipeline + 3) / 4;
}

/* There is such a lane, and what is locked for too long is seen: half of the time by a master that nobody disturbs. */
static void
s_draw_mute (sim_options_t *self, adr_random_t *random)
{
    self->bulk = true;
    self->settings.write_timeout_ns = sim_draw (random, 1000, 2000) * ADR_MS;
    if (s_coin (random))
        return;
    for (int fault = 0; fault < SIM_FAULT_COUNT; fault++)
        if (fault != SIM_FAULT_MUTE && fault != SIM_FAULT_WALL && fault != SIM_FAULT_INDEX_ROT)
            self->every_ns[fault] = 0;
    self->trigger_kind = 0;
    self->point = POINT_NONE;
    self->again_ppm = self->recovery_ppm = 0;
}

/* From a sequence of its own: what is drawn above stays what it is in each seed. */
static void
s_draw_disks (sim_options_t *self, adr_random_t *random)
{
    if (s_coin (random) && self->value_max <= 2048)
        self->segment_bytes = UINT64_C (64) * 1024 << sim_pick (random, 0, 4);
    self->flush_every_ns = (s_coin (random) ? 2000 : sim_draw (random, 50, 16000)) * ADR_MS;
    self->recycles = s_coin (random);
    self->damages = (uint32_t) sim_pick (random, 1, (1 << SIM_DAMAGE_KINDS) - 1);
    if (s_coin (random))
        self->again_ppm = (uint32_t) sim_draw (random, 20000, 600000);
    if (s_coin (random))
        self->recovery_ppm = (uint32_t) sim_draw (random, 20000, 400000);
    static const struct {
        sim_point_t point;
        uint32_t low, high;
    } s_points[] = { { POINT_WRITTEN, 200, 20000 },      { POINT_SYNCED, 200, 20000 },    { POINT_CUT, 50000, 800000 },
                     { POINT_NEW_SEGMENT, 20000, 500000 }, { POINT_FLUSH, 10000, 300000 }, { POINT_PERSISTED, 5000, 200000 } };
    int64_t at = sim_pick (random, 0, sizeof s_points / sizeof s_points[0] - 1);
    if (s_coin (random)) {
        self->point = s_points[at].point;
        self->point_ppm = (uint32_t) sim_draw (random, s_points[at].low, s_points[at].high);
        self->points_left = (uint32_t) sim_pick (random, 1, 20);
    }
    for (int fault = SIM_FAULT_OLD_STATE; fault <= SIM_FAULT_MUTE; fault++)
        if (s_coin (random))
            self->every_ns[fault] = sim_draw (random, 400, 20000) * ADR_MS;
    self->every_ns[SIM_FAULT_OLD_STATE] *= 3; /* each costs a start */
    self->every_ns[SIM_FAULT_OLD_INDEX] *= 3;
    if (self->every_ns[SIM_FAULT_MUTE])
        s_draw_mute (self, random);
    /* Logs of a few entries: whoever was away needs its peers' copies [REPAIR-1]. */
    if (s_coin (random))
        self->log_keep_max = (uint64_t) sim_draw (random, 1024, 64 * 1024);
    self->settings.checkpoint_ns = sim_draw (random, 100, 5000) * ADR_MS;
    self->settings.scrub_rate = (uint64_t) sim_draw (random, 4 * 1024, 1024 * 1024);
    self->settings.scrub_interval_ns = sim_draw (random, 1000, 20000) * ADR_MS;
    /* And segments of a few batches, of which a little counts: they are compacted [STORE-8]. */
    if (self->log_keep_max && self->value_max <= 2048 && s_coin (random)) {
        self->segment_bytes = 64 * 1024;
        self->log_keep_max = self->log_keep_max / 8 + 512;
        self->flush_every_ns = sim_draw (random, 20, 500) * ADR_MS;
    }
}

/* Records that end, and tombstones that go while the run lasts, while copies sleep, too [REPAIR-2]. */
static void
s_draw_ends (sim_options_t *self, adr_random_t *random)
{
    if (s_coin (random))
        self->ttl_percent = (uint32_t) sim_draw (random, 2, 60);
    int64_t retention_ns = sim_draw (random, 200, 8000) * ADR_MS;
    if (s_coin (random))
        self->settings.tombstone_retention_ns = retention_ns;
    if (s_coin (random))
        self->every_ns[SIM_FAULT_OPERATOR] = sim_draw (random, 200, 8000) * ADR_MS;
}

/* Nodes come and go meanwhile; what is left in the end is whole. */
void
sim_options_trust (sim_options_t *self)
{
    adr_random_t of_its_own = { self->seed * UINT64_C (0xff51afd7ed558ccd) + 8 }, *random = &of_its_own;
    self->trust = true;
    self->pki = self->all_in_core = true;
    self->split = self->split || s_coin (random);
    /* Who is left may be one, and nobody mends its copy then. */
    self->every_ns[SIM_FAULT_INDEX_ROT] = self->every_ns[SIM_FAULT_ROT] = 0;
    self->liar = s_coin (random);
    self->newcomers = (int) sim_pick (random, 1, 4);
    self->fault_time_ns = sim_draw (random, 8, 30) * SIM_SECOND;
    if (s_coin (random)) { /* with fewer faults more is done */
        sim_calm (self);
        self->every_ns[SIM_FAULT_KILL] = s_coin (random) ? sim_draw (random, 1000, 8000) * ADR_MS : 0;
        self->every_ns[SIM_FAULT_CUT] = s_coin (random) ? sim_draw (random, 1000, 8000) * ADR_MS : 0;
        self->every_ns[SIM_FAULT_PAUSE] = s_coin (random) ? sim_draw (random, 1000, 8000) * ADR_MS : 0;
        self->fault_time_ns = sim_draw (random, 20, 60) * SIM_SECOND;
    }
}

void
sim_options_draw (sim_options_t *self, uint64_t seed)
{
    memset (self, 0, sizeof *self);
    self->seed = seed;
    adr_random_t random = { seed * UINT64_C (0x2545f4914f6cdd1d) + 1 };
    s_draw_cluster (self, &random);
    s_draw_network (self, &random);
    s_draw_faults (self, &random);
    s_draw_work (self, &random);
    adr_random_t disk_random = { seed * UINT64_C (0x9e3779b97f4a7c15) + 2 };
    s_draw_disks (self, &disk_random);
    adr_random_t end_random = { seed * UINT64_C (0xbf58476d1ce4e5b9) + 4 };
    s_draw_ends (self, &end_random);
    adr_random_t focus_random = { seed * UINT64_C (0xd1342543de82ef95) + 3 };
    if (!sim_focus_draw (self, &focus_random)) {
        adr_random_t trust_random = { seed * UINT64_C (0xff51afd7ed558ccd) + 7 };
        if (!self->guests && sim_chance (&trust_random, 250000)) /* guests are few as it is */
            sim_options_trust (self);
        adr_random_t repair_random = { seed * UINT64_C (0x94d049bb133111eb) + 5 };
        sim_focus_on_repair (self, &repair_random);
    }
}
