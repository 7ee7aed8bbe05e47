/* SPDX-License-Identifier: MPL-2.0 */
/* What is committed in the simulated group, and the records that follow from it: the truth that checkers compare
 * answers with. See check.h. */

#include "check.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

void
sim_fail (sim_verdict_t *verdict, const char *invariant, const char *format, ...)
{
    if (verdict->failed)
        return;
    verdict->failed = true;
    snprintf (verdict->invariant, sizeof verdict->invariant, "%s", invariant);
    va_list arguments;
    va_start (arguments, format);
    vsnprintf (verdict->seen, sizeof verdict->seen, format, arguments);
    va_end (arguments);
}

/* FNV-1a over words, with a final mix: fast, the same everywhere; nobody attacks it here. */
uint64_t
sim_hash (const void *data, size_t size)
{
    const uint8_t *at = data;
    uint64_t hash = UINT64_C (0xcbf29ce484222325) ^ size;
    for (; size >= 8; at += 8, size -= 8)
        hash = (hash ^ adr_get_u64 (at)) * UINT64_C (0x9e3779b97f4a7c15), hash ^= hash >> 29;
    for (; size > 0; at++, size--)
        hash = (hash ^ *at) * UINT64_C (0x100000001b3);
    hash ^= hash >> 32;
    return hash ? hash : 1;
}

uint64_t
sim_value_hash (adr_bytes_t value)
{
    return sim_hash (value.data, value.size);
}

void
sim_history_init (sim_history_t *self, sim_verdict_t *verdict)
{
    memset (self, 0, sizeof *self);
    self->verdict = verdict;
}

void
sim_history_free (sim_history_t *self)
{
    for (uint32_t i = 0; i < SIM_KEYS_MAX; i++)
        free (self->key[i].version);
    free (self->committed);
    free (self->request);
    memset (self, 0, sizeof *self);
}

/* Keys of the workload end with their number in four digits: "...k0042". */
int
sim_history_key (const sim_history_t *self, uint8_t table, adr_bytes_t key)
{
    if (table != ADR_TABLE_KV || key.size < 5 || key.data[key.size - 5] != 'k')
        return -1;
    int number = 0;
    for (size_t i = key.size - 4; i < key.size; i++) {
        if (key.data[i] < '0' || key.data[i] > '9')
            return -1;
        number = number * 10 + (key.data[i] - '0');
    }
    return number < (int) self->key_count ? number : -1;
}

static sim_request_t *
s_request_slot (sim_request_t *table, uint32_t room, uint64_t id)
{
    uint32_t at = (uint32_t) (id * UINT64_C (0x9e3779b97f4a7c15) >> 32) & (room - 1);
    while (table[at].id != 0 && table[at].id != id)
        at = (at + 1) & (room - 1);
    return &table[at];
}

sim_request_t *
sim_history_find_request (const sim_history_t *self, uint64_t id)
{
    if (self->request_room == 0)
        return NULL;
    sim_request_t *slot = s_request_slot (self->request, self->request_room, id);
    return slot->id == id ? slot : NULL;
}

void
sim_history_request (sim_history_t *self, uint64_t id)
{
    adr_assert (id != 0);
    if (self->request_count * 2 >= self->request_room) {
        uint32_t room = self->request_room ? self->request_room * 2 : 1024;
        sim_request_t *table = adr_alloc (room * sizeof *table);
        for (uint32_t i = 0; i < self->request_room; i++)
            if (self->request[i].id)
                *s_request_slot (table, room, self->request[i].id) = self->request[i];
        free (self->request);
        self->request = table;
        self->request_room = room;
    }
    sim_request_t *slot = s_request_slot (self->request, self->request_room, id);
    if (slot->id == 0) {
        slot->id = id;
        self->request_count++;
    }
}

const sim_version_t *
sim_history_at (const sim_history_t *self, int key, uint64_t index)
{
    const sim_key_t *row = &self->key[key];
    uint32_t low = 0, high = row->count; /* versions before `low` are at or below the index */
    while (low < high) {
        uint32_t middle = (low + high) / 2;
        if (row->version[middle].index <= index)
            low = middle + 1;
        else
            high = middle;
    }
    return low ? &row->version[low - 1] : NULL;
}

bool
sim_history_stands (const sim_version_t *version, uint64_t index)
{
    return version && !(version->purged && version->purged <= index);
}

int
sim_history_overdue (const sim_history_t *self)
{
    uint64_t now_ms = self->commit ? self->committed[self->commit].time_ms : 0;
    for (uint32_t key = 0; key < self->key_count; key++) {
        const sim_key_t *row = &self->key[key];
        const sim_version_t *newest = row->count ? &row->version[row->count - 1] : NULL;
        if (newest && newest->end_ms && newest->end_ms + 2000 < now_ms)
            return (int) key;
    }
    return -1;
}

/* --- commit ----------------------------------------------------------------------------------------------------- */

static void
s_commit_request (sim_history_t *self, const adr_entry_t *entry)
{
    uint64_t id = adr_get_u64 (entry->request);
    if (id == 0)
        return;
    sim_request_t *request = sim_history_find_request (self, id);
    if (!request)
        sim_fail (self->verdict, "2: nothing is invented", "entry %llu/%llu has request id %016llx, which nobody sent",
                  (unsigned long long) entry->term, (unsigned long long) entry->index, (unsigned long long) id);
    else if (request->index)
        sim_fail (self->verdict, "6: a request id is applied at most once",
                  "request %016llx is committed at %llu and at %llu", (unsigned long long) id,
                  (unsigned long long) request->index, (unsigned long long) entry->index);
    else {
        request->verdict = entry->op_count == 0;
        if (request->refused && !request->verdict)
            sim_fail (self->verdict, "6: refused means never applied",
                      "request %016llx was refused everywhere and is now committed at %llu", (unsigned long long) id,
                      (unsigned long long) entry->index);
        request->index = entry->index;
        request->term = entry->term;
    }
}

static void
s_commit_op (sim_history_t *self, const adr_entry_t *entry, const adr_op_t *op)
{
    int key = sim_history_key (self, op->table, op->key);
    if (key < 0)
        return;
    sim_key_t *row = &self->key[key];
    if (row->count == row->room) {
        row->room = row->room ? row->room * 2 : 16;
        row->version = adr_realloc (row->version, row->room * sizeof *row->version);
    }
    bool deleted = (op->flags & ADR_OP_DELETE) != 0;
    row->version[row->count++] = (sim_version_t){ .index = entry->index,
                                                  .term = entry->term,
                                                  .value = deleted ? 0 : sim_value_hash (op->value),
                                                  .deleted = deleted,
                                                  .time_ms = entry->time_ms };
}

/* Where an index is made anew, or copies are mended, a tombstone may come back that was purged, or that another one which was
 * purged since had overwritten. It is purged again. */
static bool
s_comes_back (const sim_history_t *self, int key, const adr_version_t *named)
{
    const sim_key_t *row = &self->key[key];
    const sim_version_t *version = sim_history_at (self, key, named->index);
    return self->mends && row->count && row->version[row->count - 1].purged && version && version->index == named->index
           && version->term == named->term && version->deleted;
}

/* [STORE-9] Purged is the newest version of a record, a tombstone, once, and not before its time. */
static void
s_commit_purge (sim_history_t *self, const adr_entry_t *entry, const adr_op_t *op)
{
    int key = sim_history_key (self, op->table, op->key);
    if (key < 0)
        return;
    adr_version_t named = adr_version_decode (op->value.data);
    sim_key_t *row = &self->key[key];
    sim_version_t *newest = row->count ? &row->version[row->count - 1] : NULL;
    if (s_comes_back (self, key, &named)) {
        if (newest->index == named.index)
            newest->purged = entry->index;
        return;
    }
    if (!newest || newest->index != named.index || newest->term != named.term || !newest->deleted || newest->purged)
        sim_fail (self->verdict, "STORE-9: a purge takes a tombstone, once",
                  "key %d: entry %llu purges version %llu, the newest is %llu", key, (unsigned long long) entry->index,
                  (unsigned long long) named.index, newest ? (unsigned long long) newest->index : 0);
    else if (entry->time_ms < newest->time_ms + self->retention_ms)
        sim_fail (self->verdict, "STORE-9: a tombstone is kept for its time",
                  "key %d: entry %llu purges version %llu after %llu ms of log time", key, (unsigned long long) entry->index,
                  (unsigned long long) named.index, (unsigned long long) (entry->time_ms - newest->time_ms));
    else
        newest->purged = entry->index;
}

/* The key of the workload that an expiry row speaks of, or -1. */
static int
s_ending (const sim_history_t *self, const adr_op_t *op, uint64_t *end_ms)
{
    uint8_t table;
    adr_bytes_t key;
    if (op->table != ADR_TABLE_EXPIRY || !adr_expiry_key_decode (op->key, end_ms, &table, &key))
        return -1;
    return sim_history_key (self, table, key);
}

/* The newest version of the record that an expiry row speaks of ends when that says. */
static void
s_commit_end (sim_history_t *self, const adr_entry_t *entry, const adr_op_t *op)
{
    uint64_t end_ms;
    int key = s_ending (self, op, &end_ms);
    if (key < 0)
        return;
    sim_key_t *row = &self->key[key];
    if (row->count && row->version[row->count - 1].index == entry->index)
        row->version[row->count - 1].end_ms = end_ms;
}

/* The entry removes the row that was written with this version of the record. */
static bool
s_removes_row (const sim_history_t *self, const adr_entry_t *entry, int key, const sim_version_t *version)
{
    uint64_t end_ms;
    for (uint32_t i = 0; version && i < entry->op_count; i++)
        if ((entry->op[i].flags & ADR_OP_DELETE) && s_ending (self, &entry->op[i], &end_ms) == key
            && end_ms == version->end_ms)
            return true;
    return false;
}

static bool
s_deletes (const sim_history_t *self, const adr_entry_t *entry, int key)
{
    for (uint32_t i = 0; i < entry->op_count; i++)
        if ((entry->op[i].flags & ADR_OP_DELETE) && sim_history_key (self, entry->op[i].table, entry->op[i].key) == key)
            return true;
    return false;
}

/* [REPAIR-7] What an entry that nobody asked for does to this record: it deletes the version whose row it removes, when the time
 * of that has come. */
static void
s_judge_end (sim_history_t *self, const adr_entry_t *entry, int key)
{
    const sim_version_t *newest = sim_history_at (self, key, entry->index);
    bool removes = newest && !newest->deleted && s_removes_row (self, entry, key, newest);
    if (s_deletes (self, entry, key) != removes)
        sim_fail (self->verdict, "REPAIR-7: what ends is a version", "key %d: entry %llu %s version %llu, which ends at %llu",
                  key, (unsigned long long) entry->index, removes ? "leaves" : "deletes",
                  newest ? (unsigned long long) newest->index : 0, newest ? (unsigned long long) newest->end_ms : 0);
    else if (removes && entry->time_ms < newest->end_ms)
        sim_fail (self->verdict, "REPAIR-7: nothing ends before its time", "key %d: entry %llu is %llu ms too early", key,
                  (unsigned long long) entry->index, (unsigned long long) (newest->end_ms - entry->time_ms));
}

static void
s_judge_own (sim_history_t *self, const adr_entry_t *entry)
{
    for (uint32_t i = 0; i < entry->op_count; i++) {
        const adr_op_t *op = &entry->op[i];
        uint64_t end_ms;
        int written = op->flags & ADR_OP_PURGE ? -1 : sim_history_key (self, op->table, op->key);
        int ending = s_ending (self, op, &end_ms);
        if (written >= 0 && !(op->flags & ADR_OP_DELETE))
            sim_fail (self->verdict, "2: nothing is invented", "entry %llu, which nobody asked for, writes key %d",
                      (unsigned long long) entry->index, written);
        if (written >= 0 || ending >= 0)
            s_judge_end (self, entry, written >= 0 ? written : ending);
    }
}

/* [REPAIR-7] Masters look at rows from the mark on: a record that ends before it would stay for ever. */
static void
s_judge_mark (sim_history_t *self, const adr_entry_t *entry, const adr_op_t *op)
{
    if (op->table != ADR_TABLE_GROUP || op->value.size != ADR_EXPIRED_SIZE
        || !adr_bytes_equal (op->key, adr_bytes (ADR_EXPIRED_KEY, strlen (ADR_EXPIRED_KEY))))
        return;
    uint64_t mark_ms = adr_get_u64 (op->value.data);
    for (uint32_t key = 0; key < self->key_count; key++) {
        const sim_key_t *row = &self->key[key];
        const sim_version_t *newest = row->count ? &row->version[row->count - 1] : NULL;
        if (newest && !newest->deleted && newest->end_ms && newest->end_ms < mark_ms)
            sim_fail (self->verdict, "REPAIR-7: the mark passes no row", "key %u ends at %llu, the mark of entry %llu is %llu", key,
                      (unsigned long long) newest->end_ms, (unsigned long long) entry->index, (unsigned long long) mark_ms);
    }
}

static void
s_commit_ops (sim_history_t *self, const adr_entry_t *entry)
{
    if (adr_get_u64 (entry->request) == 0)
        s_judge_own (self, entry);
    for (uint32_t i = 0; i < entry->op_count; i++) {
        if (entry->op[i].flags & ADR_OP_PURGE)
            s_commit_purge (self, entry, &entry->op[i]);
        else
            s_commit_op (self, entry, &entry->op[i]);
    }
    for (uint32_t i = 0; i < entry->op_count; i++)
        if (entry->op[i].table == ADR_TABLE_EXPIRY && entry->op[i].flags == 0)
            s_commit_end (self, entry, &entry->op[i]);
    for (uint32_t i = 0; i < entry->op_count; i++)
        s_judge_mark (self, entry, &entry->op[i]);
}

void
sim_history_commit (sim_history_t *self, const adr_entry_t *entry, uint64_t hash)
{
    uint64_t index = entry->index;
    if (index <= self->commit) {
        const sim_committed_t *known = &self->committed[index];
        if (known->term != entry->term || known->hash != hash)
            sim_fail (self->verdict, "2: a committed entry stays",
                      "index %llu was committed with term %llu, now somebody commits term %llu there",
                      (unsigned long long) index, (unsigned long long) known->term, (unsigned long long) entry->term);
        return;
    }
    adr_assert (index == self->commit + 1);
    if (index >= self->committed_room) {
        self->committed_room = self->committed_room ? self->committed_room * 2 : 4096;
        self->committed = adr_realloc (self->committed, self->committed_room * sizeof *self->committed);
    }
    if (index > 1 && entry->time_ms < self->committed[index - 1].time_ms)
        sim_fail (self->verdict, "PART-4: log time never falls", "at index %llu", (unsigned long long) index);
    if (!adr_entry_verify (entry))
        sim_fail (self->verdict, "2: nothing is invented", "a digest of entry %llu does not fit its value",
                  (unsigned long long) index);
    self->committed[index] = (sim_committed_t){ entry->term, hash, entry->time_ms };
    self->commit = index;
    if (entry->kind != ADR_ENTRY_WRITE)
        return;
    s_commit_request (self, entry);
    s_commit_ops (self, entry);
}
