/* SPDX-License-Identifier: MPL-2.0 */
/* The PKI group as its cert_signer sees it: records by table and key, conditional writes, strong reads and lists. It answers what the
 * harness recorded that it was asked. */

#ifndef ADR_FAKE_GROUP_H
#define ADR_FAKE_GROUP_H

#include "actor_harness.h"

#include "ideal_group.h"

typedef struct fake_group fake_group_t;
struct fake_group {
    harness_t *signer;
    ideal_group_t ideal;
    size_t page;      /* rows of a list at most */
    bool silent;      /* it takes and answers nothing */
    bool loses_write; /* it does the next write, and its answer is lost */
    void (*meanwhile) (fake_group_t *self); /* once, before the next write */
};

void fake_group_free (fake_group_t *self);
/* NULL: there is none, or it was deleted. */
ideal_record_t *fake_group_find (fake_group_t *self, uint8_t table, const char *key);
/* Puts a record as somebody else would. */
void fake_group_put (fake_group_t *self, uint8_t table, const char *key, adr_bytes_t value);
/* Answers everything, until nothing is asked any more. */
void fake_group_serve (fake_group_t *self);
/* Whether any record of that table has these bytes in its value. */
bool fake_group_has (const fake_group_t *self, uint8_t table, const char *text);

#endif
