/* SPDX-License-Identifier: MPL-2.0 */
/* A store over memory: see store_fixture.h. */

#include "store_fixture.h"

#include "store/internal.h"
#include "store_jobs.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

void
fixture_open (fixture_t *w)
{
    w->opening = adr_store_open (&w->store, &w->options, &w->disk->disk, &w->state->state, memory_index_of (w->index),
                                 &w->entropy.entropy, w->why, sizeof w->why);
    if (w->store)
        adr_store_check (w->store);
}

int
fixture_start (void **state)
{
    fixture_t *w = adr_alloc (sizeof *w);
    w->disk = memory_disk_create ();
    w->state = memory_state_create ();
    w->index = memory_index_create ();
    memory_entropy_init (&w->entropy, 7);
    w->options = (adr_store_options_t){ .segment_bytes = 128 * 1024, .flush_bytes = 1024 * 1024,
                                        .flush_every_ns = 1000 * ADR_MS, .cache_bytes = 64 * 1024,
                                        .memory_max_bytes = 16 * 1024 * 1024, .first_incarnation = 77 };
    w->options.node.bytes[0] = 1;
    w->options.group.bytes[0] = 2;
    w->options.cluster.bytes[0] = 3;
    w->options.founding.count = 1;
    w->options.founding.quorum = 1;
    w->options.founding.voter[0].node = w->options.node;
    w->options.founding.voter[0].incarnation = 77;
    fixture_open (w);
    *state = w;
    return 0;
}

int
fixture_stop (void **state)
{
    fixture_t *w = *state;
    adr_store_destroy (&w->store);
    memory_disk_destroy (&w->disk);
    memory_state_destroy (&w->state);
    memory_index_destroy (&w->index);
    free (w);
    return 0;
}

void
fixture_run (fixture_t *w)
{
    store_run_jobs (w->store, w->now);
    adr_store_check (w->store);
    assert_true (adr_store_wake_at (w->store) > w->now);
}

void
fixture_reopen (fixture_t *w)
{
    adr_store_destroy (&w->store);
    fixture_open (w);
}

adr_bytes_t
fixture_text (const char *text)
{
    return adr_bytes (text, strlen (text));
}

void
fixture_append (fixture_t *w, uint64_t term, const char *key, const char *value)
{
    adr_entry_t entry = { .kind = value || key ? ADR_ENTRY_WRITE : ADR_ENTRY_OPEN, .term = term,
                          .index = adr_store_last (w->store).index + 1, .epoch = ADR_EPOCH, .time_ms = 1000 };
    if (key) {
        entry.op_count = 1;
        entry.op[0].table = ADR_TABLE_KV;
        entry.op[0].key = fixture_text (key);
        if (value)
            entry.op[0].value = fixture_text (value);
        else
            entry.op[0].flags = ADR_OP_DELETE;
        adr_value_digest (entry.op[0].value, entry.op[0].digest);
    }
    uint8_t bytes[4096];
    size_t size = adr_entry_size (&entry);
    adr_entry_encode (&entry, bytes);
    adr_store_append (w->store, &entry, adr_bytes (bytes, size));
}

void
fixture_apply (fixture_t *w, uint64_t to)
{
    adr_store_set_commit (w->store, to);
    while (adr_store_applied (w->store) < to) {
        const adr_entry_t *entry;
        assert_int_equal (adr_store_apply (w->store, &entry), ADR_STATUS_OK);
        assert_int_equal (entry->index, adr_store_applied (w->store));
    }
}

void
fixture_expect (fixture_t *w, const char *key, const char *value)
{
    adr_record_t record;
    adr_status_t status = adr_store_get (w->store, ADR_TABLE_KV, fixture_text (key), true, &record);
    if (!value) {
        assert_true (status == ADR_STATUS_NOT_FOUND || (status == ADR_STATUS_OK && record.deleted));
        return;
    }
    assert_int_equal (status, ADR_STATUS_OK);
    assert_int_equal (record.value.size, strlen (value));
    assert_memory_equal (record.value.data, value, record.value.size);
}

uint64_t
fixture_write (fixture_t *w, const char *key, const char *value)
{
    fixture_append (w, 1, key, value);
    fixture_run (w);
    uint64_t index = adr_store_last (w->store).index;
    fixture_apply (w, index);
    return index;
}

void
fixture_flush (fixture_t *w)
{
    adr_store_set_unlocked (w->store, adr_store_applied (w->store));
    w->now += w->options.flush_every_ns;
    fixture_run (w);
    w->now += w->options.flush_every_ns;
    fixture_run (w);
}

uint64_t
fixture_ghosts (fixture_t *w)
{
    uint64_t ghosts = 0;
    for (uint64_t number = 1; number <= w->store->journal.newest; number++) {
        const adr_segment_t *segment = adr_journal_segment (w->store, number);
        ghosts += segment ? segment->ghost : 0;
    }
    return ghosts;
}

void
fixture_write_some (fixture_t *w, uint64_t term, int count)
{
    for (int i = 0; i < count; i++) {
        fixture_append (w, term, "key", "value");
        fixture_run (w);
    }
    w->now += 20 * ADR_MS;
    fixture_run (w);
}

void
fixture_expect_amnesia (fixture_t *w)
{
    fixture_reopen (w);
    assert_int_equal (w->opening, ADR_STORE_AMNESIA);
    assert_true (w->why[0] != '\0');
    assert_int_not_equal (adr_store_incarnation (w->store), 77);
    assert_int_equal (adr_store_last (w->store).index, 0);
    uint64_t incarnation = adr_store_incarnation (w->store);
    fixture_write_some (w, 9, 2);
    fixture_reopen (w);
    assert_int_equal (w->opening, ADR_STORE_OPENED);
    assert_int_equal (adr_store_incarnation (w->store), incarnation);
    assert_int_equal (adr_store_last (w->store).index, 2);
}

adr_entry_t
fixture_entry (adr_entry_kind_t kind, uint8_t table, uint16_t flags)
{
    adr_entry_t entry = { .kind = kind, .term = 9, .index = 1, .op_count = kind == ADR_ENTRY_OPEN ? 0 : 1 };
    entry.op[0].table = table;
    entry.op[0].flags = (uint8_t) flags;
    entry.op[0].key = fixture_text ("key");
    return entry;
}
