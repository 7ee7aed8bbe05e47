/* SPDX-License-Identifier: MPL-2.0 */
/* Every bound of the system with its reason. Nothing grows without one [DESIGN 3]. Those that an operator may
 * set have their default and range in config/adrestia.yaml; here stand the ones that both sides of a wire or a
 * file must agree on. */

#ifndef ADR_LIMITS_H
#define ADR_LIMITS_H

#include <assert.h>

/* Keys: S3 allows 1,024 bytes of object name; a bucket name (63) and a separator stand before it. */
#define ADR_KEY_MAX 1100
/* Values: larger objects are chunks [DESIGN 6]. */
#define ADR_VALUE_MAX (1024 * 1024)
/* Operations of one entry: a multi-key transaction. */
#define ADR_OPS_MAX 64
/* All of one entry's bytes as they stand in the log: one value, or a transaction of small ones. */
#define ADR_ENTRY_MAX (ADR_VALUE_MAX + 64 * 1024)
/* A pack gathers the items that a turn has for one address. */
#define ADR_PACK_TARGET (256 * 1024)
/* A lone value of 1 MiB still fits, with its entry, headers and envelope. */
#define ADR_PACK_MAX (ADR_ENTRY_MAX + 64 * 1024)
/* CURVE adds 33 bytes to a message: 16 of the box, 8 of the nonce, 8 of the command name, 1 of flags. */
#define ADR_FRAME_MAX (ADR_PACK_MAX + 33)
/* Protobuf headers: the largest is a map; all others are under 1 KiB. */
#define ADR_HEADER_MAX (256 * 1024)
/* A clusterMap with every status that it may come to hold: what is around it in its messages must fit, too. About 300
 * nodes with certificates; more need a map that is told in pieces. */
#define ADR_MAP_MAX (ADR_HEADER_MAX - 64)
/* The longest status of a group: 14 members of at most 132 bytes, and 16 fields. */
#define ADR_GROUP_STATUS_MAX 2048
/* Ages of what was told are counted up to a day. */
#define ADR_AGE_MAX_MS (24 * 3600 * 1000)
/* Rows of one list answer, and their bytes (a page). */
#define ADR_LIST_ROWS_MAX 1000
#define ADR_LIST_BYTES_MAX (256 * 1024)
/* Partitions of a node type's key space, set when the cluster is made. */
#define ADR_PARTITIONS_DEFAULT 64
#define ADR_PARTITIONS_MAX 4096
#define ADR_BUCKETS 256
/* No message may bring the term near its end: an honest cluster takes one a second for ages without coming here. */
#define ADR_TERM_MAX (UINT64_C (1) << 62)
/* A record's time to live. Shorter than a second, it would end before its writer has heard of it, and the rows that say so
 * could stand behind those that are done already [REPAIR-7]; nobody means more than ten years. */
#define ADR_TTL_MIN_MS 1000
#define ADR_TTL_MAX_MS (INT64_C (10) * 365 * 24 * 3600 * 1000)
/* A pause of repair ends by itself: a forgotten one must not cost data. */
#define ADR_PAUSE_MAX_MS (24 * 3600 * 1000)
/* ms of its clock in an edge's token; above them a number of its life [EDGE-6]. 34 years. */
#define ADR_TOKEN_MS_BITS 40
/* S3 credentials of a cluster: an edge keeps all of them, at most 3 KiB each, in memory. */
#define ADR_CREDENTIALS_MAX 4096
/* How long an application's request may live; request ids are kept at least twice as long [REPL-5]. */
#define ADR_REQUEST_TIME_MAX_MS 60000

static_assert (ADR_ENTRY_MAX >= ADR_VALUE_MAX + ADR_KEY_MAX + 256, "an entry holds the largest value and key");
static_assert (ADR_PACK_MAX >= ADR_ENTRY_MAX + 4096, "a pack holds the largest entry");
static_assert (ADR_GROUP_STATUS_MAX >= 14 * 135 + 5 * 11 + 7 * 6 + 2 * 20 + 4, "a status of 14 members fits");
static_assert (ADR_LIST_BYTES_MAX >= ADR_KEY_MAX * 2, "a page holds at least one row");

#endif
