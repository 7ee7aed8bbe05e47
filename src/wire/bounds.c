/* SPDX-License-Identifier: MPL-2.0 */
/* The bounds of every message: one walk over its encoded bytes, before protobuf-c decodes them.
 *
 * Why not after: protobuf-c copies a string with a NUL inside without a word, merges a message field that comes
 * twice, and allocates for every repeated and unknown field before anybody could count them. Here each field is
 * matched against the schema's own descriptor, singular fields come once, repeated ones at most as often as their
 * bound, unknown ones (a newer peer's) at most S_UNKNOWN_MAX times, and nothing is allocated. */

#include "wire/bounds.h"

#include "core/entry.h"
#include "core/map.h"
#include "wire/pack.h"

#define S_UNKNOWN_MAX 64 /* fields of newer versions in one message; each costs protobuf-c a copy */
#define S_DEPTH_MAX 8    /* MapPush, ClusterMap, Registry, Group, VoterSet, Voter are six */
#define S_TEXT_MAX 512   /* strings for people */

/* What a field may hold. Bytes fields that no row names are ids: 16 bytes or none. Strings: at most S_TEXT_MAX. */
typedef struct {
    const ProtobufCMessageDescriptor *message;
    uint32_t field;
    uint32_t max;   /* of the size (bytes, strings), of the value (numbers) */
    uint32_t count; /* of a repeated field */
    bool exact;     /* the size is `max`, or 0 */
} s_bound_t;

#define S_SIZE(message, field, max) { &adr__##message##__descriptor, field, max, 0, false }
#define S_EXACT(message, field, max) { &adr__##message##__descriptor, field, max, 0, true }
#define S_VALUE(message, field, count) { &adr__##message##__descriptor, field, (count) - 1, 0, false }
#define S_COUNT(message, field, count) { &adr__##message##__descriptor, field, ADR_ID_SIZE, count, true }

static const s_bound_t s_bounds[] = {
    S_COUNT (write, 3, ADR_OPS_MAX),
    S_VALUE (op, 1, ADR_TABLE_COUNT),
    S_SIZE (op, 2, ADR_KEY_MAX),
    S_VALUE (op, 3, ADR_VALUE_MAX + 1),
    S_VALUE (read, 2, ADR_TABLE_COUNT),
    S_SIZE (read, 3, ADR_KEY_MAX),
    S_VALUE (list, 2, ADR_TABLE_COUNT),
    S_SIZE (list, 3, ADR_KEY_MAX),
    S_SIZE (list, 4, ADR_KEY_MAX),
    S_SIZE (list, 10, ADR_KEY_MAX),
    S_VALUE (answer, 2, ADR_STATUS_COUNT),
    S_SIZE (answer, 8, ADR_ENDPOINT_MAX),
    S_VALUE (list_answer, 2, ADR_STATUS_COUNT),
    S_VALUE (list_answer, 3, ADR_LIST_ROWS_MAX + 1),
    S_COUNT (voter_set, 4, ADR_VOTERS_MAX),
    S_VALUE (poll_answer, 7, ADR_STATE_COUNT),
    S_COUNT (pong, 5, ADR_VOTERS_MAX * 2),
    S_VALUE (pong, 9, ADR_STATE_COUNT),
    S_VALUE (answered, 6, ADR_STATE_COUNT),
    S_VALUE (node_status, 2, ADR_STATE_COUNT),
    S_COUNT (group_status, 7, ADR_VOTERS_MAX * 2),
    S_SIZE (zone, 2, ADR_NAME_MAX),
    S_SIZE (node, 2, ADR_NAME_MAX),
    S_VALUE (node, 3, ADR_NODE_TYPE_COUNT),
    S_EXACT (node, 6, 32),
    S_EXACT (node, 7, 32),
    S_SIZE (node, 8, ADR_CERTIFICATE_MAX),
    S_SIZE (node, 9, ADR_ENDPOINT_MAX),
    S_SIZE (node, 10, ADR_ENDPOINT_MAX),
    S_SIZE (node, 11, ADR_ENDPOINT_MAX),
    S_SIZE (node, 12, ADR_ENDPOINT_MAX),
    S_VALUE (group, 2, ADR_NODE_TYPE_COUNT),
    S_SIZE (group, 4, ADR_NAME_MAX),
    S_VALUE (partition_range, 1, ADR_NODE_TYPE_COUNT),
    S_VALUE (partition_range, 2, ADR_PARTITIONS_MAX),
    S_VALUE (partition_range, 3, ADR_PARTITIONS_MAX),
    S_SIZE (registry, 2, ADR_NAME_MAX),
    S_VALUE (registry, 4, ADR_PARTITIONS_MAX + 1),
    S_COUNT (registry, 6, ADR_ZONES_MAX),
    S_COUNT (registry, 7, ADR_NODES_MAX),
    S_COUNT (registry, 8, ADR_GROUPS_MAX),
    S_COUNT (registry, 9, ADR_PARTITIONS_MAX * 3),
    S_SIZE (registry, 10, ADR_CERTIFICATE_MAX),
    { &adr__registry__descriptor, 11, ADR_CERTIFICATE_MAX, ADR_ZONES_MAX, false },
    S_COUNT (cluster_map, 2, ADR_GROUPS_MAX),
    S_SIZE (sign_request, 2, ADR_CERTIFICATE_MAX),
    S_SIZE (sign_answer, 3, ADR_CERTIFICATE_MAX),
    S_SIZE (sign_answer, 4, ADR_CERTIFICATE_MAX),
};

static const s_bound_t *
s_bound (const ProtobufCMessageDescriptor *message, uint32_t field)
{
    for (size_t i = 0; i < sizeof s_bounds / sizeof s_bounds[0]; i++)
        if (s_bounds[i].message == message && s_bounds[i].field == field)
            return &s_bounds[i];
    return NULL;
}

/* Reads a varint at the start of `rest` and moves behind it. */
static bool
s_varint (adr_bytes_t *rest, uint64_t *value)
{
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
} s_field_t;

static bool
s_fixed (adr_bytes_t *rest, s_field_t *field, size_t size)
{
    if (rest->size < size)
        return false;
    field->value = size == 8 ? adr_get_u64 (rest->data) : adr_get_u32 (rest->data);
    *rest = adr_bytes (rest->data + size, rest->size - size);
    return true;
}

static bool
s_field_next (adr_bytes_t *rest, s_field_t *field)
{
    uint64_t tag;
    if (!s_varint (rest, &tag) || tag >> 3 == 0 || tag >> 32 != 0)
        return false;
    field->number = (uint32_t) (tag >> 3);
    field->wire = (uint32_t) tag & 7;
    switch (field->wire) {
    case PROTOBUF_C_WIRE_TYPE_VARINT:
        return s_varint (rest, &field->value);
    case PROTOBUF_C_WIRE_TYPE_64BIT:
        return s_fixed (rest, field, 8);
    case PROTOBUF_C_WIRE_TYPE_32BIT:
        return s_fixed (rest, field, 4);
    case PROTOBUF_C_WIRE_TYPE_LENGTH_PREFIXED:
        if (!s_varint (rest, &field->value) || field->value > rest->size)
            return false;
        field->bytes = adr_bytes (rest->data, (size_t) field->value);
        *rest = adr_bytes (rest->data + field->bytes.size, rest->size - field->bytes.size);
        return true;
    default:
        return false;
    }
}

static bool s_message_holds (const ProtobufCMessageDescriptor *message, adr_bytes_t rest, int depth);

static bool
s_number_holds (const s_bound_t *bound, const s_field_t *field, uint32_t wire)
{
    return field->wire == wire && (bound == NULL || field->value <= bound->max);
}

static bool
s_bytes_hold (const s_bound_t *bound, size_t size, bool text)
{
    size_t max = bound ? bound->max : text ? S_TEXT_MAX : ADR_ID_SIZE;
    bool exact = bound ? bound->exact : !text;
    return size <= max && (!exact || size == max || size == 0);
}

static bool
s_field_holds (const ProtobufCFieldDescriptor *type, const s_bound_t *bound, const s_field_t *field, int depth)
{
    bool sized = field->wire == PROTOBUF_C_WIRE_TYPE_LENGTH_PREFIXED;
    switch (type->type) {
    case PROTOBUF_C_TYPE_ENUM:
        return field->wire == PROTOBUF_C_WIRE_TYPE_VARINT && field->value <= INT32_MAX
               && protobuf_c_enum_descriptor_get_value (type->descriptor, (int) field->value) != NULL;
    case PROTOBUF_C_TYPE_UINT32:
        return s_number_holds (bound, field, PROTOBUF_C_WIRE_TYPE_VARINT) && field->value <= UINT32_MAX;
    case PROTOBUF_C_TYPE_BOOL:
    case PROTOBUF_C_TYPE_INT32:
    case PROTOBUF_C_TYPE_SINT32:
    case PROTOBUF_C_TYPE_INT64:
    case PROTOBUF_C_TYPE_SINT64:
    case PROTOBUF_C_TYPE_UINT64:
        return s_number_holds (bound, field, PROTOBUF_C_WIRE_TYPE_VARINT);
    case PROTOBUF_C_TYPE_SFIXED32:
    case PROTOBUF_C_TYPE_FIXED32:
    case PROTOBUF_C_TYPE_FLOAT:
        return s_number_holds (bound, field, PROTOBUF_C_WIRE_TYPE_32BIT);
    case PROTOBUF_C_TYPE_SFIXED64:
    case PROTOBUF_C_TYPE_FIXED64:
    case PROTOBUF_C_TYPE_DOUBLE:
        return s_number_holds (bound, field, PROTOBUF_C_WIRE_TYPE_64BIT);
    case PROTOBUF_C_TYPE_STRING:
        return sized && s_bytes_hold (bound, field->bytes.size, true)
               && (field->bytes.size == 0 || memchr (field->bytes.data, 0, field->bytes.size) == NULL);
    case PROTOBUF_C_TYPE_BYTES:
        return sized && s_bytes_hold (bound, field->bytes.size, false);
    case PROTOBUF_C_TYPE_MESSAGE:
        return sized && s_message_holds (type->descriptor, field->bytes, depth + 1);
    }
    return false;
}

/* All our messages number their fields from 1 without a gap, so that the first look finds them. */
static const ProtobufCFieldDescriptor *
s_field_type (const ProtobufCMessageDescriptor *message, uint32_t number)
{
    if (number <= message->n_fields && message->fields[number - 1].id == number)
        return &message->fields[number - 1];
    return protobuf_c_message_descriptor_get_field (message, number);
}

#define S_FIELDS_MAX 32 /* fields of a message type */

static bool
s_message_holds (const ProtobufCMessageDescriptor *message, adr_bytes_t rest, int depth)
{
    uint32_t seen[S_FIELDS_MAX] = { 0 };
    uint32_t unknown = 0;
    if (depth > S_DEPTH_MAX || message->n_fields > S_FIELDS_MAX)
        return false;
    while (rest.size) {
        s_field_t field;
        if (!s_field_next (&rest, &field))
            return false;
        const ProtobufCFieldDescriptor *type = s_field_type (message, field.number);
        if (type == NULL) {
            if (++unknown > S_UNKNOWN_MAX)
                return false;
            continue;
        }
        const s_bound_t *bound = s_bound (message, field.number);
        uint32_t most = type->label != PROTOBUF_C_LABEL_REPEATED ? 1 : bound ? bound->count : 0;
        if (++seen[type - message->fields] > most || !s_field_holds (type, bound, &field, depth))
            return false;
    }
    return true;
}

bool
adr_bounds_hold (const ProtobufCMessageDescriptor *descriptor, adr_bytes_t bytes)
{
    return bytes.size <= ADR_HEADER_MAX && s_message_holds (descriptor, bytes, 0);
}
