/* SPDX-License-Identifier: MPL-2.0 */
/* Intrusive lists: a ring of links, one of which is the head. A link that is in no list points to itself. */

#ifndef ADR_LINKS_H
#define ADR_LINKS_H

#include <stdbool.h>

typedef struct adr_link adr_link_t;
struct adr_link {
    adr_link_t *previous, *next;
};

static inline void
adr_links_init (adr_link_t *head)
{
    head->previous = head->next = head;
}

static inline bool
adr_links_empty (const adr_link_t *head)
{
    return head->next == head;
}

static inline void
adr_links_append (adr_link_t *head, adr_link_t *link)
{
    link->previous = head->previous;
    link->next = head;
    head->previous->next = link;
    head->previous = link;
}

static inline void
adr_links_remove (adr_link_t *link)
{
    link->previous->next = link->next;
    link->next->previous = link->previous;
    adr_links_init (link);
}

/* Puts all of `from` before the first of `head`, in order. */
static inline void
adr_links_splice_front (adr_link_t *head, adr_link_t *from)
{
    if (adr_links_empty (from))
        return;
    from->previous->next = head->next;
    head->next->previous = from->previous;
    head->next = from->next;
    from->next->previous = head;
    adr_links_init (from);
}

#endif
