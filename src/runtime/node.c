/* SPDX-License-Identifier: MPL-2.0 */
/* One node of a host: see node.h. */

#include "runtime/node.h"

#include "runtime/clock.h"
#include "runtime/job_thread.h"
#include "runtime/shell.h"
#include "runtime/state_writer.h"
#include "store/backend.h"
#include "store/reader.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define S_LIFE "edge-life" /* incarnation and boot number of a node without a store, 16 bytes */

struct adr_node {
    adr_identity_t identity;
    char name[ADR_NAME_MAX + 1];
    const char *folder; /* the configuration's */
    adr_disk_t *disk; /* these three of a replicating node */
    adr_index_t *index;
    adr_store_t *store;
    adr_reader_t *reader, *scrub_reader; /* the inventory_syncer's, the scrubber's */
    adr_state_t *state;
    uint64_t incarnation, boot;
    adr_state_writer_t *state_writer;
    adr_job_thread_t *job_thread[ADR_LANE_COUNT];
    adr_shell_t *shell[ADR_ACTOR_COUNT];
    uint32_t shell_count;
};

static bool
s_path (char path[PATH_MAX], const char *folder, const char *name, char *error, size_t error_size)
{
    int length = snprintf (path, PATH_MAX, "%s/%s", folder, name);
    if (length > 0 && length < PATH_MAX)
        return true;
    snprintf (error, error_size, "%s: the path is too long", folder);
    return false;
}

/* --- opening ---------------------------------------------------------------------------------------------------- */

/* The first incarnation that the founding voters name, from the file that init or join wrote; 0 where there is none. The file
 * goes when the store exists: a disk that is lost later must never found again. */
static bool
s_read_first_incarnation (const char *path, uint64_t *incarnation, char *error, size_t error_size)
{
    *incarnation = 0;
    if (access (path, F_OK) != 0 && errno == ENOENT)
        return true;
    adr_buffer_t text = { 0 };
    bool good = adr_file_read (path, 32, &text, error, error_size);
    if (good) {
        adr_buffer_append (&text, "", 1);
        char *end;
        errno = 0;
        *incarnation = strtoull ((const char *) text.data, &end, 10);
        good = errno == 0 && *incarnation && (*end == 0 || (*end == '\n' && end[1] == 0));
        if (!good)
            snprintf (error, error_size, "%s: expected a decimal number above zero", path);
    }
    adr_buffer_free (&text);
    return good;
}

/* The key of the hash trees [DESIGN 7], the same at every replicating node of the cluster. */
static bool
s_read_hash_key (const char *folder, uint8_t key[32], char *error, size_t error_size)
{
    char path[PATH_MAX];
    adr_buffer_t text = { 0 };
    size_t size = 0;
    if (!s_path (path, folder, "hash.key", error, error_size) || !adr_file_read (path, 66, &text, error, error_size))
        return false;
    bool good = text.size >= 64
                && sodium_hex2bin (key, 32, (const char *) text.data, 64, NULL, &size, NULL) == 0 && size == 32;
    if (!good)
        snprintf (error, error_size, "%s: expected 64 hexadecimal digits; all replicating nodes have the same", path);
    adr_buffer_wipe (&text);
    return good;
}

/* Durably, or the process does not start: the store has taken the number over, nobody may take it again. */
static bool
s_remove_first_incarnation (const char *folder, const char *path, char *error, size_t error_size)
{
    if (unlink (path) != 0) {
        if (errno == ENOENT)
            return true;
        snprintf (error, error_size, "%s: cannot be removed: %s", path, strerror (errno));
        return false;
    }
    int file = open (folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    bool good = file >= 0 && fsync (file) == 0;
    if (!good)
        snprintf (error, error_size, "%s: cannot be synced: %s", folder, strerror (errno));
    if (file >= 0)
        close (file);
    return good;
}

static adr_store_options_t
s_store_options (const adr_node_t *self, const adr_map_t *map, const adr_config_t *config, uint64_t incarnation)
{
    const adr_config_store_t *store = &config->store;
    adr_store_options_t options = { .cluster = map->cluster,
                                    .node = self->identity.node->id,
                                    .group = self->identity.node->group,
                                    .segment_bytes = store->segment_bytes,
                                    .flush_bytes = store->flush_bytes,
                                    .flush_every_ns = store->flush_every_ns,
                                    .log_keep_max = store->log_keep_max,
                                    .cache_bytes = store->cache_bytes,
                                    .memory_max_bytes = store->memory_max_bytes,
                                    .first_incarnation = incarnation };
    /* [GROUP-6] Only whom the founding voters name, as that very store, starts with them; a node that lost its disk asks to be admitted. */
    for (uint32_t i = 0; incarnation && i < map->group_count; i++)
        if (adr_id_equal (&map->group[i].id, &options.group)
            && adr_voters_find (&map->group[i].founding, &options.node, incarnation) >= 0)
            options.founding = map->group[i].founding;
    return options;
}

static bool
s_open_store (adr_node_t *self, const adr_store_options_t *options, const char *folder, char *error,
              size_t error_size)
{
    char path[PATH_MAX], why[256] = "";
    if (!s_path (path, folder, "journal", error, error_size))
        return false;
    self->disk = adr_disk_posix_create (path, error, error_size);
    if (self->disk == NULL || !s_path (path, folder, "index.mdb", error, error_size))
        return false;
    bool gone = access (path, F_OK) != 0;
    self->index = adr_index_lmdb_create (path, why, sizeof why);
    if (*why)
        adr_log (ADR_LEVEL_WARNING, self->name, "%s", why);
    if (self->index == NULL) {
        snprintf (error, error_size, "%s", why);
        return false;
    }
    *why = 0;
    adr_store_opening_t opening = adr_store_open (&self->store, options, self->disk, self->state, self->index,
                                                  adr_entropy_system (), why, sizeof why);
    if (opening == ADR_STORE_FAILED) {
        snprintf (error, error_size, "%s: the store cannot be opened: %s", folder, why);
        return false;
    }
    if (opening != ADR_STORE_OPENED)
        adr_log (opening == ADR_STORE_NEW ? ADR_LEVEL_NOTE : ADR_LEVEL_WARNING, self->name, "store: %s", why);
    if (gone && (opening == ADR_STORE_OPENED || opening == ADR_STORE_DAMAGED))
        adr_log (ADR_LEVEL_WARNING, self->name, "store: index.mdb is missing -> it is rebuilt from the journal");
    self->incarnation = adr_store_incarnation (self->store);
    self->boot = adr_store_boot (self->store);
    return true;
}

static bool
s_open_replicating (adr_node_t *self, const adr_map_t *map, const adr_config_t *config, const char *folder,
                    char *error, size_t error_size)
{
    char path[PATH_MAX];
    uint64_t incarnation;
    if (!s_path (path, folder, "incarnation", error, error_size)
        || !s_read_first_incarnation (path, &incarnation, error, error_size))
        return false;
    adr_store_options_t options = s_store_options (self, map, config, incarnation);
    options.partitions = map->partition_count;
    if (!s_read_hash_key (folder, options.tree_key, error, error_size)
        || !s_open_store (self, &options, folder, error, error_size))
        return false;
    memcpy (self->identity.authority.hash_key, options.tree_key, sizeof options.tree_key);
    self->reader = adr_reader_create (&options, self->disk, self->index);
    self->scrub_reader = adr_reader_create (&options, self->disk, self->index);
    sodium_memzero (options.tree_key, sizeof options.tree_key);
    return incarnation == 0 || s_remove_first_incarnation (folder, path, error, error_size);
}

/* An edge has no store, but its packs are numbered by (incarnation, boot) all the same. */
static bool
s_open_edge (adr_node_t *self, char *error, size_t error_size)
{
    uint8_t life[16];
    if (self->state->get (self->state, S_LIFE, life, sizeof life) == sizeof life) {
        self->incarnation = adr_get_u64 (life);
        self->boot = adr_get_u64 (life + 8);
    } else
        randombytes_buf (&self->incarnation, sizeof self->incarnation);
    self->boot++;
    adr_put_u64 (life, self->incarnation);
    adr_put_u64 (life + 8, self->boot);
    adr_state_put_t put = { S_LIFE, adr_bytes (life, sizeof life) };
    int failure = self->state->put (self->state, &put, 1);
    if (failure)
        snprintf (error, error_size, "%s: its state cannot be written: %s", self->name, strerror (failure));
    return failure == 0;
}

adr_node_t *
adr_node_open (const adr_identity_t *identity, const adr_map_t *map, const adr_config_t *config, const char *folder,
               adr_exit_t *code, char *error, size_t error_size)
{
    adr_node_t *self = adr_alloc (sizeof *self);
    self->identity = *identity;
    self->folder = folder;
    snprintf (self->name, sizeof self->name, "%s", identity->node->name);
    *code = ADR_EXIT_STORE;
    char path[PATH_MAX];
    bool good = s_path (path, folder, "state.mdb", error, error_size);
    if (good)
        self->state = adr_state_lmdb_create (path, error, error_size);
    if (self->state && *error) { /* a store says so itself, with what follows from it */
        if (identity->node->type == ADR_NODE_EDGE)
            adr_log (ADR_LEVEL_WARNING, self->name, "state: %s -> a new incarnation", error);
        *error = 0;
    }
    good = self->state != NULL
           && (identity->node->type == ADR_NODE_EDGE
                   ? s_open_edge (self, error, error_size)
                   : s_open_replicating (self, map, config, folder, error, error_size));
    if (!good)
        adr_node_destroy (&self);
    return self;
}

/* --- actors ----------------------------------------------------------------------------------------------------- */

static int
s_state_get (void *argument, const char *name, void *value, size_t room)
{
    adr_node_t *self = argument;
    int size = self->state->get (self->state, name, value, room);
    if (size == -2) /* what was promised or voted is unknown: nobody may go on as if it had not been [ELECT-7] */
        adr_fatal (ADR_EXIT_STORE, self->name, "its state is unreadable -> the process stops name=%s", name);
    return size;
}

static adr_environment_t
s_environment (adr_node_t *self, const adr_map_t *map, const adr_config_t *config, adr_actor_kind_t kind)
{
    adr_environment_t environment = { .cluster = map->cluster,
                                      .node = self->identity.node->id,
                                      .type = self->identity.node->type,
                                      .group = self->identity.node->group,
                                      .incarnation = self->incarnation,
                                      .boot = self->boot,
                                      .settings = config->settings,
                                      .map = map,
                                      .state_get = s_state_get,
                                      .state = self };
    environment.settings.quorum = map->quorum;
    randombytes_buf (&environment.seed, sizeof environment.seed);
    if (kind == ADR_ACTOR_REPLICATOR)
        environment.store = self->store;
    if (kind == ADR_ACTOR_INVENTORY_SYNCER)
        environment.reader = self->reader;
    if (kind == ADR_ACTOR_SCRUBBER)
        environment.reader = self->scrub_reader;
    if ((kind == ADR_ACTOR_CERT_SIGNER || kind == ADR_ACTOR_MAP_KEEPER) && self->identity.has_authority)
        environment.authority = &self->identity.authority;
    return environment;
}

void
adr_node_populate (adr_node_t *self, const adr_map_t *map, const adr_config_t *config, adr_directory_t *directory,
                   const adr_role_t *roles, uint32_t role_count)
{
    self->state_writer = adr_state_writer_new (self->state, self->name);
    for (int lane = 0; self->store && lane < ADR_LANE_COUNT; lane++)
        self->job_thread[lane] = adr_job_thread_new (self->store);
    for (uint32_t i = 0; i < role_count; i++) {
        if (!(roles[i].types >> self->identity.node->type & 1))
            continue;
        adr_assert (self->shell_count < ADR_ACTOR_COUNT);
        adr_shell_options_t options
            = { .actor_class = roles[i].actor_class,
                .environment = s_environment (self, map, config, roles[i].actor_class->kind),
                .directory = directory,
                .state_writer = self->state_writer,
                .node_name = self->name };
        for (int lane = 0; options.environment.store && lane < ADR_LANE_COUNT; lane++)
            options.job_thread[lane] = adr_job_thread_mailbox (self->job_thread[lane]);
        self->shell[self->shell_count++] = adr_shell_new (&options);
    }
}

void
adr_node_start (adr_node_t *self)
{
    for (uint32_t i = 0; i < self->shell_count; i++)
        adr_shell_start (self->shell[i]);
}

void
adr_node_tell_stop (adr_node_t *self)
{
    for (uint32_t i = 0; i < self->shell_count; i++)
        adr_shell_tell_stop (self->shell[i]);
}

bool
adr_node_leads (const adr_node_t *self)
{
    for (uint32_t i = 0; i < self->shell_count; i++)
        if (adr_shell_leads (self->shell[i]))
            return true;
    return false;
}

void
adr_node_halt (adr_node_t *self)
{
    for (uint32_t i = 0; i < self->shell_count; i++)
        adr_shell_halt (self->shell[i]);
}

/* Shells halt first, then the threads that write for them end with their mailboxes still there to answer into. */
void
adr_node_destroy (adr_node_t **self)
{
    adr_node_t *node = *self;
    if (node == NULL)
        return;
    adr_node_halt (node);
    adr_state_writer_destroy (&node->state_writer);
    for (int lane = 0; lane < ADR_LANE_COUNT; lane++)
        adr_job_thread_destroy (&node->job_thread[lane]);
    for (uint32_t i = 0; i < node->shell_count; i++)
        adr_shell_destroy (&node->shell[i]);
    adr_reader_destroy (&node->reader);
    adr_reader_destroy (&node->scrub_reader);
    if (node->store)
        adr_store_destroy (&node->store);
    if (node->index)
        adr_index_lmdb_destroy (&node->index);
    if (node->disk)
        adr_disk_posix_destroy (&node->disk);
    if (node->state)
        adr_state_lmdb_destroy (&node->state);
    adr_identity_forget (&node->identity);
    free (node);
    *self = NULL;
}

const adr_identity_t *
adr_node_identity (const adr_node_t *self)
{
    return &self->identity;
}

const char *
adr_node_folder (const adr_node_t *self)
{
    return self->folder;
}

uint64_t
adr_node_incarnation (const adr_node_t *self)
{
    return self->incarnation;
}

uint64_t
adr_node_boot (const adr_node_t *self)
{
    return self->boot;
}
