/* SPDX-License-Identifier: MPL-2.0 */
/* For tests of `adrestiad join`: a cluster of two zones with the adoption doors of its PKI nodes, a token for a data node of a third,
 * and a folder for that node. Setup and teardown of each test. */

#ifndef ADR_JOIN_FIXTURE_H
#define ADR_JOIN_FIXTURE_H

#include "fake_door.h"
#include "runtime/config.h"
#include "shell/join.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

extern struct join_world {
    adr_founding_t *founding;
    adr_token_t token;
    fake_door_t *door[2];
    char folder[64]; /* around the node's */
    char node[80];   /* the node's */
    char text[ADR_TOKEN_TEXT_MAX];
    char port[8];
} join_world;

int join_set_up (void **state);
int join_tear_down (void **state);
#define JOIN_TEST(name) cmocka_unit_test_setup_teardown (name, join_set_up, join_tear_down)

/* A new token for a node of that type, and new doors. */
void join_make_token (adr_node_type_t type);
void join_use_token (const adr_token_t *token);
/* Four free ones in a row. */
void join_find_ports (char text[8]);
void join_edit (const fake_door_edits_t *edits); /* of both doors */

/* The exit code of `join TOKEN --dir DIR --port P --timeout 2` and the words up to a NULL; NULL as the token: none. */
int join_with (const char *token, const char *first, ...);
int join_now (void); /* with the world's token */

/* A path in the node's folder; four live at a time. */
const char *join_in_node (const char *name);
bool join_has (const char *name);
size_t join_read (const char *name, char *at, size_t room); /* with an end */
void join_write (const char *path, mode_t mode, const char *text);
void join_check_mode (const char *name, mode_t mode);
void join_check_nothing_written (void); /* but the identity */
/* As adrestiad --check does; the caller's to destroy. */
adr_config_t *join_check (void);
adr_map_t *join_read_map (void);

#endif
