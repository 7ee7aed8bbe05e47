/* SPDX-License-Identifier: MPL-2.0 */
/* libadrestia: S3 credentials, an operator's side of docs/protocol/credentials.md. See include/adrestia.h. */

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

/* What the PKI group keeps, from its message. */
static bool
s_kept (adr_key_info_t *info, adr_bytes_t bytes)
{
    adr_credential_t credential;
    bool good = adr_credential_decode (&credential, bytes);
    if (good)
        s_give (info, &credential);
    return good;
}

adr_result_t
adr_key_change (adr_client_t *self, adr_key_action_t action, const adr_key_info_t *asked, const char *secret, adr_key_info_t *kept)
{
    adr_credential_t credential = { 0 };
    adr_key_info_t none;
    adr_call_t call;
    adr_id_t question;
    kept = kept ? kept : &none;
    *kept = (adr_key_info_t){ 0 };
    const char *wrong = s_take (&credential, action, asked, secret);
    if (wrong) {
        sodium_memzero (&credential, sizeof credential);
        return adr_call_fail (self, ADR_INVALID, wrong);
    }
    randombytes_buf (question.bytes, sizeof question.bytes);
    adr_call_init (&call, self);
    adr_session_key (self->session, (Adr__ControlAction) action, &credential, &question, 0, adr_call_done, &call);
    sodium_memzero (&credential, sizeof credential);
    adr_result_t result = adr_call_wait (&call);
    if (result == ADR_OK && call.value.size && !s_kept (kept, adr_bytes (call.value.data, call.value.size)))
        result = adr_call_fail (self, ADR_DAMAGED, "the answer cannot be read");
    adr_call_free (&call);
    return result;
}

/* Hands out the rows of a page and leaves the last key in `after`; false when the caller wants no more. */
static bool
s_give_rows (adr_bytes_t rows, adr_buffer_t *after, adr_key_row_fn *row, void *argument)
{
    adr_bytes_t key, value;
    adr_version_t version;
    uint64_t time_ms;
    adr_key_info_t info;
    while (adr_list_row_next (&rows, &key, &value, &version, &time_ms)) {
        adr_buffer_clear (after);
        adr_buffer_append (after, key.data, key.size);
        if (s_kept (&info, value) && !row (argument, &info))
            return false;
    }
    return true;
}

adr_result_t
adr_key_list (adr_client_t *self, adr_key_row_fn *row, void *argument)
{
    adr_buffer_t last = { 0 };
    adr_call_t call;
    adr_result_t result;
    bool more;
    adr_call_init (&call, self);
    do {
        adr_session_list (self->session, ADR_TABLE_CREDENTIAL, adr_bytes ("k", 1), adr_bytes (last.data, last.size), 0, true,
                          ADR__READ_MODE__STRONG, 0, adr_call_done, &call);
        result = adr_call_wait (&call);
        more = result == ADR_OK && s_give_rows (adr_bytes (call.value.data, call.value.size), &last, row, argument) && call.more
               && call.value.size > 0;
    } while (more);
    adr_call_free (&call);
    adr_buffer_free (&last);
    return result;
}

adr_result_t
adr_key_show (adr_client_t *self, const char *access_key, adr_key_info_t *key)
{
    char record[1 + ADR_CREDENTIAL_ACCESS_MAX + 1];
    adr_call_t call;
    *key = (adr_key_info_t){ 0 };
    if (!adr_credential_is_access_key (access_key))
        return adr_call_fail (self, ADR_INVALID, "an access key has 3 to 64 letters, digits and -_.");
    snprintf (record, sizeof record, "k%s", access_key);
    adr_call_init (&call, self);
    adr_session_read (self->session, ADR_TABLE_CREDENTIAL, adr_bytes (record, strlen (record)), ADR__READ_MODE__STRONG, 0, adr_call_done,
                      &call);
    adr_result_t result = adr_call_wait (&call);
    if (result == ADR_OK && !s_kept (key, adr_bytes (call.value.data, call.value.size)))
        result = adr_call_fail (self, ADR_DAMAGED, "the record cannot be read");
    adr_call_free (&call);
    return result;
}
