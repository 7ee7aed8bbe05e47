/* SPDX-License-Identifier: MPL-2.0 */
/* cert_signer: the settings of the whole cluster. See cert_signer_change.c; rules: docs/protocol/settings.md (SET-1, SET-4). */

#include "actors/cert_signer_private.h"

#include <inttypes.h>
#include <stdio.h>

#define S_ONE_MAX (ADR_SETTING_NAME_MAX + 2 * ADR_UNITS_TEXT_SIZE + 16) /* of the audit's row */

bool
change_settings_same (const change_settings_t *a, const change_settings_t *b)
{
    bool same = a->reset == b->reset && a->if_epoch == b->if_epoch && a->count == b->count;
    for (uint32_t i = 0; same && i < a->count; i++)
        same = strcmp (a->setting[i].name, b->setting[i].name) == 0 && a->setting[i].value == b->setting[i].value;
    return same;
}

/* --- what is asked ------------------------------------------------------------------------------------------------- */

/* False, and `text` says what is wrong with the one. */
static bool
s_read_one (change_settings_t *asked, const Adr__Setting *from, char *text, size_t size)
{
    const adr_setting_row_t *row = adr_setting_find (from->name);
    char value[ADR_UNITS_TEXT_SIZE], low[ADR_UNITS_TEXT_SIZE], high[ADR_UNITS_TEXT_SIZE];
    if (row == NULL)
        snprintf (text, size, "%s: there is no such setting", from->name);
    else if (adr_setting_in (asked->setting, asked->count, row->name))
        snprintf (text, size, "%s: named twice", row->name);
    else if (!asked->reset && !adr_setting_fits (row, from->value)) {
        adr_setting_format (row, value, from->value);
        adr_setting_format (row, low, row->low);
        adr_setting_format (row, high, row->high);
        snprintf (text, size, "%s: %s is not within %s to %s", row->name, value, low, high);
    } else {
        adr_setting_t *to = &asked->setting[asked->count++]; /* no more than there are: each is named once */
        memcpy (to->name, row->name, strlen (row->name) + 1);
        to->value = asked->reset ? 0 : from->value;
        return true;
    }
    return false;
}

static bool
s_read_question (change_settings_t *asked, const Adr__Control *control, char *text, size_t size)
{
    *asked = (change_settings_t){ .reset = control->action == ADR__CONTROL_ACTION__SETTINGS_RESET, .if_epoch = control->if_epoch };
    for (size_t i = 0; i < control->n_setting; i++)
        if (!s_read_one (asked, control->setting[i], text, size))
            return false;
    if (asked->count == 0)
        snprintf (text, size, "no setting is named");
    return asked->count > 0;
}

void
cert_signer_on_settings (cert_signer_t *self, const adr_event_t *event, adr_effects_t *effects)
{
    const Adr__Control *control = (const Adr__Control *) event->message.header;
    change_t asked = cert_signer_asked (CHANGE_SETTINGS, event);
    char text[2 * ADR_SETTING_NAME_MAX + 3 * ADR_UNITS_TEXT_SIZE];
    if (!s_read_question (&asked.settings, control, text, sizeof text))
        cert_signer_answer (asked.asker, control->number, ADR_STATUS_INVALID, text, NULL, effects);
    else if (!cert_signer_begin_change (self, &asked, event, effects))
        cert_signer_answer (asked.asker, control->number, ADR_STATUS_REFUSED, "busy: the registry is being changed", NULL, effects);
}

/* --- what becomes of it -------------------------------------------------------------------------------------------- */

/* What the registry would say; false: there is no room. */
static bool
s_apply (adr_map_t *next, const change_settings_t *asked)
{
    for (uint32_t i = 0; i < asked->count; i++)
        if (asked->reset)
            adr_setting_remove (next, asked->setting[i].name);
        else if (!adr_setting_enter (next, asked->setting[i].name, asked->setting[i].value))
            return false;
    return true;
}

/* "2s" with its quotes, or null. */
static void
s_quote (char *text, size_t size, const adr_map_t *map, const char *name)
{
    const adr_setting_t *setting = adr_setting_in (map->setting, map->setting_count, name);
    char value[ADR_UNITS_TEXT_SIZE];
    if (setting) {
        adr_setting_format (adr_setting_find (name), value, setting->value);
        snprintf (text, size, "\"%s\"", value);
    } else
        snprintf (text, size, "null");
}

/* [SET-1] One registry, one row of the audit, which names old and new values. */
static void
s_write (cert_signer_t *self, const adr_map_t *held, adr_map_t *next, const adr_event_t *event, adr_effects_t *effects)
{
    change_t *change = cert_signer_change (self);
    const change_settings_t *asked = &change->settings;
    char more[ADR_SETTINGS_KNOWN * S_ONE_MAX + 32], before[ADR_UNITS_TEXT_SIZE + 2], after[ADR_UNITS_TEXT_SIZE + 2];
    size_t size = (size_t) snprintf (more, sizeof more, "\"settings\": {");
    change_ops_begin (change);
    if (!change_add_registry (self, next, effects))
        return;
    for (uint32_t i = 0; i < asked->count; i++) {
        s_quote (before, sizeof before, held, asked->setting[i].name);
        s_quote (after, sizeof after, next, asked->setting[i].name);
        size += (size_t) snprintf (more + size, sizeof more - size, "%s\"%s\": [%s, %s]", i ? ", " : "", asked->setting[i].name, before, after);
    }
    snprintf (more + size, sizeof more - size, "}");
    change_add_audit (change, next->epoch, 0, asked->reset ? "settings-reset" : "settings-set", more, event->wall_ms);
    change_write (self, event, effects);
}

/* What is so already is so, whichever epoch was named: this very question may have been asked before, and its answer lost. */
static void
s_end_done (cert_signer_t *self, const adr_map_t *held, const adr_event_t *event, adr_effects_t *effects)
{
    change_t *change = cert_signer_change (self);
    if (cert_signer_map (self)->epoch >= held->epoch)
        change_end (self, ADR_STATUS_OK, change->written ? "done" : "it is so already", effects);
    else
        change_wait (change, "it is committed, and too few PKI nodes have signed it yet: ask again", event->now_ns);
}

static void
s_end_conflict (cert_signer_t *self, const adr_map_t *held, adr_effects_t *effects)
{
    char text[64];
    snprintf (text, sizeof text, "the registry has epoch %" PRIu64 " by now", held->epoch);
    change_end (self, ADR_STATUS_CONFLICT, text, effects);
}

void
cert_signer_decide_settings (cert_signer_t *self, adr_map_t *held, const adr_event_t *event, adr_effects_t *effects)
{
    change_t *change = cert_signer_change (self);
    const change_settings_t *asked = &change->settings;
    adr_map_t *next = adr_map_copy (held);
    bool room = s_apply (next, asked);
    const char *wrong = adr_settings_wrong (next->setting, next->setting_count);
    if (room && adr_map_same_settings (held, next))
        s_end_done (self, held, event, effects);
    else if (change->written) /* somebody has changed it since */
        change_end (self, ADR_STATUS_UNKNOWN, "it was committed, and is something else by now: look", effects);
    else if (asked->if_epoch && asked->if_epoch != held->epoch)
        s_end_conflict (self, held, effects);
    else if (!room)
        change_end (self, ADR_STATUS_FULL, "the registry has no room for more settings", effects);
    else if (wrong)
        change_end (self, ADR_STATUS_INVALID, wrong, effects);
    else
        s_write (self, held, next, event, effects);
    adr_map_destroy (&next);
}
