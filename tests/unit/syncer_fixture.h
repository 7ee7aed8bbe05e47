/* SPDX-License-Identifier: MPL-2.0 */
/* For tests of the inventory_syncer: three nodes, each with a store in memory and an inventory_syncer over a reader of it. Node 1
 * is repaired; what it asks for is carried to the others, and what they answer may be spoilt on its way. The test is everybody's
 * replicator. */

#ifndef ADR_SYNCER_FIXTURE_H
#define ADR_SYNCER_FIXTURE_H

#include "actor_harness.h"
#include "store_fixture.h"

#include "actors/inventory_syncer_private.h"
#include "store/store.h"

#define TRIO_ZONES 3
#define TRIO_PARTITIONS 4
#define TRIO_RECORDS 60
#define TRIO_TERM 1
#define TRIO_SECOND (1000 * ADR_MS)

typedef struct {
    fixture_t *w;
    adr_reader_t *reader;
    harness_t harness;
    size_t seen; /* messages of the harness that were carried */
    /* What its replicator says. */
    adr_sync_t sync;
    bool proven, lossy, busy, guest; /* a guest: it is no voter itself */
    uint64_t purged_to;
    unsigned master, voters; /* a zone; how many zones vote */
    uint64_t admitted;       /* bytes of PLACE */
    /* What becomes of questions to it. */
    bool silent;
    size_t asked[ADR__KIND__INDEX_DAMAGED + 1]; /* by kind */
} trio_node_t;

extern trio_node_t trio_node[TRIO_ZONES + 1]; /* by zone, from 1 */
extern bool trio_holds;                 /* the replicator takes no PLACE */
extern bool trio_base_ok, trio_base_silent, trio_base_leads;
extern uint64_t trio_base_log_start, trio_base_log_end;
extern uint64_t trio_commit; /* that every replicator has heard of */
extern size_t trio_spoilt;       /* answers that were */
extern unsigned trio_liar; /* the zone whose answers of that kind are spoilt; 0: none */
extern uint16_t trio_lie_kind;
extern void (*trio_lie) (adr_buffer_t *payload, ProtobufCMessage *header);

#define TRIO_TEST(name) cmocka_unit_test_setup_teardown (name, trio_setup, trio_teardown)

const inventory_syncer_t *trio_self (void); /* node 1's actor */
void trio_start_node (unsigned zone, uint64_t rate);
int trio_setup (void **state);
void trio_stop_node (unsigned zone);
int trio_teardown (void **state);
/* So many entries are logged, applied, and in the index: keys and values of these sizes. */
void trio_write (unsigned zone, int count, size_t key_size, size_t value_size);
void trio_write_some (unsigned zone);
void trio_all_write (void);
/* A record that this copy has, wherever it came from. NULL: a tombstone. */
void trio_put (unsigned zone, const char *key, const char *value, uint64_t index);
bool trio_has (unsigned zone, const char *key);
bool trio_are_equal (unsigned a, unsigned b);
/* One bit of what the disk holds of the value is another one. */
void trio_damage (unsigned zone, const char *key);
void trio_say_state (unsigned zone);
void trio_take_place (adr_bytes_t rest);
/* Everything that is under way arrives, at once. */
void trio_carry (void);
void trio_advance (int64_t ns);
/* Node 1's copy is sick. */
void trio_copying (void);
/* Node 1's copy differs from that of the zone in so many partitions, from that one on. */
void trio_diverge (unsigned zone, uint32_t first, uint32_t count);
void trio_mending (unsigned zone);
/* Node 1's scrubber has found that value damaged. */
void trio_wound (const char *key);
size_t trio_sent (uint16_t kind); /* messages of node 1 */

#endif
