/* SPDX-License-Identifier: MPL-2.0 */
/* How long clients wait, and whether that is longer than they are used to [REPAIR-8].
 *
 * Owns: means over a tenth of a second, and what they are while nothing is repaired. Integers only, times from events: the same
 * events, the same answer. */

#ifndef ADR_WAIT_METER_H
#define ADR_WAIT_METER_H

#include "core/actor.h"

#define ADR_WAIT_SPAN_NS (100 * ADR_MS)   /* a mean of what ended within it: one slow request is no trend */
#define ADR_WAIT_FRESH_NS (500 * ADR_MS)  /* so long a mean says something; without requests nobody waits */
#define ADR_WAIT_SLACK_NS (2 * ADR_MS)    /* above twice the usual: less is noise of any machine */
#define ADR_WAIT_OUTAGE_NS (5000 * ADR_MS) /* who waits longer waits for nodes to come back, and a copy that is made may be one */
#define ADR_WAIT_SPANS_MAX 64             /* weight of the usual: as if of the last so many spans */

typedef struct {
    int64_t began_ns, sum_ns; /* the span that is being measured */
    uint32_t count;
    int64_t mean_ns, ended_ns; /* the last whole one; 0: none yet */
    int64_t usual_ns;          /* while nothing is repaired; if it never was so, the least mean */
    uint32_t spans;            /* that the usual is made of; 0: it is only a least one */
    bool known;
} adr_wait_meter_t;

/* A client's request has waited so long; `repairs`: copies are being made meanwhile, so that it says nothing of what is usual. */
void adr_wait_meter_add (adr_wait_meter_t *self, int64_t now_ns, int64_t waited_ns, bool repairs);
/* One that waits since then, and is not done; ADR_NEVER: none. */
bool adr_wait_meter_is_busy (const adr_wait_meter_t *self, int64_t now_ns, int64_t waits_since_ns);

#endif
