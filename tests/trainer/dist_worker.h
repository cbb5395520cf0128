/* What one rank does in the tests of trainer/dist.h; the program that includes this is started
 * once per rank, by mpirun or by hand. Exit code 0: all as expected. */
#ifndef SYN_TESTS_DIST_WORKER_H
#define SYN_TESTS_DIST_WORKER_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "kernels/base/options.h"
#include "kernels/base/progress.h"
#include "kernels/base/rng.h"
#include "trainer/dist.h"

enum { WORKER_SHARDS = 8, WORKER_RANKS_MAX = 64 };

/* Numbers of very different sizes: every other order of additions gives other bits. */
static inline float worker_number(int row, int64_t i)
{
    const syn_philox r = syn_rng_block(7, (uint64_t)row, (uint64_t)i);
    const float scale[4] = {1e-4f, 1, 1e3f, 1e6f};
    return (syn_rng_unit(r.x[0]) - 0.5f) * scale[r.x[1] % 4];
}

/* The tree as dist.h writes it, for any number of rows, by recursion. */
static inline float worker_tree(const float *x, int first, int count)
{
    if (count == 1) return x[first];
    return worker_tree(x, first, count / 2) + worker_tree(x, first + count / 2, count / 2);
}

static inline float worker_expected(const float *x, int rows)
{
    float folded[WORKER_RANKS_MAX];
    int p = 1, at = 0;
    while (2 * p <= rows) p *= 2;
    for (int i = 0; i < p; i++) {
        folded[i] = x[at++];
        if (i < rows - p) folded[i] += x[at++];
    }
    return worker_tree(folded, 0, p);
}

static inline double worker_expected_f64(const double *x, int rows)
{
    double folded[WORKER_RANKS_MAX];
    int p = 1, at = 0;
    while (2 * p <= rows) p *= 2;
    for (int i = 0; i < p; i++) {
        folded[i] = x[at++];
        if (i < rows - p) folded[i] += x[at++];
    }
    for (int apart = 1; apart < p; apart *= 2) {
        for (int i = 0; i + apart < p; i += 2 * apart) folded[i] += folded[i + apart];
    }
    return folded[0];
}

#define WORKER_EXPECT(condition, ...)                                                              \
    do {                                                                                           \
        if (!(condition)) return syn_fail(SYN_ERR_FORMAT, __VA_ARGS__);                            \
    } while (0)

static inline uint64_t worker_hash(uint64_t h, const void *p, size_t bytes)
{
    for (size_t i = 0; i < bytes; i++) h = (h ^ ((const unsigned char *)p)[i]) * 1099511628211u;
    return h;
}

/* Sums in buckets of many sizes, several posted at a time. */
static inline syn_status worker_sums(syn_dist *d, uint64_t *hash)
{
    static const int64_t sizes[] = {1, 2, 3, 5, 7, 8, 64, 1000, 4097, 300001};
    enum { COUNT = sizeof sizes / sizeof *sizes };
    const int rank = syn_dist_rank(d), size = syn_dist_size(d);
    float *x[COUNT], rows[WORKER_RANKS_MAX];
    for (int b = 0; b < COUNT; b++) {
        x[b] = malloc(sizeof(float) * (size_t)sizes[b]);
        for (int64_t i = 0; i < sizes[b]; i++) x[b][i] = worker_number(rank, i + b);
        SYN_RETURN_IF(syn_dist_sum_begin(d, x[b], sizes[b]));
    }
    SYN_RETURN_IF(syn_dist_sum_wait(d));
    for (int b = 0; b < COUNT; b++) {
        for (int64_t i = 0; i < sizes[b]; i++) {
            for (int r = 0; r < size; r++) rows[r] = worker_number(r, i + b);
            const float expected = worker_expected(rows, size);
            WORKER_EXPECT(!memcmp(&x[b][i], &expected, sizeof expected),
                          "rank %d: sum %d of %lld numbers: [%lld] is %a, expected %a", rank, b,
                          (long long)sizes[b], (long long)i, x[b][i], expected);
        }
        *hash = worker_hash(*hash, x[b], sizeof(float) * (size_t)sizes[b]);
        free(x[b]);
    }
    return SYN_OK;
}

/* More buckets than the queue holds. */
static inline syn_status worker_many(syn_dist *d)
{
    enum { COUNT = 700 };
    float x[COUNT][3];
    for (int b = 0; b < COUNT; b++) {
        x[b][0] = x[b][1] = x[b][2] = (float)(b + syn_dist_rank(d));
        SYN_RETURN_IF(syn_dist_sum_begin(d, x[b], 3));
    }
    SYN_RETURN_IF(syn_dist_sum_wait(d));
    const int size = syn_dist_size(d);
    for (int b = 0; b < COUNT; b++) {
        const float expected = (float)(b * size + size * (size - 1) / 2);
        WORKER_EXPECT(x[b][0] == expected && x[b][2] == expected, "bucket %d is %g, expected %g", b,
                      x[b][0], expected);
    }
    return SYN_OK;
}

/* A tree over the shards of a rank, continued over ranks, is the tree over all shards. */
static inline syn_status worker_shards(syn_dist *d, uint64_t *hash)
{
    enum { N = 1000 };
    const int rank = syn_dist_rank(d), size = syn_dist_size(d), own = WORKER_SHARDS / size;
    float x[N], rows[WORKER_SHARDS];
    if (WORKER_SHARDS % size) return SYN_OK;
    for (int i = 0; i < N; i++) {
        for (int s = 0; s < own; s++) rows[s] = worker_number(rank * own + s, i);
        x[i] = worker_tree(rows, 0, own);
    }
    SYN_RETURN_IF(syn_dist_sum_begin(d, x, N));
    SYN_RETURN_IF(syn_dist_sum_wait(d));
    *hash = worker_hash(*hash, x, sizeof x);
    for (int i = 0; i < N; i++) {
        for (int s = 0; s < WORKER_SHARDS; s++) rows[s] = worker_number(s, i);
        const float expected = worker_tree(rows, 0, WORKER_SHARDS);
        WORKER_EXPECT(!memcmp(&x[i], &expected, sizeof expected),
                      "rank %d of %d: shard sum [%d] is %a, expected %a", rank, size, i, x[i],
                      expected);
    }
    return SYN_OK;
}

/* Ranks add as the CPU ops of a rank do: what is too small for a normal number is 0. */
static inline syn_status worker_denormals(syn_dist *d)
{
    const int rank = syn_dist_rank(d);
    float x[3] = {0};
    for (int i = 0; i < 3 && rank < 2; i++) x[i] = rank ? -1.25e-38f : 1.5e-38f;
    SYN_RETURN_IF(syn_dist_sum_begin(d, x, 3));
    SYN_RETURN_IF(syn_dist_sum_wait(d));
    WORKER_EXPECT(syn_dist_size(d) == 1 || !memcmp(x, (float[3]){0}, sizeof x),
                  "the sum over ranks is %a: it is denormal", x[0]);
    return SYN_OK;
}

static inline syn_status worker_f64(syn_dist *d)
{
    enum { N = 37 };
    const int rank = syn_dist_rank(d), size = syn_dist_size(d);
    double sum[N], max[N], rows[WORKER_RANKS_MAX];
    for (int i = 0; i < N; i++) {
        sum[i] = worker_number(rank, i) * (1 + 1e-12 * i);
        max[i] = worker_number(rank, i);
    }
    max[0] = rank == size - 1 ? NAN : 1;
    SYN_RETURN_IF(syn_dist_sum_f64(d, sum, N));
    SYN_RETURN_IF(syn_dist_max_f64(d, max, N));
    WORKER_EXPECT(max[0] != max[0], "a NaN was lost in a maximum");
    for (int i = 0; i < N; i++) {
        double largest = -INFINITY;
        for (int r = 0; r < size; r++) {
            rows[r] = worker_number(r, i) * (1 + 1e-12 * i);
            if (worker_number(r, i) > largest) largest = worker_number(r, i);
        }
        const double expected = worker_expected_f64(rows, size);
        WORKER_EXPECT(sum[i] == expected, "f64 sum [%d] is %a, expected %a", i, sum[i], expected);
        WORKER_EXPECT(!i || max[i] == largest, "maximum [%d] is %a, expected %a", i, max[i],
                      largest);
    }
    return SYN_OK;
}

static inline syn_status worker_copies(syn_dist *d)
{
    const int rank = syn_dist_rank(d), size = syn_dist_size(d);
    int mine[3] = {rank, rank * 10, rank * 100}, all[3 * WORKER_RANKS_MAX] = {0};
    SYN_RETURN_IF(syn_dist_gather(d, mine, sizeof mine, rank ? NULL : all));
    for (int r = 0; !rank && r < size; r++) {
        WORKER_EXPECT(all[3 * r] == r && all[3 * r + 2] == r * 100, "gather: rank %d's is %d", r,
                      all[3 * r]);
        all[3 * r + 1] = r + 1000;
    }
    SYN_RETURN_IF(syn_dist_scatter(d, rank ? NULL : all, sizeof mine, mine));
    WORKER_EXPECT(mine[0] == rank && mine[1] == rank + 1000, "scatter gave rank %d's to rank %d",
                  mine[0], rank);
    const size_t bytes = 5000001; /* larger than the buffers of a connection */
    unsigned char *x = malloc(bytes);
    for (size_t i = 0; i < bytes; i++) x[i] = rank ? 0 : (unsigned char)(i * 31 >> 3);
    SYN_RETURN_IF(syn_dist_broadcast(d, x, (int64_t)bytes));
    size_t wrong = 0;
    for (size_t i = 0; i < bytes; i++) wrong += x[i] != (unsigned char)(i * 31 >> 3);
    free(x);
    WORKER_EXPECT(!wrong, "broadcast: %zu bytes are wrong", wrong);
    SYN_RETURN_IF(syn_dist_gather(d, NULL, 0, NULL));
    return syn_dist_same(d, 42, "weights are");
}

/* Everything that works; rank 0 prints a hash of the sums, and one of those that do not depend on
 * the number of ranks. */
static inline syn_status worker_check(syn_dist *d)
{
    uint64_t sums = 1, shards = 1;
    SYN_RETURN_IF(worker_sums(d, &sums));
    SYN_RETURN_IF(worker_many(d));
    SYN_RETURN_IF(worker_shards(d, &shards));
    SYN_RETURN_IF(worker_denormals(d));
    SYN_RETURN_IF(worker_f64(d));
    SYN_RETURN_IF(worker_copies(d));
    if (!syn_dist_rank(d)) {
        printf("sums %016llx shards %016llx\n", (unsigned long long)sums,
               (unsigned long long)shards);
    }
    return SYN_OK;
}

/* Rounds of a little work and a sum, until `seconds` are over; `slow` works ten times as long. */
static inline syn_status worker_rounds(syn_dist *d, double seconds, int slow)
{
    const double began = syn_clock_s();
    double over = 0;
    float x[100] = {0};
    while (!over) {
        usleep(syn_dist_rank(d) == slow ? 20000 : 2000);
        SYN_RETURN_IF(syn_dist_sum_begin(d, x, 100));
        SYN_RETURN_IF(syn_dist_sum_wait(d));
        over = syn_clock_s() - began > seconds;
        SYN_RETURN_IF(syn_dist_max_f64(d, &over, 1));
    }
    return SYN_OK;
}

/* The cases of test_dist.c and test_ranks.sh; `who` is the rank with which something is wrong. */
static inline syn_status worker_run(syn_dist *d, const char *name, int who, double seconds)
{
    const int rank = syn_dist_rank(d);
    float x[100] = {0};
    if (!strcmp(name, "check")) return worker_check(d);
    if (!strcmp(name, "rounds")) return worker_rounds(d, seconds, -1);
    if (!strcmp(name, "slow")) return worker_rounds(d, seconds, who);
    if (!strcmp(name, "id")) { /* as long as NCCL's */
        unsigned char id[128];
        for (size_t i = 0; i < sizeof id; i++) id[i] = rank ? 0 : (unsigned char)(200 - i);
        SYN_RETURN_IF(syn_dist_broadcast(d, id, sizeof id));
        printf("id %016llx\n", (unsigned long long)worker_hash(1, id, sizeof id));
        return SYN_OK;
    }
    if (!strcmp(name, "odd")) return syn_dist_same(d, rank == who, "weights at update 300 are");
    if (!strcmp(name, "abort")) { /* a failure of its own, while the others wait */
        if (rank != who) return syn_dist_sum_f64(d, (double[1]){0}, 1);
        syn_status st = syn_fail(SYN_ERR_NUMERIC, "the loss is not finite at update 7");
        syn_dist_abort(d, syn_error_text());
        return st;
    }
    if (!strcmp(name, "absent")) { /* alive, but it never comes */
        if (rank == who) usleep((useconds_t)(seconds * 1e6));
        return syn_dist_sum_f64(d, (double[1]){0}, 1);
    }
    if (!strcmp(name, "busy")) { /* it does not look for failures itself */
        if (rank != who)
            usleep((useconds_t)(seconds * 1e6));
        else
            _exit(9);
        return syn_dist_sum_f64(d, (double[1]){0}, 1);
    }
    if (!strcmp(name, "uneven")) {
        SYN_RETURN_IF(syn_dist_sum_begin(d, x, rank == who ? 10 : 20));
        return syn_dist_sum_wait(d);
    }
    return syn_fail(SYN_ERR_USAGE, "no case \"%s\"", name);
}

/* worker CASE BACKEND RENDEZVOUS|- TIMEOUT_S [WHO [SECONDS [FOLDER]]]: FOLDER/RANK gets the pid. */
static inline int worker_main(int argc, char **argv)
{
    const syn_dist_config cfg = {.backend = argv[2],
                                 .rendezvous = strcmp(argv[3], "-") ? argv[3] : NULL,
                                 .timeout_s = atoi(argv[4])};
    syn_dist *d = NULL;
    syn_status st = syn_dist_open(&cfg, &d);
    if (st == SYN_OK && argc > 7) {
        char path[4096];
        snprintf(path, sizeof path, "%s/%d", argv[7], syn_dist_rank(d));
        FILE *f = fopen(path, "w");
        if (f) fprintf(f, "%ld\n", (long)getpid());
        if (f) fclose(f);
    }
    if (st == SYN_OK) {
        st = worker_run(d, argv[1], argc > 5 ? atoi(argv[5]) : -1, argc > 6 ? atof(argv[6]) : 0);
    }
    syn_dist_close(d);
    return syn_exit_code(st);
}

#endif
