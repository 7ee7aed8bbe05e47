/* SPDX-License-Identifier: MPL-2.0 */
/* Any bytes as rows of credentials, and as a sealed secret: what decodes encodes to the same credential, and nothing opens. */

#include "wire/credential_codec.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput (const uint8_t *data, size_t size);

static void
s_read_rows (adr_bytes_t rows)
{
    adr_credential_t credential, again;
    while (adr_credential_row_next (&rows, &credential)) {
        adr_buffer_t bytes = { 0 };
        adr_credential_row_append (&bytes, &credential);
        adr_bytes_t one = adr_bytes (bytes.data, bytes.size);
        bool good = adr_credential_row_next (&one, &again);
        adr_assert (good && one.size == 0);
        again.sealed_size = credential.sealed_size; /* rows have secrets in clear */
        memcpy (again.sealed, credential.sealed, sizeof again.sealed);
        adr_assert (memcmp (&again, &credential, sizeof again) == 0);
        adr_buffer_free (&bytes);
    }
}

int
LLVMFuzzerTestOneInput (const uint8_t *data, size_t size)
{
    static const uint8_t key[ADR_SEAL_KEY_SIZE] = { 1 };
    static const adr_id_t cluster = { { 3 } };
    adr_credential_t credential = { .access_key = "ALICE" };
    s_read_rows (adr_bytes (data, size));
    credential.sealed_size = size < sizeof credential.sealed ? size : sizeof credential.sealed;
    if (credential.sealed_size)
        memcpy (credential.sealed, data, credential.sealed_size);
    adr_assert (!adr_credential_unseal (&credential, &cluster, key) && *credential.secret == 0);
    return 0;
}
