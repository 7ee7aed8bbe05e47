/* SPDX-License-Identifier: MPL-2.0 */
/* How copies become whole, step by step, against what the whole world knows: a copying does not end before what it asked
 * for is in its index [REPAIR-5]; what a copy is when it is whole, or proven, follows from the log [REPAIR-1]; an index that
 * was made anew is not exact before it was compared [STORE-9]; of a record in doubt nobody hears what it says, nor that there is
 * none [REPAIR-2]; what a copy takes was committed once, whatever its source says [REPAIR-2]; voters alone are asked where
 * voters decide [REPAIR-2, REPAIR-3];
 * and a master makes nobody a voter who says that its copy is not exact [REPAIR-1]. */

#include "sim.h"

static adr_bytes_t
s_key (char bytes[16], int key)
{
    return adr_bytes (bytes, (size_t) snprintf (bytes, 16, "s%c{t%d}k%04d", 0, key % 3, key));
}

adr_status_t
sim_stored (sim_node_t *node, int key, bool with_value, adr_record_t *record)
{
    char bytes[16];
    return adr_store_get (node->store, ADR_TABLE_KV, s_key (bytes, key), with_value, record);
}

adr_doubt_t
sim_doubt (sim_node_t *node, int key)
{
    char bytes[16];
    adr_index_row_t row;
    adr_index_t *index = memory_index_of (&node->disk.index);
    return index->get (index, ADR_TABLE_KV, s_key (bytes, key), &row) == 0 ? row.doubt : ADR_DOUBT_NONE;
}

void
sim_watch_copy_boot (sim_node_t *node)
{
    memset (&node->copy, 0, sizeof node->copy);
    node->copy.sync = adr_store_sync (node->store);
    node->disk.ahead_index = 0; /* a recovery puts rows before it says how far it is */
}

/* --- what a copy is ---------------------------------------------------------------------------------------------- */

/* What cannot be read is answered as such, and mended: it is not wrong. */
static void
s_compare_record (sim_world_t *world, sim_node_t *node, int key, uint64_t applied)
{
    adr_record_t record = { 0 };
    const sim_version_t *wanted = sim_history_at (&world->history, key, applied);
    adr_status_t status = sim_stored (node, key, false, &record);
    if (status != ADR_STATUS_OK && status != ADR_STATUS_NOT_FOUND)
        return;
    bool there = status == ADR_STATUS_OK && !record.deleted;
    bool same = wanted && !wanted->deleted
                    ? there && record.version.index == wanted->index && record.version.term == wanted->term
                    : !there;
    if (!same)
        sim_fail (&world->verdict, "REPAIR-1: a copy that is whole is what the log says",
                  "%s key %d: %s version %llu at index %llu, committed is version %llu%s", node->name, key,
                  there ? "has" : "lacks", (unsigned long long) record.version.index, (unsigned long long) applied,
                  wanted ? (unsigned long long) wanted->index : 0, wanted && wanted->deleted ? " (deleted)" : "");
}

/* Once the world knows all that the copy has applied. */
static void
s_judge (sim_world_t *world, sim_node_t *node)
{
    uint64_t applied = adr_store_applied (node->store);
    if (!node->copy.due || applied > world->history.commit)
        return;
    node->copy.due = false;
    for (int key = 0; key < world->options.keys && !world->verdict.failed; key++)
        s_compare_record (world, node, key, applied);
}

static void
s_see_sync (sim_world_t *world, sim_node_t *node)
{
    adr_sync_t before = node->copy.sync, now = node->copy.sync = adr_store_sync (node->store);
    if (now == ADR_SYNC_EXACT && adr_store_was_rebuilt (node->store))
        sim_fail (&world->verdict, "STORE-9: an index that was made anew is compared before it serves", "%s", node->name);
    if (before == now)
        return;
    if (before == ADR_SYNC_COPYING && adr_store_placed (node->store) < node->copy.asked)
        sim_fail (&world->verdict, "REPAIR-5: a copying ends when all of it is in the index", "%s: %llu of %llu copies",
                  node->name, (unsigned long long) adr_store_placed (node->store), (unsigned long long) node->copy.asked);
    /* A source to whose rows something was done has less, and gives less: the comparison tells. */
    node->copy.due = now == ADR_SYNC_EXACT || (now == ADR_SYNC_UNPROVEN && before == ADR_SYNC_REPLAYING && sim_must_be_alike (world));
}

/* Of the rows that no memory table hides. */
static void
s_judge_doubts (sim_world_t *world, sim_node_t *node)
{
    uint64_t doubts = adr_store_doubts (node->store);
    if (doubts == node->copy.doubts || adr_store_flushed (node->store) != adr_store_applied (node->store))
        return;
    node->copy.doubts = doubts;
    for (int key = 0; key < world->options.keys && doubts; key++) {
        adr_record_t record = { 0 };
        if (sim_doubt (node, key) && sim_stored (node, key, false, &record) != ADR_STATUS_DAMAGED)
            sim_fail (&world->verdict, "REPAIR-2: a record in doubt is told to nobody", "%s key %d version %llu", node->name, key,
                      (unsigned long long) record.version.index);
    }
}

/* --- whom a master admits ---------------------------------------------------------------------------------------- */

static bool
s_is_told_exact (const sim_world_t *world, const sim_node_t *master, const adr_voter_t *voter)
{
    int place = sim_node_of (world, &voter->node);
    return place < 0 || master->copy.told[place].incarnation != voter->incarnation
           || master->copy.told[place].sync == ADR_SYNC_EXACT;
}

static void
s_see_voters (sim_world_t *world, sim_node_t *node)
{
    const adr_voters_t *now = adr_store_voters (node->store), *before = &node->copy.voters;
    if (adr_position_compare (now->at, before->at) == 0)
        return;
    for (uint32_t i = 0; i < now->count && before->count && now->at.term == node->leads; i++)
        if (adr_voters_find (before, &now->voter[i].node, now->voter[i].incarnation) < 0
            && !s_is_told_exact (world, node, &now->voter[i]))
            sim_fail (&world->verdict, "REPAIR-1: who becomes a voter is exact", "%s admits one that said it is not, by entry %llu",
                      node->name, (unsigned long long) now->at.index);
    node->copy.voters = *now;
}

void
sim_watch_copy_turn (sim_world_t *world, int place)
{
    sim_node_t *node = &world->node[place];
    s_see_sync (world, node);
    s_see_voters (world, node);
    s_judge (world, node);
    s_judge_doubts (world, node);
}

/* --- whom a copy asks -------------------------------------------------------------------------------------------- */

static void
s_check_second (sim_world_t *world, sim_node_t *node, int to, uint32_t partition)
{
    if (partition > SIM_PARTITIONS || to < 0 || node->copy.first[partition] == to + 1
        || adr_voters_find_node (&node->copy.repair_voters, &world->node[to].id) >= 0)
        return;
    sim_fail (&world->verdict, "REPAIR-2: a second voter decides what was purged", "%s asks %s about partition %u", node->name,
              world->node[to].name, partition);
}

void
sim_watch_copy_send (sim_world_t *world, int place, const adr_address_t *to, uint16_t kind, const ProtobufCMessage *header)
{
    sim_node_t *node = &world->node[place];
    int peer = sim_node_of (world, &to->node);
    if (kind == ADR__KIND__LEAVES_ASK && ((const Adr__LeavesAsk *) header)->partition <= SIM_PARTITIONS)
        node->copy.first[((const Adr__LeavesAsk *) header)->partition] = peer + 1;
    if (kind == ADR__KIND__INVENTORY_ASK)
        s_check_second (world, node, peer, ((const Adr__InventoryAsk *) header)->partition);
    if (kind == ADR__KIND__ROOTS_ASK && adr_voters_find_node (&node->copy.gossip_voters, &to->node) < 0)
        sim_fail (&world->verdict, "REPAIR-3: voters are mended by voters", "%s asks %s, which is none", node->name,
                  peer >= 0 ? world->node[peer].name : "nobody");
}

/* --- what a copy hears ------------------------------------------------------------------------------------------- */

/* The rows of a PLACE, as far as the world knows what is committed. */
static void
s_judge_place (sim_world_t *world, const sim_node_t *node, adr_bytes_t rest)
{
    adr_inventory_row_t row;
    size_t size;
    for (; rest.size && (size = adr_inventory_row_get (&row, rest)) != 0;
         rest = adr_bytes (rest.data + size + row.value_size, rest.size - size - row.value_size)) {
        int key = sim_history_key (&world->history, row.table, row.key);
        if (key < 0 || row.version.index > world->history.commit)
            continue;
        const sim_version_t *committed = sim_history_at (&world->history, key, row.version.index);
        if (!committed || committed->index != row.version.index || committed->term != row.version.term
            || committed->deleted != row.deleted)
            sim_fail (&world->verdict, "REPAIR-2: what a copy takes was committed", "%s key %d: %s version %llu", node->name,
                      key, row.deleted ? "deleted by" : "has", (unsigned long long) row.version.index);
    }
}

static void
s_hear_answered (sim_world_t *world, sim_node_t *node, const Adr__Answered *answered)
{
    adr_id_t id = adr_id_of (answered->voter);
    int place = sim_node_of (world, &id);
    if (place < 0 || answered->term != node->leads || answered->incarnation == 0)
        return;
    if (node->copy.told[place].incarnation == answered->incarnation && answered->boot < node->copy.told[place].boot)
        return;
    node->copy.told[place].incarnation = answered->incarnation;
    node->copy.told[place].boot = answered->boot;
    node->copy.told[place].sync = answered->sync;
}

void
sim_watch_copy_deliver (sim_world_t *world, int place, const adr_event_t *event)
{
    sim_node_t *node = &world->node[place];
    const ProtobufCMessage *header = event->message.header;
    adr_voters_t voters;
    switch (event->message.kind) {
    case ADR__KIND__REPAIR_STATE:
        if (adr_voter_set_read (&voters, ((const Adr__RepairState *) header)->voters))
            node->copy.repair_voters = voters;
        break;
    case ADR__KIND__CHECKPOINT_NOTED:
        if (adr_voter_set_read (&voters, ((const Adr__CheckpointNoted *) header)->voters))
            node->copy.gossip_voters = voters;
        break;
    case ADR__KIND__PLACE:
        s_judge_place (world, node, event->message.payload);
        break;
    case ADR__KIND__SYNC_END:
        node->copy.asked = adr_store_place_asked (node->store);
        break;
    case ADR__KIND__ANSWERED:
        s_hear_answered (world, node, (const Adr__Answered *) header);
        break;
    default:
        break;
    }
}
