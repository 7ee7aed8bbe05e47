/* SPDX-License-Identifier: MPL-2.0 */
/* One actor in the simulator: mailbox, turns, effects. The twin of src/runtime/shell.c, with a seed in the place of
 * the scheduler: turns are cut at random, time passes within them, and what goes from one actor of a host to another
 * takes a while, but keeps its order. */

#include "sim.h"

#include <errno.h>
#include <stdlib.h>

static sim_host_t *
s_host (const sim_actor_t *self)
{
    return &self->world->host[self->world->node[self->node].host];
}

/* --- packs --------------------------------------------------------------------------------------------------- */

sim_pack_t *
sim_pack_new (sim_world_t *world)
{
    sim_pack_t *pack = world->spare_count ? world->spare[--world->spare_count] : adr_alloc (sizeof *pack);
    adr_buffer_t bytes = pack->bytes;
    *pack = (sim_pack_t){ .bytes = bytes, .references = 1, .from_node = -1, .to_node = -1, .client = -1 };
    adr_buffer_clear (&pack->bytes);
    return pack;
}

void
sim_pack_release (sim_world_t *world, sim_pack_t *pack)
{
    if (--pack->references)
        return;
    if (world->spare_count == world->spare_room) {
        world->spare_room = world->spare_room ? world->spare_room * 2 : 64;
        world->spare = adr_realloc (world->spare, world->spare_room * sizeof *world->spare);
    }
    world->spare[world->spare_count++] = pack;
}

/* --- effects ------------------------------------------------------------------------------------------------- */

static sim_pack_t *
s_open_pack (sim_actor_t *self, adr_address_t to)
{
    sim_world_t *world = self->world;
    sim_node_t *node = &world->node[self->node];
    for (uint32_t i = self->out_count; i-- > 0;)
        if (self->out[i].to.actor == to.actor && adr_id_equal (&self->out[i].to.node, &to.node)) {
            if (self->out[i].pack->bytes.size < ADR_PACK_TARGET)
                return self->out[i].pack;
            break;
        }
    sim_pack_t *pack = sim_pack_new (world);
    pack->from_node = self->node;
    pack->to_actor = to.actor;
    if (to.actor == ADR_ACTOR_CLIENT)
        pack->client = sim_client_of (world, &to.node);
    else
        pack->to_node = sim_node_of (world, &to.node);
    adr_envelope_t envelope = { .cluster = world->cluster, .sender = node->id, .to = to.node,
                                .from_actor = self->class->kind, .to_actor = to.actor,
                                .incarnation = node->incarnation, .boot = node->boot };
    adr_pack_begin (&pack->bytes, &envelope);
    if (self->out_count == self->out_room) {
        self->out_room = self->out_room ? self->out_room * 2 : 16;
        self->out = adr_realloc (self->out, self->out_room * sizeof *self->out);
    }
    self->out[self->out_count++] = (sim_out_t){ to, pack };
    return pack;
}

static void
s_send (adr_effects_t *effects, adr_address_t to, uint16_t kind, const ProtobufCMessage *header, adr_bytes_t payload)
{
    sim_actor_t *self = (sim_actor_t *) effects;
    sim_watch_send (self->world, self, to, kind, header, payload);
    if (sim_trust_answers (self->world, kind, header))
        return;
    sim_pack_t *pack = s_open_pack (self, to);
    pack->has_release |= kind == ADR__KIND__RELEASE;
    pack->has_write |= kind == ADR__KIND__WRITE;
    adr_pack_add (&pack->bytes, kind, header, sim_lie (self->world, self->node, kind, payload));
}

static void
s_wake (adr_effects_t *effects, uint32_t timer, int64_t at_ns)
{
    sim_actor_t *self = (sim_actor_t *) effects;
    uint32_t at = 0;
    while (at < self->timer_count && self->timer[at].id != timer)
        at++;
    if (at == self->timer_count) {
        if (at_ns == ADR_NEVER)
            return;
        adr_assert (self->timer_count < SIM_TIMERS_MAX);
        self->timer_count++;
    }
    if (at_ns == ADR_NEVER)
        self->timer[at] = self->timer[--self->timer_count];
    else
        self->timer[at] = (sim_timer_t){ timer, at_ns };
}

static void
s_persist (adr_effects_t *effects, const char *name, adr_bytes_t value, uint64_t token)
{
    sim_actor_t *self = (sim_actor_t *) effects;
    sim_world_t *world = self->world;
    sim_node_t *node = &world->node[self->node];
    if (node->put_count == node->put_room) {
        node->put_room = node->put_room ? node->put_room * 2 : 16;
        node->put = adr_realloc (node->put, node->put_room * sizeof *node->put);
    }
    sim_put_t *put = &node->put[node->put_count++];
    *put = (sim_put_t){ .actor = self->class->kind, .token = token, .size = (uint32_t) value.size };
    adr_assert (strlen (name) < sizeof put->name && value.size <= sizeof put->value);
    strcpy (put->name, name);
    memcpy (put->value, value.data, value.size);
    sim_mix (world, sim_hash (value.data, value.size));
    SIM_TRACE (world, "%s %s persists %s, %zu bytes", node->name, adr_actor_name (self->class->kind), name, value.size);
}

static void
s_note (adr_effects_t *effects, adr_level_t level, const char *text)
{
    static const char *const s_levels[] = { "error", "warning", "note", "trace" };
    sim_actor_t *self = (sim_actor_t *) effects;
    sim_world_t *world = self->world;
    if (level <= ADR_LEVEL_NOTE) {
        world->notes++;
        sim_faults_said (&world->faults, self->node);
        world->node[self->node].said_ns = world->now_ns;
    }
    SIM_TRACE (world, "%s %s %s: %s", world->node[self->node].name, adr_actor_name (self->class->kind), s_levels[level],
               text);
}

static void
s_fatal (adr_effects_t *effects, const char *why)
{
    sim_actor_t *self = (sim_actor_t *) effects;
    if (strstr (why, "made anew from the journal")) { /* it starts again at once, and is whole */
        sim_restart (self->world, self->node);
        return;
    }
    SIM_TRACE (self->world, "%s %s stops: %s", self->world->node[self->node].name, adr_actor_name (self->class->kind),
               why);
    sim_fail (&self->world->verdict, "an actor stops its process", "%s %s: %s", self->world->node[self->node].name,
              adr_actor_name (self->class->kind), why);
}

/* --- life ---------------------------------------------------------------------------------------------------- */

sim_actor_t *
sim_actor_new (sim_world_t *world, int node, const adr_actor_class_t *class)
{
    sim_actor_t *self = adr_alloc (sizeof *self);
    sim_node_t *home = &world->node[node];
    self->effects = (adr_effects_t){ s_send, s_wake, s_persist, s_note, s_fatal };
    self->world = world;
    self->class = class;
    self->node = node;
    self->turn_ns = ADR_NEVER;
    self->environment = (adr_environment_t){
        .cluster = world->cluster, .node = home->id, .type = home->type, .incarnation = home->incarnation,
        .boot = home->boot, .seed = adr_random_next (&world->shell_random), .settings = world->options.settings,
        .map = world->map, .store = class->kind == ADR_ACTOR_REPLICATOR ? home->store : NULL,
        .reader = class->kind == ADR_ACTOR_INVENTORY_SYNCER || class->kind == ADR_ACTOR_SCRUBBER ? home->reader : NULL,
        .state_get = sim_state_get, .state = &home->disk.state,
    };
    if (home->replicates)
        self->environment.group = world->group;
    if (world->trust) {
        self->environment.map = sim_trust_boot_map (world, home->host);
        self->environment.group = adr_map_node (self->environment.map, &home->id)->group;
        self->environment.authority = sim_trust_authority (world, node);
    }
    self->self = class->create (&self->environment);
    sim_actor_put (self, (sim_item_t){ .kind = ITEM_START });
    return self;
}

static sim_item_t
s_take (sim_actor_t *self)
{
    sim_item_t item = self->item[self->first];
    self->first = (self->first + 1) & (self->room - 1);
    self->count--;
    return item;
}

void
sim_actor_destroy (sim_actor_t **actor)
{
    sim_actor_t *self = *actor;
    if (!self)
        return;
    self->class->destroy (&self->self);
    while (self->count) {
        sim_item_t item = s_take (self);
        if (item.kind == ITEM_PACK)
            sim_pack_release (self->world, item.pack);
    }
    for (uint32_t i = 0; i < self->out_count; i++)
        sim_pack_release (self->world, self->out[i].pack);
    free (self->item);
    free (self->out);
    free (self);
    *actor = NULL;
}

static void
s_schedule (sim_actor_t *self, int64_t at_ns)
{
    sim_world_t *world = self->world;
    if (at_ns < self->stalled_ns)
        at_ns = self->stalled_ns;
    if (at_ns >= self->turn_ns)
        return;
    self->turn_ns = at_ns;
    sim_event_at (world, at_ns, EV_TURN, self->node, (int) self->class->kind, s_host (self)->life, NULL);
}

void
sim_actor_put (sim_actor_t *self, sim_item_t item)
{
    if (self->count == self->room) {
        uint32_t room = self->room ? self->room * 2 : 16;
        sim_item_t *ring = adr_alloc (room * sizeof *ring);
        for (uint32_t i = 0; i < self->count; i++)
            ring[i] = self->item[(self->first + i) & (self->room - 1)];
        free (self->item);
        self->item = ring;
        self->first = 0;
        self->room = room;
    }
    self->item[(self->first + self->count++) & (self->room - 1)] = item;
    sim_bounds_mailbox (&self->world->bounds, adr_actor_name (self->class->kind), self->count);
    s_schedule (self, self->world->now_ns + sim_pick (&self->world->shell_random, 1 * SIM_US, 20 * SIM_US));
}

/* --- a turn -------------------------------------------------------------------------------------------------- */

static void
s_receive (sim_actor_t *self, adr_event_t *event)
{
    sim_world_t *world = self->world;
    int host = world->node[self->node].host;
    event->now_ns = sim_clock (world, host); /* [ELECT-12] */
    event->wall_ms = INT64_C (1700000000000) + event->now_ns / ADR_MS + world->host[host].wall_ms;
    world->events++;
    sim_watch_deliver (world, self, event);
    self->class->receive (self->self, event, &self->effects);
}

/* The next item of the pack at the mailbox's front; false at its end. */
static bool
s_receive_item (sim_actor_t *self, sim_pack_t *pack)
{
    sim_world_t *world = self->world;
    if (!self->reading) {
        if (!adr_pack_open (&self->reader, adr_bytes (pack->bytes.data, pack->bytes.size)))
            sim_fail (&world->verdict, "what is sent can be read", "a pack does not open");
        self->reading = true;
    }
    adr_item_t item;
    int next = world->verdict.failed ? 0 : adr_pack_next (&self->reader, &item);
    if (next <= 0) {
        if (next < 0)
            sim_fail (&world->verdict, "what is sent can be read", "a pack has nonsense in it");
        self->reading = false;
        return false;
    }
    adr_arena_reset (&world->arena);
    const adr_envelope_t *envelope = &self->reader.envelope;
    adr_node_type_t type = pack->from_node >= 0    ? world->node[pack->from_node].type
                           : pack->is_strangers ? ADR_NODE_STRANGER
                                                : ADR_NODE_CLIENT;
    bool local = pack->from_node >= 0 && world->node[pack->from_node].host == world->node[self->node].host;
    adr_event_t event = { .kind = ADR_EVENT_MESSAGE };
    event.message.from = (adr_address_t){ envelope->sender, envelope->from_actor };
    event.message.from_type = type;
    event.message.kind = item.kind;
    event.message.header = adr_header_decode (&item, &world->arena);
    event.message.payload = item.payload;
    if (!event.message.header)
        sim_fail (&world->verdict, "what is sent can be read", "%s does not decode", adr_kind_name (item.kind));
    else if (!adr_message_allowed (item.kind, type, envelope->from_actor, self->class->kind, local)) {
        if (pack->is_lie)
            return true;
        sim_fail (&world->verdict, "what is sent is allowed", "%s from %s to %s", adr_kind_name (item.kind),
                  adr_actor_name (envelope->from_actor), adr_actor_name (self->class->kind));
    } else
        s_receive (self, &event);
    return true;
}

/* A timer that is due by the host's clock fires; false if none is. */
static bool
s_fire_timer (sim_actor_t *self)
{
    int64_t now = sim_clock (self->world, self->world->node[self->node].host);
    for (uint32_t i = 0; i < self->timer_count; i++)
        if (self->timer[i].at_ns <= now) {
            uint32_t id = self->timer[i].id;
            self->timer[i] = self->timer[--self->timer_count];
            adr_event_t event = { .kind = ADR_EVENT_TIMER, .timer = id };
            s_receive (self, &event);
            return true;
        }
    return false;
}

static bool
s_next_event (sim_actor_t *self)
{
    adr_random_t *random = &self->world->shell_random;
    if (self->count == 0 || sim_chance (random, 300000))
        if (s_fire_timer (self))
            return true;
    if (self->count == 0)
        return false;
    sim_item_t *front = &self->item[self->first];
    if (front->kind == ITEM_PACK) {
        sim_pack_t *pack = front->pack;
        if (!s_receive_item (self, pack)) {
            s_take (self);
            sim_pack_release (self->world, pack);
        }
        return true;
    }
    sim_item_t item = s_take (self);
    adr_event_t event = { .kind = ADR_EVENT_STOP };
    if (item.kind == ITEM_DURABLE) {
        event.kind = ADR_EVENT_DURABLE;
        event.token = item.token;
    } else if (item.kind == ITEM_JOB_DONE) {
        event.kind = ADR_EVENT_JOB_DONE;
        event.job = item.job;
    } else if (item.kind == ITEM_START)
        event.kind = ADR_EVENT_START;
    s_receive (self, &event);
    return true;
}

static int64_t
s_hop (sim_world_t *world)
{
    int64_t hop = sim_pick (&world->shell_random, 1 * SIM_US, world->options.hop_ns);
    if (world->phase == PHASE_FAULTS && sim_chance (&world->shell_random, world->options.hop_late_ppm))
        hop += sim_pick (&world->shell_random, 0, world->options.hop_late_max_ns);
    return hop;
}

/* Until the turn's next event: its thread, too, may lose the processor for long. */
static int64_t
s_gap_within_turn (sim_world_t *world)
{
    int64_t gap = sim_pick (&world->shell_random, SIM_US, 200 * SIM_US);
    if (world->phase == PHASE_FAULTS && sim_chance (&world->shell_random, world->options.hop_late_ppm))
        gap += sim_pick (&world->shell_random, 0, world->options.hop_late_max_ns);
    return gap;
}

/* Everything that the turn asked for leaves. */
static void
s_let_out (sim_actor_t *self)
{
    sim_world_t *world = self->world;
    const sim_node_t *node = &world->node[self->node];
    for (uint32_t i = 0; i < self->out_count; i++) {
        sim_pack_t *pack = self->out[i].pack;
        bool nobody = pack->to_actor == ADR_ACTOR_CLIENT ? pack->client < 0 : pack->to_node < 0;
        if (nobody && sim_is_known (world, &self->out[i].to.node)) /* it was adopted, and never started */
            sim_pack_release (world, pack);
        else if (nobody) {
            sim_fail (&world->verdict, "messages go to somebody", "%s of %s sends to %s of nobody",
                      adr_actor_name (self->class->kind), node->name, adr_actor_name (pack->to_actor));
            sim_pack_release (world, pack);
        } else if (pack->to_node >= 0 && world->node[pack->to_node].host == node->host) {
            int64_t *last = &self->hop_ns[(pack->to_node % 4) * ADR_ACTOR_COUNT + (int) pack->to_actor];
            int64_t at = world->now_ns + s_hop (world);
            *last = at > *last ? at : *last;
            sim_event_at (world, *last, EV_LOCAL, pack->to_node, (int) pack->to_actor, s_host (self)->life, pack);
        } else
            sim_network_send (world, pack);
    }
    self->out_count = 0;
}

static void
s_start_jobs (sim_actor_t *self)
{
    sim_world_t *world = self->world;
    sim_node_t *node = &world->node[self->node];
    int64_t now = sim_clock (world, node->host);
    for (int lane = 0; lane < ADR_LANE_COUNT; lane++)
        if (!node->job[lane]) {
            node->job[lane] = adr_store_job_next (node->store, (adr_lane_t) lane, now);
            if (node->job[lane])
                sim_event_at (world, world->now_ns + sim_pick (&world->shell_random, SIM_US, world->options.disk_write_ns),
                              EV_JOB, self->node, lane, s_host (self)->life, NULL);
        }
    s_wake (&self->effects, SIM_STORE_TIMER, adr_store_wake_at (node->store));
}

static void
s_next_turn (sim_actor_t *self)
{
    sim_world_t *world = self->world;
    if (self->count)
        s_schedule (self, world->now_ns + sim_pick (&world->shell_random, SIM_US, 10 * SIM_US));
    int64_t first = ADR_NEVER;
    for (uint32_t i = 0; i < self->timer_count; i++)
        if (self->timer[i].at_ns < first)
            first = self->timer[i].at_ns;
    if (first == ADR_NEVER)
        return;
    int64_t at = sim_true_time (world, world->node[self->node].host, first);
    if (at <= world->now_ns)
        at = world->now_ns + SIM_US;
    s_schedule (self, at + sim_pick (&world->shell_random, 0, 50 * SIM_US));
}

void
sim_actor_turn (sim_actor_t *self)
{
    sim_world_t *world = self->world;
    sim_node_t *node = &world->node[self->node];
    self->turn_ns = ADR_NEVER;
    if (world->now_ns < self->stalled_ns) {
        s_schedule (self, self->stalled_ns);
        return;
    }
    if (!self->in_turn) {
        self->in_turn = true;
        self->turn_left = (uint32_t) sim_pick (&world->shell_random, 1, 32);
    }
    while (self->turn_left > 0 && !world->verdict.failed && s_next_event (self)) {
        self->turn_left--;
        if (sim_chance (&world->shell_random, world->options.turn_gap_ppm)) { /* time passes within a turn */
            s_schedule (self, world->now_ns + s_gap_within_turn (world));
            return;
        }
    }
    adr_event_t end = { .kind = ADR_EVENT_TURN_END };
    s_receive (self, &end);
    self->class->check (self->self);
    self->in_turn = false;
    s_let_out (self);
    if (self->class->kind == ADR_ACTOR_REPLICATOR)
        s_start_jobs (self);
    if (node->put_count && !node->put_committing) {
        node->put_committing = node->put_count;
        sim_event_at (world, world->now_ns + sim_pick (&world->shell_random, SIM_US, world->options.disk_sync_ns)
                                 * (node->slow_disk ? 20 : 1),
                      EV_PERSIST, self->node, 0, s_host (self)->life, NULL);
    }
    sim_watch_store (world, self);
    if (self->class->kind == ADR_ACTOR_REPLICATOR) {
        sim_watch_elect_turn (world, self->node);
        sim_watch_space (world, self->node);
    }
    s_next_turn (self);
}

/* --- what the disk does -------------------------------------------------------------------------------------- */

static bool
s_disk_failed (sim_world_t *world, int node, int error, const char *what)
{
    sim_node_t *self = &world->node[node];
    sim_disk_t *disk = &self->disk;
    if (disk->dead) {
        sim_crash (world, self->host, sim_disk_crash (disk), ADR_NEVER, "the end comes within a disk operation");
        return true;
    }
    if (error == 0)
        return false;
    SIM_TRACE (world, "%s: %s failed, error %d -> the process stops", self->name, what, error);
    if (!disk->met_write && !disk->met_sync && !disk->met_read && !(self->full_disk && error == ENOSPC))
        sim_fail (&world->verdict, "12: no error without a fault", "%s: %s failed with %d", self->name, what, error);
    disk->met_write = disk->met_sync = disk->met_read = false;
    sim_faults_said (&world->faults, node);
    sim_crash (world, self->host, CRASH_KILL, ADR_NEVER, what);
    return true;
}

void
sim_job_step (sim_world_t *world, int node, int lane, int stage, adr_store_job_t *job)
{
    sim_node_t *self = &world->node[node];
    uint64_t life = world->host[self->host].life;
    adr_random_t *random = &world->shell_random;
    if (stage == 0) {
        job = self->job[lane];
        adr_store_job_write (self->store, job);
        SIM_TRACE (world, "%s job %s written", self->name, job->name);
        if (s_disk_failed (world, node, job->error, "a journal write") || sim_point_written (world, node, job))
            return;
        int64_t sync = sim_pick (random, world->options.disk_sync_ns / 4 + 1, world->options.disk_sync_ns);
        if (self->slow_disk)
            sync += sim_pick (random, 50 * ADR_MS, 400 * ADR_MS);
        if (self->hung_disk)
            sync += 1000 * SIM_SECOND;
        sim_event_at (world, world->now_ns + sync, EV_JOB, node, lane | 256, life, job);
        return;
    }
    adr_store_job_sync (self->store, job);
    SIM_TRACE (world, "%s job %s synced", self->name, job->name);
    if (s_disk_failed (world, node, job->error, "a journal sync")
        || (job->lane == ADR_LANE_SYNC && sim_point (world, node, POINT_SYNCED)))
        return;
    self->job[lane] = NULL;
    sim_actor_put (self->actor[ADR_ACTOR_REPLICATOR], (sim_item_t){ .kind = ITEM_JOB_DONE, .job = job });
}

void
sim_persist_commit (sim_world_t *world, int node)
{
    sim_node_t *self = &world->node[node];
    adr_state_t *state = &self->disk.state;
    int error = 0;
    for (uint32_t i = 0; i < self->put_committing && !error; i++) {
        adr_state_put_t put = { self->put[i].name, adr_bytes (self->put[i].value, self->put[i].size) };
        error = state->put (state, &put, 1);
    }
    if (!s_disk_failed (world, node, error, "a commit of the state environment")
        && !sim_point (world, node, POINT_PERSISTED))
        sim_event_at (world, world->now_ns + sim_pick (&world->shell_random, SIM_US, world->options.hop_ns),
                      EV_PERSISTED, node, 0, world->host[self->host].life, NULL);
}

void
sim_persist_told (sim_world_t *world, int node)
{
    sim_node_t *self = &world->node[node];
    uint32_t done = self->put_committing;
    for (uint32_t i = 0; i < done; i++)
        sim_actor_put (self->actor[self->put[i].actor], (sim_item_t){ .kind = ITEM_DURABLE, .token = self->put[i].token });
    self->put_count -= done;
    memmove (self->put, self->put + done, self->put_count * sizeof *self->put);
    self->put_committing = self->put_count;
    if (self->put_count)
        sim_event_at (world, world->now_ns + sim_pick (&world->shell_random, SIM_US, world->options.disk_sync_ns),
                      EV_PERSIST, node, 0, world->host[self->host].life, NULL);
}
