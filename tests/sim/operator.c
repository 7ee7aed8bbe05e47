/* SPDX-License-Identifier: MPL-2.0 */
/* Somebody who changes the cluster while it works: one deed after another, each asked for again and again until it is done, or cannot
 * be. And the nodes that come in by the tokens. See trust.h. */

#include "trust.h"

#include "wire/map_codec.h"

#include <sodium.h>

#define S_PATIENCE_NS (20 * SIM_SECOND)

static const adr_bytes_t s_nothing;

/* Numbers of questions are the simulator's own, beyond what any edge counts to. */
static uint64_t
s_number (sim_world_t *world)
{
    return UINT64_C (1) << 60 | ++world->trust->operator.number;
}

/* --- what is done next ---------------------------------------------------------------------------------------------- */

/* But for this one. */
static bool
s_all_are_admitted (const sim_world_t *world, int but)
{
    for (int i = 0; i < world->node_count; i++)
        if (i != but && world->node[i].replicates && (world->node[i].amnesic || world->node[i].boot == 0) && !sim_is_evicted (world, i)
            && !sim_is_leaving (world, i))
            return false;
    return true;
}

/* One of the group's nodes that is there, and is leaving or is not; -1: there is none. */
static int
s_pick_node (sim_world_t *world, bool leaving)
{
    int found = -1;
    int64_t seen = 0;
    for (int i = 0; i < world->node_count; i++)
        if (world->node[i].replicates && !sim_is_evicted (world, i) && sim_is_leaving (world, i) == leaving
            && sim_pick (&world->trust->random, 0, seen++) == 0)
            found = i;
    return found;
}

/* One of several edges; -1: there are too few. */
static int
s_pick_edge (sim_world_t *world)
{
    int found = -1;
    int64_t seen = 0;
    for (int i = 0; i < world->node_count; i++)
        if (world->node[i].type == ADR_NODE_EDGE && !sim_is_evicted (world, i) && sim_pick (&world->trust->random, 0, seen++) == 0)
            found = i;
    return seen > 1 ? found : -1;
}

static bool
s_zone_has_peer (const sim_world_t *world, int zone)
{
    for (int i = 0; i < world->node_count; i++)
        if (world->node[i].replicates && world->node[i].zone == zone && !sim_is_evicted (world, i) && !sim_is_leaving (world, i))
            return true;
    return false;
}

/* A zone that has no node of the group that stays, be it a new one. */
static int
s_pick_zone (sim_world_t *world)
{
    for (int zone = 0; zone < ADR_ZONES_MAX; zone++)
        if (!s_zone_has_peer (world, zone) && sim_chance (&world->trust->random, 600000))
            return zone;
    return -1;
}

static bool
s_begin_adoption (sim_world_t *world)
{
    struct sim_trust *self = world->trust;
    int zone = self->used < self->newcomers ? s_pick_zone (world) : -1;
    if (zone < 0)
        return false;
    int place = self->first_newcomer + self->used++; /* whether it comes or not */
    sim_joiner_t *joiner = &self->joiner;
    *joiner = (sim_joiner_t){ .node = place };
    self->thief = (sim_joiner_t){ .node = place };
    world->node[place].zone = zone;
    snprintf (world->node[place].name, sizeof world->node[place].name, "meta%d@z%d", place, zone + 1);
    for (size_t i = 0; i < sizeof joiner->token.secret; i += 8)
        adr_put_u64 (joiner->token.secret + i, adr_random_next (&self->random));
    self->operator.deed = DEED_TOKEN;
    self->operator.node = place;
    return true;
}

/* The group's master hears no PKI node for a while: what it knows of who is to go is old [TRUST-7]. */
static void
s_cut_off_master (sim_world_t *world)
{
    uint32_t from = 0, to = 0;
    for (int i = 0; i < world->node_count; i++) {
        from |= world->node[i].leads ? 1u << world->node[i].host : 0;
        to |= world->node[i].type == ADR_NODE_PKI ? 1u << world->node[i].host : 0;
    }
    if (world->cut_count == SIM_CUTS_MAX || from == 0 || from & to)
        return;
    world->cut[world->cut_count++] = (sim_cut_t){ .from = to, .to = from, .number = ++world->cut_number };
    int64_t length = sim_pick (&world->trust->random, 1000, 6000) * ADR_MS;
    SIM_TRACE (world, "cut %llu: the master hears no PKI node for %lld ms", (unsigned long long) world->cut_number,
               (long long) (length / ADR_MS));
    sim_event_at (world, world->now_ns + length, EV_HEAL, 0, 0, world->cut_number, NULL);
}

/* True if a deed begins. */
static bool
s_choose (sim_world_t *world)
{
    sim_operator_t *operator = &world->trust->operator;
    adr_random_t *random = &world->trust->random;
    sim_deed_t deed = (sim_deed_t) sim_pick (random, DEED_TOKEN, DEED_EVICT);
    bool removes = deed == DEED_DEMOTE || deed == DEED_EVICT;
    int newest = sim_chance (random, 300000) ? operator->newest : -1; /* it goes as soon as it comes */
    if (newest >= 0) {
        removes = true;
        deed = sim_chance (random, 700000) ? DEED_EVICT : DEED_DEMOTE;
    }
    operator->newest = -1;
    if (removes && !s_all_are_admitted (world, newest)) /* whoever is lost meanwhile may be one too many */
        return false;
    if (deed == DEED_TOKEN || deed == DEED_JOIN) {
        if (!s_begin_adoption (world))
            return false;
    } else {
        bool leaving = deed == DEED_PROMOTE || (deed == DEED_EVICT && sim_chance (random, 500000));
        operator->node = newest >= 0 ? newest : s_pick_node (world, leaving);
        if (newest < 0 && deed == DEED_EVICT && sim_chance (random, 200000))
            operator->node = s_pick_edge (world);
        if (operator->node < 0)
            return false;
        operator->deed = deed;
    }
    if (newest >= 0 && sim_chance (random, 500000))
        s_cut_off_master (world);
    operator->first_number = operator->number;
    operator->until_ns = world->now_ns + S_PATIENCE_NS;
    SIM_TRACE (world, "the operator begins deed %d with %s", operator->deed, world->node[operator->node].name);
    return true;
}

/* --- questions ------------------------------------------------------------------------------------------------------ */

static int
s_any_edge (sim_world_t *world)
{
    int found = -1;
    int64_t seen = 0;
    for (int i = 0; i < world->node_count; i++)
        if (world->node[i].type == ADR_NODE_EDGE && world->host[world->node[i].host].up && !sim_is_evicted (world, i) && sim_pick (&world->trust->random, 0, seen++) == 0)
            found = i;
    return found;
}

static void
s_fill_token (sim_world_t *world, Adr__Token *token, uint8_t key[ADR_KEY_SIZE], char zone[16])
{
    const sim_node_t *node = &world->node[world->trust->operator.node];
    adr_token_public (&world->trust->joiner.token, key);
    snprintf (zone, 16, "z%d", node->zone + 1);
    token->token_key = adr_bytes_view (adr_bytes (key, ADR_KEY_SIZE));
    token->type = ADR_NODE_META;
    token->zone_name = zone;
    token->group_name = (char *) "meta1";
    token->name = (char *) node->name;
    token->valid_ms = ADR_TOKEN_VALID_MAX_MS;
}

static void
s_ask (sim_world_t *world)
{
    static const Adr__ControlAction s_actions[] = { [DEED_TOKEN] = ADR__CONTROL_ACTION__TOKEN, [DEED_DEMOTE] = ADR__CONTROL_ACTION__DEMOTE,
                                                    [DEED_PROMOTE] = ADR__CONTROL_ACTION__PROMOTE, [DEED_EVICT] = ADR__CONTROL_ACTION__EVICT,
                                                    [DEED_WITHDRAW] = ADR__CONTROL_ACTION__TOKEN_WITHDRAW };
    sim_operator_t *operator = &world->trust->operator;
    int edge = s_any_edge (world), pki = sim_trust_any_pki (world);
    if (edge < 0 || pki < 0)
        return;
    Adr__Control control = ADR__CONTROL__INIT;
    Adr__Token token = ADR__TOKEN__INIT;
    uint8_t key[ADR_KEY_SIZE];
    char zone[16];
    adr_id_t asker = { { 7 } };
    control.number = s_number (world);
    control.action = s_actions[operator->deed];
    control.limit_ms = 10000;
    control.asker = adr_id_view (&asker);
    if (operator->deed == DEED_TOKEN || operator->deed == DEED_WITHDRAW) {
        s_fill_token (world, &token, key, zone);
        control.token = &token;
    } else
        control.node = adr_id_view (&world->node[operator->node].id);
    sim_pack_t *pack = sim_trust_pack (world, edge, ADR_ACTOR_EDGE_ROUTER, pki, ADR_ACTOR_CERT_SIGNER);
    adr_pack_add (&pack->bytes, ADR__KIND__CONTROL, &control.base, s_nothing);
    if (world->node[edge].host == world->node[pki].host)
        sim_trust_local (world, pki, pack);
    else
        sim_network_send (world, pack);
}

static void
s_end (sim_world_t *world, bool done)
{
    sim_operator_t *operator = &world->trust->operator;
    SIM_TRACE (world, "the operator's deed %d with %s is %s", operator->deed, world->node[operator->node].name, done ? "done" : "given up");
    operator->newest = done && (operator->deed == DEED_JOIN || operator->deed == DEED_PROMOTE) ? operator->node : -1;
    if (done)
        operator->done[operator->deed]++;
    else
        operator->given_up++;
    operator->deed = DEED_NONE;
}

void
sim_operator_wakes (sim_world_t *world)
{
    sim_operator_t *operator = &world->trust->operator;
    if (operator->deed != DEED_NONE && world->now_ns > operator->until_ns)
        s_end (world, false);
    for (int tries = 0; tries < 4 && operator->deed == DEED_NONE && world->phase == PHASE_FAULTS; tries++)
        (void) s_choose (world);
    if (operator->deed != DEED_NONE && operator->deed != DEED_JOIN)
        s_ask (world);
    sim_event_at (world, world->now_ns + sim_pick (&world->trust->random, 50, 800) * ADR_MS, EV_TRUST, TRUST_OPERATOR, 0, 0, NULL);
}

/* --- answers -------------------------------------------------------------------------------------------------------- */

/* What was answered as done is so, or was undone by nobody but this operator, who does one thing at a time. */
static void
s_check_done (sim_world_t *world)
{
    const sim_operator_t *operator = &world->trust->operator;
    int node = operator->node;
    bool told = world->trust->check.told >= world->trust->evicted_epoch[node]; /* enough have signed it */
    bool votes = sim_votes_now (world, &world->node[node].id);
    bool so = operator->deed == DEED_EVICT     ? sim_is_evicted (world, node) && told
              : operator->deed == DEED_DEMOTE  ? sim_is_leaving (world, node) && !votes
              : operator->deed == DEED_PROMOTE ? !sim_is_leaving (world, node)
                                               : true;
    if (!so)
        sim_fail (&world->verdict, "what is answered as done is committed [TRUST-3]", "deed %d with %s", operator->deed,
                  world->node[node].name);
}

static void
s_make_request (sim_world_t *world, sim_joiner_t *joiner, const Adr__Token *kept)
{
    adr_cert_t *request = &joiner->request;
    const sim_node_t *node = &world->node[joiner->node];
    sim_trust_draw_keys (world, &joiner->keys);
    *request = (adr_cert_t){ .kind = ADR_CERT_REQUEST, .type = ADR_NODE_META, .cluster = world->cluster, .zone = adr_id_of (kept->zone),
                             .group = world->group, .node = node->id };
    if (joiner == &world->trust->thief)
        request->node.bytes[0] ^= 1;
    snprintf (request->name, sizeof request->name, "%s", node->name);
    adr_keys_public (&joiner->keys, request->curve_key, request->sign_key);
    adr_cert_sign (request, joiner->keys.sign_seed);
    joiner->asks = true;
    joiner->until_ns = world->now_ns + S_PATIENCE_NS;
}

static void
s_let_join (sim_world_t *world, const Adr__Token *kept)
{
    struct sim_trust *self = world->trust;
    self->joiner.token.cluster = world->cluster;
    s_make_request (world, &self->joiner, kept);
    sim_event_at (world, world->now_ns + sim_pick (&self->random, 0, 2000) * ADR_MS, EV_TRUST, TRUST_JOINER, 0, 0, NULL);
    if (sim_chance (&self->random, 300000)) {
        self->thief.token = self->joiner.token;
        s_make_request (world, &self->thief, kept);
        sim_event_at (world, world->now_ns + sim_pick (&self->random, 0, 4000) * ADR_MS, EV_TRUST, TRUST_THIEF, 0, 0, NULL);
    }
    self->operator.done[DEED_TOKEN]++;
    self->operator.deed = sim_chance (&self->random, 300000) ? DEED_WITHDRAW : DEED_JOIN;
    self->operator.first_number = self->operator.number;
    self->operator.until_ns = world->now_ns + S_PATIENCE_NS;
}

void
sim_operator_hears (sim_world_t *world, const Adr__ControlAnswer *answer)
{
    sim_operator_t *operator = &world->trust->operator;
    uint64_t number = answer->number & ~(UINT64_C (1) << 60);
    if (answer->number >> 60 != 1 || operator->deed == DEED_NONE || operator->deed == DEED_JOIN || number <= operator->first_number
        || sim_chance (&world->trust->random, 50000))
        return;
    SIM_TRACE (world, "the operator hears %s: %s", adr_status_name ((adr_status_t) answer->status), answer->text);
    if (answer->status == ADR_STATUS_OK && operator->deed == DEED_TOKEN && answer->token)
        s_let_join (world, answer->token);
    else if (answer->status == ADR_STATUS_OK) {
        s_check_done (world);
        world->trust->joiner.withdrawn |= operator->deed == DEED_WITHDRAW;
        s_end (world, true);
    } else if (answer->status == ADR_STATUS_INVALID || answer->status == ADR_STATUS_NOT_FOUND || answer->status == ADR_STATUS_DENIED
               || (answer->status == ADR_STATUS_REFUSED && operator->deed == DEED_WITHDRAW && strstr (answer->text, "has come in"))
               || (answer->status == ADR_STATUS_REFUSED && sim_chance (&world->trust->random, 300000)))
        s_end (world, false);
}

/* --- who wants to come in ------------------------------------------------------------------------------------------- */

void
sim_joiner_wakes (sim_world_t *world, sim_joiner_t *joiner)
{
    struct sim_trust *self = world->trust;
    int pki = sim_trust_any_pki (world);
    if (!joiner->asks || joiner->came || joiner->refused || world->now_ns > joiner->until_ns)
        return;
    sim_event_at (world, world->now_ns + sim_pick (&self->random, 200, 3000) * ADR_MS, EV_TRUST,
                  joiner == &self->joiner ? TRUST_JOINER : TRUST_THIEF, 0, 0, NULL);
    if (pki < 0)
        return;
    uint8_t request[ADR_CERTIFICATE_MAX], key[ADR_KEY_SIZE], signature[ADR_SIGNATURE_SIZE];
    char control[32], bulk[32];
    int port = joiner == &self->joiner ? 1 : 5;
    snprintf (control, sizeof control, "tcp://127.0.1.%d:%d", joiner->node, port);
    snprintf (bulk, sizeof bulk, "tcp://127.0.1.%d:%d", joiner->node, port + 1);
    const char *const endpoints[ADR_JOIN_ENDPOINTS] = { control, bulk, "", "" };
    adr_bytes_t bytes = adr_bytes (request, adr_cert_encode (&joiner->request, request));
    adr_token_public (&joiner->token, key);
    adr_token_sign_join (&joiner->token, bytes, endpoints, 0, signature);
    Adr__Join join = ADR__JOIN__INIT;
    join.number = joiner->number = s_number (world);
    join.token_key = adr_bytes_view (adr_bytes (key, sizeof key));
    join.request = adr_bytes_view (bytes);
    join.signature = adr_bytes_view (adr_bytes (signature, sizeof signature));
    join.control = control;
    join.bulk = bulk;
    sim_pack_t *pack = sim_trust_pack (world, -1, ADR_ACTOR_CLIENT, pki, ADR_ACTOR_CERT_SIGNER);
    pack->is_strangers = true;
    adr_pack_add (&pack->bytes, ADR__KIND__JOIN, &join.base, s_nothing);
    sim_network_send (world, pack);
}

/* [TRUST-5] By one token one comes in, and what it is answered is committed. */
static void
s_check_came (sim_world_t *world, const sim_joiner_t *joiner, const adr_map_t *map)
{
    const struct sim_trust *self = world->trust;
    const adr_map_node_t *node = adr_map_node (self->registry, &joiner->request.node);
    if (self->joiner.came && self->thief.came)
        sim_fail (&world->verdict, "a token lets one node in [TRUST-5]", "two came in as %s", world->node[joiner->node].name);
    if (!node || memcmp (node->curve_key, joiner->request.curve_key, ADR_KEY_SIZE) != 0)
        sim_fail (&world->verdict, "no certificate leaves before its commit [TRUST-4]", "%s", world->node[joiner->node].name);
    if (map == NULL || adr_map_node (map, &joiner->request.node) == NULL)
        sim_fail (&world->verdict, "who came in is told a map that has it [TRUST-5]", "%s", world->node[joiner->node].name);
}

void
sim_joiner_hears (sim_world_t *world, const Adr__JoinAnswer *answer)
{
    struct sim_trust *self = world->trust;
    sim_joiner_t *joiner = answer->number == self->joiner.number ? &self->joiner : &self->thief;
    if (answer->number != joiner->number || joiner->came || !joiner->asks || sim_chance (&self->random, 100000))
        return;
    SIM_TRACE (world, "%s %s hears %s: %s", joiner == &self->thief ? "a thief of" : "", world->node[joiner->node].name,
               adr_status_name ((adr_status_t) answer->status), answer->text);
    joiner->refused = answer->status == ADR_STATUS_DENIED || answer->status == ADR_STATUS_INVALID;
    if (answer->status != ADR_STATUS_OK)
        return;
    joiner->came = true;
    adr_map_t *map = adr_map_read (answer->map);
    s_check_came (world, joiner, map);
    if (world->verdict.failed || joiner == &self->thief) { /* a thief's node is one that never starts */
        adr_map_destroy (&map);
        return;
    }
    sim_trust_birth (world, joiner->node, map);
    if (self->operator.deed == DEED_JOIN)
        s_end (world, true);
}
