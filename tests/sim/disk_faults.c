/* SPDX-License-Identifier: MPL-2.0 */
/* What goes wrong with one host's disk, clock and process at the moments that matter: between a batch's write and its
 * sync, at a segment's end, within a recovery, just after the first word that a new life says. Draws from a sequence
 * of its own, so that other faults of a seed stay where they are. */

#include "sim.h"

#include "store/layout.h"

static int64_t
s_magnitude (sim_world_t *world, int64_t low, int64_t high)
{
    int64_t length = low;
    while (length * 2 <= high && !sim_chance (&world->point_random, 200000))
        length *= 2;
    return length + sim_pick (&world->point_random, 0, length);
}

static sim_crash_t
s_how (sim_world_t *world)
{
    return sim_chance (&world->point_random, 500000) ? CRASH_POWER : CRASH_KILL;
}

static void
s_stop_soon (sim_world_t *world, int host, int64_t low_us, int64_t high_us)
{
    int64_t at_ns = world->now_ns + s_magnitude (world, low_us, high_us) * SIM_US;
    sim_event_at (world, at_ns, EV_STOP_NOW, host, (int) s_how (world), world->host[host].life, NULL);
}

/* --- moments of the disk ---------------------------------------------------------------------------------------- */

static bool
s_has_come (sim_world_t *world, sim_point_t point)
{
    sim_options_t *options = &world->options;
    if (point != options->point || world->phase != PHASE_FAULTS || options->points_left == 0
        || !sim_chance (&world->point_random, options->point_ppm))
        return false;
    options->points_left--;
    sim_faults_injected (&world->faults, SIM_FAULT_POINT);
    return true;
}

bool
sim_point (sim_world_t *world, int node, sim_point_t point)
{
    if (!s_has_come (world, point))
        return false;
    sim_crash_t how = s_how (world);
    sim_crash (world, world->node[node].host, how, s_magnitude (world, 1, 500) * ADR_MS, "at a chosen point");
    return true;
}

/* The same in the middle of an actor's turn: after it. */
void
sim_point_soon (sim_world_t *world, int node, sim_point_t point)
{
    if (s_has_come (world, point))
        s_stop_soon (world, world->node[node].host, 1, 100000);
}

/* Whether the batch takes back entries that stood before [STORE-12]. */
static bool
s_has_cut (adr_bytes_t batch)
{
    if (batch.size < ADR_BATCH_HEADER_SIZE)
        return false;
    size_t end = ADR_BATCH_HEADER_SIZE + adr_get_u32 (batch.data + 96);
    for (size_t at = ADR_BATCH_HEADER_SIZE; at < end && end <= batch.size;
         at += ADR_FRAME_HEADER_SIZE + adr_get_u32 (batch.data + at))
        if (batch.data[at + 4] == ADR_FRAME_CUT)
            return true;
    return false;
}

bool
sim_point_written (sim_world_t *world, int place, const adr_store_job_t *job)
{
    sim_node_t *node = &world->node[place];
    if (job->lane != ADR_LANE_SYNC)
        return sim_point (world, place, strcmp (job->name, "flush") == 0 ? POINT_FLUSH : POINT_NEW_SEGMENT);
    bool first = job->segment != node->batch_segment;
    node->batch_segment = job->segment;
    if (first && sim_point (world, place, POINT_NEW_SEGMENT))
        return true;
    if (world->options.point == POINT_CUT && s_has_cut (job->data) && sim_point (world, place, POINT_CUT))
        return true;
    return sim_point (world, place, POINT_WRITTEN);
}

/* --- one start after another --------------------------------------------------------------------------------------- */

void
sim_before_boot (sim_world_t *world, int host)
{
    if (world->phase != PHASE_FAULTS || !sim_chance (&world->point_random, world->options.recovery_ppm))
        return;
    for (int i = 0; i < world->node_count; i++) {
        sim_disk_t *disk = &world->node[i].disk;
        if (world->node[i].host != host || !world->node[i].replicates)
            continue;
        disk->ops_left = (uint64_t) s_magnitude (world, 1, 16);
        disk->ops_kill = s_how (world) == CRASH_KILL;
        sim_faults_injected (&world->faults, SIM_FAULT_RECOVERY);
    }
}

/* Who has just started ends again: soon, or as soon as it has said its first word of some kind. */
void
sim_after_boot (sim_world_t *world, int host)
{
    static const uint16_t s_words[] = { ADR__KIND__APPEND_ACK, ADR__KIND__APPEND_ACK, ADR__KIND__APPEND_ACK,
                                        ADR__KIND__FENCED, ADR__KIND__VOTE, ADR__KIND__POLL_ANSWER,
                                        ADR__KIND__READ_INDEX, ADR__KIND__APPEND };
    adr_random_t *random = &world->point_random;
    if (world->phase != PHASE_FAULTS || !sim_chance (random, world->options.again_ppm))
        return;
    sim_faults_injected (&world->faults, SIM_FAULT_AGAIN);
    if (sim_chance (random, 250000)) {
        s_stop_soon (world, host, 200, 500000);
        return;
    }
    uint16_t word = s_words[sim_pick (random, 0, sizeof s_words / sizeof s_words[0] - 1)];
    for (int i = 0; i < world->node_count; i++)
        if (world->node[i].host == host && world->node[i].replicates)
            world->node[i].doom_kind = word;
}

void
sim_restart (sim_world_t *world, int node)
{
    s_stop_soon (world, world->node[node].host, 1, 4000);
}

void
sim_doom (sim_world_t *world, int node)
{
    world->node[node].doom_kind = 0;
    if (world->phase == PHASE_FAULTS)
        s_stop_soon (world, world->node[node].host, 1, 4000);
}

/* --- clocks, yesterday's copies, the index ---------------------------------------------------------------------------- */

static int
s_any_member (sim_world_t *world)
{
    int64_t skip = sim_pick (&world->point_random, 0, world->members - 1);
    for (int i = 0; i < world->node_count; i++)
        if (world->node[i].replicates && skip-- == 0)
            return i;
    return 0;
}

/* Somebody sets the wall clock: nothing but stamps may follow it [ELECT-12, PART-4]. */
static void
s_set_wall (sim_world_t *world)
{
    int host = world->node[s_any_member (world)].host;
    int64_t leap = s_magnitude (world, 1, INT64_C (100000000));
    world->host[host].wall_ms += sim_chance (&world->point_random, 500000) ? leap : -leap;
    SIM_TRACE (world, "host %d sets its wall clock by %lld ms", host, (long long) leap);
}

static void
s_end (sim_world_t *world, int node, const char *why)
{
    int host = world->node[node].host;
    if (!world->host[host].up)
        return;
    sim_crash_t how = s_how (world);
    sim_crash (world, host, how, s_magnitude (world, 1, 2000) * ADR_MS, why);
}

/* Yesterday's copy of the state environment comes back beside today's journal. Only what STORE-4 promises to notice:
 * the journal holds entries of a term that the copy has not noted. Anything else is for `adrestia node forget`. */
static void
s_old_state (sim_world_t *world)
{
    int place = sim_rotting_node (world);
    sim_node_t *node = &world->node[place];
    sim_disk_t *disk = &node->disk;
    if (node->boot == 0 || !node->store)
        return;
    uint8_t noted[8];
    if (disk->old_state_count == 0 || node->copied_incarnation != node->incarnation) {
        sim_disk_copy_state (disk);
        node->copied_incarnation = node->incarnation;
        node->copied_term = sim_state_get (&disk->state, "noted-term", noted, sizeof noted) == 8 ? adr_get_u64 (noted) : 0;
        return;
    }
    adr_position_t last = adr_store_last (node->store);
    bool empty = adr_store_log_start (node->store).index == last.index; /* a copy's base: no entry of its term came yet */
    if (!sim_may_lose_disk (world, place) || adr_store_synced (node->store) < last.index || empty
        || last.term <= node->copied_term)
        return;
    s_end (world, place, "an old copy of the state environment comes back");
    sim_disk_restore_state (disk);
    node->amnesic = true;
}

static void
s_damage_index (sim_disk_t *disk)
{
    (void) memory_index_damage (&disk->index, &disk->random);
}

static void
s_old_index (sim_world_t *world)
{
    int place = s_any_member (world);
    sim_disk_t *disk = &world->node[place].disk;
    if (!disk->index.old_rows) {
        memory_index_keep (&disk->index);
        return;
    }
    s_end (world, place, "an old copy of the index comes back");
    memory_index_bring_back (&disk->index);
}

void
sim_disk_fault (sim_world_t *world, sim_fault_t fault)
{
    if (fault == SIM_FAULT_WALL)
        s_set_wall (world);
    else if (fault == SIM_FAULT_OLD_STATE)
        s_old_state (world);
    else if (fault == SIM_FAULT_OLD_INDEX)
        s_old_index (world);
    else if (fault == SIM_FAULT_INDEX_ROT && world->options.founding >= 3) /* a single voter has nobody to hand over to */
        s_damage_index (&world->node[sim_rotting_node (world)].disk);
}
