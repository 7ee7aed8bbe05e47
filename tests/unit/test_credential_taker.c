/* SPDX-License-Identifier: MPL-2.0 */
/* What becomes of the lists that an edge is told: they are used whole, kept in a sealed file, and there again at the next start
 * [KEY-5]. */

#include "runtime/credential_taker.h"

#include "runtime/identity.h"
#include "runtime_fixture.h"
#include "wire/credential_codec.h"

#include <limits.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#define SECRET "an-open-secret-0123456789"

static adr_directory_t *s_directory;
static adr_mailbox_t *s_keeper;
static adr_credential_taker_t *s_taker;
static char s_folder[] = "/tmp/adr-taker-XXXXXX", s_path[64];
static uint8_t s_curve_secret[32];
static pthread_mutex_t s_lock = PTHREAD_MUTEX_INITIALIZER;
static unsigned s_used;         /* lists */
static unsigned s_count;        /* credentials of the newest */

static const adr_id_t *
s_edge (void)
{
    return &fixture_shared.map->node[2].id;
}

static void
s_use (void *argument, adr_bytes_t rows)
{
    adr_credential_t credential;
    (void) argument;
    pthread_mutex_lock (&s_lock);
    s_used++;
    for (s_count = 0; adr_credential_row_next (&rows, &credential); s_count++)
        assert_string_equal (credential.secret, SECRET);
    pthread_mutex_unlock (&s_lock);
}

static void
s_start (void)
{
    s_used = s_count = 0;
    s_directory = adr_directory_new (fixture_shared.map, NULL, 0);
    s_keeper = adr_mailbox_new (1 << 20);
    adr_directory_add_actor (s_directory, (adr_address_t){ *s_edge (), ADR_ACTOR_CREDENTIAL_KEEPER }, s_keeper);
    s_taker = adr_credential_taker_new (s_directory, &fixture_shared.map->cluster, s_edge (), s_curve_secret, s_folder, "edge1@z1");
    adr_credential_taker_use (s_taker, s_use, NULL);
}

static void
s_stop (void)
{
    adr_credential_taker_destroy (&s_taker);
    adr_mailbox_destroy (&s_keeper);
    adr_directory_destroy (&s_directory);
}

static int
s_setup (void **state)
{
    (void) state;
    snprintf (s_folder, sizeof s_folder, "/tmp/adr-taker-XXXXXX");
    assert_non_null (mkdtemp (s_folder));
    snprintf (s_path, sizeof s_path, "%s/credentials", s_folder);
    memset (s_curve_secret, 7, sizeof s_curve_secret);
    s_start ();
    return 0;
}

static int
s_teardown (void **state)
{
    (void) state;
    s_stop ();
    unlink (s_path);
    rmdir (s_folder);
    return 0;
}

static void
s_rows (adr_buffer_t *rows, unsigned first, unsigned count)
{
    adr_credential_t credential = { .owner = "alice", .secret = SECRET };
    for (unsigned i = first; i < first + count; i++) {
        snprintf (credential.access_key, sizeof credential.access_key, "KEY%05u", i);
        adr_credential_row_append (rows, &credential);
    }
}

typedef struct {
    uint32_t page;
    uint64_t generation;
    bool last, foreign;
    unsigned count;
    const char *nonsense;
} tell_t;

static void
s_tell (tell_t tell)
{
    adr_address_t from = { *s_edge (), tell.foreign ? ADR_ACTOR_EDGE_ROUTER : ADR_ACTOR_CREDENTIAL_KEEPER };
    adr_address_t to = { *s_edge (), ADR_ACTOR_CREDENTIAL_TAKER };
    adr_envelope_t envelope = { .cluster = fixture_shared.map->cluster, .sender = from.node, .to = to.node, .from_actor = from.actor,
                                .to_actor = to.actor };
    Adr__CredentialsTold told = ADR__CREDENTIALS_TOLD__INIT;
    adr_buffer_t rows = { 0 };
    adr_pack_reader_t reader;
    told.page = tell.page;
    told.generation = tell.generation;
    told.last = tell.last;
    s_rows (&rows, tell.page * 1000, tell.count);
    if (tell.nonsense)
        adr_buffer_append (&rows, tell.nonsense, strlen (tell.nonsense));
    adr_parcel_t *parcel = adr_parcel_new (ADR_PARCEL_PACK);
    adr_pack_begin (&parcel->buffer, &envelope);
    adr_pack_add (&parcel->buffer, ADR__KIND__CREDENTIALS_TOLD, &told.base, adr_bytes (rows.data, rows.size));
    adr_buffer_free (&rows);
    parcel->pack = adr_bytes (parcel->buffer.data, parcel->buffer.size);
    assert_true (adr_pack_open (&reader, parcel->pack));
    parcel->items = reader.rest;
    parcel->local = true;
    parcel->from = from;
    parcel->from_type = ADR_NODE_EDGE;
    parcel->to = to;
    assert_true (adr_mailbox_put (adr_directory_actor (s_directory, &to), parcel));
}

/* The generation that the keeper hears was taken. */
static uint64_t
s_taken (void)
{
    struct timespec now;
    clock_gettime (CLOCK_BOOTTIME, &now);
    adr_parcel_t *parcel = adr_mailbox_wait (s_keeper, (now.tv_sec + 10) * INT64_C (1000000000));
    assert_non_null (parcel);
    adr_pack_reader_t reader;
    adr_item_t item;
    adr_arena_t arena;
    adr_arena_init (&arena, 4096, 4096);
    assert_true (adr_pack_open (&reader, parcel->pack));
    assert_int_equal (adr_pack_next (&reader, &item), 1);
    assert_int_equal (item.kind, ADR__KIND__CREDENTIALS_TAKEN);
    assert_true (adr_message_allowed (item.kind, parcel->from_type, parcel->from.actor, parcel->to.actor, parcel->local));
    const ProtobufCMessage *header = adr_header_decode (&item, &arena);
    assert_non_null (header);
    uint64_t generation = ((const Adr__CredentialsTaken *) header)->generation;
    assert_null (parcel->next);
    adr_parcel_destroy (&parcel);
    adr_arena_free (&arena);
    return generation;
}

static void
s_read_file (adr_buffer_t *bytes)
{
    char error[256];
    assert_true (adr_file_read (s_path, 1 << 24, bytes, error, sizeof error));
}

static void
s_write_file (adr_bytes_t bytes)
{
    FILE *file = fopen (s_path, "wb");
    assert_non_null (file);
    assert_int_equal (fwrite (bytes.data, 1, bytes.size, file), bytes.size);
    fclose (file);
}

static void
a_whole_list_is_used_and_kept (void **state)
{
    (void) state;
    struct stat status;
    adr_buffer_t bytes = { 0 };
    s_tell ((tell_t){ .generation = 5, .count = 300 });
    s_tell ((tell_t){ .generation = 5, .page = 1, .count = 200, .last = true });
    assert_int_equal (s_taken (), 5);
    assert_int_equal (s_used, 1);
    assert_int_equal (s_count, 500);
    assert_int_equal (stat (s_path, &status), 0);
    assert_int_equal (status.st_mode & 0777, 0600);
    s_read_file (&bytes);
    assert_null (memmem (bytes.data, bytes.size, SECRET, strlen (SECRET)));
    assert_null (memmem (bytes.data, bytes.size, "KEY00001", 8));
    adr_buffer_free (&bytes);
    s_stop ();
    s_start (); /* the next start: nobody has told anything yet */
    assert_int_equal (s_used, 1);
    assert_int_equal (s_count, 500);
}

static void
an_empty_list_is_one_too (void **state)
{
    (void) state;
    s_tell ((tell_t){ .generation = 5, .count = 3, .last = true });
    assert_int_equal (s_taken (), 5);
    s_tell ((tell_t){ .generation = 8, .last = true });
    assert_int_equal (s_taken (), 8);
    assert_int_equal (s_used, 2);
    assert_int_equal (s_count, 0);
    s_stop ();
    s_start ();
    assert_int_equal (s_used, 1);
    assert_int_equal (s_count, 0);
}

/* A page that was lost, or nonsense: the list before it counts. */
static void
half_a_list_is_none (void **state)
{
    (void) state;
    s_tell ((tell_t){ .generation = 5, .count = 3, .last = true });
    assert_int_equal (s_taken (), 5);
    s_tell ((tell_t){ .generation = 6, .count = 7 });
    s_tell ((tell_t){ .generation = 6, .page = 2, .count = 7, .last = true }); /* page 1 is missing */
    s_tell ((tell_t){ .generation = 7, .count = 7 });
    s_tell ((tell_t){ .generation = 8, .page = 1, .count = 7, .last = true }); /* of another list */
    s_tell ((tell_t){ .generation = 9, .count = 7, .last = true, .nonsense = "\5\0\0\0abc" });
    s_tell ((tell_t){ .generation = 9, .count = 7, .last = true, .nonsense = "abc" });
    s_tell ((tell_t){ .generation = 10, .count = 7, .last = true, .foreign = true });
    s_tell ((tell_t){ .generation = 11, .count = 4, .last = true });
    assert_int_equal (s_taken (), 11); /* the first that is taken */
    assert_int_equal (s_used, 2);
    assert_int_equal (s_count, 4);
}

static void
a_file_that_is_not_ours_is_nothing (void **state)
{
    (void) state;
    adr_buffer_t bytes = { 0 };
    s_tell ((tell_t){ .generation = 5, .count = 3, .last = true });
    assert_int_equal (s_taken (), 5);
    s_stop ();
    s_read_file (&bytes);
    memset (s_curve_secret, 8, sizeof s_curve_secret); /* another node's */
    s_start ();
    assert_int_equal (s_used, 0);
    s_stop ();
    memset (s_curve_secret, 7, sizeof s_curve_secret);
    for (size_t size = 0; size < bytes.size; size += 1 + bytes.size / 20) { /* truncated */
        s_write_file (adr_bytes (bytes.data, size));
        s_start ();
        assert_int_equal (s_used, 0);
        s_stop ();
    }
    bytes.data[bytes.size / 2] ^= 1; /* rotten */
    s_write_file (adr_bytes (bytes.data, bytes.size));
    s_start ();
    assert_int_equal (s_used, 0);
    s_tell ((tell_t){ .generation = 5, .count = 3, .last = true }); /* and it goes on all the same */
    assert_int_equal (s_taken (), 5);
    assert_int_equal (s_used, 1);
    adr_buffer_free (&bytes);
}

/* The folder is gone, or full: the list is used all the same. */
static void
what_cannot_be_kept_is_used (void **state)
{
    (void) state;
    rmdir (s_folder);
    s_tell ((tell_t){ .generation = 5, .count = 3, .last = true });
    assert_int_equal (s_taken (), 5);
    assert_int_equal (s_used, 1);
}

int
main (void)
{
#define S_TEST(name) cmocka_unit_test_setup_teardown (name, s_setup, s_teardown)
    const struct CMUnitTest tests[] = {
        S_TEST (a_whole_list_is_used_and_kept),
        S_TEST (an_empty_list_is_one_too),
        S_TEST (half_a_list_is_none),
        S_TEST (a_file_that_is_not_ours_is_nothing),
        S_TEST (what_cannot_be_kept_is_used),
    };
    return cmocka_run_group_tests (tests, fixture_setup, fixture_teardown);
}
