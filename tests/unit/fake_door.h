/* SPDX-License-Identifier: MPL-2.0 */
/* A PKI node's adoption door for tests of who joins: a CURVE ROUTER on 127.0.0.1, on a thread of its own, that lets any key in, and
 * answers JOIN as docs/protocol/trust.md says, for one token, with certificates of a founded cluster that are believed; or with what
 * a test makes of it. */

#ifndef ADR_FAKE_DOOR_H
#define ADR_FAKE_DOOR_H

#include "core/token.h"
#include "shell/found.h"
#include "wire/map_codec.h"

typedef struct fake_door fake_door_t;

/* What a test changes in an answer before it is signed, encoded and sent; NULL: nothing. Called on the door's thread. */
typedef struct {
    void (*cert) (adr_cert_t *cert);
    void (*node) (adr_map_node_t *node); /* the new one in the map */
    void (*map) (adr_map_t *map);
    void (*answer) (Adr__JoinAnswer *answer);
    bool silent;         /* no answer at all */
    bool noisy;          /* nonsense, and answers to others, before the right one */
    int passing;         /* so many answers REFUSED first */
    adr_status_t status; /* not OK: nothing else is answered */
    const char *text;
    int64_t now_ms;      /* 0: the wall clock; when the certificate is made */
} fake_door_edits_t;

/* Zone's PKI node, whose key it has. `token`: whose JOINs are good. */
fake_door_t *fake_door_new (const adr_founding_t *founding, uint32_t zone, const adr_token_t *token);
void fake_door_destroy (fake_door_t **self);
void fake_door_edit (fake_door_t *self, const fake_door_edits_t *edits); /* while nobody asks */
const char *fake_door_endpoint (const fake_door_t *self);
int fake_door_asked (const fake_door_t *self);  /* JOINs that came */
int fake_door_signed (const fake_door_t *self); /* certificates that it made: the same keys are given the same */
/* The newest JOIN was signed by the token, and its request by its own key. */
bool fake_door_proved (const fake_door_t *self);

#endif
