/* SPDX-License-Identifier: MPL-2.0 */
/* The records of objects as bytes: see object_records.h and records.proto.
 *
 * Owns: nothing. Assumes: what is read back may be anything (a damaged copy, a later version): readers are total. */

#include "wire/object_records.h"

#include <string.h>

size_t
adr_meta_key (uint8_t at[ADR_KEY_MAX], const char *bucket, adr_bytes_t key)
{
    size_t size = strlen (bucket);
    if (size + 1 + key.size > ADR_KEY_MAX)
        return 0;
    memcpy (at, bucket, size + 1);
    if (key.size)
        memcpy (at + size + 1, key.data, key.size);
    return size + 1 + key.size;
}

size_t
adr_chunk_key (uint8_t at[ADR_KEY_MAX], const adr_id_t *object, uint64_t chunk)
{
    memcpy (at, object->bytes, ADR_ID_SIZE);
    adr_put_be64 (at + ADR_ID_SIZE, chunk);
    return ADR_ID_SIZE + 8;
}

/* Attributes as protobuf wants them: pointers to messages. */
typedef struct {
    Adr__Attribute attribute[ADR_OBJECT_ATTRIBUTES_MAX];
    Adr__Attribute *pointer[ADR_OBJECT_ATTRIBUTES_MAX];
} s_attributes_t;

static void
s_attributes_fill (s_attributes_t *self, const adr_object_info_t *info)
{
    adr_assert (info->attribute_count <= ADR_OBJECT_ATTRIBUTES_MAX);
    for (uint32_t i = 0; i < info->attribute_count; i++) {
        adr__attribute__init (&self->attribute[i]);
        self->attribute[i].name = (char *) info->attribute[i].name;
        self->attribute[i].value = (char *) info->attribute[i].value;
        self->pointer[i] = &self->attribute[i];
    }
}

void
adr_meta_record_write (adr_buffer_t *value, const adr_object_info_t *info)
{
    s_attributes_t attributes;
    s_attributes_fill (&attributes, info);
    Adr__MetaRecord record = ADR__META_RECORD__INIT;
    record.layout = ADR__RECORD_LAYOUT__LAYOUT_1;
    record.object = adr_id_view (&info->object);
    record.size = info->size;
    record.chunk_size = info->chunk_size;
    record.etag = (char *) info->etag;
    record.modified_ms = info->modified_ms;
    record.n_attribute = info->attribute_count;
    record.attribute = attributes.pointer;
    adr__meta_record__pack (&record, adr_buffer_grow (value, adr__meta_record__get_packed_size (&record)));
}

uint64_t
adr_object_chunks (uint64_t size, uint32_t chunk_size)
{
    return chunk_size ? (size + chunk_size - 1) / chunk_size : 0;
}

void
adr_object_header_write (adr_buffer_t *value, const adr_object_info_t *info, const char *bucket, adr_bytes_t key)
{
    s_attributes_t attributes;
    s_attributes_fill (&attributes, info);
    Adr__ObjectHeader header = ADR__OBJECT_HEADER__INIT;
    header.layout = ADR__RECORD_LAYOUT__LAYOUT_1;
    header.state = info->condemned ? ADR__OBJECT_STATE__CONDEMNED : ADR__OBJECT_STATE__PENDING; /* [OBJECT-1] */
    header.sweep_epoch = info->sweep_epoch;
    header.size = info->size;
    header.chunk_size = info->chunk_size;
    header.chunk_count = adr_object_chunks (info->size, info->chunk_size);
    header.etag = (char *) info->etag;
    header.bucket = adr_bytes_view (adr_bytes (bucket, strlen (bucket)));
    header.key = adr_bytes_view (key);
    header.n_attribute = info->attribute_count;
    header.attribute = attributes.pointer;
    size_t size = adr__object_header__get_packed_size (&header);
    uint8_t *at = adr_buffer_grow (value, 4 + size);
    adr_put_u32 (at, (uint32_t) size);
    adr__object_header__pack (&header, at + 4);
}

/* What meta record and header have in common. */
static bool
s_info_fill (adr_object_info_t *info, uint32_t layout, uint64_t size, uint32_t chunk_size, const char *etag,
             size_t count, Adr__Attribute **attributes)
{
    if (layout != ADR__RECORD_LAYOUT__LAYOUT_1 || size > (uint64_t) ADR_OBJECT_SIZE_MAX
        || (chunk_size != 0 && chunk_size != ADR_CHUNK_SIZE) /* smaller ones would be endless work for who deletes them */
        || (chunk_size == 0 && size > ADR_VALUE_MAX)
        || strlen (etag) >= sizeof info->etag || count > ADR_OBJECT_ATTRIBUTES_MAX)
        return false;
    info->size = size;
    info->chunk_size = chunk_size;
    memcpy (info->etag, etag, strlen (etag) + 1);
    info->attribute_count = (uint32_t) count;
    for (size_t i = 0; i < count; i++)
        info->attribute[i] = (adr_attribute_t){ attributes[i]->name, attributes[i]->value };
    return true;
}

bool
adr_meta_record_read (adr_object_info_t *info, adr_bytes_t value, adr_arena_t *arena)
{
    *info = (adr_object_info_t){ 0 };
    const Adr__MetaRecord *record = adr__meta_record__unpack (&arena->allocator, value.size, value.data);
    if (!record || !adr_id_from_bytes (&info->object, record->object.data, record->object.len))
        return false;
    info->modified_ms = record->modified_ms;
    return s_info_fill (info, record->layout, record->size, record->chunk_size, record->etag, record->n_attribute,
                        record->attribute);
}

/* NULL for nonsense; `data` is what follows the header. */
static const Adr__ObjectHeader *
s_header_unpack (adr_bytes_t *data, adr_bytes_t value, adr_arena_t *arena)
{
    if (value.size < 4 || adr_get_u32 (value.data) > value.size - 4)
        return NULL;
    size_t size = adr_get_u32 (value.data);
    *data = adr_bytes (value.data + 4 + size, value.size - 4 - size);
    return adr__object_header__unpack (&arena->allocator, size, value.data + 4);
}

bool
adr_object_header_read (adr_object_info_t *info, adr_bytes_t *data, adr_bytes_t value, adr_arena_t *arena)
{
    *info = (adr_object_info_t){ 0 };
    const Adr__ObjectHeader *header = s_header_unpack (data, value, arena);
    if (!header || !s_info_fill (info, header->layout, header->size, header->chunk_size, header->etag,
                                 header->n_attribute, header->attribute))
        return false;
    if (header->chunk_count != adr_object_chunks (header->size, header->chunk_size))
        return false;
    info->sweep_epoch = header->sweep_epoch;
    info->condemned = header->state == ADR__OBJECT_STATE__CONDEMNED;
    return data->size == (header->chunk_size ? 0 : header->size);
}

size_t
adr_object_header_owner (uint8_t at[ADR_KEY_MAX], adr_bytes_t value, adr_arena_t *arena)
{
    adr_bytes_t data;
    char bucket[ADR_KEY_MAX];
    const Adr__ObjectHeader *header = s_header_unpack (&data, value, arena);
    if (!header || header->layout != ADR__RECORD_LAYOUT__LAYOUT_1 || header->bucket.len >= sizeof bucket)
        return 0;
    memcpy (bucket, header->bucket.data, header->bucket.len);
    bucket[header->bucket.len] = 0;
    return adr_meta_key (at, bucket, adr_bytes (header->key.data, header->key.len));
}
