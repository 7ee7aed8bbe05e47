/* SPDX-License-Identifier: MPL-2.0 */
/* Access keys: see credentials.h. Kept sorted, so that a look-up takes a dozen comparisons. */

#include "edge/credentials.h"

#include "wire/credential_codec.h"

#include <gnutls/gnutls.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <yaml.h>

struct adr_principal {
    char access_key[ADR_ACCESS_KEY_MAX + 1];
    char secret_key[ADR_SECRET_KEY_MAX + 1];
    char owner[ADR_OWNER_MAX + 1];
    bool disabled, limited;
    uint32_t right_count;
    adr_right_t right[]; /* of a limited one */
};

struct adr_credentials {
    unsigned holds;
    size_t count, room;
    adr_principal_t **principal; /* sorted by access key */
};

struct adr_keyring {
    pthread_mutex_t lock; /* of `current`, for the moment of a change or a hold */
    adr_credentials_t *current;
    adr_credentials_t *local;
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

bool
adr_principal_is_limited (const adr_principal_t *self)
{
    return self->limited;
}

adr_access_t
adr_principal_access (const adr_principal_t *self, const char *bucket)
{
    return self->limited ? adr_rights_access (self->right, self->right_count, bucket) : ADR_ACCESS_OWNER;
}

adr_credentials_t *
adr_credentials_new (void)
{
    adr_credentials_t *self = adr_alloc (sizeof *self);
    self->holds = 1;
    return self;
}

void
adr_credentials_destroy (adr_credentials_t **self_p)
{
    adr_credentials_t *self = *self_p;
    *self_p = NULL;
    if (!self || __atomic_sub_fetch (&self->holds, 1, __ATOMIC_ACQ_REL) > 0)
        return;
    for (size_t i = 0; i < self->count; i++) {
        gnutls_memset (self->principal[i], 0, sizeof *self->principal[i]);
        free (self->principal[i]);
    }
    free (self->principal);
    free (self);
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

/* NULL: it is there already. */
static adr_principal_t *
s_insert (adr_credentials_t *self, const char *access_key, const char *secret_key, const char *owner, uint32_t right_count)
{
    bool found;
    size_t at = s_find (self, adr_bytes (access_key, strlen (access_key)), &found);
    if (found)
        return NULL;
    if (self->count == self->room) {
        self->room = self->room ? 2 * self->room : 16;
        self->principal = adr_realloc (self->principal, self->room * sizeof *self->principal);
    }
    adr_principal_t *principal = adr_alloc (sizeof *principal + right_count * sizeof *principal->right);
    snprintf (principal->access_key, sizeof principal->access_key, "%s", access_key);
    snprintf (principal->secret_key, sizeof principal->secret_key, "%s", secret_key);
    snprintf (principal->owner, sizeof principal->owner, "%s", owner);
    memmove (self->principal + at + 1, self->principal + at, (self->count - at) * sizeof *self->principal);
    self->principal[at] = principal;
    self->count++;
    return principal;
}

bool
adr_credentials_add (adr_credentials_t *self, const char *access_key, const char *secret_key, const char *owner)
{
    size_t access_size = strlen (access_key), secret_size = strlen (secret_key);
    owner = owner ? owner : ADR_OWNER_COMMON;
    if (access_size == 0 || access_size > ADR_ACCESS_KEY_MAX || secret_size == 0 || secret_size > ADR_SECRET_KEY_MAX
        || strlen (owner) > ADR_OWNER_MAX || *owner == '\0' || self->count >= ADR_CREDENTIALS_FILE_MAX)
        return false;
    return s_insert (self, access_key, secret_key, owner, 0) != NULL;
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
    found = found && !self->principal[at]->disabled;
    *principal = found ? self->principal[at] : NULL;
    return found ? self->principal[at]->secret_key : NULL;
}

/* --- the list that counts now ---------------------------------------------------------------------------------- */

static adr_credentials_t *
s_hold (adr_credentials_t *credentials)
{
    __atomic_add_fetch (&credentials->holds, 1, __ATOMIC_RELAXED);
    return credentials;
}

adr_keyring_t *
adr_keyring_new (adr_credentials_t *local)
{
    adr_keyring_t *self = adr_alloc (sizeof *self);
    pthread_mutex_init (&self->lock, NULL);
    self->local = local ? local : adr_credentials_new ();
    self->current = s_hold (self->local);
    return self;
}

void
adr_keyring_destroy (adr_keyring_t **self_p)
{
    adr_keyring_t *self = *self_p;
    if (!self)
        return;
    adr_credentials_destroy (&self->current);
    adr_credentials_destroy (&self->local);
    pthread_mutex_destroy (&self->lock);
    free (self);
    *self_p = NULL;
}

static void
s_add_cluster (adr_credentials_t *self, const adr_credential_t *from)
{
    if (from->role) /* a user does not sign */
        return;
    bool disabled = from->disabled || *from->secret == 0;
    adr_principal_t *principal = s_insert (self, from->access_key, disabled ? "" : from->secret,
                                           *from->owner ? from->owner : ADR_OWNER_COMMON, from->right_count);
    if (principal == NULL)
        return;
    principal->disabled = disabled;
    principal->limited = from->limited;
    principal->right_count = from->right_count;
    if (from->right_count)
        memcpy (principal->right, from->right, from->right_count * sizeof *from->right);
}

bool
adr_keyring_take (adr_keyring_t *self, adr_bytes_t rows)
{
    adr_credentials_t *next = adr_credentials_new ();
    adr_credential_t credential;
    while (adr_credential_row_next (&rows, &credential))
        s_add_cluster (next, &credential);
    gnutls_memset (&credential, 0, sizeof credential);
    bool good = rows.size == 0;
    for (size_t i = 0; good && i < self->local->count; i++) { /* [KEY-7] those that the cluster has are there already */
        const adr_principal_t *local = self->local->principal[i];
        (void) s_insert (next, local->access_key, local->secret_key, local->owner, 0);
    }
    if (good) {
        pthread_mutex_lock (&self->lock);
        adr_credentials_t *before = self->current;
        self->current = next;
        next = before;
        pthread_mutex_unlock (&self->lock);
    }
    adr_credentials_destroy (&next); /* the one before, unless a request is judged by it still; or nonsense */
    return good;
}

adr_credentials_t *
adr_keyring_hold (adr_keyring_t *self)
{
    pthread_mutex_lock (&self->lock);
    adr_credentials_t *current = s_hold (self->current);
    pthread_mutex_unlock (&self->lock);
    return current;
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
