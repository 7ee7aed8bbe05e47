/* SPDX-License-Identifier: MPL-2.0 */
/* `adrestiad join`: a new host's side of TRUST-5 (docs/protocol/trust.md). A token becomes a folder that adrestiad runs.
 *
 *     join.c         the order of things
 *     join_options.c the command line, the token
 *     join_door.c    one question through one adoption door
 *     join_answer.c  whether an answer is believed
 *     join_folder.c  the folder: the node's identity, files that appear whole or not at all
 *     join_authority.c  a PKI node's authority, which the offline root signs
 *     join_config.c  the configuration, and what an edge has beside it
 *
 * argv[0] is the command's own name; the text of a token in argv is wiped. Returns the process's exit code. */

#ifndef ADR_JOIN_H
#define ADR_JOIN_H

#include "core/token.h"
#include "runtime/log.h"

#include <sys/types.h>

#define ADR_JOIN_CONFIG "adrestia.yaml" /* in the folder, as `adrestia init` has it */

/* Beside those of adr_exit_t; docs/operations/exit-codes.md. */
#define ADR_JOIN_AGAIN 75      /* no PKI node answered in time, or none could: the same again may help */
#define ADR_JOIN_UNBELIEVED 76 /* an answer that the token, or the cluster's root, does not vouch for */
#define ADR_JOIN_REFUSED 77    /* the cluster says no */

int adr_join (int argc, char **argv);

/* What the node is, drawn before anybody is asked. */
typedef struct {
    adr_id_t node;
    adr_keys_t keys;
    uint64_t incarnation; /* its store's first one, where it is to found its group [GROUP-3]; else 0 */
} adr_join_identity_t;

/* --- join_door.c -------------------------------------------------------------------------------------------------- */

typedef struct {
    const adr_token_t *token;
    const adr_join_identity_t *identity;
    const char *endpoint[ADR_JOIN_ENDPOINTS]; /* where the node will listen */
    adr_bytes_t authority;                    /* of a PKI node: its authority's certificate */
} adr_join_ask_t;

typedef struct {
    adr_status_t status;
    char text[200]; /* for people: what the PKI node said, fit for a terminal */
    uint8_t certificate[ADR_CERTIFICATE_MAX];
    size_t certificate_size;
    uint8_t hash_key[32];
    bool has_hash_key;
    uint8_t sealing_key[32]; /* of the credentials' secrets; a PKI node's */
    bool has_sealing_key;
    adr_map_t *map; /* owned; NULL: none came, or none that can be read */
} adr_join_answer_t;

/* Asks once. False: nobody answered until then (CLOCK_BOOTTIME), and text says what was heard. */
ADR_WARN_UNUSED bool adr_join_ask (const adr_join_ask_t *ask, const adr_token_door_t *door, int64_t until_ns,
                                   adr_join_answer_t *answer);
void adr_join_answer_free (adr_join_answer_t *answer);

/* --- join_answer.c ------------------------------------------------------------------------------------------------ */

/* Whether the answer is what the token promises, for this node, up to the token's root. False: `error` says why not. */
ADR_WARN_UNUSED bool adr_join_answer_check (const adr_join_answer_t *answer, const adr_token_t *token,
                                            const adr_join_identity_t *identity, int64_t now_ms, char *error, size_t error_size);

/* --- join_folder.c ------------------------------------------------------------------------------------------------ */

typedef struct {
    const char *path;
    int file; /* of the folder, locked; -1: closed */
} adr_join_folder_t;

/* Makes the folder, for its owner alone, if it is not there, and keeps other joins out of it. Each failure here and below leaves a
 * line in `error`. */
ADR_WARN_UNUSED bool adr_join_folder_open (adr_join_folder_t *self, const char *path, char *error, size_t error_size);
void adr_join_folder_close (adr_join_folder_t *self);
bool adr_join_folder_has (const adr_join_folder_t *self, const char *name);
/* The file appears whole, durably, or not at all; one of that name is replaced. */
ADR_WARN_UNUSED bool adr_join_folder_put (const adr_join_folder_t *self, const char *name, mode_t mode, adr_bytes_t bytes, char *error,
                                          size_t error_size);
/* The identity that stands there, or a new one, which then does, durably: asked again, it is the same; of a node that `founds` its
 * group with an incarnation. Refuses the folder of a node that did not join. */
ADR_WARN_UNUSED bool adr_join_folder_identity (const adr_join_folder_t *self, bool founds, adr_join_identity_t *identity, char *error,
                                               size_t error_size);

/* --- join_authority.c --------------------------------------------------------------------------------------------- */

/* Of a PKI node: appends its authority's certificate. Else the exit code, and the user was told, also what the root has to sign first. */
int adr_join_authority (const adr_join_folder_t *folder, const adr_token_t *token, const adr_join_identity_t *identity,
                        adr_buffer_t *certificate, char *error, size_t error_size);

/* --- join_config.c ------------------------------------------------------------------------------------------------ */

/* Files that an edge is given; NULL: none. */
typedef struct {
    const char *clients, *operators; /* a CURVE key a line, 64 hexadecimal digits, maybe behind `- ` */
    const char *credentials;         /* as adrestiad reads it (s3-credentials) */
} adr_join_edge_t;

/* Appends the configuration of a host that runs this node alone, and reads it as adrestiad will; `credentials` gets the bytes of that
 * file. */
ADR_WARN_UNUSED bool adr_join_config_make (const adr_token_t *token, const adr_join_edge_t *edge, const char *path, adr_buffer_t *config,
                                           adr_buffer_t *credentials, char *error, size_t error_size);

/* --- join_options.c ----------------------------------------------------------------------------------------------- */

typedef struct {
    const char *token_file; /* "-": standard input */
    char *token_text;       /* of the command line; one of these two */
    const char *directory, *address; /* NULL: not given */
    uint32_t port, timeout_s;
    adr_join_edge_t edge;
} adr_join_options_t;

extern const char adr_join_help[];
/* Fills in what is given. 0, or the exit code, and the user was told; -1: help is wanted. */
int adr_join_options_parse (int argc, char **argv, adr_join_options_t *options);
/* Reads the token, and wipes its text. 0, or the exit code, and the user was told. */
int adr_join_token_read (const adr_join_options_t *options, adr_token_t *token);
/* One line for the user, on standard error; returns the code. */
int adr_join_say (int code, const char *format, ...) ADR_PRINTF (2, 3);

#endif
