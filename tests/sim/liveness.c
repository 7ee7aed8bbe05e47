/* SPDX-License-Identifier: MPL-2.0 */
/* The last phase: faults stop for a random sound core, a majority; whoever is not in it stays as bad as it is, or
 * gets worse. Then everything that is pending must end, a master must exist, new writes and reads must succeed, and
 * all nodes of the core must come to hold the same. */

#include "sim.h"

#define S_LIMIT_NS (90 * SIM_SECOND)

/* A disk that was harmed may turn out, at its next start, to have forgotten something or to miss something. */
static bool
s_is_whole (const sim_node_t *node)
{
    return node->replicates && node->boot > 0 && !node->amnesic && !node->rots && node->disk.harm == 0;
}

/* Zones that are in the core: enough for every quorum, and among them enough nodes that forgot nothing, and miss nothing: one
 * that has the longest log, and a hole in it, neither stands nor votes for others [STORE-5]. */
static uint32_t
s_pick_core (sim_world_t *world)
{
    adr_random_t *random = &world->fault_random;
    int zones = world->options.zones;
    uint32_t needed = adr_quorum_needed ((uint32_t) zones, world->options.settings.quorum);
    uint32_t majority = adr_majority ((uint32_t) zones);
    uint32_t core = 0, whole = 0;
    if (world->trust) /* who leaves and who comes decides which zones there are */
        return UINT32_MAX;
    for (int i = 0; i < world->node_count; i++)
        if (s_is_whole (&world->node[i]))
            whole |= 1u << world->node[i].zone;
    uint32_t wanted = (uint32_t) sim_pick (random, needed > majority ? needed : majority, zones);
    while ((uint32_t) __builtin_popcount (core & whole) < wanted && (core & whole) != whole)
        core |= 1u << sim_pick (random, 0, zones - 1);
    if ((uint32_t) __builtin_popcount (core & whole) < majority || world->options.all_in_core) /* some were never up: all belong to it */
        core = (1u << zones) - 1;
    return core;
}

static void
s_hang_actor (sim_world_t *world, int host)
{
    bool replicator = sim_chance (&world->fault_random, 500000);
    for (int i = 0; i < world->node_count; i++) {
        sim_actor_t *actor = world->node[i].actor[replicator ? ADR_ACTOR_REPLICATOR : ADR_ACTOR_ELECTION];
        if (actor && world->node[i].host == host)
            actor->stalled_ns = world->now_ns + SIM_SECOND * 1000;
    }
}

static void
s_leave_alone (sim_world_t *world, int host)
{
    adr_random_t *random = &world->fault_random;
    uint32_t bit = 1u << host, all = (1u << world->host_count) - 1;
    int64_t how = sim_pick (random, 0, 8);
    SIM_TRACE (world, "host %d is not in the core: %lld", host, (long long) how);
    switch (how) {
    case 0: /* down for good */
        if (world->host[host].up)
            sim_crash (world, host, CRASH_POWER, SIM_SECOND * 1000, "not in the core");
        break;
    case 1: /* stopped */
        sim_pause (world, host, SIM_SECOND * 1000);
        break;
    case 2: /* it hears nobody */
        world->cut[world->cut_count++] = (sim_cut_t){ .from = all & ~bit, .to = bit };
        break;
    case 3: /* nobody hears it */
        world->cut[world->cut_count++] = (sim_cut_t){ .from = bit, .to = all & ~bit };
        break;
    case 4: /* polls and votes come through, appends do not [ELECT-9], or are not acknowledged [READ-4] */
        world->cut[world->cut_count++] = (sim_cut_t){ .both = sim_chance (random, 500000), .bulk = true, .from = bit,
                                                      .to = all & ~bit };
        break;
    case 5: /* one of its actors never runs again [ELECT-9] */
        s_hang_actor (world, host);
        break;
    case 6: /* its disk answers nothing any more [READ-4] */
        for (int i = 0; i < world->node_count; i++)
            world->node[i].hung_disk |= world->node[i].host == host;
        break;
    case 7: /* its disk is full, and stays so [STORE-11] */
        for (int i = 0; i < world->node_count; i++)
            if (world->node[i].host == host && world->node[i].replicates) {
                world->node[i].full_disk = world->node[i].full_for_good = true;
                world->node[i].disk.taken = world->node[i].disk.capacity;
            }
        break;
    default: /* it is only slow, or sound by chance */
        for (int i = 0; i < world->node_count; i++)
            world->node[i].slow_disk |= world->node[i].host == host;
    }
}

static void
s_mend_host (sim_world_t *world, int host)
{
    sim_host_t *it = &world->host[host];
    it->sound = true; /* once it goes on, if it is stopped: what waits there is queued for that moment */
    for (int i = 0; i < world->node_count; i++)
        if (world->node[i].host == host) {
            sim_node_t *node = &world->node[i];
            if (node->full_disk)
                node->full_ns = world->now_ns;
            node->slow_disk = node->full_disk = false;
            node->disk.taken = 0;
            node->disk.ops_left = 0;
            node->disk.fail_write = node->disk.fail_sync = false;
            node->disk.fail_reads = 0;
        }
}

void
sim_liveness_start (sim_world_t *world)
{
    world->phase = PHASE_LIVENESS;
    world->phase_ns = world->core_runs_ns = world->now_ns;
    world->cut_count = 0;
    uint32_t core = s_pick_core (world);
    SIM_TRACE (world, "faults stop; zones of the sound core: %x", core);
    for (int host = 0; host < world->host_count; host++) {
        bool sound = true;
        if (world->host[host].unborn)
            continue;
        for (int i = 0; i < world->node_count; i++)
            if (world->node[i].host == host)
                sound = core >> world->node[i].zone & 1;
        if (sound)
            s_mend_host (world, host);
        else
            s_leave_alone (world, host);
    }
    for (int i = 0; i < world->options.clients; i++)
        world->client[i].ended_ok = world->client[i].ended_read = world->client[i].asked_read = 0;
}

/* NULL if everybody has done what must be done; otherwise who has not. */
static const char *
s_work_left (const sim_world_t *world)
{
    uint64_t asked_read = 0, ended_read = 0;
    for (int i = 0; i < world->options.clients; i++) {
        if (world->client[i].ended_ok < SIM_WORK_EACH)
            return "a client gets no write done";
        asked_read += world->client[i].asked_read;
        ended_read += world->client[i].ended_read;
    }
    /* Of all clients, and of those that were asked for: where reads are few, there may be none. */
    return asked_read && ended_read == 0 ? "no client gets a read done" : NULL;
}

static const char *
s_pending (const sim_world_t *world)
{
    for (int i = 0; i < world->options.clients; i++)
        for (uint32_t slot = 0; slot < world->options.pipeline; slot++)
            if (world->client[i].flight[slot].try_count && !world->client[i].flight[slot].ended)
                return "a request does not end";
    return sim_history_overdue (&world->history) < 0 ? NULL : "a record outlives its time";
}

/* A node of the group whose host is in the core, and that was not evicted. */
static bool
s_counts (const sim_world_t *world, int node)
{
    return world->node[node].replicates && world->host[world->node[node].host].sound && !sim_is_evicted (world, node);
}

static const char *
s_behind (const sim_world_t *world)
{
    bool master = false;
    for (int i = 0; i < world->node_count; i++) {
        const sim_node_t *node = &world->node[i];
        const sim_host_t *host = &world->host[node->host];
        master |= host->up && !host->paused && node->leads != 0;
        if (!s_counts (world, i))
            continue;
        if (!host->up)
            return "a sound host is not up";
        if (adr_store_commit (node->store) != world->history.commit
            || adr_store_applied (node->store) != world->history.commit
            || adr_store_last (node->store).index != world->history.commit)
            return "a sound node is behind";
        if (node->amnesic && world->options.founding > 1 && !sim_is_leaving (world, i) && !sim_waits_for_third (world)) /* who grows from one waits for a third [ELECT-10] */
            return "a sound node is not admitted";
    }
    if (sim_has_strange_voter (world))
        return "a node that leaves votes still";
    return master ? NULL : "there is no master";
}

/* Invariants 7 and 10: every copy is exact, and whoever has noted roots at the same checkpoint has the same. */
static const char *
s_unlike (const sim_world_t *world)
{
    const adr_store_checkpoint_t *first = NULL;
    /* [REPAIR-2] What may have been purged needs a second voter's word: where one is not there, it waits. */
    bool may_doubt = false;
    for (int i = 0; i < world->node_count; i++)
        may_doubt |= world->node[i].replicates && !s_counts (world, i);
    for (int i = 0; i < world->node_count; i++) {
        const sim_node_t *node = &world->node[i];
        if (!s_counts (world, i))
            continue;
        if (adr_store_sync (node->store) != ADR_SYNC_EXACT && !(may_doubt && adr_store_sync (node->store) == ADR_SYNC_UNPROVEN))
            return "a sound copy is not exact";
        const adr_store_checkpoint_t *noted = adr_store_checkpoint (node->store);
        if (noted->at.index == 0)
            continue;
        if (first && adr_position_compare (first->at, noted->at) == 0 && memcmp (first->root, noted->root, 32) != 0)
            return may_doubt ? NULL : "two sound copies differ";
        if (!first || noted->at.index > first->at.index)
            first = noted;
    }
    return NULL;
}

/* No two copies have the same word, and all know of the doubt: it waits for a write (docs/decisions/0017). */
static bool
s_nobody_can_say (sim_world_t *world, int key)
{
    int words[ADR_DOUBT_COPIED + 1] = { 0 };
    for (int i = 0; i < world->node_count; i++)
        if (world->node[i].replicates)
            words[sim_doubt (&world->node[i], key)]++;
    return words[ADR_DOUBT_NONE] == 0 && words[ADR_DOUBT_HAD] <= 1 && words[ADR_DOUBT_LACKED] <= 1;
}

/* Invariants 2 and 4, at the end: each record of each sound store is what the committed log says. */
static void
s_compare_stores (sim_world_t *world)
{
    for (int i = 0; i < world->node_count && !world->verdict.failed; i++) {
        sim_node_t *node = &world->node[i];
        if (!s_counts (world, i) || adr_store_sync (node->store) != ADR_SYNC_EXACT)
            continue;
        for (int key = 0; key < world->options.keys; key++) {
            const sim_version_t *wanted = sim_history_at (&world->history, key, world->history.commit);
            adr_record_t record = { 0 };
            adr_status_t status = sim_stored (node, key, true, &record);
            if (status == ADR_STATUS_DAMAGED && node->rots)
                continue; /* answered as such, one by one: another copy is asked */
            bool there = status == ADR_STATUS_OK && !record.deleted;
            bool same = !wanted || wanted->deleted
                            ? !there && (status == ADR_STATUS_OK || status == ADR_STATUS_NOT_FOUND)
                            : there && record.version.index == wanted->index && record.version.term == wanted->term
                                  && sim_value_hash (record.value) == wanted->value;
            bool rotten = status == ADR_STATUS_DAMAGED && i == sim_rotting_node (world)
                          && world->options.every_ns[SIM_FAULT_INDEX_ROT]; /* until its next start */
            if (!same && !rotten && !(status == ADR_STATUS_DAMAGED && s_nobody_can_say (world, key)))
                sim_fail (&world->verdict, "4: applied state is a function of the log",
                          "%s key %d: status %d version %llu, committed is version %llu%s", node->name, key, status,
                          (unsigned long long) record.version.index, wanted ? (unsigned long long) wanted->index : 0,
                          wanted && wanted->deleted ? " (deleted)" : "");
        }
    }
}

/* Locks are due some time after the whole core runs: one of its hosts may still be stopped, or start once more. */
static void
s_check_locks (sim_world_t *world)
{
    const adr_settings_t *settings = &world->options.settings;
    for (int host = 0; host < world->host_count; host++)
        if (world->host[host].sound && (!world->host[host].up || world->host[host].paused))
            world->core_runs_ns = world->now_ns;
    /* A voter whose copy is being made acknowledges nothing [REPAIR-5]: what its master took before it heard of that waits. */
    for (int i = 0; i < world->node_count; i++)
        if (world->node[i].store && !sim_is_evicted (world, i) && adr_store_sync (world->node[i].store) == ADR_SYNC_COPYING)
            world->core_runs_ns = world->now_ns;
    sim_bounds_locks (&world->bounds, world->now_ns, world->core_runs_ns + 5 * settings->election_max_ns,
                      settings->write_timeout_ns + settings->election_max_ns + SIM_SECOND);
}

void
sim_liveness_tick (sim_world_t *world)
{
    s_check_locks (world);
    const char *left = s_work_left (world);
    if (!left) {
        world->quiet = true;
        left = s_pending (world);
    }
    if (!left)
        left = s_behind (world);
    if (!left)
        left = s_unlike (world);
    if (!left && world->bounds.lock_first <= world->bounds.lock_last)
        left = "a record is locked";
    if (!left) {
        s_compare_stores (world);
        world->phase = PHASE_DONE;
    } else if (world->now_ns - world->phase_ns > S_LIMIT_NS)
        sim_fail (&world->verdict, "10: after faults stop, everything that is pending ends", "%s (commit %llu)", left,
                  (unsigned long long) world->history.commit);
}
