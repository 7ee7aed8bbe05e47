/* SPDX-License-Identifier: MPL-2.0 */
/* What a node's job threads do for its store, in the test's own. */

#ifndef ADR_STORE_JOBS_H
#define ADR_STORE_JOBS_H

#include "store/store.h"

/* Runs every job that is due, time standing still; none of them may fail. */
static inline void
store_run_jobs (adr_store_t *store, int64_t now)
{
    bool any = true;
    while (any) {
        any = false;
        for (int lane = 0; lane < ADR_LANE_COUNT; lane++) {
            adr_store_job_t *job = adr_store_job_next (store, (adr_lane_t) lane, now);
            if (!job)
                continue;
            any = true;
            adr_store_job_write (store, job);
            adr_store_job_sync (store, job);
            adr_assert (job->error == 0);
            adr_store_job_done (store, job);
        }
    }
}

#endif
