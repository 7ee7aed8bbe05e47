/* SPDX-License-Identifier: MPL-2.0 */
/* inventory_syncer: makes this copy whole again out of its peers' copies, and is a source for theirs.
 *
 * Owns: passes over the partitions, what of them is under way. Makes durable: nothing itself; the replicator's store does,
 * and progress is what the index holds: a bucket that is whole hashes to what the peer's hashes to, whoever starts anew.
 * Assumes: REPAIR_STATE comes when it changes. Implements docs/protocol/inventory_syncer.md (REPAIR-1, REPAIR-2, REPAIR-3,
 * REPAIR-5, REPAIR-6's keep-from, REPAIR-9).
 *
 * Mailbox
 *     REPAIR_STATE    own replicator         how far this copy is exact, what of the copies is durable
 *     DIVERGED        own merkle_gossiper    those partitions differ from that peer's
 *     WOUNDS          own scrubber, own replicator  records whose values cannot be read
 *     BASE            a peer's replicator    who voted where the log may start
 *     LEAVES, INVENTORY, RECORDS             a peer's, answers
 *     LEAVES_ASK, INVENTORY_ASK, RECORDS_ASK a peer's, questions
 *     CONTROL         an edge_router, for an operator
 *     MAP_CHANGED     own map_keeper
 * Sends
 *     the same questions and answers to inventory_syncers; BASE_ASK to a peer's replicator; PLACE, DROP, QUARANTINE,
 *     SYNC_END, INDEX_DAMAGED to its own; CONTROL_ANSWER to the edge_router.
 *
 *              REPAIR_STATE: copying                      all whole, and the log reaches back to all of it
 *     idle ──────────────────────────▶ copying: pass after pass ──────────────────────────▶ SYNC_END, idle
 *       │          DIVERGED                                                                     ▲
 *       └──────────────────────▶ mending: those partitions, from that peer ─────────────────────┘
 *     An operator's CONTROL makes an idle one mend all partitions, from one peer after the other; or all of it pause. */

#include "actors/inventory_syncer_private.h"

#include <stdlib.h>

#define S_TICK_NS (50 * ADR_MS)
#define S_BLAME_NS (1000 * ADR_MS)      /* a peer that gave nothing is left alone for so long */
#define S_SILENT_NS (10000 * ADR_MS)    /* one that does not answer, for so long */
#define S_NO_SOURCE_NS (5000 * ADR_MS)  /* without a proven source for so long, one that is not proven will do */
#define S_DOUBT_NS (10000 * ADR_MS)     /* what is in doubt is compared again this often */
#define S_BASE_PATIENCE_NS (500 * ADR_MS)
#define S_PROGRESS_NS (1000 * ADR_MS)   /* progress is told no more often than this */
#define S_PROGRESS_STEPS 10             /* ... and so many times a pass at most */

enum { S_TIMER_TICK = 1 };

/* --- sending --------------------------------------------------------------------------------------------------- */

void
syncer_send (inventory_syncer_t *self, const adr_id_t *node, uint16_t kind, const void *header, adr_bytes_t payload)
{
    self->effects->send (self->effects, (adr_address_t){ *node, ADR_ACTOR_INVENTORY_SYNCER }, kind, header, payload);
}

static void
s_send_own_replicator (inventory_syncer_t *self, uint16_t kind, const void *header, adr_bytes_t payload)
{
    adr_address_t to = { self->environment.node, ADR_ACTOR_REPLICATOR };
    self->effects->send (self->effects, to, kind, header, payload);
}

/* What is done, how fast it goes, and how long the rest takes if it goes on like this. */
static void
s_fill_progress (const inventory_syncer_t *self, Adr__Place *place)
{
    int64_t passed_ms = (self->now_ns - self->began_ns) / ADR_MS;
    place->paused_s = syncer_pause_left_s (self);
    place->runs = syncer_runs (self);
    if (self->mode == MODE_IDLE)
        return;
    place->parts = self->all_count;
    place->parts_done = self->done_count;
    place->pulled = self->pulled_bytes - self->began_bytes;
    if (passed_ms > 0)
        place->rate_kib = (uint32_t) (place->pulled * 1000 / 1024 / (uint64_t) passed_ms);
    if (self->done_count)
        place->left_s = (uint32_t) ((uint64_t) passed_ms * (self->all_count - self->done_count) / self->done_count / 1000);
}

/* [REPAIR-6] Even an empty one says from where on the log is needed. */
static void
s_send_place (inventory_syncer_t *self)
{
    Adr__Place place = ADR__PLACE__INIT;
    place.number = self->pass;
    s_fill_progress (self, &place);
    place.keep_from = self->mode == MODE_COPYING && self->floor_known ? self->floor : 0;
    s_send_own_replicator (self, ADR__KIND__PLACE, &place, adr_bytes (self->place.data, self->place.size));
    self->place_bytes += self->place.size;
    adr_buffer_clear (&self->place);
}

void
syncer_tell_progress (inventory_syncer_t *self)
{
    self->told_ns = self->now_ns;
    s_send_place (self);
}

void
syncer_flush_places (inventory_syncer_t *self)
{
    if (self->place.size)
        s_send_place (self);
}

void
syncer_flush_drops (inventory_syncer_t *self)
{
    Adr__Drop drop = ADR__DROP__INIT;
    Adr__Quarantine quarantine = ADR__QUARANTINE__INIT;
    drop.number = quarantine.number = self->pass;
    if (self->drops.size)
        s_send_own_replicator (self, ADR__KIND__DROP, &drop, adr_bytes (self->drops.data, self->drops.size));
    if (self->quarantine.size)
        s_send_own_replicator (self, ADR__KIND__QUARANTINE, &quarantine,
                               adr_bytes (self->quarantine.data, self->quarantine.size));
    adr_buffer_clear (&self->drops);
    adr_buffer_clear (&self->quarantine);
}

void
syncer_tell_index (inventory_syncer_t *self)
{
    Adr__IndexDamaged damaged = ADR__INDEX_DAMAGED__INIT;
    s_send_own_replicator (self, ADR__KIND__INDEX_DAMAGED, &damaged, adr_bytes (NULL, 0));
}

/* --- peers ----------------------------------------------------------------------------------------------------- */

void
syncer_blame (inventory_syncer_t *self, int peer, const char *why)
{
    char name[ADR_ID_TEXT_SIZE];
    bool known = self->now_ns < self->bad_until_ns[peer];
    self->bad_until_ns[peer] = self->now_ns + S_BLAME_NS;
    if (known)
        return;
    self->failed_peers++;
    adr_id_format (&self->group.node[peer], name);
    adr_note (self->effects, ADR_LEVEL_NOTE, "node %s: %s -> another one is asked failed=%llu", name, why,
              (unsigned long long) self->failed_peers);
}

bool
syncer_runs (const inventory_syncer_t *self)
{
    bool pulls = self->mode != MODE_IDLE && !syncer_is_paused (self);
    return pulls || (self->served_ns != 0 && self->now_ns - self->served_ns < RUNS_NS);
}

bool
syncer_asks_anybody (const inventory_syncer_t *self)
{
    return self->mode == MODE_MENDING || self->now_ns - self->source_ns > S_NO_SOURCE_NS;
}

int
syncer_choose_peer (inventory_syncer_t *self)
{
    int choice[ADR_GROUP_NODES_MAX], count = 0, master = -1;
    for (uint32_t i = 0; i < self->group.count; i++) {
        if (self->now_ns < self->bad_until_ns[i])
            continue;
        if (adr_id_equal (&self->group.node[i], &self->master))
            master = (int) i;
        else
            choice[count++] = (int) i;
    }
    return count ? choice[adr_random_next (&self->random) % (uint64_t) count] : master;
}

int
syncer_choose_other (inventory_syncer_t *self, int peer)
{
    for (uint32_t i = 0; i < self->group.count; i++)
        if ((int) i != peer && self->now_ns >= self->bad_until_ns[i]
            && (adr_voters_find_node (&self->voters, &self->group.node[i]) >= 0 || ADR_PLANT (REPAIR_2_ANY_SECOND)))
            return (int) i;
    return -1;
}

/* --- passes ---------------------------------------------------------------------------------------------------- */

static void
s_count_parts (inventory_syncer_t *self)
{
    self->todo_count = self->done_count = self->all_count = 0;
    for (uint32_t i = 0; i < self->part_count; i++) {
        self->all_count += self->part[i] != PART_LEFT;
        self->todo_count += self->part[i] == PART_TODO;
        self->done_count += self->part[i] == PART_DONE;
    }
}

static void
s_end_lanes (inventory_syncer_t *self)
{
    for (size_t i = 0; i < LANES; i++)
        syncer_lane_end (&self->lane[i]);
}

static void
s_become (inventory_syncer_t *self, repair_mode_t mode)
{
    s_end_lanes (self);
    adr_buffer_clear (&self->place);
    self->mode = mode;
    self->began_ns = self->told_ns = self->now_ns;
    self->began_bytes = self->pulled_bytes;
    if (mode == MODE_IDLE)
        s_send_place (self); /* nothing is under way any more */
    self->source_ns = self->now_ns;
    self->log_start = 0;
    self->ceiling = 0;
    self->base_number = 0;
    self->floor_known = false;
    self->was_busy = false;
}

/* [REPAIR-1] Every partition is looked at anew: what is whole already costs its hashes only. What earlier passes brought may be
 * newer than any source of this one: the ceiling stays. */
static void
s_begin_pass (inventory_syncer_t *self)
{
    self->pass++;
    self->floor_known = false;
    self->base_number = 0;
    for (uint32_t i = 0; i < self->part_count; i++)
        self->part[i] = PART_TODO;
    s_count_parts (self);
    self->progress = 0;
    self->progress_ns = self->now_ns;
    adr_note (self->effects, ADR_LEVEL_NOTE, "this copy is sick -> pass %llu over %u partitions begins",
              (unsigned long long) self->pass, self->part_count);
}

/* [REPAIR-1] A false one would be the window's end, and keep this copy replaying for ever. What is committed now was heard
 * of a moment ago at the latest. */
bool
syncer_may_be_applied (const inventory_syncer_t *self, uint64_t applied)
{
    return applied <= self->commit + AHEAD_MAX;
}

/* [REPAIR-3] The newest version wins, so one that nobody wrote would win for good. */
bool
syncer_may_be_version (const inventory_syncer_t *self, const adr_version_t *version)
{
    return version->epoch >= ADR_EPOCH && version->epoch <= self->epoch && version->term <= self->term && syncer_may_be_applied (self, version->index);
}

void
syncer_see_applied (inventory_syncer_t *self, int peer, uint64_t applied, bool leaves)
{
    if (applied > self->ceiling) {
        self->ceiling = applied;
        self->ceiling_peer = peer;
    }
    bool lower = ADR_PLANT (REPAIR_1_LARGEST_FLOOR) ? applied > self->floor : applied < self->floor;
    if (!leaves || (self->floor_known && !lower) || self->mode != MODE_COPYING)
        return;
    self->floor = applied;
    self->floor_known = true;
    syncer_flush_places (self);
    s_send_place (self);
}

/* How far a long pass is: whoever looks on shall see that it goes on, and what it took. */
static void
s_note_progress (inventory_syncer_t *self)
{
    uint32_t progress = self->part_count ? self->done_count * S_PROGRESS_STEPS / self->part_count : 0;
    if (self->mode != MODE_COPYING || progress <= self->progress || progress == S_PROGRESS_STEPS
        || self->now_ns - self->progress_ns < S_PROGRESS_NS)
        return;
    self->progress = progress;
    self->progress_ns = self->now_ns;
    adr_note (self->effects, ADR_LEVEL_NOTE, "%u of %u partitions are copied -> pass %llu goes on pulled=%llu records=%llu window=%llu",
              self->done_count, self->part_count, (unsigned long long) self->pass,
              (unsigned long long) self->pulled_bytes, (unsigned long long) self->pulled_records,
              (unsigned long long) self->window);
}

void
syncer_part_done (inventory_syncer_t *self, lane_t *lane, bool whole)
{
    self->part[lane->partition] = whole ? PART_DONE : PART_TODO;
    syncer_lane_end (lane);
    s_count_parts (self);
    s_note_progress (self);
    syncer_flush_places (self);
}

static void
s_fill_lanes (inventory_syncer_t *self)
{
    uint32_t partition = 0;
    for (size_t i = 0; i < LANES && self->todo_count; i++) {
        if (self->lane[i].stage != LANE_IDLE)
            continue;
        int peer = self->mode == MODE_MENDING ? self->mend_peer : syncer_choose_peer (self);
        while (partition < self->part_count && self->part[partition] != PART_TODO)
            partition++;
        if (peer < 0 || self->now_ns < self->bad_until_ns[peer] || partition == self->part_count
            || !syncer_may_ask (self, adr_reader_buckets (self->reader, partition) * HASH_SIZE))
            return;
        self->part[partition] = PART_BUSY;
        syncer_lane_begin (self, &self->lane[i], partition, peer);
        s_count_parts (self);
    }
}

static bool
s_lanes_are_idle (const inventory_syncer_t *self)
{
    for (size_t i = 0; i < LANES; i++)
        if (self->lane[i].stage != LANE_IDLE)
            return false;
    return true;
}

/* What was pulled is in the index, durably [REPAIR-5]. */
static bool
s_is_placed (const inventory_syncer_t *self)
{
    return self->place.size == 0 && self->admitted_bytes == self->place_bytes
           && (self->placed == self->asked || ADR_PLANT (REPAIR_5_END_BEFORE_DURABLE));
}

/* The master first: it is its log that follows. */
static void
s_ask_base (inventory_syncer_t *self)
{
    if (self->base_number != 0 && self->now_ns - self->base_ns < S_BASE_PATIENCE_NS)
        return;
    if (self->base_number != 0)
        syncer_blame (self, self->base_peer, "it says nothing about its log");
    int master = adr_group_find (&self->group, &self->master);
    int peer = master >= 0 && self->now_ns >= self->bad_until_ns[master] ? master : syncer_choose_peer (self);
    self->base_number = 0;
    if (peer < 0)
        return;
    self->base_peer = peer;
    Adr__BaseAsk ask = ADR__BASE_ASK__INIT;
    self->base_number = ask.number = ++self->number;
    self->base_ns = self->now_ns;
    ask.index = self->floor;
    self->effects->send (self->effects, (adr_address_t){ self->group.node[peer], ADR_ACTOR_REPLICATOR },
                         ADR__KIND__BASE_ASK, &ask.base, adr_bytes (NULL, 0));
}

static void
s_end_mending (inventory_syncer_t *self)
{
    char peer[ADR_ID_TEXT_SIZE];
    adr_id_format (&self->group.node[self->mend_peer], peer);
    if (self->ordered && self->compare_doubts)
        adr_note (self->effects, ADR_LEVEL_TRACE, "what is in doubt is compared with node %s -> dropped=%llu", peer,
                  (unsigned long long) self->dropped_records);
    else if (self->ordered)
        adr_note (self->effects, ADR_LEVEL_NOTE, "all partitions are compared with node %s -> mended=%llu dropped=%llu", peer,
                  (unsigned long long) self->mended_records, (unsigned long long) self->dropped_records);
    else
        adr_note (self->effects, ADR_LEVEL_NOTE,
                  "the partitions that differed at checkpoint %llu are compared -> mended=%llu dropped=%llu",
                  (unsigned long long) self->mend_at.index, (unsigned long long) self->mended_records,
                  (unsigned long long) self->dropped_records);
    s_become (self, MODE_IDLE);
}

/* For a pause: questions that are out are forgotten, and so is a mending, which the next checkpoint begins again. */
void
syncer_put_down (inventory_syncer_t *self)
{
    for (size_t i = 0; i < LANES; i++)
        if (self->lane[i].stage != LANE_IDLE)
            syncer_part_done (self, &self->lane[i], false);
    if (self->mode == MODE_MENDING)
        s_become (self, MODE_IDLE);
}

static void
s_begin_mending (inventory_syncer_t *self, int peer, part_t part)
{
    s_become (self, MODE_MENDING);
    self->mend_peer = peer;
    self->ordered = false;
    for (uint32_t i = 0; i < self->part_count; i++)
        self->part[i] = part;
}

/* [REPAIR-2] What is in doubt may be decided as soon as another voter is there, or knows more: roots that are equal do not say. */
static void
s_tend_doubts (inventory_syncer_t *self)
{
    uint32_t count;
    if (self->doubts == 0 || self->compare_left || self->mode != MODE_IDLE || self->now_ns < self->doubt_ns
        || syncer_is_paused (self))
        return;
    self->doubt_ns = self->now_ns + S_DOUBT_NS;
    self->compare_left = syncer_comparable (self, &count);
    self->compare_doubts = true;
}

/* What an operator asked for: all partitions against the next peer. */
static void
s_compare_next (inventory_syncer_t *self)
{
    if (self->compare_left == 0 || self->sync == ADR_SYNC_COPYING || self->sync == ADR_SYNC_REPLAYING)
        return;
    int peer = __builtin_ctz (self->compare_left);
    self->compare_left &= self->compare_left - 1;
    s_begin_mending (self, peer, self->compare_doubts ? PART_LEFT : PART_TODO);
    self->ordered = true;
    for (uint32_t i = 0; i < self->part_count && self->compare_doubts; i++) {
        uint8_t set[ADR_BUCKET_SET_SIZE] = { 0 };
        if (adr_reader_doubts (self->reader, i, set))
            self->part[i] = PART_TODO;
    }
    s_count_parts (self);
}

void
syncer_go_on (inventory_syncer_t *self)
{
    if (syncer_is_paused (self))
        return;
    if (self->mode == MODE_IDLE)
        s_compare_next (self);
    if (self->mode == MODE_IDLE)
        return;
    syncer_lanes_go_on (self);
    s_fill_lanes (self);
    if (self->todo_count || !s_lanes_are_idle (self))
        return;
    syncer_flush_places (self);
    if (!s_is_placed (self))
        return;
    if (self->mode == MODE_COPYING)
        s_ask_base (self);
    else
        s_end_mending (self);
}

/* --- mailbox --------------------------------------------------------------------------------------------------- */

/* [REPAIR-2] Whoever was a voter when it was asked about rows in doubt, and is none any more, has no word in them. */
static void
s_drop_former_voters (inventory_syncer_t *self)
{
    for (size_t i = 0; i < LANES; i++) {
        lane_t *lane = &self->lane[i];
        if (lane->stage != LANE_IDLE && lane->doubting && !ADR_PLANT (REPAIR_2_ANY_SECOND)
            && adr_voters_find_node (&self->voters, &self->group.node[lane->peer]) < 0)
            syncer_part_done (self, lane, false);
    }
}

static void
s_on_repair_state (inventory_syncer_t *self, const Adr__RepairState *state)
{
    self->sync = state->sync <= ADR_SYNC_UNPROVEN ? (adr_sync_t) state->sync : ADR_SYNC_COPYING;
    self->proven = state->proven;
    self->lossy = state->lossy;
    self->busy = state->busy;
    self->master = adr_id_of (state->master);
    self->applied = state->applied;
    self->asked = state->asked;
    self->placed = state->placed;
    self->admitted_bytes = state->place_bytes;
    self->purged_to = state->purged_to;
    self->commit = state->commit;
    self->term = state->term;
    self->doubts = state->doubts;
    if (state->voters == NULL || !adr_voter_set_read (&self->voters, state->voters))
        self->voters.count = 0;
    s_drop_former_voters (self);
    if (self->sync == ADR_SYNC_COPYING && self->mode != MODE_COPYING) {
        s_become (self, MODE_COPYING);
        s_begin_pass (self);
    }
    if (self->sync != ADR_SYNC_COPYING && self->mode == MODE_COPYING)
        s_become (self, MODE_IDLE);
    syncer_go_on (self);
}

static void
s_on_diverged (inventory_syncer_t *self, const adr_event_t *event)
{
    const Adr__Diverged *diverged = (const Adr__Diverged *) event->message.header;
    adr_bytes_t partitions = event->message.payload;
    adr_id_t node = adr_id_of (diverged->node);
    int peer = adr_group_find (&self->group, &node);
    if (peer < 0 || self->mode != MODE_IDLE || self->sync == ADR_SYNC_COPYING || self->sync == ADR_SYNC_REPLAYING
        || syncer_is_paused (self))
        return; /* the next checkpoint will say it again */
    s_begin_mending (self, peer, PART_LEFT);
    self->mend_at = (adr_position_t){ diverged->term, diverged->index };
    for (size_t at = 0; at + 4 <= partitions.size; at += 4)
        if (adr_get_u32 (partitions.data + at) < self->part_count)
            self->part[adr_get_u32 (partitions.data + at)] = PART_TODO;
    s_count_parts (self);
    adr_note (self->effects, ADR_LEVEL_NOTE, "%u partitions differ at checkpoint %llu -> their inventories are compared",
              self->todo_count, (unsigned long long) diverged->index);
    syncer_go_on (self);
}

/* [REPAIR-1] Where the window ends: nothing that was copied is newer than what a master has logged. Whoever showed more is wrong;
 * one that does not lead may merely be behind, and says nothing. 0: another one is to be asked. */
static uint64_t
s_window_end (inventory_syncer_t *self, const Adr__Base *base)
{
    if (self->ceiling <= base->log_end)
        return self->ceiling;
    if (!base->leads) {
        syncer_blame (self, self->base_peer, "its log ends before what was copied");
        return 0;
    }
    ADR_MARK ("a source claims more than was ever logged");
    adr_note (self->effects, ADR_LEVEL_WARNING,
              "a peer says that it is applied up to %llu, the log ends at %llu -> it is not believed, look at that peer",
              (unsigned long long) self->ceiling, (unsigned long long) base->log_end);
    syncer_blame (self, self->ceiling_peer, "it claims more than was ever logged");
    return self->ceiling = base->log_end;
}

/* [REPAIR-1] The log must reach back to the least applied index of any bucket; what did not is copied again. */
static void
s_on_base (inventory_syncer_t *self, const adr_event_t *event)
{
    const Adr__Base *base = (const Adr__Base *) event->message.header;
    Adr__SyncEnd end = ADR__SYNC_END__INIT;
    adr_voters_t voters;
    if (self->mode != MODE_COPYING || base->number != self->base_number || self->base_number == 0
        || !adr_id_equal (&self->group.node[self->base_peer], &event->message.from.node) || base->term > ADR_TERM_MAX)
        return;
    bool from_master = adr_id_equal (&self->master, &event->message.from.node);
    if (!base->ok || base->index != self->floor || !adr_voter_set_read (&voters, base->voters)) {
        ADR_MARK ("the log does not reach back to a copy");
        if (from_master && base->log_start > self->log_start)
            self->log_start = base->log_start;
        s_begin_pass (self);
        return;
    }
    end.window_to = s_window_end (self, base);
    if (end.window_to == 0 && self->ceiling) {
        self->base_number = 0;
        return;
    }
    adr_note (self->effects, ADR_LEVEL_NOTE,
              "every partition is copied -> the log goes on behind index %llu, exact from %llu on pulled=%llu records=%llu",
              (unsigned long long) base->index, (unsigned long long) self->ceiling,
              (unsigned long long) self->pulled_bytes, (unsigned long long) self->pulled_records);
    end.term = base->term;
    end.index = base->index;
    end.voters = base->voters;
    s_send_own_replicator (self, ADR__KIND__SYNC_END, &end, adr_bytes (NULL, 0));
    self->base_ns = self->now_ns + PATIENCE_NS; /* asked again if nothing comes of it */
}

/* [PART-1] The highest of the group's partitions: whoever writes there has heard of it before we do, or will. */
static void
s_learn_epoch (inventory_syncer_t *self, const Adr__ClusterMap *map)
{
    for (size_t i = 0; map && map->registry && i < map->registry->n_partition; i++) {
        const Adr__PartitionRange *range = map->registry->partition[i];
        adr_id_t group = adr_id_of (range->group);
        if (adr_id_equal (&group, &self->environment.group) && range->epoch > self->epoch)
            self->epoch = range->epoch;
    }
}

static void
s_on_map_changed (inventory_syncer_t *self, const Adr__MapChanged *changed)
{
    adr_group_t old = self->group;
    (void) adr_obeyed_update (&self->obeyed, &self->environment.settings, changed->map); /* [SET-2] */
    adr_group_update (&self->group, changed->map);
    s_learn_epoch (self, changed->map);
    if (old.count == self->group.count && memcmp (old.node, self->group.node, old.count * sizeof old.node[0]) == 0)
        return;
    /* Lanes, the question for a base, an operator's comparison and what peers lack name them by their place. */
    memset (self->bad_until_ns, 0, sizeof self->bad_until_ns);
    self->base_number = 0;
    self->base_peer = self->ceiling_peer = 0;
    self->compare_left = 0;
    adr_buffer_clear (&self->lacked);
    syncer_put_down (self);
}

static void
s_receive_message (inventory_syncer_t *self, const adr_event_t *event)
{
    const ProtobufCMessage *header = event->message.header;
    bool own = adr_id_equal (&event->message.from.node, &self->environment.node);
    if (event->message.kind == ADR__KIND__CONTROL) { /* from an edge */
        syncer_on_control (self, event);
        return;
    }
    if (!own && adr_group_find (&self->group, &event->message.from.node) < 0 && !ADR_PLANT (DESIGN_8_OTHER_GROUP_COPIES))
        return; /* of another group */
    switch ((Adr__Kind) event->message.kind) {
    case ADR__KIND__REPAIR_STATE:
        s_on_repair_state (self, (const Adr__RepairState *) header);
        break;
    case ADR__KIND__DIVERGED:
        s_on_diverged (self, event);
        break;
    case ADR__KIND__WOUNDS:
        syncer_on_wounds (self, event);
        break;
    case ADR__KIND__BASE:
        s_on_base (self, event);
        break;
    case ADR__KIND__LEAVES:
        syncer_on_leaves (self, event);
        syncer_lanes_go_on (self);
        break;
    case ADR__KIND__INVENTORY:
        syncer_on_inventory (self, event);
        syncer_lanes_go_on (self);
        break;
    case ADR__KIND__RECORDS:
        syncer_on_records (self, event);
        syncer_lanes_go_on (self);
        break;
    case ADR__KIND__LEAVES_ASK:
        syncer_on_leaves_ask (self, event);
        break;
    case ADR__KIND__INVENTORY_ASK:
        syncer_on_inventory_ask (self, event);
        break;
    case ADR__KIND__RECORDS_ASK:
        syncer_on_records_ask (self, event);
        break;
    case ADR__KIND__MAP_CHANGED:
        s_on_map_changed (self, (const Adr__MapChanged *) header);
        break;
    default: /* kinds that wire/table.c never lets through to this actor */
        break;
    }
}

/* --- time ------------------------------------------------------------------------------------------------------ */

/* [REPAIR-8] Once anybody was busy a window a trip, however short the trip is; and the configured rate at most; of either no more gathers than a window,
 * or a second's worth. */
static void
s_gather_credit (inventory_syncer_t *self)
{
    int64_t rate = (int64_t) self->environment.settings.repair_rate, window = (int64_t) self->window;
    int64_t most = rate < window ? rate : window, passed_ms = (self->now_ns - self->credit_ns) / ADR_MS;
    if (self->was_busy && rate > window * 1000 / TRIP_MS)
        rate = window * 1000 / TRIP_MS;
    self->credit_ns += passed_ms * ADR_MS;
    self->credit += rate / 1000 * (passed_ms < 1000 ? passed_ms : 1000);
    if (self->credit > most)
        self->credit = most;
}

static void
s_tick (inventory_syncer_t *self)
{
    syncer_tend_pause (self);
    for (size_t i = 0; i < LANES; i++) {
        lane_t *lane = &self->lane[i];
        bool waits = lane->stage != LANE_IDLE && lane->stage != LANE_WAITING;
        if (waits && self->now_ns - lane->sent_ns > PATIENCE_NS) {
            ADR_MARK ("a source does not answer");
            syncer_blame (self, lane->peer, "it does not answer");
            /* For longer than others are waited for, or the master would never be the only one that is left. */
            self->bad_until_ns[lane->peer] = self->now_ns + S_SILENT_NS;
            syncer_part_done (self, lane, false);
        }
    }
    /* A peer that gives nothing mends nobody: the next checkpoint tells what still differs. */
    if (self->mode == MODE_MENDING && self->now_ns < self->bad_until_ns[self->mend_peer])
        s_become (self, MODE_IDLE);
    s_tend_doubts (self);
    syncer_go_on (self);
    syncer_tend_wounds (self);
    if ((syncer_runs (self) || syncer_is_paused (self)) && self->now_ns - self->told_ns >= S_PROGRESS_NS)
        syncer_tell_progress (self);
    self->tick_ns = self->now_ns + (syncer_waits (self) ? TRIP_MS * ADR_MS : S_TICK_NS);
    self->effects->wake (self->effects, S_TIMER_TICK, self->tick_ns);
}

static void
s_receive (void *object, const adr_event_t *event, adr_effects_t *effects)
{
    inventory_syncer_t *self = object;
    self->effects = effects;
    self->now_ns = event->now_ns;
    s_gather_credit (self);
    if (event->kind == ADR_EVENT_MESSAGE)
        s_receive_message (self, event);
    else if (event->kind == ADR_EVENT_START || (event->kind == ADR_EVENT_TIMER && event->timer == S_TIMER_TICK))
        s_tick (self);
    syncer_flush_places (self); /* what stays here counts as in flight, and nobody would ever take it */
    self->effects = NULL;
}

/* --- life ------------------------------------------------------------------------------------------------------ */

static void *
s_create (const adr_environment_t *environment)
{
    inventory_syncer_t *self = adr_alloc (sizeof *self);
    self->environment = *environment;
    adr_obeyed_init (&self->obeyed, environment, &self->environment.settings);
    self->reader = environment->reader;
    self->random.state = environment->seed;
    adr_group_init (&self->group, environment);
    self->epoch = environment->map ? adr_map_epoch (environment->map, &environment->group) : ADR_EPOCH;
    self->part_count = adr_reader_partitions (self->reader) + 1;
    self->part = adr_alloc (self->part_count * sizeof *self->part);
    /* Answers to questions of a former life find no lane. */
    self->number = (environment->incarnation + environment->boot) << 32;
    self->window = WINDOW_START;
    self->sync = ADR_SYNC_COPYING; /* until the replicator says otherwise nobody is served */
    return self;
}

static void
s_destroy (void **object)
{
    inventory_syncer_t *self = *object;
    if (self == NULL)
        return;
    s_end_lanes (self);
    for (size_t i = 0; i < SERVED_MAX; i++)
        adr_buffer_free (&self->served[i].rows);
    adr_buffer_free (&self->place);
    adr_buffer_free (&self->wounds);
    adr_buffer_free (&self->drops);
    adr_buffer_free (&self->quarantine);
    adr_buffer_free (&self->lacked);
    adr_buffer_free (&self->scratch);
    free (self->part);
    free (self);
    *object = NULL;
}

static void
s_check (const void *object)
{
    const inventory_syncer_t *self = object;
    adr_assert (self->admitted_bytes <= self->place_bytes);
    adr_assert (self->window >= WINDOW_MIN && self->window <= WINDOW_MAX);
    adr_assert (self->todo_count + self->done_count <= self->part_count);
    for (size_t i = 0; i < LANES; i++)
        adr_assert (self->lane[i].stage == LANE_IDLE || self->part[self->lane[i].partition] == PART_BUSY);
}

const adr_actor_class_t adr_inventory_syncer_class
    = { ADR_ACTOR_INVENTORY_SYNCER, s_create, s_destroy, s_receive, s_check };
