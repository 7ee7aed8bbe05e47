/* SPDX-License-Identifier: MPL-2.0 */
/* `adrestia status`, `adrestia map` and `adrestia repair status`: the edge's clusterMap for people, and as JSON. */

#include "shell/shell.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *
s_text (const json_t *object, const char *name)
{
    const char *text = json_string_value (json_object_get (object, name));
    return text ? text : "-";
}

static json_int_t
s_number (const json_t *object, const char *name)
{
    return json_integer_value (json_object_get (object, name));
}

json_t *
adr_shell_map_fetch (adr_shell_t *self, int *code)
{
    char *text;
    *code = ADR_SHELL_FILE;
    if (!adr_shell_open (self))
        return NULL;
    adr_result_t result = adr_cluster_map (self->client, &text);
    if (result != ADR_OK) {
        *code = adr_shell_fail (self, result);
        return NULL;
    }
    json_t *map = json_loads (text, 0, NULL);
    free (text);
    if (!map)
        *code = adr_shell_fail (self, ADR_DAMAGED);
    return map;
}

/* Options of both commands: what all know, and `flag` (may be NULL). */
static int
s_parse (adr_shell_t *self, int argc, char **argv, const char *flag, bool *given)
{
    for (int index = 1; index < argc;) {
        if (flag && !strcmp (argv[index], flag)) {
            *given = true;
            index++;
            continue;
        }
        int taken = adr_shell_global (self, argc, argv, &index);
        if (taken < 0)
            return ADR_SHELL_USAGE;
        if (taken == 0)
            return adr_shell_usage ("%s: what is `%s`?", argv[0], argv[index]);
    }
    return 0;
}

/* --- status --------------------------------------------------------------------------------------------------- */

/* A master says each second how its group is, and it takes two more to come here at the latest. */
#define S_SILENT_S 5

/* "z2, z3". */
static void
s_join_names (const json_t *zones, char *text, size_t room)
{
    const json_t *zone;
    size_t i, used = 0;
    text[0] = '\0';
    json_array_foreach (zones, i, zone)
        if (used < room)
            used += (size_t) snprintf (text + used, room - used, "%s%s", used ? ", " : "", json_string_value (zone));
}

static bool
s_is_forming (const json_t *group)
{
    return strcmp (s_text (group, "state"), "forming") == 0;
}

static bool
s_has_owner (const json_t *map, const char *type)
{
    const json_t *owner;
    size_t i;
    json_array_foreach (json_object_get (map, "owners"), i, owner)
        if (strcmp (s_text (owner, "type"), type) == 0)
            return true;
    return false;
}

/* [GROUP-5] What the cluster cannot do while nobody owns partitions of a type. */
static void
s_note_types_without_owner (const json_t *map, json_t *why)
{
    if (!s_has_owner (map, "meta"))
        json_array_append_new (why, json_string ("no group of meta nodes owns partitions -> nothing can be read or written (group create meta)"));
    if (!s_has_owner (map, "data"))
        json_array_append_new (why, json_string ("no group of data nodes owns partitions -> objects can be neither read nor written (group create data)"));
}

/* It lacks nothing that others do not have, unless nobody else owns partitions of its type. */
static void
s_note_forming (const json_t *map, const json_t *group, json_t *why)
{
    char zones[ADR_GROUP_ZONES_MAX * 66];
    s_join_names (json_object_get (group, "waits_for"), zones, sizeof zones);
    if (!s_has_owner (map, s_text (group, "type")))
        json_array_append_new (why, json_sprintf ("%s is forming: nobody has joined in %s", s_text (group, "name"), zones));
}

/* The cluster is ready when each group has a master, of which one has heard lately, and each member is a voter that is online-ready. What is not is
 * told in a line each. */
static bool
s_is_ready (const json_t *map, json_t *why)
{
    const json_t *group, *member;
    size_t i, j;
    s_note_types_without_owner (map, why);
    json_array_foreach (json_object_get (map, "groups"), i, group) {
        const json_t *members = json_object_get (group, "members");
        json_int_t age_s = s_number (group, "age_ms") / 1000;
        if (s_is_forming (group)) {
            s_note_forming (map, group, why);
            continue;
        }
        if (age_s >= S_SILENT_S)
            json_array_append_new (why, json_sprintf ("%s: its master was heard of %" JSON_INTEGER_FORMAT " s ago",
                                                      s_text (group, "name"), age_s));
        if (!json_is_string (json_object_get (group, "master")))
            json_array_append_new (why, json_sprintf ("%s has no master", s_text (group, "name")));
        else if ((json_int_t) json_array_size (members) < s_number (group, "zones"))
            json_array_append_new (why, json_sprintf ("%s: not all members are known to its master",
                                                      s_text (group, "name")));
        json_array_foreach (members, j, member) {
            if (strcmp (s_text (member, "state"), "online-ready") != 0)
                json_array_append_new (why, json_sprintf ("%s is %s", s_text (member, "name"),
                                                          s_text (member, "state")));
            else if (!json_is_true (json_object_get (member, "voter")))
                json_array_append_new (why, json_sprintf ("%s is no voter yet", s_text (member, "name")));
        }
    }
    return json_array_size (why) == 0;
}

static void
s_print_group (const json_t *group)
{
    const json_t *member;
    size_t i;
    if (s_is_forming (group)) {
        char zones[ADR_GROUP_ZONES_MAX * 66];
        s_join_names (json_object_get (group, "waits_for"), zones, sizeof zones);
        printf ("group %-8s forming: %" JSON_INTEGER_FORMAT " nodes have joined, waits for %s\n", s_text (group, "name"),
                s_number (group, "zones"), zones);
        return;
    }
    printf ("group %-8s master %-14s term %-6" JSON_INTEGER_FORMAT " commit %-10" JSON_INTEGER_FORMAT " voters %"
            JSON_INTEGER_FORMAT " quorum %" JSON_INTEGER_FORMAT "%s%s%s\n",
            s_text (group, "name"), s_text (group, "master"), s_number (group, "term"), s_number (group, "commit"),
            s_number (group, "voters"), s_number (group, "quorum"),
            json_is_true (json_object_get (group, "redundant")) ? "" : "  not redundant",
            s_number (group, "partitions") || !json_object_get (group, "partitions") ? "" : "  owns no partitions",
            json_is_object (json_object_get (group, "recovery")) ? "  recovered: nothing of it is swept or collected" : "");
    json_array_foreach (json_object_get (group, "members"), i, member)
        printf ("  %-14s %-17s %-8s lag %-7" JSON_INTEGER_FORMAT " start %" JSON_INTEGER_FORMAT "\n", s_text (member, "name"),
                s_text (member, "state"), json_is_true (json_object_get (member, "voter")) ? "voter" : "standby",
                s_number (member, "lag"), s_number (member, "start"));
}

static bool
s_is_evicted (const json_t *node)
{
    return strcmp (s_text (node, "state"), "evicted") == 0;
}

static void
s_print_status (const json_t *map, const json_t *why)
{
    const json_t *row;
    size_t i;
    printf ("cluster %s  %s  map epoch %" JSON_INTEGER_FORMAT "\nzones  ", s_text (map, "name"),
            s_text (map, "cluster"), s_number (map, "epoch"));
    json_array_foreach (json_object_get (map, "zones"), i, row)
        printf (" %s", s_text (row, "name"));
    printf ("\nedges  ");
    json_array_foreach (json_object_get (map, "nodes"), i, row)
        if (strcmp (s_text (row, "type"), "edge") == 0 && !s_is_evicted (row))
            printf (" %s(%s)%s", s_text (row, "name"), s_text (row, "http"), json_is_true (json_object_get (row, "leaving")) ? " drains" : "");
    putchar ('\n');
    bool any = false;
    json_array_foreach (json_object_get (map, "nodes"), i, row)
        if (s_is_evicted (row)) {
            printf ("%s %s", any ? "" : "evicted", s_text (row, "name"));
            any = true;
        }
    if (any)
        putchar ('\n');
    json_array_foreach (json_object_get (map, "groups"), i, row)
        s_print_group (row);
    puts (json_array_size (why) == 0 ? "ready" : "not ready:");
    json_array_foreach (why, i, row)
        printf ("  %s\n", json_string_value (row));
}

int
adr_shell_status (adr_shell_t *self, int argc, char **argv)
{
    bool strict = false;
    int code = s_parse (self, argc, argv, "--ready", &strict);
    if (code)
        return code;
    json_t *map = adr_shell_map_fetch (self, &code);
    if (!map)
        return code;
    json_t *why = json_array ();
    bool ready = s_is_ready (map, why);
    if (self->json) {
        json_t *json = json_pack ("{s:s, s:i, s:b}", "result", "ok", "code", 0, "ready", ready);
        json_object_set (json, "not_ready", why);
        json_object_update (json, map);
        adr_shell_print (json);
    }
    else
        s_print_status (map, why);
    json_decref (why);
    json_decref (map);
    return strict && !ready ? ADR_SHELL_NOT_READY : 0;
}

/* --- map ------------------------------------------------------------------------------------------------------ */

static void
s_print_map (const json_t *map)
{
    const json_t *row;
    size_t i;
    printf ("cluster %s  %s  map epoch %" JSON_INTEGER_FORMAT "  partitions %" JSON_INTEGER_FORMAT "  quorum %"
            JSON_INTEGER_FORMAT "\n",
            s_text (map, "name"), s_text (map, "cluster"), s_number (map, "epoch"), s_number (map, "partitions"),
            s_number (map, "quorum"));
    json_array_foreach (json_object_get (map, "zones"), i, row)
        printf ("zone   %-14s %s\n", s_text (row, "name"), s_text (row, "id"));
    json_array_foreach (json_object_get (map, "nodes"), i, row)
        printf ("node   %-14s %s  %s %s  %s\n", s_text (row, "name"), s_text (row, "id"), s_text (row, "type"),
                s_text (row, "zone"), s_text (row, "control"));
    json_array_foreach (json_object_get (map, "groups"), i, row)
        printf ("group  %-14s %s  %s  master %s\n", s_text (row, "name"), s_text (row, "id"), s_text (row, "type"),
                s_text (row, "master"));
    json_array_foreach (json_object_get (map, "owners"), i, row)
        printf ("owner  %s partitions %" JSON_INTEGER_FORMAT " to %" JSON_INTEGER_FORMAT ": %s, epoch %"
                JSON_INTEGER_FORMAT "\n",
                s_text (row, "type"), s_number (row, "first"), s_number (row, "last"), s_text (row, "group"),
                s_number (row, "epoch"));
}

int
adr_shell_map (adr_shell_t *self, int argc, char **argv)
{
    int code = s_parse (self, argc, argv, NULL, NULL);
    if (code)
        return code;
    json_t *map = adr_shell_map_fetch (self, &code);
    if (!map)
        return code;
    if (self->json) {
        json_object_set_new (map, "result", json_string ("ok"));
        json_object_set_new (map, "code", json_integer (0));
        adr_shell_print (map);
        return 0;
    }
    s_print_map (map);
    json_decref (map);
    return 0;
}

/* --- repair ---------------------------------------------------------------------------------------------------- */

static void
s_print_repair (const json_t *member)
{
    const json_t *repair = json_object_get (member, "repair");
    printf ("  %-14s %-17s %-10s", s_text (member, "name"), s_text (member, "state"), s_text (repair, "copy"));
    if (s_number (repair, "partitions"))
        printf (" %" JSON_INTEGER_FORMAT " of %" JSON_INTEGER_FORMAT " partitions, %.1f MiB pulled, %.1f MiB/s, %"
                JSON_INTEGER_FORMAT " s left",
                s_number (repair, "done"), s_number (repair, "partitions"), (double) s_number (repair, "pulled") / 1048576,
                (double) s_number (repair, "rate") / 1048576, s_number (repair, "left_s"));
    if (s_number (repair, "paused_s"))
        printf (" paused for %" JSON_INTEGER_FORMAT " s yet", s_number (repair, "paused_s"));
    printf (" scrubbed %" JSON_INTEGER_FORMAT " of %" JSON_INTEGER_FORMAT ", %" JSON_INTEGER_FORMAT " damaged",
            s_number (repair, "scrub_done"), s_number (repair, "scrub_partitions"), s_number (repair, "damaged"));
    putchar ('\n');
}

/* How far each copy is exact, and what is being done about it. */
static json_t *
s_repair_of (const json_t *map)
{
    json_t *groups = json_array ();
    const json_t *group, *member;
    size_t i, j;
    json_array_foreach (json_object_get (map, "groups"), i, group) {
        json_t *members = json_array ();
        json_array_foreach (json_object_get (group, "members"), j, member)
            json_array_append_new (members, json_pack ("{s:O, s:O, s:O}", "name", json_object_get (member, "name"), "state",
                                                       json_object_get (member, "state"), "repair",
                                                       json_object_get (member, "repair")));
        json_array_append_new (groups, json_pack ("{s:O, s:o}", "name", json_object_get (group, "name"), "members", members));
    }
    return groups;
}

int
adr_shell_repair (adr_shell_t *self, int argc, char **argv)
{
    if (argc > 1 && strcmp (argv[1], "run") == 0)
        return adr_shell_steer (self, ADR_ACTION_REPAIR_RUN, argc - 1, argv + 1);
    if (argc > 1 && strcmp (argv[1], "pause") == 0)
        return adr_shell_steer (self, ADR_ACTION_REPAIR_PAUSE, argc - 1, argv + 1);
    if (argc < 2 || strcmp (argv[1], "status") != 0)
        return adr_shell_usage ("repair: expected `status`, `run` or `pause`");
    int code = s_parse (self, argc - 1, argv + 1, NULL, NULL);
    json_t *map = code ? NULL : adr_shell_map_fetch (self, &code);
    if (!map)
        return code;
    json_t *groups = s_repair_of (map);
    const json_t *group, *member;
    size_t i, j;
    json_decref (map);
    if (self->json) {
        adr_shell_print (json_pack ("{s:s, s:i, s:o}", "result", "ok", "code", 0, "groups", groups));
        return 0;
    }
    json_array_foreach (groups, i, group) {
        printf ("group %s\n", s_text (group, "name"));
        json_array_foreach (json_object_get (group, "members"), j, member)
            s_print_repair (member);
    }
    json_decref (groups);
    return 0;
}
