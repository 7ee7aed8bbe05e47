/* SPDX-License-Identifier: MPL-2.0 */
/* How a node whose group is made by a set of tokens founds it, once the registry says by whom; until then it says for whom it waits.
 * docs/protocol/groups.md. Implements GROUP-6. */

#include "actors/replicator_private.h"

#include "core/map_forming.h"

static void
s_note_who_lacks (replicator_t *self, const adr_map_group_t *group)
{
    uint32_t lacking = group->forming_zone_count - group->forming_count;
    char names[ADR_ZONES_MAX * (ADR_NAME_MAX + 2)];
    if (lacking == self->forming_lacks)
        return;
    self->forming_lacks = lacking;
    adr_map_forming_lacks (self->map, group, names, sizeof names);
    adr_note (self->effects, ADR_LEVEL_NOTE, "group %s is forming -> this node waits until one has joined in %s", group->name, names);
}

void
replicator_tend_founding (replicator_t *self)
{
    const adr_environment_t *environment = self->environment;
    const adr_map_group_t *group = adr_map_group (self->map, &environment->group);
    adr_voters_t founding = group ? group->founding : (adr_voters_t){ 0 };
    founding.at = (adr_position_t){ 0, 0 }; /* whatever the registry says */
    if (group && adr_map_is_forming (group))
        s_note_who_lacks (self, group);
    if (group == NULL || !adr_store_lacks_voters (self->store)
        || adr_voters_find (&founding, &environment->node, environment->incarnation) < 0)
        return;
    ADR_MARK ("a group is founded");
    adr_note (self->effects, ADR_LEVEL_NOTE, "group %s is formed -> founded by %u voters, this node among them", group->name,
              group->founding.count);
    adr_store_found (self->store, &founding);
}
