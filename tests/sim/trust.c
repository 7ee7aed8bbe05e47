/* SPDX-License-Identifier: MPL-2.0 */
/* Keys, certificates, and the map that each host holds: what src/runtime/directory.c and map_taker.c are to a real host, and the
 * gatekeeper. See trust.h. */

#include "trust.h"

#include "wire/map_codec.h"

#include <sodium.h>
#include <stdlib.h>

#define S_WALL_MS INT64_C (1700000000000) /* about when the world begins */
#define S_YEAR_MS (INT64_C (366) * 24 * 3600 * 1000)

/* --- what the founding signs -------------------------------------------------------------------------------------- */

static void
s_draw_bytes (adr_random_t *random, uint8_t *to, size_t size)
{
    for (size_t i = 0; i < size; i += 8)
        adr_put_u64 (to + i, adr_random_next (random));
}

void
sim_trust_draw_keys (sim_world_t *world, adr_keys_t *keys)
{
    s_draw_bytes (&world->trust->random, keys->curve_secret, ADR_KEY_SIZE);
    s_draw_bytes (&world->trust->random, keys->sign_seed, ADR_KEY_SIZE);
}

static adr_cert_t
s_blank (sim_world_t *world, adr_cert_kind_t kind, adr_node_type_t type, const char *name)
{
    adr_cert_t cert = { .kind = kind, .type = type, .cluster = world->cluster, .not_before_ms = S_WALL_MS - S_YEAR_MS,
                        .not_after_ms = S_WALL_MS + 10 * S_YEAR_MS };
    cert.serial = (adr_random_next (&world->trust->random) >> 1) | 1;
    snprintf (cert.name, sizeof cert.name, "%s", name);
    return cert;
}

static void
s_make_root (sim_world_t *world)
{
    struct sim_trust *self = world->trust;
    sim_trust_draw_keys (world, &self->root);
    adr_cert_t cert = s_blank (world, ADR_CERT_ROOT, 0, "root");
    cert.issuer_serial = self->root_serial = cert.serial;
    adr_keys_public (&self->root, NULL, cert.sign_key);
    adr_cert_sign (&cert, self->root.sign_seed);
    world->map->root_certificate_size = adr_cert_encode (&cert, world->map->root_certificate);
}

static void
s_make_authority (sim_world_t *world, int place, const adr_map_node_t *node)
{
    struct sim_trust *self = world->trust;
    adr_map_t *map = world->map;
    adr_authority_t *authority = &self->authority[place];
    adr_keys_t keys;
    sim_trust_draw_keys (world, &keys);
    memcpy (authority->sign_seed, keys.sign_seed, ADR_KEY_SIZE);
    authority->certificate = s_blank (world, ADR_CERT_AUTHORITY, ADR_NODE_PKI, node->name);
    adr_cert_t *cert = &authority->certificate;
    cert->issuer_serial = self->root_serial;
    cert->zone = node->zone;
    cert->node = node->id;
    adr_keys_public (&keys, NULL, cert->sign_key);
    adr_cert_sign (cert, self->root.sign_seed);
    map->authority_size[map->authority_count] = adr_cert_encode (cert, map->authority[map->authority_count]);
    map->authority_count++;
}

/* Some end soon: whoever leads the PKI group signs them anew [TRUST-4]. */
static void
s_certify (sim_world_t *world, adr_map_node_t *node, const adr_authority_t *authority)
{
    adr_keys_t keys;
    sim_trust_draw_keys (world, &keys);
    adr_keys_public (&keys, node->curve_key, node->sign_key);
    adr_cert_t cert = s_blank (world, ADR_CERT_NODE, node->type, node->name);
    if (sim_chance (&world->trust->random, 100000))
        cert.not_after_ms = S_WALL_MS + 30 * INT64_C (24) * 3600 * 1000;
    cert.issuer_serial = authority->certificate.serial;
    cert.zone = node->zone;
    cert.node = node->id;
    cert.group = node->group;
    memcpy (cert.curve_key, node->curve_key, ADR_KEY_SIZE);
    memcpy (cert.sign_key, node->sign_key, ADR_KEY_SIZE);
    adr_cert_sign (&cert, authority->sign_seed);
    node->certificate_size = adr_cert_encode (&cert, node->certificate);
}

static void
s_give_place (sim_world_t *world, int place, adr_map_node_t *node)
{
    if (node->type == ADR_NODE_PKI)
        node->group = world->trust->pki_group;
    else if (place == world->trust->liar)
        node->group = world->trust->other_group;
    snprintf (node->control, sizeof node->control, "tcp://127.0.1.%d:1", place);
    snprintf (node->bulk, sizeof node->bulk, "tcp://127.0.1.%d:2", place);
    if (node->type == ADR_NODE_EDGE || node->type == ADR_NODE_PKI)
        snprintf (node->client, sizeof node->client, "tcp://127.0.1.%d:3", place);
    if (node->type == ADR_NODE_EDGE)
        snprintf (node->http, sizeof node->http, "127.0.1.%d:4", place);
}

static void
s_add_group (sim_world_t *world, const adr_id_t *id, adr_node_type_t type, const char *name)
{
    adr_map_t *map = world->map;
    map->group = adr_realloc (map->group, (map->group_count + 1) * sizeof *map->group);
    adr_map_group_t *group = &map->group[map->group_count++];
    *group = (adr_map_group_t){ .id = *id, .type = type };
    snprintf (group->name, sizeof group->name, "%s", name);
    group->founding.quorum = map->quorum;
    for (uint32_t i = 0; i < map->node_count; i++)
        if (adr_id_equal (&map->node[i].group, id) && group->founding.count < ADR_VOTERS_MAX)
            group->founding.voter[group->founding.count++] = (adr_voter_t){ map->node[i].id, adr_random_next (&world->trust->random) | 1 };
}

uint64_t
sim_trust_hash (const adr_map_t *map)
{
    return sim_hash (map->sealed, map->sealed_size);
}

/* The map was made, without trust. */
void
sim_trust_found (sim_world_t *world)
{
    struct sim_trust *self = world->trust;
    adr_map_t *map = world->map;
    s_make_root (world);
    for (int i = 0; i < (int) map->node_count; i++) {
        s_give_place (world, i, &map->node[i]);
        if (map->node[i].type == ADR_NODE_PKI)
            s_make_authority (world, i, &map->node[i]);
    }
    for (int i = 0, pki = -1; i < (int) map->node_count; i++) {
        while (pki < 0 || self->authority[pki].certificate.serial == 0)
            pki++;
        s_certify (world, &map->node[i], &self->authority[pki]);
    }
    s_add_group (world, &self->pki_group, ADR_NODE_PKI, "pki1");
    if (self->liar >= 0)
        s_add_group (world, &self->other_group, ADR_NODE_META, "meta2");
    adr_map_seal (map);
    self->registry = adr_map_copy (map);
    sim_trust_check_init (&self->check, &world->verdict, map->epoch, sim_trust_hash (map));
    for (int host = 0; host < world->host_count; host++)
        self->host[host].kept = adr_map_copy (map);
}

struct sim_trust *
sim_trust_new (uint64_t seed)
{
    struct sim_trust *self = adr_alloc (sizeof *self);
    self->random.state = seed * UINT64_C (0x9fb21c651e98df25) + 6;
    s_draw_bytes (&self->random, self->pki_group.bytes, ADR_ID_SIZE);
    s_draw_bytes (&self->random, self->other_group.bytes, ADR_ID_SIZE);
    self->joiner.node = self->thief.node = self->operator.node = self->operator.newest = self->liar = -1;
    return self;
}

void
sim_trust_destroy (sim_world_t *world)
{
    struct sim_trust *self = world->trust;
    if (!self)
        return;
    sim_liar_free (world);
    for (int host = 0; host < SIM_HOSTS_MAX; host++) {
        adr_map_destroy (&self->host[host].held);
        adr_map_destroy (&self->host[host].kept);
        adr_map_destroy (&self->host[host].boot);
    }
    adr_map_destroy (&self->registry);
    ideal_group_free (&self->group);
    free (self);
    world->trust = NULL;
}

/* --- what hosts hold ----------------------------------------------------------------------------------------------- */

static void
s_begins_with (const sim_world_t *world, sim_node_t *node, const adr_map_t *map)
{
    node->knows = 0;
    node->wanted = 0;
    for (uint32_t i = 0; i < map->node_count; i++)
        node->wanted += adr_id_equal (&map->node[i].group, &world->group) && !map->node[i].leaving && !map->node[i].evicted;
    for (int i = 0; i < world->node_count; i++) {
        const adr_map_node_t *known = adr_map_node (map, &world->node[i].id);
        if (known && !known->evicted)
            node->knows |= 1u << i;
    }
}

void
sim_trust_host_starts (sim_world_t *world, int host)
{
    sim_held_map_t *it = &world->trust->host[host];
    adr_map_destroy (&it->held);
    adr_map_destroy (&it->boot);
    it->held = adr_map_copy (it->kept);
    it->boot = adr_map_copy (it->kept);
    sim_trust_started (&world->trust->check, host, it->held->epoch);
    for (int i = 0; i < world->node_count; i++)
        if (world->node[i].host == host)
            s_begins_with (world, &world->node[i], it->boot);
    for (int i = 0; i < world->node_count; i++)
        if (world->node[i].host == host && world->node[i].type == ADR_NODE_PKI)
            sim_event_at (world, world->now_ns + sim_pick (&world->trust->random, 1, 500) * ADR_MS, EV_TRUST, TRUST_NOTED, i, 0, NULL);
}

const adr_map_t *
sim_trust_boot_map (const sim_world_t *world, int host)
{
    return world->trust->host[host].boot;
}

const struct adr_authority *
sim_trust_authority (const sim_world_t *world, int node)
{
    return world->node[node].type == ADR_NODE_PKI ? &world->trust->authority[node] : NULL;
}

/* A host that takes a newer map keeps it in its file, a while later; whoever ends it before that starts with the older one. */
static void
s_take (sim_world_t *world, int host, adr_map_t *map)
{
    sim_held_map_t *it = &world->trust->host[host];
    if (map->epoch <= it->held->epoch) { /* another node of this host was quicker */
        adr_map_destroy (&map);
        return;
    }
    sim_trust_taken (&world->trust->check, host, map->epoch, sim_trust_hash (map));
    SIM_TRACE (world, "host %d holds registry %llu", host, (unsigned long long) map->epoch);
    adr_map_destroy (&it->held);
    it->held = map;
    sim_event_at (world, world->now_ns + sim_pick (&world->trust->random, 1, 50) * ADR_MS, EV_TRUST, TRUST_KEPT, host,
                  world->host[host].life, NULL);
}

static void
s_take_pack (sim_world_t *world, int host, const sim_pack_t *pack)
{
    adr_pack_reader_t reader;
    adr_item_t item;
    bool open = adr_pack_open (&reader, adr_bytes (pack->bytes.data, pack->bytes.size));
    while (open && adr_pack_next (&reader, &item) > 0) {
        adr_arena_reset (&world->arena);
        const Adr__MapChanged *changed = (const Adr__MapChanged *) adr_header_decode (&item, &world->arena);
        adr_map_t *map = changed ? adr_map_read (changed->map) : NULL;
        if (map)
            s_take (world, host, map);
        else
            sim_fail (&world->verdict, "what is sent can be read", "a host hears of a map that is none");
    }
}

/* What goes to no actor of this node, but to its host, or to the PKI group. */
bool
sim_trust_takes (sim_world_t *world, int node, int actor, sim_pack_t *pack)
{
    if (!world->trust)
        return false;
    if (actor == ADR_ACTOR_HOST) {
        s_take_pack (world, world->node[node].host, pack);
        sim_pack_release (world, pack);
        return true;
    }
    if (actor == ADR_ACTOR_REPLICATOR && world->node[node].type == ADR_NODE_PKI) {
        sim_pki_asked (world, node, pack);
        return true;
    }
    return false;
}

bool
sim_trust_answers (sim_world_t *world, uint16_t kind, const ProtobufCMessage *header)
{
    if (kind == ADR__KIND__CONTROL_ANSWER && world->trust)
        sim_operator_hears (world, (const Adr__ControlAnswer *) header);
    else if (kind == ADR__KIND__JOIN_ANSWER && world->trust)
        sim_joiner_hears (world, (const Adr__JoinAnswer *) header);
    else
        return false;
    return true;
}

/* [TRUST-3] A host hears, and sends to, whom its map has, and nobody who was evicted. */
bool
sim_trust_hears (const sim_world_t *world, int host, int from, int to)
{
    if (!world->trust || from < 0 || from == to)
        return true;
    const adr_map_t *held = world->trust->host[host].held;
    const adr_map_node_t *sender = adr_map_node (held, &world->node[from].id), *own = adr_map_node (held, &world->node[to].id);
    return sender && !sender->evicted && !(own && own->evicted);
}

/* --- who belongs, by what is committed -------------------------------------------------------------------------------- */

bool
sim_is_evicted (const sim_world_t *world, int node)
{
    const adr_map_node_t *known = world->trust ? adr_map_node (world->trust->registry, &world->node[node].id) : NULL;
    return known && known->evicted;
}

bool
sim_is_leaving (const sim_world_t *world, int node)
{
    const adr_map_node_t *known = world->trust ? adr_map_node (world->trust->registry, &world->node[node].id) : NULL;
    return known && known->leaving;
}

void
sim_trust_watch (sim_world_t *world, const adr_address_t *to, uint16_t kind, const ProtobufCMessage *header)
{
    struct sim_trust *self = world->trust;
    if (!self)
        return;
    if (kind == ADR__KIND__MAP_CHANGED && to->actor == ADR_ACTOR_HOST) {
        uint64_t epoch = ((const Adr__MapChanged *) header)->map->registry->epoch;
        self->check.told = epoch > self->check.told ? epoch : self->check.told;
    }
    if (self->liar >= 0 && adr_id_equal (&to->node, &world->node[self->liar].id) && kind != ADR__KIND__MAP_PUSH
        && kind != ADR__KIND__MAP_PULL) /* whoever is adopted may have the registry */
        sim_fail (&world->verdict, "a node of another group is told nothing [DESIGN 8]", "%s", adr_kind_name (kind));
}

/* Its host loses power before, or while, its disk has the entry, which others have by then, or have not [REPL-4]. */
void
sim_trust_voters_made (sim_world_t *world, int node)
{
    if (!world->trust || world->phase != PHASE_FAULTS || !sim_chance (&world->trust->random, 150000))
        return;
    const sim_host_t *host = &world->host[world->node[node].host];
    int64_t at = world->now_ns + sim_draw (&world->trust->random, 100, 8000) * SIM_US;
    sim_event_at (world, at, EV_STOP_NOW, world->node[node].host, CRASH_POWER, host->life, NULL);
}

bool
sim_has_strange_voter (const sim_world_t *world)
{
    int going = 0, staying = 0;
    for (int i = 0; world->trust && i < world->node_count; i++)
        if (world->node[i].replicates && sim_votes_now (world, &world->node[i].id)) {
            bool goes = sim_is_leaving (world, i) || sim_is_evicted (world, i);
            going += goes;
            staying += !goes;
        }
    return going > 0 && staying > 0; /* the last voter does not go, whoever wants it */
}

bool
sim_waits_for_third (const sim_world_t *world)
{
    int voters = 0;
    bool never_came = false;
    for (int i = 0; world->trust && i < world->node_count; i++)
        voters += world->node[i].replicates && sim_votes_now (world, &world->node[i].id);
    for (uint32_t i = 0; world->trust && i < world->trust->registry->node_count; i++) {
        const adr_map_node_t *node = &world->trust->registry->node[i];
        int place = sim_node_of (world, &node->id);
        never_came |= adr_id_equal (&node->group, &world->group) && !node->leaving && (place < 0 || !world->node[place].replicates);
    }
    return voters == 1 && never_came;
}

bool
sim_is_known (const sim_world_t *world, const adr_id_t *node)
{
    return world->trust && adr_map_node (world->trust->registry, node);
}

/* No voter is going, or was asked to: what is lost now is one of as many as there seem to be. */
bool
sim_trust_may_lose (const sim_world_t *world)
{
    if (!world->trust)
        return true;
    const sim_deed_t deed = world->trust->operator.deed;
    if (deed == DEED_DEMOTE || deed == DEED_EVICT || deed == DEED_PROMOTE)
        return false;
    int staying = 0;
    for (int i = 0; i < world->node_count; i++) {
        if (!world->node[i].replicates || sim_is_evicted (world, i))
            continue;
        if (sim_is_leaving (world, i))
            return false;
        staying++;
    }
    return staying >= 3;
}

/* --- what both sides of trust need ------------------------------------------------------------------------------------ */

int
sim_trust_any_pki (sim_world_t *world)
{
    int found = -1;
    int64_t seen = 0;
    for (int i = 0; i < world->node_count; i++)
        if (world->node[i].type == ADR_NODE_PKI && world->host[world->node[i].host].up
            && sim_pick (&world->trust->random, 0, seen++) == 0)
            found = i;
    return found;
}

sim_pack_t *
sim_trust_pack (sim_world_t *world, int from, adr_actor_kind_t from_actor, int to, adr_actor_kind_t to_actor)
{
    sim_pack_t *pack = sim_pack_new (world);
    pack->from_node = from;
    pack->to_node = to;
    pack->to_actor = to_actor;
    adr_envelope_t envelope = { .cluster = world->cluster, .to = world->node[to].id, .from_actor = from_actor, .to_actor = to_actor };
    if (from >= 0) {
        envelope.sender = world->node[from].id;
        envelope.incarnation = world->node[from].incarnation;
        envelope.boot = world->node[from].boot;
    }
    adr_pack_begin (&pack->bytes, &envelope);
    return pack;
}

void
sim_trust_local (sim_world_t *world, int node, sim_pack_t *pack)
{
    int64_t at = world->now_ns + sim_pick (&world->trust->random, SIM_US, world->options.hop_ns);
    sim_event_at (world, at, EV_LOCAL, node, (int) pack->to_actor, world->host[world->node[node].host].life, pack);
}

void
sim_trust_birth (sim_world_t *world, int place, adr_map_t *map)
{
    sim_node_t *node = &world->node[place];
    sim_held_map_t *it = &world->trust->host[node->host];
    adr_map_destroy (&it->kept);
    it->kept = map;
    node->replicates = node->amnesic = true;
    sim_disk_init (&node->disk, adr_random_next (&world->trust->random), UINT64_C (1) << 30);
    node->disk.recycles = world->options.recycles;
    world->members++;
    world->host[node->host].unborn = false;
    SIM_TRACE (world, "%s is a node, by registry %llu", node->name, (unsigned long long) map->epoch);
    sim_event_at (world, world->now_ns + sim_pick (&world->trust->random, 1, 2000) * ADR_MS, EV_BOOT, node->host, 0,
                  world->host[node->host].life, NULL);
}

/* --- events ------------------------------------------------------------------------------------------------------------ */

/* All hosts with PKI nodes and nothing else end at once, for a while: reads, writes and fail-over go on. */
static void
s_outage (sim_world_t *world)
{
    if (world->phase != PHASE_FAULTS)
        return;
    ADR_MARK ("sim: all PKI nodes are down");
    int64_t length = sim_pick (&world->trust->random, 500, 5000) * ADR_MS;
    for (int i = 0; i < world->node_count; i++)
        if (world->node[i].type == ADR_NODE_PKI && world->host[world->node[i].host].up)
            sim_crash (world, world->node[i].host, CRASH_KILL, length, "all PKI nodes are down");
    sim_event_at (world, world->now_ns + sim_pick (&world->trust->random, 4000, 16000) * ADR_MS, EV_TRUST, TRUST_OUTAGE, 0, 0, NULL);
}

void
sim_trust_start (sim_world_t *world)
{
    struct sim_trust *self = world->trust;
    if (!self)
        return;
    sim_event_at (world, sim_pick (&self->random, 500, 3000) * ADR_MS, EV_TRUST, TRUST_OPERATOR, 0, 0, NULL);
    sim_event_at (world, sim_pick (&self->random, 0, 1000) * ADR_MS, EV_TRUST, TRUST_STATUS, 0, 0, NULL);
    if (self->liar >= 0)
        sim_event_at (world, sim_pick (&self->random, 500, 1000) * ADR_MS, EV_TRUST, TRUST_LIE, 0, 0, NULL);
    if (world->options.split && sim_chance (&self->random, 300000))
        sim_event_at (world, sim_pick (&self->random, 1000, 8000) * ADR_MS, EV_TRUST, TRUST_OUTAGE, 0, 0, NULL);
}

void
sim_trust_happen (sim_world_t *world, const sim_event_t *event)
{
    struct sim_trust *self = world->trust;
    switch (event->a) {
    case TRUST_OPERATOR:
        sim_operator_wakes (world);
        break;
    case TRUST_JOINER:
        sim_joiner_wakes (world, &self->joiner);
        break;
    case TRUST_THIEF:
        sim_joiner_wakes (world, &self->thief);
        break;
    case TRUST_GROUP:
        sim_pki_serves (world, event->b, event->life, event->pointer);
        break;
    case TRUST_NOTED:
        sim_pki_notes (world, event->b);
        break;
    case TRUST_STATUS:
        sim_pki_status (world);
        break;
    case TRUST_KEPT:
        if (world->host[event->b].life == event->life && world->host[event->b].up) {
            adr_map_destroy (&self->host[event->b].kept);
            self->host[event->b].kept = adr_map_copy (self->host[event->b].held);
        }
        break;
    case TRUST_LIE:
        sim_liar_speaks (world);
        break;
    case TRUST_OUTAGE:
        s_outage (world);
        break;
    default:
        adr_assert (!"no such event");
    }
}
