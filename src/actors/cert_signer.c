/* SPDX-License-Identifier: MPL-2.0 */
/* cert_signer: changes what the PKI group holds, one change at a time (cert_signer_change.c), and signs certificates with its PKI node's
 * authority, each only as a part of what the group has committed.
 *
 * Owns: the change that is under way, and what edges wait for. Makes durable: nothing itself; all becomes records of the PKI group.
 * Assumes: its authority's certificate stands in the clusterMap. Implements docs/protocol/cert_signer.md (rule TRUST-4) and, of
 * docs/protocol/trust.md and credentials.md, how changes are made.
 *
 * Mailbox
 *     ANSWER, LIST_ANSWER  own replicator   what was read, or written
 *     CONTROL       an edge          an operator wants the registry or a credential changed, or a token noted
 *     CONTROL_ANSWER  a replicator   the survivor of a group that is to be recovered: whether it can be
 *     CREDENTIALS_ASK  an edge's credential_keeper  whether there are other credentials than it has, and which
 *     JOIN          a stranger       has a token, and wants to be a node
 *     MAP_CHANGED   own map_keeper   the newest map
 * Sends
 *     WRITE, READ, LIST to own replicator; CONTROL (RECOVER_ASK) to a survivor's; CONTROL_ANSWER, JOIN_ANSWER, CREDENTIALS to who asked. */

#include "actors/cert_signer_private.h"

#include <sodium.h>
#include <stdlib.h>
#include <string.h>

#define S_LOOK_NS (INT64_C (3600) * 1000 * ADR_MS)
#define S_FIRST_LOOK_NS (10000 * ADR_MS)
#define S_GATHERED_NS (60000 * ADR_MS) /* a recovery that is asked for again after so long hears others anew */
#define S_BACKDATED_MS (INT64_C (5) * 60 * 1000)      /* clocks of hosts differ */

enum { S_TIMER_TICK = 1 };

struct cert_signer {
    adr_environment_t environment;
    adr_random_t random;
    adr_map_t *map;
    uint64_t next_number;
    change_t change;
    uint64_t gathers_for; /* the own group's recovery whose survivor has agreed, ... */
    int64_t gathers_ns, gathers_seen_ns; /* ... when it did first, and when it was asked for last */
    int64_t look_ns; /* when certificates are looked at next, whether they end soon */
    credential_desk_t desk;
};

/* --- certificates ---------------------------------------------------------------------------------------------- */

/* Records of a certificate: by its nodeId, its two keys and its serial. Each belongs to it for ever [TRUST-4]. */
size_t
cert_signer_binding_key (const adr_cert_t *certificate, unsigned binding, uint8_t key[CERT_SIGNER_KEY_MAX])
{
    static const char names[CERT_SIGNER_BINDINGS] = { 'n', 'c', 's', '#' };
    key[0] = (uint8_t) names[binding];
    switch (binding) {
    case 0:
        memcpy (key + 1, certificate->node.bytes, ADR_ID_SIZE);
        return 1 + ADR_ID_SIZE;
    case 1:
        memcpy (key + 1, certificate->curve_key, ADR_KEY_SIZE);
        return 1 + ADR_KEY_SIZE;
    case 2:
        memcpy (key + 1, certificate->sign_key, ADR_KEY_SIZE);
        return 1 + ADR_KEY_SIZE;
    default:
        adr_put_be64 (key + 1, certificate->serial);
        return 1 + 8;
    }
}

/* The next deadline of any of them. */
static void
s_set_timer (const cert_signer_t *self, adr_effects_t *effects)
{
    int64_t change_ns = cert_signer_change_due (&self->change), desk_ns = cert_signer_desk_due (&self->desk);
    int64_t at_ns = change_ns < desk_ns ? change_ns : desk_ns;
    effects->wake (effects, S_TIMER_TICK, self->look_ns < at_ns ? self->look_ns : at_ns);
}

/* While something else is being changed it waits for the next second. */
static void
s_look (cert_signer_t *self, const adr_event_t *event, adr_effects_t *effects)
{
    if (self->look_ns > event->now_ns)
        return;
    bool busy = self->change.phase != CHANGE_NONE;
    if (!busy)
        cert_signer_begin_renewal (self, event, effects);
    self->look_ns = event->now_ns + (busy ? 1000 * ADR_MS : S_LOOK_NS);
}

static int
s_order_ids (const void *a, const void *b)
{
    return adr_id_compare (a, b);
}

/* The certificate says what the map says, not what the asker would like. */
static void
s_fill_peers (adr_cert_t *certificate, const adr_map_t *map)
{
    const adr_map_node_t *nodes[ADR_VOTERS_MAX];
    certificate->peer_count = 0;
    if (certificate->type == ADR_NODE_EDGE)
        return;
    uint32_t count = adr_map_group_nodes (map, &certificate->group, nodes, ADR_VOTERS_MAX);
    for (uint32_t i = 0; i < count; i++)
        certificate->peer[certificate->peer_count++] = nodes[i]->id;
    qsort (certificate->peer, certificate->peer_count, sizeof *certificate->peer, s_order_ids);
}

void
cert_signer_sign (cert_signer_t *self, adr_cert_t *certificate, const adr_map_t *map, int64_t wall_ms)
{
    const adr_authority_t *authority = self->environment.authority;
    certificate->kind = ADR_CERT_NODE;
    s_fill_peers (certificate, map);
    certificate->serial = (adr_random_next (&self->random) >> 1) | 1;
    certificate->issuer_serial = authority->certificate.serial;
    certificate->not_before_ms = wall_ms > S_BACKDATED_MS ? wall_ms - S_BACKDATED_MS : 0;
    certificate->not_after_ms = certificate->not_before_ms + S_BACKDATED_MS + CERT_SIGNER_VALIDITY_MS;
    adr_cert_sign (certificate, authority->sign_seed);
}

/* --- mailbox ---------------------------------------------------------------------------------------------------- */

static void
s_on_answer (cert_signer_t *self, const adr_event_t *event, adr_effects_t *effects)
{
    if (!cert_signer_on_change_answer (self, event, effects)) /* else it is none of ours any more, or the desk's */
        (void) cert_signer_on_credentials_read (self, event, effects);
}

static void
s_on_map_changed (cert_signer_t *self, const adr_event_t *event, adr_effects_t *effects)
{
    adr_map_t *map = adr_map_read (((const Adr__MapChanged *) event->message.header)->map);
    if (map == NULL)
        return;
    adr_map_destroy (&self->map);
    self->map = map;
    if (cert_signer_has_confirmed (self) && self->look_ns > event->now_ns + CERT_SIGNER_PAUSE_NS)
        self->look_ns = event->now_ns + CERT_SIGNER_PAUSE_NS;
    cert_signer_tend_change (self, event, effects);
}

static void
s_on_control (cert_signer_t *self, const adr_event_t *event, adr_effects_t *effects)
{
    const Adr__Control *control = (const Adr__Control *) event->message.header;
    if (control->action == ADR__CONTROL_ACTION__EVICT)
        cert_signer_on_node (self, CHANGE_EVICT, event, effects);
    else if (control->action == ADR__CONTROL_ACTION__DEMOTE)
        cert_signer_on_node (self, CHANGE_DEMOTE, event, effects);
    else if (control->action == ADR__CONTROL_ACTION__PROMOTE)
        cert_signer_on_node (self, CHANGE_PROMOTE, event, effects);
    else if (control->action == ADR__CONTROL_ACTION__TOKEN || control->action == ADR__CONTROL_ACTION__TOKEN_WITHDRAW)
        cert_signer_on_token (self, event, effects);
    else if (control->action == ADR__CONTROL_ACTION__GROUP_CREATE)
        cert_signer_on_group (self, event, effects);
    else if (control->action == ADR__CONTROL_ACTION__RECOVER)
        cert_signer_on_recover (self, event, effects);
    else if (control->action >= ADR__CONTROL_ACTION__KEY_CREATE && control->action <= ADR__CONTROL_ACTION__KEY_REVOKE)
        cert_signer_on_key (self, event, effects);
    else if (control->action == ADR__CONTROL_ACTION__SETTINGS_SET || control->action == ADR__CONTROL_ACTION__SETTINGS_RESET)
        cert_signer_on_settings (self, event, effects);
    else
        cert_signer_answer (event->message.from, control->number, ADR_STATUS_INVALID, "no change of the registry", NULL, effects);
}

static void
s_on_message (cert_signer_t *self, const adr_event_t *event, adr_effects_t *effects)
{
    if (event->message.kind == ADR__KIND__ANSWER)
        s_on_answer (self, event, effects);
    else if (event->message.kind == ADR__KIND__LIST_ANSWER)
        (void) cert_signer_on_credentials_read (self, event, effects);
    else if (event->message.kind == ADR__KIND__CREDENTIALS_ASK)
        cert_signer_on_credentials_ask (self, event, effects);
    else if (event->message.kind == ADR__KIND__CONTROL)
        s_on_control (self, event, effects);
    else if (event->message.kind == ADR__KIND__CONTROL_ANSWER)
        cert_signer_on_survivor (self, event, effects);
    else if (event->message.kind == ADR__KIND__JOIN)
        cert_signer_on_join (self, event, effects);
    else if (event->message.kind == ADR__KIND__MAP_CHANGED)
        s_on_map_changed (self, event, effects);
}

/* --- what is lent to the other files ----------------------------------------------------------------------------- */

uint64_t
cert_signer_number (cert_signer_t *self)
{
    return ++self->next_number;
}

change_t *
cert_signer_change (cert_signer_t *self)
{
    return &self->change;
}

credential_desk_t *
cert_signer_desk (cert_signer_t *self)
{
    return &self->desk;
}

const uint8_t *
cert_signer_sealing_key (const cert_signer_t *self)
{
    const adr_authority_t *authority = self->environment.authority;
    return authority && authority->has_sealing_key ? authority->sealing_key : NULL;
}

const adr_environment_t *
cert_signer_environment (const cert_signer_t *self)
{
    return &self->environment;
}

adr_map_t *
cert_signer_map (cert_signer_t *self)
{
    return self->map;
}

/* [RECOVER-9] A cut that has just healed, or a start: what others hold is not heard at once. */
int64_t
cert_signer_gathers_since (cert_signer_t *self, uint64_t recovery, int64_t now_ns)
{
    if (self->gathers_for != recovery || now_ns - self->gathers_seen_ns > S_GATHERED_NS) {
        self->gathers_for = recovery;
        self->gathers_ns = now_ns;
    }
    self->gathers_seen_ns = now_ns;
    return self->gathers_ns;
}

uint64_t
cert_signer_draw (cert_signer_t *self)
{
    return adr_random_next (&self->random);
}

void
cert_signer_draw_request (cert_signer_t *self, uint8_t request[ADR_REQUEST_ID_SIZE], uint64_t number)
{
    adr_put_u64 (request, adr_random_next (&self->random));
    adr_put_u64 (request + 8, number);
}

/* --- the class ------------------------------------------------------------------------------------------------- */

static void *
s_create (const adr_environment_t *environment)
{
    cert_signer_t *self = adr_alloc (sizeof *self);
    self->environment = *environment;
    self->random = (adr_random_t){ environment->seed };
    /* [TRUST-4] A late answer to a try of a former life must not look like one to ours. */
    self->next_number = adr_random_next (&self->random) >> 1;
    adr_assert (environment->type == ADR_NODE_PKI && environment->map);
    self->map = adr_map_copy (environment->map);
    self->environment.map = NULL; /* lent for now only */
    return self;
}

static void
s_destroy (void **object)
{
    cert_signer_t *self = *object;
    if (self == NULL)
        return;
    adr_map_destroy (&self->map);
    adr_buffer_free (&self->change.values);
    sodium_memzero (&self->change.key, sizeof self->change.key);
    free (self);
    *object = NULL;
}

static void
s_receive (void *actor, const adr_event_t *event, adr_effects_t *effects)
{
    cert_signer_t *self = actor;
    switch (event->kind) {
    case ADR_EVENT_MESSAGE:
        s_on_message (self, event, effects);
        break;
    case ADR_EVENT_TIMER:
        cert_signer_tend_change (self, event, effects);
        s_look (self, event, effects);
        cert_signer_tend_desk (self, event->now_ns, effects);
        break;
    case ADR_EVENT_START:
        self->look_ns = event->now_ns + S_FIRST_LOOK_NS;
        break;
    case ADR_EVENT_TURN_END:
        s_set_timer (self, effects);
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
    const cert_signer_t *self = actor;
    adr_assert (self->map != NULL && self->change.phase <= CHANGE_WAITING && self->change.op_count <= CHANGE_OPS_MAX);
}

const adr_actor_class_t adr_cert_signer_class = { ADR_ACTOR_CERT_SIGNER, s_create, s_destroy, s_receive, s_check };
