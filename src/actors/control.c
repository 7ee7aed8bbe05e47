/* SPDX-License-Identifier: MPL-2.0 */
/* What an operator asks of an actor: see control.h. */

#include "actors/control.h"

#include "core/credential.h"
#include "wire/pack.h"

static const char *const s_names[] = { [ADR__CONTROL_ACTION__REPAIR_RUN] = "to repair now",
                                       [ADR__CONTROL_ACTION__REPAIR_PAUSE] = "to pause repair",
                                       [ADR__CONTROL_ACTION__SCRUB] = "to scrub now" };

void
adr_control_answer (adr_effects_t *effects, const adr_event_t *event, adr_status_t status, const char *text)
{
    const Adr__Control *control = (const Adr__Control *) event->message.header;
    Adr__ControlAnswer answer = ADR__CONTROL_ANSWER__INIT;
    char asker[ADR_ID_TEXT_SIZE];
    adr_id_t id = adr_id_of (control->asker);
    adr_id_format (&id, asker);
    const char *user = adr_credential_is_access_key (control->asker_name) ? control->asker_name : "of no name";
    adr_note (effects, ADR_LEVEL_NOTE, "user %s (connection %s) asks %s -> %s", user, asker, s_names[control->action], text);
    answer.number = control->number;
    answer.status = status;
    answer.text = (char *) text;
    effects->send (effects, event->message.from, ADR__KIND__CONTROL_ANSWER, &answer.base, adr_bytes (NULL, 0));
}
