/* SPDX-License-Identifier: MPL-2.0 */
/* replicator: one log a peer group, the same for meta, data and PKI nodes [DESIGN 5, RULES REPL, READ, ELECT-4, 5].
 *
 * Owns: the node's store (log and records), the fence, and for a master the members' positions, the watermarks and the
 * requests that wait. Makes durable: the log, through the store's jobs; the fence ("fence"), before it is answered and
 * before anything of a higher term is acknowledged.
 *
 * Mailbox, from this node: FENCE, LEAD, MASTER, STOOD_DOWN (election); PING, EVIDENCE, ANSWERED (health-checker);
 *   MAP_CHANGED (map-keeper), CONTROL (a PKI node's cert-signer; edge-routers). From peers' replicators: APPEND, APPEND_ACK, APPEND_REFUSED, READ_INDEX,
 *   READ_INDEX_ANSWER, WRITE (relayed). From edge-routers: WRITE, READ, LIST.
 * Sends: FENCED, VOTERS, HIGHER_TERM, RESIGN (own election), PONG (own health-checker), the peers' messages above,
 *   ANSWER and LIST_ANSWER (edge-routers), GROUP_STATUS (own map-keeper), CONTROL_ANSWER (who asked).
 *
 *              LEAD (T = fence)                    STOOD_DOWN {lease_only}
 *    MEMBER ---------------------> MASTER ------------------------------> LEAVING
 *      ^                              |                                      |
 *      +------------------------------+--------------------------------------+
 *             fence above T, in the same step [ELECT-4], or STOOD_DOWN
 */

#include "actors/replicator_private.h"
#include "wire/map_codec.h"

#include <stdlib.h>

#define S_TIMER_TICK 1u
#define S_TICK_NS (20 * ADR_MS)

static const adr_bytes_t s_nothing;

/* Which roles may follow which; checked at every move. */
static const bool s_may_become[ROLE_COUNT][ROLE_COUNT] = {
    [ROLE_MEMBER] = { [ROLE_MEMBER] = true, [ROLE_MASTER] = true },
    [ROLE_MASTER] = { [ROLE_LEAVING] = true, [ROLE_MEMBER] = true },
    [ROLE_LEAVING] = { [ROLE_MEMBER] = true, [ROLE_LEAVING] = true },
};

static void
s_become (replicator_t *self, replicator_role_t role)
{
    adr_assert (s_may_become[self->role][role]);
    self->role = role;
    self->waits.index = 0; /* a member's wait is not a master's */
    self->status_due = role == ROLE_MASTER;
}

bool
replicator_leads (const replicator_t *self)
{
    return self->role == ROLE_MASTER;
}

/* A mastership's term is always the fence: a higher fence ends it in the same step. */
uint64_t
replicator_lead_term (const replicator_t *self)
{
    adr_assert (self->role != ROLE_MEMBER);
    return self->fence;
}

adr_address_t
replicator_address (adr_id_t node)
{
    return (adr_address_t){ node, ADR_ACTOR_REPLICATOR };
}

void
replicator_tell_election (replicator_t *self, uint16_t kind, const ProtobufCMessage *header)
{
    adr_address_t to = { self->environment->node, ADR_ACTOR_ELECTION };
    self->effects->send (self->effects, to, kind, header, s_nothing);
}

void
replicator_resign (replicator_t *self, const char *why, const adr_id_t *successor)
{
    if (self->resigned)
        return;
    self->resigned = true;
    Adr__Resign resign = ADR__RESIGN__INIT;
    resign.term = self->fence;
    resign.why = (char *) why;
    if (successor)
        resign.successor = adr_id_view (successor);
    else
        resign.silent_ms = (uint64_t) (2 * self->settings->election_max_ns / ADR_MS);
    adr_note (self->effects, ADR_LEVEL_WARNING, "%s -> asks election to hand over term=%llu", why,
              (unsigned long long) self->fence);
    replicator_tell_election (self, ADR__KIND__RESIGN, &resign.base);
}

/* [invariant 12] Damage that is met is spoken of; not for every request that meets it. */
void
replicator_note_damage (replicator_t *self, const char *what)
{
    if (self->damage_noted_ns && self->now_ns - self->damage_noted_ns < 1000 * ADR_MS)
        return;
    self->damage_noted_ns = self->now_ns;
    adr_note (self->effects, ADR_LEVEL_WARNING, "%s", what);
}

/* --- fence and roles ------------------------------------------------------------------------------------------ */

/* What a mastership, or the following of one, leaves behind when a higher term comes. */
static void
s_forget_term (replicator_t *self)
{
    self->master = (adr_id_t){ 0 };
    if (!ADR_PLANT (REPL_1_ACK_OF_ANY_TERM))
        self->confirmed = 0;
    self->acked = 0;
    self->ack_due = false;
    self->full = false;
    self->resigned = false;
    self->unlocked_known = false;
    self->evidence_commit = self->evidence_commit_next = UINT64_MAX; /* two polls of the new term settle it */
    self->question_count = 0;
    replicator_writes_drop (self);
}

/* [ELECT-4] the end of a lower mastership, in this very step. */
void
replicator_raise_fence (replicator_t *self, uint64_t term)
{
    adr_assert (term > self->fence);
    if (self->role != ROLE_MEMBER && !ADR_PLANT (ELECT_4_MASTER_GOES_ON)) {
        ADR_MARK ("a fence ends a mastership");
        adr_note (self->effects, ADR_LEVEL_NOTE, "fence %llu -> mastership of term %llu ends",
                  (unsigned long long) term, (unsigned long long) self->fence);
        s_become (self, ROLE_MEMBER);
    }
    self->fence = term;
    s_forget_term (self);
    uint8_t stored[8];
    adr_put_u64 (stored, term);
    self->effects->persist (self->effects, "fence", adr_bytes (stored, sizeof stored), term);
}

/* [ELECT-4] the answer covers every entry that was or may yet be acknowledged: it leaves after all are durable. Entries
 * that damage took were acknowledged, too: a copy that misses some keeps its vote [STORE-5]. */
static void
s_answer_fence (replicator_t *self)
{
    if (self->fence_asked == 0)
        return;
    adr_position_t last = adr_store_last (self->store);
    if (!ADR_PLANT (ELECT_4_FENCED_BEFORE_DURABLE)
        && (self->fence_durable < self->fence_asked || adr_store_synced (self->store) < last.index))
        return;
    adr_voter_set_t set;
    Adr__Fenced fenced = ADR__FENCED__INIT;
    fenced.term = self->fence_asked;
    fenced.last_term = last.term;
    fenced.last_index = last.index;
    fenced.voters = adr_voter_set_fill (&set, adr_store_voters (self->store));
    fenced.refused = self->fence_asked < self->fence;
    replicator_tell_election (self, ADR__KIND__FENCED, &fenced.base);
    self->fence_asked = 0;
}

static void
s_on_fence (replicator_t *self, const Adr__Fence *fence)
{
    if (fence->term > self->fence && !ADR_PLANT (ELECT_3_FENCE_IGNORED))
        replicator_raise_fence (self, fence->term);
    self->fence_asked = fence->term;
    s_answer_fence (self);
}

static void
s_on_lead (replicator_t *self, const Adr__Lead *lead)
{
    if (lead->term != self->fence || self->role != ROLE_MEMBER) /* [ELECT-4] */
        return;
    s_become (self, ROLE_MASTER);
    self->confirmed = 0;
    self->master = self->environment->node;
    adr_note (self->effects, ADR_LEVEL_NOTE, "elected -> leads from index %llu on, term=%llu",
              (unsigned long long) adr_store_last (self->store).index + 1, (unsigned long long) self->fence);
    replicator_become_streaming (self);
}

static void
s_on_master (replicator_t *self, const Adr__Master *master)
{
    if (master->term != self->fence || self->role != ROLE_MEMBER)
        return;
    /* An append may have told who leads before election knows: `nobody known` takes nothing back, for the term that
     * the master has is this one, and its acknowledgements still go there. */
    adr_id_t node = adr_id_of (master->master);
    if (!adr_id_is_none (&node) && !adr_id_equal (&node, &self->environment->node))
        self->master = node;
}

static void
s_on_stood_down (replicator_t *self, const Adr__StoodDown *stood_down)
{
    if (stood_down->term != self->fence || self->role == ROLE_MEMBER)
        return;
    if (stood_down->lease_only) {
        s_become (self, ROLE_LEAVING);
        self->status_due = true;
        return;
    }
    s_become (self, ROLE_MEMBER);
    s_forget_term (self);
}

static void
s_on_map_changed (replicator_t *self, const Adr__MapChanged *changed)
{
    if (changed->map == NULL || changed->map->registry == NULL || changed->map->registry->epoch <= self->map->epoch)
        return; /* statuses do not concern us */
    adr_map_t *map = adr_map_read (changed->map);
    if (map == NULL)
        return;
    adr_map_destroy (&self->map);
    self->map = map;
    (void) adr_obeyed_update (&self->obeyed, &self->settings_now, changed->map); /* [SET-2] */
    replicator_learn_peers (self);
    replicator_tend_founding (self);
    replicator_learn_epoch (self, adr_map_epoch (map, &self->environment->group));
    replicator_recovery_learn (self);
}

/* --- turns ---------------------------------------------------------------------------------------------------- */

/* [STORE-11, invariant 12] What the disk does is spoken of. */
static void
s_note_disk (replicator_t *self)
{
    static const char *const s_what[] = {
        [ADR_SPACE_OK] = "the disk has space -> everything is taken",
        [ADR_SPACE_FIRST_MARK] = "the disk is nearly full -> this node no longer counts for puts",
        [ADR_SPACE_SECOND_MARK] = "the disk is full -> this node takes no puts; its reserve is for votes and deletes",
        [ADR_SPACE_LAST] = "the reserve is nearly used up -> this node takes nothing but what holds the group together",
    };
    adr_space_t space = adr_store_space (self->store);
    if (space != self->space_noted)
        adr_note (self->effects, space > self->space_noted ? ADR_LEVEL_WARNING : ADR_LEVEL_NOTE, "%s", s_what[space]);
    self->space_noted = space;
    uint64_t retries = adr_store_read_retries (self->store);
    if (retries != self->read_retries_noted)
        replicator_note_damage (self, "a read of the journal failed and succeeded when it was repeated -> look at the disk");
    self->read_retries_noted = retries;
}

static void
s_tick (replicator_t *self)
{
    self->tick_ns = self->now_ns + S_TICK_NS;
    if (self->role != ROLE_MEMBER) {
        replicator_tend_members (self);
        replicator_tend_checkpoint (self);
    }
    if (replicator_leads (self))
        replicator_tidy (self);
    replicator_tend_lost (self);
    replicator_tend_recovery (self);
    replicator_tell_registry (self);
    replicator_reads_expire (self);
    s_note_disk (self);
    self->effects->wake (self->effects, S_TIMER_TICK, self->tick_ns);
}

static void
s_turn_end (replicator_t *self)
{
    replicator_advance (self);
    replicator_waits_turn (self);
    replicator_repair_turn (self);
    s_answer_fence (self);
    replicator_stream (self);
    replicator_send_acks (self);
    replicator_reads_questions (self);
    replicator_writes_verdicts (self);
    replicator_reads_ask (self);
    replicator_tend_state (self);
    replicator_tell_voters (self);
    replicator_send_status (self);
}

static void
s_start (replicator_t *self)
{
    adr_note (self->effects, ADR_LEVEL_NOTE, "starts -> log ends at %llu, commit %llu, fence %llu, incarnation %llx, start %llu",
              (unsigned long long) adr_store_last (self->store).index,
              (unsigned long long) adr_store_commit (self->store), (unsigned long long) self->fence,
              (unsigned long long) self->environment->incarnation, (unsigned long long) self->environment->boot);
    replicator_tend_founding (self);
    replicator_tend_state (self);
    if (self->ids_unread)
        replicator_note_damage (self, "entries of the log cannot be read -> requests of their time are not executed");
    s_tick (self);
}

static void
s_stop (replicator_t *self)
{
    if (self->role == ROLE_MASTER)
        replicator_resign (self, "the host stops", NULL);
}

/* A replicator of another group, or an asker who would have somebody else answered: wire/table.c knows types of nodes,
 * not groups [DESIGN 8]. */
static bool
s_is_stranger (replicator_t *self, const adr_event_t *event)
{
    const ProtobufCMessage *header = event->message.header;
    const adr_address_t *from = &event->message.from;
    ProtobufCBinaryData origin = adr_id_view (&from->node);
    if (from->actor == ADR_ACTOR_INVENTORY_SYNCER)
        return !adr_id_equal (&from->node, &self->environment->node) && replicator_peer (self, &from->node) == NULL
               && !ADR_PLANT (DESIGN_8_OTHER_GROUP_COPIES);
    if (from->actor == ADR_ACTOR_REPLICATOR && !ADR_PLANT (DESIGN_8_OTHER_GROUP_ASKS)) /* a relay names whoever asked its member */
        return replicator_peer (self, &from->node) == NULL;
    if (event->message.kind == ADR__KIND__WRITE)
        origin = ((const Adr__Write *) header)->origin;
    else if (event->message.kind == ADR__KIND__READ)
        origin = ((const Adr__Read *) header)->origin;
    else if (event->message.kind == ADR__KIND__LIST)
        origin = ((const Adr__List *) header)->origin;
    adr_id_t named = adr_id_of (origin);
    return !adr_id_equal (&named, &from->node);
}

/* Longer than other functions because it is nothing but the switch: a line a message. */
static void
s_receive_message (replicator_t *self, const adr_event_t *event)
{
    const ProtobufCMessage *header = event->message.header;
    if (s_is_stranger (self, event))
        return;
    switch ((Adr__Kind) event->message.kind) {
    case ADR__KIND__APPEND:
        replicator_on_append (self, event);
        break;
    case ADR__KIND__APPEND_ACK:
        replicator_on_ack (self, event);
        break;
    case ADR__KIND__APPEND_REFUSED:
        replicator_on_append_refused (self, event);
        break;
    case ADR__KIND__WRITE:
        replicator_on_write (self, event);
        break;
    case ADR__KIND__READ:
        replicator_on_read (self, event);
        break;
    case ADR__KIND__LIST:
        replicator_on_list (self, event);
        break;
    case ADR__KIND__READ_INDEX:
        replicator_on_read_index (self, event);
        break;
    case ADR__KIND__READ_INDEX_ANSWER:
        replicator_on_read_index_answer (self, event);
        break;
    case ADR__KIND__FENCE:
        s_on_fence (self, (const Adr__Fence *) header);
        break;
    case ADR__KIND__LEAD:
        s_on_lead (self, (const Adr__Lead *) header);
        break;
    case ADR__KIND__MASTER:
        s_on_master (self, (const Adr__Master *) header);
        break;
    case ADR__KIND__STOOD_DOWN:
        s_on_stood_down (self, (const Adr__StoodDown *) header);
        break;
    case ADR__KIND__PING:
        replicator_on_ping (self, event, (const Adr__Ping *) header);
        break;
    case ADR__KIND__EVIDENCE:
        replicator_on_evidence (self, event);
        break;
    case ADR__KIND__ANSWERED:
        replicator_on_answered (self, event);
        break;
    case ADR__KIND__AGREED:
        replicator_on_agreed (self, (const Adr__Agreed *) header);
        break;
    case ADR__KIND__PLACE:
        replicator_on_place (self, event);
        break;
    case ADR__KIND__SCRUB_STATE:
        replicator_on_scrub_state (self, (const Adr__ScrubState *) header);
        break;
    case ADR__KIND__INDEX_DAMAGED:
        adr_store_note_index_damaged (self->store);
        break;
    case ADR__KIND__QUARANTINE:
        replicator_on_quarantine (self, event);
        break;
    case ADR__KIND__DROP:
        replicator_on_drop (self, event);
        break;
    case ADR__KIND__SYNC_END:
        replicator_on_sync_end (self, (const Adr__SyncEnd *) header);
        break;
    case ADR__KIND__BASE_ASK:
        replicator_on_base_ask (self, event);
        break;
    case ADR__KIND__MAP_CHANGED:
        s_on_map_changed (self, (const Adr__MapChanged *) header);
        break;
    case ADR__KIND__CONTROL:
        replicator_on_control (self, event);
        break;
    default: /* kinds that wire/table.c never lets through to this actor */
        break;
    }
}

static void
s_receive (void *object, const adr_event_t *event, adr_effects_t *effects)
{
    replicator_t *self = object;
    self->effects = effects;
    self->now_ns = event->now_ns;
    self->wall_ms = event->wall_ms;
    switch (event->kind) {
    case ADR_EVENT_START:
        s_start (self);
        break;
    case ADR_EVENT_MESSAGE:
        s_receive_message (self, event);
        break;
    case ADR_EVENT_TIMER:
        if (event->timer == S_TIMER_TICK)
            s_tick (self); /* others only cause the turn */
        break;
    case ADR_EVENT_DURABLE:
        if (event->token == REPLICATOR_RECOVERY_TOKEN)
            self->recovery.durable = true;
        else if (self->fence_durable < event->token)
            self->fence_durable = event->token;
        self->ack_due |= self->confirmed > self->acked;
        break;
    case ADR_EVENT_JOB_DONE:
        adr_store_job_done (self->store, event->job);
        self->ack_due |= self->confirmed > self->acked;
        break;
    case ADR_EVENT_TURN_END:
        s_turn_end (self);
        break;
    case ADR_EVENT_STOP:
        s_stop (self);
        break;
    }
    self->effects = NULL;
}

/* --- life ----------------------------------------------------------------------------------------------------- */

static void *
s_create (const adr_environment_t *environment)
{
    replicator_t *self = adr_alloc (sizeof *self);
    self->environment = environment;
    self->settings = &self->settings_now;
    adr_obeyed_init (&self->obeyed, environment, &self->settings_now);
    self->store = environment->store;
    self->map = adr_map_copy (environment->map);
    self->pending = adr_pending_keys_new (environment->seed);
    self->requests = adr_request_table_new (REQUEST_IDS_MAX, environment->seed);
    replicator_queue_init (&self->asking);
    replicator_queue_init (&self->applying);
    replicator_queue_init (&self->locked);

    /* [ELECT-5] the fence is the highest of what was stored and what the log says. */
    uint8_t stored[8];
    if (environment->state_get (environment->state, "fence", stored, sizeof stored) == (int) sizeof stored)
        self->fence = adr_get_u64 (stored);
    self->fence_durable = self->fence;
    if (self->fence < adr_store_term (self->store) && !ADR_PLANT (ELECT_5_FENCE_FROM_STATE_ONLY))
        self->fence = self->fence_durable = adr_store_term (self->store);
    /* [READ-2] an answer to a question of a former life must not look like one to ours. */
    if (!ADR_PLANT (READ_2_NUMBERS_START_ANEW))
        self->question_number = self->question_answered = (environment->incarnation + environment->boot) << 32;
    replicator_learn_peers (self);
    replicator_log_open (self);
    replicator_learn_epoch (self, adr_map_epoch (self->map, &environment->group));
    replicator_recovery_open (self);
    return self;
}

static void
s_destroy (void **object)
{
    replicator_t *self = *object;
    if (self == NULL)
        return;
    replicator_reads_drop (self);
    adr_map_destroy (&self->map);
    adr_pending_keys_destroy (&self->pending);
    adr_request_table_destroy (&self->requests);
    adr_buffer_free (&self->pipeline);
    adr_buffer_free (&self->writes);
    adr_buffer_free (&self->retries);
    adr_buffer_free (&self->verdicts);
    adr_buffer_free (&self->scratch);
    adr_buffer_free (&self->values);
    adr_buffer_free (&self->repair.queue);
    free (self);
    *object = NULL;
}

static void
s_check (const void *object)
{
    const replicator_t *self = object;
    adr_assert (adr_node_state_is_online (self->state) || self->state == ADR_STATE_EVICTED);
    adr_assert (self->fence_durable <= self->fence);
    adr_assert (self->role != ROLE_MASTER || adr_id_equal (&self->master, &self->environment->node));
    adr_assert (self->role == ROLE_MEMBER || self->confirmed == 0);
    adr_assert (self->confirmed <= adr_store_last (self->store).index);
    adr_assert (adr_store_applied (self->store) <= adr_store_commit (self->store));
    adr_assert (!self->unlocked_known || self->unlocked <= self->commit_heard
                || self->unlocked <= adr_store_commit (self->store));
}

const adr_actor_class_t adr_replicator_class = { ADR_ACTOR_REPLICATOR, s_create, s_destroy, s_receive, s_check };
