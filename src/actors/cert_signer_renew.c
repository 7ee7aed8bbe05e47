/* SPDX-License-Identifier: MPL-2.0 */
/* cert_signer: what nobody has to ask for. Certificates are signed anew before they end (TRUST-4): keys and places stay what they are,
 * so that no connection and no file of a node changes with it. And a PKI node that has joined and votes now is pending no more: from then
 * on its signature is waited for (TRUST-3). See cert_signer_change.c; rules: docs/protocol/trust.md. */

#include "actors/cert_signer_private.h"

#include "core/map_trust.h"

#include <stdio.h>

#define S_LIMIT_MS 30000
#define S_AT_ONCE 4 /* in one write: a binding each, beside registry and audit */
static_assert (2 + S_AT_ONCE <= CHANGE_OPS_MAX, "a round fits into one write");

/* Less is left of it than a third of what a new one has. */
static bool
s_is_due (const adr_map_node_t *node, int64_t wall_ms)
{
    adr_cert_t certificate;
    if (node->evicted || !adr_cert_decode (&certificate, adr_bytes (node->certificate, node->certificate_size))
        || !adr_map_node_fits (&certificate, node))
        return false;
    return certificate.not_after_ms - wall_ms < CERT_SIGNER_VALIDITY_MS / 3;
}

/* It has joined, and its group has it as a voter now. */
static bool
s_is_confirmed (const adr_map_t *seen, const adr_map_node_t *node)
{
    const adr_map_group_t *group = node->pending && !node->evicted ? adr_map_group ((adr_map_t *) seen, &node->group) : NULL;
    for (uint32_t i = 0; group && i < group->status.member_count; i++)
        if (adr_id_equal (&group->status.member[i].node, &node->id))
            return group->status.member[i].voter;
    return false;
}

bool
cert_signer_has_confirmed (cert_signer_t *self)
{
    const adr_map_t *map = cert_signer_map (self);
    for (uint32_t i = 0; i < map->node_count; i++)
        if (s_is_confirmed (map, &map->node[i]))
            return true;
    return false;
}

static bool
s_is_any_due (cert_signer_t *self, int64_t wall_ms)
{
    const adr_map_t *map = cert_signer_map (self);
    for (uint32_t i = 0; i < map->node_count; i++)
        if (s_is_due (&map->node[i], wall_ms))
            return true;
    return cert_signer_has_confirmed (self);
}

/* One of the PKI nodes is enough: whoever leads them. */
static bool
s_leads (cert_signer_t *self)
{
    const adr_environment_t *environment = cert_signer_environment (self);
    const adr_map_group_t *group = adr_map_group (cert_signer_map (self), &environment->group);
    return group && adr_id_equal (&group->status.master, &environment->node);
}

void
cert_signer_begin_renewal (cert_signer_t *self, const adr_event_t *event, adr_effects_t *effects)
{
    change_t asked = { .kind = CHANGE_RENEW, .by = cert_signer_environment (self)->node, .limit_ns = event->now_ns + S_LIMIT_MS * ADR_MS };
    if (!cert_signer_environment (self)->authority || !s_leads (self) || !s_is_any_due (self, event->wall_ms))
        return;
    bool begun = cert_signer_begin_change (self, &asked, event, effects);
    adr_assert (begun);
}

/* The same keys, place and name for another while; its serial is its own for ever, like all others. */
static void
s_renew (cert_signer_t *self, const adr_map_t *held, adr_map_node_t *node, int64_t wall_ms)
{
    adr_cert_t certificate;
    uint8_t key[CERT_SIGNER_KEY_MAX];
    bool good = adr_cert_decode (&certificate, adr_bytes (node->certificate, node->certificate_size));
    adr_assert (good); /* it was due */
    cert_signer_sign (self, &certificate, held, wall_ms);
    node->certificate_size = adr_cert_encode (&certificate, node->certificate);
    size_t size = cert_signer_binding_key (&certificate, CERT_SIGNER_BINDINGS - 1, key);
    change_add_op (cert_signer_change (self), ADR_TABLE_CERTIFICATE, adr_bytes (key, size),
                   adr_bytes (node->certificate, node->certificate_size), true, NULL);
}

void
cert_signer_decide_renewal (cert_signer_t *self, adr_map_t *held, const adr_event_t *event, adr_effects_t *effects)
{
    change_t *change = cert_signer_change (self);
    char more[S_AT_ONCE * (ADR_NAME_MAX + 2) + 16] = "\"names\": \"";
    unsigned count = 0;
    bool renews = false;
    change_ops_begin (change);
    for (uint32_t i = 0; i < held->node_count && count < S_AT_ONCE; i++) {
        bool confirmed = s_is_confirmed (cert_signer_map (self), &held->node[i]), due = s_is_due (&held->node[i], event->wall_ms);
        if (!confirmed && !due)
            continue;
        if (confirmed)
            held->node[i].pending = false;
        renews |= due;
        if (due)
            s_renew (self, held, &held->node[i], event->wall_ms);
        snprintf (more + strlen (more), sizeof more - strlen (more), "%s%s", count++ ? " " : "", held->node[i].name);
    }
    if (count == 0) {
        change_end (self, ADR_STATUS_OK, "", effects);
        return;
    }
    snprintf (more + strlen (more), sizeof more - strlen (more), "\"");
    if (!change_add_registry (self, held, effects))
        return;
    change_add_audit (change, held->epoch, 0, renews ? "renew" : "confirm", more, event->wall_ms);
    change_write (self, event, effects);
}
