/* SPDX-License-Identifier: MPL-2.0 */
/* A recovery's notes: what the state environment says of the journal, and what is written back to it [STORE-4].
 *
 * Owns: nothing that outlives it. Makes durable: the notes. */

#include "store/recovery.h"

#include "core/actor.h"

#define S_NOTE_JOURNAL_SIZE 80
#define S_FRESH_COUNT 10 /* notes of a store without a past */

void
adr_note_segment_encode (const adr_note_segment_t *note, uint8_t at[ADR_NOTE_SEGMENT_SIZE])
{
    adr_put_u64 (at, note->first);
    adr_put_u64 (at + 8, note->newest);
    adr_put_u64 (at + 16, note->recovering);
}

size_t
adr_note_start_encode (const adr_job_t *start, uint8_t at[ADR_NOTE_START_SIZE])
{
    adr_put_u64 (at, start->start.term);
    adr_put_u64 (at + 8, start->start.index);
    adr_put_u64 (at + 16, start->scan_segment);
    adr_put_u64 (at + 24, start->scan_batch);
    adr_put_u64 (at + 32, start->voters.at.term);
    adr_put_u64 (at + 40, start->voters.at.index);
    return 48 + adr_voters_encode (&start->voters, at + 48);
}

static bool
s_note_u64 (adr_store_t *self, const char *name, uint64_t *value)
{
    uint8_t bytes[8];
    if (self->state->get (self->state, name, bytes, sizeof bytes) != (int) sizeof bytes)
        return false;
    *value = adr_get_u64 (bytes);
    return true;
}

static bool
s_note_start (adr_recovery_t *r)
{
    uint8_t bytes[ADR_NOTE_START_SIZE];
    int size = r->self->state->get (r->self->state, ADR_NOTE_START, bytes, sizeof bytes);
    if (size < 48 || size > (int) sizeof bytes)
        return false;
    r->start = (adr_position_t){ adr_get_u64 (bytes), adr_get_u64 (bytes + 8) };
    r->scan_segment = adr_get_u64 (bytes + 16);
    r->scan_batch = adr_get_u64 (bytes + 24);
    r->voters.at = (adr_position_t){ adr_get_u64 (bytes + 32), adr_get_u64 (bytes + 40) };
    return adr_voters_decode (&r->voters, adr_bytes (bytes + 48, (size_t) size - 48));
}

static bool
s_note_segment (adr_recovery_t *r)
{
    uint8_t bytes[ADR_NOTE_SEGMENT_SIZE];
    if (r->self->state->get (r->self->state, ADR_NOTE_SEGMENT, bytes, sizeof bytes) != (int) sizeof bytes)
        return false;
    r->note = (adr_note_segment_t){ adr_get_u64 (bytes), adr_get_u64 (bytes + 8), adr_get_u64 (bytes + 16) };
    return r->note.first > 0 && r->note.newest >= r->note.first && r->note.newest < UINT32_MAX - 8;
}

static bool
s_note_removed (adr_recovery_t *r)
{
    uint8_t bytes[ADR_NOTE_REMOVED_SIZE];
    int size = r->self->state->get (r->self->state, ADR_NOTE_REMOVED, bytes, sizeof bytes);
    r->removed_from = r->note.first;
    if (size == -1)
        return true;
    if (size < ADR_NOTE_REMOVED_HEAD || size > (int) sizeof bytes)
        return false;
    r->generation = adr_get_u64 (bytes);
    r->commit = adr_get_u64 (bytes + 8);
    r->removed_from = adr_get_u64 (bytes + 16);
    memcpy (r->removed, bytes + ADR_NOTE_REMOVED_HEAD, (size_t) size - ADR_NOTE_REMOVED_HEAD);
    return true;
}

bool
adr_recovery_is_removed (const adr_recovery_t *r, uint64_t number)
{
    uint64_t at = number - r->removed_from;
    return number < r->note.first
        || (number >= r->removed_from && at < ADR_NOTE_REMOVED_SEGMENTS && (r->removed[at / 8] >> at % 8 & 1));
}

/* Without it nothing is known of what lies below the log's start. */
static bool
s_note_history (adr_recovery_t *r)
{
    uint8_t bytes[ADR_HISTORY_BYTES_MAX];
    int size = r->self->state->get (r->self->state, ADR_NOTE_HISTORY, bytes, sizeof bytes);
    adr_history_init (&r->self->history, r->start.index);
    return size == -1
        || (size >= 0 && size <= (int) sizeof bytes
            && adr_history_decode (&r->self->history, adr_bytes (bytes, (size_t) size)));
}

/* The fence is the replicator's note; absent in a node that was never fenced. */
static void
s_note_fence (adr_store_t *self)
{
    uint8_t bytes[64];
    if (self->state->get (self->state, ADR_NOTE_FENCE, bytes, sizeof bytes) >= 8)
        self->fence = adr_get_u64 (bytes);
}

static bool
s_note_sync (adr_store_t *self)
{
    uint8_t bytes[ADR_NOTE_SYNC_SIZE];
    int size = self->state->get (self->state, ADR_NOTE_SYNC, bytes, sizeof bytes);
    bool sound = size == -1 || (size == (int) sizeof bytes && adr_sync_note_decode (&self->sync, bytes));
    self->sync_wanted = self->sync;
    return sound;
}

bool
adr_recovery_reindex_is_noted (adr_recovery_t *r)
{
    uint64_t noted;
    return s_note_u64 (r->self, ADR_NOTE_REINDEX, &noted) && noted != 0;
}

/* What this node's actors have told others: of a note that cannot be read nobody knows what was promised or voted. */
static const char *const s_told[] = { ADR_NOTE_FENCE, ADR_NOTE_VOTE, ADR_NOTE_PROMISE };
#define S_TOLD_COUNT (sizeof s_told / sizeof s_told[0])

static bool
s_is_unreadable (adr_store_t *self, const char *name)
{
    uint8_t byte;
    return self->state->get (self->state, name, &byte, sizeof byte) == -2;
}

static bool
s_told_is_unreadable (adr_store_t *self)
{
    bool unreadable = false;
    for (size_t i = 0; i < S_TOLD_COUNT; i++)
        unreadable |= s_is_unreadable (self, s_told[i]);
    return unreadable;
}

adr_notes_t
adr_recovery_notes_read (adr_recovery_t *r)
{
    adr_store_t *self = r->self;
    uint8_t bytes[S_NOTE_JOURNAL_SIZE];
    int size = self->state->get (self->state, ADR_NOTE_JOURNAL, bytes, sizeof bytes);
    s_note_fence (self);
    (void) s_note_u64 (self, ADR_NOTE_BOOT, &self->boot);
    if (!s_note_sync (self)) {
        ADR_WHY (r, "the state environment is unreadable");
        return ADR_NOTES_BAD;
    }
    (void) s_note_u64 (self, ADR_NOTE_TERM, &self->journal.noted_term);
    if (size == -1)
        return ADR_NOTES_NONE;
    if (size != (int) sizeof bytes || self->boot == 0 || !s_note_segment (r) || !s_note_start (r)
        || !s_note_u64 (self, ADR_NOTE_TERM, &self->journal.noted_term) || s_told_is_unreadable (self)
        || !s_note_removed (r) || !s_note_history (r)) {
        ADR_WHY (r, "the state environment is unreadable");
        return ADR_NOTES_BAD;
    }
    if (memcmp (bytes, self->options.cluster.bytes, ADR_ID_SIZE) != 0
        || memcmp (bytes + 16, self->options.group.bytes, ADR_ID_SIZE) != 0
        || memcmp (bytes + 32, self->options.node.bytes, ADR_ID_SIZE) != 0) {
        ADR_WHY (r, "the state environment belongs to another node");
        return ADR_NOTES_BAD;
    }
    memcpy (self->journal.id.bytes, bytes + 48, ADR_ID_SIZE);
    self->incarnation = adr_get_u64 (bytes + 64);
    self->journal.first_segment = r->note.first;
    uint64_t rebuilt = 0;
    self->was_rebuilt = s_note_u64 (self, ADR_NOTE_REBUILT, &rebuilt) && rebuilt;
    if (!s_note_u64 (self, ADR_NOTE_REPLAYED, &self->replayed_to))
        self->replayed_to = 0;
    return ADR_NOTES_GOOD;
}

int
adr_recovery_notes_write (adr_recovery_t *r)
{
    adr_store_t *self = r->self;
    uint8_t journal[S_NOTE_JOURNAL_SIZE] = { 0 }, segment[ADR_NOTE_SEGMENT_SIZE], term[8], boot[8];
    uint8_t start[ADR_NOTE_START_SIZE], sync[ADR_NOTE_SYNC_SIZE];
    self->sync = self->sync_wanted = (adr_sync_note_t){ 0 };
    adr_sync_note_encode (&self->sync, sync);
    memcpy (journal, self->options.cluster.bytes, ADR_ID_SIZE);
    memcpy (journal + 16, self->options.group.bytes, ADR_ID_SIZE);
    memcpy (journal + 32, self->options.node.bytes, ADR_ID_SIZE);
    memcpy (journal + 48, self->journal.id.bytes, ADR_ID_SIZE);
    adr_put_u64 (journal + 64, self->incarnation);
    self->entropy->fill (self->entropy, journal + 72, 8); /* the stamp of ELECT-7 */
    adr_note_segment_encode (&(adr_note_segment_t){ self->journal.first_segment, self->journal.newest, 0 }, segment);
    adr_put_u64 (term, self->journal.noted_term);
    adr_put_u64 (boot, self->boot);
    adr_job_t fresh = { .voters = self->options.founding, .scan_segment = self->journal.first_segment,
                        .scan_batch = 1 };
    size_t start_size = adr_note_start_encode (&fresh, start);
    uint8_t none[ADR_NOTE_REMOVED_HEAD] = { 0 }; /* nothing was removed, nothing rebuilt, no term is known below the log's start */
    adr_put_u64 (none + 16, self->journal.first_segment);
    adr_state_put_t put[S_FRESH_COUNT + S_TOLD_COUNT] = { { ADR_NOTE_JOURNAL, adr_bytes (journal, sizeof journal) },
                                              { ADR_NOTE_SEGMENT, adr_bytes (segment, sizeof segment) },
                                              { ADR_NOTE_TERM, adr_bytes (term, sizeof term) },
                                              { ADR_NOTE_START, adr_bytes (start, start_size) },
                                              { ADR_NOTE_BOOT, adr_bytes (boot, sizeof boot) },
                                              { ADR_NOTE_SYNC, adr_bytes (sync, sizeof sync) },
                                              { ADR_NOTE_REMOVED, adr_bytes (none, sizeof none) },
                                              { ADR_NOTE_HISTORY, adr_bytes (none, 8) },
                                              { ADR_NOTE_REPLAYED, adr_bytes (none, 8) },
                                              { ADR_NOTE_REBUILT, adr_bytes (none, 8) } };
    size_t count = S_FRESH_COUNT;
    for (size_t i = 0; i < S_TOLD_COUNT; i++) /* a new incarnation has told nobody anything: empty */
        if (s_is_unreadable (self, s_told[i]))
            put[count++] = (adr_state_put_t){ s_told[i], adr_bytes (journal, 0) };
    return self->state->put (self->state, put, count);
}

int
adr_recovery_note (adr_recovery_t *r, uint64_t newest, uint64_t recovering)
{
    adr_store_t *self = r->self;
    uint8_t segment[ADR_NOTE_SEGMENT_SIZE], boot[8];
    adr_note_segment_encode (&(adr_note_segment_t){ r->note.first, newest, recovering }, segment);
    adr_put_u64 (boot, self->boot);
    adr_state_put_t put[] = { { ADR_NOTE_SEGMENT, adr_bytes (segment, sizeof segment) },
                              { ADR_NOTE_BOOT, adr_bytes (boot, sizeof boot) } };
    return self->state->put (self->state, put, 2);
}

/* It stays: a start may replay entries once more after the copy is exact, and before they are in the index. */
int
adr_recovery_note_replayed (adr_recovery_t *r)
{
    adr_store_t *self = r->self;
    uint8_t bytes[8];
    self->replayed_to = self->log.last.index;
    adr_put_u64 (bytes, self->replayed_to);
    adr_state_put_t put = { ADR_NOTE_REPLAYED, adr_bytes (bytes, sizeof bytes) };
    return self->state->put (self->state, &put, 1);
}

int
adr_recovery_note_rebuild (adr_recovery_t *r)
{
    adr_store_t *self = r->self;
    uint8_t yes[8];
    adr_put_u64 (yes, 1);
    self->was_rebuilt = r->rebuild_noted = true;
    adr_state_put_t put[] = { { ADR_NOTE_REINDEX, adr_bytes (yes, sizeof yes) },
                              { ADR_NOTE_REBUILT, adr_bytes (yes, sizeof yes) } };
    return self->state->put (self->state, put, 2);
}
