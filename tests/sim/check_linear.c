/* SPDX-License-Identifier: MPL-2.0 */
/* Invariant 3: strong reads and writes, conditional ones too, are linearizable for each key.
 *
 * Linearizability in general is a search. Here every answer names the version that it saw, and versions are places in
 * one log, so that the order of the writes is known and only the reads have to be placed: each at the earliest place
 * that it may have, which leaves the most room to those that follow. An operation must not take effect before one
 * that had ended when it began: that is its *floor*. Writes whose outcome nobody knows are in the log, or are not;
 * they bind nobody until somebody saw them. */

#include "check.h"

#define S_INVARIANT "3: linearizable for each key"

uint64_t
sim_linear_floor (const sim_history_t *self, int key)
{
    return self->key[key].completed;
}

static void
s_completed (sim_history_t *self, int key, uint64_t index)
{
    if (self->key[key].completed < index)
        self->key[key].completed = index;
}

void
sim_linear_write (sim_history_t *self, int key, uint64_t floor, uint64_t index)
{
    if (index <= floor)
        sim_fail (self->verdict, S_INVARIANT, "key %d: a write took effect at %llu, but %llu had ended before it began",
                  key, (unsigned long long) index, (unsigned long long) floor);
    s_completed (self, key, index);
    if (self->completed_any < index)
        self->completed_any = index;
}

/* The version that an answer names: NULL (and a failure) if nothing like it is committed, or it was overwritten
 * before the operation began. */
static const sim_version_t *
s_named (sim_history_t *self, int key, uint64_t floor, uint64_t term, uint64_t index)
{
    const sim_version_t *version = sim_history_at (self, key, index);
    const sim_version_t *oldest = sim_history_at (self, key, floor);
    if (!version || version->index != index || version->term != term) {
        sim_fail (self->verdict, S_INVARIANT, "key %d: an answer names version (%llu, %llu), which is not committed",
                  key, (unsigned long long) term, (unsigned long long) index);
        return NULL;
    }
    if (oldest && index < oldest->index) {
        sim_fail (self->verdict, S_INVARIANT,
                  "key %d: a stale answer: it names index %llu, but %llu had been seen before it was asked for", key,
                  (unsigned long long) index, (unsigned long long) oldest->index);
        return NULL;
    }
    return version;
}

void
sim_linear_found (sim_history_t *self, int key, uint64_t floor, uint64_t term, uint64_t index, uint64_t value)
{
    const sim_version_t *version = s_named (self, key, floor, term, index);
    if (!version)
        return;
    if (version->deleted || version->value != value)
        sim_fail (self->verdict, S_INVARIANT, "key %d: version (%llu, %llu) is answered with another value", key,
                  (unsigned long long) term, (unsigned long long) index);
    s_completed (self, key, index);
}

void
sim_linear_absent (sim_history_t *self, int key, uint64_t floor)
{
    const sim_version_t *version = sim_history_at (self, key, floor);
    if (!version || version->deleted)
        return;
    const sim_key_t *row = &self->key[key];
    for (const sim_version_t *later = version + 1; later < row->version + row->count; later++)
        if (later->deleted) {
            s_completed (self, key, later->index);
            return;
        }
    sim_fail (self->verdict, S_INVARIANT, "key %d: not found, but it has been there since index %llu (floor %llu)", key,
              (unsigned long long) version->index, (unsigned long long) floor);
}

void
sim_linear_conflict (sim_history_t *self, int key, uint64_t floor, uint64_t term, uint64_t index)
{
    if (term == 0 && index == 0)
        sim_linear_absent (self, key, floor);
    else if (s_named (self, key, floor, term, index))
        s_completed (self, key, index);
}
