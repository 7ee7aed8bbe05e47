/* SPDX-License-Identifier: MPL-2.0 */
/* Fixed-width little-endian numbers and checked cursors over byte strings: the only way that this code turns
 * numbers into bytes of a file or a frame, and back. */

#ifndef ADR_BYTES_H
#define ADR_BYTES_H

#include "core/base.h"

#include <string.h>

static inline void
adr_put_u16 (uint8_t *at, uint16_t value)
{
    at[0] = (uint8_t) value;
    at[1] = (uint8_t) (value >> 8);
}

static inline void
adr_put_u32 (uint8_t *at, uint32_t value)
{
    adr_put_u16 (at, (uint16_t) value);
    adr_put_u16 (at + 2, (uint16_t) (value >> 16));
}

static inline void
adr_put_u64 (uint8_t *at, uint64_t value)
{
    adr_put_u32 (at, (uint32_t) value);
    adr_put_u32 (at + 4, (uint32_t) (value >> 32));
}

static inline uint16_t
adr_get_u16 (const uint8_t *at)
{
    return (uint16_t) (at[0] | at[1] << 8);
}

static inline uint32_t
adr_get_u32 (const uint8_t *at)
{
    return (uint32_t) adr_get_u16 (at) | (uint32_t) adr_get_u16 (at + 2) << 16;
}

static inline uint64_t
adr_get_u64 (const uint8_t *at)
{
    return (uint64_t) adr_get_u32 (at) | (uint64_t) adr_get_u32 (at + 4) << 32;
}

/* Big-endian, for keys whose byte order must be their numeric order. */
static inline void
adr_put_be32 (uint8_t *at, uint32_t value)
{
    for (int i = 0; i < 4; i++)
        at[i] = (uint8_t) (value >> (24 - 8 * i));
}

static inline uint32_t
adr_get_be32 (const uint8_t *at)
{
    return (uint32_t) at[0] << 24 | (uint32_t) at[1] << 16 | (uint32_t) at[2] << 8 | at[3];
}

static inline void
adr_put_be64 (uint8_t *at, uint64_t value)
{
    for (int i = 0; i < 8; i++)
        at[i] = (uint8_t) (value >> (56 - 8 * i));
}

static inline uint64_t
adr_get_be64 (const uint8_t *at)
{
    uint64_t value = 0;
    for (int i = 0; i < 8; i++)
        value = value << 8 | at[i];
    return value;
}

/* A growing buffer that owns its bytes. All zeros is an empty one. */
typedef struct {
    uint8_t *data;
    size_t size;
    size_t room;
} adr_buffer_t;

/* Makes room for `more` bytes behind the end and returns where they go; the size grows by `more`. */
uint8_t *adr_buffer_grow (adr_buffer_t *self, size_t more);
void adr_buffer_append (adr_buffer_t *self, const void *data, size_t size);
void adr_buffer_clear (adr_buffer_t *self); /* empty, memory kept */
void adr_buffer_free (adr_buffer_t *self);  /* empty, memory given back */
void adr_buffer_wipe (adr_buffer_t *self);  /* the same, and what was secret is gone from it */

/* Memcmp order, the shorter first when one is a prefix of the other. */
int adr_bytes_compare (adr_bytes_t a, adr_bytes_t b);
bool adr_bytes_equal (adr_bytes_t a, adr_bytes_t b);
/* For tables whose keys others choose: every bit of the bytes reaches every bit of the hash, and who does not know the
 * salt cannot choose what collides. */
uint64_t adr_bytes_hash (uint64_t salt, adr_bytes_t bytes);

static inline adr_bytes_t
adr_bytes (const void *data, size_t size)
{
    return (adr_bytes_t){ (const uint8_t *) data, size };
}

#endif
