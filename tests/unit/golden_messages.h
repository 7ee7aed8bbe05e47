/* SPDX-License-Identifier: MPL-2.0 */
/* One message of each kind, filled by rule from its descriptor: what the golden vectors were made of, and what they
 * are compared with after decoding. */

#ifndef ADR_GOLDEN_MESSAGES_H
#define ADR_GOLDEN_MESSAGES_H

#include "wire/pack.h"
#include "wire/table.h"

#define GOLDEN_KINDS 256 /* more than there are */

/* A message of this type with every field set, each to a value that tells its number; the arena must have room. */
ProtobufCMessage *golden_fill (const ProtobufCMessageDescriptor *type, adr_arena_t *arena);
/* A pack of that message with a payload of three bytes, from a fixed envelope. */
void golden_pack (uint16_t kind, const ProtobufCMessage *message, adr_buffer_t *pack);
/* True if every field that is set in `message` has the value that golden_fill gives it, and none is unknown. A field
 * that is not set is newer than the vector. */
bool golden_matches (const ProtobufCMessage *message, adr_arena_t *arena);

/* Reads `tests/unit/golden/NAME` below the source folder; false if it is not there. */
bool golden_read (const char *name, adr_buffer_t *text);
void golden_write (const char *name, const adr_buffer_t *text);
/* Set ADR_GOLDEN_MAKE=1 to write what is missing. */
bool golden_making (void);

#endif
