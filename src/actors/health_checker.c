/* SPDX-License-Identifier: MPL-2.0 */
/* health_checker: the master's polls every other node of its group, a member's answers, and neither decides anything.
 *
 * Owns: which rounds were sent when, and what the own replicator last said of itself. Makes durable: nothing.
 * Assumes: messages between two actors of this node arrive in order. Implements docs/protocol/health_checker.md
 * (rule ELECT-9; the carrying of ELECT-1, ELECT-8, READ-5).
 *
 * Mailbox
 *     MASTER        own election      who leads, in which term: poll, or stop polling
 *     STOOD_DOWN    own election      this term's mastership is over, or has given its lease up
 *     PONG          own election, own replicator
 *     POLL          the master's health_checker
 *     POLL_NOTED    own election      a poll may be answered, or its sender's term is too low
 *     POLL_ANSWER   a member's health_checker
 *     VOTERS        own replicator    ignored: the map says whom to poll
 *     MAP_CHANGED   own map_keeper
 * Sends
 *     PING to own election and replicator; POLL, POLL_ANSWER to health_checkers; POLL_SEEN to own election; EVIDENCE
 *     to own replicator; ANSWERED to own election and replicator; HIGHER_TERM to a peer's election.
 *
 *                   MASTER: me                         STOOD_DOWN { lease_only }
 *     answering ─────────────────▶ polling for promises ─────────────────▶ polling for health
 *         ▲                               │                                       │
 *         └────── STOOD_DOWN, MASTER: anybody else or a higher term ◀─────────────┘ */

#include "core/actor.h"
#include "core/map.h"
#include "core/node_state.h"

#include "actors/group.h"
#include "actors/obeyed.h"
#include "wire/pack.h"

#include <stdlib.h>
#include <string.h>

/* Answers to older rounds are dropped: 64 rounds are 6 s at the default interval, and a lease lives far shorter. */
#define S_ROUNDS 64
/* A master that hands over waits for one position, while nobody can write: it asks this often. */
#define S_HAND_OVER_NS (5 * ADR_MS)

enum { S_TIMER_TICK = 1 };

typedef enum { S_ANSWERING, S_POLLING_FOR_PROMISES, S_POLLING_FOR_HEALTH, S_ROLE_COUNT } s_role_t;

static const char *const s_role_name[S_ROLE_COUNT] = { "answering", "polling for promises", "polling for health" };

/* From a role to the roles that may follow. */
static const unsigned s_moves[S_ROLE_COUNT] = {
    [S_ANSWERING] = 1u << S_POLLING_FOR_PROMISES,
    [S_POLLING_FOR_PROMISES] = 1u << S_ANSWERING | 1u << S_POLLING_FOR_HEALTH,
    [S_POLLING_FOR_HEALTH] = 1u << S_ANSWERING,
};

/* A round that this mastership sent. */
typedef struct {
    uint64_t number; /* 0: none */
    int64_t sent_ns;
    uint32_t promise_ms;
} s_round_t;

/* What is known of one other node of the group. */
typedef struct {
    adr_id_t node;
    bool waiting;        /* `poll` waits for POLL_NOTED */
    Adr__Evidence poll;  /* of its newest poll, ready to be passed on; its master field is filled in then */
    uint64_t poll_round; /* of that poll, with its clock reading and promise, to be echoed */
    int64_t poll_sent_ns;
    bool poll_handing_over;
    bool answer_due;         /* that poll waits for the replicator's next PONG */
    uint64_t answered_round; /* newest round of this mastership that it answered; 0: none */
    uint64_t boot;           /* of its newest answer; its stamps are of that life */
    int64_t stamp_ns;        /* stamp of its newest answer, on its own clock; 0: none */
} s_peer_t;

typedef struct {
    adr_environment_t environment; /* its settings are those that are obeyed now */
    adr_obeyed_t obeyed;
    adr_group_t group;
    s_peer_t peer[ADR_GROUP_NODES_MAX]; /* in the order of group.node */
    s_role_t role;
    uint64_t term;       /* while polling: of this mastership; else of the newest MASTER */
    uint64_t ended_term; /* masterships of this and lower terms are over for good */
    int64_t started_ns;  /* stamps before this are of a former life */
    int64_t tick_ns;     /* when the next ping is due */

    uint64_t ping;            /* number of the newest ping */
    int64_t ping_sent_ns;
    uint64_t ping_polled;     /* newest ping when the last round left: older pongs do not let another leave */
    uint64_t election_pong;   /* newest ping that election answered */
    uint64_t replicator_pong; /* newest ping that the replicator answered; 0: none yet */

    int64_t pong_ns; /* when the replicator's newest PONG came, and what it said */
    Adr__Pong pong;  /* without its unlock set */
    uint32_t unlock_count;
    adr_id_t unlock[ADR_VOTERS_MAX * 2];

    uint64_t round; /* of the last round that left */
    s_round_t rounds[S_ROUNDS];
} s_health_checker_t;

static const adr_bytes_t s_no_payload;

static void
s_send (const adr_id_t *node, adr_actor_kind_t actor, uint16_t kind, const void *header, adr_effects_t *effects)
{
    effects->send (effects, (adr_address_t){ *node, actor }, kind, header, s_no_payload);
}

static void
s_send_own (const s_health_checker_t *self, adr_actor_kind_t actor, uint16_t kind, const void *header,
            adr_effects_t *effects)
{
    s_send (&self->environment.node, actor, kind, header, effects);
}

static void
s_become (s_health_checker_t *self, s_role_t role, adr_effects_t *effects)
{
    adr_assert (s_moves[self->role] & 1u << role);
    adr_note (effects, ADR_LEVEL_TRACE, "%s -> %s term=%llu", s_role_name[self->role], s_role_name[role],
              (unsigned long long) self->term);
    self->role = role;
}

/* --- pings and rounds ------------------------------------------------------------------------------------------ */

static void
s_ping (s_health_checker_t *self, int64_t now_ns, adr_effects_t *effects)
{
    Adr__Ping ping = ADR__PING__INIT;
    ping.number = ++self->ping;
    self->ping_sent_ns = now_ns;
    s_send_own (self, ADR_ACTOR_ELECTION, ADR__KIND__PING, &ping, effects);
    s_send_own (self, ADR_ACTOR_REPLICATOR, ADR__KIND__PING, &ping, effects);
}

/* At most one ping is unanswered for a minimum election timeout. */
static void
s_ping_if_answered (s_health_checker_t *self, int64_t now_ns, adr_effects_t *effects)
{
    bool answered = self->election_pong == self->ping && self->replicator_pong == self->ping;
    if (answered || now_ns - self->ping_sent_ns >= self->environment.settings.election_min_ns)
        s_ping (self, now_ns, effects);
}

static void
s_tick (s_health_checker_t *self, int64_t now_ns, adr_effects_t *effects)
{
    int64_t every_ns = self->role == S_POLLING_FOR_HEALTH ? S_HAND_OVER_NS : self->environment.settings.poll_ns;
    s_ping_if_answered (self, now_ns, effects);
    self->tick_ns += every_ns;
    if (self->tick_ns <= now_ns || self->tick_ns > now_ns + every_ns)
        self->tick_ns = now_ns + every_ns;
    effects->wake (effects, S_TIMER_TICK, self->tick_ns);
}

static bool
s_in_unlock_set (const s_health_checker_t *self, const adr_id_t *node)
{
    for (uint32_t i = 0; i < self->unlock_count; i++)
        if (adr_id_equal (&self->unlock[i], node))
            return true;
    return false;
}

static void
s_send_round (s_health_checker_t *self, int64_t now_ns, adr_effects_t *effects)
{
    Adr__Poll poll = ADR__POLL__INIT;
    bool handing_over = self->role == S_POLLING_FOR_HEALTH;
    poll.term = self->term;
    poll.round = ++self->round;
    poll.sent_ns = now_ns;
    poll.promise_ms = handing_over ? 0 : (uint32_t) (self->environment.settings.election_min_ns / ADR_MS);
    poll.handing_over = handing_over;
    poll.commit = self->pong.commit;
    poll.unlocked_known = self->pong.unlocked_known;
    poll.unlocked = self->pong.unlocked;
    poll.keep_from = self->pong.keep_least;
    self->rounds[self->round % S_ROUNDS] = (s_round_t){ self->round, now_ns, poll.promise_ms };
    self->ping_polled = self->ping;
    for (uint32_t i = 0; i < self->group.count; i++) {
        poll.in_unlock_set = s_in_unlock_set (self, &self->group.node[i]);
        poll.echo_ns = self->peer[i].stamp_ns;
        s_send (&self->group.node[i], ADR_ACTOR_HEALTH_CHECKER, ADR__KIND__POLL, &poll, effects);
    }
}

/* [ELECT-9] A round leaves only when both have answered a ping that is younger than the last round. */
static void
s_try_round (s_health_checker_t *self, int64_t now_ns, adr_effects_t *effects)
{
    if (self->role == S_ANSWERING)
        return;
    bool alive = self->election_pong > self->ping_polled && self->replicator_pong > self->ping_polled;
    if (ADR_PLANT (ELECT_9_POLL_WITHOUT_PONG))
        alive = self->replicator_pong > 0;
    if (alive)
        s_send_round (self, now_ns, effects);
}

/* What the replicator said last, or what it means that it says nothing any more. */
static adr_node_state_t
s_own_state (const s_health_checker_t *self, int64_t now_ns)
{
    adr_node_state_trigger_t trigger;
    adr_node_state_facts_t facts = { .silent = true };
    if (now_ns - self->pong_ns < self->environment.settings.election_min_ns)
        return self->pong.state;
    return adr_node_state_next (self->pong.state, &facts, &trigger);
}

static void
s_answer_poll (s_health_checker_t *self, s_peer_t *peer, uint32_t promised_ms, int64_t now_ns, adr_effects_t *effects)
{
    Adr__PollAnswer answer = ADR__POLL_ANSWER__INIT;
    if (self->replicator_pong == 0)
        return;
    answer.term = peer->poll.term;
    answer.round = peer->poll_round;
    answer.sent_ns = peer->poll_sent_ns;
    answer.promise_ms = promised_ms;
    answer.incarnation = self->environment.incarnation;
    answer.boot = self->environment.boot;
    answer.state = s_own_state (self, now_ns);
    answer.last_term = self->pong.last_term;
    answer.last_index = self->pong.last_index;
    answer.applied = self->pong.applied;
    answer.disk_free_permille = self->pong.disk_free_permille;
    answer.space = self->pong.space;
    answer.keep_from = self->pong.keep_from;
    ADR_PROGRESS_COPY (&answer, &self->pong);
    answer.stamp_ns = now_ns;
    s_send (&peer->node, ADR_ACTOR_HEALTH_CHECKER, ADR__KIND__POLL_ANSWER, &answer, effects);
}

/* Polls of a master that hands over ask where this node's log ends now. */
static void
s_answer_what_is_due (s_health_checker_t *self, int64_t now_ns, adr_effects_t *effects)
{
    for (uint32_t i = 0; i < self->group.count; i++)
        if (self->peer[i].answer_due) {
            self->peer[i].answer_due = false;
            s_answer_poll (self, &self->peer[i], 0, now_ns, effects);
        }
}

static void
s_note_pong (s_health_checker_t *self, const Adr__Pong *pong, int64_t now_ns)
{
    self->replicator_pong = pong->number;
    self->pong_ns = now_ns;
    self->pong = *pong;
    self->pong.n_unlock_set = 0;
    self->pong.unlock_set = NULL;
    self->pong.base.unknown_fields = NULL;
    self->pong.base.n_unknown_fields = 0;
    self->unlock_count = 0;
    for (size_t i = 0; i < pong->n_unlock_set && self->unlock_count < ADR_VOTERS_MAX * 2; i++)
        self->unlock[self->unlock_count++] = adr_id_of (pong->unlock_set[i]);
}

static void
s_on_pong (s_health_checker_t *self, const adr_event_t *event, adr_effects_t *effects)
{
    const Adr__Pong *pong = (const Adr__Pong *) event->message.header;
    if (pong->number > self->ping)
        return;
    if (event->message.from.actor == ADR_ACTOR_ELECTION) {
        self->election_pong = pong->number;
    } else {
        s_note_pong (self, pong, event->now_ns);
        s_answer_what_is_due (self, event->now_ns, effects);
    }
    s_try_round (self, event->now_ns, effects);
}

/* --- who leads ------------------------------------------------------------------------------------------------- */

static void
s_become_answering (s_health_checker_t *self, adr_effects_t *effects)
{
    self->ended_term = self->term;
    s_become (self, S_ANSWERING, effects);
}

static void
s_become_polling (s_health_checker_t *self, int64_t now_ns, adr_effects_t *effects)
{
    s_become (self, S_POLLING_FOR_PROMISES, effects);
    memset (self->rounds, 0, sizeof self->rounds);
    self->round = 0;
    for (uint32_t i = 0; i < self->group.count; i++)
        self->peer[i].answered_round = 0;
    /* The first round leaves at once, not at the next tick: the members wait for it. */
    self->ping_polled = self->ping;
    s_ping (self, now_ns, effects);
}

static void
s_on_master (s_health_checker_t *self, const adr_event_t *event, adr_effects_t *effects)
{
    const Adr__Master *master = (const Adr__Master *) event->message.header;
    adr_id_t node = adr_id_of (master->master);
    bool me = adr_id_equal (&node, &self->environment.node);
    if (master->term < self->term)
        return;
    if (self->role != S_ANSWERING && (!me || master->term > self->term))
        s_become_answering (self, effects);
    self->term = master->term;
    if (me && self->role == S_ANSWERING && self->term > self->ended_term)
        s_become_polling (self, event->now_ns, effects);
}

static void
s_on_stood_down (s_health_checker_t *self, const adr_event_t *event, adr_effects_t *effects)
{
    const Adr__StoodDown *down = (const Adr__StoodDown *) event->message.header;
    if (self->role == S_ANSWERING || down->term != self->term)
        return;
    if (!down->lease_only)
        s_become_answering (self, effects);
    else if (self->role == S_POLLING_FOR_PROMISES) {
        s_become (self, S_POLLING_FOR_HEALTH, effects);
        s_tick (self, event->now_ns, effects);
    }
}

/* --- the member's half ----------------------------------------------------------------------------------------- */

static void
s_send_evidence (s_health_checker_t *self, s_peer_t *peer, adr_effects_t *effects)
{
    Adr__Evidence evidence = peer->poll;
    evidence.master = adr_id_view (&peer->node);
    s_send_own (self, ADR_ACTOR_REPLICATOR, ADR__KIND__EVIDENCE, &evidence, effects);
}

static void
s_on_poll (s_health_checker_t *self, const adr_event_t *event, adr_effects_t *effects)
{
    const Adr__Poll *poll = (const Adr__Poll *) event->message.header;
    int at = adr_group_find (&self->group, &event->message.from.node);
    if (at < 0)
        return;
    s_peer_t *peer = &self->peer[at];
    peer->waiting = true;
    adr__evidence__init (&peer->poll);
    peer->poll.term = poll->term;
    peer->poll.commit = poll->commit;
    peer->poll.unlocked_known = poll->unlocked_known;
    peer->poll.unlocked = poll->unlocked;
    peer->poll.in_unlock_set = poll->in_unlock_set;
    peer->poll.keep_from = poll->keep_from;
    if (poll->echo_ns >= self->started_ns && poll->echo_ns <= event->now_ns)
        peer->poll.since_ns = poll->echo_ns;
    peer->poll_round = poll->round;
    peer->poll_sent_ns = poll->sent_ns;
    peer->poll_handing_over = poll->handing_over || poll->promise_ms == 0;
    peer->answer_due = false;

    Adr__PollSeen seen = ADR__POLL_SEEN__INIT;
    seen.term = poll->term;
    seen.round = poll->round;
    seen.master = adr_id_view (&peer->node);
    seen.promise_ms = poll->promise_ms;
    /* The answer waits for POLL_NOTED: the promise must be noted before the master may count on it (ELECT-1). */
    if (ADR_PLANT (ELECT_1_ANSWER_FIRST))
        s_answer_poll (self, peer, poll->promise_ms, event->now_ns, effects);
    s_send_own (self, ADR_ACTOR_ELECTION, ADR__KIND__POLL_SEEN, &seen, effects);
}

static void
s_on_poll_noted (s_health_checker_t *self, const adr_event_t *event, adr_effects_t *effects)
{
    const Adr__PollNoted *noted = (const Adr__PollNoted *) event->message.header;
    adr_id_t master = adr_id_of (noted->master);
    int at = adr_group_find (&self->group, &master);
    if (at < 0)
        return;
    s_peer_t *peer = &self->peer[at];
    if (!noted->accepted) {
        Adr__HigherTerm higher = ADR__HIGHER_TERM__INIT;
        higher.term = noted->term;
        if (peer->waiting && noted->round == peer->poll_round && noted->term > peer->poll.term) {
            peer->waiting = false;
            s_send (&peer->node, ADR_ACTOR_ELECTION, ADR__KIND__HIGHER_TERM, &higher, effects);
        }
        return;
    }
    /* Overtaken by a newer poll, whose own note is to come. */
    if (!peer->waiting || noted->term != peer->poll.term || noted->round != peer->poll_round)
        return;
    peer->waiting = false;
    if (peer->poll_handing_over) {
        peer->answer_due = true;
        s_ping_if_answered (self, event->now_ns, effects);
        return;
    }
    s_send_evidence (self, peer, effects);
    if (!ADR_PLANT (ELECT_1_ANSWER_FIRST))
        s_answer_poll (self, peer, noted->promised_ms, event->now_ns, effects);
}

/* --- the master's half ----------------------------------------------------------------------------------------- */

/* Does the answer belong to a round of this mastership, and say something new? */
static bool
s_answer_counts (const s_health_checker_t *self, const s_peer_t *peer, const Adr__PollAnswer *answer)
{
    const s_round_t *round = &self->rounds[answer->round % S_ROUNDS];
    return self->role != S_ANSWERING && answer->term == self->term && answer->round != 0
           && round->number == answer->round && round->sent_ns == answer->sent_ns
           && answer->promise_ms <= round->promise_ms && answer->round > peer->answered_round
           && answer->state < ADR_STATE_COUNT;
}

static void
s_on_poll_answer (s_health_checker_t *self, const adr_event_t *event, adr_effects_t *effects)
{
    const Adr__PollAnswer *answer = (const Adr__PollAnswer *) event->message.header;
    int at = adr_group_find (&self->group, &event->message.from.node);
    if (at < 0 || !s_answer_counts (self, &self->peer[at], answer)) {
        ADR_MARK ("health_checker: an answer that does not count");
        return;
    }
    s_peer_t *peer = &self->peer[at];
    peer->answered_round = answer->round;
    peer->boot = answer->boot;
    peer->stamp_ns = answer->stamp_ns;

    Adr__Answered answered = ADR__ANSWERED__INIT;
    answered.term = answer->term;
    answered.voter = adr_id_view (&peer->node);
    answered.incarnation = answer->incarnation;
    answered.boot = answer->boot;
    answered.sent_ns = answer->sent_ns;
    answered.promise_ms = answer->promise_ms;
    answered.state = answer->state;
    answered.space = answer->space;
    answered.last_term = answer->last_term;
    answered.last_index = answer->last_index;
    answered.applied = answer->applied;
    answered.keep_from = answer->keep_from;
    ADR_PROGRESS_COPY (&answered, answer);
    s_send_own (self, ADR_ACTOR_ELECTION, ADR__KIND__ANSWERED, &answered, effects);
    s_send_own (self, ADR_ACTOR_REPLICATOR, ADR__KIND__ANSWERED, &answered, effects);
}

/* --- the group ------------------------------------------------------------------------------------------------- */

static void
s_name_peers (s_health_checker_t *self)
{
    for (uint32_t i = 0; i < self->group.count; i++) {
        memset (&self->peer[i], 0, sizeof self->peer[i]);
        self->peer[i].node = self->group.node[i];
    }
}

static void
s_on_map_changed (s_health_checker_t *self, const adr_event_t *event, adr_effects_t *effects)
{
    const Adr__ClusterMap *map = ((const Adr__MapChanged *) event->message.header)->map;
    s_peer_t old[ADR_GROUP_NODES_MAX];
    adr_group_t old_group = self->group;
    memcpy (old, self->peer, sizeof old);
    adr_group_update (&self->group, map);
    s_name_peers (self);
    for (uint32_t i = 0; i < self->group.count; i++) {
        int at = adr_group_find (&old_group, &self->group.node[i]);
        if (at >= 0)
            self->peer[i] = old[at];
    }
    /* [SET-2] A shorter election timeout must not wait for the next of the polls that were rare. */
    if (adr_obeyed_update (&self->obeyed, &self->environment.settings, map)
        && self->tick_ns > event->now_ns + self->environment.settings.poll_ns) {
        self->tick_ns = event->now_ns + self->environment.settings.poll_ns;
        effects->wake (effects, S_TIMER_TICK, self->tick_ns);
    }
}

/* --- the class ------------------------------------------------------------------------------------------------- */

static void *
s_create (const adr_environment_t *environment)
{
    s_health_checker_t *self = adr_alloc (sizeof *self);
    self->environment = *environment;
    adr_obeyed_init (&self->obeyed, environment, &self->environment.settings);
    self->environment.map = NULL; /* lent for now only */
    adr__pong__init (&self->pong);
    adr_group_init (&self->group, environment);
    s_name_peers (self);
    return self;
}

static void
s_destroy (void **self)
{
    free (*self);
    *self = NULL;
}

static void
s_start (s_health_checker_t *self, int64_t now_ns, adr_effects_t *effects)
{
    self->started_ns = now_ns;
    self->tick_ns = now_ns;
    s_tick (self, now_ns, effects);
}

static void
s_message (s_health_checker_t *self, const adr_event_t *event, adr_effects_t *effects)
{
    switch (event->message.kind) {
    case ADR__KIND__MASTER:
        s_on_master (self, event, effects);
        break;
    case ADR__KIND__STOOD_DOWN:
        s_on_stood_down (self, event, effects);
        break;
    case ADR__KIND__PONG:
        s_on_pong (self, event, effects);
        break;
    case ADR__KIND__POLL:
        s_on_poll (self, event, effects);
        break;
    case ADR__KIND__POLL_NOTED:
        s_on_poll_noted (self, event, effects);
        break;
    case ADR__KIND__POLL_ANSWER:
        s_on_poll_answer (self, event, effects);
        break;
    case ADR__KIND__MAP_CHANGED:
        s_on_map_changed (self, event, effects);
        break;
    default: /* VOTERS, and kinds of a newer version */
        break;
    }
}

static void
s_receive (void *health_checker, const adr_event_t *event, adr_effects_t *effects)
{
    s_health_checker_t *self = health_checker;
    switch (event->kind) {
    case ADR_EVENT_START:
        s_start (self, event->now_ns, effects);
        break;
    case ADR_EVENT_MESSAGE:
        s_message (self, event, effects);
        break;
    case ADR_EVENT_TIMER:
        if (event->now_ns >= self->tick_ns)
            s_tick (self, event->now_ns, effects);
        break;
    case ADR_EVENT_DURABLE:
    case ADR_EVENT_JOB_DONE:
    case ADR_EVENT_TURN_END:
    case ADR_EVENT_STOP: /* election hands over, and says so */
        break;
    }
}

static void
s_check (const void *health_checker)
{
    const s_health_checker_t *self = health_checker;
    adr_assert (self->role < S_ROLE_COUNT);
    adr_assert (self->group.count <= ADR_GROUP_NODES_MAX);
    adr_assert (self->election_pong <= self->ping && self->replicator_pong <= self->ping);
    adr_assert (self->ping_polled <= self->ping);
    adr_assert (self->role == S_ANSWERING || self->term > self->ended_term);
    for (uint32_t i = 0; i < self->group.count; i++) {
        adr_assert (adr_id_equal (&self->peer[i].node, &self->group.node[i]));
        adr_assert (self->peer[i].answered_round <= self->round);
    }
}

const adr_actor_class_t adr_health_checker_class = {
    .kind = ADR_ACTOR_HEALTH_CHECKER,
    .create = s_create,
    .destroy = s_destroy,
    .receive = s_receive,
    .check = s_check,
};
