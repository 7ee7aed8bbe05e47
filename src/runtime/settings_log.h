/* SPDX-License-Identifier: MPL-2.0 */
/* Says which settings the cluster decides for this host, each once, and warns where the host's configuration says otherwise [SET-3].
 *
 * Owns: what it has said. Makes durable: nothing. Borrows: the configuration. */

#ifndef ADR_SETTINGS_LOG_H
#define ADR_SETTINGS_LOG_H

#include "runtime/config.h"

typedef struct {
    const adr_config_t *config;
    adr_setting_t setting[ADR_SETTINGS_MAX]; /* of the map that was spoken of last */
    uint32_t count;
} adr_settings_log_t;

/* Of a map that this host takes over, the first one too. */
void adr_settings_log (adr_settings_log_t *self, const adr_map_t *map);

#endif
