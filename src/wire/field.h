/* SPDX-License-Identifier: MPL-2.0 */
/* The fields of an encoded message, one after the other, for who must look before protobuf-c does. Total: nothing is
 * allocated, and no byte behind the end is read. */

#ifndef ADR_FIELD_H
#define ADR_FIELD_H

#include "core/bytes.h"

#include <protobuf-c/protobuf-c.h>

#define ADR_FIELDS_UNKNOWN_MAX 64 /* fields of newer versions in one message; each costs protobuf-c a copy */

/* Reads a varint at the start of `rest` and moves behind it. */
static inline bool
adr_field_varint (adr_bytes_t *rest, uint64_t *value)
{
    if (rest->size && rest->data[0] < 128) { /* nearly all of them */
        *value = rest->data[0];
        *rest = adr_bytes (rest->data + 1, rest->size - 1);
        return true;
    }
    *value = 0;
    for (unsigned i = 0; i < 10 && i < rest->size; i++) {
        *value |= (uint64_t) (rest->data[i] & 127) << (7 * i);
        if (rest->data[i] < 128) {
            *rest = adr_bytes (rest->data + i + 1, rest->size - i - 1);
            return true;
        }
    }
    return false;
}

/* One field as it stands on the wire. */
typedef struct {
    uint32_t number, wire;
    uint64_t value;    /* of a number */
    adr_bytes_t bytes; /* of what has a length */
} adr_field_t;

static inline bool
adr_field_fixed (adr_bytes_t *rest, adr_field_t *field, size_t size)
{
    if (rest->size < size)
        return false;
    field->value = size == 8 ? adr_get_u64 (rest->data) : adr_get_u32 (rest->data);
    *rest = adr_bytes (rest->data + size, rest->size - size);
    return true;
}

/* The next field; false if the bytes are no encoding of one. */
static inline bool
adr_field_next (adr_bytes_t *rest, adr_field_t *field)
{
    uint64_t tag;
    if (!adr_field_varint (rest, &tag) || tag >> 3 == 0 || tag >> 32 != 0)
        return false;
    field->number = (uint32_t) (tag >> 3);
    field->wire = (uint32_t) tag & 7;
    field->bytes = adr_bytes (NULL, 0);
    switch (field->wire) {
    case PROTOBUF_C_WIRE_TYPE_VARINT:
        return adr_field_varint (rest, &field->value);
    case PROTOBUF_C_WIRE_TYPE_64BIT:
        return adr_field_fixed (rest, field, 8);
    case PROTOBUF_C_WIRE_TYPE_32BIT:
        return adr_field_fixed (rest, field, 4);
    case PROTOBUF_C_WIRE_TYPE_LENGTH_PREFIXED:
        if (!adr_field_varint (rest, &field->value) || field->value > rest->size)
            return false;
        field->bytes = adr_bytes (rest->data, (size_t) field->value);
        *rest = adr_bytes (rest->data + field->bytes.size, rest->size - field->bytes.size);
        return true;
    default:
        return false;
    }
}

#endif
