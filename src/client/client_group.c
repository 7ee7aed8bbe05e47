/* SPDX-License-Identifier: MPL-2.0 */
/* libadrestia: new groups, each made by a set of tokens: an operator's side of GROUP-2 (docs/protocol/groups.md). See
 * include/adrestia.h.
 *
 * The secrets are drawn here, and leave in the tokens' texts only; the PKI group hears of their public halves. */

#include "client/client_token.h"

#include "wire/bounds.h"

#include <sodium.h>
#include <string.h>

static_assert (ADR_GROUP_ZONES_MAX == ADR_ZONES_MAX, "a group has one node a zone");

/* What is asked of the PKI group, and what becomes of it. */
typedef struct {
    uint32_t count;
    adr_token_t token[ADR_GROUP_ZONES_MAX];
    uint8_t key[ADR_GROUP_ZONES_MAX][ADR_KEY_SIZE];
    Adr__Token asked[ADR_GROUP_ZONES_MAX];
} s_set_t;

/* NULL, or what is wrong with the terms. */
static const char *
s_terms_wrong (const adr_group_terms_t *terms, adr_node_type_t *type)
{
    if (!terms->type || !adr_node_type_parse (type, terms->type) || (*type != ADR_NODE_META && *type != ADR_NODE_DATA))
        return "a group is of meta or of data nodes";
    if (terms->zone_count < 1 || terms->zone_count > ADR_GROUP_ZONES_MAX)
        return "a group is founded in 1 to 7 zones";
    bool fits = terms->name == NULL || adr_client_name_fits (terms->name);
    for (size_t i = 0; i < terms->zone_count; i++)
        fits = fits && terms->zone[i] && adr_client_name_fits (terms->zone[i]);
    if (!fits)
        return "names of zones and groups are 1 to 63 printable ASCII characters";
    if (terms->valid_ms < 1 || terms->valid_ms > ADR_TOKEN_VALID_MAX_MS)
        return "a token is valid for a week at most";
    return NULL;
}

static bool
s_draw (s_set_t *set, const adr_group_terms_t *terms, adr_node_type_t type, const adr_map_t *map)
{
    set->count = (uint32_t) terms->zone_count;
    for (uint32_t i = 0; i < set->count; i++) {
        Adr__Token *asked = &set->asked[i];
        set->token[i].type = type;
        set->token[i].founds = true;
        if (!adr_client_token_draw (&set->token[i], map))
            return false;
        adr_token_public (&set->token[i], set->key[i]);
        adr__token__init (asked);
        asked->token_key = (ProtobufCBinaryData){ ADR_KEY_SIZE, set->key[i] };
        asked->type = type;
        asked->zone_name = (char *) terms->zone[i];
        asked->group_name = (char *) (terms->name ? terms->name : "");
        asked->valid_ms = terms->valid_ms;
    }
    return true;
}

/* All of them are kept, as they were asked for, for one group. */
static bool
s_take (s_set_t *set, const Adr__ControlAnswer *answer)
{
    if (answer->n_token_set != set->count)
        return false;
    for (uint32_t i = 0; i < set->count; i++)
        if (!adr_client_token_take (&set->token[i], &set->asked[i], answer->token_set[i])
            || !adr_id_equal (&set->token[i].group, &set->token[0].group)
            || strcmp (set->token[i].group_name, set->token[0].group_name) != 0)
            return false;
    return true;
}

static adr_result_t
s_ask (adr_client_t *self, s_set_t *set)
{
    adr_call_t call;
    adr_call_init (&call, self);
    adr_session_group (self->session, set->asked, set->count, 0, adr_call_done, &call);
    adr_result_t result = adr_call_wait (&call);
    if (result == ADR_OK) {
        Adr__ControlAnswer *answer = call.value.size ? adr__control_answer__unpack (NULL, call.value.size, call.value.data) : NULL;
        if (!answer || !s_take (set, answer))
            result = adr_call_fail (self, ADR_DAMAGED, "the answer is not for the tokens that were asked for");
        if (answer)
            adr__control_answer__free_unpacked (answer, NULL);
    }
    adr_call_free (&call);
    return result;
}

static void
s_fill (adr_group_made_t *made, const s_set_t *set)
{
    snprintf (made->name, sizeof made->name, "%s", set->token[0].group_name);
    made->token_count = set->count;
    for (uint32_t i = 0; i < set->count; i++)
        adr_client_token_made (&made->token[i], &set->token[i]);
}

adr_result_t
adr_group_create (adr_client_t *self, const adr_group_terms_t *terms, adr_group_made_t *made)
{
    s_set_t set = { 0 };
    adr_node_type_t type;
    adr_result_t result;
    *made = (adr_group_made_t){ 0 };
    const char *wrong = s_terms_wrong (terms, &type);
    if (wrong)
        return adr_call_fail (self, ADR_INVALID, wrong);
    adr_map_t *map = adr_client_token_map (self, &result);
    if (map)
        result = s_draw (&set, terms, type, map) ? s_ask (self, &set)
                                                 : adr_call_fail (self, ADR_NOT_FOUND, "no PKI node of the cluster lets new nodes in");
    adr_map_destroy (&map);
    if (result == ADR_OK)
        s_fill (made, &set);
    sodium_memzero (&set, sizeof set);
    return result;
}
