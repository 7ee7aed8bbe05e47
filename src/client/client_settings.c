/* SPDX-License-Identifier: MPL-2.0 */
/* libadrestia: settings of the whole cluster (docs/protocol/settings.md). See include/adrestia.h.
 *
 * What they may be is judged by the PKI group alone: it may know more settings than this library does. */

#include "client/client.h"

#include <stdio.h>
#include <string.h>

/* False if no setting can have that name. */
static bool
s_take (adr_setting_t *to, const char *name, uint64_t value)
{
    size_t size = strnlen (name, sizeof to->name);
    *to = (adr_setting_t){ .value = value };
    if (size == 0 || size == sizeof to->name)
        return false;
    memcpy (to->name, name, size);
    return true;
}

static adr_result_t
s_ask (adr_client_t *self, Adr__ControlAction action, const adr_setting_t *settings, size_t count, uint64_t if_epoch)
{
    adr_call_t call;
    adr_call_init (&call, self);
    adr_session_settings (self->session, action, settings, (uint32_t) count, if_epoch, 0, adr_call_done, &call);
    adr_result_t result = adr_call_wait (&call);
    adr_call_free (&call);
    return result;
}

static adr_result_t
s_refuse_name (adr_client_t *self, const char *name)
{
    char text[96];
    snprintf (text, sizeof text, "%.40s: there is no such setting", name);
    return adr_call_fail (self, ADR_INVALID, text);
}

static const char s_too_many[] = "from 1 to 64 settings in one step";

adr_result_t
adr_settings_set (adr_client_t *self, const adr_setting_value_t *settings, size_t count, uint64_t if_epoch)
{
    adr_setting_t asked[ADR_SETTINGS_MAX];
    if (count == 0 || count > ADR_SETTINGS_MAX)
        return adr_call_fail (self, ADR_INVALID, s_too_many);
    for (size_t i = 0; i < count; i++)
        if (!s_take (&asked[i], settings[i].name, settings[i].value))
            return s_refuse_name (self, settings[i].name);
    return s_ask (self, ADR__CONTROL_ACTION__SETTINGS_SET, asked, count, if_epoch);
}

adr_result_t
adr_settings_reset (adr_client_t *self, const char *const *names, size_t count, uint64_t if_epoch)
{
    adr_setting_t asked[ADR_SETTINGS_MAX];
    if (count == 0 || count > ADR_SETTINGS_MAX)
        return adr_call_fail (self, ADR_INVALID, s_too_many);
    for (size_t i = 0; i < count; i++)
        if (!s_take (&asked[i], names[i], 0))
            return s_refuse_name (self, names[i]);
    return s_ask (self, ADR__CONTROL_ACTION__SETTINGS_RESET, asked, count, if_epoch);
}
