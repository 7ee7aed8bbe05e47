/* SPDX-License-Identifier: MPL-2.0 */
/* Virtual time, the event queue, hosts and nodes of the simulated cluster. */

#include "trust.h"

#include <stdarg.h>
#include <stdlib.h>

/* --- chance and time ------------------------------------------------------------------------------------------ */

int64_t
sim_pick (adr_random_t *random, int64_t low, int64_t high)
{
    return adr_random_between (random, low, high);
}

bool
sim_chance (adr_random_t *random, uint32_t ppm)
{
    return adr_random_next (random) % 1000000 < ppm;
}

static int64_t
s_drifted (int64_t time_ns, int32_t ppm)
{
    return time_ns + time_ns / 1000000 * ppm + time_ns % 1000000 * ppm / 1000000;
}

int64_t
sim_clock (const sim_world_t *self, int host)
{
    return self->host[host].offset_ns + s_drifted (self->now_ns, self->host[host].drift_ppm);
}

/* The first moment at which the host's clock shows at least `local_ns`. */
int64_t
sim_true_time (const sim_world_t *self, int host, int64_t local_ns)
{
    int32_t ppm = self->host[host].drift_ppm;
    int64_t since = local_ns - self->host[host].offset_ns;
    if (since > INT64_C (1) << 50)
        return INT64_C (1) << 50; /* two weeks: nobody runs for so long */
    int64_t time = since / (1000000 + ppm) * 1000000 + since % (1000000 + ppm) * 1000000 / (1000000 + ppm) - 2;
    while (s_drifted (time, ppm) < since)
        time++;
    return time;
}

void
sim_trace (sim_world_t *self, const char *format, ...)
{
    fprintf (self->trace, "%lld.%09lld ", (long long) (self->now_ns / SIM_SECOND),
             (long long) (self->now_ns % SIM_SECOND));
    va_list arguments;
    va_start (arguments, format);
    vfprintf (self->trace, format, arguments);
    va_end (arguments);
    fputc ('\n', self->trace);
}

void
sim_mix (sim_world_t *self, uint64_t value)
{
    self->digest = (self->digest ^ value) * UINT64_C (0x9e3779b97f4a7c15);
    self->digest ^= self->digest >> 31;
}

/* --- the queue: a heap with four children a node -------------------------------------------------------------- */

static bool
s_before (const sim_event_t *a, const sim_event_t *b)
{
    return a->time_ns != b->time_ns ? a->time_ns < b->time_ns : a->order < b->order;
}

static void
s_push (sim_world_t *self, sim_event_t event)
{
    if (self->heap_count == self->heap_room) {
        self->heap_room = self->heap_room ? self->heap_room * 2 : 1024;
        self->heap = adr_realloc (self->heap, self->heap_room * sizeof *self->heap);
    }
    uint32_t at = self->heap_count++;
    while (at > 0 && s_before (&event, &self->heap[(at - 1) / 4])) {
        self->heap[at] = self->heap[(at - 1) / 4];
        at = (at - 1) / 4;
    }
    self->heap[at] = event;
}

static sim_event_t
s_pop (sim_world_t *self)
{
    sim_event_t top = self->heap[0];
    sim_event_t last = self->heap[--self->heap_count];
    uint32_t at = 0;
    for (;;) {
        uint32_t child = at * 4 + 1, best = child;
        if (child >= self->heap_count)
            break;
        for (uint32_t i = child + 1; i < child + 4 && i < self->heap_count; i++)
            if (s_before (&self->heap[i], &self->heap[best]))
                best = i;
        if (!s_before (&self->heap[best], &last))
            break;
        self->heap[at] = self->heap[best];
        at = best;
    }
    if (self->heap_count)
        self->heap[at] = last;
    return top;
}

void
sim_event_at (sim_world_t *self, int64_t time_ns, sim_event_kind_t kind, int a, int b, uint64_t life, void *pointer)
{
    adr_assert (time_ns >= self->now_ns);
    s_push (self, (sim_event_t){ time_ns, self->order++, (uint32_t) kind, a, b, life, pointer });
}

/* --- who there is --------------------------------------------------------------------------------------------- */

static adr_id_t
s_id (adr_random_t *random)
{
    adr_id_t id;
    adr_put_u64 (id.bytes, adr_random_next (random));
    adr_put_u64 (id.bytes + 8, adr_random_next (random) | 1);
    return id;
}

/* Clients' and nodes' ids end with a byte that is their place: nothing is searched for. */
static adr_id_t
s_placed_id (adr_random_t *random, int place, uint8_t what)
{
    adr_id_t id = s_id (random);
    id.bytes[14] = what;
    id.bytes[15] = (uint8_t) place;
    return id;
}

int
sim_node_of (const sim_world_t *self, const adr_id_t *id)
{
    int place = id->bytes[15];
    return place < self->node_count && adr_id_equal (&self->node[place].id, id) ? place : -1;
}

int
sim_client_of (const sim_world_t *self, const adr_id_t *id)
{
    int place = id->bytes[15];
    return place < self->options.clients && adr_id_equal (&self->client[place].id, id) ? place : -1;
}

static void
s_add_node (sim_world_t *self, adr_node_type_t type, int zone, int host)
{
    int place = self->node_count++;
    adr_assert (place < SIM_NODES_MAX);
    sim_node_t *node = &self->node[place];
    node->id = self->node_ids[place] = s_placed_id (&self->random, place, 1);
    snprintf (node->name, sizeof node->name, "%s1@z%d", adr_node_type_name (type), (zone + 1) % 10);
    node->type = type;
    node->zone = zone;
    node->host = host;
    node->replicates = type == ADR_NODE_META && !self->host[host].unborn && !node->hollow;
    self->members += node->replicates;
    if (node->replicates)
        sim_disk_init (&node->disk, adr_random_next (&self->random), UINT64_C (1) << 30);
    node->disk.recycles = self->options.recycles;
}

/* Nodes that are adopted later, if they are, and the liar: each on a host of its own. */
static void
s_add_strangers (sim_world_t *self)
{
    if (!self->trust)
        return;
    if (self->options.liar) {
        self->trust->liar = self->node_count;
        self->node[self->node_count].hollow = true;
        s_add_node (self, ADR_NODE_META, 0, self->host_count++);
        snprintf (self->node[self->trust->liar].name, sizeof self->node->name, "meta9@z1");
    }
    self->trust->first_newcomer = self->node_count;
    self->trust->newcomers = self->options.newcomers;
    for (int i = 0; i < self->options.newcomers; i++) {
        self->host[self->host_count].unborn = true;
        s_add_node (self, ADR_NODE_META, 0, self->host_count++);
    }
}

static void
s_make_nodes (sim_world_t *self)
{
    static const adr_node_type_t s_types[] = { ADR_NODE_EDGE, ADR_NODE_META, ADR_NODE_PKI };
    int types = self->options.pki ? 3 : 2;
    for (int zone = 0; zone < self->options.zones; zone++)
        for (int type = 0; type < types; type++) {
            if (self->options.split || type == 0)
                self->host_count++;
            s_add_node (self, s_types[type], zone, self->host_count - 1);
        }
    s_add_strangers (self);
    for (int host = 0; host < self->host_count; host++)
        self->host[host].offset_ns = sim_pick (&self->random, 1, 1000) * SIM_SECOND;
    for (int i = 0; i < 2; i++)
        for (int node = 0; node < self->node_count; node++)
            if (self->options.drift_node[i] >= 0 && self->node[node].zone == self->options.drift_node[i]) {
                self->host[self->node[node].host].drift_ppm = self->options.drift_ppm[i];
                sim_faults_injected (&self->faults, SIM_FAULT_DRIFT);
            }
}

static void
s_fill_map_node (sim_world_t *self, int place)
{
    adr_map_node_t *to = &self->map->node[place];
    const sim_node_t *from = &self->node[place];
    to->id = from->id;
    to->type = from->type;
    to->zone = self->map->zone[from->zone].id;
    if (from->replicates)
        to->group = self->group;
    snprintf (to->name, sizeof to->name, "%s", from->name);
}

static void
s_make_map (sim_world_t *self)
{
    adr_map_t *map = self->map = adr_map_new ();
    map->cluster = self->cluster;
    snprintf (map->name, sizeof map->name, "sim");
    map->epoch = 1;
    map->partition_count = SIM_PARTITIONS;
    map->quorum = self->options.settings.quorum;
    map->zone_count = (uint32_t) self->options.zones;
    for (uint32_t i = 0; i < map->zone_count; i++) {
        map->zone[i].id = s_id (&self->random);
        snprintf (map->zone[i].name, sizeof map->zone[i].name, "z%u", i + 1);
    }
    int founded = self->trust ? self->trust->first_newcomer : self->node_count;
    map->node = adr_alloc ((size_t) self->node_count * sizeof *map->node);
    map->node_count = (uint32_t) founded;
    for (int i = 0; i < founded; i++)
        s_fill_map_node (self, i);
    map->group = adr_alloc (sizeof *map->group);
    map->group_count = 1;
    map->group[0].id = self->group;
    map->group[0].type = ADR_NODE_META;
    snprintf (map->group[0].name, sizeof map->group[0].name, "meta1");
    adr_voters_t *founding = &map->group[0].founding;
    founding->quorum = self->options.settings.quorum;
    for (int i = 0; i < self->node_count; i++)
        if (self->node[i].replicates && (int) founding->count < self->options.founding) {
            self->node[i].incarnation = adr_random_next (&self->random) | 1;
            founding->voter[founding->count++] = (adr_voter_t){ self->node[i].id, self->node[i].incarnation };
        }
    map->range = adr_alloc (sizeof *map->range);
    map->range_count = 1;
    map->range[0] = (adr_map_range_t){ ADR_NODE_META, 0, map->partition_count - 1, self->group, 1 };
    if (self->trust)
        sim_trust_found (self);
}

sim_world_t *
sim_world_new (const sim_options_t *options, FILE *trace)
{
    sim_world_t *self = adr_alloc (sizeof *self);
    self->trace = trace;
    self->options = *options;
    adr_random_t random = { options->seed };
    self->random.state = adr_random_next (&random);
    self->network_random.state = adr_random_next (&random);
    self->fault_random.state = adr_random_next (&random);
    self->client_random.state = adr_random_next (&random);
    self->shell_random.state = adr_random_next (&random);
    self->point_random.state = adr_random_next (&random);
    self->cluster = s_id (&self->random);
    self->group = s_id (&self->random);
    adr_arena_init (&self->arena, 64 * 1024, 4 * 1024 * 1024);
    sim_terms_init (&self->terms, &self->verdict);
    sim_history_init (&self->history, &self->verdict);
    self->history.retention_ms = (uint64_t) (self->options.settings.tombstone_retention_ns / ADR_MS);
    self->history.mends = self->options.every_ns[SIM_FAULT_LOST_INDEX] || self->options.every_ns[SIM_FAULT_OLD_INDEX]
                          || self->options.every_ns[SIM_FAULT_INDEX_ROT];
    sim_purges_init (&self->purges, &self->verdict, self->options.settings.tombstone_retention_ns);
    sim_reads_init (&self->reads, &self->history, &self->verdict);
    sim_bounds_init (&self->bounds, &self->verdict);
    sim_faults_init (&self->faults, &self->verdict);
    sim_told_init (&self->told, &self->verdict);
    if (self->options.trust)
        self->trust = sim_trust_new (options->seed);
    s_make_nodes (self);
    s_make_map (self);
    sim_log_init (&self->log, &self->history, &self->verdict, self->node_ids, self->node_count);
    sim_promises_init (&self->promises, &self->verdict, self->node_ids, self->node_count);
    sim_votes_init (&self->votes, &self->verdict, self->node_ids, self->node_count);
    sim_changes_init (&self->changes, &self->verdict, &self->log, self->options.zones);
    sim_polls_init (&self->polls, &self->verdict);
    self->history.key_count = (uint32_t) self->options.keys;
    for (int i = 0; i < self->options.clients; i++)
        self->client[i].id = s_placed_id (&self->random, i, 2);
    return self;
}

/* --- boot and crash ------------------------------------------------------------------------------------------- */

static const adr_actor_class_t *const s_edge_classes[] = { &adr_edge_router_class, &adr_map_keeper_class, NULL };
static const adr_actor_class_t *const s_pki_classes[] = { &adr_map_keeper_class, NULL };
static const adr_actor_class_t *const s_trust_classes[] = { &adr_map_keeper_class, &adr_cert_signer_class, NULL };
static const adr_actor_class_t *const s_group_classes[]
    = { &adr_replicator_class, &adr_election_class, &adr_health_checker_class, &adr_map_keeper_class,
        &adr_merkle_gossiper_class, &adr_inventory_syncer_class, &adr_scrubber_class, NULL };

static const char *const s_openings[] = { "opened", "new", "amnesia", "damaged", "failed" };

/* [STORE-4, STORE-5] what was done to the disk until now, and what the store made of it. */
static void
s_judge_opening (sim_world_t *self, int place, adr_store_opening_t opening)
{
    sim_node_t *node = &self->node[place];
    sim_disk_t *disk = &node->disk;
    if (node->boot > 0) {
        sim_opening_t seen = { .harmed = disk->harm != 0 || disk->met_read,
                               .old_state = (disk->harm & SIM_HARM_OLD_STATE) != 0,
                               .forgot = adr_store_incarnation (node->store) != node->incarnation,
                               .misses = opening == ADR_STORE_DAMAGED };
        sim_faults_opening (&self->faults, place, &seen);
        if (!seen.harmed && opening == ADR_STORE_OPENED)
            sim_watch_values (self, place);
        if (seen.forgot) {
            node->amnesic = true;
            sim_ghosts_new_life (self, place);
        }
        if (seen.forgot && disk->harm == 0 && opening == ADR_STORE_OPENED)
            sim_fail (&self->verdict, "12: no injected fault goes unseen", "%s: a new incarnation, and no word", node->name);
        if (seen.forgot)
            disk->harm = 0;
    } else {
        ADR_MARK ("sim: a store is founded");
        node->amnesic = adr_voters_find_node (&self->map->group[0].founding, &node->id) < 0; /* to be admitted first */
    }
    disk->harm &= SIM_HARM_JOURNAL;
    node->on_reserve = false;
    if (opening == ADR_STORE_NEW || opening == ADR_STORE_AMNESIA)
        node->had_reserve = false;
    node->full_starts += node->full_disk;
    node->incarnation = adr_store_incarnation (node->store);
    node->boot = adr_store_boot (node->store);
    sim_watch_copy_boot (node);
    memset (&node->heard, 0, sizeof node->heard);
    node->heard.fence = adr_store_term (node->store);
}

/* One whose journal rots reads all from the disk, or the rot would seldom be met. */
static uint64_t
s_cache_bytes (const sim_world_t *self, int place)
{
    return self->options.every_ns[SIM_FAULT_ROT] && place == sim_rotting_node (self) ? 0 : 64 * 1024;
}

/* [STORE-11] A full disk stops no start, as long as there is a reserve: one that was there when the disk became full, and
 * each start takes its tail and two blocks of it. Where a whole segment is hardly larger than the smallest, one start is
 * sure: what it seals may be too little for another. */
static bool
s_may_lack_space (const sim_node_t *node, const char *why)
{
    return node->full_disk && (!node->had_reserve || node->full_starts >= SIM_FULL_STARTS || strstr (why, "first segment"));
}

/* False if the store cannot be opened now: the host tries again later. */
static bool
s_open_store (sim_world_t *self, int place)
{
    sim_node_t *node = &self->node[place];
    sim_disk_t *disk = &node->disk;
    bool was_founded = node->boot > 0;
    adr_store_options_t options = {
        .cluster = self->cluster, .node = node->id, .group = self->group,
        .segment_bytes = self->options.segment_bytes, .flush_bytes = self->options.flush_bytes,
        .flush_every_ns = self->options.flush_every_ns, .cache_bytes = s_cache_bytes (self, place), .memory_max_bytes = 64 * 1024 * 1024,
    };
    options.log_keep_max = self->options.log_keep_max;
    options.partitions = self->map->partition_count;
    memcpy (options.tree_key, self->cluster.bytes, ADR_ID_SIZE);
    if (!was_founded) { /* as a real node forgets the file that says so */
        options.founding = self->map->group[0].founding;
        options.first_incarnation = node->incarnation;
    }
    char why[256] = "";
    adr_store_opening_t opening = adr_store_open (&node->store, &options, &disk->disk, &disk->state, memory_index_of (&disk->index),
                                                  &disk->entropy, why, sizeof why);
    SIM_TRACE (self, "%s store %s%s%s", node->name, s_openings[opening], why[0] ? ": " : "", why);
    sim_mix (self, (uint64_t) opening);
    if (why[0])
        sim_faults_said (&self->faults, place);
    if (opening == ADR_STORE_FAILED) {
        if (!disk->dead && !disk->met_write && !disk->met_sync && !disk->met_read
            && !s_may_lack_space (node, why))
            sim_fail (&self->verdict, "a store opens again", "%s: %s", node->name, why);
        adr_store_destroy (&node->store);
        return false;
    }
    node->reader = adr_reader_create (&options, &disk->disk, memory_index_of (&disk->index));
    s_judge_opening (self, place, opening);
    return true;
}

static void
s_boot_node (sim_world_t *self, int place)
{
    sim_node_t *node = &self->node[place];
    if (!node->replicates)
        node->boot = self->host[node->host].life + 1;
    const adr_actor_class_t *const *classes = node->type == ADR_NODE_EDGE  ? s_edge_classes
                                              : node->type != ADR_NODE_PKI ? s_group_classes
                                              : self->trust                ? s_trust_classes
                                                                           : s_pki_classes;
    if (node->hollow)
        return;
    for (; *classes; classes++)
        node->actor[(*classes)->kind] = sim_actor_new (self, place, *classes);
}

void
sim_boot (sim_world_t *self, int host)
{
    if (self->host[host].unborn)
        return;
    self->boots++;
    sim_before_boot (self, host);
    for (int i = 0; i < self->node_count; i++)
        if (self->node[i].host == host && self->node[i].replicates && !s_open_store (self, i)) {
            sim_crash (self, host, sim_disk_crash (&self->node[i].disk), ADR_NEVER, "its store does not open");
            return;
        }
    SIM_TRACE (self, "host %d boots, life %llu", host, (unsigned long long) self->host[host].life);
    self->host[host].up = true;
    self->host[host].up_ns = self->now_ns;
    if (self->trust)
        sim_trust_host_starts (self, host);
    for (int i = 0; i < self->node_count; i++)
        if (self->node[i].host == host)
            s_boot_node (self, i);
    sim_after_boot (self, host);
}

/* How a host ends whose disk has failed: as it was planned for a disk that is gone. */
sim_crash_t
sim_disk_crash (const sim_disk_t *disk)
{
    return disk->dead && !disk->ops_kill ? CRASH_POWER : CRASH_KILL;
}

static void
s_end_node (sim_world_t *self, int place, sim_crash_t how)
{
    sim_node_t *node = &self->node[place];
    for (int kind = 0; kind < ADR_ACTOR_COUNT; kind++)
        sim_actor_destroy (&node->actor[kind]);
    adr_reader_destroy (&node->reader);
    if (node->store)
        adr_store_destroy (&node->store);
    memset (node->job, 0, sizeof node->job);
    memset (node->seen, 0, sizeof node->seen);
    memset (node->sent, 0, sizeof node->sent);
    node->put_count = node->put_committing = 0;
    node->leads = node->lease_term = 0;
    node->doom_kind = 0;
    if (node->replicates) {
        if (how == CRASH_POWER)
            sim_disk_power_cut (&node->disk);
        else
            sim_disk_process_end (&node->disk);
    }
}

void
sim_crash (sim_world_t *self, int host, sim_crash_t how, int64_t down_ns, const char *why)
{
    sim_host_t *it = &self->host[host];
    if (it->unborn)
        return;
    SIM_TRACE (self, "host %d ends: %s", host, why);
    it->up = it->paused = false;
    it->life++;
    for (int i = 0; i < self->node_count; i++)
        if (self->node[i].host == host)
            s_end_node (self, i, how);
    if (down_ns == ADR_NEVER)
        down_ns = sim_pick (&self->fault_random, 5, 1500) * ADR_MS;
    sim_event_at (self, self->now_ns + down_ns, EV_BOOT, host, 0, it->life, NULL);
}

void
sim_pause (sim_world_t *self, int host, int64_t length_ns)
{
    sim_host_t *it = &self->host[host];
    if (!it->up || it->paused)
        return;
    SIM_TRACE (self, "host %d is stopped for %lld ms", host, (long long) (length_ns / ADR_MS));
    it->paused = true;
    it->paused_clock_ns = sim_clock (self, host);
    it->resume_ns = self->now_ns + length_ns;
    sim_event_at (self, it->resume_ns, EV_RESUME, host, 0, it->life, NULL);
}

void
sim_world_destroy (sim_world_t **world)
{
    sim_world_t *self = *world;
    if (!self)
        return;
    for (int i = 0; i < self->node_count; i++) {
        s_end_node (self, i, CRASH_KILL);
        if (self->node[i].replicates)
            sim_disk_free (&self->node[i].disk);
        free (self->node[i].put);
    }
    for (uint32_t i = 0; i < self->heap_count; i++)
        if (self->heap[i].kind == EV_ARRIVE || self->heap[i].kind == EV_LOCAL || self->heap[i].kind == EV_ANSWER
            || (self->heap[i].kind == EV_TRUST && self->heap[i].pointer))
            sim_pack_release (self, self->heap[i].pointer);
    sim_ghosts_free (self);
    sim_trust_destroy (self);
    for (uint32_t i = 0; i < self->spare_count; i++) {
        adr_buffer_free (&self->spare[i]->bytes);
        free (self->spare[i]);
    }
    sim_terms_free (&self->terms);
    sim_log_free (&self->log);
    sim_votes_free (&self->votes);
    sim_reads_free (&self->reads);
    sim_bounds_free (&self->bounds);
    sim_history_free (&self->history);
    adr_map_destroy (&self->map);
    adr_arena_free (&self->arena);
    adr_buffer_free (&self->scratch);
    adr_buffer_free (&self->values);
    adr_buffer_free (&self->lie);
    for (int i = 0; i < self->options.clients; i++)
        for (int slot = 0; slot < SIM_FLIGHT_MAX; slot++)
            free (self->client[i].flight[slot].floors);
    free (self->spare);
    free (self->heap);
    free (self);
    *world = NULL;
}

/* --- the loop ------------------------------------------------------------------------------------------------- */

/* A read that failed is no reason to stop, but somebody must say something soon [invariant 12]. */
static void
s_note_read_errors (sim_world_t *self)
{
    for (int i = 0; i < self->node_count; i++)
        if (self->node[i].disk.met_read) {
            self->node[i].disk.met_read = false;
            if (self->now_ns - self->node[i].said_ns > 2 * SIM_SECOND) /* a line a second is enough */
                sim_faults_met (&self->faults, i, SIM_FAULT_READ_ERROR, self->now_ns + 10 * SIM_SECOND);
        }
}

static void
s_tick (sim_world_t *self)
{
    s_note_read_errors (self);
    sim_faults_check (&self->faults, self->now_ns);
    if (self->options.gap)
        sim_gap_tick (self);
    else if (self->phase == PHASE_LIVENESS)
        sim_liveness_tick (self);
    else if (self->now_ns >= self->options.fault_time_ns)
        sim_liveness_start (self);
    sim_event_at (self, self->now_ns + 50 * ADR_MS, EV_TICK, 0, 0, 0, NULL);
}

/* The host that an event happens on; -1 for none. */
static int
s_event_host (const sim_world_t *self, const sim_event_t *event)
{
    switch ((sim_event_kind_t) event->kind) {
    case EV_ARRIVE:
    case EV_LOCAL:
    case EV_TURN:
    case EV_JOB:
    case EV_PERSIST:
    case EV_PERSISTED:
        return self->node[event->a].host;
    case EV_BOOT:
    case EV_RESUME:
    case EV_STOP_NOW:
    case EV_DRAIN:
        return event->a;
    case EV_NONE:
    case EV_FAULT:
    case EV_HEAL:
    case EV_MEND:
    case EV_TRIGGER:
    case EV_CLIENT:
    case EV_ANSWER:
    case EV_TRUST:
    case EV_TICK:
        break;
    }
    return -1;
}

/* True if the event is to happen now: not in an earlier life, and not while its host is stopped. */
static bool
s_may_happen (sim_world_t *self, const sim_event_t *event)
{
    int host = s_event_host (self, event);
    if (host < 0)
        return true;
    sim_host_t *it = &self->host[host];
    if (event->kind != EV_ARRIVE && event->life != it->life) {
        if (event->kind == EV_LOCAL)
            sim_pack_release (self, event->pointer);
        return false;
    }
    if (!it->paused || event->kind == EV_RESUME || event->kind == EV_STOP_NOW)
        return true;
    sim_event_at (self, it->resume_ns, (sim_event_kind_t) event->kind, event->a, event->b, event->life, event->pointer);
    return false;
}

static void
s_turn (sim_world_t *self, const sim_event_t *event)
{
    sim_actor_t *actor = self->node[event->a].actor[event->b];
    if (actor && (actor->turn_ns == event->time_ns || actor->turn_ns <= self->now_ns))
        sim_actor_turn (actor);
}

/* A guest that its hypervisor paused does not know it: its clock goes on from where it stood [READ-6]. */
static void
s_resume (sim_world_t *self, sim_host_t *host)
{
    host->paused = false;
    host->up_ns = self->now_ns;
    if (self->options.guests)
        host->offset_ns += host->paused_clock_ns - sim_clock (self, (int) (host - self->host));
}

static void
s_happen (sim_world_t *self, const sim_event_t *event)
{
    sim_actor_t *actor;
    switch ((sim_event_kind_t) event->kind) {
    case EV_ARRIVE:
        sim_network_arrive (self, event->pointer);
        break;
    case EV_LOCAL:
        actor = self->node[event->a].actor[event->b];
        if (sim_trust_takes (self, event->a, event->b, event->pointer))
            break;
        if (actor && sim_trust_hears (self, self->node[event->a].host, ((sim_pack_t *) event->pointer)->from_node, event->a))
            sim_actor_put (actor, (sim_item_t){ .kind = ITEM_PACK, .pack = event->pointer });
        else
            sim_pack_release (self, event->pointer);
        break;
    case EV_TURN:
        s_turn (self, event);
        break;
    case EV_JOB:
        sim_job_step (self, event->a, event->b & 255, event->b >> 8, event->pointer);
        break;
    case EV_PERSIST:
        sim_persist_commit (self, event->a);
        break;
    case EV_PERSISTED:
        sim_persist_told (self, event->a);
        break;
    case EV_BOOT:
        sim_boot (self, event->a);
        break;
    case EV_RESUME:
        s_resume (self, &self->host[event->a]);
        SIM_TRACE (self, "host %d goes on", event->a);
        break;
    case EV_STOP_NOW:
        sim_crash (self, event->a, (sim_crash_t) event->b, ADR_NEVER, "planned");
        break;
    case EV_DRAIN:
        sim_drain (self, event->a, SIM_SECOND);
        break;
    case EV_FAULT:
        sim_fault_due (self, (sim_fault_t) event->a);
        break;
    case EV_HEAL:
        sim_heal (self, event->life);
        break;
    case EV_MEND:
        sim_mend (self, event->a);
        break;
    case EV_TRIGGER:
        sim_triggered (self, event->a, event->b);
        break;
    case EV_CLIENT:
        sim_client_wake (self, event->a, event->b, event->life);
        break;
    case EV_ANSWER:
        sim_client_answer (self, event->a, event->pointer);
        break;
    case EV_TRUST:
        sim_trust_happen (self, event);
        break;
    case EV_TICK:
        s_tick (self);
        break;
    case EV_NONE:
        break;
    }
}

void
sim_world_run (sim_world_t *self)
{
    for (int host = 0; host < self->host_count; host++)
        sim_event_at (self, sim_pick (&self->random, 0, 200) * ADR_MS, EV_BOOT, host, 0, 0, NULL);
    sim_event_at (self, 0, EV_TICK, 0, 0, 0, NULL);
    sim_faults_start (self);
    sim_clients_start (self);
    sim_trust_start (self);
    while (!self->verdict.failed && self->phase != PHASE_DONE && self->heap_count) {
        sim_event_t event = s_pop (self);
        self->now_ns = event.time_ns;
        self->event = &event;
        sim_mix (self, (uint64_t) event.time_ns ^ (uint64_t) event.kind << 56 ^ (uint64_t) event.a << 40);
        sim_bounds_event (&self->bounds, self->now_ns);
        if (s_may_happen (self, &event))
            s_happen (self, &event);
    }
}
