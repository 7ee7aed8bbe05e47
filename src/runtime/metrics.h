/* SPDX-License-Identifier: MPL-2.0 */
/* Counters of the process: whatever the runtime drops, refuses or does is counted here, so that no fault goes unseen
 * (invariant 12). A later issue exports them. */

#ifndef ADR_METRICS_H
#define ADR_METRICS_H

#include "core/base.h"

typedef enum {
    ADR_METRIC_PACKS_SENT,            /* handed to a socket */
    ADR_METRIC_PACKS_RECEIVED,        /* taken from a socket and passed on */
    ADR_METRIC_BYTES_SENT,
    ADR_METRIC_BYTES_RECEIVED,
    ADR_METRIC_PACKS_LOCAL,           /* between actors of this host */
    ADR_METRIC_SEND_UNREACHABLE,      /* no connection to the peer, and none came in time: dropped */
    ADR_METRIC_SEND_REFUSED,          /* the connection is lost, or its queue at its high-water mark: dropped */
    ADR_METRIC_DIALS,                 /* connections asked for, first ones and repeated ones */
    ADR_METRIC_MAILBOX_FULL,          /* dropped: the actor does not keep up */
    ADR_METRIC_DROP_NO_ACTOR,         /* for an actor that does not run here, or a node that the map does not list */
    ADR_METRIC_DROP_NO_USER,          /* a frame without User-Id: it did not pass the gatekeeper */
    ADR_METRIC_DROP_UNKNOWN_KEY,      /* admitted once, no longer in the map */
    ADR_METRIC_DROP_MALFORMED,        /* no pack, or one of another protocol version */
    ADR_METRIC_DROP_CLUSTER,          /* a pack of another cluster */
    ADR_METRIC_DROP_SENDER,           /* the sender named is not the one whose key signed for the connection */
    ADR_METRIC_DROP_DESTINATION,      /* for another node than the one that it came to */
    ADR_METRIC_DROP_OLD,              /* a (boot, sequence) below the last one, or a former incarnation's */
    ADR_METRIC_DROP_KIND,             /* this kind of sender may not send this kind of message to that actor */
    ADR_METRIC_DROP_HEADER,           /* a header that does not decode, or an item that is cut short */
    ADR_METRIC_DROP_CLIENTS,          /* more clients than limits.connections */
    ADR_METRIC_CLIENT_GONE,           /* an answer for a client that has left */
    ADR_METRIC_ZAP_ADMITTED,
    ADR_METRIC_ZAP_REFUSED,
    ADR_METRIC_ZAP_MALFORMED,
    ADR_METRIC_CONNECTIONS_REFUSED,   /* accepted beyond limits.connections, closed at once */
    ADR_METRIC_HANDSHAKES_FAILED,
    ADR_METRIC_TURNS,
    ADR_METRIC_EVENTS,
    ADR_METRIC_STATE_COMMITS,
    ADR_METRIC_STATE_PUTS,
    ADR_METRIC_JOBS,
    ADR_METRIC_COUNT
} adr_metric_t;

void adr_metric_add (adr_metric_t metric, uint64_t more);
uint64_t adr_metric_get (adr_metric_t metric);
/* "packs_sent" and so on. */
const char *adr_metric_name (adr_metric_t metric);

#endif
