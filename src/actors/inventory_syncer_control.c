/* SPDX-License-Identifier: MPL-2.0 */
/* What operators ask of the inventory_syncer: a pause, and "compare now, mend now". Implements REPAIR-9. */

#include "actors/control.h"
#include "actors/inventory_syncer_private.h"

#include <stdio.h>

#define S_SECOND (1000 * ADR_MS)
#define S_PAUSE_MS (3600 * 1000)          /* of one that names no time */
#define S_REMIND_NS (600 * S_SECOND)      /* the log says again that repair is paused */

/* [REPAIR-9] A copy that knows of lost rows does not wait. */
bool
syncer_is_paused (const inventory_syncer_t *self)
{
    return self->now_ns < self->paused_until_ns && !self->lossy;
}

uint32_t
syncer_pause_left_s (const inventory_syncer_t *self)
{
    return syncer_is_paused (self) ? (uint32_t) ((self->paused_until_ns - self->now_ns + S_SECOND - 1) / S_SECOND) : 0;
}

void
syncer_tend_pause (inventory_syncer_t *self)
{
    if (self->paused_until_ns == 0)
        return;
    if (self->now_ns >= self->paused_until_ns) {
        adr_note (self->effects, ADR_LEVEL_NOTE, "the pause is over -> repair goes on");
        self->paused_until_ns = 0;
        syncer_tell_progress (self);
    } else if (self->now_ns - self->pause_noted_ns >= S_REMIND_NS) {
        adr_note (self->effects, ADR_LEVEL_WARNING, "repair is paused by an operator -> nothing is copied for %u s yet",
                  syncer_pause_left_s (self));
        self->pause_noted_ns = self->now_ns;
    }
}

static adr_status_t
s_pause (inventory_syncer_t *self, uint32_t for_ms, char text[ADR_CONTROL_TEXT_MAX])
{
    if (for_ms > ADR_PAUSE_MAX_MS) {
        snprintf (text, ADR_CONTROL_TEXT_MAX, "a pause has 24 hours at most");
        return ADR_STATUS_INVALID;
    }
    self->paused_until_ns = self->now_ns + (for_ms ? for_ms : S_PAUSE_MS) * ADR_MS;
    self->pause_noted_ns = self->now_ns;
    self->compare_left = 0;
    syncer_put_down (self);
    syncer_tell_progress (self);
    snprintf (text, ADR_CONTROL_TEXT_MAX, "repair is paused for %u s%s", syncer_pause_left_s (self),
              self->lossy                           ? ", but not this copy's: it has lost rows"
              : self->sync == ADR_SYNC_COPYING      ? "; this copy is not whole: its group has one less until then"
                                                    : "");
    return ADR_STATUS_OK;
}

/* Peers that vote: what one that slept has may have been purged since. */
uint32_t
syncer_comparable (const inventory_syncer_t *self, uint32_t *count)
{
    uint32_t peers = 0;
    *count = 0;
    for (uint32_t i = 0; i < self->group.count; i++)
        if (adr_voters_find_node (&self->voters, &self->group.node[i]) >= 0) {
            peers |= 1u << i;
            ++*count;
        }
    return peers;
}

static adr_status_t
s_run (inventory_syncer_t *self, char text[ADR_CONTROL_TEXT_MAX])
{
    uint32_t count;
    self->paused_until_ns = 0;
    self->wound_wait_ns = 0;
    memset (self->bad_until_ns, 0, sizeof self->bad_until_ns);
    if (self->sync == ADR_SYNC_COPYING) {
        snprintf (text, ADR_CONTROL_TEXT_MAX, "this copy is being made: %u of %u partitions are whole, it goes on",
                  self->done_count, self->all_count);
        return ADR_STATUS_OK;
    }
    uint32_t peers = syncer_comparable (self, &count);
    if (self->sync == ADR_SYNC_REPLAYING || count == 0) {
        snprintf (text, ADR_CONTROL_TEXT_MAX, count ? "the log is replayed over what was copied; it is compared behind that"
                                                    : "there is nobody to compare with");
        return ADR_STATUS_REFUSED;
    }
    self->compare_left = peers;
    self->compare_doubts = false;
    snprintf (text, ADR_CONTROL_TEXT_MAX, "all partitions are compared with %u peers", count);
    return ADR_STATUS_OK;
}

void
syncer_on_control (inventory_syncer_t *self, const adr_event_t *event)
{
    const Adr__Control *control = (const Adr__Control *) event->message.header;
    char text[ADR_CONTROL_TEXT_MAX];
    bool pauses = control->action == ADR__CONTROL_ACTION__REPAIR_PAUSE;
    adr_status_t status = pauses ? s_pause (self, control->for_ms, text) : s_run (self, text);
    adr_control_answer (self->effects, event, status, text);
    syncer_go_on (self);
}
