/* SPDX-License-Identifier: MPL-2.0 */
/* Credentials as plain values: who signs with which S3 access key, and what of; and which user holds which CURVE key, and what
 * its role is (docs/protocol/credentials.md).
 *
 * Owns: nothing. A credential may hold a secret: whoever has one wipes it. */

#ifndef ADR_CREDENTIAL_H
#define ADR_CREDENTIAL_H

#include "core/map.h"
#include "core/seal.h"

#define ADR_CREDENTIAL_ACCESS_MIN 3
#define ADR_CREDENTIAL_ACCESS_MAX 64
#define ADR_USER_NAME_SIZE (ADR_CREDENTIAL_ACCESS_MAX + 1)
#define ADR_USER_UNTIL_NEVER UINT64_MAX       /* asked for: no end */
#define ADR_CONFIGURED_PREFIX "configured-" /* and 16 digits of its key: whom a host's configuration lists; nobody else is named so [USER-4] */
#define ADR_CONFIGURED_DIGITS 8             /* bytes of the key */
#define ADR_CREDENTIAL_SECRET_MIN 16
#define ADR_CREDENTIAL_SECRET_MAX 64
#define ADR_CREDENTIAL_RIGHTS_MAX 32
#define ADR_BUCKET_NAME_MAX 63
#define ADR_SEALED_SECRET_MAX (ADR_CREDENTIAL_SECRET_MAX + ADR_SEAL_MORE)

/* [KEY-6] Each includes those before it. */
typedef enum { ADR_ACCESS_NONE = 0, ADR_ACCESS_READ = 1, ADR_ACCESS_WRITE = 2, ADR_ACCESS_OWNER = 3, ADR_ACCESS_COUNT } adr_access_t;

const char *adr_access_name (adr_access_t access); /* "read" */
/* False for anything but "read", "write" and "owner". */
ADR_WARN_UNUSED bool adr_access_parse (adr_access_t *access, const char *text);

typedef struct {
    char bucket[ADR_BUCKET_NAME_MAX + 1]; /* "*": any */
    adr_access_t level;                   /* never NONE */
} adr_right_t;

typedef struct {
    char access_key[ADR_CREDENTIAL_ACCESS_MAX + 1]; /* or the user's name */
    adr_node_type_t role;                       /* of a user [USER-1]; 0: it is an S3 access key's */
    bool has_curve_key;
    uint8_t curve_key[32];                      /* a user's public one */
    uint64_t until_ms;                          /* a user is heard, since 1970; 0: for good, or, of a rotation, as it was */
    char owner[ADR_NAME_MAX + 1];
    char secret[ADR_CREDENTIAL_SECRET_MAX + 1]; /* "": it is not here */
    uint8_t sealed[ADR_SEALED_SECRET_MAX];
    size_t sealed_size;                         /* 0: it is not here */
    bool disabled;
    uint64_t created_ms;
    uint64_t generation;                        /* of its last change */
    bool limited;                               /* to its rights; else it reaches everything */
    uint32_t right_count;
    adr_right_t right[ADR_CREDENTIAL_RIGHTS_MAX];
} adr_credential_t;

/* What names and secrets may be made of; they stand in texts and JSON as they are. */
ADR_WARN_UNUSED bool adr_credential_is_access_key (const char *text);
ADR_WARN_UNUSED bool adr_credential_is_owner (const char *text);
ADR_WARN_UNUSED bool adr_credential_is_secret (const char *text);
ADR_WARN_UNUSED bool adr_credential_is_bucket (const char *text); /* a bucket's name, about, or "*" */

/* [KEY-6] What these rights give on that bucket; NULL: at most what they give anywhere. */
adr_access_t adr_rights_access (const adr_right_t *right, uint32_t count, const char *bucket);

/* [KEY-2] Seals credential->secret into credential->sealed, and back; false: another key sealed it, for another place, or it has
 * changed, and there is no secret. */
void adr_credential_seal (adr_credential_t *credential, const adr_id_t *cluster, const uint8_t key[ADR_SEAL_KEY_SIZE], uint64_t draw);
ADR_WARN_UNUSED bool adr_credential_unseal (adr_credential_t *credential, const adr_id_t *cluster, const uint8_t key[ADR_SEAL_KEY_SIZE]);

/* [KEY-5] Of an edge's file, by its node's secret. */
void adr_credential_file_key (const uint8_t curve_secret[32], const adr_id_t *cluster, const adr_id_t *node, uint8_t key[ADR_SEAL_KEY_SIZE]);

#endif
