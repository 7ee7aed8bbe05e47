/* SPDX-License-Identifier: MPL-2.0 */
/* Any bytes as a log entry, as the key of an expiry row and as a voter set: what decodes encodes to the same bytes. */

#include "core/entry.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput (const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput (const uint8_t *data, size_t size)
{
    static adr_entry_t s_entry;
    size_t used = adr_entry_decode (&s_entry, adr_bytes (data, size));
    if (used) {
        adr_assert (used <= size && used == adr_entry_size (&s_entry));
        uint8_t *again = adr_alloc (used);
        adr_entry_encode (&s_entry, again);
        adr_assert (memcmp (again, data, used) == 0);
        (void) !adr_entry_verify (&s_entry);
        free (again);
    }
    uint64_t end_ms;
    uint8_t table, key_again[ADR_KEY_MAX];
    adr_bytes_t key;
    if (adr_expiry_key_decode (adr_bytes (data, size), &end_ms, &table, &key))
        adr_assert (adr_expiry_key_encode (key_again, end_ms, table, key) == size && memcmp (key_again, data, size) == 0);
    adr_voters_t voters;
    if (adr_voters_decode (&voters, adr_bytes (data, size))) {
        uint8_t again[ADR_VOTERS_BYTES_MAX];
        adr_assert (adr_voters_encode (&voters, again) == size && memcmp (again, data, size) == 0);
    }
    return 0;
}
