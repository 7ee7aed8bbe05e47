/* SPDX-License-Identifier: MPL-2.0 */
/* What the holder of the root's key says when a group has lost its quorum for good: who goes on alone, from where [RECOVER-1]. As
 * values, as bytes and as text; docs/protocol/recover.md lays it out byte by byte. It is canonical: one statement has one encoding.
 *
 * Owns: nothing; plain values. Makes durable: nothing. Assumes: nothing of the clock: the time of signing is passed in. */

#ifndef ADR_RECOVERY_STATEMENT_H
#define ADR_RECOVERY_STATEMENT_H

#include "core/base.h"
#include "core/bytes.h"

#define ADR_RECOVERY_REQUEST_SIZE 104
#define ADR_RECOVERY_SIZE (ADR_RECOVERY_REQUEST_SIZE + 64) /* of one that is signed */
/* "adrr1.", base64url without padding of the bytes and their check, and the end. */
#define ADR_RECOVERY_TEXT_MAX (6 + (4 * (ADR_RECOVERY_SIZE + 4) + 2) / 3 + 1)
/* [RECOVER-8] Registries that the lost PKI nodes have made, and nobody who can be reached has seen, are fewer than this. */
#define ADR_RECOVERY_EPOCHS 1000

typedef struct {
    adr_id_t cluster, group;
    uint64_t number;      /* not 0; each recovery of a group has a higher one */
    adr_id_t survivor;    /* the only voter afterwards */
    uint64_t incarnation; /* ... this very life of it */
    adr_position_t end;   /* of its log, which is not empty */
    uint64_t epoch;       /* the lowest of a registry that carries it */
    bool is_signed;       /* false: it only asks for a signature */
    int64_t signed_ms;    /* since 1970; 0: not signed */
    uint8_t signature[64];
} adr_recovery_t;

/* Whether decode would admit these values: for who made them of what others told. */
ADR_WARN_UNUSED bool adr_recovery_is_sound (const adr_recovery_t *recovery);
/* Writes the encoding, returns its size. Asserts that it is sound. */
size_t adr_recovery_encode (const adr_recovery_t *recovery, uint8_t at[ADR_RECOVERY_SIZE]);
/* Reads exactly one request or statement. Total: any bytes are answered. No signature is checked. */
ADR_WARN_UNUSED bool adr_recovery_decode (adr_recovery_t *recovery, adr_bytes_t bytes);

/* Makes a statement of a request, by the root's seed. */
void adr_recovery_sign (adr_recovery_t *recovery, int64_t signed_ms, const uint8_t seed[32]);
/* True if it is a statement, of the cluster of this encoded root certificate, and that root has signed it. Total. */
ADR_WARN_UNUSED bool adr_recovery_verify (const adr_recovery_t *recovery, adr_bytes_t root_certificate);

/* Writes the text with its end, returns its length. */
size_t adr_recovery_format (const adr_recovery_t *recovery, char text[ADR_RECOVERY_TEXT_MAX]);
/* Reads it, white space around it allowed. Total: any bytes are answered. */
ADR_WARN_UNUSED bool adr_recovery_parse (adr_recovery_t *recovery, const char *text, size_t size);

#endif
