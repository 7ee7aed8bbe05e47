/* SPDX-License-Identifier: MPL-2.0 */
/* Copies an object to another key, in constant memory: what one thread gets, the other puts. Copies are new data; no
 * two keys ever share an object.
 *
 *     object_copy PROFILE BUCKET FROM TO */

#include <adrestia.h>

#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

typedef struct {
    adr_client_t *client;
    const char *bucket, *from;
    int file; /* the writing end of a pipe */
    adr_result_t result;
    char error[256];
} reading_t;

static bool
to_pipe (void *argument, const void *data, size_t size)
{
    reading_t *reading = argument;
    while (size > 0) {
        ssize_t part = write (reading->file, data, size);
        if (part <= 0)
            return false;
        data = (const char *) data + part;
        size -= (size_t) part;
    }
    return true;
}

static void *
read_it (void *argument)
{
    reading_t *reading = argument;
    reading->result = adr_object_get (reading->client, reading->bucket, reading->from, to_pipe, reading, NULL);
    snprintf (reading->error, sizeof reading->error, "%s", adr_client_error (reading->client));
    close (reading->file);
    return NULL;
}

typedef struct {
    reading_t reading;
    pthread_t thread;
    int file; /* the reading end */
    bool joined;
} copy_t;

/* The pipe's end is the object's end only if the reading went well: a part of an object must not become one. */
static ssize_t
from_pipe (void *argument, void *data, size_t room)
{
    copy_t *copy = argument;
    ssize_t size = read (copy->file, data, room);
    if (size != 0)
        return size;
    pthread_join (copy->thread, NULL);
    copy->joined = true;
    return copy->reading.result == ADR_OK ? 0 : -1;
}

static adr_result_t
copy_object (adr_client_t *client, char **argv)
{
    int ends[2];
    if (pipe (ends) != 0)
        return ADR_REFUSED;
    copy_t copy = { .reading = { .client = client, .bucket = argv[2], .from = argv[3], .file = ends[1] },
                    .file = ends[0] };
    adr_object_t object;
    if (pthread_create (&copy.thread, NULL, read_it, &copy.reading) != 0)
        return ADR_REFUSED;
    adr_result_t result = adr_object_put (client, argv[2], argv[4], from_pipe, &copy, NULL, &object);
    close (ends[0]); /* ends a reading that is still on its way */
    if (!copy.joined)
        pthread_join (copy.thread, NULL);
    if (result == ADR_OK)
        printf ("%llu bytes, etag %s\n", (unsigned long long) object.size, object.etag);
    else if (copy.reading.result != ADR_OK && copy.joined)
        fprintf (stderr, "object_copy: %s: %s\n", adr_result_name (copy.reading.result), copy.reading.error);
    else
        fprintf (stderr, "object_copy: %s: %s\n", adr_result_name (result), adr_client_error (client));
    return result;
}

int
main (int argc, char **argv)
{
    char error[512];
    if (argc != 5) {
        fprintf (stderr, "usage: object_copy PROFILE BUCKET FROM TO\n");
        return 64;
    }
    signal (SIGPIPE, SIG_IGN); /* a pipe that nobody reads is a failed write */
    adr_client_t *client = adr_client_open (argv[1], error, sizeof error);
    if (!client) {
        fprintf (stderr, "object_copy: %s\n", error);
        return 66;
    }
    adr_result_t result = copy_object (client, argv);
    adr_client_destroy (&client);
    return (int) result;
}
