/* SPDX-License-Identifier: MPL-2.0 */
/* What no actor may do, so that tests/purity/check.sh is seen to fail. */

#include <time.h>

long adr_impure (void);

long
adr_impure (void)
{
    struct timespec now;
    clock_gettime (CLOCK_BOOTTIME, &now);
    return now.tv_nsec;
}
