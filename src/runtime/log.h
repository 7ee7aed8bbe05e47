/* SPDX-License-Identifier: MPL-2.0 */
/* The log: one line a fact, one write (2) a line, so that lines of many threads never mix.
 *
 *     2026-01-31T12:00:00.000Z warning meta1@z1 election: a fact -> its consequence key=value
 *
 * Owns: the file. Makes durable: nothing. Assumes: callers pass no key, token or payload. Control characters in the
 * text are shown as '?', so that nothing from outside forges a line. */

#ifndef ADR_LOG_H
#define ADR_LOG_H

#include "core/actor.h"

/* Exit codes of adrestiad; docs/operations/exit-codes.md. */
typedef enum {
    ADR_EXIT_OK = 0,
    ADR_EXIT_USAGE = 64,
    ADR_EXIT_UNAVAILABLE = 69, /* an address is in use */
    ADR_EXIT_FATAL = 70,       /* a disk failed, or an actor saw that going on could break an invariant */
    ADR_EXIT_STORE = 74,       /* a store cannot be opened */
    ADR_EXIT_CONFIG = 78       /* configuration, map, keys or certificate are wrong */
} adr_exit_t;

/* Lines of this level and graver go to the file (appended; NULL: stderr). False: `errno` says why. */
ADR_WARN_UNUSED bool adr_log_open (adr_level_t level, const char *path);
bool adr_log_wants (adr_level_t level);
/* `who` is "node actor", or "" for the process itself. Any thread. */
void adr_log_text (adr_level_t level, const char *who, const char *text);
void adr_log (adr_level_t level, const char *who, const char *format, ...) ADR_PRINTF (3, 4);
/* At most one line a second for each `last_ns` (any thread; starts at 0): for what a stranger can cause at will. */
void adr_log_rarely (int64_t *last_ns, adr_level_t level, const char *who, const char *format, ...)
    ADR_PRINTF (4, 5);

/* Names the calling thread for `top -H` and `perf`: "meta1@z1 election" as "meta1 election", cut at 15 bytes. */
void adr_log_name_thread (const char *who);

/* Says why, and ends the process at once with the code: no buffer is flushed, no destructor runs. */
_Noreturn void adr_fatal (adr_exit_t code, const char *who, const char *format, ...) ADR_PRINTF (3, 4);

ADR_WARN_UNUSED bool adr_level_parse (adr_level_t *level, const char *text);
const char *adr_level_name (adr_level_t level);

#endif
