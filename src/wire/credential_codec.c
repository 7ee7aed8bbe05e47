/* SPDX-License-Identifier: MPL-2.0 */
/* Credentials as messages and bytes: see credential_codec.h. */

#include "wire/credential_codec.h"

#include "wire/bounds.h"

#include <assert.h>
#include <sodium.h>
#include <string.h>

static_assert (ADR_CREDENTIAL_BYTES_MAX >= ADR_CREDENTIAL_ACCESS_MAX + ADR_NAME_MAX + ADR_SEALED_SECRET_MAX + ADR_CREDENTIAL_SECRET_MAX
                                               + ADR_CREDENTIAL_RIGHTS_MAX * (ADR_BUCKET_NAME_MAX + 6) + 100,
               "the longest credential fits");

Adr__Credential *
adr_credential_fill (adr_credential_message_t *self, const adr_credential_t *credential, adr_credential_show_t show)
{
    Adr__Credential *message = &self->message;
    adr__credential__init (message);
    message->access_key = (char *) credential->access_key;
    message->owner = (char *) credential->owner;
    if (show == ADR_CREDENTIAL_SEALED)
        message->sealed = adr_bytes_view (adr_bytes (credential->sealed, credential->sealed_size));
    if (show == ADR_CREDENTIAL_CLEAR)
        message->secret = (char *) credential->secret;
    message->disabled = credential->disabled;
    message->created_ms = credential->created_ms;
    message->generation = credential->generation;
    message->role = credential->role;
    if (credential->has_curve_key)
        message->curve_key = adr_bytes_view (adr_bytes (credential->curve_key, sizeof credential->curve_key));
    message->until_ms = credential->until_ms;
    message->limited = credential->limited;
    message->n_right = credential->right_count;
    message->right = self->pointer;
    for (uint32_t i = 0; i < credential->right_count; i++) {
        adr__right__init (&self->right[i]);
        self->right[i].bucket = (char *) credential->right[i].bucket;
        self->right[i].level = credential->right[i].level;
        self->pointer[i] = &self->right[i];
    }
    return message;
}

static bool
s_take_text (char *to, size_t room, const char *from, bool (*fits) (const char *text), bool needed)
{
    size_t size = strlen (from);
    if (size >= room || ((size || needed) && !fits (from)))
        return false;
    memcpy (to, from, size + 1);
    return true;
}

static bool
s_take_rights (adr_credential_t *credential, const Adr__Credential *message)
{
    if (message->n_right > ADR_CREDENTIAL_RIGHTS_MAX)
        return false;
    for (size_t i = 0; i < message->n_right; i++) {
        adr_right_t *right = &credential->right[i];
        uint32_t level = message->right[i]->level;
        if (level <= ADR_ACCESS_NONE || level >= ADR_ACCESS_COUNT
            || !s_take_text (right->bucket, sizeof right->bucket, message->right[i]->bucket, adr_credential_is_bucket, true))
            return false;
        right->level = (adr_access_t) level;
        for (uint32_t other = 0; other < credential->right_count; other++)
            if (strcmp (credential->right[other].bucket, right->bucket) == 0)
                return false;
        credential->right_count++;
    }
    return true;
}

/* [USER-1] A user's have a role; its key may be missing, as in a question about one. */
static bool
s_take_user (adr_credential_t *credential, const Adr__Credential *message)
{
    credential->role = (adr_node_type_t) message->role;
    credential->until_ms = message->until_ms;
    credential->has_curve_key = message->curve_key.len != 0;
    if (message->role == 0)
        return !credential->has_curve_key && message->until_ms == 0;
    if (credential->has_curve_key && message->curve_key.len == sizeof credential->curve_key)
        memcpy (credential->curve_key, message->curve_key.data, sizeof credential->curve_key);
    return adr_node_type_is_role (credential->role) && (message->curve_key.len == 0 || message->curve_key.len == sizeof credential->curve_key)
           && *message->secret == 0 && message->sealed.len == 0 && message->n_right == 0;
}

bool
adr_credential_read (adr_credential_t *credential, const Adr__Credential *message)
{
    *credential = (adr_credential_t){ .disabled = message->disabled, .created_ms = message->created_ms,
                                      .generation = message->generation, .limited = message->limited };
    if (message->sealed.len > sizeof credential->sealed)
        return false;
    if (message->sealed.len)
        memcpy (credential->sealed, message->sealed.data, message->sealed.len);
    credential->sealed_size = message->sealed.len;
    return s_take_text (credential->access_key, sizeof credential->access_key, message->access_key, adr_credential_is_access_key, true)
           && s_take_text (credential->owner, sizeof credential->owner, message->owner, adr_credential_is_owner, false)
           && s_take_text (credential->secret, sizeof credential->secret, message->secret, adr_credential_is_secret, false)
           && s_take_rights (credential, message) && s_take_user (credential, message);
}

void
adr_credential_encode (const adr_credential_t *credential, adr_credential_show_t show, adr_buffer_t *bytes)
{
    adr_credential_message_t message;
    (void) adr_credential_fill (&message, credential, show);
    adr__credential__pack (&message.message, adr_buffer_grow (bytes, adr__credential__get_packed_size (&message.message)));
}

bool
adr_credential_decode (adr_credential_t *credential, adr_bytes_t bytes)
{
    if (bytes.size > ADR_CREDENTIAL_BYTES_MAX || !adr_bounds_hold (&adr__credential__descriptor, bytes))
        return false;
    adr_arena_t arena;
    adr_arena_init (&arena, 16 * 1024, 64 * 1024);
    const Adr__Credential *message = adr__credential__unpack (&arena.allocator, bytes.size, bytes.data);
    bool good = message && adr_credential_read (credential, message);
    sodium_memzero (arena.data, arena.used);
    adr_arena_free (&arena);
    return good;
}

void
adr_credential_row_append (adr_buffer_t *rows, const adr_credential_t *credential)
{
    size_t at = rows->size;
    (void) adr_buffer_grow (rows, 4);
    adr_credential_encode (credential, ADR_CREDENTIAL_CLEAR, rows);
    adr_put_u32 (rows->data + at, (uint32_t) (rows->size - at - 4));
}

bool
adr_credential_row_next (adr_bytes_t *rows, adr_credential_t *credential)
{
    if (rows->size < 4)
        return false;
    size_t size = adr_get_u32 (rows->data);
    if (size > rows->size - 4 || !adr_credential_decode (credential, adr_bytes (rows->data + 4, size)))
        return false;
    *rows = adr_bytes (rows->data + 4 + size, rows->size - 4 - size);
    return true;
}
