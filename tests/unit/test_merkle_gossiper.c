/* SPDX-License-Identifier: MPL-2.0 */
/* The rules of docs/protocol/merkle_gossiper.md, one test each. */

#include "actor_harness.h"

#include "wire/map_codec.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#define S_INCARNATION(zone) (100 + (zone))
#define S_TERM 3

enum { EXACT, UNPROVEN, LOSSY }; /* what a copy says of itself */

static harness_t s_gossiper;
static adr_map_t *s_map;
static const adr_bytes_t s_nothing;

/* A merkle_gossiper of the meta node of zone 1; the group has a node in each of so many zones. */
static void
s_start (unsigned zones)
{
    s_map = harness_map (zones);
    adr_environment_t environment = { .cluster = s_map->cluster, .node = harness_id (0x10 + ADR_NODE_META),
                                      .type = ADR_NODE_META, .group = harness_id (0xb0 + ADR_NODE_META),
                                      .incarnation = S_INCARNATION (1), .map = s_map };
    harness_start (&s_gossiper, &adr_merkle_gossiper_class, &environment);
}

static int
s_teardown (void **state)
{
    (void) state;
    harness_stop (&s_gossiper);
    adr_map_destroy (&s_map);
    return 0;
}

/* The own replicator's checkpoint. The first so many zones vote; the group's root, and each of three partitions', is 32
 * times that byte. */
static void
s_note (uint64_t index, uint8_t root, unsigned voters, unsigned doubt)
{
    uint8_t group[32], roots[3 * 32];
    adr_voters_t set = { .quorum = 2, .count = voters };
    adr_voter_set_t fill;
    Adr__CheckpointNoted noted = ADR__CHECKPOINT_NOTED__INIT;
    memset (group, root, sizeof group);
    memset (roots, root, sizeof roots);
    for (unsigned zone = 1; zone <= voters; zone++)
        set.voter[zone - 1] = (adr_voter_t){ harness_address (zone, ADR_NODE_META, 0).node, S_INCARNATION (zone) };
    noted.term = S_TERM;
    noted.index = index;
    noted.root = (ProtobufCBinaryData){ sizeof group, group };
    noted.voters = adr_voter_set_fill (&fill, &set);
    noted.doubt = doubt;
    harness_message (&s_gossiper, harness_address (1, ADR_NODE_META, ADR_ACTOR_REPLICATOR), ADR_NODE_META,
                     ADR__KIND__CHECKPOINT_NOTED, &noted.base, adr_bytes (roots, sizeof roots));
}

static void
s_hear (adr_address_t from, uint16_t kind, const ProtobufCMessage *header, adr_bytes_t payload)
{
    harness_message (&s_gossiper, from, ADR_NODE_META, kind, header, payload);
}

static adr_address_t
s_peer (unsigned zone)
{
    return harness_address (zone, ADR_NODE_META, ADR_ACTOR_MERKLE_GOSSIPER);
}

static void
s_root_of (adr_address_t from, uint64_t incarnation, uint64_t index, uint8_t root, unsigned doubt, size_t size)
{
    uint8_t bytes[64];
    Adr__Root message = ADR__ROOT__INIT;
    memset (bytes, root, sizeof bytes);
    message.term = S_TERM;
    message.index = index;
    message.root = (ProtobufCBinaryData){ size, bytes };
    message.incarnation = incarnation;
    message.doubt = doubt;
    s_hear (from, ADR__KIND__ROOT, &message.base, s_nothing);
}

static void
s_root (unsigned zone, uint64_t index, uint8_t root, unsigned doubt)
{
    s_root_of (s_peer (zone), S_INCARNATION (zone), index, root, doubt, 32);
}

static void
s_ask (adr_address_t from, uint64_t index)
{
    Adr__RootsAsk ask = ADR__ROOTS_ASK__INIT;
    ask.term = index ? S_TERM : 0;
    ask.index = index;
    s_hear (from, ADR__KIND__ROOTS_ASK, &ask.base, s_nothing);
}

/* The peer's roots: `root` for each partition; of those with a bit in `other` another one. */
static void
s_answer (adr_address_t from, uint64_t index, uint8_t root, unsigned other, size_t size)
{
    uint8_t roots[5 * 32];
    Adr__Roots message = ADR__ROOTS__INIT;
    memset (roots, root, sizeof roots);
    for (size_t i = 0; i < 3; i++)
        if (other >> i & 1)
            roots[32 * i + 31] ^= 1;
    message.term = S_TERM;
    message.index = index;
    s_hear (from, ADR__KIND__ROOTS, &message.base, adr_bytes (roots, size));
}

/* Agreement was told so often, the last time at this checkpoint, with so many voters. */
static void
s_assert_agreed (size_t times, uint64_t index, uint32_t same)
{
    assert_int_equal (harness_count (&s_gossiper, ADR__KIND__AGREED), times);
    if (times == 0)
        return;
    const harness_sent_t *sent = harness_sent (&s_gossiper, ADR__KIND__AGREED, times - 1);
    const Adr__Agreed *agreed = (const Adr__Agreed *) sent->header;
    assert_int_equal (agreed->term, S_TERM);
    assert_int_equal (agreed->index, index);
    assert_int_equal (agreed->same, same);
}

static bool
s_is_to (const harness_sent_t *sent, adr_address_t to)
{
    return sent && sent->to.actor == to.actor && adr_id_equal (&sent->to.node, &to.node);
}

/* --- roots and agreement ---------------------------------------------------------------------------------------- */

/* Rule 3 */
static void
test_each_peer_is_told_the_root_at_a_checkpoint (void **state)
{
    (void) state;
    s_start (3);
    assert_int_equal (s_gossiper.sent_count, 0);
    s_note (10, 7, 3, UNPROVEN);
    assert_int_equal (s_gossiper.sent_count, 2);
    for (unsigned zone = 2; zone <= 3; zone++) {
        const harness_sent_t *sent = harness_sent (&s_gossiper, ADR__KIND__ROOT, zone - 2);
        assert_true (s_is_to (sent, s_peer (zone)));
        const Adr__Root *root = (const Adr__Root *) sent->header;
        assert_int_equal (root->term, S_TERM);
        assert_int_equal (root->index, 10);
        assert_int_equal (root->incarnation, S_INCARNATION (1));
        assert_int_equal (root->doubt, UNPROVEN);
        assert_int_equal (root->root.len, 32);
        assert_int_equal (root->root.data[0], 7);
        assert_int_equal (root->root.data[31], 7);
    }
}

/* Rules 3 and 4: all equal, and nothing more is sent than that word to the own replicator, once a checkpoint. */
static void
test_a_majority_of_voters_agrees_once_a_checkpoint (void **state)
{
    (void) state;
    s_start (3);
    s_note (10, 7, 3, EXACT);
    harness_forget (&s_gossiper);
    s_root (2, 10, 7, EXACT);
    s_assert_agreed (1, 10, 2);
    assert_true (s_is_to (harness_sent (&s_gossiper, ADR__KIND__AGREED, 0),
                          harness_address (1, ADR_NODE_META, ADR_ACTOR_REPLICATOR)));
    s_root (3, 10, 7, EXACT);
    s_root (2, 10, 7, EXACT);
    assert_int_equal (s_gossiper.sent_count, 1);
    s_note (20, 8, 3, EXACT);
    s_root (3, 20, 8, EXACT);
    s_assert_agreed (2, 20, 2);
}

static void
test_a_minority_does_not_agree (void **state)
{
    (void) state;
    s_start (5);
    s_note (10, 7, 5, EXACT);
    s_root (2, 10, 7, EXACT);
    s_root (2, 10, 7, EXACT); /* said twice, one voter */
    s_assert_agreed (0, 0, 0);
    s_root (3, 10, 8, EXACT);
    s_assert_agreed (0, 0, 0);
    s_root (4, 10, 7, EXACT);
    s_assert_agreed (1, 10, 3);
}

/* The peer was faster: its word is there when this copy gets to the checkpoint. */
static void
test_a_root_that_came_early_counts (void **state)
{
    (void) state;
    s_start (3);
    s_root (2, 10, 7, EXACT);
    assert_int_equal (s_gossiper.sent_count, 0);
    s_note (10, 7, 3, EXACT);
    s_assert_agreed (1, 10, 2);
}

static void
test_a_root_that_came_early_and_differs_is_compared (void **state)
{
    (void) state;
    s_start (3);
    s_root (2, 10, 8, EXACT);
    assert_int_equal (s_gossiper.sent_count, 0);
    s_note (10, 7, 3, EXACT);
    assert_int_equal (s_gossiper.notes[ADR_LEVEL_WARNING], 1);
    assert_int_equal (harness_count (&s_gossiper, ADR__KIND__ROOTS_ASK), 1);
}

static void
test_one_voter_agrees_with_itself (void **state)
{
    (void) state;
    s_start (1);
    s_note (10, 7, 1, EXACT);
    s_assert_agreed (1, 10, 1);
    assert_int_equal (s_gossiper.sent_count, 1);
}

/* Rule 4: a node that does not vote, and one that voted in a former life, are nobody's proof. */
static void
test_only_voters_of_the_present_incarnation_agree (void **state)
{
    (void) state;
    s_start (4);
    s_note (10, 7, 3, EXACT);
    s_root (4, 10, 7, EXACT);
    s_root_of (s_peer (2), S_INCARNATION (2) + 1, 10, 7, EXACT, 32);
    s_assert_agreed (0, 0, 0);
    s_root (2, 10, 7, EXACT);
    s_assert_agreed (1, 10, 2);
}

/* One that does not vote itself is proven by a majority of those who do. */
static void
test_a_node_that_does_not_vote_needs_a_majority_of_others (void **state)
{
    (void) state;
    s_start (4);
    s_gossiper.class->destroy (&s_gossiper.actor);
    s_gossiper.environment.incarnation = 999; /* its former life voted */
    s_gossiper.actor = s_gossiper.class->create (&s_gossiper.environment);
    s_note (10, 7, 3, UNPROVEN);
    s_root (2, 10, 7, EXACT);
    s_assert_agreed (0, 0, 0);
    s_root (3, 10, 7, EXACT);
    s_assert_agreed (1, 10, 2);
}

/* Rule 4: copies that lack the same would prove each other. */
static void
test_a_loss_needs_an_exact_copy (void **state)
{
    (void) state;
    s_start (3);
    s_note (10, 7, 3, LOSSY);
    s_root (2, 10, 7, LOSSY);
    s_root (2, 10, 7, UNPROVEN);
    s_assert_agreed (0, 0, 0);
    s_root (3, 10, 7, EXACT);
    s_assert_agreed (1, 10, 3);
    s_note (20, 7, 3, UNPROVEN); /* it is the peer that knows of a loss */
    s_root (2, 20, 7, LOSSY);
    s_assert_agreed (1, 10, 3);
    s_root (3, 20, 7, UNPROVEN);
    s_assert_agreed (1, 10, 3);
    s_note (30, 7, 3, EXACT); /* this very copy is the exact one */
    s_root (2, 30, 7, LOSSY);
    s_assert_agreed (2, 30, 2);
}

/* ... and who is exact, but does not vote, or has another root, is none of the majority. */
static void
test_an_exact_copy_is_of_the_majority (void **state)
{
    (void) state;
    s_start (4);
    s_note (10, 7, 3, LOSSY);
    s_root (4, 10, 7, EXACT);
    s_root (3, 10, 8, EXACT);
    s_root (2, 10, 7, UNPROVEN);
    s_assert_agreed (0, 0, 0);
}

/* Where nobody knows of a loss, copies in doubt prove each other. */
static void
test_copies_in_doubt_prove_each_other (void **state)
{
    (void) state;
    s_start (3);
    s_note (10, 7, 3, UNPROVEN);
    s_root (2, 10, 7, UNPROVEN);
    s_assert_agreed (1, 10, 2);
}

/* A peer's word about a checkpoint before this copy's newest counts for that one; its own older word does not come back. */
static void
test_a_late_root_counts_for_its_checkpoint (void **state)
{
    (void) state;
    s_start (3);
    s_note (10, 7, 3, EXACT);
    s_note (20, 8, 3, EXACT);
    s_root (2, 10, 7, EXACT);
    s_assert_agreed (1, 10, 2);
    s_root (2, 20, 8, EXACT);
    s_assert_agreed (2, 20, 2);
    harness_forget (&s_gossiper);
    s_root (3, 10, 7, EXACT); /* of the older one nothing new is learnt */
    s_root (2, 10, 9, EXACT); /* out of order: not taken for what it has now */
    assert_int_equal (s_gossiper.sent_count, 0);
    s_root (3, 20, 8, EXACT);
    assert_int_equal (s_gossiper.sent_count, 0);
    assert_int_equal (s_gossiper.notes[ADR_LEVEL_WARNING], 0);
}

/* A late word about a checkpoint that differed is counted; its partitions are compared no more. */
static void
test_a_late_root_that_differs_is_counted_only (void **state)
{
    (void) state;
    s_start (3);
    s_note (10, 7, 3, EXACT);
    s_note (20, 8, 3, EXACT);
    harness_forget (&s_gossiper);
    s_root (2, 10, 9, EXACT);
    assert_int_equal (s_gossiper.notes[ADR_LEVEL_WARNING], 1);
    assert_int_equal (s_gossiper.sent_count, 0);
    for (uint64_t index = 30; index <= 70; index += 10)
        s_note (index, 8, 3, EXACT);
    s_root (3, 20, 9, EXACT); /* forgotten by now */
    assert_int_equal (s_gossiper.notes[ADR_LEVEL_WARNING], 1);
}

/* A copy that began a new life may be behind what its former one told. */
static void
test_a_new_incarnation_begins_anew (void **state)
{
    (void) state;
    s_start (3);
    s_root_of (s_peer (2), 55, 90, 1, EXACT, 32);
    s_note (10, 7, 3, EXACT);
    s_root (2, 10, 7, EXACT);
    s_assert_agreed (1, 10, 2);
}

/* What a former life said does not take the place of what the present one has said already. */
static void
test_a_late_root_of_a_former_life_is_not_heard (void **state)
{
    (void) state;
    s_start (3);
    s_note (10, 7, 3, EXACT);
    s_root (2, 20, 8, EXACT);
    s_root_of (s_peer (2), 55, 10, 7, EXACT, 32);
    assert_int_equal (s_gossiper.notes[ADR_LEVEL_WARNING], 0);
    s_note (20, 8, 3, EXACT);
    s_assert_agreed (1, 20, 2);
    s_root_of (s_peer (2), 200, 30, 9, EXACT, 32); /* one that is to vote */
    s_note (30, 9, 3, EXACT);
    s_assert_agreed (1, 20, 2);
    s_root (2, 30, 9, EXACT);
    s_assert_agreed (2, 30, 2);
}

/* --- divergence ------------------------------------------------------------------------------------------------- */

/* Rule 5 */
static void
test_a_divergence_is_counted_once_a_checkpoint_and_peer (void **state)
{
    (void) state;
    s_start (3);
    s_note (10, 7, 3, EXACT);
    harness_forget (&s_gossiper);
    s_root (2, 10, 8, EXACT);
    s_root (2, 10, 8, EXACT);
    assert_int_equal (s_gossiper.notes[ADR_LEVEL_WARNING], 1);
    assert_non_null (strstr (s_gossiper.note, "differ at checkpoint 10"));
    assert_non_null (strstr (s_gossiper.note, "diverged=1"));
    assert_int_equal (s_gossiper.sent_count, 1);
    const harness_sent_t *sent = harness_sent (&s_gossiper, ADR__KIND__ROOTS_ASK, 0);
    assert_true (s_is_to (sent, s_peer (2)));
    assert_int_equal (((const Adr__RootsAsk *) sent->header)->index, 10);
    assert_int_equal (((const Adr__RootsAsk *) sent->header)->term, S_TERM);
    s_root (3, 10, 9, EXACT);
    assert_non_null (strstr (s_gossiper.note, "diverged=2"));
    assert_true (s_is_to (harness_sent (&s_gossiper, ADR__KIND__ROOTS_ASK, 1), s_peer (3)));
    s_note (20, 7, 3, EXACT);
    s_root (2, 20, 8, EXACT);
    assert_non_null (strstr (s_gossiper.note, "diverged=3"));
    assert_int_equal (harness_count (&s_gossiper, ADR__KIND__ROOTS_ASK), 3);
}

/* [REPAIR-3] Nothing is taken from who is no voter: it is counted, not asked. */
static void
test_only_a_voter_is_asked_for_its_roots (void **state)
{
    (void) state;
    s_start (4);
    s_note (10, 7, 3, EXACT);
    harness_forget (&s_gossiper);
    s_root (4, 10, 8, EXACT);
    s_root_of (s_peer (2), S_INCARNATION (2) + 1, 10, 8, EXACT, 32);
    assert_int_equal (s_gossiper.notes[ADR_LEVEL_WARNING], 2);
    assert_int_equal (s_gossiper.sent_count, 0);
}

static void
test_roots_are_told_for_the_newest_checkpoint_only (void **state)
{
    (void) state;
    s_start (3);
    s_note (10, 7, 3, EXACT);
    s_note (20, 8, 3, EXACT);
    harness_forget (&s_gossiper);
    s_ask (s_peer (2), 10);
    s_ask (s_peer (2), 30);
    assert_int_equal (s_gossiper.sent_count, 0);
    s_ask (s_peer (2), 20);
    const harness_sent_t *sent = harness_sent (&s_gossiper, ADR__KIND__ROOTS, 0);
    assert_true (s_is_to (sent, s_peer (2)));
    assert_int_equal (((const Adr__Roots *) sent->header)->index, 20);
    assert_int_equal (sent->payload.size, 3 * 32);
    for (size_t i = 0; i < sent->payload.size; i++)
        assert_int_equal (sent->payload.data[i], 8);
}

static void
test_no_roots_before_the_first_checkpoint (void **state)
{
    (void) state;
    s_start (3);
    s_ask (s_peer (2), 0);
    assert_int_equal (s_gossiper.sent_count, 0);
}

static void
test_diverged_names_exactly_the_partitions (void **state)
{
    (void) state;
    s_start (3);
    s_note (10, 7, 3, EXACT);
    s_root (2, 10, 8, EXACT);
    harness_forget (&s_gossiper);
    s_answer (s_peer (2), 10, 7, 1 << 0 | 1 << 2, 3 * 32);
    assert_int_equal (s_gossiper.sent_count, 1);
    const harness_sent_t *sent = harness_sent (&s_gossiper, ADR__KIND__DIVERGED, 0);
    assert_true (s_is_to (sent, harness_address (1, ADR_NODE_META, ADR_ACTOR_INVENTORY_SYNCER)));
    const Adr__Diverged *diverged = (const Adr__Diverged *) sent->header;
    adr_id_t node = adr_id_of (diverged->node), peer = s_peer (2).node;
    assert_true (adr_id_equal (&node, &peer));
    assert_int_equal (diverged->term, S_TERM);
    assert_int_equal (diverged->index, 10);
    assert_int_equal (sent->payload.size, 2 * 4);
    assert_int_equal (adr_get_u32 (sent->payload.data), 0);
    assert_int_equal (adr_get_u32 (sent->payload.data + 4), 2);
}

static void
test_partitions_that_are_equal_are_not_named (void **state)
{
    (void) state;
    s_start (3);
    s_note (10, 7, 3, EXACT);
    s_root (2, 10, 8, EXACT);
    harness_forget (&s_gossiper);
    s_answer (s_peer (2), 10, 7, 0, 3 * 32);
    assert_int_equal (s_gossiper.sent_count, 0);
}

/* Answers that fit no question: of a wrong size, of another checkpoint, of a peer that was not asked. */
static void
test_roots_that_were_not_asked_for_are_dropped (void **state)
{
    (void) state;
    s_start (3);
    s_note (10, 7, 3, EXACT);
    s_root (2, 10, 8, EXACT);
    harness_forget (&s_gossiper);
    s_answer (s_peer (2), 10, 7, 1, 0);
    s_answer (s_peer (2), 10, 7, 1, 3 * 32 - 1);
    s_answer (s_peer (2), 10, 7, 1, 2 * 32);
    s_answer (s_peer (2), 10, 7, 1, 4 * 32);
    s_answer (s_peer (2), 9, 7, 1, 3 * 32);
    s_answer (s_peer (2), 11, 7, 1, 3 * 32);
    s_answer (s_peer (3), 10, 7, 1, 3 * 32);
    assert_int_equal (s_gossiper.sent_count, 0);
    s_note (20, 7, 3, EXACT);
    harness_forget (&s_gossiper);
    s_answer (s_peer (2), 10, 7, 1, 3 * 32); /* asked for, and late */
    assert_int_equal (s_gossiper.sent_count, 0);
}

/* --- strangers -------------------------------------------------------------------------------------------------- */

/* Of another group's node, of nobody's, and of this very node. */
static void
test_nodes_outside_the_group_are_dropped (void **state)
{
    (void) state;
    s_start (3);
    s_note (10, 7, 3, EXACT);
    harness_forget (&s_gossiper);
    adr_address_t strangers[] = { harness_address (2, ADR_NODE_DATA, ADR_ACTOR_MERKLE_GOSSIPER),
                                  harness_address (9, ADR_NODE_META, ADR_ACTOR_MERKLE_GOSSIPER), s_peer (1) };
    for (size_t i = 0; i < 3; i++) {
        s_root_of (strangers[i], S_INCARNATION (2), 10, 7, EXACT, 32);
        s_root_of (strangers[i], S_INCARNATION (2), 10, 8, EXACT, 32);
        s_ask (strangers[i], 10);
        s_answer (strangers[i], 10, 7, 1, 3 * 32);
    }
    assert_int_equal (s_gossiper.sent_count, 0);
    assert_int_equal (s_gossiper.notes[ADR_LEVEL_WARNING], 0);
}

static void
test_a_root_of_a_wrong_size_is_dropped (void **state)
{
    (void) state;
    s_start (3);
    s_note (10, 7, 3, EXACT);
    harness_forget (&s_gossiper);
    s_root_of (s_peer (2), S_INCARNATION (2), 10, 7, EXACT, 0);
    s_root_of (s_peer (2), S_INCARNATION (2), 10, 7, EXACT, 31);
    s_root_of (s_peer (2), S_INCARNATION (2), 10, 7, EXACT, 33);
    assert_int_equal (s_gossiper.sent_count, 0);
}

static void
s_tell_map (void)
{
    adr_arena_t arena;
    adr_arena_init (&arena, 4096, 1 << 20);
    Adr__MapChanged changed = ADR__MAP_CHANGED__INIT;
    changed.map = adr_map_message (s_map, &arena);
    harness_message (&s_gossiper, harness_address (1, ADR_NODE_META, ADR_ACTOR_MAP_KEEPER), ADR_NODE_META,
                     ADR__KIND__MAP_CHANGED, &changed.base, s_nothing);
    adr_arena_free (&arena);
}

/* Peers keep what is known of them by node, not by place: zone 2's node leaves the group, zone 3's stays. */
static void
test_a_new_map_changes_who_is_heard (void **state)
{
    (void) state;
    s_start (4);
    s_note (10, 7, 4, EXACT);
    s_root (3, 10, 7, EXACT);
    s_assert_agreed (0, 0, 0);
    adr_id_t leaves = s_peer (2).node;
    for (uint32_t i = 0; i < s_map->node_count; i++)
        if (adr_id_equal (&s_map->node[i].id, &leaves))
            s_map->node[i].group = harness_id (0xb0 + ADR_NODE_DATA);
    s_tell_map ();
    s_root (2, 10, 7, EXACT);
    s_assert_agreed (0, 0, 0);
    s_root (4, 10, 7, EXACT);
    s_assert_agreed (1, 10, 3);
    harness_forget (&s_gossiper);
    s_note (20, 7, 4, EXACT);
    assert_int_equal (s_gossiper.sent_count, 2);
    assert_true (s_is_to (harness_sent (&s_gossiper, ADR__KIND__ROOT, 0), s_peer (3)));
    assert_true (s_is_to (harness_sent (&s_gossiper, ADR__KIND__ROOT, 1), s_peer (4)));
}

#define S_TEST(name) cmocka_unit_test_teardown (name, s_teardown)

int
main (void)
{
    const struct CMUnitTest tests[] = {
        S_TEST (test_each_peer_is_told_the_root_at_a_checkpoint),
        S_TEST (test_a_majority_of_voters_agrees_once_a_checkpoint),
        S_TEST (test_a_minority_does_not_agree),
        S_TEST (test_a_root_that_came_early_counts),
        S_TEST (test_a_root_that_came_early_and_differs_is_compared),
        S_TEST (test_one_voter_agrees_with_itself),
        S_TEST (test_only_voters_of_the_present_incarnation_agree),
        S_TEST (test_a_node_that_does_not_vote_needs_a_majority_of_others),
        S_TEST (test_a_loss_needs_an_exact_copy),
        S_TEST (test_an_exact_copy_is_of_the_majority),
        S_TEST (test_copies_in_doubt_prove_each_other),
        S_TEST (test_a_late_root_counts_for_its_checkpoint),
        S_TEST (test_a_late_root_that_differs_is_counted_only),
        S_TEST (test_a_new_incarnation_begins_anew),
        S_TEST (test_a_late_root_of_a_former_life_is_not_heard),
        S_TEST (test_a_divergence_is_counted_once_a_checkpoint_and_peer),
        S_TEST (test_only_a_voter_is_asked_for_its_roots),
        S_TEST (test_roots_are_told_for_the_newest_checkpoint_only),
        S_TEST (test_no_roots_before_the_first_checkpoint),
        S_TEST (test_diverged_names_exactly_the_partitions),
        S_TEST (test_partitions_that_are_equal_are_not_named),
        S_TEST (test_roots_that_were_not_asked_for_are_dropped),
        S_TEST (test_nodes_outside_the_group_are_dropped),
        S_TEST (test_a_root_of_a_wrong_size_is_dropped),
        S_TEST (test_a_new_map_changes_who_is_heard),
    };
    return cmocka_run_group_tests (tests, NULL, NULL);
}
