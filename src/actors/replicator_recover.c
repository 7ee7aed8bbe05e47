/* SPDX-License-Identifier: MPL-2.0 */
/* What a replicator does when its group has lost its quorum for good, and the root names it as the only voter. Makes durable: `recovery`
 * (number and term, u64 each), before its log has the voters entry of that term. Assumes: a registry that was taken was judged, with its
 * statements. Implements RECOVER-2, RECOVER-3, RECOVER-6, RECOVER-8 (the survivor), RECOVER-11.
 *
 *     a registry, or RECOVER_ASK of a PKI node ──▶ number and term, fence: durable ──▶ voters entry ──▶ elected by itself
 *                                                        ▲                                 │
 *                                                        └──── a start finds it begun ─────┘ */

#include "actors/replicator_private.h"

#include <stdio.h>

/* No term that the lost ones may have voted in is ever reached by theirs, nor theirs by it. */
#define S_TERMS (UINT64_C (1) << 20)
#define S_STATE_SIZE 16

static const adr_bytes_t s_nothing;

/* --- whether it may be -------------------------------------------------------------------------------------------- */

/* NULL, or why this copy cannot go on alone, whatever anybody signs. */
static const char *
s_unfit (const replicator_t *self)
{
    adr_position_t last = adr_store_last (self->store);
    if (adr_store_sync (self->store) == ADR_SYNC_COPYING || adr_store_sync_begins (self->store))
        return "this copy is being made anew: it is not whole";
    if (adr_store_missing_from (self->store) != 0)
        return "entries of this log are missing: it is not whole";
    if (adr_store_is_lossy (self->store) || adr_store_index_is_lost (self->store))
        return "rows of this copy are lost: start its node again, which makes them anew of its journal";
    if (last.index == adr_store_log_start (self->store).index)
        return "this log is empty: it is a newcomer's";
    if (adr_store_synced (self->store) < last.index)
        return "this log waits for its disk: ask again";
    return NULL;
}

/* NULL, or why this statement is none for this copy to carry out. */
static const char *
s_refusal (const replicator_t *self, const adr_recovery_t *statement)
{
    const adr_environment_t *environment = self->environment;
    const char *unfit = s_unfit (self);
    if (!adr_id_equal (&statement->survivor, &environment->node) || !adr_id_equal (&statement->group, &environment->group))
        return "the statement names another node, or another group";
    if (statement->incarnation != environment->incarnation)
        return "this node has forgotten what it was when the statement was made: it is another incarnation";
    if (statement->number < self->recovery.number)
        return "a recovery of a higher number was carried out here";
    if (unfit)
        return unfit;
    if (adr_position_compare (statement->end, adr_store_last (self->store)) != 0)
        return "the log's end has moved since: ask again with `recover show`";
    return self->fence > ADR_TERM_MAX - S_TERMS - 1 ? "there are no terms left" : NULL;
}

/* [RECOVER-11] It leads, or hears who does. */
static bool
s_has_master (const replicator_t *self)
{
    return self->role != ROLE_MEMBER || replicator_evidence_fresh (self);
}

/* [RECOVER-6] Whoever came in after the recovery may vote by now: a disk that was put back as it was before it must not go on alone once
 * more, in the same terms. */
static bool
s_others_came (const replicator_t *self)
{
    const adr_map_node_t *nodes[PEERS_MAX];
    return self->recovery.by_registry && adr_map_group_nodes (self->map, &self->environment->group, nodes, PEERS_MAX) > 1;
}

/* --- steps ---------------------------------------------------------------------------------------------------------- */

/* [RECOVER-6] What the lost ones had committed behind this log's end is none of this group's any more, and its indexes come again: heard of
 * as committed or unlocked, other entries would be applied, or shown, before they are. */
static void
s_forget_what_is_lost (replicator_t *self)
{
    uint64_t last = adr_store_last (self->store).index;
    self->commit_heard = adr_store_commit (self->store);
    if (self->unlocked > last)
        self->unlocked = last;
    adr_store_forget_unlocked (self->store);
}

/* [RECOVER-6] 1. */
static void
s_begin (replicator_t *self)
{
    uint8_t stored[S_STATE_SIZE];
    const adr_recovery_t *statement = &self->recovery.statement;
    const char *why = s_others_came (self) ? "other nodes came in since: it was carried out, and this disk is older; else ask for another one"
                                           : s_refusal (self, statement);
    if (why) {
        if (self->recovery.refused != statement->number)
            adr_note (self->effects, ADR_LEVEL_ERROR, "recovery %llu names this node -> not carried out: %s",
                      (unsigned long long) statement->number, why);
        self->recovery.refused = statement->number;
        return;
    }
    uint64_t last = adr_store_last (self->store).term;
    self->recovery.number = statement->number;
    self->recovery.term = (self->fence > last ? self->fence : last) + S_TERMS;
    self->recovery.durable = false;
    adr_put_u64 (stored, self->recovery.number);
    adr_put_u64 (stored + 8, self->recovery.term);
    adr_note (self->effects, ADR_LEVEL_WARNING, "recovery %llu names this node as the only voter -> goes on alone behind entry %llu, term=%llu",
              (unsigned long long) statement->number, (unsigned long long) statement->end.index, (unsigned long long) self->recovery.term);
    self->effects->persist (self->effects, "recovery", adr_bytes (stored, sizeof stored), REPLICATOR_RECOVERY_TOKEN);
    replicator_raise_fence (self, self->recovery.term);
    s_forget_what_is_lost (self);
}

/* What it appends is no master's entry yet: it is elected by it. */
static void
s_fill_entry (replicator_t *self, adr_bytes_t voters)
{
    adr_entry_t *entry = &self->entry;
    *entry = (adr_entry_t){ .kind = ADR_ENTRY_VOTERS, .term = self->recovery.term, .index = adr_store_last (self->store).index + 1,
                            .epoch = self->epoch, .op_count = 1 };
    entry->time_ms = self->time_last_ms ? self->time_last_ms : (uint64_t) self->wall_ms;
    entry->op[0] = (adr_op_t){ .table = ADR_TABLE_GROUP, .key = adr_bytes ("voters", 6), .value = voters };
    adr_value_digest (voters, entry->op[0].digest);
}

/* [RECOVER-6] 2. */
static void
s_append_voters (replicator_t *self)
{
    uint8_t value[ADR_VOTERS_BYTES_MAX];
    const adr_voters_t *before = adr_store_voters (self->store);
    adr_voters_t alone = { .quorum = before->quorum, .map_epoch = replicator_voters_epoch (self, before), .count = 1 };
    alone.voter[0] = (adr_voter_t){ self->environment->node, self->environment->incarnation };
    s_fill_entry (self, adr_bytes (value, adr_voters_encode (&alone, value)));
    if (!adr_store_takes (self->store, &self->entry, true) || !adr_store_has_room (self->store))
        return; /* the next tick tries again */
    size_t size = adr_entry_size (&self->entry);
    adr_buffer_clear (&self->scratch);
    adr_entry_encode (&self->entry, adr_buffer_grow (&self->scratch, size));
    adr_store_append (self->store, &self->entry, adr_bytes (self->scratch.data, size));
    replicator_note_entry (self, &self->entry, size);
    replicator_waits_appended (self, &self->entry);
    adr_note (self->effects, ADR_LEVEL_NOTE, "the only voter -> voters entry %llu, term=%llu",
              (unsigned long long) self->entry.index, (unsigned long long) self->entry.term);
}

void
replicator_tend_recovery (replicator_t *self)
{
    const adr_recovery_t *statement = &self->recovery.statement;
    if (!self->recovery.wanted)
        return;
    if (statement->number > self->recovery.number)
        s_begin (self);
    if (statement->number != self->recovery.number || !self->recovery.durable)
        return;
    if (self->fence < self->recovery.term) /* a former life has come so far, and no further */
        replicator_raise_fence (self, self->recovery.term);
    if (self->fence_durable < self->recovery.term)
        return;
    adr_position_t last = adr_store_last (self->store);
    if (last.term < self->recovery.term && adr_position_compare (statement->end, last) == 0)
        s_append_voters (self);
    else
        self->recovery.wanted = false; /* it was done: nobody else appends below that term */
}

bool
replicator_recovery_is_ahead (const replicator_t *self)
{
    adr_recovery_t held;
    uint64_t number = adr_map_recovery (self->map, &self->environment->group, &held) ? held.number : 0;
    return self->recovery.number > number;
}

/* --- what it learns ------------------------------------------------------------------------------------------------- */

static void
s_want (replicator_t *self, const adr_recovery_t *statement, bool by_registry)
{
    self->recovery.statement = *statement;
    self->recovery.by_registry = by_registry;
    self->recovery.wanted = true;
}

void
replicator_recovery_learn (replicator_t *self)
{
    adr_recovery_t statement;
    if (adr_map_recovery (self->map, &self->environment->group, &statement)
        && adr_id_equal (&statement.survivor, &self->environment->node) && statement.incarnation == self->environment->incarnation
        && statement.number >= self->recovery.number)
        s_want (self, &statement, true);
}

void
replicator_recovery_open (replicator_t *self)
{
    uint8_t stored[S_STATE_SIZE];
    if (self->environment->state_get (self->environment->state, "recovery", stored, sizeof stored) == (int) sizeof stored) {
        self->recovery.number = adr_get_u64 (stored);
        self->recovery.term = adr_get_u64 (stored + 8);
        self->recovery.durable = true;
    }
    replicator_recovery_learn (self);
}

/* --- what it is asked ----------------------------------------------------------------------------------------------- */

static void
s_answer (replicator_t *self, const adr_event_t *event, adr_status_t status, const char *text, Adr__Survivor *survivor)
{
    Adr__ControlAnswer answer = ADR__CONTROL_ANSWER__INIT;
    answer.number = ((const Adr__Control *) event->message.header)->number;
    answer.status = status;
    answer.text = (char *) text;
    answer.survivor = survivor;
    self->effects->send (self->effects, event->message.from, ADR__KIND__CONTROL_ANSWER, &answer.base, s_nothing);
}

static void
s_show (replicator_t *self, const adr_event_t *event)
{
    static const adr_id_t s_none;
    adr_voter_set_t set;
    Adr__Survivor survivor = ADR__SURVIVOR__INIT;
    adr_position_t last = adr_store_last (self->store);
    const char *unfit = s_unfit (self);
    bool led = s_has_master (self);
    const adr_id_t *master = !led ? &s_none : self->role != ROLE_MEMBER ? &self->environment->node : &self->master;
    survivor.incarnation = self->environment->incarnation;
    survivor.last_term = last.term;
    survivor.last_index = last.index;
    survivor.number = self->recovery.number;
    survivor.state = self->state;
    survivor.voters = adr_voter_set_fill (&set, adr_store_voters (self->store));
    survivor.map_epoch = self->map->epoch;
    survivor.whole = unfit == NULL;
    if (!adr_id_is_none (master))
        survivor.master = adr_id_view (master);
    s_answer (self, event, ADR_STATUS_OK, unfit ? unfit : replicator_is_exact (self) ? "whole" : "whole, not proven to be exact", &survivor);
}

/* [RECOVER-1, RECOVER-8] Whoever brings it: the root's signature is believed. The PKI group has nobody who could commit a registry
 * first, and so begins at once. */
static void
s_on_ask (replicator_t *self, const adr_event_t *event, adr_bytes_t bytes)
{
    adr_recovery_t statement;
    adr_bytes_t root = adr_bytes (self->map->root_certificate, self->map->root_certificate_size);
    if (!adr_recovery_decode (&statement, bytes) || !adr_recovery_verify (&statement, root)
        || !adr_id_equal (&statement.cluster, &self->map->cluster)) {
        s_answer (self, event, ADR_STATUS_DENIED, "the root of this cluster has not signed that", NULL);
        return;
    }
    uint64_t term;
    bool begun = statement.number == self->recovery.number && adr_id_equal (&statement.survivor, &self->environment->node)
                 && statement.incarnation == self->environment->incarnation
                 && adr_store_term_at (self->store, statement.end.index + 1, &term) && term == self->recovery.term; /* behind this very end */
    const char *why = begun ? NULL : s_refusal (self, &statement);
    if (!begun && why == NULL && s_has_master (self))
        why = "its group has a master: it has not lost its quorum";
    if (why == NULL && self->environment->type == ADR_NODE_PKI) {
        s_want (self, &statement, false);
        replicator_tend_recovery (self);
    }
    s_answer (self, event, why ? ADR_STATUS_REFUSED : ADR_STATUS_OK, why ? why : "it goes on alone", NULL);
}

void
replicator_on_control (replicator_t *self, const adr_event_t *event)
{
    const Adr__Control *control = (const Adr__Control *) event->message.header;
    if (control->action == ADR__CONTROL_ACTION__RECOVER_SHOW)
        s_show (self, event);
    else if (control->action == ADR__CONTROL_ACTION__RECOVER_ASK && event->message.from.actor == ADR_ACTOR_CERT_SIGNER)
        s_on_ask (self, event, adr_bytes (control->recovery.data, control->recovery.len));
    else
        s_answer (self, event, ADR_STATUS_INVALID, "nothing that a replicator does", NULL);
}
