/* SPDX-License-Identifier: MPL-2.0 */
/* edge_router: tries. Whom to ask, for how long to wait, when to ask again, and what is said when the time is over. See
 * edge_router.c. Implements EDGE-1, EDGE-2, EDGE-3. */

#include "actors/edge_router_private.h"

#include <stdio.h>

#define S_QUIET_MAX_NS (2000 * ADR_MS)       /* it grows by half with each silent try up to this: do not feed a jam */
#define S_PAUSE_MIN_MS 10                    /* before a try after `not here`, doubled each time ... */
#define S_PAUSE_MAX_MS 100                   /* ... up to this, so that a new master is found soon */
#define S_NUDGE_AGE_NS (50 * ADR_MS)         /* on a new master, tries elsewhere older than this are repeated there */

/* --- one try ------------------------------------------------------------------------------------------------------- */

static uint32_t
s_ms_left (const edge_router_t *self, const edge_request_t *request)
{
    int64_t left = (request->limit_ns - self->now_ns + ADR_MS - 1) / ADR_MS;
    return left < 1 ? 1 : (uint32_t) left;
}

/* Since its first try, anywhere; a second try is never the first, however quick. */
uint32_t
edge_router_age_ms (const edge_router_t *self, const edge_request_t *request)
{
    uint32_t here = (uint32_t) ((self->now_ns - request->arrived_ns) / ADR_MS);
    return request->age_ms + here + (request->tries > 1);
}

/* True if no try of the write can be done any more, or none was made [DESIGN 13, invariant 6]. */
bool
edge_request_surely_refused (const edge_request_t *request)
{
    return request->open_count == 0 && !request->lost_count;
}

/* Whom to ask [EDGE-1]: writes go to the master, if we know one; all else, and writes when we
 * do not, stay in our own zone. */
static int
s_choose (const edge_router_t *self, const edge_request_t *request)
{
    const adr_route_group_t *group = &self->routes.group[request->group];
    if (request->next >= 0 && request->next < (int) group->node_count)
        return request->next;
    if (request->kind == ADR__KIND__WRITE && group->master >= 0 && group->master != request->last)
        return group->master;
    return group->node_count ? adr_route_next (group, request->last) : -1;
}

static void
s_open_try (edge_request_t *request)
{
    if (request->open_count == OPEN_MAX) {
        ADR_MARK ("edge: a write has more silent tries than it remembers");
        request->lost_count = true;
        memmove (request->open, request->open + 1, (OPEN_MAX - 1) * sizeof request->open[0]);
        request->open_count--;
    }
    request->open[request->open_count++] = request->tries;
}

/* Takes a try that was surely refused off the open ones, the oldest first; once is enough. */
void
edge_request_close_try (edge_request_t *request, uint32_t attempt)
{
    for (uint32_t i = 0; i < request->open_count; i++)
        if (request->open[i] == attempt) {
            memmove (request->open + i, request->open + i + 1, (request->open_count - i - 1) * sizeof attempt);
            request->open_count--;
            return;
        }
}

static void
s_send_try (edge_router_t *self, uint32_t place, const edge_request_t *request, adr_id_t node)
{
    edge_kept_t *kept = request->kept;
    uint64_t number = request->serial << (PLACE_BITS + TRY_BITS) | (uint64_t) request->tries << PLACE_BITS | place;
    uint32_t limit_ms = s_ms_left (self, request);
    ProtobufCBinaryData origin = adr_id_view (&self->environment->node);
    if (request->kind == ADR__KIND__WRITE) {
        Adr__Write *write = &kept->header.write;
        write->number = number;
        write->limit_ms = limit_ms;
        write->age_ms = edge_router_age_ms (self, request);
        write->origin = origin;
        write->relays = 0;
        write->sequence = 0;
        write->seen_ms = request->seen_ms;
    }
    else if (request->kind == ADR__KIND__READ) {
        kept->header.read.number = number;
        kept->header.read.limit_ms = limit_ms;
        kept->header.read.origin = origin;
    }
    else {
        kept->header.list.number = number;
        kept->header.list.limit_ms = limit_ms;
        kept->header.list.origin = origin;
    }
    adr_address_t to = { node, ADR_ACTOR_REPLICATOR };
    self->effects->send (self->effects, to, request->kind, &kept->header.base, kept->payload);
}

/* Moves the request's deadline to when something is due, or to its limit. */
static void
s_await (edge_router_t *self, uint32_t place, int64_t due_ns)
{
    int64_t limit_ns = edge_router_place (self, place)->limit_ns;
    adr_deadlines_set (&self->deadlines, place, due_ns < limit_ns ? due_ns : limit_ns);
}

void
edge_router_try (edge_router_t *self, uint32_t place)
{
    edge_request_t *request = edge_router_place (self, place);
    int node = s_choose (self, request);
    if (node < 0 || request->tries == TRIES_MAX) {
        s_await (self, place, ADR_NEVER);
        return;
    }
    request->tries++;
    request->last = node;
    request->next = -1;
    request->waiting = true;
    request->tried_ns = self->now_ns;
    if (request->kind == ADR__KIND__WRITE)
        s_open_try (request);
    s_send_try (self, place, request, edge_router_group (self, request)->node[node].id);
    s_await (self, place, self->now_ns + request->quiet_ns);
}

/* The newest try did not help: another follows, at once or after a pause that grows. */
void
edge_router_try_later (edge_router_t *self, uint32_t place, bool at_once)
{
    edge_request_t *request = edge_router_place (self, place);
    if (at_once) {
        edge_router_try (self, place);
        return;
    }
    int64_t pause_ms = (int64_t) S_PAUSE_MIN_MS << request->pauses;
    if (pause_ms < S_PAUSE_MAX_MS)
        request->pauses++;
    else
        pause_ms = S_PAUSE_MAX_MS;
    /* Not all at the same moment, when a whole edge waits for a new master. */
    int64_t pause_ns = adr_random_between (&self->random, pause_ms * ADR_MS / 2, pause_ms * ADR_MS);
    request->waiting = false;
    s_await (self, place, self->now_ns + pause_ns);
}

/* Silence: the try may have been lost, or sits in a queue, or its node is gone. */
static void
s_on_silence (edge_router_t *self, uint32_t place)
{
    edge_request_t *request = edge_router_place (self, place);
    adr_route_group_t *group = edge_router_group (self, request);
    if (request->kind == ADR__KIND__WRITE && group->master == request->last) {
        ADR_MARK ("edge: a silent master is not believed in any more");
        group->master = -1;
    }
    request->quiet_ns = request->quiet_ns * 3 / 2;
    if (request->quiet_ns > S_QUIET_MAX_NS)
        request->quiet_ns = S_QUIET_MAX_NS;
    edge_router_try (self, place);
}

/* The request's time is over. */
static void
s_end (edge_router_t *self, uint32_t place)
{
    edge_request_t *request = edge_router_place (self, place);
    adr_status_t status = ADR_STATUS_TIMEOUT;
    char text[160];
    if (request->kind == ADR__KIND__WRITE) {
        /* [EDGE-3] */
        status = edge_request_surely_refused (request) || ADR_PLANT (EDGE_3_REFUSED_THOUGH_SENT) ? ADR_STATUS_REFUSED
                                                                                      : ADR_STATUS_UNKNOWN;
        if (status == ADR_STATUS_UNKNOWN)
            ADR_MARK ("edge: a write ends with its outcome unknown");
        else
            ADR_MARK ("edge: a write ends surely refused at its limit");
    }
    snprintf (text, sizeof text, "%s within its time%s%s",
              status == ADR_STATUS_REFUSED ? "no node took it" : "no sure answer", request->why[0] ? ": " : "",
              request->why);
    edge_router_answer (self, request->kind, request->asker, request->asker_number, status, text);
    edge_router_give_place (self, place);
}

void
edge_router_on_timer (edge_router_t *self)
{
    self->wake_ns = ADR_NEVER;
    while (adr_deadlines_next (&self->deadlines) <= self->now_ns) {
        uint32_t place = adr_deadlines_first (&self->deadlines);
        edge_request_t *request = edge_router_place (self, place);
        if (request->limit_ns <= self->now_ns)
            s_end (self, place);
        else if (request->waiting)
            s_on_silence (self, place);
        else
            edge_router_try (self, place);
    }
}

/* Writes that wait elsewhere than at their group's new master need not wait for their silence to end. Once a turn, for
 * all groups: while a mastership changes, each answer may name the other of two masters, and each walk looks at every
 * place. */
void
edge_router_nudge (edge_router_t *self)
{
    if (!self->nudge_due)
        return;
    for (uint32_t place = 0; place < self->places; place++) {
        edge_request_t *request = edge_router_place (self, place);
        if (request->serial && request->kind == ADR__KIND__WRITE && self->nudge[request->group]
            && request->last != self->routes.group[request->group].master
            && self->now_ns - request->tried_ns >= S_NUDGE_AGE_NS)
            s_await (self, place, self->now_ns);
    }
    memset (self->nudge, 0, sizeof self->nudge);
    self->nudge_due = false;
}

void
edge_router_learn_master (edge_router_t *self, uint32_t group, int node)
{
    if (node < 0 || self->routes.group[group].master == node)
        return;
    self->routes.group[group].master = node;
    self->nudge[group] = self->nudge_due = true;
}
