/* SPDX-License-Identifier: MPL-2.0 */
/* What the five files of the edge_router share. edge_router.c: the actor, and who is let in. edge_router_places.c: the
 * requests that wait, each with a copy of what was asked. edge_router_tries.c: whom to ask, and when again.
 * edge_router_answers.c: what replicators say, and whether it is the last word. edge_router_control.c: what operators ask. */

#ifndef ADR_EDGE_ROUTER_PRIVATE_H
#define ADR_EDGE_ROUTER_PRIVATE_H

#include "actors/deadlines.h"
#include "actors/obeyed.h"
#include "actors/routes.h"
#include "core/actor.h"
#include "core/entry.h"
#include "wire/pack.h"

#define PLACES_MAX 65536u /* requests at once; 20 MB of places when full */
#define CHUNK 1024u       /* places made at a time; they never move */
#define CONTROLS_MAX 512u /* operators' questions at once: one for each node of a large cluster */
#define OPEN_MAX 8        /* tries without an answer that a write remembers one by one */

/* A number that we give to a try: which place, which request in that place, which try of it. */
#define PLACE_BITS 16
#define TRY_BITS 12
#define TRIES_MAX ((1u << TRY_BITS) - 1)

/* What was asked, in one piece of memory: this, then arrays, keys and payload. */
typedef struct {
    union {
        ProtobufCMessage base;
        Adr__Write write;
        Adr__Read read;
        Adr__List list;
    } header;
    adr_bytes_t payload;
    size_t size; /* of the whole piece */
} edge_kept_t;

typedef struct {
    uint64_t serial; /* this request's own, in the upper bits of its tries' numbers; 0: the place is free */
    adr_address_t asker;
    uint64_t asker_number;
    uint16_t kind; /* WRITE, READ, LIST */
    edge_kept_t *kept;
    uint32_t group;         /* its place among the routes */
    uint32_t age_ms;        /* when it came */
    int64_t arrived_ns;
    int64_t limit_ns;       /* it ends then, answered or not */
    int64_t tried_ns;       /* the newest try */
    int64_t quiet_ns;       /* how long that may stay without an answer */
    uint64_t seen_ms;       /* a write's stamp [REPL-5] */
    int last;               /* the node of the newest try; -1: none yet */
    int next;               /* the node to try next if one was named; -1: whoever comes next */
    uint32_t tries, hints, pauses;
    bool waiting;           /* the newest try has no answer: the deadline is its silence; else the deadline is a pause */
    uint32_t open_count;    /* tries of a write that may yet be done: sent and not surely refused */
    uint32_t open[OPEN_MAX];
    bool lost_count;        /* more of them than that, or one that answered `unknown`: it can never be surely refused */
    char why[80];           /* what the newest refusal said */
    uint32_t next_free;
} edge_request_t;

/* What an operator asks a node to do [EDGE-7]. */
typedef struct {
    uint64_t number; /* ours */
    adr_address_t asker;
    uint64_t asker_number;
    adr_id_t node;
    int64_t limit_ns; /* nobody waits for it from then on */
    uint32_t tries;   /* so often it was asked */
} edge_control_t;

typedef struct {
    const adr_environment_t *environment;
    adr_effects_t *effects; /* of the current event */
    int64_t now_ns;
    int64_t map_ns; /* up to when the map's statuses are as old as they say */
    adr_map_t *map;
    adr_settings_t settings; /* those that are obeyed now */
    adr_obeyed_t obeyed;
    adr_routes_t routes;
    edge_request_t *chunk[PLACES_MAX / CHUNK];
    uint32_t places;      /* made so far */
    uint32_t free;        /* first free place, and one */
    uint32_t pending;     /* requests that wait */
    uint64_t held;        /* bytes that they keep */
    uint64_t serial;      /* of the newest request */
    uint64_t life;        /* the upper bits of this life's tokens */
    adr_deadlines_t deadlines;
    edge_control_t control[CONTROLS_MAX];
    uint64_t control_number; /* of the newest */
    bool nudge[ADR_GROUPS_MAX]; /* groups that have another master since the last turn */
    bool nudge_due;             /* any of them */
    int64_t wake_ns;      /* what the shell was asked for */
    uint32_t pulls;       /* maps given out in this turn */
    int64_t denied_ns;    /* when a denial was noted last */
    adr_random_t random;
    bool stopping;
    bool draining;        /* our own node is leaving [EDGE-9] */
    uint64_t dropped;     /* answers that nobody waited for */
} edge_router_t;

/* edge_router.c */
/* An answer of our own making. */
void edge_router_answer (edge_router_t *self, uint16_t asked, adr_address_t asker, uint64_t number, adr_status_t status,
                         const char *text);
/* [EDGE-6] This moment, for whoever is answered now. */
uint64_t edge_router_token (const edge_router_t *self);

/* edge_router_places.c */
edge_request_t *edge_router_place (const edge_router_t *self, uint32_t place);
uint32_t edge_router_take_place (edge_router_t *self);
void edge_router_give_place (edge_router_t *self, uint32_t place);
/* The request and the try that an answer belongs to; NULL if nobody waits for it any more. */
edge_request_t *edge_router_request_of (edge_router_t *self, uint64_t number, uint32_t *place, uint32_t *attempt);
adr_route_group_t *edge_router_group (edge_router_t *self, const edge_request_t *request);
/* Bytes that a write keeps besides its edge_kept_t. */
size_t edge_router_write_size (const Adr__Write *write, size_t payload);
edge_kept_t *edge_router_keep (const adr_event_t *event);

/* edge_router_tries.c */
/* No try of the write can be done any more, or none was made [DESIGN 13, invariant 6]. */
bool edge_request_surely_refused (const edge_request_t *request);
void edge_request_close_try (edge_request_t *request, uint32_t attempt);
uint32_t edge_router_age_ms (const edge_router_t *self, const edge_request_t *request);
void edge_router_try (edge_router_t *self, uint32_t place);
/* After a pause that grows, if not at once. */
void edge_router_try_later (edge_router_t *self, uint32_t place, bool at_once);
void edge_router_on_timer (edge_router_t *self);
/* A group has a new master: writes that wait elsewhere are tried there. */
void edge_router_nudge (edge_router_t *self); /* at the end of a turn */
void edge_router_learn_master (edge_router_t *self, uint32_t group, int node);

/* edge_router_answers.c */
/* A log time that is surely not ahead of the group's when the request was first tried [EDGE-6]. */
uint64_t edge_router_stamp (uint64_t log_ms, uint32_t age_ms);
void edge_router_on_answer (edge_router_t *self, const adr_event_t *event);
void edge_router_on_list_answer (edge_router_t *self, const adr_event_t *event);

/* edge_router_control.c */
void edge_router_on_control (edge_router_t *self, const adr_event_t *event);
/* [USER-2] A line in the log about who asked for what his role may not. */
void edge_router_note_denied (edge_router_t *self, const adr_event_t *event, const char *why);
void edge_router_on_control_answer (edge_router_t *self, const adr_event_t *event);

#endif
