/* SPDX-License-Identifier: MPL-2.0 */
/* TRUST-3 and TRUST-4 as facts: registries have one order, each a step from the one before it, and a host takes only what the PKI group
 * has committed, and nothing older. */

#include "check.h"

#include <string.h>

#define S_U(x) ((unsigned long long) (x))

void
sim_trust_check_init (sim_trust_check_t *self, sim_verdict_t *verdict, uint64_t epoch, uint64_t hash)
{
    memset (self, 0, sizeof *self);
    self->verdict = verdict;
    self->newest = epoch;
    self->hash[epoch % SIM_EPOCHS_MAX] = hash;
}

/* [TRUST-4] A nodeId and a key belong to one node for ever. */
static void
s_check_unique (sim_trust_check_t *self, const adr_map_t *map)
{
    for (uint32_t i = 0; i < map->node_count; i++)
        for (uint32_t k = 0; k < i; k++) {
            const adr_map_node_t *a = &map->node[i], *b = &map->node[k];
            if (adr_id_equal (&a->id, &b->id) || memcmp (a->curve_key, b->curve_key, sizeof a->curve_key) == 0
                || memcmp (a->sign_key, b->sign_key, sizeof a->sign_key) == 0 || strcmp (a->name, b->name) == 0)
                sim_fail (self->verdict, "a nodeId, a key and a name belong to one node [TRUST-4]", "%s and %s of epoch %llu", a->name,
                          b->name, S_U (map->epoch));
        }
}

/* [TRUST-3] Nobody is forgotten, nobody comes back; one node of a group in a zone stays. */
static void
s_check_step (sim_trust_check_t *self, const adr_map_t *before, const adr_map_t *now)
{
    for (uint32_t i = 0; i < before->node_count; i++) {
        const adr_map_node_t *then = &before->node[i], *node = adr_map_node (now, &then->id);
        if (node == NULL || (then->evicted && !node->evicted))
            sim_fail (self->verdict, "who was evicted stays so, and who was there is known [TRUST-3]", "%s of epoch %llu", then->name,
                      S_U (now->epoch));
    }
    for (uint32_t i = 0; i < now->node_count; i++)
        for (uint32_t k = 0; k < i; k++) {
            const adr_map_node_t *a = &now->node[i], *b = &now->node[k];
            if (a->type != ADR_NODE_EDGE && !a->leaving && !b->leaving && adr_id_equal (&a->group, &b->group)
                && adr_id_equal (&a->zone, &b->zone))
                sim_fail (self->verdict, "a group has one node in a zone that stays [S0-54]", "%s and %s of epoch %llu", a->name, b->name,
                          S_U (now->epoch));
        }
}

void
sim_trust_committed (sim_trust_check_t *self, const adr_map_t *before, const adr_map_t *now, uint64_t hash)
{
    if (now->epoch != self->newest + 1)
        sim_fail (self->verdict, "registries have one order [TRUST-3]", "epoch %llu is committed behind %llu", S_U (now->epoch),
                  S_U (self->newest));
    self->newest = now->epoch;
    self->hash[now->epoch % SIM_EPOCHS_MAX] = hash;
    s_check_unique (self, now);
    s_check_step (self, before, now);
}

void
sim_trust_started (sim_trust_check_t *self, int host, uint64_t epoch)
{
    self->holds[host] = epoch;
}

void
sim_trust_taken (sim_trust_check_t *self, int host, uint64_t epoch, uint64_t hash)
{
    if (epoch <= self->holds[host])
        sim_fail (self->verdict, "a host takes newer registries [TRUST-3]", "host %d takes %llu, and holds %llu", host, S_U (epoch),
                  S_U (self->holds[host]));
    if (epoch > self->newest || self->hash[epoch % SIM_EPOCHS_MAX] != hash)
        sim_fail (self->verdict, "a host takes what the PKI group has committed [TRUST-3]", "host %d takes epoch %llu, committed is %llu",
                  host, S_U (epoch), S_U (self->newest));
    self->holds[host] = epoch;
}
