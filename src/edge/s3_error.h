/* SPDX-License-Identifier: MPL-2.0 */
/* What S3 calls the ways in which a request can fail: one table of code, HTTP status and message. */

#ifndef ADR_S3_ERROR_H
#define ADR_S3_ERROR_H

#include "core/base.h"

typedef enum {
    ADR_S3_OK = 0,
#define ADR_S3_ERROR(name, status, message) ADR_S3_##name,
#include "edge/s3_error.def"
#undef ADR_S3_ERROR
    ADR_S3_ERROR_COUNT
} adr_s3_error_t;

const char *adr_s3_error_code (adr_s3_error_t error);
unsigned adr_s3_error_status (adr_s3_error_t error);
const char *adr_s3_error_message (adr_s3_error_t error);

/* What a client hears when the cluster did not do what an operation asked for. `missing` is the answer to NOT_FOUND,
 * `conflict` the one to CONFLICT. */
adr_s3_error_t adr_s3_error_of (adr_status_t status, adr_s3_error_t missing, adr_s3_error_t conflict);

#endif
