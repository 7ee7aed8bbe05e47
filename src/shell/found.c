/* SPDX-License-Identifier: MPL-2.0 */
/* Draws and signs a new cluster: see found.h. */

#include "shell/found.h"

#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>

/* Certificates renew themselves in a later issue; until then they outlive a laboratory. A few minutes back, because the
 * clocks of the hosts differ. */
#define S_BACKDATED_MS (INT64_C (5) * 60 * 1000)
#define S_YEAR_MS (INT64_C (366) * 24 * 3600 * 1000)
#define S_ROOT_YEARS 20
#define S_AUTHORITY_YEARS 10
#define S_LEAF_YEARS 5

static adr_id_t
s_draw_id (void)
{
    adr_id_t id;
    randombytes_buf (id.bytes, sizeof id.bytes);
    id.bytes[6] = (uint8_t) ((id.bytes[6] & 0x0f) | 0x40); /* UUID version 4, RFC 4122 */
    id.bytes[8] = (uint8_t) ((id.bytes[8] & 0x3f) | 0x80);
    return id;
}

/* Never zero, and positive where a reader has signed numbers only. */
static uint64_t
s_draw_number (void)
{
    uint64_t number;
    randombytes_buf (&number, sizeof number);
    return (number >> 1) | 1;
}

static void
s_draw_keys (adr_keys_t *keys, bool connects)
{
    if (connects)
        randombytes_buf (keys->curve_secret, ADR_KEY_SIZE);
    randombytes_buf (keys->sign_seed, ADR_KEY_SIZE);
}

static void
s_draw_text (char *text, size_t length, const char *alphabet)
{
    for (size_t i = 0; i < length; i++)
        text[i] = alphabet[randombytes_uniform ((uint32_t) strlen (alphabet))];
    text[length] = 0;
}

/* --- which nodes there are -------------------------------------------------------------------------------------- */

bool
adr_founding_has (const adr_founding_t *self, adr_node_type_t type)
{
    return (self->types & ADR_ROLE_BIT (type)) != 0;
}

/* How many of the first `count` types of nodes each zone has. */
static uint32_t
s_roles (const adr_founding_t *self, uint32_t count)
{
    uint32_t roles = 0;
    for (uint32_t i = 0; i < count; i++)
        roles += adr_founding_has (self, (adr_node_type_t) (ADR_NODE_EDGE + i));
    return roles;
}

/* In the map they stand by zone, then by type. */
static adr_map_node_t *
s_node (const adr_founding_t *self, uint32_t zone, adr_node_type_t type)
{
    adr_assert (zone < self->map->zone_count && type >= ADR_NODE_EDGE && type <= ADR_NODE_PKI && adr_founding_has (self, type));
    return &self->map->node[zone * s_roles (self, ADR_ROLES) + s_roles (self, (uint32_t) type - 1)];
}

/* --- names, endpoints and groups of the map ------------------------------------------------------------------- */

static void
s_make_endpoints (adr_map_node_t *node, const adr_founding_options_t *options, uint32_t zone)
{
    /* An edge has four ports, a PKI node three, the others two each; eleven of sixteen are taken. */
    static const uint32_t first[ADR_ROLES] = { 0, 4, 6, 8 };
    uint32_t port = options->base_port + zone * ADR_PORTS_A_ZONE + first[node->type - 1];
    const char *host = options->address;
    snprintf (node->control, sizeof node->control, "tcp://%s:%u", host, port);
    snprintf (node->bulk, sizeof node->bulk, "tcp://%s:%u", host, port + 1);
    if (node->type == ADR_NODE_EDGE || node->type == ADR_NODE_PKI)
        snprintf (node->client, sizeof node->client, "tcp://%s:%u", host, port + 2);
    if (node->type == ADR_NODE_EDGE) {
        snprintf (node->http, sizeof node->http, "%s:%u", host, port + 3);
    }
}

static void
s_make_group (adr_map_t *map, adr_node_type_t type)
{
    adr_map_group_t *group = &map->group[map->group_count++];
    group->id = s_draw_id ();
    group->type = type;
    snprintf (group->name, sizeof group->name, "%s1", adr_node_type_name (type));
    group->founding.quorum = map->quorum;
    map->range[map->range_count++] = (adr_map_range_t){ .type = type, .last = map->partition_count - 1, .group = group->id, .epoch = 1 };
}

static void
s_make_groups (adr_founding_t *self)
{
    adr_map_t *map = self->map;
    map->group = adr_alloc ((ADR_ROLES - 1) * sizeof *map->group);
    map->range = adr_alloc ((ADR_ROLES - 1) * sizeof *map->range);
    for (unsigned type = ADR_NODE_META; type <= ADR_NODE_PKI; type++)
        if (adr_founding_has (self, (adr_node_type_t) type))
            s_make_group (map, (adr_node_type_t) type);
}

static adr_map_group_t *
s_group_of (adr_map_t *map, adr_node_type_t type)
{
    for (uint32_t i = 0; i < map->group_count; i++)
        if (map->group[i].type == type)
            return &map->group[i];
    return NULL;
}

static void
s_make_node (adr_founding_t *self, const adr_founding_options_t *options, uint32_t zone, adr_node_type_t type)
{
    adr_map_t *map = self->map;
    adr_map_node_t *node = &map->node[map->node_count++];
    adr_founded_t *founded = &self->node[zone][type - 1];
    node->id = s_draw_id ();
    node->type = type;
    node->zone = map->zone[zone].id;
    snprintf (node->name, sizeof node->name, "%s1@%.32s", adr_node_type_name (node->type), map->zone[zone].name);
    s_make_endpoints (node, options, zone);
    s_draw_keys (&founded->keys, true);
    adr_keys_public (&founded->keys, node->curve_key, node->sign_key);
    adr_map_group_t *group = s_group_of (map, type);
    if (group == NULL) /* an edge's */
        return;
    node->group = group->id;
    founded->incarnation = s_draw_number ();
    group->founding.voter[group->founding.count++] = (adr_voter_t){ node->id, founded->incarnation };
}

static void
s_make_map (adr_founding_t *self, const adr_founding_options_t *options)
{
    adr_map_t *map = self->map = adr_map_new ();
    map->cluster = s_draw_id ();
    randombytes_buf (self->hash_key, sizeof self->hash_key);
    randombytes_buf (self->sealing_key, sizeof self->sealing_key);
    snprintf (map->name, sizeof map->name, "%s", options->name);
    map->epoch = 1;
    map->partition_count = ADR_PARTITIONS_DEFAULT;
    map->quorum = options->quorum;
    map->zone_count = options->zones;
    for (uint32_t i = 0; i < options->zones; i++) {
        map->zone[i].id = s_draw_id ();
        snprintf (map->zone[i].name, sizeof map->zone[i].name, "z%u", i + 1);
    }
    s_make_groups (self);
    map->node = adr_alloc (options->zones * ADR_ROLES * sizeof *map->node);
    for (uint32_t zone = 0; zone < options->zones; zone++)
        for (unsigned type = ADR_NODE_EDGE; type <= ADR_NODE_PKI; type++)
            if (adr_founding_has (self, (adr_node_type_t) type))
                s_make_node (self, options, zone, (adr_node_type_t) type);
}

/* --- certificates --------------------------------------------------------------------------------------------- */

static adr_cert_t
s_blank (const adr_founding_t *self, adr_cert_kind_t kind, adr_node_type_t type, int64_t now_ms, int64_t years)
{
    return (adr_cert_t){ .kind = kind, .type = type, .cluster = self->map->cluster, .serial = s_draw_number (),
                         .not_before_ms = now_ms - S_BACKDATED_MS, .not_after_ms = now_ms + years * S_YEAR_MS };
}

static void
s_seal (adr_founded_t *founded, adr_cert_t *cert, const adr_keys_t *issuer)
{
    adr_cert_sign (cert, issuer->sign_seed);
    founded->certificate_size = adr_cert_encode (cert, founded->certificate);
}

/* Returns the serial. */
static uint64_t
s_make_root (adr_founding_t *self, int64_t now_ms)
{
    s_draw_keys (&self->root.keys, false);
    adr_cert_t cert = s_blank (self, ADR_CERT_ROOT, 0, now_ms, S_ROOT_YEARS);
    cert.issuer_serial = cert.serial;
    snprintf (cert.name, sizeof cert.name, "root of %.48s", self->map->name);
    adr_keys_public (&self->root.keys, NULL, cert.sign_key);
    s_seal (&self->root, &cert, &self->root.keys);
    memcpy (self->map->root_certificate, self->root.certificate, self->root.certificate_size);
    self->map->root_certificate_size = self->root.certificate_size;
    return cert.serial;
}

static uint64_t
s_make_authority (adr_founding_t *self, uint32_t zone, uint64_t root_serial, int64_t now_ms)
{
    const adr_map_node_t *node = adr_founding_node (self, zone, ADR_NODE_PKI);
    adr_founded_t *founded = &self->authority[zone];
    s_draw_keys (&founded->keys, false);
    adr_cert_t cert = s_blank (self, ADR_CERT_AUTHORITY, ADR_NODE_PKI, now_ms, S_AUTHORITY_YEARS);
    cert.issuer_serial = root_serial;
    cert.zone = node->zone;
    cert.node = node->id;
    snprintf (cert.name, sizeof cert.name, "authority of %.45s", node->name);
    adr_keys_public (&founded->keys, NULL, cert.sign_key);
    s_seal (founded, &cert, &self->root.keys);
    memcpy (self->map->authority[zone], founded->certificate, founded->certificate_size);
    self->map->authority_size[zone] = founded->certificate_size;
    self->map->authority_count = zone + 1;
    return cert.serial;
}

static int
s_order_ids (const void *a, const void *b)
{
    return adr_id_compare (a, b);
}

static void
s_fill_peers (adr_cert_t *cert, const adr_map_t *map)
{
    for (uint32_t i = 0; i < map->node_count; i++)
        if (!adr_id_is_none (&cert->group) && adr_id_equal (&map->node[i].group, &cert->group)
            && !adr_id_equal (&map->node[i].id, &cert->node))
            cert->peer[cert->peer_count++] = map->node[i].id;
    qsort (cert->peer, cert->peer_count, sizeof *cert->peer, s_order_ids);
}

static void
s_certify_node (adr_founding_t *self, uint32_t zone, adr_node_type_t type, uint64_t authority_serial, int64_t now_ms)
{
    adr_map_node_t *node = s_node (self, zone, type);
    adr_founded_t *founded = &self->node[zone][type - 1];
    adr_cert_t cert = s_blank (self, ADR_CERT_NODE, node->type, now_ms, S_LEAF_YEARS);
    cert.issuer_serial = authority_serial;
    cert.zone = node->zone;
    cert.node = node->id;
    cert.group = node->group;
    s_fill_peers (&cert, self->map);
    memcpy (cert.name, node->name, sizeof cert.name);
    adr_keys_public (&founded->keys, cert.curve_key, cert.sign_key);
    s_seal (founded, &cert, &self->authority[zone].keys);
    memcpy (node->certificate, founded->certificate, founded->certificate_size);
    node->certificate_size = founded->certificate_size;
}

/* The first client, or the first operator. */
static void
s_make_client (adr_founding_t *self, adr_founded_t *founded, adr_cert_t cert, uint64_t authority_serial)
{
    s_draw_keys (&founded->keys, true);
    cert.issuer_serial = authority_serial;
    snprintf (cert.name, sizeof cert.name, "first %s of %.43s", adr_cert_kind_name (cert.kind), self->map->name);
    adr_keys_public (&founded->keys, cert.curve_key, cert.sign_key);
    s_seal (founded, &cert, &self->authority[0].keys);
}

static void
s_make_clients (adr_founding_t *self, uint64_t authority_serial, int64_t now_ms)
{
    adr_cert_t client = s_blank (self, ADR_CERT_CLIENT, ADR_NODE_CLIENT, now_ms, S_LEAF_YEARS);
    adr_cert_t operator = s_blank (self, ADR_CERT_OPERATOR, ADR_NODE_OPERATOR, now_ms, S_LEAF_YEARS);
    client.node = self->client_node = s_draw_id ();
    operator.node = self->operator_node = s_draw_id ();
    s_make_client (self, &self->client, client, authority_serial);
    s_make_client (self, &self->operator, operator, authority_serial);
}

static void
s_make_certificates (adr_founding_t *self, int64_t now_ms)
{
    uint64_t root_serial = s_make_root (self, now_ms);
    for (uint32_t zone = 0; zone < self->map->zone_count; zone++) {
        uint64_t serial = s_make_authority (self, zone, root_serial, now_ms);
        for (unsigned type = ADR_NODE_EDGE; type <= ADR_NODE_PKI; type++)
            if (adr_founding_has (self, (adr_node_type_t) type))
                s_certify_node (self, zone, (adr_node_type_t) type, serial, now_ms);
        if (zone == 0)
            s_make_clients (self, serial, now_ms);
    }
}

/* What was signed must verify, before anybody depends on it. */
static void
s_check (const adr_founding_t *self, int64_t now_ms)
{
    adr_cert_chain_t chain = adr_cert_chain_of_map (self->map);
    adr_cert_t cert;
    for (uint32_t i = 0; i < self->map->node_count; i++) {
        const adr_map_node_t *node = &self->map->node[i];
        adr_bytes_t bytes = adr_bytes (node->certificate, node->certificate_size);
        adr_assert (adr_cert_verify (&cert, bytes, &chain, now_ms, true) == ADR_CERT_SOUND);
        uint32_t zone = i / s_roles (self, ADR_ROLES);
        adr_assert (adr_keys_fit (&self->node[zone][node->type - 1].keys, &cert));
    }
    const adr_founded_t *const clients[] = { &self->client, &self->operator };
    for (size_t i = 0; i < sizeof clients / sizeof clients[0]; i++) {
        adr_bytes_t bytes = adr_bytes (clients[i]->certificate, clients[i]->certificate_size);
        adr_assert (adr_cert_verify (&cert, bytes, &chain, now_ms, true) == ADR_CERT_SOUND);
    }
}

adr_founding_t *
adr_founding_new (const adr_founding_options_t *options)
{
    adr_assert (options->zones >= 1 && options->zones <= ADR_ZONES_MAX);
    adr_founding_t *self = adr_alloc (sizeof *self);
    self->types = options->types ? options->types : ADR_ROLES_ALL;
    adr_assert ((self->types & ADR_ROLES_NEEDED) == ADR_ROLES_NEEDED && (self->types & ~ADR_ROLES_ALL) == 0);
    s_make_map (self, options);
    s_make_certificates (self, options->now_ms);
    s_draw_text (self->access_key, sizeof self->access_key - 1, "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567");
    s_draw_text (self->secret_key, sizeof self->secret_key - 1,
                 "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789");
    s_check (self, options->now_ms);
    return self;
}

void
adr_founding_destroy (adr_founding_t **self)
{
    if (!*self)
        return;
    adr_map_destroy (&(*self)->map);
    sodium_memzero (*self, sizeof **self);
    free (*self);
    *self = NULL;
}

const adr_map_node_t *
adr_founding_node (const adr_founding_t *self, uint32_t zone, adr_node_type_t type)
{
    return s_node (self, zone, type);
}
