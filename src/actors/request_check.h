/* SPDX-License-Identifier: MPL-2.0 */
/* Is a request one that a group may be asked? Checked once, by the edge that it comes to [EDGE-5]. */

#ifndef ADR_REQUEST_CHECK_H
#define ADR_REQUEST_CHECK_H

#include "wire/pack.h"

/* What is wrong with a record's name, for people; NULL if nothing is, and then the type of its table. */
const char *adr_request_wrong_key (uint32_t table, size_t key_size, adr_node_type_t *type);
/* What is wrong with an operation by the rules of its table; NULL if nothing is [REPAIR-7, OBJECT-1, OBJECT-3]. */
const char *adr_request_wrong_op (const Adr__Op *op);
/* What is wrong with the write and its payload; NULL if nothing is, and then type and partition of its records. */
const char *adr_request_wrong_write (const Adr__Write *write, size_t payload_size, uint32_t partition_count,
                                     adr_node_type_t *type, uint32_t *partition);

#endif
