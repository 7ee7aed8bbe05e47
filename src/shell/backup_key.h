/* SPDX-License-Identifier: MPL-2.0 */
/* The credentials' sealing key, sealed to the root [TRUST-1, KEY-2]: whoever has the offline root's key can bring it back, and nobody else.
 * An anonymous box (libsodium's sealed box: X25519, XSalsa20-Poly1305) to the root's signing key in its X25519 form.
 *
 * Owns: nothing. Makes durable: nothing. */

#ifndef ADR_BACKUP_KEY_H
#define ADR_BACKUP_KEY_H

#include "core/cert.h"

#define ADR_BACKUP_BYTES (32 + 48) /* the key, and what a sealed box adds */
#define ADR_BACKUP_TEXT_MAX (2 * ADR_BACKUP_BYTES + 2)

/* Writes a line of hexadecimal digits with its end, and returns its length; 0: that is no signing key. */
size_t adr_backup_format (const uint8_t root_key[ADR_KEY_SIZE], const uint8_t sealing_key[32], char text[ADR_BACKUP_TEXT_MAX]);
/* Total over any text. False: it is none, or of another root. The caller wipes the key. */
ADR_WARN_UNUSED bool adr_backup_open (const adr_keys_t *root, const char *text, size_t size, uint8_t sealing_key[32]);

#endif
