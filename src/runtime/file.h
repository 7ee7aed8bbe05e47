/* SPDX-License-Identifier: MPL-2.0 */
/* Files that are written as a whole, or replaced: written beside, synced, renamed. */

#ifndef ADR_FILE_H
#define ADR_FILE_H

#include "core/bytes.h"

#include <sys/types.h>

/* Writes all of it to an open file, and syncs it. False, and errno: some may be written. */
ADR_WARN_UNUSED bool adr_file_write (int file, adr_bytes_t bytes);

/* False, and errno: the file is as it was. */
ADR_WARN_UNUSED bool adr_file_replace (const char *path, mode_t mode, adr_bytes_t bytes);

#endif
