/* SPDX-License-Identifier: MPL-2.0 */
/* Deadlines of numbered places, the earliest first: a binary heap that knows where each place stands, so that one is
 * moved or taken out in O(log n) without a search. */

#ifndef ADR_DEADLINES_H
#define ADR_DEADLINES_H

#include "core/actor.h"

typedef struct {
    struct adr_deadline {
        int64_t at_ns;
        uint32_t place;
    } *heap;               /* owned */
    uint32_t *stands;      /* owned: by place, where it stands in the heap, and one; 0: nowhere */
    uint32_t count, room;  /* of the heap */
    uint32_t places;       /* of `stands` */
} adr_deadlines_t;

void adr_deadlines_free (adr_deadlines_t *self);
/* Sets or moves the place's deadline. */
void adr_deadlines_set (adr_deadlines_t *self, uint32_t place, int64_t at_ns);
void adr_deadlines_drop (adr_deadlines_t *self, uint32_t place);
/* The earliest deadline; ADR_NEVER where there is none. */
int64_t adr_deadlines_next (const adr_deadlines_t *self);
/* The place of the earliest; asserts that there is one. */
uint32_t adr_deadlines_first (const adr_deadlines_t *self);
void adr_deadlines_check (const adr_deadlines_t *self);

#endif
