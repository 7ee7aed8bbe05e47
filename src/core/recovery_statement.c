/* SPDX-License-Identifier: MPL-2.0 */
/* Statements of recovery: see recovery_statement.h. Implements RECOVER-1. */

#include "core/recovery_statement.h"

#include "core/cert.h"

#include <sodium.h>

#define S_LAYOUT 1
#define S_PREFIX "adrr1."
#define S_PREFIX_SIZE (sizeof S_PREFIX - 1)
#define S_CHECK_SIZE 4
#define S_BASE64 sodium_base64_VARIANT_URLSAFE_NO_PADDING

static_assert (ADR_RECOVERY_SIZE == ADR_RECOVERY_REQUEST_SIZE + ADR_SIGNATURE_SIZE, "an Ed25519 signature ends a statement");

static const uint8_t s_magic[4] = { 'A', 'D', 'R', 'S' };

/* --- bytes -------------------------------------------------------------------------------------------------------- */

bool
adr_recovery_is_sound (const adr_recovery_t *recovery)
{
    return !adr_id_is_none (&recovery->cluster) && !adr_id_is_none (&recovery->group) && !adr_id_is_none (&recovery->survivor)
           && recovery->number != 0 && recovery->incarnation != 0 && recovery->epoch != 0 && recovery->signed_ms >= 0
           && recovery->end.term != 0 && recovery->end.index != 0 && recovery->end.term <= ADR_TERM_MAX
           && recovery->is_signed == (recovery->signed_ms != 0);
}

/* All that stands before the signature. */
static void
s_put_head (const adr_recovery_t *recovery, uint8_t at[ADR_RECOVERY_REQUEST_SIZE])
{
    memset (at, 0, 8);
    memcpy (at, s_magic, sizeof s_magic);
    at[4] = S_LAYOUT;
    at[5] = recovery->is_signed;
    memcpy (at + 8, recovery->cluster.bytes, ADR_ID_SIZE);
    memcpy (at + 24, recovery->group.bytes, ADR_ID_SIZE);
    adr_put_u64 (at + 40, recovery->number);
    memcpy (at + 48, recovery->survivor.bytes, ADR_ID_SIZE);
    adr_put_u64 (at + 64, recovery->incarnation);
    adr_put_u64 (at + 72, recovery->end.term);
    adr_put_u64 (at + 80, recovery->end.index);
    adr_put_u64 (at + 88, recovery->epoch);
    adr_put_u64 (at + 96, (uint64_t) recovery->signed_ms);
}

size_t
adr_recovery_encode (const adr_recovery_t *recovery, uint8_t at[ADR_RECOVERY_SIZE])
{
    adr_assert (adr_recovery_is_sound (recovery));
    s_put_head (recovery, at);
    if (!recovery->is_signed)
        return ADR_RECOVERY_REQUEST_SIZE;
    memcpy (at + ADR_RECOVERY_REQUEST_SIZE, recovery->signature, ADR_SIGNATURE_SIZE);
    return ADR_RECOVERY_SIZE;
}

bool
adr_recovery_decode (adr_recovery_t *recovery, adr_bytes_t bytes)
{
    const uint8_t *at = bytes.data;
    *recovery = (adr_recovery_t){ 0 };
    if (bytes.size != ADR_RECOVERY_REQUEST_SIZE && bytes.size != ADR_RECOVERY_SIZE)
        return false;
    recovery->is_signed = bytes.size == ADR_RECOVERY_SIZE;
    if (memcmp (at, s_magic, sizeof s_magic) != 0 || at[4] != S_LAYOUT || at[5] != recovery->is_signed || at[6] != 0 || at[7] != 0
        || adr_get_u64 (at + 96) > INT64_MAX)
        return false;
    memcpy (recovery->cluster.bytes, at + 8, ADR_ID_SIZE);
    memcpy (recovery->group.bytes, at + 24, ADR_ID_SIZE);
    recovery->number = adr_get_u64 (at + 40);
    memcpy (recovery->survivor.bytes, at + 48, ADR_ID_SIZE);
    recovery->incarnation = adr_get_u64 (at + 64);
    recovery->end = (adr_position_t){ adr_get_u64 (at + 72), adr_get_u64 (at + 80) };
    recovery->epoch = adr_get_u64 (at + 88);
    recovery->signed_ms = (int64_t) adr_get_u64 (at + 96);
    if (recovery->is_signed)
        memcpy (recovery->signature, at + ADR_RECOVERY_REQUEST_SIZE, ADR_SIGNATURE_SIZE);
    return adr_recovery_is_sound (recovery);
}

/* --- signatures --------------------------------------------------------------------------------------------------- */

void
adr_recovery_sign (adr_recovery_t *recovery, int64_t signed_ms, const uint8_t seed[32])
{
    uint8_t bytes[ADR_RECOVERY_REQUEST_SIZE], public_key[crypto_sign_PUBLICKEYBYTES], secret[crypto_sign_SECRETKEYBYTES];
    recovery->is_signed = true;
    recovery->signed_ms = signed_ms;
    adr_assert (adr_recovery_is_sound (recovery));
    s_put_head (recovery, bytes);
    crypto_sign_seed_keypair (public_key, secret, seed);
    crypto_sign_detached (recovery->signature, NULL, bytes, sizeof bytes, secret);
    sodium_memzero (secret, sizeof secret);
}

bool
adr_recovery_verify (const adr_recovery_t *recovery, adr_bytes_t root_certificate)
{
    uint8_t bytes[ADR_RECOVERY_REQUEST_SIZE];
    adr_cert_t root;
    if (!recovery->is_signed || !adr_cert_decode (&root, root_certificate) || root.kind != ADR_CERT_ROOT
        || !adr_id_equal (&root.cluster, &recovery->cluster))
        return false;
    s_put_head (recovery, bytes);
    return crypto_sign_verify_detached (recovery->signature, bytes, sizeof bytes, root.sign_key) == 0;
}

/* --- text --------------------------------------------------------------------------------------------------------- */

static void
s_check_of (const uint8_t *bytes, size_t size, uint8_t check[S_CHECK_SIZE])
{
    uint8_t hash[32];
    crypto_generichash (hash, sizeof hash, bytes, size, NULL, 0);
    memcpy (check, hash, S_CHECK_SIZE);
}

size_t
adr_recovery_format (const adr_recovery_t *recovery, char text[ADR_RECOVERY_TEXT_MAX])
{
    uint8_t bytes[ADR_RECOVERY_SIZE + S_CHECK_SIZE];
    size_t size = adr_recovery_encode (recovery, bytes);
    s_check_of (bytes, size, bytes + size);
    memcpy (text, S_PREFIX, S_PREFIX_SIZE);
    sodium_bin2base64 (text + S_PREFIX_SIZE, ADR_RECOVERY_TEXT_MAX - S_PREFIX_SIZE, bytes, size + S_CHECK_SIZE, S_BASE64);
    return strlen (text);
}

static bool
s_is_space (char c)
{
    return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

/* libsodium 1.0.18 takes some bytes above 127 for letters. */
static bool
s_is_ascii (const char *text, size_t size)
{
    for (size_t i = 0; i < size; i++)
        if ((unsigned char) text[i] > 0x7e)
            return false;
    return true;
}

static bool
s_decode_checked (adr_recovery_t *recovery, const uint8_t *bytes, size_t size)
{
    uint8_t check[S_CHECK_SIZE];
    if (size < S_CHECK_SIZE)
        return false;
    s_check_of (bytes, size - S_CHECK_SIZE, check);
    return memcmp (check, bytes + size - S_CHECK_SIZE, S_CHECK_SIZE) == 0
           && adr_recovery_decode (recovery, adr_bytes (bytes, size - S_CHECK_SIZE));
}

bool
adr_recovery_parse (adr_recovery_t *recovery, const char *text, size_t size)
{
    uint8_t bytes[ADR_RECOVERY_SIZE + S_CHECK_SIZE];
    size_t bytes_size = 0;
    *recovery = (adr_recovery_t){ 0 };
    for (; size && s_is_space (*text); text++)
        size--;
    while (size && s_is_space (text[size - 1]))
        size--;
    return size > S_PREFIX_SIZE && memcmp (text, S_PREFIX, S_PREFIX_SIZE) == 0 && s_is_ascii (text, size)
           && sodium_base642bin (bytes, sizeof bytes, text + S_PREFIX_SIZE, size - S_PREFIX_SIZE, NULL, &bytes_size, NULL, S_BASE64) == 0
           && s_decode_checked (recovery, bytes, bytes_size);
}
