/* SPDX-License-Identifier: MPL-2.0 */
/* What the four files of the election share. election.c: the actor, its roles and terms. election_promise.c: polls and
 * promises. election_vote.c: calls, fence and votes. election_lead.c: mastership and hand-over. */

#ifndef ADR_ELECTION_PRIVATE_H
#define ADR_ELECTION_PRIVATE_H

#include "actors/group.h"
#include "actors/obeyed.h"
#include "core/actor.h"
#include "core/bytes.h"
#include "core/entry.h"
#include "core/node_state.h"
#include "store/store.h"
#include "wire/pack.h"

#define VOTE_SIZE (8 + ADR_ID_SIZE + 8 + 8) /* as stored: term, candidate, its incarnation, this node's incarnation */
#define PROMISE_SIZE 8

#define TERM_MAX ADR_TERM_MAX
/* A longer promise would be a way to silence a group for good; the configuration allows no such timeout. */
#define PROMISE_MAX_MS 60000
/* One timer for what is done again and again in a role, one for the role's end. */
enum { TIMER_ACT = 1, TIMER_LIMIT = 2 };

typedef enum {
    ROLE_STARTING,  /* knows neither fence nor voters: says nothing */
    ROLE_FOLLOWING, /* obeys a master, or waits until it may call */
    ROLE_CALLING,   /* asks the others whether they lack evidence, too */
    ROLE_VOTING,    /* fences for another candidate, or its vote becomes durable */
    ROLE_STANDING,  /* fences for itself, or its own vote becomes durable */
    ROLE_CANDIDATE, /* asks for votes */
    ROLE_MASTER,
    ROLE_HANDING_OVER, /* still master, without lease */
    ROLE_COUNT
} election_role_t;

/* Why the replicator was asked for a fence. */
typedef enum { FENCE_NONE, FENCE_TO_VOTE, FENCE_TO_STAND, FENCE_TO_HAND_OVER } fence_purpose_t;

/* Neither support nor vote for anybody but `master` before `until_ns` [ELECT-1]. */
typedef struct {
    uint64_t term;
    adr_id_t master;
    int64_t until_ns;
    adr_id_t lifted_for; /* the successor that the master named; none */
} promise_t;

/* What one voter last answered to this mastership's polls. */
typedef struct {
    adr_voter_t voter;
    int64_t sent_ns; /* when the poll was sent that it answered */
    adr_position_t last;
    uint32_t state, space;
} answer_t;

typedef struct {
    adr_environment_t environment; /* its settings are those that are obeyed now */
    adr_obeyed_t obeyed;
    adr_group_t group;
    adr_random_t random;
    election_role_t role;
    int64_t act_at_ns, limit_at_ns; /* deadlines of the two timers, or ADR_NEVER */
    int64_t own_call_ns; /* while it votes: when it would have called by itself */

    uint64_t term; /* highest that this election fenced, followed or heard; never falls */
    struct {
        uint64_t term; /* 0: never voted */
        adr_id_t candidate;
        uint64_t incarnation;
        uint64_t token; /* of its persist; 0 for one read at the start */
        bool durable;
    } vote;
    promise_t promise;
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
    bool may_stand, on_reserve, doubtful;

    /* calling */
    uint64_t call;     /* number of the present call; counts from boot << 32 */
    uint32_t supports; /* bits of voters that support it */
    int64_t stand_after_ns;

    /* voting, standing, candidate: what the vote is about */
    fence_purpose_t fence_purpose; /* one fence in flight */
    uint64_t fence_term;
    adr_voter_t candidate;
    adr_position_t candidate_last;
    adr_voters_t electors; /* a candidate's own: those that came with its FENCED */
    uint32_t votes;        /* bits of `electors` that granted */

    /* master, handing over */
    uint64_t led_term; /* newest term that this node led; final when it ends */
    int64_t led_since_ns;
    uint32_t answer_count;
    answer_t answer[ADR_GROUP_NODES_MAX];
    adr_id_t successor;      /* none: not chosen yet */
    bool successor_named;    /* by RESIGN */
    bool lease_given_up;     /* FENCED of the own term came: the replicator is past STOOD_DOWN [ELECT-8] */
    bool released;           /* RELEASE and STAND left: the own promise is lifted, too */
    adr_position_t hand_over_last;
    int64_t quiet_after_ns;  /* silence that RESIGN asked for, should nobody take over */
} election_t;

/* --- election.c: the actor, its roles and terms */

void election_send_own (const election_t *self, adr_actor_kind_t actor, uint16_t kind, const void *header,
                        adr_effects_t *effects);
void election_send_peer (const adr_id_t *node, uint16_t kind, const void *header, adr_effects_t *effects);
bool election_is_me (const election_t *self, const adr_id_t *node);
/* The place of this very life of this node in a voter set, or -1. */
int election_my_place (const election_t *self, const adr_voters_t *voters);
/* After how long calls, requests and hand-over messages are repeated. */
int64_t election_repeat (election_t *self);
void election_wake_act (election_t *self, int64_t at_ns, adr_effects_t *effects);
void election_wake_limit (election_t *self, int64_t at_ns, adr_effects_t *effects);
/* Tells everybody on this node who leads, if that is news. */
void election_set_leader (election_t *self, const adr_id_t *leader, adr_effects_t *effects);
void election_no_leader (election_t *self, adr_effects_t *effects);
bool election_leads (const election_t *self);
void election_say_stood_down (election_t *self, bool lease_only, adr_effects_t *effects);
/* The only place where the role changes; `term` is the new one, or the present. */
void election_become (election_t *self, election_role_t role, uint64_t term, adr_effects_t *effects);
/* Starts a new random timeout. */
void election_wait_for_evidence (election_t *self, int64_t now_ns, adr_effects_t *effects);
void election_become_following (election_t *self, uint64_t term, int64_t now_ns, adr_effects_t *effects);
/* A term was heard: if it is higher, what this node is doing in its own ends. */
void election_hear_term (election_t *self, uint64_t term, int64_t now_ns, adr_effects_t *effects);
/* True, and the sender told, if its term is over. */
bool election_is_over (const election_t *self, const adr_id_t *node, uint64_t term, adr_effects_t *effects);

/* --- election_promise.c: polls and promises */

/* Is this node promised to somebody other than `candidate`? */
bool election_is_bound (const election_t *self, const adr_id_t *candidate, int64_t now_ns);
bool election_is_silent (const election_t *self, int64_t now_ns);
void election_on_promise_durable (election_t *self, adr_effects_t *effects);
void election_on_poll_seen (election_t *self, const adr_event_t *event, adr_effects_t *effects);
void election_on_ping (election_t *self, const adr_event_t *event, adr_effects_t *effects);

/* --- election_vote.c: calls, fence, votes */

/* May this node call, stand, be elected now? */
bool election_may_lead (const election_t *self, int64_t now_ns);
/* Sends the present call, or a new one, and stands if it is supported already. */
void election_call_again (election_t *self, bool new_number, int64_t now_ns, adr_effects_t *effects);
/* A follower's time is up. */
void election_try_call (election_t *self, int64_t now_ns, adr_effects_t *effects);
void election_on_call (election_t *self, const adr_event_t *event, adr_effects_t *effects);
void election_on_support (election_t *self, const adr_event_t *event, adr_effects_t *effects);
void election_ask_fence (election_t *self, fence_purpose_t purpose, adr_effects_t *effects);
void election_on_vote_request (election_t *self, const adr_event_t *event, adr_effects_t *effects);
void election_on_fenced (election_t *self, const adr_event_t *event, adr_effects_t *effects);
void election_on_vote_durable (election_t *self, int64_t now_ns, adr_effects_t *effects);
void election_become_standing (election_t *self, adr_effects_t *effects);
/* Asks those that have not granted their vote yet. */
void election_send_requests (const election_t *self, adr_effects_t *effects);
void election_on_vote (election_t *self, const adr_event_t *event, adr_effects_t *effects);

/* --- election_lead.c: mastership and hand-over */

/* Steps down if no majority answers, else sets the time to look again. */
void election_check_majority (election_t *self, int64_t now_ns, adr_effects_t *effects);
void election_become_master (election_t *self, int64_t now_ns, adr_effects_t *effects);
void election_on_answered (election_t *self, const adr_event_t *event, adr_effects_t *effects);
void election_fenced_to_hand_over (election_t *self, adr_position_t last, int64_t now_ns, adr_effects_t *effects);
void election_send_release (election_t *self, adr_effects_t *effects);
/* Nobody took over in time: down, and like anybody else from here on. */
void election_fail_hand_over (election_t *self, int64_t now_ns, adr_effects_t *effects);
void election_on_resign (election_t *self, const adr_event_t *event, adr_effects_t *effects);
void election_on_stop (election_t *self, int64_t now_ns, adr_effects_t *effects);
void election_on_release (election_t *self, const adr_event_t *event, adr_effects_t *effects);
void election_on_stand (election_t *self, const adr_event_t *event, adr_effects_t *effects);

#endif
