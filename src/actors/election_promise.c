/* SPDX-License-Identifier: MPL-2.0 */
/* The election's polls and promises [ELECT-1]. */

#include "actors/election_private.h"

/* --- promises -------------------------------------------------------------------------------------------------- */

/* Is this node promised to somebody other than `candidate` [ELECT-1]? A master is promised to itself as long as it
 * leads [ELECT-3], but for the successor that it named to all [ELECT-8]. */
bool
election_is_bound (const election_t *self, const adr_id_t *candidate, int64_t now_ns)
{
    const promise_t *promise = &self->promise;
    if (election_leads (self))
        return !(self->released && adr_id_equal (candidate, &self->successor));
    return promise->until_ns > now_ns && !adr_id_equal (candidate, &promise->master)
           && !adr_id_equal (candidate, &promise->lifted_for);
}

bool
election_is_silent (const election_t *self, int64_t now_ns)
{
    if (ADR_PLANT (ELECT_1_NO_SILENCE))
        return self->role == ROLE_STARTING;
    return self->role == ROLE_STARTING || now_ns < self->silent_until_ns;
}

static void
s_note_poll (const election_t *self, uint64_t term, uint64_t round, const adr_id_t *master, uint32_t promised_ms,
             bool accepted, adr_effects_t *effects)
{
    Adr__PollNoted noted = ADR__POLL_NOTED__INIT;
    noted.term = term;
    noted.round = round;
    noted.master = adr_id_view (master);
    noted.promised_ms = promised_ms;
    noted.accepted = accepted;
    election_send_own (self, ADR_ACTOR_HEALTH_CHECKER, ADR__KIND__POLL_NOTED, &noted, effects);
}

static bool
s_is_promised (const election_t *self, uint64_t term, const adr_id_t *master)
{
    return self->promise.term == term && adr_id_equal (&self->promise.master, master);
}

static void
s_persist_promise (election_t *self, uint64_t promise_ms, adr_effects_t *effects)
{
    uint8_t value[PROMISE_SIZE];
    adr_put_u64 (value, promise_ms);
    self->promise_asked_ms = promise_ms;
    self->promise_token = ++self->token;
    effects->persist (effects, "promise", adr_bytes (value, sizeof value), self->promise_token);
}

void
election_on_promise_durable (election_t *self, adr_effects_t *effects)
{
    self->promise_token = 0;
    self->promise_durable_ms = self->promise_asked_ms;
    if (!self->held.waiting)
        return;
    if (self->held.promise_ms > self->promise_durable_ms) {
        s_persist_promise (self, self->held.promise_ms, effects);
        return;
    }
    self->held.waiting = false;
    /* What was promised may be over, or lifted: then the answer must not leave. */
    if (self->held.term == self->term && s_is_promised (self, self->held.term, &self->held.master)
        && adr_id_is_none (&self->promise.lifted_for))
        s_note_poll (self, self->held.term, self->held.round, &self->held.master, self->held.promise_ms, true, effects);
    else
        ADR_MARK ("election: the term moved on while a promise became durable");
}

/* [ELECT-1] The promise counts from now, which is later than the poll was sent; its answer leaves once the promise's
 * length is durable. */
static void
s_promise (election_t *self, const Adr__PollSeen *seen, const adr_id_t *master, int64_t now_ns,
           adr_effects_t *effects)
{
    promise_t *promise = &self->promise;
    int64_t until_ns = now_ns + seen->promise_ms * ADR_MS;
    if (!s_is_promised (self, seen->term, master))
        *promise = (promise_t){ .term = seen->term, .master = *master };
    if (until_ns > promise->until_ns && !ADR_PLANT (ELECT_1_NO_PROMISE))
        promise->until_ns = until_ns;
    if (seen->promise_ms <= self->promise_durable_ms || ADR_PLANT (ELECT_1_PROMISE_NOT_DURABLE)) {
        s_note_poll (self, seen->term, seen->round, master, seen->promise_ms, true, effects);
        return;
    }
    self->held.waiting = true;
    self->held.term = seen->term;
    self->held.round = seen->round;
    self->held.promise_ms = seen->promise_ms;
    self->held.master = *master;
    if (self->promise_token == 0)
        s_persist_promise (self, seen->promise_ms, effects);
}

/* May this node take a poll of this master in this term as one of its own master's? */
static bool
s_is_its_master (election_t *self, const Adr__PollSeen *seen, const adr_id_t *master, adr_effects_t *effects)
{
    bool known = seen->term == self->term && !adr_id_is_none (&self->leader);
    bool promised = seen->term == self->promise.term;
    bool other = (known && !adr_id_equal (master, &self->leader))
                 || (promised && !adr_id_equal (master, &self->promise.master));
    if (!other)
        return true;
    adr_note (effects, ADR_LEVEL_ERROR, "two masters in one term -> the second is refused term=%llu",
              (unsigned long long) seen->term);
    return false;
}

void
election_on_poll_seen (election_t *self, const adr_event_t *event, adr_effects_t *effects)
{
    const Adr__PollSeen *seen = (const Adr__PollSeen *) event->message.header;
    adr_id_t master = adr_id_of (seen->master);
    if (self->role == ROLE_STARTING || seen->term > TERM_MAX || seen->promise_ms > PROMISE_MAX_MS
        || adr_group_find (&self->group, &master) < 0)
        return;
    if (seen->term < self->term && !ADR_PLANT (ELECT_3_PROMISES_TO_LOWER_TERMS)) {
        s_note_poll (self, self->term, seen->round, &master, 0, false, effects);
        return;
    }
    if (!s_is_its_master (self, seen, &master, effects))
        return;
    uint64_t term = seen->term > self->term ? seen->term : self->term;
    bool lifted = s_is_promised (self, seen->term, &master) && !adr_id_is_none (&self->promise.lifted_for);
    if (seen->promise_ms == 0 || lifted) {
        /* Of a master that hands over, or sent before it did: health only [ELECT-8], no evidence. */
        election_hear_term (self, seen->term, event->now_ns, effects);
        s_note_poll (self, seen->term, seen->round, &master, 0, true, effects);
        return;
    }
    if (self->role != ROLE_FOLLOWING || term > self->term)
        election_become_following (self, term, event->now_ns, effects);
    else
        election_wait_for_evidence (self, event->now_ns, effects);
    election_set_leader (self, &master, effects);
    s_promise (self, seen, &master, event->now_ns, effects);
}

void
election_on_ping (election_t *self, const adr_event_t *event, adr_effects_t *effects)
{
    Adr__Pong pong = ADR__PONG__INIT;
    pong.number = ((const Adr__Ping *) event->message.header)->number;
    election_send_own (self, ADR_ACTOR_HEALTH_CHECKER, ADR__KIND__PONG, &pong, effects);
}
