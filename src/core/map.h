/* SPDX-License-Identifier: MPL-2.0 */
/* The clusterMap as plain values: who exists, who owns which partition, who leads [DESIGN 9]. wire/map_codec.c turns
 * it into its message and back. A map is immutable once shared; whoever keeps one copies it. */

#ifndef ADR_MAP_H
#define ADR_MAP_H

#include "core/base.h"
#include "core/bytes.h"
#include "core/limits.h"
#include "core/recovery_statement.h"

#define ADR_NAME_MAX 63
#define ADR_ENDPOINT_MAX 127
#define ADR_ZONES_MAX ADR_VOTERS_MAX
#define ADR_NODES_MAX 4096
#define ADR_GROUPS_MAX 1024
#define ADR_CERTIFICATE_MAX 1024

typedef struct {
    adr_id_t id;
    char name[ADR_NAME_MAX + 1];
} adr_map_zone_t;

typedef struct {
    adr_id_t id, zone, group;
    adr_node_type_t type;
    char name[ADR_NAME_MAX + 1]; /* "meta1@z1" */
    uint8_t curve_key[32], sign_key[32];
    uint8_t certificate[ADR_CERTIFICATE_MAX];
    size_t certificate_size;
    char control[ADR_ENDPOINT_MAX + 1], bulk[ADR_ENDPOINT_MAX + 1]; /* tcp://host:port */
    char client[ADR_ENDPOINT_MAX + 1];                              /* of an edge; of a PKI node: its adoption door; else "" */
    char http[ADR_ENDPOINT_MAX + 1];                                /* of an edge: host:port */
    bool leaving, evicted;
    bool pending; /* a PKI node that does not vote yet: its signature counts, and is not waited for */
} adr_map_node_t;

/* How far a node's copy is exact (adr_sync_t of store/store.h), and what its repair has done; parts 0: none is under way. */
typedef struct {
    uint32_t sync, parts_done, parts, rate_kib, left_s; /* partitions; KiB a second; seconds */
    uint64_t pulled;                                    /* bytes, since it began */
    uint32_t paused_s;                                  /* of an operator's pause, that are left */
    uint32_t scrub_done;                                /* partitions of the scrubber's pass */
    uint64_t damaged;                                   /* found by it since the start */
} adr_progress_t;

/* The messages that carry it name its fields alike. */
#define ADR_PROGRESS_COPY(to, from)                                                              \
    ((to)->sync = (from)->sync, (to)->parts_done = (from)->parts_done, (to)->parts = (from)->parts, \
     (to)->rate_kib = (from)->rate_kib, (to)->left_s = (from)->left_s, (to)->pulled = (from)->pulled, \
     (to)->paused_s = (from)->paused_s, (to)->scrub_done = (from)->scrub_done, (to)->damaged = (from)->damaged)

typedef struct {
    adr_id_t node;
    adr_node_state_t state;
    uint64_t incarnation, boot, last_index, applied; /* boot: which start of it the master has heard */
    bool voter;
    adr_progress_t progress;
} adr_map_member_t;

/* A group's status, made by its master; the higher (term, sequence) is the newer. */
typedef struct {
    uint64_t term, sequence, commit, unlocked;
    uint64_t map_epoch; /* of its committed voters [TRUST-7] */
    bool unlocked_known, leaving;
    adr_id_t master; /* none: unknown */
    uint32_t voter_count, quorum, member_count;
    uint32_t age_ms; /* when this copy was told */
    adr_map_member_t member[ADR_VOTERS_MAX * 2];
} adr_group_status_t;

typedef struct {
    adr_id_t id;
    adr_node_type_t type;
    char name[ADR_NAME_MAX + 1]; /* "meta1" */
    adr_voters_t founding; /* no voters: it is forming, and nobody founds it yet [GROUP-3] */
    /* Of a group that a set of tokens makes (map_forming.h); none of any other. */
    uint32_t forming_zone_count;
    adr_id_t forming_zone[ADR_ZONES_MAX];
    uint32_t forming_count; /* who has come, until it is formed */
    adr_voter_t forming[ADR_VOTERS_MAX];
    uint8_t recovery[ADR_RECOVERY_SIZE]; /* the statement by which one node of it went on alone [RECOVER-4] */
    size_t recovery_size;                /* 0: it never lost its quorum for good */
    adr_group_status_t status;
} adr_map_group_t;

typedef struct {
    adr_node_type_t type;
    uint32_t first, last; /* partitions, both included */
    adr_id_t group;
    uint32_t epoch;
} adr_map_range_t;

/* What the whole cluster obeys. core/settings.h says which names this version knows; it keeps those of newer ones. */
#define ADR_SETTINGS_MAX 64
#define ADR_SETTING_NAME_MAX 31
typedef struct {
    char name[ADR_SETTING_NAME_MAX + 1]; /* "timing.poll" */
    uint64_t value;                      /* ms or bytes */
} adr_setting_t;

#define ADR_MAP_SIGNATURE_SIZE 64
typedef struct {
    adr_id_t node; /* the PKI node whose authority signed */
    uint8_t signature[ADR_MAP_SIGNATURE_SIZE];
} adr_map_signature_t;

typedef struct adr_map {
    adr_id_t cluster;
    char name[ADR_NAME_MAX + 1];
    uint64_t epoch;
    uint32_t partition_count, quorum;
    uint32_t zone_count, node_count, group_count, range_count;
    adr_map_zone_t zone[ADR_ZONES_MAX];
    adr_map_node_t *node;   /* owned */
    adr_map_group_t *group; /* owned */
    adr_map_range_t *range; /* owned */
    uint8_t root_certificate[ADR_CERTIFICATE_MAX];
    size_t root_certificate_size;
    uint8_t authority[ADR_ZONES_MAX][ADR_CERTIFICATE_MAX]; /* the intermediates' */
    size_t authority_size[ADR_ZONES_MAX];
    uint32_t authority_count;
    adr_setting_t setting[ADR_SETTINGS_MAX]; /* by name */
    uint32_t setting_count;
    /* The registry as it was encoded and signed, owned; whoever changes any of the above calls adr_map_unseal. NULL: not yet. */
    uint8_t *sealed;
    size_t sealed_size;
    adr_map_signature_t signature[ADR_ZONES_MAX];
    uint32_t signature_count;
} adr_map_t;

adr_map_t *adr_map_new (void);
adr_map_t *adr_map_copy (const adr_map_t *map);
void adr_map_destroy (adr_map_t **self);
/* Whether both say the same, statuses, signatures and fields that we do not know aside. */
bool adr_map_same_registry (const adr_map_t *a, const adr_map_t *b);
bool adr_map_same_settings (const adr_map_t *a, const adr_map_t *b);
/* Its registry is about to be changed: its bytes are made anew, and nobody has signed them. */
void adr_map_unseal (adr_map_t *self);

/* `tcp://` (or nothing, where `scheme` is false), an IPv4 address in four numbers that is not 0.0.0.0, and a port: no name that somebody
 * would have to look up. Joined nodes have no others. */
bool adr_endpoint_is_numeric (const char *endpoint, bool scheme);

/* By its id or name also one that was evicted, by its key none. */
const adr_map_node_t *adr_map_node (const adr_map_t *self, const adr_id_t *id);
const adr_map_node_t *adr_map_node_by_key (const adr_map_t *self, const uint8_t curve_key[32]);
const adr_map_node_t *adr_map_node_by_name (const adr_map_t *self, const char *name);
const adr_map_zone_t *adr_map_zone (const adr_map_t *self, const adr_id_t *id);
adr_map_group_t *adr_map_group (const adr_map_t *self, const adr_id_t *id);
/* Nodes of the group that are not evicted, in the order of the map, at most `room`; returns how many. */
uint32_t adr_map_group_nodes (const adr_map_t *self, const adr_id_t *group, const adr_map_node_t **nodes,
                              uint32_t room);
/* [PART-1] The epoch of what the group writes: the highest of its partitions', ADR_EPOCH if it has none. */
uint32_t adr_map_epoch (const adr_map_t *self, const adr_id_t *group);
/* The group that owns the partition of this node type; NULL if none does. */
adr_map_group_t *adr_map_owner (const adr_map_t *self, adr_node_type_t type, uint32_t partition);
/* Statuses become older by the time since `*since_ns`, which is moved up to now (to whole milliseconds). */
void adr_map_grow_older (adr_map_t *self, int64_t *since_ns, int64_t now_ns);
/* Takes the status over if it is newer than what the map holds for the group; true if it was. */
bool adr_map_merge_status (adr_map_t *self, const adr_id_t *group, const adr_group_status_t *status);

/* [PART-3], the one function: the partition of a record. A chunk's key is objectId and a big-endian u64 number, a
 * key-value record's is namespace, 0, key; a META key is bucket, 0, object key; an upload's is bucket, 0, object key,
 * 0, what tells it from others. Lists of garbage and pending objects may be asked for by a sweep key, which names the
 * partition itself. Records of the table GROUP belong to none: ADR_PARTITION_NONE. */
#define ADR_PARTITION_NONE UINT32_MAX
uint32_t adr_partition_of (uint8_t table, adr_bytes_t key, uint32_t partition_count);

#endif
