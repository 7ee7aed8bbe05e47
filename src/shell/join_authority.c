/* SPDX-License-Identifier: MPL-2.0 */
/* The authority of a PKI node that joins: see join.h. Its key is made here and stays here; the root, which is kept offline, signs its
 * certificate in between, so that such a join is two runs:
 *
 *     authority.key, authority.request  made by the first run, which ends then
 *     authority.cert                    made of the request by `adrestia cert sign`, where the root is, and brought here
 *
 * Makes durable: the first two, each whole. */

#include "shell/join.h"

#include "runtime/identity.h"

#include <sodium.h>
#include <stdio.h>

#define S_KEY "authority.key"
#define S_REQUEST "authority.request"
#define S_CERT "authority.cert"
#define S_SMALL 4096

/* A file of the folder, whole. */
static bool
s_get (const adr_join_folder_t *folder, const char *name, adr_buffer_t *bytes, char *error, size_t error_size)
{
    char path[4096 + 64];
    snprintf (path, sizeof path, "%.4096s/%s", folder->path, name);
    return adr_file_read (path, S_SMALL, bytes, error, error_size);
}

static bool
s_make_keys (const adr_join_folder_t *folder, adr_keys_t *keys, char *error, size_t error_size)
{
    char text[ADR_KEYS_TEXT_MAX];
    *keys = (adr_keys_t){ 0 };
    randombytes_buf (keys->sign_seed, ADR_KEY_SIZE);
    size_t size = adr_keys_format (keys, text);
    bool good = adr_join_folder_put (folder, S_KEY, 0600, adr_bytes (text, size), error, error_size);
    sodium_memzero (text, sizeof text);
    return good;
}

static bool
s_get_keys (const adr_join_folder_t *folder, adr_keys_t *keys, char *error, size_t error_size)
{
    adr_buffer_t text = { 0 };
    bool good = s_get (folder, S_KEY, &text, error, error_size);
    if (good && !adr_keys_parse (keys, (const char *) text.data, text.size)) {
        snprintf (error, error_size, "%s/" S_KEY ": no key file", folder->path);
        good = false;
    }
    adr_buffer_wipe (&text);
    return good;
}

/* As a node's request, signed by the authority's key: it is for this node alone. */
static bool
s_put_request (const adr_join_folder_t *folder, const adr_token_t *token, const adr_join_identity_t *identity, const adr_keys_t *keys,
               char *error, size_t error_size)
{
    uint8_t bytes[ADR_CERTIFICATE_MAX];
    adr_cert_t request = { .kind = ADR_CERT_REQUEST, .type = token->type, .cluster = token->cluster, .zone = token->zone,
                           .node = identity->node, .group = token->group };
    memcpy (request.name, token->node_name, sizeof request.name);
    adr_keys_public (&identity->keys, request.curve_key, NULL);
    adr_keys_public (keys, NULL, request.sign_key);
    adr_cert_sign (&request, keys->sign_seed);
    return adr_join_folder_put (folder, S_REQUEST, 0644, adr_bytes (bytes, adr_cert_encode (&request, bytes)), error, error_size);
}

/* The cluster judges it; that it is of these keys and this node is seen here. */
static bool
s_get_certificate (const adr_join_folder_t *folder, const adr_join_identity_t *identity, const adr_keys_t *keys, adr_buffer_t *bytes,
                   char *error, size_t error_size)
{
    adr_cert_t cert;
    if (!s_get (folder, S_CERT, bytes, error, error_size))
        return false;
    bool good = adr_cert_decode (&cert, adr_bytes (bytes->data, bytes->size)) && cert.kind == ADR_CERT_AUTHORITY
                && adr_keys_fit (keys, &cert) && adr_id_equal (&cert.node, &identity->node);
    if (!good)
        snprintf (error, error_size, "%s/" S_CERT ": is not the certificate that " S_REQUEST " asks for", folder->path);
    return good;
}

int
adr_join_authority (const adr_join_folder_t *folder, const adr_token_t *token, const adr_join_identity_t *identity,
                    adr_buffer_t *certificate, char *error, size_t error_size)
{
    adr_keys_t keys;
    bool made = adr_join_folder_has (folder, S_KEY);
    bool good = made ? s_get_keys (folder, &keys, error, error_size) : s_make_keys (folder, &keys, error, error_size);
    bool is_signed = adr_join_folder_has (folder, S_CERT);
    if (good)
        good = is_signed ? s_get_certificate (folder, identity, &keys, certificate, error, error_size)
                         : s_put_request (folder, token, identity, &keys, error, error_size);
    sodium_memzero (&keys, sizeof keys);
    if (!good)
        return adr_join_say (ADR_EXIT_CONFIG, "%s", error);
    if (is_signed)
        return 0;
    return adr_join_say (ADR_JOIN_AGAIN,
                         "%s/" S_REQUEST " is written: the cluster's root has to sign it (adrestia cert sign " S_REQUEST
                         " --ca CA --out " S_CERT "); bring " S_CERT " here, then the same command again goes on", folder->path);
}
