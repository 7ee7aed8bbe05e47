/* SPDX-License-Identifier: MPL-2.0 */
/* Counters of the process: see metrics.h. */

#include "runtime/metrics.h"

static uint64_t s_count[ADR_METRIC_COUNT];

static const char *const s_names[ADR_METRIC_COUNT] = {
    [ADR_METRIC_PACKS_SENT] = "packs_sent",
    [ADR_METRIC_PACKS_RECEIVED] = "packs_received",
    [ADR_METRIC_BYTES_SENT] = "bytes_sent",
    [ADR_METRIC_BYTES_RECEIVED] = "bytes_received",
    [ADR_METRIC_PACKS_LOCAL] = "packs_local",
    [ADR_METRIC_SEND_UNREACHABLE] = "send_unreachable",
    [ADR_METRIC_SEND_REFUSED] = "send_refused",
    [ADR_METRIC_DIALS] = "dials",
    [ADR_METRIC_MAILBOX_FULL] = "mailbox_full",
    [ADR_METRIC_DROP_NO_ACTOR] = "drop_no_actor",
    [ADR_METRIC_DROP_NO_USER] = "drop_no_user",
    [ADR_METRIC_DROP_UNKNOWN_KEY] = "drop_unknown_key",
    [ADR_METRIC_DROP_MALFORMED] = "drop_malformed",
    [ADR_METRIC_DROP_CLUSTER] = "drop_cluster",
    [ADR_METRIC_DROP_SENDER] = "drop_sender",
    [ADR_METRIC_DROP_DESTINATION] = "drop_destination",
    [ADR_METRIC_DROP_OLD] = "drop_old",
    [ADR_METRIC_DROP_KIND] = "drop_kind",
    [ADR_METRIC_DROP_HEADER] = "drop_header",
    [ADR_METRIC_DROP_CLIENTS] = "drop_clients",
    [ADR_METRIC_CLIENT_GONE] = "client_gone",
    [ADR_METRIC_ZAP_ADMITTED] = "zap_admitted",
    [ADR_METRIC_ZAP_REFUSED] = "zap_refused",
    [ADR_METRIC_ZAP_MALFORMED] = "zap_malformed",
    [ADR_METRIC_CONNECTIONS_REFUSED] = "connections_refused",
    [ADR_METRIC_HANDSHAKES_FAILED] = "handshakes_failed",
    [ADR_METRIC_TURNS] = "turns",
    [ADR_METRIC_EVENTS] = "events",
    [ADR_METRIC_STATE_COMMITS] = "state_commits",
    [ADR_METRIC_STATE_PUTS] = "state_puts",
    [ADR_METRIC_JOBS] = "jobs",
};

void
adr_metric_add (adr_metric_t metric, uint64_t more)
{
    __atomic_fetch_add (&s_count[metric], more, __ATOMIC_RELAXED);
}

uint64_t
adr_metric_get (adr_metric_t metric)
{
    return __atomic_load_n (&s_count[metric], __ATOMIC_RELAXED);
}

const char *
adr_metric_name (adr_metric_t metric)
{
    return s_names[metric];
}
