/* SPDX-License-Identifier: MPL-2.0 */
/* Access keys: see credentials.h. Kept sorted, so that a look-up takes ten comparisons at most. */

#include "edge/credentials.h"

#include <gnutls/gnutls.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <yaml.h>

struct adr_principal {
    char access_key[ADR_ACCESS_KEY_MAX + 1];
    char secret_key[ADR_SECRET_KEY_MAX + 1];
    char owner[ADR_OWNER_MAX + 1];
};

struct adr_credentials {
    size_t count;
    adr_principal_t *principal[ADR_CREDENTIALS_FILE_MAX]; /* sorted by access key */
};

const char *
adr_principal_owner (const adr_principal_t *self)
{
    return self->owner;
}

const char *
adr_principal_access_key (const adr_principal_t *self)
{
    return self->access_key;
}

adr_credentials_t *
adr_credentials_new (void)
{
    return adr_alloc (sizeof (adr_credentials_t));
}

void
adr_credentials_destroy (adr_credentials_t **self_p)
{
    adr_credentials_t *self = *self_p;
    if (!self)
        return;
    for (size_t i = 0; i < self->count; i++) {
        gnutls_memset (self->principal[i], 0, sizeof *self->principal[i]);
        free (self->principal[i]);
    }
    free (self);
    *self_p = NULL;
}

/* The place of the key, or where it would stand. */
static size_t
s_find (const adr_credentials_t *self, adr_bytes_t access_key, bool *found)
{
    size_t low = 0, high = self->count;
    *found = false;
    while (low < high) {
        size_t middle = (low + high) / 2;
        const char *text = self->principal[middle]->access_key;
        int order = adr_bytes_compare (adr_bytes (text, strlen (text)), access_key);
        if (order == 0) {
            *found = true;
            return middle;
        }
        if (order < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

bool
adr_credentials_add (adr_credentials_t *self, const char *access_key, const char *secret_key, const char *owner)
{
    size_t access_size = strlen (access_key), secret_size = strlen (secret_key);
    owner = owner ? owner : ADR_OWNER_COMMON;
    if (access_size == 0 || access_size > ADR_ACCESS_KEY_MAX || secret_size == 0 || secret_size > ADR_SECRET_KEY_MAX
        || strlen (owner) > ADR_OWNER_MAX || *owner == '\0' || self->count == ADR_CREDENTIALS_FILE_MAX)
        return false;
    bool found;
    size_t at = s_find (self, adr_bytes (access_key, access_size), &found);
    if (found)
        return false;
    adr_principal_t *principal = adr_alloc (sizeof *principal);
    memcpy (principal->access_key, access_key, access_size);
    memcpy (principal->secret_key, secret_key, secret_size);
    memcpy (principal->owner, owner, strlen (owner));
    memmove (self->principal + at + 1, self->principal + at, (self->count - at) * sizeof *self->principal);
    self->principal[at] = principal;
    self->count++;
    return true;
}

size_t
adr_credentials_count (const adr_credentials_t *self)
{
    return self->count;
}

const char *
adr_credentials_secret (const adr_credentials_t *self, adr_bytes_t access_key, const adr_principal_t **principal)
{
    bool found;
    size_t at = s_find (self, access_key, &found);
    *principal = found ? self->principal[at] : NULL;
    return found ? self->principal[at]->secret_key : NULL;
}

/* --- the file ------------------------------------------------------------------------------------------------ */

static const char *
s_scalar (yaml_document_t *document, int index)
{
    yaml_node_t *node = yaml_document_get_node (document, index);
    return node && node->type == YAML_SCALAR_NODE ? (const char *) node->data.scalar.value : NULL;
}

/* One pair; NULL, or what is wrong with it. */
static const char *
s_read_pair (adr_credentials_t *self, yaml_document_t *document, yaml_node_t *node)
{
    const char *access_key = NULL, *secret_key = NULL, *owner = NULL;
    if (!node || node->type != YAML_MAPPING_NODE)
        return "expected a mapping of access-key and secret-key";
    for (yaml_node_pair_t *pair = node->data.mapping.pairs.start; pair < node->data.mapping.pairs.top; pair++) {
        const char *name = s_scalar (document, pair->key), *value = s_scalar (document, pair->value);
        if (!name || !value)
            return "expected plain names and values";
        const char **place = strcmp (name, "access-key") == 0   ? &access_key
                             : strcmp (name, "secret-key") == 0 ? &secret_key
                             : strcmp (name, "owner") == 0      ? &owner
                                                                : NULL;
        if (!place)
            return "unknown key; expected access-key, secret-key or owner";
        if (*place)
            return "a key is given twice";
        *place = value;
    }
    if (!access_key || !secret_key)
        return "access-key or secret-key is missing";
    if (!adr_credentials_add (self, access_key, secret_key, owner))
        return "the access key is a repeated one, a text is empty or too long, or there are too many";
    return NULL;
}

static bool
s_read_document (adr_credentials_t *self, yaml_document_t *document, const char *path, char *error, size_t error_size)
{
    yaml_node_t *root = yaml_document_get_root_node (document);
    if (!root || root->type != YAML_SEQUENCE_NODE) {
        snprintf (error, error_size, "%s: expected a list of access-key and secret-key", path);
        return false;
    }
    for (yaml_node_item_t *item = root->data.sequence.items.start; item < root->data.sequence.items.top; item++) {
        yaml_node_t *node = yaml_document_get_node (document, *item);
        const char *problem = s_read_pair (self, document, node);
        if (problem) {
            snprintf (error, error_size, "%s:%zu: %s", path, node ? node->start_mark.line + 1 : 0, problem);
            return false;
        }
    }
    return true;
}

adr_credentials_t *
adr_credentials_load (const char *path, char *error, size_t error_size)
{
    FILE *file = fopen (path, "rbe");
    struct stat status;
    if (!file) {
        snprintf (error, error_size, "%s: cannot be opened", path);
        return NULL;
    }
    if (fstat (fileno (file), &status) != 0 || (status.st_mode & 077)) {
        snprintf (error, error_size, "%s: others may read these secrets -> chmod 600", path);
        fclose (file);
        return NULL;
    }
    yaml_parser_t parser;
    yaml_document_t document;
    int ready = yaml_parser_initialize (&parser);
    adr_assert (ready);
    yaml_parser_set_input_file (&parser, file);
    adr_credentials_t *self = NULL;
    if (!yaml_parser_load (&parser, &document))
        snprintf (error, error_size, "%s:%zu: %s", path, parser.problem_mark.line + 1,
                  parser.problem ? parser.problem : "not YAML");
    else {
        self = adr_credentials_new ();
        if (!s_read_document (self, &document, path, error, error_size))
            adr_credentials_destroy (&self);
        yaml_document_delete (&document);
    }
    yaml_parser_delete (&parser);
    fclose (file);
    return self;
}
