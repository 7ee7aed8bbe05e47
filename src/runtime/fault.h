/* SPDX-License-Identifier: MPL-2.0 */
/* Fatal signals. */

#ifndef ADR_FAULT_H
#define ADR_FAULT_H

/* From now on a thread that gets SIGSEGV, SIGBUS, SIGABRT, SIGILL or SIGFPE notes first, durably, what the next start must
 * know of it [STORE-10]. Then the signal does what it did before. */
void adr_fault_prepare (void);

#endif
