/* SPDX-License-Identifier: MPL-2.0 */
/* What the wire costs a request: a pack with one Write of one 1 KiB operation, or with its Answer, made and read again.
 * Prints nanoseconds of processor time each; run it under callgrind for instructions.
 *
 *     wire_bench [ROUNDS] */

#include "core/entry.h"
#include "wire/pack.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

typedef void (s_fill_fn) (adr_buffer_t *pack);

static const adr_envelope_t s_envelope = { .cluster = { { 1 } }, .sender = { { 2 } }, .to = { { 3 } },
                                           .from_actor = ADR_ACTOR_CLIENT, .to_actor = ADR_ACTOR_EDGE_ROUTER,
                                           .incarnation = UINT64_C (0x1234567812345678), .boot = 7 };
static uint8_t s_value[1024];

static void
s_fill_write (adr_buffer_t *pack)
{
    static const uint8_t id[16] = { 9, 8, 7 };
    Adr__Op op = ADR__OP__INIT, *ops = &op;
    Adr__Write write = ADR__WRITE__INIT;
    op.table = ADR_TABLE_KV;
    op.key = (ProtobufCBinaryData){ 18, (uint8_t *) "bench\0000000001234" };
    op.value_size = sizeof s_value;
    write.number = 65537;
    write.request = (ProtobufCBinaryData){ 16, (uint8_t *) id };
    write.n_op = 1;
    write.op = &ops;
    write.limit_ms = 10000;
    adr_pack_add (pack, ADR__KIND__WRITE, &write.base, adr_bytes (s_value, sizeof s_value));
}

static void
s_fill_answer (adr_buffer_t *pack)
{
    Adr__VersionOf version = ADR__VERSION_OF__INIT;
    Adr__Answer answer = ADR__ANSWER__INIT;
    answer.number = 65537;
    answer.version = &version;
    answer.time_ms = UINT64_C (1763720000000);
    version.term = 3;
    version.index = 123456;
    adr_pack_add (pack, ADR__KIND__ANSWER, &answer.base, adr_bytes (NULL, 0));
}

static double
s_cpu_ns (void)
{
    struct timespec now;
    clock_gettime (CLOCK_PROCESS_CPUTIME_ID, &now);
    return (double) now.tv_sec * 1e9 + (double) now.tv_nsec;
}

static void
s_measure (const char *name, s_fill_fn *fill, int rounds)
{
    adr_buffer_t pack = { 0 };
    adr_arena_t arena;
    adr_arena_init (&arena, 8 * 1024, 64 * 1024);
    double start_ns = s_cpu_ns ();
    for (int i = 0; i < rounds; i++) {
        adr_buffer_clear (&pack);
        adr_pack_begin (&pack, &s_envelope);
        fill (&pack);
    }
    double made_ns = s_cpu_ns ();
    for (int i = 0; i < rounds; i++) {
        adr_pack_reader_t reader;
        adr_item_t item;
        adr_arena_reset (&arena);
        if (!adr_pack_open (&reader, adr_bytes (pack.data, pack.size)) || adr_pack_next (&reader, &item) != 1
            || adr_header_decode (&item, &arena) == NULL)
            abort ();
    }
    double read_ns = s_cpu_ns ();
    printf ("%-8s made %4.0f ns, read %4.0f ns\n", name, (made_ns - start_ns) / rounds, (read_ns - made_ns) / rounds);
    adr_buffer_free (&pack);
    adr_arena_free (&arena);
}

int
main (int argc, char **argv)
{
    int rounds = argc > 1 ? atoi (argv[1]) : 200000;
    if (rounds <= 0)
        return 64;
    s_measure ("write", s_fill_write, rounds);
    s_measure ("answer", s_fill_answer, rounds);
    return 0;
}
