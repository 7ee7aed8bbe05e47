/* SPDX-License-Identifier: MPL-2.0 */
/* S3 credentials as plain values: see credential.h. */

#include "core/credential.h"

#include <sodium.h>
#include <string.h>

static const char S_SECRET_PLACE[] = "adrestia secret";
static const char S_FILE_PLACE[] = "adrestia credentials file";

static const char *const s_access_names[ADR_ACCESS_COUNT] = { "none", "read", "write", "owner" };

const char *
adr_access_name (adr_access_t access)
{
    return (unsigned) access < ADR_ACCESS_COUNT ? s_access_names[access] : "unknown";
}

bool
adr_access_parse (adr_access_t *access, const char *text)
{
    for (unsigned i = ADR_ACCESS_READ; i < ADR_ACCESS_COUNT; i++)
        if (strcmp (s_access_names[i], text) == 0) {
            *access = (adr_access_t) i;
            return true;
        }
    return false;
}

/* --- names -------------------------------------------------------------------------------------------------------- */

static bool
s_is_of (const char *text, size_t min, size_t max, bool upper, const char *more)
{
    size_t size = strnlen (text, max + 1);
    for (size_t i = 0; i < size; i++) {
        char c = text[i];
        bool letter = (c >= 'a' && c <= 'z') || (upper && c >= 'A' && c <= 'Z');
        if (!letter && !(c >= '0' && c <= '9') && memchr (more, c, strlen (more)) == NULL)
            return false;
    }
    return size >= min && size <= max;
}

bool
adr_credential_is_access_key (const char *text)
{
    return s_is_of (text, ADR_CREDENTIAL_ACCESS_MIN, ADR_CREDENTIAL_ACCESS_MAX, true, "-_.");
}

bool
adr_credential_is_owner (const char *text)
{
    return s_is_of (text, 1, ADR_NAME_MAX, true, "-_.@");
}

bool
adr_credential_is_secret (const char *text)
{
    size_t size = strnlen (text, ADR_CREDENTIAL_SECRET_MAX + 1);
    for (size_t i = 0; i < size; i++)
        if (text[i] <= ' ' || text[i] > '~')
            return false;
    return size >= ADR_CREDENTIAL_SECRET_MIN && size <= ADR_CREDENTIAL_SECRET_MAX;
}

bool
adr_credential_is_bucket (const char *text)
{
    return strcmp (text, "*") == 0 || s_is_of (text, 3, ADR_BUCKET_NAME_MAX, false, "-.");
}

/* --- rights ------------------------------------------------------------------------------------------------------- */

adr_access_t
adr_rights_access (const adr_right_t *right, uint32_t count, const char *bucket)
{
    adr_access_t access = ADR_ACCESS_NONE;
    for (uint32_t i = 0; i < count; i++)
        if ((bucket == NULL || strcmp (right[i].bucket, "*") == 0 || strcmp (right[i].bucket, bucket) == 0) && right[i].level > access)
            access = right[i].level;
    return access;
}

/* --- secrets ------------------------------------------------------------------------------------------------------ */

#define S_PLACE_MAX (sizeof S_SECRET_PLACE + ADR_ID_SIZE + ADR_CREDENTIAL_ACCESS_MAX)

/* The text's end is the zero behind it. */
static adr_bytes_t
s_place (const adr_credential_t *credential, const adr_id_t *cluster, uint8_t place[S_PLACE_MAX])
{
    size_t size = strlen (credential->access_key);
    memcpy (place, S_SECRET_PLACE, sizeof S_SECRET_PLACE);
    memcpy (place + sizeof S_SECRET_PLACE, cluster->bytes, ADR_ID_SIZE);
    memcpy (place + sizeof S_SECRET_PLACE + ADR_ID_SIZE, credential->access_key, size);
    return adr_bytes (place, sizeof S_SECRET_PLACE + ADR_ID_SIZE + size);
}

void
adr_credential_seal (adr_credential_t *credential, const adr_id_t *cluster, const uint8_t key[ADR_SEAL_KEY_SIZE], uint64_t draw)
{
    uint8_t place[S_PLACE_MAX];
    adr_bytes_t text = adr_bytes (credential->secret, strlen (credential->secret));
    adr_seal (key, s_place (credential, cluster, place), text, draw, credential->sealed);
    credential->sealed_size = text.size + ADR_SEAL_MORE;
}

bool
adr_credential_unseal (adr_credential_t *credential, const adr_id_t *cluster, const uint8_t key[ADR_SEAL_KEY_SIZE])
{
    uint8_t place[S_PLACE_MAX];
    adr_bytes_t sealed = adr_bytes (credential->sealed, credential->sealed_size);
    sodium_memzero (credential->secret, sizeof credential->secret);
    if (sealed.size > ADR_SEALED_SECRET_MAX
        || !adr_unseal (key, s_place (credential, cluster, place), sealed, (uint8_t *) credential->secret))
        return false;
    if (adr_credential_is_secret (credential->secret))
        return true;
    sodium_memzero (credential->secret, sizeof credential->secret);
    return false;
}

void
adr_credential_file_key (const uint8_t curve_secret[32], const adr_id_t *cluster, const adr_id_t *node, uint8_t key[ADR_SEAL_KEY_SIZE])
{
    uint8_t place[sizeof S_FILE_PLACE + 2 * ADR_ID_SIZE];
    memcpy (place, S_FILE_PLACE, sizeof S_FILE_PLACE);
    memcpy (place + sizeof S_FILE_PLACE, cluster->bytes, ADR_ID_SIZE);
    memcpy (place + sizeof S_FILE_PLACE + ADR_ID_SIZE, node->bytes, ADR_ID_SIZE);
    crypto_generichash (key, ADR_SEAL_KEY_SIZE, place, sizeof place, curve_secret, 32);
}
