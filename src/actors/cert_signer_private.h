/* SPDX-License-Identifier: MPL-2.0 */
/* What cert_signer's files share. cert_signer.c: certificates; cert_signer_change.c: how a change becomes a record of the group;
 * cert_signer_evict.c, cert_signer_recover.c, cert_signer_renew.c, cert_signer_token.c, cert_signer_group.c, cert_signer_join.c, cert_signer_key.c and cert_signer_settings.c: what is changed;
 * cert_signer_credentials.c: what edges are told. */

#ifndef ADR_CERT_SIGNER_PRIVATE_H
#define ADR_CERT_SIGNER_PRIVATE_H

#include "core/actor.h"
#include "core/cert.h"
#include "core/credential.h"
#include "core/entry.h"
#include "core/map.h"
#include "core/map_recovery.h"
#include "core/node_state.h"
#include "core/settings.h"
#include "wire/map_codec.h"
#include "wire/pack.h"

#define CERT_SIGNER_PAUSE_NS (250 * ADR_MS) /* before a refused try is repeated: an election takes two to four of them */
#define CERT_SIGNER_BINDINGS 4              /* records of one certificate */
#define CERT_SIGNER_KEY_MAX (1 + ADR_CREDENTIAL_ACCESS_MAX)
#define CERT_SIGNER_VALIDITY_MS (INT64_C (366) * 24 * 3600 * 1000) /* of a node's certificate */

typedef enum {
    CHANGE_NONE,
    CHANGE_ASKING_SURVIVOR, /* whether it can be, of a recovery */
    CHANGE_READING_TOKEN,
    CHANGE_READING_GENERATION, /* of the credentials */
    CHANGE_READING_CREDENTIAL,
    CHANGE_READING, /* which registry the group has */
    CHANGE_WRITING, /* the next one */
    CHANGE_WAITING  /* for what `why` says */
} change_phase_t;

typedef enum { CHANGE_EVICT, CHANGE_DEMOTE, CHANGE_PROMOTE, CHANGE_RENEW, CHANGE_TOKEN, CHANGE_JOIN, CHANGE_KEY,
               CHANGE_GROUP, CHANGE_RECOVER, CHANGE_SETTINGS } change_kind_t;

/* A token's record: its terms, and who used it. */
typedef struct {
    uint8_t key[ADR_KEY_SIZE];
    adr_node_type_t type;
    adr_id_t zone, group;
    char zone_name[ADR_NAME_MAX + 1], group_name[ADR_NAME_MAX + 1], name[ADR_NAME_MAX + 1];
    uint64_t valid_ms; /* asked for: how long; kept: until when, since 1970 */
    adr_id_t node;     /* none: nobody used it */
    uint8_t curve_key[ADR_KEY_SIZE], sign_key[ADR_KEY_SIZE];
    bool withdrawn;    /* asked for: that it be */
} change_token_t;

/* [KEY-1] The record `generation`. */
#define GENERATION_KEY "generation"
#define GENERATION_QUESTIONS 32
typedef struct {
    uint64_t number; /* 0: no credential was ever made */
    uint32_t count;  /* of credentials */
    uint32_t question_count;
    adr_id_t question[GENERATION_QUESTIONS]; /* what changed something last, the newest first */
    uint64_t users; /* the number when a user was changed last; 0: there never was one */
} generation_t;

/* A change of a credential: what is asked, and what was read. */
typedef struct {
    Adr__ControlAction action;
    adr_id_t question;             /* none: of another kind of change */
    adr_credential_t asked;        /* with its secret, where it is to have one */
    adr_credential_t kept;         /* no access key: there is none */
    adr_version_t kept_held;
    generation_t generation;
    adr_version_t generation_held; /* index 0: there is none yet */
} change_key_t;

/* Settings that are to be set, or reset: all of them or none [SET-1]. */
typedef struct {
    bool reset;
    uint64_t if_epoch; /* 0: whichever the registry has */
    uint32_t count;
    adr_setting_t setting[ADR_SETTINGS_KNOWN];
} change_settings_t;

/* What one op of a change's write says; its value stands in change->values. */
typedef struct {
    uint8_t table, key_size;
    uint8_t key[CERT_SIGNER_KEY_MAX];
    size_t size;
    bool delete_it;
    bool absent;           /* on the condition that there is no such record */
    adr_version_t version; /* ... that it is this one still; index 0: on none */
} change_op_t;

/* A set of tokens: the registry, one a zone, the audit's row. */
#define CHANGE_OPS_MAX (ADR_ZONES_MAX + 2)
static_assert (CHANGE_OPS_MAX >= 3 + CERT_SIGNER_BINDINGS, "a node that comes in has its registry, token, audit and bindings");

/* One change of the PKI group's tables at a time; what others ask meanwhile is refused as busy. */
typedef struct {
    change_phase_t phase;
    change_kind_t kind;
    adr_address_t asker;
    uint64_t asked_number;
    adr_id_t by;               /* the operator's, or the stranger's, connection */
    char by_name[ADR_USER_NAME_SIZE]; /* the user's, as its edge tells; "": none */
    uint64_t users_known;      /* the generation of the list by which an edge let it pass [USER-6] */
    bool judged;               /* ... is new enough */
    adr_id_t node;             /* whom it is about; none: a token's */
    int64_t started_ns, limit_ns;
    int64_t try_ns;            /* when the next try is due; of one that is under way, when it counts as lost */
    bool awaits;               /* one is under way */
    uint64_t number;           /* of the try that is under way */
    uint8_t request[ADR_REQUEST_ID_SIZE];
    uint64_t seen_ms;          /* stamp of its tries [REPL-5] */
    adr_version_t held;        /* of the registry that was read; index 0: there is none yet */
    change_op_t op[CHANGE_OPS_MAX];
    uint32_t op_count;
    adr_buffer_t values;       /* of the ops, one behind the other */
    const char *why;           /* it waits */
    adr_status_t denied;       /* the write is an audit's row alone: what is answered then, with `why`; OK: it is a change */
    change_token_t asked;      /* TOKEN, JOIN: its key, and the terms that are asked for */
    change_token_t token;      /* ... the record that was read or is written; type 0: there is none */
    adr_version_t token_held;
    struct {                   /* GROUP: a token a zone */
        uint32_t count, read;  /* how many there are, and of how many the record was read */
        change_token_t asked[ADR_ZONES_MAX];
        change_token_t kept[ADR_ZONES_MAX]; /* the records; type 0: there is none */
    } set;
    change_key_t key;          /* KEY */
    change_settings_t settings; /* SETTINGS */
    bool written;              /* a try was committed */
    uint64_t incarnation;      /* JOIN: as it was told; 0: it was not [GROUP-3] */
    adr_recovery_t recovery;   /* RECOVER: the statement */
    bool survivor_agreed;      /* ... that its log ends there, and that it hears no master */
    adr_cert_t certificate;    /* JOIN: the request; signed once the registry has it */
    uint8_t authority[ADR_CERTIFICATE_MAX]; /* ... of a PKI node: signed by the root */
    size_t authority_size;
    char control[ADR_ENDPOINT_MAX + 1], bulk[ADR_ENDPOINT_MAX + 1], client[ADR_ENDPOINT_MAX + 1], http[ADR_ENDPOINT_MAX + 1];
} change_t;

/* --- what edges are told [KEY-4] --- */

#define CREDENTIAL_ASKS_MAX 128 /* edges that wait at a time: each asks once a second, and again */

typedef enum { ASK_FREE, ASK_WAITING, ASK_READING /* the read under way is for it */, ASK_PAGE /* it wants a page */ } ask_phase_t;

typedef struct {
    ask_phase_t phase;
    adr_address_t asker;
    uint64_t number; /* the asker's */
    uint64_t generation;
    bool held;
    char after[ADR_CREDENTIAL_ACCESS_MAX + 1];
} credential_ask_t;

/* One question to the group at a time, for all who wait for it. */
typedef struct {
    uint64_t number; /* of the question that is under way; 0: none */
    bool lists;
    int64_t silent_ns; /* it counts as lost then */
    uint64_t generation;
    char after[ADR_CREDENTIAL_ACCESS_MAX + 1]; /* of the page that was asked for */
    uint64_t unreadable; /* secrets that could not be unsealed, of the newest list; said once */
    credential_ask_t ask[CREDENTIAL_ASKS_MAX];
} credential_desk_t;

typedef struct cert_signer cert_signer_t;

/* What cert_signer.c lends. */
uint64_t cert_signer_number (cert_signer_t *self);
change_t *cert_signer_change (cert_signer_t *self);
credential_desk_t *cert_signer_desk (cert_signer_t *self);
const adr_environment_t *cert_signer_environment (const cert_signer_t *self);
/* The key of secrets; NULL: this node has none. */
const uint8_t *cert_signer_sealing_key (const cert_signer_t *self);
adr_map_t *cert_signer_map (cert_signer_t *self); /* the newest */
void cert_signer_draw_request (cert_signer_t *self, uint8_t request[ADR_REQUEST_ID_SIZE], uint64_t number);
uint64_t cert_signer_draw (cert_signer_t *self);
/* Since when it is known that the survivor agrees to this recovery: from now on, if it was not yet. */
int64_t cert_signer_gathers_since (cert_signer_t *self, uint64_t recovery, int64_t now_ns);
/* [TRUST-4] The key under which one of a certificate's records stands: its nodeId, its two keys, its serial. */
size_t cert_signer_binding_key (const adr_cert_t *certificate, unsigned binding, uint8_t key[CERT_SIGNER_KEY_MAX]);
/* A node's certificate from its request: peers as the map says, serial and validity, signed by this node's authority. */
void cert_signer_sign (cert_signer_t *self, adr_cert_t *certificate, const adr_map_t *map, int64_t wall_ms);

/* cert_signer_change.c */
/* A change that waits already for an answer to the same question gets the newer asker; else it begins. False: another one is under
 * way, and the asker has to be told so. */
/* What an operator asks for by a CONTROL: who, under which number, until when. */
change_t cert_signer_asked (change_kind_t kind, const adr_event_t *event);
ADR_WARN_UNUSED bool cert_signer_begin_change (cert_signer_t *self, const change_t *asked, const adr_event_t *event,
                                               adr_effects_t *effects);
void cert_signer_answer (adr_address_t asker, uint64_t number, adr_status_t status, const char *text, const change_token_t *token,
                         adr_effects_t *effects);
void cert_signer_answer_key (adr_address_t asker, uint64_t number, adr_status_t status, const char *text, const adr_credential_t *credential,
                             adr_effects_t *effects);
/* To the own replicator. */
void cert_signer_ask_group (const cert_signer_t *self, uint16_t kind, const ProtobufCMessage *header, adr_bytes_t payload,
                            adr_effects_t *effects);
/* False if the answer is none of a change's. */
bool cert_signer_on_change_answer (cert_signer_t *self, const adr_event_t *event, adr_effects_t *effects);
/* A newer map, or time has passed. */
void cert_signer_tend_change (cert_signer_t *self, const adr_event_t *event, adr_effects_t *effects);
/* Goes on with the change from its first step on. */
void cert_signer_go_on (cert_signer_t *self, int64_t now_ns, adr_effects_t *effects);
/* When it has to be tended; ADR_NEVER: not by itself. */
int64_t cert_signer_change_due (const change_t *change);

/* For those that decide: each ends with one of change_end, change_wait and change_write. */
void change_end (cert_signer_t *self, adr_status_t status, const char *text, adr_effects_t *effects);
void change_wait (change_t *change, const char *why, int64_t now_ns);
void change_write (cert_signer_t *self, const adr_event_t *event, adr_effects_t *effects);
/* Ops of the write that is to come. The registry with its next epoch; false: it is too large, and the change has ended. */
void change_ops_begin (change_t *change);
ADR_WARN_UNUSED bool change_add_registry (cert_signer_t *self, adr_map_t *next, adr_effects_t *effects);
void change_add_op (change_t *change, uint8_t table, adr_bytes_t key, adr_bytes_t value, bool absent, const adr_version_t *version);
void change_add_delete (change_t *change, uint8_t table, adr_bytes_t key, const adr_version_t *version);
/* [TRUST-3] Who changed what, a line of JSON, under that epoch; `sub` tells rows apart that change no registry, 0: it changes one. */
void change_add_audit (change_t *change, uint64_t epoch, uint64_t sub, const char *action, const char *more, int64_t wall_ms);
adr_map_node_t *change_node (adr_map_t *map, const adr_id_t *id);

/* What the registry says next, given the one that the group holds. */
void cert_signer_decide_evict (cert_signer_t *self, adr_map_t *held, const adr_event_t *event, adr_effects_t *effects);
void cert_signer_decide_demote (cert_signer_t *self, adr_map_t *held, const adr_event_t *event, adr_effects_t *effects);
void cert_signer_decide_promote (cert_signer_t *self, adr_map_t *held, const adr_event_t *event, adr_effects_t *effects);
void cert_signer_decide_renewal (cert_signer_t *self, adr_map_t *held, const adr_event_t *event, adr_effects_t *effects);
void cert_signer_decide_group (cert_signer_t *self, adr_map_t *held, const adr_event_t *event, adr_effects_t *effects);
void cert_signer_decide_token (cert_signer_t *self, adr_map_t *held, const adr_event_t *event, adr_effects_t *effects);
void cert_signer_decide_join (cert_signer_t *self, adr_map_t *held, const adr_event_t *event, adr_effects_t *effects);
void cert_signer_decide_recover (cert_signer_t *self, adr_map_t *held, const adr_event_t *event, adr_effects_t *effects);
void cert_signer_decide_settings (cert_signer_t *self, adr_map_t *held, const adr_event_t *event, adr_effects_t *effects);
/* The same, given what change->key has read. */
void cert_signer_decide_key (cert_signer_t *self, const adr_event_t *event, adr_effects_t *effects);
/* A PKI node that is pending votes now: that is for the registry. */
bool cert_signer_has_confirmed (cert_signer_t *self);
/* If certificates are due, or such a node is there, and this node leads the PKI group, it begins to renew them; nothing else is being changed. */
void cert_signer_begin_renewal (cert_signer_t *self, const adr_event_t *event, adr_effects_t *effects);
/* What operators and strangers ask. */
void cert_signer_on_node (cert_signer_t *self, change_kind_t kind, const adr_event_t *event, adr_effects_t *effects);
void cert_signer_on_key (cert_signer_t *self, const adr_event_t *event, adr_effects_t *effects);
void cert_signer_on_group (cert_signer_t *self, const adr_event_t *event, adr_effects_t *effects);
void cert_signer_on_settings (cert_signer_t *self, const adr_event_t *event, adr_effects_t *effects);
bool change_settings_same (const change_settings_t *a, const change_settings_t *b);
void cert_signer_on_token (cert_signer_t *self, const adr_event_t *event, adr_effects_t *effects);
void cert_signer_on_recover (cert_signer_t *self, const adr_event_t *event, adr_effects_t *effects);
/* Asks the survivor that the change names; and what it says. */
void cert_signer_ask_survivor (cert_signer_t *self, adr_effects_t *effects);
void cert_signer_on_survivor (cert_signer_t *self, const adr_event_t *event, adr_effects_t *effects);
void cert_signer_on_join (cert_signer_t *self, const adr_event_t *event, adr_effects_t *effects);
/* GROUP's answer; `change` NULL: it is refused. */
void cert_signer_answer_group (adr_address_t asker, uint64_t number, adr_status_t status, const char *text, const change_t *change,
                               adr_effects_t *effects);
/* JOIN's answer; `map` and `certificate` NULL: it is refused. */
void cert_signer_answer_join (cert_signer_t *self, adr_address_t asker, uint64_t number, adr_status_t status, const char *text,
                              const adr_cert_t *certificate, const adr_map_t *map, adr_effects_t *effects);
/* cert_signer_credentials.c: what edges ask, and the group's answers to it; the latter is false if the answer is none of its. */
void cert_signer_on_credentials_ask (cert_signer_t *self, const adr_event_t *event, adr_effects_t *effects);
bool cert_signer_on_credentials_read (cert_signer_t *self, const adr_event_t *event, adr_effects_t *effects);
void cert_signer_tend_desk (cert_signer_t *self, int64_t now_ns, adr_effects_t *effects);
int64_t cert_signer_desk_due (const credential_desk_t *desk);

/* The key under which a credential's record stands. */
size_t credential_record_key (const char *access_key, uint8_t key[CERT_SIGNER_KEY_MAX]);
void generation_encode (const generation_t *generation, adr_buffer_t *bytes);
ADR_WARN_UNUSED bool generation_decode (generation_t *generation, adr_bytes_t bytes);

/* A token's record. */
void change_token_encode (const change_token_t *token, adr_buffer_t *bytes);
ADR_WARN_UNUSED bool change_token_decode (change_token_t *token, adr_bytes_t bytes);
/* Lends; of a message that lives as long as the token. */
void change_token_message (const change_token_t *token, Adr__Token *message);
ADR_WARN_UNUSED bool change_token_read (change_token_t *token, const Adr__Token *message);
/* Fills in a name that was left open: `<group>@<zone>`; an edge is edge1, or the next that is free. */
void change_token_name (change_token_t *token, const adr_map_t *map);
/* What was asked for is what is kept; what was left open fits anything. */
ADR_WARN_UNUSED bool change_token_is_as_asked (const change_token_t *asked, const change_token_t *kept);
const adr_map_zone_t *change_zone (const adr_map_t *map, const char *name); /* NULL: there is none */
bool change_is_same_set (const change_t *a, const change_t *b);

#endif
