/* SPDX-License-Identifier: MPL-2.0 */
/* The one table of message kinds: see table.h. A new message is a row here, a message and a Kind in adrestia.proto,
 * its bounds in bounds.c, and a golden vector; the test of this table names what is missing. */

#include "wire/table.h"

#include "wire/pack.h"

#define S_TYPE(type) (1u << ADR_NODE_##type)
#define S_REPLICATING (S_TYPE (META) | S_TYPE (DATA) | S_TYPE (PKI))
#define S_NODES (S_TYPE (EDGE) | S_REPLICATING)
#define S_CLIENTS (S_TYPE (CLIENT) | S_TYPE (OPERATOR))

/* Between actors of one host. */
#define S_LOCAL(types, from, to) { types, ADR_ACTOR_##from, ADR_ACTOR_##to, true }
/* Between nodes wherever they run. */
#define S_ANY(types, from, to) { types, ADR_ACTOR_##from, ADR_ACTOR_##to, false }
#define S_ROW(kind, message, ...) \
    [ADR__KIND__##kind] = { ADR__KIND__##kind, #kind, &adr__##message##__descriptor, { __VA_ARGS__ } }

static const adr_kind_row_t s_rows[] = {
    /* health_checker */
    S_ROW (POLL, poll, S_ANY (S_REPLICATING, HEALTH_CHECKER, HEALTH_CHECKER)),
    S_ROW (POLL_ANSWER, poll_answer, S_ANY (S_REPLICATING, HEALTH_CHECKER, HEALTH_CHECKER)),
    S_ROW (POLL_SEEN, poll_seen, S_LOCAL (S_REPLICATING, HEALTH_CHECKER, ELECTION)),
    S_ROW (POLL_NOTED, poll_noted, S_LOCAL (S_REPLICATING, ELECTION, HEALTH_CHECKER)),
    S_ROW (PING, ping, S_LOCAL (S_REPLICATING, HEALTH_CHECKER, ELECTION),
           S_LOCAL (S_REPLICATING, HEALTH_CHECKER, REPLICATOR)),
    S_ROW (PONG, pong, S_LOCAL (S_REPLICATING, ELECTION, HEALTH_CHECKER),
           S_LOCAL (S_REPLICATING, REPLICATOR, HEALTH_CHECKER)),
    S_ROW (EVIDENCE, evidence, S_LOCAL (S_REPLICATING, HEALTH_CHECKER, REPLICATOR)),
    S_ROW (ANSWERED, answered, S_LOCAL (S_REPLICATING, HEALTH_CHECKER, ELECTION),
           S_LOCAL (S_REPLICATING, HEALTH_CHECKER, REPLICATOR)),
    /* election */
    S_ROW (CALL, call, S_ANY (S_REPLICATING, ELECTION, ELECTION)),
    S_ROW (SUPPORT, support, S_ANY (S_REPLICATING, ELECTION, ELECTION)),
    S_ROW (VOTE_REQUEST, vote_request, S_ANY (S_REPLICATING, ELECTION, ELECTION)),
    S_ROW (VOTE, vote, S_ANY (S_REPLICATING, ELECTION, ELECTION)),
    S_ROW (STAND, stand, S_ANY (S_REPLICATING, ELECTION, ELECTION)),
    S_ROW (RELEASE, release, S_ANY (S_REPLICATING, ELECTION, ELECTION)),
    S_ROW (HIGHER_TERM, higher_term, S_ANY (S_REPLICATING, ELECTION, ELECTION),
           S_ANY (S_REPLICATING, HEALTH_CHECKER, ELECTION), S_ANY (S_REPLICATING, REPLICATOR, ELECTION)),
    S_ROW (FENCE, fence, S_LOCAL (S_REPLICATING, ELECTION, REPLICATOR)),
    S_ROW (FENCED, fenced, S_LOCAL (S_REPLICATING, REPLICATOR, ELECTION)),
    S_ROW (LEAD, lead, S_LOCAL (S_REPLICATING, ELECTION, REPLICATOR)),
    S_ROW (MASTER, master, S_LOCAL (S_REPLICATING, ELECTION, REPLICATOR),
           S_LOCAL (S_REPLICATING, ELECTION, HEALTH_CHECKER), S_LOCAL (S_REPLICATING, ELECTION, MAP_KEEPER)),
    S_ROW (RESIGN, resign, S_LOCAL (S_REPLICATING, REPLICATOR, ELECTION),
           S_LOCAL (S_REPLICATING, HEALTH_CHECKER, ELECTION)),
    S_ROW (VOTERS, voters, S_LOCAL (S_REPLICATING, REPLICATOR, ELECTION),
           S_LOCAL (S_REPLICATING, REPLICATOR, HEALTH_CHECKER)),
    S_ROW (STOOD_DOWN, stood_down, S_LOCAL (S_REPLICATING, ELECTION, REPLICATOR),
           S_LOCAL (S_REPLICATING, ELECTION, HEALTH_CHECKER)),
    /* replicator */
    S_ROW (APPEND, append, S_ANY (S_REPLICATING, REPLICATOR, REPLICATOR)),
    S_ROW (APPEND_ACK, append_ack, S_ANY (S_REPLICATING, REPLICATOR, REPLICATOR)),
    S_ROW (APPEND_REFUSED, append_refused, S_ANY (S_REPLICATING, REPLICATOR, REPLICATOR)),
    S_ROW (READ_INDEX, read_index, S_ANY (S_REPLICATING, REPLICATOR, REPLICATOR)),
    S_ROW (READ_INDEX_ANSWER, read_index_answer, S_ANY (S_REPLICATING, REPLICATOR, REPLICATOR)),
    /* requests */
    S_ROW (WRITE, write, S_ANY (S_CLIENTS, CLIENT, EDGE_ROUTER),
           S_ANY (S_TYPE (EDGE), EDGE_ROUTER, REPLICATOR), S_ANY (S_REPLICATING, REPLICATOR, REPLICATOR),
           S_LOCAL (S_TYPE (PKI), CERT_SIGNER, REPLICATOR), S_LOCAL (S_TYPE (EDGE), COLLECTOR, EDGE_ROUTER)),
    S_ROW (READ, read, S_ANY (S_CLIENTS, CLIENT, EDGE_ROUTER), S_ANY (S_TYPE (EDGE), EDGE_ROUTER, REPLICATOR),
           S_LOCAL (S_TYPE (PKI), CERT_SIGNER, REPLICATOR), S_LOCAL (S_TYPE (EDGE), COLLECTOR, EDGE_ROUTER)),
    S_ROW (LIST, list, S_ANY (S_CLIENTS, CLIENT, EDGE_ROUTER), S_ANY (S_TYPE (EDGE), EDGE_ROUTER, REPLICATOR),
           S_LOCAL (S_TYPE (EDGE), COLLECTOR, EDGE_ROUTER)),
    S_ROW (ANSWER, answer, S_ANY (S_REPLICATING, REPLICATOR, EDGE_ROUTER),
           S_ANY (S_TYPE (PKI), REPLICATOR, CERT_SIGNER), S_ANY (S_TYPE (EDGE), EDGE_ROUTER, CLIENT),
           S_LOCAL (S_TYPE (EDGE), EDGE_ROUTER, COLLECTOR)),
    S_ROW (LIST_ANSWER, list_answer, S_ANY (S_REPLICATING, REPLICATOR, EDGE_ROUTER),
           S_ANY (S_TYPE (EDGE), EDGE_ROUTER, CLIENT), S_LOCAL (S_TYPE (EDGE), EDGE_ROUTER, COLLECTOR)),
    /* map: a replicator tells its own map_keeper, which tells those of the PKI nodes */
    S_ROW (GROUP_STATUS, group_status, S_LOCAL (S_REPLICATING, REPLICATOR, MAP_KEEPER),
           S_ANY (S_REPLICATING, MAP_KEEPER, MAP_KEEPER)),
    S_ROW (MAP_PULL, map_pull, S_ANY (S_NODES, MAP_KEEPER, MAP_KEEPER), S_ANY (S_CLIENTS, CLIENT, EDGE_ROUTER)),
    S_ROW (MAP_PUSH, map_push, S_ANY (S_TYPE (PKI), MAP_KEEPER, MAP_KEEPER),
           S_ANY (S_TYPE (EDGE), EDGE_ROUTER, CLIENT)),
    S_ROW (MAP_CHANGED, map_changed, S_LOCAL (S_NODES, MAP_KEEPER, EDGE_ROUTER),
           S_LOCAL (S_NODES, MAP_KEEPER, REPLICATOR), S_LOCAL (S_NODES, MAP_KEEPER, ELECTION),
           S_LOCAL (S_NODES, MAP_KEEPER, HEALTH_CHECKER), S_LOCAL (S_NODES, MAP_KEEPER, MERKLE_GOSSIPER),
           S_LOCAL (S_NODES, MAP_KEEPER, INVENTORY_SYNCER), S_LOCAL (S_TYPE (EDGE), MAP_KEEPER, COLLECTOR)),
    /* certificates */
    S_ROW (SIGN_REQUEST, sign_request, S_ANY (S_TYPE (OPERATOR), CLIENT, CERT_SIGNER)),
    S_ROW (SIGN_ANSWER, sign_answer, S_ANY (S_TYPE (PKI), CERT_SIGNER, CLIENT)),
    /* merkle_gossiper */
    S_ROW (ROOT, root, S_ANY (S_REPLICATING, MERKLE_GOSSIPER, MERKLE_GOSSIPER)),
    S_ROW (ROOTS_ASK, roots_ask, S_ANY (S_REPLICATING, MERKLE_GOSSIPER, MERKLE_GOSSIPER)),
    S_ROW (ROOTS, roots, S_ANY (S_REPLICATING, MERKLE_GOSSIPER, MERKLE_GOSSIPER)),
    S_ROW (CHECKPOINT_NOTED, checkpoint_noted, S_LOCAL (S_REPLICATING, REPLICATOR, MERKLE_GOSSIPER)),
    S_ROW (AGREED, agreed, S_LOCAL (S_REPLICATING, MERKLE_GOSSIPER, REPLICATOR)),
    S_ROW (DIVERGED, diverged, S_LOCAL (S_REPLICATING, MERKLE_GOSSIPER, INVENTORY_SYNCER)),
    /* inventory_syncer */
    S_ROW (LEAVES_ASK, leaves_ask, S_ANY (S_REPLICATING, INVENTORY_SYNCER, INVENTORY_SYNCER)),
    S_ROW (LEAVES, leaves, S_ANY (S_REPLICATING, INVENTORY_SYNCER, INVENTORY_SYNCER)),
    S_ROW (INVENTORY_ASK, inventory_ask, S_ANY (S_REPLICATING, INVENTORY_SYNCER, INVENTORY_SYNCER)),
    S_ROW (INVENTORY, inventory, S_ANY (S_REPLICATING, INVENTORY_SYNCER, INVENTORY_SYNCER)),
    S_ROW (RECORDS_ASK, records_ask, S_ANY (S_REPLICATING, INVENTORY_SYNCER, INVENTORY_SYNCER)),
    S_ROW (RECORDS, records, S_ANY (S_REPLICATING, INVENTORY_SYNCER, INVENTORY_SYNCER)),
    S_ROW (BASE_ASK, base_ask, S_ANY (S_REPLICATING, INVENTORY_SYNCER, REPLICATOR)),
    S_ROW (BASE, base, S_ANY (S_REPLICATING, REPLICATOR, INVENTORY_SYNCER)),
    S_ROW (REPAIR_STATE, repair_state, S_LOCAL (S_REPLICATING, REPLICATOR, INVENTORY_SYNCER)),
    S_ROW (PLACE, place, S_LOCAL (S_REPLICATING, INVENTORY_SYNCER, REPLICATOR)),
    S_ROW (SYNC_END, sync_end, S_LOCAL (S_REPLICATING, INVENTORY_SYNCER, REPLICATOR)),
    S_ROW (DROP, drop, S_LOCAL (S_REPLICATING, INVENTORY_SYNCER, REPLICATOR)),
    S_ROW (QUARANTINE, quarantine, S_LOCAL (S_REPLICATING, INVENTORY_SYNCER, REPLICATOR)),
    /* scrubber */
    S_ROW (WOUNDS, wounds, S_LOCAL (S_REPLICATING, SCRUBBER, INVENTORY_SYNCER),
           S_LOCAL (S_REPLICATING, REPLICATOR, INVENTORY_SYNCER)),
    S_ROW (INDEX_DAMAGED, index_damaged, S_LOCAL (S_REPLICATING, SCRUBBER, REPLICATOR),
           S_LOCAL (S_REPLICATING, INVENTORY_SYNCER, REPLICATOR)),
    S_ROW (SCRUB_STATE, scrub_state, S_LOCAL (S_REPLICATING, SCRUBBER, REPLICATOR)),
    /* operators */
    S_ROW (CONTROL, control, S_ANY (S_TYPE (OPERATOR), CLIENT, EDGE_ROUTER),
           S_ANY (S_TYPE (EDGE), EDGE_ROUTER, INVENTORY_SYNCER), S_ANY (S_TYPE (EDGE), EDGE_ROUTER, SCRUBBER)),
    S_ROW (CONTROL_ANSWER, control_answer, S_ANY (S_REPLICATING, INVENTORY_SYNCER, EDGE_ROUTER),
           S_ANY (S_REPLICATING, SCRUBBER, EDGE_ROUTER), S_ANY (S_TYPE (EDGE), EDGE_ROUTER, CLIENT)),
};

const adr_kind_row_t *
adr_kind_row (uint16_t kind)
{
    if (kind >= sizeof s_rows / sizeof s_rows[0] || s_rows[kind].descriptor == NULL)
        return NULL;
    return &s_rows[kind];
}

bool
adr_message_allowed (uint16_t kind, adr_node_type_t from_type, adr_actor_kind_t from, adr_actor_kind_t to, bool local)
{
    const adr_kind_row_t *row = adr_kind_row (kind);
    if (row == NULL || (unsigned) from_type >= ADR_NODE_TYPE_COUNT)
        return false;
    for (int i = 0; i < ADR_WAYS_MAX && row->way[i].types; i++) {
        const adr_way_t *way = &row->way[i];
        if ((way->types >> from_type & 1) && way->from == from && way->to == to && (local || !way->local))
            return true;
    }
    return false;
}

const char *
adr_kind_name (uint16_t kind)
{
    const adr_kind_row_t *row = adr_kind_row (kind);
    return row ? row->name : "unknown-kind";
}
