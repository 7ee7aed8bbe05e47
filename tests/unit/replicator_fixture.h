/* SPDX-License-Identifier: MPL-2.0 */
/* For tests of the replicator: meta1's member in zone 1 over a real store in memory, and what its world says to it:
 * election and health_checker beside it, the members in zones 2 and 3, an edge. */

#ifndef ADR_REPLICATOR_FIXTURE_H
#define ADR_REPLICATOR_FIXTURE_H

#include "actor_harness.h"
#include "memory_disk.h"

#include "store/store.h"

typedef struct {
    harness_t harness;
    adr_map_t *map;
    memory_disk_t *disk;
    memory_state_t *state;
    memory_index_t *index;
    memory_entropy_t entropy;
    adr_store_t *store;
    uint64_t incarnation[4]; /* of the zones' nodes */
    bool disk_stands;        /* fixture_sync does nothing */
} fixture_t;

/* Made and freed around each test. */
extern fixture_t fixture;
#define FIXTURE_TEST(name) cmocka_unit_test_setup_teardown (name, fixture_start, fixture_stop)

/* Of the three zones' nodes the first so many are founding voters. */
int fixture_start_with (uint32_t voters);
int fixture_start (void **state); /* all three */
int fixture_stop (void **state);
/* The actor alone, over the same store. */
void fixture_restart (void);

/* Those that the actor obeys now, to be changed behind its back. */
adr_settings_t *fixture_settings (void);

adr_address_t fixture_meta (unsigned zone, adr_actor_kind_t actor);
/* A message without payload, from this actor of the zone's meta node. */
void fixture_tell (unsigned zone, adr_actor_kind_t actor, uint16_t kind, const ProtobufCMessage *header);
/* The disk does all that is due. */
void fixture_sync (void);

/* --- election and health_checker */
void fixture_lead (uint64_t term);
/* Master in term 1 of ten entries that all members have; what was sent is forgotten. */
void fixture_lead_with_ten_entries (void);
/* The zone's node has answered a poll, ... */
void fixture_answered (unsigned zone, uint64_t term, uint64_t boot);
void fixture_answered_poll_of (unsigned zone, int64_t sent_ns); /* ... which left then, ... */
void fixture_answered_space (unsigned zone, adr_space_t space); /* ... and says this of its disk. */

/* --- the other members */
/* With one opening entry, or none. */
void fixture_append (adr_address_t from, uint64_t term, adr_position_t previous, uint32_t count);
void fixture_ack (unsigned zone, uint64_t term, uint64_t confirmed);
void fixture_ack_of_boot (unsigned zone, uint64_t boot, uint64_t term, uint64_t confirmed);

/* --- the edge of zone 1 */
/* The answer goes to `origin`. */
void fixture_write_ops (uint64_t number, Adr__Op *op, size_t count, adr_bytes_t payload, adr_id_t origin);
void fixture_write_if (uint64_t number, uint8_t key, Adr__Condition condition);
void fixture_write (uint64_t number); /* of a key of its own */

/* --- what the replicator sent */
/* The newest append to that member, NULL if there is none. */
const Adr__Append *fixture_sent_to (unsigned zone);
/* The newest message of a kind; the test fails if there is none. */
const ProtobufCMessage *fixture_newest (uint16_t kind);

#endif
