/* SPDX-License-Identifier: MPL-2.0 */
/* Statements of recovery: see recovery_statement.h. Implements RECOVER-1. */

#include "core/recovery_statement.h"

#include "core/cert.h"
#include "core/pasted.h"

#include <sodium.h>

#define S_LAYOUT 1
#define S_PREFIX "adrr1."

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

size_t
adr_recovery_format (const adr_recovery_t *recovery, char text[ADR_RECOVERY_TEXT_MAX])
{
    uint8_t bytes[ADR_RECOVERY_SIZE + ADR_PASTED_CHECK_SIZE];
    return adr_pasted_format (S_PREFIX, bytes, adr_recovery_encode (recovery, bytes), text, ADR_RECOVERY_TEXT_MAX);
}

bool
adr_recovery_parse (adr_recovery_t *recovery, const char *text, size_t size)
{
    uint8_t bytes[ADR_RECOVERY_SIZE + ADR_PASTED_CHECK_SIZE];
    size_t bytes_size;
    *recovery = (adr_recovery_t){ 0 };
    return adr_pasted_parse (S_PREFIX, text, size, bytes, sizeof bytes, &bytes_size)
           && adr_recovery_decode (recovery, adr_bytes (bytes, bytes_size));
}
