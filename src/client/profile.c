/* SPDX-License-Identifier: MPL-2.0 */
/* Reading a client's profile: see profile.h.
 *
 * Owns: nothing. Assumes: the file may hold anything; each complaint names its line. The secret key is read last, is
 * never named in a complaint, and a file that others may read is refused. */

#include "client/profile.h"

#include "core/cert.h"

#include <errno.h>
#include <fcntl.h>
#include <sodium.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <yaml.h>

#define S_FILE_MAX (64 * 1024) /* 64 edges are under 16 KiB */

typedef struct {
    const char *path;
    char *error;
    size_t error_size;
    yaml_document_t document;
    adr_profile_t *profile;
    char secret_file[512];
    unsigned seen; /* one bit a key of s_keys */
} s_reader_t;

static bool s_complain (s_reader_t *self, const yaml_node_t *node, const char *format, ...) ADR_PRINTF (3, 4);

static bool
s_complain (s_reader_t *self, const yaml_node_t *node, const char *format, ...)
{
    char text[256];
    va_list arguments;
    va_start (arguments, format);
    vsnprintf (text, sizeof text, format, arguments);
    va_end (arguments);
    if (!self->error)
        return false;
    if (node)
        snprintf (self->error, self->error_size, "%s:%zu: %s", self->path, node->start_mark.line + 1, text);
    else
        snprintf (self->error, self->error_size, "%s: %s", self->path, text);
    return false;
}

/* --- values --------------------------------------------------------------------------------------------------- */

/* The text of a plain value, without a NUL inside; NULL and a complaint otherwise. */
static const char *
s_text (s_reader_t *self, const yaml_node_t *node, const char *name)
{
    if (node->type == YAML_SCALAR_NODE && node->data.scalar.length > 0
        && strlen ((const char *) node->data.scalar.value) == node->data.scalar.length)
        return (const char *) node->data.scalar.value;
    s_complain (self, node, "%s: expected a text", name);
    return NULL;
}

static bool
s_read_id (s_reader_t *self, const yaml_node_t *node, const char *name, adr_id_t *id)
{
    const char *text = s_text (self, node, name);
    return text && (adr_id_parse (id, text) || s_complain (self, node, "%s: expected a UUID", name));
}

static bool
s_read_key (s_reader_t *self, const yaml_node_t *node, const char *name, uint8_t key[32])
{
    const char *text = s_text (self, node, name);
    return text
           && (adr_hex_parse (key, 32, text, strlen (text))
               || s_complain (self, node, "%s: expected 64 hexadecimal digits", name));
}

static bool
s_read_endpoint (s_reader_t *self, const yaml_node_t *node, char *endpoint)
{
    const char *text = s_text (self, node, "endpoint");
    if (!text)
        return false;
    if (strncmp (text, "tcp://", 6) != 0 || !strrchr (text + 6, ':') || strlen (text) > ADR_ENDPOINT_MAX)
        return s_complain (self, node, "endpoint: expected tcp://host:port");
    strcpy (endpoint, text);
    return true;
}

/* --- edges ---------------------------------------------------------------------------------------------------- */

static bool
s_read_edge (s_reader_t *self, yaml_node_t *node)
{
    adr_profile_edge_t *edge = &self->profile->edge[self->profile->edge_count];
    bool endpoint = false, key = false;
    if (node->type != YAML_MAPPING_NODE)
        return s_complain (self, node, "edges: expected `endpoint` and `curve-key`");
    for (yaml_node_pair_t *pair = node->data.mapping.pairs.start; pair < node->data.mapping.pairs.top; pair++) {
        yaml_node_t *name_node = yaml_document_get_node (&self->document, pair->key);
        yaml_node_t *value = yaml_document_get_node (&self->document, pair->value);
        const char *name = s_text (self, name_node, "edges");
        if (!name)
            return false;
        bool good = false;
        if (!strcmp (name, "endpoint") && !endpoint)
            good = endpoint = s_read_endpoint (self, value, edge->endpoint);
        else if (!strcmp (name, "curve-key") && !key)
            good = key = s_read_key (self, value, "curve-key", edge->curve_key);
        else
            s_complain (self, name_node, "edges: `%.40s` is unknown, or stands there twice", name);
        if (!good)
            return false;
    }
    if (!endpoint || !key)
        return s_complain (self, node, "edges: expected `endpoint` and `curve-key`");
    self->profile->edge_count++;
    return true;
}

static bool
s_read_edges (s_reader_t *self, const yaml_node_t *node)
{
    if (node->type != YAML_SEQUENCE_NODE || node->data.sequence.items.start == node->data.sequence.items.top)
        return s_complain (self, node, "edges: expected a list of at least one edge");
    for (yaml_node_item_t *item = node->data.sequence.items.start; item < node->data.sequence.items.top; item++) {
        yaml_node_t *edge = yaml_document_get_node (&self->document, *item);
        if (self->profile->edge_count == ADR_PROFILE_EDGES_MAX)
            return s_complain (self, edge, "edges: at most %d", ADR_PROFILE_EDGES_MAX);
        if (!s_read_edge (self, edge))
            return false;
    }
    return true;
}

/* --- the whole ------------------------------------------------------------------------------------------------ */

static bool
s_read_cluster (s_reader_t *self, const yaml_node_t *node)
{
    return s_read_id (self, node, "cluster", &self->profile->cluster);
}

static bool
s_read_node (s_reader_t *self, const yaml_node_t *node)
{
    return s_read_id (self, node, "node", &self->profile->node);
}

static bool
s_read_public (s_reader_t *self, const yaml_node_t *node)
{
    return s_read_key (self, node, "curve-public", self->profile->curve_public);
}

static bool
s_read_secret_file (s_reader_t *self, const yaml_node_t *node)
{
    const char *text = s_text (self, node, "curve-secret-file");
    const char *slash = strrchr (self->path, '/');
    if (!text)
        return false;
    int folder = text[0] == '/' || !slash ? 0 : (int) (slash - self->path) + 1;
    int size = snprintf (self->secret_file, sizeof self->secret_file, "%.*s%s", folder, self->path, text);
    return (size_t) size < sizeof self->secret_file || s_complain (self, node, "curve-secret-file: too long");
}

static bool
s_read_follow (s_reader_t *self, const yaml_node_t *node)
{
    const char *text = s_text (self, node, "follow-master");
    if (!text)
        return false;
    self->profile->follow_master = strcmp (text, "yes") == 0;
    return self->profile->follow_master || strcmp (text, "no") == 0
           || s_complain (self, node, "follow-master: expected `yes` or `no`");
}

static bool
s_read_root (s_reader_t *self, const yaml_node_t *node)
{
    return self->profile->has_root = s_read_key (self, node, "root", self->profile->root_hash);
}

static const struct {
    const char *name;
    bool (*read) (s_reader_t *self, const yaml_node_t *node);
} s_keys[] = {
    { "cluster", s_read_cluster },           { "node", s_read_node },   { "curve-public", s_read_public },
    { "curve-secret-file", s_read_secret_file }, { "edges", s_read_edges },
    { "follow-master", s_read_follow },      { "root", s_read_root },
};
#define S_KEY_COUNT (sizeof s_keys / sizeof s_keys[0])
#define S_KEYS_NEEDED (S_KEY_COUNT - 2) /* the last two may be left out */

static bool
s_read_pair (s_reader_t *self, const yaml_node_pair_t *pair)
{
    yaml_node_t *name_node = yaml_document_get_node (&self->document, pair->key);
    const char *name = s_text (self, name_node, "a key");
    if (!name)
        return false;
    for (size_t i = 0; i < S_KEY_COUNT; i++) {
        if (strcmp (name, s_keys[i].name) != 0)
            continue;
        if (self->seen & 1u << i)
            return s_complain (self, name_node, "`%s` stands there twice", name);
        self->seen |= 1u << i;
        return s_keys[i].read (self, yaml_document_get_node (&self->document, pair->value));
    }
    return s_complain (self, name_node, "`%.40s` is unknown; expected cluster, node, curve-public, "
                                        "curve-secret-file, edges, follow-master or root", name);
}

static bool
s_read_document (s_reader_t *self)
{
    yaml_node_t *root = yaml_document_get_root_node (&self->document);
    if (!root || root->type != YAML_MAPPING_NODE)
        return s_complain (self, root, "expected keys with values");
    for (yaml_node_pair_t *pair = root->data.mapping.pairs.start; pair < root->data.mapping.pairs.top; pair++)
        if (!s_read_pair (self, pair))
            return false;
    for (size_t i = 0; i < S_KEYS_NEEDED; i++)
        if (!(self->seen & 1u << i))
            return s_complain (self, NULL, "`%s` is missing", s_keys[i].name);
    return true;
}

/* The whole file, at most `room` bytes. */
static ssize_t
s_slurp (int file, char *bytes, size_t room)
{
    size_t size = 0;
    while (size < room) {
        ssize_t part = read (file, bytes + size, room - size);
        if (part < 0 && errno == EINTR)
            continue;
        if (part < 0)
            return -1;
        if (part == 0)
            break;
        size += (size_t) part;
    }
    return (ssize_t) size;
}

static bool
s_read_secret (s_reader_t *self)
{
    char text[80];
    struct stat status;
    const char *path = self->secret_file;
    int file = open (path, O_RDONLY | O_CLOEXEC);
    if (file < 0)
        return s_complain (self, NULL, "curve-secret-file %s: %s", path, strerror (errno));
    ssize_t size = s_slurp (file, text, sizeof text);
    bool known = fstat (file, &status) == 0;
    close (file);
    while (size > 0 && (text[size - 1] == '\n' || text[size - 1] == '\r'))
        size--;
    bool good = size == 64 && adr_hex_parse (self->profile->curve_secret, 32, text, 64);
    sodium_memzero (text, sizeof text);
    if (!good)
        return s_complain (self, NULL, "curve-secret-file %s: expected 64 hexadecimal digits", path);
    if (!known || (status.st_mode & 077) != 0)
        return s_complain (self, NULL, "curve-secret-file %s: others may read it; chmod 600", path);
    return true;
}

/* The two keys must belong together, or every handshake would fail without a word. */
static bool
s_check_keys (s_reader_t *self)
{
    uint8_t public[32];
    if (crypto_scalarmult_base (public, self->profile->curve_secret) != 0
        || memcmp (public, self->profile->curve_public, sizeof public) != 0)
        return s_complain (self, NULL, "curve-public is not the public key of curve-secret-file");
    return true;
}

static bool
s_parse (s_reader_t *self, const char *text, size_t size)
{
    yaml_parser_t parser;
    if (!yaml_parser_initialize (&parser))
        return s_complain (self, NULL, "no memory");
    yaml_parser_set_input_string (&parser, (const unsigned char *) text, size);
    bool loaded = yaml_parser_load (&parser, &self->document);
    if (!loaded && self->error)
        snprintf (self->error, self->error_size, "%s:%zu: %s", self->path, parser.problem_mark.line + 1,
                  parser.problem ? parser.problem : "not YAML");
    bool good = loaded && s_read_document (self);
    if (loaded)
        yaml_document_delete (&self->document);
    yaml_parser_delete (&parser);
    return good;
}

bool
adr_profile_read (adr_profile_t *profile, const char *path, char *error, size_t error_size)
{
    s_reader_t self = { .path = path, .error = error_size ? error : NULL, .error_size = error_size,
                        .profile = profile };
    *profile = (adr_profile_t){ .follow_master = true };
    if (self.error)
        self.error[0] = 0;
    int file = open (path, O_RDONLY | O_CLOEXEC);
    if (file < 0)
        return s_complain (&self, NULL, "%s", strerror (errno));
    char *text = adr_alloc (S_FILE_MAX + 1);
    ssize_t size = s_slurp (file, text, S_FILE_MAX + 1);
    close (file);
    bool good = size >= 0 && size <= S_FILE_MAX
                    ? s_parse (&self, text, (size_t) size) && s_read_secret (&self) && s_check_keys (&self)
                    : s_complain (&self, NULL, "cannot be read, or is no profile");
    free (text);
    if (!good)
        adr_profile_wipe (profile);
    return good;
}

bool
adr_profile_default (char *path, size_t size)
{
    const char *named = getenv ("ADRESTIA_PROFILE"), *home = getenv ("HOME");
    if (named && *named)
        return (size_t) snprintf (path, size, "%s", named) < size;
    return home && *home && (size_t) snprintf (path, size, "%s/.config/adrestia/client.yaml", home) < size;
}

void
adr_profile_wipe (adr_profile_t *profile)
{
    sodium_memzero (profile, sizeof *profile);
}
