/* SPDX-License-Identifier: MPL-2.0 */
/* CRC32C: see crc32c.h. Owns the lookup tables; makes nothing durable. */

#include "store/crc32c.h"

#include "core/bytes.h"

#include <pthread.h>

#define S_POLYNOMIAL UINT32_C (0x82f63b78) /* reflected */

static uint32_t s_table[8][256];
static pthread_once_t s_once = PTHREAD_ONCE_INIT;

static void
s_fill_tables (void)
{
    for (uint32_t i = 0; i < 256; i++) {
        uint32_t crc = i;
        for (int bit = 0; bit < 8; bit++)
            crc = crc & 1 ? crc >> 1 ^ S_POLYNOMIAL : crc >> 1;
        s_table[0][i] = crc;
    }
    for (int slice = 1; slice < 8; slice++)
        for (uint32_t i = 0; i < 256; i++)
            s_table[slice][i] = s_table[slice - 1][i] >> 8 ^ s_table[0][s_table[slice - 1][i] & 0xff];
}

uint32_t
adr_crc32c_portable (uint32_t crc, const void *data, size_t size)
{
    pthread_once (&s_once, s_fill_tables);
    const uint8_t *at = data;
    crc = ~crc;
    for (; size >= 8; size -= 8, at += 8) {
        uint32_t low = crc ^ adr_get_u32 (at);
        crc = s_table[7][low & 0xff] ^ s_table[6][low >> 8 & 0xff] ^ s_table[5][low >> 16 & 0xff]
            ^ s_table[4][low >> 24] ^ s_table[3][at[4]] ^ s_table[2][at[5]] ^ s_table[1][at[6]]
            ^ s_table[0][at[7]];
    }
    for (; size > 0; size--, at++)
        crc = crc >> 8 ^ s_table[0][(crc ^ *at) & 0xff];
    return ~crc;
}

#if defined __x86_64__ && defined __GNUC__
#include <nmmintrin.h>

__attribute__ ((target ("sse4.2"))) static uint32_t
s_crc32c_sse42 (uint32_t crc, const void *data, size_t size)
{
    const uint8_t *at = data;
    uint64_t wide = ~crc;
    for (; size >= 8; size -= 8, at += 8) {
        uint64_t word;
        memcpy (&word, at, 8);
        wide = _mm_crc32_u64 (wide, word);
    }
    uint32_t narrow = (uint32_t) wide;
    for (; size > 0; size--, at++)
        narrow = _mm_crc32_u8 (narrow, *at);
    return ~narrow;
}

uint32_t
adr_crc32c (uint32_t crc, const void *data, size_t size)
{
    if (__builtin_cpu_supports ("sse4.2"))
        return s_crc32c_sse42 (crc, data, size);
    return adr_crc32c_portable (crc, data, size);
}
#else
uint32_t
adr_crc32c (uint32_t crc, const void *data, size_t size)
{
    return adr_crc32c_portable (crc, data, size);
}
#endif
