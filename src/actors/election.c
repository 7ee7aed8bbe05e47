/* SPDX-License-Identifier: MPL-2.0 */
/* election: decides with the other voters of its group who leads it; never touches a record.
 *
 * Owns: term, vote, promise. Makes durable: `vote` before a vote leaves, `promise` (the longest ever given) before an
 * answer gives it. Assumes: messages between two actors of this node arrive in order; the replicator keeps its fence.
 * Implements docs/protocol/election.md (ELECT-1 to 3, 5 to 8, 11, 12).
 *
 * Mailbox
 *     VOTERS           own replicator      newest voters, log end, fence, may it stand; the first one wakes it up
 *     POLL_SEEN, PING, ANSWERED            own health_checker
 *     FENCED           own replicator      the answer to FENCE
 *     RESIGN           own replicator or health_checker: hand over
 *     CALL, SUPPORT, VOTE_REQUEST, VOTE, HIGHER_TERM, STAND, RELEASE      elections of the group
 *     MAP_CHANGED      own map_keeper
 * Sends
 *     POLL_NOTED, PONG to own health_checker; FENCE, LEAD to own replicator; STOOD_DOWN to both; MASTER to both and to
 *     own map_keeper; CALL, SUPPORT, VOTE_REQUEST, VOTE, HIGHER_TERM, STAND, RELEASE to elections of the group.
 *
 *               VOTERS            timeout            quorum of supports
 *     starting ────────▶ following ───────▶ calling ───────▶ standing
 *                         ▲ │  ▲               │                │ fenced, own vote durable
 *            vote durable │ │  └──── poll ─────┘                ▼
 *                         │ └─ VOTE_REQUEST ─▶ voting       candidate
 *                         └──────────────────────┘              │ majority of votes
 *                                                               ▼
 *     following ◀── new master, or time is up ── handing over ◀── RESIGN, STOP ── master
 *
 * A poll or HIGHER_TERM leads back to following from everywhere; s_moves has every move. */

#include "actors/election_private.h"

#include <stdlib.h>
#include <string.h>

/* [ELECT-2] Calls, vote requests and hand-over messages are repeated after a random time between these. */
#define S_REPEAT_MIN_NS (60 * ADR_MS)
#define S_REPEAT_MAX_NS (250 * ADR_MS)

static const char *const s_role_name[ROLE_COUNT]
    = { "starting", "following", "calling", "voting", "standing", "candidate", "master", "handing over" };

/* From a role to the roles that may follow. */
#define S_TO(role) (1u << (role))
static const unsigned s_moves[ROLE_COUNT] = {
    [ROLE_STARTING] = S_TO (ROLE_FOLLOWING),
    [ROLE_FOLLOWING] = S_TO (ROLE_FOLLOWING) | S_TO (ROLE_CALLING) | S_TO (ROLE_VOTING) | S_TO (ROLE_STANDING),
    [ROLE_CALLING] = S_TO (ROLE_FOLLOWING) | S_TO (ROLE_VOTING) | S_TO (ROLE_STANDING),
    [ROLE_VOTING] = S_TO (ROLE_FOLLOWING) | S_TO (ROLE_VOTING),
    [ROLE_STANDING] = S_TO (ROLE_FOLLOWING) | S_TO (ROLE_VOTING) | S_TO (ROLE_CANDIDATE),
    [ROLE_CANDIDATE] = S_TO (ROLE_FOLLOWING) | S_TO (ROLE_VOTING) | S_TO (ROLE_MASTER),
    [ROLE_MASTER] = S_TO (ROLE_FOLLOWING) | S_TO (ROLE_HANDING_OVER),
    [ROLE_HANDING_OVER] = S_TO (ROLE_FOLLOWING) | S_TO (ROLE_VOTING),
};

static const adr_bytes_t s_no_payload;

static void
s_send (const adr_id_t *node, adr_actor_kind_t actor, uint16_t kind, const void *header, adr_effects_t *effects)
{
    effects->send (effects, (adr_address_t){ *node, actor }, kind, header, s_no_payload);
}

void
election_send_own (const election_t *self, adr_actor_kind_t actor, uint16_t kind, const void *header,
                   adr_effects_t *effects)
{
    s_send (&self->environment.node, actor, kind, header, effects);
}

void
election_send_peer (const adr_id_t *node, uint16_t kind, const void *header, adr_effects_t *effects)
{
    s_send (node, ADR_ACTOR_ELECTION, kind, header, effects);
}

bool
election_is_me (const election_t *self, const adr_id_t *node)
{
    return adr_id_equal (node, &self->environment.node);
}

/* The place of this very life of this node in a voter set, or -1. */
int
election_my_place (const election_t *self, const adr_voters_t *voters)
{
    return adr_voters_find (voters, &self->environment.node, self->environment.incarnation);
}

static int64_t
s_timeout (election_t *self)
{
    const adr_settings_t *settings = &self->environment.settings;
    int64_t timeout = adr_random_between (&self->random, settings->election_min_ns, settings->election_max_ns);
    /* [ELECT-11] A voter on its reserve leaves the call to those that have space; one in doubt, to those that can serve. */
    return self->on_reserve || self->doubtful ? 2 * timeout : timeout;
}

int64_t
election_repeat (election_t *self)
{
    return adr_random_between (&self->random, S_REPEAT_MIN_NS, S_REPEAT_MAX_NS);
}

void
election_wake_act (election_t *self, int64_t at_ns, adr_effects_t *effects)
{
    self->act_at_ns = at_ns;
    effects->wake (effects, TIMER_ACT, at_ns);
}

void
election_wake_limit (election_t *self, int64_t at_ns, adr_effects_t *effects)
{
    self->limit_at_ns = at_ns;
    effects->wake (effects, TIMER_LIMIT, at_ns);
}

/* --- terms and roles ------------------------------------------------------------------------------------------- */

/* Tells everybody on this node who leads, if that is news. */
void
election_set_leader (election_t *self, const adr_id_t *leader, adr_effects_t *effects)
{
    Adr__Master master = ADR__MASTER__INIT;
    if (adr_id_equal (leader, &self->leader))
        return;
    self->leader = *leader;
    int at = adr_voters_find_node (&self->voters, leader);
    master.term = self->term;
    if (!adr_id_is_none (leader))
        master.master = adr_id_view (&self->leader);
    if (election_is_me (self, leader))
        master.incarnation = self->environment.incarnation;
    else if (at >= 0)
        master.incarnation = self->voters.voter[at].incarnation;
    election_send_own (self, ADR_ACTOR_REPLICATOR, ADR__KIND__MASTER, &master, effects);
    election_send_own (self, ADR_ACTOR_HEALTH_CHECKER, ADR__KIND__MASTER, &master, effects);
    election_send_own (self, ADR_ACTOR_MAP_KEEPER, ADR__KIND__MASTER, &master, effects);
}

void
election_no_leader (election_t *self, adr_effects_t *effects)
{
    static const adr_id_t s_none;
    election_set_leader (self, &s_none, effects);
}

bool
election_leads (const election_t *self)
{
    return self->role == ROLE_MASTER || self->role == ROLE_HANDING_OVER;
}

void
election_say_stood_down (election_t *self, bool lease_only, adr_effects_t *effects)
{
    Adr__StoodDown down = ADR__STOOD_DOWN__INIT;
    down.term = self->led_term;
    down.lease_only = lease_only;
    election_send_own (self, ADR_ACTOR_REPLICATOR, ADR__KIND__STOOD_DOWN, &down, effects);
    election_send_own (self, ADR_ACTOR_HEALTH_CHECKER, ADR__KIND__STOOD_DOWN, &down, effects);
}

/* The only place where the role changes. A mastership that ends says so before anything of the new term is said. */
void
election_become (election_t *self, election_role_t role, uint64_t term, adr_effects_t *effects)
{
    adr_assert (s_moves[self->role] & S_TO (role));
    adr_assert (term >= self->term);
    if (role != self->role)
        adr_note (effects, ADR_LEVEL_TRACE, "%s -> %s term=%llu", s_role_name[self->role], s_role_name[role],
                  (unsigned long long) term);
    bool ends = election_leads (self) && role != ROLE_HANDING_OVER;
    if (ends)
        election_say_stood_down (self, false, effects);
    bool no_leader = ends || term > self->term;
    self->role = role;
    self->term = term;
    if (no_leader)
        election_no_leader (self, effects);
    election_wake_act (self, ADR_NEVER, effects);
    election_wake_limit (self, ADR_NEVER, effects);
}

void
election_wait_for_evidence (election_t *self, int64_t now_ns, adr_effects_t *effects)
{
    election_wake_act (self, now_ns + s_timeout (self), effects);
}

void
election_become_following (election_t *self, uint64_t term, int64_t now_ns, adr_effects_t *effects)
{
    election_become (self, ROLE_FOLLOWING, term, effects);
    election_wait_for_evidence (self, now_ns, effects);
}

/* A higher term was heard. It ends what this node is doing in its own; a call goes on in the new one. */
void
election_hear_term (election_t *self, uint64_t term, int64_t now_ns, adr_effects_t *effects)
{
    if (term <= self->term || term > TERM_MAX || self->role == ROLE_STARTING)
        return;
    if (self->role == ROLE_FOLLOWING) {
        self->term = term;
        election_no_leader (self, effects);
    } else if (self->role == ROLE_CALLING) {
        self->term = term;
        election_call_again (self, true, now_ns, effects);
    } else {
        election_become_following (self, term, now_ns, effects);
    }
}

static void
s_on_higher_term (election_t *self, const adr_event_t *event, adr_effects_t *effects)
{
    const Adr__HigherTerm *higher = (const Adr__HigherTerm *) event->message.header;
    election_hear_term (self, higher->term, event->now_ns, effects);
}

/* True, and the sender told, if its term is over. */
bool
election_is_over (const election_t *self, const adr_id_t *node, uint64_t term, adr_effects_t *effects)
{
    Adr__HigherTerm higher = ADR__HIGHER_TERM__INIT;
    if (term >= self->term)
        return false;
    higher.term = self->term;
    election_send_peer (node, ADR__KIND__HIGHER_TERM, &higher, effects);
    return true;
}

/* --- the replicator's view ------------------------------------------------------------------------------------- */

static void
s_on_first_voters (election_t *self, uint64_t fence, int64_t now_ns, adr_effects_t *effects)
{
    /* [ELECT-5] The vote alone is not enough: the fence may have been raised by an append. */
    if (fence > self->term && !ADR_PLANT (ELECT_5_TERM_FROM_VOTE_ONLY))
        self->term = fence;
    election_become_following (self, self->term, now_ns, effects);
    if (now_ns < self->silent_until_ns)
        adr_note (effects, ADR_LEVEL_NOTE, "a former life may have promised -> silent ms=%llu",
                  (unsigned long long) ((self->silent_until_ns - now_ns) / ADR_MS));
}

/* A single voter asks nobody: it need not wait for evidence. */
static void
s_hurry_if_alone (election_t *self, int64_t now_ns, adr_effects_t *effects)
{
    if (self->role != ROLE_FOLLOWING || self->voters.count != 1 || election_my_place (self, &self->voters) < 0)
        return;
    int64_t at_ns = now_ns;
    if (at_ns < self->silent_until_ns)
        at_ns = self->silent_until_ns;
    if (at_ns < self->promise.until_ns)
        at_ns = self->promise.until_ns;
    if (at_ns < self->quiet_until_ns)
        at_ns = self->quiet_until_ns;
    if (at_ns < self->act_at_ns && self->may_stand)
        election_wake_act (self, at_ns, effects);
}

static void
s_on_voters (election_t *self, const adr_event_t *event, adr_effects_t *effects)
{
    const Adr__Voters *news = (const Adr__Voters *) event->message.header;
    adr_voters_t voters;
    if (news->voters == NULL || !adr_voter_set_read (&voters, news->voters) || news->term > TERM_MAX)
        return;
    bool moved = voters.at.term != self->voters.at.term || voters.at.index != self->voters.at.index
                 || voters.count != self->voters.count;
    self->voters = voters;
    self->last = (adr_position_t){ news->last_term, news->last_index };
    self->may_stand = news->may_stand;
    self->on_reserve = news->space >= ADR_SPACE_SECOND_MARK;
    self->doubtful = news->doubtful;
    if (self->role == ROLE_STARTING)
        s_on_first_voters (self, news->term, event->now_ns, effects);
    else if (!ADR_PLANT (ELECT_5_TERM_FROM_VOTE_ONLY))
        election_hear_term (self, news->term, event->now_ns, effects);
    /* The bits of the supports belong to the places of the old set. */
    if (self->role == ROLE_CALLING && moved)
        election_call_again (self, true, event->now_ns, effects);
    if (self->role == ROLE_MASTER)
        election_check_majority (self, event->now_ns, effects);
    s_hurry_if_alone (self, event->now_ns, effects);
}

/* --- the class ------------------------------------------------------------------------------------------------- */

static void
s_read_vote (election_t *self)
{
    uint8_t value[VOTE_SIZE];
    int size = self->environment.state_get (self->environment.state, "vote", value, sizeof value);
    if (size <= 0) /* none, or an unreadable one that a former incarnation left behind */
        return;
    if (size != VOTE_SIZE) {
        self->unreadable = true;
        return;
    }
    self->vote.term = adr_get_u64 (value);
    memcpy (self->vote.candidate.bytes, value + 8, ADR_ID_SIZE);
    self->vote.incarnation = adr_get_u64 (value + 8 + ADR_ID_SIZE);
    self->vote.durable = true;
    self->term = self->vote.term;
}

static void
s_read_promise (election_t *self)
{
    uint8_t value[PROMISE_SIZE];
    int size = self->environment.state_get (self->environment.state, "promise", value, sizeof value);
    if (size == PROMISE_SIZE)
        self->promise_durable_ms = self->promise_asked_ms = adr_get_u64 (value);
    if (size > 0 && (size != PROMISE_SIZE || self->promise_durable_ms > PROMISE_MAX_MS))
        self->unreadable = true;
}

static void *
s_create (const adr_environment_t *environment)
{
    election_t *self = adr_alloc (sizeof *self);
    self->environment = *environment;
    adr_obeyed_init (&self->obeyed, environment, &self->environment.settings);
    self->environment.map = NULL; /* lent for now only */
    self->random.state = environment->seed;
    self->act_at_ns = self->limit_at_ns = ADR_NEVER;
    self->call = environment->boot << 32;
    adr_group_init (&self->group, environment);
    s_read_vote (self);
    s_read_promise (self);
    return self;
}

static void
s_destroy (void **self)
{
    free (*self);
    *self = NULL;
}

/* The silence is counted from here, later than anything that a former life did; what it ends is clear once the
 * replicator has spoken. */
static void
s_start (election_t *self, int64_t now_ns, adr_effects_t *effects)
{
    if (self->unreadable)
        effects->fatal (effects, "the stored vote or promise is not one of ours: this node must forget itself");
    self->silent_until_ns = now_ns + (int64_t) self->promise_durable_ms * ADR_MS;
}

static void
s_durable (election_t *self, const adr_event_t *event, adr_effects_t *effects)
{
    if (event->token == self->promise_token)
        election_on_promise_durable (self, effects);
    else if (event->token == self->vote.token && !self->vote.durable)
        election_on_vote_durable (self, event->now_ns, effects);
    else
        ADR_MARK ("election: a vote became durable that a newer one replaced");
}

static void
s_act (election_t *self, int64_t now_ns, adr_effects_t *effects)
{
    switch (self->role) {
    case ROLE_FOLLOWING:
        election_try_call (self, now_ns, effects);
        break;
    case ROLE_CALLING:
        election_call_again (self, false, now_ns, effects);
        break;
    case ROLE_CANDIDATE:
        election_send_requests (self, effects);
        election_wake_act (self, now_ns + election_repeat (self), effects);
        break;
    case ROLE_HANDING_OVER:
        election_send_release (self, effects);
        election_wake_act (self, now_ns + election_repeat (self), effects);
        break;
    case ROLE_STARTING:
    case ROLE_VOTING:
    case ROLE_STANDING:
    case ROLE_MASTER:
    case ROLE_COUNT:
        break;
    }
}

static void
s_limit (election_t *self, int64_t now_ns, adr_effects_t *effects)
{
    switch (self->role) {
    case ROLE_CALLING:
        /* [ELECT-2] It may be deaf, and while it calls nobody of a lower rank gets anywhere. */
        ADR_MARK ("election: a caller gave up for a while");
        election_become_following (self, self->term, now_ns, effects);
        break;
    case ROLE_CANDIDATE:
        ADR_MARK ("election: a candidate gave up");
        election_become_following (self, self->term, now_ns, effects);
        break;
    case ROLE_MASTER:
        election_check_majority (self, now_ns, effects);
        break;
    case ROLE_HANDING_OVER:
        election_fail_hand_over (self, now_ns, effects);
        break;
    case ROLE_STARTING:
    case ROLE_FOLLOWING:
    case ROLE_VOTING:
    case ROLE_STANDING:
    case ROLE_COUNT:
        break;
    }
}

/* A deadline that was moved while its event was on its way is not yet due. */
static void
s_timer (election_t *self, const adr_event_t *event, adr_effects_t *effects)
{
    if (event->timer == TIMER_ACT && event->now_ns >= self->act_at_ns) {
        self->act_at_ns = ADR_NEVER;
        s_act (self, event->now_ns, effects);
    } else if (event->timer == TIMER_LIMIT && event->now_ns >= self->limit_at_ns) {
        self->limit_at_ns = ADR_NEVER;
        s_limit (self, event->now_ns, effects);
    }
}

static void
s_on_map_changed (election_t *self, const adr_event_t *event)
{
    const Adr__ClusterMap *map = ((const Adr__MapChanged *) event->message.header)->map;
    adr_group_update (&self->group, map);
    (void) adr_obeyed_update (&self->obeyed, &self->environment.settings, map); /* [SET-2] from the next deadline on */
}

/* From the actors of this very node. */
static void
s_local_message (election_t *self, const adr_event_t *event, adr_effects_t *effects)
{
    switch (event->message.kind) {
    case ADR__KIND__VOTERS:
        s_on_voters (self, event, effects);
        break;
    case ADR__KIND__POLL_SEEN:
        election_on_poll_seen (self, event, effects);
        break;
    case ADR__KIND__PING:
        election_on_ping (self, event, effects);
        break;
    case ADR__KIND__ANSWERED:
        election_on_answered (self, event, effects);
        break;
    case ADR__KIND__FENCED:
        election_on_fenced (self, event, effects);
        break;
    case ADR__KIND__RESIGN:
        election_on_resign (self, event, effects);
        break;
    case ADR__KIND__HIGHER_TERM:
        s_on_higher_term (self, event, effects);
        break;
    default: /* kinds of a newer version */
        break;
    }
}

static void
s_peer_message (election_t *self, const adr_event_t *event, adr_effects_t *effects)
{
    switch (event->message.kind) {
    case ADR__KIND__CALL:
        election_on_call (self, event, effects);
        break;
    case ADR__KIND__SUPPORT:
        election_on_support (self, event, effects);
        break;
    case ADR__KIND__VOTE_REQUEST:
        election_on_vote_request (self, event, effects);
        break;
    case ADR__KIND__VOTE:
        election_on_vote (self, event, effects);
        break;
    case ADR__KIND__HIGHER_TERM:
        s_on_higher_term (self, event, effects);
        break;
    case ADR__KIND__STAND:
        election_on_stand (self, event, effects);
        break;
    case ADR__KIND__RELEASE:
        election_on_release (self, event, effects);
        break;
    default: /* what only actors of this node may say, and kinds of a newer version */
        break;
    }
}

static void
s_message (election_t *self, const adr_event_t *event, adr_effects_t *effects)
{
    if (event->message.kind == ADR__KIND__MAP_CHANGED) /* of this host's map_keeper, whatever node it is on */
        s_on_map_changed (self, event);
    else if (election_is_me (self, &event->message.from.node))
        s_local_message (self, event, effects);
    else if (adr_group_find (&self->group, &event->message.from.node) >= 0)
        s_peer_message (self, event, effects);
    /* else: of no node of this group, and so none of its business */
}

static void
s_receive (void *election, const adr_event_t *event, adr_effects_t *effects)
{
    election_t *self = election;
    switch (event->kind) {
    case ADR_EVENT_START:
        s_start (self, event->now_ns, effects);
        break;
    case ADR_EVENT_MESSAGE:
        s_message (self, event, effects);
        break;
    case ADR_EVENT_TIMER:
        s_timer (self, event, effects);
        break;
    case ADR_EVENT_DURABLE:
        s_durable (self, event, effects);
        break;
    case ADR_EVENT_STOP:
        election_on_stop (self, event->now_ns, effects);
        break;
    case ADR_EVENT_JOB_DONE:
    case ADR_EVENT_TURN_END:
        break;
    }
}

static void
s_check (const void *election)
{
    const election_t *self = election;
    adr_assert (self->role < ROLE_COUNT);
    adr_assert (self->vote.term <= self->term && self->led_term <= self->term);
    adr_assert (self->fence_purpose == FENCE_NONE || self->fence_term <= self->term);
    adr_assert (self->promise_durable_ms <= self->promise_asked_ms);
    adr_assert (self->promise.term <= self->term || ADR_PLANT (ELECT_3_PROMISES_TO_LOWER_TERMS));
    if (self->role == ROLE_CANDIDATE || election_leads (self)) {
        adr_assert (self->vote.term == self->term && election_is_me (self, &self->vote.candidate));
        adr_assert (self->vote.durable);
    }
    adr_assert (election_leads (self) == election_is_me (self, &self->leader));
    adr_assert (!election_leads (self) || self->led_term == self->term);
    adr_assert (!self->released || self->role != ROLE_HANDING_OVER || self->lease_given_up);
}

const adr_actor_class_t adr_election_class = {
    .kind = ADR_ACTOR_ELECTION,
    .create = s_create,
    .destroy = s_destroy,
    .receive = s_receive,
    .check = s_check,
};
