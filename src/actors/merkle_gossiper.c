/* SPDX-License-Identifier: MPL-2.0 */
/* merkle_gossiper: tells the other copies of its group what its records hash to at each checkpoint, and finds out where
 * theirs differ.
 *
 * Owns: roots, its own and those that it heard. Makes durable: nothing. Assumes: the store notes roots of exact states only
 * [REPAIR-1]. Implements docs/protocol/merkle_gossiper.md (DESIGN 7; what follows from REPAIR-1 and REPAIR-3).
 *
 * Mailbox
 *     CHECKPOINT_NOTED  own replicator    this copy's roots at a checkpoint
 *     ROOT              a peer's          its root there
 *     ROOTS_ASK         a peer's          which of our partitions' roots are those?
 *     ROOTS             a peer's          these
 *     MAP_CHANGED       own map_keeper
 * Sends
 *     ROOT, ROOTS_ASK, ROOTS to merkle_gossipers; AGREED to own replicator; DIVERGED to own inventory_syncer. */

#include "core/actor.h"

#include "actors/group.h"
#include "core/entry.h"
#include "store/store.h"
#include "wire/pack.h"

#include <stdlib.h>
#include <string.h>

#define S_HASH 32
#define S_KEPT 4 /* own checkpoints whose root is remembered: a peer's word may come late */

typedef struct {
    adr_position_t at; /* index 0: none */
    uint8_t root[S_HASH];
    uint32_t doubt;    /* of the copy that has it: 0 exact, 1 not proven, 2 rows are missing */
} s_root_t;

/* What is known of one other node of the group. */
typedef struct {
    adr_id_t node;
    uint64_t incarnation;
    s_root_t root;             /* the newest that it told */
    adr_position_t asked_at;   /* for whose roots it was asked */
    adr_position_t counted_at; /* the newest checkpoint at which it was found to differ */
} s_peer_t;

typedef struct {
    adr_environment_t environment;
    adr_group_t group;
    s_peer_t peer[ADR_GROUP_NODES_MAX]; /* in the order of group.node */
    s_root_t own[S_KEPT];               /* the newest first */
    adr_buffer_t roots;                 /* of the newest, by partition */
    adr_voters_t voters;
    adr_position_t agreed_at;
    uint64_t divergences; /* ever */
} s_gossiper_t;

static void
s_send (const adr_id_t *node, adr_actor_kind_t actor, uint16_t kind, const void *header, adr_bytes_t payload,
        adr_effects_t *effects)
{
    effects->send (effects, (adr_address_t){ *node, actor }, kind, header, payload);
}

static const s_root_t *
s_own_at (const s_gossiper_t *self, adr_position_t at)
{
    for (size_t i = 0; i < S_KEPT; i++)
        if (at.index != 0 && adr_position_compare (self->own[i].at, at) == 0)
            return &self->own[i];
    return NULL;
}

/* --- agreement ------------------------------------------------------------------------------------------------- */

/* Voters whose root at that checkpoint is ours. */
static uint32_t
s_same (const s_gossiper_t *self, const s_root_t *own, bool *exact, bool *lossy)
{
    bool votes = adr_voters_find (&self->voters, &self->environment.node, self->environment.incarnation) >= 0;
    uint32_t same = votes;
    *exact = votes && own->doubt == 0;
    *lossy = own->doubt > 1;
    for (uint32_t i = 0; i < self->group.count; i++) {
        const s_peer_t *peer = &self->peer[i];
        if (adr_voters_find (&self->voters, &peer->node, peer->incarnation) < 0
            || adr_position_compare (peer->root.at, own->at) != 0 || memcmp (peer->root.root, own->root, S_HASH) != 0)
            continue;
        same++;
        *exact |= peer->root.doubt == 0;
        *lossy |= peer->root.doubt > 1;
    }
    return same;
}

static void
s_tell_agreement (s_gossiper_t *self, const s_root_t *own, adr_effects_t *effects)
{
    bool exact, lossy;
    uint32_t same = s_same (self, own, &exact, &lossy);
    /* Copies that lack the same would prove each other: one that knows of a loss needs an exact one. */
    bool enough = same >= adr_majority (self->voters.count) && (exact || !lossy);
    if ((!enough && !ADR_PLANT (REPAIR_1_PROVEN_ALONE))
        || adr_position_compare (own->at, self->agreed_at) <= 0)
        return;
    self->agreed_at = own->at;
    Adr__Agreed agreed = ADR__AGREED__INIT;
    agreed.term = own->at.term;
    agreed.index = own->at.index;
    agreed.same = same;
    s_send (&self->environment.node, ADR_ACTOR_REPLICATOR, ADR__KIND__AGREED, &agreed, adr_bytes (NULL, 0), effects);
}

/* --- divergence ------------------------------------------------------------------------------------------------ */

static void
s_ask_roots (s_gossiper_t *self, s_peer_t *peer, adr_position_t at, adr_effects_t *effects)
{
    /* Roots of partitions are kept for the newest checkpoint only: if it is none any more, the next one tells. */
    if (adr_position_compare (self->own[0].at, at) != 0 || adr_position_compare (peer->asked_at, at) == 0)
        return;
    peer->asked_at = at;
    Adr__RootsAsk ask = ADR__ROOTS_ASK__INIT;
    ask.term = at.term;
    ask.index = at.index;
    s_send (&peer->node, ADR_ACTOR_MERKLE_GOSSIPER, ADR__KIND__ROOTS_ASK, &ask, adr_bytes (NULL, 0), effects);
}

static void
s_compare (s_gossiper_t *self, s_peer_t *peer, adr_effects_t *effects)
{
    const s_root_t *own = s_own_at (self, peer->root.at);
    if (own == NULL)
        return;
    if (memcmp (own->root, peer->root.root, S_HASH) == 0) {
        s_tell_agreement (self, own, effects);
        return;
    }
    if (adr_position_compare (peer->counted_at, own->at) != 0) {
        char name[ADR_ID_TEXT_SIZE];
        adr_id_format (&peer->node, name);
        peer->counted_at = own->at;
        self->divergences++;
        ADR_MARK ("copies differ at a checkpoint");
        adr_note (effects, ADR_LEVEL_WARNING,
                  "the records of this copy and of node %s differ at checkpoint %llu -> the partitions are compared diverged=%llu",
                  name, (unsigned long long) own->at.index,
                  (unsigned long long) self->divergences);
    }
    /* [REPAIR-3] What it has that we lack is believed of a voter: one that slept has what was purged since. */
    if (adr_voters_find (&self->voters, &peer->node, peer->incarnation) >= 0 || ADR_PLANT (REPAIR_3_MENDED_BY_ANYBODY))
        s_ask_roots (self, peer, own->at, effects);
}

/* --- mailbox --------------------------------------------------------------------------------------------------- */

static s_peer_t *
s_peer_of (s_gossiper_t *self, const adr_event_t *event)
{
    int at = adr_group_find (&self->group, &event->message.from.node);
    return at < 0 ? NULL : &self->peer[at];
}

static void
s_tell_root (const s_gossiper_t *self, const adr_id_t *node, adr_effects_t *effects)
{
    Adr__Root root = ADR__ROOT__INIT;
    root.term = self->own[0].at.term;
    root.index = self->own[0].at.index;
    root.root = (ProtobufCBinaryData){ S_HASH, (uint8_t *) self->own[0].root };
    root.incarnation = self->environment.incarnation;
    root.doubt = self->own[0].doubt;
    s_send (node, ADR_ACTOR_MERKLE_GOSSIPER, ADR__KIND__ROOT, &root, adr_bytes (NULL, 0), effects);
}

static void
s_on_checkpoint (s_gossiper_t *self, const adr_event_t *event, adr_effects_t *effects)
{
    const Adr__CheckpointNoted *noted = (const Adr__CheckpointNoted *) event->message.header;
    if (noted->root.len != S_HASH || !adr_voter_set_read (&self->voters, noted->voters))
        return;
    memmove (&self->own[1], &self->own[0], (S_KEPT - 1) * sizeof self->own[0]);
    self->own[0].at = (adr_position_t){ noted->term, noted->index };
    memcpy (self->own[0].root, noted->root.data, S_HASH);
    self->own[0].doubt = noted->doubt;
    adr_buffer_clear (&self->roots);
    adr_buffer_append (&self->roots, event->message.payload.data, event->message.payload.size);
    s_tell_agreement (self, &self->own[0], effects); /* a group of one voter agrees with itself */
    for (uint32_t i = 0; i < self->group.count; i++) {
        s_tell_root (self, &self->peer[i].node, effects);
        s_compare (self, &self->peer[i], effects);
    }
}

/* True if that root says nothing new: it is older than what its sender told since, or a former life's that came late. One
 * that does not vote yet counts from the next checkpoint on. */
static bool
s_is_late (const s_gossiper_t *self, const s_peer_t *peer, uint64_t incarnation, adr_position_t at)
{
    if (peer->incarnation == incarnation)
        return adr_position_compare (at, peer->root.at) < 0;
    return adr_voters_find (&self->voters, &peer->node, peer->incarnation) >= 0
           && adr_position_compare (at, self->own[0].at) <= 0;
}

static void
s_on_root (s_gossiper_t *self, const adr_event_t *event, adr_effects_t *effects)
{
    const Adr__Root *root = (const Adr__Root *) event->message.header;
    s_peer_t *peer = s_peer_of (self, event);
    adr_position_t at = { root->term, root->index };
    if (peer == NULL || root->root.len != S_HASH || s_is_late (self, peer, root->incarnation, at))
        return;
    peer->incarnation = root->incarnation;
    peer->root.at = at;
    memcpy (peer->root.root, root->root.data, S_HASH);
    peer->root.doubt = root->doubt;
    s_compare (self, peer, effects);
}

static void
s_on_roots_ask (s_gossiper_t *self, const adr_event_t *event, adr_effects_t *effects)
{
    const Adr__RootsAsk *ask = (const Adr__RootsAsk *) event->message.header;
    adr_position_t at = { ask->term, ask->index };
    if (s_peer_of (self, event) == NULL || at.index == 0 || adr_position_compare (at, self->own[0].at) != 0)
        return;
    Adr__Roots roots = ADR__ROOTS__INIT;
    roots.term = at.term;
    roots.index = at.index;
    s_send (&event->message.from.node, ADR_ACTOR_MERKLE_GOSSIPER, ADR__KIND__ROOTS, &roots,
            adr_bytes (self->roots.data, self->roots.size), effects);
}

static void
s_on_roots (s_gossiper_t *self, const adr_event_t *event, adr_effects_t *effects)
{
    const Adr__Roots *roots = (const Adr__Roots *) event->message.header;
    s_peer_t *peer = s_peer_of (self, event);
    adr_position_t at = { roots->term, roots->index };
    if (peer == NULL || at.index == 0 || adr_position_compare (at, self->own[0].at) != 0
        || adr_position_compare (at, peer->asked_at) != 0 || event->message.payload.size != self->roots.size)
        return;
    adr_buffer_t differ = { 0 };
    Adr__Diverged diverged = ADR__DIVERGED__INIT;
    diverged.node = adr_id_view (&peer->node);
    diverged.term = at.term;
    diverged.index = at.index;
    for (uint32_t i = 0; i < self->roots.size / S_HASH; i++)
        if (memcmp (self->roots.data + i * S_HASH, event->message.payload.data + i * S_HASH, S_HASH) != 0)
            adr_put_u32 (adr_buffer_grow (&differ, 4), i);
    if (differ.size)
        s_send (&self->environment.node, ADR_ACTOR_INVENTORY_SYNCER, ADR__KIND__DIVERGED, &diverged,
                adr_bytes (differ.data, differ.size), effects);
    adr_buffer_free (&differ);
}

/* Peers keep their places by node; one that is new to the map is told our root at the next checkpoint. */
static void
s_learn_peers (s_gossiper_t *self)
{
    s_peer_t old[ADR_GROUP_NODES_MAX];
    memcpy (old, self->peer, sizeof old);
    for (uint32_t i = 0; i < self->group.count; i++) {
        self->peer[i] = (s_peer_t){ .node = self->group.node[i] };
        for (uint32_t k = 0; k < ADR_GROUP_NODES_MAX; k++)
            if (adr_id_equal (&old[k].node, &self->group.node[i]))
                self->peer[i] = old[k];
    }
}

static void
s_receive_message (s_gossiper_t *self, const adr_event_t *event, adr_effects_t *effects)
{
    switch ((Adr__Kind) event->message.kind) {
    case ADR__KIND__CHECKPOINT_NOTED:
        s_on_checkpoint (self, event, effects);
        break;
    case ADR__KIND__ROOT:
        s_on_root (self, event, effects);
        break;
    case ADR__KIND__ROOTS_ASK:
        s_on_roots_ask (self, event, effects);
        break;
    case ADR__KIND__ROOTS:
        s_on_roots (self, event, effects);
        break;
    case ADR__KIND__MAP_CHANGED:
        adr_group_update (&self->group, ((const Adr__MapChanged *) event->message.header)->map);
        s_learn_peers (self);
        break;
    default: /* kinds that wire/table.c never lets through to this actor */
        break;
    }
}

static void
s_receive (void *object, const adr_event_t *event, adr_effects_t *effects)
{
    s_gossiper_t *self = object;
    if (event->kind == ADR_EVENT_MESSAGE)
        s_receive_message (self, event, effects);
}

/* --- life ------------------------------------------------------------------------------------------------------ */

static void *
s_create (const adr_environment_t *environment)
{
    s_gossiper_t *self = adr_alloc (sizeof *self);
    self->environment = *environment;
    adr_group_init (&self->group, environment);
    s_learn_peers (self);
    return self;
}

static void
s_destroy (void **object)
{
    s_gossiper_t *self = *object;
    if (self == NULL)
        return;
    adr_buffer_free (&self->roots);
    free (self);
    *object = NULL;
}

static void
s_check (const void *object)
{
    const s_gossiper_t *self = object;
    adr_assert (self->group.count <= ADR_GROUP_NODES_MAX);
    adr_assert (self->agreed_at.index <= self->own[0].at.index);
}

const adr_actor_class_t adr_merkle_gossiper_class
    = { ADR_ACTOR_MERKLE_GOSSIPER, s_create, s_destroy, s_receive, s_check };
