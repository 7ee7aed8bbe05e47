/* SPDX-License-Identifier: MPL-2.0 */
/* The rules of docs/protocol/inventory_syncer.md: copies that differ at a checkpoint, what may have been purged, damaged values. */

#include "syncer_fixture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

/* --- mending ---------------------------------------------------------------------------------------------------- */

/* [REPAIR-3] What it lacks or has older is taken, of that peer, if this copy has applied past it. */
static void
test_mending_takes_only_what_it_has_applied_past (void **state)
{
    (void) state;
    trio_all_write ();
    trio_put (2, "lost", "1", 5);
    trio_put (2, "older", "2", TRIO_RECORDS);
    trio_put (1, "older", "1", 7);
    trio_put (2, "gone", NULL, 8);
    trio_put (1, "gone", "1", 6);
    trio_put (2, "ahead", "1", TRIO_RECORDS + 1);
    trio_put (1, "newer here", "2", 9);
    trio_put (2, "newer here", "1", 8);
    trio_put (1, "here", "1", 9);
    trio_mending (2);
    assert_true (trio_has (1, "lost"));
    assert_false (trio_has (1, "ahead"));
    assert_true (trio_has (1, "here"));
    fixture_expect (trio_node[1].w, "older", "2");
    fixture_expect (trio_node[1].w, "gone", NULL);
    fixture_expect (trio_node[1].w, "newer here", "2");
    assert_int_equal (trio_self ()->mended_records, 3);
    assert_int_equal (trio_self ()->mode, MODE_IDLE);
    assert_int_equal (trio_node[3].asked[ADR__KIND__LEAVES_ASK], 0);
    assert_int_equal (trio_sent (ADR__KIND__BASE_ASK), 0);
    assert_int_equal (trio_sent (ADR__KIND__DROP), 0);
}

static void
test_mending_asks_for_the_partitions_that_differ (void **state)
{
    (void) state;
    trio_all_write ();
    trio_node[2].silent = true;
    trio_diverge (2, 3, 1);
    assert_int_equal (trio_sent (ADR__KIND__LEAVES_ASK), 1);
    const harness_sent_t *sent = harness_sent (&trio_node[1].harness, ADR__KIND__LEAVES_ASK, 0);
    assert_int_equal (((const Adr__LeavesAsk *) sent->header)->partition, 3);
    assert_true (((const Adr__LeavesAsk *) sent->header)->mend);
    trio_advance (1100 * ADR_MS);
    sent = harness_sent (&trio_node[1].harness, ADR__KIND__PLACE, trio_sent (ADR__KIND__PLACE) - 1);
    assert_int_equal (((const Adr__Place *) sent->header)->parts, 1);
    assert_int_equal (((const Adr__Place *) sent->header)->parts_done, 0);
    assert_int_equal (((const Adr__Place *) sent->header)->keep_from, 0);
}

/* [REPAIR-3] Two values of one version are damage. */
static void
test_two_values_of_one_version_are_named_only (void **state)
{
    (void) state;
    trio_all_write ();
    trio_put (1, "two", "mine", 5);
    trio_put (2, "two", "theirs", 5);
    trio_mending (2);
    fixture_expect (trio_node[1].w, "two", "mine");
    assert_int_equal (trio_self ()->mended_records, 0);
    assert_int_equal (trio_node[1].harness.notes[ADR_LEVEL_WARNING], 1);
}

/* [STORE-10] Nothing that a peer has makes a bucket equal whose own leaf is not what its rows hash to. */
static void
test_an_own_leaf_that_is_false_is_told (void **state)
{
    (void) state;
    trio_all_write ();
    trio_put (1, "here", "1", 5);
    trio_put (2, "here", "1", 5);
    trio_put (2, "lost", "1", 5);
    trio_mending (2);
    assert_int_equal (trio_sent (ADR__KIND__INDEX_DAMAGED), 0);
    uint8_t name[5] = { 'l' }, order[16], zeros[32] = { 0 };
    adr_put_be32 (name + 1, adr_reader_order (trio_node[1].reader, ADR_TABLE_KV, fixture_text ("here"), order));
    adr_index_t *index = memory_index_of (trio_node[1].w->index);
    assert_int_equal (index->begin (index), 0);
    assert_int_equal (index->put_tree (index, adr_bytes (name, sizeof name), adr_bytes (zeros, sizeof zeros)), 0);
    assert_int_equal (index->commit (index), 0);
    trio_mending (2);
    assert_int_equal (trio_sent (ADR__KIND__INDEX_DAMAGED), 1);
}

/* A copy that is being made mends nothing, nor does one that replays. */
static void
test_only_a_comparable_copy_mends (void **state)
{
    (void) state;
    trio_all_write ();
    trio_put (2, "lost", "1", 5);
    trio_node[1].sync = ADR_SYNC_REPLAYING;
    trio_mending (2);
    assert_int_equal (trio_sent (ADR__KIND__LEAVES_ASK), 0);
    trio_node[1].sync = ADR_SYNC_UNPROVEN;
    trio_mending (2);
    assert_true (trio_has (1, "lost"));
}

static void
test_a_peer_that_gives_nothing_mends_nobody (void **state)
{
    (void) state;
    trio_all_write ();
    trio_put (2, "lost", "1", 5);
    trio_node[2].silent = true;
    trio_mending (2);
    assert_int_equal (trio_self ()->mode, MODE_MENDING);
    trio_advance (PATIENCE_NS + 200 * ADR_MS);
    assert_int_equal (trio_self ()->mode, MODE_IDLE);
    assert_int_equal (trio_node[3].asked[ADR__KIND__LEAVES_ASK], 0);
}

/* --- what may have been purged ---------------------------------------------------------------------------------- */

/* [REPAIR-2] Below our own horizon we lack it: a second voter says whether it is there. */
static void
test_what_we_may_have_purged_needs_a_second_word (void **state)
{
    (void) state;
    trio_all_write ();
    trio_node[1].purged_to = 20;
    trio_put (2, "slept", "1", 5);
    trio_put (2, "there", "1", 6);
    trio_put (3, "there", "1", 6);
    trio_put (2, "above", "1", 21);
    trio_put (2, "tombstone", NULL, 7); /* gone here, and gone for good */
    trio_put (3, "tombstone", NULL, 7);
    trio_mending (2);
    assert_true (trio_node[3].asked[ADR__KIND__INVENTORY_ASK] > 0);
    assert_false (trio_has (1, "slept"));
    assert_false (trio_has (1, "tombstone"));
    assert_true (trio_has (1, "there"));
    assert_true (trio_has (1, "above"));
}

/* [REPAIR-2] Below its horizon the peer lacks what we have: it goes if a second voter, applied past it, lacks it too. */
static void
test_what_the_peer_may_have_purged_goes_by_two_words (void **state)
{
    (void) state;
    trio_all_write ();
    trio_node[2].purged_to = trio_node[3].purged_to = 20;
    trio_put (1, "purged", "1", 5);
    trio_put (1, "there", "1", 6);
    trio_put (3, "there", "1", 6);
    trio_put (1, "above", "1", 21);
    trio_mending (2);
    assert_false (trio_has (1, "purged"));
    assert_true (trio_has (1, "there"));
    assert_true (trio_has (1, "above"));
    assert_int_equal (trio_self ()->dropped_records, 1);
}

/* A second copy that is behind does not know. */
static void
test_a_second_copy_that_is_behind_decides_nothing (void **state)
{
    (void) state;
    trio_write_some (1);
    trio_write_some (2);
    trio_write (3, 10, 12, 40);
    trio_node[2].purged_to = 30;
    trio_put (1, "kept", "1", 25);
    trio_mending (2);
    assert_true (trio_node[3].asked[ADR__KIND__INVENTORY_ASK] > 0);
    assert_true (trio_has (1, "kept"));
    assert_int_equal (trio_sent (ADR__KIND__DROP), 0);
}

/* [REPAIR-2] Nor does one that knows of a loss: what it lacks it may have lost. */
static void
test_a_second_copy_that_knows_of_a_loss_decides_nothing (void **state)
{
    (void) state;
    trio_all_write ();
    trio_node[2].purged_to = trio_node[3].purged_to = 20;
    trio_node[3].lossy = true;
    trio_put (1, "kept", "1", 5);
    trio_mending (2);
    assert_true (trio_node[3].asked[ADR__KIND__INVENTORY_ASK] > 0);
    assert_true (trio_has (1, "kept"));
    assert_int_equal (trio_sent (ADR__KIND__DROP), 0);
}

/* [REPAIR-3] Two copies that are behind still have what was purged here: two words that say nothing. */
static void
test_who_has_not_heard_of_a_purge_has_no_word (void **state)
{
    (void) state;
    trio_all_write ();
    trio_node[1].purged_to = TRIO_RECORDS + 100; /* the others' inventories are of before */
    trio_put (2, "purged", "1", 5);
    trio_put (3, "purged", "1", 5);
    trio_mending (2);
    assert_false (trio_has (1, "purged"));
    trio_node[1].purged_to = 20;
    trio_mending (2);
    assert_true (trio_has (1, "purged"));
}

/* Where no second voter can be asked, it stays as it is. */
static void
test_without_a_second_voter_it_stays (void **state)
{
    (void) state;
    trio_all_write ();
    trio_node[1].voters = 2;
    trio_node[1].purged_to = trio_node[2].purged_to = 20;
    trio_put (1, "mine", "1", 5);
    trio_put (2, "theirs", "1", 6);
    trio_mending (2);
    assert_true (trio_has (1, "mine"));
    assert_false (trio_has (1, "theirs"));
    assert_int_equal (trio_node[3].asked[ADR__KIND__INVENTORY_ASK], 0);
    trio_advance (100 * ADR_MS);
    assert_int_equal (trio_self ()->mode, MODE_IDLE);
}

static adr_doubt_t
s_doubt (const char *key)
{
    adr_inventory_row_t row;
    assert_int_equal (adr_reader_row (trio_node[1].reader, ADR_TABLE_KV, fixture_text (key), &row), ADR_STATUS_OK);
    return row.doubt;
}

/* The zone's copy holds it in doubt, with that word of its own. */
static void
s_put_doubt (unsigned zone, const char *key, const char *value, uint64_t index, adr_doubt_t doubt)
{
    adr_bare_t bare = { .table = ADR_TABLE_KV, .doubt = doubt, .key = fixture_text (key),
                        .version = { ADR_EPOCH, TRIO_TERM, index }, .value_size = (uint32_t) strlen (value), .time_ms = 5 };
    adr_value_digest (fixture_text (value), bare.digest);
    if (doubt == ADR_DOUBT_HAD)
        trio_put (zone, key, value, index);
    adr_store_place_bare (trio_node[zone].w->store, &bare);
    fixture_run (trio_node[zone].w);
    trio_say_state (zone);
}

/* Nodes 1 and 2 are in doubt, and node 3, the third voter or none, has purged up to there. */
static void
s_all_doubt (unsigned voters)
{
    trio_all_write ();
    for (unsigned zone = 1; zone <= TRIO_ZONES; zone++) {
        trio_node[zone].purged_to = 20;
        trio_node[zone].voters = voters;
        if (zone < 3) {
            trio_node[zone].sync = ADR_SYNC_UNPROVEN;
            trio_node[zone].proven = false;
        }
    }
}

/* [REPAIR-2] Two copies in doubt whose third one is away have what only one of them has in doubt, and are equal then. */
static void
test_two_copies_in_doubt_agree (void **state)
{
    (void) state;
    s_all_doubt (2);
    trio_put (1, "mine", "1", 5);
    trio_put (2, "theirs", "2", 6);
    trio_mending (2);
    assert_int_equal (s_doubt ("mine"), ADR_DOUBT_HAD);
    assert_int_equal (s_doubt ("theirs"), ADR_DOUBT_LACKED);
    assert_int_equal (trio_sent (ADR__KIND__RECORDS_ASK), 0);
    s_put_doubt (2, "mine", "1", 5, ADR_DOUBT_LACKED);
    s_put_doubt (2, "theirs", "2", 6, ADR_DOUBT_HAD);
    assert_true (trio_are_equal (1, 2));
    size_t sent = trio_sent (ADR__KIND__QUARANTINE);
    trio_mending (2); /* and stays like that */
    assert_int_equal (trio_sent (ADR__KIND__QUARANTINE), sent);
    assert_int_equal (adr_store_doubts (trio_node[1].w->store), 2);
}

/* Whichever of the two saw the other one first. */
static void
test_a_doubt_of_the_peer_is_taken_over (void **state)
{
    (void) state;
    s_all_doubt (2);
    trio_put (1, "mine", "1", 5);
    s_put_doubt (2, "mine", "1", 5, ADR_DOUBT_LACKED);
    s_put_doubt (2, "theirs", "2", 6, ADR_DOUBT_HAD);
    trio_mending (2);
    assert_int_equal (s_doubt ("mine"), ADR_DOUBT_HAD);
    assert_int_equal (s_doubt ("theirs"), ADR_DOUBT_LACKED);
    assert_true (trio_are_equal (1, 2));
}

/* [REPAIR-2] The third copy decides: what it has, too, is there; what it lacks, too, goes. */
static void
test_a_third_copy_ends_a_doubt (void **state)
{
    (void) state;
    s_all_doubt (3);
    for (unsigned zone = 1; zone < 3; zone++) {
        s_put_doubt (zone, "there", "1", 5, zone == 1 ? ADR_DOUBT_HAD : ADR_DOUBT_LACKED);
        s_put_doubt (zone, "there, too", "2", 6, zone == 1 ? ADR_DOUBT_LACKED : ADR_DOUBT_HAD);
        s_put_doubt (zone, "purged", "3", 7, zone == 1 ? ADR_DOUBT_HAD : ADR_DOUBT_LACKED);
        s_put_doubt (zone, "purged, too", "4", 8, zone == 1 ? ADR_DOUBT_LACKED : ADR_DOUBT_HAD);
    }
    trio_node[3].sync = ADR_SYNC_UNPROVEN; /* a word is a word */
    trio_node[3].proven = false;
    trio_put (3, "there", "1", 5);
    trio_put (3, "there, too", "2", 6);
    trio_mending (3);
    assert_int_equal (adr_store_doubts (trio_node[1].w->store), 0);
    assert_int_equal (s_doubt ("there"), ADR_DOUBT_NONE);
    assert_int_equal (s_doubt ("there, too"), ADR_DOUBT_NONE);
    assert_false (trio_has (1, "purged"));
    assert_false (trio_has (1, "purged, too"));
    assert_true (trio_are_equal (1, 3));
    adr_buffer_t record = { 0 };
    assert_int_equal (adr_reader_record (trio_node[1].reader, ADR_TABLE_KV, fixture_text ("there, too"), &record), ADR_STATUS_OK);
    adr_buffer_free (&record);
}

/* One word and its echo are one: who heard of a doubt from others decides nothing. */
static void
test_a_copied_doubt_is_no_word (void **state)
{
    (void) state;
    s_all_doubt (3);
    s_put_doubt (1, "a", "1", 5, ADR_DOUBT_HAD);
    s_put_doubt (2, "a", "1", 5, ADR_DOUBT_LACKED);
    s_put_doubt (3, "a", "1", 5, ADR_DOUBT_COPIED);
    s_put_doubt (1, "b", "1", 6, ADR_DOUBT_LACKED);
    s_put_doubt (2, "b", "1", 6, ADR_DOUBT_COPIED);
    s_put_doubt (3, "b", "1", 6, ADR_DOUBT_HAD);
    trio_mending (2);
    trio_mending (3);
    assert_int_equal (s_doubt ("a"), ADR_DOUBT_HAD);
    assert_int_equal (s_doubt ("b"), ADR_DOUBT_LACKED);
}

/* An exact copy is what its log says: what it has is no doubt, and is believed by who is in doubt. */
static void
test_an_exact_copy_has_no_doubts (void **state)
{
    (void) state;
    s_all_doubt (2);
    trio_node[2].sync = ADR_SYNC_EXACT;
    trio_put (1, "mine", "1", 5);
    trio_put (2, "theirs", "2", 6);
    s_put_doubt (1, "in doubt", "3", 7, ADR_DOUBT_LACKED);
    trio_put (2, "in doubt", "3", 7);
    trio_mending (2);
    assert_int_equal (s_doubt ("mine"), ADR_DOUBT_NONE);
    assert_int_equal (s_doubt ("theirs"), ADR_DOUBT_NONE);
    assert_int_equal (s_doubt ("in doubt"), ADR_DOUBT_NONE);
}

/* A copy that is made of one with doubts has them, too, without a word in it. */
static void
test_a_copy_is_made_with_its_doubts (void **state)
{
    (void) state;
    trio_write_some (2);
    trio_write_some (3);
    s_put_doubt (2, "a", "1", 5, ADR_DOUBT_HAD);
    s_put_doubt (3, "a", "1", 5, ADR_DOUBT_LACKED);
    trio_copying ();
    assert_int_equal (s_doubt ("a"), ADR_DOUBT_COPIED);
    assert_true (trio_are_equal (1, 2));
    assert_int_equal (trio_sent (ADR__KIND__SYNC_END), 1);
}

/* [REPAIR-2] Who waits to be admitted has no word: neither what it had nor what it lacked decides against voters in doubt, which
 * are proven and ask nobody but each other. */
static void
test_who_is_no_voter_takes_doubts_as_they_are (void **state)
{
    (void) state;
    s_all_doubt (3);
    trio_node[1].guest = true;
    trio_node[2].sync = ADR_SYNC_EXACT;
    trio_node[2].proven = true;
    trio_put (1, "one has it", "1", 5);
    s_put_doubt (2, "one has it", "1", 5, ADR_DOUBT_LACKED);
    s_put_doubt (3, "one has it", "1", 5, ADR_DOUBT_HAD);
    trio_put (1, "both have it", "2", 6);
    s_put_doubt (2, "both have it", "2", 6, ADR_DOUBT_HAD);
    s_put_doubt (3, "both have it", "2", 6, ADR_DOUBT_LACKED);
    s_put_doubt (2, "one lacks it", "3", 7, ADR_DOUBT_HAD);
    s_put_doubt (3, "one lacks it", "3", 7, ADR_DOUBT_LACKED);
    s_put_doubt (2, "both lack it", "4", 8, ADR_DOUBT_LACKED);
    s_put_doubt (3, "both lack it", "4", 8, ADR_DOUBT_HAD);
    trio_mending (2);
    assert_int_equal (s_doubt ("one has it"), ADR_DOUBT_COPIED);
    assert_int_equal (s_doubt ("both have it"), ADR_DOUBT_COPIED);
    assert_int_equal (s_doubt ("one lacks it"), ADR_DOUBT_COPIED);
    assert_int_equal (s_doubt ("both lack it"), ADR_DOUBT_COPIED);
    assert_true (trio_are_equal (1, 2));
}

/* Node 1 stopped before node 2 deleted and purged what it still has; the third one is away. */
static void
s_copy_stale (adr_sync_t sync)
{
    trio_write (1, 10, 12, 40);
    trio_write_some (2);
    trio_node[2].proven = false;
    trio_node[2].sync = sync;
    trio_node[2].purged_to = 20;
    trio_node[3].silent = true;
    trio_put (1, "stale", "1", 5);
    trio_copying ();
    trio_advance (8 * TRIO_SECOND);
    assert_int_equal (trio_sent (ADR__KIND__SYNC_END), 1);
}

/* [REPAIR-3] It is behind, and has no word: an exact source's lack decides, as if this copy had been made from nothing. */
static void
test_a_stale_copy_has_no_word (void **state)
{
    (void) state;
    s_copy_stale (ADR_SYNC_EXACT);
    assert_false (trio_has (1, "stale"));
    assert_true (trio_are_equal (1, 2));
}

/* ... of a source that is in doubt itself it does not. */
static void
test_a_stale_copy_keeps_what_one_in_doubt_lacks (void **state)
{
    (void) state;
    s_copy_stale (ADR_SYNC_UNPROVEN);
    assert_true (trio_has (1, "stale"));
}

/* Equal roots do not say that a doubt could be decided: it is asked about now and then, and only where it is. */
static void
test_doubts_are_compared_again (void **state)
{
    (void) state;
    s_all_doubt (3);
    s_put_doubt (1, "a", "1", 5, ADR_DOUBT_HAD);
    s_put_doubt (2, "a", "1", 5, ADR_DOUBT_LACKED);
    s_put_doubt (3, "a", "1", 5, ADR_DOUBT_HAD);
    trio_node[1].sync = ADR_SYNC_EXACT;
    trio_say_state (1);
    trio_advance (12 * TRIO_SECOND);
    assert_int_equal (adr_store_doubts (trio_node[1].w->store), 0);
    assert_int_equal (s_doubt ("a"), ADR_DOUBT_NONE);
    assert_true (trio_sent (ADR__KIND__LEAVES_ASK) <= 3);
    size_t asked = trio_sent (ADR__KIND__LEAVES_ASK);
    trio_advance (12 * TRIO_SECOND);
    assert_int_equal (trio_sent (ADR__KIND__LEAVES_ASK), asked);
}

/* Rows in doubt by the thousand are settled in one walk. */
static void
test_many_doubts_are_settled (void **state)
{
    (void) state;
    s_all_doubt (3);
    for (int i = 0; i < 1000; i++) {
        char key[16];
        snprintf (key, sizeof key, "slept %d", i);
        trio_put (1, key, "1", 5);
        if (i % 2)
            trio_put (3, key, "1", 5);
    }
    trio_mending (2);
    assert_int_equal (trio_self ()->dropped_records, 500);
    assert_int_equal (trio_node[3].asked[ADR__KIND__INVENTORY_ASK], TRIO_PARTITIONS);
}

static void
test_a_tombstone_goes_on_one_word (void **state)
{
    (void) state;
    trio_all_write ();
    trio_node[2].purged_to = 20;
    trio_put (1, "tombstone", NULL, 5);
    trio_put (1, "young", NULL, 21);
    trio_mending (2);
    assert_false (trio_has (1, "tombstone"));
    assert_true (trio_has (1, "young"));
    assert_int_equal (trio_node[3].asked[ADR__KIND__INVENTORY_ASK], 0);
}

/* A copy in doubt believes an exact one about what is there, and a proven one about what is not. */
static void
test_a_copy_in_doubt_believes_one_word (void **state)
{
    (void) state;
    trio_all_write ();
    trio_node[1].sync = ADR_SYNC_UNPROVEN;
    trio_node[1].proven = false;
    trio_node[1].purged_to = trio_node[2].purged_to = 20;
    trio_put (1, "mine", "1", 5);
    trio_put (2, "theirs", "1", 6);
    trio_mending (2);
    assert_false (trio_has (1, "mine"));
    assert_true (trio_has (1, "theirs"));
    assert_int_equal (trio_node[3].asked[ADR__KIND__INVENTORY_ASK], 0);
}

/* --- damaged values --------------------------------------------------------------------------------------------- */

/* Rule 7 */
static void
test_a_damaged_value_is_pulled (void **state)
{
    adr_buffer_t record = { 0 };
    (void) state;
    trio_all_write ();
    for (unsigned zone = 1; zone <= TRIO_ZONES; zone++) {
        trio_put (zone, "wounded", "value", 5);
        trio_say_state (zone);
    }
    trio_damage (1, "wounded");
    assert_int_equal (adr_reader_record (trio_node[1].reader, ADR_TABLE_KV, fixture_text ("wounded"), &record),
                      ADR_STATUS_DAMAGED);
    trio_wound ("wounded");
    assert_int_equal (trio_sent (ADR__KIND__RECORDS_ASK), 1);
    assert_int_equal (adr_reader_record (trio_node[1].reader, ADR_TABLE_KV, fixture_text ("wounded"), &record), ADR_STATUS_OK);
    assert_int_equal (trio_self ()->wounds.size, 0);
    adr_buffer_free (&record);
}

static void
s_lie_nothing (adr_buffer_t *payload, ProtobufCMessage *header)
{
    payload->size = 0;
    ((Adr__Records *) header)->asked = 0;
}

/* A peer that says that it answered nothing is not asked again at once, for ever. */
static void
test_a_peer_that_answers_nothing_is_not_asked_at_once (void **state)
{
    (void) state;
    trio_all_write ();
    for (unsigned zone = 1; zone <= TRIO_ZONES; zone++)
        trio_say_state (zone);
    trio_node[1].master = 3;
    trio_say_state (1);
    trio_liar = 2;
    trio_lie_kind = ADR__KIND__RECORDS;
    trio_lie = s_lie_nothing;
    trio_wound ("1kkkkkkkkkk");
    assert_int_equal (trio_sent (ADR__KIND__RECORDS_ASK), 1);
    trio_liar = 0;
    trio_advance (1100 * ADR_MS);
    assert_int_equal (trio_sent (ADR__KIND__RECORDS_ASK), 2);
    assert_int_equal (trio_self ()->wounds.size, 0);
}

int
main (void)
{
    const struct CMUnitTest tests[] = {
        TRIO_TEST (test_mending_takes_only_what_it_has_applied_past),
        TRIO_TEST (test_mending_asks_for_the_partitions_that_differ),
        TRIO_TEST (test_two_values_of_one_version_are_named_only),
        TRIO_TEST (test_an_own_leaf_that_is_false_is_told),
        TRIO_TEST (test_only_a_comparable_copy_mends),
        TRIO_TEST (test_a_peer_that_gives_nothing_mends_nobody),
        TRIO_TEST (test_what_we_may_have_purged_needs_a_second_word),
        TRIO_TEST (test_what_the_peer_may_have_purged_goes_by_two_words),
        TRIO_TEST (test_a_second_copy_that_is_behind_decides_nothing),
        TRIO_TEST (test_a_second_copy_that_knows_of_a_loss_decides_nothing),
        TRIO_TEST (test_without_a_second_voter_it_stays),
        TRIO_TEST (test_who_has_not_heard_of_a_purge_has_no_word),
        TRIO_TEST (test_two_copies_in_doubt_agree),
        TRIO_TEST (test_a_doubt_of_the_peer_is_taken_over),
        TRIO_TEST (test_a_third_copy_ends_a_doubt),
        TRIO_TEST (test_who_is_no_voter_takes_doubts_as_they_are),
        TRIO_TEST (test_a_copied_doubt_is_no_word),
        TRIO_TEST (test_an_exact_copy_has_no_doubts),
        TRIO_TEST (test_a_copy_is_made_with_its_doubts),
        TRIO_TEST (test_a_stale_copy_has_no_word),
        TRIO_TEST (test_a_stale_copy_keeps_what_one_in_doubt_lacks),
        TRIO_TEST (test_doubts_are_compared_again),
        TRIO_TEST (test_many_doubts_are_settled),
        TRIO_TEST (test_a_tombstone_goes_on_one_word),
        TRIO_TEST (test_a_copy_in_doubt_believes_one_word),
        TRIO_TEST (test_a_damaged_value_is_pulled),
        TRIO_TEST (test_a_peer_that_answers_nothing_is_not_asked_at_once),
    };
    return cmocka_run_group_tests (tests, NULL, NULL);
}
