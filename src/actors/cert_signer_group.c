/* SPDX-License-Identifier: MPL-2.0 */
/* cert_signer: new groups, each with a set of tokens by which its nodes come in. See cert_signer_change.c; rules: docs/protocol/groups.md
 * (GROUP-1, GROUP-2). */

#include "actors/cert_signer_private.h"

#include "core/map_forming.h"
#include "core/token.h"

#include <stdio.h>

#define S_AUDIT_MAX (ADR_ZONES_MAX * (ADR_NAME_MAX + 1) + ADR_NAME_MAX + 64) /* of its row: names, and words between them */

static const adr_bytes_t s_nothing;

void
cert_signer_answer_group (adr_address_t asker, uint64_t number, adr_status_t status, const char *text, const change_t *change,
                          adr_effects_t *effects)
{
    Adr__ControlAnswer answer = ADR__CONTROL_ANSWER__INIT;
    Adr__Token token[ADR_ZONES_MAX], *pointer[ADR_ZONES_MAX];
    answer.number = number;
    answer.status = status;
    answer.text = (char *) text;
    answer.token_set = pointer;
    for (uint32_t i = 0; change && i < change->set.count; i++) {
        change_token_message (&change->set.kept[i], &token[i]);
        pointer[answer.n_token_set++] = &token[i];
    }
    effects->send (effects, asker, ADR__KIND__CONTROL_ANSWER, &answer.base, s_nothing);
}

bool
change_is_same_set (const change_t *a, const change_t *b)
{
    bool same = a->set.count == b->set.count;
    for (uint32_t i = 0; same && i < a->set.count; i++) {
        const change_token_t *one = &a->set.asked[i], *other = &b->set.asked[i];
        same = memcmp (one->key, other->key, ADR_KEY_SIZE) == 0 && one->valid_ms == other->valid_ms
               && strcmp (one->group_name, other->group_name) == 0 && change_token_is_as_asked (one, other);
    }
    return same;
}

/* --- what is decided ------------------------------------------------------------------------------------------------ */

/* Its type and the first number that is free. */
static void
s_name_group (const adr_map_t *map, adr_node_type_t type, char name[ADR_NAME_MAX + 1])
{
    bool taken = true;
    for (uint32_t number = 1; taken; number++) {
        snprintf (name, ADR_NAME_MAX + 1, "%s%u", adr_node_type_name (type), number);
        taken = false;
        for (uint32_t i = 0; i < map->group_count && !taken; i++)
            taken = strcmp (map->group[i].name, name) == 0;
    }
}

/* Names and zones of the tokens, the group's in `group`. OK, or why there can be no such group. */
static adr_status_t
s_settle_tokens (change_t *change, const adr_map_t *held, adr_map_group_t *group, const char **text)
{
    for (uint32_t i = 0; i < change->set.count; i++) {
        change_token_t *token = &change->set.kept[i];
        const adr_map_zone_t *zone = change_zone (held, change->set.asked[i].zone_name);
        *token = change->set.asked[i];
        *text = "there is no zone of one of these names";
        if (zone == NULL)
            return ADR_STATUS_INVALID;
        *text = "a zone is named twice";
        if (adr_map_forms_in (group, &zone->id))
            return ADR_STATUS_INVALID;
        group->forming_zone[group->forming_zone_count++] = token->zone = zone->id;
        token->group = group->id;
        snprintf (token->group_name, sizeof token->group_name, "%s", group->name);
        change_token_name (token, held);
        *text = "a node of the name that one of them would have is in the registry: name the group otherwise";
        if (adr_map_node_by_name (held, token->name))
            return ADR_STATUS_REFUSED;
        for (uint32_t before = 0; before < i; before++)
            if (strcmp (change->set.kept[before].name, token->name) == 0)
                return ADR_STATUS_REFUSED;
    }
    return ADR_STATUS_OK;
}

static adr_id_t
s_draw_id (cert_signer_t *self)
{
    adr_id_t id;
    adr_put_u64 (id.bytes, cert_signer_draw (self));
    adr_put_u64 (id.bytes + 8, cert_signer_draw (self));
    id.bytes[6] = (uint8_t) ((id.bytes[6] & 0x0f) | 0x40); /* UUID version 4, RFC 4122 */
    id.bytes[8] = (uint8_t) ((id.bytes[8] & 0x3f) | 0x80);
    return id;
}

/* [GROUP-1] The group that is to come, and its tokens' records, with what was left open filled in. */
static adr_status_t
s_settle (cert_signer_t *self, const adr_map_t *held, adr_map_group_t *group, const char **text)
{
    change_t *change = cert_signer_change (self);
    const change_token_t *asked = &change->set.asked[0];
    *group = (adr_map_group_t){ .id = s_draw_id (self), .type = asked->type, .founding.quorum = held->quorum };
    snprintf (group->name, sizeof group->name, "%s", asked->group_name);
    if (*group->name == 0)
        s_name_group (held, group->type, group->name);
    *text = "there is a group of that name";
    for (uint32_t i = 0; i < held->group_count; i++)
        if (strcmp (held->group[i].name, group->name) == 0)
            return ADR_STATUS_REFUSED;
    *text = "there can be no more groups";
    if (held->group_count == ADR_GROUPS_MAX)
        return ADR_STATUS_REFUSED;
    adr_status_t status = s_settle_tokens (change, held, group, text);
    if (status != ADR_STATUS_OK)
        return status;
    *text = "a group is founded in one zone more than the quorum has disks, or in all zones there are: name more";
    return group->forming_zone_count < adr_map_zones_needed (held) ? ADR_STATUS_REFUSED : ADR_STATUS_OK;
}

/* [GROUP-2] The registry, the tokens and the audit's row: together or not at all. */
static void
s_write (cert_signer_t *self, adr_map_t *held, const adr_map_group_t *group, const adr_event_t *event, adr_effects_t *effects)
{
    change_t *change = cert_signer_change (self);
    char more[S_AUDIT_MAX];
    held->group = adr_realloc (held->group, (held->group_count + 1) * sizeof *held->group);
    held->group[held->group_count++] = *group;
    change_ops_begin (change);
    if (!change_add_registry (self, held, effects))
        return;
    size_t used = (size_t) snprintf (more, sizeof more, "\"group\": \"%s\", \"zones\": \"", group->name);
    for (uint32_t i = 0; i < change->set.count; i++) {
        change_token_t *token = &change->set.kept[i];
        adr_buffer_t record = { 0 };
        token->valid_ms += (uint64_t) event->wall_ms;
        change_token_encode (token, &record);
        change_add_op (change, ADR_TABLE_TOKEN, adr_bytes (token->key, ADR_KEY_SIZE), adr_bytes (record.data, record.size), true, NULL);
        adr_buffer_free (&record);
        used += (size_t) snprintf (more + used, sizeof more - used, "%s%s", i ? " " : "", token->zone_name);
    }
    snprintf (more + used, sizeof more - used, "\"");
    change_add_audit (change, held->epoch, 0, "group-create", more, event->wall_ms);
    change_write (self, event, effects);
}

/* [GROUP-2] This very question, asked again: all of them are kept, as they were asked for, and for one group. */
static bool
s_is_as_asked (const change_t *change)
{
    for (uint32_t i = 0; i < change->set.count; i++)
        if (change->set.kept[i].type == 0 || !change_token_is_as_asked (&change->set.asked[i], &change->set.kept[i])
            || !adr_id_equal (&change->set.kept[i].group, &change->set.kept[0].group))
            return false;
    return true;
}

void
cert_signer_decide_group (cert_signer_t *self, adr_map_t *held, const adr_event_t *event, adr_effects_t *effects)
{
    change_t *change = cert_signer_change (self);
    adr_map_group_t group;
    const char *text;
    uint32_t known = 0;
    for (uint32_t i = 0; i < change->set.count; i++)
        known += change->set.kept[i].type != 0;
    if (known && !s_is_as_asked (change))
        change_end (self, ADR_STATUS_DENIED, "another token has one of these keys", effects);
    else if (known && cert_signer_map (self)->epoch < held->epoch)
        change_wait (change, "it is committed, and too few PKI nodes have signed it yet: ask again", event->now_ns);
    else if (known)
        change_end (self, ADR_STATUS_OK, "", effects);
    else {
        adr_status_t status = s_settle (self, held, &group, &text);
        if (status == ADR_STATUS_OK)
            s_write (self, held, &group, event, effects);
        else
            change_end (self, status, text, effects);
    }
}

/* --- what is asked -------------------------------------------------------------------------------------------------- */

static bool
s_is_sound (const change_t *asked, uint32_t at)
{
    const change_token_t *token = &asked->set.asked[at], *first = &asked->set.asked[0];
    for (uint32_t before = 0; before < at; before++)
        if (memcmp (asked->set.asked[before].key, token->key, ADR_KEY_SIZE) == 0)
            return false;
    return adr_id_is_none (&token->node) && *token->name == 0 && *token->zone_name && token->type == first->type
           && strcmp (token->group_name, first->group_name) == 0 && token->valid_ms == first->valid_ms;
}

/* NULL, or what is wrong with the question. */
static const char *
s_read_question (change_t *asked, const Adr__Control *control)
{
    if (control->n_token_set == 0 || control->n_token_set > ADR_ZONES_MAX)
        return "a group is made by a token a zone";
    for (uint32_t i = 0; i < control->n_token_set; i++) {
        asked->set.count = i + 1;
        if (!change_token_read (&asked->set.asked[i], control->token_set[i]) || !s_is_sound (asked, i))
            return "tokens of a set have a key and a zone each, and type, group's name and time alike; names are letters, digits and -_.@";
        asked->set.asked[i].withdrawn = false;
    }
    const change_token_t *first = &asked->set.asked[0];
    if (first->type != ADR_NODE_META && first->type != ADR_NODE_DATA)
        return "a group is of meta or of data nodes";
    if (first->valid_ms == 0 || first->valid_ms > ADR_TOKEN_VALID_MAX_MS)
        return "a token is valid for a week at most";
    return NULL;
}

void
cert_signer_on_group (cert_signer_t *self, const adr_event_t *event, adr_effects_t *effects)
{
    const Adr__Control *control = (const Adr__Control *) event->message.header;
    change_t asked = cert_signer_asked (CHANGE_GROUP, event);
    adr_status_t status = ADR_STATUS_INVALID;
    const char *why = s_read_question (&asked, control);
    if (why == NULL && !cert_signer_begin_change (self, &asked, event, effects)) {
        status = ADR_STATUS_REFUSED;
        why = "busy: the registry is being changed";
    }
    if (why)
        cert_signer_answer_group (asked.asker, control->number, status, why, NULL, effects);
}
