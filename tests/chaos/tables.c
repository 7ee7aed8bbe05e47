/* SPDX-License-Identifier: MPL-2.0 */
/* Counts the records of the tables that objects live in, for tests/chaos/collect.
 *
 *     tables PROFILE
 *
 * Prints `TABLE RECORDS` for each of them, by strong lists; exit code 1 if one cannot be read. */

#include "client/client.h"

#include <stdio.h>
#include <stdlib.h>

static const struct {
    const char *name;
    uint8_t table;
} s_tables[] = { { "meta", ADR_TABLE_META }, { "object", ADR_TABLE_OBJECT }, { "chunk", ADR_TABLE_CHUNK },
                 { "garbage", ADR_TABLE_GARBAGE }, { "pending", ADR_TABLE_PENDING } };

/* -1: a page could not be read. */
static long
s_count (adr_client_t *client, uint8_t table)
{
    adr_buffer_t after = { 0 };
    long count = 0;
    for (bool more = true; more && count >= 0;) {
        adr_call_t call;
        adr_bytes_t key, value;
        adr_version_t version;
        uint64_t time_ms;
        adr_call_init (&call, client);
        adr_session_list (client->session, table, adr_bytes (NULL, 0), adr_bytes (after.data, after.size), 0, false,
                          ADR__READ_MODE__STRONG, 0, adr_call_done, &call);
        bool read = adr_call_wait (&call) == ADR_OK;
        adr_bytes_t rows = adr_bytes (call.value.data, call.value.size);
        more = call.more;
        while (adr_list_row_next (&rows, &key, &value, &version, &time_ms)) {
            count++;
            adr_buffer_clear (&after);
            adr_buffer_append (&after, key.data, key.size);
        }
        if (!read)
            count = -1;
        adr_call_free (&call);
    }
    adr_buffer_free (&after);
    return count;
}

int
main (int argc, char **argv)
{
    char error[256];
    bool failed = false;
    adr_client_t *client = argc == 2 ? adr_client_open (argv[1], error, sizeof error) : NULL;
    if (client == NULL) {
        fprintf (stderr, "tables: %s\n", argc == 2 ? error : "PROFILE");
        return 1;
    }
    for (size_t i = 0; i < sizeof s_tables / sizeof s_tables[0]; i++) {
        long count = s_count (client, s_tables[i].table);
        failed |= count < 0;
        printf ("%s %ld\n", s_tables[i].name, count);
    }
    adr_client_destroy (&client);
    return failed;
}
