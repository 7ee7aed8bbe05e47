/* SPDX-License-Identifier: MPL-2.0 */
/* Which settings the cluster decides: see settings_log.h. */

#include "runtime/settings_log.h"

#include "runtime/log.h"

#include <inttypes.h>

#define S_WHO "host"

static bool
s_is_named (const adr_config_t *config, const adr_setting_row_t *row)
{
    for (uint32_t i = 0; adr_setting_row (i); i++)
        if (adr_setting_row (i) == row)
            return config->named[i];
    return false;
}

static void
s_say_set (const adr_settings_log_t *self, const adr_setting_t *setting)
{
    const adr_setting_row_t *row = adr_setting_find (setting->name);
    char cluster[ADR_UNITS_TEXT_SIZE], own[ADR_UNITS_TEXT_SIZE];
    if (row == NULL || !adr_setting_fits (row, setting->value)) {
        adr_log (ADR_LEVEL_WARNING, S_WHO, "the cluster sets %s=%" PRIu64 ", which this version does not know -> passed over", setting->name,
                 setting->value);
        return;
    }
    uint64_t own_value = adr_setting_get (row, &self->config->settings);
    adr_setting_format (row, cluster, setting->value);
    adr_setting_format (row, own, own_value);
    if (s_is_named (self->config, row) && own_value != setting->value)
        adr_log (ADR_LEVEL_WARNING, S_WHO, "the cluster sets %s=%s -> obeyed, not %s of this host's configuration", row->name, cluster, own);
    else
        adr_log (ADR_LEVEL_NOTE, S_WHO, "the cluster sets %s=%s -> obeyed", row->name, cluster);
}

static void
s_say_reset (const adr_settings_log_t *self, const adr_setting_t *setting)
{
    const adr_setting_row_t *row = adr_setting_find (setting->name);
    char own[ADR_UNITS_TEXT_SIZE] = "unknown";
    if (row)
        adr_setting_format (row, own, adr_setting_get (row, &self->config->settings));
    adr_log (ADR_LEVEL_NOTE, S_WHO, "the cluster sets %s no more -> this host's own is obeyed: %s", setting->name, own);
}

void
adr_settings_log (adr_settings_log_t *self, const adr_map_t *map)
{
    for (uint32_t i = 0; i < map->setting_count; i++) {
        const adr_setting_t *before = adr_setting_in (self->setting, self->count, map->setting[i].name);
        if (before == NULL || before->value != map->setting[i].value)
            s_say_set (self, &map->setting[i]);
    }
    for (uint32_t i = 0; i < self->count; i++)
        if (!adr_setting_in (map->setting, map->setting_count, self->setting[i].name))
            s_say_reset (self, &self->setting[i]);
    memcpy (self->setting, map->setting, sizeof self->setting);
    self->count = map->setting_count;
}
