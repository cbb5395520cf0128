/* Timing of one piece of work, many times, and the table of it. */
#ifndef SYN_BENCHMARKS_TIMING_H
#define SYN_BENCHMARKS_TIMING_H

#include <stdbool.h>

#include "kernels/base/status.h"

typedef struct syn_bench_row {
    const char *name;
    double flops; /* of one run, 0: not counted */
    double steps; /* environment steps of one run, 0: none */
    double share; /* of the row above that is no part, 0: it is no part of one */
    double bytes; /* memory of one environment, 0: not counted */
    double moved; /* bytes that one run moves through memory at least, 0: not counted */
    double p50_s, p99_s;
    int runs;
} syn_bench_row;

/* Runs `work` a few times to warm up, then for about a second (at least `runs_min` times), and
 * fills the times of `row`. */
SYN_WARN_UNUSED syn_status syn_bench_measure(syn_status (*work)(void *user), void *user,
                                             int runs_min, syn_bench_row *row);

/* The percentiles of `runs` times, which are sorted. */
void syn_bench_percentiles(double *times, int runs, syn_bench_row *row);

/* A table, or one JSON object. peak: the rate (FLOP/s) that shares are of, 0 for none. */
void syn_bench_print(const char *bench, const syn_bench_row *rows, int count, int threads,
                     double peak, bool json);

/* The same of work on `device`; threads 0 where CPU threads do not matter. */
void syn_bench_print_on(const char *bench, const char *device, const syn_bench_row *rows, int count,
                        int threads, double peak, bool json);

#endif
