/* SPDX-License-Identifier: MPL-2.0 */
/* What the shell's commands share. A command is a function of its own arguments (argv[0] is its name) that returns the
 * process's exit code: adr_result_t's numbers, ADR_SHELL_USAGE, or ADR_SHELL_NOT_READY. */

#ifndef ADR_SHELL_H
#define ADR_SHELL_H

#include "adrestia.h"

#include <jansson.h>

#define ADR_SHELL_NOT_READY 13 /* status --ready: something is not */
#define ADR_SHELL_USAGE 64     /* the command line is wrong */
#define ADR_SHELL_FILE 66      /* a file of the user's cannot be read or written */

typedef struct {
    const char *profile; /* NULL: where profiles are looked for */
    bool json;
    uint32_t timeout_ms; /* 0: the library's own */
    adr_client_t *client;
} adr_shell_t;

int adr_shell_status (adr_shell_t *self, int argc, char **argv);
int adr_shell_map (adr_shell_t *self, int argc, char **argv);
int adr_shell_repair (adr_shell_t *self, int argc, char **argv);
int adr_shell_scrub (adr_shell_t *self, int argc, char **argv);
int adr_shell_node (adr_shell_t *self, int argc, char **argv);
int adr_shell_token (adr_shell_t *self, int argc, char **argv);
int adr_shell_group (adr_shell_t *self, int argc, char **argv);
int adr_shell_key (adr_shell_t *self, int argc, char **argv);
int adr_shell_user (adr_shell_t *self, int argc, char **argv);
int adr_shell_user_profile (adr_shell_t *self, int argc, char **argv);
int adr_shell_settings (adr_shell_t *self, int argc, char **argv);
int adr_shell_audit (adr_shell_t *self, int argc, char **argv);
int adr_shell_recover (adr_shell_t *self, int argc, char **argv);
/* `repair run` and the like: asks nodes to do it, and prints what each says. */
int adr_shell_steer (adr_shell_t *self, adr_action_t action, int argc, char **argv);
int adr_shell_object (adr_shell_t *self, int argc, char **argv);
int adr_shell_kv (adr_shell_t *self, int argc, char **argv);

/* Opens the client, once; false, and the user was told. */
bool adr_shell_open (adr_shell_t *self);
/* Takes an argument that all commands know (--profile, --json, --timeout); `index` moves behind what it took. 1: it
 * was one, 0: it was none, -1: it is wrong, and the user was told. */
int adr_shell_global (adr_shell_t *self, int argc, char **argv, int *index);
/* The value of `--name VALUE` or `--name=VALUE`; NULL if the argument is not that option, "" if it has no value. `index` stays
 * at the last word that it took. */
const char *adr_shell_value (const char *name, int argc, char **argv, int *index);
/* A whole number with a unit: ms, s, m, h, d, w; not 0. */
bool adr_shell_time_parse (uint64_t *ms, const char *text);
/* "2026-11-29T10:00:00Z"; 0 and what cannot be: "never". */
#define ADR_SHELL_TIME_SIZE 32
void adr_shell_time_format (char text[ADR_SHELL_TIME_SIZE], uint64_t ms);
/* `NOUN list`, the two words at argv[0]: `list` puts what there is into the array, or prints it where that is NULL. */
int adr_shell_list (adr_shell_t *self, int argc, char **argv, const char *plural, adr_result_t (*list) (adr_shell_t *self, json_t *rows));
/* The clusterMap; NULL and the exit code, and the user was told. */
json_t *adr_shell_map_fetch (adr_shell_t *self, int *code);
/* Tells the user what a call came to, as text or as JSON, and returns the exit code. */
int adr_shell_fail (adr_shell_t *self, adr_result_t result);
int adr_shell_fail_file (adr_shell_t *self, const char *path, const char *why);
int adr_shell_usage (const char *format, ...) __attribute__ ((format (printf, 1, 2)));
/* Prints and gives up the JSON value. */
void adr_shell_print (json_t *json);

/* "E.T.I", and back. */
#define ADR_SHELL_VERSION_SIZE 64
void adr_shell_version_format (char text[ADR_SHELL_VERSION_SIZE], const adr_client_version_t *version);
bool adr_shell_version_parse (adr_client_version_t *version, const char *text);
/* Puts bytes into the object as `name` where they are UTF-8, else as `name`_base64. */
void adr_shell_set_bytes (json_t *object, const char *name, const void *bytes, size_t size);

#endif
