/* SPDX-License-Identifier: MPL-2.0 */
/* What disk.c, state.c and index.c of the simulator share with each other alone. */

#ifndef ADR_SIM_DISK_PARTS_H
#define ADR_SIM_DISK_PARTS_H

#include "disk.h"

/* Counts an operation; false once the power is gone. */
bool sim_disk_alive (sim_disk_t *self);

void sim_state_init (sim_disk_t *self);
void sim_state_clear (sim_disk_t *self);

void sim_index_init (sim_disk_t *self);
void sim_index_forget (sim_disk_t *self); /* the transaction that was open */
void sim_index_clear (sim_disk_t *self);
void sim_index_free (sim_disk_t *self);

#define SIM_INDEX_TREE UINT8_MAX /* the table of the second space; a row's value stands behind its key */
/* check_rows.c: a transaction is to put this row where that one stands; NULL: none. */
void sim_rows_judge (sim_disk_t *disk, const sim_index_row_t *old, const sim_index_row_t *row);

#endif
