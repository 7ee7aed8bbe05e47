/* SPDX-License-Identifier: MPL-2.0 */
/* The settings that the whole cluster obeys: which there are, what they may be, and how they come over a host's own
 * [SET-1 to SET-6, docs/protocol/settings.md]. The registry has their values (adr_setting_t of core/map.h).
 *
 * Owns: nothing; one const table. Makes durable: nothing. */

#ifndef ADR_CORE_SETTINGS_H
#define ADR_CORE_SETTINGS_H

#include "core/actor.h"
#include "core/map.h"
#include "core/units.h"

#define ADR_SETTINGS_KNOWN 12

typedef enum { ADR_SETTING_DURATION /* ms */, ADR_SETTING_SIZE /* bytes */ } adr_setting_kind_t;

typedef struct {
    const char *name; /* section.key of the configuration, which has the same range */
    adr_setting_kind_t kind;
    bool bound; /* to the others that are: they stand in the registry together [SET-4] */
    size_t offset; /* in adr_settings_t */
    uint64_t low, high;
    const char *what;
} adr_setting_row_t;

/* In the order of their names; NULL behind the last. */
const adr_setting_row_t *adr_setting_row (uint32_t index);
/* NULL: this version knows no such setting. */
const adr_setting_row_t *adr_setting_find (const char *name);
ADR_WARN_UNUSED bool adr_setting_fits (const adr_setting_row_t *row, uint64_t value);
/* What the settings hold for it: ms or bytes. */
uint64_t adr_setting_get (const adr_setting_row_t *row, const adr_settings_t *settings);

/* Whether both say the same of all of these. */
bool adr_settings_same (const adr_settings_t *a, const adr_settings_t *b);

/* As people write it: "2s", "64KiB". */
ADR_WARN_UNUSED bool adr_setting_parse (const adr_setting_row_t *row, uint64_t *value, const char *text);
void adr_setting_format (const adr_setting_row_t *row, char text[ADR_UNITS_TEXT_SIZE], uint64_t value);

/* Those of a registry, in the order of their names. */
const adr_setting_t *adr_setting_in (const adr_setting_t *settings, uint32_t count, const char *name); /* NULL: it is not set */
/* NULL, or what is wrong with these together [SET-4]; what this version does not know is not judged. */
const char *adr_settings_wrong (const adr_setting_t *settings, uint32_t count);
/* Sets them over the host's own. What is unknown, or out of range, is passed over [SET-5]. */
void adr_settings_obey (adr_settings_t *own, const adr_setting_t *settings, uint32_t count);
/* Into, or out of, those of a map, at their places; false: there is no room for one more. */
ADR_WARN_UNUSED bool adr_setting_enter (adr_map_t *map, const char *name, uint64_t value);
void adr_setting_remove (adr_map_t *map, const char *name);
/* [SET-5] Whether a PKI node signs that these take the place of those: it knows what was changed, and all fit. */
ADR_WARN_UNUSED bool adr_settings_are_step (const adr_map_t *held, const adr_map_t *offered);

#endif
