/* SPDX-License-Identifier: MPL-2.0 */
/* `adrestia kv`: small records. */

#include "shell/shell.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define S_WORDS_MAX 4
#define S_VALUE_MAX (1024 * 1024)

typedef struct {
    adr_shell_t *shell;
    const char *verb;
    const char *word[S_WORDS_MAX]; /* what is no option */
    int words;
    adr_condition_t condition;
    adr_client_version_t version;
    adr_read_t mode;
    uint64_t ttl_ms; /* 0: for ever */
} s_kv_t;

/* --- the command line ----------------------------------------------------------------------------------------- */

static int
s_parse_condition (s_kv_t *self, int argc, char **argv, int *index)
{
    const char *name = argv[(*index)++];
    if (self->condition != ADR_ALWAYS)
        return adr_shell_usage ("one condition at most");
    if (!strcmp (name, "--if-absent"))
        self->condition = ADR_IF_ABSENT;
    else if (!strcmp (name, "--if-exists"))
        self->condition = ADR_IF_EXISTS;
    else {
        self->condition = ADR_IF_VERSION;
        if (*index == argc || !adr_shell_version_parse (&self->version, argv[*index]))
            return adr_shell_usage ("--if-version wants a version as `kv get --json` shows it: E.T.I");
        ++*index;
    }
    return 0;
}

static int
s_parse_read (s_kv_t *self, int argc, char **argv, int *index)
{
    const char *mode = ++*index < argc ? argv[(*index)++] : "";
    if (strcmp (mode, "strong") != 0 && strcmp (mode, "local") != 0)
        return adr_shell_usage ("--read wants `strong` or `local`");
    self->mode = mode[0] == 'l' ? ADR_READ_LOCAL : ADR_READ_STRONG;
    return 0;
}

static int
s_parse_ttl (s_kv_t *self, int argc, char **argv, int *index)
{
    const char *text = ++*index < argc ? argv[(*index)++] : "";
    if (adr_shell_time_parse (&self->ttl_ms, text))
        return 0;
    return adr_shell_usage ("--ttl wants a time like 10s, 5m, 2h, 7d, from 1s to ten years");
}

static int
s_parse (s_kv_t *self, int argc, char **argv)
{
    int index = 1;
    bool plain = false; /* behind "--" nothing is an option */
    while (index < argc) {
        const char *argument = argv[index];
        int code = 0, taken = 0;
        if (plain || argument[0] != '-' || argument[1] == 0) {
            if (self->words == S_WORDS_MAX)
                return adr_shell_usage ("kv: too many arguments at `%s`", argument);
            self->word[self->words++] = argv[index++];
            continue;
        }
        if (!strcmp (argument, "--")) {
            plain = true;
            index++;
        }
        else if (!strncmp (argument, "--if-absent", 12) || !strncmp (argument, "--if-exists", 12)
                 || !strncmp (argument, "--if-version", 13))
            code = s_parse_condition (self, argc, argv, &index);
        else if (!strcmp (argument, "--read"))
            code = s_parse_read (self, argc, argv, &index);
        else if (!strcmp (argument, "--ttl"))
            code = s_parse_ttl (self, argc, argv, &index);
        else if ((taken = adr_shell_global (self->shell, argc, argv, &index)) <= 0)
            code = taken < 0 ? ADR_SHELL_USAGE : adr_shell_usage ("kv: there is no option `%s`", argument);
        if (code)
            return code;
    }
    return 0;
}

/* --- the verbs ------------------------------------------------------------------------------------------------ */

/* All of standard input, at most one byte more than a value may have. */
static int
s_read_input (adr_shell_t *shell, char **bytes, size_t *size)
{
    *bytes = malloc (S_VALUE_MAX + 1);
    if (!*bytes)
        return adr_shell_fail_file (shell, "standard input", strerror (errno));
    *size = fread (*bytes, 1, S_VALUE_MAX + 1, stdin);
    if (ferror (stdin))
        return adr_shell_fail_file (shell, "standard input", strerror (errno));
    if (*size > S_VALUE_MAX)
        return adr_shell_usage ("kv put: a value has at most 1 MiB; larger things are objects");
    return 0;
}

/* The outcome of a write, its version where there is one. */
static int
s_tell_written (s_kv_t *self, adr_result_t result)
{
    char version[ADR_SHELL_VERSION_SIZE];
    adr_shell_version_format (version, &self->version);
    if (result == ADR_CONFLICT && self->shell->json) {
        adr_shell_print (json_pack ("{s:s, s:i, s:s, s:s}", "result", adr_result_name (result), "code", (int) result,
                                    "error", adr_client_error (self->shell->client), "version", version));
        return (int) result;
    }
    if (result == ADR_CONFLICT)
        fprintf (stderr, "adrestia: the condition lost against version %s\n", version);
    if (result != ADR_OK)
        return adr_shell_fail (self->shell, result);
    if (self->shell->json)
        adr_shell_print (json_pack ("{s:s, s:i, s:s}", "result", "ok", "code", 0, "version", version));
    else
        puts (version);
    return 0;
}

static int
s_put (s_kv_t *self)
{
    char *input = NULL;
    const char *value = self->word[3];
    size_t size = strlen (value);
    int code = 0;
    if (!strcmp (value, "-")) {
        code = s_read_input (self->shell, &input, &size);
        value = input;
    }
    if (code == 0)
        code = s_tell_written (self, adr_kv_put_ttl (self->shell->client, self->word[1], self->word[2],
                                                     strlen (self->word[2]), value, size, self->ttl_ms, self->condition,
                                                     &self->version));
    free (input);
    return code;
}

static int
s_delete (s_kv_t *self)
{
    return s_tell_written (self, adr_kv_delete (self->shell->client, self->word[1], self->word[2],
                                                strlen (self->word[2]), self->condition, &self->version));
}

static json_t *
s_value_json (const adr_value_t *value)
{
    char version[ADR_SHELL_VERSION_SIZE];
    adr_shell_version_format (version, &value->version);
    json_t *json = json_pack ("{s:s, s:I, s:I}", "version", version, "time_ms", (json_int_t) value->time_ms, "size",
                              (json_int_t) value->size);
    adr_shell_set_bytes (json, "value", value->value, value->size);
    return json;
}

static int
s_get (s_kv_t *self)
{
    adr_value_t value;
    adr_result_t result = adr_kv_get (self->shell->client, self->word[1], self->word[2], strlen (self->word[2]),
                                      self->mode, &value);
    if (result != ADR_OK)
        return adr_shell_fail (self->shell, result);
    if (self->shell->json) {
        json_t *json = s_value_json (&value);
        json_object_set_new (json, "result", json_string ("ok"));
        json_object_set_new (json, "code", json_integer (0));
        adr_shell_print (json);
    }
    else
        fwrite (value.value, 1, value.size, stdout);
    adr_value_free (&value);
    return 0;
}

typedef struct {
    bool json, any;
} s_listing_t;

/* Rows are printed as they come: a list may be longer than memory. */
static bool
s_print_row (void *argument, const void *key, size_t key_size, const adr_value_t *value)
{
    s_listing_t *listing = argument;
    if (listing->json) {
        json_t *json = s_value_json (value);
        adr_shell_set_bytes (json, "key", key, key_size);
        fputs (listing->any ? ",\n    " : "\n    ", stdout);
        json_dumpf (json, stdout, JSON_COMPACT);
        json_decref (json);
    }
    else {
        fwrite (key, 1, key_size, stdout);
        putchar ('\n');
    }
    listing->any = true;
    return !ferror (stdout);
}

static int
s_list (s_kv_t *self)
{
    s_listing_t listing = { .json = self->shell->json };
    const char *prefix = self->words > 2 ? self->word[2] : "";
    if (listing.json)
        fputs ("{\n  \"rows\": [", stdout);
    adr_result_t result = adr_kv_list (self->shell->client, self->word[1], prefix, strlen (prefix), NULL, 0, self->mode,
                                       s_print_row, &listing);
    if (!listing.json)
        return result == ADR_OK ? 0 : adr_shell_fail (self->shell, result);
    json_t *name = json_string (adr_result_name (result));
    json_t *error = json_string (result == ADR_OK ? "" : adr_client_error (self->shell->client));
    fputs (listing.any ? "\n  ],\n  \"result\": " : "],\n  \"result\": ", stdout);
    json_dumpf (name, stdout, JSON_ENCODE_ANY);
    printf (",\n  \"code\": %d,\n  \"error\": ", (int) result);
    json_dumpf (error, stdout, JSON_ENCODE_ANY);
    fputs ("\n}\n", stdout);
    json_decref (name);
    json_decref (error);
    return (int) result;
}

static const struct {
    const char *name;
    int words_min, words_max; /* the verb among them */
    int (*run) (s_kv_t *self);
    const char *usage;
} s_verbs[] = {
    { "put", 4, 4, s_put, "kv put SPACE KEY VALUE|- [--ttl TIME] [--if-absent|--if-exists|--if-version E.T.I]" },
    { "get", 3, 3, s_get, "kv get SPACE KEY" },
    { "delete", 3, 3, s_delete, "kv delete SPACE KEY [--if-exists|--if-version E.T.I]" },
    { "list", 2, 3, s_list, "kv list SPACE [PREFIX]" },
};

int
adr_shell_kv (adr_shell_t *shell, int argc, char **argv)
{
    s_kv_t self = { .shell = shell };
    int code = s_parse (&self, argc, argv);
    if (code)
        return code;
    if (self.words == 0)
        return adr_shell_usage ("kv: put, get, delete or list?");
    for (size_t i = 0; i < sizeof s_verbs / sizeof s_verbs[0]; i++) {
        if (strcmp (self.word[0], s_verbs[i].name) != 0)
            continue;
        if (self.words < s_verbs[i].words_min || self.words > s_verbs[i].words_max)
            return adr_shell_usage ("usage: %s", s_verbs[i].usage);
        if (self.ttl_ms && s_verbs[i].run != s_put)
            return adr_shell_usage ("--ttl goes with kv put");
        return adr_shell_open (shell) ? s_verbs[i].run (&self) : ADR_SHELL_FILE;
    }
    return adr_shell_usage ("kv: there is no `%s`", self.word[0]);
}
