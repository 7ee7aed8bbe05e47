/* SPDX-License-Identifier: MPL-2.0 */
/* Files that are replaced as a whole: see file.h. */

#include "runtime/file.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <limits.h>
#include <stdio.h>
#include <unistd.h>

bool
adr_file_write (int file, adr_bytes_t bytes)
{
    for (size_t done = 0; done < bytes.size;) {
        ssize_t written = write (file, bytes.data + done, bytes.size - done);
        if (written < 0 && errno == EINTR)
            continue;
        if (written <= 0)
            return false;
        done += (size_t) written;
    }
    return fsync (file) == 0;
}

bool
adr_file_replace (const char *path, mode_t mode, adr_bytes_t bytes)
{
    char making[PATH_MAX], folder[PATH_MAX];
    if ((size_t) snprintf (making, sizeof making, "%s.new", path) >= sizeof making
        || (size_t) snprintf (folder, sizeof folder, "%s", path) >= sizeof folder) {
        errno = ENAMETOOLONG;
        return false;
    }
    int file = open (making, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, mode);
    bool good = file >= 0 && adr_file_write (file, bytes);
    if (file >= 0)
        good = close (file) == 0 && good;
    good = good && rename (making, path) == 0;
    int parent = good ? open (dirname (folder), O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1;
    good = good && parent >= 0 && fsync (parent) == 0;
    if (parent >= 0)
        close (parent);
    return good;
}
