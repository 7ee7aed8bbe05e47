/* SPDX-License-Identifier: MPL-2.0 */
/* The checkers of the elections' rules [ELECT]: facts of the protocol, seen in what actors say to each other, on one
 * node and over the network. A broken rule shows here at once; waiting for what follows from it, a stale read or two
 * masters, may take a thousand seeds.
 *
 * Times are the world's. What a node said is kept over its restarts, for as long as it has the same incarnation. */

#ifndef ADR_SIM_CHECK_ELECT_H
#define ADR_SIM_CHECK_ELECT_H

#include "check.h"

/* Who did it, and when. */
typedef struct {
    int node;
    uint64_t incarnation, boot;
    int64_t now_ns;
} sim_who_t;

/* --- check_promises.c: ELECT-1, what an answered poll binds, and the leases that rest on it ---------------------- */

#define SIM_PROMISES_KEPT 4
typedef struct {
    uint64_t term;
    int master;
    int lifted_for; /* the successor that the master named; -1: nobody */
    int64_t until_ns;
} sim_promise_t;

typedef struct {
    uint64_t term, round;
    int master;
    uint32_t promise_ms;
    int64_t until_ns;
} sim_round_t;

#define SIM_ROUNDS_KEPT 512
typedef struct {
    uint64_t incarnation, boot;
    sim_promise_t promise[SIM_PROMISES_KEPT]; /* newest first */
    uint64_t former; /* the incarnation before, and what it promised: nobody votes in its name any more */
    sim_promise_t former_promise[SIM_PROMISES_KEPT];
    sim_round_t seen[SIM_ROUNDS_KEPT], noted[SIM_ROUNDS_KEPT]; /* rings of what was polled since its start */
    uint32_t seen_count, noted_count;
    int64_t perhaps_until_ns; /* to whom a poll came that election may have noted and not answered */
    uint64_t leads;           /* the term; 0: none */
    int successor;            /* whom it released the others for; -1: nobody */
    uint64_t lease_term;      /* what its replicator knows: the term it leads in, ... */
    struct {
        uint64_t incarnation;
        int64_t until_ns;
    } lease[SIM_NODES_MAX],   /* ... until when each voter's newest answer holds up its lease, ... */
        heard[SIM_NODES_MAX]; /* ... and when each answered an append last */
} sim_bound_t;

typedef struct {
    sim_verdict_t *verdict;
    const adr_id_t *node_ids;
    int node_count;
    sim_bound_t node[SIM_NODES_MAX];
} sim_promises_t;

void sim_promises_init (sim_promises_t *self, sim_verdict_t *verdict, const adr_id_t *node_ids, int node_count);
/* A poll reaches the node's election; the promise that it asks for would end at `until_ns`. */
void sim_promises_seen (sim_promises_t *self, const sim_who_t *who, const sim_round_t *poll);
/* Election lets it be answered; `stored_ms` is the longest promise on disk. */
void sim_promises_noted (sim_promises_t *self, const sim_who_t *who, const sim_round_t *poll, uint64_t stored_ms);
/* The answer leaves the node. */
void sim_promises_answered (sim_promises_t *self, const sim_who_t *who, const sim_round_t *poll);
/* The master's word that lifts a promise for its successor reaches the node. */
void sim_promises_lifted (sim_promises_t *self, const sim_who_t *who, uint64_t term, int master, int successor);
/* The node leads in this term now; 0: no more. */
void sim_promises_leads (sim_promises_t *self, const sim_who_t *who, uint64_t term);
/* The node, a master, lets everybody choose this successor. */
void sim_promises_releases (sim_promises_t *self, const sim_who_t *who, int successor);
/* The node supports, votes for, or itself wants to be, this candidate. */
void sim_promises_favours (sim_promises_t *self, const sim_who_t *who, int candidate, const char *what);
/* Might the node be bound to somebody else, as far as can be seen from outside? */
bool sim_promises_perhaps_bound (sim_promises_t *self, const sim_who_t *who, int candidate);
/* The replicator of a master begins (or, with term 0, ends) a term's lease; an answered poll prolongs it. */
void sim_promises_lease (sim_promises_t *self, const sim_who_t *who, uint64_t term);
void sim_promises_prolongs (sim_promises_t *self, const sim_who_t *who, uint64_t term, int voter, uint64_t incarnation,
                            int64_t until_ns);
/* By the master's own reckoning: has a majority answered polls lately? */
bool sim_promises_quorum_answers (sim_promises_t *self, const sim_who_t *who, const adr_voters_t *voters);
/* A member answers an append; when a majority had done so. */
void sim_promises_confirms (sim_promises_t *self, const sim_who_t *who, int voter, uint64_t incarnation);
int64_t sim_promises_quorum_confirms (sim_promises_t *self, const sim_who_t *who, const adr_voters_t *voters);
/* The node read under its lease of this term at some moment since `since_ns`: a majority was bound to it then. */
void sim_promises_lease_used (sim_promises_t *self, const sim_who_t *who, uint64_t term, const adr_voters_t *voters,
                              int64_t since_ns);
/* Somebody is elected in `term`, and this node leads in a lower one: its lease must be over. */
void sim_promises_elected_beside (sim_promises_t *self, const sim_who_t *who, uint64_t term, const adr_voters_t *voters);

/* --- check_votes.c: ELECT-2 to 7, calls, fences, votes ------------------------------------------------------------ */

typedef struct {
    int node; /* -1: nobody */
    uint64_t incarnation;
} sim_candidate_t;

/* A call or a request for a vote, as it left its sender. */
typedef struct {
    uint64_t number; /* of a call */
    uint64_t term;   /* 0: none */
    adr_position_t last;
    adr_voters_t voters;
    uint64_t incarnation;
} sim_asked_t;

typedef struct {
    uint64_t number, incarnation, to_incarnation;
} sim_support_t;

typedef struct {
    uint64_t incarnation, boot;
    sim_candidate_t *vote; /* by term, of this incarnation */
    uint64_t vote_room, vote_max;
    uint64_t fence_asked, fence_heard; /* by, and of, its election since its start */
    uint32_t voters_heard;             /* as the newest VOTERS that reached it said; 0: none since its start */
    uint64_t fenced;                   /* the highest that its replicator answered */
    adr_position_t fenced_last;
    adr_voters_t fenced_voters;
    uint64_t stand_term;               /* a master told it to stand after this term */
    sim_asked_t call;                  /* its newest own */
    sim_support_t support[SIM_NODES_MAX]; /* that it was sent, as its votes */
    struct {
        uint64_t term, incarnation, to_incarnation;
    } grant[SIM_NODES_MAX];
    sim_asked_t call_of[SIM_NODES_MAX], request_of[SIM_NODES_MAX]; /* that reached it since its start */
    uint64_t append_term, append_last; /* what appends for this very life confirmed */
    bool append_any;
    struct {                           /* members that refuse its appends, and are sent the wrong ones again */
        uint64_t term, count;
        int64_t since_ns, last_ns;
    } refused[SIM_NODES_MAX];
} sim_voter_t;

typedef struct {
    sim_verdict_t *verdict;
    const adr_id_t *node_ids;
    int node_count;
    sim_voter_t node[SIM_NODES_MAX];
} sim_votes_t;

void sim_votes_init (sim_votes_t *self, sim_verdict_t *verdict, const adr_id_t *node_ids, int node_count);
void sim_votes_free (sim_votes_t *self);
/* What its replicator tells its election of its log: the fence, and the last entry's term. */
void sim_votes_told_fence (sim_votes_t *self, const sim_who_t *who, uint64_t fence, uint64_t last_term);
/* ... and that reached it: the fence, and how many voters there are. */
void sim_votes_heard_voters (sim_votes_t *self, const sim_who_t *who, uint64_t fence, uint32_t count);
/* Election asks for a fence. */
void sim_votes_asks_fence (sim_votes_t *self, const sim_who_t *who, uint64_t term);
/* The replicator has fenced: `stored` is the fence on disk, `synced` how far its log is. */
void sim_votes_fenced (sim_votes_t *self, const sim_who_t *who, uint64_t term, adr_position_t last,
                       const adr_voters_t *voters, uint64_t stored, uint64_t synced);
/* Election answers a poll of this term as its master's. */
void sim_votes_accepts (sim_votes_t *self, const sim_who_t *who, uint64_t term);
void sim_votes_calls (sim_votes_t *self, const sim_who_t *who, const sim_asked_t *call);
void sim_votes_call_came (sim_votes_t *self, const sim_who_t *who, int from, const sim_asked_t *call);
void sim_votes_supports (sim_votes_t *self, const sim_who_t *who, int caller, uint64_t number, uint64_t to_incarnation);
void sim_votes_told_to_stand (sim_votes_t *self, const sim_who_t *who, uint64_t term);
/* A vote is asked for, and so given to itself: `stored` is the vote on disk. */
void sim_votes_requests (sim_votes_t *self, const sim_who_t *who, const sim_asked_t *request, uint64_t stored_term,
                         int stored_for);
void sim_votes_request_came (sim_votes_t *self, const sim_who_t *who, int from, const sim_asked_t *request);
void sim_votes_grants (sim_votes_t *self, const sim_who_t *who, int candidate, uint64_t to_incarnation, uint64_t term,
                       uint64_t stored_term, int stored_for);
/* `excused`: it may be bound by a promise, or its vote on disk is of this term. */
void sim_votes_refuses (sim_votes_t *self, const sim_who_t *who, int candidate, uint64_t term, bool excused);
void sim_votes_elected (sim_votes_t *self, const sim_who_t *who, uint64_t term);
/* Appends and acknowledgements of the node's replicator. */
void sim_votes_sends_append (sim_votes_t *self, const sim_who_t *who, uint64_t term);
void sim_votes_append_came (sim_votes_t *self, const sim_who_t *who, uint64_t term, uint64_t incarnation, uint64_t last);
void sim_votes_sends_ack (sim_votes_t *self, const sim_who_t *who, uint64_t term, uint64_t confirmed);
/* What a master hears of its own term from a member's present life. */
void sim_votes_ack_came (sim_votes_t *self, const sim_who_t *who, int from);
void sim_votes_refusal_came (sim_votes_t *self, const sim_who_t *who, int from, uint64_t term);

/* --- check_voters.c: ELECT-7, ELECT-10, REPL-4, how the set of voters changes -------------------------------------- */

typedef struct {
    uint64_t incarnation, boot;
    adr_voters_t voters;
    uint64_t term, opening; /* of its mastership */
} sim_led_t;

typedef struct {
    sim_verdict_t *verdict;
    const sim_log_t *log; /* who holds what */
    int group_size;
    sim_led_t node[SIM_NODES_MAX];
} sim_changes_t;

void sim_changes_init (sim_changes_t *self, sim_verdict_t *verdict, const sim_log_t *log, int group_size);
/* The node leads from this index on. */
void sim_changes_leads (sim_changes_t *self, const sim_who_t *who, uint64_t term, uint64_t opening);
/* After each turn: the newest voters in the log of a node that leads in `term` (0: it does not), and its commit. */
void sim_changes_voters (sim_changes_t *self, const sim_who_t *who, uint64_t term, const adr_voters_t *voters,
                         uint64_t commit);

/* --- check_polls.c: ELECT-9, a master that is alive in parts only must not rule ------------------------------------ */

typedef struct {
    uint64_t incarnation, boot;
    uint64_t ping, ping_polled;
    uint64_t pong[2]; /* of election, of replicator */
    uint64_t term, round;
    uint64_t led, commit, last; /* after the last turn of its replicator */
    uint64_t resigned;          /* the term that its replicator wants to end */
    struct {
        int64_t since_ns, must_resign_ns;
        uint32_t turns;
    } stuck, silent;
} sim_alive_t;

typedef struct {
    sim_verdict_t *verdict;
    sim_alive_t node[SIM_NODES_MAX];
} sim_polls_t;

void sim_polls_init (sim_polls_t *self, sim_verdict_t *verdict);
void sim_polls_pings (sim_polls_t *self, const sim_who_t *who, uint64_t number);
void sim_polls_pong_came (sim_polls_t *self, const sim_who_t *who, bool of_replicator, uint64_t number);
void sim_polls_polls (sim_polls_t *self, const sim_who_t *who, uint64_t term, uint64_t round);
void sim_polls_resigns (sim_polls_t *self, const sim_who_t *who, uint64_t term);
/* After each turn of the replicator that leads in `term`: is an entry open, does a majority answer? It must resign when
 * that was so, and nothing was committed, for `limit_ns`. */
typedef struct {
    uint64_t term, commit, last;
    bool quorum_answers;  /* polls */
    int64_t confirmed_ns; /* when a majority had answered appends */
    int64_t limit_ns, silence_ns;
} sim_leading_t;
void sim_polls_leads (sim_polls_t *self, const sim_who_t *who, const sim_leading_t *now);

#endif
