/* SPDX-License-Identifier: MPL-2.0 */
/* Join tokens, their text, and the proof that one is known: see token.h. Implements the values of TRUST-5. */

#include "core/token.h"

#include "core/pasted.h"

#include <sodium.h>

#define S_FORMAT 1
#define S_FORMAT_FOUNDS 2 /* the same, of a node that is to found its group: who knows no such thing takes it for no token */
#define S_PREFIX "adr1."
#define S_SCHEME "tcp://"

#define S_PURPOSE "adrestia join" /* so that no other signature of this key is one of these */
#define S_SIGNED_MAX (sizeof S_PURPOSE + ADR_ID_SIZE + ADR_CERTIFICATE_MAX + ADR_JOIN_ENDPOINTS * (ADR_ENDPOINT_MAX + 1) + 8)

static_assert (ADR_TOKEN_BYTES_MAX <= 800, "a token fits a line that people still copy");
static_assert (ADR_NAME_MAX <= 255 && ADR_ENDPOINT_MAX <= 255, "the size of a text is one byte");

/* --- what values belong together ------------------------------------------------------------------------------ */

/* Printable ASCII; spaces only in names. */
static bool
s_is_printable (const char *text, char lowest)
{
    for (; *text; text++)
        if (*text < lowest || *text > 0x7e)
            return false;
    return true;
}

static bool
s_name_fits (const char *name, bool wanted)
{
    return (*name != 0) == wanted && s_is_printable (name, ' ');
}

static bool
s_door_fits (const adr_token_door_t *door)
{
    size_t scheme = strlen (S_SCHEME);
    return !sodium_is_zero (door->curve_key, sizeof door->curve_key) && strncmp (door->endpoint, S_SCHEME, scheme) == 0
           && door->endpoint[scheme] != 0 && s_is_printable (door->endpoint, '!');
}

static bool
s_doors_fit (const adr_token_t *token)
{
    if (token->door_count < 1 || token->door_count > ADR_TOKEN_DOORS_MAX)
        return false;
    for (uint32_t i = 0; i < token->door_count; i++)
        if (!s_door_fits (&token->door[i]))
            return false;
    return true;
}

/* The same question on both sides of the border: before format, after parse. */
static bool
s_is_well_formed (const adr_token_t *token)
{
    bool in_group = token->type != ADR_NODE_EDGE;
    if (token->founds && token->type != ADR_NODE_META && token->type != ADR_NODE_DATA)
        return false;
    return token->type >= ADR_NODE_EDGE && token->type <= ADR_NODE_PKI && !adr_id_is_none (&token->cluster)
           && !adr_id_is_none (&token->zone) && in_group != adr_id_is_none (&token->group) && token->expires_ms > 0
           && s_name_fits (token->zone_name, true) && s_name_fits (token->group_name, in_group)
           && s_name_fits (token->node_name, true) && s_doors_fit (token);
}

/* --- from the token to its text --------------------------------------------------------------------------------- */

static uint8_t *
s_put (uint8_t *at, const void *data, size_t size)
{
    memcpy (at, data, size);
    return at + size;
}

static uint8_t *
s_put_text (uint8_t *at, const char *text)
{
    size_t size = strlen (text);
    *at = (uint8_t) size;
    return s_put (at + 1, text, size);
}

static uint8_t *
s_put_doors (uint8_t *at, const adr_token_t *token)
{
    *at++ = (uint8_t) token->door_count;
    for (uint32_t i = 0; i < token->door_count; i++) {
        at = s_put (at, token->door[i].curve_key, sizeof token->door[i].curve_key);
        at = s_put_text (at, token->door[i].endpoint);
    }
    return at;
}

static size_t
s_encode (const adr_token_t *token, uint8_t start[ADR_TOKEN_BYTES_MAX])
{
    uint8_t *at = start;
    *at++ = token->founds ? S_FORMAT_FOUNDS : S_FORMAT;
    at = s_put (at, token->cluster.bytes, ADR_ID_SIZE);
    *at++ = (uint8_t) token->type;
    at = s_put (at, token->zone.bytes, ADR_ID_SIZE);
    at = s_put (at, token->group.bytes, ADR_ID_SIZE);
    adr_put_u64 (at, (uint64_t) token->expires_ms);
    at = s_put (at + 8, token->secret, sizeof token->secret);
    at = s_put (at, token->root_hash, sizeof token->root_hash);
    at = s_put_text (at, token->zone_name);
    at = s_put_text (at, token->group_name);
    at = s_put_text (at, token->node_name);
    at = s_put_doors (at, token);
    return (size_t) (at - start);
}

bool
adr_token_is_sound (const adr_token_t *token)
{
    return s_is_well_formed (token);
}

size_t
adr_token_format (const adr_token_t *token, char text[ADR_TOKEN_TEXT_MAX])
{
    adr_assert (s_is_well_formed (token));
    uint8_t bytes[ADR_TOKEN_BYTES_MAX];
    size_t length = adr_pasted_format (S_PREFIX, bytes, s_encode (token, bytes), text, ADR_TOKEN_TEXT_MAX);
    sodium_memzero (bytes, sizeof bytes);
    return length;
}

/* --- and back --------------------------------------------------------------------------------------------------- */

static bool
s_take (adr_bytes_t *rest, void *to, size_t size)
{
    if (size > rest->size)
        return false;
    memcpy (to, rest->data, size);
    *rest = adr_bytes (rest->data + size, rest->size - size);
    return true;
}

/* A text of at most `max` bytes; a zero in it would end it for us, and not for others. */
static bool
s_take_text (adr_bytes_t *rest, char *text, size_t max)
{
    uint8_t size;
    if (!s_take (rest, &size, 1) || size > max || !s_take (rest, text, size))
        return false;
    text[size] = 0;
    return strlen (text) == size;
}

static bool
s_take_doors (adr_bytes_t *rest, adr_token_t *token)
{
    uint8_t count;
    if (!s_take (rest, &count, 1) || count > ADR_TOKEN_DOORS_MAX)
        return false;
    for (token->door_count = 0; token->door_count < count; token->door_count++) {
        adr_token_door_t *door = &token->door[token->door_count];
        if (!s_take (rest, door->curve_key, sizeof door->curve_key)
            || !s_take_text (rest, door->endpoint, ADR_ENDPOINT_MAX))
            return false;
    }
    return true;
}

static bool
s_take_time (adr_bytes_t *rest, int64_t *time_ms)
{
    uint8_t bytes[8];
    if (!s_take (rest, bytes, sizeof bytes) || adr_get_u64 (bytes) > INT64_MAX)
        return false;
    *time_ms = (int64_t) adr_get_u64 (bytes);
    return true;
}

static bool
s_decode (adr_token_t *token, adr_bytes_t rest)
{
    uint8_t format, type;
    if (!s_take (&rest, &format, 1) || (format != S_FORMAT && format != S_FORMAT_FOUNDS)
        || !s_take (&rest, token->cluster.bytes, ADR_ID_SIZE) || !s_take (&rest, &type, 1))
        return false;
    token->type = (adr_node_type_t) type;
    token->founds = format == S_FORMAT_FOUNDS;
    return s_take (&rest, token->zone.bytes, ADR_ID_SIZE) && s_take (&rest, token->group.bytes, ADR_ID_SIZE)
           && s_take_time (&rest, &token->expires_ms) && s_take (&rest, token->secret, sizeof token->secret)
           && s_take (&rest, token->root_hash, sizeof token->root_hash)
           && s_take_text (&rest, token->zone_name, ADR_NAME_MAX) && s_take_text (&rest, token->group_name, ADR_NAME_MAX)
           && s_take_text (&rest, token->node_name, ADR_NAME_MAX) && s_take_doors (&rest, token) && rest.size == 0
           && s_is_well_formed (token);
}

bool
adr_token_parse (adr_token_t *token, const char *text, size_t size)
{
    uint8_t bytes[ADR_TOKEN_BYTES_MAX];
    size_t bytes_size;
    *token = (adr_token_t){ 0 };
    bool good = adr_pasted_parse (S_PREFIX, text, size, bytes, sizeof bytes, &bytes_size) && s_decode (token, adr_bytes (bytes, bytes_size));
    sodium_memzero (bytes, sizeof bytes);
    if (!good)
        adr_token_forget (token);
    return good;
}

void
adr_token_forget (adr_token_t *token)
{
    sodium_memzero (token, sizeof *token);
}

/* --- keys and proofs ---------------------------------------------------------------------------------------------- */

void
adr_token_public (const adr_token_t *token, uint8_t key[ADR_KEY_SIZE])
{
    uint8_t secret[crypto_sign_SECRETKEYBYTES];
    crypto_sign_seed_keypair (key, secret, token->secret);
    sodium_memzero (secret, sizeof secret);
}

void
adr_token_hash_root (adr_bytes_t certificate, uint8_t hash[ADR_TOKEN_HASH_SIZE])
{
    crypto_generichash (hash, ADR_TOKEN_HASH_SIZE, certificate.data, certificate.size, NULL, 0);
}

/* What is signed; 0: it is larger than anything that is right. The request's own bytes say where it ends, no endpoint holds a
 * zero, and an incarnation has eight bytes or, if there is none, none: so what is signed can be read in one way only. */
static size_t
s_signed_bytes (uint8_t start[S_SIGNED_MAX], const adr_id_t *cluster, adr_bytes_t request,
                const char *const endpoint[ADR_JOIN_ENDPOINTS], uint64_t incarnation)
{
    if (request.size == 0 || request.size > ADR_CERTIFICATE_MAX)
        return 0;
    uint8_t *at = s_put (start, S_PURPOSE, sizeof S_PURPOSE);
    at = s_put (at, cluster->bytes, ADR_ID_SIZE);
    at = s_put (at, request.data, request.size);
    for (int i = 0; i < ADR_JOIN_ENDPOINTS; i++) {
        size_t size = strlen (endpoint[i]);
        if (size > ADR_ENDPOINT_MAX)
            return 0;
        at = s_put (at, endpoint[i], size + 1);
    }
    if (incarnation)
        adr_put_u64 (at, incarnation);
    return (size_t) (at - start) + (incarnation ? 8 : 0);
}

void
adr_token_sign_join (const adr_token_t *token, adr_bytes_t request, const char *const endpoint[ADR_JOIN_ENDPOINTS],
                     uint64_t incarnation, uint8_t signature[ADR_SIGNATURE_SIZE])
{
    uint8_t bytes[S_SIGNED_MAX], public_key[crypto_sign_PUBLICKEYBYTES], secret[crypto_sign_SECRETKEYBYTES];
    size_t size = s_signed_bytes (bytes, &token->cluster, request, endpoint, incarnation);
    adr_assert (size);
    crypto_sign_seed_keypair (public_key, secret, token->secret);
    crypto_sign_detached (signature, NULL, bytes, size, secret);
    sodium_memzero (secret, sizeof secret);
}

bool
adr_token_join_signed (const uint8_t token_key[ADR_KEY_SIZE], const adr_id_t *cluster, adr_bytes_t request,
                       const char *const endpoint[ADR_JOIN_ENDPOINTS], uint64_t incarnation, const uint8_t signature[ADR_SIGNATURE_SIZE])
{
    uint8_t bytes[S_SIGNED_MAX];
    size_t size = s_signed_bytes (bytes, cluster, request, endpoint, incarnation);
    return size && crypto_sign_verify_detached (signature, bytes, size, token_key) == 0;
}
