/* SPDX-License-Identifier: MPL-2.0 */
/* A counter that many processes may raise at the same time: each reads it, and writes it back under the condition that
 * nobody wrote in between. Run several at once; the sum is right.
 *
 *     kv_counter PROFILE NAME TIMES */

#include <adrestia.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Adds one. A conflict says that somebody was quicker: read again. UNKNOWN says that this very write may be done or
 * not, and only a look at the value could tell: a counter that must be exact gives up there. */
static adr_result_t
add_one (adr_client_t *client, const char *name, long *value)
{
    for (;;) {
        adr_value_t old;
        char text[32] = "0";
        adr_result_t result = adr_kv_get (client, "counters", name, strlen (name), ADR_READ_STRONG, &old);
        if (result != ADR_OK && result != ADR_NOT_FOUND)
            return result;
        adr_client_version_t version = old.version;
        if (result == ADR_OK && old.size < sizeof text) {
            memcpy (text, old.value, old.size);
            text[old.size] = 0;
        }
        adr_value_free (&old);
        *value = strtol (text, NULL, 10) + 1;
        int size = snprintf (text, sizeof text, "%ld", *value);
        result = adr_kv_put (client, "counters", name, strlen (name), text, (size_t) size,
                             result == ADR_OK ? ADR_IF_VERSION : ADR_IF_ABSENT, &version);
        if (result != ADR_CONFLICT)
            return result;
    }
}

int
main (int argc, char **argv)
{
    char error[512];
    if (argc != 4) {
        fprintf (stderr, "usage: kv_counter PROFILE NAME TIMES\n");
        return 64;
    }
    adr_client_t *client = adr_client_open (argv[1], error, sizeof error);
    if (!client) {
        fprintf (stderr, "kv_counter: %s\n", error);
        return 66;
    }
    long value = 0;
    adr_result_t result = ADR_OK;
    for (long i = strtol (argv[3], NULL, 10); i > 0 && result == ADR_OK; i--)
        result = add_one (client, argv[2], &value);
    if (result == ADR_OK)
        printf ("%ld\n", value);
    else
        fprintf (stderr, "kv_counter: %s: %s\n", adr_result_name (result), adr_client_error (client));
    adr_client_destroy (&client);
    return (int) result;
}
