/* SPDX-License-Identifier: MPL-2.0 */
/* The settings that the whole cluster obeys: see settings.h. */

#include "core/settings.h"

#include "core/limits.h"

#include <stddef.h>
#include <string.h>

#define S_KIB UINT64_C (1024)
#define S_GIB (S_KIB * S_KIB * S_KIB)
#define S_HOUR_MS UINT64_C (3600000)
#define S_AT(field) offsetof (adr_settings_t, field)

#define S_DURATION(name, field, low, high, what) { name, ADR_SETTING_DURATION, false, S_AT (field), low, high, what }
#define S_BOUND(name, field, low, high, what) { name, ADR_SETTING_DURATION, true, S_AT (field), low, high, what }
#define S_SIZE(name, field, low, high, what) { name, ADR_SETTING_SIZE, false, S_AT (field), low, high, what }

static const adr_setting_row_t s_rows[ADR_SETTINGS_KNOWN] = {
    S_DURATION ("gc.grace", gc_grace_ns, 1000, 720 * S_HOUR_MS, "how long the bytes of a deleted object are kept"),
    S_DURATION ("gc.sweep-interval", sweep_interval_ns, 1000, 720 * S_HOUR_MS, "how long an upload may take; given-up ones go after three"),
    S_SIZE ("store.repair-rate", repair_rate, 64 * S_KIB, 1024 * S_GIB, "bytes a second that a copy takes from its peers"),
    S_DURATION ("store.scrub-interval", scrub_interval_ns, 1000, 366 * 24 * S_HOUR_MS, "rest between two passes of a scrubber"),
    S_SIZE ("store.scrub-rate", scrub_rate, 4 * S_KIB, 64 * S_GIB, "bytes a second that a scrubber reads"),
    S_DURATION ("store.tombstone-retention", tombstone_retention_ns, 60000, 720 * S_HOUR_MS, "how long a group remembers that a record was deleted"),
    S_DURATION ("timing.checkpoint", checkpoint_ns, 100, S_HOUR_MS, "how often copies compare what they hold"),
    S_BOUND ("timing.election-max", election_max_ns, 100, ADR_REQUEST_TIME_MAX_MS, "the longest wait before a member calls an election"),
    S_BOUND ("timing.election-min", election_min_ns, 50, 60000, "the shortest, and the promise that a poll asks for"),
    S_BOUND ("timing.poll", poll_ns, 10, 10000, "how often a master polls"),
    S_DURATION ("timing.read-timeout", read_timeout_ns, 10, ADR_REQUEST_TIME_MAX_MS, "the limit of a read that waits"),
    S_DURATION ("timing.write-timeout", write_timeout_ns, 100, ADR_REQUEST_TIME_MAX_MS, "the limit of a write"),
};

/* --- one of them -------------------------------------------------------------------------------------------------- */

const adr_setting_row_t *
adr_setting_row (uint32_t index)
{
    return index < ADR_SETTINGS_KNOWN ? &s_rows[index] : NULL;
}

const adr_setting_row_t *
adr_setting_find (const char *name)
{
    for (uint32_t i = 0; i < ADR_SETTINGS_KNOWN; i++)
        if (strcmp (s_rows[i].name, name) == 0)
            return &s_rows[i];
    return NULL;
}

bool
adr_setting_fits (const adr_setting_row_t *row, uint64_t value)
{
    return value >= row->low && value <= row->high;
}

/* The only place that knows how adr_settings_t holds a setting: int64_t ns, or uint64_t bytes. */
static void *
s_field (const adr_setting_row_t *row, adr_settings_t *settings)
{
    return (char *) settings + row->offset;
}

uint64_t
adr_setting_get (const adr_setting_row_t *row, const adr_settings_t *settings)
{
    adr_settings_t copy = *settings;
    if (row->kind == ADR_SETTING_SIZE)
        return *(uint64_t *) s_field (row, &copy);
    return (uint64_t) (*(int64_t *) s_field (row, &copy) / ADR_MS);
}

static void
s_put (const adr_setting_row_t *row, adr_settings_t *settings, uint64_t value)
{
    if (row->kind == ADR_SETTING_SIZE)
        *(uint64_t *) s_field (row, settings) = value;
    else
        *(int64_t *) s_field (row, settings) = (int64_t) value * ADR_MS;
}

bool
adr_setting_parse (const adr_setting_row_t *row, uint64_t *value, const char *text)
{
    int64_t duration_ns;
    if (row->kind == ADR_SETTING_SIZE)
        return adr_size_parse (value, text);
    if (!adr_duration_parse (&duration_ns, text))
        return false;
    *value = (uint64_t) (duration_ns / ADR_MS);
    return true;
}

void
adr_setting_format (const adr_setting_row_t *row, char text[ADR_UNITS_TEXT_SIZE], uint64_t value)
{
    if (row->kind == ADR_SETTING_SIZE)
        adr_size_format (text, value);
    else
        adr_duration_format (text, (int64_t) (value < INT64_MAX / ADR_MS ? value : INT64_MAX / ADR_MS) * ADR_MS);
}

bool
adr_settings_same (const adr_settings_t *a, const adr_settings_t *b)
{
    for (uint32_t i = 0; i < ADR_SETTINGS_KNOWN; i++)
        if (adr_setting_get (&s_rows[i], a) != adr_setting_get (&s_rows[i], b))
            return false;
    return true;
}

/* --- those of a registry ------------------------------------------------------------------------------------------ */

const adr_setting_t *
adr_setting_in (const adr_setting_t *settings, uint32_t count, const char *name)
{
    for (uint32_t i = 0; i < count; i++)
        if (strcmp (settings[i].name, name) == 0)
            return &settings[i];
    return NULL;
}

/* [SET-4] Of those that are bound all are set, or none. */
static bool
s_bound_stand_together (const adr_setting_t *settings, uint32_t count)
{
    uint32_t bound = 0, set = 0;
    for (uint32_t i = 0; i < ADR_SETTINGS_KNOWN; i++) {
        bound += s_rows[i].bound;
        set += s_rows[i].bound && adr_setting_in (settings, count, s_rows[i].name) != NULL;
    }
    return set == 0 || set == bound;
}

const char *
adr_settings_wrong (const adr_setting_t *settings, uint32_t count)
{
    adr_settings_t together;
    adr_settings_default (&together);
    if (!s_bound_stand_together (settings, count))
        return "timing.poll, timing.election-min and timing.election-max are set together, and reset together";
    for (uint32_t i = 0; i < count; i++) {
        const adr_setting_row_t *row = adr_setting_find (settings[i].name);
        if (row && adr_setting_fits (row, settings[i].value))
            s_put (row, &together, settings[i].value);
    }
    if (together.election_min_ns < 3 * together.poll_ns)
        return "timing.election-min is at least three times timing.poll";
    if (together.election_max_ns < together.election_min_ns + together.election_min_ns / 4)
        return "timing.election-max is at least 1.25 times timing.election-min";
    bool both = adr_setting_in (settings, count, "timing.write-timeout") && adr_setting_in (settings, count, "timing.election-max");
    if (both && together.write_timeout_ns < together.election_max_ns)
        return "timing.write-timeout is at least timing.election-max";
    return NULL;
}

/* [SET-4] A newer version may mean something else by one of them: then a host's own are better than a mixture. */
static bool
s_bound_fit (const adr_setting_t *settings, uint32_t count)
{
    for (uint32_t i = 0; i < ADR_SETTINGS_KNOWN; i++) {
        const adr_setting_t *set = adr_setting_in (settings, count, s_rows[i].name);
        if (s_rows[i].bound && set && !adr_setting_fits (&s_rows[i], set->value))
            return false;
    }
    return adr_settings_wrong (settings, count) == NULL;
}

void
adr_settings_obey (adr_settings_t *own, const adr_setting_t *settings, uint32_t count)
{
    bool bound_fit = s_bound_fit (settings, count);
    for (uint32_t i = 0; i < count; i++) {
        const adr_setting_row_t *row = adr_setting_find (settings[i].name);
        if (row && adr_setting_fits (row, settings[i].value) && (bound_fit || !row->bound))
            s_put (row, own, settings[i].value);
    }
    if (count > 0 && own->write_timeout_ns < own->election_max_ns) /* [SET-4] one of the two may be the host's own */
        own->write_timeout_ns = own->election_max_ns;
}

bool
adr_setting_enter (adr_map_t *map, const char *name, uint64_t value)
{
    uint32_t at = 0;
    while (at < map->setting_count && strcmp (map->setting[at].name, name) < 0)
        at++;
    bool there = at < map->setting_count && strcmp (map->setting[at].name, name) == 0;
    if (!there && (map->setting_count == ADR_SETTINGS_MAX || strlen (name) > ADR_SETTING_NAME_MAX))
        return false;
    if (!there) {
        memmove (&map->setting[at + 1], &map->setting[at], (map->setting_count - at) * sizeof map->setting[0]);
        map->setting_count++;
        map->setting[at] = (adr_setting_t){ .value = 0 };
        memcpy (map->setting[at].name, name, strlen (name) + 1);
    }
    map->setting[at].value = value;
    return true;
}

void
adr_setting_remove (adr_map_t *map, const char *name)
{
    for (uint32_t i = 0; i < map->setting_count; i++) {
        if (strcmp (map->setting[i].name, name) != 0)
            continue;
        map->setting_count--;
        memmove (&map->setting[i], &map->setting[i + 1], (map->setting_count - i) * sizeof map->setting[0]);
        return;
    }
}

/* Those of `a` stand in `b` with the same values, or this version knows them, and their value in `a` fits. */
static bool
s_differ_in_known (const adr_map_t *a, const adr_map_t *b)
{
    for (uint32_t i = 0; i < a->setting_count; i++) {
        const adr_setting_t *one = &a->setting[i], *other = adr_setting_in (b->setting, b->setting_count, one->name);
        const adr_setting_row_t *row = adr_setting_find (one->name);
        bool same = other && other->value == one->value;
        if (!same && (row == NULL || !adr_setting_fits (row, one->value)))
            return false;
    }
    return true;
}

/* Whether what was taken out is known. */
static bool
s_lacks_known (const adr_map_t *held, const adr_map_t *offered)
{
    for (uint32_t i = 0; i < held->setting_count; i++)
        if (!adr_setting_in (offered->setting, offered->setting_count, held->setting[i].name) && !adr_setting_find (held->setting[i].name))
            return false;
    return true;
}

bool
adr_settings_are_step (const adr_map_t *held, const adr_map_t *offered)
{
    if (adr_map_same_settings (held, offered))
        return true;
    return s_differ_in_known (offered, held) && s_lacks_known (held, offered)
           && adr_settings_wrong (offered->setting, offered->setting_count) == NULL;
}
