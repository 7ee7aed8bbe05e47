/* SPDX-License-Identifier: MPL-2.0 */
/* One CURVE connection to an edge, and the fail-over to the next of the profile.
 *
 * Owns: a DEALER and the monitor that hears of its handshakes. Assumes: one thread uses it. A connection that is lost,
 * refused, not made in time, or silent while requests wait is given up, and the next edge is tried; the session then
 * sends everything again that has no answer (the request ids make that harmless [REPL-5]). */

#ifndef ADR_CONNECTION_H
#define ADR_CONNECTION_H

#include "client/profile.h"
#include "client/session.h"

typedef struct adr_connection adr_connection_t;

/* Starts at the profile's edge `first` (modulo their number). Profile and ZeroMQ context are lent for its life; the
 * session, which must send by adr_connection_send with this connection as its transport, is given with `attach`. */
adr_connection_t *adr_connection_new (void *context, const adr_profile_t *profile, uint32_t first);
void adr_connection_attach (adr_connection_t *self, adr_session_t *session);
void adr_connection_destroy (adr_connection_t **self);

/* An adr_session_send_fn. */
bool adr_connection_send (void *self, adr_bytes_t pack);
/* Gives the session what came, at most `most` packs; returns how many. */
int adr_connection_receive (adr_connection_t *self, int most);
/* Looks after the connection; call it after each poll, and at adr_connection_wake_at. */
void adr_connection_tick (adr_connection_t *self, int64_t now_ns);
int64_t adr_connection_wake_at (const adr_connection_t *self);

/* For polling; both change when the edge does. */
void *adr_connection_socket (const adr_connection_t *self);
void *adr_connection_monitor (const adr_connection_t *self);
bool adr_connection_is_up (const adr_connection_t *self);
/* What went wrong last, for people; never NULL. */
const char *adr_connection_problem (const adr_connection_t *self);

#endif
