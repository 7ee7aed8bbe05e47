/* SPDX-License-Identifier: MPL-2.0 */
/* Lists of credentials for an edge's S3: see credential_taker.h. */

#include "runtime/credential_taker.h"

#include "core/credential.h"
#include "core/limits.h"
#include "runtime/file.h"
#include "runtime/identity.h"
#include "runtime/log.h"
#include "wire/credential_codec.h"

#include <czmq.h>
#include <errno.h>
#include <limits.h>
#include <pthread.h>
#include <sodium.h>
#include <unistd.h>

#define S_ROWS_MAX (ADR_CREDENTIALS_MAX * (ADR_CREDENTIAL_BYTES_MAX + 4))
#define S_PLACE "adrestia credentials"

struct adr_credential_taker {
    adr_directory_t *directory;
    adr_address_t address, keeper;
    const char *who;
    char path[PATH_MAX];
    uint8_t file_key[ADR_SEAL_KEY_SIZE];
    adr_mailbox_t *mailbox;
    zactor_t *actor;
    /* The list whose pages are coming. */
    adr_buffer_t pages;
    uint64_t generation;
    uint32_t next_page;
    pthread_mutex_t lock; /* of what follows: the newest whole list, and who uses it */
    bool has_list;
    adr_buffer_t rows;
    adr_credentials_use_fn *use;
    void *argument;
};

static adr_bytes_t
s_view (const adr_buffer_t *buffer)
{
    return adr_bytes (buffer->data, buffer->size);
}

/* --- lists -------------------------------------------------------------------------------------------------------- */

static bool
s_is_sound (adr_bytes_t rows)
{
    adr_credential_t credential;
    while (adr_credential_row_next (&rows, &credential))
        ;
    sodium_memzero (&credential, sizeof credential);
    return rows.size == 0;
}

/* Takes the rows over, and empties the buffer. */
static void
s_use (adr_credential_taker_t *self, uint64_t generation, adr_buffer_t *rows)
{
    pthread_mutex_lock (&self->lock);
    adr_buffer_wipe (&self->rows);
    self->rows = *rows;
    self->has_list = true;
    *rows = (adr_buffer_t){ 0 };
    adr_directory_take_users (self->directory, generation, s_view (&self->rows));
    if (self->use)
        self->use (self->argument, s_view (&self->rows));
    pthread_mutex_unlock (&self->lock);
}

void
adr_credential_taker_use (adr_credential_taker_t *self, adr_credentials_use_fn *use, void *argument)
{
    pthread_mutex_lock (&self->lock);
    self->use = use;
    self->argument = argument;
    if (use && self->has_list)
        use (argument, s_view (&self->rows));
    pthread_mutex_unlock (&self->lock);
}

/* --- the file ----------------------------------------------------------------------------------------------------- */

static void
s_keep (const adr_credential_taker_t *self)
{
    adr_buffer_t text = { 0 }, sealed = { 0 };
    uint64_t draw;
    randombytes_buf (&draw, sizeof draw);
    uint8_t *at = adr_buffer_grow (&text, 8 + self->pages.size);
    adr_put_u64 (at, self->generation);
    if (self->pages.size)
        memcpy (at + 8, self->pages.data, self->pages.size);
    adr_seal (self->file_key, adr_bytes (S_PLACE, sizeof S_PLACE), s_view (&text), draw,
              adr_buffer_grow (&sealed, text.size + ADR_SEAL_MORE));
    adr_buffer_wipe (&text);
    if (!adr_file_replace (self->path, 0600, s_view (&sealed)))
        adr_log (ADR_LEVEL_WARNING, self->who, "%s cannot be written: %s -> a start without PKI nodes would begin with older credentials",
                 self->path, strerror (errno));
    adr_buffer_free (&sealed);
}

/* What stood in the file, or nothing. */
static void
s_open (adr_credential_taker_t *self, adr_bytes_t sealed)
{
    adr_buffer_t text = { 0 }, rows = { 0 };
    bool good = sealed.size >= 8 + ADR_SEAL_MORE
                && adr_unseal (self->file_key, adr_bytes (S_PLACE, sizeof S_PLACE), sealed,
                               adr_buffer_grow (&text, sealed.size - ADR_SEAL_MORE));
    if (good && text.size > 8)
        adr_buffer_append (&rows, text.data + 8, text.size - 8);
    good = good && s_is_sound (s_view (&rows));
    if (good) {
        adr_log (ADR_LEVEL_NOTE, self->who, "credentials of the last run -> used until a PKI node tells newer ones generation=%llu",
                 (unsigned long long) adr_get_u64 (text.data));
        s_use (self, adr_get_u64 (text.data), &rows);
    } else
        adr_log (ADR_LEVEL_WARNING, self->who, "%s is damaged, or another node's -> S3 waits for a PKI node to tell the credentials", self->path);
    adr_buffer_wipe (&text);
    adr_buffer_wipe (&rows);
}

static void
s_read (adr_credential_taker_t *self)
{
    adr_buffer_t sealed = { 0 };
    char error[PATH_MAX + 256];
    if (access (self->path, F_OK) != 0 && errno == ENOENT)
        return;
    if (adr_file_read (self->path, S_ROWS_MAX + 8 + ADR_SEAL_MORE, &sealed, error, sizeof error))
        s_open (self, s_view (&sealed));
    else
        adr_log (ADR_LEVEL_WARNING, self->who, "%s -> S3 waits for a PKI node to tell the credentials", error);
    adr_buffer_free (&sealed);
}

/* --- what comes --------------------------------------------------------------------------------------------------- */

static void
s_say_taken (adr_credential_taker_t *self)
{
    adr_mailbox_t *mailbox = adr_directory_actor (self->directory, &self->keeper);
    if (mailbox == NULL)
        return;
    Adr__CredentialsTaken taken = ADR__CREDENTIALS_TAKEN__INIT;
    adr_envelope_t envelope = { .cluster = *adr_directory_cluster (self->directory), .sender = self->address.node, .to = self->keeper.node,
                                .from_actor = self->address.actor, .to_actor = self->keeper.actor };
    adr_pack_reader_t reader;
    taken.generation = self->generation;
    adr_parcel_t *parcel = adr_parcel_new (ADR_PARCEL_PACK);
    adr_pack_begin (&parcel->buffer, &envelope);
    adr_pack_add (&parcel->buffer, ADR__KIND__CREDENTIALS_TAKEN, &taken.base, adr_bytes (NULL, 0));
    parcel->pack = s_view (&parcel->buffer);
    bool good = adr_pack_open (&reader, parcel->pack);
    adr_assert (good); /* made here */
    parcel->items = reader.rest;
    parcel->local = true;
    parcel->from = self->address;
    parcel->from_type = ADR_NODE_EDGE;
    parcel->to = self->keeper;
    if (!adr_mailbox_put (mailbox, parcel)) /* it is told again */
        adr_parcel_destroy (&parcel);
}

/* [KEY-5] */
static void
s_take_list (adr_credential_taker_t *self)
{
    self->next_page = 0;
    if (!s_is_sound (s_view (&self->pages))) {
        adr_log (ADR_LEVEL_WARNING, self->who, "a list of credentials cannot be read -> not used generation=%llu",
                 (unsigned long long) self->generation);
        adr_buffer_wipe (&self->pages);
        return;
    }
    s_keep (self);
    s_use (self, self->generation, &self->pages);
    s_say_taken (self);
}

static void
s_on_told (adr_credential_taker_t *self, const Adr__CredentialsTold *told, adr_bytes_t rows)
{
    if (told->page == 0) {
        adr_buffer_wipe (&self->pages);
        self->generation = told->generation;
        self->next_page = 0;
    }
    if (told->page != self->next_page || told->generation != self->generation || self->pages.size + rows.size > S_ROWS_MAX)
        return; /* one was lost on its way here: all of them come again */
    if (rows.size)
        adr_buffer_append (&self->pages, rows.data, rows.size);
    self->next_page++;
    if (told->last)
        s_take_list (self);
}

static void
s_take_parcel (adr_credential_taker_t *self, const adr_parcel_t *parcel)
{
    adr_pack_reader_t reader = { .rest = parcel->items };
    adr_item_t item;
    adr_arena_t arena;
    adr_arena_init (&arena, 4096, 64 * 1024);
    while (adr_pack_next (&reader, &item) > 0) {
        adr_arena_reset (&arena);
        if (!adr_message_allowed (item.kind, parcel->from_type, parcel->from.actor, self->address.actor, parcel->local))
            continue;
        const ProtobufCMessage *header = adr_header_decode (&item, &arena);
        if (header && item.kind == ADR__KIND__CREDENTIALS_TOLD)
            s_on_told (self, (const Adr__CredentialsTold *) header, item.payload);
    }
    adr_arena_free (&arena);
}

static void
s_run (zsock_t *pipe, void *argument)
{
    adr_credential_taker_t *self = argument;
    adr_log_name_thread ("credentials");
    zsock_signal (pipe, 0);
    bool closed = false;
    while (!closed) {
        closed = adr_mailbox_is_closed (self->mailbox);
        adr_parcel_t *list = adr_mailbox_wait (self->mailbox, ADR_NEVER);
        while (list) {
            adr_parcel_t *parcel = list;
            list = parcel->next;
            if (parcel->kind == ADR_PARCEL_PACK)
                s_take_parcel (self, parcel);
            adr_parcel_destroy (&parcel);
        }
    }
}

/* --- life --------------------------------------------------------------------------------------------------------- */

adr_credential_taker_t *
adr_credential_taker_new (adr_directory_t *directory, const adr_id_t *cluster, const adr_id_t *node, const uint8_t curve_secret[32],
                          const char *folder, const char *who)
{
    adr_credential_taker_t *self = adr_alloc (sizeof *self);
    self->directory = directory;
    self->address = (adr_address_t){ *node, ADR_ACTOR_CREDENTIAL_TAKER };
    self->keeper = (adr_address_t){ *node, ADR_ACTOR_CREDENTIAL_KEEPER };
    self->who = who;
    pthread_mutex_init (&self->lock, NULL);
    adr_credential_file_key (curve_secret, cluster, node, self->file_key);
    int length = snprintf (self->path, sizeof self->path, "%s/credentials", folder);
    adr_assert (length > 0 && (size_t) length < sizeof self->path); /* longer ones of this folder were opened before */
    s_read (self);
    self->mailbox = adr_mailbox_new (4 * ADR_PACK_MAX);
    adr_directory_add_actor (directory, self->address, self->mailbox);
    self->actor = zactor_new (s_run, self);
    adr_assert (self->actor);
    return self;
}

void
adr_credential_taker_destroy (adr_credential_taker_t **self_p)
{
    adr_credential_taker_t *self = *self_p;
    if (self == NULL)
        return;
    adr_mailbox_close (self->mailbox);
    zactor_destroy (&self->actor);
    adr_mailbox_destroy (&self->mailbox);
    adr_buffer_wipe (&self->pages);
    adr_buffer_wipe (&self->rows);
    sodium_memzero (self->file_key, sizeof self->file_key);
    pthread_mutex_destroy (&self->lock);
    free (self);
    *self_p = NULL;
}
