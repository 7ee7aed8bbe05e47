/* SPDX-License-Identifier: MPL-2.0 */
/* Runs a store's jobs of one lane, which block, away from the actor: a batch's write and sync, or what happens in the
 * background. The job goes back to where its parcel says, as a JOB parcel with the outcome.
 *
 * Owns: its thread. Makes durable: what the jobs say. */

#ifndef ADR_JOB_THREAD_H
#define ADR_JOB_THREAD_H

#include "runtime/mailbox.h"
#include "store/store.h"

typedef struct adr_job_thread adr_job_thread_t;

adr_job_thread_t *adr_job_thread_new (adr_store_t *store);
adr_mailbox_t *adr_job_thread_mailbox (adr_job_thread_t *self);
/* Ends the job that runs, then the thread. Takes and nulls. */
void adr_job_thread_destroy (adr_job_thread_t **self);

#endif
