/* SPDX-License-Identifier: MPL-2.0 */
/* A credential and its message, its bytes, and rows of them (docs/protocol/credentials.md). */

#ifndef ADR_CREDENTIAL_CODEC_H
#define ADR_CREDENTIAL_CODEC_H

#include "core/credential.h"
#include "wire/pack.h"

/* The longest message: every text and right at its bound, with tags and sizes. */
#define ADR_CREDENTIAL_BYTES_MAX 3072

typedef struct {
    Adr__Credential message;
    Adr__Right right[ADR_CREDENTIAL_RIGHTS_MAX];
    Adr__Right *pointer[ADR_CREDENTIAL_RIGHTS_MAX];
} adr_credential_message_t;

/* What of its secret a message shows. */
typedef enum { ADR_CREDENTIAL_BARE, ADR_CREDENTIAL_SEALED, ADR_CREDENTIAL_CLEAR } adr_credential_show_t;

/* Lends the credential's texts to the message. */
Adr__Credential *adr_credential_fill (adr_credential_message_t *self, const adr_credential_t *credential, adr_credential_show_t show);
/* False if a name cannot be, or a bucket is named twice. Owner, secret and sealed bytes may be missing. */
ADR_WARN_UNUSED bool adr_credential_read (adr_credential_t *credential, const Adr__Credential *message);

/* Appends the message's bytes. */
void adr_credential_encode (const adr_credential_t *credential, adr_credential_show_t show, adr_buffer_t *bytes);
/* Total. */
ADR_WARN_UNUSED bool adr_credential_decode (adr_credential_t *credential, adr_bytes_t bytes);

/* Appends u32 size and the message, with its secret in clear. */
void adr_credential_row_append (adr_buffer_t *rows, const adr_credential_t *credential);
/* Reads one and moves `rows` behind it; false at the end (then rows->size is 0), or at nonsense. */
ADR_WARN_UNUSED bool adr_credential_row_next (adr_bytes_t *rows, adr_credential_t *credential);

#endif
