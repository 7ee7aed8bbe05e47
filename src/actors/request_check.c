/* SPDX-License-Identifier: MPL-2.0 */
/* Is a request one that a group may be asked? See request_check.h. */

#include "actors/request_check.h"

#include "core/entry.h"
#include "core/map.h"

const char *
adr_request_wrong_key (uint32_t table, size_t key_size, adr_node_type_t *type)
{
    if (!adr_table_type (table, type))
        return "there is no such table";
    if (key_size == 0 || key_size > ADR_KEY_MAX)
        return "a key has 1 to 1100 bytes";
    if (table == ADR_TABLE_OBJECT && key_size != ADR_ID_SIZE)
        return "an object's key is its id";
    if (table == ADR_TABLE_CHUNK && key_size != ADR_ID_SIZE + 8)
        return "a chunk's key is its object's id and its number";
    return NULL;
}

static const char *
s_wrong_expiry (const Adr__Op *op)
{
    if (op->ttl_ms == 0)
        return NULL;
    if (op->table != ADR_TABLE_KV || op->delete_)
        return "only a key-value put has a time to live";
    if (op->ttl_ms < ADR_TTL_MIN_MS || op->ttl_ms > ADR_TTL_MAX_MS)
        return "a time to live is one second to ten years";
    return op->key.len > ADR_EXPIRING_KEY_MAX ? "a key with a time to live has at most 1091 bytes" : NULL;
}

const char *
adr_request_wrong_op (const Adr__Op *op)
{
    if (op->table == ADR_TABLE_EXPIRY || op->table == ADR_TABLE_SWEEP || (op->table == ADR_TABLE_GARBAGE && !op->delete_))
        return "rows of this table are written by their group";
    if (op->table == ADR_TABLE_PENDING && op->key.len != ADR_PENDING_KEY_SIZE)
        return "a pending object's key is an epoch and its id";
    if (op->release && op->table != ADR_TABLE_META)
        return "only meta records release objects";
    if ((op->table == ADR_TABLE_META && !op->delete_) != (op->sweep_epoch != 0))
        return "puts of meta records, and they alone, say in which sweep epoch their object was born";
    return s_wrong_expiry (op);
}

static const char *
s_wrong_op (const Adr__Op *op)
{
    if (op->value_size > ADR_VALUE_MAX || (op->delete_ && op->value_size))
        return "a value has at most 1 MiB, a delete none";
    if (op->condition == ADR__CONDITION__VERSION && op->version == NULL)
        return "the condition names no version";
    if (protobuf_c_enum_descriptor_get_value (&adr__condition__descriptor, (int) op->condition) == NULL)
        return "there is no such condition";
    return adr_request_wrong_op (op);
}

static bool
s_names_a_key_twice (const Adr__Write *write)
{
    for (size_t i = 1; i < write->n_op; i++)
        for (size_t j = 0; j < i; j++) {
            const Adr__Op *a = write->op[i], *b = write->op[j];
            if (a->table == b->table && a->key.len == b->key.len && memcmp (a->key.data, b->key.data, a->key.len) == 0)
                return true;
        }
    return false;
}

static const char *
s_wrong_sizes (const Adr__Write *write, size_t payload)
{
    uint64_t values = 0, entry = ADR_ENTRY_HEADER_SIZE;
    size_t ops = write->n_op;
    for (size_t i = 0; i < write->n_op; i++) {
        values += write->op[i]->value_size;
        entry += ADR_OP_HEADER_SIZE + write->op[i]->key.len;
        ops += (write->op[i]->release ? 1 : 0) + (write->op[i]->ttl_ms ? 1 : 0);
        entry += write->op[i]->ttl_ms ? ADR_OP_HEADER_SIZE + ADR_EXPIRY_KEY_HEAD + write->op[i]->key.len : 0;
    }
    if (write->n_op == 0 || ops > ADR_OPS_MAX)
        return "a write has 1 to 64 operations, one more for each release and each time to live";
    if (values != payload)
        return "the values are not as long as they say";
    return entry + values > ADR_ENTRY_MAX ? "the write is too large for one entry" : NULL;
}

const char *
adr_request_wrong_write (const Adr__Write *write, size_t payload_size, uint32_t partition_count,
                         adr_node_type_t *type, uint32_t *partition)
{
    if (write->request.len != ADR_REQUEST_ID_SIZE)
        return "a request id has 16 bytes";
    const char *wrong = s_wrong_sizes (write, payload_size);
    for (size_t i = 0; i < write->n_op && wrong == NULL; i++) {
        const Adr__Op *op = write->op[i];
        adr_node_type_t op_type;
        wrong = adr_request_wrong_key (op->table, op->key.len, &op_type);
        if (wrong == NULL)
            wrong = s_wrong_op (op);
        if (wrong)
            break;
        uint32_t at = adr_partition_of ((uint8_t) op->table, adr_bytes (op->key.data, op->key.len), partition_count);
        if (i > 0 && (op_type != *type || at != *partition))
            return "the operations of one write belong to one partition";
        *type = op_type;
        *partition = at;
    }
    return wrong == NULL && s_names_a_key_twice (write) ? "a write names each key once" : wrong;
}
