/* SPDX-License-Identifier: MPL-2.0 */
/* credential_keeper: has an edge know the S3 credentials of the PKI group's table, within a second or so.
 *
 * Owns: which generation this edge has, and which PKI node it asks. Makes durable: nothing; the taker keeps the file. Implements
 * docs/protocol/credentials.md (KEY-4, KEY-5). No secret stays here: pages go on as they come.
 *
 * Mailbox: CREDENTIALS (cert_signers of PKI nodes), CREDENTIALS_TAKEN (the taker of this host), MAP_CHANGED (own map_keeper).
 * Sends: CREDENTIALS_ASK (cert_signers of PKI nodes), CREDENTIALS_TOLD (the taker).
 *
 *            a second is over              as we have it, or the last page
 *     RESTING ──────────────▶ ASKING ─────────────────────────────────────▶ RESTING
 *                              │  ▲
 *                              └──┘ a page: the next one; another generation: from the first on; silence: another PKI node */

#include "core/actor.h"
#include "core/credential.h"
#include "wire/map_codec.h"
#include "wire/pack.h"

#include <stdlib.h>

#define S_TIMER 1u
#define S_PERIOD_NS (1000 * ADR_MS)
#define S_SILENT_NS (400 * ADR_MS)
#define S_HOME_PERIODS 10 /* so often the zone's PKI node is tried again */
#define S_PKI_MAX ADR_ZONES_MAX

typedef struct {
    const adr_environment_t *environment;
    adr_effects_t *effects; /* of the current event */
    int64_t now_ns;
    adr_id_t pki[S_PKI_MAX];
    uint32_t pki_count;
    int home;            /* which of them is our zone's; -1: none */
    uint32_t asked;      /* which of them is asked */
    uint32_t periods;
    uint64_t number;     /* of the newest question */
    bool asking;         /* it has no answer yet */
    int64_t began_ns;    /* this period */
    int64_t due_ns;      /* silence, or the next period */
    bool held;           /* the taker has a list */
    uint64_t generation; /* of that one */
    /* The list that is being pulled. */
    uint32_t page;       /* the next one's number; 0: none has come */
    uint64_t pulled;     /* its generation */
    char after[ADR_CREDENTIAL_ACCESS_MAX + 1];
    uint64_t dropped;
} s_keeper_t;

static const adr_bytes_t s_nothing;

/* --- asking --------------------------------------------------------------------------------------------------------- */

static void
s_rest (s_keeper_t *self)
{
    self->asking = false;
    self->due_ns = self->began_ns + S_PERIOD_NS;
}

static void
s_begin_anew (s_keeper_t *self)
{
    self->page = 0;
    self->after[0] = 0;
}

static void
s_ask (s_keeper_t *self)
{
    Adr__CredentialsAsk ask = ADR__CREDENTIALS_ASK__INIT;
    adr_address_t to = { self->pki[self->asked], ADR_ACTOR_CERT_SIGNER };
    ask.number = ++self->number;
    ask.held = self->held && self->page == 0;
    ask.generation = ask.held ? self->generation : 0;
    ask.after = self->after;
    self->asking = true;
    self->due_ns = self->now_ns + S_SILENT_NS;
    self->effects->send (self->effects, to, ADR__KIND__CREDENTIALS_ASK, &ask.base, s_nothing);
}

/* [KEY-4] */
static void
s_begin_period (s_keeper_t *self)
{
    self->began_ns = self->now_ns;
    s_begin_anew (self);
    if (self->pki_count == 0) {
        s_rest (self);
        return;
    }
    if (self->home >= 0 && ++self->periods % S_HOME_PERIODS == 0)
        self->asked = (uint32_t) self->home;
    s_ask (self);
}

static void
s_on_timer (s_keeper_t *self)
{
    if (self->now_ns < self->due_ns)
        return;
    if (self->asking && self->pki_count > 1) {
        ADR_MARK ("credentials: a PKI node is silent, another is asked");
        self->asked = (self->asked + 1) % self->pki_count;
    }
    s_begin_period (self);
}

/* --- answers -------------------------------------------------------------------------------------------------------- */

static void
s_tell (s_keeper_t *self, const Adr__Credentials *from, adr_bytes_t rows)
{
    Adr__CredentialsTold told = ADR__CREDENTIALS_TOLD__INIT;
    adr_address_t to = { self->environment->node, ADR_ACTOR_CREDENTIAL_TAKER };
    told.generation = from->generation;
    told.page = self->page;
    told.last = !from->more;
    self->effects->send (self->effects, to, ADR__KIND__CREDENTIALS_TOLD, &told.base, rows);
}

static void
s_on_credentials (s_keeper_t *self, const adr_event_t *event)
{
    const Adr__Credentials *from = (const Adr__Credentials *) event->message.header;
    if (!self->asking || from->number != self->number || !adr_id_equal (&event->message.from.node, &self->pki[self->asked])
        || (from->more && !adr_credential_is_access_key (from->last)) || (from->same && !self->held)) {
        self->dropped++;
        return;
    }
    if (from->same) {
        s_rest (self);
        return;
    }
    if (self->page && from->generation != self->pulled) { /* what came before it may be older */
        ADR_MARK ("credentials: they change while they are pulled");
        s_begin_anew (self);
        s_ask (self);
        return;
    }
    self->pulled = from->generation;
    s_tell (self, from, event->message.payload);
    if (!from->more) {
        s_rest (self);
        return;
    }
    self->page++;
    memcpy (self->after, from->last, strlen (from->last) + 1);
    s_ask (self);
}

/* [KEY-5] Until it says so it is told again. */
static void
s_on_taken (s_keeper_t *self, const Adr__CredentialsTaken *taken)
{
    bool first = !self->held;
    self->held = true;
    self->generation = taken->generation;
    adr_note (self->effects, first ? ADR_LEVEL_NOTE : ADR_LEVEL_TRACE, "credentials -> used generation=%llu",
              (unsigned long long) taken->generation);
}

/* --- the PKI nodes -------------------------------------------------------------------------------------------------- */

static void
s_find_pki (s_keeper_t *self, const adr_map_t *map)
{
    const adr_map_node_t *own = adr_map_node (map, &self->environment->node);
    self->home = -1;
    self->pki_count = 0;
    for (uint32_t i = 0; i < map->node_count && self->pki_count < S_PKI_MAX; i++) {
        const adr_map_node_t *node = &map->node[i];
        if (node->type != ADR_NODE_PKI || node->evicted)
            continue;
        if (own && adr_id_equal (&node->zone, &own->zone))
            self->home = (int) self->pki_count;
        self->pki[self->pki_count++] = node->id;
    }
}

/* Whom we ask stays who it was, if it is there still. */
static void
s_on_map_changed (s_keeper_t *self, const Adr__MapChanged *changed)
{
    adr_id_t asked = self->pki_count ? self->pki[self->asked] : (adr_id_t){ { 0 } };
    adr_map_t *map = adr_map_read (changed->map);
    if (map == NULL)
        return;
    s_find_pki (self, map);
    adr_map_destroy (&map);
    self->asked = self->home >= 0 ? (uint32_t) self->home : 0;
    for (uint32_t i = 0; i < self->pki_count; i++)
        if (adr_id_equal (&self->pki[i], &asked))
            self->asked = i;
}

/* --- the actor ------------------------------------------------------------------------------------------------------ */

static void *
s_create (const adr_environment_t *environment)
{
    s_keeper_t *self = adr_alloc (sizeof *self);
    adr_random_t random = { environment->seed };
    self->environment = environment;
    self->number = adr_random_next (&random) >> 1; /* answers to a former life are none to ours */
    self->due_ns = ADR_NEVER;
    s_find_pki (self, environment->map);
    self->asked = self->home >= 0 ? (uint32_t) self->home : 0;
    return self;
}

static void
s_destroy (void **self_p)
{
    free (*self_p);
    *self_p = NULL;
}

static void
s_on_message (s_keeper_t *self, const adr_event_t *event)
{
    switch (event->message.kind) {
    case ADR__KIND__CREDENTIALS:
        s_on_credentials (self, event);
        break;
    case ADR__KIND__CREDENTIALS_TAKEN:
        s_on_taken (self, (const Adr__CredentialsTaken *) event->message.header);
        break;
    case ADR__KIND__MAP_CHANGED:
        s_on_map_changed (self, (const Adr__MapChanged *) event->message.header);
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
    switch (event->kind) {
    case ADR_EVENT_START:
        s_begin_period (self);
        break;
    case ADR_EVENT_MESSAGE:
        s_on_message (self, event);
        break;
    case ADR_EVENT_TIMER:
        s_on_timer (self);
        break;
    case ADR_EVENT_TURN_END:
        effects->wake (effects, S_TIMER, self->due_ns);
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
    adr_assert (self->pki_count <= S_PKI_MAX && self->home < (int) self->pki_count);
    adr_assert (self->pki_count == 0 || self->asked < self->pki_count);
    adr_assert (!self->asking || self->due_ns <= self->now_ns + S_SILENT_NS);
}

const adr_actor_class_t adr_credential_keeper_class = { ADR_ACTOR_CREDENTIAL_KEEPER, s_create, s_destroy, s_receive, s_check };
