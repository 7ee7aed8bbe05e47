/* SPDX-License-Identifier: MPL-2.0 */
/* The plainest values: see base.h. */

#include "core/base.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void (*adr_assert_hook) (void);

void
adr_assert_failed (const char *expression, const char *file, int line, const char *function)
{
    fprintf (stderr, "%s:%d: %s: assertion failed: %s\n", file, line, function, expression);
    if (adr_assert_hook)
        adr_assert_hook ();
    abort ();
}

void *
adr_alloc (size_t size)
{
    void *pointer = calloc (1, size ? size : 1);
    adr_assert (pointer != NULL);
    return pointer;
}

void *
adr_realloc (void *pointer, size_t size)
{
    pointer = realloc (pointer, size ? size : 1);
    adr_assert (pointer != NULL);
    return pointer;
}

bool
adr_id_equal (const adr_id_t *a, const adr_id_t *b)
{
    return memcmp (a->bytes, b->bytes, ADR_ID_SIZE) == 0;
}

int
adr_id_compare (const adr_id_t *a, const adr_id_t *b)
{
    return memcmp (a->bytes, b->bytes, ADR_ID_SIZE);
}

bool
adr_id_is_none (const adr_id_t *id)
{
    static const adr_id_t s_none;
    return adr_id_equal (id, &s_none);
}

void
adr_id_format (const adr_id_t *id, char *text)
{
    static const char s_digits[] = "0123456789abcdef";
    for (int i = 0; i < ADR_ID_SIZE; i++) {
        if (i == 4 || i == 6 || i == 8 || i == 10)
            *text++ = '-';
        *text++ = s_digits[id->bytes[i] >> 4];
        *text++ = s_digits[id->bytes[i] & 15];
    }
    *text = '\0';
}

static int
s_hex_digit (char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    if (c >= 'A' && c <= 'F')
        return c - 'A' + 10;
    return -1;
}

bool
adr_id_parse (adr_id_t *id, const char *text)
{
    if (strlen (text) != ADR_ID_TEXT_SIZE - 1)
        return false;
    adr_id_t read;
    for (int i = 0; i < ADR_ID_SIZE; i++) {
        if ((i == 4 || i == 6 || i == 8 || i == 10) && *text++ != '-')
            return false;
        int high = s_hex_digit (text[0]);
        int low = high < 0 ? -1 : s_hex_digit (text[1]);
        if (low < 0)
            return false;
        read.bytes[i] = (uint8_t) (high << 4 | low);
        text += 2;
    }
    *id = read;
    return true;
}

bool
adr_id_from_bytes (adr_id_t *id, const void *data, size_t size)
{
    memset (id, 0, sizeof *id);
    if (size != ADR_ID_SIZE)
        return false;
    memcpy (id->bytes, data, ADR_ID_SIZE);
    return true;
}

#define S_COMPARE(a, b) (((a) > (b)) - ((a) < (b)))

/* [PART-1] The epoch first: logs of two groups cannot be compared otherwise. */
int
adr_version_compare (const adr_version_t *a, const adr_version_t *b)
{
    int by_epoch = S_COMPARE (a->epoch, b->epoch);
    int by_term = S_COMPARE (a->term, b->term);
    return by_epoch ? by_epoch : by_term ? by_term : S_COMPARE (a->index, b->index);
}

int
adr_position_compare (adr_position_t a, adr_position_t b)
{
    int by_term = S_COMPARE (a.term, b.term);
    return by_term ? by_term : S_COMPARE (a.index, b.index);
}

int
adr_voters_find (const adr_voters_t *voters, const adr_id_t *node, uint64_t incarnation)
{
    int place = adr_voters_find_node (voters, node);
    return place >= 0 && voters->voter[place].incarnation == incarnation ? place : -1;
}

int
adr_voters_find_node (const adr_voters_t *voters, const adr_id_t *node)
{
    for (uint32_t i = 0; i < voters->count; i++)
        if (adr_id_equal (&voters->voter[i].node, node))
            return (int) i;
    return -1;
}

/* Names by number; NULL for numbers that name nothing. */
static const char *
s_name (const char *const *names, size_t count, unsigned number, const char *otherwise)
{
    return number < count && names[number] ? names[number] : otherwise;
}

#define S_NAME(names, number, otherwise) \
    s_name (names, sizeof (names) / sizeof (names)[0], (unsigned) (number), otherwise)

const char *
adr_actor_name (adr_actor_kind_t kind)
{
    static const char *const s_names[] = { "none", "health-checker", "election", "replicator", "edge-router",
                                           "map-keeper", "cert-signer", "client", "merkle-gossiper",
                                           "inventory-syncer", "scrubber", "collector", "host",
                                           "credential-keeper", "credential-taker" };
    return S_NAME (s_names, kind, "unknown-actor");
}

static const char *const s_types[] = { NULL, "edge", "meta", "data", "pki", "client", "operator", "stranger",
                                      "reader", "admin" };

const char *
adr_node_type_name (adr_node_type_t type)
{
    return S_NAME (s_types, type, "unknown-type");
}

bool
adr_node_type_parse (adr_node_type_t *type, const char *text)
{
    for (int i = 1; i < ADR_NODE_TYPE_COUNT; i++)
        if (strcmp (s_types[i], text) == 0) {
            *type = (adr_node_type_t) i;
            return true;
        }
    return false;
}

bool
adr_node_type_is_role (adr_node_type_t type)
{
    return type == ADR_NODE_CLIENT || type == ADR_NODE_READER || type == ADR_NODE_OPERATOR || type == ADR_NODE_ADMIN;
}

const char *
adr_node_state_name (adr_node_state_t state)
{
    static const char *const s_names[] = { "offline", "online-ready", "online-standby", "online-degraded",
                                           "online-shedding", "evicted" };
    return S_NAME (s_names, state, "unknown-state");
}

const char *
adr_status_name (adr_status_t status)
{
    static const char *const s_names[]
        = { "ok", "not found", "conflict", "refused, not done", "timeout, outcome unknown", "locked", "timeout",
            "invalid", "denied", "damaged", "not master", "refused: full" };
    return S_NAME (s_names, status, "unknown status");
}
