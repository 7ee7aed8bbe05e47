/* SPDX-License-Identifier: MPL-2.0 */
/* `adrestia token create`: an admin lets one new node in [TRUST-5]; list, withdraw: what he has let in, and that he does not any more. A new
 * token's text alone goes to standard output, so that it can go into a file or to `adrestiad join --token-file -`, and never stand in a command line. */

#include "core/cert.h"
#include "core/token.h"
#include "shell/shell.h"

#include <sodium.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#define S_VALID_MS (3600 * UINT64_C (1000))

/* A text option: taken into `*field`, once. */
static int
s_parse_text (const char *name, const char **field, int argc, char **argv, int *index)
{
    const char *value = adr_shell_value (name, argc, argv, index);
    if (!value)
        return -1;
    if (!*value || *field)
        return adr_shell_usage ("token create: %s wants a value, once", name);
    *field = value;
    return 0;
}

/* 0: taken; -1: none of ours; else the exit code. */
static int
s_parse_own (adr_token_terms_t *terms, int argc, char **argv, int *index)
{
    const struct {
        const char *name;
        const char **field;
    } texts[] = { { "--type", &terms->type }, { "--zone", &terms->zone }, { "--group", &terms->group }, { "--name", &terms->name } };
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        int code = s_parse_text (texts[i].name, texts[i].field, argc, argv, index);
        if (code >= 0)
            return code;
    }
    const char *value = adr_shell_value ("--expires", argc, argv, index);
    if (!value)
        return -1;
    if (!adr_shell_time_parse (&terms->valid_ms, value) || terms->valid_ms > ADR_TOKEN_VALID_MAX_MS)
        return adr_shell_usage ("--expires wants a time like 30s, 10m, 1h, 2d, at most 7d");
    return 0;
}

/* What cannot be is told before anybody is asked. */
static int
s_check (const adr_token_terms_t *terms)
{
    adr_node_type_t type;
    if (!terms->type || !terms->zone)
        return adr_shell_usage ("token create: --type and --zone are missing");
    if (!adr_node_type_parse (&type, terms->type) || type > ADR_NODE_PKI)
        return adr_shell_usage ("token create: --type %s: expected edge, meta, data or pki", terms->type);
    if (type == ADR_NODE_EDGE && terms->group)
        return adr_shell_usage ("token create: an edge is in no group");
    return 0;
}

static int
s_parse (adr_shell_t *self, adr_token_terms_t *terms, int argc, char **argv)
{
    for (int index = 2; index < argc;) {
        int code = s_parse_own (terms, argc, argv, &index);
        if (code > 0)
            return code;
        if (code == 0) {
            index++;
            continue;
        }
        int taken = adr_shell_global (self, argc, argv, &index);
        if (taken <= 0)
            return taken < 0 ? ADR_SHELL_USAGE : adr_shell_usage ("token create: what is `%s`?", argv[index]);
    }
    return s_check (terms);
}

static void
s_print (const adr_shell_t *self, const adr_token_terms_t *terms, const adr_token_made_t *made)
{
    if (!self->json) {
        puts (made->text);
        return;
    }
    json_t *group = made->group[0] ? json_string (made->group) : json_null ();
    adr_shell_print (json_pack ("{s:s, s:i, s:s, s:s, s:s, s:o, s:s, s:I}", "result", "ok", "code", 0, "token", made->text, "name",
                                made->name, "zone", made->zone, "group", group, "type", terms->type, "expires_ms",
                                (json_int_t) made->expires_ms));
}

static int
s_run_create (adr_shell_t *self, int argc, char **argv)
{
    adr_token_terms_t terms = { .valid_ms = S_VALID_MS };
    adr_token_made_t made;
    int code = s_parse (self, &terms, argc, argv);
    if (code)
        return code;
    if (!adr_shell_open (self))
        return ADR_SHELL_FILE;
    adr_result_t result = adr_token_create (self->client, &terms, &made);
    if (result == ADR_OK)
        s_print (self, &terms, &made);
    sodium_memzero (&made, sizeof made);
    if (result == ADR_TIMEOUT)
        fputs ("adrestia: nobody answered; only PKI nodes can do this: are they up?\n", stderr);
    return result == ADR_OK ? 0 : adr_shell_fail (self, result);
}

/* --- those there are ---------------------------------------------------------------------------------------------- */

#define S_ID_MIN 8 /* hexadecimal digits that name a token, if no other one begins with them */

/* Of this host's clock: a PKI node's decides. */
static const char *
s_state (const adr_token_info_t *token)
{
    bool over = token->expires_ms <= (uint64_t) time (NULL) * 1000;
    return *token->node ? "used" : token->withdrawn ? "withdrawn" : over ? "expired" : "open";
}

static bool
s_add_row (void *argument, const adr_token_info_t *token)
{
    json_t *rows = argument;
    char id[2 * sizeof token->id + 1], until[ADR_SHELL_TIME_SIZE];
    adr_shell_time_format (until, token->expires_ms);
    adr_hex_format (id, token->id, sizeof token->id);
    if (rows)
        json_array_append_new (rows, json_pack ("{s:s, s:s, s:s, s:s, s:s, s:s, s:I, s:s}", "id", id, "name", token->name, "type", token->type,
                                                "zone", token->zone, "group", token->group, "state", s_state (token), "expires_ms",
                                                (json_int_t) token->expires_ms, "node", token->node));
    else
        printf ("%.16s  %-9s %-24s until %s%s%s\n", id, s_state (token), token->name, until, *token->node ? "  node " : "", token->node);
    return !ferror (stdout);
}

static adr_result_t
s_list (adr_shell_t *self, json_t *rows)
{
    return adr_token_list (self->client, s_add_row, rows);
}

typedef struct {
    const char *digits;
    size_t found;
    adr_token_info_t token; /* the last that was found */
} s_search_t;

static bool
s_match (void *argument, const adr_token_info_t *token)
{
    s_search_t *search = argument;
    char id[2 * sizeof token->id + 1];
    adr_hex_format (id, token->id, sizeof token->id);
    if (strncmp (id, search->digits, strlen (search->digits)) == 0) {
        search->found++;
        search->token = *token;
    }
    return true;
}

static int
s_run_withdraw (adr_shell_t *self, int argc, char **argv)
{
    s_search_t search = { 0 };
    for (int index = 2; index < argc;) {
        int taken = adr_shell_global (self, argc, argv, &index);
        if (taken < 0)
            return ADR_SHELL_USAGE;
        if (taken == 0 && search.digits)
            return adr_shell_usage ("token withdraw: what is `%s`?", argv[index]);
        if (taken == 0)
            search.digits = argv[index++];
    }
    if (!search.digits || strlen (search.digits) < S_ID_MIN || strspn (search.digits, "0123456789abcdef") != strlen (search.digits))
        return adr_shell_usage ("token withdraw: expected a token's id, as `token list` shows it, or its first %d digits at least", S_ID_MIN);
    if (!adr_shell_open (self))
        return ADR_SHELL_FILE;
    adr_result_t result = adr_token_list (self->client, s_match, &search);
    if (result == ADR_OK && search.found > 1)
        return adr_shell_usage ("token withdraw: %zu tokens begin with `%s`", search.found, search.digits);
    if (result == ADR_OK && search.found == 1)
        result = adr_token_withdraw (self->client, search.token.id);
    else if (result == ADR_OK)
        result = ADR_NOT_FOUND;
    if (result != ADR_OK)
        return adr_shell_fail (self, result);
    if (self->json)
        adr_shell_print (json_pack ("{s:s, s:s}", "result", "ok", "name", search.token.name));
    else
        printf ("%s: withdrawn\n", search.token.name);
    return 0;
}

int
adr_shell_token (adr_shell_t *self, int argc, char **argv)
{
    const char *name = argc > 1 ? argv[1] : "";
    if (strcmp (name, "create") == 0)
        return s_run_create (self, argc, argv);
    if (strcmp (name, "list") == 0)
        return adr_shell_list (self, argc, argv, "tokens", s_list);
    if (strcmp (name, "withdraw") == 0)
        return s_run_withdraw (self, argc, argv);
    return adr_shell_usage ("token: expected create, list or withdraw");
}
