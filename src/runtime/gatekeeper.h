/* SPDX-License-Identifier: MPL-2.0 */
/* The gatekeeper answers libzmq's question at every handshake (ZAP, RFC 27): may this CURVE key come in by this door?
 * docs/protocol/gatekeeper.md. Our own, because CZMQ's treats all domains alike.
 *
 * Owns: one thread and the socket inproc://zeromq.zap.01 of its context. Makes durable: nothing. Assumes: what
 * `admits` looks at does not change, or guards itself. If it dies the process ends: a socket whose gatekeeper is gone
 * would let nobody in. */

#ifndef ADR_GATEKEEPER_H
#define ADR_GATEKEEPER_H

#include "core/base.h"

/* The doors: one ZAP domain each. */
#define ADR_DOMAIN_CONTROL "adr.control"
#define ADR_DOMAIN_BULK "adr.bulk"
#define ADR_DOMAIN_ADOPTION "adr.adoption" /* of strangers */
#define ADR_DOMAIN_CLIENT "adr.client"

typedef bool (adr_admits_fn) (void *argument, const char *domain, const uint8_t key[32]);

typedef struct adr_gatekeeper adr_gatekeeper_t;

/* Starts it. NULL: the context has one already, or is out of sockets. */
adr_gatekeeper_t *adr_gatekeeper_new (void *context, adr_admits_fn *admits, void *argument);
void adr_gatekeeper_destroy (adr_gatekeeper_t **self);

/* Asks it as libzmq would: true if it answers, within `wait_ms`, that a random key may not enter by any door. No
 * ROUTER is bound before. */
ADR_WARN_UNUSED bool adr_gatekeeper_probe (void *context, uint32_t wait_ms);

/* [GATE-3] The User-Id that it gives to frames is the key in hexadecimal: ADR_USER_SIZE characters and an end. */
#define ADR_USER_SIZE 64
/* The key that a frame's User-Id names; false if it is none. */
ADR_WARN_UNUSED bool adr_user_key (uint8_t key[32], const char *user);

#endif
