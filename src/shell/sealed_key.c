/* SPDX-License-Identifier: MPL-2.0 */
/* The root's key under a passphrase: see sealed_key.h. */

#include "shell/sealed_key.h"

#include <errno.h>
#include <sodium.h>
#include <stdio.h>

#define S_NAME "sealed-sign-secret: argon2id"
#define S_MEMORY_MAX (UINT64_C (1) << 30) /* bytes: who wrote another file shall not make this host swap */
#define S_WORK_MAX 64
#define S_SEALED_SIZE (ADR_KEY_SIZE + crypto_secretbox_MACBYTES)

typedef struct {
    unsigned long long work, memory;
    uint8_t salt[crypto_pwhash_SALTBYTES], nonce[crypto_secretbox_NONCEBYTES], sealed[S_SEALED_SIZE];
} s_sealed_t;

bool
adr_passphrase_read (const char *path, char passphrase[ADR_PASSPHRASE_MAX + 1])
{
    bool is_input = strcmp (path, "-") == 0;
    FILE *file = is_input ? stdin : fopen (path, "re");
    if (file == NULL) {
        fprintf (stderr, "adrestia: %s: %s\n", path, strerror (errno));
        return false;
    }
    bool read = fgets (passphrase, ADR_PASSPHRASE_MAX + 1, file) != NULL;
    size_t size = read ? strcspn (passphrase, "\r\n") : 0;
    bool whole = read && (passphrase[size] != 0 || feof (file));
    if (!is_input)
        fclose (file);
    if (size > 0 && whole) {
        passphrase[size] = 0;
        return true;
    }
    sodium_memzero (passphrase, ADR_PASSPHRASE_MAX + 1);
    fprintf (stderr, "adrestia: %s: expected a passphrase of 1 to %d bytes in its first line\n", path, ADR_PASSPHRASE_MAX - 1);
    return false;
}

static bool
s_derive (uint8_t key[crypto_secretbox_KEYBYTES], const char *passphrase, const s_sealed_t *sealed)
{
    return crypto_pwhash (key, crypto_secretbox_KEYBYTES, passphrase, strlen (passphrase), sealed->salt, sealed->work,
                          (size_t) sealed->memory, crypto_pwhash_ALG_ARGON2ID13) == 0;
}

static size_t
s_format (const s_sealed_t *sealed, char text[ADR_SEALED_TEXT_MAX])
{
    char salt[2 * sizeof sealed->salt + 1], nonce[2 * sizeof sealed->nonce + 1], bytes[2 * sizeof sealed->sealed + 1];
    adr_hex_format (salt, sealed->salt, sizeof sealed->salt);
    adr_hex_format (nonce, sealed->nonce, sizeof sealed->nonce);
    adr_hex_format (bytes, sealed->sealed, sizeof sealed->sealed);
    return (size_t) snprintf (text, ADR_SEALED_TEXT_MAX, S_NAME " %llu %llu %s %s %s\n", sealed->work, sealed->memory, salt, nonce, bytes);
}

size_t
adr_sealed_key_format (const adr_keys_t *keys, const char *passphrase, char text[ADR_SEALED_TEXT_MAX])
{
    s_sealed_t sealed = { .work = crypto_pwhash_OPSLIMIT_MODERATE, .memory = crypto_pwhash_MEMLIMIT_MODERATE };
    uint8_t key[crypto_secretbox_KEYBYTES];
    randombytes_buf (sealed.salt, sizeof sealed.salt);
    randombytes_buf (sealed.nonce, sizeof sealed.nonce);
    if (!s_derive (key, passphrase, &sealed))
        return 0;
    crypto_secretbox_easy (sealed.sealed, keys->sign_seed, ADR_KEY_SIZE, sealed.nonce, key);
    sodium_memzero (key, sizeof key);
    return s_format (&sealed, text);
}

bool
adr_sealed_key_is (const char *text, size_t size)
{
    return size > strlen (S_NAME) && memcmp (text, S_NAME, strlen (S_NAME)) == 0;
}

/* Exactly the one line that format writes: it is written again, and compared. */
static bool
s_parse (s_sealed_t *sealed, const char *text, size_t size)
{
    char line[ADR_SEALED_TEXT_MAX], again[ADR_SEALED_TEXT_MAX], salt[2 * sizeof sealed->salt + 2], nonce[2 * sizeof sealed->nonce + 2], bytes[2 * S_SEALED_SIZE + 2];
    if (!adr_sealed_key_is (text, size) || size >= sizeof line || memchr (text, 0, size))
        return false;
    memcpy (line, text, size);
    line[size] = 0;
    static_assert (sizeof salt == 34 && sizeof nonce == 50 && sizeof bytes == 98, "the widths below");
    if (sscanf (line, S_NAME " %10llu %20llu %33[0-9a-f] %49[0-9a-f] %97[0-9a-f]", &sealed->work, &sealed->memory, salt, nonce, bytes) != 5)
        return false;
    return sealed->work >= crypto_pwhash_OPSLIMIT_MIN && sealed->work <= S_WORK_MAX && sealed->memory >= crypto_pwhash_MEMLIMIT_MIN
           && sealed->memory <= S_MEMORY_MAX && adr_hex_parse (sealed->salt, sizeof sealed->salt, salt, strlen (salt))
           && adr_hex_parse (sealed->nonce, sizeof sealed->nonce, nonce, strlen (nonce))
           && adr_hex_parse (sealed->sealed, sizeof sealed->sealed, bytes, strlen (bytes)) && s_format (sealed, again) == size
           && memcmp (line, again, size) == 0;
}

bool
adr_sealed_key_open (adr_keys_t *keys, const char *text, size_t size, const char *passphrase)
{
    s_sealed_t sealed;
    uint8_t key[crypto_secretbox_KEYBYTES];
    *keys = (adr_keys_t){ 0 };
    if (!s_parse (&sealed, text, size) || !s_derive (key, passphrase, &sealed))
        return false;
    bool good = crypto_secretbox_open_easy (keys->sign_seed, sealed.sealed, sizeof sealed.sealed, sealed.nonce, key) == 0;
    sodium_memzero (key, sizeof key);
    return good;
}
