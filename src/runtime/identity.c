/* SPDX-License-Identifier: MPL-2.0 */
/* Who a node is: see identity.h. */

#include "runtime/identity.h"

#include "core/map_trust.h"
#include "runtime/clock.h"
#include "runtime/failure.h"
#include "wire/map_codec.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sodium.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

/* --- files ------------------------------------------------------------------------------------------------------ */

static bool
s_read_all (int file, const char *path, size_t max, adr_buffer_t *buffer, const adr_failure_t *error)
{
    for (;;) {
        uint8_t piece[4096];
        ssize_t got = read (file, piece, sizeof piece);
        if (got < 0 && errno == EINTR)
            continue;
        if (got > 0 && buffer->size + (size_t) got <= max)
            adr_buffer_append (buffer, piece, (size_t) got);
        else if (got > 0)
            got = -2;
        sodium_memzero (piece, sizeof piece);
        if (got == -2)
            return adr_fail (error, "%s: larger than %zu bytes", path, max);
        if (got < 0)
            return adr_fail (error, "%s: %s", path, strerror (errno));
        if (got == 0)
            return true;
    }
}

/* `secret`: refuse what others may read. */
static bool
s_read_file (const char *path, size_t max, bool secret, adr_buffer_t *buffer, const adr_failure_t *error)
{
    int file = open (path, O_RDONLY | O_CLOEXEC);
    if (file < 0)
        return adr_fail (error, "%s: %s", path, strerror (errno));
    struct stat status;
    bool good = fstat (file, &status) == 0 || adr_fail (error, "%s: %s", path, strerror (errno));
    if (good && secret && (status.st_mode & 077))
        good = adr_fail (error, "%s: others may read this key -> chmod 600", path);
    good = good && s_read_all (file, path, max, buffer, error);
    close (file);
    return good;
}

bool
adr_file_read (const char *path, size_t max, adr_buffer_t *buffer, char *error, size_t error_size)
{
    adr_failure_t place = { error, error_size };
    return s_read_file (path, max, false, buffer, &place);
}

static bool
s_path (char path[PATH_MAX], const char *folder, const char *name, const adr_failure_t *error)
{
    int length = snprintf (path, PATH_MAX, "%s/%s", folder, name);
    return (length > 0 && length < PATH_MAX) || adr_fail (error, "%s: the path is too long", folder);
}

/* --- the map ---------------------------------------------------------------------------------------------------- */

static bool
s_check_node (const adr_map_t *map, const adr_cert_chain_t *chain, const adr_map_node_t *node, const char *path,
              const adr_failure_t *error)
{
    adr_cert_fault_t fault = adr_map_check_node (map, chain, node, adr_clock_wall_ms ());
    return fault == ADR_CERT_SOUND
           || adr_fail (error, "%s: the certificate of %s is not believed: %s", path, node->name, adr_cert_fault_name (fault));
}

adr_map_t *
adr_map_load (const char *path, char *error, size_t error_size)
{
    adr_failure_t place = { error, error_size };
    adr_buffer_t bytes = { 0 };
    adr_map_t *map = NULL;
    if (s_read_file (path, ADR_HEADER_MAX, false, &bytes, &place)
        && !adr_map_decode (&map, adr_bytes (bytes.data, bytes.size)))
        adr_fail (&place, "%s: no clusterMap", path);
    adr_buffer_free (&bytes);
    if (map == NULL)
        return NULL;
    size_t size = adr_map_size_max (map);
    if (size > ADR_MAP_MAX) {
        adr_fail (&place, "%s: the clusterMap is too large: with its groups' statuses it may take %zu bytes, at most %d fit "
                "in a message", path, size, ADR_MAP_MAX);
        adr_map_destroy (&map);
        return NULL;
    }
    adr_cert_chain_t chain = adr_cert_chain_of_map (map);
    for (uint32_t i = 0; i < map->node_count; i++)
        if (!s_check_node (map, &chain, &map->node[i], path, &place)) {
            adr_map_destroy (&map);
            return NULL;
        }
    return map;
}

/* --- a node ----------------------------------------------------------------------------------------------------- */

static bool
s_load_keys (adr_keys_t *keys, const char *path, const adr_failure_t *error)
{
    adr_buffer_t text = { 0 };
    bool good = s_read_file (path, ADR_KEYS_TEXT_MAX, true, &text, error);
    if (good && !adr_keys_parse (keys, (const char *) text.data, text.size))
        good = adr_fail (error, "%s: no key file; expected curve-secret and sign-secret", path);
    adr_buffer_wipe (&text);
    return good;
}

static bool
s_load_cert (adr_cert_t *cert, const adr_map_t *map, const char *path, const adr_failure_t *error)
{
    adr_buffer_t bytes = { 0 };
    bool good = s_read_file (path, ADR_CERTIFICATE_MAX, false, &bytes, error);
    if (good) {
        adr_cert_chain_t chain = adr_cert_chain_of_map (map);
        adr_cert_fault_t fault = adr_cert_verify (cert, adr_bytes (bytes.data, bytes.size), &chain,
                                                  adr_clock_wall_ms (), false);
        if (fault != ADR_CERT_SOUND)
            good = adr_fail (error, "%s: not believed: %s", path, adr_cert_fault_name (fault));
    }
    adr_buffer_free (&bytes);
    return good;
}

static bool
s_load_pair (adr_cert_t *cert, adr_keys_t *keys, const adr_map_t *map, const char *folder, const char *name,
             const adr_failure_t *error)
{
    char cert_name[32], key_name[32], cert_path[PATH_MAX], key_path[PATH_MAX];
    snprintf (cert_name, sizeof cert_name, "%s.cert", name);
    snprintf (key_name, sizeof key_name, "%s.key", name);
    return s_path (cert_path, folder, cert_name, error) && s_path (key_path, folder, key_name, error)
           && s_load_cert (cert, map, cert_path, error) && s_load_keys (keys, key_path, error)
           && (adr_keys_fit (keys, cert)
               || adr_fail (error, "%s: these are not the keys that %s names", key_path, cert_path));
}

static bool
s_load_authority (adr_identity_t *self, const adr_map_t *map, const char *folder, const adr_failure_t *error)
{
    adr_keys_t keys = { 0 };
    bool good = s_load_pair (&self->authority.certificate, &keys, map, folder, "authority", error)
                && (self->authority.certificate.kind == ADR_CERT_AUTHORITY
                    || adr_fail (error, "%s/authority.cert: no authority's certificate", folder));
    memcpy (self->authority.sign_seed, keys.sign_seed, ADR_KEY_SIZE);
    sodium_memzero (&keys, sizeof keys);
    self->has_authority = good;
    return good;
}

/* [KEY-2] A cluster that was founded before there were such keys has none: its PKI nodes keep no credentials. */
static bool
s_load_sealing_key (adr_authority_t *authority, const char *folder, const adr_failure_t *error)
{
    char path[PATH_MAX];
    adr_buffer_t text = { 0 };
    if (!s_path (path, folder, "sealing.key", error))
        return false;
    if (access (path, F_OK) != 0 && errno == ENOENT)
        return true;
    bool good = s_read_file (path, 2 * ADR_KEY_SIZE + 1, true, &text, error);
    if (good && (text.size < 2 * ADR_KEY_SIZE
                 || !adr_hex_parse (authority->sealing_key, ADR_KEY_SIZE, (const char *) text.data, 2 * ADR_KEY_SIZE)
                 || (text.size > 2 * ADR_KEY_SIZE && text.data[2 * ADR_KEY_SIZE] != '\n')))
        good = adr_fail (error, "%s: expected 64 hexadecimal digits; all PKI nodes have the same", path);
    authority->has_sealing_key = good;
    adr_buffer_wipe (&text);
    return good;
}

bool
adr_identity_load (adr_identity_t *self, const adr_map_t *map, const char *folder, char *error, size_t error_size)
{
    adr_failure_t place = { error, error_size };
    adr_cert_t cert;
    *self = (adr_identity_t){ 0 };
    if (!s_load_pair (&cert, &self->keys, map, folder, "node", &place))
        return false;
    self->node = adr_map_node (map, &cert.node);
    if (self->node && self->node->evicted)
        return adr_fail (&place, "%s: %s was evicted; nobody hears it, and a node in its place is a new one", folder, self->node->name);
    if (cert.kind != ADR_CERT_NODE || self->node == NULL || !adr_map_node_fits (&cert, self->node))
        return adr_fail (&place, "%s/node.cert: the map does not list this node with these keys", folder);
    return self->node->type != ADR_NODE_PKI
           || (s_load_authority (self, map, folder, &place) && s_load_sealing_key (&self->authority, folder, &place));
}

void
adr_identity_forget (adr_identity_t *self)
{
    sodium_memzero (self, sizeof *self);
}
