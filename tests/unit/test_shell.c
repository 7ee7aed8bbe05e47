/* SPDX-License-Identifier: MPL-2.0 */
/* The actor's shell: turns, timers, durability, order, the table of who may say what, and a store's jobs. */

#include "memory_disk.h"
#include "runtime/clock.h"
#include "runtime/job_thread.h"
#include "runtime/metrics.h"
#include "runtime_fixture.h"

#include <setjmp.h>
#include <sodium.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

static adr_shell_t *
s_shell (adr_directory_t *directory, const adr_actor_class_t *actor_class, toy_t *toy, adr_state_writer_t *writer,
         adr_store_t *store, adr_job_thread_t *const *job_threads)
{
    adr_shell_options_t options = { .actor_class = actor_class,
                                    .environment = { .cluster = fixture_shared.map->cluster,
                                                     .node = fixture_shared.map->node[0].id,
                                                     .type = ADR_NODE_META,
                                                     .incarnation = 1,
                                                     .boot = 1,
                                                     .store = store,
                                                     .state = toy },
                                    .directory = directory,
                                    .state_writer = writer,
                                    .node_name = "node0@z0" };
    for (int lane = 0; store && lane < ADR_LANE_COUNT; lane++)
        options.job_thread[lane] = adr_job_thread_mailbox (job_threads[lane]);
    return adr_shell_new (&options);
}

/* --- turns and timers ------------------------------------------------------------------------------------------- */

typedef struct {
    int64_t due_ns[3];
    uint32_t fired[3];
    uint32_t count;
} s_timers_t;

static void
s_set_timers (toy_t *self, const adr_event_t *event, adr_effects_t *effects)
{
    s_timers_t *timers = self->argument;
    if (event->kind == ADR_EVENT_START) {
        static const int64_t after_ms[3] = { 30, 10, 20 };
        for (uint32_t i = 0; i < 3; i++) {
            timers->due_ns[i] = event->now_ns + after_ms[i] * ADR_MS;
            effects->wake (effects, i, timers->due_ns[i]);
        }
        effects->wake (effects, 7, event->now_ns + 5 * ADR_MS);
        effects->wake (effects, 7, ADR_NEVER); /* taken back */
        effects->wake (effects, 8, event->now_ns + 1000000 * ADR_MS);
        effects->wake (effects, 1, timers->due_ns[1] += 30 * ADR_MS); /* moved: now it is the last */
    }
    if (event->kind == ADR_EVENT_TIMER) {
        adr_assert (event->timer < 3 && timers->count < 3);
        int64_t early_ns = timers->due_ns[event->timer] - event->now_ns;
        if (early_ns > self->timer_early_ns)
            self->timer_early_ns = early_ns;
        timers->fired[timers->count++] = event->timer;
    }
}

static void
test_timers (void **state)
{
    (void) state;
    s_timers_t timers = { .count = 0 };
    toy_t toy;
    toy_init (&toy, s_set_timers, &timers);
    adr_directory_t *directory = adr_directory_new (fixture_shared.map, NULL, 0);
    adr_shell_t *shell = s_shell (directory, &toy_replicator_class, &toy, NULL, NULL, NULL);
    adr_shell_start (shell);
    assert_true (toy_wait (&toy, &toy.timers, 3));
    assert_true (toy.start_was_first);
    assert_int_equal (toy.starts, 1);
    assert_int_equal (toy.timer_early_ns, 0); /* never before its time */
    assert_int_equal (timers.fired[0], 2);
    assert_int_equal (timers.fired[1], 0);
    assert_int_equal (timers.fired[2], 1);
    adr_shell_tell_stop (shell);
    assert_true (toy_wait (&toy, &toy.stops, 1));
    adr_shell_destroy (&shell);
    assert_null (shell);
    assert_true (toy.turns >= 4);
    adr_directory_destroy (&directory);
    toy_free (&toy);
}

typedef struct {
    int64_t now_ns[2];
    uint64_t turn[2];
    uint32_t count;
} s_clock_t;

/* Two messages of one turn; the first takes its time. */
static void
s_take_time (toy_t *self, const adr_event_t *event, adr_effects_t *effects)
{
    s_clock_t *clock = self->argument;
    adr_address_t to = fixture_address (&fixture_shared, 0, ADR_ACTOR_REPLICATOR);
    if (event->kind == ADR_EVENT_START)
        for (uint64_t number = 1; number <= 2; number++)
            fixture_send_append (effects, to, number, 1);
    if (event->kind != ADR_EVENT_MESSAGE)
        return;
    clock->turn[clock->count] = self->turns;
    clock->now_ns[clock->count++] = event->now_ns;
    while (clock->count == 1 && adr_clock_now_ns () < event->now_ns + 5 * ADR_MS)
        ;
}

static void
test_the_clock_is_read_for_each_message (void **state) /* [ELECT-12] */
{
    (void) state;
    s_clock_t clock = { .count = 0 };
    toy_t toy;
    toy_init (&toy, s_take_time, &clock);
    adr_directory_t *directory = adr_directory_new (fixture_shared.map, NULL, 0);
    adr_shell_t *shell = s_shell (directory, &toy_replicator_class, &toy, NULL, NULL, NULL);
    adr_shell_start (shell);
    assert_true (toy_wait (&toy, &toy.messages, 2));
    adr_shell_destroy (&shell);
    assert_int_equal (clock.turn[0], clock.turn[1]);
    assert_true (clock.now_ns[1] >= clock.now_ns[0] + 5 * ADR_MS);
    adr_directory_destroy (&directory);
    toy_free (&toy);
}

/* --- messages between actors of one node ------------------------------------------------------------------------ */

#define S_MANY 20000

/* Effects leave in order, packed, at the turn's end where they are few; a turn is bounded. */
static void
s_send_many (toy_t *self, const adr_event_t *event, adr_effects_t *effects)
{
    (void) self;
    if (event->kind != ADR_EVENT_START)
        return;
    for (uint64_t number = 1; number <= S_MANY; number++)
        fixture_send_append (effects, fixture_address (&fixture_shared, 0, ADR_ACTOR_REPLICATOR), number, number % 300);
}

static void
test_order_to_itself (void **state)
{
    (void) state;
    toy_t toy;
    toy_init (&toy, s_send_many, NULL);
    adr_directory_t *directory = adr_directory_new (fixture_shared.map, NULL, 0);
    adr_shell_t *shell = s_shell (directory, &toy_replicator_class, &toy, NULL, NULL, NULL);
    uint64_t packs = adr_metric_get (ADR_METRIC_PACKS_LOCAL);
    adr_shell_start (shell);
    assert_true (toy_wait (&toy, &toy.messages, S_MANY));
    assert_false (toy.out_of_order);
    packs = adr_metric_get (ADR_METRIC_PACKS_LOCAL) - packs;
    /* 20,000 items of 170 bytes: some fourteen packs of 256 KiB, not 20,000, and not one. */
    assert_in_range (packs, 10, 40);
    assert_in_range (toy.turns, 1 + S_MANY / (2 * ADR_TURN_MESSAGES_MAX), S_MANY / 100);
    adr_shell_destroy (&shell);
    adr_directory_destroy (&directory);
    toy_free (&toy);
}

#define S_LARGE 64 /* packs of 1 MiB in one turn */

static void
s_send_large (toy_t *self, const adr_event_t *event, adr_effects_t *effects)
{
    adr_directory_t *directory = self->argument;
    if (event->kind != ADR_EVENT_START)
        return;
    adr_address_t to = fixture_address (&fixture_shared, 0, ADR_ACTOR_REPLICATOR);
    for (uint64_t number = 1; number <= S_LARGE; number++)
        fixture_send_append (effects, to, number, 1024 * 1024);
    /* In this very turn: what the shell keeps back is bounded, the rest counts against its reader's mailbox. */
    size_t left = adr_mailbox_bytes (adr_directory_actor (directory, &to));
    adr_assert (left >= (S_LARGE - 8) * (size_t) 1024 * 1024);
}

static void
test_a_large_turn_leaves_early (void **state)
{
    (void) state;
    toy_t toy;
    adr_directory_t *directory = adr_directory_new (fixture_shared.map, NULL, 0);
    toy_init (&toy, s_send_large, directory);
    adr_shell_t *shell = s_shell (directory, &toy_replicator_class, &toy, NULL, NULL, NULL);
    adr_shell_start (shell);
    assert_true (toy_wait (&toy, &toy.messages, S_LARGE));
    assert_false (toy.out_of_order);
    adr_shell_destroy (&shell);
    adr_directory_destroy (&directory);
    toy_free (&toy);
}

/* An election tells its replicator; the supervisor hears who leads; a replicator may not say what elections say. */
static void
s_elect (toy_t *self, const adr_event_t *event, adr_effects_t *effects)
{
    adr_address_t replicator = fixture_address (&fixture_shared, 0, ADR_ACTOR_REPLICATOR);
    if (event->kind == ADR_EVENT_START) {
        Adr__Master master = ADR__MASTER__INIT;
        master.master = adr_id_view (&fixture_shared.map->node[0].id);
        effects->send (effects, replicator, ADR__KIND__MASTER, &master.base, adr_bytes (NULL, 0));
    } else if (event->kind == ADR_EVENT_STOP) {
        Adr__StoodDown down = ADR__STOOD_DOWN__INIT;
        effects->send (effects, replicator, ADR__KIND__STOOD_DOWN, &down.base, adr_bytes (NULL, 0));
    }
    (void) self;
}

static void
s_pretend (toy_t *self, const adr_event_t *event, adr_effects_t *effects)
{
    (void) self;
    if (event->kind != ADR_EVENT_START)
        return;
    adr_address_t election = fixture_address (&fixture_shared, 0, ADR_ACTOR_ELECTION);
    Adr__Lead lead = ADR__LEAD__INIT; /* only elections say this, and not to themselves */
    effects->send (effects, election, ADR__KIND__LEAD, &lead.base, adr_bytes (NULL, 0));
    Adr__Fenced fenced = ADR__FENCED__INIT;
    effects->send (effects, election, ADR__KIND__FENCED, &fenced.base, adr_bytes (NULL, 0));
}

static void
test_who_may_say_what (void **state)
{
    (void) state;
    toy_t election, replicator;
    toy_init (&election, s_elect, NULL);
    toy_init (&replicator, s_pretend, NULL);
    adr_directory_t *directory = adr_directory_new (fixture_shared.map, NULL, 0);
    adr_shell_t *a = s_shell (directory, &toy_election_class, &election, NULL, NULL, NULL);
    adr_shell_t *b = s_shell (directory, &toy_replicator_class, &replicator, NULL, NULL, NULL);
    uint64_t dropped = adr_metric_get (ADR_METRIC_DROP_KIND);
    assert_false (adr_shell_leads (a));
    adr_shell_start (a);
    adr_shell_start (b);
    assert_true (toy_wait (&replicator, &replicator.messages, 1));
    assert_true (adr_shell_leads (a));
    assert_true (toy_wait (&election, &election.messages, 1)); /* FENCED alone */
    assert_int_equal (election.last_kind, ADR__KIND__FENCED);
    assert_int_equal (adr_metric_get (ADR_METRIC_DROP_KIND), dropped + 1);
    adr_shell_tell_stop (a);
    assert_true (toy_wait (&replicator, &replicator.messages, 2));
    assert_false (adr_shell_leads (a));
    adr_shell_destroy (&a);
    adr_shell_destroy (&b);
    adr_directory_destroy (&directory);
    toy_free (&election);
    toy_free (&replicator);
}

/* To an actor that does not run here, to a node that the map does not list. */
static void
s_send_nowhere (toy_t *self, const adr_event_t *event, adr_effects_t *effects)
{
    (void) self;
    if (event->kind != ADR_EVENT_START)
        return;
    adr_address_t nowhere = { { { 9 } }, ADR_ACTOR_REPLICATOR };
    fixture_send_append (effects, nowhere, 1, 10);
    fixture_send_append (effects, fixture_address (&fixture_shared, 0, ADR_ACTOR_MAP_KEEPER), 1, 10);
}

static void
test_nowhere (void **state)
{
    (void) state;
    toy_t toy;
    toy_init (&toy, s_send_nowhere, NULL);
    adr_directory_t *directory = adr_directory_new (fixture_shared.map, NULL, 0);
    adr_shell_t *shell = s_shell (directory, &toy_replicator_class, &toy, NULL, NULL, NULL);
    uint64_t dropped = adr_metric_get (ADR_METRIC_DROP_NO_ACTOR);
    adr_shell_start (shell);
    assert_true (fixture_wait_metric (ADR_METRIC_DROP_NO_ACTOR, dropped + 2));
    adr_shell_destroy (&shell);
    adr_directory_destroy (&directory);
    toy_free (&toy);
}

/* --- durability ------------------------------------------------------------------------------------------------- */

#define S_PUTS 1000

static void
s_persist_many (toy_t *self, const adr_event_t *event, adr_effects_t *effects)
{
    (void) self;
    if (event->kind != ADR_EVENT_START)
        return;
    for (uint64_t token = 1; token <= S_PUTS; token++) {
        char name[16];
        uint8_t value[8];
        snprintf (name, sizeof name, "vote%d", (int) (token % 3));
        adr_put_u64 (value, token);
        effects->persist (effects, name, adr_bytes (value, sizeof value), token); /* both ours again at once */
        memset (name, 'x', sizeof name - 1);
        memset (value, 0xff, sizeof value);
    }
}

static void
test_persist (void **state)
{
    (void) state;
    memory_state_t *memory = memory_state_create ();
    adr_state_writer_t *writer = adr_state_writer_new (&memory->state, "node0@z0");
    toy_t toy;
    toy_init (&toy, s_persist_many, NULL);
    adr_directory_t *directory = adr_directory_new (fixture_shared.map, NULL, 0);
    adr_shell_t *shell = s_shell (directory, &toy_election_class, &toy, writer, NULL, NULL);
    uint64_t commits = adr_metric_get (ADR_METRIC_STATE_COMMITS);
    adr_shell_start (shell);
    assert_true (toy_wait (&toy, &toy.durables, S_PUTS));
    assert_false (toy.out_of_order);
    assert_int_equal (toy.last_token, S_PUTS);
    assert_true (adr_metric_get (ADR_METRIC_STATE_COMMITS) - commits <= S_PUTS / 2); /* grouped */
    uint8_t value[8];
    assert_int_equal (memory->state.get (&memory->state, "vote1", value, sizeof value), 8);
    assert_int_equal (adr_get_u64 (value), S_PUTS); /* the last one stands */
    adr_shell_halt (shell);
    adr_state_writer_destroy (&writer);
    adr_shell_destroy (&shell);
    adr_directory_destroy (&directory);
    memory_state_destroy (&memory);
    toy_free (&toy);
}

/* --- a store's jobs --------------------------------------------------------------------------------------------- */

#define S_ENTRIES 300

typedef struct {
    adr_store_t *store;
    uint64_t durable;
} s_journal_t;

/* Appends an entry a timer, and lets the shell do the rest; `durable` follows the disk. */
static void
s_append_entries (toy_t *self, const adr_event_t *event, adr_effects_t *effects)
{
    s_journal_t *journal = self->argument;
    if (event->kind == ADR_EVENT_START)
        effects->wake (effects, 1, event->now_ns);
    if (event->kind == ADR_EVENT_JOB_DONE) {
        adr_store_job_done (journal->store, event->job);
        journal->durable = adr_store_durable (journal->store);
    }
    if (event->kind != ADR_EVENT_TIMER || adr_store_last (journal->store).index == S_ENTRIES)
        return;
    adr_entry_t entry = { .kind = ADR_ENTRY_OPEN, .term = 1, .index = adr_store_last (journal->store).index + 1 };
    uint8_t bytes[256];
    adr_entry_encode (&entry, bytes);
    adr_store_append (journal->store, &entry, adr_bytes (bytes, adr_entry_size (&entry)));
    effects->wake (effects, 1, event->now_ns);
}

static void
s_fill (adr_entropy_t *self, void *data, size_t size)
{
    (void) self;
    randombytes_buf (data, size);
}

static void
test_jobs (void **state)
{
    (void) state;
    memory_disk_t *disk = memory_disk_create ();
    memory_state_t *memory = memory_state_create ();
    memory_index_t *index = memory_index_create ();
    adr_entropy_t entropy = { s_fill };
    adr_store_options_t options = { .cluster = fixture_shared.map->cluster,
                                    .node = fixture_shared.map->node[0].id,
                                    .segment_bytes = 4 << 20,
                                    .flush_bytes = 1 << 20,
                                    .flush_every_ns = 1000 * ADR_MS,
                                    .cache_bytes = 1 << 20,
                                    .memory_max_bytes = 8 << 20,
                                    .first_incarnation = 1 };
    disk->free_bytes = UINT64_C (1) << 34;
    s_journal_t journal = { 0 };
    char why[256];
    assert_int_not_equal (adr_store_open (&journal.store, &options, &disk->disk, &memory->state,
                                          memory_index_of (index), &entropy, why, sizeof why),
                          ADR_STORE_FAILED);
    adr_job_thread_t *threads[ADR_LANE_COUNT];
    for (int lane = 0; lane < ADR_LANE_COUNT; lane++)
        threads[lane] = adr_job_thread_new (journal.store);
    toy_t toy;
    toy_init (&toy, s_append_entries, &journal);
    adr_directory_t *directory = adr_directory_new (fixture_shared.map, NULL, 0);
    adr_shell_t *shell = s_shell (directory, &toy_replicator_class, &toy, NULL, journal.store, threads);
    adr_shell_start (shell);
    assert_true (toy_wait (&toy, &journal.durable, S_ENTRIES));
    assert_true (disk->syncs > 0);
    adr_shell_halt (shell);
    for (int lane = 0; lane < ADR_LANE_COUNT; lane++)
        adr_job_thread_destroy (&threads[lane]);
    adr_shell_destroy (&shell);
    adr_directory_destroy (&directory);
    adr_store_destroy (&journal.store);
    memory_index_destroy (&index);
    memory_state_destroy (&memory);
    memory_disk_destroy (&disk);
    toy_free (&toy);
}

int
main (void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test (test_timers),           cmocka_unit_test (test_order_to_itself),
        cmocka_unit_test (test_who_may_say_what), cmocka_unit_test (test_nowhere),
        cmocka_unit_test (test_persist),          cmocka_unit_test (test_jobs),
        cmocka_unit_test (test_a_large_turn_leaves_early),
        cmocka_unit_test (test_the_clock_is_read_for_each_message),
    };
    return cmocka_run_group_tests (tests, fixture_setup, fixture_teardown);
}
