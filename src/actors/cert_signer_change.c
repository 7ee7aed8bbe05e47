/* SPDX-License-Identifier: MPL-2.0 */
/* cert_signer: changes of the PKI group's tables. See cert_signer.c; rules: docs/protocol/trust.md (TRUST-3, TRUST-5).
 *
 * A change is one write to the PKI group: on the condition that each record is still the one that was read, and with the audit's
 * row. Whatever is interrupted is asked for again, and goes on from what is committed.
 *
 *     CONTROL, JOIN ──▶ READING_TOKEN (TOKEN, JOIN) ──▶ READING ──────────▶ it is so already: answered
 *                              ▲                         │  ▲
 *                              └──── committed, or ──────┤  │ now and then, and with each newer map
 *                                    a conflict          │  │
 *                                                        ├──┴──▶ WAITING: for its group to let it go, or for signatures
 *                                                        └─────▶ WRITING
 *
 * A recovery begins with ASKING_SURVIVOR. What a user asks for begins with READING_GENERATION: an edge that does not know the newest users is not believed, and not answered
 * [USER-6]. A credential's change reads no registry: READING_GENERATION ──▶ READING_CREDENTIAL ──▶ WRITING, and again from the start.
 */

#include "actors/cert_signer_private.h"

#include "core/map_trust.h"
#include "wire/credential_codec.h"

#include <inttypes.h>
#include <sodium.h>
#include <stdio.h>

#define S_LIMIT_MS 10000 /* of one try */
#define S_AUDIT_MAX 4096 /* of a row: all settings that there are, with their old and new values */
#define S_SILENT_NS (2000 * ADR_MS) /* whoever it was relayed to may be gone */

static const adr_bytes_t s_nothing;

/* --- what is answered --------------------------------------------------------------------------------------------- */

void
cert_signer_answer (adr_address_t asker, uint64_t number, adr_status_t status, const char *text, const change_token_t *token,
                    adr_effects_t *effects)
{
    Adr__ControlAnswer answer = ADR__CONTROL_ANSWER__INIT;
    Adr__Token message;
    answer.number = number;
    answer.status = status;
    answer.text = (char *) text;
    if (token) {
        change_token_message (token, &message);
        answer.token = &message;
    }
    effects->send (effects, asker, ADR__KIND__CONTROL_ANSWER, &answer.base, s_nothing);
}

/* A stranger's that has not become a change yet, and may become none: operators do not wait for it. */
static bool
s_may_be_put_off (const change_t *change)
{
    return change->kind == CHANGE_JOIN
           && (change->phase == CHANGE_READING_TOKEN || change->phase == CHANGE_READING || change->denied != ADR_STATUS_OK);
}

/* A stranger's, of whom nobody knows yet whether he has a token. */
static bool
s_is_from_anybody (const change_t *change)
{
    return change->kind == CHANGE_JOIN && change->token.type == 0;
}

void
cert_signer_answer_key (adr_address_t asker, uint64_t number, adr_status_t status, const char *text, const adr_credential_t *credential,
                        adr_effects_t *effects)
{
    Adr__ControlAnswer answer = ADR__CONTROL_ANSWER__INIT;
    adr_credential_message_t message;
    answer.number = number;
    answer.status = status;
    answer.text = (char *) text;
    if (credential)
        answer.credential = adr_credential_fill (&message, credential, ADR_CREDENTIAL_BARE); /* [KEY-2] */
    effects->send (effects, asker, ADR__KIND__CONTROL_ANSWER, &answer.base, s_nothing);
}

/* Whom or what it is about. */
static const char *
s_about (const change_t *change, const char *node)
{
    if (change->kind == CHANGE_KEY)
        return change->key.asked.access_key;
    if (change->kind == CHANGE_GROUP)
        return change->set.kept[0].type ? change->set.kept[0].group_name : change->set.asked[0].group_name;
    if (change->kind == CHANGE_SETTINGS)
        return change->settings.count ? change->settings.setting[0].name : "";
    return change->kind == CHANGE_TOKEN || change->kind == CHANGE_JOIN ? change->token.name : node;
}

/* Nobody is answered. */
static void
s_drop (change_t *change)
{
    adr_buffer_free (&change->values);
    sodium_memzero (&change->key, sizeof change->key);
    *change = (change_t){ .phase = CHANGE_NONE };
}

void
change_end (cert_signer_t *self, adr_status_t status, const char *text, adr_effects_t *effects)
{
    static const char *const s_names[] = { [CHANGE_EVICT] = "eviction", [CHANGE_DEMOTE] = "demotion", [CHANGE_PROMOTE] = "promotion", [CHANGE_RENEW] = "renewal",
                                          [CHANGE_TOKEN] = "token", [CHANGE_JOIN] = "adoption", [CHANGE_KEY] = "change",
                                          [CHANGE_GROUP] = "making", [CHANGE_RECOVER] = "recovery", [CHANGE_SETTINGS] = "settings" };
    change_t *change = cert_signer_change (self);
    char id[ADR_ID_TEXT_SIZE];
    adr_id_format (&change->node, id);
    bool done = status == ADR_STATUS_OK;
    if (change->kind == CHANGE_JOIN)
        cert_signer_answer_join (self, change->asker, change->asked_number, status, text, done ? &change->certificate : NULL,
                                 done ? cert_signer_map (self) : NULL, effects);
    else if (change->kind == CHANGE_KEY)
        cert_signer_answer_key (change->asker, change->asked_number, status, text,
                                done && *change->key.kept.access_key ? &change->key.kept : NULL, effects);
    else if (change->kind == CHANGE_GROUP)
        cert_signer_answer_group (change->asker, change->asked_number, status, text, done ? change : NULL, effects);
    else if (change->kind != CHANGE_RENEW) /* that nobody has asked for */
        cert_signer_answer (change->asker, change->asked_number, status, text,
                            done && change->kind == CHANGE_TOKEN ? &change->token : NULL, effects);
    /* Whoever likes can ask without a token. */
    adr_note (effects, s_is_from_anybody (change) ? ADR_LEVEL_TRACE : ADR_LEVEL_NOTE, "%s of %s -> %s: %s", s_names[change->kind],
              s_about (change, id), adr_status_name (status), text);
    s_drop (change);
}

void
change_wait (change_t *change, const char *why, int64_t now_ns)
{
    change->phase = CHANGE_WAITING;
    change->why = why;
    change->try_ns = now_ns + CERT_SIGNER_PAUSE_NS;
}

/* --- tries --------------------------------------------------------------------------------------------------------- */

static adr_bytes_t
s_registry_key (void)
{
    return adr_bytes (ADR_REGISTRY_KEY, strlen (ADR_REGISTRY_KEY));
}

static void
s_try_begins (cert_signer_t *self, int64_t now_ns)
{
    change_t *change = cert_signer_change (self);
    change->awaits = true;
    change->try_ns = now_ns + S_SILENT_NS;
}

void
cert_signer_ask_group (const cert_signer_t *self, uint16_t kind, const ProtobufCMessage *header, adr_bytes_t payload,
                       adr_effects_t *effects)
{
    adr_address_t to = { cert_signer_environment (self)->node, ADR_ACTOR_REPLICATOR };
    effects->send (effects, to, kind, header, payload);
}

/* What a phase reads. */
static adr_bytes_t
s_key_of (const change_t *change, change_phase_t phase, uint8_t room[CERT_SIGNER_KEY_MAX], uint8_t *table)
{
    *table = phase == CHANGE_READING_TOKEN ? ADR_TABLE_TOKEN : phase == CHANGE_READING ? ADR_TABLE_REGISTRY : ADR_TABLE_CREDENTIAL;
    if (phase == CHANGE_READING_TOKEN && change->kind == CHANGE_GROUP)
        return adr_bytes (change->set.asked[change->set.read].key, ADR_KEY_SIZE);
    if (phase == CHANGE_READING_TOKEN)
        return adr_bytes (change->asked.key, sizeof change->asked.key);
    if (phase == CHANGE_READING_GENERATION)
        return adr_bytes (GENERATION_KEY, strlen (GENERATION_KEY));
    if (phase == CHANGE_READING_CREDENTIAL)
        return adr_bytes (room, credential_record_key (change->key.asked.access_key, room));
    return s_registry_key ();
}

static void
s_read (cert_signer_t *self, change_phase_t phase, int64_t now_ns, adr_effects_t *effects)
{
    change_t *change = cert_signer_change (self);
    uint8_t key[CERT_SIGNER_KEY_MAX], table;
    Adr__Read read = ADR__READ__INIT;
    change->phase = phase;
    s_try_begins (self, now_ns);
    read.number = change->number = cert_signer_number (self);
    read.key = adr_bytes_view (s_key_of (change, phase, key, &table));
    read.table = table;
    read.mode = ADR__READ_MODE__STRONG;
    read.limit_ms = S_LIMIT_MS;
    read.origin = adr_id_view (&cert_signer_environment (self)->node);
    cert_signer_ask_group (self, ADR__KIND__READ, &read.base, s_nothing, effects);
}

/* What follows when it is known that whoever asks may. */
static change_phase_t
s_next_phase (change_kind_t kind)
{
    static const change_phase_t s_next[] = { [CHANGE_EVICT] = CHANGE_READING, [CHANGE_DEMOTE] = CHANGE_READING,
                                             [CHANGE_PROMOTE] = CHANGE_READING, [CHANGE_RENEW] = CHANGE_READING,
                                             [CHANGE_TOKEN] = CHANGE_READING_TOKEN, [CHANGE_JOIN] = CHANGE_READING_TOKEN,
                                             [CHANGE_KEY] = CHANGE_READING_CREDENTIAL, [CHANGE_GROUP] = CHANGE_READING_TOKEN,
                                             [CHANGE_RECOVER] = CHANGE_READING, [CHANGE_SETTINGS] = CHANGE_READING };
    return s_next[kind];
}

static change_phase_t
s_first_phase (const change_t *change)
{
    bool asked_by_user = change->kind != CHANGE_RENEW && change->kind != CHANGE_JOIN;
    if (change->kind == CHANGE_RECOVER && !change->survivor_agreed)
        return CHANGE_ASKING_SURVIVOR; /* of the PKI group: nothing can be read before [RECOVER-8] */
    bool generation = change->kind == CHANGE_KEY || (asked_by_user && !change->judged);
    return generation ? CHANGE_READING_GENERATION : s_next_phase (change->kind);
}

static void
s_read_first (cert_signer_t *self, int64_t now_ns, adr_effects_t *effects)
{
    change_t *change = cert_signer_change (self);
    change->set.read = 0;
    change_phase_t phase = s_first_phase (change);
    if (phase != CHANGE_ASKING_SURVIVOR) {
        s_read (self, phase, now_ns, effects);
        return;
    }
    change->phase = phase;
    change->number = cert_signer_number (self);
    s_try_begins (self, now_ns);
    cert_signer_ask_survivor (self, effects);
}

void
cert_signer_go_on (cert_signer_t *self, int64_t now_ns, adr_effects_t *effects)
{
    s_read_first (self, now_ns, effects);
}

static void
s_write (cert_signer_t *self, const adr_event_t *event, adr_effects_t *effects)
{
    change_t *change = cert_signer_change (self);
    Adr__Op op[CHANGE_OPS_MAX], *ops[CHANGE_OPS_MAX];
    Adr__VersionOf version[CHANGE_OPS_MAX];
    for (uint32_t i = 0; i < change->op_count; i++) {
        const change_op_t *from = &change->op[i];
        adr__op__init (&op[i]);
        adr__version_of__init (&version[i]);
        version[i].epoch = from->version.epoch;
        version[i].term = from->version.term;
        version[i].index = from->version.index;
        op[i].table = from->table;
        op[i].key = adr_bytes_view (adr_bytes (from->key, from->key_size));
        op[i].value_size = (uint32_t) from->size;
        op[i].delete_ = from->delete_it;
        op[i].condition = from->absent          ? ADR__CONDITION__ABSENT
                          : from->version.index ? ADR__CONDITION__VERSION
                                                : ADR__CONDITION__ALWAYS;
        op[i].version = from->version.index ? &version[i] : NULL;
        ops[i] = &op[i];
    }
    Adr__Write write = ADR__WRITE__INIT;
    write.number = change->number;
    write.request = adr_bytes_view (adr_bytes (change->request, sizeof change->request));
    write.n_op = change->op_count;
    write.op = ops;
    write.limit_ms = S_LIMIT_MS;
    write.age_ms = (uint32_t) ((event->now_ns - change->started_ns) / ADR_MS);
    write.origin = adr_id_view (&cert_signer_environment (self)->node);
    write.seen_ms = change->seen_ms;
    s_try_begins (self, event->now_ns);
    cert_signer_ask_group (self, ADR__KIND__WRITE, &write.base, adr_bytes (change->values.data, change->values.size), effects);
}

void
change_write (cert_signer_t *self, const adr_event_t *event, adr_effects_t *effects)
{
    change_t *change = cert_signer_change (self);
    change->phase = CHANGE_WRITING;
    change->number = cert_signer_number (self);
    cert_signer_draw_request (self, change->request, change->number);
    s_write (self, event, effects);
}

/* --- ops ------------------------------------------------------------------------------------------------------------- */

void
change_ops_begin (change_t *change)
{
    change->op_count = 0;
    change->denied = ADR_STATUS_OK;
    adr_buffer_clear (&change->values);
}

void
change_add_op (change_t *change, uint8_t table, adr_bytes_t key, adr_bytes_t value, bool absent, const adr_version_t *version)
{
    adr_assert (change->op_count < CHANGE_OPS_MAX && key.size <= CERT_SIGNER_KEY_MAX);
    change_op_t *op = &change->op[change->op_count++];
    *op = (change_op_t){ .table = table, .key_size = (uint8_t) key.size, .size = value.size, .absent = absent };
    if (version)
        op->version = *version;
    memcpy (op->key, key.data, key.size);
    if (value.size)
        adr_buffer_append (&change->values, value.data, value.size);
}

void
change_add_delete (change_t *change, uint8_t table, adr_bytes_t key, const adr_version_t *version)
{
    change_add_op (change, table, key, s_nothing, false, version);
    change->op[change->op_count - 1].delete_it = true;
}

bool
change_add_registry (cert_signer_t *self, adr_map_t *next, adr_effects_t *effects)
{
    change_t *change = cert_signer_change (self);
    next->epoch++;
    adr_map_unseal (next);
    adr_map_seal (next);
    if (adr_map_size_max (next) > ADR_MAP_MAX) {
        change_end (self, ADR_STATUS_FULL, "the registry would be too large to be told", effects);
        return false;
    }
    bool first = change->held.index == 0;
    change_add_op (change, ADR_TABLE_REGISTRY, s_registry_key (), adr_bytes (next->sealed, next->sealed_size), first,
                   first ? NULL : &change->held);
    return true;
}

void
change_add_audit (change_t *change, uint64_t epoch, uint64_t sub, const char *action, const char *more, int64_t wall_ms)
{
    char by[ADR_ID_TEXT_SIZE], row[S_AUDIT_MAX];
    uint8_t key[16];
    adr_id_format (&change->by, by);
    int size = snprintf (row, sizeof row, "{\"epoch\": %" PRIu64 ", \"time_ms\": %" PRId64 ", \"action\": \"%s\", %s, \"by\": \"%s\"%s%s%s}",
                         epoch, wall_ms, action, more, by, *change->by_name ? ", \"by_user\": \"" : "", change->by_name,
                         *change->by_name ? "\"" : "");
    adr_assert (size > 0 && (size_t) size < sizeof row);
    adr_put_be64 (key, epoch);
    adr_put_be64 (key + 8, sub);
    change_add_op (change, ADR_TABLE_AUDIT, adr_bytes (key, sub ? 16 : 8), adr_bytes (row, (size_t) size), false, NULL);
}

adr_map_node_t *
change_node (adr_map_t *map, const adr_id_t *id)
{
    for (uint32_t i = 0; i < map->node_count; i++)
        if (adr_id_equal (&map->node[i].id, id))
            return &map->node[i];
    return NULL;
}

/* --- the group's answers --------------------------------------------------------------------------------------------- */

static void
s_decide (cert_signer_t *self, adr_map_t *held, const adr_event_t *event, adr_effects_t *effects)
{
    switch (cert_signer_change (self)->kind) {
    case CHANGE_EVICT:
        cert_signer_decide_evict (self, held, event, effects);
        break;
    case CHANGE_DEMOTE:
        cert_signer_decide_demote (self, held, event, effects);
        break;
    case CHANGE_PROMOTE:
        cert_signer_decide_promote (self, held, event, effects);
        break;
    case CHANGE_RENEW:
        cert_signer_decide_renewal (self, held, event, effects);
        break;
    case CHANGE_TOKEN:
        cert_signer_decide_token (self, held, event, effects);
        break;
    case CHANGE_JOIN:
        cert_signer_decide_join (self, held, event, effects);
        break;
    case CHANGE_GROUP:
        cert_signer_decide_group (self, held, event, effects);
        break;
    case CHANGE_RECOVER:
        cert_signer_decide_recover (self, held, event, effects);
        break;
    case CHANGE_SETTINGS:
        cert_signer_decide_settings (self, held, event, effects);
        break;
    case CHANGE_KEY: /* it reads no registry */
        break;
    }
}

static bool
s_is_there (const Adr__Answer *answer)
{
    return answer->status == ADR_STATUS_OK && answer->version;
}

static adr_version_t
s_version (const Adr__Answer *answer)
{
    const Adr__VersionOf *version = answer->version;
    return (adr_version_t){ version->epoch, version->term, version->index };
}

/* False: nobody can say now what is there, or it cannot be read; it is read again. */
static bool
s_is_absent (change_t *change, const adr_event_t *event)
{
    if (((const Adr__Answer *) event->message.header)->status == ADR_STATUS_NOT_FOUND)
        return true;
    change->try_ns = event->now_ns + CERT_SIGNER_PAUSE_NS;
    return false;
}

/* [TRUST-3] What stands in the record is built on only if it is a step from what enough have signed: nobody would ever sign what comes
 * after it, and the node that wrote it could not even be evicted. Else what was signed takes its place. */
static adr_map_t *
s_read_record (cert_signer_t *self, adr_bytes_t bytes, adr_effects_t *effects)
{
    const adr_map_t *is_signed = cert_signer_map (self);
    adr_map_t *held = adr_registry_read (bytes);
    if (held && (held->epoch == is_signed->epoch ? adr_map_same_registry (held, is_signed) : adr_map_is_step (is_signed, held)))
        return held;
    adr_note (effects, ADR_LEVEL_ERROR, "the group's registry is no step from what was signed -> it is replaced epoch=%llu signed=%llu",
              (unsigned long long) (held ? held->epoch : 0), (unsigned long long) is_signed->epoch);
    adr_map_destroy (&held);
    return adr_map_copy (is_signed);
}

static void
s_on_registry (cert_signer_t *self, const adr_event_t *event, adr_effects_t *effects)
{
    const Adr__Answer *answer = (const Adr__Answer *) event->message.header;
    change_t *change = cert_signer_change (self);
    adr_map_t *held = NULL;
    change->held = (adr_version_t){ 0 };
    if (s_is_there (answer)) {
        held = s_read_record (self, event->message.payload, effects);
        change->held = s_version (answer);
    } else if (s_is_absent (change, event)) /* nothing was changed yet: the founding one */
        held = adr_map_copy (cert_signer_map (self));
    if (held)
        s_decide (self, held, event, effects);
    adr_map_destroy (&held);
}

static void
s_on_token_record (cert_signer_t *self, const adr_event_t *event, adr_effects_t *effects)
{
    const Adr__Answer *answer = (const Adr__Answer *) event->message.header;
    change_t *change = cert_signer_change (self);
    change->token = (change_token_t){ 0 };
    change->token_held = (adr_version_t){ 0 };
    if (s_is_there (answer) && change_token_decode (&change->token, event->message.payload))
        change->token_held = s_version (answer);
    else if (!s_is_absent (change, event))
        return;
    s_read (self, CHANGE_READING, event->now_ns, effects);
}

/* One of a set; the registry is read behind the last. */
static void
s_on_set_record (cert_signer_t *self, const adr_event_t *event, adr_effects_t *effects)
{
    change_t *change = cert_signer_change (self);
    change_token_t *kept = &change->set.kept[change->set.read];
    *kept = (change_token_t){ 0 };
    if (!(s_is_there ((const Adr__Answer *) event->message.header) && change_token_decode (kept, event->message.payload))
        && !s_is_absent (change, event))
        return;
    change->set.read++;
    s_read (self, change->set.read < change->set.count ? CHANGE_READING_TOKEN : CHANGE_READING, event->now_ns, effects);
}

static void
s_on_generation_record (cert_signer_t *self, const adr_event_t *event, adr_effects_t *effects)
{
    const Adr__Answer *answer = (const Adr__Answer *) event->message.header;
    change_t *change = cert_signer_change (self);
    change_key_t *key = &change->key;
    key->generation = (generation_t){ 0 };
    key->generation_held = (adr_version_t){ 0 };
    if (s_is_there (answer) && generation_decode (&key->generation, event->message.payload))
        key->generation_held = s_version (answer);
    else if (!s_is_absent (change, event))
        return;
    if (!change->judged && change->users_known < key->generation.users) { /* [USER-6] asked again, its edge will know better */
        ADR_MARK ("cert_signer: an edge judged by an old list of users");
        s_drop (change);
        return;
    }
    change->judged = true;
    s_read (self, s_next_phase (change->kind), event->now_ns, effects);
}

static void
s_on_credential_record (cert_signer_t *self, const adr_event_t *event, adr_effects_t *effects)
{
    const Adr__Answer *answer = (const Adr__Answer *) event->message.header;
    change_t *change = cert_signer_change (self);
    change_key_t *key = &change->key;
    key->kept = (adr_credential_t){ 0 };
    key->kept_held = (adr_version_t){ 0 };
    if (s_is_there (answer) && adr_credential_decode (&key->kept, event->message.payload))
        key->kept_held = s_version (answer);
    else if (!s_is_absent (change, event))
        return;
    cert_signer_decide_key (self, event, effects);
}

static void
s_on_written (cert_signer_t *self, const adr_event_t *event, adr_effects_t *effects)
{
    const Adr__Answer *answer = (const Adr__Answer *) event->message.header;
    change_t *change = cert_signer_change (self);
    change->written |= answer->status == ADR_STATUS_OK;
    if (answer->status == ADR_STATUS_OK && change->denied != ADR_STATUS_OK)
        change_end (self, change->denied, change->why, effects);
    else if (answer->status == ADR_STATUS_OK)
        s_read_first (self, event->now_ns, effects);
    else if (answer->status == ADR_STATUS_CONFLICT) { /* another change came first, or a record is in the way for good */
        change->survivor_agreed = false;
        change->phase = s_first_phase (change);
        change->try_ns = event->now_ns + CERT_SIGNER_PAUSE_NS;
    } else {
        if (answer->time_ms > change->seen_ms)
            change->seen_ms = answer->time_ms;
        change->try_ns = event->now_ns + CERT_SIGNER_PAUSE_NS;
    }
}

bool
cert_signer_on_change_answer (cert_signer_t *self, const adr_event_t *event, adr_effects_t *effects)
{
    const Adr__Answer *answer = (const Adr__Answer *) event->message.header;
    change_t *change = cert_signer_change (self);
    if (change->phase == CHANGE_NONE || answer->number != change->number || !change->awaits)
        return false;
    change->awaits = false;
    if (change->phase == CHANGE_READING_TOKEN && change->kind == CHANGE_GROUP)
        s_on_set_record (self, event, effects);
    else if (change->phase == CHANGE_READING_TOKEN)
        s_on_token_record (self, event, effects);
    else if (change->phase == CHANGE_READING_GENERATION)
        s_on_generation_record (self, event, effects);
    else if (change->phase == CHANGE_READING_CREDENTIAL)
        s_on_credential_record (self, event, effects);
    else if (change->phase == CHANGE_READING)
        s_on_registry (self, event, effects);
    else if (change->phase == CHANGE_WRITING)
        s_on_written (self, event, effects);
    return true;
}

/* --- life -------------------------------------------------------------------------------------------------------------- */

static bool
s_is_same (const change_t *change, const change_t *asked)
{
    return change->phase != CHANGE_NONE && change->kind == asked->kind && adr_id_equal (&change->node, &asked->node)
           && adr_id_equal (&change->key.question, &asked->key.question)
           && change->asked.withdrawn == asked->asked.withdrawn && change_is_same_set (change, asked)
           && change->incarnation == asked->incarnation
           && change->recovery.number == asked->recovery.number
           && memcmp (change->recovery.signature, asked->recovery.signature, sizeof asked->recovery.signature) == 0
           && change_settings_same (&change->settings, &asked->settings)
           && memcmp (change->asked.key, asked->asked.key, sizeof asked->asked.key) == 0;
}

change_t
cert_signer_asked (change_kind_t kind, const adr_event_t *event)
{
    const Adr__Control *control = (const Adr__Control *) event->message.header;
    int64_t limit_ms = control->limit_ms < ADR_REQUEST_TIME_MAX_MS ? control->limit_ms : ADR_REQUEST_TIME_MAX_MS;
    change_t asked = { .kind = kind, .asker = event->message.from, .asked_number = control->number, .by = adr_id_of (control->asker),
                       .users_known = control->users_known,
                       .limit_ns = event->now_ns + limit_ms * ADR_MS };
    if (adr_credential_is_access_key (control->asker_name)) /* it stands in JSON */
        memcpy (asked.by_name, control->asker_name, strlen (control->asker_name) + 1);
    return asked;
}

bool
cert_signer_begin_change (cert_signer_t *self, const change_t *asked, const adr_event_t *event, adr_effects_t *effects)
{
    change_t *change = cert_signer_change (self);
    if (s_is_same (change, asked)) { /* asked again: it is answered once, under its newest number */
        change->asker = asked->asker;
        change->asked_number = asked->asked_number;
        change->limit_ns = asked->limit_ns;
        return true;
    }
    if (change->phase != CHANGE_NONE && s_may_be_put_off (change) && asked->kind != CHANGE_JOIN)
        change_end (self, ADR_STATUS_REFUSED, "busy: the registry is being changed: ask again", effects);
    if (change->phase != CHANGE_NONE)
        return false;
    *change = *asked;
    change->started_ns = event->now_ns;
    s_read_first (self, event->now_ns, effects);
    return true;
}

int64_t
cert_signer_change_due (const change_t *change)
{
    if (change->phase == CHANGE_NONE)
        return ADR_NEVER;
    return change->try_ns < change->limit_ns ? change->try_ns : change->limit_ns;
}

void
cert_signer_tend_change (cert_signer_t *self, const adr_event_t *event, adr_effects_t *effects)
{
    change_t *change = cert_signer_change (self);
    if (change->phase == CHANGE_NONE)
        return;
    if (change->phase != CHANGE_WRITING) /* what a survivor agreed to a while ago it is asked for again [RECOVER-11] */
        change->survivor_agreed = false;
    if (event->now_ns >= change->limit_ns)
        change_end (self, change->phase == CHANGE_WAITING ? ADR_STATUS_TIMEOUT : ADR_STATUS_UNKNOWN,
                    change->phase == CHANGE_WAITING ? change->why : "not committed in time: ask again", effects);
    else if (event->kind == ADR_EVENT_MESSAGE && change->phase == CHANGE_WAITING) /* a newer map: it may be no voter any more */
        s_read_first (self, event->now_ns, effects);
    else if (change->try_ns <= event->now_ns && change->phase == CHANGE_WRITING)
        s_write (self, event, effects);
    else if (change->try_ns <= event->now_ns)
        s_read_first (self, event->now_ns, effects);
}
