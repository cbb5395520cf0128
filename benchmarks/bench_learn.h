/* A short training run, the same on every device: what it comes to, and how fast. */
#ifndef SYN_BENCHMARKS_BENCH_LEARN_H
#define SYN_BENCHMARKS_BENCH_LEARN_H

#include "kernels/base/ctx.h"

typedef struct syn_bench_learn_options {
    const char *tasks; /* a file that 'syncog tasks' wrote; NULL: drawn tasks, untrained judges */
    uint64_t seed;
    int updates;
    bool tiny; /* few environments, for emulated devices */
} syn_bench_learn_options;

/* Trains a policy from nothing with PPO, on ctx's device, and prints one JSON object on a line:
 * device, math, seed, updates, env_steps, seconds, first_return and return (means over the episodes
 * that ended in the first and the last quarter of the updates), success, episodes, and hash (of the
 * weights: equal runs have the same). Errors: those of the file and of the trainer. */
SYN_WARN_UNUSED syn_status syn_bench_learn(syn_ctx *ctx, const syn_bench_learn_options *options);

#endif
