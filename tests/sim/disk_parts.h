/* SPDX-License-Identifier: MPL-2.0 */
/* What disk.c and state.c of the simulator share with each other alone. */

#ifndef ADR_SIM_DISK_PARTS_H
#define ADR_SIM_DISK_PARTS_H

#include "disk.h"

/* Counts an operation; false once the power is gone. */
bool sim_disk_alive (sim_disk_t *self);

void sim_state_init (sim_disk_t *self);
void sim_state_clear (sim_disk_t *self);

/* check_rows.c: a transaction is to put this row where that one stands; NULL: none. */
void sim_rows_judge (memory_index_t *index, const memory_row_t *old, const memory_row_t *row);

#endif
