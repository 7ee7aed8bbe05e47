/* SPDX-License-Identifier: MPL-2.0 */
/* The clusterMap as plain values: see map.h. Look-ups walk the map: it is small, and whoever asks often (routing,
 * the gatekeeper) keeps a table of its own from one map to the next. Implements PART-3's table. */

#include "core/map.h"

#include "core/actor.h"

#include "core/entry.h"

#include <sodium.h>
#include <stdlib.h>

adr_map_t *
adr_map_new (void)
{
    return adr_alloc (sizeof (adr_map_t));
}

static void *
s_duplicate (const void *from, size_t count, size_t size)
{
    if (count == 0)
        return NULL;
    void *copy = adr_alloc (count * size);
    memcpy (copy, from, count * size);
    return copy;
}

adr_map_t *
adr_map_copy (const adr_map_t *map)
{
    adr_map_t *copy = s_duplicate (map, 1, sizeof *map);
    copy->node = s_duplicate (map->node, map->node_count, sizeof *map->node);
    copy->group = s_duplicate (map->group, map->group_count, sizeof *map->group);
    copy->range = s_duplicate (map->range, map->range_count, sizeof *map->range);
    copy->sealed = s_duplicate (map->sealed, map->sealed_size, 1);
    return copy;
}

void
adr_map_destroy (adr_map_t **self)
{
    if (*self == NULL)
        return;
    free ((*self)->node);
    free ((*self)->group);
    free ((*self)->range);
    free ((*self)->sealed);
    free (*self);
    *self = NULL;
}

static bool
s_same_node (const adr_map_node_t *a, const adr_map_node_t *b)
{
    return adr_id_equal (&a->id, &b->id) && adr_id_equal (&a->zone, &b->zone) && adr_id_equal (&a->group, &b->group)
           && a->type == b->type && strcmp (a->name, b->name) == 0 && memcmp (a->curve_key, b->curve_key, 32) == 0
           && memcmp (a->sign_key, b->sign_key, 32) == 0 && a->certificate_size == b->certificate_size
           && memcmp (a->certificate, b->certificate, a->certificate_size) == 0 && strcmp (a->control, b->control) == 0
           && strcmp (a->bulk, b->bulk) == 0 && strcmp (a->client, b->client) == 0 && strcmp (a->http, b->http) == 0
           && a->leaving == b->leaving && a->evicted == b->evicted && a->pending == b->pending;
}

static bool
s_same_forming (const adr_map_group_t *a, const adr_map_group_t *b)
{
    bool same = a->forming_zone_count == b->forming_zone_count && a->forming_count == b->forming_count;
    for (uint32_t i = 0; same && i < a->forming_zone_count; i++)
        same = adr_id_equal (&a->forming_zone[i], &b->forming_zone[i]);
    for (uint32_t i = 0; same && i < a->forming_count; i++)
        same = adr_id_equal (&a->forming[i].node, &b->forming[i].node) && a->forming[i].incarnation == b->forming[i].incarnation;
    return same;
}

static bool
s_same_group (const adr_map_group_t *a, const adr_map_group_t *b)
{
    bool same = adr_id_equal (&a->id, &b->id) && a->type == b->type && strcmp (a->name, b->name) == 0
                && a->founding.count == b->founding.count && a->founding.quorum == b->founding.quorum
                && a->founding.at.term == b->founding.at.term && a->founding.at.index == b->founding.at.index
                && a->recovery_size == b->recovery_size && memcmp (a->recovery, b->recovery, a->recovery_size) == 0;
    for (uint32_t i = 0; same && i < a->founding.count; i++)
        same = adr_id_equal (&a->founding.voter[i].node, &b->founding.voter[i].node)
               && a->founding.voter[i].incarnation == b->founding.voter[i].incarnation;
    return same && s_same_forming (a, b);
}

static bool
s_same_places (const adr_map_t *a, const adr_map_t *b)
{
    for (uint32_t i = 0; i < a->zone_count; i++)
        if (!adr_id_equal (&a->zone[i].id, &b->zone[i].id) || strcmp (a->zone[i].name, b->zone[i].name) != 0)
            return false;
    for (uint32_t i = 0; i < a->range_count; i++)
        if (a->range[i].type != b->range[i].type || a->range[i].first != b->range[i].first || a->range[i].last != b->range[i].last
            || a->range[i].epoch != b->range[i].epoch || !adr_id_equal (&a->range[i].group, &b->range[i].group))
            return false;
    return true;
}

static bool
s_same_certificates (const adr_map_t *a, const adr_map_t *b)
{
    if (a->root_certificate_size != b->root_certificate_size || a->authority_count != b->authority_count
        || memcmp (a->root_certificate, b->root_certificate, a->root_certificate_size) != 0)
        return false;
    for (uint32_t i = 0; i < a->authority_count; i++)
        if (a->authority_size[i] != b->authority_size[i] || memcmp (a->authority[i], b->authority[i], a->authority_size[i]) != 0)
            return false;
    return true;
}

bool
adr_map_same_settings (const adr_map_t *a, const adr_map_t *b)
{
    bool same = a->setting_count == b->setting_count;
    for (uint32_t i = 0; same && i < a->setting_count; i++)
        same = strcmp (a->setting[i].name, b->setting[i].name) == 0 && a->setting[i].value == b->setting[i].value;
    return same;
}

bool
adr_map_same_registry (const adr_map_t *a, const adr_map_t *b)
{
    bool same = adr_id_equal (&a->cluster, &b->cluster) && strcmp (a->name, b->name) == 0 && a->epoch == b->epoch
                && a->partition_count == b->partition_count && a->quorum == b->quorum && a->zone_count == b->zone_count
                && a->node_count == b->node_count && a->group_count == b->group_count && a->range_count == b->range_count
                && s_same_places (a, b) && s_same_certificates (a, b) && adr_map_same_settings (a, b);
    for (uint32_t i = 0; same && i < a->node_count; i++)
        same = s_same_node (&a->node[i], &b->node[i]);
    for (uint32_t i = 0; same && i < a->group_count; i++)
        same = s_same_group (&a->group[i], &b->group[i]);
    return same;
}

void
adr_map_unseal (adr_map_t *self)
{
    free (self->sealed);
    self->sealed = NULL;
    self->sealed_size = 0;
    self->signature_count = 0;
}

/* A decimal number without leading zeros, at most `max`, moved over; -1: none. */
static long
s_take_number (const char **at, long max)
{
    long value = 0;
    const char *start = *at;
    while (**at >= '0' && **at <= '9' && value <= max)
        value = 10 * value + (*(*at)++ - '0');
    bool good = *at != start && value <= max && (*start != '0' || *at == start + 1);
    return good ? value : -1;
}

bool
adr_endpoint_is_numeric (const char *endpoint, bool scheme)
{
    static const char s_scheme[] = "tcp://";
    const char *at = endpoint;
    long any = 0;
    if (scheme) {
        if (strncmp (at, s_scheme, strlen (s_scheme)) != 0)
            return false;
        at += strlen (s_scheme);
    }
    for (int i = 0; i < 4; i++) {
        long part = s_take_number (&at, 255);
        if (part < 0 || *at++ != (i < 3 ? '.' : ':'))
            return false;
        any |= part;
    }
    return any != 0 && s_take_number (&at, 65535) > 0 && *at == 0;
}

const adr_map_node_t *
adr_map_node (const adr_map_t *self, const adr_id_t *id)
{
    for (uint32_t i = 0; i < self->node_count; i++)
        if (adr_id_equal (&self->node[i].id, id))
            return &self->node[i];
    return NULL;
}

const adr_map_node_t *
adr_map_node_by_key (const adr_map_t *self, const uint8_t curve_key[32])
{
    for (uint32_t i = 0; i < self->node_count; i++)
        if (!self->node[i].evicted && memcmp (self->node[i].curve_key, curve_key, 32) == 0)
            return &self->node[i];
    return NULL;
}

const adr_map_node_t *
adr_map_node_by_name (const adr_map_t *self, const char *name)
{
    for (uint32_t i = 0; i < self->node_count; i++)
        if (strcmp (self->node[i].name, name) == 0)
            return &self->node[i];
    return NULL;
}

const adr_map_zone_t *
adr_map_zone (const adr_map_t *self, const adr_id_t *id)
{
    for (uint32_t i = 0; i < self->zone_count; i++)
        if (adr_id_equal (&self->zone[i].id, id))
            return &self->zone[i];
    return NULL;
}

adr_map_group_t *
adr_map_group (const adr_map_t *self, const adr_id_t *id)
{
    for (uint32_t i = 0; i < self->group_count; i++)
        if (adr_id_equal (&self->group[i].id, id))
            return &self->group[i];
    return NULL;
}

uint32_t
adr_map_group_nodes (const adr_map_t *self, const adr_id_t *group, const adr_map_node_t **nodes, uint32_t room)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < self->node_count && count < room; i++)
        if (adr_id_equal (&self->node[i].group, group) && !self->node[i].evicted)
            nodes[count++] = &self->node[i];
    return count;
}

uint32_t
adr_map_epoch (const adr_map_t *self, const adr_id_t *group)
{
    uint32_t epoch = ADR_EPOCH;
    for (uint32_t i = 0; i < self->range_count; i++)
        if (adr_id_equal (&self->range[i].group, group) && self->range[i].epoch > epoch)
            epoch = self->range[i].epoch;
    return epoch;
}

adr_map_group_t *
adr_map_owner (const adr_map_t *self, adr_node_type_t type, uint32_t partition)
{
    for (uint32_t i = 0; i < self->range_count; i++) {
        const adr_map_range_t *range = &self->range[i];
        if (range->type == type && range->first <= partition && partition <= range->last)
            return adr_map_group (self, &range->group);
    }
    return NULL;
}

void
adr_map_grow_older (adr_map_t *self, int64_t *since_ns, int64_t now_ns)
{
    int64_t by_ms = (now_ns - *since_ns) / ADR_MS;
    *since_ns += by_ms * ADR_MS;
    for (uint32_t i = 0; i < self->group_count; i++) {
        uint32_t *age_ms = &self->group[i].status.age_ms;
        *age_ms = *age_ms + by_ms < ADR_AGE_MAX_MS ? (uint32_t) (*age_ms + by_ms) : ADR_AGE_MAX_MS;
    }
}

bool
adr_map_merge_status (adr_map_t *self, const adr_id_t *group, const adr_group_status_t *status)
{
    adr_map_group_t *held = adr_map_group (self, group);
    if (held == NULL || status->term < held->status.term
        || (status->term == held->status.term && status->sequence <= held->status.sequence))
        return false;
    held->status = *status;
    return true;
}

/* The bytes before the first `stop` at or behind `from`; all of them where there is none. */
static adr_bytes_t
s_before (adr_bytes_t bytes, size_t from, uint8_t stop)
{
    const uint8_t *at = from < bytes.size ? memchr (bytes.data + from, stop, bytes.size - from) : NULL;
    return at ? adr_bytes (bytes.data, (size_t) (at - bytes.data)) : bytes;
}

/* What a key-value record hashes by: `namespace 0 key`, or `namespace 0 tag` where the key has a {tag} that is not
 * empty. Writes the joined bytes to `joined` (ADR_KEY_MAX) if they are not a run of the key's own. */
static adr_bytes_t
s_kv_hashed (adr_bytes_t key, uint8_t *joined)
{
    size_t name = s_before (key, 0, 0).size;
    size_t open = s_before (key, name, '{').size;
    size_t close = s_before (key, open, '}').size;
    if (close >= key.size || close <= open + 1)
        return key;
    memcpy (joined, key.data, name);
    joined[name] = 0;
    memcpy (joined + name + 1, key.data + open + 1, close - open - 1);
    return adr_bytes (joined, name + close - open);
}

/* What a chunk hashes by: its object, and from chunk 1,024 on the run of 1,024 chunks, too. */
static adr_bytes_t
s_chunk_hashed (adr_bytes_t key, uint8_t *joined)
{
    uint64_t run = key.size == ADR_ID_SIZE + 8 ? adr_get_be64 (key.data + ADR_ID_SIZE) / 1024 : 0;
    if (run == 0)
        return adr_bytes (key.data, key.size < ADR_ID_SIZE ? key.size : ADR_ID_SIZE);
    memcpy (joined, key.data, ADR_ID_SIZE);
    adr_put_be64 (joined + ADR_ID_SIZE, run);
    return adr_bytes (joined, ADR_ID_SIZE + 8);
}

/* The partition that the row's key names; ADR_PARTITION_NONE if it is no such row. */
static uint32_t
s_named_partition (uint8_t table, adr_bytes_t key, uint32_t partition_count)
{
    uint32_t named = ADR_PARTITION_NONE;
    if (key.size == ADR_SWEEP_KEY_SIZE && key.data[0] == 0)
        named = adr_get_be32 (key.data + 1);
    else if (table == ADR_TABLE_GARBAGE && key.size == ADR_GARBAGE_KEY_SIZE)
        named = adr_get_be32 (key.data + ADR_GARBAGE_KEY_SIZE - 4);
    return named < partition_count ? named : ADR_PARTITION_NONE;
}

/* [PART-3] */
uint32_t
adr_partition_of (uint8_t table, adr_bytes_t key, uint32_t partition_count)
{
    adr_assert (partition_count > 0 && partition_count <= ADR_PARTITIONS_MAX);
    uint8_t joined[ADR_KEY_MAX];
    uint64_t end_ms;
    uint32_t named;
    if (key.size > ADR_KEY_MAX)
        key.size = ADR_KEY_MAX;
    /* When a record ends is said beside it: the row goes where the record goes [REPAIR-7]. */
    if (table == ADR_TABLE_EXPIRY && !adr_expiry_key_decode (key, &end_ms, &table, &key))
        table = ADR_TABLE_EXPIRY;
    switch ((adr_table_t) table) {
    case ADR_TABLE_GROUP:
        return ADR_PARTITION_NONE;
    case ADR_TABLE_KV:
        key = s_kv_hashed (key, joined);
        break;
    case ADR_TABLE_OBJECT:
    case ADR_TABLE_CHUNK:
        key = s_chunk_hashed (key, joined);
        break;
    case ADR_TABLE_UPLOAD: /* bucket, 0, key, 0, upload, part: with the meta record of (bucket, key) */
        key = s_before (key, s_before (key, 0, 0).size + 1, 0);
        break;
    case ADR_TABLE_SWEEP:
    case ADR_TABLE_GARBAGE:
    case ADR_TABLE_PENDING:
        named = s_named_partition (table, key, partition_count);
        if (named != ADR_PARTITION_NONE)
            return named;
        if (table == ADR_TABLE_PENDING && key.size == ADR_PENDING_KEY_SIZE) /* with its object */
            key = adr_bytes (key.data + 8, ADR_ID_SIZE);
        break;
    case ADR_TABLE_BUCKET:
    case ADR_TABLE_META:
    case ADR_TABLE_EXPIRY: /* no row that anybody writes */
    case ADR_TABLE_REGISTRY:
    case ADR_TABLE_CREDENTIAL:
    case ADR_TABLE_SETTING:
    case ADR_TABLE_AUDIT:
    case ADR_TABLE_CERTIFICATE:
    case ADR_TABLE_TOKEN:
    case ADR_TABLE_COUNT:
        break;
    }
    uint8_t digest[ADR_DIGEST_SIZE];
    crypto_generichash (digest, sizeof digest, key.data, key.size, NULL, 0);
    /* A slice of the hash's range, so that a partition of 2P is half of one of P. */
    return (uint32_t) ((unsigned __int128) adr_get_u64 (digest) * partition_count >> 64);
}
