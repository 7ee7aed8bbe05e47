/* SPDX-License-Identifier: MPL-2.0 */
/* `adrestia init`: founds a cluster and writes down what each host needs, in one folder that appears whole or not at
 * all.
 *
 *     DIR/ca/          root.key root.cert authority-ZONE.cert sealing.key.backup: to be kept offline; no host reads it
 *     DIR/ZONE/        one host: adrestia.yaml cluster.map, and a folder a node: edge1/ meta1/ data1/ pki1/
 *     DIR/ZONE/NODE/   node.cert node.key, incarnation and hash.key where it replicates, authority.cert authority.key sealing.key at a PKI
 *                      node;
 *                      with --split adrestia.yaml and cluster.map stand here, one host a node
 *     DIR/client.yaml client.cert client.key client-sign.key     the profile of the library and the shell
 *     DIR/operator.yaml operator.cert operator.key operator-sign.key  the same for who steers the cluster
 *     DIR/s3-credentials                                          the first access key, known to each edge without the PKI nodes
 *
 * Makes durable: all of it, before the last rename. Assumes: nobody else writes into DIR meanwhile. */

#include "shell/init.h"

#include "core/token.h"
#include "shell/found.h"
#include "shell/backup_key.h"
#include "shell/sealed_key.h"
#include "wire/map_codec.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <getopt.h>
#include <limits.h>
#include <sodium.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define S_USAGE 64 /* the shell's exit code for a command line that is wrong */
#define S_FAILED 7 /* ADR_INVALID: the folder is not as it must be */

typedef struct {
    char directory[PATH_MAX]; /* absolute, where it will stand */
    char making[PATH_MAX + 16]; /* beside it, while it is being written */
    bool split, json;
    adr_founding_options_t founding;
    char passphrase[ADR_PASSPHRASE_MAX + 1]; /* of the root's key; "": none */
} s_options_t;

static const char S_HELP[]
    = "adrestia init --dir DIR [options]: founds a cluster and writes its hosts' folders\n"
      "  --dir DIR        made by this command; must be empty or not exist\n"
      "  --zones N        1 to 7 availability zones, a host each (3)\n"
      "  --base-port P    zone i listens on P + 16 i and the ports behind it (7400)\n"
      "  --quorum Q       disks that hold a write before it is acknowledged, below N (2); never below a majority\n"
      "  --types LIST     which nodes each zone has: edge,meta,data,pki (all); meta and data may be left out, and come\n"
      "                   in by `adrestia group create` later\n"
      "  --name NAME      the cluster's name (adrestia)\n"
      "  --split          one host a node, in place of one host a zone\n"
      "  --ca-passphrase-file F  seals ca/root.key under the first line of F; -: of standard input\n"
      "  --json           says what was made as JSON\n"
      "One or two zones are for development: they are not redundant.\n";

static bool ADR_PRINTF (1, 2)
s_complain (const char *format, ...)
{
    va_list arguments;
    va_start (arguments, format);
    fputs ("adrestia init: ", stderr);
    vfprintf (stderr, format, arguments);
    fputc ('\n', stderr);
    va_end (arguments);
    return false;
}

/* --- the command line ----------------------------------------------------------------------------------------- */

static bool
s_parse_number (const char *option, const char *text, uint32_t low, uint32_t high, uint32_t *value)
{
    char *end;
    errno = 0;
    unsigned long number = strtoul (text, &end, 10);
    if (errno || *end || end == text || *text == '-' || number < low || number > high)
        return s_complain ("--%s %s: expected a number from %u to %u", option, text, low, high);
    *value = (uint32_t) number;
    return true;
}

static bool
s_parse_name (const char *text, const char **name)
{
    size_t size = strlen (text);
    bool fits = size > 0 && size <= ADR_NAME_MAX;
    for (size_t i = 0; fits && i < size; i++)
        fits = (text[i] >= 'a' && text[i] <= 'z') || (text[i] >= '0' && text[i] <= '9')
               || (i > 0 && text[i] == '-');
    if (!fits)
        return s_complain ("--name %s: expected 1 to %d lower-case letters, digits and hyphens", text, ADR_NAME_MAX);
    *name = text;
    return true;
}

/* "pki,edge,meta": each once, edge and pki among them. */
static bool
s_parse_types (const char *text, uint32_t *types)
{
    char copy[64], *rest = copy;
    *types = 0;
    snprintf (copy, sizeof copy, "%s", text);
    for (char *word; (word = strsep (&rest, ",")) != NULL;) {
        adr_node_type_t type;
        if (!adr_node_type_parse (&type, word) || type > ADR_NODE_PKI || (*types & ADR_ROLE_BIT (type)))
            return s_complain ("--types %s: expected edge, meta, data and pki, each once, with commas between them", text);
        *types |= ADR_ROLE_BIT (type);
    }
    if ((*types & ADR_ROLES_NEEDED) != ADR_ROLES_NEEDED)
        return s_complain ("--types %s: edge and pki cannot be left out: nobody could reach the cluster, or come in", text);
    return true;
}

/* Where the folder will stand, absolute, however it was written; its parent must be there. */
static bool
s_parse_directory (const char *text, s_options_t *options)
{
    char copy[PATH_MAX], parent[PATH_MAX];
    size_t size = strlen (text);
    while (size > 1 && text[size - 1] == '/')
        size--;
    if (size == 0 || size >= sizeof copy)
        return s_complain ("--dir %s: expected a path", text);
    memcpy (copy, text, size);
    copy[size] = 0;
    char *slash = strrchr (copy, '/');
    const char *last = slash ? slash + 1 : copy;
    if (!*last || !strcmp (last, ".") || !strcmp (last, ".."))
        return s_complain ("--dir %s: expected the name of a folder at the end", text);
    if (slash)
        *slash = 0;
    if (!realpath (!slash ? "." : *copy ? copy : "/", parent))
        return s_complain ("--dir %s: its parent folder: %s", text, strerror (errno));
    int length = snprintf (options->directory, sizeof options->directory, "%s/%s", strcmp (parent, "/") ? parent : "",
                           last);
    if (length < 0 || length > PATH_MAX - 128)
        return s_complain ("--dir %s: the path is too long", text);
    return true;
}

static bool
s_take_option (int option, s_options_t *options)
{
    adr_founding_options_t *founding = &options->founding;
    switch (option) {
    case 'd':
        return s_parse_directory (optarg, options);
    case 'z':
        return s_parse_number ("zones", optarg, 1, ADR_ZONES_MAX, &founding->zones);
    case 'p':
        return s_parse_number ("base-port", optarg, 1, 65535 - ADR_ZONES_MAX * ADR_PORTS_A_ZONE,
                               &founding->base_port);
    case 'q':
        return s_parse_number ("quorum", optarg, 1, ADR_ZONES_MAX, &founding->quorum);
    case 't':
        return s_parse_types (optarg, &founding->types);
    case 'n':
        return s_parse_name (optarg, &founding->name);
    case 'c':
        return adr_passphrase_read (optarg, options->passphrase);
    case 's':
        return options->split = true;
    case 'j':
        return options->json = true;
    default:
        return false;
    }
}

/* n > q is checked here, where both are set [REPL-3]. One or two zones grow towards three: REPL-3's rule for the needed
 * acknowledgements holds for them by itself. */
static bool
s_check_options (const s_options_t *options)
{
    const adr_founding_options_t *founding = &options->founding;
    if (!*options->directory)
        return s_complain ("--dir DIR is missing");
    if (founding->zones > 2 && founding->quorum >= founding->zones)
        return s_complain ("--quorum %u: must be below the number of zones (%u), or losing one stops every write",
                           founding->quorum, founding->zones);
    if (founding->zones <= 2 && founding->quorum > 2)
        return s_complain ("--quorum %u: at most 2 for a cluster of %u", founding->quorum, founding->zones);
    return true;
}

/* 0, or the exit code; -1 for help. */
static int
s_parse (int argc, char **argv, s_options_t *options)
{
    static const struct option known[] = {
        { "dir", required_argument, NULL, 'd' },    { "zones", required_argument, NULL, 'z' },
        { "base-port", required_argument, NULL, 'p' }, { "quorum", required_argument, NULL, 'q' },
        { "types", required_argument, NULL, 't' },
        { "name", required_argument, NULL, 'n' },   { "split", no_argument, NULL, 's' },
        { "ca-passphrase-file", required_argument, NULL, 'c' },
        { "json", no_argument, NULL, 'j' },         { "help", no_argument, NULL, 'h' },
        { NULL, 0, NULL, 0 },
    };
    optind = 0;
    for (int option; (option = getopt_long (argc, argv, "h", known, NULL)) != -1;) {
        if (option == 'h')
            return -1;
        if (!s_take_option (option, options))
            return S_USAGE;
    }
    if (optind < argc)
        return s_complain ("%s: expected options only", argv[optind]), S_USAGE;
    return s_check_options (options) ? 0 : S_USAGE;
}

/* --- files ---------------------------------------------------------------------------------------------------- */

/* PATH below the folder that is being made. */
static bool ADR_PRINTF (3, 4)
s_path (const s_options_t *options, char path[PATH_MAX], const char *format, ...)
{
    int start = snprintf (path, PATH_MAX, "%s/", options->making);
    va_list arguments;
    va_start (arguments, format);
    int more = vsnprintf (path + start, (size_t) (PATH_MAX - start), format, arguments);
    va_end (arguments);
    return more >= 0 && start + more < PATH_MAX ? true : s_complain ("%s: the path is too long", path);
}

static bool
s_make_folder (const s_options_t *options, const char *name)
{
    char path[PATH_MAX];
    if (!s_path (options, path, "%s", name))
        return false;
    return mkdir (path, 0700) == 0 ? true : s_complain ("%s: %s", path, strerror (errno));
}

static bool
s_write_all (int file, const void *data, size_t size)
{
    for (size_t done = 0; done < size;) {
        ssize_t wrote = write (file, (const uint8_t *) data + done, size - done);
        if (wrote < 0 && errno != EINTR)
            return false;
        done += wrote > 0 ? (size_t) wrote : 0;
    }
    return true;
}

static bool
s_write_file (const s_options_t *options, const char *folder, const char *name, mode_t mode, const void *data,
              size_t size)
{
    char path[PATH_MAX];
    if (!s_path (options, path, "%s%s%s", folder, *folder ? "/" : "", name))
        return false;
    int file = open (path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, mode);
    if (file < 0)
        return s_complain ("%s: %s", path, strerror (errno));
    bool written = s_write_all (file, data, size);
    int why = errno;
    if (close (file) != 0 && written) {
        written = false;
        why = errno;
    }
    return written ? true : s_complain ("%s: %s", path, strerror (why));
}

static bool
s_write_text (const s_options_t *options, const char *folder, const char *name, mode_t mode, const char *text)
{
    return s_write_file (options, folder, name, mode, text, strlen (text));
}

static bool
s_write_keys (const s_options_t *options, const char *folder, const char *name, const adr_keys_t *keys)
{
    char text[ADR_KEYS_TEXT_MAX];
    size_t size = adr_keys_format (keys, text);
    bool written = s_write_file (options, folder, name, 0600, text, size);
    sodium_memzero (text, sizeof text);
    return written;
}

static bool
s_write_certificate (const s_options_t *options, const char *folder, const char *name, const adr_founded_t *founded)
{
    return s_write_file (options, folder, name, 0644, founded->certificate, founded->certificate_size);
}

static int
s_remove_one (const char *path, const struct stat *status, int kind, struct FTW *place)
{
    (void) status, (void) kind, (void) place;
    return remove (path);
}

static void
s_remove_tree (const char *path)
{
    if (nftw (path, s_remove_one, 16, FTW_DEPTH | FTW_PHYS) != 0)
        s_complain ("%s: could not be removed -> remove it by hand: it holds secrets", path);
}

/* --- one host's files ----------------------------------------------------------------------------------------- */

/* The folder of a node below its zone's: the name up to the '@'. */
static void
s_folder_name (const adr_map_node_t *node, char folder[ADR_NAME_MAX + 1])
{
    snprintf (folder, ADR_NAME_MAX + 1, "%.*s", (int) strcspn (node->name, "@"), node->name);
}

/* 64 hexadecimal digits. */
static bool
s_write_key (const s_options_t *options, const char *folder, const char *name, const uint8_t key[32])
{
    char text[2 * 32 + 2];
    sodium_bin2hex (text, sizeof text, key, 32);
    strcat (text, "\n");
    bool written = s_write_text (options, folder, name, 0600, text);
    sodium_memzero (text, sizeof text);
    return written;
}

static bool
s_write_authority (const s_options_t *options, const adr_founding_t *founding, uint32_t zone, const char *folder)
{
    const adr_founded_t *authority = &founding->authority[zone];
    return s_write_certificate (options, folder, "authority.cert", authority)
           && s_write_keys (options, folder, "authority.key", &authority->keys)
           && s_write_key (options, folder, "sealing.key", founding->sealing_key);
}

/* What a replicating node needs beside its certificate: its place among the founding voters, the key of the hash trees. */
static bool
s_write_replicating (const s_options_t *options, const adr_founding_t *founding, const adr_founded_t *founded,
                     const char *folder)
{
    char number[24];
    snprintf (number, sizeof number, "%llu\n", (unsigned long long) founded->incarnation);
    return s_write_text (options, folder, "incarnation", 0600, number)
           && s_write_key (options, folder, "hash.key", founding->hash_key);
}

static bool
s_write_node (const s_options_t *options, const adr_founding_t *founding, uint32_t zone, adr_node_type_t type)
{
    const adr_map_node_t *node = adr_founding_node (founding, zone, type);
    const adr_founded_t *founded = &founding->node[zone][type - 1];
    char name[ADR_NAME_MAX + 1], folder[2 * ADR_NAME_MAX + 2];
    s_folder_name (node, name);
    snprintf (folder, sizeof folder, "%s/%s", founding->map->zone[zone].name, name);
    return s_make_folder (options, folder) && s_write_certificate (options, folder, "node.cert", founded)
           && s_write_keys (options, folder, "node.key", &founded->keys)
           && (type == ADR_NODE_EDGE || s_write_replicating (options, founding, founded, folder))
           && (type != ADR_NODE_PKI || s_write_authority (options, founding, zone, folder));
}

static void
s_format_key (char key[2 * ADR_KEY_SIZE + 1], const adr_founded_t *client)
{
    uint8_t public[ADR_KEY_SIZE];
    adr_keys_public (&client->keys, public, NULL);
    adr_hex_format (key, public, ADR_KEY_SIZE);
}

/* The configuration of a process that runs the nodes of these folders. `up` leads from its folder to DIR. */
static bool
s_write_host (const s_options_t *options, const adr_founding_t *founding, const char *folder, const char *nodes,
              const char *up, bool has_edge)
{
    char client[2 * ADR_KEY_SIZE + 1], operator[2 * ADR_KEY_SIZE + 1], text[2048], http[512] = "";
    s_format_key (client, &founding->client);
    s_format_key (operator, &founding->operator);
    if (has_edge)
        snprintf (http, sizeof http, "clients:\n  - %s\noperators:\n  - %s\nhttp:\n  credentials-file: %s/s3-credentials\n",
                  client, operator, up);
    snprintf (text, sizeof text,
              "# One host of the cluster \"%s\". What is not set here has its default: the manual is\n"
              "# config/adrestia.yaml. Paths are relative to this file's folder.\n"
              "cluster-map: cluster.map\nnodes: [%s]\n%s",
              founding->map->name, nodes, http);
    adr_buffer_t map = { 0 };
    adr_map_encode (founding->map, &map);
    bool written = s_write_text (options, folder, "adrestia.yaml", 0644, text)
                   && s_write_file (options, folder, "cluster.map", 0644, map.data, map.size);
    adr_buffer_free (&map);
    return written;
}

static bool
s_write_split_hosts (const s_options_t *options, const adr_founding_t *founding, uint32_t zone)
{
    for (unsigned type = ADR_NODE_EDGE; type <= ADR_NODE_PKI; type++) {
        if (!adr_founding_has (founding, (adr_node_type_t) type))
            continue;
        const adr_map_node_t *node = adr_founding_node (founding, zone, (adr_node_type_t) type);
        char name[ADR_NAME_MAX + 1], folder[2 * ADR_NAME_MAX + 2];
        s_folder_name (node, name);
        snprintf (folder, sizeof folder, "%s/%s", founding->map->zone[zone].name, name);
        if (!s_write_host (options, founding, folder, ".", "../..", type == ADR_NODE_EDGE))
            return false;
    }
    return true;
}

/* "edge1, meta1, data1, pki1". */
static void
s_list_folders (const adr_founding_t *founding, uint32_t zone, char *text, size_t room)
{
    size_t used = 0;
    for (unsigned type = ADR_NODE_EDGE; type <= ADR_NODE_PKI; type++) {
        char name[ADR_NAME_MAX + 1];
        if (!adr_founding_has (founding, (adr_node_type_t) type))
            continue;
        s_folder_name (adr_founding_node (founding, zone, (adr_node_type_t) type), name);
        used += (size_t) snprintf (text + used, room - used, "%s%s", used ? ", " : "", name);
    }
}

static bool
s_write_zone (const s_options_t *options, const adr_founding_t *founding, uint32_t zone)
{
    const char *name = founding->map->zone[zone].name;
    char nodes[ADR_ROLES * (ADR_NAME_MAX + 3)];
    if (!s_make_folder (options, name))
        return false;
    for (unsigned type = ADR_NODE_EDGE; type <= ADR_NODE_PKI; type++)
        if (adr_founding_has (founding, (adr_node_type_t) type) && !s_write_node (options, founding, zone, (adr_node_type_t) type))
            return false;
    if (options->split)
        return s_write_split_hosts (options, founding, zone);
    s_list_folders (founding, zone, nodes, sizeof nodes);
    return s_write_host (options, founding, name, nodes, "..", true);
}

/* --- what belongs to the whole cluster ------------------------------------------------------------------------ */

/* Under the passphrase, where there is one: whoever finds the file has not found the key. */
static bool
s_write_root_key (const s_options_t *options, const adr_keys_t *keys)
{
    char text[ADR_SEALED_TEXT_MAX];
    if (!*options->passphrase)
        return s_write_keys (options, "ca", "root.key", keys);
    size_t size = adr_sealed_key_format (keys, options->passphrase, text);
    return size ? s_write_file (options, "ca", "root.key", 0600, text, size)
                : s_complain ("the root's key cannot be sealed: no memory (256 MiB)");
}

/* [TRUST-1] All PKI nodes' disks may burn. */
static bool
s_write_backup (const s_options_t *options, const adr_founding_t *founding)
{
    char text[ADR_BACKUP_TEXT_MAX];
    uint8_t root_key[ADR_KEY_SIZE];
    adr_keys_public (&founding->root.keys, NULL, root_key);
    size_t size = adr_backup_format (root_key, founding->sealing_key, text);
    return size ? s_write_file (options, "ca", "sealing.key.backup", 0600, text, size)
                : s_complain ("the sealing key cannot be sealed to the root");
}

static bool
s_write_ca (const s_options_t *options, const adr_founding_t *founding)
{
    if (!s_make_folder (options, "ca") || !s_write_certificate (options, "ca", "root.cert", &founding->root)
        || !s_write_root_key (options, &founding->root.keys) || !s_write_backup (options, founding))
        return false;
    for (uint32_t zone = 0; zone < founding->map->zone_count; zone++) {
        char name[ADR_NAME_MAX + 32];
        snprintf (name, sizeof name, "authority-%s.cert", founding->map->zone[zone].name);
        if (!s_write_certificate (options, "ca", name, &founding->authority[zone]))
            return false;
    }
    return true;
}

static bool
s_write_profile (const s_options_t *options, const adr_founding_t *founding, const char *name, const adr_founded_t *client,
                 const adr_id_t *id)
{
    char text[8192], file[32], cluster[ADR_ID_TEXT_SIZE], node[ADR_ID_TEXT_SIZE], key[2 * ADR_KEY_SIZE + 1];
    char root[2 * ADR_TOKEN_HASH_SIZE + 1];
    uint8_t hash[ADR_TOKEN_HASH_SIZE];
    adr_token_hash_root (adr_bytes (founding->root.certificate, founding->root.certificate_size), hash);
    adr_hex_format (root, hash, sizeof hash);
    adr_id_format (&founding->map->cluster, cluster);
    adr_id_format (id, node);
    s_format_key (key, client);
    int at = snprintf (text, sizeof text,
                       "# How libadrestia and the shell reach the cluster \"%s\". Paths are relative to this file's folder.\n"
                       "cluster: %s\nroot: %s\nnode: %s\ncurve-public: %s\ncurve-secret-file: %s.key\nedges:\n",
                       founding->map->name, cluster, root, node, key, name);
    for (uint32_t zone = 0; zone < founding->map->zone_count; zone++) {
        const adr_map_node_t *edge = adr_founding_node (founding, zone, ADR_NODE_EDGE);
        adr_hex_format (key, edge->curve_key, ADR_KEY_SIZE);
        at += snprintf (text + at, sizeof text - (size_t) at, "  - endpoint: %s\n    curve-key: %s\n", edge->client,
                        key);
    }
    adr_assert ((size_t) at < sizeof text);
    snprintf (file, sizeof file, "%s.yaml", name);
    return s_write_text (options, "", file, 0644, text);
}

static bool
s_write_client (const s_options_t *options, const adr_founding_t *founding, const char *name, const adr_founded_t *client,
                const adr_id_t *id)
{
    char secret[2 * ADR_KEY_SIZE + 2], cert_file[32], key_file[32], sign_file[32];
    snprintf (cert_file, sizeof cert_file, "%s.cert", name);
    snprintf (key_file, sizeof key_file, "%s.key", name);
    snprintf (sign_file, sizeof sign_file, "%s-sign.key", name);
    adr_hex_format (secret, client->keys.curve_secret, ADR_KEY_SIZE);
    strcat (secret, "\n");
    adr_keys_t sign_only = client->keys;
    memset (sign_only.curve_secret, 0, sizeof sign_only.curve_secret);
    bool written = s_write_profile (options, founding, name, client, id)
                   && s_write_certificate (options, "", cert_file, client)
                   && s_write_text (options, "", key_file, 0600, secret)
                   && s_write_keys (options, "", sign_file, &sign_only);
    sodium_memzero (secret, sizeof secret);
    sodium_memzero (&sign_only, sizeof sign_only);
    return written;
}

static bool
s_write_credentials (const s_options_t *options, const adr_founding_t *founding)
{
    char text[320];
    snprintf (text, sizeof text, "# Access keys of S3 clients that need no PKI node; more by `adrestia key create`.\n- access-key: %s\n  secret-key: %s\n",
              founding->access_key, founding->secret_key);
    bool written = s_write_text (options, "", "s3-credentials", 0600, text);
    sodium_memzero (text, sizeof text);
    return written;
}

static bool
s_write_everything (const s_options_t *options, const adr_founding_t *founding)
{
    for (uint32_t zone = 0; zone < founding->map->zone_count; zone++)
        if (!s_write_zone (options, founding, zone))
            return false;
    return s_write_ca (options, founding) && s_write_client (options, founding, "client", &founding->client, &founding->client_node)
           && s_write_client (options, founding, "operator", &founding->operator, &founding->operator_node)
           && s_write_credentials (options, founding);
}

/* --- the whole ------------------------------------------------------------------------------------------------ */

static bool
s_is_free (const char *path)
{
    DIR *folder = opendir (path);
    if (!folder)
        return errno == ENOENT ? true : s_complain ("%s: %s", path, strerror (errno));
    bool empty = true;
    for (struct dirent *entry; empty && (entry = readdir (folder));)
        empty = !strcmp (entry->d_name, ".") || !strcmp (entry->d_name, "..");
    closedir (folder);
    return empty ? true : s_complain ("%s: is not empty -> nothing was changed; choose another folder", path);
}

/* Everything reaches the disk before the folder gets its name: a cluster is founded once. */
static bool
s_publish (const s_options_t *options)
{
    char parent[PATH_MAX];
    snprintf (parent, sizeof parent, "%s", options->directory);
    *(strrchr (parent, '/') + (strrchr (parent, '/') == parent)) = 0;
    int folder = open (options->making, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    bool synced = folder >= 0 && syncfs (folder) == 0;
    if (folder >= 0)
        close (folder);
    if (!synced || chmod (options->making, 0755) != 0 || rename (options->making, options->directory) != 0)
        return s_complain ("%s: %s", options->directory, strerror (errno));
    folder = open (parent, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    synced = folder >= 0 && fsync (folder) == 0;
    if (folder >= 0)
        close (folder);
    return synced ? true : s_complain ("%s: %s", parent, strerror (errno));
}

static void
s_report (const s_options_t *options, const adr_founding_t *founding)
{
    char cluster[ADR_ID_TEXT_SIZE];
    adr_id_format (&founding->map->cluster, cluster);
    const adr_founding_options_t *made = &options->founding;
    const char *http = adr_founding_node (founding, 0, ADR_NODE_EDGE)->http;
    if (options->json)
        printf ("{\"cluster\": \"%s\", \"name\": \"%s\", \"zones\": %u, \"quorum\": %u, \"split\": %s, "
                "\"base_port\": %u, \"s3\": \"http://%s\"}\n",
                cluster, made->name, made->zones, made->quorum, options->split ? "true" : "false", made->base_port,
                http);
    else
        printf ("cluster %s (%s): %u zone%s, quorum %u%s\nS3 at http://%s, keys in %s/s3-credentials\n", made->name,
                cluster, made->zones, made->zones == 1 ? "" : "s", made->quorum,
                made->zones < 3 ? ", not redundant: three zones survive the loss of one" : "", http,
                options->directory);
    for (unsigned type = ADR_NODE_META; type <= ADR_NODE_DATA && !options->json; type++)
        if (!adr_founding_has (founding, (adr_node_type_t) type))
            printf ("no %s nodes yet: adrestia group create %s\n", adr_node_type_name ((adr_node_type_t) type),
                    adr_node_type_name ((adr_node_type_t) type));
}

static int
s_found (s_options_t *options)
{
    snprintf (options->making, sizeof options->making, "%s.new-XXXXXX", options->directory);
    if (!s_is_free (options->directory))
        return S_FAILED;
    if (!mkdtemp (options->making)) {
        s_complain ("%s: %s", options->making, strerror (errno));
        return S_FAILED;
    }
    adr_founding_t *founding = adr_founding_new (&options->founding);
    bool done = s_write_everything (options, founding) && s_publish (options);
    if (done)
        s_report (options, founding);
    else
        s_remove_tree (options->making);
    adr_founding_destroy (&founding);
    return done ? 0 : S_FAILED;
}

int
adr_shell_init (int argc, char **argv)
{
    struct timespec now;
    clock_gettime (CLOCK_REALTIME, &now);
    s_options_t options = { .founding = { .name = "adrestia", .address = "127.0.0.1", .zones = 3, .quorum = 2,
                                          .base_port = 7400,
                                          .now_ms = (int64_t) now.tv_sec * 1000 + now.tv_nsec / 1000000 } };
    int code = s_parse (argc, argv, &options);
    if (code < 0) {
        fputs (S_HELP, stdout);
        return 0;
    }
    if (code > 0)
        return code;
    if (sodium_init () < 0) {
        s_complain ("libsodium found no source of random numbers");
        return S_FAILED;
    }
    return s_found (&options);
}
