/* SPDX-License-Identifier: MPL-2.0 */
/* S3's documents: a small writer that escapes, and a reader of the few bodies that clients send.
 *
 * Owns: nothing. Assumes: the reader's bodies are within the bounds below; it admits no DTD, entity or network. */

#ifndef ADR_XML_H
#define ADR_XML_H

#include "core/base.h"
#include "core/bytes.h"

/* A bucket's configuration is the largest body but one: DeleteObjects has a thousand keys, and S3's own bound. */
#define ADR_XML_BODY_MAX (64 * 1024)
#define ADR_XML_DELETE_MAX (2 * 1024 * 1024)

/* The declaration, and the root element in S3's name space if `space`. */
void adr_xml_begin (adr_buffer_t *to, const char *root, bool space);
void adr_xml_open (adr_buffer_t *to, const char *name);
void adr_xml_close (adr_buffer_t *to, const char *name);
/* <name>text</name>, the text escaped. Characters that XML cannot carry become numeric references, as S3 sends them;
 * a client that has such keys asks for encoding-type=url. */
void adr_xml_text (adr_buffer_t *to, const char *name, const char *text);
void adr_xml_bytes (adr_buffer_t *to, const char *name, adr_bytes_t text);
void adr_xml_number (adr_buffer_t *to, const char *name, uint64_t number);
void adr_xml_bool (adr_buffer_t *to, const char *name, bool value);
/* "2009-10-12T17:50:30.000Z" */
void adr_xml_time (adr_buffer_t *to, const char *name, uint64_t milliseconds);
void adr_xml_escape (adr_buffer_t *to, adr_bytes_t text);

/* The LocationConstraint of a CreateBucketConfiguration, at most room - 1 characters: empty where there is none. False
 * if the body is not such a document. */
ADR_WARN_UNUSED bool adr_xml_read_location (adr_bytes_t body, char *location, size_t room);

/* Calls `key` for each Object of a Delete (lent; `version`: a VersionId other than "null" is named), until it returns
 * false. False if the body is not such a document, or `key` gave up. */
typedef bool (adr_xml_key_fn) (void *argument, adr_bytes_t key, bool version);
ADR_WARN_UNUSED bool adr_xml_read_delete (adr_bytes_t body, bool *quiet, adr_xml_key_fn *key, void *argument);

#endif
