/* SPDX-License-Identifier: MPL-2.0 */
/* The PKI group as its nodes' cert_signers and map_keepers see it: what is written happens at one moment, if at all, for all of them;
 * when that is, who hears of it, and when, is left to chance. See trust.h. */

#include "trust.h"

#include "wire/map_codec.h"

static const adr_bytes_t s_nothing;

/* A majority of them is up, or nobody decides anything. */
static bool
s_has_quorum (const sim_world_t *world)
{
    int all = 0, up = 0;
    for (int i = 0; i < world->node_count; i++)
        if (world->node[i].type == ADR_NODE_PKI) {
            const sim_host_t *host = &world->host[world->node[i].host];
            all++;
            up += host->up && !host->paused;
        }
    return up > all / 2;
}

/* --- questions ------------------------------------------------------------------------------------------------------ */

void
sim_pki_asked (sim_world_t *world, int node, sim_pack_t *pack)
{
    adr_random_t *random = &world->trust->random;
    bool faults = world->phase == PHASE_FAULTS;
    int64_t delay = sim_pick (random, 1, 20) * ADR_MS;
    if (faults && sim_chance (random, 100000)) /* it is committed much later, when whoever asked may be gone */
        delay = sim_pick (random, 20, 5000) * ADR_MS;
    if (faults && sim_chance (random, 50000)) {
        sim_pack_release (world, pack);
        return;
    }
    sim_event_at (world, world->now_ns + delay, EV_TRUST, TRUST_GROUP, node, world->host[world->node[node].host].life, pack);
}

static void
s_answer (sim_world_t *world, int node, uint64_t life, uint64_t number, adr_status_t status, uint64_t version, adr_bytes_t value)
{
    const sim_host_t *host = &world->host[world->node[node].host];
    if (!host->up || host->life != life || (world->phase == PHASE_FAULTS && sim_chance (&world->trust->random, 50000)))
        return;
    Adr__Answer answer = ADR__ANSWER__INIT;
    Adr__VersionOf of = ADR__VERSION_OF__INIT;
    answer.number = number;
    answer.status = status;
    of.epoch = of.term = 1;
    of.index = version;
    answer.version = version ? &of : NULL;
    sim_pack_t *pack = sim_trust_pack (world, node, ADR_ACTOR_REPLICATOR, node, ADR_ACTOR_CERT_SIGNER);
    adr_pack_add (&pack->bytes, ADR__KIND__ANSWER, &answer.base, value);
    sim_trust_local (world, node, pack);
}

/* --- what is committed ------------------------------------------------------------------------------------------------ */

bool
sim_votes_now (const sim_world_t *world, const adr_id_t *node)
{
    uint64_t term = 0;
    bool votes = false;
    for (int i = 0; i < world->node_count; i++)
        if (world->node[i].leads > term && world->node[i].store) {
            term = world->node[i].leads;
            votes = adr_voters_find_node (adr_store_voters (world->node[i].store), node) >= 0;
        }
    return votes;
}

static void
s_check_evicted (sim_world_t *world, const adr_map_t *before, const adr_map_t *now)
{
    for (uint32_t i = 0; i < now->node_count; i++) {
        const adr_map_node_t *node = &now->node[i], *then = adr_map_node (before, &node->id);
        int place = sim_node_of (world, &node->id);
        if (place >= 0 && node->evicted && !(then && then->evicted))
            world->trust->evicted_epoch[place] = now->epoch;
        if (node->evicted && !(then && then->evicted) && sim_votes_now (world, &node->id))
            sim_fail (&world->verdict, "who votes is not evicted [TRUST-3]", "%s, by epoch %llu", node->name,
                      (unsigned long long) now->epoch);
    }
}

/* [TRUST-5] By a token that was withdrawn nobody comes in. */
static void
s_check_withdrawn (sim_world_t *world, const adr_map_t *before, const adr_map_t *now)
{
    const struct sim_trust *self = world->trust;
    const adr_id_t *ids[] = { &self->joiner.request.node, &self->thief.request.node };
    for (size_t i = 0; self->joiner.withdrawn && i < sizeof ids / sizeof ids[0]; i++)
        if (adr_map_node (now, ids[i]) && !adr_map_node (before, ids[i]))
            sim_fail (&world->verdict, "a token that was withdrawn lets nobody in [TRUST-5]", "%s, by epoch %llu",
                      adr_map_node (now, ids[i])->name, (unsigned long long) now->epoch);
}

static void
s_registry_changed (sim_world_t *world)
{
    struct sim_trust *self = world->trust;
    const ideal_record_t *record = ideal_group_find (&self->group, ADR_TABLE_REGISTRY, adr_bytes (ADR_REGISTRY_KEY, strlen (ADR_REGISTRY_KEY)));
    adr_map_t *map = adr_registry_read (adr_bytes (record->value.data, record->value.size));
    if (!map) {
        sim_fail (&world->verdict, "what is written can be read", "a registry");
        return;
    }
    sim_trust_committed (&self->check, self->registry, map, sim_trust_hash (map));
    s_check_evicted (world, self->registry, map);
    s_check_withdrawn (world, self->registry, map);
    SIM_TRACE (world, "registry %llu is committed", (unsigned long long) map->epoch);
    adr_map_destroy (&self->registry);
    self->registry = map;
    for (int i = 0; i < world->node_count; i++)
        if (world->node[i].type == ADR_NODE_PKI)
            sim_event_at (world, world->now_ns + sim_draw (&self->random, 1, world->phase == PHASE_FAULTS ? 4000 : 200) * ADR_MS, EV_TRUST,
                          TRUST_NOTED, i, 0, NULL);
}

/* [REPL-5] A request id has one outcome. */
static adr_status_t
s_write (sim_world_t *world, const Adr__Write *write, adr_bytes_t values, uint64_t *version)
{
    struct sim_trust *self = world->trust;
    for (uint64_t i = 0; i < self->request_count && i < SIM_REQUESTS_KEPT; i++)
        if (memcmp (self->request[i].id, write->request.data, ADR_REQUEST_ID_SIZE) == 0) {
            *version = self->request[i].version;
            return self->request[i].status;
        }
    uint64_t epoch = self->registry->epoch;
    adr_status_t status = ideal_group_write (&self->group, write, values);
    *version = self->group.version;
    uint64_t at = self->request_count++ % SIM_REQUESTS_KEPT;
    memcpy (self->request[at].id, write->request.data, ADR_REQUEST_ID_SIZE);
    self->request[at].status = status;
    self->request[at].version = *version;
    for (size_t i = 0; status == ADR_STATUS_OK && i < write->n_op && self->registry->epoch == epoch; i++)
        if (write->op[i]->table == ADR_TABLE_REGISTRY)
            s_registry_changed (world);
    return status;
}

static void
s_serve_item (sim_world_t *world, int node, uint64_t life, const adr_item_t *item)
{
    struct sim_trust *self = world->trust;
    adr_arena_reset (&world->arena);
    const ProtobufCMessage *header = adr_header_decode (item, &world->arena);
    if (item->kind == ADR__KIND__READ) {
        const Adr__Read *read = (const Adr__Read *) header;
        const ideal_record_t *record = ideal_group_find (&self->group, read->table, adr_bytes (read->key.data, read->key.len));
        s_answer (world, node, life, read->number, record ? ADR_STATUS_OK : ADR_STATUS_NOT_FOUND, record ? record->version : 0,
                  record ? adr_bytes (record->value.data, record->value.size) : s_nothing);
    } else if (item->kind == ADR__KIND__WRITE) {
        const Adr__Write *write = (const Adr__Write *) header;
        uint64_t version;
        adr_status_t status = s_write (world, write, item->payload, &version);
        s_answer (world, node, life, write->number, status, version, s_nothing);
    }
}

void
sim_pki_serves (sim_world_t *world, int node, uint64_t life, sim_pack_t *pack)
{
    adr_pack_reader_t reader;
    adr_item_t item;
    bool open = s_has_quorum (world) && adr_pack_open (&reader, adr_bytes (pack->bytes.data, pack->bytes.size));
    while (open && !world->verdict.failed && adr_pack_next (&reader, &item) > 0)
        s_serve_item (world, node, life, &item);
    sim_pack_release (world, pack);
}

/* --- what the nodes hear ---------------------------------------------------------------------------------------------- */

void
sim_pki_notes (sim_world_t *world, int node)
{
    struct sim_trust *self = world->trust;
    const sim_host_t *host = &world->host[world->node[node].host];
    if (!host->up || host->paused || self->registry->epoch <= 1) /* nothing was written yet */
        return;
    Adr__RegistryNoted noted = ADR__REGISTRY_NOTED__INIT;
    sim_pack_t *pack = sim_trust_pack (world, node, ADR_ACTOR_REPLICATOR, node, ADR_ACTOR_MAP_KEEPER);
    adr_pack_add (&pack->bytes, ADR__KIND__REGISTRY_NOTED, &noted.base, adr_bytes (self->registry->sealed, self->registry->sealed_size));
    sim_trust_local (world, node, pack);
}

/* The first that is up leads. */
static int
s_master (const sim_world_t *world)
{
    for (int i = 0; i < world->node_count && s_has_quorum (world); i++)
        if (world->node[i].type == ADR_NODE_PKI && world->host[world->node[i].host].up && !world->host[world->node[i].host].paused)
            return i;
    return -1;
}

void
sim_pki_status (sim_world_t *world)
{
    struct sim_trust *self = world->trust;
    int master = s_master (world);
    sim_event_at (world, world->now_ns + SIM_SECOND, EV_TRUST, TRUST_STATUS, 0, 0, NULL);
    if (master < 0)
        return;
    self->status_term += master != self->status_master || self->status_term == 0;
    self->status_master = master;
    adr_group_status_t status = { .term = self->status_term, .sequence = ++self->status_sequence, .master = world->node[master].id,
                                  .quorum = self->registry->quorum };
    for (int i = 0; i < world->node_count && status.member_count < ADR_VOTERS_MAX; i++)
        if (world->node[i].type == ADR_NODE_PKI)
            status.member[status.member_count++] = (adr_map_member_t){ .node = world->node[i].id, .state = ADR_STATE_ONLINE_READY, .voter = true };
    status.voter_count = status.member_count;
    adr_arena_reset (&world->arena);
    Adr__GroupStatus *message = adr_group_status_message (&self->pki_group, &status, &world->arena);
    sim_pack_t *pack = sim_trust_pack (world, master, ADR_ACTOR_REPLICATOR, master, ADR_ACTOR_MAP_KEEPER);
    adr_pack_add (&pack->bytes, ADR__KIND__GROUP_STATUS, &message->base, s_nothing);
    sim_trust_local (world, master, pack);
}
