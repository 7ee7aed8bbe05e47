/* SPDX-License-Identifier: MPL-2.0 */
/* A store that was opened without voters, and whose group is founded now.
 *
 * Owns: the voters that wait to be noted. Makes durable: them, as those at the log's start, in one step. Implements GROUP-6. */

#include "store/internal.h"

#include "core/actor.h"

/* The log's start knows no voters, and no entry behind it has named any before: they are those of index 0. */
bool
adr_store_lacks_voters (const adr_store_t *self)
{
    return self->log.base.count == 0 && self->founding_wanted.count == 0;
}

void
adr_store_found (adr_store_t *self, const adr_voters_t *voters)
{
    adr_assert (voters->count > 0 && voters->at.index == 0 && adr_store_lacks_voters (self));
    adr_assert (adr_voters_find (voters, &self->options.node, self->incarnation) >= 0);
    self->founding_wanted = *voters;
}

bool
adr_found_next (adr_store_t *self)
{
    adr_job_t *job = &self->background;
    if (self->founding_wanted.count == 0)
        return false;
    if (self->log.base.count > 0) { /* the log was made anew behind a copy meanwhile, which has told who votes */
        self->founding_wanted.count = 0;
        return false;
    }
    job->start = self->log.start;
    job->voters = self->founding_wanted;
    job->scan_segment = self->journal.scan_segment;
    job->scan_batch = self->journal.scan_batch;
    job->history = self->history;
    return true;
}

void
adr_found_done (adr_store_t *self)
{
    ADR_MARK ("store: a group is founded");
    self->log.base = self->founding_wanted;
    self->founding_wanted.count = 0;
}
