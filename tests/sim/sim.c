/* SPDX-License-Identifier: MPL-2.0 */
/* The simulator's program: seeds in, a verdict for each, one line that replays any failure.
 *
 *     sim --seed S [--trace]          one seed; with every event, one a line
 *     sim --seeds A-B [--jobs N]      a range
 *     sim --minutes M [--jobs N]      as many as there is time for, from a seed that the present second chooses
 *     sim --gap kill|handover         200 seeds: how long no write is acknowledged when the master's host ends so
 *     sim --trust ...                 in each of the seeds nodes come and go
 *     sim --marks                     names the coverage marks that none of these seeds reached
 *     sim --plant NAME                (sim_planted) with this planted bug: succeeds if a seed finds it */

#include "trust.h"

#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define S_JOBS_MAX 64
#define S_MARKS_MAX 1024
#define S_GAPS_MAX 1000

extern adr_mark_t __start_adr_marks[], __stop_adr_marks[];

/* What the processes share. */
typedef struct {
    uint64_t running[S_JOBS_MAX]; /* the seed that each is at */
    uint64_t done, failures, failed_seed, events, messages, elections, boots, writes, reads, unknown, digest;
    uint64_t injected[SIM_FAULT_COUNT];
    uint64_t deeds[DEED_COUNT], given_up, registries, lies; /* of the seeds in which nodes come and go */
    uint64_t marks[S_MARKS_MAX];
    uint32_t gap_ms[S_GAPS_MAX];
    bool stop;
} s_shared_t;

typedef struct {
    uint64_t first, last;
    int jobs;
    double minutes;
    bool trace, marks, quiet, keep_going, trust;
    sim_fault_t gap;
    const char *plant;
} s_options_t;

static s_shared_t *s_shared;
static const char *s_program;
static const char *s_plant;
static bool s_trust;
static uint64_t s_seed;

static void
s_add (uint64_t *to, uint64_t value)
{
    __atomic_fetch_add (to, value, __ATOMIC_RELAXED);
}

static void
s_say_replay (uint64_t seed)
{
    printf ("  replay: %s --seed %" PRIu64 "%s%s%s --trace\n", s_program, seed, s_plant ? " --plant " : "", s_plant ? s_plant : "",
            s_trust ? " --trust" : "");
}

/* An assertion of ours, in the middle of a seed. */
static void
s_on_assert (void)
{
    printf ("seed %" PRIu64 ": FAILED: an assertion\n", s_seed);
    s_say_replay (s_seed);
    fflush (stdout);
}

static void
s_account (const sim_world_t *world)
{
    s_add (&s_shared->done, 1);
    s_add (&s_shared->events, world->events);
    s_add (&s_shared->messages, world->messages);
    s_add (&s_shared->elections, world->elections);
    s_add (&s_shared->boots, world->boots);
    s_add (&s_shared->writes, world->history.commit);
    s_add (&s_shared->digest, world->digest); /* a sum: the order of the jobs does not matter */
    for (int i = 0; i < world->options.clients; i++) {
        s_add (&s_shared->reads, world->client[i].ended_read);
        s_add (&s_shared->unknown, world->client[i].ended_unknown);
    }
    for (int fault = 0; fault < SIM_FAULT_COUNT; fault++)
        s_add (&s_shared->injected[fault], world->faults.injected[fault]);
    for (int deed = 0; world->trust && deed < DEED_COUNT; deed++)
        s_add (&s_shared->deeds[deed], world->trust->operator.done[deed]);
    if (world->trust) {
        s_add (&s_shared->given_up, world->trust->operator.given_up);
        s_add (&s_shared->registries, world->trust->registry->epoch - 1);
        s_add (&s_shared->lies, world->trust->lies);
    }
    s_add (&s_shared->injected[SIM_FAULT_LOSS], world->lost);
    s_add (&s_shared->injected[SIM_FAULT_REPEAT], world->repeated);
    s_add (&s_shared->injected[SIM_FAULT_REORDER], world->dropped_old);
    s_add (&s_shared->injected[SIM_FAULT_STALE], world->stale);
}

static void
s_share_marks (void)
{
    size_t count = (size_t) (__stop_adr_marks - __start_adr_marks);
    for (size_t i = 0; i < count && i < S_MARKS_MAX; i++) {
        s_add (&s_shared->marks[i], __start_adr_marks[i].count);
        __start_adr_marks[i].count = 0;
    }
}

/* True if the seed shows no violation. */
static bool
s_run (uint64_t seed, const s_options_t *options, bool say)
{
    s_seed = seed;
    sim_options_t drawn;
    if (options->gap)
        sim_gap_options (&drawn, seed, options->gap);
    else
        sim_options_draw (&drawn, seed);
    if (options->trust)
        sim_options_trust (&drawn);
    sim_world_t *world = sim_world_new (&drawn, options->trace ? stdout : NULL);
    sim_world_run (world);
    bool failed = world->verdict.failed;
    if (failed) {
        printf ("seed %" PRIu64 ": FAILED: invariant %s\n  seen: %s\n  at %" PRId64 " ms, after %" PRIu64 " events\n",
                seed, world->verdict.invariant, world->verdict.seen, world->now_ns / ADR_MS, world->events);
        s_say_replay (seed);
    } else if (say)
        printf ("seed %" PRIu64 ": ok, %" PRIu64 " events, %" PRIu64 " committed, %" PRIu64 " masterships, %" PRId64
                " ms, trace digest %016" PRIx64 "\n",
                seed, world->events, world->history.commit, world->elections, world->now_ns / ADR_MS, world->digest);
    fflush (stdout);
    if (options->gap)
        s_shared->gap_ms[seed % S_GAPS_MAX] = (uint32_t) (world->gap_ns / ADR_MS);
    s_account (world);
    s_share_marks ();
    sim_world_destroy (&world);
    return !failed;
}

/* The process of one job: seeds first + job, first + job + jobs, ... up to the last one. */
static int
s_job (int job, uint64_t from, const s_options_t *options)
{
    int failures = 0;
    for (uint64_t seed = from; seed <= options->last && !s_shared->stop; seed += (uint64_t) options->jobs) {
        s_shared->running[job] = seed;
        if (!s_run (seed, options, options->first == options->last)) {
            failures++;
            s_add (&s_shared->failures, 1);
            s_shared->failed_seed = seed;
            if (!options->keep_going)
                s_shared->stop = true;
        }
    }
    return failures ? 1 : 0;
}

static pid_t
s_fork (int job, uint64_t from, const s_options_t *options)
{
    fflush (stdout);
    pid_t pid = fork ();
    if (pid == 0)
        _exit (s_job (job, from, options));
    return pid;
}

/* Runs the range in processes of its own; one that died in a seed is followed by another from the next seed on. */
static void
s_run_range (const s_options_t *options)
{
    pid_t pids[S_JOBS_MAX];
    int alive = 0;
    for (int job = 0; job < options->jobs; job++, alive++)
        pids[job] = s_fork (job, options->first + (uint64_t) job, options);
    while (alive > 0) {
        int status;
        pid_t pid = wait (&status);
        if (pid < 0)
            break;
        int job = 0;
        while (job < options->jobs && pids[job] != pid)
            job++;
        if (job == options->jobs)
            continue;
        if (!WIFSIGNALED (status)) {
            alive--;
            continue;
        }
        uint64_t seed = s_shared->running[job];
        printf ("seed %" PRIu64 ": FAILED: the process died of signal %d\n", seed, WTERMSIG (status));
        s_say_replay (seed);
        s_add (&s_shared->done, 1);
        s_add (&s_shared->failures, 1);
        s_shared->failed_seed = seed;
        if (!options->keep_going) {
            s_shared->stop = true;
            alive--;
        } else
            pids[job] = s_fork (job, seed + (uint64_t) options->jobs, options);
    }
}

static void
s_report (const s_options_t *options, double seconds)
{
    const s_shared_t *shared = s_shared;
    printf ("%" PRIu64 " seeds, %" PRIu64 " failed; %" PRIu64 " events (%.0f a second and process), %" PRIu64
            " messages, %" PRIu64 " entries committed, %" PRIu64 " masterships, %" PRIu64
            " starts, digest of all traces %016" PRIx64 ", %.1f s\n",
            shared->done, shared->failures, shared->events, (double) shared->events / seconds / options->jobs,
            shared->messages, shared->writes, shared->elections, shared->boots, shared->digest, seconds);
    printf ("faults:");
    for (int fault = 0; fault < SIM_FAULT_COUNT; fault++)
        printf (" %s %" PRIu64, sim_fault_name ((sim_fault_t) fault), shared->injected[fault]);
    printf ("\ntrust: registries %" PRIu64 " tokens %" PRIu64 " adoptions %" PRIu64 " demotions %" PRIu64 " promotions %" PRIu64
            " evictions %" PRIu64 " withdrawals %" PRIu64 " given-up %" PRIu64 " lies %" PRIu64 "\n",
            shared->registries, shared->deeds[DEED_TOKEN], shared->deeds[DEED_JOIN], shared->deeds[DEED_DEMOTE],
            shared->deeds[DEED_PROMOTE], shared->deeds[DEED_EVICT], shared->deeds[DEED_WITHDRAW], shared->given_up, shared->lies);
    if (!options->marks)
        return;
    size_t count = (size_t) (__stop_adr_marks - __start_adr_marks), reached = 0;
    for (size_t i = 0; i < count && i < S_MARKS_MAX; i++)
        if (shared->marks[i])
            reached++;
        else
            printf ("mark not reached: %s:%d: %s\n", __start_adr_marks[i].file, __start_adr_marks[i].line,
                    __start_adr_marks[i].name);
    printf ("%zu of %zu marks reached\n", reached, count);
}

static int
s_by_length (const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *) a, y = *(const uint32_t *) b;
    return (x > y) - (x < y);
}

static void
s_report_gaps (void)
{
    uint32_t *gap = s_shared->gap_ms, first = 0;
    qsort (gap, S_GAPS_MAX, sizeof *gap, s_by_length);
    while (first < S_GAPS_MAX - 1 && gap[first] == 0)
        first++;
    uint32_t count = S_GAPS_MAX - first;
    printf ("%u gaps: median %u ms, nine tenths %u ms, worst %u ms\n", count, gap[first + count / 2],
            gap[first + count * 9 / 10], gap[S_GAPS_MAX - 1]);
}

static _Noreturn void
s_usage (void)
{
    fprintf (stderr, "usage: sim [--seed S | --seeds A-B | --minutes M] [--gap kill|handover] [--trust] [--jobs N] [--trace] [--marks] "
                     "[--keep-going] [--plant NAME]\n");
    exit (64);
}

static uint64_t
s_number (const char *text, char **end)
{
    errno = 0;
    uint64_t value = strtoull (text, end, 10);
    if (errno || *end == text)
        s_usage ();
    return value;
}

static void
s_parse (int argc, char **argv, s_options_t *options)
{
    static const struct option s_names[] = {
        { "seed", 1, NULL, 's' },   { "seeds", 1, NULL, 'r' }, { "minutes", 1, NULL, 'm' },    { "jobs", 1, NULL, 'j' },
        { "trace", 0, NULL, 't' },  { "marks", 0, NULL, 'k' }, { "keep-going", 0, NULL, 'g' }, { "plant", 1, NULL, 'p' },
        { "gap", 1, NULL, 'a' },    { "trust", 0, NULL, 'u' },
        { NULL, 0, NULL, 0 },
    };
    char *end;
    for (int name; (name = getopt_long (argc, argv, "", s_names, NULL)) != -1;)
        switch (name) {
        case 's':
            options->first = options->last = s_number (optarg, &end);
            break;
        case 'r':
            options->first = s_number (optarg, &end);
            options->last = *end == '-' ? s_number (end + 1, &end) : options->first;
            break;
        case 'm':
            options->minutes = strtod (optarg, NULL);
            options->first = (uint64_t) time (NULL) * 1000000;
            options->last = UINT64_MAX / 2;
            break;
        case 'j':
            options->jobs = (int) s_number (optarg, &end);
            break;
        case 't':
            options->trace = true;
            break;
        case 'u':
            options->trust = s_trust = true;
            break;
        case 'k':
            options->marks = true;
            break;
        case 'g':
            options->keep_going = true;
            break;
        case 'p':
            options->plant = optarg;
            break;
        case 'a':
            options->gap = strcmp (optarg, "kill") == 0 ? SIM_FAULT_KILL : SIM_FAULT_DRAIN;
            if (options->last == 0)
                options->last = 200;
            break;
        default:
            s_usage ();
        }
    if (options->last == 0)
        options->last = 1;
    if (optind != argc || options->jobs < 1 || options->jobs > S_JOBS_MAX || options->last < options->first)
        s_usage ();
}

/* With --minutes, the first process to see that the time is over tells all others. */
static void
s_on_alarm (int signal)
{
    (void) signal;
    s_shared->stop = true;
}

int
main (int argc, char **argv)
{
    s_options_t options = { .first = 1, .jobs = 1 };
    s_parse (argc, argv, &options);
    s_program = argv[0];
    s_plant = options.plant;
#ifdef ADR_PLANTS
    adr_planted = options.plant;
#else
    if (options.plant) {
        fprintf (stderr, "sim: planted bugs are in sim_planted\n");
        return 64;
    }
#endif
    adr_assert_hook = s_on_assert;
    s_shared = mmap (NULL, sizeof *s_shared, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    adr_assert (s_shared != MAP_FAILED);
    if (options.minutes > 0) {
        signal (SIGALRM, s_on_alarm);
        alarm ((unsigned) (options.minutes * 60));
    }
    struct timespec begin, end;
    clock_gettime (CLOCK_MONOTONIC, &begin);
    if (options.first == options.last) /* in this very process, for a debugger's sake */
        s_job (0, options.first, &options);
    else
        s_run_range (&options);
    clock_gettime (CLOCK_MONOTONIC, &end);
    if (options.gap)
        s_report_gaps ();
    s_report (&options, (double) (end.tv_sec - begin.tv_sec) + (double) (end.tv_nsec - begin.tv_nsec) / 1e9);
    if (options.plant)
        printf ("planted %s: %s\n", options.plant, s_shared->failures ? "found" : "NOT FOUND");
    return options.plant ? !s_shared->failures : s_shared->failures != 0;
}
