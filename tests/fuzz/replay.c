/* SPDX-License-Identifier: MPL-2.0 */
/* Runs a fuzz target over the files of its corpus, for compilers without libFuzzer: `make check` does. Named after its
 * target, it finds the folder by its own name: fuzz_pack replays tests/fuzz/corpus/pack. */

#include "core/bytes.h"

#include <dirent.h>
#include <libgen.h>
#include <stdio.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput (const uint8_t *data, size_t size);

static void
s_replay (const char *path)
{
    FILE *file = fopen (path, "rb");
    adr_assert (file != NULL);
    adr_buffer_t bytes = { 0 };
    char part[4096];
    size_t size;
    while ((size = fread (part, 1, sizeof part, file)) > 0)
        adr_buffer_append (&bytes, part, size);
    fclose (file);
    /* A copy of exactly that size, so that a sanitizer sees the first byte too many. */
    uint8_t *exact = adr_alloc (bytes.size);
    if (bytes.size)
        memcpy (exact, bytes.data, bytes.size);
    LLVMFuzzerTestOneInput (exact, bytes.size);
    free (exact);
    adr_buffer_free (&bytes);
}

int
main (int argc, char **argv)
{
    (void) argc;
    const char *source = getenv ("top_srcdir");
    const char *name = strstr (basename (argv[0]), "fuzz_");
    char folder[400], path[1024];
    adr_assert (name != NULL);
    snprintf (folder, sizeof folder, "%s/tests/fuzz/corpus/%s", source ? source : ".", name + strlen ("fuzz_"));
    DIR *entries = opendir (folder);
    if (entries == NULL) {
        fprintf (stderr, "%s cannot be read\n", folder);
        return 1;
    }
    int count = 0;
    for (struct dirent *entry; (entry = readdir (entries));)
        if (entry->d_name[0] != '.') {
            snprintf (path, sizeof path, "%s/%s", folder, entry->d_name);
            s_replay (path);
            count++;
        }
    closedir (entries);
    printf ("%d files of %s\n", count, folder);
    return count > 0 ? 0 : 1;
}
