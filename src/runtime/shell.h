/* SPDX-License-Identifier: MPL-2.0 */
/* The production shell of one actor: a zactor that feeds it events and lets its effects go [DESIGN 3]. The simulator
 * has the other shell (tests/sim/).
 *
 * A turn: drain the mailbox (bounded), read the clock after each message is taken, decode, check that this sender may
 * send this kind here, deliver; then the timers that are due; then TURN_END; then the effects leave, and the store's
 * jobs go to their threads. Of a turn that sends some MiB full packs leave before its end, so that what the shell itself
 * holds is bounded, whatever is asked.
 *
 * Owns: the actor, its mailbox, its thread. Makes durable: nothing itself. Assumes: the directory and the state writer
 * outlive it. Implements ELECT-12. */

#ifndef ADR_SHELL_H
#define ADR_SHELL_H

#include "runtime/directory.h"
#include "runtime/state_writer.h"
#include "store/store.h"

/* What waits for one actor, at most. */
#define ADR_MAILBOX_BYTES_MAX (64 * 1024 * 1024)
/* A turn ends after so many messages or bytes: TURN_END, effects and timers must not wait without bound, and a batch
 * of this size already costs nothing an item. */
#define ADR_TURN_MESSAGES_MAX 2048
#define ADR_TURN_BYTES_MAX (4 * 1024 * 1024)
/* Timers of one actor. */
#define ADR_TIMERS_MAX 64

typedef struct adr_shell adr_shell_t;

typedef struct {
    const adr_actor_class_t *actor_class;
    adr_environment_t environment; /* copied; what it points to is lent for the shell's life */
    adr_directory_t *directory;
    adr_state_writer_t *state_writer; /* NULL: an actor that persists nothing */
    const char *node_name;            /* copied */
    /* The threads that run the store's jobs, by lane; NULL without a store. */
    adr_mailbox_t *job_thread[ADR_LANE_COUNT];
    bool check; /* call the class's check after every turn */
} adr_shell_options_t;

/* Creates the actor, and enters its mailbox in the directory; it does not run yet. */
adr_shell_t *adr_shell_new (const adr_shell_options_t *options);
/* Starts its thread: START comes first. */
void adr_shell_start (adr_shell_t *self);
/* Delivers STOP: hand over what you lead. Any thread. */
void adr_shell_tell_stop (adr_shell_t *self);
/* Ends its thread after the turn that runs; the mailbox stays until destroy, for those who still put into it. */
void adr_shell_halt (adr_shell_t *self);
/* Halts if need be, and destroys the actor. Takes and nulls. */
void adr_shell_destroy (adr_shell_t **self);

adr_mailbox_t *adr_shell_mailbox (adr_shell_t *self);
/* True while an election says that its own node leads (it sent MASTER with its own nodeId, and no STOOD_DOWN since);
 * false for all other actors. Any thread. */
bool adr_shell_leads (const adr_shell_t *self);

/* For adr_assert_hook: logs the last notes of the actor whose turn this thread runs. */
void adr_shell_last_notes (void);

#endif
