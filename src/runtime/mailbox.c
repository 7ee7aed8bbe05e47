/* SPDX-License-Identifier: MPL-2.0 */
/* A list of parcels under a mutex: see mailbox.h. The reader takes the whole list at once, so that at load the mutex
 * is taken once a batch on its side, and the eventfd is never touched. */

#include "runtime/mailbox.h"

#include "runtime/clock.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

struct adr_mailbox {
    pthread_mutex_t mutex;
    adr_parcel_t *first, *last;
    size_t bytes, bytes_max;
    bool sleeping; /* the reader said so, and nobody has rung since */
    bool rung;     /* the eventfd is written, and not read yet */
    bool closed;
    int bell;
    uint32_t ringers; /* writers that have let go of the mutex, and ring */
};

static void
s_release (adr_parcel_t *self)
{
    adr_buffer_free (&self->buffer);
    free (self);
}

adr_parcel_t *
adr_parcel_new (adr_parcel_kind_t kind)
{
    adr_parcel_t *self = adr_alloc (sizeof *self);
    self->kind = kind;
    self->release = s_release;
    return self;
}

void
adr_parcel_destroy (adr_parcel_t **self)
{
    if (*self)
        (*self)->release (*self);
    *self = NULL;
}

void
adr_parcels_destroy (adr_parcel_t **list)
{
    while (*list) {
        adr_parcel_t *parcel = *list;
        *list = parcel->next;
        adr_parcel_destroy (&parcel);
    }
}

adr_mailbox_t *
adr_mailbox_new (size_t bytes_max)
{
    adr_mailbox_t *self = adr_alloc (sizeof *self);
    pthread_mutex_init (&self->mutex, NULL);
    self->bytes_max = bytes_max;
    self->bell = eventfd (0, EFD_CLOEXEC | EFD_NONBLOCK);
    adr_assert (self->bell >= 0);
    return self;
}

void
adr_mailbox_destroy (adr_mailbox_t **self)
{
    if (!*self)
        return;
    while (__atomic_load_n (&(*self)->ringers, __ATOMIC_ACQUIRE))
        sched_yield (); /* a writer stands between its parcel and the bell */
    adr_parcels_destroy (&(*self)->first);
    close ((*self)->bell);
    pthread_mutex_destroy (&(*self)->mutex);
    free (*self);
    *self = NULL;
}

/* What the parcel weighs against the bound: its own struct too, so that a flood of tiny packs has an end. */
static size_t
s_weight (const adr_parcel_t *parcel)
{
    return sizeof *parcel + parcel->pack.size;
}

/* How often `bytes_max`: a client's requests, which come through this host's own edge, must not take the place of a fence
 * or of a word about who leads. Those are said once, and an election that misses one waits for ever. */
static size_t
s_rooms (const adr_parcel_t *parcel)
{
    bool leads = parcel->from.actor == ADR_ACTOR_ELECTION || parcel->from.actor == ADR_ACTOR_HEALTH_CHECKER;
    return !parcel->local ? 1 : leads ? 5 : 4;
}

static bool
s_has_room (const adr_mailbox_t *self, const adr_parcel_t *parcel)
{
    if (parcel->kind != ADR_PARCEL_PACK)
        return true;
    /* A single pack always fits into an empty mailbox, whatever the bound. */
    return self->first == NULL || self->bytes + s_weight (parcel) <= s_rooms (parcel) * self->bytes_max;
}

/* Under the mutex: true if the caller must ring after it has let go. */
static bool
s_must_ring (adr_mailbox_t *self)
{
    bool ring = self->sleeping && !self->rung;
    self->sleeping = false;
    self->rung |= ring;
    return ring;
}

static void
s_ring (adr_mailbox_t *self)
{
    uint64_t one = 1;
    ssize_t written = write (self->bell, &one, sizeof one);
    adr_assert (written == sizeof one);
}

/* Rings after the mutex was let go, so that the reader does not wake only to wait for it; `ringers` keeps the mailbox
 * until then. */
static void
s_let_go (adr_mailbox_t *self, bool ring)
{
    if (ring)
        __atomic_add_fetch (&self->ringers, 1, __ATOMIC_RELAXED);
    pthread_mutex_unlock (&self->mutex);
    if (!ring)
        return;
    s_ring (self);
    __atomic_sub_fetch (&self->ringers, 1, __ATOMIC_RELEASE);
}

static bool
s_add (adr_mailbox_t *self, adr_parcel_t *parcel)
{
    if (self->closed || !s_has_room (self, parcel))
        return false;
    parcel->next = NULL;
    if (self->first)
        self->last->next = parcel;
    else
        self->first = parcel;
    self->last = parcel;
    self->bytes += s_weight (parcel);
    return true;
}

bool
adr_mailbox_put (adr_mailbox_t *self, adr_parcel_t *parcel)
{
    pthread_mutex_lock (&self->mutex);
    bool taken = s_add (self, parcel);
    s_let_go (self, taken && s_must_ring (self));
    return taken;
}

bool
adr_mailbox_put_quietly (adr_mailbox_t *self, adr_parcel_t *parcel, adr_bells_t *bells)
{
    pthread_mutex_lock (&self->mutex);
    bool taken = s_add (self, parcel);
    pthread_mutex_unlock (&self->mutex);
    for (uint32_t i = 0; i < bells->count; i++)
        if (bells->mailbox[i] == self)
            return taken;
    if (bells->count == ADR_BELLS_MAX)
        adr_bells_ring (bells);
    bells->mailbox[bells->count++] = self;
    return taken;
}

void
adr_bells_ring (adr_bells_t *bells)
{
    for (uint32_t i = 0; i < bells->count; i++) {
        adr_mailbox_t *mailbox = bells->mailbox[i];
        pthread_mutex_lock (&mailbox->mutex);
        s_let_go (mailbox, s_must_ring (mailbox));
    }
    bells->count = 0;
}

adr_parcel_t *
adr_mailbox_take (adr_mailbox_t *self)
{
    pthread_mutex_lock (&self->mutex);
    adr_parcel_t *list = self->first;
    self->first = self->last = NULL;
    self->bytes = 0;
    pthread_mutex_unlock (&self->mutex);
    return list;
}

bool
adr_mailbox_sleep (adr_mailbox_t *self)
{
    pthread_mutex_lock (&self->mutex);
    self->sleeping = self->first == NULL && !self->closed;
    bool sleeping = self->sleeping;
    pthread_mutex_unlock (&self->mutex);
    return sleeping;
}

int
adr_mailbox_descriptor (const adr_mailbox_t *self)
{
    return self->bell;
}

void
adr_mailbox_awake (adr_mailbox_t *self)
{
    pthread_mutex_lock (&self->mutex);
    self->sleeping = false;
    if (self->rung) {
        uint64_t count; /* nothing to read yet: the writer is about to ring, and wakes us once more */
        self->rung = read (self->bell, &count, sizeof count) != sizeof count;
    }
    pthread_mutex_unlock (&self->mutex);
}

adr_parcel_t *
adr_mailbox_wait (adr_mailbox_t *self, int64_t until_ns)
{
    bool patient = false;
    for (;;) {
        adr_parcel_t *list = adr_mailbox_take (self);
        if (list)
            return list;
        if (!patient) {
            patient = true;
            sched_yield ();
            continue;
        }
        if (adr_mailbox_is_closed (self))
            return adr_mailbox_take (self); /* what was put just before it was closed */
        struct timespec left, *limit = NULL;
        if (until_ns != ADR_NEVER) {
            int64_t left_ns = until_ns - adr_clock_now_ns ();
            if (left_ns <= 0)
                return NULL;
            left = (struct timespec){ left_ns / 1000000000, left_ns % 1000000000 };
            limit = &left;
        }
        if (!adr_mailbox_sleep (self))
            continue;
        struct pollfd bell = { self->bell, POLLIN, 0 };
        int count = ppoll (&bell, 1, limit, NULL);
        adr_assert (count >= 0 || errno == EINTR);
        adr_mailbox_awake (self);
    }
}

void
adr_mailbox_close (adr_mailbox_t *self)
{
    pthread_mutex_lock (&self->mutex);
    self->closed = true;
    s_let_go (self, s_must_ring (self));
}

bool
adr_mailbox_is_closed (adr_mailbox_t *self)
{
    pthread_mutex_lock (&self->mutex);
    bool closed = self->closed;
    pthread_mutex_unlock (&self->mutex);
    return closed;
}

size_t
adr_mailbox_bytes (adr_mailbox_t *self)
{
    pthread_mutex_lock (&self->mutex);
    size_t bytes = self->bytes;
    pthread_mutex_unlock (&self->mutex);
    return bytes;
}
