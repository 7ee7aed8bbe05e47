/* SPDX-License-Identifier: MPL-2.0 */
/* Where a caller has room for the text of what went wrong. */

#ifndef ADR_FAILURE_H
#define ADR_FAILURE_H

#include "core/base.h"

typedef struct {
    char *text; /* the caller's */
    size_t size;
} adr_failure_t;

/* False always, so that a function may return it; text that is too long is cut. */
bool adr_fail (const adr_failure_t *failure, const char *format, ...) ADR_PRINTF (2, 3);

#endif
