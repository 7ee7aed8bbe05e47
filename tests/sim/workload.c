/* SPDX-License-Identifier: MPL-2.0 */
/* The clients: what they ask of which edge, when they try again, and what they make of the answers. Values are
 * unique, so that a read tells which write it saw. */

#include "sim.h"

#include <stdlib.h>

#define S_BOUND_SLACK_NS (1500 * ADR_MS)

/* --- records ---------------------------------------------------------------------------------------------------- */

#define S_KEY_SIZE 16
/* space, 0, {tag}, k and four digits: keys that share a tag may be written together. */
static size_t
s_key_bytes (int key, char bytes[S_KEY_SIZE])
{
    return (size_t) snprintf (bytes, S_KEY_SIZE, "s%c{t%d}k%04d", 0, key % 3, key);
}

static void
s_value_bytes (adr_buffer_t *to, uint64_t seed, uint32_t size)
{
    uint8_t *at = adr_buffer_grow (to, size);
    adr_random_t random = { seed };
    uint64_t word = 0;
    for (uint32_t i = 0; i < size; i++) {
        if (i % 8 == 0)
            word = i < 64 ? adr_random_next (&random) : word + 1;
        at[i] = (uint8_t) (word >> i % 8 * 8);
    }
}

static int
s_pick_key (sim_world_t *world)
{
    adr_random_t *random = &world->client_random;
    if (sim_chance (random, 500000))
        return (int) sim_pick (random, 0, world->options.hot_keys - 1);
    return (int) sim_pick (random, 0, world->options.keys - 1);
}

/* --- an operation is made ------------------------------------------------------------------------------------------ */

static bool
s_any_disk_is_full (const sim_world_t *world)
{
    for (int i = 0; i < world->node_count; i++)
        if (world->node[i].full_disk)
            return true;
    return false;
}

static sim_op_kind_t
s_pick_kind (sim_world_t *world, const sim_client_t *client)
{
    /* What the end waits for must not wait for a throw of dice. */
    if (world->phase == PHASE_LIVENESS && client->ended_ok < SIM_WORK_EACH && sim_chance (&world->client_random, 300000))
        return OP_PUT;
    uint64_t second = (uint64_t) (world->now_ns / (2 * SIM_SECOND)) + 1;
    if (world->options.lulls && world->phase == PHASE_FAULTS && (world->options.seed * second >> 3) % 2)
        return OP_GET;
    /* What was put before is deleted while nothing else is taken. */
    if (world->options.full_to_the_last && world->phase == PHASE_FAULTS)
        return s_any_disk_is_full (world) ? OP_DELETE : OP_PUT;
    uint32_t all = 0;
    for (int kind = 0; kind < OP_KIND_COUNT; kind++)
        all += world->options.weight[kind];
    int64_t at = sim_pick (&world->client_random, 0, (int64_t) all - 1);
    for (int kind = 0; kind < OP_KIND_COUNT; kind++) {
        at -= world->options.weight[kind];
        if (at < 0)
            return (sim_op_kind_t) kind;
    }
    return OP_PUT;
}

static bool
s_writes (const sim_op_t *op)
{
    return op->kind == OP_PUT || op->kind == OP_DELETE || op->kind == OP_TRANSACTION;
}

static void
s_add_key (sim_world_t *world, sim_op_t *op, int key)
{
    for (uint32_t i = 0; i < op->key_count; i++)
        if (op->key[i] == key)
            return;
    adr_random_t *random = &world->client_random;
    uint32_t at = op->key_count++;
    op->key[at] = key;
    op->deletes[at] = op->kind == OP_DELETE || (op->kind == OP_TRANSACTION && sim_chance (random, 200000));
    op->value[at] = adr_random_next (random);
    op->value_size[at] = (uint32_t) sim_pick (random, 8, sim_chance (random, 900000) ? 64 : world->options.value_max + 8);
    op->floor[at] = sim_linear_floor (&world->history, key);
    if (world->options.ttl_percent && !op->deletes[at] && sim_pick (random, 1, 100) <= world->options.ttl_percent)
        op->ttl_ms[at] = (uint64_t) sim_pick (random, ADR_TTL_MIN_MS, 4 * ADR_TTL_MIN_MS);
    if (world->options.cuts_bulk && op->ttl_ms[at]) /* the shortest, or longer than that and a cut */
        op->ttl_ms[at] = op->ttl_ms[at] % 2 ? ADR_TTL_MIN_MS : 4 * ADR_TTL_MIN_MS;
}

static void
s_pick_condition (sim_world_t *world, const sim_client_t *client, sim_op_t *op)
{
    adr_random_t *random = &world->client_random;
    if (!s_writes (op) || sim_pick (random, 1, 100) > world->options.conditional_percent)
        return;
    op->condition = (Adr__Condition) sim_pick (random, ADR__CONDITION__ABSENT, ADR__CONDITION__VERSION);
    if (op->condition == ADR__CONDITION__VERSION) {
        op->expected = client->known[op->key[0]];
        if (op->expected.index == 0)
            op->condition = ADR__CONDITION__EXISTS;
    }
}

static void
s_begin (sim_world_t *world, sim_client_t *client, sim_op_t *op)
{
    adr_random_t *random = &world->client_random;
    memset (op, 0, sizeof *op);
    op->kind = s_pick_kind (world, client);
    client->asked_read += op->kind == OP_GET || op->kind == OP_GET_LOCAL;
    op->begun_ns = world->now_ns;
    op->limit_ns = sim_pick (random, 200, 4000) * ADR_MS;
    s_add_key (world, op, s_pick_key (world));
    if (op->kind == OP_TRANSACTION)
        for (int64_t more = sim_pick (random, 1, SIM_OP_KEYS_MAX - 1); more > 0; more--) {
            int key = op->key[0] % 3 + 3 * (int) sim_pick (random, 0, world->options.keys / 3);
            if (key < world->options.keys)
                s_add_key (world, op, key);
        }
    op->floor_any = world->history.completed_any;
    s_pick_condition (world, client, op);
    if (op->kind == OP_LIST) {
        op->floors = malloc ((size_t) world->options.keys * sizeof *op->floors);
        adr_assert (op->floors != NULL);
        for (int key = 0; key < world->options.keys; key++)
            op->floors[key] = sim_linear_floor (&world->history, key);
    }
    if (s_writes (op)) {
        op->request = adr_random_next (random) | 1;
        sim_history_request (&world->history, op->request);
    }
}

/* --- a try is sent -------------------------------------------------------------------------------------------------- */

static int
s_pick_edge (sim_world_t *world)
{
    int found = -1;
    int64_t seen = 0;
    for (int i = 0; i < world->node_count; i++) {
        const sim_host_t *host = &world->host[world->node[i].host];
        if (world->node[i].type != ADR_NODE_EDGE || (world->phase != PHASE_FAULTS && (!host->sound || sim_is_evicted (world, i)))
            || (world->gap_at_ns && world->node[i].host == world->gap_host))
            continue;
        if (sim_pick (&world->client_random, 0, seen++) == 0)
            found = i;
    }
    return found;
}

static void
s_pack_write (sim_world_t *world, const sim_client_t *client, const sim_op_t *op, uint64_t number, uint32_t limit_ms,
              adr_buffer_t *pack)
{
    Adr__Write write = ADR__WRITE__INIT;
    Adr__Op ops[SIM_OP_KEYS_MAX];
    Adr__Op *pointers[SIM_OP_KEYS_MAX];
    char keys[SIM_OP_KEYS_MAX][S_KEY_SIZE];
    Adr__VersionOf version = ADR__VERSION_OF__INIT;
    adr_buffer_t *values = &world->values;
    adr_buffer_clear (values);
    for (uint32_t i = 0; i < op->key_count; i++) {
        adr__op__init (&ops[i]);
        pointers[i] = &ops[i];
        ops[i].table = ADR_TABLE_KV;
        ops[i].key = (ProtobufCBinaryData){ s_key_bytes (op->key[i], keys[i]), (uint8_t *) keys[i] };
        ops[i].delete_ = op->deletes[i];
        if (!op->deletes[i]) {
            ops[i].value_size = op->value_size[i];
            ops[i].ttl_ms = op->ttl_ms[i];
            s_value_bytes (values, op->value[i], op->value_size[i]);
        }
    }
    ops[0].condition = op->condition;
    if (op->condition == ADR__CONDITION__VERSION) {
        version.epoch = op->expected.epoch;
        version.term = op->expected.term;
        version.index = op->expected.index;
        ops[0].version = &version;
    }
    uint8_t request[ADR_REQUEST_ID_SIZE] = { 0 };
    adr_put_u64 (request, op->request);
    write.number = number;
    write.request = (ProtobufCBinaryData){ sizeof request, request };
    write.n_op = op->key_count;
    write.op = pointers;
    write.limit_ms = limit_ms;
    write.age_ms = (uint32_t) ((world->now_ns - op->begun_ns) / ADR_MS);
    int edge = op->tries[op->try_count - 1].edge;
    int64_t since_ns = client->heard[edge].at_ns - op->begun_ns;
    write.token = client->heard[edge].token;
    write.token_ms = since_ns > 0 ? (uint32_t) (since_ns / ADR_MS) + 1 : 0;
    adr_pack_add (pack, ADR__KIND__WRITE, &write.base, adr_bytes (values->data, values->size));
}

static void
s_pack_read (const sim_op_t *op, uint64_t number, uint32_t limit_ms, adr_buffer_t *pack)
{
    char key[S_KEY_SIZE];
    if (op->kind == OP_LIST) {
        Adr__List list = ADR__LIST__INIT;
        list.number = number;
        list.table = ADR_TABLE_KV;
        list.prefix = (ProtobufCBinaryData){ 2, (uint8_t *) key };
        memcpy (key, "s", 2);
        list.rows_max = ADR_LIST_ROWS_MAX;
        list.limit_ms = limit_ms;
        adr_pack_add (pack, ADR__KIND__LIST, &list.base, adr_bytes (NULL, 0));
        return;
    }
    Adr__Read read = ADR__READ__INIT;
    read.number = number;
    read.table = ADR_TABLE_KV;
    read.key = (ProtobufCBinaryData){ s_key_bytes (op->key[0], key), (uint8_t *) key };
    read.mode = op->kind == OP_GET ? ADR__READ_MODE__STRONG : ADR__READ_MODE__LOCAL;
    read.limit_ms = limit_ms;
    adr_pack_add (pack, ADR__KIND__READ, &read.base, adr_bytes (NULL, 0));
}

static void
s_send_try (sim_world_t *world, int place, sim_op_t *op)
{
    sim_client_t *client = &world->client[place];
    int edge = s_pick_edge (world);
    int64_t age = world->now_ns - op->begun_ns;
    int64_t left_ms = (op->limit_ns - age) / ADR_MS;
    if (edge < 0 || op->try_count == SIM_TRIES_MAX || left_ms < 1)
        return;
    sim_try_t *attempt = &op->tries[op->try_count++];
    const sim_host_t *host = &world->host[world->node[edge].host];
    *attempt = (sim_try_t){ ++client->number, edge, host->up && !host->paused ? host->life : UINT64_MAX, world->now_ns, TRY_OPEN };
    sim_pack_t *pack = sim_pack_new (world);
    pack->to_node = edge;
    pack->client = place;
    pack->to_actor = ADR_ACTOR_EDGE_ROUTER;
    adr_envelope_t envelope = { .cluster = world->cluster, .sender = client->id, .to = world->node[edge].id,
                                .from_actor = ADR_ACTOR_CLIENT, .to_actor = ADR_ACTOR_EDGE_ROUTER };
    adr_pack_begin (&pack->bytes, &envelope);
    SIM_TRACE (world, "client %d asks %s: op %d key %d number %llu request %016llx", place, world->node[edge].name,
               op->kind, op->key[0], (unsigned long long) attempt->number, (unsigned long long) op->request);
    if (s_writes (op))
        s_pack_write (world, client, op, attempt->number, (uint32_t) left_ms, &pack->bytes);
    else
        s_pack_read (op, attempt->number, (uint32_t) left_ms, &pack->bytes);
    sim_network_send (world, pack);
}

/* --- an operation ends ----------------------------------------------------------------------------------------------- */

static void
s_next_wake (sim_world_t *world, int place, int slot, int64_t in_ns)
{
    uint64_t number = ++world->client[place].wake[slot]; /* only the newest wake of a slot counts */
    sim_event_at (world, world->now_ns + in_ns, EV_CLIENT, place, slot, number, NULL);
}

static void
s_end (sim_world_t *world, int place, sim_op_t *op, adr_status_t status)
{
    sim_client_t *client = &world->client[place];
    op->ended = true;
    op->status = status;
    free (op->floors);
    op->floors = NULL;
    SIM_TRACE (world, "client %d: request %016llx key %d ends %s", place, (unsigned long long) op->request, op->key[0],
               adr_status_name (status));
    if (status == ADR_STATUS_OK && s_writes (op)) {
        client->ended_ok++;
        sim_gap_close (world);
    }
    else if (status == ADR_STATUS_OK || status == ADR_STATUS_NOT_FOUND)
        client->ended_read++;
    else if (status == ADR_STATUS_REFUSED)
        client->ended_refused++;
    else if (status == ADR_STATUS_UNKNOWN || status == ADR_STATUS_TIMEOUT)
        client->ended_unknown++;
}

static bool
s_all_not_done (const sim_op_t *op)
{
    for (uint32_t i = 0; i < op->try_count; i++)
        if (op->tries[i].state != TRY_NOT_DONE)
            return false;
    return true;
}

static void
s_write_ok (sim_world_t *world, sim_client_t *client, sim_op_t *op, adr_version_t version)
{
    sim_history_t *history = &world->history;
    sim_acks_done (history, op->request, version.term, version.index);
    if (version.index <= op->floor_any)
        sim_fail (&world->verdict, "3: transactions are strictly serializable",
                  "a write took effect at %llu, another one at %llu had ended before it began",
                  (unsigned long long) version.index, (unsigned long long) op->floor_any);
    for (uint32_t i = 0; i < op->key_count && !world->verdict.failed; i++) {
        const sim_version_t *written = sim_history_at (history, op->key[i], version.index);
        if (!written || written->index != version.index) {
            if (!op->deletes[i])
                sim_fail (&world->verdict, "2: an acknowledged write is committed", "entry %llu lacks key %d",
                          (unsigned long long) version.index, op->key[i]);
            continue;
        }
        sim_linear_write (history, op->key[i], op->floor[i], version.index);
        client->known[op->key[i]] = version;
    }
}

/* Whether the operation's condition holds at this place of the log. */
static bool
s_condition_at (const sim_world_t *world, const sim_op_t *op, uint64_t index)
{
    const sim_version_t *before = sim_history_at (&world->history, op->key[0], index);
    bool there = before && !before->deleted;
    if (op->condition == ADR__CONDITION__ABSENT)
        return !there;
    if (op->condition == ADR__CONDITION__EXISTS)
        return there;
    if (op->condition == ADR__CONDITION__VERSION)
        return sim_history_stands (before, index) && before->index == op->expected.index
               && before->term == op->expected.term;
    return true;
}

/* The condition of a write that took effect must have held just before it. */
static void
s_condition_held (sim_world_t *world, const sim_op_t *op, uint64_t index)
{
    if (!s_condition_at (world, op, index - 1))
        sim_fail (&world->verdict, "3: linearizable for each key",
                  "key %d: a write with condition %d took effect at %llu, where it did not hold", op->key[0],
                  op->condition, (unsigned long long) index);
}

/* ... and that of one whose verdict stands in the log must not. */
static void
s_condition_failed (sim_world_t *world, const sim_op_t *op, uint64_t index)
{
    if (s_condition_at (world, op, index - 1))
        sim_fail (&world->verdict, "3: linearizable for each key",
                  "key %d: a write with condition %d lost at %llu, where it held", op->key[0], op->condition,
                  (unsigned long long) index);
}

/* This try did nothing. Once all have done nothing, and never will, the operation ends, as a verdict if there was one. */
static void
s_not_done (sim_world_t *world, int place, sim_op_t *op, sim_try_t *attempt)
{
    attempt->state = TRY_NOT_DONE;
    if (!s_all_not_done (op))
        return;
    sim_acks_refused (&world->history, op->request);
    s_end (world, place, op, op->judged ? op->judgement : ADR_STATUS_REFUSED);
}

/* `no entry`: the verdict is right at this moment, but is not kept; another try that is still on its way may be done. */
static void
s_judge (sim_world_t *world, int place, sim_op_t *op, sim_try_t *attempt, const Adr__Answer *answer)
{
    op->judged = true;
    op->judgement = (adr_status_t) answer->status;
    if (answer->no_entry)
        s_not_done (world, place, op, attempt);
    else {
        sim_acks_refused (&world->history, op->request);
        s_end (world, place, op, op->judgement);
    }
}

static void
s_conflict (sim_world_t *world, int place, sim_op_t *op, sim_try_t *attempt, const Adr__Answer *answer,
            adr_version_t version)
{
    sim_history_t *history = &world->history;
    const sim_request_t *request = sim_history_find_request (history, op->request);
    if (request->verdict && version.index == 0) /* a retry hears what was decided before, not against what */
        s_condition_failed (world, op, request->index);
    else
        sim_linear_conflict (history, op->key[0], op->floor[0], version.term, version.index);
    if (version.index && request->index && !request->verdict && request->index <= version.index)
        sim_fail (&world->verdict, "6: a retry is harmless", "request %016llx is committed at %llu, its retry lost to %llu",
                  (unsigned long long) op->request, (unsigned long long) request->index,
                  (unsigned long long) version.index);
    world->client[place].known[op->key[0]] = version;
    s_judge (world, place, op, attempt, answer);
}

static void
s_write_done (sim_world_t *world, int place, sim_op_t *op, sim_try_t *attempt, const Adr__Answer *answer,
              adr_version_t version)
{
    const sim_request_t *request = sim_history_find_request (&world->history, op->request);
    if (version.index == 0) { /* what was to go was not there: an answer that is a read */
        for (uint32_t i = 0; i < op->key_count; i++) {
            if (!op->deletes[i])
                sim_fail (&world->verdict, "2: an acknowledged write is committed", "request %016llx: done, but nowhere",
                          (unsigned long long) op->request);
            sim_linear_absent (&world->history, op->key[i], op->floor[i]);
        }
        s_judge (world, place, op, attempt, answer);
        return;
    }
    attempt->state = TRY_ENDED;
    s_write_ok (world, &world->client[place], op, version);
    if (!world->verdict.failed)
        s_condition_held (world, op, request->index);
    s_end (world, place, op, ADR_STATUS_OK);
}

static void
s_write_answered (sim_world_t *world, int place, sim_op_t *op, sim_try_t *attempt, const Adr__Answer *answer,
                  adr_version_t version)
{
    switch ((adr_status_t) answer->status) {
    case ADR_STATUS_OK:
        s_write_done (world, place, op, attempt, answer, version);
        return;
    case ADR_STATUS_CONFLICT:
        s_conflict (world, place, op, attempt, answer, version);
        return;
    case ADR_STATUS_UNKNOWN:
        attempt->state = TRY_ENDED;
        s_end (world, place, op, ADR_STATUS_UNKNOWN);
        return;
    case ADR_STATUS_REFUSED:
    case ADR_STATUS_FULL:
        s_not_done (world, place, op, attempt);
        return;
    case ADR_STATUS_INVALID:
    case ADR_STATUS_DENIED:
    case ADR_STATUS_NOT_FOUND:
    case ADR_STATUS_LOCKED:
    case ADR_STATUS_TIMEOUT:
    case ADR_STATUS_DAMAGED:
    case ADR_STATUS_NOT_MASTER:
    case ADR_STATUS_COUNT:
        break;
    }
    sim_fail (&world->verdict, "a sound write is answered as one", "%s: %s", adr_status_name ((adr_status_t) answer->status),
              answer->text);
}

static void
s_read_answered (sim_world_t *world, int place, sim_op_t *op, sim_try_t *attempt, const Adr__Answer *answer,
                 adr_version_t version, adr_bytes_t value)
{
    adr_status_t status = (adr_status_t) answer->status;
    attempt->state = TRY_ENDED;
    if (status == ADR_STATUS_INVALID || status == ADR_STATUS_DENIED)
        sim_fail (&world->verdict, "a sound request is taken", "%s: %s", adr_status_name (status), answer->text);
    if (op->kind == OP_GET && status == ADR_STATUS_OK && !answer->deleted) {
        sim_linear_found (&world->history, op->key[0], op->floor[0], version.term, version.index,
                          sim_value_hash (value));
        world->client[place].known[op->key[0]] = version;
    } else if (op->kind == OP_GET && (status == ADR_STATUS_NOT_FOUND || status == ADR_STATUS_OK))
        sim_linear_absent (&world->history, op->key[0], op->floor[0]);
    s_end (world, place, op, status);
}

static void
s_list_answered (sim_world_t *world, int place, sim_op_t *op, sim_try_t *attempt, const Adr__ListAnswer *answer,
                 adr_bytes_t rows)
{
    attempt->state = TRY_ENDED;
    static bool seen[SIM_KEYS_MAX];
    memset (seen, 0, sizeof seen);
    adr_bytes_t key, value;
    adr_version_t version;
    uint64_t time_ms;
    while (answer->status == ADR_STATUS_OK && adr_list_row_next (&rows, &key, &value, &version, &time_ms)) {
        int number = sim_history_key (&world->history, ADR_TABLE_KV, key);
        const sim_version_t *row = number < 0 ? NULL : sim_history_at (&world->history, number, version.index);
        if (!row || seen[number])
            sim_fail (&world->verdict, "3: a list shows what is there", "a row of key %d, version %llu", number,
                      (unsigned long long) version.index);
        else
            sim_linear_found (&world->history, number, op->floors[number], version.term, version.index, row->value);
        if (world->verdict.failed)
            break;
        seen[number] = true;
    }
    for (int i = 0; i < world->options.keys && answer->status == ADR_STATUS_OK && !answer->more; i++)
        if (!seen[i])
            sim_linear_absent (&world->history, i, op->floors[i]);
    s_end (world, place, op, (adr_status_t) answer->status);
}

/* --- answers come ------------------------------------------------------------------------------------------------------ */

static void
s_dispatch (sim_world_t *world, int place, int slot, sim_op_t *op, sim_try_t *attempt, uint16_t kind,
            const ProtobufCMessage *header, adr_bytes_t payload)
{
    bool list = kind == ADR__KIND__LIST_ANSWER;
    if ((kind != ADR__KIND__ANSWER && !list) || list != (op->kind == OP_LIST)) {
        sim_fail (&world->verdict, "a request is answered as asked", "%s for operation %d", adr_kind_name (kind), op->kind);
        return;
    }
    const Adr__Answer *answer = (const Adr__Answer *) header;
    world->client[place].heard[attempt->edge].token = list ? ((const Adr__ListAnswer *) header)->token : answer->token;
    world->client[place].heard[attempt->edge].at_ns = world->now_ns;
    adr_version_t version = { 0 };
    if (!list && answer->version)
        version = (adr_version_t){ answer->version->epoch, answer->version->term, answer->version->index };
    if (list)
        s_list_answered (world, place, op, attempt, (const Adr__ListAnswer *) header, payload);
    else if (s_writes (op))
        s_write_answered (world, place, op, attempt, answer, version);
    else
        s_read_answered (world, place, op, attempt, answer, version, payload);
    if (op->ended)
        s_next_wake (world, place, slot, sim_pick (&world->client_random, 0, world->options.think_max_us) * SIM_US + 1);
}

static void
s_answer (sim_world_t *world, int place, uint64_t number, uint16_t kind, const ProtobufCMessage *header,
          adr_bytes_t payload)
{
    sim_client_t *client = &world->client[place];
    for (uint32_t slot = 0; slot < world->options.pipeline; slot++) {
        sim_op_t *op = &client->flight[slot];
        for (uint32_t i = 0; i < op->try_count && !op->ended; i++)
            if (op->tries[i].number == number) {
                if (op->tries[i].state != TRY_OPEN)
                    sim_fail (&world->verdict, "a request is answered once", "number %llu is answered again",
                              (unsigned long long) number);
                else
                    s_dispatch (world, place, (int) slot, op, &op->tries[i], kind, header, payload);
                return;
            }
    }
}

void
sim_client_answer (sim_world_t *world, int place, sim_pack_t *pack)
{
    adr_pack_reader_t reader;
    adr_item_t item;
    bool open = adr_pack_open (&reader, adr_bytes (pack->bytes.data, pack->bytes.size));
    while (open && !world->verdict.failed && adr_pack_next (&reader, &item) > 0) {
        adr_arena_reset (&world->arena);
        const ProtobufCMessage *header = adr_header_decode (&item, &world->arena);
        if (!header) {
            sim_fail (&world->verdict, "what is sent can be read", "%s does not decode", adr_kind_name (item.kind));
            break;
        }
        world->events++;
        uint64_t number = item.kind == ADR__KIND__LIST_ANSWER ? ((const Adr__ListAnswer *) header)->number
                                                              : ((const Adr__Answer *) header)->number;
        s_answer (world, place, number, item.kind, header, item.payload);
    }
    sim_pack_release (world, pack);
}

/* --- time passes at a client --------------------------------------------------------------------------------------------- */

/* While nothing disturbs, an edge answers within the request's limit. */
static void
s_check_waiting (sim_world_t *world, int place, const sim_op_t *op)
{
    static const char *const s_kinds[] = { "put", "delete", "strong read", "local read", "transaction", "list" };
    for (uint32_t i = 0; i < op->try_count; i++) {
        const sim_try_t *attempt = &op->tries[i];
        const sim_host_t *host = &world->host[world->node[attempt->edge].host];
        if (attempt->state == TRY_OPEN && world->phase == PHASE_LIVENESS && host->up && host->sound
            && host->life == attempt->life && attempt->sent_ns > world->phase_ns) {
            char what[64];
            snprintf (what, sizeof what, "%s of client %d, number %llu at %s,", s_kinds[op->kind], place,
                      (unsigned long long) attempt->number, world->node[attempt->edge].name);
            sim_bounds_request (&world->bounds, world->now_ns - attempt->sent_ns, op->limit_ns + S_BOUND_SLACK_NS, what);
        }
    }
}

void
sim_client_wake (sim_world_t *world, int place, int slot, uint64_t number)
{
    if (number != world->client[place].wake[slot])
        return;
    sim_op_t *op = &world->client[place].flight[slot];
    adr_random_t *random = &world->client_random;
    if (op->try_count == 0 || op->ended) {
        op->try_count = 0;
        if (world->quiet)
            return;
        s_begin (world, &world->client[place], op);
        s_send_try (world, place, op);
        s_next_wake (world, place, slot, sim_pick (random, 100, 1500) * ADR_MS);
        return;
    }
    s_check_waiting (world, place, op);
    int64_t age = world->now_ns - op->begun_ns;
    if (age > op->limit_ns + 2 * S_BOUND_SLACK_NS) {
        s_end (world, place, op, s_writes (op) ? ADR_STATUS_UNKNOWN : ADR_STATUS_TIMEOUT);
        s_next_wake (world, place, slot, 1);
        return;
    }
    if (age < op->limit_ns)
        s_send_try (world, place, op);
    s_next_wake (world, place, slot, sim_pick (random, 200, 1500) * ADR_MS);
}

void
sim_clients_start (sim_world_t *world)
{
    for (int place = 0; place < world->options.clients; place++)
        for (uint32_t slot = 0; slot < world->options.pipeline; slot++)
            s_next_wake (world, place, (int) slot, sim_pick (&world->client_random, 0, 500) * ADR_MS);
}
