/* SPDX-License-Identifier: MPL-2.0 */
/* What an operator asks of an actor: its answer, and the line in this node's log that says who asked for what. */

#ifndef ADR_CONTROL_H
#define ADR_CONTROL_H

#include "core/actor.h"

#define ADR_CONTROL_TEXT_MAX 200

/* Answers the CONTROL message of the event to the edge_router that it came by. */
void adr_control_answer (adr_effects_t *effects, const adr_event_t *event, adr_status_t status, const char *text);

#endif
