/* SPDX-License-Identifier: MPL-2.0 */
/* `adrestia group create`: an admin makes a group of meta or data nodes, which is forming until a host has joined by each of its tokens
 * [GROUP-2]; list: which groups there are. The tokens' texts alone are secrets; each stands on a line of its own, behind its zone. */

#include "core/token.h"
#include "shell/shell.h"

#include <sodium.h>
#include <stdio.h>
#include <string.h>

#define S_VALID_MS (24 * 3600 * UINT64_C (1000))
#define S_ZONES_TEXT_MAX (ADR_GROUP_ZONES_MAX * 64)

/* The terms, and the room that zones' names stand in. */
typedef struct {
    adr_group_terms_t terms;
    const char *zone[ADR_GROUP_ZONES_MAX];
    char zones[S_ZONES_TEXT_MAX];
} s_wish_t;

/* "z1,z2,z3". 0, or the exit code, and the user was told. */
static int
s_parse_zones (s_wish_t *wish, const char *text)
{
    if (wish->terms.zone_count || !*text || strlen (text) >= sizeof wish->zones)
        return adr_shell_usage ("group create: --zones wants names with commas between them, once");
    strcpy (wish->zones, text);
    for (char *at = wish->zones, *next; at; at = next) {
        next = strchr (at, ',');
        if (next)
            *next++ = '\0';
        if (!*at || wish->terms.zone_count == ADR_GROUP_ZONES_MAX)
            return adr_shell_usage ("group create: --zones %s: expected 1 to %d names with commas between them", text, ADR_GROUP_ZONES_MAX);
        wish->zone[wish->terms.zone_count++] = at;
    }
    return 0;
}

/* 0: taken; -1: none of ours; else the exit code. */
static int
s_parse_own (s_wish_t *wish, int argc, char **argv, int *index)
{
    const char *value = adr_shell_value ("--zones", argc, argv, index);
    if (value)
        return s_parse_zones (wish, value);
    value = adr_shell_value ("--name", argc, argv, index);
    if (value && (!*value || wish->terms.name))
        return adr_shell_usage ("group create: --name wants a value, once");
    if (value) {
        wish->terms.name = value;
        return 0;
    }
    value = adr_shell_value ("--expires", argc, argv, index);
    if (!value)
        return -1;
    if (!adr_shell_time_parse (&wish->terms.valid_ms, value) || wish->terms.valid_ms > ADR_TOKEN_VALID_MAX_MS)
        return adr_shell_usage ("--expires wants a time like 30s, 10m, 1h, 2d, at most 7d");
    return 0;
}

static int
s_parse (adr_shell_t *self, s_wish_t *wish, int argc, char **argv)
{
    for (int index = 2; index < argc;) {
        int code = s_parse_own (wish, argc, argv, &index);
        if (code > 0)
            return code;
        if (code == 0) {
            index++;
            continue;
        }
        int taken = adr_shell_global (self, argc, argv, &index);
        if (taken < 0)
            return ADR_SHELL_USAGE;
        if (taken == 0 && (wish->terms.type || argv[index][0] == '-'))
            return adr_shell_usage ("group create: what is `%s`?", argv[index]);
        if (taken == 0)
            wish->terms.type = argv[index++];
    }
    if (!wish->terms.type || (strcmp (wish->terms.type, "meta") && strcmp (wish->terms.type, "data")))
        return adr_shell_usage ("group create: expected meta or data");
    return wish->terms.zone_count ? 0 : adr_shell_usage ("group create: --zones is missing");
}

/* One zone keeps no second copy of anything. */
static bool
s_is_redundant (const adr_group_made_t *made)
{
    return made->token_count >= 2;
}

static void
s_print_json (const adr_group_made_t *made, const char *type)
{
    json_t *tokens = json_array ();
    for (size_t i = 0; i < made->token_count; i++)
        json_array_append_new (tokens, json_pack ("{s:s, s:s, s:s, s:I}", "zone", made->token[i].zone, "name", made->token[i].name, "token",
                                                  made->token[i].text, "expires_ms", (json_int_t) made->token[i].expires_ms));
    adr_shell_print (json_pack ("{s:s, s:i, s:s, s:s, s:b, s:o}", "result", "ok", "code", 0, "group", made->name, "type", type, "redundant",
                                s_is_redundant (made), "tokens", tokens));
}

static void
s_print (const adr_shell_t *self, const adr_group_made_t *made, const char *type)
{
    if (self->json) {
        s_print_json (made, type);
        return;
    }
    fprintf (stderr, "group %s: forming, until a host has joined by each of these tokens%s\n", made->name,
             s_is_redundant (made) ? "" : "; not redundant");
    for (size_t i = 0; i < made->token_count; i++)
        printf ("%s  %s  %s\n", made->token[i].zone, made->token[i].name, made->token[i].text);
}

static int
s_run_create (adr_shell_t *self, int argc, char **argv)
{
    s_wish_t wish = { .terms = { .valid_ms = S_VALID_MS } };
    adr_group_made_t made;
    wish.terms.zone = wish.zone;
    int code = s_parse (self, &wish, argc, argv);
    if (code)
        return code;
    if (!adr_shell_open (self))
        return ADR_SHELL_FILE;
    adr_result_t result = adr_group_create (self->client, &wish.terms, &made);
    if (result == ADR_OK)
        s_print (self, &made, wish.terms.type);
    sodium_memzero (&made, sizeof made);
    if (result == ADR_TIMEOUT || result == ADR_UNKNOWN)
        fputs ("adrestia: nobody answered in time; `group list` tells whether it was made: its tokens are lost then, and `token create"
               " --group` makes others\n", stderr);
    return result == ADR_OK ? 0 : adr_shell_fail (self, result);
}

/* --- those there are ------------------------------------------------------------------------------------------------ */

static void
s_print_row (const json_t *row)
{
    const json_t *zone;
    size_t i;
    printf ("%-8s %-5s %-8s nodes %-3" JSON_INTEGER_FORMAT " partitions %-6" JSON_INTEGER_FORMAT,
            json_string_value (json_object_get (row, "name")), json_string_value (json_object_get (row, "type")),
            json_string_value (json_object_get (row, "state")), json_integer_value (json_object_get (row, "nodes")),
            json_integer_value (json_object_get (row, "partitions")));
    json_array_foreach (json_object_get (row, "waits_for"), i, zone)
        printf ("%s%s", i ? ", " : " waits for ", json_string_value (zone));
    puts (json_is_true (json_object_get (row, "redundant")) ? "" : "  not redundant");
}

static int
s_run_list (adr_shell_t *self, int argc, char **argv)
{
    for (int index = 2; index < argc;) {
        int taken = adr_shell_global (self, argc, argv, &index);
        if (taken <= 0)
            return taken < 0 ? ADR_SHELL_USAGE : adr_shell_usage ("group list: what is `%s`?", argv[index]);
    }
    int code = 0;
    json_t *map = adr_shell_map_fetch (self, &code), *groups = json_array ();
    const json_t *group;
    size_t i;
    json_array_foreach (json_object_get (map, "groups"), i, group) {
        json_t *row = json_pack ("{s:O, s:O, s:O, s:O, s:O, s:O, s:O}", "name", json_object_get (group, "name"), "type",
                                 json_object_get (group, "type"), "state", json_object_get (group, "state"), "nodes",
                                 json_object_get (group, "zones"), "partitions", json_object_get (group, "partitions"), "waits_for",
                                 json_object_get (group, "waits_for"), "redundant", json_object_get (group, "redundant"));
        if (self->json)
            json_array_append (groups, row);
        else
            s_print_row (row);
        json_decref (row);
    }
    if (map && self->json)
        adr_shell_print (json_pack ("{s:s, s:i, s:O}", "result", "ok", "code", 0, "groups", groups));
    json_decref (groups);
    if (map)
        code = 0;
    json_decref (map);
    return code;
}

int
adr_shell_group (adr_shell_t *self, int argc, char **argv)
{
    const char *name = argc > 1 ? argv[1] : "";
    if (strcmp (name, "create") == 0)
        return s_run_create (self, argc, argv);
    if (strcmp (name, "list") == 0)
        return s_run_list (self, argc, argv);
    return adr_shell_usage ("group: expected create or list");
}
