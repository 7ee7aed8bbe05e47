/* SPDX-License-Identifier: MPL-2.0 */
/* What the runtime costs: hops between two actors of one host, round trips and streams between two hosts of one
 * process over CURVE. Prints figures; asserts nothing about them (DESIGN 14: never as a timed test).
 *
 *     tests/bench/post_bench [seconds for each figure] */

#include "runtime/clock.h"
#include "runtime/metrics.h"
#include "runtime_fixture.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <time.h>

static fixture_t s_fixture;
static double s_seconds = 2;

/* --- ping-pong -------------------------------------------------------------------------------------------------- */

typedef struct {
    adr_address_t peer;
    bool starts;
    uint32_t window;       /* items in flight */
    size_t payload;
    bool acknowledge_once; /* an ack a turn, as replicators do; else one an item */
    uint64_t owed, acked;
} s_player_t;

/* The one who starts keeps `window` appends in flight; the other acknowledges. */
static void
s_play (toy_t *self, const adr_event_t *event, adr_effects_t *effects)
{
    s_player_t *player = self->argument;
    if (event->kind == ADR_EVENT_TIMER || (event->kind == ADR_EVENT_START && player->starts)) {
        if (self->messages == 0) { /* until the connection stands, the first may be lost */
            for (uint32_t i = 0; i < player->window; i++)
                fixture_send_append (effects, player->peer, 1, player->payload);
            effects->wake (effects, 1, event->now_ns + 1000 * ADR_MS);
        }
        return;
    }
    if (event->kind == ADR_EVENT_MESSAGE && event->message.kind == ADR__KIND__APPEND)
        player->owed++;
    if (event->kind == ADR_EVENT_MESSAGE && event->message.kind == ADR__KIND__APPEND_ACK) {
        uint64_t count = ((const Adr__AppendAck *) event->message.header)->confirmed;
        player->acked += count;
        for (uint64_t i = 0; i < count; i++)
            fixture_send_append (effects, player->peer, 1, player->payload);
    }
    if (event->kind == ADR_EVENT_TURN_END && player->owed) {
        Adr__AppendAck ack = ADR__APPEND_ACK__INIT;
        ack.confirmed = player->owed;
        player->owed = 0;
        effects->send (effects, player->peer, ADR__KIND__APPEND_ACK, &ack.base, adr_bytes (NULL, 0));
    }
}

static double
s_cpu_seconds (void)
{
    struct rusage usage;
    getrusage (RUSAGE_SELF, &usage);
    return (double) (usage.ru_utime.tv_sec + usage.ru_stime.tv_sec)
           + (double) (usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6;
}

static uint64_t
s_acked (toy_t *toy, s_player_t *player)
{
    pthread_mutex_lock (&toy->mutex);
    uint64_t acked = player->acked;
    pthread_mutex_unlock (&toy->mutex);
    return acked;
}

static void
s_sleep (double seconds)
{
    struct timespec left = { (time_t) seconds, (long) ((seconds - (double) (time_t) seconds) * 1e9) };
    while (nanosleep (&left, &left) != 0)
        ;
}

static void
s_measure (const char *what, bool two_hosts, uint32_t window, size_t payload)
{
    toy_t toys[2];
    s_player_t first = { .starts = true, .window = window, .payload = payload };
    s_player_t second = { .window = window };
    const adr_actor_class_t *classes[2] = { &toy_replicator_class, &toy_replicator_class };
    uint32_t nodes[2] = { 0, 1 };
    first.peer = fixture_address (&s_fixture, 1, ADR_ACTOR_REPLICATOR);
    second.peer = fixture_address (&s_fixture, 0, ADR_ACTOR_REPLICATOR);
    toy_init (&toys[0], s_play, &first);
    toy_init (&toys[1], s_play, &second);
    fixture_host_t hosts[2];
    for (int i = 0; i < (two_hosts ? 2 : 1); i++)
        fixture_host_init (&hosts[i], &s_fixture);
    for (int i = 0; i < 2; i++)
        fixture_host_add (&hosts[two_hosts ? i : 0], nodes[i], classes[i], &toys[i], 1);
    if (two_hosts)
        fixture_host_start (&hosts[1], &nodes[1], 1, 1);
    fixture_host_start (&hosts[0], nodes, two_hosts ? 1 : 2, 1);
    s_sleep (0.3); /* until connections stand */
    uint64_t acked = s_acked (&toys[0], &first);
    int64_t from_ns = adr_clock_now_ns ();
    double cpu = s_cpu_seconds ();
    s_sleep (s_seconds);
    double seconds = (double) (adr_clock_now_ns () - from_ns) / 1e9;
    cpu = s_cpu_seconds () - cpu;
    double count = (double) (s_acked (&toys[0], &first) - acked);
    printf ("%-44s %9.0f items/s  %7.2f us an item  %5.2f us of CPU an item\n", what, count / seconds,
            seconds / count * 1e6, cpu / count * 1e6);
    for (int i = 0; i < (two_hosts ? 2 : 1); i++)
        fixture_host_stop (&hosts[i]);
    toy_free (&toys[0]);
    toy_free (&toys[1]);
}

int
main (int argc, char **argv)
{
    if (argc > 1)
        s_seconds = atof (argv[1]);
    fixture_init (&s_fixture);
    s_measure ("one host, ping-pong (2 hops)", false, 1, 100);
    s_measure ("one host, stream of 1 KiB", false, 1000, 1024);
    s_measure ("two hosts, ping-pong (2 CURVE hops)", true, 1, 100);
    s_measure ("two hosts, stream of 1 KiB, 64 in flight", true, 64, 1024);
    s_measure ("two hosts, stream of 1 KiB, 1000 in flight", true, 1000, 1024);
    s_measure ("two hosts, stream of 64 KiB, 64 in flight", true, 64, 65536);
    fixture_free (&s_fixture);
    return 0;
}
