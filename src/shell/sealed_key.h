/* SPDX-License-Identifier: MPL-2.0 */
/* The root's key under a passphrase: the text of a key file that says nothing without it. Argon2id (RFC 9106) makes a key of the
 * passphrase, XSalsa20-Poly1305 (libsodium's secretbox) seals the seed. The cost stands in the file, so that it can rise later.
 *
 * Owns: nothing. Makes durable: nothing. */

#ifndef ADR_SEALED_KEY_H
#define ADR_SEALED_KEY_H

#include "core/cert.h"

#define ADR_PASSPHRASE_MAX 1024
#define ADR_SEALED_TEXT_MAX 512

/* The first line of a file, without its end; `-` is standard input. False, and the user was told, if it is empty, too long or cannot be
 * read. The caller wipes it. */
ADR_WARN_UNUSED bool adr_passphrase_read (const char *path, char passphrase[ADR_PASSPHRASE_MAX + 1]);

/* Writes the text with its end, returns its length; 0: no memory for the work that makes guessing dear (256 MiB). */
size_t adr_sealed_key_format (const adr_keys_t *keys, const char *passphrase, char text[ADR_SEALED_TEXT_MAX]);
/* Whether a key file is such a text. */
bool adr_sealed_key_is (const char *text, size_t size);
/* Total over any text. False: another passphrase, other bytes, or a cost that this host does not bear. */
ADR_WARN_UNUSED bool adr_sealed_key_open (adr_keys_t *keys, const char *text, size_t size, const char *passphrase);

#endif
