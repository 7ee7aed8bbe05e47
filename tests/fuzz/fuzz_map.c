/* SPDX-License-Identifier: MPL-2.0 */
/* Any bytes as a clusterMap: what decodes encodes to bytes that decode, and then encodes to the same. Any key has a
 * partition. */

#include "wire/map_codec.h"

int LLVMFuzzerTestOneInput (const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput (const uint8_t *data, size_t size)
{
    adr_map_t *map, *again;
    if (size)
        for (unsigned table = 0; table < 40; table++) {
            uint32_t partition = adr_partition_of ((uint8_t) table, adr_bytes (data, size), 1 + data[0]);
            adr_assert (partition <= data[0] || partition == ADR_PARTITION_NONE);
        }
    if (!adr_map_decode (&map, adr_bytes (data, size)))
        return 0;
    adr_buffer_t bytes[2] = { { 0 }, { 0 } };
    adr_map_encode (map, &bytes[0]);
    if (bytes[0].size <= ADR_HEADER_MAX) { /* unset fields come back as zeros, and may pass the limit */
        adr_assert (adr_map_decode (&again, adr_bytes (bytes[0].data, bytes[0].size)));
        adr_map_encode (again, &bytes[1]);
        adr_assert (bytes[0].size == bytes[1].size && memcmp (bytes[0].data, bytes[1].data, bytes[0].size) == 0);
        adr_map_destroy (&again);
    }
    adr_map_t *copy = adr_map_copy (map);
    adr_map_destroy (&copy);
    adr_map_destroy (&map);
    adr_buffer_free (&bytes[0]);
    adr_buffer_free (&bytes[1]);
    return 0;
}
