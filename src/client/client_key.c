/* SPDX-License-Identifier: MPL-2.0 */
/* libadrestia: S3 credentials and users, an admin's side of docs/protocol/credentials.md. See include/adrestia.h. */

#include "client/client.h"

#include "core/credential.h"
#include "wire/credential_codec.h"

#include <assert.h>
#include <sodium.h>
#include <stdio.h>

/* The same numbers and sizes [wire/adrestia.proto]. */
static_assert ((int) ADR_KEY_CREATE == (int) ADR__CONTROL_ACTION__KEY_CREATE && (int) ADR_KEY_REVOKE == (int) ADR__CONTROL_ACTION__KEY_REVOKE
                   && (int) ADR_KEY_ROTATE == (int) ADR__CONTROL_ACTION__KEY_ROTATE,
               "the public numbers are the protocol's");
static_assert (ADR_KEY_RIGHTS_MAX == ADR_CREDENTIAL_RIGHTS_MAX
                   && sizeof ((adr_key_info_t *) NULL)->access_key == ADR_CREDENTIAL_ACCESS_MAX + 1
                   && sizeof ((adr_key_info_t *) NULL)->owner == ADR_NAME_MAX + 1
                   && sizeof ((adr_key_right_t *) NULL)->bucket == ADR_BUCKET_NAME_MAX + 1,
               "the public sizes are the protocol's");

static_assert ((int) ADR_USER_CREATE == (int) ADR_KEY_CREATE && (int) ADR_USER_DISABLE == (int) ADR_KEY_DISABLE
                   && (int) ADR_USER_ENABLE == (int) ADR_KEY_ENABLE && (int) ADR_USER_DELETE == (int) ADR_KEY_DELETE
                   && (int) ADR_USER_ROTATE == (int) ADR_KEY_ROTATE && sizeof ((adr_user_info_t *) NULL)->name == ADR_USER_NAME_SIZE,
               "users are changed as keys are");

/* --- plain values ------------------------------------------------------------------------------------------------- */

static void
s_give (adr_key_info_t *info, const adr_credential_t *credential)
{
    *info = (adr_key_info_t){ .disabled = credential->disabled, .limited = credential->limited, .created_ms = credential->created_ms,
                              .generation = credential->generation, .right_count = credential->right_count };
    memcpy (info->access_key, credential->access_key, sizeof info->access_key);
    memcpy (info->owner, credential->owner, sizeof info->owner);
    for (uint32_t i = 0; i < credential->right_count; i++) {
        memcpy (info->right[i].bucket, credential->right[i].bucket, sizeof info->right[i].bucket);
        snprintf (info->right[i].level, sizeof info->right[i].level, "%s", adr_access_name (credential->right[i].level));
    }
}

static void
s_give_user (adr_user_info_t *info, const adr_credential_t *credential)
{
    *info = (adr_user_info_t){ .disabled = credential->disabled, .created_ms = credential->created_ms, .expires_ms = credential->until_ms,
                               .generation = credential->generation };
    memcpy (info->name, credential->access_key, sizeof info->name);
    memcpy (info->public_key, credential->curve_key, sizeof info->public_key);
    snprintf (info->role, sizeof info->role, "%s", adr_node_type_name (credential->role));
}

/* NULL, or what is wrong. */
static const char *
s_take_right (adr_right_t *right, const adr_key_right_t *asked, bool needs_level)
{
    memcpy (right->bucket, asked->bucket, sizeof right->bucket);
    right->level = ADR_ACCESS_READ; /* of what is revoked: whatever it is */
    if (memchr (asked->bucket, 0, sizeof asked->bucket) == NULL || !adr_credential_is_bucket (right->bucket))
        return "a right's bucket is a bucket's name, or *";
    if (needs_level && (memchr (asked->level, 0, sizeof asked->level) == NULL || !adr_access_parse (&right->level, asked->level)))
        return "a right's level is read, write or owner";
    return NULL;
}

static const char *
s_take (adr_credential_t *credential, adr_key_action_t action, const adr_key_info_t *asked, const char *secret)
{
    credential->limited = asked->limited;
    memcpy (credential->access_key, asked->access_key, sizeof credential->access_key);
    memcpy (credential->owner, asked->owner, sizeof credential->owner);
    credential->access_key[sizeof credential->access_key - 1] = credential->owner[sizeof credential->owner - 1] = 0;
    if (!adr_credential_is_access_key (credential->access_key))
        return "an access key has 3 to 64 letters, digits and -_.";
    if (*credential->owner && !adr_credential_is_owner (credential->owner))
        return "an owner has 1 to 63 letters, digits and -_.@";
    if (secret && !adr_credential_is_secret (secret))
        return "a secret has 16 to 64 printable characters";
    snprintf (credential->secret, sizeof credential->secret, "%s", secret ? secret : "");
    if (asked->right_count > ADR_CREDENTIAL_RIGHTS_MAX)
        return "a key has 32 rights at most";
    credential->right_count = (uint32_t) asked->right_count;
    for (size_t i = 0; i < asked->right_count; i++) {
        const char *wrong = s_take_right (&credential->right[i], &asked->right[i], action != ADR_KEY_REVOKE);
        if (wrong)
            return wrong;
        for (size_t other = 0; other < i; other++)
            if (strcmp (credential->right[other].bucket, credential->right[i].bucket) == 0)
                return "a bucket is named twice";
    }
    return NULL;
}

static const char *
s_take_user (adr_credential_t *credential, adr_user_action_t action, const adr_user_info_t *asked)
{
    bool create = action == ADR_USER_CREATE, brings = create || action == ADR_USER_ROTATE;
    memcpy (credential->access_key, asked->name, sizeof credential->access_key);
    credential->access_key[sizeof credential->access_key - 1] = 0;
    credential->role = ADR_NODE_CLIENT; /* of who is there already: whatever it is */
    if (!adr_credential_is_access_key (credential->access_key))
        return "a user's name has 3 to 64 letters, digits and -_.";
    if (create && (memchr (asked->role, 0, sizeof asked->role) == NULL || !adr_node_type_parse (&credential->role, asked->role)
                   || !adr_node_type_is_role (credential->role)))
        return "a role is client, reader, operator or admin";
    credential->has_curve_key = brings;
    if (!brings)
        return NULL;
    memcpy (credential->curve_key, asked->public_key, sizeof credential->curve_key);
    credential->until_ms = asked->expires_ms;
    return sodium_is_zero (asked->public_key, sizeof asked->public_key) ? "the user's public key is missing" : NULL;
}

/* --- changes ------------------------------------------------------------------------------------------------------ */

/* `kept`: what the PKI group keeps now; its name is empty if it keeps nothing. */
static adr_result_t
s_change (adr_client_t *self, Adr__ControlAction action, const adr_credential_t *asked, adr_credential_t *kept)
{
    adr_call_t call;
    adr_id_t question;
    *kept = (adr_credential_t){ 0 };
    randombytes_buf (question.bytes, sizeof question.bytes);
    adr_call_init (&call, self);
    adr_session_key (self->session, action, asked, &question, 0, adr_call_done, &call);
    adr_result_t result = adr_call_wait (&call);
    if (result == ADR_OK && call.value.size && !adr_credential_decode (kept, adr_bytes (call.value.data, call.value.size)))
        result = adr_call_fail (self, ADR_DAMAGED, "the answer cannot be read");
    adr_call_free (&call);
    return result;
}

adr_result_t
adr_key_change (adr_client_t *self, adr_key_action_t action, const adr_key_info_t *asked, const char *secret, adr_key_info_t *kept)
{
    adr_credential_t credential = { 0 }, now = { 0 };
    const char *wrong = s_take (&credential, action, asked, secret);
    adr_result_t result = wrong ? adr_call_fail (self, ADR_INVALID, wrong) : s_change (self, (Adr__ControlAction) action, &credential, &now);
    sodium_memzero (&credential, sizeof credential);
    if (kept)
        s_give (kept, &now);
    return result;
}

typedef struct {
    const adr_user_info_t *asked;
    char text[ADR_USER_NAME_SIZE + 32]; /* who else has that key; "": nobody */
} s_search_t;

static bool
s_has_key (void *argument, const adr_user_info_t *user)
{
    s_search_t *search = argument;
    if (memcmp (user->public_key, search->asked->public_key, sizeof user->public_key) == 0 && strcmp (user->name, search->asked->name) != 0)
        snprintf (search->text, sizeof search->text, "user %s has that key", user->name);
    return *search->text == 0;
}

/* [USER-3] A key that two users have is nobody's: a mistake is told before it silences both. Two who ask at once are not told. */
static adr_result_t
s_key_is_free (adr_client_t *self, const adr_user_info_t *asked)
{
    s_search_t search = { asked, "" };
    adr_result_t result = adr_user_list (self, s_has_key, &search);
    return result == ADR_OK && *search.text ? adr_call_fail (self, ADR_CONFLICT, search.text) : result;
}

adr_result_t
adr_user_change (adr_client_t *self, adr_user_action_t action, const adr_user_info_t *asked, adr_user_info_t *kept)
{
    adr_credential_t credential = { 0 }, now = { 0 };
    const char *wrong = s_take_user (&credential, action, asked);
    adr_result_t result = wrong                      ? adr_call_fail (self, ADR_INVALID, wrong)
                          : credential.has_curve_key ? s_key_is_free (self, asked)
                                                     : ADR_OK;
    if (result == ADR_OK)
        result = s_change (self, (Adr__ControlAction) action, &credential, &now);
    if (kept && *now.access_key)
        s_give_user (kept, &now);
    else if (kept)
        *kept = (adr_user_info_t){ 0 };
    return result;
}

/* --- what there is ------------------------------------------------------------------------------------------------ */

/* Whoever wants keys, or users: one of both. */
typedef struct {
    adr_key_row_fn *key;
    adr_user_row_fn *user;
    void *argument;
} s_rows_t;

static bool
s_give_row (void *argument, const adr_table_row_t *row)
{
    const s_rows_t *rows = argument;
    adr_credential_t credential;
    adr_key_info_t key;
    adr_user_info_t user;
    if (!adr_credential_decode (&credential, row->value) || (credential.role != 0) != (rows->user != NULL))
        return true;
    if (rows->user) {
        s_give_user (&user, &credential);
        return rows->user (rows->argument, &user);
    }
    s_give (&key, &credential);
    return rows->key (rows->argument, &key);
}

static adr_result_t
s_list (adr_client_t *self, s_rows_t rows)
{
    return adr_call_list (self, ADR_TABLE_CREDENTIAL, adr_bytes ("k", 1), adr_bytes (NULL, 0), ADR__READ_MODE__STRONG, s_give_row, &rows);
}

adr_result_t
adr_key_list (adr_client_t *self, adr_key_row_fn *row, void *argument)
{
    return s_list (self, (s_rows_t){ .key = row, .argument = argument });
}

adr_result_t
adr_user_list (adr_client_t *self, adr_user_row_fn *row, void *argument)
{
    return s_list (self, (s_rows_t){ .user = row, .argument = argument });
}

/* NOT_FOUND also if the name is the other kind's. */
static adr_result_t
s_show (adr_client_t *self, const char *name, bool user, adr_credential_t *credential)
{
    char record[1 + ADR_CREDENTIAL_ACCESS_MAX + 1];
    adr_call_t call;
    if (!adr_credential_is_access_key (name))
        return adr_call_fail (self, ADR_INVALID, "an access key, or a user's name, has 3 to 64 letters, digits and -_.");
    snprintf (record, sizeof record, "k%s", name);
    adr_call_init (&call, self);
    adr_session_read (self->session, ADR_TABLE_CREDENTIAL, adr_bytes (record, strlen (record)), ADR__READ_MODE__STRONG, 0, adr_call_done,
                      &call);
    adr_result_t result = adr_call_wait (&call);
    if (result == ADR_OK && !adr_credential_decode (credential, adr_bytes (call.value.data, call.value.size)))
        result = adr_call_fail (self, ADR_DAMAGED, "the record cannot be read");
    else if (result == ADR_OK && (credential->role != 0) != user)
        result = adr_call_fail (self, ADR_NOT_FOUND, user ? "that is an S3 access key, and no user" : "that is a user, and no S3 access key");
    adr_call_free (&call);
    return result;
}

adr_result_t
adr_key_show (adr_client_t *self, const char *access_key, adr_key_info_t *key)
{
    adr_credential_t credential;
    *key = (adr_key_info_t){ 0 };
    adr_result_t result = s_show (self, access_key, false, &credential);
    if (result == ADR_OK)
        s_give (key, &credential);
    return result;
}

adr_result_t
adr_user_show (adr_client_t *self, const char *name, adr_user_info_t *user)
{
    adr_credential_t credential;
    *user = (adr_user_info_t){ 0 };
    adr_result_t result = s_show (self, name, true, &credential);
    if (result == ADR_OK)
        s_give_user (user, &credential);
    return result;
}
