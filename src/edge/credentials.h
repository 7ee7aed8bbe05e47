/* SPDX-License-Identifier: MPL-2.0 */
/* The access keys that the S3 edge knows, from a YAML file:
 *
 *     - access-key: AKEXAMPLE
 *       secret-key: 40 characters of base64, say
 *       owner: adrestia        # optional; keys of one owner share their buckets
 *
 * Owns: keys and secrets, wiped when it goes. A secret never reaches a log, an error text or an answer. */

#ifndef ADR_CREDENTIALS_H
#define ADR_CREDENTIALS_H

#include "core/base.h"
#include "core/bytes.h"

#define ADR_CREDENTIALS_FILE_MAX 1024
#define ADR_ACCESS_KEY_MAX 128
#define ADR_SECRET_KEY_MAX 128
#define ADR_OWNER_MAX 63
#define ADR_OWNER_COMMON "adrestia" /* of keys that name none, and of buckets that the library made */

typedef struct adr_credentials adr_credentials_t;
/* Who asks. Only adr_authenticate (edge/auth.h) hands one out, once it has verified a signature; its inside is known to
 * credentials.c alone, so that no handler can make one. */
typedef struct adr_principal adr_principal_t;

const char *adr_principal_owner (const adr_principal_t *self);
const char *adr_principal_access_key (const adr_principal_t *self);

adr_credentials_t *adr_credentials_new (void);
/* Reads the file; NULL, and one line with the place in `error`, if it is not as above, or others may
 * read it. */
adr_credentials_t *adr_credentials_load (const char *path, char *error, size_t error_size);
void adr_credentials_destroy (adr_credentials_t **self);
/* False if a text is too long or empty, the key is there already, or there are too many. NULL owner: the common one. */
ADR_WARN_UNUSED bool adr_credentials_add (adr_credentials_t *self, const char *access_key, const char *secret_key,
                                          const char *owner);
size_t adr_credentials_count (const adr_credentials_t *self);

/* For auth.c: the secret of a key; NULL where it is not known. `principal` gets who it would be. */
const char *adr_credentials_secret (const adr_credentials_t *self, adr_bytes_t access_key,
                                    const adr_principal_t **principal);

#endif
