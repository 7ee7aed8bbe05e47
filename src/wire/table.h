/* SPDX-License-Identifier: MPL-2.0 */
/* The one table of message kinds [DESIGN 8]: name, header type, and who may send it to whom. */

#ifndef ADR_TABLE_H
#define ADR_TABLE_H

#include "core/base.h"

#include <protobuf-c/protobuf-c.h>

/* A way that a message may go: from this actor on a node of one of these types to that actor. */
typedef struct {
    uint32_t types; /* bits 1 << adr_node_type_t of the sender */
    adr_actor_kind_t from, to;
    bool local; /* between actors of one host only */
} adr_way_t;

#define ADR_WAYS_MAX 12

typedef struct {
    uint16_t kind; /* Adr__Kind */
    const char *name;
    const ProtobufCMessageDescriptor *descriptor;
    adr_way_t way[ADR_WAYS_MAX]; /* up to the first without types */
} adr_kind_row_t;

/* The kind's row; NULL for a number that is no kind. */
const adr_kind_row_t *adr_kind_row (uint16_t kind);

#endif
