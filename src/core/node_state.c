/* SPDX-License-Identifier: MPL-2.0 */
/* The six states of a node: see node_state.h. */

#include "core/node_state.h"

#define S_SET(state) (1u << ADR_STATE_##state)
#define S_OFFLINE S_SET (OFFLINE)
#define S_READY S_SET (ONLINE_READY)
#define S_STANDBY S_SET (ONLINE_STANDBY)
#define S_DEGRADED S_SET (ONLINE_DEGRADED)
#define S_SHEDDING S_SET (ONLINE_SHEDDING)
#define S_EVICTED S_SET (EVICTED)
#define S_ONLINE (S_READY | S_STANDBY | S_DEGRADED | S_SHEDDING)

/* [STATE-1] A node starts as a standby: it has to prove all else.
 *
 *                               CAUGHT_UP
 *              STARTED           ------>
 *     offline ---------> standby         ready
 *                         ^   |  <------  |  ^
 *                         |   |  why not  |  |
 *                 why not |   | disk      |  | DISK_IS_WELL
 *                         |   v      disk v  |
 *                         +----- degraded ---+
 *
 *     why not: ENTRIES_MISSING, SYNCING, NO_VOTER, EVIDENCE_LOST, BEHIND, NOT_SETTLED
 *     disk: DISK_NEARLY_FULL, DISK_FULL, DISK_SLOW; and SILENT, from shedding, too
 *
 *                                LEAVING                           EVICTED
 *     standby, ready, degraded ----------> shedding     any other ---------> evicted
 *                              <----------
 *                               HANDED_OVER
 *
 * A master sees of another node only whether it is heard, and what it says of itself: offline and any online state
 * follow each other (UNHEARD, HEARD), and between two online ones it may have missed some (TOLD). Nothing leads out of
 * evicted: the identity has ended [TRUST-3]. */
static const struct {
    unsigned from, to; /* sets of states: from each of these to each other one of those */
    const char *reason;
} s_moves[ADR_TRIGGER_COUNT] = {
    [ADR_TRIGGER_NONE] = { 0, 0, "stays as it is" },
    [ADR_TRIGGER_STARTED] = { S_OFFLINE, S_STANDBY, "starts, and has to catch up" },
    [ADR_TRIGGER_CAUGHT_UP] = { S_STANDBY, S_READY, "a voter that is caught up and settled" },
    [ADR_TRIGGER_DISK_IS_WELL] = { S_DEGRADED, S_READY, "the disk has space, and is quick" },
    [ADR_TRIGGER_DISK_SLOW] = { S_READY | S_STANDBY, S_DEGRADED, "the disk is slow" },
    [ADR_TRIGGER_DISK_NEARLY_FULL] = { S_READY | S_STANDBY, S_DEGRADED, "the disk is at its first mark" },
    [ADR_TRIGGER_DISK_FULL] = { S_READY | S_STANDBY, S_DEGRADED, "the disk is at its second mark" },
    [ADR_TRIGGER_ENTRIES_MISSING] = { S_READY | S_DEGRADED, S_STANDBY, "entries of the log are missing" },
    [ADR_TRIGGER_SYNCING] = { S_READY | S_DEGRADED, S_STANDBY, "the copy is being mended" },
    [ADR_TRIGGER_NO_VOTER] = { S_READY | S_DEGRADED, S_STANDBY, "no voter" },
    [ADR_TRIGGER_EVIDENCE_LOST] = { S_READY | S_DEGRADED, S_STANDBY, "evidence of the master lost" },
    [ADR_TRIGGER_BEHIND] = { S_READY | S_DEGRADED, S_STANDBY, "behind what its master has committed" },
    [ADR_TRIGGER_NOT_SETTLED] = { S_READY | S_DEGRADED, S_STANDBY, "mended, and not settled yet" },
    [ADR_TRIGGER_LEAVING] = { S_READY | S_STANDBY | S_DEGRADED, S_SHEDDING, "hands over what it leads" },
    [ADR_TRIGGER_HANDED_OVER] = { S_SHEDDING, S_READY | S_STANDBY | S_DEGRADED, "what it led is handed over" },
    [ADR_TRIGGER_SILENT] = { S_READY | S_STANDBY | S_SHEDDING, S_DEGRADED, "its replicator is silent" },
    [ADR_TRIGGER_TOLD] = { S_ONLINE, S_ONLINE, "says so itself" },
    [ADR_TRIGGER_UNHEARD] = { S_ONLINE, S_OFFLINE, "evidence of it lost, it answers no polls" },
    [ADR_TRIGGER_HEARD] = { S_OFFLINE, S_ONLINE, "answers polls again" },
    [ADR_TRIGGER_EVICTED] = { S_OFFLINE | S_ONLINE, S_EVICTED, "evicted" },
};

/* What must be known of a node besides its state for an effect. */
enum {
    S_NO = 0,
    S_YES = 1u << 0,
    S_IF_VOTER = 1u << 1,
    S_IF_WHOLE = 1u << 2,      /* no entries missing, not syncing */
    S_IF_SPACE = 1u << 3,      /* its disk is not at the second mark */
    S_IF_FIRST_MARK = 1u << 4, /* degraded by its disk's first mark alone: as good as ready [STORE-11] */
};

/* A standby that has merely lost its master's evidence stands, or nobody would be elected; one with a hole in its log
 * does not [STORE-5]. What a read, the unlock set or an election asks on top of this is their own rules' business. */
static const unsigned char s_effects[ADR_STATE_COUNT][ADR_EFFECT_COUNT] = {
    /* local reads, strong reads, counts, stands, succeeds, mends, is routed to first */
    [ADR_STATE_OFFLINE] = { S_NO, S_NO, S_NO, S_NO, S_NO, S_NO, S_NO },
    [ADR_STATE_ONLINE_READY] = { S_YES, S_YES, S_YES, S_IF_VOTER | S_IF_WHOLE, S_IF_SPACE, S_YES, S_YES },
    [ADR_STATE_ONLINE_STANDBY] = { S_NO, S_IF_WHOLE, S_NO, S_IF_VOTER | S_IF_WHOLE, S_NO, S_NO, S_NO },
    [ADR_STATE_ONLINE_DEGRADED] = { S_IF_FIRST_MARK, S_IF_WHOLE, S_IF_FIRST_MARK, S_IF_VOTER | S_IF_WHOLE,
                                    S_IF_FIRST_MARK, S_NO, S_NO },
    [ADR_STATE_ONLINE_SHEDDING] = { S_NO, S_NO, S_NO, S_IF_VOTER | S_IF_WHOLE, S_NO, S_NO, S_NO },
    [ADR_STATE_EVICTED] = { S_NO, S_NO, S_NO, S_NO, S_NO, S_NO, S_NO },
};

bool
adr_node_state_is_online (adr_node_state_t state)
{
    return (unsigned) state < ADR_STATE_COUNT && (S_ONLINE & 1u << state);
}

bool
adr_node_state_may_move (adr_node_state_t from, adr_node_state_t to, adr_node_state_trigger_t trigger)
{
    adr_assert ((unsigned) from < ADR_STATE_COUNT && (unsigned) to < ADR_STATE_COUNT);
    adr_assert ((unsigned) trigger < ADR_TRIGGER_COUNT);
    return from != to && (s_moves[trigger].from & 1u << from) && (s_moves[trigger].to & 1u << to);
}

const char *
adr_node_state_reason (adr_node_state_trigger_t trigger)
{
    adr_assert ((unsigned) trigger < ADR_TRIGGER_COUNT);
    return s_moves[trigger].reason;
}

/* Why the node is no better than it is; the first that holds decides. */
static adr_node_state_trigger_t
s_why (const adr_node_state_facts_t *facts)
{
    if (facts->evicted)
        return ADR_TRIGGER_EVICTED;
    if (facts->silent)
        return ADR_TRIGGER_SILENT;
    if (facts->leaving)
        return ADR_TRIGGER_LEAVING;
    if (facts->space >= ADR_SPACE_SECOND_MARK)
        return ADR_TRIGGER_DISK_FULL;
    if (facts->entries_missing)
        return ADR_TRIGGER_ENTRIES_MISSING;
    if (facts->syncing)
        return ADR_TRIGGER_SYNCING;
    if (!facts->voter)
        return ADR_TRIGGER_NO_VOTER;
    if (facts->evidence_lost)
        return ADR_TRIGGER_EVIDENCE_LOST;
    if (!facts->caught_up)
        return ADR_TRIGGER_BEHIND;
    if (!facts->settled)
        return ADR_TRIGGER_NOT_SETTLED;
    if (facts->slow)
        return ADR_TRIGGER_DISK_SLOW;
    return facts->space == ADR_SPACE_OK ? ADR_TRIGGER_CAUGHT_UP : ADR_TRIGGER_DISK_NEARLY_FULL;
}

/* Where a reason that s_why gives leads, wherever from. */
static adr_node_state_t
s_target (adr_node_state_trigger_t why)
{
    return (adr_node_state_t) __builtin_ctz (s_moves[why].to);
}

/* The reason of the move is what has changed, where that is not what keeps the node from being better. */
static adr_node_state_trigger_t
s_trigger (adr_node_state_t from, adr_node_state_trigger_t why)
{
    if (from == ADR_STATE_ONLINE_SHEDDING && why != ADR_TRIGGER_EVICTED && why != ADR_TRIGGER_SILENT)
        return ADR_TRIGGER_HANDED_OVER;
    if (from == ADR_STATE_ONLINE_DEGRADED && why == ADR_TRIGGER_CAUGHT_UP)
        return ADR_TRIGGER_DISK_IS_WELL;
    return why;
}

adr_node_state_t
adr_node_state_next (adr_node_state_t current, const adr_node_state_facts_t *facts, adr_node_state_trigger_t *trigger)
{
    adr_node_state_trigger_t why = s_why (facts);
    adr_node_state_t next = s_target (why);
    *trigger = ADR_TRIGGER_NONE;
    if (next == current || current == ADR_STATE_EVICTED)
        return current;
    if (current == ADR_STATE_OFFLINE && why != ADR_TRIGGER_EVICTED) {
        next = ADR_STATE_ONLINE_STANDBY;
        *trigger = ADR_TRIGGER_STARTED;
    } else
        *trigger = s_trigger (current, why);
    adr_assert (adr_node_state_may_move (current, next, *trigger));
    return next;
}

adr_node_state_t
adr_node_state_seen (adr_node_state_t current, adr_node_state_t told, bool heard, adr_node_state_trigger_t *trigger)
{
    adr_node_state_t next = heard && adr_node_state_is_online (told) ? told : ADR_STATE_OFFLINE;
    *trigger = ADR_TRIGGER_NONE;
    if (next == current || current == ADR_STATE_EVICTED)
        return current;
    *trigger = next == ADR_STATE_OFFLINE      ? ADR_TRIGGER_UNHEARD
               : current == ADR_STATE_OFFLINE ? ADR_TRIGGER_HEARD
                                              : ADR_TRIGGER_TOLD;
    adr_assert (adr_node_state_may_move (current, next, *trigger));
    return next;
}

bool
adr_node_state_has (adr_node_state_t state, adr_node_state_effect_t effect, const adr_node_state_facts_t *facts)
{
    adr_assert ((unsigned) effect < ADR_EFFECT_COUNT);
    if ((unsigned) state >= ADR_STATE_COUNT) /* a peer may say anything */
        return false;
    unsigned asked = s_effects[state][effect], known = S_YES;
    if (facts) {
        known |= facts->voter ? S_IF_VOTER : 0u;
        known |= facts->entries_missing || facts->syncing ? 0u : S_IF_WHOLE;
        known |= facts->space < ADR_SPACE_SECOND_MARK ? S_IF_SPACE : 0u;
        known |= facts->space == ADR_SPACE_FIRST_MARK && !facts->slow ? S_IF_FIRST_MARK : 0u;
    }
    return asked != S_NO && (asked & ~known) == 0;
}
