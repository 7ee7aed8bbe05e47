/* SPDX-License-Identifier: MPL-2.0 */
/* The shell `adrestia`: one table of commands, and what they share. Its manual is docs/shell.md. */

#include "shell/shell.h"

#include "shell/init.h"

#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <sodium.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static const struct {
    const char *name;
    int (*run) (adr_shell_t *self, int argc, char **argv); /* needs a cluster */
    int (*run_alone) (int argc, char **argv);
    const char *help;
} s_commands[] = {
    { "status", adr_shell_status, NULL, "zones, nodes and groups as the edge knows them (--ready: wait for nobody, exit 13 if not all is ready)" },
    { "map", adr_shell_map, NULL, "the clusterMap: who exists, who owns which partition" },
    { "repair", adr_shell_repair, NULL, "status: how far each copy is exact, and what its repair has done; run: compare and mend now; pause: for a time" },
    { "scrub", adr_shell_scrub, NULL, "read everything now, and have what is damaged mended" },
    { "node", adr_shell_node, NULL, "evict: the cluster hears a node no more, and never again; demote, promote: its vote" },
    { "token", adr_shell_token, NULL, "create: let a new node in, once (adrestiad join); list, withdraw" },
    { "group", adr_shell_group, NULL, "create: a new group of nodes, by a token a zone; list" },
    { "key", adr_shell_key, NULL, "S3 access keys: create, list, show, disable, enable, delete, rotate, grant, revoke" },
    { "user", adr_shell_user, NULL, "who may use and steer the cluster: profile, create, list, show, disable, enable, delete, rotate" },
    { "settings", adr_shell_settings, NULL, "of the whole cluster: show; set, reset: several in one step, or none" },
    { "audit", adr_shell_audit, NULL, "who changed what in the registry, whose keys, and which users" },
    { "recover", adr_shell_recover, NULL, "a group that has lost its quorum for good: show what is left, sign (offline), apply" },
    { "object", adr_shell_object, NULL, "put, get, stat, delete, make-bucket" },
    { "kv", adr_shell_kv, NULL, "put, get, delete, list of small records" },
    { "init", NULL, adr_shell_init, "found a cluster: keys, certificates, the folders of its hosts" },
    { "cert", NULL, adr_shell_cert, "show or verify a certificate" },
};
#define S_COMMAND_COUNT (sizeof s_commands / sizeof s_commands[0])

static void
s_help (FILE *to)
{
    fprintf (to, "usage: adrestia [--profile FILE] [--json] [--timeout MS] COMMAND ...\n\ncommands:\n");
    for (size_t i = 0; i < S_COMMAND_COUNT; i++)
        fprintf (to, "  %-8s %s\n", s_commands[i].name, s_commands[i].help);
    fputs ("\n"
           "  status [--ready]                                map\n"
           "  object put BUCKET KEY [FILE]                    object get BUCKET KEY [FILE]\n"
           "  object get --id OBJECTID [FILE]                 object stat BUCKET KEY\n"
           "  object delete BUCKET KEY                        object make-bucket BUCKET\n"
           "  kv put SPACE KEY VALUE|- [CONDITION]            kv get SPACE KEY [--read strong|local]\n"
           "  kv delete SPACE KEY [CONDITION]                 kv list SPACE [PREFIX] [--read strong|local]\n"
           "  repair status                                   repair run [WHOM]\n"
           "  repair pause [--for TIME] [WHOM]                scrub [WHOM]\n"
           "  node evict|demote|promote NAME|ID               audit [--since TIME]\n"
           "  node drain|undrain NAME|ID                      of an edge: it takes no new requests; of others: demote, promote\n"
           "  settings show                                   settings reset NAME... [--if-epoch N]\n"
           "  settings set NAME=VALUE... [--if-epoch N]       of the whole cluster: all of them, or none\n"
           "  token create --type T --zone Z [--group G] [--name N] [--expires TIME]   prints a secret: 1h if not given\n"
           "  token list                                      token withdraw ID\n"
           "  group create meta|data --zones Z1,Z2,Z3 [--name N] [--expires TIME]   prints a secret a zone: 24h if not given\n"
           "  group list\n"
           "  key create --owner NAME [--access-key K] [--right BUCKET:LEVEL]...   prints its secret, once\n"
           "  key list                                        key show K\n"
           "  key disable K                                   key enable K\n"
           "  key delete K                                    key rotate K   prints the new secret, once\n"
           "  key grant K BUCKET:LEVEL                        key revoke K BUCKET\n"
           "  LEVEL: read | write | owner; BUCKET may be *. A key that is made without --right reaches everything\n"
           "  user profile FILE.yaml [--like PROFILE]         makes a user's own keys, prints the public one\n"
           "  user create NAME --role ROLE --key PUBLIC [--expires TIME]\n"
           "  user list                                       user show NAME\n"
           "  user disable NAME                               user enable NAME\n"
           "  user delete NAME                                user rotate NAME --key PUBLIC [--expires TIME|never]\n"
           "  ROLE: client: objects and records | reader: sees all, changes nothing | operator: a client who repairs, demotes, promotes\n"
           "    | admin: everything. `init` makes the first of them, operator.yaml\n"
           "  recover show GROUP                              recover sign --ca DIR REQUEST [--passphrase-file FILE]\n"
           "  recover apply STATEMENT --i-accept-loss   what only the other nodes of the group hold is lost\n"
           "  WHOM: --node NAME|ID | --zone Z; left out: everybody. For operators\n"
           "  CONDITION: --if-absent | --if-exists | --if-version E.T.I; kv put takes --ttl TIME, too: 10s, 5m, 2h, 7d\n"
           "  A FILE that is left out, or -, is standard input or output.\n"
           "\n"
           "--profile FILE  how to reach the cluster; else $ADRESTIA_PROFILE, else ~/.config/adrestia/client.yaml\n"
           "--timeout MS    the limit of each request, 1 to 60000; 10000 if not given\n"
           "--json          one JSON document on standard output, for failures too\n"
           "\n"
           "exit codes: 0 ok, 1 not found, 2 conflict (the condition did not hold), 3 refused: not done,\n"
           "  4 timeout: the write may or may not be done, 5 locked, 6 timeout of a read, 7 invalid, 8 denied,\n"
           "  9 damaged, 11 full: not done, 12 no edge can be reached: not done, 13 not ready (status --ready),\n"
           "  64 wrong command line, 66 a file cannot be read or written\n",
           to);
}

/* --- what commands share -------------------------------------------------------------------------------------- */

int
adr_shell_usage (const char *format, ...)
{
    va_list arguments;
    fputs ("adrestia: ", stderr);
    va_start (arguments, format);
    vfprintf (stderr, format, arguments);
    va_end (arguments);
    fputs (" (adrestia --help)\n", stderr);
    return ADR_SHELL_USAGE;
}

void
adr_shell_print (json_t *json)
{
    json_dumpf (json, stdout, JSON_INDENT (2));
    putchar ('\n');
    json_decref (json);
}

static int
s_tell (adr_shell_t *self, int code, const char *name, const char *text)
{
    if (self->json)
        adr_shell_print (json_pack ("{s:s, s:i, s:s}", "result", name, "code", code, "error", text));
    else if (strcmp (name, text) == 0)
        fprintf (stderr, "adrestia: %s\n", name);
    else
        fprintf (stderr, "adrestia: %s: %s\n", name, text);
    return code;
}

int
adr_shell_fail (adr_shell_t *self, adr_result_t result)
{
    const char *text = self->client ? adr_client_error (self->client) : "";
    const char *name = adr_result_name (result);
    return s_tell (self, (int) result, name, text[0] ? text : name);
}

int
adr_shell_fail_file (adr_shell_t *self, const char *path, const char *why)
{
    char text[512];
    snprintf (text, sizeof text, "%s: %s", path, why);
    return s_tell (self, ADR_SHELL_FILE, "file", text);
}

bool
adr_shell_open (adr_shell_t *self)
{
    char error[512];
    if (self->client)
        return true;
    self->client = adr_client_open (self->profile, error, sizeof error);
    if (self->client) {
        if (self->timeout_ms)
            adr_client_set_timeout (self->client, self->timeout_ms);
        return true;
    }
    s_tell (self, ADR_SHELL_FILE, "profile", error);
    if (!self->profile && !getenv ("ADRESTIA_PROFILE"))
        fputs ("A profile says how to reach the cluster: name one with --profile or $ADRESTIA_PROFILE; for a lab,\n"
               "eval \"$(examples/adrestia-lab env)\" does that.\n",
               stderr);
    return false;
}

void
adr_shell_version_format (char text[ADR_SHELL_VERSION_SIZE], const adr_client_version_t *version)
{
    snprintf (text, ADR_SHELL_VERSION_SIZE, "%" PRIu32 ".%" PRIu64 ".%" PRIu64, version->epoch, version->term,
              version->index);
}

/* One number of a version; `text` moves behind it and the separator that must follow. */
static bool
s_number (const char **text, char separator, uint64_t max, uint64_t *number)
{
    char *end;
    if (**text < '0' || **text > '9')
        return false;
    errno = 0;
    *number = strtoull (*text, &end, 10);
    if (errno != 0 || *number > max || *end != separator)
        return false;
    *text = end + (separator != 0);
    return true;
}

bool
adr_shell_version_parse (adr_client_version_t *version, const char *text)
{
    uint64_t epoch;
    if (!s_number (&text, '.', UINT32_MAX, &epoch) || !s_number (&text, '.', UINT64_MAX, &version->term)
        || !s_number (&text, 0, UINT64_MAX, &version->index))
        return false;
    version->epoch = (uint32_t) epoch;
    return true;
}

void
adr_shell_set_bytes (json_t *object, const char *name, const void *bytes, size_t size)
{
    json_t *text = json_stringn (bytes ? bytes : "", size);
    if (text) {
        json_object_set_new (object, name, text);
        return;
    }
    size_t room = sodium_base64_encoded_len (size, sodium_base64_VARIANT_ORIGINAL);
    char *base64 = malloc (room);
    char field[64];
    snprintf (field, sizeof field, "%s_base64", name);
    if (base64)
        sodium_bin2base64 (base64, room, bytes, size, sodium_base64_VARIANT_ORIGINAL);
    json_object_set_new (object, field, base64 ? json_string (base64) : json_null ());
    free (base64);
}

/* --- the command line ----------------------------------------------------------------------------------------- */

const char *
adr_shell_value (const char *name, int argc, char **argv, int *index)
{
    const char *argument = argv[*index];
    size_t size = strlen (name);
    if (strncmp (argument, name, size) != 0 || (argument[size] != 0 && argument[size] != '='))
        return NULL;
    if (argument[size] == '=')
        return argument + size + 1;
    return *index + 1 < argc ? argv[++*index] : "";
}

bool
adr_shell_time_parse (uint64_t *ms, const char *text)
{
    static const struct {
        const char *name;
        uint64_t ms;
    } s_units[] = { { "ms", 1 }, { "s", 1000 }, { "m", 60000 }, { "h", 3600000 }, { "d", 86400000 }, { "w", 604800000 } };
    char *end;
    errno = 0;
    uint64_t number = *text >= '0' && *text <= '9' ? strtoull (text, &end, 10) : 0;
    for (size_t i = 0; number && errno == 0 && i < sizeof s_units / sizeof s_units[0]; i++)
        if (strcmp (end, s_units[i].name) == 0 && !__builtin_mul_overflow (number, s_units[i].ms, ms))
            return true;
    return false;
}

void
adr_shell_time_format (char text[ADR_SHELL_TIME_SIZE], uint64_t ms)
{
    time_t seconds = (time_t) (ms / 1000);
    struct tm tm;
    if (ms == 0 || !gmtime_r (&seconds, &tm) || strftime (text, ADR_SHELL_TIME_SIZE, "%Y-%m-%dT%H:%M:%SZ", &tm) == 0)
        snprintf (text, ADR_SHELL_TIME_SIZE, "never");
}

int
adr_shell_list (adr_shell_t *self, int argc, char **argv, const char *plural, adr_result_t (*list) (adr_shell_t *self, json_t *rows))
{
    for (int index = 2; index < argc;)
        if (adr_shell_global (self, argc, argv, &index) <= 0)
            return adr_shell_usage ("%s list: what is `%s`?", argv[0], argv[index]);
    if (!adr_shell_open (self))
        return ADR_SHELL_FILE;
    json_t *rows = self->json ? json_array () : NULL;
    adr_result_t result = list (self, rows);
    if (result == ADR_OK && rows)
        adr_shell_print (json_pack ("{s:s, s:o}", "result", "ok", plural, rows));
    else
        json_decref (rows);
    return result == ADR_OK ? 0 : adr_shell_fail (self, result);
}

static bool
s_set_timeout (adr_shell_t *self, const char *text)
{
    uint64_t number;
    const char *rest = text;
    if (!s_number (&rest, 0, 60000, &number) || number == 0)
        return false;
    self->timeout_ms = (uint32_t) number;
    return true;
}

int
adr_shell_global (adr_shell_t *self, int argc, char **argv, int *index)
{
    const char *value;
    int taken = 1;
    if (strcmp (argv[*index], "--json") == 0)
        self->json = true;
    else if ((value = adr_shell_value ("--profile", argc, argv, index)) != NULL) {
        self->profile = value;
        if (!*value)
            taken = -1;
    }
    else if ((value = adr_shell_value ("--timeout", argc, argv, index)) != NULL) {
        if (!s_set_timeout (self, value))
            taken = -1;
    }
    else
        return 0;
    if (taken < 0)
        adr_shell_usage ("--profile wants a file, --timeout 1 to 60000 milliseconds");
    ++*index;
    return taken;
}

static int
s_run (adr_shell_t *self, int argc, char **argv)
{
    for (size_t i = 0; i < S_COMMAND_COUNT; i++) {
        if (strcmp (argv[0], s_commands[i].name) != 0)
            continue;
        return s_commands[i].run ? s_commands[i].run (self, argc, argv) : s_commands[i].run_alone (argc, argv);
    }
    return adr_shell_usage ("there is no command `%s`", argv[0]);
}

int
main (int argc, char **argv)
{
    adr_shell_t self = { 0 };
    int at = 1, taken = 0;
    signal (SIGPIPE, SIG_IGN); /* a reader that left is a failed write */
    while (at < argc && argv[at][0] == '-') {
        if (!strcmp (argv[at], "--help") || !strcmp (argv[at], "-h")) {
            s_help (stdout);
            return 0;
        }
        if (!strcmp (argv[at], "--version")) {
            puts ("adrestia " PACKAGE_VERSION);
            return 0;
        }
        taken = adr_shell_global (&self, argc, argv, &at);
        if (taken < 0)
            return ADR_SHELL_USAGE;
        if (taken == 0)
            return adr_shell_usage ("there is no option `%s`", argv[at]);
    }
    if (at == argc) {
        s_help (stderr);
        return ADR_SHELL_USAGE;
    }
    int code = s_run (&self, argc - at, argv + at);
    adr_client_destroy (&self.client);
    if (fflush (stdout) != 0 || ferror (stdout)) {
        fprintf (stderr, "adrestia: standard output: %s\n", strerror (errno));
        return code ? code : ADR_SHELL_FILE;
    }
    return code;
}
