/* The sum over ranks of trainer/dist.h beside MPI_Allreduce, in one run and on the same buffer:
 *   ninja -C build bench_allreduce
 *   mpirun -np 2 build/bench_allreduce [NUMBERS [ROUNDS [BUCKETS]]]
 * Prints one JSON object. Rounds alternate; the median over rounds of the slowest rank is reported.
 * bytes_per_s counts the buffer once. */
#include <mpi.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "kernels/base/options.h"
#include "trainer/dist.h"

enum { NUMBERS = 3000000, ROUNDS = 31, WARM_UP = 3 };

static int by_value(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* The time that the slowest rank took. */
static double slowest(double seconds)
{
    double largest = seconds;
    MPI_Allreduce(&seconds, &largest, 1, MPI_DOUBLE, MPI_MAX, MPI_COMM_WORLD);
    return largest;
}

static syn_status measure(syn_dist *d, float *x, int n, int rounds, int buckets, double *ours,
                          double *theirs)
{
    for (int k = -WARM_UP; k < rounds; k++) {
        memset(x, 0, sizeof *x * (size_t)n);
        MPI_Barrier(MPI_COMM_WORLD);
        double began = MPI_Wtime();
        for (int b = 0; b < buckets; b++) {
            const int64_t from = (int64_t)n * b / buckets, to = (int64_t)n * (b + 1) / buckets;
            SYN_RETURN_IF(syn_dist_sum_begin(d, x + from, to - from));
        }
        SYN_RETURN_IF(syn_dist_sum_wait(d));
        const double own = slowest(MPI_Wtime() - began);
        MPI_Barrier(MPI_COMM_WORLD);
        began = MPI_Wtime();
        MPI_Allreduce(MPI_IN_PLACE, x, n, MPI_FLOAT, MPI_SUM, MPI_COMM_WORLD);
        const double peer = slowest(MPI_Wtime() - began);
        if (k < 0) continue;
        ours[k] = own;
        theirs[k] = peer;
    }
    return SYN_OK;
}

int main(int argc, char **argv)
{
    const int n = argc > 1 ? atoi(argv[1]) : NUMBERS, rounds = argc > 2 ? atoi(argv[2]) : ROUNDS;
    const int buckets = argc > 3 ? atoi(argv[3]) : 1;
    int level = 0;
    syn_dist *d = NULL;
    MPI_Init_thread(&argc, &argv, MPI_THREAD_SERIALIZED, &level);
    float *x = malloc(sizeof *x * (size_t)(n > 0 ? n : 1));
    double *ours = malloc(sizeof *ours * (size_t)(rounds > 0 ? 2 * rounds : 1));
    syn_status st = n > 0 && rounds > 0 && buckets > 0 && x && ours
                        ? syn_dist_open(NULL, &d)
                        : syn_fail(SYN_ERR_USAGE, "bench_allreduce [NUMBERS [ROUNDS [BUCKETS]]]");
    if (st == SYN_OK) st = measure(d, x, n, rounds, buckets, ours, ours + rounds);
    if (st == SYN_OK && syn_dist_rank(d) == 0) {
        const double bytes = sizeof *x * (double)n;
        qsort(ours, (size_t)rounds, sizeof *ours, by_value);
        qsort(ours + rounds, (size_t)rounds, sizeof *ours, by_value);
        const double own = ours[rounds / 2], peer = ours[rounds + rounds / 2];
        printf("{\"ranks\": %d, \"numbers\": %d, \"buckets\": %d, \"sum_ms\": %.3f, "
               "\"sum_ms_best\": %.3f, \"sum_bytes_per_s\": %.3g, \"mpi_allreduce_ms\": %.3f, "
               "\"mpi_allreduce_ms_best\": %.3f, \"mpi_allreduce_bytes_per_s\": %.3g}\n",
               syn_dist_size(d), n, buckets, own * 1e3, ours[0] * 1e3, bytes / own, peer * 1e3,
               ours[rounds] * 1e3, bytes / peer);
    }
    syn_dist_close(d);
    free(ours);
    free(x);
    if (st == SYN_OK) MPI_Finalize();
    return syn_exit_code(st);
}
