/* SPDX-License-Identifier: MPL-2.0 */
/* Deadlines of numbered places: see deadlines.h. */

#include "actors/deadlines.h"

#include <stdlib.h>

void
adr_deadlines_free (adr_deadlines_t *self)
{
    free (self->heap);
    free (self->stands);
    *self = (adr_deadlines_t){ 0 };
}

static void
s_put (adr_deadlines_t *self, uint32_t at, struct adr_deadline deadline)
{
    self->heap[at] = deadline;
    self->stands[deadline.place] = at + 1;
}

static void
s_rise (adr_deadlines_t *self, uint32_t at, struct adr_deadline deadline)
{
    while (at > 0 && self->heap[(at - 1) / 2].at_ns > deadline.at_ns) {
        s_put (self, at, self->heap[(at - 1) / 2]);
        at = (at - 1) / 2;
    }
    s_put (self, at, deadline);
}

static void
s_sink (adr_deadlines_t *self, uint32_t at, struct adr_deadline deadline)
{
    for (;;) {
        uint32_t child = 2 * at + 1;
        if (child + 1 < self->count && self->heap[child + 1].at_ns < self->heap[child].at_ns)
            child++;
        if (child >= self->count || self->heap[child].at_ns >= deadline.at_ns)
            break;
        s_put (self, at, self->heap[child]);
        at = child;
    }
    s_put (self, at, deadline);
}

/* Puts the deadline where `at` is free, and all below and above it in order. */
static void
s_settle (adr_deadlines_t *self, uint32_t at, struct adr_deadline deadline)
{
    if (at > 0 && self->heap[(at - 1) / 2].at_ns > deadline.at_ns)
        s_rise (self, at, deadline);
    else
        s_sink (self, at, deadline);
}

static void
s_make_room (adr_deadlines_t *self, uint32_t place)
{
    if (place >= self->places) {
        uint32_t places = place < 512 ? 1024 : place * 2;
        self->stands = adr_realloc (self->stands, places * sizeof *self->stands);
        memset (self->stands + self->places, 0, (places - self->places) * sizeof *self->stands);
        self->places = places;
    }
    if (self->count == self->room) {
        self->room = self->room ? self->room * 2 : 1024;
        self->heap = adr_realloc (self->heap, self->room * sizeof *self->heap);
    }
}

void
adr_deadlines_set (adr_deadlines_t *self, uint32_t place, int64_t at_ns)
{
    s_make_room (self, place);
    struct adr_deadline deadline = { at_ns, place };
    if (self->stands[place])
        s_settle (self, self->stands[place] - 1, deadline);
    else
        s_rise (self, self->count++, deadline);
}

void
adr_deadlines_drop (adr_deadlines_t *self, uint32_t place)
{
    if (place >= self->places || self->stands[place] == 0)
        return;
    uint32_t at = self->stands[place] - 1;
    self->stands[place] = 0;
    struct adr_deadline last = self->heap[--self->count];
    if (at < self->count)
        s_settle (self, at, last);
}

int64_t
adr_deadlines_next (const adr_deadlines_t *self)
{
    return self->count ? self->heap[0].at_ns : ADR_NEVER;
}

uint32_t
adr_deadlines_first (const adr_deadlines_t *self)
{
    adr_assert (self->count > 0);
    return self->heap[0].place;
}

void
adr_deadlines_check (const adr_deadlines_t *self)
{
    for (uint32_t i = 0; i < self->count; i++) {
        adr_assert (i == 0 || self->heap[(i - 1) / 2].at_ns <= self->heap[i].at_ns);
        adr_assert (self->stands[self->heap[i].place] == i + 1);
    }
}
