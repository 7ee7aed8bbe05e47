/* SPDX-License-Identifier: MPL-2.0 */
/* Join tokens [TRUST-5]: one token has one text, nothing else is one, and who does not know its secret signs nothing. The golden text
 * and the golden signature were made by another implementation, from docs/protocol/trust.md. */

#include "core/token.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <sodium.h>

#include <cmocka.h>

#define S_URL_SAFE sodium_base64_VARIANT_URLSAFE_NO_PADDING

static const char s_golden[]
    = "adr1.AQEBAQEBAQEBAQEBAQEBAQEDAgICAgICAgICAgICAgICAgMDAwMDAwMDAwMDAwMDAwMAaOXPiwEAAAABAgMEBQYHCAkKCwwNDg8QERITFBUWFxgZ"
      "GhscHR4fZGVmZ2hpamtsbW5vcHFyc3R1dnd4eXp7fH1-f4CBgoMCejQFZGF0YTEIZGF0YTFAejQCBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcT"
      "dGNwOi8vMTAuMC4wLjE6NzQxMAgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgIE3RjcDovLzEwLjAuMC4yOjc0MTBzSMc0";

/* Where fields stand in the golden token's bytes. */
enum { S_CLUSTER = 1, S_TYPE = 17, S_ZONE = 18, S_GROUP = 34, S_EXPIRES = 50, S_TEXTS = 122, S_GROUP_NAME = 125, S_NODE_NAME = 131,
       S_DOORS = 140, S_KEY = 141, S_ENDPOINT = 173 };

static adr_token_t
s_token (void)
{
    adr_token_t token = { .type = ADR_NODE_DATA, .expires_ms = INT64_C (1700000000000), .zone_name = "z4", .group_name = "data1",
                          .node_name = "data1@z4", .door_count = 2 };
    memset (token.cluster.bytes, 1, ADR_ID_SIZE);
    memset (token.zone.bytes, 2, ADR_ID_SIZE);
    memset (token.group.bytes, 3, ADR_ID_SIZE);
    for (uint8_t i = 0; i < 32; i++) {
        token.secret[i] = i;
        token.root_hash[i] = (uint8_t) (100 + i);
    }
    for (uint8_t i = 0; i < 2; i++) {
        memset (token.door[i].curve_key, 7 + i, ADR_KEY_SIZE);
        snprintf (token.door[i].endpoint, sizeof token.door[i].endpoint, "tcp://10.0.0.%u:7410", i + 1u);
    }
    return token;
}

static bool
s_parses (const char *text, size_t size)
{
    adr_token_t token;
    /* A copy of exactly that size, so that a sanitizer sees the first byte too many. */
    char *exact = malloc (size + (size == 0));
    memcpy (exact, text, size);
    bool good = adr_token_parse (&token, exact, size);
    free (exact);
    if (!good)
        assert_true (sodium_is_zero ((uint8_t *) &token, sizeof token)); /* nothing of a secret stays behind */
    return good;
}

/* --- the text --------------------------------------------------------------------------------------------------- */

static void
s_golden_text (void **state)
{
    (void) state;
    adr_token_t token = s_token ();
    char text[ADR_TOKEN_TEXT_MAX];
    assert_int_equal (adr_token_format (&token, text), strlen (s_golden));
    assert_string_equal (text, s_golden);
}

static void
s_round (const adr_token_t *token)
{
    adr_token_t read;
    char text[ADR_TOKEN_TEXT_MAX], again[ADR_TOKEN_TEXT_MAX];
    size_t size = adr_token_format (token, text);
    assert_int_equal (size, strlen (text));
    assert_true (adr_token_parse (&read, text, size));
    assert_memory_equal (&read, token, sizeof read);
    assert_int_equal (adr_token_format (&read, again), size);
    assert_string_equal (again, text);
}

static void
s_round_trip (void **state)
{
    (void) state;
    adr_token_t token = s_token ();
    s_round (&token);
    token.founds = true; /* [GROUP-3] another format, and nothing else */
    s_round (&token);
    token.type = ADR_NODE_PKI;
    assert_false (adr_token_is_sound (&token)); /* which a PKI node does not */
    token.founds = false;
    token.door_count = 1; /* what stands behind is not of the token */
    memset (&token.door[1], 0, sizeof token.door[1]);
    s_round (&token);
    token.type = ADR_NODE_EDGE;
    token.group = (adr_id_t){ 0 };
    memset (token.group_name, 0, sizeof token.group_name);
    s_round (&token);
}

static void
s_the_largest (void **state)
{
    (void) state;
    adr_token_t token = s_token ();
    token.expires_ms = INT64_MAX;
    token.door_count = 3;
    memset (token.zone_name, 'z', ADR_NAME_MAX);
    memset (token.group_name, '~', ADR_NAME_MAX);
    memset (token.node_name, ' ', ADR_NAME_MAX);
    for (int i = 0; i < 3; i++) {
        memset (token.door[i].curve_key, 255, ADR_KEY_SIZE);
        memset (token.door[i].endpoint, '9', ADR_ENDPOINT_MAX);
        memcpy (token.door[i].endpoint, "tcp://", 6);
    }
    s_round (&token);
    char text[ADR_TOKEN_TEXT_MAX];
    size_t size = adr_token_format (&token, text);
    assert_int_equal (size, ADR_TOKEN_TEXT_MAX - 1);
    for (size_t at = 0; at < size; at++) { /* no byte that is no letter passes for one, as libsodium has it */
        char letter = text[at];
        for (int byte = 128; byte < 256; byte++) {
            text[at] = (char) byte;
            assert_false (s_parses (text, size));
        }
        text[at] = letter;
    }
}

static void
s_white_space_around (void **state)
{
    (void) state;
    char text[ADR_TOKEN_TEXT_MAX + 16];
    int size = snprintf (text, sizeof text, " \t\r\n%s\r\n\t ", s_golden);
    assert_true (s_parses (text, (size_t) size));
    text[20] = ' '; /* within it is none */
    assert_false (s_parses (text, (size_t) size));
    size = snprintf (text, sizeof text, "%s", s_golden);
    assert_false (s_parses (text, (size_t) size + 1)); /* a zero is no white space */
    assert_false (s_parses (" \n", 2));
}

static void
s_every_truncation (void **state)
{
    (void) state;
    for (size_t size = 0; size < strlen (s_golden); size++) {
        assert_false (s_parses (s_golden, size));
        assert_false (s_parses (s_golden + strlen (s_golden) - size, size));
    }
}

static void
s_every_mistyped_character (void **state)
{
    (void) state;
    static const char others[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_+/=. \n\x01\xff";
    char text[sizeof s_golden];
    for (size_t i = 0; i < strlen (s_golden); i++)
        for (const char *other = others; *other; other++) {
            if (*other == s_golden[i])
                continue;
            memcpy (text, s_golden, sizeof text);
            text[i] = *other;
            assert_false (s_parses (text, strlen (text)));
        }
}

/* Two letters that changed places. */
static void
s_every_swap (void **state)
{
    (void) state;
    char text[sizeof s_golden];
    for (size_t i = 0; i + 1 < strlen (s_golden); i++) {
        memcpy (text, s_golden, sizeof text);
        text[i] = s_golden[i + 1];
        text[i + 1] = s_golden[i];
        assert_int_equal (s_parses (text, strlen (text)), text[i] == text[i + 1]);
    }
}

/* --- each field ---------------------------------------------------------------------------------------------------- */

typedef struct {
    uint8_t at[ADR_TOKEN_BYTES_MAX + 64];
    size_t size; /* without the check */
} s_raw_t;

static s_raw_t
s_raw (void)
{
    s_raw_t raw;
    assert_int_equal (sodium_base642bin (raw.at, sizeof raw.at, s_golden + 5, strlen (s_golden) - 5, NULL, &raw.size, NULL, S_URL_SAFE),
                      0);
    raw.size -= 4;
    return raw;
}

static void
s_replace (s_raw_t *raw, size_t at, size_t old_size, const char *bytes, size_t size)
{
    memmove (raw->at + at + size, raw->at + at + old_size, raw->size - at - old_size);
    memcpy (raw->at + at, bytes, size);
    raw->size += size - old_size;
}

/* The text of these bytes with a check that fits, so that the fields alone are judged. */
static size_t
s_seal (const s_raw_t *raw, char text[2 * sizeof (s_raw_t)])
{
    uint8_t bytes[sizeof raw->at + 4], hash[32];
    memcpy (bytes, raw->at, raw->size);
    crypto_generichash (hash, sizeof hash, bytes, raw->size, NULL, 0);
    memcpy (bytes + raw->size, hash, 4);
    strcpy (text, "adr1.");
    sodium_bin2base64 (text + 5, 2 * sizeof (s_raw_t) - 5, bytes, raw->size + 4, S_URL_SAFE);
    return strlen (text);
}

static bool
s_raw_parses (const s_raw_t *raw)
{
    char text[2 * sizeof (s_raw_t)];
    return s_parses (text, s_seal (raw, text));
}

static bool
s_patched (size_t at, size_t old_size, const char *bytes, size_t size)
{
    s_raw_t raw = s_raw ();
    s_replace (&raw, at, old_size, bytes, size);
    return s_raw_parses (&raw);
}

static void
s_each_field (void **state)
{
    (void) state;
    static const char zeros[32];
    s_raw_t raw = s_raw ();
    assert_true (s_raw_parses (&raw));
    assert_false (s_patched (0, 1, "\0", 1)); /* formats that are not ours */
    assert_true (s_patched (0, 1, "\2", 1)); /* [GROUP-3] of a node that founds its group */
    assert_false (s_patched (0, 1, "\3", 1));
    assert_false (s_patched (S_CLUSTER, 16, zeros, 16));
    assert_false (s_patched (S_ZONE, 16, zeros, 16));
    assert_false (s_patched (S_EXPIRES, 8, zeros, 8));
    assert_false (s_patched (S_EXPIRES, 8, "\0\0\0\0\0\0\0\x80", 8)); /* negative */
    assert_true (s_patched (S_EXPIRES, 8, "\1\0\0\0\0\0\0\0", 8));
    for (int type = 0; type < 256; type++)
        assert_int_equal (s_patched (S_TYPE, 1, (char[]){ (char) type }, 1), type >= ADR_NODE_META && type <= ADR_NODE_PKI);
}

/* Bytes that end too early, with a check that fits. */
static void
s_every_end (void **state)
{
    (void) state;
    s_raw_t raw = s_raw ();
    while (raw.size > 0) {
        raw.size--;
        assert_false (s_raw_parses (&raw));
    }
}

static void
s_group_and_type_agree (void **state)
{
    (void) state;
    static const char zeros[32];
    assert_false (s_patched (S_GROUP, 16, zeros, 16));
    assert_false (s_patched (S_GROUP_NAME, 6, "\0", 1)); /* a group without a name */
    s_raw_t raw = s_raw ();
    raw.at[S_TYPE] = ADR_NODE_EDGE;
    assert_false (s_raw_parses (&raw));
    memset (raw.at + S_GROUP, 0, 16);
    assert_false (s_raw_parses (&raw)); /* a name without a group */
    s_replace (&raw, S_GROUP_NAME, 6, "\0", 1);
    assert_true (s_raw_parses (&raw));
}

static void
s_names (void **state)
{
    (void) state;
    char largest[66];
    memset (largest, 'n', sizeof largest);
    assert_false (s_patched (S_TEXTS, 3, "\0", 1));
    assert_false (s_patched (S_NODE_NAME, 9, "\0", 1));
    assert_false (s_patched (S_TEXTS, 3, "\2z\0", 3)); /* a zero within a text */
    assert_false (s_patched (S_TEXTS, 3, "\2z\n", 3));
    assert_false (s_patched (S_TEXTS, 3, "\2z\x7f", 3));
    assert_false (s_patched (S_GROUP_NAME, 6, "\2g\x80", 3));
    assert_false (s_patched (S_NODE_NAME, 9, "\2n\x1b", 3));
    assert_true (s_patched (S_NODE_NAME, 9, "\2n ", 3));
    largest[0] = 63;
    assert_true (s_patched (S_NODE_NAME, 9, largest, 64));
    largest[0] = 64;
    assert_false (s_patched (S_NODE_NAME, 9, largest, 65));
    assert_false (s_patched (S_TEXTS, 3, largest, 65));
    assert_false (s_patched (S_GROUP_NAME, 6, largest, 65));
    assert_false (s_patched (S_NODE_NAME, 1, "\xff", 1)); /* longer than what follows */
}

static void
s_doors (void **state)
{
    (void) state;
    static const char zeros[32];
    char endpoint[130] = "\x7ftcp://";
    memset (endpoint + 7, 'h', sizeof endpoint - 7);
    s_raw_t raw = s_raw ();
    raw.size = S_DOORS + 1;
    raw.at[S_DOORS] = 0;
    assert_false (s_raw_parses (&raw)); /* none */
    assert_false (s_patched (S_DOORS, 1, "\1", 1)); /* bytes behind the last */
    assert_false (s_patched (S_DOORS, 1, "\3", 1)); /* one is missing */
    assert_false (s_patched (S_DOORS, 1, "\4", 1));
    assert_false (s_patched (S_KEY, 32, zeros, 32));
    assert_false (s_patched (S_ENDPOINT, 20, "\6tcp://", 7));
    assert_false (s_patched (S_ENDPOINT, 20, "\0", 1));
    assert_false (s_patched (S_ENDPOINT, 20, "\x09ipc://h:1", 10));
    assert_false (s_patched (S_ENDPOINT, 20, "\x09tcp://h 1", 10));
    assert_true (s_patched (S_ENDPOINT, 20, "\x09tcp://h:1", 10));
    assert_true (s_patched (S_ENDPOINT, 20, endpoint, 128));
    endpoint[0] = (char) 0x80;
    assert_false (s_patched (S_ENDPOINT, 20, endpoint, 129));
    raw = s_raw ();
    for (int i = 0; i < 2; i++) /* four that are whole */
        s_replace (&raw, S_KEY, 0, (const char *) raw.at + S_KEY, 52);
    raw.at[S_DOORS] = 4;
    assert_false (s_raw_parses (&raw));
    raw.at[S_DOORS] = 3;
    s_replace (&raw, S_KEY, 52, "", 0);
    assert_true (s_raw_parses (&raw));
}

/* Last bits that mean nothing are zero, and there is no padding. */
static void
s_one_text_only (void **state)
{
    (void) state;
    for (const char *name = "\1n\0\2nn\0\3nnn"; name[0] <= 3; name += name[0] + 2) {
        s_raw_t raw = s_raw ();
        char text[2 * sizeof (s_raw_t)];
        s_replace (&raw, S_NODE_NAME, 9, name, (size_t) name[0] + 1);
        size_t size = s_seal (&raw, text);
        assert_true (s_parses (text, size));
        for (size_t more = 1; more <= 3; more++) {
            text[size + more - 1] = '=';
            assert_false (s_parses (text, size + more));
        }
        if ((raw.size + 4) % 3 != 0) { /* the last letter has bits to spare: A and B, Q and R */
            text[size - 1]++;
            assert_false (s_parses (text, size));
        }
        if (name[0] == 3)
            break;
    }
}

/* --- proofs -------------------------------------------------------------------------------------------------------- */

static const char *const s_endpoints[ADR_JOIN_ENDPOINTS] = { "tcp://10.0.0.4:7400", "tcp://10.0.0.4:7401", "", "" };
static const uint8_t s_request[] = { 'a', ' ', 'r', 'e', 'q', 'u', 'e', 's', 't' };

static void
s_golden_keys (void **state)
{
    (void) state;
    adr_token_t token = s_token ();
    uint8_t key[ADR_KEY_SIZE], signature[ADR_SIGNATURE_SIZE], hash[ADR_TOKEN_HASH_SIZE];
    char text[2 * ADR_SIGNATURE_SIZE + 1];
    adr_token_public (&token, key);
    adr_hex_format (text, key, sizeof key);
    assert_string_equal (text, "03a107bff3ce10be1d70dd18e74bc09967e4d6309ba50d5f1ddc8664125531b8");
    adr_token_sign_join (&token, adr_bytes (s_request, sizeof s_request), s_endpoints, 0, signature);
    adr_hex_format (text, signature, sizeof signature);
    assert_string_equal (text, "935c8d518a49fe35476735aee492a53103b02ff2b2dba34303273e153a8e2fc2"
                               "ec76e5764dbc8c40f0ddfe2bd8363f3f847202256000d9761636cf0c79435f09");
    adr_token_hash_root (adr_bytes ("a certificate", 13), hash);
    adr_hex_format (text, hash, sizeof hash);
    assert_string_equal (text, "8fa458f71f27c64ebaa79bbf5aa681e2b756ce66e96ab96a8c52155619ba7a7a");
}

static void
s_what_a_proof_covers (void **state)
{
    (void) state;
    adr_token_t token = s_token ();
    uint8_t key[ADR_KEY_SIZE], signature[ADR_SIGNATURE_SIZE], request[sizeof s_request];
    adr_bytes_t bytes = adr_bytes (request, sizeof request);
    memcpy (request, s_request, sizeof request);
    adr_token_public (&token, key);
    adr_token_sign_join (&token, bytes, s_endpoints, 0, signature);
    assert_true (adr_token_join_signed (key, &token.cluster, bytes, s_endpoints, 0, signature));
    for (size_t i = 0; i < sizeof signature; i++) {
        signature[i] ^= 1;
        assert_false (adr_token_join_signed (key, &token.cluster, bytes, s_endpoints, 0, signature));
        signature[i] ^= 1;
    }
    for (size_t i = 0; i < sizeof request; i++) {
        request[i] ^= 1;
        assert_false (adr_token_join_signed (key, &token.cluster, bytes, s_endpoints, 0, signature));
        request[i] ^= 1;
    }
    assert_false (adr_token_join_signed (key, &token.zone, bytes, s_endpoints, 0, signature));
    token.secret[0] ^= 1;
    adr_token_public (&token, key);
    assert_false (adr_token_join_signed (key, &token.cluster, bytes, s_endpoints, 0, signature));
}

static void
s_a_proof_covers_endpoints (void **state)
{
    (void) state;
    adr_token_t token = s_token ();
    uint8_t key[ADR_KEY_SIZE], signature[ADR_SIGNATURE_SIZE];
    adr_bytes_t bytes = adr_bytes (s_request, sizeof s_request);
    adr_token_public (&token, key);
    adr_token_sign_join (&token, bytes, s_endpoints, 0, signature);
    for (int i = 0; i < ADR_JOIN_ENDPOINTS; i++) {
        const char *other[ADR_JOIN_ENDPOINTS];
        memcpy (other, s_endpoints, sizeof other);
        other[i] = "tcp://10.0.0.5:1";
        assert_false (adr_token_join_signed (key, &token.cluster, bytes, other, 0, signature));
    }
    const char *shifted[ADR_JOIN_ENDPOINTS] = { s_endpoints[0], "", s_endpoints[1], "" };
    assert_false (adr_token_join_signed (key, &token.cluster, bytes, shifted, 0, signature));
}

/* Verifies what was signed rightly, whatever its sizes, by who knows the secret: he is not to be trusted with them. */
static bool
s_signed (adr_bytes_t request, const char *const endpoint[ADR_JOIN_ENDPOINTS])
{
    adr_token_t token = s_token ();
    adr_buffer_t bytes = { 0 };
    uint8_t key[ADR_KEY_SIZE], secret[crypto_sign_SECRETKEYBYTES], signature[ADR_SIGNATURE_SIZE];
    crypto_sign_seed_keypair (key, secret, token.secret);
    adr_buffer_append (&bytes, "adrestia join", 14);
    adr_buffer_append (&bytes, token.cluster.bytes, ADR_ID_SIZE);
    adr_buffer_append (&bytes, request.data, request.size);
    for (int i = 0; i < ADR_JOIN_ENDPOINTS; i++)
        adr_buffer_append (&bytes, endpoint[i], strlen (endpoint[i]) + 1);
    crypto_sign_detached (signature, NULL, bytes.data, bytes.size, secret);
    bool good = adr_token_join_signed (key, &token.cluster, request, endpoint, 0, signature);
    crypto_sign_detached (signature, NULL, NULL, 0, secret); /* nothing at all */
    assert_false (adr_token_join_signed (key, &token.cluster, request, endpoint, 0, signature));
    adr_buffer_free (&bytes);
    return good;
}

static void
s_sizes_of_a_proof (void **state)
{
    (void) state;
    static const uint8_t large[ADR_CERTIFICATE_MAX + 1];
    char endpoint[ADR_ENDPOINT_MAX + 2];
    memset (endpoint, 'e', sizeof endpoint);
    endpoint[ADR_ENDPOINT_MAX + 1] = 0;
    const char *const longest[ADR_JOIN_ENDPOINTS] = { endpoint + 1, endpoint + 1, endpoint + 1, endpoint + 1 };
    assert_true (s_signed (adr_bytes (large, sizeof large - 1), longest));
    assert_true (s_signed (adr_bytes (large, 1), s_endpoints));
    assert_false (s_signed (adr_bytes (large, 0), s_endpoints));
    assert_false (s_signed (adr_bytes (large, sizeof large), s_endpoints));
    for (int i = 0; i < ADR_JOIN_ENDPOINTS; i++) {
        const char *one_long[ADR_JOIN_ENDPOINTS] = { "", "", "", "" };
        one_long[i] = endpoint;
        assert_false (s_signed (adr_bytes (large, 1), one_long));
    }
}

int
main (void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test (s_golden_text),
        cmocka_unit_test (s_round_trip),
        cmocka_unit_test (s_the_largest),
        cmocka_unit_test (s_white_space_around),
        cmocka_unit_test (s_every_truncation),
        cmocka_unit_test (s_every_mistyped_character),
        cmocka_unit_test (s_every_swap),
        cmocka_unit_test (s_each_field),
        cmocka_unit_test (s_every_end),
        cmocka_unit_test (s_group_and_type_agree),
        cmocka_unit_test (s_names),
        cmocka_unit_test (s_doors),
        cmocka_unit_test (s_one_text_only),
        cmocka_unit_test (s_golden_keys),
        cmocka_unit_test (s_what_a_proof_covers),
        cmocka_unit_test (s_a_proof_covers_endpoints),
        cmocka_unit_test (s_sizes_of_a_proof),
    };
    return cmocka_run_group_tests (tests, NULL, NULL);
}
