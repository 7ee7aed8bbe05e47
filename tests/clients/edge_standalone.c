/* SPDX-License-Identifier: MPL-2.0 */
/* The HTTP edge over a store in memory instead of a cluster: for S3 clients to talk to, and for measuring the edge's own
 * memory.
 *
 *     edge_standalone --credentials FILE [--listen HOST:PORT] [--domain D] [--region R] [--spill FILE] [--refuse N]
 *
 * Prints "listening on PORT", and runs until SIGTERM or SIGINT. With --spill, large values go to the file and are no part
 * of the process's anonymous memory (RssAnon). With --refuse N each Nth request to the store is refused. */

#include "../unit/fake_store.h"
#include "edge/edge.h"

#include <fcntl.h>
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

static volatile sig_atomic_t s_stop;

static void
s_on_signal (int number)
{
    (void) number;
    s_stop = 1;
}

static fake_fate_t
s_refuse (void *argument, const fake_request_t *request)
{
    return request->number % *(unsigned *) argument == 0 ? FAKE_REFUSE : FAKE_DO;
}

static int64_t
s_now (void)
{
    struct timespec now;
    clock_gettime (CLOCK_BOOTTIME, &now);
    return now.tv_sec * INT64_C (1000000000) + now.tv_nsec;
}

static void
s_serve (adr_edge_t *edge, fake_store_t *store)
{
    while (!s_stop) {
        fake_store_wait (store, 50);
        fake_store_answer (store, adr_edge_receive, edge);
        adr_edge_tick (edge, s_now ());
    }
}

int
main (int argc, char **argv)
{
    static const struct option s_options[] = {
        { "listen", required_argument, NULL, 'l' }, { "credentials", required_argument, NULL, 'c' },
        { "domain", required_argument, NULL, 'd' }, { "region", required_argument, NULL, 'r' },
        { "spill", required_argument, NULL, 's' },  { "refuse", required_argument, NULL, 'n' },
        { NULL, 0, NULL, 0 },
    };
    adr_edge_options_t options = { .listen = "127.0.0.1:0" };
    const char *spill = NULL;
    unsigned refuse = 0;
    for (int c; (c = getopt_long (argc, argv, "", s_options, NULL)) != -1;) {
        switch (c) {
        case 'l': options.listen = optarg; break;
        case 'c': options.credentials_file = optarg; break;
        case 'd': options.domain = optarg; break;
        case 'r': options.region = optarg; break;
        case 's': spill = optarg; break;
        case 'n': refuse = (unsigned) atoi (optarg); break;
        default: return 64;
        }
    }
    signal (SIGTERM, s_on_signal);
    signal (SIGINT, s_on_signal);
    signal (SIGPIPE, SIG_IGN);
    char error[256] = "";
    adr_id_t cluster = { { 1 } }, node = { { 2 } };
    fake_store_t *store = fake_store_new (&cluster);
    if (refuse)
        fake_store_set_fate (store, s_refuse, &refuse);
    if (spill) {
        int file = open (spill, O_RDWR | O_CREAT | O_TRUNC, 0600);
        adr_assert (file >= 0);
        fake_store_spill (store, file);
    }
    adr_edge_t *edge = adr_edge_new (&options, error, sizeof error);
    if (!edge || !adr_edge_start (edge, &cluster, &node, fake_store_send, NULL, store, error, sizeof error)) {
        fprintf (stderr, "edge_standalone: %s\n", error);
        return 1;
    }
    printf ("listening on %u\n", adr_edge_port (edge));
    fflush (stdout);
    s_serve (edge, store);
    adr_edge_stop (edge);
    adr_edge_destroy (&edge);
    fake_store_destroy (&store);
    return 0;
}
