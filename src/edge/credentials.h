/* SPDX-License-Identifier: MPL-2.0 */
/* The access keys that the S3 edge knows: those of its own YAML file, which need no PKI node [KEY-7],
 *
 *     - access-key: AKEXAMPLE
 *       secret-key: 40 characters of base64, say
 *       owner: adrestia        # optional; keys of one owner share their buckets
 *
 * and those of the cluster (docs/protocol/credentials.md). A list of them is immutable once it is in a keyring; who judges a request
 * holds the list that he judges it by.
 *
 * Owns: keys and secrets, wiped when they go. A secret never reaches a log, an error text or an answer. */

#ifndef ADR_CREDENTIALS_H
#define ADR_CREDENTIALS_H

#include "core/base.h"
#include "core/bytes.h"
#include "core/credential.h"

#define ADR_CREDENTIALS_FILE_MAX 1024 /* of the file */
#define ADR_ACCESS_KEY_MAX 128
#define ADR_SECRET_KEY_MAX 128
#define ADR_OWNER_MAX 63
#define ADR_OWNER_COMMON "adrestia" /* of keys that name none, and of buckets that the library made */

typedef struct adr_credentials adr_credentials_t;
/* Who asks. Only adr_authenticate (edge/auth.h) hands one out, once it has verified a signature; its inside is known to
 * credentials.c alone, so that no handler can make one. It lives as long as the list that it came from. */
typedef struct adr_principal adr_principal_t;

const char *adr_principal_owner (const adr_principal_t *self);
const char *adr_principal_access_key (const adr_principal_t *self);
/* [KEY-6] What it may do in that bucket. */
adr_access_t adr_principal_access (const adr_principal_t *self, const char *bucket);
/* It is limited to its rights; else it reaches everything. */
bool adr_principal_is_limited (const adr_principal_t *self);

adr_credentials_t *adr_credentials_new (void);
/* Reads the file; NULL, and one line with the place in `error`, if it is not as above, or others may
 * read it. */
adr_credentials_t *adr_credentials_load (const char *path, char *error, size_t error_size);
/* Gives one hold up; the last one frees it. Takes and nulls. */
void adr_credentials_destroy (adr_credentials_t **self);
/* False if a text is too long or empty, the key is there already, or there are too many. NULL owner: the common one. */
ADR_WARN_UNUSED bool adr_credentials_add (adr_credentials_t *self, const char *access_key, const char *secret_key,
                                          const char *owner);
size_t adr_credentials_count (const adr_credentials_t *self);

/* For auth.c: the secret of a key; NULL where it is not known, or disabled. `principal` gets who it would be. */
const char *adr_credentials_secret (const adr_credentials_t *self, adr_bytes_t access_key,
                                    const adr_principal_t **principal);

/* --- the list that counts now -------------------------------------------------------------------------------------- */

typedef struct adr_keyring adr_keyring_t;
/* With the credentials of the file, which it takes; NULL: there are none. */
adr_keyring_t *adr_keyring_new (adr_credentials_t *local);
void adr_keyring_destroy (adr_keyring_t **self);
/* The cluster's, rows of wire/credential_codec.h: from now on these count, and of the file those whose access keys are not among them
 * [KEY-7]. False: nonsense, and nothing has changed. Any thread. */
ADR_WARN_UNUSED bool adr_keyring_take (adr_keyring_t *self, adr_bytes_t rows);
/* The list that counts, held for the caller, who gives it up by adr_credentials_destroy. Any thread. */
adr_credentials_t *adr_keyring_hold (adr_keyring_t *self);

#endif
