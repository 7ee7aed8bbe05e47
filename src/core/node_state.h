/* SPDX-License-Identifier: MPL-2.0 */
/* The six states of a node: which may follow which and why, and what each means to others. Values only: whoever knows
 * facts of a node brings them, and does with the answer what is its own to do. docs/protocol/node_states.md */

#ifndef ADR_NODE_STATE_H
#define ADR_NODE_STATE_H

#include "core/base.h"

/* What a node observes of itself. */
typedef struct {
    adr_space_t space;
    bool voter;           /* by the newest voters entry of its log, under its present incarnation */
    bool caught_up;       /* holds what its master has committed; a master: its opening entry is committed */
    bool settled;         /* has kept up for the settle time since it was mended */
    bool evidence_lost;   /* a member: nothing says that its master is one, or what that said is too old [READ-5] */
    bool entries_missing; /* its log has a hole that a peer must fill [STORE-5] */
    bool syncing;         /* sick: its copy is being mended from a peer [REPAIR-5] */
    bool slow;            /* what it appended waits for its disk for longer than a maximum election timeout, or did lately */
    bool leaving;         /* hands over what it leads, or is being drained */
    bool silent;          /* its health-checker has not heard its replicator for a minimum election timeout */
    bool evicted;         /* its node is no longer in the registry, or marked so there */
} adr_node_state_facts_t;

/* Why a state was left for another. */
typedef enum {
    ADR_TRIGGER_NONE, /* it was not */
    ADR_TRIGGER_STARTED,
    ADR_TRIGGER_CAUGHT_UP,
    ADR_TRIGGER_DISK_IS_WELL,
    ADR_TRIGGER_DISK_SLOW,
    ADR_TRIGGER_DISK_NEARLY_FULL,
    ADR_TRIGGER_DISK_FULL,
    ADR_TRIGGER_ENTRIES_MISSING,
    ADR_TRIGGER_SYNCING,
    ADR_TRIGGER_NO_VOTER,
    ADR_TRIGGER_EVIDENCE_LOST,
    ADR_TRIGGER_BEHIND,
    ADR_TRIGGER_NOT_SETTLED,
    ADR_TRIGGER_LEAVING,
    ADR_TRIGGER_HANDED_OVER,
    ADR_TRIGGER_SILENT,
    ADR_TRIGGER_TOLD,    /* this one and the next two: what a master sees of another node */
    ADR_TRIGGER_UNHEARD,
    ADR_TRIGGER_HEARD,
    ADR_TRIGGER_EVICTED,
    ADR_TRIGGER_COUNT
} adr_node_state_trigger_t;

/* What a state means to others. */
typedef enum {
    ADR_EFFECT_LOCAL_READS,  /* may answer them from its own copy */
    ADR_EFFECT_STRONG_READS, /* may answer them once it has applied the read index */
    ADR_EFFECT_COUNTS,       /* belongs to the unlock set if it keeps up [READ-4] */
    ADR_EFFECT_STANDS,       /* may call and stand */
    ADR_EFFECT_SUCCEEDS,     /* may be handed a mastership */
    ADR_EFFECT_MENDS,        /* is a source of repair [REPAIR-2] */
    ADR_EFFECT_ROUTED_FIRST, /* edges ask it before others */
    ADR_EFFECT_COUNT
} adr_node_state_effect_t;

/* The state of a node that is in `current` and observes these facts. *trigger: of the move, NONE if it stays. Never a
 * move that the table does not allow. */
adr_node_state_t adr_node_state_next (adr_node_state_t current, const adr_node_state_facts_t *facts,
                                      adr_node_state_trigger_t *trigger);
/* The state of another node, as its master sees it: heard lately or not, and if so `told` is what it says of itself.
 * Whoever says that it is not online talks nonsense, and is as good as not heard. */
adr_node_state_t adr_node_state_seen (adr_node_state_t current, adr_node_state_t told, bool heard,
                                      adr_node_state_trigger_t *trigger);
/* True if the table has this move for this reason. */
bool adr_node_state_may_move (adr_node_state_t from, adr_node_state_t to, adr_node_state_trigger_t trigger);
/* The reason as a sentence for the log; lent for ever. */
const char *adr_node_state_reason (adr_node_state_trigger_t trigger);
bool adr_node_state_is_online (adr_node_state_t state);
/* True if a node in this state, of which these facts are known, has the effect. Without facts (NULL): if the state
 * alone gives it. No state gives none. */
bool adr_node_state_has (adr_node_state_t state, adr_node_state_effect_t effect, const adr_node_state_facts_t *facts);

#endif
