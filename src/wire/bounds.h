/* SPDX-License-Identifier: MPL-2.0 */
/* Are these encoded bytes a message of this type within the bounds of the protocol? */

#ifndef ADR_BOUNDS_H
#define ADR_BOUNDS_H

#include "core/base.h"

#include <protobuf-c/protobuf-c.h>

/* The highest number that a field of ours has (a test says so): bounds stand in a table by number. */
#define ADR_FIELD_NUMBER_MAX 31

/* Asked before protobuf-c sees a byte, so that what it allocates is bounded by what passed here. Total. */
ADR_WARN_UNUSED bool adr_bounds_hold (const ProtobufCMessageDescriptor *descriptor, adr_bytes_t bytes);

#endif
