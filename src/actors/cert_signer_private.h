/* SPDX-License-Identifier: MPL-2.0 */
/* What cert_signer's files share. cert_signer.c: certificates; cert_signer_registry.c: changes of the registry. */

#ifndef ADR_CERT_SIGNER_PRIVATE_H
#define ADR_CERT_SIGNER_PRIVATE_H

#include "core/actor.h"
#include "core/cert.h"
#include "core/entry.h"
#include "core/map.h"
#include "core/node_state.h"
#include "wire/map_codec.h"
#include "wire/pack.h"

#define CERT_SIGNER_PAUSE_NS (250 * ADR_MS) /* before a refused try is repeated: an election takes two to four of them */

typedef enum {
    CHANGE_NONE,
    CHANGE_READING, /* which registry the group has */
    CHANGE_WRITING, /* the next one */
    CHANGE_WAITING  /* for what `why` says */
} change_phase_t;

/* One change of the registry at a time; what others ask meanwhile is refused as busy. */
typedef struct {
    change_phase_t phase;
    adr_address_t asker;
    uint64_t asked_number;
    adr_id_t by;               /* the operator's connection */
    adr_id_t node;             /* whom it is about */
    int64_t started_ns, limit_ns;
    int64_t try_ns;            /* when the next try is due; of one that is under way, when it counts as lost */
    bool awaits;               /* one is under way */
    uint64_t number;           /* of the try that is under way */
    uint8_t request[ADR_REQUEST_ID_SIZE];
    uint64_t seen_ms;          /* stamp of its tries [REPL-5] */
    adr_version_t held;        /* of the record that was read; index 0: there is none yet */
    adr_buffer_t next;         /* the registry that is written: its bytes */
    uint64_t epoch;            /* of that */
    const char *why;           /* it waits */
    bool evicts;               /* that one evicts the node; else it only takes it out of its voters */
} change_t;

typedef struct cert_signer cert_signer_t;

/* What cert_signer.c lends. */
uint64_t cert_signer_number (cert_signer_t *self);
change_t *cert_signer_change (cert_signer_t *self);
const adr_environment_t *cert_signer_environment (const cert_signer_t *self);
adr_map_t *cert_signer_map (cert_signer_t *self); /* the newest */
void cert_signer_draw_request (cert_signer_t *self, uint8_t request[ADR_REQUEST_ID_SIZE], uint64_t number);

/* cert_signer_registry.c */
void cert_signer_on_control (cert_signer_t *self, const adr_event_t *event, adr_effects_t *effects);
/* False if the answer is none of a change's. */
bool cert_signer_on_change_answer (cert_signer_t *self, const adr_event_t *event, adr_effects_t *effects);
/* A newer map, or time has passed. */
void cert_signer_tend_change (cert_signer_t *self, const adr_event_t *event, adr_effects_t *effects);
/* When it has to be tended; ADR_NEVER: not by itself. */
int64_t cert_signer_change_due (const change_t *change);

#endif
