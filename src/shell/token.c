/* SPDX-License-Identifier: MPL-2.0 */
/* `adrestia token create`: an admin lets one new node in [TRUST-5]. The token's text alone goes to standard output, so that it can
 * go into a file or to `adrestiad join --token-file -`, and never stand in a command line. */

#include "core/token.h"
#include "shell/shell.h"

#include <sodium.h>
#include <stdio.h>
#include <string.h>

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
    if (argc < 2 || strcmp (argv[1], "create") != 0)
        return adr_shell_usage ("token: expected `create --type TYPE --zone ZONE`");
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

int
adr_shell_token (adr_shell_t *self, int argc, char **argv)
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
        fputs ("adrestia: nobody answered; only PKI nodes can do this: are they up?\n",
               stderr);
    return result == ADR_OK ? 0 : adr_shell_fail (self, result);
}
