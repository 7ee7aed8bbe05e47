/* SPDX-License-Identifier: MPL-2.0 */
/* Who is where: see directory.h. */

#include "runtime/directory.h"

#include "core/cert.h"
#include "runtime/chains.h"
#include "runtime/clock.h"
#include "runtime/gatekeeper.h"
#include "runtime/log.h"
#include "runtime/metrics.h"
#include "wire/credential_codec.h"

#include <pthread.h>
#include <sodium.h>
#include <stdlib.h>

#define S_ACTORS_MAX (16 * ADR_ACTOR_COUNT) /* nodes of one process, and their actors */

typedef struct {
    adr_address_t address;
    adr_mailbox_t *mailbox;
} s_actor_t;

typedef struct {
    uint8_t key[32];
    adr_node_type_t role; /* 0: he is not heard */
    uint64_t until_ms;    /* 0: for good */
    char name[ADR_USER_NAME_SIZE];
} s_user_t;

struct adr_directory {
    adr_id_t cluster;
    adr_map_node_t **node; /* ADR_NODES_MAX places; one is taken for good, and never changes what stands there */
    uint32_t node_count;   /* atomic: counted when the place is filled in */
    adr_chains_t nodes_by_id, nodes_by_key; /* of node */
    uint8_t (*client)[32];
    adr_chains_t clients;
    uint8_t (*operator)[32]; /* few: they are looked through */
    uint32_t operator_count;
    s_actor_t actor[S_ACTORS_MAX];
    uint32_t actor_count;
    adr_chains_t actors;
    bool *local; /* by place */
    bool *shut;  /* ... which a newer map has evicted; read and written atomically, and never taken back */
    uint64_t epoch; /* atomic, too */
    struct {
        adr_carry_fn *carry;
        void *argument;
    } post[ADR_POST_COUNT];
    adr_mailbox_t *host;
    pthread_rwlock_t users_lock;
    s_user_t *user; /* by key */
    size_t user_count;
    uint64_t user_generation;
    /* Local clients: read for each answer to one, changed when an HTTP edge starts or stops. */
    pthread_rwlock_t lock;
    s_actor_t local_client[ADR_LOCAL_CLIENTS_MAX];
    uint32_t local_client_count;
};

const char *
adr_post_lane_name (adr_post_lane_t lane)
{
    static const char *const names[ADR_POST_COUNT] = { "control", "bulk", "client", "adoption" };
    return names[lane];
}

static uint64_t
s_hash_id (const adr_id_t *id)
{
    return adr_chains_hash (id->bytes, ADR_ID_SIZE);
}

static uint64_t
s_hash_address (const adr_address_t *address)
{
    return s_hash_id (&address->node) + (uint64_t) address->actor * UINT64_C (0x9e3779b97f4a7c15);
}

adr_directory_t *
adr_directory_new (const adr_map_t *map, const uint8_t (*clients)[32], uint32_t client_count)
{
    adr_directory_t *self = adr_alloc (sizeof *self);
    self->cluster = map->cluster;
    pthread_rwlock_init (&self->lock, NULL);
    pthread_rwlock_init (&self->users_lock, NULL);
    adr_chains_init (&self->nodes_by_id, ADR_NODES_MAX);
    adr_chains_init (&self->nodes_by_key, ADR_NODES_MAX);
    self->node = adr_alloc (ADR_NODES_MAX * sizeof *self->node);
    self->local = adr_alloc (ADR_NODES_MAX);
    self->shut = adr_alloc (ADR_NODES_MAX);
    adr_directory_take (self, map);
    self->client = adr_alloc ((client_count + 1) * sizeof *self->client);
    adr_chains_init (&self->clients, client_count);
    for (uint32_t i = 0; i < client_count; i++) {
        memcpy (self->client[i], clients[i], 32);
        adr_chains_add (&self->clients, adr_chains_hash (clients[i], 32), i);
    }
    adr_chains_init (&self->actors, S_ACTORS_MAX);
    return self;
}

void
adr_directory_set_operators (adr_directory_t *self, const uint8_t (*operators)[32], uint32_t count)
{
    self->operator = adr_realloc (self->operator, (count + 1) * sizeof *self->operator);
    if (count)
        memcpy (self->operator, operators, count * sizeof *self->operator);
    self->operator_count = count;
}

void
adr_directory_destroy (adr_directory_t **self)
{
    adr_directory_t *directory = *self;
    if (directory == NULL)
        return;
    adr_chains_free (&directory->nodes_by_id);
    adr_chains_free (&directory->nodes_by_key);
    adr_chains_free (&directory->clients);
    adr_chains_free (&directory->actors);
    pthread_rwlock_destroy (&directory->lock);
    pthread_rwlock_destroy (&directory->users_lock);
    free (directory->user);
    for (uint32_t i = 0; i < directory->node_count; i++)
        free (directory->node[i]);
    free (directory->node);
    free (directory->local);
    free (directory->shut);
    free (directory->client);
    free (directory->operator);
    free (directory);
    *self = NULL;
}

const adr_id_t *
adr_directory_cluster (const adr_directory_t *self)
{
    return &self->cluster;
}

uint32_t
adr_directory_node_count (const adr_directory_t *self)
{
    return __atomic_load_n (&self->node_count, __ATOMIC_ACQUIRE);
}

const adr_map_node_t *
adr_directory_node_at (const adr_directory_t *self, uint32_t at)
{
    return self->node[at];
}

static bool
s_is_shut (const adr_directory_t *self, uint32_t node)
{
    return __atomic_load_n (&self->shut[node], __ATOMIC_ACQUIRE);
}

/* Shut out or not; -1: no map has listed it. */
static int
s_place (const adr_directory_t *self, const adr_id_t *id)
{
    uint32_t at = adr_chains_first (&self->nodes_by_id, s_hash_id (id));
    for (; at != ADR_CHAIN_END; at = adr_chains_next (&self->nodes_by_id, at))
        if (adr_id_equal (&self->node[at]->id, id))
            return (int) at;
    return -1;
}

/* The place is filled in before anybody can find it. */
static void
s_add_node (adr_directory_t *self, const adr_map_node_t *node)
{
    uint32_t at = self->node_count;
    adr_assert (at < ADR_NODES_MAX); /* nobody leaves the registry, and none may have more */
    self->node[at] = adr_alloc (sizeof *node);
    *self->node[at] = *node;
    self->shut[at] = node->evicted;
    adr_chains_add (&self->nodes_by_key, adr_chains_hash (node->curve_key, 32), at);
    adr_chains_add (&self->nodes_by_id, s_hash_id (&node->id), at);
    __atomic_store_n (&self->node_count, at + 1, __ATOMIC_RELEASE);
}

void
adr_directory_take (adr_directory_t *self, const adr_map_t *map)
{
    for (uint32_t at = 0; at < self->node_count; at++) {
        const adr_map_node_t *node = adr_map_node (map, &self->node[at]->id);
        if (node == NULL || node->evicted || memcmp (node->curve_key, self->node[at]->curve_key, 32) != 0)
            __atomic_store_n (&self->shut[at], true, __ATOMIC_RELEASE);
    }
    for (uint32_t i = 0; i < map->node_count; i++)
        if (s_place (self, &map->node[i].id) < 0)
            s_add_node (self, &map->node[i]);
    __atomic_store_n (&self->epoch, map->epoch, __ATOMIC_RELEASE);
}

uint64_t
adr_directory_epoch (const adr_directory_t *self)
{
    return __atomic_load_n (&self->epoch, __ATOMIC_ACQUIRE);
}

void
adr_directory_add_actor (adr_directory_t *self, adr_address_t address, adr_mailbox_t *mailbox)
{
    adr_assert (self->actor_count < S_ACTORS_MAX);
    adr_assert (adr_directory_actor (self, &address) == NULL);
    int node = adr_directory_node (self, &address.node);
    if (node >= 0) /* else it was evicted already, and is spoken to by nobody */
        self->local[node] = true;
    self->actor[self->actor_count] = (s_actor_t){ address, mailbox };
    adr_chains_add (&self->actors, s_hash_address (&address), self->actor_count++);
}

void
adr_directory_set_post (adr_directory_t *self, adr_post_lane_t lane, adr_carry_fn *carry, void *argument)
{
    self->post[lane].carry = carry;
    self->post[lane].argument = argument;
}

void
adr_directory_set_host (adr_directory_t *self, adr_mailbox_t *mailbox)
{
    self->host = mailbox;
}

bool
adr_directory_add_client (adr_directory_t *self, const adr_id_t *id, adr_mailbox_t *mailbox)
{
    pthread_rwlock_wrlock (&self->lock);
    bool room = self->local_client_count < ADR_LOCAL_CLIENTS_MAX;
    if (room)
        self->local_client[self->local_client_count++] = (s_actor_t){ { *id, ADR_ACTOR_CLIENT }, mailbox };
    pthread_rwlock_unlock (&self->lock);
    return room;
}

void
adr_directory_remove_client (adr_directory_t *self, const adr_id_t *id)
{
    pthread_rwlock_wrlock (&self->lock);
    for (uint32_t i = 0; i < self->local_client_count; i++)
        if (adr_id_equal (&self->local_client[i].address.node, id)) {
            self->local_client[i] = self->local_client[--self->local_client_count];
            break;
        }
    pthread_rwlock_unlock (&self->lock);
}

adr_mailbox_t *
adr_directory_actor (const adr_directory_t *self, const adr_address_t *address)
{
    uint32_t at = adr_chains_first (&self->actors, s_hash_address (address));
    for (; at != ADR_CHAIN_END; at = adr_chains_next (&self->actors, at))
        if (self->actor[at].address.actor == address->actor
            && adr_id_equal (&self->actor[at].address.node, &address->node))
            return adr_directory_node (self, &address->node) >= 0 ? self->actor[at].mailbox : NULL;
    return NULL;
}

int
adr_directory_node (const adr_directory_t *self, const adr_id_t *id)
{
    int at = s_place (self, id);
    return at < 0 || s_is_shut (self, (uint32_t) at) ? -1 : at;
}

/* Shut out or not. */
static int
s_find_key (const adr_directory_t *self, const uint8_t key[32])
{
    uint32_t at = adr_chains_first (&self->nodes_by_key, adr_chains_hash (key, 32));
    for (; at != ADR_CHAIN_END; at = adr_chains_next (&self->nodes_by_key, at))
        if (memcmp (self->node[at]->curve_key, key, 32) == 0)
            return (int) at;
    return -1;
}

int
adr_directory_node_by_key (const adr_directory_t *self, const uint8_t key[32])
{
    int at = s_find_key (self, key);
    return at < 0 || s_is_shut (self, (uint32_t) at) ? -1 : at;
}

/* --- users -------------------------------------------------------------------------------------------------------- */

static int
s_compare_users (const void *left, const void *right)
{
    return memcmp (((const s_user_t *) left)->key, ((const s_user_t *) right)->key, 32);
}

void
adr_directory_take_users (adr_directory_t *self, uint64_t generation, adr_bytes_t rows)
{
    adr_credential_t credential;
    s_user_t *user = NULL;
    size_t count = 0;
    while (adr_credential_row_next (&rows, &credential)) {
        if (credential.role == 0 || !credential.has_curve_key)
            continue;
        user = adr_realloc (user, (count + 1) * sizeof *user);
        user[count] = (s_user_t){ .role = credential.disabled ? 0 : credential.role, .until_ms = credential.until_ms };
        memcpy (user[count].key, credential.curve_key, sizeof user->key);
        memcpy (user[count].name, credential.access_key, sizeof user->name);
        count++;
    }
    sodium_memzero (&credential, sizeof credential);
    if (count)
        qsort (user, count, sizeof *user, s_compare_users);
    for (size_t i = 1; i < count; i++)
        if (s_compare_users (&user[i - 1], &user[i]) == 0) { /* a key that two have is nobody's */
            user[i - 1].role = user[i].role = 0;
            adr_log (ADR_LEVEL_WARNING, "directory", "users %s and %s have the same key -> neither is heard", user[i - 1].name, user[i].name);
        }
    pthread_rwlock_wrlock (&self->users_lock);
    s_user_t *before = self->user;
    self->user = user;
    self->user_count = count;
    self->user_generation = generation;
    pthread_rwlock_unlock (&self->users_lock);
    free (before);
}

/* True if the cluster has a user of that key; *role is 0 if he is not heard. */
static bool
s_find_user (const adr_directory_t *self, const uint8_t key[32], adr_node_type_t *role, char name[ADR_USER_NAME_SIZE], uint64_t *generation)
{
    s_user_t asked;
    memcpy (asked.key, key, sizeof asked.key);
    pthread_rwlock_t *lock = (pthread_rwlock_t *) &self->users_lock;
    pthread_rwlock_rdlock (lock);
    *generation = self->user_generation; /* of the very list */
    const s_user_t *user = self->user_count ? bsearch (&asked, self->user, self->user_count, sizeof *user, s_compare_users) : NULL;
    if (user) {
        bool over = user->until_ms != 0 && user->until_ms <= (uint64_t) adr_clock_wall_ms ();
        *role = over ? 0 : user->role;
        memcpy (name, user->name, sizeof user->name);
    }
    pthread_rwlock_unlock (lock);
    return user != NULL;
}

static bool
s_is_client (const adr_directory_t *self, const uint8_t key[32])
{
    uint32_t at = adr_chains_first (&self->clients, adr_chains_hash (key, 32));
    for (; at != ADR_CHAIN_END; at = adr_chains_next (&self->clients, at))
        if (memcmp (self->client[at], key, 32) == 0)
            return true;
    return false;
}

adr_node_type_t
adr_directory_user (const adr_directory_t *self, const uint8_t key[32], char name[ADR_USER_NAME_SIZE], uint64_t *generation)
{
    static const char s_prefix[] = ADR_CONFIGURED_PREFIX;
    adr_node_type_t role;
    if (s_find_key (self, key) >= 0) /* a node is no user, whatever anybody says */
        return 0;
    if (s_find_user (self, key, &role, name, generation))
        return role;
    memcpy (name, s_prefix, sizeof s_prefix); /* [USER-4] */
    adr_hex_format (name + sizeof s_prefix - 1, key, ADR_CONFIGURED_DIGITS);
    for (uint32_t i = 0; i < self->operator_count; i++)
        if (memcmp (self->operator[i], key, sizeof *self->operator) == 0)
            return ADR_NODE_ADMIN;
    return s_is_client (self, key) ? ADR_NODE_CLIENT : 0;
}

bool
adr_directory_is_local (const adr_directory_t *self, const adr_id_t *node)
{
    int at = adr_directory_node (self, node);
    return at >= 0 && self->local[at];
}

bool
adr_directory_admits (void *argument, const char *domain, const uint8_t key[32])
{
    const adr_directory_t *self = argument;
    bool client_door = strcmp (domain, ADR_DOMAIN_CLIENT) == 0, adoption_door = strcmp (domain, ADR_DOMAIN_ADOPTION) == 0;
    if (!client_door && !adoption_door && strcmp (domain, ADR_DOMAIN_CONTROL) && strcmp (domain, ADR_DOMAIN_BULK))
        return false;
    char name[ADR_USER_NAME_SIZE];
    uint64_t generation;
    if (client_door)
        return adr_directory_user (self, key, name, &generation) != 0;
    int node = s_find_key (self, key);
    return node >= 0 ? !s_is_shut (self, (uint32_t) node) : adoption_door;
}

static bool
s_moves_data (adr_actor_kind_t actor)
{
    return actor == ADR_ACTOR_REPLICATOR || actor == ADR_ACTOR_EDGE_ROUTER;
}

adr_post_lane_t
adr_directory_lane (adr_node_type_t from_type, adr_actor_kind_t from, adr_node_type_t to_type, adr_actor_kind_t to)
{
    if (to == ADR_ACTOR_CLIENT)
        return from_type == ADR_NODE_PKI ? ADR_POST_ADOPTION : ADR_POST_CLIENT;
    if (from == ADR_ACTOR_INVENTORY_SYNCER && to == from)
        return ADR_POST_BULK;
    bool data = from_type == ADR_NODE_DATA || to_type == ADR_NODE_DATA;
    return data && s_moves_data (from) && s_moves_data (to) ? ADR_POST_BULK : ADR_POST_CONTROL;
}

/* A local client's mailbox must not go while a pack is put into it: so the put stands under the lock. */
static bool
s_put_local_client (adr_directory_t *self, adr_parcel_t **parcel)
{
    bool found = false;
    pthread_rwlock_rdlock (&self->lock);
    for (uint32_t i = 0; i < self->local_client_count && !found; i++)
        if (adr_id_equal (&self->local_client[i].address.node, &(*parcel)->to.node)) {
            found = true;
            if (adr_mailbox_put (self->local_client[i].mailbox, *parcel))
                *parcel = NULL;
        }
    pthread_rwlock_unlock (&self->lock);
    return found;
}

/* The lane of what leaves this host; ADR_POST_COUNT if the map does not list the node, or it should have been here. */
static adr_post_lane_t
s_lane_of (const adr_directory_t *self, const adr_parcel_t *parcel)
{
    if (parcel->to.actor == ADR_ACTOR_CLIENT)
        return adr_directory_lane (parcel->from_type, parcel->from.actor, ADR_NODE_CLIENT, parcel->to.actor);
    int node = adr_directory_node (self, &parcel->to.node);
    if (node < 0 || self->local[node])
        return ADR_POST_COUNT;
    return adr_directory_lane (parcel->from_type, parcel->from.actor, self->node[node]->type, parcel->to.actor);
}

static void
s_drop (adr_parcel_t *parcel, adr_metric_t why)
{
    static int64_t last_ns[2];
    adr_metric_add (why, 1);
    adr_log_rarely (&last_ns[why == ADR_METRIC_MAILBOX_FULL],
                    why == ADR_METRIC_MAILBOX_FULL ? ADR_LEVEL_WARNING : ADR_LEVEL_TRACE, "post",
                    "%s from %s to %s -> dropped bytes=%zu", adr_metric_name (why),
                    adr_actor_name (parcel->from.actor), adr_actor_name (parcel->to.actor), parcel->pack.size);
    adr_parcel_destroy (&parcel);
}

static void
s_leave_host (adr_directory_t *self, adr_parcel_t *parcel, adr_bells_t *bells)
{
    adr_post_lane_t lane = s_lane_of (self, parcel);
    if (lane == ADR_POST_COUNT || self->post[lane].carry == NULL)
        s_drop (parcel, ADR_METRIC_DROP_NO_ACTOR);
    else if (!self->post[lane].carry (self->post[lane].argument, parcel, bells))
        s_drop (parcel, ADR_METRIC_MAILBOX_FULL);
}

/* A node that was shut out; clients are none. */
static bool
s_is_gone (const adr_directory_t *self, const adr_id_t *id)
{
    int at = s_place (self, id);
    return at >= 0 && s_is_shut (self, (uint32_t) at);
}

void
adr_directory_route (adr_directory_t *self, adr_parcel_t *parcel, adr_bells_t *bells)
{
    if (parcel->local && s_is_gone (self, &parcel->from.node)) { /* of this very process [TRUST-3] */
        s_drop (parcel, ADR_METRIC_DROP_NO_ACTOR);
        return;
    }
    bool own = parcel->to.actor == ADR_ACTOR_HOST && parcel->local && adr_id_equal (&parcel->to.node, &parcel->from.node);
    adr_mailbox_t *mailbox = own ? self->host : adr_directory_actor (self, &parcel->to);
    if (mailbox) {
        adr_metric_add (ADR_METRIC_PACKS_LOCAL, parcel->local);
        if (!adr_mailbox_put_quietly (mailbox, parcel, bells))
            s_drop (parcel, ADR_METRIC_MAILBOX_FULL);
    } else if (parcel->to.actor == ADR_ACTOR_CLIENT && s_put_local_client (self, &parcel)) {
        if (parcel)
            s_drop (parcel, ADR_METRIC_MAILBOX_FULL);
    } else
        s_leave_host (self, parcel, bells);
}
