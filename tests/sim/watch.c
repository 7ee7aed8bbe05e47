/* SPDX-License-Identifier: MPL-2.0 */
/* Tells the checkers what leaves actors, what comes to them, and what a store says after its replicator's turn; and
 * writes the trace. It looks from outside: no actor's private struct is known here. */

#include "sim.h"

/* --- the trace ------------------------------------------------------------------------------------------------ */

static void
s_trace_bytes (FILE *file, const ProtobufCBinaryData *bytes)
{
    size_t from = bytes->len == ADR_ID_SIZE ? 12 : 0; /* ids of the simulator end with what tells them apart */
    for (size_t i = from; i < bytes->len && i < from + 16; i++)
        fprintf (file, "%02x", bytes->data[i]);
}

static void
s_trace_value (FILE *file, const ProtobufCFieldDescriptor *field, const void *at)
{
    switch (field->type) {
    case PROTOBUF_C_TYPE_BOOL:
        fprintf (file, " %s=%d", field->name, *(const protobuf_c_boolean *) at);
        break;
    case PROTOBUF_C_TYPE_UINT32:
    case PROTOBUF_C_TYPE_ENUM:
        fprintf (file, " %s=%u", field->name, *(const uint32_t *) at);
        break;
    case PROTOBUF_C_TYPE_INT64:
        fprintf (file, " %s=%lld", field->name, (long long) *(const int64_t *) at);
        break;
    case PROTOBUF_C_TYPE_UINT64:
    case PROTOBUF_C_TYPE_FIXED64:
        fprintf (file, " %s=%llu", field->name, (unsigned long long) *(const uint64_t *) at);
        break;
    case PROTOBUF_C_TYPE_STRING:
        fprintf (file, " %s=\"%s\"", field->name, *(const char *const *) at);
        break;
    case PROTOBUF_C_TYPE_BYTES:
        fprintf (file, " %s=", field->name);
        s_trace_bytes (file, at);
        break;
    case PROTOBUF_C_TYPE_MESSAGE:
        if (*(const ProtobufCMessage *const *) at) {
            fprintf (file, " %s={", field->name);
            sim_trace_header (file, *(const ProtobufCMessage *const *) at);
            fprintf (file, " }");
        }
        break;
    default:
        break;
    }
}

void
sim_trace_header (FILE *file, const ProtobufCMessage *header)
{
    const ProtobufCMessageDescriptor *type = header->descriptor;
    for (unsigned i = 0; i < type->n_fields; i++) {
        const ProtobufCFieldDescriptor *field = &type->fields[i];
        const char *at = (const char *) header + field->offset;
        if (field->label != PROTOBUF_C_LABEL_REPEATED) {
            s_trace_value (file, field, at);
            continue;
        }
        size_t count = *(const size_t *) ((const char *) header + field->quantifier_offset);
        if (field->type != PROTOBUF_C_TYPE_MESSAGE)
            continue;
        const ProtobufCMessage *const *rows = *(const ProtobufCMessage *const *const *) at;
        for (size_t row = 0; row < count; row++) {
            fprintf (file, " %s[%zu]={", field->name, row);
            sim_trace_header (file, rows[row]);
            fprintf (file, " }");
        }
    }
}

static void
s_trace_event (sim_world_t *world, const sim_actor_t *to, const adr_event_t *event)
{
    static const char *const s_kinds[] = { "", "START", "", "TIMER", "DURABLE", "JOB_DONE", "TURN_END", "STOP" };
    FILE *file = world->trace;
    if (event->kind == ADR_EVENT_TURN_END)
        return;
    fprintf (file, "%lld.%09lld %s %s ", (long long) (world->now_ns / SIM_SECOND),
             (long long) (world->now_ns % SIM_SECOND), world->node[to->node].name, adr_actor_name (to->class->kind));
    if (event->kind != ADR_EVENT_MESSAGE) {
        fprintf (file, "%s", s_kinds[event->kind]);
        if (event->kind == ADR_EVENT_TIMER)
            fprintf (file, " %u", event->timer);
        if (event->kind == ADR_EVENT_DURABLE)
            fprintf (file, " %llu", (unsigned long long) event->token);
    } else {
        int from = sim_node_of (world, &event->message.from.node);
        int client = from < 0 ? sim_client_of (world, &event->message.from.node) : -1;
        if (from >= 0)
            fprintf (file, "<- %s %s", world->node[from].name, adr_actor_name (event->message.from.actor));
        else
            fprintf (file, "<- client %d", client);
        fprintf (file, " %s", adr_kind_name (event->message.kind));
        sim_trace_header (file, event->message.header);
        if (event->message.payload.size)
            fprintf (file, " + %zu bytes", event->message.payload.size);
    }
    fputc ('\n', file);
}

/* --- what a store says of itself ---------------------------------------------------------------------------------- */

typedef struct {
    sim_world_t *world;
    sim_node_t *node;
} s_view_t;

static bool
s_term_at (void *argument, uint64_t index, uint64_t *term)
{
    return adr_store_term_at (((s_view_t *) argument)->node->store, index, term);
}

/* The checker reads with a disk that does not fail, and has not rotted: the injected errors are for the store. */
static bool
s_entry_at (void *argument, uint64_t index, adr_bytes_t *bytes)
{
    s_view_t *view = argument;
    sim_disk_t *disk = &view->node->disk;
    uint32_t fail = disk->fail_reads;
    disk->fail_reads = 0;
    adr_status_t status;
    adr_buffer_clear (&view->world->scratch);
    uint32_t count = adr_store_read_log (view->node->store, index, 1, &view->world->scratch, &status);
    if (count == 0 && view->node->rots) {
        sim_disk_unrot (disk);
        count = adr_store_read_log (view->node->store, index, 1, &view->world->scratch, &status);
        sim_disk_unrot (disk);
    }
    disk->fail_reads = fail;
    *bytes = adr_bytes (view->world->scratch.data, view->world->scratch.size);
    return count > 0;
}

/* [REPL-4] a master has made a voters entry since we looked. */
static void
s_watch_voters (sim_world_t *world, int place)
{
    sim_node_t *node = &world->node[place];
    adr_position_t at = adr_store_voters (node->store)->at;
    if (at.term == node->leads && at.index > node->voters_at.index) {
        sim_voters_change_t change = { .at = at.index, .before = node->voters_at.index,
                                       .commit = adr_store_commit (node->store) };
        if (!adr_store_term_at (node->store, change.commit, &change.commit_term))
            change.commit_term = 0;
        sim_told_voters (&world->told, place, node->leads, &change);
        sim_trust_voters_made (world, place);
    }
    node->voters_at = at;
}

/* After each turn, and before anything that depends on it leaves. */
void
sim_watch_store (sim_world_t *world, const sim_actor_t *actor)
{
    if (actor->class->kind != ADR_ACTOR_REPLICATOR)
        return;
    sim_node_t *node = &world->node[actor->node];
    s_view_t from = { world, node };
    const adr_store_t *store = node->store;
    adr_position_t last = adr_store_last (store);
    sim_log_view_t view = {
        .incarnation = node->incarnation, .boot = node->boot, .last = last.index,
        .start = adr_store_log_start (store).index, .durable = adr_store_durable (store), .commit = adr_store_commit (store), .applied = adr_store_applied (store),
        .missing = adr_store_missing_from (store) != 0, .leads = node->leads, .term_at = s_term_at, .entry_at = s_entry_at, .argument = &from,
    };
    const sim_held_t *held = &world->log.held[actor->node];
    sim_watch_repair (world, actor->node);
    if (node->leads) {
        sim_bounds_appended (&world->bounds, world->now_ns, node->leads, last.index);
        s_watch_voters (world, actor->node);
    }
    sim_watch_copy_turn (world, actor->node);
    if (held->boot == view.boot && held->incarnation == view.incarnation && held->durable == view.durable
        && held->commit == view.commit && held->applied == view.applied)
        return;
    view.voters = *adr_store_voters (store);
    sim_log_view (&world->log, actor->node, &view);
    const sim_history_t *history = &world->history;
    if (history->commit)
        sim_bounds_time (&world->bounds, world->now_ns, history->committed[1].time_ms,
                         history->committed[history->commit].time_ms);
}

/* --- what leaves ---------------------------------------------------------------------------------------------- */

static void
s_published (sim_world_t *world, uint64_t term, uint64_t commit, uint64_t unlocked)
{
    const adr_settings_t *settings = &world->options.settings;
    sim_reads_published (&world->reads, world->now_ns, unlocked);
    sim_bounds_unlocked (&world->bounds, term, unlocked);
    sim_bounds_published (&world->bounds, world->now_ns, term, commit, unlocked,
                          settings->write_timeout_ns + settings->election_max_ns);
}

/* What is new of it, and purges something. */
static void
s_proposed (sim_world_t *world, int place, uint64_t term, adr_bytes_t entries)
{
    static adr_entry_t entry; /* large, and of no interest beyond the loop */
    const adr_voters_t *voters = adr_store_voters (world->node[place].store);
    sim_purge_voter_t voter[ADR_VOTERS_MAX];
    int count = 0;
    for (int i = 0; i < world->node_count; i++) {
        const sim_held_t *held = &world->log.held[i];
        if (adr_voters_find (voters, &world->node[i].id, held->incarnation) >= 0)
            voter[count++] = (sim_purge_voter_t){ i, held->applied_ever };
    }
    for (size_t size; entries.size; entries = adr_bytes (entries.data + size, entries.size - size)) {
        size = adr_entry_decode (&entry, entries);
        if (size == 0)
            return;
        if (entry.term == term)
            sim_purges_proposed (&world->purges, world->now_ns, place, &entry, voter, count);
    }
}

static void
s_sent_append (sim_world_t *world, const sim_actor_t *from, const Adr__Append *append, adr_bytes_t payload)
{
    const sim_node_t *node = &world->node[from->node];
    sim_terms_acted (&world->terms, append->term, from->node, node->boot, "an append");
    sim_log_append (&world->log, append->term, append->prev_term, append->prev_index, payload);
    s_proposed (world, from->node, append->term, payload);
    sim_log_published (&world->log, append->term, append->commit, append->unlocked_known, append->unlocked);
    if (append->unlocked_known)
        s_published (world, append->term, append->commit, append->unlocked);
}

static void
s_sent_pong (sim_world_t *world, const sim_actor_t *from, const Adr__Pong *pong)
{
    const sim_node_t *node = &world->node[from->node];
    if (from->class->kind != ADR_ACTOR_REPLICATOR || !node->leads || !pong->unlocked_known)
        return;
    sim_log_published (&world->log, node->leads, pong->commit, true, pong->unlocked);
    s_published (world, node->leads, pong->commit, pong->unlocked);
}

/* What the log of that term's master has at the index; 0: it leads no more, or has nothing there. */
static uint64_t
s_master_term_at (const sim_world_t *world, uint64_t term, uint64_t index)
{
    uint64_t found;
    for (int i = 0; i < world->node_count; i++)
        if (world->node[i].leads == term && world->node[i].store
            && adr_store_term_at (world->node[i].store, index, &found))
            return found;
    return 0;
}

static void
s_sent_ack (sim_world_t *world, int place, const Adr__AppendAck *sent)
{
    const sim_node_t *node = &world->node[place];
    sim_ack_t ack = { .term = sent->term, .confirmed.index = sent->confirmed, .durable = adr_store_durable (node->store) };
    if (sent->confirmed == 0 || !adr_store_term_at (node->store, sent->confirmed, &ack.confirmed.term))
        return;
    ack.master_term = s_master_term_at (world, sent->term, sent->confirmed);
    sim_told_ack (&world->told, place, node->incarnation, &ack);
}

static void
s_local_answer (sim_world_t *world, const sim_read_t *read, const Adr__Answer *answer, adr_bytes_t payload)
{
    bool found = answer->status == ADR_STATUS_OK && !answer->deleted;
    if (!found && answer->status != ADR_STATUS_NOT_FOUND && answer->status != ADR_STATUS_OK)
        return;
    const adr_settings_t *settings = &world->options.settings;
    const sim_node_t *node = &world->node[read->node];
    if (!node->leads) {
        sim_evidence_t evidence = { .in_set = node->heard.in_set && node->heard.evidence_term == node->heard.fence,
                                    .unlocked = node->heard.unlocked, .applied = adr_store_applied (node->store) };
        sim_reads_evidence (&world->reads, read->node, &evidence);
    }
    sim_shown_t shown = {
        .node = read->node, .key = read->key, .found = found, .leads = world->node[read->node].leads != 0,
        .term = answer->version ? answer->version->term : 0, .index = answer->version ? answer->version->index : 0,
        .value = sim_value_hash (payload),
        .oldest_ns = world->options.guests /* no clock of a guest tells how old its evidence is */
                         ? 0
                         : world->now_ns - settings->election_min_ns * 6 / 5 - settings->poll_ns,
    };
    sim_reads_local (&world->reads, &shown);
}

/* A read's answer, as it leaves the node that gives it. A master that was never told otherwise since the read came
 * has answered it under its lease. */
static void
s_sent_answer (sim_world_t *world, const sim_actor_t *from, const adr_address_t *to, const Adr__Answer *answer,
               adr_bytes_t payload)
{
    sim_read_t *read = sim_read_slot (world, from->node, &to->node, answer->number);
    if (from->class->kind != ADR_ACTOR_REPLICATOR || read->number != answer->number || read->node != from->node
        || !adr_id_equal (&read->origin, &to->node))
        return;
    read->number = 0;
    if (read->local)
        s_local_answer (world, read, answer, payload);
    else if ((answer->status == ADR_STATUS_OK || answer->status == ADR_STATUS_NOT_FOUND) && read->lease_term
             && read->lease_term == world->node[from->node].lease_term && !world->options.settings.reads_by_quorum) {
        sim_watch_lease (world, from->node, read->lease_term, read->came_ns);
        if (read->elected_max > read->lease_term)
            sim_terms_lease (&world->terms, read->lease_term, from->node);
    }
}

void
sim_watch_send (sim_world_t *world, sim_actor_t *from, adr_address_t to, uint16_t kind, const ProtobufCMessage *header,
                adr_bytes_t payload)
{
    const sim_node_t *node = &world->node[from->node];
    sim_mix (world, (uint64_t) kind << 32 | payload.size);
    sim_watch_store (world, from);
    sim_watch_elect_send (world, from, &to, kind, header);
    sim_watch_repair_send (world, from->node, kind, header);
    sim_watch_space_send (world, from->node, kind, header);
    sim_watch_copy_send (world, from->node, &to, kind, header);
    sim_trust_watch (world, &to, kind, header);
    if (kind == node->doom_kind)
        sim_doom (world, from->node);
    if (kind == world->options.trigger_kind)
        sim_trigger (world, from->node, sim_node_of (world, &to.node), kind);
    switch (kind) {
    case ADR__KIND__APPEND:
        s_sent_append (world, from, (const Adr__Append *) header, payload);
        break;
    case ADR__KIND__POLL:
        sim_terms_acted (&world->terms, ((const Adr__Poll *) header)->term, from->node, node->boot, "a poll");
        break;
    case ADR__KIND__LEAD:
        world->elections++;
        sim_terms_elected (&world->terms, ((const Adr__Lead *) header)->term, from->node, node->boot);
        break;
    case ADR__KIND__PONG:
        s_sent_pong (world, from, (const Adr__Pong *) header);
        break;
    case ADR__KIND__READ_INDEX_ANSWER:
        if (((const Adr__ReadIndexAnswer *) header)->ok && !world->options.settings.reads_by_quorum)
            sim_terms_lease (&world->terms, ((const Adr__ReadIndexAnswer *) header)->term, from->node);
        break;
    case ADR__KIND__APPEND_ACK:
        s_sent_ack (world, from->node, (const Adr__AppendAck *) header);
        break;
    case ADR__KIND__FENCED: {
        const Adr__Fenced *fenced = (const Adr__Fenced *) header;
        adr_position_t last = { fenced->last_term, fenced->last_index };
        sim_told_fenced (&world->told, from->node, node->incarnation, fenced->term, last);
        break;
    }
    case ADR__KIND__READ_INDEX:
        sim_told_question (&world->told, from->node, node->incarnation, ((const Adr__ReadIndex *) header)->number);
        break;
    case ADR__KIND__ANSWER:
        s_sent_answer (world, from, &to, (const Adr__Answer *) header, payload);
        break;
    default:
        break;
    }
}

/* --- what comes ----------------------------------------------------------------------------------------------- */

sim_read_t *
sim_read_slot (sim_world_t *world, int node, const adr_id_t *origin, uint64_t number)
{
    uint64_t hash = (number ^ (uint64_t) node << 48 ^ (uint64_t) origin->bytes[15] << 56) * UINT64_C (0x9e3779b97f4a7c15);
    return &world->read[hash >> 52];
}

static void
s_came_read (sim_world_t *world, int node, const adr_event_t *event)
{
    const Adr__Read *read = (const Adr__Read *) event->message.header;
    int key = sim_history_key (&world->history, (uint8_t) read->table, adr_bytes (read->key.data, read->key.len));
    if (key < 0 || read->without_value)
        return;
    adr_id_t origin = adr_id_of (read->origin);
    *sim_read_slot (world, node, &origin, read->number)
        = (sim_read_t){ node, origin, read->number, key, read->mode == ADR__READ_MODE__LOCAL,
                        world->node[node].lease_term, world->terms.elected_max, world->now_ns };
}

static void
s_hear_unlocked (sim_node_t *node, bool known, uint64_t unlocked)
{
    if (known && unlocked > node->heard.unlocked)
        node->heard.unlocked = unlocked;
}

static void
s_came_evidence (sim_node_t *node, const Adr__Evidence *evidence)
{
    if (evidence->term != node->heard.fence || node->leads)
        return;
    node->heard.evidence_term = evidence->term;
    node->heard.in_set = evidence->in_unlock_set;
    s_hear_unlocked (node, evidence->unlocked_known, evidence->unlocked);
}

/* One that a higher fence has overtaken is ignored [ELECT-4]. */
static void
s_came_lead (sim_node_t *node, const Adr__Lead *lead)
{
    if (lead->term < node->heard.fence)
        return;
    node->leads = node->lease_term = lead->term;
    node->voters_at = adr_store_voters (node->store)->at;
}

/* An append that is for this log tells what is unlocked, too. */
static void
s_came_append (sim_node_t *node, const Adr__Append *append)
{
    if (append->term > node->leads)
        node->leads = node->lease_term = 0;
    if (append->incarnation != node->incarnation || append->term < node->heard.fence || node->leads)
        return;
    if (append->term > node->heard.fence)
        node->heard.unlocked = 0;
    node->heard.fence = append->term;
    uint64_t term;
    if (adr_store_term_at (node->store, append->prev_index, &term) && term == append->prev_term)
        s_hear_unlocked (node, append->unlocked_known, append->unlocked);
}

static void
s_came_answered (sim_world_t *world, int place, const Adr__Answered *answered)
{
    adr_id_t id = adr_id_of (answered->voter);
    int voter = sim_node_of (world, &id);
    if (voter >= 0 && answered->term == world->node[place].leads && answered->boot == world->node[voter].boot)
        sim_purges_heard (&world->purges, world->now_ns, place, voter);
}

static void
s_came_to_replicator (sim_world_t *world, sim_node_t *node, const adr_event_t *event)
{
    const ProtobufCMessage *header = event->message.header;
    switch (event->message.kind) {
    case ADR__KIND__READ:
        s_came_read (world, (int) (node - world->node), event);
        break;
    case ADR__KIND__LEAD:
        s_came_lead (node, (const Adr__Lead *) header);
        break;
    case ADR__KIND__STOOD_DOWN:
        node->lease_term = 0;
        if (!((const Adr__StoodDown *) header)->lease_only)
            node->leads = 0;
        break;
    case ADR__KIND__FENCE:
        if (((const Adr__Fence *) header)->term > node->leads)
            node->leads = node->lease_term = 0;
        if (((const Adr__Fence *) header)->term > node->heard.fence) {
            node->heard.fence = ((const Adr__Fence *) header)->term;
            node->heard.unlocked = 0;
        }
        break;
    case ADR__KIND__APPEND:
        s_came_append (node, (const Adr__Append *) header);
        break;
    case ADR__KIND__PLACE:
        world->history.mends = true;
        break;
    case ADR__KIND__ANSWERED:
        s_came_answered (world, (int) (node - world->node), (const Adr__Answered *) header);
        break;
    case ADR__KIND__EVIDENCE:
        s_came_evidence (node, (const Adr__Evidence *) header);
        break;
    default:
        break;
    }
}

void
sim_watch_deliver (sim_world_t *world, sim_actor_t *to, const adr_event_t *event)
{
    if (world->trace)
        s_trace_event (world, to, event);
    if (to->class->kind == ADR_ACTOR_REPLICATOR && event->kind == ADR_EVENT_MESSAGE)
        s_came_to_replicator (world, &world->node[to->node], event);
    if (event->kind != ADR_EVENT_MESSAGE)
        return;
    sim_watch_copy_deliver (world, to->node, event);
    if (to->class->kind == ADR_ACTOR_REPLICATOR) { /* what another actor of the node hears is nothing that this one knows yet */
        sim_watch_repair_deliver (world, to->node, event);
        sim_watch_space_deliver (world, to->node, event);
    }
    sim_watch_elect_deliver (world, to, event);
}
