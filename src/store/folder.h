/* SPDX-License-Identifier: MPL-2.0 */
/* Files and folders for the three backends: synced folders, renames that never overwrite. */

#ifndef ADR_FOLDER_H
#define ADR_FOLDER_H

#include "core/base.h"

#include <limits.h>

/* Syncs the folder that holds `path`; 0 or an errno value. */
int adr_folder_sync_of (const char *path);
/* Renames `path` to the first free of path.aside-1, path.aside-2, ... and syncs the folder. */
int adr_folder_set_aside (const char *path);

#endif
