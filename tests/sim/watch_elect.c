/* SPDX-License-Identifier: MPL-2.0 */
/* Tells the election's checkers what leaves actors and what comes to them. */

#include "sim.h"

static sim_who_t
s_who (const sim_world_t *world, int place)
{
    const sim_node_t *node = &world->node[place];
    return (sim_who_t){ place, node->incarnation, node->boot, world->now_ns };
}

/* The moment at which the node's own clock shows this. */
static int64_t
s_true (const sim_world_t *world, int node, int64_t local_ns)
{
    return sim_true_time (world, world->node[node].host, local_ns);
}

static int64_t
s_local (const sim_world_t *world, int node)
{
    return sim_clock (world, world->node[node].host);
}

static int
s_node (const sim_world_t *world, ProtobufCBinaryData field)
{
    adr_id_t id = adr_id_of (field);
    return sim_node_of (world, &id);
}

static uint64_t
s_stored_u64 (const sim_world_t *world, int node, const char *name)
{
    uint8_t value[64];
    int size = sim_state_get ((void *) &world->node[node].disk.state, name, value, sizeof value);
    return size >= 8 ? adr_get_u64 (value) : 0;
}

/* For whom the vote on disk is. */
static int
s_stored_vote (const sim_world_t *world, int node)
{
    uint8_t value[64];
    adr_id_t id;
    if (sim_state_get ((void *) &world->node[node].disk.state, "vote", value, sizeof value) < 8 + ADR_ID_SIZE)
        return -1;
    memcpy (id.bytes, value + 8, ADR_ID_SIZE);
    return sim_node_of (world, &id);
}

static void
s_read_voters (adr_voters_t *voters, const Adr__VoterSet *set)
{
    if (!set || !adr_voter_set_read (voters, set))
        *voters = (adr_voters_t){ 0 };
}

static sim_asked_t
s_call (const Adr__Call *call)
{
    sim_asked_t asked = { .number = call->number, .term = call->term, .last = { call->last_term, call->last_index },
                          .incarnation = call->incarnation };
    s_read_voters (&asked.voters, call->voters);
    return asked;
}

static sim_asked_t
s_request (const Adr__VoteRequest *request)
{
    sim_asked_t asked = { .term = request->term, .last = { request->last_term, request->last_index },
                          .incarnation = request->incarnation };
    s_read_voters (&asked.voters, request->voters);
    return asked;
}

/* --- what leaves an election ------------------------------------------------------------------------------------- */

static void
s_sent_noted (sim_world_t *world, const sim_who_t *who, const Adr__PollNoted *noted)
{
    if (!noted->accepted)
        return;
    sim_round_t poll = { noted->term, noted->round, s_node (world, noted->master), noted->promised_ms, 0 };
    sim_votes_accepts (&world->votes, who, noted->term);
    sim_promises_noted (&world->promises, who, &poll, s_stored_u64 (world, who->node, "promise"));
}

static void
s_sent_vote (sim_world_t *world, const sim_who_t *who, int to, const Adr__Vote *vote)
{
    uint64_t stored_term = s_stored_u64 (world, who->node, "vote");
    if (!vote->granted) {
        bool excused = stored_term == vote->term || sim_promises_perhaps_bound (&world->promises, who, to);
        sim_votes_refuses (&world->votes, who, to, vote->term, excused);
        return;
    }
    sim_promises_favours (&world->promises, who, to, "votes for");
    sim_votes_grants (&world->votes, who, to, vote->to_incarnation, vote->term, stored_term,
                      s_stored_vote (world, who->node));
}

static void
s_sent_request (sim_world_t *world, const sim_who_t *who, const Adr__VoteRequest *request)
{
    sim_asked_t asked = s_request (request);
    sim_promises_favours (&world->promises, who, who->node, "asks for votes for");
    sim_votes_requests (&world->votes, who, &asked, s_stored_u64 (world, who->node, "vote"),
                        s_stored_vote (world, who->node));
}

/* Every lease that still runs belongs to a term that is over now. */
static void
s_sent_lead (sim_world_t *world, const sim_who_t *who, uint64_t term)
{
    sim_votes_elected (&world->votes, who, term);
    sim_promises_leads (&world->promises, who, term);
    for (int i = 0; i < world->node_count; i++)
        if (i != who->node && world->node[i].replicates && world->node[i].store) {
            sim_who_t other = s_who (world, i);
            sim_promises_elected_beside (&world->promises, &other, term, adr_store_voters (world->node[i].store));
        }
}

static void
s_left_election (sim_world_t *world, const sim_who_t *who, const adr_address_t *to, uint16_t kind,
                 const ProtobufCMessage *header)
{
    int other = sim_node_of (world, &to->node);
    sim_asked_t call;
    switch (kind) {
    case ADR__KIND__POLL_NOTED:
        s_sent_noted (world, who, (const Adr__PollNoted *) header);
        break;
    case ADR__KIND__CALL:
        call = s_call ((const Adr__Call *) header);
        sim_promises_favours (&world->promises, who, who->node, "calls for");
        sim_votes_calls (&world->votes, who, &call);
        break;
    case ADR__KIND__SUPPORT:
        sim_promises_favours (&world->promises, who, other, "supports");
        sim_votes_supports (&world->votes, who, other, ((const Adr__Support *) header)->number,
                            ((const Adr__Support *) header)->to_incarnation);
        break;
    case ADR__KIND__VOTE_REQUEST:
        s_sent_request (world, who, (const Adr__VoteRequest *) header);
        break;
    case ADR__KIND__VOTE:
        s_sent_vote (world, who, other, (const Adr__Vote *) header);
        break;
    case ADR__KIND__FENCE:
        sim_votes_asks_fence (&world->votes, who, ((const Adr__Fence *) header)->term);
        break;
    case ADR__KIND__LEAD:
        s_sent_lead (world, who, ((const Adr__Lead *) header)->term);
        break;
    case ADR__KIND__STOOD_DOWN:
        if (!((const Adr__StoodDown *) header)->lease_only)
            sim_promises_leads (&world->promises, who, 0);
        break;
    case ADR__KIND__RELEASE:
        sim_promises_releases (&world->promises, who, s_node (world, ((const Adr__Release *) header)->successor));
        break;
    case ADR__KIND__STAND:
        sim_promises_releases (&world->promises, who, s_node (world, ((const Adr__Stand *) header)->successor));
        break;
    default:
        break;
    }
}

/* --- what leaves a replicator ------------------------------------------------------------------------------------- */

static void
s_sent_fenced (sim_world_t *world, const sim_who_t *who, const Adr__Fenced *fenced)
{
    const adr_store_t *store = world->node[who->node].store;
    adr_voters_t voters;
    if (fenced->refused)
        return;
    s_read_voters (&voters, fenced->voters);
    uint64_t stored = s_stored_u64 (world, who->node, "fence");
    if (stored < adr_store_term (store))
        stored = adr_store_term (store);
    sim_votes_fenced (&world->votes, who, fenced->term, (adr_position_t){ fenced->last_term, fenced->last_index },
                      &voters, stored, adr_store_synced (store));
}

static void
s_told_voters (sim_world_t *world, const sim_who_t *who, const Adr__Voters *told)
{
    sim_votes_told_fence (&world->votes, who, told->term, told->last_term);
    if (told->may_stand && adr_store_missing_from (world->node[who->node].store) != 0)
        sim_fail (&world->verdict, "who misses entries does not stand [STORE-5, REPL-7]",
                  "%s tells its election that it may", world->node[who->node].name);
}

static void
s_left_replicator (sim_world_t *world, const sim_who_t *who, uint16_t kind, const ProtobufCMessage *header)
{
    switch (kind) {
    case ADR__KIND__FENCED:
        s_sent_fenced (world, who, (const Adr__Fenced *) header);
        break;
    case ADR__KIND__VOTERS:
        s_told_voters (world, who, (const Adr__Voters *) header);
        break;
    case ADR__KIND__RESIGN:
        sim_polls_resigns (&world->polls, who, ((const Adr__Resign *) header)->term);
        break;
    case ADR__KIND__APPEND:
        sim_votes_sends_append (&world->votes, who, ((const Adr__Append *) header)->term);
        break;
    case ADR__KIND__APPEND_ACK:
        sim_votes_sends_ack (&world->votes, who, ((const Adr__AppendAck *) header)->term,
                             ((const Adr__AppendAck *) header)->confirmed);
        break;
    case ADR__KIND__READ_INDEX_ANSWER:
        if (((const Adr__ReadIndexAnswer *) header)->ok)
            sim_watch_lease (world, who->node, ((const Adr__ReadIndexAnswer *) header)->term, world->now_ns);
        break;
    default:
        break;
    }
}

/* The node read under its lease, at some moment since then. */
void
sim_watch_lease (sim_world_t *world, int node, uint64_t term, int64_t since_ns)
{
    sim_who_t who = s_who (world, node);
    if (!world->options.settings.reads_by_quorum)
        sim_promises_lease_used (&world->promises, &who, term, adr_store_voters (world->node[node].store), since_ns);
}

/* --- what leaves a health_checker --------------------------------------------------------------------------------- */

static void
s_left_health_checker (sim_world_t *world, const sim_who_t *who, const adr_address_t *to, uint16_t kind,
                       const ProtobufCMessage *header)
{
    const Adr__PollAnswer *answer = (const Adr__PollAnswer *) header;
    if (kind == ADR__KIND__PING)
        sim_polls_pings (&world->polls, who, ((const Adr__Ping *) header)->number);
    if (kind == ADR__KIND__POLL)
        sim_polls_polls (&world->polls, who, ((const Adr__Poll *) header)->term, ((const Adr__Poll *) header)->round);
    if (kind == ADR__KIND__POLL_ANSWER && answer->promise_ms) {
        sim_round_t poll = { answer->term, answer->round, sim_node_of (world, &to->node), answer->promise_ms, 0 };
        sim_promises_answered (&world->promises, who, &poll);
    }
}

void
sim_watch_elect_send (sim_world_t *world, const sim_actor_t *from, const adr_address_t *to, uint16_t kind,
                      const ProtobufCMessage *header)
{
    if (world->options.guests)
        return; /* these checkers know what each clock shows when; a guest's stands still */
    sim_who_t who = s_who (world, from->node);
    sim_ghosts_join (world, from->node, kind);
    if (from->class->kind == ADR_ACTOR_ELECTION)
        s_left_election (world, &who, to, kind, header);
    else if (from->class->kind == ADR_ACTOR_REPLICATOR)
        s_left_replicator (world, &who, kind, header);
    else if (from->class->kind == ADR_ACTOR_HEALTH_CHECKER)
        s_left_health_checker (world, &who, to, kind, header);
}

/* --- what comes ---------------------------------------------------------------------------------------------------- */

static void
s_came_seen (sim_world_t *world, const sim_who_t *who, const Adr__PollSeen *seen)
{
    int64_t until_ns = s_true (world, who->node, s_local (world, who->node) + seen->promise_ms * ADR_MS);
    sim_round_t poll = { seen->term, seen->round, s_node (world, seen->master), seen->promise_ms, until_ns };
    sim_promises_seen (&world->promises, who, &poll);
}

static void
s_came_to_election (sim_world_t *world, const sim_who_t *who, int from, uint16_t kind, const ProtobufCMessage *header)
{
    const Adr__Release *release = (const Adr__Release *) header;
    const Adr__Stand *stand = (const Adr__Stand *) header;
    const Adr__Voters *news = (const Adr__Voters *) header;
    sim_asked_t asked;
    adr_voters_t voters;
    switch (kind) {
    case ADR__KIND__POLL_SEEN:
        s_came_seen (world, who, (const Adr__PollSeen *) header);
        break;
    case ADR__KIND__VOTERS:
        s_read_voters (&voters, news->voters);
        sim_votes_heard_voters (&world->votes, who, news->term, voters.count);
        break;
    case ADR__KIND__CALL:
        asked = s_call ((const Adr__Call *) header);
        sim_votes_call_came (&world->votes, who, from, &asked);
        break;
    case ADR__KIND__VOTE_REQUEST:
        asked = s_request ((const Adr__VoteRequest *) header);
        sim_votes_request_came (&world->votes, who, from, &asked);
        break;
    case ADR__KIND__RELEASE:
        if (s_node (world, release->master) == from)
            sim_promises_lifted (&world->promises, who, release->term, from, s_node (world, release->successor));
        break;
    case ADR__KIND__STAND:
        if (s_node (world, stand->master) != from || s_node (world, stand->successor) != who->node)
            break;
        sim_promises_lifted (&world->promises, who, stand->term, from, who->node);
        sim_votes_told_to_stand (&world->votes, who, stand->term);
        break;
    default:
        break;
    }
}

/* Of a member's present life, to the master that leads in the term. */
static bool
s_is_present (const sim_world_t *world, int master, int from, uint64_t term, uint64_t incarnation)
{
    return from >= 0 && world->node[from].incarnation == incarnation && world->node[master].leads == term;
}

static void
s_came_confirmation (sim_world_t *world, const sim_who_t *who, int from)
{
    sim_promises_confirms (&world->promises, who, from, world->node[from].incarnation);
    sim_votes_ack_came (&world->votes, who, from);
}

static void
s_came_to_replicator (sim_world_t *world, const sim_who_t *who, int from, uint16_t kind, const ProtobufCMessage *header)
{
    const Adr__Append *append = (const Adr__Append *) header;
    const Adr__AppendAck *ack = (const Adr__AppendAck *) header;
    const Adr__AppendRefused *refused = (const Adr__AppendRefused *) header;
    const Adr__Answered *answered = (const Adr__Answered *) header;
    int64_t until_ns;
    switch (kind) {
    case ADR__KIND__LEAD:
        sim_changes_leads (&world->changes, who, ((const Adr__Lead *) header)->term,
                           adr_store_last (world->node[who->node].store).index + 1);
        break;
    case ADR__KIND__APPEND:
        sim_votes_append_came (&world->votes, who, append->term, append->incarnation, append->prev_index + append->count);
        break;
    case ADR__KIND__APPEND_ACK:
        if (s_is_present (world, who->node, from, ack->term, ack->incarnation))
            s_came_confirmation (world, who, from);
        break;
    case ADR__KIND__APPEND_REFUSED:
        if (s_is_present (world, who->node, from, refused->term, refused->incarnation)) {
            sim_promises_confirms (&world->promises, who, from, refused->incarnation);
            sim_votes_refusal_came (&world->votes, who, from, refused->term);
        }
        break;
    case ADR__KIND__ANSWERED:
        until_ns = s_true (world, who->node, answered->sent_ns + answered->promise_ms * ADR_MS / 10 * 9);
        if (answered->promise_ms && s_node (world, answered->voter) >= 0)
            sim_promises_prolongs (&world->promises, who, answered->term, s_node (world, answered->voter),
                                   answered->incarnation, until_ns);
        break;
    default:
        break;
    }
}

void
sim_watch_elect_deliver (sim_world_t *world, const sim_actor_t *to, const adr_event_t *event)
{
    if (world->options.guests)
        return;
    sim_who_t who = s_who (world, to->node);
    uint16_t kind = event->message.kind;
    const ProtobufCMessage *header = event->message.header;
    int from = sim_node_of (world, &event->message.from.node);
    if (to->class->kind == ADR_ACTOR_ELECTION && from >= 0)
        s_came_to_election (world, &who, from, kind, header);
    else if (to->class->kind == ADR_ACTOR_REPLICATOR) {
        if (world->promises.node[to->node].lease_term != world->node[to->node].lease_term)
            sim_promises_lease (&world->promises, &who, world->node[to->node].lease_term);
        s_came_to_replicator (world, &who, from, kind, header);
    } else if (to->class->kind == ADR_ACTOR_HEALTH_CHECKER && kind == ADR__KIND__PONG)
        sim_polls_pong_came (&world->polls, &who, event->message.from.actor == ADR_ACTOR_REPLICATOR,
                             ((const Adr__Pong *) header)->number);
}

/* A new incarnation counts like any other voter once the entry that admits it is committed: the next disk may go. */
static void
s_watch_admission (sim_world_t *world, const sim_node_t *master)
{
    const adr_voters_t *voters = adr_store_voters (master->store);
    if (!master->leads || voters->at.index > adr_store_commit (master->store))
        return;
    for (int i = 0; i < world->node_count; i++) {
        sim_node_t *node = &world->node[i];
        if (node->amnesic && node->store && adr_voters_find (voters, &node->id, node->incarnation) >= 0) {
            SIM_TRACE (world, "%s is a voter again", node->name);
            node->amnesic = false;
        }
    }
}

/* After each turn of a replicator. */
void
sim_watch_elect_turn (sim_world_t *world, int place)
{
    const sim_node_t *node = &world->node[place];
    s_watch_admission (world, node);
    if (world->options.guests)
        return;
    sim_who_t who = s_who (world, place);
    const adr_store_t *store = node->store;
    if (world->trust)
        world->changes.group_size = node->wanted;
    sim_changes_voters (&world->changes, &who, node->leads, adr_store_voters (store), adr_store_commit (store));
    sim_leading_t leading = {
        .term = node->lease_term, .commit = adr_store_commit (store), .last = adr_store_last (store).index,
        .limit_ns = world->options.settings.election_max_ns * 20 / 19, /* by a clock that is slow */
        .silence_ns = world->options.settings.election_max_ns * 40 / 19,
        .confirmed_ns = sim_promises_quorum_confirms (&world->promises, &who, adr_store_voters (store)),
        .quorum_answers = !sim_waits_for_space (world)
                          && sim_promises_quorum_answers (&world->promises, &who, adr_store_voters (store)),
    };
    sim_polls_leads (&world->polls, &who, &leading);
}
