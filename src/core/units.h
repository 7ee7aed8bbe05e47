/* SPDX-License-Identifier: MPL-2.0 */
/* Durations and sizes as people write them, in the configuration and on the command line: a whole number and a unit. */

#ifndef ADR_UNITS_H
#define ADR_UNITS_H

#include "core/base.h"

#define ADR_UNITS_TEXT_SIZE 32

/* "100ms", "2s", "5m", "1h"; "64KiB", "16MiB", "1GiB", "512B"; "7". False for anything else, or beyond 63 bits. */
ADR_WARN_UNUSED bool adr_duration_parse (int64_t *duration_ns, const char *text);
ADR_WARN_UNUSED bool adr_size_parse (uint64_t *size, const char *text);
ADR_WARN_UNUSED bool adr_count_parse (uint64_t *count, const char *text);

/* In the largest unit in which it is a whole number, so that it reads back as the same. */
void adr_duration_format (char text[ADR_UNITS_TEXT_SIZE], int64_t duration_ns);
void adr_size_format (char text[ADR_UNITS_TEXT_SIZE], uint64_t size);

#endif
