/* SPDX-License-Identifier: MPL-2.0 */
/* The configuration of a process: adrestia.yaml. Every key, default, unit, limit and reason stands in
 * config/adrestia.yaml, which a test compares with this code. Unknown keys, repeated keys and bad values are refused
 * with file, line, column and what was expected.
 *
 * Owns: its strings. Paths come out absolute or relative to the process: those of the file are relative to the
 * folder that the file stands in. */

#ifndef ADR_CONFIG_H
#define ADR_CONFIG_H

#include "core/actor.h"
#include "core/settings.h"

#define ADR_HOST_NODES_MAX 16       /* nodes of one process: one of each type, several data nodes */
#define ADR_CLIENT_KEYS_MAX 4096    /* client certificates of one host's list */
#define ADR_OPERATOR_KEYS_MAX 64    /* looked through for each pack of a client */
#define ADR_CONFIG_BYTES_MAX (1024 * 1024)

typedef struct {
    uint64_t segment_bytes, flush_bytes, log_keep_max, cache_bytes, memory_max_bytes;
    int64_t flush_every_ns;
} adr_config_store_t;

typedef struct {
    char *credentials_file; /* NULL: no S3 */
    char *region;
    char *domain; /* "": paths only, no bucket.domain */
} adr_config_http_t;

typedef struct {
    uint8_t (*key)[32]; /* CURVE keys */
    uint32_t count;
} adr_config_keys_t;

typedef struct {
    char *path;        /* of the file itself */
    char *cluster_map;
    char *node[ADR_HOST_NODES_MAX]; /* folders */
    uint32_t node_count;
    adr_level_t log_level;
    char *log_file; /* NULL: stderr */
    adr_settings_t settings; /* the host's own; `quorum` stays 0: the map has it */
    bool named[ADR_SETTINGS_KNOWN]; /* ... which of those that the cluster may decide it names */
    adr_config_store_t store;
    adr_config_http_t http;
    uint32_t connections_max;
    adr_config_keys_t clients, operators; /* whom edges of this host admit */
} adr_config_t;

/* Reads the file. NULL: `error` gets one line, "file:line:column: what is wrong; what was expected". */
adr_config_t *adr_config_read (const char *path, char *error, size_t error_size);
/* The same from memory; `path` names it in errors and anchors relative paths. */
adr_config_t *adr_config_parse (const char *path, const void *text, size_t size, char *error, size_t error_size);
void adr_config_destroy (adr_config_t **self);

#endif
