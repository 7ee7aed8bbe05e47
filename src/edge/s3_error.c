/* SPDX-License-Identifier: MPL-2.0 */
/* The table of S3's errors: see s3_error.h and s3_error.def. */

#include "edge/s3_error.h"

#include <string.h>

static const struct {
    const char *code;
    unsigned status;
    const char *message;
} s_errors[ADR_S3_ERROR_COUNT] = {
    { "OK", 200, "" },
#define ADR_S3_ERROR(name, status, message) { #name, status, message },
#include "edge/s3_error.def"
#undef ADR_S3_ERROR
};

const char *
adr_s3_error_code (adr_s3_error_t error)
{
    /* These two have reasons of their own under a name that clients know. */
    if (error == ADR_S3_OutcomeUnknown)
        return s_errors[ADR_S3_InternalError].code;
    if (error == ADR_S3_HeadersNotSigned)
        return s_errors[ADR_S3_AccessDenied].code;
    return s_errors[error].code;
}

unsigned
adr_s3_error_status (adr_s3_error_t error)
{
    return s_errors[error].status;
}

const char *
adr_s3_error_message (adr_s3_error_t error)
{
    return s_errors[error].message;
}

adr_s3_error_t
adr_s3_error_of (adr_status_t status, adr_s3_error_t missing, adr_s3_error_t conflict)
{
    switch (status) {
    case ADR_STATUS_OK:
        return ADR_S3_OK;
    case ADR_STATUS_NOT_FOUND:
        return missing;
    case ADR_STATUS_CONFLICT:
        return conflict;
    case ADR_STATUS_FULL:
        return ADR_S3_InsufficientStorage;
    case ADR_STATUS_REFUSED:
        return ADR_S3_SlowDown;
    case ADR_STATUS_UNKNOWN:
        return ADR_S3_OutcomeUnknown;
    case ADR_STATUS_TIMEOUT:
    case ADR_STATUS_LOCKED:
    case ADR_STATUS_NOT_MASTER:
        return ADR_S3_ServiceUnavailable;
    case ADR_STATUS_DENIED:
        return ADR_S3_AccessDenied;
    case ADR_STATUS_INVALID:
    case ADR_STATUS_DAMAGED:
    case ADR_STATUS_COUNT:
        break;
    }
    return ADR_S3_InternalError;
}
