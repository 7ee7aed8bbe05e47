/* SPDX-License-Identifier: MPL-2.0 */
/* How credentials are changed, and what edges are told of them [KEY-1 to KEY-4]. */

#include "fake_group.h"
#include "registry_fixture.h"

#include "wire/credential_codec.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

#define SECRET "an-open-secret-0123456789"
#define OTHER "another-secret-9876543210"

static harness_t s_signer;
static fake_group_t s_group;
static adr_founding_t *s_founding;
static adr_authority_t s_authority;
static uint8_t s_question;
static const adr_bytes_t s_nothing;

static void
s_start (bool has_key)
{
    memcpy (s_authority.sign_seed, s_founding->authority[0].keys.sign_seed, ADR_KEY_SIZE);
    memset (s_authority.sealing_key, 0x5e, sizeof s_authority.sealing_key);
    s_authority.has_sealing_key = has_key;
    assert_true (adr_cert_decode (&s_authority.certificate, adr_bytes (s_founding->authority[0].certificate,
                                                                      s_founding->authority[0].certificate_size)));
    const adr_map_node_t *node = adr_founding_node (s_founding, 0, ADR_NODE_PKI);
    adr_environment_t environment = { .cluster = s_founding->map->cluster, .node = node->id, .type = ADR_NODE_PKI,
                                      .group = node->group, .map = s_founding->map, .authority = &s_authority, .seed = 7 };
    harness_start (&s_signer, &adr_cert_signer_class, &environment);
    s_signer.wall_ms = FIXTURE_NOW_MS;
}

static int
s_setup (void **state)
{
    (void) state;
    s_founding = registry_found ();
    s_start (true);
    s_group.signer = &s_signer;
    s_question = 0;
    return 0;
}

static int
s_teardown (void **state)
{
    (void) state;
    harness_stop (&s_signer);
    fake_group_free (&s_group);
    adr_founding_destroy (&s_founding);
    return 0;
}

/* --- who asks -------------------------------------------------------------------------------------------------------- */

typedef struct {
    Adr__ControlAction action;
    const char *key, *owner, *secret, *bucket;
    adr_access_t level;
    bool limited;
    uint8_t question; /* 0: a new one */
    adr_node_type_t role;
    uint8_t curve_key[32];
    size_t curve_key_size;
    uint64_t until_ms;
    uint64_t known; /* by its edge; 0: all */
} ask_t;

#define A_KEY .curve_key = { 1, 2, 3 }, .curve_key_size = 32
#define OTHER_KEY .curve_key = { 4, 5, 6 }, .curve_key_size = 32

static void
s_send (ask_t ask)
{
    Adr__Control control = ADR__CONTROL__INIT;
    Adr__Credential credential = ADR__CREDENTIAL__INIT;
    Adr__Right right = ADR__RIGHT__INIT, *rights = &right;
    adr_id_t question = { { ask.question ? ask.question : ++s_question } }, asker = { { 0xab } };
    credential.access_key = (char *) (ask.key ? ask.key : "ALICE");
    credential.owner = (char *) (ask.owner ? ask.owner : "");
    credential.secret = (char *) (ask.secret ? ask.secret : "");
    credential.question = adr_id_view (&question);
    credential.limited = ask.limited;
    credential.role = ask.role;
    credential.curve_key = adr_bytes_view (adr_bytes (ask.curve_key, ask.curve_key_size));
    credential.until_ms = ask.until_ms;
    right.bucket = (char *) ask.bucket;
    right.level = ask.level;
    credential.n_right = ask.bucket ? 1 : 0;
    credential.right = &rights;
    control.number = 5;
    control.action = ask.action;
    control.limit_ms = 10000;
    control.asker = adr_id_view (&asker);
    control.asker_name = (char *) "root-of-all";
    control.users_known = ask.known ? ask.known : UINT64_MAX;
    control.credential = &credential;
    harness_forget (&s_signer);
    adr_id_t edge = adr_founding_node (s_founding, 0, ADR_NODE_EDGE)->id;
    harness_message (&s_signer, (adr_address_t){ edge, ADR_ACTOR_EDGE_ROUTER }, ADR_NODE_EDGE, ADR__KIND__CONTROL, &control.base,
                     s_nothing);
}

static const Adr__ControlAnswer *
s_answered (void)
{
    assert_int_equal (harness_count (&s_signer, ADR__KIND__CONTROL_ANSWER), 1);
    const Adr__ControlAnswer *answer = (const Adr__ControlAnswer *) harness_sent (&s_signer, ADR__KIND__CONTROL_ANSWER, 0)->header;
    if (answer->credential) { /* [KEY-2] */
        assert_string_equal (answer->credential->secret, "");
        assert_int_equal (answer->credential->sealed.len, 0);
    }
    return answer;
}

static const Adr__ControlAnswer *
s_ask (ask_t ask)
{
    s_send (ask);
    fake_group_serve (&s_group);
    return s_answered ();
}

#define ASK(...) s_ask ((ask_t){ .action = ADR__CONTROL_ACTION__KEY_##__VA_ARGS__ })
#define ASSERT_IS(outcome, ...) assert_int_equal (ASK (__VA_ARGS__)->status, ADR_STATUS_##outcome)

static adr_credential_t
s_record (const char *key)
{
    char at[80];
    adr_credential_t credential;
    snprintf (at, sizeof at, "k%s", key);
    const ideal_record_t *record = fake_group_find (&s_group, ADR_TABLE_CREDENTIAL, at);
    assert_non_null (record);
    assert_true (adr_credential_decode (&credential, adr_bytes (record->value.data, record->value.size)));
    return credential;
}

static size_t
s_rows (uint8_t table)
{
    size_t rows = 0;
    for (size_t i = 0; i < s_group.ideal.count; i++)
        rows += s_group.ideal.record[i].table == table && s_group.ideal.record[i].version;
    return rows;
}

/* --- changes ----------------------------------------------------------------------------------------------------------- */

static void
what_is_created_is_sealed (void **state)
{
    (void) state;
    const Adr__ControlAnswer *answer = ASK (CREATE, .owner = "alice", .secret = SECRET);
    assert_int_equal (answer->status, ADR_STATUS_OK);
    assert_int_equal (answer->number, 5);
    assert_string_equal (answer->credential->access_key, "ALICE");
    assert_int_equal (answer->credential->generation, 1);
    assert_int_equal (answer->credential->created_ms, FIXTURE_NOW_MS);
    adr_credential_t credential = s_record ("ALICE");
    assert_string_equal (credential.secret, "");
    assert_true (adr_credential_unseal (&credential, &s_founding->map->cluster, s_authority.sealing_key));
    assert_string_equal (credential.secret, SECRET);
    assert_true (fake_group_has (&s_group, ADR_TABLE_AUDIT, "\"action\": \"key-create\", \"key\": \"ALICE\", \"owner\": \"alice\""));
    assert_true (fake_group_has (&s_group, ADR_TABLE_AUDIT, "\"by\": \"ab"));
    for (unsigned table = 0; table < ADR_TABLE_COUNT; table++)
        assert_false (fake_group_has (&s_group, (uint8_t) table, SECRET));
    assert_null (strstr (s_signer.note, SECRET));
}

/* [USER-1] */
static void
users_are_made_changed_and_ended (void **state)
{
    (void) state;
    const adr_node_type_t any = ADR_NODE_CLIENT;
    const Adr__ControlAnswer *answer = ASK (CREATE, .key = "olga", .role = ADR_NODE_OPERATOR, A_KEY, .until_ms = 77);
    assert_int_equal (answer->status, ADR_STATUS_OK);
    assert_int_equal (answer->credential->role, ADR_NODE_OPERATOR);
    adr_credential_t olga = s_record ("olga");
    assert_int_equal (olga.role, ADR_NODE_OPERATOR);
    assert_int_equal (olga.until_ms, 77);
    assert_int_equal (olga.curve_key[2], 3);
    assert_int_equal (olga.created_ms, FIXTURE_NOW_MS);
    assert_int_equal (olga.sealed_size, 0);
    ASSERT_IS (CONFLICT, CREATE, .key = "olga", .role = ADR_NODE_ADMIN, OTHER_KEY);
    ASSERT_IS (CONFLICT, CREATE, .key = "olga", .owner = "olga", .secret = SECRET); /* one namespace */
    ASSERT_IS (NOT_FOUND, DISABLE, .key = "olga");                                  /* no access key */
    ASSERT_IS (NOT_FOUND, ROTATE, .key = "olga", .secret = SECRET);
    ASSERT_IS (NOT_FOUND, DISABLE, .key = "nobody", .role = any);
    ASSERT_IS (OK, DISABLE, .key = "olga", .role = any);
    assert_true (s_record ("olga").disabled);
    assert_int_equal (s_record ("olga").role, ADR_NODE_OPERATOR);
    ASSERT_IS (OK, ENABLE, .key = "olga", .role = any);
    ASSERT_IS (OK, ROTATE, .key = "olga", .role = any, OTHER_KEY);
    olga = s_record ("olga");
    assert_int_equal (olga.curve_key[2], 6);
    assert_int_equal (olga.until_ms, 77); /* it ends when it did */
    ASSERT_IS (OK, ROTATE, .key = "olga", .role = any, OTHER_KEY, .until_ms = ADR_USER_UNTIL_NEVER);
    olga = s_record ("olga");
    assert_int_equal (olga.until_ms, 0);
    assert_int_equal (olga.role, ADR_NODE_OPERATOR);
    assert_int_equal (olga.generation, 5);
    ASSERT_IS (OK, CREATE, .owner = "alice", .secret = SECRET);
    ASSERT_IS (NOT_FOUND, DELETE, .role = any); /* ALICE is no user */
    ASSERT_IS (OK, DELETE, .key = "olga", .role = any);
    assert_null (fake_group_find (&s_group, ADR_TABLE_CREDENTIAL, "kolga"));
    assert_true (fake_group_has (&s_group, ADR_TABLE_AUDIT, "\"action\": \"user-create\", \"user\": \"olga\", \"role\": \"operator\", \"generation\": 1, \"public_key\": \"0102030000000000\", \"expires_ms\": 77"));
    assert_true (fake_group_has (&s_group, ADR_TABLE_AUDIT, "\"action\": \"user-delete\""));
    assert_true (fake_group_has (&s_group, ADR_TABLE_AUDIT, "\"by_user\": \"root-of-all\"}")); /* [USER-5] */
}

static void
what_is_no_user_is_refused (void **state)
{
    (void) state;
    ASSERT_IS (INVALID, CREATE, .key = "olga", .role = ADR_NODE_ADMIN);                                 /* no key */
    ASSERT_IS (INVALID, CREATE, .key = "olga", .role = ADR_NODE_ADMIN, .curve_key_size = 32);           /* zeros */
    ASSERT_IS (INVALID, CREATE, .key = "olga", .role = ADR_NODE_ADMIN, .curve_key = { 1 }, .curve_key_size = 31);
    ASSERT_IS (INVALID, CREATE, .key = "olga", .role = ADR_NODE_META, A_KEY);
    ASSERT_IS (INVALID, CREATE, .key = "olga", .role = ADR_NODE_STRANGER, A_KEY);
    ASSERT_IS (INVALID, CREATE, .key = "olga", .role = ADR_NODE_ADMIN, A_KEY, .owner = "olga");
    ASSERT_IS (INVALID, CREATE, .key = "olga", .role = ADR_NODE_ADMIN, A_KEY, .secret = SECRET);
    ASSERT_IS (INVALID, CREATE, .key = "olga", .role = ADR_NODE_ADMIN, A_KEY, .limited = true);
    ASSERT_IS (INVALID, CREATE, .key = "olga", .owner = "olga", .secret = SECRET, A_KEY); /* a key without a role */
    ASSERT_IS (INVALID, CREATE, .key = "o", .role = ADR_NODE_ADMIN, A_KEY);
    ask_t node = { .action = ADR__CONTROL_ACTION__KEY_CREATE, .key = "olga", .role = ADR_NODE_ADMIN, .curve_key_size = 32 };
    memcpy (node.curve_key, adr_founding_node (s_founding, 1, ADR_NODE_DATA)->curve_key, 32);
    assert_int_equal (s_ask (node)->status, ADR_STATUS_INVALID);
    node.curve_key[31] |= 0x80;
    assert_int_equal (s_ask (node)->status, ADR_STATUS_INVALID);
    ASSERT_IS (REFUSED, CREATE, .key = "configured-0011223344556677", .role = ADR_NODE_ADMIN, A_KEY); /* [USER-4] */
    ASSERT_IS (REFUSED, CREATE, .key = "configured-x", .owner = "olga", .secret = SECRET);
    ASSERT_IS (OK, CREATE, .key = "olga", .role = ADR_NODE_ADMIN, A_KEY);
    ASSERT_IS (INVALID, DISABLE, .key = "olga", .role = ADR_NODE_ADMIN, .until_ms = 5);
    ASSERT_IS (INVALID, DISABLE, .key = "olga", .role = ADR_NODE_ADMIN, A_KEY);
    ASSERT_IS (INVALID, ROTATE, .key = "olga", .role = ADR_NODE_ADMIN);
    ASSERT_IS (INVALID, GRANT, .key = "olga", .role = ADR_NODE_ADMIN);
    ASSERT_IS (INVALID, GRANT, .key = "olga", .role = ADR_NODE_ADMIN, .bucket = "papers", .level = ADR_ACCESS_READ, .limited = true);
    assert_int_equal (s_record ("olga").generation, 1);
}

/* [USER-6] Who was disabled while his edge slept changes nothing: it is asked again, and its edge knows better by then. */
static void
an_edge_that_does_not_know_the_newest_users_is_not_heard (void **state)
{
    (void) state;
    ASSERT_IS (OK, CREATE, .owner = "alice", .secret = SECRET, .known = 1); /* there are no users yet */
    ASSERT_IS (OK, CREATE, .key = "olga", .role = ADR_NODE_ADMIN, A_KEY);   /* generation 2 */
    ASSERT_IS (OK, DISABLE, .key = "olga", .role = ADR_NODE_ADMIN);         /* 3 */
    ask_t late = { .action = ADR__CONTROL_ACTION__KEY_ENABLE, .key = "olga", .role = ADR_NODE_ADMIN, .known = 2 };
    s_send (late);
    fake_group_serve (&s_group);
    assert_int_equal (harness_count (&s_signer, ADR__KIND__CONTROL_ANSWER), 0);
    assert_true (s_record ("olga").disabled);
    ASSERT_IS (OK, DISABLE, .known = 3); /* nothing is in the way */
    ASSERT_IS (OK, ENABLE, .known = 3);  /* changes of access keys alone do not count */
    late.known = 3;
    assert_int_equal (s_ask (late)->status, ADR_STATUS_OK); /* of an edge that knows all: his own name is none of the rule's business */
}

static void
each_change_raises_the_generation (void **state)
{
    (void) state;
    ASSERT_IS (OK, CREATE, .owner = "alice", .secret = SECRET);
    ASSERT_IS (OK, DISABLE);
    assert_true (s_record ("ALICE").disabled);
    ASSERT_IS (OK, ENABLE);
    assert_false (s_record ("ALICE").disabled);
    ASSERT_IS (OK, ROTATE, .secret = OTHER);
    adr_credential_t credential = s_record ("ALICE");
    assert_true (adr_credential_unseal (&credential, &s_founding->map->cluster, s_authority.sealing_key));
    assert_string_equal (credential.secret, OTHER);
    assert_int_equal (credential.generation, 4);
    assert_string_equal (credential.owner, "alice");
    ASSERT_IS (OK, DELETE);
    assert_null (fake_group_find (&s_group, ADR_TABLE_CREDENTIAL, "kALICE"));
    assert_int_equal (s_rows (ADR_TABLE_AUDIT), 5);
    ASSERT_IS (OK, CREATE, .owner = "bob", .secret = OTHER); /* the name is free again */
    assert_int_equal (s_record ("ALICE").generation, 6);
}

static void
what_is_so_already_is_no_change (void **state)
{
    (void) state;
    ASSERT_IS (OK, CREATE, .owner = "alice", .secret = SECRET);
    ASSERT_IS (OK, ENABLE);
    ASSERT_IS (OK, DISABLE);
    ASSERT_IS (OK, DISABLE);
    assert_int_equal (s_rows (ADR_TABLE_AUDIT), 2);
    assert_int_equal (s_record ("ALICE").generation, 2);
}

static void
what_cannot_be_is_said (void **state)
{
    (void) state;
    ASSERT_IS (NOT_FOUND, DISABLE);
    ASSERT_IS (NOT_FOUND, DELETE);
    ASSERT_IS (NOT_FOUND, ROTATE, .secret = SECRET);
    ASSERT_IS (INVALID, CREATE, .owner = "alice");                          /* no secret */
    ASSERT_IS (INVALID, CREATE, .secret = SECRET);                          /* no owner */
    ASSERT_IS (INVALID, CREATE, .owner = "a\"b", .secret = SECRET);
    ASSERT_IS (INVALID, CREATE, .owner = "alice", .secret = SECRET, .key = "a/b");
    ASSERT_IS (INVALID, CREATE, .owner = "alice", .secret = SECRET, .bucket = "papers", .level = ADR_ACCESS_READ); /* not limited to it */
    ASSERT_IS (INVALID, DISABLE, .secret = SECRET);
    ASSERT_IS (INVALID, GRANT);
    ASSERT_IS (INVALID, GRANT, .bucket = "papers");                         /* no level */
    assert_int_equal (s_group.ideal.count, 0);
    ASSERT_IS (OK, CREATE, .owner = "alice", .secret = SECRET);
    ASSERT_IS (CONFLICT, CREATE, .owner = "bob", .secret = OTHER);
    assert_string_equal (s_record ("ALICE").owner, "alice");
}

static void
rights_come_and_go (void **state)
{
    (void) state;
    ASSERT_IS (OK, CREATE, .owner = "alice", .secret = SECRET);
    ASSERT_IS (REFUSED, GRANT, .bucket = "papers", .level = ADR_ACCESS_READ); /* [KEY-6] it would be narrowed */
    ASSERT_IS (REFUSED, REVOKE, .bucket = "papers", .level = ADR_ACCESS_READ);
    ASSERT_IS (OK, REVOKE, .bucket = "*", .level = ADR_ACCESS_READ);
    assert_true (s_record ("ALICE").limited && s_record ("ALICE").right_count == 0);
    ASSERT_IS (OK, GRANT, .bucket = "papers", .level = ADR_ACCESS_READ);
    ASSERT_IS (OK, GRANT, .bucket = "pics", .level = ADR_ACCESS_WRITE);
    ASSERT_IS (OK, GRANT, .bucket = "papers", .level = ADR_ACCESS_OWNER);
    assert_true (fake_group_has (&s_group, ADR_TABLE_AUDIT, "\"bucket\": \"papers\", \"level\": \"owner\""));
    adr_credential_t credential = s_record ("ALICE");
    assert_int_equal (credential.right_count, 2);
    assert_int_equal (adr_rights_access (credential.right, 2, "papers"), ADR_ACCESS_OWNER);
    ASSERT_IS (OK, REVOKE, .bucket = "papers", .level = ADR_ACCESS_READ);
    ASSERT_IS (NOT_FOUND, REVOKE, .bucket = "papers", .level = ADR_ACCESS_READ);
    ASSERT_IS (OK, REVOKE, .bucket = "pics", .level = ADR_ACCESS_READ);
    credential = s_record ("ALICE");
    assert_true (credential.limited && credential.right_count == 0); /* the last right's end opens nothing */
    ASSERT_IS (OK, CREATE, .key = "BOB", .owner = "bob", .secret = OTHER, .bucket = "pics", .level = ADR_ACCESS_READ, .limited = true);
    for (int i = 0; i < ADR_CREDENTIAL_RIGHTS_MAX - 1; i++) {
        char bucket[16];
        snprintf (bucket, sizeof bucket, "bucket%d", i);
        s_question = (uint8_t) (100 + i);
        ASSERT_IS (OK, GRANT, .key = "BOB", .bucket = bucket, .level = ADR_ACCESS_READ);
    }
    ASSERT_IS (REFUSED, GRANT, .key = "BOB", .bucket = "one-more", .level = ADR_ACCESS_READ);
}

/* [KEY-3] */
static void
the_same_question_is_done_once (void **state)
{
    (void) state;
    ASSERT_IS (OK, CREATE, .owner = "alice", .secret = SECRET, .question = 200);
    ASSERT_IS (OK, CREATE, .owner = "alice", .secret = SECRET, .question = 200);
    assert_int_equal (s_record ("ALICE").generation, 1);
    ASSERT_IS (OK, DELETE, .question = 201);
    ASSERT_IS (OK, DELETE, .question = 201);
    assert_null (s_answered ()->credential);
    ASSERT_IS (NOT_FOUND, DELETE);
    assert_int_equal (s_rows (ADR_TABLE_AUDIT), 2);
    ASSERT_IS (OK, CREATE, .question = 200, .owner = "alice", .secret = SECRET); /* it was done, long ago or not */
    assert_null (fake_group_find (&s_group, ADR_TABLE_CREDENTIAL, "kALICE"));
}

/* The write is done, its answer is lost, and the asker asks again, maybe another PKI node: it is not done twice. */
static void
a_lost_answer_costs_nothing (void **state)
{
    (void) state;
    s_group.loses_write = true;
    s_send ((ask_t){ .action = ADR__CONTROL_ACTION__KEY_CREATE, .owner = "alice", .secret = SECRET, .question = 200 });
    fake_group_serve (&s_group);
    assert_int_equal (harness_count (&s_signer, ADR__KIND__WRITE), 1);
    assert_int_equal (harness_count (&s_signer, ADR__KIND__CONTROL_ANSWER), 0);
    harness_stop (&s_signer); /* the other one */
    s_start (true);
    ASSERT_IS (OK, CREATE, .owner = "alice", .secret = SECRET, .question = 200);
    assert_int_equal (s_record ("ALICE").generation, 1);
    assert_int_equal (s_rows (ADR_TABLE_AUDIT), 1);
}

static void
s_change_something_else (fake_group_t *group)
{
    ideal_record_t *record = fake_group_find (group, ADR_TABLE_CREDENTIAL, "generation");
    adr_put_u64 (record->value.data + 1, 7);
    record->version = ++group->ideal.version;
}

/* [KEY-1] Another PKI node changes another credential between this one's reads and its write. */
static void
no_change_is_lost_under_another (void **state)
{
    (void) state;
    ASSERT_IS (OK, CREATE, .owner = "alice", .secret = SECRET);
    s_group.meanwhile = s_change_something_else;
    s_send ((ask_t){ .action = ADR__CONTROL_ACTION__KEY_DISABLE });
    fake_group_serve (&s_group);
    assert_int_equal (harness_count (&s_signer, ADR__KIND__WRITE), 1);
    harness_advance (&s_signer, 300 * ADR_MS);
    fake_group_serve (&s_group);
    assert_int_equal (s_answered ()->status, ADR_STATUS_OK);
    assert_int_equal (s_record ("ALICE").generation, 8);
    assert_int_equal (s_rows (ADR_TABLE_AUDIT), 2);
}

static void
without_a_group_it_is_said_in_time (void **state)
{
    (void) state;
    s_group.silent = true;
    s_send ((ask_t){ .action = ADR__CONTROL_ACTION__KEY_DISABLE });
    harness_advance (&s_signer, 11000 * ADR_MS);
    assert_int_equal (s_answered ()->status, ADR_STATUS_UNKNOWN);
}

static void
without_a_sealing_key_no_secret_is_taken (void **state)
{
    (void) state;
    harness_stop (&s_signer);
    s_start (false);
    ASSERT_IS (REFUSED, CREATE, .owner = "alice", .secret = SECRET);
    assert_int_equal (s_group.ideal.count, 0);
}

static void
there_is_an_end_to_credentials (void **state)
{
    (void) state;
    ASSERT_IS (OK, CREATE, .owner = "alice", .secret = SECRET);
    ideal_record_t *record = fake_group_find (&s_group, ADR_TABLE_CREDENTIAL, "generation");
    adr_put_u32 (record->value.data + 9, ADR_CREDENTIALS_MAX);
    ASSERT_IS (REFUSED, CREATE, .key = "BOB", .owner = "bob", .secret = SECRET);
    ASSERT_IS (OK, DELETE);
    ASSERT_IS (OK, CREATE, .key = "BOB", .owner = "bob", .secret = SECRET);
}

/* --- what edges are told ------------------------------------------------------------------------------------------------ */

static void
s_tell (uint32_t zone, uint64_t generation, bool held, const char *after)
{
    Adr__CredentialsAsk ask = ADR__CREDENTIALS_ASK__INIT;
    ask.number = 40 + zone;
    ask.generation = generation;
    ask.held = held;
    ask.after = (char *) after;
    adr_id_t edge = adr_founding_node (s_founding, zone, ADR_NODE_EDGE)->id;
    harness_message (&s_signer, (adr_address_t){ edge, ADR_ACTOR_CREDENTIAL_KEEPER }, ADR_NODE_EDGE, ADR__KIND__CREDENTIALS_ASK, &ask.base,
                     s_nothing);
}

static const harness_sent_t *
s_told (uint64_t generation, bool held, const char *after)
{
    harness_forget (&s_signer);
    s_tell (0, generation, held, after);
    fake_group_serve (&s_group);
    assert_int_equal (harness_count (&s_signer, ADR__KIND__CREDENTIALS), 1);
    return harness_sent (&s_signer, ADR__KIND__CREDENTIALS, 0);
}

/* [USER-3] */
static void
edges_are_told_of_users (void **state)
{
    (void) state;
    ASSERT_IS (OK, CREATE, .key = "olga", .role = ADR_NODE_OPERATOR, A_KEY, .until_ms = 77);
    adr_bytes_t rows = s_told (0, false, "")->payload;
    adr_credential_t credential;
    assert_true (adr_credential_row_next (&rows, &credential));
    assert_string_equal (credential.access_key, "olga");
    assert_int_equal (credential.role, ADR_NODE_OPERATOR);
    assert_int_equal (credential.until_ms, 77);
    assert_int_equal (credential.curve_key[0], 1);
    assert_false (credential.disabled);
    assert_int_equal (rows.size, 0);
    assert_int_equal (s_signer.notes[ADR_LEVEL_ERROR], 0); /* it has no secret that could not be opened */
}

static void
edges_are_told_in_clear (void **state)
{
    (void) state;
    const Adr__Credentials *told = (const Adr__Credentials *) s_told (0, false, "")->header;
    assert_int_equal (told->generation, 0); /* there is none at all */
    assert_false (told->same || told->more);
    ASSERT_IS (OK, CREATE, .owner = "alice", .secret = SECRET);
    ASSERT_IS (OK, CREATE, .key = "BOB", .owner = "bob", .secret = OTHER);
    ASSERT_IS (OK, DISABLE, .key = "BOB");
    const harness_sent_t *sent = s_told (1, true, "");
    told = (const Adr__Credentials *) sent->header;
    assert_int_equal (told->number, 40);
    assert_int_equal (told->generation, 3);
    assert_false (told->same || told->more);
    adr_bytes_t rows = sent->payload;
    adr_credential_t credential;
    assert_true (adr_credential_row_next (&rows, &credential));
    assert_string_equal (credential.secret, SECRET);
    assert_true (adr_credential_row_next (&rows, &credential));
    assert_string_equal (credential.access_key, "BOB");
    assert_true (credential.disabled);
    assert_string_equal (credential.secret, ""); /* [KEY-2] */
    assert_int_equal (rows.size, 0);
    sent = s_told (3, true, "");
    assert_true (((const Adr__Credentials *) sent->header)->same);
    assert_int_equal (sent->payload.size, 0);
    assert_false (((const Adr__Credentials *) s_told (4, true, "")->header)->same); /* a group that was recovered is behind */
}

/* So many in the group's table. */
static void
s_fill (int count, uint32_t rights)
{
    adr_credential_t credential = { .owner = "alice", .secret = SECRET, .limited = true, .right_count = rights };
    for (uint32_t i = 0; i < rights; i++) {
        snprintf (credential.right[i].bucket, sizeof credential.right[i].bucket, "a-bucket-with-a-name-that-is-rather-long-%u", i);
        credential.right[i].level = ADR_ACCESS_READ;
    }
    for (int i = 0; i < count; i++) {
        char at[80];
        adr_buffer_t bytes = { 0 };
        snprintf (credential.access_key, sizeof credential.access_key, "KEY%05d", i);
        snprintf (at, sizeof at, "k%s", credential.access_key);
        adr_credential_seal (&credential, &s_founding->map->cluster, s_authority.sealing_key, (uint64_t) i);
        adr_credential_encode (&credential, ADR_CREDENTIAL_SEALED, &bytes);
        fake_group_put (&s_group, ADR_TABLE_CREDENTIAL, at, adr_bytes (bytes.data, bytes.size));
        adr_buffer_free (&bytes);
    }
}

/* Pulls all pages; how many there were. */
static int
s_pull (int count)
{
    char after[80] = "", expected[80];
    adr_credential_t read;
    int seen = 0, pages = 0;
    for (bool more = true; more; pages++) {
        const harness_sent_t *sent = s_told (0, false, after);
        const Adr__Credentials *told = (const Adr__Credentials *) sent->header;
        adr_bytes_t rows = sent->payload;
        assert_true (rows.size <= ADR_PACK_TARGET);
        while (adr_credential_row_next (&rows, &read)) {
            snprintf (expected, sizeof expected, "KEY%05d", seen++);
            assert_string_equal (read.access_key, expected);
        }
        assert_int_equal (rows.size, 0);
        snprintf (after, sizeof after, "%s", told->last);
        more = told->more;
    }
    assert_int_equal (seen, count);
    return pages;
}

static void
many_are_told_in_pages (void **state)
{
    (void) state;
    s_fill (ADR_CREDENTIALS_MAX, 0);
    int pages = s_pull (ADR_CREDENTIALS_MAX);
    assert_true (pages >= 5 && pages < 10);
}

/* Whatever the group gives at a time. */
static void
large_ones_are_told_in_more_pages (void **state)
{
    (void) state;
    s_fill (500, ADR_CREDENTIAL_RIGHTS_MAX);
    int pages = s_pull (500);
    assert_true (pages > 3 && pages < 10);
}

/* Who asks while a read is under way waits for the next one: that read may be older than a change that he knows of. */
static void
a_read_answers_who_came_before_it (void **state)
{
    (void) state;
    ASSERT_IS (OK, CREATE, .owner = "alice", .secret = SECRET);
    harness_forget (&s_signer);
    s_tell (0, 1, true, "");
    s_tell (1, 1, true, "");
    s_tell (2, 1, true, "");
    assert_int_equal (harness_count (&s_signer, ADR__KIND__READ), 1);
    fake_group_serve (&s_group);
    assert_int_equal (harness_count (&s_signer, ADR__KIND__READ), 2);
    assert_int_equal (harness_count (&s_signer, ADR__KIND__CREDENTIALS), 3);
    assert_int_equal (((const Adr__Credentials *) harness_sent (&s_signer, ADR__KIND__CREDENTIALS, 0)->header)->number, 40);
}

/* [KEY-4] Only silence decides. */
static void
who_cannot_say_says_nothing (void **state)
{
    (void) state;
    ASSERT_IS (OK, CREATE, .owner = "alice", .secret = SECRET);
    s_group.silent = true;
    harness_forget (&s_signer);
    s_tell (0, 0, false, "");
    harness_advance (&s_signer, 3000 * ADR_MS);
    assert_int_equal (harness_count (&s_signer, ADR__KIND__CREDENTIALS), 0);
    s_group.silent = false;
    harness_forget (&s_signer);
    s_tell (1, 0, false, ""); /* and goes on when the group is back */
    fake_group_serve (&s_group);
    assert_int_equal (harness_count (&s_signer, ADR__KIND__CREDENTIALS), 1);
    harness_stop (&s_signer);
    s_start (false);
    s_tell (0, 0, false, "");
    fake_group_serve (&s_group);
    assert_int_equal (harness_count (&s_signer, ADR__KIND__CREDENTIALS), 0);
}

/* A secret that was sealed by another key, or for another access key. */
static void
what_cannot_be_opened_is_told_as_disabled (void **state)
{
    (void) state;
    ASSERT_IS (OK, CREATE, .owner = "alice", .secret = SECRET);
    adr_credential_t credential = s_record ("ALICE");
    adr_buffer_t bytes = { 0 };
    snprintf (credential.access_key, sizeof credential.access_key, "MALLORY");
    adr_credential_encode (&credential, ADR_CREDENTIAL_SEALED, &bytes);
    fake_group_put (&s_group, ADR_TABLE_CREDENTIAL, "kMALLORY", adr_bytes (bytes.data, bytes.size));
    adr_buffer_free (&bytes);
    adr_bytes_t rows = s_told (0, false, "")->payload;
    assert_true (adr_credential_row_next (&rows, &credential));
    assert_false (credential.disabled);
    assert_true (adr_credential_row_next (&rows, &credential));
    assert_string_equal (credential.access_key, "MALLORY");
    assert_true (credential.disabled);
    assert_string_equal (credential.secret, "");
    assert_non_null (strstr (s_signer.note, "not be opened"));
}

int
main (void)
{
#define S_TEST(name) cmocka_unit_test_setup_teardown (name, s_setup, s_teardown)
    const struct CMUnitTest tests[] = {
        S_TEST (what_is_created_is_sealed),
        S_TEST (users_are_made_changed_and_ended),
        S_TEST (what_is_no_user_is_refused),
        S_TEST (an_edge_that_does_not_know_the_newest_users_is_not_heard),
        S_TEST (each_change_raises_the_generation),
        S_TEST (what_is_so_already_is_no_change),
        S_TEST (what_cannot_be_is_said),
        S_TEST (rights_come_and_go),
        S_TEST (the_same_question_is_done_once),
        S_TEST (a_lost_answer_costs_nothing),
        S_TEST (no_change_is_lost_under_another),
        S_TEST (without_a_group_it_is_said_in_time),
        S_TEST (without_a_sealing_key_no_secret_is_taken),
        S_TEST (there_is_an_end_to_credentials),
        S_TEST (edges_are_told_of_users),
        S_TEST (edges_are_told_in_clear),
        S_TEST (many_are_told_in_pages),
        S_TEST (large_ones_are_told_in_more_pages),
        S_TEST (a_read_answers_who_came_before_it),
        S_TEST (who_cannot_say_says_nothing),
        S_TEST (what_cannot_be_opened_is_told_as_disabled),
    };
    return cmocka_run_group_tests (tests, NULL, NULL);
}
