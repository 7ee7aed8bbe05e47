/* SPDX-License-Identifier: MPL-2.0 */
/* The state writer of a node: one thread that gathers what all actors of the node want durable into one commit of the
 * state environment, and then tells each DURABLE. It is no part of the actors' threads because the commit blocks.
 *
 * Owns: its thread. Makes durable: what it is given, in the order in which it came. Assumes: the state outlives it. A
 * commit that fails ends the process: what the page cache holds can no longer be trusted. */

#ifndef ADR_STATE_WRITER_H
#define ADR_STATE_WRITER_H

#include "runtime/mailbox.h"
#include "store/disk.h"

#define ADR_STATE_PUTS_MAX 256 /* of one commit */

typedef struct adr_state_writer adr_state_writer_t;

/* `who` names the node in the log; copied. */
adr_state_writer_t *adr_state_writer_new (adr_state_t *state, const char *who);
/* Writes what waits, then ends. Takes and nulls. */
void adr_state_writer_destroy (adr_state_writer_t **self);

/* Takes a PERSIST parcel; its `reply` gets a DURABLE parcel with the token when its value is on disk. Any thread. */
void adr_state_writer_put (adr_state_writer_t *self, adr_parcel_t *parcel);

#endif
