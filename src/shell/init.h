/* SPDX-License-Identifier: MPL-2.0 */
/* The shell's commands that need no cluster: `init` founds one, `cert` shows and checks certificates. argv[0] is the
 * command's own name; they return the process's exit code. */

#ifndef ADR_INIT_H
#define ADR_INIT_H

#include "core/cert.h"

int adr_shell_init (int argc, char **argv);
int adr_shell_cert (int argc, char **argv);

/* The root's certificate and keys from the folder `ca`, which must fit each other; `passphrase_file` opens a sealed key, NULL: there is
 * none. False, and the user was told. The caller wipes the keys. */
ADR_WARN_UNUSED bool adr_shell_read_root (const char *ca, const char *passphrase_file, adr_cert_t *root, adr_keys_t *keys);

#endif
