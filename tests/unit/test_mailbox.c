/* SPDX-License-Identifier: MPL-2.0 */
/* Mailboxes: order, bounds, the bell that rings only for a sleeper, and the end. */

#include "runtime/clock.h"
#include "runtime/mailbox.h"

#include <poll.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static adr_parcel_t *
s_parcel (uint64_t token, size_t size, bool local)
{
    adr_parcel_t *parcel = adr_parcel_new (ADR_PARCEL_PACK);
    parcel->token = token;
    parcel->local = local;
    if (size)
        adr_buffer_grow (&parcel->buffer, size);
    parcel->pack = adr_bytes (parcel->buffer.data, parcel->buffer.size);
    return parcel;
}

static bool
s_bell_rings (adr_mailbox_t *mailbox)
{
    struct pollfd bell = { adr_mailbox_descriptor (mailbox), POLLIN, 0 };
    return poll (&bell, 1, 0) == 1;
}

static void
test_order (void **state)
{
    (void) state;
    adr_mailbox_t *mailbox = adr_mailbox_new (1 << 20);
    for (uint64_t i = 0; i < 100; i++)
        assert_true (adr_mailbox_put (mailbox, s_parcel (i, 10, false)));
    assert_true (adr_mailbox_bytes (mailbox) >= 1000);
    adr_parcel_t *list = adr_mailbox_take (mailbox);
    assert_int_equal (adr_mailbox_bytes (mailbox), 0);
    uint64_t expected = 0;
    for (adr_parcel_t *parcel = list; parcel; parcel = parcel->next)
        assert_int_equal (parcel->token, expected++);
    assert_int_equal (expected, 100);
    adr_parcels_destroy (&list);
    assert_null (adr_mailbox_take (mailbox));
    adr_mailbox_destroy (&mailbox);
    assert_null (mailbox);
}

static void
test_bounds (void **state)
{
    (void) state;
    adr_mailbox_t *mailbox = adr_mailbox_new (10000);
    assert_true (adr_mailbox_put (mailbox, s_parcel (1, 50000, false))); /* one always fits */
    adr_parcel_t *refused = s_parcel (2, 1, false);
    assert_false (adr_mailbox_put (mailbox, refused));
    adr_parcel_t *list = adr_mailbox_take (mailbox);
    adr_parcels_destroy (&list);
    assert_true (adr_mailbox_put (mailbox, refused)); /* it was still ours */
    assert_true (adr_mailbox_put (mailbox, s_parcel (3, 8000, false)));
    adr_parcel_t *outside = s_parcel (4, 8000, false);
    assert_false (adr_mailbox_put (mailbox, outside));
    assert_true (adr_mailbox_put (mailbox, s_parcel (5, 8000, true))); /* this host's own have four times the room */
    adr_parcel_destroy (&outside);
    adr_parcel_t *inside = s_parcel (6, 30000, true);
    assert_false (adr_mailbox_put (mailbox, inside));
    adr_parcel_destroy (&inside);
    adr_parcel_t *fence = s_parcel (7, 30000, true); /* what is said once, about who leads, has room of its own */
    fence->from.actor = ADR_ACTOR_ELECTION;
    assert_true (adr_mailbox_put (mailbox, fence));
    adr_parcel_t *more = s_parcel (8, 30000, true);
    more->from.actor = ADR_ACTOR_ELECTION;
    assert_false (adr_mailbox_put (mailbox, more));
    adr_parcel_destroy (&more);
    /* Word from the runtime itself is never refused. */
    assert_true (adr_mailbox_put (mailbox, adr_parcel_new (ADR_PARCEL_DURABLE)));
    adr_mailbox_destroy (&mailbox); /* and what is in it */
}

static void
test_bell (void **state)
{
    (void) state;
    adr_mailbox_t *mailbox = adr_mailbox_new (1 << 20);
    assert_true (adr_mailbox_put (mailbox, s_parcel (1, 1, false)));
    assert_false (s_bell_rings (mailbox)); /* nobody sleeps */
    assert_false (adr_mailbox_sleep (mailbox));
    adr_parcel_t *list = adr_mailbox_take (mailbox);
    adr_parcels_destroy (&list);
    assert_true (adr_mailbox_sleep (mailbox));
    assert_false (s_bell_rings (mailbox));
    assert_true (adr_mailbox_put (mailbox, s_parcel (2, 1, false)));
    assert_true (adr_mailbox_put (mailbox, s_parcel (3, 1, false)));
    assert_true (s_bell_rings (mailbox));
    adr_mailbox_awake (mailbox);
    assert_false (s_bell_rings (mailbox));
    adr_mailbox_destroy (&mailbox);
}

static void
test_wait_ends_in_time (void **state)
{
    (void) state;
    adr_mailbox_t *mailbox = adr_mailbox_new (1 << 20);
    int64_t until_ns = adr_clock_now_ns () + 20 * ADR_MS;
    assert_null (adr_mailbox_wait (mailbox, until_ns));
    assert_true (adr_clock_now_ns () >= until_ns);
    assert_null (adr_mailbox_wait (mailbox, 0));
    adr_mailbox_destroy (&mailbox);
}

static void *
s_close_it (void *mailbox)
{
    adr_mailbox_close (mailbox);
    return NULL;
}

static void
test_close_wakes (void **state)
{
    (void) state;
    adr_mailbox_t *mailbox = adr_mailbox_new (1 << 20);
    pthread_t thread;
    assert_int_equal (pthread_create (&thread, NULL, s_close_it, mailbox), 0);
    assert_null (adr_mailbox_wait (mailbox, ADR_NEVER));
    pthread_join (thread, NULL);
    assert_true (adr_mailbox_is_closed (mailbox));
    adr_parcel_t *late = s_parcel (1, 1, false);
    assert_false (adr_mailbox_put (mailbox, late));
    adr_parcel_destroy (&late);
    adr_mailbox_destroy (&mailbox);
}

#define S_WRITERS 4
#define S_EACH 20000

typedef struct {
    adr_mailbox_t *mailbox;
    uint64_t first;
} s_writer_t;

static void *
s_write (void *argument)
{
    s_writer_t *self = argument;
    for (uint64_t i = 0; i < S_EACH; i++)
        while (!adr_mailbox_put (self->mailbox, s_parcel (self->first + i, 16, true)))
            ;
    return NULL;
}

/* Nothing is lost, and each writer's parcels keep their order, however reader and writers meet. */
static void
test_many_writers (void **state)
{
    (void) state;
    adr_mailbox_t *mailbox = adr_mailbox_new (1 << 30);
    pthread_t thread[S_WRITERS];
    s_writer_t writer[S_WRITERS];
    uint64_t next[S_WRITERS] = { 0 };
    for (uint64_t i = 0; i < S_WRITERS; i++) {
        writer[i] = (s_writer_t){ mailbox, i << 32 };
        assert_int_equal (pthread_create (&thread[i], NULL, s_write, &writer[i]), 0);
    }
    for (uint64_t heard = 0; heard < S_WRITERS * S_EACH;) {
        adr_parcel_t *list = adr_mailbox_wait (mailbox, adr_clock_now_ns () + 20000 * ADR_MS);
        assert_non_null (list);
        for (adr_parcel_t *parcel = list; parcel; parcel = parcel->next, heard++) {
            uint64_t who = parcel->token >> 32;
            assert_int_equal (parcel->token & UINT32_MAX, next[who]++);
        }
        adr_parcels_destroy (&list);
    }
    for (int i = 0; i < S_WRITERS; i++)
        pthread_join (thread[i], NULL);
    adr_mailbox_destroy (&mailbox);
}

int
main (void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test (test_order),           cmocka_unit_test (test_bounds),
        cmocka_unit_test (test_bell),            cmocka_unit_test (test_wait_ends_in_time),
        cmocka_unit_test (test_close_wakes),     cmocka_unit_test (test_many_writers),
    };
    return cmocka_run_group_tests (tests, NULL, NULL);
}
