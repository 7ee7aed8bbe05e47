/* SPDX-License-Identifier: MPL-2.0 */
/* `adrestia settings ...`: what the whole cluster obeys (docs/protocol/settings.md). Several are set, or reset, in one step, or
 * none of them. Names and units are read here; the PKI group judges. */

#include "core/settings.h"
#include "shell/shell.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct {
    bool reset;
    uint64_t if_epoch;
    size_t count;
    const char *name[ADR_SETTINGS_MAX];
    adr_setting_value_t setting[ADR_SETTINGS_MAX];
} s_change_t;

/* --- the command line ------------------------------------------------------------------------------------------- */

static int
s_parse_epoch (s_change_t *change, const char *text)
{
    char *end;
    errno = 0;
    change->if_epoch = strtoull (text, &end, 10);
    if (*text < '0' || *text > '9' || *end || errno || change->if_epoch == 0)
        return adr_shell_usage ("--if-epoch wants the epoch that `settings show` tells");
    return 0;
}

/* NAME=VALUE, cut in two in place. A name that is unknown here may be known to the cluster, but nobody could tell its unit. */
static int
s_parse_pair (s_change_t *change, char *word)
{
    adr_setting_value_t *to = &change->setting[change->count];
    char *sign = strchr (word, '=');
    if (!sign)
        return adr_shell_usage ("`%s`: expected NAME=VALUE", word);
    *sign = 0;
    const adr_setting_row_t *row = adr_setting_find (word);
    if (!row)
        return adr_shell_usage ("there is no setting `%s`; `settings show` lists them", word);
    if (!adr_setting_parse (row, &to->value, sign + 1))
        return adr_shell_usage ("%s: `%s` is no %s", word, sign + 1,
                                row->kind == ADR_SETTING_SIZE ? "size like 64KiB, 16MiB, 1GiB" : "duration like 100ms, 2s, 5m, 1h");
    to->name = row->name;
    change->count++;
    return 0;
}

static int
s_parse_word (s_change_t *change, char *word)
{
    if (word[0] == '-')
        return adr_shell_usage ("settings: what is `%s`?", word);
    if (change->count == ADR_SETTINGS_MAX)
        return adr_shell_usage ("settings: %d at most in one step", ADR_SETTINGS_MAX);
    if (!change->reset)
        return s_parse_pair (change, word);
    change->name[change->count++] = word;
    return 0;
}

static int
s_parse (adr_shell_t *self, s_change_t *change, int argc, char **argv)
{
    for (int index = 2; index < argc;) {
        const char *value = adr_shell_value ("--if-epoch", argc, argv, &index);
        int code = value ? s_parse_epoch (change, value) : 0;
        int taken = value ? (index++, 1) : adr_shell_global (self, argc, argv, &index);
        if (taken == 0)
            code = s_parse_word (change, argv[index++]);
        if (code || taken < 0)
            return ADR_SHELL_USAGE;
    }
    return change->count ? 0 : adr_shell_usage ("settings %s: expected %s", change->reset ? "reset" : "set",
                                                change->reset ? "NAME ..." : "NAME=VALUE ...");
}

/* --- changing --------------------------------------------------------------------------------------------------- */

static int
s_run_change (adr_shell_t *self, s_change_t *change, int argc, char **argv)
{
    int code = s_parse (self, change, argc, argv);
    if (code)
        return code;
    if (!adr_shell_open (self))
        return ADR_SHELL_FILE;
    adr_result_t result = change->reset ? adr_settings_reset (self->client, change->name, change->count, change->if_epoch)
                                        : adr_settings_set (self->client, change->setting, change->count, change->if_epoch);
    if (result == ADR_TIMEOUT)
        fputs ("adrestia: too few PKI nodes answered, and only they can do this: are they up? `settings show` tells what is set\n", stderr);
    if (result != ADR_OK)
        return adr_shell_fail (self, result);
    if (self->json)
        adr_shell_print (json_pack ("{s:s, s:i}", "result", "ok", "code", 0));
    else
        puts (change->reset ? "reset" : "set");
    return 0;
}

/* --- showing ---------------------------------------------------------------------------------------------------- */

/* What the map says of it; NULL: nothing. */
static const json_t *
s_value (const json_t *map, const char *name)
{
    const json_t *setting;
    size_t i;
    json_array_foreach (json_object_get (map, "settings"), i, setting) {
        const char *other = json_string_value (json_object_get (setting, "name"));
        if (other && strcmp (other, name) == 0)
            return json_object_get (setting, "value");
    }
    return NULL;
}

static void
s_print_row (const adr_setting_row_t *row, const adr_settings_t *defaults, const json_t *value)
{
    char own[ADR_UNITS_TEXT_SIZE], set[ADR_UNITS_TEXT_SIZE] = "-", low[ADR_UNITS_TEXT_SIZE], high[ADR_UNITS_TEXT_SIZE];
    char range[2 * ADR_UNITS_TEXT_SIZE + 8];
    adr_setting_format (row, own, adr_setting_get (row, defaults));
    adr_setting_format (row, low, row->low);
    adr_setting_format (row, high, row->high);
    if (value)
        adr_setting_format (row, set, (uint64_t) json_integer_value (value));
    snprintf (range, sizeof range, "%s to %s", low, high);
    printf ("%-26s %-9s %-8s %-9s %-18s %s\n", row->name, set, value ? "cluster" : "hosts", own, range, row->what);
}

static json_t *
s_json_row (const adr_setting_row_t *row, const adr_settings_t *defaults, const json_t *value)
{
    return json_pack ("{s:s, s:O?, s:s, s:I, s:I, s:I, s:s, s:s}", "name", row->name, "value", value, "from", value ? "cluster" : "hosts",
                      "default", (json_int_t) adr_setting_get (row, defaults), "low", (json_int_t) row->low, "high",
                      (json_int_t) row->high, "unit", row->kind == ADR_SETTING_SIZE ? "bytes" : "ms", "what", row->what);
}

/* Those of newer versions, whose names alone are known. */
static void
s_show_unknown (const json_t *map, json_t *rows)
{
    const json_t *setting;
    size_t i;
    json_array_foreach (json_object_get (map, "settings"), i, setting) {
        const char *name = json_string_value (json_object_get (setting, "name"));
        json_int_t value = json_integer_value (json_object_get (setting, "value"));
        if (!name || adr_setting_find (name))
            continue;
        if (rows)
            json_array_append_new (rows, json_pack ("{s:s, s:I, s:s}", "name", name, "value", value, "from", "cluster"));
        else
            printf ("%-26s %-9lld %-8s of a newer version than this shell\n", name, (long long) value, "cluster");
    }
}

static int
s_show (adr_shell_t *self, int argc, char **argv)
{
    int code = 0;
    for (int index = 2; index < argc;)
        if (adr_shell_global (self, argc, argv, &index) <= 0)
            return adr_shell_usage ("settings show: what is `%s`?", argv[index]);
    json_t *map = adr_shell_map_fetch (self, &code);
    if (!map)
        return code;
    adr_settings_t defaults;
    adr_settings_default (&defaults);
    json_t *rows = self->json ? json_array () : NULL;
    if (!rows)
        printf ("%-26s %-9s %-8s %-9s %-18s %s\n", "NAME", "VALUE", "FROM", "DEFAULT", "RANGE", "WHAT");
    for (uint32_t i = 0; adr_setting_row (i); i++)
        if (rows)
            json_array_append_new (rows, s_json_row (adr_setting_row (i), &defaults, s_value (map, adr_setting_row (i)->name)));
        else
            s_print_row (adr_setting_row (i), &defaults, s_value (map, adr_setting_row (i)->name));
    s_show_unknown (map, rows);
    if (rows)
        adr_shell_print (json_pack ("{s:s, s:O, s:o}", "result", "ok", "epoch", json_object_get (map, "epoch"), "settings", rows));
    else
        printf ("epoch %lld; `hosts`: each host obeys its own configuration, which has the default where it says nothing\n",
                (long long) json_integer_value (json_object_get (map, "epoch")));
    json_decref (map);
    return 0;
}

int
adr_shell_settings (adr_shell_t *self, int argc, char **argv)
{
    const char *name = argc > 1 ? argv[1] : "";
    s_change_t change = { .reset = strcmp (name, "reset") == 0 };
    if (strcmp (name, "show") == 0)
        return s_show (self, argc, argv);
    if (strcmp (name, "set") == 0 || change.reset)
        return s_run_change (self, &change, argc, argv);
    return adr_shell_usage ("settings: expected show, set NAME=VALUE ..., or reset NAME ...");
}
