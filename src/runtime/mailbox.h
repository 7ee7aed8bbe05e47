/* SPDX-License-Identifier: MPL-2.0 */
/* A mailbox is a list of parcels under a mutex, with an eventfd that is written only if the reader sleeps [DESIGN 3].
 * A parcel is a pack (what one turn of an actor has for one address), or word from the runtime itself: something is
 * durable, a job has ended, the process stops.
 *
 * Owns: the parcels in it. Makes durable: nothing. Assumes: one reader, any number of writers. Order: parcels of one
 * writer come out in the order in which it put them. */

#ifndef ADR_MAILBOX_H
#define ADR_MAILBOX_H

#include "core/actor.h"
#include "core/credential.h"

typedef enum {
    ADR_PARCEL_PACK = 1,
    ADR_PARCEL_PERSIST = 2, /* to a state writer: `buffer` is a name, its end, and the value */
    ADR_PARCEL_DURABLE = 3, /* from it: `token` */
    ADR_PARCEL_JOB = 4,     /* to a job's thread, and back */
    ADR_PARCEL_STOP = 5     /* SIGTERM */
} adr_parcel_kind_t;

typedef struct adr_mailbox adr_mailbox_t;
typedef struct adr_parcel adr_parcel_t;
struct adr_parcel {
    adr_parcel_t *next;
    adr_parcel_kind_t kind;
    /* Of a pack. */
    bool local;                /* from an actor of this host */
    bool held;                 /* by post, while it waits for a connection */
    struct adr_unsent *unsent; /* post's account of what the library has not sent; NULL: not counted */
    adr_node_type_t from_type; /* what the registry, or the list of users, says of the sender's key */
    char user[ADR_USER_NAME_SIZE]; /* the sender's name; "": it is no user */
    uint64_t users_known;      /* ... by the list of that generation; 0: by none */
    adr_address_t from, to;
    adr_bytes_t pack;          /* all of it */
    adr_bytes_t items;         /* what stands behind the envelope */
    adr_buffer_t buffer;       /* where it was built here; empty for one from a socket */
    /* Of the others. */
    uint64_t token;
    struct adr_store_job *job;
    adr_mailbox_t *reply;
    /* Frees the parcel and what it holds. */
    void (*release) (adr_parcel_t *self);
};

/* A parcel of zeros, to be released by adr_parcel_destroy. */
adr_parcel_t *adr_parcel_new (adr_parcel_kind_t kind);
void adr_parcel_destroy (adr_parcel_t **self);
/* All of a list. */
void adr_parcels_destroy (adr_parcel_t **list);

/* Packs from outside are refused beyond `bytes_max`, those of this host beyond four times as much, its elections' and
 * health_checkers' beyond five times; word from the runtime never is (each answers something of the reader's own, so it is bounded by what the reader asked). */
adr_mailbox_t *adr_mailbox_new (size_t bytes_max);
void adr_mailbox_destroy (adr_mailbox_t **self); /* and the parcels in it */

/* Takes the parcel, or returns false and leaves it with the caller: full, or closed. Any thread. */
ADR_WARN_UNUSED bool adr_mailbox_put (adr_mailbox_t *self, adr_parcel_t *parcel);
/* Mailboxes that got something from this thread and have not been rung yet: a turn's or a round's worth of parcels
 * wakes each reader once, when all are in. */
#define ADR_BELLS_MAX 16
typedef struct {
    uint32_t count;
    adr_mailbox_t *mailbox[ADR_BELLS_MAX];
} adr_bells_t;

/* As adr_mailbox_put, but the reader sleeps on until adr_bells_ring, which the same thread calls soon. */
ADR_WARN_UNUSED bool adr_mailbox_put_quietly (adr_mailbox_t *self, adr_parcel_t *parcel, adr_bells_t *bells);
void adr_bells_ring (adr_bells_t *bells);

/* Everything that is there, oldest first, now the caller's; NULL if there is nothing. Never waits. */
adr_parcel_t *adr_mailbox_take (adr_mailbox_t *self);
/* The same, but waits until there is something, the mailbox is closed, or CLOCK_BOOTTIME is at `until_ns`
 * (ADR_NEVER: no limit). */
adr_parcel_t *adr_mailbox_wait (adr_mailbox_t *self, int64_t until_ns);

/* For a reader that waits for sockets, too: says that it goes to sleep; false if there is something already. Then it
 * polls the descriptor, and says that it is awake again before it takes. */
ADR_WARN_UNUSED bool adr_mailbox_sleep (adr_mailbox_t *self);
int adr_mailbox_descriptor (const adr_mailbox_t *self);
void adr_mailbox_awake (adr_mailbox_t *self);

/* Nothing more comes in, and the reader wakes; what is in it can still be taken. Any thread. */
void adr_mailbox_close (adr_mailbox_t *self);
bool adr_mailbox_is_closed (adr_mailbox_t *self);
/* Bytes that wait. */
size_t adr_mailbox_bytes (adr_mailbox_t *self);

#endif
