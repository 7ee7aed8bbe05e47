/* SPDX-License-Identifier: MPL-2.0 */
/* `adrestia cert show FILE`, `adrestia cert verify FILE --ca DIR` and `adrestia cert sign REQUEST --ca DIR --out FILE`: what a
 * certificate says, whether it is to be believed, and the root's signature for the authority of a new PKI node. Reads files only;
 * no cluster is asked.
 *
 * Owns: nothing. Makes durable: the certificate that was signed. */

#include "shell/init.h"

#include "core/cert.h"
#include "shell/backup_key.h"
#include "shell/sealed_key.h"
#include "wire/map_codec.h"

#include <dirent.h>
#include <errno.h>
#include <getopt.h>
#include <limits.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define S_USAGE 64
#define S_INVALID 7 /* ADR_INVALID */
#define S_DENIED 8  /* ADR_DENIED: well formed, and not to be believed */
#define S_FILE_MAX ((size_t) ADR_HEADER_MAX)
#define S_BACKDATED_MS (INT64_C (5) * 60 * 1000) /* clocks of hosts differ */
#define S_AUTHORITY_MS (INT64_C (10) * 366 * 24 * 3600 * 1000)

static const char S_HELP[] = "adrestia cert show FILE [--json]\n"
                             "adrestia cert verify FILE --map FILE|--ca DIR [--json]\n"
                             "adrestia cert sign REQUEST --ca DIR --out FILE [--passphrase-file FILE]\n"
                             "adrestia cert unseal BACKUP --ca DIR --out FILE [--passphrase-file FILE]\n"
                             "  --map FILE   the cluster.map of a host, which names root and authorities\n"
                             "  --ca DIR     a folder with root.cert and authority-*.cert; to sign, to unseal: and root.key, which is kept offline\n"
                             "  --out FILE   where the authority's certificate, or the key, goes; it must not be there yet\n"
                             "  --passphrase-file FILE  its first line opens root.key, if init has sealed that; -: of standard input\n"
                             "sign: REQUEST is the authority.request that `adrestiad join` of a PKI node has written.\n"
                             "unseal: BACKUP is ca/sealing.key.backup; what comes out is a PKI node's sealing.key, and opens every S3 secret.\n"
                             "Exit: 0 sound, 7 no certificate, 8 not to be believed, 64 wrong command line.\n";

typedef struct {
    const char *verb, *file, *map, *ca, *out, *passphrase;
    bool json;
} s_options_t;

/* Reads a whole file into the buffer. */
static bool
s_read_file (const char *path, adr_buffer_t *buffer)
{
    FILE *file = fopen (path, "re");
    if (!file) {
        fprintf (stderr, "adrestia cert: %s: %s\n", path, strerror (errno));
        return false;
    }
    adr_buffer_clear (buffer);
    buffer->size = fread (adr_buffer_grow (buffer, S_FILE_MAX + 1), 1, S_FILE_MAX + 1, file);
    bool read = !ferror (file) && buffer->size <= S_FILE_MAX;
    fclose (file);
    if (!read)
        fprintf (stderr, "adrestia cert: %s: cannot be read, or is no certificate\n", path);
    return read;
}

static void
s_format_time (char text[32], int64_t time_ms)
{
    time_t seconds = (time_t) (time_ms / 1000);
    struct tm parts;
    if (!gmtime_r (&seconds, &parts) || !strftime (text, 32, "%Y-%m-%dT%H:%M:%SZ", &parts))
        snprintf (text, 32, "%lld ms", (long long) time_ms);
}

/* --- show ----------------------------------------------------------------------------------------------------- */

/* One row of what is shown: text for people, or a JSON member. `value` is our own text and needs no escaping but that
 * of the name, whose characters the decoder admits: printable ASCII. */
static void
s_row (bool json, const char *name, const char *value)
{
    if (!json) {
        printf ("%-14s %s\n", name, *value ? value : "-");
        return;
    }
    printf (", \"%s\": \"", name);
    for (; *value; value++)
        printf (*value == '"' || *value == '\\' ? "\\%c" : "%c", *value);
    putchar ('"');
}

static void
s_row_id (bool json, const char *name, const adr_id_t *id)
{
    char text[ADR_ID_TEXT_SIZE] = "";
    if (!adr_id_is_none (id))
        adr_id_format (id, text);
    s_row (json, name, text);
}

static void
s_row_number (bool json, const char *name, uint64_t number)
{
    char text[32];
    snprintf (text, sizeof text, "%llu", (unsigned long long) number);
    s_row (json, name, text); /* a string in JSON, too: many readers round above 2^53 */
}

static void
s_row_key (bool json, const char *name, const uint8_t key[ADR_KEY_SIZE])
{
    char text[2 * ADR_KEY_SIZE + 1];
    adr_hex_format (text, key, ADR_KEY_SIZE);
    s_row (json, name, text);
}

static void
s_row_time (bool json, const char *name, int64_t time_ms)
{
    char text[32];
    s_format_time (text, time_ms);
    s_row (json, name, text);
}

static void
s_show_peers (bool json, const adr_cert_t *cert)
{
    char text[ADR_VOTERS_MAX * ADR_ID_TEXT_SIZE + 1] = "";
    for (uint32_t i = 0; i < cert->peer_count; i++) {
        if (i > 0)
            strcat (text, " ");
        adr_id_format (&cert->peer[i], text + strlen (text));
    }
    s_row (json, "peers", text);
}

static void
s_show (const adr_cert_t *cert, bool json)
{
    printf (json ? "{\"kind\": \"%s\"" : "kind           %s\n", adr_cert_kind_name (cert->kind));
    s_row (json, "name", cert->name);
    s_row (json, "type", cert->type ? adr_node_type_name (cert->type) : "");
    s_row_id (json, "cluster", &cert->cluster);
    s_row_id (json, "zone", &cert->zone);
    s_row_id (json, "node", &cert->node);
    s_row_id (json, "group", &cert->group);
    s_show_peers (json, cert);
    s_row_key (json, "curve-key", cert->curve_key);
    s_row_key (json, "sign-key", cert->sign_key);
    s_row_number (json, "serial", cert->serial);
    s_row_number (json, "issuer-serial", cert->issuer_serial);
    s_row_time (json, "not-before", cert->not_before_ms);
    s_row_time (json, "not-after", cert->not_after_ms);
    if (json)
        puts ("}");
}

static int
s_show_file (const s_options_t *options)
{
    adr_buffer_t file = { 0 };
    adr_cert_t cert;
    int code = S_INVALID;
    if (s_read_file (options->file, &file)) {
        if (adr_cert_decode (&cert, adr_bytes (file.data, file.size))) {
            s_show (&cert, options->json);
            code = 0;
        } else
            fprintf (stderr, "adrestia cert: %s: is no certificate\n", options->file);
    }
    adr_buffer_free (&file);
    return code;
}

/* --- verify --------------------------------------------------------------------------------------------------- */

static int64_t
s_now_ms (void)
{
    struct timespec now;
    clock_gettime (CLOCK_REALTIME, &now);
    return (int64_t) now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static int
s_judge (const s_options_t *options, const adr_cert_chain_t *chain)
{
    adr_buffer_t file = { 0 };
    if (!s_read_file (options->file, &file)) {
        adr_buffer_free (&file);
        return S_INVALID;
    }
    adr_cert_t cert;
    adr_cert_fault_t fault = adr_cert_verify (&cert, adr_bytes (file.data, file.size), chain, s_now_ms (), true);
    adr_buffer_free (&file);
    if (options->json)
        printf ("{\"sound\": %s, \"why\": \"%s\"}\n", fault == ADR_CERT_SOUND ? "true" : "false",
                adr_cert_fault_name (fault));
    else
        printf ("%s: %s\n", options->file, adr_cert_fault_name (fault));
    return fault == ADR_CERT_SOUND ? 0 : fault == ADR_CERT_MALFORMED ? S_INVALID : S_DENIED;
}

static int
s_verify_by_map (const s_options_t *options)
{
    adr_buffer_t file = { 0 };
    adr_map_t *map = NULL;
    int code = S_INVALID;
    if (s_read_file (options->map, &file)) {
        if (adr_map_decode (&map, adr_bytes (file.data, file.size))) {
            adr_cert_chain_t chain = adr_cert_chain_of_map (map);
            code = s_judge (options, &chain);
            adr_map_destroy (&map);
        } else
            fprintf (stderr, "adrestia cert: %s: is no clusterMap\n", options->map);
    }
    adr_buffer_free (&file);
    return code;
}

/* Reads authority-*.cert of the folder, as many as a chain holds. */
static bool
s_read_authorities (const char *path, adr_buffer_t *files, uint32_t *count)
{
    DIR *folder = opendir (path);
    if (!folder)
        return false;
    bool read = true;
    for (struct dirent *entry; read && *count < ADR_ZONES_MAX && (entry = readdir (folder));) {
        const char *end = strrchr (entry->d_name, '.');
        if (strncmp (entry->d_name, "authority-", 10) != 0 || !end || strcmp (end, ".cert") != 0)
            continue;
        char file[PATH_MAX + NAME_MAX + 2];
        snprintf (file, sizeof file, "%.*s/%s", PATH_MAX, path, entry->d_name);
        read = s_read_file (file, &files[(*count)++]);
    }
    closedir (folder);
    return read;
}

static int
s_verify_by_ca (const s_options_t *options)
{
    adr_buffer_t root = { 0 }, files[ADR_ZONES_MAX] = { 0 };
    char path[PATH_MAX + 16];
    uint32_t count = 0;
    int code = S_INVALID;
    snprintf (path, sizeof path, "%.*s/root.cert", PATH_MAX, options->ca);
    if (s_read_file (path, &root) && s_read_authorities (options->ca, files, &count)) {
        adr_cert_chain_t chain = { .root = adr_bytes (root.data, root.size), .authority_count = count };
        for (uint32_t i = 0; i < count; i++)
            chain.authority[i] = adr_bytes (files[i].data, files[i].size);
        code = s_judge (options, &chain);
    }
    for (uint32_t i = 0; i < count; i++)
        adr_buffer_free (&files[i]);
    adr_buffer_free (&root);
    return code;
}

/* --- sign ----------------------------------------------------------------------------------------------------- */

/* The key as it is, or what a passphrase opens. */
static bool
s_open_key (const char *passphrase_file, adr_bytes_t text, adr_keys_t *keys)
{
    char passphrase[ADR_PASSPHRASE_MAX + 1];
    if (!adr_sealed_key_is ((const char *) text.data, text.size))
        return adr_keys_parse (keys, (const char *) text.data, text.size);
    if (!passphrase_file) {
        fprintf (stderr, "adrestia: the root's key is sealed: --passphrase-file FILE\n");
        return false;
    }
    bool good = adr_passphrase_read (passphrase_file, passphrase)
                && adr_sealed_key_open (keys, (const char *) text.data, text.size, passphrase);
    sodium_memzero (passphrase, sizeof passphrase);
    return good;
}

bool
adr_shell_read_root (const char *ca, const char *passphrase_file, adr_cert_t *root, adr_keys_t *keys)
{
    adr_buffer_t cert = { 0 }, key = { 0 };
    char path[PATH_MAX + 16];
    snprintf (path, sizeof path, "%.*s/root.cert", PATH_MAX, ca);
    bool good = s_read_file (path, &cert);
    snprintf (path, sizeof path, "%.*s/root.key", PATH_MAX, ca);
    good = good && s_read_file (path, &key);
    if (good) {
        good = adr_cert_decode (root, adr_bytes (cert.data, cert.size)) && root->kind == ADR_CERT_ROOT
               && s_open_key (passphrase_file, adr_bytes (key.data, key.size), keys) && adr_keys_fit (keys, root);
        if (!good)
            fprintf (stderr, "adrestia: %s: these are not the keys of the root that root.cert names, or it is another passphrase\n", path);
    }
    adr_buffer_free (&cert);
    adr_buffer_wipe (&key);
    return good;
}

static bool
s_read_request (const char *path, adr_cert_t *request)
{
    adr_buffer_t file = { 0 };
    bool read = s_read_file (path, &file);
    bool good = read && adr_cert_decode (request, adr_bytes (file.data, file.size)) && request->kind == ADR_CERT_REQUEST
                && request->type == ADR_NODE_PKI && adr_cert_signed_by (request, request->sign_key);
    adr_buffer_free (&file);
    if (read && !good)
        fprintf (stderr, "adrestia cert: %s: is no request of a PKI node's authority, or its own key did not sign it\n", path);
    return good;
}

/* The authority of that PKI node: it opens no connection, and is in no group. */
static adr_cert_t
s_authority_of (const adr_cert_t *request, const adr_cert_t *root)
{
    adr_cert_t cert = { .kind = ADR_CERT_AUTHORITY, .type = ADR_NODE_PKI, .cluster = root->cluster, .zone = request->zone,
                        .node = request->node, .issuer_serial = root->serial };
    randombytes_buf (&cert.serial, sizeof cert.serial);
    cert.serial = cert.serial >> 1 | 1;
    cert.not_before_ms = s_now_ms () - S_BACKDATED_MS;
    cert.not_after_ms = cert.not_before_ms + S_AUTHORITY_MS < root->not_after_ms ? cert.not_before_ms + S_AUTHORITY_MS : root->not_after_ms;
    snprintf (cert.name, sizeof cert.name, "authority of %.45s", request->name);
    memcpy (cert.sign_key, request->sign_key, ADR_KEY_SIZE);
    return cert;
}

static int
s_write_new (const char *path, adr_bytes_t bytes)
{
    FILE *file = fopen (path, "wxe");
    bool good = file && fwrite (bytes.data, 1, bytes.size, file) == bytes.size && fflush (file) == 0 && fsync (fileno (file)) == 0;
    if (!good)
        fprintf (stderr, "adrestia cert: %s: %s\n", path, strerror (errno));
    if (file)
        good = fclose (file) == 0 && good;
    return good ? 0 : 1;
}

static int
s_sign (const s_options_t *options)
{
    adr_cert_t request, root;
    adr_keys_t keys = { 0 };
    uint8_t bytes[ADR_CERTIFICATE_MAX];
    if (!s_read_request (options->file, &request) || !adr_shell_read_root (options->ca, options->passphrase, &root, &keys))
        return S_INVALID;
    if (!adr_id_equal (&request.cluster, &root.cluster)) {
        sodium_memzero (&keys, sizeof keys);
        fprintf (stderr, "adrestia cert: the request is for another cluster than the root's\n");
        return S_DENIED;
    }
    adr_cert_t cert = s_authority_of (&request, &root);
    adr_cert_sign (&cert, keys.sign_seed);
    sodium_memzero (&keys, sizeof keys);
    int code = s_write_new (options->out, adr_bytes (bytes, adr_cert_encode (&cert, bytes)));
    if (code == 0)
        printf ("%s: signed by %s\n", cert.name, root.name);
    return code;
}

/* --- unseal --------------------------------------------------------------------------------------------------- */

/* The key comes into a file that nobody else may read, as PKI nodes want it. */
static int
s_write_secret (const char *path, const uint8_t key[32])
{
    char text[2 * 32 + 2];
    adr_hex_format (text, key, 32);
    strcat (text, "\n");
    mode_t before = umask (077);
    int code = s_write_new (path, adr_bytes (text, strlen (text)));
    umask (before);
    sodium_memzero (text, sizeof text);
    return code;
}

static int
s_unseal (const s_options_t *options)
{
    adr_buffer_t file = { 0 };
    adr_cert_t root;
    adr_keys_t keys = { 0 };
    uint8_t key[32];
    int code = S_INVALID;
    if (!s_read_file (options->file, &file) || !adr_shell_read_root (options->ca, options->passphrase, &root, &keys)) {
        adr_buffer_free (&file);
        return S_INVALID;
    }
    if (adr_backup_open (&keys, (const char *) file.data, file.size, key))
        code = s_write_secret (options->out, key);
    else
        fprintf (stderr, "adrestia cert: %s: is no backup that this root can open\n", options->file);
    sodium_memzero (&keys, sizeof keys);
    sodium_memzero (key, sizeof key);
    adr_buffer_free (&file);
    return code;
}

/* --- the command line ----------------------------------------------------------------------------------------- */

/* 0, or the exit code; -1 for help. */
static int
s_parse (int argc, char **argv, s_options_t *options)
{
    static const struct option known[] = { { "json", no_argument, NULL, 'j' },
                                           { "map", required_argument, NULL, 'm' },
                                           { "ca", required_argument, NULL, 'c' },
                                           { "out", required_argument, NULL, 'o' },
                                           { "passphrase-file", required_argument, NULL, 'p' },
                                           { "help", no_argument, NULL, 'h' },
                                           { NULL, 0, NULL, 0 } };
    optind = 0;
    for (int option; (option = getopt_long (argc, argv, "h", known, NULL)) != -1;) {
        if (option == 'j')
            options->json = true;
        else if (option == 'm')
            options->map = optarg;
        else if (option == 'c')
            options->ca = optarg;
        else if (option == 'o')
            options->out = optarg;
        else if (option == 'p')
            options->passphrase = optarg;
        else
            return option == 'h' ? -1 : S_USAGE;
    }
    if (argc - optind != 2)
        return S_USAGE;
    options->verb = argv[optind];
    options->file = argv[optind + 1];
    return 0;
}

int
adr_shell_cert (int argc, char **argv)
{
    s_options_t options = { 0 };
    int code = s_parse (argc, argv, &options);
    if (code < 0) {
        fputs (S_HELP, stdout);
        return 0;
    }
    if (code == 0 && !strcmp (options.verb, "show"))
        return s_show_file (&options);
    if (code == 0 && !strcmp (options.verb, "verify") && !options.map != !options.ca)
        return options.map ? s_verify_by_map (&options) : s_verify_by_ca (&options);
    if (code == 0 && !strcmp (options.verb, "sign") && options.ca && options.out)
        return s_sign (&options);
    if (code == 0 && !strcmp (options.verb, "unseal") && options.ca && options.out)
        return s_unseal (&options);
    fputs (S_HELP, stderr);
    return S_USAGE;
}
