/* SPDX-License-Identifier: MPL-2.0 */
/* What every actor shares: notes, the pseudo-random sequence, default settings, the planted bug's name. */

#include "core/actor.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

void
adr_note (adr_effects_t *effects, adr_level_t level, const char *format, ...)
{
    char text[512];
    va_list arguments;
    va_start (arguments, format);
    vsnprintf (text, sizeof text, format, arguments);
    va_end (arguments);
    effects->note (effects, level, text);
}

/* Steele, Lea, Flood: Fast splittable pseudorandom number generators (2014), figure 12. */
uint64_t
adr_random_next (adr_random_t *self)
{
    uint64_t z = self->state += UINT64_C (0x9e3779b97f4a7c15);
    z = (z ^ (z >> 30)) * UINT64_C (0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C (0x94d049bb133111eb);
    return z ^ (z >> 31);
}

int64_t
adr_random_between (adr_random_t *self, int64_t low, int64_t high)
{
    adr_assert (low <= high);
    return low + (int64_t) (adr_random_next (self) % ((uint64_t) (high - low) + 1));
}

void
adr_settings_default (adr_settings_t *settings)
{
    *settings = (adr_settings_t){
        .poll_ns = 100 * ADR_MS,
        .election_min_ns = 500 * ADR_MS,
        .election_max_ns = 1000 * ADR_MS,
        .write_timeout_ns = 10000 * ADR_MS,
        .read_timeout_ns = 5000 * ADR_MS,
        .tombstone_retention_ns = 24 * 3600 * 1000 * ADR_MS,
        .request_window_ns = 150000 * ADR_MS,
        .pipeline_max_bytes = 16 * 1024 * 1024,
        .request_max_bytes = 64 * 1024 * 1024,
        .checkpoint_ns = 10000 * ADR_MS,
        .repair_rate = 256 * 1024 * 1024,
        .scrub_rate = 4 * 1024 * 1024,
        .sweep_interval_ns = INT64_C (12) * 3600 * 1000 * ADR_MS,
        .gc_grace_ns = INT64_C (3600) * 1000 * ADR_MS,
        .scrub_interval_ns = INT64_C (7) * 24 * 3600 * 1000 * ADR_MS,
        .quorum = 2,
    };
}

#ifdef ADR_PLANTS
const char *adr_planted;

bool
adr_is_planted (const char *name)
{
    return strcmp (name, adr_planted) == 0;
}
#endif
