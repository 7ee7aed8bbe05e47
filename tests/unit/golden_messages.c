/* SPDX-License-Identifier: MPL-2.0 */
/* One message of each kind, filled by rule: see golden_messages.h. */

#include "golden_messages.h"

#include <stdio.h>
#include <stdlib.h>

static void *
s_take (adr_arena_t *arena, size_t size)
{
    void *at = adr_arena_take (arena, size);
    adr_assert (at != NULL);
    memset (at, 0, size);
    return at;
}

/* Bytes fields that are not ids. */
static size_t
s_size (const ProtobufCFieldDescriptor *field)
{
    size_t length = strlen (field->name);
    bool hash = strcmp (field->name, "root") == 0 || strcmp (field->name, "hash") == 0;
    if (strcmp (field->name, "signature") == 0)
        return 64;
    return hash || (length > 4 && strcmp (field->name + length - 4, "_key") == 0) ? 32 : ADR_ID_SIZE;
}

static ProtobufCBinaryData
s_bytes (const ProtobufCFieldDescriptor *field, adr_arena_t *arena)
{
    ProtobufCBinaryData bytes = { s_size (field), s_take (arena, 64) };
    for (size_t i = 0; i < bytes.len; i++)
        bytes.data[i] = (uint8_t) (16 * field->id + i);
    return bytes;
}

static char *
s_text (const ProtobufCFieldDescriptor *field, adr_arena_t *arena)
{
    char *text = s_take (arena, strlen (field->name) + 4);
    sprintf (text, "a %s", field->name);
    return text;
}

static void
s_fill_field (const ProtobufCFieldDescriptor *field, uint8_t *at, adr_arena_t *arena)
{
    switch (field->type) {
    case PROTOBUF_C_TYPE_ENUM:
    case PROTOBUF_C_TYPE_BOOL:
    case PROTOBUF_C_TYPE_INT32:
    case PROTOBUF_C_TYPE_SINT32:
    case PROTOBUF_C_TYPE_SFIXED32:
    case PROTOBUF_C_TYPE_UINT32:
    case PROTOBUF_C_TYPE_FIXED32: {
        /* Small, because many of them name a type, a state or a status. */
        uint32_t value = field->type == PROTOBUF_C_TYPE_UINT32 ? 1 + (field->id & 1) : 1;
        memcpy (at, &value, sizeof value);
        break;
    }
    case PROTOBUF_C_TYPE_INT64:
    case PROTOBUF_C_TYPE_SINT64:
    case PROTOBUF_C_TYPE_SFIXED64:
    case PROTOBUF_C_TYPE_UINT64:
    case PROTOBUF_C_TYPE_FIXED64: {
        uint64_t value = UINT64_C (1000000007) * field->id;
        memcpy (at, &value, sizeof value);
        break;
    }
    case PROTOBUF_C_TYPE_STRING:
        *(char **) (void *) at = s_text (field, arena);
        break;
    case PROTOBUF_C_TYPE_BYTES:
        *(ProtobufCBinaryData *) (void *) at = s_bytes (field, arena);
        break;
    case PROTOBUF_C_TYPE_MESSAGE:
        *(ProtobufCMessage **) (void *) at = golden_fill (field->descriptor, arena);
        break;
    case PROTOBUF_C_TYPE_FLOAT:
    case PROTOBUF_C_TYPE_DOUBLE:
        adr_assert (!"the schema has no such fields");
    }
}

static size_t
s_field_size (const ProtobufCFieldDescriptor *field)
{
    return field->type == PROTOBUF_C_TYPE_BYTES ? sizeof (ProtobufCBinaryData) : sizeof (void *);
}

ProtobufCMessage *
golden_fill (const ProtobufCMessageDescriptor *type, adr_arena_t *arena)
{
    ProtobufCMessage *message = s_take (arena, type->sizeof_message);
    protobuf_c_message_init (type, message);
    for (unsigned i = 0; i < type->n_fields; i++) {
        const ProtobufCFieldDescriptor *field = &type->fields[i];
        uint8_t *at = (uint8_t *) message + field->offset;
        if (field->label == PROTOBUF_C_LABEL_REPEATED) { /* bytes and messages only: nothing of ours is packed */
            uint8_t *array = s_take (arena, 2 * s_field_size (field));
            for (size_t n = 0; n < 2; n++)
                s_fill_field (field, array + n * s_field_size (field), arena);
            *(void **) (void *) at = array;
            *(size_t *) (void *) ((uint8_t *) message + field->quantifier_offset) = 2;
        }
        else
            s_fill_field (field, at, arena);
    }
    return message;
}

void
golden_pack (uint16_t kind, const ProtobufCMessage *message, adr_buffer_t *pack)
{
    adr_envelope_t envelope = { .from_actor = ADR_ACTOR_ELECTION, .to_actor = ADR_ACTOR_REPLICATOR,
                                .incarnation = 1001, .boot = 7, .sequence = 0x0102030405060708, .map_epoch = 3 };
    memset (&envelope.cluster, 0xc1, ADR_ID_SIZE);
    memset (&envelope.sender, 0x11, ADR_ID_SIZE);
    memset (&envelope.to, 0x22, ADR_ID_SIZE);
    adr_pack_begin (pack, &envelope);
    adr_pack_add (pack, kind, message, adr_bytes ("abc", 3));
}

static bool
s_value_matches (const ProtobufCFieldDescriptor *field, const uint8_t *a, const uint8_t *b, adr_arena_t *arena)
{
    static const uint8_t s_zeros[16];
    switch (field->type) {
    case PROTOBUF_C_TYPE_INT64:
    case PROTOBUF_C_TYPE_SINT64:
    case PROTOBUF_C_TYPE_SFIXED64:
    case PROTOBUF_C_TYPE_UINT64:
    case PROTOBUF_C_TYPE_FIXED64:
        return memcmp (a, b, 8) == 0 || memcmp (a, s_zeros, 8) == 0;
    case PROTOBUF_C_TYPE_STRING: {
        const char *text = *(char *const *) (const void *) a;
        return *text == '\0' || strcmp (text, *(char *const *) (const void *) b) == 0;
    }
    case PROTOBUF_C_TYPE_BYTES: {
        const ProtobufCBinaryData *x = (const void *) a, *y = (const void *) b;
        return x->len == 0 || (x->len == y->len && memcmp (x->data, y->data, x->len) == 0);
    }
    case PROTOBUF_C_TYPE_MESSAGE: {
        const ProtobufCMessage *message = *(ProtobufCMessage *const *) (const void *) a;
        return message == NULL || golden_matches (message, arena);
    }
    default:
        return memcmp (a, b, 4) == 0 || memcmp (a, s_zeros, 4) == 0;
    }
}

static bool
s_field_matches (const ProtobufCFieldDescriptor *field, const uint8_t *a, const uint8_t *b, adr_arena_t *arena)
{
    if (field->label != PROTOBUF_C_LABEL_REPEATED)
        return s_value_matches (field, a + field->offset, b + field->offset, arena);
    size_t count = *(const size_t *) (const void *) (a + field->quantifier_offset);
    const uint8_t *x = *(uint8_t *const *) (const void *) (a + field->offset);
    const uint8_t *y = *(uint8_t *const *) (const void *) (b + field->offset);
    bool matches = count == 0 || count == 2;
    for (size_t n = 0; n < count && matches; n++)
        matches = s_value_matches (field, x + n * s_field_size (field), y + n * s_field_size (field), arena);
    return matches;
}

bool
golden_matches (const ProtobufCMessage *message, adr_arena_t *arena)
{
    const ProtobufCMessage *expected = golden_fill (message->descriptor, arena);
    bool matches = message->n_unknown_fields == 0;
    for (unsigned i = 0; i < message->descriptor->n_fields && matches; i++)
        matches = s_field_matches (&message->descriptor->fields[i], (const uint8_t *) message,
                                   (const uint8_t *) expected, arena);
    return matches;
}

/* --- files -------------------------------------------------------------------------------------------------------- */

static FILE *
s_open (const char *name, const char *mode)
{
    char path[512];
    const char *source = getenv ("top_srcdir");
    snprintf (path, sizeof path, "%s/tests/unit/golden/%s", source ? source : ".", name);
    return fopen (path, mode);
}

bool
golden_read (const char *name, adr_buffer_t *text)
{
    FILE *file = s_open (name, "rb");
    if (file == NULL)
        return false;
    char part[4096];
    size_t size;
    while ((size = fread (part, 1, sizeof part, file)) > 0)
        adr_buffer_append (text, part, size);
    fclose (file);
    return true;
}

void
golden_write (const char *name, const adr_buffer_t *text)
{
    FILE *file = s_open (name, "wb");
    adr_assert (file != NULL);
    adr_assert (fwrite (text->data, 1, text->size, file) == text->size);
    fclose (file);
}

bool
golden_making (void)
{
    return getenv ("ADR_GOLDEN_MAKE") != NULL;
}
