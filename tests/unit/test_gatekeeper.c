/* SPDX-License-Identifier: MPL-2.0 */
/* The gatekeeper, asked directly and through real CURVE sockets: known keys come in by their doors, nobody else does. */

#include "runtime/gatekeeper.h"
#include "runtime/metrics.h"
#include "runtime/socket.h"
#include "runtime_fixture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <zmq.h>

#include <cmocka.h>

static bool
s_admits_all (void *argument, const char *domain, const uint8_t key[32])
{
    (void) argument, (void) domain, (void) key;
    return true;
}

static void
test_probe (void **state)
{
    (void) state;
    void *context = zmq_ctx_new ();
    zmq_ctx_set (context, ZMQ_BLOCKY, 0);
    assert_false (adr_gatekeeper_probe (context, 50)); /* nobody there */
    adr_gatekeeper_t *open_door = adr_gatekeeper_new (context, s_admits_all, NULL);
    assert_non_null (open_door);
    assert_false (adr_gatekeeper_probe (context, FIXTURE_DEADLINE_MS)); /* lets a random key in */
    assert_null (adr_gatekeeper_new (context, s_admits_all, NULL));     /* one a context */
    adr_gatekeeper_destroy (&open_door);
    zmq_ctx_term (context);

    fixture_host_t host;
    fixture_host_init (&host, &fixture_shared); /* probes its own */
    fixture_host_stop (&host);
}

static void
test_doors (void **state)
{
    (void) state;
    adr_directory_t *directory
        = adr_directory_new (fixture_shared.map, (const uint8_t (*)[32]) &fixture_shared.client_public, 1);
    const uint8_t *node = fixture_shared.map->node[1].curve_key, *client = fixture_shared.client_public;
    const uint8_t *stranger = fixture_shared.stranger_public;
    assert_true (adr_directory_admits (directory, ADR_DOMAIN_CONTROL, node));
    assert_true (adr_directory_admits (directory, ADR_DOMAIN_BULK, node));
    assert_true (adr_directory_admits (directory, ADR_DOMAIN_CLIENT, node));
    assert_true (adr_directory_admits (directory, ADR_DOMAIN_CLIENT, client));
    assert_false (adr_directory_admits (directory, ADR_DOMAIN_CONTROL, client));
    assert_false (adr_directory_admits (directory, ADR_DOMAIN_BULK, client));
    assert_false (adr_directory_admits (directory, ADR_DOMAIN_CLIENT, stranger));
    assert_false (adr_directory_admits (directory, ADR_DOMAIN_CONTROL, stranger));
    assert_int_equal (adr_directory_client_type (directory, client), ADR_NODE_CLIENT);
    adr_directory_set_operators (directory, (const uint8_t (*)[32]) &fixture_shared.stranger_public, 1);
    assert_true (adr_directory_admits (directory, ADR_DOMAIN_CLIENT, stranger)); /* an operator now */
    assert_false (adr_directory_admits (directory, ADR_DOMAIN_CONTROL, stranger));
    assert_int_equal (adr_directory_client_type (directory, stranger), ADR_NODE_OPERATOR);
    assert_int_equal (adr_directory_client_type (directory, client), ADR_NODE_CLIENT);
    assert_false (adr_directory_admits (directory, "", node));
    assert_false (adr_directory_admits (directory, "global", node));
    adr_directory_destroy (&directory);
}

/* [GATE-4] Asks as libzmq does, but with frames of the test's choosing; the status code, or 0. */
static int
s_ask (void *context, int count, const char *const *frames, const uint8_t *key)
{
    adr_socket_options_t options = { .role = ADR_SOCKET_PROBE };
    void *socket = adr_socket_new (context, &options);
    int wait = FIXTURE_DEADLINE_MS, code = 0;
    zmq_setsockopt (socket, ZMQ_RCVTIMEO, &wait, sizeof wait);
    zmq_connect (socket, "inproc://zeromq.zap.01");
    for (int i = 0; i < count; i++)
        zmq_send (socket, frames[i], strlen (frames[i]), i + 1 < count || key ? ZMQ_SNDMORE : 0);
    if (key)
        zmq_send (socket, key, 32, 0);
    char frame[256];
    for (int i = 0, more = 1; more; i++) {
        int size = zmq_recv (socket, frame, sizeof frame - 1, 0);
        if (size < 0)
            break;
        frame[size] = 0;
        if (i == 2)
            code = atoi (frame);
        size_t room = sizeof more;
        zmq_getsockopt (socket, ZMQ_RCVMORE, &more, &room);
    }
    adr_socket_destroy (&socket);
    return code;
}

static void
test_requests_that_are_none (void **state)
{
    (void) state;
    fixture_host_t host;
    fixture_host_init (&host, &fixture_shared);
    const uint8_t *key = fixture_shared.map->node[0].curve_key;
    const char *good[] = { "1.0", "1", ADR_DOMAIN_CONTROL, "127.0.0.1", "", "CURVE" };
    assert_int_equal (s_ask (host.context, 6, good, key), 200);
    uint64_t malformed = adr_metric_get (ADR_METRIC_ZAP_MALFORMED);
    assert_int_equal (s_ask (host.context, 1, good, NULL), 400);
    assert_int_equal (s_ask (host.context, 5, good, NULL), 400);
    assert_int_equal (s_ask (host.context, 5, good, key), 400);
    const char *long_one[] = { "1.0", "1", ADR_DOMAIN_CONTROL, "a", "", "CURVE", "a", "b", "c" };
    assert_int_equal (s_ask (host.context, 9, long_one, key), 400);
    const char *version[] = { "2.0", "1", ADR_DOMAIN_CONTROL, "a", "", "CURVE" };
    assert_int_equal (s_ask (host.context, 6, version, key), 400);
    char huge[70000];
    memset (huge, 'x', sizeof huge - 1);
    huge[sizeof huge - 1] = 0;
    const char *domain[] = { "1.0", "1", huge, "a", "", "CURVE" };
    assert_int_equal (s_ask (host.context, 6, domain, key), 400);
    assert_true (adr_metric_get (ADR_METRIC_ZAP_MALFORMED) >= malformed + 6);
    const char *mechanism[] = { "1.0", "1", ADR_DOMAIN_CONTROL, "a", "", "NULL" };
    assert_int_equal (s_ask (host.context, 6, mechanism, key), 400);
    const char *short_key[] = { "1.0", "1", ADR_DOMAIN_CONTROL, "a", "", "CURVE", "short" };
    assert_int_equal (s_ask (host.context, 7, short_key, NULL), 400);
    assert_int_equal (s_ask (host.context, 6, good, fixture_shared.stranger_public), 400);
    assert_int_equal (s_ask (host.context, 6, good, key), 200); /* still there */
    fixture_host_stop (&host);
}

static void
test_user_id (void **state)
{
    (void) state;
    uint8_t key[32];
    assert_false (adr_user_key (key, NULL));
    assert_false (adr_user_key (key, ""));
    assert_false (adr_user_key (key, "anonymous"));
    char text[ADR_USER_SIZE + 2];
    memset (text, 'a', sizeof text);
    text[ADR_USER_SIZE + 1] = 0;
    assert_false (adr_user_key (key, text));
    text[ADR_USER_SIZE] = 0;
    assert_true (adr_user_key (key, text));
    assert_int_equal (key[31], 0xaa);
}

int
main (void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test (test_probe),
        cmocka_unit_test (test_doors),
        cmocka_unit_test (test_requests_that_are_none),
        cmocka_unit_test (test_user_id),
    };
    return cmocka_run_group_tests (tests, fixture_setup, fixture_teardown);
}
