/* SPDX-License-Identifier: MPL-2.0 */
/* Certificates: who holds which keys, signed [DESIGN 8]. Root (self-signed, offline) -> authority (one a PKI node) ->
 * node, client, operator. A signing request has the same layout and is signed with its own key.
 *
 * Owns: nothing; plain values. Makes durable: nothing. Assumes: nothing of the clock or of random numbers: keys,
 * serials and times are passed in. docs/protocol/cert_signer.md lays the encoding out byte by byte; it is canonical:
 * one certificate has one encoding, and what decodes encodes to the same bytes. */

#ifndef ADR_CERT_H
#define ADR_CERT_H

#include "core/base.h"
#include "core/bytes.h"
#include "core/map.h"

#define ADR_KEY_SIZE 32       /* of a CURVE key, an Ed25519 public key or seed */
#define ADR_SIGNATURE_SIZE 64 /* Ed25519 */

typedef enum {
    ADR_CERT_REQUEST = 0, /* asks for a NODE certificate; signed with its own signing key */
    ADR_CERT_ROOT = 1,
    ADR_CERT_AUTHORITY = 2,
    ADR_CERT_NODE = 3,
    ADR_CERT_CLIENT = 4,
    ADR_CERT_OPERATOR = 5,
    ADR_CERT_KIND_COUNT
} adr_cert_kind_t;

const char *adr_cert_kind_name (adr_cert_kind_t kind);

typedef struct {
    adr_cert_kind_t kind;
    adr_node_type_t type; /* EDGE to PKI for a node, PKI for an authority, CLIENT, OPERATOR; 0 for the root */
    adr_id_t cluster;
    adr_id_t zone;        /* of a node and an authority; none for all others */
    adr_id_t node;        /* the nodeId; an authority's is its PKI node's; none for the root */
    adr_id_t group;       /* of a replicating node; else none */
    uint32_t peer_count;
    adr_id_t peer[ADR_VOTERS_MAX]; /* the other nodes of its group when it was signed, in ascending order */
    char name[ADR_NAME_MAX + 1];   /* printable ASCII: "meta1@z1" */
    uint8_t curve_key[ADR_KEY_SIZE]; /* zeros for root and authority: they open no connection */
    uint8_t sign_key[ADR_KEY_SIZE];
    uint64_t serial, issuer_serial; /* a root names itself; zeros in a request */
    int64_t not_before_ms, not_after_ms; /* since 1970, both included; zeros in a request */
    uint8_t signature[ADR_SIGNATURE_SIZE];
} adr_cert_t;

/* Writes the encoding, returns its size. Asserts that the values are within what decode admits. */
size_t adr_cert_encode (const adr_cert_t *cert, uint8_t at[ADR_CERTIFICATE_MAX]);
/* Reads exactly one certificate or request. Total: any bytes are answered. No signature is checked. */
ADR_WARN_UNUSED bool adr_cert_decode (adr_cert_t *cert, adr_bytes_t bytes);

/* Fills in the signature by the issuer's seed (a request's and a root's own). */
void adr_cert_sign (adr_cert_t *cert, const uint8_t seed[ADR_KEY_SIZE]);
ADR_WARN_UNUSED bool adr_cert_signed_by (const adr_cert_t *cert, const uint8_t sign_key[ADR_KEY_SIZE]);

/* Why a certificate is not believed. */
typedef enum {
    ADR_CERT_SOUND = 0,
    ADR_CERT_MALFORMED,      /* bytes that do not decode, here or in the chain */
    ADR_CERT_WRONG_CLUSTER,
    ADR_CERT_WRONG_KIND,     /* a request, or an issuer that is not what signs this kind */
    ADR_CERT_NO_ISSUER,      /* no authority of this chain has the issuer's serial */
    ADR_CERT_BAD_SIGNATURE,
    ADR_CERT_NOT_YET,        /* strict only, as the next */
    ADR_CERT_EXPIRED,
    ADR_CERT_FAULT_COUNT
} adr_cert_fault_t;

const char *adr_cert_fault_name (adr_cert_fault_t fault);

/* What a certificate is checked against; views of encoded certificates that somebody else owns. */
typedef struct {
    adr_bytes_t root;
    adr_bytes_t authority[ADR_ZONES_MAX];
    uint32_t authority_count;
} adr_cert_chain_t;

/* Lends the map's certificates. */
adr_cert_chain_t adr_cert_chain_of_map (const adr_map_t *map);

/* Decodes `bytes` into `cert` and checks signatures and places up to the root. `strict` asks that each certificate of
 * the path is valid at `now_ms`: at adoption and for clients; between nodes of the registry expiry alone never refuses
 * [TRUST-2] and strict is false. */
ADR_WARN_UNUSED adr_cert_fault_t adr_cert_verify (adr_cert_t *cert, adr_bytes_t bytes, const adr_cert_chain_t *chain,
                                                  int64_t now_ms, bool strict);

/* --- key files ---------------------------------------------------------------------------------------------- */

/* The secrets of a node, as its node.key holds them; an authority's key file has the second only. */
typedef struct {
    uint8_t curve_secret[ADR_KEY_SIZE]; /* zeros: none */
    uint8_t sign_seed[ADR_KEY_SIZE];
} adr_keys_t;

#define ADR_KEYS_TEXT_MAX 512

/* The public halves; either may be NULL. */
void adr_keys_public (const adr_keys_t *keys, uint8_t curve_key[ADR_KEY_SIZE], uint8_t sign_key[ADR_KEY_SIZE]);
/* True if these are the secrets of the keys that the certificate names. */
ADR_WARN_UNUSED bool adr_keys_fit (const adr_keys_t *keys, const adr_cert_t *cert);
/* The text of a key file: YAML, `curve-secret` (unless there is none) and `sign-secret`, a line of hexadecimal digits
 * each. Returns its length. */
size_t adr_keys_format (const adr_keys_t *keys, char text[ADR_KEYS_TEXT_MAX]);
/* Reads it; each line at most once, comments and blank lines as YAML has them; false for anything else. */
ADR_WARN_UNUSED bool adr_keys_parse (adr_keys_t *keys, const char *text, size_t size);

/* Lower-case hexadecimal digits and an end (2 * size + 1 bytes), and back: exactly 2 * size digits, either case. */
void adr_hex_format (char *text, const uint8_t *bytes, size_t size);
ADR_WARN_UNUSED bool adr_hex_parse (uint8_t *bytes, size_t size, const char *text, size_t text_size);

/* The cert_signer's own authority: its certificate, and the seed that it signs with; the key of the hash trees, which it gives to
 * who is adopted; and the key of the credentials' secrets [KEY-2]. */
typedef struct adr_authority {
    adr_cert_t certificate;
    uint8_t sign_seed[ADR_KEY_SIZE];
    uint8_t hash_key[32];
    bool has_sealing_key;
    uint8_t sealing_key[32];
} adr_authority_t;

#endif
