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
 * A poll or HIGHER_TERM leads back to following from everywhere; s_moves has every move.
 *
 * The file is long because the rules of one vote belong under one roof; it reads in the order of an election: terms
 * and roles, promises, calls, votes, mastership, hand-over, the mailbox. */

#include "core/actor.h"

#include "actors/group.h"
#include "core/bytes.h"
#include "core/entry.h"
#include "store/store.h"
#include "wire/pack.h"

#include <stdlib.h>
#include <string.h>

/* No message may bring the term near its end: an honest cluster takes one a second for ages without coming here. */
#define S_TERM_MAX (UINT64_C (1) << 62)
/* A longer promise would be a way to silence a group for good; the configuration allows no such timeout. */
#define S_PROMISE_MAX_MS 60000
/* [ELECT-2] Calls, vote requests and hand-over messages are repeated after a random time between these. */
#define S_REPEAT_MIN_NS (60 * ADR_MS)
#define S_REPEAT_MAX_NS (250 * ADR_MS)
/* [ELECT-2] Who supported a call gives the caller this long before it stands itself. */
#define S_SUPPORTED_PAUSE_NS (150 * ADR_MS)

#define S_VOTE_SIZE (8 + ADR_ID_SIZE + 8 + 8) /* term, candidate, its incarnation, this node's incarnation */
#define S_PROMISE_SIZE 8

/* One timer for what is done again and again in a role, one for the role's end. */
enum { S_TIMER_ACT = 1, S_TIMER_LIMIT = 2 };

typedef enum {
    S_STARTING,  /* knows neither fence nor voters: says nothing */
    S_FOLLOWING, /* obeys a master, or waits until it may call */
    S_CALLING,   /* asks the others whether they lack evidence, too */
    S_VOTING,    /* fences for another candidate, or its vote becomes durable */
    S_STANDING,  /* fences for itself, or its own vote becomes durable */
    S_CANDIDATE, /* asks for votes */
    S_MASTER,
    S_HANDING_OVER, /* still master, without lease */
    S_ROLE_COUNT
} s_role_t;

static const char *const s_role_name[S_ROLE_COUNT]
    = { "starting", "following", "calling", "voting", "standing", "candidate", "master", "handing over" };

/* From a role to the roles that may follow. */
#define S_TO(role) (1u << (role))
static const unsigned s_moves[S_ROLE_COUNT] = {
    [S_STARTING] = S_TO (S_FOLLOWING),
    [S_FOLLOWING] = S_TO (S_FOLLOWING) | S_TO (S_CALLING) | S_TO (S_VOTING) | S_TO (S_STANDING),
    [S_CALLING] = S_TO (S_FOLLOWING) | S_TO (S_VOTING) | S_TO (S_STANDING),
    [S_VOTING] = S_TO (S_FOLLOWING) | S_TO (S_VOTING),
    [S_STANDING] = S_TO (S_FOLLOWING) | S_TO (S_VOTING) | S_TO (S_CANDIDATE),
    [S_CANDIDATE] = S_TO (S_FOLLOWING) | S_TO (S_VOTING) | S_TO (S_MASTER),
    [S_MASTER] = S_TO (S_FOLLOWING) | S_TO (S_HANDING_OVER),
    [S_HANDING_OVER] = S_TO (S_FOLLOWING) | S_TO (S_VOTING),
};

/* Why the replicator was asked for a fence. */
typedef enum { S_FENCE_NONE, S_FENCE_TO_VOTE, S_FENCE_TO_STAND, S_FENCE_TO_HAND_OVER } s_fence_purpose_t;

/* Neither support nor vote for anybody but `master` before `until_ns` [ELECT-1]. */
typedef struct {
    uint64_t term;
    adr_id_t master;
    int64_t until_ns;
    adr_id_t lifted_for; /* the successor that the master named; none */
} s_promise_t;

/* What one voter last answered to this mastership's polls. */
typedef struct {
    adr_voter_t voter;
    int64_t sent_ns; /* when the poll was sent that it answered */
    adr_position_t last;
    uint32_t state, space;
} s_answer_t;

typedef struct {
    adr_environment_t environment;
    adr_group_t group;
    adr_random_t random;
    s_role_t role;
    int64_t act_at_ns, limit_at_ns; /* deadlines of the two timers, or ADR_NEVER */

    uint64_t term; /* highest that this election fenced, followed or heard; never falls */
    struct {
        uint64_t term; /* 0: never voted */
        adr_id_t candidate;
        uint64_t incarnation;
        uint64_t token; /* of its persist; 0 for one read at the start */
        bool durable;
    } vote;
    s_promise_t promise;
    uint64_t promise_durable_ms; /* longest on disk */
    uint64_t promise_asked_ms;   /* longest that was given to persist */
    uint64_t promise_token;      /* of the persist in flight; 0: none */
    struct {                     /* the poll whose answer waits for the promise to be durable */
        bool waiting;
        uint64_t term, round;
        uint32_t promise_ms;
        adr_id_t master;
    } held;
    uint64_t token; /* the newest given to persist */
    bool unreadable; /* what was stored is not ours: refused at the start */
    int64_t silent_until_ns; /* [ELECT-1] a former life may have promised until then */
    int64_t quiet_until_ns;  /* [ELECT-9] a resigned master does not call before */
    bool stopping;           /* STOP came: leads no more */

    adr_id_t leader; /* of `term`, as far as known; none */

    /* As the newest VOTERS says. */
    adr_voters_t voters;
    adr_position_t last;
    bool may_stand, on_reserve;

    /* calling */
    uint64_t call;     /* number of the present call; counts from boot << 32 */
    uint32_t supports; /* bits of voters that support it */
    int64_t stand_after_ns;

    /* supporting: a caller that is supported again and again and never asks for a vote does not hear */
    struct {
        int64_t supported_since_ns; /* 0: not since there was a master */
        int64_t ignored_until_ns;
    } caller[ADR_GROUP_NODES_MAX]; /* in the order of group.node */

    /* voting, standing, candidate: what the vote is about */
    s_fence_purpose_t fence_purpose; /* one fence in flight */
    uint64_t fence_term;
    adr_voter_t candidate;
    adr_position_t candidate_last;
    adr_voters_t electors; /* a candidate's own: those that came with its FENCED */
    uint32_t votes;        /* bits of `electors` that granted */

    /* master, handing over */
    uint64_t led_term; /* newest term that this node led; final when it ends */
    int64_t led_since_ns;
    uint32_t answer_count;
    s_answer_t answer[ADR_GROUP_NODES_MAX];
    adr_id_t successor;      /* none: not chosen yet */
    bool successor_named;    /* by RESIGN */
    bool lease_given_up;     /* FENCED of the own term came: the replicator is past STOOD_DOWN [ELECT-8] */
    bool released;           /* RELEASE and STAND left: the own promise is lifted, too */
    adr_position_t hand_over_last;
    int64_t quiet_after_ns;  /* silence that RESIGN asked for, should nobody take over */
} s_election_t;

static const adr_bytes_t s_no_payload;

static void
s_send (const adr_id_t *node, adr_actor_kind_t actor, uint16_t kind, const void *header, adr_effects_t *effects)
{
    effects->send (effects, (adr_address_t){ *node, actor }, kind, header, s_no_payload);
}

static void
s_send_own (const s_election_t *self, adr_actor_kind_t actor, uint16_t kind, const void *header,
            adr_effects_t *effects)
{
    s_send (&self->environment.node, actor, kind, header, effects);
}

static void
s_send_peer (const adr_id_t *node, uint16_t kind, const void *header, adr_effects_t *effects)
{
    s_send (node, ADR_ACTOR_ELECTION, kind, header, effects);
}

static bool
s_is_me (const s_election_t *self, const adr_id_t *node)
{
    return adr_id_equal (node, &self->environment.node);
}

/* The place of this very life of this node in a voter set, or -1. */
static int
s_my_place (const s_election_t *self, const adr_voters_t *voters)
{
    return adr_voters_find (voters, &self->environment.node, self->environment.incarnation);
}

static int64_t
s_timeout (s_election_t *self)
{
    const adr_settings_t *settings = &self->environment.settings;
    int64_t timeout = adr_random_between (&self->random, settings->election_min_ns, settings->election_max_ns);
    /* [ELECT-11] A voter on its reserve leaves the call to those that have space. */
    return self->on_reserve ? 2 * timeout : timeout;
}

static int64_t
s_repeat (s_election_t *self)
{
    return adr_random_between (&self->random, S_REPEAT_MIN_NS, S_REPEAT_MAX_NS);
}

static void
s_wake_act (s_election_t *self, int64_t at_ns, adr_effects_t *effects)
{
    self->act_at_ns = at_ns;
    effects->wake (effects, S_TIMER_ACT, at_ns);
}

static void
s_wake_limit (s_election_t *self, int64_t at_ns, adr_effects_t *effects)
{
    self->limit_at_ns = at_ns;
    effects->wake (effects, S_TIMER_LIMIT, at_ns);
}

/* --- terms and roles ------------------------------------------------------------------------------------------- */

/* Tells everybody on this node who leads, if that is news. */
static void
s_set_leader (s_election_t *self, const adr_id_t *leader, adr_effects_t *effects)
{
    Adr__Master master = ADR__MASTER__INIT;
    if (adr_id_equal (leader, &self->leader))
        return;
    self->leader = *leader;
    int at = adr_voters_find_node (&self->voters, leader);
    master.term = self->term;
    if (!adr_id_is_none (leader))
        master.master = adr_id_view (&self->leader);
    if (s_is_me (self, leader))
        master.incarnation = self->environment.incarnation;
    else if (at >= 0)
        master.incarnation = self->voters.voter[at].incarnation;
    s_send_own (self, ADR_ACTOR_REPLICATOR, ADR__KIND__MASTER, &master, effects);
    s_send_own (self, ADR_ACTOR_HEALTH_CHECKER, ADR__KIND__MASTER, &master, effects);
    s_send_own (self, ADR_ACTOR_MAP_KEEPER, ADR__KIND__MASTER, &master, effects);
}

static void
s_no_leader (s_election_t *self, adr_effects_t *effects)
{
    static const adr_id_t s_none;
    s_set_leader (self, &s_none, effects);
}

static bool
s_leads (const s_election_t *self)
{
    return self->role == S_MASTER || self->role == S_HANDING_OVER;
}

static void
s_say_stood_down (s_election_t *self, bool lease_only, adr_effects_t *effects)
{
    Adr__StoodDown down = ADR__STOOD_DOWN__INIT;
    down.term = self->led_term;
    down.lease_only = lease_only;
    s_send_own (self, ADR_ACTOR_REPLICATOR, ADR__KIND__STOOD_DOWN, &down, effects);
    s_send_own (self, ADR_ACTOR_HEALTH_CHECKER, ADR__KIND__STOOD_DOWN, &down, effects);
}

/* The only place where the role changes. A mastership that ends says so before anything of the new term is said. */
static void
s_become (s_election_t *self, s_role_t role, uint64_t term, adr_effects_t *effects)
{
    adr_assert (s_moves[self->role] & S_TO (role));
    adr_assert (term >= self->term);
    if (role != self->role)
        adr_note (effects, ADR_LEVEL_TRACE, "%s -> %s term=%llu", s_role_name[self->role], s_role_name[role],
                  (unsigned long long) term);
    bool ends = s_leads (self) && role != S_HANDING_OVER;
    if (ends)
        s_say_stood_down (self, false, effects);
    bool no_leader = ends || term > self->term;
    self->role = role;
    self->term = term;
    if (no_leader)
        s_no_leader (self, effects);
    s_wake_act (self, ADR_NEVER, effects);
    s_wake_limit (self, ADR_NEVER, effects);
}

static void
s_wait_for_evidence (s_election_t *self, int64_t now_ns, adr_effects_t *effects)
{
    s_wake_act (self, now_ns + s_timeout (self), effects);
}

static void
s_become_following (s_election_t *self, uint64_t term, int64_t now_ns, adr_effects_t *effects)
{
    s_become (self, S_FOLLOWING, term, effects);
    s_wait_for_evidence (self, now_ns, effects);
}

static void s_call_again (s_election_t *self, bool new_number, int64_t now_ns, adr_effects_t *effects);

/* A higher term was heard. It ends what this node is doing in its own; a call goes on in the new one. */
static void
s_hear_term (s_election_t *self, uint64_t term, int64_t now_ns, adr_effects_t *effects)
{
    if (term <= self->term || term > S_TERM_MAX || self->role == S_STARTING)
        return;
    if (self->role == S_FOLLOWING) {
        self->term = term;
        s_no_leader (self, effects);
    } else if (self->role == S_CALLING) {
        self->term = term;
        s_call_again (self, true, now_ns, effects);
    } else {
        s_become_following (self, term, now_ns, effects);
    }
}

static void
s_on_higher_term (s_election_t *self, const adr_event_t *event, adr_effects_t *effects)
{
    const Adr__HigherTerm *higher = (const Adr__HigherTerm *) event->message.header;
    s_hear_term (self, higher->term, event->now_ns, effects);
}

/* True, and the sender told, if its term is over. */
static bool
s_is_over (const s_election_t *self, const adr_id_t *node, uint64_t term, adr_effects_t *effects)
{
    Adr__HigherTerm higher = ADR__HIGHER_TERM__INIT;
    if (term >= self->term)
        return false;
    higher.term = self->term;
    s_send_peer (node, ADR__KIND__HIGHER_TERM, &higher, effects);
    return true;
}

/* --- promises -------------------------------------------------------------------------------------------------- */

/* Is this node promised to somebody other than `candidate` [ELECT-1]? A master is promised to itself as long as it
 * leads [ELECT-3], but for the successor that it named to all [ELECT-8]. */
static bool
s_is_bound (const s_election_t *self, const adr_id_t *candidate, int64_t now_ns)
{
    const s_promise_t *promise = &self->promise;
    if (s_leads (self))
        return !(self->released && adr_id_equal (candidate, &self->successor));
    return promise->until_ns > now_ns && !adr_id_equal (candidate, &promise->master)
           && !adr_id_equal (candidate, &promise->lifted_for);
}

static bool
s_is_silent (const s_election_t *self, int64_t now_ns)
{
    if (ADR_PLANT (ELECT_1_NO_SILENCE))
        return self->role == S_STARTING;
    return self->role == S_STARTING || now_ns < self->silent_until_ns;
}

static void
s_note_poll (const s_election_t *self, uint64_t term, uint64_t round, const adr_id_t *master, uint32_t promised_ms,
             bool accepted, adr_effects_t *effects)
{
    Adr__PollNoted noted = ADR__POLL_NOTED__INIT;
    noted.term = term;
    noted.round = round;
    noted.master = adr_id_view (master);
    noted.promised_ms = promised_ms;
    noted.accepted = accepted;
    s_send_own (self, ADR_ACTOR_HEALTH_CHECKER, ADR__KIND__POLL_NOTED, &noted, effects);
}

static void
s_persist_promise (s_election_t *self, uint64_t promise_ms, adr_effects_t *effects)
{
    uint8_t value[S_PROMISE_SIZE];
    adr_put_u64 (value, promise_ms);
    self->promise_asked_ms = promise_ms;
    self->promise_token = ++self->token;
    effects->persist (effects, "promise", adr_bytes (value, sizeof value), self->promise_token);
}

static void
s_on_promise_durable (s_election_t *self, adr_effects_t *effects)
{
    self->promise_token = 0;
    self->promise_durable_ms = self->promise_asked_ms;
    if (!self->held.waiting)
        return;
    if (self->held.promise_ms > self->promise_durable_ms) {
        s_persist_promise (self, self->held.promise_ms, effects);
        return;
    }
    self->held.waiting = false;
    /* What was promised may be over: then the answer must not leave. */
    if (self->held.term == self->term && self->promise.term == self->held.term
        && adr_id_equal (&self->promise.master, &self->held.master))
        s_note_poll (self, self->held.term, self->held.round, &self->held.master, self->held.promise_ms, true, effects);
    else
        ADR_MARK ("election: the term moved on while a promise became durable");
}

/* [ELECT-1] The promise counts from now, which is later than the poll was sent; its answer leaves once the promise's
 * length is durable. */
static void
s_promise (s_election_t *self, const Adr__PollSeen *seen, const adr_id_t *master, int64_t now_ns,
           adr_effects_t *effects)
{
    s_promise_t *promise = &self->promise;
    int64_t until_ns = now_ns + seen->promise_ms * ADR_MS;
    if (promise->term != seen->term || !adr_id_equal (&promise->master, master))
        *promise = (s_promise_t){ .term = seen->term, .master = *master };
    if (until_ns > promise->until_ns && !ADR_PLANT (ELECT_1_NO_PROMISE))
        promise->until_ns = until_ns;
    if (seen->promise_ms <= self->promise_durable_ms || ADR_PLANT (ELECT_1_PROMISE_NOT_DURABLE)) {
        s_note_poll (self, seen->term, seen->round, master, seen->promise_ms, true, effects);
        return;
    }
    self->held.waiting = true;
    self->held.term = seen->term;
    self->held.round = seen->round;
    self->held.promise_ms = seen->promise_ms;
    self->held.master = *master;
    if (self->promise_token == 0)
        s_persist_promise (self, seen->promise_ms, effects);
}

/* May this node take a poll of this master in this term as one of its own master's? */
static bool
s_is_its_master (s_election_t *self, const Adr__PollSeen *seen, const adr_id_t *master, adr_effects_t *effects)
{
    bool known = seen->term == self->term && !adr_id_is_none (&self->leader);
    bool promised = seen->term == self->promise.term;
    bool other = (known && !adr_id_equal (master, &self->leader))
                 || (promised && !adr_id_equal (master, &self->promise.master));
    if (!other)
        return true;
    adr_note (effects, ADR_LEVEL_ERROR, "two masters in one term -> the second is refused term=%llu",
              (unsigned long long) seen->term);
    return false;
}

/* The election that calls were for is over, or one of the callers does hear. */
static void
s_forget_callers (s_election_t *self)
{
    memset (self->caller, 0, sizeof self->caller);
}

static void
s_on_poll_seen (s_election_t *self, const adr_event_t *event, adr_effects_t *effects)
{
    const Adr__PollSeen *seen = (const Adr__PollSeen *) event->message.header;
    adr_id_t master = adr_id_of (seen->master);
    if (self->role == S_STARTING || seen->term > S_TERM_MAX || seen->promise_ms > S_PROMISE_MAX_MS
        || adr_group_find (&self->group, &master) < 0)
        return;
    if (seen->term < self->term && !ADR_PLANT (ELECT_3_PROMISES_TO_LOWER_TERMS)) {
        s_note_poll (self, self->term, seen->round, &master, 0, false, effects);
        return;
    }
    if (!s_is_its_master (self, seen, &master, effects))
        return;
    uint64_t term = seen->term > self->term ? seen->term : self->term;
    if (seen->promise_ms == 0) {
        /* Of a master that hands over: health only [ELECT-8], no evidence. */
        s_hear_term (self, seen->term, event->now_ns, effects);
        s_note_poll (self, seen->term, seen->round, &master, 0, true, effects);
        return;
    }
    if (self->role != S_FOLLOWING || term > self->term)
        s_become_following (self, term, event->now_ns, effects);
    else
        s_wait_for_evidence (self, event->now_ns, effects);
    s_set_leader (self, &master, effects);
    s_forget_callers (self);
    s_promise (self, seen, &master, event->now_ns, effects);
}

static void
s_on_ping (s_election_t *self, const adr_event_t *event, adr_effects_t *effects)
{
    Adr__Pong pong = ADR__PONG__INIT;
    pong.number = ((const Adr__Ping *) event->message.header)->number;
    s_send_own (self, ADR_ACTOR_HEALTH_CHECKER, ADR__KIND__PONG, &pong, effects);
}

/* --- calls ----------------------------------------------------------------------------------------------------- */

static void s_become_standing (s_election_t *self, adr_effects_t *effects);

/* Only a voter of its own log may lead [ELECT-6], and only if its replicator says that it may. */
static bool
s_may_lead (const s_election_t *self, int64_t now_ns)
{
    return s_my_place (self, &self->voters) >= 0 && self->may_stand && !self->stopping && !s_is_silent (self, now_ns)
           && !s_is_bound (self, &self->environment.node, now_ns);
}

static void
s_send_calls (const s_election_t *self, adr_effects_t *effects)
{
    Adr__Call call = ADR__CALL__INIT;
    adr_voter_set_t set;
    call.number = self->call;
    call.term = self->term;
    call.last_term = self->last.term;
    call.last_index = self->last.index;
    call.voters = adr_voter_set_fill (&set, &self->voters);
    call.incarnation = self->environment.incarnation;
    for (uint32_t i = 0; i < self->voters.count; i++)
        if (!s_is_me (self, &self->voters.voter[i].node))
            s_send_peer (&self->voters.voter[i].node, ADR__KIND__CALL, &call, effects);
}

/* Stands if a majority supports the call and nothing forbids it; else the next repeat tries again. */
static void
s_try_stand (s_election_t *self, int64_t now_ns, adr_effects_t *effects)
{
    if ((uint32_t) __builtin_popcount (self->supports) < adr_majority (self->voters.count))
        return;
    if (now_ns < self->stand_after_ns || self->fence_purpose != S_FENCE_NONE) {
        ADR_MARK ("election: supported, but not yet free to stand");
        return;
    }
    if (s_may_lead (self, now_ns))
        s_become_standing (self, effects);
    else
        s_become_following (self, self->term, now_ns, effects);
}

static void
s_call_again (s_election_t *self, bool new_number, int64_t now_ns, adr_effects_t *effects)
{
    int place = s_my_place (self, &self->voters);
    if (place < 0) {
        s_become_following (self, self->term, now_ns, effects);
        return;
    }
    if (new_number) {
        self->call++;
        self->supports = 1u << place;
        s_wake_limit (self, now_ns + self->environment.settings.election_max_ns, effects);
    }
    s_send_calls (self, effects);
    s_wake_act (self, now_ns + s_repeat (self), effects);
    if (ADR_PLANT (ELECT_2_CALLS_ONCE)) {
        s_wake_act (self, ADR_NEVER, effects);
        s_wake_limit (self, ADR_NEVER, effects);
    }
    s_try_stand (self, now_ns, effects);
}

static void
s_become_calling (s_election_t *self, int64_t now_ns, adr_effects_t *effects)
{
    adr_note (effects, ADR_LEVEL_NOTE, "no evidence of a master -> calls for an election term=%llu",
              (unsigned long long) self->term);
    s_become (self, S_CALLING, self->term, effects);
    s_no_leader (self, effects);
    s_call_again (self, true, now_ns, effects);
}

/* A follower's time is up. */
static void
s_try_call (s_election_t *self, int64_t now_ns, adr_effects_t *effects)
{
    if (s_may_lead (self, now_ns) && now_ns >= self->quiet_until_ns)
        s_become_calling (self, now_ns, effects);
    else
        s_wait_for_evidence (self, now_ns, effects);
}

/* [ELECT-6] Does the set of a request name its sender and this very life of this node? [ELECT-7] */
static bool
s_set_names_both (const s_election_t *self, const adr_voters_t *set, const adr_id_t *sender, uint64_t incarnation)
{
    if (ADR_PLANT (ELECT_6_OWN_VOTER_SET))
        set = &self->voters;
    if (ADR_PLANT (ELECT_7_INCARNATION_IGNORED))
        return adr_voters_find_node (set, sender) >= 0 && adr_voters_find_node (set, &self->environment.node) >= 0;
    return adr_voters_find (set, sender, incarnation) >= 0 && s_my_place (self, set) >= 0;
}

/* Of two callers one must give way, and both must see it alike. */
static bool
s_outranks (const s_election_t *self, const adr_id_t *caller, adr_position_t caller_last)
{
    int order = adr_position_compare (caller_last, self->last);
    return order > 0 || (order == 0 && adr_id_compare (caller, &self->environment.node) > 0);
}

/* [ELECT-2] A caller that was supported for a whole maximum election timeout and never asked for a vote does not hear:
 * it is ignored for two, or it would keep the others from standing. */
static bool
s_is_deaf (s_election_t *self, const adr_id_t *caller, int64_t now_ns)
{
    int64_t max_ns = self->environment.settings.election_max_ns;
    int at = adr_group_find (&self->group, caller);
    if (at < 0)
        return true;
    if (now_ns < self->caller[at].ignored_until_ns)
        return true;
    if (self->caller[at].supported_since_ns == 0) {
        self->caller[at].supported_since_ns = now_ns;
    } else if (now_ns >= self->caller[at].supported_since_ns + max_ns) {
        ADR_MARK ("election: a caller that does not hear is ignored");
        self->caller[at].supported_since_ns = 0;
        self->caller[at].ignored_until_ns = now_ns + 2 * max_ns;
        return true;
    }
    return false;
}

/* May this node support the call? Its own last position may lag a little; the vote compares exactly. */
static bool
s_may_support (const s_election_t *self, const Adr__Call *call, const adr_id_t *caller, int64_t now_ns)
{
    adr_voters_t set;
    adr_position_t last = { call->last_term, call->last_index };
    if (self->role != S_FOLLOWING && self->role != S_CALLING)
        return false;
    if (s_is_silent (self, now_ns) || s_is_bound (self, caller, now_ns) || call->term > S_TERM_MAX)
        return false;
    if (!adr_voter_set_read (&set, call->voters) || !s_set_names_both (self, &set, caller, call->incarnation))
        return false;
    if (adr_position_compare (last, self->last) < 0)
        return false;
    return self->role == S_FOLLOWING || s_outranks (self, caller, last);
}

static void
s_on_call (s_election_t *self, const adr_event_t *event, adr_effects_t *effects)
{
    const Adr__Call *call = (const Adr__Call *) event->message.header;
    const adr_id_t *caller = &event->message.from.node;
    /* While an election goes on, a call is too late, whatever its term; to tell the caller the new term would only
     * make it stand against the candidate. */
    if (self->role == S_STARTING || self->role == S_VOTING || self->role == S_STANDING || self->role == S_CANDIDATE
        || s_is_over (self, caller, call->term, effects))
        return;
    if (call->voters == NULL || !s_may_support (self, call, caller, event->now_ns)
        || s_is_deaf (self, caller, event->now_ns))
        return;
    if (self->role == S_CALLING)
        s_become_following (self, self->term, event->now_ns, effects);
    self->stand_after_ns = event->now_ns + S_SUPPORTED_PAUSE_NS;
    Adr__Support support = ADR__SUPPORT__INIT;
    support.number = call->number;
    support.term = call->term;
    support.incarnation = self->environment.incarnation;
    s_send_peer (caller, ADR__KIND__SUPPORT, &support, effects);
}

static int
s_place_of_sender (const adr_voters_t *voters, const adr_id_t *sender, uint64_t incarnation)
{
    if (ADR_PLANT (ELECT_7_INCARNATION_IGNORED))
        return adr_voters_find_node (voters, sender);
    return adr_voters_find (voters, sender, incarnation);
}

static void
s_on_support (s_election_t *self, const adr_event_t *event, adr_effects_t *effects)
{
    const Adr__Support *support = (const Adr__Support *) event->message.header;
    int place = s_place_of_sender (&self->voters, &event->message.from.node, support->incarnation);
    if (self->role != S_CALLING || support->number != self->call || place < 0)
        return;
    self->supports |= 1u << place;
    s_try_stand (self, event->now_ns, effects);
}

/* --- fence and vote -------------------------------------------------------------------------------------------- */

static void
s_ask_fence (s_election_t *self, s_fence_purpose_t purpose, adr_effects_t *effects)
{
    Adr__Fence fence = ADR__FENCE__INIT;
    adr_assert (self->fence_purpose == S_FENCE_NONE);
    self->fence_purpose = purpose;
    self->fence_term = self->term;
    fence.term = self->term;
    s_send_own (self, ADR_ACTOR_REPLICATOR, ADR__KIND__FENCE, &fence, effects);
}

static void
s_answer_request (const s_election_t *self, const adr_id_t *candidate, uint64_t term, bool granted,
                  adr_effects_t *effects)
{
    Adr__Vote vote = ADR__VOTE__INIT;
    vote.term = term;
    vote.granted = granted;
    vote.incarnation = self->environment.incarnation;
    s_send_peer (candidate, ADR__KIND__VOTE, &vote, effects);
}

static void s_on_vote_durable (s_election_t *self, int64_t now_ns, adr_effects_t *effects);

/* One vote a term: it counts as given from here on, and leaves when it is durable. */
static void
s_cast_vote (s_election_t *self, int64_t now_ns, adr_effects_t *effects)
{
    uint8_t value[S_VOTE_SIZE];
    self->vote.term = self->term;
    self->vote.candidate = self->candidate.node;
    self->vote.incarnation = self->candidate.incarnation;
    self->vote.durable = false;
    self->vote.token = ++self->token;
    adr_put_u64 (value, self->vote.term);
    memcpy (value + 8, self->vote.candidate.bytes, ADR_ID_SIZE);
    adr_put_u64 (value + 8 + ADR_ID_SIZE, self->vote.incarnation);
    adr_put_u64 (value + 16 + ADR_ID_SIZE, self->environment.incarnation);
    if (ADR_PLANT (ELECT_3_VOTE_NOT_DURABLE))
        s_on_vote_durable (self, now_ns, effects);
    else
        effects->persist (effects, "vote", adr_bytes (value, sizeof value), self->vote.token);
}

static void
s_become_voting (s_election_t *self, const Adr__VoteRequest *request, const adr_id_t *candidate, int64_t now_ns,
                 adr_effects_t *effects)
{
    s_become (self, S_VOTING, request->term, effects);
    self->candidate = (adr_voter_t){ *candidate, request->incarnation };
    self->candidate_last = (adr_position_t){ request->last_term, request->last_index };
    s_forget_callers (self);
    if (ADR_PLANT (ELECT_3_VOTE_WITHOUT_FENCE)) {
        if (adr_position_compare (self->candidate_last, self->last) >= 0)
            s_cast_vote (self, now_ns, effects);
        else
            s_become_following (self, self->term, now_ns, effects);
        return;
    }
    s_ask_fence (self, S_FENCE_TO_VOTE, effects);
}

/* True if this term's vote is given away, and the request answered by it. */
static bool
s_has_voted (const s_election_t *self, uint64_t term, const adr_voter_t *candidate, adr_effects_t *effects)
{
    if (self->vote.term != term || ADR_PLANT (ELECT_3_TWO_VOTES_A_TERM))
        return false;
    bool same = adr_id_equal (&self->vote.candidate, &candidate->node)
                && self->vote.incarnation == candidate->incarnation;
    if (!same)
        s_answer_request (self, &candidate->node, term, false, effects);
    else if (self->vote.durable)
        s_answer_request (self, &candidate->node, term, true, effects);
    return true;
}

static void
s_on_vote_request (s_election_t *self, const adr_event_t *event, adr_effects_t *effects)
{
    const Adr__VoteRequest *request = (const Adr__VoteRequest *) event->message.header;
    adr_voter_t candidate = { event->message.from.node, request->incarnation };
    adr_voters_t set;
    if (self->role == S_STARTING || s_is_over (self, &candidate.node, request->term, effects))
        return;
    if (s_is_silent (self, event->now_ns) || request->term > S_TERM_MAX || request->voters == NULL)
        return;
    if (!adr_voter_set_read (&set, request->voters)
        || !s_set_names_both (self, &set, &candidate.node, candidate.incarnation)) {
        s_answer_request (self, &candidate.node, request->term, false, effects);
        return;
    }
    /* Refused before the fence: the term stays what it is [ELECT-2]. */
    if (s_is_bound (self, &candidate.node, event->now_ns)) {
        ADR_MARK ("election: asked for a vote while promised to another");
        s_answer_request (self, &candidate.node, request->term, false, effects);
        return;
    }
    if (s_has_voted (self, request->term, &candidate, effects))
        return;
    if (self->fence_purpose != S_FENCE_NONE) {
        ADR_MARK ("election: another candidate while a fence is in flight");
        return;
    }
    s_become_voting (self, request, &candidate.node, event->now_ns, effects);
}

/* The replicator is fenced and told its exact end: only that is compared with the candidate's [ELECT-3]. */
static void
s_fenced_to_vote (s_election_t *self, adr_position_t last, int64_t now_ns, adr_effects_t *effects)
{
    bool behind = adr_position_compare (self->candidate_last, last) < 0;
    if (ADR_PLANT (ELECT_3_POSITION_NOT_COMPARED))
        behind = false;
    if (behind || s_is_bound (self, &self->candidate.node, now_ns)) {
        ADR_MARK ("election: fenced, then refused");
        s_answer_request (self, &self->candidate.node, self->term, false, effects);
        s_become_following (self, self->term, now_ns, effects);
        return;
    }
    s_cast_vote (self, now_ns, effects);
}

static void
s_fenced_to_stand (s_election_t *self, const Adr__Fenced *fenced, int64_t now_ns, adr_effects_t *effects)
{
    bool read = fenced->voters != NULL && adr_voter_set_read (&self->electors, fenced->voters);
    self->candidate_last = (adr_position_t){ fenced->last_term, fenced->last_index };
    if (!read || s_my_place (self, &self->electors) < 0 || !s_may_lead (self, now_ns)) {
        ADR_MARK ("election: fenced to stand, and may not any more");
        s_become_following (self, self->term, now_ns, effects);
        return;
    }
    s_cast_vote (self, now_ns, effects);
}

static void s_fenced_to_hand_over (s_election_t *self, adr_position_t last, int64_t now_ns, adr_effects_t *effects);

static void
s_on_fenced (s_election_t *self, const adr_event_t *event, adr_effects_t *effects)
{
    const Adr__Fenced *fenced = (const Adr__Fenced *) event->message.header;
    adr_position_t last = { fenced->last_term, fenced->last_index };
    s_fence_purpose_t purpose = self->fence_purpose;
    if (!fenced->refused && fenced->term != self->fence_term)
        return;
    self->fence_purpose = S_FENCE_NONE;
    if (fenced->refused && purpose != S_FENCE_TO_HAND_OVER) {
        /* An append of a newer master raised the fence meanwhile [ELECT-5]. */
        ADR_MARK ("election: the fence was refused");
        s_hear_term (self, fenced->term, event->now_ns, effects);
        if (self->role == S_VOTING || self->role == S_STANDING)
            s_become_following (self, self->term, event->now_ns, effects);
        return;
    }
    if (self->fence_term != self->term) {
        ADR_MARK ("election: fenced for a term that is over");
        return;
    }
    if (purpose == S_FENCE_TO_VOTE && self->role == S_VOTING)
        s_fenced_to_vote (self, last, event->now_ns, effects);
    else if (purpose == S_FENCE_TO_STAND && self->role == S_STANDING)
        s_fenced_to_stand (self, fenced, event->now_ns, effects);
    else if (purpose == S_FENCE_TO_HAND_OVER && self->role == S_HANDING_OVER)
        s_fenced_to_hand_over (self, last, event->now_ns, effects);
}

static void s_become_candidate (s_election_t *self, int64_t now_ns, adr_effects_t *effects);

/* [ELECT-3] The promise is checked once more: a poll may have come while the disk worked. */
static void
s_on_vote_durable (s_election_t *self, int64_t now_ns, adr_effects_t *effects)
{
    self->vote.durable = true;
    if ((self->role != S_VOTING && self->role != S_STANDING) || self->vote.term != self->term)
        return;
    if (s_is_bound (self, &self->candidate.node, now_ns)) {
        ADR_MARK ("election: promised to another while the vote became durable");
        s_become_following (self, self->term, now_ns, effects);
    } else if (self->role == S_STANDING) {
        s_become_candidate (self, now_ns, effects);
    } else {
        s_answer_request (self, &self->candidate.node, self->term, true, effects);
        s_become_following (self, self->term, now_ns, effects);
    }
}

/* --- standing -------------------------------------------------------------------------------------------------- */

static void s_become_master (s_election_t *self, int64_t now_ns, adr_effects_t *effects);

static void
s_become_standing (s_election_t *self, adr_effects_t *effects)
{
    s_become (self, S_STANDING, self->term + 1, effects);
    self->candidate = (adr_voter_t){ self->environment.node, self->environment.incarnation };
    s_ask_fence (self, S_FENCE_TO_STAND, effects);
}

/* Asks those that have not granted yet. */
static void
s_send_requests (const s_election_t *self, adr_effects_t *effects)
{
    Adr__VoteRequest request = ADR__VOTE_REQUEST__INIT;
    adr_voter_set_t set;
    request.term = self->term;
    request.last_term = self->candidate_last.term;
    request.last_index = self->candidate_last.index;
    request.voters = adr_voter_set_fill (&set, &self->electors);
    request.incarnation = self->environment.incarnation;
    for (uint32_t i = 0; i < self->electors.count; i++)
        if (!(self->votes & 1u << i) && !s_is_me (self, &self->electors.voter[i].node))
            s_send_peer (&self->electors.voter[i].node, ADR__KIND__VOTE_REQUEST, &request, effects);
}

static void
s_count_votes (s_election_t *self, int64_t now_ns, adr_effects_t *effects)
{
    uint32_t needed = adr_majority (self->electors.count);
    if (ADR_PLANT (ELECT_3_MINORITY_ELECTS) && needed > 1)
        needed--;
    if ((uint32_t) __builtin_popcount (self->votes) >= needed)
        s_become_master (self, now_ns, effects);
}

static void
s_become_candidate (s_election_t *self, int64_t now_ns, adr_effects_t *effects)
{
    const adr_settings_t *settings = &self->environment.settings;
    s_become (self, S_CANDIDATE, self->term, effects);
    self->votes = 1u << s_my_place (self, &self->electors);
    /* Fence and vote are four syncs in a row: a candidate that hurries elects nobody on slow disks [ELECT-2]. */
    int64_t patience_ns = settings->election_max_ns
                          + adr_random_between (&self->random, 0, settings->election_max_ns - settings->election_min_ns);
    if (ADR_PLANT (ELECT_2_CANDIDATE_GIVES_UP_EARLY))
        patience_ns = ADR_MS / 2;
    s_wake_act (self, now_ns + s_repeat (self), effects);
    s_wake_limit (self, now_ns + patience_ns, effects);
    s_send_requests (self, effects);
    s_count_votes (self, now_ns, effects);
}

static void
s_on_vote (s_election_t *self, const adr_event_t *event, adr_effects_t *effects)
{
    const Adr__Vote *vote = (const Adr__Vote *) event->message.header;
    int place = s_place_of_sender (&self->electors, &event->message.from.node, vote->incarnation);
    if (self->role != S_CANDIDATE || vote->term != self->term || !vote->granted || place < 0)
        return;
    self->votes |= 1u << place;
    s_count_votes (self, event->now_ns, effects);
}

/* --- mastership ------------------------------------------------------------------------------------------------ */

static s_answer_t *
s_answer_of (s_election_t *self, const adr_voter_t *voter)
{
    for (uint32_t i = 0; i < self->answer_count; i++)
        if (adr_id_equal (&self->answer[i].voter.node, &voter->node)
            && (self->answer[i].voter.incarnation == voter->incarnation || ADR_PLANT (ELECT_7_INCARNATION_IGNORED)))
            return &self->answer[i];
    return NULL;
}

/* Up to when a majority of the newest voters has been heard; itself always and now. */
static int64_t
s_heard_until (s_election_t *self, int64_t now_ns)
{
    int64_t heard[ADR_VOTERS_MAX];
    uint32_t count = 0;
    for (uint32_t i = 0; i < self->voters.count; i++) {
        const s_answer_t *answer = s_answer_of (self, &self->voters.voter[i]);
        bool me = s_is_me (self, &self->voters.voter[i].node);
        int64_t at_ns = me ? now_ns : answer ? answer->sent_ns : self->led_since_ns;
        if (at_ns < self->led_since_ns)
            at_ns = self->led_since_ns;
        /* Newest first. */
        uint32_t place = count++;
        for (; place > 0 && heard[place - 1] < at_ns; place--)
            heard[place] = heard[place - 1];
        heard[place] = at_ns;
    }
    return count == 0 ? now_ns : heard[adr_majority (count) - 1];
}

/* A master that no majority has answered for a minimum election timeout steps down. */
static void
s_check_majority (s_election_t *self, int64_t now_ns, adr_effects_t *effects)
{
    int64_t until_ns = s_heard_until (self, now_ns) + self->environment.settings.election_min_ns;
    if (now_ns < until_ns) {
        s_wake_limit (self, until_ns, effects);
        return;
    }
    adr_note (effects, ADR_LEVEL_WARNING, "no majority of the voters answers -> steps down term=%llu",
              (unsigned long long) self->term);
    s_become_following (self, self->term, now_ns, effects);
}

static void
s_become_master (s_election_t *self, int64_t now_ns, adr_effects_t *effects)
{
    Adr__Lead lead = ADR__LEAD__INIT;
    adr_assert (self->term > self->led_term);
    adr_assert (self->vote.term == self->term && s_is_me (self, &self->vote.candidate));
    adr_note (effects, ADR_LEVEL_NOTE, "elected by %d of %u -> leads term=%llu", __builtin_popcount (self->votes),
              self->electors.count, (unsigned long long) self->term);
    s_become (self, S_MASTER, self->term, effects);
    self->led_term = self->term;
    self->led_since_ns = now_ns;
    self->answer_count = 0;
    self->released = false;
    lead.term = self->term;
    s_send_own (self, ADR_ACTOR_REPLICATOR, ADR__KIND__LEAD, &lead, effects);
    s_set_leader (self, &self->environment.node, effects);
    s_check_majority (self, now_ns, effects);
}

static void
s_note_answer (s_election_t *self, const Adr__Answered *answered)
{
    adr_voter_t voter = { adr_id_of (answered->voter), answered->incarnation };
    s_answer_t *answer = s_answer_of (self, &voter);
    if (answer == NULL && self->answer_count < ADR_GROUP_NODES_MAX)
        answer = &self->answer[self->answer_count++];
    /* Full of incarnations that have gone by: the newest matter, and the map bounds how many there are. */
    if (answer == NULL)
        answer = &self->answer[0];
    if (adr_id_equal (&answer->voter.node, &voter.node) && answer->voter.incarnation == voter.incarnation
        && answered->sent_ns < answer->sent_ns)
        return;
    *answer = (s_answer_t){ voter, answered->sent_ns, { answered->last_term, answered->last_index },
                            answered->state, answered->space };
}

static void s_try_hand_over (s_election_t *self, int64_t now_ns, adr_effects_t *effects);
static void s_become_handing_over (s_election_t *self, const adr_id_t *successor, int64_t quiet_ns, int64_t now_ns,
                                   adr_effects_t *effects);
static const s_answer_t *s_best_successor (s_election_t *self, int64_t now_ns);

static void
s_on_answered (s_election_t *self, const adr_event_t *event, adr_effects_t *effects)
{
    const Adr__Answered *answered = (const Adr__Answered *) event->message.header;
    static const adr_id_t s_none;
    if (!s_leads (self) || answered->term != self->term)
        return;
    s_note_answer (self, answered);
    if (self->role == S_HANDING_OVER) {
        s_try_hand_over (self, event->now_ns, effects);
        return;
    }
    s_check_majority (self, event->now_ns, effects);
    const s_answer_t *best = self->role == S_MASTER && self->on_reserve ? s_best_successor (self, event->now_ns) : NULL;
    if (best != NULL && adr_position_compare (best->last, self->last) >= 0) {
        /* [ELECT-11] */
        adr_note (effects, ADR_LEVEL_WARNING, "this node's disk is on its reserve -> hands over term=%llu",
                  (unsigned long long) self->term);
        s_become_handing_over (self, &s_none, 0, event->now_ns, effects);
    }
}

/* --- hand-over ------------------------------------------------------------------------------------------------- */

/* The online-ready voter with space that answered within a minimum election timeout and holds most of the log. */
static const s_answer_t *
s_best_successor (s_election_t *self, int64_t now_ns)
{
    const s_answer_t *best = NULL;
    for (uint32_t i = 0; i < self->answer_count; i++) {
        const s_answer_t *answer = &self->answer[i];
        if (adr_voters_find (&self->voters, &answer->voter.node, answer->voter.incarnation) < 0
            || answer->state != ADR_STATE_ONLINE_READY || answer->space >= ADR_SPACE_SECOND_MARK
            || now_ns - answer->sent_ns > self->environment.settings.election_min_ns)
            continue;
        if (best == NULL || adr_position_compare (answer->last, best->last) > 0)
            best = answer;
    }
    return best;
}

/* A master that gives up its lease tells its replicator so, and fences it with its own term: the answer proves that
 * the replicator, which may be slow, is past the lease; only then may anybody be told to stand [ELECT-8]. */
static void
s_become_handing_over (s_election_t *self, const adr_id_t *successor, int64_t quiet_ns, int64_t now_ns,
                       adr_effects_t *effects)
{
    s_become (self, S_HANDING_OVER, self->term, effects);
    self->successor = *successor;
    self->successor_named = !adr_id_is_none (successor);
    self->lease_given_up = false;
    self->released = false;
    self->quiet_after_ns = quiet_ns;
    if (!ADR_PLANT (ELECT_8_LEASE_AFTER_HANDOVER))
        s_say_stood_down (self, true, effects);
    s_wake_limit (self, now_ns + self->environment.settings.election_min_ns, effects);
    if (ADR_PLANT (ELECT_8_LEASE_AFTER_HANDOVER) || ADR_PLANT (ELECT_8_STAND_BEFORE_LEASE_ENDS))
        s_fenced_to_hand_over (self, self->last, now_ns, effects);
    else
        s_ask_fence (self, S_FENCE_TO_HAND_OVER, effects);
}

static void
s_fenced_to_hand_over (s_election_t *self, adr_position_t last, int64_t now_ns, adr_effects_t *effects)
{
    self->lease_given_up = true;
    self->hand_over_last = last;
    s_try_hand_over (self, now_ns, effects);
}

/* RELEASE to the other electors first, so that the successor's requests find them free. */
static void
s_send_release (s_election_t *self, adr_effects_t *effects)
{
    Adr__Release release = ADR__RELEASE__INIT;
    Adr__Stand stand = ADR__STAND__INIT;
    release.term = stand.term = self->term;
    release.master = stand.master = adr_id_view (&self->environment.node);
    release.successor = stand.successor = adr_id_view (&self->successor);
    for (uint32_t i = 0; i < self->voters.count; i++) {
        const adr_id_t *node = &self->voters.voter[i].node;
        if (!s_is_me (self, node) && !adr_id_equal (node, &self->successor))
            s_send_peer (node, ADR__KIND__RELEASE, &release, effects);
    }
    s_send_peer (&self->successor, ADR__KIND__STAND, &stand, effects);
}

static void
s_try_hand_over (s_election_t *self, int64_t now_ns, adr_effects_t *effects)
{
    if (!self->lease_given_up || self->released)
        return;
    const s_answer_t *best = s_best_successor (self, now_ns);
    if (self->successor_named) {
        int place = adr_voters_find_node (&self->voters, &self->successor);
        best = place < 0 ? NULL : s_answer_of (self, &self->voters.voter[place]);
    }
    if (best == NULL || adr_position_compare (best->last, self->hand_over_last) < 0)
        return;
    self->successor = best->voter.node;
    self->released = true;
    adr_note (effects, ADR_LEVEL_NOTE, "the successor holds the whole log -> it is told to stand term=%llu",
              (unsigned long long) self->term);
    s_send_release (self, effects);
    s_wake_act (self, now_ns + s_repeat (self), effects);
}

/* Nobody took over in time: down, and like anybody else from here on. */
static void
s_fail_hand_over (s_election_t *self, int64_t now_ns, adr_effects_t *effects)
{
    ADR_MARK ("election: a hand-over found no successor");
    self->quiet_until_ns = now_ns + self->quiet_after_ns;
    s_become_following (self, self->term, now_ns, effects);
}

static void
s_resign (s_election_t *self, const adr_id_t *successor, int64_t quiet_ns, int64_t now_ns, adr_effects_t *effects)
{
    uint32_t others = self->voters.count - (adr_voters_find_node (&self->voters, &self->environment.node) >= 0);
    self->quiet_after_ns = quiet_ns;
    if (self->voters.count == 0 || others == 0)
        s_fail_hand_over (self, now_ns, effects);
    else
        s_become_handing_over (self, successor, quiet_ns, now_ns, effects);
}

static void
s_on_resign (s_election_t *self, const adr_event_t *event, adr_effects_t *effects)
{
    const Adr__Resign *resign = (const Adr__Resign *) event->message.header;
    adr_id_t successor = adr_id_of (resign->successor);
    if (self->role != S_MASTER || resign->term != self->term || s_is_me (self, &successor))
        return;
    uint64_t quiet_ms = resign->silent_ms < S_PROMISE_MAX_MS ? resign->silent_ms : S_PROMISE_MAX_MS;
    adr_note (effects, ADR_LEVEL_NOTE, "asked to resign -> hands over term=%llu why=%s",
              (unsigned long long) self->term, resign->why);
    s_resign (self, &successor, (int64_t) quiet_ms * ADR_MS, event->now_ns, effects);
}

static void
s_on_stop (s_election_t *self, int64_t now_ns, adr_effects_t *effects)
{
    static const adr_id_t s_none;
    self->stopping = true;
    if (self->role == S_MASTER)
        s_resign (self, &s_none, 0, now_ns, effects);
    else if (self->role == S_CALLING || self->role == S_STANDING || self->role == S_CANDIDATE)
        s_become_following (self, self->term, now_ns, effects);
}

/* The master's own word, for exactly the promise that was made to it [ELECT-8]. */
static bool
s_lift (s_election_t *self, const adr_event_t *event, uint64_t term, const adr_id_t *master, const adr_id_t *successor)
{
    s_promise_t *promise = &self->promise;
    bool exact = promise->term == term && adr_id_equal (&promise->master, master)
                 && adr_id_equal (master, &event->message.from.node);
    if (ADR_PLANT (ELECT_8_RELEASE_ANY))
        exact = true;
    if (exact)
        promise->lifted_for = *successor;
    else
        ADR_MARK ("election: a release of a promise that was not made");
    return exact;
}

static void
s_on_release (s_election_t *self, const adr_event_t *event, adr_effects_t *effects)
{
    const Adr__Release *release = (const Adr__Release *) event->message.header;
    adr_id_t master = adr_id_of (release->master);
    adr_id_t successor = adr_id_of (release->successor);
    bool over = s_is_over (self, &event->message.from.node, release->term, effects);
    if (self->role == S_STARTING || (over && !ADR_PLANT (ELECT_8_RELEASE_ANY)))
        return;
    (void) s_lift (self, event, release->term, &master, &successor);
}

/* Stands without calls: the master itself says that it leads no more. */
static void
s_on_stand (s_election_t *self, const adr_event_t *event, adr_effects_t *effects)
{
    const Adr__Stand *stand = (const Adr__Stand *) event->message.header;
    adr_id_t master = adr_id_of (stand->master);
    adr_id_t successor = adr_id_of (stand->successor);
    if (self->role == S_STARTING || s_is_over (self, &event->message.from.node, stand->term, effects))
        return;
    if (!s_is_me (self, &successor) || !s_lift (self, event, stand->term, &master, &successor))
        return;
    if (stand->term != self->term || (self->role != S_FOLLOWING && self->role != S_CALLING)
        || self->fence_purpose != S_FENCE_NONE || !s_may_lead (self, event->now_ns))
        return;
    s_become_standing (self, effects);
}

/* --- the replicator's view ------------------------------------------------------------------------------------- */

static void
s_on_first_voters (s_election_t *self, uint64_t fence, int64_t now_ns, adr_effects_t *effects)
{
    /* [ELECT-5] The vote alone is not enough: the fence may have been raised by an append. */
    if (fence > self->term && !ADR_PLANT (ELECT_5_TERM_FROM_VOTE_ONLY))
        self->term = fence;
    s_become_following (self, self->term, now_ns, effects);
    if (now_ns < self->silent_until_ns)
        adr_note (effects, ADR_LEVEL_NOTE, "a former life may have promised -> silent ms=%llu",
                  (unsigned long long) ((self->silent_until_ns - now_ns) / ADR_MS));
}

/* A single voter asks nobody: it need not wait for evidence. */
static void
s_hurry_if_alone (s_election_t *self, int64_t now_ns, adr_effects_t *effects)
{
    if (self->role != S_FOLLOWING || self->voters.count != 1 || s_my_place (self, &self->voters) < 0)
        return;
    int64_t at_ns = now_ns;
    if (at_ns < self->silent_until_ns)
        at_ns = self->silent_until_ns;
    if (at_ns < self->promise.until_ns)
        at_ns = self->promise.until_ns;
    if (at_ns < self->quiet_until_ns)
        at_ns = self->quiet_until_ns;
    if (at_ns < self->act_at_ns && self->may_stand)
        s_wake_act (self, at_ns, effects);
}

static void
s_on_voters (s_election_t *self, const adr_event_t *event, adr_effects_t *effects)
{
    const Adr__Voters *news = (const Adr__Voters *) event->message.header;
    adr_voters_t voters;
    if (news->voters == NULL || !adr_voter_set_read (&voters, news->voters) || news->term > S_TERM_MAX)
        return;
    bool moved = voters.at.term != self->voters.at.term || voters.at.index != self->voters.at.index
                 || voters.count != self->voters.count;
    self->voters = voters;
    self->last = (adr_position_t){ news->last_term, news->last_index };
    self->may_stand = news->may_stand;
    self->on_reserve = news->space >= ADR_SPACE_SECOND_MARK;
    if (self->role == S_STARTING)
        s_on_first_voters (self, news->term, event->now_ns, effects);
    else if (!ADR_PLANT (ELECT_5_TERM_FROM_VOTE_ONLY))
        s_hear_term (self, news->term, event->now_ns, effects);
    /* The bits of the supports belong to the places of the old set. */
    if (self->role == S_CALLING && moved)
        s_call_again (self, true, event->now_ns, effects);
    if (self->role == S_MASTER)
        s_check_majority (self, event->now_ns, effects);
    s_hurry_if_alone (self, event->now_ns, effects);
}

/* --- the class ------------------------------------------------------------------------------------------------- */

static void
s_read_vote (s_election_t *self)
{
    uint8_t value[S_VOTE_SIZE];
    int size = self->environment.state_get (self->environment.state, "vote", value, sizeof value);
    if (size < 0)
        return;
    if (size != S_VOTE_SIZE) {
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
s_read_promise (s_election_t *self)
{
    uint8_t value[S_PROMISE_SIZE];
    int size = self->environment.state_get (self->environment.state, "promise", value, sizeof value);
    if (size == S_PROMISE_SIZE)
        self->promise_durable_ms = self->promise_asked_ms = adr_get_u64 (value);
    if (size >= 0 && (size != S_PROMISE_SIZE || self->promise_durable_ms > S_PROMISE_MAX_MS))
        self->unreadable = true;
}

static void *
s_create (const adr_environment_t *environment)
{
    s_election_t *self = adr_alloc (sizeof *self);
    self->environment = *environment;
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
s_start (s_election_t *self, int64_t now_ns, adr_effects_t *effects)
{
    if (self->unreadable)
        effects->fatal (effects, "the stored vote or promise is not one of ours: this node must forget itself");
    self->silent_until_ns = now_ns + (int64_t) self->promise_durable_ms * ADR_MS;
}

static void
s_durable (s_election_t *self, const adr_event_t *event, adr_effects_t *effects)
{
    if (event->token == self->promise_token)
        s_on_promise_durable (self, effects);
    else if (event->token == self->vote.token && !self->vote.durable)
        s_on_vote_durable (self, event->now_ns, effects);
    else
        ADR_MARK ("election: a vote became durable that a newer one replaced");
}

static void
s_act (s_election_t *self, int64_t now_ns, adr_effects_t *effects)
{
    switch (self->role) {
    case S_FOLLOWING:
        s_try_call (self, now_ns, effects);
        break;
    case S_CALLING:
        s_call_again (self, false, now_ns, effects);
        break;
    case S_CANDIDATE:
        s_send_requests (self, effects);
        s_wake_act (self, now_ns + s_repeat (self), effects);
        break;
    case S_HANDING_OVER:
        s_send_release (self, effects);
        s_wake_act (self, now_ns + s_repeat (self), effects);
        break;
    case S_STARTING:
    case S_VOTING:
    case S_STANDING:
    case S_MASTER:
    case S_ROLE_COUNT:
        break;
    }
}

static void
s_limit (s_election_t *self, int64_t now_ns, adr_effects_t *effects)
{
    switch (self->role) {
    case S_CALLING:
        s_call_again (self, true, now_ns, effects);
        break;
    case S_CANDIDATE:
        ADR_MARK ("election: a candidate gave up");
        s_become_following (self, self->term, now_ns, effects);
        break;
    case S_MASTER:
        s_check_majority (self, now_ns, effects);
        break;
    case S_HANDING_OVER:
        s_fail_hand_over (self, now_ns, effects);
        break;
    case S_STARTING:
    case S_FOLLOWING:
    case S_VOTING:
    case S_STANDING:
    case S_ROLE_COUNT:
        break;
    }
}

/* A deadline that was moved while its event was on its way is not yet due. */
static void
s_timer (s_election_t *self, const adr_event_t *event, adr_effects_t *effects)
{
    if (event->timer == S_TIMER_ACT && event->now_ns >= self->act_at_ns) {
        self->act_at_ns = ADR_NEVER;
        s_act (self, event->now_ns, effects);
    } else if (event->timer == S_TIMER_LIMIT && event->now_ns >= self->limit_at_ns) {
        self->limit_at_ns = ADR_NEVER;
        s_limit (self, event->now_ns, effects);
    }
}

static void
s_on_map_changed (s_election_t *self, const adr_event_t *event)
{
    adr_group_update (&self->group, ((const Adr__MapChanged *) event->message.header)->map);
    s_forget_callers (self);
}

/* From the actors of this very node. */
static void
s_local_message (s_election_t *self, const adr_event_t *event, adr_effects_t *effects)
{
    switch (event->message.kind) {
    case ADR__KIND__VOTERS:
        s_on_voters (self, event, effects);
        break;
    case ADR__KIND__POLL_SEEN:
        s_on_poll_seen (self, event, effects);
        break;
    case ADR__KIND__PING:
        s_on_ping (self, event, effects);
        break;
    case ADR__KIND__ANSWERED:
        s_on_answered (self, event, effects);
        break;
    case ADR__KIND__FENCED:
        s_on_fenced (self, event, effects);
        break;
    case ADR__KIND__RESIGN:
        s_on_resign (self, event, effects);
        break;
    case ADR__KIND__HIGHER_TERM:
        s_on_higher_term (self, event, effects);
        break;
    default: /* kinds of a newer version */
        break;
    }
}

static void
s_peer_message (s_election_t *self, const adr_event_t *event, adr_effects_t *effects)
{
    switch (event->message.kind) {
    case ADR__KIND__CALL:
        s_on_call (self, event, effects);
        break;
    case ADR__KIND__SUPPORT:
        s_on_support (self, event, effects);
        break;
    case ADR__KIND__VOTE_REQUEST:
        s_on_vote_request (self, event, effects);
        break;
    case ADR__KIND__VOTE:
        s_on_vote (self, event, effects);
        break;
    case ADR__KIND__HIGHER_TERM:
        s_on_higher_term (self, event, effects);
        break;
    case ADR__KIND__STAND:
        s_on_stand (self, event, effects);
        break;
    case ADR__KIND__RELEASE:
        s_on_release (self, event, effects);
        break;
    default: /* what only actors of this node may say, and kinds of a newer version */
        break;
    }
}

static void
s_message (s_election_t *self, const adr_event_t *event, adr_effects_t *effects)
{
    if (event->message.kind == ADR__KIND__MAP_CHANGED) /* of this host's map_keeper, whatever node it is on */
        s_on_map_changed (self, event);
    else if (s_is_me (self, &event->message.from.node))
        s_local_message (self, event, effects);
    else if (adr_group_find (&self->group, &event->message.from.node) >= 0)
        s_peer_message (self, event, effects);
    /* else: of no node of this group, and so none of its business */
}

static void
s_receive (void *election, const adr_event_t *event, adr_effects_t *effects)
{
    s_election_t *self = election;
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
        s_on_stop (self, event->now_ns, effects);
        break;
    case ADR_EVENT_JOB_DONE:
    case ADR_EVENT_TURN_END:
        break;
    }
}

static void
s_check (const void *election)
{
    const s_election_t *self = election;
    adr_assert (self->role < S_ROLE_COUNT);
    adr_assert (self->vote.term <= self->term && self->led_term <= self->term);
    adr_assert (self->fence_purpose == S_FENCE_NONE || self->fence_term <= self->term);
    adr_assert (self->promise_durable_ms <= self->promise_asked_ms);
    adr_assert (self->promise.term <= self->term || ADR_PLANT (ELECT_3_PROMISES_TO_LOWER_TERMS));
    if (self->role == S_CANDIDATE || s_leads (self)) {
        adr_assert (self->vote.term == self->term && s_is_me (self, &self->vote.candidate));
        adr_assert (self->vote.durable);
    }
    adr_assert (s_leads (self) == s_is_me (self, &self->leader));
    adr_assert (!s_leads (self) || self->led_term == self->term);
    adr_assert (!self->released || self->role != S_HANDING_OVER || self->lease_given_up);
}

const adr_actor_class_t adr_election_class = {
    .kind = ADR_ACTOR_ELECTION,
    .create = s_create,
    .destroy = s_destroy,
    .receive = s_receive,
    .check = s_check,
};
