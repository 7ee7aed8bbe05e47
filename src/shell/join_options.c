/* SPDX-License-Identifier: MPL-2.0 */
/* The command line of `adrestiad join`, and the token that it names: see join.h. */

#include "shell/join.h"

#include <arpa/inet.h>
#include <errno.h>
#include <getopt.h>
#include <netinet/in.h>
#include <sodium.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

#define S_PORTS 4 /* control, bulk, client, http */
#define S_TOKEN_FILE_MAX (ADR_TOKEN_TEXT_MAX + 1024) /* white space around it */

const char adr_join_help[]
    = "adrestiad join TOKEN --dir DIR [options]: a new node comes into the cluster that made the token\n"
      "  TOKEN            what `adrestia token create` printed; better not here, where others see it:\n"
      "  --token-file F   reads it from a file, or from standard input (-)\n"
      "  --dir DIR        the node's folder, made by this command; asked again, it goes on where it was interrupted\n"
      "  --address A      this host's IPv4 address, where the others reach it; 127.0.0.1 if the token's doors are there, too\n"
      "  --port P         control on P, bulk on P+1; an edge: clients on P+2, S3 on P+3 (7400)\n"
      "  --timeout S      how many seconds PKI nodes are asked (60)\n"
      "  of an edge, whom it admits (a running edge has these lists in its configuration):\n"
      "  --clients F      clients' CURVE keys, 64 hexadecimal digits a line\n"
      "  --operators F    the same of operators\n"
      "  --credentials F  access keys of S3 clients, as in s3-credentials\n"
      "Then: adrestiad --config DIR/" ADR_JOIN_CONFIG "\n"
      "Exit codes: 0 it is a node of the cluster, 64 command line, 69 address in use, 74 a file cannot be written,\n"
      "75 no PKI node answered: again may help, 76 an answer is not believed, 77 the cluster refuses, 78 token or files are wrong.\n";

int
adr_join_say (int code, const char *format, ...)
{
    va_list arguments;
    va_start (arguments, format);
    fputs ("adrestiad join: ", stderr);
    vfprintf (stderr, format, arguments);
    fputc ('\n', stderr);
    va_end (arguments);
    return code;
}

/* --- the command line ----------------------------------------------------------------------------------------------- */

static int
s_parse_number (const char *option, const char *text, uint32_t high, uint32_t *value)
{
    char *end;
    errno = 0;
    unsigned long number = strtoul (text, &end, 10);
    if (errno || *end || *text < '0' || *text > '9' || number < 1 || number > high)
        return adr_join_say (ADR_EXIT_USAGE, "--%s %s: expected a number from 1 to %u", option, text, high);
    *value = (uint32_t) number;
    return 0;
}

/* Others connect to it, so it is one of a host; it is written as the map will have it. */
static int
s_parse_address (const char *text, const char **address)
{
    struct in_addr parsed;
    if (inet_pton (AF_INET, text, &parsed) != 1 || parsed.s_addr == INADDR_ANY)
        return adr_join_say (ADR_EXIT_USAGE, "--address %s: expected an IPv4 address of this host, where others reach it", text);
    *address = text;
    return 0;
}

static int
s_take_option (int option, adr_join_options_t *options)
{
    switch (option) {
    case 'f':
        options->token_file = optarg;
        return 0;
    case 'd':
        options->directory = optarg;
        return *optarg ? 0 : adr_join_say (ADR_EXIT_USAGE, "--dir wants a path");
    case 'a':
        return s_parse_address (optarg, &options->address);
    case 'p':
        return s_parse_number ("port", optarg, 65535 - (S_PORTS - 1), &options->port);
    case 't':
        return s_parse_number ("timeout", optarg, 86400, &options->timeout_s);
    case 'c':
        options->edge.clients = optarg;
        return 0;
    case 'o':
        options->edge.operators = optarg;
        return 0;
    case 's':
        options->edge.credentials = optarg;
        return 0;
    default:
        return ADR_EXIT_USAGE;
    }
}

/* 0, or the exit code; -1 for help. */
int
adr_join_options_parse (int argc, char **argv, adr_join_options_t *options)
{
    static const struct option known[] = {
        { "token-file", required_argument, NULL, 'f' }, { "dir", required_argument, NULL, 'd' },
        { "address", required_argument, NULL, 'a' },    { "port", required_argument, NULL, 'p' },
        { "timeout", required_argument, NULL, 't' },    { "clients", required_argument, NULL, 'c' },
        { "operators", required_argument, NULL, 'o' },  { "credentials", required_argument, NULL, 's' },
        { "help", no_argument, NULL, 'h' },             { NULL, 0, NULL, 0 },
    };
    optind = 0;
    for (int option; (option = getopt_long (argc, argv, "h", known, NULL)) != -1;) {
        int code = option == 'h' ? -1 : s_take_option (option, options);
        if (code)
            return code;
    }
    if (argc - optind > 1)
        return adr_join_say (ADR_EXIT_USAGE, "expected one TOKEN, and options");
    options->token_text = optind < argc ? argv[optind] : NULL;
    if (!options->token_text == !options->token_file)
        return adr_join_say (ADR_EXIT_USAGE, "expected TOKEN, or --token-file F");
    return options->directory ? 0 : adr_join_say (ADR_EXIT_USAGE, "--dir DIR is missing");
}

/* --- the token ------------------------------------------------------------------------------------------------------ */

/* Where others may read it, somebody else may use it first. */
static void
s_warn_of_readers (int file, const char *path)
{
    struct stat status;
    if (fstat (file, &status) == 0 && S_ISREG (status.st_mode) && (status.st_mode & 077))
        adr_join_say (0, "%s: others may read this token, and use it -> chmod 600", path);
}

static int
s_read_token_file (const char *path, char *text, size_t room, size_t *size)
{
    bool is_input = strcmp (path, "-") == 0;
    FILE *file = is_input ? stdin : fopen (path, "re");
    if (file == NULL)
        return adr_join_say (ADR_EXIT_CONFIG, "%s: %s", path, strerror (errno));
    setvbuf (file, NULL, _IONBF, 0); /* no copy of the secret stays in a buffer */
    if (!is_input)
        s_warn_of_readers (fileno (file), path);
    *size = fread (text, 1, room, file);
    bool failed = ferror (file);
    if (!is_input)
        fclose (file);
    return failed ? adr_join_say (ADR_EXIT_CONFIG, "%s: cannot be read", path) : 0;
}

static int
s_check_token (const adr_token_t *token, const adr_join_edge_t *edge)
{
    if (token->type != ADR_NODE_EDGE && (edge->clients || edge->operators || edge->credentials))
        return adr_join_say (ADR_EXIT_USAGE, "--clients, --operators and --credentials are an edge's, and the token is for a %s node",
                           adr_node_type_name (token->type));
    return 0;
}

int
adr_join_token_read (const adr_join_options_t *options, adr_token_t *token)
{
    char read[S_TOKEN_FILE_MAX];
    char *text = options->token_text;
    size_t size = text ? strlen (text) : 0;
    int code = text ? 0 : s_read_token_file (options->token_file, read, sizeof read, &size);
    bool good = code == 0 && adr_token_parse (token, text ? text : read, size);
    sodium_memzero (read, sizeof read);
    if (text)
        sodium_memzero (text, size); /* out of `ps` */
    if (code)
        return code;
    return good ? s_check_token (token, &options->edge) : adr_join_say (ADR_EXIT_CONFIG, "that is no token, or a letter of it was mistyped or lost");
}
