/* SPDX-License-Identifier: MPL-2.0 */
/* `adrestiad join` [TRUST-5], against doors that are real CURVE sockets: no answer is believed which token and root do not vouch for;
 * who refuses, is busy or is silent. */

#include "join_fixture.h"

#include <time.h>

/* --- answers that are not believed ------------------------------------------------------------------------------------- */

static void s_cert_node (adr_cert_t *cert) { cert->node.bytes[3] ^= 1; }
static void s_cert_curve (adr_cert_t *cert) { cert->curve_key[3] ^= 1; }
static void s_cert_sign (adr_cert_t *cert) { cert->sign_key[3] ^= 1; }
static void s_cert_zone (adr_cert_t *cert) { cert->zone = join_world.founding->map->zone[0].id; }
static void s_cert_group (adr_cert_t *cert) { cert->group = join_world.founding->map->group[0].id; }
static void s_cert_type (adr_cert_t *cert) { cert->type = ADR_NODE_META; }
static void s_cert_name (adr_cert_t *cert) { cert->name[0] ^= 1; }
static void s_cert_cluster (adr_cert_t *cert) { cert->cluster.bytes[3] ^= 1; }
static void s_cert_issuer (adr_cert_t *cert) { cert->issuer_serial++; }
static void s_cert_over (adr_cert_t *cert) { cert->not_after_ms = cert->not_before_ms; }
static void s_cert_early (adr_cert_t *cert) { cert->not_after_ms = cert->not_before_ms += 3600000; }
static void s_node_curve (adr_map_node_t *node) { node->curve_key[3] ^= 1; }
static void s_node_sign (adr_map_node_t *node) { node->sign_key[3] ^= 1; }
static void s_node_id (adr_map_node_t *node) { node->id.bytes[3] ^= 1; }
static void s_node_name (adr_map_node_t *node) { node->name[0] ^= 1; }
static void s_node_evicted (adr_map_node_t *node) { node->evicted = true; }
static void s_node_leaving (adr_map_node_t *node) { node->leaving = true; }
static void s_node_zone (adr_map_node_t *node) { node->zone = join_world.founding->map->zone[0].id; }
static void s_map_without (adr_map_t *map) { map->node_count--; }
static void s_map_cluster (adr_map_t *map) { map->cluster.bytes[3] ^= 1; }
static void s_map_root (adr_map_t *map) { map->root_certificate[map->root_certificate_size - 1] ^= 1; }
static void s_map_other_node (adr_map_t *map) { map->node[0].certificate[map->node[0].certificate_size - 1] ^= 1; }
static void s_map_other_key (adr_map_t *map) { map->node[1].curve_key[0] ^= 1; }
/* The node is listed with other keys, and a certificate for these that is sound. */
static void
s_node_twice (adr_map_node_t *node)
{
    adr_cert_t cert;
    assert_true (adr_cert_decode (&cert, adr_bytes (node->certificate, node->certificate_size)));
    cert.sign_key[3] ^= 1;
    node->sign_key[3] ^= 1;
    adr_cert_sign (&cert, join_world.founding->authority[0].keys.sign_seed); /* of the first door */
    node->certificate_size = adr_cert_encode (&cert, node->certificate);
}
static void s_no_map (Adr__JoinAnswer *answer) { answer->map = NULL; }
static void s_no_registry (Adr__JoinAnswer *answer) { answer->map->registry = NULL; }
static void s_no_cert (Adr__JoinAnswer *answer) { answer->certificate.len = 0; }
static void s_cut_cert (Adr__JoinAnswer *answer) { answer->certificate.len--; }
static void s_bad_cert (Adr__JoinAnswer *answer) { answer->certificate.data[answer->certificate.len - 1] ^= 1; }
static void s_no_hash_key (Adr__JoinAnswer *answer) { answer->hash_key.len = 0; }
/* The one of another node of the same group, which is sound. */
static void
s_other_cert (Adr__JoinAnswer *answer)
{
    const adr_map_node_t *node = adr_founding_node (join_world.founding, 0, ADR_NODE_DATA);
    answer->certificate = adr_bytes_view (adr_bytes (node->certificate, node->certificate_size));
}

static void
s_refute (const char *what, const fake_door_edits_t *edits)
{
    join_make_token (join_world.token.type);
    join_edit (edits);
    int code = join_now ();
    if (code != ADR_JOIN_UNBELIEVED)
        fail_msg ("%s: %d", what, code);
    join_check_nothing_written ();
}

static void
certificates_must_fit (void **state)
{
    (void) state;
    static const struct {
        const char *what;
        void (*edit) (adr_cert_t *);
    } edits[] = { { "node", s_cert_node },       { "curve", s_cert_curve }, { "sign", s_cert_sign },   { "zone", s_cert_zone },
                  { "group", s_cert_group },     { "type", s_cert_type },   { "name", s_cert_name },   { "cluster", s_cert_cluster },
                  { "issuer", s_cert_issuer },   { "over", s_cert_over },   { "early", s_cert_early } };
    for (size_t i = 0; i < sizeof edits / sizeof edits[0]; i++)
        s_refute (edits[i].what, &(fake_door_edits_t){ .cert = edits[i].edit });
    s_refute ("expired", &(fake_door_edits_t){ .now_ms = (int64_t) time (NULL) * 1000 - 200000 }); /* [TRUST-2] */
}

static void
maps_must_fit (void **state)
{
    (void) state;
    static const struct {
        const char *what;
        fake_door_edits_t edits;
    } cases[] = { { "its curve key", { .node = s_node_curve } },  { "its sign key", { .node = s_node_sign } },
                  { "its id", { .node = s_node_id } },            { "its name", { .node = s_node_name } },
                  { "its zone", { .node = s_node_zone } },        { "two certificates", { .node = s_node_twice } },        { "evicted", { .node = s_node_evicted } },
                  { "leaving", { .node = s_node_leaving } },      { "without it", { .map = s_map_without } },
                  { "cluster", { .map = s_map_cluster } },        { "root", { .map = s_map_root } },
                  { "another's certificate", { .map = s_map_other_node } }, { "another's key", { .map = s_map_other_key } } };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        s_refute (cases[i].what, &cases[i].edits);
}

static void
answers_must_be_whole (void **state)
{
    (void) state;
    static void (*const edits[]) (Adr__JoinAnswer *)
        = { s_no_map, s_no_registry, s_no_cert, s_cut_cert, s_bad_cert, s_other_cert, s_no_hash_key };
    char what[16];
    for (size_t i = 0; i < sizeof edits / sizeof edits[0]; i++) {
        snprintf (what, sizeof what, "answer %zu", i);
        s_refute (what, &(fake_door_edits_t){ .answer = edits[i] });
    }
}

static void
s_give_hash_key (Adr__JoinAnswer *answer)
{
    answer->hash_key = adr_bytes_view (adr_bytes (join_world.founding->hash_key, 32));
}

static void
an_edge_gets_no_hash_key (void **state)
{
    (void) state;
    join_make_token (ADR_NODE_EDGE);
    s_refute ("hash key", &(fake_door_edits_t){ .answer = s_give_hash_key });
}

/* [TRUST-5] All that it says fits together, and is signed by a root: not by the token's. */
static void
the_root_is_the_tokens (void **state)
{
    (void) state;
    adr_token_t token = join_world.token;
    token.root_hash[31] ^= 1;
    join_use_token (&token);
    assert_int_equal (join_now (), ADR_JOIN_UNBELIEVED);
    join_check_nothing_written ();
}

/* --- refusals and silence ------------------------------------------------------------------------------------------- */

static double
s_seconds (void)
{
    struct timespec now;
    clock_gettime (CLOCK_MONOTONIC, &now);
    return (double) now.tv_sec + (double) now.tv_nsec / 1e9;
}

static void
a_refusal_ends_it (void **state)
{
    (void) state;
    static const adr_status_t ends[] = { ADR_STATUS_NOT_FOUND, ADR_STATUS_CONFLICT, ADR_STATUS_INVALID, ADR_STATUS_DENIED,
                                         ADR_STATUS_DAMAGED, ADR_STATUS_FULL };
    for (size_t i = 0; i < sizeof ends / sizeof ends[0]; i++) {
        join_make_token (ADR_NODE_DATA);
        join_edit (&(fake_door_edits_t){ .status = ends[i], .text = "used\x1b[2J" });
        double began = s_seconds ();
        assert_int_equal (join_now (), ADR_JOIN_REFUSED);
        assert_true (s_seconds () - began < 1.5);
        assert_int_equal (fake_door_asked (join_world.door[0]) + fake_door_asked (join_world.door[1]), 1);
        join_check_nothing_written ();
    }
}

/* It goes to a terminal. */
static void
what_is_said_is_printable (void **state)
{
    (void) state;
    adr_join_answer_t answer;
    const adr_join_identity_t identity = { { { 1 } }, { { 2 }, { 3 } }, 0 };
    const adr_join_ask_t ask = { &join_world.token, &identity, { "tcp://127.0.0.1:1", "tcp://127.0.0.1:2", "", "" }, { NULL, 0 } };
    join_edit (&(fake_door_edits_t){ .status = ADR_STATUS_DENIED, .text = "used\x1b[2J\xff\n" });
    assert_true (adr_join_ask (&ask, &join_world.token.door[0], INT64_MAX, &answer));
    assert_int_equal (answer.status, ADR_STATUS_DENIED);
    assert_string_equal (answer.text, "used?[2J??");
    adr_join_answer_free (&answer);
    join_edit (&(fake_door_edits_t){ .status = ADR_STATUS_DENIED, .text = "" });
    assert_true (adr_join_ask (&ask, &join_world.token.door[0], INT64_MAX, &answer));
    assert_string_equal (answer.text, adr_status_name (ADR_STATUS_DENIED));
    adr_join_answer_free (&answer);
}

static void
who_is_busy_is_asked_again (void **state)
{
    (void) state;
    join_edit (&(fake_door_edits_t){ .passing = 1 });
    assert_int_equal (join_now (), 0);
    assert_int_equal (fake_door_asked (join_world.door[0]), 2);
    assert_int_equal (fake_door_asked (join_world.door[1]), 1);
}

static void
silence_ends_in_time (void **state)
{
    (void) state;
    join_edit (&(fake_door_edits_t){ .silent = true });
    double began = s_seconds ();
    assert_int_equal (join_now (), ADR_JOIN_AGAIN);
    assert_true (s_seconds () - began > 1.9 && s_seconds () - began < 4);
    join_check_nothing_written ();
    join_edit (&(fake_door_edits_t){ 0 });
    assert_int_equal (join_now (), 0); /* by the keys that were asked for before */
    assert_int_equal (fake_door_signed (join_world.door[0]), 1);
}

static void
the_next_door_is_tried (void **state)
{
    (void) state;
    adr_token_t token = join_world.token;
    strcpy (token.door[0].endpoint, "tcp://nonsense"); /* no port: it cannot even be tried */
    join_use_token (&token);
    assert_int_equal (join_with (join_world.text, "--address", "127.0.0.1", NULL), 0);
    assert_int_equal (fake_door_asked (join_world.door[1]), 1);
}

/* Who has not the key that the token pins is not spoken to. */
static void
a_door_has_the_tokens_key (void **state)
{
    (void) state;
    adr_token_t token = join_world.token;
    token.door_count = 1;
    memset (&token.door[1], 0, sizeof token.door[1]);
    token.door[0].curve_key[0] ^= 1;
    join_use_token (&token);
    assert_int_equal (join_now (), ADR_JOIN_AGAIN);
    assert_int_equal (fake_door_asked (join_world.door[0]), 0);
}

static void
noise_is_passed_over (void **state)
{
    (void) state;
    join_edit (&(fake_door_edits_t){ .noisy = true });
    assert_int_equal (join_now (), 0);
}

static void
a_token_of_another_secret (void **state)
{
    (void) state;
    adr_token_t token = join_world.token;
    token.secret[0] ^= 1;
    join_use_token (&token);
    assert_int_equal (join_now (), ADR_JOIN_REFUSED);
    assert_false (fake_door_proved (join_world.door[0]));
}

int
main (void)
{
    const struct CMUnitTest tests[] = {
        JOIN_TEST (certificates_must_fit),
        JOIN_TEST (maps_must_fit),
        JOIN_TEST (answers_must_be_whole),
        JOIN_TEST (an_edge_gets_no_hash_key),
        JOIN_TEST (the_root_is_the_tokens),
        JOIN_TEST (a_refusal_ends_it),
        JOIN_TEST (what_is_said_is_printable),
        JOIN_TEST (who_is_busy_is_asked_again),
        JOIN_TEST (silence_ends_in_time),
        JOIN_TEST (the_next_door_is_tried),
        JOIN_TEST (a_door_has_the_tokens_key),
        JOIN_TEST (noise_is_passed_over),
        JOIN_TEST (a_token_of_another_secret),
    };
    return cmocka_run_group_tests (tests, NULL, NULL);
}
