/* SPDX-License-Identifier: MPL-2.0 */
/* collector: deletes objects that no record names any more, and uploads that never got theirs [DESIGN 10].
 *
 * One on each edge. It asks as any client does, by way of its edge's router, and so needs no lease: whatever it does may be
 * done twice, or by several edges at once. The edge in the zone of a group's master does that group's work; others take
 * what it leaves lying for twice as long.
 *
 * Owns: where it is. Makes durable: nothing; what is to be done stands in the tables GARBAGE and PENDING. Implements
 * docs/protocol/collector.md (OBJECT-1, OBJECT-4).
 *
 * Mailbox
 *     ANSWER, LIST_ANSWER from own edge_router; MAP_CHANGED from own map_keeper
 * Sends
 *     LIST, READ, WRITE to own edge_router
 *
 *     a look at a group:  IDLE -> [EPOCHS] -> LISTING <-> WORKING (a page of rows, a few at a time) -> IDLE
 *     a row of GARBAGE:   [CONDEMN -> CHUNKS] -> REMOVE -> ROW -> OVER
 *     a row of PENDING:   born:   RECORD -> ROW, or -> OWNER -> DOOM -> OVER
 *                         doomed: RECORD -> ROW, or -> HEADER -> [COUNT | CONDEMN -> CHUNKS] -> REMOVE -> ROW -> OVER */

#include "actors/collector_private.h"
#include "wire/map_codec.h"

#include <stdlib.h>

#define S_SILENCE_NS (3 * LIMIT_MS * ADR_MS) /* the router answers within the limit; else the answer is lost */
#define S_LOOKS 8                  /* in a grace time, or an epoch */
#define S_LOOK_MIN_NS (100 * ADR_MS)
#define S_LOOK_MAX_NS (60000 * ADR_MS)
#define S_AT_ONCE 4                /* rows in work: clients come first, and each of them waits for the last */
#define S_EPOCHS_KEPT 2            /* [OBJECT-1] objects that are older than so many are looked at */

static const adr_bytes_t s_nothing;

enum { S_TIMER_TICK = 1 };

/* --- looks ------------------------------------------------------------------------------------------------------ */

static int64_t
s_interval_ns (const collector_t *self)
{
    const adr_settings_t *settings = &self->environment.settings;
    int64_t least = settings->gc_grace_ns < settings->sweep_interval_ns ? settings->gc_grace_ns : settings->sweep_interval_ns;
    int64_t interval = least / S_LOOKS;
    return interval < S_LOOK_MIN_NS ? S_LOOK_MIN_NS : interval > S_LOOK_MAX_NS ? S_LOOK_MAX_NS : interval;
}

static void
s_end_look (collector_t *self)
{
    if (self->collected || self->swept || self->chunks || self->failed)
        adr_note (self->effects, ADR_LEVEL_NOTE,
                  "released objects are deleted -> objects=%llu chunks=%llu, unnamed ones wait for it=%llu, named ones stay=%llu%s",
                  (unsigned long long) self->collected, (unsigned long long) self->chunks, (unsigned long long) self->swept,
                  (unsigned long long) self->kept, self->failed ? "; some could not be, the next look tries again" : "");
    self->place[self->look].look_ns = self->now_ns + s_interval_ns (self);
    self->look = -1;
    self->listing = 0;
    self->row_count = 0;
}

static adr_bytes_t
s_by (const collector_place_t *place, uint8_t at[ADR_SWEEP_KEY_SIZE])
{
    adr_sweep_key (at, place->partition);
    return adr_bytes (at, ADR_SWEEP_KEY_SIZE);
}

static void
s_list_page (collector_t *self)
{
    static const uint8_t s_doomed[8]; /* epoch 0 */
    uint8_t by[ADR_SWEEP_KEY_SIZE];
    adr_bytes_t after = adr_bytes (self->after, self->after_size);
    const collector_place_t *place = &self->place[self->look];
    if (self->range == RANGE_EPOCHS)
        self->listing = collector_list (self, ADR_TABLE_SWEEP, s_nothing, after, s_by (&self->place[self->epochs_of], by), true);
    else {
        adr_bytes_t prefix = adr_bytes (s_doomed, self->range == RANGE_DOOMED ? sizeof s_doomed : 0);
        self->listing = collector_list (self, collector_table (self), prefix, after, s_by (place, by), true);
    }
}

/* From where on rows may not be over yet: what was over stays so. Once an epoch all are looked at, in case that one came
 * late. */
static void
s_begin_range (collector_t *self, collector_range_t range)
{
    collector_place_t *place = &self->place[self->look];
    self->range = range;
    self->unbroken = true;
    self->after_size = 0;
    if (range == RANGE_BORN && place->done_epoch != self->newest_epoch) {
        place->done_epoch = self->newest_epoch;
        adr_pending_key (place->done, 0, &(adr_id_t){ .bytes = { 0 } });
        memset (place->done + 8, 0xff, ADR_ID_SIZE); /* behind the doomed ones */
        place->done_size = ADR_PENDING_KEY_SIZE;
    }
    if (range == RANGE_BORN || range == RANGE_GARBAGE) {
        memcpy (self->after, place->done, place->done_size);
        self->after_size = place->done_size;
    }
    s_list_page (self);
}

/* The next meta group whose epochs are not known yet; false if there is none. */
static bool
s_next_epochs (collector_t *self, uint32_t from)
{
    for (uint32_t i = from; i < self->place_count; i++)
        if (self->place[i].type == ADR_NODE_META) {
            self->epochs_of = i;
            self->after_size = 0;
            return true;
        }
    return false;
}

static void
s_begin_look (collector_t *self, uint32_t place)
{
    self->look = (int) place;
    self->collected = self->chunks = self->kept = self->swept = self->newest_epoch = 0;
    self->failed = false;
    if (self->place[place].type == ADR_NODE_META)
        s_begin_range (self, RANGE_GARBAGE);
    else if (s_next_epochs (self, 0))
        s_begin_range (self, RANGE_EPOCHS);
    else
        s_end_look (self);
}

/* The range is done with. */
static void
s_next_range (collector_t *self)
{
    if (self->range == RANGE_EPOCHS && s_next_epochs (self, self->epochs_of + 1))
        s_list_page (self);
    else if (self->range == RANGE_EPOCHS)
        s_begin_range (self, RANGE_DOOMED);
    else if (self->range == RANGE_DOOMED)
        s_begin_range (self, RANGE_BORN);
    else
        s_end_look (self);
}

/* A few rows at a time; a page that is done with is followed by the next. */
static void
s_work (collector_t *self)
{
    uint32_t asked = 0;
    bool all = true;
    for (uint32_t i = 0; i < self->row_count && asked < S_AT_ONCE; i++) {
        collector_row_t *row = &self->row[i];
        if (row->step == STEP_OVER || row->step == STEP_FAILED)
            continue;
        if (row->number == 0)
            collector_ask (self, row);
        asked++;
        all = false;
    }
    if (!all || self->listing)
        return;
    for (uint32_t i = 0; i < self->row_count; i++)
        self->failed |= self->row[i].step == STEP_FAILED;
    self->unbroken &= !self->failed;
    self->row_count = 0;
    collector_place_t *place = &self->place[self->look];
    if (self->unbroken && (self->range == RANGE_GARBAGE || self->range == RANGE_BORN)) {
        memcpy (place->done, self->after, self->after_size);
        place->done_size = self->after_size;
    }
    if (self->more)
        s_list_page (self);
    else
        s_next_range (self);
}

/* --- pages ------------------------------------------------------------------------------------------------------ */

typedef enum { ROW_DUE, ROW_LATER, ROW_LATE_ALL /* and so are those behind it */ } s_due_t;

/* [OBJECT-4] By log time; who is not nearest leaves it twice as long to who is. */
static bool
s_waited (const collector_t *self, uint64_t time_ms, uint64_t now_ms)
{
    uint64_t grace_ms = (uint64_t) (self->environment.settings.gc_grace_ns / ADR_MS);
    if (!self->place[self->look].nearest)
        grace_ms *= 2;
    return (now_ms >= time_ms && now_ms - time_ms >= grace_ms) || ADR_PLANT (OBJECT_4_NO_GRACE);
}

/* [RECOVER-10] The record may have been there, and lost: a group that was recovered cannot say that nobody names the object. */
static bool
s_may_have_lost_record (const collector_t *self, const collector_row_t *row)
{
    uint32_t partition = adr_partition_of (ADR_TABLE_META, adr_bytes (row->record, row->record_size), self->map->partition_count);
    const adr_map_group_t *owner = adr_map_owner (self->map, ADR_NODE_META, partition);
    return owner && owner->recovery_size;
}

/* [OBJECT-1] */
static s_due_t
s_born_due (const collector_t *self, const collector_row_t *row)
{
    uint64_t born = adr_get_be64 (row->key), kept = S_EPOCHS_KEPT + (self->place[self->look].nearest ? 0 : 1);
    if (ADR_PLANT (OBJECT_1_SWEPT_YOUNG))
        return ROW_DUE;
    if (born >= self->newest_epoch || self->newest_epoch - born <= kept) /* a client's number may be any */
        return ROW_LATE_ALL;
    uint32_t partition = adr_partition_of (ADR_TABLE_META, adr_bytes (row->record, row->record_size), self->map->partition_count);
    return born + kept < self->epoch[partition] ? ROW_DUE : ROW_LATER;
}

static s_due_t
s_due (const collector_t *self, const collector_row_t *row, uint64_t time_ms, uint64_t now_ms)
{
    if (self->range != RANGE_GARBAGE && s_may_have_lost_record (self, row))
        return ROW_LATER;
    switch (self->range) {
    case RANGE_BORN:
        return s_born_due (self, row);
    case RANGE_DOOMED:
        return s_waited (self, time_ms, now_ms) ? ROW_DUE : ROW_LATER;
    case RANGE_GARBAGE: /* the oldest come first */
        return s_waited (self, time_ms, now_ms) ? ROW_DUE : ROW_LATE_ALL;
    case RANGE_EPOCHS:
        break;
    }
    return ROW_LATE_ALL;
}

static collector_step_t
s_first_step (collector_t *self, collector_row_t *row, adr_bytes_t value)
{
    adr_object_info_t info;
    adr_arena_t arena;
    if (self->range != RANGE_GARBAGE) /* what waited for its end was looked at once: an id that is used again has a record by now */
        return row->record_size ? STEP_RECORD : collector_wrong (self, "a pending row names no record");
    adr_arena_init (&arena, ARENA_ROOM, ARENA_MAX);
    bool read = adr_meta_record_read (&info, value, &arena);
    adr_arena_free (&arena);
    if (!read)
        return collector_wrong (self, "a released value is no meta record");
    row->object = info.object;
    row->chunks = adr_object_chunks (info.size, info.chunk_size);
    return collector_first_step (row);
}

/* False if the rows behind it are not looked at. */
static bool
s_take_row (collector_t *self, adr_bytes_t key, adr_bytes_t value, uint64_t time_ms, uint64_t now_ms)
{
    collector_row_t *row = &self->row[self->row_count];
    bool pending = self->range != RANGE_GARBAGE;
    if (self->row_count == ROWS || key.size != (pending ? ADR_PENDING_KEY_SIZE : ADR_GARBAGE_KEY_SIZE))
        return false; /* no replicator answers so */
    *row = (collector_row_t){ .key_size = key.size };
    memcpy (row->key, key.data, key.size);
    if (pending) {
        memcpy (row->object.bytes, key.data + 8, ADR_ID_SIZE);
        row->record_size = value.size <= ADR_KEY_MAX ? value.size : 0;
        memcpy (row->record, value.data, row->record_size);
    }
    s_due_t due = s_due (self, row, time_ms, now_ms);
    if (due == ROW_LATE_ALL)
        return false;
    memcpy (self->after, key.data, key.size);
    self->after_size = key.size;
    if (due == ROW_DUE) {
        row->step = s_first_step (self, row, value);
        self->row_count++;
    } else
        self->unbroken = false;
    return true;
}

static void
s_take_epoch (collector_t *self, adr_bytes_t key, adr_bytes_t value)
{
    uint32_t partition = key.size == ADR_SWEEP_KEY_SIZE ? adr_get_be32 (key.data + 1) : ADR_PARTITION_NONE;
    if (partition >= self->map->partition_count || value.size != ADR_SWEEP_EPOCH_SIZE)
        return;
    self->epoch[partition] = adr_get_u64 (value.data);
    if (self->newest_epoch < self->epoch[partition])
        self->newest_epoch = self->epoch[partition];
    memcpy (self->after, key.data, key.size);
    self->after_size = key.size;
}

static void
s_on_page (collector_t *self, const Adr__ListAnswer *answer, adr_bytes_t rows)
{
    adr_bytes_t key, value;
    adr_version_t version;
    uint64_t time_ms;
    self->listing = 0;
    if (answer->status != ADR_STATUS_OK) {
        self->failed = true;
        s_end_look (self);
        return;
    }
    self->more = answer->more && answer->rows;
    while (adr_list_row_next (&rows, &key, &value, &version, &time_ms)) {
        if (self->range == RANGE_EPOCHS)
            s_take_epoch (self, key, value);
        else if (!s_take_row (self, key, value, time_ms, answer->time_ms)) {
            self->more = false;
            break;
        }
    }
    s_work (self);
}

/* --- the actor --------------------------------------------------------------------------------------------------- */

static collector_row_t *
s_row_of (collector_t *self, uint64_t number)
{
    for (uint32_t i = 0; i < self->row_count; i++)
        if (number && self->row[i].number == number)
            return &self->row[i];
    return NULL;
}

static void
s_on_answer (collector_t *self, const Adr__Answer *answer, adr_bytes_t value)
{
    collector_row_t *row = s_row_of (self, answer->number);
    self->token = answer->token;
    if (row == NULL || row->step == STEP_COUNT)
        return; /* of a look that was given up */
    row->number = 0;
    if (answer->unread && row->unread++ < UNREAD_MAX) { /* [EDGE-6] */
        collector_ask (self, row);
        return;
    }
    row->unread = 0;
    row->step = collector_step (self, row, (adr_status_t) answer->status, value);
    s_work (self);
}

static void
s_on_list_answer (collector_t *self, const Adr__ListAnswer *answer, adr_bytes_t rows)
{
    collector_row_t *row = s_row_of (self, answer->number);
    self->token = answer->token;
    if (self->listing && answer->number == self->listing)
        s_on_page (self, answer, rows);
    else if (row && row->step == STEP_COUNT) {
        row->number = 0;
        row->step = collector_counted (row, answer, rows);
        s_work (self);
    }
}

static bool
s_is_nearest (const collector_t *self, const adr_map_group_t *group)
{
    const adr_map_node_t *master = adr_map_node (self->map, &group->status.master);
    const adr_map_node_t *own = adr_map_node (self->map, &self->environment.node);
    return master && own && adr_id_equal (&master->zone, &own->zone);
}

static collector_place_t *
s_place_of (collector_place_t *place, uint32_t count, const adr_id_t *group)
{
    for (uint32_t i = 0; i < count; i++)
        if (adr_id_equal (&place[i].group, group))
            return &place[i];
    return NULL;
}

static uint32_t
s_count_recovered (const adr_map_t *map)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < map->group_count; i++)
        count += map->group[i].recovery_size != 0;
    return count;
}

/* Groups keep what is known of their rows; those that were recovered are none [RECOVER-10]. */
static void
s_learn_places (collector_t *self)
{
    collector_place_t *old = self->place, *place = adr_alloc ((self->map->group_count + 1) * sizeof *place);
    adr_id_t look = self->look >= 0 ? old[self->look].group : (adr_id_t){ .bytes = { 0 } };
    uint32_t count = 0;
    for (uint32_t i = 0; i < self->map->range_count; i++) {
        const adr_map_range_t *range = &self->map->range[i];
        const adr_map_group_t *group = adr_map_group (self->map, &range->group);
        if (group == NULL || range->type == ADR_NODE_PKI || group->recovery_size || s_place_of (place, count, &range->group))
            continue;
        const collector_place_t *known = s_place_of (old, self->place_count, &range->group);
        place[count] = known ? *known : (collector_place_t){ .group = range->group, .type = range->type };
        if (known == NULL)
            place[count].look_ns = self->now_ns + adr_random_between (&self->random, 0, s_interval_ns (self));
        place[count].partition = range->first;
        place[count++].nearest = s_is_nearest (self, group);
    }
    self->place = place;
    self->place_count = count;
    const collector_place_t *now = self->look >= 0 ? s_place_of (place, count, &look) : NULL;
    self->look = now ? (int) (now - place) : -1;
    if (now == NULL)
        self->listing = self->row_count = 0;
    free (old);
}

/* [SET-2] A shorter grace time, or epoch, must not wait for a look that was planned by the longer one. */
static void
s_look_soon (collector_t *self)
{
    int64_t latest_ns = self->now_ns + s_interval_ns (self);
    for (uint32_t i = 0; i < self->place_count; i++)
        if (self->place[i].look_ns > latest_ns)
            self->place[i].look_ns = latest_ns;
}

static void
s_on_map_changed (collector_t *self, const Adr__MapChanged *changed)
{
    adr_map_t *map = adr_map_read (changed->map);
    if (map == NULL || map->partition_count != self->map->partition_count) {
        adr_map_destroy (&map);
        return;
    }
    if (self->look >= 0 && s_count_recovered (map) > s_count_recovered (self->map))
        s_end_look (self); /* what is in work may be among what is not to be done any more */
    adr_map_destroy (&self->map);
    self->map = map;
    s_learn_places (self);
    if (adr_obeyed_update (&self->obeyed, &self->environment.settings, changed->map))
        s_look_soon (self);
    if (self->epochs_of >= self->place_count)
        self->epochs_of = 0;
}

/* The place that is due first, or the next one to be. */
static uint32_t
s_next_place (const collector_t *self)
{
    uint32_t next = 0;
    for (uint32_t i = 1; i < self->place_count; i++)
        if (self->place[i].look_ns < self->place[next].look_ns)
            next = i;
    return next;
}

static void
s_tick (collector_t *self)
{
    if (self->look >= 0 && self->now_ns - self->asked_ns > S_SILENCE_NS) {
        self->failed = true;
        s_end_look (self);
    }
    if (self->look < 0 && self->place_count && self->place[s_next_place (self)].look_ns <= self->now_ns)
        s_begin_look (self, s_next_place (self));
}

static void
s_arm (collector_t *self)
{
    int64_t wake_ns = ADR_NEVER;
    if (self->look >= 0)
        wake_ns = self->asked_ns + S_SILENCE_NS + ADR_MS;
    else if (self->place_count)
        wake_ns = self->place[s_next_place (self)].look_ns;
    if (wake_ns != self->wake_ns)
        self->effects->wake (self->effects, S_TIMER_TICK, wake_ns);
    self->wake_ns = wake_ns;
}

static void
s_on_message (collector_t *self, const adr_event_t *event)
{
    const ProtobufCMessage *header = event->message.header;
    switch (event->message.kind) {
    case ADR__KIND__ANSWER:
        s_on_answer (self, (const Adr__Answer *) header, event->message.payload);
        break;
    case ADR__KIND__LIST_ANSWER:
        s_on_list_answer (self, (const Adr__ListAnswer *) header, event->message.payload);
        break;
    case ADR__KIND__MAP_CHANGED:
        s_on_map_changed (self, (const Adr__MapChanged *) header);
        break;
    default: /* the table of wire/table.c lets no other kind through */
        break;
    }
}

static void
s_receive (void *object, const adr_event_t *event, adr_effects_t *effects)
{
    collector_t *self = object;
    self->effects = effects;
    self->now_ns = event->now_ns;
    switch (event->kind) {
    case ADR_EVENT_START:
        s_learn_places (self);
        break;
    case ADR_EVENT_TIMER:
        self->wake_ns = ADR_NEVER;
        s_tick (self);
        break;
    case ADR_EVENT_MESSAGE:
        s_on_message (self, event);
        break;
    case ADR_EVENT_TURN_END:
        s_arm (self);
        break;
    case ADR_EVENT_DURABLE:
    case ADR_EVENT_JOB_DONE:
    case ADR_EVENT_STOP:
        break;
    }
    self->effects = NULL;
}

static void *
s_create (const adr_environment_t *environment)
{
    collector_t *self = adr_alloc (sizeof *self);
    self->environment = *environment;
    adr_obeyed_init (&self->obeyed, environment, &self->environment.settings);
    self->random.state = environment->seed;
    self->number = adr_random_next (&self->random) >> 1; /* no answer to an earlier life fits */
    self->map = adr_map_copy (environment->map);
    self->epoch = adr_alloc (self->map->partition_count * sizeof *self->epoch);
    self->look = -1;
    self->wake_ns = ADR_NEVER;
    return self;
}

static void
s_destroy (void **object)
{
    collector_t *self = *object;
    if (self == NULL)
        return;
    adr_map_destroy (&self->map);
    free (self->place);
    free (self->epoch);
    free (self);
    *object = NULL;
}

static void
s_check (const void *object)
{
    const collector_t *self = object;
    adr_assert (self->look < (int) self->place_count && self->row_count <= ROWS);
    adr_assert (self->look >= 0 || (self->row_count == 0 && self->listing == 0));
}

const adr_actor_class_t adr_collector_class = { ADR_ACTOR_COLLECTOR, s_create, s_destroy, s_receive, s_check };
