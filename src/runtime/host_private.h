/* SPDX-License-Identifier: MPL-2.0 */
/* What host.c and local_client.c share. */

#ifndef ADR_HOST_PRIVATE_H
#define ADR_HOST_PRIVATE_H

#include "runtime/directory.h"
#include "runtime/host.h"
#include "runtime/shell.h"

adr_directory_t *adr_host_directory (adr_host_t *self);

#endif
