/* SPDX-License-Identifier: MPL-2.0 */
/* The bytes of a journal: segment headers, batch headers, frames [STORE-2, STORE-3, STORE-12]; docs/protocol/store.md
 * draws them. Everything here is total over bytes that come from a disk: they are answered, never asserted. */

#ifndef ADR_LAYOUT_H
#define ADR_LAYOUT_H

#include "core/base.h"
#include "core/bytes.h"
#include "core/entry.h"

#define ADR_BLOCK 4096             /* batches start on it; a sector that a power cut may tear is never larger */
#define ADR_SEGMENT_HEADER_SIZE 152
#define ADR_SEGMENT_HEADER_COPIES 2 /* one a block: a single bad block does not take a whole segment with it */
#define ADR_SEGMENT_FIRST (ADR_SEGMENT_HEADER_COPIES * ADR_BLOCK)
#define ADR_BATCH_HEADER_SIZE 160
#define ADR_FRAME_HEADER_SIZE 16
/* A batch's frames; a few MiB, so that a sync stays short and recovery's buffers small. One entry always fits. */
#define ADR_BATCH_MAX (4 * 1024 * 1024)
#define ADR_DIGEST_BATCH 16
#define ADR_SEAL_SIZE 24

typedef struct {
    uint64_t number;
    uint64_t size;
    uint64_t salt; /* new at each use of a file, never sent anywhere [STORE-3] */
    adr_id_t journal, node, group, cluster;
    uint64_t incarnation;
    /* Of a segment that recovery made: its first batch has this number, and whatever earlier segments hold from that
     * number on is superseded. 0: an ordinary successor. */
    uint64_t first_batch;
} adr_segment_header_t;

typedef struct {
    uint64_t segment, offset;
    uint64_t number;
    uint64_t durable;  /* the last batch whose sync had returned when this one was formed: the witness [STORE-2] */
    uint64_t commit;
    adr_position_t before; /* the log's end before this batch */
    adr_position_t first;  /* the entry of the lowest index that it holds; {0, 0}: none */
    adr_position_t last;   /* the log's end after it */
    uint32_t payload_size, frame_count;
    uint32_t payload_crc; /* over the frames' headers, each of which has its content's */
    uint8_t previous[ADR_DIGEST_BATCH]; /* digest of the batch before */
} adr_batch_header_t;

typedef enum {
    ADR_FRAME_ENTRY = 1,  /* a log entry */
    ADR_FRAME_CUT = 2,    /* the log ends at (term, index) from here on [STORE-12] */
    ADR_FRAME_COPY = 3,   /* a record that compaction or repair placed here: never log [STORE-8] */
    ADR_FRAME_REFILL = 4  /* a log entry that takes the place of one that this copy had lost [STORE-5] */
} adr_frame_kind_t;

#define ADR_CUT_SIZE 16 /* u64 term, u64 index */

/* Both write exactly their fixed size, checksums included. */
void adr_segment_header_encode (const adr_segment_header_t *header, uint8_t *at);
ADR_WARN_UNUSED bool adr_segment_header_decode (adr_segment_header_t *header, const uint8_t *at);
void adr_batch_header_encode (const adr_batch_header_t *header, uint64_t salt, uint8_t *at);
/* True if these bytes are the header of the batch at that very place of the segment with that salt. */
ADR_WARN_UNUSED bool adr_batch_header_decode (adr_batch_header_t *header, uint64_t salt, uint64_t segment,
                                              uint64_t offset, const uint8_t *at);
/* The digest of a batch is that of its encoded header, which covers its frames by their checksums. */
void adr_batch_digest (const uint8_t *encoded_header, uint8_t digest[ADR_DIGEST_BATCH]);

/* A frame's header without its checksums, which adr_frames_seal adds once the frame's place is known. */
void adr_frame_begin (uint8_t *at, adr_frame_kind_t kind, size_t content_size);
/* Fills in the checksums of all frames in the payload that starts at `offset` of the segment; returns payload_crc. */
uint32_t adr_frames_seal (uint8_t *payload, size_t size, uint64_t salt, uint64_t segment, uint64_t offset);

typedef struct {
    adr_frame_kind_t kind;
    adr_bytes_t content;
    uint32_t size; /* header included */
} adr_frame_t;

/* Reads the frame at the start of `bytes`, which stand at that place of that segment; false if it is no whole and
 * sound one. */
ADR_WARN_UNUSED bool adr_frame_read (adr_frame_t *frame, adr_bytes_t bytes, uint64_t salt, uint64_t segment,
                                     uint64_t offset);
/* True if the payload is exactly the frames that the batch's header promises, all sound. */
ADR_WARN_UNUSED bool adr_frames_check (const adr_batch_header_t *header, const uint8_t *payload, uint64_t salt);

/* The block that ends a segment which was cut to what it holds [STORE-11]: it says that nothing stood behind it, so that
 * such a file is told from one that lost its end. */
void adr_seal_encode (uint64_t salt, uint64_t segment, uint64_t offset, uint8_t at[ADR_BLOCK]);
ADR_WARN_UNUSED bool adr_seal_decode (uint64_t salt, uint64_t segment, uint64_t offset, const uint8_t *at);

/* Bytes that a batch with that payload takes on the disk. */
static inline uint64_t
adr_batch_room (uint64_t payload_size)
{
    return (ADR_BATCH_HEADER_SIZE + payload_size + ADR_BLOCK - 1) / ADR_BLOCK * ADR_BLOCK;
}

#endif
