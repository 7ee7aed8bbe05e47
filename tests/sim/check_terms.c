/* SPDX-License-Identifier: MPL-2.0 */
/* Invariant 1: at most one master acts in a term, and no lease is used once a higher term has its master. */

#include "check.h"

#include <stdlib.h>

/* Terms rise by one a candidature: a number beyond this is a bug of its own. */
#define S_TERMS_MAX 1000000

void
sim_terms_init (sim_terms_t *self, sim_verdict_t *verdict)
{
    memset (self, 0, sizeof *self);
    self->verdict = verdict;
}

void
sim_terms_free (sim_terms_t *self)
{
    free (self->term);
    memset (self, 0, sizeof *self);
}

static sim_term_t *
s_term (sim_terms_t *self, uint64_t term)
{
    if (term > S_TERMS_MAX) {
        sim_fail (self->verdict, "1: terms rise by one", "somebody acts in term %llu", (unsigned long long) term);
        return NULL;
    }
    while (term >= self->room) {
        uint64_t room = self->room ? self->room * 2 : 256;
        self->term = adr_realloc (self->term, room * sizeof *self->term);
        for (uint64_t i = self->room; i < room; i++)
            self->term[i] = (sim_term_t){ .node = -1 };
        self->room = room;
    }
    return &self->term[term];
}

void
sim_terms_acted (sim_terms_t *self, uint64_t term, int node, uint64_t boot, const char *what)
{
    sim_term_t *known = s_term (self, term);
    if (!known)
        return;
    if (known->node < 0)
        *known = (sim_term_t){ node, boot };
    else if (known->node != node || known->boot != boot)
        sim_fail (self->verdict, "1: at most one master acts in a term",
                  "term %llu: node %d (boot %llu) acts by %s, node %d (boot %llu) acted before",
                  (unsigned long long) term, node, (unsigned long long) boot, what, known->node,
                  (unsigned long long) known->boot);
}

void
sim_terms_elected (sim_terms_t *self, uint64_t term, int node, uint64_t boot)
{
    sim_terms_acted (self, term, node, boot, "being elected");
    if (term > self->elected_max) {
        self->elected_max = term;
        self->elected_node = node;
    }
}

void
sim_terms_lease (sim_terms_t *self, uint64_t term, int node)
{
    if (term < self->elected_max)
        sim_fail (self->verdict, "1: leases never overlap",
                  "node %d answers under its lease of term %llu after node %d was elected in term %llu", node,
                  (unsigned long long) term, self->elected_node, (unsigned long long) self->elected_max);
}
