/* SPDX-License-Identifier: MPL-2.0 */
/* How operators' changes of the registry become records of the PKI group [TRUST-3]. */

#include "actor_harness.h"
#include "registry_fixture.h"

#include "core/entry.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

static harness_t s_signer;
static adr_founding_t *s_founding;
static adr_map_t *s_map; /* what the signer knows */
static adr_authority_t s_authority;
static adr_arena_t s_arena;
static const adr_bytes_t s_nothing;

static int
s_setup (void **state)
{
    (void) state;
    adr_arena_init (&s_arena, 4096, 1 << 22);
    s_founding = registry_found ();
    s_map = adr_map_copy (s_founding->map);
    memcpy (s_authority.sign_seed, s_founding->authority[0].keys.sign_seed, ADR_KEY_SIZE);
    assert_true (adr_cert_decode (&s_authority.certificate, adr_bytes (s_founding->authority[0].certificate,
                                                                      s_founding->authority[0].certificate_size)));
    const adr_map_node_t *node = adr_founding_node (s_founding, 0, ADR_NODE_PKI);
    adr_environment_t environment = { .cluster = s_map->cluster, .node = node->id, .type = ADR_NODE_PKI, .group = node->group,
                                      .map = s_map, .authority = &s_authority, .seed = 7 };
    harness_start (&s_signer, &adr_cert_signer_class, &environment);
    return 0;
}

static int
s_teardown (void **state)
{
    (void) state;
    harness_stop (&s_signer);
    adr_map_destroy (&s_map);
    adr_founding_destroy (&s_founding);
    adr_arena_free (&s_arena);
    return 0;
}

static uint32_t s_members = 3; /* of whom statuses speak */

/* The group of this type has these voters, by a registry of that epoch, that are up; bits by zone. */
static void
s_tell_status_by (adr_node_type_t type, unsigned voters, unsigned up, uint64_t epoch)
{
    static uint64_t sequence;
    adr_group_status_t status = { .term = 1, .sequence = ++sequence, .member_count = s_members, .map_epoch = epoch,
                                  .master = registry_node (s_map, 1, type)->id };
    for (uint32_t zone = 0; zone < 3; zone++)
        status.member[zone] = (adr_map_member_t){ .node = registry_node (s_map, zone, type)->id, .voter = voters >> zone & 1,
                                                  .state = up >> zone & 1 ? ADR_STATE_ONLINE_READY : ADR_STATE_OFFLINE };
    adr_id_t group = registry_node (s_map, 0, type)->group;
    assert_true (adr_map_merge_status (s_map, &group, &status));
    Adr__MapChanged changed = ADR__MAP_CHANGED__INIT;
    changed.map = adr_map_message (s_map, &s_arena);
    harness_message (&s_signer, (adr_address_t){ s_signer.environment.node, ADR_ACTOR_MAP_KEEPER }, ADR_NODE_PKI,
                     ADR__KIND__MAP_CHANGED, &changed.base, s_nothing);
}

static void
s_tell_status (adr_node_type_t type, unsigned voters, unsigned up)
{
    s_tell_status_by (type, voters, up, 0);
}

/* Enough have signed this registry: it is the map now. The statuses stay. */
static void
s_tell_taken (const adr_map_t *taken)
{
    adr_map_t *map = adr_map_copy (taken);
    for (uint32_t i = 0; i < map->group_count; i++)
        map->group[i].status = s_map->group[i].status;
    adr_map_destroy (&s_map);
    s_map = map;
    Adr__MapChanged changed = ADR__MAP_CHANGED__INIT;
    changed.map = adr_map_message (s_map, &s_arena);
    harness_message (&s_signer, (adr_address_t){ s_signer.environment.node, ADR_ACTOR_MAP_KEEPER }, ADR_NODE_PKI,
                     ADR__KIND__MAP_CHANGED, &changed.base, s_nothing);
}

/* The answer to the newest READ or WRITE; version 0: none. */
static void
s_reply (uint16_t kind, adr_status_t status, uint64_t version, adr_bytes_t value)
{
    Adr__Answer answer = ADR__ANSWER__INIT;
    Adr__VersionOf of = ADR__VERSION_OF__INIT;
    const ProtobufCMessage *asked = harness_sent (&s_signer, kind, harness_count (&s_signer, kind) - 1)->header;
    answer.number = kind == ADR__KIND__READ ? ((const Adr__Read *) asked)->number : ((const Adr__Write *) asked)->number;
    answer.status = status;
    of.epoch = of.term = 1;
    of.index = version;
    answer.version = version ? &of : NULL;
    harness_message (&s_signer, (adr_address_t){ s_signer.environment.node, ADR_ACTOR_REPLICATOR }, ADR_NODE_PKI,
                     ADR__KIND__ANSWER, &answer.base, value);
}

static void
s_ask (Adr__ControlAction action, const adr_id_t *node, uint64_t number, uint32_t limit_ms)
{
    Adr__Control control = ADR__CONTROL__INIT;
    control.number = number;
    control.node = adr_id_view (node);
    control.action = action;
    control.limit_ms = limit_ms;
    adr_id_t edge = adr_founding_node (s_founding, 0, ADR_NODE_EDGE)->id;
    size_t reads = harness_count (&s_signer, ADR__KIND__READ);
    harness_message (&s_signer, (adr_address_t){ edge, ADR_ACTOR_EDGE_ROUTER }, ADR_NODE_EDGE, ADR__KIND__CONTROL, &control.base,
                     s_nothing);
    if (harness_count (&s_signer, ADR__KIND__READ) == reads)
        return; /* refused, or a standing question */
    assert_int_equal (((const Adr__Read *) harness_sent (&s_signer, ADR__KIND__READ, reads)->header)->table, ADR_TABLE_CREDENTIAL);
    s_reply (ADR__KIND__READ, ADR_STATUS_NOT_FOUND, 0, s_nothing); /* [USER-6] there are no users */
}

static void
s_evict (const adr_id_t *node, uint64_t number, uint32_t limit_ms)
{
    s_ask (ADR__CONTROL_ACTION__EVICT, node, number, limit_ms);
}

/* The registry in the newest WRITE; the caller's. */
static adr_map_t *
s_written (Adr__Condition condition)
{
    const harness_sent_t *sent = harness_sent (&s_signer, ADR__KIND__WRITE, harness_count (&s_signer, ADR__KIND__WRITE) - 1);
    const Adr__Write *write = (const Adr__Write *) sent->header;
    assert_int_equal (write->n_op, 2);
    assert_int_equal (write->op[0]->table, ADR_TABLE_REGISTRY);
    assert_int_equal (write->op[0]->condition, condition);
    assert_int_equal (write->op[1]->table, ADR_TABLE_AUDIT);
    adr_map_t *map = adr_registry_read (adr_bytes (sent->payload.data, write->op[0]->value_size));
    assert_non_null (map);
    assert_int_equal (adr_get_be64 (write->op[1]->key.data), map->epoch);
    assert_int_equal (sent->payload.data[write->op[0]->value_size], '{');
    return map;
}

static void
s_assert_answered (adr_status_t status, uint64_t number)
{
    assert_int_equal (harness_count (&s_signer, ADR__KIND__CONTROL_ANSWER), 1);
    const Adr__ControlAnswer *answer = (const Adr__ControlAnswer *) harness_sent (&s_signer, ADR__KIND__CONTROL_ANSWER, 0)->header;
    assert_int_equal (answer->status, status);
    assert_int_equal (answer->number, number);
}

/* An edge is in no group: it goes at once. */
static void
an_edge_is_evicted_in_one_step (void **state)
{
    (void) state;
    adr_id_t edge = registry_node (s_map, 2, ADR_NODE_EDGE)->id;
    s_evict (&edge, 5, 10000);
    s_reply (ADR__KIND__READ, ADR_STATUS_NOT_FOUND, 0, s_nothing);
    adr_map_t *next = s_written (ADR__CONDITION__ABSENT);
    assert_int_equal (next->epoch, 2);
    assert_true (registry_node (next, 2, ADR_NODE_EDGE)->evicted);
    assert_int_equal (registry_node (next, 2, ADR_NODE_EDGE)->certificate_size, 0);
    assert_false (registry_node (next, 1, ADR_NODE_EDGE)->evicted);
    assert_int_equal (harness_count (&s_signer, ADR__KIND__CONTROL_ANSWER), 0); /* [TRUST-4] not before its commit */
    s_reply (ADR__KIND__WRITE, ADR_STATUS_OK, 9, s_nothing);
    s_reply (ADR__KIND__READ, ADR_STATUS_OK, 9, adr_bytes (next->sealed, next->sealed_size));
    assert_int_equal (harness_count (&s_signer, ADR__KIND__CONTROL_ANSWER), 0); /* [TRUST-3] nor before enough have signed it */
    s_tell_taken (next);
    s_reply (ADR__KIND__READ, ADR_STATUS_OK, 9, adr_bytes (next->sealed, next->sealed_size));
    s_assert_answered (ADR_STATUS_OK, 5);
    adr_map_destroy (&next);
}

/* Its group lets it go first. */
static void
a_voter_leaves_before_it_is_evicted (void **state)
{
    (void) state;
    adr_id_t node = registry_node (s_map, 2, ADR_NODE_META)->id;
    s_tell_status (ADR_NODE_META, 7, 7);
    s_evict (&node, 5, 10000);
    s_reply (ADR__KIND__READ, ADR_STATUS_NOT_FOUND, 0, s_nothing);
    adr_map_t *leaving = s_written (ADR__CONDITION__ABSENT);
    assert_true (registry_node (leaving, 2, ADR_NODE_META)->leaving && !registry_node (leaving, 2, ADR_NODE_META)->evicted);
    s_reply (ADR__KIND__WRITE, ADR_STATUS_OK, 9, s_nothing);
    s_reply (ADR__KIND__READ, ADR_STATUS_OK, 9, adr_bytes (leaving->sealed, leaving->sealed_size));
    harness_advance (&s_signer, 1000 * ADR_MS);
    assert_int_equal (harness_count (&s_signer, ADR__KIND__WRITE), 1); /* it is a voter still */
    s_tell_status_by (ADR_NODE_META, 3, 7, 1);
    s_reply (ADR__KIND__READ, ADR_STATUS_OK, 9, adr_bytes (leaving->sealed, leaving->sealed_size));
    assert_int_equal (harness_count (&s_signer, ADR__KIND__WRITE), 1); /* [TRUST-7] and may become one again, as far as its group knows */
    s_tell_status_by (ADR_NODE_META, 3, 7, 2);
    s_reply (ADR__KIND__READ, ADR_STATUS_OK, 9, adr_bytes (leaving->sealed, leaving->sealed_size));
    adr_map_t *evicted = s_written (ADR__CONDITION__VERSION);
    assert_true (registry_node (evicted, 2, ADR_NODE_META)->evicted);
    assert_int_equal (evicted->epoch, 3);
    s_reply (ADR__KIND__WRITE, ADR_STATUS_OK, 10, s_nothing);
    s_tell_taken (evicted);
    s_reply (ADR__KIND__READ, ADR_STATUS_OK, 10, adr_bytes (evicted->sealed, evicted->sealed_size));
    s_assert_answered (ADR_STATUS_OK, 5);
    adr_map_destroy (&leaving);
    adr_map_destroy (&evicted);
}

/* [TRUST-3] Of edges, and of a group. */
static void
the_last_one_is_not_evicted (void **state)
{
    (void) state;
    adr_id_t edge = registry_node (s_map, 2, ADR_NODE_EDGE)->id, meta = registry_node (s_map, 2, ADR_NODE_META)->id;
    for (uint32_t zone = 0; zone < 2; zone++) {
        registry_node (s_map, zone, ADR_NODE_EDGE)->leaving = registry_node (s_map, zone, ADR_NODE_EDGE)->evicted = true;
        registry_node (s_map, zone, ADR_NODE_META)->leaving = true;
    }
    adr_map_unseal (s_map);
    adr_map_seal (s_map);
    s_tell_status (ADR_NODE_META, 4, 7);
    s_evict (&edge, 5, 10000);
    s_reply (ADR__KIND__READ, ADR_STATUS_OK, 9, adr_bytes (s_map->sealed, s_map->sealed_size));
    s_assert_answered (ADR_STATUS_REFUSED, 5);
    harness_forget (&s_signer);
    s_evict (&meta, 6, 10000);
    s_reply (ADR__KIND__READ, ADR_STATUS_OK, 9, adr_bytes (s_map->sealed, s_map->sealed_size));
    s_assert_answered (ADR_STATUS_REFUSED, 6);
    harness_forget (&s_signer);
    s_ask (ADR__CONTROL_ACTION__DEMOTE, &meta, 7, 10000);
    s_reply (ADR__KIND__READ, ADR_STATUS_OK, 9, adr_bytes (s_map->sealed, s_map->sealed_size));
    s_assert_answered (ADR_STATUS_REFUSED, 7);
    assert_int_equal (harness_count (&s_signer, ADR__KIND__WRITE), 0);
}

/* [TRUST-7] Of whom a status says nothing nothing is known; and a registry that only a liar knows is outrun by the next. */
static void
silence_is_no_word_and_a_lie_is_outrun (void **state)
{
    (void) state;
    adr_id_t node = registry_node (s_map, 2, ADR_NODE_META)->id;
    registry_node (s_map, 2, ADR_NODE_META)->leaving = true;
    adr_map_unseal (s_map);
    adr_map_seal (s_map);
    s_members = 2; /* the third is not spoken of */
    s_tell_status_by (ADR_NODE_META, 3, 7, 5000);
    s_evict (&node, 5, 10000);
    s_reply (ADR__KIND__READ, ADR_STATUS_OK, 9, adr_bytes (s_map->sealed, s_map->sealed_size));
    assert_int_equal (harness_count (&s_signer, ADR__KIND__WRITE), 0);
    s_members = 3;
    s_tell_status_by (ADR_NODE_META, 3, 7, 5000);
    s_reply (ADR__KIND__READ, ADR_STATUS_OK, 9, adr_bytes (s_map->sealed, s_map->sealed_size));
    adr_map_t *evicted = s_written (ADR__CONDITION__VERSION);
    assert_true (registry_node (evicted, 2, ADR_NODE_META)->evicted);
    assert_int_equal (evicted->epoch, 5001);
    assert_true (adr_map_is_step (s_map, evicted));
    adr_map_destroy (&evicted);
}

/* [TRUST-7] What is known of its group may be old, and its group may be taking it in. */
static void
a_standby_leaves_before_it_is_evicted (void **state)
{
    (void) state;
    adr_id_t node = registry_node (s_map, 2, ADR_NODE_META)->id;
    s_tell_status_by (ADR_NODE_META, 3, 7, 1);
    s_evict (&node, 5, 10000);
    s_reply (ADR__KIND__READ, ADR_STATUS_NOT_FOUND, 0, s_nothing);
    adr_map_t *leaving = s_written (ADR__CONDITION__ABSENT);
    assert_true (registry_node (leaving, 2, ADR_NODE_META)->leaving && !registry_node (leaving, 2, ADR_NODE_META)->evicted);
    adr_map_destroy (&leaving);
}

/* [TRUST-3] It is taken out of the voters, and in again, and keeps its certificate all the while. */
static void
a_voter_is_unmade_and_made (void **state)
{
    (void) state;
    adr_id_t node = registry_node (s_map, 2, ADR_NODE_META)->id;
    s_tell_status (ADR_NODE_META, 7, 7);
    s_ask (ADR__CONTROL_ACTION__DEMOTE, &node, 5, 10000);
    s_reply (ADR__KIND__READ, ADR_STATUS_NOT_FOUND, 0, s_nothing);
    adr_map_t *leaving = s_written (ADR__CONDITION__ABSENT);
    assert_true (registry_node (leaving, 2, ADR_NODE_META)->leaving && !registry_node (leaving, 2, ADR_NODE_META)->evicted);
    s_reply (ADR__KIND__WRITE, ADR_STATUS_OK, 9, s_nothing);
    s_tell_taken (leaving);
    s_reply (ADR__KIND__READ, ADR_STATUS_OK, 9, adr_bytes (leaving->sealed, leaving->sealed_size));
    assert_int_equal (harness_count (&s_signer, ADR__KIND__CONTROL_ANSWER), 0); /* it is a voter still */
    s_tell_status_by (ADR_NODE_META, 3, 7, 1);
    s_reply (ADR__KIND__READ, ADR_STATUS_OK, 9, adr_bytes (leaving->sealed, leaving->sealed_size));
    assert_int_equal (harness_count (&s_signer, ADR__KIND__CONTROL_ANSWER), 0); /* [TRUST-7] */
    s_tell_status_by (ADR_NODE_META, 3, 7, 2);
    s_reply (ADR__KIND__READ, ADR_STATUS_OK, 9, adr_bytes (leaving->sealed, leaving->sealed_size));
    s_assert_answered (ADR_STATUS_OK, 5);
    harness_forget (&s_signer);
    s_ask (ADR__CONTROL_ACTION__PROMOTE, &node, 6, 10000);
    s_reply (ADR__KIND__READ, ADR_STATUS_OK, 9, adr_bytes (leaving->sealed, leaving->sealed_size));
    adr_map_t *back = s_written (ADR__CONDITION__VERSION);
    assert_false (registry_node (back, 2, ADR_NODE_META)->leaving);
    assert_true (registry_node (back, 2, ADR_NODE_META)->certificate_size > 0);
    assert_true (adr_map_is_step (leaving, back));
    s_reply (ADR__KIND__WRITE, ADR_STATUS_OK, 10, s_nothing);
    s_tell_taken (back);
    s_reply (ADR__KIND__READ, ADR_STATUS_OK, 10, adr_bytes (back->sealed, back->sealed_size));
    assert_int_equal (harness_count (&s_signer, ADR__KIND__CONTROL_ANSWER), 0);
    s_tell_status (ADR_NODE_META, 7, 7);
    s_reply (ADR__KIND__READ, ADR_STATUS_OK, 10, adr_bytes (back->sealed, back->sealed_size));
    s_assert_answered (ADR_STATUS_OK, 6);
    adr_map_destroy (&leaving);
    adr_map_destroy (&back);
}

static void
who_is_needed_stays_a_voter (void **state)
{
    (void) state;
    adr_id_t node = registry_node (s_map, 2, ADR_NODE_META)->id;
    s_tell_status (ADR_NODE_META, 7, 6);
    s_ask (ADR__CONTROL_ACTION__DEMOTE, &node, 5, 10000);
    s_reply (ADR__KIND__READ, ADR_STATUS_NOT_FOUND, 0, s_nothing);
    s_assert_answered (ADR_STATUS_REFUSED, 5);
    assert_int_equal (harness_count (&s_signer, ADR__KIND__WRITE), 0);
}

/* [TRUST-3] Those of its group that are up could not decide anything without it. */
static void
who_is_needed_is_not_evicted (void **state)
{
    (void) state;
    adr_id_t node = registry_node (s_map, 2, ADR_NODE_META)->id;
    s_tell_status (ADR_NODE_META, 7, 6);
    s_evict (&node, 5, 10000);
    s_reply (ADR__KIND__READ, ADR_STATUS_NOT_FOUND, 0, s_nothing);
    s_assert_answered (ADR_STATUS_REFUSED, 5);
    assert_int_equal (harness_count (&s_signer, ADR__KIND__WRITE), 0);
}

/* Nothing is known of the group: that is no reason to believe that nobody votes there. */
static void
an_unknown_group_lets_nobody_go (void **state)
{
    (void) state;
    adr_id_t node = registry_node (s_map, 2, ADR_NODE_META)->id;
    s_evict (&node, 5, 3000);
    s_reply (ADR__KIND__READ, ADR_STATUS_NOT_FOUND, 0, s_nothing);
    harness_advance (&s_signer, 1000 * ADR_MS);
    assert_int_equal (harness_count (&s_signer, ADR__KIND__WRITE), 0);
    assert_int_equal (harness_count (&s_signer, ADR__KIND__CONTROL_ANSWER), 0);
    harness_advance (&s_signer, 3000 * ADR_MS);
    assert_int_equal (harness_count (&s_signer, ADR__KIND__WRITE), 0);
    assert_int_equal (harness_count (&s_signer, ADR__KIND__CONTROL_ANSWER), 1);
}

/* What it says of its own group while it leads keeps nobody from marking it. */
static void
a_master_s_word_does_not_keep_it (void **state)
{
    (void) state;
    adr_id_t node = registry_node (s_map, 1, ADR_NODE_META)->id; /* the statuses' master */
    s_tell_status (ADR_NODE_META, 2, 2);
    s_evict (&node, 5, 3000);
    s_reply (ADR__KIND__READ, ADR_STATUS_NOT_FOUND, 0, s_nothing);
    adr_map_t *leaving = s_written (ADR__CONDITION__ABSENT);
    assert_true (registry_node (leaving, 1, ADR_NODE_META)->leaving && !registry_node (leaving, 1, ADR_NODE_META)->evicted);
    adr_map_destroy (&leaving);
}

/* A copy that is being made acknowledges nothing. */
static void
who_copies_is_not_up (void **state)
{
    (void) state;
    adr_id_t node = registry_node (s_map, 2, ADR_NODE_META)->id;
    adr_id_t group = registry_node (s_map, 0, ADR_NODE_META)->group;
    s_tell_status (ADR_NODE_META, 7, 7);
    adr_map_group (s_map, &group)->status.member[0].progress.sync = 1;
    s_tell_taken (s_map);
    s_evict (&node, 5, 3000);
    s_reply (ADR__KIND__READ, ADR_STATUS_NOT_FOUND, 0, s_nothing);
    s_assert_answered (ADR_STATUS_REFUSED, 5);
}

/* Somebody else's change came first: it is read again, and nothing of it is lost. */
static void
a_conflict_is_decided_anew (void **state)
{
    (void) state;
    adr_id_t edge = registry_node (s_map, 2, ADR_NODE_EDGE)->id;
    s_evict (&edge, 5, 10000);
    s_reply (ADR__KIND__READ, ADR_STATUS_NOT_FOUND, 0, s_nothing);
    s_reply (ADR__KIND__WRITE, ADR_STATUS_CONFLICT, 7, s_nothing);
    harness_advance (&s_signer, 300 * ADR_MS);
    adr_map_t *other = registry_next (s_map);
    registry_node (other, 1, ADR_NODE_EDGE)->evicted = true;
    adr_map_seal (other);
    s_reply (ADR__KIND__READ, ADR_STATUS_OK, 7, adr_bytes (other->sealed, other->sealed_size));
    adr_map_t *next = s_written (ADR__CONDITION__VERSION);
    assert_int_equal (next->epoch, 3);
    assert_true (registry_node (next, 1, ADR_NODE_EDGE)->evicted && registry_node (next, 2, ADR_NODE_EDGE)->evicted);
    adr_map_destroy (&next);
    adr_map_destroy (&other);
}

/* [TRUST-3] What nobody will ever sign is not built on: else whoever wrote it could not even be evicted. */
static void
a_record_that_is_no_step_is_replaced (void **state)
{
    (void) state;
    adr_id_t edge = registry_node (s_map, 2, ADR_NODE_EDGE)->id;
    adr_map_t *wrong = registry_next (s_map);
    wrong->quorum++;
    wrong->epoch = 900;
    adr_map_seal (wrong);
    const adr_bytes_t records[] = { adr_bytes (wrong->sealed, wrong->sealed_size), adr_bytes ("no registry", 11) };
    for (size_t i = 0; i < 2; i++) {
        s_evict (&edge, 5 + i, 2000);
        s_reply (ADR__KIND__READ, ADR_STATUS_OK, 7, records[i]);
        adr_map_t *next = s_written (ADR__CONDITION__VERSION);
        assert_int_equal (next->epoch, s_map->epoch + 1);
        assert_int_equal (next->quorum, s_map->quorum);
        assert_true (registry_node (next, 2, ADR_NODE_EDGE)->evicted && adr_map_is_step (s_map, next));
        adr_map_destroy (&next);
        harness_advance (&s_signer, 3000 * ADR_MS); /* it ends */
    }
    adr_map_destroy (&wrong);
}

/* Not done, or not known to be: the very same write again, for as long as the asker waits. */
static void
an_unsure_write_is_repeated_under_its_id (void **state)
{
    (void) state;
    adr_id_t edge = registry_node (s_map, 2, ADR_NODE_EDGE)->id;
    s_evict (&edge, 5, 2000);
    s_reply (ADR__KIND__READ, ADR_STATUS_NOT_FOUND, 0, s_nothing);
    s_reply (ADR__KIND__WRITE, ADR_STATUS_UNKNOWN, 0, s_nothing);
    harness_advance (&s_signer, 300 * ADR_MS);
    assert_int_equal (harness_count (&s_signer, ADR__KIND__WRITE), 2);
    const Adr__Write *first = (const Adr__Write *) harness_sent (&s_signer, ADR__KIND__WRITE, 0)->header;
    const Adr__Write *second = (const Adr__Write *) harness_sent (&s_signer, ADR__KIND__WRITE, 1)->header;
    assert_memory_equal (first->request.data, second->request.data, ADR_REQUEST_ID_SIZE);
    harness_advance (&s_signer, 2000 * ADR_MS);
    s_assert_answered (ADR_STATUS_UNKNOWN, 5);
}

static void
what_is_asked_twice_is_answered_once_and_others_wait (void **state)
{
    (void) state;
    adr_id_t edge = registry_node (s_map, 2, ADR_NODE_EDGE)->id, other = registry_node (s_map, 1, ADR_NODE_EDGE)->id;
    s_evict (&edge, 5, 10000);
    s_evict (&edge, 6, 10000);
    s_evict (&other, 7, 10000);
    s_assert_answered (ADR_STATUS_REFUSED, 7);
    harness_forget (&s_signer);
    harness_advance (&s_signer, 100 * ADR_MS);
    assert_int_equal (s_signer.sent_count, 0);
    harness_advance (&s_signer, 10000 * ADR_MS); /* no answer to the read at all */
    s_assert_answered (ADR_STATUS_UNKNOWN, 6);
}

static void
nonsense_is_refused (void **state)
{
    (void) state;
    adr_id_t nobody = harness_id (0x77);
    s_evict (&nobody, 5, 10000);
    s_assert_answered (ADR_STATUS_INVALID, 5);
    harness_forget (&s_signer);
    s_evict (&s_signer.environment.node, 6, 10000); /* who would answer? */
    s_assert_answered (ADR_STATUS_REFUSED, 6);
    assert_int_equal (harness_count (&s_signer, ADR__KIND__READ), 0);
}

/* [TRUST-3] Asked again it is done already. */
static void
an_evicted_node_is_evicted (void **state)
{
    (void) state;
    adr_map_t *held = registry_next (s_map);
    adr_id_t edge = registry_node (s_map, 2, ADR_NODE_EDGE)->id;
    registry_node (held, 2, ADR_NODE_EDGE)->evicted = true;
    adr_map_seal (held);
    s_tell_taken (held);
    s_evict (&edge, 5, 10000);
    s_reply (ADR__KIND__READ, ADR_STATUS_OK, 7, adr_bytes (held->sealed, held->sealed_size));
    s_assert_answered (ADR_STATUS_OK, 5);
    assert_int_equal (harness_count (&s_signer, ADR__KIND__WRITE), 0);
    adr_map_destroy (&held);
}

/* [EDGE-9] The registry has the drained edge as leaving, with its certificate; taken back it serves; asked again it is so already. */
static void
an_edge_is_drained_and_taken_back (void **state)
{
    (void) state;
    static const struct {
        Adr__ControlAction action;
        bool leaving;
        const char *audit;
    } s_steps[] = { { ADR__CONTROL_ACTION__DEMOTE, true, "\"action\": \"drain\"" }, { ADR__CONTROL_ACTION__PROMOTE, false, "\"action\": \"undrain\"" } };
    adr_id_t edge = registry_node (s_map, 2, ADR_NODE_EDGE)->id;
    for (uint64_t i = 0; i < 2; i++) {
        s_ask (s_steps[i].action, &edge, 5 + i, 10000);
        if (i == 0)
            s_reply (ADR__KIND__READ, ADR_STATUS_NOT_FOUND, 0, s_nothing);
        else
            s_reply (ADR__KIND__READ, ADR_STATUS_OK, 7, adr_bytes (s_map->sealed, s_map->sealed_size));
        adr_map_t *next = s_written (i == 0 ? ADR__CONDITION__ABSENT : ADR__CONDITION__VERSION);
        const harness_sent_t *sent = harness_sent (&s_signer, ADR__KIND__WRITE, 0);
        const Adr__Op *audit = ((const Adr__Write *) sent->header)->op[1];
        assert_non_null (memmem (sent->payload.data + sent->payload.size - audit->value_size, audit->value_size, s_steps[i].audit,
                                 strlen (s_steps[i].audit)));
        assert_int_equal (registry_node (next, 2, ADR_NODE_EDGE)->leaving, s_steps[i].leaving);
        assert_true (adr_map_is_step (s_map, next) && registry_node (next, 2, ADR_NODE_EDGE)->certificate_size > 0);
        s_reply (ADR__KIND__WRITE, ADR_STATUS_OK, 7, s_nothing);
        s_reply (ADR__KIND__READ, ADR_STATUS_OK, 7, adr_bytes (next->sealed, next->sealed_size));
        assert_int_equal (harness_count (&s_signer, ADR__KIND__CONTROL_ANSWER), 0); /* too few have signed it */
        s_tell_taken (next);
        s_reply (ADR__KIND__READ, ADR_STATUS_OK, 7, adr_bytes (next->sealed, next->sealed_size));
        s_assert_answered (ADR_STATUS_OK, 5 + i);
        harness_forget (&s_signer);
        s_ask (s_steps[i].action, &edge, 15 + i, 10000);
        s_reply (ADR__KIND__READ, ADR_STATUS_OK, 7, adr_bytes (next->sealed, next->sealed_size));
        s_assert_answered (ADR_STATUS_OK, 15 + i);
        assert_int_equal (harness_count (&s_signer, ADR__KIND__WRITE), 0);
        harness_forget (&s_signer);
        adr_map_destroy (&next);
    }
}

int
main (void)
{
#define S_TEST(name) cmocka_unit_test_setup_teardown (name, s_setup, s_teardown)
    const struct CMUnitTest tests[] = {
        S_TEST (an_edge_is_evicted_in_one_step),
        S_TEST (an_edge_is_drained_and_taken_back),
        S_TEST (a_voter_leaves_before_it_is_evicted),
        S_TEST (a_standby_leaves_before_it_is_evicted),
        S_TEST (silence_is_no_word_and_a_lie_is_outrun),
        S_TEST (the_last_one_is_not_evicted),
        S_TEST (a_voter_is_unmade_and_made),
        S_TEST (who_is_needed_stays_a_voter),
        S_TEST (who_is_needed_is_not_evicted),
        S_TEST (an_unknown_group_lets_nobody_go),
        S_TEST (a_master_s_word_does_not_keep_it),
        S_TEST (who_copies_is_not_up),
        S_TEST (a_conflict_is_decided_anew),
        S_TEST (a_record_that_is_no_step_is_replaced),
        S_TEST (an_unsure_write_is_repeated_under_its_id),
        S_TEST (what_is_asked_twice_is_answered_once_and_others_wait),
        S_TEST (nonsense_is_refused),
        S_TEST (an_evicted_node_is_evicted),
    };
    return cmocka_run_group_tests (tests, NULL, NULL);
}
