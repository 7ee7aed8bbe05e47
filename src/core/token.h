/* SPDX-License-Identifier: MPL-2.0 */
/* Join tokens: what an operator gives to a node that is to come in, as values and as text [TRUST-5]. docs/protocol/trust.md lays the
 * text out byte by byte; it is canonical: one token has one text, and what parses formats to the same.
 *
 * Owns: nothing; plain values. Makes durable: nothing. Assumes: nothing of the clock or of random numbers: the secret and the time are
 * passed in. A token holds a secret: whoever made or parsed one calls adr_token_forget. */

#ifndef ADR_TOKEN_H
#define ADR_TOKEN_H

#include "core/cert.h"

#define ADR_TOKEN_DOORS_MAX 3
#define ADR_TOKEN_HASH_SIZE 32 /* BLAKE2b-256 */
/* Everything at its largest, in bytes: fixed fields, three names, three doors, the check. */
#define ADR_TOKEN_BYTES_MAX \
    (1 + 3 * ADR_ID_SIZE + 1 + 8 + 2 * 32 + 3 * (1 + ADR_NAME_MAX) + 1 + ADR_TOKEN_DOORS_MAX * (32 + 1 + ADR_ENDPOINT_MAX) + 4)
/* "adr1.", base64url without padding, and the end. */
#define ADR_TOKEN_TEXT_MAX (5 + (4 * ADR_TOKEN_BYTES_MAX + 2) / 3 + 1)
/* A token that lies about is a way in: nobody needs longer to set up a host. */
#define ADR_TOKEN_VALID_MAX_MS (7 * 24 * UINT64_C (3600000))

/* Where a PKI node lets strangers in, to be adopted. */
typedef struct {
    uint8_t curve_key[ADR_KEY_SIZE]; /* the PKI node's: nobody else can answer */
    char endpoint[ADR_ENDPOINT_MAX + 1]; /* tcp://host:port */
} adr_token_door_t;

typedef struct {
    adr_id_t cluster, zone;
    adr_id_t group;       /* none of an edge */
    adr_node_type_t type; /* EDGE to PKI */
    bool founds;          /* its node is to found its group, and tells its incarnation [GROUP-3] */
    int64_t expires_ms;   /* since 1970 */
    uint8_t secret[32];   /* an Ed25519 seed */
    uint8_t root_hash[ADR_TOKEN_HASH_SIZE]; /* of the encoded root certificate */
    char zone_name[ADR_NAME_MAX + 1], group_name[ADR_NAME_MAX + 1] /* "" of an edge */, node_name[ADR_NAME_MAX + 1];
    uint32_t door_count;
    adr_token_door_t door[ADR_TOKEN_DOORS_MAX];
} adr_token_t;

/* Whether parse would admit these values: for who made them of bytes from outside. */
ADR_WARN_UNUSED bool adr_token_is_sound (const adr_token_t *token);
/* Writes the text with its end, returns its length. Asserts that the token is sound. */
size_t adr_token_format (const adr_token_t *token, char text[ADR_TOKEN_TEXT_MAX]);
/* Reads it, white space around it allowed. Total: any bytes are answered. False: it is none, and `token` is all zeros. */
ADR_WARN_UNUSED bool adr_token_parse (adr_token_t *token, const char *text, size_t size);
void adr_token_forget (adr_token_t *token); /* wipes it */

/* The key under which the PKI group keeps the token's terms. */
void adr_token_public (const adr_token_t *token, uint8_t key[ADR_KEY_SIZE]);
/* BLAKE2b-256 of an encoded root certificate, as a token holds it. */
void adr_token_hash_root (adr_bytes_t certificate, uint8_t hash[ADR_TOKEN_HASH_SIZE]);

/* Where a node that joins will listen, in this order: control, bulk, client, http; "" for what it has not. */
#define ADR_JOIN_ENDPOINTS 4

/* Proves the token's secret for this signing request, these endpoints and, if it is not 0, this incarnation, without telling it. Asserts
 * the sizes. */
void adr_token_sign_join (const adr_token_t *token, adr_bytes_t request, const char *const endpoint[ADR_JOIN_ENDPOINTS],
                          uint64_t incarnation, uint8_t signature[ADR_SIGNATURE_SIZE]);
/* True if who signed knows the secret of `token_key`. Total. */
ADR_WARN_UNUSED bool adr_token_join_signed (const uint8_t token_key[ADR_KEY_SIZE], const adr_id_t *cluster, adr_bytes_t request,
                                            const char *const endpoint[ADR_JOIN_ENDPOINTS], uint64_t incarnation,
                                            const uint8_t signature[ADR_SIGNATURE_SIZE]);

#endif
