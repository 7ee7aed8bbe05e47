/* SPDX-License-Identifier: MPL-2.0 */
/* The bounds of every message: one walk over its encoded bytes, before protobuf-c decodes them.
 *
 * Why not after: protobuf-c copies a string with a NUL inside without a word, merges a message field that comes
 * twice, and allocates for every repeated and unknown field before anybody could count them. Here each field is
 * matched against the schema's own descriptor, singular fields come once, repeated ones at most as often as their
 * bound, unknown ones (a newer peer's) at most ADR_FIELDS_UNKNOWN_MAX times, and nothing is allocated. */

#include "wire/bounds.h"

#include "core/credential.h"
#include "core/entry.h"
#include "core/map.h"
#include "wire/field.h"
#include "wire/pack.h"

#define S_DEPTH_MAX 8    /* MapPush, ClusterMap, Registry, Group, VoterSet, Voter are six */
#define S_TEXT_MAX 512   /* strings for people */

#define S_FIELDS_MAX (ADR_FIELD_NUMBER_MAX + 1)

/* What a field may hold. All zeros: a bytes field is an id (16 bytes or none), a string has at most S_TEXT_MAX bytes,
 * a number is any of its type, a repeated field is left out. */
typedef struct {
    bool bound;
    bool exact;     /* the size is `max`, or 0 */
    uint32_t max;   /* of the size (bytes, strings), of the value (numbers) */
    uint32_t count; /* of a repeated field */
} s_bound_t;

typedef struct {
    const ProtobufCMessageDescriptor *message;
    s_bound_t field[S_FIELDS_MAX]; /* by number */
} s_bounds_t;

#define S_MESSAGE(message, ...) { &adr__##message##__descriptor, { __VA_ARGS__ } }
#define S_SIZE(number, most) [number] = { true, false, most, 0 }
#define S_EXACT(number, size) [number] = { true, true, size, 0 }
#define S_BELOW(number, values) [number] = { true, false, (values) - 1, 0 }
#define S_COUNT(number, most) [number] = { true, true, ADR_ID_SIZE, most }

/* The busiest first: they are looked for from the start. */
static const s_bounds_t s_messages[] = {
    S_MESSAGE (write, S_COUNT (3, ADR_OPS_MAX)),
    S_MESSAGE (op, S_BELOW (1, ADR_TABLE_COUNT), S_SIZE (2, ADR_KEY_MAX), S_BELOW (3, ADR_VALUE_MAX + 1)),
    S_MESSAGE (answer, S_BELOW (2, ADR_STATUS_COUNT), S_SIZE (8, ADR_ENDPOINT_MAX)),
    S_MESSAGE (version_of, [0] = { false, false, 0, 0 }),
    S_MESSAGE (read, S_BELOW (2, ADR_TABLE_COUNT), S_SIZE (3, ADR_KEY_MAX)),
    S_MESSAGE (list, S_BELOW (2, ADR_TABLE_COUNT), S_SIZE (3, ADR_KEY_MAX), S_SIZE (4, ADR_KEY_MAX),
               S_SIZE (10, ADR_KEY_MAX)),
    S_MESSAGE (list_answer, S_BELOW (2, ADR_STATUS_COUNT), S_BELOW (3, ADR_LIST_ROWS_MAX + 1), S_SIZE (8, ADR_KEY_MAX)),
    S_MESSAGE (poll_answer, S_BELOW (7, ADR_STATE_COUNT)),
    S_MESSAGE (pong, S_COUNT (5, ADR_VOTERS_MAX * 2), S_BELOW (9, ADR_STATE_COUNT)),
    S_MESSAGE (answered, S_BELOW (6, ADR_STATE_COUNT)),
    S_MESSAGE (voter_set, S_COUNT (4, ADR_VOTERS_MAX)),
    S_MESSAGE (node_status, S_BELOW (2, ADR_STATE_COUNT)),
    S_MESSAGE (group_status, S_COUNT (7, ADR_VOTERS_MAX * 2)),
    S_MESSAGE (zone, S_SIZE (2, ADR_NAME_MAX)),
    S_MESSAGE (node, S_SIZE (2, ADR_NAME_MAX), S_BELOW (3, ADR_NODE_TYPE_COUNT), S_EXACT (6, 32), S_EXACT (7, 32),
               S_SIZE (8, ADR_CERTIFICATE_MAX), S_SIZE (9, ADR_ENDPOINT_MAX), S_SIZE (10, ADR_ENDPOINT_MAX),
               S_SIZE (11, ADR_ENDPOINT_MAX), S_SIZE (12, ADR_ENDPOINT_MAX)),
    S_MESSAGE (group, S_BELOW (2, ADR_NODE_TYPE_COUNT), S_SIZE (4, ADR_NAME_MAX), S_SIZE (6, ADR_RECOVERY_SIZE), S_COUNT (8, ADR_ZONES_MAX), S_COUNT (9, ADR_VOTERS_MAX)),
    S_MESSAGE (partition_range, S_BELOW (1, ADR_NODE_TYPE_COUNT), S_BELOW (2, ADR_PARTITIONS_MAX),
               S_BELOW (3, ADR_PARTITIONS_MAX)),
    S_MESSAGE (registry, S_SIZE (2, ADR_NAME_MAX), S_BELOW (4, ADR_PARTITIONS_MAX + 1), S_COUNT (6, ADR_ZONES_MAX),
               S_COUNT (7, ADR_NODES_MAX), S_COUNT (8, ADR_GROUPS_MAX), S_COUNT (9, ADR_PARTITIONS_MAX * 3),
               S_SIZE (10, ADR_CERTIFICATE_MAX), [11] = { true, false, ADR_CERTIFICATE_MAX, ADR_ZONES_MAX },
               S_COUNT (12, ADR_SETTINGS_MAX)),
    S_MESSAGE (setting, S_SIZE (1, ADR_SETTING_NAME_MAX)),
    S_MESSAGE (map_signature, S_EXACT (2, ADR_MAP_SIGNATURE_SIZE)),
    S_MESSAGE (cluster_map, S_COUNT (2, ADR_GROUPS_MAX), S_COUNT (3, ADR_ZONES_MAX)),
    S_MESSAGE (registry_signed, S_EXACT (2, 32), S_EXACT (3, ADR_MAP_SIGNATURE_SIZE)),
    S_MESSAGE (root, S_EXACT (3, 32)),
    S_MESSAGE (checkpoint_noted, S_EXACT (3, 32)),
    S_MESSAGE (control, S_SIZE (9, ADR_CREDENTIAL_ACCESS_MAX), S_SIZE (20, ADR_RECOVERY_SIZE), S_COUNT (25, ADR_ZONES_MAX),
               S_COUNT (30, ADR_SETTINGS_MAX)),
    S_MESSAGE (control_answer, S_BELOW (2, ADR_STATUS_COUNT), S_COUNT (15, ADR_ZONES_MAX)),
    S_MESSAGE (survivor, S_BELOW (5, ADR_STATE_COUNT)),
    S_MESSAGE (token, S_EXACT (1, 32), S_BELOW (2, ADR_NODE_TYPE_COUNT), S_SIZE (4, ADR_NAME_MAX), S_SIZE (6, ADR_NAME_MAX),
               S_SIZE (7, ADR_NAME_MAX), S_EXACT (10, 32), S_EXACT (11, 32)),
    S_MESSAGE (join, S_EXACT (2, 32), S_SIZE (3, ADR_CERTIFICATE_MAX), S_EXACT (4, 64), S_SIZE (5, ADR_ENDPOINT_MAX),
               S_SIZE (6, ADR_ENDPOINT_MAX), S_SIZE (7, ADR_ENDPOINT_MAX), S_SIZE (8, ADR_ENDPOINT_MAX), S_SIZE (9, ADR_CERTIFICATE_MAX)),
    S_MESSAGE (right, S_SIZE (1, ADR_BUCKET_NAME_MAX), S_BELOW (2, ADR_ACCESS_COUNT)),
    S_MESSAGE (credential, S_SIZE (1, ADR_CREDENTIAL_ACCESS_MAX), S_SIZE (2, ADR_NAME_MAX), S_SIZE (3, ADR_SEALED_SECRET_MAX),
               S_SIZE (4, ADR_CREDENTIAL_SECRET_MAX), S_COUNT (8, ADR_CREDENTIAL_RIGHTS_MAX), S_BELOW (11, ADR_NODE_TYPE_COUNT),
               S_SIZE (12, 32)),
    S_MESSAGE (credentials_ask, S_SIZE (4, ADR_CREDENTIAL_ACCESS_MAX)),
    S_MESSAGE (credentials, S_SIZE (5, ADR_CREDENTIAL_ACCESS_MAX)),
    S_MESSAGE (join_answer, S_BELOW (2, ADR_STATUS_COUNT), S_SIZE (4, ADR_CERTIFICATE_MAX), S_EXACT (5, 32), S_EXACT (7, 32)),
};

static const s_bound_t *
s_bounds_of (const ProtobufCMessageDescriptor *message)
{
    static const s_bound_t s_none[S_FIELDS_MAX];
    for (size_t i = 0; i < sizeof s_messages / sizeof s_messages[0]; i++)
        if (s_messages[i].message == message)
            return s_messages[i].field;
    return s_none;
}

static bool s_message_holds (const ProtobufCMessageDescriptor *message, adr_bytes_t rest, int depth);

static bool
s_number_holds (const s_bound_t *bound, const adr_field_t *field, uint32_t wire)
{
    return field->wire == wire && (!bound->bound || field->value <= bound->max);
}

static bool
s_bytes_hold (const s_bound_t *bound, size_t size, bool text)
{
    size_t max = bound->bound ? bound->max : text ? S_TEXT_MAX : ADR_ID_SIZE;
    bool exact = bound->bound ? bound->exact : !text;
    return size <= max && (!exact || size == max || size == 0);
}

static bool
s_field_holds (const ProtobufCFieldDescriptor *type, const s_bound_t *bound, const adr_field_t *field, int depth)
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

/* Most of our messages number their fields from 1 without a gap, so that a number is a place; others are looked through. */
static const ProtobufCFieldDescriptor *
s_field_type (const ProtobufCMessageDescriptor *message, uint32_t number)
{
    if (number >= 1 && number <= message->n_fields && message->fields[number - 1].id == number)
        return &message->fields[number - 1];
    return number < S_FIELDS_MAX ? protobuf_c_message_descriptor_get_field (message, number) : NULL;
}

static bool
s_message_holds (const ProtobufCMessageDescriptor *message, adr_bytes_t rest, int depth)
{
    const s_bound_t *bounds = s_bounds_of (message);
    uint32_t seen[S_FIELDS_MAX] = { 0 };
    uint32_t unknown = 0;
    if (depth > S_DEPTH_MAX)
        return false;
    while (rest.size) {
        adr_field_t field;
        if (!adr_field_next (&rest, &field))
            return false;
        const ProtobufCFieldDescriptor *type = s_field_type (message, field.number);
        if (type == NULL) {
            if (++unknown > ADR_FIELDS_UNKNOWN_MAX)
                return false;
            continue;
        }
        if (field.number > ADR_FIELD_NUMBER_MAX) /* no bound could be found for it */
            return false;
        const s_bound_t *bound = &bounds[field.number];
        uint32_t most = type->label == PROTOBUF_C_LABEL_REPEATED ? bound->count : 1;
        if (++seen[field.number] > most || !s_field_holds (type, bound, &field, depth))
            return false;
    }
    return true;
}

bool
adr_bounds_hold (const ProtobufCMessageDescriptor *descriptor, adr_bytes_t bytes)
{
    return bytes.size <= ADR_HEADER_MAX && s_message_holds (descriptor, bytes, 0);
}
