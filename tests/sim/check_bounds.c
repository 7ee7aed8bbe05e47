/* SPDX-License-Identifier: MPL-2.0 */
/* Invariant 11: nothing grows without a bound, no record stays locked for longer than a write's time limit and an
 * election timeout, every request ends, and time goes on. */

#include "check.h"

#include <stdlib.h>

void
sim_bounds_init (sim_bounds_t *self, sim_verdict_t *verdict)
{
    memset (self, 0, sizeof *self);
    self->verdict = verdict;
    self->mailbox_max = 100000;
    self->lock_first = 1;
}

void
sim_bounds_free (sim_bounds_t *self)
{
    free (self->appended_ns);
    memset (self, 0, sizeof *self);
}

void
sim_bounds_event (sim_bounds_t *self, int64_t now_ns)
{
    if (now_ns != self->instant_ns) {
        self->instant_ns = now_ns;
        self->instant_events = 0;
    } else if (++self->instant_events > SIM_INSTANT_EVENTS_MAX)
        sim_fail (self->verdict, "11: time goes on", "%llu events at the same instant",
                  (unsigned long long) self->instant_events);
}

void
sim_bounds_mailbox (sim_bounds_t *self, const char *who, uint64_t length)
{
    if (length > self->mailbox_seen)
        self->mailbox_seen = length;
    if (length > self->mailbox_max)
        sim_fail (self->verdict, "11: every queue has a bound", "%llu messages wait for %s",
                  (unsigned long long) length, who);
}

void
sim_bounds_appended (sim_bounds_t *self, int64_t now_ns, uint64_t term, uint64_t last)
{
    if (term > self->lock_term) {
        self->lock_term = term;
        self->lock_first = last + 1;
        self->lock_last = last;
    }
    if (term != self->lock_term)
        return;
    for (; self->lock_last < last; self->lock_last++) {
        if (self->lock_last + 1 >= self->room) {
            self->room = self->lock_last + 1 < 2048 ? 4096 : (self->lock_last + 1) * 2;
            self->appended_ns = adr_realloc (self->appended_ns, self->room * sizeof *self->appended_ns);
        }
        self->appended_ns[self->lock_last + 1] = now_ns;
    }
}

void
sim_bounds_unlocked (sim_bounds_t *self, uint64_t term, uint64_t index)
{
    if (term == self->lock_term && index >= self->lock_first)
        self->lock_first = index + 1;
}

#define S_LATE_MAX 10                             /* a master that was stopped goes on with what it knew: */
#define S_LATE_APART_NS (INT64_C (50) * 1000000) /* it is late if it says so again and again */

void
sim_bounds_published (sim_bounds_t *self, int64_t now_ns, uint64_t term, uint64_t commit, uint64_t unlocked,
                      int64_t limit_ns)
{
    if (term < self->held_term)
        return;
    if (term > self->held_term || unlocked >= self->held_index) {
        self->held_term = term;
        self->held_index = commit;
        self->held_since_ns = now_ns;
        self->held_late = 0;
    } else if (now_ns - self->held_since_ns > limit_ns && now_ns - self->held_late_ns > S_LATE_APART_NS) {
        self->held_late_ns = now_ns;
        if (++self->held_late > S_LATE_MAX)
            sim_fail (self->verdict, "11: no record stays locked",
                      "index %llu was committed %lld ms ago in term %llu, unlocked is %llu",
                      (unsigned long long) self->held_index, (long long) ((now_ns - self->held_since_ns) / 1000000),
                      (unsigned long long) term, (unsigned long long) unlocked);
    }
}

void
sim_bounds_locks (sim_bounds_t *self, int64_t now_ns, int64_t sound_since_ns, int64_t limit_ns)
{
    if (self->lock_first > self->lock_last)
        return;
    int64_t since = self->appended_ns[self->lock_first];
    if (since < sound_since_ns)
        since = sound_since_ns;
    if (now_ns - since > limit_ns)
        sim_fail (self->verdict, "11: no record stays locked", "index %llu of term %llu is locked for %lld ms",
                  (unsigned long long) self->lock_first, (unsigned long long) self->lock_term,
                  (long long) ((now_ns - since) / 1000000));
}

void
sim_bounds_time (sim_bounds_t *self, int64_t now_ns, uint64_t first_ms, uint64_t last_ms)
{
    int64_t limit_ms = now_ns / 1000000 * 11 / 5 + 1000; /* twice the boot clock's, which may be 5 % off */
    if (last_ms > first_ms && last_ms - first_ms > (uint64_t) limit_ms)
        sim_fail (self->verdict, "PART-4: log time makes no leap", "it has gained %llu ms within %lld ms",
                  (unsigned long long) (last_ms - first_ms), (long long) (now_ns / 1000000));
}

void
sim_bounds_request (sim_bounds_t *self, int64_t waited_ns, int64_t limit_ns, const char *what)
{
    if (waited_ns > limit_ns)
        sim_fail (self->verdict, "11: every request ends", "a %s waits for %lld ms at an edge that is up", what,
                  (long long) (waited_ns / 1000000));
}
