/* SPDX-License-Identifier: MPL-2.0 */
/* What went wrong, as text: see failure.h. */

#include "runtime/failure.h"

#include <stdarg.h>
#include <stdio.h>

bool
adr_fail (const adr_failure_t *failure, const char *format, ...)
{
    va_list arguments;
    va_start (arguments, format);
    vsnprintf (failure->text, failure->size, format, arguments);
    va_end (arguments);
    return false;
}
