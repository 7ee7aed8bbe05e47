/* SPDX-License-Identifier: MPL-2.0 */
/* Durations and sizes as people write them: see units.h. */

#include "core/units.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define S_DIGITS_MAX 18
#define S_MS UINT64_C (1000000)
#define S_KIB UINT64_C (1024)

typedef struct {
    const char *name;
    uint64_t factor;
} s_unit_t;

/* The smallest first. */
static const s_unit_t s_durations[] = { { "ms", S_MS }, { "s", 1000 * S_MS }, { "m", 60 * 1000 * S_MS }, { "h", 3600 * 1000 * S_MS }, { NULL, 0 } };
static const s_unit_t s_sizes[] = { { "B", 1 }, { "KiB", S_KIB }, { "MiB", S_KIB * S_KIB }, { "GiB", S_KIB * S_KIB * S_KIB }, { NULL, 0 } };
static const s_unit_t s_counts[] = { { "", 1 }, { NULL, 0 } };

static bool
s_parse (uint64_t *value, const char *text, const s_unit_t *units)
{
    uint64_t number = 0;
    const char *at = text;
    for (; *at >= '0' && *at <= '9' && at - text <= S_DIGITS_MAX; at++)
        number = 10 * number + (uint64_t) (*at - '0');
    if (at == text || at - text > S_DIGITS_MAX)
        return false;
    for (; units->name; units++)
        if (strcmp (at, units->name) == 0)
            return !__builtin_mul_overflow (number, units->factor, value) && *value <= INT64_MAX;
    return false;
}

bool
adr_duration_parse (int64_t *duration_ns, const char *text)
{
    uint64_t value;
    if (!s_parse (&value, text, s_durations))
        return false;
    *duration_ns = (int64_t) value;
    return true;
}

bool
adr_size_parse (uint64_t *size, const char *text)
{
    return s_parse (size, text, s_sizes);
}

bool
adr_count_parse (uint64_t *count, const char *text)
{
    return s_parse (count, text, s_counts);
}

static void
s_format (char text[ADR_UNITS_TEXT_SIZE], uint64_t value, const s_unit_t *units)
{
    const s_unit_t *unit = units;
    while (unit[1].name && value && value % unit[1].factor == 0)
        unit++;
    snprintf (text, ADR_UNITS_TEXT_SIZE, "%" PRIu64 "%s", value / unit->factor, unit->name);
}

void
adr_duration_format (char text[ADR_UNITS_TEXT_SIZE], int64_t duration_ns)
{
    s_format (text, (uint64_t) duration_ns, s_durations);
}

void
adr_size_format (char text[ADR_UNITS_TEXT_SIZE], uint64_t size)
{
    s_format (text, size, s_sizes);
}
