/* SPDX-License-Identifier: MPL-2.0 */
/* Invariants 2 and 6: what was acknowledged is committed and stays; what was refused is never applied; a request id
 * is applied once (that part stands where entries are committed, in history.c). */

#include "check.h"

void
sim_acks_done (sim_history_t *self, uint64_t id, uint64_t term, uint64_t index)
{
    const sim_request_t *request = sim_history_find_request (self, id);
    adr_assert (request != NULL);
    if (request->index == 0 || request->verdict)
        sim_fail (self->verdict, "2: an acknowledged write is committed",
                  "request %016llx was acknowledged as (%llu, %llu), the log knows nothing of it",
                  (unsigned long long) id, (unsigned long long) term, (unsigned long long) index);
    else if (request->index != index || request->term != term)
        sim_fail (self->verdict, "2: an acknowledged write is committed",
                  "request %016llx was acknowledged as (%llu, %llu), it is committed as (%llu, %llu)",
                  (unsigned long long) id, (unsigned long long) term, (unsigned long long) index,
                  (unsigned long long) request->term, (unsigned long long) request->index);
}

void
sim_acks_refused (sim_history_t *self, uint64_t id)
{
    sim_request_t *request = sim_history_find_request (self, id);
    adr_assert (request != NULL);
    if (request->index != 0 && !request->verdict)
        sim_fail (self->verdict, "6: refused means never applied",
                  "request %016llx was refused by everybody that it was sent to, it is committed at %llu",
                  (unsigned long long) id, (unsigned long long) request->index);
    request->refused = true;
}
