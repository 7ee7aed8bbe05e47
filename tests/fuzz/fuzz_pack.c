/* SPDX-License-Identifier: MPL-2.0 */
/* Any bytes as a pack: each header that decodes is made again, decodes again, and is then made the same. */

#include "wire/pack.h"

int LLVMFuzzerTestOneInput (const uint8_t *data, size_t size);

static void
s_again (uint16_t kind, const ProtobufCMessage *header, adr_bytes_t payload)
{
    adr_envelope_t envelope = { .cluster = { { 1 } }, .sender = { { 2 } } };
    adr_buffer_t pack[2] = { { 0 }, { 0 } };
    adr_arena_t arena;
    adr_arena_init (&arena, 4096, 16 << 20);
    for (int i = 0; i < 2; i++) {
        adr_pack_reader_t reader;
        adr_item_t item;
        adr_pack_begin (&pack[i], &envelope);
        adr_pack_add (&pack[i], kind, header, payload);
        adr_assert (adr_pack_open (&reader, adr_bytes (pack[i].data, pack[i].size)));
        adr_assert (adr_pack_next (&reader, &item) == 1 && item.kind == kind);
        header = adr_header_decode (&item, &arena);
        adr_assert (header != NULL && adr_bytes_equal (item.payload, payload));
    }
    adr_assert (pack[0].size == pack[1].size && memcmp (pack[0].data, pack[1].data, pack[0].size) == 0);
    adr_buffer_free (&pack[0]);
    adr_buffer_free (&pack[1]);
    adr_arena_free (&arena);
}

int
LLVMFuzzerTestOneInput (const uint8_t *data, size_t size)
{
    adr_pack_reader_t reader;
    adr_item_t item;
    if (!adr_pack_open (&reader, adr_bytes (data, size)))
        return 0;
    adr_arena_t arena;
    adr_arena_init (&arena, 4096, 8 << 20);
    while (adr_pack_next (&reader, &item) == 1) {
        adr_arena_reset (&arena);
        const ProtobufCMessage *header = adr_header_decode (&item, &arena);
        if (header)
            s_again (item.kind, header, item.payload);
        adr_assert (arena.room + arena.more_size <= 8 << 20);
    }
    adr_bytes_t rows = adr_bytes (data, size), key, value;
    adr_version_t version;
    uint64_t time_ms;
    while (adr_list_row_next (&rows, &key, &value, &version, &time_ms))
        adr_assert (key.size <= ADR_KEY_MAX && value.data + value.size <= data + size);
    adr_arena_free (&arena);
    return 0;
}
