/* SPDX-License-Identifier: MPL-2.0 */
/* Newer maps for the host: see map_taker.h. */

#include "runtime/map_taker.h"

#include "core/limits.h"
#include "runtime/file.h"
#include "runtime/log.h"
#include "runtime/settings_log.h"
#include "wire/map_codec.h"
#include "wire/pack.h"

#include <czmq.h>
#include <errno.h>

#define S_WHO "host"

struct adr_map_taker {
    adr_directory_t *directory;
    adr_post_t *const *post;
    const char *path;
    adr_settings_log_t settings_log;
    pthread_mutex_t lock; /* of what follows */
    adr_map_t *map;       /* the newest */
    adr_id_t edge;
    adr_drain_use_fn *use;
    void *argument;
    bool draining;        /* as it was told last */
    adr_mailbox_t *mailbox;
    zactor_t *actor;
};

/* --- the file --------------------------------------------------------------------------------------------------- */

static void
s_keep (const adr_map_taker_t *self, const adr_map_t *map)
{
    adr_buffer_t bytes = { 0 };
    adr_map_t *kept = adr_map_copy (map);
    for (uint32_t i = 0; i < kept->group_count; i++) /* statuses are told anew */
        kept->group[i].status = (adr_group_status_t){ 0 };
    adr_map_encode (kept, &bytes);
    adr_map_destroy (&kept);
    if (!adr_file_replace (self->path, 0644, adr_bytes (bytes.data, bytes.size)))
        adr_log (ADR_LEVEL_WARNING, S_WHO, "%s cannot be written: %s -> a start without PKI nodes would begin with an older map",
                 self->path, strerror (errno));
    adr_buffer_free (&bytes);
}

/* --- who drains [EDGE-9] ---------------------------------------------------------------------------------------- */

static bool
s_drains (const adr_map_taker_t *self)
{
    const adr_map_node_t *node = adr_map_node (self->map, &self->edge);
    return node && node->leaving && !node->evicted;
}

static void
s_tell_drain (adr_map_taker_t *self, const adr_map_t *map)
{
    pthread_mutex_lock (&self->lock);
    adr_map_destroy (&self->map);
    self->map = adr_map_copy (map);
    if (self->use && s_drains (self) != self->draining) {
        self->draining = !self->draining;
        self->use (self->argument, self->draining);
    }
    pthread_mutex_unlock (&self->lock);
}

void
adr_map_taker_use_drain (adr_map_taker_t *self, const adr_id_t *edge, adr_drain_use_fn *use, void *argument)
{
    pthread_mutex_lock (&self->lock);
    self->edge = *edge;
    self->use = use;
    self->argument = argument;
    self->draining = s_drains (self);
    if (use)
        use (argument, self->draining);
    pthread_mutex_unlock (&self->lock);
}

/* --- what comes ------------------------------------------------------------------------------------------------- */

static void
s_take (adr_map_taker_t *self, const adr_map_t *map)
{
    if (map->epoch <= adr_directory_epoch (self->directory))
        return; /* another node of this host was quicker */
    adr_directory_take (self->directory, map);
    for (int lane = 0; lane < ADR_POST_COUNT; lane++)
        if (self->post[lane])
            adr_post_hang_up (self->post[lane]);
    adr_log (ADR_LEVEL_NOTE, S_WHO, "a newer registry -> its nodes are heard, and nobody else epoch=%llu nodes=%u",
             (unsigned long long) map->epoch, map->node_count);
    adr_settings_log (&self->settings_log, map);
    s_tell_drain (self, map);
    s_keep (self, map);
}

static void
s_take_pack (adr_map_taker_t *self, adr_bytes_t pack)
{
    adr_pack_reader_t reader;
    adr_item_t item;
    adr_arena_t arena;
    adr_arena_init (&arena, 16 * 1024, 64 * 1024 * 1024);
    bool open = adr_pack_open (&reader, pack);
    while (open && adr_pack_next (&reader, &item) > 0) {
        adr_arena_reset (&arena);
        const ProtobufCMessage *header = item.kind == ADR__KIND__MAP_CHANGED ? adr_header_decode (&item, &arena) : NULL;
        adr_map_t *map = header ? adr_map_read (((const Adr__MapChanged *) header)->map) : NULL;
        if (map)
            s_take (self, map);
        adr_map_destroy (&map);
    }
    adr_arena_free (&arena);
}

static void
s_run (zsock_t *pipe, void *argument)
{
    adr_map_taker_t *self = argument;
    adr_log_name_thread ("map taker");
    zsock_signal (pipe, 0);
    bool closed = false;
    while (!closed) {
        closed = adr_mailbox_is_closed (self->mailbox); /* asked before taking: what was put before the end is taken */
        adr_parcel_t *list = adr_mailbox_wait (self->mailbox, ADR_NEVER);
        while (list) {
            adr_parcel_t *parcel = list;
            list = parcel->next;
            if (parcel->kind == ADR_PARCEL_PACK)
                s_take_pack (self, parcel->pack);
            adr_parcel_destroy (&parcel);
        }
    }
}

/* --- life --------------------------------------------------------------------------------------------------------- */

adr_map_taker_t *
adr_map_taker_new (adr_directory_t *directory, adr_post_t *const *post, const adr_config_t *config, const adr_map_t *map)
{
    adr_map_taker_t *self = adr_alloc (sizeof *self);
    *self = (adr_map_taker_t){ .directory = directory, .post = post, .path = config->cluster_map,
                               .settings_log = { .config = config } };
    adr_settings_log (&self->settings_log, map);
    pthread_mutex_init (&self->lock, NULL);
    self->map = adr_map_copy (map);
    self->mailbox = adr_mailbox_new (4 * ADR_PACK_MAX);
    self->actor = zactor_new (s_run, self);
    adr_assert (self->actor);
    return self;
}

void
adr_map_taker_destroy (adr_map_taker_t **self)
{
    if (*self == NULL)
        return;
    adr_mailbox_close ((*self)->mailbox);
    zactor_destroy (&(*self)->actor);
    adr_mailbox_destroy (&(*self)->mailbox);
    adr_map_destroy (&(*self)->map);
    pthread_mutex_destroy (&(*self)->lock);
    free (*self);
    *self = NULL;
}

adr_mailbox_t *
adr_map_taker_mailbox (adr_map_taker_t *self)
{
    return self->mailbox;
}
