/* SPDX-License-Identifier: MPL-2.0 */
/* Certificates, their canonical bytes and their chain: see cert.h. */

#include "core/cert.h"

#include <sodium.h>

#define S_LAYOUT 1
#define S_PREFIX_SIZE 8 /* magic, layout, kind, type, zero */

/* Certificate and request differ in their first byte on, so that no signature of one passes for the other. */
static const char S_MAGIC_CERTIFICATE[4] = { 'A', 'D', 'R', 'C' };
static const char S_MAGIC_REQUEST[4] = { 'A', 'D', 'R', 'R' };

static_assert (S_PREFIX_SIZE + 13 * 2 + 4 * ADR_ID_SIZE + ADR_VOTERS_MAX * ADR_ID_SIZE + ADR_NAME_MAX
                       + 2 * ADR_KEY_SIZE + 4 * 8 + ADR_SIGNATURE_SIZE
                   <= ADR_CERTIFICATE_MAX,
               "the largest certificate fits");

const char *
adr_cert_kind_name (adr_cert_kind_t kind)
{
    static const char *const names[ADR_CERT_KIND_COUNT]
        = { "request", "root", "authority", "node", "client", "operator" };
    return (unsigned) kind < ADR_CERT_KIND_COUNT ? names[kind] : "unknown";
}

const char *
adr_cert_fault_name (adr_cert_fault_t fault)
{
    static const char *const names[ADR_CERT_FAULT_COUNT]
        = { "sound",     "malformed",     "of another cluster", "of the wrong kind", "its issuer is unknown",
            "its signature is wrong", "not valid yet", "expired" };
    return (unsigned) fault < ADR_CERT_FAULT_COUNT ? names[fault] : "unknown";
}

/* --- what values belong together ------------------------------------------------------------------------------ */

static bool
s_type_fits (adr_cert_kind_t kind, unsigned type)
{
    switch (kind) {
    case ADR_CERT_ROOT:
        return type == 0;
    case ADR_CERT_AUTHORITY:
        return type == ADR_NODE_PKI;
    case ADR_CERT_REQUEST:
    case ADR_CERT_NODE:
        return type >= ADR_NODE_EDGE && type <= ADR_NODE_PKI;
    case ADR_CERT_CLIENT:
        return type == ADR_NODE_CLIENT;
    case ADR_CERT_OPERATOR:
        return type == ADR_NODE_OPERATOR;
    case ADR_CERT_KIND_COUNT:
        break;
    }
    return false;
}

static bool
s_name_is_printable (const char *name, size_t size)
{
    for (size_t i = 0; i < size; i++)
        if (name[i] < 0x20 || name[i] > 0x7e)
            return false;
    return size > 0 && size <= ADR_NAME_MAX;
}

static bool
s_peers_ascend (const adr_cert_t *cert)
{
    for (uint32_t i = 1; i < cert->peer_count; i++)
        if (adr_id_compare (&cert->peer[i - 1], &cert->peer[i]) >= 0)
            return false;
    return true;
}

static bool
s_keys_fit (const adr_cert_t *cert)
{
    bool connects = cert->kind != ADR_CERT_ROOT && cert->kind != ADR_CERT_AUTHORITY;
    return connects != (bool) sodium_is_zero (cert->curve_key, ADR_KEY_SIZE)
           && !sodium_is_zero (cert->sign_key, ADR_KEY_SIZE);
}

static bool
s_numbers_fit (const adr_cert_t *cert)
{
    if (cert->kind == ADR_CERT_REQUEST)
        return !cert->serial && !cert->issuer_serial && !cert->not_before_ms && !cert->not_after_ms;
    return cert->serial && cert->issuer_serial && cert->not_before_ms >= 0
           && cert->not_after_ms >= cert->not_before_ms
           && (cert->kind == ADR_CERT_ROOT) == (cert->serial == cert->issuer_serial);
}

static bool
s_ids_fit (const adr_cert_t *cert)
{
    bool in_zone = cert->kind == ADR_CERT_NODE || cert->kind == ADR_CERT_REQUEST || cert->kind == ADR_CERT_AUTHORITY;
    bool in_group = in_zone && cert->kind != ADR_CERT_AUTHORITY && cert->type != ADR_NODE_EDGE;
    return !adr_id_is_none (&cert->cluster) && in_zone != adr_id_is_none (&cert->zone)
           && (cert->kind == ADR_CERT_ROOT) == adr_id_is_none (&cert->node)
           && in_group != adr_id_is_none (&cert->group) && (in_group || cert->peer_count == 0)
           && s_peers_ascend (cert);
}

/* The same question on both sides of the border: before encode, after decode. */
static bool
s_is_well_formed (const adr_cert_t *cert)
{
    return s_type_fits (cert->kind, cert->type) && s_name_is_printable (cert->name, strlen (cert->name))
           && s_keys_fit (cert) && s_numbers_fit (cert) && s_ids_fit (cert);
}

/* --- encoding ------------------------------------------------------------------------------------------------- */

static uint8_t *
s_put_field (uint8_t *at, const void *data, size_t size)
{
    adr_put_u16 (at, (uint16_t) size);
    if (size)
        memcpy (at + 2, data, size);
    return at + 2 + size;
}

static uint8_t *
s_put_number (uint8_t *at, uint64_t value)
{
    adr_put_u16 (at, 8);
    adr_put_u64 (at + 2, value);
    return at + 10;
}

/* An id that is none has the length 0: one form only. */
static uint8_t *
s_put_id (uint8_t *at, const adr_id_t *id)
{
    return s_put_field (at, id->bytes, adr_id_is_none (id) ? 0 : ADR_ID_SIZE);
}

/* Everything but the signature: what is signed. */
static size_t
s_encode_body (const adr_cert_t *cert, uint8_t *start)
{
    uint8_t *at = start;
    memcpy (at, cert->kind == ADR_CERT_REQUEST ? S_MAGIC_REQUEST : S_MAGIC_CERTIFICATE, 4);
    at[4] = S_LAYOUT;
    at[5] = (uint8_t) cert->kind;
    at[6] = (uint8_t) cert->type;
    at[7] = 0;
    at += S_PREFIX_SIZE;
    at = s_put_id (at, &cert->cluster);
    at = s_put_number (at, cert->serial);
    at = s_put_number (at, cert->issuer_serial);
    at = s_put_number (at, (uint64_t) cert->not_before_ms);
    at = s_put_number (at, (uint64_t) cert->not_after_ms);
    at = s_put_id (at, &cert->zone);
    at = s_put_id (at, &cert->node);
    at = s_put_id (at, &cert->group);
    at = s_put_field (at, cert->peer, cert->peer_count * ADR_ID_SIZE);
    at = s_put_field (at, cert->name, strlen (cert->name));
    bool connects = !sodium_is_zero (cert->curve_key, ADR_KEY_SIZE);
    at = s_put_field (at, cert->curve_key, connects ? ADR_KEY_SIZE : 0);
    at = s_put_field (at, cert->sign_key, ADR_KEY_SIZE);
    return (size_t) (at - start);
}

size_t
adr_cert_encode (const adr_cert_t *cert, uint8_t at[ADR_CERTIFICATE_MAX])
{
    adr_assert (s_is_well_formed (cert));
    size_t size = s_encode_body (cert, at);
    return (size_t) (s_put_field (at + size, cert->signature, ADR_SIGNATURE_SIZE) - at);
}

/* --- decoding ------------------------------------------------------------------------------------------------- */

/* Takes the next field of at most `room` bytes off `rest`; -1 if there is none. */
static int
s_take_field (adr_bytes_t *rest, void *data, size_t room)
{
    if (rest->size < 2)
        return -1;
    size_t size = adr_get_u16 (rest->data);
    if (size > room || size > rest->size - 2)
        return -1;
    if (size)
        memcpy (data, rest->data + 2, size);
    *rest = adr_bytes (rest->data + 2 + size, rest->size - 2 - size);
    return (int) size;
}

static bool
s_take_number (adr_bytes_t *rest, uint64_t *value)
{
    uint8_t bytes[8];
    if (s_take_field (rest, bytes, sizeof bytes) != 8)
        return false;
    *value = adr_get_u64 (bytes);
    return true;
}

static bool
s_take_time (adr_bytes_t *rest, int64_t *value)
{
    uint64_t number;
    if (!s_take_number (rest, &number) || number > INT64_MAX)
        return false;
    *value = (int64_t) number;
    return true;
}

static bool
s_take_id (adr_bytes_t *rest, adr_id_t *id)
{
    int size = s_take_field (rest, id->bytes, ADR_ID_SIZE);
    return size == 0 || (size == ADR_ID_SIZE && !adr_id_is_none (id));
}

static bool
s_take_peers (adr_bytes_t *rest, adr_cert_t *cert)
{
    int size = s_take_field (rest, cert->peer, sizeof cert->peer);
    if (size < 0 || size % ADR_ID_SIZE)
        return false;
    cert->peer_count = (uint32_t) size / ADR_ID_SIZE;
    return true;
}

static bool
s_take_name (adr_bytes_t *rest, adr_cert_t *cert)
{
    int size = s_take_field (rest, cert->name, ADR_NAME_MAX);
    return size > 0 && s_name_is_printable (cert->name, (size_t) size);
}

static bool
s_take_curve_key (adr_bytes_t *rest, adr_cert_t *cert)
{
    int size = s_take_field (rest, cert->curve_key, ADR_KEY_SIZE);
    return size == 0 || (size == ADR_KEY_SIZE && !sodium_is_zero (cert->curve_key, ADR_KEY_SIZE));
}

static bool
s_take_prefix (adr_bytes_t *rest, adr_cert_t *cert)
{
    if (rest->size < S_PREFIX_SIZE || rest->data[4] != S_LAYOUT || rest->data[5] >= ADR_CERT_KIND_COUNT
        || rest->data[7] != 0)
        return false;
    cert->kind = (adr_cert_kind_t) rest->data[5];
    cert->type = (adr_node_type_t) rest->data[6];
    const char *magic = cert->kind == ADR_CERT_REQUEST ? S_MAGIC_REQUEST : S_MAGIC_CERTIFICATE;
    if (memcmp (rest->data, magic, 4) != 0)
        return false;
    *rest = adr_bytes (rest->data + S_PREFIX_SIZE, rest->size - S_PREFIX_SIZE);
    return true;
}

bool
adr_cert_decode (adr_cert_t *cert, adr_bytes_t bytes)
{
    *cert = (adr_cert_t){ 0 };
    adr_bytes_t rest = bytes;
    return bytes.size <= ADR_CERTIFICATE_MAX && s_take_prefix (&rest, cert) && s_take_id (&rest, &cert->cluster)
           && s_take_number (&rest, &cert->serial) && s_take_number (&rest, &cert->issuer_serial)
           && s_take_time (&rest, &cert->not_before_ms) && s_take_time (&rest, &cert->not_after_ms)
           && s_take_id (&rest, &cert->zone) && s_take_id (&rest, &cert->node) && s_take_id (&rest, &cert->group)
           && s_take_peers (&rest, cert) && s_take_name (&rest, cert) && s_take_curve_key (&rest, cert)
           && s_take_field (&rest, cert->sign_key, ADR_KEY_SIZE) == ADR_KEY_SIZE
           && s_take_field (&rest, cert->signature, ADR_SIGNATURE_SIZE) == ADR_SIGNATURE_SIZE && rest.size == 0
           && s_is_well_formed (cert);
}

/* --- signatures and the chain --------------------------------------------------------------------------------- */

void
adr_cert_sign (adr_cert_t *cert, const uint8_t seed[ADR_KEY_SIZE])
{
    adr_assert (s_is_well_formed (cert));
    uint8_t body[ADR_CERTIFICATE_MAX], public_key[crypto_sign_PUBLICKEYBYTES], secret[crypto_sign_SECRETKEYBYTES];
    size_t size = s_encode_body (cert, body);
    crypto_sign_seed_keypair (public_key, secret, seed);
    crypto_sign_detached (cert->signature, NULL, body, size, secret);
    sodium_memzero (secret, sizeof secret);
}

bool
adr_cert_signed_by (const adr_cert_t *cert, const uint8_t sign_key[ADR_KEY_SIZE])
{
    adr_assert (s_is_well_formed (cert));
    uint8_t body[ADR_CERTIFICATE_MAX];
    size_t size = s_encode_body (cert, body);
    return crypto_sign_verify_detached (cert->signature, body, size, sign_key) == 0;
}

adr_cert_chain_t
adr_cert_chain_of_map (const adr_map_t *map)
{
    adr_cert_chain_t chain = { .root = adr_bytes (map->root_certificate, map->root_certificate_size) };
    adr_assert (map->authority_count <= ADR_ZONES_MAX);
    for (uint32_t i = 0; i < map->authority_count; i++)
        chain.authority[i] = adr_bytes (map->authority[i], map->authority_size[i]);
    chain.authority_count = map->authority_count;
    return chain;
}

static adr_cert_fault_t
s_check_time (const adr_cert_t *cert, int64_t now_ms)
{
    return now_ms < cert->not_before_ms ? ADR_CERT_NOT_YET
           : now_ms > cert->not_after_ms ? ADR_CERT_EXPIRED
                                         : ADR_CERT_SOUND;
}

/* One step of the path: is `cert` signed by this issuer, for this cluster? */
static adr_cert_fault_t
s_check_step (const adr_cert_t *cert, const adr_cert_t *issuer, int64_t now_ms, bool strict)
{
    if (!adr_id_equal (&cert->cluster, &issuer->cluster))
        return ADR_CERT_WRONG_CLUSTER;
    if (cert->issuer_serial != issuer->serial)
        return ADR_CERT_NO_ISSUER;
    if (!adr_cert_signed_by (cert, issuer->sign_key))
        return ADR_CERT_BAD_SIGNATURE;
    return strict ? s_check_time (cert, now_ms) : ADR_CERT_SOUND;
}

static adr_cert_fault_t
s_find_authority (adr_cert_t *authority, const adr_cert_chain_t *chain, uint64_t serial)
{
    for (uint32_t i = 0; i < chain->authority_count; i++) {
        if (!adr_cert_decode (authority, chain->authority[i]))
            return ADR_CERT_MALFORMED;
        if (authority->serial == serial)
            return authority->kind == ADR_CERT_AUTHORITY ? ADR_CERT_SOUND : ADR_CERT_WRONG_KIND;
    }
    return ADR_CERT_NO_ISSUER;
}

static adr_cert_fault_t
s_check_under_authority (const adr_cert_t *cert, const adr_cert_t *root, const adr_cert_chain_t *chain,
                         int64_t now_ms, bool strict)
{
    adr_cert_t authority;
    adr_cert_fault_t fault = s_find_authority (&authority, chain, cert->issuer_serial);
    if (fault == ADR_CERT_SOUND)
        fault = s_check_step (&authority, root, now_ms, strict);
    return fault == ADR_CERT_SOUND ? s_check_step (cert, &authority, now_ms, strict) : fault;
}

adr_cert_fault_t
adr_cert_verify (adr_cert_t *cert, adr_bytes_t bytes, const adr_cert_chain_t *chain, int64_t now_ms, bool strict)
{
    adr_cert_t root;
    if (!adr_cert_decode (cert, bytes) || !adr_cert_decode (&root, chain->root))
        return ADR_CERT_MALFORMED;
    if (root.kind != ADR_CERT_ROOT || cert->kind == ADR_CERT_REQUEST)
        return ADR_CERT_WRONG_KIND;
    if (cert->kind == ADR_CERT_ROOT && memcmp (cert->sign_key, root.sign_key, ADR_KEY_SIZE) != 0)
        return ADR_CERT_NO_ISSUER; /* it vouches for itself only */
    adr_cert_fault_t fault = s_check_step (&root, &root, now_ms, strict);
    if (fault != ADR_CERT_SOUND)
        return fault;
    if (cert->kind == ADR_CERT_ROOT || cert->kind == ADR_CERT_AUTHORITY)
        return s_check_step (cert, &root, now_ms, strict);
    return s_check_under_authority (cert, &root, chain, now_ms, strict);
}

/* --- key files ------------------------------------------------------------------------------------------------ */

void
adr_keys_public (const adr_keys_t *keys, uint8_t curve_key[ADR_KEY_SIZE], uint8_t sign_key[ADR_KEY_SIZE])
{
    if (curve_key)
        (void) crypto_scalarmult_base (curve_key, keys->curve_secret);
    if (sign_key) {
        uint8_t secret[crypto_sign_SECRETKEYBYTES];
        crypto_sign_seed_keypair (sign_key, secret, keys->sign_seed);
        sodium_memzero (secret, sizeof secret);
    }
}

bool
adr_keys_fit (const adr_keys_t *keys, const adr_cert_t *cert)
{
    uint8_t curve_key[ADR_KEY_SIZE] = { 0 }, sign_key[ADR_KEY_SIZE];
    bool connects = !sodium_is_zero (keys->curve_secret, ADR_KEY_SIZE);
    adr_keys_public (keys, connects ? curve_key : NULL, sign_key);
    return memcmp (curve_key, cert->curve_key, ADR_KEY_SIZE) == 0
           && memcmp (sign_key, cert->sign_key, ADR_KEY_SIZE) == 0;
}

void
adr_hex_format (char *text, const uint8_t *bytes, size_t size)
{
    static const char digits[] = "0123456789abcdef";
    for (size_t i = 0; i < size; i++) {
        text[2 * i] = digits[bytes[i] >> 4];
        text[2 * i + 1] = digits[bytes[i] & 15];
    }
    text[2 * size] = 0;
}

static int
s_digit (char c)
{
    return c >= '0' && c <= '9'   ? c - '0'
           : c >= 'a' && c <= 'f' ? c - 'a' + 10
           : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                  : -1;
}

bool
adr_hex_parse (uint8_t *bytes, size_t size, const char *text, size_t text_size)
{
    if (text_size != 2 * size)
        return false;
    for (size_t i = 0; i < size; i++) {
        int high = s_digit (text[2 * i]), low = s_digit (text[2 * i + 1]);
        if (high < 0 || low < 0)
            return false;
        bytes[i] = (uint8_t) (high << 4 | low);
    }
    return true;
}

static const char S_CURVE_NAME[] = "curve-secret:";
static const char S_SIGN_NAME[] = "sign-secret:";

static char *
s_put_line (char *at, const char *name, const uint8_t key[ADR_KEY_SIZE])
{
    size_t size = strlen (name);
    memcpy (at, name, size);
    at[size] = ' ';
    adr_hex_format (at + size + 1, key, ADR_KEY_SIZE);
    at += size + 1 + 2 * ADR_KEY_SIZE;
    *at++ = '\n';
    return at;
}

size_t
adr_keys_format (const adr_keys_t *keys, char text[ADR_KEYS_TEXT_MAX])
{
    char *at = text;
    if (!sodium_is_zero (keys->curve_secret, ADR_KEY_SIZE))
        at = s_put_line (at, S_CURVE_NAME, keys->curve_secret);
    at = s_put_line (at, S_SIGN_NAME, keys->sign_seed);
    *at = 0;
    return (size_t) (at - text);
}

static bool
s_is_blank (char c)
{
    return c == ' ' || c == '\t' || c == '\r';
}

/* The line without what stands around it: blanks, a comment. */
static adr_bytes_t
s_trim (const char *line, size_t size)
{
    size_t first = 0, end = 0;
    while (end < size && line[end] != '#')
        end++;
    while (first < end && s_is_blank (line[first]))
        first++;
    while (end > first && s_is_blank (line[end - 1]))
        end--;
    return adr_bytes (line + first, end - first);
}

/* Takes `name VALUE` into `key`, once. */
static bool
s_parse_key (adr_bytes_t line, const char *name, uint8_t key[ADR_KEY_SIZE], bool *seen)
{
    size_t name_size = strlen (name);
    if (*seen || line.size < name_size || memcmp (line.data, name, name_size) != 0)
        return false;
    adr_bytes_t value = s_trim ((const char *) line.data + name_size, line.size - name_size);
    *seen = true;
    return adr_hex_parse (key, ADR_KEY_SIZE, (const char *) value.data, value.size);
}

bool
adr_keys_parse (adr_keys_t *keys, const char *text, size_t size)
{
    bool curve_seen = false, sign_seen = false;
    *keys = (adr_keys_t){ 0 };
    while (size > 0) {
        const char *end = memchr (text, '\n', size);
        size_t line_size = end ? (size_t) (end - text) : size;
        adr_bytes_t line = s_trim (text, line_size);
        if (line.size > 0 && !s_parse_key (line, S_CURVE_NAME, keys->curve_secret, &curve_seen)
            && !s_parse_key (line, S_SIGN_NAME, keys->sign_seed, &sign_seen))
            return false;
        line_size += end != NULL;
        text += line_size;
        size -= line_size;
    }
    return sign_seen;
}
