/* SPDX-License-Identifier: MPL-2.0 */
/* How long clients wait: see wait_meter.h. */

#include "actors/wait_meter.h"

static void
s_learn_usual (adr_wait_meter_t *self, bool repairs)
{
    if (repairs && self->spans == 0 && (!self->known || self->mean_ns < self->usual_ns)) {
        self->usual_ns = self->mean_ns;
        self->known = true;
    }
    if (repairs)
        return;
    if (self->spans < ADR_WAIT_SPANS_MAX)
        self->spans++;
    if (self->spans == 1)
        self->usual_ns = self->mean_ns;
    self->usual_ns += (self->mean_ns - self->usual_ns) / (int64_t) self->spans;
    self->known = true;
}

void
adr_wait_meter_add (adr_wait_meter_t *self, int64_t now_ns, int64_t waited_ns, bool repairs)
{
    if (waited_ns > ADR_WAIT_OUTAGE_NS)
        return;
    if (self->count == 0)
        self->began_ns = now_ns;
    self->sum_ns += waited_ns;
    self->count++;
    if (now_ns - self->began_ns < ADR_WAIT_SPAN_NS)
        return;
    self->mean_ns = self->sum_ns / self->count;
    self->ended_ns = now_ns;
    self->sum_ns = self->count = 0;
    s_learn_usual (self, repairs);
}

bool
adr_wait_meter_is_busy (const adr_wait_meter_t *self, int64_t now_ns, int64_t waits_since_ns)
{
    int64_t limit_ns = 2 * self->usual_ns + ADR_WAIT_SLACK_NS;
    if (!self->known)
        return false;
    return (now_ns - self->ended_ns < ADR_WAIT_FRESH_NS && self->mean_ns > limit_ns)
           || (waits_since_ns != ADR_NEVER && now_ns - waits_since_ns > limit_ns
               && now_ns - waits_since_ns <= ADR_WAIT_OUTAGE_NS);
}
