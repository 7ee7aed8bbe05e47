/* SPDX-License-Identifier: MPL-2.0 */
/* The records of objects [DESIGN 10] as plain values: header, chunk and meta record; their layouts stand in records.proto. */

#ifndef ADR_OBJECT_RECORDS_H
#define ADR_OBJECT_RECORDS_H

#include "core/base.h"
#include "core/bytes.h"
#include "core/limits.h"
#include "wire/pack.h"
#include "wire/records.pb-c.h"

#define ADR_CHUNK_SIZE (1024 * 1024)
#define ADR_OBJECT_SIZE_MAX (INT64_C (5) << 40)
#define ADR_OBJECT_ATTRIBUTES_MAX 64
#define ADR_USER_METADATA_MAX 8192 /* bytes of all names and values: S3 allows 2 KiB, and headers beside them */

typedef struct {
    const char *name;  /* lower case; user metadata as "x-amz-meta-..." */
    const char *value;
} adr_attribute_t;

typedef struct {
    adr_id_t object;
    uint64_t size;
    uint32_t chunk_size; /* 0: it stands whole in its header record */
    char etag[80]; /* without quotes */
    uint64_t modified_ms;
    uint64_t sweep_epoch; /* of a header: in which its object was born [OBJECT-1] */
    bool condemned;       /* a header's: the collector has begun to delete its object [OBJECT-4] */
    adr_version_t version; /* of the meta record */
    uint32_t attribute_count;
    adr_attribute_t attribute[ADR_OBJECT_ATTRIBUTES_MAX]; /* content-type and whatever came with the put; lent */
} adr_object_info_t;

size_t adr_meta_key (uint8_t at[ADR_KEY_MAX], const char *bucket, adr_bytes_t key);     /* bucket, 0, key */
size_t adr_chunk_key (uint8_t at[ADR_KEY_MAX], const adr_id_t *object, uint64_t chunk); /* objectId, BE u64 */
/* Append the encoded record. The header's is followed by the object's bytes where chunk_size is 0. */
void adr_meta_record_write (adr_buffer_t *value, const adr_object_info_t *info);
void adr_object_header_write (adr_buffer_t *value, const adr_object_info_t *info, const char *bucket, adr_bytes_t key);
/* Chunks of an object of that size. */
uint64_t adr_object_chunks (uint64_t size, uint32_t chunk_size);
/* The parts of an encoded record, except what its answer or row says (version, and the time where the record names
 * none); false if it is nonsense, or of a later layout. Strings are lent until `arena` is reset, `data` as long as
 * `value` is. */
ADR_WARN_UNUSED bool adr_meta_record_read (adr_object_info_t *info, adr_bytes_t value, adr_arena_t *arena);
ADR_WARN_UNUSED bool adr_object_header_read (adr_object_info_t *info, adr_bytes_t *data, adr_bytes_t value,
                                             adr_arena_t *arena);
/* The meta key of the record that a header says names its object; its size, 0 for nonsense. */
size_t adr_object_header_owner (uint8_t at[ADR_KEY_MAX], adr_bytes_t value, adr_arena_t *arena);

#endif
