/* SPDX-License-Identifier: MPL-2.0 */
/* Any bytes as a certificate and as a key file: what decodes encodes to the same bytes, and no chain that they form is
 * believed. */

#include "core/cert.h"

int LLVMFuzzerTestOneInput (const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput (const uint8_t *data, size_t size)
{
    adr_bytes_t bytes = adr_bytes (data, size);
    adr_cert_t cert;
    if (adr_cert_decode (&cert, bytes)) {
        uint8_t again[ADR_CERTIFICATE_MAX];
        adr_assert (adr_cert_encode (&cert, again) == size && memcmp (again, data, size) == 0);
    }
    adr_cert_chain_t chain = { .root = bytes, .authority = { bytes }, .authority_count = 1 };
    (void) !adr_cert_verify (&cert, bytes, &chain, 0, size & 1);
    adr_keys_t keys;
    (void) !adr_keys_parse (&keys, (const char *) data, size);
    return 0;
}
