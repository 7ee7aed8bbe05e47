/* SPDX-License-Identifier: MPL-2.0 */
/* Fatal signals: see fault.h.
 *
 * Owns: their handlers. Makes durable: nothing itself. Assumes: what it calls may be called in a handler. */

#include "runtime/fault.h"

#include "store/backend.h"

#include <signal.h>

static const int s_signal[] = { SIGSEGV, SIGBUS, SIGABRT, SIGILL, SIGFPE };

#define S_COUNT (sizeof s_signal / sizeof s_signal[0])

static struct sigaction s_before[S_COUNT];

/* Raised again, it waits until the handler has returned. */
static void
s_handle (int number)
{
    adr_index_lmdb_on_fault ();
    for (size_t i = 0; i < S_COUNT; i++)
        if (s_signal[i] == number)
            (void) sigaction (number, &s_before[i], NULL);
    (void) raise (number);
}

void
adr_fault_prepare (void)
{
    struct sigaction action = { .sa_handler = s_handle };
    sigemptyset (&action.sa_mask);
    for (size_t i = 0; i < S_COUNT; i++)
        (void) sigaction (s_signal[i], &action, &s_before[i]);
}
