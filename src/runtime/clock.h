/* SPDX-License-Identifier: MPL-2.0 */
/* The one place of the runtime that reads clocks [DESIGN 3]: actors get what it says in their events.
 *
 * Owns: nothing. CLOCK_BOOTTIME decides (a host that slept knows it), wall time is for log time and for people. */

#ifndef ADR_CLOCK_H
#define ADR_CLOCK_H

#include <stdint.h>
#include <time.h>

/* Nanoseconds of CLOCK_BOOTTIME. */
static inline int64_t
adr_clock_now_ns (void)
{
    struct timespec now;
    clock_gettime (CLOCK_BOOTTIME, &now);
    return (int64_t) now.tv_sec * 1000000000 + now.tv_nsec;
}

/* Milliseconds since 1970; a tick old at most, which is what log time can bear. */
static inline int64_t
adr_clock_wall_ms (void)
{
    struct timespec now;
    clock_gettime (CLOCK_REALTIME_COARSE, &now);
    return (int64_t) now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

#endif
