/* SPDX-License-Identifier: MPL-2.0 */
/* Bytes that only the holder of a key can read, and that nobody else can make or move elsewhere: XChaCha20-Poly1305 [KEY-2].
 *
 * Owns: nothing. Assumes: nothing of random numbers: `draw` only tells apart what is the same text otherwise. */

#ifndef ADR_SEAL_H
#define ADR_SEAL_H

#include "core/base.h"
#include "core/bytes.h"

#define ADR_SEAL_KEY_SIZE 32
#define ADR_SEAL_MORE 41 /* u8 format, nonce of 24 bytes, tag of 16 */

/* Writes text.size + ADR_SEAL_MORE bytes. `place` says where they belong, and is needed again to open them. */
void adr_seal (const uint8_t key[ADR_SEAL_KEY_SIZE], adr_bytes_t place, adr_bytes_t text, uint64_t draw, uint8_t *sealed);
/* Writes sealed.size - ADR_SEAL_MORE bytes; false if these are too few, were not sealed by this key for this place, or have changed;
 * then `text` holds nothing of them. Total. */
ADR_WARN_UNUSED bool adr_unseal (const uint8_t key[ADR_SEAL_KEY_SIZE], adr_bytes_t place, adr_bytes_t sealed, uint8_t *text);

#endif
