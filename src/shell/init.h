/* SPDX-License-Identifier: MPL-2.0 */
/* The shell's commands that need no cluster: `init` founds one, `cert` shows and checks certificates. argv[0] is the
 * command's own name; they return the process's exit code. */

#ifndef ADR_INIT_H
#define ADR_INIT_H

int adr_shell_init (int argc, char **argv);
int adr_shell_cert (int argc, char **argv);

#endif
