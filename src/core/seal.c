/* SPDX-License-Identifier: MPL-2.0 */
/* Sealed bytes: see seal.h. */

#include "core/seal.h"

#include <assert.h>
#include <sodium.h>

#define S_FORMAT 1
#define S_NONCE crypto_aead_xchacha20poly1305_ietf_NPUBBYTES
#define S_TAG crypto_aead_xchacha20poly1305_ietf_ABYTES

static_assert (ADR_SEAL_MORE == 1 + S_NONCE + S_TAG, "what sealing adds");
static_assert (ADR_SEAL_KEY_SIZE == crypto_aead_xchacha20poly1305_ietf_KEYBYTES, "a key of the cipher");

/* Of what is sealed, so that two texts never share one: to repeat a nonce would tell both. */
static void
s_make_nonce (const uint8_t key[ADR_SEAL_KEY_SIZE], adr_bytes_t place, adr_bytes_t text, uint64_t draw, uint8_t nonce[S_NONCE])
{
    crypto_generichash_state state;
    uint8_t head[16];
    adr_put_u64 (head, draw);
    adr_put_u64 (head + 8, place.size); /* where the one ends and the other begins */
    crypto_generichash_init (&state, key, ADR_SEAL_KEY_SIZE, S_NONCE);
    crypto_generichash_update (&state, head, sizeof head);
    crypto_generichash_update (&state, place.data, place.size);
    crypto_generichash_update (&state, text.data, text.size);
    crypto_generichash_final (&state, nonce, S_NONCE);
    sodium_memzero (&state, sizeof state);
}

void
adr_seal (const uint8_t key[ADR_SEAL_KEY_SIZE], adr_bytes_t place, adr_bytes_t text, uint64_t draw, uint8_t *sealed)
{
    sealed[0] = S_FORMAT;
    s_make_nonce (key, place, text, draw, sealed + 1);
    crypto_aead_xchacha20poly1305_ietf_encrypt (sealed + 1 + S_NONCE, NULL, text.data, text.size, place.data, place.size, NULL,
                                                sealed + 1, key);
}

bool
adr_unseal (const uint8_t key[ADR_SEAL_KEY_SIZE], adr_bytes_t place, adr_bytes_t sealed, uint8_t *text)
{
    if (sealed.size < ADR_SEAL_MORE || sealed.data[0] != S_FORMAT)
        return false;
    return crypto_aead_xchacha20poly1305_ietf_decrypt (text, NULL, NULL, sealed.data + 1 + S_NONCE, sealed.size - 1 - S_NONCE,
                                                       place.data, place.size, sealed.data + 1, key)
           == 0;
}
