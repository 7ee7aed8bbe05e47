/* SPDX-License-Identifier: MPL-2.0 */
/* `adrestia recover`: the way back for a group that has lost its quorum for good (docs/protocol/recover.md). show: what is left of it, and the
 * request that names the best survivor; sign: the root's signature under that, offline; apply: that it be so.
 *
 * Owns: nothing. Makes durable: nothing. */

#include "core/cert.h"
#include "core/recovery_statement.h"
#include "shell/init.h"
#include "shell/shell.h"

#include <errno.h>
#include <inttypes.h>
#include <sodium.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#define S_PREFIX "adrr1."

typedef struct {
    const char *word; /* a group, a request or a statement */
    const char *ca, *passphrase;
    bool accepts_loss;
} s_options_t;

/* --- the command line --------------------------------------------------------------------------------------------- */

/* 1: taken, 0: none of ours, -1: wrong, and the user was told. */
static int
s_parse_own (s_options_t *options, int argc, char **argv, int *index)
{
    const char *value;
    if (strcmp (argv[*index], "--i-accept-loss") == 0)
        options->accepts_loss = true;
    else if ((value = adr_shell_value ("--ca", argc, argv, index)) != NULL)
        options->ca = value;
    else if ((value = adr_shell_value ("--passphrase-file", argc, argv, index)) != NULL)
        options->passphrase = value;
    else if (argv[*index][0] != '-' || argv[*index][1] == '\0') {
        if (options->word)
            return adr_shell_usage ("recover %s: what is `%s`?", argv[1], argv[*index]), -1;
        options->word = argv[*index];
    } else
        return 0;
    ++*index;
    return 1;
}

static int
s_parse (adr_shell_t *self, s_options_t *options, int argc, char **argv)
{
    for (int index = 2; index < argc;) {
        int taken = s_parse_own (options, argc, argv, &index);
        if (taken == 0)
            taken = adr_shell_global (self, argc, argv, &index);
        if (taken <= 0)
            return taken < 0 ? ADR_SHELL_USAGE : adr_shell_usage ("recover %s: what is `%s`?", argv[1], argv[index]);
    }
    return 0;
}

/* The text itself, or the first bytes of a file that holds it; `-` is standard input. */
static int
s_read_text (adr_shell_t *self, const char *word, char text[ADR_RECOVERY_TEXT_SIZE])
{
    if (strncmp (word, S_PREFIX, sizeof S_PREFIX - 1) == 0) {
        if (snprintf (text, ADR_RECOVERY_TEXT_SIZE, "%s", word) >= ADR_RECOVERY_TEXT_SIZE)
            return adr_shell_fail_file (self, "the text", "is too long");
        return 0;
    }
    bool standard = strcmp (word, "-") == 0;
    FILE *file = standard ? stdin : fopen (word, "re");
    if (!file)
        return adr_shell_fail_file (self, word, strerror (errno));
    size_t size = fread (text, 1, ADR_RECOVERY_TEXT_SIZE - 1, file);
    bool good = !ferror (file);
    text[size] = '\0';
    if (!standard)
        fclose (file);
    return good ? 0 : adr_shell_fail_file (self, word, "cannot be read");
}

/* --- show --------------------------------------------------------------------------------------------------------- */

static json_t *
s_row_json (const adr_survivor_t *row)
{
    return json_pack ("{s:s, s:s, s:s, s:s, s:b, s:b, s:s, s:I, s:I, s:I, s:I, s:b}", "name", row->name, "id", row->id, "result",
                      adr_result_name (row->result), "text", row->text, "whole", (int) row->whole, "led", (int) row->led, "state", row->state,
                      "incarnation", (json_int_t) row->incarnation, "last_term", (json_int_t) row->last_term, "last_index",
                      (json_int_t) row->last_index, "number", (json_int_t) row->number, "best", (int) row->best);
}

static void
s_print_row (const adr_survivor_t *row)
{
    if (row->result != ADR_OK)
        printf ("%c %-14s %s\n", ' ', row->name, row->text);
    else
        printf ("%c %-14s %-15s log ends at %" PRIu64 " of term %" PRIu64 ", incarnation %" PRIx64 ", recoveries %" PRIu64 ", %s%s\n",
                row->best ? '*' : ' ', row->name, row->state, row->last_index, row->last_term, row->incarnation, row->number, row->text,
                row->led ? ", hears a master" : "");
}

static void
s_print_show (adr_shell_t *self, const adr_survivor_t *rows, size_t count, const char *request)
{
    json_t *list = json_array ();
    for (size_t i = 0; i < count; i++) {
        if (self->json)
            json_array_append_new (list, s_row_json (&rows[i]));
        else
            s_print_row (&rows[i]);
    }
    if (self->json && *request)
        adr_shell_print (json_pack ("{s:s, s:i, s:O, s:s}", "result", "ok", "code", 0, "nodes", list, "request", request));
    else if (*request)
        printf ("request %s\n", request);
    json_decref (list);
}

static int
s_show (adr_shell_t *self, const s_options_t *options)
{
    adr_survivor_t rows[ADR_SURVIVORS_MAX];
    char request[ADR_RECOVERY_TEXT_SIZE];
    size_t count;
    if (!options->word)
        return adr_shell_usage ("recover show: expected a group");
    if (!adr_shell_open (self))
        return ADR_SHELL_FILE;
    adr_result_t result = adr_recovery_show (self->client, options->word, rows, &count, request);
    s_print_show (self, rows, count, request);
    return result == ADR_OK ? 0 : adr_shell_fail (self, result);
}

/* --- sign --------------------------------------------------------------------------------------------------------- */

/* For whoever has to answer for it. */
static void
s_print_words (FILE *to, const adr_recovery_t *recovery)
{
    char cluster[ADR_ID_TEXT_SIZE], group[ADR_ID_TEXT_SIZE], survivor[ADR_ID_TEXT_SIZE];
    adr_id_format (&recovery->cluster, cluster);
    adr_id_format (&recovery->group, group);
    adr_id_format (&recovery->survivor, survivor);
    fprintf (to, "recovery %" PRIu64 " of group %s of cluster %s:\n", recovery->number, group, cluster);
    fprintf (to, "  goes on alone   node %s, incarnation %" PRIx64 "\n", survivor, recovery->incarnation);
    fprintf (to, "  from            entry %" PRIu64 " of term %" PRIu64 " on, the last of its log\n", recovery->end.index, recovery->end.term);
    fprintf (to, "  is lost         whatever its log does not hold, though it was acknowledged\n");
    fprintf (to, "  are evicted     all other nodes of the group, for good, whether they live or not\n");
    fprintf (to, "  registry        epoch %" PRIu64 " or above\n", recovery->epoch);
}

static int64_t
s_now_ms (void)
{
    struct timespec now;
    clock_gettime (CLOCK_REALTIME, &now);
    return (int64_t) now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static int
s_sign (adr_shell_t *self, const s_options_t *options)
{
    adr_cert_t root;
    adr_keys_t keys = { 0 };
    adr_recovery_t recovery;
    char text[ADR_RECOVERY_TEXT_SIZE];
    if (!options->word || !options->ca)
        return adr_shell_usage ("recover sign: expected --ca DIR and a request");
    int code = s_read_text (self, options->word, text);
    if (code)
        return code;
    if (!adr_recovery_parse (&recovery, text, strlen (text)) || recovery.is_signed) {
        fputs ("adrestia: that is no request of `recover show`: was a letter mistyped?\n", stderr);
        return ADR_INVALID;
    }
    s_print_words (stderr, &recovery);
    if (!adr_shell_read_root (options->ca, options->passphrase, &root, &keys))
        return ADR_SHELL_FILE;
    bool own = adr_id_equal (&root.cluster, &recovery.cluster);
    if (own) {
        adr_recovery_sign (&recovery, s_now_ms (), keys.sign_seed);
        adr_recovery_format (&recovery, text);
        puts (text);
    } else
        fputs ("adrestia: the request is for another cluster than the root's\n", stderr);
    sodium_memzero (&keys, sizeof keys);
    return own ? 0 : ADR_DENIED;
}

/* --- apply -------------------------------------------------------------------------------------------------------- */

static int
s_apply (adr_shell_t *self, const s_options_t *options)
{
    char text[ADR_RECOVERY_TEXT_SIZE];
    adr_recovery_t recovery;
    if (!options->word)
        return adr_shell_usage ("recover apply: expected a statement");
    int code = s_read_text (self, options->word, text);
    if (code)
        return code;
    if (!options->accepts_loss) {
        if (adr_recovery_parse (&recovery, text, strlen (text)))
            s_print_words (stderr, &recovery);
        return adr_shell_usage ("recover apply: nothing was done: --i-accept-loss is missing");
    }
    if (!adr_shell_open (self))
        return ADR_SHELL_FILE;
    adr_result_t result = adr_recovery_apply (self->client, text);
    if (result != ADR_OK)
        return adr_shell_fail (self, result);
    if (self->json)
        adr_shell_print (json_pack ("{s:s, s:i}", "result", "ok", "code", 0));
    else
        puts ("recovered: its survivor goes on alone; let new nodes in by tokens");
    return 0;
}

int
adr_shell_recover (adr_shell_t *self, int argc, char **argv)
{
    s_options_t options = { 0 };
    if (argc < 2)
        return adr_shell_usage ("recover: expected `show GROUP`, `sign --ca DIR REQUEST` or `apply STATEMENT --i-accept-loss`");
    int code = s_parse (self, &options, argc, argv);
    if (code)
        return code;
    if (strcmp (argv[1], "show") == 0)
        return s_show (self, &options);
    if (strcmp (argv[1], "sign") == 0)
        return s_sign (self, &options);
    if (strcmp (argv[1], "apply") == 0)
        return s_apply (self, &options);
    return adr_shell_usage ("recover: there is no `%s`: show, sign or apply", argv[1]);
}
