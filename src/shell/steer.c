/* SPDX-License-Identifier: MPL-2.0 */
/* `adrestia repair run`, `adrestia repair pause` and `adrestia scrub`: operators steer what nodes do by themselves else;
 * `adrestia node evict|demote|promote`, remove, drain and undrain: they end one, make and unmake a voter, or drain an edge; `adrestia audit`: what they did. */

#include "core/limits.h"
#include "shell/shell.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

typedef struct {
    const char *node, *zone; /* whom it is for; NULL: all */
    uint64_t for_ms;
} s_steer_t;

/* --- the command line ----------------------------------------------------------------------------------------- */

static int
s_parse_one (adr_shell_t *self, s_steer_t *steer, bool pauses, int argc, char **argv, int *index)
{
    const char *value;
    if (pauses && (value = adr_shell_value ("--for", argc, argv, index)) != NULL) {
        if (!adr_shell_time_parse (&steer->for_ms, value) || steer->for_ms > ADR_PAUSE_MAX_MS)
            return adr_shell_usage ("--for wants a time like 30s, 10m, 2h, at most 24h");
    }
    else if ((value = adr_shell_value ("--node", argc, argv, index)) != NULL)
        steer->node = value;
    else if ((value = adr_shell_value ("--zone", argc, argv, index)) != NULL)
        steer->zone = value;
    else {
        int taken = adr_shell_global (self, argc, argv, index);
        return taken < 0 ? ADR_SHELL_USAGE : taken == 0 ? adr_shell_usage ("%s: what is `%s`?", argv[0], argv[*index]) : 0;
    }
    ++*index;
    return 0;
}

static int
s_parse (adr_shell_t *self, s_steer_t *steer, bool pauses, int argc, char **argv)
{
    for (int index = 1; index < argc;) {
        int code = s_parse_one (self, steer, pauses, argc, argv, &index);
        if (code)
            return code;
    }
    if (steer->node && steer->zone)
        return adr_shell_usage ("%s: --node or --zone, not both", argv[0]);
    return 0;
}

/* --- whom it is for ------------------------------------------------------------------------------------------- */

static const char *
s_text (const json_t *object, const char *name)
{
    const char *text = json_string_value (json_object_get (object, name));
    return text ? text : "";
}

static bool
s_is_meant (const s_steer_t *steer, const json_t *node)
{
    if (strcmp (s_text (node, "type"), "edge") == 0)
        return false;
    if (steer->node)
        return strcmp (s_text (node, "name"), steer->node) == 0 || strcmp (s_text (node, "id"), steer->node) == 0;
    return steer->zone == NULL || strcmp (s_text (node, "zone"), steer->zone) == 0;
}

/* The nodes of the map that are meant. */
static json_t *
s_choose (const s_steer_t *steer, const json_t *map)
{
    json_t *chosen = json_array (), *node;
    size_t i;
    json_array_foreach (json_object_get (map, "nodes"), i, node)
        if (s_is_meant (steer, node))
            json_array_append (chosen, node);
    return chosen;
}

/* --- what they say -------------------------------------------------------------------------------------------- */

static void
s_print (adr_shell_t *self, const json_t *nodes, const adr_node_answer_t *answers, adr_result_t result)
{
    json_t *rows = json_array (), *node;
    size_t i;
    json_array_foreach (nodes, i, node) {
        if (!self->json)
            printf ("%-14s %s\n", s_text (node, "name"), answers[i].text);
        json_array_append_new (rows, json_pack ("{s:s, s:s, s:s, s:s}", "name", s_text (node, "name"), "id",
                                                s_text (node, "id"), "result", adr_result_name (answers[i].result), "text",
                                                answers[i].text));
    }
    if (self->json)
        adr_shell_print (json_pack ("{s:s, s:i, s:o}", "result", adr_result_name (result), "code", (int) result, "nodes", rows));
    else
        json_decref (rows);
}

static void
s_hint (adr_action_t action, const adr_node_answer_t *answers, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (answers[i].result != ADR_TIMEOUT)
            return;
    fprintf (stderr, "adrestia: nobody answered%s\n", action >= ADR_ACTION_EVICT ? "; only PKI nodes can do this: are they up?" : "");
}

static int
s_ask (adr_shell_t *self, adr_action_t action, const s_steer_t *steer, const json_t *nodes)
{
    size_t count = json_array_size (nodes), i;
    adr_node_answer_t *answers = calloc (count, sizeof *answers);
    const json_t *node;
    if (answers == NULL)
        return adr_shell_fail (self, ADR_REFUSED);
    json_array_foreach (nodes, i, node)
        answers[i].node = s_text (node, "id");
    adr_result_t result = adr_nodes_control (self->client, action, (uint32_t) steer->for_ms, answers, count);
    s_print (self, nodes, answers, result);
    s_hint (action, answers, count);
    free (answers);
    return (int) result;
}

int
adr_shell_steer (adr_shell_t *self, adr_action_t action, int argc, char **argv)
{
    s_steer_t steer = { 0 };
    int code = s_parse (self, &steer, action == ADR_ACTION_REPAIR_PAUSE, argc, argv);
    json_t *map = code ? NULL : adr_shell_map_fetch (self, &code);
    if (!map)
        return code;
    json_t *nodes = s_choose (&steer, map);
    if (json_array_size (nodes) == 0)
        code = adr_shell_usage ("%s: there is no such node that holds copies, or no such zone", argv[0]);
    else
        code = s_ask (self, action, &steer, nodes);
    json_decref (nodes);
    json_decref (map);
    return code;
}

int
adr_shell_scrub (adr_shell_t *self, int argc, char **argv)
{
    return adr_shell_steer (self, ADR_ACTION_SCRUB, argc, argv);
}

/* --- one node ---------------------------------------------------------------------------------------------------- */

static const json_t *
s_find_node (const json_t *map, const char *name)
{
    const json_t *node;
    size_t i;
    json_array_foreach (json_object_get (map, "nodes"), i, node)
        if (strcmp (s_text (node, "name"), name) == 0 || strcmp (s_text (node, "id"), name) == 0)
            return node;
    return NULL;
}

static bool
s_find_action (const char *word, adr_action_t *action)
{
    static const struct {
        const char *word;
        adr_action_t action;
    } s_words[] = { { "evict", ADR_ACTION_EVICT },   { "demote", ADR_ACTION_DEMOTE }, { "promote", ADR_ACTION_PROMOTE },
                    { "remove", ADR_ACTION_EVICT }, { "drain", ADR_ACTION_DEMOTE }, { "undrain", ADR_ACTION_PROMOTE } };
    /* the last three: the same, by the names that others have */
    for (size_t i = 0; i < sizeof s_words / sizeof s_words[0]; i++)
        if (strcmp (s_words[i].word, word) == 0) {
            *action = s_words[i].action;
            return true;
        }
    return false;
}

/* Whoever holds copies is let go by its group first, which may take some seconds. */
int
adr_shell_node (adr_shell_t *self, int argc, char **argv)
{
    adr_action_t action;
    if (argc < 3 || !s_find_action (argv[1], &action))
        return adr_shell_usage ("node: expected `evict NAME`, `demote NAME` or `promote NAME` (remove, drain and undrain are the same)");
    for (int index = 3; index < argc;) { /* which moves on behind what it takes, and says what is wrong with it */
        int taken = adr_shell_global (self, argc, argv, &index);
        if (taken <= 0)
            return taken < 0 ? ADR_SHELL_USAGE : adr_shell_usage ("node %s: what is `%s`?", argv[1], argv[index]);
    }
    int code = 0;
    json_t *map = adr_shell_map_fetch (self, &code);
    if (!map)
        return code;
    const json_t *node = s_find_node (map, argv[2]);
    json_t *nodes = json_array ();
    if (node)
        json_array_append (nodes, (json_t *) node);
    s_steer_t steer = { 0 };
    code = node ? s_ask (self, action, &steer, nodes) : adr_shell_usage ("node %s: there is no node `%s`", argv[1], argv[2]);
    json_decref (nodes);
    json_decref (map);
    return code;
}

/* --- what was done ------------------------------------------------------------------------------------------------- */

static bool
s_print_line (void *argument, const char *line, size_t size, uint64_t time_ms)
{
    const uint64_t *since_ms = argument;
    if (time_ms >= *since_ms) {
        fwrite (line, 1, size, stdout);
        putchar ('\n');
    }
    return !ferror (stdout);
}

/* JSON lines, with --json or without. */
int
adr_shell_audit (adr_shell_t *self, int argc, char **argv)
{
    uint64_t back_ms = 0, since_ms = 0;
    for (int index = 1; index < argc;) {
        const char *value = adr_shell_value ("--since", argc, argv, &index);
        if (value && !adr_shell_time_parse (&back_ms, value))
            return adr_shell_usage ("--since wants a time like 30m, 2h, 7d");
        int taken = value ? (index++, 1) : adr_shell_global (self, argc, argv, &index);
        if (taken <= 0)
            return taken < 0 ? ADR_SHELL_USAGE : adr_shell_usage ("audit: what is `%s`?", argv[index]);
    }
    if (back_ms) {
        struct timespec now;
        clock_gettime (CLOCK_REALTIME, &now);
        uint64_t now_ms = (uint64_t) now.tv_sec * 1000;
        since_ms = now_ms > back_ms ? now_ms - back_ms : 0;
    }
    if (!adr_shell_open (self))
        return ADR_SHELL_FILE;
    adr_result_t result = adr_audit_list (self->client, s_print_line, &since_ms);
    return result == ADR_OK ? 0 : adr_shell_fail (self, result);
}
