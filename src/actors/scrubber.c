/* SPDX-License-Identifier: MPL-2.0 */
/* scrubber: reads all that this copy holds, again and again, at a bounded rate, and has what is damaged mended.
 *
 * Owns: where it is. Makes durable: nothing; a pass begins somewhere at random, so that one that is often cut short has seen
 * everything in the end. Assumes: a reader of its own. Implements docs/protocol/scrubber.md
 * (STORE-10: each bucket's hash is computed anew from its rows; STORE-3: each value is what its row names).
 *
 * Mailbox
 *     CONTROL      an edge_router, for an operator: begin a pass now
 *     MAP_CHANGED  own map_keeper, of a newer registry: how fast, and how often
 * Sends
 *     WOUNDS to own inventory_syncer: records whose values cannot be read; INDEX_DAMAGED, SCRUB_STATE to own replicator;
 *     CONTROL_ANSWER to the edge_router. */

#include "actors/control.h"
#include "actors/obeyed.h"
#include "core/actor.h"
#include "store/reader.h"
#include "wire/adrestia.pb-c.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define S_TICK_NS (100 * ADR_MS)
#define S_HEALS_NS (5000 * ADR_MS) /* an index that is being healed is left alone */
#define S_INVENTORY_MAX (64 * 1024 * 1024)
#define S_WOUNDS_MAX (64 * 1024) /* of one message */
#define S_HASH 32

enum { S_TIMER_TICK = 1 };

typedef struct {
    adr_environment_t environment; /* its settings are those that are obeyed now */
    adr_obeyed_t obeyed;
    adr_reader_t *reader;
    adr_effects_t *effects; /* of the current event */
    int64_t now_ns;
    uint32_t partition, bucket; /* the next one to read */
    uint32_t left;              /* partitions of this pass */
    adr_buffer_t sections;      /* of the bucket that is being read, from `at` on */
    size_t at;
    adr_buffer_t record, wounds;
    int64_t credit;             /* bytes that may still be read */
    int64_t credit_ns;
    int64_t pass_ns;            /* when this pass began, or the next one begins */
    int64_t ended_ns;           /* when the last pass ended */
    bool resting;
    bool healing;               /* ... because an index is being healed, within a pass */
    uint32_t told_done;         /* to the replicator: partitions of this pass, and what was found */
    uint64_t told_damaged;
    uint64_t passes, read_bytes, damaged; /* since the start */
} s_scrubber_t;

static uint32_t
s_partitions (const s_scrubber_t *self)
{
    return adr_reader_partitions (self->reader) + 1; /* and the group's own records */
}

/* --- passes ---------------------------------------------------------------------------------------------------- */

static void
s_end_pass (s_scrubber_t *self)
{
    self->passes++;
    adr_note (self->effects, ADR_LEVEL_NOTE, "everything is read -> the next pass begins in %lld s read=%llu damaged=%llu",
              (long long) (self->environment.settings.scrub_interval_ns / (1000 * ADR_MS)),
              (unsigned long long) self->read_bytes, (unsigned long long) self->damaged);
    self->resting = true;
    self->healing = false;
    self->ended_ns = self->now_ns;
    self->pass_ns = self->now_ns + self->environment.settings.scrub_interval_ns;
}

static void
s_begin_pass (s_scrubber_t *self)
{
    self->resting = self->healing = false;
    self->left = s_partitions (self);
}

/* --- what it finds --------------------------------------------------------------------------------------------- */

static void
s_send (s_scrubber_t *self, adr_actor_kind_t actor, uint16_t kind, const void *header, adr_bytes_t payload)
{
    self->effects->send (self->effects, (adr_address_t){ self->environment.node, actor }, kind, header, payload);
}

static void
s_tell_index (s_scrubber_t *self, const char *what)
{
    Adr__IndexDamaged damaged = ADR__INDEX_DAMAGED__INIT;
    self->damaged++;
    adr_note (self->effects, ADR_LEVEL_WARNING, "bucket %u of partition %u: %s -> the index is healed damaged=%llu", self->bucket,
              self->partition, what, (unsigned long long) self->damaged);
    s_send (self, ADR_ACTOR_REPLICATOR, ADR__KIND__INDEX_DAMAGED, &damaged, adr_bytes (NULL, 0));
    self->resting = self->healing = true;
    self->pass_ns = self->now_ns + S_HEALS_NS;
}

static void
s_tell_wounds (s_scrubber_t *self)
{
    Adr__Wounds wounds = ADR__WOUNDS__INIT;
    if (self->wounds.size == 0)
        return;
    s_send (self, ADR_ACTOR_INVENTORY_SYNCER, ADR__KIND__WOUNDS, &wounds, adr_bytes (self->wounds.data, self->wounds.size));
    adr_buffer_clear (&self->wounds);
}

static void
s_add_wound (s_scrubber_t *self, const adr_inventory_row_t *row)
{
    self->damaged++;
    adr_note (self->effects, ADR_LEVEL_WARNING, "a value cannot be read -> it is taken from a peer damaged=%llu",
              (unsigned long long) self->damaged);
    adr_wound_put (&self->wounds, row->table, row->key);
    if (self->wounds.size > S_WOUNDS_MAX)
        s_tell_wounds (self);
}

/* --- reading --------------------------------------------------------------------------------------------------- */

/* Reads the next bucket's rows. */
static void
s_read_bucket (s_scrubber_t *self)
{
    uint8_t set[ADR_BUCKET_SET_SIZE] = { 0 };
    adr_inventory_section_t section;
    adr_position_t applied;
    bool damaged;
    set[self->bucket / 8] = (uint8_t) (1u << self->bucket % 8);
    adr_buffer_clear (&self->sections);
    self->at = ADR_SECTION_HEADER_SIZE;
    if (!adr_reader_inventory (self->reader, self->partition, set, 1, S_INVENTORY_MAX, &self->sections, &applied,
                               &damaged)) {
        if (damaged)
            s_tell_index (self, "its rows cannot be read");
        self->at = self->sections.size;
    } else if (adr_inventory_section_get (&section, adr_bytes (self->sections.data, self->sections.size)) == 0
               || !adr_reader_leaf_is_true (self->reader, &section))
        s_tell_index (self, "its rows do not hash to its leaf");
    self->credit -= (int64_t) self->sections.size;
    self->read_bytes += self->sections.size;
}

/* Reads the value of the next row; false at the bucket's end. */
static bool
s_read_value (s_scrubber_t *self)
{
    adr_inventory_row_t row;
    if (self->at >= self->sections.size)
        return false;
    size_t size = adr_inventory_row_get (&row, adr_bytes (self->sections.data + self->at, self->sections.size - self->at));
    if (size == 0)
        return false;
    self->at += size;
    adr_buffer_clear (&self->record);
    /* [REPAIR-2] Of what is in doubt the value comes anew, from who has it, once that is decided. */
    if (!row.doubt && adr_reader_record (self->reader, row.table, row.key, &self->record) == ADR_STATUS_DAMAGED)
        s_add_wound (self, &row);
    self->credit -= (int64_t) self->record.size;
    self->read_bytes += self->record.size;
    return true;
}

static void
s_next_bucket (s_scrubber_t *self)
{
    adr_buffer_clear (&self->sections);
    if (++self->bucket < adr_reader_buckets (self->reader, self->partition))
        return;
    self->bucket = 0;
    self->partition = (self->partition + 1) % s_partitions (self);
    s_tell_wounds (self);
    if (--self->left == 0)
        s_end_pass (self);
}

static void
s_go_on (s_scrubber_t *self)
{
    while (self->credit > 0 && !self->resting) {
        if (self->sections.size == 0)
            s_read_bucket (self);
        if (!s_read_value (self)) {
            self->credit -= S_HASH; /* an empty bucket is not for nothing, or a pass would be one turn */
            s_next_bucket (self);
        }
    }
}

static void
s_tell_state (s_scrubber_t *self)
{
    Adr__ScrubState state = ADR__SCRUB_STATE__INIT;
    state.scrub_done = s_partitions (self) - self->left;
    state.damaged = self->damaged;
    if (state.scrub_done == self->told_done && state.damaged == self->told_damaged)
        return;
    self->told_done = state.scrub_done;
    self->told_damaged = state.damaged;
    s_send (self, ADR_ACTOR_REPLICATOR, ADR__KIND__SCRUB_STATE, &state, adr_bytes (NULL, 0));
}

static void
s_tick (s_scrubber_t *self)
{
    int64_t rate = (int64_t) self->environment.settings.scrub_rate, passed = self->now_ns - self->credit_ns;
    if (self->healing && self->now_ns >= self->pass_ns)
        self->resting = self->healing = false; /* the pass goes on */
    else if (self->resting && self->now_ns >= self->pass_ns)
        s_begin_pass (self);
    if (passed > 1000 * ADR_MS)
        passed = 1000 * ADR_MS;
    self->credit_ns = self->now_ns;
    self->credit += rate / 1000 * passed / ADR_MS;
    if (self->credit > rate / 10)
        self->credit = rate / 10; /* so that no turn is long */
    s_go_on (self);
    s_tell_wounds (self);
    s_tell_state (self);
    int64_t next = self->resting && self->pass_ns > self->now_ns + S_TICK_NS ? self->pass_ns : self->now_ns + S_TICK_NS;
    self->effects->wake (self->effects, S_TIMER_TICK, next);
}

/* [SCRUB-1] A pass begins at this partition's first bucket, so that everything is read from now on. */
static void
s_on_control (s_scrubber_t *self, const adr_event_t *event)
{
    char text[ADR_CONTROL_TEXT_MAX];
    bool healing = self->healing;
    if (!healing) {
        s_begin_pass (self);
        self->bucket = 0;
        adr_buffer_clear (&self->sections);
    }
    snprintf (text, sizeof text, healing ? "the index is being healed; the pass goes on behind it"
                                         : "a pass over %u partitions begins", s_partitions (self));
    adr_control_answer (self->effects, event, healing ? ADR_STATUS_REFUSED : ADR_STATUS_OK, text);
    if (!healing)
        s_tick (self);
}

/* [SET-2] A rest that has begun lasts as long as it would now. */
static void
s_on_map_changed (s_scrubber_t *self, const adr_event_t *event)
{
    const Adr__MapChanged *changed = (const Adr__MapChanged *) event->message.header;
    if (!adr_obeyed_update (&self->obeyed, &self->environment.settings, changed->map))
        return;
    if (self->resting && !self->healing)
        self->pass_ns = self->ended_ns + self->environment.settings.scrub_interval_ns;
    s_tick (self);
}

static void
s_receive (void *object, const adr_event_t *event, adr_effects_t *effects)
{
    s_scrubber_t *self = object;
    self->effects = effects;
    self->now_ns = event->now_ns;
    if (event->kind == ADR_EVENT_START)
        self->credit_ns = self->now_ns;
    if (event->kind == ADR_EVENT_START || (event->kind == ADR_EVENT_TIMER && event->timer == S_TIMER_TICK))
        s_tick (self);
    if (event->kind == ADR_EVENT_MESSAGE && event->message.kind == ADR__KIND__CONTROL)
        s_on_control (self, event);
    if (event->kind == ADR_EVENT_MESSAGE && event->message.kind == ADR__KIND__MAP_CHANGED)
        s_on_map_changed (self, event);
    self->effects = NULL;
}

/* --- life ------------------------------------------------------------------------------------------------------ */

static void *
s_create (const adr_environment_t *environment)
{
    s_scrubber_t *self = adr_alloc (sizeof *self);
    adr_random_t random = { environment->seed };
    self->environment = *environment;
    adr_obeyed_init (&self->obeyed, environment, &self->environment.settings);
    self->reader = environment->reader;
    self->left = s_partitions (self);
    self->partition = (uint32_t) (adr_random_next (&random) % self->left);
    return self;
}

static void
s_destroy (void **object)
{
    s_scrubber_t *self = *object;
    if (self == NULL)
        return;
    adr_buffer_free (&self->sections);
    adr_buffer_free (&self->record);
    adr_buffer_free (&self->wounds);
    free (self);
    *object = NULL;
}

static void
s_check (const void *object)
{
    const s_scrubber_t *self = object;
    adr_assert (self->partition <= adr_reader_partitions (self->reader));
    adr_assert (self->at <= self->sections.size || self->sections.size == 0);
}

const adr_actor_class_t adr_scrubber_class = { ADR_ACTOR_SCRUBBER, s_create, s_destroy, s_receive, s_check };
