/* SPDX-License-Identifier: MPL-2.0 */
/* Runs one actor in a unit test: gives it events at a virtual time, and records its effects for the test to look at.
 * What it sends is encoded and decoded again, as on a wire; a message that the table of wire/table.c forbids, or that
 * the decoder refuses, fails the test. */

#ifndef ADR_ACTOR_HARNESS_H
#define ADR_ACTOR_HARNESS_H

#include "core/actor.h"
#include "core/map.h"
#include "wire/pack.h"

/* A recorded message. */
typedef struct {
    adr_address_t to;
    uint16_t kind;
    const ProtobufCMessage *header; /* decoded; lent until harness_forget */
    adr_bytes_t payload;            /* as long */
    int64_t at_ns;
} harness_sent_t;

#define HARNESS_TIMERS 32
#define HARNESS_STATES 16

typedef struct {
    adr_effects_t effects; /* first: the actor gets its address */
    const adr_actor_class_t *class;
    void *actor;
    adr_environment_t environment;
    int64_t now_ns, wall_ms;
    harness_sent_t *sent;
    size_t sent_count, sent_room;
    adr_arena_t arena;
    int64_t timer[HARNESS_TIMERS]; /* ADR_NEVER: none */
    struct {
        char name[32];
        adr_buffer_t value;
    } state[HARNESS_STATES];
    size_t state_count;
    uint64_t token[64]; /* persisted, not yet told */
    size_t token_count;
    size_t notes[4]; /* by level */
    char note[512];  /* the newest */
    bool fatal, trace;
    const char *user; /* of the messages that come; NULL: of none */
    uint64_t users_known;
} harness_t;

/* Creates the actor as `class` says; the environment is copied (its state_get becomes the harness's own), `map` and
 * `store` must live as long. The time starts at 1,000 s. */
void harness_start (harness_t *self, const adr_actor_class_t *class, const adr_environment_t *environment);
void harness_stop (harness_t *self);

/* One turn of one message, with TURN_END and check. */
void harness_message (harness_t *self, adr_address_t from, adr_node_type_t from_type, uint16_t kind,
                      const ProtobufCMessage *header, adr_bytes_t payload);
/* The same without TURN_END: more follows in this turn. */
void harness_message_more (harness_t *self, adr_address_t from, adr_node_type_t from_type, uint16_t kind,
                           const ProtobufCMessage *header, adr_bytes_t payload);
void harness_event (harness_t *self, adr_event_t event); /* one turn of one event; times are filled in */
/* Moves the time on, firing each timer at its time, one turn each. */
void harness_advance (harness_t *self, int64_t ns);
/* Tells the actor that all it persisted is durable. */
void harness_durable (harness_t *self);

/* The node's map_keeper tells of the map, after its registry got its next epoch. */
void harness_tell_map (harness_t *self, adr_map_t *map);
/* The same, with one more setting of the whole cluster. */
void harness_tell_setting (harness_t *self, adr_map_t *map, const char *name, uint64_t value);

/* Forgets the recorded messages. */
void harness_forget (harness_t *self);
/* The n-th (from 0) recorded message of this kind; NULL if there are fewer. */
const harness_sent_t *harness_sent (const harness_t *self, uint16_t kind, size_t n);
size_t harness_count (const harness_t *self, uint16_t kind);

/* An id whose bytes are all `byte`. */
adr_id_t harness_id (uint8_t byte);

/* A small cluster: `zones` zones, in each an edge, meta, data and pki node of the groups meta1, data1 and pki1, which
 * own all 64 partitions. Ids are harness_id (0x10 * zone + role), zones from 1, roles as adr_node_type_t; zone ids
 * harness_id (0xa0 + zone), group ids harness_id (0xb0 + type), the cluster harness_id (0xc1). */
adr_map_t *harness_map (unsigned zones);
adr_address_t harness_address (unsigned zone, adr_node_type_t type, adr_actor_kind_t actor);

#endif
