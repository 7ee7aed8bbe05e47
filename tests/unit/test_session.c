/* SPDX-License-Identifier: MPL-2.0 */
/* Sessions: packing, limits, retries, and what may be told as refused. */

#include "fake_store.h"

#include "core/actor.h"
#include "wire/credential_codec.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

typedef struct {
    adr_id_t cluster, node;
    fake_store_t *store;
    adr_session_t *session;
    int wakes;
} s_world_t;

typedef struct {
    int count;
    adr_status_t status;
    adr_version_t version;
    bool unsent, more;
    char value[64];
    size_t size;
    char text[128];
} s_answer_t;

static void
s_wake (void *transport)
{
    (void) transport;
}

static void
s_done (void *argument, const adr_reply_t *reply)
{
    s_answer_t *answer = argument;
    answer->count++;
    answer->status = reply->status;
    answer->version = reply->version;
    answer->unsent = reply->unsent;
    answer->more = reply->more;
    answer->size = reply->value.size;
    if (reply->value.size && reply->value.size < sizeof answer->value)
        memcpy (answer->value, reply->value.data, reply->value.size);
    assert_non_null (reply->text);
    strncpy (answer->text, reply->text, sizeof answer->text - 1);
}

static int
s_set_up_with (void **state, uint64_t bytes_max, bool wake)
{
    s_world_t *world = adr_alloc (sizeof *world);
    memset (world->cluster.bytes, 7, ADR_ID_SIZE);
    memset (world->node.bytes, 9, ADR_ID_SIZE);
    world->store = fake_store_new (&world->cluster);
    world->session = adr_session_new (&world->cluster, &world->node, 42, bytes_max, fake_store_send, world->store);
    if (wake)
        adr_session_set_wake (world->session, s_wake);
    adr_session_tick (world->session, ADR_MS);
    *state = world;
    return 0;
}

static int
s_set_up (void **state)
{
    return s_set_up_with (state, 8 * 1024 * 1024, false);
}

static int
s_set_up_waking (void **state)
{
    return s_set_up_with (state, 8 * 1024 * 1024, true);
}

static int
s_set_up_small (void **state)
{
    return s_set_up_with (state, 4096, false);
}

static int
s_tear_down (void **state)
{
    s_world_t *world = *state;
    adr_session_destroy (&world->session);
    fake_store_destroy (&world->store);
    free (world);
    return 0;
}

static adr_bytes_t
s_text (const char *text)
{
    return adr_bytes (text, strlen (text));
}

static void
s_put (s_world_t *world, const char *key, const char *value, Adr__Condition condition, uint32_t limit_ms,
       s_answer_t *answer)
{
    adr_session_op_t op = { .table = ADR_TABLE_KV, .key = s_text (key), .value = s_text (value),
                            .condition = condition };
    adr_session_write (world->session, &op, 1, limit_ms, s_done, answer);
}

static void
s_deliver (s_world_t *world, int64_t now_ms)
{
    fake_store_deliver (world->store, world->session, now_ms * ADR_MS);
}

static void
what_is_put_is_read (void **state)
{
    s_world_t *world = *state;
    s_answer_t put = { 0 }, get = { 0 }, none = { 0 };
    s_put (world, "a", "one", ADR__CONDITION__ALWAYS, 0, &put);
    assert_int_equal (put.count, 0); /* never from inside the asking call */
    s_deliver (world, 2);
    assert_int_equal (put.count, 1);
    assert_int_equal (put.status, ADR_STATUS_OK);
    assert_int_equal (put.version.index, 1);
    adr_session_read (world->session, ADR_TABLE_KV, s_text ("a"), ADR__READ_MODE__STRONG, 0, s_done, &get);
    adr_session_read (world->session, ADR_TABLE_KV, s_text ("b"), ADR__READ_MODE__LOCAL, 0, s_done, &none);
    s_deliver (world, 3);
    assert_int_equal (get.status, ADR_STATUS_OK);
    assert_memory_equal (get.value, "one", 3);
    assert_int_equal (none.status, ADR_STATUS_NOT_FOUND);
    assert_int_equal (adr_session_pending (world->session), 0);
    assert_int_equal (adr_session_wake_at (world->session), ADR_NEVER);
}

static void
several_operations_are_one_entry (void **state)
{
    s_world_t *world = *state;
    s_answer_t first = { 0 }, second = { 0 }, read = { 0 };
    adr_session_op_t op[3] = {
        { .table = ADR_TABLE_KV, .key = s_text ("x"), .value = s_text ("1") },
        { .table = ADR_TABLE_KV, .key = s_text ("y"), .value = s_text ("22") },
        { .table = ADR_TABLE_KV, .key = s_text ("z"), .value = s_text ("333"),
          .condition = ADR__CONDITION__ABSENT },
    };
    adr_session_write (world->session, op, 3, 0, s_done, &first);
    s_deliver (world, 2);
    assert_int_equal (first.status, ADR_STATUS_OK);
    op[0].value = s_text ("changed");
    adr_session_write (world->session, op, 3, 0, s_done, &second);
    s_deliver (world, 3);
    assert_int_equal (second.status, ADR_STATUS_CONFLICT);
    assert_int_equal (second.version.index, 1);
    adr_session_read (world->session, ADR_TABLE_KV, s_text ("y"), ADR__READ_MODE__STRONG, 0, s_done, &read);
    s_deliver (world, 4);
    assert_memory_equal (read.value, "22", 2);
}

static void
a_version_is_a_condition (void **state)
{
    s_world_t *world = *state;
    s_answer_t answer = { 0 };
    s_put (world, "k", "1", ADR__CONDITION__ALWAYS, 0, &answer);
    s_deliver (world, 2);
    adr_session_op_t op = { .table = ADR_TABLE_KV, .key = s_text ("k"), .value = s_text ("2"),
                            .condition = ADR__CONDITION__VERSION, .version = answer.version };
    adr_session_write (world->session, &op, 1, 0, s_done, &answer);
    s_deliver (world, 3);
    assert_int_equal (answer.status, ADR_STATUS_OK);
    adr_session_write (world->session, &op, 1, 0, s_done, &answer);
    s_deliver (world, 4);
    assert_int_equal (answer.status, ADR_STATUS_CONFLICT);
}

/* Sixty-four that are asked for before the transport's thread wakes leave in one pack. */
static void
what_gathers_leaves_in_one_pack (void **state)
{
    s_world_t *world = *state;
    s_answer_t answer[64] = { 0 };
    for (int i = 0; i < 64; i++)
        s_put (world, "k", "v", ADR__CONDITION__ALWAYS, 0, &answer[i]);
    assert_int_equal (fake_store_packs (world->store), 0);
    adr_session_tick (world->session, 2 * ADR_MS);
    assert_int_equal (fake_store_packs (world->store), 1);
    s_deliver (world, 3);
    for (int i = 0; i < 64; i++)
        assert_int_equal (answer[i].count, 1);
}

typedef struct {
    s_world_t *world;
    int left;
} s_chain_t;

static void
s_chain_done (void *argument, const adr_reply_t *reply)
{
    s_chain_t *chain = argument;
    adr_session_op_t op = { .table = ADR_TABLE_KV, .key = s_text ("k"), .value = s_text ("v") };
    assert_int_equal (reply->status, ADR_STATUS_OK);
    if (chain->left-- > 0)
        adr_session_write (chain->world->session, &op, 1, 0, s_chain_done, chain);
}

/* What callbacks ask for leaves together, too. */
static void
answers_of_a_pack_ask_a_pack (void **state)
{
    s_world_t *world = *state;
    s_chain_t chain[16];
    for (int i = 0; i < 16; i++) {
        chain[i] = (s_chain_t){ world, 9 };
        adr_session_op_t op = { .table = ADR_TABLE_KV, .key = s_text ("k"), .value = s_text ("v") };
        adr_session_write (world->session, &op, 1, 0, s_chain_done, &chain[i]);
    }
    for (int now = 2; adr_session_pending (world->session) > 0; now++) {
        assert_true (now < 100);
        s_deliver (world, now);
    }
    assert_int_equal (fake_store_requests (world->store), 160);
    assert_int_equal (fake_store_packs (world->store), 10);
}

static void
large_values_have_packs_of_their_own (void **state)
{
    s_world_t *world = *state;
    s_answer_t answer[3] = { 0 };
    uint8_t *value = adr_alloc (ADR_VALUE_MAX);
    for (int i = 0; i < 3; i++) {
        adr_session_op_t op = { .table = ADR_TABLE_KV, .key = s_text (i == 0 ? "a" : i == 1 ? "b" : "c"),
                                .value = adr_bytes (value, ADR_VALUE_MAX) };
        adr_session_write (world->session, &op, 1, 0, s_done, &answer[i]);
    }
    adr_session_tick (world->session, 2 * ADR_MS);
    assert_int_equal (fake_store_packs (world->store), 3);
    s_deliver (world, 3);
    for (int i = 0; i < 3; i++)
        assert_int_equal (answer[i].status, ADR_STATUS_OK);
    free (value);
}

static void
beyond_the_bound_is_busy (void **state)
{
    s_world_t *world = *state;
    s_answer_t answer[64] = { 0 };
    fake_store_set_reachable (world->store, false);
    for (int i = 0; i < 64; i++)
        s_put (world, "k", "v", ADR__CONDITION__ALWAYS, 0, &answer[i]);
    assert_int_equal (answer[63].count, 0);
    adr_session_tick (world->session, 2 * ADR_MS);
    assert_int_equal (answer[0].count, 0);
    assert_int_equal (answer[63].count, 1);
    assert_int_equal (answer[63].status, ADR_STATUS_REFUSED);
    assert_false (answer[63].unsent);
    assert_non_null (strstr (answer[63].text, "busy"));
    fake_store_set_reachable (world->store, true);
    adr_session_tick (world->session, 20 * ADR_MS);
    s_deliver (world, 21);
    assert_int_equal (answer[0].status, ADR_STATUS_OK);
}

static void
wrong_requests_are_invalid (void **state)
{
    s_world_t *world = *state;
    s_answer_t answer = { 0 };
    static uint8_t s_large[ADR_VALUE_MAX + 1];
    adr_session_op_t op = { .table = ADR_TABLE_KV, .key = s_text ("k"),
                            .value = adr_bytes (s_large, sizeof s_large) };
    adr_session_write (world->session, &op, 1, 0, s_done, &answer);
    adr_session_write (world->session, &op, 0, 0, s_done, &answer);
    op.value.size = 0;
    op.key = adr_bytes (s_large, ADR_KEY_MAX + 1);
    adr_session_write (world->session, &op, 1, 0, s_done, &answer);
    adr_session_read (world->session, ADR_TABLE_KV, op.key, ADR__READ_MODE__LOCAL, 0, s_done, &answer);
    adr_session_tick (world->session, 2 * ADR_MS);
    assert_int_equal (answer.count, 4);
    assert_int_equal (answer.status, ADR_STATUS_INVALID);
    assert_int_equal (fake_store_requests (world->store), 0);
}

/* --- fates ---------------------------------------------------------------------------------------------------- */

typedef struct {
    fake_fate_t fate[8];
} s_script_t;

static fake_fate_t
s_scripted (void *argument, const fake_request_t *request)
{
    s_script_t *script = argument;
    return request->number <= 8 ? script->fate[request->number - 1] : FAKE_DO;
}

/* A lost answer: the retry has the same id, and so is the same write [REPL-5]. */
static void
a_retry_is_done_once (void **state)
{
    s_world_t *world = *state;
    s_answer_t answer = { 0 };
    s_script_t script = { { FAKE_LOSE_ANSWER } };
    fake_store_set_fate (world->store, s_scripted, &script);
    s_put (world, "k", "v", ADR__CONDITION__ABSENT, 5000, &answer);
    s_deliver (world, 10);
    assert_int_equal (adr_session_wake_at (world->session), (10 + ADR_SESSION_RETRY_MS) * ADR_MS);
    s_deliver (world, 10 + ADR_SESSION_RETRY_MS - 1);
    assert_int_equal (fake_store_requests (world->store), 1);
    s_deliver (world, 10 + ADR_SESSION_RETRY_MS);
    s_deliver (world, 11 + ADR_SESSION_RETRY_MS);
    assert_int_equal (fake_store_requests (world->store), 2);
    assert_int_equal (answer.status, ADR_STATUS_OK);
    assert_int_equal (answer.version.index, 1);
}

/* The second try's `nothing was there` makes no entry if it looks like a first one, and while the first is still under
 * way it is no last word: the first could delete what comes to be afterwards [REPL-5, EDGE-4]. */
static void
a_quick_second_try_tells_that_it_is_one (void **state)
{
    s_world_t *world = *state;
    s_answer_t gone = { 0 }, put = { 0 }, read = { 0 };
    s_script_t script = { { FAKE_HOLD } };
    fake_store_set_fate (world->store, s_scripted, &script);
    adr_session_op_t op = { .table = ADR_TABLE_KV, .key = s_text ("k"), .delete_it = true };
    adr_session_write (world->session, &op, 1, 5000, s_done, &gone);
    s_deliver (world, 10);
    adr_session_send_again (world->session); /* another edge, within the same millisecond */
    s_deliver (world, 10);
    s_deliver (world, 10);
    assert_int_equal (gone.status, ADR_STATUS_OK);
    s_put (world, "k", "new", ADR__CONDITION__ABSENT, 5000, &put);
    s_deliver (world, 11);
    assert_int_equal (put.status, ADR_STATUS_OK);
    fake_store_release (world->store); /* the first try arrives at last */
    s_deliver (world, 12);
    adr_session_read (world->session, ADR_TABLE_KV, s_text ("k"), ADR__READ_MODE__STRONG, 0, s_done, &read);
    s_deliver (world, 13);
    s_deliver (world, 14);
    assert_int_equal (read.status, ADR_STATUS_OK);
}

static void
a_write_without_an_answer_is_unknown (void **state)
{
    s_world_t *world = *state;
    s_answer_t write = { 0 }, read = { 0 };
    s_script_t script = { { FAKE_LOSE, FAKE_LOSE, FAKE_LOSE, FAKE_LOSE } };
    fake_store_set_fate (world->store, s_scripted, &script);
    s_put (world, "k", "v", ADR__CONDITION__ALWAYS, 2000, &write);
    adr_session_read (world->session, ADR_TABLE_KV, s_text ("k"), ADR__READ_MODE__STRONG, 2000, s_done, &read);
    s_deliver (world, 10);
    s_deliver (world, 1600);
    s_deliver (world, 2009);
    assert_int_equal (write.count, 0);
    s_deliver (world, 2010);
    assert_int_equal (write.status, ADR_STATUS_UNKNOWN);
    assert_int_equal (read.status, ADR_STATUS_TIMEOUT);
    assert_false (write.unsent);
    assert_int_equal (fake_store_requests (world->store), 4);
}

static void
a_write_that_never_left_is_refused (void **state)
{
    s_world_t *world = *state;
    s_answer_t write = { 0 }, read = { 0 };
    fake_store_set_reachable (world->store, false);
    s_put (world, "k", "v", ADR__CONDITION__ALWAYS, 500, &write);
    adr_session_read (world->session, ADR_TABLE_KV, s_text ("k"), ADR__READ_MODE__STRONG, 500, s_done, &read);
    for (int now = 10; now < 600; now += 10)
        s_deliver (world, now);
    assert_int_equal (write.status, ADR_STATUS_REFUSED);
    assert_true (write.unsent);
    assert_int_equal (read.status, ADR_STATUS_TIMEOUT);
    assert_true (read.unsent);
}

static void
what_could_not_leave_leaves_later_in_order (void **state)
{
    s_world_t *world = *state;
    s_answer_t answer[3] = { 0 };
    fake_store_set_reachable (world->store, false);
    for (int i = 0; i < 3; i++)
        s_put (world, "k", "v", ADR__CONDITION__ALWAYS, 0, &answer[i]);
    adr_session_tick (world->session, 5 * ADR_MS);
    fake_store_set_reachable (world->store, true);
    int64_t at = adr_session_wake_at (world->session);
    assert_true (at > 5 * ADR_MS && at < 50 * ADR_MS);
    adr_session_tick (world->session, at);
    s_deliver (world, 60);
    for (int i = 0; i < 3; i++)
        assert_int_equal (answer[i].version.index, i + 1);
}

static void
a_refusal_is_final (void **state)
{
    s_world_t *world = *state;
    s_answer_t answer = { 0 };
    s_script_t script = { { FAKE_REFUSE } };
    fake_store_set_fate (world->store, s_scripted, &script);
    s_put (world, "k", "v", ADR__CONDITION__ALWAYS, 0, &answer);
    s_deliver (world, 2);
    assert_int_equal (answer.status, ADR_STATUS_REFUSED);
    assert_false (answer.unsent);
}

/* The first try hangs somewhere, the second is refused: "refused" would promise too much. Once the first was done after
 * all, the third try hears so. */
static void
a_refusal_beside_an_open_try_is_not_believed (void **state)
{
    s_world_t *world = *state;
    s_answer_t answer = { 0 };
    s_script_t script = { { FAKE_HOLD, FAKE_REFUSE, FAKE_DO } };
    fake_store_set_fate (world->store, s_scripted, &script);
    s_put (world, "k", "v", ADR__CONDITION__ABSENT, 10000, &answer);
    s_deliver (world, 2);
    s_deliver (world, 1600);
    s_deliver (world, 1601);
    assert_int_equal (fake_store_requests (world->store), 2);
    assert_int_equal (answer.count, 0);
    fake_store_release (world->store); /* done now, and its answer is the request's */
    s_deliver (world, 1700);
    assert_int_equal (answer.status, ADR_STATUS_OK);
    assert_int_equal (answer.count, 1);
}

typedef struct {
    s_script_t script; /* first: s_scripted relies on it */
    uint64_t token[8];
    uint32_t token_ms[8];
} s_tokens_t;

static fake_fate_t
s_note_tokens (void *argument, const fake_request_t *request)
{
    s_tokens_t *tokens = argument;
    assert_true (request->number <= 8);
    tokens->token[request->number - 1] = request->token;
    tokens->token_ms[request->number - 1] = request->token_ms;
    return s_scripted (&tokens->script, request);
}

#define S_TOKEN(life, ms) ((uint64_t) (life) << ADR_TOKEN_MS_BITS | (ms))

/* [EDGE-6] Nothing can be done any more of a write that was refused unread: it is asked for again at once, as if it were new. */
static void
what_was_refused_unread_is_asked_for_anew (void **state)
{
    s_world_t *world = *state;
    s_answer_t answer = { 0 };
    s_tokens_t tokens = { .script = { { FAKE_UNREAD, FAKE_DO } } };
    fake_store_set_fate (world->store, s_note_tokens, &tokens);
    fake_store_set_token (world->store, S_TOKEN (5, 1000));
    s_put (world, "k", "v", ADR__CONDITION__ALWAYS, 10000, &answer);
    s_deliver (world, 2);
    s_deliver (world, 3);
    assert_int_equal (answer.status, ADR_STATUS_OK);
    assert_int_equal (answer.count, 1);
    assert_int_equal (tokens.token[0], 0);
    assert_int_equal (tokens.token[1], S_TOKEN (5, 1000));
    assert_true (tokens.token_ms[1] <= 3);
}

/* [EDGE-6] The edge of the first try gets the token of before that again, whatever it has told since; another one its own,
 * with how old the write is. */
static void
a_retry_proves_when_the_first_try_was (void **state)
{
    s_world_t *world = *state;
    s_answer_t before = { 0 }, answer = { 0 }, beside = { 0 };
    s_tokens_t tokens = { .script = { { FAKE_DO, FAKE_LOSE, FAKE_DO, FAKE_LOSE, FAKE_DO, FAKE_DO } } };
    fake_store_set_fate (world->store, s_note_tokens, &tokens);
    fake_store_set_token (world->store, S_TOKEN (5, 1000));
    s_put (world, "k", "v", ADR__CONDITION__ALWAYS, 10000, &before);
    s_deliver (world, 2);
    s_put (world, "k", "v", ADR__CONDITION__ALWAYS, 10000, &answer);
    s_deliver (world, 3);
    fake_store_set_token (world->store, S_TOKEN (5, 1700));
    s_put (world, "l", "v", ADR__CONDITION__ALWAYS, 10000, &beside);
    s_deliver (world, 700);
    s_deliver (world, 1600);
    assert_int_equal (tokens.token[3], S_TOKEN (5, 1000));
    assert_int_equal (tokens.token_ms[3], 0);
    fake_store_set_token (world->store, S_TOKEN (6, 50));
    s_put (world, "l", "v", ADR__CONDITION__ALWAYS, 10000, &beside);
    s_deliver (world, 2000);
    s_deliver (world, 3200);
    s_deliver (world, 3201);
    assert_int_equal (answer.status, ADR_STATUS_OK);
    assert_int_equal (tokens.token[5], S_TOKEN (6, 50));
    assert_true (tokens.token_ms[5] >= 3100);
}

/* A second edge may know less, or be of another version: its "invalid" says nothing of what the first was given. */
static void
invalid_beside_an_open_try_is_not_believed (void **state)
{
    s_world_t *world = *state;
    s_answer_t answer = { 0 };
    s_script_t script = { { FAKE_HOLD, FAKE_FORBID, FAKE_DO } };
    fake_store_set_fate (world->store, s_scripted, &script);
    s_put (world, "k", "v", ADR__CONDITION__ABSENT, 10000, &answer);
    s_deliver (world, 2);
    s_deliver (world, 1600);
    s_deliver (world, 1601);
    assert_int_equal (answer.count, 0);
    fake_store_release (world->store);
    s_deliver (world, 1700);
    assert_int_equal (answer.status, ADR_STATUS_OK);
}

static void
refusals_do_not_cover_a_lost_try (void **state)
{
    s_world_t *world = *state;
    s_answer_t answer = { 0 };
    s_script_t script = { { FAKE_LOSE, FAKE_REFUSE, FAKE_REFUSE } };
    fake_store_set_fate (world->store, s_scripted, &script);
    s_put (world, "k", "v", ADR__CONDITION__ALWAYS, 5000, &answer);
    for (int now = 2; now < 3500; now += 100)
        s_deliver (world, now);
    assert_int_equal (fake_store_requests (world->store), 3);
    assert_int_equal (answer.count, 0); /* the lost one may still be done */
    for (int now = 3500; now < 5200; now += 100)
        s_deliver (world, now);
    assert_int_equal (answer.status, ADR_STATUS_OK); /* the fourth try */
}

static void
a_conflict_beside_an_open_try_is_unknown (void **state)
{
    s_world_t *world = *state;
    s_answer_t other = { 0 }, answer = { 0 };
    s_script_t script = { { FAKE_HOLD, FAKE_DO, FAKE_DO } };
    fake_store_set_fate (world->store, s_scripted, &script);
    s_put (world, "k", "mine", ADR__CONDITION__ABSENT, 10000, &answer);
    s_put (world, "k", "other", ADR__CONDITION__ALWAYS, 10000, &other);
    s_deliver (world, 2);
    s_deliver (world, 1600);
    s_deliver (world, 1601);
    assert_int_equal (other.status, ADR_STATUS_OK);
    assert_int_equal (answer.status, ADR_STATUS_UNKNOWN);
    assert_int_equal (answer.version.index, 1);
}

static void
another_edge_gets_everything_again (void **state)
{
    s_world_t *world = *state;
    s_answer_t answer = { 0 };
    s_script_t script = { { FAKE_LOSE } };
    fake_store_set_fate (world->store, s_scripted, &script);
    s_put (world, "k", "v", ADR__CONDITION__ALWAYS, 0, &answer);
    s_deliver (world, 2);
    adr_session_send_again (world->session);
    s_deliver (world, 3);
    s_deliver (world, 4);
    assert_int_equal (fake_store_requests (world->store), 2);
    assert_int_equal (answer.status, ADR_STATUS_OK);
}

static void
the_end_answers_everything (void **state)
{
    s_world_t *world = *state;
    s_answer_t sent = { 0 }, read = { 0 }, unsent = { 0 };
    s_script_t script = { { FAKE_LOSE, FAKE_LOSE } };
    fake_store_set_fate (world->store, s_scripted, &script);
    s_put (world, "k", "v", ADR__CONDITION__ALWAYS, 0, &sent);
    adr_session_read (world->session, ADR_TABLE_KV, s_text ("k"), ADR__READ_MODE__STRONG, 0, s_done, &read);
    fake_store_set_reachable (world->store, false);
    s_put (world, "k", "v", ADR__CONDITION__ALWAYS, 0, &unsent);
    adr_session_destroy (&world->session);
    assert_null (world->session);
    assert_int_equal (sent.status, ADR_STATUS_UNKNOWN);
    assert_int_equal (read.status, ADR_STATUS_TIMEOUT);
    assert_int_equal (unsent.status, ADR_STATUS_REFUSED);
    assert_int_equal (sent.count + read.count + unsent.count, 3);
}

static void
nonsense_is_dropped (void **state)
{
    s_world_t *world = *state;
    uint8_t noise[300];
    adr_random_t random = { 1 };
    for (int i = 0; i < 2000; i++) {
        for (size_t j = 0; j < sizeof noise; j++)
            noise[j] = (uint8_t) adr_random_next (&random);
        adr_session_receive (world->session, adr_bytes (noise, (size_t) adr_random_between (&random, 0, 300)));
    }
    assert_int_equal (adr_session_dropped (world->session), 2000);
    /* An answer for nobody, in a good pack, and one from another cluster. */
    adr_buffer_t pack = { 0 };
    adr_envelope_t envelope = { .cluster = world->cluster, .from_actor = ADR_ACTOR_EDGE_ROUTER,
                                .to_actor = ADR_ACTOR_CLIENT };
    Adr__Answer answer = ADR__ANSWER__INIT;
    answer.number = 12345678;
    adr_pack_begin (&pack, &envelope);
    adr_pack_add (&pack, ADR__KIND__ANSWER, &answer.base, (adr_bytes_t){ 0 });
    adr_session_receive (world->session, adr_bytes (pack.data, pack.size));
    adr_buffer_clear (&pack);
    envelope.cluster.bytes[0] ^= 1;
    adr_pack_begin (&pack, &envelope);
    adr_session_receive (world->session, adr_bytes (pack.data, pack.size));
    adr_buffer_free (&pack);
    assert_int_equal (adr_session_dropped (world->session), 2002);
}

/* --- keys ------------------------------------------------------------------------------------------------------ */

typedef struct {
    unsigned count;
    uint64_t number;
    adr_credential_t credential;
    uint8_t question[ADR_ID_SIZE];
} s_asked_t;

/* A transport that keeps what was asked last. */
static bool
s_keep_question (void *transport, adr_bytes_t pack)
{
    s_asked_t *asked = transport;
    adr_pack_reader_t reader;
    adr_item_t item;
    adr_arena_t arena;
    adr_arena_init (&arena, 16384, 65536);
    assert_true (adr_pack_open (&reader, pack) && adr_pack_next (&reader, &item) == 1);
    assert_int_equal (item.kind, ADR__KIND__CONTROL);
    const Adr__Control *control = (const Adr__Control *) adr_header_decode (&item, &arena);
    assert_non_null (control);
    assert_int_equal (control->action, ADR__CONTROL_ACTION__KEY_CREATE);
    assert_true (control->limit_ms > 0);
    assert_true (adr_credential_read (&asked->credential, control->credential));
    memcpy (asked->question, control->credential->question.data, ADR_ID_SIZE);
    asked->number = control->number;
    asked->count++;
    adr_arena_free (&arena);
    return true;
}

/* [KEY-3] */
static void
a_key_s_question_is_the_same_at_each_try (void **state)
{
    s_world_t *world = *state;
    s_asked_t asked = { 0 }, first;
    s_answer_t answer = { 0 };
    adr_id_t question = { { 1, 2, 3 } };
    adr_credential_t credential = { .access_key = "ALICE", .owner = "alice", .secret = "0123456789abcdef", .limited = true,
                                    .right_count = 1, .right = { { "papers", ADR_ACCESS_WRITE } } }, kept;
    adr_session_t *session = adr_session_new (&world->cluster, &world->node, 42, 1 << 20, s_keep_question, &asked);
    adr_session_tick (session, ADR_MS);
    adr_session_key (session, ADR__CONTROL_ACTION__KEY_CREATE, &credential, &question, 5000, s_done, &answer);
    memset (&credential, 0, sizeof credential); /* it was lent for the call */
    adr_session_tick (session, 2 * ADR_MS);
    assert_int_equal (asked.count, 1);
    first = asked;
    adr_session_tick (session, (3 + ADR_SESSION_RETRY_MS) * ADR_MS);
    assert_int_equal (asked.count, 2);
    assert_int_equal (asked.number, first.number);
    assert_memory_equal (asked.question, question.bytes, ADR_ID_SIZE);
    assert_memory_equal (asked.question, first.question, ADR_ID_SIZE);
    assert_memory_equal (&asked.credential, &first.credential, sizeof first.credential);
    assert_string_equal (asked.credential.secret, "0123456789abcdef");
    assert_string_equal (asked.credential.right[0].bucket, "papers");

    adr_buffer_t pack = { 0 };
    adr_envelope_t envelope = { .cluster = world->cluster, .from_actor = ADR_ACTOR_EDGE_ROUTER, .to_actor = ADR_ACTOR_CLIENT };
    Adr__ControlAnswer control = ADR__CONTROL_ANSWER__INIT;
    adr_credential_message_t message;
    control.number = asked.number;
    control.credential = adr_credential_fill (&message, &asked.credential, ADR_CREDENTIAL_BARE);
    adr_pack_begin (&pack, &envelope);
    adr_pack_add (&pack, ADR__KIND__CONTROL_ANSWER, &control.base, (adr_bytes_t){ 0 });
    adr_session_receive (session, adr_bytes (pack.data, pack.size));
    adr_buffer_free (&pack);
    assert_int_equal (answer.count, 1);
    assert_int_equal (answer.status, ADR_STATUS_OK);
    assert_true (adr_credential_decode (&kept, adr_bytes (answer.value, answer.size)));
    assert_string_equal (kept.access_key, "ALICE");
    assert_string_equal (kept.secret, "");
    adr_session_destroy (&session);
}

static void
a_list_comes_in_pages (void **state)
{
    s_world_t *world = *state;
    s_answer_t put = { 0 }, page = { 0 };
    for (char c = 'a'; c <= 'e'; c++) {
        char key[] = { 'p', c, 0 };
        s_put (world, key, "v", ADR__CONDITION__ALWAYS, 0, &put);
    }
    adr_session_list (world->session, ADR_TABLE_KV, s_text ("p"), (adr_bytes_t){ 0 }, 3, false,
                      ADR__READ_MODE__STRONG, 0, s_done, &page);
    s_deliver (world, 2);
    s_deliver (world, 3);
    assert_int_equal (page.status, ADR_STATUS_OK);
    assert_true (page.more);
    adr_session_list (world->session, ADR_TABLE_KV, s_text ("p"), s_text ("pc"), 3, false, ADR__READ_MODE__STRONG, 0,
                      s_done, &page);
    s_deliver (world, 4);
    assert_false (page.more);
}

static void
s_map_done (void *argument, const adr_reply_t *reply)
{
    assert_int_equal (reply->status, ADR_STATUS_OK);
    Adr__ClusterMap *map = adr__cluster_map__unpack (NULL, reply->value.size, reply->value.data);
    assert_non_null (map);
    assert_string_equal (map->registry->name, "lab");
    adr__cluster_map__free_unpacked (map, NULL);
    ++*(int *) argument;
}

static void
the_map_can_be_asked_for (void **state)
{
    s_world_t *world = *state;
    Adr__ClusterMap map = ADR__CLUSTER_MAP__INIT;
    Adr__Registry registry = ADR__REGISTRY__INIT;
    uint8_t bytes[256];
    int count = 0;
    registry.name = (char *) "lab";
    map.registry = &registry;
    fake_store_set_map (world->store, adr_bytes (bytes, adr__cluster_map__pack (&map, bytes)));
    adr_session_map (world->session, 0, s_map_done, &count);
    s_deliver (world, 2);
    assert_int_equal (count, 1);
}

static void
a_full_slab_says_busy (void **state)
{
    s_world_t *world = *state;
    s_answer_t answer = { 0 };
    adr_session_t *session = adr_session_new (&world->cluster, &world->node, 1, UINT64_MAX, fake_store_send,
                                              world->store);
    fake_store_set_reachable (world->store, false);
    adr_session_set_wake (session, s_wake);
    for (int i = 0; i < ADR_SESSION_REQUESTS_MAX + 5; i++)
        adr_session_read (session, ADR_TABLE_KV, s_text ("k"), ADR__READ_MODE__LOCAL, 0, s_done, &answer);
    adr_session_tick (session, 2 * ADR_MS);
    assert_int_equal (answer.count, 5);
    assert_int_equal (answer.status, ADR_STATUS_REFUSED);
    adr_session_destroy (&session);
    assert_int_equal (answer.count, ADR_SESSION_REQUESTS_MAX + 5);
}

static void
s_ask_many (s_world_t *world, int puts, int strong, int local)
{
    s_answer_t answer = { 0 };
    for (int i = 0; i < puts; i++)
        s_put (world, "k", "v", ADR__CONDITION__ALWAYS, 0, &answer);
    for (int i = 0; i < strong + local; i++)
        adr_session_read (world->session, ADR_TABLE_KV, s_text ("k"),
                          i < strong ? ADR__READ_MODE__STRONG : ADR__READ_MODE__LOCAL, 0, s_done, &answer);
    while (fake_store_deliver (world->store, world->session, 2 * ADR_MS))
        ;
    assert_int_equal (answer.count, puts + strong + local);
}

static void
only_writers_hear_of_the_masters_edge (void **state)
{
    s_world_t *world = *state;
    char endpoint[ADR_ENDPOINT_MAX + 1];
    fake_store_set_hint (world->store, "tcp://10.0.0.1:7003");
    s_ask_many (world, 255, 0, 0); /* not yet */
    assert_false (adr_session_take_hint (world->session, endpoint));
    s_ask_many (world, 1, 0, 0);
    assert_true (adr_session_take_hint (world->session, endpoint));
    assert_string_equal (endpoint, "tcp://10.0.0.1:7003");
    assert_false (adr_session_take_hint (world->session, endpoint)); /* each window once */
    s_ask_many (world, 64, 192, 0);
    assert_true (adr_session_take_hint (world->session, endpoint));
    s_ask_many (world, 63, 193, 0); /* hardly a writer */
    assert_false (adr_session_take_hint (world->session, endpoint));
    s_ask_many (world, 255, 0, 1); /* local reads mean this zone */
    assert_false (adr_session_take_hint (world->session, endpoint));
    s_ask_many (world, 200, 0, 0);
    fake_store_set_hint (world->store, "tcp://10.0.0.2:7003"); /* the master has changed: counted anew */
    s_ask_many (world, 200, 0, 0);
    assert_false (adr_session_take_hint (world->session, endpoint));
    s_ask_many (world, 56, 0, 0);
    assert_true (adr_session_take_hint (world->session, endpoint));
    assert_string_equal (endpoint, "tcp://10.0.0.2:7003");
}

int
main (void)
{
#define S_TEST(name) cmocka_unit_test_setup_teardown (name, s_set_up, s_tear_down)
    const struct CMUnitTest tests[] = {
        S_TEST (what_is_put_is_read),
        S_TEST (several_operations_are_one_entry),
        S_TEST (a_version_is_a_condition),
        cmocka_unit_test_setup_teardown (what_gathers_leaves_in_one_pack, s_set_up_waking, s_tear_down),
        cmocka_unit_test_setup_teardown (answers_of_a_pack_ask_a_pack, s_set_up_waking, s_tear_down),
        cmocka_unit_test_setup_teardown (large_values_have_packs_of_their_own, s_set_up_waking, s_tear_down),
        cmocka_unit_test_setup_teardown (beyond_the_bound_is_busy, s_set_up_small, s_tear_down),
        S_TEST (wrong_requests_are_invalid),
        S_TEST (a_retry_is_done_once),
        S_TEST (a_quick_second_try_tells_that_it_is_one),
        S_TEST (a_write_without_an_answer_is_unknown),
        S_TEST (a_write_that_never_left_is_refused),
        S_TEST (what_could_not_leave_leaves_later_in_order),
        S_TEST (a_refusal_is_final),
        S_TEST (a_refusal_beside_an_open_try_is_not_believed),
        S_TEST (what_was_refused_unread_is_asked_for_anew),
        S_TEST (a_retry_proves_when_the_first_try_was),
        S_TEST (invalid_beside_an_open_try_is_not_believed),
        S_TEST (refusals_do_not_cover_a_lost_try),
        S_TEST (a_conflict_beside_an_open_try_is_unknown),
        S_TEST (another_edge_gets_everything_again),
        S_TEST (the_end_answers_everything),
        S_TEST (nonsense_is_dropped),
        S_TEST (a_key_s_question_is_the_same_at_each_try),
        S_TEST (a_list_comes_in_pages),
        S_TEST (the_map_can_be_asked_for),
        S_TEST (a_full_slab_says_busy),
        S_TEST (only_writers_hear_of_the_masters_edge),
    };
    return cmocka_run_group_tests_name ("session", tests, NULL, NULL);
}
