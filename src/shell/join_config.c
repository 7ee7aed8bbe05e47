/* SPDX-License-Identifier: MPL-2.0 */
/* The configuration of a host that joined: see join.h. It is what `adrestia init --split` writes for one node; of an edge it names whom
 * to admit, which is configured by file today, and so comes from files. */

#include "shell/join.h"

#include "edge/credentials.h"
#include "runtime/config.h"
#include "runtime/failure.h"
#include "runtime/identity.h"

#include <sodium.h>

#define S_CREDENTIALS_BYTES_MAX (1024 * 1024)

static void
s_append (adr_buffer_t *config, const char *text)
{
    adr_buffer_append (config, text, strlen (text));
}

/* --- lists of keys -------------------------------------------------------------------------------------------------- */

static bool
s_is_blank (char c)
{
    return c == ' ' || c == '\t' || c == '\r';
}

/* The line without a comment, blanks around it, and a leading `- `. */
static adr_bytes_t
s_trim (const char *line, size_t size)
{
    const char *comment = memchr (line, '#', size);
    const char *end = comment ? comment : line + size;
    while (line < end && s_is_blank (*line))
        line++;
    if (end - line > 1 && line[0] == '-' && s_is_blank (line[1]))
        for (line++; line < end && s_is_blank (*line);)
            line++;
    while (end > line && s_is_blank (end[-1]))
        end--;
    return adr_bytes (line, (size_t) (end - line));
}

/* Appends one key; false: the line is none. */
static bool
s_append_key (adr_buffer_t *config, adr_bytes_t line)
{
    uint8_t key[ADR_KEY_SIZE];
    char text[2 * ADR_KEY_SIZE + 1];
    if (!adr_hex_parse (key, sizeof key, (const char *) line.data, line.size))
        return false;
    adr_hex_format (text, key, sizeof key);
    s_append (config, "  - ");
    s_append (config, text);
    s_append (config, "\n");
    return true;
}

/* `name:` and the keys of the file, a line each. */
static bool
s_append_keys (adr_buffer_t *config, const char *name, const char *path, const adr_failure_t *error)
{
    adr_buffer_t text = { 0 };
    uint32_t line = 0, count = 0;
    bool good = adr_file_read (path, ADR_CONFIG_BYTES_MAX, &text, error->text, error->size);
    s_append (config, name);
    s_append (config, ":\n");
    for (size_t at = 0; good && at < text.size; line++) {
        const char *start = (const char *) text.data + at, *end = memchr (start, '\n', text.size - at);
        size_t size = end ? (size_t) (end - start) : text.size - at;
        adr_bytes_t trimmed = s_trim (start, size);
        if (trimmed.size > 0 && !s_append_key (config, trimmed))
            good = adr_fail (error, "%s:%u: expected a key of 64 hexadecimal digits", path, line + 1);
        count += trimmed.size > 0;
        at += size + 1;
    }
    adr_buffer_free (&text);
    return good && (count > 0 || adr_fail (error, "%s: holds no key", path));
}

/* --- the whole ------------------------------------------------------------------------------------------------------ */

static bool
s_append_credentials (adr_buffer_t *config, adr_buffer_t *credentials, const char *path, const adr_failure_t *error)
{
    adr_credentials_t *read = adr_credentials_load (path, error->text, error->size);
    if (read == NULL)
        return false;
    adr_credentials_destroy (&read);
    s_append (config, "http:\n  credentials-file: s3-credentials\n");
    return adr_file_read (path, S_CREDENTIALS_BYTES_MAX, credentials, error->text, error->size);
}

bool
adr_join_config_make (const adr_token_t *token, const adr_join_edge_t *edge, const char *path, adr_buffer_t *config,
                      adr_buffer_t *credentials, char *error, size_t error_size)
{
    const adr_failure_t place = { error, error_size };
    s_append (config, "# The host of ");
    s_append (config, token->node_name); /* printable ASCII: it cannot end the line */
    s_append (config, ". What is not set here has its default: the manual is\n"
                      "# config/adrestia.yaml. Paths are relative to this file's folder.\n"
                      "cluster-map: cluster.map\nnodes: [.]\n");
    if ((edge->clients && !s_append_keys (config, "clients", edge->clients, &place))
        || (edge->operators && !s_append_keys (config, "operators", edge->operators, &place))
        || (edge->credentials && !s_append_credentials (config, credentials, edge->credentials, &place)))
        return false;
    adr_config_t *read = adr_config_parse (path, config->data, config->size, error, error_size);
    bool good = read != NULL; /* too many keys, one twice: said as adrestiad would */
    adr_config_destroy (&read);
    return good;
}
