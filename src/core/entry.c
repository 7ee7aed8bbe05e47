/* SPDX-License-Identifier: MPL-2.0 */
/* Log entries and their bytes: see entry.h. */

#include "core/entry.h"

#include <sodium.h>

#define S_LAYOUT 1

bool
adr_table_type (unsigned table, adr_node_type_t *type)
{
    if (table >= ADR_TABLE_BUCKET && table <= ADR_TABLE_SWEEP)
        *type = ADR_NODE_META;
    else if (table >= ADR_TABLE_OBJECT && table <= ADR_TABLE_PENDING)
        *type = ADR_NODE_DATA;
    else if (table >= ADR_TABLE_REGISTRY && table <= ADR_TABLE_TOKEN)
        *type = ADR_NODE_PKI;
    else
        return false;
    return true;
}

void
adr_version_encode (const adr_version_t *version, uint8_t at[ADR_VERSION_SIZE])
{
    adr_put_u32 (at, version->epoch);
    adr_put_u64 (at + 4, version->term);
    adr_put_u64 (at + 12, version->index);
}

adr_version_t
adr_version_decode (const uint8_t at[ADR_VERSION_SIZE])
{
    return (adr_version_t){ adr_get_u32 (at), adr_get_u64 (at + 4), adr_get_u64 (at + 12) };
}

size_t
adr_expiry_key_encode (uint8_t at[ADR_KEY_MAX], uint64_t end_ms, uint8_t table, adr_bytes_t key)
{
    adr_assert (key.size <= ADR_EXPIRING_KEY_MAX);
    adr_put_be64 (at, end_ms);
    at[8] = table;
    if (key.size)
        memcpy (at + ADR_EXPIRY_KEY_HEAD, key.data, key.size);
    return ADR_EXPIRY_KEY_HEAD + key.size;
}

bool
adr_expiry_key_decode (adr_bytes_t bytes, uint64_t *end_ms, uint8_t *table, adr_bytes_t *key)
{
    if (bytes.size <= ADR_EXPIRY_KEY_HEAD || bytes.size > ADR_KEY_MAX)
        return false;
    *end_ms = adr_get_be64 (bytes.data);
    *table = bytes.data[8];
    *key = adr_bytes (bytes.data + ADR_EXPIRY_KEY_HEAD, bytes.size - ADR_EXPIRY_KEY_HEAD);
    return *table < ADR_TABLE_COUNT;
}

void
adr_sweep_key (uint8_t at[ADR_SWEEP_KEY_SIZE], uint32_t partition)
{
    at[0] = 0;
    adr_put_be32 (at + 1, partition);
}

void
adr_garbage_key (uint8_t at[ADR_GARBAGE_KEY_SIZE], const adr_entry_t *entry, uint16_t op, uint32_t partition)
{
    adr_put_be64 (at, entry->term);
    adr_put_be64 (at + 8, entry->index);
    at[16] = (uint8_t) (op >> 8);
    at[17] = (uint8_t) op;
    adr_put_be32 (at + 18, partition);
}

void
adr_pending_key (uint8_t at[ADR_PENDING_KEY_SIZE], uint64_t epoch, const adr_id_t *object)
{
    adr_put_be64 (at, epoch);
    memcpy (at + 8, object->bytes, ADR_ID_SIZE);
}

size_t
adr_entry_size (const adr_entry_t *entry)
{
    size_t size = ADR_ENTRY_HEADER_SIZE;
    for (uint32_t i = 0; i < entry->op_count; i++)
        size += ADR_OP_HEADER_SIZE + entry->op[i].key.size + entry->op[i].value.size;
    return size;
}

static uint8_t *
s_copy (uint8_t *at, adr_bytes_t bytes)
{
    if (bytes.size)
        memcpy (at, bytes.data, bytes.size);
    return at + bytes.size;
}

void
adr_entry_encode (const adr_entry_t *entry, uint8_t *at)
{
    size_t size = adr_entry_size (entry);
    adr_assert (size <= ADR_ENTRY_MAX && entry->op_count <= ADR_OPS_MAX);
    adr_put_u32 (at, (uint32_t) size);
    at[4] = (uint8_t) entry->kind;
    at[5] = S_LAYOUT;
    adr_put_u16 (at + 6, (uint16_t) entry->op_count);
    adr_put_u64 (at + 8, entry->term);
    adr_put_u64 (at + 16, entry->index);
    adr_put_u64 (at + 24, entry->time_ms);
    memcpy (at + 32, entry->request, ADR_REQUEST_ID_SIZE);
    adr_put_u32 (at + 48, entry->epoch);
    at += ADR_ENTRY_HEADER_SIZE;
    for (uint32_t i = 0; i < entry->op_count; i++) {
        const adr_op_t *op = &entry->op[i];
        adr_assert (op->key.size <= ADR_KEY_MAX && op->value.size <= ADR_VALUE_MAX);
        at[0] = op->table;
        at[1] = op->flags;
        adr_put_u16 (at + 2, (uint16_t) op->key.size);
        adr_put_u32 (at + 4, (uint32_t) op->value.size);
        memcpy (at + 8, op->digest, ADR_DIGEST_SIZE);
        at = s_copy (s_copy (at + ADR_OP_HEADER_SIZE, op->key), op->value);
    }
}

/* A purge names a version, and is no delete. */
static bool
s_flags_fit (unsigned flags, size_t value_size)
{
    return (flags & ~(ADR_OP_DELETE | ADR_OP_PURGE)) == 0
        && (!(flags & ADR_OP_PURGE) || (flags == ADR_OP_PURGE && value_size == ADR_VERSION_SIZE));
}

/* Reads one operation at the start of `rest`; its size, or 0. */
static size_t
s_op_decode (adr_op_t *op, adr_bytes_t rest)
{
    if (rest.size < ADR_OP_HEADER_SIZE)
        return 0;
    size_t key_size = adr_get_u16 (rest.data + 2);
    size_t value_size = adr_get_u32 (rest.data + 4);
    if (key_size > ADR_KEY_MAX || value_size > ADR_VALUE_MAX || !s_flags_fit (rest.data[1], value_size)
        || rest.data[0] >= ADR_TABLE_COUNT || rest.size - ADR_OP_HEADER_SIZE < key_size + value_size)
        return 0;
    op->table = rest.data[0];
    op->flags = rest.data[1];
    memcpy (op->digest, rest.data + 8, ADR_DIGEST_SIZE);
    op->key = adr_bytes (rest.data + ADR_OP_HEADER_SIZE, key_size);
    op->value = adr_bytes (rest.data + ADR_OP_HEADER_SIZE + key_size, value_size);
    return ADR_OP_HEADER_SIZE + key_size + value_size;
}

size_t
adr_entry_decode (adr_entry_t *entry, adr_bytes_t bytes)
{
    if (bytes.size < ADR_ENTRY_HEADER_SIZE)
        return 0;
    size_t size = adr_get_u32 (bytes.data);
    unsigned kind = bytes.data[4];
    unsigned op_count = adr_get_u16 (bytes.data + 6);
    if (size < ADR_ENTRY_HEADER_SIZE || size > bytes.size || size > ADR_ENTRY_MAX || bytes.data[5] != S_LAYOUT
        || kind < ADR_ENTRY_OPEN || kind > ADR_ENTRY_CHECKPOINT || op_count > ADR_OPS_MAX)
        return 0;
    entry->kind = (adr_entry_kind_t) kind;
    entry->op_count = op_count;
    entry->term = adr_get_u64 (bytes.data + 8);
    entry->index = adr_get_u64 (bytes.data + 16);
    entry->time_ms = adr_get_u64 (bytes.data + 24);
    memcpy (entry->request, bytes.data + 32, ADR_REQUEST_ID_SIZE);
    entry->epoch = adr_get_u32 (bytes.data + 48);
    adr_bytes_t rest = adr_bytes (bytes.data + ADR_ENTRY_HEADER_SIZE, size - ADR_ENTRY_HEADER_SIZE);
    for (unsigned i = 0; i < op_count; i++) {
        size_t op_size = s_op_decode (&entry->op[i], rest);
        if (op_size == 0)
            return 0;
        rest = adr_bytes (rest.data + op_size, rest.size - op_size);
    }
    return rest.size == 0 ? size : 0;
}

void
adr_value_digest (adr_bytes_t value, uint8_t digest[ADR_DIGEST_SIZE])
{
    crypto_generichash (digest, ADR_DIGEST_SIZE, value.data, value.size, NULL, 0);
}

bool
adr_entry_verify (const adr_entry_t *entry)
{
    for (uint32_t i = 0; i < entry->op_count; i++) {
        uint8_t digest[ADR_DIGEST_SIZE];
        adr_value_digest (entry->op[i].value, digest);
        if (memcmp (digest, entry->op[i].digest, ADR_DIGEST_SIZE) != 0)
            return false;
    }
    return true;
}

size_t
adr_voters_encode (const adr_voters_t *voters, uint8_t at[ADR_VOTERS_BYTES_MAX])
{
    adr_assert (voters->count <= ADR_VOTERS_MAX);
    adr_put_u32 (at, voters->quorum);
    adr_put_u32 (at + 4, voters->count);
    for (uint32_t i = 0; i < voters->count; i++) {
        memcpy (at + 8 + i * 24, voters->voter[i].node.bytes, ADR_ID_SIZE);
        adr_put_u64 (at + 8 + i * 24 + ADR_ID_SIZE, voters->voter[i].incarnation);
    }
    size_t size = 8 + (size_t) voters->count * 24;
    if (voters->map_epoch == 0) /* as it was before there was one */
        return size;
    adr_put_u64 (at + size, voters->map_epoch);
    return size + 8;
}

bool
adr_voters_decode (adr_voters_t *voters, adr_bytes_t bytes)
{
    if (bytes.size < 8)
        return false;
    uint32_t count = adr_get_u32 (bytes.data + 4);
    size_t size = 8 + (size_t) count * 24;
    bool has_epoch = bytes.size == size + 8;
    if (count > ADR_VOTERS_MAX || (bytes.size != size && !has_epoch))
        return false;
    voters->map_epoch = has_epoch ? adr_get_u64 (bytes.data + size) : 0;
    if (has_epoch && voters->map_epoch == 0)
        return false;
    voters->quorum = adr_get_u32 (bytes.data);
    voters->count = count;
    for (uint32_t i = 0; i < count; i++) {
        memcpy (voters->voter[i].node.bytes, bytes.data + 8 + i * 24, ADR_ID_SIZE);
        voters->voter[i].incarnation = adr_get_u64 (bytes.data + 8 + i * 24 + ADR_ID_SIZE);
    }
    return true;
}

uint32_t
adr_majority (uint32_t voter_count)
{
    return voter_count / 2 + 1;
}

/* [REPL-3] */
uint32_t
adr_quorum_needed (uint32_t voter_count, uint32_t quorum)
{
    uint32_t majority = adr_majority (voter_count);
    uint32_t wanted = voter_count > 0 && quorum > voter_count - 1 ? voter_count - 1 : quorum;
    return majority > wanted ? majority : wanted;
}
