/* SPDX-License-Identifier: MPL-2.0 */
/* The configuration: see config.h. One table names every key; the rest walks a YAML document along it. */

#include "runtime/config.h"

#include "core/cert.h"
#include "core/settings.h"
#include "runtime/log.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <yaml.h>

typedef enum {
    S_TEXT,     /* char * */
    S_PATH,     /* char *, made relative to the file's folder */
    S_PATHS,    /* char *[], and their count */
    S_LEVEL,    /* adr_level_t */
    S_READS,    /* uint32_t: 1 for "quorum" */
    S_DURATION, /* int64_t */
    S_SIZE,     /* uint64_t */
    S_COUNT,    /* uint32_t */
    S_KEYS      /* 32-byte keys, and their count */
} s_kind_t;

typedef struct {
    const char *section; /* "" at the top */
    const char *key;
    s_kind_t kind;
    size_t offset;
    uint64_t low, high; /* in nanoseconds, bytes, pieces */
} s_row_t;

#define S_MS UINT64_C (1000000)
#define S_KIB UINT64_C (1024)
#define S_MIB (1024 * S_KIB)
#define S_GIB (1024 * S_MIB)
#define S_AT(field) offsetof (adr_config_t, field)

static const s_row_t s_rows[] = {
    { "", "cluster-map", S_PATH, S_AT (cluster_map), 0, 0 },
    { "", "nodes", S_PATHS, S_AT (node), 1, ADR_HOST_NODES_MAX },
    { "", "reads", S_READS, S_AT (settings.reads_by_quorum), 0, 0 },
    { "", "clients", S_KEYS, S_AT (clients), 0, ADR_CLIENT_KEYS_MAX },
    { "", "operators", S_KEYS, S_AT (operators), 0, ADR_OPERATOR_KEYS_MAX },
    { "log", "level", S_LEVEL, S_AT (log_level), 0, 0 },
    { "log", "file", S_PATH, S_AT (log_file), 0, 0 },
    { "timing", "poll", S_DURATION, S_AT (settings.poll_ns), 10 * S_MS, 10000 * S_MS },
    { "timing", "election-min", S_DURATION, S_AT (settings.election_min_ns), 50 * S_MS, 60000 * S_MS },
    { "timing", "election-max", S_DURATION, S_AT (settings.election_max_ns), 100 * S_MS,
      ADR_REQUEST_TIME_MAX_MS * S_MS }, /* a write may take as long */
    { "timing", "write-timeout", S_DURATION, S_AT (settings.write_timeout_ns), 100 * S_MS,
      ADR_REQUEST_TIME_MAX_MS * S_MS },
    { "timing", "read-timeout", S_DURATION, S_AT (settings.read_timeout_ns), 10 * S_MS,
      ADR_REQUEST_TIME_MAX_MS * S_MS },
    { "timing", "request-window", S_DURATION, S_AT (settings.request_window_ns), 2 * ADR_REQUEST_TIME_MAX_MS * S_MS,
      3600 * 1000 * S_MS },
    { "timing", "checkpoint", S_DURATION, S_AT (settings.checkpoint_ns), 100 * S_MS, 3600 * 1000 * S_MS },
    { "store", "segment-size", S_SIZE, S_AT (store.segment_bytes), 4 * S_MIB, S_GIB },
    { "store", "flush-size", S_SIZE, S_AT (store.flush_bytes), 64 * S_KIB, S_GIB },
    { "store", "flush-interval", S_DURATION, S_AT (store.flush_every_ns), 100 * S_MS, 3600 * 1000 * S_MS },
    { "store", "log-keep-max", S_SIZE, S_AT (store.log_keep_max), 16 * S_MIB, 1024 * S_GIB },
    { "store", "repair-rate", S_SIZE, S_AT (settings.repair_rate), 64 * S_KIB, 1024 * S_GIB },
    { "store", "scrub-rate", S_SIZE, S_AT (settings.scrub_rate), 4 * S_KIB, 64 * S_GIB },
    { "store", "scrub-interval", S_DURATION, S_AT (settings.scrub_interval_ns), 1000 * S_MS,
      INT64_C (366) * 24 * 3600 * 1000 * S_MS },
    { "store", "cache-size", S_SIZE, S_AT (store.cache_bytes), S_MIB, 64 * S_GIB },
    { "store", "memory-max", S_SIZE, S_AT (store.memory_max_bytes), S_MIB, 64 * S_GIB },
    { "store", "tombstone-retention", S_DURATION, S_AT (settings.tombstone_retention_ns), 60 * 1000 * S_MS,
      720 * (3600 * 1000 * S_MS) },
    { "gc", "grace", S_DURATION, S_AT (settings.gc_grace_ns), 1000 * S_MS, INT64_C (30) * 24 * 3600 * 1000 * S_MS },
    { "gc", "sweep-interval", S_DURATION, S_AT (settings.sweep_interval_ns), 1000 * S_MS,
      INT64_C (30) * 24 * 3600 * 1000 * S_MS },
    { "limits", "pipeline", S_SIZE, S_AT (settings.pipeline_max_bytes), 2 * S_MIB, S_GIB },
    { "limits", "requests", S_SIZE, S_AT (settings.request_max_bytes), 2 * S_MIB, 4 * S_GIB },
    { "limits", "connections", S_COUNT, S_AT (connections_max), 16, 65536 },
    { "http", "credentials-file", S_PATH, S_AT (http.credentials_file), 0, 0 },
    { "http", "region", S_TEXT, S_AT (http.region), 1, 63 },
    { "http", "domain", S_TEXT, S_AT (http.domain), 0, 253 },
};
#define S_ROWS (sizeof s_rows / sizeof s_rows[0])

typedef struct {
    adr_config_t *config;
    yaml_document_t document;
    bool seen[S_ROWS];
    yaml_mark_t mark[S_ROWS];
    char *error;
    size_t error_size;
} s_reader_t;

/* --- values ----------------------------------------------------------------------------------------------------- */

static void
s_format_value (char text[ADR_UNITS_TEXT_SIZE], s_kind_t kind, uint64_t value)
{
    if (kind == S_DURATION)
        adr_duration_format (text, (int64_t) value);
    else if (kind == S_SIZE)
        adr_size_format (text, value);
    else
        snprintf (text, ADR_UNITS_TEXT_SIZE, "%" PRIu64, value);
}

/* --- errors ----------------------------------------------------------------------------------------------------- */

static bool ADR_PRINTF (3, 4)
s_refuse (s_reader_t *self, yaml_mark_t mark, const char *format, ...)
{
    char text[512];
    va_list arguments;
    va_start (arguments, format);
    vsnprintf (text, sizeof text, format, arguments);
    va_end (arguments);
    snprintf (self->error, self->error_size, "%s:%zu:%zu: %s", self->config->path, mark.line + 1, mark.column + 1,
              text);
    return false;
}

static bool
s_refuse_range (s_reader_t *self, yaml_mark_t mark, const s_row_t *row)
{
    char low[ADR_UNITS_TEXT_SIZE], high[ADR_UNITS_TEXT_SIZE];
    s_format_value (low, row->kind, row->low);
    s_format_value (high, row->kind, row->high);
    const char *what = row->kind == S_DURATION ? "a duration (100ms, 2s, 5m, 1h)"
                       : row->kind == S_SIZE   ? "a size (64KiB, 16MiB, 1GiB)"
                                               : "a whole number";
    return s_refuse (self, mark, "bad value for %s%s%s; expected %s from %s to %s", row->section,
                     *row->section ? "." : "", row->key, what, low, high);
}

/* --- nodes of the document -------------------------------------------------------------------------------------- */

/* The scalar's text; NULL for anything else, and for text with a NUL in it. */
static const char *
s_text (const yaml_node_t *node)
{
    if (node->type != YAML_SCALAR_NODE)
        return NULL;
    const char *text = (const char *) node->data.scalar.value;
    return strlen (text) == node->data.scalar.length ? text : NULL;
}

static char *
s_path_copy (const s_reader_t *self, const char *text)
{
    const char *slash = strrchr (self->config->path, '/');
    if (*text == '/' || slash == NULL)
        return strdup (text);
    char *path = NULL;
    if (asprintf (&path, "%.*s/%s", (int) (slash - self->config->path), self->config->path, text) < 0)
        path = NULL;
    adr_assert (path);
    return path;
}

static void
s_replace (char **field, char *text)
{
    adr_assert (text);
    free (*field);
    *field = text;
}

static bool
s_read_text (s_reader_t *self, const s_row_t *row, const yaml_node_t *node, void *field)
{
    const char *text = s_text (node);
    if (row->kind == S_PATH) {
        if (text == NULL || *text == 0)
            return s_refuse (self, node->start_mark, "bad value for %s; expected a path", row->key);
        s_replace (field, s_path_copy (self, text));
        return true;
    }
    if (text == NULL || strlen (text) < row->low || strlen (text) > row->high)
        return s_refuse (self, node->start_mark,
                         "bad value for %s; expected a text of %" PRIu64 " to %" PRIu64 " bytes", row->key,
                         row->low, row->high);
    s_replace (field, strdup (text));
    return true;
}

static bool
s_read_number (s_reader_t *self, const s_row_t *row, const yaml_node_t *node, void *field)
{
    const char *text = s_text (node);
    uint64_t value = 0;
    int64_t duration_ns = 0;
    bool good = false;
    if (text && row->kind == S_DURATION) {
        good = adr_duration_parse (&duration_ns, text);
        value = (uint64_t) duration_ns;
    } else if (text && row->kind == S_SIZE)
        good = adr_size_parse (&value, text);
    else if (text)
        good = adr_count_parse (&value, text);
    if (!good || value < row->low || value > row->high)
        return s_refuse_range (self, node->start_mark, row);
    if (row->kind == S_DURATION)
        *(int64_t *) field = duration_ns;
    else if (row->kind == S_SIZE)
        *(uint64_t *) field = value;
    else
        *(uint32_t *) field = (uint32_t) value;
    return true;
}

static bool
s_read_choice (s_reader_t *self, const s_row_t *row, const yaml_node_t *node, void *field)
{
    const char *text = s_text (node);
    if (row->kind == S_LEVEL) {
        if (text == NULL || !adr_level_parse (field, text))
            return s_refuse (self, node->start_mark,
                             "bad value for log.level; expected error, warning, note or trace");
        return true;
    }
    if (text == NULL || (strcmp (text, "lease") && strcmp (text, "quorum")))
        return s_refuse (self, node->start_mark, "bad value for reads; expected lease or quorum");
    *(uint32_t *) field = strcmp (text, "quorum") == 0;
    return true;
}

static adr_config_keys_t *
s_keys_of (s_reader_t *self, const s_row_t *row)
{
    return (void *) ((char *) self->config + row->offset);
}

static bool
s_read_key (s_reader_t *self, const s_row_t *row, const yaml_node_t *node)
{
    adr_config_keys_t *keys = s_keys_of (self, row);
    const char *text = s_text (node);
    uint8_t key[ADR_KEY_SIZE];
    if (text == NULL || !adr_hex_parse (key, sizeof key, text, strlen (text)))
        return s_refuse (self, node->start_mark, "bad entry in %s; expected 64 hexadecimal digits", row->key);
    for (uint32_t i = 0; i < keys->count; i++)
        if (memcmp (keys->key[i], key, sizeof key) == 0)
            return s_refuse (self, node->start_mark, "repeated entry in %s; expected each key once", row->key);
    memcpy (keys->key[keys->count++], key, sizeof key);
    return true;
}

static bool
s_read_folder (s_reader_t *self, const yaml_node_t *node)
{
    adr_config_t *config = self->config;
    const char *text = s_text (node);
    if (text == NULL || *text == 0)
        return s_refuse (self, node->start_mark, "bad entry in nodes; expected the path of a node's folder");
    char *path = s_path_copy (self, text);
    for (uint32_t i = 0; i < config->node_count; i++)
        if (strcmp (config->node[i], path) == 0) {
            free (path);
            return s_refuse (self, node->start_mark, "repeated entry in nodes; expected each folder once");
        }
    config->node[config->node_count++] = path;
    return true;
}

static bool
s_read_sequence (s_reader_t *self, const s_row_t *row, const yaml_node_t *node)
{
    size_t count = node->type == YAML_SEQUENCE_NODE
                       ? (size_t) (node->data.sequence.items.top - node->data.sequence.items.start)
                       : SIZE_MAX;
    if (count < row->low || count > row->high)
        return s_refuse (self, node->start_mark, "bad value for %s; expected a list of %" PRIu64 " to %" PRIu64,
                         row->key, row->low, row->high);
    if (row->kind == S_KEYS)
        s_keys_of (self, row)->key = adr_alloc ((count + 1) * ADR_KEY_SIZE);
    for (size_t i = 0; i < count; i++) {
        const yaml_node_t *item = yaml_document_get_node (&self->document, node->data.sequence.items.start[i]);
        if (!(row->kind == S_KEYS ? s_read_key (self, row, item) : s_read_folder (self, item)))
            return false;
    }
    return true;
}

static bool
s_read_value (s_reader_t *self, const s_row_t *row, const yaml_node_t *node)
{
    void *field = (char *) self->config + row->offset;
    switch (row->kind) {
    case S_TEXT:
    case S_PATH:
        return s_read_text (self, row, node, field);
    case S_DURATION:
    case S_SIZE:
    case S_COUNT:
        return s_read_number (self, row, node, field);
    case S_LEVEL:
    case S_READS:
        return s_read_choice (self, row, node, field);
    case S_PATHS:
    case S_KEYS:
        return s_read_sequence (self, row, node);
    }
    return false;
}

static bool
s_is_section (const char *name)
{
    for (size_t i = 0; i < S_ROWS; i++)
        if (*name && strcmp (s_rows[i].section, name) == 0)
            return true;
    return false;
}

static int
s_find_row (const char *section, const char *key)
{
    for (size_t i = 0; i < S_ROWS; i++)
        if (strcmp (s_rows[i].section, section) == 0 && strcmp (s_rows[i].key, key) == 0)
            return (int) i;
    return -1;
}

/* The keys that stand in a section, for whoever mistyped one. */
static bool
s_refuse_key (s_reader_t *self, yaml_mark_t mark, const char *section, const char *key)
{
    char names[384] = "";
    const char *last = "";
    for (size_t i = 0; i < S_ROWS; i++) {
        bool here = strcmp (s_rows[i].section, section) == 0;
        const char *name = here ? s_rows[i].key : *section ? NULL : s_rows[i].section;
        if (name == NULL || strcmp (name, last) == 0)
            continue;
        last = name;
        size_t length = strlen (names);
        snprintf (names + length, sizeof names - length, "%s%s", length ? ", " : "", name);
    }
    return s_refuse (self, mark, "unknown key %.64s%s%.64s; expected one of %s", section, *section ? "." : "", key,
                     names);
}

/* [SET-3] Of what the cluster may decide this host says something else, or the same: that is worth a line. */
static void
s_note_named (adr_config_t *config, const char *section, const char *key)
{
    char name[2 * ADR_SETTING_NAME_MAX];
    snprintf (name, sizeof name, "%s.%s", section, key);
    for (uint32_t i = 0; i < ADR_SETTINGS_KNOWN; i++)
        config->named[i] |= strcmp (adr_setting_row (i)->name, name) == 0;
}

static bool s_read_mapping (s_reader_t *self, const char *section, const yaml_node_t *node);

static bool
s_read_pair (s_reader_t *self, const char *section, const yaml_node_t *key_node, const yaml_node_t *node)
{
    const char *key = s_text (key_node);
    if (key == NULL)
        return s_refuse (self, key_node->start_mark, "bad key; expected a word");
    if (*section == 0 && s_is_section (key))
        return s_read_mapping (self, key, node);
    int row = s_find_row (section, key);
    if (row < 0)
        return s_refuse_key (self, key_node->start_mark, section, key);
    if (self->seen[row])
        return s_refuse (self, key_node->start_mark, "repeated key %s; expected it once", key);
    self->seen[row] = true;
    self->mark[row] = node->start_mark;
    s_note_named (self->config, section, key);
    return s_read_value (self, &s_rows[row], node);
}

static bool
s_read_mapping (s_reader_t *self, const char *section, const yaml_node_t *node)
{
    if (node->type != YAML_MAPPING_NODE)
        return s_refuse (self, node->start_mark, "bad value%s%s; expected keys and values", *section ? " for " : "",
                         section);
    const yaml_node_pair_t *pair = node->data.mapping.pairs.start;
    for (; pair < node->data.mapping.pairs.top; pair++)
        if (!s_read_pair (self, section, yaml_document_get_node (&self->document, pair->key),
                          yaml_document_get_node (&self->document, pair->value)))
            return false;
    return true;
}

/* --- the whole -------------------------------------------------------------------------------------------------- */

static void
s_set_defaults (adr_config_t *config)
{
    adr_settings_default (&config->settings);
    config->settings.quorum = 0;
    config->log_level = ADR_LEVEL_NOTE;
    config->store = (adr_config_store_t){
        .segment_bytes = 16 * S_MIB,
        .flush_bytes = 8 * S_MIB,
        .flush_every_ns = 5000 * ADR_MS,
        .log_keep_max = S_GIB,
        .cache_bytes = 16 * S_MIB,
        .memory_max_bytes = 64 * S_MIB,
    };
    config->connections_max = 1024;
    s_replace (&config->http.region, strdup ("us-east-1"));
    s_replace (&config->http.domain, strdup (""));
}

/* The mark of a key that may not have been given: then of the file's start. */
static yaml_mark_t
s_mark_of (const s_reader_t *self, const char *section, const char *key)
{
    int row = s_find_row (section, key);
    adr_assert (row >= 0);
    return self->mark[row];
}

static bool
s_check_together (s_reader_t *self)
{
    const adr_config_t *config = self->config;
    const adr_settings_t *settings = &config->settings;
    if (config->cluster_map == NULL)
        return s_refuse (self, (yaml_mark_t){ 0 }, "cluster-map is missing; expected the path of the map's file");
    if (config->node_count == 0)
        return s_refuse (self, (yaml_mark_t){ 0 }, "nodes is missing; expected a list of folders");
    if (settings->election_min_ns < 3 * settings->poll_ns)
        return s_refuse (self, s_mark_of (self, "timing", "election-min"),
                         "timing.election-min is too short; expected at least three times timing.poll");
    if (settings->election_max_ns < settings->election_min_ns + settings->election_min_ns / 4)
        return s_refuse (self, s_mark_of (self, "timing", "election-max"),
                         "timing.election-max is too short; expected at least 1.25 times timing.election-min");
    if (settings->write_timeout_ns < settings->election_max_ns)
        return s_refuse (self, s_mark_of (self, "timing", "write-timeout"),
                         "timing.write-timeout is too short; expected at least timing.election-max");
    if (config->store.memory_max_bytes < 2 * config->store.flush_bytes)
        return s_refuse (self, s_mark_of (self, "store", "memory-max"),
                         "store.memory-max is too small; expected at least twice store.flush-size");
    return true;
}

static bool
s_refuse_yaml (s_reader_t *self, const yaml_parser_t *parser)
{
    return s_refuse (self, parser->problem_mark, "no YAML: %s; expected keys and values",
                     parser->problem ? parser->problem : "unreadable");
}

/* A second document would be silently without effect. */
static bool
s_check_end (s_reader_t *self, yaml_parser_t *parser)
{
    yaml_document_t more;
    if (!yaml_parser_load (parser, &more))
        return s_refuse_yaml (self, parser);
    yaml_node_t *root = yaml_document_get_root_node (&more);
    bool good = root == NULL || s_refuse (self, root->start_mark, "a second document; expected one");
    yaml_document_delete (&more);
    return good;
}

static bool
s_read_document (s_reader_t *self, yaml_parser_t *parser)
{
    if (!yaml_parser_load (parser, &self->document))
        return s_refuse_yaml (self, parser);
    yaml_node_t *root = yaml_document_get_root_node (&self->document);
    bool good = root ? s_read_mapping (self, "", root)
                     : s_refuse (self, (yaml_mark_t){ 0 }, "an empty file; expected keys and values");
    good = good && s_check_end (self, parser) && s_check_together (self);
    yaml_document_delete (&self->document);
    return good;
}

adr_config_t *
adr_config_parse (const char *path, const void *text, size_t size, char *error, size_t error_size)
{
    adr_config_t *config = adr_alloc (sizeof *config);
    s_replace (&config->path, strdup (path));
    s_set_defaults (config);
    s_reader_t reader = { .config = config, .error = error, .error_size = error_size };
    yaml_parser_t parser;
    int ready = yaml_parser_initialize (&parser);
    adr_assert (ready);
    yaml_parser_set_input_string (&parser, text, size);
    if (!s_read_document (&reader, &parser))
        adr_config_destroy (&config);
    yaml_parser_delete (&parser);
    return config;
}

adr_config_t *
adr_config_read (const char *path, char *error, size_t error_size)
{
    FILE *file = fopen (path, "re");
    if (file == NULL) {
        snprintf (error, error_size, "%s: %s", path, strerror (errno));
        return NULL;
    }
    char *text = adr_alloc (ADR_CONFIG_BYTES_MAX + 1);
    size_t size = fread (text, 1, ADR_CONFIG_BYTES_MAX + 1, file);
    bool failed = ferror (file);
    fclose (file);
    adr_config_t *config = NULL;
    if (failed)
        snprintf (error, error_size, "%s: cannot be read", path);
    else if (size > ADR_CONFIG_BYTES_MAX)
        snprintf (error, error_size, "%s: too large; expected at most 1 MiB", path);
    else
        config = adr_config_parse (path, text, size, error, error_size);
    free (text);
    return config;
}

void
adr_config_destroy (adr_config_t **self)
{
    adr_config_t *config = *self;
    if (config == NULL)
        return;
    for (uint32_t i = 0; i < config->node_count; i++)
        free (config->node[i]);
    free (config->path);
    free (config->cluster_map);
    free (config->log_file);
    free (config->clients.key);
    free (config->operators.key);
    free (config->http.credentials_file);
    free (config->http.region);
    free (config->http.domain);
    free (config);
    *self = NULL;
}
