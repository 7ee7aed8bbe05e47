/* SPDX-License-Identifier: MPL-2.0 */
/* `adrestia key ...`: admins make, change and end the access keys of S3 clients (docs/protocol/credentials.md). A secret is drawn
 * here and printed once, when the PKI group has it; it stands in no file and no command line. */

#include "core/credential.h"
#include "shell/shell.h"

#include <sodium.h>
#include <stdio.h>
#include <string.h>

#define S_ACCESS_SIZE 20
#define S_SECRET_SIZE 40

typedef struct {
    const char *name;
    adr_key_action_t action;
    int words;    /* behind the name: 1: an access key, 2: and a right or bucket */
    bool secret;  /* it draws one */
    const char *said;
} s_verb_t;

static const s_verb_t s_verbs[] = {
    { "create", ADR_KEY_CREATE, 0, true, "created" },    { "disable", ADR_KEY_DISABLE, 1, false, "disabled" },
    { "enable", ADR_KEY_ENABLE, 1, false, "enabled" },   { "delete", ADR_KEY_DELETE, 1, false, "deleted" },
    { "rotate", ADR_KEY_ROTATE, 1, true, "rotated" },    { "grant", ADR_KEY_GRANT, 2, false, "granted" },
    { "revoke", ADR_KEY_REVOKE, 2, false, "revoked" },
};

/* --- the command line ------------------------------------------------------------------------------------------- */

static bool
s_copy (char *to, size_t room, const char *text)
{
    return snprintf (to, room, "%s", text) < (int) room && *text;
}

/* BUCKET:LEVEL */
static bool
s_parse_right (adr_key_right_t *right, const char *text)
{
    const char *colon = strrchr (text, ':');
    adr_access_t access;
    if (!colon || (size_t) (colon - text) >= sizeof right->bucket || !adr_access_parse (&access, colon + 1))
        return false;
    snprintf (right->bucket, sizeof right->bucket, "%.*s", (int) (colon - text), text);
    snprintf (right->level, sizeof right->level, "%s", adr_access_name (access));
    return adr_credential_is_bucket (right->bucket);
}

static int
s_bad_right (const char *text)
{
    return adr_shell_usage ("`%s`: expected BUCKET:LEVEL, a bucket's name or *, and read, write or owner", text);
}

/* One option of `create`; -1: it is none. */
static int
s_parse_create (adr_key_info_t *key, int argc, char **argv, int *index)
{
    const char *value;
    if ((value = adr_shell_value ("--owner", argc, argv, index)) != NULL) {
        if (!s_copy (key->owner, sizeof key->owner, value) || !adr_credential_is_owner (key->owner))
            return adr_shell_usage ("--owner wants 1 to 63 letters, digits and -_.@");
    } else if ((value = adr_shell_value ("--access-key", argc, argv, index)) != NULL) {
        if (!s_copy (key->access_key, sizeof key->access_key, value) || !adr_credential_is_access_key (key->access_key))
            return adr_shell_usage ("--access-key wants 3 to 64 letters, digits and -_.");
    } else if ((value = adr_shell_value ("--right", argc, argv, index)) != NULL) {
        key->limited = true;
        if (key->right_count == ADR_KEY_RIGHTS_MAX)
            return adr_shell_usage ("a key has 32 rights at most");
        if (!s_parse_right (&key->right[key->right_count++], value))
            return s_bad_right (value);
    } else
        return -1;
    ++*index;
    return 0;
}

/* Words and options behind the verb. */
static int
s_parse (adr_shell_t *self, const s_verb_t *verb, adr_key_info_t *key, int argc, char **argv)
{
    int words = 0;
    for (int index = 2; index < argc;) {
        int code = verb->action == ADR_KEY_CREATE ? s_parse_create (key, argc, argv, &index) : -1;
        int taken = code < 0 ? adr_shell_global (self, argc, argv, &index) : 1;
        if (code > 0 || taken < 0)
            return ADR_SHELL_USAGE;
        if (taken > 0)
            continue;
        const char *word = argv[index++];
        if (words == verb->words || word[0] == '-')
            return adr_shell_usage ("key %s: what is `%s`?", verb->name, word);
        if (words++ == 0) {
            if (!s_copy (key->access_key, sizeof key->access_key, word) || !adr_credential_is_access_key (key->access_key))
                return adr_shell_usage ("`%s`: an access key has 3 to 64 letters, digits and -_.", word);
            continue;
        }
        key->right_count = 1;
        if (verb->action == ADR_KEY_GRANT && !s_parse_right (&key->right[0], word))
            return s_bad_right (word);
        if (verb->action == ADR_KEY_REVOKE
            && (!s_copy (key->right[0].bucket, sizeof key->right[0].bucket, word) || !adr_credential_is_bucket (key->right[0].bucket)))
            return adr_shell_usage ("`%s`: expected a bucket's name, or *", word);
    }
    if (words < verb->words)
        return adr_shell_usage ("key %s: expected an access key%s", verb->name,
                                verb->action == ADR_KEY_GRANT    ? ", and BUCKET:LEVEL"
                                : verb->action == ADR_KEY_REVOKE ? ", and a bucket"
                                                                 : "");
    return verb->action == ADR_KEY_CREATE && !*key->owner ? adr_shell_usage ("key create: --owner NAME is missing") : 0;
}

/* --- what is printed --------------------------------------------------------------------------------------------- */

static json_t *
s_json (const adr_key_info_t *key)
{
    json_t *rights = json_array ();
    for (size_t i = 0; i < key->right_count; i++)
        json_array_append_new (rights, json_pack ("{s:s, s:s}", "bucket", key->right[i].bucket, "level", key->right[i].level));
    json_t *object = json_pack ("{s:s, s:s, s:b, s:b, s:I, s:I}", "access_key", key->access_key, "owner", key->owner, "disabled",
                                (int) key->disabled, "limited", (int) key->limited, "created_ms", (json_int_t) key->created_ms,
                                "generation", (json_int_t) key->generation);
    json_object_set_new (object, "rights", rights);
    return object;
}

static void
s_print_rights (const adr_key_info_t *key)
{
    if (!key->limited)
        printf ("everything");
    else if (key->right_count == 0)
        printf ("nothing");
    for (size_t i = 0; i < key->right_count; i++)
        printf ("%s%s:%s", i ? " " : "", key->right[i].bucket, key->right[i].level);
    putchar ('\n');
}

static void
s_print_line (const adr_key_info_t *key)
{
    printf ("%-24s %-16s %-8s ", key->access_key, key->owner, key->disabled ? "disabled" : "enabled");
    s_print_rights (key);
}

static void
s_print (const adr_shell_t *self, const s_verb_t *verb, const adr_key_info_t *key, const char *access_key, const char *secret)
{
    if (self->json) {
        json_t *object = s_json (key);
        json_object_set_new (object, "result", json_string ("ok"));
        json_object_set_new (object, "access_key", json_string (access_key));
        if (*secret)
            json_object_set_new (object, "secret", json_string (secret));
        adr_shell_print (object);
    } else if (*secret)
        printf ("access key: %s\nsecret:     %s\n", access_key, secret);
    else
        printf ("%s: %s\n", access_key, verb->said);
    if (*secret && !self->json)
        fputs ("The secret is shown this once; `key rotate` makes another one.\n", stderr);
}

/* A question that reached no PKI node, or whose answer came back from none. */
static int
s_fail (adr_shell_t *self, adr_result_t result, const char *access_key)
{
    int code = adr_shell_fail (self, result);
    if (result == ADR_TIMEOUT || result == ADR_UNKNOWN)
        fprintf (stderr,
                 "adrestia: no PKI node has said that it is done. Keys cannot be changed or shown while most PKI nodes are down; edges go on with\n"
                 "the keys that they know. `adrestia key show %s` tells what there is.\n",
                 access_key);
    return code;
}

/* --- the verbs ---------------------------------------------------------------------------------------------------- */

static void
s_draw (char *text, size_t size, const char *alphabet)
{
    for (size_t i = 0; i < size; i++)
        text[i] = alphabet[randombytes_uniform ((uint32_t) strlen (alphabet))];
    text[size] = 0;
}

static int
s_change (adr_shell_t *self, const s_verb_t *verb, adr_key_info_t *key)
{
    char secret[S_SECRET_SIZE + 1] = "";
    adr_key_info_t kept;
    if (!adr_shell_open (self))
        return ADR_SHELL_FILE;
    if (!*key->access_key)
        s_draw (key->access_key, S_ACCESS_SIZE, "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567");
    if (verb->secret)
        s_draw (secret, S_SECRET_SIZE, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789");
    adr_result_t result = adr_key_change (self->client, verb->action, key, *secret ? secret : NULL, &kept);
    if (result == ADR_OK)
        s_print (self, verb, &kept, key->access_key, secret);
    sodium_memzero (secret, sizeof secret);
    return result == ADR_OK ? 0 : s_fail (self, result, key->access_key);
}

static bool
s_add_row (void *argument, const adr_key_info_t *key)
{
    json_t *rows = argument;
    if (rows)
        json_array_append_new (rows, s_json (key));
    else
        s_print_line (key);
    return !ferror (stdout);
}

static adr_result_t
s_list (adr_shell_t *self, json_t *rows)
{
    return adr_key_list (self->client, s_add_row, rows);
}

static int
s_show (adr_shell_t *self, int argc, char **argv)
{
    static const s_verb_t verb = { "show", 0, 1, false, "" };
    adr_key_info_t asked = { 0 }, key;
    int code = s_parse (self, &verb, &asked, argc, argv);
    if (code)
        return code;
    if (!adr_shell_open (self))
        return ADR_SHELL_FILE;
    adr_result_t result = adr_key_show (self->client, asked.access_key, &key);
    if (result != ADR_OK)
        return adr_shell_fail (self, result);
    if (self->json) {
        adr_shell_print (s_json (&key));
        return 0;
    }
    char created[ADR_SHELL_TIME_SIZE];
    adr_shell_time_format (created, key.created_ms);
    printf ("access key: %s\nowner:      %s\nstate:      %s\ncreated:    %s\nreaches:    ", key.access_key, key.owner,
            key.disabled ? "disabled" : "enabled", created);
    s_print_rights (&key);
    return 0;
}

int
adr_shell_key (adr_shell_t *self, int argc, char **argv)
{
    const char *name = argc > 1 ? argv[1] : "";
    if (strcmp (name, "list") == 0)
        return adr_shell_list (self, argc, argv, "keys", s_list);
    if (strcmp (name, "show") == 0)
        return s_show (self, argc, argv);
    for (size_t i = 0; i < sizeof s_verbs / sizeof s_verbs[0]; i++) {
        adr_key_info_t key = { 0 };
        if (strcmp (name, s_verbs[i].name) != 0)
            continue;
        int code = s_parse (self, &s_verbs[i], &key, argc, argv);
        return code ? code : s_change (self, &s_verbs[i], &key);
    }
    return adr_shell_usage ("key: expected create, list, show, disable, enable, delete, rotate, grant or revoke");
}
