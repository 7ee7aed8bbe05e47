/* SPDX-License-Identifier: MPL-2.0 */
/* edge_router: what operators ask nodes to do. It is passed on to that node's actor under a number of our own, and the answer
 * back. Nothing is tried again here: the asker repeats its question, which finds its place again, and ends it at its own limit;
 * the place of one that was not answered is taken by another then. See edge_router.c. Implements EDGE-7. */

#include "actors/edge_router_private.h"

#define S_DENIED_NS (1000 * ADR_MS)

static const adr_bytes_t s_nothing;

static void
s_answer (edge_router_t *self, adr_address_t asker, uint64_t number, adr_status_t status, const char *text)
{
    Adr__ControlAnswer answer = ADR__CONTROL_ANSWER__INIT;
    answer.number = number;
    answer.status = status;
    answer.text = (char *) text;
    self->effects->send (self->effects, asker, ADR__KIND__CONTROL_ANSWER, &answer.base, s_nothing);
}

/* The place of that very question, else one that nobody waits in; NULL: there are too many. */
static edge_control_t *
s_place (edge_router_t *self, adr_address_t asker, uint64_t number)
{
    edge_control_t *free = NULL;
    for (size_t i = 0; i < CONTROLS_MAX; i++) {
        edge_control_t *control = &self->control[i];
        if (control->limit_ns > self->now_ns && control->asker_number == number
            && adr_id_equal (&control->asker.node, &asker.node))
            return control;
        if (control->limit_ns <= self->now_ns && free == NULL)
            free = control;
    }
    return free;
}

/* The PKI node that a change of the registry goes to: our own zone's first, another one when it is asked again; never the one that
 * it is about. */
static const adr_map_node_t *
s_choose_pki (const edge_router_t *self, const adr_id_t *about, uint32_t tries)
{
    const adr_map_node_t *own = adr_map_node (self->map, &self->environment->node), *found[ADR_ZONES_MAX];
    uint32_t count = 0;
    for (uint32_t i = 0; i < self->map->node_count && count < ADR_ZONES_MAX; i++) {
        const adr_map_node_t *node = &self->map->node[i];
        if (node->type != ADR_NODE_PKI || node->evicted || adr_id_equal (&node->id, about))
            continue;
        found[count++] = node;
        if (own && adr_id_equal (&node->zone, &own->zone)) { /* first */
            found[count - 1] = found[0];
            found[0] = node;
        }
    }
    return count ? found[tries % count] : NULL;
}

/* [RECOVER-8] The PKI group's recovery goes to its survivor: nobody else could make it. */
static const adr_map_node_t *
s_choose_for_recovery (const edge_router_t *self, const Adr__Control *ask, uint32_t tries)
{
    static const adr_id_t s_nobody;
    adr_recovery_t statement;
    if (!adr_recovery_decode (&statement, adr_bytes (ask->recovery.data, ask->recovery.len)))
        return s_choose_pki (self, &s_nobody, tries); /* which says what is wrong with it */
    const adr_map_node_t *survivor = adr_map_node (self->map, &statement.survivor);
    return survivor && survivor->type == ADR_NODE_PKI ? survivor : s_choose_pki (self, &s_nobody, tries);
}

static bool
s_is_key (Adr__ControlAction action)
{
    return action >= ADR__CONTROL_ACTION__KEY_CREATE && action <= ADR__CONTROL_ACTION__KEY_REVOKE;
}

static bool
s_is_settings (Adr__ControlAction action)
{
    return action == ADR__CONTROL_ACTION__SETTINGS_SET || action == ADR__CONTROL_ACTION__SETTINGS_RESET;
}

/* Which node and actor it goes to; false: none. */
static bool
s_find_actor (const edge_router_t *self, const Adr__Control *ask, uint32_t tries, adr_address_t *to)
{
    adr_id_t id = adr_id_of (ask->node);
    const adr_map_node_t *node = adr_map_node (self->map, &id);
    bool nobody = ask->action == ADR__CONTROL_ACTION__TOKEN || ask->action == ADR__CONTROL_ACTION__TOKEN_WITHDRAW
                  || ask->action == ADR__CONTROL_ACTION__GROUP_CREATE || s_is_key (ask->action) || s_is_settings (ask->action); /* these are about no node */
    bool shows = ask->action == ADR__CONTROL_ACTION__RECOVER_SHOW;
    bool changes = ask->action >= ADR__CONTROL_ACTION__EVICT && !shows;
    if (ask->action == ADR__CONTROL_ACTION__RECOVER)
        node = s_choose_for_recovery (self, ask, tries);
    else if (changes && (node || nobody))
        node = s_choose_pki (self, &id, tries);
    if (node == NULL || node->type == ADR_NODE_EDGE)
        return false;
    *to = (adr_address_t){ node->id, changes                                     ? ADR_ACTOR_CERT_SIGNER
                                     : shows                                     ? ADR_ACTOR_REPLICATOR
                                     : ask->action == ADR__CONTROL_ACTION__SCRUB ? ADR_ACTOR_SCRUBBER
                                                                                 : ADR_ACTOR_INVENTORY_SYNCER };
    return true;
}

/* [USER-2] */
static bool
s_may (adr_node_type_t role, Adr__ControlAction action)
{
    switch (action) {
    case ADR__CONTROL_ACTION__REPAIR_RUN:
    case ADR__CONTROL_ACTION__REPAIR_PAUSE:
    case ADR__CONTROL_ACTION__SCRUB:
    case ADR__CONTROL_ACTION__DEMOTE:
    case ADR__CONTROL_ACTION__PROMOTE:
        return role == ADR_NODE_OPERATOR || role == ADR_NODE_ADMIN;
    default:
        return role == ADR_NODE_ADMIN;
    }
}

/* One line a second: whoever likes can make them. */
void
edge_router_note_denied (edge_router_t *self, const adr_event_t *event, const char *why)
{
    if (self->denied_ns && self->now_ns - self->denied_ns < S_DENIED_NS)
        return;
    self->denied_ns = self->now_ns;
    adr_note (self->effects, ADR_LEVEL_WARNING, "%s %s asks for what its role may not -> denied: %s", adr_node_type_name (event->message.from_type),
              event->message.user ? event->message.user : "of no name", why);
}

/* [EDGE-7] */
void
edge_router_on_control (edge_router_t *self, const adr_event_t *event)
{
    Adr__Control ask = *(const Adr__Control *) event->message.header;
    adr_address_t asker = event->message.from;
    adr_address_t to;
    if (!s_may (event->message.from_type, ask.action)) {
        const char *why = s_may (ADR_NODE_OPERATOR, ask.action) ? "this is for operators and admins" : "this is for admins";
        ADR_MARK ("edge: a user's role does not let him do it");
        edge_router_note_denied (self, event, why);
        s_answer (self, asker, ask.number, ADR_STATUS_DENIED, why);
        return;
    }
    if (!s_find_actor (self, &ask, 0, &to) || ask.limit_ms == 0 || ask.limit_ms > ADR_REQUEST_TIME_MAX_MS) {
        s_answer (self, asker, ask.number, ADR_STATUS_INVALID, "no such node that holds copies, or a limit outside 1 to 60000 ms");
        return;
    }
    edge_control_t *control = s_place (self, asker, ask.number);
    if (control == NULL) {
        ADR_MARK ("edge: too many operators' questions wait");
        s_answer (self, asker, ask.number, ADR_STATUS_REFUSED, "busy: too many such questions wait for their answers");
        return;
    }
    bool again = control->limit_ns > self->now_ns;
    uint32_t tries = again ? control->tries + 1 : 0;
    (void) s_find_actor (self, &ask, tries, &to);
    *control = (edge_control_t){ ++self->control_number, asker, ask.number, to.node, self->now_ns + ask.limit_ms * ADR_MS, tries };
    ask.base.n_unknown_fields = 0;
    ask.number = control->number;
    ask.asker = adr_id_view (&asker.node);
    ask.asker_name = (char *) (event->message.user ? event->message.user : ""); /* [USER-5] */
    ask.users_known = event->message.users_known;
    self->effects->send (self->effects, to, ADR__KIND__CONTROL, &ask.base, s_nothing);
}

void
edge_router_on_control_answer (edge_router_t *self, const adr_event_t *event)
{
    Adr__ControlAnswer answer = *(const Adr__ControlAnswer *) event->message.header;
    for (size_t i = 0; i < CONTROLS_MAX; i++) {
        edge_control_t *control = &self->control[i];
        if (control->limit_ns <= self->now_ns || control->number != answer.number
            || !adr_id_equal (&control->node, &event->message.from.node))
            continue;
        answer.base.n_unknown_fields = 0;
        answer.number = control->asker_number;
        self->effects->send (self->effects, control->asker, ADR__KIND__CONTROL_ANSWER, &answer.base, s_nothing);
        control->limit_ns = 0;
        return;
    }
    self->dropped++;
}
