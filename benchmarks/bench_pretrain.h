/* A short phase 1, the same on every device: what it comes to, and how fast. */
#ifndef SYN_BENCHMARKS_BENCH_PRETRAIN_H
#define SYN_BENCHMARKS_BENCH_PRETRAIN_H

#include "kernels/base/ctx.h"

typedef struct syn_bench_pretrain_options {
    const char *tasks; /* a file that 'syncog tasks' wrote; NULL: drawn tasks */
    uint64_t seed;
    int steps; /* of CKM and gap detector; ranker and refiner take two thirds of it each */
    bool tiny; /* few episodes, for emulated devices */
} syn_bench_pretrain_options;

/* Fits ranker, refiner, CKM and gap detector from nothing on ctx's device, without dropout, whose
 * masks differ from device to device, and prints one JSON object on a line: device, math, seed,
 * steps (all of them), seconds, ranker_auroc, gap_auroc, gap_ece and link_auroc on the
 * tasks kept out (every seventh), and hash (of the weights: equal runs have the same). Errors:
 * those of the file and of the trainer. */
SYN_WARN_UNUSED syn_status syn_bench_pretrain(syn_ctx *ctx,
                                              const syn_bench_pretrain_options *options);

#endif
