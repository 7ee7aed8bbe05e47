/* SPDX-License-Identifier: MPL-2.0 */
/* cert_signer: what edges are told of S3 credentials and users. Rules: docs/protocol/credentials.md (KEY-2, KEY-4).
 *
 *     CREDENTIALS_ASK ──▶ waiting ──a strong read of the generation──▶ as the asker has it: CREDENTIALS { same }
 *                                                  └──▶ a page ──a strong list──▶ CREDENTIALS, secrets unsealed
 *
 * One question to the group is under way at a time, and answers all who came before it began. Whatever fails is not answered: the
 * asker goes to another PKI node. */

#include "actors/cert_signer_private.h"

#include "wire/credential_codec.h"

#include <sodium.h>
#include <stdlib.h>

#define S_LIMIT_MS 1000
#define S_SILENT_NS (1000 * ADR_MS) /* the askers have gone elsewhere by then */
#define S_PAGE_MAX (192 * 1024)     /* with one more credential it fits a pack easily */

static const adr_bytes_t s_nothing;

static void s_go_on (cert_signer_t *self, int64_t now_ns, adr_effects_t *effects);

/* --- who asks ------------------------------------------------------------------------------------------------------ */

/* An edge's newer question takes the place of its older one. */
static credential_ask_t *
s_place (credential_desk_t *desk, const adr_id_t *node)
{
    credential_ask_t *free = NULL;
    for (uint32_t i = 0; i < CREDENTIAL_ASKS_MAX; i++) {
        credential_ask_t *ask = &desk->ask[i];
        if (ask->phase != ASK_FREE && adr_id_equal (&ask->asker.node, node))
            return ask;
        if (ask->phase == ASK_FREE && free == NULL)
            free = ask;
    }
    return free;
}

void
cert_signer_on_credentials_ask (cert_signer_t *self, const adr_event_t *event, adr_effects_t *effects)
{
    const Adr__CredentialsAsk *from = (const Adr__CredentialsAsk *) event->message.header;
    credential_ask_t *ask = s_place (cert_signer_desk (self), &event->message.from.node);
    if (ask == NULL || cert_signer_sealing_key (self) == NULL || (*from->after && !adr_credential_is_access_key (from->after)))
        return;
    *ask = (credential_ask_t){ .phase = ASK_WAITING, .asker = event->message.from, .number = from->number,
                               .generation = from->generation, .held = from->held };
    memcpy (ask->after, from->after, strlen (from->after) + 1);
    s_go_on (self, event->now_ns, effects);
}

/* --- the group's answers ------------------------------------------------------------------------------------------- */

static void
s_forget (credential_desk_t *desk, ask_phase_t phase)
{
    for (uint32_t i = 0; i < CREDENTIAL_ASKS_MAX; i++)
        if (desk->ask[i].phase == phase)
            desk->ask[i] = (credential_ask_t){ 0 };
}

static void
s_on_generation (cert_signer_t *self, const adr_event_t *event, adr_effects_t *effects)
{
    const Adr__Answer *answer = (const Adr__Answer *) event->message.header;
    credential_desk_t *desk = cert_signer_desk (self);
    generation_t generation = { 0 };
    bool known = answer->status == ADR_STATUS_NOT_FOUND
                 || (answer->status == ADR_STATUS_OK && generation_decode (&generation, event->message.payload));
    if (!known) {
        s_forget (desk, ASK_READING);
        return;
    }
    desk->generation = generation.number;
    for (uint32_t i = 0; i < CREDENTIAL_ASKS_MAX; i++) {
        credential_ask_t *ask = &desk->ask[i];
        if (ask->phase != ASK_READING)
            continue;
        ask->phase = ASK_PAGE;
        if (!ask->held || ask->generation != generation.number)
            continue;
        Adr__Credentials same = ADR__CREDENTIALS__INIT;
        same.number = ask->number;
        same.generation = generation.number;
        same.same = true;
        effects->send (effects, ask->asker, ADR__KIND__CREDENTIALS, &same.base, s_nothing);
        *ask = (credential_ask_t){ 0 };
    }
}

/* [KEY-2] A disabled one's secret stays here; one that cannot be opened is refused by the edges, not forgotten by them: there may be a
 * local one of that name. */
static void
s_open (cert_signer_t *self, adr_credential_t *credential)
{
    credential_desk_t *desk = cert_signer_desk (self);
    if (credential->role) /* a user has none */
        return;
    bool good = adr_credential_unseal (credential, &cert_signer_environment (self)->cluster, cert_signer_sealing_key (self));
    desk->unreadable += !good;
    credential->disabled |= !good;
    if (credential->disabled)
        sodium_memzero (credential->secret, sizeof credential->secret);
}

/* The page's rows, as many as there is room for; true if there are more behind them. `last`: the last one's access key. */
static bool
s_make_page (cert_signer_t *self, adr_bytes_t rows, bool more, adr_buffer_t *page, char last[ADR_CREDENTIAL_ACCESS_MAX + 1])
{
    adr_bytes_t key, value;
    adr_version_t version;
    uint64_t time_ms;
    adr_credential_t credential;
    while (adr_list_row_next (&rows, &key, &value, &version, &time_ms)) {
        if (page->size > S_PAGE_MAX) {
            more = true;
            break;
        }
        if (!adr_credential_decode (&credential, value)) {
            cert_signer_desk (self)->unreadable++;
            continue;
        }
        s_open (self, &credential);
        adr_credential_row_append (page, &credential);
        memcpy (last, credential.access_key, sizeof credential.access_key);
    }
    sodium_memzero (&credential, sizeof credential);
    return more && *last;
}

static void
s_on_list (cert_signer_t *self, const adr_event_t *event, adr_effects_t *effects)
{
    const Adr__ListAnswer *answer = (const Adr__ListAnswer *) event->message.header;
    credential_desk_t *desk = cert_signer_desk (self);
    adr_buffer_t page = { 0 };
    char last[ADR_CREDENTIAL_ACCESS_MAX + 1] = "";
    if (answer->status != ADR_STATUS_OK) {
        s_forget (desk, ASK_PAGE);
        return;
    }
    uint64_t unreadable = desk->unreadable;
    Adr__Credentials credentials = ADR__CREDENTIALS__INIT;
    credentials.more = s_make_page (self, event->message.payload, answer->more, &page, last);
    credentials.generation = desk->generation;
    credentials.last = last;
    for (uint32_t i = 0; i < CREDENTIAL_ASKS_MAX; i++) {
        credential_ask_t *ask = &desk->ask[i];
        if (ask->phase != ASK_PAGE || strcmp (ask->after, desk->after) != 0)
            continue;
        credentials.number = ask->number;
        effects->send (effects, ask->asker, ADR__KIND__CREDENTIALS, &credentials.base, adr_bytes (page.data, page.size));
        *ask = (credential_ask_t){ 0 };
    }
    if (desk->unreadable > unreadable)
        adr_note (effects, ADR_LEVEL_ERROR, "credentials cannot be read, or their secrets not be opened by this node's sealing.key -> edges refuse them count=%llu",
                  (unsigned long long) (desk->unreadable - unreadable));
    adr_buffer_wipe (&page);
}

bool
cert_signer_on_credentials_read (cert_signer_t *self, const adr_event_t *event, adr_effects_t *effects)
{
    credential_desk_t *desk = cert_signer_desk (self);
    bool list = event->message.kind == ADR__KIND__LIST_ANSWER;
    uint64_t number = list ? ((const Adr__ListAnswer *) event->message.header)->number
                           : ((const Adr__Answer *) event->message.header)->number;
    if (desk->number == 0 || number != desk->number)
        return false;
    desk->number = 0;
    if (list && desk->lists)
        s_on_list (self, event, effects);
    else if (!list && !desk->lists)
        s_on_generation (self, event, effects);
    else /* a list that is refused is answered like a read */
        s_forget (desk, desk->lists ? ASK_PAGE : ASK_READING);
    s_go_on (self, event->now_ns, effects);
    return true;
}

/* --- questions to the group ---------------------------------------------------------------------------------------- */

static void
s_begin (cert_signer_t *self, bool lists, int64_t now_ns)
{
    credential_desk_t *desk = cert_signer_desk (self);
    desk->number = cert_signer_number (self);
    desk->lists = lists;
    desk->silent_ns = now_ns + S_SILENT_NS;
}

static void
s_list (cert_signer_t *self, const credential_ask_t *ask, int64_t now_ns, adr_effects_t *effects)
{
    credential_desk_t *desk = cert_signer_desk (self);
    uint8_t after[CERT_SIGNER_KEY_MAX];
    Adr__List list = ADR__LIST__INIT;
    s_begin (self, true, now_ns);
    memcpy (desk->after, ask->after, sizeof desk->after);
    list.number = desk->number;
    list.table = ADR_TABLE_CREDENTIAL;
    list.prefix = adr_bytes_view (adr_bytes ("k", 1));
    list.after = adr_bytes_view (adr_bytes (after, *ask->after ? credential_record_key (ask->after, after) : 0));
    list.rows_max = ADR_LIST_ROWS_MAX;
    list.mode = ADR__READ_MODE__STRONG;
    list.limit_ms = S_LIMIT_MS;
    list.with_values = true;
    list.origin = adr_id_view (&cert_signer_environment (self)->node);
    cert_signer_ask_group (self, ADR__KIND__LIST, &list.base, s_nothing, effects);
}

static void
s_read (cert_signer_t *self, int64_t now_ns, adr_effects_t *effects)
{
    credential_desk_t *desk = cert_signer_desk (self);
    Adr__Read read = ADR__READ__INIT;
    s_begin (self, false, now_ns);
    read.number = desk->number;
    read.table = ADR_TABLE_CREDENTIAL;
    read.key = adr_bytes_view (adr_bytes (GENERATION_KEY, strlen (GENERATION_KEY)));
    read.mode = ADR__READ_MODE__STRONG; /* [KEY-4] */
    read.limit_ms = S_LIMIT_MS;
    read.origin = adr_id_view (&cert_signer_environment (self)->node);
    cert_signer_ask_group (self, ADR__KIND__READ, &read.base, s_nothing, effects);
}

/* Pages first: their generation was read before. */
static void
s_go_on (cert_signer_t *self, int64_t now_ns, adr_effects_t *effects)
{
    credential_desk_t *desk = cert_signer_desk (self);
    bool waits = false;
    if (desk->number)
        return;
    for (uint32_t i = 0; i < CREDENTIAL_ASKS_MAX; i++) {
        if (desk->ask[i].phase == ASK_PAGE) {
            s_list (self, &desk->ask[i], now_ns, effects);
            return;
        }
        waits |= desk->ask[i].phase == ASK_WAITING;
    }
    if (!waits)
        return;
    for (uint32_t i = 0; i < CREDENTIAL_ASKS_MAX; i++)
        if (desk->ask[i].phase == ASK_WAITING)
            desk->ask[i].phase = ASK_READING;
    s_read (self, now_ns, effects);
}

int64_t
cert_signer_desk_due (const credential_desk_t *desk)
{
    return desk->number ? desk->silent_ns : ADR_NEVER;
}

void
cert_signer_tend_desk (cert_signer_t *self, int64_t now_ns, adr_effects_t *effects)
{
    credential_desk_t *desk = cert_signer_desk (self);
    if (desk->number == 0 || now_ns < desk->silent_ns)
        return;
    s_forget (desk, desk->lists ? ASK_PAGE : ASK_READING);
    desk->number = 0;
    s_go_on (self, now_ns, effects);
}
