/* SPDX-License-Identifier: MPL-2.0 */
/* Invariant 12: no injected fault goes unseen. Faults of the network show in the network's counters; those of a
 * node's disk must be spoken of by the node: in a log line, in the reason of a stop, or when its store opens. */

#include "check.h"

const char *
sim_fault_name (sim_fault_t fault)
{
    static const char *const s_names[SIM_FAULT_COUNT]
        = { "cut", "kill", "power", "crash-op", "pause", "stall", "drain", "slow-disk", "full-disk", "io-error",
            "read-error", "lost-disk", "lost-state", "lost-index", "rot", "loss", "repeat", "reorder", "late", "stale",
            "drift", "point", "again", "recovery", "old-state", "old-index", "index-rot", "wall",
            "mute", "operator", "lie" };
    return (unsigned) fault < SIM_FAULT_COUNT ? s_names[fault] : "?";
}

void
sim_faults_init (sim_faults_t *self, sim_verdict_t *verdict)
{
    memset (self, 0, sizeof *self);
    self->verdict = verdict;
}

void
sim_faults_injected (sim_faults_t *self, sim_fault_t fault)
{
    self->injected[fault]++;
}

void
sim_faults_met (sim_faults_t *self, int node, sim_fault_t fault, int64_t due_ns)
{
    if (self->due_ns[node][fault] == 0)
        self->due_ns[node][fault] = due_ns;
}

void
sim_faults_said (sim_faults_t *self, int node)
{
    memset (self->due_ns[node], 0, sizeof self->due_ns[node]);
}

void
sim_faults_check (sim_faults_t *self, int64_t now_ns)
{
    for (int node = 0; node < SIM_NODES_MAX; node++)
        for (int fault = 0; fault < SIM_FAULT_COUNT; fault++)
            if (self->due_ns[node][fault] && now_ns > self->due_ns[node][fault])
                sim_fail (self->verdict, "12: no injected fault goes unseen", "node %d met %s and said nothing", node,
                          sim_fault_name ((sim_fault_t) fault));
}

void
sim_faults_opening (sim_faults_t *self, int node, const sim_opening_t *opening)
{
    if ((opening->forgot || opening->misses) && !opening->harmed)
        sim_fail (self->verdict, "STORE-4: who was not harmed forgets nothing", "node %d %s, though its disk is sound", node,
                  opening->forgot ? "draws a new incarnation" : "misses entries");
    if (opening->old_state && !opening->forgot)
        sim_fail (self->verdict, "STORE-4: an old state environment is noticed",
                  "node %d goes on with promises and votes of yesterday", node);
}
