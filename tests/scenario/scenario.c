/* SPDX-License-Identifier: MPL-2.0 */
/* Runs scenario files: commands, and under each the trace that it must leave.
 *
 *     scenario [--rewrite] [FILE...]       without a FILE: all of $top_srcdir/tests/scenario/
 *
 * A line that starts with four spaces is expected trace; `#` starts a comment; everything else is a command of
 * tests/scenario/README. --rewrite puts the trace that was left into the file, to be read in review. */

#include "world.h"

#include "wire/pack.h"
#include "wire/table.h"

#include <glob.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define S_WORDS_MAX 32

typedef struct {
    world_t *world;
    adr_buffer_t output; /* the file as it should be */
    const char *file;
    int line;
} s_run_t;

static _Noreturn void
s_fail (const s_run_t *self, const char *what, const char *word)
{
    fprintf (stderr, "%s:%d: %s: %s\n", self->file, self->line, what, word);
    exit (2);
}

static void
s_trace (world_t *world, const char *line)
{
    s_run_t *self = world->argument;
    adr_buffer_append (&self->output, "    ", 4);
    adr_buffer_append (&self->output, line, strlen (line));
    adr_buffer_append (&self->output, "\n", 1);
}

static int
s_node (const s_run_t *self, const char *name)
{
    int node = world_find (self->world, name);
    if (node < 0)
        s_fail (self, "no such node", name);
    return node;
}

static uint16_t
s_kind (const s_run_t *self, const char *name)
{
    for (uint16_t kind = 1; kind < 128; kind++)
        if (strcmp (adr_kind_name (kind), name) == 0)
            return kind;
    s_fail (self, "no such message", name);
}

static int64_t
s_time (const s_run_t *self, const char *word)
{
    char *end;
    long number = strtol (word, &end, 10);
    if (strcmp (end, "ms") == 0)
        return number * ADR_MS;
    if (strcmp (end, "s") == 0)
        return number * 1000 * ADR_MS;
    s_fail (self, "not a time", word);
}

static adr_position_t
s_position (const s_run_t *self, const char *word)
{
    adr_position_t position;
    if (sscanf (word, "%" SCNu64 ".%" SCNu64, &position.term, &position.index) != 2)
        s_fail (self, "not a position (TERM.INDEX)", word);
    return position;
}

/* a,b~2,c: names with incarnations */
static adr_voters_t
s_voters (const s_run_t *self, char *word)
{
    adr_voters_t voters = { .quorum = 2 };
    for (char *name = strtok (word, ","); name != NULL; name = strtok (NULL, ",")) {
        char *wave = strchr (name, '~');
        uint64_t incarnation = wave ? strtoull (wave + 1, NULL, 10) : 1;
        if (wave)
            *wave = '\0';
        voters.voter[voters.count++] = (adr_voter_t){ self->world->node[s_node (self, name)].id, incarnation };
    }
    return voters;
}

/* --- commands: how the world is made --------------------------------------------------------------------------- */

/* group a b c [standby d]: nodes of one group; the first ones are its founding voters */
static void
s_do_group (s_run_t *self, char **word, int count)
{
    uint32_t voters = 0;
    bool standby = false;
    for (int i = 1; i < count; i++) {
        if (strcmp (word[i], "standby") == 0) {
            standby = true;
            continue;
        }
        world_add (self->world, word[i]);
        voters += !standby;
    }
    world_found (self->world, voters);
}

static void
s_do_start (s_run_t *self, char **word, int count)
{
    for (int i = 1; i < count; i++)
        world_start (self->world, s_node (self, word[i]));
    world_run (self->world, self->world->time_ns);
}

static void
s_do_crash (s_run_t *self, char **word, int count)
{
    for (int i = 1; i < count; i++)
        world_crash (self->world, s_node (self, word[i]));
}

static void
s_do_stop (s_run_t *self, char **word, int count)
{
    for (int i = 1; i < count; i++)
        world_stop (self->world, s_node (self, word[i]));
    world_run (self->world, self->world->time_ns);
}

static void
s_do_pause (s_run_t *self, char **word, int count)
{
    for (int i = 1; i < count; i++)
        self->world->node[s_node (self, word[i])].paused = true;
}

static void
s_do_resume (s_run_t *self, char **word, int count)
{
    for (int i = 1; i < count; i++)
        self->world->node[s_node (self, word[i])].paused = false;
    world_run (self->world, self->world->time_ns);
}

/* seed N: the pseudo-random timeouts of all nodes that start from here on */
static void
s_do_seed (s_run_t *self, char **word, int count)
{
    (void) count;
    self->world->seed = strtoull (word[1], NULL, 10);
}

/* --- commands: what the replicator that is not one says -------------------------------------------------------- */

/* log a 3.17: the log of a ends there */
static void
s_do_log (s_run_t *self, char **word, int count)
{
    (void) count;
    int node = s_node (self, word[1]);
    self->world->node[node].replicator.last = s_position (self, word[2]);
    if (self->world->node[node].up)
        world_say_voters (self->world, node);
    world_run (self->world, self->world->time_ns);
}

/* voters a a,b~2,c [3.18]: the newest voters entry in the log of a */
static void
s_do_voters (s_run_t *self, char **word, int count)
{
    int node = s_node (self, word[1]);
    adr_voters_t voters = s_voters (self, word[2]);
    if (count > 3)
        voters.at = s_position (self, word[3]);
    self->world->node[node].replicator.voters = voters;
    if (self->world->node[node].up)
        world_say_voters (self->world, node);
    world_run (self->world, self->world->time_ns);
}

/* replicator a fence=N space=N state=N may_stand=N */
static void
s_do_replicator (s_run_t *self, char **word, int count)
{
    int node = s_node (self, word[1]);
    world_replicator_t *at = &self->world->node[node].replicator;
    for (int i = 2; i < count; i++) {
        char *value = strchr (word[i], '=');
        if (value == NULL)
            s_fail (self, "not NAME=NUMBER", word[i]);
        *value++ = '\0';
        uint64_t number = strtoull (value, NULL, 10);
        if (strcmp (word[i], "fence") == 0)
            at->fence = number;
        else if (strcmp (word[i], "space") == 0)
            at->space = (uint32_t) number;
        else if (strcmp (word[i], "state") == 0)
            at->state = (uint32_t) number;
        else if (strcmp (word[i], "may_stand") == 0)
            at->may_stand = number != 0;
        else
            s_fail (self, "no such thing", word[i]);
    }
    if (self->world->node[node].up)
        world_say_voters (self->world, node);
    world_run (self->world, self->world->time_ns);
}

/* incarnation a 2: a drew a new one; before its start */
static void
s_do_incarnation (s_run_t *self, char **word, int count)
{
    (void) count;
    self->world->node[s_node (self, word[1])].incarnation = strtoull (word[2], NULL, 10);
}

/* disk a hold | free | 200ms */
static void
s_do_disk (s_run_t *self, char **word, int count)
{
    (void) count;
    int node = s_node (self, word[1]);
    if (strcmp (word[2], "hold") == 0) {
        self->world->node[node].disk_held = true;
    } else if (strcmp (word[2], "free") == 0) {
        world_free_disk (self->world, node);
        world_run (self->world, self->world->time_ns);
    } else {
        self->world->node[node].disk_ns = s_time (self, word[2]);
    }
}

/* --- commands: network and time -------------------------------------------------------------------------------- */

/* drop|hold a->b [KIND...], `*` for any node; local messages with a->a */
static void
s_add_rules (s_run_t *self, char **word, int count, bool hold)
{
    char *arrow = strstr (word[1], "->");
    if (arrow == NULL || self->world->rule_count + count > WORLD_RULES_MAX)
        s_fail (self, "not FROM->TO", word[1]);
    *arrow = '\0';
    world_rule_t rule = { strcmp (word[1], "*") == 0 ? -1 : s_node (self, word[1]),
                          strcmp (arrow + 2, "*") == 0 ? -1 : s_node (self, arrow + 2), 0, hold };
    if (count == 2)
        self->world->rule[self->world->rule_count++] = rule;
    for (int i = 2; i < count; i++) {
        rule.kind = s_kind (self, word[i]);
        self->world->rule[self->world->rule_count++] = rule;
    }
}

static void
s_do_drop (s_run_t *self, char **word, int count)
{
    s_add_rules (self, word, count, false);
}

static void
s_do_hold (s_run_t *self, char **word, int count)
{
    s_add_rules (self, word, count, true);
}

/* heal: no more drops and holds; what is held stays held */
static void
s_do_heal (s_run_t *self, char **word, int count)
{
    (void) word;
    (void) count;
    self->world->rule_count = 0;
}

/* free [KIND...]: what is held goes on its way */
static void
s_do_free (s_run_t *self, char **word, int count)
{
    if (count == 1)
        world_free (self->world, 0);
    for (int i = 1; i < count; i++)
        world_free (self->world, s_kind (self, word[i]));
    world_run (self->world, self->world->time_ns);
}

static void
s_do_advance (s_run_t *self, char **word, int count)
{
    (void) count;
    world_run (self->world, self->world->time_ns + s_time (self, word[1]));
}

/* until a leads | until nobody leads | until somebody leads: at most 30 s */
static void
s_do_until (s_run_t *self, char **word, int count)
{
    (void) count;
    bool somebody = strcmp (word[1], "somebody") == 0;
    int node = somebody || strcmp (word[1], "nobody") == 0 ? -1 : s_node (self, word[1]);
    int64_t deadline_ns = self->world->time_ns + 30000 * ADR_MS;
    while ((world_master (self->world) == node) == somebody)
        if (!world_step (self->world, deadline_ns))
            s_fail (self, "did not happen within 30 s", word[1]);
    world_run (self->world, self->world->time_ns);
}

static void
s_show (s_run_t *self, char **word, int count, bool show)
{
    for (int i = 1; i < count; i++) {
        uint16_t kind = s_kind (self, word[i]);
        if (show)
            self->world->shown[kind / 64] |= UINT64_C (1) << kind % 64;
        else
            self->world->shown[kind / 64] &= ~(UINT64_C (1) << kind % 64);
    }
}

static void
s_do_show (s_run_t *self, char **word, int count)
{
    s_show (self, word, count, true);
}

static void
s_do_hide (s_run_t *self, char **word, int count)
{
    s_show (self, word, count, false);
}

/* --- command: a message of the file's own ---------------------------------------------------------------------- */

static adr_actor_kind_t
s_actor (const s_run_t *self, const char *name)
{
    for (int actor = 1; actor < ADR_ACTOR_COUNT; actor++)
        if (strcmp (adr_actor_name ((adr_actor_kind_t) actor), name) == 0)
            return (adr_actor_kind_t) actor;
    s_fail (self, "no such actor", name);
}

static void
s_address (const s_run_t *self, char *word, int *node, adr_actor_kind_t *actor)
{
    char *dot = strchr (word, '.');
    if (dot == NULL)
        s_fail (self, "not NODE.ACTOR", word);
    *dot = '\0';
    *node = s_node (self, word);
    *actor = s_actor (self, dot + 1);
}

static void
s_set_field (s_run_t *self, ProtobufCMessage *header, char *word, adr_voters_t *voters, adr_voter_set_t *set)
{
    char *value = strchr (word, '=');
    if (value != NULL)
        *value++ = '\0';
    const ProtobufCFieldDescriptor *field = protobuf_c_message_descriptor_get_field_by_name (header->descriptor, word);
    if (field == NULL)
        s_fail (self, "the message has no such field", word);
    void *at = (char *) header + field->offset;
    uint64_t number = value ? strtoull (value, NULL, 10) : 1;
    switch (field->type) {
    case PROTOBUF_C_TYPE_BYTES:
        *(ProtobufCBinaryData *) at = adr_id_view (&self->world->node[s_node (self, value)].id);
        break;
    case PROTOBUF_C_TYPE_STRING:
        *(char **) at = value;
        break;
    case PROTOBUF_C_TYPE_MESSAGE:
        *voters = s_voters (self, value);
        *(Adr__VoterSet **) at = adr_voter_set_fill (set, voters);
        break;
    case PROTOBUF_C_TYPE_BOOL:
        *(protobuf_c_boolean *) at = number != 0;
        break;
    case PROTOBUF_C_TYPE_UINT32:
        *(uint32_t *) at = (uint32_t) number;
        break;
    default:
        *(uint64_t *) at = number;
        break;
    }
}

/* send a.election -> b.election KIND field=value ... */
static void
s_do_send (s_run_t *self, char **word, int count)
{
    int from, to;
    adr_actor_kind_t from_actor, to_actor;
    uint64_t header[64]; /* room for the largest header struct that a scenario sends */
    adr_voters_t voters;
    adr_voter_set_t set;
    if (count < 5 || strcmp (word[2], "->") != 0)
        s_fail (self, "not FROM -> TO KIND", word[0]);
    s_address (self, word[1], &from, &from_actor);
    s_address (self, word[3], &to, &to_actor);
    const adr_kind_row_t *row = adr_kind_row (s_kind (self, word[4]));
    adr_assert (row->descriptor->sizeof_message <= sizeof header);
    protobuf_c_message_init (row->descriptor, header);
    for (int i = 5; i < count; i++)
        s_set_field (self, (ProtobufCMessage *) header, word[i], &voters, &set);
    world_send (self->world, from, from_actor, to, to_actor, row->kind, (ProtobufCMessage *) header);
    world_run (self->world, self->world->time_ns);
}

/* --- files ----------------------------------------------------------------------------------------------------- */

static const struct {
    const char *name;
    void (*run) (s_run_t *self, char **word, int count);
    int words; /* at least, with the name */
} s_commands[] = {
    { "group", s_do_group, 2 },   { "start", s_do_start, 2 },   { "crash", s_do_crash, 2 },
    { "stop", s_do_stop, 2 },     { "pause", s_do_pause, 2 },   { "resume", s_do_resume, 2 },
    { "seed", s_do_seed, 2 },     { "log", s_do_log, 3 },       { "voters", s_do_voters, 3 },
    { "replicator", s_do_replicator, 3 },                       { "incarnation", s_do_incarnation, 3 },
    { "disk", s_do_disk, 3 },     { "drop", s_do_drop, 2 },     { "hold", s_do_hold, 2 },
    { "heal", s_do_heal, 1 },     { "free", s_do_free, 1 },     { "advance", s_do_advance, 2 },
    { "until", s_do_until, 3 },   { "show", s_do_show, 2 },     { "hide", s_do_hide, 2 },
    { "send", s_do_send, 5 },
};

static void
s_command (s_run_t *self, const char *line)
{
    char text[512];
    char *word[S_WORDS_MAX];
    char *place = NULL;
    int count = 0;
    snprintf (text, sizeof text, "%s", line);
    for (char *at = strtok_r (text, " ", &place); at != NULL && count < S_WORDS_MAX; at = strtok_r (NULL, " ", &place))
        word[count++] = at;
    if (count > 1 && strcmp (word[0], "quietly") == 0) {
        self->world->trace = NULL;
        s_command (self, line + strlen ("quietly "));
        self->world->trace = s_trace;
        return;
    }
    for (size_t i = 0; i < sizeof s_commands / sizeof s_commands[0]; i++) {
        if (count == 0 || strcmp (word[0], s_commands[i].name) != 0)
            continue;
        if (count < s_commands[i].words)
            s_fail (self, "too few words", line);
        s_commands[i].run (self, word, count);
        return;
    }
    s_fail (self, "no such command", line);
}

static const char *const s_shown_at_first[]
    = { "CALL",   "SUPPORT", "VOTE_REQUEST", "VOTE",   "STAND", "RELEASE", "HIGHER_TERM",
        "FENCE",  "FENCED",  "LEAD",         "MASTER", "RESIGN", "STOOD_DOWN" };

static char *
s_read_file (const char *path, size_t *size)
{
    FILE *file = fopen (path, "r");
    if (file == NULL) {
        perror (path);
        exit (2);
    }
    adr_buffer_t text = { NULL, 0, 0 };
    char chunk[4096];
    for (size_t got; (got = fread (chunk, 1, sizeof chunk, file)) > 0;)
        adr_buffer_append (&text, chunk, got);
    fclose (file);
    *size = text.size;
    adr_buffer_append (&text, "", 1);
    return (char *) text.data;
}

static void
s_run_lines (s_run_t *self, char *text)
{
    for (char *line = text, *end; *line != '\0'; line = end) {
        end = strchr (line, '\n');
        end = end ? end + 1 : line + strlen (line);
        self->line++;
        if (strncmp (line, "    ", 4) == 0)
            continue;
        adr_buffer_append (&self->output, line, (size_t) (end - line));
        bool command = *line != '#' && *line != '\n';
        char last = end[-1];
        if (last == '\n')
            end[-1] = '\0';
        if (command)
            s_command (self, line);
        end[-1] = last;
    }
}

static void
s_show_difference (const char *path, const char *expected, const char *seen)
{
    int line = 1;
    while (*expected != '\0' || *seen != '\0') {
        size_t a = strcspn (expected, "\n"), b = strcspn (seen, "\n");
        if (a != b || memcmp (expected, seen, a) != 0) {
            fprintf (stderr, "%s:%d: first difference\n  expected %.*s\n  seen     %.*s\n", path, line, (int) a, expected,
                     (int) b, seen);
            return;
        }
        expected += a + (expected[a] == '\n');
        seen += b + (seen[b] == '\n');
        line++;
    }
}

static bool
s_run_file (const char *path, bool rewrite)
{
    size_t size;
    char *text = s_read_file (path, &size);
    char *copy = strdup (text);
    s_run_t run = { .world = world_new (1), .file = path };
    run.world->trace = s_trace;
    run.world->argument = &run;
    for (size_t i = 0; i < sizeof s_shown_at_first / sizeof s_shown_at_first[0]; i++) {
        uint16_t kind = s_kind (&run, s_shown_at_first[i]);
        run.world->shown[kind / 64] |= UINT64_C (1) << kind % 64;
    }
    s_run_lines (&run, copy);
    bool same = run.output.size == size && memcmp (run.output.data, text, size) == 0;
    if (!same && rewrite) {
        FILE *file = fopen (path, "w");
        adr_assert (file != NULL);
        fwrite (run.output.data, 1, run.output.size, file);
        fclose (file);
    } else if (!same) {
        adr_buffer_append (&run.output, "", 1);
        s_show_difference (path, text, (char *) run.output.data);
    }
    if (run.world->broken[0] != '\0')
        fprintf (stderr, "%s: broken: %s\n", path, run.world->broken);
    bool passed = (same || rewrite) && run.world->broken[0] == '\0';
    printf ("%s %s\n", passed ? "ok  " : "FAIL", path);
    world_destroy (&run.world);
    adr_buffer_free (&run.output);
    free (copy);
    free (text);
    return passed;
}

int
main (int count, char **argument)
{
    bool rewrite = count > 1 && strcmp (argument[1], "--rewrite") == 0;
    int first = rewrite ? 2 : 1, failed = 0;
    if (first < count) {
        for (int i = first; i < count; i++)
            failed += !s_run_file (argument[i], rewrite);
        return failed != 0;
    }
    char pattern[4096];
    const char *top = getenv ("top_srcdir");
    glob_t files;
    snprintf (pattern, sizeof pattern, "%s/tests/scenario/*.txt", top ? top : ".");
    if (glob (pattern, 0, NULL, &files) != 0) {
        fprintf (stderr, "%s: no scenarios there\n", pattern);
        return 2;
    }
    for (size_t i = 0; i < files.gl_pathc; i++)
        failed += !s_run_file (files.gl_pathv[i], rewrite);
    printf ("%zu passed, %d failed\n", files.gl_pathc - (size_t) failed, failed);
    globfree (&files);
    return failed != 0;
}
