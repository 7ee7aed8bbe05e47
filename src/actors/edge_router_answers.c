/* SPDX-License-Identifier: MPL-2.0 */
/* edge_router: what replicators answer, and whether it is the last word. See edge_router.c. Implements EDGE-3, EDGE-4,
 * EDGE-6. */

#include "actors/edge_router_private.h"

#include <stdio.h>

#define S_HINTS_AT_ONCE 3                    /* hints followed without a pause; more may be two nodes that disagree */

static void
s_remember_why (edge_request_t *request, const char *text)
{
    snprintf (request->why, sizeof request->why, "%s", text);
}

/* The request moves on to another node; `hint` is the master that the answer named. */
static void
s_go_on (edge_router_t *self, uint32_t place, int hint, bool at_once)
{
    edge_request_t *request = edge_router_place (self, place);
    bool follow = hint >= 0 && hint != request->last && request->hints < S_HINTS_AT_ONCE;
    if (follow) {
        request->hints++;
        request->next = hint;
    }
    edge_router_try_later (self, place, follow || at_once);
}

static void
s_pass_answer (edge_router_t *self, uint32_t place, const Adr__Answer *from, adr_bytes_t payload)
{
    edge_request_t *request = edge_router_place (self, place);
    const adr_route_group_t *group = edge_router_group (self, request);
    Adr__Answer answer = *from;
    answer.base.n_unknown_fields = 0;
    answer.number = request->asker_number;
    answer.endpoint = (char *) "";
    answer.token = edge_router_token (self);
    answer.draining = self->draining;
    if (request->kind == ADR__KIND__WRITE && group->master >= 0)
        answer.endpoint = (char *) group->node[group->master].endpoint;
    self->effects->send (self->effects, request->asker, ADR__KIND__ANSWER, &answer.base, payload);
    edge_router_give_place (self, place);
}

/* [EDGE-6] Only the asker knows whether it has tried elsewhere meanwhile; with the token of this answer it may ask again. */
static void
s_answer_unread (edge_router_t *self, uint32_t place, const char *text)
{
    edge_request_t *request = edge_router_place (self, place);
    ADR_MARK ("edge: a write's stamp is too old");
    Adr__Answer answer = ADR__ANSWER__INIT;
    answer.number = request->asker_number;
    answer.status = edge_request_surely_refused (request) ? ADR_STATUS_REFUSED : ADR_STATUS_UNKNOWN;
    answer.text = (char *) text;
    answer.unread = true;
    answer.token = edge_router_token (self);
    answer.draining = self->draining;
    self->effects->send (self->effects, request->asker, ADR__KIND__ANSWER, &answer.base, adr_bytes (NULL, 0));
    edge_router_give_place (self, place);
}

/* A write's answer that is not OK with an entry. True if it is the last word. */
static bool
s_write_is_over (const edge_request_t *request, const Adr__Answer *answer)
{
    switch ((adr_status_t) answer->status) {
    case ADR_STATUS_OK:
    case ADR_STATUS_CONFLICT:
        /* [EDGE-4] */
        return !answer->no_entry || edge_request_surely_refused (request) || ADR_PLANT (EDGE_4_VERDICT_WITH_OPEN_TRIES);
    case ADR_STATUS_INVALID:
    case ADR_STATUS_DENIED:
    case ADR_STATUS_FULL:
        return edge_request_surely_refused (request);
    case ADR_STATUS_REFUSED:
        return edge_request_surely_refused (request) && strncmp (answer->text, "busy", 4) == 0;
    case ADR_STATUS_UNKNOWN:
    case ADR_STATUS_NOT_FOUND:
    case ADR_STATUS_LOCKED:
    case ADR_STATUS_TIMEOUT:
    case ADR_STATUS_DAMAGED:
    case ADR_STATUS_NOT_MASTER:
    case ADR_STATUS_COUNT:
        return false;
    }
    return false;
}

/* True if the answer promises that this try has not been done and never will be. */
static bool
s_promises_nothing_done (const Adr__Answer *answer)
{
    switch ((adr_status_t) answer->status) {
    case ADR_STATUS_OK: /* without an entry, else it would be over */
    case ADR_STATUS_CONFLICT:
    case ADR_STATUS_REFUSED:
    case ADR_STATUS_INVALID:
    case ADR_STATUS_DENIED:
    case ADR_STATUS_NOT_MASTER:
    case ADR_STATUS_FULL:
        return true;
    case ADR_STATUS_UNKNOWN:
    case ADR_STATUS_NOT_FOUND:
    case ADR_STATUS_LOCKED:
    case ADR_STATUS_TIMEOUT:
    case ADR_STATUS_DAMAGED:
    case ADR_STATUS_COUNT:
        return false;
    }
    return false;
}

static void
s_on_write_answer (edge_router_t *self, uint32_t place, uint32_t attempt, int from, const Adr__Answer *answer,
                   adr_bytes_t payload)
{
    edge_request_t *request = edge_router_place (self, place);
    adr_id_t hint_id = adr_id_of (answer->hint);
    int hint = adr_route_find (edge_router_group (self, request), &hint_id);
    bool done = answer->status == ADR_STATUS_OK || answer->status == ADR_STATUS_CONFLICT;
    if (done)
        edge_router_learn_master (self, request->group, from); /* only a master says so */
    bool newest = attempt == request->tries;
    if (s_promises_nothing_done (answer))
        edge_request_close_try (request, attempt);
    if (s_write_is_over (request, answer)) {
        s_pass_answer (self, place, answer, payload);
        return;
    }
    s_remember_why (request, answer->text);
    if (done)
        ADR_MARK ("edge: a verdict is not believed while another try is open");
    if (answer->unread && newest) {
        s_answer_unread (self, place, answer->text);
        return;
    }
    if (answer->status == ADR_STATUS_NOT_MASTER || answer->status == ADR_STATUS_REFUSED) {
        if (hint >= 0 && hint != from)
            edge_router_learn_master (self, request->group, hint);
        else if (edge_router_group (self, request)->master == from)
            edge_router_group (self, request)->master = -1;
    }
    if (newest && request->waiting) /* of an older try: the newest is still under way */
        s_go_on (self, place, hint, false);
}

static void
s_on_read_answer (edge_router_t *self, uint32_t place, uint32_t attempt, const Adr__Answer *answer, adr_bytes_t payload)
{
    edge_request_t *request = edge_router_place (self, place);
    switch ((adr_status_t) answer->status) {
    case ADR_STATUS_OK:
    case ADR_STATUS_NOT_FOUND:
    case ADR_STATUS_LOCKED:
    case ADR_STATUS_INVALID:
    case ADR_STATUS_DENIED:
        s_pass_answer (self, place, answer, payload);
        return;
    case ADR_STATUS_CONFLICT:
    case ADR_STATUS_REFUSED:
    case ADR_STATUS_UNKNOWN:
    case ADR_STATUS_TIMEOUT:
    case ADR_STATUS_DAMAGED:
    case ADR_STATUS_NOT_MASTER:
    case ADR_STATUS_FULL:
    case ADR_STATUS_COUNT:
        break;
    }
    ADR_MARK ("edge: a read is refused and tried elsewhere");
    s_remember_why (request, answer->text);
    adr_id_t hint = adr_id_of (answer->hint);
    if (attempt == request->tries && request->waiting)
        s_go_on (self, place, adr_route_find (edge_router_group (self, request), &hint), false);
}

/* The request that an answer of this kind from this node belongs to; NULL if there is none. */
static edge_request_t *
s_match (edge_router_t *self, const adr_event_t *event, uint64_t number, bool list, uint32_t *place, uint32_t *attempt,
         int *from)
{
    edge_request_t *request = edge_router_request_of (self, number, place, attempt);
    if (request == NULL || (request->kind == ADR__KIND__LIST) != list) {
        self->dropped++;
        return NULL;
    }
    *from = adr_route_find (edge_router_group (self, request), &event->message.from.node);
    return *from >= 0 ? request : NULL;
}

void
edge_router_on_answer (edge_router_t *self, const adr_event_t *event)
{
    const Adr__Answer *answer = (const Adr__Answer *) event->message.header;
    uint32_t place, attempt;
    int from;
    edge_request_t *request = s_match (self, event, answer->number, false, &place, &attempt, &from);
    if (request == NULL)
        return;
    adr_route_group_t *group = edge_router_group (self, request);
    if (request->kind == ADR__KIND__READ) {
        s_on_read_answer (self, place, attempt, answer, event->message.payload);
        return;
    }
    adr_route_learn_time (group, self->now_ns, answer->time_ms, self->settings.request_window_ns / ADR_ROUTE_TIMES);
    s_on_write_answer (self, place, attempt, from, answer, event->message.payload);
}

/* [EDGE-8] A page of tombstones alone: the list goes on behind them. False if it got nowhere. */
static bool
s_list_on (edge_router_t *self, uint32_t place, const Adr__ListAnswer *answer, int node)
{
    edge_request_t *request = edge_router_place (self, place);
    Adr__List *list = &request->kept->header.list;
    adr_bytes_t behind = adr_bytes (answer->behind.data, answer->behind.len);
    if (answer->rows > 0 || !answer->more || adr_bytes_compare (behind, adr_bytes (list->after.data, list->after.len)) <= 0)
        return false;
    ADR_MARK ("edge: a list goes on behind tombstones");
    memcpy (list->after.data, behind.data, behind.size);
    list->after.len = behind.size;
    request->next = node;
    edge_router_try (self, place);
    return true;
}

void
edge_router_on_list_answer (edge_router_t *self, const adr_event_t *event)
{
    const Adr__ListAnswer *from = (const Adr__ListAnswer *) event->message.header;
    uint32_t place, attempt;
    int node;
    edge_request_t *request = s_match (self, event, from->number, true, &place, &attempt, &node);
    if (request == NULL)
        return;
    if (from->status == ADR_STATUS_OK && s_list_on (self, place, from, node))
        return;
    if (from->status == ADR_STATUS_OK && from->rows == 0 && from->more && attempt != request->tries)
        return; /* [EDGE-8] an older try's way over tombstones that a newer one is past already */
    if (from->status == ADR_STATUS_OK || from->status == ADR_STATUS_INVALID || from->status == ADR_STATUS_LOCKED) {
        Adr__ListAnswer answer = *from;
        answer.base.n_unknown_fields = 0;
        answer.number = request->asker_number;
        answer.behind = (ProtobufCBinaryData){ 0 };
        answer.token = edge_router_token (self);
        answer.draining = self->draining;
        self->effects->send (self->effects, request->asker, ADR__KIND__LIST_ANSWER, &answer.base,
                             event->message.payload);
        edge_router_give_place (self, place);
        return;
    }
    s_remember_why (request, from->text);
    adr_id_t hint = adr_id_of (from->hint);
    if (attempt == request->tries && request->waiting)
        s_go_on (self, place, adr_route_find (edge_router_group (self, request), &hint), false);
}

