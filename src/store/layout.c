/* SPDX-License-Identifier: MPL-2.0 */
/* The journal's bytes: see layout.h. Pure arithmetic; implements STORE-2 and STORE-3's checks. */

#include "store/layout.h"

#include "core/actor.h"
#include "store/crc32c.h"

#include <sodium.h>

#define S_SEGMENT_MAGIC UINT64_C (0x3147455352444101) /* "\1ADRSEG1" */
#define S_BATCH_MAGIC UINT32_C (0x54414241)           /* "ABAT" */
#define S_SEAL_MAGIC UINT32_C (0x41455341)            /* "ASEA" */
#define S_LAYOUT 1

/* [STORE-3] Every checksum starts from the salt and the place, so that stale, forged or misdirected bytes differ. */
static uint32_t
s_seed (uint64_t salt, uint64_t segment, uint64_t offset)
{
    uint8_t place[24];
    if (ADR_PLANT (STORE_3_NO_SALT))
        salt = 0;
    adr_put_u64 (place, salt);
    adr_put_u64 (place + 8, segment);
    adr_put_u64 (place + 16, offset);
    return adr_crc32c (0, place, sizeof place);
}

void
adr_segment_header_encode (const adr_segment_header_t *header, uint8_t *at)
{
    memset (at, 0, ADR_SEGMENT_HEADER_SIZE);
    adr_put_u64 (at, S_SEGMENT_MAGIC);
    adr_put_u32 (at + 12, S_LAYOUT);
    adr_put_u64 (at + 16, header->number);
    adr_put_u64 (at + 24, header->size);
    adr_put_u64 (at + 32, header->salt);
    memcpy (at + 40, header->journal.bytes, ADR_ID_SIZE);
    memcpy (at + 56, header->node.bytes, ADR_ID_SIZE);
    memcpy (at + 72, header->group.bytes, ADR_ID_SIZE);
    memcpy (at + 88, header->cluster.bytes, ADR_ID_SIZE);
    adr_put_u64 (at + 104, header->incarnation);
    adr_put_u64 (at + 112, header->first_batch);
    adr_put_u32 (at + 8, adr_crc32c (0, at + 12, ADR_SEGMENT_HEADER_SIZE - 12));
}

bool
adr_segment_header_decode (adr_segment_header_t *header, const uint8_t *at)
{
    if (adr_get_u64 (at) != S_SEGMENT_MAGIC || adr_get_u32 (at + 12) != S_LAYOUT
        || adr_get_u32 (at + 8) != adr_crc32c (0, at + 12, ADR_SEGMENT_HEADER_SIZE - 12))
        return false;
    header->number = adr_get_u64 (at + 16);
    header->size = adr_get_u64 (at + 24);
    header->salt = adr_get_u64 (at + 32);
    memcpy (header->journal.bytes, at + 40, ADR_ID_SIZE);
    memcpy (header->node.bytes, at + 56, ADR_ID_SIZE);
    memcpy (header->group.bytes, at + 72, ADR_ID_SIZE);
    memcpy (header->cluster.bytes, at + 88, ADR_ID_SIZE);
    header->incarnation = adr_get_u64 (at + 104);
    header->first_batch = adr_get_u64 (at + 112);
    return true;
}

static void
s_put_position (uint8_t *at, adr_position_t position)
{
    adr_put_u64 (at, position.term);
    adr_put_u64 (at + 8, position.index);
}

static adr_position_t
s_get_position (const uint8_t *at)
{
    return (adr_position_t){ adr_get_u64 (at), adr_get_u64 (at + 8) };
}

void
adr_batch_header_encode (const adr_batch_header_t *header, uint64_t salt, uint8_t *at)
{
    memset (at, 0, ADR_BATCH_HEADER_SIZE);
    adr_put_u32 (at, S_BATCH_MAGIC);
    adr_put_u64 (at + 8, header->segment);
    adr_put_u64 (at + 16, header->offset);
    adr_put_u64 (at + 24, header->number);
    adr_put_u64 (at + 32, header->durable);
    adr_put_u64 (at + 40, header->commit);
    s_put_position (at + 48, header->before);
    s_put_position (at + 64, header->first);
    s_put_position (at + 80, header->last);
    adr_put_u32 (at + 96, header->payload_size);
    adr_put_u32 (at + 100, header->frame_count);
    adr_put_u32 (at + 104, header->payload_crc);
    memcpy (at + 108, header->previous, ADR_DIGEST_BATCH);
    adr_put_u32 (at + 4, adr_crc32c (s_seed (salt, header->segment, header->offset), at + 8,
                                     ADR_BATCH_HEADER_SIZE - 8));
}

bool
adr_batch_header_decode (adr_batch_header_t *header, uint64_t salt, uint64_t segment, uint64_t offset,
                         const uint8_t *at)
{
    if (adr_get_u32 (at) != S_BATCH_MAGIC || adr_get_u64 (at + 8) != segment || adr_get_u64 (at + 16) != offset
        || adr_get_u32 (at + 4)
               != adr_crc32c (s_seed (salt, segment, offset), at + 8, ADR_BATCH_HEADER_SIZE - 8))
        return false;
    header->segment = segment;
    header->offset = offset;
    header->number = adr_get_u64 (at + 24);
    header->durable = adr_get_u64 (at + 32);
    header->commit = adr_get_u64 (at + 40);
    header->before = s_get_position (at + 48);
    header->first = s_get_position (at + 64);
    header->last = s_get_position (at + 80);
    header->payload_size = adr_get_u32 (at + 96);
    header->frame_count = adr_get_u32 (at + 100);
    header->payload_crc = adr_get_u32 (at + 104);
    memcpy (header->previous, at + 108, ADR_DIGEST_BATCH);
    return true;
}

void
adr_batch_digest (const uint8_t *encoded_header, uint8_t digest[ADR_DIGEST_BATCH])
{
    crypto_generichash (digest, ADR_DIGEST_BATCH, encoded_header, ADR_BATCH_HEADER_SIZE, NULL, 0);
}

void
adr_seal_encode (uint64_t salt, uint64_t segment, uint64_t offset, uint8_t at[ADR_BLOCK])
{
    memset (at, 0, ADR_BLOCK);
    adr_put_u32 (at, S_SEAL_MAGIC);
    adr_put_u64 (at + 8, segment);
    adr_put_u64 (at + 16, offset);
    adr_put_u32 (at + 4, adr_crc32c (s_seed (salt, segment, offset), at + 8, ADR_SEAL_SIZE - 8));
}

bool
adr_seal_decode (uint64_t salt, uint64_t segment, uint64_t offset, const uint8_t *at)
{
    return adr_get_u32 (at) == S_SEAL_MAGIC && adr_get_u64 (at + 8) == segment && adr_get_u64 (at + 16) == offset
        && adr_get_u32 (at + 4) == adr_crc32c (s_seed (salt, segment, offset), at + 8, ADR_SEAL_SIZE - 8);
}

/* A frame's header: u32 size of the content, u8 kind, 3 zeros, u32 checksum of the content, u32 of these twelve. */
void
adr_frame_begin (uint8_t *at, adr_frame_kind_t kind, size_t content_size)
{
    memset (at, 0, ADR_FRAME_HEADER_SIZE);
    adr_put_u32 (at, (uint32_t) content_size);
    at[4] = (uint8_t) kind;
}

uint32_t
adr_frames_seal (uint8_t *payload, size_t size, uint64_t salt, uint64_t segment, uint64_t offset)
{
    uint32_t payload_crc = 0;
    size_t at = 0;
    while (at < size) {
        uint8_t *frame = payload + at;
        size_t content_size = adr_get_u32 (frame);
        adr_assert (size - at >= ADR_FRAME_HEADER_SIZE + content_size);
        uint32_t seed = s_seed (salt, segment, offset + at);
        adr_put_u32 (frame + 8, adr_crc32c (seed, frame + ADR_FRAME_HEADER_SIZE, content_size));
        adr_put_u32 (frame + 12, adr_crc32c (seed, frame, 12));
        payload_crc = adr_crc32c (payload_crc, frame, ADR_FRAME_HEADER_SIZE);
        at += ADR_FRAME_HEADER_SIZE + content_size;
    }
    return payload_crc;
}

bool
adr_frame_read (adr_frame_t *frame, adr_bytes_t bytes, uint64_t salt, uint64_t segment, uint64_t offset)
{
    if (bytes.size < ADR_FRAME_HEADER_SIZE)
        return false;
    uint32_t seed = s_seed (salt, segment, offset);
    if (adr_get_u32 (bytes.data + 12) != adr_crc32c (seed, bytes.data, 12))
        return false;
    size_t content_size = adr_get_u32 (bytes.data);
    unsigned kind = bytes.data[4];
    if (kind < ADR_FRAME_ENTRY || kind > ADR_FRAME_REFILL || bytes.size - ADR_FRAME_HEADER_SIZE < content_size
        || adr_get_u32 (bytes.data + 8)
               != adr_crc32c (seed, bytes.data + ADR_FRAME_HEADER_SIZE, content_size))
        return false;
    frame->kind = (adr_frame_kind_t) kind;
    frame->content = adr_bytes (bytes.data + ADR_FRAME_HEADER_SIZE, content_size);
    frame->size = (uint32_t) (ADR_FRAME_HEADER_SIZE + content_size);
    return true;
}

bool
adr_frames_check (const adr_batch_header_t *header, const uint8_t *payload, uint64_t salt)
{
    uint32_t payload_crc = 0, count = 0;
    size_t at = 0;
    while (at < header->payload_size) {
        adr_frame_t frame;
        if (!adr_frame_read (&frame, adr_bytes (payload + at, header->payload_size - at), salt, header->segment,
                             header->offset + ADR_BATCH_HEADER_SIZE + at))
            return false;
        payload_crc = adr_crc32c (payload_crc, payload + at, ADR_FRAME_HEADER_SIZE);
        at += frame.size;
        count++;
    }
    return count == header->frame_count && payload_crc == header->payload_crc;
}
