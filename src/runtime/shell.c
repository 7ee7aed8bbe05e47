/* SPDX-License-Identifier: MPL-2.0 */
/* The production shell of one actor: see shell.h. */

#include "runtime/shell.h"

#include "runtime/chains.h"
#include "runtime/clock.h"
#include "runtime/log.h"
#include "runtime/metrics.h"
#include "wire/pack.h"

#include <czmq.h>
#include <stdlib.h>

#define S_ARENA_ROOM (8 * 1024)
#define S_ARENA_LIMIT (4 * 1024 * 1024) /* the largest header, decoded: a map of ADR_NODES_MAX nodes */
#define S_OUT_MAX ADR_TURN_BYTES_MAX    /* a turn's packs leave early beyond this: a thousand reads of 1 MiB are 1 GiB */
#define S_NOTES 16                      /* kept for whoever reads a failed assertion */
#define S_NOTE_MAX 160

typedef struct {
    uint32_t id;
    int64_t at_ns;
} s_timer_t;

/* A pack that grows during the turn, one for each address. */
typedef struct {
    adr_address_t to;
    adr_parcel_t *parcel;
    size_t envelope_end;
} s_builder_t;

struct adr_shell {
    adr_effects_t effects; /* first: effects are cast back to the shell */
    adr_shell_options_t options;
    adr_address_t address;
    char who[96]; /* "meta1@z1 election" */
    void *actor;
    zactor_t *thread;
    adr_mailbox_t *mailbox;
    adr_arena_t arena;
    bool leads;

    s_timer_t timer[ADR_TIMERS_MAX]; /* by time, soonest first */
    uint32_t timer_count;

    s_builder_t *builder;
    uint32_t builder_count;
    adr_chains_t builders;
    adr_parcel_t *out_first, *out_last; /* packs that are full, in the order in which they became so */
    size_t out_bytes;                   /* of these */
    adr_parcel_t *persist_first, *persist_last;

    adr_parcel_t job_parcel[ADR_LANE_COUNT];
    bool job_out[ADR_LANE_COUNT];

    char notes[S_NOTES][S_NOTE_MAX];
    uint32_t note_count;
};

static __thread adr_shell_t *s_running;

static adr_shell_t *
s_shell (adr_effects_t *effects)
{
    return (adr_shell_t *) effects;
}

/* --- effects: send ---------------------------------------------------------------------------------------------- */

static void
s_append (adr_parcel_t **first, adr_parcel_t **last, adr_parcel_t *parcel)
{
    parcel->next = NULL;
    if (*first)
        (*last)->next = parcel;
    else
        *first = parcel;
    *last = parcel;
}

static uint64_t
s_hash_address (const adr_address_t *to)
{
    return adr_chains_hash (to->node.bytes, ADR_ID_SIZE) + (uint64_t) to->actor * UINT64_C (0x9e3779b97f4a7c15);
}

static void
s_grow_builders (adr_shell_t *self)
{
    uint32_t room = self->builders.room ? 2 * self->builders.room : 16;
    adr_chains_free (&self->builders);
    adr_chains_init (&self->builders, room);
    self->builder = adr_realloc (self->builder, room * sizeof *self->builder);
    for (uint32_t i = 0; i < self->builder_count; i++)
        adr_chains_add (&self->builders, s_hash_address (&self->builder[i].to), i);
}

static s_builder_t *
s_builder_for (adr_shell_t *self, const adr_address_t *to)
{
    uint64_t hash = s_hash_address (to);
    uint32_t at = adr_chains_first (&self->builders, hash);
    for (; at != ADR_CHAIN_END; at = adr_chains_next (&self->builders, at))
        if (self->builder[at].to.actor == to->actor && adr_id_equal (&self->builder[at].to.node, &to->node))
            return &self->builder[at];
    if (self->builder_count == self->builders.room)
        s_grow_builders (self);
    at = self->builder_count++;
    self->builder[at] = (s_builder_t){ .to = *to };
    adr_chains_add (&self->builders, hash, at);
    return &self->builder[at];
}

static void
s_begin_pack (adr_shell_t *self, s_builder_t *builder)
{
    const adr_environment_t *environment = &self->options.environment;
    adr_envelope_t envelope = { .cluster = environment->cluster,
                                .sender = environment->node,
                                .from_actor = self->address.actor,
                                .to_actor = builder->to.actor,
                                .incarnation = environment->incarnation,
                                .boot = environment->boot };
    if (builder->to.actor != ADR_ACTOR_CLIENT)
        envelope.to = builder->to.node;
    adr_parcel_t *parcel = adr_parcel_new (ADR_PARCEL_PACK);
    parcel->local = true;
    parcel->from = self->address;
    parcel->from_type = environment->type;
    parcel->to = builder->to;
    adr_pack_begin (&parcel->buffer, &envelope);
    builder->envelope_end = parcel->buffer.size;
    builder->parcel = parcel;
}

static void
s_end_pack (adr_shell_t *self, s_builder_t *builder)
{
    adr_parcel_t *parcel = builder->parcel;
    builder->parcel = NULL;
    parcel->pack = adr_bytes (parcel->buffer.data, parcel->buffer.size);
    parcel->items = adr_bytes (parcel->buffer.data + builder->envelope_end,
                               parcel->buffer.size - builder->envelope_end);
    s_append (&self->out_first, &self->out_last, parcel);
    self->out_bytes += parcel->pack.size;
}

/* What is to be durable goes first; then full packs, in their order. Waits for nothing: a queue that has no room says
 * so, and what does not fit is dropped and counted. */
static void
s_let_packs_go (adr_shell_t *self)
{
    adr_bells_t bells = { 0 };
    adr_parcel_t *next, *parcel;
    for (parcel = self->persist_first; parcel; parcel = next) {
        next = parcel->next;
        adr_state_writer_put (self->options.state_writer, parcel);
    }
    for (parcel = self->out_first; parcel; parcel = next) {
        next = parcel->next;
        adr_directory_route (self->options.directory, parcel, &bells);
    }
    adr_bells_ring (&bells);
    self->persist_first = self->persist_last = self->out_first = self->out_last = NULL;
    self->out_bytes = 0;
}

/* Who leads, for the supervisor, which waits for hand-overs before it stops. */
static void
s_note_leadership (adr_shell_t *self, uint16_t kind, const ProtobufCMessage *header)
{
    if (kind == ADR__KIND__MASTER) {
        ProtobufCBinaryData master = ((const Adr__Master *) header)->master;
        bool leads = master.len == ADR_ID_SIZE
                     && memcmp (master.data, self->address.node.bytes, ADR_ID_SIZE) == 0;
        __atomic_store_n (&self->leads, leads, __ATOMIC_RELEASE);
    } else if (kind == ADR__KIND__STOOD_DOWN && !((const Adr__StoodDown *) header)->lease_only)
        __atomic_store_n (&self->leads, false, __ATOMIC_RELEASE);
}

static void
s_send (adr_effects_t *effects, adr_address_t to, uint16_t kind, const ProtobufCMessage *header, adr_bytes_t payload)
{
    adr_shell_t *self = s_shell (effects);
    if (self->address.actor == ADR_ACTOR_ELECTION)
        s_note_leadership (self, kind, header);
    s_builder_t *builder = s_builder_for (self, &to);
    /* Headers are small; where one is not (a map), the pack still stays below ADR_PACK_MAX. */
    if (builder->parcel && builder->parcel->buffer.size + payload.size > ADR_PACK_TARGET)
        s_end_pack (self, builder);
    if (self->out_bytes > S_OUT_MAX)
        s_let_packs_go (self);
    if (builder->parcel == NULL)
        s_begin_pack (self, builder);
    adr_pack_add (&builder->parcel->buffer, kind, header, payload);
}

/* --- effects: all others ---------------------------------------------------------------------------------------- */

static void
s_wake (adr_effects_t *effects, uint32_t timer, int64_t at_ns)
{
    adr_shell_t *self = s_shell (effects);
    uint32_t at = 0;
    while (at < self->timer_count && self->timer[at].id != timer)
        at++;
    if (at < self->timer_count) {
        self->timer_count--;
        memmove (&self->timer[at], &self->timer[at + 1], (self->timer_count - at) * sizeof self->timer[0]);
    }
    if (at_ns == ADR_NEVER)
        return;
    adr_assert (self->timer_count < ADR_TIMERS_MAX);
    for (at = self->timer_count; at > 0 && self->timer[at - 1].at_ns > at_ns; at--)
        self->timer[at] = self->timer[at - 1];
    self->timer[at] = (s_timer_t){ timer, at_ns };
    self->timer_count++;
}

static void
s_persist (adr_effects_t *effects, const char *name, adr_bytes_t value, uint64_t token)
{
    adr_shell_t *self = s_shell (effects);
    adr_assert (self->options.state_writer);
    adr_parcel_t *parcel = adr_parcel_new (ADR_PARCEL_PERSIST);
    parcel->token = token;
    parcel->reply = self->mailbox;
    adr_buffer_append (&parcel->buffer, name, strlen (name) + 1);
    adr_buffer_append (&parcel->buffer, value.data, value.size);
    s_append (&self->persist_first, &self->persist_last, parcel);
}

static void
s_note (adr_effects_t *effects, adr_level_t level, const char *text)
{
    adr_shell_t *self = s_shell (effects);
    snprintf (self->notes[self->note_count++ % S_NOTES], S_NOTE_MAX, "%s", text);
    adr_log_text (level, self->who, text);
}

static void
s_fatal (adr_effects_t *effects, const char *why)
{
    adr_fatal (ADR_EXIT_FATAL, s_shell (effects)->who, "%s -> the process stops", why);
}

void
adr_shell_last_notes (void)
{
    const adr_shell_t *self = s_running;
    if (self == NULL)
        return;
    uint32_t first = self->note_count > S_NOTES ? self->note_count - S_NOTES : 0;
    for (uint32_t i = first; i < self->note_count; i++)
        adr_log (ADR_LEVEL_ERROR, self->who, "before the failed assertion: %s", self->notes[i % S_NOTES]);
}

/* --- events ----------------------------------------------------------------------------------------------------- */

/* [ELECT-12] The clock is read for each event, after it was taken from the mailbox. */
static void
s_deliver (adr_shell_t *self, adr_event_t *event)
{
    event->now_ns = adr_clock_now_ns ();
    event->wall_ms = adr_clock_wall_ms ();
    adr_metric_add (ADR_METRIC_EVENTS, 1);
    self->options.actor_class->receive (self->actor, event, &self->effects);
}

static void
s_deliver_kind (adr_shell_t *self, adr_event_kind_t kind)
{
    adr_event_t event = { .kind = kind };
    s_deliver (self, &event);
}

static void
s_drop (adr_shell_t *self, const adr_parcel_t *parcel, uint16_t kind, adr_metric_t why)
{
    static int64_t last_ns;
    adr_metric_add (why, 1);
    adr_log_rarely (&last_ns, ADR_LEVEL_WARNING, self->who, "%s from %s of a %s node -> dropped kind=%s",
                    adr_metric_name (why), adr_actor_name (parcel->from.actor),
                    adr_node_type_name (parcel->from_type), adr_kind_name (kind));
}

/* [POST-7] One item: is this sender allowed to say this here, does it decode? Then the actor hears it. */
static void
s_deliver_item (adr_shell_t *self, const adr_parcel_t *parcel, const adr_item_t *item)
{
    if (!adr_message_allowed (item->kind, parcel->from_type, parcel->from.actor, self->address.actor,
                              parcel->local)) {
        s_drop (self, parcel, item->kind, ADR_METRIC_DROP_KIND);
        return;
    }
    adr_arena_reset (&self->arena);
    const ProtobufCMessage *header = adr_header_decode (item, &self->arena);
    if (header == NULL) {
        s_drop (self, parcel, item->kind, ADR_METRIC_DROP_HEADER);
        return;
    }
    adr_event_t event = { .kind = ADR_EVENT_MESSAGE };
    event.message.from = parcel->from;
    event.message.from_type = parcel->from_type;
    event.message.user = *parcel->user ? parcel->user : NULL;
    event.message.users_known = parcel->users_known;
    event.message.kind = item->kind;
    event.message.header = header;
    event.message.payload = item->payload;
    s_deliver (self, &event);
}

static size_t
s_deliver_pack (adr_shell_t *self, const adr_parcel_t *parcel)
{
    adr_pack_reader_t reader = { .rest = parcel->items };
    adr_item_t item;
    size_t count = 0;
    int more;
    while ((more = adr_pack_next (&reader, &item)) > 0) {
        s_deliver_item (self, parcel, &item);
        count++;
    }
    if (more < 0)
        s_drop (self, parcel, 0, ADR_METRIC_DROP_HEADER);
    return count;
}

/* Any error of a job is fatal: what a failed write or fsync left behind cannot be told any more. */
static void
s_deliver_job (adr_shell_t *self, adr_parcel_t *parcel)
{
    adr_event_t event = { .kind = ADR_EVENT_JOB_DONE, .job = parcel->job };
    if (event.job->error)
        adr_fatal (ADR_EXIT_FATAL, self->who, "the store's job failed: %s -> the process stops job=%s segment=%llu",
                   strerror (event.job->error), event.job->name, (unsigned long long) event.job->segment);
    self->job_out[event.job->lane] = false;
    s_deliver (self, &event);
}

/* Takes the parcel; returns how many messages it held. */
static size_t
s_deliver_parcel (adr_shell_t *self, adr_parcel_t *parcel)
{
    size_t count = 1;
    switch (parcel->kind) {
    case ADR_PARCEL_PACK:
        count = s_deliver_pack (self, parcel);
        break;
    case ADR_PARCEL_DURABLE: {
        adr_event_t event = { .kind = ADR_EVENT_DURABLE, .token = parcel->token };
        s_deliver (self, &event);
        break;
    }
    case ADR_PARCEL_JOB:
        s_deliver_job (self, parcel);
        break;
    case ADR_PARCEL_STOP:
        s_deliver_kind (self, ADR_EVENT_STOP);
        break;
    case ADR_PARCEL_PERSIST:
        adr_assert (false);
    }
    adr_parcel_destroy (&parcel);
    return count;
}

/* At most as many as there are: an actor that sets a timer in the past hears of it in the next turn. */
static void
s_deliver_timers (adr_shell_t *self)
{
    int64_t now_ns = adr_clock_now_ns ();
    for (uint32_t left = self->timer_count; left && self->timer_count && self->timer[0].at_ns <= now_ns; left--) {
        adr_event_t event = { .kind = ADR_EVENT_TIMER, .timer = self->timer[0].id };
        self->timer_count--;
        memmove (&self->timer[0], &self->timer[1], self->timer_count * sizeof self->timer[0]);
        s_deliver (self, &event);
    }
}

/* --- turns ------------------------------------------------------------------------------------------------------ */

static void
s_let_effects_go (adr_shell_t *self)
{
    for (uint32_t i = 0; i < self->builder_count; i++) {
        if (self->builder[i].parcel)
            s_end_pack (self, &self->builder[i]);
        adr_chains_remove (&self->builders, s_hash_address (&self->builder[i].to), i);
    }
    self->builder_count = 0;
    s_let_packs_go (self);
}

static void
s_hand_out_jobs (adr_shell_t *self)
{
    struct adr_store *store = self->options.environment.store;
    for (int lane = 0; store && lane < ADR_LANE_COUNT; lane++) {
        if (self->job_out[lane])
            continue;
        adr_store_job_t *job = adr_store_job_next (store, (adr_lane_t) lane, adr_clock_now_ns ());
        if (job == NULL)
            continue;
        adr_assert (job->lane == (adr_lane_t) lane);
        self->job_parcel[lane].job = job;
        self->job_out[lane] = true;
        bool taken = adr_mailbox_put (self->options.job_thread[lane], &self->job_parcel[lane]);
        adr_assert (taken); /* job threads end after their shell */
        adr_metric_add (ADR_METRIC_JOBS, 1);
    }
}

static void
s_end_turn (adr_shell_t *self)
{
    s_deliver_kind (self, ADR_EVENT_TURN_END);
    s_let_effects_go (self);
    s_hand_out_jobs (self);
    adr_metric_add (ADR_METRIC_TURNS, 1);
    if (self->options.check && self->options.actor_class->check)
        self->options.actor_class->check (self->actor);
}

/* Takes parcels off the list until it is empty or the turn's bound is reached. */
static void
s_turn (adr_shell_t *self, adr_parcel_t **list)
{
    size_t messages = 0, bytes = 0;
    while (*list && messages < ADR_TURN_MESSAGES_MAX && bytes < ADR_TURN_BYTES_MAX) {
        adr_parcel_t *parcel = *list;
        *list = parcel->next;
        bytes += parcel->pack.size;
        messages += s_deliver_parcel (self, parcel);
    }
    s_deliver_timers (self);
    s_end_turn (self);
}

static int64_t
s_wake_at (const adr_shell_t *self)
{
    int64_t at_ns = self->timer_count ? self->timer[0].at_ns : ADR_NEVER;
    if (self->options.environment.store) {
        int64_t store_ns = adr_store_wake_at (self->options.environment.store);
        at_ns = store_ns < at_ns ? store_ns : at_ns;
    }
    return at_ns;
}

static void
s_run (zsock_t *pipe, void *argument)
{
    adr_shell_t *self = argument;
    s_running = self;
    adr_log_name_thread (self->who);
    zsock_signal (pipe, 0);
    s_deliver_kind (self, ADR_EVENT_START);
    s_end_turn (self);
    adr_parcel_t *list = NULL;
    while (!adr_mailbox_is_closed (self->mailbox)) {
        if (list == NULL)
            list = adr_mailbox_wait (self->mailbox, s_wake_at (self));
        s_turn (self, &list);
    }
    adr_parcels_destroy (&list);
}

/* --- life ------------------------------------------------------------------------------------------------------- */

static void
s_keep (adr_parcel_t *self)
{
    (void) self; /* job parcels stand in the shell */
}

adr_shell_t *
adr_shell_new (const adr_shell_options_t *options)
{
    adr_shell_t *self = adr_alloc (sizeof *self);
    self->effects = (adr_effects_t){ s_send, s_wake, s_persist, s_note, s_fatal };
    self->options = *options;
    self->address = (adr_address_t){ options->environment.node, options->actor_class->kind };
    snprintf (self->who, sizeof self->who, "%s %s", options->node_name, adr_actor_name (self->address.actor));
    self->options.node_name = NULL;
    self->mailbox = adr_mailbox_new (ADR_MAILBOX_BYTES_MAX);
    adr_arena_init (&self->arena, S_ARENA_ROOM, S_ARENA_LIMIT);
    for (int lane = 0; lane < ADR_LANE_COUNT; lane++)
        self->job_parcel[lane]
            = (adr_parcel_t){ .kind = ADR_PARCEL_JOB, .reply = self->mailbox, .release = s_keep };
    self->actor = options->actor_class->create (&self->options.environment);
    adr_directory_add_actor (options->directory, self->address, self->mailbox);
    return self;
}

void
adr_shell_start (adr_shell_t *self)
{
    adr_assert (self->thread == NULL);
    self->thread = zactor_new (s_run, self);
    adr_assert (self->thread);
}

void
adr_shell_tell_stop (adr_shell_t *self)
{
    adr_parcel_t *parcel = adr_parcel_new (ADR_PARCEL_STOP);
    if (!adr_mailbox_put (self->mailbox, parcel))
        adr_parcel_destroy (&parcel);
}

void
adr_shell_halt (adr_shell_t *self)
{
    adr_mailbox_close (self->mailbox);
    zactor_destroy (&self->thread);
}

void
adr_shell_destroy (adr_shell_t **self)
{
    adr_shell_t *shell = *self;
    if (shell == NULL)
        return;
    adr_shell_halt (shell);
    shell->options.actor_class->destroy (&shell->actor);
    adr_parcels_destroy (&shell->out_first);
    adr_parcels_destroy (&shell->persist_first);
    for (uint32_t i = 0; i < shell->builder_count; i++)
        adr_parcel_destroy (&shell->builder[i].parcel);
    free (shell->builder);
    adr_chains_free (&shell->builders);
    adr_arena_free (&shell->arena);
    adr_mailbox_destroy (&shell->mailbox);
    free (shell);
    *self = NULL;
}

adr_mailbox_t *
adr_shell_mailbox (adr_shell_t *self)
{
    return self->mailbox;
}

bool
adr_shell_leads (const adr_shell_t *self)
{
    return __atomic_load_n (&self->leads, __ATOMIC_ACQUIRE);
}
