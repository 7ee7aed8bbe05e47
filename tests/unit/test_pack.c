/* SPDX-License-Identifier: MPL-2.0 */
/* Packs, headers and their bounds: round trips, golden vectors, and bytes that nobody sane would send. */

#include "golden_messages.h"

#include "core/actor.h"
#include "core/entry.h"
#include "wire/bounds.h"

#include <ctype.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#define ARENA_LIMIT (4 * 1024 * 1024)

static adr_arena_t s_arena;
static const adr_bytes_t s_nothing;

static int
s_setup (void **state)
{
    (void) state;
    adr_arena_init (&s_arena, 4096, ARENA_LIMIT);
    return 0;
}

static int
s_teardown (void **state)
{
    (void) state;
    adr_arena_free (&s_arena);
    return 0;
}

/* --- golden vectors ----------------------------------------------------------------------------------------------- */

static void
s_to_hex (const adr_buffer_t *bytes, adr_buffer_t *text)
{
    for (size_t i = 0; i < bytes->size; i++) {
        char digits[4];
        snprintf (digits, sizeof digits, "%02x%s", bytes->data[i], i % 32 == 31 || i + 1 == bytes->size ? "\n" : "");
        adr_buffer_append (text, digits, strlen (digits));
    }
}

static void
s_from_hex (const adr_buffer_t *text, adr_buffer_t *bytes)
{
    char digits[3] = "";
    for (size_t i = 0, n = 0; i < text->size; i++)
        if (isxdigit (text->data[i])) {
            digits[n++] = (char) text->data[i];
            if (n == 2) {
                *adr_buffer_grow (bytes, 1) = (uint8_t) strtoul (digits, NULL, 16);
                n = 0;
            }
        }
}

/* The kind's golden vector; made anew where that is asked for and none is there. */
static void
s_golden (const adr_kind_row_t *row, adr_buffer_t *pack)
{
    char name[64];
    snprintf (name, sizeof name, "%s.hex", row->name);
    adr_buffer_t text = { 0 };
    if (golden_read (name, &text))
        s_from_hex (&text, pack);
    else if (golden_making ()) {
        golden_pack (row->kind, golden_fill (row->descriptor, &s_arena), pack);
        s_to_hex (pack, &text);
        golden_write (name, &text);
    }
    else
        fail_msg ("tests/unit/golden/%s is missing: make it once with ADR_GOLDEN_MAKE=1", name);
    adr_buffer_free (&text);
}

/* The old bytes are understood, mean what they meant, and are made again byte for byte. */
static void
test_golden_vectors (void **state)
{
    (void) state;
    for (uint16_t kind = 0; kind < GOLDEN_KINDS; kind++) {
        const adr_kind_row_t *row = adr_kind_row (kind);
        if (row == NULL)
            continue;
        adr_buffer_t golden = { 0 }, again = { 0 };
        s_golden (row, &golden);
        adr_pack_reader_t reader;
        adr_item_t item;
        assert_true (adr_pack_open (&reader, adr_bytes (golden.data, golden.size)));
        assert_int_equal (reader.envelope.sequence, 0x0102030405060708);
        assert_int_equal (adr_pack_next (&reader, &item), 1);
        assert_int_equal (item.kind, kind);
        const ProtobufCMessage *message = adr_header_decode (&item, &s_arena);
        if (message == NULL || !golden_matches (message, &s_arena))
            fail_msg ("%s is not what it was", row->name);
        assert_memory_equal (item.payload.data, "abc", 3);
        golden_pack (kind, message, &again);
        assert_int_equal (again.size, golden.size);
        assert_memory_equal (again.data, golden.data, golden.size);
        assert_int_equal (adr_pack_next (&reader, &item), 0);
        adr_buffer_free (&golden);
        adr_buffer_free (&again);
        adr_arena_reset (&s_arena);
    }
}

/* Decodes all that can be decoded of these bytes; how many whole items there were. */
static int
s_walk (adr_bytes_t bytes)
{
    adr_pack_reader_t reader;
    adr_item_t item;
    int count = 0, more;
    if (!adr_pack_open (&reader, bytes))
        return -1;
    while ((more = adr_pack_next (&reader, &item)) == 1) {
        adr_arena_reset (&s_arena);
        (void) adr_header_decode (&item, &s_arena);
        assert_true (s_arena.room + s_arena.more_size <= ARENA_LIMIT);
        count++;
    }
    return more == 0 ? count : -1;
}

static void
test_cut_and_flipped_vectors_are_answered (void **state)
{
    (void) state;
    for (uint16_t kind = 0; kind < GOLDEN_KINDS; kind++) {
        if (adr_kind_row (kind) == NULL)
            continue;
        adr_buffer_t golden = { 0 };
        s_golden (adr_kind_row (kind), &golden);
        assert_int_equal (s_walk (adr_bytes (golden.data, golden.size)), 1);
        for (size_t size = 0; size < golden.size; size++) {
            /* A copy of exactly that size, so that the sanitizer sees the first byte too many. */
            uint8_t *cut = malloc (size ? size : 1);
            memcpy (cut, golden.data, size);
            int items = s_walk (adr_bytes (cut, size));
            assert_true (items == -1 || (items == 0 && size == 4 + adr_get_u32 (golden.data)));
            free (cut);
        }
        for (size_t bit = 0; bit < golden.size * 8; bit++) {
            golden.data[bit / 8] ^= (uint8_t) (1 << bit % 8);
            (void) s_walk (adr_bytes (golden.data, golden.size));
            golden.data[bit / 8] ^= (uint8_t) (1 << bit % 8);
        }
        adr_buffer_free (&golden);
    }
}

/* --- packs -------------------------------------------------------------------------------------------------------- */

static adr_envelope_t
s_envelope (void)
{
    adr_envelope_t envelope = { .from_actor = ADR_ACTOR_CLIENT, .to_actor = ADR_ACTOR_EDGE_ROUTER, .boot = 2 };
    memset (&envelope.cluster, 1, ADR_ID_SIZE);
    memset (&envelope.sender, 2, ADR_ID_SIZE);
    return envelope;
}

static void
test_an_envelope_comes_back (void **state)
{
    (void) state;
    adr_envelope_t envelope = s_envelope ();
    adr_buffer_t pack = { 0 };
    adr_pack_begin (&pack, &envelope);
    adr_pack_reader_t reader;
    assert_true (adr_pack_open (&reader, adr_bytes (pack.data, pack.size)));
    assert_memory_equal (&reader.envelope.cluster, &envelope.cluster, ADR_ID_SIZE);
    assert_memory_equal (&reader.envelope.sender, &envelope.sender, ADR_ID_SIZE);
    assert_true (adr_id_is_none (&reader.envelope.to));
    assert_int_equal (reader.envelope.from_actor, ADR_ACTOR_CLIENT);
    assert_int_equal (reader.envelope.sequence, 0);
    adr_pack_number (&pack, UINT64_MAX, 77);
    assert_true (adr_pack_open (&reader, adr_bytes (pack.data, pack.size)));
    assert_true (reader.envelope.sequence == UINT64_MAX);
    assert_int_equal (reader.envelope.map_epoch, 77);
    assert_int_equal (reader.envelope.boot, 2);
    adr_buffer_free (&pack);
}

static void
test_many_items_keep_their_order (void **state)
{
    (void) state;
    adr_envelope_t envelope = s_envelope ();
    adr_buffer_t pack = { 0 };
    adr_pack_begin (&pack, &envelope);
    Adr__Ping ping = ADR__PING__INIT;
    for (ping.number = 0; ping.number < 1000; ping.number++)
        adr_pack_add (&pack, ADR__KIND__PING, &ping.base, adr_bytes ("x", ping.number % 2));
    adr_pack_reader_t reader;
    adr_item_t item;
    assert_true (adr_pack_open (&reader, adr_bytes (pack.data, pack.size)));
    for (uint64_t i = 0; i < 1000; i++) {
        assert_int_equal (adr_pack_next (&reader, &item), 1);
        const Adr__Ping *read = (const Adr__Ping *) adr_header_decode (&item, &s_arena);
        assert_int_equal (read->number, i);
        assert_int_equal (item.payload.size, i % 2);
        adr_arena_reset (&s_arena);
    }
    assert_int_equal (adr_pack_next (&reader, &item), 0);
    adr_buffer_free (&pack);
}

static void
test_the_largest_item_fits (void **state)
{
    (void) state;
    adr_envelope_t envelope = s_envelope ();
    adr_buffer_t pack = { 0 };
    adr_pack_begin (&pack, &envelope);
    uint8_t *payload = adr_alloc (ADR_ENTRY_MAX + 1);
    Adr__Append append = ADR__APPEND__INIT;
    adr_pack_add (&pack, ADR__KIND__APPEND, &append.base, adr_bytes (payload, ADR_ENTRY_MAX));
    assert_int_equal (s_walk (adr_bytes (pack.data, pack.size)), 1);
    /* One byte more than the limit: announced, and refused unread. */
    size_t at = 4 + (size_t) adr_get_u32 (pack.data);
    adr_put_u32 (pack.data + at + 8, ADR_ENTRY_MAX + 1);
    *adr_buffer_grow (&pack, 1) = 0;
    assert_int_equal (s_walk (adr_bytes (pack.data, pack.size)), -1);
    free (payload);
    adr_buffer_free (&pack);
}

static void
test_packs_of_another_protocol_are_refused (void **state)
{
    (void) state;
    Adr__Envelope envelope = ADR__ENVELOPE__INIT;
    uint8_t id[ADR_ID_SIZE] = { 1 };
    uint8_t bytes[256];
    adr_pack_reader_t reader;
#define S_OPENS(change)                                                                                       \
    (envelope = (Adr__Envelope) ADR__ENVELOPE__INIT, envelope.protocol = ADR_PROTOCOL,                          \
     envelope.cluster = envelope.sender = (ProtobufCBinaryData){ ADR_ID_SIZE, id }, (void) (change),            \
     adr_put_u32 (bytes, (uint32_t) adr__envelope__pack (&envelope, bytes + 4)),                                \
     adr_pack_open (&reader, adr_bytes (bytes, 4 + adr_get_u32 (bytes))))
    assert_true (S_OPENS (0));
    assert_false (S_OPENS (envelope.protocol = 0));
    assert_false (S_OPENS (envelope.protocol = 2));
    assert_false (S_OPENS (envelope.cluster.len = 0));
    assert_false (S_OPENS (envelope.sender.len = 15));
    assert_false (S_OPENS (envelope.to = ((ProtobufCBinaryData){ 3, id })));
    assert_false (S_OPENS (envelope.to_actor = ADR_ACTOR_COUNT));
    assert_false (S_OPENS (envelope.from_actor = UINT32_MAX));
    assert_false (adr_pack_open (&reader, s_nothing));
}

/* As protobuf-c would read an envelope that passed the bounds. */
static bool
s_envelope_by_protobuf (adr_envelope_t *envelope, adr_bytes_t bytes)
{
    if (!adr_bounds_hold (&adr__envelope__descriptor, bytes))
        return false;
    Adr__Envelope *header = adr__envelope__unpack (NULL, bytes.size, bytes.data);
    bool good = header && header->protocol == ADR_PROTOCOL && header->cluster.len == ADR_ID_SIZE
                && header->sender.len == ADR_ID_SIZE && header->from_actor < ADR_ACTOR_COUNT
                && header->to_actor < ADR_ACTOR_COUNT;
    if (good)
        *envelope = (adr_envelope_t){ adr_id_of (header->cluster), adr_id_of (header->sender), adr_id_of (header->to),
                                      (adr_actor_kind_t) header->from_actor, (adr_actor_kind_t) header->to_actor,
                                      header->incarnation, header->boot, header->sequence, header->map_epoch };
    if (header)
        adr__envelope__free_unpacked (header, NULL);
    return good;
}

/* Envelopes are read by hand: whatever is done to one, the verdict and the parts are protobuf-c's. */
static void
test_envelopes_read_as_protobuf_reads_them (void **state)
{
    (void) state;
    adr_random_t random = { 1 };
    uint32_t good = 0, bad = 0;
    for (int round = 0; round < 200000; round++) {
        adr_envelope_t envelope = s_envelope (), expected = { 0 };
        adr_buffer_t pack = { 0 };
        adr_pack_reader_t reader;
        envelope.incarnation = adr_random_next (&random) >> adr_random_next (&random) % 64;
        memset (&envelope.to, (int) (adr_random_next (&random) % 2), ADR_ID_SIZE);
        adr_pack_begin (&pack, &envelope);
        uint32_t size = (uint32_t) pack.size - 4;
        for (uint64_t changes = adr_random_next (&random) % 3; changes; changes--)
            pack.data[4 + adr_random_next (&random) % size] ^= (uint8_t) (1u << adr_random_next (&random) % 8);
        if (adr_random_next (&random) % 4 == 0)
            adr_put_u32 (pack.data, size = (uint32_t) (adr_random_next (&random) % size));
        bool opens = adr_pack_open (&reader, adr_bytes (pack.data, pack.size));
        assert_int_equal (opens, s_envelope_by_protobuf (&expected, adr_bytes (pack.data + 4, size)));
        good += opens;
        bad += !opens;
        if (opens) {
            assert_true (adr_id_equal (&reader.envelope.cluster, &expected.cluster));
            assert_true (adr_id_equal (&reader.envelope.sender, &expected.sender));
            assert_true (adr_id_equal (&reader.envelope.to, &expected.to));
            assert_int_equal (reader.envelope.from_actor, expected.from_actor);
            assert_int_equal (reader.envelope.to_actor, expected.to_actor);
            assert_true (reader.envelope.incarnation == expected.incarnation && reader.envelope.boot == expected.boot);
            assert_true (reader.envelope.sequence == expected.sequence);
            assert_true (reader.envelope.map_epoch == expected.map_epoch);
        }
        adr_buffer_free (&pack);
    }
    assert_true (good > 1000 && bad > 1000);
}

/* --- bounds ------------------------------------------------------------------------------------------------------- */

static bool
s_decodes (uint16_t kind, const void *bytes, size_t size)
{
    adr_arena_reset (&s_arena);
    adr_item_t item = { kind, adr_bytes (bytes, size), s_nothing };
    return adr_header_decode (&item, &s_arena) != NULL;
}

/* Encodes the message and asks whether it is taken. */
static bool
s_taken (uint16_t kind, const ProtobufCMessage *message)
{
    adr_buffer_t bytes = { 0 };
    size_t size = protobuf_c_message_get_packed_size (message);
    protobuf_c_message_pack (message, adr_buffer_grow (&bytes, size + 1));
    bool taken = s_decodes (kind, bytes.data, size);
    adr_buffer_free (&bytes);
    return taken;
}

static void
test_fields_beyond_their_bounds_are_refused (void **state)
{
    (void) state;
    static uint8_t s_key[ADR_KEY_MAX + 1];
    Adr__Op op = ADR__OP__INIT;
    Adr__Op *ops[ADR_OPS_MAX + 1];
    for (int i = 0; i <= ADR_OPS_MAX; i++)
        ops[i] = &op;
    Adr__Write write = ADR__WRITE__INIT;
    write.op = ops;
    write.n_op = ADR_OPS_MAX;
    op.key = (ProtobufCBinaryData){ ADR_KEY_MAX, s_key };
    op.value_size = ADR_VALUE_MAX;
    op.table = ADR_TABLE_COUNT - 1;
    write.request = (ProtobufCBinaryData){ 16, s_key };
#define S_TAKEN() s_taken (ADR__KIND__WRITE, &write.base)
    assert_true (S_TAKEN ());
    write.n_op++;
    assert_false (S_TAKEN ());
    write.n_op = 1;
    op.key.len++;
    assert_false (S_TAKEN ());
    op.key.len = 1;
    op.value_size++;
    assert_false (S_TAKEN ());
    op.value_size = 0;
    op.table++;
    assert_false (S_TAKEN ());
    op.table = 0;
    write.request.len = 15;
    assert_false (S_TAKEN ());
    write.request.len = 0;
    assert_true (S_TAKEN ());
    op.condition = 4;
    assert_false (S_TAKEN ());
    op.condition = (Adr__Condition) -1;
    assert_false (S_TAKEN ());
}

static void
test_what_protobuf_c_would_let_through_is_refused (void **state)
{
    (void) state;
    assert_true (s_decodes (ADR__KIND__PING, "\x08\x05", 2));
    assert_false (s_decodes (ADR__KIND__PING, "\x08\x05\x08\x06", 4));      /* a singular field twice */
    assert_false (s_decodes (ADR__KIND__PING, "\x0a\x01x", 3));             /* another wire type */
    assert_false (s_decodes (ADR__KIND__PING, "\x0b\x0c", 2));              /* groups */
    assert_false (s_decodes (ADR__KIND__PING, "\x00\x01", 2));              /* field 0 */
    assert_false (s_decodes (ADR__KIND__PING, "\x08\x80", 2));              /* a number that does not end */
    assert_false (s_decodes (ADR__KIND__PING, "\x08\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", 12));
    assert_true (s_decodes (ADR__KIND__RESIGN, "\x12\x03why", 5));
    assert_false (s_decodes (ADR__KIND__RESIGN, "\x12\x03w\0y", 5));        /* a string with a NUL */
    assert_false (s_decodes (ADR__KIND__RESIGN, "\x12\x04why", 5));         /* longer than what is there */
    assert_true (s_decodes (ADR__KIND__PING, "\xf2\x03\x02hi", 5));         /* a field of a newer version */
    assert_false (s_decodes (0, "", 0));
    assert_false (s_decodes (UINT16_MAX, "", 0));
}

/* A newer peer may know some fields more, nobody may make us allocate for thousands. */
static void
test_unknown_fields_are_counted (void **state)
{
    (void) state;
    adr_buffer_t bytes = { 0 };
    for (int i = 0; i < 64; i++)
        adr_buffer_append (&bytes, "\xf0\x03\x01", 3);
    assert_true (s_decodes (ADR__KIND__PING, bytes.data, bytes.size));
    adr_buffer_append (&bytes, "\xf0\x03\x01", 3);
    assert_false (s_decodes (ADR__KIND__PING, bytes.data, bytes.size));
    adr_buffer_free (&bytes);
}

/* The largest header of the smallest parts: what protobuf-c takes for it stays within the arena. */
static void
test_a_header_of_small_parts_meets_the_arena_s_limit (void **state)
{
    (void) state;
    adr_arena_t small;
    adr_arena_init (&small, 1024, 64 * 1024);
    adr_buffer_t registry = { 0 }, bytes = { 0 };
    for (int i = 0; i < 4096; i++)
        adr_buffer_append (&registry, "\x3a\x00", 2); /* an empty node */
    uint8_t prefix[] = { 0x0a, (uint8_t) (registry.size % 128 | 128), (uint8_t) (registry.size / 128) };
    uint8_t outer[] = { 0x0a, (uint8_t) ((registry.size + 3) % 128 | 128), (uint8_t) ((registry.size + 3) / 128) };
    adr_buffer_append (&bytes, outer, sizeof outer);
    adr_buffer_append (&bytes, prefix, sizeof prefix);
    adr_buffer_append (&bytes, registry.data, registry.size);
    adr_item_t item = { ADR__KIND__MAP_CHANGED, adr_bytes (bytes.data, bytes.size), s_nothing };
    assert_true (adr_header_decode (&item, &s_arena) != NULL);
    assert_true (adr_header_decode (&item, &small) == NULL);
    assert_true (small.room + small.more_size <= 64 * 1024);
    adr_buffer_free (&registry);
    adr_buffer_free (&bytes);
    adr_arena_free (&small);
}

/* bounds.c has a place for each field's number. */
static void
s_assert_bounded (const ProtobufCMessageDescriptor *type)
{
    for (unsigned i = 0; i < type->n_fields; i++) {
        if (type->fields[i].id >= 64)
            fail_msg ("%s: field %u has no place among the bounds", type->name, type->fields[i].id);
        if (type->fields[i].type == PROTOBUF_C_TYPE_MESSAGE)
            s_assert_bounded (type->fields[i].descriptor);
    }
}

/* A repeated field without a bound would never be taken: each has one. */
static void
test_every_message_can_be_taken_with_every_field (void **state)
{
    (void) state;
    for (uint16_t kind = 0; kind < GOLDEN_KINDS; kind++) {
        const adr_kind_row_t *row = adr_kind_row (kind);
        if (row == NULL)
            continue;
        s_assert_bounded (row->descriptor);
        adr_buffer_t pack = { 0 };
        golden_pack (kind, golden_fill (row->descriptor, &s_arena), &pack);
        adr_pack_reader_t reader;
        adr_item_t item;
        assert_true (adr_pack_open (&reader, adr_bytes (pack.data, pack.size)));
        assert_int_equal (adr_pack_next (&reader, &item), 1);
        if (adr_header_decode (&item, &s_arena) == NULL)
            fail_msg ("%s: a field has no bound in bounds.c", row->name);
        adr_buffer_free (&pack);
        adr_arena_reset (&s_arena);
    }
}

/* --- parts -------------------------------------------------------------------------------------------------------- */

static void
test_the_arena_refuses_beyond_its_limit (void **state)
{
    (void) state;
    adr_arena_t arena;
    adr_arena_init (&arena, 100, 1000);
    assert_non_null (adr_arena_take (&arena, 90));
    assert_non_null (adr_arena_take (&arena, 500));
    assert_null (adr_arena_take (&arena, 1000));
    assert_null (adr_arena_take (&arena, SIZE_MAX));
    size_t taken = 0;
    while (adr_arena_take (&arena, 16))
        taken += 16;
    assert_true (taken < 1000 && arena.room + arena.more_size <= 1000);
    adr_arena_reset (&arena);
    assert_int_equal (arena.more_size, 0);
    assert_true ((uintptr_t) adr_arena_take (&arena, 1) % 16 == 0);
    adr_arena_free (&arena);
}

static void
test_voter_sets_come_back (void **state)
{
    (void) state;
    adr_voters_t voters = { .at = { 3, 4 }, .quorum = 2, .count = ADR_VOTERS_MAX }, read;
    for (uint32_t i = 0; i < voters.count; i++) {
        memset (&voters.voter[i].node, (int) i + 1, ADR_ID_SIZE);
        voters.voter[i].incarnation = i;
    }
    adr_voter_set_t set;
    assert_true (adr_voter_set_read (&read, adr_voter_set_fill (&set, &voters)));
    assert_memory_equal (&read, &voters, sizeof read);
    set.set.n_voter = ADR_VOTERS_MAX + 1;
    assert_false (adr_voter_set_read (&read, &set.set));
    assert_true (adr_voter_set_read (&read, NULL));
    assert_int_equal (read.count, 0);
}

static void
test_list_rows_come_back (void **state)
{
    (void) state;
    adr_buffer_t rows = { 0 };
    adr_list_row_append (&rows, adr_bytes ("key", 3), adr_bytes ("value", 5), (adr_version_t){ 1, 2, 3 }, 4);
    adr_list_row_append (&rows, adr_bytes ("l", 1), s_nothing, (adr_version_t){ 5, 6, 7 }, 8);
    for (size_t size = 0; size <= rows.size; size++) {
        adr_bytes_t rest = adr_bytes (rows.data, size), key, value;
        adr_version_t version;
        uint64_t time_ms;
        int count = 0;
        while (adr_list_row_next (&rest, &key, &value, &version, &time_ms))
            count++;
        assert_int_equal (count, size == rows.size ? 2 : size >= 34 + 8 ? 1 : 0);
        if (size == rows.size) {
            assert_int_equal (version.index, 7);
            assert_int_equal (time_ms, 8);
            assert_int_equal (key.size, 1);
        }
    }
    adr_buffer_free (&rows);
}

int
main (void)
{
#define S_TEST(name) cmocka_unit_test_setup_teardown (name, s_setup, s_teardown)
    const struct CMUnitTest tests[] = {
        S_TEST (test_golden_vectors),
        S_TEST (test_cut_and_flipped_vectors_are_answered),
        S_TEST (test_an_envelope_comes_back),
        S_TEST (test_envelopes_read_as_protobuf_reads_them),
        S_TEST (test_many_items_keep_their_order),
        S_TEST (test_the_largest_item_fits),
        S_TEST (test_packs_of_another_protocol_are_refused),
        S_TEST (test_fields_beyond_their_bounds_are_refused),
        S_TEST (test_what_protobuf_c_would_let_through_is_refused),
        S_TEST (test_unknown_fields_are_counted),
        S_TEST (test_a_header_of_small_parts_meets_the_arena_s_limit),
        S_TEST (test_every_message_can_be_taken_with_every_field),
        S_TEST (test_the_arena_refuses_beyond_its_limit),
        S_TEST (test_voter_sets_come_back),
        S_TEST (test_list_rows_come_back),
    };
    return cmocka_run_group_tests (tests, NULL, NULL);
}
