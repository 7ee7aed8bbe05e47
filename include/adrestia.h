/* SPDX-License-Identifier: MPL-2.0 */
/* libadrestia: the client library of Adrestia. One header, one prefix, `adr_client_t` is thread-safe.
 *
 * A client keeps one CURVE connection to an edge, fails over to the next one, packs what is asked for at the same
 * time, and gives every request an id, so that its own retries never do a write twice. One that writes (a quarter of
 * what it asks, or more) and reads nothing locally moves to the edge beside the master, if the profile lists it; never
 * twice in ten seconds; `follow-master: no` in the profile keeps it where it is. Every call has a blocking face;
 * the asynchronous one (adr_client_start_*) calls back on the client's own thread, where nothing may block.
 *
 * Outcomes are adr_result_t. REFUSED says that nothing was done; UNKNOWN says that a write may or may not be done.
 * Sizes are bytes, times milliseconds. Since 0.1, all of it. */

#ifndef ADRESTIA_H
#define ADRESTIA_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct adr_client adr_client_t;

/* The numbers are the shell's exit codes, too. */
typedef enum {
    ADR_OK = 0,
    ADR_NOT_FOUND = 1,
    ADR_CONFLICT = 2,
    ADR_REFUSED = 3,
    ADR_UNKNOWN = 4,
    ADR_LOCKED = 5,
    ADR_TIMEOUT = 6,
    ADR_INVALID = 7,
    ADR_DENIED = 8,
    ADR_DAMAGED = 9,
    ADR_FULL = 11,
    ADR_UNREACHABLE = 12 /* no edge answered; nothing was sent */
} adr_result_t;

const char *adr_result_name (adr_result_t result);

typedef struct {
    uint32_t epoch;
    uint64_t term;
    uint64_t index;
} adr_client_version_t;

typedef enum { ADR_ALWAYS = 0, ADR_IF_ABSENT = 1, ADR_IF_EXISTS = 2, ADR_IF_VERSION = 3 } adr_condition_t;
typedef enum { ADR_READ_STRONG = 0, ADR_READ_LOCAL = 1 } adr_read_t;

/* Reads a client profile (YAML: cluster, edges with their keys, the client's certificate and secret key), as
 * `adrestia init` writes one. NULL: `error` (may be NULL) gets one line. The caller destroys the client. */
adr_client_t *adr_client_open (const char *profile_path, char *error, size_t error_size);
/* Waits for nothing: pending requests end with UNREACHABLE, UNKNOWN or TIMEOUT, as fits. Takes and nulls. */
void adr_client_destroy (adr_client_t **self);

/* The time limit of following calls, 1 to 60,000 ms; 10,000 if never set. */
void adr_client_set_timeout (adr_client_t *self, uint32_t timeout_ms);
/* One line about the last failure of this thread's blocking call on this client; never NULL. */
const char *adr_client_error (const adr_client_t *self);

/* --- key-value ----------------------------------------------------------------------------------------------------
 * A space (1 to 63 bytes, without NUL) holds keys of 1 to 1,024 bytes with values of up to 1 MiB. Keys that share a
 * {tag} stand in one partition and can be written in one transaction. */

typedef struct {
    adr_client_version_t version;
    uint64_t time_ms;
    void *value; /* the caller's; adr_value_free () */
    size_t size;
} adr_value_t;

void adr_value_free (adr_value_t *value);

/* `version` may be NULL; on OK it gets the new one, on CONFLICT the one that the condition lost against. */
adr_result_t adr_kv_put (adr_client_t *self, const char *space, const void *key, size_t key_size, const void *value,
                         size_t size, adr_condition_t condition, adr_client_version_t *version);
/* The same, and the record is deleted of itself when `ttl_ms` have passed, 1,000 ms to ten years (INVALID else; 0: never),
 * unless it was written again by then. Counted by the log's time (docs/operations/log-time.md), which is the master's clock in
 * quiet times; reads may find it for up to a second longer. */
adr_result_t adr_kv_put_ttl (adr_client_t *self, const char *space, const void *key, size_t key_size, const void *value,
                             size_t size, uint64_t ttl_ms, adr_condition_t condition, adr_client_version_t *version);
adr_result_t adr_kv_get (adr_client_t *self, const char *space, const void *key, size_t key_size, adr_read_t mode,
                         adr_value_t *value);
adr_result_t adr_kv_delete (adr_client_t *self, const char *space, const void *key, size_t key_size,
                            adr_condition_t condition, adr_client_version_t *version);
/* Calls `row` for each live key with the prefix that stands behind `after` (NULL: from the first), in key order, until
 * it returns false. Pages by itself; a page is a strong read of its own. */
typedef bool (adr_kv_row_fn) (void *argument, const void *key, size_t key_size, const adr_value_t *value);
adr_result_t adr_kv_list (adr_client_t *self, const char *space, const void *prefix, size_t prefix_size,
                          const void *after, size_t after_size, adr_read_t mode, adr_kv_row_fn *row, void *argument);

/* Called once, on the client's thread; `value` is lent (NULL unless a get succeeded). */
typedef void (adr_done_fn) (void *argument, adr_result_t result, const adr_client_version_t *version,
                            const adr_value_t *value);
/* Asynchronous faces; key and value are copied before they return. */
void adr_kv_start_put (adr_client_t *self, const char *space, const void *key, size_t key_size, const void *value,
                       size_t size, adr_condition_t condition, const adr_client_version_t *version,
                       adr_done_fn *done, void *argument);
void adr_kv_start_get (adr_client_t *self, const char *space, const void *key, size_t key_size, adr_read_t mode,
                       adr_done_fn *done, void *argument);

/* --- objects ------------------------------------------------------------------------------------------------------ */

typedef struct {
    uint8_t id[16];      /* objectId */
    uint64_t size;
    char etag[65];       /* hexadecimal MD5 of the bytes */
    char content_type[128];
    uint64_t modified_ms;
    adr_client_version_t version; /* of the meta record */
} adr_object_t;

/* Gives at most `room` bytes to `data`; returns how many, 0 at the end, -1 to give up. */
typedef ssize_t (adr_source_fn) (void *argument, void *data, size_t room);
/* Takes `size` bytes; false to give up. */
typedef bool (adr_sink_fn) (void *argument, const void *data, size_t size);

/* Makes a bucket; CONFLICT if there is one of that name. S3's rules for names: 3 to 63 of a-z, 0-9, '-' and '.'. */
adr_result_t adr_object_make_bucket (adr_client_t *self, const char *bucket);
/* Streams in constant memory, 1 MiB chunks. NOT_FOUND if there is no such bucket, or it was deleted meanwhile; INVALID if
 * the source gave up. The object is visible, whole, when this returns OK, and not before. */
adr_result_t adr_object_put (adr_client_t *self, const char *bucket, const char *key, adr_source_fn *source,
                             void *argument, const char *content_type, adr_object_t *object);
adr_result_t adr_object_stat (adr_client_t *self, const char *bucket, const char *key, adr_object_t *object);
adr_result_t adr_object_get (adr_client_t *self, const char *bucket, const char *key, adr_sink_fn *sink,
                             void *argument, adr_object_t *object);
/* By the objectId alone: works while every meta node is down. */
adr_result_t adr_object_get_by_id (adr_client_t *self, const uint8_t id[16], adr_sink_fn *sink, void *argument,
                                   adr_object_t *object);
adr_result_t adr_object_delete (adr_client_t *self, const char *bucket, const char *key);

/* --- the cluster -------------------------------------------------------------------------------------------------- */

/* The edge's clusterMap as JSON text (docs/protocol/map_keeper.md); the caller frees it with free (). */
adr_result_t adr_cluster_map (adr_client_t *self, char **json);

/* What operators and admins may ask nodes that hold copies to do, and admins alone, if it is EVICT (docs/shell.md). */
typedef enum {
    ADR_ACTION_REPAIR_RUN = 0,   /* ends a pause; compares all partitions with the peers' now, and mends what differs */
    ADR_ACTION_REPAIR_PAUSE = 1, /* pulls no copies and gives none for a time; a restart ends it */
    ADR_ACTION_SCRUB = 2,        /* begins to read everything now */
    ADR_ACTION_EVICT = 3,        /* the cluster hears that node no more, and never again */
    ADR_ACTION_DEMOTE = 5,       /* its group takes it out of its voters; its copy is kept up to date all the same. An edge: it is drained */
    ADR_ACTION_PROMOTE = 6       /* ... and in again; an edge serves again */
} adr_action_t;

typedef struct {
    const char *node;    /* its id, as adr_cluster_map gives it; the caller's */
    adr_result_t result; /* OK: it begins; REFUSED: `text` says why not; DENIED: the user's role; INVALID: it holds no copies; TIMEOUT: no answer */
    char text[240];      /* what it said, or "no answer" */
} adr_node_answer_t;

/* Asks each of these nodes (512 at most) at the same time, and returns when all have answered, or at the time limit. `for_ms`:
 * of a pause, at most a day; 0: an hour. OK if all said OK, else the first other result. */
adr_result_t adr_nodes_control (adr_client_t *self, adr_action_t action, uint32_t for_ms, adr_node_answer_t *nodes, size_t count);

/* What a node of a group says of its copy (docs/protocol/recover.md). */
typedef struct {
    char name[64], id[37];
    adr_result_t result;      /* OK: it has answered; else all behind `text` is zeros; TIMEOUT: no answer */
    char text[240];           /* whether its copy is whole, or why not, or why there is no answer */
    bool whole;               /* it could go on alone */
    bool led;                 /* it leads, or hears who does: its group has not lost its quorum */
    char state[24];
    uint64_t incarnation, last_term, last_index; /* of its log */
    uint64_t number;          /* of the newest recovery that it has carried out; 0: none */
    bool best;                /* of those that are whole it has the longest log: the request names it */
} adr_survivor_t;

#define ADR_SURVIVORS_MAX 14        /* nodes of a group */
#define ADR_RECOVERY_TEXT_SIZE 256  /* of a request or a statement, with its end */

/* For admins: asks each node of the group (by its name or id) that is not evicted what there is of it, and makes the request that the
 * holder of the root's key is to sign (`adrestia recover sign`). `rows` has ADR_SURVIVORS_MAX places, `*count` of which are filled in.
 * OK: `request` is made; REFUSED: the group has a master, and needs none; NOT_FOUND: there is no such group, or nobody of it whose copy is
 * whole has answered; DENIED: who asks is no admin; other results: no edge, or one whose answer makes no sense. Waits for those that do not
 * answer until the time limit. */
adr_result_t adr_recovery_show (adr_client_t *self, const char *group, adr_survivor_t rows[ADR_SURVIVORS_MAX], size_t *count,
                                char request[ADR_RECOVERY_TEXT_SIZE]);
/* For admins: has the group of the statement go on with its survivor alone. What only the others hold is lost, and they are evicted for
 * good. OK: the registry says so, and the survivor acts; asked again it is OK again. INVALID: that is no statement; DENIED: not an admin, or
 * the cluster's root has not signed it; REFUSED: the survivor's log has moved since, the group has a master, or a recovery of that or a
 * higher number is done: adr_client_error says which; TIMEOUT, UNKNOWN: it may be done; ask again. */
adr_result_t adr_recovery_apply (adr_client_t *self, const char *statement);

/* What a node is to be that comes in by a token (docs/protocol/trust.md, TRUST-5); texts are the caller's, names of 1 to 63 bytes. */
typedef struct {
    const char *type;  /* "edge", "meta" or "data"; PKI nodes cannot come in by a token yet */
    const char *zone;  /* a zone's name; one that nobody has is a new zone */
    const char *group; /* a group's name; NULL: the only one of that type; of an edge always NULL */
    const char *name;  /* the node's; NULL: `<group or edge>@<zone>` */
    uint64_t valid_ms; /* how long the token admits a node, from 1 ms to a week */
} adr_token_terms_t;

#define ADR_TOKEN_TEXT_SIZE 1200
typedef struct {
    char text[ADR_TOKEN_TEXT_SIZE];        /* what the new host is given; a secret until it was used, or is over */
    char zone[64], group[64] /* "" of an edge */, name[64];
    uint64_t expires_ms;                   /* until when it is valid, since 1970, by the PKI group's clock */
} adr_token_made_t;

/* For admins: makes a join token. Draws its secret here, asks the PKI group to keep its terms, and names up to three PKI nodes
 * that let new nodes in. OK, and `made` is filled in; it is the caller's, who wipes it. INVALID: the terms cannot be; NOT_FOUND: no
 * group, or no PKI node that lets anybody in; CONFLICT or REFUSED: the PKI group says why not (a taken name, a zone that has
 * a node of that group); DENIED: who asks is no admin; TIMEOUT: nobody answered; the token may be kept then,
 * and nobody has its text: it ends by itself. UNREACHABLE, DAMAGED: no edge, or one whose answer makes no sense. `made` is all zeros
 * but for OK. */
adr_result_t adr_token_create (adr_client_t *self, const adr_token_terms_t *terms, adr_token_made_t *made);

typedef struct {
    uint8_t id[32];          /* the public half of its secret, by which it is withdrawn */
    char type[8], zone[64], group[64], name[64]; /* of the node that it lets in */
    uint64_t expires_ms;     /* since 1970 */
    bool withdrawn;
    char node[40];           /* the id of the node that came in by it; "": none has */
} adr_token_info_t;

/* For readers, operators and admins: all tokens there ever were, in no order, until `row` returns false. Strong reads. */
typedef bool (adr_token_row_fn) (void *argument, const adr_token_info_t *token);
adr_result_t adr_token_list (adr_client_t *self, adr_token_row_fn *row, void *argument);
/* For admins: no node comes in by that token any more. OK also if it was withdrawn before; NOT_FOUND: there is none; REFUSED: a node has
 * come in by it; TIMEOUT, UNKNOWN: no PKI node answered, and it may be done. */
adr_result_t adr_token_withdraw (adr_client_t *self, const uint8_t id[32]);

/* --- new groups, for admins (docs/protocol/groups.md) --- */

/* What a group is to be whose nodes come in by a set of tokens, one a zone; texts are the caller's, names of 1 to 63 bytes. */
typedef struct {
    const char *type;        /* "meta" or "data" */
    const char *name;        /* NULL: its type, and the first number that is free: data2 */
    const char *const *zone; /* names of zones that there are, each once */
    size_t zone_count;       /* one more than the quorum at least, or all zones of a cluster that has fewer; 7 at most */
    uint64_t valid_ms;       /* how long each token admits its node, from 1 ms to a week */
} adr_group_terms_t;

#define ADR_GROUP_ZONES_MAX 7
typedef struct {
    char name[64];                               /* the group's */
    size_t token_count;                          /* as many as zones, in their order */
    adr_token_made_t token[ADR_GROUP_ZONES_MAX]; /* each a secret */
} adr_group_made_t;

/* Makes a group that is forming until a node has come in by each of its tokens, and then founded by these. Draws the secrets here, and
 * asks the PKI group to keep group and tokens: all of it, or nothing. OK, and `made` is filled in; it is the caller's, who wipes it.
 * INVALID: the terms cannot be, or there is no such zone; REFUSED: the PKI group says why not (the name is taken, too few zones, it is
 * busy); NOT_FOUND: no PKI node lets anybody in; DENIED: who asks is no admin; TIMEOUT, UNKNOWN: nobody answered in time; the group may
 * have been made then, and nobody has its tokens' texts: others are made by adr_token_create. UNREACHABLE, DAMAGED: no edge, or one whose
 * answer makes no sense. `made` is all zeros but for OK. */
adr_result_t adr_group_create (adr_client_t *self, const adr_group_terms_t *terms, adr_group_made_t *made);

/* --- S3 credentials, for admins (docs/protocol/credentials.md) --- */

typedef enum {
    ADR_KEY_CREATE = 7,  /* with a secret: a new one; `owner`, and rights if it is limited */
    ADR_KEY_DISABLE = 8, /* refused by every edge within two seconds, until it is enabled */
    ADR_KEY_ENABLE = 9,
    ADR_KEY_DELETE = 10,
    ADR_KEY_ROTATE = 11,  /* with a secret: the one before ends */
    ADR_KEY_GRANT = 12,  /* right[0] */
    ADR_KEY_REVOKE = 13  /* right[0].bucket */
} adr_key_action_t;

typedef struct {
    char bucket[64]; /* a name, or "*": any */
    char level[8];   /* "read", "write", "owner"; each includes those before it */
} adr_key_right_t;

#define ADR_KEY_RIGHTS_MAX 32
typedef struct {
    char access_key[65]; /* 3 to 64 letters, digits and -_. */
    char owner[64];      /* whose buckets it makes and lists */
    bool disabled;
    bool limited;        /* to its rights; else it reaches everything */
    uint64_t created_ms; /* since 1970 */
    uint64_t generation; /* of its last change */
    size_t right_count;
    adr_key_right_t right[ADR_KEY_RIGHTS_MAX];
} adr_key_info_t;

/* Changes the credential of asked->access_key. `secret`: 16 to 64 printable characters, drawn by the caller, who shows it once: nobody
 * tells it again; NULL where the action takes none. OK: it is done, and `kept` (which may be NULL) says what there is now, all zeros of
 * what was deleted. CONFLICT: that access key is taken; NOT_FOUND: there is none, or it has no such right; INVALID, REFUSED: the text
 * says why; TIMEOUT, UNKNOWN: no PKI node answered, and it may be done. DENIED: who asks is no admin. */
adr_result_t adr_key_change (adr_client_t *self, adr_key_action_t action, const adr_key_info_t *asked, const char *secret,
                             adr_key_info_t *kept);
/* All credentials in the order of their access keys, without secrets, until `row` returns false. For readers, operators and admins, as
 * is the next. */
typedef bool (adr_key_row_fn) (void *argument, const adr_key_info_t *key);
adr_result_t adr_key_list (adr_client_t *self, adr_key_row_fn *row, void *argument);
adr_result_t adr_key_show (adr_client_t *self, const char *access_key, adr_key_info_t *key);

/* --- users, for admins (docs/protocol/credentials.md, USER-1 to USER-6) --- */

typedef enum {
    ADR_USER_CREATE = 7,  /* role, public_key, expires_ms */
    ADR_USER_DISABLE = 8, /* heard by no edge within two seconds, until it is enabled; open connections included */
    ADR_USER_ENABLE = 9,
    ADR_USER_DELETE = 10,
    ADR_USER_ROTATE = 11  /* public_key, which may be the same one, and expires_ms: what it had before ends */
} adr_user_action_t;

typedef struct {
    char name[65];           /* 3 to 64 letters, digits and -_.; no S3 access key has it, either */
    char role[16];           /* "client", "reader", "operator", "admin" */
    uint8_t public_key[32];  /* CURVE; the user's own profile has the other half. All zeros: none */
    bool disabled;
    uint64_t created_ms;     /* since 1970 */
    uint64_t expires_ms;     /* from when on it is not heard, since 1970; 0: never, or, of a rotation, as before; UINT64_MAX: never */
    uint64_t generation;     /* of its last change */
} adr_user_info_t;

/* Changes the user asked->name. OK: it is done, and `kept` (which may be NULL) says what there is now, all zeros of who was deleted.
 * CONFLICT: that name is taken, or another user has that key; NOT_FOUND: there is no such user; INVALID: the text says why; DENIED: who asks is no admin; TIMEOUT,
 * UNKNOWN: no PKI node answered, and it may be done. */
adr_result_t adr_user_change (adr_client_t *self, adr_user_action_t action, const adr_user_info_t *asked, adr_user_info_t *kept);
/* All users in the order of their names, until `row` returns false. For readers, operators and admins, as is the next. */
typedef bool (adr_user_row_fn) (void *argument, const adr_user_info_t *user);
adr_result_t adr_user_list (adr_client_t *self, adr_user_row_fn *row, void *argument);
adr_result_t adr_user_show (adr_client_t *self, const char *name, adr_user_info_t *user);

/* --- settings of the whole cluster, for admins (docs/protocol/settings.md, SET-1 to SET-6) --- */

typedef struct {
    const char *name; /* "timing.poll": section and key of a host's configuration; the caller's */
    uint64_t value;   /* durations in ms, sizes in bytes, rates in bytes a second */
} adr_setting_value_t;

/* Sets all of these (12 at most, each once), or none: every node that runs obeys them within two seconds, whatever its host's
 * configuration says, and the others when they start. `if_epoch`: only if the registry still has this epoch, as adr_cluster_map tells
 * it; 0: whichever it has. OK: it is done, or was so; INVALID: an unknown name, a value out of its range, or values that do not go together; CONFLICT: the
 * epoch is another one; REFUSED: another change is under way, ask again; DENIED: who asks is no admin; TIMEOUT, UNKNOWN: no PKI node answered, or too few, and
 * it may be done. The error's text says which and why. */
adr_result_t adr_settings_set (adr_client_t *self, const adr_setting_value_t *settings, size_t count, uint64_t if_epoch);
/* Takes all of these back, or none: each host obeys its own configuration again. The results are the same. */
adr_result_t adr_settings_reset (adr_client_t *self, const char *const *names, size_t count, uint64_t if_epoch);

/* For readers, operators and admins: who changed what in the registry, whose S3 keys and which users, oldest first. Calls `row` for
 * each line of JSON (epoch, time_ms, action, node or settings, by, by_user; not ended by a zero), with the log's time of the change, until it returns
 * false. Strong reads; DENIED to others. */
typedef bool (adr_audit_row_fn) (void *argument, const char *line, size_t size, uint64_t time_ms);
adr_result_t adr_audit_list (adr_client_t *self, adr_audit_row_fn *row, void *argument);

#ifdef __cplusplus
}
#endif
#endif
