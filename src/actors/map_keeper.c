/* SPDX-License-Identifier: MPL-2.0 */
/* map_keeper: keeps a node's copy of the clusterMap current, and tells the node's other actors [DESIGN 9].
 *
 * Owns: this node's map. Makes durable: nothing; the host keeps a registry that was taken in the file cluster.map, statuses are
 * made anew by the masters. Implements docs/protocol/map_keeper.md and, of docs/protocol/trust.md, how a registry comes from the
 * PKI group's log to every node [TRUST-3].
 *
 * Mailbox: GROUP_STATUS (own replicator, while it leads; and, on a PKI node, the map-keepers of masters), MASTER (own
 *   election), MAP_PULL (any map-keeper, on a PKI node; those of PKI nodes, on others), MAP_PUSH (map-keepers of PKI nodes; any, on one), REGISTRY_NOTED (own replicator,
 *   on a PKI node), REGISTRY_SIGNED (map-keepers of PKI nodes, on one).
 * Sends: GROUP_STATUS and MAP_PULL (map-keepers of PKI nodes), MAP_PUSH (map-keepers of its zone, of zones without a PKI node,
 *   who pulled; a new registry to all),
 *   REGISTRY_SIGNED (map-keepers of PKI nodes), MAP_CHANGED (edge-router, collector and credential-keeper, or replicator,
 *   election, health-checker, merkle-gossiper, inventory-syncer and cert-signer of its node; a registry that was taken to the scrubber and the host).
 *
 *     master's replicator -> its map-keeper -> map-keepers of all PKI nodes -> map-keepers of their zones' nodes
 *     the PKI group's log -> each PKI node's map-keeper signs it -> each of them, when enough have -> their zones
 *
 * No message goes that way twice: a status that came from another node is merged and pushed, never sent on as a
 * status; a push is merged, and never pushed on. */

#include "core/actor.h"
#include "core/map_trust.h"
#include "wire/map_codec.h"

#include <stdlib.h>

#define S_TIMER_PUSH 1u
#define S_TIMER_PULL 2u
#define S_TIMER_SIGNED 3u
#define S_PUSH_NS (100 * ADR_MS)   /* what routes and leads is told at most this often */
#define S_REPEAT_NS (1000 * ADR_MS) /* progress, and a sign of life, this often */
#define S_PULL_NS (2000 * ADR_MS)  /* the zone's PKI node is silent after this, and others are asked this often */
#define S_TRUST_TURNS 5            /* every so many of these another than the zone's is asked all the same */
#define S_SIGNED_NS (500 * ADR_MS) /* what is signed and not taken yet is told this often */
#define S_PKI_MAX ADR_ZONES_MAX

/* What another PKI node has signed last. */
typedef struct {
    adr_id_t node;
    uint64_t epoch;
    uint8_t hash[ADR_MAP_HASH_SIZE], signature[ADR_MAP_SIGNATURE_SIZE];
} s_said_t;

typedef struct {
    const adr_environment_t *environment;
    adr_effects_t *effects; /* of the current event */
    int64_t now_ns, wall_ms;
    adr_map_t *map;
    adr_map_t *candidate;       /* PKI: the group has committed it, and too few have signed it yet; NULL: none */
    s_said_t said[S_PKI_MAX];
    uint32_t said_count;
    bool taken;                 /* in this turn, a registry: the host has to hear of it */
    bool all_behind;            /* PKI: everybody has to be told of a registry */
    adr_id_t zone;              /* ours */
    adr_id_t pki[S_PKI_MAX];    /* the other zones' PKI nodes, and ours unless it is this node */
    uint32_t pki_count;
    int zone_pki;               /* which of them is our zone's; -1: none, or this node */
    uint32_t asked;             /* which of them was asked last */
    uint32_t turns;             /* in which none had to be */
    uint64_t pulls;             /* numbers of our MAP_PULLs */
    int64_t heard_ns;           /* when our zone's PKI node pushed last */
    bool news;                  /* of this turn: who leads, or which state a node is in */
    bool progress;              /* since the last telling: indexes moved */
    bool push_due;              /* PKI: news that the zone has not been told */
    int64_t aged_ns;            /* up to when statuses are as old as they say */
    int64_t told_ns;            /* when our own actors were told last */
    int64_t pushed_ns;
    uint64_t refused_epoch;     /* of a registry that was offered and not believed; said once */
    int64_t told_newer_ns;      /* when a PKI node that is behind was sent our registry last; 0: never */
    uint64_t dropped;           /* statuses that their sender had no right to */
} s_keeper_t;

static const adr_bytes_t s_nothing;

static bool
s_is_pki (const s_keeper_t *self)
{
    return self->environment->type == ADR_NODE_PKI;
}

static void
s_send_keeper (s_keeper_t *self, const adr_id_t *node, uint16_t kind, const ProtobufCMessage *header)
{
    adr_address_t to = { *node, ADR_ACTOR_MAP_KEEPER };
    self->effects->send (self->effects, to, kind, header, s_nothing);
}

/* --- telling ------------------------------------------------------------------------------------------------------ */

static void
s_tell (s_keeper_t *self, adr_actor_kind_t actor, const Adr__MapChanged *changed)
{
    adr_address_t to = { self->environment->node, actor };
    self->effects->send (self->effects, to, ADR__KIND__MAP_CHANGED, &changed->base, s_nothing);
}

/* The whole map, to the actors of this node that route or lead. */
static void
s_tell_actors (s_keeper_t *self)
{
    adr_arena_t arena;
    adr_arena_init (&arena, 16 * 1024, 64 * 1024 * 1024);
    Adr__MapChanged changed = ADR__MAP_CHANGED__INIT;
    changed.map = adr_map_message (self->map, &arena);
    if (self->environment->type == ADR_NODE_EDGE) {
        s_tell (self, ADR_ACTOR_EDGE_ROUTER, &changed);
        s_tell (self, ADR_ACTOR_COLLECTOR, &changed);
        s_tell (self, ADR_ACTOR_CREDENTIAL_KEEPER, &changed);
    } else {
        s_tell (self, ADR_ACTOR_REPLICATOR, &changed);
        s_tell (self, ADR_ACTOR_ELECTION, &changed);
        s_tell (self, ADR_ACTOR_HEALTH_CHECKER, &changed);
        s_tell (self, ADR_ACTOR_MERKLE_GOSSIPER, &changed);
        s_tell (self, ADR_ACTOR_INVENTORY_SYNCER, &changed);
        if (s_is_pki (self))
            s_tell (self, ADR_ACTOR_CERT_SIGNER, &changed);
        if (self->taken) /* which wants to know of nothing but settings */
            s_tell (self, ADR_ACTOR_SCRUBBER, &changed);
    }
    if (self->taken)
        s_tell (self, ADR_ACTOR_HOST, &changed);
    self->taken = false;
    adr_arena_free (&arena);
    self->told_ns = self->now_ns;
    self->progress = false;
}

/* Ours, and zones that have no PKI node any more. */
static bool
s_serves_zone (const s_keeper_t *self, const adr_id_t *zone)
{
    if (adr_id_equal (zone, &self->zone))
        return true;
    for (uint32_t i = 0; i < self->pki_count; i++)
        if (adr_id_equal (&adr_map_node (self->map, &self->pki[i])->zone, zone))
            return false;
    return true;
}

/* The statuses to the nodes that this one serves; a registry that is new to all, whose own PKI nodes may be down [MAP-3]. */
static void
s_push (s_keeper_t *self)
{
    adr_arena_t arena;
    adr_arena_init (&arena, 16 * 1024, 64 * 1024 * 1024);
    Adr__MapPush push = ADR__MAP_PUSH__INIT;
    push.map = self->all_behind ? adr_map_message (self->map, &arena) : adr_map_statuses_message (self->map, &arena);
    push.epoch = self->map->epoch;
    for (uint32_t i = 0; i < self->map->node_count; i++) {
        const adr_map_node_t *node = &self->map->node[i];
        if ((self->all_behind || s_serves_zone (self, &node->zone)) && !node->evicted
            && !adr_id_equal (&node->id, &self->environment->node))
            s_send_keeper (self, &node->id, ADR__KIND__MAP_PUSH, &push.base);
    }
    adr_arena_free (&arena);
    self->pushed_ns = self->now_ns;
    self->push_due = self->all_behind = false;
}

/* The whole map, to one node. */
static void
s_push_whole (s_keeper_t *self, const adr_id_t *node, uint64_t number)
{
    adr_arena_t arena;
    adr_arena_init (&arena, 16 * 1024, 64 * 1024 * 1024);
    Adr__MapPush push = ADR__MAP_PUSH__INIT;
    push.number = number;
    push.epoch = self->map->epoch;
    push.map = adr_map_message (self->map, &arena);
    s_send_keeper (self, node, ADR__KIND__MAP_PUSH, &push.base);
    adr_arena_free (&arena);
}

/* --- learning ----------------------------------------------------------------------------------------------------- */

static bool
s_member_is_news (const adr_map_member_t *a, const adr_map_member_t *b)
{
    return !adr_id_equal (&a->node, &b->node) || a->state != b->state || a->voter != b->voter
           || a->incarnation != b->incarnation || a->boot != b->boot;
}

/* Who leads, who counts, or which state a node is in has changed, not indexes alone. */
static bool
s_is_news (const adr_group_status_t *before, const adr_group_status_t *after)
{
    if (before->term != after->term || !adr_id_equal (&before->master, &after->master)
        || before->leaving != after->leaving || before->member_count != after->member_count)
        return true;
    for (uint32_t i = 0; i < after->member_count; i++)
        if (s_member_is_news (&before->member[i], &after->member[i]))
            return true;
    return false;
}

/* Takes a status over if it is newer [MAP-1]. */
static void
s_learn (s_keeper_t *self, const adr_id_t *group, const adr_group_status_t *status)
{
    adr_map_group_t *held = adr_map_group (self->map, group);
    if (held == NULL)
        return;
    bool news = s_is_news (&held->status, status);
    if (!adr_map_merge_status (self->map, group, status))
        return;
    self->progress = true;
    if (news)
        self->news = self->push_due = true;
}

/* Only a group's master speaks for it, of itself [MAP-2]. */
static bool
s_may_say (const s_keeper_t *self, const adr_id_t *from, const adr_id_t *group, const adr_group_status_t *status)
{
    const adr_map_node_t *node = adr_map_node (self->map, from);
    return node != NULL && !node->leaving && !node->evicted && adr_id_equal (&node->group, group)
           && adr_id_equal (&status->master, from) && status->term <= ADR_TERM_MAX;
}

static void
s_on_group_status (s_keeper_t *self, const adr_event_t *event)
{
    const Adr__GroupStatus *message = (const Adr__GroupStatus *) event->message.header;
    adr_id_t group;
    adr_group_status_t status;
    if (!adr_group_status_read (&group, &status, message)
        || !s_may_say (self, &event->message.from.node, &group, &status)) {
        self->dropped++;
        return;
    }
    s_learn (self, &group, &status);
    if (event->message.from.actor == ADR_ACTOR_REPLICATOR)
        for (uint32_t i = 0; i < self->pki_count; i++)
            s_send_keeper (self, &self->pki[i], ADR__KIND__GROUP_STATUS, &message->base);
}

/* What our own election knows of our group's master is newer than any status. */
static void
s_on_master (s_keeper_t *self, const Adr__Master *master)
{
    const adr_map_group_t *held = adr_map_group (self->map, &self->environment->group);
    if (held == NULL || master->term <= held->status.term)
        return;
    adr_group_status_t status = held->status;
    status.term = master->term;
    status.sequence = 0;
    status.master = adr_id_of (master->master);
    status.leaving = false;
    status.age_ms = 0;
    s_learn (self, &self->environment->group, &status);
}

/* --- registries ---------------------------------------------------------------------------------------------------- */

static void s_find_pki (s_keeper_t *self);
static void s_try_candidate (s_keeper_t *self);
static void s_pull (s_keeper_t *self, uint32_t which);

/* A status that was told by a node which is to go: whoever leads after it may have a lower term, if it lied. */
static bool
s_is_of_a_leaver (const adr_map_t *map, const adr_group_status_t *status)
{
    const adr_map_node_t *master = adr_map_node (map, &status->master);
    return master && (master->leaving || master->evicted);
}

/* [MAP-5] Takes the map. What is known of the groups' statuses stays, unless a node that is to go has told it. */
static void
s_take (s_keeper_t *self, adr_map_t *map)
{
    for (uint32_t i = 0; i < map->group_count; i++)
        map->group[i].status = (adr_group_status_t){ 0 };
    for (uint32_t i = 0; i < self->map->group_count; i++)
        if (!s_is_of_a_leaver (map, &self->map->group[i].status))
            (void) adr_map_merge_status (map, &self->map->group[i].id, &self->map->group[i].status);
    adr_note (self->effects, ADR_LEVEL_NOTE, "a newer registry -> taken epoch=%llu was=%llu", (unsigned long long) map->epoch,
              (unsigned long long) self->map->epoch);
    adr_map_destroy (&self->map);
    self->map = map;
    s_find_pki (self);
    self->news = self->taken = true;
    self->push_due = self->all_behind = s_is_pki (self);
    if (self->candidate && self->candidate->epoch <= map->epoch)
        adr_map_destroy (&self->candidate);
    if (self->candidate) /* it may take fewer signatures now */
        s_try_candidate (self);
}

/* Takes the map, or destroys it: it is only taken if it is newer and believed. `says`: if it is not, that is worth a line; what any
 * node may offer must not use that up. */
static void
s_offer (s_keeper_t *self, adr_map_t *map, bool says)
{
    adr_map_fault_t fault = adr_map_judge (self->map, map, self->wall_ms);
    if (fault == ADR_MAP_BELIEVED && adr_map_size_max (map) > ADR_MAP_MAX)
        fault = ADR_MAP_TOO_LARGE;
    if (fault == ADR_MAP_BELIEVED) {
        s_take (self, map);
        return;
    }
    if (says && fault != ADR_MAP_NOT_NEWER && map->epoch > self->refused_epoch) {
        self->refused_epoch = map->epoch;
        adr_note (self->effects, ADR_LEVEL_WARNING, "a newer registry is offered -> not taken: %s epoch=%llu",
                  adr_map_fault_name (fault), (unsigned long long) map->epoch);
    }
    adr_map_destroy (&map);
}

static bool
s_has_signed (const adr_map_t *map, const adr_id_t *node)
{
    for (uint32_t i = 0; i < map->signature_count; i++)
        if (adr_id_equal (&map->signature[i].node, node))
            return true;
    return false;
}

static void
s_add_signature (adr_map_t *map, const adr_id_t *node, const uint8_t signature[ADR_MAP_SIGNATURE_SIZE])
{
    if (map->signature_count == ADR_ZONES_MAX || s_has_signed (map, node))
        return;
    adr_map_signature_t *to = &map->signature[map->signature_count++];
    to->node = *node;
    memcpy (to->signature, signature, ADR_MAP_SIGNATURE_SIZE);
}

/* Gathers what was said of the candidate; with enough of it, it is taken. */
static void
s_try_candidate (s_keeper_t *self)
{
    adr_map_t *map = self->candidate;
    uint8_t hash[ADR_MAP_HASH_SIZE];
    adr_map_hash (adr_bytes (map->sealed, map->sealed_size), hash);
    for (uint32_t i = 0; i < self->said_count; i++) {
        const s_said_t *said = &self->said[i];
        if (said->epoch == map->epoch && memcmp (said->hash, hash, sizeof hash) == 0
            && adr_map_signed_by (self->map, map, &said->node, said->signature))
            s_add_signature (map, &said->node, said->signature);
    }
    if (map->signature_count < adr_map_signatures_needed (self->map, map))
        return;
    self->candidate = NULL;
    s_offer (self, map, true);
}

/* What this node's authority has signed, to the other PKI nodes. */
static void
s_tell_signed (s_keeper_t *self)
{
    const adr_map_t *map = self->candidate;
    uint8_t hash[ADR_MAP_HASH_SIZE];
    if (map == NULL)
        return;
    for (uint32_t i = 0; i < map->signature_count; i++) {
        if (!adr_id_equal (&map->signature[i].node, &self->environment->node))
            continue;
        Adr__RegistrySigned sign = ADR__REGISTRY_SIGNED__INIT;
        adr_map_hash (adr_bytes (map->sealed, map->sealed_size), hash);
        sign.epoch = map->epoch;
        sign.hash = (ProtobufCBinaryData){ sizeof hash, hash };
        sign.signature = (ProtobufCBinaryData){ ADR_MAP_SIGNATURE_SIZE, (uint8_t *) map->signature[i].signature };
        for (uint32_t k = 0; k < self->pki_count; k++)
            s_send_keeper (self, &self->pki[k], ADR__KIND__REGISTRY_SIGNED, &sign.base);
    }
    self->effects->wake (self->effects, S_TIMER_SIGNED, self->now_ns + S_SIGNED_NS);
}

/* [TRUST-3] Our copy of the group's table has a newer registry: committed, and so it is signed. */
static void
s_on_registry_noted (s_keeper_t *self, adr_bytes_t bytes)
{
    adr_map_t *map = adr_registry_read (bytes);
    if (map == NULL) {
        adr_note (self->effects, ADR_LEVEL_ERROR, "the group's registry cannot be read -> not signed bytes=%zu", bytes.size);
        return;
    }
    if (map->epoch <= self->map->epoch || (self->candidate && map->epoch <= self->candidate->epoch)) {
        adr_map_destroy (&map);
        return;
    }
    const adr_authority_t *authority = self->environment->authority;
    if (!adr_map_is_step (self->map, map) || !adr_map_is_all_known (map) || adr_map_size_max (map) > ADR_MAP_MAX) {
        if (map->epoch > self->refused_epoch)
            adr_note (self->effects, ADR_LEVEL_ERROR, "the group's registry changes what is not to be changed, or is too large -> not signed epoch=%llu",
                      (unsigned long long) map->epoch);
        self->refused_epoch = map->epoch;
        adr_map_destroy (&map);
        return;
    }
    if (authority) {
        uint8_t hash[ADR_MAP_HASH_SIZE], signature[ADR_MAP_SIGNATURE_SIZE];
        adr_map_hash (bytes, hash);
        adr_map_sign (&self->map->cluster, map->epoch, hash, authority->sign_seed, signature);
        if (adr_map_signed_by (self->map, map, &self->environment->node, signature))
            s_add_signature (map, &self->environment->node, signature);
    }
    adr_map_destroy (&self->candidate);
    self->candidate = map;
    s_tell_signed (self);
    s_try_candidate (self);
}

/* The place of what that PKI node said last. */
static s_said_t *
s_place_of_said (s_keeper_t *self, const adr_id_t *node)
{
    for (uint32_t i = 0; i < self->said_count; i++)
        if (adr_id_equal (&self->said[i].node, node))
            return &self->said[i];
    return self->said_count < S_PKI_MAX ? &self->said[self->said_count++] : &self->said[0];
}

/* Whoever signs what we have taken already has not got it yet. */
static void
s_on_registry_signed (s_keeper_t *self, const adr_event_t *event)
{
    const Adr__RegistrySigned *from = (const Adr__RegistrySigned *) event->message.header;
    const adr_id_t *node = &event->message.from.node;
    const adr_map_node_t *known = adr_map_node (self->map, node);
    if (!s_is_pki (self) || known == NULL || known->evicted || from->hash.len != ADR_MAP_HASH_SIZE
        || from->signature.len != ADR_MAP_SIGNATURE_SIZE) {
        self->dropped++;
        return;
    }
    if (from->epoch <= self->map->epoch) {
        s_push_whole (self, node, 0);
        return;
    }
    s_said_t *said = s_place_of_said (self, node);
    said->node = *node;
    said->epoch = from->epoch;
    memcpy (said->hash, from->hash.data, ADR_MAP_HASH_SIZE);
    memcpy (said->signature, from->signature.data, ADR_MAP_SIGNATURE_SIZE);
    if (self->candidate)
        s_try_candidate (self);
}

/* [RECOVER-9] */
static void
s_ask_for_newer (s_keeper_t *self, const adr_id_t *node)
{
    Adr__MapPull pull = ADR__MAP_PULL__INIT;
    pull.number = ++self->pulls;
    pull.epoch = self->map->epoch;
    s_send_keeper (self, node, ADR__KIND__MAP_PULL, &pull.base);
}

/* [MAP-5] Who pushes has a newer registry, and did not send it along. */
static void
s_pull_newer (s_keeper_t *self, const adr_id_t *from)
{
    for (uint32_t i = 0; i < self->pki_count; i++)
        if (adr_id_equal (&self->pki[i], from))
            s_pull (self, i);
}

/* [RECOVER-9] Nobody else may be left who could tell that PKI node: what it signs next must know of whoever was evicted. */
static void
s_tell_newer (s_keeper_t *self, const adr_map_node_t *from, uint64_t epoch)
{
    bool soon = self->told_newer_ns && self->now_ns - self->told_newer_ns < S_PULL_NS;
    if (s_is_pki (self) || from->type != ADR_NODE_PKI || epoch == 0 || epoch >= self->map->epoch || soon)
        return;
    ADR_MARK ("map: a PKI node is behind, and hears of a newer registry");
    self->told_newer_ns = self->now_ns;
    s_push_whole (self, &from->id, 0);
}

/* What a PKI node's map says of the groups. */
static void
s_learn_statuses (s_keeper_t *self, const Adr__ClusterMap *map)
{
    for (size_t i = 0; i < map->n_status; i++) {
        adr_id_t group;
        adr_group_status_t status;
        if (adr_group_status_read (&group, &status, map->status[i]) && status.term <= ADR_TERM_MAX
            && !s_is_of_a_leaver (self->map, &status))
            s_learn (self, &group, &status);
    }
}

static void
s_on_push (s_keeper_t *self, const adr_event_t *event)
{
    const Adr__MapPush *push = (const Adr__MapPush *) event->message.header;
    const adr_map_node_t *from = adr_map_node (self->map, &event->message.from.node);
    if (from == NULL || from->evicted)
        return;
    if (self->zone_pki >= 0 && adr_id_equal (&event->message.from.node, &self->pki[self->zone_pki]))
        self->heard_ns = self->now_ns;
    if (push->map == NULL || (from->type != ADR_NODE_PKI && !s_is_pki (self)))
        return;
    adr_map_t *offered = push->map->registry && push->map->registry->epoch > self->map->epoch ? adr_map_read (push->map) : NULL;
    bool tells = from->type == ADR_NODE_PKI; /* of the groups; others bring a registry alone, which is believed by who has signed it */
    s_tell_newer (self, from, push->epoch);
    if (offered)
        s_offer (self, offered, tells);
    else if (push->epoch > self->map->epoch)
        s_pull_newer (self, &event->message.from.node);
    if (tells)
        s_learn_statuses (self, push->map);
}

/* [RECOVER-9] By other nodes PKI nodes are told of registries alone, if they have missed one. */
static void
s_answer_pki (s_keeper_t *self, const adr_event_t *event)
{
    const adr_map_node_t *from = adr_map_node (self->map, &event->message.from.node);
    if (from && from->type == ADR_NODE_PKI && !from->evicted && ((const Adr__MapPull *) event->message.header)->epoch < self->map->epoch)
        s_push_whole (self, &from->id, ((const Adr__MapPull *) event->message.header)->number);
}

/* Whoever holds the same registry gets the statuses, others the whole map; and one that is newer is asked for. */
static void
s_on_pull (s_keeper_t *self, const adr_event_t *event)
{
    const Adr__MapPull *pull = (const Adr__MapPull *) event->message.header;
    if (!s_is_pki (self)) {
        s_answer_pki (self, event);
        return;
    }
    if (pull->epoch > self->map->epoch)
        s_ask_for_newer (self, &event->message.from.node);
    adr_arena_t arena;
    adr_arena_init (&arena, 16 * 1024, 64 * 1024 * 1024);
    Adr__MapPush push = ADR__MAP_PUSH__INIT;
    push.number = pull->number;
    push.epoch = self->map->epoch;
    push.map = pull->epoch == self->map->epoch ? adr_map_statuses_message (self->map, &arena)
                                               : adr_map_message (self->map, &arena);
    s_send_keeper (self, &event->message.from.node, ADR__KIND__MAP_PUSH, &push.base);
    adr_arena_free (&arena);
}

/* --- time --------------------------------------------------------------------------------------------------------- */

static void
s_pull (s_keeper_t *self, uint32_t which)
{
    Adr__MapPull pull = ADR__MAP_PULL__INIT;
    pull.number = ++self->pulls;
    pull.epoch = self->map->epoch;
    self->asked = which;
    s_send_keeper (self, &self->pki[which], ADR__KIND__MAP_PULL, &pull.base);
}

/* The next of the PKI nodes, in a ring; our zone's own one among them, in case it is back [MAP-4]. */
static void
s_pull_if_silent (s_keeper_t *self)
{
    if (self->pki_count == 0)
        return;
    bool silent = self->zone_pki < 0 || self->now_ns - self->heard_ns >= S_PULL_NS;
    if (silent || ++self->turns % S_TRUST_TURNS == 0) { /* one that is not silent may keep something from us */
        if (silent && self->zone_pki >= 0)
            ADR_MARK ("map: the zone's PKI node is silent, another is asked");
        s_pull (self, (self->asked + 1) % self->pki_count);
    }
    self->effects->wake (self->effects, S_TIMER_PULL, self->now_ns + S_PULL_NS);
}

static void
s_on_start (s_keeper_t *self)
{
    self->aged_ns = self->told_ns = self->pushed_ns = self->heard_ns = self->now_ns;
    if (self->pki_count) {
        s_pull (self, self->zone_pki >= 0 ? (uint32_t) self->zone_pki : 0);
        self->effects->wake (self->effects, S_TIMER_PULL, self->now_ns + S_PULL_NS);
    }
    self->effects->wake (self->effects, S_TIMER_PUSH, self->now_ns + S_REPEAT_NS);
}

static int64_t
s_push_due_at (const s_keeper_t *self)
{
    return self->pushed_ns + (self->push_due ? S_PUSH_NS : S_REPEAT_NS);
}

/* Once a turn: news goes at once to this node's actors, and to the zone no more often than S_PUSH_NS. */
static void
s_turn_end (s_keeper_t *self)
{
    if (self->news || (self->progress && self->now_ns - self->told_ns >= S_REPEAT_NS))
        s_tell_actors (self);
    self->news = false;
    if (s_is_pki (self) && self->now_ns >= s_push_due_at (self))
        s_push (self);
    else if (s_is_pki (self) && self->push_due)
        self->effects->wake (self->effects, S_TIMER_PUSH, s_push_due_at (self));
}

static void
s_on_timer (s_keeper_t *self, uint32_t timer)
{
    if (timer == S_TIMER_PULL)
        s_pull_if_silent (self);
    else if (timer == S_TIMER_SIGNED)
        s_tell_signed (self);
    else /* what is due is told at the end of this turn */
        self->effects->wake (self->effects, S_TIMER_PUSH, self->now_ns + S_REPEAT_NS);
}

/* --- the actor ---------------------------------------------------------------------------------------------------- */

static void
s_find_pki (s_keeper_t *self)
{
    self->zone_pki = -1;
    self->pki_count = 0;
    for (uint32_t i = 0; i < self->map->node_count && self->pki_count < S_PKI_MAX; i++) {
        const adr_map_node_t *node = &self->map->node[i];
        if (node->type != ADR_NODE_PKI || node->evicted || adr_id_equal (&node->id, &self->environment->node))
            continue;
        if (adr_id_equal (&node->zone, &self->zone))
            self->zone_pki = (int) self->pki_count;
        self->pki[self->pki_count++] = node->id;
    }
}

static void *
s_create (const adr_environment_t *environment)
{
    s_keeper_t *self = adr_alloc (sizeof *self);
    self->environment = environment;
    self->map = adr_map_copy (environment->map);
    const adr_map_node_t *own = adr_map_node (self->map, &environment->node);
    if (own)
        self->zone = own->zone;
    s_find_pki (self);
    return self;
}

static void
s_destroy (void **self_p)
{
    s_keeper_t *self = *self_p;
    if (self == NULL)
        return;
    adr_map_destroy (&self->map);
    adr_map_destroy (&self->candidate);
    free (self);
    *self_p = NULL;
}

static void
s_on_message (s_keeper_t *self, const adr_event_t *event)
{
    switch (event->message.kind) {
    case ADR__KIND__GROUP_STATUS:
        s_on_group_status (self, event);
        break;
    case ADR__KIND__MASTER:
        s_on_master (self, (const Adr__Master *) event->message.header);
        break;
    case ADR__KIND__MAP_PUSH:
        s_on_push (self, event);
        break;
    case ADR__KIND__MAP_PULL:
        s_on_pull (self, event);
        break;
    case ADR__KIND__REGISTRY_NOTED:
        s_on_registry_noted (self, event->message.payload);
        break;
    case ADR__KIND__REGISTRY_SIGNED:
        s_on_registry_signed (self, event);
        break;
    default: /* the table of wire/table.c lets no other kind through */
        self->dropped++;
    }
}

static void
s_receive (void *actor, const adr_event_t *event, adr_effects_t *effects)
{
    s_keeper_t *self = actor;
    self->effects = effects;
    self->now_ns = event->now_ns;
    self->wall_ms = event->wall_ms;
    if (event->kind != ADR_EVENT_START)
        adr_map_grow_older (self->map, &self->aged_ns, self->now_ns);
    switch (event->kind) {
    case ADR_EVENT_START:
        s_on_start (self);
        break;
    case ADR_EVENT_MESSAGE:
        s_on_message (self, event);
        break;
    case ADR_EVENT_TIMER:
        s_on_timer (self, event->timer);
        break;
    case ADR_EVENT_TURN_END:
        s_turn_end (self);
        break;
    case ADR_EVENT_DURABLE:
    case ADR_EVENT_JOB_DONE:
    case ADR_EVENT_STOP:
        break;
    }
}

static void
s_check (const void *actor)
{
    const s_keeper_t *self = actor;
    adr_assert (self->map != NULL && self->pki_count <= S_PKI_MAX && self->zone_pki < (int) self->pki_count);
    adr_assert (!self->news && !self->taken);
    adr_assert (self->candidate == NULL || self->candidate->epoch > self->map->epoch);
    for (uint32_t i = 0; i < self->map->group_count; i++)
        adr_assert (self->map->group[i].status.member_count <= ADR_VOTERS_MAX * 2);
}

const adr_actor_class_t adr_map_keeper_class = { ADR_ACTOR_MAP_KEEPER, s_create, s_destroy, s_receive, s_check };
