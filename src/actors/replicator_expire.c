/* SPDX-License-Identifier: MPL-2.0 */
/* What a master logs of itself: deletes of records whose time to live is over, purges of tombstones that nobody needs any
 * more, new sweep epochs. Members never decide any of it: all are entries of the log, at a bounded rate [DESIGN 5, d].
 *
 * Owns: where it has looked. Makes durable: entries without a request. Implements STORE-9 (when a tombstone may go), REPAIR-2
 * (the purge horizon), REPAIR-7 (a delete of a version), OBJECT-1 (the sweep epochs of a meta group's partitions). */

#include "actors/replicator_private.h"

#define S_EXPIRE_EVERY_NS (100 * ADR_MS) /* a record lives so much longer at most, and the time that an entry takes */
#define S_PURGE_EVERY_NS (1000 * ADR_MS)
#define S_SWEEP_EVERY_NS (60000 * ADR_MS) /* at most, and this often in an epoch: */
#define S_SWEEP_LOOKS 16
#define S_DAMAGED_LEADS 10               /* election timeouts for which a master leads all the same */
#define S_EXPIRED_MAX ((ADR_OPS_MAX - 1) / 2) /* of one entry: record and row of each, and the mark */
#define S_PURGED_MAX (ADR_OPS_MAX - 1)        /* of one entry, and the horizon */

/* --- an entry of the master's own ------------------------------------------------------------------------------- */

static void
s_begin_entry (replicator_t *self)
{
    self->entry.kind = ADR_ENTRY_WRITE;
    self->entry.op_count = 0;
    memset (self->entry.request, 0, sizeof self->entry.request);
}

static void
s_add_op (replicator_t *self, uint8_t table, uint8_t flags, adr_bytes_t key, adr_bytes_t value)
{
    adr_op_t *op = &self->entry.op[self->entry.op_count++];
    *op = (adr_op_t){ .table = table, .flags = flags, .key = key, .value = value };
    adr_value_digest (value, op->digest);
}

static void
s_append_entry (replicator_t *self)
{
    replicator_append_own (self);
    self->tidy.index = self->entry.index;
}

/* [STORE-11] As for clients' deletes: one full zone stops nobody, and what too few can acknowledge is not begun [invariant 11].
 * Purges can wait until no zone is full: a voter's reserve is not for them. */
static bool
s_has_space (replicator_t *self, bool everywhere)
{
    bool full;
    const adr_voters_t *voters = adr_store_voters (self->store);
    uint32_t with_space = replicator_voters_with_space (self, ADR_SPACE_FIRST_MARK, &full);
    uint32_t needed = adr_quorum_needed (voters->count, voters->quorum);
    bool enough = with_space >= needed;
    return replicator_able_voters (self) >= needed && adr_store_space (self->store) <= ADR_SPACE_FIRST_MARK
        && (!full || (enough && !everywhere));
}

/* One entry at a time. */
static bool
s_may_tidy (replicator_t *self)
{
    return !self->log_unread && replicator_is_exact (self) && adr_store_commit (self->store) >= self->opening
        && adr_store_applied (self->store) >= self->tidy.index && adr_store_has_room (self->store)
        && self->pipeline_bytes < self->settings->pipeline_max_bytes / 2;
}

/* --- time to live ----------------------------------------------------------------------------------------------- */

/* Rows that end before this are all here. What is not applied yet ends a second behind its entry's stamp, or later. */
static uint64_t
s_expire_until (replicator_t *self)
{
    uint64_t until = replicator_log_time (self), known = self->time_committed_ms + ADR_TTL_MIN_MS - 1;
    bool all = adr_store_applied (self->store) == adr_store_last (self->store).index;
    return all || until < known || ADR_PLANT (REPAIR_7_ROW_PASSED_BY) ? until : known;
}

static void
s_learn_mark (replicator_t *self)
{
    adr_record_t record;
    adr_bytes_t key = adr_bytes (ADR_EXPIRED_KEY, strlen (ADR_EXPIRED_KEY));
    self->tidy.mark_known = true; /* one that cannot be read is made anew: all rows are looked at once */
    if (adr_store_get (self->store, ADR_TABLE_GROUP, key, true, &record) == ADR_STATUS_OK
        && record.value.size == ADR_EXPIRED_SIZE)
        self->tidy.mark_ms = adr_get_u64 (record.value.data);
}

/* [STORE-10] Another copy may be whole: it leads, and this one mends its index. Not in a hurry, lest masters that are all
 * damaged pass the group around. */
static void
s_cannot_read (replicator_t *self)
{
    if (adr_store_met_doubt (self->store)) /* [REPAIR-2] no other master could */
        return;
    replicator_note_damage (self, "a record that ends, or its row, cannot be read -> it ends later, by another master");
    if (self->now_ns - self->lead_ns > S_DAMAGED_LEADS * self->settings->election_max_ns)
        replicator_resign (self, "what ends cannot be read", NULL);
}

/* A row whose time has come; in self->values, one behind the other, each with its key behind it. */
typedef struct {
    adr_version_t version;
    uint64_t end_ms;
    size_t key_size;
} s_due_t;

typedef struct {
    replicator_t *self;
    uint64_t until_ms;
    uint32_t count;
} s_gathering_t;

static bool
s_gather_due (void *argument, adr_bytes_t row_key, const adr_record_t *record)
{
    s_gathering_t *gathering = argument;
    s_due_t due = { .version = record->version, .key_size = row_key.size };
    uint8_t table;
    adr_bytes_t key;
    if (!adr_expiry_key_decode (row_key, &due.end_ms, &table, &key))
        return true; /* nobody writes such a row */
    if (due.end_ms > gathering->until_ms || gathering->count == S_EXPIRED_MAX)
        return false;
    adr_buffer_append (&gathering->self->values, &due, sizeof due);
    adr_buffer_append (&gathering->self->values, row_key.data, row_key.size);
    gathering->count++;
    return true;
}

/* [REPAIR-7] The record goes if it is the one that was written with the row; else only the row goes. False if the row must
 * stay for now. */
static bool
s_expire (replicator_t *self, const s_due_t *due, adr_bytes_t row_key)
{
    uint64_t end_ms;
    uint8_t table;
    adr_bytes_t key;
    if (!adr_expiry_key_decode (row_key, &end_ms, &table, &key)
        || adr_pending_keys_find (self->pending, ADR_TABLE_EXPIRY, row_key))
        return false;
    current_t current = replicator_current (self, table, key);
    if (current.damaged) {
        s_cannot_read (self);
        return false;
    }
    bool same = adr_version_compare (&current.version, &due->version) == 0;
    if (current.exists && (same || ADR_PLANT (REPAIR_7_EXPIRY_ANY_VERSION)))
        s_add_op (self, table, ADR_OP_DELETE, key, adr_bytes (NULL, 0));
    s_add_op (self, ADR_TABLE_EXPIRY, ADR_OP_DELETE, row_key, adr_bytes (NULL, 0));
    return true;
}

/* Adds what is due to the entry; returns the new mark: nothing that ends before it is left. */
static uint64_t
s_expire_all (replicator_t *self, uint32_t count)
{
    const uint8_t *at = self->values.data;
    uint64_t mark_ms = self->tidy.mark_ms;
    bool passing = true;
    for (uint32_t i = 0; i < count; i++) {
        s_due_t due;
        memcpy (&due, at, sizeof due);
        adr_bytes_t row_key = adr_bytes (at + sizeof due, due.key_size);
        bool done = s_expire (self, &due, row_key);
        if (passing)
            mark_ms = due.end_ms;
        passing &= done;
        at = row_key.data + row_key.size;
    }
    return mark_ms;
}

static void
s_tend_expiry (replicator_t *self)
{
    uint8_t from[8], mark[ADR_EXPIRED_SIZE];
    s_gathering_t gathering = { .self = self, .until_ms = s_expire_until (self) };
    if (!self->tidy.mark_known)
        s_learn_mark (self);
    adr_put_be64 (from, self->tidy.mark_ms);
    adr_buffer_clear (&self->values);
    if (adr_store_scan (self->store, ADR_TABLE_EXPIRY, adr_bytes (NULL, 0), adr_bytes (from, sizeof from), false,
                        s_gather_due, &gathering) != ADR_STATUS_OK)
        s_cannot_read (self);
    s_begin_entry (self);
    uint64_t mark_ms = s_expire_all (self, gathering.count);
    if (gathering.count < S_EXPIRED_MAX)
        self->tidy.expire_ns = self->now_ns + S_EXPIRE_EVERY_NS;
    if (self->entry.op_count == 0)
        return;
    ADR_MARK ("records end");
    self->tidy.mark_ms = mark_ms;
    adr_put_u64 (mark, mark_ms);
    s_add_op (self, ADR_TABLE_GROUP, 0, adr_bytes (ADR_EXPIRED_KEY, strlen (ADR_EXPIRED_KEY)), adr_bytes (mark, sizeof mark));
    s_append_entry (self);
}

/* --- tombstones ------------------------------------------------------------------------------------------------- */

static int64_t
s_away_ns (const replicator_t *self, const peer_t *peer)
{
    return self->now_ns - (peer && peer->heard_ns ? peer->heard_ns : self->lead_ns);
}

static const peer_t *
s_peer_of (const replicator_t *self, const adr_voter_t *voter)
{
    for (uint32_t i = 0; i < self->peer_count; i++)
        if (adr_id_equal (&self->peer[i].node, &voter->node) && self->peer[i].incarnation == voter->incarnation)
            return &self->peer[i];
    return NULL;
}

/* [STORE-9] The least that the voters of the newest voters entry have applied, as they said last. One that was away longer
 * than the retention is not waited for: what it holds and others do not, it gives up by the purge horizon [REPAIR-2]. */
static uint64_t
s_applied_by_all (const replicator_t *self)
{
    const adr_voters_t *voters = adr_store_voters (self->store);
    uint64_t least = adr_store_applied (self->store);
    for (uint32_t i = 0; i < voters->count; i++) {
        const peer_t *peer = s_peer_of (self, &voters->voter[i]);
        if (peer == &self->peer[0] || s_away_ns (self, peer) > self->settings->tombstone_retention_ns)
            continue;
        uint64_t applied = peer && peer->heard_ns ? peer->applied : 0;
        least = applied < least ? applied : least;
    }
    return least;
}

typedef struct {
    replicator_t *self;
    uint64_t applied;   /* by all voters */
    uint64_t before_ms; /* what was deleted until then is old enough */
    uint64_t horizon;
    uint32_t count;
    bool ended;         /* what follows is too young */
    uint8_t version[S_PURGED_MAX][ADR_VERSION_SIZE];
    size_t key_end[S_PURGED_MAX]; /* in self->values */
    uint8_t table[S_PURGED_MAX];
} s_purge_t;

static bool
s_gather_purge (void *argument, const adr_tombstone_t *tombstone)
{
    s_purge_t *purge = argument;
    replicator_t *self = purge->self;
    purge->ended = (tombstone->version.index > purge->applied && !ADR_PLANT (STORE_9_VOTERS_IGNORED))
                   || (tombstone->time_ms > purge->before_ms && !ADR_PLANT (STORE_9_PURGED_EARLY));
    if (purge->ended || purge->count == S_PURGED_MAX)
        return false;
    /* What waits in the log is newer: it overwrites the tombstone, or purges it. */
    if (adr_pending_keys_find (self->pending, tombstone->table, tombstone->key) && !ADR_PLANT (PURGE_PENDING_KEY))
        return true;
    adr_version_encode (&tombstone->version, purge->version[purge->count]);
    adr_buffer_append (&self->values, tombstone->key.data, tombstone->key.size);
    purge->table[purge->count] = tombstone->table;
    purge->key_end[purge->count++] = self->values.size;
    if (purge->horizon < tombstone->version.index)
        purge->horizon = tombstone->version.index;
    return true;
}

/* The horizon is in the same entry: who hears of the purge hears of it [REPAIR-2]. */
static void
s_append_purge (replicator_t *self, const s_purge_t *purge)
{
    uint8_t horizon[ADR_PURGED_SIZE];
    s_begin_entry (self);
    for (uint32_t i = 0; i < purge->count; i++) {
        size_t from = i ? purge->key_end[i - 1] : 0;
        s_add_op (self, purge->table[i], ADR_OP_PURGE,
                  adr_bytes (self->values.data + from, purge->key_end[i] - from),
                  adr_bytes (purge->version[i], ADR_VERSION_SIZE));
    }
    adr_put_u64 (horizon, purge->horizon);
    s_add_op (self, ADR_TABLE_GROUP, 0, adr_bytes (ADR_PURGED_KEY, strlen (ADR_PURGED_KEY)),
              adr_bytes (horizon, sizeof horizon));
    s_append_entry (self);
}

static void
s_tend_tombstones (replicator_t *self)
{
    s_purge_t purge = { .self = self, .applied = s_applied_by_all (self) };
    uint64_t now_ms = replicator_log_time (self), kept_ms = (uint64_t) (self->settings->tombstone_retention_ns / ADR_MS);
    self->tidy.purge_ns = self->now_ns + S_PURGE_EVERY_NS;
    adr_bytes_t horizon_key = adr_bytes (ADR_PURGED_KEY, strlen (ADR_PURGED_KEY));
    if (now_ms <= kept_ms || adr_pending_keys_find (self->pending, ADR_TABLE_GROUP, horizon_key)
        || adr_store_purge_horizon (self->store, &purge.horizon) != ADR_STATUS_OK)
        return;
    purge.before_ms = now_ms - kept_ms;
    adr_buffer_clear (&self->values);
    adr_store_tombstones (self->store, &self->tidy.after, s_gather_purge, &purge);
    if (purge.ended)
        self->tidy.after = (adr_tombstone_place_t){ 0 };
    else if (self->tidy.after.size) /* there is more to look at: as soon as this is applied */
        self->tidy.purge_ns = self->now_ns;
    if (purge.count == 0)
        return;
    ADR_MARK ("tombstones go");
    s_append_purge (self, &purge);
}

/* --- sweep epochs ----------------------------------------------------------------------------------------------- */

/* What is stored; `*age_ms` is how long the epoch has lasted by log time, ADR_NEVER if the record is not there yet. */
static bool
s_stored_epoch (replicator_t *self, adr_bytes_t key, uint64_t *epoch, int64_t *age_ms)
{
    adr_record_t record;
    adr_status_t status = adr_store_get (self->store, ADR_TABLE_SWEEP, key, true, &record);
    *epoch = 0;
    *age_ms = ADR_NEVER;
    if (status == ADR_STATUS_OK && record.value.size == ADR_SWEEP_EPOCH_SIZE) {
        *epoch = adr_get_u64 (record.value.data);
        *age_ms = (int64_t) (replicator_log_time (self) - record.time_ms);
    }
    return status == ADR_STATUS_OK || status == ADR_STATUS_NOT_FOUND;
}

bool
replicator_sweep_epoch (replicator_t *self, uint32_t partition, uint64_t *epoch)
{
    uint8_t bytes[ADR_SWEEP_KEY_SIZE];
    adr_bytes_t key = adr_bytes (bytes, sizeof bytes);
    int64_t age_ms;
    adr_sweep_key (bytes, partition);
    if (!s_stored_epoch (self, key, epoch, &age_ms))
        return false;
    if (adr_pending_keys_find (self->pending, ADR_TABLE_SWEEP, key)) /* one at a time */
        ++*epoch;
    if (*epoch < ADR_SWEEP_FIRST)
        *epoch = ADR_SWEEP_FIRST;
    return true;
}

/* [OBJECT-1] Each epoch lasts gc.sweep-interval of log time at least, and is one more than the one before. The first record of
 * a partition says when its first epoch began. */
static void
s_tend_sweep (replicator_t *self)
{
    uint8_t key[ADR_OPS_MAX][ADR_SWEEP_KEY_SIZE], value[ADR_OPS_MAX][ADR_SWEEP_EPOCH_SIZE];
    int64_t lasts_ms = self->settings->sweep_interval_ns / ADR_MS;
    int64_t every_ns = self->settings->sweep_interval_ns / S_SWEEP_LOOKS;
    bool first = self->tidy.sweep_ns == 0; /* a young master has more to do */
    self->tidy.sweep_ns = self->now_ns + (every_ns < S_SWEEP_EVERY_NS ? every_ns : S_SWEEP_EVERY_NS);
    if (first)
        return;
    s_begin_entry (self);
    for (uint32_t partition = 0; partition < self->map->partition_count && self->entry.op_count < ADR_OPS_MAX; partition++) {
        const adr_map_group_t *owner = adr_map_owner (self->map, ADR_NODE_META, partition);
        uint32_t at = self->entry.op_count;
        uint64_t epoch;
        int64_t age_ms;
        adr_sweep_key (key[at], partition);
        if (owner == NULL || !adr_id_equal (&owner->id, &self->environment->group)
            || adr_pending_keys_find (self->pending, ADR_TABLE_SWEEP, adr_bytes (key[at], sizeof key[at]))
            || !s_stored_epoch (self, adr_bytes (key[at], sizeof key[at]), &epoch, &age_ms) || age_ms < lasts_ms)
            continue;
        adr_put_u64 (value[at], epoch + 1);
        s_add_op (self, ADR_TABLE_SWEEP, 0, adr_bytes (key[at], sizeof key[at]), adr_bytes (value[at], sizeof value[at]));
    }
    if (self->entry.op_count == 0)
        return;
    ADR_MARK ("sweep epochs begin");
    if (self->entry.op_count == ADR_OPS_MAX) /* there may be more: as soon as this is applied */
        self->tidy.sweep_ns = self->now_ns;
    s_append_entry (self);
}

void
replicator_tidy (replicator_t *self)
{
    if (self->environment->type == ADR_NODE_META && self->now_ns >= self->tidy.sweep_ns && s_may_tidy (self)
        && s_has_space (self, false))
        s_tend_sweep (self);
    if (self->now_ns >= self->tidy.expire_ns && s_may_tidy (self) && s_has_space (self, false))
        s_tend_expiry (self);
    if (self->now_ns >= self->tidy.purge_ns && s_may_tidy (self) && s_has_space (self, true))
        s_tend_tombstones (self);
}
