/* SPDX-License-Identifier: MPL-2.0 */
/* The sealing key, sealed to the root: see backup_key.h. */

#include "shell/backup_key.h"

#include <sodium.h>

static_assert (crypto_box_SEALBYTES == ADR_BACKUP_BYTES - 32, "what a sealed box adds");

size_t
adr_backup_format (const uint8_t root_key[ADR_KEY_SIZE], const uint8_t sealing_key[32], char text[ADR_BACKUP_TEXT_MAX])
{
    uint8_t box_key[crypto_box_PUBLICKEYBYTES], sealed[ADR_BACKUP_BYTES];
    if (crypto_sign_ed25519_pk_to_curve25519 (box_key, root_key) != 0 || crypto_box_seal (sealed, sealing_key, 32, box_key) != 0)
        return 0;
    adr_hex_format (text, sealed, sizeof sealed);
    strcat (text, "\n");
    return strlen (text);
}

bool
adr_backup_open (const adr_keys_t *root, const char *text, size_t size, uint8_t sealing_key[32])
{
    uint8_t sealed[ADR_BACKUP_BYTES], sign_key[crypto_sign_PUBLICKEYBYTES], sign_secret[crypto_sign_SECRETKEYBYTES];
    uint8_t box_key[crypto_box_PUBLICKEYBYTES], box_secret[crypto_box_SECRETKEYBYTES];
    size -= size > 0 && text[size - 1] == '\n';
    if (size != 2 * sizeof sealed || !adr_hex_parse (sealed, sizeof sealed, text, size))
        return false;
    crypto_sign_seed_keypair (sign_key, sign_secret, root->sign_seed);
    bool good = crypto_sign_ed25519_pk_to_curve25519 (box_key, sign_key) == 0
                && crypto_sign_ed25519_sk_to_curve25519 (box_secret, sign_secret) == 0
                && crypto_box_seal_open (sealing_key, sealed, sizeof sealed, box_key, box_secret) == 0;
    sodium_memzero (sign_secret, sizeof sign_secret);
    sodium_memzero (box_secret, sizeof box_secret);
    return good;
}
