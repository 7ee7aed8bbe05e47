/* SPDX-License-Identifier: MPL-2.0 */
/* A log entry and its bytes, the same in an append message and inside a journal frame, so that a member writes what
 * it received. An entry has one operation or several (a transaction); each operation writes one record, and no entry
 * writes a key twice [REPAIR-4]. A write is stored once: the operation in the log is also the record's value.
 *
 * Bytes (little-endian). Entry header, 52 bytes:
 *     0  u32 size of the whole entry     4  u8 kind   5 u8 version of this layout (1)   6 u16 operation count
 *     8  u64 term   16 u64 index   24 u64 log time, ms   32 request id, 16 bytes   48 u32 epoch
 * then each operation: 24 bytes of header, key, value:
 *     0  u8 table   1 u8 flags   2 u16 key size   4 u32 value size   8 digest of the value, 16 bytes (BLAKE2b-128) */

#ifndef ADR_ENTRY_H
#define ADR_ENTRY_H

#include "core/base.h"
#include "core/bytes.h"
#include "core/limits.h"

typedef enum {
    ADR_ENTRY_OPEN = 1,      /* opens a term [REPL-3] */
    ADR_ENTRY_WRITE = 2,     /* a client's operations */
    ADR_ENTRY_VOTERS = 3,    /* the new voter set is the value of its one operation [REPL-4] */
    ADR_ENTRY_CHECKPOINT = 4 /* roots are noted when it is applied [REPAIR-1] */
} adr_entry_kind_t;

/* Where records live. A table belongs to one node type. */
typedef enum {
    ADR_TABLE_GROUP = 0,   /* any group's own records: voters, settings */
    ADR_TABLE_BUCKET = 1,  /* meta: S3 buckets */
    ADR_TABLE_META = 2,    /* meta: (bucket, key) -> objectId and attributes */
    ADR_TABLE_KV = 3,      /* meta: (namespace, key) */
    ADR_TABLE_GARBAGE = 4, /* meta: values that overwrites and deletes released, see adr_garbage_key */
    ADR_TABLE_UPLOAD = 5,  /* meta: multipart uploads and their parts; a later issue */
    ADR_TABLE_EXPIRY = 6,  /* meta: when a record ends, see adr_expiry_key; no value */
    ADR_TABLE_SWEEP = 7,   /* meta: the sweep epochs of partitions, u64 each, see adr_sweep_key [OBJECT-1] */
    ADR_TABLE_OBJECT = 16, /* data: object headers by objectId */
    ADR_TABLE_CHUNK = 17,  /* data: (objectId, big-endian u64 number) */
    ADR_TABLE_PENDING = 18, /* data: objects that no sweep has looked at yet, see adr_pending_key */
    ADR_TABLE_REGISTRY = 32, /* pki: one record, the registry's bytes, see ADR_REGISTRY_KEY */
    ADR_TABLE_CREDENTIAL = 33, /* pki: S3 access keys, and their generation: docs/protocol/credentials.md */
    ADR_TABLE_SETTING = 34,
    ADR_TABLE_AUDIT = 35,
    ADR_TABLE_CERTIFICATE = 36, /* pki: issued certificates by serial, requests by key */
    ADR_TABLE_TOKEN = 37, /* pki: by their public keys: terms, and who used them */
    ADR_TABLE_COUNT = 64
} adr_table_t;

/* True and the node type whose groups hold the table; false for a number that is no table, and for GROUP. */
ADR_WARN_UNUSED bool adr_table_type (unsigned table, adr_node_type_t *type);

#define ADR_OP_DELETE 1u /* a tombstone: the record has no value */
#define ADR_OP_PURGE 2u  /* the tombstone of that very version goes; no record, no value: the version (adr_version_encode) */

#define ADR_DIGEST_SIZE 16
#define ADR_REQUEST_ID_SIZE 16

typedef struct {
    uint8_t table;
    uint8_t flags;
    adr_bytes_t key;
    adr_bytes_t value;
    uint8_t digest[ADR_DIGEST_SIZE];
} adr_op_t;

typedef struct {
    adr_entry_kind_t kind;
    uint64_t term;
    uint64_t index;
    uint64_t time_ms; /* log time [PART-4] */
    uint32_t epoch;
    uint8_t request[ADR_REQUEST_ID_SIZE]; /* all zeros: none */
    uint32_t op_count;
    adr_op_t op[ADR_OPS_MAX];
} adr_entry_t;

#define ADR_EPOCH 1 /* of a partition whose group was never recovered [PART-1]; docs/protocol/partitions.md */
#define ADR_ENTRY_HEADER_SIZE 52
#define ADR_OP_HEADER_SIZE 24

/* Of the table REGISTRY. */
#define ADR_REGISTRY_KEY "registry"

/* In the table GROUP, u64: the highest index of a version that was ever purged [REPAIR-2]. */
#define ADR_PURGED_KEY "purged"
#define ADR_PURGED_SIZE 8

/* In the same table, u64 log time: rows of the expiry table that end before it are done with [REPAIR-7]. */
#define ADR_EXPIRED_KEY "expired"
#define ADR_EXPIRED_SIZE 8

/* A purge's value. */
#define ADR_VERSION_SIZE 20
void adr_version_encode (const adr_version_t *version, uint8_t at[ADR_VERSION_SIZE]);
adr_version_t adr_version_decode (const uint8_t at[ADR_VERSION_SIZE]);

/* [REPAIR-7] The key of a row that says when a record ends: big-endian u64 log time in ms, u8 table, key. It stands in the
 * entry that writes the record, and so has its version. */
#define ADR_EXPIRY_KEY_HEAD 9
#define ADR_EXPIRING_KEY_MAX (ADR_KEY_MAX - ADR_EXPIRY_KEY_HEAD)
/* Its size; the key has at most ADR_EXPIRING_KEY_MAX bytes. */
size_t adr_expiry_key_encode (uint8_t at[ADR_KEY_MAX], uint64_t end_ms, uint8_t table, adr_bytes_t key);
/* False if these are not the bytes of one. `key` points into them. */
ADR_WARN_UNUSED bool adr_expiry_key_decode (adr_bytes_t bytes, uint64_t *end_ms, uint8_t *table, adr_bytes_t *key);

/* [OBJECT-1] A partition's sweep epoch: 0, big-endian u32 number. No meta key begins with 0. A partition without the record
 * is in its first. */
#define ADR_SWEEP_KEY_SIZE 5
#define ADR_SWEEP_FIRST 1
#define ADR_SWEEP_EPOCH_SIZE 8
void adr_sweep_key (uint8_t at[ADR_SWEEP_KEY_SIZE], uint32_t partition);
/* [OBJECT-4] A released value: big-endian u64 term, u64 index, u16 operation, all of the entry that released it, and the u32
 * number of that operation's partition, with which it moves. So the oldest come first. */
#define ADR_GARBAGE_KEY_SIZE 22
void adr_garbage_key (uint8_t at[ADR_GARBAGE_KEY_SIZE], const adr_entry_t *entry, uint16_t op, uint32_t partition);
/* [OBJECT-1] An object: big-endian u64 sweep epoch in which it was born, objectId. The value is the meta key of the record that
 * shall name it. Epoch 0: no record does, and from the row's own log time on it waits for its end. */
#define ADR_PENDING_KEY_SIZE (8 + ADR_ID_SIZE)
void adr_pending_key (uint8_t at[ADR_PENDING_KEY_SIZE], uint64_t epoch, const adr_id_t *object);

size_t adr_entry_size (const adr_entry_t *entry);
/* Writes exactly adr_entry_size () bytes. */
void adr_entry_encode (const adr_entry_t *entry, uint8_t *at);
/* Reads the entry that stands at the start of `bytes`; its keys and values point into them. Returns its size, or 0 if
 * these are not the bytes of one whole entry within the limits. Total: any bytes are answered. Digests are not
 * checked here (adr_entry_verify is). */
ADR_WARN_UNUSED size_t adr_entry_decode (adr_entry_t *entry, adr_bytes_t bytes);
/* True if each value has its digest. */
ADR_WARN_UNUSED bool adr_entry_verify (const adr_entry_t *entry);
/* The digest of a value: BLAKE2b-128 without a key. */
void adr_value_digest (adr_bytes_t value, uint8_t digest[ADR_DIGEST_SIZE]);

/* The voters entry's value. */
#define ADR_VOTERS_BYTES_MAX (8 + ADR_VOTERS_MAX * 24 + 8)
size_t adr_voters_encode (const adr_voters_t *voters, uint8_t at[ADR_VOTERS_BYTES_MAX]);
ADR_WARN_UNUSED bool adr_voters_decode (adr_voters_t *voters, adr_bytes_t bytes);

/* needed = max (majority (n), min (q, n - 1)) [REPL-3]. */
uint32_t adr_quorum_needed (uint32_t voter_count, uint32_t quorum);
uint32_t adr_majority (uint32_t voter_count);

#endif
