/* SPDX-License-Identifier: MPL-2.0 */
/* Bytes as a text that people copy and paste: a prefix that says what it is, base64url without padding, and at the end of the bytes a
 * check, so that a letter that was mistyped is noticed. One run of bytes has one text.
 *
 * Owns: nothing. Makes durable: nothing. Assumes: nothing of the text. */

#ifndef ADR_PASTED_H
#define ADR_PASTED_H

#include "core/bytes.h"

#define ADR_PASTED_CHECK_SIZE 4 /* the first bytes of the BLAKE2b-256 of those before */
/* Of a text with its end. */
#define ADR_PASTED_TEXT_MAX(prefix_size, bytes) ((prefix_size) + (4 * ((bytes) + ADR_PASTED_CHECK_SIZE) + 2) / 3 + 1)

/* Writes the text and its end, and returns its length. Behind the `size` bytes there is room for the check, which is put there. */
size_t adr_pasted_format (const char *prefix, uint8_t *bytes, size_t size, char *text, size_t room);
/* Reads it, white space around it allowed, at most `room` bytes with their check; how many there are without it stands in `*size`. Total:
 * any text is answered. */
ADR_WARN_UNUSED bool adr_pasted_parse (const char *prefix, const char *text, size_t text_size, uint8_t *bytes, size_t room, size_t *size);

#endif
