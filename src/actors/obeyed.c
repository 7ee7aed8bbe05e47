/* SPDX-License-Identifier: MPL-2.0 */
/* The settings that an actor obeys now: see obeyed.h. */

#include "actors/obeyed.h"

#include "core/settings.h"

#include <stdio.h>

void
adr_obeyed_init (adr_obeyed_t *self, const adr_environment_t *environment, adr_settings_t *now)
{
    *self = (adr_obeyed_t){ .own = environment->settings };
    *now = self->own;
    if (environment->map) {
        self->epoch = environment->map->epoch;
        adr_settings_obey (now, environment->map->setting, environment->map->setting_count);
    }
}

bool
adr_obeyed_update (adr_obeyed_t *self, adr_settings_t *now, const Adr__ClusterMap *map)
{
    adr_settings_t before = *now;
    adr_setting_t setting[ADR_SETTINGS_MAX];
    uint32_t count = 0;
    if (map == NULL || map->registry == NULL || map->registry->epoch <= self->epoch)
        return false;
    self->epoch = map->registry->epoch;
    for (size_t i = 0; i < map->registry->n_setting && count < ADR_SETTINGS_MAX; i++) {
        const Adr__Setting *from = map->registry->setting[i];
        snprintf (setting[count].name, sizeof setting[count].name, "%s", from->name);
        setting[count++].value = from->value;
    }
    *now = self->own; /* [SET-3] what is set no more is the host's own again */
    adr_settings_obey (now, setting, count);
    return !adr_settings_same (&before, now);
}
