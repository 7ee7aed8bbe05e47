/* SPDX-License-Identifier: MPL-2.0 */
/* cert_signer: signs certificates with its PKI node's authority, each only after the group has committed it, and changes the
 * registry (cert_signer_change.c).
 *
 * Owns: the requests that wait for their commit. Makes durable: nothing itself; the certificate and its bindings become
 * records of the PKI group. Assumes: its authority's certificate stands in the clusterMap. Implements
 * docs/protocol/cert_signer.md (rule TRUST-4).
 *
 * Mailbox
 *     SIGN_REQUEST  an operator      wants a node's certificate
 *     ANSWER        own replicator   the bindings are committed, or lost against others, or the record that was asked for
 *     LIST_ANSWER   own replicator   credentials
 *     CONTROL       an edge          an operator wants the registry or a credential changed, or a token noted
 *     CREDENTIALS_ASK  an edge's credential_keeper  whether there are other credentials than it has, and which
 *     JOIN          a stranger       has a token, and wants to be a node
 *     MAP_CHANGED   own map_keeper   the newest map
 * Sends
 *     WRITE, READ, LIST to own replicator; SIGN_ANSWER, CONTROL_ANSWER, JOIN_ANSWER, CREDENTIALS to who asked.
 *
 *                 checks hold            commit
 *     SIGN_REQUEST ─────────▶ committing ──────▶ SIGN_ANSWER { certificate }
 *                                 │ CONFLICT                ▲
 *                                 ▼      the same keys      │
 *                              reading ─────────────────────┘
 *                                 └──── other keys ──▶ SIGN_ANSWER { DENIED } */

#include "actors/cert_signer_private.h"

#include <sodium.h>
#include <stdlib.h>
#include <string.h>

#define S_PENDING_MAX 64 /* an operator adopts nodes by hand or by a script: dozens at a time */
#define S_LIMIT_MS 10000
#define S_LOOK_NS (INT64_C (3600) * 1000 * ADR_MS)
#define S_FIRST_LOOK_NS (10000 * ADR_MS)
#define S_BACKDATED_MS (INT64_C (5) * 60 * 1000)      /* clocks of hosts differ */

enum { S_TIMER_TICK = 1 };

typedef enum { S_FREE, S_COMMITTING, S_READING, S_PHASE_COUNT } s_phase_t;

typedef struct {
    s_phase_t phase;
    uint64_t number;           /* ours; in every try */
    uint64_t asked_number;     /* the asker's */
    adr_address_t asker;
    adr_cert_t certificate;    /* signed; it leaves after its commit only */
    uint8_t request[ADR_REQUEST_ID_SIZE];
    uint64_t seen_ms;          /* stamp of its tries [REPL-5] */
    bool unsure;               /* an earlier try may have been done */
    int64_t started_ns, try_ns; /* try_ns: when the next try is due; ADR_NEVER while one is under way */
} s_pending_t;

struct cert_signer {
    adr_environment_t environment;
    adr_random_t random;
    adr_map_t *map;
    uint64_t next_number;
    s_pending_t pending[S_PENDING_MAX];
    change_t change;
    int64_t look_ns; /* when certificates are looked at next, whether they end soon */
    credential_desk_t desk;
};

static const adr_bytes_t s_no_payload;

/* --- what is answered ------------------------------------------------------------------------------------------ */

/* The encoded certificate of whoever signed it: this node's authority, or another's of the registry. */
static adr_bytes_t
s_issuer_of (const cert_signer_t *self, const adr_cert_t *certificate, uint8_t room[ADR_CERTIFICATE_MAX])
{
    const adr_map_t *map = self->map;
    adr_cert_t authority;
    for (uint32_t i = 0; i < map->authority_count; i++) {
        adr_bytes_t bytes = adr_bytes (map->authority[i], map->authority_size[i]);
        if (adr_cert_decode (&authority, bytes) && authority.serial == certificate->issuer_serial)
            return bytes;
    }
    return adr_bytes (room, adr_cert_encode (&self->environment.authority->certificate, room));
}

static void
s_answer (adr_address_t asker, uint64_t number, adr_status_t status, const adr_cert_t *certificate,
          const cert_signer_t *self, const char *text, adr_effects_t *effects)
{
    Adr__SignAnswer answer = ADR__SIGN_ANSWER__INIT;
    uint8_t bytes[ADR_CERTIFICATE_MAX], issuer[ADR_CERTIFICATE_MAX];
    answer.number = number;
    answer.status = status;
    answer.text = (char *) text;
    adr_assert ((status == ADR_STATUS_OK) == (certificate != NULL));
    if (certificate) {
        answer.certificate = adr_bytes_view (adr_bytes (bytes, adr_cert_encode (certificate, bytes)));
        answer.issuer = adr_bytes_view (s_issuer_of (self, certificate, issuer));
    }
    effects->send (effects, asker, ADR__KIND__SIGN_ANSWER, &answer.base, s_no_payload);
}

static void
s_end (cert_signer_t *self, s_pending_t *pending, adr_status_t status, const adr_cert_t *certificate,
       const char *text, adr_effects_t *effects)
{
    adr_assert (pending->phase != S_FREE);
    s_answer (pending->asker, pending->asked_number, status, certificate, self, text, effects);
    adr_note (effects, ADR_LEVEL_NOTE, "request to sign for %s -> %s name=%s", pending->certificate.name,
              adr_status_name (status), pending->certificate.name);
    *pending = (s_pending_t){ 0 };
}

/* --- tries ----------------------------------------------------------------------------------------------------- */

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

static uint32_t
s_time_left_ms (const s_pending_t *pending, int64_t now_ns)
{
    int64_t left = S_LIMIT_MS - (now_ns - pending->started_ns) / ADR_MS;
    return left > 0 ? (uint32_t) left : 0;
}

static void
s_send_write (cert_signer_t *self, s_pending_t *pending, int64_t now_ns, adr_effects_t *effects)
{
    uint8_t key[CERT_SIGNER_BINDINGS][CERT_SIGNER_KEY_MAX], bytes[CERT_SIGNER_BINDINGS * ADR_CERTIFICATE_MAX];
    size_t size = adr_cert_encode (&pending->certificate, bytes);
    Adr__Op op[CERT_SIGNER_BINDINGS], *ops[CERT_SIGNER_BINDINGS];
    for (unsigned i = 0; i < CERT_SIGNER_BINDINGS; i++) {
        adr__op__init (&op[i]);
        op[i].table = ADR_TABLE_CERTIFICATE;
        op[i].key = adr_bytes_view (adr_bytes (key[i], cert_signer_binding_key (&pending->certificate, i, key[i])));
        op[i].value_size = (uint32_t) size;
        op[i].condition = ADR_PLANT (TRUST_4_UNCONDITIONAL) ? ADR__CONDITION__ALWAYS : ADR__CONDITION__ABSENT;
        ops[i] = &op[i];
        memmove (bytes + i * size, bytes, size);
    }
    Adr__Write write = ADR__WRITE__INIT;
    write.number = pending->number;
    write.request = adr_bytes_view (adr_bytes (pending->request, sizeof pending->request));
    write.n_op = CERT_SIGNER_BINDINGS;
    write.op = ops;
    write.limit_ms = s_time_left_ms (pending, now_ns);
    write.age_ms = (uint32_t) ((now_ns - pending->started_ns) / ADR_MS);
    write.origin = adr_id_view (&self->environment.node);
    write.seen_ms = pending->seen_ms;
    adr_address_t to = { self->environment.node, ADR_ACTOR_REPLICATOR };
    effects->send (effects, to, ADR__KIND__WRITE, &write.base, adr_bytes (bytes, CERT_SIGNER_BINDINGS * size));
}

static void
s_send_read (cert_signer_t *self, s_pending_t *pending, int64_t now_ns, adr_effects_t *effects)
{
    uint8_t key[CERT_SIGNER_KEY_MAX];
    Adr__Read read = ADR__READ__INIT;
    read.number = pending->number;
    read.table = ADR_TABLE_CERTIFICATE;
    read.key = adr_bytes_view (adr_bytes (key, cert_signer_binding_key (&pending->certificate, 0, key)));
    read.mode = ADR__READ_MODE__STRONG;
    read.limit_ms = s_time_left_ms (pending, now_ns);
    read.origin = adr_id_view (&self->environment.node);
    adr_address_t to = { self->environment.node, ADR_ACTOR_REPLICATOR };
    effects->send (effects, to, ADR__KIND__READ, &read.base, s_no_payload);
}

static void
s_try (cert_signer_t *self, s_pending_t *pending, int64_t now_ns, adr_effects_t *effects)
{
    pending->try_ns = ADR_NEVER;
    if (pending->phase == S_COMMITTING)
        s_send_write (self, pending, now_ns, effects);
    else
        s_send_read (self, pending, now_ns, effects);
}

/* The next deadline of any of them. */
static void
s_set_timer (const cert_signer_t *self, adr_effects_t *effects)
{
    int64_t at_ns = ADR_NEVER;
    for (unsigned i = 0; i < S_PENDING_MAX; i++) {
        const s_pending_t *pending = &self->pending[i];
        if (pending->phase == S_FREE)
            continue;
        int64_t end_ns = pending->started_ns + S_LIMIT_MS * ADR_MS;
        int64_t due_ns = pending->try_ns < end_ns ? pending->try_ns : end_ns;
        at_ns = due_ns < at_ns ? due_ns : at_ns;
    }
    int64_t change_ns = cert_signer_change_due (&self->change);
    int64_t desk_ns = cert_signer_desk_due (&self->desk);
    at_ns = change_ns < at_ns ? change_ns : at_ns;
    at_ns = desk_ns < at_ns ? desk_ns : at_ns;
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

static void
s_on_tick (cert_signer_t *self, int64_t now_ns, adr_effects_t *effects)
{
    for (unsigned i = 0; i < S_PENDING_MAX; i++) {
        s_pending_t *pending = &self->pending[i];
        if (pending->phase == S_FREE)
            continue;
        /* A commit may have happened unseen: the same request later gets the same certificate. */
        if (s_time_left_ms (pending, now_ns) == 0)
            s_end (self, pending, ADR_STATUS_UNKNOWN, NULL, "not committed in time: ask again", effects);
        else if (pending->try_ns <= now_ns)
            s_try (self, pending, now_ns, effects);
    }
}

/* --- requests -------------------------------------------------------------------------------------------------- */

/* [TRUST-4] A key of the registry, or its nodeId, belongs to that node for ever. */
static bool
s_is_taken (const adr_map_t *map, const adr_cert_t *asked)
{
    for (uint32_t i = 0; i < map->node_count; i++) {
        const adr_map_node_t *node = &map->node[i];
        if (adr_id_equal (&node->id, &asked->node) || memcmp (node->curve_key, asked->curve_key, ADR_KEY_SIZE) == 0
            || memcmp (node->sign_key, asked->sign_key, ADR_KEY_SIZE) == 0)
            return true;
    }
    return false;
}

static const adr_map_group_t *
s_find_group (const adr_map_t *map, const adr_id_t *id)
{
    for (uint32_t i = 0; i < map->group_count; i++)
        if (adr_id_equal (&map->group[i].id, id))
            return &map->group[i];
    return NULL;
}

/* OK, or why nothing is signed. */
static adr_status_t
s_check_request (const cert_signer_t *self, const adr_cert_t *asked, const char **text)
{
    const adr_map_t *map = self->map;
    *text = "the request is for another cluster, or its own key did not sign it";
    if (!adr_id_equal (&asked->cluster, &self->environment.cluster) || !adr_cert_signed_by (asked, asked->sign_key))
        return ADR_STATUS_DENIED;
    *text = "no such zone, or no such group of this type";
    const adr_map_group_t *group = s_find_group (map, &asked->group);
    if (!adr_map_zone (map, &asked->zone) || (asked->type != ADR_NODE_EDGE && (!group || group->type != asked->type)))
        return ADR_STATUS_INVALID;
    *text = "the nodeId or a key belongs to a node already";
    return s_is_taken (map, asked) ? ADR_STATUS_DENIED : ADR_STATUS_OK;
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

static s_pending_t *
s_find_free (cert_signer_t *self)
{
    for (unsigned i = 0; i < S_PENDING_MAX; i++)
        if (self->pending[i].phase == S_FREE)
            return &self->pending[i];
    return NULL;
}

static void
s_begin (cert_signer_t *self, s_pending_t *pending, const adr_event_t *event, const adr_cert_t *asked,
         adr_effects_t *effects)
{
    const Adr__SignRequest *request = (const Adr__SignRequest *) event->message.header;
    *pending = (s_pending_t){ .phase = S_COMMITTING, .number = ++self->next_number,
                              .asked_number = request->number, .asker = event->message.from,
                              .certificate = *asked, .started_ns = event->now_ns };
    cert_signer_draw_request (self, pending->request, pending->number);
    cert_signer_sign (self, &pending->certificate, self->map, event->wall_ms);
    s_try (self, pending, event->now_ns, effects);
}

static void
s_on_request (cert_signer_t *self, const adr_event_t *event, adr_effects_t *effects)
{
    const Adr__SignRequest *request = (const Adr__SignRequest *) event->message.header;
    adr_cert_t asked;
    const char *text = "no signing request";
    adr_status_t status = ADR_STATUS_INVALID;
    if (adr_cert_decode (&asked, adr_bytes (request->request.data, request->request.len))
        && asked.kind == ADR_CERT_REQUEST)
        status = s_check_request (self, &asked, &text);
    s_pending_t *pending = s_find_free (self);
    if (status == ADR_STATUS_OK && (!pending || !self->environment.authority)) {
        status = ADR_STATUS_REFUSED;
        text = pending ? "this node has no authority to sign with" : "busy";
    }
    if (status == ADR_STATUS_OK)
        s_begin (self, pending, event, &asked, effects);
    else
        s_answer (event->message.from, request->number, status, NULL, self, text, effects);
}

/* --- the group's answers --------------------------------------------------------------------------------------- */

/* Not done, or not known to be: the same try again, which the request id makes harmless. */
static void
s_try_later (s_pending_t *pending, const adr_event_t *event)
{
    const Adr__Answer *answer = (const Adr__Answer *) event->message.header;
    if (answer->time_ms > pending->seen_ms)
        pending->seen_ms = answer->time_ms;
    pending->unsure |= answer->status != ADR_STATUS_REFUSED && answer->status != ADR_STATUS_NOT_MASTER
                       && answer->status != ADR_STATUS_FULL;
    pending->try_ns = event->now_ns + CERT_SIGNER_PAUSE_NS;
}

static void
s_on_committed (cert_signer_t *self, s_pending_t *pending, const adr_event_t *event, adr_effects_t *effects)
{
    const Adr__Answer *answer = (const Adr__Answer *) event->message.header;
    switch (answer->status) {
    case ADR_STATUS_OK: /* [TRUST-4] */
        s_end (self, pending, ADR_STATUS_OK, &pending->certificate, "", effects);
        break;
    case ADR_STATUS_CONFLICT:
        pending->phase = S_READING;
        pending->number = ++self->next_number; /* late answers to the write are none to the read */
        s_try (self, pending, event->now_ns, effects);
        break;
    case ADR_STATUS_INVALID:
    case ADR_STATUS_FULL: /* says "not done" of this try alone */
        if (!pending->unsure) {
            s_end (self, pending, (adr_status_t) answer->status, NULL, answer->text, effects);
            break;
        }
        s_try_later (pending, event);
        break;
    default:
        s_try_later (pending, event);
        break;
    }
}

/* What the request lost against: its own earlier try with the same keys gets the same certificate again. */
static void
s_on_read (cert_signer_t *self, s_pending_t *pending, const adr_event_t *event, adr_effects_t *effects)
{
    const Adr__Answer *answer = (const Adr__Answer *) event->message.header;
    const adr_cert_t *asked = &pending->certificate;
    if (answer->status != ADR_STATUS_OK && answer->status != ADR_STATUS_NOT_FOUND) {
        s_try_later (pending, event);
        return;
    }
    adr_cert_t held;
    bool same = answer->status == ADR_STATUS_OK && adr_cert_decode (&held, event->message.payload)
                && memcmp (held.curve_key, asked->curve_key, ADR_KEY_SIZE) == 0
                && memcmp (held.sign_key, asked->sign_key, ADR_KEY_SIZE) == 0 && held.type == asked->type
                && adr_id_equal (&held.zone, &asked->zone) && adr_id_equal (&held.group, &asked->group);
    if (same)
        s_end (self, pending, ADR_STATUS_OK, &held, "", effects);
    else
        s_end (self, pending, ADR_STATUS_DENIED, NULL, "the nodeId or a key belongs to a node already", effects);
}

static void
s_on_answer (cert_signer_t *self, const adr_event_t *event, adr_effects_t *effects)
{
    const Adr__Answer *answer = (const Adr__Answer *) event->message.header;
    if (cert_signer_on_change_answer (self, event, effects) || cert_signer_on_credentials_read (self, event, effects))
        return;
    for (unsigned i = 0; i < S_PENDING_MAX; i++) {
        s_pending_t *pending = &self->pending[i];
        /* try_ns says whether an answer is awaited: a repeated one, of a phase that is over, is dropped. */
        if (pending->phase == S_FREE || pending->number != answer->number || pending->try_ns != ADR_NEVER)
            continue;
        if (pending->phase == S_COMMITTING)
            s_on_committed (self, pending, event, effects);
        else
            s_on_read (self, pending, event, effects);
        return;
    }
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
    else if (control->action == ADR__CONTROL_ACTION__TOKEN)
        cert_signer_on_token (self, event, effects);
    else if (control->action >= ADR__CONTROL_ACTION__KEY_CREATE && control->action <= ADR__CONTROL_ACTION__KEY_REVOKE)
        cert_signer_on_key (self, event, effects);
    else
        cert_signer_answer (event->message.from, control->number, ADR_STATUS_INVALID, "no change of the registry", NULL, effects);
}

static void
s_on_message (cert_signer_t *self, const adr_event_t *event, adr_effects_t *effects)
{
    if (event->message.kind == ADR__KIND__SIGN_REQUEST)
        s_on_request (self, event, effects);
    else if (event->message.kind == ADR__KIND__ANSWER)
        s_on_answer (self, event, effects);
    else if (event->message.kind == ADR__KIND__LIST_ANSWER)
        (void) cert_signer_on_credentials_read (self, event, effects);
    else if (event->message.kind == ADR__KIND__CREDENTIALS_ASK)
        cert_signer_on_credentials_ask (self, event, effects);
    else if (event->message.kind == ADR__KIND__CONTROL)
        s_on_control (self, event, effects);
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
        s_on_tick (self, event->now_ns, effects);
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
    for (unsigned i = 0; i < S_PENDING_MAX; i++) {
        const s_pending_t *pending = &self->pending[i];
        adr_assert (pending->phase < S_PHASE_COUNT);
        if (pending->phase == S_FREE)
            continue;
        adr_assert (pending->number != 0 && pending->number <= self->next_number);
        adr_assert (adr_cert_signed_by (&pending->certificate, self->environment.authority->certificate.sign_key));
    }
}

const adr_actor_class_t adr_cert_signer_class = { ADR_ACTOR_CERT_SIGNER, s_create, s_destroy, s_receive, s_check };
