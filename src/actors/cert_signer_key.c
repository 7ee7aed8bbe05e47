/* SPDX-License-Identifier: MPL-2.0 */
/* cert_signer: S3 credentials and users that operators make, change and end. See cert_signer_change.c; rules: docs/protocol/credentials.md (KEY-1
 * to KEY-3, KEY-6). A secret is here in clear from its question to its write, and is wiped with the change. */

#include "actors/cert_signer_private.h"

#include "wire/credential_codec.h"

#include <sodium.h>
#include <stdio.h>

#define S_FORMAT 1
#define S_FORMAT_USERS 2 /* with when a user was changed last: who knows no users cannot read it, and changes and tells nothing [USER-6] */
#define S_HEAD 14        /* format, number, count, questions */
#define S_USERS_SIZE 8   /* behind the questions */

static const char *const s_actions[]
    = { [ADR__CONTROL_ACTION__KEY_CREATE] = "create", [ADR__CONTROL_ACTION__KEY_DISABLE] = "disable",
        [ADR__CONTROL_ACTION__KEY_ENABLE] = "enable", [ADR__CONTROL_ACTION__KEY_DELETE] = "delete",
        [ADR__CONTROL_ACTION__KEY_ROTATE] = "rotate", [ADR__CONTROL_ACTION__KEY_GRANT] = "grant",
        [ADR__CONTROL_ACTION__KEY_REVOKE] = "revoke" };

/* --- records ------------------------------------------------------------------------------------------------------- */

size_t
credential_record_key (const char *access_key, uint8_t key[CERT_SIGNER_KEY_MAX])
{
    size_t size = strlen (access_key);
    adr_assert (size < CERT_SIGNER_KEY_MAX);
    key[0] = 'k';
    memcpy (key + 1, access_key, size);
    return 1 + size;
}

void
generation_encode (const generation_t *generation, adr_buffer_t *bytes)
{
    size_t questions = generation->question_count * ADR_ID_SIZE;
    uint8_t *at = adr_buffer_grow (bytes, S_HEAD + questions + (generation->users ? S_USERS_SIZE : 0));
    at[0] = generation->users ? S_FORMAT_USERS : S_FORMAT;
    adr_put_u64 (at + 1, generation->number);
    adr_put_u32 (at + 9, generation->count);
    at[13] = (uint8_t) generation->question_count;
    for (uint32_t i = 0; i < generation->question_count; i++)
        memcpy (at + S_HEAD + i * ADR_ID_SIZE, generation->question[i].bytes, ADR_ID_SIZE);
    if (generation->users)
        adr_put_u64 (at + S_HEAD + questions, generation->users);
}

bool
generation_decode (generation_t *generation, adr_bytes_t bytes)
{
    *generation = (generation_t){ 0 };
    if (bytes.size < S_HEAD || (bytes.data[0] != S_FORMAT && bytes.data[0] != S_FORMAT_USERS) || bytes.data[13] > GENERATION_QUESTIONS)
        return false;
    bool users = bytes.data[0] == S_FORMAT_USERS;
    size_t questions = (size_t) bytes.data[13] * ADR_ID_SIZE;
    if (bytes.size != S_HEAD + questions + (users ? S_USERS_SIZE : 0))
        return false;
    if (users)
        generation->users = adr_get_u64 (bytes.data + S_HEAD + questions);
    generation->number = adr_get_u64 (bytes.data + 1);
    generation->count = adr_get_u32 (bytes.data + 9);
    generation->question_count = bytes.data[13];
    for (uint32_t i = 0; i < generation->question_count; i++)
        memcpy (generation->question[i].bytes, bytes.data + S_HEAD + i * ADR_ID_SIZE, ADR_ID_SIZE);
    return true;
}

/* --- what it comes to ----------------------------------------------------------------------------------------------- */

/* [KEY-3] */
static bool
s_is_done (const change_key_t *key)
{
    for (uint32_t i = 0; i < key->generation.question_count; i++)
        if (adr_id_equal (&key->generation.question[i], &key->question))
            return true;
    return false;
}

static generation_t
s_next_generation (const change_key_t *key)
{
    generation_t next = key->generation;
    next.number++;
    if (key->asked.role)
        next.users = next.number;
    next.count += key->action == ADR__CONTROL_ACTION__KEY_CREATE;
    next.count -= key->action == ADR__CONTROL_ACTION__KEY_DELETE && next.count > 0;
    if (next.question_count < GENERATION_QUESTIONS)
        next.question_count++;
    memmove (next.question + 1, next.question, (next.question_count - 1) * sizeof *next.question);
    next.question[0] = key->question;
    return next;
}

static adr_right_t *
s_right (adr_credential_t *credential, const char *bucket)
{
    for (uint32_t i = 0; i < credential->right_count; i++)
        if (strcmp (credential->right[i].bucket, bucket) == 0)
            return &credential->right[i];
    return NULL;
}

/* OK: `next` is what is to be kept. Another status: why not, as `text`. */
static adr_status_t
s_grant (adr_credential_t *next, const adr_right_t *asked, const char **text)
{
    adr_right_t *right = s_right (next, asked->bucket);
    *text = "it reaches everything: `key revoke` of `*` takes that from it, then rights can be granted";
    if (!next->limited)
        return ADR_STATUS_REFUSED;
    *text = "it has as many rights as there can be";
    if (right == NULL && next->right_count == ADR_CREDENTIAL_RIGHTS_MAX)
        return ADR_STATUS_REFUSED;
    if (right == NULL)
        right = &next->right[next->right_count++];
    *right = *asked;
    return ADR_STATUS_OK;
}

static adr_status_t
s_revoke (adr_credential_t *next, const adr_right_t *asked, const char **text)
{
    adr_right_t *right = s_right (next, asked->bucket);
    if (!next->limited && strcmp (asked->bucket, "*") == 0) {
        next->limited = true;
        return ADR_STATUS_OK;
    }
    *text = next->limited ? "it has no right on that" : "it reaches everything: only `*` can be revoked";
    if (right == NULL)
        return next->limited ? ADR_STATUS_NOT_FOUND : ADR_STATUS_REFUSED;
    *right = next->right[--next->right_count];
    next->right[next->right_count] = (adr_right_t){ 0 };
    return ADR_STATUS_OK;
}

static adr_status_t
s_create (const change_key_t *key, adr_credential_t *next, int64_t wall_ms, const char **text)
{
    *text = "names that begin with " ADR_CONFIGURED_PREFIX " are for whom a host's configuration lists";
    if (strncmp (key->asked.access_key, ADR_CONFIGURED_PREFIX, strlen (ADR_CONFIGURED_PREFIX)) == 0) /* [USER-4] */
        return ADR_STATUS_REFUSED;
    *text = "an access key, or a user, has that name already";
    if (*key->kept.access_key)
        return ADR_STATUS_CONFLICT;
    *text = "there are as many credentials as there can be";
    if (key->generation.count >= ADR_CREDENTIALS_MAX)
        return ADR_STATUS_REFUSED;
    *next = key->asked;
    next->disabled = false;
    next->created_ms = (uint64_t) wall_ms;
    if (next->until_ms == ADR_USER_UNTIL_NEVER)
        next->until_ms = 0;
    return ADR_STATUS_OK;
}

/* What is to be kept; `already`: it is so, and nothing is to be done. */
static adr_status_t
s_next (const change_key_t *key, adr_credential_t *next, int64_t wall_ms, const char **text, bool *already)
{
    *text = key->asked.role ? "there is no such user" : "there is no such access key";
    if (key->action == ADR__CONTROL_ACTION__KEY_CREATE)
        return s_create (key, next, wall_ms, text);
    if (*key->kept.access_key == 0 || (key->kept.role != 0) != (key->asked.role != 0))
        return ADR_STATUS_NOT_FOUND;
    *next = key->kept;
    switch (key->action) {
    case ADR__CONTROL_ACTION__KEY_DISABLE:
    case ADR__CONTROL_ACTION__KEY_ENABLE:
        next->disabled = key->action == ADR__CONTROL_ACTION__KEY_DISABLE;
        *already = next->disabled == key->kept.disabled;
        *text = next->disabled ? "it is disabled already" : "it is enabled already";
        break;
    case ADR__CONTROL_ACTION__KEY_ROTATE:
        memcpy (next->secret, key->asked.secret, sizeof next->secret);
        memcpy (next->curve_key, key->asked.curve_key, sizeof next->curve_key);
        next->has_curve_key = key->asked.has_curve_key;
        if (key->asked.until_ms) /* else it ends when it did */
            next->until_ms = key->asked.until_ms == ADR_USER_UNTIL_NEVER ? 0 : key->asked.until_ms;
        break;
    case ADR__CONTROL_ACTION__KEY_GRANT:
        return s_grant (next, &key->asked.right[0], text);
    case ADR__CONTROL_ACTION__KEY_REVOKE:
        return s_revoke (next, &key->asked.right[0], text);
    default: /* KEY_DELETE; cert_signer.c lets no other through */
        break;
    }
    return ADR_STATUS_OK;
}

/* --- the write ------------------------------------------------------------------------------------------------------ */

static void
s_add_audit (cert_signer_t *self, const adr_credential_t *next, int64_t wall_ms)
{
    change_t *change = cert_signer_change (self);
    const change_key_t *key = &change->key;
    char more[512], action[32], digits[2 * 8 + 1];
    snprintf (action, sizeof action, "%s-%s", next->role ? "user" : "key", s_actions[key->action]);
    int size = snprintf (more, sizeof more, "\"%s\": \"%s\", \"%s\": \"%s\", \"generation\": %llu", next->role ? "user" : "key",
                         next->access_key, next->role ? "role" : "owner",
                         next->role ? adr_node_type_name (next->role) : next->owner, (unsigned long long) next->generation);
    if (key->asked.has_curve_key) { /* whose key that is, is what a change of it means */
        adr_hex_format (digits, next->curve_key, 8);
        size += snprintf (more + size, sizeof more - (size_t) size, ", \"public_key\": \"%s\", \"expires_ms\": %llu", digits,
                          (unsigned long long) next->until_ms);
    }
    bool grants = key->action == ADR__CONTROL_ACTION__KEY_GRANT;
    if (grants || key->action == ADR__CONTROL_ACTION__KEY_REVOKE)
        size += snprintf (more + size, sizeof more - (size_t) size, ", \"bucket\": \"%s\"", key->asked.right[0].bucket);
    if (grants)
        snprintf (more + size, sizeof more - (size_t) size, ", \"level\": \"%s\"", adr_access_name (key->asked.right[0].level));
    change_add_audit (change, cert_signer_map (self)->epoch, next->generation, action, more, wall_ms);
}

/* [KEY-1] All of it or nothing. */
static void
s_write (cert_signer_t *self, adr_credential_t *next, const adr_event_t *event, adr_effects_t *effects)
{
    change_t *change = cert_signer_change (self);
    change_key_t *key = &change->key;
    generation_t generation = s_next_generation (key);
    adr_buffer_t bytes = { 0 };
    uint8_t record[CERT_SIGNER_KEY_MAX];
    adr_bytes_t at = adr_bytes (record, credential_record_key (next->access_key, record));
    bool first = key->generation_held.index == 0, absent = key->kept_held.index == 0;
    next->generation = generation.number;
    if (*next->secret)
        adr_credential_seal (next, &cert_signer_environment (self)->cluster, cert_signer_sealing_key (self), cert_signer_draw (self));
    change_ops_begin (change);
    generation_encode (&generation, &bytes);
    change_add_op (change, ADR_TABLE_CREDENTIAL, adr_bytes (GENERATION_KEY, strlen (GENERATION_KEY)), adr_bytes (bytes.data, bytes.size),
                   first, first ? NULL : &key->generation_held);
    adr_buffer_clear (&bytes);
    adr_credential_encode (next, ADR_CREDENTIAL_SEALED, &bytes);
    if (key->action == ADR__CONTROL_ACTION__KEY_DELETE)
        change_add_delete (change, ADR_TABLE_CREDENTIAL, at, &key->kept_held);
    else
        change_add_op (change, ADR_TABLE_CREDENTIAL, at, adr_bytes (bytes.data, bytes.size), absent, absent ? NULL : &key->kept_held);
    adr_buffer_free (&bytes);
    s_add_audit (self, next, event->wall_ms);
    change_write (self, event, effects);
}

void
cert_signer_decide_key (cert_signer_t *self, const adr_event_t *event, adr_effects_t *effects)
{
    change_key_t *key = &cert_signer_change (self)->key;
    adr_credential_t next = { 0 };
    const char *text = "";
    bool already = false;
    if (s_is_done (key)) {
        change_end (self, ADR_STATUS_OK, "done", effects);
        return;
    }
    adr_status_t status = s_next (key, &next, event->wall_ms, &text, &already);
    if (status == ADR_STATUS_OK && !already)
        s_write (self, &next, event, effects);
    else
        change_end (self, status, text, effects);
    sodium_memzero (&next, sizeof next);
}

/* --- what is asked --------------------------------------------------------------------------------------------------- */

static bool
s_is_a_node_s (const adr_map_t *map, const uint8_t key[32])
{
    for (uint32_t i = 0; i < map->node_count; i++)
        if (memcmp (map->node[i].curve_key, key, 32) == 0)
            return true;
    return false;
}

/* [USER-1] */
static const char *
s_wrong_user (const change_key_t *key, const adr_map_t *map)
{
    bool brings = key->action == ADR__CONTROL_ACTION__KEY_CREATE || key->action == ADR__CONTROL_ACTION__KEY_ROTATE;
    if (key->action == ADR__CONTROL_ACTION__KEY_GRANT || key->action == ADR__CONTROL_ACTION__KEY_REVOKE)
        return "users have a role, and no rights on buckets";
    if (brings != key->asked.has_curve_key || sodium_is_zero (key->asked.curve_key, sizeof key->asked.curve_key) == brings)
        return "create and rotate bring a public key, others none";
    if (key->asked.curve_key[31] & 0x80) /* the same point, by other bytes */
        return "that is no public key";
    if (brings && s_is_a_node_s (map, key->asked.curve_key)) /* [USER-3] */
        return "a node has that key";
    if (!brings && key->asked.until_ms)
        return "create and rotate set an end, others none";
    return key->asked.limited || *key->asked.owner ? "users own nothing, and have no rights" : NULL;
}

/* NULL, or what is wrong with the question. */
static const char *
s_read_question (change_key_t *key, const Adr__Control *control, const adr_map_t *map)
{
    bool draws = control->action == ADR__CONTROL_ACTION__KEY_CREATE || control->action == ADR__CONTROL_ACTION__KEY_ROTATE;
    bool rights = control->action == ADR__CONTROL_ACTION__KEY_GRANT || control->action == ADR__CONTROL_ACTION__KEY_REVOKE;
    if (control->credential == NULL || !adr_credential_read (&key->asked, control->credential)
        || control->credential->question.len != ADR_ID_SIZE)
        return "a name has 3 to 64 letters, digits and -_., a bucket a bucket's name or *, a level is read, write or owner, a role client, "
               "reader, operator or admin";
    key->action = control->action;
    key->question = adr_id_of (control->credential->question);
    if (adr_id_is_none (&key->question))
        return "the question has no id";
    if (key->asked.role)
        return s_wrong_user (key, map);
    if (control->action == ADR__CONTROL_ACTION__KEY_CREATE && *key->asked.owner == 0)
        return "an owner has 1 to 63 letters, digits and -_.@";
    if (draws != (*key->asked.secret != 0) || key->asked.sealed_size)
        return "create and rotate bring a secret of 16 to 64 printable characters, others none";
    if (rights && key->asked.right_count != 1)
        return "one right is granted or revoked at a time";
    return key->asked.right_count && !rights && !key->asked.limited ? "who has rights is limited to them" : NULL;
}

void
cert_signer_on_key (cert_signer_t *self, const adr_event_t *event, adr_effects_t *effects)
{
    const Adr__Control *control = (const Adr__Control *) event->message.header;
    change_t asked = cert_signer_asked (CHANGE_KEY, event);
    const char *why = s_read_question (&asked.key, control, cert_signer_map (self));
    if (why)
        cert_signer_answer_key (asked.asker, control->number, ADR_STATUS_INVALID, why, NULL, effects);
    else if (*asked.key.asked.secret && cert_signer_sealing_key (self) == NULL)
        cert_signer_answer_key (asked.asker, control->number, ADR_STATUS_REFUSED, "this PKI node has no sealing.key: ask again", NULL,
                                effects);
    else if (!cert_signer_begin_change (self, &asked, event, effects))
        cert_signer_answer_key (asked.asker, control->number, ADR_STATUS_REFUSED, "busy: something else is being changed: ask again", NULL,
                                effects);
    sodium_memzero (&asked.key, sizeof asked.key);
}
