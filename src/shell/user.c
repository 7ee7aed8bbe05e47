/* SPDX-License-Identifier: MPL-2.0 */
/* `adrestia user ...`: admins say who may use and steer the cluster (docs/protocol/credentials.md, USER-1 to USER-6). A user makes his own
 * keys, by `user profile`; the admin is told the public one. */

#include "core/cert.h"
#include "core/credential.h"
#include "shell/shell.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

#define S_EXPIRES_MAX_MS (3660 * UINT64_C (86400000))

typedef struct {
    const char *name;
    adr_user_action_t action;
    bool brings; /* a public key, and maybe an end */
    const char *said;
} s_verb_t;

static const s_verb_t s_verbs[] = {
    { "create", ADR_USER_CREATE, true, "created" },    { "rotate", ADR_USER_ROTATE, true, "rotated" },
    { "disable", ADR_USER_DISABLE, false, "disabled" }, { "enable", ADR_USER_ENABLE, false, "enabled" },
    { "delete", ADR_USER_DELETE, false, "deleted" },
};

/* --- the command line ------------------------------------------------------------------------------------------- */

/* One option of a verb that brings a key; -1: it is none. */
static int
s_parse_option (const s_verb_t *verb, adr_user_info_t *user, int argc, char **argv, int *index)
{
    const char *value;
    adr_node_type_t role;
    uint64_t ms;
    if (verb->action == ADR_USER_CREATE && (value = adr_shell_value ("--role", argc, argv, index)) != NULL) {
        if (!adr_node_type_parse (&role, value) || !adr_node_type_is_role (role))
            return adr_shell_usage ("--role wants client, reader, operator or admin");
        snprintf (user->role, sizeof user->role, "%s", value);
    } else if ((value = adr_shell_value ("--key", argc, argv, index)) != NULL) {
        if (!adr_hex_parse (user->public_key, sizeof user->public_key, value, strlen (value)))
            return adr_shell_usage ("--key wants a public key, 64 hexadecimal digits, as `user profile` prints it");
    } else if ((value = adr_shell_value ("--expires", argc, argv, index)) != NULL) {
        bool never = strcmp (value, "never") == 0;
        if (!never && (!adr_shell_time_parse (&ms, value) || ms > S_EXPIRES_MAX_MS))
            return adr_shell_usage ("--expires wants a time like 12h, 90d, 52w, ten years at most, or never");
        user->expires_ms = never ? UINT64_MAX : (uint64_t) time (NULL) * 1000 + ms;
    } else
        return -1;
    ++*index;
    return 0;
}

/* The words behind the verb. */
static int
s_parse (adr_shell_t *self, const s_verb_t *verb, adr_user_info_t *user, int argc, char **argv)
{
    for (int index = 2; index < argc;) {
        int code = verb->brings ? s_parse_option (verb, user, argc, argv, &index) : -1;
        int taken = code < 0 ? adr_shell_global (self, argc, argv, &index) : 1;
        if (code > 0 || taken < 0)
            return ADR_SHELL_USAGE;
        if (taken > 0)
            continue;
        const char *word = argv[index++];
        if (*user->name || word[0] == '-')
            return adr_shell_usage ("user %s: what is `%s`?", verb->name, word);
        if (!adr_credential_is_access_key (word))
            return adr_shell_usage ("`%s`: a user's name has 3 to 64 letters, digits and -_.", word);
        snprintf (user->name, sizeof user->name, "%s", word);
    }
    if (!*user->name)
        return adr_shell_usage ("user %s: expected a name", verb->name);
    if (verb->action == ADR_USER_CREATE && !*user->role)
        return adr_shell_usage ("user create: --role is missing: client, reader, operator or admin");
    static const uint8_t s_none[sizeof user->public_key];
    return verb->brings && memcmp (user->public_key, s_none, sizeof s_none) == 0
               ? adr_shell_usage ("user %s: --key is missing: the public key that `user profile` prints", verb->name)
               : 0;
}

/* --- what is printed --------------------------------------------------------------------------------------------- */

static json_t *
s_json (const adr_user_info_t *user)
{
    char key[2 * sizeof user->public_key + 1];
    adr_hex_format (key, user->public_key, sizeof user->public_key);
    return json_pack ("{s:s, s:s, s:s, s:b, s:I, s:I, s:I}", "name", user->name, "role", user->role, "public_key", key, "disabled",
                      (int) user->disabled, "created_ms", (json_int_t) user->created_ms, "expires_ms", (json_int_t) user->expires_ms,
                      "generation", (json_int_t) user->generation);
}

/* Of this host's clock: an edge's decides. */
static const char *
s_state (const adr_user_info_t *user)
{
    bool over = user->expires_ms && user->expires_ms <= (uint64_t) time (NULL) * 1000;
    return user->disabled ? "disabled" : over ? "expired" : "enabled";
}

static bool
s_add_row (void *argument, const adr_user_info_t *user)
{
    json_t *rows = argument;
    char expires[ADR_SHELL_TIME_SIZE];
    adr_shell_time_format (expires, user->expires_ms);
    if (rows)
        json_array_append_new (rows, s_json (user));
    else
        printf ("%-24s %-10s %-8s expires %s\n", user->name, user->role, s_state (user), expires);
    return !ferror (stdout);
}

static int
s_fail (adr_shell_t *self, adr_result_t result, const char *name)
{
    int code = adr_shell_fail (self, result);
    if (result == ADR_TIMEOUT || result == ADR_UNKNOWN)
        fprintf (stderr, "adrestia: no PKI node has said that it is done. `adrestia user show %s` tells what there is.\n", name);
    return code;
}

/* --- the verbs ---------------------------------------------------------------------------------------------------- */

static int
s_change (adr_shell_t *self, const s_verb_t *verb, const adr_user_info_t *user)
{
    adr_user_info_t kept;
    if (!adr_shell_open (self))
        return ADR_SHELL_FILE;
    adr_result_t result = adr_user_change (self->client, verb->action, user, &kept);
    if (result != ADR_OK)
        return s_fail (self, result, user->name);
    if (self->json) {
        json_t *object = *kept.name ? s_json (&kept) : json_pack ("{s:s}", "name", user->name);
        json_object_set_new (object, "result", json_string ("ok"));
        adr_shell_print (object);
    } else
        printf ("%s: %s\n", user->name, verb->said);
    return 0;
}

static adr_result_t
s_list (adr_shell_t *self, json_t *rows)
{
    return adr_user_list (self->client, s_add_row, rows);
}

static int
s_show (adr_shell_t *self, int argc, char **argv)
{
    static const s_verb_t verb = { "show", 0, false, "" };
    adr_user_info_t asked = { 0 }, user;
    int code = s_parse (self, &verb, &asked, argc, argv);
    if (code)
        return code;
    if (!adr_shell_open (self))
        return ADR_SHELL_FILE;
    adr_result_t result = adr_user_show (self->client, asked.name, &user);
    if (result != ADR_OK)
        return adr_shell_fail (self, result);
    if (self->json) {
        adr_shell_print (s_json (&user));
        return 0;
    }
    char created[ADR_SHELL_TIME_SIZE], expires[ADR_SHELL_TIME_SIZE], key[2 * sizeof user.public_key + 1];
    adr_shell_time_format (created, user.created_ms);
    adr_shell_time_format (expires, user.expires_ms);
    adr_hex_format (key, user.public_key, sizeof user.public_key);
    printf ("name:       %s\nrole:       %s\nstate:      %s\ncreated:    %s\nexpires:    %s\npublic key: %s\n", user.name, user.role,
            s_state (&user), created, expires, key);
    return 0;
}

int
adr_shell_user (adr_shell_t *self, int argc, char **argv)
{
    const char *name = argc > 1 ? argv[1] : "";
    if (strcmp (name, "profile") == 0)
        return adr_shell_user_profile (self, argc, argv);
    if (strcmp (name, "list") == 0)
        return adr_shell_list (self, argc, argv, "users", s_list);
    if (strcmp (name, "show") == 0)
        return s_show (self, argc, argv);
    for (size_t i = 0; i < sizeof s_verbs / sizeof s_verbs[0]; i++) {
        adr_user_info_t user = { 0 };
        if (strcmp (name, s_verbs[i].name) != 0)
            continue;
        int code = s_parse (self, &s_verbs[i], &user, argc, argv);
        return code ? code : s_change (self, &s_verbs[i], &user);
    }
    return adr_shell_usage ("user: expected profile, create, list, show, disable, enable, delete or rotate");
}
