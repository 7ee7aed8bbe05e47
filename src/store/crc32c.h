/* SPDX-License-Identifier: MPL-2.0 */
/* CRC32C (Castagnoli), by the processor's instruction where it has one, chosen once at run time. */

#ifndef ADR_CRC32C_H
#define ADR_CRC32C_H

#include <stddef.h>
#include <stdint.h>

/* Continues `crc` (0 at the start) over the bytes. Parts give the same result as the whole. */
uint32_t adr_crc32c (uint32_t crc, const void *data, size_t size);
/* The same without the instruction, for processors that lack it and for the test that compares both. */
uint32_t adr_crc32c_portable (uint32_t crc, const void *data, size_t size);

#endif
