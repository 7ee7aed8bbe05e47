/* SPDX-License-Identifier: MPL-2.0 */
/* [STORE-10] Index files whose structure is damaged, each in processes of its own: whatever is turned over, after at most one
 * process that ends of it the next one has an index that is either whole or made anew. INDEX_FLIPS=2 for each page, and twice as
 * many bytes of it. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "core/actor.h"
#include "runtime/fault.h"
#include "store/index_lmdb.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define S_RECORDS 600
#define S_PAGE 4096
#define S_UNCHECKED_SIZE ((INT64_C (1) << 30) + S_PAGE) /* a start does not read so large a file */
#define S_SECONDS 5                                     /* of one process: a walk that does not end */
#define S_FILE_MAX (1024 * 1024)

static char s_folder[256];
static uint8_t s_file[S_FILE_MAX]; /* the sound one */
static size_t s_size;

static const char *
s_path (const char *name)
{
    static char path[512];
    snprintf (path, sizeof path, "%s/%s", s_folder, name);
    return path;
}

static bool
s_exists (const char *name)
{
    return access (s_path (name), F_OK) == 0;
}

/* --- an index --------------------------------------------------------------------------------------------------- */

static adr_bytes_t
s_key (char key[64], unsigned number)
{
    snprintf (key, 64, "record-%08u", number * 7919 % S_RECORDS);
    return adr_bytes (key, strlen (key));
}

static adr_index_row_t
s_row (unsigned number)
{
    return (adr_index_row_t){ .version = { 1, 1, number + 1 }, .place = { 1, number, 100, 0 }, .time_ms = number };
}

static int
s_put (adr_index_t *index, unsigned number)
{
    char key[64];
    adr_index_row_t row = s_row (number);
    int error = index->put (index, number % 3, s_key (key, number), &row);
    return error ? error : index->put_tree (index, s_key (key, number), adr_bytes ("a value of some length", 22));
}

static int
s_put_many (adr_index_t *index, unsigned from, unsigned to, unsigned step)
{
    int error = index->begin (index);
    for (unsigned i = from; i < to && !error; i += step)
        error = s_put (index, i);
    if (!error)
        error = index->put_meta (index, "applied", adr_bytes ("x", 1));
    if (!error)
        return index->commit (index);
    index->abort (index);
    return error;
}

static adr_index_t *
s_open (char why[512])
{
    return adr_index_lmdb_create (s_path ("index.mdb"), why, 512);
}

/* In two halves, so that there are free pages, too. */
static int
s_make (void **state)
{
    (void) state;
    const char *base = getenv ("TMPDIR");
    char why[512];
    snprintf (s_folder, sizeof s_folder, "%s/adrestia-XXXXXX", base ? base : "/tmp");
    if (!mkdtemp (s_folder))
        return -1;
    adr_index_t *index = s_open (why);
    assert_non_null (index);
    assert_int_equal (s_put_many (index, 0, S_RECORDS, 2), 0);
    assert_int_equal (s_put_many (index, 1, S_RECORDS, 2), 0);
    assert_int_equal (s_put_many (index, 0, S_RECORDS, 50), 0);
    adr_index_lmdb_destroy (&index);
    int file = open (s_path ("index.mdb"), O_RDONLY);
    ssize_t size = read (file, s_file, sizeof s_file);
    close (file);
    assert_true (size > 40 * S_PAGE && (size_t) size < sizeof s_file);
    s_size = (size_t) size;
    return 0;
}

static int
s_remove (void **state)
{
    (void) state;
    char command[300];
    snprintf (command, sizeof command, "rm -rf '%s'", s_folder);
    return system (command);
}

/* 0, or what is wrong first. */
static int
s_read_all (adr_index_t *index)
{
    char key[64];
    adr_index_view_t *view;
    int error = index->view (index, &view);
    if (error)
        return error;
    for (unsigned i = 0; i < S_RECORDS && !error; i++) {
        adr_index_row_t row, expected = s_row (i);
        adr_bytes_t value;
        error = index->view_row (view, i % 3, s_key (key, i), &row);
        if (!error && adr_version_compare (&row.version, &expected.version) != 0)
            error = EILSEQ;
        if (!error)
            error = index->view_tree (view, s_key (key, i), &value);
    }
    index->view_close (&view);
    return error;
}

/* A flipped bit in a key leaves a row that cannot be found, and cannot be read by whoever comes by. */
static bool
s_has_rot (adr_index_t *index)
{
    adr_index_cursor_t *cursor;
    adr_index_view_t *view;
    adr_index_row_t row;
    adr_bytes_t key, name = adr_bytes ("r", 1), value;
    int error = ENOENT;
    for (uint8_t table = 0; table < 3 && error == ENOENT; table++) {
        assert_int_equal (index->seek (index, table, adr_bytes (NULL, 0), &cursor), 0);
        while ((error = index->next (index, cursor, &key, &row)) == 0)
            ;
        index->close (index, &cursor);
    }
    assert_int_equal (index->view (index, &view), 0);
    while (error == ENOENT && (error = index->view_next (view, name, &name, &value)) == 0)
        error = ENOENT;
    index->view_close (&view);
    return error == EIO;
}

/* --- a process -------------------------------------------------------------------------------------------------- */

typedef enum { S_WHOLE, S_ANEW, S_KNOWN, S_LOST, S_NOT_OPENED } s_end_t;

/* Opens, reads, writes, reads; then what a heal does: it checks. */
static s_end_t
s_live (void)
{
    char why[512];
    adr_index_t *index = s_open (why);
    if (!index)
        return S_NOT_OPENED;
    if (*why)
        return S_ANEW;
    int error = s_read_all (index);
    for (unsigned i = 0; i < 8 && !index->is_broken (index); i++)
        error |= s_put_many (index, i, S_RECORDS, 8);
    error |= s_read_all (index);
    if (index->check (index) != 0)
        return index->is_broken (index) && s_exists ("index.mdb.broken") ? S_KNOWN : S_LOST;
    bool whole = error == 0 || error == EIO || s_has_rot (index); /* EIO: a value, whose checksum says so */
    adr_index_lmdb_destroy (&index);
    return whole ? S_WHOLE : S_LOST;
}

/* As a node's process: no core, no handlers of the test's own, no noise, and an end. */
static void
s_prepare (void)
{
    static const int caught[] = { SIGSEGV, SIGBUS, SIGABRT, SIGILL, SIGFPE };
    struct rlimit none = { 0, 0 };
    setrlimit (RLIMIT_CORE, &none);
    for (size_t i = 0; i < sizeof caught / sizeof caught[0]; i++)
        signal (caught[i], SIG_DFL);
    int silence = open ("/dev/null", O_WRONLY);
    dup2 (silence, STDERR_FILENO);
    adr_fault_prepare ();
    alarm (S_SECONDS);
}

/* How a process ends that lives on that file: one of the above, or -1 if a signal ended it. */
static int
s_process (void)
{
    pid_t child = fork ();
    assert_true (child >= 0);
    if (child == 0) {
        s_prepare ();
        _exit ((int) s_live ());
    }
    int status;
    assert_int_equal (waitpid (child, &status, 0), child);
    assert_false (WIFSIGNALED (status) && WTERMSIG (status) == SIGALRM);
    return WIFSIGNALED (status) ? -1 : WEXITSTATUS (status);
}

static void
s_lay (size_t at, uint8_t flip, off_t size)
{
    unlink (s_path ("index.mdb.broken"));
    unlink (s_path ("index.mdb.check"));
    unlink (s_path ("index.mdb-lock"));
    int file = open (s_path ("index.mdb"), O_RDWR | O_CREAT | O_TRUNC, 0600);
    s_file[at] ^= flip;
    assert_int_equal (write (file, s_file, s_size), s_size);
    s_file[at] ^= flip;
    assert_int_equal (ftruncate (file, size), 0);
    close (file);
}

/* One bit, and where it is told if the test fails. */
static int
s_flip_and_live (size_t at, unsigned bit, off_t size)
{
    s_lay (at, (uint8_t) (1u << bit), size);
    int first = s_process (), second = -1;
    if (first == -1 || first == S_KNOWN)
        second = s_process ();
    if (first == S_LOST || first == S_NOT_OPENED || ((first == -1 || first == S_KNOWN) && second != S_ANEW && second != S_WHOLE))
        fail_msg ("byte %zu of page %zu, bit %u: ended by %d, then %d", at % S_PAGE, at / S_PAGE, bit, first, second);
    return first;
}

/* --- tests ------------------------------------------------------------------------------------------------------ */

static void
test_a_sound_file_is_sound (void **unused)
{
    (void) unused;
    s_lay (0, 0, (off_t) s_size);
    assert_int_equal (s_process (), S_WHOLE);
    s_lay (0, 0, S_UNCHECKED_SIZE);
    assert_int_equal (s_process (), S_WHOLE);
}

static adr_bytes_t
s_any_key (adr_random_t *random, uint8_t key[ADR_KEY_MAX])
{
    memset (key, 'k', ADR_KEY_MAX);
    adr_put_u16 (key, (uint16_t) adr_random_between (random, 0, 999));
    return adr_bytes (key, (size_t) adr_random_between (random, 2, adr_random_between (random, 0, 3) ? 80 : ADR_KEY_MAX));
}

/* Rows come and go until nothing is left, and come again; values of the second space are large; free lists are long. */
static void
test_whatever_lmdb_writes_is_sound (void **unused)
{
    (void) unused;
    static uint8_t key[ADR_KEY_MAX];
    char why[512];
    adr_random_t random = { 4 };
    unlink (s_path ("index.mdb"));
    adr_index_t *index = s_open (why);
    for (int round = 0; round < 400; round++) {
        int64_t operations = adr_random_between (&random, 1, round % 50 == 0 ? 3000 : 60);
        bool shrinks = round / 40 % 2;
        assert_int_equal (index->begin (index), 0);
        for (int64_t i = 0; i < operations; i++) {
            adr_index_row_t row = s_row ((unsigned) i);
            adr_bytes_t any = s_any_key (&random, key);
            uint8_t table = (uint8_t) adr_random_between (&random, 0, 3);
            bool goes = adr_random_between (&random, 0, 9) < (shrinks ? 9 : 3);
            int error = goes ? index->remove (index, table, any) : index->put (index, table, any, &row);
            assert_true (error == 0 || error == ENOENT);
            adr_bytes_t name = adr_bytes (key, (size_t) adr_random_between (&random, 2, ADR_TREE_NAME_MAX));
            error = goes ? index->remove_tree (index, name) : index->put_tree (index, name, any);
            assert_int_equal (error, 0);
        }
        if (adr_random_between (&random, 0, 9) == 0)
            index->abort (index);
        else
            assert_int_equal (index->commit (index), 0);
        assert_int_equal (index->check (index), 0);
    }
    adr_index_lmdb_destroy (&index);
    index = s_open (why);
    assert_string_equal (why, "");
    adr_index_lmdb_destroy (&index);
}

/* Rows that come and go within one transaction leave pages that LMDB took, gave up, and never wrote: at the file's end it is
 * shorter than it says. */
static void
test_a_file_is_sound_without_pages_that_were_given_up (void **unused)
{
    (void) unused;
    char why[512], key[64];
    unsigned shorter = 0;
    unlink (s_path ("index.mdb"));
    adr_index_t *index = s_open (why);
    for (unsigned round = 1; round < 20; round++) {
        struct stat status;
        uint8_t meta[2][8];
        int error;
        assert_int_equal (index->begin (index), 0);
        for (unsigned i = 0; i < round * 50; i++)
            assert_int_equal (s_put (index, i), 0);
        for (unsigned i = 0; i < round * 50; i++)
            if ((error = index->remove (index, i % 3, s_key (key, i))) != ENOENT) /* keys come again */
                assert_int_equal (error, 0);
        assert_int_equal (index->commit (index), 0);
        int file = open (s_path ("index.mdb"), O_RDONLY);
        assert_int_equal (fstat (file, &status), 0);
        for (size_t i = 0; i < 2; i++) /* the last page */
            assert_int_equal (pread (file, meta[i], sizeof meta[i], (off_t) (i * S_PAGE + 136)), sizeof meta[i]);
        close (file);
        uint64_t last = adr_get_u64 (meta[0]) > adr_get_u64 (meta[1]) ? adr_get_u64 (meta[0]) : adr_get_u64 (meta[1]);
        shorter += (uint64_t) status.st_size < (last + 1) * S_PAGE;
        assert_int_equal (index->check (index), 0);
    }
    assert_int_not_equal (shorter, 0);
    adr_index_lmdb_destroy (&index);
    index = s_open (why);
    assert_string_equal (why, "");
    adr_index_lmdb_destroy (&index);
}

/* Every header, and bytes all over each page. */
static size_t
s_byte (adr_random_t *random, size_t page, unsigned i)
{
    static const uint8_t header[] = { 0, 1, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19 };
    static const uint8_t meta[] = { 16, 20, 32, 40, 41, 44, 46, 48, 56, 72, 80, 88, 92, 94, 96, 104, 120, 128, 136, 144, 145 };
    if (page < 2)
        return page * S_PAGE + (i < sizeof meta ? meta[i] : (size_t) adr_random_between (random, 0, 151));
    return page * S_PAGE + (i < sizeof header ? header[i] : (size_t) adr_random_between (random, 0, S_PAGE - 1));
}

static void
s_flip_many (unsigned of_page, size_t page_step, off_t size)
{
    const char *more = getenv ("INDEX_FLIPS");
    adr_random_t random = { 11 };
    unsigned ended[8] = { 0 };
    of_page *= more ? (unsigned) atoi (more) : 1;
    page_step = more ? 1 : page_step;
    for (size_t page = 0; page < s_size / S_PAGE; page += page < 2 ? 1 : page_step)
        for (unsigned i = 0; i < (page < 2 ? 2 : 1) * of_page; i++) {
            size_t at = s_byte (&random, page, i);
            ended[1 + s_flip_and_live (at, (unsigned) adr_random_between (&random, 0, 7), size)]++;
        }
    print_message ("%u ended by a signal, %u whole, %u anew at once, %u found and made anew\n", ended[0], ended[1], ended[2],
                   ended[3]);
}

static void
test_damage_is_found_before_it_is_met (void **unused)
{
    (void) unused;
    s_flip_many (12, 7, (off_t) s_size);
}

static void
test_damage_that_is_met_is_known_to_the_next_start (void **unused)
{
    (void) unused;
    s_flip_many (12, 9, S_UNCHECKED_SIZE);
}

static void
s_is_made_anew (void)
{
    assert_int_equal (s_process (), S_ANEW);
    s_end_t end = (s_end_t) s_process (); /* and it is an index like any other */
    assert_true (end == S_WHOLE || end == S_LOST);
    assert_false (s_exists ("index.mdb.broken"));
}

static void
test_files_that_are_not_whole_are_made_anew (void **unused)
{
    (void) unused;
    static const off_t size[] = { 0, 1, 100, S_PAGE, 2 * S_PAGE, 10 * S_PAGE, 20 * S_PAGE + 7 };
    for (size_t i = 0; i < sizeof size / sizeof size[0]; i++) {
        s_lay (0, 0, size[i]);
        s_is_made_anew ();
    }
    static uint8_t zeros[2 * S_PAGE];
    s_lay (0, 0, (off_t) s_size); /* both meta pages */
    int file = open (s_path ("index.mdb"), O_WRONLY);
    assert_int_equal (write (file, zeros, sizeof zeros), sizeof zeros);
    close (file);
    s_is_made_anew ();
}

/* A file that is cut while it is mapped: SIGBUS, of which the next start knows. */
static void
test_a_file_that_is_cut_while_it_is_open (void **unused)
{
    (void) unused;
    s_lay (0, 0, (off_t) s_size);
    pid_t child = fork ();
    if (child == 0) {
        char why[512];
        s_prepare ();
        adr_index_t *index = s_open (why);
        if (truncate (s_path ("index.mdb"), 2 * S_PAGE) == 0)
            (void) s_read_all (index);
        _exit (0);
    }
    int status;
    assert_int_equal (waitpid (child, &status, 0), child);
    assert_true (WIFSIGNALED (status) && WTERMSIG (status) == SIGBUS);
    assert_true (s_exists ("index.mdb.broken"));
    s_is_made_anew ();
}

/* A signal outside of any index says only that it should be looked at: nothing is made anew for it. */
static void
test_a_signal_elsewhere_has_the_file_read (void **unused)
{
    (void) unused;
    s_lay (0, 0, S_UNCHECKED_SIZE);
    pid_t child = fork ();
    if (child == 0) {
        char why[512];
        s_prepare ();
        if (s_open (why))
            abort ();
        _exit (0);
    }
    int status;
    assert_int_equal (waitpid (child, &status, 0), child);
    assert_true (WIFSIGNALED (status) && WTERMSIG (status) == SIGABRT);
    assert_true (s_exists ("index.mdb.check") && !s_exists ("index.mdb.broken"));
    assert_int_equal (s_process (), S_WHOLE);
    assert_false (s_exists ("index.mdb.check"));
}

int
main (void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test (test_a_sound_file_is_sound),
        cmocka_unit_test (test_whatever_lmdb_writes_is_sound),
        cmocka_unit_test (test_a_file_is_sound_without_pages_that_were_given_up),
        cmocka_unit_test (test_damage_is_found_before_it_is_met),
        cmocka_unit_test (test_damage_that_is_met_is_known_to_the_next_start),
        cmocka_unit_test (test_files_that_are_not_whole_are_made_anew),
        cmocka_unit_test (test_a_file_that_is_cut_while_it_is_open),
        cmocka_unit_test (test_a_signal_elsewhere_has_the_file_read),
    };
    return cmocka_run_group_tests (tests, s_make, s_remove);
}
