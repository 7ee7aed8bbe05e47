/* SPDX-License-Identifier: MPL-2.0 */
/* What each segment holds that still counts: bytes of the index's rows that stand there, and of tombstones whose rows
 * were purged. Kept up to date by the index's own transactions, so that it is as exact as the index is after a crash.
 *
 * Owns: the accounts of the segments, and those of a transaction that is being made. Makes durable: its records in the
 * index's second space, 'g' and the big-endian number of the segment. Assumes: they change only in a background job and
 * at its end, of which there is one at a time. Implements the counting of STORE-8 and STORE-9. */

#include "store/internal.h"

#include "core/actor.h"

#include <errno.h>
#include <stdlib.h>

#define S_NAME_SIZE 9
#define S_VALUE_SIZE 32

uint64_t
adr_account_share (adr_bytes_t key, const adr_index_row_t *row)
{
    uint64_t share = ADR_OP_HEADER_SIZE + key.size + row->value_size;
    return share + ADR_ENTRY_HEADER_SIZE + ADR_FRAME_HEADER_SIZE == row->place.size ? row->place.size : share;
}

static adr_account_t *
s_account (adr_accounts_t *accounts, uint64_t segment)
{
    size_t low = 0, high = accounts->count;
    while (low < high) {
        size_t middle = (low + high) / 2;
        if (accounts->account[middle].segment < segment)
            low = middle + 1;
        else
            high = middle;
    }
    if (low < accounts->count && accounts->account[low].segment == segment)
        return &accounts->account[low];
    if (accounts->count == accounts->room) {
        accounts->room = accounts->room ? accounts->room * 2 : 16;
        accounts->account = adr_realloc (accounts->account, accounts->room * sizeof accounts->account[0]);
    }
    adr_account_t *account = &accounts->account[low];
    memmove (account + 1, account, (accounts->count++ - low) * sizeof *account);
    *account = (adr_account_t){ .segment = segment };
    return account;
}

/* Segments that went are taken out of the index; those that are not written any more are entered with what will not
 * change. */
void
adr_accounts_begin (adr_store_t *self, adr_accounts_t *accounts)
{
    adr_journal_t *journal = &self->journal;
    accounts->count = 0;
    accounts->is_damaged = false;
    for (size_t i = 0; i < self->gone_count; i++)
        s_account (accounts, self->gone[i])->gone = true;
    accounts->gone_count = self->gone_count;
    uint64_t from = journal->save_next > journal->first_segment ? journal->save_next : journal->first_segment;
    for (uint64_t number = from; number <= journal->current; number++) {
        const adr_segment_t *segment = adr_journal_segment (self, number);
        if (!segment->readable)
            continue;
        adr_account_t *account = s_account (accounts, number);
        account->is_saved = true;
        account->low_index = segment->low_index;
        account->copies_least = segment->copies_least;
    }
    accounts->saved_to = journal->current;
}

void
adr_accounts_restart (adr_accounts_t *accounts)
{
    for (size_t i = 0; i < accounts->count; i++)
        accounts->account[i].live = accounts->account[i].ghost = 0;
}

void
adr_accounts_row (adr_accounts_t *accounts, adr_bytes_t key, const adr_index_row_t *old, const adr_index_row_t *row)
{
    if (old)
        s_account (accounts, old->place.segment)->live -= (int64_t) adr_account_share (key, old);
    if (row)
        s_account (accounts, row->place.segment)->live += (int64_t) adr_account_share (key, row);
    /* [STORE-9] A tombstone whose row is purged stays where it is. */
    else if (old && old->deleted)
        s_account (accounts, old->place.segment)->ghost += (int64_t) adr_account_share (key, old);
}

void
adr_accounts_replace (adr_store_t *self, adr_accounts_t *accounts)
{
    const adr_journal_t *journal = &self->journal;
    for (uint64_t number = journal->first_segment; number <= journal->current; number++) {
        const adr_segment_t *segment = adr_journal_segment (self, number);
        if (segment && !segment->removed) /* its record may be what cannot be read */
            s_account (accounts, number)->live -= (int64_t) segment->live;
    }
}

void
adr_accounts_ghost (adr_accounts_t *accounts, uint64_t segment, int64_t bytes)
{
    s_account (accounts, segment)->ghost += bytes;
}

static void
s_name (uint64_t segment, uint8_t name[S_NAME_SIZE])
{
    name[0] = 'g';
    adr_put_be64 (name + 1, segment);
}

/* An account that is short was read from an index that is damaged: it is made anew with it [STORE-10]. */
static uint64_t
s_sum (adr_accounts_t *accounts, uint64_t bytes, int64_t more)
{
    if (more < 0 && bytes < (uint64_t) -more) {
        ADR_MARK ("store: an account is short");
        accounts->is_damaged = true;
        return 0;
    }
    return bytes + (uint64_t) more;
}

static int
s_put (adr_store_t *self, adr_accounts_t *accounts, const adr_account_t *account)
{
    uint8_t name[S_NAME_SIZE], value[S_VALUE_SIZE];
    s_name (account->segment, name);
    const adr_segment_t *segment = adr_journal_segment (self, account->segment);
    if (account->gone || !segment)
        return self->index->remove_tree (self->index, adr_bytes (name, sizeof name));
    bool is_saved = account->is_saved;
    adr_put_u64 (value, s_sum (accounts, segment->live, account->live));
    adr_put_u64 (value + 8, s_sum (accounts, segment->ghost, account->ghost));
    adr_put_u64 (value + 16, is_saved ? account->low_index : segment->low_index);
    adr_put_u64 (value + 24, is_saved ? account->copies_least : segment->copies_least);
    return self->index->put_tree (self->index, adr_bytes (name, sizeof name), adr_bytes (value, sizeof value));
}

int
adr_accounts_put (adr_store_t *self, adr_accounts_t *accounts)
{
    int error = 0;
    for (size_t i = 0; i < accounts->count && !error; i++)
        error = s_put (self, accounts, &accounts->account[i]);
    return error;
}

void
adr_accounts_done (adr_store_t *self, adr_accounts_t *accounts)
{
    for (size_t i = 0; i < accounts->count; i++) {
        const adr_account_t *account = &accounts->account[i];
        adr_segment_t *segment = adr_journal_segment (self, account->segment);
        if (account->gone || !segment)
            continue;
        segment->live = s_sum (accounts, segment->live, account->live);
        segment->ghost = s_sum (accounts, segment->ghost, account->ghost);
    }
    self->journal.save_next = accounts->saved_to;
    self->gone_count -= accounts->gone_count;
    if (self->gone_count)
        memmove (self->gone, self->gone + accounts->gone_count, self->gone_count * sizeof self->gone[0]);
    self->index_damaged |= accounts->is_damaged;
}

void
adr_account_gone (adr_store_t *self, uint64_t number)
{
    self->gone = adr_realloc (self->gone, (self->gone_count + 1) * sizeof self->gone[0]);
    self->gone[self->gone_count++] = number;
}

static void
s_load (adr_store_t *self, uint64_t number, const uint8_t *value)
{
    adr_segment_t *segment = adr_journal_segment (self, number);
    if (!segment || segment->removed) {
        adr_account_gone (self, number);
        return;
    }
    segment->live = adr_get_u64 (value);
    segment->ghost = adr_get_u64 (value + 8);
    if (!segment->is_scanned) {
        segment->low_index = adr_get_u64 (value + 16);
        segment->copies_least = adr_get_u64 (value + 24);
    }
}

typedef void (s_record_fn) (adr_store_t *self, uint64_t number, const uint8_t *value);

/* Calls `record` for each account that the index holds. */
static int
s_each (adr_store_t *self, s_record_fn *record)
{
    adr_index_view_t *view;
    uint8_t after[S_NAME_SIZE];
    s_name (0, after);
    int error = self->index->view (self->index, &view);
    if (error)
        return error;
    for (;;) {
        adr_bytes_t name, value;
        error = self->index->view_next (view, adr_bytes (after, sizeof after), &name, &value);
        if (error || name.size != S_NAME_SIZE || name.data[0] != 'g')
            break;
        memcpy (after, name.data, sizeof after);
        if (value.size != S_VALUE_SIZE) {
            error = EIO;
            break;
        }
        record (self, adr_get_be64 (name.data + 1), value.data);
    }
    self->index->view_close (&view);
    return error == ENOENT ? 0 : error;
}

static void
s_pass (adr_store_t *self, uint64_t number, const uint8_t *value)
{
    (void) self, (void) number, (void) value;
}

bool
adr_accounts_are_sound (adr_store_t *self)
{
    return s_each (self, s_pass) == 0;
}

int
adr_accounts_load (adr_store_t *self)
{
    return s_each (self, s_load);
}

void
adr_accounts_free (adr_accounts_t *accounts)
{
    free (accounts->account);
}
