/* SPDX-License-Identifier: MPL-2.0 */
/* Documents: see xml.h. */

#include "edge/xml.h"

#include <libxml/parser.h>
#include <libxml/tree.h>
#include <stdio.h>
#include <time.h>

static void
s_add (adr_buffer_t *to, const char *text)
{
    adr_buffer_append (to, text, strlen (text));
}

void
adr_xml_begin (adr_buffer_t *to, const char *root, bool space)
{
    s_add (to, "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<");
    s_add (to, root);
    s_add (to, space ? " xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\">" : ">");
}

void
adr_xml_open (adr_buffer_t *to, const char *name)
{
    s_add (to, "<");
    s_add (to, name);
    s_add (to, ">");
}

void
adr_xml_close (adr_buffer_t *to, const char *name)
{
    s_add (to, "</");
    s_add (to, name);
    s_add (to, ">");
}

/* What stands for a byte, or NULL for one that stands for itself. Tabs and line ends are written as references, too:
 * a parser would turn a carriage return into a line feed. */
static const char *
s_escape_of (uint8_t c, char room[8])
{
    switch (c) {
    case '&':
        return "&amp;";
    case '<':
        return "&lt;";
    case '>':
        return "&gt;";
    case '"':
        return "&quot;";
    }
    if (c >= 0x20)
        return NULL;
    snprintf (room, 8, "&#x%X;", c);
    return room;
}

void
adr_xml_escape (adr_buffer_t *to, adr_bytes_t text)
{
    size_t plain = 0;
    for (size_t i = 0; i < text.size; i++) {
        char room[8];
        const char *escape = s_escape_of (text.data[i], room);
        if (!escape)
            continue;
        adr_buffer_append (to, text.data + plain, i - plain);
        s_add (to, escape);
        plain = i + 1;
    }
    if (plain < text.size)
        adr_buffer_append (to, text.data + plain, text.size - plain);
}

void
adr_xml_bytes (adr_buffer_t *to, const char *name, adr_bytes_t text)
{
    adr_xml_open (to, name);
    adr_xml_escape (to, text);
    adr_xml_close (to, name);
}

void
adr_xml_text (adr_buffer_t *to, const char *name, const char *text)
{
    adr_xml_bytes (to, name, adr_bytes (text, strlen (text)));
}

void
adr_xml_number (adr_buffer_t *to, const char *name, uint64_t number)
{
    char text[24];
    snprintf (text, sizeof text, "%llu", (unsigned long long) number);
    adr_xml_text (to, name, text);
}

void
adr_xml_bool (adr_buffer_t *to, const char *name, bool value)
{
    adr_xml_text (to, name, value ? "true" : "false");
}

void
adr_xml_time (adr_buffer_t *to, const char *name, uint64_t milliseconds)
{
    time_t seconds = (time_t) (milliseconds / 1000);
    struct tm tm;
    if (!gmtime_r (&seconds, &tm))
        memset (&tm, 0, sizeof tm);
    char text[96];
    snprintf (text, sizeof text, "%04d-%02d-%02dT%02d:%02d:%02d.%03uZ", tm.tm_year + 1900, tm.tm_mon + 1, tm.tm_mday,
              tm.tm_hour, tm.tm_min, tm.tm_sec, (unsigned) (milliseconds % 1000));
    adr_xml_text (to, name, text);
}

static bool
s_is (const xmlNode *node, const char *name)
{
    return node->type == XML_ELEMENT_NODE && strcmp ((const char *) node->name, name) == 0;
}

static bool
s_location_of (const xmlNode *root, char *location, size_t room)
{
    if (!root || !s_is (root, "CreateBucketConfiguration"))
        return false;
    for (xmlNode *node = root->children; node; node = node->next) {
        if (!s_is (node, "LocationConstraint"))
            continue;
        xmlChar *text = xmlNodeGetContent (node);
        bool fits = text && strlen ((const char *) text) < room;
        if (fits)
            strcpy (location, (const char *) text);
        xmlFree (text);
        return fits;
    }
    return true;
}

/* Neither entities are replaced nor DTDs loaded; libxml2's own bounds on depth and names hold. NULL for what is no XML,
 * and for what has a DTD. */
static xmlDoc *
s_parse (adr_bytes_t body, size_t max)
{
    if (body.size == 0 || body.size > max)
        return NULL;
    xmlDoc *document = xmlReadMemory ((const char *) body.data, (int) body.size, "request", NULL,
                                      XML_PARSE_NONET | XML_PARSE_NOERROR | XML_PARSE_NOWARNING);
    if (!document || (!document->intSubset && !document->extSubset))
        return document;
    xmlFreeDoc (document);
    return NULL;
}

bool
adr_xml_read_location (adr_bytes_t body, char *location, size_t room)
{
    location[0] = '\0';
    xmlDoc *document = s_parse (body, ADR_XML_BODY_MAX);
    if (!document)
        return false;
    bool good = s_location_of (xmlDocGetRootElement (document), location, room);
    xmlFreeDoc (document);
    return good;
}

static bool
s_text_is (const xmlNode *node, const char *wanted)
{
    xmlChar *text = xmlNodeGetContent (node);
    bool is = text && strcmp ((const char *) text, wanted) == 0;
    xmlFree (text);
    return is;
}

static bool
s_read_object (const xmlNode *object, adr_xml_key_fn *key, void *argument)
{
    const xmlNode *name = NULL;
    bool version = false;
    for (const xmlNode *node = object->children; node; node = node->next)
        if (s_is (node, "Key"))
            name = node;
        else if (s_is (node, "VersionId"))
            version = !s_text_is (node, "null");
    xmlChar *text = name ? xmlNodeGetContent (name) : NULL;
    bool good = text && key (argument, adr_bytes (text, strlen ((const char *) text)), version);
    xmlFree (text);
    return good;
}

bool
adr_xml_read_delete (adr_bytes_t body, bool *quiet, adr_xml_key_fn *key, void *argument)
{
    xmlDoc *document = s_parse (body, ADR_XML_DELETE_MAX);
    if (!document)
        return false;
    const xmlNode *root = xmlDocGetRootElement (document);
    bool good = root && s_is (root, "Delete");
    *quiet = false;
    for (const xmlNode *node = good ? root->children : NULL; good && node; node = node->next)
        if (s_is (node, "Quiet"))
            *quiet = s_text_is (node, "true");
        else if (s_is (node, "Object"))
            good = s_read_object (node, key, argument);
    xmlFreeDoc (document);
    return good;
}
